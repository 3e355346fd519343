//! A JSON document on simd-json's tape, with the frame's own text behind every number.

use simd_json::{Buffers, ErrorType, Node, StaticNode, Tape};
use xtrader_scan::{Exact, NumberError, exact, json_number, quote_or_escape};

use super::levels::{decimal, not_negative};
use crate::decimal::Decimal;
use crate::report::RejectReason;
use crate::time::ms_to_ns;

/// Nesting that a document may have; the exchange's has five.
const MAX_DEPTH: usize = 32;

/// Where a bare number stands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BareNumber {
    /// On the tape.
    position: u32,
    /// In the frame: its first byte and the one behind its last.
    start: u32,
    end: u32,
}

/// The buffers that documents are made in.
pub(crate) struct Room {
    /// The copy that simd-json writes into.
    scratch: Vec<u8>,
    buffers: Buffers,
    tape: Tape<'static>,
    numbers: Vec<BareNumber>,
}

impl Default for Room {
    fn default() -> Self {
        Self { scratch: Vec::new(), buffers: Buffers::default(), tape: Tape(Vec::new()), numbers: Vec::new() }
    }
}

/// Parses all of `frame`. The room is lent to the document until that is dropped.
pub(crate) fn read_document<'a>(frame: &'a [u8], room: &'a mut Room) -> Result<Document<'a>, RejectReason> {
    let Room { scratch, buffers, tape, numbers } = room;
    if std::str::from_utf8(frame).is_err() {
        return Err(RejectReason::Utf8);
    }
    // Before parsing, so that no depth of nesting costs stack or memory.
    if outline(frame, numbers) > MAX_DEPTH {
        return Err(RejectReason::Depth);
    }
    scratch.clear();
    scratch.extend_from_slice(frame);
    let mut filled = std::mem::replace(tape, Tape(Vec::new())).reset();
    let parsed = simd_json::fill_tape(scratch, buffers, &mut filled);
    if let Err(error) = parsed {
        *tape = filled.reset();
        return Err(reason(frame, error.error(), numbers));
    }
    // The n-th number of the tape is the n-th of the frame.
    let positions = filled.0.iter().enumerate().filter(|(_, node)| is_number(node)).map(|(position, _)| position);
    for (number, position) in numbers.iter_mut().zip(positions) {
        number.position = u32::try_from(position).map_err(|_| RejectReason::Limit)?;
    }
    Ok(Document { frame, tape: filled, home: tape, numbers })
}

fn is_number(node: &Node<'_>) -> bool {
    matches!(node, Node::Static(StaticNode::I64(_) | StaticNode::U64(_) | StaticNode::F64(_)))
}

#[cold]
fn reason(frame: &[u8], error: &ErrorType, numbers: &[BareNumber]) -> RejectReason {
    if !matches!(error, ErrorType::InvalidNumber | ErrorType::InvalidExponent) {
        return RejectReason::Json;
    }
    // A number that is well written and that neither 64 bits nor a double hold is no fault of the document.
    let is_well_written = |number: &BareNumber| json_number(number.text(frame)) != Err(NumberError::Syntax);
    if numbers.iter().all(is_well_written) { RejectReason::Range } else { RejectReason::Json }
}

impl BareNumber {
    fn text(self, frame: &[u8]) -> &[u8] {
        frame.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// The bytes that bare numbers are made of.
const OF_NUMBERS: [bool; 256] = {
    let mut of_numbers = [false; 256];
    let bytes = b"0123456789-+.eE";
    let mut n = 0;
    while n < bytes.len() {
        of_numbers[bytes[n] as usize] = true;
        n += 1;
    }
    of_numbers
};

/// One pass over the structure of a frame, texts stepped over: how deep brackets nest, and where the bare numbers stand.
fn outline(frame: &[u8], numbers: &mut Vec<BareNumber>) -> usize {
    numbers.clear();
    let (mut now, mut deepest, mut at) = (0usize, 0usize, 0usize);
    while let Some(byte) = frame.get(at) {
        at += 1;
        match byte {
            b'"' => at = behind_text(frame, at),
            b'{' | b'[' => {
                now += 1;
                deepest = deepest.max(now);
            }
            b'}' | b']' => now = now.saturating_sub(1),
            // Words hold an `e`, and never a digit or a sign.
            b'0'..=b'9' | b'-' => {
                let start = at - 1;
                let rest = frame.get(at..).unwrap_or_default();
                at += rest.iter().position(|byte| !OF_NUMBERS[usize::from(*byte)]).unwrap_or(rest.len());
                // No frame has 4 GiB; of one that had, numbers behind them would not be found and so be refused.
                if let (Ok(start), Ok(end)) = (u32::try_from(start), u32::try_from(at)) {
                    numbers.push(BareNumber { position: 0, start, end });
                }
            }
            _ => {}
        }
    }
    deepest
}

/// The position behind the quote that ends a text whose first byte stands at `at`.
fn behind_text(frame: &[u8], mut at: usize) -> usize {
    loop {
        let rest = frame.get(at..).unwrap_or_default();
        let Some(n) = quote_or_escape(rest) else { return frame.len() };
        if rest.get(n) == Some(&b'"') {
            return at + n + 1;
        }
        at += n + 2;
    }
}

/// A parsed document.
pub struct Document<'a> {
    frame: &'a [u8],
    tape: Tape<'a>,
    home: &'a mut Tape<'static>,
    /// Every bare number, in order of both positions.
    numbers: &'a [BareNumber],
}

impl Drop for Document<'_> {
    fn drop(&mut self) {
        *self.home = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
    }
}

