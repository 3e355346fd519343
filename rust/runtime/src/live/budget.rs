//! What one process may ask of one host: weight per window of the clock, connections per time and at once, and nothing
//! at all while it is banned. Shared by every stream of the process, because the exchange counts by address.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use xtrader_core::time::{NS_PER_MS, Stamp};

use super::allowance::Allowance;
use super::rate::Rate;

/// Hosts that are remembered; the banned ones always are.
const MAX_HOSTS: usize = 1024;
/// No ban is believed to be longer (Binance: three days).
const MAX_BAN_S: u64 = 3 * 86_400;

/// Why something must not be sent now. Times are nanoseconds from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The window's weight is spent, or connections come too fast: wait, it is short.
    Spent(u64),
    /// The host refuses this address: nothing may be sent for so long.
    Banned(u64),
}

/// The account with one host.
#[derive(Debug)]
pub struct Budget {
    weight: u32,
    window_ns: i64,
    window: i64,
    used: u32,
    /// Monotonic time until which nothing is sent.
    banned_until: u64,
    /// Refusals in a row, for the wait when the host names none.
    refusals: u32,
    connects: Rate,
}

impl Budget {
    /// Nothing spent.
    #[must_use]
    pub fn new(allowance: &Allowance) -> Self {
        Self {
            weight: allowance.weight,
            window_ns: i64::try_from(allowance.window_ms).unwrap_or(i64::MAX).saturating_mul(NS_PER_MS).max(1),
            window: i64::MIN,
            used: 0,
            banned_until: 0,
            refusals: 0,
            connects: allowance.connects,
        }
    }

    /// Spends `weight`. A request beyond the whole window's weight is let through at the window's start: it can never
    /// fit, and the host is the judge.
    ///
    /// # Errors
    /// How long to wait.
    pub fn try_spend(&mut self, now: Stamp, weight: u32) -> Result<(), Hold> {
        self.check_ban(now)?;
        let window = now.wall.div_euclid(self.window_ns);
        if window != self.window {
            self.window = window;
            self.used = 0;
        }
        if self.used > 0 && self.used.saturating_add(weight) > self.weight {
            return Err(Hold::Spent(self.to_next_window(now)));
        }
        self.used = self.used.saturating_add(weight);
        Ok(())
    }

    /// Takes a connection.
    ///
    /// # Errors
    /// How long to wait.
    pub fn try_connect(&mut self, now: Stamp) -> Result<(), Hold> {
        self.check_ban(now)?;
        self.connects.try_take(now.mono).map_err(|at| Hold::Spent(at.saturating_sub(now.mono)))
    }

    /// Learns from a reply: the weight that the host has counted, and a refusal. Yields the milliseconds to stay away.
    pub fn on_reply(&mut self, now: Stamp, status: u16, used: Option<u32>, retry_after_ms: Option<u64>) -> Option<u64> {
        if let Some(used) = used
            && now.wall.div_euclid(self.window_ns) == self.window
        {
            // Others behind the same address spend too. What is under way is not counted there yet, so never lower.
            self.used = self.used.max(used);
        }
        if !matches!(status, 429 | 418 | 403) {
            if (200..300).contains(&status) {
                self.refusals = 0;
            }
            return None;
        }
        self.refusals = self.refusals.saturating_add(1);
        let wait_ms = retry_after_ms.unwrap_or_else(|| self.default_wait_ms(now, status)).min(MAX_BAN_S * 1000);
        self.banned_until = self.banned_until.max(now.mono.saturating_add(wait_ms.saturating_mul(1_000_000)));
        Some(wait_ms)
    }

    /// Milliseconds for which nothing may be sent.
    #[must_use]
    pub fn banned_for_ms(&self, now: Stamp) -> u64 {
        self.banned_until.saturating_sub(now.mono).div_ceil(1_000_000)
    }

    /// Weight spent in the running window.
    #[must_use]
    pub fn used(&self, now: Stamp) -> u32 {
        if now.wall.div_euclid(self.window_ns) == self.window { self.used } else { 0 }
    }

