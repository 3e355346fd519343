//! Ids of trades that did not come: awaited from other connections, then declared, filled late, or given up.
//!
//! A hole is awaited for the heal window. What fills it whole until then makes it a healed one. What is missing after
//! that is declared, run by run. Where REST can tell it, it stays open until it has ([`super::recovery`]); else for
//! [`LATE_MS`], or until the window of ids has passed it: as long as an id may still be told from a repetition. Then the
//! rest is closed as lost.

use super::carriers::Carriers;
use super::context::{Context, Origin, Subject};
use super::gaps::{Finding, OpenGap};
use super::timers::Timer;
use crate::arbiter::SequenceWindow;
use crate::symbol::ConnId;
use crate::table::{GapCause, GapEvidence, Repaired};
use crate::time::NS_PER_MS;

/// How long what was declared missing may come late. Longer than any connection lags that is not taken for silent.
const LATE_MS: u64 = 60_000;

/// First and last id.
type Ids = (i64, i64);

struct Hole {
    ids: Ids,
    gap: OpenGap,
    /// When it is declared, and if it is, when it is given up.
    until: u64,
    /// It is asked for by REST: that decides what becomes of it.
    asked: bool,
    /// Who has filled what is filled of it.
    repaired: Repaired,
}

impl Hole {
    /// Some of these ids lie in it.
    fn overlaps(&self, (first, last): Ids) -> bool {
        self.ids.0 <= last && first <= self.ids.1
    }
}

/// The holes of one instrument's trades that may still be filled.
#[derive(Default)]
pub(super) struct TradeHoles {
    holes: Vec<Hole>,
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
        let wait = cx.config.book.heal_window_ms;
        self.keep(cx, ids, gap, wait, Timer::HealTrades(subject.id));
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
        if !self.is_past && cx.recover(subject, self.aggregated, ids) {
            self.holes.push(Hole { ids, gap, until: u64::MAX, asked: true, repaired: Repaired::Connection });
        } else if may_come_late {
            self.keep(cx, ids, gap, LATE_MS, Timer::LateTrades(subject.id));
        } else {
            gap.close(cx, subject, origin, Repaired::None);
        }
    }

    /// All that REST could tell of these ids is there: what is still missing is lost.
    pub(super) fn fetched(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        ids: Ids,
        window: &SequenceWindow,
        carriers: &Carriers,
    ) {
        let is_over = |hole: &Hole| hole.asked && hole.overlaps(ids);
        self.settle(cx, subject, origin, window, carriers, is_over);
    }

    fn keep(&mut self, cx: &mut Context, ids: Ids, gap: OpenGap, wait_ms: u64, timer: Timer) {
        let until = cx.now.at.mono.saturating_add(wait_ms.saturating_mul(NS_PER_MS.unsigned_abs()));
        self.holes.push(Hole { ids, gap, until, asked: false, repaired: Repaired::Connection });
        cx.arm_in_ms(wait_ms, timer);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.holes.is_empty()
    }

    /// When the first awaited hole is declared.
    pub(super) fn awaited_until(&self) -> Option<u64> {
        self.holes.iter().filter(|hole| !hole.gap.is_declared()).map(|hole| hole.until).min()
    }

    /// A connection went on beyond these ids.
    pub(super) fn left_out(&mut self, ids: Ids, conn: ConnId) {
        for hole in self.holes.iter_mut().filter(|hole| hole.overlaps(ids)) {
            hole.gap.lacked_by(conn);
        }
    }

    /// Missing ids have come: holes that are filled are closed. What was given up before has its own two rows.
    pub(super) fn filled(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        ids: Ids,
        window: &SequenceWindow,
        carriers: &Carriers,
    ) {
        let repaired = if origin.conn == ConnId::NONE { Repaired::Rest } else { Repaired::Connection };
        let mut is_known = false;
        let mut at = 0;
        while let Some(hole) = self.holes.get_mut(at) {
            let concerned = hole.overlaps(ids);
            is_known |= concerned;
            if concerned && repaired == Repaired::Rest {
                hole.repaired = repaired;
            }
            if concerned && window.missing_in(hole.ids.0, hole.ids.1).next().is_none() {
                let Hole { gap, repaired, .. } = self.holes.remove(at);
                if gap.is_declared() || gap.is_lacked() {
                    gap.close(cx, subject, origin, repaired);
                }
            } else {
                at += 1;
            }
        }
        if !is_known {
            OpenGap::notice(origin, cx.stream_of_trades(), finding(ids), carriers).close(cx, subject, origin, repaired);
        }
    }

    /// Holes whose time is over are declared or given up.
    pub(super) fn on_timeout(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        window: &SequenceWindow,
        carriers: &Carriers,
    ) {
        let now = cx.now.at.mono;
        self.settle(cx, subject, origin, window, carriers, |hole| hole.until <= now);
    }

    /// Holes that the window has passed are given up: a copy could not be told from a repetition any more.
    pub(super) fn give_up_passed(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        window: &SequenceWindow,
        carriers: &Carriers,
    ) {
        let low = window.low().unwrap_or(i64::MIN);
        self.settle(cx, subject, origin, window, carriers, |hole| hole.ids.1 < low && !hole.asked);
    }

    /// Nobody tells any more what REST was asked for.
    pub(super) fn give_up_asked(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        window: &SequenceWindow,
        carriers: &Carriers,
    ) {
        self.settle(cx, subject, origin, window, carriers, |hole| hole.asked);
    }

    /// None of it can come any more.
    pub(super) fn give_up_all(&mut self, cx: &mut Context, subject: Subject, origin: Origin, window: &SequenceWindow) {
        for hole in std::mem::take(&mut self.holes) {
            tell(cx, subject, origin, hole, window, |_, _, gap, cx| {
                gap.close(cx, subject, origin, Repaired::None);
            });
        }
    }

    fn settle(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        window: &SequenceWindow,
        carriers: &Carriers,
        is_over: impl Fn(&Hole) -> bool,
    ) {
        if !self.holes.iter().any(&is_over) {
            return;
        }
        let low = window.low().unwrap_or(i64::MIN);
        for hole in std::mem::take(&mut self.holes) {
            if !is_over(&hole) {
                self.holes.push(hole);
                continue;
            }
            tell(cx, subject, origin, hole, window, |was_declared, ids, mut gap, cx| {
                gap.declare(cx, subject, origin, carriers);
                if was_declared {
                    gap.close(cx, subject, origin, Repaired::None);
                } else {
                    self.declared(cx, subject, origin, ids, gap, ids.1 >= low && may_come_late(carriers));
                }
            });
        }
    }
}

