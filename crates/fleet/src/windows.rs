//! The windows of all instances: each runs its program under a wrapper, what it prints is
//! kept, and how it ended is known.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tracing::warn;

use crate::exit::Exit;
use crate::launch::{Launch, LaunchError, Program};
use crate::output::Output;
use crate::place::Place;
use crate::terminal::{Event, Opening, Size, Terminal, TerminalError};
use provost_store::fleet::InstanceId;

/// Windows of a terminal, their programs and their output.
pub struct Windows<T> {
    terminal: T,
    place: Place,
    wrapper: Vec<OsString>,
    outputs: Arc<Outputs>,
}

/// What is new of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// It ended, with everything it started; nobody knows how when its wrapper was killed.
    Ended(InstanceId, Option<Exit>),
    /// A person looks at it now, and may type.
    Attached(InstanceId),
    /// Nobody looks at it any more.
    Detached(InstanceId),
    /// The terminal itself was ended, and with it all instances: each is told next.
    TerminalGone,
}

/// A program was not started in a window.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The instance has a window.
    #[error("`{0}` runs already")]
    Running(InstanceId),
    /// Its directory cannot be used.
    #[error("the directory of `{instance}` cannot be used")]
    Place {
        /// Whose.
        instance: InstanceId,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// What is to be started could not be written down.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The terminal did not open a window.
    #[error(transparent)]
    Terminal(#[from] TerminalError),
}

/// The outputs that are written to.
#[derive(Default)]
struct Outputs {
    /// A std mutex: held for a look or an exchange, never across an await.
    by_instance: Mutex<HashMap<InstanceId, Arc<Output>>>,
}

/// News that wait to be taken; then the terminal waits.
const NEWS: usize = 256;

// === impl Windows ===

impl<T: Terminal> Windows<T> {
    /// Takes over a terminal, with the windows it has, and whatever it tells.
    ///
    /// `wrapper` is the program, and its first arguments, that takes the path of a launch
    /// file, does what [`Launch`] says, and then says [`farewell`](crate::farewell()). Task
    /// and channel end with `events`. The terminal waits while nobody takes news: whoever
    /// takes them must not wait for the terminal in between.
    pub fn take_over(
        terminal: T,
        events: mpsc::Receiver<Event>,
        place: Place,
        wrapper: Vec<OsString>,
    ) -> (Self, mpsc::Receiver<News>) {
        let outputs = Arc::<Outputs>::default();
        for window in terminal.windows() {
            // Nobody saw what it printed meanwhile.
            if let Some(output) = outputs.open(&place, &window.instance) {
                output.missed();
            }
        }
        let (news, told) = mpsc::channel(NEWS);
        tokio::spawn(listen(events, news, place.clone(), Arc::clone(&outputs)));
        let windows = Self {
            terminal,
            place,
            wrapper,
            outputs,
        };
        (windows, told)
    }

    /// Starts a program in a window of its own. How it ended before is forgotten; what it
    /// printed goes on. Whoever may be cancelled leaves this to a task that is not: half a
    /// start is a name that is taken.
    ///
    /// # Errors
    /// When it could not be started. That the program itself is absent is told later, by
    /// [`Exit::NotStarted`].
    pub async fn start(
        &self,
        instance: &InstanceId,
        program: Program,
        size: Size,
    ) -> Result<(), StartError> {
        if !self.outputs.reserve(&self.place, instance)? {
            return Err(StartError::Running(instance.clone()));
        }
        let started = self.open(instance, program, size).await;
        match &started {
            // It may have been opened; its end is told in any case.
            Ok(()) | Err(StartError::Terminal(TerminalError::NoAnswer)) => {}
            Err(_) => {
                self.outputs.close(instance);
                // There may be secrets in it, and nobody will take it.
                let _ = std::fs::remove_file(self.place.launch(instance));
            }
        }
        started
    }

    async fn open(
        &self,
        instance: &InstanceId,
        program: Program,
        size: Size,
    ) -> Result<(), StartError> {
        let (file, report) = (self.place.launch(instance), self.place.exit(instance));
        match std::fs::remove_file(&report) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                let instance = instance.clone();
                return Err(StartError::Place { instance, source });
            }
            _ => {}
        }
        Launch { program, report }.write(&file)?;
        let mut argv = self.wrapper.clone();
        argv.push(file.into_os_string());
        let argv = &argv;
        let opened = self.terminal.open(Opening {
            instance,
            argv,
            size,
        });
        Ok(opened.await?)
    }

    /// What an instance printed, whether it runs or not.
    ///
    /// # Errors
    /// When there never was such an instance, or its directory cannot be read.
    pub fn output(&self, instance: &InstanceId) -> io::Result<Arc<Output>> {
        if let Some(output) = self.outputs.get(instance) {
            return Ok(output);
        }
        let directory = self.place.output(instance);
        // Asking about an instance that never was leaves no trace.
        std::fs::metadata(&directory)?;
        let output = Output::open(&directory)?;
        output.finish();
        Ok(Arc::new(output))
    }

    /// How an instance ended; `None` while it runs, and when nobody knows.
    #[must_use]
    pub fn exit(&self, instance: &InstanceId) -> Option<Exit> {
        Exit::read(&self.place.exit(instance))
    }

    /// The terminal: keys, sizes, screens, and ends.
    pub fn terminal(&self) -> &T {
        &self.terminal
    }
}

