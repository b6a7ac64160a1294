use provost_store::fleet::NewTask;
use serde_json::json;

use super::*;
use crate::scene::{Opened, grant, opened, person};

const NOW: u64 = 7;

fn given(opened: &Opened, to: &str, schema: Option<&str>) -> TaskId {
    let work = NewTask {
        instance: to.parse().unwrap(),
        name: "parser".into(),
        instruction: "write it".into(),
        schema: schema.map(str::to_owned),
    };
    opened.fleet().put_task(&work, NOW).unwrap()
}

fn begun(opened: &Opened, to: &str, schema: Option<&str>) -> TaskId {
    let id = given(opened, to, schema);
    opened.fleet().step_task(id, &TaskStep::Start, NOW).unwrap();
    id
}

fn reported(opened: &Opened, caller: &Caller, task: Option<TaskId>, result: Value) -> String {
    let asked = ReportResult {
        task,
        result,
        has_failed: false,
    };
    let fits = |schema: Option<&str>, value: &Value| match schema == Some("object")
        && !value.is_object()
    {
        true => Err("it is no object".to_owned()),
        false => Ok(()),
    };
    match report(opened.fleet(), caller, &asked, fits, NOW) {
        Ok(reported) => format!("{} {}", reported.task_id, reported.status),
        Err(failure) => failure.to_string(),
    }
}

#[test]
fn a_result_is_of_ones_own_task_and_taken_once() {
    let opened = opened().with_four();
    let specialist = opened.caller("spec_1_2_4");
    assert_eq!(
        reported(&opened, &specialist, None, json!(1)),
        "you work on no task"
    );
    let first = begun(&opened, "spec_1_2_4", None);
    let waiting = given(&opened, "spec_1_2_4", None);
    let foreign = begun(&opened, "mgr_1_2", None);
    for other in [waiting, foreign] {
        let refused = format!("`{other}` is not a task that you work on");
        assert_eq!(
            reported(&opened, &specialist, Some(other), json!(1)),
            refused
        );
    }
    let result = json!({"files": ["a"], "big": 9_007_199_254_740_993_u64});
    assert_eq!(
        reported(&opened, &specialist, None, result.clone()),
        "task_1 done"
    );
    let kept = opened.fleet().task(first).unwrap().unwrap().result.unwrap();
    assert_eq!(kept, result.to_string());
    assert_eq!(
        reported(&opened, &specialist, None, json!(2)),
        "you work on no task"
    );
    assert_eq!(
        reported(&opened, &specialist, Some(first), json!(2)),
        "`task_1` is not a task that you work on"
    );
}

#[test]
fn a_result_that_does_not_fit_is_refused_and_can_be_given_again() {
    let opened = opened().with_four();
    let specialist = opened.caller("spec_1_2_4");
    begun(&opened, "spec_1_2_4", Some("object"));
    let refused = "the result does not fit the schema of `task_1`: it is no object";
    assert_eq!(reported(&opened, &specialist, None, json!([])), refused);
    assert_eq!(
        reported(&opened, &specialist, None, json!({})),
        "task_1 done"
    );
}

#[test]
fn a_failure_needs_no_schema_and_has_its_reason() {
    let opened = opened().with_four();
    let specialist = opened.caller("spec_1_2_4");
    let failed = |result: Value| {
        let id = begun(&opened, "spec_1_2_4", Some("object"));
        let asked = ReportResult {
            task: Some(id),
            result,
            has_failed: true,
        };
        let fits = |schema: Option<&str>, _: &Value| match schema {
            Some(_) => Err("it has no form".to_owned()),
            None => Ok(()),
        };
        let reported = report(opened.fleet(), &specialist, &asked, fits, NOW).unwrap();
        assert_eq!(reported.status, "failed");
        opened.fleet().task(id).unwrap().unwrap().reason.unwrap()
    };
    assert_eq!(failed(json!("no compiler")), "no compiler");
    assert_eq!(failed(json!({"missing": "cc"})), r#"{"missing":"cc"}"#);
}

#[test]
fn who_leads_reports_nothing_and_a_person_has_no_task() {
    let opened = opened().with_four();
    begun(&opened, "mgr_1_2", None);
    let manager = opened.caller("mgr_1_2");
    let refused = "a manager may not call `report_result`";
    assert_eq!(reported(&opened, &manager, None, json!(1)), refused);
    let somebody = Caller::person(&grant("g-1"), "bob", provost_store::fleet::Role::Specialist);
    assert_eq!(
        reported(&opened, &somebody, None, json!(1)),
        "you work on no task"
    );
}

#[test]
fn tasks_are_given_to_specialists() {
    let opened = opened().with_four();
    let found = |id: &str| {
        opened
            .fleet()
            .instance(&id.parse().unwrap())
            .unwrap()
            .unwrap()
    };
    assert!(may_be_given(&found("spec_1_2_4")).is_ok());
    let refused = may_be_given(&found("mgr_1_2")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "`mgr_1_2` is a manager and reports no results"
    );
}

#[test]
fn a_task_is_asked_for_by_who_leads_its_worker() {
    let opened = opened().with_four();
    let id = begun(&opened, "spec_1_2_4", None);
    let asked =
        |caller: &Caller, id: TaskId| match asked_for(opened.fleet(), caller, Tool::Cancel, id) {
            Ok(task) => task.id.to_string(),
            Err(failure) => failure.to_string(),
        };
    assert_eq!(asked(&person(), id), "task_1");
    assert_eq!(asked(&opened.caller("mgr_1_2"), id), "task_1");
    let refused = "there is no task `task_1` among those of the instances you lead";
    assert_eq!(asked(&opened.caller("mgr_1_3"), id), refused);
    assert_eq!(
        asked(&person(), "task_9".parse().unwrap()),
        refused.replace("task_1", "task_9")
    );
    let specialist = opened.caller("spec_1_2_4");
    assert_eq!(asked(&specialist, id), "a specialist may not call `cancel`");
}
