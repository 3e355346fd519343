//! Instruments whose sizes nobody can convert: left out where the reference data of their market are there, else the end.

use serde_json::json;

use super::frames::{T0, okx_book, okx_instruments, okx_spot, okx_state, okx_swap, okx_trade};
use super::harness::{A, World, live_config};
use crate::config::{ConfigError, EngineConfig, Mode, offered};
use crate::engine::{Input, Link};
use crate::symbol::Venue;
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
    assert_eq!((named(&mut world, "trades").len(), named(&mut world, "l2").len()), (1, 1), "nothing came yet");
    world.frame(A, &okx_trade(native, 2, 1, T0 + 1));
    world.frame(A, &okx_book(native, (5, 6), T0 + 1, &levels, &[], 0));
    assert_eq!(size_of(&mut world), ["NEWUSDT|0.02"]);
    let trades = named(&mut world, "trades");
    assert_eq!(trades, ["trades||".to_owned(), format!("trades||{}", world.now.wall)], "how many, nobody knows");
    assert_eq!(named(&mut world, "l2"), ["l2||"], "a change makes no book");
    world.frame(A, &okx_book(native, (-1, 7), T0 + 2, &levels, &[("2", "3")], 0));
    assert_eq!(named(&mut world, "l2").len(), 2);
    assert_eq!(world.rows(Table::L2, &["is_snapshot", "ask_sizes"]), ["true|[0.03]"]);
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
