//! The book channels of one instrument (§4): what their subscribers hold, and what they are told next. A batch is made
//! once and is the same for every connection.

use std::sync::Arc;

use crate::book::{Book, Side};
use crate::clock::{MS, MarketTime, SECOND};
use crate::okx::channels::Channel;
use crate::okx::messages::{self, Form, LevelRow, Link};

/// In the documented order of pushes of one instrument.
const ORDER: [(Channel, usize, MarketTime); 5] = [
    (Channel::Bbo, 1, 10 * MS),
    (Channel::BooksTbt, 400, 10 * MS),
    (Channel::Books50Tbt, 50, 10 * MS),
    (Channel::Books, 400, 100 * MS),
    (Channel::Books5, 5, 100 * MS),
];

/// What is said again after so long without a change.
const KEEP_ALIVE: MarketTime = 60 * SECOND;
/// In a call auction.
const AUCTION: MarketTime = SECOND;

/// One channel of one instrument.
pub(crate) struct BookChannel {
    pub channel: Channel,
    pub stream: Arc<str>,
    arg: String,
    inst_id: Arc<str>,
    form: Form,
    depth: usize,
    interval: MarketTime,
    keep_alive: MarketTime,
    checksums: bool,
    /// Nobody has ever asked for it: it begins with its first subscriber.
    asleep: bool,
    /// What a subscriber holds: the best levels as of `seq`.
    held: Book,
    seq: u64,
    /// Something may have changed: look then.
    due: Option<MarketTime>,
    pushed: MarketTime,
}

/// A message, with the ids it covers.
pub(crate) struct Told {
    pub payload: String,
    pub prev: Option<u64>,
    pub seq: u64,
}

/// The next point of a grid strictly after `now`.
pub(crate) fn next_point(now: MarketTime, interval: MarketTime, phase: MarketTime) -> MarketTime {
    (now.saturating_sub(phase) / interval + 1) * interval + phase
}

impl BookChannel {
    /// All channels of an instrument, in the order in which they push.
    pub(crate) fn all(
        inst_id: &Arc<str>,
        form: Form,
        compression: f64,
        checksums: bool,
        book: &Book,
        seq: u64,
    ) -> Vec<Self> {
        let channel = |(channel, depth, interval): (Channel, usize, MarketTime)| Self {
            channel,
            stream: channel.stream(inst_id),
            arg: channel.arg(inst_id),
            inst_id: Arc::clone(inst_id),
            form,
            depth,
            interval,
            keep_alive: (KEEP_ALIVE as f64 / compression) as MarketTime,
            checksums,
            asleep: channel.is_for_vips(),
            held: book.cut(depth),
            seq,
            due: None,
            pushed: 0,
        };
        ORDER.map(channel).into()
    }

    fn is_image(&self) -> bool {
        matches!(self.channel, Channel::Bbo | Channel::Books5)
    }

    /// When [`Self::tell`] may have something to say because the book changed.
    pub(crate) fn due(&self) -> Option<MarketTime> {
        self.due.filter(|_| !self.asleep)
    }

    /// When it says something anyway.
    pub(crate) fn idle_at(&self) -> Option<MarketTime> {
        (!self.asleep).then(|| self.pushed.saturating_add(self.keep_alive))
    }

    /// The book changed.
    pub(crate) fn touch(&mut self, now: MarketTime, phase: MarketTime, auction: bool) {
        let interval = if auction { AUCTION } else { self.interval };
        self.due.get_or_insert_with(|| next_point(now, interval, phase));
    }

    /// After a rest nothing is made up for.
    pub(crate) fn resume(&mut self, now: MarketTime) {
        self.pushed = self.pushed.max(now);
    }

