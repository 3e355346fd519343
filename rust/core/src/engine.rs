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
mod commands;
mod connection;
mod context;
mod copies;
mod frames;
mod gaps;
mod input;
mod instrument;
mod jitter;
mod lanes;
mod ledger;
mod live;
mod names;
mod parking;
mod polls;
mod probe;
mod quote_stream;
mod raw;
mod recovery;
mod redundancy;
mod registry;
mod repeats;
pub(crate) mod replacement;
mod replies;
mod slots;
mod start;
mod state_stream;
mod subscription;
mod timers;
mod top;
mod trade_epochs;
mod trade_holes;
mod trade_stream;
mod unconverted;
mod verify;

#[cfg(test)]
mod tests;

pub use input::{Action, Advice, Command, ConnDown, DownReason, HttpReply, Input, Link, RequestId};
pub use ledger::{ArbitrationReport, LaneReport, PlaceReport, Quantiles};
pub use raw::Headers;
pub use start::StartRecord;

use crate::batch::Batch;
use crate::config::{ConfigError, Stream, offers};
use crate::event::{DecodedLevels, EventTimes, Scales, State, StateRow, StateRows, TradeRows};
use crate::exchange::reader::WireReader;
use crate::exchange::{Decoded, EventKind, Head, Key, Peek, Protocol, StateHead};
use crate::report::{BookReport, ConflictReport, IgnoreReason, Outcome};
use crate::symbol::{ConnId, InstrumentId};
use crate::table::{StampSource, Status, flags};
use crate::time::{NS_PER_MS, Stamp};
use connection::{Connection, Ended};
use context::{Context, KnownState, Origin};
use gaps::Finding;
use instrument::{InstrumentState, Instruments};
use ledger::Moment;
use parking::{Cut, Parking};
use registry::Registry;
use repeats::{Repeats, Told};
use timers::Timer;
use verify::Conflict;
use xtrader_scan::Isa;

/// The engine of one venue. Sans-I/O: see the module's contract.
pub struct Engine {
    cx: Context,
    instruments: Instruments,
    connections: Vec<Connection>,
    /// What the connections of each lane brought last, where there are several.
    repeats: Vec<Repeats>,
    parking: Parking,
    reader: WireReader,
    isa: Isa,
    registry: Registry,
    /// The selections have been resolved once.
    resolved: bool,
    /// Symbols that were added before that: should they not be listed, they wait until they are.
    added: Vec<String>,
    /// A channel was granted once, so that what is asked for is right.
    was_granted: bool,
    /// The last login was refused.
    login_refused: bool,
    /// Wall time of the next full-book rows.
    checkpoint_at: Option<i64>,
    /// Monotonic time of the oldest row in an open batch.
    oldest_open: Option<u64>,
}

impl Engine {
    /// Takes one input. Rows go into the builders, wishes into the queue of actions.
    #[inline]
    pub fn handle(&mut self, at: Stamp, input: Input<'_>) {
        self.handle_recorded(Some(at.wall), at.mono, input);
    }

    /// As [`Self::handle`], for an input whose wall time may not have been recorded: then the last known one stands
    /// in, at the start the time of the first event, and every row says so (flag 8).
    #[inline]
    pub fn handle_recorded(&mut self, recorded: Option<i64>, mono: u64, input: Input<'_>) {
        match input {
            Input::Frame { conn, payload } => self.on_frame(recorded, mono, conn, payload),
            input => self.on_rare_input(recorded, mono, &input),
        }
    }

    /// Who has stamped the next frame of this connection, and what follows it, until it is said anew: that frame keeps it in
    /// `raw`, where it is another than before.
    #[inline]
    pub fn stamped_by(&mut self, conn: ConnId, source: StampSource) {
        self.cx.ledger.stamped_by(conn, source);
    }

    /// What the input leaves to be done: mostly nothing.
    #[inline(always)]
    fn follow_up(&mut self) {
        let cx = &self.cx;
        let is_stirred = cx.recovery.stirred | cx.recheck_reference | !cx.resubscribe.is_empty();
        if is_stirred | self.oldest_open.is_none() | self.checkpoint_at.is_none() {
            self.follow_up_now();
        }
    }

