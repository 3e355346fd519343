//! `/fapi/v1/…` and `/api/v3/…`: depth, exchangeInfo, trades, time, ping; weights, 429 and 418.

mod reference;
mod weights;

use std::fmt::Write;

use serde_json::{Value, json};

use crate::binance::dialect::{Dialect, Product};
use crate::binance::messages::{self, MarkPrice};
use crate::book::{Book, Scales, Side};
use crate::clock::MS;
use crate::config::SimulatorConfig;
use crate::event::{Event, EventKind, Figures};
use crate::truth::{Roll, Truth};
use crate::venue::{RestReply, RestRequest};
pub(crate) use reference::Instrument;
use weights::Weights;

/// What a depth request shows.
pub(crate) struct DepthImage {
    pub book: Book,
    /// `None` for a book that has not begun.
    pub id: Option<u64>,
    pub scales: Scales,
}

/// A contract's mark price, and its open interest as text.
pub(crate) struct ContractRow {
    pub mark: MarkPrice,
    pub open_interest: String,
}

/// What the exchange has at hand for a request.
pub(crate) struct AtHand<'a> {
    /// The book of the symbol asked for.
    pub depth: Option<DepthImage>,
    /// All contracts, or the one asked for.
    pub contracts: Vec<ContractRow>,
    pub truth: &'a Truth,
}

/// The REST interface: its weights, and the reference data.
pub(crate) struct Rest {
    dialect: &'static Dialect,
    weights: Weights,
    weight_per_minute: u32,
    /// Age in ms beyond which a trade is too old to be told (§2).
    trades_ms: Option<i64>,
    start_ms: i64,
    reference: Reference,
}

/// Where reference data come from.
pub(crate) enum Reference {
    Instruments(Vec<Instrument>),
    /// A recorded document, served as it is.
    Recorded(String),
}

impl Rest {
    pub(crate) fn new(
        dialect: &'static Dialect,
        config: &SimulatorConfig,
        start_ms: i64,
        reference: Reference,
    ) -> Self {
        let weight_per_minute = config.limits.weight_per_minute;
        let trades_ms = dialect.trades_hours.map(|h| (f64::from(h) * 3_600_000.0 / config.time_compression) as i64);
        Self { dialect, weights: Weights::new(config), weight_per_minute, trades_ms, start_ms, reference }
    }

    pub(crate) fn start_ms(&self) -> i64 {
        self.start_ms
    }

    /// An instrument is listed.
    pub(crate) fn list(&mut self, instrument: Instrument) {
        if let Reference::Instruments(list) = &mut self.reference {
            list.push(instrument);
        }
    }

    pub(crate) fn delist(&mut self, symbol: &str) {
        if let Reference::Instruments(list) = &mut self.reference {
            list.retain(|i| i.symbol != symbol);
        }
    }

    pub(crate) fn set_status(&mut self, symbol: &str, status: &str) {
        if let Reference::Instruments(list) = &mut self.reference {
            list.iter_mut().filter(|i| i.symbol == symbol).for_each(|i| status.clone_into(&mut i.status));
        }
    }

    pub(crate) fn answer(&mut self, r: &RestRequest<'_>, at_hand: &AtHand<'_>) -> RestReply {
        let endpoint = r.path.strip_prefix(self.dialect.rest).unwrap_or("");
        if let Err(refused) = self.weights.spend(self.weight(r, endpoint), r.wall_ms) {
            return refused;
        }
        let now_ms = self.start_ms + (r.now / MS) as i64;
        let mut reply = self.content(r, endpoint, at_hand, now_ms).unwrap_or_else(|refused| refused);
        reply.headers.push(("X-MBX-USED-WEIGHT-1M".into(), self.weights.used().to_string()));
        reply
    }

