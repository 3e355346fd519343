//! A JSON document on simd-json's tape, with the frame's own text behind every number.

use std::borrow::Cow;

use simd_json::{Buffers, ErrorType, Node, StaticNode, Tape};
use xtrader_scan::{Exact, NumberError, exact};

use super::levels::decimal;
use crate::decimal::Decimal;
use crate::report::RejectReason;

/// Nesting that a document may have; the exchange's has five.
const MAX_DEPTH: usize = 32;

/// Parses all of `frame`. `scratch` takes the copy that simd-json writes into, `tape` gives its buffer and gets it back
/// when the document is dropped.
pub(crate) fn read_document<'a>(
    frame: &'a [u8],
    scratch: &'a mut Vec<u8>,
    buffers: &mut Buffers,
    tape: &'a mut Tape<'static>,
) -> Result<Document<'a>, RejectReason> {
    if std::str::from_utf8(frame).is_err() {
        return Err(RejectReason::Utf8);
    }
    // Before parsing, so that no depth of nesting costs stack or memory.
    if depth(frame) > MAX_DEPTH {
        return Err(RejectReason::Depth);
    }
    scratch.clear();
    scratch.extend_from_slice(frame);
    let mut filled = std::mem::replace(tape, Tape(Vec::new())).reset();
    let parsed = simd_json::fill_tape(scratch, buffers, &mut filled);
    let document = Document { frame, tape: filled, home: tape };
    match parsed {
        Ok(()) => Ok(document),
        Err(error) => Err(reason(frame, error.error())),
    }
}

#[cold]
fn reason(frame: &[u8], error: &ErrorType) -> RejectReason {
    if !matches!(error, ErrorType::InvalidNumber | ErrorType::InvalidExponent) {
        return RejectReason::Json;
    }
    // A number that is well written and that neither 64 bits nor a double hold is no fault of the document.
    let mut well_written = true;
    bare_numbers(frame, |text| {
        let leading_zero = matches!(text.strip_prefix(b"-").unwrap_or(text), [b'0', b'0'..=b'9', ..]);
        well_written &= !leading_zero && exact(text) != Err(NumberError::Syntax);
    });
    if well_written { RejectReason::Range } else { RejectReason::Json }
}

/// How deep brackets nest, outside of texts.
fn depth(frame: &[u8]) -> usize {
    let (mut now, mut deepest) = (0usize, 0);
    outside_texts(frame, |_, byte| match byte {
        b'{' | b'[' => {
            now += 1;
            deepest = deepest.max(now);
        }
        b'}' | b']' => now = now.saturating_sub(1),
        _ => {}
    });
    deepest
}

/// Calls `see` with every byte that is not part of a text, quotes left out too.
fn outside_texts(frame: &[u8], mut see: impl FnMut(usize, u8)) {
    let (mut in_text, mut escaped) = (false, false);
    for (at, byte) in frame.iter().copied().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if !in_text => see(at, byte),
            _ => {}
        }
    }
}

/// Calls `see` with every bare number of a frame, in order.
fn bare_numbers<'a>(frame: &'a [u8], mut see: impl FnMut(&'a [u8])) {
    let part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    let mut end = 0;
    outside_texts(frame, |at, byte| {
        // The words hold an `e`, and never a digit or a sign.
        if at >= end && matches!(byte, b'0'..=b'9' | b'-') {
            let text = frame.get(at..).unwrap_or_default();
            let len = text.iter().position(|byte| !part(byte)).unwrap_or(text.len());
            end = at.saturating_add(len);
            see(text.get(..len).unwrap_or_default());
        }
    });
}

