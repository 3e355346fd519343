//! The text under a checksum.

use super::DEPTH;
use crate::decimal::Decimal;
use crate::event::{Level, Scales};

/// Digits of a mantissa that is written at one go.
const DIGITS: usize = 16;
/// The first mantissa that has more.
const TOO_LONG: u64 = 10_000_000_000_000_000;
/// Room for the text of a level. All but the oddest numbers fit.
const ROOM: usize = 64;
/// Room that most of them need.
const USUAL: usize = 32;
/// What a number may take: its digits, a point, as many zeros again, and what a copy leaves behind its end.
const NUMBER: usize = 2 * DIGITS + 2;

/// The text of a level of usual numbers, `:price:size`.
#[derive(Clone, Debug)]
pub(super) struct Line {
    bytes: [u8; ROOM],
    /// Where the size begins; 0 where the price is too long.
    size_at: usize,
    /// 0 where one of the numbers is too long.
    len: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self { bytes: [0; ROOM], size_at: 0, len: 0 }
    }
}

impl Line {
    /// Copies it to `at`, and says where it ends there; what stands behind that end is overwritten by the next one.
    #[inline]
    fn copy_to(&self, text: &mut [u8], at: usize) -> Option<usize> {
        let room = text.get_mut(at..)?.first_chunk_mut::<ROOM>()?;
        // At one of two fixed lengths.
        if self.len <= USUAL {
            room[..USUAL].copy_from_slice(&self.bytes[..USUAL]);
        } else {
            *room = self.bytes;
        }
        (self.len > 0).then_some(at + self.len)
    }

    /// Writes both numbers, each as the shortest text of it, or the one with so many fraction digits, if these are more.
    pub(super) fn write(&mut self, level: Level, scales: Scales, digits: (u8, u8)) {
        self.bytes[0] = b':';
        self.size_at = match self.number(1, level.price, scales.price, digits.0) {
            Some(end) => {
                self.bytes[end] = b':';
                end + 1
            }
            None => 0,
        };
        self.write_size(level.size, scales.size, digits.1);
    }

    /// Writes another size behind the same price.
    pub(super) fn write_size(&mut self, size: i64, scale: u8, digits: u8) {
        self.len = if self.size_at == 0 { 0 } else { self.number(self.size_at, size, scale, digits).unwrap_or(0) };
    }

    /// Writes a number from `at` on, and says where it ends. The digits are moved in a register, and pieces are stored at a
    /// fixed length, of which only the ends are counted: the lengths of numbers follow no pattern that could be foretold.
    #[inline]
    fn number(&mut self, at: usize, mantissa: i64, scale: u8, fraction_digits: u8) -> Option<usize> {
        let (scale, fraction_digits) = (usize::from(scale), usize::from(fraction_digits));
        let mantissa = u64::try_from(mantissa).ok().filter(|mantissa| *mantissa < TOO_LONG)?;
        let room = self.bytes.get_mut(at..)?.first_chunk_mut::<NUMBER>()?;
        if scale >= DIGITS || fraction_digits >= DIGITS {
            return None;
        }
        let values = u128::from(eight_digits(mantissa / 100_000_000))
            | u128::from(eight_digits(mantissa % 100_000_000)) << (8 * DIGITS / 2);
        // The first digit lies lowest, and eight zero bits are a zero.
        let (leading, trailing) = (values.trailing_zeros() as usize / 8, values.leading_zeros() as usize / 8);
        let point = DIGITS - scale;
        // One digit at least stands before the point.
        let first = leading.min(point - 1);
        let whole = point - first;
        // What stands behind the digits are zeros.
        let behind_point = values.checked_shr(8 * point as u32).unwrap_or(0);
        let fraction = scale.saturating_sub(trailing).max(fraction_digits);
        room[..DIGITS].copy_from_slice(&((values >> (8 * first)) | ASCII_ZEROS).to_le_bytes());
        room[whole] = b'.';
        room[whole + 1..][..DIGITS].copy_from_slice(&(behind_point | ASCII_ZEROS).to_le_bytes());
        Some(at + whole + if fraction > 0 { 1 + fraction } else { 0 })
    }
}

const ASCII_ZEROS: u128 = u128::from_le_bytes([b'0'; DIGITS]);

/// The values of the digits of a number below 10^8, the first one lowest: halves, and halves of these, side by side.
fn eight_digits(number: u64) -> u64 {
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    // 10486 / 2^20 is a hundredth, and 103 / 2^10 a tenth, near enough for so few digits.
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | ((fours - 100 * hundreds) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((twos - 10 * tens) << 8)
}

/// Room for the texts of both sides, and for what a copy leaves behind the last one.
const TEXT: usize = (2 * DEPTH + 1) * ROOM;

/// Where the text under a checksum is put together.
#[derive(Clone, Debug, Default)]
pub(super) struct Text {
    /// Of [`TEXT`] bytes, once there was a text.
    buffer: Vec<u8>,
}

impl Text {
    /// The checksum of bids and offers by turns, colons between them. `None` where one of them is not whole.
    pub(super) fn of<'a>(
        &mut self,
        mut bids: impl ExactSizeIterator<Item = &'a Line>,
        mut asks: impl ExactSizeIterator<Item = &'a Line>,
    ) -> Option<i32> {
        self.buffer.resize(TEXT, 0);
        let mut end = 0;
        for _ in 0..bids.len().max(asks.len()) {
            for line in [bids.next(), asks.next()].into_iter().flatten() {
                end = line.copy_to(&mut self.buffer, end)?;
            }
        }
        // The first one has a colon before it, too.
        let text = self.buffer.get(1..end).unwrap_or_default();
        Some(crc32fast::hash(text).cast_signed())
    }
}

