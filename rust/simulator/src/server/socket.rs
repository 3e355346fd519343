//! A client's socket, plain or TLS.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::fault::{BadCertificate, Fault, FrameContext, Stage};
use crate::server::Shared;

pub(crate) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A second handle of the same socket: to reset it while others still hold it.
pub(crate) struct Handle(socket2::Socket);

impl Handle {
    pub(crate) fn of(stream: &TcpStream) -> io::Result<Self> {
        socket2::SockRef::from(stream).try_clone().map(Self)
    }

    /// When the last handle is dropped the peer gets RST instead of FIN.
    pub(crate) fn reset_on_close(&self) {
        let _ = self.0.set_linger(Some(std::time::Duration::ZERO));
    }

    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Writes what fits; the socket does not block.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes)
    }
}

/// TCP is accepted: what the faults want done with it, and TLS. `None` where it ended there.
pub(crate) async fn accept(shared: &Arc<Shared>, stream: TcpStream, context: &FrameContext<'_>) -> Option<Socket> {
    let _ = stream.set_nodelay(true);
    let struck = shared.state().faults.strike(Stage::Accept, context, shared.clock.now());
    let mut certificate = None;
    for (_, fault) in struck {
        match fault {
            Fault::AcceptThenClose { after_s, .. } => {
                tokio::time::sleep(std::time::Duration::from_secs_f64(after_s.max(0.0))).await;
                return None;
            }
            Fault::Certificate { how } => certificate = Some(how),
            _ => {}
        }
    }
    let Some(tls) = &shared.tls else { return Some(Socket::Plain(stream)) };
    if certificate == Some(BadCertificate::Stall) {
        // The socket stays open until the simulator stops.
        let _open = stream;
        return std::future::pending().await;
    }
    let acceptor = tls.acceptor(certificate).ok()?;
    acceptor.accept(stream).await.ok().map(|s| Socket::Tls(Box::new(s)))
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_read(cx, buf),
            Self::Tls(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_write(cx, bytes),
            Self::Tls(s) => Pin::new(s).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_flush(cx),
            Self::Tls(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_shutdown(cx),
            Self::Tls(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}
