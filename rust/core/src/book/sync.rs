//! When is a book the exchange's book? One machine for every exchange whose books are diffs that chain by id.
//!
//! Freshness is judged on the merged book, loss on each connection's own chain. The machine sees keys, never bodies:
//! it decides before anything is decoded. It holds no levels and owns no clock; the engine carries out its verdicts.

use std::cmp::Ordering;

use crate::arbiter::Seats;
use crate::exchange::{Key, SnapshotSource};
use crate::symbol::ConnId;
use crate::time::{CLEARLY_LATER, NS_PER_S, is_later};

/// Where the exchanges' manuals differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncRules {
    /// Where its snapshots come from.
    pub snapshot: SnapshotSource,
    /// Ids may fall while the chain is intact, by the exchange's own rule (OKX §4 step 4): then only the chain counts,
    /// never the size of an id.
    pub ids_may_fall: bool,
    /// The first event after a snapshot may end at the snapshot's own id and is applied all the same, since the
    /// snapshot is cut at a number of levels (Binance USDⓈ-M §4 steps 3–4: drop `u < lastUpdateId`, take
    /// `U <= lastUpdateId <= u`). Where false, `u <= id` is stale (Binance spot).
    pub first_may_end_at_snapshot: bool,
}

/// What lies below the book, and was made later than the book by more, is nothing that the book has: ids fell. A
/// connection that lags, by however long, brings below the book only what was made before it. In nanoseconds of the
/// exchange's time; the clocks of its gateways, and ours where it does not date its snapshots, are wrong by less.
pub const OVERDUE: i64 = 3 * NS_PER_S;

/// State of one book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncState {
    /// No snapshot yet; events are held.
    AwaitingSnapshot,
    /// The book is the exchange's book at its id.
    Live,
    /// A hole that another connection may still fill; early events are held.
    Holding,
    /// The book was live and is broken; events are held until the next snapshot.
    Resyncing,
}

impl SyncState {
    /// The state's name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AwaitingSnapshot => "awaiting_snapshot",
            Self::Live => "live",
            Self::Holding => "holding",
            Self::Resyncing => "resyncing",
        }
    }
}

/// What to do with a diff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Decode and apply it.
    Apply,
    /// The book has it already.
    Duplicate,
    /// It lies before the snapshot.
    Stale,
    /// Decode and keep it: there is no snapshot yet, or another connection may fill the hole before it.
    Hold,
    /// Something before it is missing and nobody can bring it: the book is no longer true.
    Gap,
    /// There is no snapshot yet, and the one to come will not need it.
    BeforeSnapshot,
}

/// What to do with a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotVerdict {
    /// Replace the book by it.
    Take,
    /// The book is live: it needs none.
    WhileLive,
    /// The live book is there already, or further.
    Known,
    /// The book has a hole that nobody has filled, and here is the book behind it.
    Bridges,
    /// It lies before everything held: fetch another.
    TooOld,
}

/// Where a chain is: ids rise within an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    epoch: i64,
    id: i64,
}

/// A diff and its place in the chain of its connection, as it was when it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its ids. What it follows is filled in where it does not say so itself.
    pub key: Key,
    conn: ConnId,
    event: Option<i64>,
    prev: Position,
    last: Position,
    /// Its connection counts the epochs as the book does. Else they are told by its time, each time anew.
    is_sure: bool,
    /// How often ids have fallen on its connection is known behind it.
    is_counted: bool,
    /// Its ids are ids, not times.
    linked: bool,
    /// Its time, where sizes of ids tell no order.
    clock: Option<i64>,
}

impl Placed {
    /// In the order of the exchange, by what they follow: where the first cannot be applied, none of the others can,
    /// however the connections cut. Where ids fall, by their time: on which side of a fall they lie was but a guess.
    #[must_use]
    pub fn order(&self) -> impl Ord + use<> {
        (self.clock, self.prev, self.last)
    }

    /// The connection that brought it.
    #[must_use]
    pub fn conn(&self) -> ConnId {
        self.conn
    }

