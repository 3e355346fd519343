//! The two paths on recorded frames. They are not part of the repository; where they are absent the tests say so, and
//! where continuous integration runs they must be there.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::*;
use crate::exchange::binance_futures::instruments::read_exchange_info;
use crate::instrument::Instrument;
use crate::table::InstrumentKind;

/// The recordings beside the repository.
#[allow(clippy::print_stderr)]
pub(super) fn captures() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/captures");
    if root.is_dir() {
        return Some(root);
    }
    assert!(std::env::var_os("CI").is_none(), "no recordings at {}", root.display());
    eprintln!("skipped: no recordings at {}", root.display());
    None
}

fn files(root: &Path) -> Vec<PathBuf> {
    let list = |folder: &str| std::fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let synthetic = list("synthetic").filter(|path| path.to_string_lossy().contains("binance_usdm"));
    list("binance_usdm").chain(synthetic).collect()
}

#[derive(serde::Deserialize)]
struct Line {
    dir: String,
    url: Option<String>,
    frame: String,
}

fn lines(path: &Path) -> impl Iterator<Item = Line> {
    let file = std::fs::File::open(path).unwrap();
    let text: Box<dyn Read> =
        if path.extension().is_some_and(|e| e == "gz") { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
    BufReader::new(text).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

/// Plain digits without trailing zeros.
fn canon(text: &serde_json::Value) -> String {
    let text = text.as_str().unwrap();
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }.to_owned()
}

#[test]
fn every_recorded_frame_is_read_alike_and_its_trades_are_exact() {
    let Some(root) = captures() else { return };
    let mut reader = WireReader::default();
    let (mut frames, mut taken, mut trades) = (0usize, 0usize, 0usize);
    for frame in files(&root).iter().flat_map(|path| lines(path)).filter(|line| line.dir == "in").map(|l| l.frame) {
        frames += 1;
        // The whole range of scales, from too coarse to finer than what the exchange writes.
        let scales = [Scales { price: 0, size: 0 }, SCALES, Scales { price: 8, size: 8 }][frames % 3];
        if agree(&mut reader, frame.as_bytes(), scales).unwrap() {
            taken += 1;
        }
        let Peek::Event(head) = peek(frame.as_bytes()) else { continue };
        let mut rows = TradeRows::default();
        if !matches!(head.kind, EventKind::AggTrade | EventKind::Trade) {
            continue;
        }
        let decoded = normalize::trade(Isa::best(), frame.as_bytes(), &head, scales, &mut rows);
        if let (Decoded::Event(()), Some(Ok(trade))) = (decoded, rows.rows.first().map(|row| row.trade)) {
            trades += 1;
            let parsed: serde_json::Value = serde_json::from_str(&frame).unwrap();
            let data = parsed.get("data").unwrap_or(&parsed);
            assert_eq!(trade.price.trimmed().to_string(), canon(&data["p"]));
            assert_eq!(trade.size.trimmed().to_string(), canon(&data["q"]));
            assert_eq!(trade.times.event, Some(data["T"].as_i64().unwrap() * 1_000_000));
        }
    }
    assert!(trades > 100, "{trades} trades in {frames} frames");
    assert_eq!(taken, frames, "the scanner knows every recorded shape");
}

#[test]
fn every_recorded_snapshot_holds_the_numbers_of_a_second_parser() {
    let Some(root) = captures() else { return };
    let is_depth = |line: &Line| line.dir == "http" && line.url.as_deref().is_some_and(|url| url.contains("/depth?"));
    let mut out = DecodedLevels::default();
    let mut snapshots = 0;
    for line in files(&root).iter().flat_map(|path| lines(path)).filter(is_depth) {
        snapshots += 1;
        let head = read_snapshot(line.frame.as_bytes(), SCALES, 1 << 20, &mut out).unwrap();
        let parsed: serde_json::Value = serde_json::from_str(&line.frame).unwrap();
        assert_eq!(head.last_id, parsed["lastUpdateId"].as_i64());
        assert_eq!(head.times.venue, Some(parsed["E"].as_i64().unwrap() * 1_000_000));
        let scales = out.narrow.scales;
        for (name, side) in [("bids", &out.narrow.bids), ("asks", &out.narrow.asks)] {
            let texts = parsed[name].as_array().unwrap();
            assert_eq!(side.len(), texts.len());
            for (level, text) in side.iter().zip(texts) {
                let price = Decimal::new(i128::from(level.price), scales.price).trimmed().to_string();
                let size = Decimal::new(i128::from(level.size), scales.size).trimmed().to_string();
                assert_eq!((price, size), (canon(&text[0]), canon(&text[1])));
            }
        }
    }
    assert!(snapshots > 3, "{snapshots} snapshots");
}

#[test]
fn the_recorded_reference_data_is_the_golden_one() {
    let Some(root) = captures() else { return };
    let name = "cf_2021-07-22_4sym";
    let golden = std::fs::read(root.join(format!("golden/binance_usdm/{name}.json"))).unwrap();
    let golden: serde_json::Value = serde_json::from_slice(&golden).unwrap();
    let golden = &golden["instruments"][0];
    let path = root.join(format!("binance_usdm/{name}.jsonl"));
    let reply = lines(&path).find(|line| line.url.as_deref().is_some_and(|url| url.contains("exchangeInfo"))).unwrap();
    let instruments = read_exchange_info(reply.frame.as_bytes()).unwrap();
    assert_eq!(instruments.len() as u64, golden["count"].as_u64().unwrap());

    let written = |step: Option<Decimal>| step.unwrap().to_string();
    let row = |i: &Instrument| {
        let (tick, step) = (written(i.tick_size), written(i.lot_size));
        format!("{}|{}|{tick}|{step}", i.native_symbol, i.status_native)
    };
    let mut rows: Vec<String> = instruments.iter().map(row).collect();
    rows.sort();
    let first: Vec<&str> = golden["first3_sorted"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    assert_eq!(&rows[..3], first);

    let parsed: serde_json::Value = serde_json::from_str(&reply.frame).unwrap();
    for (instrument, symbol) in instruments.iter().zip(parsed["symbols"].as_array().unwrap()) {
        let filter = |name: &str, key: &str| {
            let filters = symbol["filters"].as_array().unwrap();
            canon(&filters.iter().find(|f| f["filterType"] == name).unwrap()[key])
        };
        assert_eq!(instrument.native_symbol, symbol["symbol"].as_str().unwrap());
        assert_eq!(written(instrument.tick_size), filter("PRICE_FILTER", "tickSize"));
        assert_eq!(written(instrument.lot_size), filter("LOT_SIZE", "stepSize"));
        assert_eq!(written(instrument.min_notional), filter("MIN_NOTIONAL", "notional"));
        assert_eq!(instrument.expiry.is_some(), instrument.kind == InstrumentKind::Future);
    }
}
