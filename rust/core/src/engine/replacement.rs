//! A connection is replaced before it is ended: another takes up the same channels, and when it carries what the old one
//! carries, the old one is closed. Nothing is missing between the two, so a planned change leaves no gap.

use super::connection::{Connection, Role};
use super::lanes;
use super::timers::Timer;
use super::{Engine, find};
use crate::config::Stream;
use crate::symbol::ConnId;
use crate::table::GapCause;
use crate::time::NS_PER_MS;

/// Milliseconds between two looks at whether the new connection carries what the old one does.
const LOOK_MS: u64 = 500;
/// Nanoseconds that both carry everything at least: what the old one still has to bring may be older.
const OVERLAP: u64 = 1_000 * NS_PER_MS.unsigned_abs();
/// By how many nanoseconds the old one may lag: for so long it stays where trades are missing, which it may yet bring.
const MOST_LAG: u64 = 5 * OVERLAP;
/// Least time that a new connection gets until it carries what the old one does, in nanoseconds.
const LEAST_PATIENCE: u64 = 5 * OVERLAP;
/// How often the time until the next attempt doubles.
const DOUBLINGS: u32 = 6;
/// Draws of an age, to find one at which no other of the lane is replaced.
const DRAWS: u32 = 4;

/// Why a connection is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It has lived long enough.
    Age,
    /// The exchange has announced its end.
    Announced,
    /// Streams that others of its lane bring do not come on it.
    Mute,
    /// It is slower than the others of its lane, or loses more.
    Worse,
}

impl Why {
    /// As the reason of its end.
    const fn reason(self) -> &'static str {
        match self {
            Self::Age => "replaced: it is old",
            Self::Announced => "replaced: its end was announced",
            Self::Mute => "replaced: streams that others bring do not come on it",
            Self::Worse => "replaced: the others are better",
        }
    }
}

/// The attempt to take another's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trial {
    /// The one that holds it.
    of: ConnId,
    why: Why,
    /// When it is given up.
    until: u64,
    /// Since when all of its channels are granted.
    granted: Option<u64>,
}

/// What has become of replacements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Replacements {
    /// The new connection carried everything when the old one was closed.
    pub done: u64,
    /// The exchange allows no connection more, so the old one was closed first.
    pub without_overlap: u64,
    /// The new one did not come to carry what the old one does, and was given up.
    pub given_up: u64,
}

impl Engine {
    /// Replaces a connection that is up. At most one of a lane at a time, unless its end was announced; none for being the
    /// worst while any other is replaced. False where nothing was begun.
    pub(super) fn replace(&mut self, conn: ConnId, why: Why) -> bool {
        let Self { cx, connections, .. } = self;
        let Some(old) = find(connections, conn).filter(|old| old.role == Role::Holder && old.is_open()) else {
            return false;
        };
        let (lane, place, family) = (old.lane, old.place, old.family);
        let on_trial = || connections.iter().filter_map(|c| c.trial().map(|trial| (c.lane, trial)));
        let is_one_too_many = |of: u16| of == lane && why != Why::Announced || why == Why::Worse;
        if on_trial().any(|(of, trial)| trial.of == conn || is_one_too_many(of)) {
            return false;
        }
        if lanes::seats(cx, connections) == Some(0) {
            // There is no place for both. Who is cut anyway is left until then.
            if why != Why::Announced
                && let Some(old) = find(connections, conn)
            {
                cx.counters.replacements.without_overlap += 1;
                old.on_closing();
                old.close(cx, GapCause::Disconnect, why.reason());
            }
            return why != Why::Announced;
        }
        let Some(new) = lanes::create(cx, connections, lane, place, family) else { return false };
        lanes::open(cx, connections, new, None);
        if let Some(connection) = find(connections, new) {
            let first_data = cx.config.deadlines.first_data_ms.saturating_mul(NS_PER_MS.unsigned_abs());
            let patience = first_data.max(LEAST_PATIENCE);
            let until = connection.opening().unwrap_or(cx.now.at.mono).saturating_add(patience);
            connection.role = Role::Trial(Trial { of: conn, why, until, granted: None });
            cx.arm_in_ms(LOOK_MS, Timer::Trial(new));
        }
        true
    }

    /// Looks whether a new connection carries what the old one does.
    pub(super) fn on_trial_timeout(&mut self, conn: ConnId) {
        let Some(mut trial) = find(&mut self.connections, conn).and_then(|new| new.trial()) else { return };
        let now = self.cx.now.at.mono;
        trial.granted = trial.granted.or_else(|| self.is_granted_as(conn, trial.of).then_some(now));
        if let Some(new) = find(&mut self.connections, conn) {
            new.role = Role::Trial(trial);
        }
        let overlap = trial.granted.map_or(0, |granted| now.saturating_sub(granted));
        let may_wait = overlap < MOST_LAG && now < trial.until;
        if overlap >= OVERLAP && self.speaks_as(conn, trial) && !(may_wait && self.lacks_trades(conn)) {
            self.take_over(conn, trial);
        } else if now >= trial.until {
            self.give_up_trial(conn, trial);
        } else {
            self.cx.arm_in_ms(LOOK_MS, Timer::Trial(conn));
        }
    }

