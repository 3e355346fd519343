//! One connection of a live engine: open, log in, subscribe, be answered, prove life, come back.

use std::collections::VecDeque;

use super::context::{Context, Now};
use super::input::{Action, ConnDown, DownReason};
use super::lanes::limits;
use super::repeats::Mark;
use super::replacement::Trial;
use super::subscription::Channel;
use super::timers::Timer;
use crate::exchange::{Heartbeat, Protocol, with_protocol};
use crate::symbol::ConnId;
use crate::table::{ConnState, GapCause, flags};
use crate::time::NS_PER_MS;

/// A connection that stayed up this long starts its backoff anew: one that is accepted and cut at once does not.
const STABLE_MS: u64 = 10_000;
/// Shortest wait after a close code that means "you ask too much" (Binance 1008; 1013 is "try again later").
const PENALTY_MS: u64 = 5_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Down,
    Opening,
    /// Up, and a login is on its way.
    LoggingIn(u64),
    Up,
    Closing,
}

/// What a connection is to its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It holds its place.
    Holder,
    /// It is to take the place of another.
    Trial(Trial),
    /// It is closed for good; once it is down its number is free.
    Leaving,
}

/// A request that waits for its turn, or for its answer.
#[derive(Clone, Debug)]
struct Request {
    id: u64,
    text: String,
    /// The channels it asks for; those that are answered leave.
    channels: Vec<String>,
    /// How many it asked for.
    asked_for: usize,
    /// How many of its channels were refused by errors that do not say which.
    errors: usize,
    /// An answer is owed.
    is_owed: bool,
}

impl Request {
    /// An answer is owed for channels.
    fn is_for_channels(&self) -> bool {
        !self.channels.is_empty()
    }

    /// Who is careful asks for no channel, and ends none, while the answer for another is owed.
    fn must_wait(&self, is_careful: bool, asked: &[Self]) -> bool {
        let is_question = self.is_owed && !self.is_for_channels();
        is_careful && !is_question && asked.iter().any(Self::is_for_channels)
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub id: ConnId,
    /// The lane whose channels it carries.
    pub lane: u16,
    /// Its number among those that carry them, from 0.
    pub place: u16,
    pub role: Role,
    pub family: u8,
    url: String,
    pub channels: Vec<Channel>,
    state: State,
    /// When it will be opened: an earlier timer is void.
    due: Option<u64>,
    /// When it was opened last.
    opened: Option<u64>,
    /// Until when its place is given up.
    pub parked_until: Option<u64>,
    /// When it will be old enough to be replaced; 0 where it never is.
    pub ends: u64,
    /// Times that another failed to take its place.
    pub failed_trials: u32,
    up_since: u64,
    /// How often it came up: timers of an earlier session are void.
    session: u64,
    /// Monotonic time of the last frame of any kind (of the upgrade, before the first).
    last_frame: u64,
    /// Monotonic time of the last data frame (of the upgrade, before the first).
    last_data: u64,
    /// Latest receive time: it never falls on one connection.
    last_recv: Option<i64>,
    /// How far it has come among the frames of its lane.
    pub mark: Mark,
    attempt: u32,
    next_request: u64,
    /// Requests that the exchange's limit holds back.
    waiting: VecDeque<Request>,
    /// Requests sent and not answered whole.
    asked: Vec<Request>,
    /// Requests that may leave now, and when the count was taken.
    tokens: (u64, u64),
    flushing: bool,
    /// The exchange refused something without saying what: from then on one request waits for the answer to another, so
    /// that the next such refusal is of that one.
    is_careful: bool,
    /// Channels that were refused or put off and are to be asked for again, when, and how often that has not helped.
    again: Vec<String>,
    again_due: u64,
    tries: u32,
    /// Why the engine itself closed it.
    closing: Option<GapCause>,
    /// The exchange announced its end: coming back needs no backoff.
    announced: bool,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// The cause for the gaps of its streams.
    pub cause: GapCause,
    /// After how many milliseconds it may be opened again.
    pub delay_ms: u64,
    /// It was up, and the peer ended it.
    pub is_cut: bool,
}

/// What an answer leaves to be done for the channels of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    /// Granted.
    pub granted: Vec<String>,
    /// Refused, or silently left out.
    pub refused: Vec<String>,
}

