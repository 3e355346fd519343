//! The instruments (§2): what a name says of them, and their rows of reference data.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::SimulatorError;
use crate::book::{Scales, plain_text};
use crate::calendar::delivery_ms;
use crate::config::SymbolConfig;

/// `instType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InstType {
    Spot,
    Swap,
    Futures,
    Option,
}

impl InstType {
    pub(crate) const ALL: [Self; 4] = [Self::Spot, Self::Swap, Self::Futures, Self::Option];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Spot => "SPOT",
            Self::Swap => "SWAP",
            Self::Futures => "FUTURES",
            Self::Option => "OPTION",
        }
    }
}

/// One instrument.
pub(crate) struct Instrument {
    pub id: Arc<str>,
    pub kind: InstType,
    /// `BTC-USD`: the family of a derivative, and the index behind each instrument.
    pub family: Arc<str>,
    pub scales: Scales,
    pub lot: i64,
    /// `state`.
    pub state: String,
    tick: i64,
    code: u64,
    expiry_ms: Option<i64>,
    /// Strike, and `C` or `P`.
    option: Option<(String, String)>,
}

impl Instrument {
    /// What the name says; `code` is `instIdCode`.
    pub(crate) fn new(config: &SymbolConfig, code: u64) -> Result<Self, SimulatorError> {
        let (scales, _, tick, lot) = config.numbers()?;
        let parts: Vec<&str> = config.symbol.split('-').collect();
        let expiry = parts.get(2).and_then(|d| delivery_ms(d));
        let kind = match (&parts[..], expiry) {
            ([_, _], _) => Some((InstType::Spot, None)),
            ([_, _, "SWAP"], _) => Some((InstType::Swap, None)),
            ([_, _, _], Some(_)) => Some((InstType::Futures, None)),
            ([_, _, _, strike, side @ ("C" | "P")], Some(_)) if strike.parse::<u64>().is_ok() => {
                Some((InstType::Option, Some(((*strike).to_owned(), (*side).to_owned()))))
            }
            _ => None,
        };
        let Some((kind, option)) = kind.filter(|_| parts.iter().all(|p| !p.is_empty())) else {
            let forms = "BTC-USDT, BTC-USDT-SWAP, BTC-USD-261225 or BTC-USD-261225-100000-C";
            return Err(SimulatorError::config("symbols", format!("{} is no name of OKX: {forms}", config.symbol)));
        };
        Ok(Self {
            id: config.symbol.as_str().into(),
            kind,
            family: parts[..2].join("-").into(),
            scales,
            lot,
            state: "live".into(),
            tick,
            code,
            expiry_ms: expiry,
            option,
        })
    }

    fn base(&self) -> &str {
        self.family.split('-').next().unwrap_or_default()
    }

    fn quote(&self) -> &str {
        self.family.split('-').nth(1).unwrap_or_default()
    }

    pub(crate) fn strike(&self) -> Option<f64> {
        self.option.as_ref()?.0.parse().ok()
    }

    /// Settled in its base, and counted in USD.
    pub(crate) fn is_inverse(&self) -> bool {
        matches!(self.kind, InstType::Swap | InstType::Futures) && self.quote() == "USD"
    }

    /// `ctVal` and `ctMult`. Of options both count.
    fn contract_value(&self) -> [&'static str; 2] {
        match (self.kind, self.is_inverse(), self.base()) {
            (InstType::Spot, ..) => ["", ""],
            (InstType::Option, _, "BTC") => ["0.1", "0.1"],
            (_, true, "BTC") => ["100", "1"],
            (_, true, _) => ["10", "1"],
            (_, false, "BTC") => ["0.01", "1"],
            (_, false, "ETH") => ["0.1", "1"],
            (_, false, _) => ["1", "1"],
        }
    }

    /// Base units in so many contracts at a price.
    pub(crate) fn base_units(&self, contracts: f64, price: f64) -> f64 {
        let value: f64 = self.contract_value().map(|text| text.parse().unwrap_or(1.0)).iter().product();
        if self.is_inverse() { contracts * value / price } else { contracts * value }
    }