    /// Every channel is granted, or refused on the old one too.
    fn is_granted_as(&self, new: ConnId, old: ConnId) -> bool {
        let of = |conn: ConnId| self.connections.iter().find(|connection| connection.id == conn);
        let (Some(new), Some(old)) = (of(new), of(old)) else { return false };
        let was_refused = |name: &str| old.channels.iter().any(|channel| channel.name == name && channel.refused);
        new.is_up() && new.channels.iter().all(|c| c.is_granted || c.refused && was_refused(&c.name))
    }

    /// Every stream that has spoken on the old one since has spoken on the new one too.
    fn speaks_as(&mut self, new: ConnId, trial: Trial) -> bool {
        let Self { connections, instruments, .. } = self;
        let Some(connection) = find(connections, new) else { return false };
        let mut served = connection.channels.iter().filter(|c| !c.refused).flat_map(|channel| &channel.serves);
        served.all(|(id, stream)| {
            let carriers = instruments.get(*id).and_then(|state| state.carriers(*stream));
            carriers.is_none_or(|carriers| carriers.spoke(trial.of) <= trial.granted || carriers.spoke(new).is_some())
        })
    }

    /// Trades are missing that came before those which the new one began with, or between any others.
    fn lacks_trades(&mut self, new: ConnId) -> bool {
        let Self { connections, instruments, .. } = self;
        let Some(connection) = find(connections, new) else { return false };
        let mut served = connection.channels.iter().flat_map(|channel| &channel.serves);
        served.any(|(id, stream)| {
            *stream == Stream::Trades && instruments.get(*id).is_some_and(|state| state.trades.are_missing())
        })
    }

    fn take_over(&mut self, conn: ConnId, trial: Trial) {
        if let Some(new) = find(&mut self.connections, conn) {
            new.role = Role::Holder;
        }
        if let Some(old) = find(&mut self.connections, trial.of) {
            old.leave(&mut self.cx, trial.why.reason());
            self.cx.counters.replacements.done += 1;
        }
    }

    /// The old one stays, and is tried again later.
    fn give_up_trial(&mut self, conn: ConnId, trial: Trial) {
        if let Some(new) = find(&mut self.connections, conn) {
            new.leave(&mut self.cx, "given up: it does not carry what the one does that it was to replace");
        }
        self.cx.counters.replacements.given_up += 1;
        if let Some(old) = find(&mut self.connections, trial.of) {
            let doublings = old.failed_trials.min(DOUBLINGS);
            old.failed_trials = old.failed_trials.saturating_add(1);
            let delay = self.cx.config.deadlines.first_data_ms << doublings;
            if matches!(trial.why, Why::Age | Why::Announced) {
                self.cx.arm_in_ms(delay, Timer::Age(trial.of, old.session()));
            }
        }
    }

    /// A connection is down that takes part in a replacement: who is left has the place.
    pub(super) fn on_down_in_trial(&mut self, conn: ConnId) {
        let own = find(&mut self.connections, conn).map(|connection| (connection.role, connection.trial()));
        match own {
            Some((_, Some(trial))) => self.give_up_trial(conn, trial),
            Some((Role::Holder, None)) => {
                let of = |c: &&mut Connection| c.trial().is_some_and(|trial| trial.of == conn);
                if let Some(new) = self.connections.iter_mut().find(of) {
                    new.role = Role::Holder;
                    if let Some(old) = find(&mut self.connections, conn) {
                        old.role = Role::Leaving;
                    }
                }
            }
            _ => {}
        }
    }

    /// Draws the age at which a connection that came up is replaced: never two of a lane at about the same time, if
    /// that can be avoided.
    pub(super) fn draw_age(&mut self, conn: ConnId) {
        let Self { cx, connections, .. } = self;
        let lifetime = lanes::limits(cx).lifetime_s;
        // Nobody is to live until the exchange cuts it.
        let allowed_s = Some(lifetime.saturating_mul(9) / 10).filter(|s| *s > 0);
        let most_s = [cx.config.arbitration.max_age_s, allowed_s].into_iter().flatten().min().unwrap_or(0);
        let most = most_s.saturating_mul(1_000).saturating_mul(NS_PER_MS.unsigned_abs());
        let Some(own) = find(connections, conn).filter(|own| most > 0 && own.is_open()) else { return };
        let (lane, session, now) = (own.lane, own.session(), cx.now.at.mono);
        let window = most / 10 / u64::from(cx.config.connections.max(1));
        let others: Vec<u64> =
            connections.iter().filter(|c| c.is_in_use() && c.lane == lane && c.id != conn).map(|c| c.ends).collect();
        let mut at = 0;
        for _ in 0..DRAWS {
            at = now.saturating_add(most.saturating_sub(cx.jitter.below(most / 5)));
            if others.iter().all(|other| other.abs_diff(at) > window) {
                break;
            }
        }
        if let Some(own) = find(connections, conn) {
            own.ends = at;
            cx.timers.arm(at, Timer::Age(conn, session));
        }
    }

    /// It is old enough, or the last attempt to replace it is long enough ago.
    pub(super) fn on_age_timeout(&mut self, conn: ConnId, session: u64) {
        let Some(own) = find(&mut self.connections, conn).filter(|own| own.is_in_session(session)) else { return };
        let is_holder = own.role == Role::Holder;
        // Another of its lane may be replaced right now, which takes a moment; a place may become free much later.
        let (why, later) = match own.is_announced() {
            true => (Why::Announced, self.cx.config.deadlines.first_data_ms),
            false => (Why::Age, 2 * LOOK_MS),
        };
        if is_holder && !self.replace(conn, why) {
            self.cx.arm_in_ms(later, Timer::Age(conn, session));
        }
    }
}
