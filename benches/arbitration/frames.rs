//! Frames of the documented formats, for what no capture holds: ids and times rise from frame to frame, and so do
//! prices. Manuals are cited as "futures §n", "okx §n" and "deribit §n".
//!
//! Only what a subscription may bring: the engine asks for each symbol by itself, so neither for the mark prices of all
//! symbols in one list (`!markPrice@arr`) nor for the trades of all options (`trades.option.any`).

use std::fmt::Write;

use xtrader_core::symbol::Venue;
use xtrader_core::time::Stamp;

use crate::sources::{Line, Source};

/// Frames of each kind.
const FRAMES: u64 = 2048;
/// Milliseconds of the first frame.
const BEGIN_MS: u64 = 1_790_000_000_000;

/// Every kind.
pub fn sources() -> Vec<Source> {
    use Venue::{BinanceFutures, BinanceSpot, Deribit, Okx};
    vec![
        made(BinanceSpot, "trade", |n, ms| {
            format!(
                r#"{{"stream":"btcusdt@trade","data":{{"e":"trade","E":{ms},"s":"BTCUSDT","t":{},"p":"{}.01000000","q":"0.00035000","T":{ms},"m":true,"M":true}}}}"#,
                5_000_000_000 + n,
                price(n)
            )
        }),
        made(BinanceSpot, "bookTicker", |n, _| {
            format!(
                r#"{{"stream":"btcusdt@bookTicker","data":{{"u":{},"s":"BTCUSDT","b":"{}.01000000","B":"3.15800000","a":"{}.02000000","A":"1.04000000"}}}}"#,
                70_000_000_000 + n,
                price(n),
                price(n)
            )
        }),
        made(BinanceFutures, "aggTrade", |n, ms| agg_trade(3_000_000_000 + n, ms)),
        // futures §5.
        made(BinanceFutures, "markPrice", |n, ms| {
            format!(r#"{{"stream":"btcusdt@markPrice@1s","data":{}}}"#, mark_price("BTCUSDT", n, ms))
        }),
        // okx §4.
        made(Okx, "books", |n, ms| {
            let (action, prev) = if n == 0 { ("snapshot", -1) } else { ("update", 123_456 + n as i64 - 1) };
            let levels =
                |from: u64| levels(from, |text, price| write!(text, r#"["{price}.5","{}","0","3"]"#, 1 + n % 90));
            format!(
                r#"{{"arg":{{"channel":"books","instId":"BTC-USDT-SWAP"}},"action":"{action}","data":[{{"asks":{},"bids":{},"ts":"{ms}","checksum":0,"prevSeqId":{prev},"seqId":{}}}]}}"#,
                levels(60_100),
                levels(60_000),
                123_456 + n
            )
        }),
        made(Okx, "bbo-tbt", |n, ms| {
            format!(
                r#"{{"arg":{{"channel":"bbo-tbt","instId":"BTC-USDT-SWAP"}},"data":[{{"asks":[["{}.2","415","0","13"]],"bids":[["{}.1","256","0","12"]],"ts":"{ms}","seqId":{}}}]}}"#,
                price(n),
                price(n),
                123_456 + n
            )
        }),
        // okx §3.
        made(Okx, "trades", |n, ms| {
            let trade = okx_trade(n, ms, 3);
            format!(r#"{{"arg":{{"channel":"trades","instId":"BTC-USDT-SWAP"}},"data":[{trade}]}}"#)
        }),
        made(Okx, "trades of 3", |n, ms| {
            let rows = (0..3).map(|row| okx_trade(3 * n + row, ms, 1)).collect::<Vec<_>>().join(",");
            format!(r#"{{"arg":{{"channel":"trades","instId":"BTC-USDT-SWAP"}},"data":[{rows}]}}"#)
        }),
        // okx §5.
        made(Okx, "mark-price", |n, ms| {
            format!(
                r#"{{"arg":{{"channel":"mark-price","instId":"BTC-USDT-SWAP"}},"data":[{{"instType":"SWAP","instId":"BTC-USDT-SWAP","markPx":"{}.1","ts":"{ms}"}}]}}"#,
                price(n)
            )
        }),
        made(Okx, "open-interest", |n, ms| {
            format!(
                r#"{{"arg":{{"channel":"open-interest","instId":"BTC-USDT-SWAP"}},"data":[{{"instType":"SWAP","instId":"BTC-USDT-SWAP","oi":"{n}.1","oiCcy":"{n}.5","oiUsd":"3000000","ts":"{ms}"}}]}}"#
            )
        }),
        made(Okx, "funding-rate", |n, ms| {
            format!(
                r#"{{"arg":{{"channel":"funding-rate","instId":"BTC-USDT-SWAP"}},"data":[{{"formulaType":"noRate","fundingRate":"0.0001875391{n}","fundingTime":"1700726400000","impactValue":"","instId":"BTC-USDT-SWAP","instType":"SWAP","interestRate":"","maxFundingRate":"0.00375","method":"current_period","minFundingRate":"-0.00375","nextFundingRate":"","nextFundingTime":"1700755200000","premium":"0.0001233824646391","settFundingRate":"0.0001699799259033","settState":"settled","ts":"{ms}"}}]}}"#
            )
        }),
        made_few(Okx, "opt-summary of 200", |n, ms| {
            let rows = (0..200).map(|strike| {
                format!(r#"{{"instType":"OPTION","instId":"BTC-USD-270326-{}-C","uly":"BTC-USD","delta":"0.7494223636","gamma":"-0.6765419039","theta":"-0.0000809873","vega":"0.0000077307","deltaBS":"0.7","gammaBS":"0.0004","thetaBS":"-2.5","vegaBS":"13.1","realVol":"0","bidVol":"","askVol":"1.8","markVol":"0.65","lever":"4.0342","fwdPx":"{}.5","ts":"{ms}"}}"#, 10_000 + 500 * strike, price(n))
            });
            format!(
                r#"{{"arg":{{"channel":"opt-summary","instFamily":"BTC-USD"}},"data":[{}]}}"#,
                rows.collect::<Vec<_>>().join(",")
            )
        }),
        // deribit §4.
        made(Deribit, "book", |n, ms| {
            let id = 193_809_616_666 + 10 * n;
            let kind = if n == 0 {
                r#""type":"snapshot""#.to_owned()
            } else {
                format!(r#""type":"change","prev_change_id":{}"#, id - 10)
            };
            let action = if n == 0 { "new" } else { "change" };
            let levels =
                |from: u64| levels(from, |text, price| write!(text, r#"["{action}",{price}.5,{}.0]"#, 10 + n % 90));
            notification(
                "book.BTC-PERPETUAL.100ms",
                &format!(
                    r#"{{"timestamp":{ms},{kind},"change_id":{id},"instrument_name":"BTC-PERPETUAL","bids":{},"asks":{}}}"#,
                    levels(60_000),
                    levels(60_100)
                ),
            )
        }),
        // deribit §3.
        made(Deribit, "trades", |n, ms| {
            notification("trades.BTC-PERPETUAL.100ms", &format!("[{}]", deribit_trade(n, ms, "BTC-PERPETUAL")))
        }),
        made(Deribit, "trades of 3", |n, ms| {
            let rows = (0..3).map(|row| deribit_trade(3 * n + row, ms, "BTC-PERPETUAL")).collect::<Vec<_>>().join(",");
            notification("trades.BTC-PERPETUAL.100ms", &format!("[{rows}]"))
        }),
        // deribit §5.
        made(Deribit, "quote", |n, ms| {
            notification(
                "quote.BTC-PERPETUAL",
                &format!(
                    r#"{{"timestamp":{ms},"instrument_name":"BTC-PERPETUAL","best_ask_price":{}.5,"best_bid_price":{}.0,"best_ask_amount":99470.0,"best_bid_amount":133440.0}}"#,
                    price(n),
                    price(n)
                ),
            )
        }),
        made(Deribit, "ticker", |n, ms| {
            notification(
                "ticker.BTC-PERPETUAL.100ms",
                &format!(
                    r#"{{"timestamp":{ms},"state":"open","stats":{{"high":93666.5,"low":90897.5,"price_change":1.2,"volume":5123.1,"volume_usd":123456789.0,"volume_notional":123456789.0}},"index_price":92263.55,"instrument_name":"BTC-PERPETUAL","last_price":92283.5,"settlement_price":91100.1,"min_price":90897.5,"max_price":93666.5,"open_interest":1132329370.0,"mark_price":{}.78,"current_funding":0.00001,"funding_8h":0.0000123,"interest_value":0.0321,"estimated_delivery_price":92263.55,"best_ask_price":92284.0,"best_bid_price":92283.5,"best_ask_amount":186520.0,"best_bid_amount":117660.0}}"#,
                    price(n)
                ),
            )
        }),
        made(Deribit, "ticker of an option", |n, ms| {
            notification(
                "ticker.BTC-26MAR27-90000-C.100ms",
                &format!(
                    r#"{{"timestamp":{ms},"state":"open","stats":{{"high":0.05,"low":0.04,"price_change":1.2,"volume":51.1,"volume_usd":123456.0}},"greeks":{{"delta":0.51,"gamma":0.00002,"vega":123.4,"theta":-45.6,"rho":78.9}},"index_price":92263.55,"instrument_name":"BTC-26MAR27-90000-C","last_price":0.0455,"settlement_price":0.044,"min_price":0.02,"max_price":0.09,"open_interest":1132.1,"mark_price":0.0{},"underlying_price":92300.1,"underlying_index":"BTC-26MAR27","interest_rate":0.0,"mark_iv":51.2,"bid_iv":50.1,"ask_iv":52.3,"estimated_delivery_price":92263.55,"best_ask_price":0.046,"best_bid_price":0.045,"best_ask_amount":18.5,"best_bid_amount":11.6}}"#,
                    400 + n % 90
                ),
            )
        }),
    ]
}

impl Source {
    /// It is no recording.
    pub fn is_made(&self) -> bool {
        self.name.starts_with("made/")
    }
}

fn made(venue: Venue, kind: &str, frame: impl Fn(u64, u64) -> String) -> Source {
    made_of(FRAMES, venue, kind, frame)
}

/// Of frames that are large.
fn made_few(venue: Venue, kind: &str, frame: impl Fn(u64, u64) -> String) -> Source {
    made_of(FRAMES / 16, venue, kind, frame)
}

fn made_of(frames: u64, venue: Venue, kind: &str, frame: impl Fn(u64, u64) -> String) -> Source {
    let line = |n: u64| {
        let ms = BEGIN_MS + 100 * n;
        let wall = (ms as i64 + 5) * 1_000_000;
        Line::Frame { at: Stamp { wall, mono: wall.unsigned_abs() }, text: frame(n, ms).into_bytes() }
    };
    Source { name: format!("made/{}: {kind}", venue.id()), venue, lines: (0..frames).map(line).collect() }
}

fn price(n: u64) -> u64 {
    60_000 + n % 4096
}

/// A list of 12 levels.
fn levels(from: u64, level: impl Fn(&mut String, u64) -> std::fmt::Result) -> String {
    let mut text = String::from("[");
    for step in 0..12 {
        if step > 0 {
            text.push(',');
        }
        level(&mut text, from + step).expect("a text takes everything");
    }
    text + "]"
}

/// futures §3.
pub fn agg_trade(id: u64, ms: u64) -> String {
    format!(
        r#"{{"stream":"btcusdt@aggTrade","data":{{"e":"aggTrade","E":{ms},"a":{id},"s":"BTCUSDT","p":"{}.10","q":"0.012","nq":"0.012","f":{},"l":{},"T":{ms},"m":false,"st":1}}}}"#,
        price(id),
        2 * id,
        2 * id + 1
    )
}

fn mark_price(symbol: &str, n: u64, ms: u64) -> String {
    format!(
        r#"{{"e":"markPriceUpdate","E":{ms},"s":"{symbol}","p":"{}.10000000","ap":"{}.20000000","P":"76888.30000000","i":"76888.40000000","r":"0.00008900","T":1789488000000,"st":1}}"#,
        price(n),
        price(n)
    )
}

fn okx_trade(n: u64, ms: u64, count: u64) -> String {
    format!(
        r#"{{"instId":"BTC-USDT-SWAP","tradeId":"{}","px":"{}.9","sz":"0.12","side":"buy","ts":"{ms}","count":"{count}","source":"0","seqId":{}}}"#,
        130_639_474 + count * n,
        price(n),
        5000 + n
    )
}

fn deribit_trade(n: u64, ms: u64, name: &str) -> String {
    format!(
        r#"{{"timestamp":{ms},"price":{}.5,"direction":"buy","index_price":84319.98,"instrument_name":"{name}","trade_seq":{},"amount":8430.0,"mark_price":84292.11,"tick_direction":2,"contracts":843.0,"trade_id":"{}"}}"#,
        price(n),
        242_126_092 + n,
        356_130_000 + n
    )
}

fn notification(channel: &str, data: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"{channel}","data":{data}}}}}"#)
}
