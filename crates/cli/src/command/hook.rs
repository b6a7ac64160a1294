//! `provost hook`.

use std::io::{Read, Write};
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueHint};
use provost_gateway::{HookedAgent, NativeVerdict};

use super::connect::Grant;
use crate::bridge::{Hello, MAX_LINE, ask};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::locations::Places;
use crate::runtime::block_on;

/// An agent that waits longer for its hook (Claude Code: 60 s by default) goes on without it.
const LIMIT: Duration = Duration::from_secs(45);
/// Longest input of a hook; what escaping may make of it still fits into a hello.
const INPUT: u64 = MAX_LINE / 8;

/// Decide about an agent's own tools: the program for its hook
///
/// Reads what the agent is about to do from stdin, asks the policy of the grant on server
/// `native`, and prints the decision for the agent. Whatever goes wrong is a no.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples, in the settings of Claude Code (the part after `||` denies when `provost` is missing):
  { \"hooks\": { \"PreToolUse\": [ { \"matcher\": \"^(?!mcp__).*\", \"hooks\": [ {
      \"type\": \"command\", \"timeout\": 60,
      \"command\": \"provost hook claude --grant-file /home/me/native.grant || exit 2\" } ] } ] } }")]
pub(crate) struct Hook {
    /// The agent whose hook this is
    #[arg(value_parser = PossibleValuesParser::new(HookedAgent::ALL.map(HookedAgent::name)), value_hint = ValueHint::Other)]
    agent: String,
    #[command(flatten)]
    grant: Grant,
}

// === impl Hook ===

impl Hook {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let agent = HookedAgent::named(&self.agent)
            .ok_or_else(|| Failure::usage("hooks of this agent are not known"))?;
        let (asked, answer) = std::sync::mpsc::channel();
        let places = context.places();
        // On a thread that ends with the process: whatever it waits for, the answer comes
        // in time.
        std::thread::spawn(move || asked.send(places.and_then(|places| self.ask(&places))));
        let answer = answer
            .recv_timeout(LIMIT)
            .unwrap_or_else(|_| Err(Failure::unavailable("it takes too long")));
        let answer = answer.unwrap_or_else(|failure| {
            let causes = failure.causes.iter().map(String::as_str);
            let said: Vec<&str> = std::iter::once(&*failure.message).chain(causes).collect();
            let why = format!(
                "Provost cannot decide, so it is denied: {}",
                said.join("; ")
            );
            agent.answer(&NativeVerdict::Denied(why))
        });
        writeln!(std::io::stdout(), "{answer}")
            .map_err(|error| Failure::unavailable("the decision cannot be printed").because(error))
    }

    fn ask(self, places: &Places) -> Outcome<String> {
        let hello = Hello::Native {
            token: self.grant.token()?,
            agent: self.agent,
            hook: input(),
        };
        let answer = block_on(ask(places, &hello))?.answer;
        answer.ok_or_else(|| Failure::unavailable("the daemon gave no answer"))
    }
}

/// What Claude Code has to be told. The part after `||` denies when `provost` is missing.
pub(super) fn settings() -> serde_json::Value {
    serde_json::json!({ "hooks": { "PreToolUse": [ {
        "matcher": "^(?!mcp__).*",
        "hooks": [ {
            "type": "command",
            "timeout": 60,
            "command": "provost hook claude --grant-file FILE || exit 2",
        } ],
    } ] } })
}

/// What the agent says. What is too long or no text is sent as nothing, which the daemon
/// denies and records.
fn input() -> String {
    let mut text = String::new();
    let read = std::io::stdin().take(INPUT).read_to_string(&mut text);
    let whole = read.is_ok_and(|_| u64::try_from(text.len()).is_ok_and(|length| length < INPUT));
    match whole {
        true => text,
        false => String::new(),
    }
}