    fn check_ban(&self, now: Stamp) -> Result<(), Hold> {
        match self.banned_until.saturating_sub(now.mono) {
            0 => Ok(()),
            left => Err(Hold::Banned(left)),
        }
    }

    /// Where the host names no time: too much asked is over with the window, a firewall or a ban is not; each refusal
    /// in a row doubles it.
    fn default_wait_ms(&self, now: Stamp, status: u16) -> u64 {
        let base = match status {
            429 => self.to_next_window(now).div_ceil(1_000_000).max(1_000),
            418 => 120_000,
            _ => 60_000,
        };
        base.saturating_mul(1 << self.refusals.saturating_sub(1).min(5))
    }

    fn to_next_window(&self, now: Stamp) -> u64 {
        (self.window_ns - now.wall.rem_euclid(self.window_ns)).unsigned_abs()
    }
}

/// One of the connections that a host lets an address hold; given back when it is dropped.
pub type Seat = OwnedSemaphorePermit;

/// An account that is shared.
#[derive(Clone, Debug)]
pub struct Shared {
    budget: Arc<Mutex<Budget>>,
    seats: Option<Arc<Semaphore>>,
}

impl Shared {
    fn new(allowance: &Allowance) -> Self {
        let seats = usize::try_from(allowance.connections).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            budget: Arc::new(Mutex::new(Budget::new(allowance))),
            seats: (seats > 0).then(|| Arc::new(Semaphore::new(seats))),
        }
    }

    /// The account of this process with a host (`host:port`). The limits are those of whoever comes first.
    #[must_use]
    pub fn with(host: &str, allowance: &Allowance) -> Self {
        static ACCOUNTS: OnceLock<Mutex<HashMap<String, Shared>>> = OnceLock::new();
        let mut accounts = lock(ACCOUNTS.get_or_init(Mutex::default));
        if accounts.len() >= MAX_HOSTS {
            let now = super::sys::now();
            let is_held = |shared: &Shared| {
                Arc::strong_count(&shared.budget) > 1
                    || shared.seats.as_ref().is_some_and(|seats| Arc::strong_count(seats) > 1)
            };
            accounts.retain(|_, shared| is_held(shared) || shared.lock().banned_for_ms(now) > 0);
        }
        accounts.entry(host.to_owned()).or_insert_with(|| Self::new(allowance)).clone()
    }

    /// Waits, in order of arrival, until the host lets this address hold one more connection; `None` where it sets no
    /// limit.
    pub async fn seat(&self) -> Option<Seat> {
        // Nobody ever closes it.
        self.seats.clone()?.acquire_owned().await.ok()
    }

    /// The account. Never held across a wait.
    pub fn lock(&self) -> MutexGuard<'_, Budget> {
        lock(&self.budget)
    }
}

