use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const A: ConnId = ConnId(1);
const B: ConnId = ConnId(2);
const C: ConnId = ConnId(3);

/// What each connection has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Account {
    wins: u64,
    behind: Vec<u64>,
    lead: Vec<u64>,
    missed: i64,
}

#[derive(Default)]
struct Accounts {
    race: Race,
    of: BTreeMap<ConnId, Account>,
}

impl Accounts {
    fn note(&mut self, conn: ConnId, key: i64, follows: Option<i64>, is_fresh: bool, mono: u64) -> Place {
        let heat = self.race.note(conn, Arrival { key, follows, is_fresh, mono });
        let account = self.of.entry(conn).or_default();
        account.missed -= i64::from(heat.is_spared);
        match heat.place {
            Place::First => account.wins += 1,
            Place::Behind { ns, leader } => {
                account.behind.push(ns);
                if let Some(leader) = leader {
                    self.of.entry(leader).or_default().lead.push(ns);
                }
            }
            Place::Apart => {}
        }
        for conn in self.race.missed_by(&heat).collect::<Vec<_>>() {
            self.of.entry(conn).or_default().missed += 1;
        }
        heat.place
    }

    /// So many more events, brought by one connection alone, that everything before makes room. It is charged with
    /// nothing itself.
    fn push_out(&mut self, conn: ConnId, from: i64, mono: u64) {
        for key in from..from + 100_000 {
            self.note(conn, key, None, true, mono);
        }
    }

    fn missed(&self, conn: ConnId) -> i64 {
        self.of.get(&conn).map_or(0, |account| account.missed)
    }
}

#[test]
fn the_first_wins_and_the_second_tells_its_lead() {
    let mut accounts = Accounts::default();
    assert_eq!(accounts.note(A, 1, None, true, 10), Place::First);
    assert_eq!(accounts.note(B, 1, None, false, 10), Place::Apart, "it had no part in the race then");
    assert_eq!(accounts.note(B, 2, None, true, 100), Place::First);
    assert_eq!(accounts.note(A, 2, None, false, 140), Place::Behind { ns: 40, leader: Some(B) });
    assert_eq!(accounts.note(A, 2, None, false, 150), Place::Apart, "its own copy is none");
    assert_eq!(accounts.note(C, 3, None, true, 160), Place::First);
    assert_eq!(accounts.note(A, 3, None, false, 170), Place::Behind { ns: 10, leader: Some(C) });
    assert_eq!(accounts.note(B, 3, None, false, 190), Place::Behind { ns: 30, leader: None });
}

#[test]
fn frames_of_another_cut_are_neither_compared_nor_lost() {
    let mut accounts = Accounts::default();
    accounts.note(A, 0, None, true, 0);
    accounts.note(B, 0, None, false, 0);
    for n in 0..50_000_i64 {
        let time = n.unsigned_abs() * 1000;
        // A: 1–4, 5–8; B: 1–2, 3–6, 7–8.
        accounts.note(B, 8 * n + 2, Some(8 * n), true, time);
        accounts.note(A, 8 * n + 4, Some(8 * n), true, time + 1);
        accounts.note(B, 8 * n + 6, Some(8 * n + 2), true, time + 2);
        accounts.note(A, 8 * n + 8, Some(8 * n + 4), true, time + 3);
        let place = accounts.note(B, 8 * n + 8, Some(8 * n + 6), false, time + 4);
        assert_eq!(place, Place::Behind { ns: 1, leader: Some(A) }, "the cut they share");
    }
    assert_eq!((accounts.missed(A), accounts.missed(B)), (0, 0));
    // A hole of A, in frames of its own cut: two of B's lie in it.
    let n = 8 * 50_000;
    for (key, follows) in [(2, 0), (6, 2), (8, 6)] {
        accounts.note(B, n + key, Some(n + follows), true, 1 << 40);
    }
    accounts.note(A, n + 12, Some(n + 8), true, 1 << 40);
    for n in n / 8 + 2..n / 8 + 10_000 {
        for conn in [A, B] {
            accounts.note(conn, 8 * n, Some(8 * n - 8), conn == A, 1 << 40);
        }
    }
    assert_eq!((accounts.missed(A), accounts.missed(B)), (3, 0), "what B cuts is not lost to A, but in its hole");
}

