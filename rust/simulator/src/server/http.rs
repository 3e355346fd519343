//! As much of HTTP/1.1 as an exchange's clients need: heads of requests without bodies, and replies.

use std::fmt::Write;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub method: String,
    /// Path and query.
    pub target: String,
    headers: Vec<(String, String)>,
}

const LONGEST_HEAD: usize = 32 << 10;

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split("\r\n");
        let mut request = lines.next()?.split(' ');
        let (method, target) = (request.next()?.to_owned(), request.next()?.to_owned());
        let header = |l: &str| l.split_once(':').map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned()));
        let headers = lines.filter(|l| !l.is_empty()).map(header).collect::<Option<_>>()?;
        Some(Self { method, target, headers })
    }
}

/// Reads one head; what came behind it stays in `rest`. `None` at the end of the stream, or where it is no HTTP.
pub(crate) async fn read_head<S: AsyncRead + Unpin>(stream: &mut S, rest: &mut Vec<u8>) -> Option<Head> {
    loop {
        if let Some(end) = rest.windows(4).position(|w| w == b"\r\n\r\n") {
            let head: Vec<u8> = rest.drain(..end + 4).collect();
            return Head::parse(&String::from_utf8(head).ok()?);
        }
        if rest.len() > LONGEST_HEAD {
            return None;
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => rest.extend_from_slice(&chunk[..n]),
        }
    }
}

/// A whole reply.
pub(crate) fn reply(status: u16, headers: &[(String, String)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} {}\r\nContent-Length: {}\r\n", reason(status), body.len());
    if !headers.iter().any(|(k, _)| k == "Content-Type") {
        head.push_str("Content-Type: application/json;charset=UTF-8\r\n");
    }
    for (k, v) in headers {
        let _ = write!(head, "{k}: {v}\r\n");
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        301 => "Moved Permanently",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        418 => "I'm a teapot",
        429 => "Too Many Requests",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn heads_are_cut_off_the_stream_one_by_one() {
        let mut bytes = &b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nUpgrade:websocket\r\n\r\nGET /d HTTP/1.1\r\n\r\nrest"[..];
        let mut rest = Vec::new();
        let head = read_head(&mut bytes, &mut rest).await.expect("a head");
        assert_eq!((head.target.as_str(), head.header("UPGRADE")), ("/a?b=c", Some("websocket")));
        assert_eq!(read_head(&mut bytes, &mut rest).await.expect("a head").target, "/d");
        assert_eq!(read_head(&mut bytes, &mut rest).await, None);
        assert_eq!(rest, b"rest");
    }

    #[tokio::test]
    async fn what_is_no_http_is_no_head() {
        for mut bytes in [&b"\x16\x03\x01\r\n\r\n"[..], b"GET / HTTP/1.1\r\nno colon\r\n\r\n"] {
            assert_eq!(read_head(&mut bytes, &mut Vec::new()).await, None);
        }
    }
}
