use xtrader_core::config::Endpoints;

use super::*;
use crate::live::LoginSource;

fn plan(options: Value) -> Result<Plan, RuntimeError> {
    match options {
        Value::Object(options) => Plan::of(options),
        other => panic!("{other}"),
    }
}

fn error(options: Value) -> String {
    plan(options).expect_err("refused").to_string()
}

const THREE: [&str; 4] = ["okx-swap:BTCUSDT", "binance-spot:BTCUSDT", "deribit:BTC-PERPETUAL", "okx-spot:BTCUSDT"];

#[test]
fn one_shard_a_venue_in_the_order_of_their_names() {
    let plan = plan(json!({
        "subscriptions": THREE,
        "engine": {
            "streams": ["trades", "l2"], "seed": u64::MAX,
            "endpoints": {"okx-swap": {"ws": "ws://localhost:1", "rest": "http://localhost:2"}},
        },
        "login": {"deribit": {"env": "D"}},
        "queue_bytes": 12 << 20,
        "pin_core": 2,
        "force": true,
    }))
    .expect("of three venues");
    let told: Vec<_> = plan
        .shards
        .iter()
        .map(|shard| (shard.engine.venue, shard.engine.shard, shard.engine.symbols.len(), shard.engine.seed))
        .collect();
    let (okx, spot, deribit) = (Venue::Okx, Venue::BinanceSpot, Venue::Deribit);
    assert_eq!(told, [(okx, 0, 2, u64::MAX), (spot, 1, 1, 0), (deribit, 2, 1, 1)]);
    let endpoints = Endpoints { ws: "ws://localhost:1".into(), rest: "http://localhost:2".into() };
    assert_eq!(plan.shards[0].engine.endpoints, Some(endpoints));
    assert_eq!(plan.shards[1].engine.endpoints, None);
    assert_eq!(
        plan.shards.iter().map(|s| s.login.clone()).collect::<Vec<_>>(),
        [None, None, Some(LoginSource::Env("D".into()))]
    );
    assert!(plan.shards.iter().all(|shard| shard.queue_bytes == 4 << 20), "together as much as was allowed");
    assert_eq!(plan.shards.iter().map(|s| s.pin_core).collect::<Vec<_>>(), [Some(2), Some(3), Some(4)]);
    assert_eq!(plan.warnings, [""; 0]);
}

#[test]
fn a_stream_is_left_out_where_it_is_not_offered_and_refused_where_nobody_offers_it() {
    let two = ["binance-spot:BTCUSDT", "binance-futures:BTCUSDT"];
    let both = |streams: &[&str]| plan(json!({"subscriptions": two, "engine": {"streams": streams}}));
    let mixed = both(&["trades", "derivatives"]).expect("one offers it");
    assert_eq!(mixed.shards[0].engine.streams, [Stream::Trades]);
    assert_eq!(mixed.shards[1].engine.streams, [Stream::Trades, Stream::Derivatives]);
    assert_eq!(mixed.warnings, ["stream \"derivatives\" is left out for binance-spot: not offered there"]);
    let nobody = both(&["trades", "options"]).expect_err("neither").to_string();
    assert!(nobody.contains("none of binance-spot, binance-futures; there is: binance-spot: trades, l2"), "{nobody}");
    let nothing = both(&["derivatives"]).expect_err("nothing is left of spot").to_string();
    assert!(nothing.contains("not offered by binance-spot; there is: trades"), "{nothing}");
    let only = error(json!({"subscriptions": two[..1], "engine": {"streams": ["trades", "derivatives"]}}));
    assert!(only.contains("\"derivatives\" is not offered by binance-spot"), "{only}");
}

#[test]
fn what_means_one_exchange_is_refused_where_there_are_several() {
    let of = |key: &str, value: Value| {
        let mut options = json!({"subscriptions": THREE, "engine": {"streams": ["trades"]}});
        if key == "endpoints" {
            options["engine"][key] = value
        } else {
            options[key] = value
        }
        error(options)
    };
    let plain = of("endpoints", json!({"ws": "ws://localhost", "rest": "http://localhost"}));
    assert!(plain.contains("endpoints is that of one exchange") && plain.contains("{\"okx\": …}"), "{plain}");
    let plain = of("login", json!({"env": "OKX"}));
    assert!(plain.contains("login is that of one exchange"), "{plain}");
    let alien = of("login", json!({"binance-futures": {"env": "X"}}));
    assert!(alien.contains("login names binance-futures, and no subscription does"), "{alien}");
    let unknown = of("endpoints", json!({"bitmex": {"ws": "", "rest": ""}}));
    assert!(unknown.contains("\"bitmex\" is not supported"), "{unknown}");
    let little = of("queue_bytes", json!(2 << 20));
    assert!(little.contains("queue_bytes = 2097152 is shared by 3 exchanges"), "{little}");
    assert!(error(json!({"subscriptions": [], "engine": {}})).contains("subscriptions is empty"));
}
