//! Rules for several connections to one stream.

use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Arbitration {
    /// Milliseconds between the opening of one connection and of the next that carries the same streams, 0 … 600 000;
    /// a tenth of it where all of them are down. Connections of one moment would be cut in one moment, too.
    pub ramp_ms: u64,
    /// Seconds that a connection lives before another takes its place, 1 … 2 592 000, less up to a fifth by chance, and
    /// never more than nine tenths of what the exchange allows; `None` is that, and for ever where it sets no limit. Cost:
    /// one more connection for a moment.
    pub max_age_s: Option<u64>,
    /// Seconds that a connection must have been compared with the others before it may be replaced for being worse,
    /// 1 … 86 400; `None` is never. Some 700 events that they have in common must fall into that time: on fewer nobody is
    /// judged.
    pub dwell_s: Option<u64>,
    /// How many of the copies that lost are compared with the winner, to find an exchange that tells two things under
    /// one id.
    pub verify: Verify,
    /// Memory of ids that have no order.
    pub dedup: DedupLimits,
    /// Ids of one hole that are fetched by REST at most, where no connection brought them and the exchange keeps them,
    /// 0 … 100 000; 0 fetches none. Cost: requests, from the budget of `rest`.
    pub recover_trades: u32,
    /// Seconds between two rows of `connections` of one connection, 1 … 86 400.
    pub ledger_interval_s: u64,
}

/// Memory of ids that have no order. What is forgotten before its time is counted and is a row of `gaps`, since from
/// then on a repetition might pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DedupLimits {
    /// Ids kept for one stream of one symbol, 16 … 1 048 576.
    pub per_symbol: usize,
    /// Ids kept by one engine, 16 … 16 777 216. Memory: about 150 bytes each.
    pub total: usize,
    /// Seconds that an id is remembered, 1 … 86 400.
    pub ttl_s: u64,
}

/// `off`, `all`, or `1/N`: of the copies that lost, one of N, 2 … 1 000 000. Cost: each that is compared is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Verify(u32);

impl Verify {
    /// Every one.
    pub const ALL: Self = Self(1);
    /// None.
    pub const OFF: Self = Self(0);

    /// Whether what has this id is compared: the same ids on every connection.
    #[must_use]
    #[inline]
    pub fn picks(self, id: i64) -> bool {
        match self.0 {
            0 => false,
            1 => true,
            // Ids may come in steps: their bits are mixed first. Of all numbers so mixed, the lowest of n equal parts.
            n => ((id.unsigned_abs().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) * u64::from(n)) >> 32 == 0,
        }
    }
}

impl TryFrom<String> for Verify {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match (text.as_str(), text.strip_prefix("1/").map(str::parse)) {
            ("off", _) => Ok(Self::OFF),
            ("all", _) => Ok(Self::ALL),
            (_, Some(Ok(n))) if (2..=1_000_000).contains(&n) => Ok(Self(n)),
            _ => Err(format!("verify = {text:?} is none of off, all and 1/N with N from 2 to 1000000")),
        }
    }
}

impl From<Verify> for String {
    fn from(verify: Verify) -> Self {
        match verify.0 {
            0 => "off".to_owned(),
            1 => "all".to_owned(),
            n => format!("1/{n}"),
        }
    }
}

impl Default for Arbitration {
    fn default() -> Self {
        Self {
            ramp_ms: 1000,
            max_age_s: None,
            dwell_s: Some(300),
            verify: Verify(1024),
            dedup: DedupLimits::default(),
            recover_trades: 5000,
            ledger_interval_s: 60,
        }
    }
}

impl Default for DedupLimits {
    fn default() -> Self {
        Self { per_symbol: 1024, total: 65_536, ttl_s: 600 }
    }
}

impl Arbitration {
    /// Key, value, bounds and their words, of each number.
    pub(super) fn bounds(&self) -> [(&'static str, u64, u64, u64, &'static str); 8] {
        let dedup = self.dedup;
        let (age, dwell) = (self.max_age_s.unwrap_or(1), self.dwell_s.unwrap_or(1));
        [
            ("arbitration.ramp_ms", self.ramp_ms, 0, 600_000, "0 to 600000 ms"),
            ("arbitration.max_age_s", age, 1, 2_592_000, "1 to 2592000 s"),
            ("arbitration.dwell_s", dwell, 1, 86_400, "1 to 86400 s"),
            ("arbitration.dedup.per_symbol", dedup.per_symbol as u64, 16, 1 << 20, "16 to 1048576 ids"),
            ("arbitration.dedup.total", dedup.total as u64, 16, 1 << 24, "16 to 16777216 ids"),
            ("arbitration.dedup.ttl_s", dedup.ttl_s, 1, 86_400, "1 to 86400 s"),
            ("arbitration.recover_trades", self.recover_trades.into(), 0, 100_000, "0 to 100000 ids"),
            ("arbitration.ledger_interval_s", self.ledger_interval_s, 1, 86_400, "1 to 86400 s"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_read_and_written_and_anything_else_is_refused() {
        for text in ["off", "all", "1/2", "1/1000000"] {
            let verify = Verify::try_from(text.to_owned()).expect(text);
            assert_eq!(String::from(verify), text);
        }
        for text in ["", "1", "1/1", "1/0", "2/3", "1/1000001", "some", "1/x"] {
            assert!(Verify::try_from(text.to_owned()).expect_err(text).contains("1/N"));
        }
    }

    #[test]
    fn a_share_picks_about_one_of_n_whatever_the_steps_of_the_ids() {
        let tenth = Verify(10);
        for step in [1, 2, 10, 64, 1000] {
            let picked = (0..10_000).filter(|n| tenth.picks(n * step)).count();
            assert!((700..1300).contains(&picked), "{picked} at steps of {step}");
        }
        assert!(Verify::ALL.picks(7) && !Verify::OFF.picks(7));
    }
}
