use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::arbiter::score::LOST_NS;
use crate::arbiter::{Race, Score, race::Arrival, race::Place};

const S: u64 = 1_000_000_000;
const DWELL: u64 = 300 * S;
/// Events of the stream in a second.
const RATE: u64 = 10;

/// A generator of its own, so that a seed is a whole run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }

    /// From 0 to `bound`, and one in 64 ten times that: as networks are.
    fn jitter(&mut self, bound: u64) -> u64 {
        let ns = self.below(bound);
        if self.below(64) == 0 { ns * 10 } else { ns }
    }
}

/// How a path behaves at a time.
type Path = fn(ip: u8, now: u64, dice: &mut Dice) -> Option<u64>;

/// A lane in virtual time: events come on each connection after its path's delay, scores tick, rotation judges, and
/// whoever is replaced goes where the reputation says.
struct Lane {
    path: Path,
    dice: Dice,
    now: u64,
    conns: Vec<(ConnId, u8, Score)>,
    next: u16,
    /// Addresses of the exchange: 1 to this.
    addresses: u8,
    rotation: Rotation,
    reputation: Reputation,
    /// When, and from which address to which.
    replaced: Vec<(u64, u8, u8)>,
}

fn ip(n: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, n])
}

impl Lane {
    fn new(seed: u64, ips: &[u8], addresses: u8, path: Path) -> Self {
        let conns = ips.iter().enumerate().map(|(n, ip)| (ConnId(n as u16 + 1), *ip, Score::default())).collect();
        Self {
            path,
            dice: Dice(seed),
            now: 0,
            conns,
            next: ips.len() as u16 + 1,
            addresses,
            rotation: Rotation::new(DWELL),
            reputation: Reputation::new(DWELL),
            replaced: Vec::new(),
        }
    }

    fn run(&mut self, seconds: u64) {
        let tick = tick_ns(Some(DWELL));
        for _ in 0..seconds * S / tick {
            for _ in 0..RATE * tick / S {
                self.event();
            }
            self.now += tick;
            self.tick();
        }
    }

    fn event(&mut self) {
        let arrivals: Vec<Option<u64>> =
            self.conns.iter().map(|(_, ip, _)| (self.path)(*ip, self.now, &mut self.dice)).collect();
        let Some(first) = arrivals.iter().flatten().min().copied() else { return };
        let second = arrivals.iter().flatten().filter(|at| **at > first).min().copied();
        let mut is_won = false;
        for ((_, _, score), at) in self.conns.iter_mut().zip(&arrivals) {
            match (at, second) {
                (None, _) => score.lost(),
                (Some(at), Some(second)) if *at == first && !is_won => {
                    is_won = true;
                    score.led(second - first);
                }
                (Some(at), _) => score.was_behind(at - first),
            }
        }
    }

    fn tick(&mut self) {
        let mut lane = Vec::new();
        for (conn, of, score) in &mut self.conns {
            score.tick();
            if let Some(cost_ns) = score.cost_ns() {
                self.reputation.note(self.now, ip(*of), cost_ns);
                lane.push(Standing { conn: *conn, cost_ns, compared: score.compared() });
            }
        }
        let Some(worst) = self.rotation.judge(self.now, &lane) else { return };
        self.rotation.replaced(self.now);
        let at = self.conns.iter().position(|(conn, ..)| *conn == worst).expect("one of the lane");
        let from = self.conns[at].1;
        self.reputation.shun(self.now, ip(from));
        let others = self.conns.iter().filter(|(conn, ..)| *conn != worst);
        let siblings: Vec<IpAddr> = others.map(|(_, of, _)| ip(*of)).collect();
        let advice = self.reputation.advise(self.now, &siblings, 0);
        // As whoever dials would: the least avoided first, of those the best, then the unknown.
        let to = (1..=self.addresses).min_by_key(|n| {
            let avoided = advice.avoid.iter().filter(|other| **other == ip(*n)).count();
            let good = advice.good.iter().position(|good| *good == ip(*n));
            (avoided, good.is_some() == advice.explore, good)
        });
        let to = to.expect("an address");
        self.conns[at] = (ConnId(self.next), to, Score::default());
        self.next += 1;
        self.replaced.push((self.now, from, to));
    }
}

const HOUR: u64 = 3600;

#[test]
fn a_slow_connection_is_replaced_after_its_dwell_and_the_lane_comes_to_rest() {
    let mut lane =
        Lane::new(7, &[1, 2, 3], 4, |ip, _, dice| Some(dice.jitter(2_000_000) + u64::from(ip == 2) * 20_000_000));
    lane.run(4 * HOUR);
    let [(at, from, to)] = lane.replaced[..] else { panic!("{:?}", lane.replaced) };
    assert_eq!((from, to), (2, 4), "an address that nobody uses");
    assert!((DWELL..DWELL + 60 * S).contains(&at), "{at}");
}

