//! What an instrument is worth beside its book: newer wins within each feed.

use super::carriers::Carriers;
use super::context::{Context, Origin, Subject};
use super::copies::{Content, Copies};
use super::gaps::{self, Finding, OpenGap};
use crate::arbiter::{Latest, LatestWins};
use crate::config::Stream;
use crate::event::{State, StateRow};
use crate::report::{IgnoreReason, Outcome};
use crate::symbol::ConnId;
use crate::table::{Repaired, flags};

/// One of the streams `derivatives`, `options` and `liquidations` of one instrument.
pub(super) struct StateStream {
    stream: Stream,
    /// The last row of each feed, by its number.
    feeds: Vec<(u8, LatestWins<State>)>,
    /// Of liquidations, which have no order.
    copies: Copies,
    gap: Option<OpenGap>,
    /// Of feeds of which nothing is told while others speak.
    untold: Vec<(u8, OpenGap)>,
    /// When each feed last spoke on each connection, fresh or not.
    spoke: Vec<(u8, ConnId, u64)>,
    pub carriers: Carriers,
}

impl StateStream {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            feeds: Vec::new(),
            copies: Copies::default(),
            gap: None,
            untold: Vec::new(),
            spoke: Vec::new(),
            carriers: Carriers::default(),
        }
    }

    /// Takes a decoded row. `is_last` of its message.
    pub(super) fn take(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        row: &StateRow,
        is_last: bool,
    ) -> Outcome {
        self.note(origin.conn, row.feed, cx.now.at.mono);
        // Liquidations are events: each is news, unless it is a copy. Without a time there is nothing to compare by.
        if let State::Liquidation(liquidation) = &row.state {
            let content = Content::of_liquidation(row.times.event, liquidation);
            if self.copies.is_copy(cx, subject, origin, self.stream, content, &self.carriers) {
                return Outcome::Duplicate;
            }
        } else if let Some(time) = row.times.event {
            let verdict = self.feed(row.feed).take(time, origin.conn, row.state);
            self.carriers.compare(cx, origin.conn, Self::key(row.feed, time), None, verdict == Latest::Newer);
            if let Some(outcome) = dropped(verdict) {
                return outcome;
            }
        }
        if let Some(gap) = self.gap.take() {
            gap.close(cx, subject, origin, Repaired::None);
        }
        if let Some(at) = self.untold.iter().position(|(feed, _)| *feed == row.feed) {
            self.untold.remove(at).1.close(cx, subject, origin, Repaired::None);
        }
        self.emit(cx, subject, origin, row, is_last);
        self.carriers.took(origin.ts_recv);
        Outcome::Accepted
    }

    /// Takes a row that no connection brought: it says nothing of them, nor that what they lack is there again.
    pub(super) fn take_polled(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        row: &StateRow,
        is_last: bool,
    ) -> Outcome {
        let verdict = row.times.event.map(|time| self.feed(row.feed).take(time, origin.conn, row.state));
        if let Some(outcome) = verdict.and_then(dropped) {
            return outcome;
        }
        self.emit(cx, subject, origin, row, is_last);
        Outcome::Accepted
    }

    fn emit(&self, cx: &mut Context, subject: Subject, origin: Origin, row: &StateRow, is_last: bool) {
        let key = cx.key(subject, origin, row.times, if is_last { flags::LAST } else { 0 }, 1);
        let written = match &row.state {
            State::Derivative(derivative) => cx.batches.derivative(&key, derivative, &subject.conversion),
            State::Option(option) => cx.batches.option(&key, option, &subject.conversion),
            State::Liquidation(liquidation) => cx.batches.liquidation(&key, liquidation, &subject.conversion),
        };
        if let Err(error) = written {
            gaps::row_refused(cx, subject, origin, self.stream, &self.carriers, error);
        }
    }

    /// What a row comes to by its head: `None` where it may be news, `Some(None)` where its feed never spoke.
    #[inline]
    pub(super) fn outcome_of(&self, feed: u8, time: i64, conn: ConnId) -> Option<Option<Outcome>> {
        match self.check(feed, time, conn) {
            None => Some(None),
            Some(verdict) => dropped(verdict).map(Some),
        }
    }

    /// What the head of a row tells against the last row of its feed; `None` where that never spoke.
    fn check(&self, feed: u8, time: i64, conn: ConnId) -> Option<Latest> {
        self.feeds.iter().find(|(number, _)| *number == feed).map(|(_, latest)| latest.check(time, conn))
    }

    /// Counts a row that was dropped by its head.
    pub(super) fn note_copy(&mut self, cx: &mut Context, origin: Origin, feed: u8, time: i64) {
        if let Some((_, latest)) = self.feeds.iter_mut().find(|(number, _)| *number == feed) {
            latest.drop_unseen(latest.check(time, origin.conn));
            self.note(origin.conn, feed, cx.now.at.mono);
            self.carriers.compare_copy(cx, origin.conn, Self::key(feed, time), i64::MAX);
        }
    }

    /// A row of a feed came.
    fn note(&mut self, conn: ConnId, feed: u8, mono: u64) {
        self.carriers.note(conn, mono);
        match self.spoke.iter_mut().find(|(of, on, _)| (*of, *on) == (feed, conn)) {
            Some((_, _, spoke)) => *spoke = mono,
            None => self.spoke.push((feed, conn, mono)),
        }
    }

    /// Monotonic time of the last row of a feed on a connection that carries it.
    pub(super) fn spoke(&self, feed: u8, conn: ConnId) -> Option<u64> {
        self.spoke.iter().find(|(of, on, _)| (*of, *on) == (feed, conn)).map(|(_, _, spoke)| *spoke)
    }

    /// Times are whole milliseconds: beside each there is room for the numbers of the feeds.
    fn key(feed: u8, time: i64) -> i64 {
        time.saturating_add(feed.into())
    }

    fn feed(&mut self, number: u8) -> &mut LatestWins<State> {
        let at = match self.feeds.iter().position(|(feed, _)| *feed == number) {
            Some(at) => at,
            None => {
                self.feeds.push((number, LatestWins::new()));
                self.feeds.len() - 1
            }
        };
        &mut self.feeds[at].1
    }

    /// A connection is gone. If it was the last, a gap is open until the next row.
    pub(super) fn on_conn_down(&mut self, cx: &mut Context, subject: Subject, origin: Origin, finding: Finding) {
        self.spoke.retain(|(_, conn, _)| *conn != origin.conn);
        if self.carriers.forget(origin.conn) {
            self.suspend(cx, subject, origin, finding);
        }
    }

    /// Opens a gap that closes with the next row. A stream that is silent has one though it never spoke.
    pub(super) fn suspend(&mut self, cx: &mut Context, subject: Subject, origin: Origin, finding: Finding) {
        let spoke = self.carriers.last_good.is_some();
        if self.gap.is_none() && (spoke || finding.is_from_the_first()) {
            self.gap = Some(OpenGap::open(cx, subject, origin, self.stream, finding, &self.carriers));
        }
    }

    /// A feed is silent that should speak, on every connection that carries it: a gap until it does, whatever comes of the
    /// others. Of a stream that has a gap nothing more is missing.
    pub(super) fn suspend_feed(&mut self, cx: &mut Context, subject: Subject, origin: Origin, feed: u8) {
        self.open_feed(cx, subject, origin, feed, Finding::silent());
    }

    /// A row of a feed is left out, since nobody can convert it: it speaks, and has a gap until a row of it is told.
    pub(super) fn leave_out(&mut self, cx: &mut Context, subject: Subject, origin: Origin, feed: u8) {
        self.note(origin.conn, feed, cx.now.at.mono);
        self.open_feed(cx, subject, origin, feed, Finding::unconverted());
    }

    fn open_feed(&mut self, cx: &mut Context, subject: Subject, origin: Origin, feed: u8, finding: Finding) {
        if self.gap.is_none() && self.untold.iter().all(|(untold, _)| *untold != feed) {
            self.untold.push((feed, OpenGap::open(cx, subject, origin, self.stream, finding, &self.carriers)));
        }
    }

    /// Nobody asks for the states any more.
    pub(super) fn end(&mut self, cx: &mut Context, subject: Subject, origin: Origin) {
        let untold = std::mem::take(&mut self.untold).into_iter().map(|(_, gap)| gap);
        for gap in self.gap.take().into_iter().chain(untold) {
            gap.close(cx, subject, origin, Repaired::None);
        }
        self.copies.end(cx);
        *self = Self::new(self.stream);
    }
}

/// What a row comes to that is no news.
#[inline]
fn dropped(verdict: Latest) -> Option<Outcome> {
    match verdict {
        Latest::Newer | Latest::SameId => None,
        Latest::Duplicate => Some(Outcome::Duplicate),
        Latest::Older => Some(Outcome::Ignored(IgnoreReason::OlderState)),
    }
}
