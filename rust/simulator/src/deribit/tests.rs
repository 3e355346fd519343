use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::clock::{MS, SECOND};
use crate::exchange::ExchangeName;
use crate::venue::Reply;

const START_MS: i64 = 1_795_000_000_000;

fn play(change: impl FnOnce(&mut SimulatorConfig)) -> (Deribit, Truth) {
    let mut config = SimulatorConfig::of(ExchangeName::Deribit);
    config.book_levels = 100;
    change(&mut config);
    let mut truth = Truth::new(config.truth.clone());
    let venue = Deribit::new(&config, config.start_ms.unwrap_or(START_MS), &mut truth).expect("a venue");
    (venue, truth)
}

/// A client without a socket: what it says and hears.
struct Visitor {
    session: Box<dyn Session>,
    heard: Vec<String>,
}

impl Visitor {
    fn enter(venue: &mut Deribit) -> Self {
        let mut session = venue.open("/ws/api/v2").expect("a session");
        session.opened(0);
        Self { session, heard: Vec::new() }
    }

    /// The reply; snapshots that follow it are heard like everything else.
    fn ask(&mut self, venue: &mut Deribit, method: &str, params: &Value, now: MarketTime) -> Value {
        let text = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let mut reply = Value::Null;
        for r in self.session.on_text(&text, now) {
            match r {
                Reply::Text(text) => reply = serde_json::from_str(&text).expect("JSON"),
                Reply::Present(stream) => {
                    let mut events = Vec::new();
                    venue.present(&stream, now, &mut events);
                    self.hear(&events, now);
                }
                other => panic!("{other:?}"),
            }
        }
        reply
    }

    fn login(&mut self, venue: &mut Deribit) {
        let params = serde_json::json!({
            "grant_type": "client_credentials", "client_id": "simulator", "client_secret": "simulator"
        });
        let reply = self.ask(venue, "public/auth", &params, 0);
        assert_eq!(reply["result"]["token_type"], "bearer", "{reply}");
    }

    fn subscribe(&mut self, venue: &mut Deribit, channels: &[&str], now: MarketTime) -> Value {
        self.ask(venue, "public/subscribe", &serde_json::json!({ "channels": channels }), now)
    }

    fn hear(&mut self, events: &[Event], now: MarketTime) {
        for e in events {
            self.heard.extend(self.session.deliver(e, now).map(|t| t.to_string()));
        }
    }

    /// Channel and data of everything heard.
    fn told(&self) -> Vec<(String, Value)> {
        let read = |t: &String| -> Value { serde_json::from_str(t).expect("JSON") };
        self.heard
            .iter()
            .map(read)
            .map(|v| (v["params"]["channel"].as_str().expect("a channel").to_owned(), v["params"]["data"].clone()))
            .collect()
    }
}

/// Lets the market go on, and everybody listen.
fn go_on(venue: &mut Deribit, truth: &mut Truth, to: MarketTime, visitors: &mut [&mut Visitor]) -> Vec<Event> {
    let mut events = Vec::new();
    venue.advance(to, &mut events, truth);
    for v in visitors {
        v.hear(&events, to);
    }
    events
}

/// A book of texts, as far from the simulator's own as can be.
#[derive(Default)]
struct Naive {
    levels: HashMap<(String, String), String>,
    last: u64,
}

impl Naive {
    fn apply(&mut self, data: &Value) {
        for side in ["bids", "asks"] {
            for row in data[side].as_array().expect("rows") {
                let key = (side.to_owned(), number::plain(&row[1].to_string()));
                if row[0] == "delete" {
                    assert_eq!(row[2], 0.0);
                    self.levels.remove(&key);
                } else {
                    self.levels.insert(key, number::plain(&row[2].to_string()));
                }
            }
        }
        self.last = data["change_id"].as_u64().expect("an id");
    }

    fn of(image: &crate::BookImage) -> HashMap<(String, String), String> {
        let side = |name: &'static str, levels: &[[String; 2]]| {
            let key = |l: &[String; 2]| ((name.to_owned(), number::plain(&l[0])), number::plain(&l[1]));
            levels.iter().map(key).collect::<Vec<_>>()
        };
        side("bids", &image.bids).into_iter().chain(side("asks", &image.asks)).collect()
    }
}

