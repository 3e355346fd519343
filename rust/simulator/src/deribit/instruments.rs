//! Instruments (§2): what a name says, what the reference data says beside it.

use std::fmt::Write;
use std::sync::Arc;

use crate::SimulatorError;
use crate::book::{Scales, parse_decimal};
use crate::calendar::utc_ms;
use crate::config::SymbolConfig;
use crate::deribit::number::Number;

/// The exchange's kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Future,
    Option,
    Spot,
    FutureCombo,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Future => "future",
            Self::Option => "option",
            Self::Spot => "spot",
            Self::FutureCombo => "future_combo",
        }
    }
}

/// What only options have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OptionTerms {
    pub strike: Number,
    pub call: bool,
}

/// The state in which an instrument is traded.
pub(crate) const OPEN: &str = "open";
/// The state of one that has expired.
pub(crate) const DELIVERED: &str = "delivered";
/// The state of one that was taken off the list.
pub(crate) const INACTIVE: &str = "inactive";

/// One instrument.
#[derive(Clone, Debug)]
pub(crate) struct Instrument {
    pub name: Arc<str>,
    pub kind: Kind,
    pub base: String,
    /// `USDC` of a linear one; nothing where the coin itself settles.
    counter: Option<String>,
    perpetual: bool,
    pub expiry_ms: Option<i64>,
    pub terms: Option<OptionTerms>,
    /// Of a combo: the other leg, then this one.
    pub legs: Option<[String; 2]>,
    pub scales: Scales,
    tick: Number,
    pub lot: Number,
    pub contract_size: Number,
    /// `open`, or why it is not (the words are those of 2026-01-13).
    pub state: String,
}

/// Far beyond every contract: what perpetuals say of their expiry.
const NEVER_MS: i64 = 32_503_708_800_000;

impl Instrument {
    pub(crate) fn new(config: &SymbolConfig) -> Result<Self, SimulatorError> {
        let unknown = || {
            SimulatorError::config(
                "symbols",
                format!(
                    "{:?} is no instrument of Deribit: BTC-PERPETUAL, BTC_USDC-PERPETUAL, BTC-25DEC26, \
                     BTC-25DEC26-100000-C, XRP_USDC-25DEC26-1d02-C, BTC_USDC, BTC-FS-25DEC26_PERP",
                    config.symbol
                ),
            )
        };
        let (scales, _, tick, lot) = config.numbers()?;
        let mut i = Self::of_name(&config.symbol).ok_or_else(unknown)?;
        i.scales = scales;
        i.tick = Number::new(tick, scales.price);
        i.lot = Number::new(lot, scales.size);
        // Inverse contracts are counted in pieces of the smallest amount, options and XRP's kin in whole ones (§2).
        i.contract_size = match i.kind {
            Kind::Option if i.lot.value() < 1.0 => Number::new(1, 0),
            _ => i.lot,
        };
        Ok(i)
    }

    /// Everything that the name says.
    fn of_name(name: &str) -> Option<Self> {
        let parts: Vec<&str> = name.split('-').collect();
        let (base, counter) = match parts[0].split_once('_') {
            Some((base, counter)) if counter.bytes().all(|b| b.is_ascii_uppercase()) => {
                (base, Some(counter.to_owned()))
            }
            Some(_) => return None,
            None => (parts[0], None),
        };
        let plain = Self {
            name: name.into(),
            kind: Kind::Future,
            base: base.to_owned(),
            counter,
            perpetual: false,
            expiry_ms: None,
            terms: None,
            legs: None,
            scales: Scales { price: 0, size: 0 },
            tick: Number::default(),
            lot: Number::default(),
            contract_size: Number::default(),
            state: OPEN.to_owned(),
        };
        Some(match parts[1..] {
            [] => plain.counter.clone().map(|_| Self { kind: Kind::Spot, ..plain })?,
            ["PERPETUAL"] => Self { perpetual: true, ..plain },
            [date] => Self { expiry_ms: Some(expiry_ms(date)?), ..plain },
            ["FS", legs] => {
                let (far, near) = legs.split_once('_')?;
                let leg = |l: &str| format!("{}-{}", parts[0], if l == "PERP" { "PERPETUAL" } else { l });
                let expiry = [far, near].iter().filter_map(|l| expiry_ms(l)).min();
                Self { kind: Kind::FutureCombo, expiry_ms: expiry, legs: Some([leg(far), leg(near)]), ..plain }
            }
            [date, strike, side @ ("C" | "P")] => {
                let (mantissa, scale) = parse_decimal(&strike.replace('d', "."))?;
                let terms = OptionTerms { strike: Number::new(mantissa, scale), call: side == "C" };
                Self { kind: Kind::Option, expiry_ms: Some(expiry_ms(date)?), terms: Some(terms), ..plain }
            }
            _ => return None,
        })
    }

