use super::*;
use crate::event::EventTimes;

fn frame(channel: &str, data: &str) -> String {
    format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"subscription\",\"params\":{{\"channel\":\"{channel}\",\"data\":{data}}}}}"
    )
}

fn head(frame: &str) -> Option<(EventKind, &str, Option<&str>, Key, EventTimes)> {
    match peek(frame.as_bytes()) {
        Peek::Event(head) => Some((head.kind, head.symbol, head.variant, head.key, head.times)),
        _ => None,
    }
}

fn at(ms: i64) -> EventTimes {
    EventTimes { event: Some(ms * 1_000_000), venue: None, odd: false }
}

#[test]
fn books_in_the_key_orders_of_all_years() {
    let change = Key { prev: 400, first: 401, last: 450 };
    for data in [
        r#"{"type":"change","timestamp":1700000000123,"prev_change_id":400,"instrument_name":"ETH-9APR21-1950-C","change_id":450,"bids":[],"asks":[]}"#,
        r#"{"timestamp":1700000000123,"type":"change","prev_change_id":400,"change_id":450,"instrument_name":"ETH-9APR21-1950-C","bids":[],"asks":[]}"#,
        r#"{"timestamp":1700000000123,"new_one":"x","type":"change","prev_change_id":400,"change_id":450,"instrument_name":"ETH-9APR21-1950-C","bids":[],"asks":[]}"#,
    ] {
        let frame = frame("book.ETH-9APR21-1950-C.raw", data);
        let expected = (EventKind::Depth, "ETH-9APR21-1950-C", Some("raw"), change, at(1_700_000_000_123));
        assert_eq!(head(&frame), Some(expected), "{frame}");
    }
    let snapshot = frame(
        "book.NVDA_USDC-PERPETUAL.100ms",
        r#"{"timestamp":1700000000123,"type":"snapshot","change_id":450,"instrument_name":"NVDA_USDC-PERPETUAL","bids":[],"asks":[]}"#,
    );
    let key = Key { prev: 450, first: 450, last: 450 };
    let expected = (EventKind::Book, "NVDA_USDC-PERPETUAL", Some("100ms"), key, at(1_700_000_000_123));
    assert_eq!(head(&snapshot), Some(expected));
}

#[test]
fn trades_tell_their_first_and_last_id_and_the_time_of_the_last() {
    let row = |seq: i64, ms: i64| {
        format!(
            r#"{{"timestamp":{ms},"price":3.0e4,"amount":10.0,"direction":"sell","instrument_name":"BTC-PERPETUAL","trade_seq":{seq},"trade_id":"{seq}"}}"#
        )
    };
    let data = |rows: &[String]| frame("trades.BTC-PERPETUAL.100ms", &format!("[{}]", rows.join(",")));
    for (rows, first, last, time) in [
        (vec![row(7, 1001)], 7, 7, 1001),
        (vec![row(7, 1001), row(8, 1002), row(9, 1003)], 7, 9, 1003),
        (vec![row(9, 1003), row(8, 1002)], 8, 9, 1003),
    ] {
        let key = Key { prev: first - 1, first, last };
        let frame = data(&rows);
        assert_eq!(head(&frame), Some((EventKind::Trade, "BTC-PERPETUAL", Some("100ms"), key, at(time))), "{frame}");
    }
}

#[test]
fn a_quote_is_ordered_by_its_time() {
    let frame =
        frame("quote.BTC-PERPETUAL", r#"{"timestamp":1001,"instrument_name":"BTC-PERPETUAL","best_bid_price":1.0}"#);
    let key = Key { prev: Key::UNLINKED, first: 1001, last: 1001 };
    assert_eq!(head(&frame), Some((EventKind::Bbo, "BTC-PERPETUAL", Some(""), key, at(1001))));
    assert!(!key.is_linked());
}

// Fault: X19, B06
#[test]
fn what_is_not_as_it_should_be_is_left_to_the_reader() {
    let book = |data: &str| frame("book.A-PERPETUAL.raw", data);
    for frame in [
        book(r#"{"timestamp":1,"type":"change","change_id":2,"instrument_name":"A-PERPETUAL","bids":[]"#),
        book(
            r#"{"timestamp":1,"type":"snapshot","prev_change_id":1,"change_id":2,"instrument_name":"A-PERPETUAL","bids":["#,
        ),
        book(r#"{"timestamp":1,"type":"snapshot","change_id":2,"instrument_name":"B-PERPETUAL","bids":["#),
        book(r#"{"timestamp":1,"type":"other","change_id":2,"instrument_name":"A-PERPETUAL","bids":["#),
        book(
            r#"{"timestamp":1,"type":"snapshot","change_id":2,"change_id":3,"instrument_name":"A-PERPETUAL","bids":["#,
        ),
        book(r#"{"timestamp":1,"type":"snapshot","change_id":2,"asks":[],"instrument_name":"A-PERPETUAL","bids":["#),
        book(r#"{"timestamp":1,"type":"snapshot","change_id":2,"instrument_name":"A-PERPETUAL"}"#),
        frame("trades.option.any.raw", "[]"),
        frame("trades.A-PERPETUAL.raw", "[]"),
        frame("ticker.A-PERPETUAL.raw", "[]"),
        frame("ticker.A-PERPETUAL", "{}"),
        frame("never.heard.of", "{}"),
        "{\"jsonrpc\":\"2.0\"}".to_owned(),
        String::new(),
    ] {
        assert_eq!(peek(frame.as_bytes()), Peek::Miss, "{frame}");
    }
}

#[test]
fn states_are_told_by_their_channel() {
    let frame = frame("ticker.A-PERPETUAL.100ms", "{}");
    let Peek::Event(head) = peek(frame.as_bytes()) else { panic!("{frame}") };
    assert_eq!(Head { resume: 0, ..head }, Head::of_states("A-PERPETUAL", Some("100ms")));
}

#[test]
fn what_makes_no_row_is_told_by_its_channel() {
    let unrequested = Peek::Ignored(IgnoreReason::UnrequestedKind);
    for (channel, expected) in [
        ("book.BTC-30SEP22.none.20.100ms", Peek::Ignored(IgnoreReason::PartialDepth)),
        ("incremental_ticker.BTC-PERPETUAL", unrequested),
        ("markprice.options.btc_usd", unrequested),
        ("deribit_price_index.btc_usd", unrequested),
        ("perpetual.BTC-PERPETUAL.raw", unrequested),
        ("chart.trades.BTC-PERPETUAL.1", unrequested),
        ("platform_state", Peek::Answer),
        ("platform_state.public_methods_state", Peek::Answer),
        ("instrument.state.any.any", Peek::Answer),
        ("instrument.creation.any.any", Peek::Answer),
    ] {
        assert_eq!(peek(frame(channel, "{}").as_bytes()), expected, "{channel}");
    }
}
