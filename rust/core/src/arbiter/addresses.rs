//! Which of a host's addresses is tried first. Copies of one stream are worth the more the less they share, so each
//! goes by an address of its own where there are several.

use std::net::SocketAddr;

use crate::engine::Advice;

/// What was resolved, in the order in which it is tried: good addresses by their rank, then those of which nothing is
/// known, then those to avoid; one that is to be avoided twice (two others use it) after one that is named once. Who wants
/// to explore tries those of which nothing is known first.
///
/// Among equals IPv6 and IPv4 take turns, so that a family that is black-holed costs one deadline and not many; within a
/// family it is the resolver's order, begun at the connection's place: connections that are opened in one moment, when
/// nothing is known yet, begin at different ones.
#[must_use]
pub fn order(resolved: &[SocketAddr], advice: &Advice) -> Vec<SocketAddr> {
    let rank = |address: &SocketAddr| {
        let ip = address.ip().to_canonical();
        let avoided = advice.avoid.iter().filter(|other| other.to_canonical() == ip).count();
        let good = advice.good.iter().position(|other| other.to_canonical() == ip);
        let is_worth_a_try = advice.explore && good.is_none();
        (avoided, !is_worth_a_try, good.unwrap_or(advice.good.len()))
    };
    let mut ranked = resolved.to_vec();
    ranked.sort_by_key(rank);
    ranked.chunk_by(|a, b| rank(a) == rank(b)).flat_map(|equals| in_turn(equals, advice.place)).collect()
}

/// The two families in turn, the one that the resolver put first at the head.
fn in_turn(equals: &[SocketAddr], place: u16) -> Vec<SocketAddr> {
    let first_is_v6 = equals.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second): (Vec<_>, Vec<_>) = equals.iter().partition(|a| a.is_ipv6() == first_is_v6);
    for family in [&mut first, &mut second] {
        let begin = usize::from(place).checked_rem(family.len()).unwrap_or_default();
        family.rotate_left(begin);
    }
    let shared = first.len().min(second.len());
    let rest = if first.len() > shared { first.split_off(shared) } else { second.split_off(shared) };
    first.into_iter().zip(second).flat_map(|(a, b)| [a, b]).chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    fn a(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an IP")
    }

    // Fault: N14
    #[test]
    fn address_families_take_turns() {
        let given = [a("[::1]:1"), a("[::2]:1"), a("[::3]:1"), a("1.1.1.1:1")];
        let none = Advice::default();
        assert_eq!(order(&given, &none), [a("[::1]:1"), a("1.1.1.1:1"), a("[::2]:1"), a("[::3]:1")]);
        assert_eq!(order(&given[3..], &none), given[3..]);
        assert_eq!(order(&[], &none), []);
    }

    #[test]
    fn good_ones_come_first_and_those_that_others_use_last() {
        let given = [a("1.0.0.1:9"), a("1.0.0.2:9"), a("1.0.0.3:9"), a("1.0.0.4:9"), a("1.0.0.5:9")];
        let advice = Advice {
            avoid: vec![ip("1.0.0.1"), ip("::ffff:1.0.0.2"), ip("1.0.0.1"), ip("9.9.9.9")],
            good: vec![ip("1.0.0.5"), ip("1.0.0.2"), ip("1.0.0.4")],
            ..Advice::default()
        };
        let ordered = order(&given, &advice);
        assert_eq!(ordered, [a("1.0.0.5:9"), a("1.0.0.4:9"), a("1.0.0.3:9"), a("1.0.0.2:9"), a("1.0.0.1:9")]);
    }

    #[test]
    fn connections_of_one_moment_begin_at_different_addresses() {
        let given = [a("1.0.0.1:9"), a("[::1]:9"), a("1.0.0.2:9"), a("[::2]:9"), a("1.0.0.3:9")];
        let firsts: Vec<_> = (0..4).map(|place| order(&given, &Advice { place, ..Advice::default() })[0]).collect();
        assert_eq!(firsts, [a("1.0.0.1:9"), a("1.0.0.2:9"), a("1.0.0.3:9"), a("1.0.0.1:9")]);
    }

    /// What was never tried, then what is good, then what another uses, then what is slow.
    #[test]
    fn who_explores_gets_what_was_never_tried() {
        let given = [a("1.0.0.1:9"), a("1.0.0.2:9"), a("1.0.0.3:9"), a("1.0.0.4:9"), a("1.0.0.5:9")];
        let advice = Advice {
            avoid: vec![ip("1.0.0.1"), ip("1.0.0.2"), ip("1.0.0.2")],
            good: vec![ip("1.0.0.5"), ip("1.0.0.3")],
            explore: true,
            place: 0,
        };
        let ordered = order(&given, &advice);
        assert_eq!(ordered, [a("1.0.0.4:9"), a("1.0.0.5:9"), a("1.0.0.3:9"), a("1.0.0.1:9"), a("1.0.0.2:9")]);
    }

    fn addresses() -> impl Strategy<Value = Vec<SocketAddr>> {
        let one = (any::<bool>(), 1..6u16).prop_map(|(is_v6, n)| match is_v6 {
            true => SocketAddr::new(IpAddr::from([0, 0, 0, 0, 0, 0, 0, n]), 443),
            false => SocketAddr::new(IpAddr::from([1, 0, 0, n as u8]), 443),
        });
        prop::collection::vec(one, 0..12)
    }

    fn advice() -> impl Strategy<Value = Advice> {
        let ips = || addresses().prop_map(|some| some.iter().map(SocketAddr::ip).collect::<Vec<_>>());
        (ips(), ips(), any::<bool>(), any::<u16>()).prop_map(|(avoid, good, explore, place)| Advice {
            avoid,
            good,
            explore,
            place,
        })
    }

    proptest! {
        #[test]
        fn it_is_what_was_resolved_with_the_avoided_last(given in addresses(), advice in advice()) {
            let ordered = order(&given, &advice);
            let sorted = |list: &[SocketAddr]| { let mut list = list.to_vec(); list.sort(); list };
            prop_assert_eq!(sorted(&ordered), sorted(&given));
            prop_assert_eq!(&ordered, &order(&given, &advice), "the same again");
            let is_avoided = |a: &SocketAddr| advice.avoid.contains(&a.ip());
            prop_assert!(ordered.is_sorted_by_key(is_avoided));
            let free: Vec<_> = ordered.iter().filter(|a| !is_avoided(a)).collect();
            let is_second = |a: &SocketAddr| advice.good.contains(&a.ip()) == advice.explore;
            prop_assert!(free.is_sorted_by_key(|a| is_second(a)), "good ones before unknown ones, unless it explores");
            let ranks: Vec<_> = free.iter().filter_map(|a| advice.good.iter().position(|ip| *ip == a.ip())).collect();
            prop_assert!(ranks.is_sorted(), "by their rank");
        }
    }
}
