//! The ladder against the tree, over invented operations and over recorded books.

use std::io::Read;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

type Text = (String, String);
type Side = Vec<Text>;

/// What everybody can see of a book.
#[derive(Debug, PartialEq)]
struct View {
    len: (usize, usize),
    scales: Scales,
    crossed: bool,
    best: (Option<Text>, Option<Text>),
    bids: Side,
    asks: Side,
}

fn texts((price, size): (Decimal, Decimal)) -> Text {
    (price.to_string(), size.to_string())
}

fn view(book: &OrderBook) -> View {
    View {
        len: book.len(),
        scales: book.scales(),
        crossed: book.is_crossed(),
        best: (book.best_bid().map(texts), book.best_ask().map(texts)),
        bids: book.bids().map(texts).collect(),
        asks: book.asks().map(texts).collect(),
    }
}

/// The same, from the oracle.
fn oracle_view(tree: &Tree) -> View {
    let side =
        |levels: Vec<Level<i128>>| levels.into_iter().map(|l| texts(decimals(l, tree.scales()))).collect::<Side>();
    let (bids, asks) = (side(tree.bids().collect()), side(tree.asks().collect()));
    View {
        len: tree.len(),
        scales: tree.scales(),
        crossed: crossed(tree.bids().next(), tree.asks().next()),
        best: (bids.first().cloned(), asks.first().cloned()),
        bids,
        asks,
    }
}

fn is_fast(book: &OrderBook) -> bool {
    matches!(book.shape, Shape::Ladder(_))
}

#[derive(Clone, Debug)]
enum Op {
    Apply(DecodedLevels),
    Replace(DecodedLevels),
    Clear,
    Reference(Option<Decimal>, Option<Decimal>),
}

/// Book and oracle in step.
struct Pair {
    book: OrderBook,
    tree: Tree,
}

impl Pair {
    fn new() -> Self {
        Self { book: OrderBook::new(), tree: Tree::default() }
    }

    fn tree_apply(&mut self, levels: &DecodedLevels) -> Result<usize, OutOfRange> {
        match &levels.wide {
            Some(wide) => self.tree.apply(wide),
            None => self.tree.apply(&levels.narrow),
        }
    }

    fn tree_clear(&mut self) {
        self.tree = Tree::new(self.tree.scales(), std::iter::empty(), std::iter::empty());
    }

    fn run(&mut self, op: &Op) -> Result<(), TestCaseError> {
        match op {
            Op::Apply(levels) => prop_assert_eq!(self.book.apply(levels), self.tree_apply(levels)),
            Op::Replace(levels) => {
                self.tree_clear();
                let expected = self.tree_apply(levels).map(|_| ());
                prop_assert_eq!(self.book.replace(levels), expected);
            }
            Op::Clear => {
                self.tree_clear();
                self.book.clear();
            }
            Op::Reference(tick, lot) => {
                let scale =
                    |d: &Option<Decimal>| d.map(Decimal::trimmed).filter(|d| d.mantissa > 0).map_or(0, |d| d.scale);
                let _ = self.tree.grow(Scales { price: scale(tick), size: scale(lot) });
                self.book.set_reference(*tick, *lot);
            }
        }
        let seen = view(&self.book);
        prop_assert_eq!(&seen, &oracle_view(&self.tree));

        // A book written out and read back is the same book.
        let mut copy = DecodedLevels::default();
        self.book.copy_to(&mut copy);
        let mut again = OrderBook::new();
        prop_assert_eq!(again.replace(&copy), Ok(()));
        prop_assert_eq!(view(&again), seen);
        Ok(())
    }
}

fn narrow(scales: Scales, bids: Vec<Level>, asks: Vec<Level>) -> DecodedLevels {
    DecodedLevels { narrow: Levels { scales, bids, asks }, wide: None, padded: Vec::new() }
}

