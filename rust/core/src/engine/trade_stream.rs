//! The trades of one instrument: each id once, in order of arrival; what is missing is named.

use super::carriers::Carriers;
use super::context::{Context, Origin, Subject};
use super::gaps::{self, Finding, OpenGap};
use super::timers::Timer;
use crate::arbiter::{SequenceWindow, Verdict, window::Seen};
use crate::config::{Stream, TradeSource};
use crate::event::{Scales, Trade};
use crate::exchange::{Decoded, EventKind, Head};
use crate::report::IgnoreReason;
use crate::report::Outcome;
use crate::symbol::ConnId;
use crate::table::{GapCause, GapEvidence, Repaired, flags};
use crate::time::NS_PER_MS;

/// Ids that did not come, first and last.
#[derive(Clone, Copy, Debug)]
struct Hole {
    first: i64,
    last: i64,
}

impl Hole {
    fn len(self) -> i64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }
}

/// Ids that another connection may still bring.
#[derive(Clone, Copy, Debug)]
struct Awaited {
    hole: Hole,
    until: u64,
    last_good: i64,
}

/// See the module.
pub(super) struct TradeStream {
    /// The feed that was taken; the other one is ignored.
    kind: Option<EventKind>,
    window: SequenceWindow,
    /// Event time of the highest id.
    high_event: Option<i64>,
    gap: Option<OpenGap>,
    awaited: Vec<Awaited>,
    pub scales: Scales,
    pub carriers: Carriers,
}

impl TradeStream {
    pub(super) fn new(source: TradeSource) -> Self {
        Self {
            kind: match source {
                TradeSource::Auto => None,
                TradeSource::AggTrade => Some(EventKind::AggTrade),
                TradeSource::Trade => Some(EventKind::Trade),
            },
            window: SequenceWindow::default(),
            high_event: None,
            gap: None,
            awaited: Vec::new(),
            scales: Scales::default(),
            carriers: Carriers::default(),
        }
    }

