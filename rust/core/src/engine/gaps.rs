//! A gap is two rows with one `gap_id`: at detection and at closing. A hole that was filled in time gets both at once.

use super::carriers::Carriers;
use super::context::{Context, Origin, Subject};
use crate::batch::{GapRow, RowError};
use crate::config::{ConfigError, Stream};
use crate::event::EventTimes;
use crate::symbol::ConnId;
use crate::table::{GapCause, GapEvidence, GapScope, GapUnit, Repaired, flags};

/// What is known of a hole when it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub cause: GapCause,
    pub evidence: GapEvidence,
    /// Ids among which the missing ones lie.
    pub ids: Option<(i64, i64)>,
    /// How many are missing, where the exchange's ids can be counted.
    pub missing: Option<i64>,
}

impl Finding {
    /// A hole of unknown size.
    pub(super) fn new(cause: GapCause, evidence: GapEvidence) -> Self {
        Self { cause, evidence, ids: None, missing: None }
    }

    /// What is left out while nobody has told what a contract is worth.
    pub(super) fn unconverted() -> Self {
        Self::new(GapCause::Overflow, GapEvidence::Shell)
    }

    /// The feed that was taken has gone silent while another goes on.
    pub(super) fn silent() -> Self {
        Self::new(GapCause::Silence, GapEvidence::Clock)
    }

    /// Something is missing of a stream though it never spoke: it should have, or has and was left out.
    pub(super) fn is_from_the_first(&self) -> bool {
        self.cause == GapCause::Silence || *self == Self::unconverted()
    }
}

/// Something that is missing. Noticed, it may still be filled; declared, it has its first row; closed, its second.
#[derive(Clone, Debug)]
pub(super) struct OpenGap {
    /// Its number, once it is declared, and under which name: both of its rows bear that.
    id: Option<(i64, Subject)>,
    stream: Stream,
    /// What was found; may grow until the gap is closed.
    pub finding: Finding,
    last_good: Option<i64>,
    detected: i64,
    /// The connections that lack it; all that carried the stream where a timer found it.
    conns: Vec<ConnId>,
}

impl OpenGap {
    /// Notices that something is missing which may still come: no row yet. Nobody is known to have left it out.
    pub(super) fn notice(origin: Origin, stream: Stream, finding: Finding, carriers: &Carriers) -> Self {
        let (last_good, detected) = (carriers.last_good, origin.ts_recv);
        Self { id: None, stream, finding, last_good, detected, conns: Vec::new() }
    }

    /// Declares a gap: the first of its two rows.
    pub(super) fn open(
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        stream: Stream,
        finding: Finding,
        carriers: &Carriers,
    ) -> Self {
        let mut gap = Self::notice(origin, stream, finding, carriers);
        if origin.conn != ConnId::NONE {
            gap.conns.push(origin.conn);
        }
        gap.declare(cx, subject, origin, carriers);
        gap
    }

    /// A part of it, to be told by itself.
    pub(super) fn part(&self, finding: Finding) -> Self {
        Self { id: None, finding, ..self.clone() }
    }

    /// This connection left it out.
    pub(super) fn lacked_by(&mut self, conn: ConnId) {
        if !self.conns.contains(&conn) {
            self.conns.push(conn);
        }
    }

    /// A connection is known to have left it out. Else one only came where others have yet to come.
    pub(super) fn is_lacked(&self) -> bool {
        !self.conns.is_empty()
    }

    pub(super) fn is_declared(&self) -> bool {
        self.id.is_some()
    }

    /// Nobody can be expected to bring it: the first row, unless it is written.
    pub(super) fn declare(&mut self, cx: &mut Context, subject: Subject, origin: Origin, carriers: &Carriers) {
        if self.id.is_none() {
            if self.conns.is_empty() {
                self.conns.extend(carriers.conns());
            }
            cx.counters.gaps += 1;
            self.write_first(cx, subject, origin);
        }
    }

