//! An exchange in the test's hands: it accepts connections, grants what is asked for, sends what happens on each of
//! them, and ends them as it likes. One symbol, its trades and its book.

use std::net::{IpAddr, SocketAddr};

use serde_json::{Value, json};

use super::frames::{
    T0, deribit_book, deribit_trade, deribit_trades, grants, okx_book, okx_trade, spot_depth, spot_snapshot,
};
use super::harness::{World, agg_trade, depth, live_config, snapshot};
use crate::arbiter::addresses::order;
use crate::config::{EngineConfig, Stream};
use crate::engine::{Action, Command, ConnDown, DownReason, Input, Link, RequestId};
use crate::symbol::{ConnId, Venue};
use crate::table::Table;

pub const VENUES: [Venue; 4] = [Venue::BinanceFutures, Venue::BinanceSpot, Venue::Okx, Venue::Deribit];

/// A symbol that each venue knows by its name.
pub fn symbol(venue: Venue) -> &'static str {
    match venue {
        Venue::BinanceFutures | Venue::BinanceSpot => "BTCUSDT",
        Venue::Okx => "BTC-USDT",
        Venue::Deribit => "BTC_USDC",
    }
}

/// A trade of that symbol.
pub fn trade(venue: Venue, id: i64) -> String {
    match venue {
        Venue::BinanceFutures | Venue::BinanceSpot => agg_trade(id, "100.5", "2"),
        Venue::Okx => okx_trade("BTC-USDT", id, 1, T0 + id),
        Venue::Deribit => deribit_trades("BTC_USDC", &[deribit_trade("BTC_USDC", id, T0 + id, "")]),
    }
}

