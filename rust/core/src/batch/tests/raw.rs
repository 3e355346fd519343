//! Rows of `raw`.

use super::*;

#[test]
fn an_input_stands_in_raw_byte_for_byte() {
    let mut batches = batches(Numeric::Float);
    let frame = RawRow {
        ts_mono: u64::MAX,
        kind: InputKind::Frame,
        request_id: None,
        status: None,
        headers: None,
        url: None,
        payload: b"\xff\x00{}",
    };
    let reply = RawRow {
        kind: InputKind::Http,
        request_id: Some(3),
        status: Some(429),
        headers: Some("retry-after: 7"),
        url: Some("http://localhost/depth"),
        payload: b"",
        ..frame
    };
    batches.raw(&key(SymbolId::NONE), &frame).expect("in range");
    batches.raw(&key(SymbolId::NONE), &reply).expect("in range");
    let batch = the_batch(&mut batches);
    assert_eq!(values::<UInt64Type>(&batch, "ts_mono"), [Some(u64::MAX); 2]);
    assert_eq!(words(&batch, "kind"), [Some("frame".to_owned()), Some("http".to_owned())]);
    assert_eq!(values::<UInt64Type>(&batch, "request_id"), [None, Some(3)]);
    assert_eq!(values::<UInt16Type>(&batch, "status"), [None, Some(429)]);
    let optional =
        |name: &str| column(&batch, name).as_string::<i32>().iter().map(|t| t.map(str::to_owned)).collect::<Vec<_>>();
    assert_eq!(optional("headers"), [None, Some("retry-after: 7".to_owned())]);
    assert_eq!(optional("url"), [None, Some("http://localhost/depth".to_owned())]);
    let payload = column(&batch, "payload").as_binary::<i32>();
    assert_eq!(payload.iter().collect::<Vec<_>>(), [Some(b"\xff\x00{}".as_slice()), Some(b"")]);
}
