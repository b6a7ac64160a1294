//! A terminal without windows on any screen: remembers what it was told, and tells what the
//! test wants.

use provost_fleet::{Event, Input, InstanceId, Opening, Size, Terminal, TerminalError, Window};
use std::ffi::OsString;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// A terminal whose windows do what the test says. Clones are the same terminal.
#[derive(Clone)]
pub struct FakeTerminal {
    inner: Arc<Mutex<Inner>>,
    events: mpsc::Sender<Event>,
}

struct Inner {
    windows: Vec<InstanceId>,
    opened: Vec<Vec<OsString>>,
    entered: Vec<(InstanceId, String)>,
    screen: Vec<String>,
    refusal: Option<TerminalError>,
}

impl FakeTerminal {
    /// A terminal that has these windows already, and what happens in it.
    pub fn with(windows: &[InstanceId]) -> (FakeTerminal, mpsc::Receiver<Event>) {
        let (events, told) = mpsc::channel(64);
        let inner = Inner {
            windows: windows.to_vec(),
            opened: Vec::new(),
            entered: Vec::new(),
            screen: Vec::new(),
            refusal: None,
        };
        let inner = Arc::new(Mutex::new(inner));
        (FakeTerminal { inner, events }, told)
    }

    /// Lets something happen.
    pub async fn happen(&self, event: Event) {
        if let Event::Closed(instance) = &event {
            self.lock().windows.retain(|other| other != instance);
        }
        self.events.send(event).await.expect("somebody listens");
    }

    /// Has the next window, or what is entered next, refused.
    pub fn refuse_next(&self, error: TerminalError) {
        self.lock().refusal = Some(error);
    }

    /// What windows show from now on.
    pub fn show(&self, lines: &[&str]) {
        self.lock().screen = lines.iter().map(|&line| line.to_owned()).collect();
    }

    /// The commands of all windows that were opened.
    pub fn opened(&self) -> Vec<Vec<OsString>> {
        self.lock().opened.clone()
    }

    /// What was entered, and where; keys by their names.
    pub fn entered(&self) -> Vec<(InstanceId, String)> {
        self.lock().entered.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("no test panics in here")
    }

    fn known(&self, instance: &InstanceId) -> Result<(), TerminalError> {
        match self.lock().windows.contains(instance) {
            true => Ok(()),
            false => Err(TerminalError::NoWindow(instance.clone())),
        }
    }
}

impl Terminal for FakeTerminal {
    async fn open(&self, opening: Opening<'_>) -> Result<(), TerminalError> {
        let mut inner = self.lock();
        if let Some(error) = inner.refusal.take() {
            return Err(error);
        }
        inner.windows.push(opening.instance.clone());
        inner.opened.push(opening.argv.to_vec());
        Ok(())
    }

    async fn enter(&self, instance: &InstanceId, input: Input<'_>) -> Result<(), TerminalError> {
        self.known(instance)?;
        let text = match input {
            Input::Text(text) | Input::Paste(text) => text.as_str().to_owned(),
            Input::Key(key) => format!("<{key:?}>"),
        };
        let mut inner = self.lock();
        if let Some(error) = inner.refusal.take() {
            return Err(error);
        }
        inner.entered.push((instance.clone(), text));
        Ok(())
    }

    async fn resize(&self, instance: &InstanceId, _size: Size) -> Result<(), TerminalError> {
        self.known(instance)
    }

    async fn screen(&self, instance: &InstanceId) -> Result<Vec<String>, TerminalError> {
        self.known(instance)?;
        Ok(self.lock().screen.clone())
    }

    async fn close(&self, instance: &InstanceId) -> Result<(), TerminalError> {
        self.known(instance)?;
        self.happen(Event::Closed(instance.clone())).await;
        Ok(())
    }

    fn windows(&self) -> Vec<Window> {
        let inner = self.lock();
        let windows = inner.windows.iter().map(|instance| Window {
            instance: instance.clone(),
            attached: false,
        });
        windows.collect()
    }

    fn attaching(&self, instance: &InstanceId) -> Result<Vec<OsString>, TerminalError> {
        self.known(instance)?;
        Ok(vec!["true".into()])
    }
}
