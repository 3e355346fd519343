//! What is wanted from whom: selections become instruments, instruments become channels, channels find a connection.

use super::connection::{Connection, Settled};
use super::gaps::Finding;
use super::lanes::{room, with_room};
use super::{Engine, find, own_origin};
use crate::config::{ConfigError, Selection, SizeUnit, Stream, What, offers};
use crate::exchange::{self, Protocol, with_protocol};
use crate::instrument::Conversion;
use crate::report::escape;
use crate::symbol::{ConnId, InstrumentId};
use crate::table::{GapCause, GapEvidence, Status};

/// How often the time between two attempts to wake a silent channel doubles.
const MOST_DOUBLINGS: u32 = 6;

/// So many channels are named in a warning.
const MOST_NAMED: usize = 5;

/// A channel that a connection carries, and what it is for. One may serve several streams (Deribit `ticker`) and
/// several instruments (an index).
#[derive(Clone, Debug)]
pub(super) struct Channel {
    pub name: String,
    pub serves: Vec<(InstrumentId, Stream)>,
    /// Monotonic time at which it was asked for in this session.
    pub asked: Option<u64>,
    /// It has been granted in this session.
    pub is_granted: bool,
    /// The exchange has refused it.
    pub refused: bool,
    /// Since when the exchange has had no time for it.
    pub put_off: Option<u64>,
    /// Something new of it came at this time, and has not come on this connection since.
    pub behind: Option<u64>,
    /// It was asked for anew, because others brought what did not come here.
    pub is_mute: bool,
    /// How often it was asked for anew since it last spoke, because it should have.
    pub strikes: u32,
}

impl Channel {
    fn new(name: String, serves: Vec<(InstrumentId, Stream)>) -> Self {
        Self {
            name,
            serves,
            asked: None,
            is_granted: false,
            refused: false,
            put_off: None,
            behind: None,
            is_mute: false,
            strikes: 0,
        }
    }

    /// By how much longer than at first it is waited for: it doubles with every time that asking anew did not help.
    pub(super) fn patience(&self) -> u64 {
        1 << self.strikes.min(MOST_DOUBLINGS)
    }

    /// Its connection carries it, as far as anybody knows.
    pub(super) fn serves(&self) -> bool {
        self.is_granted && !self.refused && !self.is_mute
    }

    /// The same channel, on a connection that has not asked for it.
    pub(super) fn anew(&self) -> Self {
        Self::new(self.name.clone(), self.serves.clone())
    }
}

impl Engine {
    /// Subscribes what needs no reference data to be understood, and leaves the rest to [`Self::resolve`].
    pub(super) fn subscribe_names(&mut self) -> Result<(), ConfigError> {
        for text in self.cx.config.symbols.clone() {
            let selection = Selection::parse(self.cx.config.venue, &text)?;
            if let Some(native) = self.named(&selection)? {
                self.add(&native)?;
            }
        }
        Ok(())
    }

    /// The instrument that a selection means by its name, if that tells all that must be known of it.
    pub(super) fn named(&self, selection: &Selection) -> Result<Option<String>, ConfigError> {
        let venue = self.cx.config.venue;
        let What::Name(name) = &selection.what else { return Ok(None) };
        let market = selection.market.unwrap_or_else(|| venue.word());
        let native = with_protocol!(venue, P => P::native(market, name)).map(std::borrow::Cow::into_owned);
        let Some(native) = native else { return Ok(None) };
        let told = with_protocol!(venue, P => P::name(&native));
        if selection.market.is_some_and(|market| market != told.market) {
            return Err(ConfigError::NotListed {
                given: name.clone(),
                exchange: market.id(),
                hint: format!("; {native} is of {}", told.market.id()),
            });
        }
        // Contracts wait until somebody has told what one is worth; in native units, whether there is funding.
        let is_native = self.cx.config.chosen_for().size_unit == SizeUnit::Native;
        let is_plain = told.kind.is_some() || !self.cx.wants(Stream::Derivatives);
        let is_told = told.conversion != Conversion::Unknown || is_native && is_plain;
        Ok(is_told.then_some(native))
    }

