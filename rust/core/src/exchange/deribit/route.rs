//! Addresses, channel names, requests and their answers (§1, §3–§6).

use serde::Deserialize;
use serde_json::{Value, json};

use super::peek::Feed;
use super::{normalize, wire};
use crate::config::{Credentials, DepthSpeed, Endpoints, EngineConfig, Stream};
use crate::event::{DecodedLevels, Scales, TradeRows};
use crate::exchange::document::{Document as Reply, Object, Value as Document};
use crate::exchange::reader::WireReader;
use crate::exchange::{Answer, Beat, Cadence, Channel, EventKind, Head, Login, Recorded, RestRequest, RestTold};
use crate::report::RejectReason;
use crate::symbol::Exchange;
use crate::table::InstrumentKind;

/// Seconds between heartbeats: the fewest that may be asked for (§1).
pub(super) const HEARTBEAT_S: u64 = 10;
/// Credits of a request, of [`super::Deribit`]'s pool (§1): reference data, and anything else.
const REFERENCE_CREDITS: u32 = 10_000;
const CREDITS: u32 = 500;
/// Levels that the reply to a probe may carry; one a side was asked for.
const PROBE_LEVELS: usize = 100;
/// The id of answers to `test_request`: of no request that anybody waits for.
const TEST_ID: u64 = 0;

/// The exchange itself.
pub(super) fn default_endpoints() -> Endpoints {
    Endpoints { ws: "wss://www.deribit.com".into(), rest: "https://www.deribit.com".into() }
}

/// The channel of a stream; `None` where the instrument has none of the kind: that of the reference data, else what its
/// name tells. Tickers of options alone tell volatility and greeks (§5), also not those of their combinations.
pub(super) fn channel(
    native: &str,
    market: Exchange,
    kind: Option<InstrumentKind>,
    stream: Stream,
    config: &EngineConfig,
) -> Option<Channel> {
    let interval = interval(config);
    let kind = kind.or(super::instruments::name(native).kind);
    let name = match stream {
        // The only public sign of a liquidation is the flag of its trade (§3).
        Stream::Trades => format!("trades.{native}.{interval}"),
        Stream::Liquidations if market == Exchange::Deribit => format!("trades.{native}.{interval}"),
        Stream::L2 => format!("book.{native}.{interval}"),
        Stream::Bbo => format!("quote.{native}"),
        Stream::Derivatives if market == Exchange::Deribit => format!("ticker.{native}.{interval}"),
        Stream::Options if kind == Some(InstrumentKind::Option) => format!("ticker.{native}.{interval}"),
        _ => return None,
    };
    Some(Channel { family: 0, name })
}

/// The channels that tell of changes of the reference data, and of what is new in them (§2).
pub(super) fn notices() -> Vec<Channel> {
    let of = |what| Channel { family: 0, name: format!("instrument.{what}.any.any") };
    ["state", "creation"].map(of).into()
}

/// The interval of books, trades and tickers alike: `raw` is for who is logged in (§1).
fn interval(config: &EngineConfig) -> &'static str {
    match config.depth_speed {
        DepthSpeed::Auto | DepthSpeed::Raw if config.login => "raw",
        DepthSpeed::Agg2 => "agg2",
        _ => "100ms",
    }
}

/// A ticker comes at once, and then with the index, which moves every second (§5); by it one tells that a market is
/// stale (§4 step 5). How long it may hold still nobody says: in the recordings those of twenty seldom traded options
/// did for 25 s at most. A minute, and as long again before one is missed.
pub(super) fn cadence(channel: &str, stream: Stream) -> Option<Cadence> {
    let feed = if stream == Stream::Options { normalize::OPTION } else { normalize::DERIVATIVE };
    channel.starts_with("ticker.").then_some(Cadence { feed, first_ms: 0, every_ms: 60_000 })
}

/// Address of a connection.
pub(super) fn url(ws: &str) -> String {
    format!("{}/ws/api/v2", ws.trim_end_matches('/'))
}

fn request(method: &str, params: &Value, id: u64) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

pub(super) fn subscribe(names: &[&str], id: u64) -> String {
    request("public/subscribe", &json!({ "channels": names }), id)
}

