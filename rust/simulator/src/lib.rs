//! Exchanges one can run at home: real protocol, real sockets, faults on request, the truth written down.
//!
//! ```no_run
//! use xtrader_simulator::{EventKind, Simulator, SimulatorConfig};
//!
//! let config = SimulatorConfig::from_json(r#"{"seed": 7, "symbols": ["BTCUSDT", "ETHUSDT"]}"#)?;
//! let sim = Simulator::start(config)?;
//! // … point a client at sim.ws_url() and sim.rest_url() …
//! sim.inject_json(r#"{"fault": {"kind": "drop"}, "target": {"stream": "btcusdt@depth@100ms"}}"#)?;
//! // … and when it has seen enough, compare:
//! sim.pause();
//! let _ = sim.wait_drained(std::time::Duration::from_secs(5));
//! let book = sim.with_truth(|t| t.final_book("BTCUSDT"));
//! let trades = sim.with_truth(|t| t.trades(EventKind::AggTrade, None));
//! sim.stop();
//! # Ok::<(), xtrader_simulator::SimulatorError>(())
//! ```
//!
//! # The way of one event
//!
//! ```text
//!  market ──▶ feed ──▶ hub ──▶ connection ──▶ socket
//!  changes,   events   faults   frames,
//!  fills      │        │        write times
//!             ▼        ▼        ▼
//!             ───────── truth ──────────
//! ```
//!
//! * `market`, `book`, `random`: the seeded market. Deterministic, without I/O or clock, the same for every exchange.
//! * `exchange`: which exchanges there are, and what each is by default.
//! * `binance`: what is Binance's own: paths, messages, sessions, REST, playback. Every other exchange is another such
//!   folder behind the traits of `venue`.
//! * `server`: sockets, HTTP, WebSocket, TLS, load: the same for every exchange.
//! * `fault`: what goes wrong, for whom, when. `truth`: what really happened. `recorder`, `capture`: what a plain
//!   client sees, written down.
//!
//! Everything is JSON: the binary streams of Binance spot and OKX (SBE) are not served.
//!
//! # What Binance serves
//!
//! Both, `binance-futures` and `binance-spot`:
//!
//! * SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY; raw and combined form; 1024 streams; pings
//!   (only a pong with a ping's payload answers it), the cut without pong, the cut after 24 hours. Any other name of a
//!   stream is acknowledged and silent.
//! * A depth event tells every level touched since the last event of its stream, with its size now: deletions of levels
//!   that a client never saw are normal. All connections get the same batches, or with
//!   [`SimulatorConfig::batch_phases`] some of their own over the same ids.
//! * `@depth5`, `@depth10`, `@depth20`: whole images, made from the moment somebody subscribes to one.
//! * A snapshot's id is that of its book's last change. It lies within an event, or at the end of one.
//! * `depth`, `exchangeInfo`, `time`, `ping`, `aggTrades` (`fromId` too); weights, 429, 418.
//!
//! USDⓈ-M:
//!
//! * Paths `/public`, `/market`, `/private` and the unrouted ones, each with `/ws`, `/ws/<stream>/…` and
//!   `/stream?streams=…`. Streams: `@depth` (250 ms), `@depth@100ms`, `@depth@500ms`, `@depth@0ms`, `@bookTicker`, `@trade`
//!   and images on `/public` (and unrouted); `@aggTrade`, `@markPrice`, `@markPrice@1s`, `!markPrice@arr`,
//!   `!markPrice@arr@1s`, `@forceOrder`, `!forceOrder@arr` on `/market`.
//! * One counter of ids for all symbols: only `pu` chains.
//! * `@trade` also carries rows that are no trades (`X` other than `MARKET`, zero price): [`SimulatorConfig::odd_trades`].
//!   Their ids are skipped by `f..l` of `@aggTrade`.
//! * `!markPrice@arr` comes in two frames, of which neither is the universe: one also has a row of COIN-M (`st` 2), the
//!   other has the dated contracts (`T` 0). Liquidations ([`SimulatorConfig::liquidations`]) are the latest of each
//!   second. `/fapi/v1/premiumIndex` and `/fapi/v1/openInterest`, whose figures are in
//!   [`Truth::requests`].
//!
//! Spot:
//!
//! * Paths `/ws`, `/ws/<stream>/…` and `/stream?streams=…`; with `timeUnit=MICROSECOND` all times are in microseconds.
//!   Streams: `@depth` (1000 ms), `@depth@100ms`, `@bookTicker` (no time, no `e`), images (no symbol, no `e`), `@trade`,
//!   `@aggTrade`, `@blockTrade` ([`SimulatorConfig::block_trades`], ids of their own). The family is `spot`.
//! * Ids of a symbol count by one: `U` is the last `u` and one. Numbers have eight fraction digits.
//! * Pings every 20 s, 5 frames a second with pings and pongs counted, 300 upgrades in 5 minutes (429); who is closed
//!   for too many frames five times is banned (418). `serverShutdown` is the fault `shutdown`.
//! * `/api/v3/trades` and `historicalTrades` too. The snapshot of a book that has not begun (fault `list`) is empty, with
//!   id -1.
//!
//! # What OKX serves
//!
//! * Paths `/ws/v5/public`, `/ws/v5/business` (`trades-all` alone) and `/ws/v5/private` (`login`, nothing public). The
//!   families are `public`, `business`, `private`; a stream's name is `channel:of`: `books:BTC-USDT`,
//!   `liquidation-orders:SWAP`, `opt-summary:BTC-USD`, `status`.
//! * `subscribe`, `unsubscribe`, `login`, the text `ping`; an answer for each arg, and after all of them how each new stream
//!   stands: the snapshot of a book, the last trade, the present image or figure. Such a message is an [`Event`] too, with
//!   its connection in [`Event::conn`]; faults strike it as any other.
//! * `books`, `books5`, `bbo-tbt`; `books-l2-tbt` and `books50-l2-tbt` from their first subscriber on, for
//!   [`SimulatorConfig::accounts`] of tier 4 or more. Batches are the same for everybody. A client that follows the manual
//!   holds exactly the best 400 (50) levels, as [`Truth::client_book`] says. Checksums are 0, or real with
//!   [`SimulatorConfig::checksums`]; a wrong one is the fault `malformed` with `set`.
//! * `trades`, `trades-all` (a source of 1 is the condition `rpi`), `tickers`, `mark-price`, `index-tickers`,
//!   `funding-rate`, `open-interest`, `liquidation-orders` ([`SimulatorConfig::liquidations`]), `opt-summary`;
//!   `instruments` when the faults `list`, `delist`, `status` strike, `status` when `restart_ids` does. Those without ids
//!   of their own have their time in [`Event::last_id`].
//! * The state `preopen` (fault `status`) is a call auction: a crossed book, told once a second, until it is `live` again.
//!   The notice 64008 is the fault `shutdown`.
//! * The cut of a silent connection (4004; [`SimulatorConfig::idle_s`]), of a slow one (4005), 480 requests an hour, 3
//!   upgrades a second, 64 KB of args.
//! * `/api/v5/public/instruments`, `/time`, `/open-interest`, `/api/v5/market/books`, `/trades`, `/history-trades`; each with
//!   its limit in two seconds (50011). Faults of snapshots do not concern them: nothing joins them to the streams.
//!
//! # What Deribit serves
//!
//! * `/ws/api/v2` and, over HTTP, `/api/v2/public/…`: hello, test, auth, get_time, status, get_instruments, get_instrument,
//!   get_order_book, ticker, get_last_trades_by_instrument; on a socket also subscribe, unsubscribe, unsubscribe_all,
//!   set_heartbeat, disable_heartbeat. Credits, 32 connections, the cut of a silent socket.
//! * Channels: `book.{i}.{raw|100ms|agg2}`, `book.{i}.none.{1|10|20}.{100ms|agg2}`, `trades.{i}.…`,
//!   `trades.{kind}.{currency}.…`, `quote.{i}`, `ticker.{i}.…`, `instrument.{state|creation}.{kind}.{currency}`, `platform_state`,
//!   `platform_state.public_methods_state`. One is produced, and in the truth, from its first subscription on. `raw` needs
//!   a login with one of [`SimulatorConfig::accounts`].
//! * A book's snapshot is what the next change follows. A change tells every level touched since, with its size now;
//!   one that came and went is deleted. With [`SimulatorConfig::batch_phases`] other connections hear `raw` changes
//!   gathered too.
//! * Dated instruments expire at 08:00 UTC by [`SimulatorConfig::start_ms`]'s clock; those whose day had passed at the
//!   start are played without end.
//!
//! # Several connections
//!
//! * [`SimulatorConfig::addresses`]: several addresses of this machine with one port, each a target of faults, as the addresses
//!   behind one name. Limits of connections and upgrades are counted for each address of the client.
//! * [`SimulatorConfig::lifetime_s`] ends connections of any exchange, [`SimulatorConfig::lifetime_notice_s`] announces it where
//!   the exchange has words (`serverShutdown` of Binance spot, 64008 of OKX); the fault `shutdown` does so at any time.
//! * With [`Limits::close_oldest`] a connection beyond [`Limits::connections`] makes the exchange end the oldest of the client:
//!   Binance with 1008, OKX with 4008, Deribit without a word.
//! * [`SimulatorConfig::batch_phases`] cuts books of Binance and Deribit, and the trade arrays of Deribit, otherwise on other
//!   connections. Rows of `@aggTrade` and folds of OKX have ids of their own, and are the same everywhere.
//!
//! # Trades by REST
//!
//! Everywhere the trades that the sockets carry, the latest [`Limits::trade_history`] of an instrument: Binance `aggTrades`
//! with `fromId` (of spot `historicalTrades` too; of futures an id that is forgotten, or older than 48 hours, is refused with
//! -4166; spot begins with the oldest there is), OKX `history-trades` by `after` and `before`, Deribit
//! `get_last_trades_by_instrument` by `start_seq` and `end_seq`. What is too old is simply not there.
//!
//! # Comparing with the truth
//!
//! * [`Truth::book_at`] is the whole book at any id. A snapshot shows 1000 levels a side at most: with
//!   [`SimulatorConfig::book_levels`] of 1000 or less a client can know every level, and whole books compare; with more
//!   (the default is 1500), [`Truth::client_book`] says what a client that follows the manual holds.
//! * [`Truth::frames`] is what was handed to each socket, with the wall time right before the write. A frame cut by a
//!   fault is there with `whole` false. [`Truth::alterations`] names every event that a fault lost or changed.
//! * [`Truth::uncarried`] are the events of a stream that no connection was handed: what a client with several connections
//!   cannot have, and everything else it must.
//! * [`Truth::missing`] are the events of a stream whose ids a client has not seen.
//! * [`Simulator::pause`] and [`Simulator::wait_drained`] bring everything to rest, so that the last books can be compared.
//! * In other languages: [`Simulator::truth_json`] with a [`TruthQuery`].
//!
//! # Faults
//!
//! A [`FaultPlan`] is a [`Fault`], a [`Target`] (everybody by default) and a [`When`] (at once, one time, by default).
//!
//! | `kind` | fields (default) | strikes |
//! |---|---|---|
//! | `drop`, `duplicate`, `swap` | | a data frame |
//! | `delay` | `seconds`, `jitter_s` (0), `spread_s` (0) | every data frame; the spread is drawn once a connection |
//! | `stale` | `back` (5) | a data frame |
//! | `silence` | | every data frame: a mute symbol, stream or connection |
//! | `malformed` | `how` ([`Malformation`]), `before` (false) | a data frame |
//! | `tamper` | `what` (`size` or `price`) | a data frame: another number under the same id |
//! | `fragment` | `parts` (5), `pings` (false) | a data frame |
//! | `disconnect` | `how` (`reset` or `fin`), `at_byte` (none) | a connection; with `at_byte` a data frame |
//! | `close` | `code`, `reason` ("") | a connection |
//! | `shutdown` | `after_s` (1) | a connection |
//! | `half_open`, `stop_reading` | | a connection |
//! | `trickle` | `bytes_per_s` (1) | a connection |
//! | `ping_flood` | `count`, `payload_bytes` (125) | a connection |
//! | `bad_frame` | `how` ([`BadFrame`]) | a connection |
//! | `raw_bytes` | `hex` | a connection |
//! | `replay_recent` | `count` (5) | a new subscription to trades: the latest events of the stream again |
//! | `too_many_requests` | – | a request for streams is answered as one too many: 60014; 10028 and cut; Close 1008 |
//! | `nameless_errors` | – | errors do not say which request they are about |
//! | `unanswered` | – | a request for streams has no answer; what it asks for is done |
//! | `accept_then_close` | `after_s` (0), `upgraded` (false) | a new connection |
//! | `refuse_upgrade` | `status`, `retry_after_s`, `location` | a new connection |
//! | `bad_upgrade` | `how` ([`BadUpgrade`]) | a new connection |
//! | `certificate` | `how` ([`BadCertificate`], `stall` among them) | a new connection |
//! | `rest_status` | `status`, `retry_after_s`, `body` | a REST request |
//! | `rest_hang` | | a REST request |
//! | `rest_slow` | `seconds` | a REST request |
//! | `rest_redirect` | `location` | a REST request |
//! | `rest_gzip_bomb` | `bytes` (1 GiB) | a REST request |
//! | `rest_cut` | `at_byte` (0) | a REST request |
//! | `rest_malformed` | `how` ([`Malformation`]) | a REST request |
//! | `stale_snapshot` | `age_s` | a REST request |
//! | `snapshot_of` | `symbol` | a REST request |
//! | `snapshot_at` | `position` (`inside`, `at_end`, `newer`), `stream` | a REST request |
//! | `cross` | `seconds` (0.5) | the market, one symbol |
//! | `big_event` | `levels` (10 000) | the market, one symbol |
//! | `restart_ids` (OKX) | | the market, one symbol |
//! | `list` | `symbol`, `opens_after_s` (0) | the market |
//! | `delist` | | the market, one symbol |
//! | `status` | `status` | the market, one symbol |
//! | `lock`, `shed_anonymous` (Deribit) | `seconds` (0.5) | the market |
//! | `rate` | `factor` | the market |
//!
//! `when` has `after_s`, `after_frames`, `times`, `probability`, `for_s` and, for faults of a connection, `every_s`: a share of all
//! frames is `{"probability": 0.01, "times": 0}`, a cut once a minute `{"every_s": 60}`, on each connection at moments of its
//! own. Chances are drawn from the seed for each plan and connection by itself. `target` has `connection`, `address`, `family`,
//! `symbol`, `stream`, `path`.
//!
//! Faults of a connection strike as soon as their time has come; with `after_frames`, `symbol` or `stream` they strike
//! right before the data frame that fits. Frames are counted over all connections that the target allows. What is
//! malformed, huge or crossed is exactly reproducible; which frame of a real-time market it meets is not.
//!
//! # Load
//!
//! With [`SimulatorConfig::load`] the market stands still, and each connection carries prepared frames of the streams it
//! has subscribed (`@bookTicker` or `@trade`; `bbo-tbt` or `trades` of OKX; `trades` of Deribit), at a pace or as many as
//! its socket takes. Every frame has a number of its own in `u` (or `t`, `seqId`, `tradeId`, `trade_seq`), counting up from
//! [`LoadReport::first_id`] on each connection; the wall time right before the write of frame `first_id + i` is
//! `write_ns[i]`. `E` and `T`, or `ts`, where a message has them, carry the same time in milliseconds.

mod binance;
mod book;
mod calendar;
mod capture;
mod clock;
mod config;
mod deribit;
mod error;
mod event;
mod exchange;
mod fault;
mod market;
mod okx;
mod random;
mod recorder;
mod server;
mod simulator;
mod snapshot;
mod truth;
mod venue;

pub use config::{
    Account, DepthSpeed, Limits, LoadConfig, LoadKind, SimulatorConfig, Source, SymbolConfig, TruthConfig,
};
pub use error::SimulatorError;
pub use event::{Event, EventKind, Figures};
pub use exchange::ExchangeName;
pub use fault::{
    BadCertificate, BadFrame, BadUpgrade, Ending, Fault, FaultPlan, Malformation, SnapshotPosition, Tampered, Target,
    When,
};
pub use recorder::{RecordRequest, RecordSummary};
pub use server::LoadReport;
pub use simulator::Simulator;
pub use truth::{
    Alteration, BookImage, ConnectionRecord, FrameRecord, RequestRecord, TradeRecord, Truth, TruthQuery, Uncarried,
};