    /// The reference data is complete: names that are not listed are an error, patterns become instruments, what has
    /// been listed since is subscribed, and what was refused is asked for again.
    pub(super) fn resolve(&mut self) {
        if let Err(error) = self.try_resolve() {
            self.cx.fault.get_or_insert(error);
        }
        for connection in &mut self.connections {
            connection.ask_refused(&mut self.cx);
        }
    }

    fn try_resolve(&mut self) -> Result<(), ConfigError> {
        let venue = self.cx.config.venue;
        for text in self.cx.config.symbols.clone() {
            let selection = Selection::parse(venue, &text)?;
            let natives = self.registry.natives_of(&selection);
            // What was added since is judged as what is listed later: others run.
            let is_start = !self.resolved && !self.added.contains(&text);
            if is_start && natives.is_empty() {
                return Err(self.not_listed(&selection, &text));
            }
            for native in &natives {
                self.add_listed(&selection, native, is_start)?;
            }
            // What fits and cannot be taken in is left out, unless nothing is left.
            let is_taken = |native: &String| self.instruments.is_running(native);
            if is_start && !natives.iter().any(is_taken) {
                natives.iter().find_map(|native| self.misfit(native)).map_or(Ok(()), Err)?;
            }
        }
        if !self.resolved {
            self.check_streams()?;
        }
        self.resolved = true;
        self.added.clear();
        self.subscribe_notices();
        self.subscribe_new();
        self.end_unlisted();
        self.end_closed();
        Ok(())
    }

    /// Listings are to be seen at once. Where no connection has room for that, the reference data tell them.
    fn subscribe_notices(&mut self) {
        let Self { cx, connections, .. } = self;
        for notice in with_protocol!(cx.config.venue, P => P::notices(&cx.config.markets())) {
            let is_known = |c: &Connection| c.channels.iter().any(|channel| channel.name == notice.name);
            if connections.iter().any(|c| c.is_in_use() && is_known(c)) {
                continue;
            }
            let Some(lane) = room(cx, connections, notice.family) else { continue };
            for connection in connections.iter_mut().filter(|c| c.is_in_use() && c.lane == lane) {
                connection.channels.push(Channel::new(notice.name.clone(), Vec::new()));
            }
        }
    }

    /// A stream that none of the instruments has, as the reference data tell them, would be waited for in vain.
    fn check_streams(&self) -> Result<(), ConfigError> {
        for stream in &self.cx.config.streams {
            let serves = |channel: &Channel| channel.serves.iter().any(|(_, served)| *served == stream.carrier());
            if self.cx.config.symbols.is_empty() || self.all_channels().any(serves) {
                continue;
            }
            return Err(ConfigError::Contradiction(format!(
                "no listed instrument that {} means has the stream {:?}; leave it out for these, or ask for others",
                self.cx.config.symbols.join(", "),
                stream.name()
            )));
        }
        Ok(())
    }

    /// No instrument is meant.
    pub(super) fn not_listed(&self, selection: &Selection, text: &str) -> ConfigError {
        match &selection.what {
            What::Name(name) => ConfigError::NotListed {
                given: name.clone(),
                exchange: selection.market.unwrap_or_else(|| self.cx.config.venue.word()).id(),
                hint: self.registry.hint(selection, name),
            },
            What::Pattern(_) | What::Conditions(_) => {
                ConfigError::Contradiction(format!("subscription {text:?} fits no listed instrument"))
            }
        }
    }

    /// Every connection that is up asks for what it has not asked for.
    pub(super) fn subscribe_new(&mut self) {
        let Self { cx, connections, .. } = self;
        for connection in connections {
            connection.subscribe_new(cx);
        }
    }

