//! Where connections stand in a short list, most often without a search.

use crate::symbol::ConnId;

/// Places that are remembered.
const PLACES: usize = 8;

/// See the module. It only ever guesses: the list itself decides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seats([u8; PLACES]);

impl Seats {
    /// The same, and nothing is learnt from it.
    #[inline(always)]
    pub fn look<T>(&self, list: &[T], conn: ConnId, of: impl Fn(&T) -> ConnId) -> Option<usize> {
        let at = usize::from(self.0[usize::from(conn.0) % PLACES]);
        if list.get(at).is_some_and(|entry| of(entry) == conn) { Some(at) } else { search(list, conn, of) }
    }

    /// The place in `list` of the connection's entry, if it has one.
    #[inline(always)]
    pub fn find<T>(&mut self, list: &[T], conn: ConnId, of: impl Fn(&T) -> ConnId) -> Option<usize> {
        let guess = &mut self.0[usize::from(conn.0) % PLACES];
        let at = usize::from(*guess);
        if list.get(at).is_some_and(|entry| of(entry) == conn) {
            return Some(at);
        }
        let at = search(list, conn, of)?;
        *guess = u8::try_from(at).unwrap_or_default();
        Some(at)
    }

    /// As [`Self::find`], with the entry.
    #[inline(always)]
    pub fn find_mut<'l, T>(
        &mut self,
        list: &'l mut [T],
        conn: ConnId,
        of: impl Fn(&T) -> ConnId,
    ) -> Option<(usize, &'l mut T)> {
        let at = self.find(list, conn, of)?;
        list.get_mut(at).map(|entry| (at, entry))
    }
}

#[cold]
fn search<T>(list: &[T], conn: ConnId, of: impl Fn(&T) -> ConnId) -> Option<usize> {
    list.iter().position(|entry| of(entry) == conn)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_finds_what_a_search_finds_however_the_list_changes(
            steps in prop::collection::vec((0..600_u16, 0..3_u8), 1..400),
        ) {
            let (mut seats, mut list) = (Seats::default(), Vec::new());
            for (number, step) in steps {
                let conn = ConnId(number);
                let wanted = list.iter().position(|entry| *entry == conn);
                prop_assert_eq!(seats.find(&list, conn, |entry| *entry), wanted);
                match (step, wanted) {
                    (0, Some(at)) => drop(list.remove(at)),
                    (0 | 1, None) => list.push(conn),
                    _ => {}
                }
            }
        }
    }
}