    fn weight(&self, r: &RestRequest<'_>, endpoint: &str) -> u32 {
        match endpoint {
            // What is no number is refused, and costs as the least does.
            "/depth" => self.dialect.depth.weight(r.parameter("limit").map(|l| l.parse().unwrap_or(0))),
            "/premiumIndex" if r.parameter("symbol").is_none() => 10,
            _ => self.dialect.weights.iter().find(|w| w.0 == endpoint).map_or(1, |w| w.1),
        }
    }

    fn content(
        &self,
        r: &RestRequest<'_>,
        endpoint: &str,
        at_hand: &AtHand<'_>,
        now_ms: i64,
    ) -> Result<RestReply, RestReply> {
        let spot = self.dialect.product == Product::Spot;
        let known = |s: &str| at_hand.truth.symbols().iter().any(|t| t == s);
        let symbol = || {
            let symbol = r.parameter("symbol").filter(|s| !s.is_empty()).ok_or_else(no_symbol)?;
            if known(symbol) && self.is_listed(symbol) { Ok(symbol) } else { Err(bad_symbol()) }
        };
        match endpoint {
            "/ping" => Ok(ok("{}".into())),
            "/time" => Ok(ok(json!({ "serverTime": now_ms }).to_string())),
            "/exchangeInfo" => Ok(ok(self.exchange_info(r.parameter("symbol"), now_ms)?)),
            "/depth" => {
                r.parameter("symbol").filter(|s| !s.is_empty()).ok_or_else(no_symbol)?;
                let image = at_hand.depth.as_ref().ok_or_else(bad_symbol)?;
                depth_reply(self.dialect, r, image, now_ms)
            }
            "/aggTrades" => self.trades(r, symbol()?, at_hand.truth, EventKind::AggTrade, now_ms, |mut row| {
                row.retain(|k, _| ["a", "p", "q", "nq", "f", "l", "T", "m", "M"].contains(&k.as_str()));
                row.into()
            }),
            "/trades" | "/historicalTrades" if spot => {
                self.trades(r, symbol()?, at_hand.truth, EventKind::Trade, now_ms, |row| {
                    let number = |key: &str| row[key].as_str().and_then(|t| t.parse::<f64>().ok()).unwrap_or(0.0);
                    json!({
                        "id": row["t"], "price": row["p"], "qty": row["q"],
                        "quoteQty": format!("{:.8}", number("p") * number("q")),
                        "time": row["T"], "isBuyerMaker": row["m"], "isBestMatch": true,
                    })
                })
            }
            "/premiumIndex" if !spot => {
                let rows: Vec<Value> = at_hand.contracts.iter().map(|c| premium_index(&c.mark, now_ms)).collect();
                match r.parameter("symbol") {
                    None => Ok(ok(Value::from(rows).to_string())),
                    Some(_) => rows.first().map(|row| ok(row.to_string())).ok_or_else(bad_symbol),
                }
            }
            "/openInterest" if !spot => {
                let symbol = symbol()?;
                let row = at_hand.contracts.first().ok_or_else(bad_symbol)?;
                let values = [("open_interest", row.open_interest.clone()), ("time", now_ms.to_string())];
                let body = json!({"symbol": symbol, "openInterest": row.open_interest, "time": now_ms}).to_string();
                Ok(RestReply { figures: vec![Figures::new(symbol, values)], ..ok(body) })
            }
            _ => Err(RestReply { status: 404, ..error(-5000, &format!("Path {}, Method GET is invalid", r.path)) }),
        }
    }

    pub(crate) fn is_listed(&self, symbol: &str) -> bool {
        match &self.reference {
            Reference::Instruments(list) => list.iter().any(|i| i.symbol == symbol),
            Reference::Recorded(_) => true,
        }
    }