    #[inline(never)]
    fn follow_up_now(&mut self) {
        self.arm_checkpoint();
        if std::mem::take(&mut self.cx.recovery.stirred) {
            self.ask_for_trades();
        }
        if std::mem::take(&mut self.cx.recheck_reference) {
            self.recheck_reference();
        }
        if !self.cx.resubscribe.is_empty() {
            self.resubscribe_books();
        }
        if self.oldest_open.is_none() && self.cx.batches.open_rows() > 0 {
            self.oldest_open = Some(self.cx.now.at.mono);
        }
    }

    /// Whatever is no frame.
    fn on_rare_input(&mut self, recorded: Option<i64>, mono: u64, input: &Input<'_>) {
        let (wall, suspect) = self.cx.take_in(recorded, mono, None);
        let conn = match input {
            Input::Frame { conn, .. } | Input::ConnUp { conn, .. } | Input::ConnDown { conn, .. } => *conn,
            Input::Http(_) | Input::Command(_) | Input::Timeout => ConnId::NONE,
        };
        let (ts_recv, clamped) = find(&mut self.connections, conn).map_or((wall, 0), |c| c.clamp(wall));
        let origin = Origin { ts_recv, suspect: suspect | clamped, conn };
        raw::record(&mut self.cx, origin, recorded, || *input);
        match *input {
            Input::ConnUp { conn, url, link } => self.on_conn_up(conn, url, link),
            Input::ConnDown { conn, down } => self.on_conn_down(origin, conn, down),
            Input::Http(reply) => {
                let outcome = self.on_reply(origin, &reply);
                self.cx.counters.reply(outcome);
            }
            Input::Command(command) => self.on_command(command),
            Input::Timeout => self.on_timeout(),
            Input::Frame { .. } => {}
        }
        self.follow_up();
    }

    /// A frame of a dominant shape: arbitrated by its head, decoded only if it brings something new.
    fn on_event<P: Protocol>(&mut self, origin: Origin, payload: &[u8], head: &Head<'_>) -> Outcome {
        if head.kind == EventKind::State {
            return self.on_state_frame::<P>(origin, payload, head);
        }
        let Self { cx, instruments, registry, .. } = self;
        let instrument = match admit(cx, instruments, registry, origin, head.symbol, stream_of(head.kind)) {
            Ok(instrument) => instrument,
            Err(outcome) => return outcome,
        };
        let id = instrument.subject.id;
        let is_picked = cx.config.arbitration.verify.picks(head.key.last);
        if !is_picked
            && let Some(outcome) =
                instrument.take_repeated(cx, origin, head.kind, head.key, head.times.event, head.variant)
        {
            self.stray(origin.conn, payload);
            return outcome;
        }
        self.on_news::<P>(origin, payload, head, id, is_picked)
    }

    /// An event that may have to be decoded. The copies of one that is picked are compared.
    #[inline(never)]
    fn on_news<P: Protocol>(
        &mut self,
        origin: Origin,
        payload: &[u8],
        head: &Head<'_>,
        id: InstrumentId,
        is_picked: bool,
    ) -> Outcome {
        let Self { cx, instruments, reader, isa, .. } = self;
        let Some(instrument) = instruments.get(id) else { return Outcome::Ignored(IgnoreReason::Unsolicited) };
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
                let decode =
                    |scales, out: &mut DecodedLevels| match P::decode_book(isa, payload, head, scales, max_levels, out)
                    {
                        Decoded::Miss => {
                            missed = true;
                            reader
                                .reread::<P>(payload, head)
                                .map_or_else(Decoded::Rejected, |message| message.book::<P>(scales, max_levels, out))
                        }
                        decoded => decoded,
                    };
                if head.kind == EventKind::Book {
                    instrument.book.on_book(cx, subject, origin, head, decode)
                } else {
                    instrument.book.on_depth(cx, subject, origin, head, decode)
                }
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
        // A book of another connection is known by more than its head.
        let is_of_a_head = !matches!(head.kind, EventKind::Book | EventKind::MixedTrades | EventKind::State);
        let has_raced = is_of_a_head && instrument.carriers(stream_of(head.kind)).is_some_and(|own| own.has_raced());
        if outcome == Outcome::Accepted && has_raced && !is_picked {
            let moment = Moment::of(&head.times);
            let told = Told { kind: head.kind, instrument: id, key: head.key, moment, feeds: [None; 2] };
            self.keep(origin.conn, payload, P::looked_at(payload, head), told);
        }
        outcome
    }

