//! REST: every request is answered once, whatever the host does.

use std::io::Write;
use std::sync::mpsc::{Receiver, channel};

use flate2::Compression;
use flate2::write::GzEncoder;
use xtrader_runtime::live::LiveOptions;

use crate::peer::{Peer, read_head};
use crate::script::{PATIENCE, Reply, Run, Seen, get, options};

/// A host that answers each request, on a connection of its own, with what `answer` makes of its number.
fn host(answer: impl Fn(usize) -> Vec<u8> + Send + 'static) -> (Peer, Receiver<String>) {
    let (asked, requests) = channel();
    let peer = Peer::raw(move |mut stream, i| {
        let Some(head) = read_head(&mut stream) else { return };
        let _ = asked.send(head);
        let _ = stream.write_all(&answer(i));
    });
    (peer, requests)
}

fn answer(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn ask(options: LiveOptions, urls: &[String]) -> Run {
    let first = urls.iter().enumerate().map(|(i, url)| get(i as u64 + 1, url)).collect();
    Run::start(options, first, |_| Vec::new())
}

fn reply(run: &Run) -> Reply {
    let Seen::Http(_, reply) = run.seen() else { panic!("no reply") };
    reply
}

#[test]
fn a_reply_is_decompressed_and_handed_over_with_its_status() {
    let (peer, requests) = host(|_| answer(200, "Content-Encoding: gzip\r\n", &gzip(b"{\"lastUpdateId\":1}")));
    let run = ask(options(), &[peer.http()]);
    let expected = Reply { request: 1, status: 200, retry_after_ms: None, body: b"{\"lastUpdateId\":1}".to_vec() };
    assert_eq!(reply(&run), expected);
    let head = requests.recv_timeout(PATIENCE).unwrap().to_ascii_lowercase();
    assert!(head.contains("accept-encoding: gzip"), "{head}");
}

#[test]
fn an_error_of_the_host_is_a_reply() {
    let (peer, _requests) = host(|_| answer(400, "", b"{\"code\":-1121}"));
    let got = reply(&ask(options(), &[peer.http()]));
    assert_eq!((got.status, &got.body[..]), (400, &b"{\"code\":-1121}"[..]));
}

// Fault: X09
#[test]
fn after_a_refusal_nothing_is_sent_before_its_time() {
    for (status, header, at_least) in [(429, "Retry-After: 3000\r\n", 2_990_000), (418, "", 119_000), (403, "", 59_000)]
    {
        let (peer, requests) = host(move |_| answer(status, header, b""));
        let url = peer.http();
        let second = url.clone();
        let run = Run::start(options(), vec![get(1, url)], move |seen| match seen {
            Seen::Http(_, reply) if reply.request == 1 => vec![get(2, second.clone())],
            _ => Vec::new(),
        });
        let first = reply(&run);
        assert_eq!(first.status, status);
        assert!(first.retry_after_ms.is_some_and(|ms| ms >= at_least), "{first:?}");
        let held = reply(&run);
        assert_eq!((held.request, held.status), (2, 0));
        assert!(held.retry_after_ms.is_some_and(|ms| ms >= at_least), "{held:?}");
        assert_eq!(requests.try_iter().count(), 1, "the host was asked once");
    }
}

// Fault: Z04
#[test]
fn a_redirect_is_a_reply_and_is_not_followed() {
    let (elsewhere, asked) = host(|_| answer(200, "", b"stolen"));
    let location = format!("Location: {}\r\n", elsewhere.http());
    let (peer, _requests) = host(move |_| answer(302, &location, b""));
    let got = reply(&ask(options(), &[peer.http()]));
    assert_eq!((got.status, got.body.len()), (302, 0));
    assert_eq!(asked.try_iter().count(), 0);
}

// Fault: Z04, B08
#[test]
fn a_body_beyond_the_bound_is_dropped_however_small_it_was_packed() {
    let mut options = options();
    options.rest.max_body_bytes = 1 << 20;
    let bomb = gzip(&vec![0; 64 << 20]);
    assert!(bomb.len() < 1 << 17, "the bomb itself is small");
    let (packed, _a) = host(move |_| answer(200, "Content-Encoding: gzip\r\n", &bomb));
    let (plain, _b) = host(|_| answer(200, "", &vec![b'x'; 2 << 20]));
    let run = ask(options, &[packed.http(), plain.http()]);
    for _ in 0..2 {
        let got = reply(&run);
        assert_eq!((got.status, got.body.len()), (0, 0));
    }
    let report = run.stream.report().unwrap();
    assert_eq!(report["rest"]["failed"], 2);
    assert!(report["rest"]["last_problem"].as_str().unwrap().contains("1048576 bytes"), "{report}");
}

/// A reply that was packed and is cut, damaged, no such thing, or has something behind its end: none, or the whole one, and
/// whatever is asked beside it is whole.
// Fault: B09
#[test]
fn a_damaged_body_is_no_reply_and_harms_no_other() {
    let whole: Vec<u8> =
        (0..4000_u32).flat_map(|i| format!("{},", i.wrapping_mul(2_654_435_761)).into_bytes()).collect();
    let packed = gzip(&whole);
    let end = packed.len();
    let flipped = |at: usize| {
        let mut bytes = packed.clone();
        bytes[at] ^= 1 << (at % 8);
        bytes
    };
    // The head of the format is ten bytes, its end eight: checksum and length.
    let cut = [1, 9, 10, end / 2, end - 9, end - 8, end - 1].map(|at| packed[..at].to_vec());
    let within = (0..12).map(|part| flipped(10 + (end - 10) * part / 12));
    let damaged: Vec<Vec<u8>> =
        cut.into_iter().chain(within).chain([flipped(end - 8), flipped(end - 1), whole.clone()]).collect();
    let behind = [&packed[..], b"{\"lastUpdateId\":7}"].concat();
    let mut bodies: Vec<Vec<u8>> = damaged.iter().flat_map(|bytes| [bytes.clone(), packed.clone()]).collect();
    bodies.extend([behind, packed.clone()]);
    let (count, sent) = (bodies.len(), bodies);
    let peer = Peer::raw(move |mut stream, _| {
        let Some(head) = read_head(&mut stream) else { return };
        let number = head.split("?i=").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<usize>().ok());
        let body = number.and_then(|number| sent.get(number)).cloned().unwrap_or_default();
        let _ = stream.write_all(&answer(200, "Content-Encoding: gzip\r\n", &body));
    });
    let urls: Vec<String> = (0..count).map(|i| format!("{}?i={i}", peer.http())).collect();
    let run = ask(options(), &urls);
    let mut replies: Vec<Reply> = (0..count).map(|_| reply(&run)).collect();
    replies.sort_by_key(|reply| reply.request);
    for (i, pair) in replies.chunks(2).enumerate() {
        let [first, beside] = pair else { panic!("they come in pairs") };
        let is_whole = |reply: &Reply| reply.status == 200 && reply.body == whole;
        let is_none = first.status == 0 && first.body.is_empty();
        assert!(
            is_none || (i == damaged.len() && is_whole(first)),
            "{i}: {} with {} bytes",
            first.status,
            first.body.len()
        );
        assert!(is_whole(beside), "{i}: {} with {} bytes beside it", beside.status, beside.body.len());
    }
}

