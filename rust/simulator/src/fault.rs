//! Faults on request: what goes wrong ([`Fault`]), for whom ([`Target`]) and when ([`When`]).
//!
//! A [`FaultPlan`] is JSON-able. In the configuration it is scripted from the start; [`crate::Simulator::inject`] adds
//! one while the simulator runs. Examples:
//!
//! ```json
//! {"fault": {"kind": "drop"}, "target": {"stream": "btcusdt@depth@100ms"}, "when": {"after_frames": 50}}
//! {"fault": {"kind": "disconnect", "how": "reset"}, "target": {"family": "public"}, "when": {"after_s": 3}}
//! {"fault": {"kind": "silence"}, "target": {"connection": 1, "symbol": "ETHUSDT"}, "when": {"for_s": 5}}
//! {"fault": {"kind": "drop"}, "when": {"probability": 0.01, "times": 0}}
//! {"fault": {"kind": "disconnect", "how": "fin"}, "when": {"every_s": 60}}
//! {"fault": {"kind": "delay", "seconds": 0.05}, "target": {"address": "127.0.0.2"}}
//! {"fault": {"kind": "rest_status", "status": 503}, "target": {"path": "depth"}, "when": {"times": 0, "for_s": 10}}
//! {"fault": {"kind": "malformed", "how": {"set": {"field": "p", "json": "\"1e400\""}}}, "target": {"stream": "btcusdt@aggTrade"}}
//! ```

mod malform;
mod plans;
mod tamper;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

pub(crate) use malform::malform;
pub(crate) use plans::{Faults, FrameContext};
pub(crate) use tamper::tamper;

use crate::SimulatorError;

