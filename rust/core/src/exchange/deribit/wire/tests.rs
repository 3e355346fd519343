#![allow(clippy::unwrap_used)]

use super::*;
use crate::event::{Derivative, OptionState, State, TradeId};
use crate::exchange::deribit::Deribit as P;
use crate::exchange::reader::WireReader;

const SCALES: Scales = Scales { price: 1, size: 0 };

fn frame(channel: &str, data: &str) -> String {
    format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"subscription\",\"params\":{{\"channel\":\"{channel}\",\"data\":{data}}}}}"
    )
}

fn states_of(name: &str, data: &str) -> (Decoded<()>, StateRows) {
    let frame = frame(&format!("ticker.{name}.100ms"), data);
    let mut reader = WireReader::default();
    let message = reader.read::<P>(frame.as_bytes()).unwrap();
    let Peek::Event(head) = message.peek() else { panic!("{frame}") };
    assert_eq!((head.kind, head.symbol, head.variant), (EventKind::State, name, Some("100ms")));
    let mut out = StateRows::default();
    (message.states::<P>(&mut out), out)
}

#[test]
fn a_ticker_of_a_perpetual() {
    let (decoded, out) = states_of(
        "BTC-PERPETUAL",
        r#"{"timestamp":1700000000123,"state":"open","stats":{"high":null},"index_price":92263.55,
        "instrument_name":"BTC-PERPETUAL","last_price":null,"open_interest":1.1323e9,"mark_price":92281.78,
        "current_funding":-1.2e-7,"funding_8h":0.00001}"#,
    );
    assert_eq!(decoded, Decoded::Event(()));
    let [row] = out.rows[..] else { panic!("{out:?}") };
    assert_eq!((out.texts.get(row.native), row.is_index), ("BTC-PERPETUAL", false));
    assert_eq!(row.times.event, Some(1_700_000_000_123_000_000));
    let expected = Derivative {
        mark_price: Some(Decimal::new(9_228_178, 2)),
        index_price: Some(Decimal::new(9_226_355, 2)),
        funding_rate: Some(Decimal::new(-12, 8)),
        open_interest: Some(Decimal::new(1_132_300_000, 0)),
        ..Derivative::default()
    };
    assert_eq!(row.state, State::Derivative(expected));
}

#[test]
fn a_ticker_of_an_option_says_volatility_as_a_fraction() {
    let (_, out) = states_of(
        "BTC-25DEC26-100000-C",
        r#"{"timestamp":1,"instrument_name":"BTC-25DEC26-100000-C","underlying_price":73597.69,"mark_price":0.02954041,
        "mark_iv":96.02,"bid_iv":0.0,"ask_iv":1.0e2,"open_interest":45.4,"last_price":0.0355,"index_price":58900.5,
        "greeks":{"vega":121.14214,"theta":-16.44879,"rho":45.7,"gamma":0.0,"delta":0.09364}}"#,
    );
    let [derivative, option] = out.rows[..] else { panic!("{out:?}") };
    assert_ne!(derivative.feed, option.feed, "both have one time");
    let expected = OptionState {
        underlying_price: Some(Decimal::new(7_359_769, 2)),
        mark_price: Some(Decimal::new(2_954_041, 8)),
        mark_iv: Some(Decimal::new(9602, 4)),
        bid_iv: Some(Decimal::new(0, 0)),
        ask_iv: Some(Decimal::new(1, 0)),
        delta: Some(Decimal::new(9364, 5)),
        gamma: Some(Decimal::new(0, 0)),
        vega: Some(Decimal::new(12_114_214, 5)),
        theta: Some(Decimal::new(-1_644_879, 5)),
        open_interest: Some(Decimal::new(454, 1)),
        open_interest_base: None,
    };
    assert_eq!(option.state, State::Option(expected));
    let State::Derivative(derivative) = derivative.state else { panic!("{derivative:?}") };
    assert_eq!(derivative.last_price, Some(Decimal::new(355, 4)));
}

