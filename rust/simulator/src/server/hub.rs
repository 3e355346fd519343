//! Who hears an event, and in what state the faults leave it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, mpsc};

use crate::clock::{MarketTime, seconds};
use crate::event::{Event, EventKind};
use crate::fault::{Ending, Fault, Faults, FrameContext, Malformation, RECENT, Stage, malform, tamper};
use crate::truth::{Alteration, Truth};
use crate::venue::{LoadFrame, Reply, Session};

/// Something for a connection's writer.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// Not before.
    pub due: MarketTime,
    pub item: Item,
}

#[derive(Debug)]
pub(crate) enum Item {
    Message(Message),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close {
        code: u16,
        reason: String,
    },
    /// The end, without a Close frame.
    Cut(&'static str),
    /// A fault of the connection.
    Fault(Fault),
    /// Prepared frames begin, or are other ones now.
    Load(Vec<LoadFrame>),
}

/// A text frame.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub event: Option<u64>,
    pub payload: Arc<[u8]>,
    pub fragments: Option<(usize, bool)>,
    pub cut: Option<(usize, Ending)>,
}

impl Message {
    pub(crate) fn plain(event: Option<u64>, payload: Arc<[u8]>) -> Self {
        Self { event, payload, fragments: None, cut: None }
    }
}

/// What the tasks of one connection tell each other.
pub(crate) struct Link {
    /// Bytes that wait for the writer.
    pub queued: AtomicUsize,
    pub limit: usize,
    /// The reader must look up: stop reading, or end.
    pub interrupt: Notify,
    pub reading: AtomicBool,
    pub half_open: AtomicBool,
    /// The client is too slow.
    pub overflow: Notify,
    /// The keeper must look again: its session may have something to say at another time.
    pub attention: Notify,
    /// Payloads of pings that no pong has answered, and the number of pings that one has.
    pings: Mutex<VecDeque<Vec<u8>>>,
    pub answered: AtomicU64,
    pub ended: AtomicBool,
}

impl Link {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            queued: AtomicUsize::new(0),
            limit,
            interrupt: Notify::new(),
            reading: AtomicBool::new(true),
            half_open: AtomicBool::new(false),
            overflow: Notify::new(),
            attention: Notify::new(),
            pings: Mutex::default(),
            answered: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        }
    }

    pub(crate) fn pinged(&self, payload: Vec<u8>) {
        let mut pings = self.pings.lock().unwrap_or_else(PoisonError::into_inner);
        if pings.len() == RECENT {
            pings.pop_front();
        }
        pings.push_back(payload);
    }

    /// Only a pong with the payload of a ping answers it, and those before it.
    pub(crate) fn ponged(&self, payload: &[u8]) {
        let mut pings = self.pings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(i) = pings.iter().position(|p| p == payload) {
            pings.drain(..=i);
            self.answered.fetch_add(1, Ordering::Release);
            self.attention.notify_one();
        }
    }
}

/// All open WebSocket connections.
#[derive(Default)]
pub(crate) struct Hub {
    connections: BTreeMap<u64, Connection>,
    /// The last events of each stream, to be repeated.
    recent: HashMap<(Arc<str>, usize), VecDeque<Arc<Event>>>,
}

/// The addresses of a connection: whose it is, and where it arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub client: IpAddr,
    pub server: IpAddr,
}

pub(crate) struct Connection {
    pub session: Box<dyn Session>,
    out: mpsc::UnboundedSender<Outgoing>,
    pub link: Arc<Link>,
    ends: Ends,
    /// It has been told to go, for another one of the same client.
    displaced: bool,
    /// Nothing leaves before what is already under way.
    last_due: MarketTime,
    /// Frames that let the next one of their stream pass.
    held: Vec<(Arc<str>, Message)>,
}

impl Connection {
    pub(crate) fn send(&mut self, item: Item, due: MarketTime) {
        if self.link.half_open.load(Ordering::Relaxed) {
            return;
        }
        self.last_due = self.last_due.max(due);
        let size = match &item {
            Item::Message(m) => m.payload.len(),
            _ => 0,
        };
        let queued = self.link.queued.fetch_add(size, Ordering::Relaxed) + size;
        if queued > self.link.limit {
            // Its writer cuts it as soon as it looks; until then nothing more is kept for it.
            self.link.overflow.notify_one();
            self.link.queued.fetch_sub(size, Ordering::Relaxed);
            return;
        }
        // A writer that has ended needs nothing any more.
        let _ = self.out.send(Outgoing { due: self.last_due, item });
    }
}

