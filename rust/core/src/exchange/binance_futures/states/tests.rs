#![allow(clippy::unwrap_used)]
use super::*;
use crate::decimal::Decimal;
use crate::exchange::reader::WireReader;
use crate::exchange::{Head, Peek, Protocol};

/// What the reader makes of a frame: the verdict, and of each row the name and the rest.
fn read(frame: &str) -> (Decoded<()>, Vec<(String, StateRow)>) {
    let Peek::Event(head) = <BinanceFutures as Protocol>::peek(frame.as_bytes()) else { panic!("{frame}") };
    assert_eq!(Head { resume: 0, ..head }, Head::of_states("", None), "{frame}");
    let mut reader = WireReader::default();
    let message = reader.read::<BinanceFutures>(frame.as_bytes()).unwrap();
    let Peek::Event(head) = message.peek() else { panic!("{:?}: {frame}", message.peek()) };
    assert_eq!(head, Head::of_states("", None));
    let mut out = StateRows::default();
    let decoded = message.states::<BinanceFutures>(&mut out);
    (decoded, out.rows.iter().map(|row| (out.texts.get(row.native).to_owned(), *row)).collect())
}

fn mark(symbol: &str, rest: &str) -> String {
    format!(
        r#"{{"e":"markPriceUpdate","E":1789487999001,"s":"{symbol}","p":"76888.10000000","ap":"76887.5","P":"76900.1",{rest}}}"#
    )
}

fn number(text: &str) -> Option<Decimal> {
    Some(decimal(text.as_bytes(), 0).unwrap())
}

/// What the reader makes of a reply about open interest.
fn open_interest(body: &str) -> Result<(String, StateRow), RejectReason> {
    let mut out = StateRows::default();
    <BinanceFutures as Protocol>::read_poll(body.as_bytes(), &mut out)?;
    let row = out.rows.pop().expect("one row");
    Ok((out.texts.get(row.native).to_owned(), row))
}

