//! What conditions cost, and what ends where the budget does.

use super::super::pattern::Pattern;
use super::*;

/// What a condition costs, and what it comes to.
pub(super) fn cost(operator: &str, value: &str, actual: &str) -> (Outcome, u64) {
    let operator = crate::words::named(operator).unwrap();
    let value = read(value.as_bytes(), Bounds::default()).unwrap();
    let matcher = Matcher::new(operator, &Literal::from(value.root())).unwrap();
    let bounds = Bounds {
        depth: 10,
        nodes: 3_000_000,
    };
    let actual = read(actual.as_bytes(), bounds).unwrap();
    let mut work = Work::default();
    let outcome = matcher.ask(Some(actual.root()), &mut work);
    (outcome, Work::OF_A_CALL - work.left())
}

const TOO_COSTLY: Outcome = Outcome::CannotTell(TOO_MUCH);

#[test]
fn d84_plain_patterns_read_each_byte_once() {
    let body = 4 << 20;
    let text = |part: &str| format!("\"{}\"", part.repeat(body / part.len()));
    for pattern in [
        "rm -rf",
        r"(?i)drop\s+table",
        r"\w+@\w+\.com",
        r"(?i)(password|secret)\s*[:=]",
        r"[0-9]{16}",
    ] {
        let pattern = format!("\"{}\"", pattern.replace('\\', "\\\\"));
        for part in ["a", "drop ", "ab12 ", "1", "@", "漢"] {
            let (outcome, cost) = cost("regex", &pattern, &text(part));
            assert!(
                matches!(outcome, Outcome::Holds | Outcome::Fails),
                "{pattern} {part} {outcome:?}"
            );
            assert!(cost < 3 << 22, "{pattern} {part} {cost}");
        }
    }
    // With escapes, which are undone once.
    let (outcome, cost) = cost("regex", r#""rm -rf""#, &text(r"\n"));
    assert_eq!(outcome, Outcome::Fails);
    assert!(cost < 13 << 20, "{cost}");
}

#[test]
fn d84_what_exceeds_the_budget_cannot_be_told() {
    // Every eighth of these asks the automaton for a state it does not have.
    let mut state = 7_u32;
    let mut hostile = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if state >> 31 == 0 { 'a' } else { 'b' }
    };
    let hostile: String = (0..1_000_000).map(|_| hostile()).collect();
    let patterns = ["(a|b)*a(a|b){20}c", "[ab]{0,50}[bc]{0,50}[abd]{0,90}!"];
    for pattern in patterns {
        let pattern = format!("\"{pattern}\"");
        let (outcome, cost) = cost("regex", &pattern, &format!("\"{hostile}\""));
        assert_eq!((outcome, cost), (TOO_COSTLY, Work::OF_A_CALL), "{pattern}");
        let (outcome, _) = self::cost("regex", &pattern, &format!("\"{}\"", &hostile[..500]));
        assert_eq!(outcome, Outcome::Fails, "{pattern}");
    }
    // Boundaries of words beyond ASCII take the slow way.
    let german = "Das Geheimnis heißt häufig anders. ".repeat(600);
    let boundaries = r#""(?i)\\b(passwort|geheimnis)\\b\\s*[:=]""#;
    let (outcome, cost) = cost("regex", boundaries, &format!("\"{german}\""));
    assert_eq!(outcome, Outcome::Fails);
    assert!(cost < Work::OF_A_CALL / 2, "{cost}");
    let (outcome, _) = self::cost("regex", boundaries, &format!("\"{german}geheimnis = 5\""));
    assert_eq!(outcome, Outcome::Holds);
    let (outcome, _) = self::cost("regex", boundaries, &format!("\"{}\"", german.repeat(200)));
    assert_eq!(outcome, TOO_COSTLY);
}

#[test]
fn d84_the_size_of_a_pattern_is_bounded_when_it_is_read() {
    let pattern = Literal::text(r"(\w{100}){100}");
    let refused = Matcher::new(Operator::Regex, &pattern).unwrap_err();
    assert_eq!(
        refused.message,
        r"the pattern `(\w{100}){100}` is too large: compiled, it has more than 1 MiB"
    );
}

