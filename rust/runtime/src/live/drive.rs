//! What a shard needs of an engine. There is one engine; the tests of the shell put a script in its place, to see
//! every input exactly as it was handed over.

use serde_json::{Value, json};
use xtrader_core::batch::Batch;
use xtrader_core::config::ConfigError;
use xtrader_core::engine::{Action, Command, Engine, Input};
use xtrader_core::symbol::ConnId;
use xtrader_core::table::StampSource;
use xtrader_core::time::Stamp;

/// The contract of [`Engine`], as far as a live shell uses it.
pub trait Drive: Send + 'static {
    /// See [`Engine::handle`].
    fn handle(&mut self, at: Stamp, input: Input<'_>);
    /// See [`Engine::stamped_by`].
    fn stamped_by(&mut self, conn: ConnId, source: StampSource);
    /// See [`Engine::command`].
    ///
    /// # Errors
    /// As there.
    fn command(&mut self, at: Stamp, command: &Command) -> Result<(), ConfigError>;
    /// See [`Engine::poll_action`].
    fn poll_action(&mut self) -> Option<Action>;
    /// See [`Engine::poll_warning`].
    fn poll_warning(&mut self) -> Option<String>;
    /// See [`Engine::next_timeout`].
    fn next_timeout(&self) -> Option<Stamp>;
    /// See [`Engine::poll_batch`].
    fn poll_batch(&mut self) -> Option<Batch>;
    /// See [`Engine::close_batches`].
    fn close_batches(&mut self);
    /// See [`Engine::open_rows`].
    fn open_rows(&self) -> Option<(usize, u64)>;
    /// See [`Engine::fault`].
    fn fault(&self) -> Option<&ConfigError>;
    /// Its counters and books.
    fn report(&self) -> Value;
}

impl Drive for Engine {
    fn handle(&mut self, at: Stamp, input: Input<'_>) {
        Engine::handle(self, at, input);
    }

    fn stamped_by(&mut self, conn: ConnId, source: StampSource) {
        Engine::stamped_by(self, conn, source);
    }

    fn command(&mut self, at: Stamp, command: &Command) -> Result<(), ConfigError> {
        Engine::command(self, at, command)
    }

    fn poll_action(&mut self) -> Option<Action> {
        Engine::poll_action(self)
    }

    fn poll_warning(&mut self) -> Option<String> {
        Engine::poll_warning(self)
    }

    fn next_timeout(&self) -> Option<Stamp> {
        Engine::next_timeout(self)
    }

    fn poll_batch(&mut self) -> Option<Batch> {
        Engine::poll_batch(self)
    }

    fn close_batches(&mut self) {
        Engine::close_batches(self);
    }

    fn open_rows(&self) -> Option<(usize, u64)> {
        Engine::open_rows(self)
    }

    fn fault(&self) -> Option<&ConfigError> {
        Engine::fault(self)
    }

    fn report(&self) -> Value {
        json!({
            "counters": self.counters(),
            "books": self.books(),
            "lanes": self.lanes(),
            "arbitration": self.arbitration(),
            "conflicts": self.conflicts(),
        })
    }
}
