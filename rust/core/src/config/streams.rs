//! Which of the streams that are asked for a symbol has: what a name tells before anything is connected.

use super::{ConfigError, EngineConfig, Selection, Stream, What, list, offered, offers};
use crate::exchange::{Protocol, with_protocol};
use crate::symbol::Exchange;
use crate::table::InstrumentKind;

/// An instrument that is meant by its name, as far as that tells.
struct Named {
    native: String,
    market: Exchange,
    kind: Option<InstrumentKind>,
}

impl EngineConfig {
    /// Whether a stream may come of any of the symbols.
    #[must_use]
    pub fn may_have(&self, stream: Stream) -> bool {
        self.selections().iter().any(|selection| self.selection_may_have(selection, stream))
    }

    /// What is asked for of some symbols and comes of others only, and what cannot be found out: a sentence for each.
    #[must_use]
    pub fn left_out(&self) -> Vec<String> {
        let selections = self.selections();
        let lacks = |stream: Stream| {
            // Who asks by kind knows which kinds there are.
            let named = selections.iter().filter(|selection| selection.kind().is_none());
            let lacking = named.filter(move |selection| !self.selection_may_have(selection, stream));
            lacking.filter_map(move |selection| self.lack(selection, stream))
        };
        let lacks = self.streams.iter().flat_map(|stream| lacks(*stream));
        let unknown = self.symbols.iter().filter_map(|text| {
            let selection = Selection::parse(self.venue, text).ok()?;
            let left_out = with_protocol!(self.venue, P => P::left_out(&selection))?;
            Some(format!("subscription {text:?}: {left_out}"))
        });
        lacks.map(|lack| format!("{lack}; it is left out there")).chain(unknown).collect()
    }

    /// A stream that none of the symbols has is asked for in vain.
    pub(super) fn check_streams(&self) -> Result<(), ConfigError> {
        let in_vain = self.streams.iter().find(|stream| !self.may_have(**stream));
        let Some(stream) = in_vain else { return Ok(()) };
        let lack = self.selections().iter().find_map(|selection| self.lack(selection, *stream));
        lack.map_or(Ok(()), |lack| {
            Err(ConfigError::Contradiction(format!("{lack}; ask for those, or for other symbols")))
        })
    }

    fn selection_may_have(&self, selection: &Selection, stream: Stream) -> bool {
        match self.named(selection) {
            Some(named) => self.has(&named, stream),
            // What is meant only the reference data tell.
            None => {
                selection.kind().is_none_or(|kind| stream.may_be_of(kind))
                    && selection.market.is_none_or(|market| offers(market, stream))
            }
        }
    }

    fn has(&self, named: &Named, stream: Stream) -> bool {
        let carried = stream.carrier();
        let Named { native, market, kind } = named;
        offers(*market, carried)
            && with_protocol!(self.venue, P => !P::channels(native, *market, *kind, carried, self).is_empty())
    }

    /// That an instrument has no such stream, and what it has.
    fn lack(&self, selection: &Selection, stream: Stream) -> Option<String> {
        let kind = selection.kind().filter(|kind| !stream.may_be_of(*kind));
        if let Some(kind) = kind {
            let there_is = list(offered(self.venue).into_iter().filter(|s| s.may_be_of(kind)).map(Stream::name));
            let (kind, stream) = (kind.name(), stream.name());
            return Some(format!("an instrument of kind {kind} has no stream {stream:?}; there is: {there_is}"));
        }
        let named = self.named(selection)?;
        let there_is = list(Stream::ALL.into_iter().filter(|stream| self.has(&named, *stream)).map(Stream::name));
        let (market, native, stream) = (named.market.id(), &named.native, stream.name());
        Some(format!("{market}:{native} has no stream {stream:?}; there is: {there_is}"))
    }

    fn named(&self, selection: &Selection) -> Option<Named> {
        let What::Name(name) = &selection.what else { return None };
        let market = selection.market.unwrap_or_else(|| self.venue.word());
        with_protocol!(self.venue, P => {
            let native = P::native(market, name)?.into_owned();
            let told = P::name(&native);
            let (market, kind) = (told.market, told.kind);
            Some(Named { native, market, kind })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbol::Venue;

    fn asked(venue: Venue, symbols: &[&str], streams: &[Stream]) -> EngineConfig {
        let symbols = symbols.iter().map(|symbol| (*symbol).to_owned()).collect();
        EngineConfig { symbols, streams: streams.to_vec(), ..EngineConfig::new(venue) }
    }

    #[test]
    fn a_stream_that_no_symbol_has_is_refused_with_what_there_is() {
        use Stream::{Derivatives, L2, Options, Trades};
        for (venue, symbol, streams, wanted) in [
            (
                Venue::Okx,
                "okx:BTC-USDT",
                &[L2, Derivatives][..],
                "okx-spot:BTC-USDT has no stream \"derivatives\"; there is: trades, l2, bbo, l2_top",
            ),
            (Venue::Okx, "BTC-USDT", &[Options], "there is: trades, l2, bbo, l2_top"),
            (
                Venue::Deribit,
                "deribit:BTC_USDC",
                &[Trades, Derivatives],
                "deribit-spot:BTC_USDC has no stream \"derivatives\"; there is: trades",
            ),
            (
                Venue::Deribit,
                "BTC-PERPETUAL",
                &[Trades, Options],
                "deribit:BTC-PERPETUAL has no stream \"options\"; there is: trades, l2, bbo, derivatives",
            ),
            (
                Venue::Okx,
                "kind=perpetual",
                &[Trades, Options],
                "an instrument of kind perpetual has no stream \"options\"",
            ),
            (
                Venue::Deribit,
                "deribit:kind=spot",
                &[Trades, Derivatives],
                "kind spot has no stream \"derivatives\"; there is: trades, l2, bbo, l2_top",
            ),
        ] {
            let refused = asked(venue, &[symbol], streams).check().expect_err(symbol).to_string();
            assert!(refused.contains(wanted), "{refused}");
        }
    }

    #[test]
    fn a_stream_that_some_symbols_have_is_left_out_for_the_others_with_a_word() {
        let config = asked(Venue::Okx, &["okx:BTC-USDT", "okx:BTC-USDT-SWAP"], &[Stream::L2, Stream::Derivatives]);
        assert_eq!(config.check(), Ok(()));
        let said = config.left_out();
        assert_eq!(
            said,
            [
                "okx-spot:BTC-USDT has no stream \"derivatives\"; there is: trades, l2, bbo, l2_top; it is left out there"
            ]
        );
        for symbols in
            [["okx:BTC-USDT", "okx:*USDT"], ["okx:BTC-USDT", "kind=perpetual"], ["okx:BTC-USDT", "okx:BTCUSDT"]]
        {
            let config = asked(Venue::Okx, &symbols, &[Stream::Derivatives]);
            assert_eq!((config.check(), config.left_out().len()), (Ok(()), 1), "{symbols:?}");
        }
        let by_kind = asked(Venue::Okx, &["kind=spot", "okx:BTC-USDT-SWAP"], &[Stream::Derivatives]);
        assert_eq!((by_kind.check(), by_kind.left_out()), (Ok(()), Vec::new()));
    }
}
