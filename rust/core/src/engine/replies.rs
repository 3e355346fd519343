//! REST replies: snapshots, reference data, probes.

use hashbrown::HashMap;

use super::context::{Context, Origin, Purpose, Subject};
use super::input::HttpReply;
use super::instrument::InstrumentState;
use super::timers::Timer;
use super::{Engine, NO_TIMES};
use crate::config::Stream;
use crate::event::Scales;
use crate::exchange::{Protocol, Recorded, with_protocol};
use crate::instrument::Instrument;
use crate::report::{IgnoreReason, RejectReason, ReplyOutcome};
use crate::symbol::InstrumentId;
use crate::table::flags;

/// The venue's reference data as last told.
#[derive(Default)]
pub(super) struct Reference {
    known: HashMap<String, Instrument, foldhash::fast::FixedState>,
    pub attempts: u32,
}

impl Reference {
    /// Tells an instrument its tick and lot, where they are known.
    pub(super) fn describe(&self, state: &mut InstrumentState) {
        if let Some(instrument) = self.known.get(&*state.native) {
            state.book.book.set_reference(instrument.tick_size, instrument.lot_size);
            let scales = Scales {
                price: instrument.tick_size.map_or(0, |t| t.trimmed().scale),
                size: instrument.lot_size.map_or(0, |l| l.trimmed().scale),
            };
            for own in [&mut state.trades.scales, &mut state.quotes.scales] {
                own.price = own.price.max(scales.price);
                own.size = own.size.max(scales.size);
            }
        }
    }
}

impl Engine {
    pub(super) fn on_reply(&mut self, origin: Origin, reply: &HttpReply<'_>) -> ReplyOutcome {
        let purpose = match reply.request {
            Some(request) => self.cx.requests.remove(&request),
            None => self.purpose_of_recorded(reply.url),
        };
        let Some(purpose) = purpose else { return ReplyOutcome::Ignored(IgnoreReason::UnknownReply) };
        match purpose {
            Purpose::Snapshot(id) => self.on_snapshot_reply(origin, id, reply),
            Purpose::Reference => self.on_reference_reply(origin, reply),
            Purpose::Probe(id, stream) => self.on_probe_reply(id, stream, reply),
        }
    }

    /// In a foreign recording the URL tells; symbols never seen before are taken in.
    fn purpose_of_recorded(&mut self, url: &str) -> Option<Purpose> {
        if self.cx.live {
            return None;
        }
        match with_protocol!(self.cx.config.venue, P => P::recorded(url))? {
            Recorded::Reference => Some(Purpose::Reference),
            Recorded::Snapshot(native) => {
                let native = native.to_uppercase();
                let known = self.instruments.find(&native).map(|state| state.subject.id);
                let id = match known {
                    Some(id) => id,
                    None => {
                        let state = self.instruments.add(&mut self.cx, &native)?;
                        self.reference.describe(state);
                        state.subject.id
                    }
                };
                Some(Purpose::Snapshot(id))
            }
        }
    }

    fn on_snapshot_reply(&mut self, origin: Origin, id: InstrumentId, reply: &HttpReply<'_>) -> ReplyOutcome {
        let Self { cx, instruments, .. } = self;
        let Some(state) = instruments.get(id) else { return ReplyOutcome::Ignored(IgnoreReason::UnknownReply) };
        let subject = state.subject;
        if !cx.config.streams.contains(&Stream::L2) {
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
        let told = if reply.status == 200 {
            with_protocol!(self.cx.config.venue, P => P::read_reference(reply.body))
        } else {
            Err(RejectReason::Status)
        };
        let told = match told {
            Ok(told) => told,
            Err(reason) => {
                if self.cx.live {
                    let delay = self.cx.backoff_ms(self.reference.attempts, reply.retry_after_ms.unwrap_or(0));
                    self.reference.attempts = self.reference.attempts.saturating_add(1);
                    self.cx.arm_in_ms(delay, Timer::Reference);
                }
                return ReplyOutcome::Rejected(reason);
            }
        };
        self.reference.attempts = 0;
        for instrument in told {
            if self.reference.known.len() >= self.cx.config.max_instruments {
                break;
            }
            if self.reference.known.get(&instrument.native_symbol) != Some(&instrument) {
                emit_instrument(&mut self.cx, origin, &instrument);
                self.reference.known.insert(instrument.native_symbol.clone(), instrument);
            }
        }
        for state in self.instruments.iter_mut() {
            self.reference.describe(state);
        }
        ReplyOutcome::Accepted
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

fn emit_instrument(cx: &mut Context, origin: Origin, instrument: &Instrument) {
    let symbol = cx.batches.intern(&instrument.symbol);
    let subject = Subject { id: InstrumentId(u32::MAX), exchange: instrument.exchange, symbol };
    let key = cx.key(subject, origin, NO_TIMES, flags::LAST, 1);
    if cx.batches.instrument(&key, instrument, origin.ts_recv, None).is_err() {
        cx.counters.rows_out_of_range += 1;
    }
}
