//! What is shown, in its order.

use std::path::PathBuf;

use provost_admin::{Decision, Failure, Outcome, Record, Upstream};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::agent::{Agent, Answer};
use crate::stage::{Setting, Stage, parse};
use crate::step::StepKind::{Allowed, Chapter, Command, Killed, Listed, Refused, Remark, Started};
use crate::step::{Report, Step};

/// The richer policy; `ROOT` stands for the project's folder.
const CAREFUL: &str = include_str!("files.json");

/// Policies of one tool each, ten calls a minute.
const SEEDS: [(&str, &str, &str); 3] = [
    (
        "spawn",
        "spawn.json",
        include_str!("../../../examples/policies/spawn.json"),
    ),
    (
        "distributeWork",
        "distribute-work.json",
        include_str!("../../../examples/policies/distribute-work.json"),
    ),
    (
        "executeParallel",
        "execute-parallel.json",
        include_str!("../../../examples/policies/execute-parallel.json"),
    ),
];

/// Runs the demonstration; each step goes to `steps` when it is taken.
///
/// # Errors
///
/// Something did not go as it should.
pub async fn run(setting: Setting, steps: mpsc::Sender<Step>) -> Outcome {
    let report = Report::new(steps);
    let mut stage = Stage::set(setting)?;
    let told = tell(&report, &mut stage).await;
    stage.stop_daemon().await;
    told
}

async fn tell(report: &Report, stage: &mut Stage) -> Outcome {
    report
        .say(
            Chapter,
            "1. A daemon, a server behind it, a policy, a grant",
        )
        .await;
    report
        .say(
            Remark,
            &format!(
                "everything here happens for real, in {}",
                stage.scratch.display()
            ),
        )
        .await;
    report.say(Command, "up --listen 127.0.0.1:0").await;
    let status = stage.start_daemon().await?;
    report
        .say(
            Remark,
            &format!(
                "process {} serves agents at {}/mcp/<server>",
                status.pid,
                status.listen.unwrap_or_default()
            ),
        )
        .await;
    let grant = prepare(report, stage).await?;

    report
        .say(Chapter, "2. What an agent sees and may do")
        .await;
    report
        .say(
            Remark,
            "a client on the MCP library rmcp, over `provost connect files`",
        )
        .await;
    let mut connect = stage.command(["connect", "files", "--grant-file"]);
    connect.arg(grant);
    let agent = Agent::start(connect).await?;
    let done = behave(report, stage, &agent).await;
    agent.end().await;
    done?;

    report.say(Chapter, "3. Ten calls a minute").await;
    report
        .say(
            Remark,
            "policies of one tool each, as drop-ins: `provost run --policy spawn.json -- SERVER`",
        )
        .await;
    for (tool, file, policy) in SEEDS {
        stage.write(file, policy)?;
        exhaust(report, stage, tool, file).await?;
    }

    report.say(Chapter, "4. kill -9").await;
    stage.kill_daemon().await?;
    report.tell(Killed, "the daemon, with SIGKILL", "").await;
    let status = stage.start_daemon().await?;
    report
        .tell(Started, &format!("a new one, process {}", status.pid), "")
        .await;
    still_exhausted(report, stage).await?;

    report.say(Chapter, "5. What was recorded").await;
    recorded(report, stage).await
}

/// Registers the server, stores the policy, mints the grant; returns the file with its token.
async fn prepare(report: &Report, stage: &Stage) -> Outcome<PathBuf> {
    let (command, what) = stage.file_server();
    let project = stage.project();
    let mut words: Vec<&str> = vec!["server", "add", "files", "--"];
    words.extend(command.iter().map(String::as_str));
    let root = project.display().to_string();
    words.push(&root);
    report
        .say(Command, &format!("server add files -- {what} {root}"))
        .await;
    stage.run(&words).await?;
    report.say(Command, "server test files").await;
    let tested: Upstream = parse(&stage.run(&["server", "test", "files", "--json"]).await?)?;
    report
        .say(
            Remark,
            &format!(
                "{} {}, protocol {}, {} tools",
                tested.name,
                tested.version,
                tested.protocols.join(", "),
                tested.tools.len()
            ),
        )
        .await;
    let policy = stage.write("files.json", &CAREFUL.replace("ROOT", &root))?;
    report
        .say(Command, "policy put files careful files.json")
        .await;
    stage
        .run(&[
            "policy",
            "put",
            "files",
            "careful",
            &policy.display().to_string(),
        ])
        .await?;
    report
        .say(Command, "grant mint files --label demo --policy careful")
        .await;
    let minted: Value = parse(
        &stage
            .run(&[
                "grant", "mint", "files", "--label", "demo", "--policy", "careful", "--json",
            ])
            .await?,
    )?;
    let token = minted
        .get("token")
        .and_then(Value::as_str)
        .ok_or_else(|| Failure::internal("the grant has no token"))?;
    stage.write("demo.grant", token)
}

