//! TLS: only a chain that is trusted, in date and made out to the host is spoken to.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use xtrader_core::engine::DownReason;
use xtrader_core::time::Stamp;
use xtrader_runtime::RuntimeError;
use xtrader_runtime::live::{LiveOptions, LiveStream, Timestamps};

use crate::peer::{Peer, read_head, read_to_end, text, upgrade};
use crate::script::{Run, Seen, get, options};

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pem: PathBuf,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let pem = std::env::temp_dir().join(format!("xtrader-{name}-{}.pem", std::process::id()));
        std::fs::write(&pem, issuer.pem()).unwrap();
        Self { issuer, pem }
    }

    fn options(&self) -> LiveOptions {
        let mut options = options();
        options.extra_ca = Some(self.pem.clone());
        options
    }

    /// A server's side for `host`, signed by this authority.
    fn server(&self, host: &str, change: impl FnOnce(&mut CertificateParams)) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        server(cert.der().clone(), &key)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.pem);
    }
}

fn server(cert: CertificateDer<'static>, key: &KeyPair) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .unwrap();
    Arc::new(config)
}

fn tls_peer(
    config: Arc<ServerConfig>,
    serve: impl Fn(StreamOwned<ServerConnection, std::net::TcpStream>) + Send + 'static,
) -> Peer {
    Peer::raw(move |stream, _| {
        let connection = ServerConnection::new(config.clone()).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        // A client that refuses the certificate ends the handshake.
        while stream.conn.is_handshaking() {
            if stream.conn.complete_io(&mut stream.sock).is_err() {
                return;
            }
        }
        serve(stream);
    })
}

fn quotes(mut stream: impl Read + Write) {
    upgrade(&mut stream);
    for i in 0..3000 {
        stream.write_all(&text(&format!("quote {i}"))).unwrap();
    }
    stream.flush().unwrap();
    read_to_end(stream);
}

fn secure(peer: &Peer) -> String {
    format!("wss://localhost:{}/x", peer.port)
}

fn refused(options: LiveOptions, peer: &Peer) -> String {
    let down = Run::open(options, secure(peer)).down();
    assert_eq!(down.reason, DownReason::ConnectFailed, "{down:?}");
    assert!(down.detail.contains("TLS"), "{down:?}");
    down.detail
}

#[test]
fn a_trusted_host_is_spoken_to_and_stamps_never_fall_whoever_makes_them() {
    let ca = Authority::new("trusted");
    let peer = tls_peer(ca.server("localhost", |_| {}), quotes);
    for timestamps in [Timestamps::User, Timestamps::Kernel] {
        let mut options = ca.options();
        options.net.timestamps = timestamps;
        let run = Run::open(options, secure(&peer));
        let mut last = Stamp::default();
        for i in 0..3000 {
            let payload = loop {
                match run.seen() {
                    Seen::Frame(at, _, payload) => {
                        assert!(at.mono >= last.mono);
                        last = at;
                        break payload;
                    }
                    Seen::Down(_, _, down) => panic!("{down:?}"),
                    _ => {}
                }
            };
            assert_eq!(payload, format!("quote {i}").as_bytes());
        }
    }
}

// Fault: Z01
#[test]
fn rest_speaks_the_same_tls() {
    let ca = Authority::new("rest");
    let config = ca.server("localhost", |_| {});
    let peer = tls_peer(config, |mut stream| {
        read_head(&mut stream).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        stream.flush().unwrap();
    });
    let url = format!("https://localhost:{}/x", peer.port);
    for (options, status) in [(ca.options(), 200), (options(), 0)] {
        let run = Run::start(options, vec![get(1, url.clone())], |_| Vec::new());
        let Seen::Http(_, reply) = run.seen() else { panic!("no reply") };
        assert_eq!(reply.status, status);
    }
}

// Fault: Z01
#[test]
fn an_unknown_authority_is_refused() {
    let (ca, stranger) = (Authority::new("known"), Authority::new("stranger"));
    let peer = tls_peer(stranger.server("localhost", |_| {}), quotes);
    let detail = refused(ca.options(), &peer);
    assert!(detail.contains("UnknownIssuer"), "{detail}");
    refused(options(), &peer);
}

// Fault: Z01
#[test]
fn a_self_signed_host_is_refused() {
    let ca = Authority::new("self");
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let peer = tls_peer(server(cert.der().clone(), &key), quotes);
    refused(ca.options(), &peer);
}

// Fault: Z01
#[test]
fn an_expired_certificate_is_refused() {
    let ca = Authority::new("expired");
    let config = ca.server("localhost", |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let detail = refused(ca.options(), &tls_peer(config, quotes));
    assert!(detail.to_ascii_lowercase().contains("expired"), "{detail}");
}

// Fault: Z01
#[test]
fn another_hosts_certificate_is_refused() {
    let ca = Authority::new("host");
    let peer = tls_peer(ca.server("fstream.binance.com", |_| {}), quotes);
    let detail = refused(ca.options(), &peer);
    assert!(detail.contains("not valid for name"), "{detail}");
}

// Fault: N15, Z01
#[test]
fn a_chain_that_changes_between_connections_is_judged_anew() {
    let (ca, stranger) = (Authority::new("rotating"), Authority::new("rotated"));
    let configs =
        [ca.server("localhost", |_| {}), ca.server("localhost", |_| {}), stranger.server("localhost", |_| {})];
    let peer = Peer::raw(move |stream, i| {
        let connection = ServerConnection::new(configs[i.min(2)].clone()).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        if read_head(&mut stream)
            .is_some_and(|head| stream.write_all(crate::peer::accept_text(&head).as_bytes()).is_ok())
        {
            let _ = stream.write_all(&crate::peer::close(1001, "rotating"));
            let _ = stream.flush();
            read_to_end(stream);
        }
    });
    let url = secure(&peer);
    let mut left = 2;
    let run = Run::start(ca.options(), vec![crate::script::open(1, url.clone())], move |seen| match seen {
        Seen::Down(..) if left > 0 => {
            left -= 1;
            vec![crate::script::open(1, url.clone())]
        }
        _ => Vec::new(),
    });
    assert_eq!(run.down().code, Some(1001));
    assert_eq!(run.down().code, Some(1001));
    let last = run.down();
    assert_eq!(last.reason, DownReason::ConnectFailed, "{last:?}");
}

// Fault: N15, Z17
#[test]
fn a_handshake_that_stalls_is_left_at_the_deadline_and_garbage_at_once() {
    let silent = Peer::raw(|stream, _| read_to_end(stream));
    let mut brief = options();
    brief.net.connect_ms = 200;
    let down = Run::open(brief, secure(&silent)).down();
    assert_eq!(down.reason, DownReason::ConnectFailed);
    assert!(down.detail.contains("200 ms"), "{down:?}");

    let garbage = Peer::raw(|mut stream, _| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        read_to_end(stream);
    });
    refused(options(), &garbage);
}

#[test]
fn an_authority_file_that_holds_none_is_refused_at_the_start() {
    for (path, part) in [("/does/not/exist.pem", "No such file"), ("/dev/null", "no certificate")] {
        let mut options = options();
        options.extra_ca = Some(path.into());
        let (script, _inputs) = crate::script::Script::new(Vec::new(), |_| Vec::new());
        let refused = LiveStream::start_with(options, script).expect_err("no authority");
        assert!(matches!(refused, RuntimeError::Options(_)) && refused.to_string().contains(part), "{refused}");
    }
}
