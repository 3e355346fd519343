//! The best bid and offer of one instrument: newer wins.

use super::carriers::Carriers;
use super::context::{Context, Origin, Subject};
use super::gaps::{self, Finding, OpenGap};
use super::taken;
use super::verify::Samples;
use crate::arbiter::{Age, Epochs, Latest, LatestWins, Told};
use crate::config::Stream;
use crate::decimal::Decimal;
use crate::event::{Bbo, Scales};
use crate::exchange::{Decoded, Head, Key};
use crate::report::IgnoreReason;
use crate::report::Outcome;
use crate::symbol::ConnId;
use crate::table::{GapCause, GapEvidence, Repaired, flags};

/// What a quote says, whatever its times.
type Says = (Option<(Decimal, Decimal)>, Option<(Decimal, Decimal)>);

/// See the module.
#[derive(Default)]
pub(super) struct QuoteStream {
    latest: LatestWins<Says>,
    epochs: Epochs,
    last: Option<Bbo>,
    pub samples: Samples<i64, Says>,
    gap: Option<OpenGap>,
    pub scales: Scales,
    pub carriers: Carriers,
}

impl QuoteStream {
    /// See [`super::instrument::InstrumentState::take_repeated`].
    #[inline(always)]
    pub(super) fn take_repeated(
        &mut self,
        cx: &mut Context,
        conn: ConnId,
        key: Key,
        event: Option<i64>,
    ) -> Option<Outcome> {
        let told = told(cx, key, event);
        let verdict = self.latest.check(told.id, conn);
        let outcome = match verdict {
            Latest::Duplicate => Outcome::Duplicate,
            Latest::Older => Outcome::Ignored(IgnoreReason::OlderQuote),
            Latest::Newer | Latest::SameId => return None,
        };
        if !self.epochs.note_copy(conn, told) {
            return None;
        }
        self.samples.hear(cx, &mut self.carriers, conn);
        self.carriers.compare_copy(cx, conn, told.id, i64::MAX);
        self.latest.drop_unseen(verdict);
        Some(outcome)
    }

    fn check(&self, age: Age, told: Told, conn: ConnId) -> Latest {
        match age {
            Age::Past => Latest::Older,
            Age::Present => self.latest.check(told.id, conn),
            Age::Next => Latest::Newer,
        }
    }

    /// Takes a frame that carries a quote. It is decoded only if its id is not old.
    pub(super) fn on_quote(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        head: &Head<'_>,
        decode: impl FnOnce(Scales) -> Decoded<Bbo>,
    ) -> Outcome {
        self.samples.hear(cx, &mut self.carriers, origin.conn);
        let told = told(cx, head.key, head.times.event);
        let age = self.epochs.judge(origin.conn, told);
        let verdict = self.check(age, told, origin.conn);
        if age == Age::Present {
            self.carriers.compare(cx, origin.conn, told.id, None, verdict == Latest::Newer);
        }
        match verdict {
            Latest::Newer | Latest::SameId => {}
            Latest::Duplicate | Latest::Older => {
                self.epochs.note(origin.conn, told, age);
                self.latest.drop_unseen(verdict);
                // Also one that newer ones have overtaken.
                if age == Age::Present
                    && cx.config.arbitration.verify.picks(told.id)
                    && let Decoded::Event(copy) = decode(self.scales)
                {
                    self.compare(cx, subject, origin, &copy);
                }
                let is_older = verdict == Latest::Older;
                return if is_older { Outcome::Ignored(IgnoreReason::OlderQuote) } else { Outcome::Duplicate };
            }
        }
        let bbo = match taken(decode(self.scales)) {
            Ok(bbo) => bbo,
            Err(outcome) => return outcome,
        };
        self.epochs.note(origin.conn, told, age);
        if age == Age::Next {
            self.latest.reset();
            self.carriers.restart_race();
            self.carriers.compare(cx, origin.conn, told.id, None, true);
            let finding = Finding::new(GapCause::IdReset, GapEvidence::Sequence);
            self.suspend(cx, subject, origin, finding);
        }
        if self.latest.take(told.id, origin.conn, (bbo.bid, bbo.ask)) == Latest::Duplicate {
            return Outcome::Duplicate;
        }
        if let Some(gap) = self.gap.take() {
            gap.close(cx, subject, origin, Repaired::None);
        }
        for (price, size) in [bbo.bid, bbo.ask].into_iter().flatten() {
            self.scales.price = self.scales.price.max(price.scale);
            self.scales.size = self.scales.size.max(size.scale);
        }
        let key = cx.key(subject, origin, bbo.times, flags::LAST | flags::TOP, 1);
        if let Err(error) = cx.batches.bbo(&key, &bbo, &subject.conversion) {
            gaps::row_refused(cx, subject, origin, Stream::Bbo, &self.carriers, error);
        }
        if let Some(id) = bbo.update_id
            && self.samples.wants(cx, told.id)
        {
            self.samples.keep(cx, origin, id, (bbo.bid, bbo.ask));
        }
        self.last = Some(bbo);
        self.carriers.took(origin.ts_recv);
        Outcome::Accepted
    }

    /// A copy against the quote that was taken. A time is no id: two quotes of one millisecond may well differ.
    #[cold]
    fn compare(&self, cx: &mut Context, subject: Subject, origin: Origin, copy: &Bbo) {
        if let Some(id) = copy.update_id {
            let (of, says) = ((Stream::Bbo, id), (copy.bid, copy.ask));
            self.samples.compare(cx, subject, origin, of, &id, &says, &self.carriers);
        }
    }

    /// A connection is gone. If it was the last, a gap is open until the next quote.
    pub(super) fn on_conn_down(&mut self, cx: &mut Context, subject: Subject, origin: Origin, finding: Finding) {
        self.epochs.forget(origin.conn);
        if self.carriers.forget(origin.conn) {
            self.suspend(cx, subject, origin, finding);
        }
    }

    /// Opens a gap that closes with the next quote. A stream that is silent has one though it never spoke.
    pub(super) fn suspend(&mut self, cx: &mut Context, subject: Subject, origin: Origin, finding: Finding) {
        if self.gap.is_none() && (self.last.is_some() || finding.is_from_the_first()) {
            self.gap = Some(OpenGap::open(cx, subject, origin, Stream::Bbo, finding, &self.carriers));
        }
    }

    /// Nobody asks for the quotes any more.
    pub(super) fn end(&mut self, cx: &mut Context, subject: Subject, origin: Origin) {
        if let Some(gap) = self.gap.take() {
            gap.close(cx, subject, origin, Repaired::None);
        }
        *self = Self::default();
    }

    /// The last quote.
    pub(super) fn last(&self) -> Option<&Bbo> {
        self.last.as_ref()
    }
}

/// What a head says of the age of its quote. Where the id is a time, its fall is all that tells of a fall.
#[inline(always)]
fn told(cx: &Context, key: Key, event: Option<i64>) -> Told {
    Told { id: key.last, event: event.filter(|_| key.is_linked()), mono: cx.now.at.mono }
}
