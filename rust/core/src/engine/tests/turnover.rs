//! Symbols come and go for as long as an engine runs: those that are gone take nobody's place.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::exchange::{Exchange, VENUES};
use super::harness::{agg_trade_at, all_rows};
use super::replay::replay;
use crate::config::Stream;
use crate::engine::Command;
use crate::engine::instrument::REMEMBERED;
use crate::symbol::{ConnId, Venue};
use crate::table::Table;

/// Symbols that there may be at once, with the one that is always there.
const ROOM: usize = 4;

fn name(symbol: usize) -> String {
    format!("X{symbol}USDT")
}

fn add(symbol: usize) -> Command {
    Command::Add(vec![name(symbol)])
}

fn remove(symbol: usize) -> Command {
    Command::Remove(vec![name(symbol)])
}

fn begin(room: usize) -> Exchange {
    let mut exchange = Exchange::new(Venue::BinanceFutures, &[Stream::Trades], |config| config.max_instruments = room);
    exchange.pass_ms(1_000);
    exchange
}

fn trade(exchange: &mut Exchange, symbol: usize, id: i64) {
    exchange.world.frame(ConnId(1), &agg_trade_at(&name(symbol), id, 1_795_348_700_000 + id, "1", "1"));
}

#[derive(Clone, Debug)]
enum Step {
    Add(usize),
    Remove(usize),
    Trade(usize, i64),
}

/// What is documented, in the simplest words: who runs, who has ended in which order, and what was seen of each.
#[derive(Default)]
struct Model {
    running: BTreeSet<usize>,
    ended: VecDeque<usize>,
    seen: BTreeMap<usize, BTreeSet<i64>>,
    rows: Vec<String>,
    after_end: u64,
    unsolicited: u64,
}

impl Model {
    /// False where there is no room.
    fn add(&mut self, symbol: usize) -> bool {
        if self.running.contains(&symbol) {
            return true;
        }
        // One is always there.
        if self.running.len() + 1 >= ROOM {
            return false;
        }
        self.ended.retain(|ended| *ended != symbol);
        if !self.seen.contains_key(&symbol)
            && self.running.len() + self.ended.len() + 1 >= ROOM
            && let Some(first) = self.ended.pop_front()
        {
            self.seen.remove(&first);
        }
        self.seen.entry(symbol).or_default();
        self.running.insert(symbol)
    }

    fn remove(&mut self, symbol: usize) -> bool {
        let was_there = self.running.remove(&symbol);
        self.ended.extend(was_there.then_some(symbol));
        was_there
    }

    fn trade(&mut self, symbol: usize, id: i64) {
        match self.seen.get_mut(&symbol) {
            Some(seen) if self.running.contains(&symbol) => {
                if seen.insert(id) {
                    self.rows.push(format!("{}|{id}", name(symbol)));
                }
            }
            Some(_) => self.after_end += 1,
            None => self.unsolicited += 1,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_seen_is_known_as_long_as_a_symbol_is_remembered(
        steps in prop::collection::vec(prop_oneof![
            2 => (0usize..7).prop_map(Step::Add),
            2 => (0usize..7).prop_map(Step::Remove),
            4 => (0usize..7, 1i64..6).prop_map(|(symbol, id)| Step::Trade(symbol, id)),
        ], 1..120),
    ) {
        let mut exchange = begin(ROOM);
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Add(symbol) => {
                    prop_assert_eq!(exchange.command(&add(symbol)).is_ok(), model.add(symbol), "{}", symbol);
                }
                Step::Remove(symbol) => {
                    prop_assert_eq!(exchange.command(&remove(symbol)).is_ok(), model.remove(symbol), "{}", symbol);
                }
                Step::Trade(symbol, id) => {
                    trade(&mut exchange, symbol, id);
                    model.trade(symbol, id);
                }
            }
            exchange.pass_ms(100);
        }
        prop_assert_eq!(exchange.world.rows(Table::Trades, &["symbol", "trade_id"]), model.rows);
        prop_assert_eq!(exchange.world.count("/frames/ignored/ended"), model.after_end);
        prop_assert_eq!(exchange.world.count("/frames/ignored/unsolicited"), model.unsolicited);
    }
}