#[test]
fn open_interest_as_the_manual_describes_it() {
    let (symbol, row) =
        open_interest(r#"{"symbol":"BTCUSDT","openInterest":"10659.509","time":1589437530011}"#).unwrap();
    let derivative = Derivative { open_interest: number("10659.509"), ..Derivative::default() };
    assert_eq!((symbol.as_str(), row.state), ("BTCUSDT", State::Derivative(derivative)));
    assert_eq!(row.times, EventTimes { event: Some(1_589_437_530_011_000_000), venue: None, odd: false });
    assert_ne!(row.feed, MARK_PRICE_FEED, "each is newer or older than its own kind");
    for (bad, reason) in [
        (r#"{"code":-1121,"msg":"Invalid symbol."}"#, RejectReason::Schema),
        (r#"{"symbol":"","openInterest":"1","time":1}"#, RejectReason::Schema),
        (r#"{"symbol":"BTCUSDT","time":1}"#, RejectReason::Schema),
        (r#"{"symbol":"BTCUSDT","openInterest":"-1","time":1}"#, RejectReason::Range),
        (r#"{"symbol":"BTCUSDT","openInterest":"1"}"#, RejectReason::Schema),
        (r#"{"symbol":"BTCUSDT","openInterest":"1","time":"#, RejectReason::Json),
        ("[]", RejectReason::Schema),
    ] {
        assert_eq!(open_interest(bad), Err(reason), "{bad}");
    }
}

const FUNDED: &str = r#""i":"76885.25","r":"0.00008900","T":1789488000000,"st":1"#;

#[test]
fn a_mark_price_as_the_manual_describes_it() {
    let sent = Some(1_789_487_999_001_000_000);
    let derivative = Derivative {
        mark_price: number("76888.1"),
        index_price: number("76885.25"),
        funding_rate: number("0.000089"),
        next_funding_time: Some(1_789_488_000_000_000_000),
        ..Derivative::default()
    };
    let raw = mark("BTCUSDT", FUNDED);
    for frame in [raw.clone(), format!(r#"{{"stream":"btcusdt@markPrice@1s","data":{raw}}}"#)] {
        let (decoded, rows) = read(&frame);
        assert_eq!(decoded, Decoded::Event(()));
        let [(symbol, row)] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!((symbol.as_str(), row.state), ("BTCUSDT", State::Derivative(derivative)));
        assert_eq!(row.times, EventTimes { event: sent, venue: sent, odd: false }, "T is the time of the funding");
    }
}

#[test]
fn an_array_holds_rows_of_both_families_and_of_symbols_without_funding() {
    let rows = [
        mark("BTCUSDT", FUNDED),
        mark("BTCUSD_PERP", &FUNDED.replace("\"st\":1", "\"st\":2")),
        mark("BTCUSDT_261225", r#""i":"76885.25","r":"","T":0,"st":1"#),
        mark("TSLAUSDT", r#""i":"","r":"0.00000000","T":0"#),
    ];
    let array = format!("[{}]", rows.join(","));
    for frame in [array.clone(), format!(r#"{{"stream":"!markPrice@arr@1s","data":{array}}}"#)] {
        let (decoded, rows) = read(&frame);
        assert_eq!(decoded, Decoded::Event(()));
        let symbols: Vec<&str> = rows.iter().map(|(symbol, _)| symbol.as_str()).collect();
        assert_eq!(symbols, ["BTCUSDT", "BTCUSDT_261225", "TSLAUSDT"]);
        let State::Derivative(dated) = rows[1].1.state else { panic!("{rows:?}") };
        assert_eq!((dated.funding_rate, dated.next_funding_time), (None, None));
        let State::Derivative(stock) = rows[2].1.state else { panic!("{rows:?}") };
        assert_eq!((stock.index_price, stock.funding_rate), (None, None), "0 is no rate where there is no funding");
    }
    let foreign = format!("[{}]", mark("BTCUSD_PERP", "\"st\":2"));
    assert_eq!(read(&foreign), (Decoded::Ignored(IgnoreReason::OtherProduct), vec![]));
}

fn force_order(side: &str, average: &str, filled: &str) -> String {
    format!(
        r#"{{"e":"forceOrder","E":1568014460893,"o":{{"s":"BTCUSDT","S":"{side}","o":"LIMIT","f":"IOC","q":"0.020","p":"9900","ap":"{average}","X":"FILLED","l":"0.006","z":"{filled}","T":1568014460890}}}}"#
    )
}

#[test]
fn a_liquidation_is_what_was_filled_at_the_average_price() {
    let raw = force_order("SELL", "9910.5", "0.014");
    for frame in [raw.clone(), format!(r#"{{"stream":"!forceOrder@arr","data":{raw}}}"#)] {
        let (decoded, rows) = read(&frame);
        assert_eq!(decoded, Decoded::Event(()));
        let [(symbol, row)] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!(symbol, "BTCUSDT");
        let (price, size) = (number("9910.5").unwrap(), number("0.014").unwrap());
        assert_eq!(
            row.state,
            State::Liquidation(Liquidation { id: None, side: Side::Sell, price, size, contracts: None })
        );
        let times =
            EventTimes { event: Some(1_568_014_460_890_000_000), venue: Some(1_568_014_460_893_000_000), odd: false };
        assert_eq!(row.times, times);
    }
    let unfilled = force_order("BUY", "0", "0");
    assert_eq!(read(&unfilled).0, Decoded::Ignored(IgnoreReason::ZeroPriceOrSize));
}

// Fault: B06
#[test]
fn what_cannot_be_read_is_refused_whole() {
    for frame in [
        force_order("LONG", "1", "1"),
        force_order("BUY", "NaN", "1"),
        mark("", FUNDED),
        mark("BTCUSDT", r#""i":"76885.25","r":"0.1","T":"soon""#),
        format!("[{},7]", mark("BTCUSDT", FUNDED)),
    ] {
        assert_eq!(read(&frame).0, Decoded::Rejected(RejectReason::Schema), "{frame}");
    }
}
