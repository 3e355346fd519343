use proptest::prelude::*;

use super::*;

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        n @ 0..126 => out.push(n as u8),
        n @ 126..65536 => {
            out.push(126);
            out.extend((n as u16).to_be_bytes());
        }
        n => {
            out.push(127);
            out.extend((n as u64).to_be_bytes());
        }
    }
    out.extend(payload);
    out
}

/// An event that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owned {
    Message(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close(Option<u16>, String),
}

fn drain(reader: &mut Reader, into: &mut Vec<Owned>) -> Result<(), WireError> {
    while let Some(event) = reader.next_event()? {
        into.push(match event {
            Event::Message(m) => Owned::Message(m.to_vec()),
            Event::Ping(p) => Owned::Ping(p.to_vec()),
            Event::Pong => Owned::Pong,
            Event::Close { code, reason } => Owned::Close(code, reason.to_owned()),
        });
    }
    Ok(())
}

fn read(bytes: &[u8]) -> Result<Vec<Owned>, WireError> {
    let mut reader = Reader::new(0, 1000);
    let mut events = Vec::new();
    reader.extend(bytes);
    drain(&mut reader, &mut events)?;
    Ok(events)
}

#[test]
fn messages_pieces_and_control_frames_between() {
    let bytes = [
        frame(0x81, b"one"),
        frame(0x01, b"t"),
        frame(0x89, b"ping"),
        frame(0x00, b"w"),
        frame(0x8A, b""),
        frame(0x80, b"o"),
        frame(0x82, &[0xFF, 0xFE]),
        frame(0x81, b""),
        frame(0x88, &[0x03, 0xF0, b'b', b'y', b'e']),
    ]
    .concat();
    assert_eq!(
        read(&bytes).expect("valid"),
        [
            Owned::Message(b"one".to_vec()),
            Owned::Ping(b"ping".to_vec()),
            Owned::Pong,
            Owned::Message(b"two".to_vec()),
            Owned::Message(vec![0xFF, 0xFE]),
            Owned::Message(Vec::new()),
            Owned::Close(Some(1008), "bye".to_owned()),
        ]
    );
}

/// A compressed message is the first of them: nothing was agreed that could inflate it.
// Fault: B07, B08, B10
#[test]
fn what_breaks_the_protocol_is_refused() {
    let cases: [(&[u8], WireError); 12] = [
        (&[0xC1, 0x00], WireError::ReservedBits),
        (&[0x81, 0x81, 1, 2, 3, 4, 5], WireError::Masked),
        (&[0x83, 0x00], WireError::Opcode),
        (&[0x8B, 0x00], WireError::Opcode),
        (&[0x09, 0x00], WireError::FragmentedControl),
        (&[0x89, 126, 0, 126], WireError::LongControl(126)),
        (&[0x80, 0x00], WireError::NothingToContinue),
        (&[0x01, 0x00, 0x81, 0x00], WireError::Interleaved),
        (&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], WireError::TooLong(1 << 63, 1000)),
        (&[0x88, 0x01, 0x03], WireError::ClosePayload),
        (&[0x88, 0x02, 0x03, 0xED], WireError::CloseCode(1005)),
        (&[0x88, 0x03, 0x03, 0xE8, 0xFF], WireError::ClosePayload),
    ];
    for (bytes, error) in cases {
        assert_eq!(read(bytes), Err(error), "{bytes:?}");
    }
}

// Fault: B07
#[test]
fn endless_pieces_hit_the_bound_of_a_message() {
    let mut reader = Reader::new(0, 1000);
    let mut events = Vec::new();
    reader.extend(&frame(0x01, &[b'x'; 400]));
    drain(&mut reader, &mut events).expect("within");
    reader.extend(&frame(0x00, &[b'x'; 400]));
    drain(&mut reader, &mut events).expect("within");
    assert_eq!(reader.under_way(), 800);
    reader.extend(&[0x00, 126, 0x01, 0x90]);
    assert_eq!(drain(&mut reader, &mut events), Err(WireError::TooLong(1200, 1000)));
    assert!(events.is_empty());
}

// Fault: B07
#[test]
fn an_announced_length_allocates_nothing() {
    let mut reader = Reader::new(8192, 16 << 20);
    reader.extend(&[0x82, 127, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF]);
    assert_eq!(reader.next_event(), Ok(None));
    let _ = reader.space();
    assert_eq!(reader.buffer.len(), 8192);
    assert!(reader.is_under_way());
}

// Fault: X29
#[test]
fn a_large_message_grows_the_buffer_and_gives_it_back() {
    let mut reader = Reader::new(8192, 16 << 20);
    let payload = vec![7u8; 5 << 20];
    reader.extend(&frame(0x82, &payload));
    assert_eq!(reader.next_event(), Ok(Some(Event::Message(&payload))));
    assert!(!reader.is_under_way());
    let _ = reader.space();
    assert_eq!(reader.buffer.len(), 8192);
}

fn any_frames() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<Owned>)>> {
    let payload =
        prop_oneof![prop::collection::vec(any::<u8>(), 0..300), prop::collection::vec(any::<u8>(), 9000..20000)];
    let control = prop::collection::vec(any::<u8>(), 0..=125);
    let one = prop_oneof![
        payload.clone().prop_map(|p| (frame(0x82, &p), vec![Owned::Message(p)])),
        control.prop_map(|p| (frame(0x89, &p), vec![Owned::Ping(p)])),
        prop::collection::vec(payload, 2..5).prop_map(|pieces| {
            let last = pieces.len() - 1;
            let bytes = pieces.iter().enumerate().flat_map(|(i, p)| {
                let opcode = u8::from(i == 0);
                let mut bytes = frame(opcode | if i == last { 0x80 } else { 0 }, p);
                if i != last {
                    bytes.extend(frame(0x8A, b"between"));
                }
                bytes
            });
            let mut events = vec![Owned::Pong; last];
            events.push(Owned::Message(pieces.concat()));
            (bytes.collect(), events)
        }),
    ];
    prop::collection::vec(one, 0..12)
}

proptest! {
    /// Any split of the byte stream gives the same events.
    // Fault: N01, X29
    #[test]
    fn any_split_gives_the_same_events(frames in any_frames(), cuts in prop::collection::vec(1usize..5000, 1..40)) {
        let bytes: Vec<u8> = frames.iter().flat_map(|(b, _)| b.clone()).collect();
        let expected: Vec<Owned> = frames.into_iter().flat_map(|(_, e)| e).collect();
        let mut reader = Reader::new(0, 1 << 20);
        let mut events = Vec::new();
        let mut rest = &bytes[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let n = rest.len().min(*cut);
            let space = reader.space();
            let n = n.min(space.len());
            space[..n].copy_from_slice(&rest[..n]);
            reader.filled(n);
            rest = &rest[n..];
            drain(&mut reader, &mut events).expect("valid");
        }
        prop_assert_eq!(events, expected);
        prop_assert!(!reader.is_under_way());
    }

    /// No bytes make it panic or hold more than they are.
    // Fault: B10
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let mut reader = Reader::new(0, 1 << 20);
        reader.extend(&bytes);
        let mut events = Vec::new();
        let _ = drain(&mut reader, &mut events);
        prop_assert!(reader.under_way() <= bytes.len());
    }
}