/// Tells a hole run by run: what came of it is healed, and `lost` is done with what is missing. A gap that has been
/// declared goes on as the first run that is missing.
fn tell(
    cx: &mut Context,
    subject: Subject,
    origin: Origin,
    hole: Hole,
    window: &SequenceWindow,
    mut lost: impl FnMut(bool, Ids, OpenGap, &mut Context),
) {
    let Hole { ids: (first, last), gap, repaired, .. } = hole;
    let was_declared = gap.is_declared();
    let part = |ids| gap.part(Finding { ids: Some(ids), missing: Some(len(ids)), ..gap.finding });
    let healed = |cx: &mut Context, ids| {
        if was_declared || gap.is_lacked() {
            part(ids).close(cx, subject, origin, repaired);
        }
    };
    let mut own = Some(gap.clone());
    let mut next = first;
    let mut runs = window.missing_in(first, last).peekable();
    while let Some(mut run) = runs.next() {
        // What has slid out of the window is missing with what has not.
        while let Some(further) = runs.next_if(|further| further.0 == run.1.saturating_add(1)) {
            run.1 = further.1;
        }
        if next < run.0 {
            healed(cx, (next, run.0 - 1));
        }
        let mut told = own.take().unwrap_or_else(|| part(run));
        told.finding = part(run).finding;
        lost(was_declared, run, told, cx);
        next = run.1.saturating_add(1);
    }
    match own {
        // Nothing of it is missing any more.
        Some(own) if was_declared => own.close(cx, subject, origin, repaired),
        _ if next <= last => healed(cx, (next, last)),
        _ => {}
    }
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
