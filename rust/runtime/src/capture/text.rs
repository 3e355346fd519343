//! JSON strings, unescaped into a buffer that is used again.

use memchr::memchr;

/// The text of a JSON string (with its quotes): borrowed where nothing is escaped, else from `buffer`. `None` where it is
/// no string or an escape means no character.
pub(super) fn unescape<'a>(quoted: &'a str, buffer: &'a mut String) -> Option<&'a str> {
    let mut rest = quoted.strip_prefix('"')?.strip_suffix('"')?;
    let Some(mut escape) = memchr(b'\\', rest.as_bytes()) else { return Some(rest) };
    buffer.clear();
    buffer.reserve(rest.len());
    loop {
        buffer.push_str(rest.get(..escape)?);
        rest = rest.get(escape + 1..)?;
        let (letter, after) = (rest.as_bytes().first()?, rest.get(1..)?);
        rest = after;
        buffer.push(match letter {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let (character, after) = unicode(rest)?;
                rest = after;
                character
            }
            _ => return None,
        });
        match memchr(b'\\', rest.as_bytes()) {
            Some(next) => escape = next,
            None => {
                buffer.push_str(rest);
                return Some(buffer);
            }
        }
    }
}

/// The character behind `\u`, and what follows it.
fn unicode(rest: &str) -> Option<(char, &str)> {
    let (first, rest) = unit(rest)?;
    if !(0xD800..0xE000).contains(&first) {
        return Some((char::from_u32(first)?, rest));
    }
    let (second, rest) = unit(rest.strip_prefix("\\u")?)?;
    let low = second.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
    let high = first.checked_sub(0xD800).filter(|high| *high < 0x400)?;
    Some((char::from_u32(0x1_0000 + (high << 10) + low)?, rest))
}

/// Four hexadecimal digits.
fn unit(rest: &str) -> Option<(u32, &str)> {
    let digits = rest.get(..4)?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    Some((u32::from_str_radix(digits, 16).ok()?, rest.get(4..)?))
}
