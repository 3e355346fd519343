//! The engine of one venue: inputs in, actions and Arrow rows out.
//!
//! Contract of the run loop, the same for every shell:
//! 1. one [`Engine::handle`] with its stamp, 2. drain [`Engine::poll_action`] and [`Engine::poll_batch`],
//! 3. wait until the next input or [`Engine::next_timeout`], then hand over [`Input::Timeout`].
//!
//! Every input has a dense number and is a row of `raw` before anything else happens. Feeding the recorded inputs to a
//! new engine of the same configuration gives the same rows of every table.

mod book_stream;
mod carriers;
mod connection;
mod context;
mod gaps;
mod input;
mod instrument;
mod jitter;
mod live;
mod probe;
mod quote_stream;
mod raw;
mod replies;
mod start;
mod timers;
mod trade_stream;

#[cfg(test)]
mod tests;

pub use input::{Action, ConnDown, DownReason, HttpReply, Input, RequestId};
pub use raw::Headers;
pub use start::StartRecord;

use crate::batch::Batch;
use crate::config::Stream;
use crate::event::EventTimes;
use crate::exchange::reader::WireReader;
use crate::exchange::{Decoded, EventKind, Head, Peek, Protocol, with_protocol};
use crate::report::{BookReport, IgnoreReason, Outcome};
use crate::symbol::ConnId;
use crate::table::flags;
use crate::time::Stamp;
use connection::Connection;
use context::{Context, Now, Origin};
use gaps::Finding;
use instrument::{InstrumentState, Instruments};
use replies::Reference;
use timers::Timer;
use xtrader_scan::Isa;

/// The engine of one venue. Sans-I/O: see the module's contract.
pub struct Engine {
    cx: Context,
    instruments: Instruments,
    connections: Vec<Connection>,
    reader: WireReader,
    isa: Isa,
    reference: Reference,
    /// The last receive time known: inputs whose time was not recorded take it.
    last_wall: Option<i64>,
    /// Wall time of the next full-book rows.
    checkpoint_at: Option<i64>,
    /// Monotonic time of the oldest row in an open batch.
    oldest_open: Option<u64>,
}

impl Engine {
    /// Takes one input. Rows go into the builders, wishes into the queue of actions.
    pub fn handle(&mut self, at: Stamp, input: Input<'_>) {
        self.handle_recorded(Some(at.wall), at.mono, input);
    }

    /// As [`Self::handle`], for an input whose wall time may not have been recorded: then the last known one stands
    /// in, at the start the time of the first event, and every row says so (flag 8).
    pub fn handle_recorded(&mut self, recorded: Option<i64>, mono: u64, input: Input<'_>) {
        with_protocol!(self.cx.config.venue, P => self.handle_as::<P>(recorded, mono, input));
    }

    fn handle_as<P: Protocol>(&mut self, recorded: Option<i64>, mono: u64, input: Input<'_>) {
        let peeked = match input {
            Input::Frame { payload, .. } => Some(P::peek(payload)),
            _ => None,
        };
        let (wall, suspect) = match (recorded, self.last_wall, &peeked) {
            (Some(wall), _, _) => (wall, 0),
            (None, Some(last), _) => (last, flags::RECV_SUSPECT),
            (None, None, Some(Peek::Event(head))) => (head.times.event.unwrap_or(0), flags::RECV_SUSPECT),
            (None, None, _) => (0, flags::RECV_SUSPECT),
        };
        if wall != 0 || suspect == 0 {
            self.last_wall = Some(wall);
        }
        let mono = mono.max(self.cx.now.at.mono);
        self.cx.now = Now { msg_id: self.cx.now.msg_id + 1, row: 1, at: Stamp { wall, mono } };
        self.arm_checkpoint();
        let origin = self.origin(&input, wall, suspect);
        self.record(origin, recorded, &input);
        match input {
            Input::Frame { payload, .. } => {
                self.cx.counters.frames += 1;
                self.cx.counters.bytes += payload.len() as u64;
                let outcome = match peeked {
                    Some(Peek::Event(head)) => self.on_event::<P>(origin, payload, &head),
                    Some(Peek::Ignored(reason)) => Outcome::Ignored(reason),
                    Some(Peek::Answer) => on_answer::<P>(&mut self.cx, &mut self.connections, origin.conn, payload),
                    Some(Peek::Miss) | None => self.on_odd_frame::<P>(origin, payload),
                };
                self.cx.counters.frame(outcome);
            }
            Input::ConnUp { conn, url } => self.on_conn_up(conn, url),
            Input::ConnDown { conn, down } => self.on_conn_down(origin, conn, down),
            Input::Http(reply) => {
                let outcome = self.on_reply(origin, &reply);
                self.cx.counters.reply(outcome);
            }
            Input::Timeout => self.on_timeout(),
        }
        if self.oldest_open.is_none() && self.cx.batches.open_rows() > 0 {
            self.oldest_open = Some(mono);
        }
    }

