use super::*;

#[test]
fn an_instance_is_what_was_made_also_when_it_is_opened_again() {
    let mut scratch = scratch();
    scratch.fleet.make_four();
    let made = scratch.fleet.instance(&id("i_4")).unwrap().unwrap();
    assert_eq!((made.number, made.lineage.as_slice()), (4, &[1, 2, 4][..]));
    assert_eq!(made.parent, Some(id("i_2")));
    assert_eq!(
        (made.role, made.state),
        (Role::Specialist, InstanceState::Starting)
    );
    assert_eq!((made.project.as_str(), made.depth()), ("/p/i_4", 3));
    scratch.fleet.set_grant(&made.id, &grant("g-4")).unwrap();
    scratch.reopen();
    let found = scratch.fleet.instance_of(&grant("g-4")).unwrap().unwrap();
    assert_eq!(
        found,
        Instance {
            grant: Some(grant("g-4")),
            ..made
        }
    );
    assert_eq!(scratch.fleet.context(&id("i_4")).unwrap(), "do it");
    assert_eq!(scratch.fleet.make(&new(Role::Executive, None)).number, 5);
}

#[test]
fn s18_an_empty_fleet_lists_nothing() {
    let scratch = scratch();
    assert!(scratch.fleet.listed(Whose::Everybody).is_empty());
    assert!(
        scratch
            .fleet
            .listed(Whose::Person(&grant("g-1")))
            .is_empty()
    );
}

#[test]
fn s10_a_list_has_exactly_the_children_and_exactly_the_role() {
    let scratch = scratch();
    let fleet = &scratch.fleet;
    fleet.make_four();
    fleet.make(&NewInstance {
        root: grant("g-2"),
        ..new(Role::Executive, None)
    });
    assert_eq!(
        fleet.listed(Whose::Everybody),
        ["i_1", "i_2", "i_3", "i_4", "i_5"]
    );
    assert_eq!(
        fleet.listed(Whose::Person(&grant("g-1"))),
        ["i_1", "i_2", "i_3", "i_4"]
    );
    assert_eq!(
        fleet.listed(Whose::Below(&id("i_1"))),
        ["i_2", "i_3", "i_4"]
    );
    assert_eq!(fleet.listed(Whose::Below(&id("i_2"))), ["i_4"]);
    let children = Listing {
        parent: Some(&id("i_1")),
        ..Listing::default()
    };
    assert_eq!(fleet.chosen(Whose::Everybody, children), ["i_2", "i_3"]);
    let managers = Listing {
        role: Some(Role::Manager),
        ..Listing::default()
    };
    assert_eq!(
        fleet.chosen(Whose::Below(&id("i_1")), managers),
        ["i_2", "i_3"]
    );
}

#[test]
fn a_number_that_begins_like_another_is_not_below_it() {
    let scratch = scratch();
    let fleet = &scratch.fleet;
    for _ in 1..=12 {
        fleet.make(&new(Role::Executive, None));
    }
    fleet.make(&new(Role::Manager, Some("i_1")));
    fleet.make(&new(Role::Manager, Some("i_12")));
    assert_eq!(fleet.listed(Whose::Below(&id("i_1"))), ["i_13"]);
    assert_eq!(fleet.listed(Whose::Below(&id("i_12"))), ["i_14"]);
    assert!(!fleet.is_below(&id("i_14"), &id("i_1")).unwrap());
    assert!(fleet.is_below(&id("i_14"), &id("i_12")).unwrap());
    assert!(!fleet.is_below(&id("i_12"), &id("i_12")).unwrap());
    assert!(!fleet.is_below(&id("nobody"), &id("i_12")).unwrap());
}

#[test]
fn what_is_refused_leaves_no_trace() {
    let scratch = scratch();
    let fleet = &scratch.fleet;
    let refused = fleet.create(&new(Role::Executive, None), NOW, 0, |_| {
        Err::<Admitted, _>("no")
    });
    assert_eq!(refused.unwrap(), Err("no"));
    let foreign = NewInstance {
        root: grant("g-2"),
        ..new(Role::Manager, Some("i_1"))
    };
    assert_eq!(fleet.make(&new(Role::Executive, None)).number, 1);
    let error = fleet.create(&foreign, NOW, 0, admit).unwrap_err();
    assert_eq!(error.to_string(), "there is no instance `i_1`");
    let error = fleet
        .create(&new(Role::Manager, Some("i_9")), NOW, 0, admit)
        .unwrap_err();
    assert_eq!(error.to_string(), "there is no instance `i_9`");
    let end = ended("killed");
    fleet.end_instance(&id("i_1"), End::Dead, &end).unwrap();
    let below = new(Role::Manager, Some("i_1"));
    let error = fleet.create(&below, NOW, 0, admit).unwrap_err();
    assert_eq!(error.to_string(), "`i_1` is dead, not running");
    assert_eq!(fleet.listed(Whose::Everybody), ["i_1"]);
}

