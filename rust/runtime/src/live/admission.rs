//! May this process open one more connection to a host now?

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use xtrader_core::engine::{ConnDown, DownReason};

use super::budget::{Hold, Seat, Shared};
use super::down::down;
use super::sys;

/// What a connection waits for before it is opened, for whoever asks for a report.
#[derive(Clone, Debug, Default)]
pub struct Waiting(Arc<Mutex<Option<&'static str>>>);

impl Waiting {
    /// What it is, if it waits.
    #[must_use]
    pub fn for_what(&self) -> Option<&'static str> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, what: Option<&'static str>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }
}

/// Waits for a place among the connections that the host allows, then for its turn. A ban is told at once: the engine
/// knows when to come back.
pub async fn admitted(account: &Shared, waiting: &Waiting) -> Result<Option<Seat>, ConnDown> {
    waiting.set(Some("a place: this process holds as many connections to the host as it allows"));
    let seat = account.seat().await;
    loop {
        let held = account.lock().try_connect(sys::now());
        match held {
            Ok(()) => {
                waiting.set(None);
                return Ok(seat);
            }
            Err(Hold::Spent(wait)) => {
                waiting.set(Some("its turn: connections are opened no faster than the host allows"));
                tokio::time::sleep(Duration::from_nanos(wait)).await;
            }
            Err(Hold::Banned(left)) => {
                waiting.set(None);
                let retry_after_ms = Some(left.div_ceil(1_000_000));
                return Err(ConnDown { retry_after_ms, ..down(DownReason::Refused, "the host refuses this address") });
            }
        }
    }
}
