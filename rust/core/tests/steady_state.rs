//! Books and arbiters that have reached their size allocate nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use xtrader_core::arbiter::{Deduper, SequenceWindow};
use xtrader_core::book::OrderBook;
use xtrader_core::event::{DecodedLevels, Level, Levels, Scales};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is handed on as it came; the counter is a plain thread-local without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as above.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// A price that wanders over several windows and back, with levels near it, far from it and off its tick.
fn messages() -> Vec<DecodedLevels> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut draw = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below) as i64
    };
    let mut message = |step: i64| {
        let mid = 600_000 + 30 * (1000 - (step - 1000).abs());
        let mut side = |away: i64| {
            let level = |draw: &mut dyn FnMut(u64) -> i64| {
                let distance = if draw(10) == 0 { draw(60_000) } else { draw(800) };
                let off_tick = i64::from(draw(200) == 0);
                Level { price: (mid + away * (1 + distance)) * 5 + off_tick, size: draw(2) * (1 + draw(99)) }
            };
            (0..20).map(|_| level(&mut draw)).collect()
        };
        let (bids, asks) = (side(-1), side(1));
        DecodedLevels {
            narrow: Levels { scales: Scales { price: 1, size: 3 }, bids, asks },
            wide: None,
            padded: Vec::new(),
        }
    };
    (0..2000).map(&mut message).collect()
}

#[test]
fn a_book_that_has_reached_its_size() {
    let messages = messages();
    let mut book = OrderBook::new();
    let tick = xtrader_core::decimal::Decimal::new(5, 1);
    book.set_reference(Some(tick), None);
    let rounds = [(); 4].map(|()| {
        allocations(|| {
            for message in &messages {
                book.apply(message).expect("it fits");
            }
        })
    });
    assert!(rounds[0] > 0, "the first round grows");
    // In the second, blocks of the spill may still be split where they were not before.
    assert_eq!(rounds[2..], [0, 0], "{rounds:?}");
}

#[test]
fn arbiters_from_their_construction() {
    let mut window = SequenceWindow::default();
    let mut numbers = Deduper::<u64>::new(1000, 500);
    let mut texts = Deduper::with_key_bytes(1000, 500, 6000);
    let count = allocations(|| {
        for n in 0..100_000i64 {
            window.insert(n * 3 / 2);
            numbers.insert(&n.unsigned_abs(), n.unsigned_abs() / 2);
            texts.insert(&n.to_le_bytes(), n.unsigned_abs() / 3);
        }
    });
    assert_eq!(count, 0);
    assert!(window.abandoned() > 0 && numbers.metrics().evicted > 0 && texts.metrics().evicted > 0);
}