    /// It is traded.
    pub(crate) fn open(&self) -> bool {
        self.state == OPEN
    }

    /// It is known to the reference data and may be subscribed, also while it is halted.
    pub(crate) fn listed(&self) -> bool {
        ![INACTIVE, DELIVERED, "archivized"].contains(&&*self.state)
    }

    pub(crate) fn perpetual(&self) -> bool {
        self.perpetual
    }

    /// Settled in the coin itself.
    pub(crate) fn reversed(&self) -> bool {
        self.counter.is_none()
    }

    /// The currency under which it is listed: `BTC`, or `USDC` for what is settled in it.
    pub(crate) fn currency(&self) -> &str {
        self.counter.as_deref().unwrap_or(&self.base)
    }

    pub(crate) fn index_name(&self) -> String {
        format!("{}_{}", self.base, self.counter.as_deref().unwrap_or("USD")).to_lowercase()
    }

    pub(crate) fn price(&self, mantissa: i64) -> Number {
        Number::new(mantissa, self.scales.price)
    }

    pub(crate) fn amount(&self, mantissa: i64) -> Number {
        Number::new(mantissa, self.scales.size)
    }

    /// A row of `public/get_instruments`.
    pub(crate) fn row(&self) -> String {
        let counter = self.counter.as_deref();
        let coin_option = self.kind == Kind::Option && self.reversed();
        let quote = counter.unwrap_or(if coin_option { &self.base } else { "USD" });
        let settlement = counter.unwrap_or(&self.base);
        // Below a price the steps of options are finer.
        let fine = coin_option && self.tick == Number::new(5, 4);
        let (tick, steps) = match fine {
            true => (Number::new(1, 4), r#"[{"tick_size":0.0005,"above_price":0.005}]"#),
            false => (self.tick, "[]"),
        };
        let mut out = String::with_capacity(800);
        let _ = write!(
            out,
            r#"{{"tick_size":{tick},"tick_size_steps":{steps},"taker_commission":0.0005,"maker_commission":0.0,"rfq":false,"quote_currency":"{quote}","counter_currency":"{}","base_currency":"{}","price_index":"{}","min_trade_amount":{},"kind":"{}","is_active":{},"state":"{}","instrument_type":"{}","instrument_name":"{}","expiration_timestamp":{},"creation_timestamp":1534242287000,"contract_size":{},"block_trade_tick_size":0.01,"block_trade_commission":0.00025,"underlying_type":"crypto""#,
            counter.unwrap_or("USD"),
            self.base,
            self.index_name(),
            self.lot,
            self.kind.name(),
            self.open(),
            self.state,
            if self.reversed() { "reversed" } else { "linear" },
            self.name,
            self.expiry_ms.unwrap_or(NEVER_MS),
            self.contract_size,
        );
        if self.kind != Kind::Spot {
            let period = if self.perpetual { "perpetual" } else { "month" };
            let _ = write!(out, r#","settlement_currency":"{settlement}","settlement_period":"{period}""#);
        }
        if let Some(terms) = self.terms {
            let side = if terms.call { "call" } else { "put" };
            let _ = write!(out, r#","strike":{},"option_type":"{side}""#, terms.strike);
        } else {
            out.push_str(r#","max_leverage":50,"max_liquidation_commission":0.0075"#);
        }
        out.push('}');
        out
    }
}

/// `25DEC26` is 2026-12-25 08:00 UTC; days have no leading zero.
fn expiry_ms(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit()).then(|| t.parse::<i64>().ok()).flatten();
    let at = text.len().checked_sub(5)?;
    let day = digits(text.get(..at)?).filter(|d| (1..=31).contains(d))?;
    let month = MONTHS.iter().position(|m| text.get(at..at + 3) == Some(m))? as i64 + 1;
    Some(utc_ms(2000 + digits(text.get(at + 3..)?)?, month, day) + 8 * 3_600_000)
}

/// Price, tick, lot; trades, changes of the best prices and of others per second; levels of a side.
pub(crate) type Defaults = (&'static str, &'static str, &'static str, [f64; 3], Option<usize>);

/// What a symbol of that name is by default; `None` for names of other exchanges.
pub(crate) fn defaults(name: &str) -> Option<Defaults> {
    let i = Instrument::of_name(name)?;
    let all = None;
    Some(match (i.kind, &*i.base, i.reversed()) {
        (Kind::Future, "BTC", true) if i.perpetual => ("92300.0", "0.5", "10", [6.0, 30.0, 150.0], all),
        (Kind::Future, "ETH", true) if i.perpetual => ("3100.00", "0.05", "1", [5.0, 25.0, 120.0], all),
        (Kind::Future, "BTC", false) if i.perpetual => ("92310.0", "0.5", "0.0001", [3.0, 12.0, 60.0], Some(300)),
        (Kind::Future, "BTC", _) => ("92800.0", "2.5", "10", [0.5, 4.0, 30.0], Some(300)),
        (Kind::Future, "ETH", _) => ("3120.00", "0.25", "1", [0.5, 4.0, 30.0], Some(300)),
        (Kind::Spot, "BTC", _) => ("92290.00", "0.01", "0.0001", [1.0, 5.0, 30.0], Some(300)),
        (Kind::Option, "XRP", false) => ("0.1500", "0.0005", "1000", [0.5, 2.0, 5.0], Some(20)),
        (Kind::Option, _, false) => ("15.00", "0.05", "0.1", [0.3, 2.0, 6.0], Some(20)),
        (Kind::Option, _, true) => ("0.0400", "0.0005", "0.1", [0.5, 2.0, 6.0], Some(24)),
        (Kind::FutureCombo, ..) => ("500.0", "0.5", "10", [0.5, 2.0, 10.0], Some(60)),
        _ => ("100.000", "0.010", "0.01", [4.0, 15.0, 80.0], Some(300)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Instrument {
        Instrument::new(&SymbolConfig::named(name)).expect("an instrument")
    }

    fn row(name: &str) -> serde_json::Value {
        serde_json::from_str(&named(name).row()).expect("JSON")
    }

    #[test]
    fn names_tell_kinds_units_and_dates() {
        let perp = row("BTC-PERPETUAL");
        assert_eq!((&perp["instrument_type"], &perp["contract_size"]), (&"reversed".into(), &10.0.into()));
        assert_eq!((&perp["settlement_period"], &perp["settlement_currency"]), (&"perpetual".into(), &"BTC".into()));
        let linear = row("BTC_USDC-PERPETUAL");
        assert_eq!((&linear["instrument_type"], &linear["quote_currency"]), (&"linear".into(), &"USDC".into()));
        let dated = row("BTC-25DEC26");
        assert_eq!(dated["expiration_timestamp"], 1_798_185_600_000_i64);
        let option = row("BTC-25DEC26-100000-C");
        assert_eq!((&option["strike"], &option["option_type"]), (&100_000.0.into(), &"call".into()));
        assert_eq!((&option["quote_currency"], &option["counter_currency"]), (&"BTC".into(), &"USD".into()));
        assert_eq!(option["tick_size_steps"][0]["above_price"], 0.005);
        let xrp = row("XRP_USDC-25DEC26-1d02-C");
        assert_eq!((&xrp["strike"], &xrp["contract_size"]), (&1.02.into(), &1000.0.into()));
        assert_eq!(row("BTC_USDC")["kind"], "spot");
        let combo = named("BTC-FS-25DEC26_PERP");
        assert_eq!(combo.legs, Some(["BTC-25DEC26".into(), "BTC-PERPETUAL".into()]));
        assert_eq!(combo.expiry_ms, named("BTC-25DEC26").expiry_ms);
        assert_eq!(expiry_ms("5DEC26"), Some(1_796_457_600_000));
    }

    #[test]
    fn other_names_are_refused_with_what_would_be_right() {
        for name in ["BTCUSDT", "BTC-25DEX26", "BTC-25DEC26-1-X", "BTC"] {
            let refused = Instrument::new(&SymbolConfig::named(name)).expect_err("no instrument");
            assert!(refused.to_string().contains("BTC-PERPETUAL"), "{refused}");
        }
    }
}
