//! Inverse contracts in base units are quotients, which `fixed` does not hold: refused where one is asked for, and nowhere
//! else.

use super::frames::{
    T0, deribit_instruments, deribit_trade, deribit_trades, okx_book, okx_instruments, okx_spot, okx_swap, okx_trade,
};
use super::harness::{A, World, live_config};
use crate::config::{ConfigError, EngineConfig, Mode, Numeric, RowForm, SizeUnit, Stream};
use crate::engine::{Command, Input, Link};
use crate::symbol::Venue;
use crate::table::Table;

fn fixed(venue: Venue, symbols: &[&str], streams: &[Stream]) -> EngineConfig {
    EngineConfig { numeric: Numeric::Fixed, ..live_config(venue, symbols, streams) }
}

/// OKX §2: a swap of 100 USD a contract, paid in its coin.
fn inverse_swap(base: &str) -> serde_json::Value {
    let mut swap = okx_swap(base, "USD", "live");
    (swap["ctType"], swap["ctVal"], swap["ctValCcy"]) = ("inverse".into(), "100".into(), "USD".into());
    swap["settleCcy"] = base.into();
    swap
}

/// A venue in `fixed` and what of it was subscribed when the reference data had come.
fn begun(venue: Venue, symbol: &str, reference: &str) -> (World, String) {
    let mut world = World::new(fixed(venue, &[symbol], &[Stream::Trades]));
    world.pass_ms(0);
    world.tell_reference(200, reference);
    world.connect_all();
    let asked = world.sent(A).concat();
    (world, asked)
}

fn listed() -> String {
    okx_instruments(&[okx_spot("BTC", "USD", "live"), okx_swap("BTC", "USDT", "live"), inverse_swap("BTC")])
}

