//! Whatever tells of instruments, and in whatever order: no two of one market share a symbol, and none passes on.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::frames::{
    T0, deribit_book, deribit_instruments, deribit_trade, deribit_trades, okx_book, okx_instruments, okx_spot,
    okx_trade,
};
use super::harness::{A, B, World, all_rows, live_config, recording_of};
use super::replay::replay;
use crate::config::{EngineConfig, Stream};
use crate::engine::{DownReason, Input, Link};
use crate::exchange::{Protocol, with_protocol};
use crate::symbol::Venue;
use crate::table::Table;

const P: &str = "BTC-PERPETUAL";
const Q: &str = "BTC_USD-PERPETUAL";

/// OKX §2: among the dated futures, an X-Perp of a pair.
fn xperp(native: &str, pair: &str) -> Value {
    json!({"instType": "FUTURES", "instId": native, "uly": pair, "instFamily": pair, "settleCcy": "USDT", "ctVal": "0.01",
        "ctMult": "1", "ctValCcy": "BTC", "ctType": "linear", "tickSz": "0.1", "lotSz": "1", "state": "live",
        "ruleType": "xperp", "expTime": "1900000000000"})
}

fn deribit_url(n: usize) -> String {
    format!("https://www.deribit.com/api/v2/public/get_instruments?currency=C{n}")
}

fn okx_url(n: usize) -> String {
    format!("https://www.okx.com/api/v5/public/instruments?instType=T{n}")
}

/// A trade and a book of an instrument, with ids that tell whose they are.
fn speak(world: &mut World, venue: Venue, native: &str, id: i64) {
    let side: [(&str, &str); 1] = [("100", "1")];
    if venue == Venue::Okx {
        world.frame(A, &okx_trade(native, id, 1, T0 + id));
        world.frame(A, &okx_book(native, (-1, id), T0 + id, &side, &[("101", "2")], 0));
    } else {
        world.frame(A, &deribit_trades(native, &[deribit_trade(native, id, T0 + id, "")]));
        world.frame(A, &deribit_book(native, (None, id), T0 + id, &side, &[("101", "2")]));
    }
}

#[test]
fn who_would_share_a_symbol_bears_its_own_name_from_then_on_and_its_book_goes_on() {
    let told = |world: &mut World, of: &[&[&str]]| {
        for (n, names) in of.iter().enumerate() {
            world.reply(None, &deribit_url(n), 200, &deribit_instruments(names));
        }
    };
    for replies in [&[][..], &[&[P][..], &[Q]], &[&[P, Q]]] {
        let mut world = World::replaying_at(Venue::Deribit, 1);
        speak(&mut world, Venue::Deribit, P, 7);
        told(&mut world, replies);
        speak(&mut world, Venue::Deribit, Q, 17);
        speak(&mut world, Venue::Deribit, P, 8);
        let symbols = ["symbol", "source", "last_id"];
        assert_eq!(
            world.rows(Table::L2, &symbols),
            ["BTCUSD|ws|7".to_owned(), format!("{P}|checkpoint|7"), format!("{Q}|ws|17"), format!("{P}|ws|8")],
            "{replies:?}"
        );
        assert_eq!(world.rows(Table::Trades, &["symbol"]), ["BTCUSD", Q, P]);
        assert_eq!(world.count("/names_kept_apart"), 1);
        let books: Vec<String> = world.engine.books().into_iter().map(|book| book.symbol).collect();
        assert_eq!(books, [P, Q]);
    }
    // The second reply ends what the first has told.
    let mut world = World::replaying_at(Venue::Deribit, 1);
    told(&mut world, &[&[P], &[Q]]);
    let now = world.now.wall;
    assert_eq!(
        world.rows(Table::Instruments, &["native_symbol", "symbol", "valid_to"]),
        [format!("{P}|BTCUSD|"), format!("{Q}|{Q}|"), format!("{P}|BTCUSD|{now}"), format!("{P}|{P}|")]
    );
}

