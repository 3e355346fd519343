//! Binance USDⓈ-M futures and Binance spot, as of 2026-11. What they differ by is in `dialect` and `messages`.
//!
//! ```text
//! dialect    what spot and futures differ by, as data
//! streams    paths, families and stream names
//! session    one connection: SUBSCRIBE …, limits, which event it gets and in which form
//! ledger     what connections leave behind for the exchange
//! feed       market steps -> messages: depth throttles, aggregation of trades, best bid and offer, contracts
//! messages   the JSON texts
//! rest       /fapi/v1/…, /api/v3/…, weights, bans, reference data
//! playback   a recorded capture in place of the market
//! recipe     how a plain client follows it all
//! ```

mod dialect;
mod feed;
mod ledger;
mod messages;
mod playback;
mod recipe;
mod rest;
mod session;
mod streams;

use std::sync::Arc;

use crate::SimulatorError;
use crate::book::{Book, Scales, decimal_text, parse_decimal, rescale};
use crate::clock::{MS, MarketTime, seconds};
use crate::config::{DepthSpeed, SimulatorConfig, Source, SymbolConfig};
use crate::event::Event;
use crate::fault::{Fault, Target};
use crate::market::{Market, Step};
use crate::snapshot::{self, Shown};
use crate::truth::{TradeRecord, Truth, TruthRules};
use crate::venue::{RestReply, RestRequest, Session, Venue};
use feed::{Feed, FeedSymbol};
use playback::Playback;
use rest::{AtHand, ContractRow, DepthImage, Instrument, Reference, Rest};
use session::House;
use streams::{Route, symbol_stream};

pub(crate) use dialect::{Dialect, FUTURES, SPOT};
pub(crate) use recipe::recipe;

/// The exchange: a source of events and a REST interface over the same books.
pub(crate) struct Binance {
    dialect: &'static Dialect,
    source: Events,
    rest: Rest,
    house: House,
    /// Depth streams are chained within each speed; this one is meant where none is named.
    speed: DepthSpeed,
    phases: usize,
    opened: usize,
    now: MarketTime,
}

enum Events {
    Market(Box<Live>),
    Playback(Playback),
}

/// A made-up market and what is told of it.
struct Live {
    market: Market,
    feed: Feed,
    paused: bool,
    step: Step,
}

/// Long ago: since then instruments are listed that are there from the start.
const LISTED_MS: i64 = 1_569_398_400_000;

impl Binance {
    pub(crate) fn new(
        dialect: &'static Dialect,
        config: &SimulatorConfig,
        start_ms: i64,
        truth: &mut Truth,
    ) -> Result<Self, SimulatorError> {
        check(dialect, config)?;
        truth.follow(TruthRules {
            trades: |e| trade(e).into_iter().collect(),
            applies_at_snapshot: dialect.applies_at_snapshot,
            windowed: false,
            history: config.limits.trade_history,
        });
        let (source, reference) = match &config.source {
            Source::Synthetic => {
                let symbols: Vec<SymbolConfig> =
                    config.symbols.iter().map(|s| padded(dialect, s)).collect::<Result<_, _>>()?;
                let market =
                    Market::new(config.seed, &symbols, config.book_levels, config.odd_trades, dialect.ids.clone())?;
                let mut feed = Feed::new(dialect, config, start_ms);
                let mut instruments = Vec::with_capacity(symbols.len());
                for (i, s) in symbols.iter().enumerate() {
                    let symbol = FeedSymbol::new(&s.symbol, market.scales(i));
                    truth.open_book(&symbol.name, symbol.scales, market.last_id(i), market.book(i).clone());
                    feed.add(symbol, market.last_id(i));
                    instruments.push(Instrument::new(dialect, s, LISTED_MS.min(start_ms))?);
                }
                let live = Live { market, feed, paused: false, step: Step::default() };
                (Events::Market(Box::new(live)), Reference::Instruments(instruments))
            }
            Source::Capture { path, speed } => {
                let playback = Playback::open(dialect, path, *speed)?;
                let reference = playback.reference(start_ms);
                (Events::Playback(playback), reference)
            }
        };
        Ok(Self {
            dialect,
            source,
            rest: Rest::new(dialect, config, start_ms, reference),
            house: House::new(dialect, config, start_ms),
            speed: config.depth_speeds.first().copied().unwrap_or(DepthSpeed::Ms100),
            phases: config.batch_phases,
            opened: 0,
            now: 0,
        })
    }

    /// The book that a snapshot shows, its id, and how its numbers are written.
    fn depth(&self, symbol: &str, faults: &[Fault], now: MarketTime, truth: &Truth) -> Depth {
        let symbol = snapshot::symbol(symbol, faults);
        let Some((book, id, scales)) = self.present(symbol) else { return Depth::Unknown };
        let id = Some(id).filter(|id| *id > 0);
        let (now_ms, own) = (self.rest.start_ms() + (now / MS) as i64, symbol_stream(symbol, self.speed));
        Depth::Image(match snapshot::shown(symbol, id, now_ms, &own, faults, truth) {
            Shown::Now => DepthImage { book: book.clone(), id, scales },
            Shown::Then(book, id) => DepthImage { book, id: Some(id), scales },
            Shown::Later => return Depth::Wait,
        })
    }

