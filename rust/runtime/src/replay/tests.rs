#![allow(clippy::unwrap_used)]

use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::testing::Folder;

/// Wall time, monotonic time and what was taken.
type Seen = (Option<i64>, u64, String);

/// Writes down what it is given, and has a timer every `every` nanoseconds.
#[derive(Default)]
struct Witness {
    seen: Vec<Seen>,
    every: Option<u64>,
    due: u64,
}

impl Machine for Witness {
    fn take(&mut self, at: At, input: Input<'_>) {
        if matches!(input, Input::Timeout) {
            let every = self.every.unwrap();
            self.due = (at.mono / every + 1) * every;
        }
        let text = match input {
            Input::ConnUp { conn, url, .. } => format!("up {} {url}", conn.0),
            Input::ConnDown { conn, down } => format!("down {} {down:?}", conn.0),
            Input::Frame { conn, payload } => format!("frame {} {}", conn.0, String::from_utf8_lossy(payload)),
            Input::Http(reply) => format!(
                "http {:?} {} {} {:?} {}",
                reply.request,
                reply.url,
                reply.status,
                reply.retry_after_ms,
                String::from_utf8_lossy(reply.body)
            ),
            Input::Command(command) => format!("command {command:?}"),
            Input::Timeout => "timeout".to_owned(),
        };
        self.seen.push((at.wall, at.mono, text));
    }

    fn stamped_by(&mut self, conn: ConnId, source: StampSource) {
        self.seen.push((None, 0, format!("stamps {} {}", conn.0, source.name())));
    }

    fn next_timeout(&self) -> Option<Stamp> {
        self.every.map(|_| Stamp { wall: -1, mono: self.due })
    }

    fn heals_until(&self) -> Option<Stamp> {
        None
    }
}

fn line(recv_ns: Option<i64>, conn: &str, dir: &str, url: Option<&str>, frame: &str) -> String {
    let mut line = json!({ "recv_ns": recv_ns, "conn": conn, "dir": dir, "frame": frame });
    if let Some(url) = url {
        line["url"] = url.into();
    }
    line.to_string() + "\n"
}

fn foreign(folder: &Folder, lines: &[String]) -> Foreign {
    let path = folder.file("a.jsonl", lines.concat().as_bytes());
    let exchange = Some(Venue::BinanceFutures.id().to_owned());
    Foreign::open(ReplayOptions { paths: vec![path], exchange, ..ReplayOptions::default() }).unwrap().0
}

fn run(feed: &mut Foreign, witness: &mut Witness) -> Result<Tally, RuntimeError> {
    let (mut pace, mut tally) = (Pace::new(Speed::Max), Tally::default());
    while matches!(feed.step(witness, &mut pace, &mut tally)?, Step::Taken) {}
    Ok(tally)
}

const WSS: &str = "wss://fstream.binance.com/stream?streams=btcusdt@depth";

#[test]
fn connections_are_numbered_as_they_appear_and_are_up_at_their_first_line() {
    let folder = Folder::new();
    let lines = [
        line(Some(100), "http", "http", Some("https://fapi.binance.com/fapi/v1/exchangeInfo"), "{}"),
        line(Some(110), "b", "out", Some(WSS), "{\"method\":\"SUBSCRIBE\"}"),
        line(Some(120), "b", "in", None, "one"),
        line(Some(115), "a", "in", Some("wss://fstream.binance.com/market/ws"), "two"),
        line(Some(130), "b", "in", None, "three"),
    ];
    let mut witness = Witness::default();
    let tally = run(&mut foreign(&folder, &lines), &mut witness).unwrap();
    let expected = [
        (Some(100), 0, "http None https://fapi.binance.com/fapi/v1/exchangeInfo 200 None {}".to_owned()),
        (Some(110), 10, format!("up 1 {WSS}")),
        (Some(120), 20, "frame 1 one".to_owned()),
        (Some(115), 20, "up 2 wss://fstream.binance.com/market/ws".to_owned()),
        (Some(115), 20, "frame 2 two".to_owned()),
        (Some(130), 30, "frame 1 three".to_owned()),
    ];
    assert_eq!(witness.seen, expected);
    let counted = (tally.frames, tally.bytes, tally.replies, tally.sent, tally.connections);
    assert_eq!(counted, (3, 11, 1, 1, 2));
}

