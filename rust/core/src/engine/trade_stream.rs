//! The trades of one instrument: each id once, in order of arrival; what is missing is named.

use super::carriers::Carriers;
use super::context::{Context, Origin, Subject};
use super::copies::{Content, Copies};
use super::gaps::{self, Finding, OpenGap};
use super::trade_epochs::{Epochs, Place};
use super::trade_holes;
use super::verify::{Samples, TradeSays};
use super::{own_origin, taken};
use crate::arbiter::Verdict;
use crate::batch::RowKey;
use crate::config::{Stream, TradeSource};
use crate::event::{Liquidated, Liquidation, Scales, Texts, Trade, TradeRow, TradeRows};
use crate::exchange::{Decoded, EventKind, Head, Key, Protocol, with_protocol};
use crate::report::IgnoreReason;
use crate::report::Outcome;
use crate::symbol::ConnId;
use crate::table::{GapCause, GapEvidence, Repaired, Side, Source, flags};

/// See the module.
pub(super) struct TradeStream {
    /// The feed that was taken; the other one is ignored until it is over.
    kind: Option<EventKind>,
    epochs: Epochs,
    /// Of those without the ids of the feed, which have no order.
    copies: Copies,
    pub samples: Samples<i64, TradeSays>,
    gap: Option<OpenGap>,
    /// Nobody asked for what was traded before the next trade.
    begins_anew: bool,
    pub scales: Scales,
    pub carriers: Carriers,
}

impl TradeStream {
    pub(super) fn new(source: TradeSource) -> Self {
        Self {
            kind: match source {
                TradeSource::Auto => None,
                TradeSource::AggTrade => Some(EventKind::AggTrade),
                TradeSource::Trade => Some(EventKind::Trade),
            },
            epochs: Epochs::default(),
            copies: Copies::default(),
            samples: Samples::default(),
            gap: None,
            begins_anew: false,
            scales: Scales::default(),
            carriers: Carriers::default(),
        }
    }

    /// See [`super::instrument::InstrumentState::take_repeated`].
    #[inline(always)]
    pub(super) fn take_repeated(
        &mut self,
        cx: &mut Context,
        conn: ConnId,
        kind: EventKind,
        key: Key,
        event: Option<i64>,
    ) -> Option<Outcome> {
        let Key { first, last, .. } = key;
        let is_plain = self.kind == Some(kind) && self.epochs.have_never_fallen() && first <= last;
        if !is_plain
            || self.epochs.now.is_long_over(event)
            || self.epochs.now.window.check(first, last) != Verdict::Known
        {
            return None;
        }
        self.samples.hear(cx, &mut self.carriers, conn);
        self.carriers.compare_copy(cx, conn, last, first.saturating_sub(1));
        self.epochs.hear_again(conn, (first, last));
        self.epochs.now.window.drop_known(first, last);
        Some(Outcome::Duplicate)
    }

    /// Takes a frame that carries trades. It is decoded only if one of its ids is fresh.
    pub(super) fn on_trades(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        head: &Head<'_>,
        decode: impl FnOnce(Scales, &mut TradeRows) -> Decoded<()>,
    ) -> Outcome {
        if !self.takes_kind(cx, subject, origin, head.kind) {
            return Outcome::Ignored(IgnoreReason::OtherTradeSource);
        }
        self.samples.hear(cx, &mut self.carriers, origin.conn);
        let Key { first, last, .. } = head.key;
        let event = head.times.event;
        let (place, is_unseen) = match self.epochs.place(origin.conn, (first, last), event) {
            Place::At(place) => (place, false),
            Place::Before(place) => (place, true),
            Place::Forgotten => return Outcome::Ignored(IgnoreReason::TooOld),
        };
        let is_present = place == self.epochs.present() && !is_unseen;
        let epoch = self.epochs.at(place);
        let verdict = if is_unseen { Verdict::Fresh } else { epoch.window.check(first, last) };
        if first <= last && is_present {
            let is_fresh = matches!(verdict, Verdict::Fresh | Verdict::PartlyKnown);
            self.carriers.compare(cx, origin.conn, last, Some(first.saturating_sub(1)), is_fresh);
        }
        match verdict {
            Verdict::Fresh | Verdict::PartlyKnown => {}
            Verdict::Known | Verdict::TooOld if is_present && epoch.is_over((first, last), event) => {}
            Verdict::Known => {
                epoch.window.drop_known(first, last);
                self.epochs.hear(origin.conn, (first, last), place);
                if cx.config.arbitration.verify.picks(last) {
                    self.compare(cx, subject, origin, decode);
                }
                return Outcome::Duplicate;
            }
            Verdict::TooOld => {
                epoch.window.insert_range(first, last);
                return Outcome::Ignored(IgnoreReason::TooOld);
            }
        }
        let mut trades = std::mem::take(&mut cx.trades);
        trades.clear();
        let outcome = match taken(decode(self.scales, &mut trades)) {
            Ok(()) => {
                trades.rows.iter_mut().for_each(|row| row.on(subject.is_combo));
                self.take(cx, subject, origin, head.kind, &trades.rows, &trades.texts, flags::LAST)
            }
            Err(outcome) => outcome,
        };
        cx.trades = trades;
        outcome
    }