impl Hub {
    pub(crate) fn add(
        &mut self,
        number: u64,
        session: Box<dyn Session>,
        out: mpsc::UnboundedSender<Outgoing>,
        link: Arc<Link>,
        ends: Ends,
    ) {
        let c = Connection { session, out, link, ends, displaced: false, last_due: 0, held: Vec::new() };
        self.connections.insert(number, c);
    }

    pub(crate) fn remove(&mut self, number: u64) {
        self.connections.remove(&number);
    }

    /// Connections of a client, the oldest first.
    fn of(&self, client: IpAddr) -> impl Iterator<Item = u64> {
        self.connections.iter().filter(move |(_, c)| c.ends.client == client && !c.displaced).map(|(n, _)| *n)
    }

    /// True where a client may have one more connection; 0 is without limit.
    pub(crate) fn has_room(&self, client: IpAddr, most: usize) -> bool {
        most == 0 || self.of(client).count() < most
    }

    /// Ends the oldest connections of a client until there is room for one more.
    pub(crate) fn make_room(&mut self, client: IpAddr, most: usize, now: MarketTime) {
        while !self.has_room(client, most) {
            let Some(number) = self.of(client).next() else { return };
            let Some(c) = self.connections.get_mut(&number) else { return };
            c.displaced = true;
            let item = match c.session.displaced() {
                Reply::Text(text) => Item::Message(Message::plain(None, text.into_bytes().into())),
                Reply::Close { code, reason } => Item::Close { code, reason: reason.into() },
                Reply::Cut(why) => Item::Cut(why),
                Reply::Present(_) => return,
            };
            c.send(item, now);
        }
    }

    /// What has happened may concern what sessions do by themselves: their keepers look again.
    pub(crate) fn attend(&self) {
        self.connections.values().for_each(|c| c.link.attention.notify_one());
    }

    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.connections.keys().copied().collect()
    }

    pub(crate) fn get(&mut self, number: u64) -> Option<&mut Connection> {
        self.connections.get_mut(&number)
    }

    /// True when nothing waits for any writer; what a half-open connection was meant to get never comes.
    pub(crate) fn drained(&self) -> bool {
        let idle = |c: &Connection| c.held.is_empty() && c.link.queued.load(Ordering::Acquire) == 0;
        self.connections.values().all(|c| idle(c) || c.link.half_open.load(Ordering::Acquire))
    }

    /// The market rests: what was to come after the next frame of its stream need not wait for it.
    pub(crate) fn release(&mut self, now: MarketTime) {
        for c in self.connections.values_mut() {
            for (_, late) in std::mem::take(&mut c.held) {
                c.send(Item::Message(late), now);
            }
        }
    }

    /// Connection faults that only waited for their time.
    pub(crate) fn strike_due(&mut self, number: u64, faults: &mut Faults, now: MarketTime) {
        let Some(c) = self.connections.get_mut(&number) else { return };
        let context = FrameContext {
            connection: Some(number),
            address: Some(c.ends.server),
            family: c.session.family(),
            ..FrameContext::default()
        };
        for (_, fault) in faults.due(&context, now) {
            c.send(Item::Fault(fault), now);
        }
    }

    /// Gives an event to everybody who subscribed to it.
    pub(crate) fn publish(&mut self, event: Event, faults: &mut Faults, truth: &mut Truth, now: MarketTime) {
        let event = Arc::new(event);
        truth.issue(&event);
        let recent = self.recent.entry((Arc::clone(&event.stream), event.phase)).or_default();
        for (number, c) in &mut self.connections {
            if let Some(text) = c.session.deliver(&event, now) {
                deliver(*number, c, &event, &text, recent, faults, truth, now);
            }
        }
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back(event);
    }
}

impl Hub {
    /// Gives an event to the one connection it was made for.
    pub(crate) fn tell(
        &mut self,
        connection: u64,
        event: Event,
        faults: &mut Faults,
        truth: &mut Truth,
        now: MarketTime,
    ) {
        let event = Arc::new(Event { conn: Some(connection), ..event });
        truth.issue(&event);
        let Some(c) = self.connections.get_mut(&connection) else { return };
        if let Some(text) = c.session.deliver(&event, now) {
            let recent = self.recent.entry((Arc::clone(&event.stream), event.phase)).or_default();
            deliver(connection, c, &event, &text, recent, faults, truth, now);
        }
    }
}

impl Hub {
    /// The trade streams of a connection that have told anything so far.
    pub(crate) fn trade_streams(&mut self, connection: u64, now: MarketTime) -> BTreeSet<Arc<str>> {
        let Some(c) = self.connections.get_mut(&connection) else { return BTreeSet::new() };
        let trades = |e: &&Arc<Event>| matches!(e.kind, EventKind::AggTrade | EventKind::Trade);
        let last = self.recent.values().filter_map(VecDeque::back).filter(trades);
        last.filter_map(|e| c.session.deliver(e, now).map(|_| Arc::clone(&e.stream))).collect()
    }

