//! Events without an order among them, or without ids: an exact copy is dropped, whichever connection brings it.

use hashbrown::HashMap;

use super::carriers::Carriers;
use super::context::{Context, Origin, Subject};
use super::gaps::{Finding, OpenGap};
use crate::arbiter::{Deduper, Noted};
use crate::config::Stream;
use crate::decimal::Decimal;
use crate::event::{Liquidation, Trade, TradeId};
use crate::table::{GapCause, GapEvidence, Repaired, Side};
use crate::time::NS_PER_S;

/// Keys that a stream begins with; more as it needs them.
const FIRST_ROOM: usize = 16;

/// All that tells an event: two that agree in it are one event that came twice. When the exchange sent it is no part,
/// since that may differ between connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Content {
    event: i64,
    id: Option<i64>,
    side: Side,
    price: (i128, u8),
    size: (i128, u8),
    /// How many equal ones stand before it in its message: they are as many events.
    before: u32,
}

impl Content {
    /// `None` where there is no time: then nothing is left by which it could be told from its like.
    pub(super) fn of_liquidation(event: Option<i64>, row: &Liquidation) -> Option<Self> {
        Self::of(event, row.id, row.side, row.price, row.size)
    }

    /// A trade that is not of the ids of its feed.
    pub(super) fn of_trade(trade: &Trade) -> Option<Self> {
        let TradeId::Number(id) = trade.id else { return None };
        Self::of(trade.times.event, Some(id), trade.side, trade.price, trade.size)
    }

    fn of(event: Option<i64>, id: Option<i64>, side: Side, price: Decimal, size: Decimal) -> Option<Self> {
        let exact = |number: Decimal| {
            let number = number.trimmed();
            (number.mantissa, number.scale)
        };
        Some(Self { event: event?, id, side, price: exact(price), size: exact(size), before: 0 })
    }
}

/// What one stream of one instrument has brought.
#[derive(Default)]
pub(super) struct Copies {
    seen: Option<Deduper<Content>>,
    room: usize,
    /// The message being taken, and how often it has said what.
    message: i64,
    in_message: HashMap<Content, u32, foldhash::fast::FixedState>,
    /// It was told that there is no room at all.
    told: bool,
}

impl Copies {
    /// Takes an event; true where it is a copy, to be dropped.
    pub(super) fn is_copy(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        stream: Stream,
        content: Option<Content>,
        carriers: &Carriers,
    ) -> bool {
        let Some(mut content) = content else { return false };
        if std::mem::replace(&mut self.message, cx.now.msg_id) != cx.now.msg_id {
            self.in_message.clear();
        }
        let before = self.in_message.entry(content).or_insert(0);
        content.before = *before;
        *before = before.saturating_add(1);

        let now = cx.now.at.mono;
        self.make_room(cx, now);
        let Some(seen) = &mut self.seen else {
            cx.counters.dedup.evicted_before_ttl += 1;
            if !std::mem::replace(&mut self.told, true) {
                tell_evicted(cx, subject, origin, stream, carriers);
            }
            return false;
        };
        let evicted = seen.metrics().evicted;
        let noted = seen.insert(&content, now);
        cx.counters.dedup.evicted += seen.metrics().evicted - evicted;
        match noted {
            Noted::Duplicate => {
                cx.counters.dedup.hits += 1;
                true
            }
            Noted::Fresh { evicted_before_ttl } => {
                if evicted_before_ttl > 0 {
                    cx.counters.dedup.evicted_before_ttl += evicted_before_ttl;
                    tell_evicted(cx, subject, origin, stream, carriers);
                }
                false
            }
        }
    }

    /// Nobody asks for the stream any more: what it may hold others may.
    pub(super) fn end(&mut self, cx: &mut Context) {
        cx.dedup_room -= self.room;
        *self = Self::default();
    }

    /// Grows before something is forgotten early, as far as the configuration allows for one symbol and for all.
    fn make_room(&mut self, cx: &mut Context, now: u64) {
        if self.seen.as_ref().is_some_and(|seen| !seen.is_full(now)) {
            return;
        }
        let limits = cx.config.arbitration.dedup;
        let more = self.room.max(FIRST_ROOM).min(limits.per_symbol - self.room).min(limits.total - cx.dedup_room);
        if more == 0 || (self.seen.is_none() && more < 2) {
            return;
        }
        self.room += more;
        cx.dedup_room += more;
        match &mut self.seen {
            Some(seen) => seen.grow(self.room),
            None => {
                let ttl = limits.ttl_s.saturating_mul(NS_PER_S.unsigned_abs());
                self.seen = Some(Deduper::new(self.room, ttl));
            }
        }
    }
}

/// From now on a repetition might pass.
#[cold]
fn tell_evicted(cx: &mut Context, subject: Subject, origin: Origin, stream: Stream, carriers: &Carriers) {
    let finding = Finding::new(GapCause::Evicted, GapEvidence::Count);
    OpenGap::open(cx, subject, origin, stream, finding, carriers).close(cx, subject, origin, Repaired::None);
}