/// A book message of that symbol; `prev` `None` is a snapshot.
pub fn book(venue: Venue, prev: Option<i64>, id: i64) -> String {
    let (bids, asks) = (&[("100", "1")], &[("101", "2")]);
    match (venue, prev) {
        (Venue::Deribit, _) => deribit_book("BTC_USDC", (prev, id), T0 + id, bids, asks),
        (Venue::Okx, _) => okx_book("BTC-USDT", (prev.unwrap_or(-1), id), T0 + id, bids, asks, 0),
        (Venue::BinanceFutures, None) => snapshot(id, r#"["100","1"]"#, r#"["101","2"]"#),
        (Venue::BinanceFutures, Some(prev)) => {
            depth("BTCUSDT", (prev, prev + 1, id), r#"["100","1"]"#, r#"["101","2"]"#)
        }
        (Venue::BinanceSpot, None) => spot_snapshot(id, bids, asks),
        (Venue::BinanceSpot, Some(prev)) => spot_depth("BTCUSDT", (prev + 1, id), T0 + id, bids, asks),
    }
}

/// The refusal of a request.
pub fn refusal(venue: Venue, id: &Value, code: i64) -> String {
    match venue {
        Venue::Okx => json!({"id": id, "event": "error", "code": code.to_string(), "msg": "no", "connId": "a"}),
        Venue::Deribit => json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": "no"}}),
        _ => json!({"error": {"code": code, "msg": "no"}, "id": id}),
    }
    .to_string()
}

/// The code that refuses what was asked for: no such channel (OKX §1), a bad request.
pub fn refused(venue: Venue) -> i64 {
    match venue {
        Venue::Okx => 60_018,
        Venue::Deribit => 11_050,
        _ => 2,
    }
}

/// One of its connections.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    pub conn: ConnId,
    /// Monotonic time of the upgrade.
    pub since: u64,
    /// Where it goes, if the exchange's name stands for addresses.
    pub ip: Option<IpAddr>,
    /// It carries the trades, the book.
    pub trades: bool,
    pub book: bool,
    /// What happens comes so many milliseconds late.
    pub late_ms: u64,
}

/// See the module.
pub struct Exchange {
    pub venue: Venue,
    pub world: World,
    pub lines: Vec<Line>,
    /// It ends the oldest connection beyond so many of one kind.
    pub limit: usize,
    /// It ends a connection that is so old, in milliseconds.
    pub lifetime_ms: u64,
    /// It lets nobody in.
    pub is_closed: bool,
    /// It refuses every request for its symbol, and every login, with this code.
    pub refusal: Option<i64>,
    /// What it replies to a request for reference data.
    pub reference: Option<String>,
    /// Connections that get their grants and no trades.
    pub mute: Vec<ConnId>,
    /// The newest trade and state of the book.
    pub id: i64,
    /// Connections opened, and ended by the exchange.
    pub opened: usize,
    pub cut: usize,
    /// Whatever was sent to it, the latest last.
    pub asked: Vec<(ConnId, String)>,
    /// Requests by REST other than for snapshots and reference data.
    pub probes: usize,
    /// What its name stands for.
    pub addresses: Vec<SocketAddr>,
    /// By how many milliseconds what happens comes late, by how many connections were opened before.
    pub late_ms: fn(usize) -> u64,
    /// What is on its way: when it comes, on which connection.
    on_its_way: Vec<(u64, ConnId, String)>,
}

impl Exchange {
    pub fn new(venue: Venue, streams: &[Stream], change: impl FnOnce(&mut EngineConfig)) -> Self {
        Self::at(venue, streams, Vec::new(), change)
    }

    /// As [`Self::new`], where its name stands for these addresses.
    pub fn at(
        venue: Venue,
        streams: &[Stream],
        addresses: Vec<SocketAddr>,
        change: impl FnOnce(&mut EngineConfig),
    ) -> Self {
        let mut exchange = Self { addresses, ..Self::waiting(venue, streams, change) };
        exchange.serve();
        exchange
    }

    /// As [`Self::new`], and it has not done anything that the engine wants.
    pub fn waiting(venue: Venue, streams: &[Stream], change: impl FnOnce(&mut EngineConfig)) -> Self {
        let mut config = live_config(venue, &[symbol(venue)], streams);
        change(&mut config);
        Self {
            venue,
            world: World::new(config),
            lines: Vec::new(),
            limit: usize::MAX,
            lifetime_ms: u64::MAX,
            is_closed: false,
            refusal: None,
            reference: None,
            mute: Vec::new(),
            id: 1,
            opened: 0,
            cut: 0,
            asked: Vec::new(),
            probes: 0,
            addresses: Vec::new(),
            late_ms: |_| 0,
            on_its_way: Vec::new(),
        }
    }

    /// Does whatever the engine wants, until it wants nothing.
    pub fn serve(&mut self) {
        loop {
            for action in std::mem::take(&mut self.world.actions) {
                self.carry_out(action);
            }
            let now = self.world.now.mono;
            let old = self.lines.iter().find(|l| (now - l.since) / 1_000_000 >= self.lifetime_ms).map(|line| line.conn);
            let excess = (self.lines.len() > self.limit).then(|| self.lines[0].conn);
            if !self.world.actions.is_empty() {
                continue;
            }
            let Some(conn) = old.or(excess) else { return };
            self.cut += 1;
            self.end(conn, DownReason::Closed);
        }
    }

    /// A connection ends.
    pub fn end(&mut self, conn: ConnId, reason: DownReason) {
        self.forget(conn);
        self.world.down(conn, reason);
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Open { conn, .. } if self.is_closed => self.world.down(conn, DownReason::ConnectFailed),
            Action::Open { conn, url, advice } => {
                self.opened += 1;
                assert!(self.lines.iter().all(|line| line.conn != conn), "a number is given to one at a time");
                let ip = order(&self.addresses, &advice).first().map(SocketAddr::ip);
                let late_ms = (self.late_ms)(self.opened - 1);
                self.lines.push(Line { conn, since: self.world.now.mono, ip, trades: false, book: false, late_ms });
                self.world.input(Input::ConnUp { conn, url: &url, link: Link { ip, ..Link::default() } });
            }
            Action::Close { conn, reason } => {
                self.forget(conn);
                let (reason, detail) = (DownReason::Local, reason.to_owned());
                let down = ConnDown { reason, code: None, detail, retry_after_ms: None };
                self.world.input(Input::ConnDown { conn, down: &down });
            }
            Action::Send { conn, text } => self.on_request(conn, text),
            Action::Http { request, url, .. } => self.on_rest(request, &url),
            Action::Login { conn, request } => {
                let granted = match self.venue {
                    Venue::Okx => json!({"id": request.to_string(), "event": "login", "code": "0", "msg": ""}),
                    _ => json!({"jsonrpc": "2.0", "id": request, "result": {"access_token": "*"}}),
                };
                let id = if self.venue == Venue::Okx { json!(request.to_string()) } else { json!(request) };
                let answer = self.refusal.map_or_else(|| granted.to_string(), |code| refusal(self.venue, &id, code));
                self.asked.push((conn, "login".to_owned()));
                self.world.frame(conn, &answer);
            }
        }
    }

    fn on_request(&mut self, conn: ConnId, text: String) {
        let lower = text.to_lowercase();
        let (is_end, is_own) = (lower.contains("unsubscribe"), lower.contains(&symbol(self.venue).to_lowercase()));
        if is_own
            && !is_end
            && let Some(code) = self.refusal
        {
            let request: Value = serde_json::from_str(&text).expect("JSON");
            self.asked.push((conn, text));
            return self.world.frame(conn, &refusal(self.venue, &request["id"], code));
        }
        for answer in grants(&text) {
            self.world.frame(conn, &answer);
        }
        let trades = is_own && lower.contains("trade");
        let book = is_own && ["book", "depth"].iter().any(|word| lower.contains(word));
        self.asked.push((conn, text));
        let Some(line) = self.lines.iter_mut().find(|line| line.conn == conn) else { return };
        line.trades = if trades { !is_end } else { line.trades };
        line.book = if book { !is_end } else { line.book };
        if book && !is_end && matches!(self.venue, Venue::Okx | Venue::Deribit) {
            let (late_ms, text) = (line.late_ms, self::book(self.venue, None, self.id * 10));
            self.tell(conn, late_ms, text);
        }
    }

    /// Sends a frame, which comes at once or late.
    fn tell(&mut self, conn: ConnId, late_ms: u64, text: String) {
        match late_ms {
            0 => self.world.frame(conn, &text),
            late_ms => self.on_its_way.push((self.world.now.mono + late_ms * 1_000_000, conn, text)),
        }
    }

    /// A connection is gone, and what was on its way to it never comes: its number may be given to another.
    fn forget(&mut self, conn: ConnId) {
        self.lines.retain(|line| line.conn != conn);
        self.on_its_way.retain(|(_, to, _)| *to != conn);
    }

    /// What has been on its way for long enough comes.
    fn arrive(&mut self) {
        let now = self.world.now.mono;
        let (mut due, left) =
            std::mem::take(&mut self.on_its_way).into_iter().partition::<Vec<_>, _>(|(at, ..)| *at <= now);
        self.on_its_way = left;
        due.sort_by_key(|(at, ..)| *at);
        for (_, conn, text) in due {
            if self.lines.iter().any(|line| line.conn == conn) {
                self.world.frame(conn, &text);
                self.serve();
            }
        }
    }

    fn on_rest(&mut self, request: RequestId, url: &str) {
        if url.contains("nstruments") || url.contains("exchangeInfo") {
            if let Some(body) = self.reference.clone() {
                self.world.reply(Some(request), url, 200, &body);
            }
            return;
        }
        if url.contains("depth") && !url.contains("limit=5&") && !url.ends_with("limit=5") {
            let body = book(self.venue, None, self.id * 10);
            self.world.reply(Some(request), url, 200, &body);
        } else {
            self.probes += 1;
            self.world.reply(Some(request), url, 503, "");
        }
    }

    /// Something happens on the market: a trade, and a change of the book.
    pub fn happens(&mut self) {
        self.id += 1;
        for line in self.lines.clone() {
            if line.trades && !self.mute.contains(&line.conn) {
                self.tell(line.conn, line.late_ms, trade(self.venue, self.id));
            }
            if line.book {
                self.tell(line.conn, line.late_ms, book(self.venue, Some(self.id * 10 - 10), self.id * 10));
            }
        }
        self.arrive();
        self.serve();
    }

    /// Time passes, and heartbeats come.
    pub fn pass_ms(&mut self, ms: u64) {
        for part in (0..ms).step_by(10_000) {
            self.pass_quietly_ms((ms - part).min(10_000));
            if self.venue == Venue::Deribit {
                for line in self.lines.clone() {
                    self.world
                        .frame(line.conn, r#"{"params":{"type":"heartbeat"},"method":"heartbeat","jsonrpc":"2.0"}"#);
                }
            }
        }
    }

    fn pass_quietly_ms(&mut self, ms: u64) {
        let end = self.world.now.after(ms * 1_000_000);
        while let Some(due) = self.world.engine.next_timeout().filter(|due| due.mono <= end.mono) {
            self.world.now = if due.mono > self.world.now.mono { due } else { self.world.now };
            self.world.input(Input::Timeout);
            self.serve();
        }
        self.world.now = end;
        self.serve();
    }

    /// Time passes, and something happens every so often.
    pub fn run_ms(&mut self, ms: u64, every_ms: u64) {
        for _ in 0..ms / every_ms {
            self.pass_ms(every_ms);
            self.happens();
        }
    }

    pub fn command(&mut self, command: &Command) -> Result<(), crate::config::ConfigError> {
        let result = self.world.command(command);
        self.serve();
        result
    }

    /// Ids of the trades so far.
    pub fn trades(&mut self) -> Vec<String> {
        let column = if self.venue == Venue::Deribit { "seq" } else { "trade_id" };
        self.world.rows(Table::Trades, &[column])
    }

    /// Causes of the gaps so far.
    pub fn gaps(&mut self) -> Vec<String> {
        self.world.rows(Table::Gaps, &["symbol", "stream", "cause", "evidence"])
    }

    /// So many connections are up.
    pub fn up(&self) -> usize {
        self.lines.len()
    }

    /// A number of the report on redundancy.
    pub fn redundancy(&self, key: &str) -> u64 {
        self.world.count(&format!("/redundancy/{key}"))
    }
}
