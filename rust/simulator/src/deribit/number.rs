//! Numbers as Deribit writes them: bare, always with a point, and in exponent form where that is shorter (`3.0e6`,
//! `1.4e3`; §1).

/// Decimal digits and where the point stands: `mantissa × 10^-scale`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Number {
    pub mantissa: i64,
    pub scale: u8,
}

impl Number {
    pub(crate) const fn new(mantissa: i64, scale: u8) -> Self {
        Self { mantissa, scale }
    }

    /// A value of our own making, rounded. What cannot be a number is 0.
    pub(crate) fn rounded(value: f64, scale: u8) -> Self {
        Self { mantissa: (value * 10f64.powi(i32::from(scale))).round() as i64, scale }
    }

    /// The number without an exponent.
    pub(crate) fn plain(self) -> String {
        plain(&self.to_string())
    }

    pub(crate) fn value(self) -> f64 {
        self.mantissa as f64 / 10f64.powi(i32::from(self.scale))
    }

    pub(crate) fn push(self, out: &mut String) {
        if self.mantissa < 0 {
            out.push('-');
        }
        let all = self.mantissa.unsigned_abs().to_string();
        let digits = all.trim_end_matches('0');
        if digits.is_empty() {
            out.push_str("0.0");
            return;
        }
        // Digits before the point.
        let whole = all.len() as i64 - i64::from(self.scale);
        let zeros = |n: i64| "0".repeat(usize::try_from(n).unwrap_or(0));
        let plain = if whole <= 0 {
            format!("0.{}{digits}", zeros(-whole))
        } else if digits.len() as i64 <= whole {
            format!("{digits}{}.0", zeros(whole - digits.len() as i64))
        } else {
            let (before, after) = digits.split_at(whole as usize);
            format!("{before}.{after}")
        };
        let (first, more) = digits.split_at(1);
        let more = if more.is_empty() { "0" } else { more };
        let exponent = format!("{first}.{more}e{}", whole - 1);
        out.push_str(if exponent.len() < plain.len() { &exponent } else { &plain });
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = String::new();
        self.push(&mut out);
        f.write_str(&out)
    }
}

/// The same number in plain digits: `3.0e6` is `3000000`. What is no number stays as it is.
pub(crate) fn plain(text: &str) -> String {
    let read = || {
        let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent.parse().ok()?)?;
        let mantissa: i64 = format!("{whole}{fraction}").parse().ok()?;
        let zeros = |n: i32| usize::try_from(n).unwrap_or(0);
        Some(if scale <= 0 {
            format!("{mantissa}{}", "0".repeat(zeros(-scale)))
        } else {
            let sign = if mantissa < 0 { "-" } else { "" };
            let digits = format!("{:0>width$}", mantissa.unsigned_abs(), width = zeros(scale) + 1);
            let (whole, fraction) = digits.split_at(digits.len() - zeros(scale));
            let fraction = fraction.trim_end_matches('0');
            if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
        })
    };
    read().unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_form_is_taken() {
        let text = |m, s| Number::new(m, s).to_string();
        assert_eq!(text(922_945, 1), "92294.5");
        assert_eq!(text(3_000_000, 0), "3.0e6");
        assert_eq!(text(1400, 0), "1.4e3");
        assert_eq!(text(923_000, 1), "9.23e4");
        // Equally long: the plain form stands.
        assert_eq!(text(186_520, 0), "186520.0");
        assert_eq!(text(8430, 0), "8430.0");
        assert_eq!(text(5, 4), "0.0005");
        assert_eq!(text(5, 5), "5.0e-5");
        assert_eq!(text(-1234, 8), "-1.234e-5");
        assert_eq!(text(0, 3), "0.0");
        assert_eq!(text(10, 0), "10.0");
        assert_eq!(text(1_132_329_370, 0), "1132329370.0");
    }

    #[test]
    fn plain_digits_say_the_same() {
        for (text, expected) in [
            ("3.0e6", "3000000"),
            ("1.4e3", "1400"),
            ("92294.5", "92294.5"),
            ("10.0", "10"),
            ("5.0e-5", "0.00005"),
            ("-1.234e-5", "-0.00001234"),
            ("0.0", "0"),
            ("0.0005", "0.0005"),
            ("null", "null"),
        ] {
            assert_eq!(plain(text), expected);
        }
    }

    #[test]
    fn every_text_reads_back_as_the_number() {
        for mantissa in [1, 9, 10, 99, 1000, 123_456, 1_000_000_007, i64::from(i32::MAX)] {
            for scale in 0..10 {
                for n in [Number::new(mantissa, scale), Number::new(-mantissa, scale)] {
                    let read: f64 = n.to_string().parse().expect("a number");
                    assert!((read - n.value()).abs() <= n.value().abs() * 1e-12, "{n}");
                }
            }
        }
    }
}
