//! What an instrument is held to be worth: index, mark price, funding, volatility. Made up, but from the market itself,
//! so that they move with it.

use crate::book::{Book, Side};
use crate::deribit::instruments::{Instrument, Kind};
use crate::deribit::number::Number;
use crate::deribit::tape::Statistics;
use crate::event::Figures;

/// The values of one instrument at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Valuation {
    pub index: Number,
    pub mark: Number,
    /// Rate in force now, and that of eight hours.
    pub funding: Option<(Number, Number)>,
    pub option: Option<Implied>,
}

/// What options have beside.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Implied {
    pub underlying: Number,
    pub underlying_index: String,
    pub mark_iv: Number,
    pub bid_iv: Number,
    pub ask_iv: Number,
    pub delta: Number,
    pub gamma: Number,
    pub vega: Number,
    pub theta: Number,
    pub rho: Number,
}

/// The middle between the best prices, in halves: twice the mantissa. 0 for an empty book.
fn doubled_middle(book: &Book) -> i64 {
    match (book.best(Side::Bid), book.best(Side::Ask)) {
        (Some((bid, _)), Some((ask, _))) => bid.saturating_add(ask),
        (Some((one, _)), None) | (None, Some((one, _))) => one.saturating_mul(2),
        (None, None) => 0,
    }
}

/// What a coin costs: the middle of its first perpetual or spot market.
fn index<'b>(i: &Instrument, all: &[Instrument], book: &impl Fn(usize) -> &'b Book) -> Number {
    let leads = |o: &Instrument| o.base == i.base && (o.perpetual() || o.kind == Kind::Spot);
    let value = match all.iter().position(leads) {
        Some(n) => all[n].price(doubled_middle(book(n))).value() / 2.0 * 0.9998,
        None => i.terms.map_or(1.0, |t| t.strike.value() * 1.03),
    };
    Number::rounded(value, if value < 10.0 { 4 } else { 2 })
}

impl Valuation {
    pub(crate) fn of<'b>(n: usize, all: &[Instrument], book: impl Fn(usize) -> &'b Book) -> Self {
        let i = &all[n];
        let index = index(i, all, &book);
        // Half a tick has one digit more; marks show two more than prices.
        let middle = Number::new(doubled_middle(book(n)).saturating_mul(5), i.scales.price.saturating_add(1));
        let mark = Number::rounded(middle.value() * 1.00003, i.scales.price.saturating_add(2).min(6));
        let premium = mark.value() / index.value().max(1e-9) - 1.0;
        let funding = i.perpetual().then(|| (Number::rounded(premium / 3.0, 8), Number::rounded(premium / 2.0, 8)));
        let option = i.terms.map(|terms| {
            let iv = 55.0 + premium.abs().fract() * 10.0;
            let side = if terms.call { 1.0 } else { -1.0 };
            Implied {
                underlying: index,
                underlying_index: format!("SYN.{}", i.name.rsplitn(3, '-').last().unwrap_or_default()),
                mark_iv: Number::rounded(iv, 2),
                bid_iv: Number::rounded(iv - 1.25, 2),
                ask_iv: Number::rounded(iv + 1.25, 2),
                delta: Number::rounded(
                    side * (0.5 + (index.value() / terms.strike.value() - 1.0)).clamp(0.01, 0.99),
                    5,
                ),
                gamma: Number::rounded(0.4 / index.value().max(1e-9), 5),
                vega: Number::rounded(index.value() * 0.00104, 5),
                theta: Number::rounded(index.value() * -0.00067, 5),
                rho: Number::rounded(side * index.value() * 0.00021, 5),
            }
        });
        Self { index, mark, funding, option }
    }

    /// What a ticker says (§5). Spot has no open interest; volatilities are sent in percent.
    pub(crate) fn figures(&self, i: &Instrument, s: &Statistics) -> Figures {
        let percent = |n: Number| Number::new(n.mantissa, n.scale.saturating_add(2));
        let state = [
            ("mark_price", Some(self.mark)),
            ("index_price", Some(self.index)),
            ("last_price", s.last.map(|p| i.price(p))),
            ("open_interest", (i.kind != Kind::Spot).then(|| i.amount(s.open_interest))),
            ("funding_rate", self.funding.map(|(current, _)| current)),
        ];
        let option = self.option.iter().flat_map(|o| {
            let volatilities = [("mark_iv", o.mark_iv), ("bid_iv", o.bid_iv), ("ask_iv", o.ask_iv)];
            let greeks = [("delta", o.delta), ("gamma", o.gamma), ("vega", o.vega), ("theta", o.theta)];
            let volatilities = volatilities.map(|(name, n)| (name, percent(n)));
            volatilities.into_iter().chain(greeks).chain([("underlying_price", o.underlying)])
        });
        let said = state.into_iter().filter_map(|(name, n)| Some((name, n?))).chain(option);
        Figures::new(&i.name, said.map(|(name, n)| (name, n.plain())))
    }
}
