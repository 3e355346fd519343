//! Rows of `instruments`.

use arrow_array::ArrayRef;

use crate::config::BatchLimits;
use crate::instrument::Instrument;
use crate::table::Table;

use super::OutOfRange;
use super::column::{Arena, BLOCK, Bits, InArena, Nullable, Plain};
use super::key::{KeyColumns, RowKey};
use super::number::{Number, RowScales, ScaleColumns, some};
use super::open::{Context, Rows, row_capacity};

/// The open rows and their texts.
#[derive(Debug)]
pub(super) struct Instruments<N> {
    rows: Vec<Row<N>>,
    texts: Arena,
}

#[derive(Debug)]
struct Row<N> {
    key: RowKey,
    native_symbol: InArena,
    base: InArena,
    quote: InArena,
    settle: InArena,
    status_native: InArena,
    /// Tick size, smallest notional, strike.
    prices: [Option<N>; 3],
    lot_size: Option<N>,
    multiplier: N,
    expiry: Option<i64>,
    valid_from: i64,
    valid_to: Option<i64>,
    kind: i8,
    option_type: Option<i8>,
    status: i8,
    inverse: bool,
    scales: RowScales,
}

impl<N: Number> Instruments<N> {
    pub(super) fn push(
        &mut self,
        key: &RowKey,
        instrument: &Instrument,
        valid_from: i64,
        valid_to: Option<i64>,
    ) -> Result<(), OutOfRange> {
        let prices = [&instrument.tick_size, &instrument.min_notional, &instrument.strike];
        let prices = some::<N, 3>(prices.map(Option::as_ref))?;
        let sizes = some::<N, 2>([instrument.lot_size.as_ref(), Some(&instrument.multiplier)])?;
        let [lot_size, multiplier] = sizes.values;
        let texts = &mut self.texts;
        self.rows.push(Row {
            key: key.flagged(prices.lossy || sizes.lossy),
            native_symbol: texts.add(&instrument.native_symbol),
            base: texts.add(&instrument.base),
            quote: texts.add(&instrument.quote),
            settle: texts.add(&instrument.settle),
            status_native: texts.add(&instrument.status_native),
            prices: prices.values,
            lot_size,
            multiplier: multiplier.ok_or(OutOfRange)?,
            expiry: instrument.expiry,
            valid_from,
            valid_to,
            kind: instrument.kind as i8,
            option_type: instrument.option_type.map(|t| t as i8),
            status: instrument.status as i8,
            inverse: instrument.inverse,
            scales: RowScales { price: prices.scale, size: sizes.scale },
        });
        Ok(())
    }
}

/// Bytes reserved for the texts of one row.
const USUAL_TEXTS: usize = 64;

impl<N: Number> Rows for Instruments<N> {
    const TABLE: Table = Table::Instruments;

    fn reserve(limits: &BatchLimits) -> Self {
        let rows = row_capacity::<Row<N>>(limits);
        Self { rows: Vec::with_capacity(rows), texts: Arena::reserve(rows * USUAL_TEXTS) }
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn bytes(&self) -> usize {
        self.rows.len() * size_of::<Row<N>>() + self.texts.len()
    }

    fn take(&mut self, context: &Context) -> Vec<ArrayRef> {
        let n = self.rows.len();
        let words = &context.words;
        let mut keys = KeyColumns::new(n, context);
        let mut kind = Plain::new(n);
        let mut tick_size = Nullable::new(n);
        let mut lot_size = Nullable::new(n);
        let mut min_notional = Nullable::new(n);
        let mut multiplier = Plain::new(n);
        let mut inverse = Bits::new(n);
        let mut expiry = Nullable::new(n);
        let mut strike = Nullable::new(n);
        let mut option_type = Nullable::new(n);
        let mut status = Plain::new(n);
        let mut valid_from = Plain::new(n);
        let mut valid_to = Nullable::new(n);
        let mut scales = ScaleColumns::new::<N>(n);
        for block in self.rows.chunks(BLOCK) {
            keys.extend(block, |r| &r.key);
            kind.extend(block, |r| r.kind);
            tick_size.extend(block, |r| r.prices[0]);
            lot_size.extend(block, |r| r.lot_size);
            min_notional.extend(block, |r| r.prices[1]);
            multiplier.extend(block, |r| r.multiplier);
            inverse.extend(block, |r| r.inverse);
            expiry.extend(block, |r| r.expiry);
            strike.extend(block, |r| r.prices[2]);
            option_type.extend(block, |r| r.option_type);
            status.extend(block, |r| r.status);
            valid_from.extend(block, |r| r.valid_from);
            valid_to.extend(block, |r| r.valid_to);
            ScaleColumns::extend(&mut scales, block, |r| r.scales.each());
        }
        let text = |place: fn(&Row<N>) -> InArena| self.texts.column(&self.rows, place);
        let mut columns = keys.finish();
        columns.extend([
            text(|r| r.native_symbol),
            kind.words(&words.instrument_kind),
            text(|r| r.base),
            text(|r| r.quote),
            text(|r| r.settle),
            tick_size.numbers(),
            lot_size.numbers(),
            min_notional.numbers(),
            multiplier.numbers(),
            inverse.array(),
            expiry.timestamps(),
            strike.numbers(),
            option_type.words(&words.option_type),
            status.words(&words.status),
            text(|r| r.status_native),
            valid_from.timestamps(),
            valid_to.timestamps(),
        ]);
        ScaleColumns::finish(scales, &mut columns);
        self.rows.clear();
        self.texts.clear();
        columns
    }
}
