//! Rows of a book that the chosen type cannot hold: left out, and one gap until the whole book is a row again.

use proptest::prelude::{any, prop};
use proptest::{prop_assert_eq, proptest};

use super::frames::{Side, T0, okx_book, okx_instruments, okx_swap, spot_depth, spot_snapshot};
use super::harness::{A, B, World, live_config, recording_of};
use super::reader::{gaps, is_told, live, read};
use crate::config::{EngineConfig, Mode, Numeric, offered};
use crate::engine::{DownReason, Input, Link};
use crate::symbol::Venue;
use crate::table::Table;

/// What each type cannot hold.
const BEYOND: [(Numeric, &str); 3] = [
    (Numeric::Decimal, "0.1234567890123456789"),
    (Numeric::Decimal, "200000000000000000000"),
    (Numeric::Fixed, "92233720368547758.08000001"),
];

fn native(_price: f64, size: f64) -> f64 {
    size
}

/// A book of Binance spot in a recording, each change with ids of ten.
struct Spot {
    world: World,
    id: i64,
}

impl Spot {
    fn new(numeric: Numeric) -> Self {
        let mut world = World::new(EngineConfig { numeric, ..recording_of(Venue::BinanceSpot) });
        world.input(Input::ConnUp { conn: A, url: "", link: Link::default() });
        Self { world, id: 10 }
    }

    /// One that is live.
    fn begun(numeric: Numeric) -> Self {
        let mut spot = Self::new(numeric);
        spot.change(&[("1", "1")]);
        spot.snapshot(20, &[("100", "1")]);
        assert_eq!(read(&mut spot.world), live(&spot.world));
        spot
    }

    fn snapshot(&mut self, id: i64, bids: Side<'_>) {
        let url = "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000";
        self.world.reply(None, url, 200, &spot_snapshot(id, bids, &[("1000", "1")]));
    }

    fn change(&mut self, bids: Side<'_>) {
        self.id += 10;
        let id = self.id;
        self.world.frame(A, &spot_depth("BTCUSDT", (id - 9, id), T0 + id, bids, &[]));
    }

    fn left_out(&self) -> u64 {
        self.world.count("/rows_out_of_range")
    }

    fn ids(&mut self) -> Vec<String> {
        self.world.rows(Table::L2, &["is_snapshot", "source", "prev_id", "last_id"])
    }
}

#[test]
fn the_book_of_a_change_that_is_refused_is_missing_until_it_is_told_whole() {
    for (numeric, beyond) in BEYOND {
        for stays in 0..40 {
            let mut spot = Spot::begun(numeric);
            spot.change(&[("98", beyond), ("97", "3")]);
            assert_eq!(gaps(&mut spot.world), [("overflow".to_owned(), false)], "{beyond}");
            for n in 0..stays {
                spot.change(&[("96", ["1", "2"][n % 2])]);
                is_told(&mut spot.world, native);
            }
            assert_eq!((read(&mut spot.world), spot.left_out()), (None, 1 + stays as u64), "{beyond}");
            spot.change(&[("98", "0")]);
            // Tried again behind twice as many each time.
            let mut awaited = 0;
            while read(&mut spot.world).is_none() {
                assert!(awaited <= stays + 1, "{beyond}: {awaited} after {stays}");
                spot.change(&[("95", ["1", "2"][awaited % 2])]);
                awaited += 1;
            }
            is_told(&mut spot.world, native);
            assert_eq!(gaps(&mut spot.world), [("overflow".to_owned(), true)], "{beyond}");
            let whole = format!("true|checkpoint|20|{}", spot.id);
            assert_eq!(spot.ids()[2 - 1..], [whole], "{beyond}: behind the last row there is");
            spot.change(&[("95", "7")]);
            is_told(&mut spot.world, native);
            assert_eq!((live(&spot.world).is_some(), read(&mut spot.world).is_some()), (true, true));
            assert_eq!(spot.left_out(), (1 + stays + awaited) as u64, "{beyond}: each change that is no row");
        }
    }
}

#[test]
fn a_snapshot_that_is_refused_is_a_gap_until_the_book_can_be_told() {
    for (numeric, beyond) in BEYOND {
        let mut spot = Spot::new(numeric);
        spot.change(&[("97", "3")]);
        spot.snapshot(20, &[("99", beyond), ("98", "1")]);
        assert_eq!((spot.ids().len(), gaps(&mut spot.world)), (0, vec![("overflow".into(), false)]), "{beyond}");
        spot.change(&[("99", "4")]);
        assert_eq!(spot.ids(), ["true|checkpoint||30"], "{beyond}");
        is_told(&mut spot.world, native);
        assert_eq!(gaps(&mut spot.world), [("overflow".to_owned(), true)], "{beyond}");
    }
}

