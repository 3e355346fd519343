//! Frames of the documented formats, generated: of one market where its manual differs, else of both.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use crate::exchange::two_paths::texts::{id, ms, number, object, quoted};

/// Whose frames are made.
#[derive(Clone, Copy, PartialEq)]
enum Market {
    Spot,
    Futures,
}
use Market::{Futures, Spot};

fn symbol() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("BTCUSDT".to_owned()),
        Just("1000PEPEUSDT".to_owned()),
        Just("BTCUSDT_261225".to_owned()),
        "[A-Z0-9]{1,20}(_[0-9]{6})?",
        "[A-Z0-9]{15,64}",
    ]
}

/// Spot's times may be microseconds.
fn time(market: Market) -> BoxedStrategy<String> {
    let micros = (1_500_000_000_000_000u64..2_000_000_000_000_000).prop_map(|v| v.to_string());
    match market {
        Futures => ms().boxed(),
        Spot => prop_oneof![3 => ms(), 1 => micros].boxed(),
    }
}

fn side() -> impl Strategy<Value = String> {
    let level = (number(), number()).prop_map(|(p, q)| format!("[\"{p}\",\"{q}\"]"));
    vec(level, 0..12).prop_map(|levels| format!("[{}]", levels.join(",")))
}

/// `ps` and `st`, which futures' payloads have since 2026.
type Family = (bool, Option<u8>);

fn family(market: Market) -> BoxedStrategy<Family> {
    match market {
        Spot => Just((false, None)).boxed(),
        Futures => (any::<bool>(), of(prop_oneof![6 => Just(1u8), 1 => Just(2u8)])).boxed(),
    }
}

type Fields = Vec<(&'static str, String)>;

fn with_family(mut fields: Fields, symbol: &str, (pair, st): Family) -> Fields {
    if pair {
        let at = fields.iter().position(|(name, _)| *name == "s").expect("every event has a symbol") + 1;
        fields.insert(at, ("ps", text(symbol)));
    }
    fields.extend(st.map(|st| ("st", st.to_string())));
    fields
}

fn text(text: &str) -> String {
    format!("\"{text}\"")
}

fn depth(market: Market) -> impl Strategy<Value = String> {
    let feed = prop_oneof![
        Just("depth@100ms"),
        Just("depth@0ms"),
        Just("depth"),
        Just("depth@500ms"),
        Just("depth20@100ms"),
        Just("depth5"),
        Just("rpiDepth@500ms"),
    ];
    let times = (time(market), time(market));
    (times, symbol(), [id(), id(), id()], (side(), side()), family(market), of(feed)).prop_map(
        move |((sent, event), symbol, [first, last, prev], (bids, asks), family, feed)| {
            let mut fields = vec![("e", text("depthUpdate")), ("E", sent)];
            fields.extend((market == Futures).then_some(("T", event)));
            fields.extend([("s", text(&symbol)), ("U", first), ("u", last)]);
            fields.extend((market == Futures).then_some(("pu", prev)));
            fields.extend([("b", bids), ("a", asks)]);
            combined(feed, &symbol, &with_family(fields, &symbol, family))
        },
    )
}

/// What spot's trades end with.
fn ignored(market: Market) -> BoxedStrategy<Option<bool>> {
    match market {
        Spot => of(prop_oneof![9 => Just(true), 1 => Just(false)]).boxed(),
        Futures => Just(None).boxed(),
    }
}

fn agg_trade(market: Market) -> impl Strategy<Value = String> {
    (
        (time(market), time(market)),
        symbol(),
        [id(), id(), id()],
        (quoted(), quoted(), of(quoted())),
        (any::<bool>(), ignored(market)),
        family(market),
        any::<bool>(),
    )
        .prop_map(
            move |((sent, event), symbol, [a, f, l], (price, size, plain), (maker, ignored), family, is_combined)| {
                let mut fields = vec![("e", text("aggTrade")), ("E", sent), ("a", a), ("s", text(&symbol))];
                if market == Spot {
                    fields.swap(2, 3);
                }
                fields.extend([("p", price), ("q", size)]);
                fields.extend(plain.filter(|_| market == Futures).map(|nq| ("nq", nq)));
                fields.extend([("f", f), ("l", l), ("T", event), ("m", maker.to_string())]);
                fields.extend(ignored.map(|ignored| ("M", ignored.to_string())));
                combined(is_combined.then_some("aggTrade"), &symbol, &with_family(fields, &symbol, family))
            },
        )
}

fn trade(market: Market) -> impl Strategy<Value = String> {
    let class = prop_oneof![5 => Just("MARKET"), 1 => Just("INSURANCE_FUND"), 1 => Just("ADL"), 1 => Just("NA")];
    (
        (time(market), time(market)),
        symbol(),
        (id(), of([id(), id()])),
        (quoted(), quoted()),
        class,
        (any::<bool>(), ignored(market)),
        family(market),
        any::<bool>(),
    )
        .prop_map(
            move |((sent, event), symbol, (t, orders), (price, size), class, (maker, ignored), family, is_combined)| {
                let mut fields = vec![("e", text("trade")), ("E", sent)];
                let time = ("T", event);
                let numbers = [("s", text(&symbol)), ("t", t), ("p", price), ("q", size)];
                match market {
                    Futures => {
                        fields.push(time);
                        fields.extend(numbers);
                        fields.push(("X", text(class)));
                    }
                    Spot => {
                        fields.extend(numbers);
                        fields.extend(orders.into_iter().flat_map(|[b, a]| [("b", b), ("a", a)]));
                        fields.push(time);
                    }
                }
                fields.push(("m", maker.to_string()));
                fields.extend(ignored.map(|ignored| ("M", ignored.to_string())));
                combined(is_combined.then_some("trade"), &symbol, &with_family(fields, &symbol, family))
            },
        )
}

fn book_ticker(market: Market) -> impl Strategy<Value = String> {
    let form = prop_oneof![Just(None), Just(Some("bookTicker")), Just(Some("!bookTicker"))];
    let times = (time(market), time(market));
    (times, symbol(), id(), [quoted(), quoted(), quoted(), quoted()], family(market), form).prop_map(
        move |((sent, event), symbol, u, [b, bq, a, aq], family, feed)| {
            let mut fields = Fields::new();
            fields.extend((market == Futures).then(|| ("e", text("bookTicker"))));
            fields.extend([("u", u), ("s", text(&symbol)), ("b", b), ("B", bq), ("a", a), ("A", aq)]);
            if market == Futures {
                fields.extend([("T", event), ("E", sent)]);
            }
            combined(feed, &symbol, &with_family(fields, &symbol, family))
        },
    )
}

/// Spot's images name neither symbol nor type.
fn partial_depth(feed: Option<&'static str>) -> impl Strategy<Value = String> {
    (id(), side(), side()).prop_map(move |(id, bids, asks)| {
        combined(feed, "BTCUSDT", &vec![("lastUpdateId", id), ("bids", bids), ("asks", asks)])
    })
}

fn shutdown() -> impl Strategy<Value = String> {
    (time(Spot), of(Just("!serverShutdown")))
        .prop_map(|(sent, feed)| combined(feed, "", &vec![("e", text("serverShutdown")), ("E", sent)]))
}

/// The event, wrapped by the name of its stream where there is one.
fn combined(feed: Option<&str>, symbol: &str, fields: &Fields) -> String {
    wrapped(feed, symbol, object(fields))
}

fn wrapped(feed: Option<&str>, symbol: &str, data: String) -> String {
    match feed {
        None => data,
        Some(all) if all.starts_with('!') => format!("{{\"stream\":\"{all}\",\"data\":{data}}}"),
        Some(feed) => format!("{{\"stream\":\"{}@{feed}\",\"data\":{data}}}", symbol.to_lowercase()),
    }
}

/// Any frame that futures' scanners take, raw or combined, of any year.
pub(super) fn futures() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => depth(Futures),
        4 => agg_trade(Futures),
        4 => trade(Futures),
        4 => book_ticker(Futures),
        1 => mark_price_form(),
        1 => force_order(),
    ]
}