    /// The book is now this: what subscribers are told, if anything.
    pub(crate) fn tell(&mut self, now: MarketTime, ts: i64, book: &Book, seq: u64) -> Option<Told> {
        let changed = self.due().is_some_and(|d| d <= now);
        let idle = self.idle_at().is_some_and(|t| t <= now);
        if changed {
            self.due = None;
            let next = book.cut(self.depth);
            if next != self.held {
                let asks = difference(&self.held, &next, Side::Ask);
                let bids = difference(&self.held, &next, Side::Bid);
                let prev = std::mem::replace(&mut self.seq, seq);
                self.held = next;
                return Some(self.message(now, ts, prev, &asks, &bids));
            }
        }
        // Equal ids, and no levels: nothing has changed for long.
        idle.then(|| self.message(now, ts, self.seq, &[], &[]))
    }

    fn message(&mut self, now: MarketTime, ts: i64, prev: u64, asks: &[LevelRow], bids: &[LevelRow]) -> Told {
        self.pushed = now;
        if self.is_image() {
            return self.image(ts);
        }
        let link = Link { prev: Some(prev), seq: self.seq, checksum: self.checksum() };
        let payload = messages::book(&self.arg, ts, link, asks, bids, self.form);
        Told { payload, prev: Some(prev), seq: self.seq }
    }

    fn image(&self, ts: i64) -> Told {
        let inst_id = (self.channel == Channel::Books5).then_some(&*self.inst_id);
        let payload = messages::image(&self.arg, inst_id, ts, self.seq, &self.held, self.form);
        Told { payload, prev: None, seq: self.seq }
    }

    fn checksum(&self) -> i32 {
        if self.checksums { messages::checksum(&self.held, self.form) } else { 0 }
    }

    /// What one who subscribes now is told first. `book` and `seq` are where a sleeping channel begins.
    pub(crate) fn present(&mut self, now: MarketTime, ts: i64, book: &Book, seq: u64) -> Told {
        if std::mem::take(&mut self.asleep) {
            (self.held, self.seq, self.due, self.pushed) = (book.cut(self.depth), seq, None, now);
        }
        if self.is_image() {
            return self.image(ts);
        }
        let link = Link { prev: None, seq: self.seq, checksum: self.checksum() };
        let [asks, bids] = [Side::Ask, Side::Bid].map(|s| self.held.levels(s).collect::<Vec<_>>());
        Told { payload: messages::book(&self.arg, ts, link, &asks, &bids, self.form), prev: None, seq: self.seq }
    }
}

