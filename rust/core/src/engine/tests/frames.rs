//! Frames and replies of OKX, Deribit and Binance spot as their manuals show them; the shortest
//! of Binance futures stand in the harness.

use serde_json::{Value, json};

/// Levels as this test names them: price and size as texts.
pub type Side<'a> = &'a [(&'a str, &'a str)];

/// First milliseconds of the events here.
pub const T0: i64 = 1_795_348_700_000;

/// What an exchange answers to a request that it grants whole.
pub fn grants(request: &str) -> Vec<String> {
    if request == "ping" {
        return vec!["pong".into()];
    }
    let Ok(request) = serde_json::from_str::<Value>(request) else { return Vec::new() };
    let id = &request["id"];
    if let Some(op) = request["op"].as_str() {
        let args = request["args"].as_array().cloned().unwrap_or_default();
        return args.iter().map(|arg| json!({"id": id, "event": op, "arg": arg, "connId": "a"}).to_string()).collect();
    }
    let result = match request["method"].as_str() {
        Some("public/subscribe" | "public/unsubscribe") => request["params"]["channels"].clone(),
        Some("public/set_heartbeat") => json!("ok"),
        Some("public/test") => json!({"version": "1.2.26"}),
        _ => Value::Null,
    };
    if request.get("jsonrpc").is_none() {
        return vec![json!({"result": null, "id": id}).to_string()];
    }
    vec![json!({"jsonrpc": "2.0", "id": id, "result": result, "usIn": 1, "usOut": 2, "usDiff": 1}).to_string()]
}

