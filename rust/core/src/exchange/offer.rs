//! What each market offers, for those who ask before they subscribe.

use serde::Serialize;

use super::{Protocol, SnapshotSource, with_protocol};
use crate::config::{Credentials, DepthSpeed, Stream, TradeSource, offers};
use crate::symbol::{Exchange, Venue};

/// What one market offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// Id of the market, as subscriptions write it.
    pub exchange: &'static str,
    /// Id of the venue whose sockets carry it, which stands for all its markets.
    pub venue: &'static str,
    /// Its streams.
    pub streams: Vec<&'static str>,
    /// Speeds of its books, the default first.
    pub depth_speeds: &'static [DepthSpeed],
    /// Its trade feeds, the default first.
    pub trade_sources: &'static [TradeSource],
    /// Where the snapshot of a book comes from: `rest` or `channel`.
    pub snapshot: &'static str,
    /// Whether one can log in.
    pub login: bool,
}

/// Every market, venue by venue.
#[must_use]
pub fn catalogue() -> Vec<Offer> {
    Venue::ALL.into_iter().flat_map(|venue| with_protocol!(venue, P => of::<P>())).collect()
}

fn of<P: Protocol>() -> Vec<Offer> {
    let nobody = Credentials { key: String::new(), secret: String::new(), passphrase: String::new() };
    let login = P::login(&nobody, 0, 0).is_some();
    let offer = |&market: &Exchange| Offer {
        exchange: market.id(),
        venue: P::VENUE.id(),
        streams: Stream::ALL.into_iter().filter(|stream| offers(market, *stream)).map(Stream::name).collect(),
        depth_speeds: P::DEPTH_SPEEDS,
        trade_sources: P::TRADE_SOURCES,
        snapshot: match P::SYNC.snapshot {
            SnapshotSource::Rest => "rest",
            SnapshotSource::Channel => "channel",
        },
        login,
    };
    P::MARKETS.iter().map(offer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_market_is_there_once_and_nothing_else() {
        let told: Vec<&str> = catalogue().iter().map(|offer| offer.exchange).collect();
        // OKX as a whole is no market: its instruments are each of one.
        let markets = Exchange::DICTIONARY.into_iter().filter(|id| *id != Exchange::Okx.id());
        assert!(markets.clone().all(|id| told.contains(&id)), "{told:?}");
        assert_eq!(told.len(), markets.count());
    }

    #[test]
    fn what_a_market_offers_is_said_in_the_words_of_the_configuration() {
        let offer = catalogue().into_iter().find(|offer| offer.exchange == "okx-options").expect("a market");
        let told = serde_json::to_value(&offer).expect("plain values");
        assert_eq!(
            told,
            serde_json::json!({
                "exchange": "okx-options",
                "venue": "okx",
                "streams": ["trades", "l2", "bbo", "options", "liquidations", "l2_top"],
                "depth_speeds": ["100ms", "10ms"],
                "trade_sources": ["agg_trade", "trade"],
                "snapshot": "channel",
                "login": true,
            })
        );
    }
}
