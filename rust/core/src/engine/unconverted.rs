//! Sizes that cannot become base units, since nobody has told what a contract is worth.
//!
//! Where reference data cover the instrument's market, it is one of its kind that they do not explain (a new type, a new
//! listing, a contradiction in itself): its rows are left out, counted, and named by a gap that is open until the first
//! row after it is explained, of a book its next snapshot. Where nothing covers its market, everything of it would be left out: that is for the user to decide.

use super::context::{Context, Origin};
use super::gaps::Finding;
use super::instrument::InstrumentState;
use super::registry::Registry;
use crate::config::{ConfigError, SizeUnit, Stream};
use crate::instrument::Conversion;
use crate::report::{IgnoreReason, Outcome};

/// Whether a row of this stream needs what nobody has told.
#[inline]
pub(super) fn is_needed(cx: &Context, state: &InstrumentState, stream: Stream) -> bool {
    state.subject.conversion == Conversion::Unknown && cx.config.size_unit == SizeUnit::Base && counts_contracts(stream)
}

/// States have no sizes but open interest, which comes in base units where it comes at all (OKX §5).
fn counts_contracts(stream: Stream) -> bool {
    match stream {
        Stream::Trades | Stream::L2 | Stream::Bbo | Stream::Liquidations | Stream::L2Top => true,
        Stream::Derivatives | Stream::Options => false,
    }
}

/// Leaves a row out, or stops. See the module.
#[cold]
pub(super) fn leave_out(
    cx: &mut Context,
    registry: &Registry,
    state: &mut InstrumentState,
    origin: Origin,
    stream: Stream,
) -> Outcome {
    let market = state.subject.exchange;
    // A name that nobody can parse is of no market: no reference data that are missing would explain it.
    if market != cx.config.venue.word() && !registry.covers(&state.native, market) {
        let (exchange, symbol) = (market.id(), state.native.to_string());
        cx.fault.get_or_insert(ConfigError::MissingReference { exchange, symbol });
    } else {
        state.suspend(cx, origin, stream, Finding::unconverted());
    }
    Outcome::Ignored(IgnoreReason::NoReference)
}
