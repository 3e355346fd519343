//! From the body of a frame straight into fixed point (§3, §4).
//!
//! Decoding resumes where [`super::peek`] stopped and reads to the last byte, so a torn frame or two documents in one
//! never make a row. Anything but the shapes the exchange sends is a [`Decoded::Miss`]: [`super::wire`] names the reason.

use xtrader_scan::{Cursor, Isa, LevelScales, Stop, has_padding, levels_with};

use super::peek::{Tail, trade_id};
use crate::decimal::Decimal;
use crate::event::{
    Bbo, BookHead, DecodedLevels, EventTimes, PaddedLevel, Scales, TextRange, Trade, TradeId, TradeRow, TradeRows,
};
use crate::exchange::levels::{BookSide, at_scale, decimal, not_negative, odd_level, scan_side, size};
use crate::exchange::{Decoded, EventKind, Head, Key};
use crate::report::IgnoreReason;
use crate::table::{Condition, Side, Source};
use crate::time::ms_to_ns;

/// Members of a level behind price and size: a zero, and the number of orders (§4).
const MORE: usize = 2;

/// The levels of a snapshot or an update into `out`, at `scales` or finer; `max_levels` counts both sides.
#[inline(always)]
pub(super) fn book(
    isa: Isa,
    frame: &[u8],
    head: &Head<'_>,
    scales: Scales,
    max_levels: usize,
    out: &mut DecodedLevels,
) -> Decoded<BookHead> {
    out.reset(scales);
    match book_body(isa, frame, head, max_levels, out) {
        Some(checksum) => book_head(head, checksum),
        None => Decoded::Miss,
    }
}

