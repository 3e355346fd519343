//! Servers at the other end: a thread per listener, blocking sockets, bytes written by hand.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::script::PATIENCE;

/// Reads the head of an HTTP request.
pub fn read_head(stream: &mut impl Read) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    Some(String::from_utf8(head).expect("a head of text"))
}

pub fn key_of(head: &str) -> String {
    let line = head.lines().find(|l| l.to_ascii_lowercase().starts_with("sec-websocket-key:")).expect("a key");
    line[18..].trim().to_owned()
}

/// The right answer to an upgrade.
pub fn accept_text(head: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key_of(head).as_bytes())
    )
}

/// Accepts an upgrade.
pub fn upgrade(stream: &mut (impl Read + Write)) -> String {
    let head = read_head(stream).expect("a request");
    stream.write_all(accept_text(&head).as_bytes()).expect("an answer");
    head
}

/// Listens on a free port of this machine; `serve` gets each connection, one after the other, with its number.
pub struct Peer {
    pub port: u16,
    _thread: JoinHandle<()>,
}

impl Peer {
    pub fn raw(mut serve: impl FnMut(TcpStream, usize) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let thread = std::thread::spawn(move || {
            for (i, stream) in listener.incoming().enumerate() {
                let Ok(stream) = stream else { return };
                stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
                stream.set_write_timeout(Some(PATIENCE)).expect("a deadline");
                serve(stream, i);
            }
        });
        Self { port, _thread: thread }
    }

    /// As [`Self::raw`], behind an accepted upgrade.
    pub fn websocket(mut serve: impl FnMut(TcpStream, usize) + Send + 'static) -> Self {
        Self::raw(move |mut stream, i| {
            // A client may be gone before it has asked.
            let Some(head) = read_head(&mut stream) else { return };
            if stream.write_all(accept_text(&head).as_bytes()).is_ok() {
                serve(stream, i);
            }
        })
    }

    pub fn ws(&self) -> String {
        format!("ws://127.0.0.1:{}/x", self.port)
    }

    pub fn http(&self) -> String {
        format!("http://127.0.0.1:{}/x", self.port)
    }
}

/// A frame of a server. `first` is the first byte: final bit, reserved bits, opcode.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        n @ 0..126 => out.push(n as u8),
        n @ 126..65536 => {
            out.push(126);
            out.extend((n as u16).to_be_bytes());
        }
        n => {
            out.push(127);
            out.extend((n as u64).to_be_bytes());
        }
    }
    out.extend(payload);
    out
}

pub fn text(payload: &str) -> Vec<u8> {
    frame(0x81, payload.as_bytes())
}

pub fn close(code: u16, reason: &str) -> Vec<u8> {
    frame(0x88, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

/// The next frame of the client: its first byte and payload. `None` when the client is gone.
pub fn read_frame(stream: &mut impl Read) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).ok()?;
    assert!(head[1] & 0x80 != 0, "a client masks");
    let n = match head[1] & 0x7F {
        126 => {
            let mut n = [0; 2];
            stream.read_exact(&mut n).ok()?;
            u64::from(u16::from_be_bytes(n))
        }
        127 => {
            let mut n = [0; 8];
            stream.read_exact(&mut n).ok()?;
            u64::from_be_bytes(n)
        }
        n => u64::from(n),
    };
    let mut mask = [0; 4];
    stream.read_exact(&mut mask).ok()?;
    let mut payload = vec![0; n as usize];
    stream.read_exact(&mut payload).ok()?;
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Some((head[0], payload))
}

/// Reads until the client has gone.
pub fn read_to_end(mut stream: impl Read) {
    let mut buffer = [0; 4096];
    while matches!(stream.read(&mut buffer), Ok(n) if n > 0) {}
}

/// Ends a connection with a reset.
pub fn reset(stream: TcpStream) {
    let socket = socket2::Socket::from(stream);
    socket.set_linger(Some(std::time::Duration::ZERO)).expect("linger");
}
