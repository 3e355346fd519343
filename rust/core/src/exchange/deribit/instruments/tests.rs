#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// Native name, market, unified name.
const NAMES: [(&str, Exchange, &str); 9] = [
    ("BTC-PERPETUAL", Exchange::Deribit, "BTCUSD"),
    ("BTC_USDC-PERPETUAL", Exchange::Deribit, "BTCUSDC"),
    ("BTC-25DEC26", Exchange::Deribit, "BTCUSD-261225"),
    ("BTC-5DEC26", Exchange::Deribit, "BTCUSD-261205"),
    ("BTC_USDC-25DEC26", Exchange::Deribit, "BTCUSDC-261225"),
    ("BTC-25DEC26-100000-C", Exchange::Deribit, "BTCUSD-261225-100000-C"),
    ("XRP_USDC-25DEC26-1d02-P", Exchange::Deribit, "XRPUSDC-261225-1.02-P"),
    ("BTC_USDC", Exchange::DeribitSpot, "BTCUSDC"),
    ("ETH_BTC", Exchange::DeribitSpot, "ETHBTC"),
];

#[test]
fn names_go_both_ways() {
    for (native_name, market, symbol) in NAMES {
        let told = name(native_name);
        assert_eq!((told.market, told.symbol.as_ref()), (market, symbol));
        assert_eq!(native(market, symbol).as_deref(), Some(native_name), "{symbol}");
        assert_eq!(native(market, native_name).as_deref(), Some(native_name), "a native name is taken as it is");
    }
}

#[test]
fn a_name_tells_kind_and_unit() {
    let inverse = OVER_PRICE;
    for (native, kind, conversion) in [
        ("BTC-PERPETUAL", Some(InstrumentKind::Perpetual), inverse),
        ("BTC-25DEC26", Some(InstrumentKind::Future), inverse),
        ("BTC_USDC-PERPETUAL", Some(InstrumentKind::Perpetual), Conversion::None),
        ("BTC_USDC-25DEC26", Some(InstrumentKind::Future), Conversion::None),
        ("BTC-25DEC26-100000-C", Some(InstrumentKind::Option), Conversion::None),
        ("BTC_USDC", Some(InstrumentKind::Spot), Conversion::None),
        // The price of a spread divides nothing.
        ("BTC-FS-25DEC26_PERP", Some(InstrumentKind::Combo), Conversion::None),
        ("BTC_USDC-FS-25DEC26_PERP", Some(InstrumentKind::Combo), Conversion::None),
        ("BTC-CS-25DEC26-100000_110000", Some(InstrumentKind::Combo), Conversion::None),
        ("BTC", None, Conversion::None),
        // A name that nobody can read says nothing of what it is.
        ("BTC-ODD", None, Conversion::None),
        ("BTC-FS-PERP", None, Conversion::None),
        ("BTC-FS2-25DEC26", None, Conversion::None),
    ] {
        let told = name(native);
        assert_eq!((told.kind, told.conversion), (kind, conversion), "{native}");
    }
}

#[test]
fn what_nobody_can_read_keeps_its_name() {
    for native in [
        "BTC",
        "",
        "-PERPETUAL",
        "_USDC-PERPETUAL",
        "BTC-FS-25DEC26_PERP",
        "BTC-CS-25DEC26-100000_110000",
        "BTC-32DEC26",
        "BTC-05DEC26",
        "BTC-25DEZ26",
        "BTC-25DEC2026",
        "BTC-ÄDEC26",
        "BTC-25DEC26-1d-C",
        "BTC-25DEC26-100000-X",
        "BTC-25DEC26-100000-C-1",
        "A_B_C",
    ] {
        assert_eq!(name(native).symbol, native);
        assert_eq!(name(native).market, Exchange::Deribit);
    }
}

