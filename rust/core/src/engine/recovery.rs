//! Trades that no connection brought, fetched by REST: a page at a time, a little at once, and only what is still missing.
//!
//! A hole is asked for a moment after it was declared: REST lags a little behind the sockets, and the holes of one moment
//! share their pages. What a page leaves out although it has later ids is not there. Where an exchange refuses a range
//! because it has forgotten the first id, the oldest that it still tells is searched for by halves. Live only.

use super::Engine;
use super::context::{Context, Origin, Purpose, Subject};
use super::input::{HttpReply, RequestId};
use super::timers::Timer;
use crate::event::TradeRows;
use crate::exchange::{Protocol, with_protocol};
use crate::report::{IgnoreReason, RejectReason, ReplyOutcome};
use crate::symbol::InstrumentId;
use crate::time::NS_PER_MS;

/// Ranges that wait at most; beyond it what is lost stays lost.
const MOST_JOBS: usize = 256;
/// Requests on their way at once.
const UNDER_WAY: usize = 2;
/// Replies in a row that bring nothing before a range is given up.
const ATTEMPTS: u32 = 5;
/// Time between the declaration of a hole and the first request for it.
const SETTLE_MS: u64 = 1_000;

/// First and last id.
type Ids = (i64, i64);

/// A range of ids of one instrument, with holes in it.
#[derive(Clone, Copy, Debug)]
struct Job {
    instrument: InstrumentId,
    ids: Ids,
    /// What lies before it has been asked for, unless the oldest id that is told is searched for.
    next: i64,
    /// Where it is searched for: the highest id known to be forgotten, and the lowest that is told, if there is one.
    oldest: Option<Ids>,
    attempts: u32,
    /// Not to be asked for earlier.
    due: u64,
    request: Option<RequestId>,
}

impl Job {
    /// The first id of the last request is forgotten: the next one begins halfway to what is told.
    fn was_forgotten(&mut self) {
        let told = self.oldest.map_or(self.ids.1.saturating_add(1), |(_, told)| told);
        self.search(self.next, told);
    }

    /// The first id of the last request is told: so may be some before it.
    fn was_told(&mut self) {
        if let Some((forgotten, _)) = self.oldest {
            self.search(forgotten, self.next);
        }
    }

    fn search(&mut self, forgotten: i64, told: i64) {
        let between = told.saturating_sub(forgotten) / 2;
        (self.oldest, self.next) =
            if between > 0 { (Some((forgotten, told)), forgotten.saturating_add(between)) } else { (None, told) };
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    jobs: Vec<Job>,
    /// There may be something to ask for once the input has been taken.
    pub stirred: bool,
}

impl Recovery {
    /// Takes a range in, at most `most` ids of it. False where there is no room.
    fn add(&mut self, instrument: InstrumentId, ids: Ids, most: i64, due: u64) -> bool {
        let last = ids.1.min(ids.0.saturating_add(most - 1));
        let shares = |job: &&mut Job| {
            let waits = job.request.is_none() && job.attempts == 0 && job.next == job.ids.0;
            job.instrument == instrument && waits && job.ids.1 < ids.0 && last.saturating_sub(job.ids.0) < most
        };
        if let Some(job) = self.jobs.iter_mut().find(shares) {
            job.ids.1 = last;
            return true;
        }
        let has_room = self.jobs.len() < MOST_JOBS;
        if has_room {
            self.jobs.push(Job {
                instrument,
                ids: (ids.0, last),
                next: ids.0,
                oldest: None,
                attempts: 0,
                due,
                request: None,
            });
        }
        has_room
    }

    /// None of its ids means what it did.
    pub(super) fn cancel(&mut self, instrument: InstrumentId) {
        self.jobs.retain(|job| job.instrument != instrument);
    }