/// What goes wrong. JSON: an object with `kind` and the fields named here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    // ---- one data frame at a time
    /// The frame is not sent.
    Drop,
    /// The frame is sent twice.
    Duplicate,
    /// The frame, and everything behind it on the connection, waits. Order is kept. Without limit of times.
    Delay {
        /// Seconds each frame waits.
        seconds: f64,
        /// Up to so many seconds more, drawn per frame.
        #[serde(default)]
        jitter_s: f64,
        /// Up to so many seconds more, drawn once for each connection: some are faster than others.
        #[serde(default)]
        spread_s: f64,
    },
    /// The frame comes after the next one of the same stream, or when the market rests.
    Swap,
    /// An old frame of the stream is sent again before the frame.
    Stale {
        /// How many frames of the stream lie between (at most 63).
        #[serde(default = "five")]
        back: usize,
    },
    /// Nothing is sent; pings go on. With a symbol or stream as target only that one is mute. Without limit of times.
    Silence,
    /// Something else is sent in place of the frame.
    Malformed {
        /// What.
        how: Malformation,
        /// Sent before the frame, which then follows untouched, so that nothing is lost.
        #[serde(default)]
        before: bool,
    },
    /// The frame tells another price or size under the same id: of a trade or quote the first one, of a book the first level
    /// that is not deleted. The truth keeps the real one.
    Tamper {
        /// Which of the two. Default: the size.
        #[serde(default)]
        what: Tampered,
    },
    /// The frame comes in fragments (correctly).
    Fragment {
        /// How many.
        #[serde(default = "five")]
        parts: usize,
        /// With a ping between any two.
        #[serde(default)]
        pings: bool,
    },

    // ---- one connection
    /// The connection ends without a Close frame.
    Disconnect {
        /// How TCP ends.
        #[serde(default)]
        how: Ending,
        /// After so many bytes of a data frame (header included) have been sent.
        #[serde(default)]
        at_byte: Option<usize>,
    },
    /// The connection is closed with a Close frame.
    Close {
        /// Close code; 0 sends a Close frame without one.
        code: u16,
        /// Close reason.
        #[serde(default)]
        reason: String,
    },
    /// The exchange announces that it ends the connection, in its own words where it has some (`serverShutdown`,
    /// `notice`), and closes it some time later with code 1001. Data goes on meanwhile.
    Shutdown {
        /// Seconds between.
        #[serde(default = "one_second")]
        after_s: f64,
    },
    /// Nothing is sent or read any more; the socket stays open.
    HalfOpen,
    /// Nothing is read any more, so that the client's writes block in the end. Sending goes on.
    StopReading,
    /// Bytes trickle from now on.
    Trickle {
        /// Bytes per second.
        #[serde(default = "one_byte")]
        bytes_per_s: u32,
    },
    /// Many pings at once.
    PingFlood {
        /// How many.
        count: u32,
        /// Bytes in each: at most 125.
        #[serde(default = "longest_ping")]
        payload_bytes: usize,
    },
    /// A frame that the WebSocket protocol forbids.
    BadFrame {
        /// Which.
        how: BadFrame,
    },
    /// These bytes, straight onto the socket.
    RawBytes {
        /// Pairs of hexadecimal digits.
        hex: String,
    },

    // ---- a subscription
    /// The latest trades of a stream are sent again to who has just subscribed to it, before what comes next. Without limit
    /// of times.
    ReplayRecent {
        /// How many events of the stream (at most 64).
        #[serde(default = "five")]
        count: usize,
    },

    /// A request for streams, or to end some, is answered as one too many: by an error, or by the end of the connection, as the
    /// exchange does it.
    TooManyRequests,
    /// Errors do not say which request they are about. Without limit of times.
    NamelessErrors,
    /// A request for streams, or to end some, is never answered. What it asks for is done all the same.
    Unanswered,

    // ---- a new connection
    /// The connection is accepted and closed.
    AcceptThenClose {
        /// Seconds in between.
        #[serde(default)]
        after_s: f64,
        /// After the upgrade, instead of before it.
        #[serde(default)]
        upgraded: bool,
    },
    /// The upgrade is answered with an HTTP status instead of 101.
    RefuseUpgrade {
        /// 429, 418, 403, 451, 503, 301 …
        status: u16,
        /// `Retry-After`.
        #[serde(default)]
        retry_after_s: Option<u64>,
        /// `Location`.
        #[serde(default)]
        location: Option<String>,
    },
    /// The upgrade is answered wrongly.
    BadUpgrade {
        /// How.
        how: BadUpgrade,
    },
    /// Another certificate is shown (with `tls` only).
    Certificate {
        /// Which.
        how: BadCertificate,
    },

    // ---- a REST request
    /// The request is answered with this status.
    RestStatus {
        /// 429, 418, 403, 500, 503 …
        status: u16,
        /// `Retry-After`.
        #[serde(default)]
        retry_after_s: Option<u64>,
        /// The body; by default an error object of the exchange.
        #[serde(default)]
        body: Option<String>,
    },
    /// The request is never answered.
    RestHang,
    /// The answer, made at once, comes later.
    RestSlow {
        /// Seconds.
        seconds: f64,
    },
    /// The request is sent elsewhere (302).
    RestRedirect {
        /// Where.
        location: String,
    },
    /// The answer inflates to zeros without end.
    RestGzipBomb {
        /// Bytes when inflated.
        #[serde(default = "bomb")]
        bytes: u64,
    },
    /// The connection is cut within the body.
    RestCut {
        /// After so many bytes of it.
        #[serde(default)]
        at_byte: usize,
    },
    /// The answer's body is made wrong.
    RestMalformed {
        /// What.
        how: Malformation,
    },
    /// The snapshot is the one of some time ago, as caches give.
    StaleSnapshot {
        /// Seconds.
        age_s: f64,
    },
    /// The snapshot is another symbol's.
    SnapshotOf {
        /// Whose.
        symbol: String,
    },
    /// The snapshot stands in this relation to the events of a stream.
    SnapshotAt {
        /// Which.
        position: SnapshotPosition,
        /// To which stream. Default: the symbol's first one of `depth_speeds`.
        #[serde(default)]
        stream: Option<String>,
    },

    // ---- the market itself, so that the truth has it too
    /// A bid stands at the best offer for some time, and the symbol stands still.
    Cross {
        /// Seconds.
        #[serde(default = "half")]
        seconds: f64,
    },
    /// So many price levels change at once: one very large book event.
    BigEvent {
        /// Levels.
        #[serde(default = "ten_thousand")]
        levels: u64,
    },
    /// The ids of a book (`target.symbol`, or the first one) begin anew, low, while its chain goes on: what a maintenance
    /// of OKX does.
    RestartIds,
    /// A new instrument: it is in the reference data from now on, its book still empty; it opens some time later, all
    /// levels at once.
    List {
        /// A name, or an object as in `symbols`.
        symbol: crate::SymbolConfig,
        /// Seconds until it opens.
        #[serde(default)]
        opens_after_s: f64,
    },
    /// An instrument (`target.symbol`) is in the reference data no more, and its market stands still.
    Delist,
    /// An instrument (`target.symbol`) has another status. Its market stands still unless that is the exchange's word
    /// for trading.
    Status {
        /// As the exchange writes it: `HALT`, `BREAK`, `suspend`, `TRADING` …
        status: String,
    },
    /// The exchange locks trading for some time (Deribit): it says so, and nothing happens meanwhile.
    Lock {
        /// Seconds.
        #[serde(default = "half")]
        seconds: f64,
    },
    /// Who is not logged in is not served for some time (Deribit): it is announced, then such connections are cut.
    ShedAnonymous {
        /// Seconds.
        #[serde(default = "half")]
        seconds: f64,
    },
    /// Everything happens more (or less) often, on all symbols, while the plan is active.
    Rate {
        /// 50 is fifty times as often; 0 stops the market.
        factor: f64,
    },
}

