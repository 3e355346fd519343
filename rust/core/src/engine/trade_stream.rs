//! The trades of one instrument: each id once, in order of arrival; what is missing is named.

use super::carriers::Carriers;
use super::context::{Context, Origin, Subject};
use super::gaps::{self, Finding, OpenGap};
use super::taken;
use super::timers::Timer;
use crate::arbiter::{SequenceWindow, Verdict};
use crate::batch::RowKey;
use crate::config::{Stream, TradeSource};
use crate::event::{Liquidated, Liquidation, Scales, Texts, Trade, TradeRow, TradeRows};
use crate::exchange::{Decoded, EventKind, Head, Key};
use crate::report::IgnoreReason;
use crate::report::Outcome;
use crate::symbol::ConnId;
use crate::table::{GapCause, GapEvidence, Repaired, Side, flags};
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
    /// As it was when they were missed.
    last_good: Option<i64>,
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

    /// Takes a frame that carries trades. It is decoded only if one of its ids is fresh.
    pub(super) fn on_trades(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        head: &Head<'_>,
        decode: impl FnOnce(Scales, &mut TradeRows) -> Decoded<()>,
    ) -> Outcome {
        if *self.kind.get_or_insert(head.kind) != head.kind {
            return Outcome::Ignored(IgnoreReason::OtherTradeSource);
        }
        self.carriers.note(origin.conn, cx.now.at.mono);
        let Key { first, last, .. } = head.key;
        let verdict = self.window.check(first, last);
        if first <= last {
            let is_fresh = matches!(verdict, Verdict::Fresh | Verdict::PartlyKnown);
            self.carriers.compare(cx, origin.conn, last, Some(first.saturating_sub(1)), is_fresh);
        }
        match verdict {
            Verdict::Fresh | Verdict::PartlyKnown => {}
            Verdict::Known => {
                self.window.insert_range(first, last);
                return Outcome::Duplicate;
            }
            Verdict::TooOld => {
                if !self.is_later(head.times.event) {
                    self.window.insert_range(first, last);
                    return Outcome::Ignored(IgnoreReason::TooOld);
                }
            }
        }
        let mut trades = std::mem::take(&mut cx.trades);
        trades.clear();
        let outcome = match taken(decode(self.scales, &mut trades)) {
            Ok(()) => self.take(cx, subject, origin, head.kind, &trades.rows, &trades.texts, flags::LAST),
            Err(outcome) => outcome,
        };
        cx.trades = trades;
        outcome
    }

    /// Takes a single trade of a message of several instruments, that no head has judged. One without the ids of the
    /// feed belongs to whichever there is.
    pub(super) fn on_row(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        row: &TradeRow,
        texts: &Texts,
        last_flag: u8,
    ) -> Outcome {
        if row.has_ids() && *self.kind.get_or_insert(EventKind::Trade) != EventKind::Trade {
            return Outcome::Ignored(IgnoreReason::OtherTradeSource);
        }
        self.carriers.note(origin.conn, cx.now.at.mono);
        self.take(cx, subject, origin, EventKind::Trade, std::slice::from_ref(row), texts, last_flag)
    }

    /// Ids fell while the exchange's time went on: not a late copy.
    fn is_later(&self, event: Option<i64>) -> bool {
        matches!((event, self.high_event), (Some(now), Some(then)) if now > then)
    }

    /// Takes the decoded trades of one message: those that are known already are left out one by one. The last one
    /// that is taken gets `last_flag`.
    #[allow(clippy::too_many_arguments)]
    fn take(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        kind: EventKind,
        rows: &[TradeRow],
        texts: &Texts,
        last_flag: u8,
    ) -> Outcome {
        let aggregated = if kind == EventKind::AggTrade { flags::AGGREGATED } else { 0 };
        let mut outcome = Outcome::Duplicate;
        // Which row is the last of the message is only known behind it.
        let mut waiting: Option<(RowKey, &Trade)> = None;
        for row in rows {
            let event = row.trade.as_ref().ok().and_then(|trade| trade.times.event);
            if row.has_ids() && self.window.check(row.first, row.last) == Verdict::TooOld && self.is_later(event) {
                self.reset(cx, subject, origin);
            }
            // A row known by its last id is known whole: folds are the same on every connection.
            let known = row.has_ids() && self.window.check(row.last, row.last) != Verdict::Fresh;
            self.admit(cx, subject, origin, (row.first, row.last), event);
            match &row.trade {
                _ if known => {}
                // It is no trade, and its ids are used up all the same.
                Err(reason) if outcome == Outcome::Duplicate => outcome = Outcome::Ignored(*reason),
                Err(_) => {}
                Ok(trade) => {
                    self.scales.price = self.scales.price.max(trade.price.scale);
                    self.scales.size = self.scales.size.max(trade.size.scale);
                    let key = cx.key(subject, origin, trade.times, aggregated, 1);
                    if let Some((key, trade)) = waiting.replace((key, trade)) {
                        self.emit(cx, subject, origin, &key, trade, texts);
                    }
                }
            }
        }
        if let Some((mut key, trade)) = waiting {
            key.flags |= last_flag;
            self.emit(cx, subject, origin, &key, trade, texts);
            self.carriers.took(origin.ts_recv);
            outcome = Outcome::Accepted;
        }
        outcome
    }

    fn emit(&mut self, cx: &mut Context, subject: Subject, origin: Origin, key: &RowKey, trade: &Trade, texts: &Texts) {
        if cx.config.streams.contains(&Stream::Trades)
            && cx.batches.trade(key, trade, texts, &subject.conversion).is_err()
        {
            gaps::row_refused(cx, subject, origin, Stream::Trades, &self.carriers);
        }
        if let Some(liquidated) = trade.liquidated
            && cx.config.streams.contains(&Stream::Liquidations)
        {
            self.emit_liquidation(cx, subject, origin, trade, liquidated);
        }
    }

    /// The exchange tells liquidations by their trades alone: a row for each position that was closed.
    #[cold]
    fn emit_liquidation(
        &self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        trade: &Trade,
        liquidated: Liquidated,
    ) {
        let other = match trade.side {
            Side::Buy => Side::Sell,
            Side::Sell => Side::Buy,
            Side::Unknown => Side::Unknown,
        };
        let sides: &[Side] = match liquidated {
            Liquidated::Taker => &[trade.side],
            Liquidated::Maker => &[other],
            Liquidated::Both => &[trade.side, other],
        };
        for side in sides {
            let row = Liquidation { id: trade.seq, side: *side, price: trade.price, size: trade.size };
            let key = cx.key(subject, origin, trade.times, flags::LAST, 1);
            if cx.batches.liquidation(&key, &row, &subject.conversion).is_err() {
                gaps::row_refused(cx, subject, origin, Stream::Liquidations, &self.carriers);
            }
        }
    }

    /// Marks ids as seen and names the hole before them. `first` above `last` is a trade without such ids.
    fn admit(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        (first, last): (i64, i64),
        event: Option<i64>,
    ) {
        if first > last {
            return;
        }
        let hole = self.window.insert_range(first, last).jump.map(|(first, last)| Hole { first, last });
        if self.window.high() == Some(last) {
            self.high_event = event.or(self.high_event);
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
    fn declare(&self, cx: &mut Context, subject: Subject, origin: Origin, hole: Hole, last_good: Option<i64>) {
        let finding = Finding {
            cause: GapCause::Missed,
            evidence: GapEvidence::Sequence,
            ids: Some((hole.first, hole.last)),
            missing: Some(hole.len()),
        };
        let mut carriers = self.carriers.clone();
        carriers.last_good = last_good;
        OpenGap::open(cx, subject, origin, Stream::Trades, finding, &carriers).close(
            cx,
            subject,
            origin,
            Repaired::None,
        );
    }

    /// Ids fell: a new epoch, named.
    fn reset(&mut self, cx: &mut Context, subject: Subject, origin: Origin) {
        self.window.reset();
        self.carriers.restart_race();
        self.high_event = None;
        self.awaited.clear();
        let finding = Finding::new(GapCause::IdReset, GapEvidence::Sequence);
        let gap = self
            .gap
            .take()
            .unwrap_or_else(|| OpenGap::open(cx, subject, origin, Stream::Trades, finding, &self.carriers));
        gap.close(cx, subject, origin, Repaired::None);
    }

    /// A connection is gone. If it was the last, what follows is unknown until the stream speaks again.
    pub(super) fn on_conn_down(&mut self, cx: &mut Context, subject: Subject, origin: Origin, finding: Finding) {
        if self.carriers.forget(origin.conn) {
            self.suspend(cx, subject, origin, finding);
        }
    }

    /// Opens a gap that closes with the next trade. A stream that is silent has one though it never spoke.
    pub(super) fn suspend(&mut self, cx: &mut Context, subject: Subject, origin: Origin, finding: Finding) {
        if self.gap.is_none() && (self.window.high().is_some() || finding.cause == GapCause::Silence) {
            self.gap = Some(OpenGap::open(cx, subject, origin, Stream::Trades, finding, &self.carriers));
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
