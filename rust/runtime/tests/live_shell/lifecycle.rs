//! Starting, stopping, failing, forking.

use std::io::Write;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use xtrader_core::engine::{Action, Command, DownReason};
use xtrader_core::symbol::ConnId;
use xtrader_core::time::Stamp;
use xtrader_runtime::RuntimeError;
use xtrader_runtime::live::{LiveStream, Next, sys};

use crate::peer::{Peer, read_frame, read_to_end, text};
use crate::script::{PATIENCE, Run, Script, Seen, open, options};

#[test]
fn stopping_closes_politely_hands_over_the_rest_and_frees_the_socket() {
    let (heard, ends) = channel();
    let peer = Peer::websocket(move |mut stream, _| {
        stream.write_all(&text("last")).unwrap();
        let close = read_frame(&mut stream);
        stream.write_all(&crate::peer::close(1000, "")).unwrap();
        drop(stream);
        heard.send(close).unwrap();
    });
    let mut options = options();
    options.eager = false;
    options.engine.batch.max_delay_ms = 60_000;
    let run = Run::open(options, peer.ws());
    assert_eq!(run.frame(), b"last");
    run.stream.stop().unwrap();
    assert_eq!(ends.recv_timeout(PATIENCE).unwrap(), Some((0x88, 1000u16.to_be_bytes().to_vec())));
    assert!(matches!(run.stream.next_batch(PATIENCE), Next::Batch(_)), "the open row is handed over");
    assert!(matches!(run.stream.next_batch(PATIENCE), Next::Closed));
    assert!(matches!(run.stream.next_batch(PATIENCE), Next::Closed), "and stays closed");
    run.stream.stop().unwrap();
    assert_eq!(run.stream.report().unwrap()["frames"], 1, "the last report stays");
    assert!(matches!(run.inputs.recv_timeout(PATIENCE), Ok(Seen::Command(_, Command::Stop))), "stopping is an input");
    assert!(run.inputs.recv_timeout(PATIENCE).is_err(), "and the last one");
}

#[test]
fn stopping_wakes_a_waiting_consumer() {
    let run = Run::start(options(), Vec::new(), |_| Vec::new());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| run.stream.next_batch(Duration::MAX));
        run.stream.stop().unwrap();
        assert!(matches!(waiting.join().unwrap(), Next::Closed));
    });
}

#[test]
fn a_peer_that_ignores_the_close_does_not_hold_us_up() {
    let (release, released) = channel::<()>();
    let peer = Peer::websocket(move |mut stream, _| {
        stream.write_all(&text("x")).unwrap();
        let _ = released.recv_timeout(PATIENCE);
    });
    let mut options = options();
    options.net.close_ms = 100;
    let run = Run::open(options, peer.ws());
    run.frame();
    run.stream.stop().unwrap();
    drop(release);
}

// Fault: C05
#[test]
fn streams_that_are_dropped_leave_no_socket_and_no_thread() {
    let peer = Peer::websocket(|mut stream, _| {
        let _ = stream.write_all(&text("x"));
        read_to_end(stream);
    });
    let count = || {
        let fds = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
        let ours = fds.filter(|to| to.to_string_lossy().contains("eventpoll")).count();
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let shards = tasks.filter_map(|t| std::fs::read_to_string(t.ok()?.path().join("comm")).ok());
        (ours, shards.filter(|name| name.trim() == "xtrader-shard-9").count())
    };
    let cycle = |read: bool| {
        let mut options = options();
        options.engine.shard = 9;
        let run = Run::open(options, peer.ws());
        if read {
            run.frame();
        }
    };
    for i in 0..50 {
        cycle(i % 2 == 0);
    }
    // Other tests of this process come and go with theirs; fifty leaks would stand out.
    let (epolls, shards) = count();
    assert!(epolls < 40, "{epolls} event queues are open");
    assert_eq!(shards, 0);
}

/// A request may be anywhere on its way when the stream ends: the waits sweep over all of it, connection to reply.
// Fault: C05
#[test]
fn stopping_in_the_middle_of_a_request_is_no_failure() {
    let rest = Peer::raw(|mut stream, _| {
        crate::peer::read_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
        read_to_end(stream);
    });
    for step in 0..300 {
        let run = Run::start(options(), vec![crate::script::get(1, rest.http())], |_| Vec::new());
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_micros(step * 4) {
            std::hint::spin_loop();
        }
        run.stream.stop().unwrap();
        match run.stream.next_batch(PATIENCE) {
            Next::Closed => {}
            other => panic!("stopped after {step} steps: {other:?}"),
        }
    }
}

#[test]
fn the_engine_can_close_and_open_again() {
    let (heard, closes) = channel();
    let peer = Peer::websocket(move |mut stream, i| {
        stream.write_all(&text(&format!("socket {i}"))).unwrap();
        heard.send(read_frame(&mut stream)).unwrap();
    });
    let url = peer.ws();
    let mut first = true;
    let run = Run::start(options(), vec![open(1, url.clone())], move |seen| match seen {
        Seen::Frame(..) if std::mem::take(&mut first) => vec![Action::Close { conn: ConnId(1), reason: "silent" }],
        Seen::Down(..) => vec![open(1, url.clone())],
        _ => Vec::new(),
    });
    assert_eq!(run.frame(), b"socket 0");
    let down = run.down();
    assert_eq!((down.reason, &down.detail[..]), (DownReason::Local, "silent"));
    assert_eq!(closes.recv_timeout(PATIENCE).unwrap(), Some((0x88, 1000u16.to_be_bytes().to_vec())));
    assert_eq!(run.frame(), b"socket 1");
}