/// Events of a stream that are at hand to be sent again.
pub(crate) const RECENT: usize = 64;

fn five() -> usize {
    5
}
fn one_second() -> f64 {
    1.0
}
fn one_byte() -> u32 {
    1
}
fn longest_ping() -> usize {
    125
}
fn bomb() -> u64 {
    1 << 30
}
fn half() -> f64 {
    0.5
}
fn ten_thousand() -> u64 {
    10_000
}

/// How TCP ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// RST.
    #[default]
    Reset,
    /// FIN.
    Fin,
}

/// What of a message is told otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tampered {
    /// A price.
    Price,
    /// A size.
    #[default]
    Size,
}

/// What stands in the place of a good text. JSON: a name, or an object with the one that has fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Malformation {
    /// The first half of the text.
    Truncated,
    /// Nothing at all.
    Empty,
    /// Text that is no JSON.
    NotJson,
    /// A byte that UTF-8 forbids, within the text.
    InvalidUtf8,
    /// A byte order mark before it.
    ByteOrderMark,
    /// The text twice in one frame.
    TwoDocuments,
    /// Bytes behind the end of the document.
    TrailingBytes,
    /// Arrays within arrays.
    DeepNesting {
        /// How deep.
        depth: usize,
    },
    /// The good text with blanks behind it.
    Padded {
        /// Length of the whole.
        bytes: usize,
    },
    /// An event type that nobody knows.
    UnknownEvent,
    /// Both sides of a book without levels.
    EmptySides,
    /// A field set to (or added with) any JSON, also such that is none: `NaN`, `1e400`, `-0`.
    Set {
        /// Its name.
        field: String,
        /// The text of its value.
        json: String,
    },
    /// A field taken out.
    Remove {
        /// Its name.
        field: String,
    },
    /// A field written twice.
    Repeat {
        /// Its name.
        field: String,
    },
    /// Another text altogether.
    Text {
        /// That text.
        text: String,
    },
}

/// Frames that RFC 6455 forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadFrame {
    /// A reserved bit is set.
    ReservedBits,
    /// An opcode without meaning.
    ReservedOpcode,
    /// A frame from the server that is masked.
    Masked,
    /// A header announcing 2^63 bytes.
    Oversize,
    /// A header announcing 1 TiB, and bytes that begin to come.
    Terabyte,
    /// A ping in fragments.
    FragmentedControl,
    /// A ping of 126 bytes.
    LongPing,
    /// A Close frame with code 1005.
    BadCloseCode,
    /// A Close frame with one byte of payload.
    ShortClose,
    /// A continuation of nothing.
    LoneContinuation,
    /// A message that never ends: a fragment of 64 KiB after another, 1024 of them.
    EndlessFragments,
    /// A binary frame.
    Binary,
}

/// Wrong answers to an upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadUpgrade {
    /// `Sec-WebSocket-Accept` of another key.
    WrongAccept,
    /// No `Sec-WebSocket-Accept`.
    NoAccept,
    /// An extension nobody asked for.
    UnrequestedExtension,
    /// A subprotocol nobody asked for.
    UnrequestedSubprotocol,
    /// Headers without end.
    HeaderFlood,
    /// No answer, ever.
    Silence,
    /// Bytes that are no HTTP.
    Garbage,
}

/// Certificates that a client must not accept, and one that it must.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadCertificate {
    /// Signed by itself.
    SelfSigned,
    /// Out of date.
    Expired,
    /// For another host.
    WrongHost,
    /// Of an authority nobody knows.
    Untrusted,
    /// A new and good one of the same authority.
    Rotated,
    /// The handshake never goes on.
    Stall,
}

