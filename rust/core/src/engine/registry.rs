//! The venue's instruments as last told: the one place that every path asks what an instrument is.

use std::collections::HashSet;

use hashbrown::HashMap;

use super::context::{Context, Origin, Subject};
use super::instrument::InstrumentState;
use super::live::SOON;
use super::names::Names;
use super::timers::Timer;
use super::{Engine, NO_TIMES};
use crate::config::{Selection, SizeUnit, What};
use crate::event::Scales;
use crate::exchange::{Protocol, with_protocol};
use crate::instrument::Instrument;
use crate::report::{RejectReason, ReplyOutcome};
use crate::symbol::Exchange;
use crate::table::{InstrumentKind, Status, flags};
use crate::time::NS_PER_MS;

/// An instrument and since when it has been so.
#[derive(Clone, Debug)]
struct Known {
    instrument: Instrument,
    since: i64,
}

/// What a request was answered with.
#[derive(Default)]
struct Answered {
    /// The last good reply named these.
    listed: HashSet<String>,
    /// Replies in a row, since, that named nothing.
    empty: u32,
}

/// So many of them in a row are believed: an exchange that is being restarted may know of nothing for a while.
const EMPTY_BELIEVED: u32 = 8;

/// See the module.
#[derive(Default)]
pub(super) struct Registry {
    known: HashMap<String, Known, foldhash::fast::FixedState>,
    /// Under which symbols.
    pub names: Names,
    /// What each request was answered with last: what it no longer names is no longer listed.
    told: HashMap<String, Answered, foldhash::fast::FixedState>,
    /// Requests for reference data that are on their way.
    pub awaited: usize,
    /// Monotonic time of the last fetch before its time.
    pub rechecked: Option<u64>,
    /// One of them failed, and how many milliseconds we are to stay away.
    pub failed: Option<u64>,
    /// When they are due again: an earlier timer is void.
    pub due: u64,
    attempts: u32,
    /// They have changed again while they were on their way.
    pub is_stale: bool,
}

impl Registry {
    /// What is known of an instrument.
    pub(super) fn get(&self, native: &str) -> Option<&Instrument> {
        self.known.get(native).map(|known| &known.instrument)
    }

    /// Whether reference data tell of an instrument, or of others of its market.
    pub(super) fn covers(&self, native: &str, market: Exchange) -> bool {
        self.get(native).is_some() || self.known.values().any(|known| known.instrument.exchange == market)
    }

    /// Whether this request has been answered.
    pub(super) fn has_told(&self, url: &str) -> bool {
        self.told.contains_key(url)
    }

    /// What a request is answered with, unless that is nothing where there was something before.
    fn believed(&mut self, url: &str, told: Vec<Instrument>) -> Result<Vec<Instrument>, RejectReason> {
        if told.is_empty()
            && let Some(before) = self.told.get_mut(url).filter(|before| !before.listed.is_empty())
        {
            before.empty += 1;
            if before.empty < EMPTY_BELIEVED {
                return Err(RejectReason::NothingListed);
            }
        }
        Ok(told)
    }

    /// Tells an instrument its name, tick, lot and unit, where they are known. True where the name or the unit is another
    /// than it had: what a native name alone tells is not always all (OKX §2: an X-Perp is called like a dated future), a
    /// contract may come to be worth more or less (OKX §2: `ctVal`), and another may have asked for the same symbol.
    pub(super) fn describe(&self, cx: &mut Context, state: &mut InstrumentState) -> bool {
        let listed = self.get(&state.native);
        let market = listed.map_or(state.subject.exchange, |listed| listed.exchange);
        let symbol = match listed {
            Some(listed) => &listed.symbol,
            None => self.names.given(market, &state.native, &state.symbol),
        };
        let is_renamed = *state.symbol != *symbol || state.subject.exchange != market;
        if is_renamed {
            state.symbol = symbol.into();
            state.subject.symbol = cx.batches.intern(&state.symbol);
            state.subject.exchange = market;
        }
        let Some(instrument) = listed else { return is_renamed };
        let is_resized =
            std::mem::replace(&mut state.subject.conversion, instrument.conversion) != instrument.conversion;
        state.subject.is_combo = instrument.kind == InstrumentKind::Combo;
        // Call auctions and halts may cross; where it is not known what is, nothing may.
        state.book.may_cross = instrument.status == Status::Halted;
        state.book.book.set_reference(instrument.tick_size, instrument.lot_size);
        let scales = Scales {
            price: instrument.tick_size.map_or(0, |t| t.trimmed().scale),
            size: instrument.lot_size.map_or(0, |l| l.trimmed().scale),
        };
        for own in [&mut state.trades.scales, &mut state.quotes.scales] {
            own.price = own.price.max(scales.price);
            own.size = own.size.max(scales.size);
        }
        is_renamed || is_resized && cx.config.size_unit == SizeUnit::Base
    }