/// A panic elsewhere leaves numbers that are still numbers.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use xtrader_core::config::EngineConfig;
    use xtrader_core::symbol::Venue;
    use xtrader_core::time::NS_PER_S;

    use super::*;
    use crate::live::LiveOptions;

    const S: u64 = 1_000_000_000;

    fn at(s: u64) -> Stamp {
        Stamp { wall: (1_700_000_040 + s as i64) * NS_PER_S, mono: s * S }
    }

    fn allowance(venue: Venue, change: impl FnOnce(&mut LiveOptions)) -> Allowance {
        let mut options = LiveOptions::new(EngineConfig::new(venue));
        change(&mut options);
        Allowance::of(&options)
    }

    fn budget(weight: u32) -> Budget {
        Budget::new(&allowance(Venue::BinanceFutures, |options| options.rest.weight_per_min = Some(weight)))
    }

    #[test]
    fn the_window_is_the_clock_minute() {
        assert_eq!(at(0).wall.rem_euclid(60 * NS_PER_S), 0, "the test begins at a full minute");
        let mut b = budget(100);
        assert_eq!(b.try_spend(at(10), 60), Ok(()));
        assert_eq!(b.try_spend(at(20), 41), Err(Hold::Spent(40 * S)));
        assert_eq!(b.try_spend(at(20), 40), Ok(()));
        assert_eq!(b.try_spend(at(60), 100), Ok(()));
        assert_eq!(b.used(at(61)), 100);
        assert_eq!(b.used(at(120)), 0);
    }

    #[test]
    fn what_others_spent_counts() {
        let mut b = budget(100);
        b.try_spend(at(0), 10).expect("room");
        b.on_reply(at(1), 200, Some(95), None);
        assert_eq!(b.try_spend(at(2), 10), Err(Hold::Spent(58 * S)));
        b.try_spend(at(60), 10).expect("a new minute");
        b.on_reply(at(61), 200, Some(3), None);
        assert_eq!(b.used(at(61)), 10, "a lower count is an older one");
    }

    // Fault: N16, X09
    #[test]
    fn a_refusal_silences_everything_until_it_is_over() {
        let mut b = budget(100);
        assert_eq!(b.on_reply(at(0), 418, None, Some(7_000)), Some(7_000));
        assert_eq!(b.try_spend(at(3), 1), Err(Hold::Banned(4 * S)));
        assert_eq!(b.try_connect(at(3)), Err(Hold::Banned(4 * S)));
        assert_eq!(b.try_spend(at(7), 1), Ok(()));
        assert_eq!(b.on_reply(at(8), 500, None, None), None, "an error of the host is no ban");
    }

    #[test]
    fn without_a_time_the_wait_doubles_with_every_refusal() {
        let mut b = budget(100);
        assert_eq!(b.on_reply(at(50), 429, None, None), Some(10_000));
        assert_eq!(b.on_reply(at(60), 429, None, None), Some(120_000));
        assert_eq!(b.on_reply(at(180), 403, None, None), Some(240_000));
        b.on_reply(at(500), 200, None, None);
        assert_eq!(b.on_reply(at(500), 418, None, None), Some(120_000));
        assert_eq!(b.on_reply(at(500), 418, None, Some(u64::MAX)), Some(MAX_BAN_S * 1000));
    }

    // Fault: N13
    #[test]
    fn connections_are_counted_by_time() {
        let three = allowance(Venue::BinanceFutures, |options| options.net.connects_per_5min = Some(3));
        let mut b = Budget::new(&three);
        for _ in 0..2 {
            b.try_connect(at(0)).expect("burst");
        }
        assert_eq!(b.try_connect(at(0)), Err(Hold::Spent(300 * S)));
    }

    #[test]
    fn one_account_a_host() {
        let all = allowance(Venue::BinanceFutures, |_| ());
        Shared::with("budget.test:1", &all).lock().try_spend(at(0), 5).expect("room");
        assert_eq!(Shared::with("budget.test:1", &all).lock().used(at(0)), 5);
        assert_eq!(Shared::with("budget.test:2", &all).lock().used(at(0)), 0);
    }

    #[test]
    fn windows_of_any_length_are_the_clocks() {
        let mut b = Budget::new(&allowance(Venue::Okx, |_| ()));
        for _ in 0..10 {
            b.try_spend(at(0), 1).expect("half of 20");
        }
        assert_eq!(b.try_spend(at(1), 1), Err(Hold::Spent(S)));
        assert_eq!(b.try_spend(at(2), 1), Ok(()));
    }

    #[tokio::test]
    async fn who_finds_no_seat_waits_until_one_is_given_back() {
        let deribit = allowance(Venue::Deribit, |_| ());
        let shared = Shared::with("seats.test:1", &deribit);
        let mut seats = Vec::new();
        for _ in 0..deribit.connections {
            seats.push(shared.seat().await.expect("counted"));
        }
        let mut waiting = std::pin::pin!(shared.seat());
        assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        seats.pop();
        assert!(waiting.await.is_some());
        assert!(Shared::with("seats.test:2", &allowance(Venue::Okx, |_| ())).seat().await.is_none(), "no limit");
    }
}
