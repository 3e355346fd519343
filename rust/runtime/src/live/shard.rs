//! One thread, one engine, its connections: the loop that carries inputs in and actions out.
//!
//! Everything runs in one task, so nothing here is locked or sent. A pass gives a turn to whatever woke the shard, in
//! this order: sockets, REST, the engine's timer, the connections' deadlines. Then open batches are closed, if they are
//! due, and the task waits for the next wake-up.

mod report;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use futures_util::task::AtomicWaker;
use rustls::ClientConfig;
use serde_json::Value;
use tokio::time::{Instant, Sleep};
use xtrader_core::batch::Batch;
use xtrader_core::config::{ConfigError, Credentials};
use xtrader_core::engine::{Action, Advice, Command, ConnDown, DownReason, HttpReply, Input};
use xtrader_core::symbol::ConnId;
use xtrader_core::time::{NS_PER_MS, Stamp};

use super::address::{self, Service};
use super::admission::{Waiting, admitted};
use super::allowance::Allowance;
use super::budget::{Seat, Shared};
use super::dial::{Dialled, dial};
use super::down::down;
use super::drive::Drive;
use super::login::{self, Veil};
use super::options::LiveOptions;
use super::queue::Queue;
use super::rest::{Reply, Rest};
use super::socket::{Socket, Step};
use super::sys;
use super::wake::Flag;
use crate::error::RuntimeError;

/// Reads of one socket before the others get their turn.
const READS_PER_TURN: usize = 8;
/// Passes before the runtime's other tasks (REST) get their turn.
const PASSES_PER_POLL: usize = 16;
/// Longest sleep: tokio's timer, not a deadline.
const MAX_SLEEP_NS: u64 = 60_000_000_000;

/// Questions that may wait for a shard; more are refused.
const MAX_ASKED: usize = 1024;

/// What the engine says to a command.
pub type Verdict = Result<(), ConfigError>;

/// Something that the outside wants to know of a shard, and where the answer goes. Whoever asked may have gone.
#[derive(Debug)]
pub enum Question {
    /// How is it?
    Report(SyncSender<Value>),
    /// Will it do this?
    Command(Command, SyncSender<Verdict>),
}

/// What the outside asks of a shard.
#[derive(Debug, Default)]
pub struct Control {
    /// Wakes the shard.
    pub waker: Arc<AtomicWaker>,
    stop: AtomicBool,
    asked: Mutex<Vec<Question>>,
}

