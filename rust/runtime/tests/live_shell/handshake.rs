//! Connections that do not open.

use std::io::Write;
use std::net::TcpListener;
use std::time::Duration;

use xtrader_core::engine::DownReason;
use xtrader_runtime::RuntimeError;
use xtrader_runtime::live::LiveStream;

use crate::peer::{Peer, accept_text, read_frame, read_head, read_to_end, text};
use crate::script::{Run, Seen, open, options, send};

fn answering(answer: impl Fn(&str) -> String + Send + 'static) -> Peer {
    Peer::raw(move |mut stream, _| {
        let head = read_head(&mut stream).unwrap();
        let _ = stream.write_all(answer(&head).as_bytes());
        read_to_end(stream);
    })
}

// Fault: N17, B08
#[test]
fn nothing_is_offered_in_the_upgrade() {
    let (sent, heads) = std::sync::mpsc::channel();
    let peer = Peer::raw(move |mut stream, _| {
        sent.send(read_head(&mut stream).unwrap().to_ascii_lowercase()).unwrap();
    });
    let _run = Run::open(options(), peer.ws());
    let head = heads.recv_timeout(crate::script::PATIENCE).unwrap();
    assert!(head.starts_with("get /x http/1.1\r\n"), "{head}");
    assert!(head.contains("sec-websocket-version: 13"), "{head}");
    assert!(!head.contains("extensions") && !head.contains("sec-websocket-protocol"), "{head}");
}

// Fault: N16, B14
#[test]
fn a_refusal_is_told_with_its_status_and_its_wait() {
    for (status, wait) in [(429, Some("7")), (418, Some("120")), (403, None), (503, Some("1")), (451, None)] {
        let peer = answering(move |_| {
            let wait = wait.map(|s| format!("Retry-After: {s}\r\n")).unwrap_or_default();
            format!("HTTP/1.1 {status} No\r\n{wait}Content-Length: 9\r\n\r\ngo\x1b away\n")
        });
        let down = Run::open(options(), peer.ws()).down();
        assert_eq!((down.reason, down.code), (DownReason::Refused, Some(status)));
        assert_eq!(down.retry_after_ms, wait.map(|s| s.parse::<u64>().unwrap() * 1000));
        assert_eq!(down.detail, "go\\u{1b} away\\n");
    }
}

// Fault: N16
#[test]
fn a_host_that_refused_is_not_asked_again_before_its_time() {
    let peer = answering(|_| "HTTP/1.1 418 Teapot\r\nRetry-After: 3000\r\nContent-Length: 0\r\n\r\n".to_owned());
    let url = peer.ws();
    let mut again = Some(url.clone());
    let run = Run::start(options(), vec![open(1, url)], move |seen| match seen {
        Seen::Down(..) => again.take().map(|url| open(1, url)).into_iter().collect(),
        _ => Vec::new(),
    });
    assert_eq!(run.down().code, Some(418));
    let second = run.down();
    assert_eq!((second.reason, second.code), (DownReason::Refused, None), "refused here, not there");
    assert!(second.retry_after_ms.is_some_and(|ms| ms > 2_990_000 && ms <= 3_000_000), "{second:?}");
}

// Fault: N16
#[test]
fn a_redirect_is_not_followed() {
    let peer = answering(|_| "HTTP/1.1 301 Moved\r\nLocation: wss://elsewhere.example/\r\n\r\n".to_owned());
    let down = Run::open(options(), peer.ws()).down();
    assert_eq!((down.reason, down.code), (DownReason::Refused, Some(301)));
    assert!(down.detail.contains("elsewhere.example"), "{down:?}");
}

