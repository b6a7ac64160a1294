use provost_policy::json::Folder;

use super::*;
use crate::warnings;

/// Every policy that the project shows to people.
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/policies");

pub(crate) fn examples() -> Vec<(String, String)> {
    let mut all: Vec<_> = std::fs::read_dir(EXAMPLES)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .map(|path| {
            (
                path.display().to_string(),
                std::fs::read_to_string(&path).unwrap(),
            )
        })
        .collect();
    all.sort();
    assert!(all.len() >= 9, "{}", all.len());
    all
}

#[test]
fn every_example_is_read_without_findings() {
    for (name, text) in examples() {
        let policy = Policy::parse(&text).unwrap_or_else(|found| panic!("{name}: {found:?}"));
        assert_eq!(warnings(&policy, None), [], "{name}");
        let printed = to_json(&policy);
        let again = Policy::parse(&printed).unwrap();
        assert_eq!(again, policy, "{name}");
        assert_eq!(to_json(&again), printed, "{name}");
    }
}

#[test]
fn the_recommended_policies_are_canonical() {
    for name in ["spawn", "distribute-work", "execute-parallel"] {
        let text = std::fs::read_to_string(format!("{EXAMPLES}/{name}.json")).unwrap();
        assert_eq!(to_json(&Policy::parse(&text).unwrap()), text);
    }
}

#[test]
fn prints_fields_in_a_fixed_order_and_leaves_out_empty_parts() {
    let policy = Policy::parse(
        r#"{"tools":{"b":{"limits":[{"max":1e1,"counter":"c","scope":"grant","window":"60s","increment":0.50}],
        "rate_limit":{"window":60,"max":5},"require":[],"reason":"r\u0061","action":"require_approval"},"a":{}},
        "hide":"*","all_tools":{"limits":[]},"methods":{},"description":"d","default":"allow","version":"1"}"#,
    )
    .unwrap();
    insta::assert_snapshot!(to_json(&policy), @r##"
    {
      "version": "1",
      "description": "d",
      "default": "allow",
      "hide": [
        "*"
      ],
      "tools": {
        "b": {
          "action": "require_approval",
          "reason": "ra",
          "rate_limit": {
            "max": 5,
            "window": 60
          },
          "limits": [
            {
              "counter": "c",
              "window": "60s",
              "max": 10,
              "scope": "grant",
              "increment": 0.5
            }
          ]
        },
        "a": {}
      }
    }
    "##);
}

#[test]
fn d47_the_schema_for_editors_is_kept_and_decides_nothing() {
    let bare = Policy::parse(r#"{"version":"1","default":"deny","tools":{"a":{}}}"#).unwrap();
    let text =
        r#"{"version":"1","default":"deny","tools":{"a":{}},"$schema":"./policy.schema.json"}"#;
    let policy = Policy::parse(text).unwrap();
    let printed = to_json(&policy);
    assert_eq!(
        printed,
        to_json(&bare).replacen('{', "{\n  \"$schema\": \"./policy.schema.json\",", 1)
    );
    assert_eq!(to_json(&Policy::parse(&printed).unwrap()), printed);
    assert_eq!(warnings(&policy, None), []);
    for (tool, listed) in [("a", true), ("$schema", false)] {
        assert_eq!(policy.tool_listed(tool, &mut Folder::default()), listed);
    }
}

#[test]
fn prints_values_as_they_were_written() {
    let values = r#"[1.50, 1E400, -0, 12345678901234567890123, "\u00e9\n\"\\\u0007", null, true, {"b":1,"a":[]}]"#;
    let text = format!(
        r#"{{"version":"1","default":"allow","tools":{{"t":{{"deny_if":[{{"conditions":[{{"path":"args.x","op":"in","value":{values}}}]}}]}}}}}}"#
    );
    let policy = Policy::parse(&text).unwrap();
    let printed = to_json(&policy);
    for number in [
        "1.50",
        "1E400",
        "-0",
        "12345678901234567890123",
        r#""é\n\"\\\u0007""#,
    ] {
        assert!(printed.contains(number), "{printed}");
    }
    let again = Policy::parse(&printed).unwrap();
    assert_eq!(again, policy);
    assert_eq!(to_json(&again), printed);
}