    /// A frame of states: not read at all unless somebody asked for one of its streams, and one of its rows is new by its
    /// head.
    fn on_state_frame<P: Protocol>(&mut self, origin: Origin, payload: &[u8], head: &Head<'_>) -> Outcome {
        let of_states = [Stream::Derivatives, Stream::Options, Stream::Liquidations];
        if !of_states.into_iter().any(|stream| self.cx.wants(stream)) {
            return Outcome::Ignored(IgnoreReason::UnrequestedStream);
        }
        if let Some(outcome) = self.on_known_states::<P>(origin, payload, head) {
            self.stray(origin.conn, payload);
            return outcome;
        }
        let mut states = std::mem::take(&mut self.cx.states);
        states.clear();
        let outcome = match P::decode_states(payload, head, &mut states) {
            Decoded::Miss => {
                self.cx.states = states;
                self.on_odd_frame::<P>(origin, payload)
            }
            decoded => self.on_states(origin, decoded, states),
        };
        if outcome == Outcome::Accepted {
            self.keep_state::<P>(origin, payload, head);
        }
        outcome
    }

    /// As [`Self::keep`], of a frame of states that has one row, of one instrument.
    fn keep_state<P: Protocol>(&mut self, origin: Origin, payload: &[u8], head: &Head<'_>) {
        let Self { instruments, .. } = self;
        let (mut rows, mut told) = (0, None);
        let heads = P::state_heads(payload, head, |row| {
            rows += 1;
            let only = Some(row).filter(|row| rows == 1 && !row.is_index);
            told = only.and_then(|row| Some((instruments.id_of(row.native)?, row.feeds, row.time)));
            told.is_some()
        });
        let (Some(()), Some((instrument, feeds, time))) = (heads, told) else { return };
        let has_raced = instruments.get(instrument).is_some_and(|state| {
            feeds.into_iter().flatten().any(|(stream, _)| state.states(stream).carriers.has_raced())
        });
        if has_raced {
            let (key, moment) = (Key::single(time), Moment::default());
            let told = Told { kind: EventKind::State, instrument, key, moment, feeds };
            self.keep(origin.conn, payload, (payload.len(), 0), told);
        }
    }

    /// What a frame of states comes to that repeats what is known; `None` where a row of it may be news, which is then
    /// taken whole.
    fn on_known_states<P: Protocol>(&mut self, origin: Origin, payload: &[u8], head: &Head<'_>) -> Option<Outcome> {
        let Self { cx, instruments, .. } = self;
        let mut outcome = Some(Outcome::Duplicate);
        let mut known = std::mem::take(&mut cx.known_states);
        known.clear();
        let heads = P::state_heads(payload, head, |row| {
            outcome =
                outcome.zip(known_state(cx, instruments, origin, &row, &mut known)).map(|(all, one)| all.and(one));
            outcome.is_some()
        });
        let outcome = heads.and(outcome);
        for KnownState { id, stream, feed, time } in known.iter().filter(|_| outcome.is_some()) {
            if let Some(instrument) = instruments.get(*id) {
                instrument.states(*stream).note_copy(cx, origin, *feed, *time);
            }
        }
        cx.known_states = known;
        outcome
    }

