//! Addresses, stream names, requests and their answers (§1, §2, §4).

use serde::Deserialize;

use crate::config::{DepthSpeed, Endpoints, Stream, TradeSource};
use crate::event::{DecodedLevels, Scales};
use crate::exchange::{Answer, Channel, Recorded, RestRequest, RestTold};
use crate::report::RejectReason;

use super::wire;

/// Levels a side of the snapshot that starts a book (§4 step 2).
pub const SNAPSHOT_LEVELS: u32 = 1000;
/// Levels that the reply to a probe may carry; five a side were asked for.
const PROBE_LEVELS: usize = 1000;

/// The two halves of the exchange since 2026: a stream on the wrong one is acknowledged and silent (§1). Books and
/// quotes, and the undocumented `@trade`.
pub(super) const PUBLIC: u8 = 0;
/// Aggregated trades.
pub(super) const MARKET: u8 = 1;

/// The exchange itself.
#[must_use]
pub fn default_endpoints() -> Endpoints {
    Endpoints { ws: "wss://fstream.binance.com".into(), rest: "https://fapi.binance.com".into() }
}

/// Name and family of a stream; `None` where the exchange has none of the kind.
pub(super) fn channel(native: &str, stream: Stream, source: TradeSource, speed: DepthSpeed) -> Option<Channel> {
    let symbol = native.to_lowercase();
    let (family, name) = match stream {
        Stream::Trades => match source {
            TradeSource::Auto | TradeSource::AggTrade => (MARKET, format!("{symbol}@aggTrade")),
            TradeSource::Trade => (PUBLIC, format!("{symbol}@trade")),
        },
        Stream::Bbo => (PUBLIC, format!("{symbol}@bookTicker")),
        Stream::L2 => {
            let suffix = match speed {
                DepthSpeed::Ms0 => "@0ms",
                // `@depth@250ms` written out is acknowledged and never delivers (§1).
                DepthSpeed::Ms250 => "",
                DepthSpeed::Ms500 => "@500ms",
                _ => "@100ms",
            };
            (PUBLIC, format!("{symbol}@depth{suffix}"))
        }
        _ => return None,
    };
    Some(Channel { family, name })
}

/// Address of a connection. The combined form names the stream in every frame.
pub(super) fn url(ws: &str, family: u8) -> String {
    let path = if family == MARKET { "market" } else { "public" };
    format!("{}/{path}/stream", ws.trim_end_matches('/'))
}

/// A SUBSCRIBE frame.
#[must_use]
pub fn subscribe(names: &[&str], id: u64) -> String {
    request("SUBSCRIBE", names, id)
}

/// An UNSUBSCRIBE frame.
#[must_use]
pub fn unsubscribe(names: &[&str], id: u64) -> String {
    request("UNSUBSCRIBE", names, id)
}

/// A question that a living connection must answer.
#[must_use]
pub fn list_subscriptions(id: u64) -> String {
    serde_json::json!({ "method": "LIST_SUBSCRIPTIONS", "id": id }).to_string()
}

fn request(method: &str, names: &[&str], id: u64) -> String {
    serde_json::json!({ "method": method, "params": names, "id": id }).to_string()
}

/// Reads an answer frame; `None` where it is none. The error at the 1025th stream names no request.
#[must_use]
pub fn read_answer(frame: &[u8]) -> Option<Answer> {
    #[derive(Deserialize)]
    struct Refusal {
        code: i64,
        #[serde(default)]
        msg: String,
    }
    #[derive(Deserialize)]
    struct Wire {
        id: Option<u64>,
        error: Option<Refusal>,
        code: Option<i64>,
        msg: Option<String>,
    }
    let Wire { id, error, code, msg } = serde_json::from_slice(frame).ok()?;
    let refusal = error.or_else(|| code.map(|code| Refusal { code, msg: msg.unwrap_or_default() }));
    Some(match refusal {
        Some(Refusal { code, msg }) => Answer::Refused { id, channel: None, code, text: msg },
        None => Answer::Granted { id },
    })
}

