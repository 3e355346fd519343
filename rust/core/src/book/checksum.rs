//! The checksum of a book: CRC32 of its best levels, over the texts that the exchange sent (OKX until 2026-06).
//!
//! A book keeps numbers, not texts, so the shortest text of a number is taken for the one that was sent. Where it was
//! not (`8477.0`), decoding says so ([`DecodedLevels::padded`]) and the level's digits are remembered here.

mod side;
mod text;

use hashbrown::HashMap;

use super::ladder::Ladder;
use super::{OrderBook, Shape};
use crate::decimal::Decimal;
use crate::event::{DecodedLevels, Level, PaddedLevel, Scales};
use side::Side;
use text::{Text, odd_line};

/// Levels of each side that the checksum covers.
const DEPTH: usize = 25;

/// Fraction digits of price and size, of the levels whose texts are not the shortest: by side and price.
type Padded = HashMap<(bool, i128, u8), (u8, u8)>;

/// What a book's checksum needs to know beside the book.
#[derive(Clone, Debug, Default)]
pub struct Checksum {
    padded: Padded,
    bids: Side,
    asks: Side,
    /// Of what the sides hold.
    scales: Scales,
    text: Text,
}

impl Checksum {
    /// The book was emptied; a snapshot does that too, before it is noted.
    pub fn clear(&mut self) {
        self.padded.clear();
    }

    /// Notes how the levels of a message were written, which are applied to the book.
    pub fn note(&mut self, levels: &DecodedLevels) {
        if self.padded.is_empty() && levels.padded.is_empty() {
            return;
        }
        let scales = levels.scales();
        match &levels.wide {
            Some(wide) => {
                self.note_side(true, wide.bids.iter().copied(), scales, &levels.padded);
                self.note_side(false, wide.asks.iter().copied(), scales, &levels.padded);
            }
            None => {
                self.note_side(true, levels.narrow.bids.iter().copied().map(super::wide), scales, &levels.padded);
                self.note_side(false, levels.narrow.asks.iter().copied().map(super::wide), scales, &levels.padded);
            }
        }
    }

    fn note_side(
        &mut self,
        is_bid: bool,
        levels: impl Iterator<Item = Level<i128>>,
        scales: Scales,
        padded: &[PaddedLevel],
    ) {
        let mut padded = padded.iter().filter(|level| level.is_bid == is_bid).peekable();
        for (index, level) in (0u32..).zip(levels) {
            let price = key(is_bid, Decimal::new(level.price, scales.price));
            match padded.next_if(|padded| padded.index == index) {
                Some(written) if level.size != 0 => {
                    self.padded.insert(price, (written.price_digits, written.size_digits));
                }
                _ => {
                    self.padded.remove(&price);
                }
            }
        }
    }

    /// The checksum of `book`: its best bids and offers by turns, as `price:size:price:size…`; where one side is
    /// shorter the other goes on alone. Nothing is allocated for a book of usual numbers.
    #[must_use]
    pub fn of(&mut self, book: &OrderBook) -> i32 {
        let usual = match &book.shape {
            Shape::Ladder(ladder) => self.of_ladder(ladder),
            Shape::Tree(_) => None,
        };
        usual.unwrap_or_else(|| self.of_any(book))
    }

    /// `None` where a number is none of the usual.
    fn of_ladder(&mut self, ladder: &Ladder) -> Option<i32> {
        let Self { padded, bids, asks, text, .. } = self;
        let scales = ladder.scales();
        if self.scales != scales {
            self.scales = scales;
            bids.clear();
            asks.clear();
        }
        ladder.copy_best(DEPTH, &mut bids.best, &mut asks.best);
        bids.follow(scales, |a, b| a > b, |price| digits(padded, true, Decimal::new(price.into(), scales.price)));
        asks.follow(scales, |a, b| a < b, |price| digits(padded, false, Decimal::new(price.into(), scales.price)));
        text.of(bids.lines(), asks.lines())
    }

