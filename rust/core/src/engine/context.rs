//! What every machine of the engine writes to: rows, actions, timers, counters. One input at a time.

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::input::{Action, RequestId};
use super::jitter::Jitter;
use super::ledger::Ledger;
use super::polls::Polls;
use super::recovery::Recovery;
use super::timers::{Timer, Timers};
use super::verify::Conflict;
use crate::batch::{Batches, RowKey, SymbolId};
use crate::config::{ConfigError, Endpoints, EngineConfig, Stream};
use crate::event::{DecodedLevels, EventTimes, StateRows, TradeRows};
use crate::exchange::RestRequest;
use crate::instrument::Conversion;
use crate::report::Counters;
use crate::symbol::{ConnId, Exchange, InstrumentId};
use crate::table::flags;
use crate::time::{NS_PER_MS, Stamp};

/// 2009-01-03, when the first of all blocks was made: no event of a crypto exchange is older.
const EARLIEST_EVENT: i64 = 1_230_940_800 * 1_000_000_000;

/// Warnings that may wait for the owner.
const MOST_WARNINGS: usize = 64;

/// The input being taken.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Now {
    /// Its number.
    pub msg_id: i64,
    /// Rows it has emitted, plus one for the input's own row in `raw`, wanted or not: numbers must not depend on the
    /// choice of tables.
    pub row: i32,
    /// When the shell took it.
    pub at: Stamp,
    /// Monotonic time at which it came, as the shell gave it: with the kernel's stamps what is read later may have come
    /// earlier, while [`Self::at`] never falls.
    pub came: u64,
}

/// Where and when a row's content came from: the frame or reply, also of an event held since.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Origin {
    /// Receive time, clamped per connection.
    pub ts_recv: i64,
    /// [`flags::RECV_SUSPECT`] where it had to be clamped or was not recorded.
    pub suspect: u8,
    /// The connection.
    pub conn: ConnId,
}

/// Whose rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject {
    pub id: InstrumentId,
    pub exchange: Exchange,
    pub symbol: SymbolId,
    /// How its sizes become base units.
    pub conversion: Conversion,
    /// It is traded by its legs: what the reference data say, else what the name tells.
    pub is_combo: bool,
}

impl Subject {
    /// Rows of no instrument that is followed.
    pub(super) fn unfollowed(exchange: Exchange, symbol: SymbolId) -> Self {
        Self { id: InstrumentId::NONE, exchange, symbol, conversion: Conversion::None, is_combo: false }
    }
}

/// A state that repeats what one stream of an instrument has had.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownState {
    pub id: InstrumentId,
    pub stream: Stream,
    pub feed: u8,
    pub time: i64,
}

/// Why a REST request was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Snapshot(InstrumentId),
    Reference,
    Probe(InstrumentId, Stream),
    Trades,
    /// `None` where a recording does not say whose state was asked for.
    Poll(Option<InstrumentId>),
}

/// See the module.
pub(super) struct Context {
    pub config: EngineConfig,
    /// False in a foreign recording: peers are not judged and nothing is expected of them.
    pub live: bool,
    /// The connections that are up. A foreign recording does not tell what each of them carries.
    pub up: Vec<ConnId>,
    pub now: Now,
    /// The last receive time known: inputs whose time was not recorded take it.
    pub last_wall: Option<i64>,
    pub batches: Batches,
    pub actions: VecDeque<Action>,
    pub timers: Timers,
    pub jitter: Jitter,
    /// Requests that may leave now, where connections share them, and since when the next one is being earned.
    pub tokens: (u64, u64),
    pub counters: Counters,
    /// What each connection is worth.
    pub ledger: Ledger,
    pub requests: HashMap<RequestId, Purpose>,
    pub endpoints: Endpoints,
    /// Where the message being taken is decoded to.
    pub levels: DecodedLevels,
    /// As above, of trades.
    pub trades: TradeRows,
    /// As above, of states.
    pub states: StateRows,
    /// Room for what a frame of states repeats.
    pub known_states: Vec<KnownState>,
    /// Books that need a snapshot from their own stream: asked for when the input has been taken.
    pub resubscribe: Vec<InstrumentId>,
    /// A book has crossed: its market may be in an auction or halted by now, which the reference data tell.
    pub recheck_reference: bool,
    /// A sample of the best levels is due, since a book has changed.
    pub top_armed: bool,
    /// Why the engine cannot go on.
    pub fault: Option<ConfigError>,
    /// What the owner should know, the oldest first.
    pub warnings: VecDeque<String>,
    /// The empty text, for rows of no instrument.
    pub no_symbol: SymbolId,
    pub recovery: Recovery,
    pub polls: Polls,
    /// The latest conflicts, the oldest first.
    pub conflicts: VecDeque<Conflict>,
    /// The number of the newest gap.
    pub last_gap: i64,
    /// The streams that were asked for, a bit for each.
    wanted: u8,
    /// Those that are taken for them.
    taken: u8,
    /// Ids that all memories of [`super::copies`] have room for.
    pub dedup_room: usize,
    next_request: u64,
}

