//! What must hold of any bytes. Shared by the fuzz targets and by the test that replays their corpus.

use xtrader_core::event::{DecodedLevels, Scales, StateRows, TradeRows};
use xtrader_core::exchange::reader::{Message, WireReader};
use xtrader_core::exchange::{Decoded, EventKind, Head, Peek, Protocol, SnapshotSource, with_protocol};
use xtrader_core::report::RejectReason;
use xtrader_core::symbol::Venue;
use xtrader_scan::{Isa, LevelScales, actions, bare, exact, fixed, json_number, levels, levels_with, pair};

const MAX_LEVELS: usize = 256;

/// A frame that a scanner decodes is decoded alike by the reference reader; one that a scanner only looked at has the
/// head that the reader finds, wherever the reader takes it at all.
pub fn two_paths(frame: &[u8]) {
    for venue in Venue::ALL {
        with_protocol!(venue, P => two_paths_of::<P>(frame));
    }
}

fn two_paths_of<P: Protocol>(frame: &[u8]) {
    let mut reader = WireReader::default();
    for scales in [Scales { price: 0, size: 0 }, Scales { price: 2, size: 3 }, Scales { price: 9, size: 9 }] {
        let head = P::peek(frame);
        let fast = match &head {
            Peek::Event(head) => decode::<P>(head, Body::Scanned(frame), scales),
            _ => None,
        };
        let message = match reader.read::<P>(frame) {
            Ok(message) => message,
            Err(_) => {
                assert_eq!(fast, None, "the reader refuses what the scanner takes");
                continue;
            }
        };
        let found = message.peek();
        assert_ne!(found, Peek::Miss, "the reader always knows");
        let slow = match &found {
            Peek::Event(head) => decode::<P>(head, Body::Read(&message), scales),
            _ => None,
        };
        if let Some(fast) = fast {
            assert_eq!(Some(fast), slow);
        } else if matches!(head, Peek::Ignored(_) | Peek::Answer) && !repeats_a_key(frame) {
            assert_eq!(head, found);
        }
    }
}

enum Body<'a> {
    Scanned(&'a [u8]),
    Read(&'a Message<'a>),
}

/// An event written out to the last detail; `None` where there is none.
fn decode<P: Protocol>(head: &Head<'_>, body: Body<'_>, scales: Scales) -> Option<String> {
    let (mut levels, mut trades, mut states) = (DecodedLevels::default(), TradeRows::default(), StateRows::default());
    let isa = Isa::best();
    let event = match (head.kind, body) {
        (EventKind::Depth | EventKind::Book, Body::Scanned(frame)) => {
            written(P::decode_book(isa, frame, head, scales, MAX_LEVELS, &mut levels))
        }
        (EventKind::Depth | EventKind::Book, Body::Read(message)) => {
            written(message.book::<P>(scales, MAX_LEVELS, &mut levels))
        }
        (EventKind::AggTrade | EventKind::Trade | EventKind::MixedTrades, Body::Scanned(frame)) => {
            written(P::decode_trades(isa, frame, head, scales, &mut trades))
        }
        (EventKind::AggTrade | EventKind::Trade | EventKind::MixedTrades, Body::Read(message)) => {
            written(message.trades::<P>(scales, &mut trades))
        }
        (EventKind::Bbo, Body::Scanned(frame)) => written(P::decode_bbo(isa, frame, head, scales)),
        (EventKind::Bbo, Body::Read(message)) => written(message.bbo::<P>(scales)),
        (EventKind::State, Body::Scanned(frame)) => written(P::decode_states(frame, head, &mut states)),
        (EventKind::State, Body::Read(message)) => written(message.states::<P>(&mut states)),
    }?;
    let head = Head { resume: 0, ..*head };
    Some(format!("{head:?} {event} {levels:?} {trades:?} {states:?}"))
}

fn written<T: std::fmt::Debug>(decoded: Decoded<T>) -> Option<String> {
    match decoded {
        Decoded::Event(event) => Some(format!("{event:?}")),
        Decoded::Ignored(reason) => Some(format!("{reason:?}")),
        Decoded::Rejected(_) | Decoded::Miss => None,
    }
}

/// Keys by which frames are told apart.
const JUDGED_BY: [&str; 9] = ["e", "stream", "data", "arg", "channel", "instId", "action", "method", "params"];
/// Keys that make an answer of a frame, wherever they stand.
const ANSWERED_BY: [&str; 5] = ["result", "error", "code", "event", "id"];

