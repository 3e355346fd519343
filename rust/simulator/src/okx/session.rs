//! One connection: subscribe, unsubscribe, login, the text ping, and the limits (§1).

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::clock::{MS, MarketTime, seconds};
use crate::config::{Account, LoadKind, SimulatorConfig};
use crate::event::Event;
use crate::okx::channels::{Arg, Channel};
use crate::okx::feed::Streams;
use crate::okx::login::{self, Login};
use crate::venue::{LoadFrame, Reply, Session};

/// What all connections have in common.
pub(crate) struct Rules {
    accounts: Vec<Account>,
    idle: MarketTime,
    requests: usize,
    hour: MarketTime,
    start_ms: i64,
    streams: Streams,
}

impl Rules {
    pub(crate) fn new(config: &SimulatorConfig, start_ms: i64, streams: Streams) -> Self {
        // Prepared frames do not pass through here, so that a connection under load seems idle.
        let idle = if config.load.is_some() { 0.0 } else { config.idle_s };
        Self {
            accounts: config.accounts.clone(),
            idle: seconds(idle / config.time_compression),
            requests: config.limits.requests_per_hour,
            hour: seconds(3600.0 / config.time_compression),
            start_ms,
            streams,
        }
    }
}

pub(crate) struct OkxSession {
    family: &'static str,
    conn_id: String,
    rules: Arc<Rules>,
    streams: HashSet<Arc<str>>,
    /// Of the account that is logged in.
    tier: Option<u8>,
    requests: VecDeque<MarketTime>,
    asked: u64,
    opened: MarketTime,
    /// When something was last sent, or a text came.
    busy: MarketTime,
    subscribed: bool,
    closing: bool,
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(default)]
    id: Option<String>,
    op: String,
    #[serde(borrow, default)]
    args: Vec<&'a RawValue>,
}

/// Code and text.
type Refusal = (u32, String);

/// Bytes of all args of a request.
const ARGS: usize = 64 << 10;
/// The fee tier for the VIP books.
const VIP: u8 = 4;
/// So often a request is followed by a message that nobody asked for.
const CONN_COUNT: u64 = 3;
const SUBSCRIBE: &str = "subscribe";
const UNSUBSCRIBE: &str = "unsubscribe";

