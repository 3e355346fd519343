//! The JSON texts of notifications, field by field as the exchange writes them (§3-§5).

use std::fmt::Write;

use crate::book::{Book, Side};
use crate::deribit::instruments::{Instrument, Kind};
use crate::deribit::number::Number;
use crate::deribit::tape::Statistics;
use crate::deribit::valuation::Valuation;

/// What is wrapped around the data of a channel.
pub(crate) fn notification(channel: &str, data: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"{channel}","data":{data}}}}}"#)
}

/// What happened to a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    New,
    Change,
    Delete,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Change => "change",
            Self::Delete => "delete",
        }
    }
}

/// Action, price and size.
pub(crate) type BookRow = (Action, i64, i64);

/// A book message: a change where it follows one (`prev`), else a snapshot.
pub(crate) struct BookMessage<'a> {
    pub at_ms: i64,
    pub prev: Option<u64>,
    pub id: u64,
    pub bids: &'a [BookRow],
    pub asks: &'a [BookRow],
}

pub(crate) fn book(i: &Instrument, m: &BookMessage<'_>) -> String {
    let mut out = String::with_capacity(200 + 32 * (m.bids.len() + m.asks.len()));
    let (kind, at, name) = (if m.prev.is_some() { "change" } else { "snapshot" }, m.at_ms, &i.name);
    let _ = write!(out, r#"{{"timestamp":{at},"type":"{kind}","#);
    if let Some(prev) = m.prev {
        let _ = write!(out, r#""prev_change_id":{prev},"#);
    }
    let _ = write!(out, r#""change_id":{},"instrument_name":"{name}","bids":"#, m.id);
    book_rows(&mut out, i, m.bids);
    out.push_str(r#","asks":"#);
    book_rows(&mut out, i, m.asks);
    out.push('}');
    out
}

fn book_rows(out: &mut String, i: &Instrument, rows: &[BookRow]) {
    out.push('[');
    for (n, (action, price, size)) in rows.iter().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(out, r#"{comma}["{}",{},{}]"#, action.name(), i.price(*price), i.amount(*size));
    }
    out.push(']');
}

/// `"bids":[[price,amount],…],"asks":…`
pub(crate) fn sides(out: &mut String, i: &Instrument, book: &Book, depth: usize) {
    for (side, name, end) in [(Side::Bid, "bids", ","), (Side::Ask, "asks", "")] {
        let _ = write!(out, r#""{name}":["#);
        for (n, (price, size)) in book.levels(side).take(depth).enumerate() {
            let comma = if n == 0 { "" } else { "," };
            let _ = write!(out, "{comma}[{},{}]", i.price(price), i.amount(size));
        }
        let _ = write!(out, "]{end}");
    }
}

/// The best levels as a whole.
pub(crate) fn image(i: &Instrument, book: &Book, depth: usize, at_ms: i64, id: u64) -> String {
    let mut out = format!(r#"{{"timestamp":{at_ms},"instrument_name":"{}","change_id":{id},"#, i.name);
    sides(&mut out, i, book, depth);
    out.push('}');
    out
}

/// Price and amount of the best bid and the best offer; where there is none, zeros.
fn best(i: &Instrument, book: &Book) -> [Number; 4] {
    let (bid, ask) = (book.best(Side::Bid).unwrap_or_default(), book.best(Side::Ask).unwrap_or_default());
    [i.price(bid.0), i.amount(bid.1), i.price(ask.0), i.amount(ask.1)]
}

pub(crate) fn quote(i: &Instrument, book: &Book, at_ms: i64) -> String {
    let [bid, bid_amount, ask, ask_amount] = best(i, book);
    format!(
        r#"{{"timestamp":{at_ms},"instrument_name":"{}","best_bid_price":{bid},"best_bid_amount":{bid_amount},"best_ask_price":{ask},"best_ask_amount":{ask_amount}}}"#,
        i.name
    )
}

/// The members of a ticker, without braces: `public/get_order_book` shows them too.
pub(crate) fn ticker_members(i: &Instrument, book: &Book, v: &Valuation, s: &Statistics, at_ms: i64) -> String {
    let [bid, bid_amount, ask, ask_amount] = best(i, book);
    let null = |n: Option<Number>| n.map_or_else(|| "null".to_owned(), |n| n.to_string());
    let mut out = String::with_capacity(900);
    let _ = write!(
        out,
        r#""timestamp":{at_ms},"stats":{{"volume":{},"price_change":0.0,"low":{},"high":{}}},"state":"{}","settlement_price":{},"min_price":{},"max_price":{},"mark_price":{},"last_price":{},"instrument_name":"{}","index_price":{},"estimated_delivery_price":{},"best_bid_price":{bid},"best_bid_amount":{bid_amount},"best_ask_price":{ask},"best_ask_amount":{ask_amount}"#,
        i.amount(s.volume),
        null(s.low.map(|p| i.price(p))),
        null(s.high.map(|p| i.price(p))),
        i.state,
        v.mark,
        Number::rounded(v.mark.value() * 0.985, i.scales.price),
        Number::rounded(v.mark.value() * 1.015, i.scales.price),
        v.mark,
        null(s.last.map(|p| i.price(p))),
        i.name,
        v.index,
        v.index,
    );
    if i.kind != Kind::Spot {
        let _ = write!(out, r#","open_interest":{}"#, i.amount(s.open_interest));
    }
    if let Some((current, eight_hours)) = v.funding {
        let _ =
            write!(out, r#","interest_value":{eight_hours},"current_funding":{current},"funding_8h":{eight_hours}"#);
    }
    if let Some(o) = &v.option {
        let _ = write!(
            out,
            r#","underlying_price":{},"underlying_index":"{}","interest_rate":0.0,"mark_iv":{},"bid_iv":{},"ask_iv":{},"greeks":{{"vega":{},"theta":{},"rho":{},"gamma":{},"delta":{}}}"#,
            o.underlying, o.underlying_index, o.mark_iv, o.bid_iv, o.ask_iv, o.vega, o.theta, o.rho, o.gamma, o.delta
        );
    }
    out
}

pub(crate) fn instrument_state(i: &Instrument, at_ms: i64) -> String {
    format!(r#"{{"timestamp":{at_ms},"state":"{}","instrument_name":"{}"}}"#, i.state, i.name)
}

pub(crate) fn locked(locked: bool, index: &str) -> String {
    format!(r#"{{"price_index":"{index}","locked":{locked}}}"#)
}

pub(crate) fn public_methods(allowed: bool) -> String {
    format!(r#"{{"allow_unauthenticated_public_requests":{allowed}}}"#)
}
