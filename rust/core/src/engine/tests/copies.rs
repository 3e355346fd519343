//! Events that have no order: each once, however often and by whichever connection it comes.

use serde_json::{Value, json};

use super::frames::{T0, okx_state};
use super::harness::{A, B, World, live_config, recording_of};
use crate::config::{DedupLimits, EngineConfig, Stream};
use crate::engine::{Command, DownReason, Input, Link};
use crate::symbol::Venue;
use crate::table::Table;

const ROW: [&str; 3] = ["side", "price", "conn_id"];

/// OKX §5: closing orders of one instrument, each with side, price and time.
fn orders(details: &[(&str, &str, i64)]) -> String {
    let detail = |(side, price, ts): &(&str, &str, i64)| json!({"side": side, "posSide": "long", "bkPx": price, "sz": "1", "bkLoss": "0", "ts": ts.to_string()});
    let details: Vec<Value> = details.iter().map(detail).collect();
    okx_state("liquidation-orders", json!({"instType": "SWAP", "instId": "BTC-USDT-SWAP", "details": details}))
}

fn force_order(price: &str, sent: i64) -> String {
    format!(
        r#"{{"stream":"btcusdt@forceOrder","data":{{"e":"forceOrder","E":{sent},"o":{{"s":"BTCUSDT","S":"SELL","o":"LIMIT","f":"IOC","q":"1","p":"99","ap":"{price}","X":"FILLED","l":"1","z":"1","T":{T0}}}}}}}"#
    )
}

fn reconnect(world: &mut World) {
    world.down(A, DownReason::Closed);
    world.input(Input::ConnUp { conn: A, url: "", link: Link::default() });
}

// Fault: X03
#[test]
fn a_closing_order_comes_once_on_several_connections_and_again_after_a_subscription() {
    let mut world = World::replaying_at(Venue::Okx, 2);
    let one = orders(&[("sell", "100", T0)]);
    world.frame(A, &one);
    world.frame(B, &one);
    world.frame(B, &orders(&[("buy", "101.0", T0)]));
    reconnect(&mut world);
    world.frame(A, &one);
    world.frame(A, &orders(&[("sell", "100.0", T0), ("buy", "101", T0), ("sell", "100", T0 + 1)]));
    assert_eq!(world.rows(Table::Liquidations, &ROW), ["sell|100|1", "buy|101|2", "sell|100|1"]);
    assert_eq!((world.count("/frames/duplicate"), world.count("/dedup/hits")), (2, 4));
}

#[test]
fn what_stands_twice_in_one_message_has_happened_twice() {
    let mut world = World::replaying_at(Venue::Okx, 2);
    let twice = orders(&[("sell", "100", T0), ("sell", "100", T0)]);
    for (conn, frame) in [(A, &twice), (B, &twice), (B, &orders(&[("sell", "100", T0); 3]))] {
        world.frame(conn, frame);
    }
    assert_eq!(world.rows(Table::Liquidations, &ROW), ["sell|100|1", "sell|100|1", "sell|100|2"]);
}

#[test]
fn when_it_was_sent_is_no_part_of_an_event() {
    let mut world = World::replaying_at(Venue::BinanceFutures, 2);
    for (conn, price, sent) in [(A, "100", T0 + 5), (B, "100", T0 + 9), (B, "100.5", T0 + 9)] {
        world.frame(conn, &force_order(price, sent));
    }
    assert_eq!(world.rows(Table::Liquidations, &ROW), ["sell|100|1", "sell|100.5|2"]);
}

#[test]
fn what_is_forgotten_after_its_time_may_come_again_and_nothing_is_said_of_it() {
    let mut world = World::replaying_at(Venue::Okx, 1);
    let one = orders(&[("sell", "100", T0)]);
    world.frame(A, &one);
    world.pass_ms(599_999);
    world.frame(A, &one);
    world.pass_ms(1);
    world.frame(A, &one);
    assert_eq!(world.rows(Table::Liquidations, &ROW).len(), 2);
    assert!(world.rows(Table::Gaps, &["cause"]).is_empty());
}

/// So many different orders, then the first of them again.
fn brought(dedup: DedupLimits, orders_of: i64) -> World {
    let mut config: EngineConfig = recording_of(Venue::Okx);
    config.arbitration.dedup = dedup;
    let mut world = World::new(config);
    world.input(Input::ConnUp { conn: A, url: "", link: Link::default() });
    for n in (0..orders_of).chain([0]) {
        world.frame(A, &orders(&[("sell", "100", T0 + n)]));
    }
    world
}

#[test]
fn what_is_forgotten_before_its_time_is_counted_and_a_row() {
    let dedup = DedupLimits { per_symbol: 64, total: 1024, ttl_s: 600 };
    let mut enough = brought(dedup, 60);
    assert_eq!(enough.rows(Table::Liquidations, &ROW).len(), 60);
    assert!(enough.rows(Table::Gaps, &["cause"]).is_empty());
    for few in [dedup, DedupLimits { per_symbol: 1024, total: 64, ..dedup }] {
        let mut world = brought(few, 70);
        assert_eq!(world.rows(Table::Liquidations, &ROW).len(), 71, "a repetition has passed");
        let gaps = world.rows(Table::Gaps, &["stream", "cause", "evidence", "missing"]);
        assert_eq!(gaps, ["liquidations|evicted|count|"; 2]);
        assert!(world.count("/dedup/evicted_before_ttl") >= 7 && world.count("/dedup/evicted") >= 7);
    }
}

// Fault: X03
#[test]
fn a_block_trade_comes_once_though_its_ids_are_of_no_feed() {
    let mut world = World::replaying_at(Venue::BinanceSpot, 2);
    let block = |id: i64, price: &str| {
        format!(
            r#"{{"stream":"bnbbtc@blockTrade","data":{{"e":"blockTrade","E":{T0},"s":"BNBBTC","t":{id},"p":"{price}","q":"5838","T":{T0},"m":true}}}}"#
        )
    };
    for (conn, id, price) in [(A, 582, "0.052"), (B, 582, "0.0520"), (B, 583, "0.052"), (A, 583, "0.052")] {
        world.frame(conn, &block(id, price));
    }
    assert_eq!(world.rows(Table::Trades, &["trade_id", "condition", "conn_id"]), ["582|block|1", "583|block|2"]);
    assert_eq!(world.count("/dedup/hits"), 2);
}

#[test]
fn a_symbol_that_is_removed_gives_the_room_for_its_blocks_back() {
    let mut config = live_config(Venue::BinanceSpot, &["BTCUSDT"], &[Stream::Trades]);
    config.arbitration.dedup = DedupLimits { per_symbol: 16, total: 16, ttl_s: 600 };
    let mut world = World::new(config);
    world.connect_all();
    let symbols = ["ETHUSDT", "LTCUSDT", "XRPUSDT"];
    for symbol in symbols {
        world.command(&Command::Add(vec![symbol.into()])).expect("it may be");
        world.pass_ms(3_000);
        let stream = symbol.to_lowercase();
        let block = format!(
            r#"{{"stream":"{stream}@blockTrade","data":{{"e":"blockTrade","E":{T0},"s":"{symbol}","t":7,"p":"1","q":"5","T":{T0},"m":true}}}}"#
        );
        for _ in 0..2 {
            world.frame(A, &block);
        }
        world.command(&Command::Remove(vec![symbol.into()])).expect("it is there");
        world.pass_ms(1_000);
    }
    assert_eq!(world.rows(Table::Trades, &["symbol", "trade_id"]), symbols.map(|symbol| format!("{symbol}|7")));
    assert!(world.rows(Table::Gaps, &["cause"]).is_empty());
}
