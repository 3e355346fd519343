//! Which recordings there are: whose each is, when it begins, and in which order they were made.

use std::path::{Path, PathBuf};

use xtrader_core::symbol::Venue;

use super::origin;
use crate::capture::{self, CaptureReader};
use crate::error::RuntimeError;

/// Lines of a recording in which its first receive time is looked for: it need not be on the first.
const LOOK: usize = 1000;

/// A recording, as its first lines tell of it.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) path: PathBuf,
    pub(super) venue: Venue,
    /// The first receive time, where there is one.
    pub(super) begins: Option<i64>,
    /// Where it stands among those of its venue.
    place: i64,
}

/// The recordings below `paths`: one venue after the other, each in the order of time. One without times stays behind
/// the one that it was named after. Empty ones are left out.
///
/// # Errors
/// A path that cannot be read, or a recording whose venue cannot be told.
pub(super) fn find(paths: &[PathBuf], given: Option<Venue>) -> Result<Vec<Recording>, RuntimeError> {
    let paths = capture::expand(paths)?;
    let mut found: Vec<Recording> = Vec::with_capacity(paths.len());
    for path in &paths {
        let head = match Head::read(path) {
            // It is reported when its turn comes, behind every row of what came before.
            Err(_) if !found.is_empty() => Head::default(),
            Ok(None) => continue,
            read => read?.unwrap_or_default(),
        };
        let venue = match (origin::venue(path, head.url.as_deref(), given), found.last()) {
            // Of a recorder that cuts its files only the first one says where its connections lead.
            (Err(RuntimeError::UnknownExchange { .. }), Some(before)) => before.venue,
            (told, _) => told?,
        };
        let before = found.last().filter(|before| before.venue == venue);
        let place = head.begins.or(before.map(|before| before.place)).unwrap_or(i64::MIN);
        found.push(Recording { path: path.clone(), venue, begins: head.begins, place });
    }
    if let (true, Some(path)) = (found.is_empty(), paths.first()) {
        let venue = origin::venue(path, None, given)?;
        found.push(Recording { path: path.clone(), venue, begins: None, place: 0 });
    }
    found.sort_by_key(|recording| (recording.venue.id(), recording.place));
    Ok(found)
}

/// What the first lines of a file say.
#[derive(Default)]
struct Head {
    url: Option<String>,
    begins: Option<i64>,
}

impl Head {
    /// `None` of a file without lines.
    fn read(path: &Path) -> Result<Option<Self>, RuntimeError> {
        let mut reader = CaptureReader::open(&[path.to_owned()])?;
        if !reader.advance()? {
            return Ok(None);
        }
        let line = reader.line()?;
        let mut head = Self { url: line.url.map(str::to_owned), begins: line.recv_ns };
        for _ in 1..LOOK {
            // A later line that is damaged is reported in its place.
            if head.begins.is_some() || !matches!(reader.advance(), Ok(true)) {
                break;
            }
            head.begins = reader.line().ok().and_then(|line| line.recv_ns);
        }
        Ok(Some(head))
    }
}