/// `[…],"bids":[…]` and the end of the frame. Says the checksum.
#[inline(always)]
fn book_body(
    isa: Isa,
    frame: &[u8],
    head: &Head<'_>,
    max_levels: usize,
    out: &mut DecodedLevels,
) -> Option<Option<i32>> {
    let mut c = Cursor::new(frame, head.resume);
    scan_side::<MORE>(isa, frame, &mut c, BookSide::Asks, max_levels, out)?;
    c.expect(br#","bids":"#)?;
    let bids = c.at();
    scan_side::<MORE>(isa, frame, &mut c, BookSide::Bids, max_levels, out)?;
    let end = c.at();
    let checksum = checksum(Tail::scan(&mut c)?.checksum)?;
    if checksum.is_some() && has_padding(isa, frame.get(head.resume..end)?) {
        note_padding(frame, head.resume, false, out)?;
        note_padding(frame, bids, true, out)?;
    }
    Some(checksum)
}

/// The checksum of a message; 0 is none (§4). `None` where it is no checksum at all.
pub(super) fn checksum(sent: Option<i64>) -> Option<Option<i32>> {
    let checksum = i32::try_from(sent.unwrap_or(0)).ok()?;
    Some((checksum != 0).then_some(checksum))
}

/// What is left to say of a book once its levels are in `out`.
pub(super) fn book_head(head: &Head<'_>, checksum: Option<i32>) -> Decoded<BookHead> {
    let Key { prev, last, .. } = head.key;
    let linked = head.key.is_linked();
    Decoded::Event(BookHead {
        times: head.times,
        is_snapshot: head.kind == EventKind::Book,
        first_id: None,
        last_id: linked.then_some(last),
        prev_id: (linked && prev >= 0).then_some(prev),
        checksum,
    })
}

/// Goes through a list again, which was found to hold padded numbers.
#[cold]
fn note_padding(frame: &[u8], at: usize, is_bid: bool, out: &mut DecodedLevels) -> Option<()> {
    let mut c = Cursor::new(frame, at);
    c.expect(b"[")?;
    for index in 0.. {
        if !c.eat(b"[\"") {
            // An empty list.
            break;
        }
        let price = c.text()?;
        c.expect(b",\"")?;
        out.padded.extend(padding(is_bid, index, price, c.text()?));
        while c.eat(b",\"") {
            c.text()?;
        }
        c.expect(b"]")?;
        if !c.eat(b",") {
            break;
        }
    }
    Some(())
}

/// Says how the texts of a level were written, where they are not the shortest.
pub(super) fn padding(is_bid: bool, index: u32, price: &[u8], size: &[u8]) -> Option<PaddedLevel> {
    let fraction = |text: &[u8]| {
        let fraction = text.iter().position(|b| *b == b'.').and_then(|point| text.get(point + 1..)).unwrap_or_default();
        let digits = if fraction.iter().all(u8::is_ascii_digit) { fraction.len() } else { 0 };
        (u8::try_from(digits).unwrap_or(u8::MAX), digits > 0 && fraction.ends_with(b"0"))
    };
    let ((price_digits, price_is_padded), (size_digits, size_is_padded)) = (fraction(price), fraction(size));
    let padded = price_is_padded || size_is_padded;
    padded.then_some(PaddedLevel { is_bid, index, price_digits, size_digits })
}

/// The trades of a frame, numbers at `scales` or finer.
#[inline(always)]
pub(super) fn trades(isa: Isa, frame: &[u8], head: &Head<'_>, scales: Scales, out: &mut TradeRows) -> Decoded<()> {
    match trades_body(isa, frame, head, scales, out) {
        Some(()) => Decoded::Event(()),
        None => Decoded::Miss,
    }
}

/// `{"instId":"S","tradeId":"1","px":"P","sz":"Q",…},…` and the end of the frame.
#[inline(always)]
fn trades_body(isa: Isa, frame: &[u8], head: &Head<'_>, scales: Scales, out: &mut TradeRows) -> Option<()> {
    let folded = match head.kind {
        EventKind::AggTrade => true,
        EventKind::Trade => false,
        _ => return None,
    };
    let mut c = Cursor::new(frame, head.resume);
    let Scales { price, size } = scales;
    loop {
        let last = trade_id(&mut c, head.symbol)?;
        let (price, size) = match c.pair2::<b's', b'z'>(isa, LevelScales { price, size }) {
            Some((p, q)) => (Decimal::new(i128::from(p), price), Decimal::new(i128::from(q), size)),
            None => odd_price_and_size(&mut c, scales)?,
        };
        let fold = Fold::scan(&mut c)?;
        out.rows.push(Fill { price, size, fold, folded }.row(fold.first(last)?, last, times(fold.ts)));
        if !c.eat(b",") {
            break;
        }
    }
    c.expect(b"]}")?;
    c.is_at_end().then_some(())
}

#[cold]
fn odd_price_and_size(c: &mut Cursor<'_>, scales: Scales) -> Option<(Decimal, Decimal)> {
    let price = decimal(c.text()?, scales.price).ok()?;
    c.expect(br#","sz":""#)?;
    let size = size(c.text()?, scales.size).ok()?;
    Some((price, size))
}

/// What stands behind price and size of a trade.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fold {
    pub(super) side: Side,
    pub(super) ts: i64,
    /// Fills in it, where it says.
    pub(super) count: Option<i64>,
    pub(super) condition: Condition,
    pub(super) seq: Option<i64>,
}

impl Fold {
    /// `,"side":"buy","ts":"T","count":"3","source":"0","seqId":1}` to the end of the row; on `trades-all` the source
    /// stands before the time and there is no count, and old recordings end behind the time.
    #[inline(always)]
    pub(super) fn scan(c: &mut Cursor<'_>) -> Option<Self> {
        let side = if c.eat(br#","side":"buy""#) {
            Side::Buy
        } else if c.eat(br#","side":"sell""#) {
            Side::Sell
        } else {
            return None;
        };
        let mut source = Self::source(c)?;
        c.expect(br#","ts":""#)?;
        let ts = c.millis()?;
        c.expect(b"\"")?;
        let mut count = None;
        if c.eat(br#","count":""#) {
            count = Some(c.integer()?);
            c.expect(b"\"")?;
        }
        if source.is_none() {
            source = Self::source(c)?;
        }
        let seq = if c.eat(br#","seqId":"#) { Some(c.integer()?) } else { None };
        c.expect(b"}")?;
        let condition = source.unwrap_or(Condition::Regular);
        Some(Self { side, ts, count, condition, seq })
    }

    #[inline(always)]
    fn source(c: &mut Cursor<'_>) -> Option<Option<Condition>> {
        if c.eat(br#","source":"0""#) {
            return Some(Some(Condition::Regular));
        }
        if !c.eat(br#","source":""#) {
            return Some(None);
        }
        Some(Some(condition(std::str::from_utf8(c.text()?).ok()?)))
    }

    /// First id of the fills that end with `last`; an absent count is 1 (§4).
    pub(super) fn first(&self, last: i64) -> Option<i64> {
        let count = self.count.unwrap_or(1);
        if count < 1 { None } else { last.checked_sub(count - 1) }
    }
}

/// §3: 1 is an order of retail price improvement.
pub(super) fn condition(source: &str) -> Condition {
    match source {
        "0" | "" => Condition::Regular,
        "1" => Condition::Rpi,
        _ => Condition::Other,
    }
}

/// A trade, read and not yet judged.
pub(super) struct Fill {
    pub(super) price: Decimal,
    pub(super) size: Decimal,
    pub(super) fold: Fold,
    /// It came on the channel that folds.
    pub(super) folded: bool,
}

impl Fill {
    #[inline(always)]
    pub(super) fn row(self, first: i64, last: i64, times: EventTimes) -> TradeRow {
        TradeRow { first, last, native: TextRange::default(), trade: self.trade(first, last, times) }
    }

    fn trade(self, first: i64, last: i64, times: EventTimes) -> Result<Trade, IgnoreReason> {
        if self.price.is_zero() || self.size.is_zero() {
            return Err(IgnoreReason::ZeroPriceOrSize);
        }
        Ok(Trade {
            times,
            id: TradeId::Number(last),
            side: self.fold.side,
            price: self.price,
            size: self.size,
            contracts: None,
            count: self.fold.count,
            first_id: self.folded.then_some(first),
            last_id: self.folded.then_some(last),
            seq: self.fold.seq,
            condition: self.fold.condition,
            index_price: None,
            mark_price: None,
            liquidated: None,
            source: Source::Ws,
        })
    }
}

/// The quote of a `bbo-tbt` frame, numbers at `scales` or finer.
#[inline(always)]
pub(super) fn bbo(isa: Isa, frame: &[u8], head: &Head<'_>, scales: Scales) -> Decoded<Bbo> {
    match bbo_body(isa, frame, head, scales) {
        Some((bid, ask)) => quote(head, bid, ask),
        None => Decoded::Miss,
    }
}

/// A price and a size; `None` where the side is empty.
type Offer = Option<(Decimal, Decimal)>;

/// `[…],"bids":[…]`, each of one level at most, and the end of the frame.
#[inline(always)]
fn bbo_body(isa: Isa, frame: &[u8], head: &Head<'_>, scales: Scales) -> Option<(Offer, Offer)> {
    if head.kind != EventKind::Bbo {
        return None;
    }
    let mut c = Cursor::new(frame, head.resume);
    let ask = best(isa, frame, &mut c, scales)?;
    c.expect(br#","bids":"#)?;
    let bid = best(isa, frame, &mut c, scales)?;
    Tail::scan(&mut c)?;
    Some((bid, ask))
}

#[inline(always)]
fn best(isa: Isa, frame: &[u8], c: &mut Cursor<'_>, scales: Scales) -> Option<Offer> {
    c.expect(b"[")?;
    if c.eat(b"]") {
        return Some(None);
    }
    let Scales { price, size } = scales;
    let mut found = None;
    let run = levels_with::<MORE>(isa, frame, c.at(), LevelScales { price, size }, 1, |p, q| {
        found = Some((Decimal::new(i128::from(p), price), Decimal::new(i128::from(q), size)));
    });
    match run.stop {
        Stop::Closed => {
            c.set(run.at);
            Some(found)
        }
        Stop::Full => None,
        Stop::Odd => odd_best(c, scales).map(Some),
    }
}

#[cold]
fn odd_best(c: &mut Cursor<'_>, scales: Scales) -> Option<(Decimal, Decimal)> {
    let (price, size) = odd_level::<MORE>(c)?;
    c.expect(b"]")?;
    let size = at_scale(size, scales.size).and_then(not_negative).ok()?;
    Some((at_scale(price, scales.price).ok()?, size))
}

/// A quote; a side without price and size is not there.
pub(super) fn quote(head: &Head<'_>, bid: Offer, ask: Offer) -> Decoded<Bbo> {
    let side = |offer: Offer| offer.filter(|(price, size)| !price.is_zero() || !size.is_zero());
    let update_id = head.key.is_linked().then_some(head.key.last);
    Decoded::Event(Bbo { times: head.times, bid: side(bid), ask: side(ask), update_id })
}

/// The exchange says one time: that of the event (§4). In milliseconds.
pub(super) fn times(ms: i64) -> EventTimes {
    let event = ms_to_ns(ms);
    EventTimes { event, venue: None, odd: event.is_none() }
}

#[cfg(test)]
mod tests;
