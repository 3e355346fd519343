//! Frames of the documented formats, generated, in the key orders of all years.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use crate::exchange::two_paths::texts::{id, ms, object};

type Fields = Vec<(&'static str, String)>;

/// A bare number, as the exchange writes them and as it might.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        10 => "(0|[1-9][0-9]{0,5})\\.[0-9]{1,4}",
        5 => "[1-9]\\.[0-9]{1,2}e[0-9]",
        3 => "[1-9][0-9]{0,6}",
        2 => Just("0.0".to_owned()),
        1 => "-?(0|[1-9][0-9]{0,12})(\\.[0-9]{1,8})?",
        1 => "[1-9]\\.[0-9]{1,3}[eE][-+]?[0-9]",
    ]
}

/// A size, which has no sign.
fn size() -> impl Strategy<Value = String> {
    number().prop_map(|number| number.trim_start_matches('-').to_owned())
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn instrument() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("BTC-PERPETUAL".to_owned()),
        Just("NVDA_USDC-PERPETUAL".to_owned()),
        Just("BTC-5DEC26".to_owned()),
        Just("BTC-25DEC26-100000-C".to_owned()),
        Just("XRP_USDC-25DEC26-1d02-P".to_owned()),
        Just("BTC_USDC".to_owned()),
        Just("BTC-FS-25DEC26_PERP".to_owned()),
        "[A-Z0-9]{15,40}(-[A-Za-z0-9_]{1,20})?",
    ]
}

fn interval() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("raw"), Just("100ms"), Just("agg2")]
}

fn notification(channel: &str, data: &str) -> String {
    format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"subscription\",\"params\":{{\"channel\":\"{channel}\",\"data\":{data}}}}}"
    )
}

fn side() -> impl Strategy<Value = String> {
    let action = prop_oneof![Just("new"), Just("change"), Just("delete")];
    let level = (action, number(), size()).prop_map(|(action, p, q)| format!("[\"{action}\",{p},{q}]"));
    vec(level, 0..12).prop_map(|levels| format!("[{}]", levels.join(",")))
}

fn book() -> impl Strategy<Value = String> {
    (instrument(), interval(), ms(), id(), of(id()), side(), side()).prop_flat_map(
        |(name, interval, ms, id, prev, bids, asks)| {
            let mut head: Fields = vec![("timestamp", ms), ("instrument_name", quoted(&name)), ("change_id", id)];
            head.push(("type", quoted(if prev.is_some() { "change" } else { "snapshot" })));
            head.extend(prev.map(|prev| ("prev_change_id", prev)));
            Just(head).prop_shuffle().prop_map(move |mut fields| {
                fields.extend([("bids", bids.clone()), ("asks", asks.clone())]);
                notification(&format!("book.{name}.{interval}"), &object(&fields))
            })
        },
    )
}

/// What only some trades have.
fn extras(name: String) -> impl Strategy<Value = Fields> {
    (
        of(size()),
        of(prop_oneof![Just("M"), Just("T"), Just("MT"), Just("none")]),
        of(("[0-9]{3,6}", of(1u8..4))),
        of(prop_oneof![Just(name), Just("BTC-FS-25DEC26_PERP".to_owned())]),
        of("[0-9]{2,9}"),
        (of(number()), of(Just("7021399".to_owned())), of(number())),
    )
        .prop_map(|(contracts, liquidation, block, combo, combo_trade, (iv, starbase, index))| {
            let mut fields: Fields = Vec::new();
            fields.extend(contracts.map(|contracts| ("contracts", contracts)));
            fields.extend(liquidation.map(|word| ("liquidation", quoted(word))));
            if let Some((block, legs)) = block {
                fields.push(("block_trade_id", quoted(&block)));
                fields.extend(legs.map(|legs| ("block_trade_leg_count", legs.to_string())));
            }
            fields.extend(combo.map(|combo| ("combo_id", quoted(&combo))));
            fields.extend(combo_trade.map(|id| ("combo_trade_id", quoted(&id))));
            fields.extend(iv.map(|iv| ("iv", iv)));
            fields.extend(starbase.map(|id| ("starbase_match_id", id)));
            fields.extend(index.map(|price| ("index_price", price)));
            fields
        })
}

fn trade(name: String, seq: u64) -> impl Strategy<Value = String> {
    let direction = prop_oneof![Just("buy"), Just("sell")];
    let trade_id = prop_oneof!["[0-9]{1,12}", "ETH-[0-9]{1,9}"];
    (ms(), trade_id, direction, number(), size(), number(), extras(name.clone())).prop_flat_map(
        move |(ms, id, direction, price, amount, mark, extras)| {
            let mut fields: Fields = vec![
                ("timestamp", ms),
                ("price", price),
                ("amount", amount),
                ("direction", quoted(direction)),
                ("instrument_name", quoted(&name)),
                ("trade_seq", seq.to_string()),
                ("mark_price", mark),
                ("tick_direction", "2".to_owned()),
                ("trade_id", quoted(&id)),
            ];
            fields.extend(extras);
            Just(fields).prop_shuffle().prop_map(|fields| object(&fields))
        },
    )
}

