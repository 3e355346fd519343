//! What an exchange tells of an instrument by REST alone (Binance futures: open interest): asked for instrument by
//! instrument, evenly over the interval, so that requests never come in bursts. Live only.
//!
//! A row of it is one of its stream, and says nothing of the connections: it closes no gap of theirs. A reply that fails is
//! counted, and the instrument's turn comes again.

use super::context::{Origin, Purpose};
use super::input::HttpReply;
use super::timers::Timer;
use super::{Engine, admit};
use crate::config::{Stream, offers};
use crate::event::StateRows;
use crate::exchange::{Protocol, RestRequest, with_protocol};
use crate::report::{IgnoreReason, Outcome, RejectReason, ReplyOutcome};
use crate::symbol::InstrumentId;

/// The stream that is told so.
const STREAM: Stream = Stream::Derivatives;
/// Time from the start to the first request: what begins a book comes before.
const SETTLE_MS: u64 = 1_000;
/// Requests on their way at once.
const UNDER_WAY: usize = 4;
/// The part of the exchange's budget that is left to others: one in so many.
const SHARE: u64 = 2;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Polls {
    /// Who was asked for last.
    last: Option<InstrumentId>,
    under_way: usize,
}

impl Engine {
    /// Begins, where there is something to ask for.
    pub(super) fn arm_polls(&mut self) {
        let is_told = with_protocol!(self.cx.config.venue, P => P::poll("", "", STREAM)).is_some();
        if is_told && self.cx.wants(STREAM) && self.cx.config.open_interest_interval_s > 0 {
            self.cx.arm_in_ms(SETTLE_MS, Timer::Poll);
        }
    }

    /// The turn of the next instrument.
    pub(super) fn on_poll_timeout(&mut self) {
        let (mut first, mut next, mut among) = (None, None, 0u64);
        for state in self.instruments.iter().filter(|state| !state.has_ended) {
            among += 1;
            let at = Some((state.subject.id, &state.native));
            first = first.or(at);
            next = next.or(at.filter(|(id, _)| Some(*id) > self.cx.polls.last));
        }
        let interval_ms = self.cx.config.open_interest_interval_s.saturating_mul(1_000);
        let Some((id, native)) = next.or(first) else { return self.cx.arm_in_ms(SETTLE_MS, Timer::Poll) };
        let rest = &self.cx.endpoints.rest;
        let (asked, limits) = with_protocol!(self.cx.config.venue, P => (P::poll(rest, native, STREAM), P::LIMITS));
        let Some(asked) = asked else { return };
        let every_ms = (interval_ms / among).max(least_ms(&asked, limits.rest_window_ms, limits.rest_weight));
        self.cx.arm_in_ms(every_ms, Timer::Poll);
        if self.cx.polls.under_way < UNDER_WAY {
            self.cx.polls.last = Some(id);
            self.cx.polls.under_way += 1;
            self.cx.request(Purpose::Poll(Some(id)), asked);
        }
    }

    /// A state is here, or could not be had; `asked` is whose it should be, unless a recording does not say.
    pub(super) fn on_poll_reply(
        &mut self,
        origin: Origin,
        asked: Option<InstrumentId>,
        reply: &HttpReply<'_>,
    ) -> ReplyOutcome {
        self.cx.polls.under_way = self.cx.polls.under_way.saturating_sub(usize::from(asked.is_some()));
        if !self.cx.wants(STREAM) {
            return ReplyOutcome::Ignored(IgnoreReason::UnrequestedStream);
        }
        if reply.status != 200 {
            return ReplyOutcome::Rejected(RejectReason::Status);
        }
        let mut states = std::mem::take(&mut self.cx.states);
        states.clear();
        let outcome = match with_protocol!(self.cx.config.venue, P => P::read_poll(reply.body, &mut states)) {
            Ok(()) => self.on_polled(origin, asked, &states),
            Err(reason) => ReplyOutcome::Rejected(reason),
        };
        self.cx.states = states;
        outcome
    }

    fn on_polled(&mut self, origin: Origin, asked: Option<InstrumentId>, states: &StateRows) -> ReplyOutcome {
        let mut outcome = ReplyOutcome::Rejected(RejectReason::Schema);
        for (n, row) in states.rows.iter().enumerate() {
            let Self { cx, instruments, registry, .. } = self;
            let native = states.texts.get(row.native);
            // Who was removed while the request was on its way is nobody's.
            if asked.is_some_and(|id| instruments.get(id).is_some_and(|state| *state.native != *native)) {
                return ReplyOutcome::Rejected(RejectReason::Schema);
            }
            let told = match admit(cx, instruments, registry, origin, native, STREAM) {
                Ok(state) if offers(state.subject.exchange, STREAM) => {
                    let subject = state.subject;
                    state.states(STREAM).take_polled(cx, subject, origin, row, n + 1 == states.rows.len())
                }
                Ok(_) => Outcome::Ignored(IgnoreReason::UnrequestedStream),
                Err(outcome) => outcome,
            };
            outcome = match told {
                Outcome::Ignored(reason) => ReplyOutcome::Ignored(reason),
                Outcome::Rejected(reason) => ReplyOutcome::Rejected(reason),
                _ => ReplyOutcome::Accepted,
            };
        }
        outcome
    }
}

/// The least time between two such requests.
fn least_ms(asked: &RestRequest, window_ms: u64, weight: u32) -> u64 {
    window_ms.saturating_mul(SHARE).saturating_mul(asked.weight.into()).div_ceil(u64::from(weight.max(1)))
}
