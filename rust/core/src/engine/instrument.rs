//! One instrument of one engine: its name, its streams, and the interner that finds it.

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::book_stream::BookStream;
use super::carriers::Carriers;
use super::context::{Context, Origin, Subject};
use super::gaps::Finding;
use super::own_origin;
use super::probe::Probe;
use super::quote_stream::QuoteStream;
use super::registry::Registry;
use super::slots::Slots;
use super::state_stream::StateStream;
use super::trade_stream::TradeStream;
use crate::config::Stream;
use crate::event::StateRow;
use crate::exchange::Protocol;
use crate::exchange::names::words_of;
use crate::exchange::{EventKind, Key, with_protocol};
use crate::report::{IgnoreReason, Outcome};
use crate::symbol::{ConnId, InstrumentId};
use crate::table::InstrumentKind;

/// See the module.
pub(super) struct InstrumentState {
    pub subject: Subject,
    pub native: Box<str>,
    pub symbol: Box<str>,
    pub trades: TradeStream,
    pub book: BookStream,
    pub quotes: QuoteStream,
    pub derivatives: StateStream,
    pub options: StateStream,
    pub liquidations: StateStream,
    /// The index it follows, by the exchange's name.
    pub index: Option<Box<str>>,
    /// Nobody asks for it any more.
    pub has_ended: bool,
    /// The connection that its book was asked of last, where that comes on the stream itself.
    pub asked_of: Option<ConnId>,
    probes: [Probe; Stream::ALL.len()],
}

impl InstrumentState {
    /// Takes an event that brings nothing new: what it comes to. `None`, and nothing has changed, where it may have to be
    /// decoded. Not for one whose copies are to be compared.
    #[inline(always)]
    pub(super) fn take_repeated(
        &mut self,
        cx: &mut Context,
        origin: Origin,
        kind: EventKind,
        key: Key,
        event: Option<i64>,
        variant: Option<&str>,
    ) -> Option<Outcome> {
        match kind {
            EventKind::AggTrade | EventKind::Trade => self.trades.take_repeated(cx, origin.conn, kind, key, event),
            EventKind::Depth => self.book.take_repeated(cx, self.subject, origin, key, event, variant),
            EventKind::Bbo => self.quotes.take_repeated(cx, origin.conn, key, event),
            EventKind::Book | EventKind::MixedTrades | EventKind::State => None,
        }
    }

    /// Where its states of a stream are kept.
    pub(super) fn states(&mut self, stream: Stream) -> &mut StateStream {
        match stream {
            Stream::Options => &mut self.options,
            Stream::Liquidations => &mut self.liquidations,
            _ => &mut self.derivatives,
        }
    }

    pub(super) fn probe(&mut self, stream: Stream) -> &mut Probe {
        &mut self.probes[stream as usize]
    }

    /// Who carries a stream.
    pub(super) fn carriers(&mut self, stream: Stream) -> Option<&mut Carriers> {
        match stream {
            Stream::Trades => Some(&mut self.trades.carriers),
            Stream::L2 => Some(&mut self.book.carriers),
            Stream::Bbo => Some(&mut self.quotes.carriers),
            Stream::Derivatives => Some(&mut self.derivatives.carriers),
            Stream::Options => Some(&mut self.options.carriers),
            Stream::Liquidations => Some(&mut self.liquidations.carriers),
            Stream::L2Top => None,
        }
    }

    /// A connection was granted a stream.
    pub(super) fn join(&mut self, cx: &Context, stream: Stream, conn: ConnId) {
        if self.carriers(stream).is_some_and(|carriers| carriers.join(conn)) {
            match stream {
                Stream::Trades => self.trades.samples.make_room(cx),
                Stream::L2 => self.book.samples.make_room(cx),
                Stream::Bbo => self.quotes.samples.make_room(cx),
                _ => {}
            }
        }
    }

    /// Monotonic time of a stream's last frame.
    pub(super) fn seen(&mut self, stream: Stream) -> Option<u64> {
        self.carriers(stream).and_then(|carriers| carriers.seen)
    }

