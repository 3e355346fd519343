//! How a plain client follows Binance: it subscribes by path, and fetches a snapshot after the first update of a book and
//! after each break of its chain.

use std::collections::HashMap;

use serde::Deserialize;

use crate::binance::streams::symbol_stream;
use crate::recorder::{Followed, Follower, Recipe, RecordRequest, Wish};

pub(crate) fn recipe(request: &RecordRequest, symbols: &[String]) -> Recipe {
    let depth = symbols.iter().map(|s| symbol_stream(s, request.depth_speed));
    let lower = || symbols.iter().map(|s| s.to_lowercase());
    let mut public: Vec<String> = depth.chain(lower().map(|s| format!("{s}@bookTicker"))).collect();
    if request.single_trades {
        public.extend(lower().map(|s| format!("{s}@trade")));
    }
    let market: Vec<String> = lower().map(|s| format!("{s}@aggTrade")).collect();
    let follow = |name, family: &str, streams: &[String]| Followed {
        name,
        path: format!("{family}/stream?streams={}", streams.join("/")),
        hello: Vec::new(),
        follower: || Box::new(Chains::default()),
    };
    Recipe {
        first: vec!["/fapi/v1/exchangeInfo".into()],
        connections: vec![follow("public", "/public", &public), follow("market", "/market", &market)],
    }
}

/// The last id of each book on one connection.
#[derive(Default)]
struct Chains(HashMap<String, u64>);

/// What is read of a frame.
#[derive(Deserialize)]
struct Peek {
    e: Option<String>,
    s: Option<String>,
    u: Option<u64>,
    pu: Option<u64>,
}

#[derive(Deserialize)]
struct Wrapped {
    data: Peek,
}

impl Follower for Chains {
    fn hear(&mut self, text: &str) -> Option<Wish> {
        let peek = serde_json::from_str::<Wrapped>(text).ok()?.data;
        if peek.e.as_deref() != Some("depthUpdate") {
            return None;
        }
        let (symbol, u, pu) = (peek.s?, peek.u?, peek.pu?);
        let last = self.0.get(&symbol).copied();
        if last.is_some_and(|l| u <= l) {
            return None;
        }
        self.0.insert(symbol.clone(), u);
        (last != Some(pu)).then(|| Wish::Fetch(format!("/fapi/v1/depth?symbol={symbol}&limit=1000")))
    }
}