#[test]
fn timeouts_come_before_the_line_that_they_were_due_at_with_their_own_time() {
    let folder = Folder::new();
    let lines = [
        line(Some(1000), "a", "in", Some(WSS), "one"),
        line(Some(1029), "a", "out", None, ""),
        line(Some(1030), "a", "in", None, "two"),
    ];
    let mut witness = Witness { every: Some(10), due: 10, ..Witness::default() };
    run(&mut foreign(&folder, &lines), &mut witness).unwrap();
    let seen: Vec<(u64, &str)> = witness.seen.iter().map(|(_, mono, text)| (*mono, text.as_str())).collect();
    let up = format!("up 1 {WSS}");
    let expected =
        [(0, up.as_str()), (0, "frame 1 one"), (10, "timeout"), (20, "timeout"), (30, "timeout"), (30, "frame 1 two")];
    assert_eq!(seen, expected);
}

#[test]
fn an_impossible_receive_time_costs_two_days_of_timeouts_one_a_step() {
    let folder = Folder::new();
    let (hour, day) = (3_600_000_000_000_u64, 86_400_000_000_000_u64);
    for days in [100, 36_500] {
        let jump = i64::try_from(days * day).unwrap();
        let lines = [line(Some(0), "a", "in", Some(WSS), "one"), line(Some(jump), "a", "in", None, "two")];
        let mut feed = foreign(&folder, &lines);
        let mut witness = Witness { every: Some(hour), due: hour, ..Witness::default() };
        let (mut pace, mut tally) = (Pace::new(Speed::Max), Tally::default());
        let mut steps = 0;
        while matches!(feed.step(&mut witness, &mut pace, &mut tally).unwrap(), Step::Taken) {
            steps += 1;
        }
        let timeouts = witness.seen.iter().filter(|(_, _, text)| text == "timeout").map(|(_, mono, _)| *mono);
        let (early, late) = ((1..=24).map(|n| n * hour), (0..=24).map(|n| (days - 1) * day + n * hour));
        assert_eq!(timeouts.collect::<Vec<_>>(), early.chain(late).collect::<Vec<_>>());
        assert_eq!(steps, 2 + 49, "whoever waits can look around between two timeouts");
        assert_eq!(witness.seen.last().unwrap().2, "frame 1 two");
    }
}

#[test]
fn a_time_that_was_not_recorded_is_passed_on_as_such() {
    let folder = Folder::new();
    let lines = [
        line(None, "none", "in", None, "one"),
        line(Some(1_700_000_000_000_000_000), "none", "in", None, "two"),
        line(None, "none", "in", None, "three"),
        line(Some(1_700_000_000_000_000_005), "none", "in", None, "four"),
    ];
    let mut witness = Witness::default();
    run(&mut foreign(&folder, &lines), &mut witness).unwrap();
    let times: Vec<(Option<i64>, u64)> = witness.seen.iter().map(|(wall, mono, _)| (*wall, *mono)).collect();
    let (first, last) = (Some(1_700_000_000_000_000_000), Some(1_700_000_000_000_000_005));
    assert_eq!(times, [(None, 0), (None, 0), (first, 0), (None, 0), (last, 5)]);
}

