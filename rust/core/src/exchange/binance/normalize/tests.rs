use super::super::peek::peek;
use super::*;
use crate::event::Level;
use crate::exchange::Peek;
use crate::exchange::binance_futures::BinanceFutures;
use crate::exchange::binance_spot::BinanceSpot;
use crate::exchange::reader::WireReader;

const SCALES: Scales = Scales { price: 1, size: 3 };

fn head(frame: &str) -> Head<'_> {
    match peek::<BinanceFutures>(frame.as_bytes()) {
        Peek::Event(head) => head,
        other => panic!("{other:?}: {frame}"),
    }
}

fn decode_trade(frame: &[u8], head: &Head<'_>, scales: Scales) -> Decoded<Trade> {
    let mut out = TradeRows::default();
    match super::trade::<BinanceFutures>(Isa::best(), frame, head, scales, &mut out) {
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

fn trade(frame: &str) -> Decoded<Trade> {
    decode_trade(frame.as_bytes(), &head(frame), SCALES)
}

fn raw_trade(price: &str, size: &str, class: &str, tail: &str) -> String {
    format!(
        r#"{{"e":"trade","E":1723161256323,"T":1723161256322,"s":"BTCUSDT","t":7,"p":"{price}","q":"{size}","X":"{class}","m":true{tail}"#
    )
}

fn depth_frame(bids: &str, asks: &str) -> String {
    format!(
        r#"{{"e":"depthUpdate","E":1626992741037,"T":1626992741024,"s":"SUSHIUSDT","U":20,"u":30,"pu":19,"b":{bids},"a":{asks}}}"#
    )
}

fn depth(frame: &str, max_levels: usize, out: &mut DecodedLevels) -> Decoded<BookHead> {
    super::depth::<BinanceFutures>(Isa::best(), frame.as_bytes(), &head(frame), SCALES, max_levels, out)
}

#[test]
fn an_aggregate_trade_as_the_manual_describes_it() {
    let frame = r#"{"e":"aggTrade","E":1785121247600,"a":309917647,"s":"BTCUSDT","p":"76916.00","q":"0.0010","nq":"0.0010","f":537895188,"l":537895190,"T":1785121247445,"m":true,"st":1}"#;
    let Decoded::Event(read) = trade(frame) else { panic!("{:?}", trade(frame)) };
    let times =
        EventTimes { event: Some(1_785_121_247_445_000_000), venue: Some(1_785_121_247_600_000_000), odd: false };
    assert_eq!(
        read,
        Trade {
            times,
            id: TradeId::Number(309_917_647),
            side: Side::Sell,
            price: Decimal::new(769_160, 1),
            size: Decimal::new(1, 3),
            contracts: None,
            count: Some(3),
            first_id: Some(537_895_188),
            last_id: Some(537_895_190),
            seq: None,
            condition: Condition::Regular,
            index_price: None,
            mark_price: None,
            liquidated: None,
            source: Source::Ws,
        }
    );
    assert_eq!((read.price.scale, read.size.scale), (1, 3), "at the instrument's scales");
}

#[test]
fn a_single_fill_says_nothing_of_other_fills() {
    let Decoded::Event(read) = trade(&raw_trade("61800.30", "0.006", "MARKET", "}")) else { panic!("no trade") };
    assert_eq!((read.count, read.first_id, read.last_id), (None, None, None));
    let Decoded::Event(buy) = trade(&raw_trade("1", "1", "MARKET", "}").replace("\"m\":true", "\"m\":false")) else {
        panic!("no trade")
    };
    assert_eq!((read.side, buy.side), (Side::Sell, Side::Buy));
}

#[test]
fn rows_that_are_no_trades() {
    let ignored = |frame: String, reason| assert_eq!(trade(&frame), Decoded::Ignored(reason), "{frame}");
    for class in ["INSURANCE_FUND", "ADL", "NA"] {
        ignored(raw_trade("1", "1", class, "}"), IgnoreReason::NotMarket);
    }
    ignored(raw_trade("0", "1", "MARKET", "}"), IgnoreReason::ZeroPriceOrSize);
    ignored(raw_trade("0.00", "1", "MARKET", "}"), IgnoreReason::ZeroPriceOrSize);
    ignored(raw_trade("1", "0.000", "MARKET", "}"), IgnoreReason::ZeroPriceOrSize);
    ignored(raw_trade("0", "0", "NA", "}"), IgnoreReason::NotMarket);
    ignored(raw_trade("1", "1", "MARKET", r#","st":2}"#), IgnoreReason::OtherProduct);
    assert!(matches!(trade(&raw_trade("1", "1", "MARKET", r#","st":1}"#)), Decoded::Event(_)));
}

#[test]
fn a_finer_or_larger_number_keeps_every_digit() {
    for (text, expected) in [
        ("61800.31", Decimal::new(6_180_031, 2)),
        ("3.0e6", Decimal::new(30_000_000, 1)),
        ("1.4E-3", Decimal::new(14, 4)),
        ("-5", Decimal::new(-50, 1)),
        ("007", Decimal::new(70, 1)),
        ("92233720368547758080", Decimal::new(922_337_203_685_477_580_800, 1)),
    ] {
        let Decoded::Event(read) = trade(&raw_trade(text, "1", "MARKET", "}")) else { panic!("{text}") };
        assert_eq!((read.price.mantissa, read.price.scale), (expected.mantissa, expected.scale), "{text}");
    }
    for text in ["", "NaN", "Infinity", "1e400", "+1", ".5", "5."] {
        assert_eq!(trade(&raw_trade(text, "1", "MARKET", "}")), Decoded::Miss, "{text}");
    }
}

#[test]
fn a_frame_is_read_to_its_last_byte() {
    for tail in ["", "}}", "} ", "}{}", ",\"st\":}", ",\"m\":true}", ",\"st\":1,\"p\":\"2\"}"] {
        assert_eq!(trade(&raw_trade("1", "1", "MARKET", tail)), Decoded::Miss, "{tail}");
    }
}

#[test]
fn levels_in_the_order_sent() {
    let mut out = DecodedLevels::default();
    let frame = depth_frame(r#"[["7.5040","813"],["7.6090","0"]]"#, r#"[["7.6150","1563"]]"#);
    let Decoded::Event(book) = depth(&frame, 3, &mut out) else { panic!("no book") };
    assert_eq!((book.first_id, book.last_id, book.prev_id, book.is_snapshot), (Some(20), Some(30), Some(19), false));
    assert_eq!(out.narrow.scales, Scales { price: 3, size: 3 });
    assert_eq!(out.narrow.bids, [Level { price: 7504, size: 813_000 }, Level { price: 7609, size: 0 }]);
    assert_eq!(out.narrow.asks, [Level { price: 7615, size: 1_563_000 }]);
    assert_eq!(out.wide, None);

    let frame = depth_frame("[]", "[]");
    assert!(matches!(depth(&frame, 0, &mut out), Decoded::Event(_)), "an empty change is a change");
    assert_eq!(out.count(), 0);
}

#[test]
fn the_bound_counts_both_sides() {
    let mut out = DecodedLevels::default();
    let frame = depth_frame(r#"[["1","1"],["2","1"]]"#, r#"[["3","1"],["4.25","1"]]"#);
    assert!(matches!(depth(&frame, 4, &mut out), Decoded::Event(_)));
    for max in 0..4 {
        assert_eq!(depth(&frame, max, &mut out), Decoded::Miss, "{max}");
    }
}

#[test]
fn a_level_beyond_an_i64_makes_the_message_wide() {
    let mut out = DecodedLevels::default();
    let frame = depth_frame(r#"[["1.5","1"],["1e20","2"],["3","4"]]"#, r#"[["2","1"]]"#);
    assert!(matches!(depth(&frame, 4, &mut out), Decoded::Event(_)));
    let wide = out.wide.as_ref().expect("wide");
    assert_eq!(wide.bids.iter().map(|l| l.price).collect::<Vec<_>>(), [15, 10i128.pow(21), 30]);
    assert_eq!(wide.asks, [Level { price: 20, size: 1000 }]);
    assert_eq!(out.narrow.count(), 0);
    let frame = depth_frame(r#"[["1","1"]]"#, "[]");
    assert!(matches!(depth(&frame, 4, &mut out), Decoded::Event(_)));
    assert_eq!(out.wide, None, "only for that message");
}

#[test]
fn a_quote_and_a_quote_with_one_side() {
    let frame = |bid: &str, ask: &str| {
        format!(
            r#"{{"e":"bookTicker","u":7,"s":"ETHUSDT","b":"{bid}","B":"{bid}","a":"{ask}","A":"{ask}","T":2,"E":3}}"#
        )
    };
    let text = frame("1943.64", "1943.65");
    let Decoded::Event(quote) = bbo::<BinanceFutures>(Isa::best(), text.as_bytes(), &head(&text), SCALES) else {
        panic!("{text}")
    };
    assert_eq!(quote.bid, Some((Decimal::new(194_364, 2), Decimal::new(1_943_640, 3))));
    assert_eq!(quote.update_id, Some(7));
    let text = frame("0.00", "1");
    let Decoded::Event(quote) = bbo::<BinanceFutures>(Isa::best(), text.as_bytes(), &head(&text), SCALES) else {
        panic!("{text}")
    };
    assert_eq!(quote.bid, None);
    assert!(quote.ask.is_some());
}

#[test]
fn nothing_but_retail_price_improvement_is_said_to_be_it() {
    let frame = |nq: &str| {
        format!(
            r#"{{"e":"aggTrade","E":2,"a":3,"s":"BTCUSDT","p":"76916.00","q":"0.0010","nq":"{nq}","f":5,"l":6,"T":1,"m":true,"st":1}}"#
        )
    };
    let condition = |text: String| {
        let Decoded::Event(scanned) = trade(&text) else { panic!("{text}") };
        scanned.condition
    };
    assert_eq!(condition(frame("0.0000")), Condition::Rpi);
    assert_eq!(condition(frame("0")), Condition::Rpi);
    assert_eq!(condition(frame("0.0004")), Condition::Regular, "of both kinds");
    assert_eq!(condition(frame("0.0010")), Condition::Regular);
}

/// The row of a spot frame, by the scanner; the reader says the same of it.
fn spot(frame: &str) -> TradeRow {
    let Peek::Event(head) = peek::<BinanceSpot>(frame.as_bytes()) else { panic!("{frame}") };
    let (mut scanned, mut read) = (TradeRows::default(), TradeRows::default());
    let decoded = super::trade::<BinanceSpot>(Isa::best(), frame.as_bytes(), &head, SCALES, &mut scanned);
    assert_eq!(decoded, Decoded::Event(()), "{frame}");
    let mut reader = WireReader::default();
    let message = reader.read::<BinanceSpot>(frame.as_bytes()).expect("a document");
    assert_eq!(message.trades::<BinanceSpot>(SCALES, &mut read), Decoded::Event(()));
    assert_eq!(scanned, read);
    scanned.rows[0]
}

#[test]
fn spot_trades() {
    let trade = r#"{"e":"trade","E":1672515782136,"s":"BNBBTC","t":12345,"p":"0.5","q":"100","T":1672515782134,"m":true,"M":true}"#;
    let row = spot(trade);
    let read = row.trade.expect("a trade");
    assert_eq!((row.first, row.last, read.id), (12_345, 12_345, TradeId::Number(12_345)));
    assert_eq!((read.side, read.price, read.size), (Side::Sell, Decimal::new(5, 1), Decimal::new(100_000, 3)));
    assert_eq!(read.condition, Condition::Regular);
    assert_eq!(spot(&trade.replace(r#","T""#, r#","b":88,"a":50,"T""#)), row, "the orders are of no account");
    assert_eq!(spot(&trade.replace("\"M\":true", "\"M\":false")), row, "nor is `M`");

    let agg = r#"{"e":"aggTrade","E":1633998288468,"s":"OMGBUSD","a":425085,"p":"13.80480000","q":"2.10000000","f":439577,"l":439579,"T":1633998288467,"m":false,"M":true}"#;
    let read = spot(agg).trade.expect("a trade");
    assert_eq!((read.first_id, read.last_id, read.count), (Some(439_577), Some(439_579), Some(3)));
    assert_eq!(read.side, Side::Buy);
}

#[test]
fn a_spot_book_change_names_no_id_that_it_follows() {
    let frame = r#"{"e":"depthUpdate","E":1633998274793,"s":"COMPUSDT","U":113,"u":115,"b":[],"a":[["297.32000000","19.08719000"]]}"#;
    let Peek::Event(head) = peek::<BinanceSpot>(frame.as_bytes()) else { panic!("{frame}") };
    let mut out = DecodedLevels::default();
    let decoded = super::depth::<BinanceSpot>(Isa::best(), frame.as_bytes(), &head, SCALES, 9, &mut out);
    let Decoded::Event(book) = decoded else { panic!("{decoded:?}") };
    assert_eq!((book.first_id, book.last_id, book.prev_id), (Some(113), Some(115), None));
    assert_eq!(out.narrow.asks, [Level { price: 29_732, size: 1_908_719 }]);
}

#[test]
fn a_head_of_another_kind_is_never_decoded() {
    let text = raw_trade("1", "1", "MARKET", "}");
    let head = head(&text);
    assert_eq!(bbo::<BinanceFutures>(Isa::best(), text.as_bytes(), &head, SCALES), Decoded::Miss);
    assert_eq!(
        super::depth::<BinanceFutures>(Isa::best(), text.as_bytes(), &head, SCALES, 9, &mut DecodedLevels::default()),
        Decoded::Miss
    );
    let wild = Head { resume: usize::MAX, ..head };
    assert_eq!(decode_trade(text.as_bytes(), &wild, SCALES), Decoded::Miss);
}
