//! The numbered list of bad input. Every test here carries the number of its
//! item in its name, and the table in `docs/negative-tests.md` is made from how
//! they end. Each asserts four things, see [`Watch`]: no byte reached the
//! upstream, the right answer came back, it left its trace, and the next honest
//! call works.

mod a;
mod c;
mod j;
mod judged;
mod l;
mod modern;
mod names;
mod p;
mod s;
mod t;
mod u;
mod v;

use crate::harness::*;
use provost_store::Decision;
use provost_testkit::wait_until;

/// What stood before a piece of bad input, to be compared with what stands after.
pub(crate) struct Watch<'s> {
    scene: &'s Scene,
    /// Whose record it is.
    grant: String,
    what: String,
    bytes: usize,
    requests: usize,
    notifications: usize,
    records: usize,
    metrics: String,
}

/// The rule of what is refused before anybody judges it.
pub(crate) const ENVELOPE: &str = "(envelope)";
/// The method in the record of a message that nobody could read.
pub(crate) const UNREADABLE: &str = "(unreadable)";

// === impl Watch ===

impl<'s> Watch<'s> {
    /// Looks at the scene before it happens.
    pub(crate) fn on(scene: &'s Scene, what: impl Into<String>) -> Watch<'s> {
        let what: String = what.into();
        Watch {
            scene,
            grant: scene.pass.grant.to_string(),
            what: what.chars().take(200).collect(),
            bytes: scene.upstream.bytes().len(),
            requests: scene.upstream.events_of("request").len(),
            notifications: scene.upstream.events_of("notification").len(),
            records: scene.gate.records().len(),
            metrics: scene.gate.gateway.metrics(),
        }
    }

    /// It comes from another grant than the scene's own.
    pub(crate) fn by(mut self, pass: &Pass) -> Watch<'s> {
        self.grant = pass.grant.to_string();
        self
    }

    /// It was refused by this rule: nothing went upstream, one record of the
    /// scene's grant says so, and the next honest call works.
    pub(crate) async fn refused(self, rule: &str, method: &str) {
        self.refused_as(rule, method, None).await;
    }

    /// The same for a tool.
    pub(crate) async fn call_refused(self, rule: &str, tool: &str) {
        self.refused_as(rule, "tools/call", Some(tool)).await;
    }

    async fn refused_as(self, rule: &str, method: &str, tool: Option<&str>) {
        self.recorded(rule, method, tool).await;
        self.untouched();
        self.honest().await;
    }

    /// Exactly one record more, and this one.
    pub(crate) async fn recorded(&self, rule: &str, method: &str, tool: Option<&str>) {
        let (what, scene) = (&self.what, self.scene);
        let came = || scene.gate.records().len() > self.records;
        wait_until(&format!("`{what}` left a record"), came).await;
        let all = scene.gate.records();
        assert_eq!(all.len(), self.records + 1, "`{what}` left several records");
        let last = all.last().unwrap();
        let trace = (
            last.rule.as_deref(),
            last.method.as_str(),
            last.grant.as_str(),
        );
        assert_eq!(trace, (Some(rule), method, self.grant.as_str()), "`{what}`");
        assert!(
            last.decision != Decision::Allow && last.message.is_some(),
            "`{what}`: {last:?}"
        );
        if tool.is_some() {
            assert_eq!(last.tool.as_deref(), tool, "`{what}`");
        }
    }

    /// A stranger was turned away: counted under this reason, logged, and no
    /// record, because nobody may fill the journal without a grant.
    pub(crate) async fn stranger(self, reason: &str) {
        let (what, scene) = (&self.what, self.scene);
        let line = |metrics: &str| {
            let name = format!("provost_unidentified_total{{reason=\"{reason}\"}} ");
            let count = metrics
                .lines()
                .find_map(|line| line.strip_prefix(&name)?.parse::<u64>().ok());
            count.unwrap_or_else(|| panic!("nobody counts `{reason}`"))
        };
        let before = line(&self.metrics);
        assert_eq!(
            line(&scene.gate.gateway.metrics()),
            before + 1,
            "`{what}` was not counted"
        );
        let log = log::start().text();
        let told = |line: &&str| line.contains("Turned a request away") && line.contains(reason);
        assert!(
            log.lines().any(|line| told(&line)),
            "`{what}` was not logged: {log}"
        );
        assert_eq!(
            scene.gate.records().len(),
            self.records,
            "`{what}` left a record"
        );
        self.untouched();
        self.honest().await;
    }