#[test]
fn a_symbol_that_leaves_base_and_quote_open_has_no_native_name() {
    for (market, symbol) in [
        (Exchange::Deribit, "ETHBTC"),
        (Exchange::Deribit, "USD"),
        (Exchange::Deribit, "BTC"),
        (Exchange::Deribit, "BTCEUR-261225"),
        (Exchange::Deribit, "BTCUSD-261325"),
        (Exchange::DeribitSpot, "BTCJPY"),
        (Exchange::DeribitSpot, "USDC"),
    ] {
        assert_eq!(native(market, symbol), None, "{symbol}");
    }
    assert_eq!(native(Exchange::DeribitSpot, "USDCUSDT").as_deref(), Some("USDC_USDT"));
    assert_eq!(native(Exchange::Deribit, "BTC-FS-25DEC26_PERP").as_deref(), Some("BTC-FS-25DEC26_PERP"));
}

proptest! {
    #[test]
    fn every_outright_name_survives_both_ways(
        base in "[A-Z]{2,6}[0-9]?", quote in prop::sample::select(vec!["", "_USDC", "_USDT"]),
        day in 1u8..=31, month in prop::sample::select(MONTHS.to_vec()), year in 20u8..40,
        strike in "[1-9][0-9]{0,5}(d[0-9]{1,3})?", right in "[CP]",
    ) {
        let date = format!("{day}{month}{year}");
        for rest in ["PERPETUAL".to_owned(), date.clone(), format!("{date}-{strike}-{right}")] {
            let written = format!("{base}{quote}-{rest}");
            let told = name(&written);
            prop_assert!(told.kind.is_some());
            prop_assert_eq!(native(told.market, &told.symbol).unwrap(), written.as_str());
        }
    }

    #[test]
    fn any_text_is_a_name(text in "\\PC{0,30}") {
        let _ = name(&text);
        let _ = native(Exchange::Deribit, &text);
        let _ = native(Exchange::DeribitSpot, &text);
    }
}

fn read(rows: &str) -> Vec<Instrument> {
    read_instruments(format!("{{\"jsonrpc\":\"2.0\",\"result\":[{rows}],\"usIn\":1}}").as_bytes()).unwrap()
}

fn one(row: &str) -> Instrument {
    read(row).pop().unwrap()
}

#[test]
fn an_inverse_perpetual() {
    let row =
        one(r#"{"tick_size":0.5,"settlement_period":"perpetual","settlement_currency":"BTC","quote_currency":"USD",
        "counter_currency":"USD","min_trade_amount":10,"kind":"future","is_active":true,"state":"open",
        "instrument_type":"reversed","instrument_name":"BTC-PERPETUAL","expiration_timestamp":32503708800000,
        "contract_size":1.0e1,"base_currency":"BTC","new_field":[{"a":1}]}"#);
    let expected = Instrument {
        exchange: Exchange::Deribit,
        native_symbol: "BTC-PERPETUAL".into(),
        symbol: "BTCUSD".into(),
        kind: InstrumentKind::Perpetual,
        base: "BTC".into(),
        quote: "USD".into(),
        settle: "BTC".into(),
        tick_size: Some(Decimal::new(5, 1)),
        lot_size: Some(Decimal::new(10, 0)),
        min_notional: None,
        multiplier: Decimal::new(10, 0),
        inverse: true,
        conversion: OVER_PRICE,
        expiry: None,
        strike: None,
        option_type: None,
        status: Status::Trading,
        status_native: "open".into(),
    };
    assert_eq!(row, expected);
}

#[test]
fn options_count_coins_although_they_are_reversed_and_have_strike_and_expiry() {
    let row = one(
        r#"{"tick_size":0.0005,"strike":1.02,"settlement_period":"month","quote_currency":"USDC","option_type":"put",
        "min_trade_amount":1000,"kind":"option","is_active":false,"instrument_name":"XRP_USDC-25DEC26-1d02-P",
        "instrument_type":"reversed","expiration_timestamp":1798185600000,"contract_size":1000.0,"base_currency":"XRP"}"#,
    );
    assert_eq!((row.symbol.as_str(), row.kind), ("XRPUSDC-261225-1.02-P", InstrumentKind::Option));
    assert_eq!((row.strike, row.option_type), (Some(Decimal::new(102, 2)), Some(OptionType::Put)));
    assert_eq!(row.expiry, Some(1_798_185_600_000_000_000));
    assert_eq!((row.conversion, row.inverse), (Conversion::None, false));
    assert_eq!((row.status, row.status_native.as_str()), (Status::Halted, "inactive"));
    assert_eq!(row.settle, "XRP", "what was not said was settled in the coin");
}

