//! Where trades are heard and fetched: one table of all exchanges, for tests that ask the same of each.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};
use xtrader_simulator::Simulator;

use crate::client::{Client, Heard, Reply, start};

/// How trades are heard and fetched somewhere.
pub struct Place {
    pub exchange: &'static str,
    /// The stream's name in the truth.
    pub stream: &'static str,
    pub symbol: &'static str,
    pub ws: &'static str,
    pub subscribe: &'static str,
    /// Where the trades are in what is heard, and in what is fetched.
    pub heard: &'static str,
    pub fetched: &'static str,
    /// Id, price and size, heard and fetched.
    pub fields: [[&'static str; 3]; 2],
    /// The request for `n` trades from an id on.
    pub request: fn(u64, u64) -> String,
}

const AGG: [&str; 3] = ["a", "p", "q"];
const OKX: [&str; 3] = ["tradeId", "px", "sz"];
const DERIBIT: [&str; 3] = ["trade_seq", "price", "amount"];
const TOPIC: &str = r#"{"op":"subscribe","args":[{"channel":"trades-all","instId":"BTC-USDT"}]}"#;
const CHANNEL: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"public/subscribe","params":{"channels":["trades.BTC-PERPETUAL.100ms"]}}"#;

pub const PLACES: [Place; 5] = [
    Place {
        exchange: "binance-futures",
        symbol: "BTCUSDT",
        stream: "btcusdt@aggTrade",
        ws: "/market/ws/btcusdt@aggTrade",
        subscribe: "",
        heard: "",
        fetched: "",
        fields: [AGG, AGG],
        request: |from, n| format!("/fapi/v1/aggTrades?symbol=BTCUSDT&fromId={from}&limit={n}"),
    },
    Place {
        exchange: "binance-spot",
        symbol: "BTCUSDT",
        stream: "btcusdt@aggTrade",
        ws: "/ws/btcusdt@aggTrade",
        subscribe: "",
        heard: "",
        fetched: "",
        fields: [AGG, AGG],
        request: |from, n| format!("/api/v3/aggTrades?symbol=BTCUSDT&fromId={from}&limit={n}"),
    },
    Place {
        exchange: "binance-spot",
        symbol: "BTCUSDT",
        stream: "btcusdt@trade",
        ws: "/ws/btcusdt@trade",
        subscribe: "",
        heard: "",
        fetched: "",
        fields: [["t", "p", "q"], ["id", "price", "qty"]],
        request: |from, n| format!("/api/v3/historicalTrades?symbol=BTCUSDT&fromId={from}&limit={n}"),
    },
    Place {
        exchange: "okx",
        symbol: "BTC-USDT",
        stream: "trades-all:BTC-USDT",
        ws: "/ws/v5/business",
        subscribe: TOPIC,
        heard: "/data",
        fetched: "/data",
        fields: [OKX, OKX],
        // Pages go back: those before an id, the newest first.
        request: |from, n| format!("/api/v5/market/history-trades?instId=BTC-USDT&type=1&after={}&limit={n}", from + n),
    },
    Place {
        exchange: "deribit",
        symbol: "BTC-PERPETUAL",
        stream: "trades.BTC-PERPETUAL.100ms",
        ws: "/ws/api/v2",
        subscribe: CHANNEL,
        heard: "/params/data",
        fetched: "/result/trades",
        fields: [DERIBIT, DERIBIT],
        request: |from, n| {
            let mut path = String::from("/api/v2/public/get_last_trades_by_instrument?instrument_name=BTC-PERPETUAL");
            let _ = write!(path, "&start_seq={from}&end_seq={}&count={n}&sorting=asc", from + n - 1);
            path
        },
    },
];

pub type Trades = BTreeMap<u64, (Value, Value)>;

/// The trades in a document, by id.
fn read(document: &Value, at: &str, [id, price, size]: [&str; 3], into: &mut Trades) {
    let Some(found) = document.pointer(at) else { return };
    for row in found.as_array().cloned().unwrap_or_else(|| vec![found.clone()]) {
        let number = row[id].as_u64().or_else(|| row[id].as_str()?.parse().ok());
        into.extend(number.map(|n| (n, (row[price].clone(), row[size].clone()))));
    }
}

impl Place {
    /// A market with this symbol alone; `more` are further keys of the configuration.
    pub fn start(&self, more: &str) -> Simulator {
        let symbol = json!({"symbol": self.symbol, "trades_per_s": 100});
        start(&format!(
            r#"{{"exchange":"{}","symbols":[{symbol}],"odd_trades":0,"block_trades":0,"book_levels":50{more}}}"#,
            self.exchange
        ))
    }

    /// A client that has asked for the trades.
    pub fn client(&self, sim: &Simulator) -> Client {
        let mut c = Client::connect(sim, self.ws);
        if !self.subscribe.is_empty() {
            c.send(self.subscribe);
        }
        c
    }

    /// Takes the trades of a text that was heard.
    pub fn read(&self, text: &str, into: &mut Trades) {
        read(&serde_json::from_str(text).expect("JSON"), self.heard, self.fields[0], into);
    }

    /// The next trades: so many at least.
    pub fn hear(&self, c: &mut Client, n: usize) -> Trades {
        let mut heard = Trades::new();
        while heard.len() < n {
            self.read(&c.text(), &mut heard);
        }
        heard
    }

    /// All trades of a market that has come to rest.
    pub fn rest(&self, c: &mut Client) -> Trades {
        let mut heard = Trades::new();
        while let Some(next) = c.hear_within(Duration::from_millis(300)) {
            if let Heard::Text(text) = next {
                self.read(&text, &mut heard);
            }
        }
        heard
    }

    pub fn fetch(&self, reply: &Reply) -> Trades {
        let mut out = Trades::new();
        read(&reply.json(), self.fetched, self.fields[1], &mut out);
        out
    }
}
