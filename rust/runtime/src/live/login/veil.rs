//! What was sent to log in, blanked in all that comes back: an exchange may quote a request that it refuses (OKX §1, code
//! 60012), or a key that was changed while it was in use (close 4007), in a frame or in the words of a close.

use xtrader_core::config::Credentials;
use xtrader_core::exchange::{Login, Protocol, with_protocol};
use xtrader_core::symbol::Venue;

/// Fewer characters are no secret, and blanking them would eat the words of the answer.
const LEAST: usize = 4;

/// Lies over all that a connection says of itself, from the moment that a login is sent until the next one is.
pub struct Veil {
    venue: Venue,
    secrets: Vec<String>,
    /// Whether a secret may begin with this byte, as it is or behind escapes.
    begins: [bool; 256],
}

impl Veil {
    pub(super) fn new(venue: Venue, credentials: &Credentials, login: &Login) -> Self {
        let Credentials { key, secret, passphrase } = credentials;
        let sign = login.sign.as_deref().unwrap_or_default();
        // Backslashes are passed over on both sides: how many stand for one depends on who quotes whom.
        let plain = |secret: &str| secret.replace('\\', "");
        let secrets = [key, secret, passphrase, sign].map(plain);
        let secrets: Vec<String> = secrets.into_iter().filter(|secret| secret.chars().count() >= LEAST).collect();
        let mut begins = [false; 256];
        for byte in secrets.iter().filter_map(|secret| secret.bytes().next()).chain([b'\\']) {
            begins[usize::from(byte)] = true;
        }
        Self { venue, secrets, begins }
    }

    /// A frame as others may see it, where that differs. Data of the market are known by their first bytes and cost no more
    /// than a look at these.
    #[must_use]
    pub fn frame(&self, frame: &[u8]) -> Option<Vec<u8>> {
        with_protocol!(self.venue, P => {
            if P::begins_as_data(frame) {
                return None;
            }
            let tokenless = P::blank_secrets(frame);
            self.blank(tokenless.as_deref().unwrap_or(frame)).or(tokenless)
        })
    }

    /// The words of a close, as others may see them.
    #[must_use]
    pub fn words(&self, text: &str) -> String {
        self.blank(text.as_bytes()).map_or_else(|| text.to_owned(), |text| String::from_utf8_lossy(&text).into_owned())
    }

    /// `text` with every secret in it blanked, byte for byte as long; `None` where there is none.
    fn blank(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut blanked: Option<Vec<u8>> = None;
        for (at, byte) in text.iter().enumerate() {
            if !self.begins[usize::from(*byte)] {
                continue;
            }
            let rest = text.get(at..).unwrap_or_default();
            for length in self.secrets.iter().filter_map(|secret| spelled(rest, secret)) {
                let out = blanked.get_or_insert_with(|| text.to_vec());
                if let Some(secret) = out.get_mut(at..at.saturating_add(length)) {
                    secret.fill(b'*');
                }
            }
        }
        blanked
    }
}

/// How many bytes at the start of `text` spell `secret`, in whatever escapes JSON has for it and JSON quoted in JSON. A
/// text that ends within it counts: words of a close are cut.
fn spelled(text: &[u8], secret: &str) -> Option<usize> {
    let mut rest = text;
    for (matched, c) in secret.chars().enumerate() {
        if rest.is_empty() && matched >= LEAST {
            break;
        }
        rest = escaped(rest, c).or_else(|| literal(rest, c))?;
    }
    text.len().checked_sub(rest.len())
}

/// What follows `c` where it stands as it is, or behind backslashes.
fn literal(text: &[u8], c: char) -> Option<&[u8]> {
    let (text, _) = unslash(text);
    text.strip_prefix(c.encode_utf8(&mut [0; 4]).as_bytes())
}

/// What follows `c` where it stands as `\u…`, beyond the basic plane as two of them.
fn escaped(mut text: &[u8], c: char) -> Option<&[u8]> {
    for unit in c.encode_utf16(&mut [0; 2]) {
        let (behind, slashes) = unslash(text);
        let (digits, rest) = behind.strip_prefix(b"u").filter(|_| slashes > 0)?.split_at_checked(4)?;
        let digits = std::str::from_utf8(digits).ok()?;
        text = (u16::from_str_radix(digits, 16) == Ok(*unit)).then_some(rest)?;
    }
    Some(text)
}

