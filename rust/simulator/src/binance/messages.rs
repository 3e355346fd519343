//! The JSON texts of the streams, field by field as the exchanges write them.

use std::fmt::Write;

use crate::binance::dialect::Product;
use crate::book::{Scales, Side, decimal_text, push_decimal};
use crate::event::Figures;
use crate::market::FillKind;

/// What a symbol's messages have in common.
pub(crate) struct Names<'a> {
    pub product: Product,
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

/// When something happened and when it was told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub event: i64,
    pub emitted: i64,
}

pub(crate) type LevelRow = (i64, i64);

/// Changes of a book. Spot says neither when they happened nor what they follow.
pub(crate) fn depth(n: &Names<'_>, t: Times, ids: &DepthIds, bids: &[LevelRow], asks: &[LevelRow]) -> String {
    let mut out = String::with_capacity(200 + 36 * (bids.len() + asks.len()));
    let DepthIds { first, last, prev } = ids;
    let (s, ps, Times { event, emitted }) = (n.symbol, n.pair, t);
    let _ = match n.product {
        Product::Futures => write!(
            out,
            r#"{{"e":"depthUpdate","E":{emitted},"T":{event},"s":"{s}","ps":"{ps}","U":{first},"u":{last},"pu":{prev},"b":"#
        ),
        Product::Spot => write!(out, r#"{{"e":"depthUpdate","E":{emitted},"s":"{s}","U":{first},"u":{last},"b":"#),
    };
    levels(&mut out, bids.iter().copied(), n.scales);
    out.push_str(r#","a":"#);
    levels(&mut out, asks.iter().copied(), n.scales);
    out.push_str(if n.product == Product::Futures { r#","st":1}"# } else { "}" });
    out
}

/// The best levels as a whole. Futures dress them as changes; on spot not even the symbol is told.
pub(crate) fn image(n: &Names<'_>, t: Times, ids: &DepthIds, bids: &[LevelRow], asks: &[LevelRow]) -> String {
    match n.product {
        Product::Futures => depth(n, t, ids, bids, asks),
        Product::Spot => {
            let mut out = format!(r#"{{"lastUpdateId":{},"bids":"#, ids.last);
            levels(&mut out, bids.iter().copied(), n.scales);
            out.push_str(r#","asks":"#);
            levels(&mut out, asks.iter().copied(), n.scales);
            out.push('}');
            out
        }
    }
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
    let _ = match n.product {
        Product::Futures => write!(out, r#"{{"e":"aggTrade","E":{emitted},"a":{},"s":"{}","p":""#, t.id, n.symbol),
        Product::Spot => write!(out, r#"{{"e":"aggTrade","E":{emitted},"s":"{}","a":{},"p":""#, n.symbol, t.id),
    };
    push_decimal(&mut out, t.price, n.scales.price);
    out.push_str(r#"","q":""#);
    push_decimal(&mut out, t.size, n.scales.size);
    if n.product == Product::Futures {
        out.push_str(r#"","nq":""#);
        push_decimal(&mut out, t.visible, n.scales.size);
    }
    let buyer_is_maker = t.maker == Side::Bid;
    let _ = write!(out, r#"","f":{},"l":{},"T":{},"m":{buyer_is_maker},"#, t.first, t.last, t.event_ms);
    out.push_str(if n.product == Product::Futures { r#""st":1}"# } else { r#""M":true}"# });
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

pub(crate) fn trade(n: &Names<'_>, at: Times, t: &SingleTrade) -> String {
    let mut out = String::with_capacity(180);
    let (s, id, Times { event, emitted }) = (n.symbol, t.id, at);
    let _ = match n.product {
        Product::Futures => write!(out, r#"{{"e":"trade","E":{emitted},"T":{event},"s":"{s}","t":{id},"p":""#),
        Product::Spot => write!(out, r#"{{"e":"trade","E":{emitted},"s":"{s}","t":{id},"p":""#),
    };
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
    let buyer_is_maker = t.maker == Side::Bid;
    let _ = match n.product {
        Product::Futures => write!(out, r#"","X":"{x}","m":{buyer_is_maker}}}"#),
        Product::Spot => write!(out, r#"","T":{event},"m":{buyer_is_maker},"M":true}}"#),
    };
    out
}

/// A trade off the book. Spot only.
pub(crate) fn block_trade(n: &Names<'_>, at: Times, t: &SingleTrade) -> String {
    let mut out = format!(r#"{{"e":"blockTrade","E":{},"s":"{}","t":{},"p":""#, at.emitted, n.symbol, t.id);
    push_decimal(&mut out, t.price, n.scales.price);
    out.push_str(r#"","q":""#);
    push_decimal(&mut out, t.size, n.scales.size);
    let _ = write!(out, r#"","T":{},"m":{}}}"#, at.event, t.maker == Side::Bid);
    out
}

/// Best bid and offer. On spot without any time, and without saying what it is.
pub(crate) fn book_ticker(n: &Names<'_>, at: Times, id: u64, bid: LevelRow, ask: LevelRow) -> String {
    let mut out = String::with_capacity(220);
    let _ = match n.product {
        Product::Futures => {
            write!(out, r#"{{"e":"bookTicker","u":{id},"s":"{}","ps":"{}","b":""#, n.symbol, n.pair)
        }
        Product::Spot => write!(out, r#"{{"u":{id},"s":"{}","b":""#, n.symbol),
    };
    for (value, scale, then) in [
        (bid.0, n.scales.price, r#"","B":""#),
        (bid.1, n.scales.size, r#"","a":""#),
        (ask.0, n.scales.price, r#"","A":""#),
        (ask.1, n.scales.size, r#"""#),
    ] {
        push_decimal(&mut out, value, scale);
        out.push_str(then);
    }
    let _ = match n.product {
        Product::Futures => write!(out, r#","T":{},"E":{},"st":1}}"#, at.event, at.emitted),
        Product::Spot => write!(out, "}}"),
    };
    out
}

/// Mark price, index and funding of a contract; numbers as texts. Futures only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MarkPrice {
    pub symbol: String,
    pub mark: String,
    pub average: String,
    pub index: String,
    pub settlement: String,
    /// Funding rate and time of the next funding; empty and 0 where there is none.
    pub rate: String,
    pub next_funding_ms: i64,
    /// 1 is USDⓈ-M, 2 is COIN-M.
    pub family: u8,
}

impl MarkPrice {
    /// What it tells. A contract without funding says nothing of it.
    pub(crate) fn figures(&self) -> Figures {
        let prices = [("mark_price", self.mark.clone()), ("index_price", self.index.clone())];
        let next = self.next_funding_ms.to_string();
        let funding = [("funding_rate", self.rate.clone()), ("next_funding_time", next)];
        Figures::new(&self.symbol, prices.into_iter().chain(funding.into_iter().filter(|_| self.next_funding_ms > 0)))
    }
}

pub(crate) fn mark_price(emitted: i64, m: &MarkPrice) -> String {
    format!(
        r#"{{"e":"markPriceUpdate","E":{emitted},"s":"{}","p":"{}","ap":"{}","P":"{}","i":"{}","r":"{}","T":{},"st":{}}}"#,
        m.symbol, m.mark, m.average, m.settlement, m.index, m.rate, m.next_funding_ms, m.family
    )
}

/// A liquidation order, filled. Futures only.
#[derive(Clone, Debug)]
pub(crate) struct Liquidation {
    pub price: i64,
    pub size: i64,
    /// The side that was hit.
    pub maker: Side,
    pub event_ms: i64,
}

impl Liquidation {
    /// The closing order: what stood in the book was hit by it.
    pub(crate) fn figures(&self, symbol: &str, scales: Scales) -> Figures {
        let side = if self.maker == Side::Bid { "sell" } else { "buy" };
        let price = decimal_text(self.price, scales.price);
        let size = decimal_text(self.size, scales.size);
        Figures::new(symbol, [("side", side.to_owned()), ("price", price), ("size", size)])
    }
}

pub(crate) fn liquidation(n: &Names<'_>, emitted: i64, l: &Liquidation) -> String {
    // A long that is liquidated sells.
    let side = if l.maker == Side::Bid { "SELL" } else { "BUY" };
    let (mut price, mut size) = (String::new(), String::new());
    push_decimal(&mut price, l.price, n.scales.price);
    push_decimal(&mut size, l.size, n.scales.size);
    format!(
        r#"{{"e":"forceOrder","E":{emitted},"o":{{"s":"{}","S":"{side}","o":"LIMIT","f":"IOC","q":"{size}","p":"{price}","ap":"{price}","X":"FILLED","l":"{size}","z":"{size}","T":{}}},"st":1}}"#,
        n.symbol, l.event_ms
    )
}

/// The same text with its times in microseconds.
pub(crate) fn in_micros(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(at) = [r#""E":"#, r#""T":"#].into_iter().filter_map(|key| rest.find(key)).min() {
        let digits = rest[at + 4..].bytes().take_while(u8::is_ascii_digit).count();
        let (before, after) = rest.split_at(at + 4 + digits);
        out.push_str(before);
        out.push_str(if digits > 0 { "000" } else { "" });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: Names<'static> =
        Names { product: Product::Futures, symbol: "BTCUSDT", pair: "BTCUSDT", scales: Scales { price: 2, size: 3 } };
    const SPOT: Names<'static> = Names { product: Product::Spot, ..N };
    const AT: Times = Times { event: 11, emitted: 12 };
    const ROW: AggTrade = AggTrade {
        id: 7,
        price: 100_010,
        size: 2000,
        visible: 1500,
        first: 4,
        last: 5,
        event_ms: 11,
        maker: Side::Bid,
    };

    #[test]
    fn texts_of_futures_have_the_documented_fields() {
        let ids = DepthIds { first: 5, last: 9, prev: 3 };
        assert_eq!(
            depth(&N, AT, &ids, &[(100_010, 1500), (100_000, 0)], &[]),
            r#"{"e":"depthUpdate","E":12,"T":11,"s":"BTCUSDT","ps":"BTCUSDT","U":5,"u":9,"pu":3,"b":[["1000.10","1.500"],["1000.00","0.000"]],"a":[],"st":1}"#
        );
        assert_eq!(
            agg_trade(&N, 12, &ROW),
            r#"{"e":"aggTrade","E":12,"a":7,"s":"BTCUSDT","p":"1000.10","q":"2.000","nq":"1.500","f":4,"l":5,"T":11,"m":true,"st":1}"#
        );
        let t = SingleTrade { id: 4, price: 0, size: 0, kind: FillKind::Empty, maker: Side::Ask };
        assert_eq!(
            trade(&N, AT, &t),
            r#"{"e":"trade","E":12,"T":11,"s":"BTCUSDT","t":4,"p":"0","q":"0","X":"NA","m":false}"#
        );
        assert_eq!(
            book_ticker(&N, AT, 9, (100_000, 1), (100_010, 2)),
            r#"{"e":"bookTicker","u":9,"s":"BTCUSDT","ps":"BTCUSDT","b":"1000.00","B":"0.001","a":"1000.10","A":"0.002","T":11,"E":12,"st":1}"#
        );
        let l = Liquidation { price: 100_010, size: 14, maker: Side::Bid, event_ms: 11 };
        assert_eq!(
            liquidation(&N, 12, &l),
            r#"{"e":"forceOrder","E":12,"o":{"s":"BTCUSDT","S":"SELL","o":"LIMIT","f":"IOC","q":"0.014","p":"1000.10","ap":"1000.10","X":"FILLED","l":"0.014","z":"0.014","T":11},"st":1}"#
        );
        let m = MarkPrice {
            symbol: "BTCUSDT".into(),
            mark: "2".into(),
            average: "3".into(),
            index: "4".into(),
            settlement: "5".into(),
            rate: "0.0001".into(),
            next_funding_ms: 99,
            family: 1,
        };
        assert_eq!(
            mark_price(12, &m),
            r#"{"e":"markPriceUpdate","E":12,"s":"BTCUSDT","p":"2","ap":"3","P":"5","i":"4","r":"0.0001","T":99,"st":1}"#
        );
    }

    #[test]
    fn texts_of_spot_have_the_documented_fields() {
        let ids = DepthIds { first: 5, last: 9, prev: 4 };
        assert_eq!(
            depth(&SPOT, AT, &ids, &[(100_010, 1500)], &[]),
            r#"{"e":"depthUpdate","E":12,"s":"BTCUSDT","U":5,"u":9,"b":[["1000.10","1.500"]],"a":[]}"#
        );
        assert_eq!(
            image(&SPOT, AT, &ids, &[(100_010, 1500)], &[]),
            r#"{"lastUpdateId":9,"bids":[["1000.10","1.500"]],"asks":[]}"#
        );
        assert_eq!(
            agg_trade(&SPOT, 12, &ROW),
            r#"{"e":"aggTrade","E":12,"s":"BTCUSDT","a":7,"p":"1000.10","q":"2.000","f":4,"l":5,"T":11,"m":true,"M":true}"#
        );
        let t = SingleTrade { id: 4, price: 100_010, size: 1, kind: FillKind::Market, maker: Side::Ask };
        assert_eq!(
            trade(&SPOT, AT, &t),
            r#"{"e":"trade","E":12,"s":"BTCUSDT","t":4,"p":"1000.10","q":"0.001","T":11,"m":false,"M":true}"#
        );
        assert_eq!(
            block_trade(&SPOT, AT, &t),
            r#"{"e":"blockTrade","E":12,"s":"BTCUSDT","t":4,"p":"1000.10","q":"0.001","T":11,"m":false}"#
        );
        assert_eq!(
            book_ticker(&SPOT, AT, 9, (100_000, 1), (100_010, 2)),
            r#"{"u":9,"s":"BTCUSDT","b":"1000.00","B":"0.001","a":"1000.10","A":"0.002"}"#
        );
    }

    #[test]
    fn microseconds_are_in_every_time_and_nowhere_else() {
        assert_eq!(
            in_micros(r#"{"e":"trade","E":12,"s":"T","t":4,"T":11,"m":true}"#),
            r#"{"e":"trade","E":12000,"s":"T","t":4,"T":11000,"m":true}"#
        );
        let none = r#"{"u":9,"s":"E","b":"1","B":"T"}"#;
        assert_eq!(in_micros(none), none);
    }
}
