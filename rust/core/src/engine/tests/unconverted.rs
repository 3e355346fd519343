//! Instruments whose sizes nobody can convert: left out where the reference data of their market are there, else the end.

use serde_json::json;

use super::frames::{T0, okx_book, okx_instruments, okx_spot, okx_state, okx_swap, okx_trade};
use super::harness::{A, B, World, live_config};
use crate::config::{ConfigError, EngineConfig, Mode, offered};
use crate::engine::{Input, Link};
use crate::symbol::{ConnId, Venue};
use crate::table::Table;

/// An OKX recording in base units, its connection up.
fn recording() -> World {
    let config = live_config(Venue::Okx, &[], &offered(Venue::Okx));
    let mut world = World::new(EngineConfig { mode: Mode::Replay, ..config });
    world.input(Input::ConnUp { conn: A, url: "", link: Link::default() });
    world
}

fn tell(world: &mut World, rows: &[serde_json::Value]) {
    world.reply(None, "https://www.okx.com/api/v5/public/instruments?instType=SWAP", 200, &okx_instruments(rows));
}

fn size_of(world: &mut World) -> Vec<String> {
    world.rows(Table::Trades, &["symbol", "size"])
}

#[test]
fn what_the_reference_data_of_a_market_do_not_explain_is_left_out_and_named_once() {
    const EVENT: &str = "BTC-ABOVE-100K-261225-YES";
    let event = json!({"instType": "EVENTS", "instId": EVENT, "tickSz": "0.01", "lotSz": "1", "state": "live"});
    let mut odd = okx_swap("IDX", "USDT", "live");
    odd["ctValCcy"] = "USDT".into();
    let listed = [okx_swap("BTC", "USDT", "live"), odd, event];
    for (native, symbol) in [(EVENT, EVENT), ("IDX-USDT-SWAP", "IDXUSDT"), ("NEW-USDT-SWAP", "NEWUSDT")] {
        let mut world = recording();
        tell(&mut world, &listed);
        world.frame(A, &okx_trade("BTC-USDT-SWAP", 1, 1, T0));
        world.frame(A, &okx_trade(native, 1, 1, T0));
        world.frame(A, &okx_trade(native, 2, 1, T0 + 1));
        world.frame(A, &okx_book(native, (-1, 5), T0, &[("1", "2")], &[("2", "2")], 0));
        world.frame(A, &okx_trade("BTC-USDT-SWAP", 2, 1, T0 + 2));
        assert_eq!(world.engine.fault(), None, "{native}");
        assert_eq!(size_of(&mut world), ["BTCUSDT|0.02", "BTCUSDT|0.02"], "{native}");
        assert_eq!(world.count("/frames/ignored/no_reference"), 3, "{native}");
        let named = world.rows(Table::Gaps, &["symbol", "stream", "cause", "evidence"]);
        let expected = ["trades", "l2"].map(|stream| format!("{symbol}|{stream}|overflow|shell"));
        assert_eq!(named, expected, "once for each stream");
    }
}

#[test]
fn what_was_left_out_begins_with_its_first_row_after_it_is_explained() {
    let mut world = recording();
    let (native, levels) = ("NEW-USDT-SWAP", [("1", "2")]);
    let named = |world: &mut World, stream: &str| {
        let all = world.rows(Table::Gaps, &["stream", "missing", "ts_resumed"]);
        all.into_iter().filter(|row| row.starts_with(stream)).collect::<Vec<_>>()
    };
    tell(&mut world, &[okx_swap("BTC", "USDT", "live")]);
    world.frame(A, &okx_trade(native, 1, 1, T0));
    world.frame(A, &okx_book(native, (-1, 5), T0, &levels, &[("2", "2")], 0));
    tell(&mut world, &[okx_swap("BTC", "USDT", "live"), okx_swap("NEW", "USDT", "live")]);
    assert_eq!(named(&mut world, "trades").len(), 1, "nothing came yet");
    world.frame(A, &okx_trade(native, 2, 1, T0 + 1));
    assert_eq!(size_of(&mut world), ["NEWUSDT|0.02"]);
    let trades = named(&mut world, "trades");
    assert_eq!(trades, ["trades||".to_owned(), format!("trades||{}", world.now.wall)], "how many, nobody knows");
}

