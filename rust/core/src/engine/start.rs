//! How an engine begins: the configuration is checked whole, connections are planned, the `start` row is written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xtrader_scan::Isa;

use super::connection::{Connection, Subscribed};
use super::context::{Context, Now, Origin};
use super::instrument::Instruments;
use super::replies::Reference;
use super::timers::Timer;
use super::{Engine, own_origin};
use crate::batch::{BatchConfig, Batches, RawRow};
use crate::config::{ConfigError, EngineConfig, Mode};
use crate::exchange::reader::WireReader;
use crate::exchange::{Protocol, with_protocol};
use crate::symbol::ConnId;
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

impl Engine {
    /// Starts an engine; `at` and everything needed to replay go into the `start` row of `raw`.
    ///
    /// # Errors
    /// A configuration that names something there is not, or that contradicts itself.
    pub fn start(config: EngineConfig, build: &str, at: Stamp) -> Result<Self, ConfigError> {
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
        cx.now = Now { msg_id: 0, row: 1, at };
        let mut names = Instruments::default();
        let venue = cx.config.venue;
        let connections = if live { with_protocol!(venue, P => plan::<P>(&mut cx, &mut names))? } else { Vec::new() };
        let mut engine = Self {
            cx,
            instruments: names,
            connections,
            reader: WireReader::default(),
            isa: Isa::best(),
            reference: Reference::default(),
            last_wall: live.then_some(at.wall),
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
        engine.record_row(origin, &row);
        if live {
            for connection in &mut engine.connections {
                connection.open(&mut engine.cx);
            }
            engine.cx.arm_in_ms(0, Timer::Reference);
        }
        Ok(engine)
    }
}

/// Spreads the streams of all symbols over connections: a family each, and no more streams than one should carry.
fn plan<P: Protocol>(cx: &mut Context, names: &mut Instruments) -> Result<Vec<Connection>, ConfigError> {
    let mut by_family: BTreeMap<u8, Vec<Subscribed>> = BTreeMap::new();
    for symbol in cx.config.symbols.clone() {
        let native = P::native(P::MARKETS[0], &symbol).unwrap_or(std::borrow::Cow::Borrowed(&symbol)).into_owned();
        if names.find(&native).is_some() {
            continue;
        }
        let full = ConfigError::Bounds {
            key: "symbols",
            value: cx.config.symbols.len() as u64,
            bounds: "max_instruments at most",
        };
        let instrument = names.add(cx, &native).ok_or(full)?.subject.id;
        for stream in cx.config.streams.clone() {
            for channel in P::channels(&native, P::MARKETS[0], stream, &cx.config) {
                by_family.entry(channel.family).or_default().push(Subscribed {
                    instrument,
                    stream,
                    name: channel.name,
                });
            }
        }
    }
    let mut connections = Vec::new();
    for (family, streams) in by_family {
        for chunk in streams.chunks(P::LIMITS.channels_per_connection) {
            let full = ConfigError::Bounds {
                key: "symbols",
                value: cx.config.symbols.len() as u64,
                bounds: "what 65 535 connections carry",
            };
            let id = u16::try_from(connections.len() + 1).map_err(|_| full)?;
            let url = P::url(&cx.endpoints.ws, family);
            connections.push(Connection::new(ConnId(id), url, chunk.to_vec()));
        }
    }
    Ok(connections)
}
