//! What can go wrong in a shell, split by what the caller can do about it.

use std::io;
use std::path::{Path, PathBuf};

use xtrader_core::config::ConfigError;

/// A shell's error. Trouble that a market-data engine expects (a gap, a stale book, a late copy) is not here: it is data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The operating system refused: repair the disk, the path or the rights, then try again.
    #[error("{}: cannot {doing}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A path that holds nothing to replay: name another.
    #[error("{}: {problem}; {remedy}", path.display())]
    NotARecording {
        /// The path as given.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A recording that cannot be read further: repair or cut it there.
    #[error("{}, {unit} {at}: {problem}; {remedy}", path.display())]
    Recording {
        /// The file.
        path: PathBuf,
        /// What `at` counts: `line` or `row`.
        unit: &'static str,
        /// Which one, from 1.
        at: u64,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Neither the recording nor the caller says whose data this is: name the exchange.
    #[error("{}: {problem}; name the exchange (--exchange ID), one of: {supported}", path.display())]
    UnknownExchange {
        /// The recording.
        path: PathBuf,
        /// What was looked at.
        problem: String,
        /// What may be named.
        supported: String,
    },
    /// A recording of an exchange that is not built in.
    #[error("{}: {found} is not supported; there is: {supported}", path.display())]
    UnsupportedExchange {
        /// The recording.
        path: PathBuf,
        /// What was found (host or name), and which exchange that is.
        found: String,
        /// What there is.
        supported: String,
    },
    /// Options that make no sense, or that contradict the recording or each other: change them.
    #[error("{0}")]
    Options(String),
    /// A configuration that the engine refuses.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Data is there already and would have to be overwritten: name another folder or remove it.
    #[error(
        "{}: holds table {table} already and stored data is never overwritten; name another folder, or remove that one",
        path.display()
    )]
    Exists {
        /// The table's folder.
        path: PathBuf,
        /// The table.
        table: &'static str,
    },
    /// Another process (or another store of this one) writes there: wait, or name another folder.
    #[error("{}: another writer has this folder locked; stop it, or name another folder", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// A Parquet file that cannot be read or written.
    #[error("{}: Parquet: {source}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the library said.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// An earlier write to this store failed, so what came after it is not stored: see that error.
    #[error("{}: an earlier write failed, rows after it are not stored", path.display())]
    Incomplete {
        /// The folder of the store.
        path: PathBuf,
    },
    /// A batch that is not of its table: a defect of whoever built it.
    #[error("table {table}: {problem}")]
    Batch {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The system refused a thread, a runtime or a certificate store: see to the machine, then try again.
    #[error("live stream: cannot {doing}: {problem}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        problem: String,
    },
    /// This process is a fork of the one that opened it: open another after the fork.
    #[error("this was opened by process {parent} and cannot be used in its fork {child}; open another after the fork")]
    Forked {
        /// Who opened it.
        parent: u32,
        /// Who asks.
        child: u32,
    },
    /// The shard's thread ended by a defect or by an option that only the thread could try; the stream is over.
    #[error("live stream: the shard failed: {0}")]
    Failed(String),
}

impl RuntimeError {
    /// Gives an [`io::Error`] its place: `.map_err(RuntimeError::io(path, "open"))`.
    pub fn io(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), doing, source }
    }

    /// Gives a Parquet error its place.
    pub(crate) fn parquet(path: &Path) -> impl FnOnce(parquet::errors::ParquetError) -> Self {
        move |source| Self::Parquet { path: path.to_owned(), source }
    }

    /// The same call may succeed later without a change of the input.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::Busy { .. })
    }
}
