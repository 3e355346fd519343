//! Reports of several engines as one.

use serde_json::Value;

/// Numbers add up, lists follow one another; whatever else is in them is the later one's, if it says anything.
pub(crate) fn added(earlier: Value, later: Value) -> Value {
    match (earlier, later) {
        (Value::Object(mut earlier), Value::Object(later)) => {
            for (key, value) in later {
                let sum = added(earlier.remove(&key).unwrap_or_default(), value);
                earlier.insert(key, sum);
            }
            Value::Object(earlier)
        }
        (Value::Array(mut earlier), Value::Array(later)) => {
            earlier.extend(later);
            Value::Array(earlier)
        }
        (Value::Number(a), Value::Number(b)) => match (a.as_u64(), b.as_u64()) {
            (Some(a), Some(b)) => a.saturating_add(b).into(),
            _ => b.into(),
        },
        (earlier, Value::Null) => earlier,
        (_, later) => later,
    }
}
