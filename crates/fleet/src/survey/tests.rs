use provost_store::fleet::{NewTask, Role, TaskStep};
use serde_json::json;

use super::*;
use crate::scene::{grant, opened, person};

fn listed(
    fleet: &FleetDatabase,
    caller: &Caller,
    role: Option<Role>,
    parent: Option<&str>,
) -> String {
    let asked = List {
        role,
        parent: parent.map(|id| id.parse().unwrap()),
    };
    match list(fleet, caller, &asked) {
        Ok(listed) => {
            let ids: Vec<String> = listed
                .instances
                .into_iter()
                .map(|it| it.instance_id)
                .collect();
            ids.join(" ")
        }
        Err(failure) => failure.to_string(),
    }
}

#[test]
fn s10_one_lists_what_one_leads() {
    let opened = opened().with_four();
    let fleet = opened.fleet();
    let all = "exec_1 mgr_1_2 mgr_1_3 spec_1_2_4";
    assert_eq!(listed(fleet, &person(), None, None), all);
    assert_eq!(
        listed(fleet, &person(), Some(Role::Manager), None),
        "mgr_1_2 mgr_1_3"
    );
    assert_eq!(
        listed(fleet, &person(), None, Some("mgr_1_2")),
        "spec_1_2_4"
    );
    let stranger = Caller::person(&grant("g-2"), "bob", Role::Operator);
    assert_eq!(listed(fleet, &stranger, None, None), "");
    let manager = opened.caller("mgr_1_2");
    assert_eq!(listed(fleet, &manager, None, None), "spec_1_2_4");
    assert_eq!(listed(fleet, &manager, None, Some("mgr_1_2")), "spec_1_2_4");
    let refused = listed(fleet, &manager, None, Some("mgr_1_3"));
    assert_eq!(
        refused,
        "there is no instance `mgr_1_3` among those you lead"
    );
    let specialist = opened.caller("spec_1_2_4");
    assert_eq!(
        listed(fleet, &specialist, None, None),
        "a specialist may not call `list`"
    );
}

#[test]
fn s42_progress_counts_the_tasks_below() {
    let opened = opened().with_four();
    let fleet = opened.fleet();
    let specialist: InstanceId = "spec_1_2_4".parse().unwrap();
    let work = NewTask {
        instance: specialist.clone(),
        name: "parser".into(),
        instruction: "write it".into(),
        schema: None,
    };
    let tasks = [1, 2, 3].map(|_| fleet.put_task(&work, 1).unwrap());
    fleet.step_task(tasks[0], &TaskStep::Start, 2).unwrap();
    let result = json!({"ok": true}).to_string();
    fleet
        .step_task(tasks[0], &TaskStep::Finish { result }, 3)
        .unwrap();
    fleet.step_task(tasks[1], &TaskStep::Start, 3).unwrap();
    for id in ["exec_1", "mgr_1_2", "spec_1_2_4"] {
        let progress = progress(fleet, &person(), &id.parse().unwrap())
            .unwrap()
            .progress;
        assert_eq!(
            (
                progress.total,
                progress.completed,
                progress.in_progress,
                progress.pending
            ),
            (3, 1, 1, 1)
        );
        assert_eq!(progress.completion_rate, 33);
    }
    assert!(progress(fleet, &opened.caller("mgr_1_3"), &specialist).is_err());
}
