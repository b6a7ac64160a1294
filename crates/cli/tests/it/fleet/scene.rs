//! A daemon with a fleet, a person who leads it, and an agent that does what it is told.

use std::path::PathBuf;
use std::process::Command;

use provost_testkit::client::Client;
use provost_testkit::wait::wait_for;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::place::{Place, Up, send};

/// The agent. It writes what it gets to `got`, byte by byte; a line `call …` is a call of the fleet under its own
/// grant, the answers are in `answers`; `exit N` ends it.
const AGENT: &str = r#"#!/bin/sh
stty -echo
echo "ready"
while IFS= read -r line; do
  case $line in
    "call "*)
      {
        echo '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"agent","version":"1"}}}'
        echo '{"jsonrpc":"2.0","method":"notifications/initialized"}'
        printf '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":%s}\n' "${line#call }"
        while ! grep -q '"id":2' answers.new; do sleep 0.02; done
      } | PROVOST connect fleet --grant-file "$PROVOST_GRANT_FILE" > answers.new
      grep '"id":2' answers.new >> answers
      ;;
    "exit "*) exit "${line#exit }" ;;
    *) printf '%s\n' "$line" >> got; printf 'got %s\n' "$line" ;;
  esac
done
"#;

pub(crate) struct Scene {
    pub(crate) place: Place,
    pub(crate) up: Option<Up>,
    pub(crate) token: String,
    pub(crate) config: String,
}

impl Scene {
    /// A person with the policy of an operator.
    pub(crate) async fn new() -> Scene {
        Self::under("role-operator", None).await
    }

    /// A person with a policy of this name; `text` is put under it.
    pub(crate) async fn under(policy: &str, text: Option<&str>) -> Scene {
        let place = Place::new();
        std::fs::create_dir_all(place.path().join("work")).unwrap();
        let agent = AGENT.replace(
            "PROVOST connect",
            concat!(env!("CARGO_BIN_EXE_provost"), " connect"),
        );
        let agent = place.file("agent.sh", &agent);
        let work = place.path().join("work");
        let config = format!(
            "[fleet]\nroots = [{:?}]\nagent = \"script\"\n[fleet.agents.script]\ncommand = [\"sh\", {agent:?}]\n\
             [fleet.agents.cat]\ncommand = [\"cat\"]\n",
            work.to_str().unwrap()
        );
        let config = place.file("provost.toml", &config);
        let up = place.up(&["--config", &config]).await;
        if let Some(text) = text {
            let file = place.file("policy.json", text);
            place.ok(&["policy", "put", "fleet", policy, &file]);
        }
        let minted = place.json(&[
            "grant", "mint", "fleet", "--label", "alice", "--policy", policy,
        ]);
        Scene {
            token: minted["token"].as_str().unwrap().to_owned(),
            up: Some(up),
            place,
            config,
        }
    }

    pub(crate) fn work(&self) -> PathBuf {
        std::fs::canonicalize(self.place.path().join("work")).unwrap()
    }

    /// The person's client.
    pub(crate) async fn person(&self) -> Person {
        let url = format!("{}/mcp/fleet", self.up.as_ref().unwrap().url);
        let client = Client::http(&url, Some(&self.token));
        client.connect().await;
        Person(client)
    }

    /// A file of an instance's directory, once it says something.
    pub(crate) async fn written(&self, instance: &Value, name: &str) -> String {
        let path = PathBuf::from(instance["projectPath"].as_str().unwrap()).join(name);
        let what = format!("`{}`", path.display());
        wait_for(&what, || async {
            std::fs::read_to_string(&path)
                .ok()
                .filter(|text| text.ends_with('\n'))
        })
        .await
    }

    /// What a call of an instance came to that it is told to make. It must not have made one before.
    pub(crate) async fn call_by(
        &self,
        person: &Person,
        instance: &Value,
        tool: &str,
        arguments: Value,
    ) -> Value {
        let id = instance["instanceId"].as_str().unwrap();
        let line = format!("call {}", json!({"name": tool, "arguments": arguments}));
        let answers = PathBuf::from(instance["projectPath"].as_str().unwrap()).join("answers");
        let _ = std::fs::remove_file(answers);
        person
            .ok("send", json!({"instanceId": id, "text": line}))
            .await;
        serde_json::from_str(&self.written(instance, "answers").await).unwrap()
    }

    /// A tmux process for the test's own questions; what it says.
    pub(crate) fn tmux(&self, words: &[&str]) -> String {
        let socket = self.place.data().join("fleet/tmux");
        let mut tmux = Command::new("tmux");
        let said = tmux.arg("-S").arg(socket).args(words).output().unwrap();
        String::from_utf8(said.stdout).unwrap()
    }

    /// Rows of the log: tool, decision, rule and label of the grant.
    pub(crate) fn log(&self, tool: &str) -> Vec<String> {
        let rows = self.place.ok(&["log", "--tool", tool, "--json"]);
        let row = |line: &str| {
            let row: Value = serde_json::from_str(line).unwrap();
            format!("{} {} {}", row["grant_label"], row["decision"], row["rule"]).replace('"', "")
        };
        rows.lines().map(row).collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // It would take a terminal that is gone for one to be found again.
        drop(self.up.take());
        // `kill-server` waits for the daemon's client, which tmux does not let go while it
        // has something to tell to a daemon that was killed.
        let pid = self.tmux(&["display-message", "-p", "#{pid}"]);
        if let Ok(pid) = pid.trim().parse() {
            send(pid, Signal::KILL);
        }
    }
}

/// A person at their client.
#[derive(Clone)]
pub(crate) struct Person(pub(crate) Client);

impl Person {
    /// The structured answer of a call that works.
    pub(crate) async fn ok(&self, tool: &str, arguments: Value) -> Value {
        let answer = self.0.call(tool, arguments).await;
        let result = &answer["result"];
        assert!(result["isError"].is_null(), "{tool}: {answer}");
        result["structuredContent"].clone()
    }

    /// The words of a call that does not.
    pub(crate) async fn refused(&self, tool: &str, arguments: Value) -> String {
        words(&self.0.call(tool, arguments).await)
    }

    pub(crate) async fn spawn(&self, scene: &Scene, role: &str, more: Value) -> Value {
        let mut arguments = json!({"role": role, "workDir": scene.work(), "context": "none"});
        for (name, value) in more.as_object().unwrap() {
            arguments[name] = value.clone();
        }
        self.ok("spawn", arguments).await
    }

    /// The states of all, by id.
    pub(crate) async fn states(&self) -> Vec<String> {
        let listed = self.ok("list", json!({})).await;
        let rows = listed["instances"].as_array().unwrap();
        let told = |row: &Value| format!("{} {}", row["instanceId"], row["status"]);
        rows.iter().map(|row| told(row).replace('"', "")).collect()
    }

    /// Reads until there is a text.
    pub(crate) async fn printed(&self, id: &str, text: &str) -> Value {
        wait_for(&format!("`{text}` from {id}"), || async {
            let read = self.ok("read", json!({"instanceId": id})).await;
            read["output"]
                .as_str()
                .unwrap()
                .contains(text)
                .then_some(read)
        })
        .await
    }
}

/// The words of an answer that says it did not work.
pub(crate) fn words(answer: &Value) -> String {
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    answer["result"]["content"][0]["text"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The rule that denied it.
pub(crate) fn rule(answer: &Value) -> String {
    let decision = &answer["result"]["_meta"]["dev.provost/decision"];
    decision["rule"].as_str().unwrap_or_default().to_owned()
}
