//! A client that asks one question after the other and keeps each answer as it came, byte by byte.
//!
//! Libraries drop what they do not know and put in what they expect. This one does neither, so that it can say whether
//! an answer that came through the gateway is the answer that the server gave.

use super::{Names, Speaks, Target, blot, steps};
use crate::http;
use crate::process::Start;
use crate::wait::within;
use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

const LEGACY: &str = "2025-11-25";
const MODERN: &str = "2026-07-28";

/// A question, and what was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The method, and what it was about.
    pub question: String,
    /// The member of the answer: `result` or `error`.
    pub kind: &'static str,
    /// Its text, with names and times blotted out.
    pub text: String,
}

/// Runs a scenario on one connection, and returns every answer. Steps that an era does not have are left out.
///
/// # Errors
/// When a question is not answered with one JSON-RPC message.
pub async fn run(
    speaks: Speaks,
    scenario: &str,
    names: &Names,
    target: &Target,
) -> Result<Vec<Said>> {
    let mut wire = Wire::open(speaks, target).context("no connection")?;
    let mut answers = vec![wire.greet().await?];
    for step in steps(scenario, names) {
        let Some((method, mut params)) = question(speaks, &step) else {
            continue;
        };
        // A list may come in pages.
        loop {
            let said = wire.ask(method, &params).await?;
            let answer: Value = serde_json::from_str(&said.text)?;
            answers.push(said);
            match answer.get("nextCursor") {
                Some(cursor) => params = json!({"cursor": cursor}),
                None => break,
            }
        }
    }
    for said in &mut answers {
        said.text = blot(&said.text, names);
    }
    Ok(answers)
}

/// A connection on which a modern server has answered.
pub struct Warm {
    _wire: Wire,
}

/// Waits until a server has been found to be modern. While this is held, a gateway that started for it stays.
///
/// Libraries that look for the era give up after seconds, on a busy machine before a server has started.
///
/// # Errors
/// When it is not.
pub async fn warm(target: &Target) -> Result<Warm> {
    let mut wire = Wire::open(Speaks::Modern, target)?;
    wire.greet().await?;
    Ok(Warm { _wire: wire })
}

/// What a step asks.
fn question(speaks: Speaks, step: &Value) -> Option<(&'static str, Value)> {
    let legacy = speaks == Speaks::Legacy;
    Some(match step["do"].as_str().unwrap_or_default() {
        "ping" if legacy => ("ping", json!({})),
        "set_level" if legacy => ("logging/setLevel", json!({"level": step["level"]})),
        "subscribe" if legacy => ("resources/subscribe", json!({"uri": step["uri"]})),
        "unsubscribe" if legacy => ("resources/unsubscribe", json!({"uri": step["uri"]})),
        "list_tools" => ("tools/list", json!({})),
        "list_resources" => ("resources/list", json!({})),
        "list_resource_templates" => ("resources/templates/list", json!({})),
        "list_prompts" => ("prompts/list", json!({})),
        "call" => (
            "tools/call",
            json!({"name": step["tool"], "arguments": step["arguments"]}),
        ),
        "read_resource" => ("resources/read", json!({"uri": step["uri"]})),
        "get_prompt" => (
            "prompts/get",
            json!({"name": step["name"], "arguments": step["arguments"]}),
        ),
        "complete" => (
            "completion/complete",
            json!({"ref": step["ref"], "argument": step["argument"]}),
        ),
        _ => return None,
    })
}

struct Wire {
    speaks: Speaks,
    link: Link,
    last_id: u64,
}

enum Link {
    Stdio(Box<Pipes>),
    Http {
        url: String,
        headers: Vec<(String, String)>,
        session: Option<String>,
    },
}

struct Pipes {
    /// Killed when it is dropped.
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

/// The outside of a message, the rest as it came.
#[derive(Deserialize)]
struct Envelope<'m> {
    #[serde(borrow)]
    id: Option<&'m RawValue>,
    method: Option<&'m str>,
    #[serde(borrow)]
    result: Option<&'m RawValue>,
    #[serde(borrow)]
    error: Option<&'m RawValue>,
}

// === impl Wire ===

impl Wire {
    fn open(speaks: Speaks, target: &Target) -> Result<Wire> {
        let link = match target {
            Target::Stdio(start) => Link::Stdio(Box::new(Pipes::open(start)?)),
            Target::Http { url, headers } => Link::Http {
                url: url.clone(),
                headers: headers.clone(),
                session: None,
            },
        };
        Ok(Wire {
            speaks,
            link,
            last_id: 0,
        })
    }

