//! Judging peers: deadlines of connections and streams. Live only; a recording cannot answer what was never asked.

use super::connection::Connection;
use super::context::{Origin, Purpose};
use super::gaps::Finding;
use super::probe::{is_ahead, position};
use super::replacement::Why;
use super::timers::Timer;
use super::{Engine, find, own_origin};
use crate::config::Stream;
use crate::exchange::{Answer, Beat, Protocol, RestTold, with_protocol};
use crate::report::{IgnoreReason, Outcome};
use crate::symbol::{ConnId, InstrumentId};
use crate::table::GapCause;
use crate::time::NS_PER_MS;

/// Time that a stream gets to catch up with what REST said before it is called dead: events of the moment of the
/// reply may still be on their way (§3: aggregated trades leave 100–200 ms late).
const CATCH_UP_MS: u64 = 2_000;

/// Nanoseconds between two fetches of the reference data that something unusual asked for.
const RECHECK: u64 = 60_000_000_000;

/// Nanoseconds between two fetches of the reference data that the exchange asked for.
pub(super) const SOON: u64 = 10_000_000_000;

impl Engine {
    pub(super) fn on_judging_timeout(&mut self, timer: Timer) {
        if !self.cx.live {
            return;
        }
        match timer {
            Timer::Recover => self.cx.recovery.stirred = true,
            Timer::Open(conn) => {
                if let Some(connection) = find(&mut self.connections, conn) {
                    connection.on_open_timeout(&mut self.cx);
                }
            }
            Timer::Trial(conn) => self.on_trial_timeout(conn),
            Timer::Age(conn, session) => self.on_age_timeout(conn, session),
            Timer::Ack(conn, id) => {
                if let Some(connection) = find(&mut self.connections, conn) {
                    let settled = connection.on_ack_timeout(&mut self.cx, id);
                    connection.go_on(&mut self.cx);
                    self.settle_channels(conn, settled, 0, "the exchange left the channel out of its answers");
                }
            }
            Timer::Again(conn, session) => {
                if let Some(connection) = find(&mut self.connections, conn) {
                    connection.on_again_timeout(&mut self.cx, session);
                }
            }
            Timer::Watch(conn, session) => self.on_watch_timeout(conn, session),
            Timer::Silence(conn, session) => self.on_silence_timeout(conn, session),
            Timer::Beat(conn, session) => {
                if let Some(connection) = find(&mut self.connections, conn) {
                    connection.on_beat_timeout(&mut self.cx, session);
                }
            }
            Timer::Flush(conn, session) => {
                if let Some(connection) = find(&mut self.connections, conn) {
                    connection.on_flush_timeout(&mut self.cx, session);
                }
            }
            Timer::Snapshot(id) => {
                if let Some(state) = self.instruments.get(id) {
                    state.book.on_retry_timeout(&mut self.cx, state.subject);
                }
            }
            Timer::Reference if self.cx.now.at.mono < self.registry.due => {}
            Timer::Reference => self.fetch_reference(),
            Timer::Closed => self.end_closed(),
            Timer::Recheck(id, stream) => self.on_recheck_timeout(id, stream),
            Timer::Checkpoint
            | Timer::Heal(_)
            | Timer::HealTrades(_)
            | Timer::LateTrades(_)
            | Timer::Top
            | Timer::Ledger
            | Timer::Poll
            | Timer::Scores => {}
        }
    }

    /// Asks for the reference data of the markets that are wanted, unless it is on its way.
    pub(super) fn fetch_reference(&mut self) {
        if self.registry.awaited > 0 {
            return;
        }
        self.registry.failed = None;
        let markets = self.cx.config.markets();
        let wanted = self.cx.config.selections();
        let requests = with_protocol!(
            self.cx.config.venue,
            P => P::reference(&self.cx.endpoints.rest, &markets, &wanted)
        );
        for rest in requests {
            self.registry.awaited += 1;
            self.cx.request(Purpose::Reference, rest);
        }
    }

