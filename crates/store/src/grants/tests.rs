use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::{Locations, NewServer, Transport};

/// A store with so many servers, each with so many grants.
fn filled(data: &std::path::Path, servers: usize, grants: usize) -> Store {
    let store = Store::open(&Locations {
        data: data.join("data"),
        config: data.join("config"),
    })
    .unwrap();
    let who = Actor::new("test");
    for server in 0..servers {
        let name = format!("server-{server}");
        let new = NewServer {
            name: name.clone(),
            transport: Transport::Http {
                url: "http://127.0.0.1:9/mcp".to_owned(),
            },
            headers: Vec::new(),
            query: Vec::new(),
            env: Vec::new(),
            description: None,
        };
        store.add_server(&who, new).unwrap();
        store
            .put_policy(
                &who,
                &name,
                "team",
                r#"{"version":"1","default":"allow"}"#,
                None,
            )
            .unwrap();
        for grant in 0..grants {
            mint(&store, &name, &format!("grant-{server}-{grant}"));
        }
    }
    store
}

fn mint(store: &Store, server: &str, label: &str) -> Arc<Grant> {
    let new = NewGrant {
        server: server.to_owned(),
        label: label.to_owned(),
        ..NewGrant::default()
    };
    store.mint_grant(&Actor::new("test"), new).unwrap().grant
}

/// What SQLite does for a grant's life: for being minted, found, attached and revoked.
fn work(store: &Store, label: &str) -> [u64; 4] {
    let who = Actor::new("test");
    let steps = Arc::new(AtomicU64::new(0));
    let count = || {
        let steps = Arc::clone(&steps);
        move || {
            steps.fetch_add(1, Ordering::Relaxed);
            false
        }
    };
    let database = &store.0.database;
    database
        .writing()
        .progress_handler(1, Some(count()))
        .unwrap();
    database
        .reading()
        .progress_handler(1, Some(count()))
        .unwrap();
    let taken = || steps.swap(0, Ordering::Relaxed);
    let id = mint(store, "server-0", label).id.clone();
    let minted = taken();
    assert_eq!(store.find_grant(None, label).unwrap().id, id);
    let found = taken();
    let attachment = Attachment {
        policy: Some("team".to_owned()),
        shadow: None,
    };
    store.attach_policy(&who, &id, attachment).unwrap();
    let attached = taken();
    store.revoke_grant(&who, &id).unwrap();
    [minted, found, attached, taken()]
}

#[test]
fn a_grants_life_costs_the_same_however_many_grants_and_servers_there_are() {
    let scratch = tempfile::tempdir().unwrap();
    let [few, many] = [(1, 1), (40, 5)].map(|(servers, grants)| {
        let place = scratch.path().join(servers.to_string());
        let store = filled(&place, servers, grants);
        // The first time prepares statements, and the thread that folds may come between.
        let times = ["a", "b", "c", "d", "e"].map(|label| work(&store, label));
        [0, 1, 2, 3].map(|act| times.iter().map(|steps| steps[act]).min().unwrap())
    });
    // A look at each of the others would be 39 steps at least; random ids sort in a few more or less.
    let is_same = |(few, many): (&u64, &u64)| *few > 0 && few.abs_diff(*many) < 20;
    assert!(few.iter().zip(&many).all(is_same), "{few:?} {many:?}");
}
