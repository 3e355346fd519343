//! One connection: SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY, and the limits.
//!
//! Every name is acknowledged and listed. Whether it delivers is another matter: the wrong family, unknown or uppercase
//! names and `@depth@250ms` simply equal no stream that is issued here.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::binance::dialect::{Dialect, Product};
use crate::binance::ledger::Ledger;
use crate::binance::messages;
use crate::binance::streams::{Family, ImageStream, Route};
use crate::clock::{MS, MarketTime, SECOND, seconds};
use crate::config::{LoadKind, SimulatorConfig};
use crate::event::{Event, EventKind};
use crate::venue::{LoadFrame, Reply, Session};

/// What all connections of an exchange have in common.
#[derive(Clone)]
pub(crate) struct House {
    pub dialect: &'static Dialect,
    pub ledger: Ledger,
    start_ms: i64,
    streams: usize,
    messages_per_s: usize,
    control_frames_count: bool,
    ban: MarketTime,
}

impl House {
    pub(crate) fn new(dialect: &'static Dialect, config: &SimulatorConfig, start_ms: i64) -> Self {
        Self {
            dialect,
            ledger: Ledger::default(),
            start_ms,
            streams: config.limits.streams_per_connection,
            messages_per_s: config.limits.messages_per_s,
            control_frames_count: config.limits.control_frames_count,
            ban: seconds(config.limits.ban_s / config.time_compression),
        }
    }
}

pub(crate) struct BinanceSession {
    house: House,
    family: Family,
    combined: bool,
    micros: bool,
    /// Which partition of the depth streams it hears.
    phase: usize,
    streams: Vec<Arc<str>>,
    recent: VecDeque<MarketTime>,
    /// A connection breaks limits once: what comes in behind its end is no new violation.
    violated: bool,
}

#[derive(serde::Deserialize)]
struct Request<'a> {
    method: String,
    #[serde(default)]
    params: Vec<Value>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

impl BinanceSession {
    pub(crate) fn new(route: Route, house: House, phase: usize) -> Self {
        let mut session = Self {
            house,
            family: route.family,
            combined: route.combined,
            micros: route.micros,
            phase,
            streams: Vec::new(),
            recent: VecDeque::new(),
            violated: false,
        };
        for s in &route.streams {
            session.add(s);
        }
        session
    }

    fn add(&mut self, name: &str) {
        if !self.streams.iter().any(|s| &**s == name) {
            self.streams.push(name.into());
            if ImageStream::parse(self.house.dialect, name).is_some() {
                self.house.ledger.want(name);
            }
        }
    }

