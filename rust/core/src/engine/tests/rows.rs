//! Of frames that bring several rows: each of them is a row of a table, or in a counter by its reason.

use std::collections::{BTreeMap, HashMap, HashSet};

use proptest::prelude::*;
use serde_json::Value;

use super::frames::{T0, deribit_ticker, deribit_trade, deribit_trades};
use super::harness::{A, NOON, World, recording_of};
use crate::config::EngineConfig;
use crate::symbol::Venue;
use crate::table::Table;

/// A row of a frame: whose it is (of three), its id or its age, and whether it is a row of a table at all.
type Row = (usize, i64, bool);

/// What rows come to, by reason.
type Counts = BTreeMap<&'static str, u64>;

#[derive(Clone, Copy, Debug)]
enum Feed {
    OkxTrades,
    DeribitTrades,
    /// Of whatever is traded.
    DeribitMixed,
    BinanceMarks,
}

impl Feed {
    fn venue(self) -> Venue {
        match self {
            Self::OkxTrades => Venue::Okx,
            Self::DeribitTrades | Self::DeribitMixed => Venue::Deribit,
            Self::BinanceMarks => Venue::BinanceFutures,
        }
    }

    fn table(self) -> Table {
        if matches!(self, Self::BinanceMarks) { Table::Derivatives } else { Table::Trades }
    }

    /// Whether frames are of one instrument.
    fn is_of_one(self) -> bool {
        matches!(self, Self::OkxTrades | Self::DeribitTrades)
    }

