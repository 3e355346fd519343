//! Trades that no connection brought: fetched by REST, each once, and what it cannot tell is named.

use proptest::prelude::*;

use super::frames::{T0, deribit_trade, deribit_trades, okx_trade};
use super::harness::{A, B, World, agg_trade, all_rows, config, live_config};
use super::replay::replay;
use crate::config::{EngineConfig, Stream};
use crate::engine::{Action, DownReason, HttpReply, Input, RequestId};
use crate::symbol::Venue;
use crate::table::Table;

const GAPS: [&str; 6] = ["cause", "missing", "first_missing", "last_missing", "repaired", "gap_id"];
const ROWS: [&str; 5] = ["trade_id", "source", "conn_id", "price", "flags"];

fn start(config: EngineConfig) -> World {
    let connections = config.connections;
    let mut world = World::new(config);
    for _ in 0..connections {
        world.connect_all();
        world.pass_ms(2_000);
    }
    world.actions.clear();
    world
}

fn futures(recover_trades: u32, connections: u16) -> World {
    let mut config = config(&[Stream::Trades]);
    config.connections = connections;
    config.arbitration.recover_trades = recover_trades;
    start(config)
}

/// Requests for trades since the actions were last forgotten, which they are now.
fn asked(world: &mut World) -> Vec<(RequestId, String)> {
    let of = |action: &Action| match action {
        Action::Http { request, url, .. }
            if ["fromId=", "history-trades", "start_seq="].iter().any(|page| url.contains(page)) =>
        {
            Some((*request, url.clone()))
        }
        _ => None,
    };
    let found = world.actions.iter().filter_map(of).collect();
    world.actions.retain(|action| of(action).is_none());
    found
}

/// The request that is on its way: its query.
fn only(world: &mut World) -> (RequestId, String) {
    let mut asked = asked(world);
    assert_eq!(asked.len(), 1, "{asked:?}");
    let (request, url) = asked.remove(0);
    (request, url.split_once('?').map_or(String::new(), |(_, query)| query.to_owned()))
}

