//! Where the frames come from: captures, and where there are none, [`crate::frames`].

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::GzDecoder;
use serde::Deserialize;
use xtrader_core::config::{EngineConfig, Mode, SizeUnit, Stream};
use xtrader_core::engine::{Engine, HttpReply, Input, Link};
use xtrader_core::symbol::{ConnId, Venue};
use xtrader_core::time::Stamp;

/// What an exchange sent, in order.
pub enum Line {
    Frame { at: Stamp, text: Vec<u8> },
    Reply { at: Stamp, url: String, body: Vec<u8> },
}

impl Line {
    pub fn at(&self) -> Stamp {
        let (Self::Frame { at, .. } | Self::Reply { at, .. }) = self;
        *at
    }
}

/// A recording of one venue, as one connection would have had it.
pub struct Source {
    pub name: String,
    pub venue: Venue,
    pub lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Recorded {
    recv_ns: Option<i64>,
    dir: String,
    conn: String,
    url: Option<String>,
    frame: String,
}

impl Source {
    /// A capture; of several connections, the frames of all, and of those to one stream only the first.
    pub fn read(path: &Path) -> Self {
        let folder = path.parent().and_then(Path::file_name).unwrap().to_string_lossy().into_owned();
        let venue = match folder.as_str() {
            "binance" => Venue::BinanceSpot,
            "binance_usdm" => Venue::BinanceFutures,
            "okx" => Venue::Okx,
            "deribit" => Venue::Deribit,
            other => panic!("{}: no exchange is called {other}", path.display()),
        };
        let file = File::open(path).unwrap();
        let is_packed = path.extension().is_some_and(|end| end == "gz");
        let text: Box<dyn Read> = if is_packed { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
        let mut wall = 0;
        let mut lines = Vec::new();
        let mut only = None;
        let is_redundant = path.to_string_lossy().contains("redundant");
        for line in BufReader::new(text).lines() {
            let line: Recorded = serde_json::from_str(&line.unwrap()).unwrap();
            wall = line.recv_ns.unwrap_or(wall);
            let at = Stamp { wall, mono: wall.unsigned_abs() };
            match line.dir.as_str() {
                "in" if is_redundant && *only.get_or_insert(line.conn.clone()) != line.conn => {}
                "in" => lines.push(Line::Frame { at, text: line.frame.into_bytes() }),
                "http" => {
                    lines.push(Line::Reply { at, url: line.url.unwrap_or_default(), body: line.frame.into_bytes() });
                }
                _ => {}
            }
        }
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let name = format!("{folder}/{}", file.split(".jsonl").next().unwrap());
        Self { name, venue, lines }
    }

    /// An engine that knows so many connections.
    pub fn engine(&self, streams: &[Stream], connections: u16) -> Engine {
        engine(self.venue, streams, connections, self.lines.first().map(Line::at).unwrap_or_default())
    }
}

/// An engine of a recording.
pub fn engine(venue: Venue, streams: &[Stream], connections: u16, at: Stamp) -> Engine {
    let config = EngineConfig {
        mode: Mode::Replay,
        streams: streams.to_vec(),
        tables: streams.iter().map(|stream| stream.table()).collect(),
        size_unit: SizeUnit::Native,
        ..EngineConfig::new(venue)
    };
    let mut engine = Engine::start(config, "bench", at).unwrap();
    for conn in 1..=connections {
        engine.handle(at, Input::ConnUp { conn: ConnId(conn), url: "", link: Link::default() });
    }
    engine
}

/// Hands over a frame and takes what comes of it.
#[inline]
pub fn feed(engine: &mut Engine, at: Stamp, conn: ConnId, payload: &[u8]) {
    engine.handle(at, Input::Frame { conn, payload });
    while let Some(batch) = engine.poll_batch() {
        std::hint::black_box(batch);
    }
}

/// Hands over a reply.
pub fn reply(engine: &mut Engine, at: Stamp, url: &str, body: &[u8]) {
    engine.handle(at, Input::Http(HttpReply { request: None, url, status: 200, retry_after_ms: None, body }));
    while engine.poll_batch().is_some() {}
    while engine.poll_action().is_some() {}
}

/// Frames that made rows.
pub fn accepted(engine: &Engine) -> u64 {
    engine.counters()["frames"]["accepted"].as_u64().unwrap_or(0)
}
