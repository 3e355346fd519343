//! How a plain client follows Deribit: heartbeats, one subscription, and another of a book whose chain broke, after it
//! has been given up: a bare one would bring no snapshot (§4).

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::json;

use crate::recorder::{Followed, Follower, Recipe, Wish};

pub(crate) fn recipe(symbols: &[String]) -> Recipe {
    let of = |s: &String| ["book.#.100ms", "trades.#.100ms", "quote.#", "ticker.#.100ms"].map(|c| c.replace('#', s));
    let channels: Vec<String> = symbols.iter().flat_map(of).collect();
    Recipe {
        first: vec!["/api/v2/public/get_instruments?currency=any&expired=false".into()],
        connections: vec![Followed {
            name: "v2",
            path: "/ws/api/v2".into(),
            hello: vec![
                say(1, "public/set_heartbeat", &json!({ "interval": 10 })),
                say(2, "public/subscribe", &json!({ "channels": channels })),
            ],
            follower: || Box::new(Chains::default()),
        }],
    }
}

fn say(id: impl Into<serde_json::Value>, method: &str, params: &serde_json::Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params }).to_string()
}

/// The last id of each book on one connection; none while a snapshot is awaited.
#[derive(Default)]
struct Chains(HashMap<String, Option<u64>>);

/// What is read of a frame.
#[derive(Deserialize)]
struct Frame {
    id: Option<serde_json::Value>,
    method: Option<String>,
    params: Option<Told>,
}

#[derive(Deserialize)]
struct Told {
    channel: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    data: Option<serde_json::Value>,
}

impl Follower for Chains {
    fn hear(&mut self, text: &str) -> Option<Wish> {
        let frame: Frame = serde_json::from_str(text).ok()?;
        // The answer to giving a channel up has its name as id.
        if let Some(channel) = frame.id.as_ref().and_then(|id| id.as_str()) {
            return Some(Wish::Say(say(3, "public/subscribe", &json!({ "channels": [channel] }))));
        }
        let told = frame.params?;
        if frame.method.as_deref() == Some("heartbeat") {
            let asked = told.kind.as_deref() == Some("test_request");
            return asked.then(|| Wish::Say(say(4, "public/test", &json!({}))));
        }
        let (channel, data) = (told.channel?, told.data?);
        let id = data["change_id"].as_u64().filter(|_| channel.starts_with("book."))?;
        let Some(prev) = data["prev_change_id"].as_u64() else {
            self.0.insert(channel, Some(id));
            return None;
        };
        let last = self.0.get_mut(&channel)?;
        let known = (*last)?;
        if id <= known {
            return None;
        }
        *last = (prev == known).then_some(id);
        if last.is_some() {
            return None;
        }
        Some(Wish::Say(say(channel.as_str(), "public/unsubscribe", &json!({ "channels": [channel] }))))
    }
}
