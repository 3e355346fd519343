//! Reference data: `exchangeInfo`.

use serde_json::{Value, json};

use crate::SimulatorError;
use crate::binance::dialect::{Dialect, Product};
use crate::book::{Scales, decimal_text};
use crate::calendar::delivery_ms;
use crate::config::SymbolConfig;

/// An instrument as the reference data have it.
pub(crate) struct Instrument {
    pub symbol: String,
    pub scales: Scales,
    /// Mantissas.
    pub tick: i64,
    pub lot: i64,
    pub status: String,
    pub listed_ms: i64,
}

impl Instrument {
    pub(crate) fn new(dialect: &Dialect, config: &SymbolConfig, listed_ms: i64) -> Result<Self, SimulatorError> {
        let (scales, _, tick, lot) = config.numbers()?;
        let status = dialect.trading.to_owned();
        Ok(Self { symbol: config.symbol.clone(), scales, tick, lot, status, listed_ms })
    }
}

/// The document. `weight` is the budget of a minute.
pub(crate) fn document(dialect: &Dialect, rows: &[Value], now_ms: i64, weight: u32) -> String {
    match dialect.product {
        Product::Futures => json!({
            "timezone": "UTC", "serverTime": now_ms, "futuresType": "U_MARGINED",
            "rateLimits": [
                {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": weight},
                {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
            ],
            "exchangeFilters": [], "assets": [{"asset": "USDT", "marginAvailable": true, "autoAssetExchange": "0"}],
            "symbols": rows,
        }),
        Product::Spot => json!({
            "timezone": "UTC", "serverTime": now_ms,
            "rateLimits": [
                {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": weight},
                {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
                {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 300_000},
            ],
            "exchangeFilters": [], "symbols": rows,
        }),
    }
    .to_string()
}

/// One row of it.
pub(crate) fn row(dialect: &Dialect, i: &Instrument) -> Value {
    const QUOTES: [&str; 4] = ["USDT", "USDC", "BUSD", "BTC"];
    let (pair, delivery) = i.symbol.split_once('_').map_or((&*i.symbol, None), |(p, d)| (p, Some(d)));
    let quote = QUOTES.into_iter().find(|q| pair.len() > q.len() && pair.ends_with(q)).unwrap_or("USDT");
    let base = pair.strip_suffix(quote).unwrap_or(pair);
    let (price, size) = (|m: i64| decimal_text(m, i.scales.price), |m: i64| decimal_text(m, i.scales.size));
    let (tick, lot) = (i.tick, i.lot);
    let limits = json!([
        {"filterType": "PRICE_FILTER", "minPrice": price(tick), "maxPrice": price(tick.saturating_mul(10_000_000)), "tickSize": price(tick)},
        {"filterType": "LOT_SIZE", "minQty": size(lot), "maxQty": size(lot.saturating_mul(1_000_000)), "stepSize": size(lot)},
        {"filterType": "MARKET_LOT_SIZE", "minQty": size(lot), "maxQty": size(lot.saturating_mul(100_000)), "stepSize": size(lot)},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        match dialect.product {
            Product::Futures => json!({"filterType": "MIN_NOTIONAL", "notional": "5"}),
            Product::Spot => json!({
                "filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": true,
                "maxNotional": "9000000.00000000", "applyMaxToMarket": false, "avgPriceMins": 5,
            }),
        },
    ]);
    match dialect.product {
        Product::Futures => json!({
            "symbol": i.symbol, "pair": pair,
            "contractType": if delivery.is_some() { "CURRENT_QUARTER" } else { "PERPETUAL" },
            "deliveryDate": delivery.and_then(delivery_ms).unwrap_or(4_133_404_800_000),
            "onboardDate": i.listed_ms, "status": i.status,
            "maintMarginPercent": "2.5000", "requiredMarginPercent": "5.0000",
            "baseAsset": base, "quoteAsset": quote, "marginAsset": quote,
            "pricePrecision": i.scales.price, "quantityPrecision": i.scales.size,
            "baseAssetPrecision": 8, "quotePrecision": 8,
            "underlyingType": "COIN", "underlyingSubType": [], "triggerProtect": "0.0500", "liquidationFee": "0.012500",
            "marketTakeBound": "0.05", "maxMoveOrderLimit": 10000, "filters": limits,
            "orderTypes": ["LIMIT", "MARKET", "STOP", "TAKE_PROFIT"], "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
        }),
        Product::Spot => json!({
            "symbol": i.symbol, "status": i.status,
            "baseAsset": base, "baseAssetPrecision": 8, "quoteAsset": quote, "quotePrecision": 8, "quoteAssetPrecision": 8,
            "baseCommissionPrecision": 8, "quoteCommissionPrecision": 8,
            "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
            "icebergAllowed": true, "ocoAllowed": true, "otoAllowed": true, "quoteOrderQtyMarketAllowed": true,
            "allowTrailingStop": true, "cancelReplaceAllowed": true, "isSpotTradingAllowed": true,
            "isMarginTradingAllowed": true, "filters": limits,
            "permissions": [], "permissionSets": [["SPOT", "MARGIN"]],
            "defaultSelfTradePreventionMode": "EXPIRE_MAKER", "allowedSelfTradePreventionModes": ["EXPIRE_MAKER"],
        }),
    }
}
