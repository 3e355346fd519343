//! Which files hold a `raw` table, in the order of their rows.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use xtrader_core::table::Table;

use crate::error::RuntimeError;

/// Is this path of our own making (a Parquet file, or a folder with a table in it), or a foreign recording?
#[must_use]
pub fn is_raw(path: &Path) -> bool {
    if path.is_file() {
        return is_part(path);
    }
    fs::read_dir(path).is_ok_and(|entries| {
        entries.filter_map(Result::ok).any(|entry| {
            let (name, path) = (entry.file_name(), entry.path());
            (path.is_dir() && (name == Table::Raw.name() || is_key(&name))) || (path.is_file() && is_part(&path))
        })
    })
}

/// Every part with its size: paths as given, inside a folder by path.
pub(super) fn expand(paths: &[PathBuf]) -> Result<Vec<(PathBuf, u64)>, RuntimeError> {
    let mut all = Vec::new();
    for path in paths {
        if !path.is_dir() {
            all.push(sized(path.clone())?);
            continue;
        }
        let table = path.join(Table::Raw.name());
        let mut inside = Vec::new();
        walk(if table.is_dir() { &table } else { path }, &mut inside)?;
        if inside.is_empty() {
            return Err(RuntimeError::NotARecording {
                path: path.clone(),
                problem: "no table raw in this folder",
                remedy: "name a folder that `collect` wrote with table raw among its --tables",
            });
        }
        inside.sort();
        for part in inside {
            all.push(sized(part)?);
        }
    }
    Ok(all)
}

fn walk(folder: &Path, parts: &mut Vec<PathBuf>) -> Result<(), RuntimeError> {
    for entry in fs::read_dir(folder).map_err(RuntimeError::io(folder, "list it"))? {
        let entry = entry.map_err(RuntimeError::io(folder, "list it"))?;
        let path = entry.path();
        if path.is_dir() {
            if is_key(&entry.file_name()) {
                walk(&path, parts)?;
            }
        } else if is_part(&path) {
            parts.push(path);
        }
    }
    Ok(())
}

fn sized(path: PathBuf) -> Result<(PathBuf, u64), RuntimeError> {
    let bytes = fs::metadata(&path).map_err(RuntimeError::io(&path, "open it"))?.len();
    Ok((path, bytes))
}

/// Final names only: a file that is being written begins with a dot.
fn is_part(path: &Path) -> bool {
    path.extension() == Some(OsStr::new("parquet"))
        && !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// A folder of a partition, `exchange=…` or `date=…`.
fn is_key(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b"exchange=") || name.starts_with(b"date=")
}
