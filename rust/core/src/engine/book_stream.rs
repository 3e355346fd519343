//! The order book of one instrument: the sync machine, the levels and the events that wait.

mod held;
mod snapshots;

use std::collections::VecDeque;

use super::carriers::Carriers;
use super::context::{Context, Origin, Subject};
use super::gaps::{self, Finding, OpenGap};
use super::input::RequestId;
use super::verify::{Samples, print_of};
use super::{taken, unconverted};
use crate::book::OrderBook;
use crate::book::checksum::Checksum;
use crate::book::sync::{BookSync, Placed, SnapshotVerdict, SyncRules, Verdict};
use crate::config::Stream;
use crate::event::{BookHead, DecodedLevels, Scales};
use crate::exchange::names::same_text;
use crate::exchange::{Decoded, EventKind, Head, Key, SnapshotSource};
use crate::report::{BookReport, Depth, IgnoreReason, Outcome, RejectReason};
use crate::symbol::ConnId;
use crate::table::{GapCause, GapEvidence, Repaired, Source, flags};
use crate::time::NS_PER_MS;
use held::Held;

/// Counters of one book.
#[derive(Clone, Copy, Debug, Default)]
struct Stats {
    updates: u64,
    accepted: u64,
    stale: u64,
    duplicates: u64,
    before_snapshot: u64,
    heartbeats: u64,
    checksum_pass: u64,
    checksum_fail: u64,
    unverified: u64,
    sequence_resets: u64,
    held: u64,
    dropped: u64,
    gaps: u64,
    healed: u64,
    snapshots: u64,
}

/// When a row of the whole book that was refused is tried again: what it was refused for may stay in the book for hours,
/// and each attempt copies all of it. So at the next change, and then behind twice as many each time.
#[derive(Clone, Copy, Debug, Default)]
struct Retries {
    /// Changes that are left out before the next.
    left: u64,
    /// How often it has failed.
    failed: u32,
}

impl Retries {
    fn failed(&mut self) {
        self.left = 1u64.checked_shl(self.failed).unwrap_or(u64::MAX).saturating_sub(1);
        self.failed = self.failed.saturating_add(1);
    }

    /// A change came.
    fn is_due(&mut self) -> bool {
        let is_due = self.left == 0;
        self.left = self.left.saturating_sub(1);
        is_due
    }
}

/// Why a message cannot be taken into the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    /// A number beyond what a book can hold.
    Range,
    /// Bids at or above offers after an event: the book is not the exchange's, whatever the ids say.
    Crossed,
    /// The exchange's checksum is another.
    Checksum,
}

impl Broken {
    fn finding(self) -> Finding {
        match self {
            Self::Range => Finding::new(GapCause::Overflow, GapEvidence::Count),
            Self::Crossed => Finding::new(GapCause::Missed, GapEvidence::Crossed),
            Self::Checksum => Finding::new(GapCause::Checksum, GapEvidence::Checksum),
        }
    }
}

/// See the module.
pub(super) struct BookStream {
    native: Box<str>,
    sync: BookSync,
    pub book: OrderBook,
    checksum: Checksum,
    /// The market is in a call auction or halted, where bids may meet offers.
    pub may_cross: bool,
    /// The book has changed since it was last sampled.
    pub is_unsampled: bool,
    /// The speed that was taken, where frames name it; the others are ignored until it is over.
    variant: Option<Box<str>>,
    held: VecDeque<Held>,
    pub samples: Samples<Key, u128>,
    /// While the book is live: the table does not have it, and changes of it are left out until a row of the whole is written.
    gap: Option<OpenGap>,
    /// What is missing before the first event that is held behind a live book.
    hole: Option<OpenGap>,
    /// Until when it may be filled.
    heal_until: Option<u64>,
    /// The id of what the book took last, also while it is broken.
    position: Option<i64>,
    /// The id of its last row.
    told: Option<i64>,
    /// Its levels are those behind events whose rows are yet to come.
    is_ahead: bool,
    retries: Retries,
    request: Option<RequestId>,
    /// When the next attempt is due, if one is armed: an earlier timer is void.
    retry_at: Option<u64>,
    /// Since when a snapshot is awaited on the stream itself.
    awaited_since: Option<u64>,
    attempts: u32,
    /// Monotonic time of the last snapshot that was taken.
    taken_at: u64,
    /// Books in a row that soon after their snapshot were not the exchange's.
    refuted: u32,
    stats: Stats,
    pub carriers: Carriers,
}

