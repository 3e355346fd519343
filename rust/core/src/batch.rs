//! Rows into Arrow record batches.
//!
//! While a batch is open its rows lie whole, one after the other, in a buffer that is reserved once and kept; one
//! push is one row, so no row is ever visible in half. Closing turns the rows into columns of exact size, 64 rows at a
//! time while they are in the nearest cache. So a live batch of three rows pins three rows, and nothing that has been
//! handed out is ever written again. The values of lists and the payloads of `raw`, the bulk of all bytes, are written
//! once: a well-filled buffer is handed over as it stands, a nearly empty one is copied out and kept.
//!
//! [`key`] what every row begins with · [`schema`] the tables as Arrow schemas · [`column`] columns out of rows ·
//! [`number`] `float`, `decimal`, `fixed` · [`symbols`] texts of symbols · one file a table for the rest.

mod bbo;
mod column;
mod gaps;
mod instruments;
mod key;
mod l2;
mod levels;
mod number;
mod open;
mod raw;
mod schema;
mod symbols;
#[cfg(test)]
mod tests;
mod trades;

use std::collections::VecDeque;

use arrow_array::RecordBatch;

use crate::config::{BatchLimits, Numeric, SizeUnit};
use crate::event::{Bbo, BookHead, DecodedLevels, Texts, Trade};
use crate::instrument::Instrument;
use crate::table::{Source, Table};

pub use gaps::GapRow;
pub use key::{KeyExchange, RowKey};
pub use raw::RawRow;
pub use schema::schema;
pub use symbols::SymbolId;

use column::Words;
use number::Number;
use open::{Context, Open};
use symbols::Symbols;

/// A closed batch of one table: immutable, owned by whoever holds it.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The table it belongs to.
    pub table: Table,
    /// The rows. The schema's metadata carries `xtrader.table`, `xtrader.schema_version`, `xtrader.numeric` and
    /// `xtrader.size_unit`.
    pub rows: RecordBatch,
}

/// What the batches of one engine are to be.
#[derive(Clone, Debug)]
pub struct BatchConfig {
    /// How prices and sizes stand in the tables.
    pub numeric: Numeric,
    /// What a size counts. Sizes are written as they come; this is what the schema says of them.
    pub size_unit: SizeUnit,
    /// When a batch closes.
    pub limits: BatchLimits,
    /// The tables to fill. Rows of others are let go.
    pub tables: Vec<Table>,
}

/// A value that its column cannot hold: nothing of the row was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a value is beyond the type of its column")]
pub struct OutOfRange;

/// The open batches of one engine, and those that are closed and not yet taken.
#[derive(Debug)]
pub struct Batches {
    context: Context,
    priced: Priced,
    gaps: Option<Open<gaps::Gaps>>,
    raw: Option<Open<raw::Raw>>,
    closed: VecDeque<Batch>,
}

/// The tables whose columns depend on [`Numeric`]: decided once, so that a row meets one branch and no `dyn`.
#[derive(Debug)]
enum Priced {
    Float(PricedTables<f64>),
    Decimal(PricedTables<i128>),
    Fixed(PricedTables<i64>),
}

#[derive(Debug)]
struct PricedTables<N> {
    trades: Option<Open<trades::Trades<N>>>,
    l2: Option<Open<l2::L2<N>>>,
    levels: Option<Open<levels::Levels<N>>>,
    bbo: Option<Open<bbo::Quotes<N>>>,
    instruments: Option<Open<instruments::Instruments<N>>>,
}

/// The same expression on the tables of each numeric mode.
macro_rules! priced {
    ($priced:expr, $tables:ident => $body:expr) => {
        match $priced {
            Priced::Float($tables) => $body,
            Priced::Decimal($tables) => $body,
            Priced::Fixed($tables) => $body,
        }
    };
}

impl Batches {
    /// Reserves the buffers of every table that is wanted.
    #[must_use]
    pub fn new(config: BatchConfig) -> Self {
        let priced = match config.numeric {
            Numeric::Float => Priced::Float(PricedTables::new(&config)),
            Numeric::Decimal => Priced::Decimal(PricedTables::new(&config)),
            Numeric::Fixed => Priced::Fixed(PricedTables::new(&config)),
        };
        Self {
            priced,
            gaps: Open::if_wanted(&config),
            raw: Open::if_wanted(&config),
            context: Context { symbols: Symbols::default(), words: Words::default() },
            closed: VecDeque::with_capacity(64),
        }
    }

    /// The number of a symbol's text, to be asked once per instrument and put into its keys.
    pub fn intern(&mut self, symbol: &str) -> SymbolId {
        self.context.symbols.intern(symbol)
    }

    /// Whether rows of the table are kept.
    #[must_use]
    pub fn is_wanted(&self, table: Table) -> bool {
        match table {
            Table::Gaps => self.gaps.is_some(),
            Table::Raw => self.raw.is_some(),
            _ => priced!(&self.priced, t => t.is_wanted(table)),
        }
    }

    /// Appends to `trades`.
    ///
    /// # Errors
    /// A number beyond its column; nothing was written.
    #[inline]
    pub fn trade(&mut self, key: &RowKey, trade: &Trade, texts: &Texts) -> Result<(), OutOfRange> {
        priced!(&mut self.priced, t => match &mut t.trades {
            Some(open) => open.append(&self.context, &mut self.closed, |rows| rows.push(key, trade, texts)),
            None => Ok(()),
        })
    }

