//! `/fapi/v1/…`: depth, exchangeInfo, time, ping, aggTrades; weights, 429 and 418.

use std::fmt::Write;

use serde_json::json;

use crate::SimulatorError;
use crate::binance::messages;
use crate::book::{Book, Scales, Side, decimal_text};
use crate::clock::MS;
use crate::config::{SimulatorConfig, SymbolConfig};
use crate::event::{Event, EventKind};
use crate::truth::Truth;
use crate::venue::{RestReply, RestRequest};

/// What a depth request shows.
pub(crate) struct DepthImage {
    pub book: Book,
    pub id: u64,
    pub scales: Scales,
}

/// The REST interface: its weights, and what does not change.
pub(crate) struct Rest {
    weights: Weights,
    start_ms: i64,
    exchange_info: String,
}

struct Weights {
    per_minute: u32,
    refusals_before_ban: u32,
    ban_ms: u64,
    compression: f64,
    window: u64,
    used: u32,
    refusals: u32,
    banned_until_ms: u64,
}

const LIMITS: [usize; 7] = [5, 10, 20, 50, 100, 500, 1000];

impl Rest {
    pub(crate) fn new(config: &SimulatorConfig, start_ms: i64, exchange_info: String) -> Self {
        let weights = Weights {
            per_minute: config.limits.weight_per_minute,
            refusals_before_ban: config.limits.refusals_before_ban,
            ban_ms: (config.limits.ban_s * 1000.0 / config.time_compression) as u64,
            compression: config.time_compression,
            window: 0,
            used: 0,
            refusals: 0,
            banned_until_ms: 0,
        };
        Self { weights, start_ms, exchange_info }
    }

    pub(crate) fn start_ms(&self) -> i64 {
        self.start_ms
    }

    /// `depth` is the book of the `symbol` asked for, if there is one.
    pub(crate) fn answer(&mut self, r: &RestRequest<'_>, depth: Option<&DepthImage>, truth: &Truth) -> RestReply {
        if let Err(refused) = self.weights.spend(weight(r), r.wall_ms) {
            return refused;
        }
        let now_ms = self.start_ms + (r.now / MS) as i64;
        let mut reply = match r.path {
            "/fapi/v1/ping" => ok("{}".into()),
            "/fapi/v1/time" => ok(json!({ "serverTime": now_ms }).to_string()),
            "/fapi/v1/exchangeInfo" => ok(self.exchange_info.replace("\"$NOW\"", &now_ms.to_string())),
            "/fapi/v1/depth" => match (symbol(r), depth) {
                (Err(refused), _) => refused,
                (Ok(_), None) => bad(-1121, "Invalid symbol."),
                (Ok(_), Some(d)) => depth_reply(r, d, now_ms),
            },
            "/fapi/v1/aggTrades" => match symbol(r) {
                Err(refused) => refused,
                Ok(s) if !truth.symbols().iter().any(|t| t == s) => bad(-1121, "Invalid symbol."),
                Ok(s) => agg_trades(r, s, truth),
            },
            _ => RestReply { status: 404, ..error(-5000, &format!("Path {}, Method GET is invalid", r.path)) },
        };
        reply.headers.push(("X-MBX-USED-WEIGHT-1M".into(), self.weights.used.to_string()));
        reply
    }
}