fn okx_levels(side: Side<'_>) -> String {
    let level = |(price, size): &(&str, &str)| format!(r#"["{price}","{size}","0","1"]"#);
    side.iter().map(level).collect::<Vec<_>>().join(",")
}

/// OKX §4: a book message; `prev` −1 is a snapshot. `checksum` 0 is none.
pub fn okx_book(
    native: &str,
    (prev, id): (i64, i64),
    ts: i64,
    bids: Side<'_>,
    asks: Side<'_>,
    checksum: i32,
) -> String {
    let ids = format!(r#","checksum":{checksum},"prevSeqId":{prev},"seqId":{id}"#);
    okx_book_with(native, prev == -1, ts, bids, asks, &ids)
}

/// OKX before 2023: no ids.
pub fn okx_old_book(native: &str, is_snapshot: bool, ts: i64, bids: Side<'_>, asks: Side<'_>, checksum: i32) -> String {
    okx_book_with(native, is_snapshot, ts, bids, asks, &format!(r#","checksum":{checksum}"#))
}

fn okx_book_with(native: &str, is_snapshot: bool, ts: i64, bids: Side<'_>, asks: Side<'_>, ids: &str) -> String {
    let (action, bids, asks) = (if is_snapshot { "snapshot" } else { "update" }, okx_levels(bids), okx_levels(asks));
    format!(
        r#"{{"arg":{{"channel":"books","instId":"{native}"}},"action":"{action}","data":[{{"asks":[{asks}],"bids":[{bids}],"ts":"{ts}"{ids}}}]}}"#
    )
}

/// OKX §3: a fold of `count` fills that ends at `id`.
pub fn okx_trade(native: &str, id: i64, count: i64, ts: i64) -> String {
    format!(
        r#"{{"arg":{{"channel":"trades","instId":"{native}"}},"data":[{{"instId":"{native}","tradeId":"{id}","px":"100.5","sz":"2","side":"buy","ts":"{ts}","count":"{count}","source":"0","seqId":{id}}}]}}"#
    )
}

/// OKX §5: one row of a state channel.
pub fn okx_state(channel: &str, row: Value) -> String {
    json!({"arg": {"channel": channel, "instId": row["instId"]}, "data": [row]}).to_string()
}

/// OKX §2: a reply with these rows.
pub fn okx_instruments(rows: &[Value]) -> String {
    json!({"code": "0", "msg": "", "data": rows}).to_string()
}

pub fn okx_spot(base: &str, quote: &str, state: &str) -> Value {
    json!({"instType": "SPOT", "instId": format!("{base}-{quote}"), "baseCcy": base, "quoteCcy": quote,
        "tickSz": "0.1", "lotSz": "0.00000001", "minSz": "0.00001", "state": state})
}

pub fn okx_swap(base: &str, quote: &str, state: &str) -> Value {
    json!({"instType": "SWAP", "instId": format!("{base}-{quote}-SWAP"), "instFamily": format!("{base}-{quote}"),
        "uly": format!("{base}-{quote}"), "settleCcy": quote, "ctVal": "0.01", "ctMult": "1", "ctValCcy": base,
        "ctType": "linear", "tickSz": "0.1", "lotSz": "1", "state": state})
}

fn deribit_levels(side: Side<'_>) -> String {
    let level = |(price, size): &(&str, &str)| {
        let action = if *size == "0" { "delete" } else { "change" };
        format!(r#"["{action}",{price},{size}]"#)
    };
    side.iter().map(level).collect::<Vec<_>>().join(",")
}

/// Deribit §4: a book message; `prev` `None` is a snapshot.
pub fn deribit_book(native: &str, (prev, id): (Option<i64>, i64), ts: i64, bids: Side<'_>, asks: Side<'_>) -> String {
    let (bids, asks) = (deribit_levels(bids), deribit_levels(asks));
    let (kind, prev) = match prev {
        Some(prev) => ("change", format!(r#""prev_change_id":{prev},"#)),
        None => ("snapshot", String::new()),
    };
    format!(
        r#"{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"book.{native}.100ms","data":{{"timestamp":{ts},"type":"{kind}",{prev}"change_id":{id},"instrument_name":"{native}","bids":[{bids}],"asks":[{asks}]}}}}}}"#
    )
}

/// Deribit §3: a trade, with what else it says.
pub fn deribit_trade(native: &str, seq: i64, ts: i64, more: &str) -> String {
    format!(
        r#"{{"timestamp":{ts},"price":92294.5,"amount":10.0,"direction":"sell","index_price":92276.75,"instrument_name":"{native}","trade_seq":{seq},"mark_price":92287.11,"tick_direction":2,"contracts":1.0,"trade_id":"ETH-{seq}"{more}}}"#
    )
}

/// Deribit §3: a message of trades on a channel.
pub fn deribit_trades(channel: &str, trades: &[String]) -> String {
    let trades = trades.join(",");
    format!(
        r#"{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"trades.{channel}.100ms","data":[{trades}]}}}}"#
    )
}

/// Deribit §5: a ticker.
pub fn deribit_ticker(native: &str, ts: i64, mark: &str, more: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"ticker.{native}.100ms","data":{{"timestamp":{ts},"state":"open","index_price":92263.55,"instrument_name":"{native}","last_price":92283.5,"mark_price":{mark}{more}}}}}}}"#
    )
}

pub fn deribit_instruments(names: &[&str]) -> String {
    let row = |name: &&str| {
        json!({"instrument_name": name, "kind": "future", "instrument_type": "reversed", "tick_size": 0.5,
            "contract_size": 10.0, "min_trade_amount": 10.0, "base_currency": "BTC", "quote_currency": "USD",
            "counter_currency": "USD", "settlement_currency": "BTC", "settlement_period": "perpetual",
            "is_active": true, "state": "open", "expiration_timestamp": 32_503_708_800_000i64})
    };
    json!({"jsonrpc": "2.0", "result": names.iter().map(row).collect::<Vec<_>>()}).to_string()
}

fn binance_levels(side: Side<'_>) -> String {
    side.iter().map(|(price, size)| format!(r#"["{price}","{size}"]"#)).collect::<Vec<_>>().join(",")
}

/// Binance spot §4: a diff; its `E` is the sender's own clock.
pub fn spot_depth(symbol: &str, (first, last): (i64, i64), sent: i64, bids: Side<'_>, asks: Side<'_>) -> String {
    let (stream, bids, asks) = (symbol.to_lowercase(), binance_levels(bids), binance_levels(asks));
    format!(
        r#"{{"stream":"{stream}@depth@100ms","data":{{"e":"depthUpdate","E":{sent},"s":"{symbol}","U":{first},"u":{last},"b":[{bids}],"a":[{asks}]}}}}"#
    )
}

/// Binance spot §4: the reply to a request for a book.
pub fn spot_snapshot(id: i64, bids: Side<'_>, asks: Side<'_>) -> String {
    format!(r#"{{"lastUpdateId":{id},"bids":[{}],"asks":[{}]}}"#, binance_levels(bids), binance_levels(asks))
}

/// Binance §2: reference data of these symbols.
pub fn binance_instruments(symbols: &[(&str, &str)]) -> String {
    let row = |(symbol, status): &(&str, &str)| {
        json!({"symbol": symbol, "status": status, "baseAsset": &symbol[..3], "quoteAsset": &symbol[3..], "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": "0.01"}, {"filterType": "LOT_SIZE", "stepSize": "0.001"}]})
    };
    json!({"symbols": symbols.iter().map(row).collect::<Vec<_>>()}).to_string()
}

/// Binance futures §4: a diff with what it follows.
pub fn depth_at(symbol: &str, (pu, first, last): (i64, i64, i64), time: i64, bids: &str, asks: &str) -> String {
    let stream = symbol.to_lowercase();
    format!(
        r#"{{"stream":"{stream}@depth@100ms","data":{{"e":"depthUpdate","E":{},"T":{time},"s":"{symbol}","U":{first},"u":{last},"pu":{pu},"b":[{bids}],"a":[{asks}]}}}}"#,
        time + 3
    )
}

/// Binance futures §4: the reply to a request for a book.
pub fn snapshot(id: i64, bids: &str, asks: &str) -> String {
    snapshot_at(id, T0 + 490, bids, asks)
}

/// The same, of the book as it was then.
pub fn snapshot_at(id: i64, time: i64, bids: &str, asks: &str) -> String {
    format!(r#"{{"lastUpdateId":{id},"E":{},"T":{time},"bids":[{bids}],"asks":[{asks}]}}"#, time + 10)
}

/// Binance §3: an aggregated trade.
pub fn agg_trade_at(symbol: &str, id: i64, time: i64, price: &str, size: &str) -> String {
    let stream = symbol.to_lowercase();
    format!(
        r#"{{"stream":"{stream}@aggTrade","data":{{"e":"aggTrade","E":{},"a":{id},"s":"{symbol}","p":"{price}","q":"{size}","f":{},"l":{},"T":{time},"m":true}}}}"#,
        time + 100,
        id * 2,
        id * 2 + 1,
    )
}