    /// Whether trades of this feed are taken. Where the feed that was taken is over, and nobody has chosen it, the next one
    /// that comes is.
    #[inline]
    fn takes_kind(&mut self, cx: &mut Context, subject: Subject, origin: Origin, kind: EventKind) -> bool {
        self.kind == Some(kind) || self.takes_other(cx, subject, origin, kind)
    }

    #[cold]
    fn takes_other(&mut self, cx: &mut Context, subject: Subject, origin: Origin, kind: EventKind) -> bool {
        if self.kind.is_some() {
            if cx.config.trade_source != TradeSource::Auto || !self.carriers.is_over(cx, false) {
                return false;
            }
            if self.carriers.conns().len() > 0 {
                self.suspend(cx, subject, Origin { conn: ConnId::NONE, ..origin }, Finding::silent());
            }
            for conn in self.carriers.dismiss() {
                self.epochs.forget(conn);
            }
            self.samples.forget();
            if !with_protocol!(cx.config.venue, P => P::TRADE_FEEDS_SHARE_IDS) {
                cx.recovery.cancel(subject.id);
                for epoch in self.epochs.all() {
                    epoch.holes.give_up_all(cx, subject, origin);
                }
                self.epochs = Epochs::default();
                self.carriers.restart_race();
            }
        }
        self.kind = Some(kind);
        true
    }

    /// A copy that lost against what was taken.
    #[cold]
    fn compare(
        &self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        decode: impl FnOnce(Scales, &mut TradeRows) -> Decoded<()>,
    ) {
        let mut copy = std::mem::take(&mut cx.trades);
        copy.clear();
        if let Decoded::Event(()) = decode(self.scales, &mut copy) {
            for row in &mut copy.rows {
                row.on(subject.is_combo);
                let Ok(trade) = &row.trade else { continue };
                let (of, says) = ((cx.stream_of_trades(), row.last), TradeSays::of(trade));
                self.samples.compare(cx, subject, origin, of, &row.last, &says, &self.carriers);
            }
        }
        cx.trades = copy;
    }

    /// Takes a single trade of a message of several instruments, that no head has judged. One without the ids of the
    /// feed belongs to whichever there is.
    pub(super) fn on_row(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        mut row: TradeRow,
        texts: &Texts,
        last_flag: u8,
    ) -> Outcome {
        row.on(subject.is_combo);
        if row.has_ids() && !self.takes_kind(cx, subject, origin, EventKind::Trade) {
            return Outcome::Ignored(IgnoreReason::OtherTradeSource);
        }
        // One outside of the ids of the feed does not say that the feed is alive.
        if row.has_ids() {
            self.samples.hear(cx, &mut self.carriers, origin.conn);
        }
        self.take(cx, subject, origin, EventKind::Trade, std::slice::from_ref(&row), texts, last_flag)
    }

