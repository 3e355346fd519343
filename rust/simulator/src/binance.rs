//! Binance USDⓈ-M futures, as of 2026-11.
//!
//! ```text
//! streams    paths, families and stream names
//! session    one connection: SUBSCRIBE …, limits, which event it gets and in which form
//! feed       market steps -> messages: depth throttles, aggregation of trades, best bid and offer
//! messages   the JSON texts
//! rest       /fapi/v1/…, weights, bans
//! playback   a recorded capture in place of the market
//! recipe     how a plain client follows it all
//! ```

mod feed;
mod messages;
mod playback;
mod recipe;
mod rest;
mod session;
mod streams;

use crate::SimulatorError;
use crate::book::Book;
use crate::clock::MarketTime;
use crate::config::{DepthSpeed, SimulatorConfig, Source};
use crate::event::Event;
use crate::fault::{Fault, SnapshotPosition, Target};
use crate::market::{Market, Step};
use crate::truth::{TradeRecord, Truth, TruthRules};
use crate::venue::{RestReply, RestRequest, Session, Venue};
use feed::{Feed, FeedSymbol};
use playback::Playback;
use rest::{DepthImage, Rest};
use streams::{Route, symbol_stream};

pub(crate) use recipe::recipe;

/// The exchange: a source of events and a REST interface over the same books.
pub(crate) struct Binance {
    source: Events,
    rest: Rest,
    limits: session::SessionLimits,
    /// Depth streams are chained within each speed; this one is meant where none is named.
    speed: DepthSpeed,
}

enum Events {
    Market { market: Market, feed: Feed, paused: bool, step: Step },
    Playback(Playback),
}

impl Binance {
    pub(crate) fn new(config: &SimulatorConfig, start_ms: i64, truth: &mut Truth) -> Result<Self, SimulatorError> {
        truth.follow(TruthRules { trades: |e| trade(e).into_iter().collect(), applies_at_snapshot: true });
        let (source, rest) = match &config.source {
            Source::Synthetic => {
                let market = Market::new(config.seed, &config.symbols, config.book_levels, config.odd_trades)?;
                let symbols: Vec<FeedSymbol> = config
                    .symbols
                    .iter()
                    .enumerate()
                    .map(|(i, s)| FeedSymbol::new(&s.symbol, market.scales(i)))
                    .collect();
                for (i, s) in symbols.iter().enumerate() {
                    truth.open_book(&s.name, s.scales, market.last_id(i), market.book(i).clone());
                }
                let first_ids: Vec<u64> = (0..symbols.len()).map(|i| market.last_id(i)).collect();
                let info = rest::exchange_info(&config.symbols, start_ms)?;
                let feed = Feed::new(config, start_ms, symbols, &first_ids);
                (
                    Events::Market { market, feed, paused: false, step: Step::default() },
                    Rest::new(config, start_ms, info),
                )
            }
            Source::Capture { path, speed } => {
                let playback = Playback::open(path, *speed)?;
                let info = playback.exchange_info(start_ms);
                (Events::Playback(playback), Rest::new(config, start_ms, info))
            }
        };
        let speed = config.depth_speeds.first().copied().unwrap_or(DepthSpeed::Ms100);
        Ok(Self { source, rest, limits: session::SessionLimits::new(&config.limits), speed })
    }

    /// The book that a snapshot shows, its id, and how its numbers are written.
    fn depth(&self, symbol: &str, faults: &[Fault], now: MarketTime, truth: &Truth) -> Depth {
        let mut symbol = symbol;
        for f in faults {
            if let Fault::SnapshotOf { symbol: other } = f {
                symbol = other;
            }
        }
        let Some((book, id, scales)) = self.present(symbol) else { return Depth::Unknown };
        let mut at = Depth::Image(DepthImage { book: book.clone(), id, scales });
        for f in faults {
            let wanted = match f {
                Fault::StaleSnapshot { age_s } => {
                    let then = self.rest.start_ms() + (now / crate::clock::MS) as i64 - (age_s * 1000.0) as i64;
                    let old = truth.events().iter().filter(|e| &*e.symbol == symbol && e.prev_id.is_some());
                    let old = old.take_while(|e| e.event_ms <= then).last().map(|e| e.last_id);
                    Some(old.or_else(|| truth.first_id(symbol)))
                }
                Fault::SnapshotAt { position, stream } => {
                    let own = symbol_stream(symbol, self.speed);
                    let stream = stream.as_deref().unwrap_or(&own);
                    let last = truth.events().iter().rfind(|e| &*e.stream == stream);
                    match (position, last) {
                        (SnapshotPosition::Newer, Some(e)) if id <= e.last_id => return Depth::Wait,
                        (SnapshotPosition::Newer, _) => None,
                        (SnapshotPosition::AtEnd, e) => e.map(|e| Some(e.last_id)),
                        (SnapshotPosition::Inside, e) => {
                            let inside = e.map(|e| truth.change_ids(symbol, e.first_id, e.last_id));
                            match inside.and_then(|ids| ids.get(ids.len() / 2).copied()) {
                                Some(id) => Some(Some(id)),
                                None => return Depth::Wait,
                            }
                        }
                    }
                }
                _ => None,
            };
            if let Some(wanted) = wanted
                && let Some((book, id)) = wanted.and_then(|w| truth.raw_book_at(symbol, w))
            {
                at = Depth::Image(DepthImage { book, id, scales });
            }
        }
        at
    }

