//! The scanners and the reference reader of an exchange, held against each other: on generated frames, on dressed and
//! damaged ones, and on every recorded one. An exchange contributes its frames and an oracle ([`Specimens`]);
//! `two_paths_tests!` makes the tests of it.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::BoxedStrategy;
use proptest::test_runner::{TestCaseResult, TestRunner};
use xtrader_scan::Isa;

use crate::config::Stream;
use crate::event::{Bbo, BookHead, DecodedLevels, Scales, State, StateRows, TradeRows};
use crate::exchange::reader::{Message, WireReader};
use crate::exchange::{Decoded, EventKind, Head, Peek, Protocol};
use crate::report::RejectReason;

pub(crate) mod captures;
mod damage;
mod dress;
pub(crate) mod texts;

/// A text of a frame, what stands in its place, and why the frame is refused then.
pub(crate) type Change = (&'static str, &'static str, RejectReason);

/// What an exchange contributes.
pub(crate) trait Specimens {
    /// The exchange.
    type P: Protocol;

    /// Folders of its recordings, as they are named beside the repository.
    const RECORDINGS: &'static [&'static str];

    /// What stands in its frames of states that no scanner reads.
    const READ_STATES: Option<&'static str> = None;

    /// Frames that make no row, and what they are.
    const ROWLESS: &'static [(&'static str, Peek<'static>)];

    /// Frames that make rows; of each, changes (this text by that one) and why what they leave of it is refused.
    const REFUSED: &'static [(&'static str, &'static [Change])];

    /// Frames of the shapes that its scanners take, as the exchange writes them.
    fn dominant() -> BoxedStrategy<String>;

    /// Frames of other shapes, which the reference reader takes.
    fn rare() -> BoxedStrategy<String> {
        Self::dominant()
    }

    /// The reply to [`Protocol::trades_page`] that has the trades of a frame of [`Self::dominant`], where REST tells the
    /// rows of its feed.
    fn page(frame: &str, kind: EventKind) -> Option<String>;

    /// Holds what was decoded against a second parser's reading of the frame.
    fn check(frame: &serde_json::Value, head: &Head<'_>, taken: &Taken);
}

/// What a frame was decoded to.
#[derive(Debug, PartialEq)]
pub(crate) enum Taken {
    Trades(TradeRows),
    Book(BookHead, DecodedLevels),
    Bbo(Bbo),
    States(StateRows),
}

/// The tests of an exchange, by the name of its [`Specimens`].
macro_rules! two_paths_tests {
    ($specimens:ty) => {
        use $crate::exchange::two_paths as kit;

        #[test]
        fn every_frame_the_exchange_sends_is_taken_by_the_scanner() {
            kit::taken_by_the_scanner::<$specimens>();
        }

        // Fault: X19, B06
        #[test]
        fn a_frame_in_other_clothes_says_the_same_or_is_left_to_the_reader() {
            kit::says_the_same_in_other_clothes::<$specimens>();
        }

        // Fault: B13
        #[test]
        fn a_damaged_frame_is_never_taken_for_another() {
            kit::is_not_taken_for_another::<$specimens>();
        }

        // Fault: B02
        #[test]
        fn a_torn_frame_makes_no_row() {
            kit::makes_no_row_when_torn::<$specimens>();
        }

        // Fault: B06
        #[test]
        fn values_are_those_of_a_second_parser() {
            kit::has_the_values_of_a_second_parser::<$specimens>();
        }

        // Fault: X19, B04
        #[test]
        fn a_field_that_drives_state_must_be_there_and_of_its_type() {
            kit::refuses_what_cannot_drive_state::<$specimens>();
        }

        // Fault: X19
        #[test]
        fn what_is_known_and_what_is_not() {
            kit::says_what_makes_no_row::<$specimens>();
        }

        // Fault: B13
        #[test]
        fn a_trade_by_rest_is_the_trade_of_the_socket_and_of_no_other_instrument() {
            kit::past_trades_are_those_of_the_socket::<$specimens>();
        }

        #[test]
        fn every_recorded_frame_is_read_alike_and_exactly() {
            kit::captures::frames_are_read_alike::<$specimens>();
        }

        #[test]
        fn the_recorded_reference_data_is_the_golden_one() {
            kit::captures::reference_data_is_golden::<$specimens>();
        }
    };
}
pub(crate) use two_paths_tests;

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