#[test]
fn what_waited_for_a_snapshot_that_is_refused_is_not_told_before_its_time() {
    let (numeric, beyond) = BEYOND[0];
    // The level that cannot be told comes with the snapshot, or with what waited for it, and leaves with what waited.
    for (size, later) in [(beyond, "1"), ("1", beyond)] {
        let mut spot = Spot::new(numeric);
        spot.change(&[("97", "3")]);
        spot.change(&[("99", later)]);
        spot.change(&[("99", "0")]);
        spot.change(&[("96", "1")]);
        spot.snapshot(15, &[("99", size)]);
        let before = if size == beyond { 0 } else { 2 };
        assert_eq!(spot.ids().len(), before);
        assert_eq!(live(&spot.world).and_then(|book| book.id), Some(50));
        for _ in 0..4 {
            spot.change(&[("96", "2")]);
            is_told(&mut spot.world, native);
        }
        assert!(spot.ids()[before].starts_with("true|checkpoint|"), "{:?}", spot.ids());
        assert_eq!((read(&mut spot.world), gaps(&mut spot.world).len()), (live(&spot.world), 1));
    }
}

#[test]
fn a_book_that_breaks_while_it_cannot_be_told_has_one_gap() {
    let (numeric, beyond) = BEYOND[0];
    let mut spot = Spot::begun(numeric);
    spot.change(&[("98", beyond)]);
    spot.world.down(A, DownReason::Reset);
    spot.world.input(Input::ConnUp { conn: A, url: "", link: Link::default() });
    spot.id = 100;
    spot.change(&[("96", "1")]);
    assert_eq!(gaps(&mut spot.world), [("overflow".to_owned(), false)]);
    spot.snapshot(100, &[("98", beyond)]);
    spot.change(&[("98", "5")]);
    while read(&mut spot.world).is_none() {
        assert!(spot.id < 200);
        spot.change(&[("96", "2")]);
    }
    is_told(&mut spot.world, native);
    assert_eq!(gaps(&mut spot.world), [("overflow".to_owned(), true)]);
}

#[test]
fn a_book_that_goes_quiet_is_told_with_the_next_checkpoint() {
    let (numeric, beyond) = BEYOND[0];
    let mut spot = Spot::begun(numeric);
    spot.change(&[("98", beyond)]);
    for _ in 0..5 {
        spot.change(&[("96", "1")]);
    }
    spot.change(&[("98", "0")]);
    assert_eq!(read(&mut spot.world), None);
    spot.world.pass_ms(3_600_000);
    is_told(&mut spot.world, native);
    assert_eq!(spot.ids().last().map(String::as_str), Some("true|checkpoint|20|90"));
}

/// A book of an inverse contract of OKX in base units.
fn inverse(numeric: Numeric) -> World {
    let config = live_config(Venue::Okx, &[], &offered(Venue::Okx));
    let mut world = World::new(EngineConfig { mode: Mode::Replay, numeric, ..config });
    for conn in [A, B] {
        world.input(Input::ConnUp { conn, url: "", link: Link::default() });
    }
    tell(&mut world, "USD");
    world
}

/// What a contract of 100 is worth; a contradiction in itself, where it is worth a hundred of its own coin.
fn tell(world: &mut World, currency: &str) {
    let mut swap = okx_swap("BTC", "USD", "live");
    (swap["ctType"], swap["ctVal"], swap["ctValCcy"]) = ("inverse".into(), "100".into(), currency.into());
    swap["settleCcy"] = "BTC".into();
    let url = "https://www.okx.com/api/v5/public/instruments?instType=SWAP";
    world.reply(None, url, 200, &okx_instruments(&[swap]));
}

fn in_coins(price: f64, contracts: f64) -> f64 {
    contracts * 100.0 / price
}

