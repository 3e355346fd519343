use crate::client::{Client, start, wait_until};

fn pace(exchange: &str, path: &str, per_s: u64, interval_ns: u64, kind: &str, field: &str) {
    let load = format!(r#"{{"frames_per_s":{per_s},"kind":"{kind}","frames":3000}}"#);
    let sim = start(&format!(r#"{{"exchange":"{exchange}","load":{load}}}"#));
    let stream = if kind == "trade" { "trade" } else { "bookTicker" };
    let mut c = Client::connect(&sim, path);
    let ack = c.ask(&format!(r#"{{"method":"SUBSCRIBE","params":["btcusdt@{stream}","ethusdt@{stream}"],"id":1}}"#));
    assert_eq!(ack["id"], 1);
    let events = c.events(3000);
    // A frame may come before its number is counted.
    wait_until("all are counted", || sim.load_reports()[0].sent == 3000);
    let report = &sim.load_reports()[0];
    assert_eq!((report.connection, report.write_ns.len()), (0, 3000));
    for (i, e) in events.iter().enumerate() {
        assert_eq!(e[field], report.first_id + i as u64);
        assert_eq!(e["s"], if i % 2 == 0 { "BTCUSDT" } else { "ETHUSDT" });
        // The best bid and offer of spot has no time.
        assert!(e.get("E").map_or(0, |t| t.as_u64().expect("E")) <= report.write_ns[i] / 1_000_000);
    }
    let span = report.write_ns[2999] - report.write_ns[0];
    let shortest = 2999 * interval_ns;
    assert!(span + 5_000_000 >= shortest, "{span} ns");
    assert!(report.write_ns.windows(2).all(|w| w[0] <= w[1]));
    sim.stop();
}

#[test]
fn frames_come_at_their_pace_and_every_write_has_its_time() {
    pace("binance-futures", "/public/ws", 10_000, 100_000, "book_ticker", "u");
    pace("binance-futures", "/public/ws", 0, 0, "trade", "t");
    pace("binance-spot", "/ws", 10_000, 100_000, "book_ticker", "u");
    pace("binance-spot", "/ws", 0, 0, "trade", "t");
}

#[test]
fn replies_and_the_end_find_their_way_through_the_load() {
    let sim = start(r#"{"load":{"frames_per_s":2000}}"#);
    let mut c = Client::connect(&sim, "/public/stream?streams=btcusdt@bookTicker");
    c.events(10);
    let list = c.ask(r#"{"method":"LIST_SUBSCRIPTIONS","id":9}"#);
    assert_eq!(list["id"], 9);
    c.send_message(tokio_tungstenite::tungstenite::Message::Close(None)).expect("sent");
    c.until_end();
    wait_until("the end", || sim.with_truth(|t| t.connections()[0].closed_ns.is_some()));
}
