//! Deribit, as of 2026-11: JSON-RPC 2.0 over one path and over HTTP. Paragraphs are those of the protocol's manual.
//!
//! ```text
//! instruments  names and reference data           credits   what requests cost
//! streams      channel names                      rpc       requests, replies, refusals
//! tape         trades                             methods   what is asked without a connection
//! valuation    mark, index, funding, greeks       session   one connection
//! feed         market steps -> notifications      house     what all of them share
//! messages     their JSON texts (number: how      recipe    how a plain client follows it all
//!              the exchange writes numbers)
//! ```

mod credits;
mod feed;
mod house;
mod instruments;
mod messages;
mod methods;
mod number;
mod recipe;
mod rpc;
mod session;
mod streams;
mod tape;
mod valuation;

use crate::SimulatorError;
use crate::clock::MarketTime;
use crate::config::{SimulatorConfig, Source};
use crate::event::{Event, EventKind};
use crate::fault::{Fault, Target};
use crate::snapshot::{self, Shown};
use crate::truth::{TradeRecord, Truth, TruthRules};
use crate::venue::{RestReply, RestRequest, Session, Venue};
use credits::Cost;
use house::{House, Key};
use rpc::{Request, TOO_MANY_REQUESTS, UNKNOWN_METHOD};
use session::DeribitSession;

pub(crate) use instruments::defaults;
pub(crate) use recipe::recipe;

/// The exchange.
pub(crate) struct Deribit {
    house: Key,
    phases: usize,
    opened: usize,
    idle_s: f64,
}

impl Deribit {
    pub(crate) fn new(config: &SimulatorConfig, start_ms: i64, truth: &mut Truth) -> Result<Self, SimulatorError> {
        if matches!(config.source, Source::Capture { .. }) {
            return Err(SimulatorError::config(
                "source.capture",
                "captures of deribit are not played; take `synthetic`",
            ));
        }
        // Its tape has a history of its own: channels are produced only once somebody has subscribed to them.
        truth.follow(TruthRules { trades, applies_at_snapshot: false, windowed: false, history: 0 });
        let house = House::new(config, start_ms, truth)?;
        Ok(Self { house: Key::new(house), phases: config.batch_phases, opened: 0, idle_s: config.idle_s })
    }
}

impl Venue for Deribit {
    fn next_time(&self) -> Option<MarketTime> {
        self.house.enter().next_time()
    }

    fn advance(&mut self, to: MarketTime, events: &mut Vec<Event>, truth: &mut Truth) {
        self.house.enter().advance(to, events, truth);
    }

    fn open(&mut self, path: &str) -> Result<Box<dyn Session>, u16> {
        if path.split('?').next() != Some("/ws/api/v2") {
            return Err(404);
        }
        let phase = self.opened % self.phases.max(1);
        self.opened += 1;
        Ok(Box::new(DeribitSession::new(self.house.clone(), phase, self.idle_s)))
    }

    fn subscribed(&mut self, _: MarketTime) {}

    fn present(&mut self, stream: &str, now: MarketTime, events: &mut Vec<Event>) {
        let Some((name, phase)) = stream.rsplit_once('#').and_then(|(n, p)| Some((n, p.parse().ok()?))) else { return };
        self.house.enter().present(name, phase, now, events);
    }

    fn rest(&mut self, request: &RestRequest<'_>, faults: &[Fault], truth: &Truth) -> RestReply {
        let mut house = self.house.enter();
        let name = snapshot::symbol(request.symbol(), faults);
        let book = match house.shown(name, faults, request.now, truth) {
            Shown::Now => None,
            Shown::Then(book, id) => Some((book, id)),
            Shown::Later => {
                return RestReply {
                    status: 0,
                    headers: Vec::new(),
                    body: String::new(),
                    snapshot_id: None,
                    figures: Vec::new(),
                    again: true,
                };
            }
        };
        let at_us = house.us(request.now);
        let (status, outcome, book_id) = match request.path.strip_prefix("/api/v2/") {
            None => (404, Err(UNKNOWN_METHOD), None),
            Some(method) if !house.spend(Cost::of(method, false), request.now) => (429, Err(TOO_MANY_REQUESTS), None),
            Some(method) => {
                let mut asked = Request::of_query(method, request.query);
                if name != request.symbol() {
                    asked.params.set("instrument_name", name);
                }
                match methods::call(&mut house, method, &asked.params, book.as_ref(), request.now) {
                    Ok(answer) => (200, Ok(answer.result), answer.book_id),
                    Err(refusal) => (400, Err(refusal), None),
                }
            }
        };
        let body = rpc::reply(None, &outcome, at_us);
        let headers = if status == 429 { vec![("Retry-After".to_owned(), "1".to_owned())] } else { Vec::new() };
        RestReply { status, headers, body, snapshot_id: book_id, figures: Vec::new(), again: false }
    }

