//! Real speed: inputs come as far apart as they were.

use std::time::{Duration, Instant};

use super::Speed;

pub(super) struct Pace {
    speed: Speed,
    /// When the first input was handed over, and its monotonic time.
    origin: Option<(Instant, u64)>,
}

impl Pace {
    pub(super) fn new(speed: Speed) -> Self {
        Self { speed, origin: None }
    }

    /// How long until an input of this monotonic time is due; `None` when it is.
    pub(super) fn wait(&mut self, mono: u64) -> Option<Duration> {
        if self.speed == Speed::Max {
            return None;
        }
        let (begun, first) = *self.origin.get_or_insert_with(|| (Instant::now(), mono));
        let due = Duration::from_nanos(mono.saturating_sub(first));
        due.checked_sub(begun.elapsed()).filter(|wait| !wait.is_zero())
    }

    /// Another engine, another clock.
    pub(super) fn restart(&mut self) {
        self.origin = None;
    }
}