    /// A frame that no scanner knows: read whole by simd-json.
    fn on_odd_frame<P: Protocol>(&mut self, origin: Origin, payload: &[u8]) -> Outcome {
        self.cx.counters.scanner_miss += 1;
        let Self { cx, instruments, connections, reader, registry, .. } = self;
        let message = match reader.read::<P>(payload) {
            Ok(message) => message,
            Err(reason) => return Outcome::Rejected(reason),
        };
        let head = match message.peek() {
            Peek::Event(head) => head,
            Peek::Ignored(reason) => return Outcome::Ignored(reason),
            Peek::Answer => {
                drop(message);
                return self.on_answer::<P>(origin, payload);
            }
            Peek::Miss => return Outcome::Ignored(IgnoreReason::UnknownType),
        };
        match head.kind {
            EventKind::State => {
                let mut states = std::mem::take(&mut cx.states);
                let decoded = message.states::<P>(&mut states);
                drop(message);
                return self.on_states(origin, decoded, states);
            }
            EventKind::MixedTrades => {
                let mut trades = std::mem::take(&mut cx.trades);
                let decoded = message.trades::<P>(Scales::default(), &mut trades);
                drop(message);
                let outcome = taken(decoded).map_or_else(|outcome| outcome, |()| self.on_mixed_trades(origin, &trades));
                self.cx.trades = trades;
                return outcome;
            }
            _ => {}
        }
        cx.ledger.on_event(origin, head.times);
        let stream = stream_of(head.kind);
        let instrument = match admit_from(cx, instruments, connections, registry, origin, head.symbol, stream) {
            Ok(instrument) => instrument,
            Err(outcome) => return outcome,
        };
        if !cx.config.arbitration.verify.picks(head.key.last)
            && let Some(outcome) =
                instrument.take_repeated(cx, origin, head.kind, head.key, head.times.event, head.variant)
        {
            return outcome;
        }
        let subject = instrument.subject;
        let max_levels = cx.config.book.max_levels;
        match head.kind {
            EventKind::AggTrade | EventKind::Trade => {
                let decode = |scales, out: &mut _| message.trades::<P>(scales, out);
                instrument.trades.on_trades(cx, subject, origin, &head, decode)
            }
            EventKind::Depth => {
                let decode = |scales, out: &mut _| message.book::<P>(scales, max_levels, out);
                instrument.book.on_depth(cx, subject, origin, &head, decode)
            }
            EventKind::Book => {
                let decode = |scales, out: &mut _| message.book::<P>(scales, max_levels, out);
                instrument.book.on_book(cx, subject, origin, &head, decode)
            }
            EventKind::Bbo => instrument.quotes.on_quote(cx, subject, origin, &head, |scales| message.bbo::<P>(scales)),
            EventKind::MixedTrades | EventKind::State => Outcome::Ignored(IgnoreReason::UnknownType),
        }
    }

    /// The decoded trades of several instruments.
    fn on_mixed_trades(&mut self, origin: Origin, trades: &TradeRows) -> Outcome {
        let mut outcome = Outcome::Duplicate;
        let is_of_several = trades.rows.len() > 1;
        for (n, row) in trades.rows.iter().enumerate() {
            let Self { cx, instruments, connections, registry, .. } = self;
            let native = trades.texts.get(row.native);
            let next = trades.rows.get(n + 1);
            let is_last = next.is_none_or(|next| trades.texts.get(next.native) != native);
            let one = match admit_from(cx, instruments, connections, registry, origin, native, Stream::Trades) {
                Ok(instrument) => {
                    let subject = instrument.subject;
                    let last_flag = if is_last { flags::LAST } else { 0 };
                    instrument.trades.on_row(cx, subject, origin, *row, &trades.texts, last_flag)
                }
                Err(outcome) => outcome,
            };
            if is_of_several {
                self.cx.counters.rows.add(one);
            }
            outcome = outcome.and(one);
        }
        outcome
    }

    /// The decoded states of instruments, in the engine's own room.
    fn on_states(&mut self, origin: Origin, decoded: Decoded<()>, states: StateRows) -> Outcome {
        let is_read = matches!(decoded, Decoded::Event(()) | Decoded::Ignored(_));
        let is_of_several = states.rows.len() + states.ignored.len() > 1;
        let outcome =
            taken(decoded).map_or_else(|outcome| outcome, |()| self.on_state_rows(origin, &states, is_of_several));
        for reason in states.ignored.iter().filter(|_| is_read && is_of_several) {
            self.cx.counters.rows.add(Outcome::Ignored(*reason));
        }
        self.cx.states = states;
        outcome
    }

    fn on_state_rows(&mut self, origin: Origin, states: &StateRows, is_of_several: bool) -> Outcome {
        let mut outcome = Outcome::Duplicate;
        for (n, row) in states.rows.iter().enumerate() {
            let stream = match row.state {
                State::Derivative(_) => Stream::Derivatives,
                State::Option(_) => Stream::Options,
                State::Liquidation(_) => Stream::Liquidations,
            };
            let name = states.texts.get(row.native);
            let is_last = states.rows.get(n + 1).is_none_or(|next| {
                std::mem::discriminant(&next.state) != std::mem::discriminant(&row.state)
                    || states.texts.get(next.native) != name
            });
            let one = match row.is_index {
                true => self.on_index(origin, name, stream, row, is_last),
                false => self.on_state(origin, name, stream, row, is_last),
            };
            if is_of_several {
                self.cx.counters.rows.add(one);
            }
            outcome = outcome.and(one);
        }
        outcome
    }

