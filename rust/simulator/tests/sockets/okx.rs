//! OKX over real sockets: paths, answers, refusals, ends, REST.

use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio_tungstenite::tungstenite::{Error, Message};
use xtrader_simulator::{EventKind, Simulator};

use crate::client::{Client, Heard, get, start, wait_until};

const PUBLIC: &str = "/ws/v5/public";
const SPOT: &str = "BTC-USDT";
const SWAP: &str = "BTC-USDT-SWAP";

/// Two instruments; handshakes without limit, so that tests need not wait.
fn okx(more: &str) -> Simulator {
    limited(r#""handshakes":0"#, more)
}

fn limited(limits: &str, more: &str) -> Simulator {
    start(&format!(
        r#"{{"exchange":"okx","symbols":["{SPOT}","{SWAP}"],"book_levels":450,"limits":{{{limits}}}{more}}}"#
    ))
}

fn request(op: &str, args: &[(&str, &str)]) -> String {
    let args: Vec<Value> = args.iter().map(|(channel, id)| json!({ "channel": channel, "instId": id })).collect();
    json!({ "id": "1512", "op": op, "args": args }).to_string()
}

/// The next frame that is an answer.
fn answer(c: &mut Client) -> Value {
    loop {
        let v = c.json();
        if v.get("event").is_some_and(|e| e != "channel-conn-count") {
            return v;
        }
    }
}

fn ask(c: &mut Client, op: &str, channel: &str, id: &str) -> Value {
    c.send(&request(op, &[(channel, id)]));
    answer(c)
}

/// The next push of a channel.
fn push(c: &mut Client, channel: &str) -> Value {
    loop {
        let v = c.json();
        if v.get("event").is_none() && v["arg"]["channel"] == channel {
            return v;
        }
    }
}

fn closed(end: &Heard) -> u16 {
    match end {
        Heard::Close(Some(c)) => c.code.into(),
        other => panic!("{other:?}"),
    }
}

fn login(secret: &str) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time").as_secs().to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(format!("{now}GET/users/self/verify").as_bytes());
    let sign = base64::prelude::BASE64_STANDARD.encode(mac.finalize().into_bytes());
    json!({"op": "login", "args": [
        {"apiKey": "simulator", "passphrase": "simulator", "timestamp": now, "sign": sign},
    ]})
    .to_string()
}

#[test]
fn each_arg_is_acknowledged_and_then_comes_the_snapshot() {
    let sim = okx("");
    let mut c = Client::connect(&sim, PUBLIC);
    c.send(&request("subscribe", &[("books", SPOT), ("books", "NO-NE"), ("trades", SWAP)]));
    let answers = c.events(3);
    let kinds: Vec<_> = answers.iter().map(|a| a["event"].as_str().expect("event").to_owned()).collect();
    assert_eq!(kinds, ["subscribe", "error", "subscribe"]);
    assert_eq!(answers[0]["arg"], json!({"channel": "books", "instId": SPOT}));
    assert_eq!(answers[1]["code"], "60018");
    let conn_id = answers[0]["connId"].as_str().expect("connId").to_owned();
    assert_eq!(conn_id.len(), 8);
    assert!(answers.iter().all(|a| a["id"] == "1512" && a["connId"] == *conn_id));

    let snapshot = c.json();
    assert_eq!((&snapshot["action"], &snapshot["data"][0]["prevSeqId"]), (&json!("snapshot"), &json!(-1)));
    assert_eq!(snapshot["data"][0]["asks"].as_array().map(Vec::len), Some(400));
    let last_trade = c.json();
    assert_eq!(last_trade["arg"]["channel"], "trades");
    let update = push(&mut c, "books");
    assert_eq!((&update["action"], &update["data"][0]["prevSeqId"]), (&json!("update"), &snapshot["data"][0]["seqId"]));
    assert_eq!(update["data"][0]["checksum"], 0);

    // Asked again: acknowledged, without another snapshot.
    assert_eq!(ask(&mut c, "subscribe", "books", SPOT)["event"], "subscribe");
    assert_eq!(push(&mut c, "books")["action"], "update");
    // Left and asked again: a later one.
    assert_eq!(ask(&mut c, "unsubscribe", "books", SPOT)["event"], "unsubscribe");
    assert_eq!(ask(&mut c, "subscribe", "books", SPOT)["event"], "subscribe");
    let again = push(&mut c, "books");
    assert_eq!(again["action"], "snapshot");
    assert!(again["data"][0]["seqId"].as_u64() > snapshot["data"][0]["seqId"].as_u64());
    let conns: Vec<String> =
        sim.with_truth(|t| t.frames(Some(0)).map(|f| String::from_utf8_lossy(&f.payload).into_owned()).collect());
    assert!(conns.iter().any(|t| t.contains("channel-conn-count")), "now and then");
}