#[test]
fn one_reply_tells_each_of_its_instruments_once() {
    let [ab, a, apart] = [("AB", "C"), ("A", "BC"), ("A", "C")].map(|(base, quote)| okx_spot(base, quote, "live"));
    let perpetual = |symbol: &str| {
        json!({"symbol": symbol, "status": "TRADING", "contractType": "PERPETUAL", "deliveryDate": 4_133_404_800_000i64,
            "baseAsset": &symbol[..3], "quoteAsset": "USD", "marginAsset": "USD"})
    };
    let perpetuals = ["BTCUSD_PERP", "BTCUSD", "ETHUSD_PERP"].map(perpetual);
    for (venue, url, reply, names) in [
        (Venue::Okx, okx_url(0), okx_instruments(&[ab, a, apart]), ["AB-C|AB-C|", "A-BC|A-BC|", "A-C|AC|"]),
        (
            Venue::Deribit,
            deribit_url(0),
            deribit_instruments(&["A-PERPETUAL", "A_USD-PERPETUAL", "B-PERPETUAL"]),
            ["A-PERPETUAL|A-PERPETUAL|", "A_USD-PERPETUAL|A_USD-PERPETUAL|", "B-PERPETUAL|BUSD|"],
        ),
        (
            Venue::BinanceFutures,
            "https://fapi.binance.com/fapi/v1/exchangeInfo".to_owned(),
            json!({"symbols": perpetuals}).to_string(),
            ["BTCUSD_PERP|BTCUSD_PERP|", "BTCUSD|BTCUSD|", "ETHUSD_PERP|ETHUSD|"],
        ),
    ] {
        let mut world = World::replaying_at(venue, 1);
        for _ in 0..2 {
            world.reply(None, &url, 200, &reply);
            assert_eq!(world.rows(Table::Instruments, &["native_symbol", "symbol", "valid_to"]), names);
            assert_eq!(world.count("/names_kept_apart"), 1);
        }
    }
}

#[test]
fn a_frame_may_part_the_name_of_what_the_reference_data_have_told() {
    let mut world = World::replaying_at(Venue::Okx, 1);
    world.reply(None, &okx_url(0), 200, &okx_instruments(&[okx_spot("AB", "CUSDT", "live")]));
    speak(&mut world, Venue::Okx, "ABC-USDT", 7);
    speak(&mut world, Venue::Okx, "AB-CUSDT", 17);
    assert_eq!(world.rows(Table::Trades, &["symbol"]), ["ABC-USDT", "AB-CUSDT"]);
    let now = world.now.wall;
    assert_eq!(
        world.rows(Table::Instruments, &["symbol", "valid_to"]),
        ["ABCUSDT|".to_owned(), format!("ABCUSDT|{now}"), "AB-CUSDT|".to_owned()]
    );
    // In another market the symbol is another's.
    speak(&mut world, Venue::Okx, "ABC-USDT-SWAP", 27);
    assert_eq!(world.rows(Table::Trades, &["exchange", "symbol"])[2], "okx-swap|ABCUSDT");
}

#[test]
fn a_symbol_passes_from_nobody_to_nobody() {
    let [first, second] = ["BTC-USDT-310404", "BTC-USDT-320404"];
    let mut world = World::replaying_at(Venue::Okx, 1);
    let steps = [&[first][..], &[first, second], &[second], &[first, second]];
    for (n, listed) in (0i64..).zip(steps) {
        let rows: Vec<Value> = listed.iter().map(|native| xperp(native, "BTC-USDT")).collect();
        world.reply(None, &okx_url(0), 200, &okx_instruments(&rows));
        for native in listed {
            speak(&mut world, Venue::Okx, native, n + if *native == first { 1 } else { 101 });
        }
    }
    assert_eq!(world.rows(Table::Trades, &["symbol"]), ["BTCUSDT", first, second, second, first, second]);
    assert_eq!(world.count("/names_kept_apart"), 1);
}

/// Only what nobody knows any more leaves its symbol, and never one that was shared.
#[test]
fn what_is_forgotten_to_make_room_leaves_its_symbol_to_others() {
    let names = ["BTC-USDT-310404", "BTC-USDT-320404", "BTC-USDT-330404", "ETH-USDT-310404", "ETH-USDT-320404"];
    let [first, second, third, eth, eth_after] = names;
    for (has_spoken, symbol) in [(false, "ETHUSDT"), (true, eth_after)] {
        let mut world = World::new(EngineConfig { max_instruments: 3, ..recording_of(Venue::Okx) });
        world.input(Input::ConnUp { conn: A, url: "", link: Link::default() });
        if has_spoken {
            speak(&mut world, Venue::Okx, eth, 7);
        }
        for listed in [&[first, second, eth][..], &[], &[third, eth_after]] {
            let pair = |native: &str| xperp(native, &native[..native.len() - "-310404".len()]);
            let rows: Vec<Value> = listed.iter().copied().map(pair).collect();
            // That nothing is listed any more is believed when it has been said eight times.
            for _ in 0..if rows.is_empty() { 8 } else { 1 } {
                world.reply(None, &okx_url(0), 200, &okx_instruments(&rows));
            }
        }
        let told = world.rows(Table::Instruments, &["native_symbol", "symbol"]);
        for row in [format!("{third}|{third}"), format!("{eth_after}|{symbol}")] {
            assert!(told.contains(&row), "{row}: {told:?}");
        }
    }
}