    /// A row of an index is one of everyone who follows it. What a recording tells before it names anybody who does is
    /// known from then on.
    fn on_index(&mut self, origin: Origin, index: &str, stream: Stream, row: &StateRow, is_last: bool) -> Outcome {
        let Self { cx, instruments, .. } = self;
        let kept = match (cx.takes(stream), cx.live) {
            (false, _) => Outcome::Ignored(IgnoreReason::UnrequestedStream),
            (true, true) => Outcome::Ignored(IgnoreReason::Unsolicited),
            (true, false) => instruments.keep_index(cx, index, origin, row),
        };
        let mut outcome = None;
        for id in instruments.followers_of(index) {
            let Some(native) = self.instruments.get(id).map(|state| state.native.clone()) else { continue };
            let one = self.on_state(origin, &native, stream, row, is_last);
            outcome = Some(one.behind(outcome));
        }
        outcome.unwrap_or(kept)
    }

    fn on_state(&mut self, origin: Origin, native: &str, stream: Stream, row: &StateRow, is_last: bool) -> Outcome {
        let Self { cx, instruments, connections, registry, .. } = self;
        match admit_from(cx, instruments, connections, registry, origin, native, stream) {
            // Where a market does not offer the stream, what its ticker says beside is none of it.
            Ok(instrument) if !offers(instrument.subject.exchange, stream) => {
                Outcome::Ignored(IgnoreReason::UnrequestedStream)
            }
            Ok(instrument) => {
                cx.ledger.on_event(origin, row.times);
                if unconverted::is_needed_for_state(cx, instrument.subject, row)
                    && let Some(outcome) =
                        unconverted::leave_out(cx, registry, instrument, origin, (stream, Some(row.feed)))
                {
                    return outcome;
                }
                let subject = instrument.subject;
                instrument.states(stream).take(cx, subject, origin, row, is_last)
            }
            Err(outcome) => outcome,
        }
    }

    /// Full-book rows are due at every UTC day and at every whole interval; armed as soon as a time is known.
    fn arm_checkpoint(&mut self) {
        let Stamp { wall, mono } = self.cx.now.at;
        if self.checkpoint_at.is_none() && self.cx.last_wall.is_some() {
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
            let silence = self.cx.config.deadlines.stream_silence_ms.saturating_mul(NS_PER_MS.unsigned_abs());
            let since = self.cx.now.at.mono.saturating_sub(silence);
            let origin = own_origin(&self.cx);
            let Self { cx, instruments, registry, .. } = self;
            for state in instruments.iter_mut() {
                let is_closed = registry.get(&state.native).is_some_and(|listed| listed.status == Status::Closed);
                // Of what is listed no more and silent, which in a recording nobody ends, there is no book.
                if is_closed && state.book.carriers.seen.is_none_or(|seen| seen <= since) {
                    state.book.end(cx, state.subject, origin);
                } else {
                    state.book.checkpoint(cx, state.subject, Origin { ts_recv: boundary, ..origin });
                }
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
                Timer::HealTrades(id) | Timer::LateTrades(id) => {
                    if let Some(instrument) = self.instruments.get(id) {
                        instrument.trades.on_heal_timeout(&mut self.cx, instrument.subject);
                    }
                }
                Timer::Top => self.on_top_timeout(),
                Timer::Ledger => self.on_ledger_timeout(),
                Timer::Scores => self.on_scores_timeout(),
                Timer::Poll => self.on_poll_timeout(),
                timer => self.on_judging_timeout(timer),
            }
        }
    }

    fn on_conn_up(&mut self, conn: ConnId, url: &str, link: Link) {
        self.cx.counters.connects += 1;
        if !self.cx.live {
            // A recording's connections come as they come.
            while self.connections.len() < usize::from(conn.0) {
                let id = ConnId(u16::try_from(self.connections.len() + 1).unwrap_or(u16::MAX));
                self.connections.push(Connection::new(id, 0, url.to_owned()));
            }
        }
        self.cx.up.push(conn);
        let Self { cx, connections, .. } = self;
        if let Some(connection) = find(connections, conn) {
            connection.on_up(cx);
        }
        if let Some(lane) = connections.iter().find(|c| c.id == conn).map(|own| own.lane)
            && connections.iter().filter(|c| c.lane == lane).count() > 1
        {
            // What copies cost is paid before they come.
            frames::lane_of(&mut self.repeats, lane.into());
        }
        if self.cx.live {
            self.draw_age(conn);
            let up = self.connections.iter().filter(|connection| connection.is_open()).count();
            self.parking.on_up(self.cx.now.at.mono, up);
        }
        self.ledger_up(conn, url, link);
    }