/// A path: a scanner with the instructions it may use, or the reader.
enum Path<'m, 'a> {
    Scanner(Isa, &'a [u8]),
    Reader(&'m Message<'a>),
}

fn decode<P: Protocol>(path: &Path<'_, '_>, head: &Head<'_>, scales: Scales) -> Decoded<Taken> {
    match head.kind {
        EventKind::Depth | EventKind::Book => {
            let mut out = DecodedLevels::default();
            let decoded = match path {
                Path::Scanner(isa, frame) => P::decode_book(*isa, frame, head, scales, MAX_LEVELS, &mut out),
                Path::Reader(message) => message.book::<P>(scales, MAX_LEVELS, &mut out),
            };
            map(decoded, |head| Taken::Book(head, out))
        }
        EventKind::AggTrade | EventKind::Trade | EventKind::MixedTrades => {
            let mut out = TradeRows::default();
            let decoded = match path {
                Path::Scanner(isa, frame) => P::decode_trades(*isa, frame, head, scales, &mut out),
                Path::Reader(message) => message.trades::<P>(scales, &mut out),
            };
            map(decoded, |()| Taken::Trades(out))
        }
        EventKind::Bbo => {
            let decoded = match path {
                Path::Scanner(isa, frame) => P::decode_bbo(*isa, frame, head, scales),
                Path::Reader(message) => message.bbo::<P>(scales),
            };
            map(decoded, Taken::Bbo)
        }
        EventKind::State => {
            let mut out = StateRows::default();
            let decoded = match path {
                Path::Scanner(_, frame) => P::decode_states(frame, head, &mut out),
                Path::Reader(message) => message.states::<P>(&mut out),
            };
            map(decoded, |()| Taken::States(out))
        }
    }
}

fn map<T>(decoded: Decoded<T>, taken: impl FnOnce(T) -> Taken) -> Decoded<Taken> {
    match decoded {
        Decoded::Event(event) => Decoded::Event(taken(event)),
        Decoded::Ignored(reason) => Decoded::Ignored(reason),
        Decoded::Rejected(reason) => Decoded::Rejected(reason),
        Decoded::Miss => Decoded::Miss,
    }
}

fn verdict<P: Protocol>(path: &Path<'_, '_>, peek: Peek<'_>, scales: Scales) -> Verdict {
    let head = match peek {
        Peek::Miss => return Verdict::Miss,
        Peek::Event(head) => head,
        other => return Verdict::Head(format!("{other:?}")),
    };
    let decoded = decode::<P>(path, &head, scales);
    let head = Head { resume: 0, ..head };
    match decoded {
        Decoded::Event(taken) => Verdict::Event(format!("{head:?} {taken:?}")),
        Decoded::Ignored(reason) => Verdict::Event(format!("{head:?} {reason:?}")),
        Decoded::Rejected(reason) => Verdict::Refused(format!("{reason:?}")),
        // A look at the head may have been enough, and is all there is where no scanner reads these states.
        Decoded::Miss if head.kind == EventKind::State => Verdict::Head(format!("{:?}", Peek::Event(head))),
        Decoded::Miss => Verdict::Miss,
    }
}

/// False for a frame of states of which only the head is known, and that is no such one by what it says.
fn is_known_beyond_its_head<S: Specimens>(frame: &str) -> bool {
    match S::P::peek(frame.as_bytes()) {
        Peek::Event(head) if head.kind == EventKind::State => {
            let decoded = decode::<S::P>(&Path::Scanner(Isa::best(), frame.as_bytes()), &head, SCALES);
            decoded != Decoded::Miss || S::READ_STATES.is_some_and(|word| frame.contains(word))
        }
        _ => true,
    }
}

fn scanned<P: Protocol>(isa: Isa, frame: &[u8], scales: Scales) -> Verdict {
    verdict::<P>(&Path::Scanner(isa, frame), P::peek(frame), scales)
}

fn read<P: Protocol>(reader: &mut WireReader, frame: &[u8], scales: Scales) -> Verdict {
    match reader.read::<P>(frame) {
        Ok(message) => verdict::<P>(&Path::Reader(&message), message.peek(), scales),
        Err(reason) => Verdict::Refused(format!("{reason:?}")),
    }
}

/// The promise between the paths: a scanner that decodes has what the reader has; one that only looked at the head has
/// it wherever the reader takes the frame at all. Says whether the scanner took it.
fn agree<P: Protocol>(reader: &mut WireReader, frame: &[u8], scales: Scales) -> Result<bool, TestCaseError> {
    let fast = scanned::<P>(Isa::best(), frame, scales);
    let text = String::from_utf8_lossy(frame);
    is_where_it_was_looked_for::<P>(frame)?;
    prop_assert_eq!(&scanned::<P>(Isa::SCALAR, frame, scales), &fast, "{}", text);
    let slow = read::<P>(reader, frame, scales);
    prop_assert!(slow != Verdict::Miss, "{}", text);
    match fast {
        Verdict::Miss => return Ok(false),
        Verdict::Head(told) => {
            if let Ok(message) = reader.read::<P>(frame) {
                prop_assert_eq!(told, format!("{:?}", message.peek()), "{}", text);
            }
        }
        _ => prop_assert_eq!(&fast, &slow, "{}", text),
    }
    Ok(true)
}

/// Whoever takes a frame for one that had the same bytes there takes it for what it is.
fn is_where_it_was_looked_for<P: Protocol>(frame: &[u8]) -> TestCaseResult {
    let Peek::Event(head) = P::peek(frame) else { return Ok(()) };
    let (begin, end) = P::looked_at(frame, &head);
    for byte in [b'0', b']', b'"', b'{'] {
        let mut other = frame.to_vec();
        if let Some(between) = other.get_mut(begin..frame.len().saturating_sub(end)) {
            between.fill(byte);
        }
        prop_assert_eq!(P::peek(&other), P::peek(frame), "{}", String::from_utf8_lossy(frame));
    }
    Ok(())
}

/// Whoever drops a frame of states by its heads knows every row of it: none is left out, and none is told otherwise.
/// `true` where the heads were told.
fn heads_tell_all<P: Protocol>(reader: &mut WireReader, frame: &[u8]) -> Result<bool, TestCaseError> {
    let Peek::Event(head) = P::peek(frame) else { return Ok(false) };
    if head.kind != EventKind::State {
        return Ok(false);
    }
    let mut told = Vec::new();
    let all = P::state_heads(frame, &head, |row| {
        let of = |(stream, feed)| (row.native.to_owned(), row.is_index, stream, feed, Some(row.time));
        told.extend(row.feeds.into_iter().flatten().map(of));
        true
    });
    let Ok(message) = reader.read::<P>(frame) else { return Ok(false) };
    let mut out = StateRows::default();
    if let (Some(()), Decoded::Event(())) = (all, message.states::<P>(&mut out)) {
        for row in &out.rows {
            let stream = match row.state {
                State::Derivative(_) => Stream::Derivatives,
                State::Option(_) => Stream::Options,
                State::Liquidation(_) => Stream::Liquidations,
            };
            let row = (out.texts.get(row.native).to_owned(), row.is_index, stream, row.feed, row.times.event);
            prop_assert!(told.contains(&row), "{:?} is none of {:?}", row, told);
        }
    }
    Ok(all.is_some())
}

/// Lets the exchange hold what the reader takes of `frame` against a second parser. Says the head where it was taken.
fn check<S: Specimens>(reader: &mut WireReader, frame: &str, scales: Scales) -> Option<EventKind> {
    let message = reader.read::<S::P>(frame.as_bytes()).ok()?;
    let Peek::Event(head) = message.peek() else { return None };
    let Decoded::Event(taken) = decode::<S::P>(&Path::Reader(&message), &head, scales) else { return None };
    S::check(&serde_json::from_str(frame).unwrap(), &head, &taken);
    Some(head.kind)
}

fn frames<S: Specimens>() -> impl Strategy<Value = String> {
    prop_oneof![3 => S::dominant(), 1 => S::rare()]
}

fn run<T: Strategy>(strategy: T, case: impl Fn(T::Value) -> TestCaseResult) {
    // More where the environment asks for them.
    let defaults = ProptestConfig::default();
    let config = ProptestConfig { cases: defaults.cases.max(3000), failure_persistence: None, ..defaults };
    if let Err(error) = TestRunner::new(config).run(&strategy, case) {
        panic!("{error}");
    }
}

pub(crate) fn taken_by_the_scanner<S: Specimens>() {
    run((S::dominant(), 0u8..5, 0u8..5), |(frame, price, size)| {
        let taken = agree::<S::P>(&mut WireReader::default(), frame.as_bytes(), Scales { price, size })?;
        prop_assert!(taken && is_known_beyond_its_head::<S>(&frame), "{}", frame);
        heads_tell_all::<S::P>(&mut WireReader::default(), frame.as_bytes())?;
        Ok(())
    });
}

pub(crate) fn says_the_same_in_other_clothes<S: Specimens>() {
    run((frames::<S>(), any::<u64>()), |(frame, seed)| {
        let mut reader = WireReader::default();
        let plain = read::<S::P>(&mut reader, frame.as_bytes(), SCALES);
        let dressed = dress::dressed(&frame, seed);
        agree::<S::P>(&mut reader, dressed.as_bytes(), SCALES)?;
        heads_tell_all::<S::P>(&mut reader, dressed.as_bytes())?;
        // Whitespace, escapes, order of keys and new keys change nothing for the reader either.
        prop_assert_eq!(read::<S::P>(&mut reader, dressed.as_bytes(), SCALES), plain, "{}", dressed);
        Ok(())
    });
}

pub(crate) fn is_not_taken_for_another<S: Specimens>() {
    run((frames::<S>(), damage::damage()), |(frame, damage)| {
        let mut reader = WireReader::default();
        let mut bytes = frame.into_bytes();
        damage.apply(&mut bytes);
        agree::<S::P>(&mut reader, &bytes, SCALES)?;
        // Whatever simd-json takes for JSON, a second parser must too.
        if let Err(error) = serde_json::from_slice::<serde_json::Value>(&bytes) {
            let out_of_range = error.to_string().contains("out of range");
            let text = String::from_utf8_lossy(&bytes);
            prop_assert!(out_of_range || reader.read::<S::P>(&bytes).is_err(), "{}: {}", error, text);
        }
        Ok(())
    });
}

pub(crate) fn makes_no_row_when_torn<S: Specimens>() {
    run((frames::<S>(), any::<Index>()), |(frame, cut)| {
        let torn = &frame.as_bytes()[..cut.index(frame.len())];
        let text = String::from_utf8_lossy(torn);
        for isa in [Isa::SCALAR, Isa::best()] {
            prop_assert!(!matches!(scanned::<S::P>(isa, torn, SCALES), Verdict::Event(_)), "{}", text);
        }
        prop_assert!(matches!(read::<S::P>(&mut WireReader::default(), torn, SCALES), Verdict::Refused(_)), "{}", text);
        Ok(())
    });
}

pub(crate) fn has_the_values_of_a_second_parser<S: Specimens>() {
    run(frames::<S>(), |frame| {
        check::<S>(&mut WireReader::default(), &frame, SCALES);
        Ok(())
    });
}

/// What the reader says of a frame: what it is where it makes no row (`None`: it makes one), or why its head or its body
/// is refused. No scanner says otherwise.
fn told<P: Protocol>(frame: &str) -> Result<Option<Peek<'static>>, RejectReason> {
    let mut reader = WireReader::default();
    agree::<P>(&mut reader, frame.as_bytes(), SCALES).unwrap();
    let message = reader.read::<P>(frame.as_bytes())?;
    match message.peek() {
        Peek::Event(head) => match decode::<P>(&Path::Reader(&message), &head, SCALES) {
            Decoded::Rejected(reason) => Err(reason),
            _ => Ok(None),
        },
        Peek::Ignored(reason) => Ok(Some(Peek::Ignored(reason))),
        Peek::Answer => Ok(Some(Peek::Answer)),
        Peek::Miss => Ok(Some(Peek::Miss)),
    }
}

