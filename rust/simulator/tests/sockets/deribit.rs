//! What Deribit refuses and asks for, over real sockets.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;
use xtrader_simulator::Simulator;

use crate::client::{Client, Heard, get, start, wait_until};

const PATH: &str = "/ws/api/v2";

fn deribit(more: &Value) -> Simulator {
    let mut config = json!({"exchange": "deribit", "symbols": ["BTC-PERPETUAL", "ETH-PERPETUAL"], "book_levels": 100});
    let (all, more) = (config.as_object_mut().expect("an object"), more.as_object().expect("an object"));
    all.extend(more.clone());
    start(&config.to_string())
}

/// Asks, and passes over notifications until the answer comes.
fn ask(c: &mut Client, method: &str, params: &Value) -> Value {
    c.send(&json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string());
    loop {
        let v = c.json();
        if v["id"] == 7 {
            return v;
        }
    }
}

fn subscribe(c: &mut Client, channels: &[&str]) -> Value {
    ask(c, "public/subscribe", &json!({ "channels": channels }))
}

fn login(c: &mut Client, secret: &str) -> Value {
    let params = json!({"grant_type": "client_credentials", "client_id": "simulator", "client_secret": secret});
    ask(c, "public/auth", &params)
}

/// Data of the channel's next `n` notifications.
fn told(c: &mut Client, channel: &str, n: usize) -> Vec<Value> {
    let mut out = Vec::new();
    while out.len() < n {
        let v = c.json();
        if v["params"]["channel"] == channel {
            out.push(v["params"]["data"].clone());
        }
    }
    out
}

fn ended_because(sim: &Simulator, why: &str) {
    wait_until(why, || sim.with_truth(|t| t.connections()[0].reason.as_deref() == Some(why)));
}

#[test]
fn requests_that_are_none_are_refused_and_the_socket_stays() {
    let sim = deribit(&json!({}));
    let mut c = Client::connect(&sim, PATH);
    c.send("{");
    assert_eq!(c.json()["error"]["code"], 11050);
    for (method, params, code) in [
        ("public/fly", json!({}), -32601),
        ("public/subscribe", json!({"channels": "x"}), -32602),
        ("public/subscribe", json!({"channels": vec!["x"; 501]}), -32602),
        ("public/ticker", json!({"instrument_name": "NOPE"}), -32602),
        ("private/subscribe", json!({"channels": []}), 13009),
    ] {
        assert_eq!(ask(&mut c, method, &params)["error"]["code"], code, "{method}");
    }
    let hello = ask(&mut c, "public/hello", &json!({"client_name": "x", "client_version": "1"}));
    assert!(hello["result"]["version"].is_string() && hello["testnet"] == false);
    assert_eq!(hello["usOut"].as_i64().expect("a time") - hello["usIn"].as_i64().expect("a time"), hello["usDiff"]);
}

#[test]
fn raw_is_for_who_is_logged_in() {
    let sim = deribit(&json!({}));
    let mut c = Client::connect(&sim, PATH);
    let raw = "book.BTC-PERPETUAL.raw";
    assert_eq!(subscribe(&mut c, &[raw])["error"]["code"], 13778);
    assert_eq!(login(&mut c, "wrong")["error"]["code"], 13004);
    assert_eq!(subscribe(&mut c, &[raw])["error"]["code"], 13778);
    let token = login(&mut c, "simulator");
    assert!(token["result"]["access_token"].is_string() && token["result"]["expires_in"].is_u64());
    assert_eq!(subscribe(&mut c, &[raw, "book.NOPE.raw"])["result"], json!([raw]));
    let frames = told(&mut c, raw, 50);
    assert_eq!(frames[0]["type"], "snapshot");
    assert!(frames.windows(2).all(|w| w[1]["prev_change_id"] == w[0]["change_id"]));
    assert!(frames[1]["bids"].is_array() && frames[0].get("prev_change_id").is_none());
}

