//! What nextest says about a run, as far as the table needs it.

use anyhow::{Result, ensure};
use regex::Regex;

/// One test that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    /// Its path: `negative::t::t01_a_foreign_host_is_forbidden::http`.
    pub(crate) path: String,
    pub(crate) passed: bool,
    /// Lines that begin with `report:`, without that.
    pub(crate) reports: Vec<String>,
}

/// Reads a JUnit file as nextest writes it.
pub(crate) fn read(text: &str) -> Result<Vec<Ran>> {
    let case = Regex::new(r#"(?s)<testcase name="([^"]+)"[^>]*?(?:/>|>(.*?)</testcase>)"#)?;
    let ran: Vec<Ran> = case
        .captures_iter(text)
        .map(|found| {
            let inner = found.get(2).map_or("", |inner| inner.as_str());
            let report = |line: &str| line.trim().strip_prefix("report: ").map(str::to_owned);
            Ran {
                path: found[1].to_owned(),
                passed: !inner.contains("<failure") && !inner.contains("<error"),
                reports: inner.lines().filter_map(report).collect(),
            }
        })
        .collect();
    ensure!(!ran.is_empty(), "no test ran");
    Ok(ran)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_failures_and_reports_are_read() {
        let text = r#"<testsuite name="a" tests="3">
            <testcase name="a::t01_x::http" classname="a" time="0.1"/>
            <testcase name="a::t02_y" classname="a" time="0.1"><failure type="test failure">no</failure></testcase>
            <testcase name="a::l110_z::http" classname="a"><system-out>running
report: 11 of 11
</system-out></testcase></testsuite>"#;
        let ran = read(text).unwrap();
        let paths: Vec<_> = ran
            .iter()
            .map(|ran| (ran.path.as_str(), ran.passed))
            .collect();
        assert_eq!(
            paths,
            [
                ("a::t01_x::http", true),
                ("a::t02_y", false),
                ("a::l110_z::http", true)
            ]
        );
        assert_eq!(ran[2].reports, ["11 of 11"]);
        assert!(read("<testsuites/>").is_err());
    }
}
