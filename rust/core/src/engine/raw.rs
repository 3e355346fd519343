//! Every input is a row of `raw` before anything else happens.

use super::context::{Origin, Subject};
use super::input::{HttpReply, Input};
use super::{Engine, NO_TIMES};
use crate::batch::RawRow;
use crate::symbol::{Exchange, InstrumentId};
use crate::table::InputKind;

/// What is kept of a reply's headers, as the `headers` column writes it.
#[must_use]
pub fn headers_text(reply: &HttpReply<'_>) -> Option<String> {
    reply.retry_after_ms.map(|ms| format!("retry-after-ms: {ms}"))
}

/// Reads back what [`headers_text`] wrote.
#[must_use]
pub fn read_headers(text: &str) -> Option<u64> {
    text.strip_prefix("retry-after-ms: ")?.parse().ok()
}

impl Engine {
    pub(super) fn record(&mut self, origin: Origin, input: &Input<'_>) {
        if !self.cx.batches.is_wanted(crate::table::Table::Raw) {
            return;
        }
        match input {
            Input::Frame { payload, .. } => {
                self.record_parts(origin, InputKind::Frame, None, None, None, None, payload);
            }
            Input::ConnUp { url, .. } => {
                self.record_parts(origin, InputKind::ConnUp, None, None, None, Some(url), b"");
            }
            Input::ConnDown { down, .. } => {
                let payload = serde_json::to_vec(down).unwrap_or_default();
                self.record_parts(origin, InputKind::ConnDown, None, None, None, None, &payload);
            }
            Input::Http(reply) => {
                let headers = headers_text(reply);
                let request = reply.request.map(|r| r.0);
                let status = Some(reply.status);
                let url = Some(reply.url);
                self.record_parts(origin, InputKind::Http, request, status, headers.as_deref(), url, reply.body);
            }
            Input::Timeout => self.record_parts(origin, InputKind::Timeout, None, None, None, None, b""),
        }
    }

    #[allow(clippy::too_many_arguments)] // the columns of one row
    pub(super) fn record_parts(
        &mut self,
        origin: Origin,
        kind: InputKind,
        request_id: Option<u64>,
        status: Option<u16>,
        headers: Option<&str>,
        url: Option<&str>,
        payload: &[u8],
    ) {
        let symbol = self.cx.no_symbol;
        // Number 0 is kept for the input itself, so that the other rows' numbers do not depend on this table.
        let subject = Subject { id: InstrumentId(u32::MAX), exchange: Exchange::BinanceFutures, symbol };
        let row = std::mem::replace(&mut self.cx.now.row, 0);
        let mut key = self.cx.key(subject, origin, NO_TIMES, 0, 1);
        key.exchange = self.cx.config.venue.into();
        self.cx.now.row = row;
        let ts_mono = self.cx.now.at.mono;
        let raw = RawRow { ts_mono, kind, request_id, status, headers, url, payload };
        if self.cx.batches.raw(&key, &raw).is_err() {
            self.cx.counters.rows_out_of_range += 1;
        }
    }
}
