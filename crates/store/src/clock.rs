//! The store's clock: a steady line and the wall.
//!
//! The steady line is the boot-time clock plus an offset. The offset is kept,
//! so that within a boot the line goes on through restarts of the process;
//! after a reboot a new one is chosen that never goes before the last entry.
//!
//! It is kept in the database, where anybody who can write the file can change
//! it. So it is only believed as far as the journal bears it out: the line goes
//! no further past the journal's last entry than the wall clock did.

use std::sync::Arc;
use std::time::SystemTime;

use provost_policy::Moment;
use rustix::time::{ClockId, clock_gettime};

/// Tells the time on both lines. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Line>);

#[derive(Debug)]
struct Line {
    boot: String,
    offset: u64,
}

/// This boot of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Boot {
    /// A name no other boot has.
    pub(crate) id: String,
    /// Microseconds since it began, time asleep included.
    pub(crate) micros: u64,
}

/// The line as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptLine {
    /// In which boot.
    pub(crate) boot: String,
    /// What was added to the boot-time clock.
    pub(crate) offset: u64,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const SINCE_BOOT: ClockId = ClockId::Boottime;
// On macOS this one goes on while the machine sleeps.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const SINCE_BOOT: ClockId = ClockId::Monotonic;

// === impl Clock ===

impl Clock {
    /// The time now.
    pub fn now(&self) -> Moment {
        Moment {
            steady: since_boot().saturating_add(self.0.offset),
            wall: wall(),
        }
    }

    /// Goes on with a kept line, or begins a new one. `last` is the latest
    /// moment of an intact entry, and `last_steady` the latest known at all.
    pub(crate) fn resume(
        kept: Option<&KeptLine>,
        boot: &Boot,
        wall: u64,
        last: Option<Moment>,
        last_steady: u64,
    ) -> Self {
        let same_boot = kept.filter(|kept| is_same_boot(&kept.boot, &boot.id));
        let wanted = match same_boot {
            Some(kept) => kept.offset,
            None => wall.saturating_sub(boot.micros),
        };
        let most = last.map_or(u64::MAX, |last| {
            let since = wall.saturating_sub(last.wall);
            let steady = last.steady.saturating_add(since);
            steady.saturating_sub(boot.micros)
        });
        // INVARIANT: never before the last entry. In the same boot this only
        // binds when the data came from elsewhere.
        let least = last_steady.saturating_add(1).saturating_sub(boot.micros);
        let boot = same_boot.map_or(&boot.id, |kept| &kept.boot).clone();
        Self(Arc::new(Line {
            boot,
            offset: wanted.min(most).max(least),
        }))
    }

    /// What to keep of it.
    pub(crate) fn kept(&self) -> KeptLine {
        KeptLine {
            boot: self.0.boot.clone(),
            offset: self.0.offset,
        }
    }

    /// Which boot this is.
    pub(crate) fn boot(&self) -> &str {
        &self.0.boot
    }
}

// === impl Boot ===

impl Boot {
    /// The boot this process runs in.
    pub(crate) fn current() -> Self {
        let micros = since_boot();
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map_or_else(
            // No id: the moment of the boot names it, as well as it can be told.
            |_| format!("~{}", wall().saturating_sub(micros) / 1_000_000),
            |text| text.trim().to_owned(),
        );
        Self { id, micros }
    }
}

/// Moments of a boot told from the wall clock differ by what the clock was
/// set meanwhile; half a minute is taken for the same boot. A larger step
/// begins a new line, which is safe: it never goes back.
fn is_same_boot(kept: &str, current: &str) -> bool {
    let moment = |id: &str| {
        id.strip_prefix('~')
            .and_then(|text| text.parse::<u64>().ok())
    };
    match (moment(kept), moment(current)) {
        (Some(kept), Some(current)) => kept.abs_diff(current) <= 30,
        _ => kept == current,
    }
}

fn since_boot() -> u64 {
    let time = clock_gettime(SINCE_BOOT);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000)
        .saturating_add(nanos / 1_000)
}

/// Unix time in microseconds by the wall clock.
pub(crate) fn wall() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the edge that time comes in at"
    )]
    let now = SystemTime::now();
    now.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
        })
}

#[cfg(test)]
mod tests;
