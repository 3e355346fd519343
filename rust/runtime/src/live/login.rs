//! Credentials: where they come from, what they become, and that nobody sees them.
//!
//! They live in the shard and nowhere else. The engine wishes to log in, and gets the answer without its secrets.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use xtrader_core::config::Credentials;
use xtrader_core::exchange::{Protocol, with_protocol};
use xtrader_core::symbol::Venue;

pub use self::veil::Veil;
use crate::error::RuntimeError;

mod veil;

/// Largest file of credentials, in bytes.
const MAX_FILE: u64 = 64 << 10;
/// Rights of those who are neither the owner nor of the group.
const OTHERS: u32 = 0o007;

/// Where credentials come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginSource {
    /// Environment variables of this prefix: `OKX` means `OKX_KEY`, `OKX_SECRET` and, where there is one,
    /// `OKX_PASSPHRASE`.
    Env(String),
    /// A file: a JSON object, or lines `KEY=VALUE`, with `key`, `secret` and `passphrase`.
    File(PathBuf),
}

impl LoginSource {
    /// Reads what the venue takes.
    ///
    /// # Errors
    /// A venue without a login; a file that others may read; a text that is missing or empty, by its name and never by
    /// its value.
    pub fn read(&self, venue: Venue) -> Result<Credentials, RuntimeError> {
        let wanted = with_protocol!(venue, P => P::CREDENTIALS);
        if wanted.is_empty() {
            return Err(refuse(&format!("{} has none; leave it out", venue.id())));
        }
        let texts = match self {
            Self::Env(prefix) => Texts::Env(prefix),
            Self::File(path) => Texts::File(path, read_file(path)?),
        };
        let mut credentials = Credentials { key: String::new(), secret: String::new(), passphrase: String::new() };
        for name in wanted {
            let text = texts.get(name)?;
            *field(&mut credentials, name) = text;
        }
        Ok(credentials)
    }
}

/// The request that logs in, and what lies over the connection from then on.
#[must_use]
pub fn request(venue: Venue, credentials: &Credentials, wall: i64, id: u64) -> Option<(Veil, String)> {
    let login = with_protocol!(venue, P => P::login(credentials, wall, id))?;
    Some((Veil::new(venue, credentials, &login), login.text))
}

fn field<'a>(credentials: &'a mut Credentials, name: &str) -> &'a mut String {
    match name {
        "key" => &mut credentials.key,
        "secret" => &mut credentials.secret,
        _ => &mut credentials.passphrase,
    }
}

type Pairs = Vec<(&'static str, String)>;

enum Texts<'a> {
    Env(&'a str),
    File(&'a Path, Pairs),
}

impl Texts<'_> {
    fn get(&self, name: &str) -> Result<String, RuntimeError> {
        let (found, place) = match self {
            Self::Env(prefix) => {
                let variable = format!("{prefix}_{}", name.to_ascii_uppercase());
                (read_variable(&variable)?, format!("the environment variable {variable}"))
            }
            Self::File(path, pairs) => {
                let found = pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
                (found, format!("{name:?} in {}", path.display()))
            }
        };
        match found {
            Some(text) if !text.is_empty() => Ok(text),
            Some(_) => Err(refuse(&format!("{place} is empty; give it its text"))),
            None => Err(refuse(&format!("{place} is missing; set it, or name another place"))),
        }
    }
}

/// `None` where it is not set. Its text is nobody's business, also where it is no text.
fn read_variable(name: &str) -> Result<Option<String>, RuntimeError> {
    if name.contains(['=', '\0']) {
        return Err(refuse(&format!("{name:?} cannot be the name of an environment variable; choose another prefix")));
    }
    match std::env::var_os(name).map(std::ffi::OsString::into_string) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text.trim().to_owned())),
        Some(Err(_)) => Err(refuse(&format!("the environment variable {name} is not UTF-8"))),
    }
}

fn read_file(path: &Path) -> Result<Pairs, RuntimeError> {
    let about = fs::metadata(path).map_err(RuntimeError::io(path, "read credentials"))?;
    let place = path.display();
    if about.permissions().mode() & OTHERS != 0 {
        return Err(refuse(&format!("{place} holds secrets and every user of this machine may open it; chmod 600 it")));
    }
    if about.len() > MAX_FILE {
        return Err(refuse(&format!("{place} is larger than {MAX_FILE} bytes; that is no file of credentials")));
    }
    let bytes = fs::read(path).map_err(RuntimeError::io(path, "read credentials"))?;
    let text = String::from_utf8(bytes).map_err(|_| refuse(&format!("{} is not UTF-8", path.display())))?;
    if text.trim_start().starts_with('{') { from_json(path, &text) } else { from_lines(path, &text) }
}

/// What a file may tell. What stands in the place of a key may be a secret, and is not shown.
fn known(key: &str) -> Option<&'static str> {
    ["key", "secret", "passphrase"].into_iter().find(|name| name.eq_ignore_ascii_case(key.trim()))
}

const UNKNOWN: &str = "what stands there as a key is none of key, secret and passphrase";

