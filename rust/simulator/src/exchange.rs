//! The exchanges that can be played: what each is by default, who plays it, how a plain client follows it.

use serde::{Deserialize, Serialize};

use crate::SimulatorError;
use crate::binance::{self, Binance};
use crate::config::{Account, DepthSpeed, Limits, LoadConfig, SimulatorConfig, Source, SymbolConfig, TruthConfig};
use crate::deribit::{self, Deribit};
use crate::okx::{self, Okx};
use crate::recorder::{Recipe, RecordRequest};
use crate::truth::Truth;
use crate::venue::Venue;

/// The exchanges that can be played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExchangeName {
    /// Binance USDⓈ-M futures.
    #[default]
    BinanceFutures,
    /// Binance spot.
    BinanceSpot,
    /// OKX.
    Okx,
    /// Deribit.
    Deribit,
}

impl ExchangeName {
    /// Who plays it.
    pub(crate) fn play(
        self,
        config: &SimulatorConfig,
        start_ms: i64,
        truth: &mut Truth,
    ) -> Result<Box<dyn Venue>, SimulatorError> {
        match self {
            Self::BinanceFutures => Ok(Box::new(Binance::new(&binance::FUTURES, config, start_ms, truth)?)),
            Self::BinanceSpot => Ok(Box::new(Binance::new(&binance::SPOT, config, start_ms, truth)?)),
            Self::Deribit => Ok(Box::new(Deribit::new(config, start_ms, truth)?)),
            Self::Okx => Ok(Box::new(Okx::new(config, start_ms, truth)?)),
        }
    }

    /// How a plain client follows it.
    pub(crate) fn recipe(self, request: &RecordRequest, symbols: &[String]) -> Recipe {
        match self {
            Self::BinanceFutures => binance::recipe(&binance::FUTURES, request, symbols),
            Self::BinanceSpot => binance::recipe(&binance::SPOT, request, symbols),
            Self::Deribit => deribit::recipe(symbols),
            Self::Okx => okx::recipe(request, symbols),
        }
    }

    /// What its configuration is where nothing is said.
    pub(crate) fn defaults(self) -> SimulatorConfig {
        let common = SimulatorConfig {
            exchange: self,
            seed: 1,
            symbols: Vec::new(),
            source: Source::Synthetic,
            book_levels: 1500,
            depth_speeds: Vec::new(),
            batch_phases: 1,
            liquidations: 0.0,
            block_trades: 0.0,
            mark_prices: true,
            trade_stream: true,
            odd_trades: 0.0,
            start_ms: None,
            addresses: vec![std::net::IpAddr::from([127, 0, 0, 1])],
            ws_port: 0,
            rest_port: 0,
            tls: false,
            first_ping_s: 0.0,
            ping_interval_s: 0.0,
            pong_timeout_s: 0.0,
            lifetime_s: 0.0,
            lifetime_notice_s: 0.0,
            idle_s: 0.0,
            time_compression: 1.0,
            limits: Limits::default(),
            accounts: Vec::new(),
            checksums: false,
            truth: TruthConfig::default(),
            load: None::<LoadConfig>,
            faults: Vec::new(),
        };
        let text = || "simulator".to_owned();
        let account = || Account { key: text(), secret: text(), passphrase: text(), tier: 9 };
        let named = |names: &[&str]| names.iter().map(|n| SymbolConfig::named(n)).collect();
        match self {
            Self::BinanceFutures => SimulatorConfig {
                symbols: named(&["BTCUSDT", "ETHUSDT", "SOLUSDT", "BTCUSDT_261225"]),
                depth_speeds: vec![DepthSpeed::Ms100, DepthSpeed::Ms250, DepthSpeed::Ms500, DepthSpeed::Ms0],
                odd_trades: 0.002,
                liquidations: 0.02,
                first_ping_s: 140.0,
                ping_interval_s: 180.0,
                pong_timeout_s: 600.0,
                lifetime_s: 86_400.0,
                ..common
            },
            Self::BinanceSpot => SimulatorConfig {
                symbols: named(&["BTCUSDT", "ETHUSDT", "SOLUSDT", "ETHBTC"]),
                depth_speeds: vec![DepthSpeed::Ms100, DepthSpeed::Ms1000],
                block_trades: 0.01,
                first_ping_s: 20.0,
                ping_interval_s: 20.0,
                pong_timeout_s: 60.0,
                lifetime_s: 86_400.0,
                limits: Limits {
                    messages_per_s: 5,
                    control_frames_count: true,
                    handshakes: 300,
                    handshake_window_s: 300.0,
                    weight_per_minute: 6000,
                    ..common.limits
                },
                ..common
            },
            Self::Okx => SimulatorConfig {
                symbols: named(&[
                    "BTC-USDT",
                    "ETH-USDT",
                    "BTC-USDT-SWAP",
                    "BTC-USD-SWAP",
                    "BTC-USD-261225",
                    "BTC-USD-261225-100000-C",
                ]),
                liquidations: 0.02,
                idle_s: 30.0,
                limits: Limits { handshakes: 3, handshake_window_s: 1.0, ..common.limits },
                accounts: vec![account()],
                ..common
            },
            Self::Deribit => SimulatorConfig {
                symbols: named(&[
                    "BTC-PERPETUAL",
                    "ETH-PERPETUAL",
                    "BTC_USDC-PERPETUAL",
                    "BTC-25DEC26",
                    "BTC-25DEC26-100000-C",
                    "XRP_USDC-25DEC26-1d02-C",
                    "BTC_USDC",
                    "BTC-FS-25DEC26_PERP",
                ]),
                book_levels: 500,
                liquidations: 0.02,
                block_trades: 0.005,
                idle_s: 60.0,
                limits: Limits { connections: 32, ..common.limits },
                accounts: vec![account()],
                ..common
            },
        }
    }
}
