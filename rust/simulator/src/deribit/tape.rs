//! Trades (§3): sequence numbers, ids, combos and their legs, blocks, liquidations. The last ones of each instrument are
//! kept for `public/get_last_trades_by_instrument`.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;

use crate::book::{Book, Side};
use crate::config::SimulatorConfig;
use crate::deribit::instruments::{Instrument, Kind};
use crate::deribit::number::Number;
use crate::deribit::valuation::Valuation;
use crate::event::Figures;
use crate::market::{Fill, FillKind, Step};
use crate::random::Random;

/// A trade as it is written in every channel that carries it.
#[derive(Clone, Debug)]
pub(crate) struct Trade {
    pub instrument: usize,
    pub seq: u64,
    pub at_ms: i64,
    pub text: Arc<str>,
    /// The orders that closed a position, where it was a liquidation.
    pub closing: Vec<Figures>,
}

/// What has been traded of one instrument.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statistics {
    pub volume: i64,
    pub open_interest: i64,
    pub last: Option<i64>,
    pub low: Option<i64>,
    pub high: Option<i64>,
}

/// The trades of all instruments.
pub(crate) struct Tape {
    rolls: Vec<Roll>,
    /// Ids are unique within a currency; ETH's have a prefix.
    next_id: Vec<(String, u64)>,
    next_combo: u64,
    next_block: u64,
    /// Shares of orders that are liquidations, and beside which a block is traded.
    liquidations: f64,
    block_trades: f64,
    /// Trades of each instrument that are kept.
    most: usize,
    rng: Random,
}

struct Roll {
    next_seq: u64,
    statistics: Statistics,
    rising: bool,
    kept: VecDeque<Trade>,
}

/// What a row says beside price and amount.
#[derive(Clone, Copy, Default)]
struct Marks<'a> {
    liquidation: Option<&'static str>,
    /// A leg's combo, and the id of that one's trade.
    leg_of: Option<(&'a str, u64)>,
    block: Option<u64>,
}

impl Tape {
    pub(crate) fn new(config: &SimulatorConfig, instruments: &[Instrument]) -> Self {
        let mut tape = Self {
            rolls: Vec::new(),
            next_id: Vec::new(),
            next_combo: 43,
            next_block: 15_000,
            liquidations: config.liquidations,
            block_trades: config.block_trades,
            most: config.limits.trade_history,
            rng: Random::new(config.seed, "tape"),
        };
        instruments.iter().for_each(|i| tape.list(i));
        tape
    }

    /// One instrument more.
    pub(crate) fn list(&mut self, i: &Instrument) {
        if !self.next_id.iter().any(|(currency, _)| *currency == i.base) {
            self.next_id.push((i.base.clone(), 403_000_000 + self.rng.below(1_000_000)));
        }
        let open_interest = i.lot.mantissa.saturating_mul(100_000 + self.rng.below(1_000_000) as i64);
        self.rolls.push(Roll {
            next_seq: 271_000_000 + self.rng.below(1_000_000),
            statistics: Statistics { open_interest, ..Statistics::default() },
            rising: true,
            kept: VecDeque::new(),
        });
    }

    pub(crate) fn statistics(&self, instrument: usize) -> &Statistics {
        &self.rolls[instrument].statistics
    }

    /// Trades that are kept, oldest first.
    pub(crate) fn kept(&self, instrument: usize) -> impl DoubleEndedIterator<Item = &Trade> {
        self.rolls[instrument].kept.iter()
    }

    /// The trades of a step, those of a combo's legs among them.
    pub(crate) fn on_step<'b>(
        &mut self,
        step: &Step,
        at_ms: i64,
        all: &[Instrument],
        book: impl Fn(usize) -> &'b Book,
    ) -> Vec<Trade> {
        let mut trades = Vec::new();
        let i = &all[step.symbol];
        let fills = || step.fills.iter().filter(|f| f.kind == FillKind::Market);
        let forced = self.rng.chance(self.liquidations).then(|| ["T", "M", "MT"][self.rng.below(3) as usize]);
        for fill in fills() {
            let marks = Marks { liquidation: forced, ..Marks::default() };
            let combo = i.legs.as_ref().map(|legs| {
                self.next_combo += 1;
                (self.next_combo, legs)
            });
            trades.push(self.trade(step.symbol, fill, combo.map(|c| c.0), marks, at_ms, all, &book));
            let Some((id, legs)) = combo else { continue };
            for (leg, far) in legs.iter().zip([true, false]) {
                // Who buys the combo buys the far leg and sells the near one, each at its own market.
                let maker = if far { fill.maker } else { fill.maker.opposite() };
                let Some(n) = all.iter().position(|i| *i.name == **leg && i.open()) else { continue };
                let Some((price, _)) = book(n).best(maker) else { continue };
                let marks = Marks { leg_of: Some((&i.name, id)), ..Marks::default() };
                trades.push(self.trade(n, &Fill { maker, price, ..*fill }, None, marks, at_ms, all, &book));
            }
        }
        // Negotiated elsewhere, and reported here.
        if let Some(fill) = fills().next()
            && i.legs.is_none()
            && self.rng.chance(self.block_trades)
        {
            self.next_block += 1;
            let size = fill.size.saturating_mul(1 + self.rng.below(100) as i64);
            let marks = Marks { block: Some(self.next_block), ..Marks::default() };
            trades.push(self.trade(step.symbol, &Fill { size, ..*fill }, None, marks, at_ms, all, &book));
        }
        trades
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a trade, each given once")]
    fn trade<'b>(
        &mut self,
        instrument: usize,
        fill: &Fill,
        combo_id: Option<u64>,
        marks: Marks<'_>,
        at_ms: i64,
        all: &[Instrument],
        book: &impl Fn(usize) -> &'b Book,
    ) -> Trade {
        let i = &all[instrument];
        let id = combo_id.unwrap_or_else(|| self.id(&i.base));
        let opened = self.rng.chance(0.5);
        let roll = &mut self.rolls[instrument];
        let seq = roll.next_seq;
        roll.next_seq += 1;
        let tick = roll.tick_direction(fill.price);
        roll.statistics.add(fill, opened);
        let v = Valuation::of(instrument, all, book);
        let text = row(i, fill, seq, id, tick, &marks, &v, at_ms).into();
        let closing = closing(i, fill, seq, at_ms, marks.liquidation);
        let trade = Trade { instrument, seq, at_ms, text, closing };
        roll.kept.push_back(trade.clone());
        if roll.kept.len() > self.most {
            roll.kept.pop_front();
        }
        trade
    }

    fn id(&mut self, currency: &str) -> u64 {
        let Some((_, next)) = self.next_id.iter_mut().find(|(c, _)| c == currency) else { return 0 };
        *next += 1;
        *next
    }
}

