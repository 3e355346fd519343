#![allow(clippy::unwrap_used)]
use super::*;
use crate::decimal::Decimal;
use crate::event::{Level, Trade, TradeId, TradeRow};
use crate::exchange::Protocol;
use crate::exchange::binance_futures::BinanceFutures as P;
use crate::exchange::binance_spot::BinanceSpot;
use crate::exchange::reader::Message;
use crate::table::Side;
use xtrader_scan::Isa;

const SCALES: Scales = Scales { price: 2, size: 3 };

fn refused(frame: &[u8]) -> RejectReason {
    match WireReader::default().read::<P>(frame) {
        Err(reason) => reason,
        Ok(message) => panic!("{:?}: {}", message.peek(), String::from_utf8_lossy(frame)),
    }
}

fn trade(frame: &str) -> Decoded<Trade> {
    trade_of(&WireReader::default().read::<P>(frame.as_bytes()).unwrap())
}

fn trade_of(message: &Message<'_>) -> Decoded<Trade> {
    let mut out = TradeRows::default();
    match message.trades::<P>(SCALES, &mut out) {
        Decoded::Event(()) => match out.rows[..] {
            [TradeRow { trade: Ok(trade), .. }] => Decoded::Event(trade),
            [TradeRow { trade: Err(reason), .. }] => Decoded::Ignored(reason),
            _ => panic!("one row for one trade"),
        },
        Decoded::Ignored(reason) => Decoded::Ignored(reason),
        Decoded::Rejected(reason) => Decoded::Rejected(reason),
        Decoded::Miss => Decoded::Miss,
    }
}

const TRADE: &str = r#"{"e":"trade","E":3,"T":2,"s":"BTCUSDT","t":7,"p":"1.5","q":"0.25","X":"MARKET","m":true}"#;

// Fault: B01, B02
#[test]
fn bytes_that_are_no_document() {
    assert_eq!(refused(b"{\"e\":\"\xff\"}"), RejectReason::Utf8);
    for frame in
        ["", " ", "{", "nul", "\u{feff}{}", "{}{}", "{} x", "{\"e\":\"trade\"", "{'e':1}", "{\"a\":01}", "[1,]"]
    {
        assert_eq!(refused(frame.as_bytes()), RejectReason::Json, "{frame}");
    }
    let two = format!("{TRADE}{TRADE}");
    assert_eq!(refused(two.as_bytes()), RejectReason::Json);
}

// Fault: B03
#[test]
fn nesting_is_bounded_before_it_is_parsed() {
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert_eq!(refused(nested(33).as_bytes()), RejectReason::Depth);
    assert_eq!(refused("[".repeat(100_000).as_bytes()), RejectReason::Depth);
    assert_eq!(refused("{\"a\":".repeat(100_000).as_bytes()), RejectReason::Depth);
    let nested = nested(32);
    assert_eq!(
        WireReader::default().read::<P>(nested.as_bytes()).unwrap().peek(),
        Peek::Ignored(IgnoreReason::UnknownType)
    );
    let text = format!("{{\"k\":\"{}\\\"{{\"}}", "[".repeat(100));
    assert!(WireReader::default().read::<P>(text.as_bytes()).is_ok(), "brackets in a text do not nest");
}

// Fault: B06
#[test]
fn bare_numbers_are_read_from_their_text() {
    for (text, mantissa, scale) in [
        ("1.10", 110, 2),
        ("0.1", 10, 2),
        ("12345678901234567.891", 12_345_678_901_234_567_891, 3),
        ("1e3", 100_000, 2),
        ("-7", -700, 2),
        ("0.30000000000000004", 30_000_000_000_000_004, 17),
    ] {
        // Numbers before and behind it must not be taken for it.
        let bare = TRADE.replace("\"p\":\"1.5\"", &format!("\"x\":[1,2.5,true,\"3.5\",-1e-3],\"p\":{text},\"y\":9.25"));
        let Decoded::Event(trade) = trade(&bare) else { panic!("{bare}") };
        assert_eq!((trade.price.mantissa, trade.price.scale), (mantissa, scale), "{text}");
    }
}