impl BookStream {
    pub(super) fn new(native: &str, rules: SyncRules) -> Self {
        Self {
            native: native.into(),
            sync: BookSync::new(rules),
            book: OrderBook::new(),
            checksum: Checksum::default(),
            may_cross: false,
            is_unsampled: false,
            variant: None,
            held: VecDeque::new(),
            samples: Samples::default(),
            gap: None,
            hole: None,
            heal_until: None,
            position: None,
            told: None,
            is_ahead: false,
            retries: Retries::default(),
            request: None,
            retry_at: None,
            awaited_since: None,
            attempts: 0,
            taken_at: 0,
            refuted: 0,
            stats: Stats::default(),
            carriers: Carriers::default(),
        }
    }

    /// See [`super::instrument::InstrumentState::take_repeated`].
    #[inline(always)]
    pub(super) fn take_repeated(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        key: Key,
        event: Option<i64>,
        variant: Option<&str>,
    ) -> Option<Outcome> {
        let conn = origin.conn;
        let is_own = variant.is_none_or(|given| self.variant.as_ref().is_some_and(|own| same_text(given, own)));
        let prev = if is_own { self.sync.take_repeated(key, event, conn)? } else { return None };
        self.samples.hear(cx, &mut self.carriers, conn);
        self.carriers.compare_copy(cx, conn, key.last, prev);
        self.stats.updates += 1;
        self.stats.duplicates += 1;
        self.give_up_if_nobody_can_heal(cx, subject, origin);
        Some(Outcome::Duplicate)
    }

    /// Takes a frame that carries a diff. It is decoded only if it is not known yet.
    pub(super) fn on_depth(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        head: &Head<'_>,
        decode: impl FnOnce(Scales, &mut DecodedLevels) -> Decoded<BookHead>,
    ) -> Outcome {
        if !self.takes_variant(cx, subject, origin, head) {
            return Outcome::Ignored(IgnoreReason::OtherVariant);
        }
        self.samples.hear(cx, &mut self.carriers, origin.conn);
        let Some(diff) = self.sync.place(head.key, head.times.event, origin.conn) else {
            return self.before_snapshot(cx, subject);
        };
        if self.sync.is_reset(&diff) {
            self.begin_epoch(cx, subject, origin, diff.key.last, head.times.event);
            self.ask_snapshot(cx, subject);
        } else if let Some(from) = self.sync.followed_from(&diff).filter(|_| !self.held.is_empty()) {
            self.leave_behind(cx, subject, from, diff.key.last);
        }
        let verdict = self.judge(cx, &diff);
        let is_fresh = match verdict {
            Verdict::Apply | Verdict::Gap => true,
            Verdict::Hold => !self.holds(&diff),
            Verdict::Duplicate | Verdict::Stale | Verdict::BeforeSnapshot => false,
        };
        self.carriers.compare(cx, origin.conn, diff.key.last, Some(diff.key.prev), is_fresh);
        let outcome = match verdict {
            Verdict::BeforeSnapshot => {
                self.sync.note(&diff);
                return self.before_snapshot(cx, subject);
            }
            Verdict::Stale => Outcome::Stale,
            _ if !is_fresh => {
                if head.key.is_linked()
                    && cx.config.arbitration.verify.picks(head.key.last)
                    && let Decoded::Event(_) = decode(self.book.scales(), &mut cx.levels)
                {
                    self.compare(cx, subject, origin, head.key);
                }
                // The copy of one that is held comes to what that comes to.
                if verdict == Verdict::Hold { Outcome::Held } else { Outcome::Duplicate }
            }
            _ => match taken(decode(self.book.scales(), &mut cx.levels)) {
                Ok(book_head) => {
                    if head.key.is_linked() && self.samples.wants(cx, head.key.last) {
                        self.samples.keep(cx, origin, head.key, print_of(&cx.levels));
                    }
                    self.take(cx, subject, origin, diff, &book_head, verdict)
                }
                Err(outcome) => return outcome,
            },
        };
        self.stats.updates += 1;
        match outcome {
            Outcome::Duplicate => self.stats.duplicates += 1,
            Outcome::Stale => self.stats.stale += 1,
            Outcome::Held => self.stats.held += 1,
            Outcome::Accepted | Outcome::Ignored(_) | Outcome::Rejected(_) => {}
        }
        self.sync.note(&diff);
        self.give_up_if_nobody_can_heal(cx, subject, origin);
        outcome
    }

