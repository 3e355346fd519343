//! One WebSocket client: handshake, then a reader, a writer and a keeper of time side by side.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::clock::{MarketTime, wall_ns};
use crate::fault::{BadUpgrade, Ending, Fault, FrameContext, Stage};
use crate::server::hub::{Ends, Item, Link, Message, Outgoing};
use crate::server::socket::{Handle, Socket, accept};
use crate::server::websocket::{self as ws, FrameReader};
use crate::server::{Shared, State, http, load};
use crate::truth::FrameRecord;
use crate::venue::{Reply, Session};

/// How long a peer may take to answer a Close or a FIN.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long a client that reads too slowly may take for what has been begun, before it is told so.
const LAST_WRITE: Duration = Duration::from_secs(10);
/// How many bytes are gathered for one write.
const BATCH: usize = 64 << 10;

/// Serves one client from accept to end.
pub(crate) async fn run(shared: Arc<Shared>, stream: TcpStream, number: u64) {
    {
        let mut state = shared.state();
        let record = state.truth.connection(number);
        record.opened_ns = wall_ns();
        record.peer = stream.peer_addr().map(|a| a.to_string()).unwrap_or_default();
        record.address = stream.local_addr().map(|a| a.ip().to_string()).unwrap_or_default();
    }
    let ends = stream.peer_addr().and_then(|p| Ok(Ends { client: p.ip(), server: stream.local_addr()?.ip() }));
    let reason = match Handle::of(&stream).and_then(|handle| Ok((handle, ends?))) {
        Ok((handle, ends)) => serve(&shared, stream, number, ends, &handle).await,
        Err(e) => format!("no second handle: {e}"),
    };
    let mut state = shared.state();
    state.hub.remove(number);
    let record = state.truth.connection(number);
    record.closed_ns = Some(wall_ns());
    record.reason = Some(reason);
}

async fn serve(shared: &Arc<Shared>, stream: TcpStream, number: u64, ends: Ends, handle: &Handle) -> String {
    let address = Some(ends.server);
    let context = FrameContext { connection: Some(number), address, path: "ws", ..FrameContext::default() };
    let Some(mut socket) = accept(shared, stream, &context).await else { return "ended before the upgrade".into() };
    let mut rest = Vec::new();
    let Some(head) = http::read_head(&mut socket, &mut rest).await else { return "no upgrade came".into() };
    shared.state().truth.connection(number).path = head.target.clone();
    if !shared.state().handshakes.allow(ends.client, shared.clock.now()) {
        return refuse(&mut socket, 429, &[]).await;
    }
    let limits = &shared.config.limits;
    if !limits.close_oldest && !shared.state().hub.has_room(ends.client, limits.connections) {
        return refuse(&mut socket, 429, &[]).await;
    }
    let Some(key) = head.header("Sec-WebSocket-Key").map(str::to_owned).filter(|_| head.method == "GET") else {
        return refuse(&mut socket, 400, &[]).await;
    };
    let opened = shared.state().venue.open(&head.target);
    let mut session = match opened {
        Ok(session) => session,
        Err(status) => return refuse(&mut socket, status, &[]).await,
    };
    let family = session.family();
    shared.state().truth.connection(number).family = family.to_owned();

    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n",
        derive_accept_key(key.as_bytes())
    );
    let mut close_after = None;
    let context = FrameContext { family, ..context };
    let struck = shared.state().faults.strike(Stage::Upgrade, &context, shared.clock.now());
    for (_, fault) in struck {
        match fault {
            Fault::RefuseUpgrade { status, retry_after_s, location } => {
                let retry = retry_after_s.map(|s| ("Retry-After".to_owned(), s.to_string()));
                let location = location.map(|l| ("Location".to_owned(), l));
                let headers: Vec<_> = retry.into_iter().chain(location).collect();
                return refuse(&mut socket, status, &headers).await;
            }
            Fault::BadUpgrade { how } => match wrong_answer(&answer, how) {
                Some(wrong) => answer = wrong,
                None => std::future::pending().await,
            },
            Fault::AcceptThenClose { after_s, .. } => close_after = Some(Duration::from_secs_f64(after_s.max(0.0))),
            _ => {}
        }
    }
    answer.push_str("\r\n");
    if socket.write_all(answer.as_bytes()).await.is_err() {
        return "lost during the upgrade".into();
    }
    if let Some(after) = close_after {
        sleep(after).await;
        return "fault: accept_then_close".into();
    }

    let (out, items) = mpsc::unbounded_channel();
    let link = Arc::new(Link::new(shared.config.limits.send_queue_bytes));
    let replies = session.opened(shared.clock.now());
    let subscribed = session.has_streams();
    {
        let mut state = shared.state();
        state.hub.make_room(ends.client, limits.connections, shared.clock.now());
        state.hub.add(number, session, out, Arc::clone(&link), ends);
    }
    let client = Client { shared, number, link: &link, handle };
    client.reply(replies);
    if subscribed {
        client.replay(&BTreeSet::new());
        client.subscribed();
    }
    shared.wake.notify_one();
    let (read, write) = tokio::io::split(socket);
    let reason = tokio::select! {
        reason = client.read(read, FrameReader::with(rest)) => reason,
        reason = client.write(write, items) => reason,
        reason = client.keep() => reason,
    };
    link.ended.store(true, Ordering::Release);
    reason
}

