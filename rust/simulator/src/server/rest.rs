//! One REST client: requests one after another on a connection.

use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::clock::wall_ns;
use crate::fault::{Fault, FrameContext, Stage, malform};
use crate::server::http::{self, Head};
use crate::server::socket::{Handle, Socket, accept};
use crate::server::{Shared, State};
use crate::truth::RequestRecord;
use crate::venue::{RestReply, RestRequest};

/// How long a request may wait for the market to reach the position that a fault asks for.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn run(shared: Arc<Shared>, stream: TcpStream) {
    let Ok(handle) = Handle::of(&stream) else { return };
    let address = stream.local_addr().ok().map(|a| a.ip());
    let context = FrameContext { address, path: "rest", ..FrameContext::default() };
    let Some(mut socket) = accept(&shared, stream, &context).await else { return };
    let mut rest = Vec::new();
    while let Some(head) = http::read_head(&mut socket, &mut rest).await {
        let again = answer(&shared, &mut socket, &handle, address, &head).await;
        let close = head.header("Connection").is_some_and(|c| c.eq_ignore_ascii_case("close"));
        if !again || close {
            let _ = socket.shutdown().await;
            return;
        }
    }
}

/// False when the connection ends with this.
async fn answer(
    shared: &Arc<Shared>,
    socket: &mut Socket,
    handle: &Handle,
    address: Option<IpAddr>,
    head: &Head,
) -> bool {
    let (path, query) = head.target.split_once('?').unwrap_or((&head.target, ""));
    let request = RestRequest { path, query, now: shared.clock.now(), wall_ms: wall_ns() / 1_000_000 };
    let context = FrameContext { address, path, symbol: request.symbol(), ..FrameContext::default() };
    let struck = shared.state().faults.strike(Stage::Rest, &context, request.now);
    let faults: Vec<Fault> = struck.into_iter().map(|(_, f)| f).collect();
    let record = |state: &mut State, status, snapshot_id, figures| {
        state.truth.request(RequestRecord {
            at_ns: wall_ns(),
            path: head.target.clone(),
            status,
            snapshot_id,
            figures,
            faults: faults.iter().map(Fault::name).collect(),
        });
    };
    for fault in &faults {
        match fault {
            Fault::RestHang => {
                record(&mut shared.state(), 0, None, Vec::new());
                return std::future::pending().await;
            }
            Fault::RestStatus { status, retry_after_s, body } => {
                record(&mut shared.state(), *status, None, Vec::new());
                let retry = retry_after_s.map(|s| ("Retry-After".to_owned(), s.to_string()));
                let headers: Vec<_> = retry.into_iter().collect();
                let body = body.clone().unwrap_or_else(|| shared.state().venue.error_body("An error on request."));
                return send(socket, &http::reply(*status, &headers, body.as_bytes())).await;
            }
            Fault::RestRedirect { location } => {
                record(&mut shared.state(), 302, None, Vec::new());
                let headers = [("Location".to_owned(), location.clone())];
                return send(socket, &http::reply(302, &headers, b"")).await;
            }
            Fault::RestGzipBomb { bytes } => {
                record(&mut shared.state(), 200, None, Vec::new());
                let bytes = *bytes;
                let body = tokio::task::spawn_blocking(move || bomb(bytes)).await.unwrap_or_default();
                let headers = [("Content-Encoding".to_owned(), "gzip".to_owned())];
                return send(socket, &http::reply(200, &headers, &body)).await;
            }
            _ => {}
        }
    }
    let reply = ask(shared, &request, &faults).await;
    record(&mut shared.state(), reply.status, reply.snapshot_id, reply.figures);
    let mut body = reply.body.into_bytes();
    for fault in &faults {
        match fault {
            Fault::RestSlow { seconds } => sleep(Duration::from_secs_f64(seconds.max(0.0))).await,
            Fault::RestMalformed { how } => body = malform(&String::from_utf8_lossy(&body), how),
            Fault::RestCut { at_byte } => {
                let mut bytes = http::reply(reply.status, &reply.headers, &body);
                bytes.truncate(bytes.len() - body.len() + at_byte.min(&body.len()));
                send(socket, &bytes).await;
                handle.reset_on_close();
                return false;
            }
            _ => {}
        }
    }
    send(socket, &http::reply(reply.status, &reply.headers, &body)).await
}

/// The venue's answer, once it has one.
async fn ask(shared: &Arc<Shared>, request: &RestRequest<'_>, faults: &[Fault]) -> RestReply {
    let ask = async {
        loop {
            let reply = {
                let state = &mut *shared.state();
                let request = RestRequest { now: shared.clock.now(), ..*request };
                state.venue.rest(&request, faults, &state.truth)
            };
            if !reply.again {
                return reply;
            }
            // The market may go on between the answer and this: hence not for ever.
            let _ = tokio::time::timeout(Duration::from_millis(20), shared.advanced.notified()).await;
        }
    };
    tokio::time::timeout(PATIENCE, ask).await.unwrap_or_else(|_| RestReply {
        status: 503,
        headers: Vec::new(),
        body: shared.state().venue.error_body("The market never reached the position that the fault asks for."),
        snapshot_id: None,
        figures: Vec::new(),
        again: false,
    })
}

async fn send(socket: &mut Socket, bytes: &[u8]) -> bool {
    socket.write_all(bytes).await.is_ok() && socket.flush().await.is_ok()
}

fn bomb(bytes: u64) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 16];
    let mut left = bytes;
    while left > 0 {
        let n = left.min(zeros.len() as u64);
        if out.write_all(&zeros[..n as usize]).is_err() {
            break;
        }
        left -= n;
    }
    out.finish().unwrap_or_default()
}
