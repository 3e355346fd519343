//! What a live stream is told to do, and the bounds of every number.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use xtrader_core::config::{ConfigError, DepthSpeed, EngineConfig, SizeUnit, Stream};
use xtrader_core::exchange::{Protocol, with_protocol};

use super::address::{self, Service};
use super::login::LoginSource;
use super::resolve::Resolver;
use super::sys;
use crate::error::RuntimeError;

/// What happens when the consumer is behind and its queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Sockets are not read until there is room: nothing is lost here, but an exchange drops a reader that is too slow.
    Block,
    /// The oldest batches go. The consumer sees what is new, and what it missed as rows of `gaps`.
    #[default]
    DropOldest,
    /// New batches go. The consumer keeps what it has not read yet, and sees what it missed as rows of `gaps`.
    DropNewest,
}

/// Everything one live stream needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveOptions {
    /// What the engine is to do.
    pub engine: EngineConfig,
    /// What happens when the queue is full.
    #[serde(default)]
    pub policy: Policy,
    /// Bytes of closed batches that wait for the consumer, 1 MiB … 1 TiB. One batch is always let in.
    #[serde(default = "default_queue_bytes")]
    pub queue_bytes: usize,
    /// A consumer that has read everything gets the next rows at once, in small batches. False: batches close only by
    /// rows, bytes and `max_delay_ms`, which costs less per row (collectors).
    #[serde(default = "default_eager")]
    pub eager: bool,
    /// Core that the shard's thread is pinned to. Refused on fewer than 4 cores unless forced.
    #[serde(default)]
    pub pin_core: Option<usize>,
    /// The shard never sleeps: it takes a whole core and saves the time of waking up. Refused on fewer than 4 cores
    /// unless forced.
    #[serde(default)]
    pub spin: bool,
    /// Pin and spin on any machine.
    #[serde(default)]
    pub force: bool,
    /// PEM file of authorities that are trusted beside the platform's own (a proxy, a simulator with TLS). There is no
    /// way to trust everybody.
    #[serde(default)]
    pub extra_ca: Option<PathBuf>,
    /// Where the credentials come from, to log in before subscribing; the engine is told whether there are any.
    #[serde(default)]
    pub login: Option<LoginSource>,
    /// Bounds of every connection.
    #[serde(default)]
    pub net: NetLimits,
    /// Bounds of REST, shared by all streams of the process that talk to the same host.
    #[serde(default)]
    pub rest: RestLimits,
    /// What finds the addresses of WebSocket hosts.
    #[serde(skip)]
    pub resolver: Resolver,
}

/// Whose clock says when data came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timestamps {
    /// This program's, when its read returns.
    #[default]
    User,
    /// The kernel's, when the last bytes of the read arrived, or the network card's where it notes them and its clock
    /// follows the system's. Linux only; where there is none, this program's: `stamp_source` tells. Cost: less than a
    /// microsecond for each read.
    Kernel,
}

/// Bounds of every connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetLimits {
    /// Milliseconds for name, TCP, TLS and upgrade together, 1 … 600 000.
    pub connect_ms: u64,
    /// Milliseconds that one address may take to accept before the next is tried, 1 … 600 000.
    pub address_ms: u64,
    /// Milliseconds that our bytes may wait for a peer that does not read, 1 … 600 000.
    pub write_ms: u64,
    /// Milliseconds from the first byte of a message to its last, 1 … 600 000.
    pub assembly_ms: u64,
    /// Milliseconds that a polite close may take, 0 … 60 000. Stopping takes no longer than this.
    pub close_ms: u64,
    /// Bytes of one message, 1 KiB … 1 GiB; more is refused from the header. Memory: up to twice this per connection
    /// while such a message arrives.
    pub max_message_bytes: usize,
    /// Bytes of ours that may wait on one connection, 1 KiB … 1 GiB.
    pub max_write_bytes: usize,
    /// Bytes that one read takes at most, 8 KiB … 16 MiB. Memory: this much per connection.
    pub read_buffer_bytes: usize,
    /// Bytes of the kernel's receive buffer, 4 KiB … 1 GiB; none leaves it to the kernel, which adapts it. The kernel
    /// may give less (`net.core.rmem_max`).
    pub recv_buffer_bytes: Option<usize>,
    /// Messages of ours per second and connection, pongs included, 1 … 1000; none takes four fifths of what the exchange
    /// allows (`frames_per_s` of its `Limits`).
    pub messages_per_s: Option<u32>,
    /// Connections opened per five minutes and host, by the whole process, 1 … 100 000; none takes four fifths of what
    /// the exchange allows, in its own window.
    pub connects_per_5min: Option<u32>,
    /// Whose clock says when data came.
    pub timestamps: Timestamps,
    /// Addresses of this machine that connections leave by, at most 64: the n-th connection to one stream by the n-th
    /// of them that has the family of the exchange's address, and round again. None leaves it to the system. REST is not
    /// concerned.
    pub local_addresses: Vec<IpAddr>,
}

