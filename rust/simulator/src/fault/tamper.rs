//! Another price or size under the same id: what two connections that disagree would say.

use std::cell::Cell;

use serde_json::value::RawValue;

use crate::fault::Tampered;
use crate::fault::malform::within;

/// Names of the sides of a book, and of the price and the size of a trade or quote, on any of the exchanges.
const SIDES: [&str; 4] = ["b", "a", "bids", "asks"];
const PRICES: [&str; 5] = ["p", "px", "price", "b", "best_bid_price"];
const SIZES: [&str; 5] = ["q", "sz", "amount", "B", "best_bid_amount"];

/// `None` where the text has no such number.
pub(crate) fn tamper(text: &str, what: Tampered) -> Option<String> {
    let done = Cell::new(false);
    let out = within(text, &|members| {
        for (name, value) in members {
            let other = if value.starts_with('[') {
                SIDES.contains(&name.as_str()).then(|| other_level(value, what)).flatten()
            } else {
                let names = if what == Tampered::Price { PRICES } else { SIZES };
                names.contains(&name.as_str()).then(|| other_number(value)).flatten()
            };
            if let Some(other) = other {
                *value = other;
                return done.set(true);
            }
        }
    });
    done.get().then_some(out)
}

/// The side with its first level that is not deleted told otherwise.
fn other_level(side: &str, what: Tampered) -> Option<String> {
    let rows: Vec<Vec<&RawValue>> = serde_json::from_str(side).ok()?;
    let mut rows: Vec<Vec<String>> =
        rows.into_iter().map(|row| row.into_iter().map(|cell| cell.get().to_owned()).collect()).collect();
    // What was done to a level may stand before its numbers.
    let number = |cell: &str| cell.trim_matches('"').parse::<f64>().is_ok();
    let level = rows.iter_mut().find_map(|row| {
        let price = row.iter().position(|cell| number(cell))?;
        let size = price + 1;
        other_number(row.get(size)?)?;
        row.get_mut(if what == Tampered::Price { price } else { size })
    })?;
    *level = other_number(level)?;
    let rows: Vec<String> = rows.into_iter().map(|row| format!("[{}]", row.join(","))).collect();
    Some(format!("[{}]", rows.join(",")))
}

/// The number with another first digit: still a multiple of its step. Zero has none.
fn other_number(text: &str) -> Option<String> {
    let digits = text.find(['e', 'E']).unwrap_or(text.len());
    let at = text.bytes().take(digits).position(|b| (b'1'..=b'9').contains(&b))?;
    let digit = match text.as_bytes()[at] {
        b'9' => '8',
        other => char::from(other + 1),
    };
    Some(format!("{}{digit}{}", &text[..at], &text[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trades_and_levels_of_every_exchange_are_told_otherwise() {
        for (text, size, price) in [
            (
                r#"{"e":"aggTrade","a":7,"p":"1000.10","q":"0.019","nq":"0.019"}"#,
                Some(r#"{"e":"aggTrade","a":7,"p":"1000.10","q":"0.029","nq":"0.019"}"#),
                Some(r#"{"e":"aggTrade","a":7,"p":"2000.10","q":"0.019","nq":"0.019"}"#),
            ),
            (
                r#"{"stream":"x@depth","data":{"u":9,"b":[["10","0.0"]],"a":[["11","0"],["12","9.5"]]}}"#,
                Some(r#"{"stream":"x@depth","data":{"u":9,"b":[["10","0.0"]],"a":[["11","0"],["12","8.5"]]}}"#),
                Some(r#"{"stream":"x@depth","data":{"u":9,"b":[["10","0.0"]],"a":[["11","0"],["22","9.5"]]}}"#),
            ),
            (
                r#"{"arg":{"channel":"trades"},"data":[{"tradeId":"7","px":"42.9","sz":"0.12"}]}"#,
                Some(r#"{"arg":{"channel":"trades"},"data":[{"tradeId":"7","px":"42.9","sz":"0.22"}]}"#),
                Some(r#"{"arg":{"channel":"trades"},"data":[{"tradeId":"7","px":"52.9","sz":"0.12"}]}"#),
            ),
            (
                r#"{"method":"subscription","params":{"channel":"b","data":{"bids":[["new",2.2e3,10.0]],"asks":[]}}}"#,
                Some(
                    r#"{"method":"subscription","params":{"channel":"b","data":{"bids":[["new",2.2e3,20.0]],"asks":[]}}}"#,
                ),
                Some(
                    r#"{"method":"subscription","params":{"channel":"b","data":{"bids":[["new",3.2e3,10.0]],"asks":[]}}}"#,
                ),
            ),
            (r#"{"u":9,"b":[["10","0"]],"a":[]}"#, None, None),
        ] {
            assert_eq!(tamper(text, Tampered::Size).as_deref(), size, "{text}");
            assert_eq!(tamper(text, Tampered::Price).as_deref(), price, "{text}");
        }
    }
}
