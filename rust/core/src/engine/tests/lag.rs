//! Books over connections that lag behind REST and behind each other, by gateways whose clocks differ: what lags is no fall
//! of ids, and a fall is no lag.

use super::frames::{spot_depth, spot_snapshot};
use super::harness::{A, B, NOON, World, depth_at, live_config, snapshot_at};
use crate::config::Stream;
use crate::engine::{Action, DownReason, Input, Link};
use crate::symbol::{ConnId, Venue};
use crate::table::Table;

const BY_REST: [Venue; 2] = [Venue::BinanceSpot, Venue::BinanceFutures];
const STEP_MS: i64 = 100;

/// An exchange that makes a change every 100 ms, ten ids each.
struct Market {
    venue: Venue,
    /// How far our clock is ahead of its.
    ahead_ms: i64,
    /// Ids are lower by so much since a change.
    fallen: (i64, i64),
}

impl Market {
    fn new(venue: Venue) -> Self {
        Self { venue, ahead_ms: 0, fallen: (i64::MAX, 0) }
    }

    fn time(&self, n: i64) -> i64 {
        NOON / 1_000_000 - self.ahead_ms + STEP_MS * n
    }

    fn id(&self, n: i64) -> i64 {
        100_010 + 10 * n - if n >= self.fallen.0 { self.fallen.1 } else { 0 }
    }

