//! The levels around the best price: a ring of sizes indexed by tick, and one bit for each that is taken.

/// Ticks in the window. 64 KiB of sizes a side; only the lines that levels live on are ever touched, so the rest is
/// hardly ever memory.
pub(super) const TICKS: usize = 8192;
const WORDS: usize = TICKS / 64;
const SPAN: i64 = TICKS as i64;

/// Sizes of the ticks `low .. low + TICKS`, each in the slot of its number modulo `TICKS`, so that moving the window
/// moves no level. "Best" is the highest tick: offers come in with their ticks inverted.
#[derive(Clone, Debug)]
pub(super) struct Window {
    sizes: Box<[i64; TICKS]>,
    taken: [u64; WORDS],
    /// Lowest tick; a multiple of 64, so that no word of bits holds both ends.
    low: i64,
    /// Highest taken tick; `i64::MIN` without levels.
    best: i64,
    count: usize,
}

/// Where the window lies for a best price: a quarter of it stays free for better ones.
fn low_for(best: i64) -> i64 {
    best.saturating_sub(SPAN / 4 * 3).min(i64::MAX - SPAN + 1) & !63
}

#[inline]
fn slot(tick: i64) -> usize {
    // Masking the low bits is the modulo, for negative ticks too.
    (tick & (SPAN - 1)) as usize
}

impl Window {
    /// An empty window placed for this best price.
    pub(super) fn new(best: i64) -> Box<Self> {
        // Zeros that the system hands out: none is written here.
        let sizes = vec![0; TICKS].into_boxed_slice().try_into().expect("so many were made");
        Box::new(Self { sizes, taken: [0; WORDS], low: low_for(best), best: i64::MIN, count: 0 })
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn best(&self) -> Option<i64> {
        (self.count > 0).then_some(self.best)
    }

    /// Lowest and highest tick that it covers.
    pub(super) fn range(&self) -> (i64, i64) {
        (self.low, self.low + (SPAN - 1))
    }

    #[inline]
    pub(super) fn covers(&self, tick: i64) -> bool {
        // `low + TICKS - 1` fits an i64, so no far tick can wrap into the window.
        (tick.wrapping_sub(self.low) as u64) < TICKS as u64
    }

    #[inline]
    pub(super) fn size(&self, tick: i64) -> i64 {
        self.sizes[slot(tick)]
    }

    /// Sets the size of a covered tick; returns the old one. Branches only near the best price.
    #[inline]
    pub(super) fn set(&mut self, tick: i64, size: i64) -> i64 {
        let slot = slot(tick);
        let old = std::mem::replace(&mut self.sizes[slot], size);
        let (word, bit) = (&mut self.taken[slot / 64], slot % 64);
        *word = (*word & !(1 << bit)) | (u64::from(size != 0) << bit);
        self.count = self.count.wrapping_add(usize::from(size != 0)).wrapping_sub(usize::from(old != 0));
        if tick >= self.best {
            if size != 0 {
                self.best = tick;
            } else if old != 0 {
                self.best = self.at_or_below(tick).unwrap_or(i64::MIN);
            }
        }
        old
    }

    /// The highest taken tick that is not above `tick`, which must be covered.
    pub(super) fn at_or_below(&self, tick: i64) -> Option<i64> {
        let mut base = tick & !63;
        let mut word = self.taken[slot(base) / 64] & (u64::MAX >> (63 - (tick & 63)));
        while word == 0 {
            if base <= self.low {
                return None;
            }
            base -= 64;
            word = self.taken[slot(base) / 64];
        }
        Some(base + i64::from(63 - word.leading_zeros()))
    }

    /// Taken ticks, best first.
    pub(super) fn ticks(&self) -> impl Iterator<Item = i64> + '_ {
        let mut left = self.count;
        let mut base = self.best & !63;
        let mut word = if left > 0 { self.taken[slot(base) / 64] } else { 0 };
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            while word == 0 {
                if base <= self.low {
                    return None;
                }
                base -= 64;
                word = self.taken[slot(base) / 64];
            }
            let bit = 63 - word.leading_zeros();
            word ^= 1 << bit;
            Some(base + i64::from(bit))
        })
    }

    /// True where `best` is so near to an end that the window should follow it.
    pub(super) fn is_off_centre(&self, best: i64) -> bool {
        let offset = i128::from(best) - i128::from(self.low);
        !(i128::from(SPAN / 2)..=i128::from(SPAN / 16 * 15)).contains(&offset)
    }

    /// Moves the window to this best price and hands out the levels it no longer covers.
    pub(super) fn recentre(&mut self, best: i64, mut left: impl FnMut(i64, i64)) {
        let old_low = std::mem::replace(&mut self.low, low_for(best));
        for base in (old_low..=old_low + (SPAN - 1)).step_by(64) {
            if self.covers(base) {
                continue;
            }
            let mut word = std::mem::take(&mut self.taken[slot(base) / 64]);
            while word != 0 {
                let tick = base + i64::from(word.trailing_zeros());
                left(tick, std::mem::take(&mut self.sizes[slot(tick)]));
                self.count -= 1;
                word &= word - 1;
            }
        }
        let (_, high) = self.range();
        self.best = self.at_or_below(high).unwrap_or(i64::MIN);
    }

    /// Multiplies every size; the caller knows that they fit.
    pub(super) fn scale_sizes(&mut self, by: i64) {
        for (_, sizes) in self.in_use() {
            for size in sizes {
                *size = size.wrapping_mul(by);
            }
        }
    }

    pub(super) fn clear(&mut self) {
        for (word, sizes) in self.in_use() {
            sizes.fill(0);
            *word = 0;
        }
        self.best = i64::MIN;
        self.count = 0;
    }

    /// The words with a taken tick, each with its sizes.
    fn in_use(&mut self) -> impl Iterator<Item = (&mut u64, &mut [i64])> {
        self.taken.iter_mut().zip(self.sizes.chunks_exact_mut(64)).filter(|(word, _)| **word != 0)
    }
}
