//! What is remembered stays within its bound, however many keys come to an arbiter, and however many symbols come and go.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use xtrader_core::arbiter::{Deduper, Noted, SequenceWindow};
use xtrader_core::config::{EngineConfig, Stream};
use xtrader_core::engine::{Action, Command, Engine, HttpReply, Input, Link};
use xtrader_core::symbol::{ConnId, Venue};
use xtrader_core::table::Table;
use xtrader_core::time::Stamp;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

fn count(bytes: usize, sign: isize) {
    LIVE.set(LIVE.get() + sign * isize::try_from(bytes).unwrap_or(isize::MAX));
}

// SAFETY: every call is handed on as it came; the counter is a plain thread-local without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const TTL: u64 = 1_000_000;
const CAPACITY: usize = 1 << 16;
/// Longest key below.
const KEY_BYTES: usize = 40;
/// Memory of a key, its bytes left out: its time, where it ends, and two slots in a table of a power of two, at worst
/// twice as many.
const PER_KEY: usize = 8 + 8 + 2 * 2 * 8;

/// Takes every event three times, as three connections would bring it, and checks what lives on the heap against a bound.
fn holds(events: u64, bound: usize, mut fresh: impl FnMut(u64, u64) -> bool) {
    let start = LIVE.get();
    assert!(start <= isize::try_from(bound).expect("a bound is small"), "{start} bytes at the start, {bound} allowed");
    let mut taken = 0;
    for event in 0..events {
        for behind in [0, 5, 37] {
            if let Some(event) = event.checked_sub(behind) {
                taken += u64::from(fresh(event, event / 4));
            }
        }
        if event % (1 << 14) == 0 {
            assert_eq!(LIVE.get(), start, "after {event} events");
        }
    }
    assert_eq!(LIVE.get(), start);
    assert_eq!(taken, events, "every event once");
}

fn memory_stays(events: u64) {
    let none = LIVE.get();
    let mut numbers = Deduper::<u64>::new(CAPACITY, TTL);
    holds(events, none.unsigned_abs() + CAPACITY * (PER_KEY + 8), |event, now| {
        matches!(numbers.insert(&(event.wrapping_mul(0x9e37_79b9_7f4a_7c15)), now), Noted::Fresh { .. })
    });
    assert!(numbers.len() <= CAPACITY);
    drop(numbers);

    let mut texts = Deduper::with_key_bytes(CAPACITY, TTL, CAPACITY * KEY_BYTES);
    holds(events, none.unsigned_abs() + CAPACITY * (PER_KEY + KEY_BYTES), |event, now| {
        let mut text = [b'-'; KEY_BYTES];
        let id = event.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        text[..8].copy_from_slice(&id.to_le_bytes());
        let length = 16 + (id % 25) as usize;
        matches!(texts.insert(&text[..length], now), Noted::Fresh { .. })
    });
    assert!(texts.len() <= CAPACITY);
    drop(texts);

    let mut window = SequenceWindow::default();
    holds(events, none.unsigned_abs() + (1 << 13), |event, _| window.insert(event as i64).is_new());
}

#[test]
fn memory_of_what_was_seen_stays_at_its_bound() {
    memory_stays(700_000);
}

#[test]
#[ignore = "takes minutes: make test-long"]
fn memory_of_what_was_seen_stays_at_its_bound_over_a_hundred_million_keys() {
    memory_stays(100_000_000);
}

/// Of a symbol that is gone for good the text of its name is left, which rows may still be written with.
const PER_NAME: isize = 512;
/// Symbols until as many are remembered as ever will be.
const SETTLED: usize = 1_000;
const SYMBOLS: usize = 10_000;

/// Whatever the engine wants: connections, grants, books.
fn serve(engine: &mut Engine, at: Stamp) {
    while let Some(action) = engine.poll_action() {
        match action {
            Action::Open { conn, url, .. } => {
                engine.handle(at, Input::ConnUp { conn, url: &url, link: Link::default() });
            }
            Action::Send { conn, text } => {
                let number = text.split("\"id\":").nth(1).expect("a request has its number");
                let number: String = number.chars().take_while(char::is_ascii_digit).collect();
                let payload = format!("{{\"result\":null,\"id\":{number}}}");
                engine.handle(at, Input::Frame { conn, payload: payload.as_bytes() });
            }
            Action::Http { request, url, .. } if url.contains("/depth") => {
                let body = br#"{"lastUpdateId":10,"E":1795348700000,"T":1795348700000,"bids":[["100","1"]],"asks":[["101","1"]]}"#;
                let reply = HttpReply { request: Some(request), url: &url, status: 200, retry_after_ms: None, body };
                engine.handle(at, Input::Http(reply));
            }
            _ => {}
        }
    }
    while engine.poll_batch().is_some() {}
}

#[test]
fn symbols_that_come_and_go_leave_no_more_than_their_names() {
    let config = EngineConfig {
        symbols: vec!["BTCUSDT".into()],
        streams: vec![Stream::Trades, Stream::L2],
        tables: vec![Table::Trades, Table::L2, Table::Gaps],
        connections: 2,
        ..EngineConfig::new(Venue::BinanceFutures)
    };
    let mut at = Stamp { wall: 1_795_348_800_000_000_000, mono: 1_000_000_000 };
    let mut engine = Engine::start(config, "test", at).expect("a good configuration");
    let mut pass = |engine: &mut Engine, ns: u64| {
        let end = at.after(ns);
        while let Some(due) = engine.next_timeout().filter(|due| due.mono <= end.mono) {
            at = if due.mono > at.mono { due } else { at };
            engine.handle(at, Input::Timeout);
            serve(engine, at);
        }
        at = end;
        at
    };
    let now = pass(&mut engine, 10_000_000_000);
    serve(&mut engine, now);
    let mut settled = 0;
    for symbol in 0..SYMBOLS {
        if symbol == SETTLED {
            settled = LIVE.get();
        }
        let name = format!("X{symbol}USDT");
        let now = pass(&mut engine, 200_000_000);
        engine.command(now, &Command::Add(vec![name.clone()])).expect("there is room");
        serve(&mut engine, now);
        let now = pass(&mut engine, 200_000_000);
        for conn in [ConnId(1), ConnId(2)] {
            let lower = name.to_lowercase();
            for payload in [
                format!(
                    r#"{{"stream":"{lower}@aggTrade","data":{{"e":"aggTrade","E":1795348700001,"s":"{name}","a":1,"p":"100","q":"1","f":1,"l":1,"T":1795348700001,"m":false}}}}"#
                ),
                format!(
                    r#"{{"stream":"{lower}@depth@100ms","data":{{"e":"depthUpdate","E":1795348700001,"T":1795348700001,"s":"{name}","U":9,"u":11,"pu":8,"b":[["99","1"]],"a":[]}}}}"#
                ),
            ] {
                engine.handle(now, Input::Frame { conn, payload: payload.as_bytes() });
                serve(&mut engine, now);
            }
        }
        assert!(engine.books().iter().any(|book| book.native_symbol == name && book.last_id == Some(11)), "{name}");
        engine.command(now, &Command::Remove(vec![name])).expect("it is there");
        serve(&mut engine, now);
        engine.close_batches();
        serve(&mut engine, now);
    }
    let more = LIVE.get() - settled;
    let names = isize::try_from(SYMBOLS - SETTLED).expect("a few thousand") * PER_NAME;
    assert!(more < names, "{more} bytes more than after {SETTLED} symbols; {names} allowed");
}
