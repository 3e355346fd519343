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
use crate::exchange::two_paths::{Specimens, Taken, two_paths_tests};
use crate::exchange::{EventKind, Head, Protocol, Recorded};
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

struct Futures;

impl Specimens for Futures {
    type P = BinanceFutures;
    const RECORDINGS: &'static [&'static str] = &["binance_usdm"];

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
