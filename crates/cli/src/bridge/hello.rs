//! The first line of a connection to the agent socket, and the answer to it.

use std::path::PathBuf;

use provost_admin::WireSecret;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

use crate::failure::{Failure, Outcome};

/// The longest first line: an environment and a policy fit easily.
pub(crate) const MAX_LINE: u64 = 32 << 20;

/// Who connects, and why.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "hello", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Hello {
    /// An agent behind `provost run`.
    Run(RunHello),
    /// An agent with a grant.
    Connect { server: String, token: WireSecret },
    /// A changed policy of a run; the connection ends with the answer.
    Policy { run: WireSecret, text: String },
    /// Why the policy file of a run cannot be used as it is now; the connection ends with the answer.
    Refused { run: WireSecret, why: String },
    /// Which tools the server of a run has listed; the connection ends with the answer.
    Tools { run: WireSecret },
    /// What went wrong with the server of a run; the connection ends with the answer.
    Trouble { run: WireSecret },
    /// The hook of an agent that is about to use a tool of its own; the connection ends with
    /// the answer.
    Native {
        agent: String,
        token: WireSecret,
        hook: String,
    },
}

/// What `provost run` hands over.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunHello {
    /// What the person calls it: then this keys the counters, and not the policy's path and the upstream.
    pub(crate) name: Option<String>,
    /// Where the policy file is: with the upstream it keys the counters.
    pub(crate) policy_path: PathBuf,
    /// Its text, the last one that could be used.
    pub(crate) policy: String,
    /// Why the file cannot be used as it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<String>,
    /// What is governed.
    pub(crate) upstream: RunUpstream,
}

/// What `provost run` governs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum RunUpstream {
    /// A child process, as `run` would have started it.
    Child(Child),
    /// An HTTP endpoint.
    Http {
        url: String,
        headers: Vec<(String, WireSecret)>,
    },
}

/// A child process.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Child {
    pub(crate) command: Vec<String>,
    pub(crate) directory: PathBuf,
    /// Values may be secret, so nothing here is ever printed.
    pub(crate) environment: Vec<(String, WireSecret)>,
}

/// The answer to a hello.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Welcome {
    /// Allows a run to send a changed policy.
    pub(crate) run: Option<WireSecret>,
    /// The policy's version in force.
    pub(crate) version: Option<u32>,
    /// The tools that were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tools: Vec<String>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) trouble: Vec<String>,
    /// What a hook says to its agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) answer: Option<String>,
}

/// Reads one line; what follows it stays in the buffer of the stream.
///
/// `None` when the stream ends first: the daemon at the other end is just leaving.
pub(crate) async fn read_line(
    stream: &mut (impl AsyncBufRead + Unpin),
    most: u64,
) -> Outcome<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if stream
        .take(most)
        .read_until(b'\n', &mut line)
        .await
        .is_err()
    {
        return Ok(None);
    }
    match line.pop() {
        Some(b'\n') => Ok(Some(line)),
        Some(_) if u64::try_from(line.len()).is_ok_and(|length| length + 1 >= most) => Err(
            Failure::refused("the first line of the connection is too long"),
        ),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_is_read_and_the_rest_stays() {
        let mut stream = tokio::io::BufReader::new(&b"{}\nrest"[..]);
        assert_eq!(read_line(&mut stream, 10).await.unwrap().unwrap(), b"{}");
        assert_eq!(stream.buffer(), b"rest");
    }

    #[tokio::test]
    async fn an_endless_line_is_refused_and_an_early_end_is_not_a_line() {
        let mut endless = tokio::io::BufReader::new(&[b'x'; 100][..]);
        assert!(read_line(&mut endless, 10).await.is_err());
        let mut cut = tokio::io::BufReader::new(&b"{\"hel"[..]);
        assert!(read_line(&mut cut, 100).await.unwrap().is_none());
    }

    #[test]
    fn environments_are_not_in_debug_output() {
        let child = Child {
            command: vec!["x".into()],
            directory: "/".into(),
            environment: vec![(
                "TOKEN".into(),
                WireSecret(provost_store::Secret::new("hunter2")),
            )],
        };
        assert!(!format!("{child:?}").contains("hunter2"));
    }
}
