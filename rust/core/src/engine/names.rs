//! Who bears which symbol: no two instruments of one market share one.
//!
//! Several native names may come to one symbol (Deribit `BTC-PERPETUAL` and `BTC_USD-PERPETUAL`, OKX `AB-CUSDT` and
//! `ABC-USDT`), told by one reply, by several or by none. So each instrument asks for its symbol here, whoever tells of
//! it. What two have asked for nobody bears from then on, as long as the engine lives: each of them goes by its own native
//! name, and no symbol passes from one to another, unless its bearer has been forgotten to make room.

use hashbrown::HashMap;

use crate::symbol::Exchange;

/// A symbol that was asked for.
struct Claim {
    /// The native name of whoever asked first: its bearer, unless it is shared.
    first: Box<str>,
    /// Others have asked for it too.
    is_shared: bool,
}

/// See the module.
#[derive(Default)]
pub(super) struct Names {
    /// Of each market.
    claims: [HashMap<Box<str>, Claim, foldhash::fast::FixedState>; Exchange::ALL.len()],
}

impl Names {
    /// An instrument asks for a symbol; its own native name is its own in any case. Yields the native names of whoever
    /// has to share one from now on.
    pub(super) fn claim(&mut self, market: Exchange, native: &str, symbol: &str) -> Vec<Box<str>> {
        let claims = &mut self.claims[market as usize];
        let mut parted = Vec::new();
        for name in [symbol, native] {
            match claims.get_mut(name) {
                Some(claim) if *claim.first == *native || claim.is_shared => {}
                Some(claim) => {
                    claim.is_shared = true;
                    parted.push(claim.first.clone());
                }
                None => {
                    claims.insert(name.into(), Claim { first: native.into(), is_shared: false });
                }
            }
        }
        parted
    }

    /// The name of an instrument that asked for this symbol.
    pub(super) fn given<'a>(&self, market: Exchange, native: &'a str, symbol: &'a str) -> &'a str {
        let claim = self.claims[market as usize].get(symbol);
        if claim.is_some_and(|claim| claim.is_shared) { native } else { symbol }
    }

    /// Nobody knows an instrument any more: what it alone has asked for is free.
    pub(super) fn forget(&mut self, market: Exchange, native: &str, symbol: &str) {
        let claims = &mut self.claims[market as usize];
        for name in [symbol, native] {
            if claims.get(name).is_some_and(|claim| !claim.is_shared && *claim.first == *native) {
                claims.remove(name);
            }
        }
    }

    /// Forgets what those alone have asked for that nobody knows any more.
    pub(super) fn retain(&mut self, is_known: impl Fn(&str) -> bool) {
        for claims in &mut self.claims {
            claims.retain(|_, claim| claim.is_shared || is_known(&claim.first));
        }
    }
}
