//! What is done for every frame. Most are copies of what another connection has brought, so those are looked for first, in
//! code that is not compiled for each exchange.

use super::connection::Connection;
use super::context::{Context, Origin};
use super::instrument::{InstrumentState, Instruments};
use super::ledger::Moment;
use super::repeats::{Repeats, Told};
use super::{Engine, find, raw, stream_of, unconverted};
use crate::config::Stream;
use crate::engine::Input;
use crate::exchange::{EventKind, Peek, Protocol, with_protocol};
use crate::report::{IgnoreReason, Outcome};
use crate::symbol::ConnId;

/// A frame as the shell hands it over.
#[derive(Clone, Copy)]
struct Frame<'a> {
    /// The wall time, where it was recorded.
    wall: Option<i64>,
    mono: u64,
    conn: ConnId,
    payload: &'a [u8],
}

impl Engine {
    /// Takes a frame.
    pub(super) fn on_frame(&mut self, wall: Option<i64>, mono: u64, conn: ConnId, payload: &[u8]) {
        let frame = Frame { wall, mono, conn, payload };
        let Self { cx, connections, instruments, repeats, .. } = self;
        let venue = cx.config.venue;
        if let Some(connection) = find(connections, conn)
            && let Some(repeats) = repeats.get_mut(usize::from(connection.lane))
            && let Some(told) = repeats.find(conn, &mut connection.mark, payload)
        {
            let origin = arrive(cx, Some(connection), frame, told.moment, true);
            let outcome = match take_repeated(cx, instruments, origin, told) {
                Some(outcome) => outcome,
                None => with_protocol!(venue, P => self.on_peeked::<P>(origin, payload, &P::peek(payload))),
            };
            return self.leave(outcome);
        }
        with_protocol!(venue, P => self.on_new_frame::<P>(frame));
    }

    /// A frame that has to be looked at.
    fn on_new_frame<P: Protocol>(&mut self, frame: Frame<'_>) {
        // A head is large: it stays where it was made.
        let peeked = P::peek(frame.payload);
        let (moment, is_data) = match &peeked {
            Peek::Event(head) => (Moment::of(&head.times), true),
            _ => (Moment::default(), false),
        };
        let connection = find(&mut self.connections, frame.conn);
        let is_known = connection.is_some();
        let origin = arrive(&mut self.cx, connection, frame, moment, is_data);
        let outcome = if is_data && !is_known {
            Outcome::Ignored(IgnoreReason::ConnectionNotUp)
        } else {
            self.on_peeked::<P>(origin, frame.payload, &peeked)
        };
        self.leave(outcome);
    }

    /// What a frame comes to.
    #[inline(never)]
    fn on_peeked<P: Protocol>(&mut self, origin: Origin, payload: &[u8], peeked: &Peek<'_>) -> Outcome {
        match peeked {
            Peek::Event(head) => self.on_event::<P>(origin, payload, head),
            Peek::Ignored(reason) => Outcome::Ignored(*reason),
            Peek::Answer => self.on_answer::<P>(origin, payload),
            Peek::Miss => self.on_odd_frame::<P>(origin, payload),
        }
    }

    /// What is left to be done when a frame has come to something.
    #[inline(always)]
    fn leave(&mut self, outcome: Outcome) {
        if outcome == Outcome::Duplicate {
            self.cx.counters.duplicate += 1;
        } else {
            self.cx.counters.frame(outcome);
        }
        self.follow_up();
    }

    /// Keeps what the head of a frame says that brought something new, where another connection may bring the same.
    #[inline(always)]
    pub(super) fn keep(&mut self, conn: ConnId, payload: &[u8], looked_at: (usize, usize), told: Told) {
        let Some(connection) = find(&mut self.connections, conn) else { return };
        let repeats = lane_of(&mut self.repeats, connection.lane.into());
        repeats.keep(conn, &mut connection.mark, payload, looked_at, told);
    }

    /// A copy was looked at that might have been known by its bytes.
    #[cold]
    pub(super) fn stray(&mut self, conn: ConnId, payload: &[u8]) {
        if let Some(connection) = find(&mut self.connections, conn)
            && let Some(repeats) = self.repeats.get_mut(usize::from(connection.lane))
        {
            repeats.stray(&mut connection.mark, payload);
        }
    }
}

/// Numbers, dates, records and counts a frame, before anything comes of it.
#[inline(always)]
fn arrive(
    cx: &mut Context,
    connection: Option<&mut Connection>,
    frame: Frame<'_>,
    moment: Moment,
    is_data: bool,
) -> Origin {
    let Frame { wall: recorded, mono, conn, payload } = frame;
    let (wall, suspect) = cx.take_in(recorded, mono, moment.event);
    let (ts_recv, clamped) = connection.map_or((wall, 0), |c| c.on_frame(cx.now, wall, is_data));
    let origin = Origin { ts_recv, suspect: suspect | clamped, conn };
    raw::record(cx, origin, recorded, || Input::Frame { conn, payload });
    cx.counters.frames += 1;
    cx.counters.bytes += payload.len() as u64;
    cx.ledger.on_message(origin, payload.len(), moment);
    origin
}

/// A frame that was there before on another connection: what it comes to, unless it may have to be decoded.
#[inline(always)]
fn take_repeated(cx: &mut Context, instruments: &mut Instruments, origin: Origin, told: &Told) -> Option<Outcome> {
    let instrument = instruments.get(told.instrument)?;
    if instrument.has_ended || unconverted::is_needed(cx, instrument, stream_of(told.kind)) {
        return None;
    }
    match told.kind {
        EventKind::State => take_repeated_state(cx, instrument, origin, told.feeds, told.key.last),
        kind => instrument.take_repeated(cx, origin, kind, told.key, told.moment.event, None),
    }
}

/// Takes the row of a frame that was there before on another connection: what it comes to.
#[inline(never)]
fn take_repeated_state(
    cx: &mut Context,
    instrument: &mut InstrumentState,
    origin: Origin,
    feeds: [Option<(Stream, u8)>; 2],
    time: i64,
) -> Option<Outcome> {
    let mut outcome = None;
    let feeds = feeds.map(|feed| feed.filter(|(stream, _)| cx.wants(*stream)));
    for (stream, feed) in feeds.into_iter().flatten() {
        let Some(one) = instrument.states(stream).outcome_of(feed, time, origin.conn)? else { continue };
        outcome = Some(one.behind(outcome));
    }
    outcome?;
    for (stream, feed) in feeds.into_iter().flatten() {
        instrument.states(stream).note_copy(cx, origin, feed, time);
    }
    outcome
}

/// What the connections of a lane brought last.
pub(super) fn lane_of(repeats: &mut Vec<Repeats>, lane: usize) -> &mut Repeats {
    if repeats.len() <= lane {
        repeats.resize_with(lane + 1, Repeats::default);
    }
    &mut repeats[lane]
}
