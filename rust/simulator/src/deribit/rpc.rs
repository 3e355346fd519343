//! JSON-RPC 2.0 (§1): requests, replies, errors; the same over WebSocket and HTTP.

use std::fmt::Write;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// A request.
#[derive(Debug, Default)]
pub(crate) struct Request {
    /// As it was written.
    pub id: Option<String>,
    pub method: String,
    pub params: Params,
}

/// Named parameters; those of a query are all texts.
#[derive(Debug, Default)]
pub(crate) struct Params(Map<String, Value>);

/// Why a request was refused (§6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub code: i32,
    message: &'static str,
    /// The parameter, and what is wrong with it.
    data: Option<(&'static str, String)>,
}

const fn refusal(code: i32, message: &'static str) -> Refusal {
    Refusal { code, message, data: None }
}

pub(crate) const BAD_REQUEST: Refusal = refusal(11_050, "bad_request");
pub(crate) const UNKNOWN_METHOD: Refusal = refusal(-32_601, "Method not found");
pub(crate) const TOO_MANY_REQUESTS: Refusal = refusal(10_028, "too_many_requests");
pub(crate) const UNAUTHORIZED: Refusal = refusal(13_009, "unauthorized");
pub(crate) const ORDERBOOK_CLOSED: Refusal = refusal(13_019, "orderbook_closed");
pub(crate) const RAW_WITHOUT_LOGIN: Refusal = refusal(13_778, "raw_subscriptions_not_available_for_unauthorized");

pub(crate) fn invalid_credentials(params: &Params) -> Refusal {
    let quoted = Value::from(params.0.clone()).to_string();
    Refusal { data: Some(("client_id", quoted)), ..refusal(13_004, "invalid_credentials") }
}

pub(crate) fn invalid(param: &'static str, reason: impl Into<String>) -> Refusal {
    Refusal { data: Some((param, reason.into())), ..refusal(-32_602, "Invalid params") }
}

#[derive(serde::Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    method: String,
    #[serde(default)]
    params: Value,
}

impl Request {
    /// Reads what came over a WebSocket.
    pub(crate) fn read(text: &str) -> Result<Self, Refusal> {
        let wire: Wire<'_> = serde_json::from_str(text).map_err(|_| BAD_REQUEST)?;
        let params = match wire.params {
            Value::Object(map) => Params(map),
            Value::Null => Params::default(),
            _ => return Err(BAD_REQUEST),
        };
        Ok(Self { id: wire.id.map(|id| id.get().to_owned()), method: wire.method, params })
    }

    /// Reads the query of a GET.
    pub(crate) fn of_query(method: &str, query: &str) -> Self {
        let pairs = query.split('&').filter_map(|p| p.split_once('='));
        let params = pairs.map(|(k, v)| (k.to_owned(), Value::from(v))).collect();
        Self { id: None, method: method.to_owned(), params: Params(params) }
    }
}

impl Params {
    /// Says something else than was said.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.into());
    }

    pub(crate) fn text(&self, name: &'static str) -> Result<Option<&str>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(invalid(name, "must be a string")),
        }
    }

    pub(crate) fn required(&self, name: &'static str) -> Result<&str, Refusal> {
        self.text(name)?.filter(|t| !t.is_empty()).ok_or_else(|| invalid(name, "missing"))
    }

    pub(crate) fn number(&self, name: &'static str) -> Result<Option<u64>, Refusal> {
        let wrong = || invalid(name, "must be a whole number");
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => text.parse().map(Some).map_err(|_| wrong()),
            Some(v) => v.as_u64().map(Some).ok_or_else(wrong),
        }
    }

    pub(crate) fn flag(&self, name: &'static str) -> Result<bool, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(b)) => Ok(*b),
            Some(Value::String(t)) if t == "true" || t == "false" => Ok(t == "true"),
            Some(_) => Err(invalid(name, "must be true or false")),
        }
    }

    /// A list of texts.
    pub(crate) fn names(&self, name: &'static str) -> Result<Vec<&str>, Refusal> {
        let list = self.0.get(name).and_then(Value::as_array).ok_or_else(|| invalid(name, "must be an array"))?;
        let names = list.iter().map(Value::as_str).collect::<Option<Vec<_>>>();
        names.ok_or_else(|| invalid(name, "must be an array of strings"))
    }
}

/// The text of a reply; `at_us` is when the request came, by the exchange's clock.
pub(crate) fn reply(id: Option<&str>, outcome: &Result<String, Refusal>, at_us: i64) -> String {
    const WORK_US: i64 = 180;
    let mut out = String::from(r#"{"jsonrpc":"2.0""#);
    if let Some(id) = id {
        let _ = write!(out, r#","id":{id}"#);
    }
    let _ = match outcome {
        Ok(result) => write!(out, r#","result":{result}"#),
        Err(refusal) => write!(out, r#","error":{}"#, refusal.body()),
    };
    let (to, diff) = (at_us + WORK_US, WORK_US);
    let _ = write!(out, r#","usIn":{at_us},"usOut":{to},"usDiff":{diff},"testnet":false}}"#);
    out
}

impl Refusal {
    fn body(&self) -> String {
        let (code, message) = (self.code, self.message);
        match &self.data {
            None => format!(r#"{{"code":{code},"message":"{message}"}}"#),
            Some((param, reason)) => {
                let data = json!({ "reason": reason, "param": param });
                format!(r#"{{"code":{code},"message":"{message}","data":{data}}}"#)
            }
        }
    }
}

/// What the exchange says when it failed itself.
pub(crate) fn failure(reason: &str) -> String {
    let data = json!({ "reason": reason });
    format!(
        r#"{{"jsonrpc":"2.0","error":{{"code":11094,"message":"internal_server_error","data":{data}}},"testnet":false}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_from_both_ways() {
        let r = Request::read(r#"{"jsonrpc":"2.0","id":"a7","method":"public/ticker","params":{"count":5}}"#);
        let r = r.expect("a request");
        assert_eq!((r.id.as_deref(), &*r.method), (Some("\"a7\""), "public/ticker"));
        assert_eq!(r.params.number("count"), Ok(Some(5)));
        let r = Request::of_query("public/x", "count=5&expired=true&currency=BTC");
        assert_eq!((r.params.number("count"), r.params.flag("expired")), (Ok(Some(5)), Ok(true)));
        assert_eq!((r.params.required("currency"), r.params.text("kind")), (Ok("BTC"), Ok(None)));
        for bad in ["{", "7", r#"{"id":1}"#, r#"{"method":"x","params":[1]}"#] {
            assert_eq!(Request::read(bad).expect_err("no request"), BAD_REQUEST, "{bad}");
        }
    }

    #[test]
    fn replies_have_the_documented_members() {
        assert_eq!(
            reply(Some("1"), &Ok("\"ok\"".into()), 1000),
            r#"{"jsonrpc":"2.0","id":1,"result":"ok","usIn":1000,"usOut":1180,"usDiff":180,"testnet":false}"#
        );
        let text = reply(None, &Err(invalid("channels", "must be an array")), 0);
        let v: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&v["error"]["code"], &v["error"]["data"]["param"]), (&(-32602).into(), &"channels".into()));
    }
}
