use super::*;
use proptest::prelude::*;

type Found = (Vec<(i64, i64)>, Run);

fn run<const MORE: usize>(isa: Isa, bytes: &[u8], at: usize, scales: LevelScales, room: usize) -> Found {
    let mut found = Vec::new();
    let run = levels_with::<MORE>(isa, bytes, at, scales, room, |price, size| found.push((price, size)));
    (found, run)
}

/// Both twins, which must agree.
fn twins<const MORE: usize>(bytes: &[u8], at: usize, scales: LevelScales, room: usize) -> Found {
    let scalar = run::<MORE>(Isa::SCALAR, bytes, at, scales, room);
    assert_eq!(run::<MORE>(Isa::best(), bytes, at, scales, room), scalar, "{}", String::from_utf8_lossy(bytes));
    scalar
}

fn both(bytes: &[u8], at: usize, scales: LevelScales, room: usize) -> Found {
    twins::<0>(bytes, at, scales, room)
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[1-9][0-9]{0,5}\\.[0-9]{1,4}",
        2 => "[0-9]{1,5}",
        2 => "0\\.0{0,6}[1-9]{0,3}",
        1 => "[0-9]{1,20}(\\.[0-9]{1,20})?",
        1 => "[-0-9.eE\"]{0,12}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    // Fault: Z16
    #[test]
    fn the_twins_agree_and_agree_with_the_exact_reader(
        pairs in proptest::collection::vec((number(), number()), 1..12),
        price in 0u8..6, size in 0u8..6, room in 0usize..14, tail in "[]}a-z:\"0-9.,\\[]{0,40}",
    ) {
        let list: Vec<String> = pairs.iter().map(|(p, q)| format!("[\"{p}\",\"{q}\"]")).collect();
        let text = format!("{}]{tail}", list.join(","));
        let scales = LevelScales { price, size };
        let (found, run) = both(text.as_bytes(), 0, scales, room);
        // Further members change nothing.
        let longer = text.replace("\"],[", "\",\"0\",\"17\"],[").replace("\"]]", "\",\"00\",\"123456789\"]]");
        let (with_more, stop) = twins::<2>(longer.as_bytes(), 0, scales, room);
        if run.stop != Stop::Odd {
            prop_assert_eq!((&with_more, stop.stop), (&found, run.stop), "{}", longer);
        }
        for ((p, q), (price, size)) in pairs.iter().zip(&found) {
            let exactly = |text: &str, scale| crate::exact(text.as_bytes()).ok().and_then(|n| n.at_scale(scale));
            prop_assert_eq!(exactly(p, scales.price), Some(i128::from(*price)));
            prop_assert_eq!(exactly(q, scales.size), Some(i128::from(*size)));
        }
        match run.stop {
            Stop::Closed => prop_assert_eq!((found.len(), run.at), (pairs.len(), text.len() - tail.len())),
            Stop::Full => prop_assert_eq!(found.len(), room),
            Stop::Odd => {
                let before: usize = list.iter().take(found.len()).map(|l| l.len() + 1).sum();
                prop_assert_eq!(run.at, before);
            }
        }
    }

    // Fault: Z16
    #[test]
    fn two_numbers_of_a_trade_or_quote(
        (p, q) in (number(), number()), price in 0u8..6, size in 0u8..6, tail in "[]}a-z:\"0-9.,\\[]{0,40}",
        other in prop::sample::select(vec!["\",\"q\":\"", "\",\"q\":7", "\",\"Q\":\"", "\".\"q\":\""]),
    ) {
        let scales = LevelScales { price, size };
        let (p, q) = (p.replace('"', ""), q.replace('"', ""));
        let text = format!("{p}{other}{q}\"{tail}");
        let found = pair::<b'q'>(Isa::SCALAR, text.as_bytes(), 0, scales);
        prop_assert_eq!(pair::<b'q'>(Isa::best(), text.as_bytes(), 0, scales), found, "{}", text);
        let two = text.replace("\"q\":", "\"sz\":");
        let found_two = pair2::<b's', b'z'>(Isa::SCALAR, two.as_bytes(), 0, scales);
        prop_assert_eq!(pair2::<b's', b'z'>(Isa::best(), two.as_bytes(), 0, scales), found_two, "{}", two);
        prop_assert_eq!(found_two.map(|(p, q, end)| (p, q, end - 1)), found.filter(|_| !tail.contains("\"q\":")), "{}", two);
        if let Some((p_read, q_read, end)) = found {
            let exactly = |text: &str, scale| crate::exact(text.as_bytes()).ok().and_then(|n| n.at_scale(scale));
            prop_assert_eq!(other, "\",\"q\":\"");
            prop_assert_eq!(exactly(&p, scales.price), Some(i128::from(p_read)));
            prop_assert_eq!(exactly(&q, scales.size), Some(i128::from(q_read)));
            prop_assert_eq!(end + 1, text.len() - tail.len());
        }
    }

    #[test]
    fn the_twins_agree_on_anything(bytes in "[\\[\\]\",.0-9]{0,80}", at in 0usize..90, price in 0u8..20, size in 0u8..20) {
        both(bytes.as_bytes(), at, LevelScales { price, size }, 8);
        twins::<2>(bytes.as_bytes(), at, LevelScales { price, size }, 8);
    }

    // Fault: B13, Z16
    #[test]
    fn the_twins_agree_on_damaged_lists(
        pairs in proptest::collection::vec(("[0-9]{1,6}(\\.[0-9]{1,4})?", "[0-9]{1,6}(\\.[0-9]{1,4})?"), 2..8),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for more in ["", ",\"0\",\"12\""] {
            let list: Vec<String> = pairs.iter().map(|(p, q)| format!("[\"{p}\",\"{q}\"{more}]")).collect();
            let mut bytes = format!("{}],\"a\":[[\"1\",\"2\"]]}}}}", list.join(",")).into_bytes();
            for (at, byte) in &edits {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            both(&bytes, 0, LevelScales { price: 2, size: 3 }, 100);
            twins::<2>(&bytes, 0, LevelScales { price: 2, size: 3 }, 100);
        }
    }
}

#[test]
fn a_list_that_fills_the_room_is_closed_and_one_more_is_not() {
    let scales = LevelScales { price: 1, size: 0 };
    let text = br#"["1.5","2"],["2","0"]]"#;
    assert_eq!(both(text, 0, scales, 2), (vec![(15, 2), (20, 0)], Run { at: text.len(), stop: Stop::Closed }));
    assert_eq!(both(text, 0, scales, 1), (vec![(15, 2)], Run { at: 12, stop: Stop::Full }));
    assert_eq!(both(b"", 0, scales, 1).1, Run { at: 0, stop: Stop::Odd });
    assert_eq!(both(b"", usize::MAX, scales, 1).1.stop, Stop::Odd);
}

#[test]
fn further_members_are_digits_and_all_there() {
    let scales = LevelScales { price: 1, size: 0 };
    let text = br#"["1.5","2","0","13"],["2","0","7","123456789012"]]"#;
    assert_eq!(twins::<2>(text, 0, scales, 9), (vec![(15, 2), (20, 0)], Run { at: text.len(), stop: Stop::Closed }));
    let odd: [&[u8]; 6] = [
        br#"["1.5","2","0"]]                "#,
        br#"["1.5","2","0","1","1"]]        "#,
        br#"["1.5","2","0",""]]             "#,
        br#"["1.5","2","0","-1"]]           "#,
        br#"["1.5","2","0.5","1"]]          "#,
        br#"["1.5","2",0,1]]                "#,
    ];
    for text in odd {
        assert_eq!(twins::<2>(text, 0, scales, 9), (vec![], Run { at: 0, stop: Stop::Odd }));
    }
}
