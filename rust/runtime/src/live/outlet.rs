//! The consumer's end: the queues of all shards of a stream, as one. Within a shard order is kept; between shards there
//! is none, so each gets its turn.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::queue::{Failure, Queue, Taken};

/// Rung by every queue that has something new.
#[derive(Debug, Default)]
pub struct Bell {
    rung: Mutex<u64>,
    blocking: Condvar,
    notify: Notify,
}

impl Bell {
    /// Wakes whoever waits.
    pub fn ring(&self) {
        {
            let mut rung = self.lock();
            *rung = rung.wrapping_add(1);
        }
        self.blocking.notify_all();
        self.notify.notify_waiters();
    }

    fn count(&self) -> u64 {
        *self.lock()
    }

    /// Waits until it has rung since `seen`, or the time is over.
    fn wait(&self, seen: u64, timeout: Duration) {
        let rung = self.lock();
        if *rung == seen {
            // Spurious wake-ups are harmless: whoever waits looks again.
            drop(self.blocking.wait_timeout(rung, timeout));
        }
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the module.
#[derive(Debug)]
pub struct Outlet {
    queues: Vec<Arc<Queue>>,
    bell: Arc<Bell>,
    /// Whose turn it is.
    turn: AtomicUsize,
}

impl Outlet {
    /// The queues were made with this bell.
    #[must_use]
    pub fn new(queues: Vec<Arc<Queue>>, bell: Arc<Bell>) -> Self {
        Self { queues, bell, turn: AtomicUsize::new(0) }
    }

    /// Takes the next batch; waits at most `timeout` for one.
    pub fn take(&self, timeout: Duration) -> Taken {
        // A duration that no clock can hold is for ever.
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let seen = self.bell.count();
            match self.try_take() {
                Taken::Nothing => {}
                taken => return taken,
            }
            let left = deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Taken::Nothing;
            }
            self.bell.wait(seen, left.min(Duration::from_secs(3600)));
        }
    }

    /// Takes the next batch when there is one, or the end. Cancel safe: a batch is taken in the last step.
    pub async fn next(&self) -> Taken {
        loop {
            let notified = self.bell.notify.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            match self.try_take() {
                Taken::Nothing => notified.await,
                taken => return taken,
            }
        }
    }

    /// The end is that of all queues; a failure counts once everything that any of them held has been taken.
    fn try_take(&self) -> Taken {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut failed: Option<Failure> = None;
        let mut ended = 0;
        for i in 0..self.queues.len() {
            match self.queues[first.wrapping_add(i) % self.queues.len()].try_take() {
                Taken::Nothing => {}
                Taken::Closed => ended += 1,
                Taken::Failed(why) => {
                    ended += 1;
                    failed = Some(why);
                }
                taken @ (Taken::Batch(_) | Taken::Warning(_)) => return taken,
            }
        }
        match failed {
            _ if ended < self.queues.len() => Taken::Nothing,
            Some(why) => Taken::Failed(why),
            None => Taken::Closed,
        }
    }
}
