//! A recording of what some client saw.

use std::path::PathBuf;

use xtrader_core::config::{EngineConfig, Mode, Stream, offered};
use xtrader_core::engine::{Engine, HttpReply, Input};
use xtrader_core::symbol::{ConnId, Venue};
use xtrader_core::table::Table;
use xtrader_core::time::Stamp;

use super::{At, BUILD, Machine, Pace, ReplayOptions, Step, Tally, origin};
use crate::capture::{CaptureReader, Direction};
use crate::error::RuntimeError;

/// Everything that a recording may hold. Sampling the books is no part of it unless its table is wanted.
fn every_stream(venue: Venue, tables: &[Table]) -> Vec<Stream> {
    let sampled = tables.contains(&Table::L2Top);
    offered(venue).into_iter().filter(|stream| *stream != Stream::L2Top || sampled).collect()
}

/// Feeds a capture line by line.
pub(super) struct Foreign {
    reader: CaptureReader,
    venue: Venue,
    clock: Clock,
    conns: Conns,
    /// The reader is at a line that was not due yet.
    loaded: bool,
}

impl Foreign {
    pub(super) fn open(options: ReplayOptions) -> Result<(Self, Engine), RuntimeError> {
        let given = options.venue()?;
        let prelude = Prelude::read(&options.paths)?;
        let venue = origin::venue(&prelude.path, prelude.url.as_deref(), given)?;
        let mut config = EngineConfig::new(venue);
        config.mode = Mode::Replay;
        config.tables = options.tables.unwrap_or(config.tables);
        config.streams = options.streams.unwrap_or_else(|| every_stream(venue, &config.tables));
        config.numeric = options.numeric.unwrap_or_default();
        config.size_unit = options.size_unit.unwrap_or_default();
        config.trade_source = options.trade_source.unwrap_or_default();
        config.batch = options.batch;
        config.book = options.book.unwrap_or_default();
        let at = Stamp { wall: prelude.recv_ns.unwrap_or(0), mono: 0 };
        let engine = Engine::start(config, BUILD, at)?;
        Ok((Self::new(CaptureReader::open(&options.paths)?, venue), engine))
    }

    pub(super) fn new(reader: CaptureReader, venue: Venue) -> Self {
        Self { reader, venue, clock: Clock::default(), conns: Conns::default(), loaded: false }
    }

    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.reader.bytes_read(), self.reader.bytes_total())
    }

    /// Hands over the next line, and before it every timeout that was due by then.
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
        let line = self.reader.line()?;
        let at = At { wall: line.recv_ns, mono: self.clock.at(line.recv_ns) };
        if let Some(wait) = pace.wait(at.mono) {
            return Ok(Step::NotDue(wait));
        }
        self.loaded = false;
        while let Some(due) = engine.next_timeout().filter(|due| due.mono <= at.mono) {
            engine.take(due.into(), Input::Timeout);
        }
        if line.direction == Direction::Http {
            let url = line.url.unwrap_or_default();
            let reply =
                HttpReply { request: None, url, status: 200, retry_after_ms: None, body: line.frame.as_bytes() };
            engine.take(at, Input::Http(reply));
            tally.replies += 1;
            return Ok(Step::Taken);
        }
        let conn = match self.conns.find(line.conn) {
            Some(conn) => conn,
            None => {
                let url = line.url.unwrap_or_default();
                let Some(conn) = self.conns.add(line.conn) else {
                    let problem = format!("more than {} connections in one recording", u16::MAX);
                    return Err(self.reader.misfit(problem));
                };
                let other =
                    origin::host(url).filter(|host| origin::of_host(host).is_some_and(|id| id != self.venue.id()));
                if let Some(host) = other {
                    let problem = format!("host {host:?} is another exchange than {}", self.venue.id());
                    return Err(self.reader.misfit(problem));
                }
                engine.take(at, Input::ConnUp { conn, url });
                tally.connections += 1;
                conn
            }
        };
        if line.direction == Direction::Out {
            tally.sent += 1;
            return Ok(Step::Taken);
        }
        engine.take(at, Input::Frame { conn, payload: line.frame.as_bytes() });
        tally.frames += 1;
        tally.bytes += line.frame.len() as u64;
        Ok(Step::Taken)
    }
}

/// What has to be known before the first line is handed over: the first line.
struct Prelude {
    path: PathBuf,
    url: Option<String>,
    recv_ns: Option<i64>,
}

impl Prelude {
    fn read(paths: &[PathBuf]) -> Result<Self, RuntimeError> {
        let mut reader = CaptureReader::open(paths)?;
        if !reader.advance()? {
            return Ok(Self { path: paths.first().cloned().unwrap_or_default(), url: None, recv_ns: None });
        }
        let line = reader.line()?;
        let (url, recv_ns) = (line.url.map(str::to_owned), line.recv_ns);
        Ok(Self { path: reader.path().to_owned(), url, recv_ns })
    }
}

/// The engine's monotonic clock, from the wall clock that was recorded: it begins with the first time known, and where
/// the recorded one falls it stands still.
#[derive(Default)]
struct Clock {
    begin: Option<i64>,
    mono: u64,
}

impl Clock {
    fn at(&mut self, recv_ns: Option<i64>) -> u64 {
        if let Some(wall) = recv_ns {
            let since = i128::from(wall) - i128::from(*self.begin.get_or_insert(wall));
            self.mono = self.mono.max(u64::try_from(since.max(0)).unwrap_or(u64::MAX));
        }
        self.mono
    }
}

/// Numbers for the recorder's names of connections: 1, 2, … in order of appearance.
#[derive(Default)]
struct Conns {
    names: Vec<String>,
    last: usize,
}

impl Conns {
    /// Lines of one connection come in runs and there are few of them, so the last one is tried first.
    fn find(&mut self, name: &str) -> Option<ConnId> {
        if self.names.get(self.last).is_none_or(|last| last != name) {
            self.last = self.names.iter().position(|known| known == name)?;
        }
        number(self.last)
    }

    fn add(&mut self, name: &str) -> Option<ConnId> {
        let conn = number(self.names.len())?;
        self.last = self.names.len();
        self.names.push(name.to_owned());
        Some(conn)
    }
}

fn number(index: usize) -> Option<ConnId> {
    u16::try_from(index + 1).ok().map(ConnId)
}
