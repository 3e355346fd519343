//! The checksum of a book: CRC32 of its best levels, over the texts that the exchange sent (OKX until 2026-06).
//!
//! A book keeps numbers, not texts, so the shortest text of a number is taken for the one that was sent. Where it was
//! not (`8477.0`), decoding says so ([`DecodedLevels::padded`]) and the level's digits are remembered here.

use crc32fast::Hasher;
use hashbrown::HashMap;

use super::OrderBook;
use crate::decimal::Decimal;
use crate::event::{DecodedLevels, Level, PaddedLevel, Scales};

/// Levels of each side that the checksum covers.
const DEPTH: usize = 25;

/// What a book's checksum needs to know beside the book.
#[derive(Clone, Debug, Default)]
pub struct Checksum {
    /// Fraction digits of price and size, of the levels whose texts are not the shortest: by side and price.
    padded: HashMap<(bool, i128, u8), (u8, u8)>,
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
    /// shorter the other goes on alone. Nothing is allocated for a book of `i64` mantissas.
    #[must_use]
    pub fn of(&self, book: &OrderBook) -> i32 {
        let mut text = Text { hash: Hasher::new(), buffer: [0; BUFFER], len: 0 };
        let (mut bids, mut asks) = (book.bids().take(DEPTH).fuse(), book.asks().take(DEPTH).fuse());
        let mut is_first = true;
        loop {
            let (bid, ask) = (bids.next(), asks.next());
            if bid.is_none() && ask.is_none() {
                return text.finish();
            }
            for (is_bid, level) in [(true, bid), (false, ask)] {
                let Some((price, size)) = level else { continue };
                let written = if self.padded.is_empty() { None } else { self.padded.get(&key(is_bid, price)) };
                let (price_digits, size_digits) = written.copied().unwrap_or_default();
                if !std::mem::take(&mut is_first) {
                    text.push(b':');
                }
                text.number(price, price_digits);
                text.push(b':');
                text.number(size, size_digits);
            }
        }
    }
}

fn key(is_bid: bool, price: Decimal) -> (bool, i128, u8) {
    let price = price.trimmed();
    (is_bid, price.mantissa, price.scale)
}

const BUFFER: usize = 1024;

/// Text on its way into the hash, which takes large pieces better than small ones.
struct Text {
    hash: Hasher,
    buffer: [u8; BUFFER],
    len: usize,
}

impl Text {
    fn push(&mut self, byte: u8) {
        if self.len == BUFFER {
            self.hash.update(&self.buffer);
            self.len = 0;
        }
        self.buffer[self.len] = byte;
        self.len += 1;
    }

    fn finish(mut self) -> i32 {
        self.hash.update(&self.buffer[..self.len]);
        self.hash.finalize().cast_signed()
    }

    /// The shortest text of a number, or the one with so many fraction digits, if these are more.
    fn number(&mut self, number: Decimal, fraction_digits: u8) {
        let scale = match u64::try_from(number.mantissa) {
            Ok(mantissa) => self.narrow(mantissa, number.scale),
            Err(_) => {
                let number = number.trimmed();
                number.to_string().bytes().for_each(|byte| self.push(byte));
                number.scale
            }
        };
        if fraction_digits > scale {
            if scale == 0 {
                self.push(b'.');
            }
            (scale..fraction_digits).for_each(|_| self.push(b'0'));
        }
    }

    /// Says how many fraction digits were written.
    fn narrow(&mut self, mut mantissa: u64, mut scale: u8) -> u8 {
        while scale > 0 && mantissa.is_multiple_of(10) {
            mantissa /= 10;
            scale -= 1;
        }
        let mut digits = [0u8; 20];
        let mut at = digits.len();
        while mantissa > 0 {
            at -= 1;
            digits[at] = b'0' + (mantissa % 10) as u8;
            mantissa /= 10;
        }
        let written = digits.len() - at;
        let fraction = usize::from(scale);
        if written <= fraction {
            self.push(b'0');
        }
        if fraction > written {
            self.push(b'.');
            (written..fraction).for_each(|_| self.push(b'0'));
        }
        for (i, digit) in digits[at..].iter().enumerate() {
            if written - i == fraction {
                self.push(b'.');
            }
            self.push(*digit);
        }
        scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text_of(mantissa: i128, scale: u8, fraction_digits: u8) -> i32 {
        let mut text = Text { hash: Hasher::new(), buffer: [0; BUFFER], len: 0 };
        text.number(Decimal::new(mantissa, scale), fraction_digits);
        text.finish()
    }

    fn crc(text: &str) -> i32 {
        crc32fast::hash(text.as_bytes()).cast_signed()
    }

    proptest! {
        #[test]
        fn numbers_are_written_as_a_decimal_writes_itself(mantissa: u64, small in 0u64..100_000, scale in 0u8..30) {
            for mantissa in [mantissa, small] {
                let number = Decimal::new(i128::from(mantissa), scale);
                let expected = number.trimmed().to_string();
                prop_assert_eq!(text_of(i128::from(mantissa), scale, 0), crc(&expected), "{}", expected);
            }
        }
    }

    #[test]
    fn texts_with_trailing_zeros() {
        assert_eq!(text_of(84770, 1, 1), crc("8477.0"));
        assert_eq!(text_of(5, 1, 3), crc("0.500"));
        assert_eq!(text_of(0, 0, 2), crc("0.00"));
        assert_eq!(text_of(10i128.pow(25), 5, 2), crc("100000000000000000000.00"));
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
