//! `provost connect`.

use std::io::{IsTerminal, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use clap::Args;
use provost_admin::WireSecret;

use crate::bridge::{Ending, Hello, Sessions, TokenSource, pump};
use crate::context::Context;
use crate::daemon::Signals;
use crate::environment::{self, Environment};
use crate::failure::{Failure, Outcome};
use crate::locations::absolute;
use crate::runtime::block_on;
use crate::terminal::style;
use crate::text_file::unread;

/// Connect an MCP client that speaks stdio to a registered server
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  PROVOST_GRANT=pv_… provost connect files
  provost connect files --grant-file ~/.config/files.grant

In `.mcp.json`:
  { \"mcpServers\": { \"files\": {
      \"command\": \"provost\",
      \"args\": [\"connect\", \"files\", \"--grant-file\", \"/home/me/files.grant\"]
  } } }")]
pub(crate) struct Connect {
    /// The server, by name or id
    server: String,
    #[command(flatten)]
    grant: Grant,
}

/// The grant to work under
#[derive(Debug, Args)]
pub(super) struct Grant {
    /// A file with the grant's token [default: the variable PROVOST_GRANT]
    #[arg(long, value_name = "FILE")]
    grant_file: Option<PathBuf>,
}

// === impl Connect ===

impl Connect {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let token = self.grant.token()?;
        let source = match self.grant.grant_file {
            Some(path) => TokenSource::File(absolute(&path)?),
            None => TokenSource::Variable(environment::GRANT),
        };
        let hello = Hello::Connect {
            token,
            server: self.server,
        };
        let sessions = Sessions::new(context.places()?, hello).with_token_from(source);
        block_on(async { finish(bridge(&sessions).await?) })
    }
}

// === impl Grant ===

impl Grant {
    /// Its token.
    pub(super) fn token(&self) -> Outcome<WireSecret> {
        let Some(path) = &self.grant_file else {
            return Environment::secret(environment::GRANT)?
                .map(WireSecret)
                .ok_or_else(|| {
                    Failure::usage("no token was given").hint(format!(
                        "put the grant's token into `{}`, or name a file that holds it with `--grant-file`",
                        environment::GRANT
                    ))
                });
        };
        let fail = |error| unread("grant file", path, &error);
        let mode = std::fs::metadata(path).map_err(fail)?.permissions().mode();
        if mode & 0o044 != 0 {
            remark(&format!(
                "others can read grant file `{0}`, and use the grant; `chmod 600 {0}`",
                path.display()
            ));
        }
        let text = std::fs::read_to_string(path).map_err(fail)?;
        Ok(WireSecret(provost_store::Secret::new(text.trim())))
    }
}

/// Says something on stderr, beside the agent.
pub(super) fn remark(text: &str) {
    // Nothing can be done about a closed stderr.
    drop(writeln!(
        anstream::stderr().lock(),
        "{}provost{}: {text}",
        style::HINT,
        anstyle::Reset
    ));
}

/// Serves the agent on stdin and stdout to its end.
pub(super) async fn bridge(sessions: &Sessions) -> Outcome<Ending> {
    let mut signals = Signals::listen()?;
    let session = sessions.first(&mut signals).await?;
    if std::io::stdin().is_terminal() {
        remark("waits for an MCP client, one line of JSON for each message, on stdin; Ctrl-D ends");
    }
    let (agent_in, agent_out) = (tokio::io::stdin(), tokio::io::stdout());
    pump(agent_in, agent_out, session, sessions, &mut signals).await
}

/// What the end of a bridge means for the exit code.
pub(super) fn finish(ending: Ending) -> Outcome {
    match ending {
        Ending::StdinEnded | Ending::StdoutClosed => Ok(()),
        Ending::Signal(signal) => crate::daemon::end_at_once(signal),
    }
}
