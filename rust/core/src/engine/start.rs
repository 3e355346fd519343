//! How an engine begins: the configuration is checked whole, connections are planned, the `start` row is written.

use serde::{Deserialize, Serialize};
use xtrader_scan::Isa;

use super::context::{Context, Now, Origin};
use super::instrument::Instruments;
use super::parking::Parking;
use super::registry::Registry;
use super::timers::Timer;
use super::{Engine, own_origin, raw};
use crate::batch::{BatchConfig, Batches, RawRow};
use crate::config::{ConfigError, EngineConfig, Mode};
use crate::exchange::reader::WireReader;
use crate::exchange::{Protocol, with_protocol};
use crate::table::InputKind;
use crate::time::Stamp;

/// The payload of a `start` row: all that is needed to begin again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartRecord {
    /// The configuration.
    pub config: EngineConfig,
    /// The build that recorded it.
    pub build: String,
}

/// Where the numbers of an engine begin.
#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    /// Of its start among the inputs.
    start: i64,
    /// Of the gap before its first.
    last_gap: i64,
}

impl Engine {
    /// Starts an engine; `at` and everything needed to replay go into the `start` row of `raw`.
    ///
    /// # Errors
    /// A configuration that names something there is not, or that contradicts itself.
    pub fn start(config: EngineConfig, build: &str, at: Stamp) -> Result<Self, ConfigError> {
        Self::begin(config, build, at, Numbers::default())
    }

    /// As [`Self::start`], for an engine whose rows stand behind those of `before`: inputs and gaps are numbered on, so
    /// that no key comes twice.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_after(before: &Self, config: EngineConfig, build: &str, at: Stamp) -> Result<Self, ConfigError> {
        let numbers = Numbers { start: before.cx.now.msg_id.saturating_add(1), last_gap: before.cx.last_gap };
        Self::begin(config, build, at, numbers)
    }

    fn begin(config: EngineConfig, build: &str, at: Stamp, numbers: Numbers) -> Result<Self, ConfigError> {
        config.check()?;
        let record = StartRecord { config: config.clone(), build: build.to_owned() };
        let live = config.mode == Mode::Live;
        let endpoints =
            config.endpoints.clone().unwrap_or_else(|| with_protocol!(config.venue, P => P::default_endpoints()));
        let batches = Batches::new(BatchConfig {
            numeric: config.numeric,
            size_unit: config.size_unit,
            limits: config.batch,
            tables: config.tables.clone(),
        });
        let mut cx = Context::new(config, live, endpoints, batches);
        cx.now = Now { msg_id: numbers.start, row: 1, at, came: at.mono };
        cx.last_wall = live.then_some(at.wall);
        cx.last_gap = numbers.last_gap;
        let mut engine = Self {
            cx,
            instruments: Instruments::default(),
            connections: Vec::new(),
            repeats: Vec::new(),
            parking: Parking::default(),
            registry: Registry::default(),
            resolved: false,
            added: Vec::new(),
            was_granted: false,
            login_refused: false,
            reader: WireReader::default(),
            isa: Isa::best(),
            checkpoint_at: None,
            oldest_open: None,
        };
        let origin = Origin { ts_recv: at.wall, ..own_origin(&engine.cx) };
        let payload = serde_json::to_vec(&record).map_err(|e| ConfigError::Shape(e.to_string()))?;
        let row = RawRow {
            ts_mono: at.mono,
            kind: InputKind::Start,
            request_id: None,
            status: None,
            headers: None,
            url: None,
            payload: &payload,
        };
        raw::record_row(&mut engine.cx, origin, &row);
        if live {
            engine.subscribe_names()?;
            engine.cx.arm_in_ms(0, Timer::Reference);
            engine.arm_ledger();
            engine.arm_scores();
            engine.arm_polls();
        }
        Ok(engine)
    }
}