    /// The same diff, on whichever connection.
    #[must_use]
    pub fn is_copy_of(&self, other: &Self) -> bool {
        self.key == other.key && (self.last == other.last || self.clock.is_some() && self.clock == other.clock)
    }

    /// It follows itself: a proof of life, where it brings no levels (OKX §4 step 3).
    #[must_use]
    pub fn is_keep_alive(&self) -> bool {
        self.linked && self.key.prev == self.key.last
    }

    /// The exchange's own sign of a new epoch.
    fn fell(&self) -> bool {
        self.last.epoch > self.prev.epoch
    }
}

/// How far a connection has delivered, fresh or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chain {
    conn: ConnId,
    id: i64,
    /// `None` where ids may have fallen unseen: on joining, after a loss, and while another connection's snapshot
    /// replaced the book.
    epoch: Option<i64>,
    /// When its last message was made.
    event: Option<i64>,
}

impl Chain {
    /// It goes on with a lower id, while its time goes on.
    fn falls_to(&self, id: i64, event: Option<i64>) -> bool {
        id < self.id && is_later(event, self.event, 0)
    }
}

/// Where ids fell last, without the exchange's word.
#[derive(Clone, Copy, Debug)]
struct Fall {
    /// From which id.
    from: i64,
    /// Event time of what showed it.
    event: Option<i64>,
}

/// The sync machine of one book.
#[derive(Clone, Debug)]
pub struct BookSync {
    rules: SyncRules,
    state: SyncState,
    /// Where the book is: at the snapshot, then at the last applied diff.
    at: Position,
    /// The connection that brought it there.
    led_by: Option<ConnId>,
    /// A diff has been applied since the snapshot, or needs no bridge to it.
    bridged: bool,
    /// When what the book took last was made: ids that fall while time goes on are a new epoch.
    last_event: Option<i64>,
    /// Each connection's own chain.
    chains: Vec<Chain>,
    seats: Seats,
    fall: Option<Fall>,
}