/// What comes of a new listing's book on two connections: a snapshot, changes, one that comes early, and their copies.
fn book_of_a_listing(native: &str) -> Vec<(ConnId, String)> {
    let book = |ids, ts, bids: &[_], asks: &[_]| okx_book(native, ids, T0 + ts, bids, asks, 0);
    let (early, between) = (book((7, 8), 3, &[("1", "5")], &[]), book((6, 7), 2, &[], &[("2", "0"), ("3", "4")]));
    vec![
        (A, book((-1, 5), 0, &[("1", "2")], &[("2", "2")])),
        (B, book((-1, 5), 0, &[("1", "2")], &[("2", "2")])),
        (A, book((5, 6), 1, &[("0.5", "7")], &[])),
        (B, book((5, 6), 1, &[("0.5", "7")], &[])),
        // Held until the other connection brings what is between.
        (A, early.clone()),
        (B, between),
        (B, early),
        (A, book((8, 9), 4, &[("0.5", "0")], &[])),
    ]
}

#[test]
fn a_book_that_came_before_what_its_contracts_are_worth_goes_on_whole_the_moment_that_is_told() {
    let frames = book_of_a_listing("NEW-USDT-SWAP");
    let columns = ["is_snapshot", "source", "last_id", "bid_prices", "bid_sizes", "ask_prices", "ask_sizes"];
    // The book after each frame, as the frames say it, in base units of a hundredth.
    let first = "[1]|[0.02]|[2]|[0.02]";
    let second = "[1,0.5]|[0.02,0.07]|[2]|[0.02]";
    let third = "[1,0.5]|[0.05,0.07]|[3]|[0.04]";
    let books = [first, first, second, second, second, third, third, "[1]|[0.05]|[3]|[0.04]"];
    let ids = [5, 5, 6, 6, 6, 8, 8, 9];
    let changes: Vec<(usize, &str)> = vec![
        (0, "true|ws|5|[1]|[0.02]|[2]|[0.02]"),
        (2, "false|ws|6|[0.5]|[0.07]|[]|[]"),
        (5, "false|ws|7|[]|[]|[2,3]|[0,0.04]"),
        (5, "false|ws|8|[1]|[0.05]|[]|[]"),
        (7, "false|ws|9|[0.5]|[0]|[]|[]"),
    ];
    for told_behind in 0..frames.len() {
        let mut world = recording();
        world.input(Input::ConnUp { conn: B, url: "", link: Link::default() });
        tell(&mut world, &[okx_swap("BTC", "USDT", "live")]);
        for (n, (conn, frame)) in frames.iter().enumerate() {
            world.frame(*conn, frame);
            if n == told_behind {
                assert_eq!(world.rows(Table::L2, &["source"]), [""; 0], "behind {told_behind}");
                tell(&mut world, &[okx_swap("BTC", "USDT", "live"), okx_swap("NEW", "USDT", "live")]);
            }
        }
        let whole = format!("true|checkpoint|{}|{}", ids[told_behind], books[told_behind]);
        let after = changes.iter().filter(|(n, _)| *n > told_behind).map(|(_, row)| (*row).to_owned());
        let expected: Vec<String> = std::iter::once(whole).chain(after).collect();
        assert_eq!(world.rows(Table::L2, &columns), expected, "behind {told_behind}");
        let resumed = world.now.wall;
        let gaps = world.rows(Table::Gaps, &["stream", "cause", "evidence", "ts_resumed"]);
        let of_book = [String::new(), resumed.to_string()].map(|at| format!("l2|overflow|shell|{at}"));
        assert_eq!(gaps.iter().filter(|row| row.contains("overflow")).cloned().collect::<Vec<_>>(), of_book);
        // Each frame comes to the same, but what would have been a row is left out.
        let left_out = changes.iter().filter(|(n, _)| *n <= told_behind).count();
        let (accepted, copies) = (changes.len() - left_out, 2);
        assert_eq!(world.count("/frames/ignored/no_reference"), left_out as u64, "behind {told_behind}");
        assert_eq!(world.count("/frames/accepted"), accepted as u64, "behind {told_behind}");
        assert_eq!(world.count("/frames/duplicate"), copies, "behind {told_behind}");
        assert_eq!(world.count("/frames/held"), 0, "behind {told_behind}");
    }
}

