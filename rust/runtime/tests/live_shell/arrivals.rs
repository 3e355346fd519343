//! When data came, by the kernel's clock and by ours.
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]

use std::io::Write;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use xtrader_core::table::StampSource;
use xtrader_core::time::Stamp;
use xtrader_runtime::live::{Timestamps, sys};

use crate::peer::{Peer, read_to_end, text};
use crate::script::{PATIENCE, Run, Seen, open, options};

/// Waits until the other side's kernel has taken everything in.
fn wait_for_arrival(stream: &TcpStream) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut unacknowledged: libc::c_int = 0;
        // SAFETY: the descriptor is open, and the kernel writes one integer into a valid one.
        let done = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut unacknowledged) };
        assert_eq!(done, 0);
        if unacknowledged == 0 {
            return;
        }
        assert!(Instant::now() < deadline, "nobody takes it in");
        std::thread::sleep(Duration::from_millis(1));
    }
}

struct Session {
    stamps: StampSource,
    up: Stamp,
    /// Of three messages: the first is read at once, the others lie in the kernel's buffer while the shard is busy.
    frames: Vec<Stamp>,
    /// The two had arrived.
    arrived: Stamp,
    /// The shard was free to read on.
    free: Stamp,
    report: serde_json::Value,
    /// Who stamped each message, as the engine was told.
    sources: serde_json::Value,
}

/// A shard that is busy with one message while two others arrive.
fn session(timestamps: Timestamps) -> Session {
    let (go, begin) = channel();
    let (told, arrived) = channel();
    let peer = Peer::websocket(move |mut stream, _| {
        stream.write_all(&text("first")).unwrap();
        begin.recv_timeout(PATIENCE).unwrap();
        stream.write_all(&text("second")).unwrap();
        stream.write_all(&text("third")).unwrap();
        wait_for_arrival(&stream);
        told.send(sys::now()).unwrap();
        read_to_end(stream);
    });
    let mut options = options();
    options.net.timestamps = timestamps;
    let (held, times) = channel();
    let run = Run::start(options, vec![open(1, peer.ws())], move |seen| {
        if matches!(seen, Seen::Frame(_, _, payload) if payload == b"first") {
            go.send(()).unwrap();
            let arrived = arrived.recv_timeout(PATIENCE).unwrap();
            held.send((arrived, sys::now())).unwrap();
        }
        Vec::new()
    });
    let Seen::Up(up, 1, _, link) = run.seen() else { panic!("not up") };
    let frames = (0..3).map(|_| match run.seen() {
        Seen::Frame(at, 1, _) => at,
        other => panic!("{other:?}"),
    });
    let frames = frames.collect();
    let (arrived, free) = times.recv_timeout(PATIENCE).unwrap();
    assert_eq!(link.ip, Some(std::net::IpAddr::from([127, 0, 0, 1])));
    let mut report = run.stream.report().unwrap();
    let (report, sources) = (report["connections"][0].take(), report["stamps"].take());
    Session { stamps: link.stamps, up, frames, arrived, free, report, sources }
}

#[test]
fn the_kernel_s_stamps_are_of_the_arrival_and_never_later_than_ours() {
    // A system that has not noted arrivals for anybody yet needs a moment to begin.
    let session = [(); 10].into_iter().map(|()| session(Timestamps::Kernel));
    let session = session.into_iter().find(|session| session.stamps != StampSource::User).expect("this kernel tells");
    let now = sys::now();
    assert_eq!(session.report["stamp_source"], "kernel", "loopback has no card");
    assert_eq!(session.sources, serde_json::json!(["kernel", "kernel", "kernel"]));
    assert_eq!(session.report["stamps_refused"], 0);
    let mut last = session.up;
    for at in &session.frames {
        assert!(at.wall >= last.wall && at.mono >= last.mono, "it never falls: {last:?}, {at:?}");
        assert!(at.wall <= now.wall && at.mono <= now.mono);
        last = *at;
    }
    assert!(session.frames[1].wall <= session.arrived.wall, "arrived while the shard was busy: {:?}", session.frames);
    assert!(session.frames[2].wall <= session.arrived.wall, "so did this one: {:?}", session.frames);
}

#[test]
fn without_the_kernel_s_a_stamp_is_of_the_read() {
    let session = session(Timestamps::User);
    assert_eq!(session.stamps, StampSource::User);
    assert_eq!(session.report["stamp_source"], "user");
    assert_eq!(session.sources, serde_json::json!(["user", "user", "user"]));
    assert!(session.frames[1].wall >= session.free.wall, "read when the shard was free again");
    assert_eq!(session.frames[1], session.frames[2], "in one read");
}