/// A symbol that is another's own name is not borne beside it.
#[test]
fn a_native_name_is_its_bearers_alone() {
    for order in [["AB-C", "A-BC"], ["A-BC", "AB-C"]] {
        let mut world = World::replaying_at(Venue::Okx, 1);
        for (n, native) in (0i64..).zip(order) {
            speak(&mut world, Venue::Okx, native, 100 * n + 7);
        }
        assert_eq!(world.rows(Table::Trades, &["symbol"]), ["ABC", order[1]]);
    }
}

/// Who asked for a name keeps its stream when it comes to be shared, and is ended when nothing means it any more.
#[test]
fn what_was_subscribed_by_a_symbol_that_is_parted_stays_subscribed_and_a_replay_says_the_same() {
    let config = live_config(Venue::Deribit, &["BTCUSD", "ETHUSD"], &[Stream::Trades, Stream::L2]);
    let mut world = World::new(EngineConfig { reference_interval_s: 10, ..config });
    world.connect_all();
    speak(&mut world, Venue::Deribit, P, 7);
    world.pass_ms(0);
    world.tell_reference(200, &deribit_instruments(&[P, "ETH-PERPETUAL"]));
    speak(&mut world, Venue::Deribit, P, 8);
    world.pass_ms(10_000);
    world.tell_reference(200, &deribit_instruments(&[P, Q, "ETH-PERPETUAL"]));
    let remove = crate::engine::Command::Remove(vec!["ETHUSD".to_owned()]);
    world.command(&remove).expect("it is subscribed");
    speak(&mut world, Venue::Deribit, P, 9);
    assert_eq!(world.rows(Table::Trades, &["symbol", "seq"]), ["BTCUSD|7", "BTCUSD|8", "BTC-PERPETUAL|9"]);
    assert_eq!((world.engine.fault(), world.count("/names_kept_apart")), (None, 1));
    let mut again = replay(&mut world);
    again.rows(Table::Trades, &["symbol"]);
    for table in Table::ALL.into_iter().filter(|table| *table != Table::Levels) {
        assert_eq!(all_rows(&again.batches, table), all_rows(&world.batches, table), "{table:?}");
    }
    assert_eq!(again.counters(), world.counters());
}

#[derive(Clone, Debug)]
enum Op {
    /// A reply that names these, a bit for each.
    Told(usize, u16),
    /// One of them speaks.
    Speaks(usize),
}

fn op(natives: usize) -> impl Strategy<Value = Op> {
    prop_oneof![
        (0..3usize, 0..1u16 << natives).prop_map(|(url, named)| Op::Told(url, named)),
        (0..natives).prop_map(Op::Speaks),
    ]
}

const OF_DERIBIT: [&str; 5] = [P, Q, "ETH-PERPETUAL", "ETH_USD-PERPETUAL", "SOL_USDC-PERPETUAL"];
const OF_OKX: [&str; 8] = [
    "AB-CUSDT",
    "ABC-USDT",
    "A-BCUSDT",
    "BTC-USDT",
    "BTC-USDT-310404",
    "BTC-USDT-320404",
    "BT-CUSDT-310404",
    "ETH-USDT-320404",
];

fn reply(venue: Venue, natives: &[&str]) -> String {
    if venue == Venue::Deribit {
        return deribit_instruments(natives);
    }
    let rows: Vec<Value> = natives
        .iter()
        .map(|native| {
            let parts: Vec<&str> = native.split('-').collect();
            match parts[..] {
                [base, quote] => okx_spot(base, quote, "live"),
                _ => xperp(native, &native[..native.len() - "-310404".len()]),
            }
        })
        .collect();
    okx_instruments(&rows)
}