/// The same of spot.
pub(super) fn spot() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => depth(Spot),
        4 => agg_trade(Spot),
        4 => trade(Spot),
        4 => book_ticker(Spot),
        1 => partial_depth(Some("depth20@100ms")),
        1 => shutdown(),
    ]
}

/// Spot's frames that no scanner knows: block trades, and images in the raw form.
pub(super) fn spot_rare() -> impl Strategy<Value = String> {
    prop_oneof![4 => block_trade(), 1 => partial_depth(None)]
}

fn block_trade() -> impl Strategy<Value = String> {
    (time(Spot), time(Spot), symbol(), id(), (quoted(), quoted()), any::<bool>(), of(Just("blockTrade"))).prop_map(
        |(sent, event, symbol, t, (price, size), maker, feed)| {
            let fields = vec![
                ("e", text("blockTrade")),
                ("E", sent),
                ("s", text(&symbol)),
                ("t", t),
                ("p", price),
                ("q", size),
                ("T", event),
                ("m", maker.to_string()),
            ];
            combined(feed, &symbol, &fields)
        },
    )
}

fn mark_price() -> impl Strategy<Value = (String, String)> {
    let next = prop_oneof![4 => ms(), 1 => Just("0".to_owned())];
    let rate = prop_oneof![4 => quoted(), 1 => Just(text(""))];
    (ms(), symbol(), [quoted(), quoted(), quoted()], rate, next, of(1u8..3)).prop_map(
        |(sent, symbol, [mark, settlement, index], rate, next, st)| {
            let mut fields = vec![
                ("e", text("markPriceUpdate")),
                ("E", sent),
                ("s", text(&symbol)),
                ("p", mark),
                ("P", settlement),
                ("i", index),
                ("r", rate),
                ("T", next),
            ];
            fields.extend(st.map(|st| ("st", st.to_string())));
            (symbol, object(&fields))
        },
    )
}

fn force_order() -> impl Strategy<Value = String> {
    let side = prop_oneof![Just("BUY"), Just("SELL")];
    let feed = prop_oneof![Just(None), Just(Some("forceOrder")), Just(Some("!forceOrder@arr"))];
    (ms(), ms(), symbol(), side, [quoted(), quoted(), quoted(), quoted()], feed).prop_map(
        |(sent, event, symbol, side, [size, price, average, filled], feed)| {
            let order = vec![
                ("s", text(&symbol)),
                ("S", text(side)),
                ("o", text("LIMIT")),
                ("f", text("IOC")),
                ("q", size),
                ("p", price),
                ("ap", average),
                ("X", text("FILLED")),
                ("l", filled.clone()),
                ("z", filled),
                ("T", event),
            ];
            combined(feed, &symbol, &vec![("e", text("forceOrder")), ("E", sent), ("o", object(&order))])
        },
    )
}

/// One symbol's, or those of all.
fn mark_price_form() -> impl Strategy<Value = String> {
    let one = (mark_price(), of(Just("markPrice@1s"))).prop_map(|((symbol, data), feed)| wrapped(feed, &symbol, data));
    let many = (vec(mark_price(), 1..5), of(Just("!markPrice@arr@1s"))).prop_map(|(rows, feed)| {
        let rows: Vec<String> = rows.into_iter().map(|(_, data)| data).collect();
        wrapped(feed, "", format!("[{}]", rows.join(",")))
    });
    prop_oneof![one, many]
}
