use super::*;
use crate::exchange::okx::Okx;
use crate::exchange::reader::WireReader;

const SCALES: Scales = Scales { price: 1, size: 0 };

fn rows(frame: &str) -> (Key, TradeRows) {
    let mut reader = WireReader::default();
    let message = reader.read::<Okx>(frame.as_bytes()).expect("a frame");
    let Peek::Event(head) = message.peek() else { panic!("{frame}") };
    let mut out = TradeRows::default();
    assert_eq!(message.trades::<Okx>(SCALES, &mut out), Decoded::Event(()));
    (head.key, out)
}

#[test]
fn several_trades_of_one_push() {
    let frame = r#"{"arg":{"channel":"trades","instId":"A-B"},"data":[
        {"instId":"A-B","tradeId":"12","px":"2","sz":"1","side":"sell","ts":"1630048897900","count":"2","source":"5"},
        {"instId":"A-B","tradeId":"10","px":"1.5","sz":"3","side":"buy","ts":"1630048897899"}]}"#;
    let (key, out) = rows(frame);
    assert_eq!(key, Key { prev: 9, first: 10, last: 12 });
    let ids: Vec<_> = out.rows.iter().map(|row| (row.first, row.last)).collect();
    assert_eq!(ids, [(11, 12), (10, 10)]);
    let times: Vec<_> = out.rows.iter().map(|row| row.trade.map(|trade| trade.times.event)).collect();
    assert_eq!(times, [Ok(Some(1_630_048_897_900_000_000)), Ok(Some(1_630_048_897_899_000_000))]);
}

#[test]
fn bare_and_quoted_integers_are_one_and_an_empty_text_is_none() {
    let frame = r#"{"arg":{"channel":"trades","instId":"A-B"},"data":[{"tradeId":12,"px":2.50,"sz":1,"side":"sell","ts":1630048897900,"count":"","seqId":"7"}]}"#;
    let (_, out) = rows(frame);
    let trade = out.rows[0].trade.expect("a trade");
    assert_eq!((trade.count, trade.seq), (None, Some(7)));
    assert_eq!(trade.price.trimmed().to_string(), "2.5");
}

#[test]
fn books_by_the_reader_say_why_they_are_refused() {
    let read = |row: &str, max: usize| {
        let frame = format!(r#"{{"arg":{{"channel":"books","instId":"A-B"}},"action":"update","data":[{{{row}}}]}}"#);
        let mut reader = WireReader::default();
        let mut out = DecodedLevels::default();
        let decoded = reader.read::<Okx>(frame.as_bytes()).expect("a frame").book::<Okx>(SCALES, max, &mut out);
        matches!(decoded, Decoded::Event(_)).then_some(out).ok_or(decoded)
    };
    let ids = r#""ts":"1","prevSeqId":1,"seqId":2"#;
    assert_eq!(
        read(&format!(r#""asks":[["1","2","0","1"],["2","2","0","1"]],"bids":[],{ids}"#), 1).expect_err("refused"),
        Decoded::Rejected(RejectReason::Limit)
    );
    assert_eq!(
        read(&format!(r#""asks":[["1"]],"bids":[],{ids}"#), 9).expect_err("refused"),
        Decoded::Rejected(RejectReason::Schema)
    );
    assert_eq!(
        read(&format!(r#""asks":[],"bids":[],"checksum":4294967296,{ids}"#), 9).expect_err("refused"),
        Decoded::Rejected(RejectReason::Range)
    );
    let levels = read(&format!(r#""bids":[["1","2"]],"asks":[],{ids}"#), 9).expect("two members will do");
    assert_eq!(levels.count(), 1);
}
