//! WebSocket frames (RFC 6455), written by hand because no library sends broken ones.

use crate::fault::BadFrame;

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;

/// Appends a frame as a server sends it.
pub(crate) fn frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    header(out, FIN | opcode, payload.len());
    out.extend_from_slice(payload);
}

fn header(out: &mut Vec<u8>, first: u8, len: usize) {
    out.push(first);
    match len {
        0..=125 => out.push(len as u8),
        126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
}

pub(crate) fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    // A control frame holds 125 bytes; a reason is cut where a character ends.
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    if code == 0 { Vec::new() } else { [&code.to_be_bytes()[..], &reason.as_bytes()[..end]].concat() }
}

/// Appends a text in `parts` frames, with a ping between any two if wanted.
pub(crate) fn fragments(out: &mut Vec<u8>, payload: &[u8], parts: usize, pings: bool) {
    let size = payload.len().div_ceil(parts.max(1)).max(1);
    let mut chunks: Vec<&[u8]> = payload.chunks(size).collect();
    // Empty fragments are allowed and fill up what a short text leaves.
    chunks.resize(parts.max(1), &[]);
    for (i, chunk) in chunks.iter().enumerate() {
        let opcode = if i == 0 { TEXT } else { CONTINUATION };
        let fin = if i + 1 == chunks.len() { FIN } else { 0 };
        header(out, fin | opcode, chunk.len());
        out.extend_from_slice(chunk);
        if pings && fin == 0 {
            frame(out, PING, b"between");
        }
    }
}

/// Bytes that the protocol forbids.
pub(crate) fn bad_frame(how: BadFrame) -> Vec<u8> {
    let mut out = Vec::new();
    let text = br#"{"e":"bad"}"#;
    match how {
        BadFrame::ReservedBits => {
            header(&mut out, FIN | 0x40 | TEXT, text.len());
            out.extend_from_slice(text);
        }
        BadFrame::ReservedOpcode => frame(&mut out, 3, text),
        BadFrame::Masked => {
            out.extend_from_slice(&[FIN | TEXT, MASKED | text.len() as u8, 1, 2, 3, 4]);
            out.extend(text.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(b, m)| b ^ m));
        }
        BadFrame::Oversize => {
            out.extend_from_slice(&[FIN | TEXT, 127]);
            out.extend_from_slice(&(1u64 << 63).to_be_bytes());
        }
        BadFrame::Terabyte => {
            out.extend_from_slice(&[FIN | TEXT, 127]);
            out.extend_from_slice(&(1u64 << 40).to_be_bytes());
            out.resize(out.len() + 65_536, b' ');
        }
        BadFrame::FragmentedControl => {
            header(&mut out, PING, 4);
            out.extend_from_slice(b"half");
        }
        BadFrame::LongPing => frame(&mut out, PING, &[b'x'; 126]),
        BadFrame::BadCloseCode => frame(&mut out, CLOSE, &1005u16.to_be_bytes()),
        BadFrame::ShortClose => frame(&mut out, CLOSE, &[3]),
        BadFrame::LoneContinuation => frame(&mut out, CONTINUATION, text),
        BadFrame::EndlessFragments => {
            for i in 0..1024 {
                header(&mut out, if i == 0 { TEXT } else { CONTINUATION }, 65_536);
                out.resize(out.len() + 65_536, b' ');
            }
        }
        BadFrame::Binary => frame(&mut out, BINARY, &[0, 1, 2, 0xff]),
    }
    out
}

/// A frame from a client, unmasked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientFrame {
    pub opcode: u8,
    pub fin: bool,
    pub payload: Vec<u8>,
}

/// Cuts the bytes of a client into frames.
#[derive(Default)]
pub(crate) struct FrameReader {
    bytes: Vec<u8>,
}

/// What a client may send in one frame.
const LONGEST: u64 = 1 << 20;

impl FrameReader {
    pub(crate) fn with(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next frame that is there in whole. `Err` says what the client did wrong.
    pub(crate) fn next(&mut self) -> Result<Option<ClientFrame>, &'static str> {
        let b = &self.bytes;
        let &[first, second, ..] = &b[..] else { return Ok(None) };
        if second & MASKED == 0 {
            return Err("a client's frame must be masked");
        }
        let (len, at) = match second & 0x7f {
            126 => match b.get(2..4) {
                Some(l) => (u64::from(u16::from_be_bytes([l[0], l[1]])), 4),
                None => return Ok(None),
            },
            127 => match b.get(2..10).and_then(|l| <[u8; 8]>::try_from(l).ok()) {
                Some(l) => (u64::from_be_bytes(l), 10),
                None => return Ok(None),
            },
            n => (u64::from(n), 2),
        };
        if len > LONGEST {
            return Err("a client's frame of more than 1 MiB");
        }
        let end = at + 4 + len as usize;
        let (Some(mask), Some(body)) = (b.get(at..at + 4), b.get(at + 4..end)) else { return Ok(None) };
        let payload = body.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m).collect();
        self.bytes.drain(..end);
        Ok(Some(ClientFrame { opcode: first & 0x0f, fin: first & FIN != 0, payload }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_take_the_shortest_form() {
        for (len, head) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let mut out = Vec::new();
            frame(&mut out, TEXT, &vec![b'x'; len]);
            assert_eq!(out.len(), head + len);
            assert_eq!(out[0], 0x81);
        }
    }

    #[test]
    fn masked_frames_are_read_byte_by_byte() {
        // RFC 6455, 5.7: a masked "Hello".
        let bytes = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        let mut r = FrameReader::default();
        for (i, b) in bytes.iter().enumerate() {
            assert_eq!(r.next(), Ok(None), "after {i} bytes");
            r.push(&[*b]);
        }
        let expected = ClientFrame { opcode: TEXT, fin: true, payload: b"Hello".to_vec() };
        assert_eq!(r.next(), Ok(Some(expected)));
        r.push(&[0x81, 0x05, 0x48]);
        assert!(r.next().is_err());
    }

    #[test]
    fn fragments_sum_up_to_the_text() {
        let mut out = Vec::new();
        fragments(&mut out, b"Hello", 3, true);
        let expected = [
            &[0x01, 2][..],
            b"He",
            &[0x89, 7],
            b"between",
            &[0x00, 2],
            b"ll",
            &[0x89, 7],
            b"between",
            &[0x80, 1],
            b"o",
        ];
        assert_eq!(out, expected.concat());
    }

    #[test]
    fn reasons_are_cut_to_a_control_frame() {
        assert_eq!(close_payload(0, "never"), b"");
        assert_eq!(close_payload(1001, "bye"), [3, 233, b'b', b'y', b'e']);
        assert!(close_payload(1001, &"ü".repeat(100)).len() <= 125);
    }
}