#[test]
fn the_clock_goes_on_where_that_of_the_recorder_was_set_back() {
    let folder = Folder::new();
    let back = -3_600_000;
    let told = [
        ("a", 0, 0),
        ("b", 100, 100),
        ("a", 200, 200),
        // Not in perfect order.
        ("b", 150, 200),
        ("a", back + 300, 200),
        // Of before.
        ("b", 290, 290),
        ("b", back + 400, 300),
        ("a", back + 800, 700),
        // Quiet since long before.
        ("c", back + 900, 800),
        ("a", 2 * back + 1_000, 800),
        ("c", 2 * back + 1_100, 900),
        ("b", 2 * back + 1_200, 1_000),
    ];
    let ms = 1_000_000;
    let begin = 1_700_000_000_000_000_000;
    let lines = told.map(|(conn, wall, _)| line(Some(begin + wall * ms), conn, "in", Some(WSS), "x"));
    let mut witness = Witness::default();
    run(&mut foreign(&folder, &lines), &mut witness).unwrap();
    let frames = witness.seen.iter().filter(|(_, _, text)| text.starts_with("frame"));
    let seen: Vec<(Option<i64>, u64)> = frames.map(|(wall, mono, _)| (*wall, *mono / 1_000_000)).collect();
    assert_eq!(seen, told.map(|(_, wall, mono)| (Some(begin + wall * ms), mono)), "wall times stay as recorded");
}

#[test]
fn a_second_exchange_in_one_recording_is_an_error_with_its_place() {
    let folder = Folder::new();
    let lines = [
        line(Some(1), "a", "in", Some(WSS), "one"),
        line(Some(2), "b", "in", Some("wss://ws.okx.com:8443/ws/v5/public"), "two"),
    ];
    let mut witness = Witness::default();
    let error = run(&mut foreign(&folder, &lines), &mut witness).err().unwrap().to_string();
    assert!(error.contains("line 2") && error.contains("ws.okx.com"), "{error}");
}

#[test]
fn real_speed_waits_as_long_as_it_was_and_hands_the_line_over_afterwards() {
    let folder = Folder::new();
    let hour = 3_600_000_000_000;
    let lines = [line(Some(0), "a", "in", Some(WSS), "one"), line(Some(hour), "a", "in", None, "two")];
    let mut feed = foreign(&folder, &lines);
    let (mut witness, mut pace, mut tally) = (Witness::default(), Pace::new(Speed::Real), Tally::default());
    assert!(matches!(feed.step(&mut witness, &mut pace, &mut tally), Ok(Step::Taken)));
    for _ in 0..2 {
        let Ok(Step::NotDue(wait)) = feed.step(&mut witness, &mut pace, &mut tally) else { panic!("an hour early") };
        assert!(wait > Duration::from_secs(3500) && wait <= Duration::from_secs(3600));
    }
    let mut pace = Pace::new(Speed::Max);
    assert!(matches!(feed.step(&mut witness, &mut pace, &mut tally), Ok(Step::Taken)));
    assert_eq!(witness.seen.last().unwrap().2, "frame 1 two");
    assert!(matches!(feed.step(&mut witness, &mut pace, &mut tally), Ok(Step::End)));
}

