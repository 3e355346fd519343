//! What is known of instruments beside their market (§5): mark price, index, funding, open interest, option figures,
//! liquidations. Numbers that nobody can check are merely plausible.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::book::{Book, Side, plain_text};
use crate::clock::{MS, MarketTime, SECOND};
use crate::event::{self, Event, EventKind};
use crate::market::Fill;
use crate::okx::channels::Channel;
use crate::okx::feed::{Draft, Lane, Publisher};
use crate::okx::instruments::{InstType, Instrument};
use crate::okx::messages;
use crate::random::Random;

/// Something that is told from time to time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    MarkPrice(usize),
    OpenInterest(usize),
    Funding(usize),
    Index(Arc<str>),
    Options(Arc<str>),
}

impl Timer {
    /// Who tells the stream of this channel; `None` where it comes from the market.
    pub(crate) fn of(channel: Channel, of: &str, lanes: &[Lane]) -> Option<Self> {
        let lane = || lanes.iter().position(|l| &*l.instrument.id == of);
        Some(match channel {
            Channel::MarkPrice => Self::MarkPrice(lane()?),
            Channel::OpenInterest => Self::OpenInterest(lane()?),
            Channel::FundingRate => Self::Funding(lane()?),
            Channel::IndexTickers => Self::Index(of.into()),
            Channel::OptSummary => Self::Options(of.into()),
            _ => return None,
        })
    }

    fn lane(&self) -> Option<usize> {
        match self {
            Self::MarkPrice(lane) | Self::OpenInterest(lane) | Self::Funding(lane) => Some(*lane),
            Self::Index(_) | Self::Options(_) => None,
        }
    }

    fn channel(&self) -> Channel {
        match self {
            Self::MarkPrice(_) => Channel::MarkPrice,
            Self::OpenInterest(_) => Channel::OpenInterest,
            Self::Funding(_) => Channel::FundingRate,
            Self::Index(_) => Channel::IndexTickers,
            Self::Options(_) => Channel::OptSummary,
        }
    }
}

/// A row as it is written, and what it says of whom.
type Row = (Value, Vec<event::Figures>);

/// All of them.
pub(crate) struct Figures {
    timers: Vec<(MarketTime, Timer, Told)>,
    compression: f64,
}

/// When something was told last, and what.
#[derive(Clone, Debug, Default)]
struct Told {
    at: MarketTime,
    value: Option<i64>,
}

/// Prices are told on change at most so often, or else after so long.
const ON_CHANGE: MarketTime = 200 * MS;
const UNCHANGED: MarketTime = 10 * SECOND;
const EIGHT_HOURS: i64 = 8 * 3_600_000;

impl Figures {
    pub(crate) fn new(compression: f64) -> Self {
        Self { timers: Vec::new(), compression }
    }

    pub(crate) fn add(&mut self, lane: usize, instrument: &Instrument, now: MarketTime) {
        let mut wanted = vec![Timer::Index(Arc::clone(&instrument.family))];
        if instrument.kind != InstType::Spot {
            wanted.extend([Timer::MarkPrice(lane), Timer::OpenInterest(lane)]);
        }
        match instrument.kind {
            InstType::Swap => wanted.push(Timer::Funding(lane)),
            InstType::Option => wanted.push(Timer::Options(Arc::clone(&instrument.family))),
            _ => {}
        }
        for timer in wanted {
            if !self.timers.iter().any(|(_, t, _)| *t == timer) {
                self.timers.push((now + ON_CHANGE, timer, Told::default()));
            }
        }
    }

    /// After a rest nothing is made up for.
    pub(crate) fn resume(&mut self, now: MarketTime) {
        self.timers.iter_mut().for_each(|t| t.0 = t.0.max(now));
    }

    pub(crate) fn next_time(&self) -> Option<MarketTime> {
        self.timers.iter().map(|t| t.0).min()
    }

