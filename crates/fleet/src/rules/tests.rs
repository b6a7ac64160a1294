use provost_store::fleet::{End, NoInstanceId, Spent, Workspace};

use super::*;
use crate::scene::{grant, opened};

fn instance(role: Role, lineage: &[u64]) -> Instance {
    let (above, number) = (&lineage[..lineage.len() - 1], *lineage.last().unwrap());
    let name = |number: &u64| format!("i_{number}").parse().unwrap();
    Instance {
        id: name(&number),
        number,
        role,
        parent: above.last().map(name),
        lineage: lineage.to_vec(),
        root: grant("g-1"),
        grant: None,
        agent: "claude".into(),
        work_dir: "/p".into(),
        project: "/p".into(),
        workspace: Workspace::Isolated,
        state: InstanceState::Ready,
        created: 0,
        started: None,
        ended: None,
        made_below: 0,
        spent: Spent::default(),
    }
}

fn person(id: &str, role: Role) -> Caller {
    Caller::person(&grant(id), "alice", role)
}

fn agent(role: Role, lineage: &[u64]) -> Caller {
    Caller::Instance(Box::new(instance(role, lineage)))
}

/// What somebody is told who calls a tool on an instance.
fn told(caller: &Caller, tool: Tool, on: &Instance) -> String {
    match asked_for(caller, tool, &on.id, Some(on.clone())) {
        Ok(found) => found.id.to_string(),
        Err(refused) => format!("{refused} {}", refused.rule().unwrap()),
    }
}

#[test]
fn one_calls_on_oneself_and_below_and_on_nobody_else() {
    let manager = agent(Role::Manager, &[1, 2]);
    let not = |id: &str| format!("there is no instance `{id}` among those you lead (role)");
    let own = instance(Role::Specialist, &[1, 2, 4]);
    assert_eq!(told(&manager, Tool::Terminate, &own), "i_4");
    assert_eq!(
        told(&manager, Tool::Read, &instance(Role::Manager, &[1, 2])),
        "i_2"
    );
    assert_eq!(
        told(&manager, Tool::Read, &instance(Role::Manager, &[1, 3])),
        not("i_3")
    );
    assert_eq!(
        told(
            &manager,
            Tool::Read,
            &instance(Role::Specialist, &[1, 3, 5])
        ),
        not("i_5")
    );
    assert_eq!(
        told(&manager, Tool::Read, &instance(Role::Executive, &[1])),
        not("i_1")
    );
    // A stranger's and one that is not there sound alike.
    let absent = asked_for(&manager, Tool::Read, &own.id, None).unwrap_err();
    assert_eq!(format!("{absent} (role)"), not("i_4"));
}

#[test]
fn messages_go_down_and_one_step_up() {
    let manager = agent(Role::Manager, &[1, 2]);
    let leader = instance(Role::Executive, &[1]);
    for tool in [Tool::Send, Tool::EnhancedSend] {
        assert_eq!(told(&manager, tool, &leader), "i_1");
        assert_eq!(
            told(&manager, tool, &instance(Role::Specialist, &[1, 2, 4])),
            "i_4"
        );
        assert!(told(&manager, tool, &instance(Role::Manager, &[1, 3])).contains("no instance"));
    }
    let deep = agent(Role::Manager, &[9, 1, 2]);
    assert!(told(&deep, Tool::Send, &instance(Role::Executive, &[9])).contains("no instance"));
}

#[test]
fn a_person_leads_their_own_tree() {
    let theirs = instance(Role::Specialist, &[1, 2, 4]);
    assert_eq!(
        told(&person("g-1", Role::Operator), Tool::Read, &theirs),
        "i_4"
    );
    let other = person("g-2", Role::Operator);
    assert!(told(&other, Tool::Read, &theirs).contains("no instance"));
    let specialist = person("g-1", Role::Specialist);
    assert_eq!(
        told(&specialist, Tool::Read, &theirs),
        "a specialist may not call `read` (role)"
    );
}

#[test]
fn s03_a_specialist_is_refused_every_tool_of_leaders() {
    let specialist = agent(Role::Specialist, &[1, 2, 4]);
    let own = instance(Role::Specialist, &[1, 2, 4]);
    for tool in Tool::ALL.into_iter().filter(|it| *it != Tool::ReportResult) {
        let wanted = format!("a specialist may not call `{}` (role)", tool.name());
        assert_eq!(told(&specialist, tool, &own), wanted);
    }
    assert_eq!(
        specialist.may_call(Tool::ReportResult).unwrap(),
        Reach::OwnTask
    );
}