    /// A connection has just subscribed to a stream of trades: where a fault wants it, it hears the latest ones again.
    pub(crate) fn replay(
        &mut self,
        connection: u64,
        stream: &Arc<str>,
        faults: &mut Faults,
        truth: &mut Truth,
        now: MarketTime,
    ) {
        let Some(c) = self.connections.get_mut(&connection) else { return };
        let mine = self.recent.iter().filter(|((name, _), _)| name == stream).map(|(_, events)| events);
        let mine = mine.filter(|events| events.back().is_some_and(|e| c.session.deliver(e, now).is_some()));
        let Some(recent) = mine.max_by_key(|events| events.back().map(|e| e.seq)) else { return };
        let Some(last) = recent.back() else { return };
        let context = FrameContext {
            connection: Some(connection),
            address: Some(c.ends.server),
            family: c.session.family(),
            symbol: &last.symbol,
            stream,
            path: "",
        };
        for (_, fault) in faults.strike(Stage::Subscription, &context, now) {
            let Fault::ReplayRecent { count } = fault else { continue };
            for event in recent.iter().skip(recent.len().saturating_sub(count)) {
                if let Some(text) = c.session.deliver(event, now) {
                    deliver(connection, c, event, &text, recent, faults, truth, now);
                }
            }
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "one event on its way through one connection's faults")]
fn deliver(
    number: u64,
    c: &mut Connection,
    event: &Event,
    text: &Arc<str>,
    recent: &VecDeque<Arc<Event>>,
    faults: &mut Faults,
    truth: &mut Truth,
    now: MarketTime,
) {
    let context = FrameContext {
        connection: Some(number),
        address: Some(c.ends.server),
        family: c.session.family(),
        symbol: &event.symbol,
        stream: &event.stream,
        path: "",
    };
    for (_, fault) in faults.strike(Stage::Connection, &context, now) {
        c.send(Item::Fault(fault), now);
    }
    let mut message = Some(Message::plain(Some(event.seq), Arc::from(Arc::clone(text))));
    let mut before: Vec<Message> = Vec::new();
    let (mut copies, mut swap, mut due) = (1, false, now);
    for (plan, fault) in faults.strike(Stage::Frame, &context, now) {
        let mut lost = false;
        match &fault {
            Fault::Drop | Fault::Silence => (message, lost) = (None, true),
            Fault::Duplicate => copies += 1,
            Fault::Delay { seconds: s, .. } => due = due.saturating_add(seconds(*s)),
            Fault::Swap => swap = true,
            Fault::Stale { back } => {
                let old = recent.len().checked_sub(back + 1).and_then(|i| recent.get(i));
                let old = old.and_then(|e| Some((e.seq, c.session.deliver(e, now)?)));
                before.extend(old.map(|(seq, text)| Message::plain(Some(seq), Arc::from(text))));
            }
            Fault::Malformed { how, before: first } => {
                let bytes: Arc<[u8]> = malform(text, how).into();
                if *first {
                    before.push(Message::plain(None, bytes));
                } else if let Some(m) = &mut message {
                    lost = !matches!(how, Malformation::Padded { .. });
                    m.event = m.event.filter(|_| !lost);
                    m.payload = bytes;
                }
            }
            Fault::Tamper { what } => {
                let Some(other) = tamper(text, *what) else { continue };
                message.iter_mut().for_each(|m| m.payload = other.as_bytes().into());
            }
            Fault::Fragment { parts, pings } => {
                message.iter_mut().for_each(|m| m.fragments = Some((*parts, *pings)));
            }
            Fault::Disconnect { how, at_byte: Some(at) } => {
                lost = true;
                message.iter_mut().for_each(|m| m.cut = Some((*at, *how)));
            }
            _ => {}
        }
        truth.alter(Alteration {
            conn: number,
            event: event.seq,
            stream: event.stream.to_string(),
            plan,
            fault: fault.name(),
            lost,
        });
    }
    for m in before {
        c.send(Item::Message(m), due);
    }
    let Some(message) = message else { return };
    if swap {
        c.held.push((Arc::clone(&event.stream), message));
        return;
    }
    for _ in 0..copies {
        c.send(Item::Message(message.clone()), due);
    }
    while let Some(i) = c.held.iter().position(|(stream, _)| *stream == event.stream) {
        let (_, late) = c.held.remove(i);
        c.send(Item::Message(late), due);
    }
}
