//! Requests and answers, on the socket and by REST (§1, §2, §4 of both manuals).

use serde::Deserialize;

use super::{Dialect, wire};
use crate::config::{DepthSpeed, Stream};
use crate::event::{DecodedLevels, Scales};
use crate::exchange::{Answer, Recorded, RestRequest, RestTold};
use crate::report::RejectReason;

/// Levels that the reply to a probe may carry; five a side were asked for.
const PROBE_LEVELS: usize = 1000;

/// Trades in one reply (spot §3).
const PAGE: i64 = 1000;

/// What REST requests weigh, and how many levels a snapshot has.
pub struct Weights {
    /// Levels a side of the snapshot that starts a book.
    pub(crate) snapshot_levels: u32,
    /// That snapshot.
    pub(crate) snapshot: u32,
    /// Five levels a side.
    pub(crate) top: u32,
    /// `aggTrades`, of any length.
    pub(crate) aggregates: u32,
    /// `historicalTrades`, where it is public.
    pub(crate) fills: Option<u32>,
    /// `exchangeInfo`.
    pub(crate) reference: u32,
    /// `openInterest`, where there is such a thing.
    pub(crate) open_interest: Option<u32>,
}

/// What stands behind `@depth` for a speed.
pub(crate) fn suffix_of(speed: DepthSpeed) -> &'static str {
    match speed {
        DepthSpeed::Ms0 => "@0ms",
        // The markets' defaults have no suffix; futures' `@depth@250ms` written out is acknowledged and never delivers
        // (futures §1).
        DepthSpeed::Ms250 | DepthSpeed::Ms1000 => "",
        DepthSpeed::Ms500 => "@500ms",
        _ => "@100ms",
    }
}

/// A SUBSCRIBE or UNSUBSCRIBE frame. A channel of several streams is named as in an address: `a/b` (spot §1).
pub(super) fn frame(method: &str, names: &[&str], id: u64) -> String {
    let streams: Vec<&str> = names.iter().flat_map(|name| name.split('/')).collect();
    serde_json::json!({ "method": method, "params": streams, "id": id }).to_string()
}

/// A question that a living connection must answer.
pub(super) fn list_subscriptions(id: u64) -> String {
    serde_json::json!({ "method": "LIST_SUBSCRIPTIONS", "id": id }).to_string()
}

/// Reads an answer frame; `None` where it is none. The error at the 1025th stream names no request.
pub(super) fn read_answer(frame: &[u8]) -> Option<Answer> {
    #[derive(Deserialize)]
    struct Refusal {
        code: i64,
        #[serde(default)]
        msg: String,
    }
    #[derive(Deserialize)]
    struct Event {
        e: Option<String>,
    }
    #[derive(Deserialize)]
    struct Wire {
        id: Option<u64>,
        error: Option<Refusal>,
        code: Option<i64>,
        msg: Option<String>,
        e: Option<String>,
        data: Option<Event>,
    }
    let Wire { id, error, code, msg, e, data } = serde_json::from_slice(frame).ok()?;
    if e.or_else(|| data?.e).as_deref() == Some(super::peek::SHUTDOWN) {
        return Some(Answer::Closing);
    }
    let refusal = error.or_else(|| code.map(|code| Refusal { code, msg: msg.unwrap_or_default() }));
    Some(match refusal {
        Some(Refusal { code, msg }) => Answer::Refused { id, channel: None, code, text: msg },
        None => Answer::Granted { id },
    })
}

/// Aggregates of more than 48 hours ago: the search window is restricted (futures §2).
const TOO_OLD: i64 = -4166;

/// The first id that was asked for is too old.
pub(super) fn is_forgotten(body: &[u8]) -> bool {
    matches!(read_answer(body), Some(Answer::Refused { code: TOO_OLD, .. }))
}

/// The snapshot that starts a book.
pub(super) fn snapshot<D: Dialect>(rest: &str, native: &str) -> RestRequest {
    let Weights { snapshot_levels, snapshot, .. } = D::WEIGHTS;
    request::<D>(rest, &format!("depth?symbol={native}&limit={snapshot_levels}"), snapshot)
}

/// The top of the book, to tell a quiet one from a dead stream; the last trade, to tell a quiet tape from one.
pub(super) fn probe<D: Dialect>(rest: &str, native: &str, stream: Stream) -> Option<RestRequest> {
    match stream {
        Stream::Trades => {
            Some(request::<D>(rest, &format!("aggTrades?symbol={native}&limit=1"), D::WEIGHTS.aggregates))
        }
        Stream::L2 | Stream::Bbo => Some(request::<D>(rest, &format!("depth?symbol={native}&limit=5"), D::WEIGHTS.top)),
        _ => None,
    }
}