fn symbol<'a>(r: &RestRequest<'a>) -> Result<&'a str, RestReply> {
    let found = r.query.split('&').filter_map(|p| p.split_once('=')).find(|(k, v)| *k == "symbol" && !v.is_empty());
    found
        .map(|f| f.1)
        .ok_or_else(|| bad(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."))
}

fn ok(body: String) -> RestReply {
    RestReply { status: 200, headers: Vec::new(), body, snapshot_id: None, again: false }
}

pub(crate) fn error(code: i32, message: &str) -> RestReply {
    RestReply { status: 400, ..ok(json!({ "code": code, "msg": message }).to_string()) }
}

fn bad(code: i32, message: &str) -> RestReply {
    error(code, message)
}

fn weight(r: &RestRequest<'_>) -> u32 {
    match r.path {
        "/fapi/v1/depth" => match r.parameter("limit").map(str::parse::<usize>) {
            Some(Ok(0..=50)) => 2,
            Some(Ok(51..=100)) => 5,
            Some(Ok(101..=500)) => 10,
            Some(Ok(_)) => 20,
            _ => 1,
        },
        "/fapi/v1/aggTrades" => 20,
        _ => 1,
    }
}

fn depth_reply(r: &RestRequest<'_>, d: &DepthImage, now_ms: i64) -> RestReply {
    let limit = match r.parameter("limit") {
        None => 500,
        Some(text) => match text.parse() {
            Ok(n) if LIMITS.contains(&n) => n,
            _ => {
                return bad(
                    -4021,
                    &format!("Depth limit {text} not valid, must be one of [5, 10, 20, 50, 100, 500, 1000]"),
                );
            }
        },
    };
    let mut out = String::with_capacity(100 + 60 * limit);
    let _ = write!(out, r#"{{"lastUpdateId":{},"E":{now_ms},"T":{now_ms},"bids":"#, d.id);
    messages::levels(&mut out, d.book.levels(Side::Bid).take(limit), d.scales);
    out.push_str(r#","asks":"#);
    messages::levels(&mut out, d.book.levels(Side::Ask).take(limit), d.scales);
    out.push('}');
    RestReply { snapshot_id: Some(d.id), ..ok(out) }
}

fn agg_trades(r: &RestRequest<'_>, symbol: &str, truth: &Truth) -> RestReply {
    let limit = r.parameter("limit").and_then(|l| l.parse().ok()).unwrap_or(500usize).min(1000);
    let wanted = |e: &Event| e.kind == EventKind::AggTrade && &*e.symbol == symbol;
    let rows: Vec<_> = truth.events().iter().rev().filter(|e| wanted(e)).take(limit).collect();
    let rows: Vec<serde_json::Value> = rows
        .into_iter()
        .rev()
        .filter_map(|e| serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&e.payload).ok())
        .map(|mut row| {
            row.retain(|k, _| ["a", "p", "q", "nq", "f", "l", "T", "m"].contains(&k.as_str()));
            row.into()
        })
        .collect();
    ok(serde_json::Value::from(rows).to_string())
}

impl Weights {
    /// Takes weight from the window's budget. Refusals go on costing, and too many of them are a ban.
    fn spend(&mut self, weight: u32, wall_ms: u64) -> Result<(), RestReply> {
        let compressed = wall_ms as f64 * self.compression;
        let window = (compressed / 60_000.0) as u64;
        if window != self.window {
            (self.window, self.used, self.refusals) = (window, 0, 0);
        }
        if wall_ms < self.banned_until_ms {
            return Err(self.refuse(418, self.banned_until_ms - wall_ms));
        }
        self.used = self.used.saturating_add(weight);
        if self.used <= self.per_minute {
            return Ok(());
        }
        self.refusals += 1;
        if self.refusals > self.refusals_before_ban {
            self.banned_until_ms = wall_ms + self.ban_ms;
            return Err(self.refuse(418, self.ban_ms));
        }
        let left = ((window + 1) as f64 * 60_000.0 - compressed) / self.compression;
        Err(self.refuse(429, left as u64))
    }

    fn refuse(&self, status: u16, left_ms: u64) -> RestReply {
        let retry_after = left_ms.div_ceil(1000).max(1).to_string();
        let headers = vec![("Retry-After".into(), retry_after), ("X-MBX-USED-WEIGHT-1M".into(), self.used.to_string())];
        let message = format!("Too many requests; current limit is {} request weight per 1 MINUTE.", self.per_minute);
        RestReply { status, headers, ..error(-1003, &message) }
    }
}

/// The reference data of these symbols. `"$NOW"` stands for the server's time.
pub(crate) fn exchange_info(symbols: &[SymbolConfig], start_ms: i64) -> Result<String, SimulatorError> {
    let mut rows = Vec::with_capacity(symbols.len());
    for s in symbols {
        let (scales, _, tick, lot) = s.numbers()?;
        rows.push(info_row(&s.symbol, scales, tick, lot, start_ms));
    }
    Ok(info_document(&rows))
}

pub(crate) fn info_document(rows: &[serde_json::Value]) -> String {
    json!({
        "timezone": "UTC", "serverTime": "$NOW", "futuresType": "U_MARGINED",
        "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400},
            {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
        ],
        "exchangeFilters": [], "assets": [{"asset": "USDT", "marginAvailable": true, "autoAssetExchange": "0"}],
        "symbols": rows,
    })
    .to_string()
}

pub(crate) fn info_row(symbol: &str, scales: Scales, tick: i64, lot: i64, start_ms: i64) -> serde_json::Value {
    const QUOTES: [&str; 4] = ["USDT", "USDC", "BUSD", "BTC"];
    let (pair, delivery) = symbol.split_once('_').map_or((symbol, None), |(p, d)| (p, Some(d)));
    let quote = QUOTES.into_iter().find(|q| pair.len() > q.len() && pair.ends_with(q)).unwrap_or("USDT");
    let base = pair.strip_suffix(quote).unwrap_or(pair);
    let delivery_ms = delivery.and_then(delivery_ms).unwrap_or(4_133_404_800_000);
    let (price, size) = (|m| decimal_text(m, scales.price), |m| decimal_text(m, scales.size));
    json!({
        "symbol": symbol, "pair": pair,
        "contractType": if delivery.is_some() { "CURRENT_QUARTER" } else { "PERPETUAL" },
        "deliveryDate": delivery_ms, "onboardDate": 1_569_398_400_000i64.min(start_ms),
        "status": "TRADING", "maintMarginPercent": "2.5000", "requiredMarginPercent": "5.0000",
        "baseAsset": base, "quoteAsset": quote, "marginAsset": quote,
        "pricePrecision": scales.price, "quantityPrecision": scales.size,
        "baseAssetPrecision": 8, "quotePrecision": 8,
        "underlyingType": "COIN", "underlyingSubType": [], "triggerProtect": "0.0500", "liquidationFee": "0.012500",
        "marketTakeBound": "0.05", "maxMoveOrderLimit": 10000,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": price(tick), "maxPrice": price(tick.saturating_mul(10_000_000)), "tickSize": price(tick)},
            {"filterType": "LOT_SIZE", "minQty": size(lot), "maxQty": size(lot.saturating_mul(1_000_000)), "stepSize": size(lot)},
            {"filterType": "MARKET_LOT_SIZE", "minQty": size(lot), "maxQty": size(lot.saturating_mul(100_000)), "stepSize": size(lot)},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "TAKE_PROFIT"], "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    })
}

/// `261225` is 2026-12-25 08:00 UTC.
fn delivery_ms(text: &str) -> Option<i64> {
    if text.len() != 6 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = |i: usize| text.get(i..i + 2)?.parse::<i64>().ok();
    let (y, m, d) = (2000 + part(0)?, part(2)?, part(4)?);
    // Days from civil (Hinnant): years begin in March.
    let (y, m) = if m <= 2 { (y - 1, m + 9) } else { (y, m - 3) };
    let era = y / 400;
    let yoe = y % 400;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + (153 * m + 2) / 5 + d - 1;
    Some((era * 146_097 + doe - 719_468) * 86_400_000 + 8 * 3_600_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TruthConfig;

    fn rest(weight_per_minute: u32) -> Rest {
        let mut config = SimulatorConfig::default();
        config.limits.weight_per_minute = weight_per_minute;
        config.limits.refusals_before_ban = 2;
        let info = exchange_info(&config.symbols, 1_790_000_000_000).expect("info");
        Rest::new(&config, 1_790_000_000_000, info)
    }

    fn ask(rest: &mut Rest, path: &str, query: &str, wall_ms: u64) -> RestReply {
        let mut book = Book::default();
        for i in 0..700 {
            book.set(Side::Bid, 1000 - i, 1);
            book.set(Side::Ask, 1001 + i, 2);
        }
        let image = DepthImage { book, id: 77, scales: Scales { price: 1, size: 0 } };
        let known = query.contains("symbol=BTCUSDT");
        let request = RestRequest { path, query, now: 0, wall_ms };
        rest.answer(&request, known.then_some(&image), &Truth::new(TruthConfig::default()))
    }

    #[test]
    fn depth_has_the_levels_asked_for() {
        let mut r = rest(2400);
        for (query, levels) in
            [("symbol=BTCUSDT&limit=5", 5), ("symbol=BTCUSDT", 500), ("limit=1000&symbol=BTCUSDT", 700)]
        {
            let reply = ask(&mut r, "/fapi/v1/depth", query, 0);
            let v: serde_json::Value = serde_json::from_str(&reply.body).expect("JSON");
            assert_eq!((reply.status, &v["lastUpdateId"]), (200, &json!(77)));
            assert_eq!((v["bids"].as_array().map(Vec::len), &v["bids"][0]), (Some(levels), &json!(["100.0", "1"])));
        }
        let code = |q: &str, r: &mut Rest| -> serde_json::Value {
            let reply = ask(r, "/fapi/v1/depth", q, 0);
            assert_eq!(reply.status, 400);
            serde_json::from_str::<serde_json::Value>(&reply.body).expect("JSON")["code"].clone()
        };
        assert_eq!(code("symbol=XUSDT", &mut r), -1121);
        assert_eq!(code("symbol=BTCUSDT&limit=7", &mut r), -4021);
        assert_eq!(code("limit=5", &mut r), -1102);
    }

    #[test]
    fn weights_add_up_and_a_minute_clears_them() {
        let mut r = rest(40);
        let used =
            |reply: &RestReply| reply.headers.iter().find(|h| h.0 == "X-MBX-USED-WEIGHT-1M").map(|h| h.1.clone());
        let depth = |r: &mut Rest, at| ask(r, "/fapi/v1/depth", "symbol=BTCUSDT&limit=1000", at);
        assert_eq!(used(&depth(&mut r, 0)).as_deref(), Some("20"));
        assert_eq!(used(&depth(&mut r, 0)).as_deref(), Some("40"));
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
        let v: serde_json::Value = serde_json::from_str(&reply.body).expect("JSON");
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
