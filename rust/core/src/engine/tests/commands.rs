//! A running engine is changed: symbols come and go, connections too, and nothing else feels it.

use proptest::prelude::*;

use super::exchange::{Exchange, VENUES, book, trade};
use super::frames::{binance_instruments, okx_instruments, okx_spot};
use super::harness::{A, B, World, agg_trade, live_config};
use crate::config::{ConfigError, DedupLimits, EngineConfig, Stream};
use crate::engine::{Action, Command, DownReason, Input, Link};
use crate::symbol::{ConnId, Venue};
use crate::table::Table;

const BOTH: [Stream; 2] = [Stream::Trades, Stream::L2];

/// Another symbol of each venue, which is known by its name too.
fn other(venue: Venue) -> &'static str {
    match venue {
        Venue::BinanceFutures | Venue::BinanceSpot => "ETHUSDT",
        Venue::Okx => "ETH-USDT",
        Venue::Deribit => "ETH_USDC",
    }
}

fn of_other(text: &str) -> String {
    text.replace("BTC", "ETH").replace("btc", "eth")
}

/// A liquidation of this price, on every connection.
fn liquidate(exchange: &mut Exchange, symbol: &str, price: i64) {
    let frame = format!(
        r#"{{"stream":"{}@forceOrder","data":{{"e":"forceOrder","E":1,"o":{{"s":"{symbol}","S":"SELL","o":"LIMIT","f":"IOC","q":"1","p":"99","ap":"{price}","X":"FILLED","l":"1","z":"1","T":1700000000000}}}}}}"#,
        symbol.to_lowercase()
    );
    for line in exchange.lines.clone() {
        exchange.world.frame(line.conn, &frame);
    }
}

/// The room of one symbol is that of all that come after it.
#[test]
fn a_symbol_that_is_removed_gives_its_room_for_copies_back() {
    let mut exchange = Exchange::new(Venue::BinanceFutures, &[Stream::Trades, Stream::Liquidations], |config| {
        config.connections = 2;
        config.arbitration.dedup = DedupLimits { per_symbol: 16, total: 16, ttl_s: 600 };
    });
    exchange.run_ms(5_000, 500);
    for round in 0..8 {
        exchange.command(&add("ETHUSDT")).expect("it is listed");
        exchange.run_ms(2_000, 500);
        liquidate(&mut exchange, "ETHUSDT", 100 + round);
        exchange.command(&remove("ETHUSDT")).expect("it is there");
        exchange.run_ms(1_000, 500);
    }
    let told = exchange.world.rows(Table::Liquidations, &["symbol", "price"]);
    assert_eq!(told, (100..108).map(|price| format!("ETHUSDT|{price}")).collect::<Vec<_>>(), "each once");
}

/// A connection that is up and has been granted nothing is none to be left with.
#[test]
fn of_fewer_connections_the_one_that_carries_stays() {
    let config = EngineConfig { connections: 2, ..live_config(Venue::BinanceFutures, &["BTCUSDT"], &[Stream::Trades]) };
    let mut world = World::new(config);
    while world.engine.lanes().first().is_none_or(|lane| lane.up < 2) {
        world.connect_all();
        world.pass_ms(1_000);
    }
    for conn in [A, B] {
        world.acknowledge(conn);
        world.frame(conn, &agg_trade(1, "1", "1"));
    }
    world.down(A, DownReason::Reset);
    world.actions.clear();
    while world.opens() == 0 {
        world.pass_ms(100);
        world.frame(B, &agg_trade(2, "1", "1"));
    }
    let opened = world.actions.iter().find_map(|action| match action {
        Action::Open { conn, url, .. } => Some((*conn, url.clone())),
        _ => None,
    });
    let (conn, url) = opened.expect("it comes back");
    world.input(Input::ConnUp { conn, url: &url, link: Link::default() });
    world.command(&Command::Connections(1)).expect("within its bounds");
    let closed: Vec<ConnId> = world
        .actions
        .iter()
        .filter_map(|action| if let Action::Close { conn, .. } = action { Some(*conn) } else { None })
        .collect();
    assert!(!closed.is_empty() && !closed.contains(&B), "{closed:?}");
}