impl Connection {
    pub(super) fn new(id: ConnId, family: u8, url: String) -> Self {
        Self {
            id,
            lane: 0,
            place: 0,
            role: Role::Holder,
            family,
            url,
            channels: Vec::new(),
            state: State::Down,
            due: None,
            opened: None,
            parked_until: None,
            ends: 0,
            failed_trials: 0,
            up_since: 0,
            session: 0,
            last_frame: 0,
            last_data: 0,
            last_recv: None,
            mark: Mark::default(),
            attempt: 0,
            next_request: 0,
            waiting: VecDeque::new(),
            asked: Vec::new(),
            tokens: (0, 0),
            flushing: false,
            is_careful: false,
            again: Vec::new(),
            again_due: 0,
            tries: 0,
            closing: None,
            announced: false,
        }
    }

    /// Takes over the number of one that is gone: what is still armed for that is void, and receive times rise on.
    pub(super) fn follow(&mut self, gone: &Self) {
        self.id = gone.id;
        self.session = gone.session;
        self.next_request = gone.next_request;
        self.last_recv = gone.last_recv;
    }

    /// It belongs to its lane.
    pub(super) fn is_in_use(&self) -> bool {
        self.role != Role::Leaving
    }

    /// Its number may be given to another.
    pub(super) fn is_free(&self) -> bool {
        self.role == Role::Leaving && self.state == State::Down
    }

    /// What it is to take over, where it is on trial.
    pub(super) fn trial(&self) -> Option<Trial> {
        match self.role {
            Role::Trial(trial) => Some(trial),
            Role::Holder | Role::Leaving => None,
        }
    }

    /// Its end was announced.
    pub(super) fn is_announced(&self) -> bool {
        self.announced
    }

    /// How often it came up.
    pub(super) fn session(&self) -> u64 {
        self.session
    }

    /// It has been up, and not only the one whose number it has.
    pub(super) fn has_been_up(&self) -> bool {
        self.up_since > 0
    }

    /// When it was opened last, or will be.
    pub(super) fn opening(&self) -> Option<u64> {
        self.due.or(self.opened)
    }

    /// It is up, and has been since the session of that number began.
    pub(super) fn is_in_session(&self, session: u64) -> bool {
        self.is_up() && self.session == session
    }

    /// Monotonic time of the last upgrade.
    pub(super) fn up_since(&self) -> u64 {
        self.up_since
    }

    /// Wishes to be opened.
    pub(super) fn open(&mut self, cx: &mut Context) {
        if self.state == State::Down {
            self.state = State::Opening;
            self.due = None;
            self.opened = Some(cx.now.at.mono);
            let advice = cx.ledger.advise(cx.now.at.mono, self.id, self.lane, self.place);
            cx.actions.push_back(Action::Open { conn: self.id, url: self.url.clone(), advice });
        }
    }

    /// Wishes to be opened at that time.
    pub(super) fn open_at(&mut self, cx: &mut Context, at: u64) {
        self.due = Some(at);
        cx.timers.arm(at, Timer::Open(self.id));
    }

    /// It is time to open it, unless that was put off.
    pub(super) fn on_open_timeout(&mut self, cx: &mut Context) {
        if self.due.is_some_and(|due| due <= cx.now.at.mono) {
            self.open(cx);
        }
    }

    /// The upgrade was accepted: logs in, or asks for its channels.
    pub(super) fn on_up(&mut self, cx: &mut Context) {
        let now = cx.now.at.mono;
        self.up_since = now;
        self.session += 1;
        (self.last_data, self.last_frame) = (now, now);
        self.closing = None;
        self.announced = false;
        let limits = limits(cx);
        if !limits.requests_are_shared {
            self.tokens = (u64::from(limits.request_burst), now);
        }
        for channel in &mut self.channels {
            *channel = Channel { refused: channel.refused, put_off: channel.put_off, ..channel.anew() };
        }
        self.state = State::Up;
        if !cx.live {
            return;
        }
        let id = self.request_id();
        if let Some(text) = with_protocol!(cx.config.venue, P => P::opening(id)) {
            self.ask(cx, Request { id, text, channels: Vec::new(), asked_for: 0, errors: 0, is_owed: true });
        }
        if cx.config.login {
            let id = self.request_id();
            self.state = State::LoggingIn(id);
            // The shell sends it, and the exchange counts it (OKX §1).
            let tokens = self.tokens(cx);
            tokens.0 = tokens.0.saturating_sub(1);
            cx.actions.push_back(Action::Login { conn: self.id, request: id });
            cx.arm_in_ms(cx.config.deadlines.ack_ms, Timer::Ack(self.id, id));
        } else {
            self.subscribe_all(cx);
        }
        cx.arm_in_ms(heartbeat_ms(cx), Timer::Beat(self.id, self.session));
    }