#[test]
fn kinds_units_and_markets() {
    let row = |name: &str, kind: &str, kind_of: &str| {
        let text = format!(
            r#"{{"instrument_name":"{name}","kind":"{kind}","instrument_type":"{kind_of}","settlement_period":"day"}}"#
        );
        let row = one(&text);
        (row.kind, row.exchange, row.symbol, row.conversion)
    };
    let (deribit, spot) = (Exchange::Deribit, Exchange::DeribitSpot);
    let none = Conversion::None;
    use InstrumentKind as K;
    assert_eq!(row("BTC-5DEC26", "future", "reversed"), (K::Future, deribit, "BTCUSD-261205".into(), OVER_PRICE));
    assert_eq!(row("BTC-5DEC26", "future", ""), (K::Future, deribit, "BTCUSD-261205".into(), OVER_PRICE));
    assert_eq!(row("BTC_USDC-5DEC26", "future", "linear"), (K::Future, deribit, "BTCUSDC-261205".into(), none));
    assert_eq!(row("BTC_USDC", "spot", "linear"), (K::Spot, spot, "BTCUSDC".into(), none));
    let combo = "BTC-FS-5DEC26_PERP";
    assert_eq!(row(combo, "future_combo", "reversed"), (K::Combo, deribit, combo.into(), none));
    assert_eq!(
        row(combo, "option", "linear"),
        (K::Option, deribit, combo.into(), none),
        "what is listed, not the name"
    );
    assert_eq!(row("BTC-PERP-X", "future", ""), (K::Future, deribit, "BTC-PERP-X".into(), none));
    assert_eq!(row("BTC-CS-X", "option_combo", "linear"), (K::Combo, deribit, "BTC-CS-X".into(), none));
    assert_eq!(row("BTC-5DEC26", "event", "linear"), (K::Other, deribit, "BTC-5DEC26".into(), none));
}

// Fault: X19, B04
#[test]
fn a_row_that_cannot_be_read_spoils_no_other() {
    let rows = read(
        r#"{"instrument_name":"BTC-PERPETUAL","kind":7,"tick_size":"x","contract_size":-1,"state":"asleep"},
        {"kind":"future"},{"instrument_name":""},7,null,{"instrument_name":"BTC-PERPETUAL"},{"instrument_name":"ETH_USDC","kind":"spot"}"#,
    );
    let names: Vec<&str> = rows.iter().map(|row| row.native_symbol.as_str()).collect();
    assert_eq!(names, ["BTC-PERPETUAL", "ETH_USDC"]);
    assert_eq!((rows[0].kind, rows[0].tick_size), (InstrumentKind::Other, None));
    assert_eq!((rows[0].status, rows[0].status_native.as_str()), (Status::Unknown, "asleep"));
    for body in ["", "[]", "{}", r#"{"result":{}}"#, r#"{"error":{"code":10028,"message":"too_many_requests"}}"#] {
        assert!(read_instruments(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn states_in_our_words() {
    for (state, status) in [
        ("open", Status::Trading),
        ("locked", Status::Halted),
        ("settlement", Status::Halted),
        ("halted", Status::Halted),
        ("inactive", Status::Halted),
        ("delivered", Status::Closed),
        ("archivized", Status::Closed),
        ("asleep", Status::Unknown),
    ] {
        let row = one(&format!(r#"{{"instrument_name":"A_B","is_active":true,"state":"{state}"}}"#));
        assert_eq!((row.status, row.status_native.as_str()), (status, state));
    }
}
