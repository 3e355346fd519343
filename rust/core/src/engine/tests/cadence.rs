//! Channels of states that speak come what may are missed when they do not; the others may be quiet.

use serde_json::json;

use super::frames::{T0, deribit_ticker, deribit_trade, deribit_trades, okx_state, okx_trade};
use super::harness::{A, B, World, agg_trade, live_config};
use crate::config::{EngineConfig, SizeUnit, Stream};
use crate::engine::{Action, Link};
use crate::symbol::{ConnId, Venue};
use crate::table::Table;

/// A channel whose manual says how often it speaks.
struct Spoken {
    venue: Venue,
    symbol: &'static str,
    /// As the request has it.
    channel: &'static str,
    /// Seconds after which it is missed that has never spoken, and that has: by default, else by what the manual says.
    first_s: u64,
    silent_s: u64,
    /// What it says in this millisecond.
    row: fn(i64) -> String,
    /// What beside it goes on: a trade of this number.
    beside: fn(i64) -> String,
}

/// Binance futures §5, OKX §5, Deribit §4 and §5.
const SPOKEN: [Spoken; 5] = [
    Spoken {
        venue: Venue::BinanceFutures,
        symbol: "BTCUSDT",
        channel: "btcusdt@markPrice@1s",
        first_s: 30,
        silent_s: 60,
        row: |ms| {
            format!(
                r#"{{"stream":"btcusdt@markPrice@1s","data":{{"e":"markPriceUpdate","E":{ms},"s":"BTCUSDT","p":"1.5","P":"1","i":"1","r":"0.0001","T":{T0},"st":1}}}}"#
            )
        },
        beside: |id| agg_trade(id, "100.5", "2"),
    },
    Spoken {
        venue: Venue::Okx,
        symbol: "BTC-USDT-SWAP",
        channel: r#"{"channel":"mark-price","instId":"BTC-USDT-SWAP"}"#,
        first_s: 30,
        silent_s: 60,
        row: |ms| {
            let row = json!({"instType": "SWAP", "instId": "BTC-USDT-SWAP", "markPx": "100", "ts": ms.to_string()});
            okx_state("mark-price", row)
        },
        beside: |id| okx_trade("BTC-USDT-SWAP", id, 1, T0 + id),
    },
    Spoken {
        channel: r#"{"channel":"funding-rate","instId":"BTC-USDT-SWAP"}"#,
        first_s: 90,
        silent_s: 180,
        row: |ms| {
            let row = json!({"instId": "BTC-USDT-SWAP", "instType": "SWAP", "fundingRate": "0.0001",
                "fundingTime": "1795350000000", "ts": ms.to_string()});
            okx_state("funding-rate", row)
        },
        ..okx_mark_price()
    },
    Spoken {
        channel: r#"{"channel":"index-tickers","instId":"BTC-USDT"}"#,
        first_s: 60,
        silent_s: 120,
        row: |ms| okx_state("index-tickers", json!({"instId": "BTC-USDT", "idxPx": "100", "ts": ms.to_string()})),
        ..okx_mark_price()
    },
    Spoken {
        venue: Venue::Deribit,
        symbol: "BTC-PERPETUAL",
        channel: r#""ticker.BTC-PERPETUAL.100ms""#,
        first_s: 30,
        silent_s: 120,
        row: |ms| deribit_ticker("BTC-PERPETUAL", ms, "92281.78", ""),
        beside: |id| deribit_trades("BTC-PERPETUAL", &[deribit_trade("BTC-PERPETUAL", id, T0 + id, "")]),
    },
];

const fn okx_mark_price() -> Spoken {
    Spoken {
        venue: Venue::Okx,
        symbol: "BTC-USDT-SWAP",
        channel: "",
        first_s: 30,
        silent_s: 60,
        row: |_| String::new(),
        beside: |id| okx_trade("BTC-USDT-SWAP", id, 1, T0 + id),
    }
}

/// The exchange, in the test's hands: every request is granted, trades go on.
struct Market {
    world: World,
    /// Connections.
    up: Vec<ConnId>,
    seconds: i64,
    /// Everything asked for.
    asked: Vec<(ConnId, String)>,
}

impl Market {
    fn new(spoken: &Spoken, connections: u16) -> Self {
        let config = live_config(spoken.venue, &[spoken.symbol], &[Stream::Trades, Stream::Derivatives]);
        let world = World::new(EngineConfig { size_unit: SizeUnit::Native, connections, ..config });
        let mut market = Self { world, up: Vec::new(), seconds: 0, asked: Vec::new() };
        while market.up.len() < usize::from(connections) {
            market.pass(1, spoken, &[]);
        }
        market.asked.clear();
        market
    }

