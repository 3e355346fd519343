//! When bytes arrived at the machine, by the kernel or the network card, and what stamp comes of it.

use xtrader_core::table::StampSource;
use xtrader_core::time::{NS_PER_MS, NS_PER_S, Stamp};

/// Older than this is no waiting in a buffer: a clock was set meanwhile, or it is another clock.
const MAX_AGE_NS: i64 = 10 * NS_PER_S;
/// Longest way from the network card to the kernel. A card whose clock lies further back does not follow the system's.
const MAX_FROM_CARD_NS: i64 = 100 * NS_PER_MS;

/// Wall times (nanoseconds since the epoch) at which the last bytes of a read arrived, where they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// In the kernel, by the system's clock.
    pub kernel: Option<i64>,
    /// In the network card, by its own clock.
    pub hardware: Option<i64>,
}

impl Arrival {
    /// Out of the control messages of a read: `cmsghdr` and `scm_timestamping` of 64-bit Linux. What is not of this form
    /// is no time.
    #[must_use]
    pub fn read(mut control: &[u8]) -> Self {
        while let Some((head, _)) = control.split_first_chunk::<16>() {
            let [l0, l1, l2, l3, l4, l5, l6, l7, v0, v1, v2, v3, k0, k1, k2, k3] = *head;
            let length = usize::try_from(u64::from_ne_bytes([l0, l1, l2, l3, l4, l5, l6, l7])).unwrap_or(usize::MAX);
            let what = (i32::from_ne_bytes([v0, v1, v2, v3]), i32::from_ne_bytes([k0, k1, k2, k3]));
            let Some(body) = control.get(head.len()..length) else { break };
            if what == Self::KIND {
                return Self { kernel: time(body, 0), hardware: time(body, 2) };
            }
            control = length.checked_next_multiple_of(8).and_then(|next| control.get(next..)).unwrap_or_default();
        }
        Self::default()
    }

    #[cfg(target_os = "linux")]
    const KIND: (i32, i32) = (libc::SOL_SOCKET, libc::SO_TIMESTAMPING);
    #[cfg(not(target_os = "linux"))]
    const KIND: (i32, i32) = (1, 37);
}

/// One of the three times of an `scm_timestamping`; all zero is none.
fn time(body: &[u8], index: usize) -> Option<i64> {
    let (seconds, rest) = body.get(index * 16..)?.split_first_chunk::<8>()?;
    let (nanoseconds, _) = rest.split_first_chunk::<8>()?;
    let (seconds, nanoseconds) = (i64::from_ne_bytes(*seconds), i64::from_ne_bytes(*nanoseconds));
    let time = seconds.checked_mul(NS_PER_S)?.checked_add(nanoseconds)?;
    (time != 0).then_some(time)
}

/// What becomes of the times of arrival on one connection.
#[derive(Clone, Copy, Debug)]
pub struct Arrivals {
    /// Whose clock stamped the last read.
    pub source: StampSource,
    /// Times that could not be: later than the read, or much too old.
    pub refused: u64,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self { source: StampSource::User, refused: 0 }
    }
}

