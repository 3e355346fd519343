//! Where a stream may connect to: anywhere by TLS, in plain text only to this machine.

use std::net::IpAddr;

use url::{Host, Url};

/// An address that is refused, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("endpoint {url:?}: {problem}")]
pub struct BadAddress {
    url: String,
    problem: String,
}

/// What is spoken there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// `wss://`, or `ws://` to this machine.
    WebSocket,
    /// `https://`, or `http://` to this machine.
    Rest,
}

/// Parses and judges a URL. What it accepts may be dialled.
///
/// # Errors
/// Not a URL, another scheme, or plain text to another machine.
pub fn parse(text: &str, service: Service) -> Result<Url, BadAddress> {
    let refuse = |problem: String| BadAddress { url: text.to_owned(), problem };
    let (secure, plain) = match service {
        Service::WebSocket => ("wss", "ws"),
        Service::Rest => ("https", "http"),
    };
    let url = Url::parse(text).map_err(|e| refuse(format!("{e}; write {secure}://host[:port]")))?;
    if url.host().is_none() {
        return Err(refuse(format!("it has no host; write {secure}://host[:port]")));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("credentials do not belong into a URL; remove them".to_owned()));
    }
    match url.scheme() {
        scheme if scheme == secure => Ok(url),
        scheme if scheme == plain && is_loopback(&url) => Ok(url),
        scheme if scheme == plain => {
            Err(refuse(format!("{plain}:// is allowed only to this machine (loopback); use {secure}://")))
        }
        scheme => Err(refuse(format!("scheme {scheme:?} is not spoken here; use {secure}://"))),
    }
}

/// TLS is spoken there.
#[must_use]
pub fn is_secure(url: &Url) -> bool {
    matches!(url.scheme(), "wss" | "https")
}

/// Scheme, host and port: what limits and bans are counted by.
#[must_use]
pub fn origin(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default())
}

/// An address that plain text may go to.
#[must_use]
pub fn is_loopback_ip(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(ip)) => is_loopback_ip(ip.into()),
        Some(Host::Ipv6(ip)) => is_loopback_ip(ip.into()),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Fault: Z03
    #[test]
    fn plain_text_only_to_this_machine() {
        for good in
            ["wss://fstream.binance.com", "ws://localhost:1/x", "ws://127.0.0.1:9", "ws://[::1]:9/", "ws://127.8.8.8"]
        {
            assert!(parse(good, Service::WebSocket).is_ok(), "{good}");
        }
        for bad in [
            "ws://fstream.binance.com",
            "ws://10.0.0.1",
            "ws://localhost.evil.com",
            "ws://[::2]",
            "http://localhost",
            "https://x",
            "wss://user:secret@host",
            "host:1",
            "",
            "wss://",
        ] {
            assert!(parse(bad, Service::WebSocket).is_err(), "{bad}");
        }
        assert!(parse("https://fapi.binance.com", Service::Rest).is_ok());
        assert!(parse("http://127.0.0.1:80", Service::Rest).is_ok());
        let refused = parse("http://fapi.binance.com", Service::Rest).expect_err("plain");
        assert!(refused.to_string().contains("use https://"), "{refused}");
    }

    #[test]
    fn an_origin_is_host_and_port() {
        assert_eq!(
            origin(&parse("https://fapi.binance.com/fapi/v1/depth?x=1", Service::Rest).expect("url")),
            "fapi.binance.com:443"
        );
    }
}
