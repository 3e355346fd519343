//! What can go wrong for who runs a simulator.

use std::path::PathBuf;

/// Why a simulator could not start, or could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulatorError {
    /// A value of the configuration makes no sense. The text names the key and what is allowed.
    #[error("simulator configuration: {key}: {problem}")]
    Config {
        /// The key, dotted.
        key: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// JSON that is no configuration, fault plan or recording request.
    #[error("simulator: {what} is not understood: {source}")]
    Json {
        /// What was read.
        what: &'static str,
        /// Where it stopped being understood.
        source: serde_json::Error,
    },
    /// A recorded capture that cannot be played.
    #[error("simulator: {path}:{line}: {problem}", path = path.display())]
    Capture {
        /// The file.
        path: PathBuf,
        /// Its line, counted from 1; 0 is the file as a whole.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A file, socket or thread that could not be had.
    #[error("simulator: {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Certificates that could not be made.
    #[error("simulator: TLS: {0}")]
    Tls(String),
    /// It was stopped, or its thread has ended.
    #[error("the simulator is stopped")]
    Stopped,
}

impl SimulatorError {
    pub(crate) fn config(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Config { key: key.into(), problem: problem.into() }
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
