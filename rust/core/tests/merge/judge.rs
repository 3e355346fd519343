//! What the tables must hold, by models that know the clean stream and the log of what was told, and nothing of the
//! engine.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use xtrader_core::table::Table;

use crate::carriage::{Case, Copy, Happening, Outcome, RESYNC, WINDOW, What};
use crate::cells::cell;
use crate::fold::{self, Fold};
use crate::frames::T0;
use crate::reader::{Reader, Told};
use crate::stream::{Exchange, PRICES, State, Stream};

type Ids = BTreeSet<i64>;

/// Everything that can be said of an outcome.
pub fn all(case: &Case, outcome: &Outcome) {
    every_gap_is_two_rows(outcome);
    trades_are_the_clean_ones(outcome);
    missing_trades_are_named(outcome);
    every_row_leaves_the_true_book(outcome);
    the_book_is_whole_at_the_end(outcome);
    no_snapshot_is_asked_for_in_vain(case, outcome);
    ids_of_books_that_fall_are_named(outcome);
    if (0..outcome.stream.states.len()).any(|state| outcome.stream.is_beginning(state)) {
        no_gap_of_a_book_is_invented(case, outcome);
    } else {
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
    /// How often ids have fallen while some connection was up.
    resets: usize,
}

fn missing(outcome: &Outcome) -> Missing {
    let mut missing = Missing::default();
    let mut noticed: HashMap<i64, (u64, bool)> = HashMap::new();
    let (mut seen, mut is_out) = (Ids::new(), false);
    // The highest id since ids fell for the so-manieth time, and who has spoken since.
    let mut highs: BTreeMap<i64, i64> = BTreeMap::new();
    let mut spoke: BTreeSet<(i64, usize)> = BTreeSet::new();
    let mut up: BTreeSet<usize> = BTreeSet::new();
    for Happening { at, conn, what, .. } in &outcome.log {
        match what {
            What::Down => {
                is_out |= up.remove(conn) && up.is_empty() && !highs.is_empty();
                spoke.retain(|(_, other)| other != conn);
            }
            What::Trades { first, last } => {
                up.insert(*conn);
                let epoch = outcome.stream.trades[*first].epoch;
                let is_known = !spoke.insert((epoch, *conn));
                for trade in &outcome.stream.trades[*first..=*last] {
                    if seen.contains(&trade.last) {
                        continue;
                    }
                    let high = highs.get(&epoch).copied();
                    missing.resets += usize::from(high.is_none() && !is_out && highs.keys().any(|past| *past < epoch));
                    // What is of before ids fell is not what an outage ends with.
                    let ends_it = highs.keys().all(|other| *other <= epoch);
                    for id in high.map_or(trade.first, |high| high + 1)..trade.first {
                        if is_out && ends_it {
                            missing.of_outages.insert(id);
                        } else if up.len() == 1 {
                            missing.declared.insert(id);
                        } else {
                            noticed.insert(id, (*at, is_known));
                        }
                    }
                    is_out &= !ends_it;
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
                    highs.insert(epoch, high.map_or(trade.last, |high| high.max(trade.last)));
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
    let mut resets = 0;
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
        resets += usize::from(gap.cause == "id_reset");
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
    assert_eq!(resets, wanted.resets, "ids that fall are named once");
    assert!(healed.is_superset(&wanted.healed), "{:?} are not told as healed", wanted.healed.difference(&healed));
}

/// The state that has this id. OKX may say an id twice: then its time tells.
fn state_of(stream: &Stream, id: i64, event: &str) -> usize {
    let is_it = |state: &&State| {
        state.id == id && (stream.exchange != Exchange::Okx || T0 + state.at as i64 == number(event) / 1_000_000)
    };
    let found = stream.states.iter().position(|state| is_it(&state));
    found.unwrap_or_else(|| panic!("no such state: {id} at {event}"))
}

/// The rows chain, and what they leave is the book that the exchange had at that id.
fn every_row_leaves_the_true_book(outcome: &Outcome) {
    let stream = &outcome.stream;
    let mut fold = Fold::default();
    for row in rows(outcome, Table::L2, &[&fold::COLUMNS[..], &["ts_event", "source"]].concat()) {
        if row[8] == "checkpoint" {
            continue;
        }
        fold.take(&row);
        let state = &stream.states[state_of(stream, number(&row[2]), &row[7])];
        let levels = state.levels.iter().filter(|(_, size)| **size > 0);
        let truth: BTreeMap<String, String> =
            levels.map(|(level, size)| (PRICES[*level].to_owned(), size.to_string())).collect();
        assert_eq!(fold.book, truth, "{:?} after {row:?}", stream.exchange);
    }
}

/// Every connection was up and whole at the end, so the book must be too.
fn the_book_is_whole_at_the_end(outcome: &Outcome) {
    let last = &outcome.stream.states[outcome.stream.states.len() - 1];
    assert_eq!((outcome.book.state.as_str(), outcome.book.last_id), ("live", Some(last.id)));
    assert_eq!(outcome.book.in_flight, 0);
}

/// Where the stream itself brings it, the next one is good. By REST, with a new one every so often, connections may lag
/// behind it or be ahead, and what they brought of before ids fell is let go three seconds after they did.
fn no_snapshot_is_asked_for_in_vain(case: &Case, outcome: &Outcome) {
    let most_of_a_channel = 3;
    let latest = case.copies.iter().map(Copy::latest).max().unwrap_or(0);
    let most_by_rest = 2 + usize::try_from((latest + 3_000) / RESYNC).expect("a few");
    let most = if outcome.stream.exchange.sends_snapshots() { most_of_a_channel } else { most_by_rest };
    assert!(outcome.in_vain <= most, "{} in a row", outcome.in_vain);
}

/// The same messages are taken, and the same gaps are told, healed ones among them, in the same order.
fn the_book_goes_as_the_overlap_rule_has_it(case: &Case, outcome: &Outcome) {
    let stream = &outcome.stream;
    let reader = Reader::of(outcome);
    let told: Vec<Told> = gaps_of_books(outcome)
        .map(|gap| Told {
            is_healed: gap.is_healed(),
            ids: gap.closed.and_then(|(_, ids)| ids),
            cause: ["missed", "disconnect", "id_reset"]
                .into_iter()
                .find(|cause| gap.cause == *cause)
                .unwrap_or("other"),
        })
        .collect();
    assert_eq!(told, reader.told, "gaps of the book");
    if stream.exchange.cuts_alike() || case.copies.iter().all(|copy| copy.cuts == [1]) {
        // One by one, each row is the clean one.
        let told =
            rows(outcome, Table::L2, &["is_snapshot", "prev_id", "last_id", "bid_prices", "ask_prices", "source"]);
        let told: Vec<Vec<String>> =
            told.into_iter().filter(|row| row[0] == "false" && row[5] == "ws" && row[1] != row[2]).collect();
        let clean: Vec<Vec<String>> = reader
            .went
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

fn gaps_of_books(outcome: &Outcome) -> impl Iterator<Item = Gap> {
    gaps(outcome).into_values().filter(|gap| gap.stream == "l2")
}

/// The states of the rows of a book, by which input each came, and whether it is a snapshot.
fn states(outcome: &Outcome) -> Vec<(i64, usize, bool)> {
    let rows = rows(outcome, Table::L2, &["msg_id", "last_id", "ts_event", "is_snapshot", "source"]);
    let told = rows.iter().filter(|row| row[4] != "checkpoint");
    told.map(|row| (number(&row[0]), state_of(&outcome.stream, number(&row[1]), &row[2]), row[3] == "true")).collect()
}

/// A book that goes on behind ids that fall has named that; where it was not the exchange's anyway, the gap that it has.
fn ids_of_books_that_fall_are_named(outcome: &Outcome) {
    let stream = &outcome.stream;
    let told: Vec<Gap> = gaps_of_books(outcome).filter(|gap| !gap.is_healed()).collect();
    let mut passed = 0;
    for (before, after) in states(outcome).windows(2).map(|pair| (pair[0], pair[1])) {
        let falls = (before.1 + 1..=after.1).filter(|state| stream.states[*state].is_reset).count();
        let msg = |told: Option<(i64, Option<(i64, i64)>)>| told.map_or(0, |(msg, _)| msg);
        let between = |gap: &&Gap| before.0 <= msg(gap.detected) && msg(gap.closed) <= after.0;
        passed += falls;
        let is_replaced = stream.exchange == Exchange::Okx && after.2;
        if falls > 0 && !is_replaced {
            assert!(told.iter().any(|gap| between(&gap)), "ids fell between {before:?} and {after:?}: {told:?}");
        }
    }
    let named = told.iter().filter(|gap| gap.cause == "id_reset").count();
    // A snapshot of a connection that lags may lead back, and the book past it once more.
    let fallen = stream.states.iter().filter(|state| state.is_reset).count().max(passed);
    assert!(named <= fallen, "ids fell {fallen} times: {told:?}");
}

/// Where ids begin anew without a word, how that is found out is the engine's to know; but what it tells as missing lies
/// between two states of one time, and nobody has brought it since the book came there. Each opening of a connection may
/// put it on the wrong side of a fall once.
fn no_gap_of_a_book_is_invented(case: &Case, outcome: &Outcome) {
    let stream = &outcome.stream;
    let states = states(outcome);
    let falls = stream.states.iter().filter(|state| state.is_reset).count();
    let openings = case.copies.iter().map(|copy| 1 + copy.outages.len()).sum::<usize>();
    let mut spanning = 0;
    for gap in gaps_of_books(outcome).filter(|gap| gap.cause == "missed") {
        let (detected, _) = gap.detected.expect("a first row");
        let (first, last) = gap.closed.and_then(|(_, ids)| ids).expect("a hole lies between two ids");
        let state = |id| stream.states.iter().position(|state| state.id == id).expect("ids of the stream");
        let (before, after) = (state(first - 1), state(last));
        let spans_the_fall = before >= after || (before + 1..=after).any(|n| stream.states[n].is_reset);
        if spans_the_fall {
            // Of a connection that has just joined, clocks that may differ do not tell on which side it is.
            assert!(case.copies.iter().any(|copy| copy.lag > 0 || !copy.outages.is_empty()), "{gap:?}");
            spanning += 1;
            assert!(spanning <= openings * falls, "it has been told how far they lie apart: {gap:?}");
            continue;
        }
        let since = states.iter().rev().find(|(input, state, _)| *input <= detected && *state == before);
        let since = since.unwrap_or_else(|| panic!("the book was never there: {gap:?}")).0;
        let brings = |told: &&Happening| {
            since < told.input
                && told.input < detected
                && matches!(told.what, What::Book { from, to } if from <= before && before < to)
        };
        let bringer = outcome.log.iter().find(brings).filter(|_| !gap.is_healed());
        assert!(bringer.is_none(), "{bringer:?} follows, and still {gap:?}");
    }
}
