//! Several connections of one client, each with a fate of its own: what every one of them misses, tells otherwise, repeats,
//! and how it ends.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use xtrader_simulator::Simulator;

use crate::client::{Client, Heard, PATIENCE, one_symbol, start, wait_until};
use crate::places::{PLACES, Place, Trades};

/// Lets the market go on until a stream has told so many events, and then come to rest.
fn play(sim: &Simulator, stream: &str, events: usize) {
    wait_until("events", || sim.with_truth(|t| t.events_of(stream).count()) >= events);
    sim.pause();
    assert!(sim.wait_drained(PATIENCE));
}

fn place(exchange: &str) -> Place {
    PLACES.into_iter().find(|p| p.exchange == exchange).expect("a place")
}

/// All ids of what no connection was handed.
fn uncarried(sim: &Simulator, stream: &str) -> BTreeSet<u64> {
    sim.with_truth(|t| t.uncarried(stream, None).into_iter().flat_map(|e| e.first_id..=e.last_id).collect())
}

#[test]
fn what_no_connection_was_handed_is_what_nobody_heard() {
    for place in PLACES {
        let sim = place.start(
            r#","faults":[
                {"fault":{"kind":"drop"},"when":{"probability":0.3,"times":0}},
                {"fault":{"kind":"duplicate"},"when":{"probability":0.05,"times":0}},
                {"fault":{"kind":"swap"},"when":{"probability":0.3,"times":0}},
                {"fault":{"kind":"delay","seconds":0,"jitter_s":0.02,"spread_s":0.05}}]"#,
        );
        let mut clients = [(); 3].map(|()| place.client(&sim));
        play(&sim, place.stream, 60);
        let heard = clients.each_mut().map(|c| place.rest(c));
        let all: BTreeSet<u64> = heard.iter().flat_map(|h| h.keys().copied()).collect();
        let last = sim.with_truth(|t| t.events_of(place.stream).last().map(|e| e.last_id)).expect("an event");
        let first = *all.first().expect("a trade");
        let missing: BTreeSet<u64> = (first..=last).filter(|id| !all.contains(id)).collect();
        assert_eq!(uncarried(&sim, place.stream), missing, "{} {}", place.exchange, place.stream);
        let question = format!(r#"{{"what":"uncarried","stream":"{}"}}"#, place.stream);
        let rows: Value = serde_json::from_str(&sim.truth_json(&question).expect("an answer")).expect("JSON");
        assert_eq!(rows.as_array().map(Vec::len), Some(sim.with_truth(|t| t.uncarried(place.stream, None).len())));
        assert!(heard.iter().all(|h| h.len() < all.len()) && heard[0] != heard[1], "each has its own luck");
    }
}

#[test]
fn cuts_come_again_and_at_another_time_for_each() {
    for exchange in ["binance-futures", "okx", "deribit"] {
        let sim = place(exchange).start(
            r#","limits":{"handshakes":0},
                "faults":[{"fault":{"kind":"disconnect","how":"fin"},"when":{"every_s":0.6}}]"#,
        );
        let place = place(exchange);
        for _ in 0..2 {
            let mut clients = [(); 3].map(|()| place.client(&sim));
            assert!(clients.each_mut().into_iter().all(|c| matches!(c.until_end().1, Heard::End(_))));
        }
        wait_until("the server is done with them", || {
            sim.with_truth(|t| t.connections().iter().all(|c| c.closed_ns.is_some()))
        });
        let mut lives = sim.with_truth(|t| {
            let lasting = |c: &&xtrader_simulator::ConnectionRecord| c.closed_ns.map(|end| end - c.opened_ns);
            t.connections().iter().filter_map(lasting).collect::<Vec<u64>>()
        });
        assert_eq!((lives.len(), sim.fault_fired(0)), (6, 6));
        lives.sort_unstable();
        assert!(lives[0] >= 300_000_000, "{lives:?}");
    }
}

