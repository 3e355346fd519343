//! The only place of the live shell that asks the operating system directly: clocks, cores, process ids.

use xtrader_core::time::Stamp;

#[cfg(unix)]
fn clock_ns(clock: libc::clockid_t) -> i64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `t` is a valid, writable timespec for the whole call and the kernel writes nothing else. The two clocks
    // asked for exist on every supported system; were the call to fail, `t` would stay zero.
    unsafe { libc::clock_gettime(clock, &raw mut t) };
    // Both are narrower on some systems.
    #[allow(clippy::unnecessary_cast)]
    let (seconds, rest) = (t.tv_sec as i64, t.tv_nsec as i64);
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

/// Both clocks, now: `CLOCK_REALTIME` and `CLOCK_MONOTONIC`.
#[cfg(unix)]
#[must_use]
#[inline]
pub fn now() -> Stamp {
    Stamp { wall: clock_ns(libc::CLOCK_REALTIME), mono: clock_ns(libc::CLOCK_MONOTONIC).unsigned_abs() }
}

/// Both clocks, now.
#[cfg(not(unix))]
#[must_use]
pub fn now() -> Stamp {
    use std::sync::OnceLock;
    use std::time::{Instant, SystemTime, UNIX_EPOCH};
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mono = ORIGIN.get_or_init(Instant::now).elapsed();
    Stamp {
        wall: i64::try_from(wall.as_nanos()).unwrap_or(i64::MAX),
        mono: u64::try_from(mono.as_nanos()).unwrap_or(u64::MAX),
    }
}

/// Cores that this process may run on.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Pins the calling thread to a core. False where this process has no such core, or the system refuses.
#[must_use]
pub fn pin(core: usize) -> bool {
    // Asked for first: a number beyond the kernel's set of cores would be written outside of it.
    let there = core_affinity::get_core_ids().unwrap_or_default().into_iter().find(|c| c.id == core);
    there.is_some_and(core_affinity::set_for_current)
}

/// Number of this process.
#[must_use]
pub fn pid() -> u32 {
    std::process::id()
}
