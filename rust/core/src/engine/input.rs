//! What happens to an engine, and what it wants.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::symbol::ConnId;
use crate::table::StampSource;

/// A request for REST, by its number in one engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RequestId(pub u64);

/// Why a connection is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DownReason {
    /// It could not be opened: name, address, TLS, timeout.
    ConnectFailed,
    /// The upgrade was refused with an HTTP status.
    Refused,
    /// The peer sent a Close frame.
    Closed,
    /// The stream ended without one.
    Eof,
    /// TCP reset or another transport error.
    Reset,
    /// The peer broke the WebSocket protocol or a bound.
    Protocol,
    /// Our own bytes could not leave.
    WriteBlocked,
    /// The engine asked for it.
    Local,
}

/// A connection that is down, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnDown {
    /// Why.
    pub reason: DownReason,
    /// Close code or HTTP status.
    pub code: Option<u16>,
    /// The peer's words, control characters escaped, at most 256 bytes.
    pub detail: String,
    /// Milliseconds that the peer asks us to stay away (`Retry-After`).
    pub retry_after_ms: Option<u64>,
}

/// How a connection came to be, as far as the shell knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The address that answered.
    pub ip: Option<IpAddr>,
    /// Who stamps what it receives, until [`super::Engine::stamped_by`] says otherwise.
    pub stamps: StampSource,
}

/// Where a connection had better go, for whoever opens it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advice {
    /// Addresses that others of its kind use, or that have proved slow: last.
    pub avoid: Vec<IpAddr>,
    /// Addresses that have proved good, the best first. One that is in neither list is worth a try.
    pub good: Vec<IpAddr>,
    /// One that is in neither list comes before those that have proved good.
    pub explore: bool,
    /// Its number among the connections that carry the same streams, from 0: it chooses among local addresses.
    pub place: u16,
}

/// What the owner of a running engine wants changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Take these symbols too, written as in the configuration.
    Add(Vec<String>),
    /// End what these symbols of the configuration, or added since, mean.
    Remove(Vec<String>),
    /// Carry each stream on so many connections.
    Connections(u16),
    /// End: what has been counted is written. Nothing more should be fed.
    Stop,
}

/// A REST reply, or the failure to get one (`status` 0).
#[derive(Clone, Copy, Debug)]
pub struct HttpReply<'a> {
    /// The request it answers; `None` in a foreign recording, where the URL tells.
    pub request: Option<RequestId>,
    /// URL that was asked.
    pub url: &'a str,
    /// HTTP status; 0 when there was no reply at all.
    pub status: u16,
    /// `Retry-After` in milliseconds, where given.
    pub retry_after_ms: Option<u64>,
    /// Body, decompressed.
    pub body: &'a [u8],
}

/// Everything that happens to an engine. Recorded in `raw` in the order taken.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A connection is up: the upgrade was accepted.
    ConnUp {
        /// Which.
        conn: ConnId,
        /// Its URL.
        url: &'a str,
        /// What is known of it.
        link: Link,
    },
    /// A connection is down, or could not be opened.
    ConnDown {
        /// Which.
        conn: ConnId,
        /// What is known.
        down: &'a ConnDown,
    },
    /// A text or binary message, whole.
    Frame {
        /// From which connection.
        conn: ConnId,
        /// The payload as received.
        payload: &'a [u8],
    },
    /// A REST reply.
    Http(HttpReply<'a>),
    /// The owner wants something changed; [`super::Engine::command`] has judged it.
    Command(&'a Command),
    /// [`super::Engine::next_timeout`] has come.
    Timeout,
}

/// Everything an engine wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a connection; [`Input::ConnUp`] or [`Input::ConnDown`] answers.
    Open {
        /// Its number.
        conn: ConnId,
        /// Where to.
        url: String,
        /// By which addresses.
        advice: Advice,
    },
    /// Send a text message.
    Send {
        /// On which connection.
        conn: ConnId,
        /// The text.
        text: String,
    },
    /// Log in on a connection, with the credentials that the shell holds; the answer is a frame. Its secrets are
    /// blanked before the engine gets it.
    Login {
        /// On which connection.
        conn: ConnId,
        /// Number of the request, as the answer will name it.
        request: u64,
    },
    /// Close a connection; [`Input::ConnDown`] with [`DownReason::Local`] answers.
    Close {
        /// Which.
        conn: ConnId,
        /// Why, for the log.
        reason: &'static str,
    },
    /// GET a URL; [`Input::Http`] answers, also when it fails.
    Http {
        /// Its number.
        request: RequestId,
        /// What to get.
        url: String,
        /// Its weight in the venue's budget.
        weight: u32,
    },
}
