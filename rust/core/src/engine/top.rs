//! The best levels of live books, sampled.

use super::{Engine, NO_TIMES, own_origin, unconverted};
use crate::config::Stream;
use crate::table::flags;

impl Engine {
    /// One row for each live book that has changed since its last one.
    pub(super) fn on_top_timeout(&mut self) {
        self.cx.top_armed = false;
        let origin = own_origin(&self.cx);
        let depth = self.cx.config.l2_top.depth;
        for state in self.instruments.iter_mut() {
            let is_silent = state.book.id().is_none() || unconverted::is_needed_for(&self.cx, state.subject);
            if is_silent || !std::mem::take(&mut state.book.is_unsampled) {
                continue;
            }
            let suspect = if state.book.may_cross && state.book.book.is_crossed() { flags::BAD_BOOK } else { 0 };
            let key = self.cx.key(state.subject, origin, NO_TIMES, flags::LAST | flags::TOP | suspect, 1);
            let book = &state.book.book;
            let (bids, asks) = (book.bids().take(depth), book.asks().take(depth));
            if let Err(error) = self.cx.batches.l2_top(&key, bids, asks, &state.subject.conversion) {
                let (subject, carriers) = (state.subject, &state.book.carriers);
                super::gaps::row_refused(&mut self.cx, subject, origin, Stream::L2Top, carriers, error);
            }
        }
    }
}