    /// No byte reached the upstream.
    pub(crate) fn untouched(&self) {
        let bytes = self.scene.upstream.bytes();
        let more = String::from_utf8_lossy(bytes.get(self.bytes..).unwrap_or_default());
        assert!(
            more.is_empty(),
            "`{}` reached the upstream: {more}",
            self.what
        );
    }

    /// The next honest call works, and is all that arrives upstream.
    pub(crate) async fn honest(self) {
        self.scene.honest_call_works().await;
        let upstream = &self.scene.upstream;
        let requests = upstream.events_of("request");
        let came: Vec<_> = requests
            .iter()
            .skip(self.requests)
            .map(|r| &r["params"]["arguments"]["text"])
            .collect();
        assert_eq!(came, ["honest"], "`{}`: something else arrived", self.what);
        let notifications = upstream.events_of("notification").len();
        assert_eq!(
            notifications, self.notifications,
            "`{}`: a notification arrived",
            self.what
        );
    }
}

/// What comes back for a refused message.
#[derive(Clone, Copy)]
pub(crate) struct Refused {
    pub(crate) http: u16,
    pub(crate) code: i64,
    /// The method in its record.
    pub(crate) method: &'static str,
}

pub(crate) const PARSE: Refused = Refused {
    http: 400,
    code: -32700,
    method: UNREADABLE,
};
pub(crate) const INVALID: Refused = Refused {
    http: 400,
    code: -32600,
    method: UNREADABLE,
};
pub(crate) const PARAMS: Refused = Refused {
    http: 200,
    code: -32602,
    method: "tools/call",
};

/// Each text is refused so, as an envelope that cannot be taken.
pub(crate) async fn refuse(
    scene: &Scene,
    expected: Refused,
    texts: impl IntoIterator<Item = impl Into<Vec<u8>>>,
) {
    for text in texts {
        let text: Vec<u8> = text.into();
        let shown = String::from_utf8_lossy(&text[..text.len().min(200)]).into_owned();
        let watch = Watch::on(scene, shown.clone());
        let answer = scene.raw(text).await;
        assert_eq!(
            answer.message["error"]["code"], expected.code,
            "{shown}: {answer:?}"
        );
        assert_eq!(
            answer.status.unwrap_or(expected.http),
            expected.http,
            "{shown}"
        );
        watch.refused(ENVELOPE, expected.method).await;
    }
}

/// Each text is refused so: 400 over HTTP; over stdio, where neither
/// notifications nor answers are ever answered, silently.
pub(crate) async fn refuse_silently(
    scene: &Scene,
    method: &str,
    texts: impl IntoIterator<Item = &'static str>,
) {
    for text in texts {
        let watch = Watch::on(scene, text);
        match scene.face {
            Face::Http => {
                let answer = scene.raw(text).await;
                let told = (
                    answer.status,
                    &answer.message["id"],
                    &answer.message["error"]["code"],
                );
                assert_eq!(
                    told,
                    (Some(400), &serde_json::Value::Null, &(-32600).into()),
                    "{text}"
                );
                watch.refused(ENVELOPE, method).await;
            }
            Face::Stdio => {
                let link = scene.agent.as_stdio();
                let before = link.strays().len();
                link.write(text).unwrap();
                watch.refused(ENVELOPE, method).await;
                assert_eq!(link.strays().len(), before, "`{text}` was answered");
            }
        }
    }
}
