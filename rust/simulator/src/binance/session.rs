//! One connection: SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY, and the limits.
//!
//! Every name is acknowledged and listed. Whether it delivers is another matter: the wrong family, unknown or uppercase
//! names and `@depth@250ms` simply equal no stream that is issued here.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::binance::streams::{Family, Route};
use crate::clock::{MarketTime, SECOND};
use crate::config::{Limits, LoadKind};
use crate::event::Event;
use crate::venue::{LoadFrame, Reply, Session};

#[derive(Clone, Debug)]
pub(crate) struct SessionLimits {
    streams: usize,
    messages_per_s: usize,
    control_frames_count: bool,
}

impl SessionLimits {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            streams: limits.streams_per_connection,
            messages_per_s: limits.messages_per_s,
            control_frames_count: limits.control_frames_count,
        }
    }
}

pub(crate) struct BinanceSession {
    family: Family,
    combined: bool,
    streams: Vec<Arc<str>>,
    limits: SessionLimits,
    recent: VecDeque<MarketTime>,
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
    pub(crate) fn new(route: Route, limits: SessionLimits) -> Self {
        let mut session = Self {
            family: route.family,
            combined: route.combined,
            streams: Vec::new(),
            limits,
            recent: VecDeque::new(),
        };
        for s in &route.streams {
            session.add(s);
        }
        session
    }

    fn add(&mut self, name: &str) {
        if !self.streams.iter().any(|s| &**s == name) {
            self.streams.push(name.into());
        }
    }

    fn too_many(&self) -> Vec<Reply> {
        if self.streams.len() <= self.limits.streams {
            return Vec::new();
        }
        vec![
            Reply::Text(r#"{"error":{"code":4,"msg":"Too many subscriptions"}}"#.into()),
            Reply::Close { code: 1008, reason: "Invalid request" },
        ]
    }

    /// True when this frame is one too many in a second.
    fn too_fast(&mut self, now: MarketTime) -> bool {
        while self.recent.front().is_some_and(|t| *t + SECOND <= now) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        self.recent.len() > self.limits.messages_per_s
    }

    fn answer(&mut self, text: &str) -> Vec<Reply> {
        let request: Request<'_> = match serde_json::from_str(text) {
            Ok(r) => r,
            Err(e) => return vec![error(2, &format!("Invalid request: {e}"), None)],
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
            (method, _) => vec![error(2, &format!("Invalid request: {method}: unknown method or params"), Some(id))],
        }
    }
}

fn error(code: u8, message: &str, id: Option<&str>) -> Reply {
    let message = Value::from(message);
    let id = id.map(|id| format!(r#","id":{id}"#)).unwrap_or_default();
    Reply::Text(format!(r#"{{"error":{{"code":{code},"msg":{message}}}{id}}}"#))
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
        if self.too_fast(now) { vec![TOO_FAST] } else { self.answer(text) }
    }

    fn ping(&self, wall_ms: u64) -> Vec<u8> {
        wall_ms.to_string().into_bytes()
    }

    fn on_control(&mut self, now: MarketTime) -> Vec<Reply> {
        if self.limits.control_frames_count && self.too_fast(now) { vec![TOO_FAST] } else { Vec::new() }
    }

    fn farewell(&self, _: MarketTime) -> Option<String> {
        None
    }

    fn deliver(&mut self, event: &Event, _: MarketTime) -> Option<Arc<str>> {
        if !self.family.delivers(event.family) || !self.streams.contains(&event.stream) {
            return None;
        }
        Some(if self.combined {
            format!(r#"{{"stream":"{}","data":{}}}"#, event.stream, event.payload).into()
        } else {
            Arc::clone(&event.payload)
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
        let public = self.family.delivers(super::streams::PUBLIC);
        let symbols = self.streams.iter().filter_map(|s| s.strip_suffix(suffix)).filter(|_| public);
        symbols.map(|lower| self.load_frame(kind, &lower.to_uppercase(), &format!("{lower}{suffix}"))).collect()
    }
}

impl BinanceSession {
    fn load_frame(&self, kind: LoadKind, s: &str, stream: &str) -> LoadFrame {
        let (number, time) = ("################", "&&&&&&&&&&&&&");
        let payload = match kind {
            LoadKind::BookTicker => format!(
                r#"{{"e":"bookTicker","u":{number},"s":"{s}","ps":"{s}","b":"76900.10","B":"4.215","a":"76900.20","A":"11.037","T":{time},"E":{time},"st":1}}"#
            ),
            LoadKind::Trade => format!(
                r#"{{"e":"trade","E":{time},"T":{time},"s":"{s}","t":{number},"p":"76900.10","q":"0.012","X":"MARKET","m":false}}"#
            ),
        };
        let text = if self.combined { format!(r#"{{"stream":"{stream}","data":{payload}}}"#) } else { payload };
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

    fn session(path: &str) -> BinanceSession {
        let limits = SessionLimits { streams: 3, messages_per_s: 2, control_frames_count: true };
        BinanceSession::new(Route::parse(path).expect("a path"), limits)
    }

    fn event(stream: &str, family: &'static str) -> Event {
        Event {
            seq: 0,
            kind: crate::event::EventKind::Other,
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
        for bad in ["{", r#"{"method":"FLY","id":1}"#, r#"{"method":"SUBSCRIBE","params":[1],"id":1}"#] {
            assert!(matches!(&ask(bad)[..], [Reply::Text(t)] if t.starts_with(r#"{"error":{"code":2,"#)), "{bad}");
        }
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