impl Default for NetLimits {
    fn default() -> Self {
        Self {
            connect_ms: 10_000,
            address_ms: 3_000,
            write_ms: 5_000,
            assembly_ms: 10_000,
            close_ms: 500,
            max_message_bytes: 16 << 20,
            max_write_bytes: 256 << 10,
            read_buffer_bytes: 64 << 10,
            recv_buffer_bytes: None,
            messages_per_s: None,
            connects_per_5min: None,
            timestamps: Timestamps::default(),
            local_addresses: Vec::new(),
        }
    }
}

/// Bounds of REST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RestLimits {
    /// Weight spent per minute and host, by the whole process, 1 … 1 000 000, spread over the windows in which the exchange
    /// counts; none takes four fifths of what the exchange allows, half of it where its windows are shorter than a minute.
    pub weight_per_min: Option<u32>,
    /// Requests under way at once, 1 … 64.
    pub max_concurrent: usize,
    /// Requests that wait for their turn, 1 … 65 536; more fail at once.
    pub max_waiting: usize,
    /// Bytes of one reply, decompressed, 1 KiB … 1 GiB; more is refused.
    pub max_body_bytes: usize,
}

impl Default for RestLimits {
    fn default() -> Self {
        Self { weight_per_min: None, max_concurrent: 4, max_waiting: 4096, max_body_bytes: 16 << 20 }
    }
}

const fn default_queue_bytes() -> usize {
    64 << 20
}

const fn default_eager() -> bool {
    true
}

/// Fewest cores on which a shard may have one for itself.
const MIN_CORES: usize = 4;
/// Deribit's gateway at Coinbase: its amounts are in base coin where Deribit's own count dollars (Deribit §1).
const BASE_COIN_GATEWAY: &str = "drb.coinbase.com";

impl LiveOptions {
    /// These defaults around an engine's configuration.
    #[must_use]
    pub fn new(engine: EngineConfig) -> Self {
        Self {
            engine,
            policy: Policy::default(),
            queue_bytes: default_queue_bytes(),
            eager: default_eager(),
            pin_core: None,
            spin: false,
            force: false,
            extra_ca: None,
            login: None,
            net: NetLimits::default(),
            rest: RestLimits::default(),
            resolver: Resolver::default(),
        }
    }

    /// From JSON, as the Python side writes it.
    ///
    /// # Errors
    /// Not this shape, or an unknown key.
    pub fn from_json(text: &str) -> Result<Self, RuntimeError> {
        serde_json::from_str(text).map_err(|e| ConfigError::Shape(e.to_string()).into())
    }

