//! How a plain client follows Binance: it subscribes by path, and fetches a snapshot after the first update of a book and
//! after each break of its chain.

use std::collections::HashMap;

use serde::Deserialize;

use crate::binance::dialect::{self, Dialect, Product};
use crate::binance::streams::symbol_stream;
use crate::recorder::{Followed, Follower, Recipe, RecordRequest, Wish};

pub(crate) fn recipe(dialect: &Dialect, request: &RecordRequest, symbols: &[String]) -> Recipe {
    let depth = symbols.iter().map(|s| symbol_stream(s, request.depth_speed));
    let lower = || symbols.iter().map(|s| s.to_lowercase());
    let mut books: Vec<String> = depth.chain(lower().map(|s| format!("{s}@bookTicker"))).collect();
    if request.single_trades {
        books.extend(lower().map(|s| format!("{s}@trade")));
    }
    let rows: Vec<String> = lower().map(|s| format!("{s}@aggTrade")).collect();
    let follow = |name, family: &str, streams: &[String], follower: fn() -> _| Followed {
        name,
        path: format!("{family}/stream?streams={}", streams.join("/")),
        hello: Vec::new(),
        follower,
    };
    let connections = match dialect.product {
        Product::Futures => vec![
            follow(dialect.books, "/public", &books, || chains(&dialect::FUTURES)),
            follow(dialect.rows, "/market", &rows, || chains(&dialect::FUTURES)),
        ],
        Product::Spot => vec![follow(dialect.books, "", &[books, rows].concat(), || chains(&dialect::SPOT))],
    };
    Recipe { first: vec![format!("{}/exchangeInfo", dialect.rest)], connections }
}

fn chains(dialect: &'static Dialect) -> Box<dyn Follower> {
    Box::new(Chains { dialect, last: HashMap::new() })
}

/// The last id of each book on one connection.
struct Chains {
    dialect: &'static Dialect,
    last: HashMap<String, u64>,
}

/// What is read of a frame.
#[derive(Deserialize)]
struct Peek {
    e: Option<String>,
    s: Option<String>,
    #[serde(rename = "U")]
    first: Option<u64>,
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
        let (symbol, u) = (peek.s?, peek.u?);
        let prev = peek.pu.or_else(|| peek.first?.checked_sub(1))?;
        let last = self.last.get(&symbol).copied();
        if last.is_some_and(|l| u <= l) {
            return None;
        }
        self.last.insert(symbol.clone(), u);
        let path = || format!("{}/depth?symbol={symbol}&limit={}", self.dialect.rest, self.dialect.depth.most());
        (last != Some(prev)).then(|| Wish::Fetch(path()))
    }
}
