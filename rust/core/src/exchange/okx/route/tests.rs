use super::*;
use crate::config::EngineConfig;
use crate::exchange::Protocol;
use crate::exchange::okx::Okx;
use crate::symbol::Venue;
use crate::table::InstrumentKind;

const SPOT: (Exchange, Option<InstrumentKind>) = (Exchange::OkxSpot, Some(InstrumentKind::Spot));

fn names(native: &str, market: Exchange, stream: Stream) -> Vec<String> {
    of_kind(native, (market, Okx::name(native).kind), stream)
}

fn of_kind(native: &str, what: (Exchange, Option<InstrumentKind>), stream: Stream) -> Vec<String> {
    let channels = channels(native, what, stream, TradeSource::Auto, DepthSpeed::Auto);
    channels.into_iter().map(|channel| channel.name).collect()
}

#[test]
fn every_stream_has_its_channels() {
    let swap = |stream| names("BTC-USDT-SWAP", Exchange::OkxSwap, stream);
    assert_eq!(swap(Stream::Trades), ["trades:BTC-USDT-SWAP"]);
    assert_eq!(swap(Stream::L2), ["books:BTC-USDT-SWAP"]);
    assert_eq!(swap(Stream::Bbo), ["bbo-tbt:BTC-USDT-SWAP"]);
    assert_eq!(
        swap(Stream::Derivatives),
        [
            "mark-price:BTC-USDT-SWAP",
            "open-interest:BTC-USDT-SWAP",
            "index-tickers:BTC-USDT",
            "funding-rate:BTC-USDT-SWAP"
        ]
    );
    assert_eq!(swap(Stream::Liquidations), ["liquidation-orders:SWAP"]);
    let dated = names("BTC-USD-261225", Exchange::OkxFutures, Stream::Derivatives);
    assert!(!dated.iter().any(|name| name.starts_with("funding-rate")), "refused for what is dated");
    let perpetual = (Exchange::OkxFutures, Some(InstrumentKind::Perpetual));
    let x_perp = of_kind("BTC-USDT-310404", perpetual, Stream::Derivatives);
    assert_eq!(x_perp.last().map(String::as_str), Some("funding-rate:BTC-USDT-310404"));
    let option = "BTC-USD-261225-50000-C";
    assert_eq!(
        names(option, Exchange::OkxOptions, Stream::Options),
        ["opt-summary:BTC-USD".to_owned(), format!("mark-price:{option}"), format!("open-interest:{option}")]
    );
    for market in Okx::MARKETS {
        let native = ["BTC-USDT", "BTC-USDT-SWAP", "BTC-USD-261225", option][*market as usize - 2];
        for stream in Okx::streams(*market) {
            assert!(!names(native, *market, *stream).is_empty(), "{market:?} {stream:?}");
        }
    }
}

#[test]
fn single_trades_are_on_the_other_path_and_fast_books_are_asked_for() {
    let all = channels("BTC-USDT", SPOT, Stream::Trades, TradeSource::Trade, DepthSpeed::Auto);
    assert_eq!(all, [Channel { family: BUSINESS, name: "trades-all:BTC-USDT".into() }]);
    let fast = channels("BTC-USDT", SPOT, Stream::L2, TradeSource::Auto, DepthSpeed::Ms10);
    assert_eq!(fast, [Channel { family: PUBLIC, name: "books-l2-tbt:BTC-USDT".into() }]);
    assert_eq!(url("wss://ws.okx.com:8443/", PUBLIC), "wss://ws.okx.com:8443/ws/v5/public");
    assert_eq!(url("wss://ws.okx.com:8443", BUSINESS), "wss://ws.okx.com:8443/ws/v5/business");
}

#[test]
fn requests_as_documented() {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let books = request("subscribe", &["books:BTC-USDT"], 1512);
    let documented = r#"{"id":"1512","op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}"#;
    assert_eq!(parsed(&books), parsed(documented));
    let rest = request("unsubscribe", &["liquidation-orders:SWAP", "opt-summary:BTC-USD"], 7);
    let expected = r#"{"id":"7","op":"unsubscribe","args":[{"channel":"liquidation-orders","instType":"SWAP"},{"channel":"opt-summary","instFamily":"BTC-USD"}]}"#;
    assert_eq!(parsed(&rest), parsed(expected));
}

