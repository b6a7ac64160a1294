//! Other processes: this test binary, started again with a task.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use provost_store::Store;

use crate::harness::{append_intent, at, charge, counter, intent, outcome};

const TASK: &str = "PROVOST_TEST_TASK";
const PLACE: &str = "PROVOST_TEST_PLACE";

/// A child that does `task` on the store in `directory`.
pub(crate) struct Process {
    child: Child,
    out: BufReader<ChildStdout>,
}

/// Starts this binary again with one task, perhaps through a shell that sets
/// limits first (`exec "$0" "$@"` at its end).
pub(crate) fn start(task: &str, directory: &Path, shell: Option<&str>) -> Process {
    let program = std::env::current_exe().unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "a real second process is what is tested"
    )]
    let mut command = match shell {
        None => Command::new(&program),
        Some(script) => {
            let mut command = Command::new("sh");
            command.arg("-c").arg(script).arg(&program);
            command
        }
    };
    let mut child = command
        .args(["--exact", "child::works_on_its_task", "--nocapture"])
        .env(TASK, task)
        .env(PLACE, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    Process { child, out }
}

impl Process {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line the task said; `None` when it ended.
    pub(crate) fn line(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.out.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            // The test harness of the child talks, too. Its line may have no end.
            if let Some(said) = line.split("say: ").nth(1).filter(|_| line.ends_with('\n')) {
                return Some(said.trim_end().to_owned());
            }
        }
    }

    /// `kill -9`, then whatever it had said.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::iter::from_fn(|| self.line()).collect()
    }
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    // The parent may be gone.
    let _ = out.write_all(format!("say: {text}\n").as_bytes());
    let _ = out.flush();
}

/// Not a test of its own: the body of every child.
#[test]
#[expect(clippy::disallowed_methods, reason = "the parent names the task")]
fn works_on_its_task() {
    let Ok(task) = std::env::var(TASK) else {
        return;
    };
    let directory = std::env::var(PLACE).unwrap();
    let store = match Store::open(&at(Path::new(&directory))) {
        Ok(store) => store,
        Err(error) => {
            say(&format!("refused: {error}"));
            return;
        }
    };
    match task.as_str() {
        "open" => say("opened"),
        "hold" => {
            say("opened");
            wait_for_ever();
        }
        "append forever" => append_forever(&store),
        "append five" => {
            for call in 1..=5 {
                append_intent(&store, call);
            }
            say("appended");
            wait_for_ever();
        }
        "fill a mailbox" => crate::fleet::fill_a_mailbox(&store, say),
        "fill" => crate::disk_full::fill(&store, say),
        other => panic!("no task `{other}`"),
    }
}

fn append_forever(store: &Store) {
    let charges = [charge(counter(), 1)];
    std::thread::scope(|scope| {
        for thread in 0..2_u128 {
            let charges = &charges;
            scope.spawn(move || {
                for call in 1.. {
                    let id = thread << 64 | call;
                    let number = store
                        .journal()
                        .append(&intent(id, store.clock().now(), &[], charges))
                        .unwrap()
                        .number;
                    say(&format!("{number} {id}"));
                    if call % 2 == 0 {
                        store
                            .journal()
                            .append(&outcome(id, store.clock().now()))
                            .unwrap();
                    }
                }
            });
        }
    });
}

fn wait_for_ever() {
    loop {
        std::thread::park();
    }
}
