//! Reference data while running: what is listed, halted, taken off.

use serde_json::json;
use xtrader_core::config::{Selection, SizeUnit};
use xtrader_simulator::SymbolConfig;

use crate::case::Case;
use crate::session::Session;

/// What is listed while the engine runs becomes a row, and is subscribed where a pattern means it.
// Fault: X23
pub fn what_is_listed_while_running_is_taken_in(case: &'static Case) {
    let mut s = Session::with(
        case,
        |_| {},
        |options| {
            Selection::parse(case.venue, case.pattern).unwrap();
            options.engine.symbols.push(case.pattern.to_owned());
            options.engine.reference_interval_s = 10;
        },
    );
    s.until_live();
    s.inject(json!({"kind": "list", "symbol": case.newcomer.native}), json!({}), json!({}));
    s.until("its row", |s| s.tables.instruments.iter().any(|row| row.native == case.newcomer.native));
    s.until("its book is live", |s| s.is_live(&case.newcomer));
    s.until_more("trades", &case.newcomer, 1);
    s.compare();
    assert!(s.tables.gaps.is_empty(), "{:?}", s.tables.gaps);
}

/// An instrument is meant by either of its names, a pattern or conditions, whatever market it is of, in one list with
/// others: they come all, in base units.
pub fn every_market_is_meant_in_every_form(case: &'static Case) {
    let mut s = Session::with(
        case,
        |config| config.symbols.extend(case.others.iter().map(|(_, other)| SymbolConfig::named(other.native))),
        |options| {
            options.engine.symbols.extend(case.others.iter().map(|(form, _)| (*form).to_owned()));
            options.engine.size_unit = SizeUnit::Base;
        },
    );
    s.until_live();
    for (form, other) in case.others {
        s.until(form, |s| s.is_live(other) && ["trades", "l2"].iter().all(|t| s.tables.count(t, other.key) > 0));
    }
}

/// A halt is a row that ends one validity and one that begins another; nothing is called missing.
// Fault: X23
pub fn a_halt_is_a_row_and_no_gap(case: &'static Case) {
    let mut s = Session::with(case, |_| {}, |options| options.engine.reference_interval_s = 10);
    s.until_live();
    let subject = case.subject();
    s.inject(json!({"kind": "status", "status": case.halted}), json!({"symbol": subject.native}), json!({}));
    s.until("its status", |s| {
        s.tables.instruments.iter().any(|row| row.native == subject.native && row.status == "halted")
    });
    let rows: Vec<_> = s.tables.instruments.iter().filter(|row| row.native == subject.native).collect();
    let told: Vec<_> = rows.iter().map(|row| (&*row.status, row.valid_to.is_some())).collect();
    assert_eq!(told, [("trading", false), ("trading", true), ("halted", false)]);
    let beside = s.tables.instruments.iter().filter(|row| row.native == case.bystander().native).count();
    assert_eq!(beside, 1, "what has not changed has no new row");
    s.until_more("trades", case.bystander(), 3);
    s.compare();
    assert!(s.tables.gaps.is_empty(), "{:?}", s.tables.gaps);
}
