//! Edits to the bytes of a frame.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

#[derive(Clone, Debug)]
pub(super) struct Damage(Vec<(Index, u8, u8)>);

impl Damage {
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
        for (at, how, byte) in &self.0 {
            if bytes.is_empty() {
                return;
            }
            let at = at.index(bytes.len());
            match how % 4 {
                0 => bytes[at] = *byte,
                1 => bytes.insert(at, *byte),
                2 => drop(bytes.remove(at)),
                // A digit, a quote or a bracket does more harm than most bytes.
                _ => bytes[at] = b"0123456789\"\"\"[]{},:.-e\\"[usize::from(*byte) % 23],
            }
        }
    }
}

pub(super) fn damage() -> impl Strategy<Value = Damage> {
    vec((any::<Index>(), any::<u8>(), any::<u8>()), 1..=8).prop_map(Damage)
}
