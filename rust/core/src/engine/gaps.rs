//! A gap is two rows with one `gap_id`: at detection and at closing.

use super::carriers::Carriers;
use super::context::{Context, Origin, Subject};
use crate::batch::GapRow;
use crate::config::Stream;
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
}

/// A gap that has been declared and not yet closed.
#[derive(Clone, Debug)]
pub(super) struct OpenGap {
    id: i64,
    stream: Stream,
    /// What was found; may grow until the gap is closed.
    pub finding: Finding,
    last_good: Option<i64>,
    detected: i64,
    /// The connection that showed it; all that carried the stream where a timer did.
    conns: Vec<ConnId>,
}

impl OpenGap {
    /// Declares a gap: the first of its two rows.
    pub(super) fn open(
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        stream: Stream,
        finding: Finding,
        carriers: &Carriers,
    ) -> Self {
        let conns = if origin.conn == ConnId::NONE { carriers.conns().to_vec() } else { vec![origin.conn] };
        let (id, detected) = (cx.gap_id(), origin.ts_recv);
        let gap = Self { id, stream, finding, last_good: carriers.last_good, detected, conns };
        cx.counters.gaps += 1;
        gap.emit(cx, subject, origin, None, Repaired::None);
        gap
    }

    /// Closes it: the second row.
    pub(super) fn close(self, cx: &mut Context, subject: Subject, origin: Origin, repaired: Repaired) {
        self.emit(cx, subject, origin, Some(origin.ts_recv), repaired);
    }

    fn emit(&self, cx: &mut Context, subject: Subject, origin: Origin, resumed: Option<i64>, repaired: Repaired) {
        let key = cx.key(subject, origin, EventTimes::default(), flags::LAST, 1);
        let written = cx.batches.gap(
            &key,
            &GapRow {
                gap_id: self.id,
                stream: self.stream.table(),
                scope: if self.stream == Stream::L2 { GapScope::Book } else { GapScope::Stream },
                cause: self.finding.cause,
                evidence: self.finding.evidence,
                missing: self.finding.missing,
                missing_unit: self.finding.missing.map(|_| match self.stream {
                    Stream::Trades => GapUnit::Trades,
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

/// A row with a number that the chosen type cannot hold was not written: counted, and dated by a gap of one row.
#[cold]
pub(super) fn row_refused(cx: &mut Context, subject: Subject, origin: Origin, stream: Stream, carriers: &Carriers) {
    cx.counters.rows_out_of_range += 1;
    let finding = Finding { missing: Some(1), ..Finding::new(GapCause::Overflow, GapEvidence::Count) };
    OpenGap::open(cx, subject, origin, stream, finding, carriers).close(cx, subject, origin, Repaired::None);
}
