#![allow(clippy::unwrap_used)]
use proptest::prelude::*;
use xtrader_scan::exact;

use super::*;

/// Pushes texts, bids and asks in turn.
fn fill(start: Scales, levels: &[(String, String)]) -> Result<DecodedLevels, RejectReason> {
    let mut out = DecodedLevels::default();
    out.reset(start);
    for (i, (price, size)) in levels.iter().enumerate() {
        let side = if i % 2 == 0 { BookSide::Bids } else { BookSide::Asks };
        push(&mut out, side, exact(price.as_bytes())?, exact(size.as_bytes())?)?;
    }
    Ok(out)
}

/// The levels as exact numbers, whichever form they have.
fn values(out: &DecodedLevels) -> Vec<(Decimal, Decimal)> {
    fn list<M: Copy + Into<i128>>(levels: &Levels<M>) -> Vec<(Decimal, Decimal)> {
        let Scales { price, size } = levels.scales;
        let value = |l: &Level<M>| (Decimal::new(l.price.into(), price), Decimal::new(l.size.into(), size));
        levels.bids.iter().chain(&levels.asks).map(value).collect()
    }
    match &out.wide {
        Some(wide) => {
            assert!(out.narrow.bids.is_empty() && out.narrow.asks.is_empty(), "one form at a time");
            list(wide)
        }
        None => list(&out.narrow),
    }
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![4 => "-?[0-9]{1,6}(\\.[0-9]{1,6})?", 1 => "[1-9][0-9]{0,19}(\\.[0-9]{1,14})?"]
}

proptest! {
    #[test]
    fn no_value_changes_when_the_buffer_widens(
        levels in proptest::collection::vec((number(), number()), 0..12), price in 0u8..6, size in 0u8..6,
    ) {
        let start = Scales { price, size };
        let Ok(out) = fill(start, &levels) else { return Ok(()) };
        let of = |text: &String| exact(text.as_bytes()).map(|e| Decimal::new(e.mantissa, e.scale)).unwrap();
        let (bids, asks): (Vec<_>, Vec<_>) = levels.iter().enumerate().partition(|(i, _)| i % 2 == 0);
        let expected: Vec<_> = bids.iter().chain(&asks).map(|(_, (p, s))| (of(p), of(s))).collect();
        prop_assert_eq!(values(&out), expected);
        // As fine as the finest number and no finer; wide only where one mantissa needs it.
        let finest = |own: fn(&(String, String)) -> &String, start: u8| {
            levels.iter().map(|l| exact(own(l).as_bytes()).unwrap().scale).chain([start]).max().unwrap()
        };
        let scales = Scales { price: finest(|l| &l.0, price), size: finest(|l| &l.1, size) };
        prop_assert_eq!(out.scales(), scales);
        let fits = |d: &Decimal, scale| i64::try_from(d.at_scale(scale).unwrap()).is_ok();
        let all = values(&out).iter().all(|(p, s)| fits(p, scales.price) && fits(s, scales.size));
        prop_assert_eq!(out.wide.is_none(), all);
    }
}

fn pair(price: &str, size: &str) -> (String, String) {
    (price.to_owned(), size.to_owned())
}

#[test]
fn a_finer_number_rescales_what_came_before() {
    let out = fill(Scales { price: 1, size: 0 }, &[pair("7.5", "813"), pair("7.6150", "0.25")]).unwrap();
    assert_eq!(out.narrow.scales, Scales { price: 3, size: 2 });
    assert_eq!(out.narrow.bids, [Level { price: 7500, size: 81300 }]);
    assert_eq!(out.narrow.asks, [Level { price: 7615, size: 25 }]);
}

#[test]
fn what_an_i64_cannot_hold_goes_wide_and_what_38_digits_cannot_hold_is_refused() {
    let big = "9223372036854775808";
    let out = fill(Scales::default(), &[pair("1", "2"), pair(big, "3")]).unwrap();
    let wide = out.wide.unwrap();
    assert_eq!(wide.bids, [Level { price: 1, size: 2 }]);
    assert_eq!(wide.asks, [Level { price: 1 << 63, size: 3 }]);

    let most = "9".repeat(38);
    assert!(fill(Scales::default(), &[pair(&most, "1")]).is_ok());
    assert_eq!(fill(Scales { price: 1, size: 0 }, &[pair(&most, "1")]), Err(RejectReason::Range));
    assert_eq!(fill(Scales::default(), &[pair(&most, "1"), pair("0.1", "1")]), Err(RejectReason::Range));
}