/// Messages around a price that wanders: most levels near it and on the tick, some far, some off the tick.
fn market(start: i64, tick: i64, wander: i64) -> impl Strategy<Value = Vec<Op>> {
    let size = prop_oneof![2 => Just(0i64), 3 => 1i64..50];
    let offset = prop_oneof![10 => -40i64..400, 3 => -3000i64..9000, 2 => Just(0i64), 1 => -1_000_000i64..1_000_000];
    let off_tick = prop_oneof![12 => Just(0i64), 1 => 1..=tick];
    let side = proptest::collection::vec((offset, off_tick, size), 0..40);
    let step = (prop_oneof![3 => Just(0i64), 2 => -wander..=wander], side.clone(), side, 0u8..20);
    proptest::collection::vec(step, 1..25).prop_map(move |steps| {
        let mut mid = start;
        let mut ops = Vec::new();
        for (by, bids, asks, kind) in steps {
            mid += by;
            let side = |levels: Vec<(i64, i64, i64)>, down: i64| {
                let level = |(offset, off, size)| Level { price: (mid + offset * down) * tick + off, size };
                levels.into_iter().map(level).collect::<Vec<_>>()
            };
            let levels = narrow(Scales { price: 1, size: 3 }, side(bids, -1), side(asks, 1));
            ops.push(match kind {
                0 => Op::Clear,
                1 => Op::Replace(levels),
                2 => Op::Reference(Some(Decimal::new(i128::from(tick), 1)), Some(Decimal::new(1, 3))),
                _ => Op::Apply(levels),
            });
        }
        ops
    })
}

/// Any numbers at any scales: what no market does and a damaged feed might.
fn chaos() -> impl Strategy<Value = Vec<Op>> {
    let mantissa = prop_oneof![
        4 => -50i64..5000,
        1 => any::<i64>(),
        1 => Just(i64::MIN), 1 => Just(i64::MAX), 1 => (0u32..63).prop_map(|n| 1i64 << n),
    ];
    let size = prop_oneof![1 => Just(0i64), 2 => 0i64..100, 1 => any::<i64>()];
    let side = proptest::collection::vec((mantissa, size), 0..12);
    let scale = prop_oneof![12 => 0u8..4, 1 => 0u8..=38];
    let wide = prop_oneof![20 => Just(0u32), 1 => 1u32..60];
    let step = (side.clone(), side, scale.clone(), scale, wide, 0u8..16);
    proptest::collection::vec(step, 1..12).prop_map(|steps| {
        type Pairs = Vec<(i64, i64)>;
        let op = |(bids, asks, price, size, wide, kind): (Pairs, Pairs, u8, u8, u32, u8)| {
            let scales = Scales { price, size };
            let level = |&(price, size): &(i64, i64)| Level { price, size };
            let broad =
                |&(price, size): &(i64, i64)| Level { price: i128::from(price) << wide, size: i128::from(size) };
            let levels = if wide == 0 {
                narrow(scales, bids.iter().map(level).collect(), asks.iter().map(level).collect())
            } else {
                let (bids, asks) = (bids.iter().map(broad).collect(), asks.iter().map(broad).collect());
                DecodedLevels {
                    narrow: Levels::default(),
                    wide: Some(Box::new(Levels { scales, bids, asks })),
                    padded: Vec::new(),
                }
            };
            match kind {
                0 => Op::Clear,
                1 | 2 => Op::Replace(levels),
                3 => Op::Reference(Some(Decimal::new(i128::from(price) - 2, size)), None),
                _ => Op::Apply(levels),
            }
        };
        steps.into_iter().map(op).collect()
    })
}

proptest! {
    #[test]
    fn a_market_that_wanders(
        ops in (prop_oneof![Just(618_003i64), Just(0), Just(50), Just(i64::MAX / 200)], prop_oneof![Just(1i64), Just(5), Just(100), Just(96)])
            .prop_flat_map(|(start, tick)| market(start.min(i64::MAX / 2 / tick - 10_000_000), tick, 5000))
    ) {
        let mut pair = Pair::new();
        for op in &ops {
            pair.run(op)?;
            prop_assert!(is_fast(&pair.book), "nothing here needs the refuge");
        }
    }

    #[test]
    fn any_numbers_at_any_scales(ops in chaos()) {
        let mut pair = Pair::new();
        for op in &ops {
            pair.run(op)?;
        }
    }
}

fn run(ops: &[Op]) -> Pair {
    let mut pair = Pair::new();
    for op in ops {
        pair.run(op).expect("book and oracle agree");
    }
    pair
}

fn levels(prices: impl Iterator<Item = i64>) -> Vec<Level> {
    prices.map(|price| Level { price, size: price.abs() % 97 + 1 }).collect()
}

// Fault: X14
#[test]
fn every_delete_of_an_unknown_level_is_counted() {
    let mut book = OrderBook::new();
    let message = |bids: &[(i64, i64)]| {
        narrow(Scales::default(), bids.iter().map(|&(price, size)| Level { price, size }).collect(), Vec::new())
    };
    assert_eq!(book.apply(&message(&[(100, 1), (101, 0), (5, 0)])), Ok(2));
    assert_eq!(book.apply(&message(&[(100, 0), (100, 0)])), Ok(1));
    assert!(book.is_empty());
}

