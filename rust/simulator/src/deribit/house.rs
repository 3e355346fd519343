//! What connections and HTTP share: the instruments and their market, the feed, the credits, who may log in, and what
//! happens at a time of its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::SimulatorError;
use crate::clock::{MS, MarketTime, SECOND, seconds};
use crate::config::{Account, SimulatorConfig, SymbolConfig};
use crate::deribit::credits::{Cost, Credits};
use crate::deribit::feed::{Feed, World};
use crate::deribit::instruments::{DELIVERED, Instrument, OPEN};
use crate::deribit::messages;
use crate::deribit::streams::Channel;
use crate::deribit::tape::Tape;
use crate::event::Event;
use crate::fault::Fault;
use crate::market::{Ids, Market, Step};
use crate::snapshot::{self, Shown};
use crate::truth::Truth;

/// The house, from the venue and from each of its sessions.
#[derive(Clone)]
pub(crate) struct Key(Arc<Mutex<House>>);

impl Key {
    pub(crate) fn new(house: House) -> Self {
        Self(Arc::new(Mutex::new(house)))
    }

    pub(crate) fn enter(&self) -> MutexGuard<'_, House> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct House {
    pub instruments: Vec<Instrument>,
    pub market: Market,
    pub tape: Tape,
    pub feed: Feed,
    credits: Credits,
    accounts: Vec<Account>,
    tokens: u64,
    compression: f64,
    paused: bool,
    /// Trading is locked until then.
    locked: Option<MarketTime>,
    /// From when until when only who is logged in is served.
    shed: Option<(MarketTime, MarketTime)>,
    /// When instruments expire.
    expiries: Vec<(MarketTime, usize)>,
    step: Step,
}

/// What has its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Flush,
    Step,
    Refresh,
    Expire(usize),
    Unlock,
    Admit,
}

impl House {
    pub(crate) fn new(config: &SimulatorConfig, start_ms: i64, truth: &mut Truth) -> Result<Self, SimulatorError> {
        let instruments = config.symbols.iter().map(Instrument::new).collect::<Result<Vec<_>, _>>()?;
        let market = Market::new(config.seed, &config.symbols, config.book_levels, 0.0, Ids::SHARED)?;
        for (n, i) in instruments.iter().enumerate() {
            truth.open_book(&i.name, i.scales, market.last_id(n), market.book(n).clone());
        }
        // What has expired before the beginning is played without end: a configuration outlives the dates in it.
        let ahead = |i: &Instrument| u64::try_from(i.expiry_ms? - start_ms).ok().filter(|ms| *ms > 0);
        let expiries = instruments.iter().enumerate().filter_map(|(n, i)| Some((ahead(i)?.saturating_mul(MS), n)));
        Ok(Self {
            tape: Tape::new(config, &instruments),
            feed: Feed::new(config.seed, start_ms),
            credits: Credits::default(),
            accounts: config.accounts.clone(),
            tokens: 0,
            compression: config.time_compression,
            paused: false,
            locked: None,
            shed: None,
            expiries: expiries.collect(),
            step: Step::default(),
            instruments,
            market,
        })
    }

