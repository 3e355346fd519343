//! A reader of the tables who knows their documentation and nothing of the engine: the last row of the whole book, and
//! every change behind it that follows.

use super::harness::World;
use crate::table::Table;

/// Price and size, as the columns tell them.
type Levels = Vec<(f64, f64)>;

/// A book at its id, best first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Book {
    pub id: Option<i64>,
    pub bids: Levels,
    pub asks: Levels,
}

/// Columns of a row of `l2`, and those that `fixed` adds.
const OF_L2: [&str; 11] = [
    "msg_id",
    "row",
    "is_snapshot",
    "prev_id",
    "last_id",
    "bid_prices",
    "bid_sizes",
    "ask_prices",
    "ask_sizes",
    "price_scale",
    "size_scale",
];

/// What a reader has of the only book: nothing while one of its gaps is open, nor of what does not follow.
pub fn read(world: &mut World) -> Option<Book> {
    world.rows(Table::L2, &[]);
    let is_fixed = world.batches.iter().any(|batch| batch.rows.column_by_name("price_scale").is_some());
    let of_l2 = if is_fixed { &OF_L2[..] } else { &OF_L2[..OF_L2.len() - 2] };
    let mut told: Vec<(i64, i64, Vec<String>)> = Vec::new();
    for (table, columns) in [(Table::L2, of_l2), (Table::Gaps, &["msg_id", "row", "stream", "ts_resumed"])] {
        for row in world.rows(table, columns) {
            let mut cells = row.split('|').map(str::to_owned);
            let mut order = || cells.next().and_then(|cell| cell.parse().ok()).expect("a number");
            told.push((order(), order(), cells.collect()));
        }
    }
    told.sort_by_key(|(msg_id, row, _)| (*msg_id, *row));
    let mut book: Option<Book> = None;
    for (_, _, cells) in &told {
        match cells.as_slice() {
            [stream, resumed] => book = book.filter(|_| stream != "l2" || !resumed.is_empty()),
            [is_snapshot, prev, last, bid_prices, bid_sizes, ask_prices, ask_sizes, scales @ ..] => {
                let id = |cell: &String| cell.parse::<i64>().ok();
                book = match is_snapshot.as_str() {
                    "true" => Some(Book::default()),
                    _ => book.filter(|own| own.id == id(prev)),
                };
                let Some(own) = &mut book else { continue };
                own.id = id(last);
                let unit =
                    |at: usize| 10f64.powi(scales.get(at).map_or(0, |scale: &String| scale.parse().expect("a scale")));
                let numbers = |cells: &str, at| numbers(cells).into_iter().map(move |number| number / unit(at));
                change(&mut own.bids, numbers(bid_prices, 0), numbers(bid_sizes, 1), |price| -price);
                change(&mut own.asks, numbers(ask_prices, 0), numbers(ask_sizes, 1), |price| price);
            }
            _ => unreachable!("as many cells as columns"),
        }
    }
    book
}

/// The only book is told as the engine has it, its sizes `converted`; or is told to be missing.
pub fn is_told(world: &mut World, converted: impl Fn(f64, f64) -> f64) {
    let told = read(world);
    let of_engine = live(world).map(|mut book| {
        book.bids.iter_mut().chain(&mut book.asks).for_each(|(price, size)| *size = converted(*price, *size));
        book
    });
    let is_missing = gaps(world).last().is_some_and(|(_, is_closed)| !is_closed);
    assert!(told == of_engine || told.is_none() && is_missing, "{told:?} and not {of_engine:?}");
    assert!(told.is_none() || !is_missing, "a gap is open");
}

fn change(
    side: &mut Levels,
    prices: impl Iterator<Item = f64>,
    sizes: impl Iterator<Item = f64>,
    order: impl Fn(f64) -> f64,
) {
    for (price, size) in prices.zip(sizes) {
        side.retain(|(own, _)| *own != price);
        if size != 0.0 {
            side.push((price, size));
        }
    }
    side.sort_by(|a, b| order(a.0).total_cmp(&order(b.0)));
}

fn numbers(cells: &str) -> Vec<f64> {
    let cells = cells.trim_matches(['[', ']']).split(',').filter(|cell| !cell.is_empty());
    cells.map(|cell| cell.parse().expect("a number")).collect()
}

/// The only book as the engine has it, where it says that it is the exchange's.
pub fn live(world: &World) -> Option<Book> {
    let book = world.engine.books().into_iter().next().filter(|book| book.state == "live")?;
    let numbers = |side: &[(String, String)]| {
        side.iter().map(|(price, size)| (price.parse().expect("a price"), size.parse().expect("a size"))).collect()
    };
    Some(Book { id: book.last_id, bids: numbers(&book.top10_bid), asks: numbers(&book.top10_ask) })
}

/// Gaps of the book by their causes, each with whether it is closed.
pub fn gaps(world: &mut World) -> Vec<(String, bool)> {
    let mut gaps: Vec<(String, String, bool)> = Vec::new();
    for row in world.rows(Table::Gaps, &["stream", "gap_id", "cause", "ts_resumed"]) {
        let [stream, id, cause, resumed] = row.split('|').collect::<Vec<_>>()[..] else { panic!("four cells") };
        match gaps.iter_mut().find(|(known, ..)| *known == id) {
            _ if stream != "l2" => {}
            Some(gap) => gap.2 = true,
            None => gaps.push((id.to_owned(), cause.to_owned(), !resumed.is_empty())),
        }
    }
    gaps.into_iter().map(|(_, cause, is_closed)| (cause, is_closed)).collect()
}
