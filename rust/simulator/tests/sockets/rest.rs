use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Client, get, one_symbol, start, try_get, wait_until};

const DEPTH: &str = "/fapi/v1/depth?symbol=BTCUSDT&limit=1000";

#[test]
fn snapshots_are_the_true_book_at_their_id() {
    let sim = start("");
    for (query, levels) in [("&limit=5", 5), ("&limit=100", 100), ("", 500), ("&limit=1000", 1000)] {
        let reply = get(&sim, &format!("/fapi/v1/depth?symbol=ETHUSDT{query}"));
        let (v, id) = (reply.json(), reply.json()["lastUpdateId"].as_u64().expect("an id"));
        let mut truth = sim.with_truth(|t| t.book_at("ETHUSDT", id)).expect("a book");
        assert_eq!(truth.last_id, id);
        truth.bids.truncate(levels);
        truth.asks.truncate(levels);
        assert_eq!((v["bids"].clone(), v["asks"].clone()), (json!(truth.bids), json!(truth.asks)));
        assert_eq!(v["bids"].as_array().expect("bids").len(), levels);
    }
    assert_eq!(get(&sim, "/fapi/v1/depth?symbol=NOPE").json()["code"], -1121);
    assert_eq!(get(&sim, "/fapi/v1/depth?symbol=BTCUSDT&limit=3").json()["code"], -4021);
    assert_eq!(get(&sim, "/nothing").status, 404);
}

#[test]
fn the_other_requests_are_answered() {
    let sim = start("");
    assert!(get(&sim, "/fapi/v1/time").json()["serverTime"].as_u64().expect("a time") > 1_700_000_000_000);
    let info = get(&sim, "/fapi/v1/exchangeInfo").json();
    let symbols: Vec<_> = info["symbols"].as_array().expect("symbols").iter().map(|s| s["symbol"].clone()).collect();
    assert_eq!(symbols, ["BTCUSDT", "ETHUSDT", "SOLUSDT", "BTCUSDT_261225"]);
    wait_until("trades", || {
        get(&sim, "/fapi/v1/ping").status == 200
            && !get(&sim, "/fapi/v1/aggTrades?symbol=BTCUSDT&limit=3").json().as_array().expect("trades").is_empty()
    });
    let trades = get(&sim, "/fapi/v1/aggTrades?symbol=BTCUSDT&limit=2").json();
    let last = trades.as_array().and_then(|t| t.last()).expect("a trade").clone();
    let issued = sim.with_truth(|t| t.trades(xtrader_simulator::EventKind::AggTrade, Some("BTCUSDT")));
    let same = issued.iter().find(|t| last["a"] == t.id).expect("an issued trade");
    assert_eq!((&last["p"], &last["q"], &last["T"]), (&json!(same.price), &json!(same.size), &json!(same.time_ms)));
}

