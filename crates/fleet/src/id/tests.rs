use std::collections::HashSet;

use provost_store::GrantId;
use provost_store::fleet::{Admitted, NewInstance, Workspace};

use super::*;

#[test]
fn s01_role_and_lineage_can_be_read_in_an_id() {
    let id = |role, above: &[u64], number| instance_id(role, above, number).unwrap().to_string();
    assert_eq!(id(Role::Executive, &[], 1), "exec_1");
    assert_eq!(id(Role::Manager, &[1], 2), "mgr_1_2");
    assert_eq!(id(Role::Specialist, &[1, 2], 3), "spec_1_2_3");
    // Directly below a person, and directly below an executive.
    assert_eq!(id(Role::Specialist, &[], 4), "spec_4");
    assert_eq!(id(Role::Specialist, &[1], 5), "spec_1_5");
}

#[test]
fn an_id_that_would_be_too_long_is_refused() {
    assert!(instance_id(Role::Specialist, &[u64::MAX; 2], u64::MAX).is_err());
}

#[test]
fn s01_ten_thousand_ids_made_at_once_are_distinct_and_outlive_a_restart() {
    const EACH: usize = 1_250;
    let directory = tempfile::tempdir().unwrap();
    let locations = provost_store::Locations {
        data: directory.path().join("data"),
        config: directory.path().join("config"),
    };
    // In trees of a size that the limits allow.
    let new = |tree: usize| NewInstance {
        role: Role::Executive,
        parent: None,
        root: GrantId(format!("g-{tree}").into()),
        agent: "command".into(),
        work_dir: "/p".into(),
        context: String::new(),
        workspace: Workspace::Isolated,
    };
    let make = |store: &provost_store::Store, tree| {
        let made = store.fleet().create(&new(tree), 1, 0, |standing| {
            let id = instance_id(Role::Executive, &standing.above, standing.number)?;
            let project = format!("/p/{id}");
            Ok::<_, NoInstanceId>(Admitted { id, project })
        });
        made.unwrap().unwrap().id.to_string()
    };
    let store = provost_store::Store::open(&locations).unwrap();
    let all = |thread| {
        let numbers = thread * EACH..(thread + 1) * EACH;
        numbers
            .map(|number| make(&store, number / 50))
            .collect::<Vec<_>>()
    };
    let mut ids: HashSet<String> = std::thread::scope(|scope| {
        let all = &all;
        let threads: Vec<_> = (0..8)
            .map(|thread| scope.spawn(move || all(thread)))
            .collect();
        threads
            .into_iter()
            .flat_map(|it| it.join().unwrap())
            .collect()
    });
    assert_eq!(ids.len(), 10_000);
    assert!(
        ids.iter()
            .all(|id| id.starts_with("exec_") && !id.contains("undefined"))
    );
    store.close();
    let store = provost_store::Store::open(&locations).unwrap();
    assert!(ids.insert(make(&store, 0)));
}