    /// Where this input's rows come from: its receive time never falls on one connection.
    fn origin(&mut self, input: &Input<'_>, wall: i64, suspect: u8) -> Origin {
        let conn = match input {
            Input::Frame { conn, .. } | Input::ConnUp { conn, .. } | Input::ConnDown { conn, .. } => *conn,
            Input::Http(_) | Input::Timeout => ConnId::NONE,
        };
        let (ts_recv, clamped) = find(&mut self.connections, conn).map_or((wall, 0), |c| c.clamp(wall));
        Origin { ts_recv, suspect: suspect | clamped, conn }
    }

    /// A frame of a dominant shape: arbitrated by its head, decoded only if it brings something new.
    fn on_event<P: Protocol>(&mut self, origin: Origin, payload: &[u8], head: &Head<'_>) -> Outcome {
        let Self { cx, instruments, connections, reader, reference, isa, .. } = self;
        let instrument = match admit(cx, instruments, connections, reference, origin, head) {
            Ok(instrument) => instrument,
            Err(outcome) => return outcome,
        };
        let subject = instrument.subject;
        let isa = *isa;
        let mut missed = false;
        let outcome = match head.kind {
            EventKind::AggTrade | EventKind::Trade => {
                instrument.trades.on_trades(cx, subject, origin, head, |scales, out| {
                    match P::decode_trades(isa, payload, head, scales, out) {
                        Decoded::Miss => {
                            missed = true;
                            reader
                                .reread::<P>(payload, head)
                                .map_or_else(Decoded::Rejected, |message| message.trades::<P>(scales, out))
                        }
                        decoded => decoded,
                    }
                })
            }
            EventKind::Depth | EventKind::Book => {
                let max_levels = cx.config.book.max_levels;
                instrument.book.on_depth(cx, subject, origin, head, |scales, out| {
                    match P::decode_book(isa, payload, head, scales, max_levels, out) {
                        Decoded::Miss => {
                            missed = true;
                            reader
                                .reread::<P>(payload, head)
                                .map_or_else(Decoded::Rejected, |message| message.book::<P>(scales, max_levels, out))
                        }
                        decoded => decoded,
                    }
                })
            }
            EventKind::Bbo => instrument.quotes.on_quote(cx, subject, origin, head, |scales| {
                match P::decode_bbo(isa, payload, head, scales) {
                    Decoded::Miss => {
                        missed = true;
                        reader
                            .reread::<P>(payload, head)
                            .map_or_else(Decoded::Rejected, |message| message.bbo::<P>(scales))
                    }
                    decoded => decoded,
                }
            }),
            EventKind::MixedTrades | EventKind::State => Outcome::Ignored(IgnoreReason::UnknownType),
        };
        cx.counters.scanner_miss += u64::from(missed);
        outcome
    }