/// `,"id":"…"` has a place of its own: first.
fn event(id: Option<&str>, members: &str, conn_id: &str) -> Reply {
    let id = id.map(|id| format!(r#""id":{},"#, Value::from(id))).unwrap_or_default();
    Reply::Text(format!(r#"{{{id}{members},"connId":"{conn_id}"}}"#))
}

impl OkxSession {
    pub(crate) fn new(family: &'static str, conn_id: String, rules: Arc<Rules>) -> Self {
        Self {
            family,
            conn_id,
            rules,
            streams: HashSet::new(),
            tier: None,
            requests: VecDeque::new(),
            asked: 0,
            opened: 0,
            busy: 0,
            subscribed: false,
            closing: false,
        }
    }

    fn error(&self, id: Option<&str>, code: u32, message: &str) -> Reply {
        let members = format!(r#""event":"error","code":"{code}","msg":{}"#, Value::from(message));
        event(id, &members, &self.conn_id)
    }

    fn too_frequent(&self, id: Option<&str>) -> Reply {
        self.error(id, 60014, "Requests too frequent")
    }

    fn close(&mut self, code: u16, reason: &'static str) -> Reply {
        self.closing = true;
        Reply::Close { code, reason }
    }

    /// False for one request too many within an hour.
    fn may_ask(&mut self, now: MarketTime) -> bool {
        while self.requests.front().is_some_and(|t| t.saturating_add(self.rules.hour) <= now) {
            self.requests.pop_front();
        }
        let may = self.requests.len() < self.rules.requests;
        if may {
            self.requests.push_back(now);
        }
        may
    }

    fn answer(&mut self, text: &str, now: MarketTime) -> Vec<Reply> {
        let Ok(request) = serde_json::from_str::<Request<'_>>(text) else {
            return vec![self.error(None, 60012, &format!("Invalid request: {text}"))];
        };
        let id = request.id.as_deref();
        if request.args.iter().map(|a| a.get().len()).sum::<usize>() > ARGS {
            return vec![self.close(1009, "Request message exceeds the maximum frame length")];
        }
        if ![SUBSCRIBE, UNSUBSCRIBE, "login"].contains(&request.op.as_str()) {
            return vec![self.error(id, 60012, &format!("Invalid request: {text}"))];
        }
        if !self.may_ask(now) {
            return vec![self.too_frequent(id)];
        }
        if request.args.is_empty() {
            return vec![self.error(id, 60013, "Invalid args")];
        }
        match request.op.as_str() {
            "login" => self.log_in(id, request.args[0], now),
            UNSUBSCRIBE => request.args.iter().map(|arg| self.unsubscribe(id, arg)).collect(),
            _ => self.subscribe_all(id, &request.args),
        }
    }

    fn log_in(&mut self, id: Option<&str>, arg: &RawValue, now: MarketTime) -> Vec<Reply> {
        let now_ms = self.rules.start_ms + (now / MS) as i64;
        let tier = match serde_json::from_str::<Login>(arg.get()) {
            Ok(login) => login::check(&login, &self.rules.accounts, now_ms),
            Err(_) => Err((60009, "Login failed")),
        };
        match tier {
            Ok(tier) => {
                self.tier = Some(tier);
                vec![event(id, r#""event":"login","code":"0","msg":"""#, &self.conn_id)]
            }
            Err((code, message)) => {
                // Whether a refusal quotes the request is nobody's promise; where it does (60012), it quotes all of it.
                let error = self.error(id, code, &format!("{message}: {}", arg.get()));
                vec![error, self.close(4001, "Login failed")]
            }
        }
    }

    /// First all answers, then how the streams stand.
    fn subscribe_all(&mut self, id: Option<&str>, args: &[&RawValue]) -> Vec<Reply> {
        let (mut replies, mut present) = (Vec::new(), Vec::new());
        let mut last = None;
        for arg in args {
            match self.subscribe(arg) {
                Ok((channel, stream)) => {
                    replies.push(self.ack(id, SUBSCRIBE, arg));
                    last = Some(channel);
                    present.extend(stream.map(Reply::Present));
                }
                Err((code, message)) => replies.push(self.error(id, code, &message)),
            }
        }
        self.asked += 1;
        if let Some(channel) = last.filter(|_| self.asked.is_multiple_of(CONN_COUNT)) {
            let members = format!(r#""event":"channel-conn-count","channel":"{}","connCount":"1""#, channel.name());
            replies.push(event(None, &members, &self.conn_id));
        }
        replies.extend(present);
        replies
    }

    /// The stream if it is a new one.
    fn subscribe(&mut self, arg: &RawValue) -> Result<(Channel, Option<Arc<str>>), Refusal> {
        let read: Arg = serde_json::from_str(arg.get()).map_err(|_| (60013, "Invalid args".to_owned()))?;
        let unknown = |of: &str| {
            let text = format!(
                "Wrong URL or channel:{},instId:{of} doesn't exist. Please use the correct URL, channel and parameters \
                 referring to API document.",
                read.channel
            );
            (60018, text)
        };
        let (channel, of) = read.wanted().ok_or_else(|| unknown(""))?;
        let stream = channel.stream(of);
        if channel.family() != self.family || !self.rules.streams.contains(&stream) {
            return Err(unknown(of));
        }
        if channel.is_for_vips() {
            let tier = self.tier.ok_or((60011, "Please log in".to_owned()))?;
            if tier < VIP {
                let text = "Your trading fee tier doesn't meet the requirement to access this channel";
                return Err((64003, text.to_owned()));
            }
        }
        if let Some(rival) = channel.rivals().iter().find(|r| self.streams.contains(&r.stream(of))) {
            let (this, rival) = (channel.name(), rival.name());
            let text =
                format!("Subscribe to both {this} and {rival} for {of} is not allowed. Unsubscribe {rival} first.");
            return Err((64004, text));
        }
        self.subscribed = true;
        let new = self.streams.insert(Arc::clone(&stream));
        Ok((channel, new.then_some(stream)))
    }

    fn unsubscribe(&mut self, id: Option<&str>, arg: &RawValue) -> Reply {
        let Ok(read) = serde_json::from_str::<Arg>(arg.get()) else {
            return self.error(id, 60013, "Invalid args");
        };
        if let Some((channel, of)) = read.wanted() {
            self.streams.remove(&channel.stream(of));
        }
        self.ack(id, UNSUBSCRIBE, arg)
    }

    fn ack(&self, id: Option<&str>, what: &str, arg: &RawValue) -> Reply {
        event(id, &format!(r#""event":"{what}","arg":{}"#, arg.get()), &self.conn_id)
    }
}

impl Session for OkxSession {
    fn family(&self) -> &'static str {
        self.family
    }

    fn opened(&mut self, now: MarketTime) -> Vec<Reply> {
        (self.opened, self.busy) = (now, now);
        Vec::new()
    }

    fn on_text(&mut self, text: &str, now: MarketTime) -> Vec<Reply> {
        self.busy = now;
        if text == "ping" { vec![Reply::Text("pong".into())] } else { self.answer(text, now) }
    }

    fn too_many_requests(&mut self, text: &str, now: MarketTime) -> Vec<Reply> {
        self.busy = now;
        let request = serde_json::from_str::<Request<'_>>(text).ok();
        vec![self.too_frequent(request.as_ref().and_then(|request| request.id.as_deref()))]
    }

    fn ping(&self, _: u64) -> Vec<u8> {
        Vec::new()
    }

    /// WebSocket pings are answered, and count for nothing.
    fn on_control(&mut self, _: MarketTime) -> Vec<Reply> {
        Vec::new()
    }

    fn next_time(&self) -> Option<MarketTime> {
        let watched = self.rules.idle > 0 && !self.closing;
        let since = if self.subscribed { self.busy } else { self.opened };
        watched.then(|| since.saturating_add(self.rules.idle))
    }

    fn on_time(&mut self, now: MarketTime) -> Vec<Reply> {
        if self.next_time().is_none_or(|t| t > now) {
            return Vec::new();
        }
        vec![self.close(4004, "No data received in 30s")]
    }

    fn too_slow(&self) -> Option<(u16, &'static str)> {
        Some((4005, "Buffer is full, cannot write data"))
    }

    /// §1: 4008 is said of too many in total.
    fn displaced(&self) -> Reply {
        Reply::Close { code: 4008, reason: "Too many connections" }
    }

    fn farewell(&self, _: MarketTime) -> Option<String> {
        let text = "The connection will soon be closed for a service upgrade. Please reconnect.";
        Some(format!(r#"{{"event":"notice","code":"64008","msg":"{text}","connId":"{}"}}"#, self.conn_id))
    }

    fn deliver(&mut self, event: &Event, now: MarketTime) -> Option<Arc<str>> {
        if !self.streams.contains(&event.stream) {
            return None;
        }
        self.busy = now;
        Some(Arc::clone(&event.payload))
    }

    fn has_streams(&self) -> bool {
        !self.streams.is_empty()
    }

    fn load_frames(&self, kind: LoadKind) -> Vec<LoadFrame> {
        let (number, time) = ("################", "&&&&&&&&&&&&&");
        let channel = match kind {
            LoadKind::BookTicker => Channel::Bbo,
            LoadKind::Trade => Channel::Trades,
        };
        let prefix = channel.stream("");
        let mut ids: Vec<&str> = self.streams.iter().filter_map(|s| s.strip_prefix(&*prefix)).collect();
        ids.sort_unstable();
        let frame = |id: &str| {
            let data = match kind {
                LoadKind::BookTicker => format!(
                    r#"{{"asks":[["76900.2","11.037","0","9"]],"bids":[["76900.1","4.215","0","7"]],"ts":"{time}","seqId":{number}}}"#
                ),
                LoadKind::Trade => format!(
                    r#"{{"instId":"{id}","tradeId":"{number}","px":"76900.1","sz":"0.012","side":"buy","ts":"{time}","count":"1","source":"0","seqId":1}}"#
                ),
            };
            let text = crate::okx::messages::push(&channel.arg(id), &data);
            LoadFrame {
                number_at: text.find(number).unwrap_or(0),
                times_at: text.match_indices(time).map(|(i, _)| i).collect(),
                text: text.into_bytes(),
            }
        };
        ids.into_iter().map(frame).collect()
    }
}
