//! Addresses, channels, requests and their answers (§1, §2, §4, §5).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;
use xtrader_scan::memchr;

use super::families::{families_of, family_of};
use super::instruments::index_of;
use crate::config::{Credentials, DepthSpeed, Endpoints, Selection, Stream, TradeSource};
use crate::exchange::{Answer, Beat, Channel, Login, Recorded, RestRequest};
use crate::report::RejectReason;
use crate::symbol::Exchange;
use crate::table::InstrumentKind;
use crate::time::NS_PER_S;

/// Channels on the wrong path are refused with 60018 (§1). Everything but what is on [`BUSINESS`].
pub(super) const PUBLIC: u8 = 0;
/// Single trades.
pub(super) const BUSINESS: u8 = 1;

/// The exchange itself.
pub(super) fn default_endpoints() -> Endpoints {
    Endpoints { ws: "wss://ws.okx.com:8443".into(), rest: "https://www.okx.com".into() }
}

/// The channels of a stream; none where the market has none of the kind.
pub(super) fn channels(
    native: &str,
    (market, kind): (Exchange, Option<InstrumentKind>),
    stream: Stream,
    source: TradeSource,
    speed: DepthSpeed,
) -> Vec<Channel> {
    let public = |channel: &str, of: &str| Channel { family: PUBLIC, name: format!("{channel}:{of}") };
    match stream {
        Stream::Trades if source == TradeSource::Trade => {
            vec![Channel { family: BUSINESS, name: format!("trades-all:{native}") }]
        }
        Stream::Trades => vec![public("trades", native)],
        // The faster one needs a login and a fee tier, so it has to be asked for.
        Stream::L2 if speed == DepthSpeed::Ms10 => vec![public("books-l2-tbt", native)],
        Stream::L2 => vec![public("books", native)],
        Stream::Bbo => vec![public("bbo-tbt", native)],
        Stream::Derivatives => {
            let mut channels = vec![public("mark-price", native), public("open-interest", native)];
            channels.extend(index_of(native).map(|index| public("index-tickers", index)));
            // Swaps, and the X-Perps among the dated, which only the reference data tell apart (§2).
            if kind == Some(InstrumentKind::Perpetual) {
                channels.push(public("funding-rate", native));
            }
            channels
        }
        Stream::Options => {
            let summary = family_of(native).map(|family| public("opt-summary", family));
            summary.into_iter().chain([public("mark-price", native), public("open-interest", native)]).collect()
        }
        Stream::Liquidations => {
            instrument_type(market).map(|kind| public("liquidation-orders", kind)).into_iter().collect()
        }
        Stream::L2Top => Vec::new(),
    }
}

/// The channels that tell of changes of the reference data, and only of changes (§2).
pub(super) fn notices(markets: &[Exchange]) -> Vec<Channel> {
    let kinds = markets.iter().filter_map(|market| instrument_type(*market));
    kinds.map(|kind| Channel { family: PUBLIC, name: format!("instruments:{kind}") }).collect()
}

/// The exchange's word for a market.
fn instrument_type(market: Exchange) -> Option<&'static str> {
    Some(match market {
        Exchange::OkxSpot => "SPOT",
        Exchange::OkxSwap => "SWAP",
        Exchange::OkxFutures => "FUTURES",
        Exchange::OkxOptions => "OPTION",
        _ => return None,
    })
}

/// Which argument of a channel stands behind the colon of its name.
fn argument(channel: &str) -> &'static str {
    match channel {
        "liquidation-orders" | "instruments" => "instType",
        "opt-summary" => "instFamily",
        _ => "instId",
    }
}

/// Address of a connection.
pub(super) fn url(ws: &str, family: u8) -> String {
    let path = if family == BUSINESS { "business" } else { "public" };
    format!("{}/ws/v5/{path}", ws.trim_end_matches('/'))
}

/// A request for channels, or to end them. The id is a text here.
pub(super) fn request(op: &str, names: &[&str], id: u64) -> String {
    let args: Vec<Value> = names
        .iter()
        .map(|name| {
            let (channel, of) = name.split_once(':').unwrap_or((name, ""));
            json!({ "channel": channel, argument(channel): of })
        })
        .collect();
    json!({ "id": id.to_string(), "op": op, "args": args }).to_string()
}

/// The request that logs in: the sign of `<seconds>GET/users/self/verify`.
pub(super) fn login(credentials: &Credentials, wall: i64, id: u64) -> Login {
    let timestamp = wall.div_euclid(NS_PER_S).to_string();
    let mut sign = Hmac::<Sha256>::new_from_slice(credentials.secret.as_bytes()).expect("a key of any length will do");
    sign.update(timestamp.as_bytes());
    sign.update(b"GET/users/self/verify");
    let sign = BASE64_STANDARD.encode(sign.finalize().into_bytes());
    let Credentials { key, passphrase, .. } = credentials;
    let login = json!({ "apiKey": key, "passphrase": passphrase, "timestamp": timestamp, "sign": sign });
    let text = json!({ "id": id.to_string(), "op": "login", "args": [login] }).to_string();
    Login { text, sign: Some(sign) }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    channel: Option<String>,
    inst_id: Option<String>,
    inst_type: Option<String>,
    inst_family: Option<String>,
}

