//! Rows into Arrow record batches.
//!
//! While a batch is open its rows lie whole, one after the other, in a buffer that is reserved once and kept; one
//! push is one row, so no row is ever visible in half. Closing turns the rows into columns of exact size, 64 rows at a
//! time while they are in the nearest cache. So a live batch of three rows pins three rows, and nothing that has been
//! handed out is ever written again. The values of lists and the payloads of `raw`, the bulk of all bytes, are written
//! once: a well-filled buffer is handed over as it stands, a nearly empty one is copied out and kept.
//!
//! [`key`] what every row begins with · [`schema`] the tables as Arrow schemas · [`column`] columns out of rows ·
//! [`number`] `float`, `decimal`, `fixed` · [`units`] sizes in base units, [`quotient`] those of inverse contracts ·
//! [`sides`] levels in lists · [`symbols`] texts of symbols · one file a table for the rest.

mod bbo;
mod column;
mod connections;
mod derivatives;
mod gaps;
mod instruments;
mod key;
mod l2;
mod l2_top;
mod levels;
mod liquidations;
mod number;
mod open;
mod options;
mod quotient;
mod raw;
mod schema;
mod sides;
mod symbols;
#[cfg(test)]
mod tests;
mod trades;
mod units;

use std::collections::VecDeque;

use arrow_array::RecordBatch;

use crate::config::{BatchLimits, Numeric, SizeUnit};
use crate::decimal::Decimal;
use crate::event::{Bbo, BookHead, DecodedLevels, Derivative, Liquidation, OptionState, Texts, Trade};
use crate::instrument::{Conversion, Instrument};
use crate::table::{Source, Table};

pub use connections::ConnectionRow;
pub use gaps::GapRow;
pub use key::{KeyExchange, RowKey};
pub use raw::RawRow;
pub use schema::schema;
pub use symbols::SymbolId;

use column::Words;
use number::Number;
use open::{Context, Open};
use symbols::Symbols;
use units::Units;

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
    /// What a size counts: in `native` they are written as they come, whatever [`Conversion`] is given.
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

/// Why a row with sizes was refused: nothing of it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// A value that its column cannot hold.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// Base units of an inverse contract are quotients, and `fixed` holds none. What to do: take `decimal`, `float` or
    /// native sizes.
    #[error("sizes of inverse contracts in base units do not fit numeric \"fixed\"")]
    QuotientInFixed,
    /// Only reference data tell what a contract of the instrument is worth, and there are none. What to do: take native
    /// sizes.
    #[error("base units of these contracts take reference data that is not there")]
    MissingReference,
}

