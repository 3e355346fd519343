//! A plain client that writes down what it sees, in the capture format. How it subscribes, and when it needs a snapshot,
//! is the exchange's recipe; here it answers pings, and connects again when it is cut.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::{CertificateDer, ServerName};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Message;

use crate::SimulatorError;
use crate::capture::{CaptureLine, CaptureWriter, Direction};
use crate::clock::wall_ns;
use crate::config::DepthSpeed;
use crate::server::provider;

/// What to record. As JSON: an object; only `path` must be given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordRequest {
    /// `.jsonl` or `.jsonl.gz`.
    pub path: PathBuf,
    /// For how long. Default 10.
    #[serde(default = "ten")]
    pub seconds: f64,
    /// Which symbols. Default: all.
    #[serde(default)]
    pub symbols: Vec<String>,
    /// Which depth stream of Binance. Default `100ms`.
    #[serde(default = "hundred")]
    pub depth_speed: DepthSpeed,
    /// Single fills too, where the exchange also tells them folded. Default true.
    #[serde(default = "yes")]
    pub single_trades: bool,
}

fn ten() -> f64 {
    10.0
}
fn hundred() -> DepthSpeed {
    DepthSpeed::Ms100
}
fn yes() -> bool {
    true
}

impl RecordRequest {
    /// Everything of all symbols, for so long.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, seconds: f64) -> Self {
        Self { path: path.into(), seconds, symbols: Vec::new(), depth_speed: DepthSpeed::Ms100, single_trades: true }
    }
}

/// What was recorded.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RecordSummary {
    /// Lines of the capture.
    pub lines: u64,
    /// Text frames received.
    pub frames: u64,
    /// REST replies received: snapshots and reference data.
    pub replies: u64,
    /// Numbers of the connections by which it was recorded.
    pub connections: Vec<u64>,
    #[serde(skip)]
    pub(crate) peers: Vec<String>,
}

/// Where to record from.
pub(crate) struct Endpoints {
    pub ws: String,
    pub rest: String,
    pub ca: Option<CertificateDer<'static>>,
}

/// How a plain client follows an exchange.
#[derive(Default)]
pub(crate) struct Recipe {
    /// Paths that are fetched first: reference data.
    pub first: Vec<String>,
    pub connections: Vec<Followed>,
}

/// One of its connections.
pub(crate) struct Followed {
    pub name: &'static str,
    pub path: String,
    /// Sent after each upgrade.
    pub hello: Vec<String>,
    /// Who listens; another one for each upgrade.
    pub follower: fn() -> Box<dyn Follower>,
}

/// What a plain client makes of what it hears on one connection.
pub(crate) trait Follower {
    fn hear(&mut self, text: &str) -> Option<Wish>;
}

/// What it wants then.
pub(crate) enum Wish {
    /// To say this.
    Say(String),
    /// To fetch this path, until it is had.
    Fetch(String),
}

struct Recording<'a> {
    endpoints: &'a Endpoints,
    writer: RefCell<CaptureWriter>,
    summary: RefCell<RecordSummary>,
    failed: RefCell<Option<std::io::Error>>,
    deadline: Instant,
}

pub(crate) fn record(
    endpoints: &Endpoints,
    request: &RecordRequest,
    recipe: Recipe,
) -> Result<RecordSummary, SimulatorError> {
    let file = request.path.display().to_string();
    if !(request.seconds.is_finite() && request.seconds > 0.0) {
        return Err(SimulatorError::config("record.seconds", "a number above 0"));
    }
    let writer = CaptureWriter::create(&request.path).map_err(SimulatorError::io(file.clone()))?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(SimulatorError::io("a runtime"))?;
    runtime.block_on(async {
        let recording = Recording {
            endpoints,
            writer: RefCell::new(writer),
            summary: RefCell::default(),
            failed: RefCell::default(),
            deadline: Instant::now() + Duration::from_secs_f64(request.seconds),
        };
        let (wanted, snapshots) = mpsc::unbounded_channel();
        for path in recipe.first {
            let _ = wanted.send(path);
        }
        let follow = recipe.connections.iter().map(|c| recording.follow(c, wanted.clone()));
        let follow = futures_util::future::join_all(follow);
        drop(wanted);
        tokio::join!(follow, recording.fetch(snapshots));
        let mut summary = recording.summary.into_inner();
        if let Some(e) = recording.failed.into_inner() {
            return Err(SimulatorError::io(file)(e));
        }
        summary.lines = recording.writer.into_inner().finish().map_err(SimulatorError::io(file))?;
        Ok(summary)
    })
}