fn unslash(text: &[u8]) -> (&[u8], usize) {
    let slashes = text.iter().take_while(|b| **b == b'\\').count();
    (text.get(slashes..).unwrap_or_default(), slashes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use xtrader_core::exchange::Answer;
    use xtrader_core::exchange::okx::Okx;

    use super::*;

    fn veil(key: &str, secret: &str, passphrase: &str) -> (Veil, String) {
        let credentials = Credentials { key: key.into(), secret: secret.into(), passphrase: passphrase.into() };
        super::super::request(Venue::Okx, &credentials, 1_538_054_050_000_000_000, 3).expect("it has a login")
    }

    fn shown(veil: &Veil, frame: &str) -> String {
        String::from_utf8(veil.frame(frame.as_bytes()).expect("blanked")).expect("text")
    }

    // Fault: Z05
    #[test]
    fn a_refusal_that_quotes_the_request_shows_neither_credentials_nor_sign() {
        let (veil, request) = veil("the-key-7f3a", "the\"secret\\7f3a", "päss/\"7f3a😀");
        let sign = serde_json::from_str::<serde_json::Value>(&request).expect("JSON")["args"][0]["sign"].clone();
        let sign = sign.as_str().expect("a text");
        let message = format!("Invalid request: {request}");
        let plain = json!({"id": "3", "event": "error", "code": "60012", "msg": message}).to_string();
        // Other writers escape what ours does not.
        let ascii: String = plain.chars().fold(String::new(), |mut out, c| {
            match c {
                '/' => out.push_str("\\/"),
                '=' => out.push_str("\\u003D"),
                c if c.is_ascii() => out.push(c),
                c => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
            }
            out
        });
        for frame in [plain, ascii] {
            let shown = shown(&veil, &frame);
            let escaped_sign = sign.replace('/', "\\/").replace('=', "\\u003D");
            for secret in ["7f3a", "the-key", "ecret", "ss/", sign, &escaped_sign, "1f600", "ude00"] {
                assert!(!shown.contains(secret), "{secret} in {shown}");
            }
            let answer = Okx::read_answer(shown.as_bytes());
            let Some(Answer::Refused { id: Some(3), code: 60012, text, .. }) = answer else { panic!("{answer:?}") };
            assert!(text.starts_with("Invalid request: {") && text.contains("apiKey"), "{text}");
        }
    }

    // Fault: Z05
    #[test]
    fn words_that_are_cut_within_a_secret_do_not_show_what_is_left_of_it() {
        let (veil, _) = veil("the-key-7f3a", "secret-7f3a", "pass-7f3a");
        assert_eq!(veil.words("Login failed: the-key-7f3a, pass-7"), "Login failed: ************, ******");
        assert_eq!(veil.words("Login failed"), "Login failed");
    }

    #[test]
    fn what_is_too_short_to_be_secret_eats_no_words() {
        let (veil, _) = veil("k", "e", "");
        assert_eq!(veil.frame(br#"{"event":"login","code":"0","msg":"","connId":"a4d3ae55"}"#), None);
        assert_eq!(veil.words("key"), "key");
    }

    // Fault: Z05
    #[test]
    fn an_answer_loses_its_tokens_and_what_it_quotes() {
        let credentials = Credentials { key: "my-id".into(), secret: "my-secret".into(), passphrase: String::new() };
        let (veil, _) = super::super::request(Venue::Deribit, &credentials, 0, 2).expect("it has a login");
        let answer =
            r#"{"jsonrpc":"2.0","id":2,"result":{"access_token":"canary","token_type":"bearer","of":"my-id"}}"#;
        let blank = r#"{"jsonrpc":"2.0","id":2,"result":{"access_token":"******","token_type":"bearer","of":"*****"}}"#;
        assert_eq!(veil.frame(answer.as_bytes()), Some(blank.as_bytes().to_vec()));
        assert_eq!(veil.frame(br#"{"jsonrpc":"2.0","method":"heartbeat"}"#), None);
    }

    /// What only begins like data is none: members may stand in any order.
    // Fault: Z05
    #[test]
    fn data_of_the_market_are_not_looked_through_and_nothing_else_is_taken_for_them() {
        let (okx, _) = veil("the-key-7f3a", "secret-7f3a", "pass-7f3a");
        let credentials =
            Credentials { key: "the-key-7f3a".into(), secret: "secret-7f3a".into(), passphrase: String::new() };
        let (deribit, _) = super::super::request(Venue::Deribit, &credentials, 0, 2).expect("it has a login");
        for (veil, data) in [
            (&okx, r#"{"arg":{"channel":"trades","instId":"the-key-7f3a"},"data":[]}"#),
            (&okx, r#"{"arg":{"channel":"books","instId":"the-key-7f3a"},"action":"update","data":[]}"#),
            (&deribit, r#"{"jsonrpc":"2.0","method":"subscription","params":{"channel":"the-key-7f3a"}}"#),
        ] {
            assert_eq!(veil.frame(data.as_bytes()), None);
        }
        for (veil, word) in [
            (&okx, r#"{"arg":{"channel":"trades","instId":"BTC-USDT"},"event":"error","msg":"the-key-7f3a"}"#),
            (&okx, r#"{"arg":{"channel":"trades","msg":"the-key-7f3a"#),
            (&okx, r#"{"event":"error","code":"60009","msg":"the-key-7f3a"}"#),
            (
                &deribit,
                r#"{"jsonrpc":"2.0","method":"subscription","params":{"channel":"platform_state","data":"the-key-7f3a"}}"#,
            ),
            (&deribit, r#"{"jsonrpc":"2.0","method":"notice","params":{"text":"the-key-7f3a"}}"#),
            (&deribit, r#"{"jsonrpc":"2.0","id":7,"error":{"code":13009,"message":"the-key-7f3a"}}"#),
        ] {
            assert_eq!(shown(veil, word), word.replace("the-key-7f3a", "************"));
        }
    }
}