    fn present(&self, symbol: &str) -> Option<(&Book, u64, crate::book::Scales)> {
        match &self.source {
            Events::Market { market, feed, .. } => {
                let i = feed.index(symbol)?;
                Some((market.book(i), market.last_id(i), market.scales(i)))
            }
            Events::Playback(p) => p.book(symbol),
        }
    }
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
            Events::Market { market, feed, paused, .. } => {
                let step = market.next_time().filter(|_| !paused);
                step.into_iter().chain(feed.next_time()).min()
            }
            Events::Playback(p) => p.next_time(),
        }
    }

    fn advance(&mut self, to: MarketTime, events: &mut Vec<Event>, truth: &mut Truth) {
        match &mut self.source {
            Events::Market { market, feed, paused, step } => loop {
                let next_step = market.next_time().filter(|t| !*paused && *t <= to);
                let next_flush = feed.next_time().filter(|t| *t <= to);
                match (next_step, next_flush) {
                    (Some(s), f) if f.is_none_or(|f| s < f) => {
                        market.step(step);
                        truth.change(feed.name(step.symbol), &step.changes);
                        feed.on_step(step, market.book(step.symbol), events);
                    }
                    (_, Some(f)) => feed.flush(f, |i| market.book(i), events),
                    _ => return,
                }
            },
            Events::Playback(p) => p.advance(to, events, truth),
        }
    }

    fn open(&mut self, path: &str) -> Result<Box<dyn Session>, u16> {
        let route = Route::parse(path).ok_or(404u16)?;
        Ok(Box::new(session::BinanceSession::new(route, self.limits.clone())))
    }

    fn subscribed(&mut self, now: MarketTime) {
        if let Events::Playback(p) = &mut self.source {
            p.begin(now);
        }
    }

    fn rest(&mut self, request: &RestRequest<'_>, faults: &[Fault], truth: &Truth) -> RestReply {
        let depth = match (request.path, request.parameter("symbol")) {
            ("/fapi/v1/depth", Some(symbol)) => self.depth(symbol, faults, request.now, truth),
            _ => Depth::Unknown,
        };
        match depth {
            Depth::Wait => {
                RestReply { status: 0, headers: Vec::new(), body: String::new(), snapshot_id: None, again: true }
            }
            Depth::Image(image) => self.rest.answer(request, Some(&image), truth),
            Depth::Unknown => self.rest.answer(request, None, truth),
        }
    }

    fn error_body(&self, problem: &str) -> String {
        rest::error(-1000, problem).body
    }

    fn strike(&mut self, fault: &Fault, target: &Target, now: MarketTime, events: &mut Vec<Event>, truth: &mut Truth) {
        let Events::Market { market, feed, step, .. } = &mut self.source else { return };
        let wanted = |name: &str| target.symbol.as_deref().is_none_or(|s| s == name);
        // Without a symbol the first one is meant: a fault of one book.
        let Some(i) = (0..feed.len()).find(|i| wanted(feed.name(*i))) else { return };
        match fault {
            Fault::Cross { seconds } => {
                let until = now.saturating_add(crate::clock::seconds(*seconds));
                market.cross(i, now, until, step);
            }
            Fault::BigEvent { levels } => market.change_many(i, now, *levels, step),
            _ => return,
        }
        truth.change(feed.name(i), &step.changes);
        feed.on_step(step, market.book(i), events);
    }

    fn set_rate(&mut self, factor: f64, now: MarketTime) {
        if let Events::Market { market, .. } = &mut self.source {
            market.set_rate(factor, now);
        }
    }

    fn set_paused(&mut self, pause: bool, now: MarketTime) {
        match &mut self.source {
            Events::Market { market, paused, .. } => {
                if *paused && !pause {
                    market.reschedule(now);
                }
                *paused = pause;
            }
            Events::Playback(p) => p.set_paused(pause, now),
        }
    }
}

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
