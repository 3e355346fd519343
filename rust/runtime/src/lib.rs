//! The shells around the engine: sockets and recordings feed it, sinks drain it.
//!
//! [`live`] drives an engine from sockets; [`replay`] from recordings: foreign ones read by [`capture`], our own by
//! [`raw`]. [`store`] writes batches to Parquet.

pub mod capture;
pub mod error;
pub mod live;
pub mod raw;
pub mod replay;
pub mod store;
mod sum;
#[cfg(test)]
mod testing;

pub use error::RuntimeError;

/// Version of this build.
pub const BUILD: &str = env!("CARGO_PKG_VERSION");
