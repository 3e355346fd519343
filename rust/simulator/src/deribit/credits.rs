//! What requests cost (§1). Everybody here comes from one address, so there is one account for all.

use crate::clock::{MarketTime, SECOND};

/// What kind of request, by what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cost {
    Subscribe,
    Instruments,
    /// The reference data over a WebSocket, which is dearer.
    InstrumentsByWebSocket,
    Other,
}

impl Cost {
    pub(crate) fn of(method: &str, web_socket: bool) -> Self {
        match (method, web_socket) {
            ("public/subscribe" | "private/subscribe", _) => Self::Subscribe,
            ("public/get_instruments", true) => Self::InstrumentsByWebSocket,
            ("public/get_instruments", false) => Self::Instruments,
            _ => Self::Other,
        }
    }

    /// Price of one request, what can be saved up, and what comes back in a second.
    fn terms(self) -> [f64; 3] {
        match self {
            Self::Subscribe => [3000.0, 30_000.0, 10_000.0],
            Self::Instruments => [10_000.0, 500_000.0, 10_000.0],
            Self::InstrumentsByWebSocket => [10_000.0, 50_000.0, 1000.0],
            Self::Other => [500.0, 50_000.0, 10_000.0],
        }
    }
}

/// What is left to spend.
#[derive(Clone, Debug, Default)]
pub(crate) struct Credits {
    /// Spent and not yet come back, and as of when.
    spent: [(f64, MarketTime); 4],
}

impl Credits {
    /// False where the credits do not suffice; nothing is spent then. Time runs `compression` times as fast.
    pub(crate) fn spend(&mut self, cost: Cost, now: MarketTime, compression: f64) -> bool {
        let [price, capacity, refill] = cost.terms();
        let (spent, since) = &mut self.spent[cost as usize];
        let passed = now.saturating_sub(*since) as f64 / SECOND as f64 * compression;
        *spent = (*spent - passed * refill).max(0.0);
        *since = now;
        let enough = *spent + price <= capacity;
        if enough {
            *spent += price;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_subscriptions_at_once_then_three_a_second() {
        let mut c = Credits::default();
        let mut ask = |at| c.spend(Cost::of("public/subscribe", true), at, 1.0);
        assert!((0..10).all(|_| ask(0)) && !ask(0));
        assert!(!ask(SECOND * 29 / 100) && ask(SECOND * 3 / 10) && !ask(SECOND * 3 / 10));
        assert!((0..100).all(|_| c.spend(Cost::of("public/test", true), 0, 1.0)), "another purse");
        assert!(!c.spend(Cost::of("public/test", false), 0, 1.0), "one for all");
    }

    #[test]
    fn reference_data_is_dear_by_web_socket() {
        let mut c = Credits::default();
        let mut ask = |web_socket| c.spend(Cost::of("public/get_instruments", web_socket), 0, 1.0);
        assert_eq!((0..6).filter(|_| ask(true)).count(), 5);
        assert_eq!((0..60).filter(|_| ask(false)).count(), 50);
    }
}
