//! What an exchange is called where: all that the behaviours must know of it.

use xtrader_core::config::{DepthSpeed, Stream};
use xtrader_core::symbol::Venue;
use xtrader_simulator::{Event, EventKind};

use crate::tables::TradeRow;

/// An instrument under test.
pub struct Subject {
    /// The exchange's name.
    pub native: &'static str,
    /// Market and unified symbol, as the tables have them.
    pub key: &'static str,
}

/// What an instrument's own sizes count, by the exchange's manual.
pub struct Sizes {
    /// What one of them is worth: the factors of it.
    pub worth: &'static [&'static str],
    /// That is in quote units, and becomes base units over the price.
    pub is_inverse: bool,
    /// How many of them are one contract; nothing where the exchange counts none.
    pub contract: Option<&'static str>,
}

/// Base units, as sent.
const BASE: Sizes = Sizes { worth: &[], is_inverse: false, contract: None };

/// An instrument of which every row of every stream is compared.
pub struct Sample {
    pub subject: Subject,
    pub is_option: bool,
    pub sizes: Sizes,
}

/// An instrument that is no option.
const fn sample(native: &'static str, key: &'static str, sizes: Sizes) -> Sample {
    Sample { subject: Subject { native, key }, is_option: false, sizes }
}

/// When a message says that a row of it happened, and that it was sent; milliseconds. The second argument is the former.
type Times = fn(&Event, i64) -> [Option<i64>; 2];

/// Where a book's snapshot comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Snapshots {
    /// A REST request whose path ends so.
    Rest(&'static str),
    /// The channel itself, whenever it is subscribed.
    Channel,
}

/// How a connection without data is kept, and how it is made to matter within seconds.
pub enum ProofOfLife {
    /// The exchange asks, and cuts who does not answer: its times divided by this.
    Answers(f64),
    /// It cuts who is silent for so many seconds, and the client has to speak before.
    Speaks(f64),
}

/// The simulator's name of an instrument's stream.
pub type StreamName = fn(&str) -> String;

/// One exchange.
pub struct Case {
    pub venue: Venue,
    /// The one that things happen to, and the one that must not notice.
    pub subjects: [Subject; 2],
    /// One instrument of each kind and of each unit that the venue has.
    pub samples: &'static [Sample],
    pub times: Times,
    /// Quotes have ids; else their times order them.
    pub quotes_have_ids: bool,
    /// Open interest is told by REST, not with other states.
    pub open_interest_by_rest: bool,
    /// The simulator's kind of the trades that are subscribed by default.
    pub trades: EventKind,
    /// The ids by which trades follow one another: first and last of a row.
    pub trade_ids: fn(&TradeRow) -> (i64, i64),
    /// Books.
    pub book_stream: StreamName,
    /// Those trades.
    pub trade_stream: StreamName,
    /// Streams of states that speak though nothing happens, and the channels that the exchange says it of.
    pub spoken: &'static [(Stream, StreamName)],
    /// The path family that carries the books.
    pub family: &'static str,
    pub snapshots: Snapshots,
    /// Levels that its snapshots show, where the exchange's book may have more.
    pub snapshot_levels: usize,
    /// A member of a book message, and a value that puts a bid above every offer.
    pub crossing: (&'static str, &'static str),
    /// Books may carry a checksum, in the member of this name.
    pub checksum: Option<&'static str>,
    /// Ids of a book may fall while its chain goes on.
    pub ids_fall: bool,
    /// A good frame of an instrument that nobody asked for.
    pub alien: &'static str,
    /// The exchange announces that it will close a connection.
    pub announces_closing: bool,
    pub proof_of_life: ProofOfLife,
    /// REST says where a book should be.
    pub rest_tells: bool,
    /// The faster books that a login opens, and the simulator's name of their streams.
    pub login: Option<(DepthSpeed, StreamName)>,
    /// What also means [`Self::newcomer`], which is listed while running.
    pub pattern: &'static str,
    pub newcomer: Subject,
    /// Other instruments, of each market of the venue, and what also means each.
    pub others: &'static [(&'static str, Subject)],
    /// The exchange's word for an instrument that does not trade for now.
    pub halted: &'static str,
    /// Instruments that are no longer served are refused, or left out of the answer; else acknowledged and silent.
    pub refuses: bool,
    /// The simulator's fault with which it has no time for a request.
    pub has_no_time: &'static str,
}

