//! Columns out of rows, a block of rows at a time.

use std::sync::Arc;

use arrow_array::types::{ArrowPrimitiveType, Int8Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt64Type};
use arrow_array::{ArrayRef, BooleanArray, DictionaryArray, PrimitiveArray, StringArray, TimestampNanosecondArray};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use crate::symbol::Exchange;
use crate::table::{
    Condition, ConnState, GapCause, GapEvidence, GapScope, GapUnit, InputKind, InstrumentKind, OptionType, Repaired,
    Side, Source, StampSource, Status, Table,
};

use super::schema::{BOOK_SIDES, UTC};
use super::symbols::{PADDED, SymbolText};

/// Rows in a block: one word of validity bits, and few enough to stay in the nearest cache while every column reads
/// them.
pub(super) const BLOCK: usize = u64::BITS as usize;

/// An integer type and the array that holds it.
pub(super) trait Integer: ArrowNativeType {
    type Arrow: ArrowPrimitiveType<Native = Self>;
}

macro_rules! integers {
    ($($native:ty => $arrow:ty),+ $(,)?) => {
        $(impl Integer for $native { type Arrow = $arrow; })+
    };
}

integers! {
    i8 => Int8Type, i32 => Int32Type, i64 => Int64Type, u8 => UInt8Type, u16 => UInt16Type, u64 => UInt64Type,
}

/// A column without nulls.
pub(super) struct Plain<T>(Vec<T>);

impl<T> Plain<T> {
    pub(super) fn new(rows: usize) -> Self {
        Self(Vec::with_capacity(rows))
    }

    #[inline]
    pub(super) fn extend<R>(&mut self, block: &[R], value: impl Fn(&R) -> T) {
        self.0.extend(block.iter().map(value));
    }

    pub(super) fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T: Integer> Plain<T> {
    pub(super) fn array(self) -> ArrayRef {
        primitive(self.0, None)
    }
}

impl Plain<i64> {
    pub(super) fn timestamps(self) -> ArrayRef {
        timestamps(self.0, None)
    }
}

impl Plain<i8> {
    pub(super) fn words(self, dictionary: &ArrayRef) -> ArrayRef {
        words(self.0, None, dictionary)
    }
}

/// A column with nulls. The bits are let go again where there was none.
pub(super) struct Nullable<T> {
    values: Vec<T>,
    valid: Bits,
}

impl<T: Default> Nullable<T> {
    pub(super) fn new(rows: usize) -> Self {
        Self { values: Vec::with_capacity(rows), valid: Bits::new(rows) }
    }

    /// Blocks are [`BLOCK`] rows, the last one may be shorter.
    #[inline]
    pub(super) fn extend<R>(&mut self, block: &[R], value: impl Fn(&R) -> Option<T>) {
        self.valid.extend(block, |r| value(r).is_some());
        self.values.extend(block.iter().map(|r| value(r).unwrap_or_default()));
    }

    pub(super) fn into_parts(self) -> (Vec<T>, Option<NullBuffer>) {
        (self.values, self.valid.nulls())
    }
}

impl<T: Integer> Nullable<T> {
    pub(super) fn array(self) -> ArrayRef {
        let (values, nulls) = self.into_parts();
        primitive(values, nulls)
    }
}

impl Nullable<i64> {
    pub(super) fn timestamps(self) -> ArrayRef {
        let (values, nulls) = self.into_parts();
        timestamps(values, nulls)
    }
}

impl Nullable<i8> {
    pub(super) fn words(self, dictionary: &ArrayRef) -> ArrayRef {
        let (keys, nulls) = self.into_parts();
        words(keys, nulls, dictionary)
    }
}

/// A column of truths.
pub(super) struct Bits {
    words: Vec<u64>,
    rows: usize,
    ones: usize,
}

impl Bits {
    pub(super) fn new(rows: usize) -> Self {
        Self { words: Vec::with_capacity(rows.div_ceil(BLOCK)), rows: 0, ones: 0 }
    }

    /// Blocks are [`BLOCK`] rows, the last one may be shorter.
    #[inline]
    pub(super) fn extend<R>(&mut self, block: &[R], bit: impl Fn(&R) -> bool) {
        debug_assert!(block.len() <= BLOCK && self.rows.is_multiple_of(BLOCK));
        let word = block.iter().enumerate().fold(0, |word, (i, r)| word | u64::from(bit(r)) << i);
        self.words.push(word.to_le());
        self.rows += block.len();
        self.ones += word.count_ones() as usize;
    }

    fn buffer(self) -> BooleanBuffer {
        BooleanBuffer::new(Buffer::from_vec(self.words), 0, self.rows)
    }

