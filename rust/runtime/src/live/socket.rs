//! One open WebSocket: bytes in, messages out, pongs and closes answered, deadlines kept.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use xtrader_core::engine::{ConnDown, DownReason};
use xtrader_core::time::Stamp;

use super::allowance::Allowance;
use super::arrival::Arrivals;
use super::budget::Seat;
use super::dial::Dialled;
use super::down::{down, escaped};
use super::options::NetLimits;
use super::outbox::Outbox;
use super::sys;
use super::transport::Transport;
use super::wire::{Event, Reader};

const NS_PER_MS: u64 = 1_000_000;

/// What one step found.
#[derive(Debug)]
pub enum Step<'a> {
    /// A message, as it came.
    Message(&'a [u8]),
    /// Something that concerns the connection alone.
    Other,
    /// Nothing more until the next read.
    Drained,
}

/// See the module.
#[derive(Debug)]
pub struct Socket {
    transport: Transport,
    reader: Reader,
    outbox: Outbox,
    limits: NetLimits,
    /// Nanoseconds in which it must be heard of, and since when that counts, where not since the last read (monotonic).
    silence: Option<u64>,
    resumed_at: u64,
    /// Its place among the connections that the host allows, as long as it lives.
    _seat: Option<Seat>,
    /// When the message under way began (monotonic).
    began: Option<u64>,
    /// When the rate lets the next of our messages go.
    resume_at: Option<u64>,
    /// Bytes lie in the layers below.
    unflushed: bool,
    /// A close frame is queued or sent.
    closing: bool,
    /// Our half of the connection is ended.
    shut: bool,
    /// Bytes read.
    pub bytes: u64,
    /// Messages handed over.
    pub messages: u64,
    /// Pings received.
    pub pings: u64,
}

impl Socket {
    /// Takes over an open connection.
    #[must_use]
    pub fn new(dialled: Dialled, seat: Option<Seat>, limits: NetLimits, allowance: &Allowance) -> Self {
        let mut reader = Reader::new(limits.read_buffer_bytes, limits.max_message_bytes);
        reader.extend(&dialled.tail);
        Self {
            bytes: dialled.tail.len() as u64,
            transport: dialled.transport,
            reader,
            outbox: Outbox::new(limits.max_write_bytes, allowance.frames),
            limits,
            silence: allowance.silence_ns,
            resumed_at: 0,
            _seat: seat,
            began: None,
            resume_at: None,
            unflushed: false,
            closing: false,
            shut: false,
            messages: 0,
            pings: 0,
        }
    }