/// As [`Line`], without the colon before it and for any numbers.
pub(super) fn odd_line(price: Decimal, size: Decimal, digits: (u8, u8)) -> String {
    [odd_number(price, digits.0), odd_number(size, digits.1)].join(":")
}

/// The shortest text of a number, or the one with so many fraction digits, if these are more.
fn odd_number(number: Decimal, fraction_digits: u8) -> String {
    let number = number.trimmed();
    let mut text = number.to_string();
    if fraction_digits > number.scale {
        if number.scale == 0 {
            text.push('.');
        }
        text.extend((number.scale..fraction_digits).map(|_| '0'));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text_of(line: &Line) -> &str {
        std::str::from_utf8(&line.bytes[1..line.len]).expect("digits")
    }

    fn text_of_any(level: Level, scales: Scales, digits: (u8, u8)) -> String {
        let number = |mantissa: i64, scale| Decimal::new(mantissa.into(), scale);
        odd_line(number(level.price, scales.price), number(level.size, scales.size), digits)
    }

    proptest! {
        #[test]
        fn usual_numbers_are_written_like_any_others(
            price: u64, size: u64, digits in (0u32..17, 0u32..17), zeros in 0u32..8, scales in (0u8..17, 0u8..17),
            padding in prop_oneof![Just((0u8, 0u8)), (0u8..17, 0u8..17)],
        ) {
            let mantissa = |mantissa: u64, digits: u32| {
                let mantissa = mantissa % 10u64.pow(digits);
                (mantissa - mantissa % 10u64.pow(zeros.min(digits))).cast_signed()
            };
            let level = Level { price: mantissa(price, digits.0), size: mantissa(size, digits.1) };
            let scales = Scales { price: scales.0, size: scales.1 };
            let expected = text_of_any(level, scales, padding);
            let mut line = Line::default();
            line.write(level, scales, padding);
            let has_too_many = scales.price.max(scales.size).max(padding.0).max(padding.1) >= 16;
            prop_assert!((line.len > 0) || has_too_many || expected.len() > 30, "{}", expected);
            if line.len > 0 {
                prop_assert_eq!(text_of(&line), expected);
                line.write_size(7, scales.size, padding.1);
                let expected = text_of_any(Level { size: 7, ..level }, scales, padding);
                prop_assert_eq!(text_of(&line), expected);
            }
        }

        #[test]
        fn sides_by_turns(sides in proptest::array::uniform2(
            proptest::collection::vec((0i64..1 << 40, 0i64..10_000_000), 0..=DEPTH),
        ), scale in 0u8..9, is_too_long: bool) {
            let scales = Scales { price: scale, size: scale };
            let mut expected = Vec::new();
            for n in 0..DEPTH {
                let levels = sides.iter().filter_map(|side| side.get(n));
                expected.extend(levels.map(|&(price, size)| text_of_any(Level { price, size }, scales, (0, 0))));
            }
            let mut sides = sides.map(|side| {
                let levels = side.into_iter().map(|(price, size)| {
                    let mut line = Line::default();
                    line.write(Level { price, size }, scales, (0, 0));
                    line
                });
                levels.collect::<Vec<_>>()
            });
            let [bids, asks] = &sides;
            let found = Text::default().of(bids.iter(), asks.iter());
            prop_assert_eq!(found, Some(crc32fast::hash(expected.join(":").as_bytes()).cast_signed()));
            if let (true, Some(line)) = (is_too_long, sides[0].last_mut()) {
                line.write(Level { price: i64::MAX, size: 1 }, scales, (0, 0));
                let [bids, asks] = &sides;
                prop_assert_eq!(Text::default().of(bids.iter(), asks.iter()), None);
            }
        }
    }

    #[test]
    fn every_pair_of_four_digits() {
        for number in 0..10_000u64 {
            let text = format!("{number:04}{:04}", 9_999 - number);
            let values = eight_digits(text.parse().expect("digits")) | 0x3030_3030_3030_3030;
            assert_eq!(values.to_le_bytes(), text.as_bytes());
        }
    }

    #[test]
    fn texts_with_trailing_zeros() {
        let text = |mantissa, scale, digits| odd_number(Decimal::new(mantissa, scale), digits);
        assert_eq!(text(84770, 1, 1), "8477.0");
        assert_eq!(text(5, 1, 3), "0.500");
        assert_eq!(text(0, 0, 2), "0.00");
        assert_eq!(text(0, 3, 0), "0");
        assert_eq!(text(10i128.pow(25), 5, 2), "100000000000000000000.00");
        let mut line = Line::default();
        line.write(Level { price: 84770, size: 0 }, Scales { price: 1, size: 3 }, (1, 2));
        assert_eq!(text_of(&line), "8477.0:0.00");
    }
}
