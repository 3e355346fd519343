//! From a URL to an open WebSocket: name, address, TLS, upgrade. One future with one deadline; the shard goes on
//! with its other connections meanwhile. The name is resolved anew each time, to all its addresses.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::SockRef;
use tokio::net::TcpSocket;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::Url;
use xtrader_core::arbiter::addresses;
use xtrader_core::engine::{Advice, ConnDown, DownReason, Link};

use super::address::{is_loopback_ip, is_secure};
use super::down::down;
use super::options::{NetLimits, Timestamps};
use super::resolve::Resolver;
use super::sys;
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

impl Dialled {
    /// What the engine is told of it.
    #[must_use]
    pub fn link(&self) -> Link {
        Link { ip: Some(self.peer.ip()), stamps: self.transport.arrivals().source }
    }
}

/// Dials within `connect_ms`, by the addresses that are advised.
pub async fn dial(
    url: Url,
    resolver: Resolver,
    tls: Arc<ClientConfig>,
    limits: NetLimits,
    advice: Advice,
) -> Result<Dialled, ConnDown> {
    let host = host(&url).to_owned();
    let port = url.port_or_known_default().unwrap_or_default();
    let lookup = async move { resolver.resolve(&host, port).await };
    dial_what_is_found(url, tls, limits, advice, lookup).await
}

