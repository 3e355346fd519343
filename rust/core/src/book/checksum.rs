//! The checksum of a book over the texts of its best levels.

use super::OrderBook;
use crate::event::DecodedLevels;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Checksum;

impl Checksum {
    /// Remembers how the levels of a message were written.
    pub fn note(&mut self, _levels: &DecodedLevels) {}

    /// Forgets everything: the book begins anew.
    pub fn clear(&mut self) {}

    /// The checksum of the book as it is now.
    #[must_use]
    pub fn of(&self, _book: &OrderBook) -> i32 {
        0
    }
}
