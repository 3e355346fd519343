//! Rows of `trades`.

use std::sync::Arc;

use arrow_array::{ArrayRef, new_null_array};
use arrow_schema::DataType;

use crate::config::BatchLimits;
use crate::event::{Texts, Trade, TradeId};
use crate::table::Table;

use super::column::{Arena, BLOCK, InArena, Nullable, Plain, Text};
use super::key::{KeyColumns, RowKey};
use super::number::{Number, Numbers, RowScales, ScaleColumns, one, some};
use super::open::{Context, Rows, row_capacity};
use super::units::Units;
use super::{OutOfRange, RowError};

/// The open rows.
#[derive(Debug)]
pub(super) struct Trades<N> {
    rows: Vec<Row<N>>,
    ids: Arena,
    extras: Vec<Extras<N>>,
}

/// What some exchanges say with a trade and others never: kept beside the rows, so that a row is no longer for it.
#[derive(Clone, Copy, Debug, Default)]
struct Extras<N> {
    contracts: Option<N>,
    index_price: Option<N>,
    mark_price: Option<N>,
}

#[derive(Debug)]
struct Row<N> {
    key: RowKey,
    id: Id,
    price: N,
    size: N,
    count: Option<i64>,
    first_id: Option<i64>,
    last_id: Option<i64>,
    seq: Option<i64>,
    side: i8,
    condition: i8,
    source: i8,
    has_extras: bool,
    scales: RowScales,
}

/// Numbers become text when the batch closes.
#[derive(Clone, Copy, Debug)]
enum Id {
    Number(i64),
    Text(InArena),
}

impl<N: Number> Trades<N> {
    #[inline]
    pub(super) fn push(
        &mut self,
        key: &RowKey,
        trade: &Trade,
        texts: &Texts,
        units: Units<'_>,
    ) -> Result<(), RowError> {
        let contracts = units.contracts(trade.contracts, trade.size);
        let has_prices = trade.index_price.is_some() || trade.mark_price.is_some();
        let (price, [index_price, mark_price]) =
            if has_prices { prices::<N>(trade)? } else { (one::<N>(trade.price)?, [None; 2]) };
        let (size, contracts) = units.size_and_contracts::<N>(trade.size, trade.price, contracts)?;
        let has_extras = has_prices || contracts.is_some();
        if has_extras {
            self.extras.push(Extras { contracts, index_price, mark_price });
        }
        self.rows.push(Row {
            key: key.flagged(price.lossy || size.lossy),
            id: match trade.id {
                TradeId::Number(number) => Id::Number(number),
                TradeId::Text(text) => Id::Text(self.ids.add(texts.get(text))),
            },
            price: price.values,
            size: size.values,
            count: trade.count,
            first_id: trade.first_id,
            last_id: trade.last_id,
            seq: trade.seq,
            side: trade.side as i8,
            condition: trade.condition as i8,
            source: trade.source as i8,
            has_extras,
            scales: RowScales { price: price.scale, size: size.scale },
        });
        Ok(())
    }
}

impl<N: Number> Trades<N> {
    /// The columns of contracts, index and mark price.
    fn extras(&self, number: &DataType) -> [ArrayRef; 3] {
        let n = self.rows.len();
        if self.extras.is_empty() {
            let none = new_null_array(number, n);
            return [Arc::clone(&none), Arc::clone(&none), none];
        }
        let [mut contracts, mut index_price, mut mark_price] = std::array::from_fn(|_| Nullable::new(n));
        let mut said = self.extras.iter();
        let mut extras = [Extras::default(); BLOCK];
        for block in self.rows.chunks(BLOCK) {
            for (extras, row) in extras.iter_mut().zip(block) {
                *extras = if row.has_extras { said.next().copied().unwrap_or_default() } else { Extras::default() };
            }
            let extras = &extras[..block.len()];
            contracts.extend(extras, |e| e.contracts);
            index_price.extend(extras, |e| e.index_price);
            mark_price.extend(extras, |e| e.mark_price);
        }
        [contracts.numbers(), index_price.numbers(), mark_price.numbers()]
    }
}

/// Price, index and mark price. In `fixed` they share a scale.
fn prices<N: Number>(trade: &Trade) -> Result<(Numbers<N>, [Option<N>; 2]), OutOfRange> {
    let numbers = some::<N, 3>([Some(&trade.price), trade.index_price.as_ref(), trade.mark_price.as_ref()])?;
    let [price, index_price, mark_price] = numbers.values;
    let price = Numbers { values: price.ok_or(OutOfRange)?, scale: numbers.scale, lossy: numbers.lossy };
    Ok((price, [index_price, mark_price]))
}

impl<N: Number> Rows for Trades<N> {
    const TABLE: Table = Table::Trades;

    fn reserve(limits: &BatchLimits) -> Self {
        let rows = row_capacity::<Row<N>>(limits);
        Self { rows: Vec::with_capacity(rows), ids: Arena::reserve(rows * 24), extras: Vec::with_capacity(rows) }
    }

    #[inline]
    fn len(&self) -> usize {
        self.rows.len()
    }

    #[inline]
    fn bytes(&self) -> usize {
        self.rows.len() * size_of::<Row<N>>() + self.ids.len() + self.extras.len() * size_of::<Extras<N>>()
    }

    fn take(&mut self, context: &Context) -> Vec<ArrayRef> {
        let n = self.rows.len();
        let mut keys = KeyColumns::new(n, context);
        let mut trade_id = Text::new(n);
        let mut side = Plain::new(n);
        let mut price = Plain::new(n);
        let mut size = Plain::new(n);
        let mut count = Nullable::new(n);
        let mut first_id = Nullable::new(n);
        let mut last_id = Nullable::new(n);
        let mut seq = Nullable::new(n);
        let mut condition = Plain::new(n);
        let mut source = Plain::new(n);
        let mut scales = ScaleColumns::new::<N>(n);
        for block in self.rows.chunks(BLOCK) {
            keys.extend(block, |r| &r.key);
            for row in block {
                match row.id {
                    Id::Number(number) => trade_id.push_number(number),
                    Id::Text(text) => trade_id.push(self.ids.get(text).as_bytes()),
                }
            }
            side.extend(block, |r| r.side);
            price.extend(block, |r| r.price);
            size.extend(block, |r| r.size);
            count.extend(block, |r| r.count);
            first_id.extend(block, |r| r.first_id);
            last_id.extend(block, |r| r.last_id);
            seq.extend(block, |r| r.seq);
            condition.extend(block, |r| r.condition);
            source.extend(block, |r| r.source);
            ScaleColumns::extend(&mut scales, block, |r| r.scales.each());
        }
        let price = price.numbers();
        let [contracts, index_price, mark_price] = self.extras(price.data_type());
        self.rows.clear();
        self.ids.clear();
        self.extras.clear();

        let mut columns = keys.finish();
        columns.extend([
            trade_id.array(),
            side.words(&context.words.side),
            price,
            size.numbers(),
            contracts,
            count.array(),
            first_id.array(),
            last_id.array(),
            seq.array(),
            condition.words(&context.words.condition),
            index_price,
            mark_price,
            source.words(&context.words.source),
        ]);
        ScaleColumns::finish(scales, &mut columns);
        columns
    }
}
