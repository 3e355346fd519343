//! The HTTP upgrade to WebSocket: one request, one answer, both bounded. Nothing is offered (no extension, no
//! subprotocol), so nothing may be accepted, and nobody is followed elsewhere.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::{Response, generate_request};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::handshake::machine::TryParse;
use tokio_tungstenite::tungstenite::http::HeaderMap;
use url::Url;
use xtrader_core::engine::{ConnDown, DownReason};

use super::down::{down, escaped};
use super::rest::retry_after_ms;

/// Most bytes of an answer's head.
const MAX_HEAD: usize = 16 << 10;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// Asks for the upgrade. Yields the bytes that came behind the answer: they are frames already.
pub async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, url: &Url) -> Result<Vec<u8>, ConnDown> {
    let (request, key) = url
        .as_str()
        .into_client_request()
        .and_then(generate_request)
        .map_err(|e| down(DownReason::ConnectFailed, &e.to_string()))?;
    stream.write_all(&request).await.map_err(|e| transport(&e))?;
    stream.flush().await.map_err(|e| transport(&e))?;

    let mut answer = Vec::with_capacity(1024);
    let head = loop {
        // The end of the head may lie across two reads, never further back.
        let from = answer.len().saturating_sub(END_OF_HEAD.len() - 1);
        if stream.read_buf(&mut answer).await.map_err(|e| transport(&e))? == 0 {
            return Err(down(DownReason::Eof, "the peer ended the connection during the upgrade"));
        }
        if let Some(at) = answer[from..].windows(END_OF_HEAD.len()).position(|w| w == END_OF_HEAD) {
            break from + at + END_OF_HEAD.len();
        }
        if answer.len() > MAX_HEAD {
            return Err(protocol("the answer to the upgrade has no end"));
        }
    };
    if head > MAX_HEAD {
        return Err(protocol("the head of the answer to the upgrade is too large"));
    }
    let tail = answer.split_off(head);
    let response = match Response::try_parse(&answer) {
        Ok(Some((_, response))) => response,
        Ok(None) => return Err(protocol("the answer to the upgrade is no HTTP")),
        Err(WsError::Capacity(_)) => return Err(protocol("the answer to the upgrade has too many headers")),
        Err(e) => return Err(protocol(&format!("the answer to the upgrade is malformed: {e}"))),
    };
    verify(&response, &key, &tail)?;
    Ok(tail)
}

/// RFC 6455, 4.1: what the answer must say, and what it must not.
fn verify(response: &Response, key: &str, body: &[u8]) -> Result<(), ConnDown> {
    let headers = response.headers();
    let status = response.status().as_u16();
    if status != 101 {
        let location = text(headers, "location").map(|to| format!("redirects are not followed: {to}"));
        let detail = location.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
        return Err(ConnDown {
            reason: DownReason::Refused,
            code: Some(status),
            detail: escaped(&detail),
            retry_after_ms: text(headers, "retry-after").and_then(retry_after_ms),
        });
    }
    if !text(headers, "upgrade").is_some_and(|v| v.eq_ignore_ascii_case("websocket")) {
        return Err(protocol("the answer does not say `Upgrade: websocket`"));
    }
    let connection = text(headers, "connection").unwrap_or_default();
    if !connection.split(',').any(|v| v.trim().eq_ignore_ascii_case("upgrade")) {
        return Err(protocol("the answer does not say `Connection: Upgrade`"));
    }
    if text(headers, "sec-websocket-accept") != Some(derive_accept_key(key.as_bytes()).as_str()) {
        return Err(protocol("Sec-WebSocket-Accept does not match the key that was sent"));
    }
    for unasked in ["sec-websocket-extensions", "sec-websocket-protocol"] {
        if headers.contains_key(unasked) {
            return Err(protocol(&format!("the answer brings {unasked}, which nobody asked for")));
        }
    }
    Ok(())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn protocol(detail: &str) -> ConnDown {
    down(DownReason::Protocol, detail)
}

fn transport(e: &std::io::Error) -> ConnDown {
    down(DownReason::ConnectFailed, &format!("upgrade: {e}"))
}
