//! Paths and stream names.
//!
//! Since 2026 streams live under `/public`, `/market` and `/private`; the old unrouted paths deliver what `/public`
//! does. A stream of the wrong family is acknowledged like any other name, and silent.

use crate::config::DepthSpeed;

/// Part of the path that says which streams deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Public,
    Market,
    Private,
    Unrouted,
}

pub(crate) const PUBLIC: &str = "public";
pub(crate) const MARKET: &str = "market";

impl Family {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Public => PUBLIC,
            Self::Market => MARKET,
            Self::Private => "private",
            Self::Unrouted => "unrouted",
        }
    }

    /// Whether events of a family come here.
    pub(crate) fn delivers(self, family: &str) -> bool {
        match self {
            Self::Public | Self::Unrouted => family == PUBLIC,
            Self::Market => family == MARKET,
            Self::Private => false,
        }
    }
}

/// What the path of an upgrade says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub family: Family,
    /// `/stream`: payloads come wrapped with the stream's name.
    pub combined: bool,
    pub streams: Vec<String>,
}

impl Route {
    /// `None` for a path that does not exist.
    pub(crate) fn parse(target: &str) -> Option<Self> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (family, rest) = [("/public", Family::Public), ("/market", Family::Market), ("/private", Family::Private)]
            .into_iter()
            .find_map(|(prefix, family)| Some((family, path.strip_prefix(prefix)?)))
            .unwrap_or((Family::Unrouted, path));
        let names = |text: &str| text.split('/').filter(|s| !s.is_empty()).map(percent_decode).collect();
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest == "/stream" {
            let streams = query.split('&').find_map(|p| p.strip_prefix("streams=")).unwrap_or("");
            // The whole value may be encoded, the separators too.
            Some(Self { family, combined: true, streams: names(&percent_decode(streams)) })
        } else if rest == "/ws" {
            Some(Self { family, combined: false, streams: Vec::new() })
        } else {
            Some(Self { family, combined: false, streams: names(rest.strip_prefix("/ws/")?) })
        }
    }
}

fn percent_decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        let mut ahead = bytes.clone();
        let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
        match (b, digit(ahead.next()), digit(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                bytes = ahead;
            }
            _ => out.push(b),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// `btcusdt@depth@100ms`.
pub(crate) fn symbol_stream(symbol: &str, speed: DepthSpeed) -> String {
    format!("{}{}", symbol.to_lowercase(), speed.suffix())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let route = |family, combined, streams: &[&str]| {
            Some(Route { family, combined, streams: streams.iter().map(|s| (*s).to_owned()).collect() })
        };
        assert_eq!(Route::parse("/public/ws"), route(Family::Public, false, &[]));
        assert_eq!(Route::parse("/market/ws/btcusdt@aggTrade"), route(Family::Market, false, &["btcusdt@aggTrade"]));
        assert_eq!(
            Route::parse("/public/stream?streams=a@depth/b@depth"),
            route(Family::Public, true, &["a@depth", "b@depth"])
        );
        assert_eq!(
            Route::parse("/stream?streams=a%40depth%2Fb%40trade"),
            route(Family::Unrouted, true, &["a@depth", "b@trade"])
        );
        assert_eq!(Route::parse("/private/ws"), route(Family::Private, false, &[]));
        assert_eq!(Route::parse("/ws/a@x/b@y"), route(Family::Unrouted, false, &["a@x", "b@y"]));
        assert_eq!(Route::parse("/public"), None);
        assert_eq!(Route::parse("/other/ws"), None);
        assert_eq!(Route::parse("/fapi/v1/depth?symbol=X"), None);
    }
}
