//! A scratch store and entries to put into it.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use provost_policy::{
    Alignment, Amount, Charge, CounterId, Moment, PolicyRef, RefundRule, RuleId, Text, Window,
};
use provost_store::{
    Actor, CallId, Decision, Entry, Intent, Locations, Outcome, Refused, Status, Store,
};

/// A data and a configuration directory that go away with it.
pub(crate) struct Scratch {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) locations: Locations,
}

pub(crate) fn scratch() -> Scratch {
    // In memory where there is such a place: these tests sync often.
    let memory = Path::new("/dev/shm");
    let directory = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    }
    .unwrap();
    let locations = at(directory.path());
    Scratch {
        directory,
        locations,
    }
}

pub(crate) fn at(directory: &Path) -> Locations {
    Locations {
        data: directory.join("data"),
        config: directory.join("config"),
    }
}

impl Scratch {
    pub(crate) fn open(&self) -> Store {
        Store::open(&self.locations).unwrap()
    }

    /// With segments so small that a few entries fill one.
    pub(crate) fn open_small(&self) -> Store {
        Store::open_with(&self.locations, 4_000).unwrap()
    }

    pub(crate) fn segment(&self, number: u32) -> PathBuf {
        segment(&self.locations, number)
    }

    /// A copy of everything as it is on the disk now: what a crash leaves.
    pub(crate) fn copy(&self) -> Scratch {
        let copy = scratch();
        // Nobody commits while database and log are copied.
        let database = rusqlite::Connection::open(self.locations.data.join("provost.db")).unwrap();
        database
            .busy_timeout(std::time::Duration::from_secs(5))
            .unwrap();
        database.execute_batch("BEGIN IMMEDIATE").unwrap();
        copy_tree(self.directory.path(), copy.directory.path());
        database.execute_batch("ROLLBACK").unwrap();
        copy
    }
}

pub(crate) fn segment(locations: &Locations, number: u32) -> PathBuf {
    locations.data.join(format!("journal/{number:08}.log"))
}

pub(crate) fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &place);
        } else {
            std::fs::copy(entry.path(), place).unwrap();
        }
    }
}

pub(crate) fn admin() -> Actor {
    Actor::new("test")
}

pub(crate) fn counter() -> CounterId {
    CounterId {
        scope: Text::fixed("g-1"),
        server: Text::fixed("s-1"),
        counter: Text::fixed("calls"),
        window: Window::Micros(3_600_000_000),
        alignment: Alignment::Sliding,
    }
}

pub(crate) fn charge(counter: CounterId, amount: u64) -> Charge {
    Charge {
        counter,
        max: Amount::whole(1_000_000),
        amount: Amount::whole(amount),
        refund: RefundRule::NotSent,
        rule: RuleId(Text::fixed("/all_tools/limits/calls")),
        policy: PolicyRef {
            name: Text::fixed("team"),
            version: 3,
            grant: Text::fixed("g-1"),
        },
    }
}

/// An intent that reads its tool, keys and charges from the caller.
pub(crate) fn intent<'a>(
    call: u128,
    at: Moment,
    keys: &'a [Cow<'a, str>],
    charges: &'a [Charge],
) -> Entry<'a> {
    Entry::Intent(Intent {
        call: CallId::new(call),
        at,
        grant: "g-1",
        grant_label: "ci-runner",
        client: None,
        server: "github",
        method: "tools/call",
        tool: Some("create_issue"),
        policy: Some("team"),
        version: Some(3),
        rule: None,
        keys,
        charges,
        shadow: None,
    })
}

pub(crate) fn refused(call: u128, at: Moment) -> Entry<'static> {
    Entry::Refused(Refused {
        call: CallId::new(call),
        at,
        grant: "g-1",
        grant_label: "ci-runner",
        client: None,
        server: "github",
        method: "tools/call",
        tool: Some("delete_repo"),
        policy: Some("team"),
        version: Some(3),
        policy_grant: None,
        rule: "/tools/delete_repo/action",
        keys: &[],
        decision: Decision::Deny,
        message: "not here",
        retry_after_ms: None,
        shadow: None,
    })
}

pub(crate) fn outcome(call: u128, at: Moment) -> Entry<'static> {
    Entry::Outcome(Outcome {
        call: CallId::new(call),
        at,
        status: Status::Ok,
        upstream_status: Some(200),
        latency_us: 1_234,
        refund: &[],
    })
}

/// An intent with one charge of one call.
pub(crate) fn append_intent(store: &Store, call: u128) -> u64 {
    let charges = [charge(counter(), 1)];
    store
        .journal()
        .append(&intent(call, store.clock().now(), &[], &charges))
        .unwrap()
        .number
}

pub(crate) fn append_call(store: &Store, call: u128) {
    append_intent(store, call);
    store
        .journal()
        .append(&outcome(call, store.clock().now()))
        .unwrap();
}

/// How many calls count in the sample counter.
pub(crate) fn used(store: &Store) -> Amount {
    store
        .ledger()
        .unwrap()
        .used(&counter(), store.clock().now())
}

/// A data directory as it was before segments had a format, with the tokens
/// of its grants.
pub(crate) fn of_format_1() -> Scratch {
    let scratch = scratch();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/format-1");
    copy_tree(&kept, scratch.directory.path());
    private(scratch.directory.path());
    scratch
}

/// What the file system of a checkout does not keep.
fn private(directory: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let is_directory = entry.file_type().unwrap().is_dir();
        let mode = if is_directory { 0o700 } else { 0o600 };
        std::fs::set_permissions(entry.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        if is_directory {
            private(&entry.path());
        }
    }
}
