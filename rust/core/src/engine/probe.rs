//! Quiet or dead? A stream that has not spoken for long is compared with REST.

use super::instrument::InstrumentState;
use crate::config::Stream;
use crate::decimal::Decimal;
use crate::event::DecodedLevels;

type Top = (Option<(Decimal, Decimal)>, Option<(Decimal, Decimal)>);

/// How far a stream is, by REST or by its own last event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// An id that rises.
    Id(i64),
    /// Best bid and offer, where quotes carry no id that REST tells.
    Top(Top),
}

impl Position {
    /// Where the stream itself stands; `None` before its first event.
    pub(super) fn of(instrument: &InstrumentState, stream: Stream) -> Option<Self> {
        match stream {
            Stream::Trades => instrument.trades.high().map(Self::Id),
            Stream::L2 => instrument.book.id().map(Self::Id),
            Stream::Bbo => instrument.quotes.last().map(|bbo| Self::Top((bbo.bid, bbo.ask))),
        }
    }

    /// The top of a REST book.
    pub(super) fn top(levels: &DecodedLevels) -> Self {
        let scales = levels.scales();
        let best = |level: Option<&crate::event::Level>| {
            level.map(|l| (Decimal::new(l.price.into(), scales.price), Decimal::new(l.size.into(), scales.size)))
        };
        Self::Top((best(levels.narrow.bids.first()), best(levels.narrow.asks.first())))
    }

    /// True where `self`, told by REST, shows events that the stream at `own` should have brought.
    pub(super) fn is_ahead_of(self, own: Self) -> bool {
        match (self, own) {
            (Self::Id(rest), Self::Id(own)) => rest > own,
            (rest, own) => rest != own,
        }
    }
}

/// What is known of a stream that is being probed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Probe {
    /// A request is on its way, or a recheck is armed.
    pub busy: bool,
    /// What REST said: of a stream that has never spoken the first time, else while a recheck is armed.
    pub rest: Option<Position>,
}
