//! When the newest events came first, for copies that come later than anything that waits for them: coarser the longer
//! ago it is, so that a lag of minutes is known to within a sixth, in little memory.

/// Marks of one spacing.
const MARKS: usize = 16;
/// Spacings: each twice the one before. The coarsest marks reach back two minutes.
const LEVELS: usize = 8;
/// The finest spacing, in nanoseconds.
const FINEST: u64 = 62_500_000;

/// An event that was new, and when it came.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    key: i64,
    mono: u64,
}

/// The last marks of one spacing.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    marks: [Mark; MARKS],
    /// How many there have been.
    many: usize,
}

impl Level {
    /// Those that are there, newest first.
    fn newest_first(&self) -> impl Iterator<Item = &Mark> {
        (1..=self.many.min(MARKS)).map(|back| &self.marks[(self.many - back) % MARKS])
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Trail {
    levels: [Level; LEVELS],
    /// Before this time nothing is marked.
    due: u64,
}

impl Trail {
    /// An event came that is newer than all before it.
    #[inline(always)]
    pub fn note(&mut self, key: i64, mono: u64) {
        if mono >= self.due {
            self.mark(key, mono);
        }
    }

    #[cold]
    fn mark(&mut self, key: i64, mono: u64) {
        self.due = mono.saturating_add(FINEST);
        for (number, level) in self.levels.iter_mut().enumerate() {
            let is_due = level.newest_first().next().is_none_or(|last| mono >= last.mono + (FINEST << number));
            if !is_due {
                break;
            }
            level.marks[level.many % MARKS] = Mark { key, mono };
            level.many += 1;
        }
    }

    /// When an event had come at the latest: the earliest known moment at which one of its key or a higher one had.
    pub fn latest_arrival(&self, key: i64) -> Option<u64> {
        let of_level = |level: &Level| level.newest_first().take_while(|mark| mark.key >= key).last().map(|m| m.mono);
        self.levels.iter().filter_map(of_level).min()
    }

    /// Keys begin anew.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    proptest! {
        #[test]
        fn a_lag_is_known_to_within_a_sixth_and_never_too_long(
            steps in prop::collection::vec((1..5_i64, 0..400_000_000_u64), 1..2000),
            back in 0.0..1.0_f64,
        ) {
            let (mut trail, mut came) = (Trail::default(), Vec::new());
            let (mut key, mut mono) = (0, SECOND);
            for (more, ns) in steps {
                (key, mono) = (key + more, mono + ns);
                trail.note(key, mono);
                came.push((key, mono));
            }
            let (key, arrived) = came[((came.len() - 1) as f64 * back) as usize];
            let lag = mono - arrived;
            let told = trail.latest_arrival(key).map_or(0, |at| mono - at);
            prop_assert!(told <= lag, "{told} of {lag}");
            // Two steps of the events themselves lie between marks at most.
            if (SECOND..100 * SECOND).contains(&lag) {
                prop_assert!(told + lag / 6 + 800_000_000 >= lag, "{told} of {lag}");
            }
        }
    }

    #[test]
    fn of_steady_events_a_lag_is_known_to_within_a_sixth() {
        let mut trail = Trail::default();
        let at = |key: i64| SECOND + key.unsigned_abs() * 10_000_000;
        (0..12_000).for_each(|key| trail.note(key, at(key)));
        for behind in [50, 100, 300, 1000, 3000, 6000, 9000] {
            let (now, key) = (at(11_999), 11_999 - behind);
            let (lag, told) = (now - at(key), now - trail.latest_arrival(key).expect("it is remembered"));
            assert!(told <= lag && told + lag / 6 >= lag.min(told + 62_500_000), "{told} of {lag}");
        }
        trail.clear();
        assert_eq!(trail.latest_arrival(0), None);
    }
}
