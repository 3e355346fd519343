//! The live shell over real sockets: what peers do, and what the engine is told of it.
//!
//! A script stands in for the engine and writes down every input. Peers are small servers, written by hand where they
//! must misbehave. Everything waits for events, with one deadline for the whole of a wait; nothing sleeps for luck.
#![allow(clippy::unwrap_used)]

mod arrivals;
mod commands;
mod consumer;
mod faults;
mod handshake;
mod lifecycle;
mod messages;
mod peer;
mod rest;
mod script;
mod tls;
mod venue;
mod venues;