/// Follows the books of what was heard, and holds each against the truth.
fn follow(told: &[(String, Value)], truth: &Truth) -> BTreeMap<String, Naive> {
    let mut books: BTreeMap<String, Naive> = BTreeMap::new();
    for (channel, data) in told.iter().filter(|(c, _)| c.starts_with("book.")) {
        let book = books.entry(channel.clone()).or_default();
        if data["type"] == "snapshot" {
            *book = Naive::default();
        } else {
            assert_eq!(data["prev_change_id"], book.last, "{channel}");
        }
        book.apply(data);
        let symbol = data["instrument_name"].as_str().expect("a name");
        let image = truth.book_at(symbol, book.last).expect("a book");
        assert_eq!((image.last_id, Naive::of(&image)), (book.last, book.levels.clone()), "{channel}");
    }
    books
}

fn last_ids(books: &BTreeMap<String, Naive>) -> Vec<u64> {
    books.values().map(|b| b.last).collect()
}

const BOOKS: [&str; 4] =
    ["book.BTC-PERPETUAL.raw", "book.BTC-PERPETUAL.100ms", "book.XRP_USDC-25DEC26-1d02-C.100ms", "book.BTC_USDC.agg2"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn snapshots_and_changes_are_the_book_at_every_id_in_every_phase(seed in any::<u64>()) {
        let (mut venue, mut truth) = play(|c| (c.seed, c.batch_phases) = (seed, 2));
        let (mut a, mut b) = (Visitor::enter(&mut venue), Visitor::enter(&mut venue));
        for (n, at) in [0, 730 * MS].into_iter().enumerate() {
            go_on(&mut venue, &mut truth, at, &mut [&mut a]);
            let v = if n == 0 { &mut a } else { &mut b };
            v.login(&mut venue);
            let reply = v.subscribe(&mut venue, &BOOKS, at);
            prop_assert_eq!(reply["result"].as_array().map(Vec::len), Some(4));
        }
        go_on(&mut venue, &mut truth, 5 * SECOND, &mut [&mut a, &mut b]);
        venue.set_paused(true, 5 * SECOND);
        go_on(&mut venue, &mut truth, 8 * SECOND, &mut [&mut a, &mut b]);
        prop_assert_eq!(venue.next_time(), None);
        let (of_a, of_b) = (a.told(), b.told());
        let books = [follow(&of_a, &truth), follow(&of_b, &truth)];
        prop_assert_eq!(last_ids(&books[0]), last_ids(&books[1]));
        let ends = |told: &[(String, Value)], channel: &str| -> Vec<u64> {
            let of = told.iter().filter(|(c, d)| c == channel && d["type"] == "change");
            of.map(|(_, d)| d["change_id"].as_u64().expect("an id")).collect()
        };
        // Each part of the coalesced chain ends where one of the other chain does, and there are fewer.
        let (fine, coarse) = (ends(&of_a, BOOKS[0]), ends(&of_b, BOOKS[0]));
        prop_assert!(coarse.len() < fine.len() && coarse.iter().all(|id| fine.contains(id)));
        prop_assert_ne!(ends(&of_a, BOOKS[1]), ends(&of_b, BOOKS[1]));
    }

    #[test]
    fn trades_are_contiguous_and_legs_repeat_their_combos(seed in any::<u64>()) {
        let (mut venue, mut truth) = play(|c| {
            (c.seed, c.liquidations, c.block_trades) = (seed, 0.2, 0.2);
            c.symbols.iter_mut().for_each(|s| s.trades_per_s = 20.0);
        });
        let mut v = Visitor::enter(&mut venue);
        v.subscribe(&mut venue, &["trades.any.any.100ms", "trades.future.BTC.agg2"], 0);
        let events = go_on(&mut venue, &mut truth, 10 * SECOND, &mut [&mut v]);
        let mut rows: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (channel, data) in v.told() {
            for row in data.as_array().expect("an array") {
                if channel == "trades.any.any.100ms" {
                    rows.entry(row["instrument_name"].as_str().expect("a name").into()).or_default().push(row.clone());
                } else {
                    let name = row["instrument_name"].as_str().expect("a name");
                    prop_assert!(["BTC-PERPETUAL", "BTC-25DEC26"].contains(&name), "{}", name);
                }
            }
        }
        prop_assert_eq!(rows.len(), 8);
        for list in rows.values() {
            let seqs: Vec<u64> = list.iter().map(|r| r["trade_seq"].as_u64().expect("a number")).collect();
            prop_assert!(seqs.windows(2).all(|w| w[1] == w[0] + 1));
        }
        let has = |name: &str, field: &str| rows[name].iter().any(|r| r.get(field).is_some());
        prop_assert!(has("BTC-PERPETUAL", "liquidation") && has("BTC-PERPETUAL", "block_trade_id"));
        prop_assert!(has("BTC-25DEC26-100000-C", "iv") && !has("BTC_USDC", "contracts"));
        prop_assert!(rows["ETH-PERPETUAL"].iter().all(|r| r["trade_id"].as_str().expect("text").starts_with("ETH-")));
        for r in &rows["BTC-PERPETUAL"] {
            prop_assert_eq!(r["amount"].as_f64(), r["contracts"].as_f64().map(|c| c * 10.0));
        }
        for combo in &rows["BTC-FS-25DEC26_PERP"] {
            let of = |name: &str| {
                rows[name].iter().find(|r| r.get("combo_trade_id") == Some(&combo["trade_id"])).map(|r| r["combo_id"].clone())
            };
            let name = Some(combo["instrument_name"].clone());
            prop_assert_eq!((of("BTC-25DEC26"), of("BTC-PERPETUAL")), (name.clone(), name));
        }
        // The truth tells the same rows as records.
        events.into_iter().for_each(|e| truth.issue(&e.into()));
        let all: usize = rows.values().map(Vec::len).sum();
        let told = truth.trades(EventKind::Trade, None).len();
        prop_assert!(told >= all, "{} of {}", told, all);
    }
}

