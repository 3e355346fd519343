//! The rows against what the simulator wrote down: books rebuilt by the plainest of means, trades one by one.

use std::collections::{BTreeMap, BTreeSet};

use xtrader_simulator::{BookImage, EventKind, FrameRecord, Simulator, TradeRecord};

use crate::case::{Case, StreamName, Subject};
use crate::tables::{BookRow, GapRow, Tables};

/// How much of its book a client can know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// All of it: the exchange's book has no more levels than a snapshot shows.
    Whole,
    /// What a snapshot of so many levels shows, and what changed since.
    Cut(usize),
}

/// A size of the exchange's, at a price, as the tables should have it.
pub type Sized<'a> = &'a dyn Fn(&str, &str) -> f64;

/// A book as the documentation of `l2` says it is rebuilt. Prices are positive, so that their bits are in their order.
#[derive(Default)]
struct Rebuilt {
    bids: BTreeMap<u64, f64>,
    asks: BTreeMap<u64, f64>,
}

impl Rebuilt {
    fn take(&mut self, row: &BookRow) {
        if row.is_snapshot {
            *self = Self::default();
        }
        for (side, levels) in [(&mut self.bids, &row.bids), (&mut self.asks, &row.asks)] {
            for (price, size) in levels {
                match *size == 0.0 {
                    true => side.remove(&price.to_bits()),
                    false => side.insert(price.to_bits(), *size),
                };
            }
        }
    }

    fn is(&self, truth: &BookImage, sized: Sized<'_>) -> bool {
        let same = |ours: &mut dyn Iterator<Item = (&u64, &f64)>, theirs: &[[String; 2]]| {
            let theirs = theirs.iter().map(|[price, size]| (price.parse().unwrap(), sized(size, price)));
            ours.map(|(price, size)| (f64::from_bits(*price), *size)).eq(theirs)
        };
        same(&mut self.bids.iter().rev(), &truth.bids) && same(&mut self.asks.iter(), &truth.asks)
    }
}

/// Every row of `l2` chains, and leaves the exchange's book at that id. Yields how many were compared.
pub fn compare_books(case: &Case, simulator: &Simulator, tables: &Tables, depth: Depth) -> usize {
    let as_sent: Sized<'_> = &|size, _| size.parse().unwrap();
    case.subjects.iter().map(|subject| compare_book(case, simulator, tables, depth, (subject, as_sent))).sum()
}