#[test]
fn a_snapshot_is_the_true_book_at_its_id_and_the_truth_has_it() {
    let sim = okx("");
    let mut c = Client::connect(&sim, PUBLIC);
    c.send(&request("subscribe", &[("books", SPOT)]));
    let snapshot = push(&mut c, "books");
    let id = snapshot["data"][0]["seqId"].as_u64().expect("an id");
    sim.with_truth(|t| {
        let event = t.events().iter().find(|e| e.kind == EventKind::Snapshot).expect("an event");
        assert_eq!((event.conn, event.last_id, &*event.stream), (Some(0), id, "books:BTC-USDT"));
        assert!(t.frames(Some(0)).any(|f| f.event == Some(event.seq)));
        assert!(t.events_of("books:BTC-USDT").all(|e| e.conn.is_none()));
        let truth = t.client_book(SPOT, "books:BTC-USDT", id, 400, id).expect("a book");
        assert_eq!((truth.bids.len(), truth.last_id), (400, id));
        let price = |t: &str| t.parse::<f64>().expect("a price");
        let sent = snapshot["data"][0]["bids"].as_array().expect("bids");
        assert!(sent.iter().zip(&truth.bids).all(|(s, t)| price(s[0].as_str().expect("text")) == price(&t[0])));
    });
}

