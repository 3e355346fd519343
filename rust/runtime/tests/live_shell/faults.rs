//! Peers that break, stall or break the rules on an open connection.

use std::io::Write;
use std::net::Shutdown;
use std::sync::mpsc::channel;
use std::time::Duration;

use xtrader_core::engine::DownReason;

use crate::peer::{Peer, close, frame, read_frame, read_to_end, reset, text};
use crate::script::{PATIENCE, Run, Seen, open, options, send};

// Fault: N01
#[test]
fn a_reset_at_any_byte_of_a_message_never_delivers_the_part() {
    let whole = text("{\"cut\":true}");
    let cuts = whole.len();
    let peer = Peer::websocket(move |mut stream, i| {
        stream.write_all(&text("whole")).unwrap();
        assert_eq!(read_frame(&mut stream), Some((0x81, b"got it".to_vec())));
        stream.write_all(&whole[..i % cuts]).unwrap();
        reset(stream);
    });
    let url = peer.ws();
    let mut opened = 1;
    let run = Run::start(options(), vec![open(1, url.clone())], move |seen| match seen {
        Seen::Frame(..) => vec![send(1, "got it")],
        Seen::Down(..) if opened < cuts => {
            opened += 1;
            vec![open(1, url.clone())]
        }
        _ => Vec::new(),
    });
    for _ in 0..cuts {
        assert!(matches!(run.seen(), Seen::Up(..)));
        let Seen::Frame(_, _, payload) = run.seen() else { panic!("no frame") };
        assert_eq!(payload, b"whole");
        let Seen::Down(_, 1, down) = run.seen() else { panic!("not down") };
        assert_eq!(down.reason, DownReason::Reset, "{down:?}");
    }
}

