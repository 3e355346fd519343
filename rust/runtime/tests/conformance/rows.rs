//! Every row of every stream that the markets of a venue offer, column by column, against what the simulator wrote down as
//! issued: its books, its figures, its list of trades (of which it knows less than a row says). None of it is read by the
//! engine's means.
//!
//! With one connection a row comes of every message that was handed to it, but for the rule of the stream: of quotes and
//! states (`latest`) what is older than the last one of its channel brings nothing, nor what says the same at the same id
//! or time; of trades and liquidations what is a copy. So each row is one that was issued, in order, and the last issued
//! is the last row.

use std::collections::{BTreeMap, BTreeSet};

use xtrader_core::config::{SizeUnit, Stream, offered, offers};
use xtrader_core::symbol::Exchange;
use xtrader_simulator::{Event, EventKind, Figures, SymbolConfig, Truth};

use crate::case::{Case, Sample, Sizes};
use crate::session::Session;
use crate::tables::{Cell, Cells, Place, PlainRow, number};
use crate::truth::{Depth, compare_book};

/// Sizes as the exchange counts them.
pub fn every_row_is_what_was_issued(case: &'static Case) {
    compare(case, SizeUnit::Native);
}

/// Sizes in base units, by the rule of the exchange's manual.
pub fn every_size_is_in_base_units(case: &'static Case) {
    compare(case, SizeUnit::Base);
}

/// Where [`Issued`] keeps what REST told.
const BY_REST: &str = "by rest";

/// Rows of it that are waited for.
const POLLED: usize = 2;

/// Rows of each stream of each instrument that are waited for; of liquidations, which are rare, one.
const ROWS: usize = 5;

fn compare(case: &'static Case, unit: SizeUnit) {
    let streams = offered(case.venue);
    let mut s = Session::with(
        case,
        |config| {
            config.symbols = case.samples.iter().map(|sample| SymbolConfig::named(sample.subject.native)).collect();
            config.liquidations = 0.5;
            config.block_trades = 0.05;
        },
        |options| {
            options.engine.symbols = case.samples.iter().map(|sample| sample.subject.native.to_owned()).collect();
            options.engine.streams.clone_from(&streams);
            options.engine.size_unit = unit;
            options.engine.open_interest_interval_s = 1;
        },
    );
    let depth = xtrader_core::config::TopLimits::default().depth;
    let wanted: Vec<(&Sample, Stream)> = case
        .samples
        .iter()
        .flat_map(|sample| streams.iter().map(move |stream| (sample, *stream)))
        .filter(|(sample, stream)| has(sample, *stream))
        .collect();
    s.until("every stream of every instrument speaks", |s| {
        wanted.iter().all(|(sample, stream)| {
            let rows = if *stream == Stream::Liquidations { 1 } else { ROWS };
            let polled = if is_polled(case, *stream) { POLLED } else { 0 };
            s.tables.count(stream.name(), sample.subject.key) >= rows && polled_rows(s, sample).len() >= polled
        })
    });
    s.settle();
    let issued = s.simulator.with_truth(|truth| Issued::of(case, truth, unit));
    for (sample, stream) in wanted {
        let subject = &sample.subject;
        let sized = |size: &str, price: &str| sample.sizes.in_unit(unit, size, price);
        match stream {
            Stream::L2 => {
                let rows = compare_book(case, &s.simulator, &s.tables, Depth::Whole, (subject, &sized));
                assert!(rows >= ROWS, "{}: {rows} rows of l2", subject.key);
            }
            Stream::L2Top => s.simulator.with_truth(|truth| compare_tops(&s, truth, sample, unit, depth)),
            _ => compare_rows(&s, &issued, sample, stream),
        }
        if is_polled(case, stream) {
            compare_polled(&s, &issued, sample);
        }
    }
    let named: BTreeSet<&str> = case.samples.iter().map(|sample| sample.subject.key).collect();
    let stray: Vec<_> = s.tables.plain.iter().filter(|row| !named.contains(&*row.key.name)).collect();
    assert!(stray.is_empty(), "of nobody's asking: {stray:?}");
    assert!(s.tables.gaps.is_empty(), "{:?}", s.tables.gaps);
    assert!(s.simulator.with_truth(Truth::complete));
}

