//! What arbitration costs and what it gains. `benches/arbitration.py` and `benches/gain.py` run it.
//!
//!     arbitration copies [--rounds N] [--frames FOLDER] [CAPTURE…]
//!     arbitration dedup  [--rounds N] [--keys N]
//!     arbitration gain   [--seconds N] [--seed N]
//!
//! Each prints one JSON document.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

mod best;
mod copies;
mod dedup;
mod frames;
mod gain;
mod memory;
mod paths;
mod sources;

use std::path::PathBuf;

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

/// What the command line says.
pub struct Arguments {
    rounds: usize,
    keys: usize,
    seconds: u64,
    seed: u64,
    /// Where the frames of every kind are left, for whoever compares.
    frames: Option<PathBuf>,
    captures: Vec<PathBuf>,
}

fn main() {
    let mut arguments =
        Arguments { rounds: 5, keys: 1 << 22, seconds: 600, seed: 1, frames: None, captures: Vec::new() };
    let mut given = std::env::args().skip(1);
    let work = given.next().unwrap_or_default();
    while let Some(word) = given.next() {
        let mut number = |name: &str| -> u64 {
            given.next().and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{name} takes a number"))
        };
        match word.as_str() {
            "--rounds" => arguments.rounds = number("--rounds").max(1) as usize,
            "--keys" => arguments.keys = number("--keys") as usize,
            "--seconds" => arguments.seconds = number("--seconds"),
            "--seed" => arguments.seed = number("--seed"),
            "--frames" => arguments.frames = given.next().map(PathBuf::from),
            // What `cargo bench` adds.
            "--bench" => {}
            path => arguments.captures.push(PathBuf::from(path)),
        }
    }
    let told = match work.as_str() {
        "copies" => copies::measure(&arguments),
        "dedup" => dedup::measure(&arguments),
        "gain" => gain::measure(&arguments),
        // `cargo bench` and `cargo test` start it without any.
        _ => return,
    };
    println!("{told}");
}
