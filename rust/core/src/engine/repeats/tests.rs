use proptest::prelude::*;

use super::*;

/// A frame that differs from others of its length in a few bytes, at its beginning, in its middle and at its end.
fn frame(number: u32, len: usize) -> Vec<u8> {
    let mut frame = vec![b'x'; len];
    let digits = number.to_string();
    for at in [0, len / 2, len.saturating_sub(digits.len())] {
        let end = len.min(at + digits.len());
        frame[at..end].copy_from_slice(&digits.as_bytes()[..end - at]);
    }
    frame
}

fn told(number: usize) -> Told {
    Told { instrument: InstrumentId { slot: number as u32, life: 0 }, ..NOTHING }
}

/// What connections bring, each frame on each of them: kept where nobody has brought it, else looked for.
struct Lane {
    repeats: Repeats,
    marks: Vec<Mark>,
    kept: Vec<(Vec<u8>, (usize, usize))>,
}

impl Lane {
    fn new(connections: usize) -> Self {
        Self { repeats: Repeats::default(), marks: vec![Mark::default(); connections], kept: Vec::new() }
    }

    /// The number of the frame that it was found to be. Any that is found must share with it all that tells its head.
    fn find(&mut self, conn: usize, frame: &[u8]) -> Option<usize> {
        let told = self.repeats.find(ConnId(conn as u16 + 1), &mut self.marks[conn], frame)?;
        let found = told.instrument.slot as usize;
        let (then, (begin, end)) = &self.kept[found];
        assert_eq!(then.len(), frame.len());
        assert_eq!(then[..*begin], frame[..*begin]);
        assert_eq!(then[frame.len() - end..], frame[frame.len() - end..]);
        Some(found)
    }

    fn keep(&mut self, conn: usize, frame: &[u8], read: (usize, usize)) {
        self.repeats.keep(ConnId(conn as u16 + 1), &mut self.marks[conn], frame, read, told(self.kept.len()));
        let is_whole = read.0 + read.1 >= frame.len();
        self.kept.push((frame.to_vec(), if is_whole { (frame.len(), 0) } else { read }));
    }

    fn stray(&mut self, conn: usize, frame: &[u8]) {
        self.repeats.stray(&mut self.marks[conn], frame);
    }

    /// Brings a frame: true where it was found.
    fn bring(&mut self, conn: usize, number: u32, len: usize) -> bool {
        let frame = frame(number, len);
        if self.find(conn, &frame).is_some() {
            return true;
        }
        if self.kept.iter().any(|(kept, _)| *kept == frame) {
            self.stray(conn, &frame);
        } else {
            self.keep(conn, &frame, (len, 0));
        }
        false
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Bring { conn: usize, number: u32, len: usize, read: (usize, usize) },
    Clear,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let len = prop_oneof![0..40_usize, 200..210_usize, 900..1200_usize];
    let read = prop_oneof![Just((usize::MAX / 2, 0)), (0..300_usize, 0..100_usize)];
    let bring = (0..3_usize, 0..60_u32, len, read).prop_map(|(conn, number, len, read)| Step::Bring {
        conn,
        number,
        len,
        read,
    });
    prop::collection::vec(prop_oneof![60 => bring, 1 => Just(Step::Clear)], 1..700)
}

proptest! {
    #[test]
    fn what_is_found_is_what_was_kept_whatever_comes(steps in steps()) {
        let mut lane = Lane::new(3);
        for step in steps {
            match step {
                Step::Bring { conn, number, len, read } => {
                    let frame = frame(number, len);
                    // Whether it is news its bytes do not tell: what is found must be right in either case.
                    match lane.find(conn, &frame) {
                        None if number % 3 == 0 => lane.stray(conn, &frame),
                        None => lane.keep(conn, &frame, read),
                        Some(_) => {}
                    }
                }
                Step::Clear => lane.repeats.clear(),
            }
        }
    }

    #[test]
    fn who_brings_all_in_order_is_found_at_once_each_time(
        lens in prop::collection::vec(100..250_usize, 1..600), turns in prop::collection::vec(0..3_usize, 1..4000),
    ) {
        let mut lane = Lane::new(3);
        let mut next = [0; 3];
        for conn in turns {
            let at: usize = next[conn];
            let most = next.iter().max().copied().unwrap_or_default();
            // As far behind as frames are kept.
            if at < lens.len() && (at < most || most - next.iter().min().copied().unwrap_or_default() < 200) {
                let found = lane.bring(conn, at as u32, lens[at]);
                prop_assert_eq!(found, at < most);
                next[conn] += 1;
            }
        }
    }
}

#[test]
fn who_changes_the_order_or_loses_some_is_found_all_the_same() {
    let mut lane = Lane::new(2);
    (0..100).for_each(|n| assert!(!lane.bring(0, n, 150)));
    // Pairs the other way round, and every tenth pair lost.
    for n in (0..100).step_by(2).filter(|n| n % 20 != 0) {
        assert!(lane.bring(1, n + 1, 150) && lane.bring(1, n, 150), "{n}");
    }
}

#[test]
fn who_joins_late_or_has_lost_very_many_is_found_after_a_few() {
    let mut lane = Lane::new(2);
    (0..300).for_each(|n| assert!(!lane.bring(0, n, 150)));
    let found: Vec<bool> = (290..300).map(|n| lane.bring(1, n, 150)).collect();
    assert_eq!(found.iter().filter(|found| !**found).count(), PATIENCE as usize);
    (300..400).for_each(|n| assert!(!lane.bring(0, n, 150)));
    let found: Vec<bool> = (380..400).map(|n| lane.bring(1, n, 150)).collect();
    assert_eq!(found.iter().filter(|found| !**found).count(), PATIENCE as usize);
}

#[test]
fn who_leads_where_others_had_led_is_not_searched_for_in_vain() {
    let mut lane = Lane::new(2);
    (0..50).for_each(|n| assert!(!lane.bring(0, n, 150)));
    // It has lost those, and leads from here on.
    (50..60).for_each(|n| assert!(!lane.bring(1, n, 150)));
    assert_eq!(lane.marks[1].next, lane.repeats.next);
    (50..60).for_each(|n| assert!(lane.bring(0, n, 150)));
}
