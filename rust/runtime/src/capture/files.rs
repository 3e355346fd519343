//! Which files, how large, and their bytes, decompressed and counted.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use crate::error::RuntimeError;

const BUFFER: usize = 128 << 10;
const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];

/// An open recording. Virtual calls are once a line, not once a byte.
pub(super) type OpenFile = Box<dyn BufRead + Send>;

/// Bytes taken from the files, seen through whatever decompresses them.
#[derive(Clone, Default)]
pub(super) struct ByteCount(Arc<AtomicU64>);

impl ByteCount {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Counted {
    file: File,
    count: ByteCount,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.count.0.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Folders become their recordings, by name; files stay as they are.
///
/// # Errors
/// A folder that cannot be listed, or holds no recording.
pub(crate) fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, RuntimeError> {
    let mut all = Vec::with_capacity(paths.len());
    for path in paths {
        if !path.is_dir() {
            all.push(path.clone());
            continue;
        }
        let mut inside = Vec::new();
        for entry in fs::read_dir(path).map_err(RuntimeError::io(path, "list it"))? {
            let file = entry.map_err(RuntimeError::io(path, "list it"))?.path();
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if (name.ends_with(".jsonl") || name.ends_with(".jsonl.gz")) && file.is_file() {
                inside.push(file);
            }
        }
        if inside.is_empty() {
            return Err(RuntimeError::NotARecording {
                path: path.clone(),
                problem: "no recording in this folder",
                remedy: "name a folder with .jsonl or .jsonl.gz files, or one that `collect` wrote with table raw",
            });
        }
        inside.sort();
        all.append(&mut inside);
    }
    Ok(all)
}

pub(super) fn size(path: &Path) -> Result<u64, RuntimeError> {
    Ok(fs::metadata(path).map_err(RuntimeError::io(path, "open it"))?.len())
}

/// The first bytes tell whether it is gzip: names lie more often.
pub(super) fn open(path: &Path, count: &ByteCount) -> Result<OpenFile, RuntimeError> {
    let file = File::open(path).map_err(RuntimeError::io(path, "open it"))?;
    let mut plain = BufReader::with_capacity(BUFFER, Counted { file, count: count.clone() });
    let gzip = plain.fill_buf().map_err(RuntimeError::io(path, "read it"))?.starts_with(&GZIP_MAGIC);
    Ok(if gzip { Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(plain))) } else { Box::new(plain) })
}
