//! What an arbiter remembers stays within its bound, however many keys come.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use xtrader_core::arbiter::{Deduper, Noted, SequenceWindow};

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