    /// The login was granted.
    pub(super) fn on_logged_in(&mut self, cx: &mut Context) {
        if matches!(self.state, State::LoggingIn(_)) {
            self.state = State::Up;
            self.subscribe_all(cx);
        }
    }

    /// Whether this request is the login.
    pub(super) fn is_login(&self, id: Option<u64>) -> bool {
        matches!(self.state, State::LoggingIn(login) if id.is_none_or(|id| id == login))
    }

    fn subscribe_all(&mut self, cx: &mut Context) {
        self.subscribe_new(cx);
        cx.arm_in_ms(cx.config.deadlines.first_data_ms, Timer::Watch(self.id, self.session));
        cx.arm_in_ms(cx.config.deadlines.silence_ms, Timer::Silence(self.id, self.session));
    }

    /// Asks for the channels that have not been asked for, now or as soon as the connection is up.
    pub(super) fn subscribe_new(&mut self, cx: &mut Context) {
        if self.state == State::Up {
            let mut names = Vec::new();
            for channel in self.channels.iter_mut().filter(|channel| channel.asked.is_none()) {
                channel.asked = Some(cx.now.at.mono);
                names.push(channel.name.clone());
            }
            self.subscribe(cx, names);
        }
    }

    /// Asks for channels, if the connection is up.
    fn subscribe(&mut self, cx: &mut Context, mut names: Vec<String>) {
        if self.state != State::Up {
            return;
        }
        // What was put off may have ended meanwhile.
        names.retain(|name| self.channels.iter().any(|channel| channel.name == *name));
        for chunk in names.chunks(limits(cx).channels_per_request) {
            let id = self.request_id();
            let list: Vec<&str> = chunk.iter().map(String::as_str).collect();
            let text = with_protocol!(cx.config.venue, P => P::subscribe(&list, id));
            let (channels, asked_for) = (chunk.to_vec(), chunk.len());
            self.ask(cx, Request { id, text, channels, asked_for, errors: 0, is_owed: true });
        }
    }

    /// Asks at once for what was refused: it may be served by now.
    pub(super) fn ask_refused(&mut self, cx: &mut Context) {
        let refused = self.channels.iter().filter(|channel| channel.refused);
        let names: Vec<String> = refused.map(|channel| channel.name.clone()).collect();
        if !names.is_empty() {
            self.again.retain(|name| !names.contains(name));
            self.subscribe(cx, names);
        }
    }

    /// Asks later, with backoff, for what was refused. Were each asked for by itself, that would take half of the requests
    /// that the exchange allows, so that whatever else there is to ask finds room.
    pub(super) fn ask_refused_later(&mut self, cx: &mut Context, names: &[String]) {
        let waiting = self.again.len().saturating_add(names.len()) as u64;
        let floor = limits(cx).request_every_ms.saturating_mul(2).saturating_mul(waiting);
        self.ask_later(cx, names, floor);
    }

    /// Asks for channels later, with backoff; after `floor` milliseconds at least.
    fn ask_later(&mut self, cx: &mut Context, names: &[String], floor: u64) {
        if names.is_empty() {
            return;
        }
        let mut delay = floor;
        if self.again.is_empty() {
            delay = cx.backoff_ms(self.tries, floor);
            self.tries = self.tries.saturating_add(1);
            self.again_due = 0;
        }
        let new = names.iter().filter(|name| !self.again.contains(name)).cloned().collect::<Vec<_>>();
        self.again.extend(new);
        let due = cx.now.at.mono.saturating_add(delay.saturating_mul(NS_PER_MS.unsigned_abs()));
        self.again_due = self.again_due.max(due);
        cx.timers.arm(self.again_due, Timer::Again(self.id, self.session));
    }

    /// It is time to ask again, unless that was put off further.
    pub(super) fn on_again_timeout(&mut self, cx: &mut Context, session: u64) {
        if self.is_in_session(session) && self.again_due <= cx.now.at.mono {
            let names = std::mem::take(&mut self.again);
            self.subscribe(cx, names);
        }
    }