// Fault: N03
#[test]
fn an_end_without_close_is_no_polite_one() {
    let peer = Peer::websocket(|mut stream, _| {
        stream.write_all(&[text("last"), frame(0x81, b"half")[..4].to_vec()].concat()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        read_to_end(stream);
    });
    let run = Run::open(options(), peer.ws());
    assert_eq!(run.frame(), b"last");
    let down = run.down();
    assert_eq!((down.reason, down.code), (DownReason::Eof, None));
    assert!(down.detail.contains("4 bytes of an unfinished message"), "{down:?}");
}

// Fault: N02, B14
#[test]
fn a_close_is_told_with_its_code_and_answered() {
    for code in [1000u16, 1001, 1008, 1012, 1013, 4321] {
        let (answer, answers) = channel();
        let peer = Peer::websocket(move |mut stream, _| {
            stream.write_all(&[text("a"), close(code, "too \x1b[31mmany\nrequests"), text("beyond")].concat()).unwrap();
            answer.send(read_frame(&mut stream)).unwrap();
        });
        let run = Run::open(options(), peer.ws());
        assert_eq!(run.frame(), b"a");
        let down = run.down();
        assert_eq!((down.reason, down.code), (DownReason::Closed, Some(code)));
        assert_eq!(down.detail, "too \\u{1b}[31mmany\\nrequests");
        let (first, payload) = answers.recv_timeout(PATIENCE).unwrap().unwrap();
        assert_eq!((first, payload), (0x88, code.to_be_bytes().to_vec()), "our close repeats the code");
    }
}

// Fault: B07, B10
#[test]
fn what_breaks_the_protocol_ends_the_connection_from_the_header() {
    let cases: [(&'static [u8], u16); 10] = [
        (&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], 1009),
        (&[0x82, 127, 0, 0, 0, 0, 1, 0, 0, 1], 1009),
        (&[0x81, 0x81, 1, 2, 3, 4, 5], 1002),
        (&[0xC1, 0x00], 1002),
        (&[0x83, 0x00], 1002),
        (&[0x8F, 0x00], 1002),
        (&[0x09, 0x00], 1002),
        (&[0x89, 126, 0, 126], 1002),
        (&[0x80, 0x00], 1002),
        (&[0x88, 0x02, 0x03, 0xED], 1002),
    ];
    for (bytes, code) in cases {
        let (answer, answers) = channel();
        let peer = Peer::websocket(move |mut stream, _| {
            stream.write_all(&[text("ok"), bytes.to_vec()].concat()).unwrap();
            answer.send(read_frame(&mut stream)).unwrap();
        });
        let run = Run::open(options(), peer.ws());
        assert_eq!(run.frame(), b"ok", "{bytes:?}");
        assert_eq!(run.down().reason, DownReason::Protocol, "{bytes:?}");
        let answer = answers.recv_timeout(PATIENCE).unwrap();
        assert_eq!(answer, Some((0x88, code.to_be_bytes().to_vec())), "{bytes:?}");
    }
}

// Fault: B07
#[test]
fn endless_pieces_are_refused_at_the_bound() {
    let peer = Peer::websocket(|mut stream, _| {
        let piece = frame(0x00, &[b'x'; 10_000]);
        stream.write_all(&frame(0x01, b"")).unwrap();
        while stream.write_all(&piece).is_ok() {}
    });
    let mut options = options();
    options.net.max_message_bytes = 100_000;
    let down = Run::open(options, peer.ws()).down();
    assert_eq!((down.reason, down.code), (DownReason::Protocol, Some(1009)), "{down:?}");
}

// Fault: N08
#[test]
fn a_message_that_never_ends_costs_its_connection_and_no_other() {
    let slow = Peer::websocket(|mut stream, _| {
        for byte in text(&"x".repeat(100_000)) {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let quick = Peer::websocket(|mut stream, _| {
        while stream.write_all(&text("tick")).is_ok() {
            if read_frame(&mut stream).is_none() {
                return;
            }
        }
    });
    let mut options = options();
    options.net.assembly_ms = 200;
    options.net.messages_per_s = Some(1000);
    let first = vec![open(1, slow.ws()), open(2, quick.ws())];
    let run = Run::start(options, first, |seen| match seen {
        Seen::Frame(_, conn, _) => vec![send(*conn, "more")],
        _ => Vec::new(),
    });
    let mut ticks = 0;
    let down = loop {
        match run.seen() {
            Seen::Down(_, 1, down) => break down,
            Seen::Frame(_, 2, _) => ticks += 1,
            Seen::Up(..) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(down.reason, DownReason::Protocol);
    assert!(down.detail.contains("not complete after 200 ms"), "{down:?}");
    assert!(ticks > 0, "the other connection went on");
}

// Fault: N19
#[test]
fn a_peer_that_does_not_read_is_left_at_the_deadline() {
    let (release, released) = channel::<()>();
    let peer = Peer::websocket(move |stream, _| {
        // Holds the connection open and reads nothing.
        let _ = released.recv_timeout(PATIENCE);
        drop(stream);
    });
    let mut options = options();
    options.net.write_ms = 200;
    options.net.max_write_bytes = 256 << 20;
    options.net.messages_per_s = Some(1000);
    let run = Run::start(options, vec![open(1, peer.ws())], |seen| match seen {
        Seen::Up(..) => (0..32).map(|_| send(1, "x".repeat(1 << 20))).collect(),
        _ => Vec::new(),
    });
    let down = run.down();
    assert_eq!(down.reason, DownReason::WriteBlocked);
    assert!(down.detail.contains("200 ms"), "{down:?}");
    drop(release);
}

// Fault: N19
#[test]
fn what_waits_to_be_sent_is_bounded() {
    let peer = Peer::websocket(|stream, _| read_to_end(stream));
    let mut options = options();
    options.net.max_write_bytes = 1 << 20;
    let run = Run::start(options, vec![open(1, peer.ws())], |seen| match seen {
        Seen::Up(..) => (0..3).map(|_| send(1, "x".repeat(1 << 19))).collect(),
        _ => Vec::new(),
    });
    let down = run.down();
    assert_eq!(down.reason, DownReason::WriteBlocked);
    assert!(down.detail.contains("1048576 bytes"), "{down:?}");
}