    fn present(&self, symbol: &str) -> Option<(&Book, u64, Scales)> {
        match &self.source {
            Events::Market(live) => {
                let i = live.feed.index(symbol).filter(|_| self.rest.is_listed(symbol))?;
                Some((live.market.book(i), live.market.last_id(i), live.market.scales(i)))
            }
            Events::Playback(p) => p.book(symbol),
        }
    }

    /// Mark price and open interest of one contract, or of all.
    fn contracts(&self, symbol: Option<&str>, now: MarketTime) -> Vec<ContractRow> {
        let Events::Market(live) = &self.source else { return Vec::new() };
        let now_ms = self.rest.start_ms() + (now / MS) as i64;
        let wanted = |i: &usize| {
            let name = &*live.feed.symbol(*i).name;
            symbol.is_none_or(|s| s == name) && self.rest.is_listed(name)
        };
        let row = |i| {
            let (mark, open) = live.feed.contract(i, live.market.book(i), now_ms)?;
            Some(ContractRow { mark, open_interest: decimal_text(open, live.market.scales(i).size) })
        };
        (0..live.feed.len()).filter(wanted).filter_map(row).collect()
    }

    /// A symbol comes while the market runs.
    fn list(&mut self, symbol: &SymbolConfig, now: MarketTime, opens: MarketTime, truth: &mut Truth) {
        let Events::Market(live) = &mut self.source else { return };
        let now_ms = self.rest.start_ms() + (now / MS) as i64;
        if let Some(i) = live.feed.index(&symbol.symbol) {
            // It was there before: it comes back as it was.
            live.market.halt(i, false, opens);
            self.rest.delist(&symbol.symbol);
        }
        let listed = padded(self.dialect, symbol).and_then(|s| Ok((Instrument::new(self.dialect, &s, now_ms)?, s)));
        // Plans are checked before they are taken.
        let Ok((instrument, config)) = listed else { return };
        self.rest.list(instrument);
        if live.feed.index(&symbol.symbol).is_none() && live.market.list(&config, now, opens).is_ok() {
            let i = live.feed.len();
            let symbol = FeedSymbol::new(&config.symbol, live.market.scales(i));
            truth.open_book(&symbol.name, symbol.scales, live.market.last_id(i), Book::default());
            live.feed.add(symbol, live.market.last_id(i));
        }
    }
}

/// Refuses what this exchange has not got.
fn check(dialect: &Dialect, config: &SimulatorConfig) -> Result<(), SimulatorError> {
    for speed in &config.depth_speeds {
        if !dialect.speeds.contains(speed) {
            let has: Vec<String> = dialect.speeds.iter().map(|s| format!("{}ms", s.interval_ms())).collect();
            let problem = format!("{} has no {}ms; it has {}", dialect.name, speed.interval_ms(), has.join(", "));
            return Err(SimulatorError::config("depth_speeds", problem));
        }
    }
    Ok(())
}

/// The symbol with as many fraction digits as the exchange writes.
fn padded(dialect: &Dialect, s: &SymbolConfig) -> Result<SymbolConfig, SimulatorError> {
    s.numbers()?;
    let Some(digits) = dialect.digits else { return Ok(s.clone()) };
    let pad = |text: &str| {
        let mantissa = parse_decimal(text).and_then(|n| rescale(n, digits));
        mantissa.map(|m| decimal_text(m, digits)).ok_or_else(|| {
            let problem = format!("{text} does not fit in {digits} fraction digits, which {} writes", dialect.name);
            SimulatorError::config(format!("symbols.{}", s.symbol), problem)
        })
    };
    let padded = SymbolConfig { price: pad(&s.price)?, tick: pad(&s.tick)?, lot: pad(&s.lot)?, ..s.clone() };
    padded.numbers()?;
    Ok(padded)
}

/// What a depth request finds.
enum Depth {
    Image(DepthImage),
    Unknown,
    /// The position asked for does not exist yet.
    Wait,
}

impl Venue for Binance {
    fn next_time(&self) -> Option<MarketTime> {
        match &self.source {
            Events::Market(live) => {
                let step = live.market.next_time().filter(|_| !live.paused);
                step.into_iter().chain(live.feed.next_time(live.paused)).min()
            }
            Events::Playback(p) => p.next_time(),
        }
    }

    fn advance(&mut self, to: MarketTime, events: &mut Vec<Event>, truth: &mut Truth) {
        self.now = self.now.max(to);
        match &mut self.source {
            Events::Market(live) => {
                for stream in self.house.ledger.take_wanted() {
                    live.feed.want(&stream, |symbol| live.market.last_id(symbol));
                }
                live.advance(to, events, truth);
            }
            Events::Playback(p) => p.advance(to, events, truth),
        }
    }

