//! `/api/v5/…`: reference data, trades, books, time, open interest; limits by endpoint, answered with 50011.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;

use serde_json::{Value, json};

use crate::book::{Book, Side};
use crate::clock::{MarketTime, seconds};
use crate::event::{Event, EventKind};
use crate::okx::feed::Lane;
use crate::okx::figures;
use crate::okx::instruments::InstType;
use crate::okx::messages;
use crate::random::Random;
use crate::truth::Truth;
use crate::venue::{RestReply, RestRequest};

pub(crate) struct Rest {
    /// Requests of the last two seconds, by what is counted together.
    recent: HashMap<String, VecDeque<MarketTime>>,
    window: MarketTime,
    rng: Random,
}

/// What a request may look at.
pub(crate) struct View<'a, 'b> {
    pub lanes: &'a [Lane],
    pub book: &'a dyn Fn(usize) -> (&'b Book, u64),
    pub now_ms: i64,
    pub truth: &'a Truth,
}

type Answer = Result<RestReply, RestReply>;

pub(crate) fn error(code: u32, message: &str) -> RestReply {
    reply(json!({ "code": code.to_string(), "data": [], "msg": message }).to_string())
}

fn reply(body: String) -> RestReply {
    RestReply { status: 200, headers: Vec::new(), body, snapshot_id: None, figures: Vec::new(), again: false }
}

fn data(rows: &Value) -> RestReply {
    reply(json!({ "code": "0", "data": rows, "msg": "" }).to_string())
}

/// How many requests of a path two seconds allow.
fn limit(path: &str) -> usize {
    match path {
        "/api/v5/market/trades" => 100,
        "/api/v5/market/books" => 40,
        "/api/v5/public/time" => 10,
        _ => 20,
    }
}

impl Rest {
    pub(crate) fn new(seed: u64, compression: f64) -> Self {
        Self { recent: HashMap::new(), window: seconds(2.0 / compression), rng: Random::new(seed, "rest") }
    }

    pub(crate) fn answer(&mut self, r: &RestRequest<'_>, view: &View<'_, '_>) -> RestReply {
        if !self.allow(r) {
            return RestReply { status: 429, ..error(50011, "Too Many Requests") };
        }
        let answer = match r.path {
            "/api/v5/public/time" => Ok(data(&json!([{ "ts": view.now_ms.to_string() }]))),
            "/api/v5/public/instruments" => instruments(r, view),
            "/api/v5/public/open-interest" => self.open_interest(r, view),
            "/api/v5/market/books" => book(r, view),
            "/api/v5/market/trades" => recent_trades(r, view),
            "/api/v5/market/history-trades" => history(r, view),
            _ => Err(RestReply { status: 404, ..error(50404, "Not Found") }),
        };
        answer.unwrap_or_else(|refused| refused)
    }

    fn allow(&mut self, r: &RestRequest<'_>) -> bool {
        let key = format!("{}?{}", r.path, r.parameter("instType").unwrap_or_default());
        let recent = self.recent.entry(key).or_default();
        while recent.front().is_some_and(|t| t.saturating_add(self.window) <= r.now) {
            recent.pop_front();
        }
        let allowed = recent.len() < limit(r.path);
        if allowed {
            recent.push_back(r.now);
        }
        allowed
    }

    fn open_interest(&mut self, r: &RestRequest<'_>, view: &View<'_, '_>) -> Answer {
        let kind = inst_type(r)?;
        let wanted = |l: &Lane| l.instrument.kind == kind && kind != InstType::Spot && fits(l, r);
        let rows: Vec<Value> = (view.lanes.iter().enumerate())
            .filter(|(_, l)| wanted(l))
            .map(|(i, l)| figures::open_interest(l, (view.book)(i).0, view.now_ms, &mut self.rng).0)
            .collect();
        Ok(data(&rows.into()))
    }
}

fn required<'a>(r: &RestRequest<'a>, name: &str) -> Result<&'a str, RestReply> {
    let given = r.query.split('&').filter_map(|p| p.split_once('=')).find(|(k, v)| *k == name && !v.is_empty());
    given
        .map(|g| g.1)
        .ok_or_else(|| RestReply { status: 400, ..error(50014, &format!("Parameter {name} can not be empty.")) })
}

fn inst_type(r: &RestRequest<'_>) -> Result<InstType, RestReply> {
    let name = required(r, "instType")?;
    let wrong = || RestReply { status: 400, ..error(51000, "Parameter instType error") };
    InstType::ALL.into_iter().find(|t| t.name() == name).ok_or_else(wrong)
}

