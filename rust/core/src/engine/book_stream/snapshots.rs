//! Snapshots: when one is asked for, and how one that came by REST is joined to what is held.

use super::BookStream;
use crate::book::sync::{self, SnapshotVerdict, Verdict};
use crate::engine::context::{Context, Origin, Purpose, Subject};
use crate::engine::input::RequestId;
use crate::engine::timers::Timer;
use crate::event::BookHead;
use crate::exchange::{Protocol, SnapshotSource, with_protocol};
use crate::report::{IgnoreReason, Outcome, RejectReason, ReplyOutcome};
use crate::table::Source;
use crate::time::NS_PER_MS;

/// Changes that have been without the snapshot before them for so long, in nanoseconds of ours, stay without: one of the
/// stream itself was lost, and one by REST is of other ids.
const OVERDUE: u64 = sync::OVERDUE.unsigned_abs();
/// How often it is asked for so early; then at every deadline.
const EARLY_ASKS: u32 = 2;

impl BookStream {
    pub(super) fn before_snapshot(&mut self, cx: &mut Context, subject: Subject) -> Outcome {
        // The snapshot comes before all changes: where they go on without it, it was lost, and is asked for again.
        let now = cx.now.at.mono;
        match self.awaited_since {
            None => self.awaited_since = Some(now),
            Some(since) if self.attempts <= EARLY_ASKS && now.saturating_sub(since) >= OVERDUE => {
                self.retry_at = None;
                self.ask_snapshot(cx, subject);
            }
            Some(_) => {}
        }
        self.stats.updates += 1;
        self.stats.before_snapshot += 1;
        Outcome::Ignored(IgnoreReason::BeforeSnapshot)
    }

    /// Takes a REST snapshot whose levels are in the scratch.
    pub(in crate::engine) fn on_snapshot(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        head: &BookHead,
    ) -> ReplyOutcome {
        // What was just listed is empty, at an id below all others (Binance spot §4: −1 or 0).
        let Some(id) = head.last_id.map(|id| id.max(0)) else {
            return ReplyOutcome::Ignored(IgnoreReason::UnknownReply);
        };
        let head = &BookHead { last_id: Some(id), ..*head };
        if cx.live && self.carriers.are_mute() {
            // Nobody would bring what follows it.
            return ReplyOutcome::Ignored(IgnoreReason::UnknownReply);
        }
        let now = cx.now.at.mono;
        self.drop_held_if(cx, |_, held| id < held.diff.key.prev && now.saturating_sub(held.since) >= OVERDUE);
        self.held.make_contiguous().sort_by_key(|held| held.diff.order());
        match self.sync.judge_snapshot(id, self.held.iter().map(|held| held.diff.key)) {
            SnapshotVerdict::WhileLive => return ReplyOutcome::Ignored(IgnoreReason::SnapshotWhileLive),
            SnapshotVerdict::Known => return ReplyOutcome::Ignored(IgnoreReason::SnapshotKnown),
            SnapshotVerdict::TooOld => {
                self.retry_snapshot(cx, subject, 0);
                return ReplyOutcome::Ignored(IgnoreReason::SnapshotTooOld);
            }
            SnapshotVerdict::Take => {}
            // Nobody has filled the hole yet, and here is the book behind it.
            SnapshotVerdict::Bridges => self.declare_hole(cx, subject, origin),
        }
        // Nothing is emitted before the snapshot and all that follows it without a hole stand the test together.
        // It was made before it came. Our clock stands in for the exchange's where that does not say more.
        let made = Some(head.times.event.unwrap_or(origin.ts_recv));
        let mut trial = self.sync.clone();
        trial.snapshot_taken(id, made);
        self.checksum.clear();
        let mut bad = self.book.replace(&cx.levels).is_err();
        let mut crossed = self.book.is_crossed() && !self.may_cross;
        let mut settled = 0;
        for held in &self.held {
            match trial.judge(&held.diff) {
                Verdict::Duplicate | Verdict::Stale => {}
                Verdict::Apply => {
                    bad |= self.book.apply(&held.levels).is_err();
                    trial.applied(&held.diff);
                    crossed |= self.book.is_crossed() && !self.may_cross;
                }
                Verdict::Hold | Verdict::Gap | Verdict::BeforeSnapshot => break,
            }
            settled += 1;
        }
        if crossed || bad {
            self.book.clear();
            self.retry_snapshot(cx, subject, 0);
            if bad {
                return ReplyOutcome::Rejected(RejectReason::Range);
            }
            return ReplyOutcome::Ignored(IgnoreReason::SnapshotCrossed);
        }
        self.sync.snapshot_taken(id, made);
        self.attempts = 0;
        self.taken_at = cx.now.at.mono;
        self.stats.snapshots += 1;
        self.emit(cx, subject, origin, head, None, Source::Rest);
        self.carriers.took(origin.ts_recv);
        self.is_ahead = true;
        for held in self.held.drain(..settled).collect::<Vec<_>>() {
            self.settle(cx, subject, &held);
        }
        self.is_ahead = false;
        // What a newer snapshot still lies before was of before ids fell, or comes again.
        self.drop_held_if(cx, |_, held| held.is_told);
        self.drain(cx, subject, origin);
        ReplyOutcome::Accepted
    }

    /// Asks for a snapshot unless one is on its way. In a recording it comes asked for or not.
    pub(in crate::engine) fn ask_snapshot(&mut self, cx: &mut Context, subject: Subject) {
        if !cx.live || self.request.is_some() || self.retry_at.is_some() || self.sync.id().is_some() {
            return;
        }
        if let Some(rest) = with_protocol!(cx.config.venue, P => P::snapshot(&cx.endpoints.rest, &self.native)) {
            self.request = Some(cx.request(Purpose::Snapshot(subject.id), rest));
        } else {
            // The stream sends one when it is asked for anew. Should that bring none, it is asked again.
            cx.resubscribe.push(subject.id);
            self.awaited_since = Some(cx.now.at.mono);
            self.retry_snapshot(cx, subject, cx.config.deadlines.first_data_ms);
        }
    }

    /// The reply to `request` is here; false if nobody waits for it any more.
    pub(in crate::engine) fn claims(&mut self, request: RequestId) -> bool {
        let own = self.request == Some(request);
        if own {
            self.request = None;
        }
        own
    }

    /// Asks again after a backoff of at least `floor_ms`.
    pub(in crate::engine) fn retry_snapshot(&mut self, cx: &mut Context, subject: Subject, floor_ms: u64) {
        if cx.live && self.retry_at.is_none() {
            let delay = cx.backoff_ms(self.attempts, floor_ms);
            self.attempts = self.attempts.saturating_add(1);
            self.retry_at = Some(cx.now.at.after(delay.saturating_mul(NS_PER_MS.unsigned_abs())).mono);
            cx.arm_in_ms(delay, Timer::Snapshot(subject.id));
        }
    }

    /// The backoff is over.
    pub(in crate::engine) fn on_retry_timeout(&mut self, cx: &mut Context, subject: Subject) {
        if self.retry_at.is_none_or(|at| cx.now.at.mono < at) {
            return;
        }
        self.retry_at = None;
        if !self.carriers.are_mute() || self.sync.rules().snapshot == SnapshotSource::Channel {
            self.ask_snapshot(cx, subject);
        }
    }
}
