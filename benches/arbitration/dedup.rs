//! Nanoseconds a key and bytes of the arbiters' memories, against the `lru` crate (with the time of each key beside it)
//! and plain hash sets, which forget nothing.
//!
//! Keys come as three connections bring them: each event first on one, then on the others, 5 and 37 events behind.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroUsize;
use std::time::Instant;

use foldhash::fast::FixedState;
use lru::LruCache;
use serde_json::{Value, json};
use xtrader_core::arbiter::deduper::DedupKey;
use xtrader_core::arbiter::{Deduper, Noted, SequenceWindow};

use crate::best::Best;
use crate::paths::Random;
use crate::{Arguments, memory};

/// How many events behind each of the copies comes.
const LAGS: [u64; 3] = [0, 5, 37];
/// 10 000 events a second.
const BETWEEN_NS: u64 = 100_000;
const TTL_NS: u64 = 60_000_000_000;
/// Events whose keys are made at once, before the clock runs.
const CHUNK: u64 = 1 << 12;
const CAPACITIES: [usize; 2] = [1 << 16, 1 << 20];
/// Longest opaque key.
const LONGEST: usize = 40;

/// Something that tells fresh keys from known ones.
trait Memory<K: ?Sized> {
    fn is_fresh(&mut self, key: &K, now: u64) -> bool;
}

impl<K: DedupKey + ?Sized> Memory<K> for Deduper<K> {
    fn is_fresh(&mut self, key: &K, now: u64) -> bool {
        matches!(self.insert(key, now), Noted::Fresh { .. })
    }
}

impl Memory<u64> for SequenceWindow {
    fn is_fresh(&mut self, key: &u64, _now: u64) -> bool {
        self.insert(*key as i64).is_new()
    }
}

/// How a key is kept by who owns it.
trait Owned: Hash + Eq {
    type Key: Hash + Eq + std::borrow::Borrow<Self>;
    fn owned(&self) -> Self::Key;
}

impl Owned for u64 {
    type Key = Self;
    fn owned(&self) -> Self {
        *self
    }
}

impl Owned for [u8] {
    type Key = Box<[u8]>;
    fn owned(&self) -> Box<[u8]> {
        self.into()
    }
}

impl<K: Owned + ?Sized> Memory<K> for LruCache<K::Key, u64> {
    fn is_fresh(&mut self, key: &K, now: u64) -> bool {
        // `peek` leaves the order alone, which is less work than `get`.
        let is_known = self.peek(key).is_some_and(|at| now - at < TTL_NS);
        if !is_known {
            self.put(key.owned(), now);
        }
        !is_known
    }
}

impl<K: Owned + ?Sized, S: BuildHasher> Memory<K> for HashSet<K::Key, S> {
    fn is_fresh(&mut self, key: &K, _now: u64) -> bool {
        let is_fresh = !self.contains(key);
        if is_fresh {
            self.insert(key.owned());
        }
        is_fresh
    }
}