    /// Change `n`, by a gateway whose clock is ahead.
    fn change_by(&self, n: i64, ahead_ms: i64) -> String {
        let (id, time) = (self.id(n), self.time(n) + ahead_ms);
        match self.venue {
            Venue::BinanceSpot => spot_depth("BTCUSDT", (id - 9, id), time, &[("98.0", "1")], &[]),
            _ => depth_at("BTCUSDT", (id - 10, id - 9, id), time, r#"["98.0","1"]"#, ""),
        }
    }

    fn change(&self, n: i64) -> String {
        self.change_by(n, 0)
    }

    /// The book behind change `n`.
    fn book(&self, n: i64) -> String {
        match self.venue {
            Venue::BinanceSpot => spot_snapshot(self.id(n), &[("98.0", "1")], &[("101.0", "1")]),
            _ => snapshot_at(self.id(n), self.time(n), r#"["98.0","1"]"#, r#"["101.0","1"]"#),
        }
    }

    fn recorded_book(&self, world: &mut World, n: i64) {
        world.reply(None, "https://x/api/v3/depth?symbol=BTCUSDT&limit=1000", 200, &self.book(n));
    }
}

fn needs_a_book(world: &World) -> bool {
    world.engine.books().first().is_some_and(|book| ["awaiting_snapshot", "resyncing"].contains(&&*book.state))
}

fn causes(world: &mut World) -> Vec<String> {
    let second = |row: &String| row.ends_with('|');
    let rows = world.rows(Table::Gaps, &["cause", "ts_resumed"]);
    rows.into_iter().filter(second).map(|row| row.trim_end_matches('|').to_owned()).collect()
}

// Fault: N10
#[test]
fn a_connection_that_lags_behind_rest_by_any_time_gets_its_book() {
    for venue in BY_REST {
        for lag in [0, 1, 29, 31, 50, 200] {
            // Clocks that are wrong, too, by more than a lag that is short.
            for ahead_ms in [0, 100_000, 2_500].into_iter().chain((lag < 30).then_some(-100_000)) {
                let market = Market { ahead_ms, ..Market::new(venue) };
                let mut world = World::replaying_at(venue, 1);
                for now in 0..400 {
                    world.frame(A, &market.change(now - lag));
                    if now % 3 == 2 && needs_a_book(&world) {
                        market.recorded_book(&mut world, now);
                    }
                    world.pass_ms(STEP_MS.unsigned_abs());
                }
                assert!(causes(&mut world).is_empty(), "{venue:?} {lag} {ahead_ms}");
                let book = &world.engine.books()[0];
                assert_eq!(
                    (book.snapshots, book.last_id),
                    (1, Some(market.id(399 - lag))),
                    "{venue:?} {lag} {ahead_ms}"
                );
            }
        }
    }
}

// Fault: N10, X01
#[test]
fn the_connection_that_is_left_lags_and_its_book_is_asked_for_once() {
    for venue in BY_REST {
        let market = Market::new(venue);
        let mut config = live_config(venue, &["BTCUSDT"], &[Stream::L2]);
        config.connections = 2;
        let mut world = World::new(config);
        for _ in 0..4 {
            world.connect_all();
            world.pass_ms(2_000);
        }
        let (lag, lost) = (50, 300);
        let mut asked = 0;
        for now in 80..700 {
            match now {
                ..200 => world.frame(A, &market.change(now)),
                200 => world.down(A, DownReason::Reset),
                _ => {}
            }
            if now - lag != lost {
                world.frame(B, &market.change(now - lag));
            }
            for action in std::mem::take(&mut world.actions) {
                if let Action::Http { request, url, .. } = action
                    && url.contains("/depth?")
                    && !url.ends_with("limit=5")
                {
                    asked += 1;
                    world.reply(Some(request), &url, 200, &market.book(now));
                }
            }
            world.pass_ms(STEP_MS.unsigned_abs());
        }
        assert_eq!((asked, causes(&mut world)), (2, vec!["missed".to_owned()]), "{venue:?}");
        assert_eq!(world.engine.books()[0].last_id, Some(market.id(699 - lag)));
    }
}

// Fault: X21
#[test]
fn a_snapshot_of_before_ids_fell_is_given_up_once_times_have_gone_beyond_it() {
    for venue in BY_REST {
        for lag in [0, 20, 50] {
            let market = Market { fallen: (12, 50_000), ..Market::new(venue) };
            let mut world = World::replaying_at(venue, 1);
            let mut told_at = None;
            for now in 0..200 {
                // Ids fall while the connection is cut; nothing comes that says so.
                if now - lag >= 12 {
                    world.frame(A, &market.change(now - lag));
                }
                if now == 11 {
                    world.frame(A, &market.change(10 - lag));
                    market.recorded_book(&mut world, 11);
                    world.down(A, DownReason::Reset);
                    world.input(Input::ConnUp { conn: A, url: "", link: Link::default() });
                    world.frame(A, &market.change(10 - lag));
                    market.recorded_book(&mut world, 11);
                } else if now % 3 == 2 && now > 12 && needs_a_book(&world) {
                    market.recorded_book(&mut world, now);
                }
                if told_at.is_none() && causes(&mut world).contains(&"id_reset".to_owned()) {
                    told_at = Some(now - lag);
                }
                world.pass_ms(STEP_MS.unsigned_abs());
            }
            assert!(told_at.is_some_and(|at| at < 50), "{venue:?} {lag}: {told_at:?}");
            assert_eq!(causes(&mut world), ["disconnect", "id_reset"], "{venue:?} {lag}");
            assert_eq!(world.engine.books()[0].last_id, Some(market.id(199 - lag)), "{venue:?} {lag}");
        }
    }
}

// Fault: N10
#[test]
fn clocks_of_gateways_that_differ_are_no_fall_of_ids_whoever_joins() {
    for venue in BY_REST {
        for ahead_ms in [-2_900, -7, 7, 900, 1_500, 2_900] {
            let market = Market::new(venue);
            let mut world = World::replaying_at(venue, 1);
            world.frame(A, &market.change(0));
            market.recorded_book(&mut world, 0);
            for now in 1..600 {
                world.frame(A, &market.change(now));
                if now >= 20 {
                    world.frame(B, &market.change_by(now - 3, ahead_ms));
                }
                if now % 50 == 19 {
                    world.down(B, DownReason::Reset);
                    world.input(Input::ConnUp { conn: B, url: "", link: Link::default() });
                }
                world.pass_ms(STEP_MS.unsigned_abs());
            }
            assert!(causes(&mut world).is_empty(), "{venue:?} {ahead_ms}");
            assert_eq!(world.engine.books()[0].snapshots, 1);
        }
    }
}

// Fault: N10
#[test]
fn who_joins_alone_with_a_clock_ahead_is_no_fall_of_ids() {
    for ahead_ms in [0_i64, 7, 50] {
        let mut world = World::replaying_at(Venue::BinanceSpot, 2);
        let time = |ms: i64| NOON / 1_000_000 + ms;
        let change = |ids, ms| spot_depth("BTCUSDT", ids, time(ms), &[("98.0", "1")], &[]);
        let book = |world: &mut World, id| {
            let body = spot_snapshot(id, &[("98.0", "1")], &[("101.0", "1")]);
            world.reply(None, "https://x/api/v3/depth?symbol=BTCUSDT&limit=5000", 200, &body);
        };
        world.frame(A, &change((5_011, 5_020), 0));
        book(&mut world, 5_015);
        world.frame(A, &change((5_021, 5_022), 100));
        world.down(A, DownReason::Reset);
        // The same changes as another gateway cuts them.
        let by_other = |ids, ms| change(ids, ms + ahead_ms);
        world.frame(B, &by_other((5_018, 5_021), 98));
        world.frame(B, &by_other((5_022, 5_022), 100));
        book(&mut world, 5_023);
        world.frame(B, &by_other((5_023, 5_025), 200));
        world.frame(B, &by_other((5_026, 5_030), 300));
        world.input(Input::ConnUp { conn: ConnId(3), url: "", link: Link::default() });
        world.frame(ConnId(3), &change((5_031, 5_035), 400));
        world.frame(B, &by_other((5_031, 5_040), 500));
        world.pass_ms(300);
        let ids = ["5015", "5020", "5022", "5023", "5025", "5030", "5035", "5040"];
        assert_eq!(world.rows(Table::L2, &["last_id"]), ids, "{ahead_ms}");
        assert_eq!(causes(&mut world), ["disconnect"]);
    }
}
