//! Trades that no connection brought: what REST has of them comes, and the rest is named.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use xtrader_core::symbol::Venue;

use crate::case::Case;
use crate::session::Session;
use crate::tables::TradeRow;

/// The ids that a row stands for. A fill that REST tells of a fold has its own alone.
fn ids(case: &Case, row: &TradeRow) -> (i64, i64) {
    if case.venue == Venue::Okx && row.first_id.is_none() { (row.id, row.id) } else { (case.trade_ids)(row) }
}

/// A session in which frames of trades are lost on the only connection, once the holes are closed.
fn after_losses(case: &'static Case, history: usize) -> Session {
    let mut s = Session::with(
        case,
        |config| config.limits.trade_history = history,
        |options| options.engine.arbitration.recover_trades = 5000,
    );
    s.until_live();
    s.until_more("trades", case.subject(), 3);
    let (key, stream) = (case.subject().key, (case.trade_stream)(case.subject().native));
    let lost = s.inject(json!({"kind": "drop"}), json!({"stream": stream}), json!({"times": 3}));
    s.until("frames are lost", |s| s.simulator.fault_fired(lost) >= 3);
    s.until_more("trades", case.subject(), 3);
    s.until("every gap is closed", |s| {
        let rows: Vec<_> = s.tables.gaps_of("trades", key).collect();
        let ended: BTreeSet<i64> = rows.iter().filter(|gap| gap.is_closed).map(|gap| gap.gap_id).collect();
        !rows.is_empty() && rows.iter().all(|gap| ended.contains(&gap.gap_id))
    });
    s
}

/// Each id of the subject's trades from the first to the last that came, once; and those that no row has.
fn missing(case: &Case, s: &Session) -> BTreeSet<i64> {
    let mut seen = BTreeMap::new();
    for row in s.tables.trades.iter().filter(|row| row.key.name == case.subject().key) {
        let (first, last) = ids(case, row);
        for id in first..=last {
            assert!(seen.insert(id, row.source.clone()).is_none(), "{id} came twice");
        }
    }
    let (first, last) = (*seen.keys().next().unwrap(), *seen.keys().next_back().unwrap());
    (first..=last).filter(|id| !seen.contains_key(id)).collect()
}

/// Every lost trade comes by REST, as the socket would have brought it, and the gap says so.
// Fault: X01
pub fn lost_trades_come_by_rest(case: &'static Case) {
    let s = after_losses(case, 100_000);
    let key = case.subject().key;
    assert!(missing(case, &s).is_empty(), "{:?} {:?}", missing(case, &s), s.tables.gaps);
    let closed: Vec<_> = s.tables.gaps_of("trades", key).filter(|gap| gap.is_closed).collect();
    assert!(closed.iter().all(|gap| gap.repaired == "rest"), "{closed:?}");
    let fetched: Vec<_> = s.tables.trades.iter().filter(|row| row.source == "rest").collect();
    assert!(!fetched.is_empty());
    let issued = s.simulator.with_truth(|truth| truth.trades(case.trades, Some(case.subject().native)));
    for row in fetched {
        assert_eq!(row.key.name, key);
        // A fill of a fold has no row of its own there.
        let Some(trade) = issued.iter().find(|trade| i64::try_from(trade.id).unwrap() == row.id) else { continue };
        if case.venue != Venue::Okx {
            let told = (&*row.side, row.price, row.size);
            assert_eq!(told, (trade.side, trade.price.parse().unwrap(), trade.size.parse().unwrap()), "{row:?}");
        }
    }
}

/// Where the exchange has forgotten them, exactly the lost ids are named.
pub fn what_rest_has_forgotten_is_named(case: &'static Case) {
    let s = after_losses(case, 1);
    let key = case.subject().key;
    let closed = s.tables.gaps_of("trades", key).filter(|gap| gap.is_lasting());
    let named: BTreeSet<i64> = closed.filter_map(|gap| gap.ids).flat_map(|(first, last)| first..=last).collect();
    assert!(!named.is_empty());
    assert_eq!(named, missing(case, &s), "{:?}", s.tables.gaps);
}
