//! One line, read in one pass.
//!
//! A frame is JSON in a JSON string: every fifth byte or so is an escaped quote, and that is most of what reading a
//! recording costs. So the usual shape of a line is read by a scanner that unescapes while it looks for the end, eight
//! bytes at a time. It refuses what it does not expect, and serde_json reads that line, or says what is wrong with it.

use serde::Deserialize;

use super::Direction;

const WORD: usize = 8;

/// What a line holds. Its buffers are used again.
#[derive(Debug)]
pub(super) struct Fields {
    pub(super) recv_ns: Option<i64>,
    pub(super) conn: Text,
    pub(super) direction: Direction,
    pub(super) url: Text,
    pub(super) has_url: bool,
    pub(super) frame: Text,
}

/// A text in a buffer that only grows.
#[derive(Debug, Default)]
pub(super) struct Text {
    bytes: Vec<u8>,
    len: usize,
}

impl Default for Fields {
    fn default() -> Self {
        let text = Text::default;
        Self { recv_ns: None, conn: text(), direction: Direction::In, url: text(), has_url: false, frame: text() }
    }
}

impl Text {
    pub(super) fn get(&self) -> Result<&str, std::str::Utf8Error> {
        std::str::from_utf8(&self.bytes[..self.len])
    }

    fn set(&mut self, text: String) {
        self.bytes = text.into_bytes();
        self.len = self.bytes.len();
    }
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    recv_ns: Option<i64>,
    conn: String,
    dir: Direction,
    #[serde(default)]
    url: Option<String>,
    frame: String,
}

impl Fields {
    /// Reads a line.
    pub(super) fn read(&mut self, line: &[u8]) -> Result<(), serde_json::Error> {
        match self.scan(line) {
            Some(()) => Ok(()),
            None => self.refer(line),
        }
    }

    /// By serde_json.
    pub(super) fn refer(&mut self, line: &[u8]) -> Result<(), serde_json::Error> {
        let wire: Wire = serde_json::from_slice(line)?;
        self.recv_ns = wire.recv_ns;
        self.direction = wire.dir;
        self.has_url = wire.url.is_some();
        self.conn.set(wire.conn);
        self.url.set(wire.url.unwrap_or_default());
        self.frame.set(wire.frame);
        Ok(())
    }

    /// By the scanner: a flat object of our keys, each once; `None` where the line is anything else.
    pub(super) fn scan(&mut self, line: &[u8]) -> Option<()> {
        const REQUIRED: u8 = 0b1_0110;
        let mut scanner = Scanner { bytes: line, at: 0 };
        let mut seen = 0_u8;
        (self.recv_ns, self.has_url) = (None, false);
        scanner.expect(b'{')?;
        loop {
            let key = scanner.key()?;
            let bit = match key {
                b"recv_ns" => {
                    self.recv_ns = scanner.integer_or_null()?;
                    0b00_0001
                }
                b"conn" => {
                    scanner.string(&mut self.conn)?;
                    0b00_0010
                }
                b"dir" => {
                    self.direction = scanner.direction()?;
                    0b00_0100
                }
                b"url" => {
                    scanner.string(&mut self.url)?;
                    self.has_url = true;
                    0b00_1000
                }
                b"frame" => {
                    scanner.string(&mut self.frame)?;
                    0b01_0000
                }
                _ => return None,
            };
            if seen & bit != 0 {
                return None;
            }
            seen |= bit;
            match scanner.next()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
        (seen & REQUIRED == REQUIRED && scanner.rest().trim_ascii().is_empty()).then_some(())
    }
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The next byte that is no space.
    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            if byte != b' ' {
                return Some(byte);
            }
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// A short word between quotes, without escapes.
    fn word(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let rest = self.rest();
        let end = rest.iter().take(16).position(|byte| *byte == b'"')?;
        self.at += end + 1;
        rest.get(..end)
    }

    fn key(&mut self) -> Option<&'a [u8]> {
        let word = self.word()?;
        self.expect(b':')?;
        Some(word)
    }

    fn direction(&mut self) -> Option<Direction> {
        match self.word()? {
            b"in" => Some(Direction::In),
            b"out" => Some(Direction::Out),
            b"http" => Some(Direction::Http),
            _ => None,
        }
    }

    /// An integer that surely fits, or `null`.
    fn integer_or_null(&mut self) -> Option<Option<i64>> {
        let first = self.next()?;
        if first == b'n' {
            self.rest().starts_with(b"ull").then_some(())?;
            self.at += 3;
            return Some(None);
        }
        self.at -= 1;
        let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        let digits = self.rest().get(..digits).filter(|digits| (1..=19).contains(&digits.len()))?;
        if digits[0] == b'0' && digits.len() > 1 {
            return None;
        }
        self.at += digits.len();
        // Nineteen digits always fit a `u64`.
        let value = digits.iter().fold(0_u64, |value, digit| value * 10 + u64::from(digit - b'0'));
        i64::try_from(value).ok().map(Some)
    }

    /// A string, unescaped.
    fn string(&mut self, text: &mut Text) -> Option<()> {
        self.expect(b'"')?;
        // No escape is shorter than what it means, and whole words are copied, whether all of one is wanted or not.
        let most = self.bytes.len() - self.at + WORD;
        if text.bytes.len() < most {
            text.bytes.resize(most, 0);
        }
        let (buffer, mut end) = (text.bytes.as_mut_slice(), 0);
        loop {
            let byte = match self.bytes.get(self.at..self.at + WORD).and_then(|word| <[u8; WORD]>::try_from(word).ok())
            {
                Some(word) => {
                    buffer[end..end + WORD].copy_from_slice(&word);
                    let run = plain_run(word);
                    (self.at, end) = (self.at + run, end + run);
                    match word.get(run) {
                        Some(byte) => *byte,
                        None => continue,
                    }
                }
                None => *self.bytes.get(self.at)?,
            };
            self.at += 1;
            match byte {
                b'"' => break,
                b'\\' => end += self.escape(&mut buffer[end..])?,
                0..0x20 => return None,
                _ => {
                    buffer[end] = byte;
                    end += 1;
                }
            }
        }
        text.len = end;
        Some(())
    }

    /// Writes what the escape behind a backslash means and says how long that is; half a surrogate pair means nothing.
    fn escape(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let letter = *self.bytes.get(self.at)?;
        self.at += 1;
        buffer[0] = match letter {
            b'"' | b'\\' | b'/' => letter,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let mut code = self.unit()?;
                if (0xD800..0xDC00).contains(&code) {
                    self.rest().starts_with(b"\\u").then_some(())?;
                    self.at += 2;
                    let low = self.unit()?.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
                    code = 0x1_0000 + ((code - 0xD800) << 10) + low;
                }
                return Some(char::from_u32(code)?.encode_utf8(buffer).len());
            }
            _ => return None,
        };
        Some(1)
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Option<u32> {
        let digits = self.rest().get(..4)?;
        self.at += 4;
        digits.iter().try_fold(0, |code, digit| Some(code * 16 + char::from(*digit).to_digit(16)?))
    }
}

/// Bytes of eight before the first quote, backslash or control character. Each sum raises the high bit of such bytes, and
/// falsely only of bytes behind one of them.
fn plain_run(word: [u8; WORD]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; WORD]);
    const HIGH: u64 = ONES << 7;
    let word = u64::from_le_bytes(word);
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGH;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let special = equal(b'"') | equal(b'\\') | below(word, 0x20);
    special.trailing_zeros() as usize / 8
}
