//! Texts made wrong.

use serde_json::value::RawValue;
use std::collections::HashMap;

use crate::fault::Malformation;

/// What is sent in place of `text`, an event's payload as it is or with a wrapping; fields are those of the
/// payload.
pub(crate) fn malform(text: &str, how: &Malformation) -> Vec<u8> {
    let join = |a: &str, b: &str| [a.as_bytes(), b.as_bytes()].concat();
    match how {
        Malformation::Truncated => text.as_bytes()[..text.len() / 2].to_vec(),
        Malformation::Empty => Vec::new(),
        Malformation::NotJson => b"<html><body>502 Bad Gateway</body></html>".to_vec(),
        Malformation::InvalidUtf8 => {
            let mut out = text.as_bytes().to_vec();
            let middle = out.len() / 2;
            out.insert(middle, 0xff);
            out
        }
        Malformation::ByteOrderMark => join("\u{feff}", text),
        Malformation::TwoDocuments => join(text, text),
        Malformation::TrailingBytes => join(text, "}]x"),
        Malformation::DeepNesting { depth } => ["[".repeat(*depth), "]".repeat(*depth)].concat().into_bytes(),
        Malformation::Padded { bytes } => {
            let mut out = text.as_bytes().to_vec();
            out.resize((*bytes).max(out.len()), b' ');
            out
        }
        Malformation::UnknownEvent => unknown_event(text),
        Malformation::EmptySides => empty_sides(text),
        Malformation::Set { field, json } => edit(text, &[(field, Some(json))]),
        Malformation::Remove { field } => edit(text, &[(field, None)]),
        Malformation::Repeat { field } => repeat(text, field),
        Malformation::Text { text } => text.clone().into_bytes(),
    }
}

/// The members of an object in their order, values as written.
pub(super) type Members = Vec<(String, String)>;

fn members(text: &str) -> Option<Members> {
    // A map of raw values loses the order: it is found again by where each value lies in the text.
    let map: HashMap<&str, &RawValue> = serde_json::from_str(text).ok()?;
    let mut list: Vec<_> =
        map.into_iter().map(|(k, v)| (v.get().as_ptr() as usize, k.to_owned(), v.get().to_owned())).collect();
    list.sort();
    Some(list.into_iter().map(|(_, k, v)| (k, v)).collect())
}

fn write(members: &[(String, String)]) -> String {
    let body: Vec<String> =
        members.iter().map(|(k, v)| format!("{}:{v}", serde_json::Value::from(k.as_str()))).collect();
    format!("{{{}}}", body.join(","))
}

/// Members that hold a payload, beside the name of its stream; of several rows the first one is meant.
const WRAPPINGS: [(&str, &[&str]); 2] = [("params", &["method"]), ("data", &["stream", "arg", "channel"])];

/// Applies `change` to the members of the payload, inside what is wrapped around it.
pub(super) fn within(text: &str, change: &dyn Fn(&mut Members)) -> String {
    if let Ok(rows) = serde_json::from_str::<Vec<&RawValue>>(text) {
        let mut rows: Vec<String> = rows.into_iter().map(|r| r.get().to_owned()).collect();
        if let Some(first) = rows.first_mut() {
            *first = within(first, change);
        }
        return format!("[{}]", rows.join(","));
    }
    let Some(mut list) = members(text) else { return text.to_owned() };
    let has = |names: &[&str]| list.iter().any(|(k, _)| names.contains(&k.as_str()));
    let inner = WRAPPINGS.iter().find(|(_, beside)| has(beside)).map(|(name, _)| *name);
    match inner.and_then(|name| list.iter().position(|(k, _)| k == name)) {
        Some(i) => list[i].1 = within(&list[i].1, change),
        None => change(&mut list),
    }
    write(&list)
}

/// The kind of a message is its `e`, or the channel it names.
fn unknown_event(text: &str) -> Vec<u8> {
    const CHANNEL: &str = "\"channel\":\"";
    let Some(start) = text.find(CHANNEL).map(|i| i + CHANNEL.len()) else {
        return edit(text, &[("e", Some("\"somethingNew\""))]);
    };
    let end = text[start..].find('"').map_or(text.len(), |i| start + i);
    [&text[..start], "somethingNew", &text[end..]].concat().into_bytes()
}