    /// Its row of reference data. All fields of §2, those that do not apply empty.
    pub(crate) fn row(&self) -> Value {
        let (base, quote, derivative) = (self.base(), self.quote(), self.kind != InstType::Spot);
        let in_base = self.is_inverse() || self.kind == InstType::Option;
        let only = |when: bool, text: &str| if when { text.to_owned() } else { String::new() };
        let size = |mantissa| plain_text(mantissa, self.scales.size);
        let (strike, side) = self.option.clone().unwrap_or_default();
        let [value, multiplier] = self.contract_value();
        let contract = matches!(self.kind, InstType::Swap | InstType::Futures);
        json!({
            "instType": self.kind.name(), "instId": &*self.id, "instIdCode": self.code,
            "instFamily": only(derivative, &self.family), "uly": only(derivative, &self.family),
            "baseCcy": only(!derivative, base), "quoteCcy": only(!derivative, quote),
            "settleCcy": only(derivative, if in_base { base } else { quote }),
            "ctVal": value, "ctMult": multiplier,
            "ctValCcy": only(derivative, if self.is_inverse() { quote } else { base }),
            "ctType": only(contract, if self.is_inverse() { "inverse" } else { "linear" }),
            "tickSz": plain_text(self.tick, self.scales.price), "lotSz": size(self.lot), "minSz": size(self.lot),
            "maxLmtSz": "100000000", "maxMktSz": "1000000", "lever": only(contract, "100"),
            "listTime": "1611916828000", "expTime": self.expiry_ms.map(|t| t.to_string()).unwrap_or_default(),
            "stk": strike, "optType": side, "state": self.state, "ruleType": "normal", "groupId": "1",
            "upcChg": [], "tradeQuoteCcyList": if derivative { json!([]) } else { json!([quote]) },
            "rpi": !derivative, "rpiMinLevel": "", "rpiMinPxBand": "",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str) -> Value {
        Instrument::new(&SymbolConfig::named(name), 7).expect("an instrument").row()
    }

    #[test]
    fn names_tell_the_kind_and_the_units() {
        let spot = row("BTC-USDT");
        assert_eq!((&spot["instType"], &spot["baseCcy"], &spot["ctVal"]), (&json!("SPOT"), &json!("BTC"), &json!("")));
        let linear = row("BTC-USDT-SWAP");
        assert_eq!((&linear["ctVal"], &linear["ctValCcy"]), (&json!("0.01"), &json!("BTC")));
        assert_eq!((&linear["ctType"], &linear["settleCcy"]), (&json!("linear"), &json!("USDT")));
        let inverse = row("BTC-USD-SWAP");
        assert_eq!((&inverse["ctVal"], &inverse["ctValCcy"]), (&json!("100"), &json!("USD")));
        assert_eq!((&inverse["settleCcy"], &inverse["instFamily"]), (&json!("BTC"), &json!("BTC-USD")));
        let dated = row("BTC-USD-261225");
        assert_eq!((&dated["instType"], &dated["expTime"]), (&json!("FUTURES"), &json!("1798185600000")));
        let option = row("BTC-USD-261225-100000-C");
        assert_eq!((&option["stk"], &option["optType"]), (&json!("100000"), &json!("C")));
        assert_eq!(
            (&option["ctVal"], &option["ctMult"], &option["ctValCcy"], &option["ctType"]),
            (&json!("0.1"), &json!("0.1"), &json!("BTC"), &json!(""))
        );
    }

    #[test]
    fn other_names_are_refused() {
        for name in ["BTCUSDT", "BTC-USD-PERP", "BTC-USD-261325", "BTC-USD-261225-100000-X", "-USDT"] {
            assert!(Instrument::new(&SymbolConfig::named(name), 1).is_err(), "{name}");
        }
    }
}