/// The texts of serde name what they found; so only places are told.
fn from_json(path: &Path, text: &str) -> Result<Pairs, RuntimeError> {
    let place = path.display();
    let object: serde_json::Map<String, Value> = serde_json::from_str(text)
        .map_err(|e| refuse(&format!("{place}, line {}, column {}: not a JSON object", e.line(), e.column())))?;
    let pair = |(key, value): (String, Value)| match (known(&key), value) {
        (Some(key), Value::String(text)) => Ok((key, text.trim().to_owned())),
        (Some(key), _) => Err(refuse(&format!("{place}: {key:?} is not a text; put it in quotes"))),
        (None, _) => Err(refuse(&format!("{place}: {UNKNOWN}"))),
    };
    object.into_iter().map(pair).collect()
}

fn from_lines(path: &Path, text: &str) -> Result<Pairs, RuntimeError> {
    let mut pairs = Vec::new();
    for (i, line) in text.lines().enumerate().map(|(i, line)| (i, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let refuse_line = |problem| refuse(&format!("{}, line {}: {problem}", path.display(), i.saturating_add(1)));
        let (key, value) = line.split_once('=').ok_or_else(|| refuse_line("it takes KEY=VALUE"))?;
        let key = known(key).ok_or_else(|| refuse_line(UNKNOWN))?;
        let value = value.trim();
        let quoted = |mark: char| value.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark));
        let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
        pairs.push((key, value.to_owned()));
    }
    Ok(pairs)
}

fn refuse(problem: &str) -> RuntimeError {
    RuntimeError::Options(format!("login: {problem}"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const CANARY: &str = "canary-7f3a";

    struct Secrets(PathBuf);

    impl Secrets {
        fn new(name: &str, text: &str, mode: u32) -> Self {
            let path = std::env::temp_dir().join(format!("xtrader-login-{}-{name}", std::process::id()));
            fs::write(&path, text).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
            Self(path)
        }

        fn read(&self, venue: Venue) -> Result<Credentials, RuntimeError> {
            LoginSource::File(self.0.clone()).read(venue)
        }
    }

    impl Drop for Secrets {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    fn parts(credentials: &Credentials) -> [&str; 3] {
        let Credentials { key, secret, passphrase } = credentials;
        [key, secret, passphrase]
    }

    #[test]
    fn both_forms_of_a_file_say_the_same() {
        let json = Secrets::new("json", r#" {"key": "k", "secret": "s=1", "passphrase": " p "}"#, 0o600);
        let lines = Secrets::new("lines", "# mine\nKEY=k\n\nsecret = \"s=1\"\npassphrase='p'\n", 0o600);
        for file in [json, lines] {
            assert_eq!(parts(&file.read(Venue::Okx).expect("complete")), ["k", "s=1", "p"]);
            assert_eq!(parts(&file.read(Venue::Deribit).expect("more than it takes")), ["k", "s=1", ""]);
        }
    }

    // Fault: G08
    #[test]
    fn a_file_that_everybody_may_read_is_refused() {
        let open = Secrets::new("open", "key=k\nsecret=s", 0o644).read(Venue::Deribit).expect_err("open").to_string();
        assert!(open.contains("chmod 600"), "{open}");
    }

    // Fault: G08, Z05
    #[test]
    fn what_is_missing_or_wrong_is_named_and_nothing_of_it_is_shown() {
        for (name, text, wanted) in [
            ("a", format!("key={CANARY}\nsecret="), "\"secret\" in"),
            ("b", format!("key={CANARY}"), "\"secret\" in"),
            ("c", format!("key=k\n{CANARY}"), "line 2"),
            ("d", format!(r#"{{"key": "k", "secret": "{CANARY}""#), "line 1"),
            ("e", format!(r#"{{"key": {{"{CANARY}": 1}}, "secret": "s"}}"#), "\"key\" is not a text"),
            ("f", format!("key=k\nsecret={CANARY}\ntoken={CANARY}"), "line 3: what stands there as a key is none of"),
            ("h", format!("key: k\nsecret: {CANARY}=="), "line 1: it takes KEY=VALUE"),
            ("i", format!("key=k\nsecret: {CANARY}=="), "line 2: what stands there"),
            ("j", format!(r#"{{"key": "k", "{CANARY}": "secret"}}"#), "none of key, secret and passphrase"),
            ("k", format!(r#"{{"key": "k", "{CANARY}": 7}}"#), "none of key, secret and passphrase"),
        ] {
            let error = Secrets::new(name, &text, 0o600).read(Venue::Deribit).expect_err(name).to_string();
            assert!(error.contains(wanted) && !error.contains(CANARY), "{error}");
        }
        let unset = LoginSource::Env("XTRADER_TEST_UNSET".into()).read(Venue::Okx).expect_err("unset").to_string();
        assert!(unset.contains("XTRADER_TEST_UNSET_KEY is missing"), "{unset}");
        let none = LoginSource::Env("X".into()).read(Venue::BinanceSpot).expect_err("no login").to_string();
        assert!(none.contains("binance-spot has none"), "{none}");
        let login = Secrets::new("g", &format!("key={CANARY}\nsecret={CANARY}"), 0o600).read(Venue::Deribit);
        assert!(!format!("{login:?}").contains(CANARY), "{login:?}");
    }
}
