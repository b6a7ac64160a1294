//! A model that is a script: it speaks the Anthropic Messages API, the OpenAI Responses API and the Gemini API, as far
//! as the real `claude`, `codex` and `gemini` need them, and does what the prompt says.
//!
//! A prompt has a step on each line; lines that are no step are for people.
//!
//! ```text
//! call files read_file {"path": "/srv/work/a"}    calls a tool of an MCP server, whatever the client calls it
//! use Read {"file_path": "/srv/work/a"}           calls a tool of the client's own
//! shell echo hello                                calls the client's shell
//! wait /srv/work/go                               says nothing until the file is there
//! say the file has {{1}}, the shell said {{last}} says it
//! ```
//!
//! `{{1}}` is what the first call of this prompt came to, `{{last}}` the latest one, in texts and in arguments.
//!
//! An answer goes as far as the next call, or to the end. Where the script stands is counted in the conversation itself,
//! so that the model has no memory, and any number of agents can use one.

mod anthropic;
mod conversation;
mod exchange;
mod gemini;
mod openai;
mod script;
mod serve;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use exchange::Log;
use tokio::sync::oneshot;

pub use exchange::{Answered, Exchange};

/// A model on a thread of its own.
#[derive(Debug)]
pub struct Model {
    address: SocketAddr,
    log: Log,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

// === impl Model ===

impl Model {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// When there is none.
    pub fn start() -> Model {
        Model::at(0)
    }

    /// Starts one; it listens when this returns.
    ///
    /// # Panics
    /// When the port is taken.
    pub fn at(port: u16) -> Model {
        let listener =
            std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
        listener
            .set_nonblocking(true)
            .expect("a listener can be non-blocking");
        let address = listener.local_addr().expect("a listener has an address");
        let log = Log::default();
        let (stop, stopped) = oneshot::channel();
        let router = serve::router(Arc::clone(&log));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    served = axum::serve(listener, router) => served.expect("it serves for ever"),
                    _ = stopped => {}
                }
            });
        });
        Model {
            address,
            log,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Where it serves, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All questions so far.
    pub fn log(&self) -> Vec<Exchange> {
        self.log.lock().unwrap().clone()
    }

    /// Whether a prompt with these words has come.
    pub fn heard(&self, prompt: &str) -> bool {
        self.latest(prompt, |_| ()).is_some()
    }

    /// What was said when the script of this prompt had come to its end.
    pub fn answer_to(&self, prompt: &str) -> Option<String> {
        let answer = self.latest(prompt, |exchange| exchange.answer.clone())??;
        answer.call.is_none().then_some(answer.text)
    }

    /// Whether whoever asked this had this tool of this MCP server.
    pub fn offered(&self, prompt: &str, server: &str, tool: &str) -> bool {
        let offered = |exchange: &Exchange| exchange.offers(server, tool);
        self.latest(prompt, offered).unwrap_or_default()
    }

    fn latest<T>(&self, prompt: &str, read: impl Fn(&Exchange) -> T) -> Option<T> {
        let log = self.log.lock().unwrap();
        let mut latest_first = log.iter().rev();
        let found = latest_first.find(|exchange| exchange.prompt.contains(prompt));
        found.map(read)
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It may have ended already.
            let _ = stop.send(());
        }
        drop(self.thread.take().map(std::thread::JoinHandle::join));
    }
}