// Fault: B06
#[test]
fn of_a_key_that_occurs_twice_the_last_counts_as_in_a_second_parser() {
    let twice = TRADE.replace("\"t\":7", "\"t\":6,\"t\":7").replace("\"p\":\"1.5\"", "\"p\":\"9\",\"p\":\"1.5\"");
    let parsed: serde_json::Value = serde_json::from_str(&twice).unwrap();
    let Decoded::Event(row) = trade(&twice) else { panic!("{twice}") };
    assert_eq!(row.id, TradeId::Number(parsed["t"].as_i64().unwrap()));
    assert_eq!(row.price.trimmed().to_string(), parsed["p"].as_str().unwrap());
    // The scanner leaves such a frame alone, or has the same.
    for twice in [twice, TRADE.replace("\"m\":true", "\"m\":true,\"m\":false")] {
        let Peek::Event(head) = super::super::peek::peek::<P>(twice.as_bytes()) else { continue };
        let mut out = TradeRows::default();
        assert_eq!(P::decode_trades(Isa::best(), twice.as_bytes(), &head, SCALES, &mut out), Decoded::Miss);
    }
}

// Fault: B13
#[test]
fn a_type_that_occurs_twice_is_no_type() {
    let state = r#"{"e":"markPriceUpdate","E":3,"s":"BTCUSDT","p":"1","T":0}"#;
    for (name, found) in [("E", "3"), ("s", "\"BTCUSDT\""), ("T", "0")] {
        let twice = state.replace(&format!("\"{name}\":{found}"), &format!("\"e\":{found}"));
        for frame in [twice.clone(), format!("[{twice}]"), format!("[{twice},{state}]")] {
            assert_eq!(refused(frame.as_bytes()), RejectReason::Schema, "{frame}");
        }
    }
    assert_eq!(refused(TRADE.replace("\"t\":7", "\"t\":7,\"e\":null").as_bytes()), RejectReason::Schema);
}

// Fault: X19, B06
#[test]
fn what_the_head_said_must_be_what_the_frame_says() {
    let mut reader = WireReader::default();
    for (frame, verdict) in [
        (TRADE.replace("\"1.5\"", "1.5"), None),
        (TRADE.replace("\"m\":true", "\"m\":true,\"new\":1"), None),
        (TRADE.replace("\"m\":true", "\"m\":true,\"t\":8"), Some(RejectReason::Schema)),
        (TRADE.replace("\"m\":true", "\"m\":true,\"s\":\"ETHUSDT\""), Some(RejectReason::Schema)),
        (TRADE.replace("\"m\":true", "\"m\":true,\"e\":\"kline\""), Some(RejectReason::Schema)),
        (TRADE.replace("\"m\":true", "\"m\":tru"), Some(RejectReason::Json)),
    ] {
        let Peek::Event(head) = super::super::peek::peek::<P>(TRADE.as_bytes()) else { panic!("{TRADE}") };
        assert_eq!(reader.reread::<P>(frame.as_bytes(), &head).err(), verdict, "{frame}");
    }
}

#[test]
fn other_orders_spaces_escapes_and_new_fields() {
    let frame = " {\"data\" : {\"m\":false, \"\\u0070\":\"\\u0031.5\",\"q\":\"0.25\",\"new\":{\"p\":1},\"t\":7,\n\"s\":\"币安人生USDT\",\
        \"T\":2,\"E\":3,\"e\":\"trade\"},\"stream\":\"币安人生usdt@trade\"} ";
    let mut reader = WireReader::default();
    let message = reader.read::<P>(frame.as_bytes()).unwrap();
    let Peek::Event(head) = message.peek() else { panic!("{:?}", message.peek()) };
    assert_eq!((head.symbol, head.variant, head.kind), ("币安人生USDT", Some(""), EventKind::Trade));
    assert_eq!(head.times, EventTimes { event: Some(2_000_000), venue: Some(3_000_000), odd: false });
    let Decoded::Event(trade) = trade_of(&message) else { panic!("{frame}") };
    assert_eq!((trade.side, trade.price), (Side::Buy, Decimal::new(150, 2)));
}

