//! The clean stream of an exchange: every state of its book, every trade, and the messages that tell them.

use std::collections::BTreeMap;

use xtrader_core::symbol::Venue;

use crate::frames::{
    Side, T0, agg_trade_at, depth_at, deribit_book, deribit_trade, deribit_trades, okx_book, okx_trade, snapshot_at,
    spot_depth, spot_snapshot,
};

/// Whose stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    Spot,
    Futures,
    Okx,
    Deribit,
}

impl Exchange {
    pub const ALL: [Self; 4] = [Self::Spot, Self::Futures, Self::Okx, Self::Deribit];

    pub fn venue(self) -> Venue {
        match self {
            Self::Spot => Venue::BinanceSpot,
            Self::Futures => Venue::BinanceFutures,
            Self::Okx => Venue::Okx,
            Self::Deribit => Venue::Deribit,
        }
    }

    /// OKX says that its messages are the same on every connection (§4); of the others nobody says so.
    pub fn cuts_alike(self) -> bool {
        self == Self::Okx
    }

    /// How often ids of a book may fall.
    fn resets(self) -> i64 {
        if self == Self::Okx { 9 } else { 1 }
    }

    /// By how much.
    fn falls_by(self) -> i64 {
        if self == Self::Okx { 500 } else { 4_000 }
    }

    /// A subscription brings the book; else REST does.
    pub fn sends_snapshots(self) -> bool {
        matches!(self, Self::Okx | Self::Deribit)
    }
}

/// Milliseconds; no connection lags that long.
const TRADE_RESETS_APART: u64 = 1_000;
/// Ids of trades that are as far apart are not taken for late copies.
const BELOW_THE_WINDOW: i64 = 10_000;

/// What happens at one moment.
#[derive(Clone, Copy, Debug)]
pub enum Tick {
    /// The book goes so many ids further; a level and its new size.
    Change(i64, usize, u32),
    /// A trade that counts so many fills, where the exchange folds them.
    Trade(i64),
    /// OKX: the same id once more.
    KeepAlive,
    /// Ids of the book fall. OKX says so by a change that leads there; elsewhere no message does.
    Reset,
    /// Ids of trades fall, and one follows.
    TradeReset,
}

/// Sizes of the book, by the number of the price.
pub type Levels = BTreeMap<usize, u32>;

pub const PRICES: [&str; 8] = ["90", "91.5", "92", "93", "105", "106", "107.25", "108"];

/// A state of the book and what led to it.
#[derive(Clone, Debug)]
pub struct State {
    pub id: i64,
    pub at: u64,
    pub levels: Levels,
    pub changed: Option<usize>,
    pub is_reset: bool,
}

/// A trade: its ids, first and last, and how often ids had fallen.
#[derive(Clone, Copy, Debug)]
pub struct Trade {
    pub epoch: i64,
    pub first: i64,
    pub last: i64,
    pub at: u64,
}

/// Everything that was, in milliseconds since the beginning.
pub struct Stream {
    pub exchange: Exchange,
    pub states: Vec<State>,
    pub trades: Vec<Trade>,
    /// From then on nothing errs: what went before is over by then.
    pub calm: u64,
    pub end: u64,
}

impl Stream {
    /// A change and a trade come first and last, so that every connection is known before it errs and heard behind it: later
    /// by more than clocks may differ.
    pub fn new(exchange: Exchange, ticks: &[(u64, Tick)]) -> Self {
        let start: Levels = (0..PRICES.len()).map(|level| (level, 1)).collect();
        let first = State { id: 5_000, at: 0, levels: start, changed: None, is_reset: false };
        let mut stream = Self { exchange, states: vec![first], trades: Vec::new(), calm: 0, end: 0 };
        let (mut resets, mut epoch, mut epoch_at) = (0, 0, 0);
        let opening = [(1, Tick::Change(1, 0, 7)), (1, Tick::Trade(1))];
        let closing = [(3_500, Tick::Change(2, 1, 8)), (1, Tick::Trade(2)), (1, Tick::Change(1, 2, 9))];
        stream.calm = 1_000 + opening.iter().chain(ticks).map(|(wait, _)| wait).sum::<u64>();
        for (wait, tick) in opening.iter().chain(ticks).chain(&closing) {
            stream.end += wait;
            let before = &stream.states[stream.states.len() - 1];
            let (mut id, mut levels, mut changed, mut is_reset) = (before.id, before.levels.clone(), None, false);
            match tick {
                Tick::Trade(_) | Tick::TradeReset => {
                    // Two of them lie further apart than any connection lags.
                    if matches!(tick, Tick::TradeReset) && stream.end > epoch_at + TRADE_RESETS_APART {
                        (epoch, epoch_at) = (epoch + 1, stream.end);
                    }
                    let before = stream.trades.last().filter(|trade| trade.epoch == epoch);
                    let first = before.map_or(1_000_000 - BELOW_THE_WINDOW * epoch, |trade| trade.last + 1);
                    let fills = if let Tick::Trade(fills) = tick { *fills } else { 1 };
                    let last = if exchange == Exchange::Okx { first + fills - 1 } else { first };
                    stream.trades.push(Trade { epoch, first, last, at: stream.end });
                    continue;
                }
                Tick::Change(by, level, size) => {
                    id += by;
                    levels.insert(*level, *size);
                    changed = Some(*level);
                }
                // Ids never come twice: what would repeat a message is no business of a reader to tell.
                Tick::Reset if resets < exchange.resets() => {
                    resets += 1;
                    (id, is_reset) = (5_000 - exchange.falls_by() * resets, true);
                    levels.insert(0, 1 + resets as u32);
                    changed = Some(0);
                }
                Tick::KeepAlive if exchange == Exchange::Okx => {}
                Tick::KeepAlive | Tick::Reset => id += 1,
            }
            stream.states.push(State { id, at: stream.end, levels, changed, is_reset });
        }
        stream
    }

