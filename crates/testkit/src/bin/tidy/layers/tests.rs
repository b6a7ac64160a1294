use super::*;
use serde_json::Value;

fn problems(files: &[(&str, &str)]) -> Vec<String> {
    let findings = check(&Tree::of(files, Value::Null));
    findings
        .into_iter()
        .map(|finding| finding.to_string())
        .collect()
}
