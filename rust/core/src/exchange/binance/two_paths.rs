//! The scanners and the reference reader of both dialects, held against each other.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use serde_json::Value;

use super::Dialect;
use crate::event::State;
use crate::exchange::binance_futures::BinanceFutures;
use crate::exchange::binance_spot::BinanceSpot;
use crate::exchange::two_paths::captures::{canon, is_decimal, levels_are, recordings, snapshots_hold_the_numbers};
use crate::exchange::two_paths::{Change, Specimens, Taken, two_paths_tests};
use crate::exchange::{EventKind, Head, Peek, Protocol, Recorded};
use crate::report::{IgnoreReason, RejectReason};
use crate::table::InstrumentKind;

mod frames;

/// Rows of `aggTrades` are the stream's own; those of `historicalTrades` have other names.
fn page(frame: &str, kind: EventKind) -> Option<String> {
    let frame: Value = serde_json::from_str(frame).unwrap();
    let event = frame.get("data").unwrap_or(&frame);
    let names: &[(&str, &str)] = match kind {
        EventKind::AggTrade => &[
            ("a", "a"),
            ("p", "p"),
            ("q", "q"),
            ("nq", "nq"),
            ("f", "f"),
            ("l", "l"),
            ("T", "T"),
            ("m", "m"),
            ("M", "M"),
        ],
        _ => &[("t", "id"), ("p", "price"), ("q", "qty"), ("T", "time"), ("m", "isBuyerMaker"), ("M", "isBestMatch")],
    };
    let fields = names.iter().filter_map(|(own, past)| Some(((*past).to_owned(), event.get(own)?.clone())));
    Some(Value::Array(vec![Value::Object(fields.collect())]).to_string())
}

