use crate::decimal::Decimal;
use crate::event::{Derivative, EventTimes, Liquidation, OptionState, State, StateRow, StateRows};
use crate::exchange::Decoded;
use crate::exchange::okx::Okx;
use crate::exchange::reader::WireReader;
use crate::report::{IgnoreReason, RejectReason};
use crate::table::Side;

fn decode(frame: &str) -> (Decoded<()>, StateRows) {
    let mut reader = WireReader::default();
    let mut out = StateRows::default();
    let message = reader.read::<Okx>(frame.as_bytes()).expect("a frame");
    (message.states::<Okx>(&mut out), out)
}

fn read(frame: &str) -> StateRows {
    let (decoded, out) = decode(frame);
    assert_eq!(decoded, Decoded::Event(()), "{frame}");
    out
}

fn only(frame: &str, native: &str) -> StateRow {
    let rows = read(frame);
    assert_eq!(rows.rows.len(), 1);
    assert_eq!(rows.texts.get(rows.rows[0].native), native);
    rows.rows[0]
}

fn number(mantissa: i128, scale: u8) -> Option<Decimal> {
    Some(Decimal::new(mantissa, scale))
}

fn at(ms: i64) -> EventTimes {
    EventTimes { event: Some(ms * 1_000_000), venue: None, odd: false }
}

#[test]
fn mark_and_index_prices_and_open_interest() {
    let mark = r#"{"arg":{"channel":"mark-price","instId":"LTC-USD-190628"},"data":[{"instType":"FUTURES","instId":"LTC-USD-190628","markPx":"0.1","ts":"1597026383085"}]}"#;
    let row = only(mark, "LTC-USD-190628");
    assert_eq!((row.times, row.is_index), (at(1_597_026_383_085), false));
    assert_eq!(row.state, State::Derivative(Derivative { mark_price: number(1, 1), ..Derivative::default() }));

    let index = r#"{"arg":{"channel":"index-tickers","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","idxPx":"43350","ts":"1597026383085"}]}"#;
    let index = only(index, "BTC-USDT");
    assert!(index.is_index);
    assert_eq!(index.state, State::Derivative(Derivative { index_price: number(43350, 0), ..Derivative::default() }));

    let open = r#"{"arg":{"channel":"open-interest","instId":"LTC-USD-SWAP"},"data":[{"instType":"SWAP","instId":"LTC-USD-SWAP","oi":"5000","oiCcy":"555.55","oiUsd":"50000","ts":"1597026383085"}]}"#;
    let open = only(open, "LTC-USD-SWAP");
    let expected =
        Derivative { open_interest: number(5000, 0), open_interest_base: number(55_555, 2), ..Derivative::default() };
    assert_eq!(open.state, State::Derivative(expected));
    let feeds = [row.feed, index.feed, open.feed];
    assert!(feeds[0] != feeds[1] && feeds[1] != feeds[2] && feeds[0] != feeds[2], "each is newer within itself");
}

#[test]
fn the_funding_that_is_told_is_paid_at_the_coming_settlement() {
    let frame = r#"{"arg":{"channel":"funding-rate","instId":"BTC-USD-SWAP"},"data":[{"fundingRate":"0.0001875391284828","fundingTime":"1700726400000","instId":"BTC-USD-SWAP","instType":"SWAP","method":"next_period","nextFundingRate":"0.0002608059239328","nextFundingTime":"1700755200000","ts":"1700724675402"}]}"#;
    let State::Derivative(state) = only(frame, "BTC-USD-SWAP").state else { panic!() };
    assert_eq!(state.funding_rate, number(1_875_391_284_828, 16));
    assert_eq!(state.next_funding_time, Some(1_700_726_400_000_000_000), "ahead of `ts`");
    let old = r#"{"arg":{"channel":"funding-rate","instId":"BTC-USD-SWAP"},"data":[{"fundingRate":"-0.00007","fundingTime":"1646323200000","instId":"BTC-USD-SWAP","nextFundingRate":""}]}"#;
    assert_eq!(only(old, "BTC-USD-SWAP").times, EventTimes::default());
}