#[test]
fn the_exchange_is_told_by_host_then_name_then_caller() {
    let tell = |path: &str, url: Option<&str>, given: Option<Venue>| {
        origin::venue(Path::new(path), url, given).map(Venue::id).map_err(|error| error.to_string())
    };
    let given = Some(Venue::BinanceFutures);
    for (path, url, given) in [
        ("x.jsonl", Some(WSS), None),
        ("okx/x.jsonl", Some("https://fapi.binance.com/fapi/v1/depth?symbol=A"), None),
        ("x.jsonl", Some("WSS://DEMO-FSTREAM.binance.com:443/ws"), None),
        ("x.jsonl", Some("https://testnet.binancefuture.com/"), given),
        ("binance_usdm/x.jsonl", None, None),
        ("a/binance-futures/x.jsonl.gz", Some("ws://127.0.0.1:9000/ws"), None),
        ("synthetic/binance_usdm.gap.jsonl", None, None),
        ("binance-futures-2026.jsonl", None, None),
        ("x.jsonl", None, given),
        ("x.jsonl", Some("ws://localhost:1/ws"), given),
    ] {
        assert_eq!(tell(path, url, given).as_deref(), Ok("binance-futures"), "{path} {url:?}");
    }
    for (url, id) in [
        ("wss://stream.binance.com:9443/ws", "binance-spot"),
        ("wss://ws.okx.com:8443/ws/v5/public", "okx"),
        ("wss://www.deribit.com/ws/api/v2", "deribit"),
    ] {
        assert_eq!(tell("binance_usdm/x.jsonl", Some(url), None).as_deref(), Ok(id), "{url}");
    }
    for (path, url, given, names) in [
        (
            "x.jsonl",
            Some("wss://ws.kraken.com/v2"),
            None,
            "\"ws.kraken.com\" (kraken) is not supported; there is: binance-futures",
        ),
        ("binance_usdm/x.jsonl", Some("wss://stream.bybit.com/v5"), given, "(bybit) is not supported"),
        ("x.jsonl", Some("wss://ws.okx.com:8443/ws/v5/public"), given, "is okx, not binance-futures"),
        ("x.jsonl", Some("wss://dstream.binance.com/ws"), None, "(binance-coinm) is not supported"),
        ("x.jsonl", Some("wss://drb.coinbase.com/ws/api/v2"), None, "--exchange deribit --size-unit native"),
        ("synthetic/coinbase.gap.jsonl", None, None, "\"coinbase\" (coinbase) is not supported"),
        ("hyperliquid/x.jsonl", None, None, "(hyperliquid) is not supported"),
        ("x.jsonl", None, None, "--exchange ID), one of: binance-futures"),
        ("binances/x.jsonl", None, None, "--exchange ID"),
        ("x.jsonl", Some("wss://notbinance.com/ws"), None, "\"notbinance.com\""),
    ] {
        let text = tell(path, url, given).unwrap_err();
        assert!(text.starts_with(path) && text.contains(names), "{text}");
    }
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let folder = Folder::new();
    let capture = folder.file("binance_usdm.jsonl", b"");
    let refused = |options: ReplayOptions| Replay::open(options).err().unwrap().to_string();
    assert!(refused(ReplayOptions::default()).contains("at least one recording"));
    let options = ReplayOptions { paths: vec![capture.clone()], exchange: Some("kraken".into()), ..Default::default() };
    assert!(refused(options).contains("binance-futures"));
    let raw = raw::tests::part(&folder, "part-00000.parquet", &[]);
    let options = ReplayOptions { paths: vec![raw.clone(), capture], ..Default::default() };
    assert!(refused(options).contains("cannot be replayed as one"));
    let options = ReplayOptions { paths: vec![raw.clone()], streams: Some(vec![Stream::L2]), ..Default::default() };
    assert!(refused(options).contains("streams"));
    let options = ReplayOptions { paths: vec![raw], ..Default::default() };
    assert!(refused(options).contains("no rows"));

    let error = serde_json::from_value::<ReplayOptions>(json!({ "paths": [], "tabels": [] })).unwrap_err();
    assert!(error.to_string().contains("tabels"));
    for (text, speed) in [("max", Speed::Max), ("1", Speed::Real), ("real", Speed::Real)] {
        let options: ReplayOptions = serde_json::from_value(json!({ "speed": text })).unwrap();
        assert_eq!(options.speed, speed);
    }
}

#[test]
fn counters_of_engines_that_followed_each_other_add_up() {
    let sum = added(
        json!({ "frames": 2, "ignored": { "answer": 1 }, "state": "a" }),
        json!({ "frames": 3, "ignored": { "answer": 1, "json": 4 }, "state": "b" }),
    );
    assert_eq!(sum, json!({ "frames": 5, "ignored": { "answer": 2, "json": 4 }, "state": "b" }));
    assert_eq!(added(Value::Null, json!({ "frames": 1 })), json!({ "frames": 1 }));
}

mod round_trip;

mod own_rows {
    use xtrader_core::engine::{ConnDown, DownReason};
    use xtrader_core::table::InputKind;

    use super::*;
    use crate::raw::RawReader;
    use crate::raw::tests::{Written, part, written};

    fn fed(rows: Vec<Written>) -> Result<(Vec<Seen>, Tally), String> {
        let folder = Folder::new();
        let mut all = vec![written(InputKind::Start, 0, b"{}")];
        all.extend(rows);
        let mut reader = RawReader::open(&[part(&folder, "part-00000.parquet", &all)]).unwrap();
        let (mut witness, mut tally) = (Witness { every: Some(1), ..Witness::default() }, Tally::default());
        assert!(reader.advance().unwrap());
        while reader.advance().unwrap() {
            own::feed(&reader.row().unwrap(), &mut witness, &mut tally)?;
        }
        Ok((witness.seen, tally))
    }

