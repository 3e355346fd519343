//! Paths and stream names.
//!
//! Futures streams live under `/public`, `/market` and `/private` since 2026; the old unrouted paths deliver what
//! `/public` does. A stream of the wrong family is acknowledged like any other name, and silent. Spot has one family.

use crate::binance::dialect::{Dialect, Product};
use crate::config::DepthSpeed;

/// Part of the path that says which streams deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Public,
    Market,
    Private,
    Unrouted,
    Spot,
}

impl Family {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Market => "market",
            Self::Private => "private",
            Self::Unrouted => "unrouted",
            Self::Spot => "spot",
        }
    }

    /// Whether events of a family come here.
    pub(crate) fn delivers(self, family: &str) -> bool {
        match self {
            Self::Unrouted => family == Self::Public.name(),
            Self::Private => false,
            own => family == own.name(),
        }
    }
}

/// What the path of an upgrade says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub family: Family,
    /// `/stream`: payloads come wrapped with the stream's name.
    pub combined: bool,
    /// All times are in microseconds.
    pub micros: bool,
    pub streams: Vec<String>,
}

impl Route {
    /// `None` for a path that does not exist.
    pub(crate) fn parse(product: Product, target: &str) -> Option<Self> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (family, rest) = match product {
            Product::Spot => (Family::Spot, path),
            Product::Futures => {
                [("/public", Family::Public), ("/market", Family::Market), ("/private", Family::Private)]
                    .into_iter()
                    .find_map(|(prefix, family)| Some((family, path.strip_prefix(prefix)?)))
                    .unwrap_or((Family::Unrouted, path))
            }
        };
        let parameter = |name: &str| query.split('&').find_map(|p| p.strip_prefix(name)?.strip_prefix('='));
        let micros = product == Product::Spot
            && parameter("timeUnit").is_some_and(|unit| matches!(unit, "MICROSECOND" | "microsecond"));
        let names = |text: &str| text.split('/').filter(|s| !s.is_empty()).map(percent_decode).collect();
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (combined, streams) = match rest {
            // The whole value may be encoded, the separators too.
            "/stream" => (true, names(&percent_decode(parameter("streams").unwrap_or("")))),
            "/ws" => (false, Vec::new()),
            _ => (false, names(rest.strip_prefix("/ws/")?)),
        };
        Some(Self { family, combined, micros, streams })
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

/// The best levels of a book as a whole: `btcusdt@depth5`, `btcusdt@depth20@100ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ImageStream<'a> {
    /// Lowercase.
    pub symbol: &'a str,
    pub levels: usize,
    pub speed: DepthSpeed,
}

impl<'a> ImageStream<'a> {
    /// `None` for any other name.
    pub(crate) fn parse(dialect: &Dialect, name: &'a str) -> Option<Self> {
        let (symbol, rest) = name.split_once("@depth")?;
        let (levels, speed) = rest.split_once('@').map_or((rest, None), |(levels, speed)| (levels, Some(speed)));
        let levels = match levels {
            "5" => 5,
            "10" => 10,
            "20" => 20,
            _ => return None,
        };
        let speed = match speed {
            None => dialect.plain_speed,
            Some("100ms") => DepthSpeed::Ms100,
            Some("500ms") => DepthSpeed::Ms500,
            Some(_) => return None,
        };
        dialect.speeds.contains(&speed).then_some(Self { symbol, levels, speed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binance::dialect::{FUTURES, SPOT};

    #[test]
    fn paths() {
        let route = |family, combined, streams: &[&str]| {
            let streams = streams.iter().map(|s| (*s).to_owned()).collect();
            Some(Route { family, combined, micros: false, streams })
        };
        let parse = |path| Route::parse(Product::Futures, path);
        assert_eq!(parse("/public/ws"), route(Family::Public, false, &[]));
        assert_eq!(parse("/market/ws/btcusdt@aggTrade"), route(Family::Market, false, &["btcusdt@aggTrade"]));
        assert_eq!(
            parse("/public/stream?streams=a@depth/b@depth"),
            route(Family::Public, true, &["a@depth", "b@depth"])
        );
        assert_eq!(
            parse("/stream?streams=a%40depth%2Fb%40trade"),
            route(Family::Unrouted, true, &["a@depth", "b@trade"])
        );
        assert_eq!(parse("/private/ws"), route(Family::Private, false, &[]));
        assert_eq!(parse("/ws/a@x/b@y"), route(Family::Unrouted, false, &["a@x", "b@y"]));
        assert_eq!(parse("/public"), None);
        assert_eq!(parse("/other/ws"), None);
        assert_eq!(parse("/fapi/v1/depth?symbol=X"), None);

        let parse = |path| Route::parse(Product::Spot, path);
        assert_eq!(parse("/ws/a@x"), route(Family::Spot, false, &["a@x"]));
        assert_eq!(parse("/public/ws"), None);
        let micros = |r: Option<Route>| r.is_some_and(|r| r.micros);
        assert!(micros(parse("/ws?timeUnit=MICROSECOND")));
        assert!(micros(parse("/stream?streams=a@x&timeUnit=microsecond")));
        assert!(!micros(parse("/ws?timeUnit=MILLISECOND")));
        assert!(!micros(Route::parse(Product::Futures, "/ws?timeUnit=MICROSECOND")));
    }

    #[test]
    fn names_of_images() {
        let image = |levels, speed| Some(ImageStream { symbol: "x", levels, speed });
        assert_eq!(ImageStream::parse(&SPOT, "x@depth5"), image(5, DepthSpeed::Ms1000));
        assert_eq!(ImageStream::parse(&SPOT, "x@depth20@100ms"), image(20, DepthSpeed::Ms100));
        assert_eq!(ImageStream::parse(&SPOT, "x@depth20@500ms"), None);
        assert_eq!(ImageStream::parse(&FUTURES, "x@depth10@500ms"), image(10, DepthSpeed::Ms500));
        assert_eq!(ImageStream::parse(&FUTURES, "x@depth10"), image(10, DepthSpeed::Ms250));
        for other in ["x@depth", "x@depth@100ms", "x@depth7", "x@trade"] {
            assert_eq!(ImageStream::parse(&FUTURES, other), None, "{other}");
        }
    }
}