/// Whether a stream comes of an instrument.
fn has(sample: &Sample, stream: Stream) -> bool {
    let (market, _) = sample.subject.key.split_once(':').unwrap();
    let market = Exchange::ALL.into_iter().find(|exchange| exchange.id() == market).unwrap();
    offers(market, stream) && (stream != Stream::Options || sample.is_option)
}

/// Whether REST tells something of a stream.
fn is_polled(case: &Case, stream: Stream) -> bool {
    case.open_interest_by_rest && stream == Stream::Derivatives
}

/// Its rows: no connection brought them.
fn polled_rows(s: &Session, sample: &Sample) -> Vec<Cells> {
    let rows = s.tables.plain.iter().filter(|row| is_by_rest(row) && row.key.name == sample.subject.key);
    rows.map(|row| row.cells.clone()).collect()
}

fn is_by_rest(row: &PlainRow) -> bool {
    row.table == "derivatives" && row.key.conn == 0
}

/// Each request that was answered is a row; the last one may be on its way.
fn compare_polled(s: &Session, issued: &Issued, sample: &Sample) {
    let (key, ours) = (sample.subject.key, polled_rows(s, sample));
    let theirs: Vec<Cells> = issued.0[&(key, BY_REST)].iter().map(|row| row.cells.clone()).collect();
    assert!((ours.len()..=ours.len() + 1).contains(&theirs.len()), "{key}: {} of {}", ours.len(), theirs.len());
    assert_eq!(ours, theirs[..ours.len()], "{key}: open interest");
}

/// A row without what a time makes of it.
fn says(row: &Cells) -> Cells {
    row.iter().filter(|(name, _)| !name.starts_with("ts_")).map(|(name, cell)| (name.clone(), cell.clone())).collect()
}

/// What a row must be.
#[derive(Clone)]
struct Row {
    cells: Cells,
    /// It came in a channel that others share, before the instrument had spoken itself: maybe it was not followed yet.
    is_early: bool,
}

/// What all rows must be, of each stream of each instrument.
struct Issued(BTreeMap<(&'static str, &'static str), Vec<Row>>);

/// What the last row of a channel was ordered by, and what it said.
type Lasts<'a> = BTreeMap<(&'static str, &'static str, &'a str), (i64, Cells)>;

impl Issued {
    fn of(case: &'static Case, truth: &Truth, unit: SizeUnit) -> Self {
        let events: BTreeMap<u64, &Event> = truth.events().iter().map(|event| (event.seq, &**event)).collect();
        let mut issued = Self(BTreeMap::new());
        let mut lasts = Lasts::new();
        let handed = truth.frames(None).filter(|frame| frame.whole).filter_map(|frame| events.get(&frame.event?));
        for figures in truth.requests().iter().flat_map(|request| &request.figures) {
            for sample in case.samples.iter().filter(|sample| sample.subject.native == figures.symbol) {
                let time = figures.values["time"].parse().unwrap();
                let cells = in_columns(figures, &["open_interest"], &sample.sizes, unit);
                issued.add(sample, BY_REST, timed(cells, [Some(time), None]), false);
            }
        }
        for event in handed {
            for sample in case.samples {
                issued.hear(case, truth, unit, event, sample, &mut lasts);
            }
        }
        issued
    }

