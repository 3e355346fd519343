//! Filling [`DecodedLevels`]: lists of levels as scanners walk them, and numbers that need more room than those before
//! them.

use xtrader_scan::{Cursor, Exact, Isa, LevelScales, NumberError, Run, Stop, exact, levels_with};

use crate::decimal::Decimal;
use crate::event::{DecodedLevels, Level, Levels, Scales};
use crate::report::RejectReason;

/// A side of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BookSide {
    Bids,
    Asks,
}

impl<M> Levels<M> {
    pub(crate) fn side_mut(&mut self, side: BookSide) -> &mut Vec<Level<M>> {
        match side {
            BookSide::Bids => &mut self.bids,
            BookSide::Asks => &mut self.asks,
        }
    }

    /// Levels of both sides.
    pub(crate) fn count(&self) -> usize {
        self.bids.len() + self.asks.len()
    }

    fn sides(&mut self) -> impl Iterator<Item = &mut Level<M>> {
        self.bids.iter_mut().chain(&mut self.asks)
    }
}

impl DecodedLevels {
    /// Levels of both sides, whichever form they have.
    #[must_use]
    pub fn count(&self) -> usize {
        self.wide.as_ref().map_or_else(|| self.narrow.count(), |wide| wide.count())
    }
}

impl From<NumberError> for RejectReason {
    fn from(error: NumberError) -> Self {
        match error {
            NumberError::Syntax => Self::Schema,
            NumberError::Range => Self::Range,
        }
    }
}

/// A price or size of a single event: at `scale`, or finer where its digits ask for it.
pub(crate) fn decimal(text: &[u8], scale: u8) -> Result<Decimal, RejectReason> {
    at_scale(exact(text)?, scale)
}

/// A size of a single event. Prices may be negative (combos), sizes never are.
pub(crate) fn size(text: &[u8], scale: u8) -> Result<Decimal, RejectReason> {
    not_negative(decimal(text, scale)?)
}

/// The same of a size that was read already.
pub(crate) fn not_negative(size: Decimal) -> Result<Decimal, RejectReason> {
    if size.mantissa < 0 { Err(RejectReason::Range) } else { Ok(size) }
}

/// A number that was read already, at `scale` or finer.
pub(crate) fn at_scale(number: Exact, scale: u8) -> Result<Decimal, RejectReason> {
    let scale = scale.max(number.scale);
    Ok(Decimal::new(number.at_scale(scale).ok_or(RejectReason::Range)?, scale))
}

/// One side as a list of `["price","size"]`, each with `MORE` further texts (OKX: two); see [`scan_side_with`].
pub(crate) fn scan_side<const MORE: usize>(
    isa: Isa,
    frame: &[u8],
    c: &mut Cursor<'_>,
    side: BookSide,
    max_levels: usize,
    out: &mut DecodedLevels,
) -> Option<()> {
    let kernel = |at, scales, room, list: &mut Vec<Level>| {
        levels_with::<MORE>(isa, frame, at, scales, room, |price, size| list.push(Level { price, size }))
    };
    scan_side_with(c, side, max_levels, out, kernel, odd_level::<MORE>)
}

/// One side as a list of levels: the kernel takes run after run of plain ones, from a position on, at scales, at most so
/// many, and between them each odd one is read exactly. `None` where the list has another shape, or more than
/// `max_levels` on both sides.
#[inline(always)]
pub(crate) fn scan_side_with<'a>(
    c: &mut Cursor<'a>,
    side: BookSide,
    max_levels: usize,
    out: &mut DecodedLevels,
    kernel: impl Fn(usize, LevelScales, usize, &mut Vec<Level>) -> Run,
    odd_level: impl Fn(&mut Cursor<'a>) -> Option<(Exact, Exact)>,
) -> Option<()> {
    c.expect(b"[")?;
    if c.eat(b"]") {
        return Some(());
    }
    loop {
        let room = max_levels.checked_sub(out.count())?;
        if out.wide.is_none() {
            let scales = LevelScales { price: out.narrow.scales.price, size: out.narrow.scales.size };
            let run = kernel(c.at(), scales, room, out.narrow.side_mut(side));
            c.set(run.at);
            match run.stop {
                Stop::Closed => return Some(()),
                Stop::Full => return None,
                Stop::Odd => {}
            }
        }
        if out.count() >= max_levels {
            return None;
        }
        let (price, size) = odd_level(c)?;
        push(out, side, price, size).ok()?;
        if !c.eat(b",") {
            return c.expect(b"]");
        }
    }
}

