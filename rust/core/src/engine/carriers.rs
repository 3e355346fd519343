//! Which connections carry a stream.

use crate::symbol::ConnId;

/// Connections that have delivered a stream and are still up, and when the stream last spoke.
#[derive(Clone, Debug, Default)]
pub(super) struct Carriers {
    conns: Vec<ConnId>,
    /// Monotonic time of the last frame, fresh or not; `None` before the first.
    pub seen: Option<u64>,
    /// Receive time of the last event that was taken.
    pub last_good: Option<i64>,
}

impl Carriers {
    /// A frame came.
    #[inline]
    pub(super) fn note(&mut self, conn: ConnId, mono: u64) {
        self.seen = Some(mono);
        if !self.conns.contains(&conn) {
            self.conns.push(conn);
        }
    }

    /// A connection is gone. True where it was the last one that carried the stream.
    pub(super) fn forget(&mut self, conn: ConnId) -> bool {
        let before = self.conns.len();
        self.conns.retain(|c| *c != conn);
        before > 0 && self.conns.is_empty()
    }

    /// Those that carry it.
    pub(super) fn conns(&self) -> &[ConnId] {
        &self.conns
    }

    /// An event was taken.
    #[inline]
    pub(super) fn took(&mut self, ts_recv: i64) {
        self.last_good = Some(ts_recv);
    }

    /// Nobody carries the stream.
    pub(super) fn is_empty(&self) -> bool {
        self.conns.is_empty()
    }

    /// A connection other than `conn` carries it too.
    pub(super) fn others(&self, conn: ConnId) -> bool {
        self.conns.iter().any(|c| *c != conn)
    }
}