#[test]
fn a_connection_can_be_closed_while_it_is_dialled() {
    let silent = Peer::raw(|stream, _| read_to_end(stream));
    let first = vec![open(1, silent.ws()), Action::Close { conn: ConnId(1), reason: "changed its mind" }];
    let run = Run::start(options(), first, |_| Vec::new());
    assert_eq!(run.down().reason, DownReason::Local);
}

#[test]
fn the_timer_fires_when_it_is_due() {
    let due = sys::now().after(50_000_000);
    let (script, inputs) = Script::new(Vec::new(), |_| Vec::new());
    let _stream = LiveStream::start_with(options(), script.with_timeout(due)).unwrap();
    let Seen::Timeout(Stamp { mono, .. }) = inputs.recv_timeout(PATIENCE).unwrap() else { panic!("no timeout") };
    assert!(mono >= due.mono);
}

#[test]
fn a_spinning_shard_does_the_same() {
    let peer = Peer::websocket(|mut stream, _| {
        stream.write_all(&text("x")).unwrap();
        read_to_end(stream);
    });
    let rest = Peer::raw(|mut stream, _| {
        crate::peer::read_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    });
    let mut options = options();
    options.spin = true;
    options.force = true;
    let run = Run::start(options, vec![open(1, peer.ws()), crate::script::get(1, rest.http())], |_| Vec::new());
    let mut frame = false;
    let mut reply = false;
    while !(frame && reply) {
        match run.seen() {
            Seen::Frame(..) => frame = true,
            Seen::Http(..) => reply = true,
            _ => {}
        }
    }
    assert!(matches!(run.stream.next_batch(PATIENCE), Next::Batch(_)));
    run.stream.stop().unwrap();
}

#[test]
fn a_core_that_is_not_there_is_a_clear_error() {
    let mut options = options();
    options.pin_core = Some(100_000);
    options.force = true;
    let run = Run::start(options, Vec::new(), |_| Vec::new());
    match run.stream.next_batch(PATIENCE) {
        Next::Failed(e) => assert!(e.to_string().contains("pin_core"), "{e}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_panic_ends_the_stream_with_an_error_and_frees_everything() {
    let (gone, ends) = channel();
    let peer = Peer::websocket(move |mut stream, _| {
        stream.write_all(&[text("good"), text("panic")].concat()).unwrap();
        read_to_end(stream);
        gone.send(()).unwrap();
    });
    let mut options = options();
    options.engine.batch.max_delay_ms = 0;
    let run = Run::open(options, peer.ws());
    let failed = loop {
        match run.stream.next_batch(PATIENCE) {
            Next::Batch(_) => {}
            Next::Failed(e) => break e,
            other => panic!("{other:?}"),
        }
    };
    assert!(failed.to_string().contains("panicked: asked to"), "{failed}");
    assert!(matches!(run.stream.next_batch(PATIENCE), Next::Failed(RuntimeError::Failed(_))), "and stays failed");
    ends.recv_timeout(PATIENCE).expect("the socket is closed");
    assert!(run.stream.report().is_err());
    run.stream.stop().unwrap();
}

#[test]
fn a_report_tells_of_connections_queue_and_rest() {
    let peer = Peer::websocket(|mut stream, _| {
        stream.write_all(&text("x")).unwrap();
        read_to_end(stream);
    });
    let run = Run::open(options(), peer.ws());
    run.frame();
    let report = run.stream.report().unwrap();
    let connection = &report["connections"][0];
    assert_eq!((connection["state"].as_str(), connection["messages"].as_u64()), (Some("up"), Some(1)));
    assert_eq!(connection["peer"].as_str().unwrap(), format!("127.0.0.1:{}", peer.port));
    assert!(connection["opened_at"].as_i64().is_some());
    assert!(report["queue"]["max_bytes"].as_u64().is_some() && report["rest"]["sent"].as_u64() == Some(0));
}

/// The child must touch no lock and start no thread: it only asks, and leaves.
// Fault: C08
#[test]
fn a_fork_gets_a_clear_error_and_the_parent_goes_on() {
    let (tell, told) = channel::<()>();
    let peer = Peer::websocket(move |mut stream, _| {
        let _ = told.recv_timeout(PATIENCE);
        stream.write_all(&text("after the fork")).unwrap();
        read_to_end(stream);
    });
    let run = Run::open(options(), peer.ws());
    assert!(matches!(run.seen(), Seen::Up(..)));
    // SAFETY: the child calls nothing but functions that only read memory and ask for the process id, then `_exit`.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let refused = matches!(run.stream.next_batch(Duration::MAX), Next::Failed(RuntimeError::Forked { .. }))
            && matches!(run.stream.stop(), Err(RuntimeError::Forked { .. }))
            && run.stream.report().is_err();
        // SAFETY: ends the child at once, without running anything of the parent's.
        unsafe { libc::_exit(if refused { 0 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: waits for the child that was just started, into a valid integer.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!((waited, status), (child, 0));
    tell.send(()).unwrap();
    assert_eq!(run.frame(), b"after the fork");
}
