//! Judging peers: deadlines of connections and streams. Live only; a recording cannot answer what was never asked.

use super::context::Purpose;
use super::gaps::Finding;
use super::probe::{is_ahead, position};
use super::timers::Timer;
use super::{Engine, find, own_origin};
use crate::config::Stream;
use crate::exchange::{Protocol, RestTold, with_protocol};
use crate::symbol::{ConnId, InstrumentId};
use crate::table::{GapCause, GapEvidence};
use crate::time::NS_PER_MS;

/// Time that a stream gets to catch up with what REST said before it is called dead: events of the moment of the
/// reply may still be on their way (§3: aggregated trades leave 100–200 ms late).
const CATCH_UP_MS: u64 = 2_000;

impl Engine {
    pub(super) fn on_judging_timeout(&mut self, timer: Timer) {
        if !self.cx.live {
            return;
        }
        match timer {
            Timer::Reconnect(conn) => {
                if let Some(connection) = find(&mut self.connections, conn) {
                    connection.open(&mut self.cx);
                }
            }
            Timer::Ack(conn, id) => {
                if let Some(connection) = find(&mut self.connections, conn) {
                    connection.on_ack_timeout(&mut self.cx, id);
                }
            }
            Timer::Watch(conn, session) => self.on_watch_timeout(conn, session),
            Timer::Silence(conn, session) => self.on_silence_timeout(conn, session),
            Timer::Snapshot(id) => {
                if let Some(state) = self.instruments.get(id) {
                    state.book.on_retry_timeout(&mut self.cx, state.subject);
                }
            }
            Timer::Reference => {
                let requests =
                    with_protocol!(self.cx.config.venue, P => P::reference(&self.cx.endpoints.rest, P::MARKETS, &[]));
                for rest in requests {
                    self.cx.request(Purpose::Reference, rest);
                }
            }
            Timer::Recheck(id, stream) => self.on_recheck_timeout(id, stream),
            Timer::Checkpoint | Timer::Heal(_) | Timer::HealTrades(_) => {}
        }
    }

    /// Streams that have not spoken since they were asked for, or not for long, are compared with REST.
    fn on_watch_timeout(&mut self, conn: ConnId, session: u64) {
        let Some(connection) = find(&mut self.connections, conn) else { return };
        if !connection.is_in_session(session) {
            return;
        }
        let (now, since) = (self.cx.now.at.mono, connection.up_since());
        let deadlines = self.cx.config.deadlines;
        let overdue: Vec<(InstrumentId, Stream)> = connection
            .streams
            .iter()
            .filter(|s| {
                let seen = self.instruments.get(s.instrument).and_then(|state| state.seen(s.stream));
                let (last, limit) = match seen {
                    Some(seen) if seen >= since => (seen, deadlines.stream_silence_ms),
                    _ => (since, deadlines.first_data_ms),
                };
                now.saturating_sub(last) >= limit.saturating_mul(NS_PER_MS.unsigned_abs())
            })
            .map(|s| (s.instrument, s.stream))
            .collect();
        for (id, stream) in overdue {
            self.start_probe(id, stream);
        }
        let every = deadlines.first_data_ms.min(deadlines.stream_silence_ms);
        self.cx.arm_in_ms(every, Timer::Watch(conn, session));
    }

    /// A connection without data: it must answer, and its streams are probed at once.
    fn on_silence_timeout(&mut self, conn: ConnId, session: u64) {
        let Some(connection) = find(&mut self.connections, conn) else { return };
        if connection.is_in_session(session) && connection.on_silence_timeout(&mut self.cx) {
            let streams: Vec<_> = connection.streams.iter().map(|s| (s.instrument, s.stream)).collect();
            for (id, stream) in streams {
                self.start_probe(id, stream);
            }
        }
    }

    fn start_probe(&mut self, id: InstrumentId, stream: Stream) {
        let Some(state) = self.instruments.get(id) else { return };
        if std::mem::replace(&mut state.probe(stream).busy, true) {
            return;
        }
        let aggregated = !state.trades.counts_fills();
        let rest = with_protocol!(
            self.cx.config.venue,
            P => P::probe(&self.cx.endpoints.rest, &state.native, stream, aggregated)
        );
        let Some(rest) = rest else { return };
        self.cx.request(Purpose::Probe(id, stream), rest);
    }

    /// REST has told where the stream should be.
    pub(super) fn on_probed(&mut self, id: InstrumentId, stream: Stream, told: RestTold) {
        let Some(state) = self.instruments.get(id) else { return };
        let own = position(state, stream);
        let probe = state.probe(stream);
        match own.or(probe.rest) {
            Some(own) if is_ahead(told, own) => {
                probe.rest = Some(told);
                self.cx.arm_in_ms(CATCH_UP_MS, Timer::Recheck(id, stream));
            }
            known => {
                // Quiet. A stream that has never spoken is compared with this next time.
                probe.busy = false;
                probe.rest = known.is_none().then_some(told);
                if stream == Stream::L2 && known.is_none() {
                    // A dead market sends no diff to start from: its snapshot is its book.
                    state.book.ask_snapshot(&mut self.cx, state.subject);
                }
            }
        }
    }

    fn on_recheck_timeout(&mut self, id: InstrumentId, stream: Stream) {
        let Some(state) = self.instruments.get(id) else { return };
        let own = position(state, stream);
        let probe = state.probe(stream);
        let told = std::mem::take(probe).rest;
        if let (Some(told), Some(own)) = (told, own)
            && !is_ahead(told, own)
        {
            return;
        }
        let finding = Finding::new(GapCause::Silence, GapEvidence::Clock);
        let origin = own_origin(&self.cx);
        state.suspend(&mut self.cx, origin, stream, finding);
        if stream == Stream::L2 {
            // The next diff may be an hour away: what REST says now is the book meanwhile.
            state.book.ask_snapshot(&mut self.cx, state.subject);
        }
        for connection in &mut self.connections {
            let Some(name) =
                connection.streams.iter().find(|s| s.instrument == id && s.stream == stream).map(|s| s.name.clone())
            else {
                continue;
            };
            if connection.is_silent(&self.cx) {
                connection.close(&mut self.cx, GapCause::Silence, "no data though the market moves");
            } else {
                connection.resubscribe(&mut self.cx, &name);
            }
        }
    }
}
