//! Who woke the shard. One task polls every connection; without this, each wake-up would poll all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use futures_util::task::{ArcWake, AtomicWaker, waker};

/// One source of wake-ups: remembers that it was it, and wakes the shard.
#[derive(Debug)]
pub struct Flag {
    raised: AtomicBool,
    shard: Arc<AtomicWaker>,
}

impl Flag {
    /// Raised at first, so that its source is polled once.
    #[must_use]
    pub fn new(shard: Arc<AtomicWaker>) -> Arc<Self> {
        Arc::new(Self { raised: AtomicBool::new(true), shard })
    }

    /// The waker to poll the source with.
    #[must_use]
    pub fn waker(self: &Arc<Self>) -> Waker {
        waker(self.clone())
    }

    /// Asks for another turn.
    pub fn raise(&self) {
        self.raised.store(true, Ordering::Release);
    }

    /// Takes the turn.
    #[must_use]
    pub fn take(&self) -> bool {
        self.raised.load(Ordering::Relaxed) && self.raised.swap(false, Ordering::AcqRel)
    }
}

impl ArcWake for Flag {
    fn wake_by_ref(flag: &Arc<Self>) {
        flag.raise();
        flag.shard.wake();
    }
}