#[test]
fn one_of_two_that_loses_events_is_replaced_though_it_is_the_fastest() {
    let mut lane = Lane::new(3, &[1, 2], 3, |ip, _, dice| match ip {
        1 => (dice.below(50) > 0).then(|| dice.jitter(1_000_000)),
        _ => Some(300_000 + dice.jitter(1_000_000)),
    });
    lane.run(HOUR);
    assert_eq!(lane.replaced.first().map(|(_, from, _)| *from), Some(1), "{:?}", lane.replaced);
}

#[test]
fn two_of_three_may_be_bad() {
    let mut lane =
        Lane::new(5, &[1, 2, 3], 6, |ip, _, dice| Some(dice.jitter(2_000_000) + u64::from(ip < 3) * 30_000_000));
    lane.run(4 * HOUR);
    let mut left: Vec<u8> = lane.replaced.iter().map(|(_, from, _)| *from).collect();
    left.sort_unstable();
    assert_eq!(left, [1, 2]);
    assert!(lane.replaced[1].0 - lane.replaced[0].0 >= DWELL, "one at a time, and the new one gets its dwell");
}

#[test]
fn a_slow_address_is_left_and_not_chosen_again_before_it_is_forgotten() {
    let mut lane =
        Lane::new(11, &[1, 2], 2, |ip, _, dice| Some(dice.jitter(2_000_000) + u64::from(ip == 2) * 20_000_000));
    lane.reputation.note(0, ip(1), 0.0);
    lane.reputation.note(0, ip(2), 20e6);
    lane.reputation.shun(0, ip(2));
    let free = |n: u8| move |advice: &crate::engine::Advice| !advice.avoid.contains(&ip(n));
    let memory = 12 * DWELL;
    for openings in 0..20 {
        let advice = lane.reputation.advise(openings * S, &[], 0);
        assert!(!free(2)(&advice), "{advice:?}");
        assert_eq!(advice.avoid.iter().filter(|other| **other == ip(2)).count(), 2, "shared is better than slow");
    }
    lane.reputation.note(memory, ip(1), 0.0);
    assert!(free(2)(&lane.reputation.advise(memory, &[], 0)));
    // With no other address to go to it goes back at once, finds it as slow, and asks ever more seldom.
    lane.run(24 * HOUR);
    assert!(lane.replaced.iter().all(|(_, from, _)| *from == 2), "{:?}", lane.replaced);
    assert!(lane.replaced.len() <= 12, "{} times in a day", lane.replaced.len());
}

#[test]
fn all_bad_is_no_reason_to_change_anything() {
    let mut lane =
        Lane::new(13, &[1, 2, 3], 9, |_, _, dice| (dice.below(20) > 0).then(|| 50_000_000 + dice.jitter(50_000_000)));
    lane.run(12 * HOUR);
    assert_eq!(lane.replaced, []);
}

#[test]
fn a_spell_of_weakness_that_passes_is_forgiven() {
    let mut lane = Lane::new(17, &[1, 2, 3], 9, |ip, now, dice| {
        let spell = (now / (60 * S)) % 21 == u64::from(ip) * 7 % 21;
        Some(dice.jitter(2_000_000) + u64::from(spell) * 50_000_000)
    });
    lane.run(12 * HOUR);
    assert_eq!(lane.replaced, [], "60 s of 50 ms every 21 minutes on each");
}

#[test]
fn never_the_only_one_and_never_without_evidence() {
    let bad = |conn, compared| Standing { conn: ConnId(conn), cost_ns: LOST_NS as f64, compared };
    let good = |conn, compared| Standing { conn: ConnId(conn), cost_ns: 0.0, compared };
    for lane in [vec![bad(1, 1e9)], vec![bad(1, 1e9), good(2, 99.0)], vec![bad(1, 99.0), good(2, 1e9)], vec![]] {
        let mut rotation = Rotation::new(DWELL);
        for tick in 0..1000 {
            assert_eq!(rotation.judge(tick * 5 * S, &lane), None, "{lane:?}");
        }
    }
}

/// What is as slow after its replacement is replaced ever more seldom: after a dwell, then after twice as long each time,
/// five times. After four times as long without one all of it is forgotten.
#[test]
fn replacements_that_do_not_help_are_tried_ever_more_seldom_until_one_does() {
    struct Run {
        rotation: Rotation,
        now: u64,
        next: u16,
    }
    impl Run {
        /// Dwells until the next replacement, while whoever is there is no better than the one before.
        fn replaced_after(&mut self) -> u64 {
            let began = self.now;
            loop {
                self.now += 5 * S;
                let standing = |conn, cost_ns| Standing { conn: ConnId(conn), cost_ns, compared: 1e6 };
                if let Some(worst) = self.rotation.judge(self.now, &[standing(1, 0.0), standing(self.next, 20e6)]) {
                    assert_eq!(worst, ConnId(self.next));
                    self.rotation.replaced(self.now);
                    self.next += 1;
                    return (self.now - began) / DWELL;
                }
                assert!(self.now - began < 100 * DWELL, "nobody is given up for ever");
            }
        }
    }
    let mut run = Run { rotation: Rotation::new(DWELL), now: 0, next: 2 };
    let waited: Vec<u64> = (0..9).map(|_| run.replaced_after()).collect();
    assert_eq!(waited, [1, 1, 2, 4, 8, 16, 32, 32, 32]);
    for (well_for, then) in [(126, [32, 32]), (128, [1, 2])] {
        // Nobody is worse; then somebody is, and has been for a dwell.
        run.now += well_for * DWELL;
        assert_eq!(run.rotation.judge(run.now, &[]), None);
        assert_eq!(run.replaced_after(), 1);
        assert_eq!([run.replaced_after(), run.replaced_after()], then, "after {well_for} dwells");
    }
}