    /// A frame that no scanner knows: read whole by simd-json.
    fn on_odd_frame<P: Protocol>(&mut self, origin: Origin, payload: &[u8]) -> Outcome {
        self.cx.counters.scanner_miss += 1;
        let Self { cx, instruments, connections, reader, reference, .. } = self;
        let message = match reader.read::<P>(payload) {
            Ok(message) => message,
            Err(reason) => return Outcome::Rejected(reason),
        };
        let head = match message.peek() {
            Peek::Event(head) => head,
            Peek::Ignored(reason) => return Outcome::Ignored(reason),
            Peek::Answer => return on_answer::<P>(cx, connections, origin.conn, payload),
            Peek::Miss => return Outcome::Ignored(IgnoreReason::UnknownType),
        };
        let instrument = match admit(cx, instruments, connections, reference, origin, &head) {
            Ok(instrument) => instrument,
            Err(outcome) => return outcome,
        };
        let subject = instrument.subject;
        match head.kind {
            EventKind::AggTrade | EventKind::Trade => {
                let decode = |scales, out: &mut _| message.trades::<P>(scales, out);
                instrument.trades.on_trades(cx, subject, origin, &head, decode)
            }
            EventKind::Depth | EventKind::Book => {
                let max_levels = cx.config.book.max_levels;
                let decode = |scales, out: &mut _| message.book::<P>(scales, max_levels, out);
                instrument.book.on_depth(cx, subject, origin, &head, decode)
            }
            EventKind::Bbo => instrument.quotes.on_quote(cx, subject, origin, &head, |scales| message.bbo::<P>(scales)),
            EventKind::MixedTrades | EventKind::State => Outcome::Ignored(IgnoreReason::UnknownType),
        }
    }

    /// Full-book rows are due at every UTC day and at every whole interval; armed as soon as a time is known.
    fn arm_checkpoint(&mut self) {
        let Stamp { wall, mono } = self.cx.now.at;
        if self.checkpoint_at.is_none() && self.last_wall.is_some() {
            let boundary = self.next_boundary(wall);
            self.checkpoint_at = Some(boundary);
            self.cx.timers.arm(mono.saturating_add(boundary.saturating_sub(wall).unsigned_abs()), Timer::Checkpoint);
        }
    }

    fn next_boundary(&self, wall: i64) -> i64 {
        let interval = i64::try_from(self.cx.config.book.checkpoint_interval_s)
            .unwrap_or(i64::MAX)
            .saturating_mul(crate::time::NS_PER_S);
        let whole = wall.div_euclid(interval).saturating_add(1).saturating_mul(interval);
        whole.min(crate::time::day_start(wall).saturating_add(crate::time::NS_PER_DAY))
    }

    fn on_checkpoint_timeout(&mut self) {
        let wall = self.cx.now.at.wall;
        if let Some(boundary) = self.checkpoint_at.take()
            && wall >= boundary
        {
            for instrument in self.instruments.iter_mut() {
                instrument.book.checkpoint(&mut self.cx, instrument.subject, boundary);
            }
        }
        // The wall clock may have been set back meanwhile: then the boundary is still ahead.
        self.arm_checkpoint();
    }

    fn on_timeout(&mut self) {
        self.cx.counters.timeouts += 1;
        let now = self.cx.now.at.mono;
        while let Some(timer) = self.cx.timers.pop_due(now) {
            match timer {
                Timer::Checkpoint => self.on_checkpoint_timeout(),
                Timer::Heal(id) => {
                    if let Some(instrument) = self.instruments.get(id) {
                        instrument.book.on_heal_timeout(&mut self.cx, instrument.subject);
                    }
                }
                Timer::HealTrades(id) => {
                    if let Some(instrument) = self.instruments.get(id) {
                        instrument.trades.on_heal_timeout(&mut self.cx, instrument.subject);
                    }
                }
                timer => self.on_judging_timeout(timer),
            }
        }
    }

    fn on_conn_up(&mut self, conn: ConnId, url: &str) {
        self.cx.counters.connects += 1;
        if !self.cx.live {
            // A recording's connections come as they come.
            while self.connections.len() < usize::from(conn.0) {
                let id = ConnId(u16::try_from(self.connections.len() + 1).unwrap_or(u16::MAX));
                self.connections.push(Connection::new(id, url.to_owned(), Vec::new()));
            }
        }
        let Self { cx, connections, .. } = self;
        if let Some(connection) = find(connections, conn) {
            connection.on_up(cx);
        }
    }

    fn on_conn_down(&mut self, origin: Origin, conn: ConnId, down: &ConnDown) {
        self.cx.counters.disconnects += 1;
        let Self { cx, connections, instruments, .. } = self;
        let Some(connection) = find(connections, conn) else { return };
        let cause = connection.on_down(cx, down);
        let finding = Finding::new(cause, crate::table::GapEvidence::Shell);
        for instrument in instruments.iter_mut() {
            let subject = instrument.subject;
            instrument.trades.on_conn_down(cx, subject, origin, finding);
            instrument.book.on_conn_down(cx, subject, origin, finding);
            instrument.quotes.on_conn_down(cx, subject, origin, finding);
        }
    }