async fn refuse(socket: &mut Socket, status: u16, headers: &[(String, String)]) -> String {
    let _ = socket.write_all(&http::reply(status, headers, b"{}")).await;
    let _ = socket.shutdown().await;
    format!("refused with {status}")
}

/// `None` is no answer at all.
fn wrong_answer(good: &str, how: BadUpgrade) -> Option<String> {
    let line = |l: &str| format!("{good}{l}\r\n");
    Some(match how {
        BadUpgrade::WrongAccept => {
            let good: Vec<&str> = good.lines().filter(|l| !l.starts_with("Sec-WebSocket-Accept")).collect();
            format!("{}\r\nSec-WebSocket-Accept: {}\r\n", good.join("\r\n"), derive_accept_key(b"of another key"))
        }
        BadUpgrade::NoAccept => {
            let good: Vec<&str> = good.lines().filter(|l| !l.starts_with("Sec-WebSocket-Accept")).collect();
            format!("{}\r\n", good.join("\r\n"))
        }
        BadUpgrade::UnrequestedExtension => line("Sec-WebSocket-Extensions: permessage-deflate"),
        BadUpgrade::UnrequestedSubprotocol => line("Sec-WebSocket-Protocol: surprise"),
        BadUpgrade::HeaderFlood => format!("{good}{}", "X-Flood: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(100_000)),
        BadUpgrade::Garbage => "\u{1}\u{2}\u{3} this is no HTTP\r\n\r\n".into(),
        BadUpgrade::Silence => return None,
    })
}

/// The three tasks of one connection. Each ends with the reason why the connection does.
struct Client<'a> {
    shared: &'a Arc<Shared>,
    number: u64,
    link: &'a Arc<Link>,
    handle: &'a Handle,
}