/// As [`compare_books`], of one instrument.
pub fn compare_book(
    case: &Case,
    simulator: &Simulator,
    tables: &Tables,
    depth: Depth,
    (subject, sized): (&Subject, Sized<'_>),
) -> usize {
    let mut book = Rebuilt::default();
    let (mut last, mut started, mut compared) = (None, None, 0);
    for row in tables.l2.iter().filter(|row| row.key.name == subject.key) {
        assert_eq!(row.prev_id, last, "{}: the table does not chain at {row:?}", subject.key);
        last = row.last_id;
        if row.is_snapshot && row.source != "checkpoint" {
            started = row.last_id;
        }
        book.take(row);
        let truth = book_of(case, simulator, subject, depth, (started.unwrap(), last.unwrap()));
        assert!(book.is(&truth, sized), "{}: not the book at {last:?}: {row:?}", subject.key);
        compared += 1;
    }
    compared
}

fn book_of(
    case: &Case,
    simulator: &Simulator,
    subject: &Subject,
    depth: Depth,
    (started, id): (i64, i64),
) -> BookImage {
    let [started, id] = [started, id].map(|id| u64::try_from(id).unwrap());
    let stream = (case.book_stream)(subject.native);
    let book = simulator.with_truth(|truth| match depth {
        Depth::Whole => truth.book_at(subject.native, id),
        Depth::Cut(levels) => truth.client_book(subject.native, &stream, started, levels, id),
    });
    book.unwrap_or_else(|| panic!("{}: the truth has no book at {id}", subject.key))
}

/// Every trade from the first to the last that came is in the table once and as it was issued, or in a gap; and a gap
/// holds nothing else. Yields how many are missing.
pub fn compare_trades(case: &Case, simulator: &Simulator, tables: &Tables) -> usize {
    let mut missing = 0;
    for subject in &case.subjects {
        let issued = simulator.with_truth(|truth| truth.trades(case.trades, Some(subject.native)));
        let mut rows = BTreeMap::new();
        let begin =
            tables.trades.iter().find(|row| row.key.name == subject.key).map_or(0, |row| (case.trade_ids)(row).1);
        for row in tables.trades.iter().filter(|row| row.key.name == subject.key) {
            assert!(rows.insert(row.id, row).is_none(), "{}: trade {} came twice", subject.key, row.id);
        }
        let (first, last) = (*rows.keys().next().unwrap(), *rows.keys().next_back().unwrap());
        let mut holes = BTreeSet::new();
        let (mut reached, mut skipped) = (None, 0);
        for trade in issued.iter().filter(|trade| (first..=last).contains(&i64::try_from(trade.id).unwrap())) {
            let Some(row) = rows.remove(&i64::try_from(trade.id).unwrap()) else {
                skipped += 1;
                continue;
            };
            let told = (&*row.side, row.price, row.size);
            assert_eq!(told, (trade.side, trade.price.parse().unwrap(), trade.size.parse().unwrap()), "{row:?}");
            let (from, to) = (case.trade_ids)(row);
            // What an exchange sends again of before the first that came may come; between that and it nobody claims anything.
            let is_claimed = begin < to;
            if let Some(reached) = reached.filter(|_| is_claimed) {
                assert_eq!(from > reached + 1, skipped > 0, "{}: ids before {row:?}", subject.key);
                holes.extend(reached + 1..from);
                missing += skipped;
            }
            (reached, skipped) = (Some(to), 0);
        }
        assert!(rows.is_empty(), "{}: nobody issued {rows:?}", subject.key);
        let mut off_book = simulator.with_truth(|truth| truth.trades(EventKind::BlockTrade, Some(subject.native)));
        for row in tables.off_book.iter().filter(|row| row.key.name == subject.key) {
            let at = off_book.iter().position(|trade| i64::try_from(trade.id) == Ok(row.id));
            let trade = at.map(|at| off_book.remove(at));
            let issued = trade.map(|t| (t.side, t.price.parse().unwrap(), t.size.parse().unwrap()));
            assert_eq!(issued, Some((&*row.side, row.price, row.size)), "not issued, or twice: {row:?}");
        }
        // What came after its gap had been closed was missing when that was said.
        let came_later = |id: &i64, gap: &GapRow| {
            let mut rows =
                tables.trades.iter().filter(|row| row.key.name == subject.key && row.key.place > gap.key.place);
            rows.any(|row| {
                let (from, to) = (case.trade_ids)(row);
                (from..=to).contains(id)
            })
        };
        let named: BTreeSet<i64> = tables
            .lasting_gaps_of("trades", subject.key)
            .filter_map(|gap| gap.ids.map(|(first, last)| (gap, first..=last)))
            .flat_map(|(gap, ids)| ids.filter(|id| holes.contains(id) || !came_later(id, gap)).collect::<Vec<_>>())
            .collect();
        assert_eq!(named, holes, "{}: the gaps are not what is missing", subject.key);
    }
    missing
}

/// What is missing is exactly what no connection was handed whole: of trades each one, of books a change in every gap.
pub fn compare_with_the_carried(case: &Case, simulator: &Simulator, tables: &Tables) {
    for subject in &case.subjects {
        let uncarried = |stream: StreamName| {
            simulator.with_truth(|truth| truth.uncarried(&stream(subject.native), Some(subject.native)))
        };
        let ours: BTreeSet<i64> =
            tables.trades.iter().filter(|row| row.key.name == subject.key).map(|row| row.id).collect();
        let (first, last) = (*ours.first().unwrap(), *ours.last().unwrap());
        let is_between = |id: &i64| (first..=last).contains(id);
        let issued = simulator.with_truth(|truth| truth.trades(case.trades, Some(subject.native)));
        let ids = |trades: &[TradeRecord]| -> BTreeSet<i64> {
            trades.iter().map(|trade| i64::try_from(trade.id).unwrap()).filter(is_between).collect()
        };
        let doubtful = last_words(simulator);
        let lost: Vec<TradeRecord> = uncarried(case.trade_stream).into_iter().flat_map(|event| event.trades).collect();
        let missing: BTreeSet<i64> = ids(&issued).difference(&ours).copied().collect();
        let (lost, spoken_last): (BTreeSet<i64>, Vec<TradeRecord>) =
            (ids(&lost), issued.into_iter().filter(|trade| doubtful.contains_key(&trade.event)).collect());
        assert!(missing.is_superset(&lost), "{}: nobody was handed {lost:?}, missing is {missing:?}", subject.key);
        let unexplained: Vec<&i64> = missing.difference(&lost).filter(|id| !ids(&spoken_last).contains(id)).collect();
        assert!(unexplained.is_empty(), "{}: some connection was handed {unexplained:?}", subject.key);
        let mut lost: Vec<(u64, u64)> =
            uncarried(case.book_stream).iter().map(|event| (event.first_id, event.last_id)).collect();
        lost.extend(doubtful.values());
        for gap in tables.gaps_of("l2", subject.key).filter(|gap| gap.is_lasting() && gap.cause == "missed") {
            let (first, last) = gap.ids.unwrap();
            let overlaps = lost.iter().any(|(from, to)| *from <= last.unsigned_abs() && first.unsigned_abs() <= *to);
            assert!(overlaps, "{}: some connection was handed all of {gap:?}", subject.key);
        }
    }
}

/// Events, with their ids, that were handed only to connections that ended right then: what lies in a socket that ends
/// with bytes unread on the other side is lost with it.
fn last_words(simulator: &Simulator) -> BTreeMap<u64, (u64, u64)> {
    const RIGHT_THEN_NS: u64 = 50_000_000;
    simulator.with_truth(|truth| {
        let ends: BTreeMap<u64, u64> =
            truth.connections().iter().filter_map(|c| Some((c.number, c.closed_ns?))).collect();
        let is_late = |frame: &FrameRecord| {
            ends.get(&frame.conn).is_some_and(|end| frame.write_ns.saturating_add(RIGHT_THEN_NS) > *end)
        };
        let (mut late, mut sure) = (BTreeSet::new(), BTreeSet::new());
        for frame in truth.frames(None).filter(|frame| frame.whole) {
            if let Some(event) = frame.event {
                if is_late(frame) {
                    late.insert(event)
                } else {
                    sure.insert(event)
                };
            }
        }
        let doubtful = truth.events().iter().filter(|event| late.contains(&event.seq) && !sure.contains(&event.seq));
        doubtful.map(|event| (event.seq, (event.first_id, event.last_id))).collect()
    })
}
