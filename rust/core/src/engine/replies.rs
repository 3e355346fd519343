//! REST replies: whose they are.

use percent_encoding::percent_decode_str;

use super::Engine;
use super::context::{Origin, Purpose};
use super::input::HttpReply;
use crate::config::Stream;
use crate::exchange::{Protocol, Recorded, with_protocol};
use crate::report::{IgnoreReason, RejectReason, ReplyOutcome};
use crate::symbol::InstrumentId;

impl Engine {
    pub(super) fn on_reply(&mut self, origin: Origin, reply: &HttpReply<'_>) -> ReplyOutcome {
        let purpose = match reply.request {
            Some(request) => self.cx.requests.remove(&request),
            None => self.purpose_of_recorded(origin, reply.url),
        };
        let Some(purpose) = purpose else { return ReplyOutcome::Ignored(IgnoreReason::UnknownReply) };
        match purpose {
            Purpose::Snapshot(id) => self.on_snapshot_reply(origin, id, reply),
            Purpose::Reference => self.on_reference_reply(origin, reply),
            Purpose::Trades => self.on_trades_reply(origin, reply),
            Purpose::Poll(asked) => self.on_poll_reply(origin, asked, reply),
            Purpose::Probe(id, stream) => self.on_probe_reply(id, stream, reply),
        }
    }

    /// In a foreign recording the URL tells; symbols never seen before are taken in.
    fn purpose_of_recorded(&mut self, origin: Origin, url: &str) -> Option<Purpose> {
        if self.cx.live {
            return None;
        }
        match with_protocol!(self.cx.config.venue, P => P::recorded(url))? {
            Recorded::Reference => Some(Purpose::Reference),
            Recorded::State => Some(Purpose::Poll(None)),
            Recorded::Snapshot(native) => {
                // Names may be of any script (Binance spot §1), which a URL spells in bytes.
                let native = percent_decode_str(native).decode_utf8_lossy().to_uppercase();
                let known = self.instruments.find(&native).map(|state| state.subject.id);
                let id = match known {
                    Some(id) => id,
                    None => self.instruments.add(&mut self.cx, &mut self.registry, origin, &native)?.subject.id,
                };
                Some(Purpose::Snapshot(id))
            }
        }
    }

    fn on_snapshot_reply(&mut self, origin: Origin, id: InstrumentId, reply: &HttpReply<'_>) -> ReplyOutcome {
        let Self { cx, instruments, .. } = self;
        let Some(state) = instruments.get(id) else { return ReplyOutcome::Ignored(IgnoreReason::UnknownReply) };
        let subject = state.subject;
        if !cx.config.streams.iter().any(|stream| matches!(stream, Stream::L2 | Stream::L2Top)) {
            return ReplyOutcome::Ignored(IgnoreReason::UnrequestedStream);
        }
        if reply.request.is_some_and(|request| !state.book.claims(request)) {
            return ReplyOutcome::Ignored(IgnoreReason::UnknownReply);
        }
        if reply.status != 200 {
            state.book.retry_snapshot(cx, subject, reply.retry_after_ms.unwrap_or(0));
            return ReplyOutcome::Rejected(RejectReason::Status);
        }
        let scales = state.book.book.scales();
        let max_levels = cx.config.book.max_levels;
        let read =
            with_protocol!(cx.config.venue, P => P::read_snapshot(reply.body, scales, max_levels, &mut cx.levels));
        match read {
            Ok(head) => state.book.on_snapshot(cx, subject, origin, &head),
            Err(reason) => {
                state.book.retry_snapshot(cx, subject, 0);
                ReplyOutcome::Rejected(reason)
            }
        }
    }

    fn on_reference_reply(&mut self, origin: Origin, reply: &HttpReply<'_>) -> ReplyOutcome {
        self.registry.awaited = self.registry.awaited.saturating_sub(1);
        let told = if reply.status == 200 {
            with_protocol!(self.cx.config.venue, P => P::read_reference(reply.body))
        } else {
            Err(RejectReason::Status)
        };
        let outcome = self.on_reference(origin, reply.url, told, reply.retry_after_ms.unwrap_or(0));
        if self.cx.live && self.registry.awaited == 0 {
            self.on_all_references();
        }
        outcome
    }

    fn on_probe_reply(&mut self, id: InstrumentId, stream: Stream, reply: &HttpReply<'_>) -> ReplyOutcome {
        let Self { cx, instruments, .. } = self;
        let Some(state) = instruments.get(id) else { return ReplyOutcome::Ignored(IgnoreReason::UnknownReply) };
        if reply.status != 200 {
            state.probe(stream).busy = false;
            return ReplyOutcome::Rejected(RejectReason::Status);
        }
        let aggregated = !state.trades.counts_fills();
        let told = with_protocol!(
            cx.config.venue,
            P => P::read_probe(reply.body, stream, aggregated, &mut cx.levels)
        );
        match told {
            Ok(told) => {
                self.on_probed(id, stream, told);
                ReplyOutcome::Accepted
            }
            Err(reason) => {
                state.probe(stream).busy = false;
                ReplyOutcome::Rejected(reason)
            }
        }
    }
}
