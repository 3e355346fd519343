//! Connections: open, be answered, prove life, be lost, come back.

use std::os::unix::fs::PermissionsExt;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use xtrader_core::table::Table;
use xtrader_runtime::live::{LiveOptions, LoginSource, Resolver};

use crate::case::{Case, ProofOfLife};
use crate::session::Session;

/// Connect, subscribe, be answered: books, trades, quotes and instruments come, and nothing else happens.
pub fn every_stream_flows(case: &'static Case) {
    let mut s = Session::start(case);
    s.until_live();
    s.until_more("l2", case.subject(), 10);
    assert_eq!(s.compare(), 0);
    for subject in &case.subjects {
        assert!(s.tables.instruments.iter().any(|row| row.native == subject.native && row.key.name == subject.key));
    }
    assert!(s.tables.gaps.is_empty(), "{:?}", s.tables.gaps);
    assert!(s.counter("/frames/ignored/answer") > 0, "what is asked is answered");
    assert_eq!(s.counter("/refused_channels"), 0);
    s.stream.stop().unwrap();
}

/// Each book has had a gap, and it is over.
fn until_gaps_are_closed(s: &mut Session) {
    s.until("the gaps of the books are closed", |s| {
        s.case.subjects.iter().all(|subject| s.tables.gaps_of("l2", subject.key).any(|gap| gap.is_closed))
    });
}

/// Each book had one gap, for a connection that was lost, and no other.
fn assert_one_disconnect(s: &Session) {
    for subject in &s.case.subjects {
        let gaps: Vec<_> = s.tables.gaps_of("l2", subject.key).collect();
        assert_eq!(gaps.len(), 2, "{gaps:?}");
        assert!(gaps.iter().all(|gap| gap.cause == "disconnect"), "{gaps:?}");
    }
}

/// One disconnect is one gap per stream, and everything comes back.
pub fn a_lost_connection_comes_back(case: &'static Case) {
    let mut s = Session::start(case);
    s.until_live();
    s.inject(json!({"kind": "disconnect", "how": "reset"}), json!({"family": case.family}), json!({}));
    until_gaps_are_closed(&mut s);
    s.until_live();
    s.until_more("trades", case.subject(), 3);
    s.until_more("trades", case.bystander(), 3);
    s.compare();
    assert_one_disconnect(&s);
}

/// A market that stands still costs no connection: each exchange gets the proof of life that it asks for, in its own
/// way, where who does not give it is cut.
pub fn a_connection_without_data_lives_on(case: &'static Case) {
    let (compression, idle_s) = match case.proof_of_life {
        ProofOfLife::Answers(times) => (times, None),
        ProofOfLife::Speaks(within_s) => (1.0, Some(within_s)),
    };
    let mut s = Session::with(
        case,
        |config| {
            // Else the end of a connection's life comes as much sooner.
            config.lifetime_s = 0.0;
            config.time_compression = compression;
            config.idle_s = idle_s.unwrap_or(config.idle_s);
        },
        |_| {},
    );
    s.until_live();
    s.stand_still();
    let answers = |s: &Session| {
        let pongs: u64 = s.simulator.with_truth(|truth| truth.connections().iter().map(|c| c.pongs).sum());
        pongs + s.simulator.with_truth(|truth| truth.connections().iter().map(|c| c.messages).sum::<u64>())
    };
    // As many proofs as show that the first ones counted.
    let wanted = answers(&s) + if idle_s.is_some() { 2 } else { 8 };
    s.until("proof of life", |s| answers(s) >= wanted);
    s.simulator.resume();
    s.until_more("trades", case.subject(), 1);
    s.until_more("trades", case.bystander(), 1);
    s.compare();
    assert!(s.tables.gaps.is_empty(), "{:?}", s.tables.gaps);
    assert!(s.simulator.with_truth(|truth| truth.connections().iter().all(|c| c.closed_ns.is_none())));
}