fn trades() -> impl Strategy<Value = String> {
    (instrument(), interval(), 0u64..1_000_000_000_000, 1usize..5, any::<bool>()).prop_flat_map(
        |(name, interval, seq, n, falling)| {
            let mut seqs: Vec<u64> = (seq..).take(n).collect();
            if falling {
                seqs.reverse();
            }
            let rows: Vec<_> = seqs.into_iter().map(|seq| trade(name.clone(), seq)).collect();
            rows.prop_map(move |rows| {
                notification(&format!("trades.{name}.{interval}"), &format!("[{}]", rows.join(",")))
            })
        },
    )
}

fn mixed_trades() -> impl Strategy<Value = String> {
    vec((instrument(), 0u64..1_000_000_000).prop_flat_map(|(name, seq)| trade(name, seq)), 1..4)
        .prop_map(|rows| notification("trades.option.any.raw", &format!("[{}]", rows.join(","))))
}

fn quote() -> impl Strategy<Value = String> {
    (instrument(), ms(), [number(), number()], [size(), size()]).prop_flat_map(|(name, ms, [b, a], [bq, aq])| {
        let fields: Fields = vec![
            ("timestamp", ms),
            ("instrument_name", quoted(&name)),
            ("best_bid_price", b),
            ("best_bid_amount", bq),
            ("best_ask_price", a),
            ("best_ask_amount", aq),
        ];
        let channel = format!("quote.{name}");
        Just(fields).prop_shuffle().prop_map(move |fields| notification(&channel, &object(&fields)))
    })
}

/// A number or `null`.
fn maybe() -> impl Strategy<Value = String> {
    prop_oneof![4 => number(), 1 => Just("null".to_owned())]
}

fn ticker() -> impl Strategy<Value = String> {
    let option = ([maybe(), maybe(), maybe(), maybe()], [maybe(), maybe(), maybe(), maybe(), maybe()]);
    let beside = ([maybe(), maybe(), maybe(), maybe()], [maybe(), maybe(), maybe()]);
    (instrument(), interval(), ms(), [maybe(), maybe(), maybe(), maybe()], of(maybe()), of(option), of(beside))
        .prop_flat_map(|(name, interval, ms, [last, index, mark, interest], funding, option, beside)| {
            let mut fields: Fields = vec![
                ("timestamp", ms),
                ("stats", "{\"volume\":null,\"low\":0.0015,\"high\":null}".to_owned()),
                ("state", quoted("open")),
                ("open_interest", interest),
                ("mark_price", mark),
                ("last_price", last),
                ("instrument_name", quoted(&name)),
                ("index_price", index),
            ];
            fields.extend(funding.clone().map(|rate| ("current_funding", rate)));
            fields.extend(funding.map(|rate| ("funding_8h", rate)));
            if let Some(([underlying, mark_iv, bid_iv, ask_iv], [delta, gamma, vega, theta, rho])) = option {
                let greeks = [("vega", vega), ("theta", theta), ("rho", rho), ("gamma", gamma), ("delta", delta)];
                fields.extend([("underlying_price", underlying), ("mark_iv", mark_iv), ("bid_iv", bid_iv)]);
                fields.extend([("ask_iv", ask_iv), ("greeks", object(&greeks))]);
                fields.extend([("underlying_index", quoted("SYN.BTC-25DEC26")), ("settlement_period", quoted("week"))]);
            }
            if let Some(([bid, bid_size, ask, ask_size], [min, max, delivery])) = beside {
                fields.extend([("best_bid_price", bid), ("best_bid_amount", bid_size), ("best_ask_price", ask)]);
                fields.extend([("best_ask_amount", ask_size), ("min_price", min), ("max_price", max)]);
                fields.extend([("estimated_delivery_price", delivery.clone()), ("settlement_price", delivery.clone())]);
                fields.extend([("interest_rate", delivery.clone()), ("interest_value", delivery)]);
            }
            let channel = format!("ticker.{name}.{interval}");
            Just(fields).prop_shuffle().prop_map(move |fields| notification(&channel, &object(&fields)))
        })
}

/// Frames that make no row.
fn others() -> impl Strategy<Value = String> {
    let listed = [
        notification(
            "book.BTC-30SEP22.none.20.100ms",
            "{\"timestamp\":1,\"change_id\":4,\"bids\":[[3.0,1.0]],\"asks\":[]}",
        ),
        notification("chart.trades.BTC-PERPETUAL.1", "{\"volume\":0.02120555,\"tick\":1654079340000}"),
        notification("deribit_price_index.btc_usd", "{\"price\":3.0e4}"),
        notification("platform_state", "{\"locked\":false,\"price_index\":\"btc_usd\"}"),
        notification("instrument.state.any.any", "{\"timestamp\":1,\"state\":\"started\"}"),
        notification("never.heard.of", "{}"),
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":[\"book.BTC-PERPETUAL.100ms\"],\"usIn\":1,\"usOut\":2}".to_owned(),
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":13778,\"message\":\"raw\"}}".to_owned(),
        "{\"params\":{\"type\":\"test_request\"},\"method\":\"heartbeat\",\"jsonrpc\":\"2.0\"}".to_owned(),
    ];
    prop::sample::select(listed.to_vec())
}

/// Any frame that the scanners take.
pub(super) fn dominant() -> impl Strategy<Value = String> {
    prop_oneof![book(), trades(), quote(), ticker()]
}

/// Any other.
pub(super) fn rare() -> impl Strategy<Value = String> {
    prop_oneof![mixed_trades(), others()]
}