/// What `instFamily`, `uly` and `instId` ask for.
fn fits(lane: &Lane, r: &RestRequest<'_>) -> bool {
    let i = &lane.instrument;
    let is = |name, found: &str| r.parameter(name).is_none_or(|wanted| wanted.is_empty() || wanted == found);
    is("instFamily", &i.family) && is("uly", &i.family) && is("instId", &i.id)
}

fn instruments(r: &RestRequest<'_>, view: &View<'_, '_>) -> Answer {
    if r.parameter("instType") == Some("EVENTS") {
        return Ok(data(&json!([])));
    }
    let kind = inst_type(r)?;
    if kind == InstType::Option {
        required(r, "instFamily")?;
    }
    let rows = view.lanes.iter().filter(|l| l.instrument.kind == kind && l.listed && fits(l, r));
    Ok(data(&rows.map(|l| l.instrument.row()).collect::<Vec<_>>().into()))
}

fn lane(r: &RestRequest<'_>, view: &View<'_, '_>) -> Result<usize, RestReply> {
    let id = required(r, "instId")?;
    let unknown = || error(51001, &format!("Instrument ID, Instrument ID code, or Spread ID doesn't exist: {id}"));
    view.lanes.iter().position(|l| &*l.instrument.id == id && l.listed).ok_or_else(unknown)
}

fn number(r: &RestRequest<'_>, name: &str, otherwise: usize, most: usize) -> Result<usize, RestReply> {
    match r.parameter(name).map(str::parse) {
        None => Ok(otherwise),
        Some(Ok(n)) if (1..=most).contains(&n) => Ok(n),
        Some(_) => Err(RestReply { status: 400, ..error(51000, &format!("Parameter {name} error")) }),
    }
}

fn book(r: &RestRequest<'_>, view: &View<'_, '_>) -> Answer {
    let (i, size) = (lane(r, view)?, number(r, "sz", 1, 400)?);
    let ((book, id), form) = ((view.book)(i), view.lanes[i].form);
    let mut out = String::from(r#"{"code":"0","msg":"","data":[{"asks":"#);
    messages::levels(&mut out, book.levels(Side::Ask).take(size), form);
    out.push_str(r#","bids":"#);
    messages::levels(&mut out, book.levels(Side::Bid).take(size), form);
    let _ = write!(out, r#","ts":"{}"}}]}}"#, view.now_ms);
    Ok(RestReply { snapshot_id: Some(id), ..reply(out) })
}

/// Single fills of an instrument, the newest first.
fn fills<'a>(id: &str, truth: &'a Truth) -> impl Iterator<Item = &'a Event> {
    truth.history(EventKind::Trade, id).newest()
}

fn rows<'a>(events: impl Iterator<Item = &'a Event>) -> RestReply {
    let row = |e: &Event| {
        let mut payload: Value = serde_json::from_str(&e.payload).ok()?;
        Some(payload.get_mut("data")?.get_mut(0)?.take())
    };
    data(&events.filter_map(row).collect::<Vec<_>>().into())
}

fn recent_trades(r: &RestRequest<'_>, view: &View<'_, '_>) -> Answer {
    let (i, limit) = (lane(r, view)?, number(r, "limit", 100, 500)?);
    Ok(rows(fills(&view.lanes[i].instrument.id, view.truth).take(limit)))
}

/// Pages (§3) by trade id (`type=1`) or by time (`type=2`): `after` is older than, `before` newer than.
fn history(r: &RestRequest<'_>, view: &View<'_, '_>) -> Answer {
    let (i, limit) = (lane(r, view)?, number(r, "limit", 100, 100)?);
    let by_time = match r.parameter("type") {
        None | Some("1") => false,
        Some("2") => true,
        Some(_) => return Err(RestReply { status: 400, ..error(51000, "Parameter type error") }),
    };
    let bound = |name| match r.parameter(name).map(str::parse::<u64>) {
        None => Ok(None),
        Some(Ok(n)) => Ok(Some(n)),
        Some(Err(_)) => Err(RestReply { status: 400, ..error(51000, &format!("Parameter {name} error")) }),
    };
    let (after, before) = (bound("after")?, bound("before")?);
    let position = |e: &Event| if by_time { e.event_ms.unsigned_abs() } else { e.last_id };
    let within = |e: &&Event| after.is_none_or(|a| position(e) < a) && before.is_none_or(|b| position(e) > b);
    Ok(rows(fills(&view.lanes[i].instrument.id, view.truth).filter(within).take(limit)))
}
