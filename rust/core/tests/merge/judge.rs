//! What the tables must hold, by models that know the clean stream and the log of what was told, and nothing of the
//! engine.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use xtrader_core::table::Table;

use crate::carriage::{Case, Happening, Outcome, WINDOW, What};
use crate::cells::cell;
use crate::frames::T0;
use crate::stream::{Exchange, PRICES, Stream};

type Ids = BTreeSet<i64>;

/// Everything that can be said of an outcome.
pub fn all(case: &Case, outcome: &Outcome) {
    every_gap_is_two_rows(outcome);
    trades_are_the_clean_ones(outcome);
    missing_trades_are_named(outcome);
    every_row_leaves_the_true_book(outcome);
    the_book_is_whole_at_the_end(outcome);
    if case.copies.iter().all(|copy| copy.outages.is_empty()) {
        the_book_goes_as_the_overlap_rule_has_it(case, outcome);
    }
}

/// The named columns of the rows of a table.
fn rows(outcome: &Outcome, table: Table, columns: &[&str]) -> Vec<Vec<String>> {
    let batches = outcome.batches.iter().filter(|batch| batch.table == table);
    let row =
        |batch: &xtrader_core::batch::Batch, row| columns.iter().map(|name| cell(&batch.rows, name, row)).collect();
    batches.flat_map(|batch| (0..batch.rows.num_rows()).map(move |n| row(batch, n))).collect()
}

fn number(text: &str) -> i64 {
    text.parse().unwrap_or_else(|_| panic!("no number: {text:?}"))
}

/// A gap in the table.
#[derive(Debug, Default)]
struct Gap {
    stream: String,
    cause: String,
    /// Of its first row.
    detected: Option<(i64, Option<(i64, i64)>)>,
    /// Of its second row.
    closed: Option<(i64, Option<(i64, i64)>)>,
    repaired: String,
    conns: String,
}

impl Gap {
    /// Filled before anybody had to be told.
    fn is_healed(&self) -> bool {
        self.repaired == "connection" && self.detected.map(|(msg, _)| msg) == self.closed.map(|(msg, _)| msg)
    }
}

fn gaps(outcome: &Outcome) -> BTreeMap<i64, Gap> {
    let columns = [
        "gap_id",
        "stream",
        "cause",
        "msg_id",
        "first_missing",
        "last_missing",
        "missing",
        "ts_resumed",
        "repaired",
        "conn_ids",
    ];
    let mut gaps: BTreeMap<i64, Gap> = BTreeMap::new();
    for row in rows(outcome, Table::Gaps, &columns) {
        let gap = gaps.entry(number(&row[0])).or_default();
        (gap.stream, gap.cause, gap.conns) = (row[1].clone(), row[2].clone(), row[9].clone());
        let ids = (!row[4].is_empty()).then(|| (number(&row[4]), number(&row[5])));
        if let Some((first, last)) = ids.filter(|_| row[1] == "trades") {
            assert_eq!(number(&row[6]), last - first + 1, "they are counted: {row:?}");
        }
        let told = Some((number(&row[3]), ids));
        if row[7].is_empty() {
            assert!(gap.detected.is_none() && gap.closed.is_none(), "the first row comes first and once: {row:?}");
            gap.detected = told;
        } else {
            assert!(gap.detected.is_some() && gap.closed.is_none(), "the second row comes second and once: {row:?}");
            (gap.closed, gap.repaired) = (told, row[8].clone());
        }
    }
    gaps
}

fn every_gap_is_two_rows(outcome: &Outcome) {
    let gaps = gaps(outcome);
    for (id, gap) in &gaps {
        assert!(gap.closed.is_some(), "gap {id} is open for ever: {gap:?}");
    }
    let healed = gaps.values().filter(|gap| gap.is_healed()).count() as u64;
    assert_eq!(outcome.counters["healed"], healed);
    assert_eq!(outcome.counters["gaps"], gaps.len() as u64 - healed);
}

/// As a set, each once, in order of arrival.
fn trades_are_the_clean_ones(outcome: &Outcome) {
    let mut seen = BTreeSet::new();
    let mut wanted = Vec::new();
    for happening in &outcome.log {
        if let What::Trades { first, last } = happening.what {
            wanted.extend((first..=last).filter(|trade| seen.insert(*trade)));
        }
    }
    let id = |trade: usize| outcome.stream.trades[trade].last.to_string();
    let column = if outcome.stream.exchange == Exchange::Deribit { "seq" } else { "trade_id" };
    let told: Vec<String> = rows(outcome, Table::Trades, &[column]).concat();
    assert_eq!(told, wanted.into_iter().map(id).collect::<Vec<_>>());
}

/// What a collector of ids knows of the missing ones.
#[derive(Default)]
struct Missing {
    /// Which never came.
    lost: Ids,
    /// Which did not come within the window, or when nobody could be expected to bring them.
    declared: Ids,
    /// Which came within it, and whoever went on without them had been there before.
    healed: Ids,
    /// Which were missing when every connection was down.
    of_outages: Ids,
}