    /// When the first hole of its book or its trades is declared that is still awaited now.
    pub(super) fn heals_until(&self) -> Option<u64> {
        [self.book.heals_until(), self.trades.heals_until()].into_iter().flatten().min()
    }

    /// A stream is known to be dead: what follows does not continue what was.
    pub(super) fn suspend(&mut self, cx: &mut Context, origin: Origin, stream: Stream, finding: Finding) {
        match stream {
            Stream::Trades => self.trades.suspend(cx, self.subject, origin, finding),
            Stream::L2 => self.book.suspend(cx, self.subject, origin, finding),
            Stream::Bbo => self.quotes.suspend(cx, self.subject, origin, finding),
            Stream::Derivatives => self.derivatives.suspend(cx, self.subject, origin, finding),
            Stream::Options => self.options.suspend(cx, self.subject, origin, finding),
            Stream::Liquidations => self.liquidations.suspend(cx, self.subject, origin, finding),
            Stream::L2Top => {}
        }
    }

    /// Nobody asks for it any more: its streams end, and begin anew when it is asked for again. That is no gap; one that is
    /// open reaches until now. Which trades were seen is kept, so that none comes twice.
    pub(super) fn end(&mut self, cx: &mut Context, origin: Origin) {
        let subject = self.subject;
        self.has_ended = true;
        self.trades.end(cx, subject, origin);
        self.book.end(cx, subject, origin);
        self.quotes.end(cx, subject, origin);
        for states in [&mut self.derivatives, &mut self.options, &mut self.liquidations] {
            states.end(cx, subject, origin);
        }
        (self.probes, self.asked_of) = (Default::default(), None);
    }

    /// A connection is gone, and with it what it carried.
    pub(super) fn on_conn_down(&mut self, cx: &mut Context, origin: Origin, finding: Finding) {
        let subject = self.subject;
        self.trades.on_conn_down(cx, subject, origin, finding);
        self.book.on_conn_down(cx, subject, origin, finding);
        self.quotes.on_conn_down(cx, subject, origin, finding);
        for states in [&mut self.derivatives, &mut self.options, &mut self.liquidations] {
            states.on_conn_down(cx, subject, origin, finding);
        }
    }
}

impl InstrumentState {
    /// A connection is gone for good.
    pub(super) fn leave_races(&mut self, conn: ConnId) {
        for stream in Stream::ALL {
            if let Some(carriers) = self.carriers(stream) {
                carriers.leave_race(conn);
            }
        }
    }

    /// The connections that do not have what came of it until this moment, as far as it is remembered.
    pub(super) fn lacking(&self, until: u64) -> impl Iterator<Item = ConnId> + '_ {
        let states = [&self.derivatives.carriers, &self.options.carriers, &self.liquidations.carriers];
        let streams = [&self.trades.carriers, &self.book.carriers, &self.quotes.carriers].into_iter().chain(states);
        streams.flat_map(move |carriers| carriers.lacking(until))
    }
}

/// Of those that have ended so many are remembered, so that what of them was seen is known should they be asked for again.
pub(super) const REMEMBERED: usize = 256;

/// All instruments of one engine, by number and by the exchange's name.
#[derive(Default)]
pub(super) struct Instruments {
    states: Slots,
    /// Those among them that have ended, in the order in which they did.
    ended: VecDeque<InstrumentId>,
    names: HashMap<Box<str>, InstrumentId, foldhash::fast::FixedState>,
    /// The last row of each index, and where it came from: of a recording, which does not tell who follows it.
    indices: HashMap<Box<str>, (Origin, StateRow)>,
    /// Where names were found, so that most need no search.
    recent: Recent,
}

/// A name as numbers, and whose it is.
#[derive(Clone, Copy)]
struct Named {
    len: usize,
    words: [u64; 4],
    id: InstrumentId,
}

/// The names that came last, each in the only place where it may be.
struct Recent(Box<[Named; RECENT]>);