/// Reads the reply to a probe.
pub(super) fn read_probe<D: Dialect>(
    body: &[u8],
    stream: Stream,
    aggregated: bool,
    levels: &mut DecodedLevels,
) -> Result<RestTold, RejectReason> {
    if stream == Stream::Trades {
        let (aggregate, fill) = read_last_trade(body).ok_or(RejectReason::Schema)?;
        return Ok(RestTold::Id(if aggregated { aggregate } else { fill }));
    }
    let head = wire::read_snapshot::<D>(body, Scales::default(), PROBE_LEVELS, levels)?;
    match (stream, head.last_id) {
        (Stream::L2, Some(last)) => Ok(RestTold::Id(last)),
        _ => Ok(RestTold::top(levels)),
    }
}

/// Last trade of an `aggTrades` reply: aggregate id and last fill id.
fn read_last_trade(body: &[u8]) -> Option<(i64, i64)> {
    #[derive(Deserialize)]
    struct Row {
        a: i64,
        l: i64,
    }
    let rows: Vec<Row> = serde_json::from_slice(body).ok()?;
    rows.last().map(|row| (row.a, row.l))
}

/// Open interest, which no socket tells (futures §5).
pub(super) fn poll<D: Dialect>(rest: &str, native: &str, stream: Stream) -> Option<RestRequest> {
    let weight = D::WEIGHTS.open_interest.filter(|_| stream == Stream::Derivatives)?;
    Some(request::<D>(rest, &format!("openInterest?symbol={native}"), weight))
}

/// A page of past trades (spot §3, futures §2). Single fills of futures have ids that `aggTrades` bounds only, and their
/// own rows nobody tells without an account.
pub(super) fn trades_page<D: Dialect>(
    rest: &str,
    native: &str,
    aggregated: bool,
    first: i64,
    last: i64,
) -> Option<RestRequest> {
    let (path, weight) =
        if aggregated { ("aggTrades", D::WEIGHTS.aggregates) } else { ("historicalTrades", D::WEIGHTS.fills?) };
    let limit = last.saturating_sub(first).saturating_add(1).clamp(1, PAGE);
    Some(request::<D>(rest, &format!("{path}?symbol={native}&fromId={first}&limit={limit}"), weight))
}

/// The reference data.
pub(super) fn reference<D: Dialect>(rest: &str) -> RestRequest {
    request::<D>(rest, "exchangeInfo", D::WEIGHTS.reference)
}

fn request<D: Dialect>(rest: &str, path: &str, weight: u32) -> RestRequest {
    RestRequest { url: format!("{}{}/{path}", rest.trim_end_matches('/'), D::API), weight }
}

