//! Between two closes of a batch, rows of every table are appended without one allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use xtrader_core::batch::{BatchConfig, Batches, GapRow, RawRow, RowKey, SymbolId};
use xtrader_core::config::{BatchLimits, Numeric, SizeUnit};
use xtrader_core::decimal::Decimal;
use xtrader_core::event::{
    Bbo, BookHead, DecodedLevels, Derivative, EventTimes, Level, Liquidation, OptionState, Scales, Texts, Trade,
    TradeId,
};
use xtrader_core::instrument::{Conversion, Instrument};
use xtrader_core::symbol::{ConnId, Exchange};
use xtrader_core::table::{
    Condition, GapCause, GapEvidence, GapScope, InputKind, InstrumentKind, Repaired, Side, Source, Status, Table,
};

/// Counts what the test's own thread asks of the system's allocator.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that is going away no longer counts.
    let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
}

// SAFETY: hands everything to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are those of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn append_one_of_each(
    batches: &mut Batches,
    texts: &mut Texts,
    symbol: SymbolId,
    n: i64,
    levels: &DecodedLevels,
    about: &Instrument,
    is_fixed: bool,
) {
    texts.clear();
    let key = RowKey {
        ts_event: Some(n),
        ts_venue: (n % 2 == 0).then_some(n),
        ts_recv: n,
        exchange: Exchange::BinanceFutures.into(),
        symbol,
        shard: 0,
        msg_id: n,
        row: 0,
        conn: ConnId(1),
        flags: 0,
    };
    let times = EventTimes::default();
    let (price, size) = (Decimal::new(6_500_010, 2), Decimal::new(1, 3));
    let trade = Trade {
        times,
        id: if n % 2 == 0 { TradeId::Number(3_000_000_000 + n) } else { TradeId::Text(texts.add("BTC-123456789")) },
        side: Side::Buy,
        price,
        size,
        contracts: (n % 2 == 0).then_some(size),
        count: Some(1),
        first_id: Some(n),
        last_id: None,
        seq: None,
        condition: Condition::Regular,
        index_price: None,
        mark_price: None,
        liquidated: None,
        source: Source::Ws,
    };
    let raw = RawRow {
        ts_mono: 0,
        kind: InputKind::Frame,
        request_id: None,
        status: None,
        headers: None,
        url: None,
        payload: &[b'x'; 400],
    };
    let gap = GapRow {
        gap_id: n,
        stream: Table::L2,
        scope: GapScope::Book,
        cause: GapCause::Missed,
        evidence: GapEvidence::Chain,
        missing: None,
        missing_unit: None,
        first_missing: None,
        last_missing: None,
        ts_last_good: None,
        ts_detected: n,
        ts_resumed: None,
        repaired: Repaired::None,
        conn_ids: &[ConnId(1)],
    };
    // In `fixed` there are no quotients.
    let conversions = [
        Conversion::None,
        Conversion::Times(Decimal::new(1, 2)),
        Conversion::Times(Decimal::new(10, 0)),
        if is_fixed { Conversion::None } else { Conversion::OverPrice(Decimal::new(100, 0)) },
    ];
    let conversion = &conversions[usize::try_from(n % 4).expect("0 to 3")];
    let derivative = Derivative { mark_price: Some(price), open_interest: Some(size), ..Derivative::default() };
    let option = OptionState { mark_iv: Some(size), open_interest: Some(size), ..OptionState::default() };
    let liquidation = Liquidation { id: None, side: Side::Sell, price, size, contracts: None };
    let top = || std::iter::repeat_n((price, size), 5);
    let quote = Bbo { times, bid: Some((price, size)), ask: None, update_id: Some(n) };
    batches.trade(&key, &trade, texts, conversion).expect("in range");
    batches.bbo(&key, &quote, conversion).expect("in range");
    batches.book(&key, &BookHead::default(), Some(n), levels, Source::Ws, conversion).expect("in range");
    batches.l2_top(&key, top(), top(), conversion).expect("in range");
    batches.derivative(&key, &derivative, conversion).expect("in range");
    batches.option(&key, &option, conversion).expect("in range");
    batches.liquidation(&key, &liquidation, conversion).expect("in range");
    batches.gap(&key, &gap).expect("in range");
    batches.instrument(&key, about, n, None).expect("in range");
    batches.raw(&key, &raw).expect("in range");
}

fn allocations_of(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

#[test]
fn a_row_costs_no_allocation() {
    let mut levels = DecodedLevels::default();
    levels.reset(Scales { price: 2, size: 3 });
    levels.narrow.bids = vec![Level { price: 6_500_000, size: 12 }; 10];
    levels.narrow.asks = vec![Level { price: 6_500_100, size: 34 }; 10];
    let about = Instrument {
        exchange: Exchange::BinanceFutures,
        native_symbol: "BTCUSDT".into(),
        symbol: "BTCUSDT".into(),
        kind: InstrumentKind::Perpetual,
        base: "BTC".into(),
        quote: "USDT".into(),
        settle: "USDT".into(),
        tick_size: Some(Decimal::new(1, 1)),
        lot_size: None,
        min_notional: None,
        multiplier: Decimal::new(1, 0),
        inverse: false,
        conversion: Conversion::None,
        expiry: None,
        strike: None,
        option_type: None,
        status: Status::Trading,
        status_native: "TRADING".into(),
    };
    for numeric in [Numeric::Float, Numeric::Decimal, Numeric::Fixed] {
        let mut batches = Batches::new(BatchConfig {
            numeric,
            size_unit: SizeUnit::Base,
            limits: BatchLimits::default(),
            tables: Table::ALL.to_vec(),
        });
        let symbol = batches.intern("BTCUSDT-261225");
        let mut texts = Texts::default();
        texts.add("room for an id of a trade");
        // The first round too: room is reserved when a table is opened. 20 rows of `levels` an input: no close.
        for round in 0..3 {
            let appended = allocations_of(|| {
                for n in 0..400 {
                    append_one_of_each(&mut batches, &mut texts, symbol, n, &levels, &about, numeric == Numeric::Fixed);
                }
            });
            assert_eq!(appended, 0, "{numeric:?}, round {round}");
            let closed = allocations_of(|| batches.close_all());
            assert!(closed > 0, "the counter counts");
            while batches.pop().is_some() {}
        }
    }
}