    /// As [`Self::of`], for any numbers, and all written anew.
    #[cold]
    fn of_any(&self, book: &OrderBook) -> i32 {
        let line = |is_bid, (price, size)| odd_line(price, size, digits(&self.padded, is_bid, price));
        let (mut bids, mut asks) = (book.bids().take(DEPTH), book.asks().take(DEPTH));
        let turns = (0..DEPTH)
            .flat_map(|_| [bids.next().map(|level| line(true, level)), asks.next().map(|level| line(false, level))]);
        let lines: Vec<String> = turns.flatten().collect();
        crc32fast::hash(lines.join(":").as_bytes()).cast_signed()
    }
}

/// How many fraction digits price and size of a level were written with, where that is not the shortest text.
#[inline]
fn digits(padded: &Padded, is_bid: bool, price: Decimal) -> (u8, u8) {
    if padded.is_empty() { (0, 0) } else { padded.get(&key(is_bid, price)).copied().unwrap_or_default() }
}

fn key(is_bid: bool, price: Decimal) -> (bool, i128, u8) {
    let price = price.trimmed();
    (is_bid, price.mantissa, price.scale)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn crc(text: &str) -> i32 {
        crc32fast::hash(text.as_bytes()).cast_signed()
    }

    #[test]
    fn sides_take_turns_and_the_longer_one_goes_on_alone() {
        let level = |price, size| Level { price, size };
        let mut levels = DecodedLevels::default();
        levels.narrow.scales = Scales { price: 1, size: 0 };
        levels.narrow.bids = vec![level(33661, 7), level(33660, 8)];
        levels.narrow.asks = vec![level(33665, 2)];
        let mut book = OrderBook::new();
        book.replace(&levels).expect("small numbers");
        assert_eq!(Checksum::default().of(&book), crc("3366.1:7:3366.5:2:3366:8"));
        assert_eq!(Checksum::default().of(&OrderBook::new()), crc(""));

        let mut checksum = Checksum::default();
        let written = PaddedLevel { is_bid: true, index: 1, price_digits: 2, size_digits: 0 };
        levels.padded.push(written);
        checksum.note(&levels);
        assert_eq!(checksum.of(&book), crc("3366.1:7:3366.5:2:3366.00:8"));
        levels.padded.clear();
        checksum.note(&levels);
        assert_eq!(checksum.of(&book), crc("3366.1:7:3366.5:2:3366:8"), "written anew, and the shortest way");
    }

    proptest! {
        #[test]
        fn what_was_written_before_makes_no_difference(
            messages in proptest::collection::vec(
                (proptest::collection::vec((0i64..70, 0i64..4, 0u8..4), 0..12), any::<bool>(), 0u8..12, 0u8..3),
                0..40,
            ),
        ) {
            let (mut book, mut checksum) = (OrderBook::new(), Checksum::default());
            for (levels, is_bid, kind, scale) in messages {
                let mut message = DecodedLevels::default();
                // Now and then finer than before.
                message.narrow.scales = Scales { price: scale, size: 2 - scale };
                let side: Vec<Level> = levels.iter().map(|(price, size, _)| Level { price: *price, size: *size }).collect();
                message.padded = (0u32..)
                    .zip(&levels)
                    .filter(|(_, (.., digits))| *digits == 3)
                    .map(|(index, _)| PaddedLevel { is_bid, index, price_digits: 3, size_digits: 0 })
                    .collect();
                *(if is_bid { &mut message.narrow.bids } else { &mut message.narrow.asks }) = side;
                if kind == 0 {
                    checksum.clear();
                    book.replace(&message).expect("small numbers");
                } else {
                    book.apply(&message).expect("small numbers");
                }
                checksum.note(&message);
                let mut fresh = Checksum { padded: checksum.padded.clone(), ..Checksum::default() };
                prop_assert_eq!(checksum.of(&book), fresh.of(&book));
                prop_assert_eq!(checksum.of(&book), fresh.of_any(&book));
            }
        }
    }

    #[test]
    fn only_the_best_levels_count() {
        let mut levels = DecodedLevels::default();
        levels.narrow.asks = (1..=40).map(|price| Level { price, size: 1 }).collect();
        let mut book = OrderBook::new();
        book.replace(&levels).expect("small numbers");
        let texts: Vec<String> = (1..=25).map(|price| format!("{price}:1")).collect();
        assert_eq!(Checksum::default().of(&book), crc(&texts.join(":")));
    }
}