/// Of a repeated key the last counts, which a look at the head alone cannot know.
fn repeats_a_key(frame: &[u8]) -> bool {
    let count = |key: &str| {
        let key = format!("\"{key}\"");
        frame.windows(key.len()).filter(|window| *window == key.as_bytes()).count()
    };
    frame.contains(&b'\\') || JUDGED_BY.iter().any(|key| count(key) > 1) || ANSWERED_BY.iter().any(|key| count(key) > 0)
}

/// Every number kernel says what the exact reader says, or leaves the text to it; and the vector kernels say what
/// their scalar twins say.
pub fn numbers(text: &[u8]) {
    let quoted = [text, b"\",\"q\":\"", text, b"\"],[\"0.5\",\"1\"]],\"a\":[[\"1\",\"2\"]]}}"].concat();
    let is_plain = text.iter().all(|b| b.is_ascii_digit() || *b == b'.');
    let number = exact(text);
    if let Ok(number) = number {
        // The reader of the standard library takes the same texts for numbers.
        let text = std::str::from_utf8(text).expect("a number is ASCII");
        assert!(text.parse::<f64>().is_ok(), "{text}");
        assert!(number.mantissa.unsigned_abs() < 10u128.pow(38) && number.scale <= 38, "{text}");
    }
    for scale in [0, 1, 3, 8, 17, 18, 200] {
        if let Some((mantissa, _)) = fixed(&quoted, 0, scale).filter(|_| is_plain) {
            let expected = number.expect("a plain number").at_scale(scale);
            assert_eq!(Some(i128::from(mantissa)), expected);
        }
        let scales = LevelScales { price: scale, size: scale };
        assert_eq!(pair::<b'q'>(Isa::best(), &quoted, 0, scales), pair::<b'q'>(Isa::SCALAR, &quoted, 0, scales));
        let list = [b"[\"", text, b"\",\"", text, b"\"],[\"0.5\",\"1\"]]", text, &[b' '; 40]].concat();
        let run = |isa| {
            let mut found = Vec::new();
            let run = levels(isa, &list, 0, scales, 8, |price, size| found.push((price, size)));
            (run, found)
        };
        assert_eq!(run(Isa::best()), run(Isa::SCALAR));
        let longer = [b"[\"", text, b"\",\"", text, b"\",\"0\",\"", text, b"\"],[\"0.5\",\"1\",\"0\",\"1\"]]"].concat();
        let run = |isa| {
            let mut found = Vec::new();
            let run = levels_with::<2>(isa, &longer, 0, scales, 8, |price, size| found.push((price, size)));
            (run, found)
        };
        assert_eq!(run(Isa::best()), run(Isa::SCALAR));
        let bare_list = [b"[\"new\",", text, b",", text, b"],[\"delete\",0.5,1]]", text, &[b' '; 40]].concat();
        let run = |isa| {
            let mut found = Vec::new();
            let run = actions(isa, &bare_list, 0, scales, 8, |price, size| found.push((price, size)));
            (run, found)
        };
        assert_eq!(run(Isa::best()), run(Isa::SCALAR));
        let ended = [text, b","].concat();
        if let Some((mantissa, end)) = bare(&ended, 0, scale) {
            let expected = json_number(&ended[..end]).expect("a number").at_scale(scale);
            assert_eq!(Some(i128::from(mantissa)), expected);
        }
    }
}

/// Whole documents: nothing panics, and what is taken for JSON is JSON to a second parser too.
pub fn documents(body: &[u8]) {
    for venue in Venue::ALL {
        with_protocol!(venue, P => documents_of::<P>(body));
    }
}

fn documents_of<P: Protocol>(body: &[u8]) {
    let mut out = DecodedLevels::default();
    let mut verdicts = vec![WireReader::default().read::<P>(body).map(drop), P::read_reference(body).map(drop)];
    if P::SYNC.snapshot == SnapshotSource::Rest {
        verdicts.push(P::read_snapshot(body, Scales::default(), MAX_LEVELS, &mut out).map(drop));
    }
    let is_document = |verdict: &Result<(), RejectReason>| {
        !matches!(verdict, Err(RejectReason::Utf8 | RejectReason::Json | RejectReason::Depth | RejectReason::Range))
    };
    let second = serde_json::from_slice::<serde_json::Value>(body);
    if verdicts.iter().any(is_document) {
        assert!(second.is_ok(), "{second:?}");
    }
    if second.is_ok() {
        for verdict in verdicts {
            assert!(!matches!(verdict, Err(RejectReason::Utf8 | RejectReason::Json)), "{verdict:?}");
        }
    }
}
