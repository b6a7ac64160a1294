//! What this process logs, as a terminal would get it.

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};

/// Everything that was logged since the first call of [`start`].
#[derive(Clone)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

/// Starts to listen; call it before the gateway starts.
pub(crate) fn start() -> Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    let start = || {
        let log = Log(Arc::default());
        let writer = log.clone();
        tracing_subscriber::fmt()
            .with_env_filter("provost_gateway=trace,provost_store=trace,provost_policy=trace")
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .init();
        log
    };
    LOG.get_or_init(start).clone()
}

// === impl Log ===

impl Log {
    /// All lines so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
