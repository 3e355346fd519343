#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn integers(text in "0|[1-9][0-9]{0,20}", behind in "[]a-z,\"}]{0,12}") {
        let frame = format!("{text}{behind}");
        let mut cursor = Cursor::new(frame.as_bytes(), 0);
        let expected = text.parse::<i64>().ok().filter(|_| text.len() <= 18);
        prop_assert_eq!(cursor.integer(), expected);
        prop_assert_eq!(cursor.at(), expected.map_or(0, |_| text.len()));
    }

    #[test]
    fn times_are_integers(text in "0|[1-9][0-9]{10,15}|0[0-9]{12}", behind in "[]0-9a-z,\"}]{0,12}") {
        let frame = format!("{text}{behind}");
        let (mut millis, mut integer) = (Cursor::new(frame.as_bytes(), 0), Cursor::new(frame.as_bytes(), 0));
        prop_assert_eq!(millis.millis(), integer.integer());
        prop_assert_eq!(millis.at(), integer.at());
    }

    #[test]
    fn symbols(text in "[A-Z0-9_]{1,40}", behind in "[a-z\"]{0,3}") {
        let frame = format!("{text}\"{behind}");
        let mut cursor = Cursor::new(frame.as_bytes(), 0);
        prop_assert_eq!(cursor.symbol(), Some(text.as_str()));
        prop_assert_eq!(cursor.at(), text.len() + 1);
    }

    #[test]
    fn skipping_is_reading_without_the_value(text in "[-0-9.]{0,22}", behind in "[0-9]{0,12}") {
        let frame = format!("{text}\"{behind}");
        let mut cursor = Cursor::new(frame.as_bytes(), 0);
        let plain = !text.contains('-') && crate::exact(text.as_bytes()) != Err(crate::NumberError::Syntax);
        prop_assert_eq!(cursor.skip_number().is_some(), plain);
        prop_assert_eq!(cursor.at(), if plain { text.len() + 1 } else { 0 });
    }
}

#[test]
fn what_json_does_not_allow_is_not_taken() {
    for frame in ["", "01", "-1", "+1", "x", "00"] {
        let mut cursor = Cursor::new(frame.as_bytes(), 0);
        assert_eq!(cursor.integer(), None, "{frame}");
        assert_eq!(cursor.at(), 0);
    }
    for frame in ["", "\"", "btc\"", "BTC", "BTC-USD\"", "BTÇ\""] {
        assert_eq!(Cursor::new(frame.as_bytes(), 0).symbol(), None, "{frame}");
    }
    assert_eq!(Cursor::new(b"a\\\"b\"", 0).text(), None);
    assert_eq!(Cursor::new(b"ab\"c", 0).text(), Some(&b"ab"[..]));
}