impl Client<'_> {
    fn send(&self, item: Item) {
        let now = self.shared.clock.now();
        if let Some(c) = self.shared.state().hub.get(self.number) {
            c.send(item, now);
        }
    }

    fn reply(&self, replies: Vec<Reply>) {
        let now = self.shared.clock.now();
        // One lock for all: no event comes between an answer and the snapshot that follows it.
        let state = &mut *self.shared.state();
        for r in replies {
            let item = match r {
                Reply::Text(text) => Item::Message(Message::plain(None, text.into_bytes().into())),
                Reply::Close { code, reason } => Item::Close { code, reason: reason.into() },
                Reply::Cut(why) => Item::Cut(why),
                Reply::Present(stream) => {
                    state.present(self.number, &stream, now);
                    continue;
                }
            };
            if let Some(c) = state.hub.get(self.number) {
                c.send(item, now);
            }
        }
    }

    /// Trades that were told before, to who has just subscribed: where a fault wants it.
    fn replay(&self, before: &BTreeSet<Arc<str>>) {
        let now = self.shared.clock.now();
        let state = &mut *self.shared.state();
        if state.faults.concern(Stage::Subscription) {
            for stream in state.hub.trade_streams(self.number, now).difference(before) {
                state.hub.replay(self.number, stream, &mut state.faults, &mut state.truth, now);
            }
        }
    }

    fn subscribed(&self) {
        let mut state = self.shared.state();
        state.venue.subscribed(self.shared.clock.now());
        if let Some(load) = &self.shared.config.load {
            let frames = state.hub.get(self.number).map(|c| c.session.load_frames(load.kind)).unwrap_or_default();
            drop(state);
            self.send(Item::Load(frames));
        }
        self.shared.wake.notify_one();
    }

    async fn read(&self, mut socket: ReadHalf<Socket>, mut frames: FrameReader) -> String {
        let mut chunk = vec![0; 8192];
        let mut partial: Option<Vec<u8>> = None;
        loop {
            loop {
                let frame = match frames.next() {
                    Ok(Some(frame)) => frame,
                    Ok(None) => break,
                    Err(wrong) => {
                        self.send(Item::Close { code: 1002, reason: wrong.into() });
                        return self.until_end(&mut socket, &mut chunk, wrong).await;
                    }
                };
                match frame.opcode {
                    ws::CLOSE => {
                        // What is queued still goes out; nothing new is added.
                        let code = frame.payload.get(..2).map_or(0, |c| u16::from_be_bytes([c[0], c[1]]));
                        self.send(Item::Close { code, reason: String::new() });
                        self.leave();
                        return self.until_end(&mut socket, &mut chunk, "closed by the client").await;
                    }
                    ws::PING | ws::PONG => self.control(frame.opcode, frame.payload),
                    _ => {
                        let mut text = partial.take().unwrap_or_default();
                        text.extend_from_slice(&frame.payload);
                        if frame.fin {
                            self.text(&String::from_utf8_lossy(&text));
                        } else {
                            partial = Some(text);
                        }
                    }
                }
            }
            if !self.link.reading.load(Ordering::Acquire) {
                return std::future::pending().await;
            }
            tokio::select! {
                () = self.link.interrupt.notified() => {}
                n = socket.read(&mut chunk) => match n {
                    Ok(0) => return "the client is gone".into(),
                    Ok(n) => frames.push(&chunk[..n]),
                    Err(e) => return format!("the client is gone: {}", e.kind()),
                },
            }
        }
    }

    async fn until_end(&self, socket: &mut ReadHalf<Socket>, chunk: &mut [u8], reason: &str) -> String {
        while matches!(socket.read(chunk).await, Ok(n) if n > 0) {}
        reason.to_owned()
    }

    fn text(&self, text: &str) {
        let now = self.shared.clock.now();
        let (replies, before) = {
            let mut state = self.shared.state();
            state.truth.connection(self.number).messages += 1;
            let concern = state.faults.concern(Stage::Subscription);
            let before = if concern { state.hub.trade_streams(self.number, now) } else { BTreeSet::new() };
            (self.answers(&mut state, text, now), before)
        };
        self.reply(replies);
        self.replay(&before);
        self.link.attention.notify_one();
        let subscribed = self.shared.state().hub.get(self.number).is_some_and(|c| c.session.has_streams());
        if subscribed {
            self.subscribed();
        }
    }

    /// What the session answers, or would if this were one request too many.
    fn answers(&self, state: &mut State, text: &str, now: MarketTime) -> Vec<Reply> {
        let Some(family) = state.hub.get(self.number).map(|c| c.session.family()) else { return Vec::new() };
        let is_request = text.to_ascii_lowercase().contains("subscribe");
        let context = FrameContext { connection: Some(self.number), family, path: "ws", ..FrameContext::default() };
        let struck = if is_request { state.faults.strike(Stage::Request, &context, now) } else { Vec::new() };
        let is_struck = |fault: &Fault| struck.iter().any(|(_, of)| of == fault);
        let Some(client) = state.hub.get(self.number) else { return Vec::new() };
        let mut replies = if is_struck(&Fault::TooManyRequests) {
            client.session.too_many_requests(text, now)
        } else {
            client.session.on_text(text, now)
        };
        if is_struck(&Fault::NamelessErrors) {
            replies.iter_mut().for_each(take_the_name);
        }
        if is_struck(&Fault::Unanswered) {
            replies.retain(|reply| !matches!(reply, Reply::Text(_)));
        }
        replies
    }

    fn control(&self, opcode: u8, payload: Vec<u8>) {
        let replies = {
            let mut state = self.shared.state();
            if opcode == ws::PONG {
                state.truth.connection(self.number).pongs += 1;
                self.link.ponged(&payload);
            }
            let now = self.shared.clock.now();
            state.hub.get(self.number).map(|c| c.session.on_control(now)).unwrap_or_default()
        };
        if opcode == ws::PING {
            self.send(Item::Pong(payload));
        }
        self.reply(replies);
    }

    /// Pings, the cut of a client that does not answer them, what the session says by itself, and the end of every
    /// connection's life.
    async fn keep(&self) -> String {
        let c = &self.shared.config;
        let opened = Instant::now();
        let after = |from: Instant, seconds: f64| (seconds > 0.0).then(|| from + self.shared.compressed(seconds));
        let end = after(opened, c.lifetime_s);
        let mut notice =
            (c.lifetime_notice_s > 0.0).then(|| after(opened, c.lifetime_s - c.lifetime_notice_s)).flatten();
        let mut next_ping = after(opened, c.ping_interval_s).map(|_| opened + self.shared.compressed(c.first_ping_s));
        let (mut answered, mut heard) = (0, opened);
        loop {
            let own = self.session(|s| s.next_time()).flatten();
            let own = own.map(|t| Instant::from_std(self.shared.clock.instant(t)));
            let patience = next_ping.and_then(|_| after(heard, c.pong_timeout_s));
            let due = [next_ping, patience, notice, end, own].into_iter().flatten().min();
            tokio::select! {
                () = async { match due { Some(at) => sleep_until(at).await, None => std::future::pending().await } } => {}
                () = self.link.attention.notified() => {}
            }
            if self.link.half_open.load(Ordering::Acquire) {
                return std::future::pending().await;
            }
            let now = Instant::now();
            let answers = self.link.answered.load(Ordering::Acquire);
            if answers > answered {
                (answered, heard) = (answers, now);
            }
            if notice.is_some_and(|at| now >= at) {
                notice = None;
                self.say_goodbye();
            }
            if end.is_some_and(|end| now >= end) {
                return "end of its life".into();
            }
            if next_ping.and_then(|_| after(heard, c.pong_timeout_s)).is_some_and(|end| now >= end) {
                return "no pong".into();
            }
            if own.is_some_and(|at| now >= at) {
                let replies = self.session(|s| s.on_time(self.shared.clock.now())).unwrap_or_default();
                self.reply(replies);
            }
            if next_ping.is_some_and(|at| now >= at) {
                let payload = self.session(|s| s.ping(wall_ns() / 1_000_000)).unwrap_or_default();
                self.link.pinged(payload.clone());
                self.send(Item::Ping(payload));
                next_ping = after(now, c.ping_interval_s);
            }
        }
    }

    /// Asks the session of this connection, if it is still there.
    fn session<R>(&self, ask: impl FnOnce(&mut dyn Session) -> R) -> Option<R> {
        self.shared.state().hub.get(self.number).map(|c| ask(&mut *c.session))
    }

    /// Says goodbye as the exchange does, where it does.
    fn say_goodbye(&self) {
        let text = self.session(|s| s.farewell(self.shared.clock.now())).flatten();
        self.reply(text.map(Reply::Text).into_iter().collect());
    }

    /// Says goodbye, and closes some time later. Data goes on meanwhile.
    fn shut_down(&self, after: Duration) {
        self.say_goodbye();
        let (shared, number) = (Arc::clone(self.shared), self.number);
        tokio::spawn(async move {
            sleep(after).await;
            let now = shared.clock.now();
            if let Some(c) = shared.state().hub.get(number) {
                c.send(Item::Close { code: 1001, reason: String::new() }, now);
            }
        });
    }

    async fn write(&self, mut socket: WriteHalf<Socket>, mut items: mpsc::UnboundedReceiver<Outgoing>) -> String {
        let mut trickle = None;
        let mut next: Option<Outgoing> = None;
        loop {
            let first = match next.take() {
                Some(item) => item,
                None => match items.recv().await {
                    Some(item) => item,
                    // The hub has forgotten us after the client's Close, and that has been answered.
                    None => return std::future::pending().await,
                },
            };
            if first.due > self.shared.clock.now() {
                sleep_until(Instant::from_std(self.shared.clock.instant(first.due))).await;
            }
            let mut batch = Batch::default();
            let mut special = batch.add(first.item);
            while special.is_none() && batch.bytes.len() < BATCH && trickle.is_none() {
                let Ok(item) = items.try_recv() else { break };
                if item.due > self.shared.clock.now() {
                    next = Some(item);
                    break;
                }
                special = batch.add(item.item);
            }
            if let Err(reason) = self.hand_over(&mut socket, batch, trickle).await {
                return reason;
            }
            match special {
                None => {}
                Some(Special::Cut(message, at, how)) => {
                    let mut bytes = Vec::new();
                    ws::frame(&mut bytes, ws::TEXT, &message.payload);
                    bytes.truncate(at);
                    self.record(&message, false);
                    let _ = socket.write_all(&bytes).await;
                    let _ = socket.flush().await;
                    return self.disconnect(&mut socket, how).await;
                }
                Some(Special::Close(code, reason)) => {
                    self.leave();
                    let mut bytes = Vec::new();
                    ws::frame(&mut bytes, ws::CLOSE, &ws::close_payload(code, &reason));
                    let _ = socket.write_all(&bytes).await;
                    let _ = socket.shutdown().await;
                    sleep(FAREWELL).await;
                    return format!("closed with {code} {reason}");
                }
                Some(Special::End(why)) => {
                    self.leave();
                    let _ = socket.shutdown().await;
                    sleep(FAREWELL).await;
                    return why.into();
                }
                Some(Special::Load(frames)) => {
                    return load::run(self.shared, self.number, self.link, self.handle, frames, items).await;
                }
                Some(Special::Fault(fault)) => match fault {
                    Fault::Disconnect { how, .. } => return self.disconnect(&mut socket, how).await,
                    Fault::HalfOpen => {
                        self.link.half_open.store(true, Ordering::Release);
                        self.stop_reading();
                        return std::future::pending().await;
                    }
                    Fault::StopReading => self.stop_reading(),
                    Fault::Trickle { bytes_per_s } => trickle = Some(bytes_per_s),
                    Fault::PingFlood { count, payload_bytes } => {
                        let mut bytes = Vec::new();
                        (0..count).for_each(|_| ws::frame(&mut bytes, ws::PING, &vec![b'p'; payload_bytes]));
                        self.shared.state().truth.connection(self.number).pings += u64::from(count);
                        if let Err(reason) = self.put(&mut socket, &bytes, trickle).await {
                            return reason;
                        }
                    }
                    Fault::BadFrame { how } => {
                        if let Err(reason) = self.put(&mut socket, &ws::bad_frame(how), trickle).await {
                            return reason;
                        }
                    }
                    Fault::RawBytes { hex } => {
                        let bytes = crate::fault::decode_hex(&hex).unwrap_or_default();
                        if let Err(reason) = self.put(&mut socket, &bytes, trickle).await {
                            return reason;
                        }
                    }
                    Fault::Shutdown { after_s } => self.shut_down(Duration::from_secs_f64(after_s.max(0.0))),
                    Fault::Close { code, reason } => {
                        self.send(Item::Close { code, reason });
                    }
                    _ => {}
                },
            }
        }
    }

    /// From now on nothing is for this connection any more: no event, and no fault that another one should have.
    fn leave(&self) {
        self.shared.state().hub.remove(self.number);
    }

    fn stop_reading(&self) {
        self.link.reading.store(false, Ordering::Release);
        self.link.interrupt.notify_one();
    }

    async fn disconnect(&self, socket: &mut WriteHalf<Socket>, how: Ending) -> String {
        self.leave();
        match how {
            Ending::Reset => {
                self.handle.reset_on_close();
                "fault: reset".into()
            }
            Ending::Fin => {
                let _ = socket.shutdown().await;
                sleep(FAREWELL).await;
                "fault: fin".into()
            }
        }
    }

    fn record(&self, message: &Message, whole: bool) {
        let record = FrameRecord {
            conn: self.number,
            write_ns: wall_ns(),
            event: message.event,
            whole,
            payload: Arc::clone(&message.payload),
        };
        self.shared.state().truth.hand_over(record);
    }

    /// Stamps and records the messages, then writes them.
    async fn hand_over(
        &self,
        socket: &mut WriteHalf<Socket>,
        batch: Batch,
        trickle: Option<u32>,
    ) -> Result<(), String> {
        if batch.bytes.is_empty() {
            return Ok(());
        }
        let write_ns = wall_ns();
        let mut size = 0;
        {
            let mut state = self.shared.state();
            state.truth.connection(self.number).pings += batch.pings;
            for m in batch.messages {
                size += m.payload.len();
                let (conn, event, payload) = (self.number, m.event, m.payload);
                state.truth.hand_over(FrameRecord { conn, write_ns, event, whole: true, payload });
            }
        }
        let written = self.put(socket, &batch.bytes, trickle).await;
        self.link.queued.fetch_sub(size, Ordering::Release);
        written
    }

    async fn put(&self, socket: &mut WriteHalf<Socket>, bytes: &[u8], trickle: Option<u32>) -> Result<(), String> {
        let write = async {
            match trickle {
                None => socket.write_all(bytes).await?,
                Some(rate) => {
                    for byte in bytes.chunks(1) {
                        socket.write_all(byte).await?;
                        socket.flush().await?;
                        sleep(Duration::from_secs(1) / rate).await;
                    }
                }
            }
            socket.flush().await
        };
        let finished = {
            tokio::pin!(write);
            tokio::select! {
                done = &mut write => return done.map_err(|e| format!("the client is gone: {}", e.kind())),
                () = self.link.overflow.notified() => {}
            }
            // A Close can only be read behind what has been begun.
            match self.session(|s| s.too_slow().map(|close| (close, s.last_words()))).flatten() {
                Some(end) => timeout(LAST_WRITE, write).await.is_ok_and(|done| done.is_ok()).then_some(end),
                None => None,
            }
        };
        self.leave();
        if let Some(((code, reason), words)) = finished {
            let mut bytes = Vec::new();
            words.iter().for_each(|text| ws::frame(&mut bytes, ws::TEXT, text.as_bytes()));
            ws::frame(&mut bytes, ws::CLOSE, &ws::close_payload(code, reason));
            let _ = socket.write_all(&bytes).await;
            let _ = socket.shutdown().await;
            sleep(FAREWELL).await;
            return Err(format!("too slow: closed with {code} {reason}"));
        }
        self.handle.reset_on_close();
        Err("too slow: more waits than send_queue_bytes".into())
    }
}

