//! `login`: HMAC-SHA256 of `timestamp + "GET" + "/users/self/verify"`, in base64.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

use crate::config::Account;

/// How old a timestamp may be.
const FRESH_S: f64 = 30.0;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Login {
    api_key: String,
    passphrase: String,
    /// Seconds since the epoch; some clients write a fraction.
    timestamp: String,
    sign: String,
}

/// The account's tier, or the code and text of a refusal.
pub(crate) fn check(login: &Login, accounts: &[Account], now_ms: i64) -> Result<u8, (u32, &'static str)> {
    let Some(at) = login.timestamp.parse::<f64>().ok().filter(|t| t.is_finite()) else {
        return Err((60004, "Invalid timestamp"));
    };
    let account = accounts.iter().find(|a| a.key == login.api_key).ok_or((60005, "Invalid apiKey"))?;
    if (now_ms as f64 / 1000.0 - at).abs() > FRESH_S {
        return Err((60006, "Timestamp request expired"));
    }
    if login.passphrase != account.passphrase {
        return Err((60024, "Wrong passphrase"));
    }
    let sign = BASE64_STANDARD.decode(&login.sign).map_err(|_| (60007, "Invalid sign"))?;
    let mut mac = Hmac::<Sha256>::new_from_slice(account.secret.as_bytes()).map_err(|_| (60009, "Login failed"))?;
    mac.update(format!("{}GET/users/self/verify", login.timestamp).as_bytes());
    mac.verify_slice(&sign).map_err(|_| (60007, "Invalid sign"))?;
    Ok(account.tier)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account { key: "k".into(), secret: "22582BD0CFF14C41EDBF1AB98506286D".into(), passphrase: "p".into(), tier: 4 }
    }

    fn login(key: &str, passphrase: &str, timestamp: &str, sign: &str) -> Login {
        let text = |t: &str| t.to_owned();
        Login { api_key: text(key), passphrase: text(passphrase), timestamp: text(timestamp), sign: text(sign) }
    }

    /// `printf '1538054050GET/users/self/verify' | openssl dgst -sha256 -hmac KEY -binary | base64`
    const SIGN: &str = "+LdIr8lkkvhr5hoA3g9TMC0+uQJ849ftAcocA/ouu4M=";

    #[test]
    fn what_openssl_signs_is_accepted_and_everything_else_has_its_code() {
        let now = 1_538_054_050_000;
        let ask = |l: Login, now| check(&l, &[account()], now);
        assert_eq!(ask(login("k", "p", "1538054050", SIGN), now), Ok(4));
        let code = |l, now| ask(l, now).expect_err("a refusal").0;
        assert_eq!(code(login("k", "p", "soon", SIGN), now), 60004);
        assert_eq!(code(login("other", "p", "1538054050", SIGN), now), 60005);
        assert_eq!(code(login("k", "p", "1538054050", SIGN), now + 31_000), 60006);
        assert_eq!(code(login("k", "p", "1538054051", SIGN), now), 60007);
        assert_eq!(code(login("k", "p", "1538054050", "?"), now), 60007);
        assert_eq!(code(login("k", "q", "1538054050", SIGN), now), 60024);
    }
}
