//! What the owner of a running engine wants changed: judged first, then an input like any other, so that a replay does
//! the same at the same place. Streams that a change does not mean do not feel it.

use super::connection::{Connection, Role};
use super::context::Purpose;
use super::input::{Command, Input};
use super::repeats::Repeats;
use super::subscription::Channel;
use super::timers::Timer;
use super::{Engine, lanes};
use crate::config::{ConfigError, EngineConfig, Selection, Stream};
use crate::exchange::{self, Protocol, with_protocol};
use crate::symbol::InstrumentId;
use crate::table::Status;
use crate::time::{NS_PER_MS, Stamp};

impl Engine {
    /// Judges what the owner of a running engine wants changed and, unless it is refused, takes it as an input.
    ///
    /// # Errors
    /// What cannot be done, with the remedy; then nothing has happened.
    pub fn command(&mut self, at: Stamp, command: &Command) -> Result<(), ConfigError> {
        if !self.cx.live && *command != Command::Stop {
            return Err(ConfigError::Contradiction(
                "a recording takes no changes while it is replayed; choose its symbols and streams at the start".into(),
            ));
        }
        match command {
            Command::Add(symbols) => self.judge_addition(symbols)?,
            Command::Remove(symbols) => self.judge_removal(symbols)?,
            Command::Connections(connections) => self.judge_connections(*connections)?,
            Command::Stop => {}
        }
        self.handle(at, Input::Command(command));
        Ok(())
    }

    fn judge_addition(&self, symbols: &[String]) -> Result<(), ConfigError> {
        let mut wanted = EngineConfig { symbols: symbols.to_vec(), ..self.cx.config.clone() };
        if !symbols.is_empty() {
            // What these alone do not have, those that are there may.
            wanted.symbols.extend_from_slice(&self.cx.config.symbols);
        }
        wanted.check()?;
        let mut natives = Vec::new();
        for text in symbols {
            let selection = Selection::parse(self.cx.config.venue, text)?;
            if !self.is_told(text) {
                natives.extend(self.named(&selection)?);
                continue;
            }
            let listed = self.registry.natives_of(&selection);
            if listed.is_empty() {
                return Err(self.not_listed(&selection, text));
            }
            // What only fits is left out where it cannot be taken in, unless nothing is left.
            let (mut misfit, before) = (None, natives.len());
            for native in listed {
                match self.misfit(&native) {
                    None => natives.push(native),
                    Some(found) => misfit = misfit.or(Some(found)),
                }
            }
            if natives.len() == before {
                misfit.map_or(Ok(()), Err)?;
            }
        }
        self.judge_room(natives)
    }

    /// Why an instrument that is listed cannot be taken in.
    pub(super) fn misfit(&self, native: &str) -> Option<ConfigError> {
        let listed = self.registry.get(native)?;
        if listed.status == Status::Closed {
            let (given, exchange) = (native.to_owned(), listed.exchange.id());
            return Some(ConfigError::NotListed { given, exchange, hint: "; it is closed".into() });
        }
        let without_streams = || self.channels_of(native).is_empty().then(|| self.without_streams(native));
        self.cx.config.chosen_for().misfit(listed.exchange, native, listed.conversion).or_else(without_streams)
    }

    /// Whether the reference data that tell what a selection means have come.
    fn is_told(&self, text: &str) -> bool {
        let config = EngineConfig { symbols: vec![text.to_owned()], ..self.cx.config.clone() };
        let rest = &self.cx.endpoints.rest;
        let requests = with_protocol!(config.venue, P => P::reference(rest, &config.markets(), &config.selections()));
        self.resolved && requests.iter().all(|request| self.registry.has_told(&request.url))
    }

    /// Whether the connections that the exchange allows can carry these instruments too.
    fn judge_room(&self, mut natives: Vec<String>) -> Result<(), ConfigError> {
        natives.sort_unstable();
        natives.dedup();
        natives.retain(|native| !self.instruments.is_running(native));
        let most = self.cx.config.max_instruments;
        if self.instruments.running().saturating_add(natives.len()) > most {
            return Err(ConfigError::Bounds {
                key: "symbols",
                value: natives.len() as u64,
                bounds: "max_instruments at most, with those that there are",
            });
        }
        let Some(free) = lanes::seats(&self.cx, &self.connections) else { return Ok(()) };
        let mut wanted: Vec<exchange::Channel> =
            natives.iter().flat_map(|n| self.channels_of(n)).map(|(c, _)| c).collect();
        wanted.sort_unstable_by(|a, b| (a.family, &a.name).cmp(&(b.family, &b.name)));
        wanted.dedup();
        let most = lanes::limits(&self.cx).channels_per_connection;
        let mut needed = 0;
        for of_family in wanted.chunk_by(|a, b| a.family == b.family) {
            let family = of_family[0].family;
            let first = |c: &&Connection| c.role == Role::Holder && c.family == family;
            let mut rooms: Vec<(u16, usize)> = self
                .connections
                .iter()
                .filter(first)
                .map(|c| (c.lane, most.saturating_sub(c.channels.len())))
                .collect();
            rooms.sort_unstable();
            rooms.dedup_by_key(|(lane, _)| *lane);
            let room: usize = rooms.iter().map(|(_, room)| *room).sum();
            needed += of_family.len().saturating_sub(room).div_ceil(most);
        }
        if needed.saturating_mul(self.cx.config.connections.into()) > free {
            return Err(lanes::full(&self.cx));
        }
        Ok(())
    }