impl Context {
    pub(super) fn new(config: EngineConfig, live: bool, endpoints: Endpoints, mut batches: Batches) -> Self {
        let no_symbol = batches.intern("");
        let jitter = Jitter::new(config.seed);
        let ledger = Ledger::new(&config);
        let bit = |stream: Stream| 1 << stream as u8;
        let wanted = config.streams.iter().fold(0, |bits, stream| bits | bit(*stream));
        let taken_for = [(Stream::L2Top, Stream::L2), (Stream::Liquidations, Stream::Trades)];
        let taken = taken_for.into_iter().filter(|(of, _)| wanted & bit(*of) != 0);
        let taken = taken.fold(wanted, |bits, (_, stream)| bits | bit(stream));
        Self {
            config,
            live,
            up: Vec::new(),
            now: Now::default(),
            last_wall: None,
            batches,
            actions: VecDeque::with_capacity(64),
            timers: Timers::default(),
            jitter,
            // As many as there may be.
            tokens: (u64::MAX, 0),
            counters: Counters::default(),
            ledger,
            requests: HashMap::new(),
            endpoints,
            levels: DecodedLevels::default(),
            trades: TradeRows::default(),
            states: StateRows::default(),
            known_states: Vec::new(),
            resubscribe: Vec::new(),
            recheck_reference: false,
            top_armed: false,
            fault: None,
            warnings: VecDeque::new(),
            no_symbol,
            recovery: Recovery::default(),
            polls: Polls::default(),
            conflicts: VecDeque::new(),
            last_gap: 0,
            wanted,
            taken,
            dedup_room: 0,
            next_request: 0,
        }
    }

    /// Numbers the input and dates it, before anything comes of it. `event` is when its event happened, as far as its head
    /// says. Yields the wall time, and whether it may be trusted.
    #[inline(always)]
    pub(super) fn take_in(&mut self, recorded: Option<i64>, mono: u64, event: Option<i64>) -> (i64, u8) {
        let (wall, suspect) = match (recorded, self.last_wall) {
            (Some(wall), _) => (wall, 0),
            (None, Some(last)) => (last, flags::RECV_SUSPECT),
            (None, None) => (event.unwrap_or(0), flags::RECV_SUSPECT),
        };
        if wall != 0 || suspect == 0 {
            self.last_wall = Some(wall);
        }
        let at = Stamp { wall, mono: mono.max(self.now.at.mono) };
        self.now = Now { msg_id: self.now.msg_id + 1, row: 1, at, came: mono };
        (wall, suspect)
    }

    /// The stream was asked for.
    #[inline]
    pub(super) fn wants(&self, stream: Stream) -> bool {
        self.wanted >> stream as u8 & 1 == 1
    }

    /// The stream was asked for, or what is made of it: best levels of books, liquidations of trades.
    #[inline]
    pub(super) fn takes(&self, stream: Stream) -> bool {
        self.taken >> stream as u8 & 1 == 1
    }

    /// The key of the next row, which takes `width` row numbers.
    #[inline]
    pub(super) fn key(
        &mut self,
        subject: Subject,
        origin: Origin,
        times: EventTimes,
        mut flags: u8,
        width: usize,
    ) -> RowKey {
        let row = self.now.row;
        self.now.row = row.saturating_add(i32::try_from(width.max(1)).unwrap_or(i32::MAX));
        flags |= origin.suspect;
        // Before anything was traded anywhere: a clock or a unit is wrong.
        let event = times.event.filter(|event| *event > 0);
        let impossible = times.event.is_some_and(|event| event < EARLIEST_EVENT || origin.ts_recv < event);
        if times.odd || impossible {
            flags |= flags::RECV_SUSPECT;
        }
        RowKey {
            ts_event: event,
            ts_venue: times.venue.filter(|venue| *venue > 0),
            ts_recv: origin.ts_recv,
            exchange: subject.exchange.into(),
            symbol: subject.symbol,
            shard: self.config.shard,
            msg_id: self.now.msg_id,
            row,
            conn: origin.conn,
            flags,
        }
    }

    /// Of what gaps among trades are: these may be taken for their liquidations alone.
    pub(super) fn stream_of_trades(&self) -> Stream {
        if self.wants(Stream::Trades) { Stream::Trades } else { Stream::Liquidations }
    }

    /// The number of a new gap.
    pub(super) fn gap_id(&mut self) -> i64 {
        self.last_gap += 1;
        self.last_gap
    }

    /// Asks the shell for a REST reply.
    pub(super) fn request(&mut self, purpose: Purpose, rest: RestRequest) -> RequestId {
        self.next_request += 1;
        let request = RequestId(self.next_request);
        self.requests.insert(request, purpose);
        self.actions.push_back(Action::Http { request, url: rest.url, weight: rest.weight });
        request
    }

    /// Tells the owner what the exchange refuses. Nobody may be listening.
    pub(super) fn warn(&mut self, what: String) {
        if self.warnings.len() < MOST_WARNINGS {
            self.warnings.push_back(format!("{} refuses {what}; everything else goes on", self.config.venue.id()));
        }
    }

    /// Arms a timer `ms` milliseconds from now.
    pub(super) fn arm_in_ms(&mut self, ms: u64, timer: Timer) {
        self.timers.arm(self.now.at.mono.saturating_add(ms.saturating_mul(NS_PER_MS.unsigned_abs())), timer);
    }

    /// A book has changed: its best levels will be sampled. Armed by the change, so that still books cost nothing.
    pub(super) fn arm_top(&mut self) {
        if !self.top_armed && self.wants(Stream::L2Top) {
            self.top_armed = true;
            self.arm_in_ms(self.config.l2_top.interval_ms, Timer::Top);
        }
    }

    /// A full-jitter delay in milliseconds for the n-th attempt, not below `floor`.
    pub(super) fn backoff_ms(&mut self, attempt: u32, floor: u64) -> u64 {
        let deadlines = self.config.deadlines;
        self.jitter.backoff(deadlines.backoff_base_ms, deadlines.backoff_cap_ms, attempt).max(floor)
    }
}
