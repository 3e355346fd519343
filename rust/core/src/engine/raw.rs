//! Every input is a row of `raw` before anything else happens.

use super::NO_TIMES;
use super::context::{Context, Origin, Subject};
use super::input::Input;
use crate::batch::RawRow;
use crate::table::{InputKind, StampSource};

/// What the `headers` column of a row keeps beside the payload: a line each, empty where there is nothing to keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// `retry-after-ms`: what a reply asks for.
    pub retry_after_ms: Option<u64>,
    /// `wall`: the wall time as the shell gave it, where `ts_recv` had to differ from it; the inner `None` is
    /// `unknown`, a time that was not recorded.
    pub wall: Option<Option<i64>>,
    /// `stamps`: who stamped what comes on the connection, from this frame on.
    pub stamps: Option<StampSource>,
}

impl Headers {
    /// Reads the column back; what it does not know it leaves out.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut headers = Self::default();
        for line in text.lines() {
            match line.split_once(": ") {
                Some(("retry-after-ms", value)) => headers.retry_after_ms = value.parse().ok(),
                Some(("wall", "unknown")) => headers.wall = Some(None),
                Some(("stamps", value)) => headers.stamps = StampSource::named(value),
                Some(("wall", value)) => headers.wall = value.parse().ok().map(Some),
                _ => {}
            }
        }
        headers
    }

    fn text(self) -> Option<String> {
        let retry = self.retry_after_ms.map(|ms| format!("retry-after-ms: {ms}"));
        let wall = self.wall.map(|wall| wall.map_or("wall: unknown".to_owned(), |wall| format!("wall: {wall}")));
        let stamps = self.stamps.map(|source| format!("stamps: {}", source.name()));
        let lines = [retry, wall, stamps].into_iter().flatten();
        lines.reduce(|lines, line| format!("{lines}\n{line}"))
    }
}

#[inline(always)]
pub(super) fn record<'i>(cx: &mut Context, origin: Origin, wall: Option<i64>, input: impl FnOnce() -> Input<'i>) {
    if cx.batches.is_wanted(crate::table::Table::Raw) {
        record_input(cx, origin, wall, &input());
    }
}

#[inline(never)]
fn record_input(cx: &mut Context, origin: Origin, wall: Option<i64>, input: &Input<'_>) {
    let headers = Headers {
        retry_after_ms: if let Input::Http(reply) = input { reply.retry_after_ms } else { None },
        wall: (wall != Some(origin.ts_recv)).then_some(wall),
        stamps: if let Input::Frame { conn, .. } = input { cx.ledger.stamps_next(*conn) } else { None },
    };
    let headers = headers.text();
    let told;
    let bare = RawRow {
        ts_mono: cx.now.came,
        kind: InputKind::Timeout,
        request_id: None,
        status: None,
        headers: headers.as_deref(),
        url: None,
        payload: b"",
    };
    let row = match input {
        Input::Frame { payload, .. } => RawRow { kind: InputKind::Frame, payload, ..bare },
        Input::ConnUp { url, link, .. } => {
            told = serde_json::to_vec(link).unwrap_or_default();
            RawRow { kind: InputKind::ConnUp, url: Some(url), payload: &told, ..bare }
        }
        Input::ConnDown { down, .. } => {
            told = serde_json::to_vec(down).unwrap_or_default();
            RawRow { kind: InputKind::ConnDown, payload: &told, ..bare }
        }
        Input::Command(command) => {
            told = serde_json::to_vec(command).unwrap_or_default();
            RawRow { kind: InputKind::Command, payload: &told, ..bare }
        }
        Input::Http(reply) => RawRow {
            kind: InputKind::Http,
            request_id: reply.request.map(|request| request.0),
            status: Some(reply.status),
            url: Some(reply.url),
            payload: reply.body,
            ..bare
        },
        Input::Timeout => bare,
    };
    record_row(cx, origin, &row);
}

pub(super) fn record_row(cx: &mut Context, origin: Origin, raw: &RawRow<'_>) {
    let symbol = cx.no_symbol;
    // Number 0 is kept for the input itself, so that the other rows' numbers do not depend on this table.
    let exchange = cx.config.venue.word();
    let subject = Subject::unfollowed(exchange, symbol);
    let row = std::mem::replace(&mut cx.now.row, 0);
    let mut key = cx.key(subject, origin, NO_TIMES, 0, 1);
    key.exchange = cx.config.venue.into();
    cx.now.row = row;
    if cx.batches.raw(&key, raw).is_err() {
        cx.counters.rows_out_of_range += 1;
    }
}