#[test]
fn what_is_worth_nothing_at_price_zero_is_missing_as_long_as_it_is_in_the_book() {
    for numeric in [Numeric::Float, Numeric::Decimal] {
        let mut world = inverse(numeric);
        let mut id = 5;
        let mut send = |world: &mut World, prev: Option<i64>, bids: Side<'_>, asks: Side<'_>| {
            let before = prev.unwrap_or(id);
            id += 1;
            world.frame(A, &okx_book("BTC-USD-SWAP", (before, id), T0 + id, bids, asks, 0));
            is_told(world, in_coins);
        };
        send(&mut world, Some(-1), &[("4", "1"), ("0", "3")], &[("8", "1")]);
        assert_eq!((world.rows(Table::L2, &["last_id"]).len(), read(&mut world)), (0, None), "{numeric:?}");
        send(&mut world, None, &[("2", "1")], &[]);
        send(&mut world, None, &[("0", "0")], &[]);
        send(&mut world, None, &[("1", "4")], &[]);
        assert_eq!(world.rows(Table::L2, &["is_snapshot", "last_id"]), ["true|9"], "{numeric:?}");
        send(&mut world, None, &[("2", "5")], &[("8", "0"), ("16", "2")]);
        send(&mut world, None, &[("0", "1")], &[]);
        assert_eq!(read(&mut world), None, "{numeric:?}");
        send(&mut world, Some(-1), &[("4", "2")], &[("8", "2")]);
        assert_eq!(read(&mut world).and_then(|book| book.id), Some(12), "{numeric:?}");
        assert_eq!(gaps(&mut world), [("overflow".to_owned(), true), ("overflow".to_owned(), true)], "{numeric:?}");
    }
}

#[test]
fn reference_data_that_come_to_contradict_themselves_are_one_gap() {
    let mut world = inverse(Numeric::Float);
    world.frame(A, &okx_book("BTC-USD-SWAP", (-1, 5), T0, &[("4", "1")], &[("8", "1")], 0));
    tell(&mut world, "BTC");
    assert_eq!(gaps(&mut world), [("overflow".to_owned(), false)]);
    world.frame(A, &okx_book("BTC-USD-SWAP", (5, 6), T0 + 1, &[("2", "1")], &[], 0));
    // What can be converted again, and cannot be told.
    world.frame(A, &okx_book("BTC-USD-SWAP", (6, 7), T0 + 2, &[("0", "1")], &[], 0));
    assert_eq!(world.count("/rows_out_of_range"), 0);
    tell(&mut world, "USD");
    assert_eq!(world.count("/rows_out_of_range"), 1);
    is_told(&mut world, in_coins);
    world.frame(A, &okx_book("BTC-USD-SWAP", (7, 8), T0 + 3, &[("0", "0")], &[], 0));
    is_told(&mut world, in_coins);
    assert_eq!(world.rows(Table::L2, &["source", "prev_id", "last_id"]), ["ws||5", "checkpoint|5|8"]);
    assert_eq!(gaps(&mut world), [("overflow".to_owned(), true)]);
}

proptest! {
    /// Whatever comes and leaves, the tables tell the engine's book or that it is missing, and in the end the book.
    #[test]
    fn the_tables_never_tell_another_book(
        which in 0..BEYOND.len(),
        steps in prop::collection::vec((0u8..20, 0usize..4, 0usize..4), 1..120),
        is_snapshot_beyond in any::<bool>(),
    ) {
        let (numeric, beyond) = BEYOND[which];
        let (prices, sizes) = (["99", "98.5", "97", "96"], ["0", "1.5", "20", beyond]);
        let mut spot = Spot::new(numeric);
        spot.change(&[("1", "1")]);
        spot.snapshot(20, &[("95", if is_snapshot_beyond { beyond } else { "1" })]);
        for (kind, price, size) in steps {
            match kind {
                // Something is lost, and what comes waits for the snapshot.
                0 => {
                    spot.id += 10;
                    spot.change(&[(prices[price], sizes[size])]);
                    spot.change(&[(prices[size], sizes[price])]);
                    spot.world.pass_ms(1_000);
                    is_told(&mut spot.world, native);
                    spot.snapshot(spot.id - 15, &[(prices[size], sizes[size.max(1)])]);
                }
                1 => spot.world.pass_ms(3_600_000),
                _ => spot.change(&[(prices[price], sizes[size])]),
            }
            is_told(&mut spot.world, native);
        }
        spot.change(&prices.map(|price| (price, "3")));
        spot.change(&[("95", "3")]);
        spot.world.pass_ms(3_600_000);
        prop_assert_eq!(read(&mut spot.world), live(&spot.world));
        prop_assert_eq!(live(&spot.world).and_then(|book| book.id), Some(spot.id));
    }
}