/// Allowed, refused with a reason, hidden, by argument.
async fn behave(report: &Report, stage: &Stage, agent: &Agent) -> Outcome {
    let root = stage.project().display().to_string();
    let tools = agent.tools().await?;
    report
        .tell(
            Listed,
            &format!("{} tools: {}", tools.len(), tools.join(", ")),
            "",
        )
        .await;
    let readme = format!("{root}/README.md");
    let note = format!("{root}/notes/today.md");
    let calls = [
        (
            "read_text_file",
            "read_text_file README.md",
            json!({ "path": readme }),
            true,
        ),
        (
            "read_text_file",
            "read_text_file /etc/passwd",
            json!({ "path": "/etc/passwd" }),
            false,
        ),
        (
            "read_text_file",
            "read_text_file notes/../../secret",
            json!({ "path": format!("{root}/notes/../../secret") }),
            false,
        ),
        (
            "write_file",
            "write_file notes/today.md",
            json!({ "path": note, "content": "All is well.\n" }),
            true,
        ),
        (
            "write_file",
            "write_file README.md",
            json!({ "path": readme, "content": "" }),
            false,
        ),
        (
            "write_file",
            "write_file notes/today.md, a password",
            json!({ "path": note, "content": "password: hunter2" }),
            false,
        ),
        (
            "move_file",
            "move_file README.md",
            json!({ "source": readme, "destination": note }),
            false,
        ),
        (
            "edit_file",
            "edit_file, which is hidden",
            json!({ "path": readme }),
            false,
        ),
        (
            "create_directory",
            "create_directory, which no rule names",
            json!({ "path": format!("{root}/x") }),
            false,
        ),
    ];
    for (tool, what, arguments, expected) in calls {
        let answer = agent.call(tool, arguments).await?;
        told(report, what, &answer).await;
        if answer.refusal.is_none() != expected {
            return Err(
                Failure::internal(format!("`{what}` was not decided as it should"))
                    .because(answer.text),
            );
        }
    }
    Ok(())
}

async fn told(report: &Report, what: &str, answer: &Answer) {
    match &answer.refusal {
        None => report.tell(Allowed, what, "").await,
        Some(refused) => {
            report
                .tell(
                    Refused,
                    what,
                    &format!("{}  {}", refused.message, refused.rule),
                )
                .await
        }
    }
}

/// Ten calls pass; the eleventh does not.
async fn exhaust(report: &Report, stage: &Stage, tool: &str, file: &str) -> Outcome {
    let agent = seed_agent(stage, file).await?;
    let called = async {
        let tools = agent.tools().await?;
        if tools != [tool] {
            return Err(Failure::internal(format!("only `{tool}` should be listed"))
                .because(tools.join(", ")));
        }
        let mut passed = 0;
        loop {
            let answer = agent
                .call(
                    tool,
                    json!({ "role": "specialist", "context": "demo", "task": "demo" }),
                )
                .await?;
            match answer.refusal {
                None if passed < 10 => passed += 1,
                Some(refused) if passed == 10 => break Ok(refused),
                _ => {
                    break Err(Failure::internal(format!(
                        "{passed} calls of `{tool}` passed, ten should have"
                    )));
                }
            }
        }
    };
    let refused = called.await;
    agent.end().await;
    let refused = refused?;
    report
        .tell(
            Allowed,
            &format!("{tool}, 10 times; nothing else is listed"),
            "",
        )
        .await;
    report
        .tell(
            Refused,
            &format!("{tool}, the 11th call"),
            &format!(
                "retryAfterMs {}  {}",
                refused.retry_after_ms.unwrap_or_default(),
                refused.rule
            ),
        )
        .await;
    Ok(())
}

async fn still_exhausted(report: &Report, stage: &Stage) -> Outcome {
    let agent = seed_agent(stage, "spawn.json").await?;
    let answer = agent
        .call("spawn", json!({ "role": "specialist", "context": "demo" }))
        .await;
    agent.end().await;
    let refused = answer?
        .refusal
        .ok_or_else(|| Failure::internal("the counters did not survive the kill"))?;
    report
        .tell(
            Refused,
            "spawn: the counters are still there",
            &format!(
                "retryAfterMs {}",
                refused.retry_after_ms.unwrap_or_default()
            ),
        )
        .await;
    Ok(())
}

async fn seed_agent(stage: &Stage, file: &str) -> Outcome<Agent> {
    let mut command = stage.command(["run", "--policy", file, "--"]);
    command.arg(stage.program()).arg("sample-server");
    Agent::start(command).await
}

async fn recorded(report: &Report, stage: &Stage) -> Outcome {
    report.say(Command, "log --json").await;
    let log = stage.run(&["log", "-n", "1000", "--json"]).await?;
    let records: Vec<Record> = log.lines().map(parse).collect::<Outcome<_>>()?;
    let count = |decision| {
        records
            .iter()
            .filter(|record| record.decision == decision)
            .count()
    };
    report
        .say(
            Remark,
            &format!(
                "{} calls: {} allowed, {} denied; argument keys are kept, values never",
                records.len(),
                count(Decision::Allow),
                count(Decision::Deny)
            ),
        )
        .await;
    report.say(Command, "audit verify").await;
    let verified = stage.run(&["audit", "verify"]).await?;
    for line in verified.lines() {
        report.say(Remark, line).await;
    }
    Ok(())
}
