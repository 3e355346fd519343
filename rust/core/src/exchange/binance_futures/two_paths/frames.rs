//! Frames of the documented formats, generated.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::Index;

/// A frame as its fields, in the exchange's order: name and JSON text of the value.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) stream: Option<String>,
    pub(super) fields: Vec<(&'static str, String)>,
}

impl Frame {
    /// As the exchange writes it.
    pub(super) fn dominant(&self) -> String {
        let fields: Vec<String> = self.fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let data = format!("{{{}}}", fields.join(","));
        match &self.stream {
            Some(stream) => format!("{{\"stream\":\"{stream}\",\"data\":{data}}}"),
            None => data,
        }
    }

    /// The same document with whitespace, escapes, another order and unknown keys, drawn from `seed`.
    pub(super) fn dressed(&self, seed: u64) -> String {
        let mut dice = Dice(seed | 1);
        let mut fields = self.fields.clone();
        if dice.once_in(2) {
            for i in (1..fields.len()).rev() {
                fields.swap(i, dice.below(i + 1));
            }
        }
        if dice.once_in(3) {
            let at = dice.below(fields.len() + 1);
            fields.insert(at, ("zz", "{\"k\":[1,2.5e3,{\"p\":\"x\\\"}\"}],\"n\":null}".into()));
        }
        let fields: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{}{}{}:{}", dice.space(), dice.text(name), dice.space(), dice.value(value)))
            .collect();
        let data = format!("{}{{{}}}{}", dice.space(), fields.join(","), dice.space());
        match &self.stream {
            Some(stream) => {
                let stream = format!("{}:{}", dice.text("stream"), dice.text(stream));
                let data = format!("{}:{data}", dice.text("data"));
                let (first, second) = if dice.once_in(3) { (data, stream) } else { (stream, data) };
                format!("{{{first},{second}}}{}", dice.space())
            }
            None => data,
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
        ["", "", "", "", " ", "\n", "\t  "][self.below(7)]
    }

    fn text(&mut self, text: &str) -> String {
        let chars: String = text
            .chars()
            .map(|c| if self.once_in(40) { format!("\\u{:04x}", u32::from(c)) } else { c.into() })
            .collect();
        format!("\"{chars}\"")
    }

    /// A value, its outermost text escaped here and there.
    fn value(&mut self, value: &str) -> String {
        match value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) {
            Some(text) => self.text(text),
            None if value.starts_with('[') => value.replace("],[", &format!("],{}[", self.space())),
            None => value.into(),
        }
    }
}

/// Edits to the bytes of a frame.
#[derive(Clone, Debug)]
pub(super) struct Damage(Vec<(Index, u8, u8)>);

impl Damage {
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
        for (at, how, byte) in &self.0 {
            if bytes.is_empty() {
                return;
            }
            let at = at.index(bytes.len());
            match how % 4 {
                0 => bytes[at] = *byte,
                1 => bytes.insert(at, *byte),
                2 => drop(bytes.remove(at)),
                // A digit, a quote or a bracket does more harm than most bytes.
                _ => bytes[at] = b"0123456789\"\"\"[]{},:.-e\\"[usize::from(*byte) % 23],
            }
        }
    }
}

pub(super) fn damage() -> impl Strategy<Value = Damage> {
    vec((any::<Index>(), any::<u8>(), any::<u8>()), 1..=8).prop_map(Damage)
}

fn ms() -> impl Strategy<Value = String> {
    prop_oneof![
        20 => (1_500_000_000_000u64..2_000_000_000_000).prop_map(|v| v.to_string()),
        1 => Just("0".to_owned()),
        1 => (1u64..1_000_000_000_000_000_000).prop_map(|v| v.to_string()),
    ]
}

fn id() -> impl Strategy<Value = String> {
    prop_oneof![5 => 0u64..20_000_000_000_000, 1 => 0u64..1_000_000_000_000_000_000].prop_map(|v| v.to_string())
}

fn symbol() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("BTCUSDT".to_owned()),
        Just("1000PEPEUSDT".to_owned()),
        Just("BTCUSDT_261225".to_owned()),
        "[A-Z0-9]{1,20}(_[0-9]{6})?",
        "[A-Z0-9]{15,64}",
    ]
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        10 => "[1-9][0-9]{0,4}\\.[0-9]{1,4}",
        5 => "[1-9][0-9]{0,6}",
        3 => "0\\.0{0,4}[1-9][0-9]{0,3}0{0,3}",
        2 => Just("0".to_owned()),
        1 => Just("0.000".to_owned()),
        1 => "[0-9]{1,16}\\.[0-9]{1,8}",
        1 => "[1-9][0-9]{0,17}(\\.[0-9]{1,18})?",
    ]
}

fn quoted() -> impl Strategy<Value = String> {
    number().prop_map(|n| format!("\"{n}\""))
}