/// The open batches of one engine, and those that are closed and not yet taken.
#[derive(Debug)]
pub struct Batches {
    context: Context,
    size_unit: SizeUnit,
    priced: Priced,
    gaps: Option<Open<gaps::Gaps>>,
    raw: Option<Open<raw::Raw>>,
    connections: Option<Open<connections::Connections>>,
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
    l2_top: Option<Open<l2_top::L2Top<N>>>,
    derivatives: Option<Open<derivatives::Derivatives<N>>>,
    options: Option<Open<options::Options<N>>>,
    liquidations: Option<Open<liquidations::Liquidations<N>>>,
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
            size_unit: config.size_unit,
            priced,
            gaps: Open::if_wanted(&config),
            raw: Open::if_wanted(&config),
            connections: Open::if_wanted(&config),
            context: Context { symbols: Symbols::default(), words: Words::default() },
            closed: VecDeque::with_capacity(64),
        }
    }

    /// The number of a symbol's text, to be asked once per instrument and put into its keys.
    pub fn intern(&mut self, symbol: &str) -> SymbolId {
        self.context.symbols.intern(symbol)
    }

    /// Whether rows of the table are kept.
    #[inline]
    #[must_use]
    pub fn is_wanted(&self, table: Table) -> bool {
        match table {
            Table::Gaps => self.gaps.is_some(),
            Table::Raw => self.raw.is_some(),
            Table::Connections => self.connections.is_some(),
            _ => priced!(&self.priced, t => t.is_wanted(table)),
        }
    }

    /// What the number stands for.
    pub(crate) fn text(&self, symbol: SymbolId) -> &str {
        &self.context.symbols.text(symbol).text
    }

    /// Appends to `trades`. `texts` holds its id, where that is one.
    ///
    /// # Errors
    /// A number beyond its column, or a size that cannot be converted; nothing was written.
    #[inline]
    pub fn trade(
        &mut self,
        key: &RowKey,
        trade: &Trade,
        texts: &Texts,
        conversion: &Conversion,
    ) -> Result<(), RowError> {
        let units = Units::new(conversion, self.size_unit);
        priced!(&mut self.priced, t => match &mut t.trades {
            Some(open) => open.append(&self.context, &mut self.closed, |rows| rows.push(key, trade, texts, units)),
            None => Ok(()),
        })
    }

    /// Appends one book message to `l2`, to `levels` or to both, whichever is wanted. In `levels` its rows are
    /// numbered from `key.row` on and only the last one carries the flag `LAST`. `prev_id` is the book's id before
    /// this message; the one in `head` is the exchange's and stands in no table.
    ///
    /// # Errors
    /// As [`Self::trade`]; nothing was written to either table.
    #[inline]
    pub fn book(
        &mut self,
        key: &RowKey,
        head: &BookHead,
        prev_id: Option<i64>,
        levels: &DecodedLevels,
        source: Source,
        conversion: &Conversion,
    ) -> Result<(), RowError> {
        let units = Units::new(conversion, self.size_unit);
        let (context, closed) = (&self.context, &mut self.closed);
        priced!(&mut self.priced, t => t.book(context, closed, key, head, prev_id, levels, source, units))
    }

    /// Appends to `bbo`.
    ///
    /// # Errors
    /// As [`Self::trade`].
    #[inline]
    pub fn bbo(&mut self, key: &RowKey, bbo: &Bbo, conversion: &Conversion) -> Result<(), RowError> {
        let units = Units::new(conversion, self.size_unit);
        priced!(&mut self.priced, t => match &mut t.bbo {
            Some(open) => open.append(&self.context, &mut self.closed, |rows| rows.push(key, bbo, units)),
            None => Ok(()),
        })
    }

    /// Appends to `l2_top`: price and size of the best bids and offers, best first. Prices share a scale, sizes share
    /// one, as those of a book do.
    ///
    /// # Errors
    /// As [`Self::trade`].
    pub fn l2_top(
        &mut self,
        key: &RowKey,
        bids: impl Iterator<Item = (Decimal, Decimal)>,
        asks: impl Iterator<Item = (Decimal, Decimal)>,
        conversion: &Conversion,
    ) -> Result<(), RowError> {
        let units = Units::new(conversion, self.size_unit);
        priced!(&mut self.priced, t => match &mut t.l2_top {
            Some(open) => open.append(&self.context, &mut self.closed, |rows| rows.push(key, bids, asks, units)),
            None => Ok(()),
        })
    }

    /// Appends to `derivatives`. Open interest in base units is what the exchange says of them, else converted, for
    /// inverse contracts at the row's mark price, else its index price; null where there is neither.
    ///
    /// # Errors
    /// As [`Self::trade`].
    pub fn derivative(
        &mut self,
        key: &RowKey,
        derivative: &Derivative,
        conversion: &Conversion,
    ) -> Result<(), RowError> {
        let units = Units::new(conversion, self.size_unit);
        priced!(&mut self.priced, t => match &mut t.derivatives {
            Some(open) => open.append(&self.context, &mut self.closed, |rows| rows.push(key, derivative, units)),
            None => Ok(()),
        })
    }

    /// Appends to `options`. Open interest as in [`Self::derivative`], at the price of the underlying.
    ///
    /// # Errors
    /// As [`Self::trade`].
    pub fn option(&mut self, key: &RowKey, option: &OptionState, conversion: &Conversion) -> Result<(), RowError> {
        let units = Units::new(conversion, self.size_unit);
        priced!(&mut self.priced, t => match &mut t.options {
            Some(open) => open.append(&self.context, &mut self.closed, |rows| rows.push(key, option, units)),
            None => Ok(()),
        })
    }

    /// Appends to `liquidations`.
    ///
    /// # Errors
    /// As [`Self::trade`].
    pub fn liquidation(
        &mut self,
        key: &RowKey,
        liquidation: &Liquidation,
        conversion: &Conversion,
    ) -> Result<(), RowError> {
        let units = Units::new(conversion, self.size_unit);
        priced!(&mut self.priced, t => match &mut t.liquidations {
            Some(open) => open.append(&self.context, &mut self.closed, |rows| rows.push(key, liquidation, units)),
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

    /// Appends to `connections`.
    ///
    /// # Errors
    /// None so far; as the other tables.
    pub fn connection(&mut self, key: &RowKey, row: &ConnectionRow<'_>) -> Result<(), OutOfRange> {
        match &mut self.connections {
            Some(open) => open.append(&self.context, &mut self.closed, |rows| rows.push(key, row)),
            None => Ok(()),
        }
    }

    /// Closes every open batch that holds rows, in the order of [`Table::ALL`].
    pub fn close_all(&mut self) {
        let (context, closed) = (&self.context, &mut self.closed);
        priced!(&mut self.priced, t => t.close_markets(context, closed));
        close(&mut self.gaps, context, closed);
        priced!(&mut self.priced, t => close(&mut t.instruments, context, closed));
        close(&mut self.raw, context, closed);
        priced!(&mut self.priced, t => t.close_states(context, closed));
        close(&mut self.connections, context, closed);
    }

    /// The next closed batch, oldest first.
    #[inline]
    pub fn pop(&mut self) -> Option<Batch> {
        // Most often there is none.
        if self.closed.is_empty() {
            return None;
        }
        self.closed.pop_front()
    }

    /// Rows in open batches, of all tables.
    #[must_use]
    pub fn open_rows(&self) -> usize {
        rows(&self.gaps) + rows(&self.raw) + rows(&self.connections) + priced!(&self.priced, t => t.rows())
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
            l2_top: Open::if_wanted(config),
            derivatives: Open::if_wanted(config),
            options: Open::if_wanted(config),
            liquidations: Open::if_wanted(config),
        }
    }

    fn is_wanted(&self, table: Table) -> bool {
        match table {
            Table::Trades => self.trades.is_some(),
            Table::L2 => self.l2.is_some(),
            Table::Levels => self.levels.is_some(),
            Table::Bbo => self.bbo.is_some(),
            Table::Instruments => self.instruments.is_some(),
            Table::L2Top => self.l2_top.is_some(),
            Table::Derivatives => self.derivatives.is_some(),
            Table::Options => self.options.is_some(),
            Table::Liquidations => self.liquidations.is_some(),
            Table::Gaps | Table::Raw | Table::Connections => false,
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
        units: Units<'_>,
    ) -> Result<(), RowError> {
        // Both tables take the same numbers, so what `l2` took `levels` takes too.
        if let Some(open) = &mut self.l2 {
            open.append(context, closed, |rows| rows.push(key, head, prev_id, message, source, units))?;
        }
        let Some(open) = &mut self.levels else {
            return Ok(());
        };
        let scales = units.scales(message.scales())?;
        match &message.wide {
            None => open.append_all(context, closed, units, || levels::rows(key, head, &message.narrow, scales, units)),
            Some(wide) => open.append_all(context, closed, units, || levels::rows(key, head, wide, scales, units)),
        }
    }

    fn close_markets(&mut self, context: &Context, closed: &mut VecDeque<Batch>) {
        close(&mut self.trades, context, closed);
        close(&mut self.l2, context, closed);
        close(&mut self.levels, context, closed);
        close(&mut self.bbo, context, closed);
    }

    fn close_states(&mut self, context: &Context, closed: &mut VecDeque<Batch>) {
        close(&mut self.l2_top, context, closed);
        close(&mut self.derivatives, context, closed);
        close(&mut self.options, context, closed);
        close(&mut self.liquidations, context, closed);
    }

    fn rows(&self) -> usize {
        let markets = rows(&self.trades) + rows(&self.l2) + rows(&self.levels) + rows(&self.bbo);
        let states = rows(&self.derivatives) + rows(&self.options) + rows(&self.liquidations);
        markets + rows(&self.l2_top) + states + rows(&self.instruments)
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
