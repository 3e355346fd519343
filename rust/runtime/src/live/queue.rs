//! Closed batches on their way from the shard to the consumer: bounded by bytes, with a declared policy when full.
//! One lock per batch, none per frame.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::task::AtomicWaker;
use serde_json::{Value, json};
use xtrader_core::batch::Batch;
use xtrader_core::config::ConfigError;
use xtrader_core::table::Table;

use super::drops::{Drops, Gaps, last_recv};
use super::options::Policy;
use super::outlet::Bell;
use super::sys;

/// Warnings that may wait for the consumer.
const MOST_WARNINGS: usize = 64;

/// What the consumer gets.
#[derive(Debug)]
pub enum Taken {
    /// Rows.
    Batch(Batch),
    /// What the owner should know, though it hinders nothing.
    Warning(String),
    /// Nothing yet.
    Nothing,
    /// Nothing any more.
    Closed,
    /// The shard failed.
    Failed(Failure),
}

/// Why a shard ended by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Something broke that should not.
    Died(String),
    /// The engine cannot do what it was asked: the configuration, or the exchange, forbids it.
    Refused(ConfigError),
}

#[derive(Debug)]
enum Entry {
    Batch(Batch, usize),
    /// Batches were dropped here.
    Dropped(Drops),
}

#[derive(Clone, Debug)]
enum End {
    Closed,
    Failed(Failure),
}

#[derive(Debug)]
struct State {
    entries: VecDeque<Entry>,
    bytes: usize,
    batches: usize,
    max_bytes_seen: usize,
    end: Option<End>,
    /// They do not wait behind batches, nor are they dropped with them.
    warnings: VecDeque<String>,
    gaps: Gaps,
    /// Receive time of the last row of each table that was let in, and that went out.
    last_in: [Option<i64>; Table::ALL.len()],
    last_out: [Option<i64>; Table::ALL.len()],
    total: [u64; 2],
    dropped: [u64; 2],
}

/// See the module.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    bell: Arc<Bell>,
    bound: usize,
    policy: Policy,
    /// The shard wants to know when the consumer takes something.
    wanted: AtomicBool,
    shard: Arc<AtomicWaker>,
}

impl Queue {
    /// Empty.
    #[must_use]
    pub fn new(bound: usize, policy: Policy, gaps: Gaps, shard: Arc<AtomicWaker>, bell: Arc<Bell>) -> Self {
        let state = State {
            entries: VecDeque::new(),
            bytes: 0,
            batches: 0,
            max_bytes_seen: 0,
            end: None,
            warnings: VecDeque::new(),
            gaps,
            last_in: [None; Table::ALL.len()],
            last_out: [None; Table::ALL.len()],
            total: [0; 2],
            dropped: [0; 2],
        };
        Self { state: Mutex::new(state), bell, bound, policy, wanted: AtomicBool::new(false), shard }
    }

    /// Hands a batch over, by the policy. One batch is always let in, however large.
    ///
    /// # Errors
    /// The batch itself, where the policy is to block and there is no room.
    pub fn push(&self, batch: Batch) -> Result<(), Batch> {
        let bytes = batch.rows.get_array_memory_size();
        let mut state = self.lock();
        let fits = |state: &State| state.batches == 0 || state.bytes.saturating_add(bytes) <= self.bound;
        if !fits(&state) {
            match self.policy {
                Policy::Block => return Err(batch),
                Policy::DropNewest => {
                    let last_good = state.last_in[batch.table as usize];
                    state.drop_at(At::Back, &batch, last_good);
                    return Ok(());
                }
                Policy::DropOldest => while !fits(&state) && state.drop_oldest() {},
            }
        }
        state.admit(batch, bytes);
        drop(state);
        self.bell.ring();
        Ok(())
    }

    /// Hands over what is left when the stream stops: bounded by one open batch per table, so it always goes in.
    pub fn push_last(&self, batch: Batch) {
        let bytes = batch.rows.get_array_memory_size();
        self.lock().admit(batch, bytes);
        self.bell.ring();
    }

    /// Tells the owner something. Of a consumer that takes nothing so many are kept.
    pub fn warn(&self, warning: String) {
        let mut state = self.lock();
        if state.warnings.len() < MOST_WARNINGS {
            state.warnings.push_back(warning);
        }
        drop(state);
        self.bell.ring();
    }

