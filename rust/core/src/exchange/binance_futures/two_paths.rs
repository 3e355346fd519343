//! The scanners and the reference reader, held against each other: on generated frames, on damaged ones, and on every
//! recorded one.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use xtrader_scan::Isa;

use super::peek::peek;
use super::wire::read_snapshot;
use super::{BinanceFutures as P, normalize};
use crate::decimal::Decimal;
use crate::event::{DecodedLevels, Scales, TradeRows};
use crate::exchange::reader::WireReader;
use crate::exchange::{Decoded, EventKind, Head, Peek};

mod captures;
mod frames;

use frames::{Frame, frame};

const SCALES: Scales = Scales { price: 2, size: 3 };
const MAX_LEVELS: usize = 1 << 14;

/// What a path makes of a frame, written out, so that not even the scale of an equal number may differ.
#[derive(Debug, PartialEq)]
enum Verdict {
    Event(String),
    /// Said by the head alone.
    Head(String),
    Refused(String),
    Miss,
}

fn body<T: std::fmt::Debug>(head: &Head<'_>, decoded: Decoded<T>) -> Verdict {
    let head = Head { resume: 0, ..*head };
    match decoded {
        Decoded::Event(event) => Verdict::Event(format!("{head:?} {event:?}")),
        Decoded::Ignored(reason) => Verdict::Event(format!("{head:?} {reason:?}")),
        Decoded::Rejected(reason) => Verdict::Refused(format!("{reason:?}")),
        Decoded::Miss => Verdict::Miss,
    }
}

fn head_only(peek: Peek<'_>) -> Verdict {
    match peek {
        Peek::Miss => Verdict::Miss,
        other => Verdict::Head(format!("{other:?}")),
    }
}

fn scanned(isa: Isa, frame: &[u8], scales: Scales) -> Verdict {
    let Peek::Event(head) = peek(frame) else { return head_only(peek(frame)) };
    match head.kind {
        EventKind::Depth => {
            let mut out = DecodedLevels::default();
            let decoded = normalize::depth(isa, frame, &head, scales, MAX_LEVELS, &mut out);
            with_levels(body(&head, decoded), &out)
        }
        EventKind::AggTrade | EventKind::Trade => {
            let mut out = TradeRows::default();
            let decoded = normalize::trade(isa, frame, &head, scales, &mut out);
            with_trades(body(&head, decoded), &out)
        }
        _ => body(&head, normalize::bbo(isa, frame, &head, scales)),
    }
}

fn read(reader: &mut WireReader, frame: &[u8], scales: Scales) -> Verdict {
    let message = match reader.read::<P>(frame) {
        Ok(message) => message,
        Err(reason) => return Verdict::Refused(format!("{reason:?}")),
    };
    let Peek::Event(head) = message.peek() else { return head_only(message.peek()) };
    match head.kind {
        EventKind::Depth => {
            let mut out = DecodedLevels::default();
            let verdict = body(&head, message.book::<P>(scales, MAX_LEVELS, &mut out));
            with_levels(verdict, &out)
        }
        EventKind::AggTrade | EventKind::Trade => {
            let mut out = TradeRows::default();
            let verdict = body(&head, message.trades::<P>(scales, &mut out));
            with_trades(verdict, &out)
        }
        _ => body(&head, message.bbo::<P>(scales)),
    }
}

fn with_trades(verdict: Verdict, trades: &TradeRows) -> Verdict {
    match verdict {
        Verdict::Event(text) => Verdict::Event(format!("{text} {trades:?}")),
        other => other,
    }
}

fn with_levels(verdict: Verdict, levels: &DecodedLevels) -> Verdict {
    match verdict {
        Verdict::Event(text) => Verdict::Event(format!("{text} {levels:?}")),
        other => other,
    }
}

/// The promise between the paths: a scanner that decodes has what the reader has; one that only looked at the head has
/// it wherever the reader takes the frame at all. Says whether the scanner took it.
fn agree(reader: &mut WireReader, frame: &[u8], scales: Scales) -> Result<bool, TestCaseError> {
    let fast = scanned(Isa::best(), frame, scales);
    let text = String::from_utf8_lossy(frame);
    prop_assert_eq!(&scanned(Isa::SCALAR, frame, scales), &fast, "{}", text);
    let slow = read(reader, frame, scales);
    prop_assert!(slow != Verdict::Miss, "{}", text);
    match fast {
        Verdict::Miss => return Ok(false),
        Verdict::Head(_) if matches!(slow, Verdict::Refused(_)) => {}
        _ => prop_assert_eq!(&fast, &slow, "{}", text),
    }
    Ok(true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn every_frame_the_exchange_sends_is_taken_by_the_scanner(frame in frame(), price in 0u8..5, size in 0u8..5) {
        let mut reader = WireReader::default();
        let text = frame.dominant();
        let taken = agree(&mut reader, text.as_bytes(), Scales { price, size })?;
        prop_assert!(taken, "{}", text);
    }

    // Fault: X19, B06
    #[test]
    fn a_frame_in_other_clothes_says_the_same_or_is_left_to_the_reader(frame in frame(), dress in any::<u64>()) {
        let mut reader = WireReader::default();
        let plain = read(&mut reader, frame.dominant().as_bytes(), SCALES);
        let dressed = frame.dressed(dress);
        agree(&mut reader, dressed.as_bytes(), SCALES)?;
        // Whitespace, escapes, order of keys and new keys change nothing for the reader either.
        prop_assert_eq!(read(&mut reader, dressed.as_bytes(), SCALES), plain, "{}", dressed);
    }

    // Fault: B13
    #[test]
    fn a_damaged_frame_is_never_taken_for_another(frame in frame(), damage in frames::damage()) {
        let mut reader = WireReader::default();
        let mut bytes = frame.dominant().into_bytes();
        damage.apply(&mut bytes);
        agree(&mut reader, &bytes, SCALES)?;
        // Whatever simd-json takes for JSON, a second parser must too.
        if let Err(error) = serde_json::from_slice::<serde_json::Value>(&bytes) {
            let out_of_range = error.to_string().contains("out of range");
            prop_assert!(out_of_range || reader.read::<P>(&bytes).is_err(), "{}: {}", error, String::from_utf8_lossy(&bytes));
        }
    }

    // Fault: B02
    #[test]
    fn a_torn_frame_makes_no_row(frame in frame(), cut in any::<prop::sample::Index>()) {
        let text = frame.dominant();
        let torn = &text.as_bytes()[..cut.index(text.len())];
        for isa in [Isa::SCALAR, Isa::best()] {
            prop_assert!(!matches!(scanned(isa, torn, SCALES), Verdict::Event(_)), "{}", String::from_utf8_lossy(torn));
        }
        prop_assert!(matches!(read(&mut WireReader::default(), torn, SCALES), Verdict::Refused(_)));
    }

    // Fault: B06
    #[test]
    fn values_are_those_of_a_second_parser(frame in frame()) {
        let Frame { fields, .. } = &frame;
        let mut reader = WireReader::default();
        let text = frame.dominant();
        let Verdict::Event(row) = read(&mut reader, text.as_bytes(), SCALES) else {
            return Ok(());
        };
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        let data = parsed.get("data").unwrap_or(&parsed);
        prop_assert_eq!(data.as_object().unwrap().len(), fields.len());
        let symbol = data["s"].as_str().unwrap();
        let named = format!("symbol: {symbol:?}");
        prop_assert!(row.contains(&named), "{} in {}", named, row);
    }
}
