use std::cmp::Ordering;

use super::Decimal;

fn check(left: &str, right: &str, expected: Ordering) {
    let a = Decimal::parse(left).unwrap();
    let b = Decimal::parse(right).unwrap();
    assert_eq!(a.cmp(&b), expected, "{left} with {right}");
    assert_eq!(b.cmp(&a), expected.reverse(), "{right} with {left}");
}

#[test]
fn compares_by_value_and_not_by_spelling() {
    check("1", "1.0", Ordering::Equal);
    check("1", "10e-1", Ordering::Equal);
    check("100", "1E+2", Ordering::Equal);
    check("0", "-0", Ordering::Equal);
    check("0", "0e999999999999999999999999", Ordering::Equal);
    check("-0.0", "0e5", Ordering::Equal);
    check("0.001", "1e-3", Ordering::Equal);
    check("9007199254740993", "9007199254740992", Ordering::Greater);
    check("0.1", "0.10000000000000000000000000001", Ordering::Less);
    check("-1", "1", Ordering::Less);
    check("-2", "-1", Ordering::Less);
    check("-1e400", "-1e399", Ordering::Less);
    check("1e400", "1e399", Ordering::Greater);
    check("1e400", "2", Ordering::Greater);
    check("0", "1e-400", Ordering::Less);
    check("12", "9", Ordering::Greater);
    check("99.9", "100", Ordering::Less);
    check("123", "12", Ordering::Greater);
    check("0.05", "0.5", Ordering::Less);
}

#[test]
fn refuses_what_is_no_number() {
    for text in [
        "",
        "-",
        "+1",
        "01",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "Infinity",
        " 1",
        "1 ",
        "1_0",
        "--1",
        "1e1e1",
        "1.2.3",
        "1e9999999999999999999999",
    ] {
        assert!(Decimal::parse(text).is_none(), "{text}");
    }
}