#[test]
fn one_seed_gives_one_sequence_of_events() {
    let run = |seed| {
        let (mut venue, mut truth) = play(|c| c.seed = seed);
        let mut v = Visitor::enter(&mut venue);
        v.subscribe(&mut venue, &["book.BTC-PERPETUAL.100ms", "trades.any.any.100ms", "ticker.BTC-25DEC26.100ms"], 0);
        go_on(&mut venue, &mut truth, SECOND, &mut [&mut v]);
        v.heard
    };
    assert_eq!(run(9), run(9));
    assert_ne!(run(9), run(10));
}

#[test]
fn channels_that_do_not_exist_are_left_out_without_a_word() {
    let (mut venue, _) = play(|_| {});
    let mut v = Visitor::enter(&mut venue);
    let reply = v.subscribe(&mut venue, &["book.NOPE.100ms", "quote.BTC_USDC", "book.BTC_USDC.50ms"], 0);
    assert_eq!(reply["result"], serde_json::json!(["quote.BTC_USDC"]));
    let refused = v.subscribe(&mut venue, &["quote.BTC-PERPETUAL", "book.BTC_USDC.raw"], 0);
    assert_eq!(refused["error"]["code"], 13778);
    v.login(&mut venue);
    assert_eq!(v.subscribe(&mut venue, &["book.BTC_USDC.raw"], 0)["result"].as_array().map(Vec::len), Some(1));
}

#[test]
fn only_a_new_subscription_brings_a_snapshot() {
    let (mut venue, mut truth) = play(|_| {});
    let mut v = Visitor::enter(&mut venue);
    let name = ["book.ETH-PERPETUAL.100ms"];
    let snapshots = |v: &Visitor| v.told().iter().filter(|(_, d)| d["type"] == "snapshot").count();
    for (method, expected) in
        [("subscribe", 1), ("subscribe", 1), ("unsubscribe", 1), ("unsubscribe", 1), ("subscribe", 2)]
    {
        let reply = v.ask(&mut venue, &format!("public/{method}"), &serde_json::json!({ "channels": name }), 0);
        assert!(reply["result"].is_array());
        assert_eq!(snapshots(&v), expected, "{method}");
        go_on(&mut venue, &mut truth, SECOND, &mut [&mut v]);
    }
    follow(&v.told(), &truth);
}

