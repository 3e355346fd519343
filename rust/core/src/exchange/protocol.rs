//! What a folder must say of its exchange. The engine is compiled once for each implementation, so a call per frame
//! costs nothing; nothing here does I/O, holds state or knows a clock.

use std::borrow::Cow;

use xtrader_scan::Isa;

use super::document::{Document, Value};
use super::{Decoded, Head, Peek, StateHead};
use crate::arbiter::MergeRule;
use crate::book::sync::SyncRules;
use crate::config::{Credentials, DepthSpeed, Endpoints, EngineConfig, Selection, Stream, TradeSource};
use crate::decimal::Decimal;
use crate::event::{Bbo, BookHead, DecodedLevels, Level, Scales, StateRows, TradeRows};
use crate::instrument::{Conversion, Instrument};
use crate::report::RejectReason;
use crate::symbol::{Exchange, Venue};
use crate::table::InstrumentKind;

/// How copies become one where the exchange numbers its trades one after the other, chains its books by their ids, numbers
/// or times its quotes and states, and tells liquidations without an id.
#[must_use]
pub fn usual_merge(stream: Stream) -> MergeRule {
    match stream {
        Stream::Trades => MergeRule::Sequence,
        Stream::L2 | Stream::L2Top => MergeRule::Chain,
        Stream::Bbo | Stream::Derivatives | Stream::Options => MergeRule::Latest,
        Stream::Liquidations => MergeRule::Opaque,
    }
}

