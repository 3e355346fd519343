use super::*;
use crate::exchange::binance_futures::BinanceFutures;
use crate::exchange::binance_spot::BinanceSpot;

/// An event's head, or a panic that shows the frame.
fn head_of<D: Dialect>(frame: &str) -> Head<'_> {
    match super::peek::<D>(frame.as_bytes()) {
        Peek::Event(head) => head,
        other => panic!("{other:?}: {frame}"),
    }
}

fn peek(frame: &[u8]) -> Peek<'_> {
    super::peek::<BinanceFutures>(frame)
}

fn head(frame: &str) -> Head<'_> {
    head_of::<BinanceFutures>(frame)
}

fn spot(frame: &str) -> Head<'_> {
    head_of::<BinanceSpot>(frame)
}

fn ms(event: i64, sent: i64) -> EventTimes {
    EventTimes { event: Some(event * 1_000_000), venue: Some(sent * 1_000_000), odd: false }
}

#[test]
fn a_book_change_of_every_year() {
    let raw_2021 = r#"{"e":"depthUpdate","E":1626992741037,"T":1626992741024,"s":"SUSHIUSDT","U":9090,"u":10917,"pu":8061,"b":[["7.5040","813"]],"a":[]}"#;
    let read = head(raw_2021);
    assert_eq!((read.kind, read.symbol, read.variant), (EventKind::Depth, "SUSHIUSDT", None));
    assert_eq!(read.key, Key { prev: 8061, first: 9090, last: 10917 });
    assert_eq!(read.times, ms(1_626_992_741_024, 1_626_992_741_037));
    assert!(raw_2021[read.resume..].starts_with("[[\"7.5040\""));

    let combined_2026 = r#"{"stream":"btcusdt_261225@depth@0ms","data":{"e":"depthUpdate","E":1785121247584,"T":1785121247583,"s":"BTCUSDT_261225","ps":"BTCUSDT","U":3377,"u":3381,"pu":3053,"b":[],"a":[],"st":1}}"#;
    let read = head(combined_2026);
    assert_eq!((read.symbol, read.variant), ("BTCUSDT_261225", Some("@0ms")));
    assert_eq!(read.key, Key { prev: 3053, first: 3377, last: 3381 });
    assert!(combined_2026[read.resume..].starts_with("[],"));
}

#[test]
fn the_speed_is_part_of_the_head() {
    for (feed, variant) in [("depth", ""), ("depth@100ms", "@100ms"), ("depth@500ms", "@500ms"), ("depth@0ms", "@0ms")]
    {
        let frame = format!(
            r#"{{"stream":"ethusdt@{feed}","data":{{"e":"depthUpdate","E":2,"T":1,"s":"ETHUSDT","U":3,"u":4,"pu":2,"b":[],"a":[]}}}}"#
        );
        assert_eq!(head(&frame).variant, Some(variant));
    }
}

#[test]
fn trades() {
    let agg = r#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1785121247600,"a":309917647,"s":"BTCUSDT","p":"76916.00","q":"0.0010","nq":"0.0010","f":537895188,"l":537895190,"T":1785121247445,"m":true,"st":1}}"#;
    let read = head(agg);
    assert_eq!((read.kind, read.symbol, read.variant), (EventKind::AggTrade, "BTCUSDT", Some("")));
    assert_eq!(read.key, Key { prev: 309_917_646, first: 309_917_647, last: 309_917_647 });
    assert_eq!(read.times, ms(1_785_121_247_445, 1_785_121_247_600));

    let trade = r#"{"e":"trade","E":1723161256323,"T":1723161256322,"s":"BTCUSDT","t":5266583935,"p":"61800.30","q":"0.006","X":"MARKET","m":false}"#;
    let read = head(trade);
    assert_eq!((read.kind, read.variant), (EventKind::Trade, None));
    assert_eq!(read.key, Key { prev: 5_266_583_934, first: 5_266_583_935, last: 5_266_583_935 });
    assert_eq!(read.times, ms(1_723_161_256_322, 1_723_161_256_323));
}

#[test]
fn quotes() {
    let frame = r#"{"stream":"!bookTicker","data":{"e":"bookTicker","u":11139947831981,"s":"ETHUSDT","ps":"ETHUSDT","b":"1943.64","B":"113.445","a":"1943.65","A":"182.433","T":1785121247583,"E":1785121247584,"st":1}}"#;
    let read = head(frame);
    assert_eq!((read.kind, read.symbol, read.variant), (EventKind::Bbo, "ETHUSDT", Some("")));
    assert_eq!(read.key.last, 11_139_947_831_981);
    assert_eq!(read.times, ms(1_785_121_247_583, 1_785_121_247_584));
}

