use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::host::budget::{Bounds, Budget};
use provost_store::{CallId, GrantId, Locations, ServerId, Store};
use tempfile::TempDir;

/// One edition of everything, or (zero) nothing.
struct Edition(AtomicU64);

impl InForce for Edition {
    fn edition(&self, _: &Text) -> Option<u64> {
        Some(self.0.load(Ordering::SeqCst)).filter(|edition| *edition > 0)
    }
}

fn text(text: &str) -> Text {
    Text::from(text.to_owned())
}

fn principal() -> Arc<Principal> {
    let budget = Budget::new(Bounds::small(1 << 20));
    Arc::new(Principal {
        grant: GrantId(text("g")),
        label: text("agent"),
        server: ServerId(text("s")),
        server_name: text("server"),
        counts: Arc::default(),
        account: budget.grant(&text("g")),
        server_account: budget.server(&text("s")),
        ended: Default::default(),
    })
}

fn store() -> (TempDir, Store) {
    let scratch = tempfile::tempdir().unwrap();
    let store = Store::open(&Locations {
        data: scratch.path().join("data"),
        config: scratch.path().join("config"),
    });
    (scratch, store.unwrap())
}

fn clear(store: &Store, judged_on: JudgedOn) -> Result<Cleared<Outgoing>, JournalError> {
    let intent = Intent {
        call: CallId::new(1),
        at: store.clock().now(),
        grant: "g",
        grant_label: "agent",
        client: None,
        server: "server",
        method: "tools/call",
        tool: Some("echo"),
        policy: None,
        version: None,
        rule: None,
        keys: &[],
        charges: &[],
        shadow: None,
    };
    let message = Outgoing::own("1", "tools/call", "{}").unwrap();
    Cleared::by_intent(&store.journal(), intent, None, judged_on, message)
}

#[test]
fn a_cleared_message_cannot_be_copied() {
    trait IfCopied<A> {
        fn is_fine() {}
    }
    impl<T> IfCopied<()> for T {}
    impl<T: Clone> IfCopied<u8> for T {}
    // Ambiguous, and so no code, for anything that can be.
    <Cleared<Outgoing> as IfCopied<_>>::is_fine();
    <Permit as IfCopied<_>>::is_fine();
    <JudgedOn as IfCopied<_>>::is_fine();
}

#[test]
fn what_cannot_be_recorded_is_not_cleared() {
    let (_scratch, store) = store();
    let in_force = Arc::new(Edition(AtomicU64::new(1)));
    let judged_on = || JudgedOn::new(in_force.clone(), principal(), 1);
    assert!(clear(&store, judged_on()).is_ok());
    store.close();
    assert!(clear(&store, judged_on()).is_err());
}

#[test]
fn a_permit_stands_as_long_as_what_it_was_given_on() {
    let (_scratch, store) = store();
    let (in_force, principal) = (Arc::new(Edition(AtomicU64::new(1))), principal());
    let judged_on = JudgedOn::new(in_force.clone(), Arc::clone(&principal), 1);
    let cleared = clear(&store, judged_on).unwrap();
    let account = &principal.account;
    let line = cleared.numbered(7, account);
    for (edition, stands) in [(1, true), (2, false), (0, false), (1, true)] {
        in_force.0.store(edition, Ordering::SeqCst);
        assert_eq!(line.sending().body().is_ok(), stands, "{edition}");
    }
    principal.ended.cancel();
    assert_eq!(line.sending().body(), Err(Fault::outdated()));
}
