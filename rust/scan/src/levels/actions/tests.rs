use super::*;
use crate::json_number;
use proptest::prelude::*;

type Found = (Vec<(i64, i64)>, Run);

fn run(isa: Isa, bytes: &[u8], at: usize, scales: LevelScales, room: usize) -> Found {
    let mut found = Vec::new();
    let run = actions(isa, bytes, at, scales, room, |price, size| found.push((price, size)));
    (found, run)
}

/// Both twins, which must agree.
fn both(bytes: &[u8], at: usize, scales: LevelScales, room: usize) -> Found {
    let scalar = run(Isa::SCALAR, bytes, at, scales, room);
    assert_eq!(run(Isa::best(), bytes, at, scales, room), scalar, "{}", String::from_utf8_lossy(bytes));
    scalar
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "(0|[1-9][0-9]{0,5})\\.[0-9]{1,4}",
        2 => "[1-9][0-9]{0,5}",
        2 => "[1-9]\\.[0-9]{1,2}e[0-9]",
        1 => "-?[0-9]{1,20}(\\.[0-9]{1,20})?([eE][-+]?[0-9]{1,2})?",
        1 => "[-0-9.eE\"]{0,12}",
    ]
}

fn action_word() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just("new"), 4 => Just("change"), 4 => Just("delete"), 1 => Just("newer"), 1 => Just("")]
}

fn written(levels: &[(&str, String, String)]) -> Vec<String> {
    levels.iter().map(|(action, p, q)| format!("[\"{action}\",{p},{q}]")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    // Fault: Z16
    #[test]
    fn the_twins_agree_and_agree_with_the_exact_reader(
        levels in proptest::collection::vec((action_word(), number(), number()), 1..12),
        price in 0u8..6, size in 0u8..6, room in 0usize..14, tail in "[]}a-z:\"0-9.,\\[]{0,40}",
    ) {
        let list = written(&levels);
        let text = format!("{}]{tail}", list.join(","));
        let (found, run) = both(text.as_bytes(), 0, LevelScales { price, size }, room);
        let exactly = |text: &str, scale| json_number(text.as_bytes()).ok().and_then(|n| n.at_scale(scale));
        for ((action, p, q), (price_read, size_read)) in levels.iter().zip(&found) {
            prop_assert!(matches!(*action, "new" | "change" | "delete"));
            prop_assert_eq!(exactly(p, price), Some(i128::from(*price_read)));
            let size = exactly(q, size).map(|m| if *action == "delete" { 0 } else { m });
            prop_assert_eq!(size, Some(i128::from(*size_read)));
        }
        let before = |n: usize| list.iter().take(n).map(|l| l.len() + 1).sum::<usize>();
        match run.stop {
            Stop::Closed => prop_assert_eq!((found.len(), run.at), (levels.len(), text.len() - tail.len())),
            Stop::Full => prop_assert_eq!((found.len(), run.at), (room, before(room))),
            Stop::Odd => {
                prop_assert_eq!(run.at, before(found.len()));
                // Nothing is left that could be taken.
                let (action, p, q) = &levels[found.len()];
                let fits = |text, scale| exactly(text, scale).is_some_and(|m| m.unsigned_abs() < 10u128.pow(18));
                let known = matches!(*action, "new" | "change" | "delete");
                prop_assert!(!known || !fits(p, price) || !fits(q, size), "{}", text);
            }
        }
    }

    #[test]
    fn the_twins_agree_on_anything(bytes in "[\\[\\]\",.0-9a-z]{0,80}", at in 0usize..90, price in 0u8..20, size in 0u8..20) {
        both(bytes.as_bytes(), at, LevelScales { price, size }, 8);
    }

    // Fault: B13, Z16
    #[test]
    fn the_twins_agree_on_damaged_lists(
        levels in proptest::collection::vec((action_word(), number(), number()), 2..8),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = format!("{}],\"asks\":[[\"new\",1,2]]}}}}}}", written(&levels).join(",")).into_bytes();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        both(&bytes, 0, LevelScales { price: 2, size: 3 }, 100);
    }
}

#[test]
fn a_delete_has_size_zero_whatever_it_says() {
    let scales = LevelScales { price: 2, size: 2 };
    let text = br#"["new",228.51,0.22],["change",228.5,2.2e3],["delete",228.52,7.0]]                              "#;
    let (found, run) = both(text, 0, scales, 9);
    assert_eq!(found, vec![(22_851, 22), (22_850, 220_000), (22_852, 0)]);
    assert_eq!(run.stop, Stop::Closed);
}

#[test]
fn a_list_that_fills_the_room_is_closed_and_one_more_is_not() {
    let scales = LevelScales { price: 1, size: 0 };
    let text = br#"["new",1.5,2],["new",2.0,0]]"#;
    assert_eq!(both(text, 0, scales, 2), (vec![(15, 2), (20, 0)], Run { at: text.len(), stop: Stop::Closed }));
    assert_eq!(both(text, 0, scales, 1), (vec![(15, 2)], Run { at: 14, stop: Stop::Full }));
    assert_eq!(both(b"", usize::MAX, scales, 1).1.stop, Stop::Odd);
}
