//! Rows of `options`.

use arrow_array::ArrayRef;

use crate::config::BatchLimits;
use crate::event::OptionState;
use crate::table::Table;

use super::RowError;
use super::column::{BLOCK, Nullable};
use super::key::{KeyColumns, RowKey};
use super::number::{Number, ScaleColumns, some};
use super::open::{Context, Rows, row_capacity};
use super::units::{Units, sizes};

/// The open rows.
#[derive(Debug)]
pub(super) struct Options<N> {
    rows: Vec<Row<N>>,
}

#[derive(Debug)]
struct Row<N> {
    key: RowKey,
    /// In the order of the schema: two prices, three volatilities, four greeks, the open interest.
    numbers: [Option<N>; NUMBERS],
    /// Of prices, sizes, volatilities and greeks.
    scales: [Option<i8>; 4],
}

const NUMBERS: usize = 10;

impl<N: Number> Options<N> {
    pub(super) fn push(&mut self, key: &RowKey, state: &OptionState, units: Units<'_>) -> Result<(), RowError> {
        let prices = [&state.underlying_price, &state.mark_price];
        let prices = some::<N, 2>(prices.map(Option::as_ref))?;
        let ivs = [&state.mark_iv, &state.bid_iv, &state.ask_iv];
        let ivs = some::<N, 3>(ivs.map(Option::as_ref))?;
        let greeks = [&state.delta, &state.gamma, &state.vega, &state.theta];
        let greeks = some::<N, 4>(greeks.map(Option::as_ref))?;
        let held = sizes::<N, 1>([units.open_interest(
            state.open_interest,
            state.open_interest_base,
            [state.underlying_price],
        )?])?;
        let ([underlying, mark], [mark_iv, bid_iv, ask_iv]) = (prices.values, ivs.values);
        let ([delta, gamma, vega, theta], [held_contracts]) = (greeks.values, held.values);
        self.rows.push(Row {
            key: key.flagged(prices.lossy || ivs.lossy || greeks.lossy || held.lossy),
            numbers: [underlying, mark, mark_iv, bid_iv, ask_iv, delta, gamma, vega, theta, held_contracts],
            scales: [prices.scale, held.scale, ivs.scale, greeks.scale],
        });
        Ok(())
    }
}

impl<N: Number> Rows for Options<N> {
    const TABLE: Table = Table::Options;

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
        let mut numbers: [Nullable<N>; NUMBERS] = std::array::from_fn(|_| Nullable::new(n));
        let mut scales = ScaleColumns::new::<N>(n);
        for block in self.rows.chunks(BLOCK) {
            keys.extend(block, |r| &r.key);
            numbers.iter_mut().enumerate().for_each(|(i, column)| column.extend(block, |r| r.numbers[i]));
            ScaleColumns::extend(&mut scales, block, |r| r.scales);
        }
        self.rows.clear();

        let mut columns = keys.finish();
        columns.extend(numbers.map(Nullable::numbers));
        ScaleColumns::finish(scales, &mut columns);
        columns
    }
}