/// An announced end costs nothing: another connection is there before it comes, though a backoff is a matter of minutes.
/// One that nobody announces is a gap. Deribit and Binance futures announce none: what they make of a maintenance,
/// [`a_maintenance_is_one_outage`] shows.
// Fault: X24
pub fn an_announced_end_costs_nothing(case: &'static Case) {
    let backoff_ms = if case.announces_closing { 600_000 } else { 20 };
    let mut s = Session::with(
        case,
        |_| {},
        |options| {
            options.engine.deadlines.backoff_base_ms = backoff_ms;
            options.engine.deadlines.backoff_cap_ms = backoff_ms;
        },
    );
    s.until_live();
    let fault = json!({"kind": "shutdown", "after_s": 3.0});
    let told = s.inject(fault, json!({"family": case.family}), json!({}));
    s.until_struck(told);
    s.until("the connection is over", |s| {
        s.simulator.with_truth(|truth| truth.connections().iter().any(|c| c.closed_ns.is_some()))
    });
    if !case.announces_closing {
        until_gaps_are_closed(&mut s);
    }
    s.until_live();
    s.until_more("trades", case.subject(), 3);
    s.until_more("trades", case.bystander(), 3);
    s.compare();
    assert_eq!(s.tables.gaps.is_empty(), case.announces_closing, "{:?}", s.tables.gaps);
}

/// A maintenance: all streams stop, REST and upgrades are refused, and every connection ends, as each exchange does it: OKX
/// and Binance spot announce the end, Binance futures and Deribit do not (of Deribit a client could hear that trading is
/// locked). No stream is called dead while they stand still, and the outage is one gap of each, which closes by itself.
// Fault: X24
pub fn a_maintenance_is_one_outage(case: &'static Case) {
    let mut s = Session::with(
        case,
        |_| {},
        |options| {
            options.engine.deadlines.silence_ms = 500;
            if case.rest_tells {
                options.engine.deadlines.stream_silence_ms = 500;
            }
            // As often as every exchange allows, for some seconds.
            options.engine.deadlines.backoff_base_ms = 500;
            options.engine.deadlines.backoff_cap_ms = 1000;
        },
    );
    s.until_live();
    s.stand_still();
    let closed = json!({"times": 0});
    let refusals = [
        s.inject(json!({"kind": "rest_status", "status": 503}), json!({}), closed.clone()),
        s.inject(json!({"kind": "refuse_upgrade", "status": 503}), json!({}), closed),
    ];
    s.read_for(Duration::from_millis(1500));
    assert!(s.tables.gaps.is_empty(), "they stand still, no more: {:?}", s.tables.gaps);
    let up = s.up();
    s.inject(json!({"kind": "shutdown", "after_s": 0.5}), json!({}), json!({"times": up}));
    s.until("all is down", |s| s.up() == 0);
    s.until_struck(refusals[1]);
    s.read_for(Duration::from_secs(1));
    refusals.into_iter().for_each(|refusal| s.simulator.remove_fault(refusal));
    s.simulator.resume();
    s.until_live();
    for subject in &case.subjects {
        for table in ["trades", "l2", "bbo"] {
            s.until_more(table, subject, 3);
        }
    }
    s.compare();
    for subject in &case.subjects {
        for stream in ["trades", "l2", "bbo"] {
            let gaps: Vec<_> = s.tables.gaps_of(stream, subject.key).collect();
            let causes: Vec<(&str, bool)> = gaps.iter().map(|gap| (&*gap.cause, gap.is_closed)).collect();
            assert_eq!(causes, [("disconnect", false), ("disconnect", true)], "{stream} of {}", subject.key);
        }
    }
}

