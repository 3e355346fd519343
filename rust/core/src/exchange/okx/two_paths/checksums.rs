//! Decoding, book and checksum together: every checksum that was ever recorded, and those of texts written in any way.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use xtrader_scan::Isa;

use super::Okx;
use crate::book::OrderBook;
use crate::book::checksum::Checksum;
use crate::event::{BookHead, DecodedLevels};
use crate::exchange::reader::WireReader;
use crate::exchange::two_paths::captures::{Line, recordings};
use crate::exchange::{Decoded, EventKind, Peek, Protocol};

/// A book that follows its frames.
#[derive(Default)]
struct Follower {
    book: OrderBook,
    checksum: Checksum,
    levels: DecodedLevels,
    id: Option<i64>,
}

impl Follower {
    /// Takes a frame, by a scanner or by the reader. Says what the frame says of the book.
    fn take(&mut self, frame: &str, by_reader: bool) -> BookHead {
        let scales = self.book.scales();
        let mut reader = WireReader::default();
        let decoded = if by_reader {
            reader.read::<Okx>(frame.as_bytes()).unwrap().book::<Okx>(scales, 1000, &mut self.levels)
        } else {
            let Peek::Event(head) = Okx::peek(frame.as_bytes()) else { panic!("{frame}") };
            Okx::decode_book(Isa::best(), frame.as_bytes(), &head, scales, 1000, &mut self.levels)
        };
        let Decoded::Event(head) = decoded else { panic!("{decoded:?}: {frame}") };
        if head.is_snapshot {
            self.checksum.clear();
            self.book.replace(&self.levels).unwrap();
        } else {
            self.book.apply(&self.levels).unwrap();
        }
        self.checksum.note(&self.levels);
        head
    }

    fn sum(&mut self) -> i32 {
        self.checksum.of(&self.book)
    }
}

#[test]
fn every_recorded_checksum_is_that_of_the_book() {
    for recording in recordings(&["okx"]) {
        let expected = recording.golden["books_total"]["checksum_pass"].as_u64().unwrap_or(0);
        // Frames that have nothing to do with each other, their lists cut by hand.
        if recording.path.to_string_lossy().contains("cmp_frames") {
            continue;
        }
        let mut books = HashMap::<(Option<String>, String), Follower>::new();
        let mut passed = 0;
        for Line { conn, frame, .. } in recording.lines().filter(|line| line.dir == "in") {
            let Peek::Event(head) = Okx::peek(frame.as_bytes()) else { continue };
            if !matches!(head.kind, EventKind::Book | EventKind::Depth) {
                continue;
            }
            let follower = books.entry((conn, head.symbol.to_owned())).or_default();
            let follows = head.kind == EventKind::Book || !head.key.is_linked() || follower.id == Some(head.key.prev);
            if !follows {
                follower.id = None;
                continue;
            }
            follower.id = Some(head.key.last);
            if let Some(checksum) = follower.take(&frame, false).checksum {
                assert_eq!(follower.sum(), checksum, "{frame}");
                passed += 1;
            }
        }
        assert_eq!(passed, expected, "{}", recording.path.display());
    }
}

/// A number as the exchange might write it, and its shortest text.
fn written(digits: std::ops::Range<u32>) -> impl Strategy<Value = (String, String)> {
    (digits, 0usize..3, 0usize..3).prop_map(|(digits, scale, zeros)| {
        let by = 10u32.pow(scale as u32);
        let (whole, fraction) = (digits / by, digits % by);
        let text = if scale > 0 { format!("{whole}.{fraction:0scale$}") } else { whole.to_string() };
        let padded = match (zeros, text.contains('.')) {
            (0, _) => text.clone(),
            (_, true) => format!("{text}{}", "0".repeat(zeros)),
            (_, false) => format!("{text}.{}", "0".repeat(zeros)),
        };
        let shortest = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        (padded, shortest.to_owned())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_checksum_runs_over_the_texts_as_they_were_sent(
        messages in prop::collection::vec(
            prop::collection::vec((any::<bool>(), written(900..1100), written(0..40)), 0..40), 1..12),
        snapshots in prop::collection::vec(0u8..6, 12),
    ) {
        let mut follower = Follower::default();
        // Side and price to both texts: nothing but what was sent.
        let mut naive = BTreeMap::<(bool, i64), (String, String)>::new();
        for (i, message) in messages.iter().enumerate() {
            let is_snapshot = i == 0 || snapshots[i] == 0;
            if is_snapshot {
                naive.clear();
            }
            let side = |bids: bool| {
                let levels = message.iter().filter(|(is_bid, ..)| *is_bid == bids);
                levels.map(|(_, (p, _), (q, _))| format!("[\"{p}\",\"{q}\",\"0\",\"1\"]")).collect::<Vec<_>>().join(",")
            };
            let action = if is_snapshot { "snapshot" } else { "update" };
            let frame = format!(
                "{{\"arg\":{{\"channel\":\"books\",\"instId\":\"A-B\"}},\"action\":\"{action}\",\"data\":[{{\"asks\":[{}],\"bids\":[{}],\"ts\":\"1600000000000\",\"checksum\":7}}]}}",
                side(false),
                side(true),
            );
            follower.take(&frame, i % 2 == 1);
            for (is_bid, (price, _), (size, shortest)) in message {
                let ticks = (price.parse::<f64>().unwrap() * 10_000.0).round() as i64;
                let key = (*is_bid, if *is_bid { -ticks } else { ticks });
                if shortest == "0" {
                    naive.remove(&key);
                } else {
                    naive.insert(key, (price.clone(), size.clone()));
                }
            }
            let best = |bids: bool| naive.iter().filter(|((is_bid, _), _)| *is_bid == bids).take(25).collect::<Vec<_>>();
            let (bids, asks) = (best(true), best(false));
            let mut texts = Vec::new();
            for i in 0..25 {
                for (_, (price, size)) in bids.get(i).into_iter().chain(asks.get(i)) {
                    texts.push(format!("{price}:{size}"));
                }
            }
            let expected = crc32fast::hash(texts.join(":").as_bytes()).cast_signed();
            prop_assert_eq!(follower.sum(), expected, "{}", texts.join(":"));
        }
    }
}