    fn frame(self, rows: &[Row]) -> String {
        let deribit = |rows: &[Row]| -> Vec<String> {
            let row = |(whose, seq, is_good): &Row| {
                let native = ["BTC-PERPETUAL", "ETH-PERPETUAL", "SOL_USDC-PERPETUAL"][*whose];
                let trade = deribit_trade(native, *seq, T0 + seq, "");
                if *is_good { trade } else { trade.replace(r#""amount":10.0"#, r#""amount":0.0"#) }
            };
            rows.iter().map(row).collect()
        };
        match self {
            Self::DeribitTrades => deribit_trades("BTC-PERPETUAL", &deribit(rows)),
            Self::DeribitMixed => deribit_trades("future.any", &deribit(rows)),
            Self::OkxTrades => {
                let row = |(_, id, is_good): &Row| {
                    let (size, ts) = (u8::from(*is_good), T0 + id);
                    format!(
                        r#"{{"instId":"BTC-USDT","tradeId":"{id}","px":"100.5","sz":"{size}","side":"buy","ts":"{ts}","count":"1","source":"0","seqId":{id}}}"#
                    )
                };
                let rows: Vec<String> = rows.iter().map(row).collect();
                format!(r#"{{"arg":{{"channel":"trades","instId":"BTC-USDT"}},"data":[{}]}}"#, rows.join(","))
            }
            Self::BinanceMarks => {
                let row = |(whose, age, is_good): &Row| {
                    let (symbol, ms, product) = (["AUSDT", "BUSDT", "CUSDT"][*whose], T0 + age, 2 - u8::from(*is_good));
                    format!(
                        r#"{{"e":"markPriceUpdate","E":{ms},"s":"{symbol}","p":"1.5","P":"1","i":"1","r":"0.0001","T":{NOON},"st":{product}}}"#
                    )
                };
                let rows: Vec<String> = rows.iter().map(row).collect();
                format!(r#"{{"stream":"!markPrice@arr@1s","data":[{}]}}"#, rows.join(","))
            }
        }
    }
}

/// What each row should come to.
#[derive(Default)]
struct Model {
    seen: HashSet<(usize, i64)>,
    newest: HashMap<usize, i64>,
    /// At most two are taken in.
    instruments: Vec<usize>,
}

impl Model {
    fn judge(&mut self, feed: Feed, (whose, id, is_good): Row) -> &'static str {
        let is_mark = matches!(feed, Feed::BinanceMarks);
        if is_mark && !is_good {
            return "other_product";
        }
        if !self.instruments.contains(&whose) {
            if self.instruments.len() == 2 {
                return "too_many_instruments";
            }
            self.instruments.push(whose);
        }
        if is_mark {
            let newest = self.newest.insert(whose, id);
            if let Some(newest) = newest.filter(|newest| id <= *newest) {
                self.newest.insert(whose, newest);
                return if id == newest { "duplicate" } else { "older_state" };
            }
            return "accepted";
        }
        match (self.seen.insert((whose, id)), is_good) {
            (false, _) => "duplicate",
            (true, false) => "zero_price_or_size",
            (true, true) => "accepted",
        }
    }
}

/// What the engine has counted of rows so far.
fn counted(world: &World) -> (u64, Counts) {
    let counters = world.counters();
    let rows = &counters["rows"];
    let of = |name: &str| rows[name].as_u64().unwrap_or(0);
    let mut counts: Counts = [("accepted", of("accepted")), ("duplicate", of("duplicate"))].into();
    for name in ["zero_price_or_size", "too_many_instruments", "older_state", "other_product"] {
        counts.insert(name, rows["ignored"][name].as_u64().unwrap_or(0));
    }
    let ignored: u64 =
        rows["ignored"].as_object().into_iter().flat_map(|of| of.values()).filter_map(Value::as_u64).sum();
    assert_eq!(of("accepted") + of("duplicate") + ignored, of("total"), "{rows}");
    (of("total"), counts)
}

fn world(feed: Feed) -> World {
    let mut world = World::new(EngineConfig { max_instruments: 2, ..recording_of(feed.venue()) });
    world.input(crate::engine::Input::ConnUp { conn: A, url: "", link: crate::engine::Link::default() });
    world
}

#[test]
fn a_row_that_is_left_out_of_a_frame_that_is_taken_is_counted_by_its_reason() {
    let row = |id, is_good| (0, id, is_good);
    for feed in [Feed::OkxTrades, Feed::DeribitTrades, Feed::DeribitMixed] {
        let mut world = world(feed);
        for rows in [&[row(1, true), row(2, false), row(3, true)][..], &[row(3, true), row(4, true)], &[row(9, true)]] {
            world.frame(A, &feed.frame(rows));
        }
        assert_eq!(world.rows(Table::Trades, &["symbol"]).len(), 4, "{feed:?}");
        assert_eq!(world.count("/frames/accepted"), 3);
        let rows = world.counters()["rows"].clone();
        let ignored = serde_json::json!({"zero_price_or_size": 1});
        assert_eq!(
            rows,
            serde_json::json!({"total": 5, "accepted": 3, "duplicate": 1, "ignored": ignored}),
            "{feed:?}"
        );
    }
}

/// A ticker of an option is a row of two tables: who wants one of them is told what became of the other.
#[test]
fn a_message_of_two_tables_is_two_rows() {
    let config = recording_of(Venue::Deribit);
    let mut world = World::new(EngineConfig { streams: vec![crate::config::Stream::Options], ..config });
    world.input(crate::engine::Input::ConnUp { conn: A, url: "", link: crate::engine::Link::default() });
    world.frame(A, &deribit_ticker("BTC-25DEC26-100000-C", T0, "0.05", r#","mark_iv":61.5,"greeks":{"delta":0.5}"#));
    world.frame(A, &deribit_ticker("BTC-PERPETUAL", T0, "100", ""));
    assert_eq!(world.rows(Table::Options, &["symbol"]).len(), 1);
    let told =
        ["/rows/total", "/rows/accepted", "/rows/ignored/unrequested_stream", "/frames/ignored/unrequested_stream"];
    assert_eq!(told.map(|counter| world.count(counter)), [2, 1, 1, 1]);
}

proptest! {
    #[test]
    fn whatever_came_is_a_row_or_in_a_counter_by_its_reason(
        feed in prop_oneof![
            Just(Feed::OkxTrades), Just(Feed::DeribitTrades), Just(Feed::DeribitMixed), Just(Feed::BinanceMarks)
        ],
        frames in prop::collection::vec(
            prop::collection::vec((0..3usize, 0i64..40, prop::bool::weighted(0.8)), 1..7), 1..20),
    ) {
        let (mut world, mut model) = (world(feed), Model::default());
        for mut rows in frames {
            if feed.is_of_one() {
                // In the order of their ids, as they are traded.
                rows.iter_mut().for_each(|row| row.0 = 0);
                rows.sort_by_key(|row| row.1);
            }
            let before = (counted(&world), world.counters()["frames"].clone(), world.rows(feed.table(), &["symbol"]).len());
            world.frame(A, &feed.frame(&rows));
            let written = (world.rows(feed.table(), &["symbol"]).len() - before.2) as u64;
            let mut expected = Counts::new();
            for row in &rows {
                *expected.entry(model.judge(feed, *row)).or_default() += 1;
            }
            prop_assert_eq!(written, expected.get("accepted").copied().unwrap_or(0));
            let (total, counts) = counted(&world);
            let delta: Counts = counts.iter().map(|(name, n)| (*name, n - before.0.1[name])).filter(|(_, n)| *n > 0).collect();
            let is_taken = world.counters()["frames"]["accepted"] != before.1["accepted"];
            prop_assert_eq!(is_taken, written > 0);
            if total > before.0.0 {
                prop_assert_eq!(total - before.0.0, rows.len() as u64);
                prop_assert!(rows.len() > 1);
                prop_assert_eq!(delta, expected);
            } else {
                // A row alone is its frame; a frame in which nothing is new may be dropped by its head, unread.
                prop_assert!(rows.len() == 1 || written == 0, "{:?}: {:?}", rows, expected);
                let reasons: Vec<&str> = expected.keys().copied().filter(|reason| *reason != "other_product").collect();
                prop_assert!(rows.len() == 1 || reasons.iter().all(|reason| ["duplicate", "older_state"].contains(reason)),
                    "{:?}: {:?}", rows, expected);
            }
        }
    }
}
