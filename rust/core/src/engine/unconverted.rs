//! Sizes that cannot become base units, since nobody has told what a contract is worth.
//!
//! Where reference data cover the instrument's market, it is one of its kind that they do not explain (a new type, a new
//! listing, a contradiction in itself): its rows are left out, counted, and named by a gap that is open until the first
//! row after it is explained: of states the first of the feed whose open interest it was. A book counts in the exchange's own units: it is followed all the same, and its rows go on
//! with the whole of it as soon as they can. Where nothing covers its market, everything of it would be left out: that is
//! for the user to decide, but for a session of ours, which asks for the reference data itself.

use super::context::{Context, Origin, Subject};
use super::gaps::Finding;
use super::instrument::InstrumentState;
use super::registry::Registry;
use crate::config::{ConfigError, SizeUnit, Stream};
use crate::event::StateRow;
use crate::instrument::Conversion;
use crate::report::{IgnoreReason, Outcome};

/// What is left out comes to this.
const LEFT_OUT: Outcome = Outcome::Ignored(IgnoreReason::NoReference);

/// Whether rows with sizes of this instrument need what nobody has told.
#[inline]
pub(super) fn is_needed_for(cx: &Context, subject: Subject) -> bool {
    subject.conversion == Conversion::Unknown && cx.config.size_unit == SizeUnit::Base
}

/// Whether a row of this stream does.
#[inline]
pub(super) fn is_needed(cx: &Context, state: &InstrumentState, stream: Stream) -> bool {
    is_needed_for(cx, state.subject) && counts_contracts(stream)
}

/// What a frame comes to that a book has taken: its row may have been left out.
#[inline]
pub(super) fn taken_by_book(cx: &Context, subject: Subject) -> Outcome {
    if is_needed_for(cx, subject) { LEFT_OUT } else { Outcome::Accepted }
}

/// Whether a row of states is nothing but open interest in contracts: one that says more is told without it.
#[inline]
pub(super) fn is_needed_for_state(cx: &Context, subject: Subject, row: &StateRow) -> bool {
    is_needed_for(cx, subject) && row.state.is_open_interest_alone()
}

/// States have no sizes but open interest, of which each row is judged by itself.
fn counts_contracts(stream: Stream) -> bool {
    match stream {
        Stream::Trades | Stream::L2 | Stream::Bbo | Stream::Liquidations | Stream::L2Top => true,
        Stream::Derivatives | Stream::Options => false,
    }
}

/// Leaves a row out, or stops; `None` where a book takes it nevertheless. See the module.
#[cold]
pub(super) fn leave_out(
    cx: &mut Context,
    registry: &Registry,
    state: &mut InstrumentState,
    origin: Origin,
    (stream, feed): (Stream, Option<u8>),
) -> Option<Outcome> {
    let market = state.subject.exchange;
    // A name that nobody can parse is of no market: no reference data that are missing would explain it.
    if !cx.live && market != cx.config.venue.word() && !registry.covers(&state.native, market) {
        let (exchange, symbol) = (market.id(), state.native.to_string());
        cx.fault.get_or_insert(ConfigError::MissingReference { exchange, symbol });
    } else if stream == Stream::L2 {
        return None;
    } else if let Some(feed) = feed {
        let subject = state.subject;
        state.states(stream).leave_out(cx, subject, origin, feed);
    } else {
        state.suspend(cx, origin, stream, Finding::unconverted());
    }
    Some(LEFT_OUT)
}