impl<'a> Document<'a> {
    /// The value at a position of the tape; 0 is the whole document.
    pub(crate) fn at(&self, position: usize) -> Value<'_, 'a> {
        Value { document: self, position }
    }

    fn node(&self, position: usize) -> Option<Node<'a>> {
        self.tape.0.get(position).copied()
    }

    /// The position behind the value at `position`.
    fn behind(&self, position: usize) -> usize {
        let inside = match self.node(position) {
            Some(Node::Object { count, .. } | Node::Array { count, .. }) => count,
            _ => 0,
        };
        position.saturating_add(inside).saturating_add(1)
    }

    /// The text of the bare number at `position`.
    fn bare_number(&self, position: usize) -> Option<&'a [u8]> {
        let position = u32::try_from(position).ok()?;
        let n = self.numbers.binary_search_by_key(&position, |number| number.position).ok()?;
        self.numbers.get(n).map(|number| number.text(self.frame))
    }
}

/// A value of a document.
#[derive(Clone, Copy)]
pub struct Value<'d, 'a> {
    document: &'d Document<'a>,
    position: usize,
}

impl<'d, 'a> Value<'d, 'a> {
    /// Where it stands on the tape.
    pub(crate) fn position(self) -> usize {
        self.position
    }

    fn node(self) -> Option<Node<'a>> {
        self.document.node(self.position)
    }

    pub(crate) fn object(self) -> Option<Object<'d, 'a>> {
        matches!(self.node(), Some(Node::Object { .. })).then_some(Object(self))
    }

    pub(crate) fn is_array(self) -> bool {
        matches!(self.node(), Some(Node::Array { .. }))
    }

    /// The elements of an array; of anything else none.
    pub(crate) fn elements(self) -> impl Iterator<Item = Value<'d, 'a>> {
        let len = match self.node() {
            Some(Node::Array { len, .. }) => len,
            _ => 0,
        };
        let mut position = self.position.saturating_add(1);
        (0..len).map(move |_| {
            let element = Value { document: self.document, position };
            position = self.document.behind(position);
            element
        })
    }

    pub(crate) fn text(self) -> Option<&'a str> {
        match self.node() {
            Some(Node::String(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_null(self) -> bool {
        matches!(self.node(), Some(Node::Static(StaticNode::Null)))
    }

    pub(crate) fn boolean(self) -> Option<bool> {
        match self.node() {
            Some(Node::Static(StaticNode::Bool(value))) => Some(value),
            _ => None,
        }
    }

    /// A bare integer, in whatever notation: `1.7e12` is one.
    pub(crate) fn integer(self) -> Result<i64, RejectReason> {
        match self.node() {
            Some(Node::Static(StaticNode::I64(value))) => Ok(value),
            Some(Node::Static(StaticNode::U64(value))) => i64::try_from(value).map_err(|_| RejectReason::Range),
            // An integer beyond 64 bits comes as a double, and so does one with an exponent or a point.
            Some(Node::Static(StaticNode::F64(_))) => {
                let text = self.document.bare_number(self.position).ok_or(RejectReason::Schema)?;
                let whole = exact(text)?;
                if whole.scale > 0 {
                    return Err(RejectReason::Schema);
                }
                i64::try_from(whole.mantissa).map_err(|_| RejectReason::Range)
            }
            _ => Err(RejectReason::Schema),
        }
    }

    /// The text of a number, whether quoted or bare.
    pub(crate) fn number_text(self) -> Option<&'a [u8]> {
        match self.node()? {
            Node::String(text) => Some(text.as_bytes()),
            node if is_number(&node) => self.document.bare_number(self.position),
            _ => None,
        }
    }

    /// A number, whether quoted or bare.
    pub(crate) fn exact(self) -> Result<Exact, RejectReason> {
        Ok(exact(self.number_text().ok_or(RejectReason::Schema)?)?)
    }
}

/// A value that is an object.
#[derive(Clone, Copy)]
pub struct Object<'d, 'a>(Value<'d, 'a>);

impl<'d, 'a> Object<'d, 'a> {
    /// The value of a key; of one that occurs twice, the last. `null` counts as not there.
    pub(crate) fn get(self, key: &str) -> Option<Value<'d, 'a>> {
        self.find(key).filter(|value| !value.is_null())
    }

    /// The value of a key by which a frame was judged before all of it was read. One that contradicts itself about it is
    /// refused, so that nobody who read only its head has judged otherwise.
    pub(crate) fn once(self, key: &str) -> Result<Option<Value<'d, 'a>>, RejectReason> {
        let mut found = self.fields().filter(|(name, _)| *name == key).map(|(_, value)| value);
        let value = found.next().filter(|value| !value.is_null());
        if found.next().is_none() { Ok(value) } else { Err(RejectReason::Schema) }
    }

    /// True where the key is there, be it `null`.
    pub(crate) fn has(self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Its keys and their values in one walk, `null` too. Of a key that occurs twice the last counts.
    pub(crate) fn fields(self) -> impl Iterator<Item = (&'a str, Value<'d, 'a>)> {
        let Value { document, position } = self.0;
        let len = match document.node(position) {
            Some(Node::Object { len, .. }) => len,
            _ => 0,
        };
        let mut name = Value { document, position: position.saturating_add(1) };
        (0..len).filter_map(move |_| {
            let value = Value { document, position: name.position.saturating_add(1) };
            let key = name.text();
            name.position = document.behind(value.position);
            key.map(|key| (key, value))
        })
    }

    fn find(self, key: &str) -> Option<Value<'d, 'a>> {
        self.fields().filter(|(name, _)| *name == key).last().map(|(_, value)| value)
    }

    /// An integer that must be there.
    pub(crate) fn integer(self, key: &str) -> Result<i64, RejectReason> {
        self.get(key).ok_or(RejectReason::Schema)?.integer()
    }

    /// A price that must be there, quoted or bare, at `scale` or finer.
    pub(crate) fn number(self, key: &str, scale: u8) -> Result<Decimal, RejectReason> {
        let value = self.get(key).ok_or(RejectReason::Schema)?;
        decimal(value.number_text().ok_or(RejectReason::Schema)?, scale)
    }

    /// A price that may be missing, or be the empty text: some exchanges write that for what there is not.
    pub(crate) fn number_or_none(self, key: &str) -> Result<Option<Decimal>, RejectReason> {
        match self.get(key) {
            Some(value) if value.text() != Some("") => self.number(key, 0).map(Some),
            _ => Ok(None),
        }
    }

    /// A number above zero, as it is written; of anything else none.
    pub(crate) fn positive(self, key: &str) -> Option<Decimal> {
        let number = self.get(key)?.exact().ok()?;
        (number.mantissa > 0).then_some(Decimal::new(number.mantissa, number.scale))
    }

    /// A size that must be there, as [`Self::number`] and never negative.
    pub(crate) fn size(self, key: &str, scale: u8) -> Result<Decimal, RejectReason> {
        self.number(key, scale).and_then(not_negative)
    }

    /// Milliseconds since the epoch as nanoseconds, and whether there was a time that these cannot hold.
    pub(crate) fn millis(self, key: &str) -> Result<(Option<i64>, bool), RejectReason> {
        self.time(key, ms_to_ns)
    }

    /// The same of a time in another unit.
    pub(crate) fn time(
        self,
        key: &str,
        to_ns: impl FnOnce(i64) -> Option<i64>,
    ) -> Result<(Option<i64>, bool), RejectReason> {
        match self.integer_or_none(key) {
            Ok(time) => {
                let ns = time.and_then(to_ns);
                Ok((ns, time.is_some() && ns.is_none()))
            }
            Err(RejectReason::Range) => Ok((None, true)),
            Err(reason) => Err(reason),
        }
    }

    /// An integer that may be missing.
    pub(crate) fn integer_or_none(self, key: &str) -> Result<Option<i64>, RejectReason> {
        self.get(key).map(Value::integer).transpose()
    }
}
