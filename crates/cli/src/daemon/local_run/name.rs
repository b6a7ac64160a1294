//! What a run is called, and what tells one from another.

use std::path::Path;

use provost_admin::WireSecret;
use sha2::{Digest, Sha256};

use crate::bridge::RunUpstream;

/// The label of a policy whose file's name gives none.
const POLICY: &str = "policy";

/// The same for the same policy path and the same upstream with the same headers: two runs with
/// different credentials must not share a server.
pub(super) fn digest(policy: &Path, upstream: &RunUpstream) -> String {
    let parts: Vec<Vec<u8>> = match upstream {
        RunUpstream::Child(child) => {
            let words = child.command.iter();
            words.map(|word| word.clone().into_bytes()).collect()
        }
        RunUpstream::Http { url, headers } => http_parts(url, headers),
    };
    let mut hash = Sha256::new();
    hash.update(policy.as_os_str().as_encoded_bytes());
    for part in parts {
        // Lengths keep ["a b"] and ["a", "b"] apart.
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    digest
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Programs that run another one: what they run says more.
const RUNNERS: [&str; 11] = [
    "npx", "uvx", "uv", "bunx", "pnpm", "node", "deno", "python", "python3", "sh", "bash",
];

/// What a person would call the upstream, with a hyphen behind it.
pub(super) fn word(upstream: &RunUpstream) -> String {
    let word = match upstream {
        RunUpstream::Http { url, .. } => {
            let host = url.split("//").nth(1).unwrap_or_default();
            host.split(['/', ':', '?', '@']).next().unwrap_or_default()
        }
        RunUpstream::Child(child) => {
            let mut words = child.command.iter().map(|word| last_part(word));
            let program = words.next().unwrap_or_default();
            let runs = |word: &&str| {
                !word.starts_with('-') && !matches!(*word, "run" | "exec" | "tool" | "dlx")
            };
            let run = words.find(runs).filter(|_| RUNNERS.contains(&program));
            run.unwrap_or(program)
        }
    };
    let plain = plain(word, 32);
    match plain.is_empty() {
        true => plain,
        false => plain + "-",
    }
}

/// What stands behind the last `/`, without a version or an ending.
fn last_part(word: &str) -> &str {
    let last = word.rsplit('/').next().unwrap_or(word);
    let name = last.split('@').next().unwrap_or(last);
    let endings = [".js", ".mjs", ".py", ".sh", ".ts"];
    endings
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .unwrap_or(name)
}

/// A text as part of a name: small letters, digits and hyphens.
fn plain(text: &str, most: usize) -> String {
    let mut plain = String::new();
    for letter in text.chars() {
        if letter.is_ascii_alphanumeric() {
            plain.push(letter.to_ascii_lowercase());
        } else if matches!(letter, '-' | '_' | '.' | ' ')
            && !plain.is_empty()
            && !plain.ends_with('-')
        {
            plain.push('-');
        }
    }
    plain.truncate(most);
    plain.trim_end_matches('-').to_owned()
}

/// The label of a run's policy: the name of its file.
pub(super) fn policy_label(path: &Path) -> String {
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    let label = plain(stem, 64);
    match label.is_empty() {
        true => POLICY.to_owned(),
        false => label,
    }
}

/// What tells one endpoint from another. Of a header's value only a hash takes part; the order and
/// the case of the headers' names say nothing.
fn http_parts(url: &str, headers: &[(String, WireSecret)]) -> Vec<Vec<u8>> {
    let mut hashed: Vec<_> = headers
        .iter()
        .map(|(name, value)| {
            let value = Sha256::digest(value.0.expose());
            (name.to_ascii_lowercase().into_bytes(), value.to_vec())
        })
        .collect();
    hashed.sort();
    let headers = hashed.into_iter().flat_map(|(name, value)| [name, value]);
    std::iter::once(url.as_bytes().to_vec())
        .chain(headers)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::Child;
    use provost_store::Secret;

    fn child(command: &[&str]) -> RunUpstream {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        RunUpstream::Child(Child {
            command,
            directory: "/".into(),
            environment: Vec::new(),
        })
    }

    #[test]
    fn the_digest_depends_on_policy_path_and_command_only() {
        let name = |policy: &str, command: &[&str]| digest(Path::new(policy), &child(command));
        assert_eq!(name("/p", &["npx", "a"]), name("/p", &["npx", "a"]));
        assert_ne!(name("/p", &["npx", "a"]), name("/q", &["npx", "a"]));
        assert_ne!(name("/p", &["npx", "a b"]), name("/p", &["npx", "a", "b"]));
    }

    #[test]
    fn d48_a_run_is_named_after_what_it_governs() {
        let named = |command: &[&str]| word(&child(command));
        let filesystem = "@modelcontextprotocol/server-filesystem@2026.1";
        assert_eq!(
            named(&["npx", "-y", filesystem, "/srv"]),
            "server-filesystem-"
        );
        assert_eq!(
            named(&["uvx", "mcp-server-git", "-r", "."]),
            "mcp-server-git-"
        );
        assert_eq!(
            named(&["python3", "-m", "mcp_server_time"]),
            "mcp-server-time-"
        );
        assert_eq!(named(&["/usr/bin/node", "dist/index.js"]), "index-");
        assert_eq!(named(&["/opt/My Server.py"]), "my-server-");
        assert_eq!(named(&["日本"]), "");
        assert_eq!(named(&["npx"]), "npx-");
        let url = "https://mcp.example.com:8443/mcp".to_owned();
        let headers = Vec::new();
        assert_eq!(
            word(&RunUpstream::Http { url, headers }),
            "mcp-example-com-"
        );
        assert_eq!(
            policy_label(Path::new("/a/Team notes.v2.json")),
            "team-notes-v2"
        );
        assert_eq!(policy_label(Path::new("/a/日本.json")), "policy");
    }

    #[test]
    fn runs_with_different_headers_have_servers_of_their_own() {
        let name = |headers: &[(&str, &str)]| {
            let headers = headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), WireSecret(Secret::new(*value))))
                .collect();
            let url = "https://mcp.example.com/mcp".to_owned();
            digest(Path::new("/p"), &RunUpstream::Http { url, headers })
        };
        let alice = name(&[("Authorization", "alice"), ("x-a", "1")]);
        assert_eq!(alice, name(&[("X-A", "1"), ("authorization", "alice")]));
        assert_ne!(alice, name(&[("Authorization", "bob"), ("x-a", "1")]));
        assert_ne!(alice, name(&[]));
    }
}
