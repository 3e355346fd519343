//! Rows of `bbo`.

use arrow_array::ArrayRef;

use crate::config::BatchLimits;
use crate::event::Bbo;
use crate::table::Table;

use super::RowError;
use super::column::{BLOCK, Nullable};
use super::key::{KeyColumns, RowKey};
use super::number::{Number, RowScales, ScaleColumns, some};
use super::open::{Context, Rows, row_capacity};
use super::units::Units;

/// The open rows.
#[derive(Debug)]
pub(super) struct Quotes<N> {
    rows: Vec<Row<N>>,
}

#[derive(Debug)]
struct Row<N> {
    key: RowKey,
    prices: [Option<N>; 2],
    sizes: [Option<N>; 2],
    update_id: Option<i64>,
    scales: RowScales,
}

impl<N: Number> Quotes<N> {
    #[inline]
    pub(super) fn push(&mut self, key: &RowKey, bbo: &Bbo, units: Units<'_>) -> Result<(), RowError> {
        let sides = [bbo.bid.as_ref(), bbo.ask.as_ref()];
        let prices = some::<N, 2>(sides.map(|side| side.map(|(price, _)| price)))?;
        let sizes = units.quoted::<N>(sides)?;
        self.rows.push(Row {
            key: key.flagged(prices.lossy || sizes.lossy),
            prices: prices.values,
            sizes: sizes.values,
            update_id: bbo.update_id,
            scales: RowScales { price: prices.scale, size: sizes.scale },
        });
        Ok(())
    }
}

impl<N: Number> Rows for Quotes<N> {
    const TABLE: Table = Table::Bbo;

    fn reserve(limits: &BatchLimits) -> Self {
        Self { rows: Vec::with_capacity(row_capacity::<Row<N>>(limits)) }
    }

    #[inline]
    fn len(&self) -> usize {
        self.rows.len()
    }

    #[inline]
    fn bytes(&self) -> usize {
        self.rows.len() * size_of::<Row<N>>()
    }

    fn take(&mut self, context: &Context) -> Vec<ArrayRef> {
        let n = self.rows.len();
        let mut keys = KeyColumns::new(n, context);
        let mut bid_price = Nullable::new(n);
        let mut bid_size = Nullable::new(n);
        let mut ask_price = Nullable::new(n);
        let mut ask_size = Nullable::new(n);
        let mut update_id = Nullable::new(n);
        let mut scales = ScaleColumns::new::<N>(n);
        for block in self.rows.chunks(BLOCK) {
            keys.extend(block, |r| &r.key);
            bid_price.extend(block, |r| r.prices[0]);
            bid_size.extend(block, |r| r.sizes[0]);
            ask_price.extend(block, |r| r.prices[1]);
            ask_size.extend(block, |r| r.sizes[1]);
            update_id.extend(block, |r| r.update_id);
            ScaleColumns::extend(&mut scales, block, |r| r.scales.each());
        }
        self.rows.clear();

        let mut columns = keys.finish();
        columns.extend([
            bid_price.numbers(),
            bid_size.numbers(),
            ask_price.numbers(),
            ask_size.numbers(),
            update_id.array(),
        ]);
        ScaleColumns::finish(scales, &mut columns);
        columns
    }
}