    /// The last rows of a trade stream, or those from `fromId` on; of `/trades` always the last ones.
    fn trades(
        &self,
        r: &RestRequest<'_>,
        symbol: &str,
        truth: &Truth,
        kind: EventKind,
        now_ms: i64,
        form: impl Fn(Row) -> Value,
    ) -> Result<RestReply, RestReply> {
        let limit = whole(r, "limit")?.unwrap_or(SOME_TRADES).min(MOST_TRADES) as usize;
        let from = if r.path.ends_with("/trades") { None } else { whole(r, "fromId")? };
        let roll = truth.history(kind, symbol);
        let row = |e: &Event| serde_json::from_str::<Row>(&e.payload).ok();
        let rows: Vec<Row> = match from {
            Some(from) if self.too_old(roll, from, now_ms) => {
                return Err(error(-4166, "Search window is restricted to the last 48 hours."));
            }
            Some(from) => roll.from(from).take(limit).filter_map(row).collect(),
            None => {
                let mut last: Vec<Row> = roll.newest().take(limit).filter_map(row).collect();
                last.reverse();
                last
            }
        };
        Ok(ok(Value::from(rows.into_iter().map(form).collect::<Vec<_>>()).to_string()))
    }

    /// Where trades are told for some time only, older ones are refused; elsewhere the oldest there are come instead.
    fn too_old(&self, roll: &Roll, from: u64, now_ms: i64) -> bool {
        let Some(age) = self.trades_ms else { return false };
        let first = roll.from(from).next().filter(|e| e.first_id <= from);
        roll.has_forgotten(from) || first.is_some_and(|e| e.event_ms < now_ms.saturating_sub(age))
    }

    fn exchange_info(&self, symbol: Option<&str>, now_ms: i64) -> Result<String, RestReply> {
        match &self.reference {
            Reference::Recorded(document) => Ok(document.clone()),
            Reference::Instruments(list) => {
                // Futures ignore the parameter: they always tell everything.
                let wanted = symbol.filter(|_| self.dialect.product == Product::Spot);
                let rows: Vec<Value> = list
                    .iter()
                    .filter(|i| wanted.is_none_or(|w| w == i.symbol))
                    .map(|i| reference::row(self.dialect, i))
                    .collect();
                if wanted.is_some() && rows.is_empty() {
                    return Err(bad_symbol());
                }
                Ok(reference::document(self.dialect, &rows, now_ms, self.weight_per_minute))
            }
        }
    }
}

