//! What a shard tells about itself.

use serde_json::{Value, json};

use super::{Drive, Shard, Slot, State};
use crate::live::sys;

impl<E: Drive> Shard<E> {
    /// Whose it is; engine, connections, REST and queue. JSON, see `docs/architecture.md`.
    pub(super) fn report(&self) -> Value {
        let now = sys::now();
        let (waiting, running) = self.rest.in_flight();
        let (weight_used, banned_for_ms) = self.rest.account(now).unwrap_or_default();
        let mut report = self.engine.report();
        report["exchange"] = self.options.engine.venue.id().into();
        report["shard"] = self.options.engine.shard.into();
        report["streams"] = self.options.engine.streams.iter().map(|stream| stream.name()).collect();
        report["connections"] = self.slots.iter().map(|slot| self.connection(slot)).collect();
        report["rest"] = json!({
            "sent": self.rest.sent,
            "failed": self.rest.failed,
            "weight_used": weight_used,
            "weight_limit": self.allowance.weight,
            "banned_for_ms": banned_for_ms,
            "waiting": waiting,
            "running": running,
            "last_problem": self.rest.last_problem,
        });
        report["queue"] = self.queue.report();
        report["blocked_batches"] = self.blocked.len().into();
        report["messages_after_close"] = self.discarded.into();
        report["at"] = now.wall.into();
        report
    }

    fn connection(&self, slot: &Slot) -> Value {
        let counts = &slot.counts;
        let waits_for = slot.waiting.for_what();
        let (state, live) = match &slot.state {
            State::Down => ("down", None),
            State::Dialling(_) if waits_for.is_some() => ("waiting", None),
            State::Dialling(_) => ("dialling", None),
            State::Up(socket) => ("up", Some(socket)),
        };
        json!({
            "exchange": self.options.engine.venue.id(),
            "shard": self.options.engine.shard,
            "conn_id": slot.conn.0,
            "url": slot.url,
            "state": state,
            "waits_for": waits_for,
            "peer": counts.peer,
            "opened_at": counts.opened_at,
            "dials": counts.dials,
            "opened": counts.opened,
            "messages": counts.messages + live.map_or(0, |s| s.messages),
            "bytes": counts.bytes + live.map_or(0, |s| s.bytes),
            "pings": counts.pings + live.map_or(0, |s| s.pings),
            "stamp_source": live.map(|s| s.arrivals().source.name()),
            "stamps_refused": counts.stamps_refused + live.map_or(0, |s| s.arrivals().refused),
            "last_down": counts.last_down,
        })
    }
}
