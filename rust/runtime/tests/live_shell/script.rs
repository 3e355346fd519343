//! A script in the engine's place.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde_json::{Value, json};
use xtrader_core::batch::{Batch, BatchConfig, Batches, KeyExchange, RawRow, RowKey, SymbolId};
use xtrader_core::config::{BatchLimits, ConfigError, EngineConfig, Numeric, SizeUnit};
use xtrader_core::engine::{Action, Advice, Command, ConnDown, Input, Link, RequestId};
use xtrader_core::symbol::{ConnId, Venue};
use xtrader_core::table::{InputKind, StampSource, Table};
use xtrader_core::time::Stamp;
use xtrader_runtime::live::{Drive, LiveOptions, LiveStream};

/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// An input, as it was handed over.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    Up(Stamp, u16, String, Link),
    Down(Stamp, u16, ConnDown),
    Frame(Stamp, u16, Vec<u8>),
    Http(Stamp, Reply),
    Timeout(Stamp),
    Command(Stamp, Command),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    pub request: u64,
    pub status: u16,
    pub retry_after_ms: Option<u64>,
    pub body: Vec<u8>,
}

type React = Box<dyn FnMut(&Seen) -> Vec<Action> + Send>;

/// Reacts to inputs with actions, and makes one row of `raw` of each frame.
pub struct Script {
    seen: Sender<Seen>,
    react: React,
    actions: VecDeque<Action>,
    batches: Batches,
    oldest: Option<u64>,
    frames: i64,
    /// Who stamped each of them.
    stamps: Vec<&'static str>,
    source: StampSource,
    timeout: Option<Stamp>,
}

impl Script {
    pub fn new(first: Vec<Action>, react: impl FnMut(&Seen) -> Vec<Action> + Send + 'static) -> (Self, Receiver<Seen>) {
        let (seen, inputs) = channel();
        let batches = Batches::new(BatchConfig {
            numeric: Numeric::Float,
            size_unit: SizeUnit::Base,
            limits: BatchLimits { max_bytes: 1 << 18, ..BatchLimits::default() },
            tables: vec![Table::Raw],
        });
        let script = Self {
            seen,
            react: Box::new(react),
            actions: first.into(),
            batches,
            oldest: None,
            frames: 0,
            stamps: Vec::new(),
            source: StampSource::User,
            timeout: None,
        };
        (script, inputs)
    }

    pub fn with_timeout(mut self, at: Stamp) -> Self {
        self.timeout = Some(at);
        self
    }
}

impl Drive for Script {
    fn handle(&mut self, at: Stamp, input: Input<'_>) {
        let seen = match input {
            Input::ConnUp { conn, url, link } => Seen::Up(at, conn.0, url.to_owned(), link),
            Input::ConnDown { conn, down } => Seen::Down(at, conn.0, down.clone()),
            Input::Frame { conn, payload } => Seen::Frame(at, conn.0, payload.to_vec()),
            Input::Http(reply) => Seen::Http(
                at,
                Reply {
                    request: reply.request.map_or(0, |r| r.0),
                    status: reply.status,
                    retry_after_ms: reply.retry_after_ms,
                    body: reply.body.to_vec(),
                },
            ),
            Input::Command(command) => Seen::Command(at, command.clone()),
            Input::Timeout => {
                self.timeout = None;
                Seen::Timeout(at)
            }
        };
        if let Seen::Frame(_, conn, payload) = &seen {
            assert!(payload != b"panic", "asked to");
            self.frames += 1;
            self.stamps.push(self.source.name());
            self.oldest.get_or_insert(at.mono);
            let key = RowKey {
                ts_event: None,
                ts_venue: None,
                ts_recv: at.wall,
                exchange: KeyExchange::from(Venue::BinanceFutures),
                symbol: SymbolId::NONE,
                shard: 0,
                msg_id: self.frames,
                row: 0,
                conn: ConnId(*conn),
                flags: 0,
            };
            let row = RawRow {
                ts_mono: at.mono,
                kind: InputKind::Frame,
                request_id: None,
                status: None,
                headers: None,
                url: None,
                payload,
            };
            self.batches.raw(&key, &row).expect("a row");
        }
        self.actions.extend((self.react)(&seen));
        let _ = self.seen.send(seen);
    }

    fn stamped_by(&mut self, _: ConnId, source: StampSource) {
        self.source = source;
    }

    /// Refuses to take more than 16 connections.
    fn command(&mut self, at: Stamp, command: &Command) -> Result<(), ConfigError> {
        match *command {
            Command::Connections(n) if n > 16 => {
                Err(ConfigError::Bounds { key: "connections", value: n.into(), bounds: "1 to 16 connections" })
            }
            _ => {
                self.handle(at, Input::Command(command));
                Ok(())
            }
        }
    }

    fn poll_warning(&mut self) -> Option<String> {
        None
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn next_timeout(&self) -> Option<Stamp> {
        self.timeout
    }

    fn poll_batch(&mut self) -> Option<Batch> {
        self.batches.pop()
    }

    fn close_batches(&mut self) {
        self.oldest = None;
        self.batches.close_all();
    }

    fn open_rows(&self) -> Option<(usize, u64)> {
        Some((self.batches.open_rows(), self.oldest?))
    }

    fn fault(&self) -> Option<&ConfigError> {
        None
    }

    fn report(&self) -> Value {
        json!({ "frames": self.frames, "stamps": self.stamps })
    }
}

pub fn options() -> LiveOptions {
    let engine: EngineConfig = serde_json::from_str(r#"{"venue": "binance-futures"}"#).expect("a configuration");
    LiveOptions::new(engine)
}

pub fn open(conn: u16, url: impl Into<String>) -> Action {
    Action::Open { conn: ConnId(conn), url: url.into(), advice: Advice::default() }
}

pub fn send(conn: u16, text: impl Into<String>) -> Action {
    Action::Send { conn: ConnId(conn), text: text.into() }
}

pub fn get(request: u64, url: impl Into<String>) -> Action {
    Action::Http { request: RequestId(request), url: url.into(), weight: 1 }
}

/// A stream with a script, and what it saw.
pub struct Run {
    pub stream: LiveStream,
    pub inputs: Receiver<Seen>,
}

impl Run {
    pub fn start(
        options: LiveOptions,
        first: Vec<Action>,
        react: impl FnMut(&Seen) -> Vec<Action> + Send + 'static,
    ) -> Self {
        let (script, inputs) = Script::new(first, react);
        let stream = LiveStream::start_with(options, script).expect("a stream");
        Self { stream, inputs }
    }

    /// Opens `url` as connection 1 and does nothing else.
    pub fn open(options: LiveOptions, url: impl Into<String>) -> Self {
        Self::start(options, vec![open(1, url)], |_| Vec::new())
    }

    /// The next input.
    pub fn seen(&self) -> Seen {
        self.inputs.recv_timeout(PATIENCE).expect("an input in time")
    }

    /// The next end of a connection, over all other inputs.
    pub fn down(&self) -> ConnDown {
        loop {
            if let Seen::Down(_, _, down) = self.seen() {
                return down;
            }
        }
    }

    /// The next frame, over all other inputs.
    pub fn frame(&self) -> Vec<u8> {
        loop {
            match self.seen() {
                Seen::Frame(_, _, payload) => return payload,
                Seen::Down(_, _, down) => panic!("the connection is down: {down:?}"),
                _ => {}
            }
        }
    }
}
