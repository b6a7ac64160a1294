//! Which names can stand at a place of a command line.

use clap::{Arg, ArgAction, Command};
use provost_admin::{GrantList, GrantState, Listing, ServerList, open_for};

use crate::admin::{Admin, here};
use crate::context::Context;
use crate::failure::Outcome;

/// Names that can stand at the end of a command line; for completion
#[derive(Debug, clap::Args)]
pub(crate) struct Names {
    /// The words so far, the last one unfinished
    #[arg(last = true)]
    words: Vec<String>,
}

/// What is named at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Server,
    Grant,
}

// === impl Names ===

impl Names {
    pub(crate) fn run(self, context: &Context, mut root: Command) -> Outcome {
        // Gives positional arguments their numbers.
        root.build();
        let Some(kind) = wanted(&root, &self.words) else {
            return Ok(());
        };
        let names = names(context, kind)?;
        context.output.write(|out| {
            let plain = names.iter().filter(|name| is_plain(name));
            plain
                .into_iter()
                .try_for_each(|name| writeln!(out, "{name}"))
        })
    }
}

/// Shells read these names as words, so only those that are words are given.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !name.is_empty() && name.chars().all(plain)
}

fn names(context: &Context, kind: Kind) -> Outcome<Vec<String>> {
    let admin = context.admin()?;
    if !admin.places().data.exists() {
        return Ok(Vec::new());
    }
    match kind {
        Kind::Server => {
            let servers = all(&admin, ServerList::default())?;
            Ok(servers.into_iter().map(|server| server.name).collect())
        }
        Kind::Grant => {
            let grants = all(&admin, GrantList::default())?.into_iter();
            let active = grants.filter(|grant| grant.state == GrantState::Active);
            Ok(active.map(|grant| grant.label).collect())
        }
    }
}

/// What is listed, or its first page where nobody has the store open yet: whoever waits for a
/// completion does not wait for somebody else's command.
fn all<L: Listing>(admin: &Admin, listing: L) -> Outcome<Vec<L::Item>> {
    match admin.daemon_runs()? {
        true => admin.list(listing),
        false => Ok(here(&open_for(&admin.places().store(), L::KIND)?, listing)?.items),
    }
}

/// What the last of these words names, if that is a server or a grant.
fn wanted(root: &Command, words: &[String]) -> Option<Kind> {
    let (last, before) = words.split_last()?;
    let mut command = root;
    let mut path: Vec<&str> = Vec::new();
    let mut place = 1;
    let mut before = before.iter();
    while let Some(word) = before.next() {
        if word == "--" {
            return None;
        }
        if let Some(option) = option(root, command, word) {
            if takes_value(option) && !word.contains('=') && before.next().is_none() {
                return kind(&path, option);
            }
        } else if word.starts_with('-') {
            // A flag nobody knows takes nothing.
        } else if let Some(found) = command.find_subcommand(word) {
            command = found;
            path.push(found.get_name());
            place = 1;
        } else {
            place += 1;
        }
    }
    if last.starts_with('-') || command.has_subcommands() {
        return None;
    }
    let mut positionals = command.get_positionals();
    let argument = positionals.find(|argument| argument.get_index().unwrap_or(1) == place)?;
    kind(&path, argument)
}

/// The option that a word is, one of the command or a global one.
fn option<'c>(root: &'c Command, command: &'c Command, word: &str) -> Option<&'c Arg> {
    let name = word.split('=').next().unwrap_or_default();
    let all = command.get_arguments().chain(root.get_arguments());
    let mut options = all.filter(|argument| !argument.is_positional());
    options.find(|option| {
        let long = option.get_long().map(|long| format!("--{long}"));
        let short = option.get_short().map(|short| format!("-{short}"));
        long.as_deref() == Some(name) || short.as_deref() == Some(name)
    })
}

fn takes_value(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Set | ArgAction::Append)
}

/// What an argument of a command names.
fn kind(path: &[&str], argument: &Arg) -> Option<Kind> {
    match (path, argument.get_id().as_str()) {
        (_, "server") | (["server", "set" | "show" | "remove" | "test"], "name") => {
            Some(Kind::Server)
        }
        (_, "grant") | (["grant", "rotate" | "reveal" | "revoke"], "name") => Some(Kind::Grant),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::arguments::Arguments;

    #[test]
    fn d51_places_of_servers_and_grants_are_known() {
        let mut root = Arguments::command();
        root.build();
        let wanted = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            wanted(&root, &words)
        };
        for line in [
            "server test ",
            "server test fi",
            "--json server show ",
            "--data /srv server set ",
            "connect ",
            "grant mint ",
            "grant list ",
            "policy put ",
            "log --server ",
            "log -n 5 --server fi",
            "grant revoke laptop --server ",
        ] {
            assert_eq!(wanted(line), Some(Kind::Server), "{line}");
        }
        for line in [
            "grant revoke ",
            "grant reveal la",
            "policy attach ",
            "log --grant ",
        ] {
            assert_eq!(wanted(line), Some(Kind::Grant), "{line}");
        }
        for line in [
            "",
            "server ",
            "server add ",
            "server test files ",
            "server test --",
            "grant mint files --label ",
            "run -- ",
            "policy put files ",
        ] {
            assert_eq!(wanted(line), None, "{line}");
        }
    }
}