/// Where the id of a snapshot lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotPosition {
    /// Within the last event sent: not before its first id, and before its last.
    Inside,
    /// At the end of the last event sent: what the next one follows.
    AtEnd,
    /// Beyond every event sent so far.
    Newer,
}

/// For whom. Everything that is given must match.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Target {
    /// Number of the WebSocket connection: from 0, in the order in which TCP connections were accepted.
    pub connection: Option<u64>,
    /// Which of the server's addresses it reached, of connections and requests alike.
    pub address: Option<IpAddr>,
    /// Family of the connection's path, as the exchange parts them; of Binance futures `public`, `market`, `private`,
    /// `unrouted`.
    pub family: Option<String>,
    /// The exchange's symbol.
    pub symbol: Option<String>,
    /// A stream's name as it is subscribed.
    pub stream: Option<String>,
    /// End of the path of a REST request: `depth`, `exchangeInfo`, `books`. For `certificate` and `accept_then_close`, which
    /// come before any path: `ws` or `rest`.
    pub path: Option<String>,
}

/// When.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// Seconds from the start (scripted) or from the injection.
    pub after_s: f64,
    /// After so many matching data frames, connections or requests have passed.
    pub after_frames: u64,
    /// How often it strikes; 0 is without limit. Default 1, without limit for `delay`, `silence`, `replay_recent`,
    /// `nameless_errors`, and with `every_s`.
    pub times: Option<u64>,
    /// Each time only with this probability, drawn from the seed for each connection by itself. Default 1.
    pub probability: f64,
    /// Ends so many seconds after `after_s`. Default: never.
    pub for_s: Option<f64>,
    /// For faults of a connection: strikes each one again and again, every so many seconds on the mean, from half to one and a
    /// half as many each time, so that connections are struck at different moments.
    pub every_s: Option<f64>,
}

impl Default for When {
    fn default() -> Self {
        Self { after_s: 0.0, after_frames: 0, times: None, probability: 1.0, for_s: None, every_s: None }
    }
}

/// A fault, for whom and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultPlan {
    /// What goes wrong.
    pub fault: Fault,
    /// For whom. Default: everybody.
    #[serde(default)]
    pub target: Target,
    /// When. Default: at once, one time.
    #[serde(default)]
    pub when: When,
}

/// What a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Frame,
    Connection,
    Subscription,
    Request,
    Accept,
    Upgrade,
    Rest,
    Market,
}

impl Fault {
    pub(crate) fn stage(&self) -> Stage {
        match self {
            Self::Drop
            | Self::Duplicate
            | Self::Delay { .. }
            | Self::Swap
            | Self::Stale { .. }
            | Self::Silence
            | Self::Malformed { .. }
            | Self::Tamper { .. }
            | Self::Fragment { .. }
            | Self::Disconnect { at_byte: Some(_), .. } => Stage::Frame,
            Self::Disconnect { at_byte: None, .. }
            | Self::Close { .. }
            | Self::Shutdown { .. }
            | Self::HalfOpen
            | Self::StopReading
            | Self::Trickle { .. }
            | Self::PingFlood { .. }
            | Self::BadFrame { .. }
            | Self::RawBytes { .. } => Stage::Connection,
            Self::ReplayRecent { .. } => Stage::Subscription,
            Self::TooManyRequests | Self::NamelessErrors | Self::Unanswered => Stage::Request,
            Self::Certificate { .. } => Stage::Accept,
            Self::AcceptThenClose { upgraded: false, .. } => Stage::Accept,
            Self::AcceptThenClose { upgraded: true, .. } | Self::RefuseUpgrade { .. } | Self::BadUpgrade { .. } => {
                Stage::Upgrade
            }
            Self::RestStatus { .. }
            | Self::RestHang
            | Self::RestSlow { .. }
            | Self::RestRedirect { .. }
            | Self::RestGzipBomb { .. }
            | Self::RestCut { .. }
            | Self::RestMalformed { .. }
            | Self::StaleSnapshot { .. }
            | Self::SnapshotOf { .. }
            | Self::SnapshotAt { .. } => Stage::Rest,
            Self::Cross { .. }
            | Self::BigEvent { .. }
            | Self::RestartIds
            | Self::List { .. }
            | Self::Delist
            | Self::Status { .. }
            | Self::Lock { .. }
            | Self::ShedAnonymous { .. }
            | Self::Rate { .. } => Stage::Market,
        }
    }