    /// The job that may be asked for now: of each instrument one at a time.
    fn ready(&self, now: u64) -> Option<usize> {
        let running = || self.jobs.iter().filter(|job| job.request.is_some());
        if running().count() >= UNDER_WAY {
            return None;
        }
        self.jobs.iter().position(|job| {
            job.request.is_none() && job.due <= now && running().all(|other| other.instrument != job.instrument)
        })
    }
}

impl Context {
    /// Asks for ids that no connection brought; false where nobody can tell them.
    pub(super) fn recover(&mut self, subject: Subject, aggregated: bool, ids: Ids) -> bool {
        let most = i64::from(self.config.arbitration.recover_trades);
        let is_told = || with_protocol!(self.config.venue, P => P::trades_page("", "", aggregated, 0, 0)).is_some();
        if !self.live || most == 0 || !is_told() {
            return false;
        }
        let due = self.now.at.after(SETTLE_MS.saturating_mul(NS_PER_MS.unsigned_abs())).mono;
        let taken = self.recovery.add(subject.id, ids, most, due);
        if taken {
            self.arm_in_ms(SETTLE_MS, Timer::Recover);
        }
        taken
    }
}

impl Engine {
    /// Asks for as many pages as may be on their way.
    pub(super) fn ask_for_trades(&mut self) {
        let now = self.cx.now.at.mono;
        while let Some(at) = self.cx.recovery.ready(now) {
            let Self { cx, instruments, .. } = self;
            let job = cx.recovery.jobs[at];
            let asked = instruments.get(job.instrument).and_then(|state| {
                // Copies may have come late meanwhile.
                let first = match job.oldest {
                    Some(_) => job.next,
                    None => state.trades.first_asked((job.next, job.ids.1))?,
                };
                let aggregated = !state.trades.counts_fills();
                let (rest, native) = (&cx.endpoints.rest, &state.native);
                let page =
                    with_protocol!(cx.config.venue, P => P::trades_page(rest, native, aggregated, first, job.ids.1));
                Some((first, page?))
            });
            match asked {
                Some((first, page)) => {
                    let request = cx.request(Purpose::Trades, page);
                    let job = &mut cx.recovery.jobs[at];
                    (job.next, job.request) = (first, Some(request));
                }
                None => self.end_recovery(at),
            }
        }
    }

    /// A page of trades is here, or could not be had.
    pub(super) fn on_trades_reply(&mut self, origin: Origin, reply: &HttpReply<'_>) -> ReplyOutcome {
        let Self { cx, instruments, .. } = self;
        let of_reply = |job: &Job| job.request.is_some() && job.request == reply.request;
        let Some(at) = cx.recovery.jobs.iter().position(of_reply) else {
            return ReplyOutcome::Ignored(IgnoreReason::UnknownReply);
        };
        cx.recovery.stirred = true;
        cx.recovery.jobs[at].request = None;
        let job = cx.recovery.jobs[at];
        let Some(state) = instruments.get(job.instrument) else {
            cx.recovery.jobs.remove(at);
            return ReplyOutcome::Ignored(IgnoreReason::UnknownReply);
        };
        let mut page = std::mem::take(&mut cx.trades);
        page.clear();
        let read = match reply.status {
            200 => {
                let (aggregated, scales) = (!state.trades.counts_fills(), state.trades.scales);
                with_protocol!(
                    cx.config.venue,
                    P => P::read_trades_page(reply.body, &state.native, aggregated, scales, &mut page)
                )
            }
            _ => Err(RejectReason::Status),
        };
        let highest = match read {
            Ok(()) => {
                page.rows.sort_by_key(|row| row.last);
                state.trades.on_page(cx, state.subject, origin, (job.next, job.ids.1), &mut page)
            }
            Err(_) => None,
        };
        let is_beyond = |page: &TradeRows| page.rows.last().is_some_and(|row| row.last >= job.ids.1);
        let forgotten = with_protocol!(cx.config.venue, P => P::is_forgotten(reply.status, reply.body));
        let is_told = read.is_ok() && (highest.is_some() || is_beyond(&page));
        let is_over = match read {
            Ok(()) => is_beyond(&page) && job.oldest.is_none(),
            Err(_) => is_final(reply.status) && !forgotten,
        };
        cx.trades = page;
        let job = &mut cx.recovery.jobs[at];
        match highest {
            _ if forgotten => {
                job.was_forgotten();
                job.attempts = 0;
            }
            _ if is_told && job.oldest.is_some() => {
                job.was_told();
                job.attempts = 0;
            }
            Some(highest) => {
                job.next = highest.saturating_add(1);
                job.attempts = 0;
            }
            None => job.attempts = job.attempts.saturating_add(1),
        }
        let attempts = job.attempts;
        if is_over || attempts >= ATTEMPTS || job.next > job.ids.1 {
            self.end_recovery(at);
        } else if attempts > 0 {
            let delay = cx.backoff_ms(attempts, reply.retry_after_ms.unwrap_or(0));
            cx.recovery.jobs[at].due = cx.now.at.after(delay.saturating_mul(NS_PER_MS.unsigned_abs())).mono;
            cx.arm_in_ms(delay, Timer::Recover);
        }
        match read {
            Ok(()) => ReplyOutcome::Accepted,
            Err(reason) => ReplyOutcome::Rejected(reason),
        }
    }

    /// All that can be had is there: the rest is named.
    fn end_recovery(&mut self, at: usize) {
        let Self { cx, instruments, .. } = self;
        let job = cx.recovery.jobs.remove(at);
        if let Some(state) = instruments.get(job.instrument) {
            state.trades.on_fetched(cx, state.subject, job.ids);
        }
    }
}

/// Asking again brings the same: the exchange does not tell these ids.
fn is_final(status: u16) -> bool {
    (400..500).contains(&status) && !matches!(status, 403 | 408 | 418 | 429)
}
