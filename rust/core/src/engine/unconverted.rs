//! Sizes that cannot become base units, since nobody has told what a contract is worth.
//!
//! Where reference data cover the instrument's market, it is one of its kind that they do not explain (a new type, a new
//! listing, a contradiction in itself): its rows are left out, counted, and named by a gap that is open until it is
//! explained. Where nothing covers its market, everything of it would be left out: that is for the user to decide.

use super::context::{Context, Origin};
use super::gaps::{Finding, OpenGap};
use super::instrument::InstrumentState;
use super::registry::Registry;
use crate::config::{ConfigError, SizeUnit, Stream};
use crate::instrument::Conversion;
use crate::report::{IgnoreReason, Outcome};
use crate::table::{GapCause, GapEvidence, Repaired};

/// The streams of an instrument that are left out.
#[derive(Default)]
pub(super) struct Unconverted {
    gaps: Vec<(Stream, OpenGap)>,
}

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
    let subject = state.subject;
    if !state.unconverted.gaps.iter().any(|(left_out, _)| *left_out == stream) {
        // A name that nobody can parse is of no market: no reference data that are missing would explain it.
        if subject.exchange != cx.config.venue.word() && !registry.covers(&state.native, subject.exchange) {
            let (exchange, symbol) = (subject.exchange.id(), state.native.to_string());
            cx.fault.get_or_insert(ConfigError::MissingReference { exchange, symbol });
        } else if let Some(carriers) = state.carriers(stream) {
            let finding = Finding::new(GapCause::Overflow, GapEvidence::Shell);
            let gap = OpenGap::open(cx, subject, origin, stream, finding, carriers);
            state.unconverted.gaps.push((stream, gap));
        }
    }
    Outcome::Ignored(IgnoreReason::NoReference)
}

/// It may have been told what a contract is worth: then what was left out begins.
pub(super) fn explain(cx: &mut Context, state: &mut InstrumentState, origin: Origin) {
    if state.subject.conversion != Conversion::Unknown {
        for (_, gap) in state.unconverted.gaps.drain(..) {
            gap.close(cx, state.subject, origin, Repaired::None);
        }
    }
}
