//! OKX v5, as of 2026-11, JSON. Sections (§) are those of its manual.
//!
//! ```text
//! instruments   names, units, reference data
//! channels      where each is served, and what names a stream
//! session       one connection: subscribe, unsubscribe, login, the text ping, limits
//! login         who may
//! books         what subscribers of a book hold, and what they are told next
//! feed          market steps -> messages, in the documented order
//! figures       mark price, index, funding, open interest, options, liquidations
//! messages      the JSON texts
//! rest          /api/v5/…, limits
//! recipe        how a plain client follows it all
//! ```

mod books;
mod channels;
mod feed;
mod figures;
mod instruments;
mod login;
mod messages;
mod recipe;
mod rest;
mod session;

use std::sync::Arc;

use crate::SimulatorError;
use crate::book::Book;
use crate::clock::{MS, MarketTime, SECOND, seconds};
use crate::config::{SimulatorConfig, Source, SymbolConfig};
use crate::event::Event;
use crate::fault::{Fault, Target};
use crate::market::{Ids, Market, Step};
use crate::random::Random;
use crate::truth::{TradeRecord, Truth, TruthRules};
use crate::venue::{RestReply, RestRequest, Session, Venue};
use channels::{BUSINESS, PRIVATE, PUBLIC};
use feed::Feed;
use instruments::Instrument;
use rest::{Rest, View};
use session::{OkxSession, Rules};

pub(crate) use recipe::recipe;

/// The exchange: a market, and what it tells of it.
pub(crate) struct Okx {
    market: Market,
    feed: Feed,
    rest: Rest,
    rules: Arc<Rules>,
    paused: bool,
    step: Step,
    start_ms: i64,
    /// What happens to instruments beside their market, and when.
    plans: Vec<(MarketTime, Plan)>,
    rng: Random,
}

enum Plan {
    /// A new instrument opens.
    Open(usize),
    /// The next second of a call auction.
    Auction(usize),
}

/// `state` of an instrument that trades, before it does, and when it does no more.
const LIVE: &str = "live";
const PREOPEN: &str = "preopen";
const SUSPEND: &str = "suspend";

impl Okx {
    pub(crate) fn new(config: &SimulatorConfig, start_ms: i64, truth: &mut Truth) -> Result<Self, SimulatorError> {
        if matches!(config.source, Source::Capture { .. }) {
            return Err(SimulatorError::config("source", "okx plays the synthetic market alone"));
        }
        let history = config.limits.trade_history;
        truth.follow(TruthRules { trades, applies_at_snapshot: false, windowed: true, history });
        let market = Market::new(config.seed, &config.symbols, config.book_levels, config.odd_trades, Ids::SHARED)?;
        let mut feed = Feed::new(config, start_ms);
        let mut first = Vec::new();
        for (i, symbol) in config.symbols.iter().enumerate() {
            feed.add(symbol, 0, market.book(i), market.last_id(i), &mut first)?;
            let id = &feed.lanes()[i].instrument.id;
            truth.open_book(id, market.scales(i), market.last_id(i), market.book(i).clone());
        }
        // Nobody hears these; whoever subscribes is told again.
        first.into_iter().for_each(|e| truth.issue(&Arc::new(e)));
        Ok(Self {
            rules: Arc::new(Rules::new(config, start_ms, feed.streams())),
            rest: Rest::new(config.seed, config.time_compression),
            rng: Random::new(config.seed, "connections"),
            market,
            feed,
            paused: false,
            step: Step::default(),
            start_ms,
            plans: Vec::new(),
        })
    }

    /// What the last step did, to the truth and to the streams.
    fn tell(&mut self, events: &mut Vec<Event>, truth: &mut Truth) {
        truth.change(&self.feed.lanes()[self.step.symbol].instrument.id, &self.step.changes);
        self.feed.on_step(&self.step, events);
    }

    /// The time of the next plan, where nothing rests.
    fn next_plan(&self) -> Option<MarketTime> {
        self.plans.iter().map(|p| p.0).min().filter(|_| !self.paused)
    }

    fn carry_out(&mut self, now: MarketTime, events: &mut Vec<Event>, truth: &mut Truth) {
        let due: Vec<Plan> = self.plans.extract_if(.., |p| p.0 <= now).map(|p| p.1).collect();
        for plan in due {
            match plan {
                Plan::Open(i) => self.feed.set_state(i, LIVE, now, events),
                Plan::Auction(i) if self.feed.lanes()[i].auction => {
                    self.market.change_many(i, now, 6, &mut self.step);
                    self.tell(events, truth);
                    self.plans.push((now + SECOND, Plan::Auction(i)));
                }
                Plan::Auction(_) => {}
            }
        }
    }

    /// An instrument comes while the market runs: its book is empty until it opens.
    fn list(
        &mut self,
        symbol: &SymbolConfig,
        now: MarketTime,
        opens: MarketTime,
        events: &mut Vec<Event>,
        truth: &mut Truth,
    ) {
        let i = match self.feed.index(&symbol.symbol) {
            // It was there before: it comes back as it was.
            Some(i) => {
                self.market.halt(i, false, opens);
                i
            }
            None => {
                let i = self.feed.lanes().len();
                // The name is looked at before the market takes it in.
                if Instrument::new(symbol, 0).and_then(|_| self.market.list(symbol, now, opens)).is_err() {
                    return;
                }
                let (book, id) = (Book::default(), self.market.last_id(i));
                if self.feed.add(symbol, now, &book, id, events).is_err() {
                    return;
                }
                truth.open_book(&self.feed.lanes()[i].instrument.id, self.market.scales(i), id, book);
                i
            }
        };
        self.feed.list(i);
        self.feed.set_state(i, if opens > now { PREOPEN } else { LIVE }, now, events);
        self.plans.push((opens, Plan::Open(i)));
    }

