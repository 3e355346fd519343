//! The public channels: where each is served, and what names one of its streams. A stream's name here is
//! `channel:of`, as in `books:BTC-USDT`, `liquidation-orders:SWAP`, `status`.

use std::sync::Arc;

use serde::Deserialize;

pub(crate) const PUBLIC: &str = "public";
pub(crate) const BUSINESS: &str = "business";
pub(crate) const PRIVATE: &str = "private";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Channel {
    Books,
    Books5,
    Bbo,
    BooksTbt,
    Books50Tbt,
    Trades,
    TradesAll,
    Tickers,
    MarkPrice,
    IndexTickers,
    FundingRate,
    OpenInterest,
    Liquidations,
    OptSummary,
    Instruments,
    Status,
}

impl Channel {
    const ALL: [Self; 16] = [
        Self::Books,
        Self::Books5,
        Self::Bbo,
        Self::BooksTbt,
        Self::Books50Tbt,
        Self::Trades,
        Self::TradesAll,
        Self::Tickers,
        Self::MarkPrice,
        Self::IndexTickers,
        Self::FundingRate,
        Self::OpenInterest,
        Self::Liquidations,
        Self::OptSummary,
        Self::Instruments,
        Self::Status,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Books => "books",
            Self::Books5 => "books5",
            Self::Bbo => "bbo-tbt",
            Self::BooksTbt => "books-l2-tbt",
            Self::Books50Tbt => "books50-l2-tbt",
            Self::Trades => "trades",
            Self::TradesAll => "trades-all",
            Self::Tickers => "tickers",
            Self::MarkPrice => "mark-price",
            Self::IndexTickers => "index-tickers",
            Self::FundingRate => "funding-rate",
            Self::OpenInterest => "open-interest",
            Self::Liquidations => "liquidation-orders",
            Self::OptSummary => "opt-summary",
            Self::Instruments => "instruments",
            Self::Status => "status",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name() == name)
    }

    /// The path that serves it (§1).
    pub(crate) fn family(self) -> &'static str {
        if self == Self::TradesAll { BUSINESS } else { PUBLIC }
    }

    /// The member of `arg` that names the stream; `None` where there is only one.
    pub(crate) fn key(self) -> Option<&'static str> {
        match self {
            Self::Status => None,
            Self::Liquidations | Self::Instruments => Some("instType"),
            Self::OptSummary => Some("instFamily"),
            _ => Some("instId"),
        }
    }

    /// Only for those who are logged in, and of a high tier (§4).
    pub(crate) fn is_for_vips(self) -> bool {
        matches!(self, Self::BooksTbt | Self::Books50Tbt)
    }

    /// Channels of one instrument that one connection may not hold beside it (§4).
    pub(crate) fn rivals(self) -> &'static [Self] {
        match self {
            Self::BooksTbt => &[Self::Books, Self::Books50Tbt],
            Self::Books | Self::Books50Tbt => &[Self::BooksTbt],
            _ => &[],
        }
    }

    pub(crate) fn stream(self, of: &str) -> Arc<str> {
        match self.key() {
            None => self.name().into(),
            Some(_) => format!("{}:{of}", self.name()).into(),
        }
    }

    /// `"arg":{…}` of its pushes.
    pub(crate) fn arg(self, of: &str) -> String {
        let name = self.name();
        match self.key() {
            None => format!(r#""arg":{{"channel":"{name}"}}"#),
            Some(key) => format!(r#""arg":{{"channel":"{name}","{key}":"{of}"}}"#),
        }
    }
}

/// An `arg` of a request.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Arg {
    pub channel: String,
    inst_id: Option<String>,
    inst_type: Option<String>,
    inst_family: Option<String>,
}

impl Arg {
    /// The channel, and what it is asked of; `None` for a channel that does not exist.
    pub(crate) fn wanted(&self) -> Option<(Channel, &str)> {
        let channel = Channel::named(&self.channel)?;
        let of = match channel.key() {
            Some("instType") => &self.inst_type,
            Some("instFamily") => &self.inst_family,
            Some(_) => &self.inst_id,
            None => return Some((channel, "")),
        };
        Some((channel, of.as_deref().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_has_its_own_name() {
        for channel in Channel::ALL {
            assert_eq!(Channel::named(channel.name()), Some(channel));
        }
        assert_eq!(&*Channel::Books.stream("BTC-USDT"), "books:BTC-USDT");
        assert_eq!(&*Channel::Status.stream(""), "status");
        assert_eq!(Channel::Liquidations.arg("SWAP"), r#""arg":{"channel":"liquidation-orders","instType":"SWAP"}"#);
    }
}
