//! Which windows there are, by instance and by pane. Only the control client's reader
//! changes it, in the order in which tmux answers.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::notice::{PaneId, WindowId, pane_of, window_of};
use crate::farewell::Listener;
use crate::terminal::Window;
use provost_store::fleet::InstanceId;

/// All windows of instances.
pub(super) struct Register {
    /// A std mutex: held for a look or an exchange, never across an await.
    windows: Mutex<Windows>,
    /// Changes when a window goes.
    gone: watch::Sender<()>,
}

#[derive(Default)]
struct Windows {
    by_instance: BTreeMap<InstanceId, Entry>,
    by_pane: HashMap<PaneId, InstanceId>,
}

struct Entry {
    place: WindowPlace,
    attached: bool,
    listener: Listener,
}

/// Whose output some bytes are.
pub(super) struct Said {
    pub(super) instance: InstanceId,
    /// The window to close, if they were the last.
    pub(super) ended: Option<WindowId>,
}

/// Where a window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WindowPlace {
    pub(super) window: WindowId,
    pub(super) pane: PaneId,
    /// Its first process.
    pub(super) process: u32,
}

/// What tmux is asked to say of a window, for [`WindowPlace::read`].
pub(super) const FORMAT: &str = "#{window_id} #{pane_id} #{pane_pid} #{@provost-instance}";

// === impl WindowPlace ===

impl WindowPlace {
    /// Reads a line in [`FORMAT`]; the instance is absent for windows of nobody.
    pub(super) fn read(line: &[u8]) -> Option<(Self, Option<InstanceId>)> {
        let mut words = line.split(|byte| *byte == b' ');
        let window = window_of(words.next()?)?;
        let pane = pane_of(words.next()?)?;
        let text = |word| std::str::from_utf8(word).ok();
        let place = Self {
            window,
            pane,
            process: text(words.next()?)?.parse().ok()?,
        };
        let instance = words.next().and_then(text);
        Some((place, instance.and_then(|name| name.parse().ok())))
    }
}

// === impl Register ===

impl Register {
    pub(super) fn new() -> Self {
        Self {
            windows: Mutex::default(),
            gone: watch::Sender::new(()),
        }
    }

    pub(super) fn place(&self, instance: &InstanceId) -> Option<WindowPlace> {
        let windows = self.windows();
        windows.by_instance.get(instance).map(|entry| entry.place)
    }

    pub(super) fn owner(&self, pane: PaneId) -> Option<InstanceId> {
        self.windows().by_pane.get(&pane).cloned()
    }

    /// Takes in what a pane printed.
    pub(super) fn printed(&self, pane: PaneId, bytes: &[u8]) -> Option<Said> {
        let mut windows = self.windows();
        let instance = windows.by_pane.get(&pane)?.clone();
        let entry = windows.by_instance.get_mut(&instance)?;
        let ended = entry.listener.hears(bytes).then_some(entry.place.window);
        Some(Said { instance, ended })
    }

    pub(super) fn list(&self) -> Vec<Window> {
        let windows = self.windows();
        let listed = windows.by_instance.iter().map(|(instance, entry)| Window {
            instance: instance.clone(),
            attached: entry.attached,
        });
        listed.collect()
    }

    pub(super) fn opened(&self, instance: InstanceId, place: WindowPlace) {
        let mut windows = self.windows();
        windows.by_pane.insert(place.pane, instance.clone());
        let entry = Entry {
            place,
            attached: false,
            listener: Listener::new(place.process),
        };
        windows.by_instance.insert(instance, entry);
    }

    /// Takes over which windows tmux has, and returns whose are gone.
    pub(super) fn replace(&self, there: &[(WindowPlace, InstanceId)]) -> Vec<InstanceId> {
        let mut gone = Vec::new();
        let mut windows = self.windows();
        let Windows {
            by_instance,
            by_pane,
        } = &mut *windows;
        by_instance.retain(|instance, entry| {
            let stays = there.iter().any(|(place, _)| *place == entry.place);
            if !stays {
                by_pane.remove(&entry.place.pane);
                gone.push(instance.clone());
            }
            stays
        });
        drop(windows);
        for (place, instance) in there {
            if self.place(instance).is_none() {
                self.opened(instance.clone(), *place);
            }
        }
        if !gone.is_empty() {
            self.gone.send_replace(());
        }
        gone
    }

    /// Takes over at which windows somebody looks, and returns what is new: whose it is, and
    /// whether somebody looks at it now.
    pub(super) fn looked_at(&self, viewed: &[WindowId]) -> Vec<(InstanceId, bool)> {
        let mut changed = Vec::new();
        for (instance, entry) in &mut self.windows().by_instance {
            let attached = viewed.contains(&entry.place.window);
            if std::mem::replace(&mut entry.attached, attached) != attached {
                changed.push((instance.clone(), attached));
            }
        }
        changed
    }

    /// Waits until the window is not there any more.
    pub(super) async fn until_gone(&self, instance: &InstanceId, place: WindowPlace) {
        let mut gone = self.gone.subscribe();
        // The sender is in `self`.
        let _ = gone
            .wait_for(|()| self.place(instance) != Some(place))
            .await;
    }

    fn windows(&self) -> MutexGuard<'_, Windows> {
        // Nothing in the sections panics between two changes that belong together.
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
