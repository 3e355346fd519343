//! Quiet or dead? A stream that has not spoken for long is compared with REST.

use super::instrument::InstrumentState;
use crate::config::Stream;
use crate::exchange::RestTold;

/// Where the stream itself stands; `None` before its first event.
pub(super) fn position(instrument: &InstrumentState, stream: Stream) -> Option<RestTold> {
    match stream {
        Stream::Trades => instrument.trades.high().map(RestTold::Id),
        Stream::L2 => instrument.book.id().map(RestTold::Id),
        Stream::Bbo => instrument.quotes.last().map(|bbo| RestTold::Top((bbo.bid, bbo.ask))),
        Stream::Derivatives | Stream::Options | Stream::Liquidations | Stream::L2Top => None,
    }
}

/// True where `told` shows events that the stream at `own` should have brought.
pub(super) fn is_ahead(told: RestTold, own: RestTold) -> bool {
    match (told, own) {
        (RestTold::Id(rest), RestTold::Id(own)) => rest > own,
        (rest, own) => rest != own,
    }
}

/// What is known of a stream that is being probed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Probe {
    /// A request is on its way, or a recheck is armed.
    pub busy: bool,
    /// What REST said: of a stream that has never spoken the first time, else while a recheck is armed.
    pub rest: Option<RestTold>,
}