#[test]
fn held_channels_bring_no_snapshot_and_given_up_ones_do() {
    let sim = deribit(&json!({}));
    let mut c = Client::connect(&sim, PATH);
    let book = "book.BTC-PERPETUAL.100ms";
    assert_eq!(subscribe(&mut c, &[book])["result"], json!([book]));
    assert_eq!(told(&mut c, book, 1)[0]["type"], "snapshot");
    assert_eq!(subscribe(&mut c, &[book])["result"], json!([book]));
    assert!(told(&mut c, book, 5).iter().all(|d| d["type"] == "change"));
    assert_eq!(ask(&mut c, "public/unsubscribe", &json!({"channels": [book]}))["result"], json!([book]));
    assert_eq!(subscribe(&mut c, &[book])["result"], json!([book]));
    assert_eq!(told(&mut c, book, 1)[0]["type"], "snapshot");
    assert_eq!(ask(&mut c, "public/unsubscribe_all", &json!({}))["result"], "ok");
}

#[test]
fn connections_of_two_phases_hear_two_partitions_of_one_chain() {
    let sim = deribit(&json!({"batch_phases": 2}));
    let book = "book.BTC-PERPETUAL.raw";
    let mut clients = [Client::connect(&sim, PATH), Client::connect(&sim, PATH)];
    clients.iter_mut().for_each(|c| {
        login(c, "simulator");
        subscribe(c, &[book]);
    });
    let ids = clients.each_mut().map(|c| {
        let frames = told(c, book, 200);
        assert!(frames.windows(2).all(|w| w[1]["prev_change_id"] == w[0]["change_id"]));
        frames.iter().map(|f| f["change_id"].as_u64().expect("an id")).collect::<Vec<_>>()
    });
    // Both chains go through the same ids, but one leaves some of them out.
    let span = |ids: &[u64]| (ids[0].max(ids[1]), ids[ids.len() - 1]);
    let (from, to) = (span(&ids[0]).0.max(span(&ids[1]).0), span(&ids[0]).1.min(span(&ids[1]).1));
    let within = |ids: &[u64]| ids.iter().copied().filter(|id| (from..=to).contains(id)).collect::<Vec<_>>();
    let (fine, coarse) = (within(&ids[0]), within(&ids[1]));
    assert!(coarse.len() > 10 && coarse.len() < fine.len() && coarse.iter().all(|id| fine.contains(id)));
}

#[test]
fn the_connection_beyond_the_limit_is_refused() {
    let sim = deribit(&json!({}));
    let open: Vec<Client> = (0..32).map(|_| Client::connect(&sim, PATH)).collect();
    let refused = |sim| match Client::try_connect(sim, PATH).map(|_| ()) {
        Err(Error::Http(reply)) => reply.status().as_u16(),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&sim), 429);
    drop(open);
    wait_until("there is room again", || Client::try_connect(&sim, PATH).is_ok());
}

#[test]
fn a_silent_socket_is_cut_without_a_close() {
    let sim = deribit(&json!({"time_compression": 200}));
    let mut c = Client::connect(&sim, PATH);
    let (texts, end) = c.until_end();
    assert!(texts.is_empty() && matches!(end, Heard::End(_)), "{end:?}");
    ended_because(&sim, "idle");
}

