//! A plain client: tokio-tungstenite and a few lines of HTTP, blocking to its caller.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use xtrader_simulator::{Simulator, SimulatorConfig};

/// Nothing here takes so long unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn start(json: &str) -> Simulator {
    Simulator::start(SimulatorConfig::from_json(json).expect("a configuration")).expect("a simulator")
}

/// One symbol, so that tests have little to wade through.
pub fn one_symbol(more: &str) -> Simulator {
    start(&format!(r#"{{"symbols":["BTCUSDT"],"odd_trades":0,"book_levels":300{more}}}"#))
}

pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub struct Client {
    runtime: Runtime,
    socket: WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>,
}

/// What a client hears.
#[derive(Debug)]
pub enum Heard {
    Text(String),
    Ping(Vec<u8>),
    Pong,
    Close(Option<CloseFrame>),
    Binary,
    /// The connection ended, with this error or cleanly.
    End(Option<Error>),
}

impl Client {
    pub fn connect(sim: &Simulator, path: &str) -> Self {
        Self::try_connect(sim, path).expect("a connection")
    }

    pub fn try_connect(sim: &Simulator, path: &str) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let url = format!("{}{path}", sim.ws_url());
        let connect = async { tokio::time::timeout(PATIENCE, tokio_tungstenite::connect_async(&url)).await };
        let (socket, _) = runtime.block_on(connect).expect("an answer in time")?;
        Ok(Self { runtime, socket })
    }

    /// From one address of this machine to another one of the simulator's.
    pub fn connect_over(sim: &Simulator, path: &str, from: [u8; 4], to: [u8; 4]) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let port = sim.ws_url().rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port");
        let socket = runtime.block_on(async {
            let tcp = tokio::net::TcpSocket::new_v4().expect("a socket");
            tcp.bind((from, 0).into()).expect("an address of this machine");
            let stream = tcp.connect((to, port).into()).await.expect("a connection");
            let url = format!("{}{path}", sim.ws_url());
            tokio_tungstenite::client_async(url, MaybeTlsStream::Plain(stream)).await.expect("an upgrade").0
        });
        Self { runtime, socket }
    }

    pub fn send(&mut self, text: &str) {
        self.send_message(Message::text(text)).expect("sent");
    }

    pub fn send_message(&mut self, message: Message) -> Result<(), Error> {
        self.runtime.block_on(self.socket.send(message))
    }

    pub fn hear(&mut self) -> Heard {
        self.hear_within(PATIENCE).expect("something in time")
    }

    /// `None` when nothing came.
    pub fn hear_within(&mut self, patience: Duration) -> Option<Heard> {
        let next = async { tokio::time::timeout(patience, self.socket.next()).await };
        let heard = match self.runtime.block_on(next).ok()? {
            Some(Ok(Message::Text(t))) => Heard::Text(t.to_string()),
            Some(Ok(Message::Ping(p))) => Heard::Ping(p.to_vec()),
            Some(Ok(Message::Pong(_))) => Heard::Pong,
            Some(Ok(Message::Binary(_))) => Heard::Binary,
            Some(Ok(Message::Close(c))) => Heard::Close(c),
            Some(Ok(other)) => panic!("{other:?}"),
            Some(Err(e)) => Heard::End(Some(e)),
            None => Heard::End(None),
        };
        Some(heard)
    }

    /// The next text; pings are passed over.
    pub fn text(&mut self) -> String {
        loop {
            match self.hear() {
                Heard::Text(t) => return t,
                Heard::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub fn json(&mut self) -> Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    pub fn ask(&mut self, request: &str) -> Value {
        self.send(request);
        loop {
            let v = self.json();
            if v.get("e").is_none() && v.get("stream").is_none() {
                return v;
            }
        }
    }

    /// Texts until the connection ends, and how it ended.
    pub fn until_end(&mut self) -> (Vec<String>, Heard) {
        let mut texts = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "it does not end");
            match self.hear() {
                Heard::Text(t) => texts.push(t),
                Heard::Ping(_) => {}
                end => return (texts, end),
            }
        }
    }

    /// Texts until there are `n`.
    pub fn texts(&mut self, n: usize) -> Vec<String> {
        (0..n).map(|_| self.text()).collect()
    }

    pub fn events(&mut self, n: usize) -> Vec<Value> {
        (0..n).map(|_| self.json()).collect()
    }
}

pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().filter_map(|l| l.split_once(": ")).find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }
}

/// A GET on a connection of its own; `Err` where the connection was lost or the answer did not come in time.
pub fn try_get(sim: &Simulator, path: &str, patience: Duration) -> std::io::Result<Reply> {
    let address = sim.rest_url().split_once("://").expect("a url").1.to_owned();
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(patience))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    Ok(Reply { status, head, body: bytes[end + 4..].to_vec() })
}

pub fn get(sim: &Simulator, path: &str) -> Reply {
    try_get(sim, path, PATIENCE).expect("a reply")
}
