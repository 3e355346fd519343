//! Rows of `trades`.

use std::sync::Arc;

use arrow_array::{ArrayRef, new_null_array};

use crate::config::BatchLimits;
use crate::event::{Texts, Trade, TradeId};
use crate::table::{Table, flags};

use super::OutOfRange;
use super::column::{Arena, BLOCK, InArena, Nullable, Plain, Text};
use super::key::{KeyColumns, RowKey};
use super::number::{Number, RowScales, ScaleColumns, one};
use super::open::{Context, Rows, row_capacity};

/// The open rows.
#[derive(Debug)]
pub(super) struct Trades<N> {
    rows: Vec<Row<N>>,
    ids: Arena,
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
    pub(super) fn push(&mut self, key: &RowKey, trade: &Trade, texts: &Texts) -> Result<(), OutOfRange> {
        let (price, size) = (one::<N>(trade.price)?, one::<N>(trade.size)?);
        let mut key = *key;
        if price.lossy || size.lossy {
            key.flags |= flags::LOSSY;
        }
        self.rows.push(Row {
            key,
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
            scales: RowScales { price: price.scale, size: size.scale },
        });
        Ok(())
    }
}

impl<N: Number> Rows for Trades<N> {
    const TABLE: Table = Table::Trades;

    fn reserve(limits: &BatchLimits) -> Self {
        let rows = row_capacity::<Row<N>>(limits);
        Self { rows: Vec::with_capacity(rows), ids: Arena::reserve(rows * 24) }
    }

    #[inline]
    fn len(&self) -> usize {
        self.rows.len()
    }

    #[inline]
    fn bytes(&self) -> usize {
        self.rows.len() * size_of::<Row<N>>() + self.ids.len()
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
            ScaleColumns::extend(&mut scales, block, |r| r.scales);
        }
        self.rows.clear();
        self.ids.clear();

        let price = price.numbers();
        // No exchange here says these with its trades yet.
        let none = new_null_array(price.data_type(), n);
        let mut columns = keys.finish();
        columns.extend([
            trade_id.array(),
            side.words(&context.words.side),
            price,
            size.numbers(),
            Arc::clone(&none),
            count.array(),
            first_id.array(),
            last_id.array(),
            seq.array(),
            condition.words(&context.words.condition),
            Arc::clone(&none),
            none,
            source.words(&context.words.source),
        ]);
        ScaleColumns::finish(scales, &mut columns);
        columns
    }
}
