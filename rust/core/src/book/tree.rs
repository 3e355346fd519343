//! The plain book: two sorted maps over `i128`. Slow, obviously right, and wide enough for nearly everything.

use std::collections::BTreeMap;

use super::{OutOfRange, finer};
use crate::decimal::pow10;
use crate::event::{Level, Levels, Scales};

/// A book as two sorted maps from price to size.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    scales: Scales,
    bids: BTreeMap<i128, i128>,
    asks: BTreeMap<i128, i128>,
}

impl Tree {
    /// A book of these levels; each price occurs once.
    pub(super) fn new(
        scales: Scales,
        bids: impl Iterator<Item = Level<i128>>,
        asks: impl Iterator<Item = Level<i128>>,
    ) -> Self {
        let map = |level: Level<i128>| (level.price, level.size);
        Self { scales, bids: bids.map(map).collect(), asks: asks.map(map).collect() }
    }

    pub(super) fn scales(&self) -> Scales {
        self.scales
    }

    pub(super) fn len(&self) -> (usize, usize) {
        (self.bids.len(), self.asks.len())
    }

    /// Highest first.
    pub(super) fn bids(&self) -> impl Iterator<Item = Level<i128>> + '_ {
        self.bids.iter().rev().map(|(&price, &size)| Level { price, size })
    }

    /// Lowest first.
    pub(super) fn asks(&self) -> impl Iterator<Item = Level<i128>> + '_ {
        self.asks.iter().map(|(&price, &size)| Level { price, size })
    }

    /// Moves every level to scales at least as fine as `scales`, or does nothing.
    pub(super) fn grow(&mut self, scales: Scales) -> Result<(), OutOfRange> {
        let target = finer(self.scales, scales);
        if target == self.scales {
            return Ok(());
        }
        let rescaled = |side: &BTreeMap<i128, i128>| {
            side.iter()
                .map(|(&price, &size)| rescale(price, size, self.scales, target))
                .collect::<Option<BTreeMap<_, _>>>()
        };
        let (Some(bids), Some(asks)) = (rescaled(&self.bids), rescaled(&self.asks)) else {
            return Err(OutOfRange { scales: target });
        };
        *self = Self { scales: target, bids, asks };
        Ok(())
    }

    /// Applies absolute sizes; returns how many deletes were of unknown levels.
    pub(super) fn apply<M: Copy + Into<i128>>(&mut self, levels: &Levels<M>) -> Result<usize, OutOfRange> {
        let target = finer(self.scales, levels.scales);
        let at_target = |level: &Level<M>| rescale(level.price.into(), level.size.into(), levels.scales, target);
        if levels.bids.iter().chain(&levels.asks).any(|level| at_target(level).is_none()) {
            return Err(OutOfRange { scales: target });
        }
        self.grow(target)?;
        let set = |side: &mut BTreeMap<i128, i128>, levels: &[Level<M>]| {
            let mut unknown = 0;
            for (price, size) in levels.iter().filter_map(at_target) {
                if size != 0 {
                    side.insert(price, size);
                } else if side.remove(&price).is_none() {
                    unknown += 1;
                }
            }
            unknown
        };
        Ok(set(&mut self.bids, &levels.bids) + set(&mut self.asks, &levels.asks))
    }
}

fn rescale(price: i128, size: i128, from: Scales, to: Scales) -> Option<(i128, i128)> {
    // A zero stays zero however far it is moved.
    let times = |mantissa: i128, by: u8| {
        if mantissa == 0 { Some(0) } else { mantissa.checked_mul(pow10(by)?) }
    };
    Some((times(price, to.price - from.price)?, times(size, to.size - from.size)?))
}
