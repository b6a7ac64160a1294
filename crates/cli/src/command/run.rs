//! `provost run`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use provost_admin::WireSecret;
use provost_policy::Diagnostic;
use provost_store::Secret;

use super::connect::{bridge, finish, remark};
use crate::bridge::{Child, Hello, PolicyWatch, RunHello, RunUpstream, Saved, Sessions};
use crate::context::Context;
use crate::diagnostics;
use crate::environment::Environment;
use crate::failure::{self, Failure, Outcome};
use crate::locations::absolute;
use crate::programs;
use crate::runtime::block_on;
use crate::secret_argument;
use crate::text_file::read_file;

/// Put a policy in front of one MCP server, in place of its command
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  provost run --policy policy.json -- uvx mcp-server-git
  provost run --policy policy.json --url https://mcp.example.com/mcp \\
      --header Authorization=env:TOKEN

In `.mcp.json`, put these words before the command that is there:
  { \"command\": \"provost\",
    \"args\": [\"run\", \"--policy\", \"/home/me/policy.json\", \"--\", \"npx\", \"-y\", \"…\"] }

The command runs in the current directory with the current environment, without
PROVOST_*. Counters belong to the policy's path and the command (or the URL and
its headers), or to `--name`, and survive restarts. A saved policy is in force
from the next call on; when the file has errors or was deleted, that is
reported on stderr, and the last valid policy stays in force.")]
pub(crate) struct Run {
    /// The policy
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// What this is called in `provost log` and everywhere else; its counters belong to the name
    /// [default: made of the command, `run-server-filesystem-54a7c0`]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The MCP endpoint to govern
    #[arg(long, conflicts_with = "command")]
    url: Option<String>,
    /// A header for every request. The value is a secret and stays off the command line:
    /// `K=@file` or `K=env:NAME`
    #[arg(long = "header", value_name = "K=SOURCE", requires = "url")]
    headers: Vec<String>,
    /// The command of the server to govern, after `--`
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

// === impl Run ===

impl Run {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        if self.url.is_none() && self.command.is_empty() {
            return Err(Failure::usage("the server is missing")
                .hint("add `--url URL`, or `-- CMD ARGS…` for a child process"));
        }
        let path = absolute(&self.policy)?;
        let text = read_file(&path)?;
        let refused = |_| {
            Failure::refused(format!("policy file `{}` was refused", path.display()))
                .because("nothing was started")
        };
        check(&self.policy, &text).map_err(refused)?;
        let places = context.places()?;
        let name = self.name.clone();
        let upstream = self.upstream(context)?;
        let hello = Hello::Run(RunHello {
            name,
            policy_path: path.clone(),
            policy: text.clone(),
            refused: None,
            upstream,
        });
        let sessions = Arc::new(Sessions::new(places, hello));
        block_on(async {
            let comparing = tokio::spawn(compare(Arc::clone(&sessions), path.clone()));
            let watching = tokio::spawn(watch(Arc::clone(&sessions), path, text));
            let ending = bridge(&sessions).await;
            watching.abort();
            comparing.abort();
            finish(ending?)
        })
    }

    fn upstream(self, context: &Context) -> Outcome<RunUpstream> {
        if let Some(url) = self.url {
            if self.headers.iter().any(|header| header.ends_with("=-")) {
                return Err(Failure::usage("stdin is the agent's here")
                    .hint("write `KEY=@file` or `KEY=env:NAME`"));
            }
            let headers = secret_argument::read_all(&self.headers)?;
            return Ok(RunUpstream::Http {
                url,
                headers: headers
                    .into_iter()
                    .map(|(name, value)| (name, WireSecret(value)))
                    .collect(),
            });
        }
        let (environment, left_out) = Environment::for_child();
        for name in left_out {
            remark(&format!(
                "variable `{}` is not UTF-8 and is left out",
                crate::terminal::escape(&name)
            ));
        }
        let environment = environment
            .into_iter()
            .map(|(name, value)| (name, WireSecret(Secret::new(value))))
            .collect();
        let directory = std::env::current_dir().map_err(|error| {
            Failure::unavailable("the current directory cannot be found out").because(error)
        })?;
        let program = self.command.first().map_or("", String::as_str);
        // The daemon would find out too, but there the agent only sees that nothing answers.
        if programs::find(program, &directory, context.environment.path.as_deref()).is_none() {
            return Err(
                Failure::not_found(format!("there is no program `{program}`"))
                    .because("nothing was started")
                    .hint("is it installed, and in the PATH of this process?"),
            );
        }
        Ok(RunUpstream::Child(Child {
            command: self.command,
            directory,
            environment,
        }))
    }
}

/// Hands changed policies to the daemon; an invalid one is reported and changes nothing.
async fn watch(sessions: Arc<Sessions>, path: PathBuf, text: String) {
    let mut watch = match PolicyWatch::start(&path, text) {
        Ok(watch) => watch,
        Err(failure) => {
            failure::report(&failure, false);
            return remark("changes of the policy take effect with the next start");
        }
    };
    loop {
        let (text, what) = match watch.changed().await {
            Saved::Gone => (None, "is gone"),
            Saved::Text(text) if check(&path, &text).is_err() => (None, "was refused"),
            Saved::Text(text) => (Some(text), ""),
        };
        let Some(text) = text else {
            let stays = match sessions.version() {
                Some(version) => format!("version {version} stays in force"),
                None => "the last good version stays in force".to_owned(),
            };
            let why = format!("policy file `{}` {what}; {stays}", path.display());
            remark(&why);
            sessions.policy_refused(why).await;
            continue;
        };
        match sessions.change_policy(text).await {
            Ok(version) => remark(&format!(
                "the changed policy is in force as version {version}"
            )),
            Err(failure) => {
                watch.not_taken();
                failure::report(&failure, false);
            }
        }
    }
}

/// Says which tools a policy names that the server does not have, once for each text of it: a
/// mistyped name would only look like a tool that is missing.
async fn compare(sessions: Arc<Sessions>, path: PathBuf) {
    let mut last = String::new();
    loop {
        let (text, tools) = sessions.compared().await;
        if text == last {
            continue;
        }
        if let Ok(policy) = provost_authoring::parse(&text) {
            let offer = provost_authoring::Offer::of_names(tools);
            let unknown = provost_authoring::unknown_tools(&policy, &offer);
            print(&path, &text, &unknown);
        }
        last = text;
    }
}

/// Reports everything that is wrong with a policy on stderr.
fn check(path: &Path, text: &str) -> Result<(), ()> {
    provost_authoring::parse(text)
        .map(drop)
        .map_err(|problems| print(path, text, &problems))
}

fn print(path: &Path, text: &str, found: &[Diagnostic]) {
    // Nothing can be done about a closed stderr.
    drop(diagnostics::print(
        &mut anstream::stderr().lock(),
        &path.display().to_string(),
        text,
        found,
    ));
}
