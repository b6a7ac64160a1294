//! Every administrative act leaves an entry with its actor.

use provost_store::{
    Act, Actor, Attachment, Deletion, Filter, NewGrant, NewServer, ServerChange, Store, Transport,
    Trust, WithKey, restore,
};
use rusqlite::Connection;

use crate::harness::{Scratch, append_call, at, scratch};

const POLICY: &str = r#"{"version":"1","default":"deny","tools":{"list":{}}}"#;
const OTHER: &str = r#"{"version":"1","default":"allow"}"#;
const DAY: i64 = 24 * 3_600 * 1_000_000;

fn furnisher() -> Actor {
    Actor::new("furnisher")
}

fn server(name: &str) -> NewServer {
    NewServer {
        name: name.to_owned(),
        transport: Transport::Http {
            url: "https://mcp.example/mcp".to_owned(),
        },
        headers: Vec::new(),
        query: Vec::new(),
        env: Vec::new(),
        description: None,
    }
}

fn grant(label: &str) -> NewGrant {
    NewGrant {
        server: "github".to_owned(),
        label: label.to_owned(),
        attachment: Attachment {
            policy: Some("team".to_owned()),
            shadow: None,
        },
        ..NewGrant::default()
    }
}

fn furnished() -> (Scratch, Store) {
    let scratch = scratch();
    let store = scratch.open_small();
    store.add_server(&furnisher(), server("github")).unwrap();
    for text in [POLICY, OTHER] {
        store
            .put_policy(&furnisher(), "github", "team", text, None)
            .unwrap();
    }
    store.mint_grant(&furnisher(), grant("ci")).unwrap();
    for call in 1..=30 {
        append_call(&store, call);
    }
    (scratch, store)
}

/// Lets time pass for rows of the database.
fn age(store: &Store, sql: &str, days: i64) {
    let database = Connection::open(store.locations().data.join("provost.db")).unwrap();
    assert!(database.execute(sql, [days * DAY]).unwrap() > 0, "{sql}");
}

/// Does one act as somebody; returns the store that has its entry.
fn perform(act: Act, who: &Actor, scratch: &Scratch, store: Store) -> Store {
    let ci = store.find_grant(Some("github"), "ci").unwrap().id.clone();
    let archive = scratch.directory.path().join("backup.tar");
    match act {
        Act::ServerAdd => drop(store.add_server(who, server("other")).unwrap()),
        Act::ServerSet => {
            let change = ServerChange {
                description: Some(Some("ours".to_owned())),
                ..ServerChange::default()
            };
            store.set_server(who, "github", change).unwrap();
        }
        Act::ServerRemove => drop(store.remove_server(who, "github").unwrap()),
        Act::PolicyPut => drop(store.put_policy(who, "github", "new", OTHER, None).unwrap()),
        Act::PolicyRollback => drop(store.rollback_policy(who, "github", "team", 1).unwrap()),
        Act::PolicyDelete => store
            .delete_policy(who, "github", "team", Deletion::EvenIfUsed)
            .unwrap(),
        Act::GrantMint => drop(store.mint_grant(who, grant("new")).unwrap()),
        Act::GrantRotate => drop(store.rotate_grant(who, &ci).unwrap()),
        Act::GrantReveal => drop(store.reveal_grant(who, &ci).unwrap()),
        Act::GrantRevoke => drop(store.revoke_grant(who, &ci).unwrap()),
        Act::GrantAttach => drop(
            store
                .attach_policy(who, &ci, Attachment::default())
                .unwrap(),
        ),
        Act::GrantExpire => {
            let end = store.clock().now().wall + 1_000_000;
            store.expire_grant(who, &ci, Some(end)).unwrap();
        }
        Act::GrantPurge => {
            store.revoke_grant(&furnisher(), &ci).unwrap();
            age(&store, "UPDATE grants SET revoked = revoked - ?1", 91);
            assert_eq!(store.purge_grants(who).unwrap(), 1);
        }
        Act::RunClear => {
            store.note_run(&store.server("github").unwrap().id).unwrap();
            age(&store, "UPDATE runs SET used = used - ?1", 32);
            assert_eq!(store.clear_runs(who, &[]).unwrap(), ["github"]);
        }
        Act::KeyRotate => drop(store.rotate_key(who).unwrap()),
        Act::AuditPrune => assert!(store.prune(who, u64::MAX).unwrap().segments > 0),
        Act::Backup => drop(store.backup(who, &archive, WithKey::No).unwrap()),
        Act::BackupWithKey => drop(store.backup(who, &archive, WithKey::Yes).unwrap()),
        Act::Restore => {
            store.backup(&furnisher(), &archive, WithKey::No).unwrap();
            let mut places = at(&scratch.directory.path().join("elsewhere"));
            places.config = scratch.locations.config.clone();
            restore(who, &archive, &places, Trust::Verified).unwrap();
            return Store::open(&places).unwrap();
        }
        // The daemon's own: it records them like this. That it does is tried where it lives.
        Act::DaemonListen | Act::DaemonEnd => {
            store.record_act(who, act, "process 1", None).unwrap();
        }
        // By the program itself, see `schema` and `format`.
        Act::DatabaseUpdate | Act::JournalFormat => {}
    }
    store
}

