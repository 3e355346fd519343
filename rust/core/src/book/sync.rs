//! When is a book the exchange's book? One machine for every exchange whose books are diffs that chain by id.
//!
//! Freshness is judged on the merged book, loss on each connection's own chain. The machine sees keys, never bodies:
//! it decides before anything is decoded. It holds no levels and owns no clock; the engine carries out its verdicts.

use crate::exchange::{Key, SnapshotSource};
use crate::symbol::ConnId;

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
    /// The book has a hole that nobody has filled, and the snapshot lies behind it.
    Bridges,
    /// It lies before everything held: fetch another.
    TooOld,
}

/// Where a chain is: ids rise within an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    epoch: u32,
    id: i64,
}

/// The sync machine of one book.
#[derive(Clone, Debug)]
pub struct BookSync {
    rules: SyncRules,
    state: SyncState,
    /// Where the book is: at the snapshot, then at the last applied diff.
    at: Position,
    /// A diff has been applied since the snapshot, or needs no bridge to it.
    bridged: bool,
    /// Event time of the last applied diff: ids that fall while time goes on are a new epoch.
    last_event: Option<i64>,
    /// How far each connection has delivered, fresh or not: its own chain.
    chains: Vec<(ConnId, Position)>,
}

impl BookSync {
    /// A book that has seen nothing.
    #[must_use]
    pub fn new(rules: SyncRules) -> Self {
        Self {
            rules,
            state: SyncState::AwaitingSnapshot,
            at: Position::default(),
            bridged: false,
            last_event: None,
            chains: Vec::with_capacity(4),
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

    /// The message with what it follows: where it does not say so itself, the connection's last message tells. `None`
    /// where neither does.
    #[must_use]
    pub fn linked(&self, key: Key, conn: ConnId) -> Option<Key> {
        if key.is_linked() {
            return Some(key);
        }
        let prev = self.chain_of(conn)?.id;
        Some(Key { prev, ..key })
    }

    /// Judges a diff that [`Self::linked`] has completed, before [`Self::note`] is told of it.
    #[must_use]
    pub fn judge(&self, key: Key, conn: ConnId) -> Verdict {
        match (self.state, self.rules.snapshot) {
            (SyncState::AwaitingSnapshot | SyncState::Resyncing, SnapshotSource::Rest) => return Verdict::Hold,
            (SyncState::AwaitingSnapshot | SyncState::Resyncing, SnapshotSource::Channel) => {
                return Verdict::BeforeSnapshot;
            }
            (SyncState::Live | SyncState::Holding, _) => {}
        }
        let early = if self.may_heal(conn) { Verdict::Hold } else { Verdict::Gap };
        let id = self.at.id;
        if !self.bridged {
            return if self.is_stale(key, id) {
                Verdict::Stale
            } else if Self::bridges(key, id) {
                Verdict::Apply
            } else {
                early
            };
        }
        let (prev, last) = self.span(key, conn);
        let own = self.chain_of(conn) == Some(self.at);
        if prev == self.at {
            Verdict::Apply
        } else if own && self.rules.ids_may_fall && key.last != id {
            // Sizes of ids say nothing here: the connection that brought the book's last diff left something out.
            early
        } else if last <= self.at {
            Verdict::Duplicate
        } else if prev > self.at {
            early
        } else if own {
            // The connection that brought the book's last diff now contradicts itself (`pu == last u`,
            // `U == last u + 1`, `prev_change_id == last change_id`).
            Verdict::Gap
        } else {
            // Another partition of the same chain that overlaps the present: rows are absolute as of `last`.
            Verdict::Apply
        }
    }

    /// Where a diff begins and ends. A connection whose own chain is intact and whose ids fall is one epoch further.
    fn span(&self, key: Key, conn: ConnId) -> (Position, Position) {
        let chain = self.chain_of(conn);
        let epoch = chain.map_or(self.at.epoch, |chain| chain.epoch);
        let fell = self.fell(key) && chain.is_none_or(|chain| chain.id == key.prev);
        let prev = Position { epoch, id: key.prev };
        (prev, Position { epoch: epoch + u32::from(fell), id: key.last })
    }

    /// The exchange's own sign of a new epoch.
    fn fell(&self, key: Key) -> bool {
        self.rules.ids_may_fall && key.is_linked() && key.last < key.prev
    }

    /// True where applying the diff opens a new epoch by the exchange's own rule.
    #[must_use]
    pub fn opens_epoch(&self, key: Key) -> bool {
        self.fell(key) && key.prev == self.at.id
    }

    /// True where ids fell while the exchange's time went on: a wipe or relisting, never a late copy.
    #[must_use]
    pub fn is_reset(&self, key: Key, event: Option<i64>) -> bool {
        let later = matches!((event, self.last_event), (Some(now), Some(then)) if now > then);
        !self.rules.ids_may_fall
            && key.is_linked()
            && self.bridged
            && self.id().is_some_and(|id| key.last < id)
            && later
    }

    /// True where another connection than `conn` has not yet come past the book's id and so may fill a hole behind it.
    /// [`ConnId::NONE`] asks for any connection.
    #[must_use]
    pub fn may_heal(&self, conn: ConnId) -> bool {
        self.chains.iter().any(|(c, last)| *c != conn && *last <= self.at)
    }

    /// Notes what a connection delivered, whatever became of it.
    pub fn note(&mut self, key: Key, conn: ConnId) {
        let (_, last) = self.span(key, conn);
        self.set_chain(conn, last);
    }

    /// Notes that a connection delivered a snapshot on the stream itself.
    pub fn note_snapshot(&mut self, id: i64, conn: ConnId) {
        self.set_chain(conn, Position { epoch: self.at.epoch, id });
    }

    fn set_chain(&mut self, conn: ConnId, at: Position) {
        match self.chains.iter_mut().find(|(c, _)| *c == conn) {
            Some((_, last)) => *last = at,
            None => self.chains.push((conn, at)),
        }
    }

    /// A connection is gone: its chain ends.
    pub fn forget(&mut self, conn: ConnId) {
        self.chains.retain(|(c, _)| *c != conn);
    }

    /// Connections that have delivered this book and are still there.
    pub fn carriers(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.chains.iter().map(|(c, _)| *c)
    }

    /// The diff was applied: the book's id moves.
    pub fn applied(&mut self, key: Key, event: Option<i64>) {
        if self.opens_epoch(key) {
            self.at.epoch += 1;
        }
        self.at.id = key.last;
        self.bridged = true;
        self.last_event = event.or(self.last_event);
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
        self.last_event = None;
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

    /// Judges a snapshot that came on the stream itself. One of the connection that leads the book, or of the only one,
    /// replaces it whatever its id; one of another connection only if it is ahead.
    #[must_use]
    pub fn judge_channel_snapshot(&self, id: i64, conn: ConnId) -> SnapshotVerdict {
        let others = self.chains.iter().any(|(c, _)| *c != conn);
        match self.state {
            SyncState::Live | SyncState::Holding if others && id <= self.at.id => SnapshotVerdict::Known,
            _ => SnapshotVerdict::Take,
        }
    }

    /// The book was replaced by a snapshot.
    pub fn snapshot_taken(&mut self, id: i64) {
        self.at.id = id;
        // One on the stream itself is whole, and the next diff of its connection follows it.
        self.bridged = self.rules.snapshot == SnapshotSource::Channel;
        self.last_event = None;
        self.state = SyncState::Live;
    }

    fn chain_of(&self, conn: ConnId) -> Option<Position> {
        self.chains.iter().find(|(c, _)| *c == conn).map(|(_, last)| *last)
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
mod tests {
    use super::*;

    const FUTURES: SyncRules =
        SyncRules { snapshot: SnapshotSource::Rest, ids_may_fall: false, first_may_end_at_snapshot: true };
    const SPOT: SyncRules = SyncRules { first_may_end_at_snapshot: false, ..FUTURES };
    const A: ConnId = ConnId(1);
    const B: ConnId = ConnId(2);

    fn key(prev: i64, first: i64, last: i64) -> Key {
        Key { prev, first, last }
    }

    fn live_at(rules: SyncRules, id: i64) -> BookSync {
        let mut sync = BookSync::new(rules);
        sync.snapshot_taken(id);
        sync
    }

    fn bridged_at(id: i64) -> BookSync {
        let mut sync = live_at(FUTURES, id - 10);
        let first = key(id - 20, id - 15, id);
        sync.note(first, A);
        sync.applied(first, Some(1));
        sync
    }

    #[test]
    fn step_1_events_are_buffered_until_there_is_a_snapshot() {
        let sync = BookSync::new(FUTURES);
        assert_eq!(sync.judge(key(1, 2, 3), A), Verdict::Hold);
        assert_eq!(sync.id(), None);
    }

    #[test]
    fn step_3_events_before_the_snapshot_are_dropped_strictly_before_on_futures() {
        assert_eq!(live_at(FUTURES, 100).judge(key(80, 90, 99), A), Verdict::Stale);
        assert_eq!(live_at(FUTURES, 100).judge(key(80, 90, 100), A), Verdict::Apply);
        assert_eq!(live_at(SPOT, 100).judge(key(89, 90, 100), A), Verdict::Stale);
    }

    #[test]
    fn step_4_the_first_event_covers_the_snapshot_or_follows_it() {
        let sync = live_at(FUTURES, 100);
        assert_eq!(sync.judge(key(90, 95, 105), A), Verdict::Apply, "U <= id <= u");
        assert_eq!(sync.judge(key(100, 103, 105), A), Verdict::Apply, "pu == id");
        assert_eq!(sync.judge(key(98, 103, 105), A), Verdict::Apply, "pu < id < U");
        assert_eq!(sync.judge(key(101, 103, 105), A), Verdict::Gap, "something between is missing");
    }

    // Fault: X08, X10
    #[test]
    fn step_4_a_snapshot_older_than_the_buffer_is_fetched_again() {
        let sync = BookSync::new(FUTURES);
        let held = [key(100, 101, 110), key(110, 111, 120)];
        assert_eq!(sync.judge_snapshot(99, held.iter().copied()), SnapshotVerdict::TooOld);
        assert_eq!(sync.judge_snapshot(100, held.iter().copied()), SnapshotVerdict::Take);
        assert_eq!(sync.judge_snapshot(500, held.iter().copied()), SnapshotVerdict::Take, "everything held is stale");
    }

    #[test]
    fn step_5_the_chain_holds_or_the_book_is_broken() {
        let sync = bridged_at(100);
        assert_eq!(sync.judge(key(100, 150, 160), A), Verdict::Apply);
        assert_eq!(sync.judge(key(101, 150, 160), A), Verdict::Gap);
        assert_eq!(sync.judge(key(99, 150, 160), A), Verdict::Gap, "the connection contradicts itself");
    }

    #[test]
    fn step_6_what_is_already_applied_is_a_duplicate() {
        let sync = bridged_at(100);
        assert_eq!(sync.judge(key(90, 91, 100), A), Verdict::Duplicate);
        assert_eq!(sync.judge(key(90, 91, 100), B), Verdict::Duplicate);
    }

    #[test]
    fn another_connection_may_cut_the_stream_differently() {
        let mut sync = bridged_at(100);
        assert_eq!(sync.judge(key(95, 96, 105), B), Verdict::Apply);
        assert_eq!(sync.judge(key(105, 106, 110), B), Verdict::Hold, "the other one may fill the hole");
        sync.note(key(104, 107, 112), A);
        assert_eq!(sync.judge(key(105, 106, 110), B), Verdict::Gap, "the other one is past the hole too");
        sync.forget(A);
        assert_eq!(sync.judge(key(105, 106, 110), B), Verdict::Gap, "nobody is left to fill it");
    }

    #[test]
    fn ids_that_fall_while_time_goes_on_are_a_reset_and_a_late_copy_is_not() {
        let sync = bridged_at(100);
        assert!(sync.is_reset(key(4, 5, 6), Some(2)));
        assert!(!sync.is_reset(key(4, 5, 6), Some(1)));
        assert!(!sync.is_reset(key(90, 91, 100), Some(1)));
    }

    #[test]
    fn a_live_book_needs_no_snapshot_but_an_unfollowed_one_may_be_replaced_by_a_newer() {
        assert_eq!(bridged_at(100).judge_snapshot(200, std::iter::empty()), SnapshotVerdict::WhileLive);
        assert_eq!(live_at(FUTURES, 100).judge_snapshot(101, std::iter::empty()), SnapshotVerdict::Take);
        assert_eq!(live_at(FUTURES, 100).judge_snapshot(100, std::iter::empty()), SnapshotVerdict::WhileLive);
    }
}