/// A held channel must be let go before it gives a new snapshot (§1).
pub(super) fn unsubscribe(names: &[&str], id: u64) -> String {
    request("public/unsubscribe", &json!({ "channels": names }), id)
}

/// Without heartbeats the exchange checks nothing and says nothing (§1).
pub(super) fn set_heartbeat(id: u64) -> String {
    request("public/set_heartbeat", &json!({ "interval": HEARTBEAT_S }), id)
}

pub(super) fn test(id: u64) -> String {
    request("public/test", &json!({}), id)
}

pub(super) fn login(credentials: &Credentials, id: u64) -> Login {
    let params = json!({
        "grant_type": "client_credentials",
        "client_id": credentials.key,
        "client_secret": credentials.secret,
    });
    Login { text: request("public/auth", &params, id), sign: None }
}

/// The reply to a login with its tokens blanked, byte for byte as long; `None` where there is nothing to blank.
pub(super) fn blank_secrets(frame: &[u8]) -> Option<Vec<u8>> {
    const SECRETS: [&[u8]; 2] = [b"\"access_token\"", b"\"refresh_token\""];
    let mut blanked: Option<Vec<u8>> = None;
    for at in 0..frame.len() {
        let rest = frame.get(at..).unwrap_or_default();
        let Some(behind) = SECRETS.iter().find_map(|key| rest.strip_prefix(*key)) else { continue };
        let skipped = behind.iter().take_while(|b| b.is_ascii_whitespace() || **b == b':').count();
        let Some((b'"', value)) = behind.get(skipped..).and_then(<[u8]>::split_first) else { continue };
        let start = frame.len().saturating_sub(value.len());
        let secret = value.iter().take_while(|b| **b != b'"').count();
        let out = blanked.get_or_insert_with(|| frame.to_vec());
        if let Some(secret) = out.get_mut(start..start.saturating_add(secret)) {
            secret.fill(b'*');
        }
    }
    blanked
}

