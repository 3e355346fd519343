//! Trades by REST: the same that sockets carry, on every exchange; and such that are too old to be had.

use serde_json::{Value, json};
use xtrader_simulator::Simulator;

use crate::client::{Reply, get, wait_until};
use crate::places::{PLACES, Trades};

#[test]
fn rest_tells_the_trades_that_sockets_carry() {
    for place in PLACES {
        let sim = place.start("");
        let heard = place.hear(&mut place.client(&sim), 40);
        let first = *heard.keys().next().expect("a trade");
        let fetched = place.fetch(&get(&sim, &(place.request)(first + 5, 20)));
        let expected: Trades = heard.range(first + 5..first + 25).map(|(k, v)| (*k, v.clone())).collect();
        assert_eq!(fetched, expected, "{} {}", place.exchange, place.ws);
    }
}

#[test]
fn trades_older_than_the_history_are_not_to_be_had() {
    for place in PLACES {
        let sim = place.start(r#","limits":{"trade_history":20}"#);
        let first = *place.hear(&mut place.client(&sim), 60).keys().next().expect("a trade");
        sim.pause();
        let reply = get(&sim, &(place.request)(first, 5));
        let fetched = place.fetch(&reply);
        assert!(fetched.keys().all(|id| *id > first + 5), "{} {fetched:?}", place.exchange);
        match place.exchange {
            // Only here is it said (§2).
            "binance-futures" => assert_eq!((reply.status, &reply.json()["code"]), (400, &json!(-4166))),
            // From the oldest on.
            "binance-spot" => assert_eq!((reply.status, fetched.len()), (200, 5)),
            _ => assert_eq!((reply.status, fetched.len()), (200, 0)),
        }
    }
}

#[test]
fn trades_of_futures_are_too_old_after_some_time() {
    // 48 hours in a second.
    let sim = PLACES[0].start(
        r#","time_compression":172800,"lifetime_s":0,"ping_interval_s":0,"limits":{"weight_per_minute":1000000}"#,
    );
    let first = *PLACES[0].hear(&mut PLACES[0].client(&sim), 5).keys().next().expect("a trade");
    let path = (PLACES[0].request)(first, 5);
    wait_until("it is too old", || get(&sim, &path).json()["code"] == -4166);
}

#[test]
fn history_requests_are_refused_as_documented() {
    let place = |exchange: &str| PLACES.into_iter().find(|p| p.exchange == exchange).expect("a place");
    let code = |sim: &Simulator, path: &str| {
        let v = get(sim, path).json();
        v.pointer("/error/code").unwrap_or(&v["code"]).clone()
    };
    for (exchange, at) in [("binance-futures", "/fapi/v1"), ("binance-spot", "/api/v3")] {
        let sim = place(exchange).start("");
        assert_eq!(code(&sim, &format!("{at}/aggTrades?symbol=NOPE&fromId=1")), -1121);
        assert_eq!(code(&sim, &format!("{at}/aggTrades?fromId=1")), -1102);
        assert_eq!(code(&sim, &format!("{at}/aggTrades?symbol=BTCUSDT&fromId=x")), -1100);
        assert_eq!(code(&sim, &format!("{at}/aggTrades?symbol=BTCUSDT&limit=-1")), -1100);
    }
    let sim = place("binance-spot").start("");
    for (endpoint, weight) in [("aggTrades", "4"), ("historicalTrades", "25"), ("trades", "25")] {
        let used = |reply: &Reply| reply.header("X-MBX-USED-WEIGHT-1M").and_then(|w| w.parse::<u32>().ok());
        let before = used(&get(&sim, "/api/v3/ping"));
        let after = used(&get(&sim, &format!("/api/v3/{endpoint}?symbol=BTCUSDT")));
        let cost = after.zip(before).and_then(|(a, b)| a.checked_sub(b)).map(|w| w.to_string());
        // The minute may turn in between.
        assert!(cost.is_none() || cost.as_deref() == Some(weight), "{endpoint}: {cost:?}");
    }
    let sim = place("okx").start("");
    let history = "/api/v5/market/history-trades";
    assert_eq!(code(&sim, history), "50014");
    assert_eq!(code(&sim, &format!("{history}?instId=NO-NE")), "51001");
    assert_eq!(code(&sim, &format!("{history}?instId=BTC-USDT&limit=101")), "51000");
    assert_eq!(code(&sim, &format!("{history}?instId=BTC-USDT&type=3")), "51000");
    let codes: Vec<Value> = (0..30).map(|_| code(&sim, &format!("{history}?instId=BTC-USDT"))).collect();
    assert!(codes.contains(&json!("50011")), "{codes:?}");
    let sim = place("deribit").start("");
    let history = "/api/v2/public/get_last_trades_by_instrument";
    assert_eq!(code(&sim, history), -32602);
    assert_eq!(code(&sim, &format!("{history}?instrument_name=BTC-PERPETUAL&count=1001")), -32602);
    assert_eq!(code(&sim, &format!("{history}?instrument_name=BTC-PERPETUAL&sorting=up")), -32602);
    let codes: Vec<Value> = (0..200).map(|_| code(&sim, &format!("{history}?instrument_name=BTC-PERPETUAL"))).collect();
    assert!(codes.contains(&json!(10028)));
}
