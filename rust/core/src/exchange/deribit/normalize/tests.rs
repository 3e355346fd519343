#![allow(clippy::unwrap_used)]

use super::*;
use crate::event::Levels;
use crate::exchange::Peek;

const SCALES: Scales = Scales { price: 2, size: 2 };

fn frame(channel: &str, data: &str) -> String {
    format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"subscription\",\"params\":{{\"channel\":\"{channel}\",\"data\":{data}}}}}"
    )
}

fn head(frame: &str) -> Head<'_> {
    match super::super::peek::peek(frame.as_bytes()) {
        Peek::Event(head) => head,
        other => panic!("{other:?}: {frame}"),
    }
}

fn levels(bids: &str, asks: &str, max_levels: usize) -> (Decoded<BookHead>, DecodedLevels) {
    let data = format!(
        r#"{{"timestamp":1,"type":"change","prev_change_id":4,"change_id":9,"instrument_name":"BTC-PERPETUAL","bids":{bids},"asks":{asks}}}"#
    );
    let frame = frame("book.BTC-PERPETUAL.raw", &data);
    let mut out = DecodedLevels::default();
    (book(Isa::best(), frame.as_bytes(), &head(&frame), SCALES, max_levels, &mut out), out)
}

#[test]
fn levels_of_every_action_and_form() {
    let (decoded, out) = levels(
        r#"[["new",228.51,0.22],["change",228.5,2.2e3],["delete",228.49,0.0],["delete",228.4,7.0]]"#,
        r#"[["new",3.0e2,1]]"#,
        5,
    );
    let Decoded::Event(book) = decoded else { panic!("{decoded:?}") };
    assert_eq!((book.prev_id, book.first_id, book.last_id, book.is_snapshot), (Some(4), None, Some(9), false));
    let level = |price, size| Level { price, size };
    let bids = vec![level(22_851, 22), level(22_850, 220_000), level(22_849, 0), level(22_840, 0)];
    assert_eq!(out.narrow, Levels { scales: SCALES, bids, asks: vec![level(30_000, 100)] });
}

