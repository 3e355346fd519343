//! Frames of the documented formats, generated.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use crate::exchange::two_paths::texts::{id, ms, number, object, quoted};

fn symbol() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("BTCUSDT".to_owned()),
        Just("1000PEPEUSDT".to_owned()),
        Just("BTCUSDT_261225".to_owned()),
        "[A-Z0-9]{1,20}(_[0-9]{6})?",
        "[A-Z0-9]{15,64}",
    ]
}

fn side() -> impl Strategy<Value = String> {
    let level = (number(), number()).prop_map(|(p, q)| format!("[\"{p}\",\"{q}\"]"));
    vec(level, 0..12).prop_map(|levels| format!("[{}]", levels.join(",")))
}

/// `ps` and `st`, which payloads have since 2026.
fn family() -> impl Strategy<Value = (bool, Option<u8>)> {
    (any::<bool>(), of(prop_oneof![6 => Just(1u8), 1 => Just(2u8)]))
}

type Fields = Vec<(&'static str, String)>;

fn with_family(mut fields: Fields, symbol: &str, (pair, st): (bool, Option<u8>)) -> Fields {
    if pair {
        let at = fields.iter().position(|(name, _)| *name == "s").expect("every event has a symbol") + 1;
        fields.insert(at, ("ps", format!("\"{symbol}\"")));
    }
    fields.extend(st.map(|st| ("st", st.to_string())));
    fields
}

fn depth() -> impl Strategy<Value = String> {
    let feed = prop_oneof![
        Just("depth@100ms"),
        Just("depth@0ms"),
        Just("depth"),
        Just("depth@500ms"),
        Just("depth20@100ms"),
        Just("depth5"),
        Just("rpiDepth@500ms"),
    ];
    (ms(), ms(), symbol(), [id(), id(), id()], (side(), side()), family(), of(feed)).prop_map(
        |(sent, event, symbol, [first, last, prev], (bids, asks), family, feed)| {
            let fields = vec![
                ("e", "\"depthUpdate\"".into()),
                ("E", sent),
                ("T", event),
                ("s", format!("\"{symbol}\"")),
                ("U", first),
                ("u", last),
                ("pu", prev),
                ("b", bids),
                ("a", asks),
            ];
            combined(feed, &symbol, &with_family(fields, &symbol, family))
        },
    )
}

fn agg_trade() -> impl Strategy<Value = String> {
    (
        ms(),
        ms(),
        symbol(),
        [id(), id(), id()],
        (quoted(), quoted(), of(quoted())),
        any::<bool>(),
        family(),
        any::<bool>(),
    )
        .prop_map(|(sent, event, symbol, [a, f, l], (price, size, plain), maker, family, is_combined)| {
            let mut fields = vec![
                ("e", "\"aggTrade\"".into()),
                ("E", sent),
                ("a", a),
                ("s", format!("\"{symbol}\"")),
                ("p", price),
                ("q", size),
            ];
            fields.extend(plain.map(|nq| ("nq", nq)));
            fields.extend([("f", f), ("l", l), ("T", event), ("m", maker.to_string())]);
            combined(is_combined.then_some("aggTrade"), &symbol, &with_family(fields, &symbol, family))
        })
}

fn trade() -> impl Strategy<Value = String> {
    let class = prop_oneof![5 => Just("MARKET"), 1 => Just("INSURANCE_FUND"), 1 => Just("ADL"), 1 => Just("NA")];
    (ms(), ms(), symbol(), id(), (quoted(), quoted()), class, any::<bool>(), family(), any::<bool>()).prop_map(
        |(sent, event, symbol, t, (price, size), class, maker, family, is_combined)| {
            let fields = vec![
                ("e", "\"trade\"".into()),
                ("E", sent),
                ("T", event),
                ("s", format!("\"{symbol}\"")),
                ("t", t),
                ("p", price),
                ("q", size),
                ("X", format!("\"{class}\"")),
                ("m", maker.to_string()),
            ];
            combined(is_combined.then_some("trade"), &symbol, &with_family(fields, &symbol, family))
        },
    )
}

fn book_ticker() -> impl Strategy<Value = String> {
    let form = prop_oneof![Just(None), Just(Some("bookTicker")), Just(Some("!bookTicker"))];
    (ms(), ms(), symbol(), id(), [quoted(), quoted(), quoted(), quoted()], family(), form).prop_map(
        |(sent, event, symbol, u, [b, bq, a, aq], family, feed)| {
            let fields = vec![
                ("e", "\"bookTicker\"".into()),
                ("u", u),
                ("s", format!("\"{symbol}\"")),
                ("b", b),
                ("B", bq),
                ("a", a),
                ("A", aq),
                ("T", event),
                ("E", sent),
            ];
            combined(feed, &symbol, &with_family(fields, &symbol, family))
        },
    )
}

/// The event, wrapped by the name of its stream where there is one.
fn combined(feed: Option<&str>, symbol: &str, fields: &Fields) -> String {
    let data = object(fields);
    match feed {
        None => data,
        Some(all) if all.starts_with('!') => format!("{{\"stream\":\"{all}\",\"data\":{data}}}"),
        Some(feed) => format!("{{\"stream\":\"{}@{feed}\",\"data\":{data}}}", symbol.to_lowercase()),
    }
}

/// Any frame of the four kinds, raw or combined, of any year.
pub(super) fn frame() -> impl Strategy<Value = String> {
    prop_oneof![depth(), agg_trade(), trade(), book_ticker()]
}
