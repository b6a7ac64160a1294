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
use provost_store::fleet::InstanceId;

/// Whoever keeps the client.
pub(super) struct Supervisor {
    pub(super) place: Arc<TmuxPlace>,
    pub(super) register: Arc<Register>,
    pub(super) events: mpsc::Sender<Event>,
    /// Its end is the end of everything here; the server and its windows stay.
    pub(super) requests: mpsc::Receiver<Request>,
    /// Whose windows were asked for without an answer: they may be there.
    pub(super) doubtful: Vec<InstanceId>,
}

/// How tmux is reached.
pub(super) enum Link {
    /// There is no server.
    Absent,
    /// By a control client.
    Live(Box<Control>),
    /// There was a client, of this server, and there is to be one again.
    Lost(Option<u32>),
}

/// The pauses between attempts to have a client again, the first after a failure.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

// === impl Supervisor ===

impl Supervisor {
    /// Adopts a server that is there. Starts none.
    pub(super) async fn adopt(&self) -> Link {
        if !self.place.is_served().await {
            return Link::Absent;
        }
        match self.connect(None).await {
            Ok(client) => Link::Live(client),
            Err(error) => {
                warn!("There is no control client of tmux: {error}");
                Link::Lost(None)
            }
        }
    }

    /// Runs until there are no more requests.
    pub(super) async fn run(mut self, adopted: Link) {
        let mut link = adopted;
        loop {
            let next = match link {
                Link::Absent => self.first_window().await,
                Link::Live(client) => self.serve(client).await,
                Link::Lost(server) => self.recover(server).await,
            };
            match next {
                ControlFlow::Continue(next) => link = next,
                ControlFlow::Break(()) => return,
            }
        }
    }

    async fn serve(&mut self, mut client: Box<Control>) -> ControlFlow<(), Link> {
        let served = client.serve(&mut self.requests).await;
        let server = client.server();
        self.doubtful.extend(client.end().await);
        let Err(error) = served else {
            return ControlFlow::Break(());
        };
        info!("The control client of tmux ended: {error}");
        ControlFlow::Continue(Link::Lost(server))
    }

    async fn connect(&self, before: Option<u32>) -> std::io::Result<Box<Control>> {
        let register = Arc::clone(&self.register);
        let events = self.events.clone();
        let client = Control::start(&self.place, register, events, before).await;
        client.map(Box::new)
    }

    /// Waits, without a server, until somebody wants a window.
    async fn first_window(&mut self) -> ControlFlow<(), Link> {
        let Some(request) = self.requests.recv().await else {
            return ControlFlow::Break(());
        };
        let refusal = match request.purpose {
            Purpose::Opened(_) => match self.connect(None).await {
                Ok(mut client) => {
                    // A client that is lost at once is noticed when it is served.
                    let _ = client.ask(request).await;
                    return ControlFlow::Continue(Link::Live(client));
                }
                Err(error) => TerminalError::Unreachable(error),
            },
            Purpose::Done | Purpose::Quoted => TerminalError::NoAnswer,
        };
        // Whoever does not wait does not mind.
        let _ = request.answer.send(Err(refusal));
        ControlFlow::Continue(Link::Absent)
    }

    /// Has a client again, or finds that the server is gone. What is asked meanwhile is
    /// done by processes of their own; what happens in windows is not seen.
    async fn recover(&mut self, server: Option<u32>) -> ControlFlow<(), Link> {
        let mut pause = SHORTEST;
        loop {
            if !self.place.is_served().await {
                self.tell(Event::ServerGone).await;
                self.close(self.register.replace(&[])).await;
                self.settle().await;
                return ControlFlow::Continue(Link::Absent);
            }
            match self.connect(server).await {
                Ok(client) => {
                    for window in self.register.list() {
                        self.tell(Event::Missed(window.instance)).await;
                    }
                    self.settle().await;
                    return ControlFlow::Continue(Link::Live(client));
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

    /// Says of windows in doubt that they are gone, unless they are there.
    async fn settle(&mut self) {
        let doubtful = std::mem::take(&mut self.doubtful).into_iter();
        let absent = doubtful.filter(|instance| self.register.place(instance).is_none());
        self.close(absent.collect()).await;
    }

    async fn close(&self, instances: Vec<InstanceId>) {
        for instance in instances {
            self.tell(Event::Closed(instance)).await;
        }
    }

    async fn do_without_client(&mut self, request: Request) {
        let answer = process::run(&self.place, request.commands).await;
        if let Purpose::Opened(instance) = request.purpose {
            match &answer {
                Ok(lines) => note_opened(&self.register, instance, lines),
                Err(TerminalError::NoAnswer) => self.doubtful.push(instance),
                Err(_) => {}
            }
        }
        // Whoever does not wait does not mind.
        let _ = request.answer.send(answer);
    }

    async fn tell(&self, event: Event) {
        // Nobody listens any more when everything ends.
        let _ = self.events.send(event).await;
    }
}