    /// When the last read returned, or its bytes arrived: the stamp of every message it brought.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        self.transport.last_read()
    }

    /// Whose clock says so.
    #[must_use]
    pub fn arrivals(&self) -> Arrivals {
        self.transport.arrivals()
    }

    /// Nothing was read until now, and that was not the peer's fault.
    pub fn resumed(&mut self, now: u64) {
        self.resumed_at = now;
    }

    /// The last read brought more than the buffer took.
    #[must_use]
    pub fn holds_more(&self) -> bool {
        self.transport.holds_more()
    }

    /// One read, when every event of the last one has been taken.
    ///
    /// # Errors
    /// The connection is over.
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnDown>> {
        let last_read = self.transport.last_read().mono;
        self.began = self.reader.is_under_way().then(|| self.began.unwrap_or(last_read));
        let mut buf = ReadBuf::new(self.reader.space());
        let read = ready!(Pin::new(&mut self.transport).poll_read(cx, &mut buf));
        let n = buf.filled().len();
        Poll::Ready(match read {
            Ok(()) if n == 0 => Err(self.ended()),
            Ok(()) => {
                self.reader.filled(n);
                self.bytes = self.bytes.saturating_add(n as u64);
                Ok(())
            }
            // A TLS peer that went without saying so.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Err(self.ended()),
            Err(e) => Err(self.broke(&e)),
        })
    }

    /// One step through what the last read brought. Pings, pongs and closes are dealt with here.
    ///
    /// # Errors
    /// The peer closed, or broke the protocol or a bound: [`Self::retire`] sends the answer.
    pub fn step(&mut self) -> Result<Step<'_>, ConnDown> {
        match self.reader.next_event() {
            Ok(Some(Event::Message(payload))) => {
                self.messages = self.messages.saturating_add(1);
                self.began = None;
                Ok(Step::Message(payload))
            }
            Ok(Some(Event::Ping(payload))) => {
                self.pings = self.pings.saturating_add(1);
                self.outbox.pong(payload);
                Ok(Step::Other)
            }
            Ok(Some(Event::Pong)) => Ok(Step::Other),
            Ok(Some(Event::Close { code, reason })) => {
                say_close(&mut self.closing, &mut self.outbox, code.unwrap_or(1000));
                Err(ConnDown { reason: DownReason::Closed, code, detail: escaped(reason), retry_after_ms: None })
            }
            Ok(None) => Ok(Step::Drained),
            Err(e) => {
                say_close(&mut self.closing, &mut self.outbox, e.close_code());
                Err(ConnDown { code: Some(e.close_code()), ..down(DownReason::Protocol, &e.to_string()) })
            }
        }
    }

    /// Queues a text message; [`Self::poll_write`] sends it.
    ///
    /// # Errors
    /// More waits than allowed: the connection is over.
    pub fn send(&mut self, text: String) -> Result<(), ConnDown> {
        self.outbox.text(text).map_err(|_| {
            down(DownReason::WriteBlocked, &format!("more than {} bytes wait to be sent", self.limits.max_write_bytes))
        })
    }

    /// Writes what may leave now.
    ///
    /// # Errors
    /// The connection is over.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, now: u64) -> Result<(), ConnDown> {
        loop {
            self.resume_at = self.outbox.fill(now);
            if self.outbox.pending().is_empty() {
                break;
            }
            match Pin::new(&mut self.transport).poll_write(cx, self.outbox.pending()) {
                Poll::Ready(Ok(0)) => return Err(down(DownReason::Reset, "the system takes no more bytes")),
                Poll::Ready(Ok(n)) => {
                    self.outbox.wrote(n);
                    self.unflushed = true;
                }
                Poll::Ready(Err(e)) => return Err(self.broke(&e)),
                Poll::Pending => {
                    self.outbox.stuck(now);
                    return Ok(());
                }
            }
        }
        if self.unflushed {
            match Pin::new(&mut self.transport).poll_flush(cx) {
                Poll::Ready(Ok(())) => {
                    self.unflushed = false;
                    self.outbox.wrote(0);
                }
                Poll::Ready(Err(e)) => return Err(self.broke(&e)),
                Poll::Pending => self.outbox.stuck(now),
            }
        }
        Ok(())
    }

    /// When [`Self::check`] or [`Self::poll_write`] has something to do without any input.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        [self.write_deadline(), self.assembly_deadline(), self.silence_deadline(), self.resume_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Judges the deadlines. True where something may be written now.
    ///
    /// # Errors
    /// One has passed: the connection is over.
    pub fn check(&self, now: u64) -> Result<bool, ConnDown> {
        let limits = &self.limits;
        if self.write_deadline().is_some_and(|at| at <= now) {
            let detail = format!("the peer has taken nothing for {} ms", limits.write_ms);
            return Err(down(DownReason::WriteBlocked, &detail));
        }
        if self.assembly_deadline().is_some_and(|at| at <= now) {
            let held = self.reader.under_way();
            let detail = format!("a message is not complete after {} ms ({held} bytes so far)", limits.assembly_ms);
            return Err(down(DownReason::Protocol, &detail));
        }
        if self.silence_deadline().is_some_and(|at| at <= now) {
            let silence_ms = self.silence.unwrap_or_default() / NS_PER_MS;
            return Err(down(DownReason::Local, &format!("not even a ping came for {silence_ms} ms")));
        }
        Ok(self.resume_at.is_some_and(|at| at <= now))
    }

    /// Closes politely within `close_ms`: says so, ends our half, and reads (and discards) until the peer has ended the
    /// other. Yields how many messages were discarded.
    pub async fn retire(mut self) -> u64 {
        say_close(&mut self.closing, &mut self.outbox, 1000);
        let deadline = Duration::from_millis(self.limits.close_ms);
        let mut discarded = 0;
        let farewell = poll_fn(|cx| self.poll_farewell(cx, &mut discarded));
        // Whatever is left undone then is the system's: dropping the socket frees it.
        let _ = timeout(deadline, farewell).await;
        discarded
    }

    fn poll_farewell(&mut self, cx: &mut Context<'_>, discarded: &mut u64) -> Poll<()> {
        if self.poll_write(cx, sys::now().mono).is_err() {
            return Poll::Ready(());
        }
        let said = self.outbox.pending().is_empty() && !self.unflushed;
        if said && !self.shut {
            match Pin::new(&mut self.transport).poll_shutdown(cx) {
                Poll::Ready(Ok(())) => self.shut = true,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => {}
            }
        }
        loop {
            loop {
                match self.step() {
                    Ok(Step::Message(_)) => *discarded = discarded.saturating_add(1),
                    Ok(Step::Other) => {}
                    Ok(Step::Drained) => break,
                    Err(_) => return Poll::Ready(()),
                }
            }
            if ready!(self.poll_read(cx)).is_err() {
                return Poll::Ready(());
            }
        }
    }

    fn write_deadline(&self) -> Option<u64> {
        self.outbox.stuck_since().map(|since| since.saturating_add(self.limits.write_ms.saturating_mul(NS_PER_MS)))
    }

    fn assembly_deadline(&self) -> Option<u64> {
        self.began.map(|began| began.saturating_add(self.limits.assembly_ms.saturating_mul(NS_PER_MS)))
    }

    fn silence_deadline(&self) -> Option<u64> {
        self.silence.map(|silence| self.transport.last_read().mono.max(self.resumed_at).saturating_add(silence))
    }

    fn ended(&self) -> ConnDown {
        down(DownReason::Eof, &self.in_the_middle("the peer ended the connection without a close frame"))
    }

    fn broke(&self, e: &io::Error) -> ConnDown {
        let reason = match e.kind() {
            // What rustls makes of bytes that are no TLS.
            io::ErrorKind::InvalidData => DownReason::Protocol,
            _ => DownReason::Reset,
        };
        down(reason, &self.in_the_middle(&e.to_string()))
    }

    fn in_the_middle(&self, what: &str) -> String {
        match self.reader.under_way() {
            0 => what.to_owned(),
            lost => format!("{what}; {lost} bytes of an unfinished message are discarded"),
        }
    }
}