    /// Takes what there is to know, else the oldest batch, without waiting.
    pub fn try_take(&self) -> Taken {
        let taken = self.lock().take();
        if matches!(taken, Taken::Batch(_)) && self.wanted.swap(false, Ordering::AcqRel) {
            self.shard.wake();
        }
        taken
    }

    /// Nothing waits for the consumer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().batches == 0
    }

    /// Wakes the shard when the consumer takes the next batch. Ask again for room after this, or a wake-up is lost.
    pub fn wake_shard_on_take(&self) {
        self.wanted.store(true, Ordering::Release);
    }

    /// No batch comes any more.
    pub fn close(&self) {
        self.end(End::Closed);
    }

    /// No batch comes any more, and why.
    pub fn fail(&self, why: Failure) {
        self.end(End::Failed(why));
    }

    /// Counters.
    #[must_use]
    pub fn report(&self) -> Value {
        let state = self.lock();
        json!({
            "policy": self.policy,
            "bytes": state.bytes,
            "max_bytes": self.bound,
            "max_bytes_seen": state.max_bytes_seen,
            "batches": state.batches,
            "batches_total": state.total[0],
            "rows_total": state.total[1],
            "dropped_batches": state.dropped[0],
            "dropped_rows": state.dropped[1],
        })
    }

    fn end(&self, end: End) {
        self.lock().end.get_or_insert(end);
        self.bell.ring();
    }

    /// A consumer that panicked while it held the lock left whole entries behind.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum At {
    Front,
    Back,
}

impl State {
    fn admit(&mut self, batch: Batch, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.max_bytes_seen = self.max_bytes_seen.max(self.bytes);
        self.batches += 1;
        self.total[0] += 1;
        self.total[1] += batch.rows.num_rows() as u64;
        self.last_in[batch.table as usize] = last_recv(&batch).or(self.last_in[batch.table as usize]);
        self.entries.push_back(Entry::Batch(batch, bytes));
    }

    /// Where batches were dropped stays in the queue, in their place: the consumer reads of the hole before it reads
    /// what lies behind it.
    fn drop_at(&mut self, at: At, batch: &Batch, last_good: Option<i64>) {
        self.dropped[0] += 1;
        self.dropped[1] += batch.rows.num_rows() as u64;
        let neighbour = match at {
            At::Front => self.entries.front_mut(),
            At::Back => self.entries.back_mut(),
        };
        let now = sys::now().wall;
        if let Some(Entry::Dropped(drops)) = neighbour {
            drops.add(batch, last_good, now);
            return;
        }
        let mut drops = Drops::default();
        drops.add(batch, last_good, now);
        match at {
            At::Front => self.entries.push_front(Entry::Dropped(drops)),
            At::Back => self.entries.push_back(Entry::Dropped(drops)),
        }
    }

    /// Drops the oldest batch. False when there is none.
    fn drop_oldest(&mut self) -> bool {
        let earlier = match self.entries.front() {
            Some(Entry::Dropped(_)) => self.entries.pop_front(),
            _ => None,
        };
        let oldest = self.entries.pop_front();
        if let Some(earlier) = earlier {
            self.entries.push_front(earlier);
        }
        let Some(Entry::Batch(batch, bytes)) = oldest else { return false };
        self.bytes = self.bytes.saturating_sub(bytes);
        self.batches -= 1;
        let last_good = self.last_out[batch.table as usize];
        self.drop_at(At::Front, &batch, last_good);
        true
    }

    fn take(&mut self) -> Taken {
        if let Some(warning) = self.warnings.pop_front() {
            return Taken::Warning(warning);
        }
        loop {
            match self.entries.pop_front() {
                Some(Entry::Batch(batch, bytes)) => {
                    self.bytes = self.bytes.saturating_sub(bytes);
                    self.batches -= 1;
                    self.last_out[batch.table as usize] = last_recv(&batch).or(self.last_out[batch.table as usize]);
                    return Taken::Batch(batch);
                }
                Some(Entry::Dropped(drops)) => {
                    if let Some(batch) = self.gaps.rows(&drops, sys::now().wall) {
                        return Taken::Batch(batch);
                    }
                }
                None => {
                    return match &self.end {
                        None => Taken::Nothing,
                        Some(End::Closed) => Taken::Closed,
                        Some(End::Failed(why)) => Taken::Failed(why.clone()),
                    };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