    pub(crate) fn flush<'b>(
        &mut self,
        now: MarketTime,
        lanes: &[Lane],
        book: &impl Fn(usize) -> &'b Book,
        rng: &mut Random,
        publisher: &mut Publisher,
        out: &mut Vec<Event>,
    ) {
        for i in 0..self.timers.len() {
            let (due, timer, told) = &self.timers[i];
            if *due > now {
                continue;
            }
            let (timer, told) = (timer.clone(), told.clone());
            let price = match &timer {
                Timer::MarkPrice(lane) => mid(book(*lane)),
                Timer::Index(family) => index(family, lanes, book).map(|(p, _)| p),
                _ => None,
            };
            if timer.lane().is_some_and(|l| !lanes[l].listed) {
                self.timers[i].0 = now + SECOND;
                continue;
            }
            let is_price = matches!(timer, Timer::MarkPrice(_) | Timer::Index(_));
            let silent = is_price && (price.is_none() || (price == told.value && now < told.at + UNCHANGED));
            if !silent {
                self.tell(timer.clone(), now, lanes, book, rng, publisher, out);
                self.timers[i].2 = Told { at: now, value: price };
            }
            let pause = match timer {
                Timer::MarkPrice(_) | Timer::Index(_) => ON_CHANGE,
                Timer::OpenInterest(_) => 3 * SECOND,
                Timer::Options(_) => SECOND,
                // Every 30 to 90 s.
                Timer::Funding(_) => ((30 + rng.below(61)) as f64 * SECOND as f64 / self.compression) as u64,
            };
            self.timers[i].0 = now + pause.max(MS);
        }
    }

    /// Tells it now.
    #[expect(clippy::too_many_arguments, reason = "what is told, from what, and to whom")]
    pub(crate) fn tell<'b>(
        &self,
        timer: Timer,
        now: MarketTime,
        lanes: &[Lane],
        book: &impl Fn(usize) -> &'b Book,
        rng: &mut Random,
        publisher: &mut Publisher,
        out: &mut Vec<Event>,
    ) {
        let (channel, ts) = (timer.channel(), publisher.ms(now));
        let (symbol, rows) = match &timer {
            Timer::MarkPrice(i) => (Arc::clone(&lanes[*i].instrument.id), vec![mark_price(&lanes[*i], book(*i), ts)]),
            Timer::OpenInterest(i) => {
                (Arc::clone(&lanes[*i].instrument.id), vec![open_interest(&lanes[*i], book(*i), ts, rng)])
            }
            Timer::Funding(i) => (Arc::clone(&lanes[*i].instrument.id), vec![funding(&lanes[*i], ts, rng)]),
            Timer::Index(family) => {
                let row =
                    index(family, lanes, book).map(|(p, scale)| index_ticker(family, &plain_text(p, scale), ts, lanes));
                (Arc::clone(family), row.into_iter().collect())
            }
            Timer::Options(family) => {
                let forward = index(family, lanes, book);
                let options = lanes.iter().filter(|l| l.instrument.kind == InstType::Option);
                let rows = options.filter(|l| l.instrument.family == *family).map(|l| option(l, forward, ts, rng));
                (Arc::clone(family), rows.collect())
            }
        };
        if rows.is_empty() {
            return;
        }
        let (rows, figures): (Vec<String>, Vec<_>) = rows.into_iter().map(|(row, f)| (row.to_string(), f)).unzip();
        let payload = messages::push(&channel.arg(&symbol), &rows.join(","));
        let (stream, id) = (channel.stream(&symbol), ts.unsigned_abs());
        let (kind, ids, figures) = (EventKind::Derivatives, (id, id, None), figures.concat());
        publisher.issue(
            out,
            now,
            Draft { kind, channel, stream, symbol: &symbol, ids, event_ms: ts, payload, figures },
        );
    }

    /// An order was somebody's forced end. What is told is a sample, and not in order.
    pub(crate) fn liquidation(
        &self,
        lane: &Lane,
        fill: &Fill,
        now: MarketTime,
        rng: &mut Random,
        publisher: &mut Publisher,
        out: &mut Vec<Event>,
    ) {
        let (i, channel) = (&lane.instrument, Channel::Liquidations);
        // Who must buy was short.
        let (side, position) = if fill.maker == Side::Ask { ("buy", "short") } else { ("sell", "long") };
        let ts = publisher.ms(now) - rng.below(3000) as i64;
        let (price, size) = (plain_text(fill.price, i.scales.price), plain_text(fill.size, i.scales.size));
        let row = json!({
            "details": [{
                "bkLoss": "0", "bkPx": price, "ccy": "", "posSide": position, "side": side, "sz": size,
                "ts": ts.to_string(),
            }],
            "instFamily": &*i.family, "instId": &*i.id, "instType": i.kind.name(), "uly": &*i.family,
        });
        let payload = messages::push(&channel.arg(i.kind.name()), &row.to_string());
        let (stream, id) = (channel.stream(i.kind.name()), ts.unsigned_abs());
        let (kind, ids) = (EventKind::Liquidation, (id, id, None));
        let figures = vec![event::Figures::new(&i.id, [("side", side.to_owned()), ("price", price), ("size", size)])];
        publisher.issue(out, now, Draft { kind, channel, stream, symbol: &i.id, ids, event_ms: ts, payload, figures });
    }
}

fn mid(book: &Book) -> Option<i64> {
    Some(i64::midpoint(book.best(Side::Bid)?.0, book.best(Side::Ask)?.0))
}

/// The price of an index: that of its spot market, or of another of its family, with its scale.
fn index<'b>(family: &str, lanes: &[Lane], book: &impl Fn(usize) -> &'b Book) -> Option<(i64, u8)> {
    let of = |spot: bool| {
        lanes.iter().enumerate().find_map(|(n, l)| {
            let i = &l.instrument;
            let fits = &*i.family == family && i.kind != InstType::Option && (i.kind == InstType::Spot) == spot;
            fits.then(|| Some((mid(book(n))?, i.scales.price))).flatten()
        })
    };
    of(true).or_else(|| of(false))
}

