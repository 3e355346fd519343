use std::time::{Duration, Instant};

use tokio_tungstenite::tungstenite::{Error, Message};
use xtrader_simulator::EventKind;

use crate::client::{Client, Heard, one_symbol, start, wait_until};

const DEPTH: &str = "/public/ws/btcusdt@depth@100ms";

#[test]
fn subscriptions_are_acknowledged_and_deliver_in_both_forms() {
    let sim = start("");
    let mut raw = Client::connect(&sim, "/public/ws");
    let ack = raw.ask(r#"{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms","ethusdt@bookTicker"],"id":1}"#);
    assert_eq!(ack.to_string(), r#"{"id":1,"result":null}"#);
    let events = raw.events(30);
    assert!(events.iter().any(|e| e["e"] == "depthUpdate" && e["s"] == "BTCUSDT"));
    assert!(events.iter().any(|e| e["e"] == "bookTicker" && e["s"] == "ETHUSDT"));
    assert!(events.iter().all(|e| e["s"] != "SOLUSDT"));

    let mut combined = Client::connect(&sim, "/market/stream?streams=btcusdt@aggTrade/ethusdt@aggTrade");
    let e = combined.json();
    assert!(e["stream"] == "btcusdt@aggTrade" || e["stream"] == "ethusdt@aggTrade");
    assert_eq!(e["data"]["e"], "aggTrade");
    assert_eq!(combined.ask(r#"{"method":"SET_PROPERTY","params":["combined",false],"id":2}"#)["id"], 2);
    assert_eq!(combined.json()["e"], "aggTrade");
    let ack = combined.ask(r#"{"method":"UNSUBSCRIBE","params":["btcusdt@aggTrade"],"id":3}"#);
    assert_eq!(ack["id"], 3);
    assert!(combined.events(10).iter().all(|e| e["s"] == "ETHUSDT"));
    let list = combined.ask(r#"{"method":"LIST_SUBSCRIPTIONS","id":4}"#);
    assert_eq!(list["result"], serde_json::json!(["ethusdt@aggTrade"]));
}

/// What was issued on these streams while the client was there is proof that silence is no accident.
fn silent(sim: &xtrader_simulator::Simulator, path: &str, names: &[&str]) {
    let mut c = Client::connect(sim, path);
    let params = serde_json::to_string(names).expect("JSON");
    assert_eq!(
        c.ask(&format!(r#"{{"method":"SUBSCRIBE","params":{params},"id":1}}"#))["result"],
        serde_json::Value::Null
    );
    let issued = sim.with_truth(|t| t.issued());
    wait_until("the market goes on", || sim.with_truth(|t| t.issued()) > issued + 200);
    let list = c.ask(r#"{"method":"LIST_SUBSCRIPTIONS","id":2}"#);
    assert_eq!(
        list["result"],
        serde_json::json!(names),
        "the first text after the ack is this one: nothing was delivered"
    );
}

#[test]
fn wrong_families_and_names_are_acknowledged_and_silent() {
    let sim = one_symbol("");
    silent(&sim, "/market/ws", &["btcusdt@depth@100ms", "btcusdt@bookTicker", "btcusdt@trade"]);
    silent(&sim, "/public/ws", &["btcusdt@aggTrade", "BTCUSDT@depth@100ms", "btcusdt@depth@250ms", "x@y"]);
    silent(&sim, "/private/ws", &["btcusdt@depth@100ms", "btcusdt@aggTrade"]);
    silent(&sim, "/ws", &["btcusdt@aggTrade"]);
    let mut old = Client::connect(&sim, "/stream?streams=btcusdt@aggTrade/btcusdt@depth");
    assert!(old.events(5).iter().all(|e| e["stream"] == "btcusdt@depth"));
}

#[test]
fn paths_that_are_none_are_refused() {
    let sim = one_symbol("");
    match Client::try_connect(&sim, "/public").map(|_| ()) {
        Err(Error::Http(reply)) => assert_eq!(reply.status(), 404),
        other => panic!("{other:?}"),
    }
}

fn closed(end: &Heard) -> (u16, String) {
    match end {
        Heard::Close(Some(c)) => (c.code.into(), c.reason.to_string()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_stream_too_many_loses_the_connection() {
    let sim = one_symbol("");
    let mut c = Client::connect(&sim, "/market/ws");
    let names = |n: std::ops::Range<usize>| n.map(|i| format!("\"s{i}@x\"")).collect::<Vec<_>>().join(",");
    let ack = c.ask(&format!(r#"{{"method":"SUBSCRIBE","params":[{}],"id":1}}"#, names(0..1024)));
    assert_eq!(ack["id"], 1);
    c.send(&format!(r#"{{"method":"SUBSCRIBE","params":[{}],"id":2}}"#, names(1024..1025)));
    let (texts, end) = c.until_end();
    assert_eq!(texts, [r#"{"error":{"code":4,"msg":"Too many subscriptions"}}"#]);
    assert_eq!(closed(&end), (1008, "Invalid request".into()));
}

#[test]
fn too_many_frames_in_a_second_close_the_connection() {
    let sim = one_symbol("");
    let mut c = Client::connect(&sim, "/market/ws");
    for id in 0..40 {
        // The connection may be closed before the last one is out.
        let _ = c.send_message(Message::text(format!(r#"{{"method":"LIST_SUBSCRIPTIONS","id":{id}}}"#)));
    }
    let (texts, end) = c.until_end();
    assert_eq!(texts.len(), 10);
    assert_eq!(closed(&end), (1008, "Too many requests".into()));
}

#[test]
fn pings_carry_the_time_and_who_answers_lives() {
    let sim = one_symbol(r#","first_ping_s":0.05,"ping_interval_s":0.05,"pong_timeout_s":1"#);
    let mut c = Client::connect(&sim, "/market/ws");
    let begin = Instant::now();
    let mut pings = 0;
    while begin.elapsed() < Duration::from_millis(1500) {
        match c.hear() {
            Heard::Ping(payload) => {
                let ms: u64 = String::from_utf8(payload).expect("text").parse().expect("milliseconds");
                assert!(ms > 1_700_000_000_000);
                pings += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(pings > 5);
    let pongs = sim.with_truth(|t| t.connections()[0].pongs);
    assert!(pongs > 5, "{pongs}");
}

#[test]
fn who_does_not_answer_pings_is_cut() {
    // 24 hours pass in 24 minutes of the configuration's time: all four times are compressed.
    let sim = one_symbol(r#","time_compression":1000"#);
    let address = sim.ws_url().replace("ws://", "");
    let mut s = std::net::TcpStream::connect(address).expect("a connection");
    use std::io::{Read, Write};
    s.write_all(b"GET /public/ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n").expect("sent");
    let mut all = Vec::new();
    s.read_to_end(&mut all).expect("cut cleanly");
    assert!(all.windows(2).any(|w| w == [0x89, 13]), "a ping with 13 digits");
    wait_until("the end", || sim.with_truth(|t| t.connections()[0].reason.as_deref() == Some("no pong")));
}

#[test]
fn a_connection_lives_no_longer_than_a_day() {
    let sim = one_symbol(r#","lifetime_s":0.3"#);
    let mut c = Client::connect(&sim, DEPTH);
    let (texts, end) = c.until_end();
    assert!(!texts.is_empty() && matches!(end, Heard::End(_)), "cut without notice: {end:?}");
    wait_until("the end", || sim.with_truth(|t| t.connections()[0].reason.as_deref() == Some("end of its life")));
}

#[test]
fn what_a_client_hears_is_what_the_truth_says_it_was_handed() {
    let sim = start("");
    let streams = "btcusdt@depth@100ms/btcusdt@bookTicker/btcusdt@trade/ethusdt@depth@0ms";
    let mut c = Client::connect(&sim, &format!("/public/ws/{streams}"));
    let mut heard = c.texts(200);
    sim.pause();
    c.send_message(Message::Close(None)).expect("sent");
    let (rest, _) = c.until_end();
    heard.extend(rest);
    sim.with_truth(|t| {
        let handed: Vec<String> = t.frames(Some(0)).map(|f| String::from_utf8_lossy(&f.payload).into_owned()).collect();
        assert_eq!(heard, handed);
        for f in t.frames(Some(0)) {
            let event = &t.events()[f.event.expect("an event") as usize];
            assert_eq!(event.payload.as_bytes(), &*f.payload);
            let late_ms = f.write_ns as i64 / 1_000_000 - event.emitted_ms;
            assert!((-1000..20_000).contains(&late_ms), "{late_ms} ms");
        }
        assert!(t.complete());
    });
}

#[test]
fn two_clients_get_the_same_events() {
    let sim = one_symbol("");
    let (mut a, mut b) = (Client::connect(&sim, DEPTH), Client::connect(&sim, DEPTH));
    let first = b.text();
    let of_a = loop {
        let t = a.text();
        if t == first {
            break a.texts(5);
        }
    };
    assert_eq!(of_a, b.texts(5));
}

#[test]
fn a_paused_market_drains_to_the_final_book() {
    let sim = one_symbol("");
    let mut c = Client::connect(&sim, DEPTH);
    let mut texts = c.texts(3);
    sim.pause();
    assert!(sim.wait_drained(Duration::from_secs(10)));
    c.send_message(Message::Close(None)).expect("sent");
    texts.extend(c.until_end().0);
    let last: serde_json::Value = serde_json::from_str(texts.last().expect("an event")).expect("JSON");
    let id = sim.with_truth(|t| t.final_book("BTCUSDT").expect("a book").last_id);
    assert_eq!(last["u"], id);
    sim.resume();
    let issued = sim.with_truth(|t| t.issued());
    wait_until("it goes on", || sim.with_truth(|t| t.issued()) > issued);
}

#[test]
fn stopping_twice_is_stopping_once_and_the_truth_stays() {
    let sim = start("");
    let mut c = Client::connect(&sim, DEPTH);
    c.text();
    sim.stop();
    sim.stop();
    assert!(!sim.is_running() && Client::try_connect(&sim, DEPTH).is_err());
    let (_, end) = c.until_end();
    assert!(matches!(end, Heard::End(_)));
    assert!(!sim.with_truth(|t| t.trades(EventKind::Trade, None).is_empty() && t.events().is_empty()));
    assert!(sim.truth_json(r#"{"what":"summary"}"#).expect("an answer").contains("\"complete\":true"));
}

#[test]
fn a_taken_port_is_an_error_that_names_it() {
    let sim = start("");
    let port = sim.ws_url().rsplit(':').next().expect("a port").to_owned();
    let config = format!(r#"{{"ws_port":{port}}}"#);
    let config = xtrader_simulator::SimulatorConfig::from_json(&config).expect("a configuration");
    let error = xtrader_simulator::Simulator::start(config).expect_err("the port is taken");
    assert!(error.to_string().contains(&port), "{error}");
}