/// The keys of a chunk, one behind the other.
struct Keys {
    numbers: Vec<u64>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Keys {
    /// Which events these are, in the order of their coming.
    fn order(chunk: u64) -> impl Iterator<Item = u64> {
        (chunk..chunk + CHUNK).flat_map(|event| LAGS.into_iter().filter_map(move |lag| event.checked_sub(lag)))
    }

    fn numbers(chunk: u64) -> Self {
        Self { numbers: Self::order(chunk).collect(), bytes: Vec::new(), ends: Vec::new() }
    }

    /// Of 16 to 40 bytes, as hexadecimal texts and UUIDs are.
    fn texts(chunk: u64) -> Self {
        let mut keys = Self { numbers: Vec::new(), bytes: Vec::new(), ends: Vec::new() };
        for event in Self::order(chunk) {
            let mut random = Random::new(event);
            let length = 16 + (random.next() % 25) as usize;
            let text = format!("{:016x}{:016x}{:016x}", random.next(), random.next(), random.next());
            keys.bytes.extend_from_slice(&text.as_bytes()[..length]);
            keys.ends.push(keys.bytes.len());
        }
        keys
    }
}

/// Hands every key of a chunk to a memory; says how many were fresh.
trait Feed {
    const NAME: &'static str;
    type Key: ?Sized;
    fn make(chunk: u64) -> Keys;
    fn feed(keys: &Keys, each: impl FnMut(&Self::Key) -> bool) -> u64;
}

struct Sequential;
impl Feed for Sequential {
    const NAME: &'static str = "sequential ids";
    type Key = u64;
    fn make(chunk: u64) -> Keys {
        Keys::numbers(chunk)
    }
    fn feed(keys: &Keys, mut each: impl FnMut(&u64) -> bool) -> u64 {
        keys.numbers.iter().map(|key| u64::from(each(key))).sum()
    }
}

struct Opaque;
impl Feed for Opaque {
    const NAME: &'static str = "opaque ids, 16 to 40 bytes";
    type Key = [u8];
    fn make(chunk: u64) -> Keys {
        Keys::texts(chunk)
    }
    fn feed(keys: &Keys, mut each: impl FnMut(&[u8]) -> bool) -> u64 {
        let mut start = 0;
        let mut fresh = 0;
        for end in &keys.ends {
            fresh += u64::from(each(&keys.bytes[start..*end]));
            start = *end;
        }
        fresh
    }
}

/// What one memory cost.
struct Cost {
    name: &'static str,
    best: Best,
    bytes: usize,
}

/// One run of so many events through a new memory.
fn run<F: Feed, M: Memory<F::Key>>(cost: &mut Cost, events: u64, new: impl FnOnce() -> M) {
    let before = memory::live();
    let mut memory = new();
    let (mut spent, mut fresh, mut now) = (Vec::new(), 0, 0);
    for chunk in (0..events).step_by(CHUNK as usize) {
        let keys = F::make(chunk);
        let begin = Instant::now();
        fresh += F::feed(&keys, |key| {
            now += BETWEEN_NS / LAGS.len() as u64;
            memory.is_fresh(key, now)
        });
        spent.push(begin.elapsed());
    }
    assert_eq!(fresh, events.next_multiple_of(CHUNK), "{}: every event once", cost.name);
    cost.bytes = memory::live() - before;
    cost.best.take(spent);
}

fn told<F: Feed>(capacity: usize, events: u64, costs: &[Cost]) -> Value {
    let keys = events.next_multiple_of(CHUNK) * LAGS.len() as u64;
    let rows = costs
        .iter()
        .map(|cost| json!({ "name": cost.name, "ns_per_key": cost.best.nanos_per(keys), "bytes": cost.bytes }));
    json!({
        "keys": F::NAME,
        "events": events,
        "copies": LAGS.len(),
        "capacity": capacity,
        "memories": rows.collect::<Vec<_>>(),
    })
}

/// See the module.
pub fn measure(arguments: &Arguments) -> Value {
    let events = arguments.keys as u64;
    let mut all = Vec::new();
    for capacity in CAPACITIES {
        let size = NonZeroUsize::new(capacity).expect("a capacity is not 0");
        let cost = |name| Cost { name, best: Best::default(), bytes: 0 };
        let [mut window, mut deduper, mut lru, mut folded, mut plain] =
            ["SequenceWindow", "Deduper", "lru", "HashSet, foldhash", "HashSet"].map(cost);
        for _ in 0..arguments.rounds {
            run::<Sequential, _>(&mut window, events, || SequenceWindow::new(capacity));
            run::<Sequential, _>(&mut deduper, events, || Deduper::<u64>::new(capacity, TTL_NS));
            run::<Sequential, _>(&mut lru, events, || LruCache::<u64, u64>::new(size));
            run::<Sequential, _>(&mut folded, events, || HashSet::<u64, _>::with_hasher(FixedState::default()));
            run::<Sequential, _>(&mut plain, events, HashSet::<u64, RandomState>::new);
        }
        all.push(told::<Sequential>(capacity, events, &[window, deduper, lru, folded, plain]));

        let [mut deduper, mut lru, mut folded, mut plain] =
            ["Deduper", "lru", "HashSet, foldhash", "HashSet"].map(cost);
        for _ in 0..arguments.rounds {
            let bytes = capacity * LONGEST;
            run::<Opaque, _>(&mut deduper, events, || Deduper::with_key_bytes(capacity, TTL_NS, bytes));
            run::<Opaque, _>(&mut lru, events, || LruCache::<Box<[u8]>, u64>::new(size));
            run::<Opaque, _>(&mut folded, events, || HashSet::<Box<[u8]>, _>::with_hasher(FixedState::default()));
            run::<Opaque, _>(&mut plain, events, HashSet::<Box<[u8]>, RandomState>::new);
        }
        all.push(told::<Opaque>(capacity, events, &[deduper, lru, folded, plain]));
    }
    json!({ "dedup": all })
}
