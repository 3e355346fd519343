//! What only spot's reference data say (§2).

use crate::exchange::binance::filter;
use crate::exchange::document::Object;
use crate::instrument::Instrument;

/// The smallest notional stands in a filter of one of two names. A trade settles in the quote asset.
pub(super) fn describe(row: Object<'_, '_>, instrument: &mut Instrument) {
    instrument.settle.clone_from(&instrument.quote);
    instrument.min_notional =
        ["NOTIONAL", "MIN_NOTIONAL"].into_iter().find_map(|name| filter(row, name, "minNotional"));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::decimal::Decimal;
    use crate::exchange::Protocol;
    use crate::exchange::binance_spot::BinanceSpot;
    use crate::instrument::Conversion;
    use crate::symbol::Exchange;
    use crate::table::{InstrumentKind, Status};

    fn read(status: &str, notional: &str) -> Instrument {
        let body = format!(
            r#"{{"timezone":"UTC","symbols":[{{"symbol":"ETHBTC","status":"{status}","baseAsset":"ETH",
            "baseAssetPrecision":8,"quoteAsset":"BTC","quotePrecision":8,"filters":[
            {{"filterType":"PRICE_FILTER","minPrice":"0.00001000","maxPrice":"922327.00","tickSize":"0.00001000"}},
            {{"filterType":"LOT_SIZE","minQty":"0.00010000","maxQty":"100000.0","stepSize":"0.00010000"}},
            {{"filterType":"{notional}","minNotional":"0.00010000"}}]}}]}}"#
        );
        BinanceSpot::read_reference(body.as_bytes()).unwrap().remove(0)
    }

    #[test]
    fn a_pair() {
        assert_eq!(
            read("TRADING", "NOTIONAL"),
            Instrument {
                exchange: Exchange::BinanceSpot,
                native_symbol: "ETHBTC".into(),
                symbol: "ETHBTC".into(),
                kind: InstrumentKind::Spot,
                base: "ETH".into(),
                quote: "BTC".into(),
                settle: "BTC".into(),
                tick_size: Some(Decimal::new(1, 5)),
                lot_size: Some(Decimal::new(1, 4)),
                min_notional: Some(Decimal::new(1, 4)),
                multiplier: Decimal::new(1, 0),
                inverse: false,
                conversion: Conversion::None,
                expiry: None,
                strike: None,
                option_type: None,
                status: Status::Trading,
                status_native: "TRADING".into(),
            }
        );
        assert_eq!(read("TRADING", "MIN_NOTIONAL").min_notional, Some(Decimal::new(1, 4)), "its name until 2022");
    }

    #[test]
    fn states() {
        for (native, status) in [
            ("HALT", Status::Halted),
            ("BREAK", Status::Halted),
            ("CANCEL_ONLY", Status::Halted),
            ("SLEEPING", Status::Unknown),
        ] {
            assert_eq!(read(native, "NOTIONAL").status, status, "{native}");
        }
    }

    #[test]
    fn a_name_tells_all_that_sizes_need() {
        let name = BinanceSpot::name("BTCUSDT");
        assert_eq!(
            (name.market, &*name.symbol, name.kind),
            (Exchange::BinanceSpot, "BTCUSDT", Some(InstrumentKind::Spot))
        );
        assert_eq!(name.conversion, Conversion::None);
        assert_eq!(BinanceSpot::native(Exchange::BinanceSpot, "币安人生USDT").as_deref(), Some("币安人生USDT"));
    }
}
