//! Bytes of one connection, plain or TLS, with the time of the read that brought them, or of their arrival where the
//! kernel tells it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use xtrader_core::time::Stamp;

use super::arrival::Arrivals;
use super::sys;

/// A TCP stream that reads both clocks when a read returns, before anybody looks at the bytes. It lies under TLS, so
/// that decryption is no part of the stamp.
#[derive(Debug)]
pub struct Stamped {
    io: TcpStream,
    last_read: Stamp,
    /// The kernel was asked when bytes arrive.
    arrivals: Option<Arrivals>,
}

/// See the module.
#[derive(Debug)]
pub enum Transport {
    /// To this machine.
    Plain(Stamped),
    /// To everybody else.
    Tls(Box<TlsStream<Stamped>>),
}

impl Stamped {
    /// Not read yet: stamped now. Where the kernel notes arrivals on it ([`sys::note_arrivals`]), they are the stamps.
    #[must_use]
    pub fn new(io: TcpStream, notes_arrivals: bool) -> Self {
        Self { io, last_read: sys::now(), arrivals: notes_arrivals.then(Arrivals::default) }
    }

    /// A read that is told when its bytes arrived.
    fn poll_receive(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.io.poll_read_ready(cx))?;
            let space = buf.initialize_unfilled();
            let length = space.len();
            let mut received = Err(io::ErrorKind::WouldBlock.into());
            // Less than there was room for means that the socket is empty now: its readiness is used up, as after a
            // read that would block. tokio's own reads do the same; it saves every second system call.
            let is_left = self.io.try_io(Interest::READABLE, || {
                received = sys::receive(&self.io, space);
                match &received {
                    Ok((read, _)) if (1..length).contains(read) => Err(io::ErrorKind::WouldBlock.into()),
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => Err(io::ErrorKind::WouldBlock.into()),
                    _ => Ok(()),
                }
            });
            drop(is_left);
            let user = sys::now();
            match received {
                Ok((read, arrival)) => {
                    buf.advance(read);
                    self.last_read = match &mut self.arrivals {
                        Some(arrivals) if read > 0 => arrivals.stamp(user, self.last_read, arrival),
                        _ => user,
                    };
                    return Poll::Ready(Ok(()));
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => {
                    self.last_read = user;
                    return Poll::Ready(Err(e));
                }
            }
        }
    }
}

impl Transport {
    /// When the last read of the socket returned, or its bytes arrived.
    #[must_use]
    pub fn last_read(&self) -> Stamp {
        self.stamped().last_read
    }

    /// Whose clock says so; by default the shell's.
    #[must_use]
    pub fn arrivals(&self) -> Arrivals {
        self.stamped().arrivals.unwrap_or_default()
    }

    fn stamped(&self) -> &Stamped {
        match self {
            Self::Plain(io) => io,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }

    /// Bytes of the last read are still to be taken. Until they are, no later stamp must be handed out.
    #[must_use]
    pub fn holds_more(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => !tls.get_ref().1.wants_read(),
        }
    }
}

impl AsyncRead for Stamped {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.arrivals.is_some() {
            return self.poll_receive(cx, buf);
        }
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        if polled.is_ready() {
            self.last_read = sys::now();
        }
        polled
    }
}

impl AsyncWrite for Stamped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Self::Tls(io) => Pin::new(io.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_write(cx, buf),
            Self::Tls(io) => Pin::new(io.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_flush(cx),
            Self::Tls(io) => Pin::new(io.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Self::Tls(io) => Pin::new(io.as_mut()).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use xtrader_core::table::StampSource;

    use super::*;

    #[tokio::test]
    async fn a_socket_that_tells_no_arrivals_is_stamped_by_its_reader() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let ours = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
        let (mut theirs, _) = listener.accept().await.expect("a connection");
        // The kernel was never asked, so it tells nothing.
        let mut transport = Transport::Plain(Stamped::new(ours, true));
        for sent in [&b"first"[..], b"second"] {
            theirs.write_all(sent).await.expect("written");
            let before = sys::now();
            let mut got = vec![0; sent.len()];
            transport.read_exact(&mut got).await.expect("read");
            assert_eq!(got, sent);
            assert!(transport.last_read().mono >= before.mono, "stamped after it was asked for");
            assert_eq!((transport.arrivals().source, transport.arrivals().refused), (StampSource::User, 0));
        }
        drop(theirs);
        assert_eq!(transport.read(&mut [0; 8]).await.expect("the end"), 0);
    }
}