// Fault: X22, T07, T09
#[test]
fn a_time_that_nanoseconds_cannot_hold_is_odd_and_never_wrapped() {
    let micros = r#"{"e":"trade","E":1723161256323000,"T":1723161256322000,"s":"BTCUSDT","t":5,"p":"1","q":"1","X":"MARKET","m":false}"#;
    assert_eq!(head(micros).times, EventTimes { event: None, venue: None, odd: true });
}

#[test]
fn a_spot_book_change_follows_the_id_before_its_first() {
    let raw = r#"{"e":"depthUpdate","E":1633998274793,"s":"COMPUSDT","U":113129219,"u":113129221,"b":[],"a":[["297.32000000","19.08719000"]]}"#;
    let combined = format!(r#"{{"stream":"compusdt@depth@100ms","data":{raw}}}"#);
    for (frame, variant) in [(raw, None), (&combined, Some("@100ms"))] {
        let read = spot(frame);
        assert_eq!((read.kind, read.symbol, read.variant), (EventKind::Depth, "COMPUSDT", variant));
        assert_eq!(read.key, Key { prev: 113_129_218, first: 113_129_219, last: 113_129_221 });
        assert_eq!(read.times, ms(1_633_998_274_793, 1_633_998_274_793), "where there is only `E`, `E`");
        assert!(frame[read.resume..].starts_with("[],"));
        assert_eq!(peek(frame.as_bytes()), Peek::Miss, "futures name the id that they follow");
    }
}

#[test]
fn spot_trades_of_every_year() {
    let agg = r#"{"e":"aggTrade","E":1633998288468,"s":"OMGBUSD","a":425085,"p":"13.80480000","q":"2.10000000","f":439577,"l":439577,"T":1633998288467,"m":false,"M":true}"#;
    let read = spot(agg);
    assert_eq!((read.kind, read.symbol, read.key), (EventKind::AggTrade, "OMGBUSD", Key::single(425_085)));
    assert_eq!(read.times, ms(1_633_998_288_467, 1_633_998_288_468));

    let now = r#"{"e":"trade","E":1672515782136,"s":"BNBBTC","t":12345,"p":"0.001","q":"100","T":1672515782134,"m":true,"M":true}"#;
    let with_orders = now.replace(r#","T""#, r#","b":88,"a":50,"T""#);
    for frame in [now, &with_orders] {
        let read = spot(frame);
        assert_eq!((read.kind, read.symbol, read.key), (EventKind::Trade, "BNBBTC", Key::single(12_345)));
        assert_eq!(read.times, ms(1_672_515_782_134, 1_672_515_782_136));
    }
}

#[test]
fn spot_quotes_have_neither_type_nor_times() {
    let raw = r#"{"u":77819474,"s":"OMGBUSD","b":"13.76640000","B":"30.28000000","a":"13.79500000","A":"2.49000000"}"#;
    let combined = format!(r#"{{"stream":"omgbusd@bookTicker","data":{raw}}}"#);
    for (frame, variant) in [(raw, None), (&combined, Some(""))] {
        let read = spot(frame);
        assert_eq!((read.kind, read.symbol, read.variant), (EventKind::Bbo, "OMGBUSD", variant));
        assert_eq!((read.key.last, read.times), (77_819_474, EventTimes::default()));
    }
    // A time behind the numbers would be part of the head: the reader has to say it.
    let timed = raw.replace("\"}", "\",\"E\":1}");
    assert_eq!(super::peek::<BinanceSpot>(timed.as_bytes()), Peek::Miss);
}

#[test]
fn sixteen_digits_of_a_spot_time_are_microseconds() {
    let trade = r#"{"e":"trade","E":1672515782136789,"s":"BNBBTC","t":12345,"p":"0.001","q":"100","T":1672515782134567,"m":true,"M":true}"#;
    let times =
        EventTimes { event: Some(1_672_515_782_134_567_000), venue: Some(1_672_515_782_136_789_000), odd: false };
    assert_eq!(spot(trade).times, times);
    let nanos = trade.replace("1672515782134567", "167251578213456700");
    assert_eq!(spot(&nanos).times, EventTimes { event: None, odd: true, ..times });
}

#[test]
fn known_and_unwanted() {
    let unrequested = Peek::Ignored(IgnoreReason::UnrequestedKind);
    let partial = Peek::Ignored(IgnoreReason::PartialDepth);
    for (frame, verdict) in [
        (r#"{"stream":"ctkusdt@kline_1m","data":{"e":"kline","E":1626992741424,"s":"CTKUSDT","k":{}}}"#, unrequested),
        (r#"[{"e":"24hrTicker","E":123456789,"s":"BTCUSDT"},{"e":"24hrTicker"}]"#, unrequested),
        (r#"{"stream":"!miniTicker@arr","data":[{"e":"24hrMiniTicker","E":123456789}]}"#, unrequested),
        (r#"{"stream":"btcusdt@depth20@100ms","data":{"e":"depthUpdate","E":1,"T":1,"s":"BTCUSDT"}}"#, partial),
        (r#"{"stream":"btcusdt@depth5","data":{"e":"depthUpdate","E":1,"T":1,"s":"BTCUSDT"}}"#, partial),
        (r#"{"stream":"btcusdt@rpiDepth@500ms","data":{"e":"depthUpdate","E":1,"T":1,"s":"BTCUSDT"}}"#, partial),
        (r#"{"stream":"btcusdt@depth20","data":{"lastUpdateId":160,"bids":[],"asks":[]}}"#, partial),
        (r#"{"e":"serverShutdown","E":1770123456789}"#, Peek::Answer),
        (r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}"#, Peek::Answer),
        (r#"{"result":null,"id":1}"#, Peek::Answer),
        (r#"{"error":{"code":4,"msg":"Too many subscriptions"}}"#, Peek::Answer),
        (r#"{"code":-1121,"msg":"Invalid symbol."}"#, Peek::Answer),
    ] {
        assert_eq!(peek(frame.as_bytes()), verdict, "{frame}");
        assert_eq!(super::peek::<BinanceSpot>(frame.as_bytes()), verdict, "{frame}");
    }
}

#[test]
fn states_are_told_by_their_type() {
    for frame in [
        r#"{"e":"markPriceUpdate","E":1617308820003,"s":"BTCUSDT","p":"58940.1"}"#,
        r#"{"stream":"btcusdt@markPrice@1s","data":{"e":"markPriceUpdate","E":1617308820003}}"#,
        r#"[{"e":"markPriceUpdate","E":1617308820003}]"#,
        r#"{"stream":"!markPrice@arr@1s","data":[{"e":"markPriceUpdate","E":1617308820003}]}"#,
        r#"{"e":"forceOrder","E":1568014460893,"o":{"s":"BTCUSDT"}}"#,
    ] {
        let Peek::Event(head) = peek(frame.as_bytes()) else { panic!("{frame}") };
        assert_eq!(Head { resume: 0, ..head }, Head::of_states("", None), "{frame}");
        assert_eq!(super::peek::<BinanceSpot>(frame.as_bytes()), Peek::Miss, "spot has none");
    }
}

#[test]
fn nothing_is_guessed() {
    for frame in [
        "",
        "{}",
        "[]",
        r#"[{"e":"trade","E":1,"T":1}]"#,
        r#"[{"e":"serverShutdown","E":1}]"#,
        " {\"e\":\"trade\"}",
        r#"{"e":"newThing","E":1}"#,
        r#"{"e":"kline"}"#,
        // Another order of keys, a number in quotes, a negative id, a leading zero, a name in Chinese, two speeds.
        r#"{"e":"trade","T":1,"E":1,"s":"BTCUSDT","t":5,"p":"1","q":"1","X":"MARKET","m":false}"#,
        r#"{"e":"trade","E":1,"T":1,"s":"BTCUSDT","t":"5","p":"1","q":"1","X":"MARKET","m":false}"#,
        r#"{"e":"trade","E":1,"T":1,"s":"BTCUSDT","t":-5,"p":"1","q":"1","X":"MARKET","m":false}"#,
        r#"{"e":"trade","E":1,"T":1,"s":"BTCUSDT","t":05,"p":"1","q":"1","X":"MARKET","m":false}"#,
        r#"{"e":"trade","E":1,"T":1,"s":"币安人生USDT","t":5,"p":"1","q":"1","X":"MARKET","m":false}"#,
        r#"{"stream":"btcusdt@depth@50ms","data":{"e":"depthUpdate","E":2,"T":1,"s":"BTCUSDT","U":3,"u":4,"pu":2,"b":[],"a":[]}}"#,
        // A stream that carries another kind than its name says.
        r#"{"stream":"btcusdt@aggTrade","data":{"e":"depthUpdate","E":2,"T":1,"s":"BTCUSDT","U":3,"u":4,"pu":2,"b":[],"a":[]}}"#,
        // A quote inside what should be a number must not shift the fields behind it.
        r#"{"e":"bookTicker","u":1,"s":"ETHUSDT","b":"1\","B":"1","a":"1","A":"1","T":1,"E":1}"#,
    ] {
        assert_eq!(peek(frame.as_bytes()), Peek::Miss, "{frame}");
    }
    let long = format!(
        r#"{{"e":"trade","E":1,"T":1,"s":"{}","t":5,"p":"1","q":"1","X":"MARKET","m":false}}"#,
        "A".repeat(MAX_SYMBOL_BYTES + 1)
    );
    assert_eq!(peek(long.as_bytes()), Peek::Miss, "a name that long is none");
}