const ROWLESS: &[(&str, Peek<'static>)] = {
    const UNREQUESTED: Peek<'static> = Peek::Ignored(IgnoreReason::UnrequestedKind);
    const UNKNOWN: Peek<'static> = Peek::Ignored(IgnoreReason::UnknownType);
    &[
        (r#"{"id":3,"result":null}"#, Peek::Answer),
        (r#"{"id":"x","status":200,"result":{}}"#, Peek::Answer),
        (r#"{"error":{"code":2,"msg":"Invalid request"}}"#, Peek::Answer),
        (r#"{"stream":"!ticker@arr","data":[{"e":"24hrTicker","st":2},{"e":"24hrTicker"}]}"#, UNREQUESTED),
        (r#"[{"e":"24hrMiniTicker"}]"#, UNREQUESTED),
        (r#"{"lastUpdateId":160,"bids":[["0.0024","10"]],"asks":[]}"#, Peek::Ignored(IgnoreReason::PartialDepth)),
        (r#"{"E":1,"e":"kline"}"#, UNREQUESTED),
        (r#"{"stream":"a@b","data":[]}"#, UNKNOWN),
        (r#"{"e":"brandNew","x":1}"#, UNKNOWN),
        ("{}", UNKNOWN),
        ("3", UNKNOWN),
        ("\"text\"", UNKNOWN),
        ("null", UNKNOWN),
    ]
};

const REFUSED: &[(&str, &[Change])] = {
    use RejectReason::{Range, Schema};
    &[
        (
            r#"{"e":"trade","E":3,"T":2,"s":"BTCUSDT","t":7,"p":"1.5","q":"0.25","X":"MARKET","m":true}"#,
            &[
                (r#""t":7"#, r#""t":"7""#, Schema),
                (r#""t":7"#, r#""t":7.5"#, Schema),
                (r#""t":7"#, r#""t":null"#, Schema),
                (r#""t":7,"#, "", Schema),
                (r#""t":7"#, r#""t":9223372036854775808"#, Range),
                (r#""t":7"#, r#""t":99999999999999999999999"#, Range),
                (r#""t":7"#, r#""t":1e400"#, Range),
                (r#""t":7"#, r#""t":-1e400"#, Range),
                (r#""s":"BTCUSDT","#, "", Schema),
                (r#""s":"BTCUSDT""#, r#""s":7"#, Schema),
                (r#""s":"BTCUSDT""#, r#""s":"""#, Schema),
                (r#""s":"BTCUSDT""#, r#""s":"A\nB""#, Schema),
                (r#""e":"trade""#, r#""e":1"#, Schema),
                (r#""T":2"#, r#""T":"2""#, Schema),
                (r#""T":2"#, r#""T":[]"#, Schema),
                (r#""p":"1.5","#, "", Schema),
                (r#""p":"1.5""#, r#""p":true"#, Schema),
                (r#""p":"1.5""#, r#""p":"NaN""#, Schema),
                (r#""p":"1.5""#, r#""p":"""#, Schema),
                (r#""p":"1.5""#, r#""p":"1e400""#, Range),
                (r#""q":"0.25""#, r#""q":"0.000000000000000000000000000000000000001""#, Range),
                (r#""m":true"#, r#""m":"true""#, Schema),
                (r#","m":true"#, "", Schema),
                (r#""X":"MARKET""#, r#""X":3"#, Schema),
            ],
        ),
        (
            r#"{"stream":"a@trade","data":{"e":"trade","E":3,"T":2,"s":"A","t":7,"p":"1.5","q":"0.25","X":"MARKET","m":true}}"#,
            &[(r#""data":{"#, r#""data":3,"z":{"#, Schema), (r#""stream":"a@trade""#, r#""stream":3"#, Schema)],
        ),
    ]
};

struct Futures;

impl Specimens for Futures {
    type P = BinanceFutures;
    const RECORDINGS: &'static [&'static str] = &["binance_usdm"];
    const READ_STATES: Option<&'static str> = Some("forceOrder");
    const ROWLESS: &'static [(&'static str, Peek<'static>)] = ROWLESS;
    const REFUSED: &'static [(&'static str, &'static [Change])] = REFUSED;

    fn dominant() -> BoxedStrategy<String> {
        frames::futures().boxed()
    }

    fn page(frame: &str, kind: EventKind) -> Option<String> {
        (kind == EventKind::AggTrade).then(|| page(frame, kind)).flatten()
    }

    fn check(frame: &Value, head: &Head<'_>, taken: &Taken) {
        check::<BinanceFutures>(frame, head, taken);
    }
}

struct Spot;

impl Specimens for Spot {
    type P = BinanceSpot;
    const RECORDINGS: &'static [&'static str] = &["binance"];
    const ROWLESS: &'static [(&'static str, Peek<'static>)] = ROWLESS;
    const REFUSED: &'static [(&'static str, &'static [Change])] = REFUSED;

    fn dominant() -> BoxedStrategy<String> {
        frames::spot().boxed()
    }

    fn rare() -> BoxedStrategy<String> {
        frames::spot_rare().boxed()
    }

    fn page(frame: &str, kind: EventKind) -> Option<String> {
        page(frame, kind)
    }

    fn check(frame: &Value, head: &Head<'_>, taken: &Taken) {
        check::<BinanceSpot>(frame, head, taken);
    }
}

mod futures {
    use super::*;
    two_paths_tests!(Futures);
}

mod spot {
    use super::*;
    two_paths_tests!(Spot);
}

#[test]
fn every_recorded_snapshot_holds_the_numbers_of_a_second_parser() {
    snapshots_hold_the_numbers::<Futures>();
    snapshots_hold_the_numbers::<Spot>();
}

#[test]
fn recorded_filters_and_expiries_are_those_of_a_second_parser() {
    filters_are_those_of_a_second_parser::<BinanceFutures>(Futures::RECORDINGS, "notional");
    filters_are_those_of_a_second_parser::<BinanceSpot>(Spot::RECORDINGS, "minNotional");
}

fn filters_are_those_of_a_second_parser<P: Protocol>(folders: &[&str], notional: &str) {
    for recording in recordings(folders) {
        for (_, reply) in recording.replies().filter(|(url, _)| P::recorded(url) == Some(Recorded::Reference)) {
            let instruments = P::read_reference(reply.as_bytes()).unwrap();
            let parsed: Value = serde_json::from_str(&reply).unwrap();
            for (instrument, symbol) in instruments.iter().zip(parsed["symbols"].as_array().unwrap()) {
                let filters = symbol["filters"].as_array().unwrap();
                let filter = filters.iter().find(|f| f["filterType"] == "MIN_NOTIONAL").unwrap();
                assert_eq!(instrument.native_symbol, symbol["symbol"].as_str().unwrap());
                assert_eq!(instrument.min_notional.unwrap().to_string(), canon(&filter[notional]));
                assert_eq!(instrument.expiry.is_some(), instrument.kind == InstrumentKind::Future);
            }
        }
    }
}

/// A time of the frame in nanoseconds. In spot's, 16 digits are microseconds.
fn ns<D: Dialect>(time: &Value) -> Option<i64> {
    let is_micros = D::MICROSECONDS && time.to_string().len() == 16;
    time.as_i64()?.checked_mul(if is_micros { 1_000 } else { 1_000_000 })
}

fn check<D: Dialect>(frame: &Value, head: &Head<'_>, taken: &Taken) {
    let data = frame.get("data").unwrap_or(frame);
    if let Taken::States(states) = taken {
        let rows = data.as_array().map_or(std::slice::from_ref(data), Vec::as_slice);
        let ours: Vec<&Value> = rows.iter().filter(|row| row.get("st").is_none_or(|st| *st == 1)).collect();
        assert_eq!(states.rows.len(), ours.len());
        for (row, text) in states.rows.iter().zip(ours) {
            let order = text.get("o").unwrap_or(text);
            assert_eq!(states.texts.get(row.native), order["s"]);
            assert_eq!(row.times.venue, ns::<D>(&text["E"]));
            match row.state {
                State::Derivative(state) => assert!(is_decimal(state.mark_price.unwrap(), &text["p"])),
                State::Liquidation(state) => assert!(is_decimal(state.size, &order["z"])),
                State::Option(_) => panic!("no options here"),
            }
        }
        return;
    }
    let event = data.get("T").or(data.get("E"));
    assert_eq!(head.times.event, event.and_then(ns::<D>));
    match taken {
        Taken::Book(book, levels) => {
            assert_eq!(book.prev_id, data["pu"].as_i64());
            levels_are(levels, &data["b"], &data["a"]);
        }
        Taken::Trades(trades) => {
            let row = &trades.rows[0];
            let Ok(trade) = row.trade else { return };
            let symbol = if head.symbol.is_empty() { trades.texts.get(row.native) } else { head.symbol };
            assert_eq!(symbol, data["s"]);
            assert!(is_decimal(trade.price, &data["p"]) && is_decimal(trade.size, &data["q"]));
        }
        Taken::Bbo(bbo) => {
            for ((price, size), [p, q]) in
                bbo.bid.into_iter().map(|b| (b, ["b", "B"])).chain(bbo.ask.map(|a| (a, ["a", "A"])))
            {
                assert!(is_decimal(price, &data[p]) && is_decimal(size, &data[q]));
            }
        }
        Taken::States(_) => {}
    }
}
