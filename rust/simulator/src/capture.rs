//! The capture format: one JSON object a line, `{"recv_ns", "conn", "dir": "in" | "out" | "http", "url"?, "frame"}`,
//! gzip where the name ends in `.gz`.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use crate::SimulatorError;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CaptureLine {
    pub recv_ns: Option<u64>,
    pub conn: String,
    pub dir: Direction,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    pub frame: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    In,
    Out,
    Http,
}

fn is_gzip(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "gz")
}

/// Reads a whole capture.
pub(crate) fn read(path: &Path) -> Result<Vec<CaptureLine>, SimulatorError> {
    let file = File::open(path).map_err(SimulatorError::io(path.display().to_string()))?;
    let lines: Box<dyn BufRead> = if is_gzip(path) {
        Box::new(BufReader::new(MultiGzDecoder::new(file)))
    } else {
        Box::new(BufReader::new(file))
    };
    let mut out = Vec::new();
    for (i, line) in lines.lines().enumerate() {
        let wrong = |problem: String| SimulatorError::Capture { path: path.to_owned(), line: i + 1, problem };
        let line = line.map_err(|e| wrong(e.to_string()))?;
        if !line.trim().is_empty() {
            out.push(serde_json::from_str(&line).map_err(|e| wrong(format!("no line of a capture: {e}")))?);
        }
    }
    Ok(out)
}

/// Writes a capture line by line.
pub(crate) struct CaptureWriter {
    out: Output,
    lines: u64,
}

enum Output {
    Plain(BufWriter<File>),
    Gzip(Box<GzEncoder<BufWriter<File>>>),
}

impl CaptureWriter {
    pub(crate) fn create(path: &Path) -> std::io::Result<Self> {
        let file = BufWriter::new(File::create(path)?);
        let out = if is_gzip(path) {
            Output::Gzip(Box::new(GzEncoder::new(file, Compression::default())))
        } else {
            Output::Plain(file)
        };
        Ok(Self { out, lines: 0 })
    }

    pub(crate) fn write(&mut self, line: &CaptureLine) -> std::io::Result<()> {
        self.lines += 1;
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        match &mut self.out {
            Output::Plain(o) => o.write_all(&text),
            Output::Gzip(o) => o.write_all(&text),
        }
    }

    /// Finishes the file; says how many lines it has.
    pub(crate) fn finish(self) -> std::io::Result<u64> {
        match self.out {
            Output::Plain(mut o) => o.flush()?,
            Output::Gzip(o) => o.finish()?.flush()?,
        }
        Ok(self.lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_plain_and_gzipped() {
        for name in ["lines.jsonl", "lines.jsonl.gz"] {
            let path = std::env::temp_dir().join(format!("xtrader-capture-{}-{name}", std::process::id()));
            let line = |n| CaptureLine {
                recv_ns: Some(n),
                conn: "ws-1".into(),
                dir: Direction::In,
                url: (n == 0).then(|| "ws://x".into()),
                frame: "{\"a\":\"ü\"}\n".into(),
            };
            let mut w = CaptureWriter::create(&path).expect("a file");
            (0..3).for_each(|n| w.write(&line(n)).expect("a line"));
            assert_eq!(w.finish().expect("the end"), 3);
            assert_eq!(read(&path).expect("a capture"), (0..3).map(line).collect::<Vec<_>>());
            std::fs::remove_file(path).expect("no file");
        }
    }
}