#[test]
fn faults_strike_snapshots_too() {
    let sim = okx(r#","faults":[{"fault":{"kind":"drop"},"target":{"stream":"books:BTC-USDT"}}]"#);
    let mut c = Client::connect(&sim, PUBLIC);
    assert_eq!(ask(&mut c, "subscribe", "books", SPOT)["event"], "subscribe");
    assert_eq!(push(&mut c, "books")["action"], "update");
    let sim = okx(r#","faults":[{"fault":{"kind":"swap"},"target":{"stream":"books:BTC-USDT"}}]"#);
    let mut c = Client::connect(&sim, PUBLIC);
    c.send(&request("subscribe", &[("books", SPOT)]));
    let (update, snapshot) = (push(&mut c, "books"), push(&mut c, "books"));
    assert_eq!((&update["action"], &snapshot["action"]), (&json!("update"), &json!("snapshot")));
    assert_eq!(update["data"][0]["prevSeqId"], snapshot["data"][0]["seqId"]);
    let how = r#"{"set":{"field":"checksum","json":"1234567"}}"#;
    let fault = format!(r#"{{"fault":{{"kind":"malformed","how":{how}}},"target":{{"stream":"books:BTC-USDT"}}}}"#);
    let sim = okx(&format!(r#","checksums":true,"faults":[{fault}]"#));
    let mut c = Client::connect(&sim, PUBLIC);
    c.send(&request("subscribe", &[("books", SPOT)]));
    assert_eq!(push(&mut c, "books")["data"][0]["checksum"], 1_234_567);
    assert!(!["0", "1234567"].contains(&&*push(&mut c, "books")["data"][0]["checksum"].to_string()));
}

#[test]
fn channels_are_served_on_their_own_path_only() {
    let sim = okx("");
    let code =
        |path: &str, channel: &str| ask(&mut Client::connect(&sim, path), "subscribe", channel, SPOT)["code"].clone();
    assert_eq!(code(PUBLIC, "trades-all"), "60018");
    assert_eq!(code("/ws/v5/business", "books"), "60018");
    assert_eq!(code("/ws/v5/private", "books"), "60018");
    assert_eq!(code(PUBLIC, "books-of-wisdom"), "60018");
    assert_eq!(code(PUBLIC, "funding-rate"), "60018", "spot has none");
    let mut business = Client::connect(&sim, "/ws/v5/business?brokerId=9999");
    assert_eq!(ask(&mut business, "subscribe", "trades-all", SPOT)["event"], "subscribe");
    assert_eq!(push(&mut business, "trades-all")["data"].as_array().map(Vec::len), Some(1));
    match Client::try_connect(&sim, "/ws/v5/elsewhere").map(|_| ()) {
        Err(Error::Http(reply)) => assert_eq!(reply.status(), 404),
        other => panic!("{other:?}"),
    }
}

#[test]
fn wrong_requests_have_their_codes() {
    let sim = limited(r#""requests_per_hour":4"#, "");
    let mut c = Client::connect(&sim, PUBLIC);
    let mut code = |text: &str| {
        c.send(text);
        answer(&mut c)["code"].clone()
    };
    assert_eq!(code("hello"), "60012");
    assert_eq!(code(r#"{"op":"fly","args":[{"channel":"books"}]}"#), "60012");
    assert_eq!(code(r#"{"op":"subscribe","args":[]}"#), "60013");
    assert_eq!(code(r#"{"op":"subscribe","args":[7]}"#), "60013");
    assert_eq!(code(r#"{"op":"subscribe","args":[{"channel":"liquidation-orders","instType":"SPOT"}]}"#), "60018");
    let good = r#"{"op":"subscribe","args":[{"channel":"liquidation-orders","instType":"SWAP"}]}"#;
    assert_eq!(code(good), Value::Null);
    assert_eq!(code(good), "60014", "the fifth that counts, within an hour");
}

#[test]
fn args_beyond_64_kilobytes_close_the_connection() {
    let sim = okx("");
    let mut c = Client::connect(&sim, PUBLIC);
    c.send(&request("subscribe", &vec![("books", SPOT); 2000]));
    assert_eq!(closed(&c.until_end().1), 1009);
}

#[test]
fn books_for_few_need_a_login_a_tier_and_no_rival() {
    let accounts = |tier: u8| {
        format!(r#","accounts":[{{"key":"simulator","secret":"s3","passphrase":"simulator","tier":{tier}}}]"#)
    };
    let sim = okx(&accounts(4));
    let mut c = Client::connect(&sim, PUBLIC);
    assert_eq!(ask(&mut c, "subscribe", "books-l2-tbt", SPOT)["code"], "60011");
    c.send(&login("s3"));
    let v = answer(&mut c);
    assert_eq!((&v["event"], &v["code"]), (&json!("login"), &json!("0")));
    assert_eq!(ask(&mut c, "subscribe", "books-l2-tbt", SPOT)["event"], "subscribe");
    assert_eq!(push(&mut c, "books-l2-tbt")["action"], "snapshot");
    assert_eq!(push(&mut c, "books-l2-tbt")["action"], "update");
    assert_eq!(ask(&mut c, "subscribe", "books", SPOT)["code"], "64004");
    assert_eq!(ask(&mut c, "subscribe", "books50-l2-tbt", SPOT)["code"], "64004");
    assert_eq!(ask(&mut c, "subscribe", "books", SWAP)["event"], "subscribe", "another instrument");

    let sim = okx(&accounts(3));
    let mut c = Client::connect(&sim, PUBLIC);
    c.send(&login("s3"));
    assert_eq!(answer(&mut c)["event"], "login");
    assert_eq!(ask(&mut c, "subscribe", "books50-l2-tbt", SPOT)["code"], "64003");

    let mut c = Client::connect(&sim, "/ws/v5/private");
    c.send(&login("another"));
    assert_eq!(answer(&mut c)["code"], "60007");
    assert_eq!(closed(&c.until_end().1), 4001);
}

#[test]
fn only_the_text_ping_keeps_a_silent_connection() {
    // 30 s pass in 1.2.
    let sim = okx(r#","time_compression":25"#);
    let mut lazy = Client::connect(&sim, PUBLIC);
    assert_eq!(closed(&lazy.until_end().1), 4004, "nothing subscribed");

    // Reference data change now and then, but not here.
    let quiet = r#"{"op":"subscribe","args":[{"channel":"instruments","instType":"SPOT"}]}"#;
    let mut c = Client::connect(&sim, PUBLIC);
    c.send(quiet);
    assert_eq!(answer(&mut c)["event"], "subscribe");
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(2000) {
        c.send("ping");
        assert_eq!(c.text(), "pong");
    }
    let mut c = Client::connect(&sim, PUBLIC);
    c.send(quiet);
    assert_eq!(answer(&mut c)["event"], "subscribe");
    let end = loop {
        // It may be closed by now.
        let _ = c.send_message(Message::Ping(vec![1].into()));
        match c.hear() {
            Heard::Pong => {}
            end => break end,
        }
    };
    assert_eq!(closed(&end), 4004, "a WebSocket ping is answered, and counts for nothing");
}

#[test]
fn an_upgrade_is_announced_before_the_connection_is_closed() {
    let sim = okx("");
    let mut c = Client::connect(&sim, PUBLIC);
    assert_eq!(ask(&mut c, "subscribe", "books", SPOT)["event"], "subscribe");
    sim.inject_json(r#"{"fault":{"kind":"shutdown","after_s":0.5}}"#).expect("a plan");
    let notice = answer(&mut c);
    assert_eq!((&notice["event"], &notice["code"]), (&json!("notice"), &json!("64008")));
    let (texts, end) = c.until_end();
    assert!(texts.len() > 2 && matches!(end, Heard::Close(_)), "data goes on meanwhile: {end:?}");
}

#[test]
fn a_fourth_handshake_within_a_second_is_refused() {
    let sim = start(r#"{"exchange":"okx","limits":{"handshake_window_s":60}}"#);
    let open: Vec<_> = (0..3).map(|_| Client::connect(&sim, PUBLIC)).collect();
    match Client::try_connect(&sim, PUBLIC).map(|_| ()) {
        Err(Error::Http(reply)) => assert_eq!(reply.status(), 429),
        other => panic!("{other:?}"),
    }
    drop(open);
}

#[test]
fn who_reads_too_slowly_is_told_so() {
    let sim = limited(r#""send_queue_bytes":5000"#, "");
    let mut c = Client::connect(&sim, PUBLIC);
    // A snapshot alone is more than may wait.
    c.send(&request("subscribe", &[("books", SPOT)]));
    let (texts, end) = c.until_end();
    assert!(texts[0].contains("\"event\":\"subscribe\"") && texts.iter().all(|t| !t.contains("snapshot")));
    assert_eq!(closed(&end), 4005);
}

#[test]
fn two_connections_get_the_same_ids_from_snapshots_of_their_own() {
    let sim = okx("");
    let (mut a, mut b) = (Client::connect(&sim, PUBLIC), Client::connect(&sim, PUBLIC));
    a.send(&request("subscribe", &[("books", SPOT)]));
    let ids = |v: &Value| (v["data"][0]["prevSeqId"].as_i64(), v["data"][0]["seqId"].as_i64());
    let first = ids(&push(&mut a, "books"));
    let mut of_a = vec![ids(&push(&mut a, "books"))];
    b.send(&request("subscribe", &[("books", SPOT)]));
    let joined = ids(&push(&mut b, "books"));
    assert!(joined.1 > first.1);
    let of_b: Vec<_> = (0..5).map(|_| ids(&push(&mut b, "books"))).collect();
    while of_a.last() != of_b.last() {
        of_a.push(ids(&push(&mut a, "books")));
    }
    assert!(of_a.ends_with(&of_b), "{of_a:?} {of_b:?}");
    assert_eq!(of_b[0].0, joined.1);
}

#[test]
fn ids_fall_with_the_chain_intact() {
    let sim = okx("");
    let mut c = Client::connect(&sim, PUBLIC);
    c.send(&request("subscribe", &[("books", SPOT)]));
    c.send(r#"{"op":"subscribe","args":[{"channel":"status"}]}"#);
    push(&mut c, "books");
    let mut last = push(&mut c, "books");
    sim.inject_json(r#"{"fault":{"kind":"restart_ids"},"target":{"symbol":"BTC-USDT"}}"#).expect("a plan");
    let id = |v: &Value, key: &str| v["data"][0][key].as_u64().expect("an id");
    let fallen = loop {
        let next = push(&mut c, "books");
        assert_eq!(id(&next, "prevSeqId"), id(&last, "seqId"));
        if id(&next, "seqId") < id(&last, "seqId") {
            break next;
        }
        last = next;
    };
    assert!(id(&fallen, "seqId") < 100_000);
    let after = push(&mut c, "books");
    sim.with_truth(|t| {
        for v in [&last, &fallen, &after] {
            let image = t.book_at(SPOT, id(v, "seqId")).expect("a book");
            assert_eq!(image.last_id, id(v, "seqId"));
        }
    });
    assert!(sim.with_truth(|t| t.events_of("status").count()) == 1);
    let other = start("");
    assert!(other.inject_json(r#"{"fault":{"kind":"restart_ids"}}"#).is_err(), "ids of others do not fall");
}

#[test]
fn reference_data_trades_and_books_are_had_by_rest() {
    let sim = start(r#"{"exchange":"okx"}"#);
    let rows = |path: &str| {
        let v = get(&sim, path).json();
        assert_eq!(v["code"], "0", "{path}: {v}");
        v["data"].as_array().expect("rows").clone()
    };
    assert!(rows("/api/v5/public/time")[0]["ts"].as_str().expect("ts").parse::<u64>().expect("ms") > 1_700_000_000_000);
    let instruments = |query: &str| rows(&format!("/api/v5/public/instruments?{query}"));
    assert_eq!(instruments("instType=SPOT").len(), 2);
    assert_eq!(instruments("instType=SWAP").len(), 2);
    assert_eq!(instruments("instType=SWAP&instFamily=BTC-USD")[0]["ctVal"], "100");
    assert_eq!(instruments("instType=FUTURES")[0]["expTime"], "1798185600000");
    assert_eq!(instruments("instType=OPTION&instFamily=BTC-USD")[0]["stk"], "100000");
    let code = |path: &str| get(&sim, path).json()["code"].clone();
    assert_eq!(code("/api/v5/public/instruments?instType=OPTION"), "50014");
    assert_eq!(code("/api/v5/public/instruments?instType=SHARES"), "51000");
    assert_eq!(code("/api/v5/market/books?instId=NO-NE"), "51001");
    assert_eq!(get(&sim, "/api/v5/nothing").status, 404);

    let book = &rows("/api/v5/market/books?instId=BTC-USDT&sz=400")[0];
    assert_eq!((book["asks"].as_array().map(Vec::len), &book["bids"][0][2]), (Some(400), &json!("0")));
    assert_eq!(rows("/api/v5/public/open-interest?instType=SWAP").len(), 2);

    wait_until("trades", || sim.with_truth(|t| t.trades(EventKind::Trade, Some(SWAP)).len()) > 5);
    let trades = rows("/api/v5/market/trades?instId=BTC-USDT-SWAP&limit=500");
    let number = |row: &Value| row["tradeId"].as_str().expect("an id").parse::<u64>().expect("a number");
    let ids: Vec<u64> = trades.iter().map(number).collect();
    assert!(ids.windows(2).all(|w| w[0] == w[1] + 1), "newest first, contiguous");
    let page = rows(&format!("/api/v5/market/history-trades?instId=BTC-USDT-SWAP&after={}&limit=2", ids[2]));
    assert_eq!(page.iter().map(number).collect::<Vec<_>>(), [ids[3], ids[4]]);
    let statuses: Vec<u16> = (0..30).map(|_| get(&sim, "/api/v5/public/instruments?instType=SPOT").status).collect();
    assert!(statuses.contains(&429), "{statuses:?}");
    wait_until("the window passes", || get(&sim, "/api/v5/public/instruments?instType=SPOT").status == 200);
}