#[test]
fn weights_are_counted_and_who_goes_on_is_banned() {
    let sim = one_symbol(r#","limits":{"weight_per_minute":45,"refusals_before_ban":2}"#);
    let replies: Vec<_> = (0..6).map(|_| get(&sim, DEPTH)).collect();
    let statuses: Vec<u16> = replies.iter().map(|r| r.status).collect();
    // The minute may turn once in between: then the weight begins anew.
    if statuses == [200, 200, 429, 429, 418, 418] {
        assert_eq!(replies[0].header("X-MBX-USED-WEIGHT-1M"), Some("20"));
        assert!(replies[2].header("Retry-After").expect("a time").parse::<u64>().expect("seconds") <= 60);
        assert!(replies[5].header("Retry-After").expect("a time").parse::<u64>().expect("seconds") <= 120);
    } else {
        assert!(statuses.contains(&429), "{statuses:?}");
    }
}

fn inject(sim: &xtrader_simulator::Simulator, fault: &str) {
    let plan = format!(r#"{{"fault":{fault},"target":{{"path":"depth"}}}}"#);
    sim.inject_json(&plan).expect("a plan");
}

#[test]
fn rest_faults_strike_and_pass() {
    let sim = one_symbol("");
    inject(&sim, r#"{"kind":"rest_status","status":429,"retry_after_s":7}"#);
    assert_eq!(get(&sim, "/fapi/v1/time").status, 200, "another path");
    let reply = get(&sim, DEPTH);
    assert_eq!((reply.status, reply.header("Retry-After")), (429, Some("7")));
    assert_eq!(get(&sim, DEPTH).status, 200, "one time only");

    inject(&sim, r#"{"kind":"rest_redirect","location":"https://elsewhere.example/"}"#);
    let reply = get(&sim, DEPTH);
    assert_eq!((reply.status, reply.header("Location")), (302, Some("https://elsewhere.example/")));

    inject(&sim, r#"{"kind":"rest_slow","seconds":0.5}"#);
    let begin = Instant::now();
    assert_eq!(get(&sim, DEPTH).status, 200);
    assert!(begin.elapsed() >= Duration::from_millis(500));

    inject(&sim, r#"{"kind":"rest_hang"}"#);
    assert!(try_get(&sim, DEPTH, Duration::from_millis(300)).is_err());

    inject(&sim, r#"{"kind":"rest_cut","at_byte":100}"#);
    let cut = try_get(&sim, DEPTH, Duration::from_secs(5));
    assert!(cut.is_err() || cut.is_ok_and(|r| r.body.len() == 100));

    inject(&sim, r#"{"kind":"rest_malformed","how":"truncated"}"#);
    assert!(serde_json::from_slice::<serde_json::Value>(&get(&sim, DEPTH).body).is_err());

    inject(&sim, r#"{"kind":"rest_gzip_bomb","bytes":100000000}"#);
    let reply = get(&sim, DEPTH);
    assert_eq!(reply.header("Content-Encoding"), Some("gzip"));
    assert!(reply.body.len() < 1_000_000);
    let mut inflated = flate2::read::GzDecoder::new(&reply.body[..]);
    assert_eq!(std::io::copy(&mut inflated, &mut std::io::sink()).expect("a stream"), 100_000_000);

    let requests = sim.with_truth(|t| t.requests().iter().map(|r| r.faults.join(",")).collect::<Vec<_>>());
    assert!(requests.contains(&"rest_hang".into()) && requests.contains(&"rest_gzip_bomb".into()));
}

#[test]
fn snapshots_stand_where_they_are_wanted() {
    positions("binance-futures", "/public", DEPTH);
    positions("binance-spot", "", "/api/v3/depth?symbol=BTCUSDT&limit=5000");
}

fn positions(exchange: &str, ws: &str, rest: &str) {
    let sim = one_symbol(&format!(r#","exchange":"{exchange}""#));
    let mut c = Client::connect(&sim, &format!("{ws}/ws/btcusdt@depth@100ms"));
    let heard = c.events(5);
    let id = |sim| get(sim, rest).json()["lastUpdateId"].as_u64().expect("an id");

    inject(&sim, r#"{"kind":"stale_snapshot","age_s":3600}"#);
    assert!(id(&sim) < heard[0]["U"].as_u64().expect("U"), "older than the buffer");

    let within = |id: u64, inclusive: bool| {
        sim.with_truth(|t| {
            t.events_of("btcusdt@depth@100ms")
                .any(|e| if inclusive { id == e.last_id } else { e.first_id <= id && id < e.last_id })
        })
    };
    inject(&sim, r#"{"kind":"snapshot_at","position":"inside"}"#);
    assert!(within(id(&sim), false));
    inject(&sim, r#"{"kind":"snapshot_at","position":"at_end"}"#);
    assert!(within(id(&sim), true));
    inject(&sim, r#"{"kind":"snapshot_at","position":"newer"}"#);
    let newer = id(&sim);
    let handed = sim.with_truth(|t| t.frames(Some(0)).filter_map(|f| f.event).max()).expect("an event");
    assert!(sim.with_truth(|t| t.events()[..=handed as usize].iter().filter(|e| e.prev_id.is_some()).count()) > 0);
    assert!(newer > heard[4]["u"].as_u64().expect("u"));
}
