//! What the connections of an exchange leave behind for it: which images of books anybody wants, and who broke its limits.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::MarketTime;

/// Shared by the exchange and its connections.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Entries>>);

#[derive(Default)]
struct Entries {
    /// Streams that are made on demand, asked for since the last look.
    wanted: BTreeSet<String>,
    violations: u32,
    banned_until: MarketTime,
}

impl Ledger {
    fn with<R>(&self, use_it: impl FnOnce(&mut Entries) -> R) -> R {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn want(&self, stream: &str) {
        self.with(|e| e.wanted.insert(stream.to_owned()));
    }

    pub(crate) fn take_wanted(&self) -> BTreeSet<String> {
        self.with(|e| std::mem::take(&mut e.wanted))
    }

    /// A limit was broken. Too often (`before_ban` times; 0 is never), and the address is banned.
    pub(crate) fn violate(&self, before_ban: u32, now: MarketTime, ban: MarketTime) {
        self.with(|e| {
            e.violations += 1;
            if before_ban > 0 && e.violations >= before_ban {
                (e.violations, e.banned_until) = (0, now.saturating_add(ban));
            }
        });
    }

    pub(crate) fn banned(&self, now: MarketTime) -> bool {
        self.with(|e| now < e.banned_until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_violation_but_none_is_a_ban() {
        let l = Ledger::default();
        l.violate(2, 10, 100);
        assert!(!l.banned(10));
        l.violate(2, 20, 100);
        assert!(l.banned(119) && !l.banned(120));
        let l = Ledger::default();
        (0..100).for_each(|_| l.violate(0, 10, 100));
        assert!(!l.banned(10));
    }

    #[test]
    fn what_is_wanted_is_told_once() {
        let l = Ledger::default();
        l.want("x@depth5");
        l.clone().want("x@depth5");
        assert_eq!(l.take_wanted().len(), 1);
        assert!(l.take_wanted().is_empty());
    }
}