    /// The messages of a book end before this state: no change leads to it.
    pub fn is_beginning(&self, state: usize) -> bool {
        self.exchange != Exchange::Okx && self.states.get(state).is_some_and(|state| state.is_reset)
    }

    /// The first of the states that only proofs of life tell apart: who lacks one of those lacks nothing.
    pub fn settled(&self, state: usize) -> usize {
        let id = self.states[state].id;
        self.states.iter().position(|state| state.id == id).unwrap_or(state)
    }

    /// The last state that was by then.
    pub fn state_at(&self, at: u64) -> usize {
        self.states.iter().rposition(|state| state.at <= at).unwrap_or(0)
    }

    /// The levels of a state that changed since another, or all of them: bids and asks.
    pub fn levels(&self, from: Option<usize>, to: usize) -> [Vec<(&'static str, String)>; 2] {
        let state = &self.states[to];
        let told = |level: &usize| match from {
            Some(from) => self.states[from + 1..=to].iter().any(|state| state.changed == Some(*level)),
            None => state.levels[level] > 0,
        };
        let level = |level: usize| (PRICES[level], state.levels[&level].to_string());
        [(0..4).filter(told).map(level).collect(), (4..8).filter(told).map(level).collect()]
    }

    /// The message on a connection of a state that follows another; without one, the whole book.
    pub fn book(&self, conn: usize, from: Option<usize>, to: usize) -> String {
        let sides = self.levels(from, to);
        let [bids, asks] =
            sides.each_ref().map(|side| side.iter().map(|(p, s)| (*p, s.as_str())).collect::<Vec<(&str, &str)>>());
        let (bids, asks): (Side<'_>, Side<'_>) = (&bids, &asks);
        let pairs =
            |side: Side<'_>| side.iter().map(|(p, s)| format!(r#"["{p}","{s}"]"#)).collect::<Vec<_>>().join(",");
        let (id, time) = (self.states[to].id, T0 + self.states[to].at as i64);
        let prev = from.map(|from| self.states[from].id);
        match (self.exchange, prev) {
            (Exchange::Okx, _) => okx_book("BTC-USDT", (prev.unwrap_or(-1), id), time, bids, asks, 0),
            (Exchange::Deribit, _) => deribit_book("BTC-PERPETUAL", (prev, id), time, bids, asks),
            (Exchange::Spot, None) => spot_snapshot(id, bids, asks),
            // The clocks of its gateways differ by more than the time between two messages.
            (Exchange::Spot, Some(prev)) => spot_depth("BTCUSDT", (prev + 1, id), time + 7 * conn as i64, bids, asks),
            (Exchange::Futures, None) => snapshot_at(id, time, &pairs(bids), &pairs(asks)),
            (Exchange::Futures, Some(prev)) => {
                depth_at("BTCUSDT", (prev, prev + 1, id), time, &pairs(bids), &pairs(asks))
            }
        }
    }

    /// The message of these trades. Only Deribit tells several in one.
    pub fn trades(&self, trades: &[Trade]) -> String {
        let (one, time) = (trades[0], T0 + trades[0].at as i64);
        match self.exchange {
            Exchange::Spot | Exchange::Futures => agg_trade_at("BTCUSDT", one.last, time, "100.5", "2"),
            Exchange::Okx => okx_trade("BTC-USDT", one.last, one.last - one.first + 1, time),
            Exchange::Deribit => {
                let rows: Vec<String> = trades
                    .iter()
                    .map(|trade| deribit_trade("BTC-PERPETUAL", trade.last, T0 + trade.at as i64, ""))
                    .collect();
                deribit_trades("BTC-PERPETUAL", &rows)
            }
        }
    }
}