impl Argument {
    /// The channel's name, as [`channels`] writes it.
    fn name(self) -> Option<String> {
        let channel = self.channel?;
        let of = match argument(&channel) {
            "instType" => self.inst_type,
            "instFamily" => self.inst_family,
            _ => self.inst_id,
        };
        Some(format!("{channel}:{}", of.unwrap_or_default()))
    }
}

/// `{"arg":{…},"data":[` or with an `action` between: an answer has an `event` there (§1).
#[inline]
pub(super) fn begins_as_data(frame: &[u8]) -> bool {
    let Some(arg) = frame.strip_prefix(br#"{"arg":{"channel":""#) else { return false };
    // The argument holds no braces.
    let behind = memchr(b'}', arg).and_then(|end| arg.get(end..)).unwrap_or_default();
    behind.starts_with(br#"},"data":["#) || behind.starts_with(br#"},"action":""#)
}

/// Reads an answer frame; `None` where it is none. Some errors name no channel, old answers no request.
pub(super) fn read_answer(frame: &[u8]) -> Option<Answer> {
    #[derive(Deserialize)]
    struct Wire {
        event: Option<String>,
        id: Option<String>,
        arg: Option<Argument>,
        code: Option<String>,
        msg: Option<String>,
    }
    if frame == b"pong" {
        return Some(Answer::Beat(Beat::Alive));
    }
    let Wire { event, id, arg, code, msg } = serde_json::from_slice(frame).ok()?;
    let id = id.and_then(|id| id.parse().ok());
    let code = code.and_then(|code| code.parse().ok()).unwrap_or(0);
    let channel = arg.and_then(Argument::name);
    let Some(event) = event else {
        let is_reference = channel.is_some_and(|name| name.starts_with("instruments:"));
        return is_reference.then_some(Answer::ReferenceChanged);
    };
    let refused = |channel| Answer::Refused { id, channel, code, text: msg.unwrap_or_default() };
    Some(match event.as_str() {
        "subscribe" | "unsubscribe" => match channel {
            Some(channel) => Answer::GrantedOne { id, channel },
            None => Answer::Granted { id },
        },
        "login" if code == 0 => Answer::LoggedIn { id },
        "error" | "login" => refused(channel),
        // §1: sixty seconds before an upgrade.
        "notice" if code == 64008 => Answer::Closing,
        _ => Answer::Note,
    })
}

/// The reference data of these markets: a reply for each type, of options for each family (§2).
pub(super) fn reference(rest: &str, markets: &[Exchange], wanted: &[Selection]) -> Vec<RestRequest> {
    let mut requests = Vec::new();
    let mut ask = |query: String| requests.push(request_of(rest, &format!("public/instruments?instType={query}")));
    for market in markets {
        let Some(kind) = instrument_type(*market) else { continue };
        if *market != Exchange::OkxOptions {
            ask(kind.to_owned());
            continue;
        }
        let mut families: Vec<String> = wanted.iter().flat_map(|selection| families_of(selection).asked).collect();
        families.sort();
        families.dedup();
        families.iter().for_each(|family| ask(format!("{kind}&instFamily={family}")));
    }
    requests
}

/// The last trade, to tell a quiet tape from a dead stream.
pub(super) fn last_trade(rest: &str, native: &str) -> RestRequest {
    request_of(rest, &format!("market/trades?instId={native}&limit=1"))
}

/// Reads the reply to it: the id of the last fill, on either channel.
pub(super) fn read_last_trade(body: &[u8]) -> Result<i64, RejectReason> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Row {
        trade_id: String,
    }
    #[derive(Deserialize)]
    struct Reply {
        data: Vec<Row>,
    }
    let reply: Reply = serde_json::from_slice(body).map_err(|_| RejectReason::Schema)?;
    reply.data.first().and_then(|row| row.trade_id.parse().ok()).ok_or(RejectReason::Schema)
}

/// Trades in one reply.
const PAGE: i64 = 100;

/// A page of past trades by their ids (§3): `type=1` counts by `tradeId`; `after` are older ones, `before` newer ones,
/// neither with the id itself. They come from the newest down, hence the bound above.
pub(super) fn trades_page(rest: &str, native: &str, first: i64, last: i64) -> RestRequest {
    let (before, end) = (first.saturating_sub(1), first.saturating_add(PAGE - 1).min(last));
    let after = end.saturating_add(1);
    let query = format!("instId={native}&type=1&after={after}&before={before}&limit={PAGE}");
    request_of(rest, &format!("market/history-trades?{query}"))
}

fn request_of(rest: &str, path: &str) -> RestRequest {
    RestRequest { url: format!("{}/api/v5/{path}", rest.trim_end_matches('/')), weight: 1 }
}

/// Tells a recorded reply by the end of its path.
pub(super) fn recorded_reply(url: &str) -> Option<Recorded<'_>> {
    let path = url.split('?').next()?.trim_end_matches('/');
    path.ends_with("/public/instruments").then_some(Recorded::Reference)
}

#[cfg(test)]
mod tests;