#[test]
fn tickers_tell_what_belongs_to_the_kind() {
    let (mut venue, mut truth) = play(|_| {});
    let mut v = Visitor::enter(&mut venue);
    let names = ["BTC-PERPETUAL", "BTC-25DEC26", "XRP_USDC-25DEC26-1d02-C", "BTC_USDC"];
    let channels = names.map(|n| format!("ticker.{n}.100ms"));
    v.subscribe(&mut venue, &channels.each_ref().map(|c| c.as_str()), 0);
    go_on(&mut venue, &mut truth, 3 * SECOND, &mut [&mut v]);
    let told = v.told();
    let last = |n: usize| &told.iter().rfind(|(c, _)| *c == channels[n]).expect("a ticker").1;
    let fields = ["current_funding", "open_interest", "greeks", "index_price"];
    let has = |n: usize| fields.map(|f| last(n).get(f).is_some());
    assert_eq!(has(0), [true, true, false, true]);
    assert_eq!(has(1), [false, true, false, true]);
    assert_eq!(has(2), [false, true, true, true]);
    assert_eq!(has(3), [false, false, false, true]);
    for (n, channel) in channels.iter().enumerate() {
        let count = told.iter().filter(|(c, _)| c == channel).count();
        assert!((3..=32).contains(&count), "{channel}: {count}");
        assert!(last(n)["best_bid_price"].as_f64() < last(n)["best_ask_price"].as_f64());
    }
}

#[test]
fn images_show_the_best_levels_and_only_when_they_change() {
    let (mut venue, mut truth) = play(|_| {});
    let mut v = Visitor::enter(&mut venue);
    v.subscribe(&mut venue, &["book.BTC-PERPETUAL.none.10.100ms", "quote.BTC-PERPETUAL"], 0);
    go_on(&mut venue, &mut truth, 3 * SECOND, &mut [&mut v]);
    let told = v.told();
    for name in ["book.BTC-PERPETUAL.none.10.100ms", "quote.BTC-PERPETUAL"] {
        let of: Vec<Value> = told.iter().filter(|(c, _)| c == name).map(|(_, d)| d.clone()).collect();
        let levels = |d: &Value| {
            let mut d = d.clone();
            let map = d.as_object_mut().expect("an object");
            map.remove("timestamp");
            map.remove("change_id");
            d
        };
        assert!(of.len() > 5 && of[1..].windows(2).all(|w| levels(&w[0]) != levels(&w[1])), "{name}");
    }
    let image = &told.iter().find(|(c, _)| c.contains("none")).expect("an image").1;
    assert_eq!(image["bids"].as_array().map(Vec::len), Some(10));
    assert_eq!(image["bids"][0].as_array().map(Vec::len), Some(2));
}

#[test]
fn an_option_expires_at_eight_and_its_channels_die_without_a_frame() {
    // A second before 2026-12-25 08:00 UTC.
    let (mut venue, mut truth) = play(|c| c.start_ms = Some(1_798_185_600_000 - 1000));
    let mut v = Visitor::enter(&mut venue);
    let option = "book.BTC-25DEC26-100000-C.100ms";
    let channels = [option, "ticker.BTC-25DEC26-100000-C.100ms", "quote.BTC-PERPETUAL", "instrument.state.option.any"];
    v.subscribe(&mut venue, &channels, 0);
    go_on(&mut venue, &mut truth, SECOND, &mut [&mut v]);
    let states: Vec<(String, Value)> = v.told().into_iter().filter(|(c, _)| c.starts_with("instrument")).collect();
    let gone: Vec<&Value> = states.iter().map(|(_, d)| &d["instrument_name"]).collect();
    assert_eq!(gone, ["BTC-25DEC26-100000-C", "XRP_USDC-25DEC26-1d02-C"]);
    assert!(states.iter().all(|(_, d)| d["state"] == "delivered"));
    v.heard.clear();
    go_on(&mut venue, &mut truth, 4 * SECOND, &mut [&mut v]);
    let told = v.told();
    assert!(!told.is_empty() && told.iter().all(|(c, _)| c == "quote.BTC-PERPETUAL"));
    assert_eq!(v.subscribe(&mut venue, &[option], 4 * SECOND)["result"], serde_json::json!([]));
    let listed = |expired: bool| {
        let query = format!("currency=any&kind=option&expired={expired}");
        let request = RestRequest { path: "/api/v2/public/get_instruments", query: &query, now: 0, wall_ms: 0 };
        let mut venue = Deribit { house: venue.house.clone(), phases: 1, opened: 0, idle_s: 0.0 };
        let reply = venue.rest(&request, &[], &truth);
        let v: Value = serde_json::from_str(&reply.body).expect("JSON");
        v["result"].as_array().expect("rows").len()
    };
    assert_eq!((listed(false), listed(true)), (0, 2));
}

