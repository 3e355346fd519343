//! Rows of `liquidations`.

use arrow_array::ArrayRef;

use crate::config::BatchLimits;
use crate::event::Liquidation;
use crate::table::Table;

use super::RowError;
use super::column::{BLOCK, Nullable, Plain};
use super::key::{KeyColumns, RowKey};
use super::number::{Number, RowScales, ScaleColumns, one};
use super::open::{Context, Rows, row_capacity};
use super::units::Units;

/// The open rows.
#[derive(Debug)]
pub(super) struct Liquidations<N> {
    rows: Vec<Row<N>>,
}

#[derive(Debug)]
struct Row<N> {
    key: RowKey,
    id: Option<i64>,
    price: N,
    size: N,
    contracts: Option<N>,
    side: i8,
    scales: RowScales,
}

impl<N: Number> Liquidations<N> {
    pub(super) fn push(&mut self, key: &RowKey, event: &Liquidation, units: Units<'_>) -> Result<(), RowError> {
        let price = one::<N>(event.price)?;
        let (sizes, contracts) =
            units.size_and_contracts::<N>(event.size, event.price, units.contracts(event.contracts, event.size))?;
        self.rows.push(Row {
            key: key.flagged(price.lossy || sizes.lossy),
            id: event.id,
            price: price.values,
            size: sizes.values,
            contracts,
            side: event.side as i8,
            scales: RowScales { price: price.scale, size: sizes.scale },
        });
        Ok(())
    }
}

impl<N: Number> Rows for Liquidations<N> {
    const TABLE: Table = Table::Liquidations;

    fn reserve(limits: &BatchLimits) -> Self {
        Self { rows: Vec::with_capacity(row_capacity::<Row<N>>(limits)) }
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn bytes(&self) -> usize {
        self.rows.len() * size_of::<Row<N>>()
    }

    fn take(&mut self, context: &Context) -> Vec<ArrayRef> {
        let n = self.rows.len();
        let mut keys = KeyColumns::new(n, context);
        let mut id = Nullable::new(n);
        let mut side = Plain::new(n);
        let mut price = Plain::new(n);
        let mut size = Plain::new(n);
        let mut contracts = Nullable::new(n);
        let mut scales = ScaleColumns::new::<N>(n);
        for block in self.rows.chunks(BLOCK) {
            keys.extend(block, |r| &r.key);
            id.extend(block, |r| r.id);
            side.extend(block, |r| r.side);
            price.extend(block, |r| r.price);
            size.extend(block, |r| r.size);
            contracts.extend(block, |r| r.contracts);
            ScaleColumns::extend(&mut scales, block, |r| r.scales.each());
        }
        self.rows.clear();

        let mut columns = keys.finish();
        columns.extend([
            id.array(),
            side.words(&context.words.side),
            price.numbers(),
            size.numbers(),
            contracts.numbers(),
        ]);
        ScaleColumns::finish(scales, &mut columns);
        columns
    }
}