    /// The first question of the era, and what has to follow.
    async fn greet(&mut self) -> Result<Said> {
        if self.speaks != Speaks::Legacy {
            return self.discover().await;
        }
        let params = json!({
            "protocolVersion": LEGACY,
            "capabilities": {},
            "clientInfo": {"name": "wire", "version": "1.0.0"},
        });
        let said = self.ask("initialize", &params).await?;
        let told = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        match &mut self.link {
            Link::Stdio(pipes) => pipes.write(&told).await?,
            Link::Http { .. } => {
                let stream = self.post(&told, &[]).await?;
                if stream.status != 202 {
                    bail!("`initialized` was answered with {}", stream.status);
                }
            }
        }
        Ok(said)
    }

    /// A gateway does not wait for long until a server has started, and says for a while that it is not modern.
    async fn discover(&mut self) -> Result<Said> {
        let asked = async {
            loop {
                let said = self.ask("server/discover", &json!({})).await?;
                if said.kind == "result" {
                    return Ok(said);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        within("a modern server", asked).await
    }

    async fn ask(&mut self, method: &str, params: &Value) -> Result<Said> {
        self.last_id += 1;
        let mut message =
            json!({"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params});
        if self.speaks != Speaks::Legacy {
            message["params"]["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": {"name": "wire", "version": "1.0.0"},
            });
        }
        let name = params.get("name").or_else(|| params.get("uri"));
        let name = name.and_then(Value::as_str);
        let text = match &mut self.link {
            Link::Stdio(pipes) => pipes.exchange(&message).await,
            Link::Http { .. } => self.exchange(&message, method, name).await,
        };
        let about = name.map(|name| format!(" {name}")).unwrap_or_default();
        let question = format!("{method}{about}");
        let text = text.with_context(|| format!("`{question}`"))?;
        let envelope: Envelope<'_> = serde_json::from_str(&text)?;
        let (kind, member) = match (envelope.result, envelope.error) {
            (Some(result), None) => ("result", result),
            (None, Some(error)) => ("error", error),
            _ => bail!("`{question}` was answered with {text}"),
        };
        Ok(Said {
            question,
            kind,
            text: member.get().to_owned(),
        })
    }

    /// Posts a message of our own era.
    async fn post(&self, message: &Value, more: &[(&str, &str)]) -> Result<http::Stream> {
        let Link::Http {
            url,
            headers,
            session,
        } = &self.link
        else {
            bail!("not over HTTP")
        };
        let mut all: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        all.extend([
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ]);
        if self.speaks != Speaks::Legacy {
            all.push(("mcp-protocol-version", MODERN));
        } else if let Some(session) = session {
            all.push(("mcp-protocol-version", LEGACY));
            all.push(("mcp-session-id", session));
        }
        all.extend(more);
        http::stream("POST", url, &all, message.to_string()).await
    }

    /// Asks over HTTP; the answer is the body, or the last event of a stream.
    async fn exchange(
        &mut self,
        message: &Value,
        method: &str,
        name: Option<&str>,
    ) -> Result<String> {
        let mut more = Vec::new();
        if self.speaks != Speaks::Legacy {
            more.push(("mcp-method", method));
            more.extend(name.map(|name| ("mcp-name", name)));
        }
        let mut stream = self.post(message, &more).await?;
        if let (Link::Http { session, .. }, Some(id)) =
            (&mut self.link, stream.header("mcp-session-id"))
        {
            *session = Some(id.to_owned());
        }
        let streamed = stream
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/event-stream"));
        if !streamed {
            let status = stream.status;
            let body = String::from_utf8(stream.rest().await?.to_vec())?;
            return match answers(&body, message) {
                Ok(true) => Ok(body),
                _ => Err(anyhow!("HTTP {status}: {body}")),
            };
        }
        loop {
            let event = within("the next event", stream.next()).await;
            let event = event.context("the stream ended without an answer")?;
            if !event.data.is_empty() && answers(&event.data, message)? {
                return Ok(event.data);
            }
        }
    }
}

/// Whether a text is the answer to a message.
fn answers(text: &str, message: &Value) -> Result<bool> {
    let envelope: Envelope<'_> =
        serde_json::from_str(text).with_context(|| format!("no message: {text}"))?;
    let wanted = message["id"].to_string();
    let ours = envelope.id.is_some_and(|id| id.get() == wanted);
    Ok(ours && envelope.method.is_none())
}

// === impl Pipes ===

impl Pipes {
    fn open(start: &Start) -> Result<Pipes> {
        let mut command = Command::from(start.command());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let output = child.stdout.take().context("stdout is piped")?;
        Ok(Pipes {
            input: child.stdin.take().context("stdin is piped")?,
            output: BufReader::new(output).lines(),
            _child: child,
        })
    }

    async fn write(&mut self, message: &Value) -> Result<()> {
        let line = format!("{message}\n");
        self.input.write_all(line.as_bytes()).await?;
        Ok(self.input.flush().await?)
    }

    async fn exchange(&mut self, message: &Value) -> Result<String> {
        self.write(message).await?;
        loop {
            let line = within("the next line", self.output.next_line()).await?;
            let line = line.context("the output ended")?;
            if answers(&line, message)? {
                return Ok(line);
            }
        }
    }
}