#[test]
fn heartbeats_must_be_answered() {
    let sim = deribit(&json!({"time_compression": 50}));
    let mut c = Client::connect(&sim, PATH);
    assert_eq!(ask(&mut c, "public/set_heartbeat", &json!({"interval": 10}))["result"], "ok");
    let kind = |v: &Value| v["params"]["type"].as_str().map(str::to_owned);
    let mut asked = 0;
    while asked < 2 {
        let frame = c.json();
        assert_eq!(frame["method"], "heartbeat");
        if kind(&frame).as_deref() == Some("test_request") {
            assert!(ask(&mut c, "public/test", &json!({}))["result"]["version"].is_string());
            asked += 1;
        }
    }
    match c.until_end().1 {
        Heard::Close(Some(close)) => {
            assert_eq!((u16::from(close.code), &*close.reason), (4000, "heartbeat close"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_asks_too_often_is_told_and_cut() {
    let sim = deribit(&json!({}));
    let mut c = Client::connect(&sim, PATH);
    for id in 0..20 {
        // The connection may be cut before the last one is out.
        let text = json!({"jsonrpc": "2.0", "id": id, "method": "public/subscribe", "params": {"channels": []}});
        let _ = c.send_message(tokio_tungstenite::tungstenite::Message::text(text.to_string()));
    }
    let (texts, end) = c.until_end();
    let last: Value = serde_json::from_str(texts.last().expect("a reply")).expect("JSON");
    assert_eq!((&last["error"]["code"], &last["error"]["message"]), (&json!(10028), &json!("too_many_requests")));
    assert!((11..14).contains(&texts.len()) && matches!(end, Heard::End(_)), "{} {end:?}", texts.len());
    ended_because(&sim, "too many requests");
}

#[test]
fn anonymous_sockets_are_shed_on_request() {
    let sim = deribit(&json!({}));
    let (mut unknown, mut known) = (Client::connect(&sim, PATH), Client::connect(&sim, PATH));
    login(&mut known, "simulator");
    let channel = "platform_state.public_methods_state";
    subscribe(&mut unknown, &[channel, "quote.BTC-PERPETUAL"]);
    subscribe(&mut known, &[channel]);
    sim.inject_json(r#"{"fault":{"kind":"shed_anonymous","seconds":2}}"#).expect("a plan");
    let allowed = |c: &mut Client| told(c, channel, 1)[0]["allow_unauthenticated_public_requests"].clone();
    assert_eq!((allowed(&mut unknown), allowed(&mut known)), (json!(false), json!(false)));
    assert!(matches!(unknown.until_end().1, Heard::End(_)));
    assert_eq!(allowed(&mut known), json!(true));
}

#[test]
fn reference_data_and_books_come_over_http_too() {
    let sim = deribit(&json!({}));
    let rows = get(&sim, "/api/v2/public/get_instruments?currency=any&kind=future").json();
    assert_eq!(rows["result"].as_array().map(Vec::len), Some(2));
    let book = get(&sim, "/api/v2/public/get_order_book?instrument_name=BTC-PERPETUAL&depth=20").json();
    let id = book["result"]["change_id"].as_u64().expect("an id");
    assert_eq!(sim.with_truth(|t| t.book_at("BTC-PERPETUAL", id)).expect("a book").last_id, id);
    assert_eq!(book["result"]["bids"].as_array().map(Vec::len), Some(20));
    sim.inject_json(
        r#"{"fault":{"kind":"rest_status","status":503},"target":{"path":"ticker","symbol":"BTC-PERPETUAL"}}"#,
    )
    .expect("a plan");
    let ticker = "/api/v2/public/ticker?instrument_name=";
    assert_eq!(get(&sim, &format!("{ticker}ETH-PERPETUAL")).status, 200);
    assert_eq!(get(&sim, &format!("{ticker}BTC-PERPETUAL")).status, 503);
    let refused = get(&sim, "/api/v2/public/ticker");
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (400, &json!(-32602)));
}

#[test]
fn who_reads_too_slowly_is_told_and_cut() {
    let sim = deribit(&json!({"limits": {"send_queue_bytes": 3000}}));
    let mut c = Client::connect(&sim, PATH);
    // A snapshot alone is more than may wait.
    c.send(
        r#"{"jsonrpc":"2.0","id":1,"method":"public/subscribe","params":{"channels":["book.BTC-PERPETUAL.100ms"]}}"#,
    );
    let (texts, end) = c.until_end();
    assert!(texts.iter().all(|t| !t.contains("snapshot")));
    let last: Value = serde_json::from_str(texts.last().expect("a text")).expect("JSON");
    assert_eq!(last["method"], "connection_too_slow");
    assert!(matches!(end, Heard::Close(Some(close)) if close.reason == "connection_too_slow"));
}
