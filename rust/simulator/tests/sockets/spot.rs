//! What is Binance spot's own.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Error, Message};
use xtrader_simulator::{EventKind, Simulator};

use crate::client::{Client, Heard, get, start, wait_until};

fn spot(more: &str) -> Simulator {
    start(&format!(r#"{{"exchange":"binance-spot","symbols":["BTCUSDT"],"book_levels":300{more}}}"#))
}

const UPGRADE: &[u8] = b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

#[test]
fn all_streams_come_over_one_path_in_both_forms() {
    let sim = spot("");
    let streams = "btcusdt@depth@100ms/btcusdt@depth/btcusdt@trade/btcusdt@aggTrade/btcusdt@bookTicker/btcusdt@depth5";
    let mut combined = Client::connect(&sim, &format!("/stream?streams={streams}"));
    let mut missing: Vec<&str> = streams.split('/').collect();
    while !missing.is_empty() {
        let e = combined.json();
        missing.retain(|s| e["stream"] != *s);
        let time = e["data"].get("E").is_some();
        assert_eq!(time, !["btcusdt@bookTicker", "btcusdt@depth5"].contains(&e["stream"].as_str().expect("a name")));
    }
    let mut raw = Client::connect(&sim, "/ws/btcusdt@bookTicker");
    assert_eq!(raw.json().as_object().map(serde_json::Map::len), Some(6), "u, s, b, B, a, A");
}

#[test]
fn times_are_in_microseconds_where_the_url_asks_for_them() {
    let sim = spot("");
    for path in ["/ws/btcusdt@trade?timeUnit=MICROSECOND", "/stream?streams=btcusdt@trade&timeUnit=microsecond"] {
        let e = Client::connect(&sim, path).json();
        let e = if path.contains("/stream") { e["data"].clone() } else { e };
        let id = e["t"].as_u64().expect("t");
        let issued = sim.with_truth(|t| t.trades(EventKind::Trade, None)).into_iter().find(|t| t.id == id);
        assert_eq!(e["T"].as_i64().expect("T"), issued.expect("an issued trade").time_ms * 1000);
    }
}

#[test]
fn pongs_that_answer_no_ping_do_not_help() {
    let sim =
        spot(r#","first_ping_s":0.1,"ping_interval_s":0.1,"pong_timeout_s":0.8,"limits":{"messages_per_s":1000}"#);
    let mut s = std::net::TcpStream::connect(sim.ws_url().replace("ws://", "")).expect("a connection");
    s.write_all(UPGRADE).expect("sent");
    let begin = Instant::now();
    let mut other = s.try_clone().expect("a handle");
    // A masked pong with the payload "x", again and again.
    let pongs = std::thread::spawn(move || {
        while other.write_all(&[0x8a, 0x81, 0, 0, 0, 0, b'x']).is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let mut all = Vec::new();
    let _ = s.read_to_end(&mut all);
    assert!(begin.elapsed() >= Duration::from_millis(800));
    pongs.join().expect("it ended");
    let reason = sim.with_truth(|t| t.connections()[0].reason.clone());
    assert_eq!(reason.as_deref(), Some("no pong"));
    assert!(sim.with_truth(|t| t.connections()[0].pongs) > 5);

    let mut c = Client::connect(&sim, "/ws");
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(1600) {
        assert!(matches!(c.hear(), Heard::Ping(_)), "who answers lives");
    }
}

#[test]
fn pongs_count_as_messages_and_who_sends_too_many_too_often_is_banned() {
    let sim = spot(r#","limits":{"ban_s":3600}"#);
    let mut refused = None;
    for _ in 0..6 {
        let mut c = match Client::try_connect(&sim, "/ws") {
            Ok(c) => c,
            Err(e) => {
                refused = Some(e);
                break;
            }
        };
        for _ in 0..6 {
            let _ = c.send_message(Message::Pong(Vec::new().into()));
        }
        match c.until_end().1 {
            Heard::Close(Some(close)) => assert_eq!(u16::from(close.code), 1008),
            other => panic!("{other:?}"),
        }
    }
    match refused {
        Some(Error::Http(reply)) => assert_eq!(reply.status(), 418),
        other => panic!("{other:?}"),
    }
}

#[test]
fn upgrades_are_counted() {
    let sim = spot(r#","limits":{"handshakes":3}"#);
    let mut allowed: Vec<Client> = (0..3).map(|_| Client::connect(&sim, "/ws/btcusdt@trade")).collect();
    match Client::try_connect(&sim, "/ws").map(|_| ()) {
        Err(Error::Http(reply)) => assert_eq!(reply.status(), 429),
        other => panic!("{other:?}"),
    }
    allowed.iter_mut().for_each(|c| drop(c.text()));
}

#[test]
fn a_shutdown_is_announced_in_the_form_of_the_connection_and_data_goes_on_until_it_comes() {
    let sim = spot("");
    let mut raw = Client::connect(&sim, "/ws/btcusdt@bookTicker");
    let mut combined = Client::connect(&sim, "/stream?streams=btcusdt@bookTicker");
    raw.text();
    combined.text();
    sim.inject_json(r#"{"fault":{"kind":"shutdown","after_s":0.5},"when":{"times":2}}"#).expect("a plan");
    for (client, wrapped) in [(&mut raw, false), (&mut combined, true)] {
        let (texts, end) = client.until_end();
        assert!(matches!(&end, Heard::Close(Some(c)) if u16::from(c.code) == 1001), "{end:?}");
        let texts: Vec<Value> = texts.iter().map(|t| serde_json::from_str(t).expect("JSON")).collect();
        let body = |v: &Value| if wrapped { v["data"].clone() } else { v.clone() };
        let at = texts.iter().position(|t| body(t)["e"] == "serverShutdown").expect("it is announced");
        assert!(!wrapped || texts[at]["stream"] == "!serverShutdown");
        assert!(texts.len() > at + 3, "data goes on");
    }
    let mut next = Client::connect(&sim, "/ws/btcusdt@bookTicker");
    next.texts(3);
}

#[test]
fn rest_answers_as_spot_does() {
    let sim = spot("");
    assert_eq!(get(&sim, "/api/v3/ping").json(), json!({}));
    assert!(get(&sim, "/api/v3/time").json()["serverTime"].as_u64().expect("a time") > 1_700_000_000_000);
    let reply = get(&sim, "/api/v3/depth?symbol=BTCUSDT&limit=5000");
    let v = reply.json();
    let truth = sim.with_truth(|t| t.book_at("BTCUSDT", v["lastUpdateId"].as_u64().expect("an id"))).expect("a book");
    assert_eq!((&v["bids"], &v["asks"]), (&json!(truth.bids), &json!(truth.asks)), "the whole book");
    assert!(truth.bids[0][0].ends_with("000000"), "eight fraction digits");
    wait_until("trades", || !get(&sim, "/api/v3/trades?symbol=BTCUSDT").json().as_array().expect("rows").is_empty());
    let trades = get(&sim, "/api/v3/trades?symbol=BTCUSDT&limit=1").json();
    let id = trades[0]["id"].as_u64().expect("an id");
    let issued =
        sim.with_truth(|t| t.trades(EventKind::Trade, None)).into_iter().find(|t| t.id == id).expect("a trade");
    assert_eq!((&trades[0]["price"], &trades[0]["time"]), (&json!(issued.price), &json!(issued.time_ms)));
    let old = get(&sim, &format!("/api/v3/historicalTrades?symbol=BTCUSDT&fromId={id}&limit=3")).json();
    assert_eq!(old[0]["id"], id);
    wait_until("rows", || !get(&sim, "/api/v3/aggTrades?symbol=BTCUSDT").json().as_array().expect("rows").is_empty());
    let rows = get(&sim, "/api/v3/aggTrades?symbol=BTCUSDT&limit=2").json();
    assert!(rows[0]["f"].as_u64() <= rows[0]["l"].as_u64() && rows[0].get("nq").is_none());
    assert_eq!(get(&sim, "/api/v3/depth?symbol=NOPE").json()["code"], -1121);
}

#[test]
fn instruments_are_listed_while_clients_watch() {
    let sim = spot("");
    let mut c = Client::connect(&sim, "/stream?streams=newusdt@depth@100ms");
    sim.inject_json(r#"{"fault":{"kind":"list","symbol":"NEWUSDT","opens_after_s":1}}"#).expect("a plan");
    wait_until("it is listed", || get(&sim, "/api/v3/exchangeInfo?symbol=NEWUSDT").status == 200);
    assert_eq!(get(&sim, "/api/v3/depth?symbol=NEWUSDT").json()["lastUpdateId"], -1);
    let first = c.json();
    assert_eq!((&first["data"]["s"], &first["data"]["U"]), (&json!("NEWUSDT"), &json!(1)));
    sim.inject_json(r#"{"fault":{"kind":"delist"},"target":{"symbol":"NEWUSDT"}}"#).expect("a plan");
    wait_until("it is gone", || get(&sim, "/api/v3/exchangeInfo?symbol=NEWUSDT").status == 400);
}
