//! Rows of `bbo`.

use super::*;

#[test]
fn a_quote_may_lack_a_side() {
    for numeric in [Numeric::Float, Numeric::Fixed] {
        let mut batches = batches(numeric);
        let quote = |bid, ask| Bbo { times: EventTimes::default(), bid, ask, update_id: Some(0) };
        let bid = (decimal("0.5"), decimal("10"));
        let ask = (decimal("0.625"), decimal("3.0"));
        for bbo in [quote(Some(bid), Some(ask)), quote(None, Some(ask)), quote(Some(bid), None), quote(None, None)] {
            batches.bbo(&key(SymbolId::NONE), &bbo, &Conversion::None).expect("in range");
        }
        let batch = the_batch(&mut batches);
        assert_eq!(values::<Int64Type>(&batch, "update_id"), [Some(0); 4], "0 is an id");
        if numeric == Numeric::Float {
            assert_eq!(values::<Float64Type>(&batch, "bid_price"), [Some(0.5), None, Some(0.5), None]);
            assert_eq!(values::<Float64Type>(&batch, "bid_size"), [Some(10.0), None, Some(10.0), None]);
            assert_eq!(values::<Float64Type>(&batch, "ask_price"), [Some(0.625), Some(0.625), None, None]);
            assert_eq!(values::<Float64Type>(&batch, "ask_size"), [Some(3.0), Some(3.0), None, None]);
        } else {
            // Both prices of a row share one scale: the smallest that says both.
            assert_eq!(values::<Int64Type>(&batch, "bid_price"), [Some(500), None, Some(5), None]);
            assert_eq!(values::<Int64Type>(&batch, "ask_price"), [Some(625), Some(625), None, None]);
            assert_eq!(values::<Int8Type>(&batch, "price_scale"), [Some(3), Some(3), Some(1), None]);
            assert_eq!(values::<Int64Type>(&batch, "bid_size"), [Some(100), None, Some(10), None]);
            assert_eq!(values::<Int64Type>(&batch, "ask_size"), [Some(30), Some(30), None, None]);
            assert_eq!(values::<Int8Type>(&batch, "size_scale"), [Some(1), Some(1), Some(0), None]);
        }
    }
}