/// Dials within `connect_ms`, the lookup of the name included.
async fn dial_what_is_found(
    url: Url,
    tls: Arc<ClientConfig>,
    limits: NetLimits,
    advice: Advice,
    lookup: impl Future<Output = io::Result<Vec<SocketAddr>>>,
) -> Result<Dialled, ConnDown> {
    let deadline = Duration::from_millis(limits.connect_ms);
    timeout(deadline, open(&url, tls, &limits, &advice, lookup)).await.unwrap_or_else(|_| {
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
    advice: &Advice,
    lookup: impl Future<Output = io::Result<Vec<SocketAddr>>>,
) -> Result<Dialled, ConnDown> {
    let host = host(url);
    let mut addresses = lookup.await.map_err(|e| failed(&format!("name {host:?}: {e}")))?;
    addresses.retain(|a| is_secure(url) || is_loopback_ip(a.ip()));
    let (tcp, peer) = connect(&addresses, advice, limits).await?;
    let mut transport = if is_secure(url) {
        let name = ServerName::try_from(host.to_owned()).map_err(|e| failed(&format!("name {host:?}: {e}")))?;
        let stream =
            TlsConnector::from(tls).connect(name, tcp).await.map_err(|e| failed(&format!("TLS with {peer}: {e}")))?;
        Transport::Tls(Box::new(stream))
    } else {
        Transport::Plain(tcp)
    };
    let tail = upgrade(&mut transport, url).await?;
    Ok(Dialled { transport, tail, peer })
}

/// The first address that accepts, each within its own deadline: a dead one costs `address_ms`, not the connection.
async fn connect(
    resolved: &[SocketAddr],
    advice: &Advice,
    limits: &NetLimits,
) -> Result<(Stamped, SocketAddr), ConnDown> {
    let mut problems = Vec::new();
    for address in addresses::order(resolved, advice) {
        let Ok(local) = leaving_by(&limits.local_addresses, address, advice.place) else {
            problems.push(format!("{address}: none of net.local_addresses is of its family"));
            continue;
        };
        match timeout(Duration::from_millis(limits.address_ms), connect_to(address, local, limits)).await {
            Ok(Ok(tcp)) => return Ok((tcp, address)),
            Ok(Err(e)) => problems.push(format!("{address}: {e}")),
            Err(_) => problems.push(format!("{address}: no answer within {} ms", limits.address_ms)),
        }
    }
    if problems.is_empty() {
        problems.push("the name has no address that may be used".to_owned());
    }
    Err(failed(&problems.join("; ")))
}

async fn connect_to(address: SocketAddr, local: Option<IpAddr>, limits: &NetLimits) -> io::Result<Stamped> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
    tune(&socket, limits);
    // Before it connects: bytes that come with the handshake's end are noted, too.
    let notes_arrivals = limits.timestamps == Timestamps::Kernel
        && sys::note_arrivals(&socket)
            .inspect_err(|error| tracing::debug!(%error, "SO_TIMESTAMPING refused: the shell stamps"))
            .is_ok();
    if let Some(local) = local {
        socket.bind(SocketAddr::new(local, 0))?;
    }
    Ok(Stamped::new(socket.connect(address).await?, notes_arrivals))
}

/// The remote address is of a family that no local address has.
struct NoFamily;

/// Which of our addresses a connection leaves by: those of the remote's family in turn. None where none is named.
fn leaving_by(local: &[IpAddr], remote: SocketAddr, place: u16) -> Result<Option<IpAddr>, NoFamily> {
    if local.is_empty() {
        return Ok(None);
    }
    let fitting: Vec<IpAddr> = local.iter().copied().filter(|ip| ip.is_ipv6() == remote.is_ipv6()).collect();
    let turn = usize::from(place).checked_rem(fitting.len()).ok_or(NoFamily)?;
    Ok(fitting.get(turn).copied())
}

/// Small messages leave at once; the receive buffer has its size before the handshake, which announces it. Best effort:
/// a system that refuses is slower, not wrong.
fn tune(tcp: &TcpSocket, limits: &NetLimits) {
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
    use xtrader_core::table::StampSource;

    use super::*;

    // Fault: N14
    #[tokio::test]
    async fn the_next_address_is_tried_when_the_first_is_dead() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let alive = listener.local_addr().expect("bound");
        let dead = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound");
        let limits = NetLimits::default();
        let (_, peer) = connect(&[dead, alive], &Advice::default(), &limits).await.expect("the second answers");
        assert_eq!(peer, alive);
        let refused = connect(&[dead], &Advice::default(), &limits).await.expect_err("nobody there");
        assert_eq!(refused.reason, DownReason::ConnectFailed);
        assert!(refused.detail.contains(&dead.to_string()), "{}", refused.detail);
    }

    /// A listener whose queue is full drops what asks for a connection, as a black hole does.
    // Fault: N14
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn an_address_that_says_nothing_costs_its_own_deadline_alone() {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let full = socket.listen(1).expect("it listens");
        let hole = full.local_addr().expect("bound");
        let limits = NetLimits { address_ms: 100, ..NetLimits::default() };
        let mut held = Vec::new();
        while let Ok(one) = connect(&[hole], &Advice::default(), &limits).await {
            held.push(one);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let alive = listener.local_addr().expect("bound");
        let silent = connect(&[hole], &Advice::default(), &limits).await.expect_err("nobody answers");
        assert!(silent.detail.contains("no answer within 100 ms"), "{}", silent.detail);
        let (_, peer) = connect(&[hole, alive], &Advice::default(), &limits).await.expect("the second answers");
        assert_eq!(peer, alive);
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
        let tls = super::super::tls::client(None).expect("TLS");
        let hanging = dial_what_is_found(url, tls, limits, Advice::default(), lookup);

        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let alive = [listener.local_addr().expect("bound")];
        let flows = async {
            let (ours, _) = connect(&alive, &Advice::default(), &NetLimits::default()).await.expect("it listens");
            let mut ours = Transport::Plain(ours);
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

    #[tokio::test]
    async fn advice_decides_which_address_is_tried_and_the_one_that_answered_is_told() {
        let (one, two) = (
            TcpListener::bind("127.0.0.1:0").await.expect("a port"),
            TcpListener::bind("127.0.0.2:0").await.expect("a port"),
        );
        let (one, two) = (one.local_addr().expect("bound"), two.local_addr().expect("bound"));
        let limits = NetLimits::default();
        for (avoid, peer) in [(one, two), (two, one)] {
            let advice = Advice { avoid: vec![avoid.ip()], ..Advice::default() };
            let (tcp, answered) = connect(&[one, two], &advice, &limits).await.expect("both listen");
            assert_eq!(answered, peer);
            let dialled = Dialled { transport: Transport::Plain(tcp), tail: Vec::new(), peer: answered };
            assert_eq!(dialled.link(), Link { ip: Some(peer.ip()), stamps: StampSource::User });
        }
    }

    #[tokio::test]
    async fn connections_to_one_stream_leave_by_the_local_addresses_in_turn() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let there = listener.local_addr().expect("bound");
        let local = ["127.0.0.2", "::1", "127.0.0.3"].map(|ip| ip.parse().expect("an IP"));
        let limits = NetLimits { local_addresses: local.to_vec(), ..NetLimits::default() };
        for (place, by) in [(0, local[0]), (1, local[2]), (2, local[0])] {
            let advice = Advice { place, ..Advice::default() };
            let _ours = connect(&[there], &advice, &limits).await.expect("it listens");
            assert_eq!(listener.accept().await.expect("a connection").1.ip(), by);
        }
        let limits = NetLimits { local_addresses: vec![local[1]], ..NetLimits::default() };
        let refused = connect(&[there], &Advice::default(), &limits).await.expect_err("another family");
        assert!(refused.detail.contains("net.local_addresses"), "{}", refused.detail);
    }
}