#[test]
fn a_book_that_breaks_while_its_rows_are_left_out_is_one_gap_until_it_can_be_told_whole() {
    let native = "NEW-USDT-SWAP";
    let (listed, new) = (okx_swap("BTC", "USDT", "live"), okx_swap("NEW", "USDT", "live"));
    let snapshot = |id| okx_book(native, (-1, id), T0 + id, &[("1", "2")], &[("2", "2")], 0);
    let broken = |world: &mut World| {
        world.frame(A, &snapshot(5));
        world.frame(A, &okx_book(native, (7, 8), T0 + 8, &[("1", "9")], &[], 0));
        world.rows(Table::Gaps, &["cause", "ts_resumed"])
    };
    // The snapshot comes first, then the reference row; and the other way round.
    for is_whole_first in [true, false] {
        let mut world = recording();
        tell(&mut world, std::slice::from_ref(&listed));
        assert_eq!(broken(&mut world), ["overflow|"]);
        if is_whole_first {
            world.frame(A, &snapshot(9));
        }
        tell(&mut world, &[listed.clone(), new.clone()]);
        if !is_whole_first {
            assert_eq!(world.rows(Table::L2, &["source"]), [""; 0], "a broken book is not told");
            assert_eq!(world.rows(Table::Gaps, &["cause"]), ["overflow"]);
            world.frame(A, &snapshot(9));
        }
        let source = if is_whole_first { "checkpoint" } else { "ws" };
        let told = world.rows(Table::L2, &["is_snapshot", "source", "last_id", "bid_sizes"]);
        assert_eq!(told, [format!("true|{source}|9|[0.02]")]);
        assert_eq!(world.rows(Table::Gaps, &["cause", "ts_resumed"])[1..], [format!("overflow|{}", world.now.wall)]);
    }
}

#[test]
fn a_contract_that_is_explained_no_more_is_left_out_from_then_on_and_its_best_levels_with_it() {
    let mut world = recording();
    let (swap, mut odd) = (okx_swap("BTC", "USDT", "live"), okx_swap("BTC", "USDT", "live"));
    odd["ctValCcy"] = "USDT".into();
    let book = |ids, size| okx_book("BTC-USDT-SWAP", ids, T0, &[("1", size)], &[("2", "2")], 0);
    let sampled = |world: &mut World| {
        world.pass_ms(60_000);
        world.rows(Table::L2Top, &["bid_sizes"])
    };
    tell(&mut world, std::slice::from_ref(&swap));
    world.frame(A, &book((-1, 5), "2"));
    assert_eq!(sampled(&mut world), ["[0.02]"]);
    let closed = world.now.wall;
    tell(&mut world, &[odd]);
    assert_eq!(world.rows(Table::Gaps, &["stream", "cause", "ts_detected"]), [format!("l2|overflow|{closed}")]);
    world.frame(A, &book((5, 6), "3"));
    assert_eq!((sampled(&mut world).len(), world.rows(Table::L2, &["source"]).len()), (1, 1));
    tell(&mut world, &[swap]);
    assert_eq!(sampled(&mut world)[1..], ["[0.03]"], "though nothing has changed since");
    assert_eq!(world.rows(Table::L2, &["source", "bid_sizes"]), ["ws|[0.02]", "checkpoint|[0.03]"]);
    assert_eq!(world.rows(Table::Gaps, &["ts_resumed"]).iter().filter(|at| !at.is_empty()).count(), 1);
}