    /// Closes it: the second row. What was filled before it was declared gets both rows now.
    pub(super) fn close(mut self, cx: &mut Context, subject: Subject, origin: Origin, repaired: Repaired) {
        if self.id.is_none() {
            match repaired {
                Repaired::None => cx.counters.gaps += 1,
                Repaired::Connection | Repaired::Rest | Repaired::Peer => cx.counters.healed += 1,
            }
            self.write_first(cx, subject, origin);
        }
        // A wall clock may have been set back meanwhile, a gap never ends before it was found.
        self.emit(cx, origin, Some(origin.ts_recv.max(self.detected)), repaired);
    }

    fn write_first(&mut self, cx: &mut Context, subject: Subject, origin: Origin) {
        self.id = Some((cx.gap_id(), subject));
        self.emit(cx, origin, None, Repaired::None);
    }

    fn emit(&self, cx: &mut Context, origin: Origin, resumed: Option<i64>, repaired: Repaired) {
        let Some((gap_id, subject)) = self.id else { return };
        let key = cx.key(subject, origin, EventTimes::default(), flags::LAST, 1);
        let written = cx.batches.gap(
            &key,
            &GapRow {
                gap_id,
                stream: self.stream.table(),
                scope: if self.stream == Stream::L2 { GapScope::Book } else { GapScope::Stream },
                cause: self.finding.cause,
                evidence: self.finding.evidence,
                missing: self.finding.missing,
                // Liquidations that are told by trades are missing among so many of these.
                missing_unit: self.finding.missing.map(|_| match (self.stream, self.finding.evidence) {
                    (Stream::Trades, _) | (Stream::Liquidations, GapEvidence::Sequence) => GapUnit::Trades,
                    _ => GapUnit::Updates,
                }),
                first_missing: self.finding.ids.map(|(first, _)| first),
                last_missing: self.finding.ids.map(|(_, last)| last),
                ts_last_good: self.last_good,
                ts_detected: self.detected,
                ts_resumed: resumed,
                repaired,
                conn_ids: &self.conns,
            },
        );
        if written.is_err() {
            cx.counters.rows_out_of_range += 1;
        }
    }
}

/// A row with a number that the chosen type cannot hold was not written: counted. Where a recording has one of an inverse
/// contract, the type cannot hold any of them: that is for the user to decide.
#[cold]
pub(super) fn refused(cx: &mut Context, subject: Subject, error: RowError) -> Finding {
    if error == RowError::QuotientInFixed && (!cx.live || cx.config.begun_for.is_some()) {
        let (exchange, symbol) = (subject.exchange.id(), cx.batches.text(subject.symbol).to_owned());
        cx.fault.get_or_insert(ConfigError::Quotients { exchange, symbol });
    }
    cx.counters.rows_out_of_range += 1;
    Finding::new(GapCause::Overflow, GapEvidence::Count)
}

/// The same, of a row that no other needs: dated by a gap of one row.
#[cold]
pub(super) fn row_refused(
    cx: &mut Context,
    subject: Subject,
    origin: Origin,
    stream: Stream,
    carriers: &Carriers,
    error: RowError,
) {
    let finding = Finding { missing: Some(1), ..refused(cx, subject, error) };
    OpenGap::open(cx, subject, origin, stream, finding, carriers).close(cx, subject, origin, Repaired::None);
}

/// Two things were told under one id, of which the first stands: both rows at once, since nothing is missing.
#[cold]
pub(super) fn conflict(
    cx: &mut Context,
    subject: Subject,
    origin: Origin,
    stream: Stream,
    id: i64,
    conns: Vec<ConnId>,
    carriers: &Carriers,
) {
    let finding = Finding { ids: Some((id, id)), ..Finding::new(GapCause::Conflict, GapEvidence::Content) };
    let mut gap = OpenGap::notice(origin, stream, finding, carriers);
    gap.conns = conns;
    gap.close(cx, subject, origin, Repaired::None);
}
