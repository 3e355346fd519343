//! Durations counted by size: quantiles in memory that is allocated once.

/// Of the highest bits of a duration, so many are kept: a quantile is at most 3 % off.
const PRECISION_BITS: u32 = 5;
/// Buckets of one power of two.
const PER_OCTAVE: usize = 1 << PRECISION_BITS;
/// What is shorter, in nanoseconds, is counted as one: clocks tell no more.
const SHORTEST_BITS: u32 = 8;
/// What is longer, about 18 minutes, is counted as that.
const LONGEST_BITS: u32 = 40;
const BUCKETS: usize = (LONGEST_BITS - SHORTEST_BITS) as usize * PER_OCTAVE + 1;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: Box<[u32; BUCKETS]>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: Box::new([0; BUCKETS]) }
    }
}

impl Histogram {
    /// One more, in nanoseconds.
    #[inline]
    pub fn add(&mut self, ns: u64) {
        self.add_one(Length::of(ns));
    }

    /// The same, of a length that several take in.
    #[inline]
    pub fn add_one(&mut self, Length(bucket): Length) {
        let count = &mut self.counts[bucket];
        *count = count.saturating_add(1);
    }

    /// How many.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    /// The duration, in nanoseconds, that so many of a million do not exceed; `None` of none.
    #[must_use]
    pub fn quantile(&self, millionths: u64) -> Option<u64> {
        self.quantile_after(0, millionths)
    }

    /// As [`Self::quantile`], where `zeros` more were no time at all.
    #[must_use]
    pub fn quantile_after(&self, zeros: u64, millionths: u64) -> Option<u64> {
        let all = u128::from(self.total()) + u128::from(zeros);
        // The first that has so many at or below it.
        let rank = (all * u128::from(millionths)).div_ceil(1_000_000).max(1);
        if all == 0 {
            return None;
        }
        let mut below = u128::from(zeros);
        if rank <= below {
            return Some(0);
        }
        for (bucket, count) in self.counts.iter().enumerate() {
            below += u128::from(*count);
            if rank <= below {
                return Some(middle(bucket));
            }
        }
        Some(middle(BUCKETS - 1))
    }

    /// All of them together, in nanoseconds, where none counts for more than `most`.
    #[must_use]
    pub fn sum(&self, most: u64) -> u128 {
        let counted = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        counted.map(|(bucket, count)| u128::from(*count) * u128::from(middle(bucket).min(most))).sum()
    }

    /// Takes in what another has counted.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts.iter()) {
            *count = count.saturating_add(*more);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.counts.fill(0);
    }
}

/// A duration, as histograms sort it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length(usize);

impl Length {
    /// In nanoseconds.
    #[inline]
    #[must_use]
    pub fn of(ns: u64) -> Self {
        Self(bucket(ns))
    }
}

/// Bucket 0 is what is too short to tell; each power of two behind it has [`PER_OCTAVE`]. What is too short is counted as
/// the longest of that, which would be the last of the power of two before.
#[inline]
fn bucket(ns: u64) -> usize {
    let told = ns.clamp((1 << SHORTEST_BITS) - 1, (1 << LONGEST_BITS) - 1);
    let octave = told.ilog2();
    let within = (told >> (octave - PRECISION_BITS)) as usize & (PER_OCTAVE - 1);
    octave as usize * PER_OCTAVE + within + 1 - SHORTEST_BITS as usize * PER_OCTAVE
}

/// The middle of a bucket.
fn middle(bucket: usize) -> u64 {
    let Some(at) = bucket.checked_sub(1) else { return 0 };
    let octave = (at / PER_OCTAVE) as u32 + SHORTEST_BITS;
    let width = 1_u64 << (octave - PRECISION_BITS);
    (1_u64 << octave) + (at % PER_OCTAVE) as u64 * width + width / 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(durations: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        durations.iter().for_each(|ns| histogram.add(*ns));
        histogram
    }

    #[test]
    fn none_has_no_quantile_and_zeros_count() {
        assert_eq!(Histogram::default().quantile(500_000), None);
        assert_eq!(Histogram::default().quantile_after(3, 999_999), Some(0));
        let one = of(&[1_000_000]);
        assert_eq!(one.quantile_after(1, 500_000), Some(0));
        assert!(one.quantile_after(1, 500_001) > Some(900_000));
    }

    #[test]
    fn the_sum_is_that_of_the_durations_to_within_3_percent() {
        let some = of(&[1_000_000, 2_000_000, 40_000_000]);
        assert!((42_500_000..43_500_000).contains(&some.sum(u64::MAX)), "{}", some.sum(u64::MAX));
        assert!((7_800_000..8_200_000).contains(&some.sum(5_000_000)), "{}", some.sum(5_000_000));
        assert_eq!(Histogram::default().sum(u64::MAX), 0);
    }

    #[test]
    fn what_is_beyond_the_ends_is_counted_at_them() {
        assert_eq!(of(&[0, 255]).quantile(1_000_000), Some(0));
        let longest = of(&[u64::MAX, 1 << 40]).quantile(1).expect("some");
        assert!(longest < 1 << 40 && longest > (1 << 40) / 32 * 31);
    }

    fn durations() -> impl Strategy<Value = Vec<u64>> {
        let any_size = (0..40_u32, any::<u64>()).prop_map(|(bits, ns)| ns & ((1 << bits) - 1));
        prop::collection::vec(any_size, 1..200)
    }

    proptest! {
        #[test]
        fn a_quantile_is_that_of_the_sorted_list_to_three_percent(
            mut durations in durations(), zeros in 0..50_usize, millionths in 1..=1_000_000_u64,
        ) {
            let told = of(&durations).quantile_after(zeros as u64, millionths).expect("some");
            durations.extend(std::iter::repeat_n(0, zeros));
            durations.sort_unstable();
            let rank = (durations.len() as u64 * millionths).div_ceil(1_000_000) as usize;
            let exact = durations[rank.max(1) - 1];
            prop_assert!(told.abs_diff(exact) <= exact / 32 + 256, "{told} for {exact}");
        }

        #[test]
        fn two_that_are_merged_are_one_of_both(a in durations(), b in durations()) {
            let mut merged = of(&a);
            merged.merge(&of(&b));
            prop_assert_eq!(&merged, &of(&[a, b].concat()));
            merged.clear();
            prop_assert_eq!(merged, Histogram::default());
        }
    }
}
