//! Places of instruments. One that is given back goes to whoever comes next, under another id: timers, replies and
//! whatever else may still speak of the one before find nobody.

use super::instrument::InstrumentState;
use crate::symbol::InstrumentId;

/// See the module.
#[derive(Default)]
pub(super) struct Slots {
    places: Vec<Option<InstrumentState>>,
    /// Who gets the places that were given back.
    free: Vec<InstrumentId>,
}

impl Slots {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Takes one in under the id that it is made with.
    pub(super) fn insert(
        &mut self,
        make: impl FnOnce(InstrumentId) -> InstrumentState,
    ) -> Option<&mut InstrumentState> {
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                let slot = u32::try_from(self.places.len()).ok()?;
                self.places.push(None);
                InstrumentId { slot, life: 0 }
            }
        };
        Some(self.places.get_mut(id.slot as usize)?.insert(make(id)))
    }

    /// Gives its place back.
    pub(super) fn remove(&mut self, id: InstrumentId) -> Option<InstrumentState> {
        let gone = self.places.get_mut(id.slot as usize)?.take_if(|state| state.subject.id == id)?;
        self.free.push(InstrumentId { life: id.life.wrapping_add(1), ..id });
        Some(gone)
    }

    #[inline]
    pub(super) fn get(&self, id: InstrumentId) -> Option<&InstrumentState> {
        self.places.get(id.slot as usize)?.as_ref().filter(|state| state.subject.id == id)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: InstrumentId) -> Option<&mut InstrumentState> {
        self.places.get_mut(id.slot as usize)?.as_mut().filter(|state| state.subject.id == id)
    }

    /// By their places.
    pub(super) fn iter(&self) -> impl Iterator<Item = &InstrumentState> {
        self.places.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut InstrumentState> {
        self.places.iter_mut().flatten()
    }
}