fn mark_price(lane: &Lane, book: &Book, ts: i64) -> Row {
    let i = &lane.instrument;
    let price = plain_text(mid(book).unwrap_or(lane.last_trade.price), i.scales.price);
    let row = json!({"instType": i.kind.name(), "instId": &*i.id, "markPx": price, "ts": ts.to_string()});
    (row, vec![event::Figures::new(&i.id, [("mark_price", price)])])
}

/// An index is a figure of each instrument behind which it stands.
fn index_ticker(family: &str, price: &str, ts: i64, lanes: &[Lane]) -> Row {
    let row = json!({
        "instId": family, "idxPx": price, "high24h": price, "low24h": price, "open24h": price, "sodUtc0": price,
        "sodUtc8": price, "ts": ts.to_string(),
    });
    let of = lanes.iter().map(|l| &l.instrument).filter(|i| &*i.family == family);
    (row, of.map(|i| event::Figures::new(&i.id, [("index_price", price.to_owned())])).collect())
}

/// Contracts, and what they are in coin and in money.
pub(crate) fn open_interest(lane: &Lane, book: &Book, ts: i64, rng: &mut Random) -> Row {
    let i = &lane.instrument;
    let contracts = i.lot.saturating_mul(2_500_000 + rng.below(50_000) as i64);
    let unit = |m: i64, scale: u8| m as f64 / 10f64.powi(i32::from(scale));
    let price = unit(mid(book).unwrap_or(lane.last_trade.price), i.scales.price);
    let coin = i.base_units(unit(contracts, i.scales.size), price);
    // An option's price is in its coin.
    let money = coin * if i.kind == InstType::Option { 1.0 } else { price };
    let (contracts, coin) = (plain_text(contracts, i.scales.size), format!("{coin:.4}"));
    let row = json!({
        "instType": i.kind.name(), "instId": &*i.id, "oi": contracts, "oiCcy": coin, "oiUsd": format!("{money:.2}"),
        "ts": ts.to_string(),
    });
    (row, vec![event::Figures::new(&i.id, [("open_interest", contracts), ("open_interest_base", coin)])])
}

fn funding(lane: &Lane, ts: i64, rng: &mut Random) -> Row {
    let next = (ts.div_euclid(EIGHT_HOURS) + 1) * EIGHT_HOURS;
    let mut rate = || format!("0.000{:013}", 1_000_000_000_000 + rng.below(2_000_000_000_000));
    let (coming, next_text) = (rate(), next.to_string());
    let row = json!({
        "formulaType": "withRate", "fundingRate": coming, "fundingTime": next_text, "impactValue": "20000",
        "instId": &*lane.instrument.id, "instType": "SWAP", "interestRate": "0.0001", "method": "current_period",
        "maxFundingRate": "0.00375", "minFundingRate": "-0.00375", "nextFundingRate": "",
        "nextFundingTime": (next + EIGHT_HOURS).to_string(), "premium": rate(), "settFundingRate": rate(),
        "settState": "settled", "ts": ts.to_string(),
    });
    let values = [("funding_rate", coming), ("next_funding_time", next_text)];
    (row, vec![event::Figures::new(&lane.instrument.id, values)])
}

fn option(lane: &Lane, forward: Option<(i64, u8)>, ts: i64, rng: &mut Random) -> Row {
    let i = &lane.instrument;
    let forward = forward.map_or(0.0, |(p, scale)| p as f64 / 10f64.powi(i32::from(scale)));
    let call = i.id.ends_with('C');
    let moneyness = i.strike().filter(|s| *s > 0.0).map_or(0.0, |strike| (forward / strike - 1.0) * 4.0);
    let in_the_money = 1.0 / (1.0 + (-moneyness).exp());
    let delta = if call { in_the_money } else { in_the_money - 1.0 };
    let vol = 0.5 + 0.05 * rng.unit();
    let text = |v: f64| format!("{v:.10}");
    let [mark_iv, bid_iv, ask_iv] = [vol, vol - 0.01, vol + 0.01].map(text);
    let [delta_bs, gamma_bs, vega_bs, theta_bs] = [delta, 1.1e-5, 87.3, -31.5].map(text);
    let underlying = format!("{forward:.2}");
    let row = json!({
        "instType": "OPTION", "instId": &*i.id, "uly": &*i.family,
        "delta": text(delta - 0.02), "gamma": text(0.9), "vega": text(0.00113), "theta": text(-0.00041),
        "deltaBS": delta_bs, "gammaBS": gamma_bs, "vegaBS": vega_bs, "thetaBS": theta_bs,
        "lever": format!("{:.6}", 1.0 / (0.02 + in_the_money)), "markVol": mark_iv, "bidVol": bid_iv,
        "askVol": ask_iv, "realVol": "", "volLv": mark_iv, "fwdPx": underlying, "ts": ts.to_string(),
    });
    let volatilities = [("mark_iv", mark_iv), ("bid_iv", bid_iv), ("ask_iv", ask_iv)];
    let greeks = [("delta", delta_bs), ("gamma", gamma_bs), ("vega", vega_bs), ("theta", theta_bs)];
    let values = volatilities.into_iter().chain(greeks).chain([("underlying_price", underlying)]);
    (row, vec![event::Figures::new(&i.id, values)])
}