#[test]
fn a_contract_that_comes_to_be_worth_more_has_its_book_told_anew() {
    let mut world = recording();
    let mut swap = okx_swap("BTC", "USDT", "live");
    tell(&mut world, std::slice::from_ref(&swap));
    world.frame(A, &okx_book("BTC-USDT-SWAP", (-1, 5), T0, &[("1", "2")], &[("2", "2")], 0));
    swap["ctVal"] = "0.1".into();
    tell(&mut world, &[swap]);
    world.frame(A, &okx_book("BTC-USDT-SWAP", (5, 6), T0 + 1, &[("1", "3")], &[], 0));
    let told = world.rows(Table::L2, &["is_snapshot", "source", "bid_sizes", "ask_sizes"]);
    assert_eq!(told, ["true|ws|[0.02]|[0.02]", "true|checkpoint|[0.2]|[0.2]", "false|ws|[0.3]|[]"]);
}

#[test]
fn what_carries_no_size_needs_no_conversion() {
    let mut world = recording();
    let mark = json!({"instType": "SWAP", "instId": "BTC-USDT-SWAP", "markPx": "100.5", "ts": T0.to_string()});
    world.frame(A, &okx_state("mark-price", mark));
    let open =
        json!({"instType": "SWAP", "instId": "BTC-USDT-SWAP", "oi": "5000", "oiCcy": "555.5", "ts": T0.to_string()});
    world.frame(A, &okx_state("open-interest", open));
    assert_eq!(world.engine.fault(), None);
    assert_eq!(world.rows(Table::Derivatives, &["open_interest"]).last().map(String::as_str), Some("555.5"));
}

/// OKX §5: `oi` counts contracts; `oiCcy` is not always there.
fn open_interest(native: &str, oi: &str, ts: i64) -> String {
    let kind = if native.ends_with("-C") { "OPTION" } else { "SWAP" };
    okx_state("open-interest", json!({"instType": kind, "instId": native, "oi": oi, "ts": (T0 + ts).to_string()}))
}

#[test]
fn open_interest_that_nobody_can_convert_is_left_out_and_is_one_gap_until_a_row_of_it_is_told() {
    let (native, option) = ("NEW-USDT-SWAP", "NEW-USD-261225-100000-C");
    let mut listed = okx_swap("BTC", "USDT", "live");
    let call = json!({"instType": "OPTION", "instId": "BTC-USD-261225-100000-C", "ctVal": "0.01", "ctMult": "1",
        "ctValCcy": "BTC", "settleCcy": "BTC", "uly": "BTC-USD", "state": "live"});
    let mut world = recording();
    tell(&mut world, &[listed.clone(), call]);
    let mark = |ts: i64| json!({"instType": "SWAP", "instId": native, "markPx": "1", "ts": (T0 + ts).to_string()});
    world.frame(A, &open_interest(native, "5000", 0));
    let since = world.now.wall;
    // What else is told of it is told, and ends no gap of another feed.
    world.pass_ms(1);
    world.frame(A, &okx_state("mark-price", mark(1)));
    world.frame(A, &open_interest(native, "6000", 2));
    world.frame(A, &open_interest(option, "6000", 2));
    assert_eq!(world.rows(Table::Derivatives, &["mark_price", "open_interest"]), ["1|"]);
    assert_eq!(world.count("/frames/ignored/no_reference"), 3);
    let named = world.rows(Table::Gaps, &["symbol", "stream", "cause", "evidence", "ts_detected", "ts_resumed"]);
    let option_since = world.now.wall;
    assert_eq!(
        named,
        [
            format!("NEWUSDT|derivatives|overflow|shell|{since}|"),
            format!("NEWUSD-261225-100000-C|options|overflow|shell|{option_since}|"),
        ]
    );
    listed["instId"] = native.into();
    tell(&mut world, &[okx_swap("BTC", "USDT", "live"), listed]);
    world.pass_ms(1);
    world.frame(A, &okx_state("mark-price", mark(3)));
    assert_eq!(world.rows(Table::Gaps, &["gap_id"]).len(), 2, "nothing of it came yet");
    world.frame(A, &open_interest(native, "7000", 4));
    assert_eq!(world.rows(Table::Derivatives, &["open_interest"]), ["", "", "70"]);
    let closed = world.rows(Table::Gaps, &["symbol", "ts_resumed"]).pop();
    assert_eq!(closed, Some(format!("NEWUSDT|{}", world.now.wall)));
}

