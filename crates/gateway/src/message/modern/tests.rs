use super::annotations::{Invalid, ToolHeaders};
use super::sentinel::{decode, encode};
use hyper::header::HeaderValue;
use provost_policy::json::{self, Bounds};

const BOUNDS: Bounds = Bounds {
    depth: 64,
    nodes: 10_000,
};

fn headers(schema: &str) -> Result<ToolHeaders, Invalid> {
    let document = json::read(schema.as_bytes(), BOUNDS).unwrap();
    ToolHeaders::read(Some(document.root()))
}

fn values(headers: &ToolHeaders, arguments: &str) -> Vec<String> {
    let document = json::read(arguments.as_bytes(), BOUNDS).unwrap();
    let values = headers.values(Some(document.root()));
    values
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect()
}

#[test]
fn text_that_http_can_carry_goes_as_it_is() {
    for text in [
        "echo",
        "a b\tc",
        "SGVsbG8=",
        "=?base64?SGVsbG8=",
        "x=?base64??=",
    ] {
        assert_eq!(encode(text).unwrap(), text);
        assert_eq!(decode(&HeaderValue::from_str(text).unwrap()).unwrap(), text);
    }
}

#[test]
fn other_text_goes_as_base64_and_comes_back() {
    for text in [
        "",
        " padded",
        "tab\t",
        "ä",
        "line\nbreak",
        "=?base64?SGVsbG8=?=",
        "\u{7f}",
    ] {
        let value = encode(text).unwrap();
        assert!(value.to_str().unwrap().starts_with("=?base64?"), "{text:?}");
        assert_eq!(decode(&value).unwrap(), text);
    }
}

#[test]
fn what_cannot_be_decoded_says_nothing() {
    for text in ["=?base64?%%%?=", "=?base64?SGVsbG8?=", "=?base64?/w==?="] {
        assert_eq!(decode(&HeaderValue::from_static(text)), None, "{text}");
    }
    assert_eq!(decode(&HeaderValue::from_bytes(b"\xc3\xa4").unwrap()), None);
}

#[test]
fn annotated_arguments_become_headers() {
    let schema = r#"{"type":"object","properties":{
        "region":{"type":"string","x-mcp-header":"Region"},
        "deep":{"type":"object","properties":{"n":{"type":"integer","x-mcp-header":"Number"}}},
        "flag":{"type":"boolean","x-mcp-header":"Flag"},
        "free":{"type":"string"}}}"#;
    let headers = headers(schema).unwrap();
    let arguments = r#"{"region":" eu","deep":{"n":1e2},"flag":true,"free":"x"}"#;
    assert_eq!(
        values(&headers, arguments),
        [
            "mcp-param-region: =?base64?IGV1?=",
            "mcp-param-number: 100",
            "mcp-param-flag: true"
        ]
    );
    assert_eq!(
        values(&headers, r#"{"region":null,"deep":{"n":9007199254740993}}"#),
        [""; 0]
    );
}

#[test]
fn annotations_that_are_not_allowed_are_invalid() {
    for schema in [
        r#"{"x-mcp-header":"A"}"#,
        r#"{"properties":{"a":{"type":"string","x-mcp-header":""}}}"#,
        r#"{"properties":{"a":{"type":"string","x-mcp-header":1}}}"#,
        r#"{"properties":{"a":{"type":"string","x-mcp-header":"a b"}}}"#,
        r#"{"properties":{"a":{"type":"number","x-mcp-header":"A"}}}"#,
        r#"{"properties":{"a":{"type":["string"],"x-mcp-header":"A"}}}"#,
        r#"{"properties":{"a":{"x-mcp-header":"A"}}}"#,
        r#"{"properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}}"#,
        r#"{"properties":{"a":{"type":"array","items":{"type":"string","x-mcp-header":"A"}}}}"#,
        r#"{"anyOf":[{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}]}"#,
        r#"{"$defs":{"a":{"type":"string","x-mcp-header":"A"}}}"#,
    ] {
        assert_eq!(headers(schema), Err(Invalid), "{schema}");
    }
}

#[test]
fn a_default_that_looks_like_an_annotation_is_data() {
    let schema = r#"{"properties":{"a":{"type":"object","default":{"x-mcp-header":"A"}}}}"#;
    assert_eq!(headers(schema), Ok(ToolHeaders::default()));
}