/// Queues a close frame, once.
fn say_close(closing: &mut bool, outbox: &mut Outbox, code: u16) {
    if !*closing {
        *closing = true;
        outbox.close(code);
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};
    use xtrader_core::config::EngineConfig;
    use xtrader_core::symbol::Venue;

    use super::super::options::LiveOptions;
    use super::super::transport::Stamped;
    use super::*;

    async fn socket(venue: Venue) -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let peer = listener.local_addr().expect("bound");
        let ours = TcpStream::connect(peer).await.expect("it listens");
        let (theirs, _) = listener.accept().await.expect("a connection");
        let options = LiveOptions::new(EngineConfig::new(venue));
        let dialled = Dialled { transport: Transport::Plain(Stamped::new(ours, false)), tail: Vec::new(), peer };
        (Socket::new(dialled, None, options.net.clone(), &Allowance::of(&options)), theirs)
    }

    // Fault: N04
    #[tokio::test]
    async fn who_pings_and_is_not_heard_for_three_pings_is_dead() {
        const S: u64 = 1_000 * NS_PER_MS;
        let (mut spot, _peer) = socket(Venue::BinanceSpot).await;
        let opened = spot.stamp().mono;
        assert_eq!(spot.next_deadline(), Some(opened + 60 * S));
        assert!(spot.check(opened + 60 * S - 1).is_ok());
        let dead = spot.check(opened + 60 * S).expect_err("three pings of 20 s are missing");
        assert_eq!((dead.reason, dead.detail.as_str()), (DownReason::Local, "not even a ping came for 60000 ms"));
        spot.resumed(opened + 30 * S);
        assert!(spot.check(opened + 60 * S).is_ok(), "nobody read meanwhile");
        let (okx, _peer) = socket(Venue::Okx).await;
        assert_eq!(okx.next_deadline(), None, "who does not ping is judged by the engine");
    }
}