#[test]
fn open_interest_of_a_market_that_nothing_tells_of_is_the_end_unless_it_is_wanted_as_sent() {
    let mut world = recording();
    world.frame(A, &open_interest("BTC-USD-SWAP", "5000", 0));
    let fault = world.engine.fault().map(ToString::to_string).unwrap_or_default();
    assert!(fault.contains("okx-swap:BTC-USD-SWAP") && fault.contains("--size-unit native"), "{fault}");
    assert!(world.rows(Table::Derivatives, &["open_interest"]).is_empty());
    let mut world = World::replaying_at(Venue::Okx, 1);
    world.frame(A, &open_interest("BTC-USD-SWAP", "5000", 0));
    assert_eq!(world.engine.fault(), None);
    assert_eq!(world.rows(Table::Derivatives, &["open_interest"]), ["5000"]);
}

#[test]
fn one_new_listing_among_liquidations_costs_only_its_own_rows() {
    let mut world = recording();
    tell(&mut world, &[okx_swap("BTC", "USDT", "live")]);
    let of = |native: &str| {
        json!({"details": [{"bkLoss": "0", "bkPx": "0.5", "posSide": "short", "side": "buy", "sz": "13",
            "ts": T0.to_string()}], "instId": native, "instType": "SWAP"})
    };
    let frame = json!({"arg": {"channel": "liquidation-orders", "instType": "SWAP"},
        "data": [of("NEW-USDT-SWAP"), of("BTC-USDT-SWAP")]});
    world.frame(A, &frame.to_string());
    assert_eq!(world.engine.fault(), None);
    assert_eq!(world.rows(Table::Liquidations, &["symbol", "size"]), ["BTCUSDT|0.13"]);
}

#[test]
fn where_nothing_tells_of_a_market_its_derivatives_are_the_end() {
    for reference in [None, Some(okx_spot("BTC", "USDT", "live"))] {
        let mut world = recording();
        if let Some(spot) = reference {
            tell(&mut world, &[spot]);
        }
        world.frame(A, &okx_trade("BTC-USDT", 1, 1, T0));
        world.frame(A, &okx_trade("BTC-USDT-SWAP", 1, 1, T0));
        let fault = world.engine.fault().map(ToString::to_string).unwrap_or_default();
        assert!(matches!(world.engine.fault(), Some(ConfigError::MissingReference { .. })), "{fault}");
        assert!(fault.contains("okx-swap:BTC-USDT-SWAP") && fault.contains("--size-unit native"), "{fault}");
    }
    let mut world = recording();
    world.frame(A, &okx_trade("NOBODY-KNOWS-WHAT-THIS-IS", 1, 1, T0));
    world.frame(A, &okx_trade("BTC-USDT", 1, 1, T0));
    assert_eq!(world.engine.fault(), None, "a type nobody knows");
    assert_eq!(size_of(&mut world), ["BTCUSDT|2"]);
    assert_eq!(world.count("/frames/ignored/no_reference"), 1);
}