    /// Its `kind`, as in the JSON.
    #[must_use]
    pub fn name(&self) -> String {
        serde_json::to_value(self)
            .ok()
            .and_then(|v| v.get("kind").and_then(|k| k.as_str().map(str::to_owned)))
            .unwrap_or_default()
    }
}

impl FaultPlan {
    /// A fault that strikes everybody at once, one time.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self { fault, target: Target::default(), when: When::default() }
    }

    /// Reads one plan.
    ///
    /// # Errors
    /// [`SimulatorError::Json`], or [`SimulatorError::Config`] for a plan that could never strike.
    pub fn from_json(text: &str) -> Result<Self, SimulatorError> {
        let plan: Self =
            serde_json::from_str(text).map_err(|source| SimulatorError::Json { what: "the fault plan", source })?;
        plan.check()?;
        Ok(plan)
    }

    pub(crate) fn check(&self) -> Result<(), SimulatorError> {
        let bad = |key: &str, problem: &str| {
            Err(SimulatorError::config(format!("fault {}: {key}", self.fault.name()), problem))
        };
        let w = &self.when;
        if !(w.after_s.is_finite() && w.after_s >= 0.0) || w.for_s.is_some_and(|s| !(s.is_finite() && s >= 0.0)) {
            return bad("when", "after_s and for_s are seconds, 0 or more");
        }
        if !(0.0..=1.0).contains(&w.probability) {
            return bad("when.probability", "0 to 1");
        }
        let t = &self.target;
        let stage = self.fault.stage();
        let accept_or_upgrade = matches!(stage, Stage::Accept | Stage::Upgrade);
        if accept_or_upgrade && (t.symbol.is_some() || t.stream.is_some()) {
            return bad("target", "a new connection has no symbol or stream yet: use connection or family");
        }
        if stage == Stage::Request && (t.symbol.is_some() || t.stream.is_some()) {
            return bad("target", "a request may be about many streams: use connection or family");
        }
        if stage == Stage::Accept && t.family.is_some() {
            return bad("target.family", "the path is not known yet: use connection");
        }
        if stage == Stage::Rest && (t.connection.is_some() || t.family.is_some() || t.stream.is_some()) {
            return bad("target", "REST requests are chosen by path and symbol");
        }
        if t.path.is_some() && !matches!(stage, Stage::Rest | Stage::Accept) {
            return bad("target.path", "is for REST requests");
        }
        if let Some(every) = w.every_s {
            if !(every.is_finite() && every > 0.0) {
                return bad("when.every_s", "seconds, above 0");
            }
            if stage != Stage::Connection || w.after_frames > 0 || t.symbol.is_some() || t.stream.is_some() {
                return bad("when.every_s", "is for faults of a connection, without symbol, stream or after_frames");
            }
        }
        let one_symbol = matches!(self.fault, Fault::Delist | Fault::Status { .. });
        if one_symbol && t.symbol.is_none() {
            return bad("target.symbol", "which instrument?");
        }
        let only_symbol =
            one_symbol || matches!(self.fault, Fault::Cross { .. } | Fault::BigEvent { .. } | Fault::RestartIds);
        if stage == Stage::Market
            && (t.connection.is_some()
                || t.address.is_some()
                || t.stream.is_some()
                || (t.symbol.is_some() && !only_symbol))
        {
            return bad("target", "the market has no connections: use symbol, or nothing for `rate`");
        }
        match &self.fault {
            Fault::Fragment { parts, .. } if *parts < 2 => bad("parts", "at least 2"),
            Fault::Trickle { bytes_per_s: 0 } => bad("bytes_per_s", "at least 1; `half_open` stops altogether"),
            Fault::PingFlood { payload_bytes, .. } if *payload_bytes > 125 => bad("payload_bytes", "at most 125"),
            Fault::Shutdown { after_s } if !(after_s.is_finite() && *after_s >= 0.0) => bad("after_s", "0 or more"),
            Fault::Delay { seconds, jitter_s, spread_s }
                if [seconds, jitter_s, spread_s].into_iter().any(|s| !(s.is_finite() && *s >= 0.0)) =>
            {
                bad("seconds", "seconds, jitter_s and spread_s are 0 or more")
            }
            Fault::ReplayRecent { count } if !(1..=RECENT).contains(count) => bad("count", "1 to 64"),
            Fault::List { symbol, .. } if symbol.numbers().is_err() => symbol.numbers().map(drop),
            Fault::List { opens_after_s, .. } if !(opens_after_s.is_finite() && *opens_after_s >= 0.0) => {
                bad("opens_after_s", "0 or more")
            }
            Fault::Lock { seconds } | Fault::ShedAnonymous { seconds } if !(seconds.is_finite() && *seconds > 0.0) => {
                bad("seconds", "above 0")
            }
            Fault::Rate { factor } if !(0.0..=10_000.0).contains(factor) => bad("factor", "0 to 10000"),
            Fault::BigEvent { levels } if *levels > 1_000_000 => bad("levels", "at most 1000000"),
            Fault::RawBytes { hex } if decode_hex(hex).is_none() => bad("hex", "pairs of hexadecimal digits"),
            _ => Ok(()),
        }
    }
}