/// Takes in what happens in windows, until there is nobody to tell of it.
async fn listen(
    mut events: mpsc::Receiver<Event>,
    news: mpsc::Sender<News>,
    place: Place,
    outputs: Arc<Outputs>,
) {
    while let Some(event) = events.recv().await {
        let new = match event {
            Event::Output { instance, bytes } => {
                if let Some(output) = outputs.get(&instance)
                    && let Err(error) = output.append(&bytes)
                {
                    warn!(instance.id = %instance, "What `{instance}` prints cannot be kept: {error}");
                }
                continue;
            }
            Event::Missed(instance) => {
                // One that is adopted late is heard of first like this.
                let output = outputs.get(&instance);
                if let Some(output) = output.or_else(|| outputs.open(&place, &instance)) {
                    output.missed();
                }
                continue;
            }
            Event::Closed(instance) => {
                outputs.close(&instance);
                let exit = Exit::read(&place.exit(&instance));
                News::Ended(instance, exit)
            }
            Event::Attached(instance) => News::Attached(instance),
            Event::Detached(instance) => News::Detached(instance),
            Event::ServerGone => News::TerminalGone,
        };
        if news.send(new).await.is_err() {
            return;
        }
    }
}

// === impl Outputs ===

impl Outputs {
    fn get(&self, instance: &InstanceId) -> Option<Arc<Output>> {
        self.lock().get(instance).cloned()
    }

    /// Opens the output of an instance that runs already.
    fn open(&self, place: &Place, instance: &InstanceId) -> Option<Arc<Output>> {
        match Output::open(&place.output(instance)) {
            Ok(output) => {
                let output = Arc::new(output);
                self.lock().insert(instance.clone(), Arc::clone(&output));
                Some(output)
            }
            Err(error) => {
                warn!(instance.id = %instance, "What `{instance}` prints cannot be kept: {error}");
                None
            }
        }
    }

    /// Opens the output of an instance that is to be started; not when it runs.
    fn reserve(&self, place: &Place, instance: &InstanceId) -> Result<bool, StartError> {
        let mut outputs = self.lock();
        if outputs.contains_key(instance) {
            return Ok(false);
        }
        let output = Output::open(&place.output(instance));
        let output = output.map_err(|source| StartError::Place {
            instance: instance.clone(),
            source,
        })?;
        outputs.insert(instance.clone(), Arc::new(output));
        Ok(true)
    }

    fn close(&self, instance: &InstanceId) {
        if let Some(output) = self.lock().remove(instance) {
            output.finish();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<InstanceId, Arc<Output>>> {
        // An entry is there or not; nothing panics in between.
        self.by_instance
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