/// Names that are found without a search, of an engine that has more of them.
const RECENT: usize = 512;

impl Default for Recent {
    fn default() -> Self {
        // No name is so long.
        Self(Box::new([Named { len: usize::MAX, words: [0; 4], id: InstrumentId::NONE }; RECENT]))
    }
}

impl Recent {
    #[inline(always)]
    fn place(&mut self, [a, b, c, d]: [u64; 4]) -> &mut Named {
        let mixed = (a ^ b.rotate_left(32) ^ c.rotate_left(16) ^ d.rotate_left(48)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        &mut self.0[(mixed >> (u64::BITS - RECENT.ilog2())) as usize]
    }

    /// The name is nobody's any more.
    fn forget(&mut self, native: &str) {
        self.place(words_of(native)).len = usize::MAX;
    }
}

impl Instruments {
    /// The number of this native name, if it is known.
    #[inline(always)]
    pub(super) fn id_of(&mut self, native: &str) -> Option<InstrumentId> {
        let words = words_of(native);
        let place = self.recent.place(words);
        let [a, b, ..] = words;
        if place.len == native.len()
            && [place.words[0], place.words[1]] == [a, b]
            && (native.len() <= 16 || place.words == words)
            && (native.len() <= 32 || self.states.get(place.id).is_some_and(|state| *state.native == *native))
        {
            return Some(place.id);
        }
        self.search(native)
    }

    #[cold]
    fn search(&mut self, native: &str) -> Option<InstrumentId> {
        let id = *self.names.get(native)?;
        let words = words_of(native);
        *self.recent.place(words) = Named { len: native.len(), words, id };
        Some(id)
    }

    /// The instrument of this native name, if it is known.
    #[inline]
    pub(super) fn find(&mut self, native: &str) -> Option<&mut InstrumentState> {
        let id = self.id_of(native)?;
        self.get(id)
    }

    /// Takes a new one in, or one that has ended; `None` where the configuration allows no more. One that has ended makes
    /// room.
    pub(super) fn add(
        &mut self,
        cx: &mut Context,
        registry: &mut Registry,
        origin: Origin,
        native: &str,
    ) -> Option<&mut InstrumentState> {
        if let Some(id) = self.names.get(native).copied() {
            self.ended.retain(|ended| *ended != id);
            let state = self.get(id)?;
            state.has_ended = false;
            describe(cx, registry, state);
            return Some(state);
        }
        if self.states.len() >= cx.config.max_instruments && !self.forget_one(cx, registry) {
            return None;
        }
        let venue = cx.config.venue;
        let (name, rules) = with_protocol!(venue, P => (P::name(native), P::SYNC));
        // Reference data know more than a name.
        let (market, symbol): (_, Box<str>) = match registry.get(native) {
            Some(known) => (known.exchange, known.symbol.as_str().into()),
            None => {
                if registry.claim(cx, origin, name.market, native, &name.symbol) {
                    self.describe_all(cx, registry, origin);
                }
                (name.market, registry.names.given(name.market, native, &name.symbol).into())
            }
        };
        let symbol_id = cx.batches.intern(&symbol);
        let index = with_protocol!(venue, P => P::index_of(native)).map(Box::from);
        let state = self.states.insert(|id| InstrumentState {
            subject: Subject {
                id,
                exchange: market,
                symbol: symbol_id,
                conversion: name.conversion,
                is_combo: name.kind == Some(InstrumentKind::Combo),
            },
            native: native.into(),
            symbol,
            trades: TradeStream::new(cx.config.trade_source),
            book: BookStream::new(native, rules),
            quotes: QuoteStream::default(),
            derivatives: StateStream::new(Stream::Derivatives),
            options: StateStream::new(Stream::Options),
            liquidations: StateStream::new(Stream::Liquidations),
            index,
            has_ended: false,
            asked_of: None,
            probes: Default::default(),
        })?;
        self.names.insert(native.into(), state.subject.id);
        describe(cx, registry, state);
        let index = state.index.as_deref().and_then(|index| self.indices.get(index));
        if let Some((origin, row)) = index
            && cx.up.contains(&origin.conn)
        {
            state.derivatives.take(cx, state.subject, *origin, row, true);
        }
        Some(state)
    }