#[test]
fn exploring_now_and_then_and_a_bounded_memory() {
    let mut reputation = Reputation::new(DWELL);
    for n in 0..200_u16 {
        reputation.note(u64::from(n), IpAddr::from([10, 1, (n >> 8) as u8, n as u8]), f64::from(n));
        assert!(reputation.len() <= 64);
    }
    let explores = |reputation: &mut Reputation| reputation.advise(200, &[], 0).explore;
    assert_eq!((0..100).filter(|_| explores(&mut reputation)).count(), 25);
    let advice = reputation.advise(201, &[IpAddr::from([10, 1, 0, 150])], 3);
    assert_eq!(advice.place, 3);
    assert_eq!(advice.good.first(), Some(&IpAddr::from([10, 1, 0, 136])), "the best that is remembered");
    assert!(!advice.good.contains(&IpAddr::from([10, 1, 0, 150])), "a sibling's is no good one");
    assert_eq!(reputation.advise(12 * DWELL + 200, &[], 0), crate::engine::Advice::default(), "forgotten");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// The stated rate: with equal paths, none in six hours, which is 72 dwells.
    #[test]
    fn noise_does_not_rotate(seed in any::<u64>(), n in 2..=4_u8, width in 10_000..50_000_000_u64, lossy in any::<bool>()) {
        // A path is a plain function: what it needs to know stands in the address.
        let ips: Vec<u8> = (1..=n).collect();
        let path: Path = if lossy {
            |_, _, dice| (dice.below(200) > 0).then(|| dice.jitter(5_000_000))
        } else if width > 5_000_000 {
            |_, _, dice| Some(dice.jitter(50_000_000))
        } else {
            |_, _, dice| Some(dice.jitter(500_000))
        };
        let mut lane = Lane::new(seed, &ips, 9, path);
        lane.run(6 * HOUR);
        prop_assert_eq!(lane.replaced, []);
    }

    #[test]
    fn however_the_scores_jump_replacements_keep_their_distance(
        costs in prop::collection::vec((0..4_u16, 0..4_u64), 1..2000),
    ) {
        let mut rotation = Rotation::new(DWELL);
        let mut costs_of = [0.0; 4];
        let mut last: Option<u64> = None;
        for (tick, (conn, exponent)) in costs.into_iter().enumerate() {
            let now = tick as u64 * 20 * S;
            costs_of[usize::from(conn)] = 10_f64.powi(exponent as i32 * 2);
            let lane: Vec<Standing> = costs_of
                .iter()
                .enumerate()
                .map(|(n, cost_ns)| Standing { conn: ConnId(n as u16 + 1), cost_ns: *cost_ns, compared: 1e6 })
                .collect();
            if rotation.judge(now, &lane).is_some() {
                rotation.replaced(now);
                prop_assert!(last.is_none_or(|last| now - last >= DWELL));
                last = Some(now);
            }
        }
    }
}

#[test]
fn a_race_feeds_scores_that_find_the_slow_one() {
    let mut race = Race::default();
    let mut scores = [Score::default(); 3];
    for tick in 0..60_i64 {
        for n in 0..50_i64 {
            let key = tick * 50 + n;
            for (conn, delay) in [(1_u16, 0_u64), (3, 400_000), (2, 9_000_000)] {
                let arrival = Arrival {
                    key,
                    follows: Some(key - 1),
                    is_fresh: conn == 1,
                    mono: key.unsigned_abs() * 100_000_000 + delay,
                };
                match race.note(ConnId(conn), arrival).place {
                    Place::Behind { ns, leader } => {
                        scores[usize::from(conn) - 1].was_behind(ns);
                        if let Some(leader) = leader {
                            scores[usize::from(leader.0) - 1].led(ns);
                        }
                    }
                    Place::First | Place::Apart => {}
                }
            }
        }
        scores.iter_mut().for_each(Score::tick);
    }
    assert_eq!(scores.map(|score| score.cost_ns()), [Some(0.0), Some(9_000_000.0), Some(400_000.0)]);
}