/// Frames that go out in one write.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    messages: Vec<Message>,
    pings: u64,
}

/// What cannot be gathered.
enum Special {
    Close(u16, String),
    Cut(Message, usize, Ending),
    End(&'static str),
    Fault(Fault),
    Load(Vec<crate::venue::LoadFrame>),
}

impl Batch {
    fn add(&mut self, item: Item) -> Option<Special> {
        match item {
            Item::Message(m) => {
                if let Some((at, how)) = m.cut {
                    return Some(Special::Cut(m, at, how));
                }
                match m.fragments {
                    Some((parts, pings)) => ws::fragments(&mut self.bytes, &m.payload, parts, pings),
                    None => ws::frame(&mut self.bytes, ws::TEXT, &m.payload),
                }
                self.messages.push(m);
            }
            Item::Ping(payload) => {
                ws::frame(&mut self.bytes, ws::PING, &payload);
                self.pings += 1;
            }
            Item::Pong(payload) => ws::frame(&mut self.bytes, ws::PONG, &payload),
            Item::Close { code, reason } => return Some(Special::Close(code, reason)),
            Item::Cut(why) => return Some(Special::End(why)),
            Item::Fault(fault) => return Some(Special::Fault(fault)),
            Item::Load(frames) => return Some(Special::Load(frames)),
        }
        None
    }
}

/// An error that does not say which request it is about.
fn take_the_name(reply: &mut Reply) {
    let Reply::Text(text) = reply else { return };
    let Ok(mut answer) = serde_json::from_str::<serde_json::Value>(text) else { return };
    if answer.get("error").is_some() || answer["event"] == "error" {
        answer.as_object_mut().and_then(|answer| answer.remove("id"));
        *text = answer.to_string();
    }
}
