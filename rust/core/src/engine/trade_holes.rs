//! Ids of trades that did not come: awaited from other connections, then declared, filled late, or given up.
//!
//! A hole is awaited for the heal window. What fills it whole until then makes it a healed one. What is missing after
//! that is declared, run by run. Where REST can tell it, it stays open until it has ([`super::recovery`]); else for
//! [`LATE_MS`], or until the window of ids has passed it: as long as an id may still be told from a repetition. Then the
//! rest is closed as lost.
//!
//! Holes themselves are the record of what is missing, wherever the window of ids is by now: what no open hole lacks is
//! not let in by REST, and what one lacks was not told before.

mod holes;

use self::holes::{Hole, Holes};
use super::carriers::Carriers;
use super::context::{Context, Origin, Subject};
use super::gaps::{Finding, OpenGap};
use super::timers::Timer;
use crate::symbol::ConnId;
use crate::table::{GapCause, GapEvidence, Repaired};
use crate::time::NS_PER_MS;

/// How long what was declared missing may come late. Longer than any connection lags that is not taken for silent.
const LATE_MS: u64 = 60_000;
/// Holes that REST is asked for at once; of those beyond it what is lost stays lost.
const MOST_ASKED: usize = 16_384;

/// First and last id.
type Ids = (i64, i64);

/// The holes of one instrument's trades that may still be filled. The window of ids bounds those that REST is not asked
/// for.
#[derive(Default)]
pub(super) struct TradeHoles {
    /// Another connection may bring them.
    awaited: Holes,
    /// Declared; they may still come, late.
    late: Holes,
    /// Declared, and asked for by REST: that decides what becomes of them.
    asked: Holes,
    /// The ids count aggregates, not single fills.
    pub aggregated: bool,
    /// The exchange counts anew: REST would tell other trades by these ids.
    pub is_past: bool,
}

impl TradeHoles {
    /// Ids were left out that another connection may bring; `lacked_by` one that was there when they were due.
    pub(super) fn await_ids(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        ids: Ids,
        lacked_by: Option<ConnId>,
        carriers: &Carriers,
    ) {
        let mut gap = OpenGap::notice(origin, cx.stream_of_trades(), finding(ids), carriers);
        if let Some(conn) = lacked_by {
            gap.lacked_by(conn);
        }
        self.awaited.add(Hole::new(ids, gap, after_ms(cx, cx.config.book.heal_window_ms)));
        self.arm(cx, subject);
    }

    /// What becomes of ids that are declared missing: REST may tell them, or they may come late, else they are lost.
    pub(super) fn declared(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        ids: Ids,
        gap: OpenGap,
        may_come_late: bool,
    ) {
        let may_ask = !self.is_past && self.asked.len() < MOST_ASKED;
        if may_ask && cx.recover(subject, self.aggregated, ids) {
            self.asked.add(Hole::new(ids, gap, u64::MAX));
        } else if may_come_late {
            self.late.add(Hole::new(ids, gap, after_ms(cx, LATE_MS)));
            self.arm(cx, subject);
        } else {
            gap.close(cx, subject, origin, Repaired::None);
        }
    }

    fn arm(&mut self, cx: &mut Context, subject: Subject) {
        let now = cx.now.at.mono;
        for (holes, timer) in
            [(&mut self.awaited, Timer::HealTrades(subject.id)), (&mut self.late, Timer::LateTrades(subject.id))]
        {
            if let Some(at) = holes.alarm(now) {
                cx.timers.arm(at, timer);
            }
        }
    }