    /// Channels were granted: unless others are still refused, the next refusal is the first.
    pub(super) fn on_served(&mut self) {
        if self.channels.iter().all(|channel| !channel.refused && channel.put_off.is_none()) {
            self.tries = 0;
        }
    }

    /// Ends channels for good.
    pub(super) fn end_channels(&mut self, cx: &mut Context, names: &[String]) {
        let (ended, left) = std::mem::take(&mut self.channels).into_iter().partition(|c| names.contains(&c.name));
        self.channels = left;
        let asked: Vec<Channel> = ended;
        let asked: Vec<String> =
            asked.into_iter().filter(|c| c.asked.is_some() && !c.refused).map(|c| c.name).collect();
        self.unsubscribe(cx, &asked);
    }

    /// Ends channels.
    fn unsubscribe(&mut self, cx: &mut Context, names: &[String]) {
        if self.state != State::Up {
            return;
        }
        for chunk in names.chunks(limits(cx).channels_per_request) {
            let id = self.request_id();
            let list: Vec<&str> = chunk.iter().map(String::as_str).collect();
            let text = with_protocol!(cx.config.venue, P => P::unsubscribe(&list, id));
            self.ask(cx, Request { id, text, channels: Vec::new(), asked_for: 0, errors: 0, is_owed: false });
        }
    }

    /// Ends channels and asks for them anew, since a bare repetition brings no snapshot (Deribit §4 step 3). One that
    /// waits for its turn to be asked for is not asked for twice.
    pub(super) fn resubscribe(&mut self, cx: &mut Context, mut names: Vec<String>) {
        names.retain(|name| !self.waiting.iter().any(|request| request.channels.contains(name)));
        self.unsubscribe(cx, &names);
        self.subscribe(cx, names);
    }

    fn ask(&mut self, cx: &mut Context, request: Request) {
        self.waiting.push_back(request);
        self.flush(cx);
    }

    /// Sends what the exchange's limit allows now.
    pub(super) fn flush(&mut self, cx: &mut Context) {
        let limits = limits(cx);
        let now = cx.now.at.mono;
        let every = limits.request_every_ms.saturating_mul(NS_PER_MS.unsigned_abs()).max(1);
        let (tokens, since) = *self.tokens(cx);
        let earned = now.saturating_sub(since) / every;
        let burst = u64::from(limits.request_burst);
        let mut left = if tokens.saturating_add(earned) >= burst {
            (burst, now)
        } else {
            (tokens + earned, since.saturating_add(earned.saturating_mul(every)))
        };
        while left.0 > 0
            && self.waiting.front().is_some_and(|request| !request.must_wait(self.is_careful, &self.asked))
            && let Some(request) = self.waiting.pop_front()
        {
            left.0 -= 1;
            cx.actions.push_back(Action::Send { conn: self.id, text: request.text.clone() });
            if request.is_owed {
                cx.arm_in_ms(cx.config.deadlines.ack_ms, Timer::Ack(self.id, request.id));
                self.asked.push(request);
            }
        }
        *self.tokens(cx) = left;
        // Who waits for an answer goes on with it.
        if !self.waiting.is_empty() && !self.flushing && left.0 == 0 {
            self.flushing = true;
            cx.timers.arm(left.1.saturating_add(every), Timer::Flush(self.id, self.session));
        }
    }

    /// Requests that may leave now, and since when the next one is being earned.
    fn tokens<'a>(&'a mut self, cx: &'a mut Context) -> &'a mut (u64, u64) {
        if limits(cx).requests_are_shared { &mut cx.tokens } else { &mut self.tokens }
    }

    /// An answer came: what waited for it may go on.
    pub(super) fn go_on(&mut self, cx: &mut Context) {
        if self.is_careful && self.is_open() {
            self.flush(cx);
        }
    }

    /// The limit allows more.
    pub(super) fn on_flush_timeout(&mut self, cx: &mut Context, session: u64) {
        if self.session == session {
            self.flushing = false;
            if self.is_open() {
                self.flush(cx);
            }
        }
    }

