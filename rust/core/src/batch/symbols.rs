//! Texts of symbols, once each.

use hashbrown::HashMap;

/// A symbol's text, by its number in one [`super::Batches`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SymbolId(u32);

impl SymbolId {
    /// The empty text: rows of `raw` and of gaps wider than one book.
    pub const NONE: Self = Self(0);
}

/// Rows carry the number; the text is looked up when a batch closes.
#[derive(Debug)]
pub(super) struct Symbols {
    texts: Vec<Box<str>>,
    by_text: HashMap<Box<str>, SymbolId>,
}

impl Default for Symbols {
    fn default() -> Self {
        let mut symbols = Self { texts: Vec::new(), by_text: HashMap::new() };
        symbols.intern("");
        symbols
    }
}

impl Symbols {
    pub(super) fn intern(&mut self, text: &str) -> SymbolId {
        if let Some(id) = self.by_text.get(text) {
            return *id;
        }
        let id = SymbolId(u32::try_from(self.texts.len()).expect("engines know far fewer instruments than 2^32"));
        self.texts.push(text.into());
        self.by_text.insert(text.into(), id);
        id
    }

    #[inline]
    pub(super) fn text(&self, id: SymbolId) -> &str {
        &self.texts[id.0 as usize]
    }
}