fn add(text: &str) -> Command {
    Command::Add(vec![text.into()])
}

fn remove(text: &str) -> Command {
    Command::Remove(vec![text.into()])
}

/// Requests for or about the other symbol since the last look, in lower case.
fn asked_of_other(exchange: &mut Exchange) -> Vec<String> {
    let asked = std::mem::take(&mut exchange.asked).into_iter().map(|(_, text)| text.to_lowercase());
    let name = other(exchange.venue).to_lowercase();
    asked.filter(|text| text.contains(&name)).collect()
}

#[test]
fn a_symbol_is_added_removed_and_added_again_and_the_others_do_not_feel_it() {
    for venue in VENUES {
        let mut exchange = Exchange::new(venue, &[Stream::Trades], |config| config.connections = 2);
        exchange.run_ms(10_000, 500);
        let other_trade = |exchange: &mut Exchange, id: i64| {
            for line in exchange.lines.clone() {
                exchange.world.frame(line.conn, &of_other(&trade(venue, id)));
            }
        };
        other_trade(&mut exchange, 1);
        assert_eq!(exchange.world.count("/frames/ignored/unsolicited"), 2, "{venue:?}");

        exchange.command(&add(other(venue))).expect("it can be added");
        let asked = asked_of_other(&mut exchange);
        assert_eq!(asked.len(), 2, "{venue:?}: once on each connection: {asked:?}");
        assert!(asked.iter().all(|text| !text.contains("btc") && !text.contains("unsub")), "{asked:?}");
        exchange.command(&add(other(venue))).expect("twice is once");
        assert!(asked_of_other(&mut exchange).is_empty());
        other_trade(&mut exchange, 7);
        exchange.run_ms(5_000, 500);

        exchange.command(&remove(other(venue))).expect("it is there");
        let asked = asked_of_other(&mut exchange);
        assert!(asked.len() == 2 && asked.iter().all(|text| text.contains("unsub")), "{venue:?}: {asked:?}");
        other_trade(&mut exchange, 8);
        assert_eq!(exchange.world.count("/frames/ignored/ended"), 2, "{venue:?}");
        exchange.run_ms(200_000, 500);
        assert_eq!(exchange.probes, 0, "{venue:?}: nobody waits for it");

        exchange.command(&add(other(venue))).expect("again");
        assert_eq!(asked_of_other(&mut exchange).len(), 2, "{venue:?}");
        // Trades of before come again, and those in between nobody asked for.
        for id in [7, 12, 14] {
            other_trade(&mut exchange, id);
            exchange.pass_ms(300);
        }
        let column = if venue == Venue::Deribit { "seq" } else { "trade_id" };
        let rows = exchange.world.rows(Table::Trades, &["symbol", column]);
        let (others, own): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.starts_with("ETH"));
        let ids: Vec<&str> = others.iter().filter_map(|row| row.split('|').nth(1)).collect();
        assert_eq!(ids, ["7", "12", "14"], "{venue:?}");
        assert_eq!(own.len() as i64, exchange.id - 1, "{venue:?}");
        let gaps = exchange.world.rows(Table::Gaps, &["symbol", "first_missing", "last_missing"]);
        assert!(gaps.iter().all(|gap| gap.starts_with("ETH") && gap.ends_with("|13|13")), "{venue:?}: {gaps:?}");
        assert!(!gaps.is_empty(), "{venue:?}: what was missed while it was asked for is named, and nothing else");
    }
}