    fn too_many(&self) -> Vec<Reply> {
        if self.streams.len() <= self.house.streams {
            return Vec::new();
        }
        vec![
            Reply::Text(r#"{"error":{"code":4,"msg":"Too many subscriptions"}}"#.into()),
            Reply::Close { code: 1008, reason: "Invalid request" },
        ]
    }

    fn too_fast_reply(&mut self, now: MarketTime) -> Vec<Reply> {
        if !std::mem::replace(&mut self.violated, true) {
            self.house.ledger.violate(self.house.dialect.violations_before_ban, now, self.house.ban);
        }
        vec![TOO_FAST]
    }

    /// True when this frame is one too many in a second.
    fn too_fast(&mut self, now: MarketTime) -> bool {
        while self.recent.front().is_some_and(|t| *t + SECOND <= now) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        self.recent.len() > self.house.messages_per_s
    }

    fn answer(&mut self, text: &str) -> Vec<Reply> {
        let request: Request<'_> = match serde_json::from_str(text) {
            Ok(r) => r,
            // §1 of spot: 3 is no JSON at all.
            Err(e) => {
                let code = if e.is_syntax() || e.is_eof() { 3 } else { 2 };
                return vec![self.error(code, &format!("Invalid request: {e}"), None)];
            }
        };
        let id = request.id.map_or("null", RawValue::get);
        let result = |value: String| vec![Reply::Text(format!(r#"{{"result":{value},"id":{id}}}"#))];
        let names: Vec<&str> = request.params.iter().filter_map(Value::as_str).collect();
        match (request.method.as_str(), request.params.as_slice()) {
            ("SUBSCRIBE", params) if names.len() == params.len() && !names.is_empty() => {
                for name in &names {
                    self.add(name);
                }
                let refused = self.too_many();
                if refused.is_empty() { result("null".into()) } else { refused }
            }
            ("UNSUBSCRIBE", params) if names.len() == params.len() && !names.is_empty() => {
                self.streams.retain(|s| !names.contains(&&**s));
                result("null".into())
            }
            ("LIST_SUBSCRIPTIONS", _) => {
                let list: Vec<&str> = self.streams.iter().map(|s| &**s).collect();
                result(Value::from(list).to_string())
            }
            ("SET_PROPERTY", [Value::String(name), Value::Bool(on)]) if name == "combined" => {
                self.combined = *on;
                result("null".into())
            }
            ("GET_PROPERTY", [Value::String(name)]) if name == "combined" => result(self.combined.to_string()),
            (method, _) => {
                vec![self.error(2, &format!("Invalid request: {method}: unknown method or params"), Some(id))]
            }
        }
    }

    fn error(&self, code: u8, message: &str, id: Option<&str>) -> Reply {
        let message = Value::from(message);
        let id = id.map(|id| format!(r#","id":{id}"#)).unwrap_or_default();
        Reply::Text(match self.house.dialect.product {
            Product::Futures => format!(r#"{{"error":{{"code":{code},"msg":{message}}}{id}}}"#),
            Product::Spot => format!(r#"{{"code":{code},"msg":{message}{id}}}"#),
        })
    }

    fn wrap(&self, stream: &str, payload: &str) -> String {
        if self.combined { format!(r#"{{"stream":"{stream}","data":{payload}}}"#) } else { payload.to_owned() }
    }
}

const TOO_FAST: Reply = Reply::Close { code: 1008, reason: "Too many requests" };

impl Session for BinanceSession {
    fn family(&self) -> &'static str {
        self.family.name()
    }

    fn opened(&mut self, _: MarketTime) -> Vec<Reply> {
        self.too_many()
    }

    fn on_text(&mut self, text: &str, now: MarketTime) -> Vec<Reply> {
        if self.too_fast(now) { self.too_fast_reply(now) } else { self.answer(text) }
    }

    fn too_many_requests(&mut self, _: &str, now: MarketTime) -> Vec<Reply> {
        self.too_fast_reply(now)
    }

    fn ping(&self, wall_ms: u64) -> Vec<u8> {
        wall_ms.to_string().into_bytes()
    }

    fn on_control(&mut self, now: MarketTime) -> Vec<Reply> {
        if self.house.control_frames_count && self.too_fast(now) { self.too_fast_reply(now) } else { Vec::new() }
    }

    /// §1: what is said of every limit that was passed.
    fn displaced(&self) -> Reply {
        TOO_FAST
    }

    fn farewell(&self, now: MarketTime) -> Option<String> {
        if self.house.dialect.product != Product::Spot {
            return None;
        }
        let ms = self.house.start_ms + (now / MS) as i64;
        let unit = if self.micros { "000" } else { "" };
        Some(self.wrap("!serverShutdown", &format!(r#"{{"e":"serverShutdown","E":{ms}{unit}}}"#)))
    }

    fn deliver(&mut self, event: &Event, _: MarketTime) -> Option<Arc<str>> {
        if !self.family.delivers(event.family) || !self.streams.contains(&event.stream) {
            return None;
        }
        if event.kind == EventKind::Depth && event.phase != self.phase {
            return None;
        }
        Some(match (self.combined, self.micros) {
            (false, false) => Arc::clone(&event.payload),
            (_, false) => self.wrap(&event.stream, &event.payload).into(),
            (_, true) => self.wrap(&event.stream, &messages::in_micros(&event.payload)).into(),
        })
    }

    fn has_streams(&self) -> bool {
        !self.streams.is_empty()
    }

    fn load_frames(&self, kind: LoadKind) -> Vec<LoadFrame> {
        let suffix = match kind {
            LoadKind::BookTicker => "@bookTicker",
            LoadKind::Trade => "@trade",
        };
        let public = self.family.delivers(self.house.dialect.books);
        let symbols = self.streams.iter().filter_map(|s| s.strip_suffix(suffix)).filter(|_| public);
        symbols.map(|lower| self.load_frame(kind, &lower.to_uppercase(), &format!("{lower}{suffix}"))).collect()
    }
}

impl BinanceSession {
    fn load_frame(&self, kind: LoadKind, s: &str, stream: &str) -> LoadFrame {
        let (number, time) = ("################", "&&&&&&&&&&&&&");
        let payload = match (kind, self.house.dialect.product) {
            (LoadKind::BookTicker, Product::Futures) => format!(
                r#"{{"e":"bookTicker","u":{number},"s":"{s}","ps":"{s}","b":"76900.10","B":"4.215","a":"76900.20","A":"11.037","T":{time},"E":{time},"st":1}}"#
            ),
            (LoadKind::BookTicker, Product::Spot) => format!(
                r#"{{"u":{number},"s":"{s}","b":"76900.10000000","B":"4.21500000","a":"76900.20000000","A":"11.03700000"}}"#
            ),
            (LoadKind::Trade, Product::Futures) => format!(
                r#"{{"e":"trade","E":{time},"T":{time},"s":"{s}","t":{number},"p":"76900.10","q":"0.012","X":"MARKET","m":false}}"#
            ),
            (LoadKind::Trade, Product::Spot) => format!(
                r#"{{"e":"trade","E":{time},"s":"{s}","t":{number},"p":"76900.10000000","q":"0.01200000","T":{time},"m":false,"M":true}}"#
            ),
        };
        let text = self.wrap(stream, &payload);
        LoadFrame {
            number_at: text.find(number).unwrap_or(0),
            times_at: text.match_indices(time).map(|(i, _)| i).collect(),
            text: text.into_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binance::dialect::{FUTURES, SPOT};

    fn session_of(dialect: &'static Dialect, path: &str) -> BinanceSession {
        let mut config = SimulatorConfig::default();
        (config.limits.streams_per_connection, config.limits.messages_per_s) = (3, 2);
        config.limits.control_frames_count = true;
        let route = Route::parse(dialect.product, path).expect("a path");
        BinanceSession::new(route, House::new(dialect, &config, 1000), 0)
    }

    fn session(path: &str) -> BinanceSession {
        session_of(&FUTURES, path)
    }

    fn event(stream: &str, family: &'static str) -> Event {
        Event {
            seq: 0,
            kind: EventKind::Other,
            stream: stream.into(),
            family,
            symbol: "BTCUSDT".into(),
            first_id: 0,
            last_id: 0,
            prev_id: None,
            phase: 0,
            conn: None,
            event_ms: 0,
            emitted_ms: 0,
            payload: "{}".into(),
            figures: Vec::new(),
        }
    }

    fn text(reply: &str) -> Vec<Reply> {
        vec![Reply::Text(reply.into())]
    }

    #[test]
    fn requests_and_replies() {
        let mut s = session("/public/ws");
        let mut ask = |q: &str| s.answer(q);
        assert_eq!(
            ask(r#"{"method":"SUBSCRIBE","params":["a@depth","B@DEPTH"],"id":1}"#),
            text(r#"{"result":null,"id":1}"#)
        );
        assert_eq!(
            ask(r#"{"method":"LIST_SUBSCRIPTIONS","id":"x"}"#),
            text(r#"{"result":["a@depth","B@DEPTH"],"id":"x"}"#)
        );
        assert_eq!(
            ask(r#"{"method":"UNSUBSCRIBE","params":["B@DEPTH"],"id":312}"#),
            text(r#"{"result":null,"id":312}"#)
        );
        assert_eq!(ask(r#"{"method":"LIST_SUBSCRIPTIONS"}"#), text(r#"{"result":["a@depth"],"id":null}"#));
        assert_eq!(
            ask(r#"{"method":"SET_PROPERTY","params":["combined",true],"id":5}"#),
            text(r#"{"result":null,"id":5}"#)
        );
        assert_eq!(ask(r#"{"method":"GET_PROPERTY","params":["combined"],"id":2}"#), text(r#"{"result":true,"id":2}"#));
        let mut spot = session_of(&SPOT, "/ws");
        for (bad, code) in
            [("{", 3), (r#"{"method":"FLY","id":1}"#, 2), (r#"{"method":"SUBSCRIBE","params":[1],"id":1}"#, 2)]
        {
            let start = format!(r#"{{"error":{{"code":{code},"#);
            assert!(matches!(&ask(bad)[..], [Reply::Text(t)] if t.starts_with(&start)), "{bad}");
            let start = format!(r#"{{"code":{code},"#);
            assert!(matches!(&spot.answer(bad)[..], [Reply::Text(t)] if t.starts_with(&start)), "{bad}");
        }
    }

    #[test]
    fn spot_says_goodbye_in_the_form_of_the_connection() {
        let say = |path: &str| session_of(&SPOT, path).farewell(5 * MS);
        assert_eq!(say("/ws").as_deref(), Some(r#"{"e":"serverShutdown","E":1005}"#));
        assert_eq!(
            say("/stream?timeUnit=MICROSECOND").as_deref(),
            Some(r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1005000}}"#)
        );
        assert_eq!(session("/public/ws").farewell(0), None);
    }

    #[test]
    fn who_breaks_limits_too_often_is_banned() {
        let first = session_of(&SPOT, "/ws");
        let ledger = first.house.ledger.clone();
        for n in 0..5 {
            assert!(!ledger.banned(0), "after {n}");
            let mut s = session_of(&SPOT, "/ws");
            s.house = first.house.clone();
            (0..40).for_each(|_| drop(s.on_control(0)));
        }
        assert!(ledger.banned(0));
        let mut s = session("/public/ws");
        (0..100).for_each(|_| drop(s.on_control(0)));
        assert!(!s.house.ledger.banned(0));
    }

    #[test]
    fn only_depth_has_phases() {
        let mut s = session("/public/ws/a@depth/a@trade");
        s.phase = 1;
        let mut depth = event("a@depth", "public");
        assert!(s.deliver(&depth, 0).is_some(), "no change of a book");
        depth.kind = EventKind::Depth;
        assert_eq!(s.deliver(&depth, 0), None);
        depth.phase = 1;
        assert!(s.deliver(&depth, 0).is_some());
    }

    #[test]
    fn only_its_family_delivers_and_only_exact_names() {
        let mut s = session("/public/ws/a@depth/A@TRADE");
        assert_eq!(s.deliver(&event("a@depth", "public"), 0).as_deref(), Some("{}"));
        assert_eq!(s.deliver(&event("a@depth", "market"), 0), None);
        assert_eq!(s.deliver(&event("a@trade", "public"), 0), None);
        let mut s = session("/stream?streams=a@depth/a@aggTrade");
        assert_eq!(s.deliver(&event("a@depth", "public"), 0).as_deref(), Some(r#"{"stream":"a@depth","data":{}}"#));
        assert_eq!(s.deliver(&event("a@aggTrade", "market"), 0), None);
        assert_eq!(session("/private/ws/a@depth").deliver(&event("a@depth", "public"), 0), None);
    }

    #[test]
    fn limits_close_the_connection() {
        let mut s = session("/public/ws/a/b/c");
        assert_eq!(s.opened(0), []);
        let replies = s.answer(r#"{"method":"SUBSCRIBE","params":["d"],"id":1}"#);
        assert_eq!(replies[0], Reply::Text(r#"{"error":{"code":4,"msg":"Too many subscriptions"}}"#.into()));
        assert_eq!(replies[1], Reply::Close { code: 1008, reason: "Invalid request" });

        let mut s = session("/public/ws");
        let list = r#"{"method":"LIST_SUBSCRIPTIONS","id":1}"#;
        assert_ne!(s.on_text(list, 0), [TOO_FAST]);
        assert_ne!(s.on_text(list, 1), [TOO_FAST]);
        assert_ne!(s.on_text(list, SECOND), [TOO_FAST]);
        assert_eq!(s.on_text(list, SECOND), [TOO_FAST]);
        assert_eq!(s.on_control(SECOND), [TOO_FAST]);
    }

    #[test]
    fn prepared_frames_have_room_for_number_and_times() {
        let s = session("/public/stream?streams=btcusdt@bookTicker");
        let frames = s.load_frames(LoadKind::BookTicker);
        let text = String::from_utf8(frames[0].text.clone()).expect("text");
        assert!(text.starts_with(r#"{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":#"#));
        assert!(text[frames[0].number_at..].starts_with("################,"));
        assert_eq!(frames[0].times_at.len(), 2);
        assert!(s.load_frames(LoadKind::Trade).is_empty());
    }
}
