//! The methods that need no connection: the same over WebSocket and HTTP.

use crate::book::Book;
use crate::clock::MarketTime;
use crate::deribit::house::House;
use crate::deribit::messages;
use crate::deribit::rpc::{
    ORDERBOOK_CLOSED, Params, Refusal, UNAUTHORIZED, UNKNOWN_METHOD, invalid, invalid_credentials,
};
use crate::deribit::streams::Which;

/// A result, as JSON.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub result: String,
    /// Id of the book that it shows.
    pub book_id: Option<u64>,
}

impl From<String> for Answer {
    fn from(result: String) -> Self {
        Self { result, book_id: None }
    }
}

/// Most trades in one reply, and those that come unasked.
const MOST_TRADES: usize = 1000;
const SOME_TRADES: usize = 10;

/// `book` and its id stand in the place of the one that an order book shows.
pub(crate) fn call(
    house: &mut House,
    method: &str,
    params: &Params,
    book: Option<&(Book, u64)>,
    now: MarketTime,
) -> Result<Answer, Refusal> {
    let ms = house.feed.ms(now);
    match method {
        "public/test" | "public/hello" => Ok(r#"{"version":"1.2.26"}"#.to_owned().into()),
        "public/get_time" => Ok(ms.to_string().into()),
        "public/status" => Ok(house.status().into()),
        "public/auth" => login(house, params),
        "public/get_instruments" => instruments(house, params),
        "public/get_instrument" => Ok(house.instruments[named(house, params)?].row().into()),
        "public/get_order_book" => order_book(house, params, book, ms),
        "public/ticker" => {
            let i = open(house, params)?;
            Ok(format!("{{{}}}", house.world().ticker(i, ms).0).into())
        }
        "public/get_last_trades_by_instrument" => last_trades(house, params),
        m if m.starts_with("private/") => Err(UNAUTHORIZED),
        _ => Err(UNKNOWN_METHOD),
    }
}

fn named(house: &House, params: &Params) -> Result<usize, Refusal> {
    let name = params.required("instrument_name")?;
    house.instruments.iter().position(|i| &*i.name == name).ok_or_else(|| invalid("instrument_name", "not found"))
}

fn open(house: &House, params: &Params) -> Result<usize, Refusal> {
    named(house, params).and_then(|i| if house.instruments[i].listed() { Ok(i) } else { Err(ORDERBOOK_CLOSED) })
}

fn login(house: &mut House, params: &Params) -> Result<Answer, Refusal> {
    let known = match params.required("grant_type")? {
        "client_credentials" => house.is_account(params.required("client_id")?, params.required("client_secret")?),
        "refresh_token" => house.is_token(params.required("refresh_token")?),
        _ => return Err(invalid("grant_type", "client_credentials or refresh_token")),
    };
    if !known {
        // Nobody promises that a refusal does not say what it refuses.
        return Err(invalid_credentials(params));
    }
    let [access, refresh] = house.new_tokens();
    let scope = params.text("scope")?.unwrap_or("connection mainaccount");
    let scope = serde_json::Value::from(scope);
    let text = format!(
        r#"{{"access_token":"{access}","expires_in":31536000,"refresh_token":"{refresh}","scope":{scope},"token_type":"bearer"}}"#
    );
    Ok(text.into())
}

fn instruments(house: &House, params: &Params) -> Result<Answer, Refusal> {
    let currency = params.required("currency")?;
    let which = Which::parse(params.text("kind")?.unwrap_or("any"), currency)
        .ok_or_else(|| invalid("kind", "future, option, spot, future_combo or option_combo"))?;
    let expired = params.flag("expired")?;
    let rows = house.instruments.iter().filter(|i| which.has(i) && i.listed() != expired);
    let rows: Vec<String> = rows.map(|i| i.row()).collect();
    Ok(format!("[{}]", rows.join(",")).into())
}

fn order_book(house: &House, params: &Params, book: Option<&(Book, u64)>, ms: i64) -> Result<Answer, Refusal> {
    let n = open(house, params)?;
    let depth = params.number("depth")?.unwrap_or(5);
    let depth = usize::try_from(depth).ok().filter(|d| (1..=10_000).contains(d));
    let depth = depth.ok_or_else(|| invalid("depth", "1 to 10000"))?;
    let (book, id) = match book {
        Some((book, id)) => (book, *id),
        None => (house.market.book(n), house.market.last_id(n)),
    };
    let mut out = format!(r#"{{"change_id":{id},"#);
    messages::sides(&mut out, &house.instruments[n], book, depth);
    out.push(',');
    out.push_str(&house.world().ticker(n, ms).0);
    out.push('}');
    Ok(Answer { result: out, book_id: Some(id) })
}

fn last_trades(house: &House, params: &Params) -> Result<Answer, Refusal> {
    let n = named(house, params)?;
    let (from, to) = (params.number("start_seq")?.unwrap_or(0), params.number("end_seq")?.unwrap_or(u64::MAX));
    let count = params.number("count")?.unwrap_or(SOME_TRADES as u64);
    let count = usize::try_from(count).ok().filter(|c| (1..=MOST_TRADES).contains(c));
    let count = count.ok_or_else(|| invalid("count", "1 to 1000"))?;
    let all = house.tape.kept(n).filter(|t| (from..=to).contains(&t.seq));
    let (rows, more): (Vec<&str>, bool) = match params.text("sorting")? {
        Some("asc") => {
            let mut all = all.map(|t| &*t.text);
            (all.by_ref().take(count).collect(), all.next().is_some())
        }
        None | Some("desc" | "default") => {
            let mut all = all.rev().map(|t| &*t.text);
            (all.by_ref().take(count).collect(), all.next().is_some())
        }
        Some(_) => return Err(invalid("sorting", "asc, desc or default")),
    };
    Ok(format!(r#"{{"trades":[{}],"has_more":{more}}}"#, rows.join(",")).into())
}
