use super::*;
use proptest::prelude::*;

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "-?(0|[1-9][0-9]{0,9})(\\.[0-9]{1,10})?",
        3 => "[1-9]\\.[0-9]{1,7}e[0-9]",
        2 => "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,4})?[eE][-+]?[0-9]{1,3}",
        1 => "[0-9]{1,25}(\\.[0-9]{1,25})?",
        1 => "[-+0-9.eE]{0,14}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    // Fault: Z16
    #[test]
    fn a_number_is_that_of_the_exact_reader(text in number(), scale in 0u8..22, behind in "[]},][]0-9,.\"}]{0,20}") {
        let frame = format!(":{text}{behind}");
        let number = json_number(text.as_bytes()).ok();
        prop_assert_eq!(bare_exact(frame.as_bytes(), 1), number.map(|n| (n, 1 + text.len())), "{}", text);
        let plain = plain_len(&frame.as_bytes()[1..]);
        prop_assert!(plain.is_none_or(|n| n == text.len() && number.is_some()), "{}", text);
        let wanted = number.and_then(|n| n.at_scale(scale));
        let wanted = wanted.filter(|m| m.unsigned_abs() < 10u128.pow(18)).map(|m| (m as i64, 1 + text.len()));
        prop_assert_eq!(bare(frame.as_bytes(), 1, scale), wanted, "{} at {}", text, scale);
    }

    #[test]
    fn bytes_that_are_no_frame(bytes in proptest::collection::vec(any::<u8>(), 0..40), at in 0usize..50, scale: u8) {
        if let Some((_, end)) = bare(&bytes, at, scale) {
            prop_assert!(ends(bytes[end]));
        }
    }

    #[test]
    fn json_is_what_a_json_parser_takes(text in number()) {
        let taken = serde_json::from_str::<f64>(&text);
        match json_number(text.as_bytes()) {
            Ok(_) => prop_assert!(taken.is_ok(), "{}", text),
            Err(NumberError::Syntax) => prop_assert!(taken.is_err(), "{}", text),
            Err(NumberError::Range) => {}
        }
    }
}

#[test]
fn the_forms_of_the_exchange() {
    assert_eq!(bare(b"3.0e6,", 0, 0), Some((3_000_000, 5)));
    assert_eq!(bare(b"1.4e3]", 0, 1), Some((14_000, 5)));
    assert_eq!(bare(b"228.51,", 0, 2), Some((22_851, 6)));
    assert_eq!(bare(b"228.51,", 0, 1), None, "finer than asked for");
    assert_eq!(bare(b"0.0}", 0, 0), Some((0, 3)));
    assert_eq!(bare(b"-1.5e-1,", 0, 2), Some((-15, 7)));
    assert_eq!(bare(b"01,", 0, 0), None);
    assert_eq!(bare(b"1", 0, 0), None, "nothing ends it");
}