    /// Nobody asks for one any more. Of those that have ended the latest are remembered.
    pub(super) fn end(&mut self, cx: &mut Context, registry: &mut Registry, id: InstrumentId) {
        let Some(state) = self.states.get_mut(id) else { return };
        state.end(cx, own_origin(cx));
        cx.recovery.cancel(id);
        self.ended.push_back(id);
        if self.ended.len() > REMEMBERED {
            self.forget_one(cx, registry);
        }
    }

    /// Forgets whichever ended first; false where none has.
    fn forget_one(&mut self, cx: &Context, registry: &mut Registry) -> bool {
        let Some(gone) = self.ended.pop_front().and_then(|id| self.states.remove(id)) else { return false };
        self.names.remove(&gone.native);
        self.recent.forget(&gone.native);
        registry.forget(cx, &gone);
        true
    }

    /// How many have not ended.
    pub(super) fn running(&self) -> usize {
        self.states.len() - self.ended.len()
    }

    /// Keeps a row of an index for instruments that follow it and are not known yet, unless it has a newer one.
    pub(super) fn keep_index(&mut self, cx: &Context, index: &str, origin: Origin, row: &StateRow) -> Outcome {
        let has_room = self.indices.len() < cx.config.max_instruments;
        match self.indices.get_mut(index) {
            Some((_, last)) if last.times.event > row.times.event => Outcome::Ignored(IgnoreReason::OlderState),
            Some((_, last)) if last.times.event == row.times.event && last.state == row.state => Outcome::Duplicate,
            Some(last) => {
                *last = (origin, *row);
                Outcome::Accepted
            }
            None if has_room => {
                self.indices.insert(index.into(), (origin, *row));
                Outcome::Accepted
            }
            None => Outcome::Ignored(IgnoreReason::TooManyInstruments),
        }
    }

    /// Tells all of them what is known now. What follows of a book stands under another symbol or in another unit where
    /// these have changed: it needs a beginning there.
    pub(super) fn describe_all(&mut self, cx: &mut Context, registry: &Registry, origin: Origin) {
        for state in self.states.iter_mut() {
            if registry.describe(cx, state) {
                state.book.checkpoint(cx, state.subject, origin);
                state.book.is_unsampled = true;
            }
        }
    }

    /// An instrument of this name has been taken in.
    pub(super) fn knows(&self, native: &str) -> bool {
        self.names.contains_key(native)
    }

    /// An instrument of this name is taken in and has not ended.
    pub(super) fn is_running(&self, native: &str) -> bool {
        let state = self.names.get(native).and_then(|id| self.states.get(*id));
        state.is_some_and(|state| !state.has_ended)
    }

    #[inline]
    pub(super) fn get(&mut self, id: InstrumentId) -> Option<&mut InstrumentState> {
        self.states.get_mut(id)
    }

    /// As [`Self::get`], to look at.
    pub(super) fn peek(&self, id: InstrumentId) -> Option<&InstrumentState> {
        self.states.get(id)
    }

    /// All that follow this index.
    pub(super) fn followers_of(&self, index: &str) -> Vec<InstrumentId> {
        let follows = |state: &&InstrumentState| state.index.as_deref() == Some(index) && !state.has_ended;
        self.states.iter().filter(follows).map(|state| state.subject.id).collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &InstrumentState> {
        self.states.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut InstrumentState> {
        self.states.iter_mut()
    }
}

/// What is known of an instrument whose streams begin.
fn describe(cx: &mut Context, registry: &Registry, state: &mut InstrumentState) {
    // Where auctions cross the book, only reference data tell them apart from a book that is wrong.
    state.book.may_cross = with_protocol!(cx.config.venue, P => P::CROSSES_IN_AUCTIONS);
    registry.describe(cx, state);
}
