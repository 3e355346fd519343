//! The engine of one venue: inputs in, actions and Arrow rows out.
//!
//! Contract of the run loop, the same for every shell:
//! 1. one [`Engine::handle`] with its stamp, 2. drain [`Engine::poll_action`] and [`Engine::poll_batch`],
//! 3. wait until the next input or [`Engine::next_timeout`], then hand over [`Input::Timeout`].

mod input;

pub use input::{Action, ConnDown, DownReason, HttpReply, Input, RequestId};

use crate::batch::Batch;
use crate::config::{ConfigError, EngineConfig};
use crate::report::BookReport;
use crate::time::Stamp;

/// The engine of one venue. Sans-I/O: see the module's contract.
pub struct Engine {}

impl Engine {
    /// Starts an engine; `at` and everything needed to replay go into the `start` row of `raw`.
    ///
    /// # Errors
    /// A configuration that names something there is not, or that contradicts itself.
    pub fn start(_config: EngineConfig, _build: &str, _at: Stamp) -> Result<Self, ConfigError> {
        todo!()
    }

    /// Takes one input. Rows go into the builders, wishes into the queue of actions.
    pub fn handle(&mut self, _at: Stamp, _input: Input<'_>) {
        todo!()
    }

    /// The next thing wanted from the shell.
    pub fn poll_action(&mut self) -> Option<Action> {
        todo!()
    }

    /// When [`Input::Timeout`] is due, if nothing else comes before.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Stamp> {
        todo!()
    }

    /// The next closed batch.
    pub fn poll_batch(&mut self) -> Option<Batch> {
        todo!()
    }

    /// Closes every open batch that holds rows. How rows are cut into batches is the shell's choice and no input.
    pub fn close_batches(&mut self) {
        todo!()
    }

    /// Rows in open batches, and the monotonic time of the input that wrote the oldest of them.
    #[must_use]
    pub fn open_rows(&self) -> Option<(usize, u64)> {
        todo!()
    }

    /// Counters: every frame and reply in exactly one. JSON, see `docs/architecture.md`.
    #[must_use]
    pub fn counters(&self) -> serde_json::Value {
        todo!()
    }

    /// Every book the engine knows.
    #[must_use]
    pub fn books(&self) -> Vec<BookReport> {
        todo!()
    }
}
