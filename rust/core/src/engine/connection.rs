//! One connection of a live engine: open, subscribe, be answered, hear data, come back.

use super::context::{Context, Now};
use super::input::{Action, ConnDown, DownReason};
use super::timers::Timer;
use crate::config::Stream;
use crate::exchange::{Answer, Protocol, with_protocol};
use crate::symbol::{ConnId, InstrumentId};
use crate::table::{GapCause, flags};
use crate::time::NS_PER_MS;

/// A connection that stayed up this long starts its backoff anew: one that is accepted and cut at once does not.
const STABLE_MS: u64 = 10_000;
/// Shortest wait after a close code that means "you ask too much" (§6: 1008; 1013 is "try again later").
const PENALTY_MS: u64 = 5_000;

/// A stream that a connection was asked to carry.
#[derive(Clone, Debug)]
pub(super) struct Subscribed {
    pub instrument: InstrumentId,
    pub stream: Stream,
    pub name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Down,
    Opening,
    Up,
    Closing,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub id: ConnId,
    url: String,
    pub streams: Vec<Subscribed>,
    state: State,
    up_since: u64,
    /// How often it came up: timers of an earlier session are void.
    session: u64,
    /// Monotonic time of the last data frame (of the upgrade, before the first).
    last_data: u64,
    /// Latest receive time: it never falls on one connection.
    last_recv: Option<i64>,
    attempt: u32,
    next_request: u64,
    awaited: Option<u64>,
    /// Why the engine itself closed it.
    closing: Option<GapCause>,
}

impl Connection {
    pub(super) fn new(id: ConnId, url: String, streams: Vec<Subscribed>) -> Self {
        Self {
            id,
            url,
            streams,
            state: State::Down,
            up_since: 0,
            session: 0,
            last_data: 0,
            last_recv: None,
            attempt: 0,
            next_request: 0,
            awaited: None,
            closing: None,
        }
    }

    /// It is up, and has been since the session of that number began.
    pub(super) fn is_in_session(&self, session: u64) -> bool {
        self.state == State::Up && self.session == session
    }

    /// Monotonic time of the last upgrade.
    pub(super) fn up_since(&self) -> u64 {
        self.up_since
    }

    /// Wishes to be opened.
    pub(super) fn open(&mut self, cx: &mut Context) {
        if self.state == State::Down {
            self.state = State::Opening;
            cx.actions.push_back(Action::Open { conn: self.id, url: self.url.clone() });
        }
    }

    /// The upgrade was accepted: asks for its streams.
    pub(super) fn on_up(&mut self, cx: &mut Context) {
        self.state = State::Up;
        self.up_since = cx.now.at.mono;
        self.session += 1;
        self.last_data = cx.now.at.mono;
        self.closing = None;
        if self.streams.is_empty() {
            return;
        }
        let id = self.await_answer(cx);
        let names: Vec<&str> = self.streams.iter().map(|s| s.name.as_str()).collect();
        let text = with_protocol!(cx.config.venue, P => P::subscribe(&names, id));
        cx.actions.push_back(Action::Send { conn: self.id, text });
        cx.arm_in_ms(cx.config.deadlines.first_data_ms, Timer::Watch(self.id, self.session));
        cx.arm_in_ms(cx.config.deadlines.silence_ms, Timer::Silence(self.id, self.session));
    }

    /// It is down: arms the next attempt. Yields the cause for the gaps of its streams.
    pub(super) fn on_down(&mut self, cx: &mut Context, down: &ConnDown) -> GapCause {
        let now = cx.now.at.mono;
        let stable =
            self.state == State::Up && now.saturating_sub(self.up_since) >= STABLE_MS * NS_PER_MS.unsigned_abs();
        self.attempt = if stable { 0 } else { self.attempt.saturating_add(1) };
        self.state = State::Down;
        self.awaited = None;
        let too_much = down.reason == DownReason::Closed && matches!(down.code, Some(1008 | 1013));
        let floor = down.retry_after_ms.unwrap_or(if too_much { PENALTY_MS } else { 0 });
        if cx.live {
            let delay = cx.backoff_ms(self.attempt, floor);
            cx.arm_in_ms(delay, Timer::Reconnect(self.id));
        }
        self.closing.take().unwrap_or(GapCause::Disconnect)
    }