    /// Takes the decoded trades of one message: those that are known already are left out one by one. The last one
    /// that is taken gets `last_flag`.
    #[allow(clippy::too_many_arguments)]
    fn take(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        kind: EventKind,
        rows: &[TradeRow],
        texts: &Texts,
        last_flag: u8,
    ) -> Outcome {
        let aggregated = if kind == EventKind::AggTrade { flags::AGGREGATED } else { 0 };
        let mut outcome = Outcome::Duplicate;
        let is_of_several = rows.len() > 1;
        // Which row is the last of the message is only known behind it.
        let mut waiting: Option<(RowKey, &Trade)> = None;
        for row in rows {
            let one = 'row: {
                let event = row.trade.as_ref().ok().and_then(|trade| trade.times.event);
                let ids = (row.first, row.last);
                let mut place = match self.epochs.place(origin.conn, ids, event) {
                    Place::At(place) => place,
                    Place::Before(place) => self.look_back(cx, subject, origin, place),
                    Place::Forgotten => break 'row Outcome::Ignored(IgnoreReason::TooOld),
                };
                if row.has_ids() && place == self.epochs.present() && self.epochs.now.is_over(ids, event) {
                    self.reset(cx, subject, origin, event);
                    place = self.epochs.present();
                }
                // Folds are the same on every connection: one that is partly known has been told fill by fill, by REST.
                let verdict = self.epochs.at(place).window.check(row.first, row.last);
                let is_told_otherwise = row.has_ids() && verdict == Verdict::PartlyKnown;
                let known = match &row.trade {
                    _ if row.has_ids() => verdict != Verdict::Fresh,
                    Ok(trade) => {
                        let content = Content::of_trade(trade);
                        let stream = cx.stream_of_trades();
                        self.copies.is_copy(cx, subject, origin, stream, content, &self.carriers)
                    }
                    Err(_) => false,
                };
                let due = self.epochs.hear(origin.conn, ids, place);
                if !is_told_otherwise {
                    self.admit(cx, subject, origin, ids, event, place, due.is_some());
                }
                if known {
                    if let Ok(trade) = &row.trade
                        && row.has_ids()
                        && cx.config.arbitration.verify.picks(row.last)
                    {
                        let (of, says) = ((cx.stream_of_trades(), row.last), TradeSays::of(trade));
                        self.samples.compare(cx, subject, origin, of, &row.last, &says, &self.carriers);
                    }
                    let is_too_old = row.has_ids() && verdict == Verdict::TooOld;
                    break 'row if is_too_old { Outcome::Ignored(IgnoreReason::TooOld) } else { Outcome::Duplicate };
                }
                match &row.trade {
                    // It is no trade, and its ids are used up all the same.
                    Err(reason) => Outcome::Ignored(*reason),
                    Ok(trade) => {
                        if row.has_ids() && self.samples.wants(cx, row.last) {
                            self.samples.keep(cx, origin, row.last, TradeSays::of(trade));
                        }
                        self.scales.price = self.scales.price.max(trade.price.scale);
                        self.scales.size = self.scales.size.max(trade.size.scale);
                        let key = cx.key(subject, origin, trade.times, aggregated, 1);
                        if let Some((key, trade)) = waiting.replace((key, trade)) {
                            self.emit(cx, subject, origin, &key, trade, texts);
                        }
                        Outcome::Accepted
                    }
                }
            };
            if is_of_several {
                cx.counters.rows.add(one);
            }
            outcome = outcome.and(one);
        }
        if let Some((mut key, trade)) = waiting {
            key.flags |= last_flag;
            self.emit(cx, subject, origin, &key, trade, texts);
            if rows.iter().any(TradeRow::has_ids) {
                self.carriers.took(origin.ts_recv);
            }
        }
        outcome
    }

    fn emit(&mut self, cx: &mut Context, subject: Subject, origin: Origin, key: &RowKey, trade: &Trade, texts: &Texts) {
        if cx.wants(Stream::Trades)
            && let Err(error) = cx.batches.trade(key, trade, texts, &subject.conversion)
        {
            gaps::row_refused(cx, subject, origin, Stream::Trades, &self.carriers, error);
        }
        if let Some(liquidated) = trade.liquidated
            && cx.wants(Stream::Liquidations)
        {
            self.emit_liquidation(cx, subject, origin, trade, liquidated);
        }
    }

    /// The exchange tells liquidations by their trades alone: a row for each position that was closed.
    #[cold]
    fn emit_liquidation(
        &self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        trade: &Trade,
        liquidated: Liquidated,
    ) {
        let other = match trade.side {
            Side::Buy => Side::Sell,
            Side::Sell => Side::Buy,
            Side::Unknown => Side::Unknown,
        };
        let sides: &[Side] = match liquidated {
            Liquidated::Taker => &[trade.side],
            Liquidated::Maker => &[other],
            Liquidated::Both => &[trade.side, other],
        };
        for side in sides {
            let Trade { seq: id, price, size, contracts, .. } = *trade;
            let row = Liquidation { id, side: *side, price, size, contracts };
            let key = cx.key(subject, origin, trade.times, flags::LAST, 1);
            if let Err(error) = cx.batches.liquidation(&key, &row, &subject.conversion) {
                gaps::row_refused(cx, subject, origin, Stream::Liquidations, &self.carriers, error);
            }
        }
    }

    /// Marks ids as seen, awaits or names the hole before them and closes those that they fill. `first` above `last` is a
    /// trade without such ids.
    #[allow(clippy::too_many_arguments)]
    fn admit(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        (first, last): (i64, i64),
        event: Option<i64>,
        place: usize,
        had_spoken: bool,
    ) {
        if first > last {
            return;
        }
        let aggregated = !self.counts_fills();
        let is_present = place == self.epochs.present();
        let epoch = self.epochs.at(place);
        epoch.holes.aggregated = aggregated;
        let before = epoch.window.high();
        let mut seen = epoch.insert((first, last), event);
        // What is known already says nothing of what lies before the next one.
        let is_fresh = seen.fresh > 0;
        if is_fresh && std::mem::take(&mut self.begins_anew) {
            seen.jump = None;
        }
        let suspended = if is_fresh && is_present { self.gap.take() } else { None };
        if let Some(mut gap) = suspended {
            // How many came before the first nobody knows.
            gap.finding.missing = before.is_some().then(|| seen.jump.map_or(0, trade_holes::len));
            gap.finding.ids = seen.jump;
            match seen.jump {
                // Connections that have come back since bring what is from then on.
                Some(ids) => epoch.holes.declared(cx, subject, origin, ids, gap, false),
                None => gap.close(cx, subject, origin, Repaired::None),
            }
        } else if let Some(ids) = seen.jump {
            if self.carriers.others(origin.conn) {
                let lacked_by = had_spoken.then_some(origin.conn);
                epoch.holes.await_ids(cx, subject, origin, ids, lacked_by, &self.carriers);
            } else {
                let finding = trade_holes::finding(ids);
                let stream = cx.stream_of_trades();
                let gap = OpenGap::open(cx, subject, origin, stream, finding, &self.carriers);
                epoch.holes.declared(cx, subject, origin, ids, gap, false);
            }
        }
        if seen.repaired > 0 {
            let ids = (first, last.min(before.unwrap_or(last)));
            epoch.holes.filled(cx, subject, origin, ids, seen.repaired, &self.carriers);
        }
        if !epoch.holes.is_empty() {
            let low = epoch.low();
            epoch.holes.give_up_passed(cx, subject, origin, low, &self.carriers);
        }
    }

    /// Takes a page of past trades, lowest first: those of `ids` that are still missing. Says the highest of `ids` that it
    /// has.
    pub(super) fn on_page(
        &mut self,
        cx: &mut Context,
        subject: Subject,
        origin: Origin,
        ids: (i64, i64),
        page: &mut TradeRows,
    ) -> Option<i64> {
        page.rows.iter_mut().for_each(|row| row.on(subject.is_combo));
        let within = |row: &&TradeRow| row.has_ids() && ids.0 <= row.first && row.last <= ids.1;
        let mut waiting: Option<(RowKey, Trade)> = None;
        let mut highest = None;
        for row in page.rows.iter().filter(within) {
            highest = Some(row.last);
            // REST tells a row for each id. What came late meanwhile is not missing any more, and what has been told as lost
            // stays so.
            if row.first != row.last || !self.epochs.now.fetch(row.last) {
                continue;
            }
            let Ok(mut trade) = row.trade else { continue };
            trade.source = Source::Rest;
            let folded = trade.first_id.is_some() && !self.counts_fills();
            let key = cx.key(subject, origin, trade.times, if folded { flags::AGGREGATED } else { 0 }, 1);
            if let Some((key, trade)) = waiting.replace((key, trade)) {
                self.emit(cx, subject, origin, &key, &trade, &page.texts);
            }
        }
        if let Some((mut key, trade)) = waiting {
            key.flags |= flags::LAST;
            self.emit(cx, subject, origin, &key, &trade, &page.texts);
        }
        if let Some(highest) = highest {
            self.epochs.now.holes.close_filled(cx, subject, origin, (ids.0, highest));
        }
        highest
    }

    /// REST has told all that it can of these ids.
    pub(super) fn on_fetched(&mut self, cx: &mut Context, subject: Subject, ids: (i64, i64)) {
        let origin = own_origin(cx);
        self.epochs.now.holes.fetched(cx, subject, origin, ids);
    }

    /// The first of these ids that REST is still asked for.
    pub(super) fn first_asked(&self, ids: (i64, i64)) -> Option<i64> {
        self.epochs.now.holes.first_asked(ids)
    }

    /// When the first of the holes that it waits to be filled is declared.
    pub(super) fn heals_until(&self) -> Option<u64> {
        self.epochs.iter().filter_map(|epoch| epoch.holes.awaited_until()).min()
    }

    /// Some may still come that were left out.
    pub(super) fn are_missing(&self) -> bool {
        self.epochs.iter().any(|epoch| epoch.holes.are_open())
    }

    /// Missing ids have had their time to come.
    pub(super) fn on_heal_timeout(&mut self, cx: &mut Context, subject: Subject) {
        let origin = Origin { ts_recv: cx.now.at.wall, suspect: 0, conn: ConnId::NONE };
        for epoch in self.epochs.all() {
            let low = epoch.low();
            epoch.holes.on_timeout(cx, subject, origin, low, &self.carriers);
        }
    }

    /// Ids fell: a new epoch, named. What is missing of the one before may still come on connections that lag, but REST
    /// counts anew.
    fn reset(&mut self, cx: &mut Context, subject: Subject, origin: Origin, event: Option<i64>) {
        cx.recovery.cancel(subject.id);
        self.epochs.now.holes.give_up_asked(cx, subject, origin);
        self.carriers.restart_race();
        if let Some(mut forgotten) = self.epochs.begin(origin.conn, event) {
            forgotten.holes.give_up_all(cx, subject, origin);
        }
        self.name_fall(cx, subject, origin);
    }

    /// Ids had fallen once more than was known. Yields the place of the epoch before this one, of which nothing was seen.
    #[cold]
    fn look_back(&mut self, cx: &mut Context, subject: Subject, origin: Origin, place: usize) -> usize {
        let forgotten = self.epochs.look_back(place);
        self.name_fall(cx, subject, origin);
        let Some(mut forgotten) = forgotten else { return place };
        forgotten.holes.give_up_all(cx, subject, origin);
        place - 1
    }

    /// What was missing until ids fell nobody knows.
    fn name_fall(&mut self, cx: &mut Context, subject: Subject, origin: Origin) {
        let finding = Finding::new(GapCause::IdReset, GapEvidence::Sequence);
        let stream = cx.stream_of_trades();
        let gap =
            self.gap.take().unwrap_or_else(|| OpenGap::open(cx, subject, origin, stream, finding, &self.carriers));
        gap.close(cx, subject, origin, Repaired::None);
    }

    /// A connection is gone. If it was the last, what follows is unknown until the stream speaks again.
    pub(super) fn on_conn_down(&mut self, cx: &mut Context, subject: Subject, origin: Origin, finding: Finding) {
        self.epochs.forget(origin.conn);
        if self.carriers.forget(origin.conn) {
            self.suspend(cx, subject, origin, finding);
        }
    }

    /// Opens a gap that closes with the next trade. A stream that is silent has one though it never spoke.
    pub(super) fn suspend(&mut self, cx: &mut Context, subject: Subject, origin: Origin, finding: Finding) {
        if self.gap.is_none() && (self.epochs.now.window.high().is_some() || finding.is_from_the_first()) {
            let stream = cx.stream_of_trades();
            self.gap = Some(OpenGap::open(cx, subject, origin, stream, finding, &self.carriers));
        }
    }

    /// Nobody asks for the trades any more. Those that were seen are known when somebody does again.
    pub(super) fn end(&mut self, cx: &mut Context, subject: Subject, origin: Origin) {
        self.begins_anew = true;
        for epoch in self.epochs.all() {
            epoch.holes.give_up_all(cx, subject, origin);
        }
        if let Some(gap) = self.gap.take() {
            gap.close(cx, subject, origin, Repaired::None);
        }
        self.epochs.end();
        self.copies.end(cx);
        self.carriers = Carriers::default();
    }

    /// Its ids count single fills, not aggregates.
    pub(super) fn counts_fills(&self) -> bool {
        self.kind == Some(EventKind::Trade)
    }

    /// The highest id seen.
    pub(super) fn high(&self) -> Option<i64> {
        self.epochs.now.window.high()
    }
}
