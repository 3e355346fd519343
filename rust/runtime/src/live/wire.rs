//! WebSocket frames out of bytes (RFC 6455, the client's side). Sans-I/O: bytes in, events out.
//!
//! Headers are read by tungstenite. Messages are put together here and not by its `WebSocket`, because a shard needs
//! what that hides: payloads are borrowed from the read buffer (nothing is copied or allocated per frame), a text that
//! is no UTF-8 still reaches the engine, which counts it and records it, instead of costing the connection, the number
//! of pongs is ours to bound, and it can be told whether a message is under way, which its deadline needs.

use std::io::Cursor;
use std::ops::Range;

use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

/// The smallest room that is offered to a read.
const MIN_SPACE: usize = 4096;
/// Longest payload of a control frame (RFC 6455, 5.5).
pub const MAX_CONTROL: usize = 125;

/// What the peer sent, borrowed from the read buffer.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A text or binary message, whole. Not checked for UTF-8.
    Message(&'a [u8]),
    /// A ping, to be answered with the same bytes.
    Ping(&'a [u8]),
    /// A pong nobody asked for.
    Pong,
    /// The peer closes.
    Close {
        /// Its code.
        code: Option<u16>,
        /// Its words.
        reason: &'a str,
    },
}

/// The peer broke the protocol, or a bound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Bits that only a negotiated extension may set.
    #[error("reserved bits are set")]
    ReservedBits,
    /// A server must not mask.
    #[error("a frame from the server is masked")]
    Masked,
    /// An opcode that means nothing.
    #[error("unknown opcode")]
    Opcode,
    /// A control frame in pieces.
    #[error("a control frame is fragmented")]
    FragmentedControl,
    /// A control frame beyond 125 bytes.
    #[error("a control frame announces {0} bytes, at most 125 are allowed")]
    LongControl(u64),
    /// A continuation of nothing.
    #[error("a continuation frame continues nothing")]
    NothingToContinue,
    /// A new message inside another.
    #[error("a message begins inside another")]
    Interleaved,
    /// More bytes than the configuration allows. Refused from the header.
    #[error("a message of {0} bytes or more, at most {1} are allowed")]
    TooLong(u64, usize),
    /// A close code that must not be sent.
    #[error("close code {0} must not be sent")]
    CloseCode(u16),
    /// A close payload of one byte, or whose text is no UTF-8.
    #[error("the close frame's payload is malformed")]
    ClosePayload,
}

impl WireError {
    /// The code to close with.
    #[must_use]
    pub fn close_code(&self) -> u16 {
        match self {
            Self::TooLong(..) => 1009,
            Self::ClosePayload => 1007,
            _ => 1002,
        }
    }
}

/// Read buffer and the message under way.
#[derive(Debug)]
pub struct Reader {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Pieces of the message under way.
    pieces: Vec<u8>,
    /// A message in pieces is under way.
    fragmented: bool,
    /// `pieces` was handed out whole and is cleared by the next call.
    handed_out: bool,
    initial: usize,
    max_message: usize,
}

impl Reader {
    /// An empty reader. The buffer starts with `initial` bytes and grows with what arrives, never with what is announced.
    #[must_use]
    pub fn new(initial: usize, max_message: usize) -> Self {
        let initial = initial.max(2 * MIN_SPACE);
        Self {
            buffer: vec![0; initial],
            start: 0,
            end: 0,
            pieces: Vec::new(),
            fragmented: false,
            handed_out: false,
            initial,
            max_message,
        }
    }

