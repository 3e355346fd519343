//! A book as its rows leave it, by a reader who knows nothing but the columns.

use std::collections::BTreeMap;

/// The columns that it takes to rebuild a book.
pub const COLUMNS: [&str; 7] =
    ["is_snapshot", "prev_id", "last_id", "bid_prices", "bid_sizes", "ask_prices", "ask_sizes"];

/// What the rows leave.
#[derive(Debug, Default)]
pub struct Fold {
    /// Sizes by price, as texts.
    pub book: BTreeMap<String, String>,
    before: String,
}

impl Fold {
    /// Takes the next row, which must follow the one before it: its [`COLUMNS`] first, then whatever else.
    pub fn take(&mut self, row: &[String]) {
        let [is_snapshot, prev, last, sides @ ..] = row else { panic!("too few columns: {row:?}") };
        if is_snapshot == "true" {
            self.book.clear();
        }
        assert_eq!(*prev, self.before, "the rows chain: {row:?}");
        self.before.clone_from(last);
        for side in sides[..4].chunks(2) {
            let list = |text: &str| text.trim_matches(['[', ']']).split(',').map(str::to_owned).collect::<Vec<_>>();
            let levels = list(&side[0]).into_iter().zip(list(&side[1]));
            for (price, size) in levels.filter(|(price, _)| !price.is_empty()) {
                if size == "0" {
                    self.book.remove(&price);
                } else {
                    self.book.insert(price, size);
                }
            }
        }
    }
}
