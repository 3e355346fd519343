//! A recording of what some client saw.

use std::path::PathBuf;

use xtrader_core::config::{EngineConfig, Mode, Stream, offered};
use xtrader_core::engine::{HttpReply, Input, Link};
use xtrader_core::symbol::{ConnId, Venue};
use xtrader_core::table::Table;
use xtrader_core::time::{NS_PER_DAY, NS_PER_MS, NS_PER_S, Stamp};

use super::recordings::{self, Recording};
use super::{At, BUILD, Beginning, Machine, Pace, ReplayOptions, Step, Tally, nothing_to_replay, origin};
use crate::capture::{CaptureReader, Direction};
use crate::error::RuntimeError;

/// What a replay fills unless it is told.
const TABLES: [Table; 5] = [Table::Trades, Table::L2, Table::Bbo, Table::Gaps, Table::Instruments];

/// The market itself is always followed; what else a recording may hold only where its table is wanted.
fn every_stream(venue: Venue, tables: &[Table]) -> Vec<Stream> {
    let always = [Stream::Trades, Stream::L2, Stream::Bbo];
    let wanted = |stream: &Stream| always.contains(stream) || tables.contains(&stream.table());
    offered(venue).into_iter().filter(wanted).collect()
}

/// A hole in a recording is gone through in its own time for a day on either side, so that the UTC day of the line
/// behind it still begins with its full books; what lies between is gone through at once. So an impossible receive time
/// costs some timeouts, and not a million.
const OWN_TIME: u64 = NS_PER_DAY.unsigned_abs();

/// How far a file may begin before the end of the one before it and still be its continuation: connections that are read
/// side by side are not written in perfect order. What falls by more on one connection is no disorder.
const DISORDER: i128 = NS_PER_S as i128;

/// Feeds captures line by line.
pub(super) struct Foreign {
    reader: CaptureReader,
    options: ReplayOptions,
    recordings: Vec<Recording>,
    /// The one that is being read, and whose it is.
    at: usize,
    venue: Venue,
    clock: Clock,
    conns: Conns,
    /// The reader has been asked for a line that has not been handed over yet, and whether there is one.
    loaded: bool,
    has_line: bool,
    /// Monotonic time of the line before.
    before: u64,
}