    /// Bytes that came together with the answer to the upgrade.
    pub fn extend(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let space = self.space();
            let n = space.len().min(bytes.len());
            space[..n].copy_from_slice(&bytes[..n]);
            self.filled(n);
            bytes = &bytes[n..];
        }
    }

    /// Room for the next read, never empty. Every event must have been taken before.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            if self.buffer.len() > self.initial.saturating_mul(4) {
                self.buffer = vec![0; self.initial];
            }
        }
        if self.buffer.len() - self.end < MIN_SPACE {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            if self.buffer.len() - self.end < MIN_SPACE {
                self.buffer.resize(self.buffer.len().saturating_mul(2), 0);
            }
        }
        &mut self.buffer[self.end..]
    }

    /// So many bytes of the room were filled.
    pub fn filled(&mut self, n: usize) {
        self.end = self.end.saturating_add(n).min(self.buffer.len());
    }

    /// A message has begun and is not complete.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.fragmented || self.start != self.end
    }

    /// Bytes of the message under way: what is lost if the connection ends here.
    #[must_use]
    pub fn under_way(&self) -> usize {
        (self.end - self.start).saturating_add(if self.fragmented { self.pieces.len() } else { 0 })
    }

    /// The next event; `None` when more bytes are needed.
    ///
    /// # Errors
    /// The peer broke the protocol or a bound; the connection is over.
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>, WireError> {
        if self.handed_out {
            self.handed_out = false;
            self.pieces.clear();
            if self.pieces.capacity() > self.initial.saturating_mul(4) {
                self.pieces = Vec::new();
            }
        }
        loop {
            let Some((header, payload)) = self.next_frame()? else { return Ok(None) };
            match header.opcode {
                OpCode::Control(Control::Ping) => return Ok(Some(Event::Ping(&self.buffer[payload]))),
                OpCode::Control(Control::Pong) => return Ok(Some(Event::Pong)),
                OpCode::Control(Control::Close) => return close(&self.buffer[payload]).map(Some),
                OpCode::Control(Control::Reserved(_)) | OpCode::Data(Data::Reserved(_)) => {
                    return Err(WireError::Opcode);
                }
                OpCode::Data(_) if header.is_final && !self.fragmented => {
                    return Ok(Some(Event::Message(&self.buffer[payload])));
                }
                OpCode::Data(_) => {
                    self.pieces.extend_from_slice(&self.buffer[payload]);
                    self.fragmented = !header.is_final;
                    if header.is_final {
                        self.handed_out = true;
                        return Ok(Some(Event::Message(&self.pieces)));
                    }
                }
            }
        }
    }

    /// The next whole frame, taken out of the buffer. Everything that a header can break is refused from the header.
    fn next_frame(&mut self) -> Result<Option<(FrameHeader, Range<usize>)>, WireError> {
        let mut cursor = Cursor::new(&self.buffer[self.start..self.end]);
        let Some((header, length)) = FrameHeader::parse(&mut cursor).map_err(|_| WireError::Opcode)? else {
            return Ok(None);
        };
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(WireError::ReservedBits);
        }
        if header.mask.is_some() {
            return Err(WireError::Masked);
        }
        match header.opcode {
            OpCode::Control(_) if !header.is_final => return Err(WireError::FragmentedControl),
            OpCode::Control(_) if length > MAX_CONTROL as u64 => return Err(WireError::LongControl(length)),
            OpCode::Data(Data::Continue) if !self.fragmented => return Err(WireError::NothingToContinue),
            OpCode::Data(Data::Text | Data::Binary) if self.fragmented => return Err(WireError::Interleaved),
            OpCode::Data(_) => {
                let total = length.saturating_add(if self.fragmented { self.pieces.len() as u64 } else { 0 });
                if total > self.max_message as u64 {
                    return Err(WireError::TooLong(total, self.max_message));
                }
            }
            OpCode::Control(_) => {}
        }
        let head = usize::try_from(cursor.position()).map_err(|_| WireError::Opcode)?;
        let length = usize::try_from(length).map_err(|_| WireError::TooLong(length, self.max_message))?;
        let from = self.start.saturating_add(head);
        let to = from.saturating_add(length);
        if to > self.end {
            return Ok(None);
        }
        self.start = to;
        Ok(Some((header, from..to)))
    }
}

fn close(payload: &[u8]) -> Result<Event<'_>, WireError> {
    match payload {
        [] => Ok(Event::Close { code: None, reason: "" }),
        [_] => Err(WireError::ClosePayload),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !CloseCode::from(code).is_allowed() {
                return Err(WireError::CloseCode(code));
            }
            let reason = std::str::from_utf8(reason).map_err(|_| WireError::ClosePayload)?;
            Ok(Event::Close { code: Some(code), reason })
        }
    }
}

#[cfg(test)]
mod tests;
