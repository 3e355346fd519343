//! A steady feed of every exchange, as its manual writes it: three levels a side whose sizes change, trades, quotes.

use xtrader_core::config::Stream;
use xtrader_core::symbol::Venue;

/// Steps of a feed, each of a few frames, until everything has its size; and as many after that.
pub const STEPS: i64 = 2000;
/// Milliseconds of the first event.
const BEGIN: i64 = 1_795_348_000_000;

/// The frames of one exchange.
pub struct Feed {
    /// What it is called here.
    pub name: &'static str,
    /// Whose it is.
    pub venue: Venue,
    /// The reply that starts the book, where REST has it.
    pub snapshot: Option<(&'static str, String)>,
    /// The frames of a step; those of the first one open the book.
    pub frames: fn(i64) -> Vec<String>,
    /// Its books say their checksums.
    pub has_checksums: bool,
}

/// One for each form that an exchange's frames have.
pub fn all() -> Vec<Feed> {
    let binance = |levels: &str| format!(r#"{{"lastUpdateId":100,"bids":[{levels}],"asks":[["100.50","3.0"]]}}"#);
    let feed = |name, venue, snapshot, frames| Feed { name, venue, snapshot, frames, has_checksums: false };
    let (spot, futures) = (Venue::BinanceSpot, Venue::BinanceFutures);
    let depth = binance(r#"["100.40","1.0"],["100.30","2.0"]"#);
    vec![
        feed(
            "Binance futures",
            futures,
            Some(("https://fapi.binance.com/fapi/v1/depth?symbol=BTCUSDT&limit=1000", depth.clone())),
            binance_futures,
        ),
        feed(
            "Binance spot",
            spot,
            Some(("https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=5000", depth)),
            binance_spot,
        ),
        feed("OKX, ids", Venue::Okx, None, okx_ids),
        Feed { has_checksums: true, ..feed("OKX, ids and checksums", Venue::Okx, None, okx_ids_and_checksums) },
        Feed { has_checksums: true, ..feed("OKX, checksums alone", Venue::Okx, None, okx_checksums) },
        feed("Deribit", Venue::Deribit, None, deribit),
    ]
}

/// What an exchange says of an instrument as it is, one row a frame.
pub struct States {
    /// What it is called here.
    pub name: &'static str,
    /// Whose it is.
    pub venue: Venue,
    /// The stream that it is of.
    pub stream: Stream,
    /// The frame of a step.
    pub frame: fn(i64) -> String,
}

/// One for each form that they have.
pub fn states() -> Vec<States> {
    let states = |name, venue, stream, frame| States { name, venue, stream, frame };
    vec![
        states("Binance futures, mark price", Venue::BinanceFutures, Stream::Derivatives, |step| {
            let ms = BEGIN + step;
            format!(
                r#"{{"stream":"btcusdt@markPrice@1s","data":{{"e":"markPriceUpdate","E":{ms},"s":"BTCUSDT","p":"76888.1","ap":"1.0","P":"1.0","i":"1.5","r":"0.000089","T":1795489600000}}}}"#
            )
        }),
        states("Binance futures, liquidation", Venue::BinanceFutures, Stream::Liquidations, |step| {
            let (ms, price) = (BEGIN + step, 1000 + step % 7);
            format!(
                r#"{{"stream":"btcusdt@forceOrder","data":{{"e":"forceOrder","E":{ms},"o":{{"s":"BTCUSDT","S":"SELL","o":"LIMIT","f":"IOC","q":"1","p":"99","ap":"{price}","X":"FILLED","l":"1","z":"1","T":{ms}}}}}}}"#
            )
        }),
        states("OKX, mark price", Venue::Okx, Stream::Derivatives, |step| {
            let (ms, price) = (BEGIN + step, 1000 + step % 7);
            format!(
                r#"{{"arg":{{"channel":"mark-price","instId":"BTC-USDT-SWAP"}},"data":[{{"instType":"SWAP","instId":"BTC-USDT-SWAP","markPx":"{price}.5","ts":"{ms}"}}]}}"#
            )
        }),
        states("OKX, mark price of an option", Venue::Okx, Stream::Options, |step| {
            let (ms, price) = (BEGIN + step, 1000 + step % 7);
            format!(
                r#"{{"arg":{{"channel":"mark-price","instId":"BTC-USD-261225-100000-C"}},"data":[{{"instType":"OPTION","instId":"BTC-USD-261225-100000-C","markPx":"0.{price}","ts":"{ms}"}}]}}"#
            )
        }),
        states("OKX, liquidation", Venue::Okx, Stream::Liquidations, |step| {
            let (ms, price) = (BEGIN + step, 1000 + step % 997);
            format!(
                r#"{{"arg":{{"channel":"liquidation-orders","instType":"SWAP"}},"data":[{{"details":[{{"bkLoss":"0","bkPx":"0.{price}","ccy":"","posSide":"short","side":"buy","sz":"13","ts":"{ms}"}}],"instFamily":"BTC-USDT","instId":"BTC-USDT-SWAP","instType":"SWAP","uly":"BTC-USDT"}}]}}"#
            )
        }),
        states("Deribit, ticker", Venue::Deribit, Stream::Derivatives, |step| {
            let ms = BEGIN + step;
            format!(
                r#"{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"ticker.BTC-PERPETUAL.100ms","data":{{"timestamp":{ms},"state":"open","index_price":92263.55,"instrument_name":"BTC-PERPETUAL","last_price":92283.5,"open_interest":1132329370.0,"mark_price":92281.78,"best_ask_price":92284.0,"best_bid_price":92283.5,"current_funding":0.00001,"funding_8h":0.00002}}}}}}"#
            )
        }),
        states("Deribit, ticker of an option", Venue::Deribit, Stream::Options, |step| {
            let ms = BEGIN + step;
            format!(
                r#"{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"ticker.BTC-25DEC26-100000-C.100ms","data":{{"timestamp":{ms},"state":"open","index_price":92263.55,"underlying_price":92300.1,"instrument_name":"BTC-25DEC26-100000-C","last_price":0.05,"open_interest":11.0,"mark_price":0.0512,"mark_iv":55.2,"bid_iv":54.1,"ask_iv":56.3,"greeks":{{"delta":0.5,"gamma":0.0001,"vega":100.5,"theta":-30.2,"rho":1.0}}}}}}}}"#
            )
        }),
    ]
}

/// The size of the level that a step changes: three digits and more, and never the one before.
fn size(step: i64) -> String {
    format!("{}.{}", 1 + step % 97, 1 + step % 9)
}

/// The price of a level, `n` ticks off the best one.
fn price(is_bid: bool, n: i64) -> String {
    if is_bid { format!("100.{}", 4 - n) } else { format!("100.{}", 5 + n) }
}

fn binance_futures(step: i64) -> Vec<String> {
    let (ms, last, q) = (BEGIN + step, 101 + 2 * step, size(step));
    let (p, a) = (price(true, step % 3), price(false, step % 3));
    let (first, prev) = (last - 1, last - 2);
    vec![
        format!(
            r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":{ms},"T":{ms},"s":"BTCUSDT","U":{first},"u":{last},"pu":{prev},"b":[["{p}","{q}"]],"a":[["{a}","{q}"]]}}}}"#
        ),
        format!(
            r#"{{"stream":"btcusdt@aggTrade","data":{{"e":"aggTrade","E":{ms},"a":{step},"s":"BTCUSDT","p":"{p}","q":"{q}","f":{step},"l":{step},"T":{ms},"m":true}}}}"#
        ),
        format!(
            r#"{{"stream":"btcusdt@bookTicker","data":{{"e":"bookTicker","u":{last},"s":"BTCUSDT","b":"{p}","B":"{q}","a":"{a}","A":"{q}","T":{ms},"E":{ms}}}}}"#
        ),
    ]
}

fn binance_spot(step: i64) -> Vec<String> {
    let (ms, last, q) = (BEGIN + step, 102 + 2 * step, size(step));
    let (p, a) = (price(true, step % 3), price(false, step % 3));
    let first = last - 1;
    vec![
        format!(
            r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":{ms},"s":"BTCUSDT","U":{first},"u":{last},"b":[["{p}","{q}"]],"a":[["{a}","{q}"]]}}}}"#
        ),
        format!(
            r#"{{"stream":"btcusdt@trade","data":{{"e":"trade","E":{ms},"s":"BTCUSDT","t":{step},"p":"{p}","q":"{q}","T":{ms},"m":true,"M":true}}}}"#
        ),
        format!(
            r#"{{"stream":"btcusdt@bookTicker","data":{{"u":{last},"s":"BTCUSDT","b":"{p}","B":"{q}","a":"{a}","A":"{q}"}}}}"#
        ),
    ]
}

/// The book of a step: every level has the size of the last step that changed it.
fn okx_book(step: i64) -> [Vec<(String, String)>; 2] {
    [true, false].map(|is_bid| {
        (0..3)
            .map(|n| {
                let changed = (0..3).map(|back| step - back).find(|step| step % 3 == n && *step >= 0);
                (price(is_bid, n), size(changed.unwrap_or(n)))
            })
            .collect()
    })
}

fn okx_checksum(step: i64) -> i32 {
    let [bids, asks] = okx_book(step);
    let texts: Vec<String> = bids.iter().zip(&asks).map(|((b, bq), (a, aq))| format!("{b}:{bq}:{a}:{aq}")).collect();
    crc32fast::hash(texts.join(":").as_bytes()).cast_signed()
}

fn okx(step: i64, tail: &str) -> Vec<String> {
    let ms = BEGIN + step;
    let (q, p, a) = (size(step), price(true, step % 3), price(false, step % 3));
    let level = |(price, size): &(String, String)| format!(r#"["{price}","{size}","0","2"]"#);
    let lists = if step == 0 {
        okx_book(0).map(|side| side.iter().map(level).collect::<Vec<_>>().join(","))
    } else {
        [&p, &a].map(|price| level(&(price.clone(), q.clone())))
    };
    let [bids, asks] = lists;
    let action = if step == 0 { "snapshot" } else { "update" };
    let (trade, seq) = (step + 1, 1000 + step);
    vec![
        format!(
            r#"{{"arg":{{"channel":"books","instId":"BTC-USDT"}},"action":"{action}","data":[{{"asks":[{asks}],"bids":[{bids}],"ts":"{ms}"{tail}}}]}}"#
        ),
        format!(
            r#"{{"arg":{{"channel":"trades","instId":"BTC-USDT"}},"data":[{{"instId":"BTC-USDT","tradeId":"{trade}","px":"{p}","sz":"{q}","side":"buy","ts":"{ms}","count":"1","source":"0","seqId":{seq}}}]}}"#
        ),
        format!(
            r#"{{"arg":{{"channel":"bbo-tbt","instId":"BTC-USDT"}},"data":[{{"asks":[["{a}","{q}","0","1"]],"bids":[["{p}","{q}","0","1"]],"ts":"{ms}","seqId":{seq}}}]}}"#
        ),
    ]
}

fn okx_tail(step: i64) -> String {
    let prev = if step == 0 { -1 } else { 999 + step };
    format!(r#","prevSeqId":{prev},"seqId":{}"#, 1000 + step)
}

fn okx_ids(step: i64) -> Vec<String> {
    okx(step, &format!(r#","checksum":0{}"#, okx_tail(step)))
}

fn okx_ids_and_checksums(step: i64) -> Vec<String> {
    okx(step, &format!(r#","checksum":{}{}"#, okx_checksum(step), okx_tail(step)))
}

/// As it was before 2023.
fn okx_checksums(step: i64) -> Vec<String> {
    okx(step, &format!(r#","checksum":{}"#, okx_checksum(step)))
}

fn deribit(step: i64) -> Vec<String> {
    let ms = BEGIN + step;
    let (q, p, a) = (10.0 * (1 + step % 97) as f64, price(true, step % 3), price(false, step % 3));
    let (id, prev, trade) = (5001 + step, 5000 + step, 9000 + step);
    let told = |channel: &str, data: &str| {
        format!(r#"{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"{channel}","data":{data}}}}}"#)
    };
    let (kind, prev, action) = if step == 0 {
        ("snapshot", String::new(), "new")
    } else {
        ("change", format!(r#""prev_change_id":{prev},"#), "change")
    };
    vec![
        told(
            "book.BTC-PERPETUAL.100ms",
            &format!(
                r#"{{"type":"{kind}","timestamp":{ms},{prev}"instrument_name":"BTC-PERPETUAL","change_id":{id},"bids":[["{action}",{p},{q:?}]],"asks":[["{action}",{a},{q:?}]]}}"#
            ),
        ),
        told(
            "trades.BTC-PERPETUAL.100ms",
            &format!(
                r#"[{{"trade_seq":{trade},"trade_id":"{trade}","timestamp":{ms},"tick_direction":0,"price":{p},"mark_price":100.45,"instrument_name":"BTC-PERPETUAL","index_price":100.4,"direction":"buy","contracts":1.0,"amount":{q:?}}}]"#
            ),
        ),
        told(
            "quote.BTC-PERPETUAL",
            &format!(
                r#"{{"timestamp":{ms},"instrument_name":"BTC-PERPETUAL","best_bid_price":{p},"best_bid_amount":{q:?},"best_ask_price":{a},"best_ask_amount":{q:?}}}"#
            ),
        ),
    ]
}