/// A level whose numbers are finer or larger than the kernel takes.
#[cold]
pub(crate) fn odd_level<const MORE: usize>(c: &mut Cursor<'_>) -> Option<(Exact, Exact)> {
    c.expect(b"[\"")?;
    let price = exact(c.text()?).ok()?;
    c.expect(b",\"")?;
    let size = exact(c.text()?).ok()?;
    for _ in 0..MORE {
        c.expect(b",\"")?;
        c.skip_number()?;
    }
    c.expect(b"]")?;
    Some((price, size))
}

/// Appends one level. A finer number rescales the levels before it; one that an `i64` cannot hold makes the whole
/// message wide. The kernels leave whatever has a sign to this.
pub(crate) fn push(out: &mut DecodedLevels, side: BookSide, price: Exact, size: Exact) -> Result<(), RejectReason> {
    if size.mantissa < 0 {
        return Err(RejectReason::Range);
    }
    let now = out.scales();
    let wanted = Scales { price: now.price.max(price.scale), size: now.size.max(size.scale) };
    if wanted != now {
        rescale(out, now, wanted)?;
    }
    let price = price.at_scale(wanted.price).ok_or(RejectReason::Range)?;
    let size = size.at_scale(wanted.size).ok_or(RejectReason::Range)?;
    if out.wide.is_none()
        && let (Ok(price), Ok(size)) = (i64::try_from(price), i64::try_from(size))
    {
        out.narrow.side_mut(side).push(Level { price, size });
        return Ok(());
    }
    wide(out).side_mut(side).push(Level { price, size });
    Ok(())
}

/// The wide form, made from the narrow one if there is none yet.
fn wide(out: &mut DecodedLevels) -> &mut Levels<i128> {
    let DecodedLevels { narrow, wide, .. } = out;
    wide.get_or_insert_with(|| {
        let widened = |list: &mut Vec<Level>| {
            list.drain(..).map(|l| Level { price: i128::from(l.price), size: i128::from(l.size) }).collect()
        };
        let (bids, asks) = (widened(&mut narrow.bids), widened(&mut narrow.asks));
        Box::new(Levels { scales: narrow.scales, bids, asks })
    })
}

#[cold]
fn rescale(out: &mut DecodedLevels, from: Scales, to: Scales) -> Result<(), RejectReason> {
    // By way of `Exact`, which holds the bound of 38 digits.
    let at = |mantissa: i128, from: u8, to: u8| Exact { mantissa, scale: from }.at_scale(to).ok_or(RejectReason::Range);
    if out.wide.is_none() {
        let fits = |mantissa: i64, from: u8, to: u8| {
            at(i128::from(mantissa), from, to).is_ok_and(|m| i64::try_from(m).is_ok())
        };
        let all = out.narrow.sides().all(|l| fits(l.price, from.price, to.price) && fits(l.size, from.size, to.size));
        if all {
            let narrow =
                |m: i64, from, to| i64::try_from(at(i128::from(m), from, to)?).map_err(|_| RejectReason::Range);
            for level in out.narrow.sides() {
                level.price = narrow(level.price, from.price, to.price)?;
                level.size = narrow(level.size, from.size, to.size)?;
            }
            out.narrow.scales = to;
            return Ok(());
        }
    }
    let wide = wide(out);
    for level in wide.sides() {
        level.price = at(level.price, from.price, to.price)?;
        level.size = at(level.size, from.size, to.size)?;
    }
    wide.scales = to;
    Ok(())
}

#[cfg(test)]
mod tests;