#[test]
fn a_standing_counts_siblings_the_living_the_recent_and_all() {
    let scratch = scratch();
    let fleet = &scratch.fleet;
    fleet.make_four();
    fleet.terminate(&id("i_3")).unwrap();
    fleet
        .end_instance(&id("i_4"), End::Dead, &ended("killed"))
        .unwrap();
    let mut seen = None;
    let later = NOW + MINUTE;
    fleet
        .create(&new(Role::Manager, Some("i_1")), later, NOW, |standing| {
            seen = Some(standing.clone());
            admit(standing)
        })
        .unwrap()
        .unwrap();
    let seen = seen.unwrap();
    assert_eq!(
        (seen.number, seen.above.as_slice(), seen.depth()),
        (5, &[1][..], 2)
    );
    // One manager is gone, and nothing is newer than the window's begin.
    assert_eq!(seen.siblings, 1);
    let tree = Subtree {
        top: None,
        living: 2,
        recent: 0,
        made: 4,
        spent: Spent::default(),
    };
    let below = Subtree {
        top: Some(id("i_1")),
        living: 1,
        recent: 0,
        made: 3,
        spent: Spent::default(),
    };
    assert_eq!(seen.subtrees, [tree, below]);
    fleet
        .create(
            &new(Role::Specialist, Some("i_2")),
            later,
            NOW,
            |standing| {
                let recent: Vec<u64> = standing.subtrees.iter().map(|it| it.recent).collect();
                let made: Vec<u64> = standing.subtrees.iter().map(|it| it.made).collect();
                assert_eq!((recent, made), (vec![1, 1, 0], vec![5, 4, 1]));
                admit(standing)
            },
        )
        .unwrap()
        .unwrap();
}

#[test]
fn s19_a_branch_is_taken_down_from_its_leaves_and_its_lists_fall_by_as_many() {
    let scratch = scratch();
    let fleet = &scratch.fleet;
    fleet.make_four();
    fleet.make(&new(Role::Executive, None));
    let branch: Vec<InstanceId> = fleet
        .branch(&id("i_1"))
        .unwrap()
        .into_iter()
        .map(|it| it.id)
        .collect();
    assert_eq!(branch, ["i_3", "i_4", "i_2", "i_1"].map(id));
    fleet.terminate(&id("i_4")).unwrap();
    let children = Listing {
        parent: Some(&id("i_2")),
        ..Listing::default()
    };
    assert!(fleet.chosen(Whose::Everybody, children).is_empty());
    for id in branch.iter().filter(|it| it.as_str() != "i_4") {
        fleet.terminate(id).unwrap();
    }
    assert_eq!(fleet.listed(Whose::Everybody), ["i_5"]);
    assert_eq!(fleet.listed(Whose::Below(&id("i_1"))), Vec::<String>::new());
}

#[test]
fn s20_who_was_terminated_is_not_found_but_remembered() {
    let scratch = scratch();
    let fleet = &scratch.fleet;
    fleet.make_four();
    fleet.terminate(&id("i_4")).unwrap();
    let again = fleet.terminate(&id("i_4")).unwrap_err();
    assert_eq!(again.to_string(), "there is no instance `i_4`");
    let known = fleet.instance(&id("i_4")).unwrap().unwrap();
    assert_eq!(known.state, InstanceState::Terminated);
    assert_eq!(known.ended, Some(ended("terminated")));
}

#[test]
fn a_state_changes_only_from_the_one_that_is_named() {
    use InstanceState::{Busy, Exited, Ready, Starting, Terminated};
    let scratch = scratch();
    let fleet = &scratch.fleet;
    let it = fleet.make(&new(Role::Executive, None)).id;
    let ready = fleet.move_instance(&it, Starting, Ready, NOW + 1).unwrap();
    assert_eq!((ready.state, ready.started), (Ready, Some(NOW + 1)));
    let busy = fleet.move_instance(&it, Ready, Busy, NOW + 2).unwrap();
    assert_eq!((busy.state, busy.started), (Busy, Some(NOW + 1)));
    let error = fleet.move_instance(&it, Ready, Busy, NOW + 3).unwrap_err();
    assert_eq!(error.to_string(), "`i_1` is busy, not ready");
    assert!(fleet.move_instance(&it, Busy, Exited, NOW + 3).is_err());
    let end = Ended {
        exit: Some(Exit::Code(3)),
        ..ended("it ended")
    };
    let exited = fleet.end_instance(&it, End::Exited, &end).unwrap();
    assert_eq!(exited.ended, Some(end.clone()));
    assert!(fleet.end_instance(&it, End::Exited, &end).is_err());
    assert!(fleet.move_instance(&it, Exited, Busy, NOW + 3).is_err());
    // The reason of the end stays when it is cleared away.
    let gone = fleet
        .end_instance(&it, End::Terminated, &ended("cleared"))
        .unwrap();
    assert_eq!((gone.state, gone.ended), (Terminated, Some(end)));
}

