//! Addresses and stream names (§1, §4).

use crate::config::{DepthSpeed, Stream, TradeSource};
use crate::exchange::Channel;
use crate::exchange::binance::suffix_of;

/// Name of a stream; `None` where there is none of the kind. All are on one address. Neither feed of trades has those off
/// the book (§3), so a channel of trades is two streams: they are subscribed, granted and lost together.
pub(super) fn channel(native: &str, stream: Stream, source: TradeSource, speed: DepthSpeed) -> Option<Channel> {
    let symbol = native.to_lowercase();
    let name = match stream {
        Stream::Trades => match source {
            TradeSource::Auto | TradeSource::Trade => format!("{symbol}@trade/{symbol}@blockTrade"),
            TradeSource::AggTrade => format!("{symbol}@aggTrade/{symbol}@blockTrade"),
        },
        Stream::Bbo => format!("{symbol}@bookTicker"),
        Stream::L2 => format!("{symbol}@depth{}", suffix_of(speed)),
        Stream::Derivatives | Stream::Options | Stream::Liquidations | Stream::L2Top => return None,
    };
    Some(Channel { family: 0, name })
}

/// Address of a connection. The combined form names the stream in every frame: the payloads of quotes do not.
pub(super) fn url(ws: &str) -> String {
    format!("{}/stream", ws.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_named_as_the_exchange_names_them() {
        let named = |stream, source, speed| channel("BTCUSDT", stream, source, speed).map(|channel| channel.name);
        let auto = |stream| named(stream, TradeSource::Auto, DepthSpeed::Auto);
        assert_eq!(auto(Stream::Trades).as_deref(), Some("btcusdt@trade/btcusdt@blockTrade"));
        assert_eq!(auto(Stream::L2).as_deref(), Some("btcusdt@depth@100ms"));
        assert_eq!(auto(Stream::Bbo).as_deref(), Some("btcusdt@bookTicker"));
        assert_eq!(auto(Stream::Derivatives), None);
        let aggregated = named(Stream::Trades, TradeSource::AggTrade, DepthSpeed::Auto);
        assert_eq!(aggregated.as_deref(), Some("btcusdt@aggTrade/btcusdt@blockTrade"));
        assert_eq!(
            named(Stream::L2, TradeSource::Auto, DepthSpeed::Ms1000).as_deref(),
            Some("btcusdt@depth"),
            "a second is the default without a suffix"
        );
        assert_eq!(url("wss://stream.binance.com:9443/"), "wss://stream.binance.com:9443/stream");
    }
}
