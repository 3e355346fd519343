//! How a plain client follows OKX: reference data first; books and trades on one socket, single fills on another; a book
//! whose chain breaks is unsubscribed, and subscribed again when that is acknowledged (§4).

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::json;

use crate::okx::channels::Channel;
use crate::recorder::{Followed, Follower, Recipe, RecordRequest, Wish};

pub(crate) fn recipe(request: &RecordRequest, symbols: &[String]) -> Recipe {
    let subscribe = |channels: &[Channel]| {
        let arg = |(c, s): (&Channel, &String)| json!({ "channel": c.name(), "instId": s });
        let args: Vec<_> = channels.iter().flat_map(|c| symbols.iter().map(move |s| (c, s))).map(arg).collect();
        json!({ "id": "1", "op": "subscribe", "args": args }).to_string()
    };
    let follow = |name: &'static str, channels: &[Channel]| Followed {
        name,
        path: format!("/ws/v5/{name}"),
        hello: vec![subscribe(channels)],
        follower: || Box::new(Chains::default()),
    };
    let mut connections = vec![follow("public", &[Channel::Books, Channel::Trades, Channel::Bbo])];
    if request.single_trades {
        connections.push(follow("business", &[Channel::TradesAll]));
    }
    let mut first: Vec<String> =
        ["SPOT", "SWAP", "FUTURES"].map(|t| format!("/api/v5/public/instruments?instType={t}")).into();
    let mut families: Vec<String> = symbols
        .iter()
        .filter(|s| s.split('-').count() == 5)
        .map(|s| s.split('-').take(2).collect::<Vec<_>>().join("-"))
        .collect();
    families.sort_unstable();
    families.dedup();
    first.extend(families.iter().map(|f| format!("/api/v5/public/instruments?instType=OPTION&instFamily={f}")));
    Recipe { first, connections }
}

/// The last id of each book on one connection; `None` while it waits for a snapshot.
#[derive(Default)]
struct Chains(HashMap<String, Option<i64>>);

#[derive(Deserialize)]
struct Frame {
    event: Option<String>,
    arg: Option<FrameArg>,
    action: Option<String>,
    #[serde(default)]
    data: Vec<Ids>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FrameArg {
    channel: String,
    inst_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ids {
    prev_seq_id: Option<i64>,
    seq_id: Option<i64>,
}

impl Follower for Chains {
    fn hear(&mut self, text: &str) -> Option<Wish> {
        let frame: Frame = serde_json::from_str(text).ok()?;
        let arg = frame.arg.filter(|a| a.channel == Channel::Books.name())?;
        let id = arg.inst_id?;
        let ask = |op: &str| {
            let arg = json!({ "channel": Channel::Books.name(), "instId": id });
            Wish::Say(json!({ "op": op, "args": [arg] }).to_string())
        };
        if frame.event.as_deref() == Some("unsubscribe") {
            return Some(ask("subscribe"));
        }
        let Ids { prev_seq_id: prev, seq_id: Some(seq) } = frame.data.first()? else { return None };
        let last = self.0.entry(id.clone()).or_default();
        if frame.action.as_deref() == Some("snapshot") {
            *last = Some(*seq);
            return None;
        }
        match *last {
            None => None,
            Some(l) if Some(l) == *prev => {
                *last = Some(*seq);
                None
            }
            // The same message again.
            Some(l) if l == *seq => None,
            Some(_) => {
                *last = None;
                Some(ask("unsubscribe"))
            }
        }
    }
}