// Fault: N17, B08
#[test]
fn a_wrong_answer_is_a_broken_protocol() {
    let cases: [fn(&str) -> String; 7] = [
        |head| accept_text(head).replace("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: x"),
        |head| accept_text(head).replace("Upgrade: websocket\r\n", ""),
        |head| accept_text(head).replace("Connection: Upgrade\r\n", ""),
        |head| accept_text(head).replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
        |head| accept_text(head).replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: chat\r\n\r\n"),
        |_| "SSH-2.0-OpenSSH_9.6\r\n\r\n".to_owned(),
        |_| format!("HTTP/1.1 101 Switching Protocols\r\n{}\r\n", "X: y\r\n".repeat(500)),
    ];
    for (i, case) in cases.into_iter().enumerate() {
        let down = Run::open(options(), answering(case).ws()).down();
        assert_eq!(down.reason, DownReason::Protocol, "case {i}: {down:?}");
    }
}

// Fault: Z17
#[test]
fn a_flood_of_header_bytes_is_cut() {
    let peer = Peer::raw(|mut stream, _| {
        read_head(&mut stream).unwrap();
        let _ = stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n");
        while stream.write_all(&[b'x'; 1024]).is_ok() {}
    });
    let down = Run::open(options(), peer.ws()).down();
    assert_eq!(down.reason, DownReason::Protocol, "{down:?}");
}

// Fault: Z17
#[test]
fn an_upgrade_that_never_ends_is_left_at_the_deadline() {
    let silent = Peer::raw(|stream, _| read_to_end(stream));
    let dripping = Peer::raw(|mut stream, _| {
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    for peer in [silent, dripping] {
        let mut options = options();
        options.net.connect_ms = 200;
        let down = Run::open(options, peer.ws()).down();
        assert_eq!(down.reason, DownReason::ConnectFailed);
        assert!(down.detail.contains("200 ms"), "{down:?}");
    }
}

#[test]
fn nobody_there_is_told_with_the_address() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let down = Run::open(options(), format!("ws://127.0.0.1:{port}/")).down();
    assert_eq!(down.reason, DownReason::ConnectFailed);
    assert!(down.detail.contains(&port.to_string()), "{down:?}");
}

// Fault: N14
#[test]
fn a_name_that_does_not_exist_is_told_and_costs_no_other_connection() {
    let peer = Peer::websocket(
        |mut stream, _| {
            while stream.write_all(&text("tick")).is_ok() && read_frame(&mut stream).is_some() {}
        },
    );
    let mut options = options();
    options.net.connect_ms = 2_000;
    options.net.messages_per_s = Some(1_000);
    // RFC 6761: `.invalid` never resolves, with a resolver or without one.
    let first = vec![open(1, "wss://nowhere.invalid/"), open(2, peer.ws())];
    let run = Run::start(options, first, |seen| match seen {
        Seen::Frame(_, 2, _) => vec![send(2, "more")],
        _ => Vec::new(),
    });
    let (mut refused, mut ticks_after) = (None, 0);
    while ticks_after < 10 {
        match run.seen() {
            Seen::Down(_, 1, down) => refused = Some(down),
            Seen::Down(_, conn, down) => panic!("connection {conn}: {down:?}"),
            Seen::Frame(..) if refused.is_some() => ticks_after += 1,
            _ => {}
        }
    }
    let down = refused.expect("it ended the wait");
    assert_eq!(down.reason, DownReason::ConnectFailed);
    assert!(down.detail.contains("nowhere.invalid") || down.detail.contains("2000 ms"), "{down:?}");
}

// Fault: Z03
#[test]
fn plain_text_to_another_machine_is_refused_before_anything_is_dialled() {
    let mut options = options();
    options.engine.endpoints = Some(xtrader_core::config::Endpoints {
        ws: "ws://fstream.binance.com".to_owned(),
        rest: "https://fapi.binance.com".to_owned(),
    });
    let (script, _inputs) = crate::script::Script::new(Vec::new(), |_| Vec::new());
    let refused = LiveStream::start_with(options, script).expect_err("plain text");
    assert!(matches!(refused, RuntimeError::Options(_)), "{refused}");
    assert!(refused.to_string().contains("use wss://"), "{refused}");

    let down = Run::open(crate::script::options(), "ws://10.255.255.1/").down();
    assert_eq!(down.reason, DownReason::ConnectFailed);
    assert!(down.detail.contains("loopback"), "{down:?}");
}