#[test]
fn a_life_has_an_end_that_is_announced_where_there_are_words_for_it() {
    for (exchange, words) in [("binance-spot", "serverShutdown"), ("okx", "64008"), ("binance-futures", "")] {
        for notice in [0.0, 60.0] {
            let place = place(exchange);
            let sim = place
                .start(&format!(r#","lifetime_s":120,"lifetime_notice_s":{notice},"time_compression":100,"idle_s":0"#));
            let (texts, end) = place.client(&sim).until_end();
            assert!(matches!(end, Heard::End(_)), "{end:?}");
            let at = texts.iter().position(|t| !words.is_empty() && t.contains(words));
            let announced = notice > 0.0 && !words.is_empty();
            // Half a life is left, in which the trades go on.
            assert_eq!(at.is_some_and(|at| at > 0 && at + 5 < texts.len()), announced, "{exchange} {notice} {at:?}");
            let reason = || sim.with_truth(|t| t.connections()[0].reason.clone());
            wait_until("its end", || reason().as_deref() == Some("end of its life"));
        }
    }
}

#[test]
fn a_stop_is_announced_long_enough_for_another_connection() {
    for (exchange, words) in [("binance-spot", "serverShutdown"), ("okx", "64008")] {
        let place = place(exchange);
        let sim = place.start("");
        let mut old = place.client(&sim);
        place.hear(&mut old, 3);
        sim.inject_json(r#"{"fault":{"kind":"shutdown","after_s":1.5},"target":{"connection":0}}"#).expect("a plan");
        while !old.text().contains(words) {}
        let (mut new, mut told) = (place.client(&sim), Trades::new());
        let first = *place.hear(&mut new, 1).keys().next().expect("a trade");
        let (texts, end) = old.until_end();
        texts.iter().for_each(|t| place.read(t, &mut told));
        assert!(told.keys().any(|id| *id >= first), "both were there at once");
        assert!(matches!(end, Heard::Close(Some(close)) if u16::from(close.code) == 1001));
        place.hear(&mut new, 10);
    }
}

#[test]
fn one_connection_too_many_ends_the_oldest_of_the_same_client() {
    for (exchange, code) in
        [("binance-spot", Some(1008)), ("binance-futures", Some(1008)), ("okx", Some(4008)), ("deribit", None)]
    {
        let place = place(exchange);
        let sim = place.start(r#","limits":{"connections":2,"close_oldest":true,"handshakes":0}"#);
        let mut of_others = Client::connect_over(&sim, place.ws, [127, 0, 0, 9], [127, 0, 0, 1]);
        let mut clients = [(); 3].map(|()| place.client(&sim));
        match (clients[0].until_end().1, code) {
            (Heard::Close(Some(close)), Some(code)) => assert_eq!(u16::from(close.code), code, "{exchange}"),
            (Heard::End(_), None) => {}
            (end, _) => panic!("{exchange} {end:?}"),
        }
        place.hear(&mut clients[1], 3);
        place.hear(&mut clients[2], 3);
        if place.subscribe.is_empty() {
            place.hear(&mut of_others, 3);
        } else {
            of_others.send(place.subscribe);
            place.hear(&mut of_others, 3);
        }
        let open = sim.with_truth(|t| t.connections().iter().filter(|c| c.closed_ns.is_none()).count());
        assert!((3..=4).contains(&open), "{open}");
    }
}

#[test]
fn one_connection_tells_another_size_under_the_same_id_and_the_truth_keeps_the_real_one() {
    for place in PLACES {
        let sim = place
            .start(r#","faults":[{"fault":{"kind":"tamper"},"target":{"connection":1},"when":{"after_frames":4}}]"#);
        let mut clients = [(); 2].map(|()| place.client(&sim));
        play(&sim, place.stream, 20);
        let [real, other] = clients.each_mut().map(|c| place.rest(c));
        let differ: Vec<u64> =
            other.iter().filter(|(id, t)| real.get(id).is_some_and(|r| r != *t)).map(|t| *t.0).collect();
        assert_eq!(differ.len(), 1, "{}", place.exchange);
        let (r, o) = (&real[&differ[0]], &other[&differ[0]]);
        assert!(r.0 == o.0 && r.1 != o.1, "{r:?} {o:?}");
        let altered = sim.with_truth(|t| {
            let a = &t.alterations()[0];
            let event = &t.events()[usize::try_from(a.event).expect("a number")];
            assert_eq!((t.alterations().len(), a.conn, a.fault.as_str(), a.lost), (1, 1, "tamper", false));
            assert!((event.first_id..=event.last_id).contains(&differ[0]));
            event.payload.to_string()
        });
        let mut truth = Trades::new();
        place.read(&altered, &mut truth);
        assert_eq!(truth[&differ[0]], *r);
        assert_eq!(uncarried(&sim, place.stream), BTreeSet::new());
    }
}

#[test]
fn one_connection_tells_another_size_of_a_level() {
    let sim = one_symbol(r#","faults":[{"fault":{"kind":"tamper"},"target":{"connection":1},"when":{"times":0}}]"#);
    let mut clients = [(); 2].map(|()| Client::connect(&sim, "/public/ws/btcusdt@depth@100ms"));
    let [real, other] = clients.each_mut().map(|c| c.events(10));
    let same = |a: &Value| other.iter().find(|b| b["u"] == a["u"]).cloned();
    let pairs: Vec<_> = real.iter().filter_map(|a| Some((a, same(a)?))).collect();
    let prices = |v: &Value, side: &str| -> Vec<Value> {
        v[side].as_array().expect("rows").iter().map(|row| row[0].clone()).collect()
    };
    assert!(pairs.len() > 3);
    for (a, b) in pairs {
        assert!(["b", "a"].iter().all(|side| prices(a, side) == prices(&b, side)) && *a != b, "{a} {b}");
    }
}

#[test]
fn arrays_of_trades_are_cut_otherwise_on_another_connection_and_make_up_for_each_other() {
    let place = place("deribit");
    let sim = place.start(
        r#","batch_phases":2,
            "faults":[{"fault":{"kind":"drop"},"target":{"connection":1},"when":{"probability":0.3,"times":0}}]"#,
    );
    let book = "book.BTC-PERPETUAL.100ms";
    let subscribe = json!({"id": 1, "method": "public/subscribe", "params": {"channels": [book]}}).to_string();
    let mut clients = [(); 2].map(|()| {
        let mut c = place.client(&sim);
        c.send(&subscribe);
        place.hear(&mut c, 1);
        c
    });
    play(&sim, &format!("{}#1", place.stream), 30);
    let [whole, holes] = clients.each_mut().map(|c| place.rest(c));
    assert!(holes.keys().all(|id| whole.contains_key(id)) && holes.len() < whole.len());
    let cuts = |phase: usize| -> BTreeSet<u64> {
        sim.with_truth(|t| t.events_of(&format!("{}#{phase}", place.stream)).map(|e| e.last_id).collect())
    };
    assert_ne!(cuts(0), cuts(1));
    let lost = sim
        .with_truth(|t| t.alterations().iter().filter(|a| a.lost).map(|a| a.stream.clone()).collect::<BTreeSet<_>>());
    assert_eq!(lost, BTreeSet::from([place.stream.to_owned(), book.to_owned()]));
    assert_eq!((uncarried(&sim, place.stream), uncarried(&sim, book)), (BTreeSet::new(), BTreeSet::new()));
}

#[test]
fn the_latest_trades_are_told_again_to_who_subscribes() {
    for place in PLACES {
        let sim = place.start(r#","faults":[{"fault":{"kind":"replay_recent","count":4}}]"#);
        let mut first = place.client(&sim);
        place.hear(&mut first, 20);
        play(&sim, place.stream, 10);
        let again = place.rest(&mut place.client(&sim));
        let mut expected = Trades::new();
        sim.with_truth(|t| {
            let events: Vec<_> = t.events_of(place.stream).collect();
            events[events.len() - 4..].iter().for_each(|e| place.read(&e.payload, &mut expected));
        });
        assert_eq!(again, expected, "{} {}", place.exchange, place.stream);
        assert!(sim.fault_fired(0) >= 1);
        // Whoever has the stream already is told nothing twice.
        if !place.subscribe.is_empty() {
            place.rest(&mut first);
            first.send(place.subscribe);
            assert_eq!(place.rest(&mut first), Trades::new(), "{}", place.exchange);
        }
    }
}

#[test]
fn addresses_have_one_port_and_their_own_delays() {
    let sim = start(
        r#"{"symbols":["BTCUSDT"],"book_levels":100,"addresses":["127.0.0.1","127.0.0.2"],
            "faults":[{"fault":{"kind":"delay","seconds":0.4},"target":{"address":"127.0.0.2"}},
                      {"fault":{"kind":"rest_status","status":503},"target":{"address":"127.0.0.2"}}]}"#,
    );
    let path = "/public/ws/btcusdt@depth@100ms";
    let mut near = Client::connect_over(&sim, path, [127, 0, 0, 1], [127, 0, 0, 1]);
    let mut far = Client::connect_over(&sim, path, [127, 0, 0, 1], [127, 0, 0, 2]);
    near.events(5);
    far.events(5);
    sim.with_truth(|t| {
        let addresses: Vec<&str> = t.connections().iter().map(|c| &*c.address).collect();
        assert_eq!(addresses, ["127.0.0.1", "127.0.0.2"]);
        let late = |f: &&xtrader_simulator::FrameRecord| {
            let emitted = t.events()[f.event.expect("an event") as usize].emitted_ms as u64;
            f.write_ns / 1_000_000 >= emitted + 399
        };
        assert!(t.frames(Some(1)).all(|f| late(&f)) && !t.frames(Some(0)).all(|f| late(&f)));
    });
    assert_eq!(crate::client::get(&sim, "/fapi/v1/ping").status, 200, "the fault is for the other address");
    assert_eq!(sim.fault_fired(1), 0);
}