    fn hear<'a>(
        &mut self,
        case: &Case,
        truth: &Truth,
        unit: SizeUnit,
        event: &'a Event,
        sample: &'static Sample,
        lasts: &mut Lasts<'a>,
    ) {
        let native = sample.subject.native;
        for figures in event.figures.iter().filter(|figures| figures.symbol == native) {
            let happened = figures.values.get("time").map_or(event.event_ms, |ms| ms.parse().unwrap());
            let times = (case.times)(event, happened);
            for (stream, columns) in columns_of(event.kind) {
                let cells = in_columns(figures, columns, &sample.sizes, unit);
                match (has(sample, *stream) && !cells.is_empty(), stream) {
                    (false, _) => {}
                    (true, Stream::Liquidations) => self.add(sample, stream.name(), timed(cells, times), false),
                    (true, _) => self.latest(sample, stream.name(), event, event.event_ms, timed(cells, times), lasts),
                }
            }
        }
        match event.kind {
            EventKind::BookTicker if &*event.symbol == native => {
                let top = truth.top_at(native, event.last_id).unwrap();
                let id = case.quotes_have_ids.then(|| i64::try_from(event.last_id).unwrap());
                let mut cells = Cells::new();
                cells.extend(id.map(|id| ("update_id".to_owned(), Cell::Integer(id))));
                for (side, levels) in [("bid", &top.bids), ("ask", &top.asks)] {
                    let [price, size] = &levels[0];
                    cells.insert(format!("{side}_price"), Cell::Number(price.parse().unwrap()));
                    cells.insert(format!("{side}_size"), Cell::Number(sample.sizes.in_unit(unit, size, price)));
                }
                let row = timed(cells, (case.times)(event, event.event_ms));
                self.latest(sample, "bbo", event, id.unwrap_or(event.event_ms), row, lasts);
            }
            EventKind::Trade | EventKind::AggTrade | EventKind::BlockTrade => {
                for trade in truth.trades_in(event).into_iter().filter(|trade| trade.symbol == native) {
                    let mut cells = order(&trade.price, &trade.size, trade.side, &sample.sizes, unit);
                    cells.insert("trade_id".to_owned(), Cell::Integer(i64::try_from(trade.id).unwrap()));
                    let row = timed(cells, (case.times)(event, trade.time_ms));
                    // Told again to who has just subscribed.
                    if self.rows(sample, "trades").iter().all(|told| told.cells != row) {
                        self.add(sample, "trades", row, false);
                    }
                }
            }
            _ => {}
        }
    }

    fn rows(&mut self, sample: &Sample, table: &'static str) -> &mut Vec<Row> {
        self.0.entry((sample.subject.key, table)).or_default()
    }

    fn add(&mut self, sample: &Sample, table: &'static str, cells: Cells, is_shared: bool) {
        let rows = self.rows(sample, table);
        let is_early = is_shared && rows.iter().all(|row| row.is_early);
        rows.push(Row { cells, is_early });
    }

    /// The newer wins, within each channel.
    fn latest<'a>(
        &mut self,
        sample: &Sample,
        table: &'static str,
        event: &'a Event,
        id: i64,
        row: Cells,
        lasts: &mut Lasts<'a>,
    ) {
        let now = (id, says(&row));
        let channel = (sample.subject.key, table, &*event.stream);
        let is_news = lasts.get(&channel).is_none_or(|last| last.0 < now.0 || (last.0 == now.0 && last.1 != now.1));
        if is_news {
            lasts.insert(channel, now);
            self.add(sample, table, row, *event.symbol != *sample.subject.native);
        }
    }
}

/// Which figures of an event stand in which table.
fn columns_of(kind: EventKind) -> &'static [(Stream, &'static [&'static str])] {
    const STATES: &[(Stream, &[&str])] = &[
        (
            Stream::Derivatives,
            &["mark_price", "index_price", "last_price", "funding_rate", "next_funding_time", "open_interest"],
        ),
        (
            Stream::Options,
            &[
                "underlying_price",
                "mark_price",
                "mark_iv",
                "bid_iv",
                "ask_iv",
                "delta",
                "gamma",
                "vega",
                "theta",
                "open_interest",
            ],
        ),
    ];
    const EVENTS: &[(Stream, &[&str])] = &[(Stream::Liquidations, &["id", "side", "price", "size"])];
    if kind == EventKind::Derivatives { STATES } else { EVENTS }
}