    fn open(&mut self, path: &str) -> Result<Box<dyn Session>, u16> {
        if self.house.ledger.banned(self.now) {
            return Err(418);
        }
        let route = Route::parse(self.dialect.product, path).ok_or(404u16)?;
        let phase = self.opened % self.phases;
        self.opened += 1;
        Ok(Box::new(session::BinanceSession::new(route, self.house.clone(), phase)))
    }

    fn subscribed(&mut self, now: MarketTime) {
        if let Events::Playback(p) = &mut self.source {
            p.begin(now);
        }
    }

    fn rest(&mut self, request: &RestRequest<'_>, faults: &[Fault], truth: &Truth) -> RestReply {
        let endpoint = request.path.strip_prefix(self.dialect.rest).unwrap_or("");
        let symbol = request.parameter("symbol");
        let depth = match (endpoint, symbol) {
            ("/depth", Some(symbol)) => self.depth(symbol, faults, request.now, truth),
            _ => Depth::Unknown,
        };
        let depth = match depth {
            Depth::Wait => {
                let (headers, body) = (Vec::new(), String::new());
                return RestReply { status: 0, headers, body, snapshot_id: None, figures: Vec::new(), again: true };
            }
            Depth::Image(image) => Some(image),
            Depth::Unknown => None,
        };
        let contracts = match endpoint {
            "/premiumIndex" | "/openInterest" => self.contracts(symbol, request.now),
            _ => Vec::new(),
        };
        self.rest.answer(request, &AtHand { depth, contracts, truth })
    }

    fn error_body(&self, problem: &str) -> String {
        rest::error(-1000, problem).body
    }

    fn strike(&mut self, fault: &Fault, target: &Target, now: MarketTime, events: &mut Vec<Event>, truth: &mut Truth) {
        if let Fault::List { symbol, opens_after_s } = fault {
            return self.list(symbol, now, now.saturating_add(seconds(*opens_after_s)), truth);
        }
        let Events::Market(live) = &mut self.source else { return };
        let wanted = |name: &str| target.symbol.as_deref().is_none_or(|s| s == name);
        // Without a symbol the first one is meant: a fault of one book.
        let Some(i) = (0..live.feed.len()).find(|i| wanted(&live.feed.symbol(*i).name)) else { return };
        let name = Arc::clone(&live.feed.symbol(i).name);
        match fault {
            Fault::Cross { seconds: s } => live.market.cross(i, now, now.saturating_add(seconds(*s)), &mut live.step),
            Fault::BigEvent { levels } => live.market.change_many(i, now, *levels, &mut live.step),
            Fault::Delist => {
                live.market.halt(i, true, now);
                return self.rest.delist(&name);
            }
            Fault::Status { status } => {
                live.market.halt(i, status != self.dialect.trading, now);
                return self.rest.set_status(&name, status);
            }
            _ => return,
        }
        live.tell(events, truth);
    }

    fn set_rate(&mut self, factor: f64, now: MarketTime) {
        if let Events::Market(live) = &mut self.source {
            live.market.set_rate(factor, now);
        }
    }

    fn set_paused(&mut self, pause: bool, now: MarketTime) {
        match &mut self.source {
            Events::Market(live) => {
                if live.paused && !pause {
                    live.market.reschedule(now);
                    live.feed.resume(now);
                }
                live.paused = pause;
            }
            Events::Playback(p) => p.set_paused(pause, now),
        }
    }
}

impl Live {
    fn advance(&mut self, to: MarketTime, events: &mut Vec<Event>, truth: &mut Truth) {
        loop {
            let next_step = self.market.next_time().filter(|t| !self.paused && *t <= to);
            let next_flush = self.feed.next_time(self.paused).filter(|t| *t <= to);
            match (next_step, next_flush) {
                (Some(s), f) if f.is_none_or(|f| s < f) => {
                    self.market.step(&mut self.step);
                    self.tell(events, truth);
                }
                (_, Some(f)) => self.feed.flush(f, |i| self.market.book(i), events),
                _ => return,
            }
        }
    }

    /// What the last step did, to the truth and to the streams.
    fn tell(&mut self, events: &mut Vec<Event>, truth: &mut Truth) {
        let symbol = self.step.symbol;
        truth.change(&self.feed.symbol(symbol).name, &self.step.changes);
        self.feed.on_step(&self.step, self.market.book(symbol), events);
    }
}

/// The trade that an event of a trade stream carries.
fn trade(event: &Event) -> Option<TradeRecord> {
    let v: serde_json::Value = serde_json::from_str(&event.payload).ok()?;
    let text = |key: &str| v.get(key)?.as_str().map(str::to_owned);
    Some(TradeRecord {
        event: event.seq,
        symbol: event.symbol.to_string(),
        id: event.last_id,
        price: text("p")?,
        size: text("q")?,
        side: if v.get("m")?.as_bool()? { "sell" } else { "buy" },
        time_ms: event.event_ms,
        condition: text("X"),
    })
}

#[cfg(test)]
mod tests;