    /// Takes in an instrument that a selection means. What cannot be told in base units or has no more room is an error
    /// at the start where it is meant by its name, and left out where it only fits or has been listed since.
    pub(super) fn add_listed(
        &mut self,
        selection: &Selection,
        native: &str,
        is_start: bool,
    ) -> Result<(), ConfigError> {
        let listed = self.registry.get(native);
        if self.instruments.is_running(native) || listed.is_some_and(|listed| listed.status == Status::Closed) {
            return Ok(());
        }
        let form = self.cx.config.chosen_for();
        if let Some(misfit) = listed.and_then(|listed| form.misfit(listed.exchange, native, listed.conversion)) {
            return match selection.what {
                What::Name(_) if is_start => Err(misfit),
                _ => Ok(()),
            };
        }
        match self.add(native) {
            Err(_) if !is_start => Ok(()),
            // A pattern may fit, and a name may mean in one of several markets, what has none of the streams.
            Err(ConfigError::Contradiction(_)) => Ok(()),
            added => added,
        }
    }

    /// Takes an instrument in and gives its channels to connections.
    pub(super) fn add(&mut self, native: &str) -> Result<(), ConfigError> {
        let full = ConfigError::Bounds {
            key: "symbols",
            value: self.cx.config.symbols.len() as u64,
            bounds: "max_instruments at most",
        };
        if self.instruments.is_running(native) {
            return Ok(());
        }
        let wanted = self.channels_of(native);
        if wanted.is_empty() {
            return Err(self.without_streams(native));
        }
        let Self { cx, instruments, registry, connections, repeats, .. } = self;
        let id = instruments.add(cx, registry, own_origin(cx), native).ok_or(full)?.subject.id;
        for (wanted, stream) in wanted {
            let serves = (id, stream);
            if join(connections, &wanted.name, serves) {
                continue;
            }
            let lane = with_room(cx, connections, repeats, wanted.family)?;
            let channel = Channel::new(wanted.name, vec![serves]);
            for connection in connections.iter_mut().filter(|c| c.is_in_use() && c.lane == lane) {
                connection.channels.push(channel.anew());
            }
        }
        Ok(())
    }

    /// The channels of an instrument, and the stream that each is for.
    pub(super) fn channels_of(&self, native: &str) -> Vec<(exchange::Channel, Stream)> {
        let venue = self.cx.config.venue;
        let (told, kind) = with_protocol!(venue, P => { let name = P::name(native); (name.market, name.kind) });
        let listed = self.registry.get(native);
        let market = listed.map_or(told, |listed| listed.exchange);
        let kind = listed.map(|listed| listed.kind).or(kind);
        let mut channels = Vec::new();
        for stream in &self.cx.config.streams {
            let carried = stream.carrier();
            // Of a venue as a whole every stream may be wanted that one of its markets offers.
            if offers(market, carried) {
                let wanted = with_protocol!(venue, P => P::channels(native, market, kind, carried, &self.cx.config));
                channels.extend(wanted.into_iter().map(|channel| (channel, carried)));
            }
        }
        channels
    }

    /// An instrument that has none of the streams.
    pub(super) fn without_streams(&self, native: &str) -> ConfigError {
        let venue = self.cx.config.venue;
        let named = with_protocol!(venue, P => P::name(native).market);
        let market = self.registry.get(native).map_or(named, |listed| listed.exchange);
        let streams: Vec<&str> = self.cx.config.streams.iter().map(|stream| stream.name()).collect();
        ConfigError::Contradiction(format!(
            "{}:{native} has none of the streams {}; ask for another, or leave the instrument out",
            market.id(),
            streams.join(", ")
        ))
    }

    /// What an answer to a subscription leaves to be done. As long as nothing has ever been granted, a refusal of everything
    /// means that something wrong was asked for; later it is of the moment: what is refused is asked for again, and
    /// everything else goes on.
    pub(super) fn settle_channels(&mut self, conn: ConnId, settled: Settled, code: i64, text: &str) {
        let Self { connections, instruments, .. } = self;
        let Some(connection) = find(connections, conn) else { return };
        for channel in connection.channels.iter_mut().filter(|channel| settled.granted.contains(&channel.name)) {
            if channel.refused || channel.put_off.is_some() {
                channel.asked = Some(self.cx.now.at.mono);
            }
            (channel.refused, channel.put_off, channel.is_granted) = (false, None, true);
            self.was_granted |= !channel.serves.is_empty();
            // From here on nothing is missing on it, however quiet the stream is.
            for (id, stream) in &channel.serves {
                if let Some(state) = instruments.get(*id) {
                    state.join(&self.cx, *stream, conn);
                }
            }
        }
        connection.on_served();
        connection.ask_refused_later(&mut self.cx, &settled.refused);
        let missing = self.refuse(conn, &settled.refused);
        let is_hopeless = |channel: &Channel| channel.refused || channel.serves.is_empty();
        if !missing.is_empty() && !self.was_granted && self.all_channels().all(is_hopeless) {
            let exchange = self.cx.config.venue.id();
            self.cx.fault.get_or_insert(ConfigError::Refused { exchange, text: escape(text), code });
        } else {
            self.tell_refused(&missing, code, text);
        }
    }

