use super::*;

fn event(frame: &str) -> Head<'_> {
    match peek(frame.as_bytes()) {
        Peek::Event(head) => Head { resume: 0, ..head },
        other => panic!("{other:?}: {frame}"),
    }
}

fn at(ms: i64) -> EventTimes {
    EventTimes { event: Some(ms * 1_000_000), venue: None, odd: false }
}

#[test]
fn a_book_says_its_channel_and_its_ids_which_stand_at_its_end() {
    let snapshot = r#"{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"snapshot","data":[{"asks":[["8476.98","415","0","13"]],"bids":[["8476.97","256","0","12"]],"ts":"1597026383085","checksum":0,"prevSeqId":-1,"seqId":123456}]}"#;
    let key = Key { prev: -1, first: 123_456, last: 123_456 };
    assert_eq!(
        event(snapshot),
        Head {
            kind: EventKind::Book,
            symbol: "BTC-USDT",
            variant: Some("books"),
            key,
            times: at(1_597_026_383_085),
            resume: 0
        }
    );
    let update = r#"{"arg":{"channel":"books-l2-tbt","instId":"BTC-USDT-SWAP"},"action":"update","data":[{"asks":[],"bids":[],"ts":"1597026443185","checksum":-855196043,"seqId":3,"prevSeqId":15}]}"#;
    let head = event(update);
    assert_eq!((head.kind, head.variant), (EventKind::Depth, Some("books-l2-tbt")));
    assert_eq!(head.key, Key { prev: 15, first: 3, last: 3 }, "a reset at maintenance, in the other order of keys");
}

#[test]
fn a_book_without_ids_goes_by_its_time() {
    let update = r#"{"arg":{"channel":"books50-l2-tbt","instId":"XMR-USDT-SWAP"},"action":"update","data":[{"asks":[["196.4","774","0","4"]],"bids":[],"ts":"1626995753399","checksum":1449106703}]}"#;
    let head = event(update);
    assert!(!head.key.is_linked());
    assert_eq!((head.key.first, head.key.last), (1_626_995_753_399, 1_626_995_753_399));
    assert_eq!(head.variant, Some("books50-l2-tbt"));
}

#[test]
fn a_fold_of_trades_covers_the_ids_before_its_own() {
    let folded = r#"{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"123","px":"42219.9","sz":"0.12060306","side":"buy","ts":"1630048897897","count":"3","source":"0","seqId":1234}]}"#;
    let head = event(folded);
    assert_eq!((head.kind, head.key), (EventKind::AggTrade, Key { prev: 120, first: 121, last: 123 }));
    let single = r#"{"arg":{"channel":"trades-all","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"123","px":"42219.9","sz":"0.1","side":"sell","source":"1","ts":"1630048897897"}]}"#;
    let head = event(single);
    assert_eq!((head.kind, head.key), (EventKind::Trade, Key::single(123)));
}

#[test]
fn a_quote_goes_by_its_id_and_in_old_recordings_by_its_time() {
    let quote = |tail: &str| {
        format!(
            r#"{{"arg":{{"channel":"bbo-tbt","instId":"BTC-USDT"}},"data":[{{"asks":[["8476.98","415","0","13"]],"bids":[],"ts":"1597026383085"{tail}}}]}}"#
        )
    };
    assert_eq!(event(&quote(",\"seqId\":7")).key, Key::single(7));
    assert_eq!(event(&quote("")).key, Key { prev: Key::UNLINKED, first: 1_597_026_383_085, last: 1_597_026_383_085 });
}

#[test]
fn what_is_no_row() {
    let pushed = |channel: &str| {
        let frame = format!(r#"{{"arg":{{"channel":"{channel}","instId":"BTC-USDT"}},"data":[{{}}]}}"#);
        match peek(frame.as_bytes()) {
            Peek::Ignored(reason) => Some(reason),
            Peek::Miss => None,
            other => panic!("{other:?}"),
        }
    };
    let others = ["tickers", "candle1m", "mark-price-candle1D", "index-candle1m", "status", "books-elp", "books-rpi"];
    for channel in others {
        assert_eq!(pushed(channel), Some(IgnoreReason::UnrequestedKind), "{channel}");
    }
    assert_eq!(pushed("books5"), Some(IgnoreReason::PartialDepth));
    assert_eq!(pushed("a-channel-of-tomorrow"), None, "the reader says that nobody knows it");
    let answers = [
        "pong",
        r#"{"id":"1512","event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"a4d3ae55"}"#,
        r#"{"event":"error","code":"60012","msg":"Invalid request"}"#,
        r#"{"arg":{"channel":"instruments","instType":"SPOT"},"data":[]}"#,
    ];
    for answer in answers {
        assert_eq!(peek(answer.as_bytes()), Peek::Answer, "{answer}");
    }
}

#[test]
fn states_are_told_by_their_channel() {
    for channel in ["mark-price", "index-tickers", "funding-rate", "open-interest", "opt-summary", "liquidation-orders"]
    {
        let pushed = format!(r#"{{"arg":{{"channel":"{channel}","instType":"SWAP","instId":"A-B"}},"data":[{{}}]}}"#);
        let Peek::Event(head) = peek(pushed.as_bytes()) else { panic!("{pushed}") };
        assert_eq!(Head { resume: 0, ..head }, Head::of_states("A-B", Some(channel)));
        let answer = format!(r#"{{"arg":{{"channel":"{channel}","instId":"A-B"}},"event":"subscribe"}}"#);
        assert_eq!(peek(answer.as_bytes()), Peek::Miss);
    }
}

#[test]
fn other_instruments_and_ids_below_minus_one_are_for_the_reader() {
    let missed = [
        r#"{"arg":{"channel":"trades","instId":"A-B"},"data":[{"instId":"A-B","tradeId":"1","px":"1","sz":"1","side":"buy","ts":"1"},{"instId":"A-C","tradeId":"2","px":"1","sz":"1","side":"buy","ts":"1"}]}"#,
        r#"{"arg":{"channel":"trades","instId":"A-B"},"data":[{"instId":"A-C","tradeId":"1","px":"1","sz":"1","side":"buy","ts":"1"}]}"#,
        r#"{"arg":{"channel":"trades","instId":"A-B"},"data":[{"instId":"A-B","tradeId":"1","px":"1","sz":"1","side":"buy","ts":"1","count":"0"}]}"#,
        r#"{"arg":{"channel":"books","instId":"A-B"},"action":"update","data":[{"asks":[],"bids":[],"ts":"1","prevSeqId":-2,"seqId":2}]}"#,
        r#"{"arg":{"channel":"books","instId":"A-B"},"action":"update","data":[{"asks":[],"bids":[],"ts":"1","seqId":2}]}"#,
    ];
    for frame in missed {
        assert_eq!(peek(frame.as_bytes()), Peek::Miss, "{frame}");
    }
}