    fn judge_removal(&self, symbols: &[String]) -> Result<(), ConfigError> {
        let there = &self.cx.config.symbols;
        if let Some(unknown) = symbols.iter().find(|symbol| !there.contains(symbol)) {
            return Err(ConfigError::Contradiction(format!(
                "{unknown:?} is not subscribed and cannot be removed; there is: {}",
                there.join(", ")
            )));
        }
        if there.iter().all(|symbol| symbols.contains(symbol)) {
            return Err(ConfigError::Contradiction(
                "nothing would be left; add another symbol first, or close the stream".into(),
            ));
        }
        Ok(())
    }

    fn judge_connections(&self, connections: u16) -> Result<(), ConfigError> {
        let config = EngineConfig { connections, ..self.cx.config.clone() };
        config.check()?;
        let allowed = lanes::allowed(&self.cx) as usize;
        if allowed > 0 && lanes::numbers(&self.connections).len().saturating_mul(connections.into()) > allowed {
            return Err(lanes::too_many(&self.cx, connections));
        }
        Ok(())
    }

    /// Carries out what [`Self::command`] has judged.
    pub(super) fn on_command(&mut self, command: &Command) {
        match command {
            Command::Stop => self.on_stop(),
            _ if !self.cx.live => {}
            Command::Add(symbols) => self.add_symbols(symbols),
            Command::Remove(symbols) => self.remove_symbols(symbols),
            Command::Connections(connections) => {
                self.set_connections(*connections);
                self.arm_scores();
            }
        }
    }

    fn add_symbols(&mut self, symbols: &[String]) {
        for text in symbols {
            if !self.cx.config.symbols.contains(text) {
                self.cx.config.symbols.push(text.clone());
                self.added.extend((!self.resolved).then(|| text.clone()));
            }
            let Ok(selection) = Selection::parse(self.cx.config.venue, text) else { continue };
            if self.is_told(text) {
                for native in self.registry.natives_of(&selection) {
                    // One that does not fit after all is left out, as one that is listed later is.
                    let _ = self.add_listed(&selection, &native, false);
                }
            } else {
                if let Ok(Some(native)) = self.named(&selection) {
                    let _ = self.add(&native);
                }
                self.fetch_reference();
            }
        }
        self.subscribe_new();
    }

    fn remove_symbols(&mut self, symbols: &[String]) {
        self.cx.config.symbols.retain(|symbol| !symbols.contains(symbol));
        let venue = self.cx.config.venue;
        let left: Vec<Selection> =
            self.cx.config.symbols.iter().filter_map(|text| Selection::parse(venue, text).ok()).collect();
        let running = self.instruments.iter().filter(|state| !state.has_ended);
        let orphans: Vec<InstrumentId> = running
            .filter(|state| !left.iter().any(|selection| self.means(selection, &state.native)))
            .map(|state| state.subject.id)
            .collect();
        self.end(&orphans);
    }

    /// A name that was added before its reference data had come, and that they do not have, ends with a word: others run.
    pub(super) fn end_unlisted(&mut self) {
        let mut unlisted = Vec::new();
        for text in &self.cx.config.symbols {
            let Ok(selection) = Selection::parse(self.cx.config.venue, text) else { continue };
            // Under a name that another has taken from it, it is listed all the same.
            let native = self.named(&selection).ok().flatten();
            let is_listed = native.is_none_or(|native| self.registry.get(&native).is_some());
            if !is_listed && self.registry.natives_of(&selection).is_empty() && self.is_told(text) {
                unlisted.push((text.clone(), self.not_listed(&selection, text)));
            }
        }
        if unlisted.is_empty() || unlisted.len() == self.cx.config.symbols.len() {
            return;
        }
        let texts: Vec<String> = unlisted.iter().map(|(text, _)| text.clone()).collect();
        self.remove_symbols(&texts);
        for (_, error) in unlisted {
            self.cx.warn(error.to_string());
        }
    }

