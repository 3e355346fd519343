//! What spot and futures differ by, as data; the forms of their messages are in `messages`.

use crate::config::DepthSpeed;
use crate::event::EventKind;
use crate::market::Ids;

/// Which of Binance's exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Product {
    /// USDⓈ-M futures.
    Futures,
    /// Spot.
    Spot,
}

/// One of Binance's exchanges.
#[derive(Debug)]
pub(crate) struct Dialect {
    pub product: Product,
    /// Its name for configurations.
    pub name: &'static str,
    /// What REST paths begin with.
    pub rest: &'static str,
    /// Families of the paths that carry books and single trades, and everything else.
    pub books: &'static str,
    pub rows: &'static str,
    /// Speeds of the depth stream that exist; the one that a name without a speed means.
    pub speeds: &'static [DepthSpeed],
    pub plain_speed: DepthSpeed,
    /// Who counts the changes of books.
    pub ids: Ids,
    /// Fraction digits of every number, where they do not depend on the symbol.
    pub digits: Option<u8>,
    /// Limits of a depth request.
    pub depth: DepthLimits,
    /// Whether there are mark prices, funding, open interest and liquidations.
    pub derivatives: bool,
    /// The word for trading in the reference data.
    pub trading: &'static str,
    /// Weights of requests but depth.
    pub weights: &'static [(&'static str, u32)],
    /// What a client applies first: a change that ends exactly at its snapshot's id, or only one that goes beyond.
    pub applies_at_snapshot: bool,
    /// Hours after which trades are no more to be had.
    pub trades_hours: Option<u32>,
    /// Violations of limits after which an address is refused; 0 is never.
    pub violations_before_ban: u32,
}

impl Dialect {
    /// Family of the path that carries events of this kind.
    pub(crate) fn family(&self, kind: EventKind) -> &'static str {
        match kind {
            EventKind::Depth | EventKind::BookImage | EventKind::BookTicker | EventKind::Trade => self.books,
            _ => self.rows,
        }
    }
}

/// Limits of a depth request and what they weigh.
#[derive(Debug)]
pub(crate) struct DepthLimits {
    pub default: usize,
    /// The only ones there are; empty: any up to the last one of `weights`.
    pub allowed: &'static [usize],
    /// Up to so many levels, so much.
    pub weights: &'static [(usize, u32)],
    /// Where no limit is given.
    pub default_weight: u32,
}

impl DepthLimits {
    pub(crate) fn most(&self) -> usize {
        self.weights.last().map_or(0, |w| w.0)
    }

    pub(crate) fn weight(&self, limit: Option<usize>) -> u32 {
        let Some(limit) = limit else { return self.default_weight };
        self.weights.iter().find(|w| limit <= w.0).or(self.weights.last()).map_or(1, |w| w.1)
    }
}

/// `binance-usdm-futures.md`.
pub(crate) static FUTURES: Dialect = Dialect {
    product: Product::Futures,
    name: "binance-futures",
    rest: "/fapi/v1",
    books: "public",
    rows: "market",
    speeds: &[DepthSpeed::Ms0, DepthSpeed::Ms100, DepthSpeed::Ms250, DepthSpeed::Ms500],
    plain_speed: DepthSpeed::Ms250,
    ids: Ids::SHARED,
    digits: None,
    // §2, measured: without a limit 500 levels for 1.
    depth: DepthLimits {
        default: 500,
        allowed: &[5, 10, 20, 50, 100, 500, 1000],
        weights: &[(50, 2), (100, 5), (500, 10), (1000, 20)],
        default_weight: 1,
    },
    derivatives: true,
    trading: "TRADING",
    weights: &[("/aggTrades", 20)],
    applies_at_snapshot: true,
    trades_hours: Some(48),
    violations_before_ban: 0,
};

/// `binance-spot.md`.
pub(crate) static SPOT: Dialect = Dialect {
    product: Product::Spot,
    name: "binance-spot",
    rest: "/api/v3",
    books: "spot",
    rows: "spot",
    speeds: &[DepthSpeed::Ms100, DepthSpeed::Ms1000],
    plain_speed: DepthSpeed::Ms1000,
    ids: Ids::PerSymbol,
    // §2: padded to 8, whatever the tick.
    digits: Some(8),
    depth: DepthLimits {
        default: 100,
        allowed: &[],
        weights: &[(100, 5), (500, 25), (1000, 50), (5000, 250)],
        default_weight: 5,
    },
    derivatives: false,
    trading: "TRADING",
    weights: &[("/exchangeInfo", 20), ("/aggTrades", 4), ("/trades", 25), ("/historicalTrades", 25)],
    applies_at_snapshot: false,
    trades_hours: None,
    // Manual §1: "repeated → IP ban", without a number.
    violations_before_ban: 5,
};
