use super::*;

fn read(rows: &str) -> Vec<Instrument> {
    read_instruments(format!(r#"{{"code":"0","data":[{rows}],"msg":""}}"#).as_bytes()).expect("a reply")
}

fn only(row: &str) -> Instrument {
    let mut instruments = read(row);
    assert_eq!(instruments.len(), 1);
    instruments.remove(0)
}

fn number(mantissa: i128, scale: u8) -> Decimal {
    Decimal::new(mantissa, scale)
}

#[test]
fn the_form_of_a_name_tells_its_market() {
    let told = |native| {
        let Name { market, symbol, kind, conversion } = name(native);
        (market, symbol.into_owned(), kind, conversion == Conversion::None)
    };
    let expected = |market, symbol: &str, kind, is_base| (market, symbol.to_owned(), kind, is_base);
    use InstrumentKind as Kind;
    assert_eq!(told("BTC-USDT"), expected(Exchange::OkxSpot, "BTCUSDT", Some(Kind::Spot), true));
    assert_eq!(told("BTC-USD-SWAP"), expected(Exchange::OkxSwap, "BTCUSD", Some(Kind::Perpetual), false));
    assert_eq!(told("BTC-USD-261225"), expected(Exchange::OkxFutures, "BTCUSD-261225", None, false));
    let option = expected(Exchange::OkxOptions, "BTCUSD-261225-50000-C", Some(Kind::Option), false);
    assert_eq!(told("BTC-USD-261225-50000-C"), option);
    for unknown in ["BTCUSDT", "BTC-USD-261225-50000-X", "BTC-USDT-SWAP-1", "BTCUSDT-261225", "", "-", "BTC-"] {
        assert_eq!(told(unknown), expected(Exchange::Okx, unknown, None, false));
    }
}

#[test]
fn a_native_name_is_given_back_and_a_unified_one_cannot_be_divided() {
    assert_eq!(native(Exchange::OkxSpot, "BTC-USDT"), Some("BTC-USDT"));
    assert_eq!(native(Exchange::OkxSwap, "BTC-USDT-SWAP"), Some("BTC-USDT-SWAP"));
    assert_eq!(native(Exchange::Okx, "BTC-USDT-SWAP"), Some("BTC-USDT-SWAP"));
    assert_eq!(native(Exchange::OkxSpot, "BTC-USDT-SWAP"), None);
    for unified in ["BTCUSDT", "BTCUSDT-261225", "BTCUSD-261225-50000-C"] {
        for market in [Exchange::OkxSpot, Exchange::OkxSwap, Exchange::OkxFutures, Exchange::OkxOptions] {
            assert_eq!(native(market, unified), None, "{unified}");
        }
    }
}

#[test]
fn indices() {
    assert_eq!(index_of("BTC-USDT-SWAP"), Some("BTC-USDT"));
    assert_eq!(index_of("BTC-USD-261225"), Some("BTC-USD"));
    assert_eq!(index_of("BTC-USDT"), None);
}

#[test]
fn spot_counts_base_units() {
    let spot = only(
        r#"{"baseCcy":"BTC","ctMult":"","ctType":"","ctVal":"","ctValCcy":"","expTime":"","instId":"BTC-USDT","instType":"SPOT","lotSz":"0.00000001","minSz":"0.00001","optType":"","quoteCcy":"USDT","settleCcy":"","state":"live","stk":"","tickSz":"0.1","uly":""}"#,
    );
    assert_eq!((spot.exchange, spot.kind), (Exchange::OkxSpot, InstrumentKind::Spot));
    assert_eq!((spot.symbol.as_str(), spot.base.as_str(), spot.quote.as_str()), ("BTCUSDT", "BTC", "USDT"));
    assert_eq!((spot.tick_size, spot.lot_size), (Some(number(1, 1)), Some(number(1, 8))));
    assert_eq!((spot.conversion, spot.status), (Conversion::None, Status::Trading));
    assert_eq!((spot.expiry, spot.strike, spot.option_type), (None, None, None));
}

const SWAP: &str =
    r#""instType":"SWAP","baseCcy":"","quoteCcy":"","expTime":"","lotSz":"1","state":"live","tickSz":"0.1""#;

#[test]
fn contracts_are_worth_their_value_times_their_multiplier() {
    let linear = only(&format!(
        r#"{{"instId":"BTC-USDT-SWAP",{SWAP},"ctMult":"2","ctType":"linear","ctVal":"0.01","ctValCcy":"BTC","settleCcy":"USDT","uly":"BTC-USDT"}}"#
    ));
    assert_eq!(linear.conversion, Conversion::Times(number(2, 2)));
    assert_eq!((linear.multiplier, linear.inverse), (number(2, 2), false));
    assert_eq!((linear.base.as_str(), linear.quote.as_str(), linear.settle.as_str()), ("BTC", "USDT", "USDT"));
    let inverse = only(&format!(
        r#"{{"instId":"BTC-USD-SWAP",{SWAP},"ctMult":"1","ctType":"inverse","ctVal":"100","ctValCcy":"USD","settleCcy":"BTC","instFamily":"BTC-USD"}}"#
    ));
    assert_eq!(inverse.conversion, Conversion::OverPrice(number(100, 0)));
    assert_eq!((inverse.base.as_str(), inverse.quote.as_str(), inverse.inverse), ("BTC", "USD", true));
    let option = only(
        r#"{"instId":"BTC-USD-210723-26000-C","instType":"OPTION","ctMult":"0.1","ctType":"","ctVal":"1","ctValCcy":"BTC","expTime":"1627027200000","lotSz":"1","optType":"C","settleCcy":"BTC","state":"live","stk":"26000","tickSz":"0.0005","uly":"BTC-USD"}"#,
    );
    assert_eq!(option.conversion, Conversion::Times(number(1, 1)));
    assert_eq!(option.symbol, "BTCUSD-210723-26000-C");
    assert_eq!((option.strike, option.option_type), (Some(number(26000, 0)), Some(OptionType::Call)));
    assert_eq!(option.expiry, Some(1_627_027_200_000_000_000));
}

#[test]
fn what_is_missing_or_contradicts_itself_is_unknown() {
    let of = |rest: &str| only(&format!(r#"{{"instId":"BTC-USDT-SWAP",{SWAP},"uly":"BTC-USDT",{rest}}}"#)).conversion;
    for rest in [
        r#""ctMult":"","ctType":"linear","ctVal":"0.01","ctValCcy":"BTC""#,
        r#""ctMult":"1","ctType":"linear","ctVal":"0","ctValCcy":"BTC""#,
        r#""ctMult":"1","ctType":"","ctVal":"0.01","ctValCcy":"BTC""#,
        r#""ctMult":"1","ctType":"linear","ctVal":"100","ctValCcy":"USDT""#,
        r#""ctMult":"1","ctType":"inverse","ctVal":"100","ctValCcy":"BTC""#,
        r#""ctMult":"1","ctType":"linear","ctVal":7,"ctValCcy":"USDT""#,
    ] {
        assert_eq!(of(rest), Conversion::Unknown, "{rest}");
    }
}

#[test]
fn an_x_perp_is_a_perpetual_among_the_futures() {
    let x_perp = only(
        r#"{"instId":"BTC-USDT-310404","instType":"FUTURES","ruleType":"xperp","uly":"BTC-USDT","ctMult":"1","ctType":"linear","ctVal":"0.01","ctValCcy":"BTC","expTime":"1933142400000","state":"live"}"#,
    );
    assert_eq!((x_perp.exchange, x_perp.kind), (Exchange::OkxFutures, InstrumentKind::Perpetual));
    assert_eq!((x_perp.symbol.as_str(), x_perp.expiry), ("BTCUSDT", None));
}

#[test]
fn unknown_types_and_broken_rows_spoil_nothing() {
    let instruments = read(
        r#"{"instId":"TRUMP-2028","instType":"EVENTS","state":"live","tickSz":"x"},{"instType":"SPOT"},7,{"instId":"ETH-BTC","instType":"SPOT","baseCcy":"ETH","quoteCcy":"BTC","state":"odd"},{"instId":"ETH-BTC","instType":"SPOT"}"#,
    );
    let names: Vec<_> = instruments.iter().map(|i| (i.exchange, i.symbol.as_str(), i.kind)).collect();
    assert_eq!(
        names,
        [(Exchange::Okx, "TRUMP-2028", InstrumentKind::Other), (Exchange::OkxSpot, "ETHBTC", InstrumentKind::Spot)]
    );
    assert_eq!((instruments[0].tick_size, instruments[0].conversion), (None, Conversion::Unknown));
    assert_eq!((instruments[1].status, instruments[1].status_native.as_str()), (Status::Unknown, "odd"));
}

/// §2: the words of `state`, and what a contract is after them, which a push of the `instruments` channel may say.
#[test]
fn states_in_our_words() {
    for (state, status) in [
        ("live", Status::Trading),
        ("suspend", Status::Halted),
        ("rebase", Status::Halted),
        ("post_only", Status::Halted),
        ("preopen", Status::Halted),
        ("test", Status::Halted),
        ("settling", Status::Halted),
        ("expired", Status::Closed),
        ("", Status::Unknown),
        ("LIVE", Status::Unknown),
    ] {
        let row = only(&format!(r#"{{"instId":"A-B","instType":"SPOT","state":"{state}"}}"#));
        assert_eq!((row.status, row.status_native.as_str()), (status, state));
    }
}

#[test]
fn an_error_is_no_reply() {
    let error = br#"{"code":"50011","data":[],"msg":"Too Many Requests"}"#;
    assert_eq!(read_instruments(error), Err(RejectReason::Schema));
    assert_eq!(read_instruments(b"<html>"), Err(RejectReason::Json));
}
