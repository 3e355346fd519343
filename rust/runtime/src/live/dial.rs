//! From a URL to an open WebSocket: name, address, TLS, upgrade. One future with one deadline; the shard goes on
//! with its other connections meanwhile.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::SockRef;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::Url;
use xtrader_core::engine::{ConnDown, DownReason};

use super::address::{is_loopback_ip, is_secure};
use super::down::down;
use super::options::NetLimits;
use super::transport::{Stamped, Transport};
use super::upgrade::upgrade;

/// An open WebSocket.
#[derive(Debug)]
pub struct Dialled {
    /// Its bytes.
    pub transport: Transport,
    /// Bytes that came behind the answer to the upgrade.
    pub tail: Vec<u8>,
    /// The address that answered.
    pub peer: SocketAddr,
}

/// Dials within `connect_ms`.
pub async fn dial(url: Url, tls: Arc<ClientConfig>, limits: NetLimits) -> Result<Dialled, ConnDown> {
    let host = host(&url).to_owned();
    let port = url.port_or_known_default().unwrap_or_default();
    // getaddrinfo may hang for long: tokio asks on a thread of its own.
    let lookup = async move { lookup_host((host, port)).await.map(Iterator::collect) };
    dial_what_is_found(url, tls, limits, lookup).await
}

/// Dials within `connect_ms`, the lookup of the name included.
async fn dial_what_is_found(
    url: Url,
    tls: Arc<ClientConfig>,
    limits: NetLimits,
    lookup: impl Future<Output = std::io::Result<Vec<SocketAddr>>>,
) -> Result<Dialled, ConnDown> {
    let deadline = Duration::from_millis(limits.connect_ms);
    timeout(deadline, open(&url, tls, &limits, lookup)).await.unwrap_or_else(|_| {
        Err(failed(&format!("not open within {} ms (name, TCP, TLS and upgrade together)", limits.connect_ms)))
    })
}

fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
}

async fn open(
    url: &Url,
    tls: Arc<ClientConfig>,
    limits: &NetLimits,
    lookup: impl Future<Output = std::io::Result<Vec<SocketAddr>>>,
) -> Result<Dialled, ConnDown> {
    let host = host(url);
    let mut addresses = lookup.await.map_err(|e| failed(&format!("name {host:?}: {e}")))?;
    addresses.retain(|a| is_secure(url) || is_loopback_ip(a.ip()));
    let (tcp, peer) = connect(&addresses, limits).await?;
    let mut transport = if is_secure(url) {
        let name = ServerName::try_from(host.to_owned()).map_err(|e| failed(&format!("name {host:?}: {e}")))?;
        let stream = TlsConnector::from(tls)
            .connect(name, Stamped::new(tcp))
            .await
            .map_err(|e| failed(&format!("TLS with {peer}: {e}")))?;
        Transport::Tls(Box::new(stream))
    } else {
        Transport::Plain(Stamped::new(tcp))
    };
    let tail = upgrade(&mut transport, url).await?;
    Ok(Dialled { transport, tail, peer })
}

/// The first address that accepts, each within its own deadline: a dead one costs `address_ms`, not the connection.
async fn connect(addresses: &[SocketAddr], limits: &NetLimits) -> Result<(TcpStream, SocketAddr), ConnDown> {
    let mut problems = Vec::new();
    for address in alternating(addresses) {
        match timeout(Duration::from_millis(limits.address_ms), TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                tune(&tcp, limits);
                return Ok((tcp, address));
            }
            Ok(Err(e)) => problems.push(format!("{address}: {e}")),
            Err(_) => problems.push(format!("{address}: no answer within {} ms", limits.address_ms)),
        }
    }
    if problems.is_empty() {
        problems.push("the name has no address that may be used".to_owned());
    }
    Err(failed(&problems.join("; ")))
}

/// IPv6 and IPv4 in turn, in the resolver's order: a family that is black-holed costs one deadline, not many.
fn alternating(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second): (Vec<_>, Vec<_>) = addresses.iter().partition(|a| a.is_ipv6() == first_is_v6);
    let mut order = Vec::with_capacity(addresses.len());
    first.reverse();
    second.reverse();
    while let (Some(address), rest) = (first.pop(), &mut second) {
        order.push(address);
        order.extend(rest.pop());
    }
    second.reverse();
    order.extend(second);
    order
}

/// Small messages leave at once. Best effort: a system that refuses is slower, not wrong.
fn tune(tcp: &TcpStream, limits: &NetLimits) {
    let socket = SockRef::from(tcp);
    if let Err(error) = socket.set_tcp_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY refused");
    }
    if let Some(bytes) = limits.recv_buffer_bytes
        && let Err(error) = socket.set_recv_buffer_size(bytes)
    {
        tracing::debug!(%error, bytes, "SO_RCVBUF refused");
    }
}

fn failed(detail: &str) -> ConnDown {
    down(DownReason::ConnectFailed, detail)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    // Fault: N14
    #[test]
    fn address_families_take_turns() {
        let a = |s: &str| s.parse::<SocketAddr>().expect("an address");
        let given = [a("[::1]:1"), a("[::2]:1"), a("[::3]:1"), a("1.1.1.1:1")];
        assert_eq!(alternating(&given), [a("[::1]:1"), a("1.1.1.1:1"), a("[::2]:1"), a("[::3]:1")]);
        assert_eq!(alternating(&given[3..]), given[3..]);
        assert_eq!(alternating(&[]), []);
    }

    // Fault: N14
    #[tokio::test]
    async fn the_next_address_is_tried_when_the_first_is_dead() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let alive = listener.local_addr().expect("bound");
        let dead = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound");
        let limits = NetLimits::default();
        let (_, peer) = connect(&[dead, alive], &limits).await.expect("the second answers");
        assert_eq!(peer, alive);
        let refused = connect(&[dead], &limits).await.expect_err("nobody there");
        assert_eq!(refused.reason, DownReason::ConnectFailed);
        assert!(refused.detail.contains(&dead.to_string()), "{}", refused.detail);
    }

    // Fault: N14
    #[tokio::test]
    async fn a_resolver_that_hangs_is_left_at_the_deadline_and_others_flow_meanwhile() {
        let (release, hangs) = std::sync::mpsc::channel::<()>();
        // As `getaddrinfo` does: on a thread of its own, and not to be interrupted.
        let lookup = async {
            let waited = tokio::task::spawn_blocking(move || hangs.recv()).await;
            unreachable!("the resolver never answers: {waited:?}")
        };
        let limits = NetLimits { connect_ms: 300, ..NetLimits::default() };
        let url = Url::parse("wss://hangs.invalid/").expect("a URL");
        let hanging = dial_what_is_found(url, super::super::tls::client(None).expect("TLS"), limits, lookup);

        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let alive = [listener.local_addr().expect("bound")];
        let flows = async {
            let (mut ours, _) = connect(&alive, &NetLimits::default()).await.expect("it listens");
            let (mut theirs, _) = listener.accept().await.expect("a connection");
            for i in 0..100u8 {
                theirs.write_u8(i).await.expect("written");
                assert_eq!(ours.read_u8().await.expect("read"), i);
            }
        };
        let mut hanging = std::pin::pin!(hanging);
        tokio::select! {
            biased;
            () = flows => {}
            _ = &mut hanging => panic!("the name that hangs held the other connection up"),
        }
        let Err(left) = hanging.await else { panic!("it has no address") };
        assert_eq!(left.reason, DownReason::ConnectFailed);
        assert!(left.detail.contains("300 ms"), "{}", left.detail);
        drop(release);
    }
}
