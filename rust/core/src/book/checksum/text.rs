//! The text under a checksum.

use crc32fast::Hasher;

use crate::decimal::Decimal;

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

/// The text of a level of usual numbers.
#[derive(Clone, Debug)]
pub(super) struct Line {
    bytes: [u8; ROOM],
    len: usize,
}

impl Line {
    /// `price:size`, each the shortest text of its number, or the one with so many fraction digits, if these are more.
    /// `None` where a number is too long.
    pub(super) fn new(price: Decimal, size: Decimal, digits: (u8, u8)) -> Option<Self> {
        let mut line = Self { bytes: [0; ROOM], len: 0 };
        line.number(price, digits.0)?;
        line.push(b':');
        line.number(size, digits.1)?;
        Some(line)
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    /// All pieces are copied at a fixed length, and only their ends are counted: the lengths of numbers follow no pattern
    /// that could be foretold.
    fn number(&mut self, number: Decimal, fraction_digits: u8) -> Option<()> {
        let scale = usize::from(number.scale);
        let mantissa = u64::try_from(number.mantissa).ok().filter(|mantissa| *mantissa < TOO_LONG)?;
        if scale >= DIGITS || usize::from(fraction_digits) >= DIGITS || self.len + NUMBER > ROOM {
            return None;
        }
        let values = u128::from(eight_digits(mantissa / 100_000_000))
            | u128::from(eight_digits(mantissa % 100_000_000)) << (8 * DIGITS / 2);
        // The first digit lies lowest, and eight zero bits are a zero.
        let (leading, trailing) = (values.trailing_zeros() / 8, values.leading_zeros() / 8);
        let mut digits = [b'0'; 2 * DIGITS];
        digits[..DIGITS].copy_from_slice(&(values | ASCII_ZEROS).to_le_bytes());
        let point = DIGITS - scale;
        // One digit at least stands before the point.
        let first = (leading as usize).min(point - 1);
        let fraction = scale.saturating_sub(trailing as usize).max(usize::from(fraction_digits));
        self.copy(&digits, first, point - first);
        if fraction > 0 {
            self.push(b'.');
            // What stands behind the digits are zeros.
            self.copy(&digits, point, fraction);
        }
        Some(())
    }

    /// Copies more than `len` bytes, which are overwritten by what follows.
    fn copy(&mut self, digits: &[u8; 2 * DIGITS], from: usize, len: usize) {
        self.bytes[self.len..self.len + DIGITS].copy_from_slice(&digits[from..from + DIGITS]);
        self.len += len;
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

/// Bytes that go into the hash at once: it takes large pieces better than small ones.
const PIECE: usize = 2048;

/// Lines with colons between them, on their way into the hash.
pub(super) struct Text {
    hash: Hasher,
    buffer: [u8; PIECE],
    len: usize,
    is_empty: bool,
}

impl Text {
    pub(super) fn new() -> Self {
        Self { hash: Hasher::new(), buffer: [0; PIECE], len: 0, is_empty: true }
    }

    pub(super) fn line(&mut self, line: &Line) {
        self.separate();
        // At one of two fixed lengths; what stands behind the end is overwritten by what follows.
        if line.len <= USUAL {
            self.buffer[self.len..self.len + USUAL].copy_from_slice(&line.bytes[..USUAL]);
        } else {
            self.buffer[self.len..self.len + ROOM].copy_from_slice(&line.bytes);
        }
        self.len += line.len;
    }

    /// As [`Line::new`] and [`Self::line`], for any numbers.
    #[cold]
    pub(super) fn odd_line(&mut self, price: Decimal, size: Decimal, digits: (u8, u8)) {
        self.separate();
        self.flush();
        let texts = [odd_number(price, digits.0), odd_number(size, digits.1)];
        self.hash.update(texts.join(":").as_bytes());
    }

    /// Makes room, and puts a colon behind the line before.
    fn separate(&mut self) {
        if self.len + 1 + ROOM > PIECE {
            self.flush();
        }
        if !std::mem::take(&mut self.is_empty) {
            self.buffer[self.len] = b':';
            self.len += 1;
        }
    }

    fn flush(&mut self) {
        self.hash.update(&self.buffer[..self.len]);
        self.len = 0;
    }

    pub(super) fn finish(mut self) -> i32 {
        self.flush();
        self.hash.finalize().cast_signed()
    }
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
        std::str::from_utf8(&line.bytes[..line.len]).expect("digits")
    }

    proptest! {
        #[test]
        fn usual_numbers_are_written_like_any_others(
            price: u64, size: u64, digits in (0u32..17, 0u32..17), zeros in 0u32..8, scales in (0u8..17, 0u8..17),
            padding in prop_oneof![Just((0u8, 0u8)), (0u8..17, 0u8..17)],
        ) {
            let number = |mantissa: u64, digits: u32, scale: u8| {
                let mantissa = mantissa % 10u64.pow(digits);
                Decimal::new(i128::from(mantissa - mantissa % 10u64.pow(zeros.min(digits))), scale)
            };
            let (price, size) = (number(price, digits.0, scales.0), number(size, digits.1, scales.1));
            let expected = [odd_number(price, padding.0), odd_number(size, padding.1)].join(":");
            let line = Line::new(price, size, padding);
            let has_too_many = scales.0.max(scales.1).max(padding.0).max(padding.1) >= 16;
            prop_assert!(line.is_some() || has_too_many || expected.len() > 30, "{}", expected);
            if let Some(line) = line {
                prop_assert_eq!(text_of(&line), expected);
            }
        }

        #[test]
        fn many_lines_of_both_kinds(lines in proptest::collection::vec((0i128..1 << 70, 0i128..10_000_000, 0u8..9), 0..150)) {
            let mut text = Text::new();
            let mut expected = Vec::new();
            for (price, size, scale) in lines {
                let (price, size) = (Decimal::new(price, scale), Decimal::new(size, scale));
                match Line::new(price, size, (0, 0)) {
                    Some(line) => text.line(&line),
                    None => text.odd_line(price, size, (0, 0)),
                }
                expected.push(format!("{}:{}", price.trimmed(), size.trimmed()));
            }
            prop_assert_eq!(text.finish(), crc32fast::hash(expected.join(":").as_bytes()).cast_signed());
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
        let line = Line::new(Decimal::new(84770, 1), Decimal::new(0, 3), (1, 2)).expect("usual numbers");
        assert_eq!(text_of(&line), "8477.0:0.00");
    }
}
