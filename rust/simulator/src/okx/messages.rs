//! The JSON texts of the channels, as the exchange writes them: numbers as texts without zeros at the end.

use std::fmt::Write;

use crate::book::{Book, Scales, Side, plain_text, push_plain};
use crate::market::Fill;

/// How numbers of an instrument are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub scales: Scales,
    pub lot: i64,
}

pub(crate) type LevelRow = (i64, i64);

/// `[["price","size","0","orders"],…]`
pub(crate) fn levels(out: &mut String, levels: impl Iterator<Item = LevelRow>, form: Form) {
    out.push('[');
    for (i, (price, size)) in levels.enumerate() {
        out.push_str(if i == 0 { "[\"" } else { ",[\"" });
        push_plain(out, price, form.scales.price);
        out.push_str("\",\"");
        push_plain(out, size, form.scales.size);
        // Nobody counts orders here: a number that goes with the size, none where there is no level.
        let orders = if size == 0 { 0 } else { 1 + size / form.lot % 13 };
        let _ = write!(out, "\",\"0\",\"{orders}\"]");
    }
    out.push(']');
}

/// What a message of a chained book says beside its levels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    /// `None` is a snapshot.
    pub prev: Option<u64>,
    pub seq: u64,
    pub checksum: i32,
}

/// A snapshot or an update of a chained book.
pub(crate) fn book(arg: &str, ts: i64, link: Link, asks: &[LevelRow], bids: &[LevelRow], form: Form) -> String {
    let mut out = String::with_capacity(220 + 40 * (asks.len() + bids.len()));
    let action = if link.prev.is_none() { "snapshot" } else { "update" };
    let _ = write!(out, r#"{{{arg},"action":"{action}","data":[{{"asks":"#);
    levels(&mut out, asks.iter().copied(), form);
    out.push_str(r#","bids":"#);
    levels(&mut out, bids.iter().copied(), form);
    let _ = write!(out, r#","ts":"{ts}","checksum":{},"prevSeqId":"#, link.checksum);
    let _ = match link.prev {
        Some(prev) => write!(out, "{prev}"),
        None => write!(out, "-1"),
    };
    let _ = write!(out, r#","seqId":{}}}]}}"#, link.seq);
    out
}

/// A book channel of which every push is the whole.
pub(crate) fn image(arg: &str, inst_id: Option<&str>, ts: i64, seq: u64, book: &Book, form: Form) -> String {
    let mut out = String::with_capacity(200 + 80 * book.len(Side::Bid));
    let _ = write!(out, r#"{{{arg},"data":[{{"asks":"#);
    levels(&mut out, book.levels(Side::Ask), form);
    out.push_str(r#","bids":"#);
    levels(&mut out, book.levels(Side::Bid), form);
    if let Some(id) = inst_id {
        let _ = write!(out, r#","instId":"{id}""#);
    }
    let _ = write!(out, r#","ts":"{ts}","seqId":{seq}}}]}}"#);
    out
}

/// Best 25 levels of each side, price and size as they are sent, bid and ask by turns; a longer side goes on alone (§4).
pub(crate) fn checksum(book: &Book, form: Form) -> i32 {
    let side = |side| {
        book.levels(side).take(25).map(|(price, size)| {
            format!("{}:{}", plain_text(price, form.scales.price), plain_text(size, form.scales.size))
        })
    };
    let (mut bids, mut asks) = (side(Side::Bid), side(Side::Ask));
    let mut parts = Vec::with_capacity(50);
    for _ in 0..25 {
        parts.extend(bids.next());
        parts.extend(asks.next());
    }
    let mut crc = flate2::Crc::new();
    crc.update(parts.join(":").as_bytes());
    crc.sum().cast_signed()
}

/// Fills in one row: one, or several of one taker order at one price and source.
#[derive(Clone, Debug)]
pub(crate) struct Trade {
    /// Of the last fill.
    pub id: u64,
    pub count: u64,
    pub price: i64,
    pub size: i64,
    pub maker: Side,
    /// 1 where retail price improvement gave some of it.
    pub source: u8,
    pub ts: i64,
    pub seq: u64,
}

impl Trade {
    pub(crate) fn new(id: u64, fill: &Fill, ts: i64, seq: u64) -> Self {
        let Fill { price, size, maker, hidden, .. } = *fill;
        Self { id, count: 1, price, size, maker, source: u8::from(hidden > 0), ts, seq }
    }

    /// Takes the next fill in, if it is of one fold with this.
    pub(crate) fn fold(&mut self, next: &Self) -> bool {
        let same = (self.price, self.source, self.seq) == (next.price, next.source, next.seq);
        if same {
            self.id = next.id;
            self.count += 1;
            self.size += next.size;
        }
        same
    }
}

/// `folded` is the form of `trades`; `trades-all` knows neither `count` nor `seqId`.
pub(crate) fn trade(out: &mut String, inst_id: &str, t: &Trade, folded: bool, form: Form) {
    let side = if t.maker == Side::Ask { "buy" } else { "sell" };
    let _ = write!(out, r#"{{"instId":"{inst_id}","tradeId":"{}","px":""#, t.id);
    push_plain(out, t.price, form.scales.price);
    out.push_str(r#"","sz":""#);
    push_plain(out, t.size, form.scales.size);
    let _ = write!(out, r#"","side":"{side}","ts":"{}""#, t.ts);
    if folded {
        let _ = write!(out, r#","count":"{}","source":"{}","seqId":{}}}"#, t.count, t.source, t.seq);
    } else {
        let _ = write!(out, r#","source":"{}"}}"#, t.source);
    }
}

/// A push with one row.
pub(crate) fn push(arg: &str, row: &str) -> String {
    format!(r#"{{{arg},"data":[{row}]}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: Form = Form { scales: Scales { price: 2, size: 1 }, lot: 10 };
    const ARG: &str = r#""arg":{"channel":"books","instId":"BTC-USDT"}"#;

    /// The documented frames (§3, §4).
    #[test]
    fn texts_are_the_documented_ones() {
        let link = Link { prev: Some(123_456), seq: 123_457, checksum: 0 };
        assert_eq!(
            book(ARG, 1_597_026_383_185, link, &[(847_700, 70)], &[], FORM),
            r#"{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":[["8477","7","0","8"]],"bids":[],"ts":"1597026383185","checksum":0,"prevSeqId":123456,"seqId":123457}]}"#
        );
        let link = Link { prev: None, seq: 9, checksum: -7 };
        assert_eq!(
            book(ARG, 5, link, &[], &[(847_697, 0)], FORM),
            r#"{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"snapshot","data":[{"asks":[],"bids":[["8476.97","0","0","0"]],"ts":"5","checksum":-7,"prevSeqId":-1,"seqId":9}]}"#
        );
        let mut t = Trade { id: 7, count: 1, price: 4_221_990, size: 12, maker: Side::Ask, source: 0, ts: 16, seq: 3 };
        let next = Trade { id: 8, size: 8, ..t.clone() };
        assert!(t.fold(&next) && !t.fold(&Trade { source: 1, ..next }));
        let mut out = String::new();
        trade(&mut out, "BTC-USDT", &t, true, FORM);
        assert_eq!(
            out,
            r#"{"instId":"BTC-USDT","tradeId":"8","px":"42219.9","sz":"2","side":"buy","ts":"16","count":"2","source":"0","seqId":3}"#
        );
        out.clear();
        trade(&mut out, "BTC-USDT", &t, false, FORM);
        assert!(out.ends_with(r#""ts":"16","source":"0"}"#), "{out}");
    }

    /// Two bids and one ask; the value is that of Python's `zlib.crc32`.
    #[test]
    fn checksums_are_those_of_the_texts() {
        let mut b = Book::default();
        for (side, price, size) in [(Side::Bid, 330, 10), (Side::Bid, 325, 65), (Side::Ask, 341, 70)] {
            b.set(side, price, size);
        }
        assert_eq!(checksum(&b, FORM), -1747579269);
    }
}
