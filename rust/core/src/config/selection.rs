//! Which instruments a subscription means: one by its name, or all that fit a pattern.

use super::{ConfigError, parse_exchange};
use crate::exchange::{Protocol, with_protocol};
use crate::instrument::Instrument;
use crate::symbol::{Exchange, Venue};
use crate::table::{InstrumentKind, Status};

/// One entry of [`super::EngineConfig::symbols`], read: `[EXCHANGE:]WHAT`.
///
/// `WHAT` is a name, unified or the exchange's own (`BTCUSDT`, `BTC-USDT-SWAP`); a name with `*` and `?` for any
/// characters and any one (`*USDT`); or conditions on the reference data that all must hold (`kind=perpetual`,
/// `kind=option,base=BTC`), with the keys `kind`, `base`, `quote` and `settle`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The market; `None` is any of the venue.
    pub market: Option<Exchange>,
    /// What of it.
    pub what: What,
}

/// See [`Selection`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// One instrument.
    Name(String),
    /// All whose unified or own name fits.
    Pattern(String),
    /// All of which this holds.
    Conditions(Vec<(Condition, String)>),
}

/// What a condition looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The kind, by its word in the table `instruments`.
    Kind,
    /// The base asset.
    Base,
    /// The quote asset.
    Quote,
    /// The asset that profit and loss are paid in.
    Settle,
}

impl Selection {
    /// Reads an entry for an engine of `venue`.
    ///
    /// # Errors
    /// A market of another venue, an unknown condition, or a name that cannot be one.
    pub fn parse(venue: Venue, text: &str) -> Result<Self, ConfigError> {
        let (market, what) = match text.split_once(':') {
            Some((exchange, what)) => {
                let market = parse_exchange(exchange)?;
                if market.venue() != venue {
                    return Err(ConfigError::Contradiction(format!(
                        "{text:?} is of {}, and this engine serves {}",
                        market.venue().id(),
                        venue.id()
                    )));
                }
                (market, what)
            }
            None => (venue.word(), text),
        };
        let markets = with_protocol!(venue, P => P::MARKETS);
        let refuse = |reason| Err(ConfigError::Symbol { given: what.to_owned(), exchange: market.id(), reason });
        // The venue's own id means all of its markets, unless it is the only one.
        let market = (market != venue.word() || markets.len() == 1).then_some(market);
        if what.is_empty() || what.len() > 64 {
            return refuse("it takes 1 to 64 bytes");
        }
        if what.contains('=') {
            return Ok(Self { market, what: What::Conditions(conditions(what)?) });
        }
        let has = |test: fn(char) -> bool| what.chars().any(test);
        if has(|c| c.is_ascii_lowercase()) && !has(|c| c.is_ascii_uppercase()) {
            return refuse("symbols are written in upper case, e.g. BTCUSDT");
        }
        if has(|c| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '*' | '?'))) {
            return refuse(
                "only letters, digits, '_', '-' and '.' may stand in it, and '*' and '?' in a pattern, e.g. BTCUSDT, \
                 BTCUSDT-261225 or *USDT",
            );
        }
        let is_pattern = has(|c| matches!(c, '*' | '?'));
        let what = what.to_owned();
        Ok(Self { market, what: if is_pattern { What::Pattern(what) } else { What::Name(what) } })
    }

    /// The kind that a condition names.
    #[must_use]
    pub fn kind(&self) -> Option<InstrumentKind> {
        let What::Conditions(list) = &self.what else { return None };
        let named = list.iter().find(|(condition, _)| *condition == Condition::Kind).map(|(_, value)| value)?;
        InstrumentKind::named(named)
    }

    /// Whether it means this instrument. What is closed is meant only by its name.
    #[must_use]
    pub fn means(&self, instrument: &Instrument) -> bool {
        if self.market.is_some_and(|market| market != instrument.exchange) {
            return false;
        }
        let open = instrument.status != Status::Closed;
        match &self.what {
            What::Name(name) => *name == instrument.symbol || *name == instrument.native_symbol,
            What::Pattern(pattern) => {
                open && (fits(pattern, &instrument.symbol) || fits(pattern, &instrument.native_symbol))
            }
            What::Conditions(list) => open && list.iter().all(|(condition, value)| condition.holds(instrument, value)),
        }
    }
}

