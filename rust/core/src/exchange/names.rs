//! Names and words, as far as the exchanges agree on them.

use std::collections::HashSet;

use super::document::{Object, Value};
use super::reader::WireReader;
use crate::instrument::Instrument;
use crate::report::RejectReason;
use crate::table::Side;

/// Symbols longer than this are no symbols.
pub(crate) const MAX_SYMBOL_BYTES: usize = 64;

/// A short text as numbers: of up to 32 bytes, equal ones of one length are equal texts.
#[inline(always)]
pub(crate) fn words_of(text: &str) -> [u64; 4] {
    let bytes = text.as_bytes();
    let word = |chunk: &[u8; 8]| u64::from_le_bytes(*chunk);
    match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => match (bytes.first_chunk::<16>(), bytes.last_chunk::<16>()) {
            (Some([.., a, b, c, d, e, f, g, h]), Some([i, j, k, l, m, n, o, p, ..])) => {
                let inner = [word(&[*a, *b, *c, *d, *e, *f, *g, *h]), word(&[*i, *j, *k, *l, *m, *n, *o, *p])];
                [word(first), word(last), inner[0], inner[1]]
            }
            _ => [word(first), word(last), 0, 0],
        },
        _ => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (Some(first), Some(last)) => [u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into(), 0, 0],
            _ => [bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0, 0, 0],
        },
    }
}

/// Whether two texts are equal, at once where they are short.
#[inline(always)]
pub(crate) fn same_text(a: &str, b: &str) -> bool {
    a.len() == b.len() && words_of(a) == words_of(b) && (a.len() <= 32 || a == b)
}

/// Keeps what a key says, unless it was there before.
#[inline(always)]
pub(crate) fn once<T>(slot: &mut Option<T>, value: T) -> Option<()> {
    slot.replace(value).is_none().then_some(())
}

/// `YYMMDD`.
pub(crate) fn is_date(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit())
}

/// Any script, since there are symbols in Chinese; nothing that steers a terminal or splits a line.
pub(crate) fn is_symbol(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_SYMBOL_BYTES && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// `buy` or `sell`.
pub(crate) fn side_of(word: &str) -> Side {
    match word {
        "buy" => Side::Buy,
        "sell" => Side::Sell,
        _ => Side::Unknown,
    }
}

/// The instruments of the list that a document holds, each name once: what has none is left out, and spoils no other.
///
/// # Errors
/// It cannot be read, or holds no list.
pub(crate) fn read_listed(
    body: &[u8],
    list: impl for<'d, 'a> Fn(Object<'d, 'a>) -> Option<Value<'d, 'a>>,
    instrument: impl Fn(Object<'_, '_>) -> Option<Instrument>,
) -> Result<Vec<Instrument>, RejectReason> {
    let mut reader = WireReader::default();
    let document = reader.document(body)?;
    let list = document.at(0).object().and_then(list).filter(|list| list.is_array()).ok_or(RejectReason::Schema)?;
    let mut seen = HashSet::new();
    let instruments = list
        .elements()
        .filter_map(Value::object)
        .filter_map(instrument)
        .filter(|instrument| seen.insert(instrument.native_symbol.clone()));
    Ok(instruments.collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_same_texts_are_the_same_texts(a in "[ab@]{0,40}", b in "[ab@]{0,40}", at in 0..40_usize) {
            prop_assert_eq!(same_text(&a, &b), a == b);
            prop_assert!(same_text(&a, &a.clone()));
            let mut other = a.clone().into_bytes();
            if let Some(byte) = other.get_mut(at) {
                *byte ^= 1;
                prop_assert!(!same_text(&a, &String::from_utf8_lossy(&other)));
            }
        }
    }
}
