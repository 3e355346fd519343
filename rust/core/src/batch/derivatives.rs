//! Rows of `derivatives`.

use arrow_array::ArrayRef;

use crate::config::BatchLimits;
use crate::event::Derivative;
use crate::table::Table;

use super::RowError;
use super::column::{BLOCK, Nullable};
use super::key::{KeyColumns, RowKey};
use super::number::{Number, ScaleColumns, some};
use super::open::{Context, Rows, row_capacity};
use super::units::{Units, sizes};

/// The open rows.
#[derive(Debug)]
pub(super) struct Derivatives<N> {
    rows: Vec<Row<N>>,
}

#[derive(Debug)]
struct Row<N> {
    key: RowKey,
    /// Mark, index, last trade.
    prices: [Option<N>; 3],
    funding_rate: Option<N>,
    next_funding_time: Option<i64>,
    open_interest: Option<N>,
    /// Of prices, sizes and rates.
    scales: [Option<i8>; 3],
}

impl<N: Number> Derivatives<N> {
    pub(super) fn push(&mut self, key: &RowKey, state: &Derivative, units: Units<'_>) -> Result<(), RowError> {
        let prices = [&state.mark_price, &state.index_price, &state.last_price];
        let prices = some::<N, 3>(prices.map(Option::as_ref))?;
        let rates = some::<N, 1>([state.funding_rate.as_ref()])?;
        let prices_of = [state.mark_price, state.index_price];
        let held = units.open_interest(state.open_interest, state.open_interest_base, prices_of)?;
        let held = sizes::<N, 1>([held])?;
        self.rows.push(Row {
            key: key.flagged(prices.lossy || rates.lossy || held.lossy),
            prices: prices.values,
            funding_rate: rates.values[0],
            next_funding_time: state.next_funding_time,
            open_interest: held.values[0],
            scales: [prices.scale, held.scale, rates.scale],
        });
        Ok(())
    }
}

impl<N: Number> Rows for Derivatives<N> {
    const TABLE: Table = Table::Derivatives;

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
        let [mut mark_price, mut index_price, mut last_price] = std::array::from_fn(|_| Nullable::new(n));
        let mut funding_rate = Nullable::new(n);
        let mut next_funding_time = Nullable::new(n);
        let mut open_interest = Nullable::new(n);
        let mut scales = ScaleColumns::new::<N>(n);
        for block in self.rows.chunks(BLOCK) {
            keys.extend(block, |r| &r.key);
            mark_price.extend(block, |r| r.prices[0]);
            index_price.extend(block, |r| r.prices[1]);
            funding_rate.extend(block, |r| r.funding_rate);
            next_funding_time.extend(block, |r| r.next_funding_time);
            open_interest.extend(block, |r| r.open_interest);
            last_price.extend(block, |r| r.prices[2]);
            ScaleColumns::extend(&mut scales, block, |r| r.scales);
        }
        self.rows.clear();

        let mut columns = keys.finish();
        columns.extend([
            mark_price.numbers(),
            index_price.numbers(),
            funding_rate.numbers(),
            next_funding_time.timestamps(),
            open_interest.numbers(),
            last_price.numbers(),
        ]);
        ScaleColumns::finish(scales, &mut columns);
        columns
    }
}