impl Condition {
    fn holds(self, instrument: &Instrument, value: &str) -> bool {
        match self {
            Self::Kind => instrument.kind.name() == value,
            Self::Base => instrument.base == value,
            Self::Quote => instrument.quote == value,
            Self::Settle => instrument.settle == value,
        }
    }
}

fn conditions(text: &str) -> Result<Vec<(Condition, String)>, ConfigError> {
    let read = |part: &str| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let condition = match key {
            "kind" if InstrumentKind::DICTIONARY.contains(&value) => Condition::Kind,
            "kind" => {
                return Err(ConfigError::Contradiction(format!(
                    "subscription {text:?}: there is no kind {value:?}; there is: {}",
                    InstrumentKind::DICTIONARY.join(", ")
                )));
            }
            "base" => Condition::Base,
            "quote" => Condition::Quote,
            "settle" => Condition::Settle,
            _ => {
                return Err(ConfigError::Contradiction(format!(
                    "subscription {text:?}: {key:?} is no condition; there is: kind, base, quote, settle, e.g. \
                     kind=perpetual,quote=USDT"
                )));
            }
        };
        Ok((condition, value.to_owned()))
    };
    text.split(',').map(read).collect()
}

/// `*` is any characters, `?` any one.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last star stood, and how far its characters reach: the only place to come back to.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, reach)) = star else { return false };
                star = Some((at, reach + 1));
                p = at + 1;
                t = reach + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_patterns_and_conditions() {
        let parse = |text| Selection::parse(Venue::Okx, text).expect(text);
        let swap = Some(Exchange::OkxSwap);
        assert_eq!(parse("okx-swap:BTCUSDT"), Selection { market: swap, what: What::Name("BTCUSDT".into()) });
        assert_eq!(parse("okx:BTC-USDT"), Selection { market: None, what: What::Name("BTC-USDT".into()) });
        assert_eq!(parse("okx-swap:*USDT"), Selection { market: swap, what: What::Pattern("*USDT".into()) });
        let kind = What::Conditions(vec![(Condition::Kind, "perpetual".into()), (Condition::Base, "BTC".into())]);
        assert_eq!(parse("kind=perpetual,base=BTC"), Selection { market: None, what: kind });
    }

    // Fault: G03, B14
    #[test]
    fn what_cannot_be_meant_is_refused_with_a_remedy() {
        let error = |venue, text| Selection::parse(venue, text).expect_err(text).to_string();
        assert!(error(Venue::Okx, "kind=swap").contains("perpetual"), "what kinds there are");
        assert!(error(Venue::Okx, "type=swap").contains("kind, base, quote, settle"));
        assert!(error(Venue::Okx, "binance-spot:BTCUSDT").contains("serves okx"));
        for bad in ["btcusdt", "", "BTC/USDT", "../X", "BTC USDT"] {
            assert!(error(Venue::BinanceSpot, bad).contains("binance-spot"), "{bad}");
        }
        for good in
            ["BTCUSDT", "BTCUSDT-261225", "1000PEPEUSDT", "BTCUSDT_261225", "币安人生USDT", "XRP_USDC-5DEC26-1d02-C"]
        {
            Selection::parse(Venue::BinanceSpot, good).expect(good);
        }
    }

    fn slow(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => {
                slow(rest, text) || text.split_first().is_some_and(|(_, text)| slow(pattern, text))
            }
            (Some((p, rest)), Some((t, text))) => (*p == '?' || p == t) && slow(rest, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn patterns_fit_as_they_do_by_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(fits(&pattern, &text), slow(&chars(&pattern), &chars(&text)));
        }
    }
}
