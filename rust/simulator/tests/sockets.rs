//! The simulator over real sockets, seen by a plain client.

#[path = "sockets/client.rs"]
mod client;
#[path = "sockets/deribit.rs"]
mod deribit;
#[path = "sockets/fates.rs"]
mod fates;
#[path = "sockets/faults.rs"]
mod faults;
#[path = "sockets/history.rs"]
mod history;
#[path = "sockets/judge.rs"]
mod judge;
#[path = "sockets/load.rs"]
mod load;
#[path = "sockets/okx.rs"]
mod okx;
#[path = "sockets/places.rs"]
mod places;
#[path = "sockets/protocol.rs"]
mod protocol;
#[path = "sockets/rest.rs"]
mod rest;
#[path = "sockets/spot.rs"]
mod spot;
#[path = "sockets/tls.rs"]
mod tls;