#[test]
fn who_makes_an_instance_leads_it_unless_they_name_one_below_them() {
    let manager = instance(Role::Manager, &[1, 2]);
    let caller = Caller::Instance(Box::new(instance(Role::Executive, &[1])));
    let led = |caller: &Caller, named: Option<&Instance>| {
        let id = named.map(|it| &it.id);
        match leader(caller, id, named.cloned()) {
            Ok(leader) => leader.map_or("a person".to_owned(), |it| it.id.to_string()),
            Err(refused) => refused.to_string(),
        }
    };
    assert_eq!(led(&caller, None), "i_1");
    assert_eq!(led(&caller, Some(&manager)), "i_2");
    assert_eq!(led(&person("g-1", Role::Operator), None), "a person");
    assert_eq!(led(&person("g-1", Role::Operator), Some(&manager)), "i_2");
    let stranger = "there is no instance `i_2` among those you lead";
    assert_eq!(
        led(&person("g-2", Role::Operator), Some(&manager)),
        stranger
    );
    assert_eq!(
        led(&agent(Role::Manager, &[1, 3]), Some(&manager)),
        stranger
    );
    let specialist = agent(Role::Specialist, &[1, 2, 4]);
    assert_eq!(led(&specialist, None), "a specialist may not call `spawn`");
}

#[test]
fn copies_go_to_who_is_at_or_above_the_target() {
    let manager = instance(Role::Manager, &[1, 2]);
    assert!(may_watch(&manager, &instance(Role::Specialist, &[1, 2, 4])));
    assert!(may_watch(&manager, &manager));
    assert!(!may_watch(
        &manager,
        &instance(Role::Specialist, &[1, 3, 5])
    ));
    assert!(!may_watch(&manager, &instance(Role::Executive, &[1])));
}

#[test]
fn s20_who_was_terminated_is_not_there() {
    let gone = Instance {
        state: InstanceState::Terminated,
        ..instance(Role::Specialist, &[1, 2, 4])
    };
    let caller = agent(Role::Manager, &[1, 2]);
    assert!(told(&caller, Tool::Terminate, &gone).contains("no instance"));
}

fn subtree(top: Option<&str>) -> Subtree {
    Subtree {
        top: top.map(|id| id.parse().unwrap()),
        living: 0,
        recent: 0,
        made: 0,
        spent: Spent::default(),
    }
}

/// Below `i_1`, an executive.
fn standing() -> Standing {
    Standing {
        number: 7,
        above: vec![1],
        parent: Some(instance(Role::Executive, &[1])),
        siblings: 0,
        subtrees: vec![subtree(None), subtree(Some("i_1"))],
    }
}

fn answered(change: impl FnOnce(&mut Standing)) -> String {
    let mut standing = standing();
    change(&mut standing);
    match admit(&Limits::default(), Role::Manager, Role::Operator, &standing) {
        Ok(()) => "yes".to_owned(),
        Err(refused) => format!("{refused} {}", refused.rule().unwrap()),
    }
}

#[test]
fn each_limit_refuses_by_its_name() {
    assert_eq!(answered(|_| ()), "yes");
    assert_eq!(
        answered(|it| it.above = vec![1, 2, 3]),
        "the limit `depth` of 3 is reached (fleet limit)"
    );
    assert_eq!(answered(|it| it.siblings = 31), "yes");
    assert_eq!(
        answered(|it| it.siblings = 32),
        "the limit `width` of 32 is reached below `i_1` (fleet limit)"
    );
    assert_eq!(
        answered(|it| it.subtrees[0].living = 100),
        "the limit `tree.living` of 100 is reached (fleet limit)"
    );
    assert_eq!(
        answered(|it| it.subtrees[0].recent = 60),
        "the limit `tree.per_minute` of 60 is reached (fleet limit)"
    );
    assert_eq!(
        answered(|it| it.subtrees[0].made = 1_000),
        "the limit `tree.ever` of 1000 is reached (fleet limit)"
    );
    assert_eq!(
        answered(|it| it.subtrees[1].living = 50),
        "the limit `below.living` of 50 is reached below `i_1` (fleet limit)"
    );
    assert_eq!(
        answered(|it| it.subtrees[1].recent = 30),
        "the limit `below.per_minute` of 30 is reached below `i_1` (fleet limit)"
    );
    assert_eq!(
        answered(|it| it.subtrees[1].made = 500),
        "the limit `below.ever` of 500 is reached below `i_1` (fleet limit)"
    );
}

#[test]
fn who_is_started_again_counts_among_the_living_only() {
    let mut again = standing();
    again.subtrees[0].made = 1_000;
    again.subtrees[0].recent = 60;
    assert!(admit_again(&Limits::default(), &again).is_ok());
    again.subtrees[0].living = 100;
    let refused = admit_again(&Limits::default(), &again).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the limit `tree.living` of 100 is reached"
    );
}

