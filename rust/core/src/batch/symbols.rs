//! Texts of symbols, once each.

use hashbrown::HashMap;

/// A symbol's text, by its number in one [`super::Batches`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SymbolId(u32);

impl SymbolId {
    /// The empty text: rows of `raw` and of gaps wider than one book.
    pub const NONE: Self = Self(0);
}

/// Bytes of the texts that are copied without a look at their length. Most symbols are shorter.
pub(super) const PADDED: usize = 16;

/// A text, and its first bytes padded with zeros.
#[derive(Debug)]
pub(super) struct SymbolText {
    pub(super) padded: [u8; PADDED],
    pub(super) text: Box<str>,
}

/// Rows carry the number; the text is looked up when a batch closes.
#[derive(Debug)]
pub(super) struct Symbols {
    texts: Vec<SymbolText>,
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
        let mut padded = [0; PADDED];
        padded.iter_mut().zip(text.as_bytes()).for_each(|(to, from)| *to = *from);
        self.texts.push(SymbolText { padded, text: text.into() });
        self.by_text.insert(text.into(), id);
        id
    }

    #[inline]
    pub(super) fn text(&self, id: SymbolId) -> &SymbolText {
        &self.texts[id.0 as usize]
    }
}
