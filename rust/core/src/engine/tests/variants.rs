//! One speed of a book and one kind of trades are taken, until they are over: then the next.

use super::exchange::{VENUES, book, trade};
use super::harness::{A, B, World, recording_of, trade as single_trade};
use super::reader::{Book, gaps, is_told, live, read};
use crate::config::{EngineConfig, TradeSource};
use crate::engine::{DownReason, Input, Link};
use crate::symbol::{ConnId, Venue};
use crate::table::Table;

const C: ConnId = ConnId(3);
/// As long as a stream may be silent.
const SILENCE_MS: u64 = 60_000;

/// The same message on the other speed.
fn other(venue: Venue, frame: &str) -> String {
    match venue {
        Venue::BinanceFutures => frame.replace("@depth@100ms", "@depth@500ms"),
        Venue::BinanceSpot => frame.replace("@depth@100ms", "@depth"),
        Venue::Okx => frame.replace(r#""channel":"books""#, r#""channel":"books-l2-tbt""#),
        Venue::Deribit => frame.replace(".100ms\"", ".raw\""),
    }
}

fn has_rest(venue: Venue) -> bool {
    matches!(venue, Venue::BinanceFutures | Venue::BinanceSpot)
}

/// A message of the book on one of its speeds.
fn send(world: &mut World, venue: Venue, conn: ConnId, is_other: bool, prev: Option<i64>, id: i64) {
    let frame = book(venue, prev, id);
    if prev.is_none() && has_rest(venue) {
        let path = if venue == Venue::BinanceSpot {
            "https://api.binance.com/api/v3"
        } else {
            "https://fapi.binance.com/fapi/v1"
        };
        return world.reply(None, &format!("{path}/depth?symbol=BTCUSDT&limit=1000"), 200, &frame);
    }
    world.frame(conn, &if is_other { other(venue, &frame) } else { frame });
}

/// A book that has come to 30 on A, and to whatever on B in the other speed.
fn two_speeds(venue: Venue) -> World {
    let mut world = World::replaying_at(venue, 2);
    if has_rest(venue) {
        send(&mut world, venue, A, false, Some(10), 20);
    }
    send(&mut world, venue, A, false, None, 20);
    if !has_rest(venue) {
        send(&mut world, venue, B, true, None, 22);
    }
    send(&mut world, venue, A, false, Some(20), 30);
    send(&mut world, venue, B, true, Some(22), 32);
    assert_eq!(id(&world), Some(30), "{venue:?}");
    world
}

fn id(world: &World) -> Option<i64> {
    live(world).and_then(|book| book.id)
}

fn ignored(world: &World) -> u64 {
    world.count("/frames/ignored/other_variant")
}

#[test]
fn another_speed_is_taken_when_the_last_connection_that_brought_the_first_is_down() {
    for venue in VENUES {
        let mut world = two_speeds(venue);
        let before = ignored(&world);
        world.down(A, DownReason::Reset);
        assert_eq!((live(&world), gaps(&mut world)), (None, vec![("disconnect".into(), false)]), "{venue:?}");
        assert_eq!(read(&mut world), None);
        // What changes a book that was never told begins none, unless that is asked for.
        send(&mut world, venue, B, true, Some(32), 42);
        assert_eq!(ignored(&world) - before, u64::from(!has_rest(venue)), "{venue:?}");
        world.input(Input::ConnUp { conn: C, url: "", link: Link::default() });
        send(&mut world, venue, C, true, None, 42);
        send(&mut world, venue, C, true, Some(42), 52);
        assert_eq!(id(&world), Some(52), "{venue:?}");
        is_told(&mut world, |_, size| size);
        assert_eq!(gaps(&mut world), [("disconnect".to_owned(), true)], "one for the break");
        // From now on the first is the other, on whichever connection.
        let before = ignored(&world);
        world.input(Input::ConnUp { conn: A, url: "", link: Link::default() });
        if !has_rest(venue) {
            send(&mut world, venue, A, false, None, 60);
        }
        send(&mut world, venue, A, false, Some(60), 70);
        assert_eq!(ignored(&world) - before, if has_rest(venue) { 1 } else { 2 }, "{venue:?}");
        assert_eq!(id(&world), Some(52), "{venue:?}");
    }
}

#[test]
fn a_reconnect_to_the_first_speed_gets_its_book_though_another_goes_on() {
    for venue in VENUES.into_iter().filter(|venue| !has_rest(*venue)) {
        let mut world = two_speeds(venue);
        world.down(A, DownReason::Reset);
        send(&mut world, venue, B, true, Some(32), 42);
        world.input(Input::ConnUp { conn: A, url: "", link: Link::default() });
        send(&mut world, venue, A, false, None, 50);
        send(&mut world, venue, B, true, Some(42), 52);
        send(&mut world, venue, A, false, Some(50), 60);
        assert_eq!(id(&world), Some(60), "{venue:?}");
        is_told(&mut world, |_, size| size);
    }
}

#[test]
fn as_long_as_one_connection_brings_the_first_speed_another_is_none_of_the_book() {
    for venue in VENUES {
        let mut world = two_speeds(venue);
        world.input(Input::ConnUp { conn: C, url: "", link: Link::default() });
        send(&mut world, venue, C, false, Some(20), 30);
        world.down(A, DownReason::Reset);
        let before = ignored(&world);
        for (n, id) in (30..100).step_by(10).enumerate() {
            send(&mut world, venue, B, true, Some(id + 2), id + 12);
            send(&mut world, venue, C, false, Some(id), id + 10);
            assert_eq!(ignored(&world) - before, n as u64 + 1, "{venue:?}");
            world.pass_ms(SILENCE_MS - 1);
        }
        assert_eq!(id(&world), Some(100), "{venue:?}");
        is_told(&mut world, |_, size| size);
        assert!(gaps(&mut world).is_empty());
    }
}

/// A recording may not tell when connections end.
#[test]
fn a_speed_that_is_silent_while_another_goes_on_is_over_and_so_is_its_book() {
    for venue in VENUES {
        let mut world = two_speeds(venue);
        send(&mut world, venue, A, false, Some(30), 40);
        // Silent for long, as quiet books are: that another speaks first says nothing.
        world.pass_ms(3 * SILENCE_MS);
        send(&mut world, venue, B, true, Some(32), 42);
        assert_eq!(id(&world), Some(40), "{venue:?}");
        send(&mut world, venue, A, false, Some(40), 50);
        for id in (42..82).step_by(10) {
            world.pass_ms(SILENCE_MS / 4);
            send(&mut world, venue, B, true, Some(id), id + 10);
        }
        assert_eq!(id(&world), Some(50), "{venue:?}");
        world.pass_ms(SILENCE_MS / 4);
        send(&mut world, venue, B, true, Some(82), 92);
        assert_eq!((live(&world), read(&mut world)), (None, None), "{venue:?}");
        assert_eq!(gaps(&mut world), [("silence".to_owned(), false)], "{venue:?}");
        let of_whom = world.rows(Table::Gaps, &["conn_ids"]);
        assert_eq!(of_whom, ["[1]"], "{venue:?}");
        // Of a book that nobody has there is no row.
        let told = world.rows(Table::L2, &["last_id"]);
        world.pass_ms(3_600_000);
        assert_eq!(world.rows(Table::L2, &["last_id"]), told, "{venue:?}");
        send(&mut world, venue, B, true, None, 92);
        send(&mut world, venue, B, true, Some(92), 102);
        assert_eq!(id(&world), Some(102), "{venue:?}");
        is_told(&mut world, |_, size| size);
        assert_eq!(gaps(&mut world), [("silence".to_owned(), true)], "{venue:?}");
    }
}

#[test]
fn a_book_that_begins_anew_takes_the_place_of_one_that_is_silent() {
    for venue in VENUES.into_iter().filter(|venue| !has_rest(*venue)) {
        for conn in [A, B] {
            let mut world = two_speeds(venue);
            world.pass_ms(SILENCE_MS);
            send(&mut world, venue, conn, true, None, 500);
            send(&mut world, venue, conn, true, Some(500), 510);
            assert_eq!(id(&world), Some(510), "{venue:?}");
            is_told(&mut world, |_, size| size);
            assert_eq!(gaps(&mut world), [("silence".to_owned(), true)], "{venue:?}");
            // Who carried the other has nothing to do with it any more.
            world.down(if conn == A { B } else { A }, DownReason::Reset);
            assert_eq!(id(&world), Some(510), "{venue:?}");
            world.down(conn, DownReason::Reset);
            assert_eq!(live(&world), None::<Book>, "{venue:?}");
        }
    }
}

/// A trade of the other kind.
fn other_trade(venue: Venue, id: i64) -> String {
    if venue == Venue::Okx {
        return trade(venue, id)
            .replace(r#""channel":"trades""#, r#""channel":"trades-all""#)
            .replace(r#","count":"1""#, "");
    }
    single_trade(id, "MARKET", "1")
}

const OF_TWO_KINDS: [Venue; 3] = [Venue::BinanceFutures, Venue::BinanceSpot, Venue::Okx];

fn trades(world: &mut World) -> Vec<String> {
    world.rows(Table::Trades, &["trade_id"])
}

#[test]
fn the_other_kind_of_trades_is_taken_when_the_last_connection_that_brought_the_first_is_down() {
    for venue in OF_TWO_KINDS {
        let mut world = World::replaying_at(venue, 2);
        world.frame(A, &trade(venue, 6));
        world.frame(B, &other_trade(venue, 7));
        world.frame(A, &trade(venue, 7));
        assert_eq!(world.count("/frames/ignored/other_trade_source"), 1, "{venue:?}");
        world.down(A, DownReason::Reset);
        // OKX pushes the last trade to who subscribes (§3).
        for id in [7, 9, 10] {
            world.frame(B, &other_trade(venue, id));
        }
        world.frame(B, &trade(venue, 11));
        assert_eq!(world.count("/frames/ignored/other_trade_source"), 2, "{venue:?}");
        world.pass_ms(10_000);
        let gaps = world.rows(Table::Gaps, &["cause", "missing", "first_missing", "last_missing"]);
        if venue == Venue::Okx {
            assert_eq!(trades(&mut world), ["6", "7", "9", "10"], "ids of one are those of the other");
            assert_eq!(gaps, ["disconnect|||", "disconnect|1|8|8"]);
        } else {
            assert_eq!(trades(&mut world), ["6", "7", "7", "9", "10"], "other ids: nothing is known of them");
            assert_eq!(gaps[..2], ["disconnect|||", "disconnect|||"]);
            assert!(gaps[2..].iter().all(|gap| gap == "missed|1|8|8"), "{gaps:?}");
        }
    }
}

#[test]
fn a_kind_of_trades_that_is_silent_while_the_other_goes_on_is_over_unless_it_was_asked_for() {
    for source in [TradeSource::Auto, TradeSource::AggTrade] {
        let mut world = World::new(EngineConfig { trade_source: source, ..recording_of(Venue::BinanceFutures) });
        for conn in [A, B] {
            world.input(Input::ConnUp { conn, url: "", link: Link::default() });
        }
        world.frame(A, &trade(Venue::BinanceFutures, 6));
        world.pass_ms(5 * SILENCE_MS);
        // Quiet markets are silent: the other one says nothing by coming first.
        world.frame(B, &single_trade(1_000, "MARKET", "1"));
        world.frame(A, &trade(Venue::BinanceFutures, 7));
        world.pass_ms(1);
        for id in 1_001..1_005 {
            world.frame(B, &single_trade(id, "MARKET", "1"));
            world.pass_ms(SILENCE_MS / 4);
        }
        assert_eq!(trades(&mut world), ["6", "7"]);
        world.frame(B, &single_trade(1_005, "MARKET", "1"));
        world.frame(B, &single_trade(1_006, "MARKET", "1"));
        let gaps = world.rows(Table::Gaps, &["stream", "cause", "missing", "conn_ids"]);
        if source == TradeSource::Auto {
            assert_eq!(trades(&mut world), ["6", "7", "1005", "1006"]);
            assert_eq!(gaps, ["trades|silence||[1]"; 2]);
        } else {
            assert_eq!(trades(&mut world), ["6", "7"]);
            assert!(gaps.is_empty());
        }
    }
}

/// Every change comes on both speeds, and whose next one comes first is chance.
#[test]
fn the_echo_of_another_speed_across_a_quiet_minute_ends_no_book() {
    for venue in VENUES {
        let mut world = two_speeds(venue);
        for id in [30, 50, 70] {
            send(&mut world, venue, A, false, Some(id), id + 10);
            world.pass_ms(1);
            send(&mut world, venue, B, true, Some(id + 2), id + 12);
            world.pass_ms(SILENCE_MS + 5_000);
            send(&mut world, venue, B, true, Some(id + 12), id + 22);
            world.pass_ms(1);
            send(&mut world, venue, A, false, Some(id + 10), id + 20);
        }
        assert_eq!(id(&world), Some(90), "{venue:?}");
        assert!(gaps(&mut world).is_empty(), "{venue:?}");
    }
}
