//! The table `connections`: a row for each of them at every interval, at its end and at the engine's.

use super::super::connection::Connection;
use super::super::context::{Context, Origin, Subject};
use super::super::input::{ConnDown, DownReason, Link};
use super::super::timers::Timer;
use super::super::{Engine, NO_TIMES, find};
use super::Meter;
use crate::arbiter::score::LOST_NS;
use crate::batch::ConnectionRow;
use crate::symbol::ConnId;

/// Bytes of a host's name that are kept.
const HOST_BYTES: usize = 256;

impl Engine {
    /// A connection is up.
    pub(in super::super) fn ledger_up(&mut self, conn: ConnId, url: &str, link: Link) {
        let Self { cx, connections, .. } = self;
        let Some(connection) = find(connections, conn) else { return };
        let Some(meter) = cx.ledger.meter_of(conn) else { return };
        meter.host = host(url).into();
        meter.ip = link.ip;
        meter.turn(link.stamps);
        meter.opened_at = Some(cx.now.at.wall);
        meter.ups = meter.ups.saturating_add(1);
        meter.is_up = true;
        meter.expected = None;
        // In a recording nobody knows more than that they carry the same.
        let seat = if cx.live { (connection.lane, connection.place) } else { (0, conn.0) };
        meter.seat = Some(seat);
        cx.ledger.opened(seat);
    }

    /// A connection is down: its last row tells why.
    pub(in super::super) fn ledger_down(&mut self, conn: ConnId, down: &ConnDown) {
        let reason = words(down);
        let Self { cx, connections, .. } = self;
        let Some(connection) = find(connections, conn) else { return };
        if connection.is_free() {
            // What it lacks nobody will charge it with any more.
            let until = cx.now.at.mono.saturating_sub(LOST_NS);
            let lacking =
                self.instruments.iter().flat_map(|state| state.lacking(until)).filter(|of| *of == conn).count();
            if let Some(meter) = cx.ledger.meter(conn) {
                meter.interval.missed += lacking as i64;
            }
        }
        write(cx, connection, Some(&reason));
        if let Some(meter) = cx.ledger.meter(conn) {
            (meter.is_up, meter.expected) = (false, None);
        }
        if connection.is_free() {
            if let Some(meter) = cx.ledger.meter(conn) {
                *meter = Meter::default();
            }
            for instrument in self.instruments.iter_mut() {
                instrument.leave_races(conn);
            }
        }
    }

    pub(in super::super) fn arm_ledger(&mut self) {
        self.cx.arm_in_ms(self.cx.config.arbitration.ledger_interval_s.saturating_mul(1000), Timer::Ledger);
    }

    /// An interval is over.
    pub(in super::super) fn on_ledger_timeout(&mut self) {
        self.write_ledger(None);
        self.arm_ledger();
    }

    /// The owner ends the engine: what has been counted is written.
    pub(in super::super) fn on_stop(&mut self) {
        self.write_ledger(Some("stopped"));
    }

    fn write_ledger(&mut self, reason: Option<&str>) {
        let Self { cx, connections, .. } = self;
        for connection in connections.iter().filter(|connection| !connection.is_free()) {
            let reason = reason.filter(|_| connection.is_open());
            write(cx, connection, reason);
        }
    }
}

/// Writes the row of a connection, and begins its next interval.
fn write(cx: &mut Context, connection: &Connection, close_reason: Option<&str>) {
    let now = cx.now.at;
    let state = connection.stands(now.mono);
    cx.ledger.carry_over(connection.id);
    let origin = Origin { ts_recv: now.wall, suspect: 0, conn: connection.id };
    let (exchange, symbol) = (cx.config.venue.word(), cx.no_symbol);
    let subject = Subject::unfollowed(exchange, symbol);
    let mut key = cx.key(subject, origin, NO_TIMES, crate::table::flags::LAST, 1);
    key.exchange = cx.config.venue.into();
    let Context { ledger, batches, counters, .. } = cx;
    let Some(meter) = ledger.meter_of(connection.id) else { return };
    if meter.host.is_empty() {
        meter.host = host(connection.url()).into();
    }
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let ip = meter.ip.map(|ip| ip.to_string());
    meter.interval.settle(meter.stamps);
    let interval = &meter.interval;
    let row = ConnectionRow {
        host: &meter.host,
        ip: ip.as_deref(),
        opened_at: meter.opened_at,
        state,
        score: meter.score.cost_ns().map(|ns| ns / 1e3),
        stamp_source: interval.stamped_mostly().unwrap_or(meter.stamps),
        messages: count(interval.messages),
        bytes: count(interval.bytes),
        wins: count(interval.wins),
        losses: count(interval.losses),
        lead_p50: interval.lead.quantile(500_000),
        behind_p50: interval.behind.quantile(500_000),
        behind_p99: interval.behind.quantile(990_000),
        latency_p50: interval.latency.quantile(500_000),
        latency_p99: interval.latency.quantile(990_000),
        reconnects: count(meter.ups.saturating_sub(1)),
        close_reason,
        clock_offset: interval.ahead,
    };
    if batches.connection(&key, &row).is_err() {
        counters.rows_out_of_range += 1;
    }
    meter.interval.clear();
}

/// Why a connection is down, in the peer's words where it has some.
fn words(down: &ConnDown) -> String {
    let what = match down.reason {
        DownReason::ConnectFailed => "connect failed",
        DownReason::Refused => "refused",
        DownReason::Closed => "closed",
        DownReason::Eof => "end of stream",
        DownReason::Reset => "reset",
        DownReason::Protocol => "protocol",
        DownReason::WriteBlocked => "write blocked",
        DownReason::Local => "by us",
    };
    let code = down.code.map(|code| format!(" {code}")).unwrap_or_default();
    let detail =
        if down.detail.is_empty() { String::new() } else { format!(": {}", crate::report::escape(&down.detail)) };
    format!("{what}{code}{detail}")
}

/// The host of a URL, without its port.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, _)) => v6,
        None => authority.split(':').next().unwrap_or_default(),
    };
    let end = host.floor_char_boundary(HOST_BYTES);
    &host[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_what_stands_between_scheme_and_port() {
        for (url, expected) in [
            ("wss://fstream.binance.com/public/stream", "fstream.binance.com"),
            ("ws://127.0.0.1:8080/ws", "127.0.0.1"),
            ("wss://[::1]:443/ws?x=1", "::1"),
            ("wss://h?x=1", "h"),
            ("", ""),
        ] {
            assert_eq!(host(url), expected);
        }
        assert_eq!(host(&format!("wss://{}/", "ä".repeat(300))).len(), 256);
    }

    #[test]
    fn a_reason_has_the_peers_words_and_is_bounded() {
        let down =
            |reason, code, detail: &str| ConnDown { reason, code, detail: detail.to_owned(), retry_after_ms: None };
        assert_eq!(words(&down(DownReason::Closed, Some(1001), "bye\n")), "closed 1001: bye\\n");
        assert_eq!(words(&down(DownReason::Eof, None, "")), "end of stream");
        assert!(words(&down(DownReason::Refused, Some(503), &"x".repeat(10_000))).len() < 300);
    }
}