    /// The exchange says that the reference data have changed: they are fetched at once, or soon where that has just
    /// been done or is on its way. Many options expire in one moment.
    fn on_reference_changed(&mut self) {
        let now = self.cx.now.at.mono;
        if self.registry.awaited > 0 {
            self.registry.is_stale = true;
        } else if self.registry.rechecked.is_some_and(|then| now.saturating_sub(then) < SOON) {
            self.registry.due = now.saturating_add(SOON);
            self.cx.timers.arm(self.registry.due, Timer::Reference);
        } else {
            self.registry.rechecked = Some(now);
            self.fetch_reference();
        }
    }

    /// Fetches the reference data before its time, though not more than once a minute: some replies are large.
    pub(super) fn recheck_reference(&mut self) {
        let now = self.cx.now.at.mono;
        let is_old = self.registry.rechecked.is_none_or(|then| now.saturating_sub(then) >= RECHECK);
        if self.cx.live && is_old {
            self.registry.rechecked = Some(now);
            self.fetch_reference();
        }
    }

    /// Streams that have not spoken since they were asked for, or not for long, are compared with what others of the
    /// lane brought; those that came on none of them, with REST, or with the exchange's word how often they speak.
    fn on_watch_timeout(&mut self, conn: ConnId, session: u64) {
        let Some(own) = find(&mut self.connections, conn).filter(|own| own.is_in_session(session)) else { return };
        let (lane, now) = (own.lane, self.cx.now.at.mono);
        let siblings: Vec<ConnId> = self.siblings(conn, lane).map(|sibling| sibling.id).collect();
        let deadlines = self.cx.config.deadlines;
        let [first_data, silence] = [deadlines.first_data_ms, deadlines.stream_silence_ms]
            .map(|ms| ms.saturating_mul(NS_PER_MS.unsigned_abs()));
        let (mut overdue, mut mute, mut is_hopeless) = (Vec::new(), Vec::new(), false);
        let (venue, origin) = (self.cx.config.venue, own_origin(&self.cx));
        let mut has_dead = false;
        let Self { cx, instruments, connections, .. } = self;
        let Some(own) = find(connections, conn) else { return };
        for channel in own.channels.iter_mut().filter(|channel| !channel.refused) {
            let Some(asked) = channel.asked else { continue };
            let [mut first_data, mut silence] = [first_data, silence];
            let (mut here, mut there, mut awaited) = (None, None, Vec::new());
            for (id, stream) in &channel.serves {
                // What several channels feed may be told by another lane: silence of one of them says nothing, unless
                // the exchange says how often it speaks.
                if let Some(cadence) = with_protocol!(venue, P => P::cadence(&channel.name, *stream))
                    && let Some(state) = instruments.get(*id)
                {
                    let states = state.states(*stream);
                    here = here.max(states.spoke(cadence.feed, conn));
                    there = there.max(siblings.iter().filter_map(|conn| states.spoke(cadence.feed, *conn)).max());
                    first_data = first_data.max(cadence.first_ms.saturating_mul(NS_PER_MS.unsigned_abs()));
                    // One may be late.
                    silence = silence.max(cadence.every_ms.saturating_mul(2 * NS_PER_MS.unsigned_abs()));
                    awaited.push((*id, *stream, cadence.feed));
                }
                if matches!(stream, Stream::Trades | Stream::L2 | Stream::Bbo)
                    && let Some(carriers) = instruments.get(*id).and_then(|state| state.carriers(*stream))
                {
                    here = here.max(carriers.spoke(conn));
                    // What another spoke after the newest event may have been a late copy of it.
                    let others = siblings.iter().filter_map(|sibling| carriers.spoke(*sibling)).max();
                    there = there.max(carriers.fresh.min(others));
                }
                let (last, limit) = match instruments.get(*id).and_then(|state| state.seen(*stream)) {
                    Some(seen) if seen >= asked => (seen, silence),
                    _ => (asked, first_data),
                };
                if now.saturating_sub(last) >= limit {
                    overdue.push((*id, *stream));
                }
            }
            let (last, limit) = match here {
                Some(here) if here >= asked => (here, silence),
                _ => (asked, first_data),
            };
            channel.is_mute &= last == asked;
            channel.strikes *= u32::from(last == asked);
            channel.behind = there.filter(|there| *there > last).map(|there| {
                let known = channel.behind.filter(|behind| *behind > last);
                known.unwrap_or(there)
            });
            if channel.behind.is_some_and(|behind| now.saturating_sub(behind) >= limit) {
                // Once it is asked for anew, here alone. If that does not help, the connection is no good.
                is_hopeless |= std::mem::replace(&mut channel.is_mute, true);
                (channel.asked, channel.behind) = (Some(now), None);
                mute.push(channel.name.clone());
            } else if !awaited.is_empty()
                && now.saturating_sub(there.max(Some(last)).unwrap_or(last)) >= limit.saturating_mul(channel.patience())
            {
                // It comes on none: named, and asked for anew, ever more seldom.
                for (id, stream, feed) in awaited {
                    if let Some(state) = instruments.get(id) {
                        let subject = state.subject;
                        state.states(stream).suspend_feed(cx, subject, origin, feed);
                    }
                }
                has_dead = true;
                (channel.asked, channel.strikes) = (Some(now), channel.strikes.saturating_add(1));
                mute.push(channel.name.clone());
            }
        }
        if is_hopeless {
            self.replace(conn, Why::Mute);
        } else if has_dead && own.is_silent(cx) {
            own.close(cx, GapCause::Silence, "no data though the exchange should speak");
        } else if !mute.is_empty() {
            own.resubscribe(cx, mute);
        }
        // Of those that carry a stream one asks for all.
        if siblings.iter().all(|sibling| *sibling > conn) {
            for (id, stream) in overdue {
                self.start_probe(id, stream);
            }
        }
        let every = deadlines.first_data_ms.min(deadlines.stream_silence_ms);
        self.cx.arm_in_ms(every, Timer::Watch(conn, session));
    }