fn missing(outcome: &Outcome) -> Missing {
    let mut missing = Missing::default();
    let mut noticed: HashMap<i64, (u64, bool)> = HashMap::new();
    let (mut seen, mut high, mut is_out) = (Ids::new(), None, false);
    let mut spoke: BTreeSet<usize> = BTreeSet::new();
    for Happening { at, conn, what, .. } in &outcome.log {
        match what {
            What::Down => is_out |= spoke.remove(conn) && spoke.is_empty() && high.is_some(),
            What::Trades { first, last } => {
                let is_known = !spoke.insert(*conn);
                for trade in &outcome.stream.trades[*first..=*last] {
                    if seen.contains(&trade.last) {
                        continue;
                    }
                    for id in high.map_or(trade.first, |high: i64| high + 1)..trade.first {
                        if is_out {
                            missing.of_outages.insert(id);
                        } else if spoke.len() == 1 {
                            missing.declared.insert(id);
                        } else {
                            noticed.insert(id, (*at, is_known));
                        }
                    }
                    is_out = false;
                    for id in trade.first..=trade.last {
                        seen.insert(id);
                        match noticed.remove(&id) {
                            Some((since, true)) if at - since < WINDOW => {
                                missing.healed.insert(id);
                            }
                            Some((since, _)) if at - since >= WINDOW => {
                                missing.declared.insert(id);
                            }
                            _ => {}
                        }
                    }
                    high = high.max(Some(trade.last));
                }
            }
            _ => {}
        }
    }
    missing.declared.extend(noticed.keys());
    let all: Ids = missing.declared.union(&missing.of_outages).copied().collect();
    missing.lost = all.difference(&seen).copied().collect();
    missing
}

fn missing_trades_are_named(outcome: &Outcome) {
    let wanted = missing(outcome);
    let (mut lost, mut declared, mut healed) = (Ids::new(), Ids::new(), Ids::new());
    let mut closings: Vec<(i64, i64, Gap)> = Vec::new();
    for (id, gap) in gaps(outcome) {
        if gap.stream == "trades" {
            closings.push((gap.closed.map_or(0, |(msg, _)| msg), id, gap));
        }
    }
    closings.sort_by_key(|(msg, id, _)| (*msg, *id));
    for (_, _, gap) in closings {
        let of = |told: Option<(i64, Option<(i64, i64)>)>| told.and_then(|(_, ids)| ids);
        let ids = |told| of(told).map_or(Ids::new(), |(first, last)| (first..=last).collect());
        match gap.repaired.as_str() {
            "none" => lost.extend(ids(gap.closed)),
            _ => lost = lost.difference(&ids(gap.closed)).copied().collect(),
        }
        if gap.is_healed() {
            healed.extend(ids(gap.closed));
        } else if gap.cause == "missed" {
            declared.extend(ids(gap.detected));
        }
    }
    assert_eq!(lost, wanted.lost, "exactly what no copy brought is named as lost");
    assert_eq!(declared, wanted.declared, "exactly what no copy brought in time is declared");
    assert!(healed.is_superset(&wanted.healed), "{:?} are not told as healed", wanted.healed.difference(&healed));
}

/// The rows chain, and what they leave is the book that the exchange had at that id.
fn every_row_leaves_the_true_book(outcome: &Outcome) {
    let stream = &outcome.stream;
    let columns = [
        "is_snapshot",
        "prev_id",
        "last_id",
        "ts_event",
        "bid_prices",
        "bid_sizes",
        "ask_prices",
        "ask_sizes",
        "source",
    ];
    let mut book: BTreeMap<String, String> = BTreeMap::new();
    let mut before = String::new();
    for row in rows(outcome, Table::L2, &columns) {
        if row[8] == "checkpoint" {
            continue;
        }
        if row[0] == "true" {
            book.clear();
        }
        assert_eq!(row[1], before, "the rows chain: {row:?}");
        before.clone_from(&row[2]);
        for (prices, sizes) in [(&row[4], &row[5]), (&row[6], &row[7])] {
            let list = |text: &str| text.trim_matches(['[', ']']).split(',').map(str::to_owned).collect::<Vec<_>>();
            for (price, size) in list(prices).into_iter().zip(list(sizes)).filter(|(price, _)| !price.is_empty()) {
                if size == "0" {
                    book.remove(&price);
                } else {
                    book.insert(price, size);
                }
            }
        }
        let id = number(&row[2]);
        let of_this_id = stream.states.iter().filter(|state| state.id == id);
        let state = if stream.exchange == Exchange::Okx {
            let at = number(&row[3]) / 1_000_000 - T0;
            of_this_id.clone().find(|state| state.at as i64 == at)
        } else {
            of_this_id.clone().next()
        };
        let Some(state) = state else { panic!("no such state: {row:?}") };
        let levels = state.levels.iter().filter(|(_, size)| **size > 0);
        let truth: BTreeMap<String, String> =
            levels.map(|(level, size)| (PRICES[*level].to_owned(), size.to_string())).collect();
        assert_eq!(book, truth, "{:?} after {row:?}", stream.exchange);
    }
}

