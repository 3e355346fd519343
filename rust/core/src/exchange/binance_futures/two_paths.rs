//! The scanners and the reference reader, held against each other.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use serde_json::Value;

use super::BinanceFutures;
use crate::exchange::two_paths::captures::{canon, is_decimal, levels_are, recordings, snapshots_hold_the_numbers};
use crate::exchange::two_paths::{Specimens, Taken, two_paths_tests};
use crate::exchange::{Head, Protocol, Recorded};
use crate::table::InstrumentKind;

mod frames;

struct Frames;

impl Specimens for Frames {
    type P = BinanceFutures;
    const RECORDINGS: &'static [&'static str] = &["binance_usdm"];

    fn dominant() -> BoxedStrategy<String> {
        frames::frame().boxed()
    }

    fn check(frame: &Value, head: &Head<'_>, taken: &Taken) {
        let data = frame.get("data").unwrap_or(frame);
        assert_eq!(head.symbol, data["s"]);
        assert_eq!(head.times.event, data["T"].as_i64().and_then(|ms| ms.checked_mul(1_000_000)));
        match taken {
            Taken::Book(_, levels) => levels_are(levels, &data["b"], &data["a"]),
            Taken::Trades(trades) => {
                let Ok(trade) = trades.rows[0].trade else { return };
                assert!(is_decimal(trade.price, &data["p"]) && is_decimal(trade.size, &data["q"]));
            }
            Taken::Bbo(bbo) => {
                for ((price, size), [p, q]) in
                    bbo.bid.into_iter().map(|b| (b, ["b", "B"])).chain(bbo.ask.map(|a| (a, ["a", "A"])))
                {
                    assert!(is_decimal(price, &data[p]) && is_decimal(size, &data[q]));
                }
            }
            Taken::States(_) => panic!("no states here"),
        }
    }
}

two_paths_tests!(Frames);

#[test]
fn every_recorded_snapshot_holds_the_numbers_of_a_second_parser() {
    snapshots_hold_the_numbers::<Frames>();
}

#[test]
fn recorded_filters_and_expiries_are_those_of_a_second_parser() {
    for recording in recordings(Frames::RECORDINGS) {
        for (_, reply) in
            recording.replies().filter(|(url, _)| BinanceFutures::recorded(url) == Some(Recorded::Reference))
        {
            let instruments = BinanceFutures::read_reference(reply.as_bytes()).unwrap();
            let parsed: Value = serde_json::from_str(&reply).unwrap();
            for (instrument, symbol) in instruments.iter().zip(parsed["symbols"].as_array().unwrap()) {
                let filters = symbol["filters"].as_array().unwrap();
                let notional = filters.iter().find(|f| f["filterType"] == "MIN_NOTIONAL").unwrap();
                assert_eq!(instrument.native_symbol, symbol["symbol"].as_str().unwrap());
                assert_eq!(instrument.min_notional.unwrap().to_string(), canon(&notional["notional"]));
                assert_eq!(instrument.expiry.is_some(), instrument.kind == InstrumentKind::Future);
            }
        }
    }
}
