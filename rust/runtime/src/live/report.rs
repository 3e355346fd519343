//! The reports of all shards of a stream as one.

use serde_json::{Value, json};

use crate::sum::added;

/// Parts of a shard's report that stand in [`merged`] once, each entry with the number of its shard.
const LISTED: [&str; 4] = ["books", "lanes", "connections", "arbitration"];
/// What only means something of one shard.
const OF_ONE: [&str; 3] = ["exchange", "shard", "streams"];

/// As [`added`]. What each shard says by itself stands in `shards`.
#[must_use]
pub fn merged(reports: Vec<Value>) -> Value {
    let at = reports.iter().filter_map(|report| report["at"].as_i64()).max();
    let mut whole = Value::Null;
    let mut shards = Vec::new();
    for report in reports {
        let mut shard = report.clone();
        without(&mut shard, &LISTED);
        whole = added(whole, report);
        shards.push(shard);
    }
    without(&mut whole, &OF_ONE);
    if let Value::Object(whole) = &mut whole {
        whole.insert("at".to_owned(), json!(at));
        whole.insert("shards".to_owned(), Value::Array(shards));
    }
    whole
}

fn without(report: &mut Value, keys: &[&str]) {
    if let Value::Object(report) = report {
        report.retain(|key, _| !keys.contains(&key.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_and_lists_stand_once() {
        let one = |shard: u16, frames: u64, problem: Value| {
            json!({"shard": shard, "exchange": "x", "streams": ["l2"], "at": 5 + shard, "books": [{"shard": shard}],
                   "arbitration": {"lanes": [{"shard": shard, "best": 1}]},
                   "counters": {"frames": {"total": frames}}, "rest": {"last_problem": problem}})
        };
        let whole = merged(vec![one(0, 2, Value::Null), one(1, 3, json!("timed out"))]);
        assert_eq!(whole["counters"]["frames"]["total"], 5);
        assert_eq!(whole["books"], json!([{"shard": 0}, {"shard": 1}]));
        assert_eq!(whole["arbitration"]["lanes"], json!([{"shard": 0, "best": 1}, {"shard": 1, "best": 1}]));
        assert_eq!(whole["rest"]["last_problem"], "timed out");
        assert_eq!(whole["at"], 6);
        assert_eq!(whole.get("exchange"), None);
        assert_eq!(whole["shards"][1]["counters"]["frames"]["total"], 3);
        assert_eq!(whole["shards"][1].get("books"), None);
    }
}
