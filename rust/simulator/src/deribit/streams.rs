//! Channel names (§3-§5): what each carries, and which do not exist.

use crate::clock::{MS, MarketTime, SECOND};
use crate::deribit::instruments::{Instrument, Kind};

/// How changes are gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interval {
    /// As it happens; for who is logged in.
    Raw,
    Ms100,
    /// About a second.
    Agg2,
}

impl Interval {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "raw" => Some(Self::Raw),
            "100ms" => Some(Self::Ms100),
            "agg2" => Some(Self::Agg2),
            _ => None,
        }
    }

    pub(crate) fn time(self) -> MarketTime {
        match self {
            Self::Raw => 0,
            Self::Ms100 => 100 * MS,
            Self::Agg2 => SECOND,
        }
    }
}

/// What a channel carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Book { instrument: usize, interval: Interval },
    Image { instrument: usize, depth: usize, interval: Interval },
    Trades { instrument: usize, interval: Interval },
    TradesOf { which: Which, interval: Interval },
    Quote { instrument: usize },
    Ticker { instrument: usize, interval: Interval },
    InstrumentState { which: Which },
    InstrumentCreation { which: Which },
    PlatformState,
    PublicMethods,
}

/// Instruments of a kind and currency; `None` is any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Which {
    kind: Option<&'static str>,
    currency: Option<String>,
}

impl Which {
    pub(crate) fn parse(kind: &str, currency: &str) -> Option<Self> {
        let kinds = [Kind::Future, Kind::Option, Kind::Spot, Kind::FutureCombo].map(Kind::name);
        let kind = match kind {
            "any" => None,
            _ => Some(*kinds.iter().chain(&["option_combo"]).find(|k| **k == kind)?),
        };
        let known = !currency.is_empty() && currency.bytes().all(|b| b.is_ascii_alphanumeric());
        known.then(|| Self { kind, currency: (currency != "any").then(|| currency.to_uppercase()) })
    }

    pub(crate) fn has(&self, i: &Instrument) -> bool {
        self.kind.is_none_or(|k| k == i.kind.name()) && self.currency.as_deref().is_none_or(|c| c == i.currency())
    }
}

impl Channel {
    /// `None` for a channel that does not exist, or whose instrument is not listed (any more).
    pub(crate) fn parse(name: &str, instruments: &[Instrument]) -> Option<Self> {
        let instrument = |name: &str| instruments.iter().position(|i| &*i.name == name && i.listed());
        let parts: Vec<&str> = name.split('.').collect();
        Some(match parts[..] {
            ["book", i, interval] => Self::Book { instrument: instrument(i)?, interval: Interval::parse(interval)? },
            ["book", i, "none", depth @ ("1" | "10" | "20"), interval @ ("100ms" | "agg2")] => Self::Image {
                instrument: instrument(i)?,
                depth: depth.parse().ok()?,
                interval: Interval::parse(interval)?,
            },
            ["trades", i, interval] => {
                Self::Trades { instrument: instrument(i)?, interval: Interval::parse(interval)? }
            }
            ["trades", kind, currency, interval] => {
                Self::TradesOf { which: Which::parse(kind, currency)?, interval: Interval::parse(interval)? }
            }
            ["quote", i] => Self::Quote { instrument: instrument(i)? },
            ["ticker", i, interval] => {
                Self::Ticker { instrument: instrument(i)?, interval: Interval::parse(interval)? }
            }
            ["instrument", "state", kind, currency] => Self::InstrumentState { which: Which::parse(kind, currency)? },
            ["instrument", "creation", kind, currency] => {
                Self::InstrumentCreation { which: Which::parse(kind, currency)? }
            }
            ["platform_state"] => Self::PlatformState,
            ["platform_state", "public_methods_state"] => Self::PublicMethods,
            _ => return None,
        })
    }

    /// The one instrument it is about.
    pub(crate) fn instrument(&self) -> Option<usize> {
        match self {
            Self::Book { instrument, .. }
            | Self::Image { instrument, .. }
            | Self::Trades { instrument, .. }
            | Self::Quote { instrument }
            | Self::Ticker { instrument, .. } => Some(*instrument),
            _ => None,
        }
    }

    pub(crate) fn interval(&self) -> Interval {
        match self {
            Self::Book { interval, .. }
            | Self::Image { interval, .. }
            | Self::Trades { interval, .. }
            | Self::TradesOf { interval, .. }
            | Self::Ticker { interval, .. } => *interval,
            _ => Interval::Raw,
        }
    }
}

/// Channels that only who is logged in may have, whether they exist or not.
pub(crate) fn needs_login(name: &str) -> bool {
    name.ends_with(".raw")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SymbolConfig;

    #[test]
    fn only_what_exists_is_a_channel() {
        let names = ["BTC-PERPETUAL", "BTC_USDC", "XRP_USDC-25DEC26-1d02-C"];
        let list: Vec<Instrument> =
            names.iter().map(|n| Instrument::new(&SymbolConfig::named(n)).expect("an instrument")).collect();
        let parse = |name: &str| Channel::parse(name, &list);
        assert_eq!(parse("book.BTC_USDC.raw"), Some(Channel::Book { instrument: 1, interval: Interval::Raw }));
        let image = Channel::Image { instrument: 2, depth: 10, interval: Interval::Ms100 };
        assert_eq!(parse("book.XRP_USDC-25DEC26-1d02-C.none.10.100ms"), Some(image));
        let Some(Channel::TradesOf { which, .. }) = parse("trades.option.any.agg2") else { panic!("a channel") };
        assert_eq!(list.iter().map(|i| which.has(i)).collect::<Vec<_>>(), [false, false, true]);
        assert!(parse("trades.future.BTC.100ms").is_some() && parse("platform_state").is_some());
        for bad in ["book.NOPE.raw", "book.BTC_USDC.50ms", "book.BTC_USDC.none.5.100ms", "book.BTC_USDC", "", "x.y"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
