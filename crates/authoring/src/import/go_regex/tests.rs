use super::*;

#[test]
fn patterns_mean_the_same() {
    for (pattern, matching, other) in [
        (r"^\d+$", "123", "١٢٣"),
        (r"^\w+$", "abc_1", "äbc"),
        (r"^\S+$", "a\u{a0}b", "a b"),
        (r"^[\w.-]+$", "a.b-c", "ä"),
        (r"^[^\d]$", "x", "1"),
        (r"^[\D]$", "x", "1"),
        (r"\bcat\b", "äcatä", "bobcat"),
        (r"^\Qa.b*\E+$", "a.b**", "axb"),
        (r"^\Qa.b", "a.b", "axb"),
        (r"^[]a]+$", "]a]", "b"),
        (r"^[^]a]$", "b", "]"),
        (r"^[[a]+$", "[a", "b"),
        (r"^[a&&b]+$", "&ab", "c"),
        (r"^[[:alpha:]_]+$", "ab_", "1"),
        (r"^[[:^digit:]]$", "x", "1"),
        (r"[;&|`$]", "a|b", "a b"),
        (r"(?i)^drop\s+table", "DROP  table", "DROPtable"),
        (r"^\\d$", r"\d", "1"),
        (r"^\pL+$", "äb", "1"),
        (r"^(?P<x>a)\z", "a", "a\n"),
    ] {
        let translated = translate(pattern);
        let regex = regex::Regex::new(&translated).unwrap_or_else(|e| panic!("{pattern}: {e}"));
        assert!(
            regex.is_match(matching),
            "{pattern} became {translated}, should match {matching}"
        );
        assert!(
            !regex.is_match(other),
            "{pattern} became {translated}, should not match {other}"
        );
    }
}

#[test]
fn a_broken_pattern_stays_broken() {
    for pattern in ["(", "[a", r"a\", "[[:nothing:]]", r"\8"] {
        assert!(regex::Regex::new(&translate(pattern)).is_err(), "{pattern}");
    }
}