    fn on_conn_down(&mut self, origin: Origin, conn: ConnId, down: &ConnDown) {
        self.cx.counters.disconnects += 1;
        let Self { cx, connections, .. } = self;
        let Some(connection) = find(connections, conn) else { return };
        let ended = connection.on_down(cx, down);
        cx.up.retain(|up| *up != conn);
        if self.cx.live {
            self.on_down_in_trial(conn);
            self.open_again(conn, ended);
        }
        let finding = Finding::new(ended.cause, crate::table::GapEvidence::Shell);
        for instrument in self.instruments.iter_mut() {
            instrument.on_conn_down(&mut self.cx, origin, finding);
        }
        self.ledger_down(conn, down);
    }

    /// Who still belongs to a lane comes back: after its backoff, or much later if that only cost another its life.
    fn open_again(&mut self, conn: ConnId, ended: Ended) {
        let now = self.cx.now.at.mono;
        let until = if ended.is_cut { self.on_cut(conn) } else { None };
        let Some(own) = find(&mut self.connections, conn).filter(|own| own.is_in_use()) else { return };
        let mut delay_ms = ended.delay_ms;
        if let Some(until) = until {
            own.parked_until = Some(until);
            delay_ms = until.saturating_sub(now).div_ceil(NS_PER_MS.unsigned_abs());
        }
        lanes::open(&mut self.cx, &mut self.connections, conn, Some(delay_ms));
    }

    /// The peer ended a connection: yields until when its place is given up, if it is.
    fn on_cut(&mut self, conn: ConnId) -> Option<u64> {
        let own = self.connections.iter().find(|connection| connection.id == conn)?;
        let others = || self.connections.iter().filter(|c| c.is_open() && c.id != conn);
        let cut = Cut {
            was_oldest: others().all(|c| c.up_since() >= own.up_since()),
            left: others().count(),
            is_opening: self.connections.iter().any(Connection::is_opening),
            is_carried: own.is_in_use() && others().any(|c| c.lane == own.lane),
        };
        self.parking.on_cut(self.cx.now.at.mono, cut)
    }

    /// The next thing wanted from the shell.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.cx.actions.pop_front()
    }

    /// The next thing that the owner should know, though it hinders nothing else.
    pub fn poll_warning(&mut self) -> Option<String> {
        self.cx.warnings.pop_front()
    }

    /// When [`Input::Timeout`] is due, if nothing else comes before.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Stamp> {
        let now = self.cx.now.at;
        self.cx.timers.next().map(|mono| now.after(mono.saturating_sub(now.mono)))
    }

    /// The earliest time at which something that is missing now is named, unless somebody brings it. A recording that
    /// ends before ends with holes that nobody has told of: hand over [`Input::Timeout`] then.
    #[must_use]
    pub fn heals_until(&self) -> Option<Stamp> {
        let now = self.cx.now.at;
        let mono = self.instruments.iter().filter_map(InstrumentState::heals_until).min()?;
        Some(now.after(mono.saturating_sub(now.mono)))
    }

    /// Why it cannot go on, if so: what comes out until then is true, and nothing more should be fed.
    #[must_use]
    pub fn fault(&self) -> Option<&ConfigError> {
        self.cx.fault.as_ref()
    }

    /// The next closed batch.
    #[inline]
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
        self.cx.counters.to_json(self.redundancy())
    }

    /// The latest conflicts of one id with two contents, the oldest first.
    #[must_use]
    pub fn conflicts(&self) -> Vec<ConflictReport> {
        let told = |conflict: &Conflict| ConflictReport {
            exchange: conflict.exchange.id().to_owned(),
            symbol: self.cx.batches.text(conflict.symbol).to_owned(),
            stream: conflict.stream.name(),
            id: conflict.id,
            first_msg_id: conflict.first.0,
            first_conn_id: conflict.first.1.0,
            second_msg_id: conflict.second.0,
            second_conn_id: conflict.second.1.0,
        };
        self.cx.conflicts.iter().map(told).collect()
    }

    /// Every book the engine knows, in the order in which their instruments were first seen, as far as none was given
    /// the place of one that was removed.
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

/// The event of a message; `Err` is what the message comes to that has none.
fn taken<T>(decoded: Decoded<T>) -> Result<T, Outcome> {
    match decoded {
        Decoded::Event(event) => Ok(event),
        Decoded::Ignored(reason) => Err(Outcome::Ignored(reason)),
        Decoded::Rejected(reason) => Err(Outcome::Rejected(reason)),
        Decoded::Miss => Err(Outcome::Ignored(IgnoreReason::UnknownType)),
    }
}

