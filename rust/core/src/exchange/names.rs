//! Names of instruments, as far as the exchanges agree on them.

use std::collections::{HashMap, HashSet};

use super::document::{Object, Value};
use crate::instrument::Instrument;

/// Symbols longer than this are no symbols.
pub(crate) const MAX_SYMBOL_BYTES: usize = 64;

/// `YYMMDD`.
pub(crate) fn is_date(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit())
}

/// Any script, since there are symbols in Chinese; nothing that steers a terminal or splits a line.
pub(crate) fn is_symbol(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_SYMBOL_BYTES && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// The instruments of a list in a reply, each name once: what has none is left out, and spoils no other.
pub(crate) fn listed(
    list: Value<'_, '_>,
    instrument: impl Fn(Object<'_, '_>) -> Option<Instrument>,
) -> Vec<Instrument> {
    let mut seen = HashSet::new();
    let mut instruments: Vec<Instrument> = list
        .elements()
        .filter_map(Value::object)
        .filter_map(instrument)
        .filter(|instrument| seen.insert(instrument.native_symbol.clone()))
        .collect();
    keep_names_apart(&mut instruments);
    instruments
}

/// Two natives of one market that would share a name both keep their own.
fn keep_names_apart(instruments: &mut [Instrument]) {
    let mut users = HashMap::<_, usize>::new();
    for instrument in &*instruments {
        *users.entry((instrument.exchange, instrument.symbol.clone())).or_default() += 1;
    }
    for instrument in instruments {
        if users.get(&(instrument.exchange, instrument.symbol.clone())).is_some_and(|n| *n > 1) {
            instrument.symbol.clone_from(&instrument.native_symbol);
        }
    }
}