    /// Another state. Before it opens an instrument is in a call auction: its book may be crossed, and goes on slowly.
    fn set_state(&mut self, i: usize, state: &str, now: MarketTime, events: &mut Vec<Event>, truth: &mut Truth) {
        let auction = state == PREOPEN;
        if auction && !self.feed.lanes()[i].auction {
            self.market.cross(i, now, MarketTime::MAX, &mut self.step);
            self.feed.set_auction(i, true);
            self.tell(events, truth);
            self.plans.push((now + SECOND, Plan::Auction(i)));
        } else if !auction {
            self.feed.set_auction(i, false);
            self.market.uncross(i, now);
        }
        self.market.halt(i, state != LIVE, now);
        self.feed.set_state(i, state, now, events);
    }
}

impl Venue for Okx {
    fn next_time(&self) -> Option<MarketTime> {
        let step = self.market.next_time().filter(|_| !self.paused);
        step.into_iter().chain(self.feed.next_time(self.paused)).chain(self.next_plan()).min()
    }

    fn advance(&mut self, to: MarketTime, events: &mut Vec<Event>, truth: &mut Truth) {
        loop {
            let due = |t: &MarketTime| *t <= to;
            let step = self.market.next_time().filter(|t| !self.paused && due(t));
            let flush = self.feed.next_time(self.paused).filter(due);
            let plan = self.next_plan().filter(due);
            match [step, plan, flush].into_iter().flatten().min() {
                None => return,
                now if now == flush => {
                    let market = &self.market;
                    self.feed.flush(flush.unwrap_or(to), |i| market.book(i), events);
                }
                now if now == step => {
                    self.market.step(&mut self.step);
                    self.tell(events, truth);
                }
                now => self.carry_out(now.unwrap_or(to), events, truth),
            }
        }
    }

    fn open(&mut self, path: &str) -> Result<Box<dyn Session>, u16> {
        let path = path.split('?').next().unwrap_or_default();
        let family = [PUBLIC, BUSINESS, PRIVATE].into_iter().find(|f| path.strip_prefix("/ws/v5/") == Some(f));
        let conn_id = format!("{:08x}", self.rng.below(1 << 32));
        Ok(Box::new(OkxSession::new(family.ok_or(404u16)?, conn_id, Arc::clone(&self.rules))))
    }

    fn subscribed(&mut self, _: MarketTime) {}

    fn present(&mut self, stream: &str, now: MarketTime, events: &mut Vec<Event>) {
        let market = &self.market;
        self.feed.present(stream, now, |i| market.book(i), events);
    }

    fn rest(&mut self, request: &RestRequest<'_>, _: &[Fault], truth: &Truth) -> RestReply {
        let now_ms = self.start_ms + (request.now / MS) as i64;
        let market = &self.market;
        let book = |i| (market.book(i), market.last_id(i));
        self.rest.answer(request, &View { lanes: self.feed.lanes(), book: &book, now_ms, truth })
    }

    fn error_body(&self, problem: &str) -> String {
        rest::error(50001, problem).body
    }

    fn strike(&mut self, fault: &Fault, target: &Target, now: MarketTime, events: &mut Vec<Event>, truth: &mut Truth) {
        if let Fault::List { symbol, opens_after_s } = fault {
            return self.list(symbol, now, now.saturating_add(seconds(*opens_after_s)), events, truth);
        }
        let lanes = self.feed.lanes();
        // Without a symbol the first one is meant: a fault of one book.
        let wanted = |i: &usize| target.symbol.as_deref().is_none_or(|s| s == &*lanes[*i].instrument.id);
        let Some(i) = (0..lanes.len()).find(wanted) else { return };
        match fault {
            Fault::Cross { seconds: s } => self.market.cross(i, now, now.saturating_add(seconds(*s)), &mut self.step),
            Fault::BigEvent { levels } => self.market.change_many(i, now, *levels, &mut self.step),
            Fault::RestartIds => {
                self.market.restart_ids(i, now, &mut self.step);
                self.feed.maintained(now, events);
            }
            Fault::Status { status } => return self.set_state(i, status, now, events, truth),
            Fault::Delist => {
                self.set_state(i, SUSPEND, now, events, truth);
                return self.feed.delist(i);
            }
            _ => return,
        }
        self.tell(events, truth);
    }

    fn set_rate(&mut self, factor: f64, now: MarketTime) {
        self.market.set_rate(factor, now);
    }

    fn set_paused(&mut self, paused: bool, now: MarketTime) {
        if self.paused && !paused {
            self.market.reschedule(now);
            self.feed.resume(now);
            self.plans.iter_mut().for_each(|p| p.0 = p.0.max(now));
        }
        self.paused = paused;
    }
}

/// The trades that an event of `trades` or `trades-all` tells.
fn trades(event: &Event) -> Vec<TradeRecord> {
    let Ok(v) = serde_json::from_str::<serde_json::Value>(&event.payload) else { return Vec::new() };
    let rows = v.get("data").and_then(|d| d.as_array()).into_iter().flatten();
    rows.filter_map(|row| {
        let text = |key: &str| row.get(key)?.as_str();
        Some(TradeRecord {
            event: event.seq,
            symbol: text("instId")?.to_owned(),
            id: text("tradeId")?.parse().ok()?,
            price: text("px")?.to_owned(),
            size: text("sz")?.to_owned(),
            side: if text("side")? == "sell" { "sell" } else { "buy" },
            time_ms: text("ts")?.parse().ok()?,
            condition: text("source").filter(|s| *s == "1").map(|_| "rpi".to_owned()),
        })
    })
    .collect()
}

#[cfg(test)]
mod tests;