    /// It is down.
    pub(super) fn on_down(&mut self, cx: &mut Context, down: &ConnDown) -> Ended {
        let now = cx.now.at.mono;
        let was_up = !matches!(self.state, State::Down | State::Opening);
        let stable = was_up && now.saturating_sub(self.up_since) >= STABLE_MS * NS_PER_MS.unsigned_abs();
        self.attempt = if stable { 0 } else { self.attempt.saturating_add(1) };
        self.state = State::Down;
        self.waiting.clear();
        self.asked.clear();
        self.again.clear();
        self.flushing = false;
        let too_much = down.reason == DownReason::Closed && matches!(down.code, Some(1008 | 1013));
        let floor = down.retry_after_ms.unwrap_or(if too_much { PENALTY_MS } else { 0 });
        let announced = self.announced && self.attempt == 0 && floor == 0;
        let delay = if announced { 0 } else { cx.backoff_ms(self.attempt, floor) };
        let by_peer = matches!(down.reason, DownReason::Closed | DownReason::Eof | DownReason::Reset);
        let is_cut = was_up && by_peer && self.closing.is_none();
        Ended { cause: self.closing.take().unwrap_or(GapCause::Disconnect), delay_ms: delay, is_cut }
    }

    /// A frame came at that wall time, perhaps one of data. Yields what [`Self::clamp`] does.
    #[inline]
    pub(super) fn on_frame(&mut self, now: Now, wall: i64, is_data: bool) -> (i64, u8) {
        self.last_frame = now.at.mono;
        if is_data {
            self.on_data(now);
        }
        self.clamp(wall)
    }

    /// A data frame came.
    #[inline]
    pub(super) fn on_data(&mut self, now: Now) {
        self.last_data = now.at.mono;
    }

    /// The receive time of an input on this connection, clamped so that it never falls.
    #[inline]
    pub(super) fn clamp(&mut self, wall: i64) -> (i64, u8) {
        match self.last_recv {
            Some(last) if wall < last => (last, flags::RECV_SUSPECT),
            _ => {
                self.last_recv = Some(wall);
                (wall, 0)
            }
        }
    }

    /// A request was granted whole.
    pub(super) fn on_granted(&mut self, id: Option<u64>) -> Settled {
        let granted = self.take_request(id).map(|request| request.channels).unwrap_or_default();
        Settled { granted, refused: Vec::new() }
    }

    /// A request was granted for `channels`, and what it asked for beside them was silently left out.
    pub(super) fn on_granted_only(&mut self, id: Option<u64>, channels: &[String]) -> Settled {
        let asked = self.take_request(id).map(|request| request.channels).unwrap_or_default();
        let (granted, refused) = asked.into_iter().partition(|name| channels.contains(name));
        Settled { granted, refused }
    }

    /// One channel of a request was granted; the others are answered by themselves. What ends a channel is granted in
    /// the same words and is nothing to note.
    pub(super) fn on_granted_one(&mut self, id: Option<u64>, channel: &str) -> Settled {
        if !self.is_owed(id) {
            return Settled::default();
        }
        self.drop_asked(channel);
        Settled { granted: vec![channel.to_owned()], refused: self.take_refused() }
    }

    /// The channels of a request of which as many were refused as have not been granted.
    fn take_refused(&mut self) -> Vec<String> {
        let at = self.asked.iter().position(|request| request.errors > 0 && request.errors >= request.channels.len());
        at.map(|at| self.asked.remove(at).channels).unwrap_or_default()
    }

    /// The answer is to a request that owes one, as far as it says.
    fn is_owed(&self, id: Option<u64>) -> bool {
        id.is_none_or(|id| self.asked.iter().any(|request| request.id == id))
    }

    /// The exchange has no time for a request now: it, or the one channel, is asked for again, with backoff and when the
    /// limit allows. Yields what has been put off for so long that it should have spoken by now.
    pub(super) fn on_put_off(&mut self, cx: &mut Context, id: Option<u64>, channel: Option<&str>) -> Vec<String> {
        let names = match channel {
            Some(channel) if self.is_owed(id) => {
                self.drop_asked(channel);
                vec![channel.to_owned()]
            }
            _ => match self.take_meant(id) {
                Some(request) => request.channels,
                None => return Vec::new(),
            },
        };
        let now = cx.now.at.mono;
        *self.tokens(cx) = (0, now);
        self.ask_later(cx, &names, 0);
        let first_data = cx.config.deadlines.first_data_ms.saturating_mul(NS_PER_MS.unsigned_abs());
        let meant = self.channels.iter_mut().filter(|channel| names.contains(&channel.name));
        let overdue = meant.filter_map(|channel| {
            let since = *channel.put_off.get_or_insert(now);
            (now.saturating_sub(since) >= first_data).then(|| channel.name.clone())
        });
        overdue.collect()
    }