    /// The exchange has had no time for these for so long that something is missing.
    pub(super) fn settle_put_off(&mut self, conn: ConnId, overdue: &[String], code: i64, text: &str) {
        let missing = self.refuse(conn, overdue);
        self.tell_refused(&missing, code, text);
    }

    /// Channels that the exchange does not serve: their streams say so themselves. Yields those that nobody carries from now
    /// on.
    fn refuse(&mut self, conn: ConnId, refused: &[String]) -> Vec<Channel> {
        let mut newly = Vec::new();
        let Some(connection) = find(&mut self.connections, conn) else { return newly };
        for channel in connection.channels.iter_mut().filter(|channel| refused.contains(&channel.name)) {
            if !std::mem::replace(&mut channel.refused, true) {
                newly.push(channel.clone());
                self.cx.counters.refused_channels += 1;
            }
        }
        // Of a channel that another connection carries nothing is missing, nor of a notice.
        newly.retain(|refused| !refused.serves.is_empty());
        newly.retain(|refused| !self.all_channels().any(|channel| channel.name == refused.name && !channel.refused));
        let origin = own_origin(&self.cx);
        for (id, stream) in newly.iter().flat_map(|channel| channel.serves.iter().copied()) {
            if let Some(state) = self.instruments.get(id) {
                let finding = Finding::new(GapCause::Silence, GapEvidence::Shell);
                state.suspend(&mut self.cx, origin, stream, finding);
            }
        }
        newly
    }

    /// Warns of what is refused. Whatever is listed no more ends.
    fn tell_refused(&mut self, missing: &[Channel], code: i64, text: &str) {
        if missing.is_empty() {
            return;
        }
        let names: Vec<&str> = missing.iter().map(|channel| channel.name.as_str()).collect();
        let (first, more) = names.split_at(names.len().min(MOST_NAMED));
        let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        // What is silently left out of an answer has no code.
        let code = if code == 0 { String::new() } else { format!(" (code {code})") };
        let said = escape(text);
        self.cx.warn(format!("{}{more}: {said}{code}; asked for again as long as it is listed", first.join(", ")));
        if self.was_granted {
            // It may be listed no more.
            self.cx.recheck_reference = true;
            self.end_closed();
        }
    }

    /// A login is refused: wrong credentials, unless everything has been granted with them before.
    pub(super) fn refuse_login(&mut self, code: i64, text: &str) {
        if !self.was_granted {
            let exchange = self.cx.config.venue.id();
            self.cx.fault.get_or_insert(ConfigError::Refused { exchange, text: escape(text), code });
        } else if !std::mem::replace(&mut self.login_refused, true) {
            self.cx.warn(format!("the login: {} (code {code}); tried again", escape(text)));
        }
    }

    /// Every channel of every connection that belongs to its lane.
    fn all_channels(&self) -> impl Iterator<Item = &Channel> {
        self.connections.iter().filter(|connection| connection.is_in_use()).flat_map(|connection| &connection.channels)
    }
}

/// Has a channel that is there serve one more stream, on each connection that carries it. False where there is none.
fn join(connections: &mut [Connection], name: &str, serves: (InstrumentId, Stream)) -> bool {
    let mut is_known = false;
    for channel in connections.iter_mut().flat_map(|c| &mut c.channels).filter(|channel| channel.name == name) {
        is_known = true;
        if !channel.serves.contains(&serves) {
            channel.serves.push(serves);
        }
    }
    is_known
}
