//! A recording of our own: the inputs of an engine as it took them.

use xtrader_core::config::EngineConfig;
use xtrader_core::engine::{Command, ConnDown, Headers, HttpReply, Input, Link, RequestId, StartRecord};
use xtrader_core::table::InputKind;

use super::{At, Beginning, Machine, Pace, ReplayOptions, Step, Tally};
use crate::error::RuntimeError;
use crate::raw::{RawReader, RawRow};

/// Feeds a `raw` table row by row.
pub(super) struct Own {
    reader: RawReader,
    options: ReplayOptions,
    /// The reader is at a row that was not due yet.
    loaded: bool,
}

impl Own {
    pub(super) fn open(options: ReplayOptions) -> Result<(Self, Beginning), RuntimeError> {
        let fixed = [
            ("streams", options.streams.is_some()),
            ("trade_source", options.trade_source.is_some()),
            ("book", options.book.is_some()),
        ];
        if let Some((name, _)) = fixed.iter().find(|(_, given)| *given) {
            return Err(RuntimeError::Options(format!(
                "{name} is as it was recorded in a replay of our own raw table; leave it out"
            )));
        }
        options.venue()?;
        let mut reader = RawReader::open(&options.paths)?;
        if !reader.advance()? {
            return Err(RuntimeError::Options("the raw table has no rows: there is nothing to replay".to_owned()));
        }
        let beginning = start(&reader, &options)?;
        Ok((Self { reader, options, loaded: false }, beginning))
    }

    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.reader.bytes_read(), self.reader.bytes_total())
    }

    /// Hands over the next row.
    pub(super) fn step(
        &mut self,
        engine: &mut impl Machine,
        pace: &mut Pace,
        tally: &mut Tally,
    ) -> Result<Step, RuntimeError> {
        if !self.loaded && !self.reader.advance()? {
            return Ok(Step::End);
        }
        self.loaded = true;
        let row = self.reader.row()?;
        if row.kind == InputKind::Start {
            self.loaded = false;
            return start(&self.reader, &self.options).map(|beginning| Step::Restart(Box::new(beginning)));
        }
        if let Some(wait) = pace.wait(row.at.mono) {
            return Ok(Step::NotDue(wait));
        }
        self.loaded = false;
        feed(&row, engine, tally).map_err(|problem| self.reader.misfit(problem))?;
        Ok(Step::Taken)
    }
}

/// How the engine of a `start` row began, with what the caller wants otherwise.
fn start(reader: &RawReader, options: &ReplayOptions) -> Result<Beginning, RuntimeError> {
    let row = reader.row()?;
    let start: StartRecord = serde_json::from_slice(row.payload)
        .map_err(|error| reader.misfit(format!("the `start` row cannot be read ({error})")))?;
    let mut config = start.config;
    if let Some(given) = options.venue()?.filter(|given| *given != config.venue) {
        return Err(RuntimeError::Options(format!(
            "the recording is of {}, not {}; leave the exchange out",
            config.venue.id(),
            given.id()
        )));
    }
    config.tables = options.tables.clone().unwrap_or_else(|| EngineConfig::new(config.venue).tables);
    config.write_as(options.numeric, options.size_unit);
    config.batch = options.batch;
    Ok(Beginning { config, build: start.build, at: row.at, numbers_on: row.msg_id != 0 })
}

/// One row as the input it was.
pub(super) fn feed(row: &RawRow<'_>, engine: &mut impl Machine, tally: &mut Tally) -> Result<(), String> {
    let headers = row.headers.map(Headers::read).unwrap_or_default();
    let at = At { wall: headers.wall.unwrap_or(Some(row.at.wall)), mono: row.at.mono };
    let down: ConnDown;
    let command: Command;
    let input = match row.kind {
        InputKind::ConnUp => {
            tally.connections += 1;
            let link: Link = match row.payload {
                b"" => Link::default(),
                payload => serde_json::from_slice(payload)
                    .map_err(|error| format!("the `conn_up` row cannot be read ({error})"))?,
            };
            Input::ConnUp { conn: row.conn, url: row.url.unwrap_or_default(), link }
        }
        InputKind::ConnDown => {
            down = serde_json::from_slice(row.payload)
                .map_err(|error| format!("the `conn_down` row cannot be read ({error})"))?;
            Input::ConnDown { conn: row.conn, down: &down }
        }
        InputKind::Frame => {
            tally.frames += 1;
            tally.bytes += row.payload.len() as u64;
            if let Some(source) = headers.stamps {
                engine.stamped_by(row.conn, source);
            }
            Input::Frame { conn: row.conn, payload: row.payload }
        }
        InputKind::Http => {
            tally.replies += 1;
            Input::Http(HttpReply {
                request: row.request.map(RequestId),
                url: row.url.unwrap_or_default(),
                status: row.status.unwrap_or(0),
                retry_after_ms: headers.retry_after_ms,
                body: row.payload,
            })
        }
        InputKind::Timeout => Input::Timeout,
        InputKind::Command => {
            command = serde_json::from_slice(row.payload)
                .map_err(|error| format!("the `command` row cannot be read ({error})"))?;
            Input::Command(&command)
        }
        InputKind::Start | InputKind::Checkpoint => {
            return Err(format!("an input of kind {} cannot be replayed by this build", row.kind.name()));
        }
    };
    engine.take(at, input);
    Ok(())
}