impl Recording<'_> {
    fn write(&self, conn: &str, dir: Direction, url: Option<String>, frame: String) {
        let line = CaptureLine { recv_ns: Some(wall_ns()), conn: conn.to_owned(), dir, url, frame };
        if let Err(e) = self.writer.borrow_mut().write(&line) {
            self.failed.borrow_mut().get_or_insert(e);
        }
    }

    /// Stays on one path until the deadline, over as many connections as it takes.
    async fn follow(&self, followed: &Followed, wanted: mpsc::UnboundedSender<String>) {
        let mut number = 0;
        while Instant::now() < self.deadline {
            number += 1;
            // A cut connection is not an error here: what came is written down, and the next one begins.
            let _ = self.connection(&format!("ws-{}-{number}", followed.name), followed, &wanted).await;
            let pause = Duration::from_millis(100).min(self.deadline.saturating_duration_since(Instant::now()));
            sleep(pause).await;
        }
    }

    async fn connection(&self, conn: &str, followed: &Followed, wanted: &mpsc::UnboundedSender<String>) -> Option<()> {
        let url = format!("{}{}", self.endpoints.ws, followed.path);
        let (stream, peer) = timeout_at(self.deadline, self.dial(&self.endpoints.ws)).await.ok()??;
        self.summary.borrow_mut().peers.push(peer);
        let dial = tokio_tungstenite::client_async(url.as_str(), stream);
        let (mut socket, _) = timeout_at(self.deadline, dial).await.ok()?.ok()?;
        let mut url = Some(url);
        let mut follower = (followed.follower)();
        let mut say: VecDeque<String> = followed.hello.iter().cloned().collect();
        let mut closing = false;
        loop {
            while let Some(text) = say.pop_front().filter(|_| !closing) {
                self.write(conn, Direction::Out, url.take(), text.clone());
                socket.send(Message::text(text)).await.ok()?;
            }
            let next = if closing {
                timeout(Duration::from_secs(5), socket.next()).await
            } else {
                timeout_at(self.deadline, socket.next()).await
            };
            match next {
                Err(_) if closing => return None,
                // What the server has handed to the socket before it sees the Close still comes.
                Err(_) => {
                    closing = true;
                    socket.send(Message::Close(None)).await.ok()?;
                }
                Ok(Some(Ok(Message::Text(text)))) => {
                    match follower.hear(&text) {
                        Some(Wish::Fetch(path)) => drop(wanted.send(path)),
                        Some(Wish::Say(text)) => say.push_back(text),
                        None => {}
                    }
                    self.summary.borrow_mut().frames += 1;
                    self.write(conn, Direction::In, url.take(), text.to_string());
                }
                Ok(Some(Ok(_))) => {}
                Ok(None | Some(Err(_))) => return Some(()),
            }
        }
    }

    /// Fetches one path after another, until nobody can want one any more.
    async fn fetch(&self, mut wanted: mpsc::UnboundedReceiver<String>) {
        while let Some(path) = wanted.recv().await {
            while Instant::now() < self.deadline {
                if let Ok(Some(body)) = timeout(Duration::from_secs(5), self.get(&path)).await {
                    self.summary.borrow_mut().replies += 1;
                    self.write("rest", Direction::Http, Some(format!("{}{path}", self.endpoints.rest)), body);
                    break;
                }
                sleep(Duration::from_millis(200)).await;
            }
        }
    }

    /// The body of a reply with status 200.
    async fn get(&self, path: &str) -> Option<String> {
        let (mut stream, _) = self.dial(&self.endpoints.rest).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).await.ok()?;
        let text = String::from_utf8(reply).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length = head.lines().find_map(|l| l.strip_prefix("Content-Length: ")?.parse::<usize>().ok());
        (head.starts_with("HTTP/1.1 200 ") && length == Some(body.len())).then(|| body.to_owned())
    }

    async fn dial(&self, url: &str) -> Option<(Box<dyn Duplex>, String)> {
        let address = url.split_once("://")?.1.replace("localhost", "127.0.0.1");
        let stream = TcpStream::connect(address).await.ok()?;
        let peer = stream.local_addr().ok()?.to_string();
        let Some(ca) = &self.endpoints.ca else { return Some((Box::new(stream), peer)) };
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca.clone()).ok()?;
        let config = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .ok()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").ok()?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
        Some((Box::new(stream), peer))
    }
}

trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}
