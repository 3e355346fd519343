#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::EngineConfig;
use crate::symbol::Venue;

fn config(login: bool, depth_speed: DepthSpeed) -> EngineConfig {
    EngineConfig { login, depth_speed, ..EngineConfig::new(Venue::Deribit) }
}

#[test]
fn raw_is_for_who_is_logged_in() {
    for (login, speed, interval) in [
        (false, DepthSpeed::Auto, "100ms"),
        (true, DepthSpeed::Auto, "raw"),
        (true, DepthSpeed::Raw, "raw"),
        (false, DepthSpeed::Raw, "100ms"),
        (true, DepthSpeed::Ms100, "100ms"),
        (false, DepthSpeed::Agg2, "agg2"),
    ] {
        let config = config(login, speed);
        let name =
            |stream| channel("BTC-PERPETUAL", Exchange::Deribit, None, stream, &config).map(|channel| channel.name);
        assert_eq!(name(Stream::L2), Some(format!("book.BTC-PERPETUAL.{interval}")));
        assert_eq!(name(Stream::Trades), Some(format!("trades.BTC-PERPETUAL.{interval}")));
        assert_eq!(name(Stream::Liquidations), name(Stream::Trades));
        assert_eq!(name(Stream::Derivatives), Some(format!("ticker.BTC-PERPETUAL.{interval}")));
        assert_eq!(name(Stream::Bbo), Some("quote.BTC-PERPETUAL".into()));
        assert_eq!(name(Stream::Options), None, "a perpetual has no volatility");
    }
}

#[test]
fn options_and_spot() {
    let config = config(false, DepthSpeed::Auto);
    let name = |native, market, stream| channel(native, market, None, stream, &config).map(|channel| channel.name);
    let option = "BTC-25DEC26-100000-C";
    let ticker = Some(format!("ticker.{option}.100ms"));
    assert_eq!(name(option, Exchange::Deribit, Stream::Options), ticker);
    assert_eq!(name(option, Exchange::Deribit, Stream::Derivatives), ticker);
    // §2: a combination of options tells no greeks, whether its name or the reference data say what it is.
    for kind in [None, Some(InstrumentKind::Other)] {
        assert_eq!(channel("BTC-FS-25DEC26_PERP", Exchange::Deribit, kind, Stream::Options, &config), None);
    }
    for stream in [Stream::Derivatives, Stream::Options, Stream::Liquidations, Stream::L2Top] {
        assert_eq!(name("BTC_USDC", Exchange::DeribitSpot, stream), None);
    }
}

#[test]
fn requests() {
    let parsed = |text: String| serde_json::from_str::<Value>(&text).unwrap();
    let subscribe = parsed(subscribe(&["book.X.raw", "quote.X"], 7));
    assert_eq!((&subscribe["id"], &subscribe["method"]), (&json!(7), &json!("public/subscribe")));
    assert_eq!(subscribe["params"]["channels"], json!(["book.X.raw", "quote.X"]));
    assert_eq!(parsed(unsubscribe(&["quote.X"], 8))["method"], "public/unsubscribe");
    let heartbeat = parsed(set_heartbeat(1));
    assert!((10..=30).contains(&heartbeat["params"]["interval"].as_u64().unwrap()), "{heartbeat}");
    let credentials = Credentials { key: "me".into(), secret: "\"s3cret".into(), passphrase: String::new() };
    let login = parsed(login(&credentials, 3).text);
    assert_eq!((&login["params"]["client_id"], &login["params"]["client_secret"]), (&json!("me"), &json!("\"s3cret")));
    assert_eq!(url("wss://www.deribit.com/"), "wss://www.deribit.com/ws/api/v2");
}