    /// Judges what can be judged before anything is opened.
    ///
    /// # Errors
    /// A number out of bounds, an endpoint that must not be dialled, or a machine that has no core to spare.
    pub fn check(&self) -> Result<(), RuntimeError> {
        self.check_bounds()?;
        if self.queue_bytes < self.engine.batch.max_bytes {
            return Err(RuntimeError::Options(format!(
                "queue_bytes = {} holds not even one batch of batch.max_bytes = {}; raise the one or lower the other",
                self.queue_bytes, self.engine.batch.max_bytes
            )));
        }
        if let Some(endpoints) = &self.engine.endpoints {
            address::parse(&endpoints.ws, Service::WebSocket).map_err(|e| RuntimeError::Options(format!("ws {e}")))?;
            address::parse(&endpoints.rest, Service::Rest).map_err(|e| RuntimeError::Options(format!("rest {e}")))?;
            if self.engine.size_unit == SizeUnit::Base && endpoints.ws.contains(BASE_COIN_GATEWAY) {
                return Err(RuntimeError::Options(format!(
                    "ws {:?} is Deribit's gateway at Coinbase, whose amounts are in base coin already; choose size_unit \
                     = \"native\"",
                    endpoints.ws
                )));
            }
        }
        if self.engine.depth_speed == DepthSpeed::Ms10 && self.login.is_none() {
            return Err(RuntimeError::Options(format!(
                "depth_speed = 10ms takes a login at {}; give login, or leave depth_speed out",
                self.engine.venue.id()
            )));
        }
        if self.engine.login && self.login.is_none() {
            return Err(RuntimeError::Options("engine.login is set by login; name where the credentials are".into()));
        }
        for ip in &self.net.local_addresses {
            let problem = if ip.is_unspecified() || ip.is_multicast() {
                "it is not the address of one machine".to_owned()
            } else if let Err(e) = sys::has_address(*ip) {
                e.to_string()
            } else {
                continue;
            };
            return Err(RuntimeError::Options(format!(
                "net.local_addresses: no connection can leave by {ip} ({problem}); name addresses that this machine has \
                 (`ip address` lists them), or leave it out"
            )));
        }
        let cores = sys::cores();
        if (self.spin || self.pin_core.is_some()) && cores < MIN_CORES && !self.force {
            return Err(RuntimeError::Options(format!(
                "spin and pin_core take a core for one shard alone, and this process has {cores} (at least {MIN_CORES} \
                 are wanted); leave them out, or set force = true"
            )));
        }
        Ok(())
    }

    /// What the user should know, though it hinders nothing.
    #[must_use]
    pub fn warnings(&self) -> Option<String> {
        let engine = &self.engine;
        let is_raw_offered = with_protocol!(engine.venue, P => P::DEPTH_SPEEDS).contains(&DepthSpeed::Raw);
        let is_raw_wanted = matches!(engine.depth_speed, DepthSpeed::Auto | DepthSpeed::Raw);
        let is_concerned = engine.streams.iter().any(|stream| *stream != Stream::Bbo);
        (is_raw_offered && is_raw_wanted && is_concerned && self.login.is_none()).then(|| {
            let venue = engine.venue.id();
            format!(
                "{venue}: raw channels take a login, so the 100 ms ones are used: what changed and changed back within \
                 100 ms is never seen, and everything comes up to 100 ms later; give login, or depth_speed = 100ms if \
                 that will do"
            )
        })
    }

