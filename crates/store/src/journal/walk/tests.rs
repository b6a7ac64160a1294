use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;
use crate::journal::chain::push_hex;
use crate::keys::Key;

fn key() -> ChainKey {
    ChainKey::new(&Key {
        version: 1,
        bytes: Zeroizing::new([3; 32]),
    })
}

/// A segment of a header and `count` entries.
fn segment(count: u64) -> Vec<Vec<u8>> {
    let key = key();
    let mut mac = [0; 32];
    let zeros = "0".repeat(64);
    (1..=count + 1)
        .map(|number| {
            let payload = if number == 1 {
                format!("{{\"n\":1,\"t\":\"segment\",\"at\":[1,1],\"segment\":1,\"key\":1,\"prev\":{{\"n\":0,\"mac\":\"{zeros}\"}}}}")
            } else {
                format!("{{\"n\":{number},\"t\":\"stop\",\"at\":[{number},1]}}")
            };
            mac = key.link(&mac, payload.as_bytes());
            let mut line = payload.into_bytes();
            line.push(b'\t');
            push_hex(&mut line, &mac);
            line
        })
        .collect()
}

fn walk(lines: &[Vec<u8>]) -> (Walk, Vec<u64>) {
    let mut bytes = Vec::new();
    for line in lines {
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
    }
    let mut walk = Walk::new(vec![key()]);
    let mut seen = Vec::new();
    let torn = walk.segment(1, &bytes, |entry| seen.push(entry.number));
    walk.finish();
    assert_eq!(torn, 0);
    (walk, seen)
}

#[derive(Debug, Clone)]
enum Edit {
    Alter(usize, usize, u8),
    Delete(usize),
    Swap(usize, usize),
    Repeat(usize, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let line = 0..12_usize;
    prop_oneof![
        (line.clone(), 0..150_usize, 1..=255_u8)
            .prop_map(|(line, at, flip)| Edit::Alter(line, at, flip)),
        line.clone().prop_map(Edit::Delete),
        (line.clone(), line.clone()).prop_map(|(one, other)| Edit::Swap(one, other)),
        (line.clone(), line).prop_map(|(from, to)| Edit::Repeat(from, to)),
    ]
}

fn apply(lines: &mut Vec<Vec<u8>>, edit: &Edit) {
    let last = lines.len() - 1;
    match *edit {
        Edit::Alter(line, at, flip) => {
            let line = &mut lines[line.min(last)];
            let at = at % line.len();
            line[at] ^= flip;
        }
        Edit::Delete(line) => drop(lines.remove(line.min(last))),
        Edit::Swap(one, other) => lines.swap(one.min(last), other.min(last)),
        Edit::Repeat(from, to) => {
            let line = lines[from.min(last)].clone();
            lines.insert(to.min(last), line);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_to_the_lines_is_noticed(edits in prop::collection::vec(edit(), 1..4)) {
        let whole = segment(11);
        let mut lines = whole.clone();
        for edit in &edits {
            apply(&mut lines, edit);
        }
        let (walk, seen) = walk(&lines);
        // A cut end is what a kept head is for; everything else is noticed.
        let untouched = whole.starts_with(&lines);
        prop_assert_eq!(walk.damage.is_empty(), untouched, "{:?}", walk.damage);
        // No entry is shown that was not written.
        prop_assert!(seen.iter().all(|number| (1..=12).contains(number)));
        for number in 1..=12_u64 {
            let line = &whole[number as usize - 1];
            prop_assert!(!seen.contains(&number) || lines.contains(line), "entry {}", number);
        }
    }

    #[test]
    fn one_changed_byte_costs_one_entry(line in 1..11_usize, at in 0..150_usize, flip in 1..=255_u8) {
        let mut lines = segment(11);
        let at = at % lines[line].len();
        prop_assume!(lines[line][at] ^ flip != b'\n');
        lines[line][at] ^= flip;
        let (walk, seen) = walk(&lines);
        prop_assert_eq!(walk.damage.len(), 1, "{:?}", walk.damage);
        prop_assert_eq!(walk.damage[0].line, line as u64 + 1);
        prop_assert_eq!(seen.len(), 11);
        prop_assert_eq!(walk.next_number(), 13);
    }
}

#[test]
fn lines_without_a_known_key_are_not_believed() {
    let mut bytes = segment(3).join(&b'\n');
    bytes.push(b'\n');
    let other = ChainKey::new(&Key {
        version: 2,
        bytes: Zeroizing::new([4; 32]),
    });
    let mut walk = Walk::new(vec![other]);
    walk.segment(1, &bytes, |entry| {
        panic!("entry {} was believed", entry.number)
    });
    walk.finish();
    assert_eq!(walk.damage[0].kind, DamageKind::KeyMissing { version: 1 });
}

#[test]
fn an_entry_that_stands_there_twice_is_shown_once() {
    let mut lines = segment(5);
    lines.insert(4, lines[2].clone());
    let (walk, seen) = walk(&lines);
    assert_eq!(seen, [1, 2, 3, 4, 5, 6]);
    assert_eq!(walk.damage.len(), 1);
    assert_eq!(walk.damage[0].kind, DamageKind::Misplaced { number: 3 });
    assert_eq!(walk.unusable.stretches(), 1);
}

#[test]
fn a_first_header_that_was_altered_is_not_believed() {
    for claim in [u64::MAX, 5_000] {
        let mut lines = segment(5);
        let header = String::from_utf8(lines[0].clone()).unwrap();
        let forged = header.replace("\"prev\":{\"n\":0,", &format!("\"prev\":{{\"n\":{claim},"));
        assert_ne!(forged, header);
        lines[0] = forged.into_bytes();
        let (walk, seen) = walk(&lines);
        assert_eq!(seen, [2, 3, 4, 5, 6]);
        assert_eq!(walk.damage.len(), 1, "{:?}", walk.damage);
        assert_eq!(walk.damage[0].kind, DamageKind::Altered);
        assert!(walk.first.is_none());
        assert_eq!(walk.next_number(), 7);
    }
}

#[test]
fn a_million_bad_lines_are_one_stretch_and_a_thousand_places() {
    let mut lines = segment(5);
    lines.extend(vec![Vec::new(); 1_000_000]);
    let (walk, seen) = walk(&lines);
    assert_eq!(seen, [1, 2, 3, 4, 5, 6]);
    assert_eq!(walk.unusable.stretches(), 1);
    let (last, named) = walk.damage.split_last().unwrap();
    assert_eq!(named.len(), NAMED);
    assert!(named.iter().all(|it| it.kind == DamageKind::Altered));
    assert_eq!(last.kind, DamageKind::More { places: 999_000 });
    assert_eq!(last.to_string(), "and 999000 more places");
}
