//! Copies that lost, compared with the winner on a sample: nobody should tell two things under one id.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::carriers::Carriers;
use super::context::{Context, Origin, Subject};
use super::gaps;
use crate::batch::SymbolId;
use crate::config::{Stream, Verify};
use crate::decimal::Decimal;
use crate::event::{DecodedLevels, Level, Trade};
use crate::exchange::Key;
use crate::symbol::{ConnId, Exchange};
use crate::table::Side;

/// Winners that a stream remembers.
const KEPT: usize = 256;
/// Conflicts that an engine remembers.
const TOLD: usize = 64;

/// Two things under one id.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conflict {
    pub exchange: Exchange,
    pub symbol: SymbolId,
    pub stream: Stream,
    pub id: i64,
    /// Message and connection of the one that stands, and of the other.
    pub first: (i64, ConnId),
    pub second: (i64, ConnId),
}

struct Sample<K, C> {
    key: K,
    msg_id: i64,
    conn: ConnId,
    content: C,
}

/// Under what copies are comparable.
pub(super) trait SampleKey: PartialEq {
    /// The id that rises from one to the next.
    fn id(&self) -> i64;
}

impl SampleKey for i64 {
    fn id(&self) -> i64 {
        *self
    }
}

impl SampleKey for Key {
    fn id(&self) -> i64 {
        self.last
    }
}

/// What one stream's winners said under the ids that are picked. Copies are comparable where their keys are equal.
pub(super) struct Samples<K, C> {
    kept: VecDeque<Sample<K, C>>,
    /// The highest id that had to make room for others.
    pushed_out: Option<i64>,
}

impl<K, C> Default for Samples<K, C> {
    fn default() -> Self {
        Self { kept: VecDeque::new(), pushed_out: None }
    }
}

impl<K: SampleKey, C: PartialEq> Samples<K, C> {
    /// From here on there is somebody to compare with: a stream on one connection costs nothing.
    #[cold]
    pub(super) fn make_room(&mut self, cx: &Context) {
        if cx.config.arbitration.verify != Verify::OFF {
            self.kept.reserve_exact(KEPT);
        }
    }

    /// A frame came on one of the connections that carry the stream.
    #[inline(always)]
    pub(super) fn hear(&mut self, cx: &Context, carriers: &mut Carriers, conn: ConnId) {
        if carriers.note(conn, cx.now.at.mono) {
            self.make_room(cx);
        }
    }

    /// Whether a winner of this id is to be kept.
    #[inline]
    pub(super) fn wants(&self, cx: &Context, id: i64) -> bool {
        self.kept.capacity() > 0 && cx.config.arbitration.verify.picks(id)
    }

    /// A winner that is wanted.
    pub(super) fn keep(&mut self, cx: &Context, origin: Origin, key: K, content: C) {
        if self.kept.len() == KEPT {
            let oldest = self.kept.pop_front();
            self.pushed_out = self.pushed_out.max(oldest.map(|sample| sample.key.id()));
        }
        self.kept.push_back(Sample { key, msg_id: cx.now.msg_id, conn: origin.conn, content });
    }

    /// What follows are other ids.
    pub(super) fn forget(&mut self) {
        self.kept.clear();
        self.pushed_out = None;
    }

    /// A copy that lost. The winner stands, whatever it says. One that comes when those of its time are forgotten is counted.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn compare(
        &self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        (stream, id): (Stream, i64),
        key: &K,
        content: &C,
        carriers: &Carriers,
    ) {
        let of_key = || self.kept.iter().rev().filter(|sample| sample.key == *key);
        let Some(first) = of_key().next() else {
            let is_late = Some(id) <= self.pushed_out && cx.config.arbitration.verify.picks(id);
            cx.counters.unchecked += u64::from(is_late);
            return;
        };
        // Ids that fell may have had the number before.
        if of_key().any(|sample| sample.content == *content) {
            return;
        }
        cx.counters.conflicts += 1;
        if cx.conflicts.len() == TOLD {
            cx.conflicts.pop_front();
        }
        let (first, second) = ((first.msg_id, first.conn), (cx.now.msg_id, origin.conn));
        cx.conflicts.push_back(Conflict {
            exchange: subject.exchange,
            symbol: subject.symbol,
            stream,
            id,
            first,
            second,
        });
        gaps::conflict(cx, subject, origin, stream, id, vec![first.1, origin.conn], carriers);
    }
}

/// What a trade says that no copy may say otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TradeSays {
    event: Option<i64>,
    side: Side,
    price: Decimal,
    size: Decimal,
}

impl TradeSays {
    pub(super) fn of(trade: &Trade) -> Self {
        Self { event: trade.times.event, side: trade.side, price: trade.price, size: trade.size }
    }
}

/// A print of levels, whatever their order and their scale. Equal ones are as good as certain to be of equal levels.
pub(super) fn print_of(levels: &DecodedLevels) -> u128 {
    let scales = levels.scales();
    let print = |side: u8, price: i128, size: i128| {
        let exact = |mantissa, scale| {
            let number = Decimal::new(mantissa, scale).trimmed();
            (number.mantissa, number.scale)
        };
        let level = (side, exact(price, scales.price), exact(size, scales.size));
        let half = |seed| u128::from(FixedState::with_seed(seed).hash_one(level));
        half(1) << 64 | half(2)
    };
    let sum = |side, levels: &mut dyn Iterator<Item = Level<i128>>| {
        levels.fold(0u128, |sum, level| sum.wrapping_add(print(side, level.price, level.size)))
    };
    match &levels.wide {
        Some(wide) => sum(0, &mut wide.bids.iter().copied()).wrapping_add(sum(1, &mut wide.asks.iter().copied())),
        None => {
            let widen = |level: &Level| Level { price: level.price.into(), size: level.size.into() };
            let narrow = &levels.narrow;
            sum(0, &mut narrow.bids.iter().map(widen)).wrapping_add(sum(1, &mut narrow.asks.iter().map(widen)))
        }
    }
}
