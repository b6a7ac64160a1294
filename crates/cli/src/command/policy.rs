//! `provost policy`: policies in the store, and policies in files.

mod files;
mod init;
mod learn;
mod stored;
mod written;

use clap::Subcommand;

use crate::context::Context;
use crate::failure::Outcome;

/// Write, check, explain and attach policies
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Write a starting policy from a server's own tools
    #[command(after_help = "\
Examples:
  provost policy init --server files -o files.json
  provost policy init --root /srv/work -- uvx mcp-server-git

The server is asked for its tools. Tools that only read are allowed; tools that
may destroy something are refused until you have looked at them; all others are
allowed 30 times a minute. Provost takes the server's word for what its tools
do, so read the policy before you use it. With `--root`, arguments that look
like paths have to be inside that directory.")]
    Init(init::Init),
    /// Write the smallest policy that allows what a grant did
    #[command(after_help = "\
Examples:
  provost policy learn --grant alice-laptop -o alice.json
  provost policy learn --grant alice-laptop --since 7d

It reads the records of a grant, for example one minted with `--observe`. The
policy allows each tool that was called, requires the arguments that every call
had, and sets limits at twice the highest use. What was refused, or always
failed, is named on stderr and left out.")]
    Learn(learn::Learn),
    /// Store a policy, or a new version of one, on a server
    #[command(after_help = "\
Examples:
  provost policy put files readonly policy.json
  generate-policy | provost policy put files readonly -

The new version holds from the next call on, for every grant that has the
policy. A policy with errors is refused and changes nothing.")]
    Put(stored::Put),
    /// List the policies
    List(stored::List),
    /// Print a policy
    Show(stored::Version),
    /// List the versions of a policy
    History(stored::Name),
    /// Make an older version the current one, as a new version
    Rollback(stored::Version),
    /// Delete a policy that no grant uses
    Delete(stored::Name),
    /// Give a grant a policy
    #[command(after_help = "\
Examples:
  provost policy attach alice-laptop readonly
  provost policy attach alice-laptop stricter --shadow

With `--shadow` the policy is a draft beside the enforced one: judged and
recorded, never enforced.")]
    Attach(stored::Attach),
    /// Take a grant's policy away; without one it denies every call
    Detach(stored::Detach),
    /// Check policy files: all errors, and warnings
    #[command(after_help = "\
Examples:
  provost policy check policy.json
  provost policy check --server files policy.json
  provost policy check --tools tools.json policies/*.json

With `--server` or `--tools`, it also warns about tools and arguments that the
server does not have. `--server` asks a registered server; `--tools` takes a
file with the answer to `tools/list`, or a JSON array of names.")]
    Check(files::Check),
    /// Say what a policy decides about a call, and why
    #[command(after_help = "\
Examples:
  provost policy explain policy.json --tool spawn --args '{\"role\": \"manager\"}'
  provost policy explain policy.json --method resources/read")]
    Explain(files::Explain),
    /// Run cases against a policy, for your own CI
    #[command(after_help = "\
Example:
  provost policy test policy.json cases.yaml")]
    Test(files::Test),
    /// Print the JSON Schema of the policy language
    #[command(after_help = "\
Example:
  provost policy schema > policy.schema.json")]
    Schema,
    /// Convert a policy of Intercept (YAML) into a policy of Provost
    #[command(after_help = "\
Examples:
  provost policy import intercept.yaml
  provost policy import intercept.yaml --output policy.json

Differences in meaning are reported on stderr. A file with places that cannot
be imported is not imported, and every such place is named. `--partial` imports
the rest, and refuses every call that one of these places is about.")]
    Import(files::Import),
}

// === impl Policy ===

impl Policy {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        match self {
            Policy::Init(init) => init::init(context, init),
            Policy::Learn(learn) => learn::learn(context, &learn),
            Policy::Put(put) => stored::put(context, put),
            Policy::List(list) => stored::list(context, list),
            Policy::Show(version) => stored::show(context, version),
            Policy::History(name) => stored::history(context, name),
            Policy::Rollback(version) => stored::roll_back(context, version),
            Policy::Delete(name) => stored::delete(context, name),
            Policy::Attach(attach) => stored::attach(context, attach),
            Policy::Detach(detach) => stored::detach(context, detach),
            Policy::Check(check) => files::check(context, &check),
            Policy::Explain(explain) => files::explain(context.output, &explain),
            Policy::Test(test) => files::test(context.output, &test),
            Policy::Schema => files::schema(context.output),
            Policy::Import(import) => files::import(context.output, &import),
        }
    }
}