#[test]
fn past_its_tokens_nothing_is_started_or_delivered_in_a_subtree() {
    let mut limits = Limits::default();
    let mut full = standing();
    full.subtrees[1].spent.tokens = 500;
    assert!(admit_again(&limits, &full).is_ok());
    limits.tree.tokens = Some(501);
    limits.below.tokens = Some(500);
    let words = "the limit `below.tokens` of 500 is reached below `i_1`";
    let refused = admit_again(&limits, &full).unwrap_err();
    assert_eq!(refused.to_string(), words);
    let refused = may_go_on(&limits, &full.subtrees).unwrap_err();
    assert_eq!(refused.to_string(), words);
    full.subtrees[1].spent.tokens = 499;
    assert!(may_go_on(&limits, &full.subtrees).is_ok());
}

#[test]
fn the_leader_decides_who_can_be_below_it() {
    let refused = |role, person, parent: Option<Instance>| {
        let standing = Standing {
            parent,
            ..standing()
        };
        admit(&Limits::default(), role, person, &standing)
            .unwrap_err()
            .to_string()
    };
    let manager = instance(Role::Manager, &[1, 2]);
    assert_eq!(
        refused(Role::Executive, Role::Operator, Some(manager)),
        "below a manager there can be specialists, not an executive"
    );
    assert_eq!(
        refused(Role::Executive, Role::Executive, None),
        "below an executive there can be managers and specialists, not an executive"
    );
    assert_eq!(
        refused(Role::Specialist, Role::Specialist, None),
        "below a specialist there can be nobody, not a specialist"
    );
}

#[test]
fn every_refusal_says_what_may_be_done_instead() {
    let id: InstanceId = "i_1".parse().unwrap();
    let refusals = [
        Refusal::Tool {
            role: Role::Specialist,
            tool: Tool::Spawn,
        },
        Refusal::Tool {
            role: Role::Manager,
            tool: Tool::ReportResult,
        },
        Refusal::Spawn {
            parent: Role::Manager,
            role: Role::Manager,
        },
        Refusal::NotYours { id: id.clone() },
        Refusal::NoWorker {
            id,
            role: Role::Manager,
        },
        Refusal::NotYourTask {
            id: "task_1".parse().unwrap(),
        },
        Refusal::OtherTask {
            id: "task_1".parse().unwrap(),
        },
        Refusal::NoTask,
        Refusal::Result {
            id: "task_1".parse().unwrap(),
            problem: "no".into(),
        },
        Refusal::Limit {
            limit: Limit::Depth,
            most: 3,
            top: None,
        },
        Refusal::Name(NoInstanceId),
    ];
    for refusal in refusals {
        assert!(
            !refusal.hint().is_empty() && !refusal.to_string().contains('\n'),
            "{refusal}"
        );
    }
}

#[test]
fn s10_a_tree_of_three_roles_has_ids_and_directories_that_tell_it() {
    let opened = opened();
    let limits = Limits::default();
    let executive = opened.spawn(&limits, Role::Executive, None).unwrap();
    let manager = opened
        .spawn(&limits, Role::Manager, Some(&executive.id))
        .unwrap();
    let specialist = opened
        .spawn(&limits, Role::Specialist, Some(&manager.id))
        .unwrap();
    assert_eq!(specialist.id.as_str(), "spec_1_2_3");
    assert!(specialist.project.ends_with("/spec_1_2_3"));
    let fleet = opened.store.fleet();
    fleet.set_grant(&manager.id, &grant("g-7")).unwrap();
    let caller = Caller::instance(fleet, &grant("g-7")).unwrap().unwrap();
    assert_eq!(
        (caller.id(), caller.leader()),
        (Some(&manager.id), Some(&executive.id))
    );
    assert_eq!(
        (caller.role(), caller.root()),
        (Role::Manager, &grant("g-1"))
    );
    assert!(caller.leads(&specialist) && !caller.leads(&executive));
    let person = Caller::person(&grant("g-1"), "alice", Role::Operator);
    assert!(person.leads(&specialist));
    // Who was ended for good calls nothing any more, and no person takes its place.
    let ended = provost_store::fleet::Ended {
        at: 1,
        exit: None,
        why: "terminated".into(),
    };
    fleet
        .end_instance(&manager.id, End::Terminated, &ended)
        .unwrap();
    assert_eq!(Caller::instance(fleet, &grant("g-7")).unwrap(), None);
    assert_eq!(Caller::instance(fleet, &grant("g-8")).unwrap(), None);
}

#[test]
fn a_limit_holds_when_many_ask_at_once() {
    let opened = opened();
    let limits = Limits {
        width: 10,
        ..Limits::default()
    };
    let executive = opened.spawn(&limits, Role::Executive, None).unwrap().id;
    let refused: Vec<String> = std::thread::scope(|scope| {
        let ask = || opened.spawn(&limits, Role::Manager, Some(&executive)).err();
        let threads: Vec<_> = (0..30).map(|_| scope.spawn(ask)).collect();
        let answers = threads.into_iter().filter_map(|it| it.join().unwrap());
        answers.map(|it| it.to_string()).collect()
    });
    assert_eq!(refused.len(), 20);
    assert!(
        refused
            .iter()
            .all(|it| it == "the limit `width` of 10 is reached below `exec_1`")
    );
}
