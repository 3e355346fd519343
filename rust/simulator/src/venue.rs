//! What an exchange is to the server: the seam between `server` (sockets, HTTP, WebSocket, faults; the same for every
//! exchange) and a venue's folder (paths, frames, rules). Everything behind it is without I/O.

use std::sync::Arc;

use crate::clock::MarketTime;
use crate::config::LoadKind;
use crate::event::{Event, Figures};
use crate::fault::{Fault, Target};
use crate::truth::Truth;

/// An exchange: its market and its REST interface.
pub(crate) trait Venue: Send {
    /// When [`Venue::advance`] has something to do next; `None` while nothing will happen by itself.
    fn next_time(&self) -> Option<MarketTime>;

    /// Lets the market go on until `to`. Books are told to the truth; events are pushed in order.
    fn advance(&mut self, to: MarketTime, events: &mut Vec<Event>, truth: &mut Truth);

    /// A WebSocket client asks for this path and query. `Err` is the HTTP status to refuse it with.
    fn open(&mut self, path: &str) -> Result<Box<dyn Session>, u16>;

    /// Somebody subscribed to something: a recording begins to play.
    fn subscribed(&mut self, now: MarketTime);

    /// How a stream stands at this moment, for one connection that asked with [`Reply::Present`]: the snapshot that its
    /// next event follows, the last of what comes seldom. Nothing where subscribing is answered by no such thing.
    fn present(&mut self, stream: &str, now: MarketTime, events: &mut Vec<Event>) {
        let _ = (stream, now, events);
    }

    /// Answers a REST request, with the faults that concern its content.
    fn rest(&mut self, request: &RestRequest<'_>, faults: &[Fault], truth: &Truth) -> RestReply;

    /// The body with which the exchange would say that something went wrong.
    fn error_body(&self, problem: &str) -> String;

    /// A fault of the market itself strikes.
    fn strike(&mut self, fault: &Fault, target: &Target, now: MarketTime, events: &mut Vec<Event>, truth: &mut Truth);

    /// Everything happens `factor` times as often from now on.
    fn set_rate(&mut self, factor: f64, now: MarketTime);

    /// The market stands still; what has happened is still told. Or it goes on.
    fn set_paused(&mut self, paused: bool, now: MarketTime);
}

/// One WebSocket connection as the exchange sees it: what it has subscribed, what it may do.
pub(crate) trait Session: Send {
    /// Family of the path it was opened on.
    fn family(&self) -> &'static str;

    /// Right after the upgrade.
    fn opened(&mut self, now: MarketTime) -> Vec<Reply>;

    /// The client sent a text.
    fn on_text(&mut self, text: &str, now: MarketTime) -> Vec<Reply>;

    /// The client sent one request too many.
    fn too_many_requests(&mut self, text: &str, now: MarketTime) -> Vec<Reply>;

    /// Payload of a WebSocket ping that the exchange sends.
    fn ping(&self, wall_ms: u64) -> Vec<u8>;

    /// The client sent a WebSocket ping or pong.
    fn on_control(&mut self, now: MarketTime) -> Vec<Reply>;

    /// When [`Session::on_time`] has something to say next: heartbeats, and cuts of who is silent.
    fn next_time(&self) -> Option<MarketTime> {
        None
    }

    /// Its time has come.
    fn on_time(&mut self, now: MarketTime) -> Vec<Reply> {
        let _ = now;
        Vec::new()
    }

    /// Close code and reason for a client that reads too slowly; `None` resets its connection.
    fn too_slow(&self) -> Option<(u16, &'static str)> {
        None
    }

    /// What such a client is told before its Close.
    fn last_words(&self) -> Option<&'static str> {
        None
    }

    /// How the exchange ends this connection for a newer one of the same client. No manual says: it goes without a word.
    fn displaced(&self) -> Reply {
        Reply::Cut("displaced by a newer connection")
    }

    /// The text that announces the end of this connection, where the exchange announces it.
    fn farewell(&self, now: MarketTime) -> Option<String>;

    /// The text in which this connection gets the event; `None` where it does not.
    fn deliver(&mut self, event: &Event, now: MarketTime) -> Option<Arc<str>>;

    /// Whether any stream is subscribed.
    fn has_streams(&self) -> bool;

    /// Prepared frames of the subscribed streams.
    fn load_frames(&self, kind: LoadKind) -> Vec<LoadFrame>;
}

/// What a session answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Text(String),
    /// How this stream stands now: [`Venue::present`].
    Present(Arc<str>),
    Close {
        code: u16,
        reason: &'static str,
    },
    /// The connection ends without a Close frame; why is for the truth alone.
    Cut(&'static str),
}

/// A REST request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RestRequest<'a> {
    /// Without the query.
    pub path: &'a str,
    pub query: &'a str,
    pub now: MarketTime,
    /// Wall time, ms since the epoch.
    pub wall_ms: u64,
}

impl RestRequest<'_> {
    /// The instrument asked for, as any of the exchanges names the parameter.
    pub(crate) fn symbol(&self) -> &str {
        ["symbol", "instId", "instrument_name"].iter().find_map(|name| self.parameter(name)).unwrap_or("")
    }

    /// A parameter of the query.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.split('&').filter_map(|p| p.split_once('=')).find(|(k, _)| *k == name).map(|(_, v)| v)
    }
}

/// A REST answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RestReply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub snapshot_id: Option<u64>,
    /// What it tells of instruments.
    pub figures: Vec<Figures>,
    /// The answer must wait until the market has gone on: ask again then.
    pub again: bool,
}

/// A frame with room for a number and for the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoadFrame {
    pub text: Vec<u8>,
    /// Where 16 digits of the frame's number go.
    pub number_at: usize,
    /// Where 13 digits of the wall clock's milliseconds go.
    pub times_at: Vec<usize>,
}
