use super::*;
use crate::json::{Bounds, read};

/// Asks one operator about one value; both as JSON text.
fn ask(operator: &str, value: &str, actual: &str) -> Outcome {
    let operator = Operator::ALL
        .iter()
        .find(|(_, name)| *name == operator)
        .unwrap()
        .0;
    let value = read(value.as_bytes(), Bounds::default()).unwrap();
    let test = Test::new(operator, &Literal::from(value.root())).unwrap();
    if actual == "absent" {
        return test.ask(None, &mut Work::default());
    }
    let actual = read(actual.as_bytes(), Bounds::default()).unwrap();
    test.ask(Some(actual.root()), &mut Work::default())
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Want {
    Yes,
    No,
    /// Wrong type, or readable in two ways.
    Unsure,
    Absent,
}
use Want::{Absent, No, Unsure, Yes};

#[track_caller]
fn check(operator: &str, value: &str, rows: &[(&str, Want)]) {
    for (actual, want) in rows {
        let got = match ask(operator, value, actual) {
            Outcome::Holds => Yes,
            Outcome::Fails => No,
            Outcome::Absent => Absent,
            Outcome::CannotTell(_) => Unsure,
        };
        assert_eq!(got, *want, "{actual} {operator} {value}");
    }
}

#[test]
fn eq_compares_numbers_by_value_and_the_rest_by_text() {
    check(
        "eq",
        "1",
        &[
            ("1", Yes),
            ("1.0", Yes),
            ("10e-1", Yes),
            (r#""1""#, Yes),
            (r#""1.00""#, Yes),
            (r#""01""#, No),
            (r#"" 1""#, No),
            ("2", No),
            ("true", No),
            ("null", No),
            ("[1]", Unsure),
            (r#"{"$eq":1}"#, Unsure),
            ("absent", Absent),
        ],
    );
    check(
        "eq",
        "9007199254740993",
        &[
            ("9007199254740993", Yes),
            ("9007199254740992", Unsure),
            ("9007199254750992", No),
        ],
    );
    check(
        "eq",
        "true",
        &[("true", Yes), (r#""true""#, Yes), ("1", No), ("false", No)],
    );
    check(
        "eq",
        "null",
        &[
            ("null", Yes),
            (r#""null""#, No),
            ("0", No),
            ("absent", Absent),
        ],
    );
    check(
        "eq",
        r#""a""#,
        &[
            (r#""a""#, Yes),
            (r#""\u0061""#, Yes),
            (r#""A""#, No),
            ("null", No),
        ],
    );
    check(
        "eq",
        "0",
        &[("-0", Yes), ("0.0", Yes), ("0e99", Yes), (r#""""#, No)],
    );
    check("eq", "1", &[("1e99999999999999999999", Unsure)]);
}

#[test]
fn eq_compares_objects_and_lists_with_their_own_kind() {
    check(
        "eq",
        r#"{"a":1,"b":[1,2]}"#,
        &[
            (r#"{"b":[1,2.0],"a":"1"}"#, Yes),
            (r#"{"b":[2,1],"a":1}"#, No),
            (r#"{"a":1}"#, No),
            (r#"{"a":[1],"b":[1,2]}"#, No),
            ("[]", Unsure),
            ("1", Unsure),
        ],
    );
    check(
        "eq",
        "[1,2]",
        &[
            ("[1,2]", Yes),
            ("[2,1]", No),
            ("[1]", No),
            ("{}", Unsure),
            (r#""[1,2]""#, Unsure),
        ],
    );
}

#[test]
fn neq_is_the_opposite_except_where_nothing_can_be_said() {
    check(
        "neq",
        "1",
        &[
            ("1", No),
            (r#""1""#, No),
            ("2", Yes),
            ("null", Yes),
            ("[1]", Unsure),
            ("absent", Absent),
        ],
    );
}

#[test]
fn in_and_not_in_compare_each_element() {
    check(
        "in",
        r#"["manager", 2, true]"#,
        &[
            (r#""manager""#, Yes),
            ("2.0", Yes),
            (r#""2""#, Yes),
            ("true", Yes),
            (r#""executive""#, No),
            ("null", No),
            (r#"["manager"]"#, Unsure),
            ("{}", Unsure),
            ("absent", Absent),
        ],
    );
    check(
        "in",
        r#"[["a"], "b"]"#,
        &[
            (r#"["a"]"#, Yes),
            (r#"["b"]"#, No),
            (r#""b""#, Yes),
            ("{}", Unsure),
        ],
    );
    check("in", "[]", &[("1", No), ("[]", Unsure)]);
    check("in", "[1]", &[("1e99999999999999999999", Unsure)]);
    check(
        "not_in",
        r#"["a", "b"]"#,
        &[
            (r#""a""#, No),
            (r#""c""#, Yes),
            (r#"["a"]"#, Unsure),
            ("absent", Absent),
        ],
    );
}

#[test]
fn item_86_ordering_compares_exact_decimals_and_nothing_else() {
    check(
        "gt",
        "100",
        &[
            ("100", No),
            ("100.000000000000000000001", Unsure),
            ("100.0000000001", Yes),
            ("1e9", Yes),
            (r#""1e9""#, Yes),
            ("1E400", Yes),
            ("-1E400", No),
            ("-0", No),
            (r#""99""#, No),
            (r#""1e9 ""#, Unsure),
            (r#""0x7f""#, Unsure),
            (r#""many""#, Unsure),
            (r#""""#, Unsure),
            ("[100]", Unsure),
            (r#"{"$gt":0}"#, Unsure),
            ("true", Unsure),
            ("null", Unsure),
            ("1e99999999999999999999", Unsure),
            ("absent", Absent),
        ],
    );
    check(
        "gte",
        "0.1",
        &[
            ("0.1", Yes),
            ("1e-1", Yes),
            ("0.09999999999999999999", Unsure),
            ("0.09999999999", No),
        ],
    );
    check(
        "lt",
        "9007199254740993",
        &[
            ("9007199254740992", Unsure),
            ("9007199254740993", No),
            ("9007199254740900", Yes),
        ],
    );
    check("lte", "-1", &[("-1", Yes), ("-2", Yes), ("0", No)]);
}

#[test]
fn regex_searches_text_anywhere() {
    check(
        "regex",
        r#""^git (status|log)$""#,
        &[
            (r#""git status""#, Yes),
            (r#""git status ""#, No),
            (r#""git status\n""#, No),
            (r#""git \u0073tatus""#, Yes),
            ("1", Unsure),
            ("null", Unsure),
            (r#"["git log"]"#, Unsure),
            ("absent", Absent),
        ],
    );
    check("regex", r#""b""#, &[(r#""abc""#, Yes)]);
}

#[test]
fn regex_takes_linear_time() {
    let actual = format!("\"{}\"", "a".repeat(100_000));
    check("regex", r#""^(a+)+$""#, &[(&actual, Yes)]);
    check("regex", r#""^(a|aa)*b$""#, &[(&actual, No)]);
}

#[test]
fn contains_looks_into_text_and_lists() {
    check(
        "contains",
        r#""rm -rf""#,
        &[
            (r#""sudo rm -rf /""#, Yes),
            (r#""sudo rm\u0020-rf /""#, Yes),
            (r#""rm  -rf""#, No),
            (r#"["rm -rf"]"#, Yes),
            (r#"["sudo rm -rf"]"#, No),
            (r#"["a", ["rm -rf"]]"#, Unsure),
            (r#"{"a":"rm -rf"}"#, Unsure),
            ("1", Unsure),
            ("null", Unsure),
            ("absent", Absent),
        ],
    );
    check(
        "contains",
        "2",
        &[
            ("[1,2]", Yes),
            ("[1]", No),
            (r#"["2"]"#, Yes),
            (r#""123""#, Unsure),
        ],
    );
}

#[test]
fn exists_means_present_and_not_null() {
    check(
        "exists",
        "true",
        &[
            ("0", Yes),
            (r#""""#, Yes),
            ("[]", Yes),
            ("null", No),
            ("absent", No),
        ],
    );
    check(
        "exists",
        "false",
        &[("0", No), ("null", Yes), ("absent", Yes)],
    );
}

#[test]
fn item_82_under_takes_plain_absolute_paths_only() {
    check(
        "under",
        r#"["/srv/work", "/tmp/"]"#,
        &[
            (r#""/srv/work""#, Yes),
            (r#""/srv/work/""#, Yes),
            (r#""/srv/work/a/b.txt""#, Yes),
            (r#""/srv//work/./a""#, Yes),
            (r#""//srv/work/a""#, Yes),
            (r#""/tmp/x""#, Yes),
            (r#""/srv/work/.hidden""#, Yes),
            (r#""/srv/work/a~""#, Yes),
            (r#""/srv/work/50% done""#, Yes),
            (r#""/srv/work/\u00e9t\u00e9""#, Yes),
            (r#""/srv/workshop""#, No),
            (r#""/srv""#, No),
            (r#""/""#, No),
            (r#""/etc/shadow""#, No),
            (r#""/srv/work/../../etc/shadow""#, Unsure),
            (r#""/srv/work/..""#, Unsure),
            (r#""/srv/work/a/../b""#, Unsure),
            (r#""/srv/work/%2e%2e/x""#, Unsure),
            (r#""/srv/work/%252e%252e/x""#, Unsure),
            (r#""/srv/work/%2Fetc""#, Unsure),
            (r#""/srv/work\\..\\etc""#, Unsure),
            (r#""/srv/work/a\u0000.txt""#, Unsure),
            (r#""/srv/work/a\n""#, Unsure),
            (r#""/srv/work/.. /x""#, Unsure),
            (r#""/srv/work/.../x""#, Unsure),
            (r#""/srv/work/a.""#, Unsure),
            (r#""/srv/work/a ""#, Unsure),
            (r#""/srv/work/\uff0e\uff0e/x""#, Unsure),
            (r#""/srv/work/\u2025/x""#, Unsure),
            (r#""/srv/work\uff0fetc""#, Unsure),
            (r#""/SRV/work/x""#, Unsure),
            (r#""/srv/w\uff4frk/x""#, Unsure),
            (r#""/srv/work/~root""#, Unsure),
            (r#""~/x""#, Unsure),
            (r#""srv/work""#, Unsure),
            (r#""./x""#, Unsure),
            (r#""""#, Unsure),
            (r#""file:///srv/work""#, Unsure),
            (r#""C:\\work""#, Unsure),
            (r#"["/srv/work"]"#, Unsure),
            ("1", Unsure),
            ("null", Unsure),
            ("absent", Absent),
        ],
    );
    check(
        "under",
        r#"["/"]"#,
        &[(r#""/etc""#, Yes), (r#""/""#, Yes), (r#""/a/..""#, Unsure)],
    );
}

#[test]
fn item_83_host_in_takes_urls_with_one_reading_only() {
    check(
        "host_in",
        r#"["example.com", "10.0.0.7", "::1"]"#,
        &[
            (r#""https://example.com""#, Yes),
            (r#""https://example.com/""#, Yes),
            (r#""HTTPS://API.Example.COM:8443/x?y#z""#, Yes),
            (r#""https://a.b.example.com?x=@evil.example""#, Yes),
            (r#""https://example.com/a%20b@c""#, Yes),
            (r#""http://10.0.0.7/""#, Yes),
            (r#""http://[::1]:80/""#, Yes),
            (r#""http://[0:0:0:0:0:0:0:1]/""#, Yes),
            (r#""https://evil.example""#, No),
            (r#""https://example.com.evil.example""#, No),
            (r#""https://notexample.com""#, No),
            (r#""https://com""#, No),
            (r#""https://93.184.216.34/""#, No),
            (r#""https://[2606:4700::1111]/""#, No),
            (r#""https://xn--exmple-cua.com/""#, No),
            (r#""https://example.com./""#, Unsure),
            (r#""https://good@evil.example/""#, Unsure),
            (r#""https://example.com@evil.example/""#, Unsure),
            (r#""https://example.com:80@evil.example/""#, Unsure),
            (r#""https://ex%61mple.com/""#, Unsure),
            (r#""https://ex\u0430mple.com/""#, Unsure),
            (r#""https://example\u3002com/""#, Unsure),
            (r#""https://example.com\\@evil.example""#, Unsure),
            (r#""https:\\\\example.com""#, Unsure),
            (r#""https://exam\tple.com""#, Unsure),
            (r#""https://example.com\n""#, Unsure),
            (r#"" https://example.com""#, Unsure),
            (r#""https://example.com:99999/""#, Unsure),
            (r#""https://example.com:/""#, Unsure),
            (r#""https://example.com:+80/""#, Unsure),
            (r#""https://:80/""#, Unsure),
            (r#""https:///x""#, Unsure),
            (r#""https:/example.com""#, Unsure),
            (r#""https:example.com""#, Unsure),
            (r#""//example.com""#, Unsure),
            (r#""example.com""#, Unsure),
            (r#""javascript://example.com/%0aalert(1)""#, Unsure),
            (r#""javascript:alert(1)""#, Unsure),
            (r#""1http://example.com""#, Unsure),
            (r#""http://127.0.0.1/""#, Unsure),
            (r#""http://127.1/""#, Unsure),
            (r#""http://2130706433/""#, Unsure),
            (r#""http://0x7f.0.0.1/""#, Unsure),
            (r#""http://0x7f000001/""#, Unsure),
            (r#""http://0177.0.0.1/""#, Unsure),
            (r#""http://017700000001/""#, Unsure),
            (r#""http://0/""#, Unsure),
            (r#""http://10.0.0.8/""#, Unsure),
            (r#""http://10.0.0.007/""#, Unsure),
            (r#""http://169.254.169.254/latest/meta-data""#, Unsure),
            (r#""http://192.168.1.1/""#, Unsure),
            (r#""http://172.16.0.1/""#, Unsure),
            (r#""http://100.64.0.1/""#, Unsure),
            (r#""http://[::ffff:127.0.0.1]/""#, Unsure),
            (r#""http://[::ffff:10.0.0.7]/""#, Unsure),
            (r#""http://[::]/""#, Unsure),
            (r#""http://[fe80::1]/""#, Unsure),
            (r#""http://[fe80::1%25eth0]/""#, Unsure),
            (r#""http://[fd00:ec2::254]/""#, Unsure),
            (r#""http://[64:ff9b::7f00:1]/""#, Unsure),
            (r#""http://[2002:7f00:1::]/""#, Unsure),
            (r#""http://[::1""#, Unsure),
            (r#""http://[::1]x/""#, Unsure),
            (r#""http://localhost/""#, Unsure),
            (r#""http://a.localhost/""#, Unsure),
            (r#""http://metadata.google.internal/""#, Unsure),
            (r#""http://a..b/""#, Unsure),
            (r#""""#, Unsure),
            ("1", Unsure),
            (r#"["https://example.com"]"#, Unsure),
            ("absent", Absent),
        ],
    );
    check(
        "host_in",
        r#"["localhost", "127.0.0.1"]"#,
        &[
            (r#""http://localhost:3000/""#, Yes),
            (r#""http://127.0.0.1:3000/""#, Yes),
            (r#""http://127.0.0.2/""#, Unsure),
        ],
    );
}

#[test]
fn item_84_argv_in_takes_plain_words_only() {
    check(
        "argv_in",
        r#"["git status", ["git", "log"], "ls"]"#,
        &[
            (r#""git status""#, Yes),
            (r#""git  status --short src/a.rs""#, Yes),
            (r#""git log -n 5 --format=%H""#, Unsure),
            (r#""git log -n5 --since=2.weeks""#, Yes),
            (r#""ls""#, Yes),
            (r#""ls -la /srv/work""#, Yes),
            (r#"["git","status"]"#, Yes),
            (r#"["ls","a file"]"#, Yes),
            (r#""git push""#, No),
            (r#""git""#, No),
            (r#""lsof""#, No),
            (r#""cat x""#, No),
            (r#"["git status"]"#, Unsure),
            (r#""git status; rm -rf /""#, Unsure),
            (r#""git status;rm""#, Unsure),
            (r#""git status && rm""#, Unsure),
            (r#""git status | sh""#, Unsure),
            (r#""git status & rm""#, Unsure),
            (r#""git status > /etc/passwd""#, Unsure),
            (r#""git status < x""#, Unsure),
            (r#""git status $(rm)""#, Unsure),
            (r#""git status $HOME""#, Unsure),
            (r#""git status `rm`""#, Unsure),
            (r#""git status\nrm""#, Unsure),
            (r#""git status\rrm""#, Unsure),
            (r#""git\tstatus""#, Unsure),
            (r#""git status \u0000""#, Unsure),
            (r#""git\u00a0status""#, Unsure),
            (r#""git 'status'""#, Unsure),
            (r#""gi\"\"t status""#, Unsure),
            (r#""g\\it status""#, Unsure),
            (r#""FOO=bar git status""#, Unsure),
            (r#""ls *""#, Unsure),
            (r#""ls ~""#, Unsure),
            (r#""ls {a,b}""#, Unsure),
            (r#""ls =cat""#, Unsure),
            (r#""ls #""#, Unsure),
            (r#""!ls""#, Unsure),
            (r#""/bin/ls""#, Unsure),
            (r#""LS""#, Unsure),
            (r#""""#, Unsure),
            (r#"" ""#, Unsure),
            ("[]", Unsure),
            (r#"["ls", "$(rm)"]"#, Unsure),
            (r#"["ls", "a;b"]"#, Unsure),
            (r#"["ls", ""]"#, Unsure),
            (r#"["ls", 1]"#, Unsure),
            ("1", Unsure),
            ("absent", Absent),
        ],
    );
}

#[test]
fn refuses_values_an_operator_cannot_use() {
    let refused = |operator: &str, value: &str| {
        let operator = Operator::ALL
            .iter()
            .find(|(_, name)| *name == operator)
            .unwrap()
            .0;
        let value = read(value.as_bytes(), Bounds::default()).unwrap();
        Test::new(operator, &Literal::from(value.root())).unwrap_err()
    };
    assert_eq!(refused("in", r#""a""#).message, "`in` needs a list");
    assert_eq!(
        refused("gt", r#""5""#).hint,
        Some("write the number without quotes")
    );
    assert_eq!(refused("lt", "null").message, "`lt` needs a number");
    assert_eq!(
        refused("exists", r#""true""#).message,
        "`exists` needs `true` or `false`"
    );
    assert_eq!(
        refused("regex", "1").message,
        "`regex` needs a pattern as text"
    );
    assert_eq!(
        refused("regex", r#""a(""#).message,
        "invalid pattern `a(`: unclosed group"
    );
    assert!(
        refused("regex", r#""(?=a)""#)
            .hint
            .unwrap()
            .contains("look-around")
    );
    assert!(
        refused("regex", r#""(a{1000}){1000}""#)
            .message
            .contains("too large")
    );
    assert_eq!(
        refused("under", r#"["work"]"#).message,
        "the directory `work` is no absolute path"
    );
    assert_eq!(
        refused("under", r#"["/a/../b"]"#).message,
        "the directory `/a/../b` has `..` in it"
    );
    assert_eq!(
        refused("under", r#""/a""#).message,
        "`under` needs a list of texts"
    );
    assert_eq!(
        refused("host_in", r#"["https://a.b"]"#).message,
        "the host `https://a.b` has an invalid host"
    );
    assert_eq!(
        refused("host_in", r#"["*.a.b"]"#).message,
        "the host `*.a.b` has an invalid host"
    );
    assert_eq!(
        refused("argv_in", r#"["git; rm"]"#).message,
        "the command `git; rm` is not made of plain words"
    );
    assert_eq!(
        refused("argv_in", r#"[[]]"#).message,
        "the command `` is not made of plain words"
    );
    assert_eq!(
        refused("argv_in", "[1]").message,
        "`argv_in` needs a list of commands"
    );
}

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
    // Text that is no number by the grammar is none, however servers read it.
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

#[test]
fn d07_a_space_inside_a_word_hides_other_words() {
    check(
        "argv_in",
        r#"[["rm"], ["git", "push"]]"#,
        &[
            (r#"["rm", "-rf", "/"]"#, Yes),
            (r#"["rm", "a b"]"#, Yes),
            (r#"["rm -rf /"]"#, Unsure),
            (r#"["rm -rf", "/"]"#, Unsure),
            (r#"[" rm"]"#, Unsure),
            (r#"["git", "push origin"]"#, Unsure),
            (r#"["git push"]"#, Unsure),
            (r#"["git", "push", "a b"]"#, Yes),
            (r#"["rm;ls"]"#, Unsure),
            (r#"["git", "pu$(x)sh"]"#, Unsure),
            (r#"["git", "commit", "a message"]"#, No),
            (r#"["ls", "a b"]"#, No),
            (r#"["ls -la"]"#, Unsure),
            (r#""ls -la""#, No),
            (r#""rm -rf /""#, Yes),
        ],
    );
    check(
        "argv_in",
        r#"[["git", "log", "-p"]]"#,
        &[
            (r#"["git", "commit", "a b"]"#, No),
            (r#"["git", "log", "-p -x"]"#, Unsure),
        ],
    );
}

/// What a condition costs, and what it comes to.
fn cost(operator: &str, value: &str, actual: &str) -> (Outcome, u64) {
    let operator = Operator::ALL
        .iter()
        .find(|(_, name)| *name == operator)
        .unwrap()
        .0;
    let value = read(value.as_bytes(), Bounds::default()).unwrap();
    let test = Test::new(operator, &Literal::from(value.root())).unwrap();
    let bounds = Bounds {
        depth: 10,
        nodes: 3_000_000,
    };
    let actual = read(actual.as_bytes(), bounds).unwrap();
    let mut work = Work::default();
    let outcome = test.ask(Some(actual.root()), &mut work);
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
    let refused = Test::new(Operator::Regex, &pattern).unwrap_err();
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
