//! Load tests: prepared frames at a pace, each with its number, each write with its time.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::clock::wall_ns;
use crate::config::LoadConfig;
use crate::fault::{Ending, Fault};
use crate::server::Shared;
use crate::server::hub::{Item, Link, Outgoing};
use crate::server::socket::Handle;
use crate::server::websocket as ws;
use crate::venue::LoadFrame;

/// Number of the first frame on every connection: 16 digits, so that all frames have one length.
const FIRST: u64 = 1_000_000_000_000_000;

/// What a load test sent on one connection.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LoadReport {
    /// Number of the connection.
    pub connection: u64,
    /// Number (`u` or `t`) of the first frame; the next ones follow without a hole.
    pub first_id: u64,
    /// Frames written.
    pub sent: u64,
    /// Wall time right before the write of frame `first_id + i`, ns since the epoch; at most `load.stamps` of them.
    pub write_ns: Vec<u64>,
}

/// A report that is still growing.
pub(crate) struct LoadLog {
    connection: u64,
    sent: AtomicU64,
    write_ns: Mutex<Vec<u64>>,
}

impl LoadLog {
    pub(crate) fn report(&self) -> LoadReport {
        let write_ns = self.write_ns.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sent = self.sent.load(Ordering::Acquire);
        LoadReport { connection: self.connection, first_id: FIRST, sent, write_ns }
    }
}

/// Hands the connection's socket and queue to a thread of its own, since a millisecond (what the runtime's timer can
/// do) is ten frames at 10 000 per second.
pub(crate) async fn run(
    shared: &Arc<Shared>,
    connection: u64,
    link: &Arc<Link>,
    handle: &Handle,
    frames: Vec<LoadFrame>,
    items: mpsc::UnboundedReceiver<Outgoing>,
) -> String {
    let Some(config) = shared.config.load.clone() else { return "no load configured".into() };
    let handle = match handle.try_clone() {
        Ok(handle) => handle,
        Err(e) => return format!("no second handle: {e}"),
    };
    let log = Arc::new(LoadLog { connection, sent: AtomicU64::new(0), write_ns: Mutex::new(Vec::new()) });
    let (done, ended) = oneshot::channel();
    let (shared_there, link, log_there) = (Arc::clone(shared), Arc::clone(link), Arc::clone(&log));
    let thread = std::thread::Builder::new().name(format!("load-{connection}")).spawn(move || {
        let writer = Writer { handle, stopped: &shared_there.stopped, ended: &link.ended };
        let _ = done.send(writer.pump(&config, frames, items, &log_there));
    });
    let Ok(thread) = thread else { return "no thread for the load".into() };
    shared.load_threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
    shared.load_logs.lock().unwrap_or_else(PoisonError::into_inner).push(log);
    ended.await.unwrap_or("the load's thread is gone").to_owned()
}

struct Writer<'a> {
    handle: Handle,
    stopped: &'a AtomicBool,
    ended: &'a AtomicBool,
}

impl Writer<'_> {
    fn pump(
        &self,
        config: &LoadConfig,
        mut frames: Vec<LoadFrame>,
        mut items: mpsc::UnboundedReceiver<Outgoing>,
        log: &LoadLog,
    ) -> &'static str {
        let mut bytes = Vec::with_capacity(1 << 16);
        let mut sent: u64 = 0;
        let mut begun = None;
        // One frame a write where they are paced, so that each has a time of its own; else as many as fit.
        let at_once = if config.frames_per_s == 0 { 200 } else { 1 };
        loop {
            if self.stopped.load(Ordering::Acquire) || self.ended.load(Ordering::Acquire) {
                return "ended";
            }
            while let Ok(Outgoing { item, .. }) = items.try_recv() {
                bytes.clear();
                match item {
                    Item::Message(m) => ws::frame(&mut bytes, ws::TEXT, &m.payload),
                    Item::Ping(p) => ws::frame(&mut bytes, ws::PING, &p),
                    Item::Pong(p) => ws::frame(&mut bytes, ws::PONG, &p),
                    Item::Load(other) => frames = other,
                    Item::Close { code, reason } => {
                        ws::frame(&mut bytes, ws::CLOSE, &ws::close_payload(code, &reason));
                        self.put(&bytes);
                        return "closed";
                    }
                    Item::Fault(Fault::Disconnect { how, .. }) => {
                        if how == Ending::Reset {
                            self.handle.reset_on_close();
                        }
                        return "fault: disconnect";
                    }
                    Item::Cut(why) => return why,
                    Item::Fault(_) => {}
                }
                if !self.put(&bytes) {
                    return "the client is gone";
                }
            }
            let finished = config.frames != 0 && sent >= config.frames;
            if frames.is_empty() || finished {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            let start = *begun.get_or_insert_with(Instant::now);
            if let Some(wait) = due(start, sent, config.frames_per_s) {
                if config.spin {
                    std::thread::yield_now();
                } else {
                    std::thread::sleep(wait.min(Duration::from_millis(5)));
                }
                continue;
            }
            bytes.clear();
            let count = if config.frames == 0 { at_once } else { at_once.min(config.frames - sent) };
            let now = wall_ns();
            for number in sent..sent + count {
                let frame = &frames[(number % frames.len() as u64) as usize];
                append(&mut bytes, frame, FIRST + number, now / 1_000_000);
            }
            {
                let mut stamps = log.write_ns.lock().unwrap_or_else(PoisonError::into_inner);
                let room = config.stamps.saturating_sub(stamps.len());
                let stamp = wall_ns();
                stamps.extend(std::iter::repeat_n(stamp, room.min(count as usize)));
            }
            if !self.put(&bytes) {
                return "the client is gone";
            }
            sent += count;
            log.sent.store(sent, Ordering::Release);
        }
    }

    fn put(&self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            match self.handle.write(bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    if self.stopped.load(Ordering::Acquire) || self.ended.load(Ordering::Acquire) {
                        return false;
                    }
                    std::thread::sleep(Duration::from_micros(20));
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }
}

/// How long until frame `number` is due; `None` if it is.
fn due(start: Instant, number: u64, per_s: u64) -> Option<Duration> {
    let nanos = u128::from(number) * 1_000_000_000;
    let at = Duration::from_nanos(u64::try_from(nanos.checked_div(u128::from(per_s))?).unwrap_or(u64::MAX));
    at.checked_sub(start.elapsed()).filter(|d| !d.is_zero())
}

fn append(out: &mut Vec<u8>, frame: &LoadFrame, number: u64, ms: u64) {
    ws::frame(out, ws::TEXT, &frame.text);
    let at = out.len() - frame.text.len();
    digits(&mut out[at + frame.number_at..][..16], number);
    for t in &frame.times_at {
        digits(&mut out[at + t..][..13], ms);
    }
}

fn digits(out: &mut [u8], mut number: u64) {
    for d in out.iter_mut().rev() {
        *d = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_get_their_number_and_time() {
        let frame =
            LoadFrame { text: b"u:################ E:&&&&&&&&&&&&&".to_vec(), number_at: 2, times_at: vec![21] };
        let mut out = Vec::new();
        append(&mut out, &frame, FIRST + 42, 1_790_000_000_123);
        assert_eq!(&out[2..], b"u:1000000000000042 E:1790000000123");
    }

    #[test]
    fn frames_are_due_at_their_pace() {
        let start = Instant::now();
        assert_eq!(due(start, 0, 10), None);
        assert!(due(start, 50, 10).is_some_and(|d| d > Duration::from_secs(4)));
        assert_eq!(due(start, 50, 0), None);
    }
}
