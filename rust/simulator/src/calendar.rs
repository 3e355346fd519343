//! Dates, as the names of instruments have them.

/// Midnight of a day in UTC, ms since the epoch.
pub(crate) fn utc_ms(year: i64, month: i64, day: i64) -> i64 {
    // Days from civil (Hinnant): years begin in March.
    let (y, m) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let days = of_era * 365 + of_era / 4 - of_era / 100 + (153 * m + 2) / 5 + day - 1;
    (era * 146_097 + days - 719_468) * 86_400_000
}

/// `261225` is 2026-12-25 08:00 UTC, when exchanges deliver; ms since the epoch.
pub(crate) fn delivery_ms(yymmdd: &str) -> Option<i64> {
    if yymmdd.len() != 6 || !yymmdd.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = |i: usize| yymmdd.get(i..i + 2)?.parse::<i64>().ok();
    let (year, month, day) = (2000 + part(0)?, part(2)?, part(4)?);
    let real = (1..=12).contains(&month) && (1..=31).contains(&day);
    real.then(|| utc_ms(year, month, day) + 8 * 3_600_000)
}

#[cfg(test)]
mod tests {
    use super::delivery_ms;

    #[test]
    fn deliveries_are_at_eight() {
        assert_eq!(delivery_ms("261225"), Some(1_798_185_600_000));
        assert_eq!(delivery_ms("240229"), Some(1_709_193_600_000));
        assert_eq!((delivery_ms("261325"), delivery_ms("SWAP"), delivery_ms("2612")), (None, None, None));
    }
}