#[test]
fn a_quote_without_a_type_is_known_by_its_stream() {
    let frame = r#"{"stream":"btcusdt@bookTicker","data":{"u":7,"s":"BTCUSDT","b":"1","B":"2","a":"3","A":"4"}}"#;
    let mut reader = WireReader::default();
    let message = reader.read::<P>(frame.as_bytes()).unwrap();
    let Decoded::Event(quote) = message.bbo::<P>(SCALES) else { panic!("{frame}") };
    assert_eq!(quote.times, EventTimes::default(), "no time is no time");
}

// Fault: T09
#[test]
fn times_from_what_there_is() {
    let times = |frame: &str| match WireReader::default().read::<P>(frame.as_bytes()).unwrap().peek() {
        Peek::Event(head) => head.times,
        other => panic!("{other:?}"),
    };
    let sent_only = EventTimes { event: Some(3_000_000), venue: Some(3_000_000), odd: false };
    assert_eq!(times(&TRADE.replace("\"T\":2,", "")), sent_only, "where there is only `E`, `E`");
    let odd = EventTimes { event: None, venue: Some(3_000_000), odd: true };
    for beyond in ["9223372036855", "-9223372036855", "18446744073709551615"] {
        assert_eq!(times(&TRADE.replace("\"T\":2", &format!("\"T\":{beyond}"))), odd, "{beyond}");
    }
    assert_eq!(times(&TRADE.replace("\"T\":2", "\"T\":-2")).event, Some(-2_000_000));
}

#[test]
fn levels_of_any_form_and_no_more_than_allowed() {
    let frame = r#"{"e":"depthUpdate","E":1,"T":1,"s":"X","U":1,"u":2,"pu":0,"a":[[ 1.25 , "3" , [] ]],"b":[["1.2","4"],["1","0"]]}"#;
    let mut reader = WireReader::default();
    let message = reader.read::<P>(frame.as_bytes()).unwrap();
    let mut out = DecodedLevels::default();
    assert!(matches!(message.book::<P>(SCALES, 3, &mut out), Decoded::Event(_)));
    assert_eq!(out.narrow.asks, [Level { price: 125, size: 3000 }]);
    assert_eq!(message.book::<P>(SCALES, 2, &mut out), Decoded::Rejected(RejectReason::Limit));
    drop(message);
    for (from, to) in
        [("[\"1\",\"0\"]", "[\"1\"]"), ("[\"1\",\"0\"]", "7"), ("\"b\":[", "\"b\":3,\"z\":["), ("\"a\":", "\"z\":")]
    {
        let bad = frame.replace(from, to);
        let message = reader.read::<P>(bad.as_bytes()).unwrap();
        assert_eq!(message.book::<P>(SCALES, 3, &mut out), Decoded::Rejected(RejectReason::Schema), "{bad}");
    }
}