#[test]
fn d84_names_what_can_cost_too_much() {
    let costly = |pattern: &str| Pattern::new(pattern).unwrap().costly();
    for cheap in [
        "rm -rf",
        r"(?i)drop\s+table",
        r"(?-u:\b)id(?-u:\b)",
        "^[a-z0-9-]+$",
        r"@example\.com$",
        r"\w+@\w+\.com",
    ] {
        assert_eq!(costly(cheap), None, "{cheap}");
    }
    assert_eq!(costly("(a|b)*a(a|b){20}c"), Some(Costly::Hostile));
    assert!(matches!(costly(r"\bid\b"), Some(Costly::NotAscii(bytes)) if bytes > 10_000));
}

#[test]
fn d84_every_way_of_searching_finds_the_same() {
    let patterns = [
        "",
        "a",
        "^a",
        "a$",
        "^$",
        r"\bka\b",
        r"\Bä",
        r"(?i)straße\b",
        r"(?m)^b$",
        r"\w+\s\w+!",
        "[a&&b]",
        r"\d{2,4}\b",
        r"(?-u:\b)x",
        r"\b{start}a",
        r"(a|ab)(c|bcd)$",
        r"é\b|\bü",
        "(?s)a.c",
        "(?x) a # no",
    ];
    let texts = [
        "",
        "a",
        "b",
        "ab",
        "ba ka",
        "kä ka ük",
        "STRASSE Straße straẞe",
        "a\nb\nc",
        "ä",
        "xä",
        "äx x",
        "12 345 6789é",
        "abcd",
        "abbcd",
        "une élève é",
        "a\nc",
        "wort wort!",
        "ü",
        "漢字 a 漢字",
    ];
    for pattern in patterns {
        let other = regex::Regex::new(pattern).unwrap();
        let pattern = Pattern::new(pattern).unwrap();
        for text in texts {
            let mut work = Work::default();
            let expected = yes_if(other.is_match(text));
            assert_eq!(
                pattern.ask(text, &mut work),
                Ok(expected),
                "{other} in {text}"
            );
            assert_eq!(
                pattern.simulate(text, &mut work).map(yes_if),
                Ok(expected),
                "{other} in {text}"
            );
        }
    }
}

#[test]
fn d82_words_and_paths_are_folded_once_and_measured() {
    let rm = r#"[["rm"]]"#;
    let many: Vec<_> = (0..300).map(|n| format!(r#"["rm{n}"]"#)).collect();
    let many = format!("[{}]", many.join(","));
    for listed in [rm, &many] {
        let word = format!("\"{}\"", "\u{fdfa}".repeat(10_000));
        let (outcome, cost) = cost("argv_in", listed, &word);
        assert_eq!(outcome, Outcome::Fails);
        assert!((3_840_000..4_000_000).contains(&cost), "{cost}");
        let word = format!("\"{}\"", "\u{fdfa}".repeat(100_000));
        assert_eq!(self::cost("argv_in", listed, &word).0, TOO_COSTLY);
        let word = format!("\"{}\"", "R".repeat(4_000_000));
        assert_eq!(self::cost("argv_in", listed, &word).0, Outcome::Fails);
    }
    let path = format!("\"/{}\"", "é".repeat(2048));
    let (outcome, cost) = cost("under", r#"["/srv"]"#, &path);
    assert_eq!(outcome, Outcome::CannotTell("is longer than a path can be"));
    assert!(cost < 10_000, "{cost}");
}

#[test]
fn d84_lists_count_too() {
    let numbers = format!("[{}1]", "1,".repeat(200_000));
    let (outcome, _) = cost("contains", "2", &numbers);
    assert_eq!(outcome, Outcome::Fails);
    let (outcome, _) = self::cost(
        "contains",
        "[2]",
        &format!("[{}[1]]", "[1,2],".repeat(60_000)),
    );
    assert_eq!(outcome, Outcome::Fails);
    let list: Vec<_> = (0..2000)
        .map(|n| format!("\"{}{n}\"", "x".repeat(2000)))
        .collect();
    let list = format!("[{}]", list.join(","));
    let (outcome, _) = self::cost("in", &list, &format!("\"{}\"", "x".repeat(2004)));
    assert_eq!(outcome, Outcome::Fails);
}