    /// An instrument that nobody has told of asks for a symbol. True where that parted names: those that are known are
    /// told anew, under their own.
    pub(super) fn claim(
        &mut self,
        cx: &mut Context,
        origin: Origin,
        market: Exchange,
        native: &str,
        symbol: &str,
    ) -> bool {
        let parted = self.names.claim(market, native, symbol);
        self.part(cx, origin, &parted);
        !parted.is_empty()
    }

    /// An instrument is forgotten: unless reference data tell of it, its name is free.
    pub(super) fn forget(&mut self, cx: &Context, gone: &InstrumentState) {
        if self.get(&gone.native).is_none() {
            let own = with_protocol!(cx.config.venue, P => P::name(&gone.native));
            self.names.forget(own.market, &gone.native, &own.symbol);
            self.names.forget(gone.subject.exchange, &gone.native, &gone.symbol);
        }
    }

    /// These bear their own names from now on.
    fn part(&mut self, cx: &mut Context, origin: Origin, natives: &[Box<str>]) {
        cx.counters.names_kept_apart += natives.len() as u64;
        for native in natives {
            if let Some(Known { instrument, .. }) = self.known.get(&**native) {
                let symbol = self.names.given(instrument.exchange, native, &instrument.symbol).to_owned();
                let instrument = Instrument { symbol, ..instrument.clone() };
                self.learn(cx, origin, instrument);
            }
        }
    }

    /// Instruments as the exchange tells them now. All of them ask for their symbols before one is told.
    fn learn_all(&mut self, cx: &mut Context, origin: Origin, mut told: Vec<Instrument>) {
        let mut room = cx.config.max_instruments.saturating_sub(self.known.len());
        let mut parted = Vec::new();
        told.retain(|instrument| {
            let is_new = match self.known.get(&instrument.native_symbol) {
                // One name is one instrument: OKX lists spot pairs once more for margin, which nobody here can read.
                Some(known) if is_other(instrument) && !is_other(&known.instrument) => return false,
                known => known.is_none(),
            };
            if is_new && room == 0 {
                cx.counters.instruments_left_out += 1;
                return false;
            }
            room -= usize::from(is_new);
            parted.extend(self.names.claim(instrument.exchange, &instrument.native_symbol, &instrument.symbol));
            true
        });
        for mut instrument in told {
            let symbol = self.names.given(instrument.exchange, &instrument.native_symbol, &instrument.symbol);
            if symbol != instrument.symbol {
                instrument.symbol.clone_from(&instrument.native_symbol);
            }
            self.learn(cx, origin, instrument);
        }
        self.part(cx, origin, &parted);
    }

    /// A version of an instrument that differs from the known one: the old one's validity ends, the new one's begins.
    fn learn(&mut self, cx: &mut Context, origin: Origin, instrument: Instrument) {
        let now = origin.ts_recv;
        match self.known.get(&instrument.native_symbol) {
            Some(known) if known.instrument == instrument => return,
            Some(Known { instrument, since }) => emit(cx, origin, instrument, *since, Some(now)),
            None => {}
        }
        emit(cx, origin, &instrument, now, None);
        self.known.insert(instrument.native_symbol.clone(), Known { instrument, since: now });
    }

    /// Native names of all that a selection means, in their order.
    pub(super) fn natives_of(&self, selection: &Selection) -> Vec<String> {
        if let What::Name(name) = &selection.what
            && let Some(instrument) = self.get(name)
            && selection.means(instrument)
        {
            return vec![name.clone()];
        }
        let fitting = self.known.values().filter(|known| selection.means(&known.instrument));
        let mut natives: Vec<String> = fitting.map(|known| known.instrument.native_symbol.clone()).collect();
        natives.sort_unstable();
        natives
    }

