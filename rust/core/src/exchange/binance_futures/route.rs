//! Addresses, stream names, requests and their answers (§1, §2, §4).

use serde::Deserialize;

use crate::config::{DepthSpeed, Endpoints, Stream, TradeSource};

/// Streams of one connection. The exchange takes 1024 and cuts the whole connection at the 1025th; symbols are
/// spread earlier, because one socket's latency grows with its streams (§6).
pub const STREAMS_PER_CONNECTION: usize = 200;
/// Levels a side of the snapshot that starts a book (§4 step 2).
pub const SNAPSHOT_LEVELS: u32 = 1000;

/// The two halves of the exchange since 2026: a stream on the wrong one is acknowledged and silent (§1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Books and quotes, and the undocumented `@trade`.
    Public,
    /// Aggregated trades.
    Market,
}

/// The exchange itself.
#[must_use]
pub fn default_endpoints() -> Endpoints {
    Endpoints { ws: "wss://fstream.binance.com".into(), rest: "https://fapi.binance.com".into() }
}

/// Name and family of a stream.
#[must_use]
pub fn stream_name(native: &str, stream: Stream, source: TradeSource, speed: DepthSpeed) -> (Family, String) {
    let symbol = native.to_lowercase();
    match stream {
        Stream::Trades => match source {
            TradeSource::Auto | TradeSource::AggTrade => (Family::Market, format!("{symbol}@aggTrade")),
            TradeSource::Trade => (Family::Public, format!("{symbol}@trade")),
        },
        Stream::Bbo => (Family::Public, format!("{symbol}@bookTicker")),
        Stream::L2 => {
            let suffix = match speed {
                DepthSpeed::Ms0 => "@0ms",
                DepthSpeed::Ms100 => "@100ms",
                // `@depth@250ms` written out is acknowledged and never delivers (§1).
                DepthSpeed::Ms250 => "",
                DepthSpeed::Ms500 => "@500ms",
            };
            (Family::Public, format!("{symbol}@depth{suffix}"))
        }
    }
}

/// Address of a connection. The combined form names the stream in every frame.
#[must_use]
pub fn url(ws: &str, family: Family) -> String {
    let path = match family {
        Family::Public => "public",
        Family::Market => "market",
    };
    format!("{}/{path}/stream", ws.trim_end_matches('/'))
}

/// A SUBSCRIBE frame.
#[must_use]
pub fn subscribe<'a>(names: impl Iterator<Item = &'a str>, id: u64) -> String {
    request("SUBSCRIBE", names, id)
}

/// An UNSUBSCRIBE frame.
#[must_use]
pub fn unsubscribe<'a>(names: impl Iterator<Item = &'a str>, id: u64) -> String {
    request("UNSUBSCRIBE", names, id)
}

/// A question that a living connection must answer.
#[must_use]
pub fn list_subscriptions(id: u64) -> String {
    serde_json::json!({ "method": "LIST_SUBSCRIPTIONS", "id": id }).to_string()
}

fn request<'a>(method: &str, names: impl Iterator<Item = &'a str>, id: u64) -> String {
    let params: Vec<&str> = names.collect();
    serde_json::json!({ "method": method, "params": params, "id": id }).to_string()
}

/// What the exchange answered to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The request's id, where the answer names it (the error at the 1025th stream does not).
    pub id: Option<u64>,
    /// Set where it was refused.
    pub refused: bool,
}

/// Reads an answer frame; `None` where it is none.
#[must_use]
pub fn read_answer(frame: &[u8]) -> Option<Answer> {
    #[derive(Deserialize)]
    struct Wire {
        id: Option<u64>,
        error: Option<serde::de::IgnoredAny>,
        code: Option<i64>,
    }
    let wire: Wire = serde_json::from_slice(frame).ok()?;
    Some(Answer { id: wire.id, refused: wire.error.is_some() || wire.code.is_some() })
}

/// A REST request: path with query, and its weight (§2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestRequest {
    /// Whole URL.
    pub url: String,
    /// Weight in the shared pool of 2400 per minute and address.
    pub weight: u32,
}