    /// Appends one book message to `l2`, to `levels` or to both, whichever is wanted. In `levels` its rows are
    /// numbered from `key.row` on and only the last one carries the flag `LAST`. `prev_id` is the book's id before
    /// this message; the one in `head` is the exchange's and stands in no table.
    ///
    /// # Errors
    /// A number beyond its column; nothing was written to either table.
    #[inline]
    pub fn book(
        &mut self,
        key: &RowKey,
        head: &BookHead,
        prev_id: Option<i64>,
        levels: &DecodedLevels,
        source: Source,
    ) -> Result<(), OutOfRange> {
        priced!(&mut self.priced, t => t.book(&self.context, &mut self.closed, key, head, prev_id, levels, source))
    }

    /// Appends to `bbo`.
    ///
    /// # Errors
    /// A number beyond its column; nothing was written.
    #[inline]
    pub fn bbo(&mut self, key: &RowKey, bbo: &Bbo) -> Result<(), OutOfRange> {
        priced!(&mut self.priced, t => match &mut t.bbo {
            Some(open) => open.append(&self.context, &mut self.closed, |rows| rows.push(key, bbo)),
            None => Ok(()),
        })
    }

    /// Appends to `gaps`.
    ///
    /// # Errors
    /// More connections than a list column can count; nothing was written.
    pub fn gap(&mut self, key: &RowKey, gap: &GapRow<'_>) -> Result<(), OutOfRange> {
        match &mut self.gaps {
            Some(open) => open.append(&self.context, &mut self.closed, |rows| rows.push(key, gap)),
            None => Ok(()),
        }
    }

    /// Appends to `instruments`. Valid from `valid_from` until `valid_to`, nanoseconds since the epoch.
    ///
    /// # Errors
    /// A number beyond its column; nothing was written.
    pub fn instrument(
        &mut self,
        key: &RowKey,
        instrument: &Instrument,
        valid_from: i64,
        valid_to: Option<i64>,
    ) -> Result<(), OutOfRange> {
        priced!(&mut self.priced, t => match &mut t.instruments {
            Some(open) => {
                open.append(&self.context, &mut self.closed, |rows| rows.push(key, instrument, valid_from, valid_to))
            }
            None => Ok(()),
        })
    }

    /// Appends to `raw`.
    ///
    /// # Errors
    /// A payload beyond the 2 GiB of a binary column; nothing was written.
    #[inline]
    pub fn raw(&mut self, key: &RowKey, row: &RawRow<'_>) -> Result<(), OutOfRange> {
        match &mut self.raw {
            Some(open) => open.append(&self.context, &mut self.closed, |rows| rows.push(key, row)),
            None => Ok(()),
        }
    }

    /// Closes every open batch that holds rows, in the order of [`Table::ALL`].
    pub fn close_all(&mut self) {
        let (context, closed) = (&self.context, &mut self.closed);
        priced!(&mut self.priced, t => t.close(context, closed));
        close(&mut self.gaps, context, closed);
        priced!(&mut self.priced, t => close(&mut t.instruments, context, closed));
        close(&mut self.raw, context, closed);
    }

    /// The next closed batch, oldest first.
    pub fn pop(&mut self) -> Option<Batch> {
        self.closed.pop_front()
    }

    /// Rows in open batches, of all tables.
    #[must_use]
    pub fn open_rows(&self) -> usize {
        rows(&self.gaps) + rows(&self.raw) + priced!(&self.priced, t => t.rows())
    }
}

impl<N: Number> PricedTables<N> {
    fn new(config: &BatchConfig) -> Self {
        Self {
            trades: Open::if_wanted(config),
            l2: Open::if_wanted(config),
            levels: Open::if_wanted(config),
            bbo: Open::if_wanted(config),
            instruments: Open::if_wanted(config),
        }
    }

    fn is_wanted(&self, table: Table) -> bool {
        match table {
            Table::Trades => self.trades.is_some(),
            Table::L2 => self.l2.is_some(),
            Table::Levels => self.levels.is_some(),
            Table::Bbo => self.bbo.is_some(),
            Table::Instruments => self.instruments.is_some(),
            Table::Gaps | Table::Raw => false,
            Table::L2Top | Table::Derivatives | Table::Options | Table::Liquidations => false,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the row and the two places it may go")]
    fn book(
        &mut self,
        context: &Context,
        closed: &mut VecDeque<Batch>,
        key: &RowKey,
        head: &BookHead,
        prev_id: Option<i64>,
        message: &DecodedLevels,
        source: Source,
    ) -> Result<(), OutOfRange> {
        // Both tables take the same numbers, so what `l2` took `levels` takes too.
        if let Some(open) = &mut self.l2 {
            open.append(context, closed, |rows| rows.push(key, head, prev_id, message, source))?;
        }
        let Some(open) = &mut self.levels else {
            return Ok(());
        };
        match &message.wide {
            None => open.append_all(context, closed, || levels::rows(key, head, &message.narrow)),
            Some(wide) => open.append_all(context, closed, || levels::rows(key, head, wide)),
        }
    }

    fn close(&mut self, context: &Context, closed: &mut VecDeque<Batch>) {
        close(&mut self.trades, context, closed);
        close(&mut self.l2, context, closed);
        close(&mut self.levels, context, closed);
        close(&mut self.bbo, context, closed);
    }

    fn rows(&self) -> usize {
        rows(&self.trades) + rows(&self.l2) + rows(&self.levels) + rows(&self.bbo) + rows(&self.instruments)
    }
}

fn close<R: open::Rows>(open: &mut Option<Open<R>>, context: &Context, closed: &mut VecDeque<Batch>) {
    if let Some(open) = open {
        open.close(context, closed);
    }
}

fn rows<R: open::Rows>(open: &Option<Open<R>>) -> usize {
    open.as_ref().map_or(0, |o| o.len())
}