/// Tells a recorded reply by the end of its path and its query.
pub(super) fn recorded(url: &str) -> Option<Recorded<'_>> {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    match path.trim_end_matches('/').rsplit('/').next()? {
        "depth" => query.split('&').find_map(|pair| pair.strip_prefix("symbol=")).map(Recorded::Snapshot),
        "exchangeInfo" => Some(Recorded::Reference),
        "openInterest" => Some(Recorded::State),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Protocol;
    use crate::exchange::binance_futures::BinanceFutures;
    use crate::exchange::binance_spot::BinanceSpot;

    #[test]
    fn a_channel_of_two_streams_is_asked_for_by_both() {
        assert_eq!(
            BinanceSpot::subscribe(&["btcusdt@trade/btcusdt@blockTrade", "btcusdt@depth"], 3),
            r#"{"id":3,"method":"SUBSCRIBE","params":["btcusdt@trade","btcusdt@blockTrade","btcusdt@depth"]}"#
        );
    }

    #[test]
    fn answers() {
        assert_eq!(read_answer(br#"{"result":null,"id":7}"#), Some(Answer::Granted { id: Some(7) }));
        let refused = |id, code, text: &str| Some(Answer::Refused { id, channel: None, code, text: text.into() });
        assert_eq!(
            read_answer(br#"{"error":{"code":4,"msg":"Too many subscriptions"}}"#),
            refused(None, 4, "Too many subscriptions")
        );
        assert_eq!(
            read_answer(br#"{"code":2,"msg":"Invalid request: unknown variant","id":1}"#),
            refused(Some(1), 2, "Invalid request: unknown variant")
        );
        assert_eq!(read_answer(b"[1,2"), None);
    }

    #[test]
    fn the_exchange_announces_its_own_stop_raw_and_combined() {
        let raw = r#"{"e":"serverShutdown","E":1770123456789}"#;
        assert_eq!(read_answer(raw.as_bytes()), Some(Answer::Closing));
        let combined = format!(r#"{{"stream":"!serverShutdown","data":{raw}}}"#);
        assert_eq!(read_answer(combined.as_bytes()), Some(Answer::Closing));
    }

    #[test]
    fn a_recorded_reply_is_told_by_its_path_and_query_whatever_the_host() {
        let depth = "https://testnet.example/fapi/v1/depth?limit=1000&symbol=SUSHIUSDT";
        assert_eq!(recorded(depth), Some(Recorded::Snapshot("SUSHIUSDT")));
        assert_eq!(recorded("https://www.example/api/v1/depth?symbol=DOTUSDT"), Some(Recorded::Snapshot("DOTUSDT")));
        assert_eq!(recorded("https://x/fapi/v1/exchangeInfo"), Some(Recorded::Reference));
        assert_eq!(recorded("https://x/fapi/v1/openInterest?symbol=BTCUSDT"), Some(Recorded::State));
        assert_eq!(recorded("https://x/futures/data/openInterestHist?symbol=BTCUSDT"), None);
        assert_eq!(recorded("https://x/fapi/v1/time"), None);
    }

    #[test]
    fn requests_carry_the_weights_of_their_market() {
        let request = |url: &str, weight| RestRequest { url: url.into(), weight };
        assert_eq!(
            BinanceSpot::snapshot("https://h/", "BTCUSDT"),
            Some(request("https://h/api/v3/depth?symbol=BTCUSDT&limit=5000", 250))
        );
        assert_eq!(
            BinanceFutures::snapshot("https://h", "BTCUSDT"),
            Some(request("https://h/fapi/v1/depth?symbol=BTCUSDT&limit=1000", 20))
        );
        assert_eq!(
            BinanceSpot::probe("https://h", "BTCUSDT", Stream::Trades, false),
            Some(request("https://h/api/v3/aggTrades?symbol=BTCUSDT&limit=1", 4))
        );
        assert_eq!(BinanceFutures::probe("https://h", "BTCUSDT", Stream::Liquidations, false), None);
        assert_eq!(
            BinanceFutures::poll("https://h", "BTCUSDT", Stream::Derivatives),
            Some(request("https://h/fapi/v1/openInterest?symbol=BTCUSDT", 1))
        );
        assert_eq!(BinanceFutures::poll("https://h", "BTCUSDT", Stream::Liquidations), None);
        assert_eq!(BinanceSpot::poll("https://h", "BTCUSDT", Stream::Derivatives), None);
        assert_eq!(
            BinanceSpot::trades_page("https://h", "BTCUSDT", false, 7, 9),
            Some(request("https://h/api/v3/historicalTrades?symbol=BTCUSDT&fromId=7&limit=3", 25))
        );
        assert_eq!(
            BinanceFutures::trades_page("https://h", "BTCUSDT", true, 7, 7_000),
            Some(request("https://h/fapi/v1/aggTrades?symbol=BTCUSDT&fromId=7&limit=1000", 20))
        );
        assert_eq!(BinanceFutures::trades_page("https://h", "BTCUSDT", false, 7, 9), None);
    }

    #[test]
    fn a_probe_tells_where_a_stream_is() {
        let mut levels = DecodedLevels::default();
        let mut read =
            |body: &str, stream, aggregated| BinanceSpot::read_probe(body.as_bytes(), stream, aggregated, &mut levels);
        let trades = r#"[{"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27785,"T":1498793709153}]"#;
        assert_eq!(read(trades, Stream::Trades, true), Ok(RestTold::Id(26129)));
        assert_eq!(read(trades, Stream::Trades, false), Ok(RestTold::Id(27785)));
        let book = r#"{"lastUpdateId":160,"bids":[["0.0024","10"]],"asks":[]}"#;
        assert_eq!(read(book, Stream::L2, false), Ok(RestTold::Id(160)));
        assert!(matches!(read(book, Stream::Bbo, false), Ok(RestTold::Top((Some(_), None)))));
        assert_eq!(read(r#"{"code":-1121,"msg":"Invalid symbol."}"#, Stream::L2, false), Err(RejectReason::Schema));
    }
}