#[test]
fn what_is_delisted_is_silent_and_what_is_listed_speaks() {
    let (mut venue, mut truth) = play(|_| {});
    let mut v = Visitor::enter(&mut venue);
    v.subscribe(&mut venue, &["book.BTC_USDC.100ms", "instrument.state.any.any"], 0);
    let mut events = Vec::new();
    let list: Fault =
        serde_json::from_str(r#"{"kind":"list","symbol":"SOL_USDC-PERPETUAL","opens_after_s":1}"#).expect("a fault");
    venue.strike(&list, &Target::default(), 0, &mut events, &mut truth);
    let at = Target { symbol: Some("BTC_USDC".into()), ..Target::default() };
    venue.strike(&Fault::Delist, &at, 0, &mut events, &mut truth);
    v.hear(&events, 0);
    let states: Vec<Value> =
        v.told().into_iter().filter(|(c, _)| c.starts_with("instrument")).map(|(_, d)| d).collect();
    let told = |n: usize| (states[n]["state"].as_str(), states[n]["instrument_name"].as_str());
    assert_eq!(told(0), (Some("open"), Some("SOL_USDC-PERPETUAL")));
    assert_eq!(told(1), (Some("inactive"), Some("BTC_USDC")));
    let reply = v.subscribe(&mut venue, &["book.SOL_USDC-PERPETUAL.100ms"], 0);
    assert_eq!(reply["result"].as_array().map(Vec::len), Some(1));
    v.heard.remove(0);
    go_on(&mut venue, &mut truth, 3 * SECOND, &mut [&mut v]);
    let told = v.told();
    assert!(told.iter().all(|(c, _)| c != "book.BTC_USDC.100ms"));
    let books = follow(&told, &truth);
    assert!(books["book.SOL_USDC-PERPETUAL.100ms"].levels.len() > 20);
}

#[test]
fn what_is_halted_goes_on_later_in_the_same_chain() {
    let (mut venue, mut truth) = play(|_| {});
    let mut v = Visitor::enter(&mut venue);
    v.subscribe(&mut venue, &["book.ETH-PERPETUAL.100ms"], 0);
    let at = Target { symbol: Some("ETH-PERPETUAL".into()), ..Target::default() };
    for (n, status) in ["halted", "open"].into_iter().enumerate() {
        let now = (n as u64 * 3 + 1) * SECOND;
        go_on(&mut venue, &mut truth, now, &mut [&mut v]);
        venue.strike(&Fault::Status { status: status.into() }, &at, now, &mut Vec::new(), &mut truth);
        go_on(&mut venue, &mut truth, now + SECOND, &mut [&mut v]);
        let heard = v.heard.len();
        go_on(&mut venue, &mut truth, now + 2 * SECOND, &mut [&mut v]);
        assert_eq!(v.heard.len() > heard, status == "open", "{status}");
    }
    follow(&v.told(), &truth);
}

#[test]
fn a_lock_is_told_and_nothing_happens_until_it_is_lifted() {
    let (mut venue, mut truth) = play(|_| {});
    let mut v = Visitor::enter(&mut venue);
    v.subscribe(&mut venue, &["platform_state", "book.BTC-PERPETUAL.100ms"], 0);
    let mut events = Vec::new();
    venue.strike(&Fault::Lock { seconds: 2.0 }, &Target::default(), SECOND, &mut events, &mut truth);
    v.hear(&events, SECOND);
    v.heard.retain(|t| t.contains("platform_state"));
    let locked = v.told();
    assert_eq!(locked.len(), 4, "each index");
    assert!(locked.iter().all(|(_, d)| d["locked"] == true));
    v.heard.clear();
    let events = go_on(&mut venue, &mut truth, 3 * SECOND - 1, &mut [&mut v]);
    assert!(events.is_empty(), "{events:?}");
    go_on(&mut venue, &mut truth, 5 * SECOND, &mut [&mut v]);
    let told = v.told();
    assert_eq!(told[0].1["locked"], false);
    assert!(told.iter().any(|(c, _)| c.starts_with("book")));
}

#[test]
fn anonymous_sockets_are_shed_and_others_stay() {
    let (mut venue, mut truth) = play(|_| {});
    let (mut known, mut unknown) = (Visitor::enter(&mut venue), Visitor::enter(&mut venue));
    known.login(&mut venue);
    known.subscribe(&mut venue, &["platform_state.public_methods_state"], 0);
    unknown.subscribe(&mut venue, &["platform_state.public_methods_state"], 0);
    assert_eq!((known.session.next_time(), unknown.session.next_time()), (None, None));
    let mut events = Vec::new();
    venue.strike(&Fault::ShedAnonymous { seconds: 5.0 }, &Target::default(), SECOND, &mut events, &mut truth);
    unknown.hear(&events, SECOND);
    assert_eq!(unknown.told()[0].1, serde_json::json!({ "allow_unauthenticated_public_requests": false }));
    assert_eq!((known.session.next_time(), unknown.session.next_time()), (None, Some(2 * SECOND)));
    assert_eq!(unknown.subscribe(&mut venue, &["quote.BTC_USDC"], SECOND)["error"]["code"], 13009);
    assert!(matches!(unknown.session.on_time(2 * SECOND)[..], [Reply::Cut(_)]));
    assert!(known.subscribe(&mut venue, &["quote.BTC_USDC"], SECOND)["result"].is_array());
    go_on(&mut venue, &mut truth, 7 * SECOND, &mut [&mut known]);
    let allowed = known.told().into_iter().rfind(|(c, _)| c.starts_with("platform")).expect("an announcement");
    assert_eq!(allowed.1["allow_unauthenticated_public_requests"], true);
}

#[test]
fn heartbeats_ask_who_is_silent_and_close_who_does_not_answer() {
    let (mut venue, _) = play(|_| {});
    let mut v = Visitor::enter(&mut venue);
    assert_eq!(v.session.next_time(), Some(60 * SECOND), "the silent socket's end");
    assert!(matches!(v.session.on_time(60 * SECOND)[..], [Reply::Cut("idle")]));
    let refused = v.ask(&mut venue, "public/set_heartbeat", &serde_json::json!({ "interval": 9 }), 0);
    assert_eq!(refused["error"]["code"], -32602);
    v.ask(&mut venue, "public/set_heartbeat", &serde_json::json!({ "interval": 10 }), 0);
    let test = r#"{"params":{"type":"test_request"},"method":"heartbeat","jsonrpc":"2.0"}"#;
    assert_eq!(v.session.next_time(), Some(10 * SECOND));
    assert_eq!(v.session.on_time(10 * SECOND), [Reply::Text(test.into())]);
    v.ask(&mut venue, "public/test", &serde_json::json!({}), 11 * SECOND);
    let replies = v.session.on_time(20 * SECOND);
    assert!(matches!(&replies[..], [Reply::Text(t)] if t.contains(r#""type":"heartbeat""#)), "{replies:?}");
    assert_eq!(v.session.on_time(30 * SECOND), [Reply::Text(test.into())]);
    let closed = v.session.on_time(40 * SECOND);
    assert_eq!(closed, [Reply::Close { code: 4000, reason: "heartbeat close" }]);
}

#[test]
fn credits_run_out_and_the_socket_is_cut() {
    let (mut venue, _) = play(|_| {});
    let mut v = Visitor::enter(&mut venue);
    (0..10).for_each(|_| drop(v.subscribe(&mut venue, &["quote.BTC_USDC"], 0)));
    let text = r#"{"jsonrpc":"2.0","id":7,"method":"public/subscribe","params":{"channels":["quote.BTC_USDC"]}}"#;
    let replies = v.session.on_text(text, 0);
    let [Reply::Text(told), Reply::Cut(_)] = &replies[..] else { panic!("{replies:?}") };
    let told: Value = serde_json::from_str(told).expect("JSON");
    assert_eq!((&told["error"]["code"], &told["id"]), (&10028.into(), &7.into()));
}

#[test]
fn the_same_methods_answer_over_http() {
    let (mut venue, mut truth) = play(|_| {});
    let mut events = Vec::new();
    venue.advance(20 * SECOND, &mut events, &mut truth);
    let ask = |venue: &mut Deribit, path: &str, query: &str| -> (u16, Value) {
        let path = format!("/api/v2/public/{path}");
        let request = RestRequest { path: &path, query, now: 20 * SECOND, wall_ms: 0 };
        let reply = venue.rest(&request, &[], &truth);
        (reply.status, serde_json::from_str(&reply.body).expect("JSON"))
    };
    let (status, all) = ask(&mut venue, "get_instruments", "currency=any");
    assert_eq!((status, all["result"].as_array().map(Vec::len)), (200, Some(8)));
    let (_, usdc) = ask(&mut venue, "get_instruments", "currency=USDC&kind=option");
    assert_eq!(usdc["result"][0]["instrument_name"], "XRP_USDC-25DEC26-1d02-C");
    let (_, book) = ask(&mut venue, "get_order_book", "instrument_name=BTC-PERPETUAL&depth=10000");
    let mut naive = Naive::default();
    let id = book["result"]["change_id"].as_u64().expect("an id");
    for side in ["bids", "asks"] {
        for row in book["result"][side].as_array().expect("rows") {
            let plain = |n: usize| number::plain(&row[n].to_string());
            naive.levels.insert((side.into(), plain(0)), plain(1));
        }
    }
    assert_eq!(naive.levels, Naive::of(&truth.book_at("BTC-PERPETUAL", id).expect("a book")));
    assert!(book["result"]["mark_price"].is_number());
    let trades = |venue: &mut Deribit, query: &str| -> (Vec<u64>, Value) {
        let (_, v) = ask(venue, "get_last_trades_by_instrument", &format!("instrument_name=BTC-PERPETUAL&{query}"));
        let rows = v["result"]["trades"].as_array().expect("trades");
        (rows.iter().map(|r| r["trade_seq"].as_u64().expect("a number")).collect(), v["result"]["has_more"].clone())
    };
    let (newest, more) = trades(&mut venue, "count=5");
    assert!(newest.windows(2).all(|w| w[1] + 1 == w[0]) && more == true, "{newest:?}");
    let range = format!("start_seq={}&end_seq={}&sorting=asc&count=1000", newest[4], newest[1]);
    let (some, more) = trades(&mut venue, &range);
    assert_eq!((some, more), (newest[1..].iter().rev().copied().collect(), Value::from(false)));
    for (path, query, status, code) in [
        ("ticker", "instrument_name=NOPE", 400, -32602),
        ("ticker", "", 400, -32602),
        ("fly", "", 400, -32601),
        ("auth", "grant_type=client_credentials&client_id=x&client_secret=y", 400, 13004),
    ] {
        let (got, v) = ask(&mut venue, path, query);
        assert_eq!((got, &v["error"]["code"]), (status, &code.into()), "{path}");
    }
    let statuses: Vec<u16> = (0..200).map(|_| ask(&mut venue, "get_time", "").0).collect();
    assert!(statuses.contains(&429));
}

#[test]
fn an_order_book_shows_what_a_fault_puts_in_its_place() {
    let (mut venue, mut truth) = play(|_| {});
    let mut v = Visitor::enter(&mut venue);
    v.subscribe(&mut venue, &["book.BTC-PERPETUAL.100ms"], 0);
    let events = go_on(&mut venue, &mut truth, 5 * SECOND, &mut [&mut v]);
    events.into_iter().for_each(|e| truth.issue(&e.into()));
    let last = truth.events_of("book.BTC-PERPETUAL.100ms").last().expect("an event").clone();
    let ask = |venue: &mut Deribit, fault: &str| {
        let fault: Fault = serde_json::from_str(fault).expect("a fault");
        let query = "instrument_name=BTC-PERPETUAL&depth=1";
        let request = RestRequest { path: "/api/v2/public/get_order_book", query, now: 5 * SECOND, wall_ms: 0 };
        let reply = venue.rest(&request, &[fault], &truth);
        let v: Value = serde_json::from_str(&reply.body).expect("JSON");
        (reply.snapshot_id.expect("an id"), v["result"]["instrument_name"].as_str().expect("a name").to_owned())
    };
    let (id, name) = ask(&mut venue, r#"{"kind":"snapshot_at","position":"at_end"}"#);
    assert_eq!((id, &*name), (last.last_id, "BTC-PERPETUAL"));
    let (id, _) = ask(&mut venue, r#"{"kind":"snapshot_at","position":"inside"}"#);
    assert!((last.first_id..last.last_id).contains(&id));
    let (id, _) = ask(&mut venue, r#"{"kind":"stale_snapshot","age_s":4}"#);
    assert!(id < last.first_id);
    assert_eq!(ask(&mut venue, r#"{"kind":"snapshot_of","symbol":"BTC_USDC"}"#).1, "BTC_USDC");
}