#[test]
fn options_take_their_greeks_by_black_scholes() {
    let frame = r#"{"arg":{"channel":"opt-summary","instFamily":"BTC-USD"},"data":[{"instType":"OPTION","instId":"BTC-USD-200103-5500-C","uly":"BTC-USD","delta":"0.7494223636","gamma":"-0.6765419039","theta":"-0.0000809873","vega":"0.0000077307","deltaBS":"0.7","gammaBS":"0.0004","thetaBS":"-2.5","vegaBS":"13.1","bidVol":"","askVol":"1.8","markVol":"0.65","fwdPx":"8888.5","ts":"1597026383085"}]}"#;
    let expected = OptionState {
        underlying_price: number(88_885, 1),
        mark_iv: number(65, 2),
        ask_iv: number(18, 1),
        delta: number(7, 1),
        gamma: number(4, 4),
        vega: number(131, 1),
        theta: number(-25, 1),
        ..OptionState::default()
    };
    assert_eq!(only(frame, "BTC-USD-200103-5500-C").state, State::Option(expected));
    let mark = r#"{"arg":{"channel":"mark-price","instId":"BTC-USD-200103-5500-C"},"data":[{"instId":"BTC-USD-200103-5500-C","markPx":"0.0125","ts":"1597026383085"}]}"#;
    let expected = OptionState { mark_price: number(125, 4), ..OptionState::default() };
    assert_eq!(only(mark, "BTC-USD-200103-5500-C").state, State::Option(expected), "of an option it is the option's");
    let open = r#"{"arg":{"channel":"open-interest","instId":"BTC-USD-200103-5500-C"},"data":[{"instType":"OPTION","instId":"BTC-USD-200103-5500-C","oi":"45","oiCcy":"0.45","ts":"1597026383085"}]}"#;
    let expected =
        OptionState { open_interest: number(45, 0), open_interest_base: number(45, 2), ..OptionState::default() };
    assert_eq!(only(open, "BTC-USD-200103-5500-C").state, State::Option(expected));
}

#[test]
fn liquidations_name_their_instrument_once_for_all_details() {
    let frame = r#"{"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[{"details":[{"bkLoss":"0","bkPx":"0.007831","ccy":"","posSide":"short","side":"buy","sz":"13","ts":"1692266434010"},{"bkPx":"0.0078","side":"sell","sz":"1","ts":"1692266434011"}],"instFamily":"IOST-USDT","instId":"IOST-USDT-SWAP","instType":"SWAP","uly":"IOST-USDT"}]}"#;
    let rows = read(frame);
    assert!(rows.rows.iter().all(|row| rows.texts.get(row.native) == "IOST-USDT-SWAP"));
    let liquidation =
        |side, price, size| State::Liquidation(Liquidation { id: None, side, price, size, contracts: None });
    assert_eq!(rows.rows[0].state, liquidation(Side::Buy, Decimal::new(7831, 6), Decimal::new(13, 0)));
    assert_eq!(rows.rows[1].state, liquidation(Side::Sell, Decimal::new(78, 4), Decimal::new(1, 0)));
    assert_eq!(rows.rows[1].times, at(1_692_266_434_011));
}

// Fault: X19
#[test]
fn a_liquidation_without_its_price_or_size_costs_no_other_row() {
    let frame = |details: &str| {
        format!(
            r#"{{"arg":{{"channel":"liquidation-orders","instType":"SWAP"}},"data":[{{"details":[{details}],"instId":"A-B-SWAP","instType":"SWAP"}}]}}"#
        )
    };
    let detail =
        |price: &str, size: &str| format!(r#"{{"bkPx":{price},"side":"sell","sz":{size},"ts":"1692266434010"}}"#);
    let good = detail("\"7.5\"", "\"2\"");
    let left_out = [detail("\"\"", "\"1\""), detail("\"1\"", "\"\""), r#"{"side":"buy","sz":"1"}"#.to_owned()];
    for without in &left_out {
        let (decoded, out) = decode(&frame(&format!("{without},{good},{without}")));
        assert_eq!((decoded, out.rows.len()), (Decoded::Event(()), 1), "{without}");
        let State::Liquidation(row) = out.rows[0].state else { panic!("{out:?}") };
        assert_eq!((row.price, row.size), (Decimal::new(75, 1), Decimal::new(2, 0)));
        assert_eq!(out.ignored, [IgnoreReason::ZeroPriceOrSize; 2]);
        assert_eq!(decode(&frame(without)).0, Decoded::Ignored(IgnoreReason::ZeroPriceOrSize), "and alone it is none");
    }
    for damaged in [detail("true", "\"1\""), detail("\"1x\"", "\"1\"")] {
        assert_eq!(decode(&frame(&damaged)).0, Decoded::Rejected(RejectReason::Schema), "{damaged}");
    }
}