    /// The other connections of a lane that are up.
    fn siblings(&self, conn: ConnId, lane: u16) -> impl Iterator<Item = &Connection> {
        self.connections.iter().filter(move |c| c.is_in_use() && c.is_up() && c.lane == lane && c.id != conn)
    }

    /// A connection without data: it must answer, and its streams are probed at once, unless another brings them.
    fn on_silence_timeout(&mut self, conn: ConnId, session: u64) {
        let Some(connection) = find(&mut self.connections, conn) else { return };
        let lane = connection.lane;
        if !connection.is_in_session(session) || !connection.on_silence_timeout(&mut self.cx) {
            return;
        }
        let carried = connection.channels.iter().filter(|channel| !channel.refused);
        let streams: Vec<_> = carried.flat_map(|channel| channel.serves.iter().copied()).collect();
        if self.siblings(conn, lane).all(|sibling| sibling.is_silent(&self.cx) && sibling.id > conn) {
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
        if let Some(rest) = rest {
            self.cx.request(Purpose::Probe(id, stream), rest);
            return;
        }
        state.probe(stream).busy = false;
        // Nobody to ask. A full book comes at once, and such exchanges repeat a quiet book and its top about once a
        // minute (OKX §4 step 3): twice that is dead. What else is quiet may just be quiet.
        let limit = self.cx.config.deadlines.stream_silence_ms.saturating_mul(2 * NS_PER_MS.unsigned_abs());
        let now = self.cx.now.at.mono;
        let is_dead = state.seen(stream).is_none_or(|seen| now.saturating_sub(seen) >= limit);
        if matches!(stream, Stream::L2 | Stream::Bbo) && is_dead {
            self.on_dead(id, stream);
        }
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
        let Some(told) = std::mem::take(state.probe(stream)).rest else { return };
        if own.is_some_and(|own| !is_ahead(told, own)) {
            return;
        }
        self.on_dead(id, stream);
    }

    /// A stream is dead: names it and asks for it anew, or gives its connection up.
    fn on_dead(&mut self, id: InstrumentId, stream: Stream) {
        let Some(state) = self.instruments.get(id) else { return };
        let finding = Finding::silent();
        let origin = own_origin(&self.cx);
        state.suspend(&mut self.cx, origin, stream, finding);
        if stream == Stream::L2 {
            // The next diff may be an hour away: what REST says now is the book meanwhile.
            state.book.ask_snapshot(&mut self.cx, state.subject);
            // Where that comes on the stream itself, it comes with what follows.
            self.cx.resubscribe.retain(|book| *book != id);
        }
        for connection in &mut self.connections {
            let serving = connection.channels.iter().filter(|channel| channel.serves.contains(&(id, stream)));
            let names: Vec<String> = serving.map(|channel| channel.name.clone()).collect();
            if names.is_empty() {
                continue;
            }
            if connection.is_silent(&self.cx) {
                connection.close(&mut self.cx, GapCause::Silence, "no data though the market moves");
            } else {
                connection.resubscribe(&mut self.cx, names);
            }
        }
    }

    /// Books whose next snapshot comes on their own stream: it is ended and asked for anew, on one connection alone, so
    /// that the chains of the others stay whole: on that whose data are the freshest, and the next time on another.
    pub(super) fn resubscribe_books(&mut self) {
        for id in std::mem::take(&mut self.cx.resubscribe) {
            let Self { cx, instruments, connections, .. } = self;
            let Some(state) = instruments.get(id) else { continue };
            let serving = |connection: &Connection| -> Vec<String> {
                let channels =
                    connection.channels.iter().filter(|c| !c.refused && c.serves.contains(&(id, Stream::L2)));
                channels.map(|channel| channel.name.clone()).collect()
            };
            let (last, carriers) = (state.asked_of, &state.book.carriers);
            let able = connections.iter_mut().filter(|c| c.is_in_use() && c.is_up() && !serving(c).is_empty());
            if let Some(connection) = able.max_by_key(|c| (Some(c.id) != last, carriers.spoke(c.id))) {
                state.asked_of = Some(connection.id);
                let names = serving(connection);
                connection.resubscribe(cx, names);
            }
        }
    }

    /// The exchange speaks to us, not to the market.
    pub(super) fn on_answer<P: Protocol>(&mut self, origin: Origin, payload: &[u8]) -> Outcome {
        let conn = origin.conn;
        let listed = P::read_notice(payload);
        if !listed.is_empty() {
            self.on_listed(origin, listed);
            if self.cx.live {
                self.on_reference_changed();
            }
            return Outcome::Accepted;
        }
        if !self.cx.live {
            return Outcome::Ignored(IgnoreReason::Answer);
        }
        let Self { cx, connections, .. } = self;
        let (Some(answer), Some(connection)) = (P::read_answer(payload), find(connections, conn)) else {
            return Outcome::Ignored(IgnoreReason::Answer);
        };
        match answer {
            Answer::Granted { id } => {
                let settled = connection.on_granted(id);
                self.settle_channels(conn, settled, 0, "");
            }
            Answer::GrantedOnly { id, channels } => {
                let settled = connection.on_granted_only(id, &channels);
                self.settle_channels(conn, settled, 0, "the exchange left the channel out of its answer");
            }
            Answer::GrantedOne { id, channel } => {
                let settled = connection.on_granted_one(id, &channel);
                self.settle_channels(conn, settled, 0, "");
            }
            Answer::Refused { id, channel, code, text } if P::is_passing(code, !cx.config.login) => {
                if connection.is_login(id) {
                    connection.close(cx, GapCause::Disconnect, "login put off");
                } else {
                    let overdue = connection.on_put_off(cx, id, channel.as_deref());
                    self.settle_put_off(conn, &overdue, code, &text);
                }
            }
            Answer::Refused { id, code, text, .. } if connection.is_login(id) => {
                if self.was_granted {
                    connection.close(cx, GapCause::Disconnect, "login refused");
                }
                self.refuse_login(code, &text);
            }
            Answer::Refused { id, channel, code, text } => {
                let settled = connection.on_refused(cx, id, channel.as_deref());
                self.settle_channels(conn, settled, code, &text);
            }
            Answer::LoggedIn { .. } => {
                self.login_refused = false;
                connection.on_logged_in(cx);
            }
            Answer::Beat(Beat::Alive) => connection.on_alive(),
            Answer::Beat(Beat::Wanted(text)) => connection.answer(cx, text),
            Answer::Closing => {
                connection.on_closing();
                self.replace(conn, Why::Announced);
            }
            Answer::ReferenceChanged => self.on_reference_changed(),
            Answer::Note => {}
        }
        if let Some(connection) = find(&mut self.connections, conn) {
            connection.go_on(&mut self.cx);
        }
        Outcome::Ignored(IgnoreReason::Answer)
    }
}