impl Arrivals {
    /// The stamp of a read that returned at `user`, after one of stamp `last`: when its bytes arrived, on both clocks.
    /// Never later than `user`, and never before `last` unless the clock itself was set back.
    pub fn stamp(&mut self, user: Stamp, last: Stamp, arrival: Arrival) -> Stamp {
        let age = |time: i64| user.wall.checked_sub(time).filter(|age| (0..=MAX_AGE_NS).contains(age));
        let kernel = arrival.kernel.and_then(age);
        // The card's clock is not the system's: it is believed where it says what the system's confirms.
        let hardware = arrival.hardware.and_then(age).filter(|hardware| {
            kernel.is_some_and(|kernel| (0..=MAX_FROM_CARD_NS).contains(&hardware.saturating_sub(kernel)))
        });
        self.source = match (hardware, kernel) {
            (Some(_), _) => StampSource::Hardware,
            (None, Some(_)) => StampSource::Kernel,
            (None, None) => StampSource::User,
        };
        let told = u64::from(arrival.kernel.is_some()) + u64::from(arrival.hardware.is_some());
        let believed = u64::from(kernel.is_some()) + u64::from(hardware.is_some());
        self.refused = self.refused.saturating_add(told - believed);
        let Some(age) = hardware.or(kernel) else { return user };
        // Bytes that waited in a buffer while the ones before them were read arrived before that read: they take its time.
        let since = user.wall.saturating_sub(last.wall).max(0).unsigned_abs().min(user.mono.saturating_sub(last.mono));
        let age = age.unsigned_abs().min(since);
        Stamp { wall: user.wall.saturating_sub_unsigned(age), mono: user.mono.saturating_sub(age) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: i64 = NS_PER_S;

    fn at(wall: i64, mono: u64) -> Stamp {
        Stamp { wall, mono }
    }

    fn kernel(time: i64) -> Arrival {
        Arrival { kernel: Some(time), hardware: None }
    }

    /// A control message as the kernel lays it out.
    fn message(level: i32, kind: i32, body: &[u8]) -> Vec<u8> {
        let mut bytes = (16 + body.len() as u64).to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    fn times(times: [(i64, i64); 3]) -> Vec<u8> {
        times.iter().flat_map(|(s, ns)| [s.to_ne_bytes(), ns.to_ne_bytes()].concat()).collect()
    }

    #[test]
    fn times_are_read_behind_whatever_else_is_told() {
        let (level, kind) = Arrival::KIND;
        let both = message(level, kind, &times([(5, 7), (9, 9), (4, 1)]));
        let expected = Arrival { kernel: Some(5 * S + 7), hardware: Some(4 * S + 1) };
        assert_eq!(Arrival::read(&both), expected);
        assert_eq!(Arrival::read(&[message(41, 50, b"other"), both.clone()].concat()), expected);
        assert_eq!(Arrival::read(&message(level, kind, &times([(5, 7), (0, 0), (0, 0)]))), kernel(5 * S + 7));
        assert_eq!(Arrival::read(&[]), Arrival::default());
        for cut in 0..both.len() {
            assert_eq!(Arrival::read(&both[..cut]), Arrival::default(), "cut after {cut} bytes");
        }
    }

    #[test]
    fn a_stamp_is_that_of_the_arrival_on_both_clocks() {
        let mut arrivals = Arrivals::default();
        let (user, last) = (at(100 * S, 50), at(99 * S, 20));
        assert_eq!(arrivals.stamp(user, last, kernel(100 * S - 10)), at(100 * S - 10, 40));
        assert_eq!((arrivals.source, arrivals.refused), (StampSource::Kernel, 0));
        let both = Arrival { hardware: Some(100 * S - 12), ..kernel(100 * S - 10) };
        assert_eq!(arrivals.stamp(user, last, both), at(100 * S - 12, 38));
        assert_eq!((arrivals.source, arrivals.refused), (StampSource::Hardware, 0));
        assert_eq!(arrivals.stamp(user, last, Arrival::default()), user, "nothing is told");
        assert_eq!((arrivals.source, arrivals.refused), (StampSource::User, 0));
    }

    #[test]
    fn bytes_that_waited_behind_others_take_the_time_of_the_read_before() {
        let mut arrivals = Arrivals::default();
        let stamp = arrivals.stamp(at(100 * S, 50), at(100 * S - 20, 30), kernel(100 * S - 45));
        assert_eq!((stamp, arrivals.source), (at(100 * S - 20, 30), StampSource::Kernel));
    }

    #[test]
    fn a_clock_that_was_set_meanwhile_is_not_believed() {
        let mut arrivals = Arrivals::default();
        let last = at(1000 * S, 1_000);
        for (wall, arrived, why) in [
            (1000 * S + 9, 1000 * S + 10, "from the future: the clock was set back"),
            (4600 * S, 1000 * S, "an hour old: the clock was set forward"),
            (4600 * S, i64::MIN, "no time at all"),
        ] {
            let before = arrivals.refused;
            let user = at(wall, 1_009);
            assert_eq!(arrivals.stamp(user, last, kernel(arrived)), user, "{why}");
            assert_eq!((arrivals.source, arrivals.refused), (StampSource::User, before + 1), "{why}");
        }
        let forward = arrivals.stamp(at(1003 * S, 1_009), last, kernel(1000 * S + 5));
        assert_eq!(forward.mono, 1_000, "a small step cannot make it older than the read before");
    }

    #[test]
    fn a_card_with_a_clock_of_its_own_is_not_believed() {
        let mut arrivals = Arrivals::default();
        let (user, last) = (at(100 * S, 50 * S as u64), at(0, 0));
        for hardware in [137 * S, 100 * S - 4, 99 * S, 5] {
            let before = arrivals.refused;
            let told = Arrival { hardware: Some(hardware), ..kernel(100 * S - 10) };
            assert_eq!(arrivals.stamp(user, last, told).wall, 100 * S - 10, "{hardware}");
            assert_eq!((arrivals.source, arrivals.refused), (StampSource::Kernel, before + 1), "{hardware}");
        }
    }

    proptest! {
        #[test]
        fn never_later_than_the_read_and_never_falling(
            reads in prop::collection::vec((-20 * S..20 * S, 0..20 * S as u64, -30 * S..2 * S, -30 * S..2 * S, any::<[bool; 2]>()), 1..40),
        ) {
            let (mut user, mut arrivals) = (at(1_000_000 * S, 0), Arrivals::default());
            let mut last = user;
            for (wall, mono, kernel, hardware, [is_kernel, is_hardware]) in reads {
                user = at(user.wall + wall, user.mono + mono);
                let told = Arrival {
                    kernel: is_kernel.then_some(user.wall + kernel),
                    hardware: is_hardware.then_some(user.wall + hardware),
                };
                let stamp = arrivals.stamp(user, last, told);
                prop_assert!(stamp.wall <= user.wall && (last.mono..=user.mono).contains(&stamp.mono));
                prop_assert!(stamp.wall >= last.wall.min(user.wall), "it falls only where the clock itself fell");
                prop_assert_eq!(user.wall - stamp.wall, (user.mono - stamp.mono) as i64, "the same on both clocks");
                last = stamp;
            }
        }

        #[test]
        fn whatever_is_told_is_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..128)) {
            let _ = Arrival::read(&bytes);
        }
    }
}
