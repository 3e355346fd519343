#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

/// Schoolbook arithmetic on digit strings: strips signs, moves the point, counts digits. No integers involved.
fn oracle(negative: bool, whole: &str, fraction: &str, exponent: i64) -> Result<Exact, NumberError> {
    let digits = format!("{whole}{fraction}");
    let mut point = whole.len() as i64 + exponent; // digits before the point
    let trimmed = digits.trim_start_matches('0');
    point -= (digits.len() - trimmed.len()) as i64;
    let trimmed = trimmed.trim_end_matches('0');
    if trimmed.is_empty() {
        return Ok(Exact { mantissa: 0, scale: 0 });
    }
    let n = trimmed.len() as i64;
    let (length, scale) = if point >= n { (point, 0) } else { (n, n - point) };
    if length > 38 || scale > 38 {
        return Err(NumberError::Range);
    }
    let padded = format!("{trimmed}{}", "0".repeat((length - n) as usize));
    let magnitude: i128 = padded.parse().unwrap();
    Ok(Exact { mantissa: if negative { -magnitude } else { magnitude }, scale: scale as u8 })
}

proptest! {
    #[test]
    fn short_texts_are_read_as_long_ones(text in "-?[0-9]{0,12}(\\.[0-9]{0,12})?", odd in "[-+0-9.eE]{0,20}") {
        for text in [text, odd] {
            if let Some(number) = short(text.as_bytes()) {
                prop_assert_eq!(Ok(number), long(text.as_bytes()), "{}", text);
            }
        }
    }

    #[test]
    fn agrees_with_schoolbook_arithmetic(
        negative: bool, whole in "[0-9]{1,45}", fraction in "[0-9]{0,45}", zeros in 0usize..50,
        exponent in proptest::option::of(-90i64..90), upper: bool,
    ) {
        let fraction = if fraction.is_empty() { fraction } else { format!("{}{fraction}", "0".repeat(zeros)) };
        let mut text = format!("{}{whole}", if negative { "-" } else { "" });
        if !fraction.is_empty() {
            text = format!("{text}.{fraction}");
        }
        if let Some(e) = exponent {
            text = format!("{text}{}{e}", if upper { 'E' } else { 'e' });
        }
        prop_assert_eq!(exact(text.as_bytes()), oracle(negative, &whole, &fraction, exponent.unwrap_or(0)), "{}", text);
    }

    #[test]
    fn short_numbers(negative: bool, whole in "[0-9]{1,12}", fraction in "[0-9]{0,12}", exponent in -12i64..12) {
        let point = if fraction.is_empty() { "" } else { "." };
        let text = format!("{}{whole}{point}{fraction}e{exponent:+}", if negative { "-" } else { "" });
        prop_assert_eq!(exact(text.as_bytes()), oracle(negative, &whole, &fraction, exponent), "{}", text);
    }

    #[test]
    fn a_finer_scale_keeps_the_value(m in -1_000_000_000_000i128..1_000_000_000_000, from in 0u8..10, more in 0u8..30) {
        let number = Exact { mantissa: m, scale: from };
        prop_assert_eq!(number.at_scale(from + more), m.checked_mul(10i128.pow(u32::from(more))).filter(|v| v.abs() < 10i128.pow(38)));
    }

    #[test]
    fn integers_are_those_of_the_standard_library(text in "-?[0-9]{1,25}") {
        prop_assert_eq!(signed(text.as_bytes()).ok(), text.parse::<i64>().ok());
        prop_assert_eq!(unsigned(text.as_bytes()).ok(), text.parse::<u64>().ok());
    }

    #[test]
    fn anything_else_is_refused(text in "[-+0-9.eE NaInfity\"]{0,12}") {
        let is_number = {
            let unsigned = text.strip_prefix('-').unwrap_or(&text);
            // The standard library reads the same grammar and a few words and shapes more.
            unsigned.parse::<f64>().is_ok() && unsigned.starts_with(|c: char| c.is_ascii_digit())
                && !unsigned.ends_with('.') && !unsigned.contains(".e") && !unsigned.contains(".E")
        };
        prop_assert_eq!(exact(text.as_bytes()) != Err(NumberError::Syntax), is_number, "{}", text);
    }
}

// Fault: B04
#[test]
fn forms_that_exchanges_send() {
    let is = |text: &str, mantissa, scale| assert_eq!(exact(text.as_bytes()), Ok(Exact { mantissa, scale }), "{text}");
    is("3.0e6", 3_000_000, 0);
    is("1.4E-3", 14, 4);
    is("7.5040", 7504, 3);
    is("-0", 0, 0);
    is("-0.50", -5, 1);
    is("007", 7, 0);
    is("0e999999999999999999999", 0, 0);
    is(&format!("1.{}", "0".repeat(400)), 1, 0);
    is(&"9".repeat(38), 10i128.pow(38) - 1, 0);
    is("1e-38", 1, 38);
}

// Fault: B04
#[test]
fn forms_that_are_refused() {
    let no = |text: &str, why| assert_eq!(exact(text.as_bytes()), Err(why), "{text}");
    for text in [
        "",
        "-",
        "+1",
        ".5",
        "5.",
        "1e",
        "1e+",
        "NaN",
        "Infinity",
        "-Infinity",
        "1_000",
        "0x10",
        " 1",
        "1 ",
        "1.2.3",
        "--1",
        "١",
    ] {
        no(text, NumberError::Syntax);
    }
    for text in ["1e400", "1e38", "1e-39", &"9".repeat(39), &"7".repeat(400), "1e99999999999999999999"] {
        no(text, NumberError::Range);
    }
}