    /// A request, or one channel of it, was refused. One that asked for several and is refused whole is asked for again
    /// channel by channel: one that the exchange does not know must not cost the others.
    pub(super) fn on_refused(&mut self, cx: &mut Context, id: Option<u64>, channel: Option<&str>) -> Settled {
        if id.is_some() && !self.is_owed(id) {
            // To end a channel, which is at its end then; or to ask for several, which are asked for one by one by now.
            return Settled::default();
        }
        if let Some(channel) = channel {
            self.drop_asked(channel);
            return Settled { granted: Vec::new(), refused: vec![channel.to_owned()] };
        }
        if id.is_none() {
            return self.on_nameless_refusal(cx);
        }
        let Some(request) = self.take_request(id) else { return Settled::default() };
        self.ask_one_by_one(cx, request)
    }

    /// Something was refused, and nobody says what. If only one request can be meant, its other answers show which of its
    /// channels it was; if none come, they are asked for one by one when its time is over. Else the connection begins
    /// anew, with one request after the other.
    fn on_nameless_refusal(&mut self, cx: &mut Context) -> Settled {
        self.is_careful = true;
        let mut asked = self.asked.iter_mut().filter(|request| request.is_for_channels());
        match (asked.next(), asked.next()) {
            (Some(only), None) => {
                only.errors = only.errors.saturating_add(1);
                Settled { granted: Vec::new(), refused: self.take_refused() }
            }
            _ => {
                self.close(cx, GapCause::Disconnect, "request refused");
                Settled::default()
            }
        }
    }

    /// Of a request that was refused each channel is asked for by itself, unless it was one alone.
    fn ask_one_by_one(&mut self, cx: &mut Context, request: Request) -> Settled {
        if request.channels.len() == 1 {
            return Settled { granted: Vec::new(), refused: request.channels };
        }
        for name in request.channels {
            self.subscribe(cx, vec![name]);
        }
        Settled::default()
    }

    /// The request that a refusal means: where it does not say, the only one for channels that waits for an answer.
    fn take_meant(&mut self, id: Option<u64>) -> Option<Request> {
        let mut asked = self.asked.iter().filter(|request| request.is_for_channels()).map(|request| request.id);
        let only = asked.next().filter(|_| asked.next().is_none());
        self.take_request(id.or(only))
    }

    fn take_request(&mut self, id: Option<u64>) -> Option<Request> {
        let at = self.asked.iter().position(|request| Some(request.id) == id)?;
        Some(self.asked.remove(at))
    }

    fn drop_asked(&mut self, channel: &str) {
        for request in &mut self.asked {
            request.channels.retain(|name| name != channel);
        }
        self.asked.retain(|request| !request.channels.is_empty());
    }

    /// An answer is overdue. Channels that alone were left out of the answers of their request are refused; a request
    /// without any answer costs the connection.
    pub(super) fn on_ack_timeout(&mut self, cx: &mut Context, id: u64) -> Settled {
        if self.is_login(Some(id)) {
            self.close(cx, GapCause::Silence, "login not answered in time");
        } else if let Some(request) = self.take_request(Some(id)) {
            if request.errors > 0 {
                return self.ask_one_by_one(cx, request);
            }
            if request.channels.len() == request.asked_for {
                self.close(cx, GapCause::Silence, "request not answered in time");
            } else {
                return Settled { granted: Vec::new(), refused: request.channels };
            }
        }
        Settled::default()
    }

    /// Proof of life is due. Asks for it, or gives a connection up that owes one.
    pub(super) fn on_beat_timeout(&mut self, cx: &mut Context, session: u64) {
        if self.session != session || !self.is_open() {
            return;
        }
        let limit = heartbeat_ms(cx).saturating_mul(NS_PER_MS.unsigned_abs());
        let due = self.last_frame.saturating_add(limit);
        let heartbeat = with_protocol!(cx.config.venue, P => P::HEARTBEAT);
        if due > cx.now.at.mono {
            cx.timers.arm(due, Timer::Beat(self.id, self.session));
            return;
        }
        match heartbeat {
            // The shell answers pings and sees frames; the engine sees data only and judges by the silence timer.
            Heartbeat::Pings { .. } => {}
            Heartbeat::Question { after_ms } => {
                self.question(cx);
                cx.arm_in_ms(after_ms, Timer::Beat(self.id, self.session));
            }
            Heartbeat::Frames { .. } => self.close(cx, GapCause::Silence, "no heartbeat"),
        }
    }

