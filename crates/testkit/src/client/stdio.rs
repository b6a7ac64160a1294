//! The client's side of newline-delimited JSON.

use super::inbox::{Inbox, is_response};
use crate::process::Start;
use anyhow::{Result, anyhow};
use serde_json::Value;
use std::collections::HashMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};

/// A pair of pipes, and the process behind them if we started it.
pub struct StdioLink {
    /// Nothing once the input was ended.
    writer: Mutex<Option<mpsc::UnboundedSender<Vec<u8>>>>,
    heard: Arc<Mutex<Heard>>,
    child: Mutex<Option<Child>>,
}

#[derive(Default)]
struct Heard {
    waiting: HashMap<String, oneshot::Sender<Value>>,
    /// Every line, as it came.
    lines: Vec<String>,
    /// Responses that nobody waits for.
    strays: Vec<Value>,
    /// Strays, notifications and requests, in order.
    messages: Vec<Value>,
    stderr: String,
    ended: bool,
}

// === impl StdioLink ===

impl StdioLink {
    pub(super) fn spawn(start: &Start, inbox: Inbox) -> StdioLink {
        let mut command = Command::from(start.command());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .unwrap_or_else(|e| panic!("{:?} does not start: {e}", start.program));
        let (input, output) = (
            child.stdin.take().expect("piped"),
            child.stdout.take().expect("piped"),
        );
        let mut errors = BufReader::new(child.stderr.take().expect("piped")).lines();
        let link = StdioLink::new(output, input, inbox);
        let heard = Arc::clone(&link.heard);
        tokio::spawn(async move {
            while let Ok(Some(line)) = errors.next_line().await {
                let mut heard = heard.lock().unwrap();
                heard.stderr.push_str(&line);
                heard.stderr.push('\n');
            }
        });
        *link.child.lock().unwrap() = Some(child);
        link
    }

    pub(super) fn over(
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        inbox: Inbox,
    ) -> StdioLink {
        let (output, input) = tokio::io::split(stream);
        StdioLink::new(output, input, inbox)
    }

    fn new<R, W>(output: R, input: W, inbox: Inbox) -> StdioLink
    where
        R: AsyncRead + Send + 'static,
        W: AsyncWrite + Send + 'static,
    {
        let (writer, mut to_write) = mpsc::unbounded_channel::<Vec<u8>>();
        tokio::spawn(async move {
            let mut input = std::pin::pin!(input);
            while let Some(bytes) = to_write.recv().await {
                if input.write_all(&bytes).await.is_err() || input.flush().await.is_err() {
                    return;
                }
            }
            drop(input.shutdown().await);
        });
        let heard = Arc::new(Mutex::new(Heard::default()));
        let (hearing, answers) = (Arc::clone(&heard), writer.downgrade());
        tokio::spawn(async move {
            let mut output = BufReader::new(Box::pin(output));
            let mut line = Vec::new();
            while output
                .read_until(b'\n', &mut line)
                .await
                .is_ok_and(|length| length > 0)
            {
                let text = String::from_utf8_lossy(&line)
                    .trim_end_matches(['\n', '\r'])
                    .to_owned();
                line.clear();
                if let (Some(reply), Some(writer)) =
                    (hear(&hearing, &inbox, text), answers.upgrade())
                {
                    drop(writer.send(format!("{reply}\n").into_bytes()));
                }
            }
            let mut heard = hearing.lock().unwrap();
            heard.ended = true;
            heard.waiting.clear();
        });
        StdioLink {
            writer: Mutex::new(Some(writer)),
            heard,
            child: Mutex::new(None),
        }
    }

    /// Writes a line.
    pub fn write(&self, line: impl Into<String>) -> Result<()> {
        let mut line = line.into();
        line.push('\n');
        self.write_raw(line)
    }

    /// Writes bytes as they are, without an end of line.
    pub fn write_raw(&self, bytes: impl Into<Vec<u8>>) -> Result<()> {
        let writer = self.writer.lock().unwrap();
        let writer = writer
            .as_ref()
            .ok_or_else(|| anyhow!("the input was ended"))?;
        writer
            .send(bytes.into())
            .map_err(|_| anyhow!("the process does not read any more"))
    }

    pub(super) async fn exchange(&self, message: &Value) -> Result<Value> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut heard = self.heard.lock().unwrap();
            if !heard.ended {
                heard.waiting.insert(message["id"].to_string(), sender);
            }
        }
        self.write(message.to_string())?;
        receiver
            .await
            .map_err(|_| anyhow!("the output ended; stderr: {}", self.stderr()))
    }

    /// Every line that came, as it came.
    pub fn lines(&self) -> Vec<String> {
        self.heard.lock().unwrap().lines.clone()
    }

    /// Responses that nobody waited for: unknown ids, second answers, errors with id null.
    pub fn strays(&self) -> Vec<Value> {
        self.heard.lock().unwrap().strays.clone()
    }

    /// Every message that came and was not waited for, in order.
    pub fn messages(&self) -> Vec<Value> {
        self.heard.lock().unwrap().messages.clone()
    }

    /// What the process said on stderr.
    pub fn stderr(&self) -> String {
        self.heard.lock().unwrap().stderr.clone()
    }

    /// Whether the output has ended.
    pub fn ended(&self) -> bool {
        self.heard.lock().unwrap().ended
    }

    /// Ends the input.
    pub fn end_input(&self) {
        drop(self.writer.lock().unwrap().take());
    }

    /// The process's id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.lock().unwrap().as_ref().and_then(Child::id)
    }

    /// The process's exit code, once it has ended by itself.
    pub fn exit_code(&self) -> Option<i32> {
        self.child
            .lock()
            .unwrap()
            .as_mut()?
            .try_wait()
            .ok()??
            .code()
    }
}

/// Takes a line, and returns what is to be answered.
fn hear(heard: &Mutex<Heard>, inbox: &Inbox, line: String) -> Option<Value> {
    let parsed: Option<Value> = serde_json::from_str(&line).ok();
    let mut heard = heard.lock().unwrap();
    heard.lines.push(line);
    let message = parsed?;
    if !is_response(&message) {
        heard.messages.push(message.clone());
        drop(heard);
        return inbox.take(message);
    }
    match heard.waiting.remove(&message["id"].to_string()) {
        Some(waiting) => drop(waiting.send(message)),
        None => {
            heard.messages.push(message.clone());
            heard.strays.push(message);
        }
    }
    None
}