    /// So many seconds, in each of which the market trades and the channel speaks on these connections. The other
    /// channels of OKX say nothing, whether or not its manual tells a time of them.
    fn pass(&mut self, seconds: u64, spoken: &Spoken, on: &[ConnId]) {
        for _ in 0..seconds {
            self.world.pass_ms(1_000);
            self.seconds += 1;
            for action in std::mem::take(&mut self.world.actions) {
                match action {
                    Action::Open { conn, url, .. } => {
                        self.world.input(crate::engine::Input::ConnUp { conn, url: &url, link: Link::default() });
                        self.up.push(conn);
                    }
                    Action::Send { conn, text } => {
                        for answer in super::frames::grants(&text) {
                            self.world.frame(conn, &answer);
                        }
                        self.asked.push((conn, text));
                    }
                    Action::Close { reason, .. } => panic!("closed: {reason}"),
                    Action::Http { .. } | Action::Login { .. } => {}
                }
            }
            for conn in self.up.clone() {
                self.world.frame(conn, &(spoken.beside)(self.seconds));
                if on.contains(&conn) {
                    self.world.frame(conn, &(spoken.row)(T0 + self.seconds * 1_000));
                }
            }
        }
    }

    /// How often the channel was ended and asked for anew, and on which connection.
    fn renewed(&self, spoken: &Spoken) -> Vec<ConnId> {
        let of = |(conn, text): &(ConnId, String)| {
            let ended = text.to_lowercase().contains("unsubscribe") && text.contains(spoken.channel);
            ended.then_some(*conn)
        };
        self.asked.iter().filter_map(of).collect()
    }

    /// The gaps of `derivatives`.
    fn gaps(&mut self) -> Vec<String> {
        let gaps = self.world.rows(Table::Gaps, &["stream", "cause", "evidence", "repaired", "ts_resumed"]);
        let open = |gap: String| match gap.rsplit_once('|') {
            Some((told, "")) => told.to_owned(),
            Some((told, _)) => format!("{told}, closed"),
            None => gap,
        };
        gaps.into_iter().map(open).collect()
    }
}

/// Of OKX several channels are silent here, so that their rows come once for each.
fn once(gaps: Vec<String>) -> Vec<String> {
    let mut gaps = gaps;
    gaps.dedup();
    gaps
}

const NAMED: &str = "derivatives|silence|clock|none";

// Fault: X17
#[test]
fn a_channel_of_states_that_never_speaks_is_named_when_it_should_have_and_asked_for_anew() {
    for spoken in &SPOKEN {
        let mut market = Market::new(spoken, 1);
        market.pass(spoken.first_s - 5, spoken, &[]);
        assert_eq!(market.renewed(spoken), [], "{}", spoken.channel);
        market.pass(31, spoken, &[]);
        assert_eq!(market.renewed(spoken), [A], "{}", spoken.channel);
        assert_eq!(once(market.gaps()), [NAMED], "though others speak: {}", spoken.channel);
        market.pass(3600, spoken, &[]);
        let again = market.renewed(spoken).len();
        assert!((3..=9).contains(&again), "ever more seldom: {again} in an hour, {}", spoken.channel);
        assert_eq!(once(market.gaps()), [NAMED], "it is the same gap");
        market.pass(1, spoken, &[A]);
        assert_eq!(once(market.gaps()), [NAMED, &format!("{NAMED}, closed")], "{}", spoken.channel);
        assert_eq!(market.world.rows(Table::Derivatives, &["flags"]).len(), 1);
    }
}

// Fault: N06
#[test]
fn a_channel_of_states_that_falls_silent_is_named_and_one_that_speaks_is_not() {
    for spoken in &SPOKEN {
        let mut market = Market::new(spoken, 1);
        market.pass(1000, spoken, &[A]);
        assert_eq!(market.renewed(spoken), [], "it speaks: {}", spoken.channel);
        let before = market.gaps().len();
        market.pass(spoken.silent_s - 2, spoken, &[]);
        assert_eq!(market.renewed(spoken), [], "{}", spoken.channel);
        market.pass(35, spoken, &[]);
        assert_eq!(market.renewed(spoken), [A], "{}", spoken.channel);
        assert_eq!(market.gaps()[before..], [NAMED], "{}", spoken.channel);
    }
}

// Fault: X17
#[test]
fn what_another_connection_brings_is_no_gap_and_is_asked_for_anew_where_it_is_missing() {
    for spoken in &SPOKEN {
        let mut market = Market::new(spoken, 2);
        let both = market.up.clone();
        market.pass(1000, spoken, &both);
        let before = market.gaps().len();
        market.pass(spoken.silent_s + 65, spoken, &[B]);
        assert_eq!(market.renewed(spoken), [A], "{}", spoken.channel);
        assert_eq!(market.gaps().len(), before, "{}", spoken.channel);
    }
}

/// OKX §5 tells no time of open interest: only the answer says that it is carried.
#[test]
fn a_channel_of_no_known_cadence_may_be_quiet_for_as_long_as_it_likes() {
    let spoken = &SPOKEN[1];
    let mut market = Market::new(spoken, 1);
    market.pass(3600, spoken, &[A]);
    let is_anew = |text: &str| text.contains("unsubscribe") && text.contains("open-interest");
    let anew = market.asked.iter().filter(|(_, text)| is_anew(text)).count();
    assert_eq!(anew, 0, "{:?}", market.asked);
}