    /// The next thing wanted from the shell.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.cx.actions.pop_front()
    }

    /// When [`Input::Timeout`] is due, if nothing else comes before.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Stamp> {
        let now = self.cx.now.at;
        self.cx.timers.next().map(|mono| now.after(mono.saturating_sub(now.mono)))
    }

    /// The next closed batch.
    pub fn poll_batch(&mut self) -> Option<Batch> {
        self.cx.batches.pop()
    }

    /// Closes every open batch that holds rows. How rows are cut into batches is the shell's choice and no input.
    pub fn close_batches(&mut self) {
        self.cx.batches.close_all();
        self.oldest_open = None;
    }

    /// Rows in open batches, and the monotonic time of the input that wrote the oldest of them.
    #[must_use]
    pub fn open_rows(&self) -> Option<(usize, u64)> {
        let rows = self.cx.batches.open_rows();
        self.oldest_open.filter(|_| rows > 0).map(|since| (rows, since))
    }

    /// The tables it fills.
    #[must_use]
    pub fn tables(&self) -> &[crate::table::Table] {
        &self.cx.config.tables
    }

    /// Counters: every frame and reply in exactly one.
    #[must_use]
    pub fn counters(&self) -> serde_json::Value {
        self.cx.counters.to_json()
    }

    /// Every book the engine knows, in the order in which their instruments were first seen.
    #[must_use]
    pub fn books(&self) -> Vec<BookReport> {
        self.instruments
            .iter()
            .filter(|instrument| instrument.book.is_known())
            .map(|instrument| instrument.book.report(instrument.subject.exchange.id(), &instrument.symbol))
            .collect()
    }
}

/// The connection of this number, if there is one.
fn find(connections: &mut [Connection], conn: ConnId) -> Option<&mut Connection> {
    connections.get_mut(usize::from(conn.0).checked_sub(1)?)
}

/// An answer to something we sent.
fn on_answer<P: Protocol>(cx: &mut Context, connections: &mut [Connection], conn: ConnId, payload: &[u8]) -> Outcome {
    if let (true, Some(answer), Some(connection)) = (cx.live, P::read_answer(payload), find(connections, conn)) {
        connection.on_answer(cx, &answer);
    }
    Outcome::Ignored(IgnoreReason::Answer)
}

/// The instrument of a data frame, if its stream was asked for.
fn admit<'i>(
    cx: &mut Context,
    instruments: &'i mut Instruments,
    connections: &mut [Connection],
    reference: &Reference,
    origin: Origin,
    head: &Head<'_>,
) -> Result<&'i mut InstrumentState, Outcome> {
    let Some(connection) = find(connections, origin.conn) else {
        return Err(Outcome::Ignored(IgnoreReason::ConnectionNotUp));
    };
    connection.on_data(cx.now);
    let stream = match head.kind {
        EventKind::AggTrade | EventKind::Trade | EventKind::MixedTrades => Stream::Trades,
        EventKind::Depth | EventKind::Book => Stream::L2,
        EventKind::Bbo => Stream::Bbo,
        EventKind::State => Stream::Derivatives,
    };
    if !cx.config.streams.contains(&stream) {
        return Err(Outcome::Ignored(IgnoreReason::UnrequestedStream));
    }
    if instruments.find(head.symbol).is_none() {
        if cx.live {
            return Err(Outcome::Ignored(IgnoreReason::Unsolicited));
        }
        let Some(added) = instruments.add(cx, head.symbol) else {
            return Err(Outcome::Ignored(IgnoreReason::TooManyInstruments));
        };
        reference.describe(added);
    }
    instruments.find(head.symbol).ok_or(Outcome::Ignored(IgnoreReason::Unsolicited))
}

/// Rows that no frame brought: the engine's own.
fn own_origin(cx: &Context) -> Origin {
    Origin { ts_recv: cx.now.at.wall, suspect: 0, conn: ConnId::NONE }
}

/// Times of a row that has none of the exchange's.
const NO_TIMES: EventTimes = EventTimes { event: None, venue: None, odd: false };