#[test]
fn a_book_that_is_removed_leaves_no_gap_and_begins_anew() {
    for venue in VENUES {
        let mut exchange = Exchange::new(venue, &[Stream::L2], |_| {});
        exchange.command(&add(other(venue))).expect("it can be added");
        exchange.run_ms(10_000, 500);
        let frame = |exchange: &mut Exchange, prev: Option<i64>, id: i64| {
            let text = of_other(&book(venue, prev, id));
            match (venue, prev) {
                (Venue::Okx | Venue::Deribit, _) | (_, Some(_)) => exchange.world.frame(ConnId(1), &text),
                _ => {}
            }
            exchange.serve();
        };
        frame(&mut exchange, None, 50);
        frame(&mut exchange, Some(50), 60);
        let books = |exchange: &Exchange| exchange.world.engine.books().len();
        assert_eq!(books(&exchange), 2, "{venue:?}");
        exchange.command(&remove(other(venue))).expect("it is there");
        assert_eq!(books(&exchange), 1, "{venue:?}");
        frame(&mut exchange, Some(60), 70);
        exchange.run_ms(100_000, 500);
        exchange.command(&add(other(venue))).expect("again");
        frame(&mut exchange, None, 900);
        frame(&mut exchange, Some(900), 910);
        assert_eq!(books(&exchange), 2, "{venue:?}");
        assert_eq!(exchange.gaps(), [""; 0], "{venue:?}");
        let counters = exchange.world.counters();
        assert_eq!(counters["frames"]["ignored"]["ended"], 1, "{venue:?}: {counters}");
        let in_flight: u64 = exchange.world.engine.books().iter().map(|book| book.in_flight).sum();
        assert_eq!(counters["frames"]["held"].as_u64(), Some(in_flight), "{venue:?}");
    }
}

#[test]
fn what_is_missing_of_a_symbol_when_it_is_removed_has_its_second_row() {
    let columns = ["stream", "cause", "first_missing", "last_missing", "ts_resumed"];
    for venue in VENUES {
        let mut exchange = Exchange::new(venue, &BOTH, |config| config.connections = 2);
        exchange.run_ms(5_000, 500);
        exchange.command(&add(other(venue))).expect("it can be added");
        let at = exchange.id * 10;
        let frames = |exchange: &mut Exchange, conns: &[u16], texts: &[String]| {
            for (conn, text) in conns.iter().flat_map(|conn| texts.iter().map(|text| (*conn, text))) {
                exchange.world.frame(ConnId(conn), &of_other(text));
                exchange.serve();
            }
        };
        let begin = match venue {
            Venue::Okx | Venue::Deribit => vec![book(venue, None, at), trade(venue, 1)],
            _ => vec![trade(venue, 1)],
        };
        frames(&mut exchange, &[1, 2], &begin);
        frames(&mut exchange, &[1, 2], &[book(venue, Some(at), at + 10)]);
        exchange.pass_ms(2_000);
        let gaps = |exchange: &mut Exchange| -> Vec<String> {
            let rows = exchange.world.rows(Table::Gaps, &[&["symbol"][..], &columns].concat());
            rows.iter().filter_map(|row| row.strip_prefix("ETH")?.split_once('|')).map(|(_, row)| row.into()).collect()
        };
        // Trades that another connection may still bring.
        frames(&mut exchange, &[1], &[trade(venue, 5)]);
        assert_eq!(gaps(&mut exchange), [""; 0], "{venue:?}");
        let now = exchange.world.now.wall;
        exchange.command(&remove(other(venue))).expect("it is there");
        let told = ["trades|missed|2|4|".to_owned(), format!("trades|missed|2|4|{now}")];
        assert_eq!(gaps(&mut exchange), told, "{venue:?}");

        // Whatever a connection brought that is gone.
        exchange.command(&add(other(venue))).expect("again");
        frames(&mut exchange, &[1, 2], &begin);
        frames(&mut exchange, &[1, 2], &[book(venue, Some(at), at + 10), trade(venue, 6)]);
        exchange.pass_ms(2_000);
        exchange.is_closed = true;
        for line in exchange.lines.clone() {
            exchange.end(line.conn, DownReason::Reset);
        }
        exchange.pass_ms(1_000);
        let open = gaps(&mut exchange).split_off(2);
        assert_eq!(open, ["trades|disconnect|||", "l2|disconnect|||"], "{venue:?}");
        let now = exchange.world.now.wall;
        exchange.command(&remove(other(venue))).expect("it is there");
        let closed: Vec<String> = open.iter().map(|row| format!("{row}{now}")).collect();
        assert_eq!(gaps(&mut exchange).split_off(4), closed, "{venue:?}");
        exchange.is_closed = false;
        exchange.run_ms(120_000, 1_000);
        assert_eq!(gaps(&mut exchange).len(), 6, "{venue:?}");
    }
}

