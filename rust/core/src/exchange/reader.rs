//! The reference reader: any JSON of an exchange, in any key order, by way of simd-json.
//!
//! Slower than the scanners and never in disagreement with them: it reads what they leave, and tests hold both against
//! each other. A number counts as its text in the frame, never as a double. Of a key that occurs twice the last one
//! counts, as in Python's `json`, unless it is one that a frame was judged by before all of it was read, which may stand
//! only once; unknown keys are of no account.

use super::document::{Document, Room, Value, read_document};
use super::{Decoded, Head, Peek, Protocol};
use crate::event::{Bbo, BookHead, DecodedLevels, Scales, StateRows, TradeRows};
use crate::report::RejectReason;

/// Reads frames of any shape. Its buffers are reused from frame to frame.
#[derive(Default)]
pub struct WireReader {
    room: Room,
}

impl WireReader {
    /// Reads one document, whatever it says.
    ///
    /// # Errors
    /// [`RejectReason::Utf8`], [`RejectReason::Json`], [`RejectReason::Depth`].
    pub fn document<'a>(&'a mut self, frame: &'a [u8]) -> Result<Document<'a>, RejectReason> {
        read_document(frame, &mut self.room)
    }

    /// Reads one frame: a whole JSON document whose head can be judged.
    ///
    /// # Errors
    /// As [`Self::document`]; or a field of its head ([`RejectReason::Schema`], [`RejectReason::Range`]).
    pub fn read<'a, P: Protocol>(&'a mut self, frame: &'a [u8]) -> Result<Message<'a>, RejectReason> {
        let document = self.document(frame)?;
        let (peek, body) = P::judge(&document)?;
        Ok(Message { document, peek, body })
    }

    /// Reads a frame whose body a scanner missed, after its `head` was already judged by.
    ///
    /// # Errors
    /// As [`Self::read`]; and [`RejectReason::Schema`] where the whole frame says something else than its head did, which
    /// only a key that occurs twice can bring about: no row may carry an id that was never arbitrated.
    pub fn reread<'a, P: Protocol>(
        &'a mut self,
        frame: &'a [u8],
        head: &Head<'_>,
    ) -> Result<Message<'a>, RejectReason> {
        let message = self.read::<P>(frame)?;
        let same = matches!(message.peek(), Peek::Event(found) if found == Head { resume: 0, ..*head });
        if same { Ok(message) } else { Err(RejectReason::Schema) }
    }
}

/// A frame that was read, and what its head says. The body is decoded when asked for, once the instrument is known.
pub struct Message<'a> {
    document: Document<'a>,
    peek: Peek<'a>,
    /// Where the event's value stands in the document.
    body: usize,
}

impl<'a> Message<'a> {
    /// What the head says, never [`Peek::Miss`].
    #[must_use]
    pub fn peek(&self) -> Peek<'a> {
        self.peek
    }

    /// The trades, numbers at `scales` or finer.
    pub fn trades<P: Protocol>(&self, scales: Scales, out: &mut TradeRows) -> Decoded<()> {
        out.clear();
        self.decode(|body, head| P::read_trades(body, head, scales, out))
    }

    /// The levels of a book message into `out`, at `scales` or finer; `max_levels` counts both sides.
    pub fn book<P: Protocol>(&self, scales: Scales, max_levels: usize, out: &mut DecodedLevels) -> Decoded<BookHead> {
        self.decode(|body, head| P::read_book(body, head, scales, max_levels, out))
    }

    /// The quote, numbers at `scales` or finer.
    #[must_use]
    pub fn bbo<P: Protocol>(&self, scales: Scales) -> Decoded<Bbo> {
        self.decode(|body, head| P::read_bbo(body, head, scales))
    }

    /// The states of instruments.
    pub fn states<P: Protocol>(&self, out: &mut StateRows) -> Decoded<()> {
        out.clear();
        self.decode(|body, head| P::read_states(body, head, out))
    }

    fn decode<T>(
        &self,
        decode: impl FnOnce(Value<'_, '_>, &Head<'_>) -> Result<Decoded<T>, RejectReason>,
    ) -> Decoded<T> {
        let Peek::Event(head) = &self.peek else { return Decoded::Miss };
        decode(self.document.at(self.body), head).unwrap_or_else(Decoded::Rejected)
    }
}
