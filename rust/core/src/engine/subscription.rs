//! What is wanted from whom: selections become instruments, instruments become channels, channels find a connection.

use super::connection::{Connection, Settled};
use super::context::Context;
use super::gaps::Finding;
use super::{Engine, find, own_origin};
use crate::config::{ConfigError, Selection, SizeUnit, Stream, What, offers};
use crate::exchange::{Protocol, with_protocol};
use crate::instrument::Conversion;
use crate::report::escape;
use crate::symbol::{ConnId, InstrumentId};
use crate::table::{GapCause, GapEvidence};

/// A channel that a connection carries, and what it is for. One may serve several streams (Deribit `ticker`) and
/// several instruments (an index).
#[derive(Clone, Debug)]
pub(super) struct Channel {
    pub name: String,
    pub serves: Vec<(InstrumentId, Stream)>,
    /// The exchange has refused it.
    pub refused: bool,
}

impl Engine {
    /// Subscribes what needs no reference data to be understood, and leaves the rest to [`Self::resolve`].
    pub(super) fn subscribe_names(&mut self) -> Result<(), ConfigError> {
        let venue = self.cx.config.venue;
        for text in self.cx.config.symbols.clone() {
            let selection = Selection::parse(venue, &text)?;
            let What::Name(name) = &selection.what else { continue };
            let market = selection.market.unwrap_or_else(|| venue.word());
            let native = with_protocol!(venue, P => P::native(market, name)).map(std::borrow::Cow::into_owned);
            let Some(native) = native else { continue };
            let told = with_protocol!(venue, P => P::name(&native));
            if selection.market.is_some_and(|market| market != told.market) {
                return Err(ConfigError::NotListed {
                    given: name.clone(),
                    exchange: market.id(),
                    hint: format!("; {native} is of {}", told.market.id()),
                });
            }
            // Contracts wait until somebody has told what one is worth; in native units, whether there is funding.
            let is_native = self.cx.config.size_unit == SizeUnit::Native;
            let is_plain = told.kind.is_some() || !self.cx.config.streams.contains(&Stream::Derivatives);
            if told.conversion != Conversion::Unknown || is_native && is_plain {
                self.add(&native)?;
            }
        }
        Ok(())
    }

    /// The reference data is complete: names that are not listed are an error, patterns become instruments, what has
    /// been listed since is subscribed, and what was refused is asked for again.
    pub(super) fn resolve(&mut self) {
        for connection in &mut self.connections {
            connection.ask_refused(&mut self.cx);
        }
        if let Err(error) = self.try_resolve() {
            self.cx.fault.get_or_insert(error);
        }
    }

    fn try_resolve(&mut self) -> Result<(), ConfigError> {
        let venue = self.cx.config.venue;
        for text in self.cx.config.symbols.clone() {
            let selection = Selection::parse(venue, &text)?;
            let natives = self.registry.natives_of(&selection);
            if natives.is_empty()
                && let What::Name(name) = &selection.what
                && !self.resolved
            {
                return Err(ConfigError::NotListed {
                    given: name.clone(),
                    exchange: selection.market.unwrap_or_else(|| venue.word()).id(),
                    hint: self.registry.hint(&selection, name),
                });
            }
            if natives.is_empty() && !self.resolved {
                return Err(ConfigError::Contradiction(format!("subscription {text:?} fits no listed instrument")));
            }
            for native in natives {
                self.add_listed(&selection, &native)?;
            }
        }
        self.resolved = true;
        let Self { cx, connections, .. } = self;
        for connection in connections {
            connection.subscribe_new(cx);
        }
        Ok(())
    }

    /// Takes in an instrument that a selection means. What cannot be told in base units or has no more room is an error
    /// at the beginning where it is meant by its name, and left out where it only fits or has been listed since.
    fn add_listed(&mut self, selection: &Selection, native: &str) -> Result<(), ConfigError> {
        if self.instruments.find(native).is_some() {
            return Ok(());
        }
        let unit = self.registry.get(native).map(|listed| (listed.exchange, listed.conversion));
        if let Some((market, Conversion::Unknown)) = unit
            && self.cx.config.size_unit == SizeUnit::Base
        {
            return match selection.what {
                What::Name(_) if !self.resolved => {
                    Err(ConfigError::MissingReference { exchange: market.id(), symbol: native.to_owned() })
                }
                _ => Ok(()),
            };
        }
        match (self.add(native), &selection.what) {
            (Err(_), _) if self.resolved => Ok(()),
            // A pattern may fit what has none of the streams.
            (Err(ConfigError::Contradiction(_)), What::Pattern(_) | What::Conditions(_)) => Ok(()),
            (added, _) => added,
        }
    }

