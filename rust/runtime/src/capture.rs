//! Reads foreign recordings: one JSON object a line, `.jsonl` or gzip of it (any number of members).
//!
//! `{"recv_ns": int|null, "conn": "<id>", "dir": "in"|"out"|"http", "url": "...", "frame": "<text>"}`. The `frame` is the
//! text exactly as received, so it is unescaped here and read by nobody before the engine.

mod files;
mod line;

pub(crate) use files::expand;

#[cfg(test)]
mod tests;

use std::io::BufRead;
use std::path::{Path, PathBuf};

use memchr::memchr;
use serde::Deserialize;

use crate::error::RuntimeError;
use files::{ByteCount, OpenFile};
use line::Fields;

/// Bytes that one line may have. The largest real ones are reference data, a few MiB.
const MAX_LINE: usize = 256 << 20;

const REMEDY: &str = "repair the line or cut the recording before it";

/// Which way the text of a line went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Received on a socket.
    In,
    /// Sent on a socket.
    Out,
    /// Body of a REST reply.
    Http,
}

/// One line of a recording, borrowed from the reader's buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// When it was received, nanoseconds since the epoch; `None` where that was not recorded.
    pub recv_ns: Option<i64>,
    /// The recorder's name of the connection.
    pub conn: &'a str,
    /// Which way it went.
    pub direction: Direction,
    /// On every `http` line, and on the first line of each connection.
    pub url: Option<&'a str>,
    /// The text.
    pub frame: &'a str,
}

/// Reads recordings in the order given, as one stream of lines. Memory: the longest line, twice.
pub struct CaptureReader {
    paths: std::vec::IntoIter<PathBuf>,
    open: Option<OpenFile>,
    read: ByteCount,
    total: u64,
    path: PathBuf,
    opened: usize,
    number: u64,
    line: Vec<u8>,
    fields: Fields,
}

impl CaptureReader {
    /// Opens recordings. A folder stands for its `.jsonl` and `.jsonl.gz` files, by name.
    ///
    /// # Errors
    /// A path that is not there, cannot be read, or holds no recording.
    pub fn open(paths: &[PathBuf]) -> Result<Self, RuntimeError> {
        let paths = expand(paths)?;
        let mut total = 0_u64;
        for path in &paths {
            total = total.saturating_add(files::size(path)?);
        }
        Ok(Self {
            paths: paths.into_iter(),
            open: None,
            read: ByteCount::default(),
            total,
            path: PathBuf::new(),
            opened: 0,
            number: 0,
            line: Vec::new(),
            fields: Fields::default(),
        })
    }

    /// Goes to the next line that is not blank; `false` at the end of the last file.
    ///
    /// # Errors
    /// A file that cannot be read, with its place.
    pub fn advance(&mut self) -> Result<bool, RuntimeError> {
        loop {
            let Some(open) = &mut self.open else {
                let Some(path) = self.paths.next() else {
                    self.line.clear();
                    return Ok(false);
                };
                self.open = Some(files::open(&path, &self.read)?);
                self.path = path;
                self.opened += 1;
                self.number = 0;
                continue;
            };
            self.line.clear();
            match read_line(open.as_mut(), &mut self.line) {
                Ok(true) => self.number += 1,
                Ok(false) => {
                    self.open = None;
                    continue;
                }
                Err(source) => {
                    let problem = match source.kind() {
                        std::io::ErrorKind::UnexpectedEof => "the gzip stream ends in its middle".to_owned(),
                        std::io::ErrorKind::FileTooLarge => format!("longer than {MAX_LINE} bytes"),
                        std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData => {
                            format!("the gzip stream is damaged ({source})")
                        }
                        _ => return Err(RuntimeError::io(&self.path, "read it")(source)),
                    };
                    return Err(bad_line(&self.path, self.number + 1, problem));
                }
            }
            if self.number == 1 && self.line.starts_with(b"\xEF\xBB\xBF") {
                self.line.drain(..3);
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    /// The line that [`Self::advance`] went to.
    ///
    /// # Errors
    /// It is not of the format; the error has its place.
    pub fn line(&mut self) -> Result<Line<'_>, RuntimeError> {
        let Self { fields, line, path, number, .. } = self;
        fields.read(line).map_err(|error| bad_line(path, *number, describe(&error)))?;
        let not_utf8 = |_| bad_line(path, *number, "not UTF-8".to_owned());
        let url = if fields.has_url { Some(fields.url.get().map_err(not_utf8)?) } else { None };
        if fields.direction == Direction::Http && url.is_none() {
            return Err(bad_line(path, *number, "an `http` line needs the `url` that it answers".to_owned()));
        }
        Ok(Line {
            recv_ns: fields.recv_ns,
            conn: fields.conn.get().map_err(not_utf8)?,
            direction: fields.direction,
            url,
            frame: fields.frame.get().map_err(not_utf8)?,
        })
    }

    /// The file of the last line.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Files opened so far: the last line is of this one, counted from 1.
    #[must_use]
    pub fn files_opened(&self) -> usize {
        self.opened
    }

    /// Number of the last line in its file, from 1.
    #[must_use]
    pub fn line_number(&self) -> u64 {
        self.number
    }

    /// Bytes read from the files so far, compressed where they are.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.read.get()
    }

    /// Bytes of all files, compressed where they are.
    #[must_use]
    pub fn bytes_total(&self) -> u64 {
        self.total
    }

    /// An error about the last line.
    pub(crate) fn misfit(&self, problem: String) -> RuntimeError {
        bad_line(&self.path, self.number, problem)
    }
}

/// Appends one line without its `\n`; `false` at the end of the file.
fn read_line(reader: &mut dyn BufRead, line: &mut Vec<u8>) -> std::io::Result<bool> {
    loop {
        let chunk = match reader.fill_buf() {
            Ok(chunk) => chunk,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if chunk.is_empty() {
            return Ok(!line.is_empty());
        }
        let end = memchr(b'\n', chunk);
        line.extend_from_slice(&chunk[..end.unwrap_or(chunk.len())]);
        let used = end.map_or(chunk.len(), |at| at + 1);
        reader.consume(used);
        if line.len() > MAX_LINE {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        if end.is_some() {
            return Ok(true);
        }
    }
}

fn bad_line(path: &Path, at: u64, problem: String) -> RuntimeError {
    RuntimeError::Recording { path: path.to_owned(), unit: "line", at, problem, remedy: REMEDY }
}

/// serde_json counts lines within its input, which is always one line here: only the column says something.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    format!("{what} (column {})", error.column())
}
