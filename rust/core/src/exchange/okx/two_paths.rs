//! The scanners and the reference reader, held against each other.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use serde_json::Value;

use super::Okx;
use crate::event::{EventTimes, State, TradeId};
use crate::exchange::two_paths::captures::{is_decimal, levels_are};
use crate::exchange::two_paths::{Change, Specimens, Taken, two_paths_tests};
use crate::exchange::{EventKind, Head, Key, Peek};
use crate::report::IgnoreReason;
use crate::report::RejectReason::{Range, Schema};
use crate::table::Side;

mod checksums;
mod frames;

struct Frames;

impl Specimens for Frames {
    type P = Okx;
    const RECORDINGS: &'static [&'static str] = &["okx"];
    const READ_STATES: Option<&'static str> = Some("liquidation-orders");
    const ROWLESS: &'static [(&'static str, Peek<'static>)] = &[
        (r#"{"arg":{"channel":"news"},"data":[]}"#, Peek::Ignored(IgnoreReason::UnknownType)),
        (r#"{"arg":{"channel":"tickers"},"data":[]}"#, Peek::Ignored(IgnoreReason::UnrequestedKind)),
        (r#"{"arg":{"channel":"books-rpi"},"data":[]}"#, Peek::Ignored(IgnoreReason::UnrequestedKind)),
        (r#"{"arg":{"channel":"books5"},"data":[]}"#, Peek::Ignored(IgnoreReason::PartialDepth)),
        ("[1]", Peek::Ignored(IgnoreReason::UnknownType)),
        ("{}", Peek::Ignored(IgnoreReason::UnknownType)),
        // Unknown events are no errors.
        (r#"{"event":"something-new"}"#, Peek::Answer),
        (r#"{"data":[],"arg":{"channel":"instruments","instType":"SPOT"}}"#, Peek::Answer),
    ];
    const REFUSED: &'static [(&'static str, &'static [Change])] = &[
        (
            r#"{"arg":{"channel":"books","instId":"A-B"},"action":"update","data":[{"asks":[],"bids":[],"ts":"1","prevSeqId":1,"seqId":2}]}"#,
            &[
                (r#","action":"update""#, "", Schema),
                (r#""update""#, r#""replace""#, Schema),
                (r#"{"asks":[],"bids":[],"ts":"1","prevSeqId":1,"seqId":2}"#, "", Schema),
                (r#""seqId":2}"#, r#""seqId":2},{"asks":[],"bids":[],"ts":"1","prevSeqId":2,"seqId":3}"#, Schema),
                (r#""prevSeqId":1,"#, "", Schema),
                (r#""prevSeqId":1,"#, r#""prevSeqId":-2,"#, Schema),
                (r#""prevSeqId":1,"#, r#""prevSeqId":1.5,"#, Schema),
                (r#""ts":"1","prevSeqId":1,"seqId":2"#, r#""ts":"","checksum":5"#, Schema),
                (r#","instId":"A-B""#, "", Schema),
                (r#""channel":"books""#, r#""channel":7"#, Schema),
                (r#""asks":[]"#, r#""asks":[["1"]]"#, Schema),
                (r#""ts":"1""#, r#""ts":"1","checksum":4294967296"#, Range),
            ],
        ),
        (
            r#"{"arg":{"channel":"trades","instId":"A-B"},"data":[{"instId":"A-B","tradeId":"9","px":"1","sz":"2","side":"buy","ts":"1","count":"3"}]}"#,
            &[
                (r#"{"instId":"A-B","tradeId":"9","px":"1","sz":"2","side":"buy","ts":"1","count":"3"}"#, "", Schema),
                (r#""tradeId":"9","#, "", Schema),
                (r#"[{"instId":"A-B""#, r#"[{"instId":"A-C""#, Schema),
                (r#""count":"3""#, r#""count":"0""#, Schema),
                (r#""px":"1""#, r#""px":true"#, Schema),
                (r#""px":"1""#, r#""px":"1e400""#, Range),
            ],
        ),
    ];

    fn dominant() -> BoxedStrategy<String> {
        frames::dominant().boxed()
    }

    fn rare() -> BoxedStrategy<String> {
        frames::rare().boxed()
    }

    /// REST has single fills alone.
    fn page(frame: &str, kind: EventKind) -> Option<String> {
        let data = frame.split_once("\"data\":")?.1.strip_suffix('}')?;
        (kind == EventKind::Trade).then(|| format!("{{\"code\":\"0\",\"msg\":\"\",\"data\":{data}}}"))
    }

    fn check(frame: &Value, head: &Head<'_>, taken: &Taken) {
        let rows = frame["data"].as_array().unwrap();
        if head.kind != EventKind::State {
            assert_eq!(head.symbol, frame["arg"]["instId"]);
        }
        match taken {
            Taken::Book(book, levels) => {
                levels_are(levels, &rows[0]["bids"], &rows[0]["asks"]);
                assert_eq!(book.is_snapshot, frame["action"] == "snapshot");
                assert_eq!(book.times, times(&rows[0]));
                assert_eq!(book.last_id, rows[0]["seqId"].as_i64());
                assert_eq!(book.prev_id, rows[0]["prevSeqId"].as_i64().filter(|id| *id >= 0));
                let checksum = rows[0]["checksum"].as_i64().filter(|checksum| *checksum != 0);
                assert_eq!(book.checksum.map(i64::from), checksum);
                assert_eq!(head.key.is_linked(), book.last_id.is_some());
                assert_eq!(levels.padded.is_empty(), checksum.is_none() || !has_padding(&rows[0]));
            }
            Taken::Trades(trades) => {
                assert_eq!(trades.rows.len(), rows.len());
                for (row, sent) in trades.rows.iter().zip(rows) {
                    let last = integer(sent, "tradeId").unwrap();
                    let first = last - integer(sent, "count").unwrap_or(1) + 1;
                    assert_eq!((row.first, row.last), (first, last));
                    let Ok(trade) = row.trade else { continue };
                    assert!(is_decimal(trade.price, &sent["px"]) && is_decimal(trade.size, &sent["sz"]));
                    assert_eq!((trade.id, trade.times), (TradeId::Number(last), times(sent)));
                    assert_eq!(trade.side == Side::Buy, sent["side"] == "buy");
                    assert_eq!((trade.count, trade.seq), (integer(sent, "count"), sent["seqId"].as_i64()));
                }
                let last = trades.rows.iter().map(|row| row.last).max().unwrap();
                let first = trades.rows.iter().map(|row| row.first).min().unwrap();
                assert_eq!(head.key, Key { prev: first - 1, first, last });
            }
            Taken::Bbo(bbo) => {
                for (offer, sent) in [(bbo.bid, &rows[0]["bids"][0]), (bbo.ask, &rows[0]["asks"][0])] {
                    let Some((price, size)) = offer else { continue };
                    assert!(is_decimal(price, &sent[0]) && is_decimal(size, &sent[1]));
                }
                assert_eq!((bbo.update_id, bbo.times), (rows[0]["seqId"].as_i64(), times(&rows[0])));
            }
            Taken::States(states) => {
                for (row, sent) in states.rows.iter().zip(rows).filter(|(_, sent)| sent["details"].is_null()) {
                    assert_eq!(states.texts.get(row.native), sent["instId"]);
                    assert_eq!(row.times, times(sent));
                    let State::Derivative(state) = row.state else { continue };
                    for (number, name) in [
                        (state.mark_price, "markPx"),
                        (state.index_price, "idxPx"),
                        (state.funding_rate, "fundingRate"),
                        (state.open_interest, "oi"),
                        (state.open_interest_base, "oiCcy"),
                    ] {
                        assert!(number.is_none_or(|number| is_decimal(number, &sent[name])), "{name} of {sent}");
                    }
                }
            }
        }
    }
}

fn integer(row: &Value, key: &str) -> Option<i64> {
    row[key].as_str().map(|text| text.parse().unwrap())
}

fn times(row: &Value) -> EventTimes {
    let ms = integer(row, "ts");
    let event = ms.and_then(|ms| ms.checked_mul(1_000_000));
    EventTimes { event, venue: None, odd: ms.is_some() && event.is_none() }
}

fn has_padding(book: &Value) -> bool {
    let levels = ["bids", "asks"].map(|side| book[side].as_array().unwrap());
    let mut numbers = levels.into_iter().flatten().flat_map(|level| &level.as_array().unwrap()[..2]);
    numbers.any(|number| number.as_str().unwrap().contains('.') && number.as_str().unwrap().ends_with('0'))
}

two_paths_tests!(Frames);
