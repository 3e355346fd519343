//! Option families: reference data of options come family by family (§2), so what a subscription means has to tell them
//! before anything is known.

use std::borrow::Cow;

use super::instruments::{Form, form};
use crate::config::{Condition, Selection, What};
use crate::exchange::names::is_date;
use crate::symbol::Exchange;
use crate::table::InstrumentKind;

/// Base and quote of the families that are asked for where a subscription names none: §2 has no list of them. Others
/// come where a name, a pattern that holds the whole pair (`SOLUSD-*`) or a base asset (`kind=option,base=SOL`) tells
/// them.
const USUAL: [(&str, &str); 2] = [("BTC", "USD"), ("ETH", "USD")];
/// Quote currencies of options, the longer before those that end them.
const QUOTES: [&str; 3] = ["USDT", "USDC", "USD"];

/// The family of an option, by its native name.
pub(super) fn family_of(native: &str) -> Option<&str> {
    let form = form(native).filter(|form| form.market == Exchange::OkxOptions)?;
    native.get(..form.base.len() + 1 + form.quote.len())
}

/// The families that a selection may mean, as the exchange writes them.
pub(super) fn families_of(selection: &Selection) -> Vec<String> {
    let is_options = match selection.market {
        None => false,
        Some(Exchange::OkxOptions) => true,
        Some(_) => return Vec::new(),
    };
    match &selection.what {
        What::Name(name) => pair_of(name).into_iter().map(|(base, quote)| format!("{base}-{quote}")).collect(),
        What::Pattern(pattern) => {
            let plain = pattern.split(['*', '?']).next().unwrap_or_default();
            told(pair_in(plain), None, is_options)
        }
        What::Conditions(conditions) => {
            let of = |wanted| conditions.iter().find(|(key, _)| *key == wanted).map(|(_, value)| value.as_str());
            let kind = of(Condition::Kind);
            if kind.is_some_and(|kind| kind != InstrumentKind::Option.name()) {
                return Vec::new();
            }
            let quote = of(Condition::Quote);
            // Options are quoted in dollars unless somebody says otherwise.
            let pair = of(Condition::Base).map(|base| (base.into(), quote.unwrap_or("USD")));
            told(pair, quote, is_options || kind.is_some())
        }
    }
}

/// The family of this pair; the usual ones where there is none. What may mean other markets too does not ask for a family
/// that may be none: BTC-USDT has swaps.
fn told(pair: Option<(Cow<'_, str>, &str)>, quote: Option<&str>, is_options: bool) -> Vec<String> {
    let name = |(base, quote): &(&str, &str)| format!("{base}-{quote}");
    match pair {
        Some((base, quote)) if is_options => vec![name(&(&base, quote))],
        Some((base, quote)) => USUAL.iter().filter(|usual| **usual == (&base, quote)).map(name).collect(),
        None => USUAL.iter().filter(|usual| quote.is_none_or(|quote| usual.1 == quote)).map(name).collect(),
    }
}

/// Base and quote of an option's name, native or unified.
fn pair_of(name: &str) -> Option<(Cow<'_, str>, &str)> {
    if let Some(Form { market, base, quote, .. }) = form(name) {
        return (market == Exchange::OkxOptions).then_some((base.into(), quote));
    }
    let (pair, rest) = name.split_once('-')?;
    is_date(rest.split('-').next()?).then(|| divided(pair))?
}

/// Base and quote at the beginning of a pattern, if both stand there whole: `SOL-USD-…`, `SOLUSD-…`.
fn pair_in(plain: &str) -> Option<(Cow<'_, str>, &str)> {
    let (first, rest) = plain.split_once('-')?;
    match rest.split_once('-') {
        Some((quote, _)) if QUOTES.contains(&quote) => Some((first.into(), quote)),
        _ => divided(first),
    }
}

/// A unified pair divides where a quote currency of options ends it.
fn divided(pair: &str) -> Option<(Cow<'_, str>, &str)> {
    let quote = QUOTES.into_iter().find(|quote| pair.len() > quote.len() && pair.ends_with(quote))?;
    Some((pair.strip_suffix(quote)?.into(), quote))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbol::Venue;

    #[test]
    fn a_subscription_tells_the_families_that_it_may_mean() {
        const USUAL: &[&str] = &["BTC-USD", "ETH-USD"];
        let cases: [(&str, &[&str]); 24] = [
            ("okx-options:BTCUSD-261225-100000-C", &["BTC-USD"]),
            ("okx-options:SOL-USD-261225-60-C", &["SOL-USD"]),
            ("okx:SOL-USD-261225-60-C", &["SOL-USD"]),
            ("SOLUSDT-261225-50-C", &["SOL-USDT"]),
            ("okx-options:SOLUSD-*", &["SOL-USD"]),
            ("okx-options:SOL-USD-*-C", &["SOL-USD"]),
            ("okx-options:SOLUSD-26122?-*", &["SOL-USD"]),
            ("okx-options:SOLUSD-261225-*", &["SOL-USD"]),
            ("okx-options:*", USUAL),
            ("okx-options:*-C", USUAL),
            ("okx-options:BTC*", USUAL),
            ("okx:BTC-USD-*", &["BTC-USD"]),
            ("okx:BTC-USDT-*", &[]),
            ("okx:*USDT", USUAL),
            ("kind=option", USUAL),
            ("kind=option,base=SOL", &["SOL-USD"]),
            ("okx-options:base=SOL,quote=USDT", &["SOL-USDT"]),
            ("okx:base=SOL", &[]),
            ("okx:base=BTC", &["BTC-USD"]),
            ("quote=USDT", &[]),
            ("kind=perpetual,base=BTC", &[]),
            ("okx-swap:*", &[]),
            ("okx:BTC-USDT", &[]),
            ("okx:BTC-USD-261225", &[]),
        ];
        for (text, families) in cases {
            let selection = Selection::parse(Venue::Okx, text).expect(text);
            assert_eq!(families_of(&selection), families, "{text}");
        }
        assert_eq!(family_of("BTC-USD-261225-100000-C"), Some("BTC-USD"));
        assert_eq!(family_of("BTC-USD-261225"), None);
    }
}
