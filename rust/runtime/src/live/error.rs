//! What can go wrong with a live stream, split by what the caller can do.

use xtrader_core::config::ConfigError;

/// An error of a live stream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// A configuration that the engine or the shard refuses: change it.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Options that make no sense here: change them.
    #[error("{0}")]
    Options(String),
    /// The system refused a thread, a runtime or a certificate store.
    #[error("live stream: cannot {doing}: {problem}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        problem: String,
    },
    /// This process is a fork of the one that opened the stream.
    #[error(
        "this live stream was opened by process {parent} and cannot be used in its fork {child}: open a new stream after the fork"
    )]
    Forked {
        /// Who opened it.
        parent: u32,
        /// Who asks.
        child: u32,
    },
    /// The shard's thread ended by a defect; the stream is over.
    #[error("live stream: the shard failed: {0}")]
    Failed(String),
}