#[test]
fn a_name_that_tells_an_inverse_contract_is_refused_before_anything_is_connected() {
    for symbol in ["BTC-PERPETUAL", "BTCUSD", "deribit:BTC-25DEC26", "BTCUSD-261225"] {
        let config = fixed(Venue::Deribit, &["BTC_USDC-PERPETUAL", symbol], &[Stream::Trades]);
        let error = config.check().expect_err(symbol);
        assert!(matches!(error, ConfigError::Quotients { exchange: "deribit", .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("deribit:BTC-") && text.contains("native") && text.contains("decimal"), "{text}");
        for other in [
            EngineConfig { size_unit: SizeUnit::Native, ..config.clone() },
            EngineConfig { numeric: Numeric::Decimal, ..config.clone() },
        ] {
            assert_eq!(other.check(), Ok(()), "{symbol}");
        }
    }
    for (venue, symbol) in [
        (Venue::Deribit, "BTC_USDC-PERPETUAL"),
        (Venue::Deribit, "BTC-25DEC26-100000-C"),
        (Venue::Deribit, "*"),
        (Venue::Okx, "BTC-USDT"),
        // Whether it is inverse its name does not tell.
        (Venue::Okx, "BTC-USD-SWAP"),
    ] {
        assert_eq!(fixed(venue, &[symbol], &[Stream::Trades]).check(), Ok(()), "{symbol}");
    }
}

#[test]
fn what_the_reference_data_tell_to_be_inverse_is_refused_by_its_name_and_left_out_of_a_pattern() {
    for (symbol, is_refused) in [
        ("BTC-USD-SWAP", true),
        ("okx-swap:BTCUSD", true),
        ("okx-swap:*USD", true),
        ("okx-swap:BTC*", false),
        ("base=BTC", false),
        ("BTC-USDT-SWAP", false),
        ("okx-spot:BTCUSD", false),
    ] {
        let (world, asked) = begun(Venue::Okx, symbol, &listed());
        let fault = world.engine.fault().map(ToString::to_string);
        assert_eq!(fault.is_some(), is_refused, "{symbol}: {fault:?}");
        assert!(fault.is_none_or(|fault| fault.contains("okx-swap:BTC-USD-SWAP")), "{symbol}");
        assert!(!asked.contains("BTC-USD-SWAP"), "{symbol}: {asked}");
    }
    let (world, asked) = begun(Venue::Deribit, "*", &deribit_instruments(&["BTC-PERPETUAL"]));
    assert!(matches!(world.engine.fault(), Some(ConfigError::Quotients { .. })), "nothing is left");
    assert!(!asked.contains("BTC-PERPETUAL"), "{asked}");
}

#[test]
fn an_inverse_contract_that_comes_while_others_run_is_left_out_and_refused_where_it_is_asked_for() {
    let (mut world, _) = begun(Venue::Okx, "okx-swap:BTC*", &listed());
    while world.requests("nstruments").is_empty() {
        world.pass_ms(10_000);
    }
    world.tell_reference(
        200,
        &okx_instruments(&[okx_swap("BTC", "USDT", "live"), inverse_swap("BTC"), inverse_swap("ETH")]),
    );
    for symbol in ["okx-swap:ETHUSD", "okx-swap:ETH*"] {
        let error = world.command(&Command::Add(vec![symbol.to_owned()])).expect_err(symbol);
        assert!(matches!(error, ConfigError::Quotients { .. }), "{error}");
    }
    world.frame(A, &okx_trade("BTC-USDT-SWAP", 1, 1, T0));
    assert_eq!(world.engine.fault(), None);
    assert_eq!(world.rows(Table::Trades, &["symbol", "size"]), ["BTCUSDT|2"], "hundredths");
}

#[test]
fn a_recording_is_told_until_its_first_row_of_an_inverse_contract_which_is_named() {
    for venue in [Venue::Okx, Venue::Deribit] {
        let config = fixed(venue, &[], &[Stream::Trades, Stream::L2]);
        let mut world = World::new(EngineConfig { mode: Mode::Replay, ..config });
        world.input(Input::ConnUp { conn: A, url: "", link: Link::default() });
        let (plain, inverse) = match venue {
            Venue::Okx => {
                let url = "https://www.okx.com/api/v5/public/instruments?instType=SWAP";
                world.reply(None, url, 200, &listed());
                (okx_trade("BTC-USDT-SWAP", 1, 1, T0), okx_book("BTC-USD-SWAP", (-1, 5), T0, &[("1", "2")], &[], 0))
            }
            _ => {
                let trade = |native| deribit_trades(native, &[deribit_trade(native, 1, T0, "")]);
                (trade("BTC_USDC-PERPETUAL"), trade("BTC-PERPETUAL"))
            }
        };
        world.frame(A, &plain);
        assert_eq!(world.engine.fault(), None, "{venue:?}");
        world.frame(A, &inverse);
        let fault = world.engine.fault().map(ToString::to_string).unwrap_or_default();
        assert!(matches!(world.engine.fault(), Some(ConfigError::Quotients { .. })), "{venue:?}: {fault}");
        assert!(fault.contains("BTCUSD") && fault.contains("decimal"), "{fault}");
        assert_eq!(world.rows(Table::Trades, &["symbol"]).len(), 1, "{venue:?}");
    }
}

/// A session of ours replays as it was, however its rows are to stand: what it had chosen then it has.
#[test]
fn a_session_whose_rows_are_to_be_otherwise_keeps_its_instruments() {
    let mut config = live_config(Venue::Okx, &["okx-swap:*"], &[Stream::Trades]);
    config.write_as(Some(Numeric::Fixed), None);
    let again = config.clone();
    config.write_as(None, None);
    assert_eq!(config, again, "also where a replay is replayed");
    let mut world = World::new(config.clone());
    world.pass_ms(0);
    world.tell_reference(200, &listed());
    world.connect_all();
    assert!(world.sent(A).concat().contains("BTC-USD-SWAP"));
    world.frame(A, &okx_trade("BTC-USDT-SWAP", 1, 1, T0));
    assert_eq!(world.engine.fault(), None);
    world.frame(A, &okx_trade("BTC-USD-SWAP", 1, 1, T0));
    assert!(matches!(world.engine.fault(), Some(ConfigError::Quotients { .. })));
    config.write_as(Some(Numeric::Float), None);
    assert_eq!(config, live_config(Venue::Okx, &["okx-swap:*"], &[Stream::Trades]), "as it was");
    // One that left inverse contracts out has none of them in any form.
    let mut config = fixed(Venue::Okx, &["okx-swap:*"], &[Stream::Trades]);
    config.write_as(Some(Numeric::Decimal), None);
    let mut world = World::new(config);
    world.pass_ms(0);
    world.tell_reference(200, &listed());
    world.connect_all();
    assert!(!world.sent(A).concat().contains("BTC-USD-SWAP") && world.sent(A).concat().contains("BTC-USDT-SWAP"));
}

/// In native units a name needs no reference data: what came before them is in the recording.
#[test]
fn a_session_in_native_units_is_told_in_base_units_from_its_reference_data_on() {
    let native = live_config(Venue::Okx, &["BTC-USDT-SWAP"], &[Stream::Trades, Stream::L2]);
    let mut config = EngineConfig { size_unit: SizeUnit::Native, ..native };
    assert_eq!(config.begun_for, None);
    config.write_as(None, Some(SizeUnit::Base));
    let begun_for = RowForm { numeric: Numeric::Float, size_unit: SizeUnit::Native };
    assert_eq!(config.begun_for, Some(begun_for));
    let mut world = World::new(config);
    world.connect_all();
    world.pass_ms(0);
    world.frame(A, &okx_trade("BTC-USDT-SWAP", 1, 1, T0));
    world.frame(A, &okx_book("BTC-USDT-SWAP", (-1, 5), T0, &[("1", "2")], &[("2", "2")], 0));
    assert_eq!(world.engine.fault(), None);
    world.tell_reference(200, &listed());
    world.frame(A, &okx_book("BTC-USDT-SWAP", (5, 6), T0 + 1, &[("1", "3")], &[], 0));
    world.frame(A, &okx_trade("BTC-USDT-SWAP", 2, 1, T0 + 1));
    let told = world.rows(Table::L2, &["source", "bid_sizes", "ask_sizes"]);
    assert_eq!(told, ["checkpoint|[0.02]|[0.02]", "ws|[0.03]|[]"]);
    assert_eq!(world.rows(Table::Trades, &["trade_id", "size"]), ["2|0.02"]);
    let gaps = world.rows(Table::Gaps, &["stream", "cause", "evidence"]);
    let named = |stream: &str| gaps.iter().filter(|row| **row == format!("{stream}|overflow|shell")).count();
    assert_eq!((named("trades"), named("l2"), gaps.len()), (2, 2, 4));
}