    /// Takes a frame that carries one trade (or one row of fills). It is decoded only if its id is fresh.
    pub(super) fn on_trade<'a>(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        head: &Head<'_>,
        decode: impl FnOnce(Scales) -> Decoded<Trade<'a>>,
    ) -> Outcome {
        if *self.kind.get_or_insert(head.kind) != head.kind {
            return Outcome::Ignored(IgnoreReason::OtherTradeSource);
        }
        self.carriers.note(origin.conn, cx.now.at.mono);
        let mut reset = false;
        match self.window.check(head.key.last, head.key.last) {
            Verdict::Fresh | Verdict::PartlyKnown => {}
            Verdict::Known => {
                self.window.insert(head.key.last);
                return Outcome::Duplicate;
            }
            Verdict::TooOld => {
                reset = matches!((head.times.event, self.high_event), (Some(now), Some(then)) if now > then);
                if !reset {
                    self.window.insert(head.key.last);
                    return Outcome::Ignored(IgnoreReason::TooOld);
                }
            }
        }
        let trade = match decode(self.scales) {
            Decoded::Event(trade) => trade,
            // It is no trade, and its id is used up all the same.
            Decoded::Ignored(reason @ (IgnoreReason::NotMarket | IgnoreReason::ZeroPriceOrSize)) => {
                self.admit(cx, subject, origin, head, reset);
                return Outcome::Ignored(reason);
            }
            Decoded::Ignored(reason) => return Outcome::Ignored(reason),
            Decoded::Rejected(reason) => return Outcome::Rejected(reason),
            Decoded::Miss => return Outcome::Ignored(IgnoreReason::UnknownType),
        };
        self.admit(cx, subject, origin, head, reset);
        self.scales.price = self.scales.price.max(trade.price.scale);
        self.scales.size = self.scales.size.max(trade.size.scale);
        let aggregated = if head.kind == EventKind::AggTrade { flags::AGGREGATED } else { 0 };
        let key = cx.key(subject, origin, trade.times, flags::LAST | aggregated, 1);
        if cx.batches.trade(&key, &trade).is_err() {
            gaps::row_refused(cx, subject, origin, Stream::Trades, self.carriers.last_good);
        }
        self.carriers.last_good = origin.ts_recv;
        Outcome::Accepted
    }

    /// Marks the id as seen and names the hole before it.
    fn admit(&mut self, cx: &mut Context, subject: Subject, origin: Origin, head: &Head<'_>, reset: bool) {
        if reset {
            self.reset(cx, subject, origin);
        }
        let hole = match self.window.insert(head.key.last) {
            Seen::Jump { first_missing, last_missing } => Some(Hole { first: first_missing, last: last_missing }),
            Seen::New | Seen::Repaired | Seen::Duplicate | Seen::TooOld => None,
        };
        if self.window.high() == Some(head.key.last) {
            self.high_event = head.times.event;
        }
        if let Some(mut gap) = self.gap.take() {
            gap.finding.missing = Some(hole.map_or(0, Hole::len));
            gap.finding.ids = hole.map(|hole| (hole.first, hole.last));
            gap.close(cx, subject, origin, Repaired::None);
        } else if let Some(hole) = hole {
            if self.carriers.others(origin.conn) {
                let wait = cx.config.book.heal_window_ms;
                let until = cx.now.at.mono.saturating_add(wait.saturating_mul(NS_PER_MS.unsigned_abs()));
                let last_good = self.carriers.last_good;
                self.awaited.push(Awaited { hole, until, last_good });
                cx.arm_in_ms(wait, Timer::HealTrades(subject.id));
            } else {
                self.declare(cx, subject, origin, hole, self.carriers.last_good);
            }
        }
    }

    /// Awaited ids whose time is over are gaps.
    pub(super) fn on_heal_timeout(&mut self, cx: &mut Context, subject: Subject) {
        let now = cx.now.at;
        let origin = Origin { ts_recv: now.wall, suspect: 0, conn: ConnId::NONE };
        let awaited = std::mem::take(&mut self.awaited);
        for wait in awaited {
            if wait.until > now.mono {
                self.awaited.push(wait);
                continue;
            }
            let missing: Vec<(i64, i64)> = self.window.missing_in(wait.hole.first, wait.hole.last).collect();
            for (first, last) in missing {
                self.declare(cx, subject, origin, Hole { first, last }, wait.last_good);
            }
        }
    }

    /// A hole that stays: both rows at once, since the stream goes on.
    fn declare(&self, cx: &mut Context, subject: Subject, origin: Origin, hole: Hole, last_good: i64) {
        let finding = Finding {
            cause: GapCause::Missed,
            evidence: GapEvidence::Sequence,
            ids: Some((hole.first, hole.last)),
            missing: Some(hole.len()),
        };
        OpenGap::open(cx, subject, origin, Stream::Trades, finding, last_good).close(
            cx,
            subject,
            origin,
            Repaired::None,
        );
    }

    /// Ids fell: a new epoch, named.
    fn reset(&mut self, cx: &mut Context, subject: Subject, origin: Origin) {
        self.window.reset();
        self.awaited.clear();
        let finding = Finding::new(GapCause::IdReset, GapEvidence::Sequence);
        let gap = self
            .gap
            .take()
            .unwrap_or_else(|| OpenGap::open(cx, subject, origin, Stream::Trades, finding, self.carriers.last_good));
        gap.close(cx, subject, origin, Repaired::None);
    }

    /// A connection is gone. If it was the last, what follows is unknown until the stream speaks again.
    pub(super) fn on_conn_down(&mut self, cx: &mut Context, subject: Subject, origin: Origin, finding: Finding) {
        if self.carriers.forget(origin.conn) {
            self.suspend(cx, subject, origin, finding);
        }
    }

    /// Opens a gap that closes with the next trade.
    pub(super) fn suspend(&mut self, cx: &mut Context, subject: Subject, origin: Origin, finding: Finding) {
        if self.gap.is_none() && self.window.high().is_some() {
            self.gap = Some(OpenGap::open(cx, subject, origin, Stream::Trades, finding, self.carriers.last_good));
        }
    }

    /// Its ids count single fills, not aggregates.
    pub(super) fn counts_fills(&self) -> bool {
        self.kind == Some(EventKind::Trade)
    }

    /// The highest id seen.
    pub(super) fn high(&self) -> Option<i64> {
        self.window.high()
    }
}