#[test]
fn connections_come_and_go_without_a_trace_in_the_data() {
    for venue in VENUES {
        let mut exchange = Exchange::new(venue, &[Stream::Trades], |_| {});
        let mut ups = Vec::new();
        for connections in [3, 1, 2, 2] {
            exchange.command(&Command::Connections(connections)).expect("within its bounds");
            exchange.run_ms(6_000, 100);
            ups.push(exchange.up());
        }
        assert_eq!(ups, [3, 1, 2, 2], "{venue:?}");
        assert_eq!((exchange.gaps().len(), exchange.cut), (0, 0), "{venue:?}");
        assert_eq!(exchange.trades().len() as i64, exchange.id - 1, "{venue:?}");
        assert_eq!((exchange.redundancy("wanted"), exchange.redundancy("up")), (2, 2), "{venue:?}");
    }
}

#[test]
fn what_cannot_be_done_is_refused_with_the_remedy_and_nothing_happens() {
    let mut exchange = Exchange::new(Venue::Deribit, &[Stream::Trades], |config| {
        config.symbols = (0..499).map(|n| format!("X{n}_USDC")).chain(["BTC_USDC".into()]).collect();
        config.connections = 16;
    });
    exchange.run_ms(30_000, 1_000);
    exchange.world.rows(Table::Raw, &["kind"]);
    let inputs = exchange.world.rows(Table::Raw, &["kind"]).len();
    let many: Vec<String> = (0..501).map(|n| format!("Y{n}_USDC")).collect();
    let all = exchange.world.engine.lanes()[0].wanted;
    let cases: [(Command, &str); 8] = [
        (Command::Connections(0), "1 to 16"),
        (Command::Connections(17), "1 to 16"),
        (add("btcusdc"), "upper case"),
        (add("okx-spot:BTCUSDT"), "is of okx"),
        (Command::Add(Vec::new()), "symbols is empty"),
        (Command::Add(many), "choose a smaller `connections`"),
        (remove("BTC-PERPETUAL"), "is not subscribed"),
        (
            Command::Remove((0..499).map(|n| format!("X{n}_USDC")).chain(["BTC_USDC".into()]).collect()),
            "nothing would be left",
        ),
    ];
    for (command, words) in cases {
        let error = exchange.world.command(&command).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(exchange.world.rows(Table::Raw, &["kind"]).len(), inputs);
    assert_eq!(exchange.world.engine.lanes()[0].wanted, all);
    // One lane more has its place.
    let one: Vec<String> = (0..500).map(|n| format!("Y{n}_USDC")).collect();
    exchange.world.command(&Command::Add(one)).expect("thirty-two connections");
    assert!(exchange.world.command(&add("Z_USDC")).is_err());
    let mut recording = World::replaying(1);
    assert!(recording.command(&Command::Connections(2)).expect_err("a recording").to_string().contains("replayed"));
}

/// A world whose reference data have come.
fn resolved(venue: Venue, symbols: &[&str], reference: &str) -> World {
    let config = live_config(venue, symbols, &[Stream::Trades]);
    let mut world = World::new(EngineConfig { reference_interval_s: 600, ..config });
    world.connect_all();
    world.pass_ms(0);
    world.actions.retain(|action| matches!(action, Action::Http { .. }));
    world.tell_reference(200, reference);
    world.connect_all();
    world.acknowledge(ConnId(1));
    world.actions.clear();
    world
}

#[test]
fn what_is_added_later_is_judged_by_the_reference_data() {
    let listed = [("BTCUSDT", "TRADING"), ("ETHUSDT", "TRADING"), ("ADAUSDT", "CLOSE")];
    let mut world = resolved(Venue::BinanceFutures, &["BTCUSDT"], &binance_instruments(&listed));
    let error = world.command(&add("ETHUSD")).expect_err("not listed");
    assert!(matches!(&error, ConfigError::NotListed { hint, .. } if hint.contains("ETHUSDT")), "{error}");
    assert!(world.command(&add("*EUR")).expect_err("fits nothing").to_string().contains("*EUR"));
    assert!(world.command(&add("ADAUSDT")).expect_err("closed").to_string().contains("closed"));
    world.command(&add("ETH*")).expect("one fits");
    assert!(world.sent(ConnId(1)).concat().contains("ethusdt@aggTrade"));
    assert_eq!(world.engine.fault(), None);
    // What two selections mean goes when both have gone.
    world.command(&add("ETHUSDT")).expect("listed");
    world.actions.clear();
    world.command(&remove("ETH*")).expect("there");
    assert!(world.sent(ConnId(1)).is_empty());
    world.command(&remove("ETHUSDT")).expect("there");
    assert!(world.sent(ConnId(1)).concat().contains("UNSUBSCRIBE"));
    assert_eq!(world.engine.fault(), None);
}

/// What was chosen badly at the start is said at once. From then on others run, whom nobody's listings end.
#[test]
fn what_a_pattern_comes_to_mean_ends_nothing_that_runs() {
    let (spot, swap) = (okx_spot("BTC", "USDT", "live"), super::frames::okx_swap("BTC", "USDT", "live"));
    let mut odd = super::frames::okx_swap("BTC", "USDT", "live");
    odd["ctValCcy"] = "USDT".into();
    let streams = [Stream::Trades, Stream::Derivatives];
    let begin = |symbols: &[&str]| {
        let mut world = World::new(live_config(Venue::Okx, symbols, &streams));
        world.connect_all();
        world.pass_ms(0);
        world
    };
    let refuses = |symbols: &[&str], listed: &[serde_json::Value]| {
        let mut world = begin(symbols);
        world.tell_reference(200, &okx_instruments(listed));
        world.engine.fault().is_some()
    };
    // Nothing that fits, nothing of it that can be told, nothing that has one of the streams.
    for listed in [std::slice::from_ref(&spot), std::slice::from_ref(&odd)] {
        assert!(refuses(&["okx-swap:*"], listed));
    }
    assert!(refuses(&["quote=USDT"], std::slice::from_ref(&spot)));
    for listed in [std::slice::from_ref(&spot), std::slice::from_ref(&odd), &[]] {
        let mut world = begin(&["quote=USDT", "okx-swap:*"]);
        world.tell_reference(200, &okx_instruments(&[spot.clone(), swap.clone()]));
        world.actions.clear();
        while world.requests("nstruments").is_empty() {
            world.pass_ms(10_000);
        }
        world.tell_reference(200, &okx_instruments(listed));
        assert_eq!(world.engine.fault(), None, "{listed:?}");
    }
    // Nor does what was added before anybody could say what it means.
    for (symbol, listed) in [("okx-swap:*", &spot), ("okx-swap:*", &odd), ("okx-swap:BTCUSDT", &odd)] {
        let mut world = World::new(live_config(Venue::Okx, &["BTC-USDT"], &[Stream::Trades]));
        world.connect_all();
        world.pass_ms(0);
        world.command(&add(symbol)).expect("who knows");
        world.tell_reference(200, &okx_instruments(&[spot.clone(), listed.clone()]));
        assert_eq!(world.engine.fault(), None, "{symbol}");
    }
}

#[test]
fn a_market_whose_reference_data_nobody_asked_for_is_asked_for_first() {
    let rows = [okx_spot("BTC", "USDT", "live"), super::frames::okx_swap("ETH", "USDT", "live")];
    let mut world = resolved(Venue::Okx, &["okx-spot:BTCUSDT"], &okx_instruments(&rows[..1]));
    world.command(&add("okx-swap:ETHUSDT")).expect("who knows");
    assert!(!world.sent(ConnId(1)).concat().contains("ETH"));
    assert_eq!(world.requests("instType=SWAP").len(), 1);
    world.tell_reference(200, &okx_instruments(&rows));
    assert!(world.sent(ConnId(1)).concat().contains("ETH-USDT-SWAP"));
    assert_eq!(world.engine.fault(), None);
}

// Fault: X17
#[test]
fn a_name_that_was_added_and_turns_out_not_to_be_listed_ends_with_a_word() {
    let rows = [okx_spot("BTC", "USDT", "live"), super::frames::okx_swap("ETH", "USDT", "live")];
    let mut world = resolved(Venue::Okx, &["okx-spot:BTCUSDT"], &okx_instruments(&rows[..1]));
    world.command(&add("okx:NOPE-USDT")).expect("who knows");
    assert!(world.sent(ConnId(1)).concat().contains("NOPE-USDT"));
    world.tell_reference(200, &okx_instruments(&rows));
    let warning = world.engine.poll_warning().expect("a word");
    assert!(warning.contains("lists no instrument \"NOPE-USDT\""), "{warning}");
    let last = world.sent(ConnId(1)).pop().expect("a request");
    assert!(last.contains("unsubscribe") && last.contains("NOPE-USDT"), "{last}");
    world.pass_ms(120_000);
    assert_eq!(world.engine.fault(), None);
    assert_eq!(world.rows(Table::Gaps, &["symbol"]), [""; 0]);
    // The others are as they were.
    assert!(world.command(&remove("okx:NOPE-USDT")).is_err(), "it is not there");
}

// Fault: X23
#[test]
fn what_is_listed_no_more_ends_once_it_is_silent_and_begins_when_it_is_listed_again() {
    let both = binance_instruments(&[("BTCUSDT", "TRADING"), ("ETHUSDT", "TRADING")]);
    let mut world = resolved(Venue::BinanceFutures, &["*USDT"], &both);
    let speak = |world: &mut World| {
        let btc = trade(Venue::BinanceFutures, world.now.mono as i64 / 1_000_000_000);
        world.frame(ConnId(1), &btc);
        world.frame(ConnId(1), &of_other(&btc));
    };
    let fetch = |world: &mut World, body: &str| {
        while world.requests("exchangeInfo").is_empty() {
            world.pass_ms(1_000);
            speak(world);
        }
        world.tell_reference(200, body);
    };
    let ended = |world: &World| world.sent(ConnId(1)).iter().filter(|text| text.contains("UNSUBSCRIBE")).count();
    let one = binance_instruments(&[("BTCUSDT", "TRADING")]);
    fetch(&mut world, &one);
    for _ in 0..100 {
        world.pass_ms(1_000);
        speak(&mut world);
    }
    assert_eq!(ended(&world), 0, "it speaks: the listing may be wrong");
    for second in 0..121 {
        world.pass_ms(1_000);
        world.frame(ConnId(1), &trade(Venue::BinanceFutures, 1_000_000 + second));
    }
    assert_eq!(ended(&world), 1);
    assert!(world.sent(ConnId(1)).iter().any(|text| text.contains("UNSUBSCRIBE") && text.contains("ethusdt@")));
    speak(&mut world);
    assert_eq!(world.count("/frames/ignored/ended"), 1);
    world.actions.clear();
    fetch(&mut world, &both);
    assert!(world.sent(ConnId(1)).iter().any(|text| text.contains("\"SUBSCRIBE") && text.contains("ethusdt@")));
}

#[test]
fn a_change_of_the_listings_is_seen_at_once_and_a_storm_of_them_costs_one_fetch_in_ten_seconds() {
    let push =
        r#"{"arg":{"channel":"instruments","instType":"SPOT"},"data":[{"instType":"SPOT","instId":"NEW-USDT"}]}"#;
    let notice = r#"{"jsonrpc":"2.0","method":"subscription","params":{"channel":"instrument.state.any.any","data":{"timestamp":1,"state":"created","instrument_name":"NEW_USDC"}}}"#;
    let deribit = super::frames::deribit_instruments(&["BTC-PERPETUAL"]);
    for (venue, symbol, reference, push, channel) in [
        (Venue::Okx, "okx-spot:BTCUSDT", okx_instruments(&[okx_spot("BTC", "USDT", "live")]), push, "instruments"),
        (Venue::Deribit, "BTC-PERPETUAL", deribit, notice, "instrument.state.any.any"),
    ] {
        let mut world = World::new(live_config(venue, &[symbol], &[Stream::Trades]));
        world.connect_all();
        world.pass_ms(0);
        world.actions.retain(|action| matches!(action, Action::Http { .. }));
        world.tell_reference(200, &reference);
        world.connect_all();
        assert!(world.sent(ConnId(1)).concat().contains(channel), "{venue:?}");
        world.acknowledge(ConnId(1));
        world.actions.clear();
        world.frame(ConnId(1), push);
        assert_eq!(world.requests("nstruments").len(), 1, "{venue:?}");
        for _ in 0..100 {
            world.frame(ConnId(1), push);
        }
        world.tell_reference(200, &reference);
        world.actions.clear();
        world.pass_ms(9_999);
        assert!(world.requests("nstruments").is_empty(), "{venue:?}");
        world.pass_ms(1);
        assert_eq!(world.requests("nstruments").len(), 1, "{venue:?}: once more, since it changed on the way");
        assert_eq!(world.count("/refused_channels"), 0);
    }
}

#[derive(Clone, Debug)]
enum Change {
    Nothing,
    Add,
    Remove,
    Connections(u16),
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn streams_that_no_change_means_have_the_same_rows_with_and_without_it(
        venue in (0usize..4).prop_map(|n| VENUES[n]),
        changes in prop::collection::vec(prop_oneof![
            3 => Just(Change::Nothing),
            1 => Just(Change::Add),
            1 => Just(Change::Remove),
            1 => (1u16..5).prop_map(Change::Connections),
        ], 1..40),
    ) {
        let run = |commanded: bool| {
            let mut exchange = Exchange::new(venue, &BOTH, |config| config.connections = 2);
            exchange.run_ms(3_000, 100);
            for change in &changes {
                let command = match change {
                    Change::Nothing => None,
                    Change::Add => Some(add(other(venue))),
                    Change::Remove => Some(remove(other(venue))),
                    Change::Connections(n) => Some(Command::Connections(*n)),
                };
                if let Some(command) = command.filter(|_| commanded) {
                    // A removal of what is not there is refused.
                    let _ = exchange.command(&command);
                }
                exchange.run_ms(900, 100);
            }
            let mut told = Vec::new();
            for (table, columns) in [
                (Table::Trades, &["symbol", "ts_recv", "trade_id", "price", "size", "flags"][..]),
                (Table::L2, &["symbol", "ts_recv", "is_snapshot", "prev_id", "last_id", "bid_prices"][..]),
                (Table::Gaps, &["symbol", "ts_recv", "stream", "cause"][..]),
            ] {
                told.extend(exchange.world.rows(table, columns).into_iter().filter(|row| row.starts_with("BTC")));
            }
            told
        };
        prop_assert_eq!(run(true), run(false));
    }
}
