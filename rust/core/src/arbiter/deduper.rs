//! Ids without an order: remembered for a time, as many as fit.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;

use super::Metrics;

/// Keys that a [`Deduper`] can keep: whole, never as a short fingerprint, which would one day swallow a fresh trade.
pub trait DedupKey: Hash + Eq {
    /// How the keys of a generation are stored.
    type Store: KeyStore<Self>;
}

/// Keys by the order of their coming, in memory that is allocated once.
pub trait KeyStore<K: ?Sized> {
    /// Room for so many keys, of so many bytes together where keys have a length.
    fn with_capacity(keys: usize, bytes: usize) -> Self;
    /// Keeps a key, unless its bytes do not fit. Never called for more keys than there is room for.
    fn push(&mut self, key: &K) -> bool;
    /// The key that came as number `index`.
    fn get(&self, index: usize) -> &K;
    /// Forgets every key.
    fn clear(&mut self);
}

impl<K: Copy + Hash + Eq> DedupKey for K {
    type Store = Vec<K>;
}

impl<K: Copy> KeyStore<K> for Vec<K> {
    fn with_capacity(keys: usize, _bytes: usize) -> Self {
        Vec::with_capacity(keys)
    }
    fn push(&mut self, key: &K) -> bool {
        Vec::push(self, *key);
        true
    }
    fn get(&self, index: usize) -> &K {
        &self[index]
    }
    fn clear(&mut self) {
        Vec::clear(self);
    }
}

impl DedupKey for [u8] {
    type Store = Arena;
}

/// Byte keys end to end.
#[derive(Clone, Debug)]
pub struct Arena {
    limit: usize,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl KeyStore<[u8]> for Arena {
    fn with_capacity(keys: usize, bytes: usize) -> Self {
        Self { limit: bytes, bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(keys) }
    }

    fn push(&mut self, key: &[u8]) -> bool {
        let fits = key.len() <= self.limit - self.bytes.len();
        if fits {
            self.bytes.extend_from_slice(key);
            self.ends.push(self.bytes.len());
        }
        fits
    }

    fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// Seen within the TTL: drop it.
    Duplicate,
    /// Not remembered: pass it on.
    Fresh {
        /// Keys that had to be forgotten before their time to make room (this one, if it is too long to be kept at
        /// all). Where it is not 0, "no duplicate" is no longer certain: that is a gap with cause `evicted`.
        evicted_before_ttl: u64,
    },
}

/// Remembers keys, for at most a TTL and at most so many: the contract of an LRU with a TTL, in two generations.
///
/// New keys go into the young generation. When it is full, or as old as the TTL, it becomes the old one and the one
/// before it is dropped whole. So, of a key that was passed on:
/// - a repetition within the TTL is found while at most `capacity / 2` other keys (and, for byte keys, half of the
///   bytes) have come since; beyond that it may be found, up to `capacity`;
/// - a repetition after the TTL is never found;
/// - a hit does not refresh the age: the TTL counts from the time the key was passed on.
///
/// Times are monotonic nanoseconds from outside; one that falls counts as the highest seen. All memory is allocated
/// at construction.
pub struct Deduper<K: DedupKey + ?Sized> {
    young: Generation<K>,
    old: Generation<K>,
    ttl_ns: u64,
    now: u64,
    hasher: FixedState,
    metrics: Metrics,
}

impl<K: DedupKey> Deduper<K> {
    /// Remembers at most `capacity` keys (at least 2, at most 2^31) for at most `ttl_ns` nanoseconds.
    #[must_use]
    pub fn new(capacity: usize, ttl_ns: u64) -> Self {
        Self::build(capacity, ttl_ns, 0)
    }