fn no_symbol() -> RestReply {
    error(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
}

fn bad_symbol() -> RestReply {
    error(-1121, "Invalid symbol.")
}

fn ok(body: String) -> RestReply {
    RestReply { status: 200, headers: Vec::new(), body, snapshot_id: None, figures: Vec::new(), again: false }
}

pub(crate) fn error(code: i32, message: &str) -> RestReply {
    RestReply { status: 400, ..ok(json!({ "code": code, "msg": message }).to_string()) }
}

fn depth_reply(dialect: &Dialect, r: &RestRequest<'_>, d: &DepthImage, now_ms: i64) -> Result<RestReply, RestReply> {
    let limits = &dialect.depth;
    let limit = match r.parameter("limit").map(|text| (text, text.parse::<usize>())) {
        None => limits.default,
        Some((_, Ok(n))) if limits.allowed.contains(&n) => n,
        Some((_, Ok(n))) if limits.allowed.is_empty() && n > 0 => n.min(limits.most()),
        Some(_) if limits.allowed.is_empty() => {
            return Err(error(-1100, "Illegal characters found in parameter 'limit'."));
        }
        Some((text, _)) => {
            let allowed = limits.allowed;
            return Err(error(-4021, &format!("Depth limit {text} not valid, must be one of {allowed:?}")));
        }
    };
    let mut out = String::with_capacity(100 + 60 * limit);
    // Spot says -1 of a book that has not begun (§4), and never a time.
    let _ = match d.id {
        Some(id) => write!(out, r#"{{"lastUpdateId":{id},"#),
        None => write!(out, r#"{{"lastUpdateId":-1,"#),
    };
    if dialect.product == Product::Futures {
        let _ = write!(out, r#""E":{now_ms},"T":{now_ms},"#);
    }
    out.push_str(r#""bids":"#);
    messages::levels(&mut out, d.book.levels(Side::Bid).take(limit), d.scales);
    out.push_str(r#","asks":"#);
    messages::levels(&mut out, d.book.levels(Side::Ask).take(limit), d.scales);
    out.push('}');
    Ok(RestReply { snapshot_id: d.id, ..ok(out) })
}

type Row = serde_json::Map<String, Value>;

/// Most trades in one reply (§3 of both manuals), and those that come unasked.
const MOST_TRADES: u64 = 1000;
const SOME_TRADES: u64 = 500;

/// A parameter that is a number, where it is given.
fn whole(r: &RestRequest<'_>, name: &str) -> Result<Option<u64>, RestReply> {
    let wrong = |_| error(-1100, &format!("Illegal characters found in parameter '{name}'."));
    r.parameter(name).map(|text| text.parse().map_err(wrong)).transpose()
}

fn premium_index(m: &MarkPrice, now_ms: i64) -> Value {
    json!({
        "symbol": m.symbol, "markPrice": m.mark, "indexPrice": m.index, "estimatedSettlePrice": m.settlement,
        "lastFundingRate": if m.rate.is_empty() { "0.00000000" } else { &m.rate },
        "interestRate": "0.00010000", "nextFundingTime": m.next_funding_ms, "time": now_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binance::dialect::{FUTURES, SPOT};
    use crate::config::TruthConfig;
    use crate::exchange::ExchangeName;

    const START_MS: i64 = 1_790_000_000_000;

    fn rest_of(dialect: &'static Dialect, exchange: ExchangeName, weight_per_minute: u32) -> Rest {
        let mut config = SimulatorConfig::of(exchange);
        config.limits.weight_per_minute = weight_per_minute;
        config.limits.refusals_before_ban = 2;
        let instrument = |s| Instrument::new(dialect, s, START_MS).expect("an instrument");
        let instruments = config.symbols.iter().map(instrument).collect();
        Rest::new(dialect, &config, START_MS, Reference::Instruments(instruments))
    }

    fn rest(weight_per_minute: u32) -> Rest {
        rest_of(&FUTURES, ExchangeName::BinanceFutures, weight_per_minute)
    }

    fn ask(rest: &mut Rest, path: &str, query: &str, wall_ms: u64) -> RestReply {
        let mut book = Book::default();
        for i in 0..700 {
            book.set(Side::Bid, 1000 - i, 1);
            book.set(Side::Ask, 1001 + i, 2);
        }
        let image = DepthImage { book, id: Some(77), scales: Scales { price: 1, size: 0 } };
        let known = query.contains("symbol=BTCUSDT");
        let request = RestRequest { path, query, now: 0, wall_ms };
        let truth = Truth::new(TruthConfig::default());
        rest.answer(&request, &AtHand { depth: known.then_some(image), contracts: Vec::new(), truth: &truth })
    }

    #[test]
    fn depth_has_the_levels_asked_for() {
        let mut r = rest(2400);
        for (query, levels) in
            [("symbol=BTCUSDT&limit=5", 5), ("symbol=BTCUSDT", 500), ("limit=1000&symbol=BTCUSDT", 700)]
        {
            let reply = ask(&mut r, "/fapi/v1/depth", query, 0);
            let v: Value = serde_json::from_str(&reply.body).expect("JSON");
            assert_eq!((reply.status, &v["lastUpdateId"]), (200, &json!(77)));
            assert_eq!((v["bids"].as_array().map(Vec::len), &v["bids"][0]), (Some(levels), &json!(["100.0", "1"])));
        }
        let code = |q: &str, r: &mut Rest| -> Value {
            let reply = ask(r, "/fapi/v1/depth", q, 0);
            assert_eq!(reply.status, 400);
            serde_json::from_str::<Value>(&reply.body).expect("JSON")["code"].clone()
        };
        assert_eq!(code("symbol=XUSDT", &mut r), -1121);
        assert_eq!(code("symbol=BTCUSDT&limit=7", &mut r), -4021);
        assert_eq!(code("limit=5", &mut r), -1102);
    }

    fn used(reply: &RestReply) -> Option<&str> {
        reply.headers.iter().find(|h| h.0 == "X-MBX-USED-WEIGHT-1M").map(|h| &*h.1)
    }

    #[test]
    fn spot_has_its_own_limits_weights_and_form() {
        for (query, levels, weight) in [
            ("symbol=BTCUSDT", 100, "5"),
            ("symbol=BTCUSDT&limit=7", 7, "5"),
            ("symbol=BTCUSDT&limit=101", 101, "25"),
            ("symbol=BTCUSDT&limit=1000", 700, "50"),
            ("symbol=BTCUSDT&limit=9999", 700, "250"),
        ] {
            let mut r = rest_of(&SPOT, ExchangeName::BinanceSpot, 6000);
            let reply = ask(&mut r, "/api/v3/depth", query, 0);
            let v: Value = serde_json::from_str(&reply.body).expect("JSON");
            assert_eq!((v["bids"].as_array().map(Vec::len), used(&reply)), (Some(levels), Some(weight)), "{query}");
            assert!(v.get("E").is_none());
        }
        let mut r = rest_of(&SPOT, ExchangeName::BinanceSpot, 6000);
        let reply = ask(&mut r, "/api/v3/exchangeInfo", "", 0);
        assert_eq!(used(&reply), Some("20"));
        let v: Value = serde_json::from_str(&reply.body).expect("JSON");
        assert_eq!(v["symbols"].as_array().map(Vec::len), Some(4));
        let v: Value =
            serde_json::from_str(&ask(&mut r, "/api/v3/exchangeInfo", "symbol=ETHBTC", 0).body).expect("JSON");
        assert_eq!((&v["symbols"][0]["quoteAsset"], &v["symbols"][0]["status"]), (&json!("BTC"), &json!("TRADING")));
        assert_eq!(ask(&mut r, "/api/v3/exchangeInfo", "symbol=NO", 0).status, 400);
        assert_eq!(ask(&mut r, "/fapi/v1/time", "", 0).status, 404);
    }

    #[test]
    fn weights_add_up_and_a_minute_clears_them() {
        let mut r = rest(40);
        let depth = |r: &mut Rest, at| ask(r, "/fapi/v1/depth", "symbol=BTCUSDT&limit=1000", at);
        assert_eq!(used(&depth(&mut r, 0)), Some("20"));
        assert_eq!(used(&depth(&mut r, 0)), Some("40"));
        let refused = depth(&mut r, 30_000);
        assert_eq!((refused.status, &*refused.headers[0].0, &*refused.headers[0].1), (429, "Retry-After", "30"));
        assert_eq!(depth(&mut r, 60_000).status, 200);
    }

    #[test]
    fn who_goes_on_asking_is_banned() {
        let mut r = rest(1);
        let status = |r: &mut Rest, at| ask(r, "/fapi/v1/time", "", at).status;
        let all: Vec<u16> = (0..5).map(|_| status(&mut r, 0)).collect();
        assert_eq!(all, [200, 429, 429, 418, 418]);
        assert_eq!((status(&mut r, 119_999), status(&mut r, 120_000)), (418, 200));
    }

    #[test]
    fn reference_data_tells_perpetuals_from_dated_futures() {
        let reply = ask(&mut rest(2400), "/fapi/v1/exchangeInfo", "", 0);
        let v: Value = serde_json::from_str(&reply.body).expect("JSON");
        assert_eq!(v["serverTime"], 1_790_000_000_000i64);
        let (perp, dated) = (&v["symbols"][0], &v["symbols"][3]);
        assert_eq!(
            (&perp["symbol"], &perp["contractType"], &perp["baseAsset"]),
            (&json!("BTCUSDT"), &json!("PERPETUAL"), &json!("BTC"))
        );
        assert_eq!((&dated["pair"], &dated["deliveryDate"]), (&json!("BTCUSDT"), &json!(1_798_185_600_000i64)));
        assert_eq!(perp["filters"][0]["tickSize"], "0.10");
    }
}
