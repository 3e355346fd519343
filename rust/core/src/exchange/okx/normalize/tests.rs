use super::super::peek::peek;
use super::*;
use crate::event::Level;
use crate::exchange::Peek;

const SCALES: Scales = Scales { price: 2, size: 0 };

fn head(frame: &str) -> Head<'_> {
    match peek(frame.as_bytes()) {
        Peek::Event(head) => head,
        other => panic!("{other:?}: {frame}"),
    }
}

fn books(action: &str, row: &str) -> String {
    format!(r#"{{"arg":{{"channel":"books","instId":"BTC-USDT"}},"action":"{action}","data":[{{{row}}}]}}"#)
}

fn decode_book(frame: &str, out: &mut DecodedLevels) -> Decoded<BookHead> {
    book(Isa::best(), frame.as_bytes(), &head(frame), SCALES, 1000, out)
}

#[test]
fn a_snapshot_as_documented() {
    let frame = books(
        "snapshot",
        r#""asks":[["8476.98","415","0","13"],["8477","7","0","2"]],"bids":[["8476.97","256","0","12"]],"ts":"1597026383085","checksum":0,"prevSeqId":-1,"seqId":123456"#,
    );
    let mut out = DecodedLevels::default();
    let Decoded::Event(head) = decode_book(&frame, &mut out) else { panic!("{frame}") };
    assert!(head.is_snapshot);
    assert_eq!((head.prev_id, head.first_id, head.last_id), (None, None, Some(123_456)), "−1 is no id");
    assert_eq!(head.checksum, None, "0 is no checksum");
    assert_eq!(out.narrow.asks, [Level { price: 847_698, size: 415 }, Level { price: 847_700, size: 7 }]);
    assert_eq!(out.narrow.bids, [Level { price: 847_697, size: 256 }]);
}

#[test]
fn a_keep_alive_is_an_empty_update_and_zero_is_an_id() {
    let frame = books("update", r#""asks":[],"bids":[],"ts":"1597026443185","checksum":0,"prevSeqId":0,"seqId":0"#);
    let mut out = DecodedLevels::default();
    let Decoded::Event(head) = decode_book(&frame, &mut out) else { panic!("{frame}") };
    assert!(!head.is_snapshot && out.is_empty());
    assert_eq!((head.prev_id, head.last_id), (Some(0), Some(0)));
}

#[test]
fn texts_that_are_not_the_shortest_are_listed_where_there_is_a_checksum() {
    let row = |checksum: i32| {
        let lists = r#""asks":[["8477.0","10","0","1"],["8478","7","0","2"]],"bids":[["8476","1","0","1"],["8475","2.50","0","3"]]"#;
        books("update", &format!(r#"{lists},"ts":"1626995753399","checksum":{checksum}"#))
    };
    let mut out = DecodedLevels::default();
    let Decoded::Event(head) = decode_book(&row(-5), &mut out) else { panic!() };
    assert_eq!((head.checksum, head.last_id, head.prev_id), (Some(-5), None, None));
    let padded = |is_bid, index, price_digits, size_digits| PaddedLevel { is_bid, index, price_digits, size_digits };
    assert_eq!(out.padded, [padded(false, 0, 1, 0), padded(true, 1, 0, 2)]);
    decode_book(&row(0), &mut out);
    assert_eq!(out.padded, []);
}

#[test]
fn too_many_levels_are_for_the_reader_to_refuse() {
    let frame =
        books("update", r#""asks":[["1","1","0","1"]],"bids":[["2","1","0","1"]],"ts":"1","prevSeqId":1,"seqId":2"#);
    let mut out = DecodedLevels::default();
    let decode =
        |max: usize, out: &mut DecodedLevels| book(Isa::best(), frame.as_bytes(), &head(&frame), SCALES, max, out);
    assert!(matches!(decode(2, &mut out), Decoded::Event(_)));
    assert_eq!(decode(1, &mut out), Decoded::Miss);
}

fn only_row(frame: &str) -> TradeRow {
    let mut out = TradeRows::default();
    assert_eq!(trades(Isa::best(), frame.as_bytes(), &head(frame), SCALES, &mut out), Decoded::Event(()), "{frame}");
    assert_eq!(out.rows.len(), 1);
    out.rows[0]
}

#[test]
fn trades_as_documented() {
    let folded = r#"{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"130639474","px":"42219.9","sz":"0.12060306","side":"buy","ts":"1630048897897","count":"3","source":"1","seqId":1234}]}"#;
    let row = only_row(folded);
    assert_eq!((row.first, row.last), (130_639_472, 130_639_474));
    let trade = row.trade.expect("a trade");
    assert_eq!((trade.id, trade.side), (TradeId::Number(130_639_474), Side::Buy));
    assert_eq!(trade.price.trimmed().to_string(), "42219.9");
    assert_eq!(trade.size.trimmed().to_string(), "0.12060306");
    assert_eq!((trade.first_id, trade.last_id, trade.count), (Some(130_639_472), Some(130_639_474), Some(3)));
    assert_eq!((trade.seq, trade.condition), (Some(1234), Condition::Rpi));

    let single = r#"{"arg":{"channel":"trades-all","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"130639474","px":"42219.9","sz":"0.12060306","side":"sell","source":"0","ts":"1630048897897"}]}"#;
    let trade = only_row(single).trade.expect("a trade");
    assert_eq!((trade.first_id, trade.last_id, trade.count, trade.seq), (None, None, None, None));
    assert_eq!((trade.side, trade.condition), (Side::Sell, Condition::Regular));

    let without_count = r#"{"arg":{"channel":"trades","instId":"FUN-BTC"},"data":[{"instId":"FUN-BTC","tradeId":"3435655","px":"0.000000454","sz":"11.83","side":"sell","ts":"1626995753055"}]}"#;
    let row = only_row(without_count);
    assert_eq!((row.first, row.last), (3_435_655, 3_435_655), "an absent count is 1");
    assert_eq!(row.trade.map(|trade| trade.count), Ok(None));
}

#[test]
fn a_trade_of_nothing_uses_up_its_ids() {
    let frame = r#"{"arg":{"channel":"trades","instId":"A-B"},"data":[{"instId":"A-B","tradeId":"9","px":"0","sz":"1","side":"buy","ts":"1630048897897","count":"2"}]}"#;
    let row = only_row(frame);
    assert_eq!((row.first, row.last, row.trade), (8, 9, Err(IgnoreReason::ZeroPriceOrSize)));
}

#[test]
fn a_quote_may_have_one_side() {
    let frame = r#"{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":[{"asks":[["8476.98","415","0","13"]],"bids":[],"ts":"1597026383085","seqId":123456}]}"#;
    let Decoded::Event(quote) = bbo(Isa::best(), frame.as_bytes(), &head(frame), SCALES) else { panic!("{frame}") };
    assert_eq!((quote.bid, quote.update_id), (None, Some(123_456)));
    assert_eq!(quote.ask, Some((Decimal::new(847_698, 2), Decimal::new(415, 0))));
}
