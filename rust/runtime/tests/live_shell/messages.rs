//! What arrives, how it is stamped, and what is answered.

use std::io::Write;
use std::sync::mpsc::channel;

use crate::peer::{Peer, frame, read_frame, read_to_end, text};
use crate::script::{PATIENCE, Run, Seen, options, send};

#[test]
fn messages_arrive_whole_in_order_and_share_the_stamp_of_their_read() {
    let peer = Peer::websocket(|mut stream, _| {
        let both = [text("one"), frame(0x82, &[0, 255]), text("")].concat();
        stream.write_all(&both).unwrap();
        read_to_end(stream);
    });
    let run = Run::open(options(), peer.ws());
    let Seen::Up(up, 1, url, _) = run.seen() else { panic!("not up") };
    assert_eq!(url, peer.ws());
    let frames: Vec<_> = (0..3).map(|_| run.seen()).collect();
    let [Seen::Frame(a, 1, one), Seen::Frame(b, 1, two), Seen::Frame(c, 1, three)] = &frames[..] else {
        panic!("{frames:?}")
    };
    assert_eq!((&one[..], &two[..], &three[..]), (&b"one"[..], &[0, 255][..], &b""[..]));
    assert!(a == b && b == c, "one write to loopback is one read: {frames:?}");
    assert!(up.mono <= a.mono);
}

#[test]
fn messages_behind_the_answer_to_the_upgrade_are_not_lost() {
    let peer = Peer::raw(|mut stream, _| {
        let head = crate::peer::read_head(&mut stream).unwrap();
        let answer = [crate::peer::accept_text(&head).into_bytes(), text("early")].concat();
        stream.write_all(&answer).unwrap();
        read_to_end(stream);
    });
    let run = Run::open(options(), peer.ws());
    let (Seen::Up(up, ..), Seen::Frame(at, _, payload)) = (run.seen(), run.seen()) else {
        panic!("not up, then a frame")
    };
    assert_eq!(payload, b"early");
    assert!(up.mono <= at.mono, "the connection is up before its first message");
}

#[test]
fn ten_thousand_messages_in_any_pieces_arrive_once_and_stamps_never_fall() {
    const N: usize = 10_000;
    let peer = Peer::websocket(|mut stream, _| {
        let bytes: Vec<u8> = (0..N).flat_map(|i| text(&format!("{i} {}", "x".repeat(i % 300)))).collect();
        // Pieces of every length, the same in every run.
        let mut rest = &bytes[..];
        let mut n = 1;
        while !rest.is_empty() {
            n = (n * 7 + 13) % 5000;
            let (piece, after) = rest.split_at((n + 1).min(rest.len()));
            stream.write_all(piece).unwrap();
            rest = after;
        }
        read_to_end(stream);
    });
    let run = Run::open(options(), peer.ws());
    let mut last = 0;
    for i in 0..N {
        let payload = loop {
            if let Seen::Frame(at, _, payload) = run.seen() {
                assert!(at.mono >= last);
                last = at.mono;
                break payload;
            }
        };
        assert_eq!(payload, format!("{i} {}", "x".repeat(i % 300)).as_bytes());
    }
}

#[test]
fn two_connections_share_one_shard() {
    let serve = |name: &'static str| {
        Peer::websocket(move |mut stream, _| {
            for i in 0..100 {
                stream.write_all(&text(&format!("{name}{i}"))).unwrap();
            }
            read_to_end(stream);
        })
    };
    let (a, b) = (serve("a"), serve("b"));
    let first = vec![crate::script::open(1, a.ws()), crate::script::open(2, b.ws())];
    let run = Run::start(options(), first, |_| Vec::new());
    let mut next = [0, 0];
    let mut last = 0;
    while next != [100, 100] {
        if let Seen::Frame(at, conn, payload) = run.seen() {
            let i = usize::from(conn - 1);
            assert_eq!(payload, format!("{}{}", ["a", "b"][i], next[i]).as_bytes());
            next[i] += 1;
            assert!(at.mono >= last, "inputs are in the order of their stamps");
            last = at.mono;
        }
    }
}

// Fault: X29
#[test]
fn pieces_with_pings_between_are_one_message_and_the_ping_is_answered() {
    let (pong, pongs) = channel();
    let peer = Peer::websocket(move |mut stream, _| {
        let bytes = [frame(0x01, b"a"), frame(0x89, b"1732000000000"), frame(0x00, b"b"), frame(0x80, b"c")].concat();
        stream.write_all(&bytes).unwrap();
        pong.send(read_frame(&mut stream)).unwrap();
        read_to_end(stream);
    });
    let run = Run::open(options(), peer.ws());
    assert_eq!(run.frame(), b"abc");
    assert_eq!(pongs.recv_timeout(PATIENCE).unwrap(), Some((0x8A, b"1732000000000".to_vec())));
}

// Fault: X29, Z17
#[test]
fn a_ping_flood_is_answered_at_the_rate_of_our_messages() {
    const PINGS: u32 = 2000;
    let (done, pongs) = channel();
    let peer = Peer::websocket(move |mut stream, _| {
        let flood: Vec<u8> = (0..PINGS).flat_map(|i| frame(0x89, &i.to_be_bytes().repeat(31))).collect();
        stream.write_all(&[flood, text("after")].concat()).unwrap();
        let mut pongs = 0;
        while let Some((0x8A, payload)) = read_frame(&mut stream) {
            pongs += 1;
            if payload.starts_with(&(PINGS - 1).to_be_bytes()) {
                break;
            }
        }
        done.send(pongs).unwrap();
        read_to_end(stream);
    });
    let run = Run::open(options(), peer.ws());
    assert_eq!(run.frame(), b"after");
    let pongs = pongs.recv_timeout(PATIENCE).unwrap();
    assert!(pongs <= 40, "{pongs} pongs for {PINGS} pings; the last one must be answered");
}

// Fault: B01
#[test]
fn a_text_that_is_no_utf8_reaches_the_engine_and_costs_nothing_else() {
    let peer = Peer::websocket(|mut stream, _| {
        stream.write_all(&[frame(0x81, b"\xFF\xC0{"), text("next")].concat()).unwrap();
        read_to_end(stream);
    });
    let run = Run::open(options(), peer.ws());
    assert_eq!(run.frame(), b"\xFF\xC0{");
    assert_eq!(run.frame(), b"next");
}

#[test]
fn what_the_engine_sends_arrives_masked_and_in_order() {
    let (heard, texts) = channel();
    let peer = Peer::websocket(move |mut stream, _| {
        while let Some((0x81, payload)) = read_frame(&mut stream) {
            heard.send(String::from_utf8(payload).unwrap()).unwrap();
        }
    });
    let url = peer.ws();
    let run = Run::start(options(), vec![crate::script::open(1, url)], |seen| match seen {
        Seen::Up(..) => vec![send(1, "first"), send(1, "x".repeat(70_000)), send(1, "third")],
        _ => Vec::new(),
    });
    let heard: Vec<String> = (0..3).map(|_| texts.recv_timeout(PATIENCE).unwrap()).collect();
    assert_eq!(heard, ["first".to_owned(), "x".repeat(70_000), "third".to_owned()]);
    drop(run);
}
