//! One connection: subscriptions, login, heartbeats, and when it is cut.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::clock::{MS, MarketTime};
use crate::config::LoadKind;
use crate::deribit::credits::Cost;
use crate::deribit::feed::FAMILY;
use crate::deribit::house::{House, Key};
use crate::deribit::messages;
use crate::deribit::methods;
use crate::deribit::rpc::{
    self, Params, RAW_WITHOUT_LOGIN, Refusal, Request, TOO_MANY_REQUESTS, UNAUTHORIZED, invalid,
};
use crate::deribit::streams::{Channel, needs_login};
use crate::event::Event;
use crate::venue::{LoadFrame, Reply, Session};

pub(crate) struct DeribitSession {
    house: Key,
    /// Which partition of the book's changes it hears.
    phase: usize,
    idle: Option<MarketTime>,
    channels: BTreeSet<Arc<str>>,
    logged_in: bool,
    opened: MarketTime,
    heard: MarketTime,
    heartbeat: Option<Heartbeat>,
}

/// Frames that the client asked for, and must answer.
struct Heartbeat {
    interval: MarketTime,
    next: MarketTime,
    /// Since when a `public/test` is awaited.
    asked: Option<MarketTime>,
}

/// Channels of one call.
const MOST_CHANNELS: usize = 500;
/// Seconds that a `test_request` may wait for its answer.
const PATIENCE_S: f64 = 10.0;
const LEAST_HEARTBEAT_S: u64 = 10;

impl DeribitSession {
    pub(crate) fn new(house: Key, phase: usize, idle_s: f64) -> Self {
        let idle = (idle_s > 0.0).then(|| house.enter().span(idle_s));
        Self { house, phase, idle, channels: BTreeSet::new(), logged_in: false, opened: 0, heard: 0, heartbeat: None }
    }

    /// What a request is answered, and the channels whose present state follows.
    fn answer(&mut self, house: &mut House, r: &Request, now: MarketTime) -> (Result<String, Refusal>, Vec<Arc<str>>) {
        let mut begun = Vec::new();
        let turned_away = !self.logged_in && house.cut_of_anonymous().is_some();
        let outcome = match &*r.method {
            "public/auth" => methods::call(house, &r.method, &r.params, None, now).map(|answer| {
                self.logged_in = true;
                answer.result
            }),
            _ if turned_away && r.method != "public/test" => Err(UNAUTHORIZED),
            "public/subscribe" => self.subscribe(house, &r.params, now, &mut begun),
            "private/subscribe" if self.logged_in => self.subscribe(house, &r.params, now, &mut begun),
            "public/unsubscribe" => self.unsubscribe(&r.params),
            "private/unsubscribe" if self.logged_in => self.unsubscribe(&r.params),
            "public/unsubscribe_all" => {
                self.channels.clear();
                Ok(OK.into())
            }
            "public/set_heartbeat" => self.set_heartbeat(house, &r.params, now),
            "public/disable_heartbeat" => {
                self.heartbeat = None;
                Ok(OK.into())
            }
            method => {
                if let (Some(heartbeat), "public/test") = (&mut self.heartbeat, method) {
                    heartbeat.asked = None;
                }
                methods::call(house, method, &r.params, None, now).map(|answer| answer.result)
            }
        };
        (outcome, begun)
    }

    /// What does not exist is left out of the result, without a word (§1).
    fn subscribe(
        &mut self,
        house: &mut House,
        params: &Params,
        now: MarketTime,
        begun: &mut Vec<Arc<str>>,
    ) -> Result<String, Refusal> {
        let names = params.names("channels")?;
        if names.len() > MOST_CHANNELS {
            return Err(invalid("channels", format!("at most {MOST_CHANNELS} in one call")));
        }
        if !self.logged_in && names.iter().any(|n| needs_login(n)) {
            return Err(RAW_WITHOUT_LOGIN);
        }
        let mut accepted: Vec<&str> = Vec::new();
        for name in names {
            let Some(channel) = Channel::parse(name, &house.instruments) else { continue };
            accepted.push(name);
            // One that is held already is acknowledged, and no snapshot comes (§4).
            if self.channels.insert(name.into()) {
                house.begin(name, &channel, self.phase, now);
                begun.push(format!("{name}#{}", self.phase).into());
            }
        }
        Ok(serde_json::Value::from(accepted).to_string())
    }

    fn unsubscribe(&mut self, params: &Params) -> Result<String, Refusal> {
        let names = params.names("channels")?;
        let left: Vec<&str> = names.into_iter().filter(|n| self.channels.remove(*n)).collect();
        Ok(serde_json::Value::from(left).to_string())
    }

    fn set_heartbeat(&mut self, house: &House, params: &Params, now: MarketTime) -> Result<String, Refusal> {
        let interval = params.number("interval")?.filter(|s| *s >= LEAST_HEARTBEAT_S);
        let interval = interval.ok_or_else(|| invalid("interval", format!("at least {LEAST_HEARTBEAT_S}")))?;
        let interval = house.span(interval as f64);
        self.heartbeat = Some(Heartbeat { interval, next: now.saturating_add(interval), asked: None });
        Ok(OK.into())
    }

    /// When it is cut for what it is, not for what it says.
    fn cut(&self) -> Option<(MarketTime, &'static str)> {
        let silent = self.channels.is_empty() && self.heartbeat.is_none();
        let idle = self.idle.filter(|_| silent).map(|idle| (self.heard.saturating_add(idle), "idle"));
        let anonymous = self.house.enter().cut_of_anonymous().filter(|_| !self.logged_in);
        let anonymous = anonymous.map(|at| (at.max(self.opened.saturating_add(GRACE)), "anonymous sockets are shed"));
        idle.into_iter().chain(anonymous).min_by_key(|(at, _)| *at)
    }
}

