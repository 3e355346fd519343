//! An order book, plain on purpose: it is what everything else is judged by.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Which side of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Who wants to buy.
    Bid,
    /// Who wants to sell.
    Ask,
}

impl Side {
    pub(crate) fn opposite(self) -> Self {
        match self {
            Self::Bid => Self::Ask,
            Self::Ask => Self::Bid,
        }
    }

    /// The direction in which this side's prices get better.
    pub(crate) fn better(self) -> i64 {
        match self {
            Self::Bid => 1,
            Self::Ask => -1,
        }
    }
}

/// Price levels of one symbol. Prices and sizes are mantissas at the symbol's scales.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

impl Book {
    fn side(&self, side: Side) -> &BTreeMap<i64, i64> {
        match side {
            Side::Bid => &self.bids,
            Side::Ask => &self.asks,
        }
    }

    /// Sets the size at a price; 0 deletes.
    pub fn set(&mut self, side: Side, price: i64, size: i64) {
        let levels = match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        };
        if size == 0 {
            levels.remove(&price);
        } else {
            levels.insert(price, size);
        }
    }

    /// The size at a price; 0 where there is no level.
    #[must_use]
    pub fn size_at(&self, side: Side, price: i64) -> i64 {
        self.side(side).get(&price).copied().unwrap_or(0)
    }

    /// Number of levels of a side.
    #[must_use]
    pub fn len(&self, side: Side) -> usize {
        self.side(side).len()
    }

    /// Best price and its size.
    #[must_use]
    pub fn best(&self, side: Side) -> Option<(i64, i64)> {
        self.levels(side).next()
    }

    /// Worst price and its size.
    #[must_use]
    pub fn worst(&self, side: Side) -> Option<(i64, i64)> {
        match side {
            Side::Bid => self.bids.first_key_value(),
            Side::Ask => self.asks.last_key_value(),
        }
        .map(|(p, s)| (*p, *s))
    }

    /// Levels of a side, best first.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = (i64, i64)> + '_ {
        let (bids, asks) = match side {
            Side::Bid => (Some(self.bids.iter().rev()), None),
            Side::Ask => (None, Some(self.asks.iter())),
        };
        bids.into_iter().flatten().chain(asks.into_iter().flatten()).map(|(p, s)| (*p, *s))
    }

    /// The best `levels` of each side.
    #[must_use]
    pub fn cut(&self, levels: usize) -> Self {
        Self {
            bids: self.levels(Side::Bid).take(levels).collect(),
            asks: self.levels(Side::Ask).take(levels).collect(),
        }
    }

    /// True when the best bid is not below the best offer.
    #[cfg(test)]
    pub(crate) fn is_crossed(&self) -> bool {
        matches!((self.best(Side::Bid), self.best(Side::Ask)), (Some(b), Some(a)) if b.0 >= a.0)
    }
}

/// Fraction digits with which a symbol's prices and sizes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Scales {
    /// Fraction digits of prices.
    pub price: u8,
    /// Fraction digits of sizes.
    pub size: u8,
}

/// Appends `mantissa × 10^-scale` with exactly `scale` fraction digits.
pub(crate) fn push_decimal(out: &mut String, mantissa: i64, scale: u8) {
    use std::fmt::Write;
    let scale = usize::from(scale);
    let digits = mantissa.unsigned_abs();
    if mantissa < 0 {
        out.push('-');
    }
    let by = 10u64.checked_pow(u32::try_from(scale).unwrap_or(u32::MAX));
    let _ = match by {
        Some(1) | None => write!(out, "{digits}"),
        Some(by) => write!(out, "{}.{:0scale$}", digits / by, digits % by),
    };
}

/// Appends `mantissa × 10^-scale` without zeros at the end.
pub(crate) fn push_plain(out: &mut String, mut mantissa: i64, mut scale: u8) {
    while scale > 0 && mantissa % 10 == 0 {
        mantissa /= 10;
        scale -= 1;
    }
    push_decimal(out, mantissa, scale);
}

pub(crate) fn plain_text(mantissa: i64, scale: u8) -> String {
    let mut out = String::new();
    push_plain(&mut out, mantissa, scale);
    out
}

pub(crate) fn decimal_text(mantissa: i64, scale: u8) -> String {
    let mut out = String::new();
    push_decimal(&mut out, mantissa, scale);
    out
}

/// Reads plain digits with at most one point; `None` for anything else or beyond an `i64`.
pub(crate) fn parse_decimal(text: &str) -> Option<(i64, u8)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) || fraction.len() > 18 {
        return None;
    }
    Some((format!("{whole}{fraction}").parse().ok()?, u8::try_from(fraction.len()).ok()?))
}

/// The mantissa at a scale; `None` where digits would be lost.
pub(crate) fn rescale((mantissa, from): (i64, u8), to: u8) -> Option<i64> {
    let by = 10i64.checked_pow(u32::from(from.abs_diff(to)))?;
    if to >= from { mantissa.checked_mul(by) } else { (mantissa % by == 0).then(|| mantissa / by) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_come_best_first_and_zero_deletes() {
        let mut book = Book::default();
        for (side, price, size) in [(Side::Bid, 99, 1), (Side::Bid, 98, 2), (Side::Ask, 101, 3), (Side::Ask, 102, 4)] {
            book.set(side, price, size);
        }
        assert_eq!(book.levels(Side::Bid).collect::<Vec<_>>(), [(99, 1), (98, 2)]);
        assert_eq!(book.levels(Side::Ask).collect::<Vec<_>>(), [(101, 3), (102, 4)]);
        assert_eq!((book.worst(Side::Bid), book.worst(Side::Ask)), (Some((98, 2)), Some((102, 4))));
        assert_eq!(book.cut(1).len(Side::Ask), 1);
        book.set(Side::Bid, 99, 0);
        assert_eq!(book.best(Side::Bid), Some((98, 2)));
        assert!(!book.is_crossed());
        book.set(Side::Bid, 101, 1);
        assert!(book.is_crossed());
    }

    #[test]
    fn decimals_keep_their_fraction_digits() {
        assert_eq!(decimal_text(7_691_600, 2), "76916.00");
        assert_eq!(decimal_text(5, 3), "0.005");
        assert_eq!(decimal_text(0, 2), "0.00");
        assert_eq!(decimal_text(42, 0), "42");
        assert_eq!(decimal_text(-15, 1), "-1.5");
        assert_eq!(
            (plain_text(7_691_600, 2), plain_text(100, 2), plain_text(0, 3)),
            ("76916".into(), "1".into(), "0".into())
        );
        assert_eq!(plain_text(50, 3), "0.05");
        assert_eq!(parse_decimal("76916.00"), Some((7_691_600, 2)));
        assert_eq!(parse_decimal("1e5"), None);
        assert_eq!(parse_decimal(""), None);
        assert_eq!(rescale((15, 1), 3), Some(1500));
        assert_eq!(rescale((150, 2), 1), Some(15));
        assert_eq!(rescale((155, 2), 1), None);
    }
}
