//! Names and folders. Every name is ours: a table, an exchange of a closed set, a date, a number.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use xtrader_core::table::Table;

use crate::error::RuntimeError;

pub(super) fn table(root: &Path, table: Table) -> PathBuf {
    root.join(table.name())
}

pub(super) fn partition(root: &Path, of: Table, exchange: &'static str, day: i64) -> PathBuf {
    table(root, of).join(format!("exchange={exchange}")).join(format!("date={}", date(day)))
}

pub(super) fn part(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("part-{number:05}.parquet"))
}

/// Where a part is until it is complete: beside its final name, and hidden from everything that reads folders.
pub(super) fn temporary(part: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(part.file_name().unwrap_or_default());
    name.push(".tmp");
    part.with_file_name(name)
}

/// The number behind the last part of a partition.
pub(super) fn next_number(folder: &Path) -> Result<u32, RuntimeError> {
    let mut next = 0;
    for entry in fs::read_dir(folder).map_err(RuntimeError::io(folder, "list it"))? {
        let name = entry.map_err(RuntimeError::io(folder, "list it"))?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("part-")?.strip_suffix(".parquet")?.parse().ok());
        next = next.max(number.map_or(0, |number: u32| number.saturating_add(1)));
    }
    Ok(next)
}

/// Some part of a table, if there is one.
pub(super) fn any_part(folder: &Path) -> Result<Option<PathBuf>, RuntimeError> {
    if !folder.exists() {
        return Ok(None);
    }
    for entry in fs::read_dir(folder).map_err(RuntimeError::io(folder, "list it"))? {
        let entry = entry.map_err(RuntimeError::io(folder, "list it"))?;
        let path = entry.path();
        if path.is_dir() {
            if let Some(part) = any_part(&path)? {
                return Ok(Some(part));
            }
        } else if entry.file_name().to_str().is_some_and(|name| name.starts_with("part-") && name.ends_with(".parquet"))
        {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Holds the folder for one writer, until the handle is closed. The lock is on the folder itself and leaves nothing in it.
pub(super) fn lock(root: &Path) -> Result<File, RuntimeError> {
    let folder = File::open(root).map_err(RuntimeError::io(root, "open it"))?;
    match folder.try_lock() {
        Ok(()) => Ok(folder),
        Err(TryLockError::WouldBlock) => Err(RuntimeError::Busy { path: root.to_owned() }),
        Err(TryLockError::Error(source)) => Err(RuntimeError::io(root, "lock it")(source)),
    }
}

/// Makes names in a folder survive power loss, and the folder's own name in the ones above it, up to `root`.
pub(super) fn sync(folder: &Path, root: &Path) -> Result<(), RuntimeError> {
    for above in folder.ancestors().take_while(|above| above.starts_with(root)) {
        let open = File::open(above).map_err(RuntimeError::io(above, "open it"))?;
        open.sync_all().map_err(RuntimeError::io(above, "sync it"))?;
    }
    Ok(())
}

/// A day since 1970-01-01 as `YYYY-MM-DD` (days to civil, proleptic Gregorian; years begin in March inside).
fn date(day: i64) -> String {
    let shifted = day + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{of_month:02}", year_of_era + era * 400 + next_year)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A calendar that counts day by day is the oracle, over every day that an `i64` of nanoseconds can name.
    #[test]
    fn dates_are_those_of_the_calendar() {
        let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        let (mut year, mut month, mut of_month) = (1970, 1, 1);
        for day in 0..=106_751 {
            assert_eq!(date(day), format!("{year:04}-{month:02}-{of_month:02}"));
            let length = match month {
                2 if leap(year) => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            (month, of_month) = if of_month < length { (month, of_month + 1) } else { (month + 1, 1) };
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
        assert_eq!((date(-1), date(-106_751)), ("1969-12-31".to_owned(), "1677-09-22".to_owned()));
    }
}