/// The snapshot that starts a book.
#[must_use]
pub fn snapshot(rest: &str, native: &str) -> RestRequest {
    RestRequest { url: rest_url(rest, &format!("depth?symbol={native}&limit={SNAPSHOT_LEVELS}")), weight: 20 }
}

/// The top of the book, to tell a quiet book from a dead stream.
#[must_use]
pub fn probe_book(rest: &str, native: &str) -> RestRequest {
    RestRequest { url: rest_url(rest, &format!("depth?symbol={native}&limit=5")), weight: 2 }
}

/// The last trade, to tell a quiet tape from a dead stream.
#[must_use]
pub fn probe_trades(rest: &str, native: &str) -> RestRequest {
    RestRequest { url: rest_url(rest, &format!("aggTrades?symbol={native}&limit=1")), weight: 20 }
}

/// The reference data.
#[must_use]
pub fn reference(rest: &str) -> RestRequest {
    RestRequest { url: rest_url(rest, "exchangeInfo"), weight: 1 }
}

fn rest_url(rest: &str, path: &str) -> String {
    format!("{}/fapi/v1/{path}", rest.trim_end_matches('/'))
}

/// What a recorded reply answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordedReply<'a> {
    /// A snapshot of this native symbol.
    Snapshot(&'a str),
    /// The reference data.
    Reference,
}

/// Tells a recorded reply by the end of its path and its query.
#[must_use]
pub fn recorded_reply(url: &str) -> Option<RecordedReply<'_>> {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    match path.trim_end_matches('/').rsplit('/').next()? {
        "depth" => query.split('&').find_map(|pair| pair.strip_prefix("symbol=")).map(RecordedReply::Snapshot),
        "exchangeInfo" => Some(RecordedReply::Reference),
        _ => None,
    }
}

/// Last trade of an `aggTrades` reply: aggregate id and last fill id.
#[must_use]
pub fn read_last_trade(body: &[u8]) -> Option<(i64, i64)> {
    #[derive(Deserialize)]
    struct Row {
        a: i64,
        l: i64,
    }
    let rows: Vec<Row> = serde_json::from_slice(body).ok()?;
    rows.last().map(|row| (row.a, row.l))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_go_to_the_half_of_the_exchange_that_delivers_them() {
        let name = |stream, source, speed| stream_name("BTCUSDT_261225", stream, source, speed);
        assert_eq!(
            name(Stream::Trades, TradeSource::Auto, DepthSpeed::Ms100),
            (Family::Market, "btcusdt_261225@aggTrade".into())
        );
        assert_eq!(
            name(Stream::Trades, TradeSource::Trade, DepthSpeed::Ms100),
            (Family::Public, "btcusdt_261225@trade".into())
        );
        assert_eq!(
            name(Stream::L2, TradeSource::Auto, DepthSpeed::Ms250),
            (Family::Public, "btcusdt_261225@depth".into()),
            "250 ms is the suffix-less default and must not be written out"
        );
        assert_eq!(url("wss://fstream.binance.com/", Family::Market), "wss://fstream.binance.com/market/stream");
    }

    #[test]
    fn answers() {
        assert_eq!(read_answer(br#"{"result":null,"id":7}"#), Some(Answer { id: Some(7), refused: false }));
        assert_eq!(
            read_answer(br#"{"error":{"code":4,"msg":"Too many subscriptions"}}"#),
            Some(Answer { id: None, refused: true })
        );
        assert_eq!(read_answer(b"[1,2"), None);
    }

    #[test]
    fn a_recorded_reply_is_told_by_its_path_and_query_whatever_the_host() {
        let depth = "https://testnet.example/fapi/v1/depth?limit=1000&symbol=SUSHIUSDT";
        assert_eq!(recorded_reply(depth), Some(RecordedReply::Snapshot("SUSHIUSDT")));
        assert_eq!(recorded_reply("https://x/fapi/v1/exchangeInfo"), Some(RecordedReply::Reference));
        assert_eq!(recorded_reply("https://x/fapi/v1/time"), None);
    }
}
