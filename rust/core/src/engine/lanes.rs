//! A lane is a set of channels that as many connections carry as are configured, each of them the whole set. Here is the
//! one place that connections come from: at the start, for more channels, for more copies, in the stead of others.

use super::connection::Connection;
use super::context::Context;
use super::repeats::Repeats;
use crate::config::ConfigError;
use crate::exchange::{Limits, Protocol, with_protocol};
use crate::symbol::ConnId;
use crate::time::NS_PER_MS;

/// How much of the distance between two openings is left to chance, as its divisor.
const RAMP_JITTER: u64 = 4;
/// By how much faster connections come back where no other of their lane is left.
const HURRY: u64 = 10;

/// A lane of the family that can carry one more channel.
pub(super) fn room(cx: &Context, connections: &[Connection], family: u8) -> Option<u16> {
    let most = limits(cx).channels_per_connection;
    let has_room = |c: &&Connection| c.is_in_use() && c.family == family && c.channels.len() < most;
    connections.iter().find(has_room).map(|connection| connection.lane)
}

/// The same, and a new one where there is none.
pub(super) fn with_room(
    cx: &mut Context,
    connections: &mut Vec<Connection>,
    repeats: &mut [Repeats],
    family: u8,
) -> Result<u16, ConfigError> {
    if let Some(lane) = room(cx, connections, family) {
        return Ok(lane);
    }
    let each = cx.config.connections;
    if seats(cx, connections).is_some_and(|free| free < usize::from(each)) {
        return Err(full(cx));
    }
    let lane = free_number(connections).ok_or_else(|| full(cx))?;
    // What is kept by the number was another's.
    cx.ledger.begin_lane(lane);
    if let Some(repeats) = repeats.get_mut(usize::from(lane)) {
        repeats.clear();
    }
    for place in 0..each {
        let conn = create(cx, connections, lane, place, family).ok_or_else(|| full(cx))?;
        open(cx, connections, conn, None);
    }
    Ok(lane)
}

/// The exchange allows no more.
pub(super) fn full(cx: &Context) -> ConfigError {
    too_many(cx, cx.config.connections)
}

/// The exchange allows no more, where so many carry each symbol.
pub(super) fn too_many(cx: &Context, each: u16) -> ConfigError {
    let (limits, allowed) = (limits(cx), allowed(cx));
    let whose = if allowed == limits.connections { "" } else { " that are logged in by one key" };
    ConfigError::Connections { exchange: cx.config.venue.id(), allowed, whose, each }
}

/// Connections that the exchange allows at once; 0 is no limit.
pub(super) fn allowed(cx: &Context) -> u32 {
    limits(cx).connections_at_once(cx.config.login)
}

/// How many connections more the exchange allows; `None` where it sets no limit.
pub(super) fn seats(cx: &Context, connections: &[Connection]) -> Option<usize> {
    let allowed = allowed(cx) as usize;
    (allowed > 0).then(|| allowed.saturating_sub(connections.iter().filter(|c| !c.is_free()).count()))
}

/// The lowest number that is no lane's: also not of one whose last connection is still on its way down.
fn free_number(connections: &[Connection]) -> Option<u16> {
    (0..=u16::MAX).find(|lane| connections.iter().all(|c| c.is_free() || c.lane != *lane))
}

/// The numbers of the lanes that there are.
pub(super) fn numbers(connections: &[Connection]) -> Vec<u16> {
    let mut numbers: Vec<u16> = connections.iter().filter(|c| c.is_in_use()).map(|c| c.lane).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// Makes a connection for a place of a lane, with the channels of the others of that lane, and gives it a number:
/// that of one that is gone for good where there is such. `None` where all numbers are taken.
pub(super) fn create(
    cx: &mut Context,
    connections: &mut Vec<Connection>,
    lane: u16,
    place: u16,
    family: u8,
) -> Option<ConnId> {
    let url = with_protocol!(cx.config.venue, P => P::url(&cx.endpoints.ws, family));
    let others = connections.iter().find(|c| c.is_in_use() && c.lane == lane);
    let channels = others.map(|c| c.channels.iter().map(super::subscription::Channel::anew).collect());
    let at = connections.iter().position(Connection::is_free).unwrap_or(connections.len());
    let id = ConnId(u16::try_from(at.checked_add(1)?).ok()?);
    let mut connection = Connection::new(id, family, url);
    (connection.lane, connection.place) = (lane, place);
    connection.channels = channels.unwrap_or_default();
    match connections.get_mut(at) {
        Some(gone) => {
            connection.follow(gone);
            cx.ledger.renew(id);
            *gone = connection;
        }
        None => connections.push(connection),
    }
    Some(id)
}

/// Opens a connection after a delay, and later if another of its lane opens then: what begins in one moment would be
/// cut in one moment. Without a delay at all it opens within this input, if it may.
pub(super) fn open(cx: &mut Context, connections: &mut [Connection], conn: ConnId, delay_ms: Option<u64>) {
    let now = cx.now.at.mono;
    let Some(own) = super::find(connections, conn) else { return };
    let lane = own.lane;
    let siblings = || connections.iter().filter(|c| c.is_in_use() && c.lane == lane && c.id != conn);
    let mut openings: Vec<u64> = siblings().filter_map(Connection::opening).collect();
    openings.sort_unstable();
    let was_up = connections.iter().any(|c| c.is_in_use() && c.lane == lane && c.has_been_up());
    let hurry = was_up && !siblings().any(Connection::is_open);
    let ramp = cx.config.arbitration.ramp_ms.saturating_mul(NS_PER_MS.unsigned_abs()) / if hurry { HURRY } else { 1 };
    let mut at = now.saturating_add(delay_ms.unwrap_or(0).saturating_mul(NS_PER_MS.unsigned_abs()));
    for other in openings {
        if at.abs_diff(other) < ramp {
            at = other.saturating_add(ramp).saturating_add(cx.jitter.below(ramp / RAMP_JITTER));
        }
    }
    let Some(own) = super::find(connections, conn) else { return };
    if at <= now && delay_ms.is_none() { own.open(cx) } else { own.open_at(cx, at) }
}

pub(super) fn limits(cx: &Context) -> Limits {
    with_protocol!(cx.config.venue, P => P::LIMITS)
}