    /// Makes room for `capacity` keys, if that is more. What is remembered stays so.
    pub fn grow(&mut self, capacity: usize) {
        let limit = (capacity / 2).clamp(1, 1 << 30);
        if limit <= self.young.limit {
            return;
        }
        let old = std::mem::replace(&mut self.old, Generation::new(limit, 0));
        let young = std::mem::replace(&mut self.young, Generation::new(limit, 0));
        // One that holds all of them leaves the other free.
        let fits = old.times.len() + young.times.len() <= limit;
        for (kept, is_old) in [(old, true), (young, false)] {
            for (index, &at) in kept.times.iter().enumerate() {
                if self.is_over(at) {
                    self.metrics.evicted += 1;
                    continue;
                }
                let key = kept.keys.get(index);
                let hash = self.hasher.hash_one(key);
                let into = if is_old && !fits { &mut self.old } else { &mut self.young };
                into.push(key, hash, at);
            }
        }
    }
}

impl Deduper<[u8]> {
    /// Remembers at most `capacity` keys (at least 2, at most 2^31) of at most `key_bytes` together for at most
    /// `ttl_ns` nanoseconds. A key longer than half of `key_bytes` is never kept, and reported each time.
    #[must_use]
    pub fn with_key_bytes(capacity: usize, ttl_ns: u64, key_bytes: usize) -> Self {
        Self::build(capacity, ttl_ns, key_bytes)
    }
}

impl<K: DedupKey + ?Sized> Deduper<K> {
    fn build(capacity: usize, ttl_ns: u64, key_bytes: usize) -> Self {
        let keys = (capacity / 2).clamp(1, 1 << 30);
        let generation = || Generation::new(keys, key_bytes / 2);
        let metrics = Metrics::default();
        Self { young: generation(), old: generation(), ttl_ns, now: 0, hasher: FixedState::with_seed(0), metrics }
    }

    /// Takes a key at a time.
    pub fn insert(&mut self, key: &K, now: u64) -> Noted {
        self.now = self.now.max(now);
        if self.young.times.first().is_some_and(|&born| self.is_over(born)) {
            // Every key of the old generation came before that: none is evicted before its time.
            self.rotate();
        }
        let hash = self.hasher.hash_one(key);
        let found = self.young.find(key, hash).or_else(|| self.old.find(key, hash));
        if found.is_some_and(|at| !self.is_over(at)) {
            self.metrics.duplicates += 1;
            return Noted::Duplicate;
        }
        let mut evicted_before_ttl = 0;
        if !self.young.push(key, hash, self.now) {
            evicted_before_ttl += self.rotate();
            if !self.young.push(key, hash, self.now) {
                self.metrics.evicted += 1;
                evicted_before_ttl += 1;
            }
        }
        self.metrics.fresh += 1;
        self.metrics.evicted_before_ttl += evicted_before_ttl;
        Noted::Fresh { evicted_before_ttl }
    }

    /// True where the next key that is fresh pushes one out before its time.
    #[must_use]
    pub fn is_full(&self, now: u64) -> bool {
        let is_young = |at: Option<&u64>| at.is_some_and(|at| self.now.max(now) - at < self.ttl_ns);
        // A young generation that is over makes room by itself.
        self.young.times.len() == self.young.limit
            && is_young(self.young.times.first())
            && is_young(self.old.times.last())
    }

    /// Keys remembered, those whose time is over included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.young.times.len() + self.old.times.len()
    }

    /// True before the first key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was counted since the beginning.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.metrics
    }

    fn is_over(&self, at: u64) -> bool {
        self.now - at >= self.ttl_ns
    }

    /// Drops the old generation; returns how many of its keys still had time.
    fn rotate(&mut self) -> u64 {
        // Keys stand in the order of their times.
        let over = self.old.times.partition_point(|&at| self.is_over(at));
        let early = (self.old.times.len() - over) as u64;
        self.metrics.evicted += self.old.times.len() as u64;
        std::mem::swap(&mut self.young, &mut self.old);
        self.young.clear();
        early
    }
}

/// An open-addressed set that is only ever added to and cleared.
struct Generation<K: DedupKey + ?Sized> {
    limit: usize,
    keys: K::Store,
    times: Vec<u64>,
    /// Number of a key, plus one, below the upper half of its hash, which spares most looks at other keys; 0 is free. At
    /// most half are taken: searches are short, and end.
    slots: Box<[u64]>,
}

impl<K: DedupKey + ?Sized> Generation<K> {
    fn new(keys: usize, bytes: usize) -> Self {
        let slots = vec![0; (keys * 2).next_power_of_two()].into_boxed_slice();
        Self { limit: keys, keys: K::Store::with_capacity(keys, bytes), times: Vec::with_capacity(keys), slots }
    }