/// An exchange. See the module.
pub trait Protocol {
    /// Whose it is.
    const VENUE: Venue;
    /// How its books are kept true.
    const SYNC: SyncRules;
    /// What it takes at most.
    const LIMITS: Limits;
    /// Who proves that a connection lives.
    const HEARTBEAT: Heartbeat;
    /// Its books may show bids above offers while they are no market (OKX §4: call auctions). Such a book is flagged and
    /// not broken while reference data say that the instrument is halted, on any exchange; on this one also where no
    /// reference data tell of it.
    const CROSSES_IN_AUCTIONS: bool = false;
    /// Speeds of its books that a subscription may ask for, the default first.
    const DEPTH_SPEEDS: &'static [DepthSpeed];
    /// Ids of one trade feed are those of the other: folds say which fills they fold (OKX §3).
    const TRADE_FEEDS_SHARE_IDS: bool = false;
    /// Trade feeds that a subscription may ask for, the default first.
    const TRADE_SOURCES: &'static [TradeSource];
    /// The markets on its sockets.
    const MARKETS: &'static [Exchange];
    /// What a login takes, of `key`, `secret` and `passphrase`; empty where there is none.
    const CREDENTIALS: &'static [&'static str] = &[];

    /// The exchange itself.
    fn default_endpoints() -> Endpoints;

    /// Streams that this market offers publicly, `l2_top` (made from any book) left out.
    fn streams(market: Exchange) -> &'static [Stream];

    /// How copies of a stream that come on several connections become one: [`usual_merge`], where its evidence says so.
    fn merge(market: Exchange, stream: Stream) -> MergeRule;

    // --- names

    /// What the exchange's own name tells without reference data.
    fn name(native: &str) -> Name<'_>;

    /// The exchange's name of a unified symbol, where it can be told without reference data; a name that is already
    /// the exchange's own is given back.
    fn native(market: Exchange, symbol: &str) -> Option<Cow<'_, str>>;

    /// The index that an instrument follows, where the exchange tells index prices apart from the instrument's own
    /// feeds (OKX `index-tickers`).
    fn index_of(_native: &str) -> Option<Cow<'_, str>> {
        None
    }

    // --- frames: the dominant shapes

    /// What the head of `frame` says.
    fn peek(frame: &[u8]) -> Peek<'_>;

    /// How many bytes of the frame's beginning and how many of its end [`Self::peek`] found this head in: every frame of
    /// this length that shares them has it, too.
    fn looked_at(frame: &[u8], _head: &Head<'_>) -> (usize, usize) {
        (frame.len(), 0)
    }

    /// The trades of a frame of [`super::EventKind::AggTrade`] or `Trade`, numbers at `scales` or finer. `out` was
    /// cleared; after a [`Decoded::Miss`] what it holds does not count.
    fn decode_trades(isa: Isa, frame: &[u8], head: &Head<'_>, scales: Scales, out: &mut TradeRows) -> Decoded<()>;

    /// The levels of a frame of [`super::EventKind::Depth`] or `Book`, at `scales` or finer; `max_levels` counts both
    /// sides. `out` is reset here.
    fn decode_book(
        isa: Isa,
        frame: &[u8],
        head: &Head<'_>,
        scales: Scales,
        max_levels: usize,
        out: &mut DecodedLevels,
    ) -> Decoded<BookHead>;

    /// The quote of a frame of [`super::EventKind::Bbo`].
    fn decode_bbo(isa: Isa, frame: &[u8], head: &Head<'_>, scales: Scales) -> Decoded<Bbo>;

    /// The rows of a frame of [`super::EventKind::State`]. `out` was cleared; after a [`Decoded::Miss`] what it holds does
    /// not count. What is rare (liquidations) is left to the reader.
    fn decode_states(_frame: &[u8], _head: &Head<'_>, _out: &mut StateRows) -> Decoded<()> {
        Decoded::Miss
    }

    /// Hands the heads of the rows of a frame of [`super::EventKind::State`] to `each`, until that says no. `None` where
    /// nothing tells a copy of a row (liquidations), or the frame is of another shape: then what was handed over does
    /// not count.
    fn state_heads<'a>(_frame: &'a [u8], _head: &Head<'a>, _each: impl FnMut(StateHead<'a>) -> bool) -> Option<()> {
        None
    }

    // --- frames: any shape, by the reference reader

    /// What a document is (never [`Peek::Miss`]), and the position of its event's value, which the readers below get.
    ///
    /// # Errors
    /// A field that drives state is missing or of another type.
    fn judge<'a>(document: &Document<'a>) -> Result<(Peek<'a>, usize), RejectReason>;

    /// As [`Self::decode_trades`]; also of [`super::EventKind::MixedTrades`].
    ///
    /// # Errors
    /// Why the frame cannot be taken.
    fn read_trades(
        body: Value<'_, '_>,
        head: &Head<'_>,
        scales: Scales,
        out: &mut TradeRows,
    ) -> Result<Decoded<()>, RejectReason>;

    /// As [`Self::decode_book`].
    ///
    /// # Errors
    /// Why the frame cannot be taken.
    fn read_book(
        body: Value<'_, '_>,
        head: &Head<'_>,
        scales: Scales,
        max_levels: usize,
        out: &mut DecodedLevels,
    ) -> Result<Decoded<BookHead>, RejectReason>;

    /// As [`Self::decode_bbo`].
    ///
    /// # Errors
    /// Why the frame cannot be taken.
    fn read_bbo(body: Value<'_, '_>, head: &Head<'_>, scales: Scales) -> Result<Decoded<Bbo>, RejectReason>;

    /// The rows of a frame of [`super::EventKind::State`]. `out` was cleared.
    ///
    /// # Errors
    /// Why the frame cannot be taken.
    fn read_states(body: Value<'_, '_>, head: &Head<'_>, out: &mut StateRows) -> Result<Decoded<()>, RejectReason>;

    // --- requests and answers on the socket

    /// The channels that carry a stream of an instrument. Several streams may share one (Deribit `ticker`). `kind` is what
    /// the reference data say, else what [`Self::name`] tells.
    fn channels(
        native: &str,
        market: Exchange,
        kind: Option<InstrumentKind>,
        stream: Stream,
        config: &EngineConfig,
    ) -> Vec<Channel>;

    /// Channels that say when the reference data of these markets change ([`Answer::ReferenceChanged`]).
    fn notices(_markets: &[Exchange]) -> Vec<Channel> {
        Vec::new()
    }

    /// How often a channel of states speaks of a stream though nothing has happened, where the manual tells. One that does
    /// not can be quiet for as long as it likes, and only its answer says that it is carried.
    fn cadence(_channel: &str, _stream: Stream) -> Option<Cadence> {
        None
    }

    /// Address of the connections of a family of channels.
    fn url(ws: &str, family: u8) -> String;

    /// A request for channels, at most [`Limits::channels_per_request`] of them.
    fn subscribe(names: &[&str], id: u64) -> String;

    /// A request to end them.
    fn unsubscribe(names: &[&str], id: u64) -> String;

    /// What is sent right after the upgrade, before anything else (Deribit `public/set_heartbeat`).
    fn opening(_id: u64) -> Option<String> {
        None
    }

    /// A question that a living connection must answer.
    fn question(id: u64) -> String;

    /// The request that logs in, where the exchange has one. Whoever holds the credentials calls it, never the engine.
    fn login(_credentials: &Credentials, _wall: i64, _id: u64) -> Option<Login> {
        None
    }

    /// The frame begins as data of the market do, and nothing that the exchange says of a connection: whoever logs in looks
    /// for secrets in all others.
    #[inline]
    fn begins_as_data(_frame: &[u8]) -> bool {
        false
    }

    /// The answer to a login without the secrets that the exchange makes for us (tokens); `None` where it carries none.
    /// Whoever logs in calls it before anybody else sees the frame, and blanks what it has sent itself.
    fn blank_secrets(_frame: &[u8]) -> Option<Vec<u8>> {
        None
    }

    /// The code of a refusal says that the exchange has no time now (for who is not logged in), and nothing of what was
    /// asked for.
    fn is_passing(_code: i64, _is_anonymous: bool) -> bool {
        false
    }

    /// Reads a frame that [`Self::peek`] or [`Self::judge`] called an answer.
    fn read_answer(frame: &[u8]) -> Option<Answer>;

    // --- REST

    /// The requests for reference data of these markets; where they come in parts, of those that are wanted.
    fn reference(rest: &str, markets: &[Exchange], wanted: &[Selection]) -> Vec<RestRequest>;

    /// What a selection may mean and those requests do not ask for, since nothing tells it: a sentence with the remedy.
    fn left_out(_selection: &Selection) -> Option<String> {
        None
    }

    /// Reads the reply to such a request. A row that cannot be read leaves out what it cannot say; a row without a
    /// name is left out itself; neither spoils the others.
    ///
    /// # Errors
    /// The reply as a whole cannot be read.
    fn read_reference(body: &[u8]) -> Result<Vec<Instrument>, RejectReason>;

    /// The instruments that a notice of changed reference data tells whole, as [`Self::read_reference`] would; none where
    /// it only says that there is something to be asked for.
    fn read_notice(_frame: &[u8]) -> Vec<Instrument> {
        Vec::new()
    }

    /// The request for the snapshot that starts a book, where that comes by REST.
    fn snapshot(_rest: &str, _native: &str) -> Option<RestRequest> {
        None
    }

    /// Reads the reply to it.
    ///
    /// # Errors
    /// Why it cannot be taken.
    fn read_snapshot(
        _body: &[u8],
        _scales: Scales,
        _max_levels: usize,
        _out: &mut DecodedLevels,
    ) -> Result<BookHead, RejectReason> {
        Err(RejectReason::Schema)
    }

    /// Asks where a stream should be, to tell a quiet one from a dead one. `None` where REST cannot tell.
    fn probe(_rest: &str, _native: &str, _stream: Stream, _aggregated: bool) -> Option<RestRequest> {
        None
    }

    /// Reads the reply to it. `levels` is room to work in.
    ///
    /// # Errors
    /// Why it cannot be taken.
    fn read_probe(
        _body: &[u8],
        _stream: Stream,
        _aggregated: bool,
        _levels: &mut DecodedLevels,
    ) -> Result<RestTold, RejectReason> {
        Err(RejectReason::Schema)
    }

    /// Asks for the state of an instrument that no socket tells (Binance futures: open interest). `None` where there is none
    /// of the stream.
    fn poll(_rest: &str, _native: &str, _stream: Stream) -> Option<RestRequest> {
        None
    }

    /// Reads the reply to it. `out` was cleared.
    ///
    /// # Errors
    /// Why it cannot be taken.
    fn read_poll(_body: &[u8], _out: &mut StateRows) -> Result<(), RejectReason> {
        Err(RejectReason::Schema)
    }

    /// Asks for past trades by their ids, as the feed that is taken counts them: a page that begins at `first` and does
    /// not go beyond `last`. What is left of the range is asked for when the page is there. `None` where REST does not
    /// tell the rows of this feed.
    fn trades_page(_rest: &str, _native: &str, _aggregated: bool, _first: i64, _last: i64) -> Option<RestRequest> {
        None
    }

    /// Reads the reply to it, numbers at `scales` or finer: the rows of one instrument, in any order, as the
    /// feed itself would have brought them. Rows outside of the range that was asked for may be among them. `out` was
    /// cleared.
    ///
    /// # Errors
    /// Why it cannot be taken. A page with a row that names another instrument than `native` is damaged.
    fn read_trades_page(
        _body: &[u8],
        _native: &str,
        _aggregated: bool,
        _scales: Scales,
        _out: &mut TradeRows,
    ) -> Result<(), RejectReason> {
        Err(RejectReason::Schema)
    }

    /// The reply says that the first id asked for is too old to be told. Later ones may not be.
    fn is_forgotten(_status: u16, _body: &[u8]) -> bool {
        false
    }

    /// Tells a recorded reply by the end of its path and its query.
    fn recorded(url: &str) -> Option<Recorded<'_>>;
}

/// What a native name tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    /// The market.
    pub market: Exchange,
    /// The unified symbol; the native name where nobody can parse it.
    pub symbol: Cow<'a, str>,
    /// The kind, where the name tells.
    pub kind: Option<InstrumentKind>,
    /// How its sizes become base units.
    pub conversion: Conversion,
}

/// A channel to subscribe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Family of addresses that carries it ([`Protocol::url`]).
    pub family: u8,
    /// Its name, as [`Protocol::subscribe`] takes it and [`Answer`] gives it back.
    pub name: String,
}

