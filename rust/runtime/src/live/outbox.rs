//! What leaves on one connection: our messages and the pongs, masked, bounded, and no faster than the exchange allows.
//! Sans-I/O: messages in, bytes out.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::rate::Rate;
use super::wire::MAX_CONTROL;

/// More is waiting than the configuration allows: the peer does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// See the module.
#[derive(Debug)]
pub struct Outbox {
    /// Frames as they go over the wire, and how many of their bytes have gone.
    bytes: Vec<u8>,
    gone: usize,
    /// Since when the peer has not taken what is in `bytes` (monotonic).
    stuck_since: Option<u64>,
    /// Texts that the rate holds back.
    texts: VecDeque<String>,
    texts_bytes: usize,
    /// The newest ping that is not answered yet: older ones need no answer (RFC 6455, 5.5.3).
    pong: Option<([u8; MAX_CONTROL], usize)>,
    /// A close frame is queued: nothing may follow it.
    closed: bool,
    rate: Rate,
    max_bytes: usize,
    masks: Masks,
}

impl Outbox {
    /// Nothing to send; at most `max_bytes` may wait.
    #[must_use]
    pub fn new(max_bytes: usize, rate: Rate) -> Self {
        Self {
            bytes: Vec::new(),
            gone: 0,
            stuck_since: None,
            texts: VecDeque::new(),
            texts_bytes: 0,
            pong: None,
            closed: false,
            rate,
            max_bytes,
            masks: Masks::new(),
        }
    }

    /// Queues a text message.
    ///
    /// # Errors
    /// The bound is reached.
    pub fn text(&mut self, text: String) -> Result<(), Full> {
        let waiting = self.waiting_bytes().saturating_add(text.len());
        if waiting > self.max_bytes {
            return Err(Full);
        }
        self.texts_bytes = self.texts_bytes.saturating_add(text.len());
        self.texts.push_back(text);
        Ok(())
    }

    /// Answers a ping, instead of an earlier one that is still unanswered.
    pub fn pong(&mut self, payload: &[u8]) {
        let mut copy = [0; MAX_CONTROL];
        let n = payload.len().min(MAX_CONTROL);
        copy[..n].copy_from_slice(&payload[..n]);
        self.pong = Some((copy, n));
    }

    /// Queues a close frame behind what is already on its way; nothing else leaves any more.
    pub fn close(&mut self, code: u16) {
        self.texts.clear();
        self.texts_bytes = 0;
        self.frame(OpCode::Control(Control::Close), &code.to_be_bytes());
        self.closed = true;
    }

    /// Turns what the rate allows into bytes, pongs first. Yields the time to try again, if something had to wait.
    pub fn fill(&mut self, now: u64) -> Option<u64> {
        while !self.closed && (self.pong.is_some() || !self.texts.is_empty()) {
            // While the peer does not read, a ping flood must not pile up pongs.
            if self.stuck_since.is_some() && self.texts.is_empty() {
                return None;
            }
            if let Err(from) = self.rate.try_take(now) {
                return Some(from);
            }
            if let Some((payload, n)) = self.pong.take() {
                self.frame(OpCode::Control(Control::Pong), &payload[..n]);
            } else if let Some(text) = self.texts.pop_front() {
                self.texts_bytes = self.texts_bytes.saturating_sub(text.len());
                self.frame(OpCode::Data(Data::Text), text.as_bytes());
            }
        }
        None
    }

    /// Bytes to write next.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        &self.bytes[self.gone..]
    }

    /// So many of them were written.
    pub fn wrote(&mut self, n: usize) {
        self.stuck_since = None;
        self.gone = self.gone.saturating_add(n).min(self.bytes.len());
        if self.gone == self.bytes.len() {
            self.bytes.clear();
            self.gone = 0;
        }
    }

    /// The peer takes nothing now.
    pub fn stuck(&mut self, now: u64) {
        self.stuck_since.get_or_insert(now);
    }

    /// Since when the peer takes nothing.
    #[must_use]
    pub fn stuck_since(&self) -> Option<u64> {
        self.stuck_since
    }

    fn waiting_bytes(&self) -> usize {
        (self.bytes.len() - self.gone).saturating_add(self.texts_bytes)
    }

    fn frame(&mut self, opcode: OpCode, payload: &[u8]) {
        let mask = self.masks.next();
        let header = FrameHeader { opcode, mask: Some(mask), ..FrameHeader::default() };
        let written = header.format(payload.len() as u64, &mut self.bytes);
        debug_assert!(written.is_ok(), "writing to memory does not fail");
        self.bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    }
}

/// Masks that a script in a browser could not foresee (RFC 6455, 10.3): keyed by the system's randomness.
#[derive(Debug)]
struct Masks {
    key: RandomState,
    count: u64,
}

impl Masks {
    fn new() -> Self {
        Self { key: RandomState::new(), count: 0 }
    }

    fn next(&mut self) -> [u8; 4] {
        self.count = self.count.wrapping_add(1);
        let [a, b, c, d, ..] = self.key.hash_one(self.count).to_le_bytes();
        [a, b, c, d]
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn unmasked(bytes: &[u8]) -> Vec<(OpCode, Vec<u8>)> {
        let mut cursor = Cursor::new(bytes);
        let mut frames = Vec::new();
        while let Some((header, length)) = FrameHeader::parse(&mut cursor).expect("valid header") {
            let from = cursor.position() as usize;
            let to = from + length as usize;
            let mask = header.mask.expect("a client masks");
            frames.push((header.opcode, bytes[from..to].iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m).collect()));
            cursor.set_position(to as u64);
        }
        frames
    }

    #[test]
    fn messages_and_pongs_leave_masked_and_no_faster_than_allowed() {
        let mut out = Outbox::new(1000, Rate::new(2, 100));
        out.text("one".to_owned()).expect("room");
        out.text("two".to_owned()).expect("room");
        out.pong(b"old");
        out.pong(b"new");
        assert_eq!(out.fill(0), Some(100));
        assert_eq!(
            unmasked(out.pending()),
            [(OpCode::Control(Control::Pong), b"new".to_vec()), (OpCode::Data(Data::Text), b"one".to_vec()),]
        );
        let n = out.pending().len();
        out.wrote(n);
        assert_eq!(out.fill(100), None);
        assert_eq!(unmasked(out.pending()), [(OpCode::Data(Data::Text), b"two".to_vec())]);
    }

    // Fault: N19
    #[test]
    fn nothing_follows_a_close() {
        let mut out = Outbox::new(1000, Rate::new(10, 1));
        out.text("never".to_owned()).expect("room");
        out.close(1001);
        out.pong(b"never");
        assert_eq!(out.fill(0), None);
        assert_eq!(unmasked(out.pending()), [(OpCode::Control(Control::Close), 1001u16.to_be_bytes().to_vec())]);
    }

    #[test]
    fn what_the_peer_does_not_take_is_bounded() {
        let mut out = Outbox::new(10, Rate::new(100, 1));
        out.text("12345".to_owned()).expect("room");
        assert_eq!(out.text("123456".to_owned()), Err(Full));
        out.fill(0);
        out.stuck(7);
        out.stuck(9);
        assert_eq!(out.stuck_since(), Some(7));
        let held = out.pending().len();
        for _ in 0..1000 {
            out.pong(&[0; MAX_CONTROL]);
            assert_eq!(out.fill(10), None);
        }
        assert_eq!(out.pending().len(), held, "a ping flood adds nothing while the peer does not read");
    }
}