    /// Asks something that must be answered.
    fn question(&mut self, cx: &mut Context) {
        if self.asked.is_empty() {
            let id = self.request_id();
            let text = with_protocol!(cx.config.venue, P => P::question(id));
            self.waiting.push_front(Request { id, text, channels: Vec::new(), asked_for: 0, errors: 0, is_owed: true });
            self.flush(cx);
        }
    }

    /// A proof of life came: it answers every question that carries no channel.
    pub(super) fn on_alive(&mut self) {
        self.asked.retain(|request| !request.channels.is_empty());
    }

    /// The exchange asks for proof of life: it must not wait for its turn.
    pub(super) fn answer(&mut self, cx: &mut Context, text: String) {
        cx.actions.push_back(Action::Send { conn: self.id, text });
    }

    /// The exchange is about to close it.
    pub(super) fn on_closing(&mut self) {
        self.announced = true;
    }

    /// No data for long? Asks something that must be answered, so that a half-open socket shows itself; quiet or dead
    /// streams are told apart by the REST probes. True where the connection is silent.
    pub(super) fn on_silence_timeout(&mut self, cx: &mut Context) -> bool {
        let limit = cx.config.deadlines.silence_ms.saturating_mul(NS_PER_MS.unsigned_abs());
        let silent_for = cx.now.at.mono.saturating_sub(self.last_data);
        if silent_for < limit {
            cx.timers.arm(self.last_data.saturating_add(limit), Timer::Silence(self.id, self.session));
            return false;
        }
        self.question(cx);
        cx.arm_in_ms(cx.config.deadlines.silence_ms, Timer::Silence(self.id, self.session));
        true
    }

    /// No data frame for as long as a connection may be silent.
    pub(super) fn is_silent(&self, cx: &Context) -> bool {
        let limit = cx.config.deadlines.silence_ms.saturating_mul(NS_PER_MS.unsigned_abs());
        cx.now.at.mono.saturating_sub(self.last_data) >= limit
    }

    /// Gives the connection up.
    pub(super) fn close(&mut self, cx: &mut Context, cause: GapCause, reason: &'static str) {
        if self.is_open() {
            self.state = State::Closing;
            self.closing = Some(cause);
            cx.actions.push_back(Action::Close { conn: self.id, reason });
        }
    }

    /// Its address.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// It is not wanted any more: closed for good.
    pub(super) fn leave(&mut self, cx: &mut Context, reason: &'static str) {
        self.role = Role::Leaving;
        self.due = None;
        if !matches!(self.state, State::Down | State::Closing) {
            self.state = State::Closing;
            self.closing = Some(GapCause::Disconnect);
            cx.actions.push_back(Action::Close { conn: self.id, reason });
        }
    }

    /// What it is doing.
    pub(super) fn stands(&self, now: u64) -> ConnState {
        match (self.state, self.role) {
            (_, Role::Leaving) => ConnState::Leaving,
            (State::Up | State::LoggingIn(_), Role::Trial(_)) => ConnState::OnTrial,
            (State::Up | State::LoggingIn(_), Role::Holder) => ConnState::Up,
            (State::Opening, _) => ConnState::Opening,
            (State::Closing, _) => ConnState::Closing,
            (State::Down, _) if self.parked_until.is_some_and(|until| now < until) => ConnState::Parked,
            (State::Down, _) => ConnState::Down,
        }
    }

    /// It is up and logged in.
    pub(super) fn is_up(&self) -> bool {
        self.state == State::Up
    }

    /// It is on its way up.
    pub(super) fn is_opening(&self) -> bool {
        self.state == State::Opening
    }

    /// It is up, logged in or not.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Up | State::LoggingIn(_))
    }

    fn request_id(&mut self) -> u64 {
        self.next_request += 1;
        self.next_request
    }
}

/// Longest time without any frame before proof of life is due.
fn heartbeat_ms(cx: &Context) -> u64 {
    match with_protocol!(cx.config.venue, P => P::HEARTBEAT) {
        Heartbeat::Question { after_ms } => after_ms,
        // One may be late.
        Heartbeat::Pings { every_ms } | Heartbeat::Frames { every_ms } => every_ms.saturating_mul(2),
    }
}