/// What a row of states comes to that another connection was faster with; `None` where it may be news. `known` gets what
/// it repeats.
#[inline]
fn known_state(
    cx: &Context,
    instruments: &mut Instruments,
    origin: Origin,
    row: &StateHead<'_>,
    known: &mut Vec<KnownState>,
) -> Option<Outcome> {
    if !row.is_index {
        return known_to(cx, instruments.find(row.native)?, origin, row, known);
    }
    // Whose row it is: everybody's who follows the index.
    let follows = |state: &&mut InstrumentState| state.index.as_deref() == Some(row.native) && !state.has_ended;
    let mut outcome = None;
    for follower in instruments.iter_mut().filter(follows) {
        let one = known_to(cx, follower, origin, row, known)?;
        outcome = Some(one.behind(outcome));
    }
    outcome
}

/// The same, of one instrument.
#[inline]
fn known_to(
    cx: &Context,
    instrument: &mut InstrumentState,
    origin: Origin,
    row: &StateHead<'_>,
    known: &mut Vec<KnownState>,
) -> Option<Outcome> {
    let mut told = None;
    for (stream, feed) in row.feeds.into_iter().flatten().filter(|(stream, _)| cx.wants(*stream)) {
        // A row is of one of its streams or of all: where one never spoke, the others tell.
        let Some(outcome) = instrument.states(stream).outcome_of(feed, row.time, origin.conn)? else { continue };
        known.push(KnownState { id: instrument.subject.id, stream, feed, time: row.time });
        told = Some(outcome.behind(told));
    }
    told
}

/// The stream that an event is of.
#[inline]
fn stream_of(kind: EventKind) -> Stream {
    match kind {
        EventKind::AggTrade | EventKind::Trade | EventKind::MixedTrades => Stream::Trades,
        EventKind::Depth | EventKind::Book => Stream::L2,
        EventKind::Bbo => Stream::Bbo,
        EventKind::State => Stream::Derivatives,
    }
}

/// As [`admit`], of an event that no scanner has seen: its connection does not know yet that it brought data.
fn admit_from<'i>(
    cx: &mut Context,
    instruments: &'i mut Instruments,
    connections: &mut [Connection],
    registry: &mut Registry,
    origin: Origin,
    native: &str,
    stream: Stream,
) -> Result<&'i mut InstrumentState, Outcome> {
    let Some(connection) = find(connections, origin.conn) else {
        return Err(Outcome::Ignored(IgnoreReason::ConnectionNotUp));
    };
    connection.on_data(cx.now);
    admit(cx, instruments, registry, origin, native, stream)
}

/// The instrument of an event, if its stream was asked for.
#[inline(always)]
fn admit<'i>(
    cx: &mut Context,
    instruments: &'i mut Instruments,
    registry: &mut Registry,
    origin: Origin,
    native: &str,
    stream: Stream,
) -> Result<&'i mut InstrumentState, Outcome> {
    if !cx.takes(stream) {
        return Err(Outcome::Ignored(IgnoreReason::UnrequestedStream));
    }
    let id = match instruments.id_of(native) {
        Some(id) => id,
        None if cx.live => return Err(Outcome::Ignored(IgnoreReason::Unsolicited)),
        None => match instruments.add(cx, registry, origin, native) {
            Some(state) => state.subject.id,
            None => return Err(Outcome::Ignored(IgnoreReason::TooManyInstruments)),
        },
    };
    let state = instruments.get(id).ok_or(Outcome::Ignored(IgnoreReason::Unsolicited))?;
    if state.has_ended {
        return Err(Outcome::Ignored(IgnoreReason::Ended));
    }
    if unconverted::is_needed(cx, state, stream)
        && let Some(outcome) = unconverted::leave_out(cx, registry, state, origin, (stream, None))
    {
        return Err(outcome);
    }
    Ok(state)
}

/// Rows that no frame brought: the engine's own.
fn own_origin(cx: &Context) -> Origin {
    Origin { ts_recv: cx.now.at.wall, suspect: 0, conn: ConnId::NONE }
}

/// Times of a row that has none of the exchange's.
const NO_TIMES: EventTimes = EventTimes { event: None, venue: None, odd: false };
