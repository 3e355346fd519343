use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use xtrader_simulator::Simulator;

use crate::client::start;

fn handshake(sim: &Simulator, url: &str) -> Result<StreamOwned<ClientConnection, TcpStream>, String> {
    let mut roots = RootCertStore::empty();
    let pem = sim.ca_pem().expect("an authority");
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM")).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut client =
        ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").expect("a name")).expect("a client");
    let port = url.rsplit(':').next().expect("a port");
    let mut tcp = TcpStream::connect(format!("127.0.0.1:{port}")).expect("a connection");
    tcp.set_read_timeout(Some(Duration::from_millis(1500))).expect("a timeout");
    while client.is_handshaking() {
        client.complete_io(&mut tcp).map_err(|e| e.to_string())?;
    }
    Ok(StreamOwned::new(client, tcp))
}

#[test]
fn both_servers_speak_tls() {
    let sim = start(r#"{"tls":true}"#);
    assert!(sim.ws_url().starts_with("wss://localhost:") && sim.rest_url().starts_with("https://localhost:"));
    let mut rest = handshake(&sim, &sim.rest_url()).expect("a handshake");
    rest.write_all(b"GET /fapi/v1/time HTTP/1.1\r\nConnection: close\r\n\r\n").expect("sent");
    let mut reply = String::new();
    rest.read_to_string(&mut reply).expect("a reply, closed as TLS wants it");
    assert!(reply.starts_with("HTTP/1.1 200 OK"));

    let tls = handshake(&sim, &sim.ws_url()).expect("a handshake");
    let (mut ws, _) = tokio_tungstenite::tungstenite::client("wss://localhost/public/ws/btcusdt@bookTicker", tls)
        .expect("an upgrade");
    assert!(ws.read().expect("a frame").to_text().expect("text").starts_with(r#"{"e":"bookTicker""#));
}

#[test]
fn bad_certificates_are_bad_and_a_rotated_one_is_good() {
    let sim = start(r#"{"tls":true}"#);
    let show = |how: &str, path: &str| {
        let plan = format!(r#"{{"fault":{{"kind":"certificate","how":"{how}"}},"target":{{"path":"{path}"}}}}"#);
        sim.inject_json(&plan).expect("a plan");
    };
    for (how, problem) in [
        ("self_signed", "UnknownIssuer"),
        ("expired", "expired"),
        ("wrong_host", "not valid for name"),
        ("untrusted", "UnknownIssuer"),
    ] {
        for (path, url) in [("ws", sim.ws_url()), ("rest", sim.rest_url())] {
            show(how, path);
            let error = handshake(&sim, &url).expect_err(how);
            assert!(error.contains(problem) || error.contains("BadSignature"), "{how}: {error}");
            handshake(&sim, &url).expect("one time only");
        }
    }
    show("rotated", "ws");
    handshake(&sim, &sim.ws_url()).expect("another good one");
    show("stall", "ws");
    handshake(&sim, &sim.ws_url()).expect_err("no answer");
}
