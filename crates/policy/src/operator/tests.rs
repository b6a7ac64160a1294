mod cost;
mod every;
mod numbers;

use super::*;
use crate::document::Literal;
use crate::json::{Bounds, read};
use crate::path::Outcome;
use crate::work::{TOO_MUCH, Work};

/// Asks one operator about one value; both as JSON text.
fn ask(operator: &str, value: &str, actual: &str) -> Outcome {
    let operator = crate::words::named(operator).unwrap();
    let value = read(value.as_bytes(), Bounds::default()).unwrap();
    let matcher = Matcher::new(operator, &Literal::from(value.root())).unwrap();
    if actual == "absent" {
        return matcher.ask(None, &mut Work::default());
    }
    let actual = read(actual.as_bytes(), Bounds::default()).unwrap();
    matcher.ask(Some(actual.root()), &mut Work::default())
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
        let operator = crate::words::named(operator).unwrap();
        let value = read(value.as_bytes(), Bounds::default()).unwrap();
        Matcher::new(operator, &Literal::from(value.root())).unwrap_err()
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
        "the directory `work` is not an absolute path"
    );
    assert_eq!(
        refused("under", r#"["/a/../b"]"#).message,
        "the directory `/a/../b` has `..` in it"
    );
    assert_eq!(
        refused("under", r#""/a""#).message,
        "`under` needs a list of texts"
    );
    for (root, wanted) in [
        (r#"["~/work"]"#, "are not expanded"),
        (r#"["$HOME/work"]"#, "are not expanded"),
        (r#"["work"]"#, "absolute and plain"),
    ] {
        let hint = refused("under", root).hint.unwrap();
        assert!(hint.contains(wanted), "{root}: {hint}");
    }
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
