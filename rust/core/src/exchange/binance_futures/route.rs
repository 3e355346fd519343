//! Addresses and stream names (§1, §4).

use crate::config::{DepthSpeed, Stream, TradeSource};
use crate::exchange::Channel;
use crate::exchange::binance::suffix_of;

/// The two halves of the exchange since 2026: a stream on the wrong one is acknowledged and silent (§1). Books and
/// quotes, and the undocumented `@trade`.
const PUBLIC: u8 = 0;
/// Aggregated trades, mark prices, liquidations.
const MARKET: u8 = 1;

/// Name and family of a stream; `None` where there is none of the kind.
pub(super) fn channel(native: &str, stream: Stream, source: TradeSource, speed: DepthSpeed) -> Option<Channel> {
    let symbol = native.to_lowercase();
    let (family, name) = match stream {
        Stream::Trades => match source {
            TradeSource::Auto | TradeSource::AggTrade => (MARKET, format!("{symbol}@aggTrade")),
            TradeSource::Trade => (PUBLIC, format!("{symbol}@trade")),
        },
        Stream::Bbo => (PUBLIC, format!("{symbol}@bookTicker")),
        Stream::L2 => (PUBLIC, format!("{symbol}@depth{}", suffix_of(speed))),
        Stream::Derivatives => (MARKET, format!("{symbol}@markPrice@1s")),
        Stream::Liquidations => (MARKET, format!("{symbol}@forceOrder")),
        Stream::Options | Stream::L2Top => return None,
    };
    Some(Channel { family, name })
}

/// Address of a connection. The combined form names the stream in every frame.
pub(super) fn url(ws: &str, family: u8) -> String {
    let path = if family == MARKET { "market" } else { "public" };
    format!("{}/{path}/stream", ws.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_go_to_the_half_of_the_exchange_that_delivers_them() {
        let named = |stream, source, speed| channel("BTCUSDT_261225", stream, source, speed);
        let expected = |family, name: &str| Some(Channel { family, name: name.into() });
        assert_eq!(
            named(Stream::Trades, TradeSource::Auto, DepthSpeed::Ms100),
            expected(MARKET, "btcusdt_261225@aggTrade")
        );
        assert_eq!(
            named(Stream::Trades, TradeSource::Trade, DepthSpeed::Ms100),
            expected(PUBLIC, "btcusdt_261225@trade")
        );
        assert_eq!(
            named(Stream::L2, TradeSource::Auto, DepthSpeed::Ms250),
            expected(PUBLIC, "btcusdt_261225@depth"),
            "250 ms is the suffix-less default and must not be written out"
        );
        assert_eq!(
            named(Stream::Derivatives, TradeSource::Auto, DepthSpeed::Auto),
            expected(MARKET, "btcusdt_261225@markPrice@1s")
        );
        assert_eq!(
            named(Stream::Liquidations, TradeSource::Auto, DepthSpeed::Auto),
            expected(MARKET, "btcusdt_261225@forceOrder")
        );
        assert_eq!(named(Stream::Options, TradeSource::Auto, DepthSpeed::Auto), None);
        assert_eq!(url("wss://fstream.binance.com/", MARKET), "wss://fstream.binance.com/market/stream");
    }
}
