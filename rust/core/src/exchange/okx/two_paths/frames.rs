//! Frames of the documented formats, generated.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use crate::exchange::two_paths::texts::{id, ms, number, object, quoted};

fn symbol() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("BTC-USDT".to_owned()),
        Just("BTC-USDT-SWAP".to_owned()),
        Just("BTC-USD-261225".to_owned()),
        Just("BTC-USD-261225-100000-C".to_owned()),
        "[A-Z0-9]{1,12}-[A-Z]{3,5}(-SWAP|-[0-9]{6})?",
        "[A-Za-z0-9_-]{1,64}",
    ]
}

fn text(text: &str) -> String {
    format!("\"{text}\"")
}

fn push(channel: &str, symbol: &str, action: Option<&str>, rows: &[String]) -> String {
    let mut fields = vec![("arg", object(&[("channel", text(channel)), ("instId", text(symbol))]))];
    fields.extend(action.map(|action| ("action", text(action))));
    fields.push(("data", format!("[{}]", rows.join(","))));
    object(&fields)
}

fn levels(most: usize) -> impl Strategy<Value = String> {
    let level = (number(), number(), 0u32..2000).prop_map(|(p, q, n)| format!("[\"{p}\",\"{q}\",\"0\",\"{n}\"]"));
    vec(level, 0..=most).prop_map(|levels| format!("[{}]", levels.join(",")))
}

/// `checksum`, `seqId` and `prevSeqId` in the forms of the years.
fn ids() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let checksum = prop_oneof![2 => Just(0), 3 => any::<i32>()];
    let prev = prop_oneof![1 => Just("-1".to_owned()), 4 => id()];
    (of(checksum), prev, id(), 0..3).prop_map(|(checksum, prev, last, form)| {
        let mut fields: Vec<_> = checksum.map(|sum| ("checksum", sum.to_string())).into_iter().collect();
        match form {
            0 => fields.extend([("prevSeqId", prev), ("seqId", last)]),
            1 => fields.extend([("seqId", last), ("prevSeqId", prev)]),
            _ => {}
        }
        fields
    })
}

fn book() -> impl Strategy<Value = String> {
    let channel = prop::sample::select(&super::super::peek::BOOKS[..]);
    let action = prop::sample::select(vec!["snapshot", "update"]);
    (channel, symbol(), action, levels(12), levels(12), ms(), ids()).prop_map(
        |(channel, symbol, action, asks, bids, ts, ids)| {
            let mut fields = vec![("asks", asks), ("bids", bids), ("ts", text(&ts))];
            fields.extend(ids);
            push(channel, &symbol, Some(action), &[object(&fields)])
        },
    )
}

fn bbo() -> impl Strategy<Value = String> {
    (symbol(), levels(1), levels(1), ms(), of(id())).prop_map(|(symbol, asks, bids, ts, id)| {
        let mut fields = vec![("asks", asks), ("bids", bids), ("ts", text(&ts))];
        fields.extend(id.map(|id| ("seqId", id)));
        push("bbo-tbt", &symbol, None, &[object(&fields)])
    })
}

type Fields = Vec<(&'static str, String)>;

/// A row of `trades`; as it is on `trades-all` where `all`.
fn row(symbol: String, all: bool) -> impl Strategy<Value = String> {
    let side = prop::sample::select(vec!["buy", "sell"]);
    let source = prop_oneof![4 => Just("0"), 1 => Just("1"), 1 => Just("7")];
    let count = 1u64..500;
    (id(), quoted(), quoted(), side, ms(), of(count), of(source), of(id())).prop_map(
        move |(trade, price, size, side, ts, count, source, seq)| {
            let mut fields: Fields = vec![
                ("instId", text(&symbol)),
                ("tradeId", text(&trade)),
                ("px", price),
                ("sz", size),
                ("side", text(side)),
            ];
            let source = source.map(|source| ("source", text(source)));
            if all {
                fields.extend(source);
                fields.push(("ts", text(&ts)));
            } else {
                fields.push(("ts", text(&ts)));
                fields.extend(count.map(|count| ("count", text(&count.to_string()))));
                fields.extend(source);
                fields.extend(seq.map(|seq| ("seqId", seq)));
            }
            object(&fields)
        },
    )
}

fn trades(rows: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = String> {
    (symbol(), any::<bool>()).prop_flat_map(move |(symbol, all)| {
        let channel = if all { "trades-all" } else { "trades" };
        vec(row(symbol.clone(), all), rows.clone()).prop_map(move |rows| push(channel, &symbol, None, &rows))
    })
}

fn state() -> impl Strategy<Value = String> {
    let channel = prop::sample::select(vec!["mark-price", "index-tickers", "funding-rate", "open-interest"]);
    let number = || prop_oneof![4 => quoted(), 1 => Just("\"\"".to_owned())];
    (channel, symbol(), number(), number(), ms()).prop_map(|(channel, symbol, one, two, ts)| {
        let mut fields: Fields = vec![("instId", text(&symbol))];
        match channel {
            "mark-price" => fields.push(("markPx", one)),
            "index-tickers" => fields.push(("idxPx", one)),
            "funding-rate" => fields.extend([("fundingRate", one), ("fundingTime", text("1700726400000"))]),
            _ => fields.extend([("oi", one), ("oiCcy", two)]),
        }
        fields.push(("ts", text(&ts)));
        push(channel, &symbol, None, &[object(&fields)])
    })
}

fn liquidations() -> impl Strategy<Value = String> {
    let detail = (quoted(), quoted(), ms()).prop_map(|(price, size, ts)| {
        object(&[("bkPx", price), ("ccy", text("")), ("side", text("buy")), ("sz", size), ("ts", text(&ts))])
    });
    vec(detail, 0..4).prop_map(|details| {
        let row = [("details", format!("[{}]", details.join(","))), ("instId", text("IOST-USDT-SWAP"))];
        let arg = object(&[("channel", text("liquidation-orders")), ("instType", text("SWAP"))]);
        object(&[("arg", arg), ("data", format!("[{}]", object(&row)))])
    })
}

fn greeks() -> impl Strategy<Value = String> {
    (quoted(), quoted(), ms()).prop_map(|(delta, vol, ts)| {
        let row = [
            ("instId", text("BTC-USD-261225-100000-C")),
            ("deltaBS", delta),
            ("markVol", vol),
            ("bidVol", text("")),
            ("ts", text(&ts)),
        ];
        let arg = object(&[("channel", text("opt-summary")), ("instFamily", text("BTC-USD"))]);
        object(&[("arg", arg), ("data", format!("[{}]", object(&row)))])
    })
}

/// What makes no row.
fn others() -> impl Strategy<Value = String> {
    let channel = prop::sample::select(vec!["tickers", "books5", "books-rpi", "candle1m", "instruments", "news"]);
    prop_oneof![
        channel.prop_map(|channel| push(channel, "BTC-USDT", None, &["{\"last\":\"1\"}".to_owned()])),
        Just(r#"{"id":"1","event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"a"}"#.to_owned()),
        Just(r#"{"event":"notice","code":"64008","msg":"closing","connId":"a4d3ae55"}"#.to_owned()),
    ]
}

/// What the scanners take, if only by its head.
pub(super) fn dominant() -> impl Strategy<Value = String> {
    prop_oneof![4 => book(), 2 => trades(1..=4), 1 => bbo(), 1 => state(), 1 => liquidations(), 1 => greeks()]
}

/// What is left to the reader, or makes no row.
pub(super) fn rare() -> impl Strategy<Value = String> {
    prop_oneof![others()]
}
