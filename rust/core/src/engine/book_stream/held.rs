//! Events that wait for a snapshot or for the bridge over a hole.

use super::{BookStream, Finding};
use crate::book::sync::{BookSync, Placed, SyncState, Verdict};
use crate::config::Stream;
use crate::engine::context::{Context, Origin, Subject};
use crate::engine::gaps::OpenGap;
use crate::engine::timers::Timer;
use crate::engine::unconverted;
use crate::event::{BookHead, DecodedLevels};
use crate::symbol::ConnId;
use crate::table::{GapCause, GapEvidence, Repaired};
use crate::time::NS_PER_MS;

/// A decoded event that waits for a snapshot or a bridge.
pub(super) struct Held {
    pub diff: Placed,
    pub head: BookHead,
    pub origin: Origin,
    pub levels: DecodedLevels,
    /// Monotonic time of its frame.
    pub since: u64,
    /// Its connection has left out what comes before it.
    pub breaks_chain: bool,
    /// What is missing before it has been told.
    pub is_told: bool,
    /// Frames that said the same since, whose levels nobody needs: they come to what it comes to.
    pub copies: u64,
}

impl Held {
    /// Frames that wait with it.
    fn frames(&self) -> u64 {
        self.copies.saturating_add(1)
    }
}

impl BookStream {
    /// Emits or counts a held event that the book has taken already or does not need. Where it is stale so are its copies:
    /// the snapshot has them all.
    pub(super) fn settle(&mut self, cx: &mut Context, subject: Subject, held: &Held) {
        let repeats = match self.sync.judge(&held.diff) {
            Verdict::Apply => {
                cx.counters.held_came_to(unconverted::taken_by_book(cx, subject));
                self.accept(cx, subject, held.origin, &held.diff, &held.head, Some(&held.levels));
                held.copies
            }
            Verdict::Stale => {
                cx.counters.held_outdated(held.frames());
                self.stats.stale += held.frames();
                0
            }
            Verdict::Duplicate | Verdict::Hold | Verdict::Gap | Verdict::BeforeSnapshot => held.frames(),
        };
        cx.counters.held_repeated(repeats);
        self.stats.duplicates += repeats;
    }

    /// The book has come further by an event of `bringer`: takes what is held as far as it follows without a hole.
    pub(super) fn drain(&mut self, cx: &mut Context, subject: Subject, bringer: Origin) {
        self.held.make_contiguous().sort_by_key(|held| held.diff.order());
        while let Some(held) = self.next_held() {
            let origin = held.origin;
            let finding = match self.judge(cx, &held.diff) {
                Verdict::Duplicate | Verdict::Stale => {
                    self.hole_is_filled(cx, subject, bringer);
                    self.settle(cx, subject, &held);
                    continue;
                }
                Verdict::Apply => match self.apply(&held.levels, held.head.checksum) {
                    Ok(_) => {
                        self.hole_is_filled(cx, subject, bringer);
                        self.settle(cx, subject, &held);
                        continue;
                    }
                    Err(broken) => {
                        self.held.push_front(held);
                        return self.refute(cx, subject, origin, broken.finding());
                    }
                },
                Verdict::Gap => Some(self.hole_before(&held.diff)),
                Verdict::Hold | Verdict::BeforeSnapshot => None,
            };
            self.held.push_front(held);
            match finding {
                Some(finding) => self.fail(cx, subject, origin, finding),
                None => self.wait_for_bridge(cx, subject),
            }
            return;
        }
        self.sync.bridged_over();
    }

    /// Something is held behind a hole: nothing waits longer than the heal window.
    pub(super) fn wait_for_bridge(&mut self, cx: &mut Context, subject: Subject) {
        self.sync.holding();
        let Some(first) = self.held.iter().min_by_key(|held| held.diff.order()) else { return };
        if self.hole.is_none() {
            let mut hole = OpenGap::notice(first.origin, Stream::L2, self.hole_before(&first.diff), &self.carriers);
            if first.breaks_chain {
                hole.lacked_by(first.origin.conn);
            }
            self.hole = Some(hole);
        }
        let since = self.held.iter().map(|held| held.since).min().unwrap_or(cx.now.at.mono);
        let wait = cx.config.book.heal_window_ms.saturating_mul(NS_PER_MS.unsigned_abs());
        let until = since.saturating_add(wait);
        if self.heal_until.replace(until) != Some(until) {
            cx.timers.arm(until, Timer::Heal(subject.id));
        }
    }

    /// The first, or the one that follows the book: where ids may fall, times only guess at the order.
    fn next_held(&mut self) -> Option<Held> {
        let following = self.held.iter().position(|held| self.sync.is_followed_by(&held.diff));
        self.held.remove(following.unwrap_or(0))
    }