// Fault: X29, B05
#[test]
fn many_keys_long_texts_and_a_million_levels_are_bounded() {
    let keys: String = (0..100_000).map(|i| format!("\"k{i}\":{i},")).collect();
    assert!(matches!(trade(&TRADE.replacen('{', &format!("{{{keys}"), 1)), Decoded::Event(_)));
    let long = "7".repeat(16 << 20);
    assert_eq!(trade(&TRADE.replace("1.5", &long)), Decoded::Rejected(RejectReason::Range));
    let levels = vec!["[\"1\",\"1\"]"; 1_000_000].join(",");
    let frame = format!(r#"{{"e":"depthUpdate","E":1,"T":1,"s":"X","U":1,"u":2,"pu":0,"b":[{levels}],"a":[]}}"#);
    let mut reader = WireReader::default();
    let mut out = DecodedLevels::default();
    let message = reader.read::<P>(frame.as_bytes()).unwrap();
    assert_eq!(message.book::<P>(SCALES, 1000, &mut out), Decoded::Rejected(RejectReason::Limit));
    assert_eq!(out.count(), 1000);
}

#[test]
fn a_book_that_was_just_listed_is_empty_at_the_id_it_has() {
    let mut out = DecodedLevels::default();
    for id in [-1, 0] {
        let body = format!(r#"{{"lastUpdateId":{id},"bids":[],"asks":[]}}"#);
        let head = read_snapshot::<BinanceSpot>(body.as_bytes(), SCALES, 9, &mut out).unwrap();
        assert_eq!((head.last_id, head.is_snapshot, head.times), (Some(id), true, EventTimes::default()));
        assert!(out.is_empty());
    }
}

#[test]
fn ids_of_block_trades_are_none_of_the_trades_window() {
    let frame = r#"{"e":"blockTrade","E":1772506983582,"s":"BNBBTC","t":582,"p":"0.052","q":"5838","T":1772506983321,"m":true}"#;
    assert_eq!(BinanceSpot::peek(frame.as_bytes()), Peek::Miss);
    let mut reader = WireReader::default();
    let message = reader.read::<BinanceSpot>(frame.as_bytes()).unwrap();
    let Peek::Event(head) = message.peek() else { panic!("{frame}") };
    assert_eq!((head.kind, head.symbol), (EventKind::MixedTrades, ""));
    let mut out = TradeRows::default();
    assert_eq!(message.trades::<BinanceSpot>(SCALES, &mut out), Decoded::Event(()));
    let row = out.rows[0];
    assert!(row.first > row.last, "no id");
    assert_eq!(out.texts.get(row.native), "BNBBTC");
    let trade = row.trade.unwrap();
    assert_eq!((trade.id, trade.condition, trade.side), (TradeId::Number(582), Condition::Block, Side::Sell));
    assert_eq!(trade.times.event, Some(1_772_506_983_321_000_000));
}

#[test]
fn a_snapshot() {
    let body = br#"{"lastUpdateId":600859605926,"E":1626992741264,"T":1626992741261,"bids":[["7.6110","6"]],"asks":[["7.6120","5"],["7.6130","1.5"]]}"#;
    let mut out = DecodedLevels::default();
    let head = read_snapshot::<P>(body, Scales { price: 3, size: 0 }, 3, &mut out).unwrap();
    let times =
        EventTimes { event: Some(1_626_992_741_261_000_000), venue: Some(1_626_992_741_264_000_000), odd: false };
    assert_eq!(head, BookHead { times, is_snapshot: true, last_id: Some(600_859_605_926), ..BookHead::default() });
    assert_eq!(out.narrow.bids, [Level { price: 7611, size: 60 }]);
    assert_eq!(out.narrow.asks, [Level { price: 7612, size: 50 }, Level { price: 7613, size: 15 }]);
    assert_eq!(out.narrow.scales, Scales { price: 3, size: 1 });

    let mut refused = |body: &[u8], max| read_snapshot::<P>(body, SCALES, max, &mut out).unwrap_err();
    assert_eq!(refused(body, 2), RejectReason::Limit);
    assert_eq!(refused(br#"{"code":-1121,"msg":"Invalid symbol."}"#, 9), RejectReason::Schema);
    assert_eq!(refused(br#"{"lastUpdateId":1,"bids":[]}"#, 9), RejectReason::Schema);
    assert_eq!(refused(b"<html>418</html>", 9), RejectReason::Json);
}

// Fault: X29
#[test]
fn a_snapshot_of_five_megabytes() {
    let level = |i: usize| format!("[\"{}.{:02}\",\"{}.125\"]", 10_000 + i / 100, i % 100, i);
    let side: Vec<String> = (0..110_000).map(level).collect();
    let side = side.join(",");
    let body = format!(r#"{{"lastUpdateId":7,"E":1,"T":1,"bids":[{side}],"asks":[{side}]}}"#);
    assert!(body.len() > 5_000_000, "{}", body.len());
    let mut out = DecodedLevels::default();
    read_snapshot::<P>(body.as_bytes(), SCALES, 1 << 20, &mut out).unwrap();
    assert_eq!(out.narrow.asks.len(), 110_000);
    assert_eq!(out.narrow.asks[12_345], Level { price: 1_012_345, size: 12_345_125 });
}