    fn nulls(self) -> Option<NullBuffer> {
        (self.ones < self.rows).then(|| NullBuffer::new(self.buffer()))
    }

    pub(super) fn array(self) -> ArrayRef {
        Arc::new(BooleanArray::new(self.buffer(), None))
    }
}

/// A column of texts. Plain `utf8` and no views: pyarrow cannot filter, sort, take or compare string views.
pub(super) struct Text {
    offsets: Vec<i32>,
    bytes: Vec<u8>,
}

/// Bytes reserved for a text; most symbols and trade ids take fewer.
const USUAL_TEXT: usize = 12;

impl Text {
    pub(super) fn new(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { offsets, bytes: Vec::with_capacity(rows * USUAL_TEXT + PADDED) }
    }

    #[inline]
    pub(super) fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.end();
    }

    #[inline]
    pub(super) fn push_symbol(&mut self, symbol: &SymbolText) {
        let length = symbol.text.len();
        if length <= PADDED {
            self.push_padded(&symbol.padded, length);
        } else {
            self.push(symbol.text.as_bytes());
        }
    }

    /// Appends a number's decimal digits: ids of trades go through here.
    #[inline]
    pub(super) fn push_number(&mut self, number: i64) {
        match u64::try_from(number) {
            Ok(number) if number < SIXTEEN_DIGITS => {
                let (digits, length) = decimal_digits(number);
                self.push_padded(&digits, length);
            }
            _ => self.push(number.to_string().as_bytes()),
        }
    }

    /// Appends the first `length` bytes by a copy of constant length: a store or two instead of a call.
    #[inline]
    fn push_padded<const N: usize>(&mut self, padded: &[u8; N], length: usize) {
        let end = self.bytes.len() + length;
        self.bytes.extend_from_slice(padded);
        self.bytes.truncate(end);
        self.end();
    }

    #[inline]
    fn end(&mut self) {
        self.offsets.push(i32::try_from(self.bytes.len()).expect("the byte limit of a batch is far below 2 GiB"));
    }

    pub(super) fn array(self) -> ArrayRef {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        Arc::new(StringArray::new(offsets, Buffer::from_vec(self.bytes), None))
    }
}

const EIGHT_DIGITS: u64 = 100_000_000;
const SIXTEEN_DIGITS: u64 = EIGHT_DIGITS * EIGHT_DIGITS;

/// The digits of a number below 10^16, padded, and how many they are. They are made in a register and stored at once:
/// a copy that waits for single bytes costs more than the digits.
#[inline]
fn decimal_digits(number: u64) -> ([u8; PADDED], usize) {
    let digits = u128::from(eight_digits(number / EIGHT_DIGITS))
        | (u128::from(eight_digits(number % EIGHT_DIGITS)) << u64::BITS);
    let leading_zeros = (digits.trailing_zeros() as usize / 8).min(PADDED - 1);
    let text = (digits | u128::from_le_bytes([b'0'; PADDED])) >> (leading_zeros * 8);
    (text.to_le_bytes(), PADDED - leading_zeros)
}

