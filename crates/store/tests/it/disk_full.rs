//! A disk that is full, for real: the kernel refuses to let files grow.

use provost_store::{NewServer, Store, Transport};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::child;
use crate::harness::{admin, append_intent, charge, counter, intent, scratch};

/// What the child does: its files cannot grow beyond what the shell allowed.
pub(crate) fn fill(store: &Store, say: impl Fn(&str)) {
    let charges = [charge(counter(), 1)];
    let append = |call| {
        store
            .journal()
            .append(&intent(call, store.clock().now(), &[], &charges))
    };
    let mut written = 0;
    let refused = loop {
        match append(written + 1) {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };
    say(&format!("refused after {written}: {refused}"));
    let trouble = store.journal().trouble().map(|error| error.to_string());
    assert_eq!(trouble, Some(refused.to_string()));
    // Several in a row, from several threads: each is refused, none is kept.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert!((0..25).all(|_| append(9_999).is_err())));
        }
    });
    // A change of the control plane is refused as well.
    let server = NewServer {
        name: "github".to_owned(),
        transport: Transport::Http {
            url: "https://mcp.example/mcp".to_owned(),
        },
        headers: Vec::new(),
        query: Vec::new(),
        env: Vec::new(),
        description: None,
    };
    assert!(store.add_server(&admin(), server.clone()).is_err());
    assert!(store.servers().unwrap().is_empty());
    let limit = getrlimit(Resource::Fsize);
    setrlimit(
        Resource::Fsize,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    )
    .unwrap();
    append(written + 1).unwrap();
    append(written + 2).unwrap();
    assert!(store.journal().trouble().is_none());
    store.add_server(&admin(), server).unwrap();
    say(&format!("wrote {}", written + 2));
}

/// Negative test 104: what cannot be recorded is refused; nothing
/// half-written stays; writing works again when there is room.
#[test]
fn l104_a_full_disk_refuses_and_heals() {
    let scratch = scratch();
    // The schema first: this is about the journal.
    scratch.open().close();
    // 512-byte blocks; a signal that nobody ignores would end the child.
    let shell = "trap '' XFSZ; ulimit -S -f 200; exec \"$0\" \"$@\"";
    let mut process = child::start("fill", scratch.directory.path(), Some(shell));
    let said = process.line().unwrap();
    assert!(
        said.contains("the journal cannot be written: File too large"),
        "{said}"
    );
    let written = process.line().unwrap();
    let count: usize = written.strip_prefix("wrote ").unwrap().parse().unwrap();
    process.kill();

    let store = scratch.open();
    assert_eq!(store.report().torn_bytes, 0);
    assert_eq!(store.report().damage, []);
    let verified = store.audit_verify(None).unwrap();
    assert!(verified.intact(), "{:?}", verified.damage);
    let records = store.records(&Default::default()).unwrap();
    assert_eq!(records.len(), count);
    assert_eq!(store.servers().unwrap().len(), 1);
    assert!(records.iter().all(|record| record.call.number() != 9_999));
    append_intent(&store, 1);
}