const OK: &str = "\"ok\"";
/// How long a new connection may take to log in while others are shed.
const GRACE: MarketTime = 1000 * MS;

impl Heartbeat {
    fn due(&self, house: &House) -> MarketTime {
        self.asked.map_or(self.next, |asked| asked.saturating_add(house.span(PATIENCE_S)).min(self.next))
    }
}

fn heartbeat(kind: &str) -> Reply {
    Reply::Text(format!(r#"{{"params":{{"type":"{kind}"}},"method":"heartbeat","jsonrpc":"2.0"}}"#))
}

impl Session for DeribitSession {
    fn family(&self) -> &'static str {
        FAMILY
    }

    fn opened(&mut self, now: MarketTime) -> Vec<Reply> {
        (self.opened, self.heard) = (now, now);
        Vec::new()
    }

    fn on_text(&mut self, text: &str, now: MarketTime) -> Vec<Reply> {
        self.heard = now;
        let key = self.house.clone();
        let mut house = key.enter();
        let at_us = house.us(now);
        let request = match Request::read(text) {
            Ok(request) => request,
            Err(refusal) => return vec![Reply::Text(rpc::reply(None, &Err(refusal), at_us))],
        };
        let id = request.id.as_deref();
        if !house.spend(Cost::of(&request.method, true), now) {
            drop(house);
            return self.too_many_requests(text, now);
        }
        let (outcome, begun) = self.answer(&mut house, &request, now);
        let mut replies = vec![Reply::Text(rpc::reply(id, &outcome, at_us))];
        replies.extend(begun.into_iter().map(Reply::Present));
        replies
    }

    fn too_many_requests(&mut self, text: &str, now: MarketTime) -> Vec<Reply> {
        self.heard = now;
        let at_us = self.house.enter().us(now);
        let request = Request::read(text).ok();
        let id = request.as_ref().and_then(|request| request.id.as_deref());
        let told = Reply::Text(rpc::reply(id, &Err(TOO_MANY_REQUESTS), at_us));
        vec![told, Reply::Cut("too many requests")]
    }

    fn ping(&self, _: u64) -> Vec<u8> {
        Vec::new()
    }

    fn on_control(&mut self, _: MarketTime) -> Vec<Reply> {
        Vec::new()
    }

    fn next_time(&self) -> Option<MarketTime> {
        let heartbeat = self.heartbeat.as_ref().map(|h| h.due(&self.house.enter()));
        heartbeat.into_iter().chain(self.cut().map(|(at, _)| at)).min()
    }

    fn on_time(&mut self, now: MarketTime) -> Vec<Reply> {
        if let Some((_, why)) = self.cut().filter(|(at, _)| *at <= now) {
            return vec![Reply::Cut(why)];
        }
        let patience = self.house.enter().span(PATIENCE_S);
        let Some(h) = &mut self.heartbeat else { return Vec::new() };
        if h.asked.is_some_and(|asked| asked.saturating_add(patience) <= now) {
            return vec![Reply::Close { code: 4000, reason: "heartbeat close" }];
        }
        if now < h.next {
            return Vec::new();
        }
        h.next = now.saturating_add(h.interval);
        // Who has said something lately need not prove that it lives.
        let lately = self.heard.saturating_add(h.interval) > now && h.asked.is_none();
        if lately {
            return vec![heartbeat("heartbeat")];
        }
        h.asked.get_or_insert(now);
        vec![heartbeat("test_request")]
    }

    fn too_slow(&self) -> Option<(u16, &'static str)> {
        Some((1008, "connection_too_slow"))
    }

    fn last_words(&self) -> Option<&'static str> {
        Some(r#"{"jsonrpc":"2.0","method":"connection_too_slow","params":{}}"#)
    }

    fn farewell(&self, _: MarketTime) -> Option<String> {
        None
    }

    fn deliver(&mut self, event: &Event, _: MarketTime) -> Option<Arc<str>> {
        (event.phase == self.phase && self.channels.contains(&event.stream)).then(|| Arc::clone(&event.payload))
    }

    fn has_streams(&self) -> bool {
        !self.channels.is_empty()
    }

    fn load_frames(&self, kind: LoadKind) -> Vec<LoadFrame> {
        let LoadKind::Trade = kind else { return Vec::new() };
        let instrument = |c: &Arc<str>| Some(c.strip_prefix("trades.")?.split_once('.')?.0.to_owned());
        self.channels.iter().filter_map(|c| Some(load_frame(c, &instrument(c)?))).collect()
    }
}

fn load_frame(channel: &str, instrument: &str) -> LoadFrame {
    let (number, time) = ("################", "&&&&&&&&&&&&&");
    let row = format!(
        r#"[{{"timestamp":{time},"price":92294.5,"amount":10.0,"direction":"sell","index_price":92276.75,"instrument_name":"{instrument}","trade_seq":{number},"mark_price":92287.11,"tick_direction":2,"contracts":1.0,"trade_id":"403691824"}}]"#
    );
    let text = messages::notification(channel, &row);
    LoadFrame {
        number_at: text.find(number).unwrap_or(0),
        times_at: text.match_indices(time).map(|(i, _)| i).collect(),
        text: text.into_bytes(),
    }
}
