//! One instrument of one engine: its name, its streams, and the interner that finds it.

use hashbrown::HashMap;

use super::book_stream::BookStream;
use super::context::{Context, Subject};
use super::gaps::Finding;
use super::probe::Probe;
use super::quote_stream::QuoteStream;
use super::trade_stream::TradeStream;
use crate::config::Stream;
use crate::exchange::Protocol;
use crate::exchange::with_protocol;
use crate::symbol::InstrumentId;

/// See the module.
pub(super) struct InstrumentState {
    pub subject: Subject,
    pub native: Box<str>,
    pub symbol: Box<str>,
    pub trades: TradeStream,
    pub book: BookStream,
    pub quotes: QuoteStream,
    probes: [Probe; Stream::ALL.len()],
}

impl InstrumentState {
    pub(super) fn probe(&mut self, stream: Stream) -> &mut Probe {
        &mut self.probes[stream as usize]
    }

    /// Monotonic time of a stream's last frame.
    pub(super) fn seen(&self, stream: Stream) -> Option<u64> {
        match stream {
            Stream::Trades => self.trades.carriers.seen,
            Stream::L2 => self.book.carriers.seen,
            Stream::Bbo => self.quotes.carriers.seen,
            Stream::Derivatives | Stream::Options | Stream::Liquidations | Stream::L2Top => None,
        }
    }

    /// A stream is known to be dead: what follows does not continue what was.
    pub(super) fn suspend(
        &mut self,
        cx: &mut Context,
        origin: super::context::Origin,
        stream: Stream,
        finding: Finding,
    ) {
        match stream {
            Stream::Trades => self.trades.suspend(cx, self.subject, origin, finding),
            Stream::L2 => self.book.suspend(cx, self.subject, origin, finding),
            Stream::Bbo => self.quotes.suspend(cx, self.subject, origin, finding),
            Stream::Derivatives | Stream::Options | Stream::Liquidations | Stream::L2Top => {}
        }
    }
}

/// All instruments of one engine, by number and by the exchange's name.
#[derive(Default)]
pub(super) struct Instruments {
    states: Vec<InstrumentState>,
    names: HashMap<Box<str>, InstrumentId, foldhash::fast::FixedState>,
    /// Most frames are of the instrument of the frame before.
    last: usize,
}

impl Instruments {
    /// The instrument of this native name, if it is known.
    #[inline]
    pub(super) fn find(&mut self, native: &str) -> Option<&mut InstrumentState> {
        if self.states.get(self.last).is_none_or(|state| &*state.native != native) {
            self.last = self.names.get(native)?.0 as usize;
        }
        self.states.get_mut(self.last)
    }

    /// Takes a new one in; `None` where the configuration allows no more.
    pub(super) fn add(&mut self, cx: &mut Context, native: &str) -> Option<&mut InstrumentState> {
        if self.states.len() >= cx.config.max_instruments {
            return None;
        }
        let id = InstrumentId(u32::try_from(self.states.len()).ok()?);
        let (name, rules) = with_protocol!(cx.config.venue, P => (P::name(native), P::SYNC));
        let symbol: Box<str> = name.symbol.into();
        let subject = Subject { id, exchange: name.market, symbol: cx.batches.intern(&symbol) };
        self.names.insert(native.into(), id);
        self.states.push(InstrumentState {
            subject,
            native: native.into(),
            symbol,
            trades: TradeStream::new(cx.config.trade_source),
            book: BookStream::new(native, rules),
            quotes: QuoteStream::default(),
            probes: Default::default(),
        });
        self.states.last_mut()
    }

    pub(super) fn get(&mut self, id: InstrumentId) -> Option<&mut InstrumentState> {
        self.states.get_mut(id.0 as usize)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &InstrumentState> {
        self.states.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut InstrumentState> {
        self.states.iter_mut()
    }
}