/// A parsed document.
pub struct Document<'a> {
    frame: &'a [u8],
    tape: Tape<'a>,
    home: &'a mut Tape<'static>,
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

    /// The text of the bare number at `position`: the n-th number of the tape is the n-th of the frame.
    fn bare_number(&self, position: usize) -> Option<&'a [u8]> {
        let is_number = |node: &&Node<'_>| {
            matches!(node, Node::Static(StaticNode::I64(_) | StaticNode::U64(_) | StaticNode::F64(_)))
        };
        let n = self.tape.0.get(..position)?.iter().filter(is_number).count();
        let (mut seen, mut found) = (0usize, None);
        bare_numbers(self.frame, |text| {
            if seen == n {
                found = Some(text);
            }
            seen += 1;
        });
        found
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

    pub(crate) fn boolean(self) -> Option<bool> {
        match self.node() {
            Some(Node::Static(StaticNode::Bool(value))) => Some(value),
            _ => None,
        }
    }

    /// A bare integer.
    pub(crate) fn integer(self) -> Result<i64, RejectReason> {
        match self.node() {
            Some(Node::Static(StaticNode::I64(value))) => Ok(value),
            Some(Node::Static(StaticNode::U64(value))) => i64::try_from(value).map_err(|_| RejectReason::Range),
            // An integer beyond 64 bits comes as a double.
            Some(Node::Static(StaticNode::F64(_))) => match self.document.bare_number(self.position) {
                Some(text) if text.iter().all(|b| b.is_ascii_digit() || *b == b'-') => Err(RejectReason::Range),
                _ => Err(RejectReason::Schema),
            },
            _ => Err(RejectReason::Schema),
        }
    }

    /// The text of a number, whether quoted or bare.
    pub(crate) fn number_text(self) -> Option<Cow<'a, [u8]>> {
        match self.node()? {
            Node::String(text) => Some(Cow::Borrowed(text.as_bytes())),
            Node::Static(StaticNode::I64(value)) => Some(Cow::Owned(value.to_string().into_bytes())),
            Node::Static(StaticNode::U64(value)) => Some(Cow::Owned(value.to_string().into_bytes())),
            Node::Static(StaticNode::F64(_)) => self.document.bare_number(self.position).map(Cow::Borrowed),
            _ => None,
        }
    }

    /// A number, whether quoted or bare.
    pub(crate) fn exact(self) -> Result<Exact, RejectReason> {
        Ok(exact(self.number_text().ok_or(RejectReason::Schema)?.as_ref())?)
    }
}

/// A value that is an object.
#[derive(Clone, Copy)]
pub struct Object<'d, 'a>(Value<'d, 'a>);

impl<'d, 'a> Object<'d, 'a> {
    /// The value of a key; of one that occurs twice, the last. `null` counts as not there.
    pub(crate) fn get(self, key: &str) -> Option<Value<'d, 'a>> {
        self.find(key).filter(|value| !matches!(value.node(), Some(Node::Static(StaticNode::Null))))
    }

    /// True where the key is there, be it `null`.
    pub(crate) fn has(self, key: &str) -> bool {
        self.find(key).is_some()
    }

    fn find(self, key: &str) -> Option<Value<'d, 'a>> {
        let Value { document, position } = self.0;
        let Some(Node::Object { len, .. }) = document.node(position) else { return None };
        let mut found = None;
        let mut name = Value { document, position: position.saturating_add(1) };
        for _ in 0..len {
            let value = Value { document, position: name.position.saturating_add(1) };
            if name.text() == Some(key) {
                found = Some(value);
            }
            name.position = document.behind(value.position);
        }
        found
    }

    /// An integer that must be there.
    pub(crate) fn integer(self, key: &str) -> Result<i64, RejectReason> {
        self.get(key).ok_or(RejectReason::Schema)?.integer()
    }

    /// A price or size that must be there, quoted or bare, at `scale` or finer.
    pub(crate) fn number(self, key: &str, scale: u8) -> Result<Decimal, RejectReason> {
        let value = self.get(key).ok_or(RejectReason::Schema)?;
        decimal(value.number_text().ok_or(RejectReason::Schema)?.as_ref(), scale)
    }

    /// An integer that may be missing.
    pub(crate) fn integer_or_none(self, key: &str) -> Result<Option<i64>, RejectReason> {
        self.get(key).map(Value::integer).transpose()
    }
}