#[test]
fn d10_every_act_leaves_an_entry_with_its_actor() {
    let who = Actor::new("somebody");
    for act in Act::ALL {
        if matches!(act, Act::DatabaseUpdate | Act::JournalFormat) {
            continue;
        }
        let (scratch, store) = furnished();
        let store = perform(act, &who, &scratch, store);
        store.records(&Filter::default()).unwrap();
        let database = Connection::open(store.locations().data.join("provost.db")).unwrap();
        let found: Vec<String> = database
            .prepare("SELECT what FROM acts WHERE who = 'somebody'")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(found, [act.name()], "{act:?}");
    }
}

#[test]
fn d10_the_names_of_acts_are_all_different() {
    let mut names: Vec<_> = Act::ALL.iter().map(|act| act.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Act::ALL.len());
}

#[test]
fn d16_only_runs_that_are_as_they_were_made_are_cleared() {
    let (_scratch, store) = furnished();
    let old = |name: &str| {
        store.add_server(&furnisher(), server(name)).unwrap();
        store
            .put_policy(&furnisher(), name, "team", POLICY, None)
            .unwrap();
        let wish = NewGrant {
            server: name.to_owned(),
            ..grant("run")
        };
        let grant = store.mint_grant(&furnisher(), wish).unwrap().grant;
        store.note_run(&grant.server).unwrap();
        grant
    };
    let (revoked, detached, shadowed) = (old("revoked"), old("detached"), old("shadowed"));
    let (connected, _unused, fresh) = (old("connected"), old("unused"), old("fresh"));
    let second = NewGrant {
        server: "second".to_owned(),
        ..grant("mine")
    };
    old("second");
    store.mint_grant(&furnisher(), second).unwrap();
    store.revoke_grant(&furnisher(), &revoked.id).unwrap();
    let bare = Attachment::default();
    store
        .attach_policy(&furnisher(), &detached.id, bare)
        .unwrap();
    let watched = Attachment {
        policy: Some("team".to_owned()),
        shadow: Some("team".to_owned()),
    };
    store
        .attach_policy(&furnisher(), &shadowed.id, watched)
        .unwrap();
    age(&store, "UPDATE runs SET used = used - ?1", 32);
    store.note_run(&fresh.server).unwrap();

    let cleared = store.clear_runs(&furnisher(), std::slice::from_ref(&connected.server));
    assert_eq!(cleared.unwrap(), ["unused"]);
    assert_eq!(
        store
            .clear_runs(&furnisher(), std::slice::from_ref(&connected.server))
            .unwrap(),
        Vec::<String>::new()
    );
    // Nor is a revoked run forgotten with the grants that were revoked long ago.
    age(
        &store,
        "UPDATE grants SET revoked = revoked - ?1 WHERE revoked IS NOT NULL",
        91,
    );
    store.purge_grants(&furnisher()).unwrap();
    let left = store.grants(Some("revoked")).unwrap();
    assert!(left.iter().any(|view| view.revoked.is_some()));
}
