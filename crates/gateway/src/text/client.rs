//! Who an agent's client says it is. Nothing is decided from it.

use provost_policy::Text;
use provost_policy::invisible::is_hidden;
use provost_policy::json::Value;

use super::meta::CLIENT;

/// Longest name and version together, in characters.
const MOST: usize = 64;

/// What an `initialize` says, or a request of the modern era.
pub(crate) fn client(method: &str, params: Option<Value<'_>>) -> Option<Text> {
    let info = match method {
        "initialize" => params?.get("clientInfo"),
        _ => params?.get("_meta")?.get(CLIENT),
    }?;
    let text = |member| info.get(member).and_then(Value::as_str).unwrap_or_default();
    shown(&text("name"), &text("version"))
}

/// Name and version as they stand in records: nothing hidden, and no more than
/// fits there.
fn shown(name: &str, version: &str) -> Option<Text> {
    let mut said = String::new();
    let mut length = 0;
    for word in [name, version].into_iter().flat_map(str::split_whitespace) {
        let seen = word.chars().filter(|character| !is_hidden(*character));
        let gap = (!said.is_empty()).then_some(' ');
        let mut begun = false;
        for character in seen {
            for character in gap.filter(|_| !begun).into_iter().chain([character]) {
                if length == MOST {
                    said.pop();
                    said.push('…');
                    return Some(said.into());
                }
                said.push(character);
                length += 1;
            }
            begun = true;
        }
    }
    (!said.is_empty()).then(|| said.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, version: &str) -> Option<String> {
        shown(name, version).map(|text| text.to_string())
    }

    #[test]
    fn d48_name_and_version_of_a_client_are_one_short_line() {
        assert_eq!(said("claude-code", "2.1").unwrap(), "claude-code 2.1");
        assert_eq!(said(" two\twords\n", "").unwrap(), "two words");
        assert_eq!(said("", "1").unwrap(), "1");
        assert_eq!(said("\u{200b}\u{1b}", " \n"), None);
        let hostile = "\u{1b}[31m\u{202e}red".repeat(10_000);
        let said = said(&hostile, "1").unwrap();
        assert!(said.starts_with("[31mred[31mred"), "{said}");
        assert!(said.ends_with('…'), "{said}");
        assert_eq!(said.chars().count(), MOST);
        assert!(!said.chars().any(is_hidden));
        let exact = "x".repeat(MOST);
        assert_eq!(shown(&exact, "").unwrap(), exact.as_str());
    }
}