    /// The slots that a key may be in, in order.
    fn probe(&self, hash: u64) -> impl Iterator<Item = usize> + use<K> {
        let mask = self.slots.len() - 1;
        (hash as usize & mask..).map(move |at| at & mask)
    }

    /// When the key came.
    fn find(&self, key: &K, hash: u64) -> Option<u64> {
        for slot in self.probe(hash) {
            let taken = self.slots[slot];
            let index = (taken as u32 as usize).checked_sub(1)?;
            if taken >> 32 == hash >> 32 && self.keys.get(index) == key {
                return Some(self.times[index]);
            }
        }
        None
    }

    /// Adds a key that is not there, unless the generation is full.
    fn push(&mut self, key: &K, hash: u64, now: u64) -> bool {
        if self.times.len() == self.limit || !self.keys.push(key) {
            return false;
        }
        self.times.push(now);
        if let Some(slot) = self.probe(hash).find(|&slot| self.slots[slot] == 0) {
            self.slots[slot] = hash >> 32 << 32 | self.times.len() as u64;
        }
        true
    }

    fn clear(&mut self) {
        self.keys.clear();
        self.times.clear();
        self.slots.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use proptest::prelude::*;

    /// Every key that was passed on: when, as which, and how many key bytes had come before it.
    #[derive(Default)]
    struct Model {
        passed: HashMap<Vec<u8>, (u64, u64, usize)>,
        fresh: u64,
        bytes: usize,
        swallowed: u64,
        reported: u64,
    }

    impl Model {
        /// Checks one answer; `room` is what half of the deduper holds, in keys and bytes.
        fn judge(
            &mut self,
            key: &[u8],
            now: u64,
            ttl: u64,
            room: (u64, usize),
            noted: Noted,
        ) -> Result<(), TestCaseError> {
            let known = self.passed.get(key).filter(|(at, ..)| now - at < ttl);
            let near = known.is_some_and(|&(_, number, bytes)| {
                self.fresh - number <= room.0 && self.bytes - bytes + key.len() <= room.1
            });
            match noted {
                Noted::Duplicate => prop_assert!(known.is_some(), "a fresh key was swallowed"),
                Noted::Fresh { evicted_before_ttl } => {
                    prop_assert!(!near, "a repetition was missed");
                    self.reported += evicted_before_ttl;
                    // Its eviction was reported, now or before.
                    self.swallowed += u64::from(known.is_some());
                    prop_assert!(self.swallowed <= self.reported);
                    self.fresh += 1;
                    self.bytes += key.len();
                    self.passed.insert(key.to_vec(), (now, self.fresh, self.bytes));
                }
            }
            Ok(())
        }
    }

    /// Keys out of a small set, so that they come again, at times that pass by up to two TTLs of 100.
    fn keys() -> impl Strategy<Value = Vec<(u64, u64)>> {
        let pass = prop_oneof![10 => 0u64..3, 3 => 0u64..40, 1 => 90u64..210];
        proptest::collection::vec((0u64..40, pass), 1..400)
    }

    proptest! {
        #[test]
        fn a_fresh_number_is_never_swallowed_and_a_near_repetition_never_missed(keys in keys(), capacity in 2usize..50) {
            let mut deduper = Deduper::<u64>::new(capacity, 100);
            let (mut model, mut now) = (Model::default(), 7);
            for (key, pass) in keys {
                now += pass;
                let noted = deduper.insert(&key, now);
                model.judge(&key.to_le_bytes(), now, 100, (capacity as u64 / 2, usize::MAX), noted)?;
                prop_assert!(deduper.len() <= capacity);
            }
            let metrics = deduper.metrics();
            prop_assert_eq!(metrics.fresh, model.fresh);
            prop_assert_eq!(metrics.evicted_before_ttl, model.reported);
            prop_assert_eq!(metrics.fresh - metrics.evicted, deduper.len() as u64);
        }

        #[test]
        fn growing_forgets_nothing(keys in keys(), capacity in 2usize..20, every in 1usize..30) {
            let mut deduper = Deduper::<u64>::new(capacity, 100);
            let (mut model, mut now, mut room) = (Model::default(), 7, capacity);
            for (n, (key, pass)) in keys.into_iter().enumerate() {
                now += pass;
                if n % every == 0 {
                    room += n % 5;
                    deduper.grow(room);
                }
                let (full, before) = (deduper.is_full(now), deduper.metrics());
                let noted = deduper.insert(&key, now);
                // What fits in now is found again as long as it would have been.
                model.judge(&key.to_le_bytes(), now, 100, (capacity as u64 / 2, usize::MAX), noted)?;
                let evicts = matches!(noted, Noted::Fresh { evicted_before_ttl: 1.. });
                prop_assert_eq!(evicts, full && noted != Noted::Duplicate);
                prop_assert!(deduper.len() <= room && deduper.metrics().evicted >= before.evicted);
            }
        }

        #[test]
        fn nor_are_texts_of_any_length(keys in keys(), capacity in 2usize..50, key_bytes in 0usize..600) {
            let mut deduper = Deduper::with_key_bytes(capacity, 100, key_bytes);
            let (mut model, mut now) = (Model::default(), 0);
            for (key, pass) in keys {
                now += pass;
                let key = "x".repeat(key as usize);
                let noted = deduper.insert(key.as_bytes(), now);
                // A key that does not fit behind the others leaves its place empty: up to the longest key is lost.
                let room = (capacity as u64 / 2, (key_bytes / 2).saturating_sub(40));
                model.judge(key.as_bytes(), now, 100, room, noted)?;
                prop_assert!(deduper.len() <= capacity);
                prop_assert!(deduper.young.keys.bytes.len() + deduper.old.keys.bytes.len() <= key_bytes);
            }
        }
    }

    #[test]
    fn memory_is_what_it_was_at_the_start() {
        let mut deduper = Deduper::with_key_bytes(1000, 100, 4000);
        let room = |d: &Deduper<[u8]>| {
            [&d.young, &d.old]
                .map(|g| (g.keys.bytes.capacity(), g.keys.ends.capacity(), g.times.capacity(), g.slots.len()))
        };
        let before = room(&deduper);
        for key in 0u64..100_000 {
            deduper.insert(key.to_string().as_bytes(), key);
        }
        assert_eq!(room(&deduper), before);
    }

    #[test]
    fn an_age_of_the_ttl_is_too_old_and_a_hit_does_not_refresh_it() {
        let mut deduper = Deduper::<u128>::new(16, 100);
        assert_eq!(deduper.insert(&1, 0), Noted::Fresh { evicted_before_ttl: 0 });
        assert_eq!(deduper.insert(&1, 99), Noted::Duplicate);
        assert_eq!(deduper.insert(&1, 100), Noted::Fresh { evicted_before_ttl: 0 });
        assert_eq!(deduper.insert(&1, 60), Noted::Duplicate, "a time that falls");
    }

    #[test]
    fn keys_forgotten_early_are_reported_and_keys_whose_time_was_over_are_not() {
        let mut deduper = Deduper::<u64>::new(4, 100);
        for key in 0..4 {
            assert_eq!(deduper.insert(&key, key), Noted::Fresh { evicted_before_ttl: 0 });
        }
        assert_eq!(deduper.insert(&4, 50), Noted::Fresh { evicted_before_ttl: 2 });
        assert_eq!(deduper.insert(&0, 51), Noted::Fresh { evicted_before_ttl: 0 }, "forgotten, and that was said");
        assert_eq!(deduper.insert(&5, 103), Noted::Fresh { evicted_before_ttl: 0 }, "2 and 3 were over");
        let wanted = Metrics { fresh: 7, evicted: 4, evicted_before_ttl: 2, ..Metrics::default() };
        assert_eq!(deduper.metrics(), wanted);
    }

    #[test]
    fn a_key_too_long_to_keep_is_reported_each_time() {
        let mut deduper = Deduper::with_key_bytes(8, 100, 8);
        for _ in 0..2 {
            assert_eq!(deduper.insert(b"12345", 0), Noted::Fresh { evicted_before_ttl: 1 });
        }
        assert_eq!(deduper.insert(b"1234", 0), Noted::Fresh { evicted_before_ttl: 0 });
        assert_eq!(deduper.insert(b"1234", 0), Noted::Duplicate);
    }
}
