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

/// The families that a selection may mean.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Families {
    /// Those that are asked for, as the exchange writes them.
    pub asked: Vec<String>,
    /// It may mean others too, which it does not tell.
    pub may_be_more: bool,
}

/// See [`Families`].
pub(super) fn families_of(selection: &Selection) -> Families {
    let is_options = match selection.market {
        None => false,
        Some(Exchange::OkxOptions) => true,
        Some(_) => return Families::default(),
    };
    match &selection.what {
        What::Name(name) => {
            let asked = pair_of(name).map(|(base, quote)| format!("{base}-{quote}"));
            Families { asked: asked.into_iter().collect(), may_be_more: false }
        }
        // Names of options end in their right.
        What::Pattern(pattern) if !pattern.ends_with(['C', 'P', '*', '?']) => Families::default(),
        What::Pattern(pattern) => {
            let plain = pattern.split(['*', '?']).next().unwrap_or_default();
            told(pair_in(plain), None, is_options)
        }
        What::Conditions(conditions) => {
            let of = |wanted| conditions.iter().find(|(key, _)| *key == wanted).map(|(_, value)| value.as_str());
            let kind = of(Condition::Kind);
            if kind.is_some_and(|kind| kind != InstrumentKind::Option.name()) {
                return Families::default();
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
fn told(pair: Option<(Cow<'_, str>, &str)>, quote: Option<&str>, is_options: bool) -> Families {
    let name = |(base, quote): &(&str, &str)| format!("{base}-{quote}");
    let usual =
        |is_meant: &dyn Fn(&(&str, &str)) -> bool| USUAL.iter().filter(|usual| is_meant(usual)).map(name).collect();
    match pair {
        Some((base, quote)) if is_options => Families { asked: vec![name(&(&base, quote))], may_be_more: false },
        Some((base, quote)) => {
            let asked: Vec<String> = usual(&|usual| *usual == (&base, quote));
            Families { may_be_more: asked.is_empty(), asked }
        }
        None => Families { asked: usual(&|usual| quote.is_none_or(|quote| usual.1 == quote)), may_be_more: true },
    }
}

/// What of a selection is left out, since nothing tells the families, and the remedy.
pub(super) fn left_out(selection: &Selection) -> Option<String> {
    let Families { asked, may_be_more } = families_of(selection);
    let asked = if asked.is_empty() { "none".to_owned() } else { asked.join(" and ") };
    may_be_more.then(|| {
        format!(
            "okx lists options family by family, and the families nowhere; looked through: {asked}. Subscribe others by \
             their pair, e.g. okx-options:SOLUSD-*"
        )
    })
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
        const MORE: bool = true;
        const ALL: bool = false;
        let cases: [(&str, &[&str], bool); 26] = [
            ("okx-options:BTCUSD-261225-100000-C", &["BTC-USD"], ALL),
            ("okx-options:SOL-USD-261225-60-C", &["SOL-USD"], ALL),
            ("okx:SOL-USD-261225-60-C", &["SOL-USD"], ALL),
            ("SOLUSDT-261225-50-C", &["SOL-USDT"], ALL),
            ("okx-options:SOLUSD-*", &["SOL-USD"], ALL),
            ("okx-options:SOL-USD-*-C", &["SOL-USD"], ALL),
            ("okx-options:SOLUSD-26122?-*", &["SOL-USD"], ALL),
            ("okx-options:SOLUSD-261225-*", &["SOL-USD"], ALL),
            ("okx-options:*", USUAL, MORE),
            ("okx-options:*-C", USUAL, MORE),
            ("okx-options:BTC*", USUAL, MORE),
            ("okx:BTC-USD-*", &["BTC-USD"], ALL),
            ("okx:BTC-USDT-*", &[], MORE),
            ("okx:*USDT", &[], ALL),
            ("okx:*", USUAL, MORE),
            ("okx:SOLUSD-*", &[], MORE),
            ("kind=option", USUAL, MORE),
            ("kind=option,base=SOL", &["SOL-USD"], ALL),
            ("okx-options:base=SOL,quote=USDT", &["SOL-USDT"], ALL),
            ("okx:base=SOL", &[], MORE),
            ("okx:base=BTC", &["BTC-USD"], ALL),
            ("quote=USDT", &[], MORE),
            ("kind=perpetual,base=BTC", &[], ALL),
            ("okx-swap:*", &[], ALL),
            ("okx:BTC-USDT", &[], ALL),
            ("okx:BTC-USD-261225", &[], ALL),
        ];
        for (text, families, may_be_more) in cases {
            let selection = Selection::parse(Venue::Okx, text).expect(text);
            let asked = families.iter().map(|family| (*family).to_owned()).collect();
            assert_eq!(families_of(&selection), Families { asked, may_be_more }, "{text}");
            assert_eq!(left_out(&selection).is_some(), may_be_more, "{text}");
        }
        assert_eq!(family_of("BTC-USD-261225-100000-C"), Some("BTC-USD"));
        assert_eq!(family_of("BTC-USD-261225"), None);
    }
}
