//! The sans-I/O engine of XTrader: exchange frames in, Arrow rows and actions out.
//!
//! Nothing in this crate reads a clock, opens a socket, sleeps or draws a random number. Everything that
//! happens is an [`engine::Input`] with its [`time::Stamp`]; everything wanted is an [`engine::Action`]; rows go
//! straight into Arrow builders. Live, replay, tests and benchmarks drive the same [`engine::Engine`].
//!
//! The way of one frame, and the room where each step lives:
//! `peek` ([`exchange`]) → `arbitrate` ([`arbiter`]) → `decode` ([`exchange`]) → `sync` ([`book::sync`]) →
//! `book` ([`book`]) → `batch` ([`batch`]).
#![forbid(unsafe_code)]

pub mod arbiter;
pub mod batch;
pub mod book;
pub mod config;
pub mod decimal;
pub mod engine;
pub mod event;
pub mod exchange;
pub mod instrument;
pub mod report;
pub mod symbol;
pub mod table;
pub mod time;