impl Control {
    /// Ends the loop.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Asks; what has no room is dropped, and its answer with it.
    pub fn ask(&self, question: Question) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() < MAX_ASKED {
            asked.push(question);
        }
        drop(asked);
        self.waker.wake();
    }

    /// The loop ends, or has ended.
    pub fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn take_asked(&self) -> Vec<Question> {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

type Dialling = Pin<Box<dyn Future<Output = Result<(Dialled, Option<Seat>), ConnDown>> + Send>>;
type Retiring = Pin<Box<dyn Future<Output = u64> + Send>>;

enum State {
    Down,
    Dialling(Dialling),
    Up(Box<Socket>),
}

/// One connection of the engine, through all its sockets.
struct Slot {
    conn: ConnId,
    url: String,
    state: State,
    /// What its opening waits for, where this process must not open it yet.
    waiting: Waiting,
    /// Once a login was sent: lies over all that comes, and over the words of every end.
    veil: Option<Veil>,
    flag: Arc<Flag>,
    waker: Waker,
    counts: Counts,
}

/// What one connection has seen, over all its sockets that are gone.
#[derive(Default)]
struct Counts {
    dials: u64,
    opened: u64,
    opened_at: Option<i64>,
    peer: Option<String>,
    messages: u64,
    bytes: u64,
    pings: u64,
    stamps_refused: u64,
    last_down: Option<ConnDown>,
}

/// See the module.
pub struct Shard<E> {
    engine: E,
    options: LiveOptions,
    queue: Arc<Queue>,
    control: Arc<Control>,
    tls: Arc<ClientConfig>,
    allowance: Allowance,
    credentials: Option<Credentials>,
    rest: Rest,
    slots: Vec<Slot>,
    retiring: FuturesUnordered<Retiring>,
    /// Messages that came while a connection was being closed.
    discarded: u64,
    /// Closed batches that the queue has no room for.
    blocked: VecDeque<Batch>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// When `sleep` ends (monotonic).
    sleep_until: u64,
}

impl<E: Drive> Shard<E> {
    /// Nothing open yet.
    ///
    /// # Errors
    /// The REST client cannot be set up.
    pub fn new(
        engine: E,
        options: LiveOptions,
        credentials: Option<Credentials>,
        tls: Arc<ClientConfig>,
        queue: Arc<Queue>,
        control: Arc<Control>,
    ) -> Result<Self, RuntimeError> {
        let allowance = Allowance::of(&options);
        let rest = Rest::new(&tls, options.rest, allowance, options.engine.deadlines.http_ms)?;
        Ok(Self {
            engine,
            options,
            queue,
            control,
            tls,
            allowance,
            credentials,
            rest,
            slots: Vec::new(),
            retiring: FuturesUnordered::new(),
            discarded: 0,
            blocked: VecDeque::new(),
            sleep: None,
            sleep_until: u64::MAX,
        })
    }

    /// Runs until it is stopped, then hands over what is left and closes its connections. Yields the last report.
    pub async fn run(&mut self) -> Value {
        self.settle();
        while !self.control.is_stopping() {
            std::future::poll_fn(|cx| self.poll(cx)).await;
            if self.options.spin {
                // Polls the sockets' readiness without sleeping, and lets REST go on.
                tokio::task::yield_now().await;
            }
        }
        self.finish().await
    }

    /// Why the engine cannot go on, if so.
    pub fn fault(&self) -> Option<ConfigError> {
        self.engine.fault().cloned()
    }

    async fn finish(&mut self) -> Value {
        if self.engine.fault().is_none() {
            self.engine.handle(sys::now(), Input::Command(&Command::Stop));
        }
        self.engine.close_batches();
        while let Some(batch) = self.engine.poll_batch() {
            self.blocked.push_back(batch);
        }
        for batch in self.blocked.drain(..) {
            self.queue.push_last(batch);
        }
        let report = self.report();
        for question in self.control.take_asked() {
            // It is too late for a command: its answer is dropped with it.
            if let Question::Report(answer) = question {
                let _ = answer.try_send(report.clone());
            }
        }
        for slot in &mut self.slots {
            if let State::Up(socket) = std::mem::replace(&mut slot.state, State::Down) {
                self.retiring.push(Box::pin(socket.retire()));
            }
        }
        while let Some(discarded) = self.retiring.next().await {
            self.discarded = self.discarded.saturating_add(discarded);
        }
        report
    }

    /// Passes until nothing is left to do (or, when spinning, one pass).
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.control.waker.register(cx.waker());
        for _ in 0..PASSES_PER_POLL {
            if self.control.is_stopping() {
                return Poll::Ready(());
            }
            for question in self.control.take_asked() {
                self.answer(question);
            }
            if self.pass(cx) {
                continue;
            }
            if self.options.spin {
                return Poll::Ready(());
            }
            if self.poll_sleep(cx).is_pending() {
                return Poll::Pending;
            }
        }
        if self.options.spin {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn answer(&mut self, question: Question) {
        match question {
            Question::Report(answer) => {
                let _ = answer.try_send(self.report());
            }
            Question::Command(command, answer) => {
                let verdict = self.engine.command(sys::now(), &command);
                self.settle();
                let _ = answer.try_send(verdict);
            }
        }
    }

    /// One turn for everything that has something to do. True where there may be more.
    fn pass(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.unblock() {
            // No room: nothing is read and no timer runs, so no peer is blamed for our standing still.
            return false;
        }
        let mut progress = false;
        for i in 0..self.slots.len() {
            if self.slots[i].flag.take() {
                progress = true;
                self.turn(i);
            }
        }
        let now = sys::now();
        while let Poll::Ready(reply) = self.rest.poll(cx, now) {
            progress = true;
            self.on_reply(&reply);
        }
        while let Poll::Ready(Some(discarded)) = self.retiring.poll_next_unpin(cx) {
            self.discarded = self.discarded.saturating_add(discarded);
        }
        let now = sys::now();
        if self.engine.next_timeout().is_some_and(|at| at.mono <= now.mono) {
            progress = true;
            self.feed(now, Input::Timeout);
        }
        self.check_deadlines(now.mono);
        self.close_due(now.mono, !progress) || progress
    }

    /// Hands over what had no room. True where nothing is left of it.
    fn unblock(&mut self) -> bool {
        if self.blocked.is_empty() {
            return true;
        }
        while let Some(batch) = self.blocked.pop_front() {
            // First the wish to be woken, then the attempt: room that comes in between is not missed.
            self.queue.wake_shard_on_take();
            if let Err(batch) = self.queue.push(batch) {
                self.blocked.push_front(batch);
                return false;
            }
        }
        let now = sys::now().mono;
        for slot in &mut self.slots {
            if let State::Up(socket) = &mut slot.state {
                socket.resumed(now);
            }
        }
        true
    }

    /// One connection's turn.
    fn turn(&mut self, i: usize) {
        let waker = self.slots[i].waker.clone();
        let mut cx = Context::from_waker(&waker);
        if let State::Dialling(dialling) = &mut self.slots[i].state {
            match dialling.as_mut().poll(&mut cx) {
                Poll::Pending => return,
                Poll::Ready(Ok((dialled, seat))) => self.up(i, dialled, seat),
                Poll::Ready(Err(down)) => return self.down(i, &down),
            }
        }
        for read in 0.. {
            if !self.deliver(i) {
                return;
            }
            let State::Up(socket) = &mut self.slots[i].state else { return };
            if read >= READS_PER_TURN && !socket.holds_more() {
                self.slots[i].flag.raise();
                break;
            }
            match socket.poll_read(&mut cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(down)) => return self.down(i, &down),
                Poll::Pending => break,
            }
        }
        let State::Up(socket) = &mut self.slots[i].state else { return };
        if let Err(down) = socket.poll_write(&mut cx, sys::now().mono) {
            self.down(i, &down);
        }
    }

    /// Everything that the last read brought, each message with the stamp of that read. False where the connection is
    /// over.
    fn deliver(&mut self, i: usize) -> bool {
        loop {
            let Slot { conn, state, veil, .. } = &mut self.slots[i];
            let State::Up(socket) = state else { return false };
            let (stamp, source) = (socket.stamp(), socket.arrivals().source);
            match socket.step() {
                Ok(Step::Message(payload)) => {
                    let shown = veil.as_ref().and_then(|veil| veil.frame(payload));
                    let payload = shown.as_deref().unwrap_or(payload);
                    self.engine.stamped_by(*conn, source);
                    self.engine.handle(stamp, Input::Frame { conn: *conn, payload });
                }
                Ok(Step::Other) => continue,
                Ok(Step::Drained) => return true,
                Err(down) => {
                    self.down(i, &down);
                    return false;
                }
            }
            self.settle();
        }
    }

    fn up(&mut self, i: usize, dialled: Dialled, seat: Option<Seat>) {
        let slot = &mut self.slots[i];
        let conn = slot.conn;
        slot.counts.opened = slot.counts.opened.saturating_add(1);
        slot.counts.peer = Some(dialled.peer.to_string());
        let link = dialled.link();
        let socket = Socket::new(dialled, seat, self.options.net.clone(), &self.allowance);
        // The read that brought the answer may have brought messages: no stamp of theirs may be earlier.
        let stamp = socket.stamp();
        slot.counts.opened_at = Some(stamp.wall);
        slot.state = State::Up(Box::new(socket));
        let url = std::mem::take(&mut slot.url);
        self.feed(stamp, Input::ConnUp { conn, url: &url, link });
        self.slots[i].url = url;
    }

    /// The connection is over: tells the engine, and answers the peer's close if it was one.
    fn down(&mut self, i: usize, down: &ConnDown) {
        let slot = &mut self.slots[i];
        if matches!(slot.state, State::Down) {
            return;
        }
        let conn = slot.conn;
        let mut down = down.clone();
        if let Some(veil) = &slot.veil {
            down.detail = veil.words(&down.detail);
        }
        slot.counts.last_down = Some(down.clone());
        if let State::Up(socket) = std::mem::replace(&mut slot.state, State::Down) {
            slot.counts.messages = slot.counts.messages.saturating_add(socket.messages);
            slot.counts.bytes = slot.counts.bytes.saturating_add(socket.bytes);
            slot.counts.pings = slot.counts.pings.saturating_add(socket.pings);
            slot.counts.stamps_refused = slot.counts.stamps_refused.saturating_add(socket.arrivals().refused);
            if matches!(down.reason, DownReason::Closed | DownReason::Protocol | DownReason::Local) {
                self.retiring.push(Box::pin(socket.retire()));
            }
        }
        if down.reason == DownReason::Refused
            && let (Some(status), Ok(url)) = (down.code, address::parse(&slot.url, Service::WebSocket))
        {
            let account = Shared::with(&address::origin(&url), &self.allowance);
            account.lock().on_reply(sys::now(), status, None, down.retry_after_ms);
        }
        self.feed(sys::now(), Input::ConnDown { conn, down: &down });
    }

    fn on_reply(&mut self, reply: &Reply) {
        let input = HttpReply {
            request: Some(reply.request),
            url: &reply.url,
            status: reply.status,
            retry_after_ms: reply.retry_after_ms,
            body: &reply.body,
        };
        self.feed(sys::now(), Input::Http(input));
    }

    fn feed(&mut self, at: Stamp, input: Input<'_>) {
        self.engine.handle(at, input);
        self.settle();
    }

    /// Carries out what the engine wants and hands over what it has closed.
    fn settle(&mut self) {
        if self.engine.fault().is_some() {
            self.control.stop();
        }
        while let Some(action) = self.engine.poll_action() {
            self.carry_out(action);
        }
        while let Some(warning) = self.engine.poll_warning() {
            self.queue.warn(warning);
        }
        while let Some(batch) = self.engine.poll_batch() {
            if self.blocked.is_empty() {
                if let Err(batch) = self.queue.push(batch) {
                    self.blocked.push_back(batch);
                }
            } else {
                self.blocked.push_back(batch);
            }
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Open { conn, url, advice } => self.open(conn, url, advice),
            Action::Send { conn, text } => {
                if let Some(i) = self.slots.iter().position(|s| s.conn == conn) {
                    self.send(i, text);
                }
            }
            Action::Login { conn, request } => {
                let Some(i) = self.slots.iter().position(|s| s.conn == conn) else { return };
                let venue = self.options.engine.venue;
                let login = self.credentials.as_ref().and_then(|c| login::request(venue, c, sys::now().wall, request));
                match login {
                    Some((veil, text)) => {
                        self.slots[i].veil = Some(veil);
                        self.send(i, text);
                    }
                    None => self.down(i, &down(DownReason::Local, "no credentials to log in with")),
                }
            }
            Action::Close { conn, reason } => {
                if let Some(i) = self.slots.iter().position(|s| s.conn == conn) {
                    self.down(i, &down(DownReason::Local, reason));
                }
            }
            Action::Http { request, url, weight } => self.rest.ask(request, url, weight),
        }
    }

    fn send(&mut self, i: usize, text: String) {
        let State::Up(socket) = &mut self.slots[i].state else { return };
        match socket.send(text) {
            Ok(()) => self.slots[i].flag.raise(),
            Err(down) => self.down(i, &down),
        }
    }

    fn open(&mut self, conn: ConnId, url: String, advice: Advice) {
        let i = match self.slots.iter().position(|s| s.conn == conn) {
            Some(i) => i,
            None => {
                let flag = Flag::new(self.control.waker.clone());
                let waker = flag.waker();
                self.slots.push(Slot {
                    conn,
                    url: String::new(),
                    state: State::Down,
                    waiting: Waiting::default(),
                    veil: None,
                    flag,
                    waker,
                    counts: Counts::default(),
                });
                self.slots.len() - 1
            }
        };
        let slot = &mut self.slots[i];
        slot.counts.dials = slot.counts.dials.saturating_add(1);
        let dialling: Dialling = match address::parse(&url, Service::WebSocket) {
            Ok(parsed) => {
                let account = Shared::with(&address::origin(&parsed), &self.allowance);
                let (tls, net, waiting) = (self.tls.clone(), self.options.net.clone(), slot.waiting.clone());
                let resolver = self.options.resolver.clone();
                Box::pin(async move {
                    let seat = admitted(&account, &waiting).await?;
                    Ok((dial(parsed, resolver, tls, net, advice).await?, seat))
                })
            }
            Err(e) => Box::pin(std::future::ready(Err(down(DownReason::ConnectFailed, &e.to_string())))),
        };
        slot.url = url;
        slot.state = State::Dialling(dialling);
        slot.flag.raise();
    }

    fn check_deadlines(&mut self, now: u64) {
        for i in 0..self.slots.len() {
            let State::Up(socket) = &self.slots[i].state else { continue };
            match socket.check(now) {
                Ok(true) => self.slots[i].flag.raise(),
                Ok(false) => {}
                Err(down) => self.down(i, &down),
            }
        }
    }

    /// Closes open batches when their oldest row has waited long enough, or when nothing more is to be read and the
    /// consumer has read everything. True where there may be more to do.
    fn close_due(&mut self, now: u64, idle: bool) -> bool {
        let Some((_, oldest)) = self.engine.open_rows() else { return false };
        let hungry = self.options.eager && idle && {
            // First the wish to be woken, then the look: a consumer that takes the last batch in between is not missed.
            self.queue.wake_shard_on_take();
            self.queue.is_empty()
        };
        if hungry || now >= self.batch_due(oldest) {
            self.engine.close_batches();
            self.settle();
        }
        false
    }

    fn batch_due(&self, oldest: u64) -> u64 {
        let delay = self.options.engine.batch.max_delay_ms.saturating_mul(NS_PER_MS.unsigned_abs());
        oldest.saturating_add(delay)
    }

    /// Sleeps until the next deadline. Ready when it has come.
    fn poll_sleep(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.blocked.is_empty() {
            return Poll::Pending;
        }
        let now = sys::now().mono;
        let sockets = self.slots.iter().filter_map(|slot| match &slot.state {
            State::Up(socket) => socket.next_deadline(),
            State::Down | State::Dialling(_) => None,
        });
        let next = sockets
            .chain(self.engine.next_timeout().map(|at| at.mono))
            .chain(self.engine.open_rows().map(|(_, oldest)| self.batch_due(oldest)))
            .chain(self.rest.next_deadline())
            .min()
            .unwrap_or(u64::MAX)
            .min(now.saturating_add(MAX_SLEEP_NS));
        if next <= now {
            return Poll::Ready(());
        }
        // A timer that ends too early costs one look; so it is only ever set back when it ends too late.
        if self.sleep.is_none() || next < self.sleep_until || self.sleep_until <= now {
            let deadline = Instant::now() + Duration::from_nanos(next - now);
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(deadline),
                None => self.sleep = Some(Box::pin(tokio::time::sleep_until(deadline))),
            }
            self.sleep_until = next;
        }
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}