impl BookSync {
    /// A book that has seen nothing.
    #[must_use]
    pub fn new(rules: SyncRules) -> Self {
        Self {
            rules,
            state: SyncState::AwaitingSnapshot,
            at: Position::default(),
            led_by: None,
            bridged: false,
            last_event: None,
            chains: Vec::with_capacity(4),
            seats: Seats::default(),
            fall: None,
        }
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> SyncState {
        self.state
    }

    /// The book's id, where it has one.
    #[must_use]
    pub fn id(&self) -> Option<i64> {
        match self.state {
            SyncState::Live | SyncState::Holding => Some(self.at.id),
            SyncState::AwaitingSnapshot | SyncState::Resyncing => None,
        }
    }

    /// True once the book has been live, also if it is broken now.
    #[must_use]
    pub fn has_been_live(&self) -> bool {
        self.state != SyncState::AwaitingSnapshot
    }

    /// The rules it keeps.
    #[must_use]
    pub fn rules(&self) -> SyncRules {
        self.rules
    }

    /// Finds a diff's place before it is judged. What it follows the connection's last message tells where it does not
    /// say so itself; `None` where neither does.
    #[must_use]
    pub fn place(&self, key: Key, event: Option<i64>, conn: ConnId) -> Option<Placed> {
        let chain = self.chain_of(conn);
        let linked = key.is_linked();
        let prev = if linked { key.prev } else { chain?.id };
        let fell = i64::from(self.rules.ids_may_fall && linked && key.last < prev);
        let counted = match chain.and_then(|chain| chain.epoch.filter(|_| chain.id == prev)) {
            _ if !linked => Some(self.at.epoch),
            _ if !self.rules.ids_may_fall => Some(self.epoch_of(key.last, event, conn)),
            counted => counted,
        };
        let is_sure = counted.is_some() || key.last == self.at.id && event == self.last_event;
        let is_at_the_book = [key.prev, key.last].contains(&self.at.id);
        let epoch = counted.unwrap_or_else(|| self.epoch_by_time(key.last, event) - fell);
        Some(Placed {
            is_sure,
            is_counted: if self.rules.ids_may_fall {
                is_sure
            } else {
                is_at_the_book || chain.is_some_and(|chain| chain.epoch.is_some() || key.last < chain.id)
            },
            key: Key { prev, ..key },
            conn,
            event,
            prev: Position { epoch, id: prev },
            last: Position { epoch: epoch + fell, id: key.last },
            linked,
            clock: event.filter(|_| self.rules.ids_may_fall && linked),
        })
    }

    /// Takes a diff that repeats what the book has, of a connection whose own chain is whole and lies behind the book:
    /// the most frequent kind. Yields what it follows, where it is one; it comes to the same as finding its place, judging
    /// it a [`Verdict::Duplicate`] and noting it.
    #[inline]
    pub fn take_repeated(&mut self, key: Key, event: Option<i64>, conn: ConnId) -> Option<i64> {
        let is_live = matches!(self.state, SyncState::Live | SyncState::Holding) && self.bridged;
        let is_linked = key.is_linked();
        let leads = || self.led_by == Some(conn);
        let is_behind = if is_linked {
            key.last <= self.at.id && key.prev != self.at.id
        } else {
            key.last < self.at.id || key.last == self.at.id && !leads()
        };
        if !(is_live && is_behind) {
            return None;
        }
        let is_shared = self.chains.len() > 1;
        let (at, may_fall) = (self.at, self.rules.ids_may_fall);
        let place = self.seats.find(&self.chains, conn, |chain| chain.conn);
        let chain = self.chains.get(place?)?;
        let follows = if !is_linked {
            true
        } else if may_fall {
            is_shared && chain.id == key.prev && key.prev <= key.last
        } else {
            chain.id <= key.last
        };
        if !follows || chain.epoch != Some(at.epoch) {
            return None;
        }
        let prev = if is_linked { key.prev } else { chain.id };
        let noted = Chain { id: key.last, event, ..*chain };
        debug_assert_eq!(self.slowly(key, event, conn), Some((false, Verdict::Duplicate, noted)));
        self.set_chain(noted);
        Some(prev)
    }

    /// What [`Self::take_repeated`] takes at once, step by step.
    fn slowly(&self, key: Key, event: Option<i64>, conn: ConnId) -> Option<(bool, Verdict, Chain)> {
        let diff = self.place(key, event, conn)?;
        Some((self.is_reset(&diff), self.judge(&diff), self.chain_after(&diff)))
    }

    /// In which epoch an id lies, where the exchange does not say that ids fall. A connection whose own ids fall while its
    /// time goes on has come to the next one. So has, though it is below the book, what was made long behind it: of whoever
    /// has just joined, and of all while nothing has followed a snapshot.
    fn epoch_of(&self, id: i64, event: Option<i64>, conn: ConnId) -> i64 {
        let is_overdue = id < self.at.id && is_later(event, self.last_event, OVERDUE);
        if is_overdue && !self.bridged {
            return self.at.epoch + 1;
        }
        let own = self.chain_of(conn);
        let fell = own.filter(|own| own.falls_to(id, event));
        let before = own.and_then(|own| own.epoch);
        let before = before.or_else(|| fell.map(|own| self.likely_epoch_of(own.id, own.event)));
        if let Some(before) = before {
            let has_followed = fell.is_some_and(|own| own.epoch.is_none() && self.is_nearer(id, own.id));
            let epoch = if has_followed { self.at.epoch } else { before + i64::from(fell.is_some()) };
            if epoch >= self.at.epoch || !self.is_behind_the_fall(event) {
                return epoch;
            }
        }
        if is_overdue { self.at.epoch + 1 } else { self.likely_epoch_of(id, event) }
    }

    /// An id is nearer to the book than another one.
    fn is_nearer(&self, id: i64, other: i64) -> bool {
        id.abs_diff(self.at.id) < other.abs_diff(self.at.id)
    }

    /// The book's, unless ids have just fallen and this one goes on from where they were before.
    fn likely_epoch_of(&self, id: i64, event: Option<i64>) -> i64 {
        let goes_on_from = |fall: Fall| id.abs_diff(fall.from) < id.abs_diff(self.at.id);
        let is_before = self.fall.is_some_and(goes_on_from) && !self.is_behind_the_fall(event);
        self.at.epoch - i64::from(is_before)
    }

    /// It was made later than what showed that ids had fallen.
    fn is_behind_the_fall(&self, event: Option<i64>) -> bool {
        let then = self.fall.and_then(|fall| fall.event);
        is_later(event, then, CLEARLY_LATER)
    }

    /// A connection that joined, or that left something out, does not know how often ids have fallen: the exchange's
    /// time tells on which side of the book its diff lies.
    fn epoch_by_time(&self, last: i64, event: Option<i64>) -> i64 {
        match (event, self.last_event) {
            (Some(now), Some(then)) if now > then && last < self.at.id => self.at.epoch + 1,
            (Some(now), Some(then)) if now < then && last > self.at.id => self.at.epoch - 1,
            _ => self.at.epoch,
        }
    }

    /// Judges a diff, before [`Self::note`] is told of it.
    #[must_use]
    pub fn judge(&self, diff: &Placed) -> Verdict {
        if self.is_of_before(diff) {
            return Verdict::Duplicate;
        }
        match (self.state, self.rules.snapshot) {
            (SyncState::AwaitingSnapshot | SyncState::Resyncing, SnapshotSource::Rest) => return Verdict::Hold,
            (SyncState::AwaitingSnapshot | SyncState::Resyncing, SnapshotSource::Channel) => {
                return Verdict::BeforeSnapshot;
            }
            (SyncState::Live | SyncState::Holding, _) => {}
        }
        let early = || if self.may_heal(diff.conn) { Verdict::Hold } else { Verdict::Gap };
        if !self.bridged {
            return if self.is_stale(diff.key, self.at.id) {
                Verdict::Stale
            } else if Self::bridges(diff.key, self.at.id) {
                Verdict::Apply
            } else {
                early()
            };
        }
        if !diff.linked {
            return self.judge_unlinked(diff);
        }
        let own = self.chain_of(diff.conn).is_some_and(|c| c.id == self.at.id && c.epoch == Some(self.at.epoch));
        if diff.prev == self.at {
            return Verdict::Apply;
        }
        if self.rules.ids_may_fall && (own || !self.is_shared(diff.conn)) {
            return self.judge_by_chain(diff, early);
        }
        if !diff.is_sure
            && let Some(by_time) = self.judge_by_time(diff, early)
        {
            return by_time;
        }
        if diff.last <= self.at {
            Verdict::Duplicate
        } else if diff.prev > self.at || !diff.is_sure {
            early()
        } else if own {
            // The connection that brought the book's last diff now contradicts itself (`pu == last u`,
            // `U == last u + 1`, `prev_change_id == last change_id`).
            Verdict::Gap
        } else {
            // Another partition of the same chain that overlaps the present: rows are absolute as of `last`.
            Verdict::Apply
        }
    }

    /// Sizes of ids say nothing of a diff whose connection brought the book where it is, or is the only one left: it
    /// follows, it repeats the last one, or something is missing. What is left over of before the book, or repeated
    /// later, is known by its time.
    fn judge_by_chain(&self, diff: &Placed, early: impl Fn() -> Verdict) -> Verdict {
        let is_old = is_later(self.last_event, diff.event, 0);
        if diff.key.last == self.at.id || is_old {
            Verdict::Duplicate
        } else if diff.key.prev == self.at.id {
            Verdict::Apply
        } else {
            early()
        }
    }

    /// Ids that fall may have fallen more than once between the book and a diff: only its time tells on which side it
    /// lies. `None` where that does not.
    fn judge_by_time(&self, diff: &Placed, early: impl Fn() -> Verdict) -> Option<Verdict> {
        let (now, then) = diff.clock.zip(self.last_event)?;
        match now.cmp(&then) {
            Ordering::Less => Some(Verdict::Duplicate),
            Ordering::Equal => None,
            Ordering::Greater if diff.key.prev == self.at.id => Some(Verdict::Apply),
            Ordering::Greater if diff.key.last == self.at.id => Some(Verdict::Duplicate),
            Ordering::Greater => Some(early()),
        }
    }

    /// Diffs without ids: whoever leads may bring several of one time, and is overtaken by who is later.
    fn judge_unlinked(&self, diff: &Placed) -> Verdict {
        let leads = self.led_by == Some(diff.conn);
        if diff.last < self.at || diff.last == self.at && !leads { Verdict::Duplicate } else { Verdict::Apply }
    }

    /// True where applying the diff opens a new epoch by the exchange's own rule.
    #[must_use]
    pub fn opens_epoch(&self, diff: &Placed) -> bool {
        diff.fell() && diff.key.prev == self.at.id
    }

    /// True where ids fell while the exchange's time went on: a wipe or relisting, never a late copy.
    #[must_use]
    pub fn is_reset(&self, diff: &Placed) -> bool {
        !self.rules.ids_may_fall && diff.linked && diff.last.epoch > self.at.epoch
    }

    /// As [`Self::is_reset`], of a snapshot on the stream itself. It lies below what was made before it.
    #[must_use]
    pub fn is_reset_by(&self, id: i64, event: Option<i64>, conn: ConnId) -> bool {
        let is_below = |chain: &Chain| {
            chain.epoch == Some(self.at.epoch) && id < chain.id && is_later(event, chain.event, CLEARLY_LATER)
        };
        let epoch = self.epoch_of(id, event, conn);
        let fell = epoch > self.at.epoch || epoch == self.at.epoch && self.chains.iter().any(is_below);
        !self.rules.ids_may_fall && fell
    }

    /// An id below that of the book, made later: where sizes of ids tell no order, of a connection that lags or of a new epoch.
    #[must_use]
    pub fn lies_below(&self, id: i64, event: Option<i64>) -> bool {
        self.rules.ids_may_fall && self.id().is_some_and(|own| id < own) && is_later(event, self.last_event, 0)
    }

    /// From where the ids of a connection fell to where the book is already. Asked before [`Self::note`] is told of it.
    #[must_use]
    pub fn followed_from(&self, diff: &Placed) -> Option<i64> {
        let own = self.chain_of(diff.conn).filter(|_| !self.rules.ids_may_fall && diff.linked)?;
        (own.falls_to(diff.key.last, diff.event) && diff.last.epoch == self.at.epoch).then_some(own.id)
    }

    /// Ids have fallen to this one: what connections still bring of before is known.
    pub fn begin_epoch(&mut self, id: i64, event: Option<i64>) {
        let from = self.chains.iter().map(|chain| chain.id).fold(self.at.id, i64::max);
        self.fall = Some(Fall { from, event });
        self.at = Position { epoch: self.at.epoch + 1, id };
        self.last_event = event;
    }

    /// It is of before ids fell.
    #[must_use]
    pub fn is_of_before(&self, diff: &Placed) -> bool {
        !self.rules.ids_may_fall && diff.last.epoch < self.at.epoch
    }

    /// True where another connection than `conn` is not known to have come past the book's id and so may fill a hole
    /// behind it. [`ConnId::NONE`] asks for any connection.
    #[must_use]
    pub fn may_heal(&self, conn: ConnId) -> bool {
        let is_behind = |chain: &Chain| match chain.epoch {
            Some(epoch) => Position { epoch, id: chain.id } <= self.at,
            None if !self.rules.ids_may_fall => chain.id <= self.at.id,
            // Then its time tells, but that of a proof of life says nothing.
            None => chain.id == self.at.id || chain.event.zip(self.last_event).is_none_or(|(now, then)| now <= then),
        };
        self.chains.iter().any(|chain| chain.conn != conn && is_behind(chain))
    }

    /// Another connection than `conn` carries the book too.
    fn is_shared(&self, conn: ConnId) -> bool {
        self.chains.iter().any(|chain| chain.conn != conn)
    }

    /// True where the book lacks what comes before the diff, and not where its connection contradicts itself.
    #[must_use]
    pub fn is_early(&self, diff: &Placed) -> bool {
        self.rules.ids_may_fall || !self.bridged || diff.prev > self.at
    }

    /// True where the diff says itself that it follows the book.
    #[must_use]
    pub fn is_followed_by(&self, diff: &Placed) -> bool {
        self.bridged && diff.linked && diff.key.prev == self.at.id && !diff.is_keep_alive()
    }

    /// True where the connection has left out what comes before the diff, and not only joined behind it. Asked before
    /// [`Self::note`] is told of it.
    #[must_use]
    pub fn breaks_chain(&self, diff: &Placed) -> bool {
        diff.linked && self.chain_of(diff.conn).is_some_and(|chain| chain.id != diff.key.prev)
    }

    /// Notes what a connection delivered, whatever became of it.
    pub fn note(&mut self, diff: &Placed) {
        let is_old = |chain: Chain| {
            let before = is_later(chain.event, diff.clock, 0);
            before && chain.id != diff.key.prev && diff.key.last != self.at.id
        };
        if self.chain_of(diff.conn).is_some_and(is_old) {
            // Repeated from long ago: where the chain is nobody learns from it.
            return;
        }
        self.set_chain(self.chain_after(diff));
    }

    fn chain_after(&self, diff: &Placed) -> Chain {
        let brought_the_book_here = self.led_by == Some(diff.conn) && diff.key.last == self.at.id;
        let epoch = if brought_the_book_here { self.at.epoch } else { diff.last.epoch };
        let epoch = (brought_the_book_here || diff.is_counted).then_some(epoch);
        Chain { conn: diff.conn, id: diff.key.last, epoch, event: diff.event }
    }

    /// Notes that a connection delivered a snapshot on the stream itself that the book did not take.
    pub fn note_snapshot(&mut self, id: i64, event: Option<i64>, conn: ConnId) {
        // At the book's own id it is known how often ids have fallen.
        let known = (id == self.at.id).then_some(self.at.epoch);
        let counted = || {
            let is_counted = !self.rules.ids_may_fall && self.chain_of(conn)?.epoch.is_some();
            is_counted.then(|| self.epoch_of(id, event, conn))
        };
        let epoch = known.or_else(counted);
        self.set_chain(Chain { conn, id, epoch, event });
    }

    fn set_chain(&mut self, chain: Chain) {
        let place = self.seats.find(&self.chains, chain.conn, |chain| chain.conn);
        match place.and_then(|place| self.chains.get_mut(place)) {
            Some(known) => *known = chain,
            None => self.chains.push(chain),
        }
    }

    /// A connection is gone: its chain ends.
    pub fn forget(&mut self, conn: ConnId) {
        self.chains.retain(|chain| chain.conn != conn);
    }

    /// The diff was applied: the book's id moves.
    pub fn applied(&mut self, diff: &Placed) {
        self.at.epoch = if self.opens_epoch(diff) {
            self.at.epoch + 1
        } else if diff.key.prev == self.at.id {
            self.at.epoch
        } else {
            diff.last.epoch
        };
        self.at.id = diff.key.last;
        self.led_by = Some(diff.conn);
        self.bridged = true;
        self.last_event = diff.event.or(self.last_event);
        self.state = SyncState::Live;
    }

    /// An early diff is held for a bridge.
    pub fn holding(&mut self) {
        if self.state == SyncState::Live {
            self.state = SyncState::Holding;
        }
    }

    /// Nothing is held any more.
    pub fn bridged_over(&mut self) {
        if self.state == SyncState::Holding {
            self.state = SyncState::Live;
        }
    }

    /// The book is no longer true.
    pub fn broken(&mut self) {
        if self.has_been_live() {
            self.state = SyncState::Resyncing;
        }
        self.bridged = false;
        if self.rules.ids_may_fall {
            self.last_event = None;
        }
    }

    /// Judges a REST snapshot against the keys of the diffs held, in order of their ids.
    #[must_use]
    pub fn judge_snapshot(&self, id: i64, mut held: impl Iterator<Item = Key>) -> SnapshotVerdict {
        match self.state {
            // Taken and not yet followed by a diff: a newer one may replace it.
            SyncState::Live if !self.bridged && id > self.at.id => {}
            SyncState::Holding if id > self.at.id => {
                let first = held.find(|key| !self.is_stale(*key, id));
                let bridges = first.is_none_or(|first| Self::bridges(first, id));
                return if bridges { SnapshotVerdict::Bridges } else { SnapshotVerdict::WhileLive };
            }
            SyncState::Live | SyncState::Holding => return SnapshotVerdict::WhileLive,
            SyncState::AwaitingSnapshot | SyncState::Resyncing => {}
        }
        match held.find(|key| !self.is_stale(*key, id)) {
            Some(first) if !Self::bridges(first, id) => SnapshotVerdict::TooOld,
            _ => SnapshotVerdict::Take,
        }
    }

    /// Judges a snapshot that came on the stream itself. One of the only connection replaces the book whatever its id.
    /// One beside others does if it is ahead and not of before ids fell; and if it lies behind and its own connection had
    /// come as far as the book, so the exchange counts anew. However late it was made, another gateway may but lag.
    #[must_use]
    pub fn judge_channel_snapshot(&self, id: i64, event: Option<i64>, conn: ConnId) -> SnapshotVerdict {
        let at_hand = matches!(self.state, SyncState::Live | SyncState::Holding);
        if !self.rules.ids_may_fall && self.epoch_of(id, event, conn) < self.at.epoch {
            return SnapshotVerdict::Known;
        }
        if at_hand && self.is_shared(conn) {
            let is_older = is_later(self.last_event, event, 0);
            let had_come_as_far =
                self.chain_of(conn).is_some_and(|own| own.epoch == Some(self.at.epoch) && own.id >= self.at.id);
            let counts_anew = id < self.at.id && had_come_as_far && !is_older;
            let is_ahead = id > self.at.id && !is_older;
            if !counts_anew && !is_ahead {
                return SnapshotVerdict::Known;
            }
        }
        match self.state {
            SyncState::Holding => SnapshotVerdict::Bridges,
            _ => SnapshotVerdict::Take,
        }
    }

    /// The book was replaced by a REST snapshot, made by then; or by when anybody has told of, should a clock be wrong.
    pub fn snapshot_taken(&mut self, id: i64, made: Option<i64>) {
        let heard = self.chains.iter().filter_map(|chain| chain.event).max();
        self.last_event = made.max(heard);
        self.doubt_chains_beyond(id);
        self.at.id = id;
        self.led_by = None;
        self.bridged = false;
        self.state = SyncState::Live;
    }

    /// The book was replaced by a snapshot on the stream itself: it is whole, and the next diff of its connection
    /// follows it. How often ids fell on the way there nobody knows.
    pub fn channel_snapshot_taken(&mut self, id: i64, event: Option<i64>, conn: ConnId) {
        // Nor of whoever else has come how far.
        self.chains.iter_mut().for_each(|chain| chain.epoch = None);
        self.at.id = id;
        self.set_chain(Chain { conn, id, epoch: Some(self.at.epoch), event });
        self.led_by = Some(conn);
        self.bridged = true;
        self.last_event = event;
        self.state = SyncState::Live;
    }

    /// Who was further than a snapshot may be of before a fall that it is behind, or only ahead of who lags.
    fn doubt_chains_beyond(&mut self, id: i64) {
        for chain in self.chains.iter_mut().filter(|chain| self.rules.ids_may_fall || id < chain.id) {
            chain.epoch = None;
        }
    }

    fn chain_of(&self, conn: ConnId) -> Option<Chain> {
        self.chains.iter().find(|chain| chain.conn == conn).copied()
    }

    fn is_stale(&self, key: Key, id: i64) -> bool {
        if self.rules.first_may_end_at_snapshot { key.last < id } else { key.last <= id }
    }

    /// The first event after a snapshot covers its id, or follows it without a hole (`pu == id`, and by the overlap
    /// rule also `pu < id < U`: the event lists every level changed since `pu`).
    fn bridges(key: Key, id: i64) -> bool {
        (key.first <= id || key.prev <= id) && id <= key.last
    }
}

#[cfg(test)]
mod tests;