    /// What is listed and like a name that is not.
    pub(super) fn hint(&self, selection: &Selection, name: &str) -> String {
        let begins: String = name.chars().take(3).collect();
        let of_market = |instrument: &Instrument| selection.market.is_none_or(|market| market == instrument.exchange);
        let mut like: Vec<&str> = self
            .known
            .values()
            .map(|known| &known.instrument)
            .filter(|instrument| of_market(instrument) && instrument.symbol.starts_with(&begins))
            .map(|instrument| instrument.symbol.as_str())
            .collect();
        // The shortest first: a perpetual before its options.
        like.sort_unstable_by_key(|symbol| (symbol.len(), *symbol));
        // One symbol may stand for instruments of several markets.
        like.dedup();
        like.truncate(5);
        if like.is_empty() { String::new() } else { format!("; it lists {}", like.join(", ")) }
    }
}

impl Engine {
    pub(super) fn on_reference(
        &mut self,
        origin: Origin,
        url: &str,
        told: Result<Vec<Instrument>, RejectReason>,
        retry_after_ms: u64,
    ) -> ReplyOutcome {
        let told = match told.and_then(|told| self.registry.believed(url, told)) {
            Ok(told) => told,
            Err(reason) => {
                self.registry.failed = self.registry.failed.max(Some(retry_after_ms));
                return ReplyOutcome::Rejected(reason);
            }
        };
        let closed = self.no_longer_listed(url, &told);
        self.on_listed(origin, told.into_iter().chain(closed));
        ReplyOutcome::Accepted
    }

    /// Instruments as the exchange tells them now, in a reply or by itself.
    pub(super) fn on_listed(&mut self, origin: Origin, told: impl IntoIterator<Item = Instrument>) {
        let told: Vec<Instrument> = told.into_iter().collect();
        self.forget_closed(told.len());
        let Self { cx, instruments, registry, .. } = self;
        registry.learn_all(cx, origin, told);
        instruments.describe_all(cx, registry, origin);
    }

    /// Every request for reference data has its reply. Only if all of them are good is what they do not name not
    /// listed; else all are asked for again.
    pub(super) fn on_all_references(&mut self) {
        let delay = match self.registry.failed {
            Some(retry_after_ms) => {
                let delay = self.cx.backoff_ms(self.registry.attempts, retry_after_ms);
                self.registry.attempts = self.registry.attempts.saturating_add(1);
                delay
            }
            None => {
                self.registry.attempts = 0;
                self.resolve();
                match std::mem::take(&mut self.registry.is_stale) {
                    true => SOON / NS_PER_MS.unsigned_abs(),
                    false => self.cx.config.reference_interval_s.saturating_mul(1000),
                }
            }
        };
        self.registry.due = self.cx.now.at.mono.saturating_add(delay.saturating_mul(NS_PER_MS.unsigned_abs()));
        self.cx.timers.arm(self.registry.due, Timer::Reference);
    }

    /// What the same request named before and no longer does.
    fn no_longer_listed(&mut self, url: &str, told: &[Instrument]) -> Vec<Instrument> {
        let now: HashSet<String> = told.iter().map(|i| i.native_symbol.clone()).collect();
        let before = self.registry.told.insert(url.to_owned(), Answered { listed: now.clone(), empty: 0 });
        let Some(before) = before else { return Vec::new() };
        let mut gone: Vec<Instrument> = before
            .listed
            .difference(&now)
            .filter_map(|native| self.registry.get(native))
            .filter(|instrument| instrument.status != Status::Closed)
            .map(|instrument| Instrument { status: Status::Closed, ..instrument.clone() })
            .collect();
        gone.sort_unstable_by(|a, b| a.native_symbol.cmp(&b.native_symbol));
        gone
    }

    /// Where so many more may not find room, what is closed and served no more makes it.
    fn forget_closed(&mut self, more: usize) {
        let Self { cx, instruments, registry, .. } = self;
        if registry.known.len().saturating_add(more) > cx.config.max_instruments {
            registry
                .known
                .retain(|native, known| known.instrument.status != Status::Closed || instruments.is_running(native));
            let known = &registry.known;
            registry.names.retain(|native| known.contains_key(native) || instruments.knows(native));
        }
    }
}

fn is_other(instrument: &Instrument) -> bool {
    instrument.kind == InstrumentKind::Other
}

fn emit(cx: &mut Context, origin: Origin, instrument: &Instrument, from: i64, to: Option<i64>) {
    let symbol = cx.batches.intern(&instrument.symbol);
    let subject = Subject::unfollowed(instrument.exchange, symbol);
    let key = cx.key(subject, origin, NO_TIMES, flags::LAST, 1);
    if cx.batches.instrument(&key, instrument, from, to).is_err() {
        cx.counters.rows_out_of_range += 1;
    }
}