#[test]
fn what_comes_while_a_connection_is_down_it_misses_and_what_it_is_told_again_is_no_race() {
    let mut accounts = Accounts::default();
    for key in 0..100 {
        accounts.note(A, key, Some(key - 1), true, 0);
        accounts.note(B, key, Some(key - 1), false, 5);
    }
    accounts.race.pause(B);
    for key in 100..1100 {
        accounts.note(A, key, Some(key - 1), true, 0);
    }
    // A subscription begins with what was.
    for key in 1050..1100 {
        let place = accounts.note(B, key, Some(key - 1), false, 9);
        assert!(matches!(place, Place::Behind { .. } | Place::Apart));
    }
    for key in 1100..1200 {
        accounts.note(A, key, Some(key - 1), true, 0);
        accounts.note(B, key, Some(key - 1), false, 5);
    }
    accounts.race.pause(B);
    accounts.push_out(A, 1200, 0);
    let lost_since = 100_000 - SLOTS as i64;
    let down = accounts.missed(B) - lost_since;
    assert!((900..=1000).contains(&down), "{down} of 1000, less what it was told again");
    assert_eq!(accounts.missed(A), 0);
}

#[test]
fn a_copy_that_comes_after_its_event_has_made_room_is_late_and_not_lost() {
    let mut accounts = Accounts::default();
    accounts.note(A, -1, None, true, 0);
    accounts.note(B, -1, None, false, 0);
    let n = 10 * SLOTS as i64;
    for key in 0..n {
        accounts.note(A, key, Some(key - 1), true, key.unsigned_abs());
    }
    for key in 0..n {
        accounts.note(B, key, Some(key - 1), false, 1_000_000);
    }
    let of_b = &accounts.of[&B];
    assert_eq!((of_b.missed, of_b.behind.len()), (0, n as usize));
    assert!(of_b.behind.iter().all(|ns| *ns <= 1_000_000 && *ns >= 1_000_000 - n.unsigned_abs()));
}

#[test]
fn ids_that_begin_anew_are_a_new_race() {
    let mut accounts = Accounts::default();
    for conn in [A, B] {
        accounts.note(conn, 1_000_000, Some(999_999), conn == A, 0);
        accounts.note(conn, 1_000_001, Some(1_000_000), conn == A, 0);
    }
    accounts.race.restart();
    for key in 1..50_000 {
        assert_eq!(accounts.note(A, key, Some(key - 1), true, 1), Place::First);
        if key > 1 {
            assert_eq!(accounts.note(B, key, Some(key - 1), false, 3), Place::Behind { ns: 2, leader: Some(A) });
        }
    }
    assert_eq!((accounts.missed(A), accounts.missed(B)), (0, 1), "the first, indeed");
}

#[test]
fn more_connections_than_legs_take_turns() {
    let mut race = Race::default();
    for n in 0..1000_u16 {
        let key = i64::from(n);
        race.note(ConnId(n + 1), Arrival { key, follows: None, is_fresh: true, mono: n.into() });
    }
    assert_eq!(race.legs.len(), LEGS);
}

/// Events of a clean stream, which of the connections bring them, and when.
fn copies() -> impl Strategy<Value = Vec<[Option<u64>; 3]>> {
    let delay = prop::option::weighted(0.9, 0..40_u64);
    prop::collection::vec([delay.clone(), delay.clone(), delay], 1..400)
}

proptest! {
    #[test]
    fn it_agrees_with_whoever_sees_the_whole_race(copies in copies(), step in prop::sample::select(vec![1_i64, 7, 20]), linked in any::<bool>()) {
        // An event every 10, in order on each connection.
        let key = |n: usize| (n as i64 + 1) * step;
        let mut arrivals = Vec::new();
        for leg in 0..3_u16 {
            let mut last = 0;
            for (n, delays) in copies.iter().enumerate() {
                if let Some(delay) = delays[usize::from(leg)] {
                    last = last.max(n as u64 * 10 + delay);
                    arrivals.push((last, n, ConnId(leg + 1)));
                }
            }
        }
        arrivals.sort();
        let mut accounts = Accounts::default();
        for conn in [A, B, C] {
            accounts.note(conn, 0, linked.then_some(-step), conn == A, 0);
        }
        let mut seen = std::collections::BTreeSet::new();
        let mut expected: BTreeMap<ConnId, Account> = [A, B, C].map(|conn| (conn, Account::default())).into();
        let mut first: BTreeMap<usize, (u64, ConnId, bool)> = BTreeMap::new();
        for (at, n, conn) in arrivals {
            accounts.note(conn, key(n), linked.then(|| key(n) - step), seen.insert(n), at);
            match first.get_mut(&n) {
                None => {
                    first.insert(n, (at, conn, false));
                    expected.entry(conn).or_default().wins += 1;
                }
                Some((then, winner, has_copies)) => {
                    expected.entry(conn).or_default().behind.push(at - *then);
                    if !std::mem::replace(has_copies, true) {
                        expected.entry(*winner).or_default().lead.push(at - *then);
                    }
                }
            }
        }
        for delays in copies.iter().filter(|delays| delays.iter().any(Option::is_some)) {
            for (leg, _) in delays.iter().enumerate().filter(|(_, delay)| delay.is_none()) {
                expected.entry(ConnId(leg as u16 + 1)).or_default().missed += 1;
            }
        }
        // All three go on, so that everything before makes room.
        let end = copies.len();
        for n in end..end + 20_000 {
            for conn in [A, B, C] {
                accounts.note(conn, key(n), linked.then(|| key(n) - step), conn == A, 1 << 40);
            }
        }
        // What they all brought at the beginning and at the end, at one time each.
        for (conn, account) in &mut accounts.of {
            account.wins -= if *conn == A { 20_001 } else { 0 };
            for same in [&mut account.behind, &mut account.lead] {
                let ends = same.iter().rev().take(20_000).take_while(|ns| **ns == 0).count();
                same.truncate(same.len() - ends);
            }
        }
        for conn in [A, B, C] {
            let (is, ought) = (&accounts.of[&conn], &expected[&conn]);
            prop_assert_eq!((is.wins, is.missed), (ought.wins, ought.missed), "{:?}", conn);
            let trimmed = |list: &[u64]| list.iter().copied().filter(|ns| *ns > 0).collect::<Vec<_>>();
            prop_assert_eq!(trimmed(&is.behind), trimmed(&ought.behind));
            prop_assert_eq!(trimmed(&is.lead), trimmed(&ought.lead));
        }
    }
}