#[test]
fn a_finer_scale_moves_every_level_and_rounds_none() {
    let coarse = narrow(Scales { price: 1, size: 0 }, levels(600_000..600_050), levels(600_050..601_000));
    let finer = narrow(Scales { price: 3, size: 2 }, vec![Level { price: 60_004_925, size: 7 }], Vec::new());
    let pair = run(&[Op::Apply(coarse), Op::Apply(finer)]);
    assert!(is_fast(&pair.book));
    assert_eq!(pair.book.best_bid().map(texts), Some(("60004.925".into(), "0.07".into())));
    assert_eq!(pair.book.best_ask().map(texts), Some(("60005.000".into(), format!("{}.00", 600_050 % 97 + 1))));
}

#[test]
fn a_tick_that_becomes_finer_is_noticed() {
    let coarse = narrow(Scales::default(), levels((1000..2000).map(|p| p * 10)), Vec::new());
    let mut pair = run(&[Op::Apply(coarse)]);
    for from in (20_001..21_000).step_by(100) {
        pair.run(&Op::Apply(narrow(Scales::default(), levels(from..from + 100), Vec::new()))).expect("they agree");
    }
    let Shape::Ladder(ladder) = &pair.book.shape else { panic!("still fast") };
    assert_eq!(ladder.tick(), Some(1));
}

#[test]
fn what_no_i64_holds_lives_in_the_refuge_until_the_book_is_cleared() {
    let wide =
        Levels { scales: Scales::default(), bids: vec![Level { price: 1i128 << 80, size: 1 }], asks: Vec::new() };
    let huge = DecodedLevels { narrow: Levels::default(), wide: Some(Box::new(wide)), padded: Vec::new() };
    let small = narrow(Scales::default(), levels(1..10), levels(10..20));
    let mut pair = run(&[Op::Apply(small.clone()), Op::Apply(huge), Op::Apply(small.clone())]);
    assert!(!is_fast(&pair.book));
    pair.run(&Op::Replace(small)).expect("they agree");
    assert!(is_fast(&pair.book));
}

#[test]
fn what_nothing_holds_is_an_error_and_leaves_the_book_alone() {
    let mut book = OrderBook::new();
    book.apply(&narrow(Scales::default(), levels(1..2), Vec::new())).expect("it fits");
    let before = view(&book);
    let ask = Level { price: i128::MAX, size: 1 };
    let wide = Levels { scales: Scales { price: 38, size: 0 }, bids: Vec::new(), asks: vec![ask] };
    book.apply(&DecodedLevels { narrow: Levels::default(), wide: Some(Box::new(wide)), padded: Vec::new() })
        .expect("1 at scale 38 fits too");
    let far = narrow(Scales::default(), levels(10..11), Vec::new());
    assert!(book.apply(&far).is_err());
    assert_eq!(book.len(), (before.bids.len(), 1));
}

/// A recording of the shared set; `None` where the set is not here, which is an error where it must be.
fn capture(name: &str) -> Option<(Vec<u8>, serde_json::Value)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/captures");
    if !root.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "{} is needed here", root.display());
        return None;
    }
    let mut frames = Vec::new();
    let file = std::fs::File::open(root.join(format!("{name}.jsonl.gz"))).expect("the recording");
    flate2::read::GzDecoder::new(file).read_to_end(&mut frames).expect("gzip");
    let golden = std::fs::read(root.join(format!("golden/{name}.json"))).expect("its golden result");
    Some((frames, serde_json::from_slice(&golden).expect("JSON")))
}

/// `[[price, size], …]` as decoding would give it: trailing zeros cut, the finest scale of the message.
fn decode(bids: &serde_json::Value, asks: &serde_json::Value, scales: Scales) -> DecodedLevels {
    let number = |text: &serde_json::Value| {
        let text = text.as_str().expect("a text");
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let mantissa = format!("{whole}{fraction}").parse().expect("digits");
        Decimal::new(mantissa, fraction.len() as u8).trimmed()
    };
    let side = |levels: &serde_json::Value| {
        let levels = levels.as_array().expect("levels");
        levels.iter().map(|level| (number(&level[0]), number(&level[1]))).collect::<Vec<_>>()
    };
    let (bids, asks) = (side(bids), side(asks));
    let scales = bids
        .iter()
        .chain(&asks)
        .fold(scales, |s, (price, size)| finer(s, Scales { price: price.scale, size: size.scale }));
    let mantissas = |side: Vec<(Decimal, Decimal)>| {
        let at = |d: Decimal, scale| i64::try_from(d.at_scale(scale).expect("finer")).expect("small");
        side.into_iter().map(|(p, s)| Level { price: at(p, scales.price), size: at(s, scales.size) }).collect()
    };
    narrow(scales, mantissas(bids), mantissas(asks))
}

