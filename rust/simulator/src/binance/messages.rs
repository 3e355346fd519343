//! The JSON texts of the streams, field by field as the exchange writes them.

use std::fmt::Write;

use crate::book::{Scales, Side, push_decimal};
use crate::market::FillKind;

/// What a symbol's messages have in common.
pub(crate) struct Names<'a> {
    pub symbol: &'a str,
    pub pair: &'a str,
    pub scales: Scales,
}

/// Ids of a depth event.
pub(crate) struct DepthIds {
    pub first: u64,
    pub last: u64,
    pub prev: u64,
}

pub(crate) type LevelRow = (i64, i64);

pub(crate) fn depth(
    n: &Names<'_>,
    emitted: i64,
    event: i64,
    ids: &DepthIds,
    bids: &[LevelRow],
    asks: &[LevelRow],
) -> String {
    let mut out = String::with_capacity(200 + 32 * (bids.len() + asks.len()));
    let DepthIds { first, last, prev } = ids;
    let (s, ps) = (n.symbol, n.pair);
    let _ = write!(
        out,
        r#"{{"e":"depthUpdate","E":{emitted},"T":{event},"s":"{s}","ps":"{ps}","U":{first},"u":{last},"pu":{prev},"b":"#
    );
    levels(&mut out, bids.iter().copied(), n.scales);
    out.push_str(r#","a":"#);
    levels(&mut out, asks.iter().copied(), n.scales);
    out.push_str(r#","st":1}"#);
    out
}

/// `[["price","size"],…]`
pub(crate) fn levels(out: &mut String, levels: impl Iterator<Item = LevelRow>, scales: Scales) {
    out.push('[');
    for (i, (price, size)) in levels.enumerate() {
        out.push_str(if i == 0 { "[\"" } else { ",[\"" });
        push_decimal(out, price, scales.price);
        out.push_str("\",\"");
        push_decimal(out, size, scales.size);
        out.push_str("\"]");
    }
    out.push(']');
}

/// A row of aggregated fills.
#[derive(Clone, Debug)]
pub(crate) struct AggTrade {
    pub id: u64,
    pub price: i64,
    pub size: i64,
    /// The part of `size` that stood in the book.
    pub visible: i64,
    pub first: u64,
    pub last: u64,
    pub event_ms: i64,
    pub maker: Side,
}

pub(crate) fn agg_trade(n: &Names<'_>, emitted: i64, t: &AggTrade) -> String {
    let mut out = String::with_capacity(220);
    let _ = write!(out, r#"{{"e":"aggTrade","E":{emitted},"a":{},"s":"{}","p":""#, t.id, n.symbol);
    push_decimal(&mut out, t.price, n.scales.price);
    out.push_str(r#"","q":""#);
    push_decimal(&mut out, t.size, n.scales.size);
    out.push_str(r#"","nq":""#);
    push_decimal(&mut out, t.visible, n.scales.size);
    let buyer_is_maker = t.maker == Side::Bid;
    let _ = write!(out, r#"","f":{},"l":{},"T":{},"m":{buyer_is_maker},"st":1}}"#, t.first, t.last, t.event_ms);
    out
}

/// A single fill.
pub(crate) struct SingleTrade {
    pub id: u64,
    pub price: i64,
    pub size: i64,
    pub kind: FillKind,
    pub maker: Side,
}

pub(crate) fn trade(n: &Names<'_>, emitted: i64, event: i64, t: &SingleTrade) -> String {
    let mut out = String::with_capacity(180);
    let _ = write!(out, r#"{{"e":"trade","E":{emitted},"T":{event},"s":"{}","t":{},"p":""#, n.symbol, t.id);
    let empty = t.kind == FillKind::Empty;
    push_decimal(&mut out, t.price, if empty { 0 } else { n.scales.price });
    out.push_str(r#"","q":""#);
    push_decimal(&mut out, t.size, if empty { 0 } else { n.scales.size });
    let x = match t.kind {
        FillKind::Market => "MARKET",
        FillKind::InsuranceFund => "INSURANCE_FUND",
        FillKind::Deleveraging => "ADL",
        FillKind::Empty => "NA",
    };
    let _ = write!(out, r#"","X":"{x}","m":{}}}"#, t.maker == Side::Bid);
    out
}

pub(crate) fn book_ticker(n: &Names<'_>, emitted: i64, event: i64, id: u64, bid: LevelRow, ask: LevelRow) -> String {
    let mut out = String::with_capacity(220);
    let _ = write!(out, r#"{{"e":"bookTicker","u":{id},"s":"{}","ps":"{}","b":""#, n.symbol, n.pair);
    for (value, scale, then) in [
        (bid.0, n.scales.price, r#"","B":""#),
        (bid.1, n.scales.size, r#"","a":""#),
        (ask.0, n.scales.price, r#"","A":""#),
        (ask.1, n.scales.size, r#"","T":"#),
    ] {
        push_decimal(&mut out, value, scale);
        out.push_str(then);
    }
    let _ = write!(out, r#"{event},"E":{emitted},"st":1}}"#);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: Names<'static> = Names { symbol: "BTCUSDT", pair: "BTCUSDT", scales: Scales { price: 2, size: 3 } };

    #[test]
    fn texts_have_the_documented_fields() {
        let ids = DepthIds { first: 5, last: 9, prev: 3 };
        assert_eq!(
            depth(&N, 12, 11, &ids, &[(100_010, 1500), (100_000, 0)], &[]),
            r#"{"e":"depthUpdate","E":12,"T":11,"s":"BTCUSDT","ps":"BTCUSDT","U":5,"u":9,"pu":3,"b":[["1000.10","1.500"],["1000.00","0.000"]],"a":[],"st":1}"#
        );
        let t = AggTrade {
            id: 7,
            price: 100_010,
            size: 2000,
            visible: 1500,
            first: 4,
            last: 5,
            event_ms: 11,
            maker: Side::Bid,
        };
        assert_eq!(
            agg_trade(&N, 12, &t),
            r#"{"e":"aggTrade","E":12,"a":7,"s":"BTCUSDT","p":"1000.10","q":"2.000","nq":"1.500","f":4,"l":5,"T":11,"m":true,"st":1}"#
        );
        let t = SingleTrade { id: 4, price: 0, size: 0, kind: FillKind::Empty, maker: Side::Ask };
        assert_eq!(
            trade(&N, 12, 11, &t),
            r#"{"e":"trade","E":12,"T":11,"s":"BTCUSDT","t":4,"p":"0","q":"0","X":"NA","m":false}"#
        );
        assert_eq!(
            book_ticker(&N, 12, 11, 9, (100_000, 1), (100_010, 2)),
            r#"{"e":"bookTicker","u":9,"s":"BTCUSDT","ps":"BTCUSDT","b":"1000.00","B":"0.001","a":"1000.10","A":"0.002","T":11,"E":12,"st":1}"#
        );
    }
}