/// The snapshot that starts a book.
#[must_use]
pub fn snapshot(rest: &str, native: &str) -> RestRequest {
    RestRequest { url: rest_url(rest, &format!("depth?symbol={native}&limit={SNAPSHOT_LEVELS}")), weight: 20 }
}

/// The top of the book, to tell a quiet one from a dead stream; the last trade, to tell a quiet tape from one.
pub(super) fn probe(rest: &str, native: &str, stream: Stream) -> Option<RestRequest> {
    match stream {
        Stream::Trades => {
            Some(RestRequest { url: rest_url(rest, &format!("aggTrades?symbol={native}&limit=1")), weight: 20 })
        }
        Stream::L2 | Stream::Bbo => {
            Some(RestRequest { url: rest_url(rest, &format!("depth?symbol={native}&limit=5")), weight: 2 })
        }
        _ => None,
    }
}

/// Reads the reply to a probe.
pub(super) fn read_probe(
    body: &[u8],
    stream: Stream,
    aggregated: bool,
    levels: &mut DecodedLevels,
) -> Result<RestTold, RejectReason> {
    if stream == Stream::Trades {
        let (aggregate, fill) = read_last_trade(body).ok_or(RejectReason::Schema)?;
        return Ok(RestTold::Id(if aggregated { aggregate } else { fill }));
    }
    let head = wire::read_snapshot(body, Scales::default(), PROBE_LEVELS, levels)?;
    match (stream, head.last_id) {
        (Stream::L2, Some(last)) => Ok(RestTold::Id(last)),
        _ => Ok(RestTold::top(levels)),
    }
}

/// The reference data.
#[must_use]
pub fn reference(rest: &str) -> RestRequest {
    RestRequest { url: rest_url(rest, "exchangeInfo"), weight: 1 }
}

fn rest_url(rest: &str, path: &str) -> String {
    format!("{}/fapi/v1/{path}", rest.trim_end_matches('/'))
}

/// Tells a recorded reply by the end of its path and its query.
#[must_use]
pub fn recorded_reply(url: &str) -> Option<Recorded<'_>> {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    match path.trim_end_matches('/').rsplit('/').next()? {
        "depth" => query.split('&').find_map(|pair| pair.strip_prefix("symbol=")).map(Recorded::Snapshot),
        "exchangeInfo" => Some(Recorded::Reference),
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
        let named = |stream, source, speed| channel("BTCUSDT_261225", stream, source, speed);
        let expected = |family, name: &str| Some(Channel { family, name: name.into() });
        assert_eq!(
            named(Stream::Trades, TradeSource::Auto, DepthSpeed::Ms100),
            expected(MARKET, "btcusdt_261225@aggTrade")
        );
        assert_eq!(
            named(Stream::Trades, TradeSource::Trade, DepthSpeed::Ms100),
            expected(PUBLIC, "btcusdt_261225@trade")
        );
        assert_eq!(
            named(Stream::L2, TradeSource::Auto, DepthSpeed::Ms250),
            expected(PUBLIC, "btcusdt_261225@depth"),
            "250 ms is the suffix-less default and must not be written out"
        );
        assert_eq!(url("wss://fstream.binance.com/", MARKET), "wss://fstream.binance.com/market/stream");
    }

    #[test]
    fn answers() {
        assert_eq!(read_answer(br#"{"result":null,"id":7}"#), Some(Answer::Granted { id: Some(7) }));
        assert_eq!(
            read_answer(br#"{"error":{"code":4,"msg":"Too many subscriptions"}}"#),
            Some(Answer::Refused { id: None, channel: None, code: 4, text: "Too many subscriptions".into() })
        );
        assert_eq!(read_answer(b"[1,2"), None);
    }

    #[test]
    fn a_recorded_reply_is_told_by_its_path_and_query_whatever_the_host() {
        let depth = "https://testnet.example/fapi/v1/depth?limit=1000&symbol=SUSHIUSDT";
        assert_eq!(recorded_reply(depth), Some(Recorded::Snapshot("SUSHIUSDT")));
        assert_eq!(recorded_reply("https://x/fapi/v1/exchangeInfo"), Some(Recorded::Reference));
        assert_eq!(recorded_reply("https://x/fapi/v1/time"), None);
    }
}