/// What comes on a channel, unless the exchange speaks of itself there.
#[inline]
pub(super) fn begins_as_data(frame: &[u8]) -> bool {
    let channel = frame.strip_prefix(br#"{"jsonrpc":"2.0","method":"subscription","params":{"channel":""#);
    channel.is_some_and(|channel| !channel.starts_with(b"platform_state") && !channel.starts_with(b"instrument."))
}

/// Reads an answer frame; `None` where it is none.
pub(super) fn read_answer(frame: &[u8]) -> Option<Answer> {
    #[derive(Deserialize)]
    struct Refusal {
        code: i64,
        #[serde(default)]
        message: String,
        data: Option<Value>,
    }
    #[derive(Deserialize)]
    struct Wire {
        id: Option<Value>,
        method: Option<String>,
        params: Option<Value>,
        result: Option<Value>,
        error: Option<Refusal>,
    }
    let Wire { id, method, params, result, error } = serde_json::from_slice(frame).ok()?;
    let text = |key| params.as_ref().and_then(|params| params.get(key)).and_then(Value::as_str).unwrap_or_default();
    match method.as_deref() {
        Some("heartbeat") if text("type") == "test_request" => return Some(Answer::Beat(Beat::Wanted(test(TEST_ID)))),
        Some("heartbeat") => return Some(Answer::Beat(Beat::Alive)),
        Some("subscription") => return notice(text("channel")),
        // A slow reader is told so and cut (§1).
        Some("connection_too_slow") => return Some(Answer::Closing),
        Some(_) => return Some(Answer::Note),
        None => {}
    }
    let id = id.as_ref().and_then(Value::as_u64);
    if let Some(Refusal { code, message, data }) = error {
        let reason = data.as_ref().and_then(|data| data.get("reason")).and_then(Value::as_str);
        let text = reason.map_or(message.clone(), |reason| format!("{message}: {reason}"));
        return Some(Answer::Refused { id, channel: None, code, text });
    }
    Some(match result? {
        Value::Array(channels) => {
            let channels = channels.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            Answer::GrantedOnly { id, channels }
        }
        Value::Object(fields) if fields.contains_key("access_token") => Answer::LoggedIn { id },
        _ => Answer::Granted { id },
    })
}

/// What the exchange says of itself on a channel. Locks and maintenance change nothing here: what dies of them, dies.
fn notice(channel: &str) -> Option<Answer> {
    match Feed::of(channel) {
        Feed::Notice if channel.starts_with("instrument.") => Some(Answer::ReferenceChanged),
        Feed::Notice => Some(Answer::Note),
        _ => None,
    }
}

fn get(rest: &str, method_and_query: &str, weight: u32) -> RestRequest {
    RestRequest { url: format!("{}/api/v2/public/{method_and_query}", rest.trim_end_matches('/')), weight }
}

/// The reference data of every kind.
pub(super) fn reference(rest: &str) -> RestRequest {
    get(rest, "get_instruments?currency=any&expired=false", REFERENCE_CREDITS)
}

/// The last trade, to tell a quiet tape from a dead stream; the top of the book, to tell a quiet book from one. States
/// come with a time of their own and no id that REST would tell.
pub(super) fn probe(rest: &str, native: &str, stream: Stream) -> Option<RestRequest> {
    let query = match stream {
        Stream::Trades => format!("get_last_trades_by_instrument?instrument_name={native}&count=1"),
        Stream::L2 | Stream::Bbo => format!("get_order_book?instrument_name={native}&depth=1"),
        _ => return None,
    };
    Some(get(rest, &query, CREDITS))
}

/// Trades in one reply.
const PAGE: i64 = 1000;

/// A page of past trades (§3).
pub(super) fn trades_page(rest: &str, native: &str, first: i64, last: i64) -> RestRequest {
    let end = first.saturating_add(PAGE - 1).min(last);
    let query = format!("instrument_name={native}&start_seq={first}&end_seq={end}&count={PAGE}&sorting=asc");
    get(rest, &format!("get_last_trades_by_instrument?{query}"), CREDITS)
}

/// Reads the reply to it: rows as the socket has them.
///
/// # Errors
/// Why it cannot be taken.
pub(super) fn read_trades_page(
    body: &[u8],
    native: &str,
    scales: Scales,
    out: &mut TradeRows,
) -> Result<(), RejectReason> {
    let mut reader = WireReader::default();
    let document = reader.document(body)?;
    let trades = trades_of(result_of(&document)?)?;
    wire::trades(trades, &Head::of_rows(EventKind::Trade, native), scales, out).map(|_| ())
}

fn result_of<'d, 'a>(reply: &'d Reply<'a>) -> Result<Object<'d, 'a>, RejectReason> {
    reply.at(0).object().and_then(|reply| reply.get("result")?.object()).ok_or(RejectReason::Schema)
}

fn trades_of<'d, 'a>(result: Object<'d, 'a>) -> Result<Document<'d, 'a>, RejectReason> {
    result.get("trades").filter(|list| list.is_array()).ok_or(RejectReason::Schema)
}

/// Reads the reply to a probe.
pub(super) fn read_probe(body: &[u8], stream: Stream, levels: &mut DecodedLevels) -> Result<RestTold, RejectReason> {
    let mut reader = WireReader::default();
    let document = reader.document(body)?;
    let reply = result_of(&document)?;
    if stream == Stream::Trades {
        let trades = trades_of(reply)?;
        // Where nothing was ever traded, the next trade is the first.
        let last = trades.elements().filter_map(Document::object).map(|row| row.integer("trade_seq"));
        return Ok(RestTold::Id(last.collect::<Result<Vec<_>, _>>()?.into_iter().max().unwrap_or(0)));
    }
    let id = wire::rest_book(reply, PROBE_LEVELS, levels)?;
    Ok(if stream == Stream::L2 { RestTold::Id(id) } else { RestTold::top(levels) })
}

/// Tells a recorded reply by the end of its path.
pub(super) fn recorded_reply(url: &str) -> Option<Recorded<'_>> {
    let (path, _) = url.split_once('?').unwrap_or((url, ""));
    (path.trim_end_matches('/').rsplit('/').next()? == "get_instruments").then_some(Recorded::Reference)
}

#[cfg(test)]
mod tests;