/// Levels of a side that are others now, best first; those that are gone, or have left the window, with size 0.
fn difference(old: &Book, new: &Book, side: Side) -> Vec<LevelRow> {
    let other = new.levels(side).filter(|(price, size)| old.size_at(side, *price) != *size);
    let gone = old.levels(side).filter(|(price, _)| new.size_at(side, *price) == 0).map(|(price, _)| (price, 0));
    let mut rows: Vec<LevelRow> = other.chain(gone).collect();
    rows.sort_unstable_by_key(|(price, _)| -side.better() * price);
    rows
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::book::Scales;

    const FORM: Form = Form { scales: Scales { price: 0, size: 0 }, lot: 1 };

    fn channel(channel: Channel, book: &Book) -> BookChannel {
        let mut all = BookChannel::all(&"X-Y".into(), FORM, 1.0, false, book, 10);
        all.swap_remove(all.iter().position(|c| c.channel == channel).expect("the channel"))
    }

    fn row(told: &Told) -> Value {
        serde_json::from_str::<Value>(&told.payload).expect("JSON")["data"][0].clone()
    }

    fn deep() -> Book {
        let mut book = Book::default();
        for i in 0..450 {
            book.set(Side::Bid, 1000 - i, 1);
            book.set(Side::Ask, 1001 + i, 1);
        }
        book
    }

    #[test]
    fn levels_leave_and_enter_the_window_with_a_message() {
        let mut book = deep();
        let mut c = channel(Channel::Books, &book);
        book.set(Side::Ask, 1000, 5);
        c.touch(1, 0, false);
        assert_eq!(c.due(), Some(100 * MS));
        assert!(c.tell(99 * MS, 1, &book, 12).is_none());
        let told = c.tell(100 * MS, 1, &book, 12).expect("an update");
        assert_eq!(row(&told)["asks"], json!([["1000", "5", "0", "6"], ["1400", "0", "0", "0"]]));
        assert_eq!((told.prev, told.seq), (Some(10), 12));

        book.set(Side::Ask, 1000, 0);
        c.touch(100 * MS, 0, false);
        let told = c.tell(200 * MS, 2, &book, 20).expect("an update");
        assert_eq!(row(&told)["asks"], json!([["1000", "0", "0", "0"], ["1400", "1", "0", "2"]]));
        assert_eq!((told.prev, told.seq), (Some(12), 20));

        book.set(Side::Ask, 1440, 7);
        c.touch(200 * MS, 0, false);
        assert!(c.tell(300 * MS, 3, &book, 30).is_none(), "out of sight");
        assert_eq!(row(&c.present(300 * MS, 3, &book, 30))["seqId"], 20);
    }

    /// The documented series −1/10, 10/15, 15/15, 15/3, 3/5.
    #[test]
    fn keep_alives_and_resets_stay_in_the_chain() {
        let mut book = deep();
        let mut c = channel(Channel::Books, &book);
        let ids = |told: &Told| (row(told)["prevSeqId"].clone(), row(told)["seqId"].clone());
        assert_eq!(ids(&c.present(0, 0, &book, 0)), (json!(-1), json!(10)));
        let mut step = |c: &mut BookChannel, at: MarketTime, size, seq| {
            book.set(Side::Bid, 1000, size);
            c.touch(at, 0, false);
            ids(&c.tell(at + 100 * MS, 0, &book, seq).expect("an update"))
        };
        assert_eq!(step(&mut c, 0, 2, 15), (json!(10), json!(15)));
        let quiet = deep();
        assert!(c.tell(60 * SECOND, 0, &quiet, 15).is_none());
        let told = c.tell(60 * SECOND + 100 * MS, 0, &quiet, 15).expect("a keep-alive");
        assert_eq!((ids(&told), row(&told)["bids"].clone()), ((json!(15), json!(15)), json!([])));
        assert_eq!(step(&mut c, 70 * SECOND, 3, 3), (json!(15), json!(3)));
        assert_eq!(step(&mut c, 71 * SECOND, 4, 5), (json!(3), json!(5)));
    }

    #[test]
    fn images_are_whole_and_come_again_when_nothing_happens() {
        let mut book = deep();
        let mut c = channel(Channel::Books5, &book);
        book.set(Side::Bid, 900, 9);
        c.touch(0, 0, false);
        assert!(c.tell(SECOND, 0, &book, 11).is_none(), "below the fifth level");
        book.set(Side::Bid, 999, 9);
        c.touch(SECOND, 0, false);
        let told = c.tell(2 * SECOND, 0, &book, 12).expect("an image");
        assert_eq!((row(&told)["bids"].as_array().map(Vec::len), &row(&told)["seqId"]), (Some(5), &json!(12)));
        assert!(row(&told).get("checksum").is_none() && row(&told).get("prevSeqId").is_none());
        let again = c.tell(62 * SECOND, 0, &book, 12).expect("the image again");
        assert_eq!(row(&told)["bids"], row(&again)["bids"]);
    }

    #[test]
    fn a_channel_for_few_begins_with_its_first_subscriber() {
        let mut book = deep();
        let mut c = channel(Channel::Books50Tbt, &book);
        book.set(Side::Bid, 1000, 8);
        c.touch(0, 0, false);
        assert_eq!((c.due(), c.idle_at()), (None, None));
        let told = c.present(SECOND, 0, &book, 77);
        assert_eq!((row(&told)["bids"][0][1].clone(), told.seq), (json!("8"), 77));
        assert_eq!(row(&told)["bids"].as_array().map(Vec::len), Some(50));
    }
}