/// A request that logs in. No `Debug`: it is made of secrets.
pub struct Login {
    /// What is sent.
    pub text: String,
    /// The sign in it, made from the secret and as secret as that; `None` where the secret itself is sent.
    pub sign: Option<String>,
}

/// How often a channel of states speaks, come what may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cadence {
    /// The feed whose rows it brings ([`StateHead::feeds`]).
    pub feed: u8,
    /// Longest time from the subscription to the first row, milliseconds; 0 where that comes at once.
    pub first_ms: u64,
    /// Longest time between two rows, milliseconds.
    pub every_ms: u64,
}

/// Where the snapshot of a book comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotSource {
    /// A REST reply, fetched while the diffs are held.
    Rest,
    /// The stream itself: the first message after a subscription. Diffs before it are of no use.
    Channel,
}

/// Who proves that a connection lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heartbeat {
    /// The exchange pings by WebSocket at least so often, in milliseconds; the shell answers.
    Pings {
        /// Longest time between two.
        every_ms: u64,
    },
    /// We ask ([`Protocol::question`]) after so many milliseconds without any frame.
    Question {
        /// Silence before the question.
        after_ms: u64,
    },
    /// Frames of the exchange that some must be answered, asked for by [`Protocol::opening`].
    Frames {
        /// Longest time between two, in milliseconds.
        every_ms: u64,
    },
}