/// §5: options have `mark_iv` and `greeks`; either tells one, whatever its name.
#[test]
fn a_ticker_is_of_an_option_by_volatility_or_greeks() {
    for (more, is_option) in [
        (r#""mark_iv":96.02"#, true),
        (r#""greeks":{"delta":0.5}"#, true),
        (r#""mark_iv":null,"greeks":{}"#, false),
        (r#""current_funding":0.0,"funding_8h":0.0"#, false),
    ] {
        let (_, out) =
            states_of("A-B", &format!(r#"{{"timestamp":1,"instrument_name":"A-B","mark_price":1.5,{more}}}"#));
        let options: Vec<_> = out
            .rows
            .iter()
            .filter_map(|row| match row.state {
                State::Option(option) => option.mark_price,
                _ => None,
            })
            .collect();
        assert_eq!((out.rows.len(), options), if is_option { (2, vec![Decimal::new(15, 1)]) } else { (1, Vec::new()) });
    }
}

// Fault: B04
#[test]
fn a_ticker_with_a_field_of_another_type_is_refused() {
    let (decoded, _) = states_of("A-B", r#"{"timestamp":1,"instrument_name":"A-B","mark_price":true}"#);
    assert_eq!(decoded, Decoded::Rejected(RejectReason::Schema));
    let (decoded, _) = states_of("A-B", r#"{"timestamp":1,"instrument_name":"A-C","mark_price":1.0}"#);
    assert_eq!(decoded, Decoded::Rejected(RejectReason::Schema), "another than the channel's");
    let (decoded, _) = states_of("A-B", r#"{"timestamp":1,"instrument_name":"A-B","mark_iv":1e-38}"#);
    assert_eq!(decoded, Decoded::Rejected(RejectReason::Range));
}

#[test]
fn rows_of_several_instruments_name_theirs() {
    let row = |name: &str, seq: i64| {
        format!(
            r#"{{"trade_seq":{seq},"trade_id":"{seq}0","timestamp":{seq},"tick_direction":0,"price":0.007,"mark_price":0.00670817,"iv":78.44,"instrument_name":"{name}","index_price":56151.63,"direction":"buy","amount":0.1,"legs":[{{}}]}}"#
        )
    };
    let rows = format!("[{},{}]", row("BTC-26MAR21-62000-C", 1706), row("ETH-26MAR21-1800-P", 3));
    let frame = frame("trades.option.any.raw", &rows);
    let mut reader = WireReader::default();
    let message = reader.read::<P>(frame.as_bytes()).unwrap();
    let Peek::Event(head) = message.peek() else { panic!("{frame}") };
    assert_eq!((head.kind, head.symbol, head.variant), (EventKind::MixedTrades, "", Some("raw")));
    let mut out = TradeRows::default();
    assert_eq!(message.trades::<P>(SCALES, &mut out), Decoded::Event(()));
    let told: Vec<_> = out
        .rows
        .iter()
        .map(|row| match row.trade.unwrap().id {
            TradeId::Text(id) => (out.texts.get(row.native), row.last, out.texts.get(id)),
            TradeId::Number(_) => panic!("ids are texts"),
        })
        .collect();
    assert_eq!(told, [("BTC-26MAR21-62000-C", 1706, "17060"), ("ETH-26MAR21-1800-P", 3, "30")]);
}

const BOOK: &str = r#"{"timestamp":1,"type":"change","prev_change_id":4,"change_id":9,"instrument_name":"A-PERPETUAL","bids":[["new",1.5,2.0]],"asks":[]}"#;

#[test]
fn more_levels_than_allowed_are_refused() {
    let frame = frame("book.A-PERPETUAL.raw", &BOOK.replace("[[", "[[\"new\",1.0,1],["));
    let mut reader = WireReader::default();
    let message = reader.read::<P>(frame.as_bytes()).unwrap();
    let mut out = DecodedLevels::default();
    assert!(matches!(message.book::<P>(SCALES, 2, &mut out), Decoded::Event(_)));
    assert_eq!(message.book::<P>(SCALES, 1, &mut out), Decoded::Rejected(RejectReason::Limit));
}

#[test]
fn numbers_are_read_from_their_text_wherever_they_stand_among_others() {
    let list: Vec<String> = (0..50_000).map(|i| format!("[\"new\",{i}.30000000000000004,{i}e-2]")).collect();
    let data = BOOK.replace("[\"new\",1.5,2.0]", &list.join(",")).replace("\"asks\":[]", "\"asks\":[],\"z\":1");
    let frame = frame("book.A-PERPETUAL.raw", &data);
    let mut reader = WireReader::default();
    let message = reader.read::<P>(frame.as_bytes()).unwrap();
    let mut out = DecodedLevels::default();
    assert!(matches!(message.book::<P>(SCALES, 1 << 20, &mut out), Decoded::Event(_)));
    let bids: Vec<(i128, i128)> = match &out.wide {
        Some(wide) => wide.bids.iter().map(|l| (l.price, l.size)).collect(),
        None => out.narrow.bids.iter().map(|l| (l.price.into(), l.size.into())).collect(),
    };
    assert_eq!(out.scales(), Scales { price: 17, size: 2 });
    let expected = |i: i128| (i * 10i128.pow(17) + 30_000_000_000_000_004, i);
    assert!(bids.iter().copied().eq((0..50_000).map(expected)));
}

// Fault: B13
#[test]
fn a_message_of_another_instrument_than_its_channel_is_of_neither() {
    for (channel, data) in [
        (
            "book.A-B.100ms",
            r#"{"timestamp":1,"type":"snapshot","change_id":9,"instrument_name":"NAME","bids":[],"asks":[]}"#,
        ),
        (
            "trades.A-B.100ms",
            r#"[{"timestamp":1,"price":1.5,"amount":2.0,"direction":"buy","instrument_name":"A-B","trade_seq":7,"trade_id":"8"},{"timestamp":1,"price":1.5,"amount":2.0,"direction":"buy","instrument_name":"NAME","trade_seq":8,"trade_id":"9"}]"#,
        ),
        (
            "quote.A-B",
            r#"{"timestamp":1,"instrument_name":"NAME","best_ask_price":2.5,"best_bid_price":1.5,"best_ask_amount":1.0,"best_bid_amount":1.0}"#,
        ),
    ] {
        let mut reader = WireReader::default();
        let good = frame(channel, &data.replace("NAME", "A-B"));
        let peeked = reader.read::<P>(good.as_bytes()).map(|message| matches!(message.peek(), Peek::Event(_)));
        assert_eq!(peeked, Ok(true), "{good}");
        for other in ["A-C", "A-BB"] {
            let frame = frame(channel, &data.replace("NAME", other));
            let refused = reader.read::<P>(frame.as_bytes()).map(|_| ()).unwrap_err();
            assert_eq!(refused, RejectReason::Schema, "{frame}");
        }
    }
}