pub(crate) fn says_what_makes_no_row<S: Specimens>() {
    for (frame, what) in S::ROWLESS {
        assert_eq!(told::<S::P>(frame), Ok(Some(*what)), "{frame}");
    }
}

pub(crate) fn refuses_what_cannot_drive_state<S: Specimens>() {
    for (good, changes) in S::REFUSED {
        assert_eq!(told::<S::P>(good), Ok(None), "{good}");
        for (from, to, reason) in *changes {
            let bad = good.replace(from, to);
            assert!(bad != *good, "{from} is not there: {good}");
            assert_eq!(told::<S::P>(&bad), Err(*reason), "{bad}");
        }
    }
}

pub(crate) fn past_trades_are_those_of_the_socket<S: Specimens>() {
    run(S::dominant(), |frame| {
        let mut reader = WireReader::default();
        let Ok(message) = reader.read::<S::P>(frame.as_bytes()) else { return Ok(()) };
        let Peek::Event(head) = message.peek() else { return Ok(()) };
        if !matches!(head.kind, EventKind::AggTrade | EventKind::Trade) {
            return Ok(());
        }
        let (mut live, mut past) = (TradeRows::default(), TradeRows::default());
        let Decoded::Event(()) = message.trades::<S::P>(SCALES, &mut live) else { return Ok(()) };
        let Some(body) = S::page(&frame, head.kind) else { return Ok(()) };
        let read = |native: &str, out: &mut TradeRows| {
            <S::P as Protocol>::read_trades_page(body.as_bytes(), native, head.kind == EventKind::AggTrade, SCALES, out)
        };
        // Where the rows name their instrument it must be the one that was asked for.
        let names = ["\"instId\":", "\"instrument_name\":"].iter().any(|key| body.contains(key));
        let of_another = if names { Err(RejectReason::Schema) } else { Ok(()) };
        prop_assert_eq!(read("ANOTHER", &mut TradeRows::default()), of_another, "{}", body);
        prop_assert_eq!(read(head.symbol, &mut past), Ok(()), "{}", body);
        // REST does not say when the exchange sent it.
        for row in &mut live.rows {
            if let Ok(trade) = &mut row.trade {
                trade.times.venue = None;
                trade.times.odd = trade.times.odd && trade.times.event.is_none();
            }
        }
        prop_assert_eq!(live, past, "{}", body);
        Ok(())
    });
}