impl Foreign {
    pub(super) fn open(options: ReplayOptions) -> Result<(Self, Beginning), RuntimeError> {
        let recordings = recordings::find(&options.paths, options.venue()?)?;
        let Some(first) = recordings.first() else { return Err(nothing_to_replay()) };
        for recording in &recordings {
            config(&options, recording.venue).check()?;
        }
        let paths: Vec<PathBuf> = recordings.iter().map(|recording| recording.path.clone()).collect();
        let reader = CaptureReader::open(&paths)?;
        let (beginning, venue) = (beginning(&options, first), first.venue);
        let (clock, conns) = (Clock::default(), Conns::default());
        Ok((
            Self { reader, options, recordings, at: 0, venue, clock, conns, loaded: false, has_line: false, before: 0 },
            beginning,
        ))
    }

    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.reader.bytes_read(), self.reader.bytes_total())
    }

    /// Hands over the next line, or a timeout that was due before it.
    pub(super) fn step(
        &mut self,
        engine: &mut impl Machine,
        pace: &mut Pace,
        tally: &mut Tally,
    ) -> Result<Step, RuntimeError> {
        if !self.loaded {
            self.has_line = self.reader.advance()?;
            self.loaded = true;
        }
        if !self.has_line {
            return Ok(self.heal(engine, pace).unwrap_or(Step::End));
        }
        if let Some(next) = self.next_session() {
            return Ok(self.heal(engine, pace).unwrap_or_else(|| self.begin(next)));
        }
        let line = self.reader.line()?;
        let known = self.conns.find(line.conn);
        let place = (line.direction != Direction::Http).then(|| known.map_or(self.conns.names.len(), index));
        let at = At { wall: line.recv_ns, mono: self.clock.at(place, line.recv_ns) };
        if let Some(wait) = pace.wait(at.mono) {
            return Ok(Step::NotDue(wait));
        }
        if let Some(due) = engine.next_timeout().filter(|due| due.mono <= at.mono) {
            engine.take(timeout(due, self.before, at.mono).into(), Input::Timeout);
            return Ok(Step::Taken);
        }
        self.loaded = false;
        self.before = at.mono;
        if line.direction == Direction::Http {
            let url = line.url.unwrap_or_default();
            let reply =
                HttpReply { request: None, url, status: 200, retry_after_ms: None, body: line.frame.as_bytes() };
            engine.take(at, Input::Http(reply));
            tally.replies += 1;
            return Ok(Step::Taken);
        }
        let conn = match known {
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
                engine.take(at, Input::ConnUp { conn, url, link: Link::default() });
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

    /// What is missing when a session ends has the time to come late that it has anywhere else. Then it is named; other
    /// timers of after the last line are not.
    fn heal(&self, engine: &mut impl Machine, pace: &mut Pace) -> Option<Step> {
        let wait = self.options.book.unwrap_or_default().heal_window_ms.saturating_mul(NS_PER_MS.unsigned_abs());
        let due = engine.heals_until().filter(|due| due.mono <= self.before.saturating_add(wait))?;
        if let Some(wait) = pace.wait(due.mono) {
            return Some(Step::NotDue(wait));
        }
        engine.take(due.into(), Input::Timeout);
        Some(Step::Taken)
    }

    /// The recording of another session, where the line is the first of a file that does not go on where the one before
    /// ended.
    fn next_session(&mut self) -> Option<usize> {
        let here = self.reader.files_opened().saturating_sub(1);
        if here == self.at {
            return None;
        }
        let recording = self.recordings.get(here)?;
        if recording.venue == self.venue && self.clock.goes_on(recording.begins) {
            self.at = here;
            return None;
        }
        Some(here)
    }

    fn begin(&mut self, next: usize) -> Step {
        let recording = &self.recordings[next];
        (self.at, self.venue) = (next, recording.venue);
        (self.clock, self.conns, self.before) = (Clock::default(), Conns::default(), 0);
        Step::Restart(Box::new(beginning(&self.options, recording)))
    }
}

/// The configuration of an engine for recordings of `venue`.
fn config(options: &ReplayOptions, venue: Venue) -> EngineConfig {
    let mut config = EngineConfig::new(venue);
    config.mode = Mode::Replay;
    config.tables = options.tables.clone().unwrap_or_else(|| TABLES.to_vec());
    config.streams = options.streams.clone().unwrap_or_else(|| every_stream(venue, &config.tables));
    config.numeric = options.numeric.unwrap_or_default();
    config.size_unit = options.size_unit.unwrap_or_default();
    config.trade_source = options.trade_source.unwrap_or_default();
    config.batch = options.batch;
    config.book = options.book.unwrap_or_default();
    config
}

/// How the engine of a session begins that begins with `recording`.
fn beginning(options: &ReplayOptions, recording: &Recording) -> Beginning {
    let at = Stamp { wall: recording.begins.unwrap_or(0), mono: 0 };
    Beginning { config: config(options, recording.venue), build: BUILD.to_owned(), at, numbers_on: true }
}

/// When a timeout is handed over that is due in a hole between two lines: see [`OWN_TIME`].
fn timeout(due: Stamp, before: u64, next: u64) -> Stamp {
    let resume = next.saturating_sub(OWN_TIME);
    let skipped = due.mono > before.saturating_add(OWN_TIME) && due.mono < resume;
    if skipped { due.after(resume - due.mono) } else { due }
}

/// The engine's monotonic clock, from the wall clock that was recorded: it begins with the first time known, and never
/// falls. Where lines are not in perfect order it stands still. Where the recorder's clock was set back, and so is that
/// of one connection's lines, it goes on from there: a second is a second on either side.
#[derive(Default)]
struct Clock {
    /// The wall time at which it began, as the recorder's clock has it now.
    begin: Option<i128>,
    mono: u64,
    /// The same as each connection's last line had it, and when that was received.
    lines: Vec<Option<(i128, i128)>>,
}

impl Clock {
    /// When a line was taken that was received then, on a connection by its place in the order of appearance.
    fn at(&mut self, place: Option<usize>, recv_ns: Option<i64>) -> u64 {
        let Some(wall) = recv_ns.map(i128::from) else { return self.mono };
        let newest = *self.begin.get_or_insert(wall);
        let now = i128::from(self.mono);
        let before = place.and_then(|place| self.lines.get(place).copied().flatten());
        // A line of before the clock was set back may well stand behind one of after that.
        let known = before.map(|(begin, _)| begin).into_iter().chain([newest]);
        let mut begin = known.min_by_key(|begin| (wall - begin - now).abs()).unwrap_or(newest);
        let was_set_back =
            wall - begin < now - DISORDER && before.is_none_or(|(_, received)| wall < received - DISORDER);
        if place.is_some() && was_set_back {
            begin = wall - now;
            self.begin = Some(begin);
        }
        self.mono = self.mono.max(u64::try_from((wall - begin).max(0)).unwrap_or(u64::MAX));
        if let Some(place) = place {
            if self.lines.len() <= place {
                self.lines.resize(place + 1, None);
            }
            self.lines[place] = Some((begin, wall));
        }
        self.mono
    }

    /// Whether a recording that begins then may be the continuation of what was read so far.
    fn goes_on(&self, begins: Option<i64>) -> bool {
        let (Some(begin), Some(next)) = (self.begin, begins) else { return true };
        let passed = i128::from(next) - begin - i128::from(self.mono);
        (-DISORDER..=i128::from(NS_PER_DAY)).contains(&passed)
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

fn index(conn: ConnId) -> usize {
    usize::from(conn.0).saturating_sub(1)
}

fn number(index: usize) -> Option<ConnId> {
    u16::try_from(index + 1).ok().map(ConnId)
}
