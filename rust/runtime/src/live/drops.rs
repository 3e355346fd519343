//! Dropped batches as rows of `gaps`: what the consumer missed is data, like what the exchange withheld.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampNanosecondType};
use xtrader_core::batch::{Batch, BatchConfig, Batches, GapRow, KeyExchange, RowKey, SymbolId};
use xtrader_core::config::EngineConfig;
use xtrader_core::symbol::ConnId;
use xtrader_core::table::{GapCause, GapEvidence, GapScope, GapUnit, Repaired, Table};

/// Batches dropped at one place of the queue, by table.
#[derive(Clone, Debug, Default)]
pub struct Drops {
    tables: Vec<Drop>,
}

#[derive(Clone, Copy, Debug)]
struct Drop {
    table: Table,
    rows: i64,
    /// Receive time of the last row of this table before the hole.
    last_good: Option<i64>,
    detected: i64,
    /// The message of the first row that is missing: the rows about it stand before that message.
    msg_id: i64,
}

impl Drops {
    /// One more batch was dropped here.
    pub fn add(&mut self, batch: &Batch, last_good: Option<i64>, now: i64) {
        let rows = i64::try_from(batch.rows.num_rows()).unwrap_or(i64::MAX);
        if let Some(drop) = self.tables.iter_mut().find(|d| d.table == batch.table) {
            drop.rows = drop.rows.saturating_add(rows);
            return;
        }
        let msg_id = batch.rows.column_by_name("msg_id").and_then(|c| c.as_primitive_opt::<Int64Type>());
        self.tables.push(Drop {
            table: batch.table,
            rows,
            last_good,
            detected: now,
            msg_id: msg_id.and_then(|c| c.values().first().copied()).unwrap_or_default(),
        });
    }
}

/// Receive time of a batch's last row.
#[must_use]
pub fn last_recv(batch: &Batch) -> Option<i64> {
    let column = batch.rows.column_by_name("ts_recv")?.as_primitive_opt::<TimestampNanosecondType>()?;
    column.values().last().copied()
}

/// Writes the rows. Gap ids and rows count down from −1, where those of the engine count up: no key comes twice.
#[derive(Debug)]
pub struct Gaps {
    batches: Batches,
    key: RowKey,
    last_id: i64,
    last_row: i32,
}

impl Gaps {
    /// For the tables that `config` asks for: without `gaps` among them, drops are only counted.
    #[must_use]
    pub fn new(config: &EngineConfig) -> Self {
        let batches = Batches::new(BatchConfig {
            numeric: config.numeric,
            size_unit: config.size_unit,
            limits: config.batch,
            tables: config.tables.iter().copied().filter(|t| *t == Table::Gaps).collect(),
        });
        let key = RowKey {
            ts_event: None,
            ts_venue: None,
            ts_recv: 0,
            exchange: KeyExchange::from(config.venue),
            symbol: SymbolId::NONE,
            shard: config.shard,
            msg_id: 0,
            row: 0,
            conn: ConnId::NONE,
            flags: 0,
        };
        Self { batches, key, last_id: 0, last_row: 0 }
    }

    /// Two rows per table: it was noticed, and now it goes on.
    pub fn rows(&mut self, drops: &Drops, now: i64) -> Option<Batch> {
        for drop in &drops.tables {
            self.last_id = self.last_id.saturating_sub(1);
            self.last_row = self.last_row.saturating_sub(2);
            let noticed = GapRow {
                gap_id: self.last_id,
                stream: drop.table,
                scope: GapScope::Sink,
                cause: GapCause::SinkDrop,
                evidence: GapEvidence::Shell,
                missing: Some(drop.rows),
                missing_unit: Some(GapUnit::Rows),
                first_missing: None,
                last_missing: None,
                ts_last_good: drop.last_good,
                ts_detected: drop.detected,
                ts_resumed: None,
                repaired: Repaired::None,
                conn_ids: &[],
            };
            let resumed = GapRow { ts_resumed: Some(now), ..noticed };
            for (place, row) in [(self.last_row, noticed), (self.last_row.saturating_add(1), resumed)] {
                let key = RowKey { ts_recv: drop.detected, msg_id: drop.msg_id, row: place, ..self.key };
                if let Err(error) = self.batches.gap(&key, &row) {
                    tracing::error!(%error, table = drop.table.name(), "a drop could not be written as a gap");
                }
            }
        }
        self.batches.close_all();
        self.batches.pop()
    }
}