#[test]
fn answers() {
    let read = |text: &str| read_answer(text.as_bytes());
    assert_eq!(
        read(r#"{"jsonrpc":"2.0","id":2,"result":["quote.X"],"usIn":1}"#),
        Some(Answer::GrantedOnly { id: Some(2), channels: vec!["quote.X".into()] })
    );
    assert_eq!(read(r#"{"jsonrpc":"2.0","id":3,"result":"ok"}"#), Some(Answer::Granted { id: Some(3) }));
    assert_eq!(read(r#"{"id":4,"result":{"version":"1.2"}}"#), Some(Answer::Granted { id: Some(4) }));
    assert_eq!(
        read(r#"{"id":5,"result":{"access_token":"***","expires_in":9}}"#),
        Some(Answer::LoggedIn { id: Some(5) })
    );
    let refused = |id, code, text: &str| Some(Answer::Refused { id, channel: None, code, text: text.into() });
    assert_eq!(
        read(r#"{"id":2,"error":{"code":13778,"message":"raw_subscriptions_not_available_for_unauthorized"}}"#),
        refused(Some(2), 13778, "raw_subscriptions_not_available_for_unauthorized")
    );
    assert_eq!(
        read(r#"{"id":null,"error":{"code":-32602,"message":"Invalid params","data":{"reason":"must be a list"}}}"#),
        refused(None, -32602, "Invalid params: must be a list")
    );
    assert_eq!(read(r#"{"params":{"type":"heartbeat"},"method":"heartbeat"}"#), Some(Answer::Beat(Beat::Alive)));
    let Some(Answer::Beat(Beat::Wanted(text))) = read(r#"{"params":{"type":"test_request"},"method":"heartbeat"}"#)
    else {
        panic!("a test request wants an answer")
    };
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["method"], "public/test");
    let notice = |channel: &str| {
        read(&format!(r#"{{"method":"subscription","params":{{"channel":"{channel}","data":{{"locked":true}}}}}}"#))
    };
    assert_eq!(notice("instrument.state.any.any"), Some(Answer::ReferenceChanged));
    assert_eq!(notice("instrument.creation.option.BTC"), Some(Answer::ReferenceChanged));
    assert_eq!(notice("platform_state"), Some(Answer::Note));
    assert_eq!(notice("quote.X"), None);
    assert_eq!(read(r#"{"method":"connection_too_slow"}"#), Some(Answer::Closing));
    for text in ["", "[1,2", "{}", "7", r#"{"id":1}"#] {
        assert_eq!(read(text), None, "{text}");
    }
}

// Fault: Z05
#[test]
fn tokens_of_a_login_are_blanked_and_nothing_else() {
    let reply = r#"{"id":5,"result":{"access_token":"a.b-c","expires_in":900,"refresh_token" : "zz9","scope":"x"}}"#;
    let blanked = blank_secrets(reply.as_bytes()).unwrap();
    assert_eq!(
        String::from_utf8(blanked.clone()).unwrap(),
        r#"{"id":5,"result":{"access_token":"*****","expires_in":900,"refresh_token" : "***","scope":"x"}}"#
    );
    assert_eq!(read_answer(&blanked), Some(Answer::LoggedIn { id: Some(5) }));
    for plain in [r#"{"id":5,"result":["quote.X"]}"#, r#"{"access_token":7}"#, r#"{"access_token""#, ""] {
        assert_eq!(blank_secrets(plain.as_bytes()), None, "{plain}");
    }
    assert_eq!(blank_secrets(br#""access_token":"torn"#).unwrap(), br#""access_token":"****"#);
}

#[test]
fn probes() {
    let rest = "https://www.deribit.com/";
    let url = |stream| probe(rest, "BTC-PERPETUAL", stream).map(|request| request.url);
    assert_eq!(
        url(Stream::Trades).as_deref(),
        Some(
            "https://www.deribit.com/api/v2/public/get_last_trades_by_instrument?instrument_name=BTC-PERPETUAL&count=1"
        )
    );
    assert_eq!(url(Stream::L2), url(Stream::Bbo));
    assert_eq!(url(Stream::Derivatives), None);
    let base = "https://www.deribit.com/api/v2/public/get_last_trades_by_instrument?instrument_name=BTC-PERPETUAL";
    let page = |first, last| trades_page(rest, "BTC-PERPETUAL", first, last).url;
    assert_eq!(page(7, 9), format!("{base}&start_seq=7&end_seq=9&count=1000&sorting=asc"));
    assert_eq!(page(7, 5000), format!("{base}&start_seq=7&end_seq=1006&count=1000&sorting=asc"), "no more than a page");
    let mut levels = DecodedLevels::default();
    let mut told = |body: &str, stream| read_probe(body.as_bytes(), stream, &mut levels);
    let trades = r#"{"result":{"trades":[{"trade_seq":41,"price":1.0}],"has_more":true}}"#;
    assert_eq!(told(trades, Stream::Trades), Ok(RestTold::Id(41)));
    assert_eq!(told(r#"{"result":{"trades":[],"has_more":false}}"#, Stream::Trades), Ok(RestTold::Id(0)));
    let book = r#"{"result":{"change_id":9,"bids":[[1.5,2.0e3]],"asks":[]}}"#;
    assert_eq!(told(book, Stream::L2), Ok(RestTold::Id(9)));
    let number = crate::decimal::Decimal::new;
    assert_eq!(told(book, Stream::Bbo), Ok(RestTold::Top((Some((number(15, 1), number(2000, 0))), None))));
    for body in ["{}", r#"{"result":{}}"#, r#"{"error":{"code":10028,"message":"too_many_requests"}}"#, "<html>"] {
        assert!(told(body, Stream::Trades).is_err() && told(body, Stream::L2).is_err(), "{body}");
    }
}

#[test]
fn a_recorded_reply_is_told_by_its_path_whatever_the_host() {
    assert_eq!(recorded_reply(&reference("http://x").url), Some(Recorded::Reference));
    assert_eq!(recorded_reply("https://x/api/v2/public/get_instruments/"), Some(Recorded::Reference));
    assert_eq!(recorded_reply("https://x/api/v2/public/get_order_book?instrument_name=X"), None);
}