fn in_columns(figures: &Figures, columns: &[&str], sizes: &Sizes, unit: SizeUnit) -> Cells {
    let said = |name: &str| figures.values.get(name).map(String::as_str);
    if let (Some(side), Some(price), Some(size)) = (said("side"), said("price"), said("size")) {
        let mut cells = order(price, size, side, sizes, unit);
        cells.extend(said("id").map(|id| ("id".to_owned(), Cell::Integer(id.parse().unwrap()))));
        return cells;
    }
    let cell = |name: &str| {
        let value = said(name)?;
        Some(match name {
            "next_funding_time" => Cell::Time(value.parse::<i64>().unwrap() * 1_000_000),
            // What the exchange says of base units is not converted. An inverse one is worth what its mark price says, else
            // the index, and nobody knows what without either.
            "open_interest" => Cell::Number(match (unit, said("open_interest_base")) {
                (SizeUnit::Base, Some(base)) => base.parse().unwrap(),
                _ => match said("mark_price").or(said("index_price")) {
                    None if sizes.is_inverse && unit == SizeUnit::Base => return None,
                    price => sizes.in_unit(unit, value, price.unwrap_or("1")),
                },
            }),
            _ => Cell::Number(value.parse().unwrap()),
        })
    };
    columns.iter().filter_map(|name| Some(((*name).to_owned(), cell(name)?))).collect()
}

/// What trades and liquidations have in common. Contracts are the same in every unit.
fn order(price: &str, size: &str, side: &str, sizes: &Sizes, unit: SizeUnit) -> Cells {
    let contracts = sizes.contract.map(|one| nearest(&[size], &[one]));
    let numbers = [
        ("price", Some(price.parse().unwrap())),
        ("size", Some(sizes.in_unit(unit, size, price))),
        ("contracts", contracts),
    ];
    let numbers = numbers.into_iter().filter_map(|(name, number)| Some((name.to_owned(), Cell::Number(number?))));
    numbers.chain([("side".to_owned(), Cell::Word(side.to_owned()))]).collect()
}

fn timed(mut cells: Cells, times: [Option<i64>; 2]) -> Cells {
    let times = ["ts_event", "ts_venue"].into_iter().zip(times);
    cells.extend(times.filter_map(|(name, ms)| Some((name.to_owned(), Cell::Time(ms? * 1_000_000)))));
    cells
}

/// The rows of a stream of an instrument are those that were issued. Several connections may share the channels of an
/// instrument, and only within each of them there is an order: rows are in it where they say the same columns.
fn compare_rows(s: &Session, issued: &Issued, sample: &Sample, stream: Stream) {
    let (key, table) = (sample.subject.key, stream.name());
    let ours = s.tables.plain.iter().filter(|row| row.table == table && row.key.name == key && !is_by_rest(row));
    let ours = ours.map(|row| if table == "trades" { trade(&row.cells) } else { row.cells.clone() });
    let theirs = issued.0.get(&(key, table)).into_iter().flatten().cloned();
    let (ours, theirs) = (by_columns(ours, |row| row), by_columns(theirs, |row| &row.cells));
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "{key}: columns of {table}");
    for (columns, ours) in &ours {
        let theirs = &theirs[columns];
        let early = theirs.iter().take_while(|row| row.is_early).count();
        let begin = theirs[..early].iter().position(|row| row.cells == ours[0]).unwrap_or(early);
        let theirs = &theirs[begin..];
        for (at, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
            assert_eq!(*ours, theirs.cells, "{key}: row {at} of {table}");
        }
        assert_eq!(ours.len(), theirs.len(), "{key}: rows of {table} with {columns:?}");
    }
}

fn by_columns<R>(rows: impl Iterator<Item = R>, cells: fn(&R) -> &Cells) -> BTreeMap<Vec<String>, Vec<R>> {
    let mut groups: BTreeMap<Vec<String>, Vec<R>> = BTreeMap::new();
    for row in rows {
        groups.entry(cells(&row).keys().cloned().collect()).or_default().push(row);
    }
    groups
}