    /// Takes an instrument in and gives its channels to connections.
    fn add(&mut self, native: &str) -> Result<(), ConfigError> {
        let full = ConfigError::Bounds {
            key: "symbols",
            value: self.cx.config.symbols.len() as u64,
            bounds: "max_instruments at most",
        };
        if self.instruments.find(native).is_some() {
            return Ok(());
        }
        let Self { cx, instruments, registry, connections, .. } = self;
        let state = instruments.add(cx, registry, native).ok_or(full)?;
        let (id, market) = (state.subject.id, state.subject.exchange);
        let venue = cx.config.venue;
        let told = || with_protocol!(venue, P => P::name(native).kind);
        let kind = registry.get(native).map(|listed| listed.kind).or_else(told);
        for stream in cx.config.streams.clone() {
            // Sampled from the book, which needs its own channel.
            let carried = if stream == Stream::L2Top { Stream::L2 } else { stream };
            // Of a venue as a whole every stream may be wanted that one of its markets offers.
            if !offers(market, carried) {
                continue;
            }
            for wanted in with_protocol!(venue, P => P::channels(native, market, kind, carried, &cx.config)) {
                let serves = (id, carried);
                if let Some(channel) = known(connections, &wanted.name) {
                    if !channel.serves.contains(&serves) {
                        channel.serves.push(serves);
                    }
                    continue;
                }
                let connection = with_room(cx, connections, wanted.family)?;
                connection.channels.push(Channel { name: wanted.name, serves: vec![serves], refused: false });
            }
        }
        let Self { connections, .. } = self;
        let is_carried = |connection: &Connection| {
            connection.channels.iter().any(|channel| channel.serves.iter().any(|(served, _)| *served == id))
        };
        if connections.iter().any(is_carried) {
            return Ok(());
        }
        let streams: Vec<&str> = self.cx.config.streams.iter().map(|stream| stream.name()).collect();
        Err(ConfigError::Contradiction(format!(
            "{}:{native} has none of the streams {}; ask for another, or leave the instrument out",
            market.id(),
            streams.join(", ")
        )))
    }

    /// What an answer to a subscription leaves to be done.
    pub(super) fn settle_channels(&mut self, conn: ConnId, settled: Settled, code: i64, text: &str) {
        let mut served = Vec::new();
        {
            let Some(connection) = find(&mut self.connections, conn) else { return };
            for channel in &mut connection.channels {
                if settled.granted.contains(&channel.name) {
                    channel.refused = false;
                } else if settled.refused.contains(&channel.name) && !std::mem::replace(&mut channel.refused, true) {
                    served.extend(channel.serves.iter().copied());
                    self.cx.counters.refused_channels += 1;
                }
            }
        }
        let origin = own_origin(&self.cx);
        // Nothing will come: the streams say so themselves.
        for (id, stream) in served {
            if let Some(state) = self.instruments.get(id) {
                let finding = Finding::new(GapCause::Silence, GapEvidence::Shell);
                state.suspend(&mut self.cx, origin, stream, finding);
            }
        }
        let mut channels = self.connections.iter().flat_map(|connection| &connection.channels).peekable();
        if channels.peek().is_some() && channels.all(|channel| channel.refused) {
            let exchange = self.cx.config.venue.id();
            self.cx.fault.get_or_insert(ConfigError::Refused { exchange, text: escape(text), code });
        }
    }
}

fn known<'c>(connections: &'c mut [Connection], name: &str) -> Option<&'c mut Channel> {
    connections.iter_mut().flat_map(|connection| &mut connection.channels).find(|channel| channel.name == name)
}

/// A connection of the family that can carry one more channel; a new one where there is none.
fn with_room<'c>(
    cx: &mut Context,
    connections: &'c mut Vec<Connection>,
    family: u8,
) -> Result<&'c mut Connection, ConfigError> {
    let venue = cx.config.venue;
    let limits = with_protocol!(venue, P => P::LIMITS);
    let most = limits.channels_per_connection;
    if let Some(at) = connections.iter().position(|c| c.family == family && c.channels.len() < most) {
        return Ok(&mut connections[at]);
    }
    let full = ConfigError::Bounds {
        key: "symbols",
        value: cx.config.symbols.len() as u64,
        bounds: "what the connections carry that the exchange allows",
    };
    if limits.connections > 0 && connections.len() >= limits.connections as usize {
        return Err(full);
    }
    let id = ConnId(u16::try_from(connections.len() + 1).map_err(|_| full)?);
    let url = with_protocol!(venue, P => P::url(&cx.endpoints.ws, family));
    let mut connection = Connection::new(id, family, url);
    connection.open(cx);
    connections.push(connection);
    let at = connections.len() - 1;
    Ok(&mut connections[at])
}