/// Futures §2: a page of `aggTrades`.
fn page(ids: impl IntoIterator<Item = i64>) -> String {
    let row = |id: i64| {
        let (first, last, time) = (id * 2, id * 2 + 1, 1_795_348_700_000 + id);
        format!(r#"{{"a":{id},"p":"7.5","q":"1","f":{first},"l":{last},"T":{time},"m":true}}"#)
    };
    format!("[{}]", ids.into_iter().map(row).collect::<Vec<_>>().join(","))
}

fn tell(world: &mut World, request: RequestId, status: u16, body: &str) {
    world.reply(Some(request), "https://fapi.binance.com/fapi/v1/aggTrades", status, body);
}

fn trades(world: &mut World, conn: crate::symbol::ConnId, ids: &[i64]) {
    for id in ids {
        world.frame(conn, &agg_trade(*id, "1", "1"));
    }
}

// Fault: X01
#[test]
fn what_the_only_connection_lost_comes_by_rest_and_the_gap_says_so() {
    let mut world = futures(5000, 1);
    trades(&mut world, A, &[1, 2, 5]);
    assert!(asked(&mut world).is_empty(), "REST lags behind the sockets");
    world.pass_ms(1_000);
    let (request, query) = only(&mut world);
    assert_eq!(query, "symbol=BTCUSDT&fromId=3&limit=2");
    trades(&mut world, A, &[6]);
    tell(&mut world, request, 200, &page([3, 4]));
    assert_eq!(
        world.rows(Table::Trades, &ROWS),
        ["1|ws|1|1|144", "2|ws|1|1|144", "5|ws|1|1|144", "6|ws|1|1|144", "3|rest|0|7.5|16", "4|rest|0|7.5|144"]
    );
    assert_eq!(world.rows(Table::Gaps, &GAPS), ["missed|2|3|4|none|1", "missed|2|3|4|rest|1"]);
    trades(&mut world, A, &[3, 4, 7]);
    assert_eq!(world.rows(Table::Trades, &["trade_id"]).len(), 7, "a late copy is one");
}

// Fault: N01, N02
#[test]
fn what_passed_while_every_connection_was_down_comes_page_by_page() {
    let mut world = futures(5000, 1);
    trades(&mut world, A, &[1]);
    world.down(A, DownReason::Closed);
    world.pass_ms(60_000);
    world.connect_all();
    trades(&mut world, A, &[2503]);
    world.pass_ms(1_000);
    for (first, last) in [(2, 1001), (1002, 2001), (2002, 2502)] {
        let (request, query) = only(&mut world);
        assert_eq!(query, format!("symbol=BTCUSDT&fromId={first}&limit={}", (2503 - first).min(1000)));
        tell(&mut world, request, 200, &page(first..=last));
    }
    assert!(asked(&mut world).is_empty());
    assert_eq!(world.rows(Table::Gaps, &GAPS)[1], "disconnect|2501|2|2502|rest|1");
    assert_eq!(world.rows(Table::Trades, &["trade_id"]).len(), 2503);
}

#[test]
fn a_hole_wider_than_any_window_is_filled_to_its_bound_and_the_rest_is_named() {
    let mut world = futures(6000, 1);
    trades(&mut world, A, &[1, 10_001]);
    world.pass_ms(1_000);
    for first in [2, 1002, 2002, 3002, 4002, 5002] {
        let (request, query) = only(&mut world);
        assert_eq!(query, format!("symbol=BTCUSDT&fromId={first}&limit=1000"));
        tell(&mut world, request, 200, &page(first..first + 1000));
    }
    assert!(asked(&mut world).is_empty());
    let gaps = world.rows(Table::Gaps, &GAPS);
    assert_eq!(gaps[0], "missed|9999|2|10000|none|1");
    assert!(gaps.contains(&"missed|3999|6002|10000|none|1".to_owned()), "{gaps:?}");
    assert_eq!(world.rows(Table::Trades, &["trade_id"]).len(), 6002);
}

#[test]
fn what_rest_has_no_longer_is_named_by_its_ids() {
    let mut world = futures(5000, 1);
    trades(&mut world, A, &[1, 10]);
    world.pass_ms(1_000);
    let (request, _) = only(&mut world);
    tell(&mut world, request, 200, &page([6, 7, 9, 10, 11]));
    assert_eq!(world.rows(Table::Trades, &["trade_id"]), ["1", "10", "6", "7", "9"]);
    let gaps = world.rows(Table::Gaps, &GAPS);
    let closed: Vec<&str> = gaps.iter().map(String::as_str).collect();
    for told in ["missed|8|2|9|none|1", "missed|4|2|5|none|1", "missed|2|6|7|rest|2", "missed|1|8|8|none|3"] {
        assert!(closed.contains(&told), "{told} in {closed:?}");
    }
    assert!(asked(&mut world).is_empty(), "what has later ids and not these, has not these");
}

#[test]
fn holes_of_one_moment_share_a_page() {
    let mut world = futures(5000, 1);
    trades(&mut world, A, &[1, 3, 5, 8]);
    world.pass_ms(1_000);
    let (request, query) = only(&mut world);
    assert_eq!(query, "symbol=BTCUSDT&fromId=2&limit=6");
    tell(&mut world, request, 200, &page(2..=7));
    assert_eq!(world.rows(Table::Trades, &["trade_id"]), ["1", "3", "5", "8", "2", "4", "6", "7"]);
    let closed = world.rows(Table::Gaps, &["repaired"]).iter().filter(|repaired| *repaired == "rest").count();
    assert_eq!(closed, 3);
}

// Fault: X09
#[test]
fn a_refusal_is_asked_again_later_and_not_for_ever() {
    let mut world = futures(5000, 1);
    trades(&mut world, A, &[1, 3]);
    world.pass_ms(1_000);
    let (request, _) = only(&mut world);
    let url = "https://fapi.binance.com/fapi/v1/aggTrades";
    let later = HttpReply { request: Some(request), url, status: 429, retry_after_ms: Some(20_000), body: b"{}" };
    world.input(Input::Http(later));
    world.pass_ms(19_999);
    assert!(asked(&mut world).is_empty(), "it said when");
    let mut attempts = 1;
    for _ in 0..20 {
        world.pass_ms(60_000);
        for (request, _) in asked(&mut world) {
            attempts += 1;
            tell(&mut world, request, 500, "");
        }
    }
    assert_eq!(attempts, 5);
    assert_eq!(world.rows(Table::Gaps, &GAPS)[1], "missed|1|2|2|none|1");
}

/// Answers each request for trades from a history that begins at `oldest`, as long as there are some.
fn serve(world: &mut World, newest: i64, oldest: i64) {
    for _ in 0..400 {
        world.pass_ms(60_000);
        answer(world, newest, oldest, 1000, None);
    }
}

// Fault: X01, X09
#[test]
fn what_rest_tells_of_any_number_of_holes_is_taken_however_far_the_ids_are_by_then() {
    let mut world = futures(5000, 1);
    trades(&mut world, A, &(1..=601).step_by(2).collect::<Vec<_>>());
    world.pass_ms(1_000);
    let (request, _) = only(&mut world);
    let url = "https://fapi.binance.com/fapi/v1/aggTrades";
    let later = HttpReply { request: Some(request), url, status: 429, retry_after_ms: Some(14_000), body: b"{}" };
    world.input(Input::Http(later));
    trades(&mut world, A, &(602..=9_000).collect::<Vec<_>>());
    assert_eq!(world.rows(Table::Gaps, &GAPS).len(), 300, "declared, and still open");
    // Of before the last ten nothing is told any more.
    serve(&mut world, 9_000, 582);
    let by_rest = world.rows(Table::Trades, &["trade_id", "source"]).iter().filter(|row| row.ends_with("rest")).count();
    assert_eq!(by_rest, 10);
    let closed = world.rows(Table::Gaps, &["first_missing", "repaired", "ts_resumed"]);
    let closed = closed.iter().filter_map(|row| row.rsplit_once('|').filter(|(_, resumed)| !resumed.is_empty()));
    let wanted = |id: i64| format!("{id}|{}", if id < 582 { "none" } else { "rest" });
    let mut closed: Vec<String> = closed.map(|(told, _)| told.to_owned()).collect();
    let mut wanted: Vec<String> = (2..=600).step_by(2).map(wanted).collect();
    closed.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(closed, wanted);
}

#[test]
fn of_more_holes_than_are_remembered_the_rest_is_lost_and_told_so() {
    const MOST: i64 = 16_384;
    let mut world = futures(5000, 1);
    trades(&mut world, A, &(1..=2 * (MOST + 10) + 1).step_by(2).collect::<Vec<_>>());
    let at_once = world.rows(Table::Gaps, &["first_missing", "repaired", "ts_resumed"]);
    let at_once: Vec<&String> = at_once.iter().filter(|row| !row.ends_with('|')).collect();
    assert_eq!(at_once.len(), 10);
    assert!(at_once[0].starts_with(&format!("{}|none|", 2 * (MOST + 1))), "{}", at_once[0]);
    serve(&mut world, 3 * MOST, 0);
    let closed = world.rows(Table::Gaps, &["repaired", "ts_resumed"]);
    let of = |repaired: &str| closed.iter().filter(|row| row.starts_with(&format!("{repaired}|1"))).count() as i64;
    assert_eq!((of("rest"), of("none"), of("connection")), (MOST, 10, 0));
    assert_eq!(world.rows(Table::Trades, &["trade_id"]).len() as i64, 2 * (MOST + 10) + 1 - 10);
}

const TOO_OLD: &str = r#"{"code":-4166,"msg":"Search window is restricted to the last 48 hours."}"#;

#[test]
fn what_the_exchange_does_not_tell_is_not_asked_for_twice() {
    let mut world = futures(5000, 1);
    trades(&mut world, A, &[1, 3]);
    world.pass_ms(1_000);
    let (request, _) = only(&mut world);
    tell(&mut world, request, 400, TOO_OLD);
    world.pass_ms(60_000);
    assert!(asked(&mut world).is_empty());
    assert_eq!(world.rows(Table::Gaps, &GAPS)[1], "missed|1|2|2|none|1");
}

/// Futures §2: ids of more than 48 hours ago are refused, and a range that begins with one is refused whole.
#[test]
fn of_a_range_that_is_half_forgotten_the_other_half_comes() {
    // From the first id that is told on; 2001 is none of the hole.
    for oldest in [2, 3, 7, 1000, 1001, 1002, 1999, 2000, 2001] {
        let mut world = futures(5000, 1);
        trades(&mut world, A, &[1, 2001]);
        world.pass_ms(1_000);
        let mut requests = 0;
        while let Some((request, url)) = asked(&mut world).pop() {
            requests += 1;
            let number = |key: &str| -> i64 {
                let (_, value) = url.split_once(key).expect("in its query");
                value.split('&').next().and_then(|text| text.parse().ok()).expect("a number")
            };
            let (first, most) = (number("fromId="), number("limit="));
            assert!((2..=2000).contains(&first), "{url}");
            match first < oldest {
                true => tell(&mut world, request, 400, TOO_OLD),
                false => tell(&mut world, request, 200, &page(first..(first + most).min(2002))),
            }
        }
        assert!(requests <= 14, "{oldest}: {requests} requests");
        let mut ids: Vec<i64> =
            world.rows(Table::Trades, &["trade_id"]).iter().map(|id| id.parse().expect("an id")).collect();
        ids.sort_unstable();
        assert_eq!(ids, [1].into_iter().chain(oldest..=2001).collect::<Vec<_>>(), "{oldest}");
        let lost = format!("missed|{}|2|{}|none|1", oldest - 2, oldest - 1);
        let gaps = world.rows(Table::Gaps, &GAPS);
        assert_eq!(oldest > 2, gaps[1..].contains(&lost), "{oldest}: {gaps:?}");
    }
}

#[test]
fn a_copy_that_comes_late_is_delivered_and_not_fetched_again() {
    let mut world = futures(5000, 2);
    trades(&mut world, A, &[1]);
    trades(&mut world, B, &[1]);
    trades(&mut world, A, &[5]);
    trades(&mut world, B, &[5]);
    world.pass_ms(1_250);
    let (request, query) = only(&mut world);
    assert_eq!(query, "symbol=BTCUSDT&fromId=2&limit=3");
    trades(&mut world, B, &[3]);
    tell(&mut world, request, 200, &page([2, 3, 4]));
    assert_eq!(world.rows(Table::Trades, &["trade_id", "source"]), ["1|ws", "5|ws", "3|ws", "2|rest", "4|rest"]);
    let gaps = world.rows(Table::Gaps, &GAPS);
    assert_eq!(gaps.last().map(String::as_str), Some("missed|3|2|4|rest|1"));
}

#[test]
fn nothing_is_fetched_where_nobody_wants_it() {
    let mut world = futures(0, 1);
    trades(&mut world, A, &[1, 3]);
    world.pass_ms(60_000);
    assert!(asked(&mut world).is_empty());
    assert_eq!(world.rows(Table::Gaps, &GAPS), ["missed|1|2|2|none|1"; 2]);
}

#[test]
fn a_reply_of_an_epoch_that_is_over_is_nobodys() {
    let mut world = futures(5000, 1);
    trades(&mut world, A, &[1_000_000, 1_000_003]);
    world.pass_ms(1_000);
    let (request, _) = only(&mut world);
    let anew = super::harness::agg_trade_at("BTCUSDT", 7, 1_795_349_800_000, "1", "1");
    world.frame(A, &anew);
    tell(&mut world, request, 200, &page([1_000_001, 1_000_002]));
    assert_eq!(world.rows(Table::Trades, &["trade_id"]), ["1000000", "1000003", "7"]);
    assert_eq!(world.count("/replies/ignored/unknown_reply"), 1);
}

/// Whatever they stood for, REST would tell other trades by these ids.
#[test]
fn what_rest_was_asked_for_is_lost_when_ids_fall_and_told_so_at_once() {
    let mut world = futures(5000, 1);
    trades(&mut world, A, &[1_000_000, 1_000_003, 1_000_005]);
    world.pass_ms(1_000);
    assert_eq!(world.rows(Table::Gaps, &GAPS), ["missed|2|1000001|1000002|none|1", "missed|1|1000004|1000004|none|2"]);
    let anew = super::harness::agg_trade_at("BTCUSDT", 7, 1_795_349_800_000, "1", "1");
    world.frame(A, &anew);
    let fell = world.rows(Table::Trades, &["msg_id"]).pop().expect("the first trade of the new epoch");
    let told = world.rows(Table::Gaps, &["msg_id", "cause", "first_missing", "last_missing", "repaired", "gap_id"]);
    let lost = [("missed", "1000001|1000002", 1), ("missed", "1000004|1000004", 2)];
    for (row, (cause, ids, gap)) in told[2..].iter().zip(lost) {
        assert_eq!(*row, format!("{fell}|{cause}|{ids}|none|{gap}"));
    }
    assert_eq!(told[4..], [format!("{fell}|id_reset|||none|3"), format!("{fell}|id_reset|||none|3")]);
}

#[test]
fn fills_of_a_lost_fold_come_one_by_one_and_a_late_copy_of_it_is_dropped() {
    let mut config = live_config(Venue::Okx, &["BTC-USDT"], &[Stream::Trades]);
    config.arbitration.recover_trades = 5000;
    let mut world = World::new(config);
    world.connect_all();
    world.actions.clear();
    for (id, count) in [(10, 1), (16, 2)] {
        world.frame(A, &okx_trade("BTC-USDT", id, count, T0 + id));
    }
    world.pass_ms(1_000);
    let asked: Vec<_> = asked(&mut world).into_iter().filter(|(_, url)| url.contains("trades")).collect();
    assert_eq!(
        asked[0].1,
        "https://www.okx.com/api/v5/market/history-trades?instId=BTC-USDT&type=1&after=15&before=10&limit=100"
    );
    let row = |id: i64| {
        format!(
            r#"{{"instId":"BTC-USDT","tradeId":"{id}","px":"100.5","sz":"1","side":"buy","source":"0","ts":"{}"}}"#,
            T0 + id
        )
    };
    let body = format!(r#"{{"code":"0","msg":"","data":[{},{},{}]}}"#, row(14), row(13), row(12));
    world.reply(Some(asked[0].0), &asked[0].1, 200, &body);
    // A fold of which fills have come is told by these; what is missing of it stays missing.
    world.frame(A, &okx_trade("BTC-USDT", 13, 3, T0 + 13));
    assert_eq!(
        world.rows(Table::Trades, &["trade_id", "first_id", "source"]),
        ["10|10|ws", "16|15|ws", "12||rest", "13||rest", "14||rest"]
    );
    let gaps = world.rows(Table::Gaps, &GAPS);
    assert!(gaps.contains(&"missed|1|11|11|none|1".to_owned()), "{gaps:?}");
}

/// OKX §2: 50011 too many requests, with HTTP 200 too; 50013 busy. Neither says that there are no such trades.
// Fault: X09
#[test]
fn a_refusal_that_looks_like_an_empty_page_is_a_refusal() {
    for code in ["50011", "50013"] {
        let mut config = live_config(Venue::Okx, &["BTC-USDT"], &[Stream::Trades]);
        config.arbitration.recover_trades = 5000;
        let mut world = start(config);
        for id in [10, 12] {
            world.frame(A, &okx_trade("BTC-USDT", id, 1, T0 + id));
        }
        world.pass_ms(1_000);
        let (request, query) = only(&mut world);
        tell(&mut world, request, 200, &format!(r#"{{"code":"{code}","data":[],"msg":"no"}}"#));
        assert_eq!((world.count("/replies/rejected/status"), world.count("/replies/accepted")), (1, 0), "{code}");
        world.pass_ms(60_000);
        assert_eq!(only(&mut world).1, query, "{code}: it is asked again");
        assert_eq!(world.rows(Table::Gaps, &["repaired"]), ["none"], "{code}: and open meanwhile");
    }
}

// Fault: B13
#[test]
fn a_page_of_another_instrument_is_refused_and_asked_for_again() {
    let name = "BTC-PERPETUAL";
    let mut config = live_config(Venue::Deribit, &[name], &[Stream::Trades]);
    config.arbitration.recover_trades = 5000;
    let mut world = start(config);
    let row = |native: &str, seq: i64| deribit_trade(native, seq, T0 + seq, "");
    for seq in [10, 13] {
        world.frame(A, &deribit_trades(name, &[row(name, seq)]));
    }
    let page = |rows: &[String]| format!(r#"{{"result":{{"trades":[{}],"has_more":false}}}}"#, rows.join(","));
    let told = [page(&[row(name, 11), row("ETH-PERPETUAL", 12)]), page(&[row(name, 11), row(name, 12)])];
    for (body, ids) in told.iter().zip([&["10", "13"][..], &["10", "13", "11", "12"]]) {
        world.pass_ms(60_000);
        let (request, query) = only(&mut world);
        assert!(query.contains("start_seq=11&end_seq=12&"), "{query}");
        world.reply(Some(request), "https://www.deribit.com/api/v2/public/get_last_trades_by_instrument", 200, body);
        assert_eq!(
            world.rows(Table::Trades, &["seq"]),
            ids,
            "not even its own rows of a page that is not to be trusted"
        );
    }
    assert_eq!((world.count("/replies/rejected/schema"), world.count("/replies/accepted")), (1, 1));
}

#[test]
fn of_a_fold_that_comes_when_some_of_its_fills_have_come_the_rest_is_still_asked_for() {
    let mut config = live_config(Venue::Okx, &["BTC-USDT"], &[Stream::Trades]);
    (config.connections, config.arbitration.recover_trades) = (2, 5000);
    let mut world = start(config);
    for conn in [A, B] {
        for id in [10, 231] {
            world.frame(conn, &okx_trade("BTC-USDT", id, 1, T0 + id));
        }
    }
    world.pass_ms(1_300);
    let page = |last: i64| {
        let row = |id: i64| {
            let ts = T0 + id;
            format!(
                r#"{{"instId":"BTC-USDT","tradeId":"{id}","px":"1","sz":"1","side":"buy","source":"0","ts":"{ts}"}}"#
            )
        };
        let rows: Vec<String> = (last - 99..=last).rev().map(row).collect();
        format!(r#"{{"code":"0","msg":"","data":[{}]}}"#, rows.join(","))
    };
    for last in [110, 210, 230] {
        let (request, query) = only(&mut world);
        assert!(query.contains(&format!("after={}&", last + 1)), "{query}");
        world.reply(Some(request), "https://www.okx.com/api/v5/market/history-trades", 200, &page(last));
        // It folds 101 to 130, of which ten have come fill by fill.
        world.frame(B, &okx_trade("BTC-USDT", 130, 30, T0 + 130));
    }
    let rows = world.rows(Table::Trades, &["trade_id", "source"]);
    let fills = rows.iter().filter(|row| row.ends_with("|rest")).count();
    assert_eq!((rows.len(), fills), (222, 220), "none by the fold");
    assert_eq!(world.rows(Table::Gaps, &GAPS)[1..], ["missed|220|11|230|rest|1"]);
}

/// What one step of a life does.
#[derive(Clone, Debug)]
enum Step {
    /// So many trades happen; some come on the first connection, some on the second.
    Trades(Vec<(bool, bool)>),
    Pass(u64),
    /// So many trades happen of which every second one comes.
    EverySecond(i64),
    /// So many trades happen of which none comes.
    None(i64),
    /// Requests on their way are answered: by pages of at most so many rows, or refused.
    Answer(usize, Option<u16>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let carried = (prop::bool::weighted(0.7), prop::bool::weighted(0.7));
    let step = prop_oneof![
        4 => prop::collection::vec(carried, 1..12).prop_map(Step::Trades),
        3 => (1u64..2_000).prop_map(Step::Pass),
        1 => (1i64..90).prop_map(Step::EverySecond),
        1 => (1i64..5_000).prop_map(Step::None),
        3 => (1usize..8, prop::option::weighted(0.2, prop_oneof![Just(500u16), Just(429), Just(400)]))
            .prop_map(|(rows, refused)| Step::Answer(rows, refused)),
    ];
    prop::collection::vec(step, 1..60)
}

/// Answers what is on its way from a history that begins at `oldest`.
fn answer(world: &mut World, newest: i64, oldest: i64, rows: usize, refused: Option<u16>) {
    for (request, url) in asked(world) {
        let from: i64 =
            url.split("fromId=").nth(1).and_then(|rest| rest.split('&').next()?.parse().ok()).expect("an id");
        let limit: usize = url.split("limit=").nth(1).and_then(|limit| limit.parse().ok()).expect("a number");
        match refused {
            Some(status) => tell(world, request, status, "{}"),
            None => tell(world, request, 200, &page((from.max(oldest)..=newest).take(limit.min(rows)))),
        }
    }
}

fn number(text: &str) -> i64 {
    text.parse().expect("a number")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_trade_comes_once_or_is_named(steps in steps(), oldest in 0i64..30, connections in 1u16..3) {
        let mut world = futures(40, connections);
        let mut newest = 0;
        trades(&mut world, A, &[0]);
        trades(&mut world, B, &[0]);
        for step in steps.into_iter().chain([Step::Trades(vec![(true, true)]), Step::Pass(300_000)]) {
            match step {
                Step::Trades(carried) => {
                    let ids = newest + 1..=newest + carried.len() as i64;
                    for (conn, on) in [(A, 0), (B, 1)].into_iter().take(connections.into()) {
                        for (id, carried) in ids.clone().zip(&carried) {
                            if if on == 0 { carried.0 } else { carried.1 } {
                                trades(&mut world, conn, &[id]);
                            }
                        }
                    }
                    newest += carried.len() as i64;
                }
                Step::Pass(ms) => world.pass_ms(ms),
                Step::EverySecond(many) => {
                    for id in (newest + 2..=newest + 2 * many).step_by(2) {
                        trades(&mut world, A, &[id]);
                        if connections > 1 {
                            trades(&mut world, B, &[id]);
                        }
                    }
                    newest += 2 * many;
                }
                Step::None(many) => newest += many,
                Step::Answer(rows, refused) => answer(&mut world, newest, oldest, rows, refused),
            }
        }
        // What is on its way comes to its end.
        serve(&mut world, newest, oldest);
        let came: Vec<i64> = world.rows(Table::Trades, &["trade_id"]).iter().map(|id| number(id)).collect();
        let total = came.len();
        let came: std::collections::BTreeSet<i64> = came.into_iter().collect();
        prop_assert_eq!(came.len(), total, "nothing comes twice");
        let gaps = world.rows(Table::Gaps, &["gap_id", "first_missing", "last_missing", "repaired", "ts_resumed"]);
        let (mut open, mut lost) = (std::collections::BTreeSet::new(), Vec::new());
        for gap in &gaps {
            let fields: Vec<&str> = gap.split('|').collect();
            if fields[4].is_empty() {
                open.insert(fields[0]);
                continue;
            }
            prop_assert!(open.remove(fields[0]), "closed once: {:?}", gaps);
            let ids = number(fields[1])..=number(fields[2]);
            match fields[3] {
                "none" => lost.extend(ids),
                _ => prop_assert!(ids.into_iter().all(|id| came.contains(&id)), "{} of {:?}", gap, came),
            }
        }
        prop_assert!(open.is_empty(), "{:?}", gaps);
        lost.sort_unstable();
        let missing: Vec<i64> = (0..=newest).filter(|id| !came.contains(id)).collect();
        prop_assert_eq!(lost, missing, "{:?}", gaps);
        let mut again = replay(&mut world);
        prop_assert_eq!(again.rows(Table::Trades, &["trade_id"]).len(), total);
        prop_assert_eq!(all_rows(&again.batches, Table::Trades), all_rows(&world.batches, Table::Trades));
        prop_assert_eq!(all_rows(&again.batches, Table::Gaps), all_rows(&world.batches, Table::Gaps));
    }
}

/// A hole in the trades of each of so many symbols.
fn holes_of_many(symbols: usize) -> World {
    let names: Vec<String> = (0..symbols).map(|n| format!("X{n}USDT")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut config = live_config(Venue::BinanceFutures, &names, &[Stream::Trades]);
    config.arbitration.recover_trades = 5000;
    let mut world = start(config);
    world.connect_all();
    for (n, name) in names.into_iter().enumerate() {
        for id in [1, 3] {
            let frame = agg_trade(id, "1", "1").replace("BTCUSDT", name).replace("btcusdt", &name.to_lowercase());
            // §1: two hundred channels on a connection.
            world.frame(if n < 200 { A } else { B }, &frame);
        }
    }
    world
}

#[test]
fn few_requests_are_under_way_at_once_and_each_symbol_has_its_turn() {
    let mut world = holes_of_many(5);
    world.pass_ms(1_000);
    let mut under_way = asked(&mut world);
    let mut told = 0;
    while let Some((request, _)) = under_way.pop() {
        assert_eq!(under_way.len(), usize::from(told < 4), "two at once, as long as there are so many");
        tell(&mut world, request, 200, &page([2]));
        told += 1;
        under_way.extend(asked(&mut world));
    }
    assert_eq!(told, 5);
    let by_rest = world.rows(Table::Trades, &["source"]).into_iter().filter(|source| source == "rest");
    assert_eq!(by_rest.count(), 5);
}

#[test]
fn holes_beyond_what_may_wait_for_rest_are_named_at_once() {
    let mut world = holes_of_many(300);
    let rows = world.rows(Table::Gaps, &["gap_id"]);
    assert_eq!(rows.len(), 256 + 2 * 44, "256 wait, the others are told whole");
}