    fn error_body(&self, problem: &str) -> String {
        rpc::failure(problem)
    }

    fn strike(&mut self, fault: &Fault, target: &Target, now: MarketTime, events: &mut Vec<Event>, truth: &mut Truth) {
        let mut house = self.house.enter();
        match fault {
            Fault::Lock { seconds } => return house.lock(*seconds, now, events),
            Fault::ShedAnonymous { seconds } => return house.shed(*seconds, now, events),
            Fault::List { symbol, opens_after_s } => {
                return house.list(symbol, *opens_after_s, now, events, truth);
            }
            _ => {}
        }
        let wanted = |name: &str| target.symbol.as_deref().is_none_or(|s| s == name);
        // Without a symbol the first one is meant: a fault of one book.
        let Some(n) = house.instruments.iter().position(|i| wanted(&i.name)) else { return };
        match fault {
            Fault::Cross { seconds } => house.cross(n, *seconds, now, truth),
            Fault::BigEvent { levels } => house.change_many(n, *levels, now, truth),
            Fault::Delist => house.set_state(n, instruments::INACTIVE, now, events),
            Fault::Status { status } => house.set_state(n, status, now, events),
            _ => {}
        }
    }

    fn set_rate(&mut self, factor: f64, now: MarketTime) {
        self.house.enter().set_rate(factor, now);
    }

    fn set_paused(&mut self, paused: bool, now: MarketTime) {
        self.house.enter().set_paused(paused, now);
    }
}

/// The trades of an event: a row each. Numbers are in plain digits.
fn trades(event: &Event) -> Vec<TradeRecord> {
    use serde_json::value::RawValue;

    #[derive(serde::Deserialize)]
    struct Frame<'a> {
        #[serde(borrow)]
        params: Told<'a>,
    }
    #[derive(serde::Deserialize)]
    struct Told<'a> {
        #[serde(borrow)]
        data: Vec<Row<'a>>,
    }
    #[derive(serde::Deserialize)]
    struct Row<'a> {
        instrument_name: String,
        trade_id: String,
        #[serde(borrow)]
        price: &'a RawValue,
        #[serde(borrow)]
        amount: &'a RawValue,
        direction: String,
        timestamp: i64,
        liquidation: Option<String>,
        combo_trade_id: Option<String>,
        block_trade_id: Option<String>,
    }

    if event.kind != EventKind::Trade {
        return Vec::new();
    }
    let Ok(frame) = serde_json::from_str::<Frame<'_>>(&event.payload) else { return Vec::new() };
    let record = |row: Row<'_>| {
        let condition = match (&row.block_trade_id, &row.combo_trade_id, &row.liquidation) {
            (Some(_), ..) => Some("block".to_owned()),
            (_, Some(_), _) => Some("combo_leg".to_owned()),
            (.., Some(who)) => Some(who.clone()),
            _ => None,
        };
        TradeRecord {
            event: event.seq,
            symbol: row.instrument_name,
            id: row.trade_id.trim_start_matches("ETH-").parse().unwrap_or(0),
            price: number::plain(row.price.get()),
            size: number::plain(row.amount.get()),
            side: if row.direction == "sell" { "sell" } else { "buy" },
            time_ms: row.timestamp,
            condition,
        }
    };
    frame.params.data.into_iter().map(record).collect()
}

#[cfg(test)]
mod tests;
