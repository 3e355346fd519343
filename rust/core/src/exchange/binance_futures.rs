//! Binance USDⓈ-M futures.
//!
//! Manual: "Binance USDⓈ-M Futures — public market-data protocol" (state of 2026-11-22); sections are cited as §n.
//!
//! | stream | channel | message | role | times | merge rule | source |
//! |---|---|---|---|---|---|---|
//! | `trades` | `<s>@aggTrade` on `/market` | `aggTrade` | fills of one price and side over 100 ms | `T`, `E` | `sequence` on `a` | §3 documented |
//! | `trades` | `<s>@trade` on `/public` | `trade` | single fills; `X` other than `MARKET` is no trade | `T`, `E` | `sequence` on `t` | §3 undocumented, recordings |
//! | `l2` | `<s>@depth[@speed]` on `/public` | `depthUpdate` | absolute sizes of all levels changed in `(pu, u]` | `T`, `E` | `chain` on `pu`, `u` | §4 documented |
//! | `l2` | `GET /fapi/v1/depth` | – | snapshot, 1000 levels a side | `T`, `E` | `lastUpdateId` | §4 documented |
//! | `bbo` | `<s>@bookTicker` on `/public` | `bookTicker` | best bid and offer | `T`, `E` | `latest` on `u` | §5 documented |
//! | `instruments` | `GET /fapi/v1/exchangeInfo` | – | reference data | – | – | §2 documented |

pub mod instruments;
pub mod normalize;
pub mod peek;
pub mod route;
pub mod wire;

#[cfg(test)]
mod two_paths;

use crate::book::sync::SyncRules;

/// How its books are kept true (§4, state machine).
pub const SYNC_RULES: SyncRules = SyncRules { first_may_end_at_snapshot: true };
