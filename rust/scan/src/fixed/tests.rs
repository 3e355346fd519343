use super::*;
use crate::exact;
use proptest::prelude::*;

/// What [`fixed`] must say of `text"`, by way of [`exact`].
fn oracle(text: &str, scale: u8) -> Option<i64> {
    if !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let number = exact(text.as_bytes()).ok()?;
    i64::try_from(number.at_scale(scale)?).ok()
}

fn check(text: &str, scale: u8, behind: &str) -> Result<(), TestCaseError> {
    let frame = format!("\"{text}\"{behind}");
    let got = fixed(frame.as_bytes(), 1, scale);
    let wanted = oracle(text, scale);
    match got {
        Some((value, quote)) => {
            prop_assert_eq!(Some(value), wanted, "{} at {}", text, scale);
            prop_assert_eq!(quote, 1 + text.len());
        }
        // It may leave a text to the exact path only where it says so: more than 18 digits at the scale.
        None => {
            let digits = text.find('.').unwrap_or(text.len()) + usize::from(scale);
            prop_assert!(wanted.is_none() || digits > 18, "{} at {}", text, scale);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn plain_numbers(text in "[0-9]{1,10}(\\.[0-9]{1,10})?", scale in 0u8..12, behind in "[]0-9,.\"}]{0,20}") {
        check(&text, scale, &behind)?;
    }

    #[test]
    fn trailing_zeros(text in "[0-9]{1,7}\\.[0-9]{0,4}0{0,8}", scale in 0u8..10, behind in "[]0-9,.\"}]{0,20}") {
        check(&text, scale, &behind)?;
    }

    #[test]
    fn long_numbers_and_large_scales(text in "[0-9]{1,25}(\\.[0-9]{1,25})?", scale in 0u8..=255, behind in "[0-9]{0,9}") {
        check(&text, scale, &behind)?;
    }

    #[test]
    fn anything(text in "[-+0-9.eE]{0,14}", scale in 0u8..20, behind in "[]0-9,.\"}]{0,20}") {
        check(&text, scale, &behind)?;
    }

    #[test]
    fn bytes_that_are_no_frame(bytes in proptest::collection::vec(any::<u8>(), 0..40), at in 0usize..50, scale: u8) {
        if let Some((_, quote)) = fixed(&bytes, at, scale) {
            prop_assert_eq!(bytes.get(quote), Some(&b'"'));
        }
    }
}