    /// Ids have fallen without the exchange's word: the book is not its book any more.
    fn begin_epoch(&mut self, cx: &mut Context, subject: Subject, origin: Origin, id: i64, event: Option<i64>) {
        self.carriers.restart_race();
        self.break_off(cx, subject, origin, Finding::new(GapCause::IdReset, GapEvidence::Chain), None);
        self.sync.begin_epoch(id, event);
        self.drop_held_if(cx, |sync, held| sync.is_of_before(&held.diff));
    }

    /// As the machine does, which knows of connections that have spoken: one that carries the book and has not yet may
    /// bring what is missing, too.
    fn judge(&self, cx: &Context, diff: &Placed) -> Verdict {
        match self.sync.judge(diff) {
            Verdict::Gap if self.sync.is_early(diff) && self.has_mute(cx, diff.conn()) => Verdict::Hold,
            verdict => verdict,
        }
    }

    /// Another connection than `conn` carries the book, as far as is known, and has not brought anything of it.
    fn has_mute(&self, cx: &Context, conn: ConnId) -> bool {
        if cx.live { self.carriers.has_mute(conn) } else { cx.up.iter().any(|c| *c != conn && !self.carriers.has(*c)) }
    }

    /// A copy, in the scratch, against the change of the same cut that was taken.
    #[cold]
    fn compare(&self, cx: &mut Context, subject: Subject, origin: Origin, key: Key) {
        let says = print_of(&cx.levels);
        self.samples.compare(cx, subject, origin, (Stream::L2, key.last), &key, &says, &self.carriers);
    }

    fn take(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        diff: Placed,
        book_head: &BookHead,
        verdict: Verdict,
    ) -> Outcome {
        match verdict {
            Verdict::Apply => {
                match self.apply(&cx.levels, book_head.checksum) {
                    Ok(unknown) => cx.counters.unknown_deletes += unknown as u64,
                    Err(Broken::Range) => return Outcome::Rejected(RejectReason::Range),
                    Err(broken) => {
                        cx.recheck_reference |= broken == Broken::Crossed;
                        self.refute(cx, subject, origin, broken.finding());
                        return self.keep_or_leave(cx, subject, origin, diff, book_head);
                    }
                }
                self.accept(cx, subject, origin, &diff, book_head, None);
                if !self.held.is_empty() {
                    self.drain(cx, subject, origin);
                }
                return unconverted::taken_by_book(cx, subject);
            }
            Verdict::Gap => {
                // What is held before it tells more exactly what is missing.
                let earlier = self.held.iter().map(|held| &held.diff).min_by_key(|held| held.order());
                let first = earlier.filter(|held| held.order() < diff.order()).unwrap_or(&diff);
                let (finding, mut noticed) = (self.hole_before(first), self.hole.take());
                if let Some(hole) = &mut noticed
                    && self.sync.breaks_chain(&diff)
                {
                    hole.lacked_by(origin.conn);
                }
                self.break_off(cx, subject, origin, finding, noticed);
                self.ask_snapshot(cx, subject);
            }
            Verdict::Hold | Verdict::Duplicate | Verdict::Stale | Verdict::BeforeSnapshot => {}
        }
        self.keep_or_leave(cx, subject, origin, diff, book_head)
    }

    /// Keeps the decoded event for a snapshot or a bridge; where the snapshot to come will not need it, leaves it.
    fn keep_or_leave(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        diff: Placed,
        book_head: &BookHead,
    ) -> Outcome {
        let is_early = self.sync.id().is_some();
        if !is_early && self.sync.rules().snapshot == SnapshotSource::Channel {
            return Outcome::Ignored(IgnoreReason::BeforeSnapshot);
        }
        let levels = std::mem::take(&mut cx.levels);
        let (since, breaks_chain) = (cx.now.at.mono, self.sync.breaks_chain(&diff));
        self.hold(cx, Held { diff, head: *book_head, origin, levels, since, breaks_chain, is_told: false, copies: 0 });
        if is_early {
            self.wait_for_bridge(cx, subject);
        } else {
            self.ask_snapshot(cx, subject);
        }
        Outcome::Held
    }