fn side() -> impl Strategy<Value = String> {
    let level = (number(), number()).prop_map(|(p, q)| format!("[\"{p}\",\"{q}\"]"));
    vec(level, 0..12).prop_map(|levels| format!("[{}]", levels.join(",")))
}

/// `ps` and `st`, which payloads have since 2026.
fn family() -> impl Strategy<Value = (bool, Option<u8>)> {
    (any::<bool>(), of(prop_oneof![6 => Just(1u8), 1 => Just(2u8)]))
}

type Fields = Vec<(&'static str, String)>;

fn with_family(mut fields: Fields, symbol: &str, (pair, st): (bool, Option<u8>)) -> Fields {
    if pair {
        let at = fields.iter().position(|(name, _)| *name == "s").expect("every event has a symbol") + 1;
        fields.insert(at, ("ps", format!("\"{symbol}\"")));
    }
    fields.extend(st.map(|st| ("st", st.to_string())));
    fields
}

fn depth() -> impl Strategy<Value = Frame> {
    let feed = prop_oneof![
        Just("depth@100ms"),
        Just("depth@0ms"),
        Just("depth"),
        Just("depth@500ms"),
        Just("depth20@100ms"),
        Just("depth5"),
        Just("rpiDepth@500ms"),
    ];
    (ms(), ms(), symbol(), [id(), id(), id()], (side(), side()), family(), of(feed)).prop_map(
        |(sent, event, symbol, [first, last, prev], (bids, asks), family, feed)| {
            let fields = vec![
                ("e", "\"depthUpdate\"".into()),
                ("E", sent),
                ("T", event),
                ("s", format!("\"{symbol}\"")),
                ("U", first),
                ("u", last),
                ("pu", prev),
                ("b", bids),
                ("a", asks),
            ];
            Frame { stream: stream(feed, &symbol), fields: with_family(fields, &symbol, family) }
        },
    )
}

fn agg_trade() -> impl Strategy<Value = Frame> {
    (
        ms(),
        ms(),
        symbol(),
        [id(), id(), id()],
        (quoted(), quoted(), of(quoted())),
        any::<bool>(),
        family(),
        any::<bool>(),
    )
        .prop_map(|(sent, event, symbol, [a, f, l], (price, size, plain), maker, family, combined)| {
            let mut fields = vec![
                ("e", "\"aggTrade\"".into()),
                ("E", sent),
                ("a", a),
                ("s", format!("\"{symbol}\"")),
                ("p", price),
                ("q", size),
            ];
            fields.extend(plain.map(|nq| ("nq", nq)));
            fields.extend([("f", f), ("l", l), ("T", event), ("m", maker.to_string())]);
            let fields = with_family(fields, &symbol, family);
            Frame { stream: stream(combined.then_some("aggTrade"), &symbol), fields }
        })
}

fn trade() -> impl Strategy<Value = Frame> {
    let class = prop_oneof![5 => Just("MARKET"), 1 => Just("INSURANCE_FUND"), 1 => Just("ADL"), 1 => Just("NA")];
    (ms(), ms(), symbol(), id(), (quoted(), quoted()), class, any::<bool>(), family(), any::<bool>()).prop_map(
        |(sent, event, symbol, t, (price, size), class, maker, family, combined)| {
            let fields = vec![
                ("e", "\"trade\"".into()),
                ("E", sent),
                ("T", event),
                ("s", format!("\"{symbol}\"")),
                ("t", t),
                ("p", price),
                ("q", size),
                ("X", format!("\"{class}\"")),
                ("m", maker.to_string()),
            ];
            let fields = with_family(fields, &symbol, family);
            Frame { stream: stream(combined.then_some("trade"), &symbol), fields }
        },
    )
}

fn book_ticker() -> impl Strategy<Value = Frame> {
    let form = prop_oneof![Just(None), Just(Some("bookTicker")), Just(Some("!bookTicker"))];
    (ms(), ms(), symbol(), id(), [quoted(), quoted(), quoted(), quoted()], family(), form).prop_map(
        |(sent, event, symbol, u, [b, bq, a, aq], family, feed)| {
            let fields = vec![
                ("e", "\"bookTicker\"".into()),
                ("u", u),
                ("s", format!("\"{symbol}\"")),
                ("b", b),
                ("B", bq),
                ("a", a),
                ("A", aq),
                ("T", event),
                ("E", sent),
            ];
            Frame { stream: stream(feed, &symbol), fields: with_family(fields, &symbol, family) }
        },
    )
}

fn stream(feed: Option<&str>, symbol: &str) -> Option<String> {
    feed.map(|feed| if feed.starts_with('!') { feed.into() } else { format!("{}@{feed}", symbol.to_lowercase()) })
}

/// Any frame of the four kinds, raw or combined, of any year.
pub(super) fn frame() -> impl Strategy<Value = Frame> {
    prop_oneof![depth(), agg_trade(), trade(), book_ticker()]
}