impl Case {
    /// The instrument that things happen to.
    pub fn subject(&self) -> &Subject {
        &self.subjects[0]
    }

    /// The one beside it.
    pub fn bystander(&self) -> &Subject {
        &self.subjects[1]
    }
}

/// The case of a venue.
pub const fn of(venue: Venue) -> &'static Case {
    match venue {
        Venue::BinanceFutures => &BINANCE_FUTURES,
        Venue::BinanceSpot => &BINANCE_SPOT,
        Venue::Okx => &OKX,
        Venue::Deribit => &DERIBIT,
    }
}

const BINANCE_FUTURES: Case = Case {
    venue: Venue::BinanceFutures,
    subjects: [
        Subject { native: "BTCUSDT", key: "binance-futures:BTCUSDT" },
        Subject { native: "ETHUSDT", key: "binance-futures:ETHUSDT" },
    ],
    // §2: quantities are in base units.
    samples: &[
        sample("BTCUSDT", "binance-futures:BTCUSDT", BASE),
        sample("ETHUSDT", "binance-futures:ETHUSDT", BASE),
        sample("BTCUSDT_261225", "binance-futures:BTCUSDT-261225", BASE),
    ],
    times: |event, happened| [Some(happened), Some(event.emitted_ms)],
    quotes_have_ids: true,
    open_interest_by_rest: true,
    trades: EventKind::AggTrade,
    trade_ids: |row| (row.id, row.id),
    book_stream: |native| format!("{}@depth@100ms", native.to_lowercase()),
    trade_stream: |native| format!("{}@aggTrade", native.to_lowercase()),
    spoken: &[(Stream::Derivatives, |native| format!("{}@markPrice@1s", native.to_lowercase()))],
    family: "public",
    snapshots: Snapshots::Rest("depth"),
    snapshot_levels: 1000,
    crossing: ("b", r#"[["9999999.00","1"]]"#),
    checksum: None,
    ids_fall: false,
    alien: r#"{"e":"depthUpdate","E":1795348700003,"T":1795348700000,"s":"ALIENUSDT","U":7,"u":9,"pu":6,"b":[["1.00","1.000"]],"a":[]}"#,
    announces_closing: false,
    proof_of_life: ProofOfLife::Answers(150.0),
    rest_tells: true,
    login: None,
    pattern: "*USDT",
    newcomer: Subject { native: "NEWUSDT", key: "binance-futures:NEWUSDT" },
    others: &[("binance-futures:SOLUSDT", Subject { native: "SOLUSDT", key: "binance-futures:SOLUSDT" })],
    halted: "BREAK",
    refuses: false,
    has_no_time: r#"{"kind":"too_many_requests"}"#,
};

const BINANCE_SPOT: Case = Case {
    venue: Venue::BinanceSpot,
    subjects: [
        Subject { native: "BTCUSDT", key: "binance-spot:BTCUSDT" },
        Subject { native: "ETHUSDT", key: "binance-spot:ETHUSDT" },
    ],
    samples: &[sample("BTCUSDT", "binance-spot:BTCUSDT", BASE), sample("ETHUSDT", "binance-spot:ETHUSDT", BASE)],
    // §5: quotes say no time.
    times: |event, happened| match event.kind {
        EventKind::BookTicker => [None, None],
        _ => [Some(happened), Some(event.emitted_ms)],
    },
    trades: EventKind::Trade,
    trade_stream: |native| format!("{}@trade", native.to_lowercase()),
    spoken: &[],
    family: "spot",
    snapshot_levels: 5000,
    alien: r#"{"e":"depthUpdate","E":1795348700003,"s":"ALIENUSDT","U":7,"u":9,"b":[["1.00","1.000"]],"a":[]}"#,
    announces_closing: true,
    proof_of_life: ProofOfLife::Answers(20.0),
    newcomer: Subject { native: "NEWUSDT", key: "binance-spot:NEWUSDT" },
    others: &[("binance-spot:SOLUSDT", Subject { native: "SOLUSDT", key: "binance-spot:SOLUSDT" })],
    ..BINANCE_FUTURES
};

const OKX: Case = Case {
    venue: Venue::Okx,
    subjects: [
        Subject { native: "BTC-USDT-SWAP", key: "okx-swap:BTCUSDT" },
        Subject { native: "BTC-USDT", key: "okx-spot:BTCUSDT" },
    ],
    // §2: contracts × `ctVal` × `ctMult`, for inverse ones ÷ price.
    samples: &[
        sample("BTC-USDT", "okx-spot:BTCUSDT", BASE),
        sample(
            "BTC-USDT-SWAP",
            "okx-swap:BTCUSDT",
            Sizes { worth: &["0.01", "1"], is_inverse: false, contract: Some("1") },
        ),
        sample(
            "BTC-USD-SWAP",
            "okx-swap:BTCUSD",
            Sizes { worth: &["100", "1"], is_inverse: true, contract: Some("1") },
        ),
        sample(
            "BTC-USD-261225",
            "okx-futures:BTCUSD-261225",
            Sizes { worth: &["100", "1"], is_inverse: true, contract: Some("1") },
        ),
        Sample {
            is_option: true,
            ..sample(
                "BTC-USD-261225-100000-C",
                "okx-options:BTCUSD-261225-100000-C",
                Sizes { worth: &["0.1", "0.1"], is_inverse: false, contract: Some("1") },
            )
        },
    ],
    times: |_, happened| [Some(happened), None],
    quotes_have_ids: true,
    open_interest_by_rest: false,
    trades: EventKind::AggTrade,
    trade_ids: |row| (row.first_id.unwrap(), row.last_id.unwrap()),
    book_stream: |native| format!("books:{native}"),
    trade_stream: |native| format!("trades:{native}"),
    // Funding too, within minutes.
    spoken: &[(Stream::Derivatives, |native| format!("mark-price:{native}"))],
    family: "public",
    snapshots: Snapshots::Channel,
    snapshot_levels: 400,
    crossing: ("bids", r#"[["9999999.0","1","0","1"]]"#),
    checksum: Some("checksum"),
    ids_fall: true,
    alien: r#"{"arg":{"channel":"books","instId":"ALIEN-USDT"},"action":"update","data":[{"asks":[],"bids":[["1.0","1","0","1"]],"ts":"1795348700000","checksum":0,"prevSeqId":6,"seqId":9}]}"#,
    announces_closing: true,
    // The engine speaks after 20 s of silence.
    proof_of_life: ProofOfLife::Speaks(23.0),
    rest_tells: false,
    login: Some((DepthSpeed::Ms10, |native| format!("books-l2-tbt:{native}"))),
    pattern: "okx-spot:*USDT",
    newcomer: Subject { native: "NEW-USDT", key: "okx-spot:NEWUSDT" },
    others: &[
        ("okx:ETH-USDT", Subject { native: "ETH-USDT", key: "okx-spot:ETHUSDT" }),
        ("okx-swap:ETHUSDT", Subject { native: "ETH-USDT-SWAP", key: "okx-swap:ETHUSDT" }),
        ("okx-futures:BTCUSD-261225", Subject { native: "BTC-USD-261225", key: "okx-futures:BTCUSD-261225" }),
        (
            "okx-options:BTCUSD-261225-100000-C",
            Subject { native: "BTC-USD-261225-100000-C", key: "okx-options:BTCUSD-261225-100000-C" },
        ),
        (
            "okx:BTC-USD-261225-90000-P",
            Subject { native: "BTC-USD-261225-90000-P", key: "okx-options:BTCUSD-261225-90000-P" },
        ),
        ("okx-options:ETHUSD-*", Subject { native: "ETH-USD-261225-5000-C", key: "okx-options:ETHUSD-261225-5000-C" }),
        ("kind=option,base=SOL", Subject { native: "SOL-USD-261225-150-C", key: "okx-options:SOLUSD-261225-150-C" }),
    ],
    halted: "suspend",
    refuses: true,
    has_no_time: BINANCE_FUTURES.has_no_time,
};

const DERIBIT: Case = Case {
    venue: Venue::Deribit,
    subjects: [
        Subject { native: "BTC-PERPETUAL", key: "deribit:BTCUSD" },
        Subject { native: "ETH-PERPETUAL", key: "deribit:ETHUSD" },
    ],
    // §2: dollars where the coin settles, else coins; `contract_size` of them are a contract.
    samples: &[
        sample("BTC-PERPETUAL", "deribit:BTCUSD", Sizes { is_inverse: true, contract: Some("10"), ..BASE }),
        sample("ETH-PERPETUAL", "deribit:ETHUSD", Sizes { is_inverse: true, contract: Some("1"), ..BASE }),
        sample("BTC-25DEC26", "deribit:BTCUSD-261225", Sizes { is_inverse: true, contract: Some("10"), ..BASE }),
        sample("BTC_USDC-PERPETUAL", "deribit:BTCUSDC", Sizes { contract: Some("0.0001"), ..BASE }),
        Sample {
            is_option: true,
            ..sample("BTC-25DEC26-100000-C", "deribit:BTCUSD-261225-100000-C", Sizes { contract: Some("1"), ..BASE })
        },
        sample("BTC_USDC", "deribit-spot:BTCUSDC", BASE),
    ],
    times: |_, happened| [Some(happened), None],
    quotes_have_ids: false,
    open_interest_by_rest: false,
    trades: EventKind::Trade,
    trade_ids: |row| (row.seq.unwrap(), row.seq.unwrap()),
    book_stream: |native| format!("book.{native}.100ms"),
    trade_stream: |native| format!("trades.{native}.100ms"),
    spoken: &[(Stream::Derivatives, |native| format!("ticker.{native}.100ms"))],
    family: "v2",
    snapshots: Snapshots::Channel,
    snapshot_levels: usize::MAX,
    crossing: ("bids", r#"[["new",9999999.0,10.0]]"#),
    checksum: None,
    ids_fall: false,
    alien: r#"{"jsonrpc":"2.0","method":"subscription","params":{"channel":"book.ALIEN-PERPETUAL.100ms","data":{"type":"change","timestamp":1795348700000,"prev_change_id":6,"instrument_name":"ALIEN-PERPETUAL","change_id":9,"bids":[["new",1.0,10.0]],"asks":[]}}}"#,
    announces_closing: false,
    proof_of_life: ProofOfLife::Answers(20.0),
    rest_tells: true,
    login: Some((DepthSpeed::Raw, |native| format!("book.{native}.raw"))),
    pattern: "kind=perpetual",
    newcomer: Subject { native: "SOL_USDC-PERPETUAL", key: "deribit:SOLUSDC" },
    others: &[
        ("deribit:BTCUSD-261225", Subject { native: "BTC-25DEC26", key: "deribit:BTCUSD-261225" }),
        (
            "deribit:BTCUSD-261225-100000-C",
            Subject { native: "BTC-25DEC26-100000-C", key: "deribit:BTCUSD-261225-100000-C" },
        ),
        ("deribit-spot:BTC_USDC", Subject { native: "BTC_USDC", key: "deribit-spot:BTCUSDC" }),
    ],
    halted: "locked",
    refuses: true,
    // §6: who is not logged in is turned away, and cut.
    has_no_time: r#"{"kind":"shed_anonymous","seconds":3}"#,
};