    /// Whether a selection means an instrument: as it is listed, or by the name that it had before another asked for it.
    fn means(&self, selection: &Selection, native: &str) -> bool {
        self.registry.get(native).is_some_and(|listed| selection.means(listed))
            || self.named(selection).is_ok_and(|named| named.as_deref() == Some(native))
    }

    /// Ends instruments: channels that serve nothing else, and the streams, which are no gaps.
    pub(super) fn end(&mut self, ids: &[InstrumentId]) {
        if ids.is_empty() {
            return;
        }
        let Self { cx, instruments, connections, repeats, registry, .. } = self;
        repeats.iter_mut().for_each(Repeats::clear);
        for connection in connections.iter_mut().filter(|connection| connection.is_in_use()) {
            let mut names = Vec::new();
            for channel in &mut connection.channels {
                let before = channel.serves.len();
                channel.serves.retain(|(id, _)| !ids.contains(id));
                if before > 0 && channel.serves.is_empty() {
                    names.push(channel.name.clone());
                }
            }
            connection.end_channels(cx, &names);
            if connection.channels.is_empty() {
                connection.leave(cx, "nothing is left on it");
            }
        }
        for id in ids {
            instruments.end(cx, registry, *id);
        }
        cx.requests.retain(|_, purpose| match purpose {
            Purpose::Snapshot(id) | Purpose::Probe(id, _) => !ids.contains(id),
            Purpose::Reference | Purpose::Trades | Purpose::Poll(_) => true,
        });
        cx.resubscribe.retain(|id| !ids.contains(id));
    }

    /// What is listed no more and has gone silent ends: nobody is to wait for it. What still speaks is looked at again,
    /// since a listing may be wrong.
    pub(super) fn end_closed(&mut self) {
        let silence = self.cx.config.deadlines.stream_silence_ms;
        let since = self.cx.now.at.mono.saturating_sub(silence.saturating_mul(NS_PER_MS.unsigned_abs()));
        let Self { instruments, registry, connections, .. } = self;
        let in_use = || connections.iter().filter(|connection| connection.is_in_use());
        // Whatever was refused has not spoken since, nor will.
        let is_asked_for = |id: InstrumentId| {
            let mut channels = in_use().flat_map(|connection| &connection.channels).filter(|channel| !channel.refused);
            channels.any(|channel| channel.serves.iter().any(|(served, _)| *served == id))
        };
        let is_closed = |native: &str| registry.get(native).is_some_and(|listed| listed.status == Status::Closed);
        let mut silent = Vec::new();
        let mut speaks = false;
        for state in instruments.iter_mut().filter(|state| !state.has_ended && is_closed(&state.native)) {
            let has_spoken = Stream::ALL.into_iter().any(|stream| state.seen(stream).is_some_and(|seen| seen > since));
            if has_spoken && is_asked_for(state.subject.id) {
                speaks = true;
            } else {
                silent.push(state.subject.id);
            }
        }
        self.end(&silent);
        if speaks {
            self.cx.arm_in_ms(silence, Timer::Closed);
        }
    }

    /// More connections are opened one after the other; fewer close the ones that carry nothing, are down or came last.
    fn set_connections(&mut self, wanted: u16) {
        self.cx.config.connections = wanted;
        let Self { cx, connections, .. } = self;
        for lane in lanes::numbers(connections) {
            let of_lane = |c: &&Connection| c.role == Role::Holder && c.lane == lane;
            // One that is up and has been granted nothing yet carries nothing.
            let carries = |c: &Connection| c.is_up() && c.channels.iter().any(Channel::serves);
            let mut holders: Vec<(bool, bool, u16, u8)> =
                connections.iter().filter(of_lane).map(|c| (!carries(c), !c.is_up(), c.place, c.family)).collect();
            holders.sort_unstable();
            let Some((.., family)) = holders.first().copied() else { continue };
            let surplus = holders.split_off(holders.len().min(wanted.into()));
            for (.., place, _) in surplus {
                for connection in connections.iter_mut().filter(|c| c.is_in_use() && (c.lane, c.place) == (lane, place))
                {
                    connection.leave(cx, "so many connections are not wanted any more");
                }
            }
            let taken: Vec<u16> = holders.iter().map(|(.., place, _)| *place).collect();
            let missing = usize::from(wanted).saturating_sub(taken.len());
            for place in (0..=u16::MAX).filter(|place| !taken.contains(place)).take(missing) {
                if let Some(conn) = lanes::create(cx, connections, lane, place, family) {
                    lanes::open(cx, connections, conn, None);
                }
            }
        }
    }
}