/// However often it must come back, it asks no faster than the exchange allows: nobody is refused or cut for it.
pub fn requests_and_upgrades_stay_under_the_limits(case: &'static Case) {
    let mut s = Session::start(case);
    s.until_live();
    let upgrades = s.inject(json!({"kind": "accept_then_close", "upgraded": true}), json!({}), json!({"times": 5}));
    s.inject(json!({"kind": "disconnect"}), json!({"family": case.family}), json!({}));
    s.until("five upgrades for nothing", |s| s.simulator.fault_fired(upgrades) >= 5);
    until_gaps_are_closed(&mut s);
    // Every book at once, again and again.
    for _ in 0..3 {
        for subject in &case.subjects {
            let rows = s.tables.gaps_of("l2", subject.key).count();
            s.inject(json!({"kind": "drop"}), json!({"stream": (case.book_stream)(subject.native)}), json!({}));
            s.until("a gap and its end", |s| s.tables.gaps_of("l2", subject.key).count() >= rows + 2);
        }
    }
    s.until_live();
    s.until_more("trades", case.subject(), 3);
    s.until_more("trades", case.bystander(), 3);
    s.compare();
    s.simulator.with_truth(|truth| {
        let reasons: Vec<&str> = truth.connections().iter().filter_map(|c| c.reason.as_deref()).collect();
        assert!(reasons.iter().all(|reason| reason.starts_with("fault")), "{reasons:?}");
        let refused: Vec<_> = truth.requests().iter().filter(|r| [418, 429].contains(&r.status)).collect();
        assert!(refused.is_empty(), "{refused:?}");
    });
}