    /// A data frame came.
    #[inline]
    pub(super) fn on_data(&mut self, now: Now) {
        self.last_data = now.at.mono;
    }

    /// The receive time of an input on this connection, clamped so that it never falls.
    #[inline]
    pub(super) fn clamp(&mut self, wall: i64) -> (i64, u8) {
        match self.last_recv {
            Some(last) if wall < last => (last, flags::RECV_SUSPECT),
            _ => {
                self.last_recv = Some(wall);
                (wall, 0)
            }
        }
    }

    /// An answer came. A refusal costs the connection: the exchange drops it itself, or would deliver nothing.
    pub(super) fn on_answer(&mut self, cx: &mut Context, answer: &Answer) {
        match answer {
            Answer::Refused { .. } => self.close(cx, GapCause::Disconnect, "subscription refused"),
            Answer::Granted { id } if id.is_some() && *id == self.awaited => self.awaited = None,
            _ => {}
        }
    }

    /// An answer is overdue.
    pub(super) fn on_ack_timeout(&mut self, cx: &mut Context, id: u64) {
        if self.state == State::Up && self.awaited == Some(id) {
            self.close(cx, GapCause::Silence, "request not answered in time");
        }
    }

    /// No data for long? Asks something that must be answered, so that a half-open socket shows itself; quiet or dead
    /// streams are told apart by the REST probes. True where the connection is silent.
    pub(super) fn on_silence_timeout(&mut self, cx: &mut Context) -> bool {
        let limit = cx.config.deadlines.silence_ms.saturating_mul(NS_PER_MS.unsigned_abs());
        let silent_for = cx.now.at.mono.saturating_sub(self.last_data);
        if silent_for < limit {
            cx.timers.arm(self.last_data.saturating_add(limit), Timer::Silence(self.id, self.session));
            return false;
        }
        if self.awaited.is_none() {
            let id = self.await_answer(cx);
            cx.actions
                .push_back(Action::Send { conn: self.id, text: with_protocol!(cx.config.venue, P => P::question(id)) });
        }
        cx.arm_in_ms(cx.config.deadlines.silence_ms, Timer::Silence(self.id, self.session));
        true
    }

    /// No data frame for as long as a connection may be silent.
    pub(super) fn is_silent(&self, cx: &Context) -> bool {
        let limit = cx.config.deadlines.silence_ms.saturating_mul(NS_PER_MS.unsigned_abs());
        cx.now.at.mono.saturating_sub(self.last_data) >= limit
    }

    /// A stream is dead though the connection lives: asks for it again.
    pub(super) fn resubscribe(&mut self, cx: &mut Context, name: &str) {
        if self.state == State::Up {
            let off = self.request_id();
            let text = with_protocol!(cx.config.venue, P => P::unsubscribe(&[name], off));
            cx.actions.push_back(Action::Send { conn: self.id, text });
            let on = self.await_answer(cx);
            let text = with_protocol!(cx.config.venue, P => P::subscribe(&[name], on));
            cx.actions.push_back(Action::Send { conn: self.id, text });
        }
    }

    /// Gives the connection up.
    pub(super) fn close(&mut self, cx: &mut Context, cause: GapCause, reason: &'static str) {
        if self.state == State::Up {
            self.state = State::Closing;
            self.closing = Some(cause);
            cx.actions.push_back(Action::Close { conn: self.id, reason });
        }
    }

    fn request_id(&mut self) -> u64 {
        self.next_request += 1;
        self.next_request
    }

    fn await_answer(&mut self, cx: &mut Context) -> u64 {
        let id = self.request_id();
        self.awaited = Some(id);
        cx.arm_in_ms(cx.config.deadlines.ack_ms, Timer::Ack(self.id, id));
        id
    }
}
