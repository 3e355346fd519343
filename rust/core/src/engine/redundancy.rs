//! How many connections carry what, against how many should: the state that someone is to be woken for.

use super::connection::Connection;
use super::{Engine, lanes};
use crate::config::Stream;
use crate::report::{LaneState, LinkState, Redundancy};
use crate::symbol::InstrumentId;
use crate::table::ConnState;

impl Engine {
    /// Every lane: a set of channels that as many connections carry as are configured.
    #[must_use]
    pub fn lanes(&self) -> Vec<LaneState> {
        if !self.cx.live {
            return Vec::new();
        }
        lanes::numbers(&self.connections).into_iter().map(|lane| self.lane(lane)).collect()
    }

    fn lane(&self, lane: u16) -> LaneState {
        let now = self.cx.now.at.mono;
        let members = || self.connections.iter().filter(|c| c.is_in_use() && c.lane == lane);
        let links =
            members().map(|c| LinkState { conn_id: c.id.0, place: c.place, state: c.stands(now).name() }).collect();
        let holders = || members().filter(|c| c.trial().is_none());
        let wanted = self.cx.config.connections;
        let (mut on_one, mut on_none) = (Vec::new(), Vec::new());
        for channel in members().next().into_iter().flat_map(|first| &first.channels) {
            let carries =
                |c: &&Connection| c.is_up() && c.channels.iter().any(|own| own.name == channel.name && own.serves());
            let streams = || channel.serves.iter().filter_map(|(id, stream)| self.stream_name(*id, *stream));
            match members().filter(carries).count() {
                0 => on_none.extend(streams()),
                1 if wanted > 1 => on_one.extend(streams()),
                _ => {}
            }
        }
        LaneState {
            wanted,
            up: count(holders().filter(|c| c.is_up())),
            parked: count(holders().filter(|c| c.stands(now) == ConnState::Parked)),
            links,
            on_one,
            on_none,
        }
    }

    fn stream_name(&self, id: InstrumentId, stream: Stream) -> Option<String> {
        let state = self.instruments.peek(id)?;
        Some(format!("{}:{} {}", state.subject.exchange.id(), state.symbol, stream.name()))
    }

    /// All lanes together, in numbers.
    pub(super) fn redundancy(&self) -> Redundancy {
        let lanes = self.lanes();
        let sum = |of: fn(&LaneState) -> usize| lanes.iter().map(of).sum::<usize>() as u64;
        Redundancy {
            wanted: sum(|lane| lane.wanted.into()),
            up: sum(|lane| lane.up.into()),
            parked: sum(|lane| lane.parked.into()),
            streams_on_one: sum(|lane| lane.on_one.len()),
            streams_on_none: sum(|lane| lane.on_none.len()),
            replaced: self.cx.counters.replacements.done,
            replaced_without_overlap: self.cx.counters.replacements.without_overlap,
            replacements_given_up: self.cx.counters.replacements.given_up,
        }
    }
}

fn count<'c>(connections: impl Iterator<Item = &'c Connection>) -> u16 {
    u16::try_from(connections.count()).unwrap_or(u16::MAX)
}
