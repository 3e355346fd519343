//! The two paths on recorded frames. They are not part of the repository; where they are absent the tests say so, and
//! where continuous integration runs they must be there.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{EventKind, Peek, Protocol, SCALES, Scales, Specimens, WireReader, agree, check, is_known_beyond_its_head};
use crate::decimal::Decimal;
use crate::event::DecodedLevels;
use crate::exchange::Recorded;

/// The recordings beside the repository.
#[allow(clippy::print_stderr)]
fn root() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/captures");
    if root.is_dir() {
        return Some(root);
    }
    assert!(std::env::var_os("CI").is_none(), "no recordings at {}", root.display());
    eprintln!("skipped: no recordings at {}", root.display());
    None
}

/// A recording and its golden result.
pub(crate) struct Recording {
    pub(crate) path: PathBuf,
    pub(crate) golden: Value,
}

/// Every recording of these folders, and the synthetic ones made from them; none where there are no recordings at all.
pub(crate) fn recordings(folders: &[&str]) -> Vec<Recording> {
    let Some(root) = root() else { return Vec::new() };
    let list = |folder: &str| std::fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let mut found: Vec<(String, PathBuf)> = Vec::new();
    for folder in folders {
        let made_from = |path: &PathBuf| name(path).split('.').next() == Some(folder);
        found.extend(list(folder).map(|path| ((*folder).to_owned(), path)));
        found.extend(list("synthetic").filter(made_from).map(|path| ("synthetic".to_owned(), path)));
    }
    found.sort();
    let recording = |(folder, path): (String, PathBuf)| {
        let name = name(&path);
        let stem = name.trim_end_matches(".gz").trim_end_matches(".jsonl");
        let golden = std::fs::read(root.join(format!("golden/{folder}/{stem}.json"))).unwrap();
        Recording { golden: serde_json::from_slice(&golden).unwrap(), path }
    };
    found.into_iter().map(recording).collect()
}

/// A line of a recording.
#[derive(serde::Deserialize)]
pub(crate) struct Line {
    pub(crate) dir: String,
    pub(crate) conn: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) frame: String,
}

impl Recording {
    /// Its lines, in order.
    pub(crate) fn lines(&self) -> impl Iterator<Item = Line> {
        let file = std::fs::File::open(&self.path).unwrap();
        let gzip = self.path.extension().is_some_and(|e| e == "gz");
        let text: Box<dyn Read> = if gzip { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
        BufReader::new(text).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap())
    }

    /// Its replies and what they answer.
    pub(crate) fn replies(&self) -> impl Iterator<Item = (String, String)> {
        self.lines().filter(|line| line.dir == "http").map(|line| (line.url.unwrap_or_default(), line.frame))
    }
}

/// Plain digits without trailing zeros.
pub(crate) fn canon(text: &Value) -> String {
    let text = text.as_str().unwrap();
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }.to_owned()
}

/// Kinds of which no scanner knows any frame.
fn is_for_the_reader(kind: EventKind) -> bool {
    matches!(kind, EventKind::State | EventKind::MixedTrades)
}

pub(crate) fn frames_are_read_alike<S: Specimens>() {
    let recordings = recordings(S::RECORDINGS);
    if recordings.is_empty() {
        return;
    }
    let mut reader = WireReader::default();
    let (mut frames, mut events) = (0usize, 0usize);
    for frame in recordings.iter().flat_map(Recording::lines).filter(|line| line.dir == "in").map(|l| l.frame) {
        frames += 1;
        // The whole range of scales, from too coarse to finer than what the exchange writes.
        let scales = [Scales { price: 0, size: 0 }, SCALES, Scales { price: 8, size: 8 }][frames % 3];
        if !agree::<S::P>(&mut reader, frame.as_bytes(), scales).unwrap() {
            let message = reader.read::<S::P>(frame.as_bytes()).unwrap();
            let is_rare = matches!(message.peek(), Peek::Event(head) if is_for_the_reader(head.kind));
            assert!(is_rare, "the scanner knows every recorded shape: {frame}");
        }
        assert!(is_known_beyond_its_head::<S>(&frame), "the scanner knows every recorded state: {frame}");
        events += usize::from(check::<S>(&mut reader, &frame, scales).is_some());
    }
    assert!(events > 100, "{events} events in {frames} frames");
}