/// Snapshot and accepted diffs of a one-symbol recording of Binance futures.
fn book_messages(frames: &[u8]) -> Vec<Op> {
    let (mut held, mut ops, mut id) = (Vec::new(), Vec::new(), None);
    let mut scales = Scales::default();
    let diff = |data: &serde_json::Value, snapshot: i64, ops: &mut Vec<Op>, scales: &mut Scales| {
        if data["u"].as_i64() >= Some(snapshot) {
            let levels = decode(&data["b"], &data["a"], *scales);
            *scales = levels.scales();
            ops.push(Op::Apply(levels));
        }
    };
    for line in frames.split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
        let line: serde_json::Value = serde_json::from_slice(line).expect("JSON");
        let text = line["frame"].as_str().expect("a text");
        if !text.contains("lastUpdateId") && !text.contains("depthUpdate") {
            continue;
        }
        let frame: serde_json::Value = serde_json::from_str(text).expect("JSON");
        if let Some(last) = frame["lastUpdateId"].as_i64() {
            let levels = decode(&frame["bids"], &frame["asks"], scales);
            scales = levels.scales();
            ops.push(Op::Replace(levels));
            id = Some(last);
            for data in std::mem::take(&mut held) {
                diff(&data, last, &mut ops, &mut scales);
            }
        } else if let Some(last) = id {
            diff(&frame["data"], last, &mut ops, &mut scales);
        } else {
            held.push(frame["data"].clone());
        }
    }
    ops
}

fn golden_top(golden: &serde_json::Value, side: &str) -> Vec<(Decimal, Decimal)> {
    let book = golden["books"].as_object().and_then(|books| books.values().next()).expect("one book");
    let levels = decode(&book[side], &serde_json::json!([]), Scales::default());
    levels.narrow.bids.iter().map(|&level| decimals(wide(level), levels.scales())).collect()
}

#[allow(clippy::print_stdout)]
fn replays_to_the_golden_book(name: &str) {
    let Some((frames, golden)) = capture(name) else {
        println!("skipped: the shared recordings are not here");
        return;
    };
    let ops = book_messages(&frames);
    let mut pair = Pair::new();
    for (i, op) in ops.iter().enumerate() {
        match op {
            Op::Apply(levels) => assert_eq!(pair.book.apply(levels), pair.tree_apply(levels)),
            _ => pair.run(op).expect("book and oracle agree"),
        }
        // The top at every step, everything at some.
        let top = |levels: &mut dyn Iterator<Item = (Decimal, Decimal)>| levels.take(20).collect::<Vec<_>>();
        let tree = &pair.tree;
        assert_eq!(top(&mut pair.book.bids()), top(&mut tree.bids().map(|l| decimals(l, tree.scales()))));
        assert_eq!(top(&mut pair.book.asks()), top(&mut tree.asks().map(|l| decimals(l, tree.scales()))));
        assert_eq!(pair.book.len(), tree.len());
        assert!(!pair.book.is_crossed());
        if i % 500 == 0 || i + 1 == ops.len() {
            assert_eq!(view(&pair.book), oracle_view(tree));
        }
    }
    assert!(is_fast(&pair.book));
    assert_eq!(pair.book.bids().take(10).collect::<Vec<_>>(), golden_top(&golden, "top10_bid"));
    assert_eq!(pair.book.asks().take(10).collect::<Vec<_>>(), golden_top(&golden, "top10_ask"));
    let book = golden["books"].as_object().and_then(|books| books.values().next()).expect("one book");
    let len = (&book["levels"]["bid"], &book["levels"]["ask"]);
    assert_eq!((len.0.as_u64(), len.1.as_u64()), (Some(pair.book.len().0 as u64), Some(pair.book.len().1 as u64)));
}

#[test]
fn recorded_btcusdt() {
    replays_to_the_golden_book("binance_usdm/hft_btcusdt_2024-08-08");
}

#[test]
fn recorded_ethusdt() {
    replays_to_the_golden_book("binance_usdm/hft_ethusdt_2024-07-18");
}