fn empty_sides(text: &str) -> Vec<u8> {
    let empty = |list: &mut Members| {
        let sides = list.iter_mut().filter(|(k, _)| ["b", "a", "bids", "asks"].contains(&k.as_str()));
        sides.for_each(|(_, v)| *v = "[]".into());
    };
    within(text, &empty).into_bytes()
}

fn edit(text: &str, edits: &[(&str, Option<&str>)]) -> Vec<u8> {
    within(text, &|list| {
        for (field, value) in edits {
            let at = list.iter().position(|(k, _)| k == field);
            match (at, value) {
                (Some(i), Some(v)) => list[i].1 = (*v).to_owned(),
                (Some(i), None) => drop(list.remove(i)),
                (None, Some(v)) => list.push(((*field).to_owned(), (*v).to_owned())),
                (None, None) => {}
            }
        }
    })
    .into_bytes()
}

fn repeat(text: &str, field: &str) -> Vec<u8> {
    within(text, &|list| {
        if let Some(member) = list.iter().find(|(k, _)| k == field).cloned() {
            list.push(member);
        }
    })
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: &str = r#"{"e":"aggTrade","a":7,"p":"1.50"}"#;
    const COMBINED: &str = r#"{"stream":"x@aggTrade","data":{"e":"aggTrade","a":7,"p":"1.50"}}"#;

    fn text(source: &str, how: Malformation) -> String {
        String::from_utf8(malform(source, &how)).expect("UTF-8")
    }

    #[test]
    fn fields_are_edited_in_place_in_both_forms() {
        let set = |json: &str| Malformation::Set { field: "a".into(), json: json.into() };
        assert_eq!(text(RAW, set("NaN")), r#"{"e":"aggTrade","a":NaN,"p":"1.50"}"#);
        assert_eq!(
            text(COMBINED, set("1e400")),
            r#"{"stream":"x@aggTrade","data":{"e":"aggTrade","a":1e400,"p":"1.50"}}"#
        );
        assert_eq!(text(RAW, Malformation::Remove { field: "a".into() }), r#"{"e":"aggTrade","p":"1.50"}"#);
        assert_eq!(text(RAW, Malformation::Repeat { field: "a".into() }), r#"{"e":"aggTrade","a":7,"p":"1.50","a":7}"#);
        let added = Malformation::Set { field: "new".into(), json: "[]".into() };
        assert_eq!(text(RAW, added), r#"{"e":"aggTrade","a":7,"p":"1.50","new":[]}"#);
        assert_eq!(text(RAW, Malformation::UnknownEvent), r#"{"e":"somethingNew","a":7,"p":"1.50"}"#);
    }

    #[test]
    fn fields_of_the_first_row_are_edited_inside_other_wrappings() {
        let set = |field: &str| Malformation::Set { field: field.into(), json: "7".into() };
        let okx = r#"{"arg":{"channel":"books","instId":"X"},"data":[{"asks":[["1","2"]],"ts":"5"},{"ts":"6"}]}"#;
        assert_eq!(
            text(okx, set("ts")),
            r#"{"arg":{"channel":"books","instId":"X"},"data":[{"asks":[["1","2"]],"ts":7},{"ts":"6"}]}"#
        );
        assert!(text(okx, Malformation::UnknownEvent).starts_with(r#"{"arg":{"channel":"somethingNew","instId":"X"}"#));
        assert!(text(okx, Malformation::EmptySides).contains(r#""data":[{"asks":[],"ts":"5"}"#));
        let deribit = r#"{"method":"subscription","params":{"channel":"book.X.raw","data":{"change_id":1}}}"#;
        assert_eq!(
            text(deribit, set("change_id")),
            r#"{"method":"subscription","params":{"channel":"book.X.raw","data":{"change_id":7}}}"#
        );
    }

    #[test]
    fn whole_texts_are_spoiled() {
        assert!(String::from_utf8(malform(RAW, &Malformation::InvalidUtf8)).is_err());
        assert!(serde_json::from_str::<serde_json::Value>(&text(RAW, Malformation::Truncated)).is_err());
        assert_eq!(text(RAW, Malformation::DeepNesting { depth: 3 }), "[[[]]]");
        assert_eq!(text(RAW, Malformation::Padded { bytes: 100 }).len(), 100);
        assert_eq!(text(RAW, Malformation::Padded { bytes: 1 }), RAW);
        assert!(text(RAW, Malformation::ByteOrderMark).starts_with('\u{feff}'));
    }
}
