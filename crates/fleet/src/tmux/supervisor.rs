//! Keeps a control client for as long as there is a server, and does without one
//! meanwhile.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{info, warn};

use super::control::{Control, Purpose, Request, note_opened};
use super::place::TmuxPlace;
use super::process;
use super::register::Register;
use crate::terminal::{Event, TerminalError};

/// Whoever keeps the client.
pub(super) struct Supervisor {
    pub(super) place: Arc<TmuxPlace>,
    pub(super) register: Arc<Register>,
    pub(super) events: mpsc::Sender<Event>,
    /// Its end is the end of everything here; the server and its windows stay.
    pub(super) requests: mpsc::Receiver<Request>,
}

/// The pauses between attempts to have a client again, the first after a failure.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

// === impl Supervisor ===

impl Supervisor {
    /// Adopts a server that is there. Starts none.
    pub(super) async fn adopt(&self) -> Option<Control> {
        if !self.place.is_served() {
            return None;
        }
        let control = self.connect(None).await;
        control
            .inspect_err(|error| warn!("tmux is there, but cannot be used: {error}"))
            .ok()
    }

    /// Runs until there are no more requests.
    pub(super) async fn run(mut self, adopted: Option<Control>) {
        let mut control = adopted;
        loop {
            let Some(mut client) = control else {
                match self.first_window().await {
                    ControlFlow::Continue(client) => control = client,
                    ControlFlow::Break(()) => return,
                }
                continue;
            };
            let served = client.serve(&mut self.requests).await;
            let server = client.server();
            client.end().await;
            let Err(error) = served else { return };
            info!("The control client of tmux ended ({error})");
            match self.recover(server).await {
                ControlFlow::Continue(client) => control = client,
                ControlFlow::Break(()) => return,
            }
        }
    }

    async fn connect(&self, before: Option<u32>) -> std::io::Result<Control> {
        let register = Arc::clone(&self.register);
        Control::start(&self.place, register, self.events.clone(), before).await
    }

    /// Waits, without a server, until somebody wants a window.
    async fn first_window(&mut self) -> ControlFlow<(), Option<Control>> {
        let Some(request) = self.requests.recv().await else {
            return ControlFlow::Break(());
        };
        let refusal = match request.purpose {
            Purpose::Opened(_) => match self.connect(None).await {
                Ok(mut client) => {
                    // A client that is lost at once is noticed when it is served.
                    let _ = client.ask(request).await;
                    return ControlFlow::Continue(Some(client));
                }
                Err(error) => TerminalError::Unreachable(error),
            },
            Purpose::Done | Purpose::Quoted => TerminalError::NoAnswer,
        };
        // Whoever does not wait does not mind.
        let _ = request.answer.send(Err(refusal));
        ControlFlow::Continue(None)
    }

    /// Has a client again, or finds that the server is gone. What is asked meanwhile is
    /// done by processes of their own; what happens in windows is not seen.
    async fn recover(&mut self, server: Option<u32>) -> ControlFlow<(), Option<Control>> {
        let mut pause = SHORTEST;
        loop {
            if !self.place.is_served() {
                self.gone().await;
                return ControlFlow::Continue(None);
            }
            match self.connect(server).await {
                Ok(client) => {
                    for window in self.register.list() {
                        self.tell(Event::Missed(window.instance)).await;
                    }
                    return ControlFlow::Continue(Some(client));
                }
                Err(error) => warn!("There is no control client of tmux: {error}"),
            }
            let until = Instant::now() + pause;
            loop {
                tokio::select! {
                    () = tokio::time::sleep_until(until) => break,
                    request = self.requests.recv() => match request {
                        Some(request) => self.do_without_client(request).await,
                        None => return ControlFlow::Break(()),
                    },
                }
            }
            pause = (pause * 2).min(LONGEST);
        }
    }

    async fn do_without_client(&self, request: Request) {
        let answer = process::run(&self.place, request.commands).await;
        if let (Purpose::Opened(instance), Ok(lines)) = (request.purpose, &answer) {
            note_opened(&self.register, instance, lines);
        }
        // Whoever does not wait does not mind.
        let _ = request.answer.send(answer);
    }

    /// The server is gone, and so are its windows.
    async fn gone(&self) {
        self.tell(Event::ServerGone).await;
        for instance in self.register.replace(&[]) {
            self.tell(Event::Closed(instance)).await;
        }
    }

    async fn tell(&self, event: Event) {
        // Nobody listens any more when everything ends.
        let _ = self.events.send(event).await;
    }
}