    #[test]
    fn inputs_are_handed_over_as_they_were_taken() {
        let down =
            ConnDown { reason: DownReason::Refused, code: Some(429), detail: "busy".into(), retry_after_ms: Some(5) };
        let up = Written { conn: 2, url: Some("wss://x"), ..written(InputKind::ConnUp, 1, b"") };
        let frame = Written { conn: 2, ..written(InputKind::Frame, 2, b"{\"e\":1}\xFF") };
        let http = Written {
            request: Some(9),
            status: Some(418),
            headers: Some("retry-after-ms: 1500"),
            url: Some("https://x/y"),
            ..written(InputKind::Http, 3, b"body")
        };
        let untimed =
            Written { headers: Some("wall: unknown\nstamps: kernel"), conn: 2, ..written(InputKind::Frame, 5, b"x") };
        let gone = Written { conn: 2, ..written(InputKind::ConnDown, 6, &serde_json::to_vec(&down).unwrap()) };
        let (seen, tally) = fed(vec![up, frame, http, written(InputKind::Timeout, 4, b""), untimed, gone]).unwrap();
        let texts: Vec<&str> = seen.iter().map(|(_, _, text)| text.as_str()).collect();
        let expected = [
            "up 2 wss://x".to_owned(),
            "frame 2 {\"e\":1}\u{fffd}".to_owned(),
            "http Some(RequestId(9)) https://x/y 418 Some(1500) body".to_owned(),
            "timeout".to_owned(),
            "stamps 2 kernel".to_owned(),
            "frame 2 x".to_owned(),
            format!("down 2 {down:?}"),
        ];
        assert_eq!(texts, expected);
        let wall = |id: i64| Some(1_700_000_000_000_000_000 + id);
        let times: Vec<(Option<i64>, u64)> = seen.iter().map(|(wall, mono, _)| (*wall, *mono)).collect();
        assert_eq!(
            times,
            [(wall(1), 10), (wall(2), 20), (wall(3), 30), (wall(4), 40), (None, 0), (None, 50), (wall(6), 60)]
        );
        assert_eq!((tally.frames, tally.bytes, tally.replies, tally.connections), (2, 9, 1, 1));
    }

    #[test]
    fn a_row_that_cannot_be_replayed_says_why() {
        assert!(fed(vec![written(InputKind::Command, 1, b"")]).err().unwrap().contains("command"));
        assert!(fed(vec![written(InputKind::ConnDown, 1, b"{")]).err().unwrap().contains("conn_down"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against a naive model of the timer: the monotonic clock never falls, and no timeout comes after a line that it was
    /// due before.
    #[test]
    fn the_clock_never_falls_and_no_timeout_is_late(
        times in prop::collection::vec(prop::option::of(-50_i64..200), 1..30),
        every in 1_u64..60,
    ) {
        let folder = Folder::new();
        let lines: Vec<String> =
            times.iter().enumerate().map(|(i, time)| line(*time, "a", "in", None, &i.to_string())).collect();
        let mut witness = Witness { every: Some(every), due: every, ..Witness::default() };
        run(&mut foreign(&folder, &lines), &mut witness).unwrap();
        let mut due = every;
        let mut last = 0;
        let mut frames = 0;
        for (wall, mono, text) in &witness.seen {
            prop_assert!(*mono >= last);
            last = *mono;
            if text == "timeout" {
                prop_assert_eq!(*mono, due);
                due += every;
                continue;
            }
            prop_assert!(*mono < due);
            if let Some(number) = text.strip_prefix("frame 1 ") {
                prop_assert_eq!(number, frames.to_string());
                prop_assert_eq!(*wall, times[frames]);
                frames += 1;
            }
        }
        prop_assert_eq!(frames, times.len());
    }
}
