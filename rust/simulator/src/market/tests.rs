use proptest::prelude::*;

use super::*;

fn market(seed: u64, levels: usize) -> Market {
    let symbols = ["BTCUSDT", "ETHUSDT", "XUSDT"].map(SymbolConfig::named);
    Market::new(seed, &symbols, levels, 0.05, Ids::SHARED).expect("a market")
}

fn run(market: &mut Market, steps: usize) -> Vec<Step> {
    (0..steps)
        .map(|_| {
            let mut step = Step::default();
            market.step(&mut step);
            step
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_change_crosses_a_book_and_the_changes_sum_up_to_it(seed in any::<u64>(), levels in 20usize..300) {
        let mut m = market(seed, levels);
        let mut naive: Vec<Book> = (0..3).map(|i| m.book(i).clone()).collect();
        let (mut last_id, mut last_time) = (m.last_id(2), 0);
        for step in run(&mut m, 3000) {
            prop_assert!(step.time >= last_time);
            last_time = step.time;
            let book = &mut naive[step.symbol];
            let top = (book.best(Side::Bid), book.best(Side::Ask));
            for c in &step.changes {
                prop_assert!(c.id >= last_id + 2, "ids rise by more than one");
                last_id = c.id;
                prop_assert!(c.size >= 0 && c.price > 0);
                book.set(c.side, c.price, c.size);
                prop_assert!(!book.is_crossed());
            }
            prop_assert_eq!(step.top_changed, top != (book.best(Side::Bid), book.best(Side::Ask)));
            for side in [Side::Bid, Side::Ask] {
                prop_assert!(book.len(side) <= levels && book.len(side) > 0);
            }
        }
        for (i, book) in naive.iter().enumerate() {
            prop_assert_eq!(book, m.book(i));
        }
    }

    #[test]
    fn what_orders_take_leaves_the_book(seed in any::<u64>()) {
        let mut m = market(seed, 100);
        let mut naive: Vec<Book> = (0..3).map(|i| m.book(i).clone()).collect();
        for step in run(&mut m, 2000) {
            let book = &mut naive[step.symbol];
            let mut taken = std::collections::BTreeMap::new();
            for f in step.fills.iter().filter(|f| f.kind == FillKind::Market) {
                prop_assert!(f.size > 0 && (0..=f.size).contains(&f.hidden));
                *taken.entry((f.maker, f.price)).or_insert(0) += f.size;
            }
            for ((side, price), size) in taken {
                let after = step.changes.iter().rfind(|c| (c.side, c.price) == (side, price)).map(|c| c.size);
                prop_assert_eq!(after, Some(book.size_at(side, price) - size));
            }
            for c in &step.changes {
                book.set(c.side, c.price, c.size);
            }
        }
    }
}

#[test]
fn ids_of_a_symbol_by_itself_have_no_hole() {
    let symbols = ["BTCUSDT", "ETHUSDT"].map(SymbolConfig::named);
    let mut m = Market::new(1, &symbols, 100, 0.0, Ids::PerSymbol).expect("a market");
    let mut last = [m.last_id(0), m.last_id(1)];
    assert_ne!(last[0], last[1]);
    for step in run(&mut m, 2000) {
        for c in step.changes {
            last[step.symbol] += 1;
            assert_eq!(c.id, last[step.symbol]);
        }
    }
}

#[test]
fn a_new_symbol_opens_with_all_its_levels_and_a_halted_one_stands_still() {
    let mut m = market(1, 100);
    m.halt(1, true, 0);
    m.list(&SymbolConfig::named("NEWUSDT"), 5, SECOND).expect("a symbol");
    assert_eq!((m.book(3).len(Side::Bid), m.last_id(3)), (0, m.last_id(2)), "the counter goes on");
    let steps = run(&mut m, 2000);
    assert!(steps.iter().all(|s| s.symbol != 1));
    let first = steps.iter().find(|s| s.symbol == 3).expect("an opening");
    assert_eq!((first.time, first.top_changed), (SECOND, true));
    let mut book = Book::default();
    first.changes.iter().for_each(|c| book.set(c.side, c.price, c.size));
    assert!(book.len(Side::Bid) > 50 && book.len(Side::Ask) > 50 && !book.is_crossed());
    let at = steps.last().expect("a step").time;
    m.halt(1, false, at);
    assert!(run(&mut m, 200).iter().any(|s| s.symbol == 1 && s.time > at));
}

#[test]
fn one_seed_gives_one_market() {
    let text = |seed| format!("{:?}", run(&mut market(seed, 200), 500));
    assert_eq!(text(3), text(3));
    assert_ne!(text(3), text(4));
}

#[test]
fn the_rates_are_those_configured() {
    let mut m = market(5, 1000);
    let (mut orders, mut changes) = (0, 0);
    loop {
        let mut step = Step::default();
        m.step(&mut step);
        if step.time > 60 * SECOND {
            break;
        }
        if step.symbol == 0 {
            orders += usize::from(!step.fills.is_empty());
            changes += step.changes.len();
        }
    }
    let named = SymbolConfig::named("BTCUSDT");
    let per_s = orders as f64 / 60.0;
    assert!((per_s / named.trades_per_s - 1.0).abs() < 0.2, "{per_s} orders per second");
    let per_s = changes as f64 / 60.0;
    assert!(per_s > named.depth_changes_per_s && per_s < 2.0 * named.depth_changes_per_s, "{per_s} changes per second");
}

#[test]
fn a_quiet_market_has_no_next_time() {
    let mut s = SymbolConfig::named("BTCUSDT");
    (s.trades_per_s, s.book_tickers_per_s, s.depth_changes_per_s) = (0.0, 0.0, 0.0);
    let m = Market::new(1, &[s], 100, 0.0, Ids::SHARED).expect("a market");
    assert_eq!(m.next_time(), None);
    assert!(m.book(0).len(Side::Bid) > 0);
}

#[test]
fn a_cross_stands_until_its_time_and_goes() {
    let mut m = market(1, 100);
    let mut step = Step::default();
    m.cross(0, 10, 1_000_000_000, &mut step);
    assert!(m.book(0).is_crossed() && step.changes.len() == 1 && step.top_changed);
    while m.book(0).is_crossed() {
        m.step(&mut step);
        assert!(step.symbol != 0 || step.time == 1_000_000_000);
    }
    assert_eq!(step.time, 1_000_000_000);
}

#[test]
fn many_levels_change_at_once() {
    let mut m = market(1, 1000);
    let mut step = Step::default();
    m.change_many(0, 5, 10_000, &mut step);
    assert!(step.changes.len() >= 10_000 && !m.book(0).is_crossed());
    assert!(m.book(0).len(Side::Bid) <= 1000);
}