// Fault: X09
#[test]
fn a_host_that_hangs_is_left_at_the_deadline() {
    let peer = Peer::raw(|stream, _| crate::peer::read_to_end(stream));
    let mut options = options();
    options.engine.deadlines.http_ms = 200;
    let run = ask(options, &[peer.http()]);
    assert_eq!(reply(&run).status, 0);
    let report = run.stream.report().unwrap();
    assert!(report["rest"]["last_problem"].as_str().unwrap().contains("200 ms"), "{report}");
}

#[test]
fn what_must_not_be_asked_is_answered_here() {
    let run = ask(options(), &["http://10.255.255.1/".to_owned(), "ftp://x/".to_owned(), "no url".to_owned()]);
    for request in 1..=3 {
        let got = reply(&run);
        assert_eq!((got.request, got.status), (request, 0));
    }
}

#[test]
fn requests_beyond_the_queue_fail_at_once_and_all_others_are_answered() {
    let (peer, requests) = host(|_| answer(200, "", b"{}"));
    let mut options = options();
    options.rest.max_waiting = 5;
    options.rest.max_concurrent = 1;
    let urls: Vec<String> = (0..20).map(|i| format!("{}?i={i}", peer.http())).collect();
    let run = ask(options, &urls);
    let mut replies: Vec<Reply> = (0..20).map(|_| reply(&run)).collect();
    replies.sort_by_key(|r| r.request);
    assert_eq!(replies.iter().map(|r| r.request).collect::<Vec<_>>(), (1..=20).collect::<Vec<_>>());
    let (answered, refused) = replies.split_at(5);
    assert!(answered.iter().all(|r| r.status == 200), "{answered:?}");
    assert!(refused.iter().all(|r| r.status == 0), "{refused:?}");
    assert_eq!(requests.try_iter().count(), 5);
}

#[test]
fn a_spent_minute_holds_requests_back() {
    let (peer, requests) = host(|_| answer(200, "X-MBX-USED-WEIGHT-1M: 2000\r\n", b"{}"));
    let run = ask(options(), &[peer.http()]);
    assert_eq!(reply(&run).status, 200);
    // A request of its own stream, of the same process.
    let other = ask(options(), &[peer.http()]);
    let report = other.stream.report().unwrap();
    let held = report["rest"]["waiting"] == 1;
    let minute_turned = report["rest"]["weight_used"] != 2000;
    assert!(held || minute_turned, "{report}");
    drop((run, other));
    assert!(requests.try_iter().count() <= 2);
}