    /// Brings the levels into the book. Yields how many unknown ones were deleted.
    fn apply(&mut self, levels: &DecodedLevels, checksum: Option<i32>) -> Result<usize, Broken> {
        let unknown = self.book.apply(levels).map_err(|_| Broken::Range)?;
        self.verify(levels, checksum)?;
        Ok(unknown)
    }

    /// The book after a message against what the exchange says of it.
    fn verify(&mut self, levels: &DecodedLevels, checksum: Option<i32>) -> Result<(), Broken> {
        if let Some(expected) = checksum {
            self.checksum.note(levels);
            if self.checksum.of(&self.book) != expected {
                self.stats.checksum_fail += 1;
                return Err(Broken::Checksum);
            }
            self.stats.checksum_pass += 1;
        } else if self.stats.checksum_pass > 0 || self.stats.checksum_fail > 0 {
            self.stats.unverified += 1;
        }
        if self.book.is_crossed() && !self.may_cross {
            return Err(Broken::Crossed);
        }
        Ok(())
    }

    /// The diff is in the book: moves the id and emits the row. `levels` is `None` where they are in the scratch.
    fn accept(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        diff: &Placed,
        head: &BookHead,
        levels: Option<&DecodedLevels>,
    ) {
        if self.sync.opens_epoch(diff) {
            // Nothing is missing: the exchange counts anew, and says so.
            self.stats.sequence_resets += 1;
            self.name_fall(cx, subject, origin);
        }
        self.sync.applied(diff);
        self.stats.accepted += 1;
        self.carriers.took(origin.ts_recv);
        if diff.is_keep_alive() && levels.unwrap_or(&cx.levels).is_empty() {
            // A proof of life: a row only if its id has none yet.
            self.stats.heartbeats += 1;
            if self.position == head.last_id {
                return;
            }
        }
        self.emit(cx, subject, origin, head, levels, Source::Ws);
    }

    /// The exchange counts anew, and the book goes on.
    #[cold]
    fn name_fall(&mut self, cx: &mut Context, subject: Subject, origin: Origin) {
        self.carriers.restart_race();
        let finding = Finding::new(GapCause::IdReset, GapEvidence::Chain);
        let gap = OpenGap::open(cx, subject, origin, Stream::L2, finding, &self.carriers);
        gap.close(cx, subject, origin, Repaired::None);
    }

    /// Tells what the book has taken, and ends the gap with the first row of the whole that is written.
    fn emit(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        head: &BookHead,
        levels: Option<&DecodedLevels>,
        source: Source,
    ) {
        self.position = head.last_id;
        self.is_unsampled = true;
        cx.arm_top();
        if self.gap.is_some() && !head.is_snapshot {
            return self.leave_out(cx, subject, origin);
        }
        let written = self.write(cx, subject, origin, head, levels, source);
        if written.is_err() || self.gap.is_some() {
            self.tell_gap(cx, subject, origin, written);
        }
    }

    /// A row of the whole book ends the gap; a row that could not be written begins one, unless one is open.
    #[cold]
    fn tell_gap(&mut self, cx: &mut Context, subject: Subject, origin: Origin, written: Result<(), Finding>) {
        self.gap = match (written, self.gap.take()) {
            (Ok(()), gap) => {
                self.retries = Retries::default();
                if let Some(gap) = gap {
                    gap.close(cx, subject, origin, Repaired::None);
                }
                None
            }
            (Err(finding), None) => {
                self.stats.gaps += 1;
                Some(OpenGap::open(cx, subject, origin, Stream::L2, finding, &self.carriers))
            }
            (Err(_), gap) => gap,
        };
    }