/// The name of the exchange comes to mean another address: connections that are there stay, new ones go there.
// Fault: N20
pub fn an_exchange_that_moved_is_found_where_it_is(case: &'static Case) {
    let ips: [IpAddr; 2] = ["127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap()];
    let means = Arc::new(Mutex::new(ips[0]));
    let looked_up = Arc::clone(&means);
    let mut s = Session::with(
        case,
        |config| config.addresses = ips.to_vec(),
        |options| {
            let lookup = move |_: &str, port| Ok(vec![SocketAddr::new(*looked_up.lock().unwrap(), port)]);
            options.resolver = Resolver::new(lookup);
        },
    );
    s.until_live();
    let by_address = |s: &Session, ip: IpAddr| {
        s.simulator.with_truth(|truth| truth.connections().iter().filter(|c| c.address == ip.to_string()).count())
    };
    let first = by_address(&s, ips[0]);
    assert!(first > 0 && by_address(&s, ips[1]) == 0);
    *means.lock().unwrap() = ips[1];
    s.until_more("trades", case.subject(), 2);
    assert_eq!(by_address(&s, ips[1]), 0, "what is there stays");
    s.inject(json!({"kind": "disconnect", "how": "reset"}), json!({"family": case.family}), json!({}));
    until_gaps_are_closed(&mut s);
    s.until_live();
    assert_eq!((by_address(&s, ips[0]), by_address(&s, ips[1])), (first, 1));
    s.compare();
}

/// One request too many, as the exchange counts: it says so, or ends the connection; nothing is refused by that, and all
/// of it is asked for again, later.
pub fn a_request_too_many_is_asked_again_later(case: &'static Case) {
    let mut s = Session::start(case);
    s.until_live();
    let refused = s.inject(json!({"kind": "too_many_requests"}), json!({"family": case.family}), json!({}));
    s.inject(json!({"kind": "disconnect"}), json!({"family": case.family}), json!({}));
    s.until_struck(refused);
    until_gaps_are_closed(&mut s);
    s.until_live();
    s.until_more("trades", case.subject(), 3);
    s.until_more("trades", case.bystander(), 3);
    s.compare();
    assert_eq!(s.counter("/refused_channels"), 0);
    assert_one_disconnect(&s);
}

/// A market that stands still is not called dead, and a thousand quiet streams are no gap: REST says that nothing is
/// missing.
// Fault: X24
pub fn a_market_that_stands_still_is_quiet_and_not_dead(case: &'static Case) {
    let mut s = Session::with(
        case,
        |_| {},
        |options| {
            options.engine.deadlines.silence_ms = 1000;
            if case.rest_tells {
                options.engine.deadlines.stream_silence_ms = 1000;
            }
        },
    );
    s.until_live();
    s.stand_still();
    let told = s.counter("/replies/accepted");
    s.until("REST has been asked of the streams", |s| s.counter("/replies/accepted") >= told + 2);
    s.simulator.resume();
    s.until_more("trades", case.subject(), 1);
    s.until_more("l2", case.subject(), 3);
    s.until_more("trades", case.bystander(), 1);
    s.compare();
    assert!(s.tables.gaps.is_empty(), "{:?}", s.tables.gaps);
}

/// Who logs in gets the faster books; who has the wrong secret is told so, and the secret is not; an exchange without a
/// login says that it has none.
// Fault: Z05
pub fn a_login_opens_the_faster_books_and_a_wrong_one_fails(case: &'static Case) {
    let file = std::env::temp_dir().join(format!("xtrader-{}-{}.login", case.venue.id(), std::process::id()));
    let log_in = |secret: &str| {
        let text = json!({"key": "simulator", "secret": secret, "passphrase": "simulator"}).to_string();
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let (speed, file) = (case.login.map(|(speed, _)| speed), file.clone());
        let asked = move |options: &mut LiveOptions| {
            options.login = Some(LoginSource::File(file));
            options.engine.depth_speed = speed.unwrap_or_default();
        };
        Session::try_with(case, |_| {}, asked)
    };
    let (good, bad) = (log_in("simulator"), log_in("not-the-secret"));
    std::fs::remove_file(&file).unwrap();
    let Some((_, stream)) = case.login else {
        let problem = good.err().unwrap().to_string();
        assert!(problem.contains(case.venue.id()) && bad.is_err(), "{problem}");
        return;
    };
    let mut s = good.unwrap();
    s.until_live();
    s.until_more("l2", case.subject(), 10);
    s.compare();
    assert!(s.tables.gaps.is_empty(), "{:?}", s.tables.gaps);
    let faster = stream(case.subject().native);
    assert!(s.simulator.with_truth(|truth| truth.events_of(&faster).count() >= 10), "{faster}");
    let error = bad.unwrap().failure().to_string();
    assert!(error.contains("refused") && !error.contains("not-the-secret"), "{error}");
}

/// What an exchange says of a login long after it was granted, in a frame or in the words of a close, is recorded and told
/// without the secrets that it quotes; and whoever was logged in is so again.
// Fault: Z05
pub fn a_secret_that_comes_back_late_is_shown_nowhere(case: &'static Case) {
    let Some((speed, stream)) = case.login else { return };
    let (key, secret) = ("canary-key-7f3a", "canary-secret-7f3a");
    let file = std::env::temp_dir().join(format!("xtrader-late-{}-{}.login", case.venue.id(), std::process::id()));
    std::fs::write(&file, json!({"key": key, "secret": secret, "passphrase": secret}).to_string()).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let account = json!([{"key": key, "secret": secret, "passphrase": secret, "tier": 9}]);
    let mut s = Session::with(
        case,
        |config| config.accounts = serde_json::from_value(account).unwrap(),
        |options| {
            options.login = Some(LoginSource::File(file.clone()));
            options.engine.depth_speed = speed;
            options.engine.tables.extend([Table::Raw, Table::Connections]);
        },
    );
    std::fs::remove_file(&file).unwrap();
    s.until_live();
    let stream = stream(case.subject().native);
    let text = format!(r#"{{"event":"error","code":"60009","msg":"late: {key} and {secret}"}}"#);
    s.inject(
        json!({"kind": "malformed", "how": {"text": {"text": text}}, "before": true}),
        json!({"stream": stream}),
        json!({}),
    );
    s.until("the frame is recorded", |s| s.tables.payloads.iter().any(|text| text.contains("late: ***")));
    let reason = format!("API key {key} was changed, {secret}");
    s.inject(json!({"kind": "close", "code": 4007, "reason": reason}), json!({"family": case.family}), json!({}));
    until_gaps_are_closed(&mut s);
    s.until_live();
    let ended = |text: &String| text.contains("API key ***") && text.contains(" was changed, ***");
    s.until("the end is recorded and told", |s| {
        s.tables.payloads.iter().any(ended) && s.tables.ends.iter().any(|(_, reason)| ended(reason))
    });
    let reasons = s.tables.ends.iter().map(|(_, reason)| reason);
    let leaks: Vec<&String> = s.tables.payloads.iter().chain(reasons).filter(|text| text.contains("7f3a")).collect();
    assert!(leaks.is_empty(), "{leaks:?}");
    let report = s.report().to_string();
    assert!(report.contains("was changed") && !report.contains("7f3a"), "{report}");
    s.compare();
}
