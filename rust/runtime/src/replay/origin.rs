//! Whose data a recording holds: the host of its first URL tells, else the name of file or folder, else the caller.

use std::path::Path;

use url::Url;
use xtrader_core::symbol::Venue;

use crate::error::RuntimeError;

/// Hosts and the exchanges behind them. A host matches with everything below it, and the first match counts.
const HOSTS: &[(&str, &str)] = &[
    ("fstream.binance.com", "binance-futures"),
    ("fapi.binance.com", "binance-futures"),
    ("ws-fapi.binance.com", "binance-futures"),
    ("demo-fstream.binance.com", "binance-futures"),
    ("demo-fapi.binance.com", "binance-futures"),
    ("fstream.binancefuture.com", "binance-futures"),
    ("stream.binancefuture.com", "binance-futures"),
    ("testnet.binancefuture.com", "binance-futures"),
    ("dstream.binance.com", "binance-coinm"),
    ("dapi.binance.com", "binance-coinm"),
    ("dstream.binancefuture.com", "binance-coinm"),
    ("binance.com", "binance-spot"),
    // A venue of its own, in the same dialect.
    ("binance.us", "binance-spot"),
    ("binance.vision", "binance-spot"),
    ("okx.com", "okx"),
    ("okex.com", "okx"),
    ("deribit.com", "deribit"),
    ("drb.coinbase.com", DERIBIT_AT_COINBASE),
    ("coinbase.com", "coinbase"),
    ("futures.kraken.com", "kraken-futures"),
    ("demo-futures.kraken.com", "kraken-futures"),
    ("kraken.com", "kraken"),
    ("bybit.com", "bybit"),
    ("hyperliquid.xyz", "hyperliquid"),
    ("hyperliquid-testnet.xyz", "hyperliquid"),
];

/// Its amounts are in base coin, where Deribit's own gateways count dollars (Deribit §1): converted, each would be wrong by
/// the price.
const DERIBIT_AT_COINBASE: &str = "Deribit's gateway at Coinbase, whose amounts are in base coin already: leave its url \
     out of the recording, and replay it with --exchange deribit --size-unit native";

/// Names of folders and files and the exchanges they mean. Longer ones stand before their beginnings.
const NAMES: &[(&str, &str)] = &[
    ("binance_usdm", "binance-futures"),
    ("binance-futures", "binance-futures"),
    ("binance_coinm", "binance-coinm"),
    ("binance-coinm", "binance-coinm"),
    ("binance-spot", "binance-spot"),
    ("binance", "binance-spot"),
    ("okx", "okx"),
    ("deribit", "deribit"),
    ("kraken_futures", "kraken-futures"),
    ("kraken-futures", "kraken-futures"),
    ("kraken", "kraken"),
    ("coinbase", "coinbase"),
    ("bybit", "bybit"),
    ("hyperliquid", "hyperliquid"),
];

/// The venues that are built in, for messages.
pub(super) fn supported() -> String {
    Venue::ALL.map(Venue::id).join(", ")
}

/// The venue of a recording, told by the host of its first URL, else by the name of file or folder.
///
/// # Errors
/// Neither tells, or the exchange is not supported.
pub fn recorded_venue(path: &Path, url: Option<&str>) -> Result<Venue, RuntimeError> {
    venue(path, url, None)
}

/// The venue of a recording. `given` decides where the recording says nothing, and must not contradict it.
pub(super) fn venue(path: &Path, url: Option<&str>, given: Option<Venue>) -> Result<Venue, RuntimeError> {
    let host = url.and_then(host);
    if let Some((host, id)) = host.as_deref().and_then(|host| Some((host, of_host(host)?))) {
        let found = || format!("host {host:?}");
        return agree(path, known(path, id, found)?, given, found);
    }
    if let Some(venue) = given {
        return Ok(venue);
    }
    let Some((name, id)) = by_name(path) else {
        let problem = match host {
            Some(host) => format!("neither host {host:?} nor the name of file or folder tells the exchange"),
            None => "it begins without a `url`, and neither file nor folder is named after an exchange".to_owned(),
        };
        return Err(RuntimeError::UnknownExchange { path: path.to_owned(), problem, supported: supported() });
    };
    known(path, id, || format!("name {name:?}"))
}

/// The exchange that a host belongs to; `None` for a host nobody here knows (a simulator, a proxy).
pub(super) fn of_host(host: &str) -> Option<&'static str> {
    let below = |parent: &str| host.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    HOSTS.iter().find(|(parent, _)| below(parent)).map(|(_, id)| *id)
}

/// The host of a URL, in lower case.
pub(super) fn host(url: &str) -> Option<String> {
    Url::parse(url).ok()?.host_str().map(str::to_ascii_lowercase)
}

fn known(path: &Path, id: &str, found: impl FnOnce() -> String) -> Result<Venue, RuntimeError> {
    let venue = Venue::ALL.into_iter().find(|venue| venue.id() == id);
    venue.ok_or_else(|| RuntimeError::UnsupportedExchange {
        path: path.to_owned(),
        found: format!("{} ({id})", found()),
        supported: supported(),
    })
}

fn agree(
    path: &Path,
    venue: Venue,
    given: Option<Venue>,
    found: impl FnOnce() -> String,
) -> Result<Venue, RuntimeError> {
    match given {
        Some(given) if given != venue => Err(RuntimeError::Options(format!(
            "{}: {} is {}, not {}; leave the exchange out or name another recording",
            path.display(),
            found(),
            venue.id(),
            given.id()
        ))),
        _ => Ok(venue),
    }
}

/// By the file's name, up to its first dot or as its beginning, then by the folder's.
fn by_name(path: &Path) -> Option<(&'static str, &'static str)> {
    let begins = |text: &str, name: &str| {
        text.strip_prefix(name).is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_alphanumeric()))
    };
    let find = |text: &str| NAMES.iter().find(|(name, _)| begins(text, name)).copied();
    let file = path.file_name().and_then(|name| name.to_str()).and_then(find);
    file.or_else(|| {
        let folder = path.parent()?.file_name()?.to_str()?;
        NAMES.iter().find(|(name, _)| *name == folder).copied()
    })
}
