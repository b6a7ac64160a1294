//! `provost policy`: policies in the store, and policies in files.

mod files;
mod init;
mod learn;
mod stored;
mod written;

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::context::Context;
use crate::failure::{Failure, Outcome};

/// Write, check, explain and attach policies
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Write a policy to begin with, from a server's own tools
    #[command(after_help = "\
Examples:
  provost policy init --server files -o files.json
  provost policy init --root /srv/work -- npx -y @modelcontextprotocol/server-filesystem /srv/work

The server is asked for its tools. Those of which it says that they only read are allowed, those
that may destroy something are refused until you have looked at them, the rest is allowed 30 times
a minute. That is the server's own word: read the policy before you use it. With `--root`,
arguments that look like paths have to be inside of that directory.")]
    Init(init::Init),
    /// Write the smallest policy that allows what a grant did
    #[command(after_help = "\
Examples:
  provost policy learn --grant alice-laptop -o alice.json
  provost policy learn --grant alice-laptop --since 7d

From the records of a grant, such as one that was minted with `--observe`: each tool that was
called, with the arguments that every call had, and limits of twice what was seen. What was refused,
or always failed, is named on stderr and not learnt.")]
    Learn(learn::Learn),
    /// Store a policy, or a new version of one, on a server
    #[command(after_help = "\
Examples:
  provost policy put files readonly policy.json
  generate-policy | provost policy put files readonly -

The new version holds from the next call on, for every grant that has the policy. A policy with
errors is refused and changes nothing.")]
    Put(Put),
    /// List the policies
    List(List),
    /// Print a policy
    Show(Version),
    /// List the versions of a policy
    History(Name),
    /// Make an older version the current one, as a new version
    Rollback(Version),
    /// Delete a policy that no grant uses
    Delete(Name),
    /// Give a grant a policy
    #[command(after_help = "\
Examples:
  provost policy attach alice-laptop readonly
  provost policy attach alice-laptop stricter --shadow

With `--shadow` the policy is a draft beside the enforced one: judged and recorded, never enforced.")]
    Attach(Attach),
    /// Take a grant's policy away; without one it denies every call
    Detach(Detach),
    /// Check policy files: all errors, and warnings
    #[command(after_help = "\
Examples:
  provost policy check policy.json
  provost policy check --server files policy.json
  provost policy check --tools tools.json policies/*.json

With `--server` or `--tools`, tools and arguments that the server does not have are noticed.
`--server` asks a registered server; `--tools` takes what `tools/list` answered, or a JSON array of
names.")]
    Check(Check),
    /// Say what a policy decides about a call, and why
    #[command(after_help = "\
Examples:
  provost policy explain policy.json --tool spawn --args '{\"role\": \"manager\"}'
  provost policy explain policy.json --method resources/read")]
    Explain(Explain),
    /// Run cases against a policy, for your own CI
    #[command(after_help = "\
Example:
  provost policy test policy.json cases.yaml")]
    Test(Test),
    /// Print the JSON Schema of the policy language
    #[command(after_help = "\
Example:
  provost policy schema > policy.schema.json")]
    Schema,
    /// Turn a policy of Intercept (YAML) into a policy of Provost
    #[command(after_help = "\
Examples:
  provost policy import intercept.yaml
  provost policy import intercept.yaml --output policy.json

What means something else here is said on stderr. A file that is not understood in full is not
imported, and every such place is named. `--partial` imports the rest: every call that one of the
places is about is refused.")]
    Import(Import),
}

/// A policy in the store
#[derive(Debug, Args)]
pub(crate) struct Name {
    /// The server's name
    server: String,
    /// The policy's name
    name: String,
}

/// A version of a policy in the store
#[derive(Debug, Args)]
pub(crate) struct Version {
    /// The server's name
    server: String,
    /// The policy's name
    name: String,
    /// Which version [default: the current one; for a rollback the one before it]
    #[arg(id = "number", value_name = "VERSION", value_parser = clap::value_parser!(u32).range(1..))]
    version: Option<u32>,
}

/// Store a policy
#[derive(Debug, Args)]
pub(crate) struct Put {
    /// The server's name
    server: String,
    /// The policy's name
    name: String,
    /// The file, or `-` for stdin
    file: PathBuf,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

/// List the policies
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those of this server
    server: Option<String>,
}

/// Give a grant a policy
#[derive(Debug, Args)]
pub(crate) struct Attach {
    /// The grant, by label or id
    grant: String,
    /// The policy's name
    policy: String,
    /// As a draft: judged and recorded, never enforced
    #[arg(long)]
    shadow: bool,
    /// Allow a grant that only observes: every call passes
    #[arg(long, requires = "shadow")]
    observe: bool,
    /// The grant's server, when several servers have a grant of that label
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
}

/// Take a grant's policy away
#[derive(Debug, Args)]
pub(crate) struct Detach {
    /// The grant, by label or id
    grant: String,
    /// The draft instead of the enforced policy
    #[arg(long)]
    shadow: bool,
    /// Allow a grant that only observes: every call passes
    #[arg(long, conflicts_with = "shadow")]
    observe: bool,
    /// The grant's server, when several servers have a grant of that label
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
}

/// Check policy files
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The files, `-` for stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The tools there are, so that mistyped names of tools and arguments are noticed
    #[arg(long, value_name = "FILE", conflicts_with = "server")]
    tools: Option<PathBuf>,
    /// The same, from a registered server
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// Warnings fail the check too
    #[arg(long)]
    strict: bool,
}

/// Say what a policy decides
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The policy, `-` for stdin
    file: PathBuf,
    /// The tool that is called
    #[arg(long, required_unless_present = "method", conflicts_with = "method")]
    tool: Option<String>,
    /// The arguments of the call, a JSON object; `@FILE` reads them from a file
    #[arg(long, value_name = "JSON", requires = "tool")]
    args: Option<String>,
    /// Another request than a call of a tool, such as `resources/read`
    #[arg(long)]
    method: Option<String>,
}

/// Run cases against a policy
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// The policy
    file: PathBuf,
    /// The cases, in YAML
    cases: PathBuf,
}

/// Turn a policy of Intercept into one of Provost
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The YAML file, `-` for stdin
    file: PathBuf,
    #[command(flatten)]
    written: written::Written,
    /// Import what is understood; calls that the rest is about are refused
    #[arg(long)]
    partial: bool,
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

/// The largest file that is read as a policy.
const LARGEST: u64 = 16 << 20;

/// Reads a text file, `-` for stdin, with a failure that says which file and why.
pub(super) fn read_file(path: &Path) -> Outcome<String> {
    let name = path.display();
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().take(LARGEST + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
    };
    if let Err(error) = read {
        let refusal = format!("cannot read file `{name}`");
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        return Err(if missing {
            Failure::not_found(refusal)
        } else {
            Failure::unavailable(refusal)
        }
        .because(error));
    }
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST) {
        return Err(
            Failure::refused(format!("file `{name}` is too large")).because("16 MiB are the most")
        );
    }
    String::from_utf8(bytes).map_err(|error| {
        Failure::refused(format!("file `{name}` is not UTF-8"))
            .because(format!("byte {} is not", error.utf8_error().valid_up_to()))
    })
}

/// How a file is called in reports.
fn shown(path: &Path) -> String {
    if path.as_os_str() == "-" {
        "<stdin>".to_owned()
    } else {
        path.display().to_string()
    }
}
