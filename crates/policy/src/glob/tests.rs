use proptest::prelude::*;

use super::*;

fn glob(text: &str) -> Glob {
    Glob::new(&text.into()).unwrap()
}

#[test]
fn covers_by_literal_parts() {
    let check = |pattern: &str, name: &str, expected: bool| {
        assert_eq!(glob(pattern).matches(name), expected, "{pattern} {name}");
    };
    check("git_*", "git_push", true);
    check("git_*", "git_", true);
    check("git_*", "git", false);
    check("*_delete", "db_delete", true);
    check("*_delete", "db_delete_all", false);
    check("a*b*c", "aXbYbZc", true);
    check("a*b*c", "acb", false);
    check("*", "", true);
    check("**", "x", true);
    check("a.*", "ab", false);
    check("[a]*", "a", false);
    check("é*", "éa", true);
    check(&"*a".repeat(50), &"a".repeat(5_000), true);
    check(&format!("{}b", "*a".repeat(50)), &"a".repeat(5_000), false);
}

#[test]
fn finds_globs_that_share_a_name() {
    let check = |left: &str, right: &str, expected: bool| {
        assert_eq!(glob(left).meets(&glob(right)), expected, "{left} {right}");
        assert_eq!(glob(right).meets(&glob(left)), expected, "{right} {left}");
    };
    check("a*", "*b", true);
    check("git_*", "svn_*", false);
    check("git_*", "*_git", true);
    check("a*a", "a*a", true);
    check("ab*", "a*c", true);
    check("*ab", "*cd", false);
    check("a*c", "ab*d", false);
    check("*", "x*", true);
    check("a*bc*d", "a*cb*d", true);
}

/// What a pattern covers, by its definition.
fn covers_by_definition(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], _) => name.is_empty(),
        ([b'*', rest @ ..], [_, shorter @ ..]) => {
            covers_by_definition(rest, name) || covers_by_definition(pattern, shorter)
        }
        ([b'*', rest @ ..], []) => covers_by_definition(rest, name),
        ([literal, rest @ ..], [first, shorter @ ..]) => {
            literal == first && covers_by_definition(rest, shorter)
        }
        (_, []) => false,
    }
}

/// All texts over an alphabet, up to a length.
fn all(alphabet: &[u8], longest: usize) -> Vec<Vec<u8>> {
    let mut texts = vec![Vec::new()];
    let mut from = 0;
    for _ in 0..longest {
        let to = texts.len();
        for index in from..to {
            for &byte in alphabet {
                let mut longer = texts[index].clone();
                longer.push(byte);
                texts.push(longer);
            }
        }
        from = to;
    }
    texts
}

#[test]
fn d32_all_short_patterns_cover_and_meet_by_definition() {
    let patterns = all(b"ab*", 4);
    // What two of them share, they share in a name of all their letters at most.
    let names = all(b"ab", 8);
    let covered: Vec<Vec<bool>> = patterns
        .iter()
        .map(|pattern| {
            let by_definition = |name: &Vec<u8>| {
                let expected = covers_by_definition(pattern, name);
                assert_eq!(covers(pattern, name), expected, "{pattern:?} {name:?}");
                expected
            };
            names.iter().map(by_definition).collect()
        })
        .collect();
    for (left, by_left) in patterns.iter().zip(&covered) {
        for (right, by_right) in patterns.iter().zip(&covered) {
            let shared = by_left.iter().zip(by_right).any(|(l, r)| *l && *r);
            assert_eq!(meet(left, right), shared, "{left:?} {right:?}");
        }
    }
}

proptest! {
    #[test]
    fn what_both_cover_they_share(left in "[ab*]{0,6}", right in "[ab*]{0,6}", name in "[ab]{0,8}") {
        let (Some(l), Some(r)) = (Glob::new(&left.as_str().into()), Glob::new(&right.as_str().into())) else {
            return Ok(());
        };
        if l.matches(&name) && r.matches(&name) {
            prop_assert!(l.meets(&r));
        }
        // And the other way round: some name of bounded length proves it.
        if l.meets(&r) {
            let mut names = vec![String::new()];
            for _ in 0..10 {
                let longer: Vec<_> = names.iter().flat_map(|n| [format!("{n}a"), format!("{n}b")]).collect();
                names.extend(longer);
                names.sort();
                names.dedup();
            }
            prop_assert!(names.iter().any(|n| l.matches(n) && r.matches(n)), "{left} {right}");
        }
    }
}