/// What an exchange takes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Channels on one connection (fewer than allowed: one socket's latency grows with its channels).
    pub channels_per_connection: usize,
    /// Channels in one request.
    pub channels_per_request: usize,
    /// Requests that may leave a connection at once.
    pub request_burst: u32,
    /// All connections share them: the exchange counts them by account or address.
    pub requests_are_shared: bool,
    /// Milliseconds until one more may.
    pub request_every_ms: u64,
    /// Frames of ours that one connection takes per second, pongs included.
    pub frames_per_s: u32,
    /// Connections that may be opened per window by one address.
    pub connects: u32,
    /// That window, milliseconds.
    pub connects_window_ms: u64,
    /// Connections one address may hold; 0 is no limit.
    pub connections: u32,
    /// Connections one key may be logged in on; 0 is no limit.
    pub logged_in: u32,
    /// Seconds after which a connection is cut, however well it does; 0 is never.
    pub lifetime_s: u64,
    /// Weight of REST requests per window by one address.
    pub rest_weight: u32,
    /// That window, milliseconds of the wall clock.
    pub rest_window_ms: u64,
}

impl Limits {
    /// Connections that may be held at once, logged in or not; 0 is no limit.
    #[must_use]
    pub fn connections_at_once(&self, login: bool) -> u32 {
        match (self.connections, self.logged_in) {
            (connections, 0) => connections,
            (connections, _) if !login => connections,
            (0, logged_in) => logged_in,
            (connections, logged_in) => connections.min(logged_in),
        }
    }
}