    /// Writes a row. `Err` is what is missing where it cannot be.
    fn write(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        head: &BookHead,
        levels: Option<&DecodedLevels>,
        source: Source,
    ) -> Result<(), Finding> {
        if unconverted::is_needed_for(cx, subject) {
            return Err(Finding::unconverted());
        }
        if !cx.wants(Stream::L2) {
            // The book is only sampled.
            return Ok(());
        }
        let snapshot = if head.is_snapshot { flags::SNAPSHOT } else { 0 };
        let crossed = if self.may_cross && self.book.is_crossed() { flags::BAD_BOOK } else { 0 };
        let width = levels.unwrap_or(&cx.levels).len();
        let row = cx.key(subject, origin, head.times, flags::LAST | snapshot | crossed, width);
        let levels = levels.unwrap_or(&cx.levels);
        let written = cx.batches.book(&row, head, self.told, levels, source, &subject.conversion);
        if let Err(error) = written {
            self.retries.failed();
            return Err(gaps::refused(cx, subject, error));
        }
        self.told = head.last_id;
        Ok(())
    }

    /// A change of a book that the table does not have is no row of it; the whole book may be one again. Where nobody can
    /// convert it, it is tried when somebody can.
    #[cold]
    fn leave_out(&mut self, cx: &mut Context, subject: Subject, origin: Origin) {
        if unconverted::is_needed_for(cx, subject) {
            return;
        }
        if !self.is_ahead && self.retries.is_due() {
            self.checkpoint(cx, subject, origin);
        } else {
            cx.counters.rows_out_of_range += 1;
        }
    }

    /// Takes a full book that came on the stream itself.
    pub(super) fn on_book(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        head: &Head<'_>,
        decode: impl FnOnce(Scales, &mut DecodedLevels) -> Decoded<BookHead>,
    ) -> Outcome {
        if !self.takes_variant(cx, subject, origin, head) {
            return Outcome::Ignored(IgnoreReason::OtherVariant);
        }
        let id = head.key.last;
        if self.leaves_behind(cx, origin.conn, head) {
            self.suspend(cx, subject, Origin { conn: ConnId::NONE, ..origin }, Finding::silent());
            self.dismiss();
        }
        self.samples.hear(cx, &mut self.carriers, origin.conn);
        if self.sync.is_reset_by(id, head.times.event, origin.conn) {
            self.begin_epoch(cx, subject, origin, id, head.times.event);
        }
        let verdict = self.sync.judge_channel_snapshot(id, head.times.event, origin.conn);
        if verdict == SnapshotVerdict::Known {
            self.sync.note_snapshot(id, head.times.event, origin.conn);
            return Outcome::Ignored(IgnoreReason::SnapshotKnown);
        }
        let book_head = match taken(decode(self.book.scales(), &mut cx.levels)) {
            Ok(head) => head,
            Err(outcome) => return outcome,
        };
        if verdict == SnapshotVerdict::Bridges {
            // Nobody has filled the hole yet, and here is the book behind it.
            self.declare_hole(cx, subject, origin);
        }
        self.checksum.clear();
        let taken = self.book.replace(&cx.levels).map_err(|_| Broken::Range);
        if let Err(broken) = taken.and_then(|()| self.verify(&cx.levels, book_head.checksum)) {
            self.book.clear();
            self.break_off(cx, subject, origin, broken.finding(), None);
            cx.recheck_reference |= broken == Broken::Crossed;
            self.retry_at = None;
            self.retry_snapshot(cx, subject, 0);
            return Outcome::Rejected(match broken {
                Broken::Checksum => RejectReason::Checksum,
                Broken::Crossed => RejectReason::Crossed,
                Broken::Range => RejectReason::Range,
            });
        }
        if self.sync.lies_below(id, head.times.event) {
            self.name_fall(cx, subject, origin);
        }
        self.sync.channel_snapshot_taken(id, head.times.event, origin.conn);
        self.attempts = 0;
        self.taken_at = cx.now.at.mono;
        self.retry_at = None;
        self.awaited_since = None;
        self.stats.snapshots += 1;
        self.emit(cx, subject, origin, &book_head, None, Source::Ws);
        self.carriers.took(origin.ts_recv);
        self.drain(cx, subject, origin);
        unconverted::taken_by_book(cx, subject)
    }

