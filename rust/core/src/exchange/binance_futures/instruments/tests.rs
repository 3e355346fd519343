#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;
use crate::decimal::Decimal;
use crate::exchange::Protocol;
use crate::exchange::binance_futures::BinanceFutures;
use crate::instrument::Conversion;
use crate::report::RejectReason;
use crate::symbol::Exchange;
use crate::table::Status;

fn read_exchange_info(body: &[u8]) -> Result<Vec<Instrument>, RejectReason> {
    BinanceFutures::read_reference(body)
}

fn row(symbol: &str, contract: &str, delivery: i64, status: &str) -> String {
    format!(
        r#"{{"symbol":"{symbol}","pair":"BTCUSDT","contractType":"{contract}","deliveryDate":{delivery},
        "status":"{status}","baseAsset":"BTC","quoteAsset":"USDT","marginAsset":"USDT","pricePrecision":2,
        "filters":[{{"filterType":"PRICE_FILTER","minPrice":"1","tickSize":"0.10"}},
        {{"filterType":"MARKET_LOT_SIZE","stepSize":"5"}},{{"filterType":"LOT_SIZE","stepSize":"0.001"}},
        {{"filterType":"MIN_NOTIONAL","notional":"50"}}]}}"#
    )
}

fn read(rows: &[String]) -> Vec<Instrument> {
    read_exchange_info(format!(r#"{{"timezone":"UTC","symbols":[{}]}}"#, rows.join(",")).as_bytes()).unwrap()
}

#[test]
fn a_perpetual() {
    let read = read(&[row("BTCUSDT", "PERPETUAL", NEVER_MS, "TRADING")]);
    let [btc] = read.as_slice() else { panic!("{read:?}") };
    assert_eq!(
        *btc,
        Instrument {
            exchange: Exchange::BinanceFutures,
            native_symbol: "BTCUSDT".into(),
            symbol: "BTCUSDT".into(),
            kind: InstrumentKind::Perpetual,
            base: "BTC".into(),
            quote: "USDT".into(),
            settle: "USDT".into(),
            tick_size: Some(Decimal::new(1, 1)),
            lot_size: Some(Decimal::new(1, 3)),
            min_notional: Some(Decimal::new(50, 0)),
            multiplier: Decimal::new(1, 0),
            inverse: false,
            conversion: Conversion::None,
            expiry: None,
            strike: None,
            option_type: None,
            status: Status::Trading,
            status_native: "TRADING".into(),
        }
    );
    assert_eq!(btc.tick_size.unwrap().scale, 1, "trailing zeros are no finer scale");
}

#[test]
fn kinds_states_and_dates() {
    let dated = 1_798_185_600_000; // 2026-12-25 08:00 UTC
    let cases = [
        ("PERPETUAL", NEVER_MS, "TRADING", InstrumentKind::Perpetual, None, Status::Trading),
        ("TRADIFI_PERPETUAL", NEVER_MS, "PENDING_TRADING", InstrumentKind::Perpetual, None, Status::Halted),
        ("PERPETUAL_DELIVERING", dated, "SETTLING", InstrumentKind::Perpetual, None, Status::Halted),
        ("CURRENT_QUARTER", dated, "TRADING", InstrumentKind::Future, Some(dated * 1_000_000), Status::Trading),
        (
            "NEXT_QUARTER DELIVERING",
            dated,
            "DELIVERED",
            InstrumentKind::Future,
            Some(dated * 1_000_000),
            Status::Closed,
        ),
        ("NEXT_QUARTER", i64::MAX, "CLOSE", InstrumentKind::Future, None, Status::Closed),
        ("", NEVER_MS, "PENDING_TRADING", InstrumentKind::Other, None, Status::Halted),
        ("DECADE", dated, "SLEEPING", InstrumentKind::Other, None, Status::Unknown),
    ];
    for (contract, delivery, status, kind, expiry, state) in cases {
        let read = read(&[row("BTCUSDT_261225", contract, delivery, status)]);
        let got = &read[0];
        assert_eq!((got.kind, got.expiry, got.status), (kind, expiry, state), "{contract}");
        assert_eq!((got.symbol.as_str(), got.status_native.as_str()), ("BTCUSDT-261225", status));
    }
}

// Fault: B14
#[test]
fn one_odd_row_never_spoils_the_rest() {
    let good = row("ETHUSDT", "PERPETUAL", NEVER_MS, "TRADING");
    for odd in [
        "7",
        "null",
        "{}",
        r#"{"symbol":7}"#,
        r#"{"symbol":""}"#,
        "{\"symbol\":\"A\\u001b[31m\"}",
        r#"{"symbol":"../ etc"}"#,
    ] {
        let read = read(&[odd.to_owned(), good.clone()]);
        assert_eq!(read.len(), 1, "{odd}");
        assert_eq!(read[0].native_symbol, "ETHUSDT");
    }
    // What cannot be read is not there; the row itself is.
    let odd = r#"{"symbol":"币安人生USDT","contractType":1,"filters":[{"filterType":"PRICE_FILTER","tickSize":"NaN"},
        {"filterType":"LOT_SIZE","stepSize":"0"},3,{"filterType":"MIN_NOTIONAL","notional":5}],"deliveryDate":"x"}"#;
    let read = read(&[odd.to_owned(), good]);
    assert_eq!(read[0].symbol, "币安人生USDT");
    assert_eq!((read[0].tick_size, read[0].lot_size, read[0].min_notional), (None, None, Some(Decimal::new(5, 0))));
    assert_eq!((read[0].kind, read[0].status), (InstrumentKind::Other, Status::Unknown));
}

#[test]
fn replies_that_are_no_reference_data() {
    let refused = |body: &[u8]| read_exchange_info(body).unwrap_err();
    assert_eq!(refused(b""), RejectReason::Json);
    assert_eq!(refused(b"{\"symbols\":[\xff]}"), RejectReason::Utf8);
    assert_eq!(refused(br#"{"code":-1003,"msg":"Too many requests"}"#), RejectReason::Schema);
    assert_eq!(refused(br#"{"symbols":{}}"#), RejectReason::Schema);
    assert_eq!(refused("[".repeat(100_000).as_bytes()), RejectReason::Depth);
}

#[test]
fn names() {
    for (native_name, unified) in [
        ("BTCUSDT", "BTCUSDT"),
        ("1000PEPEUSDT", "1000PEPEUSDT"),
        ("BTCUSDT_261225", "BTCUSDT-261225"),
        ("币安人生USDT", "币安人生USDT"),
        ("BTC_DOM", "BTC_DOM"),
        ("_261225", "_261225"),
        ("BTCUSDT_26122", "BTCUSDT_26122"),
    ] {
        assert_eq!(unify(native_name), unified);
        assert_eq!(native(unified), native_name);
        assert_eq!(native(native_name), native_name, "either form is understood");
        assert_eq!(unify(unified), unified);
    }
    assert_eq!(unify("BTCUSD_PERP"), "BTCUSD");
}

proptest! {
    #[test]
    fn names_of_this_exchange_survive_the_way_there_and_back(name in "[A-Z0-9]{1,12}(_[0-9]{6})?") {
        let unified = unify(&name);
        prop_assert_eq!(native(&unified), name.as_str());
    }

    #[test]
    fn anything_is_read_or_refused(body in "[\\[{\"a-z:0-9,}\\]]{0,60}") {
        let _ = read_exchange_info(body.as_bytes());
    }
}