#[test]
fn who_ended_is_started_again_under_the_same_name_if_the_rules_let_it() {
    let scratch = scratch();
    let fleet = &scratch.fleet;
    fleet.make_four();
    let it = id("i_2");
    let running = fleet.revive(&it, 0, |_| Ok::<_, ()>(())).unwrap_err();
    assert_eq!(running.to_string(), "`i_2` is starting, not exited or dead");
    let end = Ended {
        exit: Some(Exit::Signal(9)),
        ..ended("killed")
    };
    fleet.end_instance(&it, End::Dead, &end).unwrap();
    let refused = fleet.revive(&it, 0, |standing| {
        assert_eq!((standing.number, standing.siblings), (2, 1));
        assert_eq!(
            (standing.subtrees[0].living, standing.subtrees[0].made),
            (3, 4)
        );
        Err("full")
    });
    assert_eq!(refused.unwrap(), Err("full"));
    let back = fleet.revive(&it, 0, |_| Ok::<_, ()>(())).unwrap().unwrap();
    assert_eq!(
        (back.state, back.ended, back.number),
        (InstanceState::Starting, None, 2)
    );
    assert_eq!(fleet.listed(Whose::Below(&it)), ["i_4"]);
}

#[test]
fn what_is_spent_counts_for_all_above() {
    let scratch = scratch();
    let fleet = &scratch.fleet;
    fleet.make_four();
    let spent = |tokens, micros| Spent { tokens, micros };
    fleet.spend(&id("i_4"), None, spent(100, 7)).unwrap();
    fleet.spend(&id("i_3"), None, spent(10, 1)).unwrap();
    let of = |it: &str| fleet.instance(&id(it)).unwrap().unwrap().spent;
    assert_eq!(of("i_4"), spent(100, 7));
    assert_eq!(of("i_2"), spent(100, 7));
    assert_eq!(of("i_1"), spent(110, 8));
    assert_eq!(fleet.spent(&grant("g-1")).unwrap(), spent(110, 8));
    assert_eq!(fleet.spent(&grant("g-2")).unwrap(), Spent::default());
    let subtrees = fleet.subtrees_of(&id("i_4"), NOW).unwrap();
    let tops: Vec<_> = subtrees
        .iter()
        .map(|it| (it.top.clone(), it.spent.tokens))
        .collect();
    let own = [
        (Some(id("i_1")), 110),
        (Some(id("i_2")), 100),
        (Some(id("i_4")), 100),
    ];
    assert_eq!(tops[0], (None, 110));
    assert_eq!(tops[1..], own);
}

#[test]
fn lists_and_counts_read_nothing_of_what_is_gone() {
    let scratch = scratch();
    let fleet = &scratch.fleet;
    fleet.make_four();
    let plan = |sql: &str| -> String {
        fleet
            .read(|connection| {
                let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                let rows = statement.query_map([], |row| row.get::<_, String>(3))?;
                Ok(rows.collect::<Result<Vec<_>, _>>()?.join("; "))
            })
            .unwrap()
    };
    let range = "root = 'g-1' AND lineage > '1/' AND lineage < '10'";
    assert_eq!(
        plan(&format!(
            "SELECT * FROM instances INDEXED BY listed WHERE state <> 'terminated' AND {range}"
        )),
        "SEARCH instances USING INDEX listed (root=? AND lineage>? AND lineage<?)"
    );
    assert_eq!(
        plan("SELECT * FROM instances INDEXED BY listed WHERE state <> 'terminated'"),
        "SCAN instances USING INDEX listed"
    );
    assert_eq!(
        plan(&format!(
            "SELECT count(*) FROM instances INDEXED BY living WHERE ended IS NULL AND {range}"
        )),
        "SEARCH instances USING INDEX living (root=? AND lineage>? AND lineage<?)"
    );
}

#[test]
fn s11_many_at_once_get_numbers_of_their_own() {
    let scratch = scratch();
    let fleet = &scratch.fleet;
    fleet.make(&new(Role::Executive, None));
    let below = new(Role::Manager, Some("i_1"));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..25).for_each(|_| drop(fleet.make(&below))));
        }
    });
    let mut listed = fleet.listed(Whose::Below(&id("i_1")));
    listed.sort();
    listed.dedup();
    assert_eq!(listed.len(), 200);
    assert_eq!(fleet.instance(&id("i_1")).unwrap().unwrap().made_below, 200);
}

#[test]
fn s28_lists_and_changes_at_once_fail_nobody() {
    let scratch = scratch();
    let fleet = &scratch.fleet;
    fleet.make_four();
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                for _ in 0..10 {
                    assert!(fleet.listed(Whose::Below(&id("i_1"))).len() >= 3);
                }
            });
        }
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let made = fleet.make(&new(Role::Specialist, Some("i_3"))).id;
                    fleet.terminate(&made).unwrap();
                }
            });
        }
    });
    assert_eq!(fleet.listed(Whose::Everybody).len(), 4);
}