    pub(crate) fn world(&self) -> World<'_> {
        World { instruments: &self.instruments, market: &self.market, tape: &self.tape }
    }

    // ---- time

    /// What comes next by itself. A paused house only tells what has happened.
    fn next(&self) -> Option<(MarketTime, Turn)> {
        let flush = self.feed.next_time().map(|at| (at, Turn::Flush));
        if self.paused {
            return flush;
        }
        let step = self.market.next_time().filter(|_| self.locked.is_none()).map(|at| (at, Turn::Step));
        let refresh = self.feed.next_refresh().map(|at| (at, Turn::Refresh));
        let expire = self.expiries.iter().min().map(|(at, n)| (*at, Turn::Expire(*n)));
        let unlock = self.locked.map(|at| (at, Turn::Unlock));
        let admit = self.shed.map(|(_, until)| (until, Turn::Admit));
        // At the same time the first one named goes first.
        [flush, step, refresh, expire, unlock, admit].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    pub(crate) fn next_time(&self) -> Option<MarketTime> {
        self.next().map(|(at, _)| at)
    }

    pub(crate) fn advance(&mut self, to: MarketTime, events: &mut Vec<Event>, truth: &mut Truth) {
        while let Some((at, turn)) = self.next().filter(|(at, _)| *at <= to) {
            match turn {
                Turn::Flush => {
                    let world = World { instruments: &self.instruments, market: &self.market, tape: &self.tape };
                    self.feed.flush(at, world, events);
                }
                Turn::Step => {
                    self.market.step(&mut self.step);
                    self.on_step(truth);
                }
                Turn::Refresh => self.feed.refresh(at),
                Turn::Expire(n) => {
                    self.expiries.retain(|(_, other)| *other != n);
                    self.set_state(n, DELIVERED, at, events);
                }
                Turn::Unlock => {
                    self.locked = None;
                    self.market.reschedule(at);
                    self.announce_lock(false, at, events);
                }
                Turn::Admit => {
                    self.shed = None;
                    self.announce_public_methods(true, at, events);
                }
            }
        }
    }

    /// What [`Self::step`] holds has happened.
    fn on_step(&mut self, truth: &mut Truth) {
        let Self { step, market, tape, feed, instruments, .. } = self;
        truth.change(&instruments[step.symbol].name, &step.changes);
        feed.on_step(step);
        for trade in tape.on_step(step, feed.ms(step.time), instruments, |n| market.book(n)) {
            feed.on_trade(&trade, step.time, instruments);
        }
    }

    pub(crate) fn set_rate(&mut self, factor: f64, now: MarketTime) {
        self.market.set_rate(factor, now);
    }

    pub(crate) fn set_paused(&mut self, paused: bool, now: MarketTime) {
        if self.paused && !paused {
            self.market.reschedule(now);
        }
        self.paused = paused;
    }

    // ---- channels

    /// A channel has a subscriber of that phase.
    pub(crate) fn begin(&mut self, name: &str, channel: &Channel, phase: usize, now: MarketTime) {
        let Self { feed, instruments, market, tape, .. } = self;
        feed.begin(name, channel, phase, World { instruments, market, tape }, now);
    }

    /// How a channel stands.
    pub(crate) fn present(&mut self, name: &str, phase: usize, now: MarketTime, events: &mut Vec<Event>) {
        let Self { feed, instruments, market, tape, .. } = self;
        feed.present(name, phase, World { instruments, market, tape }, now, events);
    }

    // ---- what goes wrong

    pub(crate) fn cross(&mut self, n: usize, lasting: f64, now: MarketTime, truth: &mut Truth) {
        self.market.cross(n, now, now.saturating_add(seconds(lasting)), &mut self.step);
        self.on_step(truth);
    }

    pub(crate) fn change_many(&mut self, n: usize, levels: u64, now: MarketTime, truth: &mut Truth) {
        self.market.change_many(n, now, levels, &mut self.step);
        self.on_step(truth);
    }

    /// A new instrument, whose book is empty until it opens.
    pub(crate) fn list(
        &mut self,
        symbol: &SymbolConfig,
        opens_after: f64,
        now: MarketTime,
        events: &mut Vec<Event>,
        truth: &mut Truth,
    ) {
        if let Some(n) = self.instruments.iter().position(|i| *i.name == *symbol.symbol) {
            // It was there before: it comes back as it was.
            return self.set_state(n, OPEN, now, events);
        }
        let Ok(instrument) = Instrument::new(symbol) else { return };
        if self.market.list(symbol, now, now.saturating_add(seconds(opens_after))).is_err() {
            return;
        }
        self.tape.list(&instrument);
        let n = self.instruments.len();
        truth.open_book(&instrument.name, instrument.scales, self.market.last_id(n), self.market.book(n).clone());
        self.instruments.push(instrument);
        let i = &self.instruments[n];
        let data = messages::instrument_state(i, self.feed.ms(now));
        let concerns = |c: &Channel| match c {
            Channel::InstrumentCreation { which } | Channel::InstrumentState { which } => which.has(i),
            _ => false,
        };
        self.feed.announce(concerns, &i.name, &data, now, events);
    }

    /// An instrument is traded from now on, or is not. The channels of one that is gone fall silent without a frame (§6).
    pub(crate) fn set_state(&mut self, n: usize, state: &str, now: MarketTime, events: &mut Vec<Event>) {
        self.instruments[n].state = state.to_owned();
        self.market.halt(n, state != OPEN, now);
        if !self.instruments[n].listed() {
            self.feed.end(n);
        }
        let i = &self.instruments[n];
        let data = messages::instrument_state(i, self.feed.ms(now));
        let concerns = |c: &Channel| matches!(c, Channel::InstrumentState { which } if which.has(i));
        self.feed.announce(concerns, &i.name, &data, now, events);
    }

    /// Trading stands still for some time.
    pub(crate) fn lock(&mut self, lasting: f64, now: MarketTime, events: &mut Vec<Event>) {
        self.locked = Some(now.saturating_add(seconds(lasting)));
        self.announce_lock(true, now, events);
    }

    /// Only who is logged in is served for some time.
    pub(crate) fn shed(&mut self, lasting: f64, now: MarketTime, events: &mut Vec<Event>) {
        self.shed = Some((now, now.saturating_add(seconds(lasting))));
        self.announce_public_methods(false, now, events);
    }

    fn announce_lock(&mut self, locked: bool, now: MarketTime, events: &mut Vec<Event>) {
        let mut indices: Vec<String> = self.instruments.iter().map(Instrument::index_name).collect();
        indices.sort();
        indices.dedup();
        for index in indices {
            let data = messages::locked(locked, &index);
            self.feed.announce(|c| *c == Channel::PlatformState, &"".into(), &data, now, events);
        }
    }

    fn announce_public_methods(&mut self, allowed: bool, now: MarketTime, events: &mut Vec<Event>) {
        let data = messages::public_methods(allowed);
        self.feed.announce(|c| *c == Channel::PublicMethods, &"".into(), &data, now, events);
    }

    /// The book that an order book over HTTP shows.
    pub(crate) fn shown(&self, name: &str, faults: &[Fault], now: MarketTime, truth: &Truth) -> Shown {
        let Some(n) = self.instruments.iter().position(|i| *i.name == *name) else { return Shown::Now };
        let own = format!("book.{name}.100ms");
        snapshot::shown(name, Some(self.market.last_id(n)), self.feed.ms(now), &own, faults, truth)
    }

    // ---- who asks

    /// False where a request is one too many.
    pub(crate) fn spend(&mut self, cost: Cost, now: MarketTime) -> bool {
        self.credits.spend(cost, now, self.compression)
    }

    /// The exchange's clock in microseconds.
    pub(crate) fn us(&self, at: MarketTime) -> i64 {
        self.feed.ms(0).saturating_mul(1000).saturating_add((at / 1000) as i64)
    }

    /// A time of the exchange's rules, compressed.
    pub(crate) fn span(&self, s: f64) -> MarketTime {
        seconds(s / self.compression)
    }

    /// When who is not logged in is cut.
    pub(crate) fn cut_of_anonymous(&self) -> Option<MarketTime> {
        self.shed.map(|(since, _)| since.saturating_add(SECOND))
    }

    /// `public/status`.
    pub(crate) fn status(&self) -> String {
        format!(r#"{{"locked":"{}"}}"#, self.locked.is_some())
    }

    pub(crate) fn is_account(&self, id: &str, secret: &str) -> bool {
        self.accounts.iter().any(|a| a.key == id && a.secret == secret)
    }

    pub(crate) fn is_token(&self, refresh: &str) -> bool {
        let number = refresh.strip_prefix(REFRESH).and_then(|n| n.parse::<u64>().ok());
        number.is_some_and(|n| (1..=self.tokens).contains(&n))
    }

    /// An access token and a refresh token.
    pub(crate) fn new_tokens(&mut self) -> [String; 2] {
        self.tokens += 1;
        [ACCESS, REFRESH].map(|kind| format!("{kind}{}", self.tokens))
    }
}

const ACCESS: &str = "simulated-access-token-";
const REFRESH: &str = "simulated-refresh-token-";