/// What the truth knows of a trade.
fn trade(row: &Cells) -> Cells {
    const KNOWN: [&str; 7] = ["trade_id", "side", "price", "size", "contracts", "ts_event", "ts_venue"];
    let known = row.iter().filter(|(name, _)| KNOWN.contains(&name.as_str()));
    known
        .map(|(name, cell)| match cell {
            Cell::Word(id) if name == "trade_id" => (name.clone(), Cell::Integer(number(id))),
            cell => (name.clone(), cell.clone()),
        })
        .collect()
}

/// Every sample is the top of the exchange's book at the id that the book had then, which no sample before had; and the
/// last one is of the book as it is now.
fn compare_tops(s: &Session, truth: &Truth, sample: &Sample, unit: SizeUnit, depth: usize) {
    let (native, key) = (sample.subject.native, sample.subject.key);
    let mut books = s.tables.l2.iter().filter(|row| row.key.name == key).peekable();
    let (mut id, mut sampled) = (None, None);
    for row in s.tables.plain.iter().filter(|row| row.table == "l2_top" && row.key.name == key) {
        let place: Place = row.key.place;
        while let Some(book) = books.next_if(|book| book.key.place < place) {
            id = book.last_id;
        }
        assert_ne!(id, sampled, "{key}: a sample of a book that has not changed: {row:?}");
        sampled = id;
        let book = truth.book_at(native, u64::try_from(id.unwrap()).unwrap()).unwrap();
        let mut cells = Cells::new();
        for (side, levels) in [("bid", &book.bids), ("ask", &book.asks)] {
            let levels = &levels[..depth.min(levels.len())];
            let prices = levels.iter().map(|[price, _]| price.parse().unwrap()).collect();
            let sizes = levels.iter().map(|[price, size]| sample.sizes.in_unit(unit, size, price)).collect();
            cells.insert(format!("{side}_prices"), Cell::Numbers(prices));
            cells.insert(format!("{side}_sizes"), Cell::Numbers(sizes));
        }
        assert_eq!(row.cells, cells, "{key}: not the best levels at {id:?}");
    }
    let now = truth.final_book(native).map(|book| i64::try_from(book.last_id).unwrap());
    assert_eq!(sampled, now, "{key}: the last sample is not of the last book");
}

impl Sizes {
    /// A size at a price, as the tables have it. Nothing is rounded before the end: a row holds the double that is nearest
    /// to the exact product or quotient (`docs/units.md`), for no double is the quotient itself.
    fn in_unit(&self, unit: SizeUnit, size: &str, price: &str) -> f64 {
        let factors: Vec<&str> = [size].into_iter().chain(self.worth.iter().copied()).collect();
        match (unit, self.is_inverse) {
            (SizeUnit::Native, _) => size.parse().unwrap(),
            (SizeUnit::Base, false) => nearest(&factors, &[]),
            (SizeUnit::Base, true) => nearest(&factors, &[price]),
        }
    }
}

/// The double nearest to a quotient of products of decimal numbers: written out to more digits than any doubt needs, with
/// one more for what is left, and read.
fn nearest(factors: &[&str], divisors: &[&str]) -> f64 {
    let product = |texts: &[&str]| {
        texts.iter().fold((1u128, 0), |(product, scale), text| {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            (product * format!("{whole}{fraction}").parse::<u128>().unwrap(), scale + fraction.len())
        })
    };
    let ((above, above_scale), (below, below_scale)) = (product(factors), product(divisors));
    let (above, below) = (above * 10u128.pow(below_scale as u32), below * 10u128.pow(above_scale as u32));
    let (mut digits, mut rest) = (format!("{}.", above / below), above % below);
    for _ in 0..100 {
        digits.push(char::from_digit(u32::try_from(rest * 10 / below).unwrap(), 10).unwrap());
        rest = rest * 10 % below;
    }
    digits.push(if rest == 0 { '0' } else { '1' });
    digits.parse().unwrap()
}