    /// None is open that the window of ids can pass.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.awaited.is_empty() && self.late.is_empty()
    }

    /// Something is missing that may still come.
    pub(super) fn are_open(&self) -> bool {
        !self.is_empty() || !self.asked.is_empty()
    }

    /// When the first awaited hole is declared.
    pub(super) fn awaited_until(&self) -> Option<u64> {
        self.awaited.first().map(|hole| hole.until)
    }

    fn all(&mut self) -> [&mut Holes; 3] {
        [&mut self.asked, &mut self.late, &mut self.awaited]
    }

    /// A connection went on beyond these ids.
    pub(super) fn left_out(&mut self, ids: Ids, conn: ConnId) {
        for holes in self.all() {
            holes.with(ids).for_each(|hole| hole.gap.lacked_by(conn));
        }
    }

    /// So many of these ids have come that had been left out: holes that are filled are closed. What was given up before
    /// has its own two rows.
    pub(super) fn filled(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        ids: Ids,
        many: u64,
        carriers: &Carriers,
    ) {
        let known = self.all().into_iter().map(|holes| holes.fill(ids)).fold(0, i64::saturating_add);
        self.close_filled(cx, subject, origin, ids);
        if known.unsigned_abs() < many {
            let gap = OpenGap::notice(origin, cx.stream_of_trades(), finding(ids), carriers);
            gap.close(cx, subject, origin, Repaired::Connection);
        }
    }

    /// REST has told this id. True where it was missing: it is not any more.
    pub(super) fn fetch(&mut self, id: i64) -> bool {
        self.all().into_iter().any(|holes| holes.fetch(id))
    }

    /// The first of these ids that REST is still asked for.
    pub(super) fn first_asked(&self, ids: Ids) -> Option<i64> {
        self.asked.first_missing(ids)
    }

    /// Closes those of these ids of which nothing is missing any more.
    pub(super) fn close_filled(&mut self, cx: &mut Context, subject: Subject, origin: Origin, ids: Ids) {
        for holes in self.all() {
            holes.take_filled(ids, |Hole { gap, repaired, .. }| {
                if gap.is_declared() || gap.is_lacked() {
                    gap.close(cx, subject, origin, repaired);
                }
            });
        }
    }

    /// All that REST could tell of these ids is there: what is still missing is lost.
    pub(super) fn fetched(&mut self, cx: &mut Context, subject: Subject, origin: Origin, ids: Ids) {
        self.asked.take(ids).into_iter().for_each(|hole| give_up(cx, subject, origin, hole));
    }

    /// Nobody tells any more what REST was asked for.
    pub(super) fn give_up_asked(&mut self, cx: &mut Context, subject: Subject, origin: Origin) {
        self.asked.take_all().into_iter().for_each(|hole| give_up(cx, subject, origin, hole));
    }

    /// None of it can come any more.
    pub(super) fn give_up_all(&mut self, cx: &mut Context, subject: Subject, origin: Origin) {
        for holes in self.all() {
            holes.take_all().into_iter().for_each(|hole| give_up(cx, subject, origin, hole));
        }
    }

    /// Holes whose time is over are declared or given up. The window of ids begins at `low`.
    pub(super) fn on_timeout(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        low: i64,
        carriers: &Carriers,
    ) {
        let now = cx.now.at.mono;
        self.settle(cx, subject, origin, low, carriers, |hole| hole.until <= now);
        self.arm(cx, subject);
    }

    /// Holes that the window has passed are given up: a copy could not be told from a repetition any more.
    pub(super) fn give_up_passed(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        low: i64,
        carriers: &Carriers,
    ) {
        self.settle(cx, subject, origin, low, carriers, |hole| hole.ids.1 < low);
    }

    /// The first ones are the first to be over.
    fn settle(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        low: i64,
        carriers: &Carriers,
        is_over: impl Fn(&Hole) -> bool,
    ) {
        while let Some(hole) = self.late.take_first(&is_over) {
            give_up(cx, subject, origin, hole);
        }
        while let Some(hole) = self.awaited.take_first(&is_over) {
            tell(cx, subject, origin, hole, |cx, ids, mut gap| {
                gap.declare(cx, subject, origin, carriers);
                self.declared(cx, subject, origin, ids, gap, ids.1 >= low && may_come_late(carriers));
            });
        }
    }
}

/// What is still missing of it is lost.
fn give_up(cx: &mut Context, subject: Subject, origin: Origin, hole: Hole) {
    tell(cx, subject, origin, hole, |cx, _, gap| gap.close(cx, subject, origin, Repaired::None));
}

/// Tells a hole run by run: what came of it is healed, and `lost` is done with what is missing. A gap that has been
/// declared goes on as the first run that is missing.
fn tell(
    cx: &mut Context,
    subject: Subject,
    origin: Origin,
    hole: Hole,
    mut lost: impl FnMut(&mut Context, Ids, OpenGap),
) {
    let Hole { ids: (first, last), missing, gap, repaired, .. } = hole;
    let is_told = gap.is_declared() || gap.is_lacked();
    let part = |ids| gap.part(Finding { ids: Some(ids), missing: Some(len(ids)), ..gap.finding });
    let healed = |cx: &mut Context, ids| {
        if is_told {
            part(ids).close(cx, subject, origin, repaired);
        }
    };
    let mut own = Some(gap.clone());
    let mut next = first;
    for run in missing {
        if next < run.0 {
            healed(cx, (next, run.0 - 1));
        }
        let mut told = own.take().unwrap_or_else(|| part(run));
        told.finding = part(run).finding;
        lost(cx, run, told);
        if run.1 == last {
            return;
        }
        next = run.1 + 1;
    }
    healed(cx, (next, last));
}

/// Monotonic time in so many milliseconds.
fn after_ms(cx: &Context, ms: u64) -> u64 {
    cx.now.at.mono.saturating_add(ms.saturating_mul(NS_PER_MS.unsigned_abs()))
}

/// Ids that all connections have left out may come late where there is more than one.
fn may_come_late(carriers: &Carriers) -> bool {
    carriers.conns().len() > 1
}

/// What is known of ids that were left out.
pub(super) fn finding(ids: Ids) -> Finding {
    Finding { ids: Some(ids), missing: Some(len(ids)), ..Finding::new(GapCause::Missed, GapEvidence::Sequence) }
}

/// How many ids.
pub(super) fn len((first, last): Ids) -> i64 {
    last.saturating_sub(first).saturating_add(1)
}
