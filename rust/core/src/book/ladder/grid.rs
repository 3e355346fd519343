//! Prices to ticks without a division.

/// The price grid of a book: multiples of a tick. An exact quotient is one multiplication with the inverse of the
/// tick's odd part modulo 2^64, and the same product tells whether the quotient is exact.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    tick: i64,
    shift: u32,
    inverse: i64,
    limit: u64,
}

impl Grid {
    /// A grid of this tick, at least 1.
    pub(super) fn new(tick: i64) -> Self {
        let tick = tick.max(1);
        let shift = tick.trailing_zeros();
        let odd = tick >> shift;
        // Newton: an odd number is its own inverse to 3 bits, and each step doubles the bits.
        let mut inverse = odd;
        for _ in 0..5 {
            inverse = inverse.wrapping_mul(2i64.wrapping_sub(odd.wrapping_mul(inverse)));
        }
        Self { tick, shift, inverse, limit: (i64::MAX / odd).unsigned_abs() }
    }

    pub(super) fn tick(self) -> i64 {
        self.tick
    }

    /// Number of the tick at this price; `None` off the grid.
    #[inline]
    pub(super) fn index(self, price: i64) -> Option<i64> {
        let shifted = price >> self.shift;
        // Multiplying by an odd number permutes the i64s, and the multiples of `odd` are what lands within ±limit.
        let index = shifted.wrapping_mul(self.inverse);
        (shifted << self.shift == price && index.unsigned_abs() <= self.limit).then_some(index)
    }

    /// Number of the tick at or below this price.
    pub(super) fn floor(self, price: i64) -> i64 {
        price.div_euclid(self.tick)
    }

    /// The price at a tick that [`Self::index`] gave; saturating for any other.
    #[inline]
    pub(super) fn price(self, index: i64) -> i64 {
        index.saturating_mul(self.tick)
    }
}

/// The coarsest tick on which all prices lie; `None` where nothing but zeros is given.
pub(super) fn common_tick(prices: impl Iterator<Item = i64>) -> Option<i64> {
    let mut tick = 0u64;
    for price in prices {
        let (mut a, mut b) = (price.unsigned_abs(), tick);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        tick = a;
        if tick == 1 {
            break;
        }
    }
    i64::try_from(tick).ok().filter(|&t| t > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_quotient_is_that_of_a_division(tick in 1i64.., price: i64, near in -1000i64..1000, small in 1i64..5000) {
            for (tick, price) in [(tick, price), (small, price), (small, near), (tick, tick.saturating_mul(near)), (small, small * near)] {
                let grid = Grid::new(tick);
                // The lowest price is the one whose magnitude is no i64: it may count as off the grid.
                if price != i64::MIN {
                    prop_assert_eq!(grid.index(price), (price % tick == 0).then(|| price / tick));
                }
                if let Some(index) = grid.index(price) {
                    prop_assert_eq!(grid.price(index), price);
                }
                prop_assert!(i128::from(grid.floor(price)) * i128::from(tick) <= i128::from(price));
            }
        }
    }

    #[test]
    fn the_common_tick_is_the_greatest_common_divisor() {
        assert_eq!(common_tick([1000, 250, -75].into_iter()), Some(25));
        assert_eq!(common_tick([0, 0].into_iter()), None);
        assert_eq!(common_tick([7, 1, 14].into_iter()), Some(1));
        assert_eq!(common_tick([i64::MIN, 6].into_iter()), Some(2));
    }
}