    /// Ids in a chain cannot be counted, only bounded: whatever is missing ends in `(book's id, prev]`.
    /// Where ids have fallen meanwhile, not even that.
    fn hole_before(&self, diff: &Placed) -> Finding {
        let ids = self.sync.id().map(|id| (id.saturating_add(1), diff.key.prev)).filter(|(first, last)| first <= last);
        Finding { ids, ..Finding::new(GapCause::Missed, GapEvidence::Chain) }
    }

    /// The book is no longer the exchange's: names the gap and asks for a snapshot.
    fn fail(&mut self, cx: &mut Context, subject: Subject, origin: Origin, finding: Finding) {
        self.break_off(cx, subject, origin, finding, None);
        self.ask_snapshot(cx, subject);
    }

    /// The book does not stand its test: names the gap and asks for a snapshot. At once, since that may be chance; one that
    /// fails again soon after each snapshot is asked for with the backoff of other retries.
    fn refute(&mut self, cx: &mut Context, subject: Subject, origin: Origin, finding: Finding) {
        self.break_off(cx, subject, origin, finding, None);
        let has_lasted = cx.config.deadlines.backoff_cap_ms.saturating_mul(NS_PER_MS.unsigned_abs());
        if cx.now.at.mono.saturating_sub(self.taken_at) >= has_lasted {
            self.refuted = 0;
        }
        if self.refuted == 0 {
            self.ask_snapshot(cx, subject);
        } else {
            self.attempts = self.refuted;
            self.retry_snapshot(cx, subject, 0);
        }
        self.refuted = self.refuted.saturating_add(1);
    }

    /// Names the gap, `noticed` before or now. What is held waits for the next snapshot, or is dropped where that will
    /// not need it.
    fn break_off(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        finding: Finding,
        noticed: Option<OpenGap>,
    ) {
        if self.sync.id().is_some() {
            self.stats.gaps += 1;
            if self.gap.is_none() {
                self.gap = Some(match noticed {
                    Some(mut gap) => {
                        gap.finding = finding;
                        gap.declare(cx, subject, origin, &self.carriers);
                        gap
                    }
                    None => OpenGap::open(cx, subject, origin, Stream::L2, finding, &self.carriers),
                });
            }
        }
        (self.hole, self.heal_until) = (None, None);
        self.sync.broken();
        if self.sync.rules().snapshot == SnapshotSource::Channel {
            self.drop_held(cx);
        }
    }

    /// A connection is gone. If it was the last, the book's continuity is, too.
    pub(super) fn on_conn_down(&mut self, cx: &mut Context, subject: Subject, origin: Origin, finding: Finding) {
        self.sync.forget(origin.conn);
        // In a recording a snapshot may have come before anybody spoke.
        let is_left_alone = !cx.live && self.carriers.conns().len() == 0 && cx.up.is_empty();
        if self.carriers.forget(origin.conn) || is_left_alone {
            self.suspend(cx, subject, origin, finding);
        } else {
            self.give_up_if_nobody_can_heal(cx, subject, origin);
        }
    }

    /// Whatever comes next does not follow what was: drops what is held; the next event asks for a snapshot.
    pub(super) fn suspend(&mut self, cx: &mut Context, subject: Subject, origin: Origin, finding: Finding) {
        self.drop_held(cx);
        (self.hole, self.heal_until) = (None, None);
        let never_spoke = finding.is_from_the_first() && !self.sync.has_been_live();
        if (self.sync.id().is_some() || never_spoke) && self.gap.is_none() {
            self.stats.gaps += 1;
            self.gap = Some(OpenGap::open(cx, subject, origin, Stream::L2, finding, &self.carriers));
        }
        self.sync.broken();
        self.awaited_since = None;
        self.request = None;
    }

    /// Nobody asks for the book any more: it begins anew when somebody does again.
    pub(super) fn end(&mut self, cx: &mut Context, subject: Subject, origin: Origin) {
        self.drop_held(cx);
        if let Some(gap) = self.gap.take() {
            gap.close(cx, subject, origin, Repaired::None);
        }
        *self = Self::new(&self.native.clone(), self.sync.rules());
    }

