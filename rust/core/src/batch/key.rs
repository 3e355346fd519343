//! What every row of every table begins with.

use arrow_array::ArrayRef;

use crate::symbol::{ConnId, Exchange, Venue};
use crate::table::flags;

use super::column::{Nullable, Plain, Text};
use super::open::Context;
use super::symbols::SymbolId;

/// The word in the `exchange` column: a market, or the venue's id where a row concerns no single market (`raw`, gaps
/// wider than one book).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyExchange(i8);

impl From<Exchange> for KeyExchange {
    fn from(exchange: Exchange) -> Self {
        Self(exchange as i8)
    }
}

impl From<Venue> for KeyExchange {
    fn from(venue: Venue) -> Self {
        venue.word().into()
    }
}

/// The keys of a row: whose it is, when it was, and where it stands in the order of truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowKey {
    /// When it happened, nanoseconds since the epoch.
    pub ts_event: Option<i64>,
    /// When the exchange sent it.
    pub ts_venue: Option<i64>,
    /// When it was received.
    pub ts_recv: i64,
    /// The market, or the venue.
    pub exchange: KeyExchange,
    /// The unified symbol.
    pub symbol: SymbolId,
    /// Number of the shard.
    pub shard: u16,
    /// Number of the engine's input that emitted the row.
    pub msg_id: i64,
    /// The place within that input.
    pub row: i32,
    /// The connection it came from.
    pub conn: ConnId,
    /// Bits of [`crate::table::flags`]. `LOSSY` is set here by the batches.
    pub flags: u8,
}

impl RowKey {
    /// The key of a row of which a number says less than was sent.
    #[inline]
    pub(super) fn flagged(&self, lossy: bool) -> Self {
        let mut key = *self;
        if lossy {
            key.flags |= flags::LOSSY;
        }
        key
    }
}

/// The columns of the keys.
pub(super) struct KeyColumns<'a> {
    context: &'a Context,
    ts_event: Nullable<i64>,
    ts_venue: Nullable<i64>,
    ts_recv: Plain<i64>,
    exchange: Plain<i8>,
    symbol: Text,
    shard: Plain<u16>,
    msg_id: Plain<i64>,
    row: Plain<i32>,
    conn: Plain<u16>,
    flags: Plain<u8>,
}

impl<'a> KeyColumns<'a> {
    pub(super) fn new(rows: usize, context: &'a Context) -> Self {
        Self {
            context,
            ts_event: Nullable::new(rows),
            ts_venue: Nullable::new(rows),
            ts_recv: Plain::new(rows),
            exchange: Plain::new(rows),
            symbol: Text::new(rows),
            shard: Plain::new(rows),
            msg_id: Plain::new(rows),
            row: Plain::new(rows),
            conn: Plain::new(rows),
            flags: Plain::new(rows),
        }
    }

    pub(super) fn extend<R>(&mut self, block: &[R], key: impl Fn(&R) -> &RowKey) {
        self.ts_event.extend(block, |r| key(r).ts_event);
        self.ts_venue.extend(block, |r| key(r).ts_venue);
        self.ts_recv.extend(block, |r| key(r).ts_recv);
        self.exchange.extend(block, |r| key(r).exchange.0);
        block.iter().for_each(|r| self.symbol.push_symbol(self.context.symbols.text(key(r).symbol)));
        self.shard.extend(block, |r| key(r).shard);
        self.msg_id.extend(block, |r| key(r).msg_id);
        self.row.extend(block, |r| key(r).row);
        self.conn.extend(block, |r| key(r).conn.0);
        self.flags.extend(block, |r| key(r).flags);
    }

    /// The columns, with room for those of the table behind them.
    pub(super) fn finish(self) -> Vec<ArrayRef> {
        let mut columns = Vec::with_capacity(32);
        columns.extend([
            self.ts_event.timestamps(),
            self.ts_venue.timestamps(),
            self.ts_recv.timestamps(),
            self.exchange.words(&self.context.words.exchange),
            self.symbol.array(),
            self.shard.array(),
            self.msg_id.array(),
            self.row.array(),
            self.conn.array(),
            self.flags.array(),
        ]);
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_name_markets_and_venues_by_their_ids() {
        assert_eq!(Exchange::DICTIONARY[KeyExchange::from(Exchange::BinanceFutures).0 as usize], "binance-futures");
        for venue in Venue::ALL {
            assert_eq!(Exchange::DICTIONARY[KeyExchange::from(venue).0 as usize], venue.id());
        }
    }
}