impl Roll {
    /// 0 and 1: up, and up before it stood; 2 and 3: down.
    fn tick_direction(&mut self, price: i64) -> u8 {
        let last = self.statistics.last.unwrap_or(price);
        if price != last {
            self.rising = price > last;
        }
        match (self.rising, price == last) {
            (true, false) => 0,
            (true, true) => 1,
            (false, false) => 2,
            (false, true) => 3,
        }
    }
}

impl Statistics {
    fn add(&mut self, fill: &Fill, opened: bool) {
        self.volume = self.volume.saturating_add(fill.size);
        let change = if opened { fill.size } else { -fill.size };
        self.open_interest = self.open_interest.saturating_add(change).max(0);
        self.last = Some(fill.price);
        self.low = Some(self.low.map_or(fill.price, |p| p.min(fill.price)));
        self.high = Some(self.high.map_or(fill.price, |p| p.max(fill.price)));
    }
}

/// A position of the taker (`T`) is closed by the trade's own side, one of the maker (`M`) by the other.
fn closing(i: &Instrument, fill: &Fill, seq: u64, at_ms: i64, who: Option<&'static str>) -> Vec<Figures> {
    let (taker, maker) = if fill.maker == Side::Bid { ("sell", "buy") } else { ("buy", "sell") };
    let (price, size) = (i.price(fill.price).plain(), i.amount(fill.size).plain());
    let figures = |side: &str| {
        let said = [("side", side.to_owned()), ("price", price.clone()), ("size", size.clone())];
        Figures::new(&i.name, said.into_iter().chain([("id", seq.to_string()), ("time", at_ms.to_string())]))
    };
    let marked = |mark| who.is_some_and(|who| who.contains(mark));
    [('T', taker), ('M', maker)].into_iter().filter(|(mark, _)| marked(*mark)).map(|(_, side)| figures(side)).collect()
}

/// The text of a trade's id: ETH's have a prefix.
pub(crate) fn id_text(currency: &str, id: u64) -> String {
    if currency == "ETH" { format!("ETH-{id}") } else { id.to_string() }
}

#[expect(clippy::too_many_arguments, reason = "the parts of a row, each given once")]
fn row(
    i: &Instrument,
    fill: &Fill,
    seq: u64,
    id: u64,
    tick: u8,
    marks: &Marks<'_>,
    v: &Valuation,
    at_ms: i64,
) -> String {
    let id = id_text(&i.base, id);
    let side = if fill.maker == Side::Bid { "sell" } else { "buy" };
    let mut out = String::with_capacity(400);
    let _ = write!(
        out,
        r#"{{"timestamp":{at_ms},"price":{},"amount":{},"direction":"{side}","index_price":{},"instrument_name":"{}","trade_seq":{seq},"mark_price":{},"tick_direction":{tick},"trade_id":"{id}""#,
        i.price(fill.price),
        i.amount(fill.size),
        v.index,
        i.name,
        v.mark,
    );
    if i.kind != Kind::Spot {
        let contracts = i.amount(fill.size).value() / i.contract_size.value();
        let _ = write!(out, r#","contracts":{}"#, Number::rounded(contracts, 4));
    }
    if let Some(option) = &v.option {
        let _ = write!(out, r#","iv":{}"#, option.mark_iv);
    }
    if let Some(who) = marks.liquidation {
        let _ = write!(out, r#","liquidation":"{who}""#);
    }
    if let Some((combo, trade)) = marks.leg_of {
        let _ = write!(out, r#","combo_id":"{combo}","combo_trade_id":"{}""#, id_text(&i.base, trade));
    }
    if let Some(block) = marks.block {
        let _ = write!(out, r#","block_trade_id":"{}","block_trade_leg_count":1"#, id_text(&i.base, block));
    }
    out.push('}');
    out
}