#[test]
fn ten_thousand_symbols_have_room_for_two_one_after_the_other() {
    let mut exchange = begin(2);
    for symbol in 0..10_000 {
        exchange.command(&add(symbol)).expect("the one before is gone");
        trade(&mut exchange, symbol, 1);
        exchange.pass_ms(250);
        if symbol == 0 {
            let error = exchange.command(&add(1)).expect_err("two are there").to_string();
            assert!(error.contains("max_instruments"), "{error}");
        }
        exchange.command(&remove(symbol)).expect("it is there");
    }
    let told: Vec<String> = (0..10_000).map(name).collect();
    assert_eq!(exchange.world.rows(Table::Trades, &["symbol"]), told);
    let gaps = exchange.world.rows(Table::Gaps, &["symbol"]);
    assert!(gaps.iter().all(|symbol| symbol == "BTCUSDT"), "of those that were removed nothing was missing");
}

#[test]
fn the_latest_that_have_ended_are_remembered_and_no_more() {
    let mut exchange = begin(1 << 16);
    for symbol in 0..=REMEMBERED {
        exchange.command(&add(symbol)).expect("there is room");
        trade(&mut exchange, symbol, 1);
        exchange.command(&remove(symbol)).expect("it is there");
        exchange.pass_ms(1_000);
    }
    for symbol in [0, 1, REMEMBERED] {
        trade(&mut exchange, symbol, 1);
    }
    assert_eq!(exchange.world.count("/frames/ignored/unsolicited"), 1, "of the first nobody knows anything");
    assert_eq!(exchange.world.count("/frames/ignored/ended"), 2);
    for symbol in [0, 1, REMEMBERED] {
        exchange.command(&add(symbol)).expect("there is room");
        trade(&mut exchange, symbol, 1);
    }
    let again = exchange.world.rows(Table::Trades, &["symbol"]).split_off(REMEMBERED + 1);
    assert_eq!(again, [name(0)], "what is not known any more is new");
}

/// Late timers and replies name whom they are for.
#[test]
fn what_is_meant_for_one_that_is_forgotten_does_not_reach_who_has_its_place() {
    let mut exchange = begin(2);
    exchange.command(&add(1)).expect("there is room");
    let instruments = &mut exchange.world.engine.instruments;
    let first = instruments.id_of(&name(1)).expect("it was taken in");
    exchange.command(&remove(1)).expect("it is there");
    exchange.command(&add(2)).expect("there is room again");
    let instruments = &mut exchange.world.engine.instruments;
    let second = instruments.id_of(&name(2)).expect("it was taken in");
    assert_eq!((second.slot, instruments.id_of(&name(1))), (first.slot, None));
    assert!(instruments.get(first).is_none() && instruments.get(second).is_some());
}

#[test]
fn a_replay_says_the_same_of_symbols_that_came_and_went() {
    for venue in VENUES {
        let others: [&str; 3] = match venue {
            Venue::BinanceFutures | Venue::BinanceSpot => ["ETHUSDT", "XRPUSDT", "ADAUSDT"],
            Venue::Okx => ["ETH-USDT", "XRP-USDT", "ADA-USDT"],
            Venue::Deribit => ["ETH_USDC", "XRP_USDC", "ADA_USDC"],
        };
        let mut exchange = Exchange::new(venue, &[Stream::Trades, Stream::L2], |config| {
            config.max_instruments = 2;
            config.connections = 2;
        });
        exchange.run_ms(3_000, 500);
        for other in others.iter().cycle().take(9) {
            exchange.command(&Command::Add(vec![(*other).into()])).expect("there is room");
            for (line, id) in exchange.lines.clone().into_iter().zip([1, 4]) {
                let (text, base) = (super::exchange::trade(venue, id), &other[..3]);
                exchange.world.frame(line.conn, &text.replace("BTC", base).replace("btc", &base.to_lowercase()));
            }
            // What is missing of it may still be waited for.
            exchange.run_ms(200, 100);
            exchange.command(&Command::Remove(vec![(*other).into()])).expect("it is there");
            exchange.run_ms(300, 100);
        }
        let trades = exchange.world.rows(Table::Trades, &["symbol"]);
        let own = trades.iter().filter(|symbol| symbol.starts_with("BTC")).count() as i64;
        assert_eq!((own, trades.len() as i64 - own), (exchange.id - 1, 18), "{venue:?}");
        let gaps = exchange.world.rows(Table::Gaps, &["symbol", "first_missing", "last_missing"]);
        assert!(gaps.iter().all(|gap| !gap.starts_with("BTC") && gap.ends_with("|2|3")), "{venue:?}: {gaps:?}");
        assert_eq!(gaps.len(), 18, "{venue:?}: two rows each");
        let mut again = replay(&mut exchange.world);
        again.rows(Table::Raw, &["kind"]);
        for table in Table::ALL {
            let told = (all_rows(&again.batches, table), all_rows(&exchange.world.batches, table));
            assert_eq!(told.0, told.1, "{venue:?} {table:?}");
        }
    }
}