#[test]
fn answers() {
    let granted =
        r#"{"id":"1512","event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"a4d3ae55"}"#;
    let channel = || "books:BTC-USDT".to_owned();
    assert_eq!(read_answer(granted.as_bytes()), Some(Answer::GrantedOne { id: Some(1512), channel: channel() }));
    let old = r#"{"event":"subscribe","arg":{"channel":"liquidation-orders","instType":"SWAP"}}"#;
    let expected = Answer::GrantedOne { id: None, channel: "liquidation-orders:SWAP".into() };
    assert_eq!(read_answer(old.as_bytes()), Some(expected));
    let error = r#"{"id":"1512","event":"error","code":"60012","msg":"Invalid request","connId":"a4d3ae55"}"#;
    let refused = |channel| Answer::Refused { id: Some(1512), channel, code: 60012, text: "Invalid request".into() };
    assert_eq!(read_answer(error.as_bytes()), Some(refused(None)));
    let named = error.replace(r#","code""#, r#","arg":{"channel":"books","instId":"BTC-USDT"},"code""#);
    assert_eq!(read_answer(named.as_bytes()), Some(refused(Some(channel()))));
    let notice = r#"{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. Please reconnect.","connId":"a4d3ae55"}"#;
    assert_eq!(read_answer(notice.as_bytes()), Some(Answer::Closing));
    for other in [notice.replace("64008", "64009"), notice.replace(r#""code":"64008","#, "")] {
        assert_eq!(read_answer(other.as_bytes()), Some(Answer::Note), "no other notice ends a connection: {other}");
    }
    let count = r#"{"event":"channel-conn-count","channel":"orders","connCount":"2","connId":"abcd1234"}"#;
    assert_eq!(read_answer(count.as_bytes()), Some(Answer::Note));
    assert_eq!(read_answer(br#"{"event":"something-new"}"#), Some(Answer::Note), "unknown events are no errors");
    assert_eq!(read_answer(b"pong"), Some(Answer::Beat(Beat::Alive)));
    let login = br#"{"event":"login","code":"0","msg":"","connId":"a4d3ae55"}"#;
    assert_eq!(read_answer(login), Some(Answer::LoggedIn { id: None }));
    let instruments = br#"{"arg":{"channel":"instruments","instType":"SPOT"},"data":[{"instId":"BTC-USDT"}]}"#;
    assert_eq!(read_answer(instruments), Some(Answer::ReferenceChanged));
    assert_eq!(read_answer(b"[1,2"), None);
}

#[test]
fn a_login_is_signed() {
    let credentials = Credentials { key: "k".into(), secret: "s".into(), passphrase: "p".into() };
    let Login { text, sign } = login(&credentials, 1_538_054_050_975_000_000, 3);
    let login: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((login["op"].as_str(), login["id"].as_str()), (Some("login"), Some("3")));
    let args = &login["args"][0];
    assert_eq!(args["timestamp"], "1538054050");
    assert_eq!((args["apiKey"].as_str(), args["passphrase"].as_str()), (Some("k"), Some("p")));
    // printf '1538054050GET/users/self/verify' | openssl dgst -sha256 -hmac s -binary | base64
    assert_eq!(args["sign"], "4wFKSrXaG6EYOdbv/KEKJIOMEzKwShv8qgkR1OcPdvE=");
    assert_eq!(args["sign"].as_str(), sign.as_deref());
    assert!(!text.contains("\"s\""));
}

#[test]
fn reference_data_of_the_markets_and_families_that_are_needed() {
    // As the engine asks: of the markets and selections of what the user has written.
    let urls = |symbols: &[&str]| {
        let mut config = EngineConfig::new(Venue::Okx);
        config.symbols = symbols.iter().map(|symbol| (*symbol).to_owned()).collect();
        let requests = reference("https://www.okx.com/", &config.markets(), &config.selections());
        requests.into_iter().map(|request| request.url).collect::<Vec<_>>()
    };
    let of = |kinds: &[&str]| -> Vec<String> {
        kinds.iter().map(|kind| format!("https://www.okx.com/api/v5/public/instruments?instType={kind}")).collect()
    };
    assert_eq!(urls(&["okx-swap:*"]), of(&["SWAP"]));
    assert_eq!(urls(&["okx-options:BTCUSD-261225-100000-C"]), of(&["OPTION&instFamily=BTC-USD"]));
    assert_eq!(
        urls(&["okx-options:SOLUSD-261225-50-C", "okx-options:SOL-USD-261225-60-C", "okx-spot:BTC-USDT"]),
        of(&["SPOT", "OPTION&instFamily=SOL-USD"])
    );
    assert_eq!(
        urls(&["okx:BTC-USDT", "okx-options:*"]),
        of(&["SPOT", "SWAP", "FUTURES", "OPTION&instFamily=BTC-USD", "OPTION&instFamily=ETH-USD"])
    );
    assert_eq!(urls(&["okx:BTC-USDT"]), of(&["SPOT", "SWAP", "FUTURES"]), "nothing of options is meant");
}

#[test]
fn recorded_replies_and_probes() {
    let old = "https://www.okex.com/api/v5/public/instruments?instType=OPTION&uly=BTC-USD";
    assert_eq!(recorded_reply(old), Some(Recorded::Reference));
    assert_eq!(recorded_reply("https://x/api/v5/public/time"), None);
    assert_eq!(
        last_trade("https://www.okx.com", "BTC-USDT").url,
        "https://www.okx.com/api/v5/market/trades?instId=BTC-USDT&limit=1"
    );
    assert_eq!(
        trades_page("https://www.okx.com/", "BTC-USDT", 7, 9).url,
        "https://www.okx.com/api/v5/market/history-trades?instId=BTC-USDT&type=1&after=10&before=6&limit=100"
    );
    assert!(trades_page("h", "BTC-USDT", 1000, 5000).url.contains("&after=1100&before=999&"), "no more than a page");
    let reply = br#"{"code":"0","msg":"","data":[{"instId":"BTC-USDT","side":"sell","sz":"0.00001","px":"29963.2","tradeId":"242720720","ts":"1654161646974"}]}"#;
    assert_eq!(read_last_trade(reply), Ok(242_720_720));
    assert_eq!(read_last_trade(br#"{"code":"51001","data":[],"msg":"no such instrument"}"#), Err(RejectReason::Schema));
}
