//! What contracts have beside a market: mark price, index, funding, open interest, liquidations.

use crate::binance::feed::FeedSymbol;
use crate::binance::messages::{Liquidation, MarkPrice};
use crate::book::{Book, Side, decimal_text};
use crate::clock::{MarketTime, SECOND};
use crate::market::{FillKind, Step};
use crate::random::Random;

/// One contract.
pub(crate) struct Contract {
    /// In size mantissas.
    pub open_interest: i64,
    /// Funding rate with 8 fraction digits.
    rate: i64,
    /// The latest liquidation of a window that ends then: earlier ones of the window are never told (manual §5).
    liquidated: Option<(MarketTime, Liquidation)>,
    rng: Random,
}

const FUNDING_MS: i64 = 8 * 3_600_000;

impl Contract {
    pub(crate) fn new(seed: u64, symbol: &FeedSymbol) -> Self {
        let mut rng = Random::new(seed, &format!("contract {}", symbol.name));
        let unit = 10i64.pow(u32::from(symbol.scales.size));
        Self {
            open_interest: unit.saturating_mul(10_000 + rng.below(90_000) as i64),
            rate: 5_000 + rng.below(10_000) as i64,
            liquidated: None,
            rng,
        }
    }

    /// Orders open and close positions, and some of them are forced.
    pub(crate) fn on_step(&mut self, step: &Step, share: f64, ms: i64) {
        let fills = || step.fills.iter().filter(|f| f.kind == FillKind::Market);
        let Some(last) = fills().next_back() else { return };
        let size: i64 = fills().map(|f| f.size).sum();
        let by = if self.rng.chance(0.5) { size } else { -size };
        self.open_interest = self.open_interest.saturating_add(by).max(0);
        if self.rng.chance(share) {
            let until = self.liquidated.as_ref().map_or(step.time + SECOND, |l| l.0);
            self.liquidated = Some((until, Liquidation { price: last.price, size, maker: last.maker, event_ms: ms }));
        }
    }

    /// When [`Self::pop`] has a liquidation next.
    pub(crate) fn due(&self) -> Option<MarketTime> {
        self.liquidated.as_ref().map(|l| l.0)
    }

    pub(crate) fn pop(&mut self, now: MarketTime) -> Option<Liquidation> {
        self.liquidated.take_if(|l| l.0 <= now).map(|l| l.1)
    }

    /// Its mark price from the middle of the book; `None` while a side is empty.
    pub(crate) fn mark(&self, symbol: &FeedSymbol, book: &Book, now_ms: i64) -> Option<MarkPrice> {
        let (bid, ask) = (book.best(Side::Bid)?.0, book.best(Side::Ask)?.0);
        // Twice the middle, with 8 fraction digits or those of the price.
        let digits = symbol.scales.price.max(8);
        let by = 10i64.checked_pow(u32::from(digits - symbol.scales.price))?;
        let middle = bid.checked_add(ask)?.checked_mul(by)? / 2;
        let text = |mantissa| decimal_text(mantissa, digits);
        // A dated contract has no funding: its row says 0, and the rate nothing.
        let funded = !symbol.dated();
        let next = (now_ms / FUNDING_MS + 1) * FUNDING_MS;
        Some(MarkPrice {
            symbol: symbol.name.to_string(),
            mark: text(middle),
            average: text(middle - middle / 100_000),
            index: text(middle - middle / 20_000),
            settlement: text(middle + middle / 10_000),
            rate: if funded { decimal_text(self.rate, 8) } else { String::new() },
            next_funding_ms: if funded { next } else { 0 },
            family: 1,
        })
    }
}

/// A row of the other product family, which travels in the all-market frames too.
pub(crate) fn coin_margined(now_ms: i64) -> MarkPrice {
    MarkPrice {
        symbol: "BTCUSD_PERP".into(),
        mark: "76890.12345678".into(),
        average: "76889.10000000".into(),
        index: "76885.00000000".into(),
        settlement: "76891.00000000".into(),
        rate: "0.00010000".into(),
        next_funding_ms: (now_ms / FUNDING_MS + 1) * FUNDING_MS,
        family: 2,
    }
}