    /// The hole before the first held event is no more. It is told where a connection had left it out, and not only
    /// came where others had yet to come.
    fn hole_is_filled(&mut self, cx: &mut Context, subject: Subject, bringer: Origin) {
        self.heal_until = None;
        if let Some(hole) = self.hole.take().filter(OpenGap::is_lacked) {
            self.stats.healed += 1;
            hole.close(cx, subject, bringer, Repaired::Connection);
        }
    }

    /// Keeps an event that waits; the oldest make room, the newest is always kept.
    pub(super) fn hold(&mut self, cx: &mut Context, held: Held) {
        let limits = cx.config.book;
        let mut levels = held.levels.len() + self.held.iter().map(|held| held.levels.len()).sum::<usize>();
        while self.held.len() >= limits.max_held_events || levels > limits.max_held_levels {
            let Some(oldest) = self.held.pop_front() else { break };
            levels -= oldest.levels.len();
            self.drop_one(cx, &oldest);
        }
        self.held.push_back(held);
    }

    /// It is held already, mostly from another connection. Which may have left out the same.
    pub(super) fn holds(&mut self, diff: &Placed) -> bool {
        let Some(held) = self.held.iter_mut().rev().find(|held| held.diff.is_copy_of(diff)) else { return false };
        held.copies = held.copies.saturating_add(1);
        if self.sync.breaks_chain(diff)
            && let Some(hole) = &mut self.hole
        {
            hole.lacked_by(diff.conn());
        }
        true
    }

    /// When the hole that it waits to be filled is declared.
    pub(in crate::engine) fn heals_until(&self) -> Option<u64> {
        self.heal_until
    }

    /// The hole has had its time to be filled.
    pub(in crate::engine) fn on_heal_timeout(&mut self, cx: &mut Context, subject: Subject) {
        if self.sync.state() == SyncState::Holding && self.heal_until.is_some_and(|until| cx.now.at.mono >= until) {
            self.give_up(cx, subject, Origin { ts_recv: cx.now.at.wall, suspect: 0, conn: ConnId::NONE });
        }
    }

    #[inline]
    pub(super) fn give_up_if_nobody_can_heal(&mut self, cx: &mut Context, subject: Subject, origin: Origin) {
        let may_heal = self.sync.may_heal(ConnId::NONE) || self.has_mute(cx, ConnId::NONE);
        if self.sync.state() == SyncState::Holding && !may_heal {
            self.give_up(cx, subject, origin);
        }
    }

    fn give_up(&mut self, cx: &mut Context, subject: Subject, origin: Origin) {
        self.declare_hole(cx, subject, origin);
        self.ask_snapshot(cx, subject);
    }

    /// What is held follows a hole that nobody filled: names it.
    pub(super) fn declare_hole(&mut self, cx: &mut Context, subject: Subject, origin: Origin) {
        let first = self.held.iter().min_by_key(|held| held.diff.order());
        let finding = match first {
            Some(held) => self.hole_before(&held.diff),
            None => Finding::new(GapCause::Missed, GapEvidence::Chain),
        };
        let noticed = self.hole.take();
        self.break_off(cx, subject, origin, finding, noticed);
        self.held.iter_mut().for_each(|held| held.is_told = true);
    }

    /// Ids fell behind `from` and are at `to` now: what waits for what was before waits for nothing.
    #[cold]
    pub(super) fn leave_behind(&mut self, cx: &mut Context, subject: Subject, from: i64, to: i64) {
        self.drop_held_if(cx, |_, held| {
            let id = held.diff.key.last;
            id.abs_diff(from) < id.abs_diff(to)
        });
        (self.hole, self.heal_until) = (None, None);
        if self.held.is_empty() {
            self.sync.bridged_over();
        } else if self.sync.state() == SyncState::Holding {
            self.wait_for_bridge(cx, subject);
        }
    }

    /// Drops what will never follow.
    pub(super) fn drop_held_if(&mut self, cx: &mut Context, is_useless: impl Fn(&BookSync, &Held) -> bool) {
        for held in std::mem::take(&mut self.held) {
            if is_useless(&self.sync, &held) {
                self.drop_one(cx, &held);
            } else {
                self.held.push_back(held);
            }
        }
    }

    pub(super) fn drop_held(&mut self, cx: &mut Context) {
        self.drop_held_if(cx, |_, _| true);
    }

    fn drop_one(&mut self, cx: &mut Context, held: &Held) {
        self.stats.dropped += held.frames();
        cx.counters.held_dropped(held.frames());
    }

    /// Frames that wait.
    pub(super) fn in_flight(&self) -> u64 {
        self.held.iter().map(Held::frames).sum()
    }
}
