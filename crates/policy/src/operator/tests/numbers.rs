//! What is compared as numbers, and what as text.

use super::*;

#[test]
fn d06_text_and_text_are_compared_byte_for_byte() {
    check(
        "eq",
        r#""1.10""#,
        &[
            (r#""1.10""#, Yes),
            (r#""1.1\u0030""#, Yes),
            (r#""1.1""#, No),
            (r#""1.100""#, No),
            // A number is compared as one.
            ("1.10", Yes),
            ("1.1", Yes),
            ("11e-1", Yes),
            ("1.2", No),
        ],
    );
    check("neq", r#""1.10""#, &[(r#""1.1""#, Yes), ("1.1", No)]);
    check(
        "in",
        r#"["1000", "00"]"#,
        &[
            (r#""1000""#, Yes),
            (r#""1e3""#, No),
            (r#""1000.0""#, No),
            (r#""00""#, Yes),
            (r#""0""#, No),
            ("1e3", Yes),
            ("0", No),
        ],
    );
    check("not_in", r#"["1000"]"#, &[(r#""1e3""#, Yes), ("1e3", No)]);
    check("contains", r#""5""#, &[(r#"["5.0"]"#, No), ("[5.0]", Yes)]);
    check("contains", "5", &[(r#"["5.0"]"#, Yes), (r#"["05"]"#, No)]);
    // Inside lists and objects, too.
    check(
        "eq",
        r#"{"a":"1"}"#,
        &[(r#"{"a":"1.0"}"#, No), (r#"{"a":1.0}"#, Yes)],
    );
    // Text that is not a number by the grammar is none, however servers read it.
    let spelled = [
        r#"" 5""#,
        r#""5 ""#,
        r#""+5""#,
        r#""05""#,
        r#""5.""#,
        r#"".5e1""#,
        "\"\u{ff15}\"",
        r#""0x5""#,
    ];
    check("eq", "5", &spelled.map(|text| (text, No)));
    check("gte", "5", &spelled.map(|text| (text, Unsure)));
}

#[test]
fn d86_numbers_are_decided_when_exact_and_nearest_agree() {
    check(
        "eq",
        "100",
        &[
            ("100", Yes),
            ("100.0", Yes),
            ("1E+2", Yes),
            (r#""100.00""#, Yes),
            ("100.00000000000000001", Unsure),
            ("99.9999999999999999", Unsure),
            (r#""99.9999999999999999""#, Unsure),
            ("100.0000000000001", No),
            ("99.99", No),
        ],
    );
    check(
        "neq",
        "100",
        &[("100.00000000000000001", Unsure), ("99.99", Yes)],
    );
    check(
        "in",
        "[5, 100]",
        &[("100.00000000000000001", Unsure), ("5", Yes)],
    );
    check(
        "in",
        "[100, 5]",
        &[("100.00000000000000001", Unsure), ("6", No)],
    );
    check(
        "not_in",
        "[100, 5]",
        &[("100.00000000000000001", Unsure), ("6", Yes)],
    );
    check(
        "contains",
        "100",
        &[
            ("[100.00000000000000001, 5]", Unsure),
            ("[100.00000000000000001, 100]", Yes),
        ],
    );
    check(
        "eq",
        "[100, 5]",
        &[
            ("[100.00000000000000001, 5]", Unsure),
            ("[100.00000000000000001, 6]", No),
        ],
    );
    check(
        "lte",
        "100",
        &[
            ("19.99", Yes),
            ("100.00000000000000001", Unsure),
            ("99.9999999999999999", Unsure),
        ],
    );
    check(
        "lt",
        "100",
        &[
            ("99.9999999999999999", Unsure),
            ("100.00000000000000001", Unsure),
        ],
    );
    check(
        "gte",
        "100",
        &[("99.9999999999999999", Unsure), ("100", Yes)],
    );
    check(
        "gt",
        "100",
        &[
            ("100.00000000000000001", Unsure),
            ("100", No),
            ("1e400", Yes),
        ],
    );
    check(
        "eq",
        "9007199254740992",
        &[
            ("9007199254740993", Unsure),
            ("9007199254740992", Yes),
            ("9007199254999999", No),
        ],
    );
    check(
        "gt",
        "0",
        &[("1e-400", Unsure), ("1e-300", Yes), ("0e-400", No)],
    );
    check(
        "eq",
        "1e400",
        &[("1e401", Unsure), ("1e400", Yes), ("7", No)],
    );
    // Many digits: not everybody makes the nearest double of them.
    check(
        "eq",
        "123456789012345.5",
        &[
            ("123456789012345.50000000000000", Unsure),
            ("123456789012345.5", Yes),
        ],
    );
}