#[test]
fn finer_numbers_rescale_what_came_before() {
    let (decoded, out) = levels(r#"[["new",1.5,2.0],["new",1.125,1.0e-3]]"#, "[]", 5);
    assert!(matches!(decoded, Decoded::Event(_)));
    assert_eq!(out.narrow.scales, Scales { price: 3, size: 3 });
    assert_eq!(out.narrow.bids, [Level { price: 1500, size: 2000 }, Level { price: 1125, size: 1 }]);
}

// Fault: B06, X19
#[test]
fn lists_of_another_shape_are_left_to_the_reader() {
    for (bids, asks) in [
        (r#"[["new",1.0,2.0],["new",1.5,2.0]]"#, "[]"),
        (r#"[["newer",1.0,2.0]]"#, "[]"),
        (r#"[["new",1.0]]"#, "[]"),
        (r#"[["new",01.0,2.0]]"#, "[]"),
        (r#"[["new","1.0",2.0]]"#, "[]"),
        (r#"[["new",1.0,2.0,3.0]]"#, "[]"),
        (r#"[[1.0,2.0]]"#, "[]"),
        ("[]", r#"[],"more":1"#),
        ("null", "[]"),
    ] {
        assert_eq!(levels(bids, asks, 1).0, Decoded::Miss, "{bids} {asks}");
    }
}

fn rows(rows: &str) -> TradeRows {
    let frame = frame("trades.BTC-PERPETUAL.raw", &format!("[{rows}]"));
    let mut out = TradeRows::default();
    assert_eq!(trades(frame.as_bytes(), &head(&frame), SCALES, &mut out), Decoded::Event(()), "{frame}");
    out
}

fn row(more: &str) -> TradeRow {
    let fields = format!(
        r#"{{"timestamp":1,"price":92294.5,"amount":1.0e1,"direction":"sell","index_price":92276.75,"instrument_name":"BTC-PERPETUAL","trade_seq":7{more},"mark_price":9.2e4,"tick_direction":2,"trade_id":"ETH-77"}}"#
    );
    rows(&fields).rows.pop().unwrap()
}

#[test]
fn a_trade() {
    let TradeRow { first, last, trade, .. } = row(r#","contracts":1.0"#);
    let trade = trade.unwrap();
    assert_eq!((first, last, trade.seq), (7, 7, Some(7)));
    assert_eq!((trade.side, trade.condition), (Side::Sell, Condition::Regular));
    let exactly = |n: Decimal| (n.mantissa, n.scale);
    assert_eq!((exactly(trade.price), exactly(trade.size)), ((9_229_450, 2), (1000, 2)));
    assert_eq!(trade.contracts, Some(Decimal::new(1, 0)));
    assert_eq!(trade.index_price.map(exactly), Some((9_227_675, 2)));
    assert_eq!(trade.mark_price.map(exactly), Some((92_000, 0)));
}

#[test]
fn ids_are_texts_of_their_own() {
    let one = |seq: i64, id: &str| {
        format!(
            r#"{{"timestamp":1,"price":1.0,"amount":1.0,"direction":"buy","instrument_name":"BTC-PERPETUAL","trade_seq":{seq},"trade_id":"{id}"}}"#
        )
    };
    let out = rows(&[one(7, "A-1"), one(8, "22")].join(","));
    let ids: Vec<&str> = out
        .rows
        .iter()
        .map(|row| match row.trade.unwrap().id {
            TradeId::Text(id) => out.texts.get(id),
            TradeId::Number(_) => "",
        })
        .collect();
    assert_eq!(ids, ["A-1", "22"]);
}

#[test]
fn conditions() {
    for (more, condition) in [
        ("", Condition::Regular),
        (r#","liquidation":"M""#, Condition::Liquidation),
        (r#","liquidation":"MT","block_trade_id":"9""#, Condition::Liquidation),
        (r#","liquidation":"none""#, Condition::Regular),
        (r#","liquidation":null"#, Condition::Regular),
        (r#","block_trade_id":"9""#, Condition::Block),
        (r#","block_rfq_id":9"#, Condition::Block),
        (r#","block_rfq_id":9,"block_trade_leg_count":2"#, Condition::BlockLeg),
        (r#","block_trade_id":"9","block_trade_leg_count":1"#, Condition::Block),
        (r#","block_trade_id":"9","block_trade_leg_count":3,"combo_id":"X""#, Condition::BlockLeg),
        (r#","combo_trade_id":"43""#, Condition::ComboLeg),
        (r#","combo_id":"BTC-FS-25DEC26_PERP","combo_trade_id":43"#, Condition::ComboLeg),
        (r#","combo_id":"BTC-PERPETUAL""#, Condition::Combo),
    ] {
        assert_eq!(row(more).trade.unwrap().condition, condition, "{more}");
    }
}

#[test]
fn a_trade_without_price_or_size_is_none_unless_it_is_a_combo_at_even_prices() {
    let zero = Err(IgnoreReason::ZeroPriceOrSize);
    let body = |price: i128, size: i128| TradeBody {
        seq: Some(7),
        times: Some(times(Some(1))),
        id: Some(TextRange::default()),
        price: Some(Decimal::new(price, 1)),
        size: Some(Decimal::new(size, 0)),
        side: Some(Side::Buy),
        ..TradeBody::default()
    };
    let on = |body: TradeBody, is_combo| {
        let mut row = body.row().unwrap();
        row.on(is_combo);
        row.trade
    };
    let leg = TradeBody { combo_trade: Some(()), ..body(0, 1) };
    assert_eq!([on(body(0, 1), false), on(body(1, 0), false), on(body(1, 0), true), on(leg, false)], [zero; 4]);
    let combo = TradeBody { combo: Some(true), ..body(0, 1) };
    for (body, is_combo) in [(combo, false), (body(0, 1), true), (leg, true)] {
        assert_eq!(on(body, is_combo).unwrap().condition, Condition::Combo);
    }
    let block = TradeBody { block: Some(()), ..body(0, 1) };
    assert_eq!(on(block, true).unwrap().condition, Condition::Block);
    assert!(TradeBody { side: None, ..body(1, 1) }.row().is_none());
}

#[test]
fn a_quote_and_one_without_a_side() {
    let quote = |bid: &str| {
        let data = format!(
            r#"{{"timestamp":1,"instrument_name":"BTC-PERPETUAL","best_ask_price":92288.5,"best_bid_price":{bid},"best_ask_amount":99470.0,"best_bid_amount":{bid}}}"#
        );
        let frame = frame("quote.BTC-PERPETUAL", &data);
        let Decoded::Event(bbo) = bbo(frame.as_bytes(), &head(&frame), SCALES) else { panic!("{frame}") };
        assert_eq!(bbo.ask, Some((Decimal::new(9_228_850, 2), Decimal::new(9_947_000, 2))));
        assert_eq!(bbo.update_id, None);
        bbo.bid
    };
    assert_eq!(quote("1.5"), Some((Decimal::new(15, 1), Decimal::new(15, 1))));
    assert_eq!(quote("0.0"), None);
    assert_eq!(quote("null"), None);
}