/// The eight decimal digits of a number below 10^8, the first one in the lowest byte: halves, quarters and eighths are
/// divided side by side in one word.
#[inline]
const fn eight_digits(number: u64) -> u64 {
    let halves = (number / 10_000) | ((number % 10_000) << 32);
    // 10 486 / 2^20 is a hundredth for all numbers below 10 000, 103 / 2^10 a tenth for all below 100.
    let hundreds = ((halves * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let quarters = hundreds | ((halves - hundreds * 100) << 16);
    let tens = ((quarters * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((quarters - tens * 10) << 8)
}

/// Texts of an open batch, in one buffer. A row holds where its text lies.
#[derive(Debug)]
pub(super) struct Arena(String);

/// A text in an [`Arena`].
#[derive(Clone, Copy, Debug)]
pub(super) struct InArena {
    start: u32,
    end: u32,
}

impl Arena {
    pub(super) fn reserve(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// A bounded batch never comes near 4 GiB of text; beyond it texts would be cut short, never mixed up.
    pub(super) fn add(&mut self, text: &str) -> InArena {
        let start = self.0.len();
        self.0.push_str(text);
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        InArena { start: place(start), end: place(self.0.len()) }
    }

    pub(super) fn get(&self, text: InArena) -> &str {
        self.0.get(text.start as usize..text.end as usize).unwrap_or_default()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// A column of such texts, one a row.
    pub(super) fn column<R>(&self, rows: &[R], text: impl Fn(&R) -> InArena) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(|r| self.get(text(r)))))
    }

    /// A column where some rows have none.
    pub(super) fn nullable_column<R>(&self, rows: &[R], text: impl Fn(&R) -> Option<InArena>) -> ArrayRef {
        Arc::new(StringArray::from_iter(rows.iter().map(|r| text(r).map(|t| self.get(t)))))
    }
}

/// Everything in a buffer of values, for a batch to keep: handed over where the buffer is well filled, else copied out
/// so that a small batch pins no large buffer.
pub(super) fn take_values<T: Copy>(values: &mut Vec<T>) -> Vec<T> {
    if values.len() >= values.capacity() / 2 {
        let room = values.capacity();
        std::mem::replace(values, Vec::with_capacity(room))
    } else {
        let taken = values.as_slice().to_vec();
        values.clear();
        taken
    }
}

fn primitive<T: Integer>(values: Vec<T>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T::Arrow>::new(ScalarBuffer::from(values), nulls))
}

fn timestamps(values: Vec<i64>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::new(ScalarBuffer::from(values), nulls).with_timezone(UTC))
}

fn words(keys: Vec<i8>, nulls: Option<NullBuffer>, dictionary: &ArrayRef) -> ArrayRef {
    let keys = PrimitiveArray::<Int8Type>::new(ScalarBuffer::from(keys), nulls);
    Arc::new(DictionaryArray::new(keys, Arc::clone(dictionary)))
}

/// The dictionaries of the closed sets: built once, shared by every batch.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) exchange: ArrayRef,
    pub(super) side: ArrayRef,
    pub(super) book_side: ArrayRef,
    pub(super) source: ArrayRef,
    pub(super) condition: ArrayRef,
    pub(super) stream: ArrayRef,
    pub(super) gap_scope: ArrayRef,
    pub(super) gap_cause: ArrayRef,
    pub(super) gap_evidence: ArrayRef,
    pub(super) gap_unit: ArrayRef,
    pub(super) repaired: ArrayRef,
    pub(super) instrument_kind: ArrayRef,
    pub(super) option_type: ArrayRef,
    pub(super) status: ArrayRef,
    pub(super) input_kind: ArrayRef,
    pub(super) conn_state: ArrayRef,
    pub(super) stamp_source: ArrayRef,
}

impl Default for Words {
    fn default() -> Self {
        let set = |words: &[&str]| -> ArrayRef { Arc::new(StringArray::from_iter_values(words)) };
        Self {
            exchange: set(&Exchange::DICTIONARY),
            side: set(Side::DICTIONARY),
            book_side: set(&BOOK_SIDES),
            source: set(Source::DICTIONARY),
            condition: set(Condition::DICTIONARY),
            stream: set(&Table::ALL.map(Table::name)),
            gap_scope: set(GapScope::DICTIONARY),
            gap_cause: set(GapCause::DICTIONARY),
            gap_evidence: set(GapEvidence::DICTIONARY),
            gap_unit: set(GapUnit::DICTIONARY),
            repaired: set(Repaired::DICTIONARY),
            instrument_kind: set(InstrumentKind::DICTIONARY),
            option_type: set(OptionType::DICTIONARY),
            status: set(Status::DICTIONARY),
            input_kind: set(InputKind::DICTIONARY),
            conn_state: set(ConnState::DICTIONARY),
            stamp_source: set(StampSource::DICTIONARY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::cast::AsArray;
    use proptest::prelude::*;

    fn digits_of(number: i64) -> String {
        let mut text = Text::new(1);
        text.push_number(number);
        text.array().as_string::<i32>().value(0).to_owned()
    }

    proptest! {
        #[test]
        fn digits_are_those_of_the_standard_library(number in any::<i64>(), shift in 0u32..64) {
            let number = number >> shift;
            prop_assert_eq!(digits_of(number), number.to_string());
        }
    }

    #[test]
    fn digits_at_the_edges() {
        let limit = SIXTEEN_DIGITS.cast_signed();
        for number in [i64::MIN, i64::MAX, 0, -1, 9, 10, 99, 100, limit - 1, limit] {
            assert_eq!(digits_of(number), number.to_string());
        }
    }

    #[test]
    fn a_nearly_empty_buffer_is_copied_out_and_kept_and_a_full_one_is_handed_over() {
        let mut values = Vec::with_capacity(1000);
        values.push(1u64);
        let kept = values.as_ptr();
        let taken = take_values(&mut values);
        assert_eq!((taken.as_slice(), taken.capacity()), ([1].as_slice(), 1));
        assert_eq!(values.as_ptr(), kept);

        values.extend(0..1000);
        let taken = take_values(&mut values);
        assert_eq!(taken.as_ptr(), kept);
        assert!(values.is_empty() && values.capacity() >= 1000);
    }
}
