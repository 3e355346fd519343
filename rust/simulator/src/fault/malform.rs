//! Texts made wrong.

use serde_json::value::RawValue;
use std::collections::HashMap;

use crate::fault::Malformation;

/// What is sent in place of `text`. `text` is an event's payload or the combined form of it; fields are those of the
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
        Malformation::UnknownEvent => edit(text, &[("e", Some("\"somethingNew\""))]),
        Malformation::EmptySides => edit(text, &[("b", Some("[]")), ("a", Some("[]"))]),
        Malformation::Set { field, json } => edit(text, &[(field, Some(json))]),
        Malformation::Remove { field } => edit(text, &[(field, None)]),
        Malformation::Repeat { field } => repeat(text, field),
        Malformation::Text { text } => text.clone().into_bytes(),
    }
}

/// The members of an object in their order, values as written.
type Members = Vec<(String, String)>;

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

/// Applies `change` to the members of the payload, inside the combined form if there is one.
fn within(text: &str, change: &dyn Fn(&mut Members)) -> Vec<u8> {
    let Some(mut outer) = members(text) else { return text.as_bytes().to_vec() };
    let combined = outer.len() == 2 && outer[0].0 == "stream" && outer[1].0 == "data";
    if combined && let Some(mut inner) = members(&outer[1].1) {
        change(&mut inner);
        outer[1].1 = write(&inner);
    } else {
        change(&mut outer);
    }
    write(&outer).into_bytes()
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
}

fn repeat(text: &str, field: &str) -> Vec<u8> {
    within(text, &|list| {
        if let Some(member) = list.iter().find(|(k, _)| k == field).cloned() {
            list.push(member);
        }
    })
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
    fn whole_texts_are_spoiled() {
        assert!(String::from_utf8(malform(RAW, &Malformation::InvalidUtf8)).is_err());
        assert!(serde_json::from_str::<serde_json::Value>(&text(RAW, Malformation::Truncated)).is_err());
        assert_eq!(text(RAW, Malformation::DeepNesting { depth: 3 }), "[[[]]]");
        assert_eq!(text(RAW, Malformation::Padded { bytes: 100 }).len(), 100);
        assert_eq!(text(RAW, Malformation::Padded { bytes: 1 }), RAW);
        assert!(text(RAW, Malformation::ByteOrderMark).starts_with('\u{feff}'));
    }
}
