use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{Error, Message};
use xtrader_simulator::Simulator;

use crate::client::{Client, Heard, get, one_symbol, start, wait_until};

const DEPTH: &str = "/public/ws/btcusdt@depth@100ms";

/// A simulator with one scripted fault.
fn with(fault: &str, more: &str) -> Simulator {
    one_symbol(&format!(r#","faults":[{{"fault":{fault}{more}}}]"#))
}

fn ids(events: &[Value]) -> Vec<(u64, u64)> {
    events.iter().map(|e| (e["pu"].as_u64().expect("pu"), e["u"].as_u64().expect("u"))).collect()
}

/// Places where an event does not follow the one before.
fn breaks(events: &[Value]) -> Vec<usize> {
    let ids = ids(events);
    (1..ids.len()).filter(|i| ids[*i].0 != ids[*i - 1].1).collect()
}

#[test]
fn a_dropped_frame_breaks_the_chain_and_the_truth_names_it() {
    let sim = with(r#"{"kind":"drop"}"#, r#","when":{"after_frames":3,"times":2}"#);
    let events = Client::connect(&sim, DEPTH).events(8);
    assert_eq!(breaks(&events), [3]);
    sim.with_truth(|t| {
        let lost: Vec<u64> = t.alterations().iter().map(|a| t.events()[a.event as usize].last_id).collect();
        assert_eq!(lost.len(), 2);
        assert_eq!(events[3]["pu"], lost[1]);
        let seen = events.iter().filter_map(|e| e["u"].as_u64()).collect();
        let missing: Vec<u64> = t.missing("btcusdt@depth@100ms", &seen).iter().map(|e| e.last_id).collect();
        assert!(lost.iter().all(|l| missing.contains(l)));
    });
    assert_eq!(sim.fault_fired(0), 2);
}

#[test]
fn duplicates_old_frames_and_swaps_come_as_ordered() {
    let sim = with(r#"{"kind":"duplicate"}"#, r#","when":{"after_frames":2}"#);
    let events = Client::connect(&sim, DEPTH).events(5);
    assert_eq!(events[2], events[3]);
    assert_ne!(events[3], events[4]);

    let sim = with(r#"{"kind":"stale","back":2}"#, r#","when":{"after_frames":4}"#);
    let events = Client::connect(&sim, DEPTH).events(7);
    assert_eq!(events[4], events[1], "two lie between it and the frame it precedes");
    assert_eq!(ids(&events)[5].0, ids(&events)[3].1);

    let sim = with(r#"{"kind":"swap"}"#, r#","when":{"after_frames":2}"#);
    let ids = ids(&Client::connect(&sim, DEPTH).events(6));
    assert_eq!((ids[2].0, ids[3].0, ids[4].0), (ids[3].1, ids[1].1, ids[2].1));
}

#[test]
fn delays_keep_the_order() {
    let sim = with(r#"{"kind":"delay","seconds":0.3,"jitter_s":0.2}"#, "");
    let mut c = Client::connect(&sim, DEPTH);
    let events = c.events(8);
    assert!(breaks(&events).is_empty());
    sim.with_truth(|t| {
        for f in t.frames(Some(0)) {
            let event = &t.events()[f.event.expect("an event") as usize];
            assert!(f.write_ns / 1_000_000 >= event.emitted_ms as u64 + 299);
        }
    });
}

#[test]
fn a_mute_symbol_leaves_the_others_alone() {
    let sim =
        start(r#"{"faults":[{"fault":{"kind":"silence"},"target":{"symbol":"ETHUSDT"},"when":{"after_frames":3}}]}"#);
    let mut c = Client::connect(&sim, "/public/ws/btcusdt@depth@100ms/ethusdt@depth@100ms");
    let events = c.events(40);
    assert_eq!(events.iter().filter(|e| e["s"] == "ETHUSDT").count(), 3);
    sim.clear_faults();
    wait_until("it speaks again", || c.json()["s"] == "ETHUSDT");
}

#[test]
fn silence_is_broken_by_pings_alone() {
    let sim = one_symbol(r#","first_ping_s":0.1,"ping_interval_s":0.1,"faults":[{"fault":{"kind":"silence"}}]"#);
    let mut c = Client::connect(&sim, "/public/ws");
    let ack = c.ask(r#"{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms"],"id":1}"#);
    assert_eq!(ack["id"], 1);
    for _ in 0..5 {
        assert!(matches!(c.hear(), Heard::Ping(_)));
    }
    assert!(sim.fault_fired(0) > 1);
}

#[test]
fn a_reset_comes_in_the_middle_of_a_frame() {
    for at in [1, 2, 40] {
        let fault = format!(r#"{{"kind":"disconnect","how":"reset","at_byte":{at}}}"#);
        let sim = with(&fault, r#","when":{"after_frames":2}"#);
        let mut c = Client::connect(&sim, DEPTH);
        let (texts, end) = c.until_end();
        assert_eq!(texts.len(), 2);
        assert!(matches!(&end, Heard::End(Some(Error::Io(_) | Error::Protocol(_)))), "{end:?}");
        sim.with_truth(|t| {
            let last = t.frames(Some(0)).last().expect("a frame");
            assert!(!last.whole);
        });
    }
}

#[test]
fn connections_end_as_they_are_told_to() {
    let sim = one_symbol("");
    let mut c = Client::connect(&sim, DEPTH);
    c.text();
    sim.inject_json(r#"{"fault":{"kind":"close","code":1012,"reason":"restart"}}"#).expect("a plan");
    match c.until_end().1 {
        Heard::Close(Some(close)) => assert_eq!((u16::from(close.code), &*close.reason), (1012, "restart")),
        other => panic!("{other:?}"),
    }
    let mut c = Client::connect(&sim, DEPTH);
    c.text();
    sim.inject_json(r#"{"fault":{"kind":"disconnect","how":"fin"}}"#).expect("a plan");
    let end = c.until_end().1;
    assert!(matches!(end, Heard::End(Some(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)))), "{end:?}");

    let mut c = Client::connect(&sim, DEPTH);
    c.text();
    sim.inject_json(r#"{"fault":{"kind":"disconnect"},"target":{"connection":2}}"#).expect("a plan");
    let end = c.until_end().1;
    assert!(matches!(end, Heard::End(Some(_))), "{end:?}");
    let reasons = || sim.with_truth(|t| t.connections().iter().filter_map(|c| c.reason.clone()).collect::<Vec<_>>());
    wait_until("three ends", || reasons().len() == 3);
    assert_eq!(reasons()[2], "fault: reset");
}

#[test]
fn a_timed_disconnect_needs_no_frame() {
    let sim = with(r#"{"kind":"disconnect"}"#, r#","target":{"family":"market"},"when":{"after_s":0.4}"#);
    let mut public = Client::connect(&sim, DEPTH);
    let mut market = Client::connect(&sim, "/market/ws");
    assert!(matches!(market.until_end().1, Heard::End(_)));
    public.texts(3);
}

#[test]
fn a_half_open_connection_says_nothing_and_stays() {
    let sim = one_symbol(r#","first_ping_s":0.1,"ping_interval_s":0.1"#);
    let mut c = Client::connect(&sim, DEPTH);
    c.text();
    let id = sim.inject_json(r#"{"fault":{"kind":"half_open"}}"#).expect("a plan");
    wait_until("it struck", || sim.fault_fired(id) == 1);
    let issued = sim.with_truth(|t| t.issued());
    while c.hear_within(Duration::from_millis(400)).is_some() {}
    assert!(sim.with_truth(|t| t.issued()) > issued);
    assert!(c.send_message(Message::text("{}")).is_ok(), "the socket is still there");
    assert_eq!(sim.with_truth(|t| t.connections()[0].closed_ns), None);
}

#[test]
fn a_server_that_does_not_read_blocks_the_client() {
    let sim = one_symbol("");
    let mut c = Client::connect(&sim, DEPTH);
    let id = sim.inject_json(r#"{"fault":{"kind":"stop_reading"}}"#).expect("a plan");
    wait_until("it struck", || sim.fault_fired(id) == 1);
    c.texts(3);
    // The reader has looked up once the connection's tasks ran again; afterwards nothing is answered.
    c.send(r#"{"method":"LIST_SUBSCRIPTIONS","id":77}"#);
    assert!(c.texts(20).iter().all(|t| !t.contains("\"id\":77")));
}

#[test]
fn malformed_texts_come_in_place_of_frames_or_before_them() {
    let sim = with(r#"{"kind":"malformed","how":"truncated"}"#, r#","when":{"after_frames":1}"#);
    let texts = Client::connect(&sim, DEPTH).texts(3);
    let parsed: Vec<bool> = texts.iter().map(|t| serde_json::from_str::<Value>(t).is_ok()).collect();
    assert_eq!(parsed, [true, false, true]);

    let how = r#"{"set":{"field":"T","json":"\"soon\""}}"#;
    let sim = with(&format!(r#"{{"kind":"malformed","how":{how},"before":true}}"#), r#","when":{"after_frames":1}"#);
    let events = Client::connect(&sim, DEPTH).events(3);
    assert_eq!((&events[1]["T"], &events[1]["u"]), (&"soon".into(), &events[2]["u"]));

    let sim = with(r#"{"kind":"malformed","how":"invalid_utf8"}"#, "");
    let end = Client::connect(&sim, DEPTH).until_end().1;
    assert!(matches!(end, Heard::End(Some(Error::Utf8(_)))), "{end:?}");

    let sim = with(r#"{"kind":"malformed","how":{"padded":{"bytes":5000000}}}"#, "");
    let text = Client::connect(&sim, DEPTH).text();
    assert_eq!(text.len(), 5_000_000);
    assert!(serde_json::from_str::<Value>(&text).is_ok());
    assert!(!sim.with_truth(|t| t.alterations()[0].lost));
}

#[test]
fn fragments_with_pings_between_them_are_one_text() {
    let sim = with(r#"{"kind":"fragment","parts":7,"pings":true}"#, r#","when":{"times":3}"#);
    let mut c = Client::connect(&sim, DEPTH);
    let mut pings = 0;
    let mut events = Vec::new();
    while events.len() < 5 {
        match c.hear() {
            Heard::Ping(_) => pings += 1,
            Heard::Text(t) => events.push(serde_json::from_str::<Value>(&t).expect("JSON")),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(pings, 18);
    assert!(breaks(&events).is_empty());
}

#[test]
fn frames_that_the_protocol_forbids_are_seen_as_such() {
    for how in [
        "reserved_bits",
        "reserved_opcode",
        "masked",
        "oversize",
        "terabyte",
        "fragmented_control",
        "long_ping",
        "short_close",
        "lone_continuation",
    ] {
        let sim = with(&format!(r#"{{"kind":"bad_frame","how":"{how}"}}"#), r#","when":{"after_frames":1}"#);
        let (texts, end) = Client::connect(&sim, DEPTH).until_end();
        assert_eq!(texts.len(), 1, "{how}");
        assert!(matches!(end, Heard::End(Some(Error::Protocol(_) | Error::Capacity(_)))), "{how}: {end:?}");
    }
    let sim = with(r#"{"kind":"raw_bytes","hex":"8b 00"}"#, "");
    assert!(matches!(Client::connect(&sim, DEPTH).until_end().1, Heard::End(Some(Error::Protocol(_)))));
}

#[test]
fn a_flood_of_pings_and_a_trickle_of_bytes() {
    let sim = with(r#"{"kind":"ping_flood","count":500}"#, "");
    let mut c = Client::connect(&sim, DEPTH);
    let mut pings = 0;
    while pings < 500 {
        if let Heard::Ping(p) = c.hear() {
            assert_eq!(p.len(), 125);
            pings += 1;
        }
    }
    let sim = with(r#"{"kind":"trickle","bytes_per_s":20}"#, "");
    let mut c = Client::connect(&sim, DEPTH);
    let begin = Instant::now();
    assert!(c.hear_within(Duration::from_secs(2)).is_none(), "after {:?}", begin.elapsed());
}

#[test]
fn upgrades_are_refused_and_answered_wrongly() {
    for status in [429u16, 418, 403, 503, 301] {
        let fault =
            format!(r#"{{"kind":"refuse_upgrade","status":{status},"retry_after_s":3,"location":"ws://elsewhere"}}"#);
        let sim = with(&fault, "");
        match Client::try_connect(&sim, DEPTH).map(|_| ()) {
            Err(Error::Http(reply)) => {
                assert_eq!(reply.status().as_u16(), status);
                assert_eq!(reply.headers().get("Retry-After").expect("a header"), "3");
            }
            other => panic!("{status}: {other:?}"),
        }
        assert!(Client::try_connect(&sim, DEPTH).is_ok(), "one time only");
    }
    for how in ["wrong_accept", "no_accept", "unrequested_subprotocol", "header_flood", "garbage"] {
        let sim = with(&format!(r#"{{"kind":"bad_upgrade","how":"{how}"}}"#), "");
        assert!(Client::try_connect(&sim, DEPTH).is_err(), "{how}");
    }
    let sim = with(r#"{"kind":"accept_then_close"}"#, r#","when":{"times":3}"#);
    let refused = (0..4).filter(|_| Client::try_connect(&sim, DEPTH).is_err()).count();
    assert_eq!(refused, 3);
    let sim = with(r#"{"kind":"accept_then_close","upgraded":true}"#, "");
    assert!(matches!(Client::connect(&sim, DEPTH).hear(), Heard::End(_)));
}

#[test]
fn a_slow_reader_is_cut() {
    let sim = one_symbol(r#","limits":{"send_queue_bytes":200000},"faults":[{"fault":{"kind":"rate","factor":200}}]"#);
    let address = sim.ws_url().replace("ws://", "");
    let mut s = std::net::TcpStream::connect(address).expect("a connection");
    s.write_all(b"GET /public/ws/btcusdt@depth@0ms/btcusdt@bookTicker/btcusdt@trade HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n").expect("sent");
    let reason = || sim.with_truth(|t| t.connections().first().and_then(|c| c.reason.clone()));
    wait_until("it is cut", || reason().is_some_and(|r| r.starts_with("too slow")));
}

#[test]
fn one_event_holds_ten_thousand_levels() {
    let sim = one_symbol("");
    let mut c = Client::connect(&sim, DEPTH);
    let mut events = c.events(2);
    sim.inject_json(r#"{"fault":{"kind":"big_event","levels":10000}}"#).expect("a plan");
    let size = |e: &Value| e["b"].as_array().map_or(0, Vec::len) + e["a"].as_array().map_or(0, Vec::len);
    while size(events.last().expect("an event")) < 9_000 {
        events.push(c.json());
    }
    assert!(breaks(&events).is_empty());
}

#[test]
fn a_cross_stands_in_the_truth_too() {
    let sim = one_symbol("");
    let mut c = Client::connect(&sim, "/public/ws/btcusdt@bookTicker");
    sim.inject_json(r#"{"fault":{"kind":"cross","seconds":0.2},"target":{"symbol":"BTCUSDT"}}"#).expect("a plan");
    loop {
        let e = c.json();
        let price = |k: &str| e[k].as_str().expect("a price").parse::<f64>().expect("a number");
        if price("b") >= price("a") {
            let top = sim.with_truth(|t| t.top_at("BTCUSDT", e["u"].as_u64().expect("u"))).expect("a book");
            assert_eq!(top.bids[0][0], top.asks[0][0]);
            return;
        }
    }
}

#[test]
fn plans_that_make_no_sense_are_refused() {
    let sim = one_symbol("");
    for bad in ["", "{}", r#"{"fault":{"kind":"nope"}}"#, r#"{"fault":{"kind":"trickle","bytes_per_s":0}}"#] {
        assert!(sim.inject_json(bad).is_err(), "{bad}");
    }
}

#[test]
fn phases_give_each_connection_batches_of_its_own_over_one_book() {
    for (exchange, path, rest) in [
        ("binance-futures", DEPTH, "/fapi/v1/depth?symbol=BTCUSDT&limit=1000"),
        ("binance-spot", "/ws/btcusdt@depth@100ms", "/api/v3/depth?symbol=BTCUSDT&limit=5000"),
    ] {
        let config = format!(r#"{{"exchange":"{exchange}","symbols":["BTCUSDT"],"book_levels":300,"batch_phases":2}}"#);
        let sim = start(&config);
        let (mut a, mut b) = (Client::connect(&sim, path), Client::connect(&sim, path));
        let ends = |events: Vec<Value>| events.iter().map(|e| e["u"].as_u64().expect("u")).collect::<Vec<_>>();
        let (of_a, of_b) = (ends(a.events(15)), ends(b.events(15)));
        let id = get(&sim, rest).json()["lastUpdateId"].as_u64().expect("an id");
        assert!(sim.with_truth(|t| t.book_at("BTCUSDT", id)).is_some_and(|b| b.last_id == id), "the truth is one");
        let same = of_a.iter().filter(|u| of_b.contains(u)).count();
        assert!(same < 8, "{of_a:?} {of_b:?}");
        sim.with_truth(|t| {
            let issued = |stream: &str| t.events_of(stream).map(|e| e.last_id).collect::<Vec<_>>();
            assert!(of_a.iter().all(|u| issued("btcusdt@depth@100ms").contains(u)));
            assert!(of_b.iter().all(|u| issued("btcusdt@depth@100ms#1").contains(u)));
        });
    }
}
