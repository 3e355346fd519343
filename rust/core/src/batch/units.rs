//! Sizes in the unit of the tables. The one place where an exchange's own sizes become base units.

use crate::config::SizeUnit;
use crate::decimal::{Decimal, MAX_SCALE};
use crate::event::Scales;
use crate::instrument::Conversion;

use super::number::{Number, Numbers, one, some};
use super::quotient::Quotient;
use super::{OutOfRange, RowError};

/// What becomes of the sizes of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Units<'a> {
    /// What its instrument asks for.
    conversion: &'a Conversion,
    /// What the tables are to say.
    unit: SizeUnit,
}

/// A size in the unit of the tables.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sized {
    /// A decimal number.
    Exact(Decimal),
    /// Of an inverse contract.
    Quotient(Quotient),
}

impl<'a> Units<'a> {
    pub(super) const fn new(conversion: &'a Conversion, unit: SizeUnit) -> Self {
        Self { conversion, unit }
    }

    /// What is done to a size.
    #[inline]
    pub(super) const fn conversion(self) -> &'a Conversion {
        match self.unit {
            SizeUnit::Base => self.conversion,
            SizeUnit::Native => &Conversion::None,
        }
    }

    /// A size at a price.
    #[inline]
    pub(super) fn sized(self, size: Decimal, price: Decimal) -> Result<Sized, RowError> {
        match self.conversion() {
            Conversion::None => Ok(Sized::Exact(size)),
            Conversion::Times(multiplier) => Ok(Sized::Exact(product(size, *multiplier)?)),
            Conversion::OverPrice(multiplier) => {
                Ok(Sized::Quotient(Quotient::new(size, *multiplier, price).ok_or(OutOfRange)?))
            }
            Conversion::Unknown => Err(RowError::MissingReference),
        }
    }

    /// The size of a row that has one.
    #[inline(always)]
    pub(super) fn size<N: Number>(self, size: Decimal, price: Decimal) -> Result<Numbers<N>, RowError> {
        match self.sized(size, price)? {
            Sized::Exact(size) => Ok(one(size)?),
            Sized::Quotient(size) => Ok(Numbers { values: N::quotient(size)?, scale: None, lossy: false }),
        }
    }

    /// The sizes of the two sides of a quote; price and size are given.
    #[inline(always)]
    pub(super) fn quoted<N: Number>(
        self,
        sides: [Option<&(Decimal, Decimal)>; 2],
    ) -> Result<Numbers<[Option<N>; 2]>, RowError> {
        if *self.conversion() == Conversion::None {
            return Ok(some(sides.map(|side| side.map(|(_, size)| size)))?);
        }
        let [bid, ask] = sides.map(|side| side.map(|(price, size)| self.sized(*size, *price)).transpose());
        sizes([bid?, ask?])
    }

    /// How many contracts a size is: what the exchange says, else the size itself where that is what it counts. A size
    /// that counts quote units one by one (× 1 ÷ price) tells nothing of contracts.
    pub(super) fn contracts(self, said: Option<Decimal>, size: Decimal) -> Option<Decimal> {
        said.or(match self.conversion {
            Conversion::Times(_) | Conversion::Unknown => Some(size),
            Conversion::OverPrice(multiplier) if *multiplier != Decimal::new(1, 0) => Some(size),
            Conversion::None | Conversion::OverPrice(_) => None,
        })
    }

    /// A size, and beside it how many contracts it is. In `fixed` both share a scale.
    #[inline(always)]
    pub(super) fn size_and_contracts<N: Number>(
        self,
        size: Decimal,
        price: Decimal,
        contracts: Option<Decimal>,
    ) -> Result<(Numbers<N>, Option<N>), RowError> {
        let Some(contracts) = contracts else {
            return Ok((self.size(size, price)?, None));
        };
        let numbers = sizes::<N, 2>([Some(self.sized(size, price)?), Some(Sized::Exact(contracts))])?;
        let [size, contracts] = numbers.values;
        let size = size.ok_or(OutOfRange)?;
        Ok((Numbers { values: size, scale: numbers.scale, lossy: numbers.lossy }, contracts))
    }

    /// Open interest. In base units it is what the exchange says of them, else converted, where it takes a price at the
    /// first of `prices` that is above zero; nothing where nobody knows.
    pub(super) fn open_interest(
        self,
        native: Option<Decimal>,
        base: Option<Decimal>,
        prices: impl IntoIterator<Item = Option<Decimal>>,
    ) -> Result<Option<Sized>, RowError> {
        if let (Some(base), SizeUnit::Base) = (base, self.unit) {
            return Ok(Some(Sized::Exact(base)));
        }
        let Some(native) = native else { return Ok(None) };
        match (self.conversion(), prices.into_iter().flatten().find(|price| price.mantissa > 0)) {
            (Conversion::OverPrice(_), None) | (Conversion::Unknown, _) => Ok(None),
            (_, price) => self.sized(native, price.unwrap_or_default()).map(Some),
        }
    }

    /// The scales that all levels of a message have in its rows. They count in `fixed`, where nothing is a quotient.
    pub(super) fn scales(self, sent: Scales) -> Result<Scales, OutOfRange> {
        let more = match self.conversion() {
            Conversion::Times(multiplier) => multiplier.scale,
            Conversion::None | Conversion::OverPrice(_) | Conversion::Unknown => 0,
        };
        Ok(Scales { size: sent.size.checked_add(more).ok_or(OutOfRange)?, ..sent })
    }

    /// True where converting changes scales only: sizes as sent, or × 10^-n.
    #[inline]
    pub(super) fn keeps_mantissas(self) -> bool {
        match self.conversion() {
            Conversion::None => true,
            Conversion::Times(multiplier) => multiplier.mantissa == 1,
            Conversion::OverPrice(_) | Conversion::Unknown => false,
        }
    }

    /// The size of one level, at the scale of all.
    #[inline]
    pub(super) fn level<N: Number>(self, size: Decimal, price: Decimal, scale: u8) -> Result<(N, bool), RowError> {
        match self.sized(size, price)? {
            Sized::Exact(size) => Ok((N::encode(size, scale).ok_or(OutOfRange)?, N::is_lossy(size))),
            Sized::Quotient(size) => Ok((N::quotient(size)?, false)),
        }
    }
}

/// Sizes of one row. In `fixed` they share a scale.
pub(super) fn sizes<N: Number, const K: usize>(given: [Option<Sized>; K]) -> Result<Numbers<[Option<N>; K]>, RowError> {
    let exact = given.each_ref().map(|size| match size {
        Some(Sized::Exact(size)) => Some(size),
        Some(Sized::Quotient(_)) | None => None,
    });
    let mut numbers = some::<N, K>(exact)?;
    for (value, given) in numbers.values.iter_mut().zip(given) {
        if let Some(Sized::Quotient(size)) = given {
            *value = Some(N::quotient(size)?);
        }
    }
    Ok(numbers)
}

fn product(size: Decimal, multiplier: Decimal) -> Result<Decimal, OutOfRange> {
    let exact = |a: Decimal, b: Decimal| {
        let scale = a.scale.checked_add(b.scale).filter(|scale| *scale <= MAX_SCALE)?;
        Some(Decimal::new(a.mantissa.checked_mul(b.mantissa)?, scale))
    };
    exact(size, multiplier).or_else(|| exact(size.trimmed(), multiplier.trimmed())).ok_or(OutOfRange)
}