pub(crate) fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[a, b]| a << 4 | b).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_json() {
        for text in [
            r#"{"fault":{"kind":"drop"},"target":{"stream":"btcusdt@depth@100ms"},"when":{"after_frames":50}}"#,
            r#"{"fault":{"kind":"disconnect","how":"fin"},"target":{"family":"public"},"when":{"after_s":3}}"#,
            r#"{"fault":{"kind":"malformed","how":{"set":{"field":"p","json":"\"1e400\""}}}}"#,
            r#"{"fault":{"kind":"malformed","how":"truncated","before":true}}"#,
            r#"{"fault":{"kind":"rest_status","status":503},"target":{"path":"depth"},"when":{"times":0,"for_s":10}}"#,
            r#"{"fault":{"kind":"bad_frame","how":"oversize"}}"#,
            r#"{"fault":{"kind":"snapshot_at","position":"inside"}}"#,
            r#"{"fault":{"kind":"list","symbol":{"symbol":"XUSDT","tick":"0.001"},"opens_after_s":1}}"#,
            r#"{"fault":{"kind":"status","status":"HALT"},"target":{"symbol":"BTCUSDT"}}"#,
            r#"{"fault":{"kind":"tamper","what":"price"},"target":{"address":"127.0.0.2"}}"#,
            r#"{"fault":{"kind":"disconnect"},"when":{"every_s":60}}"#,
            r#"{"fault":{"kind":"too_many_requests"},"target":{"family":"public"}}"#,
            r#"{"fault":{"kind":"unanswered"},"target":{"connection":1},"when":{"times":2}}"#,
        ] {
            let plan = FaultPlan::from_json(text).expect(text);
            let again = serde_json::to_string(&plan).expect("JSON");
            assert_eq!(FaultPlan::from_json(&again).expect("again"), plan);
        }
    }

    #[test]
    fn plans_that_cannot_strike_are_refused() {
        for text in [
            r#"{"fault":{"kind":"dorp"}}"#,
            r#"{"fault":{"kind":"drop"},"wen":{}}"#,
            r#"{"fault":{"kind":"drop"},"target":{"path":"depth"}}"#,
            r#"{"fault":{"kind":"fragment","parts":1}}"#,
            r#"{"fault":{"kind":"refuse_upgrade","status":429},"target":{"symbol":"BTCUSDT"}}"#,
            r#"{"fault":{"kind":"rest_hang"},"target":{"connection":1}}"#,
            r#"{"fault":{"kind":"raw_bytes","hex":"8"}}"#,
            r#"{"fault":{"kind":"delist"}}"#,
            r#"{"fault":{"kind":"list","symbol":"x y"}}"#,
            r#"{"fault":{"kind":"drop"},"when":{"probability":2}}"#,
            r#"{"fault":{"kind":"drop"},"when":{"every_s":1}}"#,
            r#"{"fault":{"kind":"disconnect"},"when":{"every_s":0}}"#,
            r#"{"fault":{"kind":"rate","factor":2},"target":{"address":"127.0.0.1"}}"#,
            r#"{"fault":{"kind":"replay_recent","count":65}}"#,
            r#"{"fault":{"kind":"nameless_errors"},"target":{"symbol":"BTCUSDT"}}"#,
        ] {
            assert!(FaultPlan::from_json(text).is_err(), "{text}");
        }
    }
}