pub(crate) fn reference_data_is_golden<S: Specimens>() {
    let recordings = recordings(S::RECORDINGS);
    let mut compared = 0;
    for recording in &recordings {
        let replies = recording.replies().filter(|(url, _)| S::P::recorded(url) == Some(Recorded::Reference));
        let golden = recording.golden["instruments"].as_array().unwrap();
        for ((url, reply), golden) in replies.zip(golden) {
            assert_eq!(url, golden["url"].as_str().unwrap());
            assert_eq!(golden["fields"], "symbol|status|tick|step");
            let step = |step: Option<Decimal>| step.map_or_else(String::new, |step| step.trimmed().to_string());
            let instruments = S::P::read_reference(reply.as_bytes()).unwrap();
            let mut rows: Vec<String> = instruments
                .iter()
                .map(|i| format!("{}|{}|{}|{}", i.native_symbol, i.status_native, step(i.tick_size), step(i.lot_size)))
                .collect();
            rows.sort();
            assert_eq!(rows.len() as u64, golden["count"].as_u64().unwrap(), "{url}");
            for (row, golden) in rows.iter().zip(golden["first3_sorted"].as_array().unwrap()) {
                assert_eq!(row, golden);
            }
            assert_eq!(sha256(&rows), golden["sha256_sorted"].as_str().unwrap(), "{url}");
            compared += 1;
        }
    }
    assert!(recordings.is_empty() || compared > 0, "no reference data in the recordings");
}

/// Of lines, each ended by a line feed.
pub(crate) fn sha256(lines: &[String]) -> String {
    let mut hash = Sha256::new();
    for line in lines {
        hash.update(line);
        hash.update("\n");
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Holds every recorded snapshot (`bids`, `asks` and `lastUpdateId`) against a second parser.
pub(crate) fn snapshots_hold_the_numbers<S: Specimens>() {
    let recordings = recordings(S::RECORDINGS);
    let (mut out, mut snapshots) = (DecodedLevels::default(), 0);
    for (url, reply) in recordings.iter().flat_map(Recording::replies) {
        if !matches!(S::P::recorded(&url), Some(Recorded::Snapshot(_))) {
            continue;
        }
        snapshots += 1;
        let head = S::P::read_snapshot(reply.as_bytes(), SCALES, 1 << 20, &mut out).unwrap();
        let parsed: Value = serde_json::from_str(&reply).unwrap();
        assert_eq!(head.last_id, parsed["lastUpdateId"].as_i64());
        assert_eq!(head.times.venue, parsed["E"].as_i64().map(|ms| ms * 1_000_000));
        levels_are(&out, &parsed["bids"], &parsed["asks"]);
    }
    assert!(recordings.is_empty() || snapshots > 3, "{snapshots} snapshots");
}

/// Holds levels against lists of texts, price first and size second.
pub(crate) fn levels_are(levels: &DecodedLevels, bids: &Value, asks: &Value) {
    let scales = levels.scales();
    let wide = |list: &[crate::event::Level]| {
        list.iter().map(|l| (i128::from(l.price), i128::from(l.size))).collect::<Vec<_>>()
    };
    let sides = match &levels.wide {
        Some(wide) => [&wide.bids, &wide.asks].map(|list| list.iter().map(|l| (l.price, l.size)).collect()),
        None => [wide(&levels.narrow.bids), wide(&levels.narrow.asks)],
    };
    for (side, texts) in sides.iter().zip([bids, asks]) {
        let texts = texts.as_array().unwrap();
        assert_eq!(side.len(), texts.len());
        for ((price, size), text) in side.iter().zip(texts) {
            assert!(is_number(*price, scales.price, &text[0]) && is_number(*size, scales.size, &text[1]), "{text}");
        }
    }
}

fn is_number(mantissa: i128, scale: u8, text: &Value) -> bool {
    is_decimal(Decimal::new(mantissa, scale), text)
}

/// True where the number is the one of a plain text.
pub(crate) fn is_decimal(number: Decimal, text: &Value) -> bool {
    let text = canon(text);
    let whole = text.trim_start_matches('0');
    let text = if whole.is_empty() || whole.starts_with('.') { format!("0{whole}") } else { whole.to_owned() };
    number.trimmed().to_string() == text
}