/// A REST request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestRequest {
    /// Whole URL.
    pub url: String,
    /// Weight in the pool of [`Limits::rest_weight`].
    pub weight: u32,
}

/// What a recorded reply answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded<'a> {
    /// A snapshot of this native symbol.
    Snapshot(&'a str),
    /// The reference data.
    Reference,
    /// The state of an instrument, which the reply names ([`Protocol::poll`]).
    State,
}

/// Best bid and offer.
type Top = (Option<(Decimal, Decimal)>, Option<(Decimal, Decimal)>);

/// How far a stream is, by REST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestTold {
    /// An id that rises.
    Id(i64),
    /// Best bid and offer, where quotes carry no id that REST tells.
    Top(Top),
}

impl RestTold {
    /// The top of a REST book.
    #[must_use]
    pub fn top(levels: &DecodedLevels) -> Self {
        let scales = levels.scales();
        let best = |level: Option<&Level>| {
            level.map(|l| (Decimal::new(l.price.into(), scales.price), Decimal::new(l.size.into(), scales.size)))
        };
        Self::Top((best(levels.narrow.bids.first()), best(levels.narrow.asks.first())))
    }
}

/// Proof of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beat {
    /// It says that it lives.
    Alive,
    /// It wants this text back.
    Wanted(String),
}

/// What the exchange says to us, not to the market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A request was granted whole.
    Granted {
        /// The request.
        id: Option<u64>,
    },
    /// A request was granted for these channels; those that are missing were silently left out.
    GrantedOnly {
        /// The request.
        id: Option<u64>,
        /// What it will carry.
        channels: Vec<String>,
    },
    /// One channel of a request was granted; an answer for each of the others follows.
    GrantedOne {
        /// The request, where the answer names it.
        id: Option<u64>,
        /// The channel.
        channel: String,
    },
    /// A request, or one channel of it, was refused.
    Refused {
        /// The request, where the answer names it.
        id: Option<u64>,
        /// The channel, where it names one.
        channel: Option<String>,
        /// The exchange's code.
        code: i64,
        /// The exchange's words.
        text: String,
    },
    /// A login was granted.
    LoggedIn {
        /// The request, where the answer names it.
        id: Option<u64>,
    },
    /// A heartbeat.
    Beat(Beat),
    /// The exchange is about to close the connection: come back at once.
    Closing,
    /// The reference data changed: fetch it again.
    ReferenceChanged,
    /// Of no consequence.
    Note,
}
