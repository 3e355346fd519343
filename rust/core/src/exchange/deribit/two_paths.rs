//! The scanners and the reference reader, held against each other.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use serde_json::Value;

use super::Deribit;
use crate::decimal::Decimal;
use crate::event::{DecodedLevels, State, TradeId};
use crate::exchange::two_paths::{Change, Specimens, Taken, two_paths_tests};
use crate::exchange::{EventKind, Head, Peek};
use crate::report::IgnoreReason;
use crate::report::RejectReason::{Range, Schema};

mod frames;

const UNKNOWN: Peek<'static> = Peek::Ignored(IgnoreReason::UnknownType);

struct Frames;

impl Specimens for Frames {
    type P = Deribit;
    const RECORDINGS: &'static [&'static str] = &["deribit"];
    const ROWLESS: &'static [(&'static str, Peek<'static>)] = &[
        (r#"{"method":"subscription","params":{"channel":"never.heard.of","data":{}}}"#, UNKNOWN),
        (
            r#"{"method":"subscription","params":{"channel":"markprice.options.btc_usd","data":[]}}"#,
            Peek::Ignored(IgnoreReason::UnrequestedKind),
        ),
        (
            r#"{"method":"subscription","params":{"channel":"book.X.none.20.100ms","data":{}}}"#,
            Peek::Ignored(IgnoreReason::PartialDepth),
        ),
        (r#"{"method":"subscription","params":{"channel":"instrument.state.any.any","data":{}}}"#, Peek::Answer),
        (r#"{"method":"heartbeat","params":{"type":"heartbeat"}}"#, Peek::Answer),
        (r#"{"usIn":1,"result":null}"#, Peek::Answer),
        ("[1]", UNKNOWN),
        ("{}", UNKNOWN),
    ];
    const REFUSED: &'static [(&'static str, &'static [Change])] = &[
        (
            r#"{"jsonrpc":"2.0","method":"subscription","params":{"channel":"book.A-PERPETUAL.raw","data":{"timestamp":1,"type":"change","prev_change_id":4,"change_id":9,"instrument_name":"A-PERPETUAL","bids":[["new",1.5,2.0]],"asks":[]}}}"#,
            &[
                (r#""prev_change_id":4,"#, "", Schema),
                (r#""prev_change_id":4"#, r#""prev_change_id":null"#, Schema),
                (r#""change_id":9"#, r#""change_id":"9""#, Schema),
                (r#""change_id":9"#, r#""change_id":9.5"#, Schema),
                (r#""type":"change""#, r#""type":"other""#, Schema),
                (r#""type":"change","#, "", Schema),
                (r#""instrument_name":"A-PERPETUAL""#, r#""instrument_name":"""#, Schema),
                (r#""timestamp":1"#, r#""timestamp":"1""#, Schema),
                (r#"[["new",1.5,2.0]]"#, "null", Schema),
                (r#""new""#, r#""newer""#, Schema),
                (r#",2.0"#, "", Schema),
                ("1.5", "true", Schema),
                ("1.5", "1e-39", Range),
            ],
        ),
        (
            r#"{"jsonrpc":"2.0","method":"subscription","params":{"channel":"trades.A-PERPETUAL.raw","data":[{"timestamp":1,"price":1.5,"amount":2.0,"direction":"buy","instrument_name":"A-PERPETUAL","trade_seq":7,"trade_id":"8"}]}}"#,
            &[
                ("[{", r#"[],"z":[{"#, Schema),
                ("[{", "[7,{", Schema),
                (r#""trade_seq":7,"#, "", Schema),
                (r#""trade_seq":7"#, r#""trade_seq":"7""#, Schema),
                (r#","trade_id":"8""#, "", Schema),
                ("1.5", "true", Schema),
                ("1.5", "1e400", Range),
            ],
        ),
        (
            r#"{"jsonrpc":"2.0","method":"subscription","params":{"channel":"ticker.A-PERPETUAL.raw","data":{"timestamp":1,"instrument_name":"A-PERPETUAL","mark_price":1.5,"mark_iv":60.2,"greeks":{"delta":-0.7}}}}"#,
            &[
                (r#""instrument_name":"A-PERPETUAL""#, r#""instrument_name":"B-PERPETUAL""#, Schema),
                (r#""instrument_name":"A-PERPETUAL","#, "", Schema),
                (r#""timestamp":1"#, r#""timestamp":"1""#, Schema),
                ("1.5", "true", Schema),
                ("-0.7", "[]", Schema),
                ("1.5", "1e-39", Range),
                ("60.2", "1e-37", Range),
            ],
        ),
    ];

    fn dominant() -> BoxedStrategy<String> {
        frames::dominant().boxed()
    }

    fn rare() -> BoxedStrategy<String> {
        frames::rare().boxed()
    }

    fn page(frame: &str, _kind: EventKind) -> Option<String> {
        let trades = frame.split_once("\"data\":")?.1.strip_suffix("}}")?;
        Some(format!("{{\"jsonrpc\":\"2.0\",\"result\":{{\"trades\":{trades},\"has_more\":false}},\"testnet\":false}}"))
    }

    fn check(frame: &Value, head: &Head<'_>, taken: &Taken) {
        let data = &frame["params"]["data"];
        let body = if data.is_array() { &data[data.as_array().unwrap().len() - 1] } else { data };
        let event = |row: &Value| row["timestamp"].as_i64().and_then(|ms| ms.checked_mul(1_000_000));
        if !matches!(head.kind, EventKind::Trade | EventKind::State) {
            assert_eq!(head.times.event, event(body));
        }
        let channel = frame["params"]["channel"].as_str().unwrap();
        assert!(head.kind == EventKind::Bbo || channel.rsplit('.').next() == head.variant);
        match taken {
            Taken::Book(book, levels) => {
                assert_eq!(head.symbol, data["instrument_name"]);
                assert_eq!((book.last_id, book.prev_id), (data["change_id"].as_i64(), data["prev_change_id"].as_i64()));
                assert_eq!(book.is_snapshot, data["type"] == "snapshot");
                levels_are(levels, data);
            }
            Taken::Trades(trades) => {
                assert_eq!(trades.rows.len(), data.as_array().unwrap().len());
                for (row, sent) in trades.rows.iter().zip(data.as_array().unwrap()) {
                    let native = trades.texts.get(row.native);
                    assert_eq!(if native.is_empty() { head.symbol } else { native }, sent["instrument_name"]);
                    assert_eq!(Some(row.last), sent["trade_seq"].as_i64());
                    let Ok(trade) = row.trade else { continue };
                    let TradeId::Text(id) = trade.id else { panic!("{trade:?}") };
                    assert_eq!(trades.texts.get(id), sent["trade_id"]);
                    assert_eq!((trade.seq, trade.times.event), (Some(row.last), event(sent)));
                    assert_eq!(trade.side.name(), sent["direction"]);
                    assert!(
                        is_number(Some(trade.price), &sent["price"]) && is_number(Some(trade.size), &sent["amount"])
                    );
                    assert!(is_number(trade.contracts, &sent["contracts"]));
                    assert!(is_number(trade.mark_price, &sent["mark_price"]));
                    assert!(is_number(trade.index_price, &sent["index_price"]));
                }
            }
            Taken::Bbo(bbo) => {
                assert_eq!(head.symbol, data["instrument_name"]);
                for (side, [price, size]) in
                    [(bbo.bid, ["best_bid_price", "best_bid_amount"]), (bbo.ask, ["best_ask_price", "best_ask_amount"])]
                {
                    let Some((p, q)) = side else { continue };
                    assert!(is_number(Some(p), &data[price]) && is_number(Some(q), &data[size]));
                }
            }
            Taken::States(states) => {
                for row in &states.rows {
                    assert_eq!(states.texts.get(row.native), data["instrument_name"]);
                    assert_eq!(row.times.event, event(data));
                    match row.state {
                        State::Derivative(d) => {
                            assert!(is_number(d.mark_price, &data["mark_price"]));
                            assert!(is_number(d.index_price, &data["index_price"]));
                            assert!(is_number(d.funding_rate, &data["current_funding"]));
                            assert!(is_number(d.open_interest, &data["open_interest"]));
                            assert!(is_number(d.last_price, &data["last_price"]));
                        }
                        State::Option(o) => {
                            let percent = |iv: Option<Decimal>| iv.map(|iv| Decimal::new(iv.mantissa * 100, iv.scale));
                            assert!(is_number(percent(o.mark_iv), &data["mark_iv"]));
                            assert!(is_number(percent(o.bid_iv), &data["bid_iv"]));
                            assert!(is_number(percent(o.ask_iv), &data["ask_iv"]));
                            assert!(is_number(o.underlying_price, &data["underlying_price"]));
                            for (greek, name) in
                                [(o.delta, "delta"), (o.gamma, "gamma"), (o.vega, "vega"), (o.theta, "theta")]
                            {
                                assert!(is_number(greek, &data["greeks"][name]), "{name}");
                            }
                        }
                        State::Liquidation(_) => panic!("no liquidations here"),
                    }
                }
            }
        }
    }
}

two_paths_tests!(Frames);

/// True where the number is the one that a second parser made a double of, and there where that found one. That parser
/// may be off by the last bits.
fn is_number(number: Option<Decimal>, sent: &Value) -> bool {
    match (number.map(Decimal::to_f64), sent.as_f64()) {
        (Some(ours), Some(theirs)) => (ours - theirs).abs() <= 4.0 * f64::EPSILON * theirs.abs(),
        (None, None) => sent.is_null(),
        _ => false,
    }
}

fn levels_are(levels: &DecodedLevels, data: &Value) {
    let scales = levels.scales();
    let narrow =
        |list: &[crate::event::Level]| list.iter().map(|l| (i128::from(l.price), i128::from(l.size))).collect();
    let sides: [Vec<(i128, i128)>; 2] = match &levels.wide {
        Some(wide) => [&wide.bids, &wide.asks].map(|list| list.iter().map(|l| (l.price, l.size)).collect()),
        None => [narrow(&levels.narrow.bids), narrow(&levels.narrow.asks)],
    };
    for (side, sent) in sides.iter().zip([&data["bids"], &data["asks"]]) {
        let sent = sent.as_array().unwrap();
        assert_eq!(side.len(), sent.len());
        for ((price, size), sent) in side.iter().zip(sent) {
            assert!(is_number(Some(Decimal::new(*price, scales.price)), &sent[1]), "{sent}");
            let deleted = sent[0] == "delete";
            assert!(if deleted { *size == 0 } else { is_number(Some(Decimal::new(*size, scales.size)), &sent[2]) });
        }
    }
}