    /// Tells the whole book, so that it can be rebuilt from there alone: every stored day, or behind a gap.
    pub(super) fn checkpoint(&mut self, cx: &mut Context, subject: Subject, origin: Origin) {
        if self.sync.id().is_none() {
            return;
        }
        let mut levels = std::mem::take(&mut cx.levels);
        self.book.copy_to(&mut levels);
        let head = BookHead { is_snapshot: true, last_id: self.position, ..BookHead::default() };
        let is_unsampled = self.is_unsampled;
        let origin = Origin { conn: ConnId::NONE, ..origin };
        self.emit(cx, subject, origin, &head, Some(&levels), Source::Checkpoint);
        // The book is as it was.
        self.is_unsampled = is_unsampled;
        cx.levels = levels;
    }

    /// Whether a frame of this speed belongs to the book. Where the speed that was taken is over, so is its book, and the
    /// next begins with what a book can begin with.
    #[inline]
    fn takes_variant(&mut self, cx: &mut Context, subject: Subject, origin: Origin, head: &Head<'_>) -> bool {
        match (head.variant, &self.variant) {
            (None, _) => true,
            (Some(given), Some(own)) if same_text(given, own) => true,
            (Some(given), _) => self.takes_other(cx, subject, origin, given, head.kind == EventKind::Book),
        }
    }

    #[cold]
    fn takes_other(&mut self, cx: &mut Context, subject: Subject, origin: Origin, given: &str, is_whole: bool) -> bool {
        if self.variant.is_some() {
            if !self.carriers.is_over(cx, is_whole) {
                return false;
            }
            let begins = is_whole || self.sync.rules().snapshot == SnapshotSource::Rest;
            if self.carriers.conns().len() > 0 && (begins || self.sync.id().is_some()) {
                self.suspend(cx, subject, Origin { conn: ConnId::NONE, ..origin }, Finding::silent());
            }
            if !begins {
                return false;
            }
            self.dismiss();
        }
        self.variant = Some(given.into());
        true
    }

    fn dismiss(&mut self) {
        for conn in self.carriers.dismiss() {
            self.sync.forget(conn);
        }
        self.samples.forget();
    }

    /// Where sizes of ids tell no order, a snapshot below the book may only lag. Not in a recording, where connections come
    /// and go untold, if those that brought the book have long been silent: then ids fell meanwhile.
    fn leaves_behind(&self, cx: &Context, conn: ConnId, head: &Head<'_>) -> bool {
        let may_be = !cx.live && self.carriers.spoke(conn).is_none() && self.carriers.are_silent(cx);
        may_be && self.sync.lies_below(head.key.last, head.times.event)
    }

    /// It has seen a diff or a snapshot.
    pub(super) fn is_known(&self) -> bool {
        self.stats.updates > 0 || self.stats.snapshots > 0
    }

    /// The book's id, where it is live.
    pub(super) fn id(&self) -> Option<i64> {
        self.sync.id()
    }

    pub(super) fn report(&self, exchange: &str, symbol: &str) -> BookReport {
        let (bid, ask) = self.book.len();
        let text = |(price, size): (crate::decimal::Decimal, crate::decimal::Decimal)| {
            (price.trimmed().to_string(), size.trimmed().to_string())
        };
        BookReport {
            exchange: exchange.to_owned(),
            symbol: symbol.to_owned(),
            native_symbol: self.native.to_string(),
            state: self.sync.state().name().to_owned(),
            last_id: self.position,
            levels: Depth { bid, ask },
            top10_bid: self.book.bids().take(10).map(text).collect(),
            top10_ask: self.book.asks().take(10).map(text).collect(),
            updates: self.stats.updates,
            accepted: self.stats.accepted,
            stale: self.stats.stale,
            duplicates: self.stats.duplicates,
            before_snapshot: self.stats.before_snapshot,
            heartbeats: self.stats.heartbeats,
            checksum_pass: self.stats.checksum_pass,
            checksum_fail: self.stats.checksum_fail,
            unverified: self.stats.unverified,
            sequence_resets: self.stats.sequence_resets,
            held: self.stats.held,
            dropped: self.stats.dropped,
            in_flight: self.in_flight(),
            gaps: self.stats.gaps,
            healed: self.stats.healed,
            snapshots: self.stats.snapshots,
            resyncs: self.stats.snapshots.saturating_sub(1),
        }
    }
}