/// Every connection was up and whole at the end, so the book must be too.
fn the_book_is_whole_at_the_end(outcome: &Outcome) {
    let last = &outcome.stream.states[outcome.stream.states.len() - 1];
    assert_eq!((outcome.book.state.as_str(), outcome.book.last_id), ("live", Some(last.id)));
    assert_eq!(outcome.book.in_flight, 0);
}

/// A book as a reader keeps it that knows the overlap rule and nothing else, up to its first gap.
#[derive(Default)]
struct Reader {
    at: Option<usize>,
    /// Arrival, and the states they lead from and to.
    held: Vec<(u64, usize, usize)>,
    /// How far each connection has come.
    chains: HashMap<usize, usize>,
    /// States it went to, one by one.
    went: Vec<(usize, usize)>,
    has_gap: bool,
}

impl Reader {
    fn drain(&mut self) {
        self.held.sort_by_key(|(_, from, to)| (*to, *from));
        while let Some(at) = self.at {
            self.held.retain(|(_, _, to)| *to > at);
            let Some(n) = self.held.iter().position(|(_, from, _)| *from <= at) else { return };
            let (_, _, to) = self.held.remove(n);
            self.went.push((at, to));
            self.at = Some(to);
        }
    }

    fn is_overdue(&self, now: u64) -> bool {
        self.at.is_some() && self.held.iter().any(|(since, _, _)| since + WINDOW <= now)
    }

    fn take(&mut self, stream: &Stream, happening: &Happening) {
        match happening.what {
            What::Snapshot(state) => {
                let state = stream.settled(state);
                if stream.exchange.sends_snapshots() {
                    self.chains.insert(happening.conn, state);
                }
                if self.at.is_none() {
                    self.at = Some(state);
                    self.drain();
                    if !self.held.is_empty() {
                        // It lies before everything held.
                        (self.at, self.went) = (None, Vec::new());
                    }
                }
            }
            What::Book { from, to } => {
                let (from, to) = (stream.settled(from), stream.settled(to));
                self.chains.insert(happening.conn, to);
                match self.at {
                    None if stream.exchange.sends_snapshots() => {}
                    None => self.held.push((happening.at, from, to)),
                    Some(at) if to <= at => {}
                    Some(_) => {
                        self.held.push((happening.at, from, to));
                        self.drain();
                    }
                }
                let nobody_can = |at| self.chains.values().all(|chain| *chain > at);
                self.has_gap |= !self.held.is_empty() && self.at.is_some_and(nobody_can);
            }
            _ => {}
        }
    }
}

/// Where every connection stays: the same messages are taken, and a gap is told if and only if there is one.
fn the_book_goes_as_the_overlap_rule_has_it(case: &Case, outcome: &Outcome) {
    let stream = &outcome.stream;
    let mut reader = Reader::default();
    for happening in &outcome.log {
        reader.has_gap |= reader.is_overdue(happening.at);
        if reader.has_gap {
            break;
        }
        reader.take(stream, happening);
    }
    let broken: Vec<Gap> = gaps(outcome).into_values().filter(|gap| gap.stream == "l2" && !gap.is_healed()).collect();
    let resets = broken.iter().filter(|gap| gap.cause == "id_reset").count();
    if reader.has_gap {
        assert!(broken.len() > resets, "there is a gap and it is not told");
        return;
    }
    assert_eq!(broken.len(), resets, "there is no gap: {broken:?}");
    let went = &reader.went;
    let passed = went.iter().filter(|(from, to)| stream.states[from + 1..=*to].iter().any(|state| state.is_reset));
    assert_eq!(resets, passed.count(), "ids that fall are named once");
    if stream.exchange.cuts_alike() || case.copies.iter().all(|copy| copy.cuts == [1]) {
        // One by one, each row is the clean one.
        let told =
            rows(outcome, Table::L2, &["is_snapshot", "prev_id", "last_id", "bid_prices", "ask_prices", "source"]);
        let told: Vec<Vec<String>> =
            told.into_iter().filter(|row| row[0] == "false" && row[5] == "ws" && row[1] != row[2]).collect();
        let clean: Vec<Vec<String>> = went
            .iter()
            .map(|(from, to)| {
                let sides = stream.levels(Some(*from), *to);
                let [bids, asks] = sides
                    .map(|side| format!("[{}]", side.iter().map(|(price, _)| *price).collect::<Vec<_>>().join(",")));
                let id = |state: usize| stream.states[state].id.to_string();
                vec!["false".into(), id(*from), id(*to), bids, asks, "ws".into()]
            })
            .collect();
        assert_eq!(told, clean, "rows are those of the clean stream");
    }
}