/// The symbol that an instrument asks for when nobody has told of it, and when a reply has.
fn asked(venue: Venue, native: &str) -> [String; 2] {
    let by_form = with_protocol!(venue, P => P::name(native)).symbol.into_owned();
    let by_reply = with_protocol!(venue, P => P::read_reference(reply(venue, &[native]).as_bytes()));
    [by_form, by_reply.expect("a good reply").remove(0).symbol]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_symbol_is_ever_of_two_in_whatever_order_they_are_told(
        venue in prop_oneof![Just(Venue::Deribit), Just(Venue::Okx)],
        ops in prop::collection::vec(op(OF_OKX.len()), 1..24),
    ) {
        let natives: &[&str] = if venue == Venue::Okx { &OF_OKX } else { &OF_DERIBIT };
        let url = if venue == Venue::Okx { okx_url } else { deribit_url };
        let mut world = World::new(recording_of(venue));
        world.input(Input::ConnUp { conn: A, url: "", link: Link::default() });
        // What everybody has asked for so far, by market; who has been told of; who has spoken.
        let mut wishes: HashSet<(bool, String, &str)> = HashSet::new();
        let (mut told, mut spoke) = (HashSet::new(), HashMap::new());
        let is_spot = |native: &str| native.matches('-').count() == 1 && venue == Venue::Okx;
        let mut ask = |native: &'static str, symbol: &str| {
            wishes.insert((is_spot(native), symbol.to_owned(), native));
            wishes.insert((is_spot(native), native.to_owned(), native));
        };
        let mut id = 0;
        let mut say = |world: &mut World, at: usize| {
            id += 1;
            speak(world, venue, natives[at], 1_000 * i64::try_from(at).expect("few") + id);
        };
        for op in ops {
            match op {
                Op::Told(n, named) => {
                    let names: Vec<&'static str> = if venue == Venue::Okx { &OF_OKX[..] } else { &OF_DERIBIT[..] }
                        .iter().copied().enumerate().filter(|(at, _)| named >> at & 1 == 1).map(|(_, name)| name).collect();
                    for name in &names {
                        ask(name, &asked(venue, name)[1]);
                        told.insert(*name);
                    }
                    world.reply(None, &url(n), 200, &reply(venue, &names));
                }
                Op::Speaks(at) if at < natives.len() => {
                    let native = if venue == Venue::Okx { OF_OKX[at] } else { OF_DERIBIT[at] };
                    if !told.contains(native) && !spoke.contains_key(native) {
                        ask(native, &asked(venue, native)[0]);
                    }
                    spoke.insert(native, at);
                    say(&mut world, at);
                }
                Op::Speaks(_) => {}
            }
        }
        let before = world.rows(Table::Trades, &["symbol"]).len();
        let mut last: Vec<(&str, usize)> = spoke.into_iter().collect();
        last.sort_unstable();
        for (_, at) in &last {
            say(&mut world, *at);
        }
        // Each goes by the symbol that it asked for last, unless another ever asked for that.
        let expected: Vec<String> = last.iter().map(|(native, _)| {
            let wish = asked(venue, native)[usize::from(told.contains(native))].clone();
            let is_shared = wishes.iter().any(|(spot, other, by)| (*spot, other) == (is_spot(native), &wish) && by != native);
            if is_shared { (*native).to_owned() } else { wish }
        }).collect();
        prop_assert_eq!(&world.rows(Table::Trades, &["symbol"])[before..], &expected[..]);
        // And no symbol of a market was ever another's.
        let mut bearers: HashMap<String, String> = HashMap::new();
        for (table, whose) in [(Table::Trades, "trade_id"), (Table::L2, "last_id"), (Table::Instruments, "native_symbol")] {
            for row in world.rows(table, &["exchange", "symbol", whose]) {
                let (symbol, by) = row.rsplit_once('|').expect("three columns");
                let by = match by.trim_start_matches("ETH-").parse::<usize>() {
                    Ok(id) => natives[id / 1_000],
                    Err(_) => by,
                };
                let bearer = bearers.entry(symbol.to_owned()).or_insert_with(|| by.to_owned());
                prop_assert_eq!(&*bearer, by, "{}", row);
            }
        }
    }
}

#[test]
fn both_rows_of_a_gap_bear_the_name_that_it_was_found_under() {
    let mut world = World::replaying_at(Venue::Okx, 1);
    world.frame(A, &okx_trade("AB-CUSDT", 1, 1, T0 + 1));
    world.down(A, DownReason::Reset);
    world.input(Input::ConnUp { conn: B, url: "", link: Link::default() });
    world.frame(B, &okx_trade("ABC-USDT", 1, 1, T0 + 2));
    world.frame(B, &okx_trade("AB-CUSDT", 2, 1, T0 + 3));
    assert_eq!(world.rows(Table::Trades, &["symbol"]), ["ABCUSDT", "ABC-USDT", "AB-CUSDT"]);
    assert_eq!(world.rows(Table::Gaps, &["gap_id", "symbol"]), ["1|ABCUSDT", "1|ABCUSDT"]);
}