#[test]
fn the_latest_events_wait_whatever_the_step_of_their_keys_and_the_order_they_came_in() {
    for step in [1, 2, 100, 1_000_000, 1_000_000_000] {
        let mut accounts = Accounts::default();
        for conn in [A, B] {
            accounts.note(conn, 0, None, conn == A, 0);
        }
        let many = SLOTS as i64;
        // Every third is brought late.
        let late = |n: &i64| n % 3 == 1;
        for n in (1..=many).filter(|n| !late(n)).chain((1..=many).filter(late)) {
            assert_eq!(accounts.note(A, n * step, Some(0), true, n.unsigned_abs()), Place::First);
        }
        for n in 1..=many {
            let ns = 1000 - n.unsigned_abs();
            let place = accounts.note(B, n * step, Some((n - 1) * step), false, 1000);
            assert_eq!(place, Place::Behind { ns, leader: Some(A) }, "{n} of steps of {step}");
        }
    }
}

#[test]
fn an_event_that_comes_long_after_later_ones_is_compared_like_any() {
    let mut accounts = Accounts::default();
    for key in (0..10 * SLOTS as i64).step_by(5) {
        for conn in [A, B] {
            accounts.note(conn, key, None, conn == A, 0);
        }
    }
    assert_eq!(accounts.note(A, 8, None, true, 100), Place::First);
    assert_eq!(accounts.note(B, 8, None, false, 107), Place::Behind { ns: 7, leader: Some(A) });
    assert_eq!((accounts.missed(A), accounts.missed(B)), (0, 0));
}

proptest! {
    #[test]
    fn what_is_noted_at_once_comes_to_the_same_as_what_is_noted_slowly(
        frames in prop::collection::vec((0..3_usize, prop::sample::select(vec![-3_i64, 0, 1, 1, 1, 1, 1, 1, 2, 7])), 1..600),
    ) {
        let (mut quick, mut slow) = (Race::default(), Race::default());
        let (mut at, mut seen) = ([0_i64; 3], std::collections::BTreeSet::new());
        for (mono, (leg, step)) in (0_u64..).zip(frames) {
            at[leg] += step;
            let (conn, key, before) = (ConnId(leg as u16 + 1), at[leg], at[leg] - 1);
            let is_fresh = seen.insert(key);
            let wanted = slow.note(conn, Arrival { key, follows: Some(before), is_fresh, mono });
            let at_once = if is_fresh {
                quick.note_first(conn, key, before, mono)
            } else {
                quick.note_copy(conn, key, before, mono).map(|Copied { ns, leader }| Heat {
                    place: Place::Behind { ns, leader: Some(leader).filter(|of| *of != ConnId::NONE) },
                    is_spared: false,
                    missed: 0,
                })
            };
            let told = match at_once {
                Some(told) => told,
                None => quick.note(conn, Arrival { key, follows: Some(before), is_fresh, mono }),
            };
            prop_assert_eq!(told, wanted);
            quick.seats = slow.seats;
            prop_assert_eq!(format!("{quick:?}"), format!("{slow:?}"));
        }
    }
}
