//! The same document in other clothes: whitespace, escapes, another order of keys, unknown keys.

use std::fmt::Write;

/// A document whose numbers are still texts.
enum Json {
    Object(Vec<(String, Json)>),
    Array(Vec<Json>),
    Text(String),
    /// A number or a word, as written.
    Bare(String),
}

/// `frame` in clothes drawn from `seed`.
pub(super) fn dressed(frame: &str, seed: u64) -> String {
    let mut rest = frame;
    let document = parse(&mut rest);
    assert_eq!(rest, "", "generated frames are one document without whitespace");
    let mut out = String::new();
    let mut dice = Dice(seed | 1);
    write(&document, &mut dice, &mut out);
    out.push_str(dice.space());
    out
}

/// Documents as the generators write them: no whitespace, no escapes.
fn parse(rest: &mut &str) -> Json {
    let mut eat = |token: char| match rest.strip_prefix(token) {
        Some(behind) => {
            *rest = behind;
            true
        }
        None => false,
    };
    if eat('{') {
        let mut fields = Vec::new();
        while !rest.starts_with('}') {
            *rest = rest.strip_prefix(',').unwrap_or(rest);
            let Json::Text(name) = parse(rest) else { panic!("a key is a text: {rest}") };
            *rest = rest.strip_prefix(':').unwrap();
            fields.push((name, parse(rest)));
        }
        *rest = &rest[1..];
        Json::Object(fields)
    } else if eat('[') {
        let mut elements = Vec::new();
        while !rest.starts_with(']') {
            *rest = rest.strip_prefix(',').unwrap_or(rest);
            elements.push(parse(rest));
        }
        *rest = &rest[1..];
        Json::Array(elements)
    } else if eat('"') {
        let (text, behind) = rest.split_once('"').unwrap();
        *rest = behind;
        Json::Text(text.to_owned())
    } else {
        let end = rest.find([',', '}', ']']).unwrap_or(rest.len());
        let (text, behind) = rest.split_at(end);
        *rest = behind;
        Json::Bare(text.to_owned())
    }
}

fn write(json: &Json, dice: &mut Dice, out: &mut String) {
    out.push_str(dice.space());
    match json {
        Json::Bare(text) => out.push_str(text),
        Json::Text(text) => dice.text(text, out),
        Json::Array(elements) => {
            out.push('[');
            for (i, element) in elements.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                write(element, dice, out);
            }
            out.push(']');
        }
        Json::Object(fields) => {
            let mut order: Vec<usize> = (0..fields.len()).collect();
            if dice.once_in(2) {
                for i in (1..order.len()).rev() {
                    order.swap(i, dice.below(i + 1));
                }
            }
            let stranger = if dice.once_in(3) { dice.below(fields.len() + 1) } else { usize::MAX };
            out.push('{');
            for (i, field) in order.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                if i == stranger {
                    out.push_str("\"zz\":{\"k\":[1,2.5e3,{\"p\":\"x\\\"}\"}],\"n\":null},");
                }
                let (name, value) = &fields[*field];
                dice.text(name, out);
                out.push_str(dice.space());
                out.push(':');
                write(value, dice, out);
            }
            out.push('}');
        }
    }
}

/// A small generator, so that one number makes one dress.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % n
    }

    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn space(&mut self) -> &'static str {
        ["", "", "", "", "", "", " ", "\n", "\t  "][self.below(9)]
    }

    fn text(&mut self, text: &str, out: &mut String) {
        out.push('"');
        for c in text.chars() {
            if self.once_in(80) {
                write!(out, "\\u{:04x}", u32::from(c)).unwrap();
            } else {
                out.push(c);
            }
        }
        out.push('"');
    }
}