    fn check_bounds(&self) -> Result<(), ConfigError> {
        const KIB: u64 = 1 << 10;
        const GIB: u64 = 1 << 30;
        let (net, rest) = (&self.net, &self.rest);
        let ms = "1 … 600000";
        let bytes = "1024 … 1073741824";
        let checks: [(&'static str, u64, u64, u64, &'static str); 16] = [
            ("queue_bytes", self.queue_bytes as u64, 1 << 20, 1 << 40, "1048576 … 1099511627776"),
            ("net.connect_ms", net.connect_ms, 1, 600_000, ms),
            ("net.address_ms", net.address_ms, 1, 600_000, ms),
            ("net.write_ms", net.write_ms, 1, 600_000, ms),
            ("net.assembly_ms", net.assembly_ms, 1, 600_000, ms),
            ("net.close_ms", net.close_ms, 0, 60_000, "0 … 60000"),
            ("net.max_message_bytes", net.max_message_bytes as u64, KIB, GIB, bytes),
            ("net.max_write_bytes", net.max_write_bytes as u64, KIB, GIB, bytes),
            ("net.read_buffer_bytes", net.read_buffer_bytes as u64, 8 * KIB, 16 << 20, "8192 … 16777216"),
            ("net.recv_buffer_bytes", net.recv_buffer_bytes.unwrap_or(4096) as u64, 4 * KIB, GIB, "4096 … 1073741824"),
            ("net.messages_per_s", net.messages_per_s.unwrap_or(1).into(), 1, 1000, "1 … 1000"),
            ("net.connects_per_5min", net.connects_per_5min.unwrap_or(1).into(), 1, 100_000, "1 … 100000"),
            ("net.local_addresses", net.local_addresses.len() as u64, 0, 64, "0 … 64 addresses"),
            ("rest.weight_per_min", rest.weight_per_min.unwrap_or(1).into(), 1, 1_000_000, "1 … 1000000"),
            ("rest.max_concurrent", rest.max_concurrent as u64, 1, 64, "1 … 64"),
            ("rest.max_waiting", rest.max_waiting as u64, 1, 65_536, "1 … 65536"),
        ];
        let body = ("rest.max_body_bytes", rest.max_body_bytes as u64, KIB, GIB, bytes);
        for (key, value, low, high, bounds) in checks.into_iter().chain([body]) {
            if !(low..=high).contains(&value) {
                return Err(ConfigError::Bounds { key, value, bounds });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = r#"{"engine": {"venue": "binance-futures"}}"#;

    #[test]
    fn a_venue_is_enough() {
        let options = LiveOptions::from_json(MINIMAL).expect("defaults");
        assert_eq!(options, LiveOptions::new(options.engine.clone()));
        options.check().expect("the defaults are within their bounds");
    }

    #[test]
    fn a_misspelt_key_is_named() {
        for (text, key) in [
            (r#"{"engine": {"venue": "binance-futures"}, "polcy": "block"}"#, "polcy"),
            (r#"{"engine": {"venue": "binance-futures"}, "net": {"conect_ms": 1}}"#, "conect_ms"),
            (r#"{"engine": {"venue": "binance-futures"}, "rest": {"weight": 1}}"#, "weight"),
            (r#"{"engine": {"venue": "binance-futures", "symbol": "x"}}"#, "symbol"),
        ] {
            let error = LiveOptions::from_json(text).expect_err("unknown key").to_string();
            assert!(error.contains(key), "{error}");
        }
    }

    // Fault: Z03
    #[test]
    fn numbers_out_of_bounds_and_plain_text_endpoints_are_refused() {
        let base = LiveOptions::from_json(MINIMAL).expect("defaults");
        let mut low = base.clone();
        low.net.connect_ms = 0;
        assert!(low.check().expect_err("out of bounds").to_string().contains("net.connect_ms = 0"));
        let mut small = base.clone();
        (small.queue_bytes, small.engine.batch.max_bytes) = (1 << 20, 4 << 20);
        assert!(small.check().expect_err("smaller than a batch").to_string().contains("batch.max_bytes"));
        let mut plain = base;
        plain.engine.endpoints = Some(xtrader_core::config::Endpoints {
            ws: "ws://fstream.binance.com".to_owned(),
            rest: "https://fapi.binance.com".to_owned(),
        });
        assert!(plain.check().expect_err("plain text").to_string().contains("use wss://"));
    }

    #[test]
    fn an_address_that_this_machine_has_not_is_refused() {
        let mut options = LiveOptions::from_json(MINIMAL).expect("defaults");
        options.net.local_addresses = vec![IpAddr::from([127, 0, 0, 1])];
        options.check().expect("it has this one");
        // 192.0.2.0/24 is for documents (RFC 5737): nobody has it.
        for (foreign, text) in [("192.0.2.7", "`ip address` lists them"), ("0.0.0.0", "not the address of one machine")]
        {
            options.net.local_addresses.push(foreign.parse().expect("an IP"));
            let refused = options.check().expect_err(foreign).to_string();
            assert!(refused.contains("net.local_addresses") && refused.contains(text), "{refused}");
            options.net.local_addresses.pop();
        }
        options.net.local_addresses = vec![IpAddr::from([127, 0, 0, 1]); 65];
        assert!(options.check().expect_err("too many").to_string().contains("net.local_addresses = 65"));
    }

    #[test]
    fn a_core_of_its_own_is_refused_where_there_are_few() {
        let mut options = LiveOptions::from_json(MINIMAL).expect("defaults");
        options.spin = true;
        assert_eq!(options.check().is_ok(), sys::cores() >= MIN_CORES);
        options.force = true;
        options.check().expect("forced");
    }
}
