use super::*;

fn work(instance: &str) -> NewTask {
    NewTask {
        instance: id(instance),
        name: "parser".into(),
        instruction: "write it".into(),
        schema: Some(r#"{"type":"object"}"#.into()),
    }
}

fn done() -> TaskStep {
    TaskStep::Finish {
        result: r#"{"ok":true}"#.into(),
    }
}

#[test]
fn a_task_goes_through_its_states_and_counts_its_attempts() {
    let mut scratch = scratch();
    scratch.fleet.make_four();
    let it = scratch.fleet.put_task(&work("i_4"), NOW).unwrap();
    let step = |fleet: &FleetDatabase, step| fleet.step_task(it, &step, NOW + 3);
    assert_eq!(
        step(&scratch.fleet, done()).unwrap_err().to_string(),
        "`task_1` is queued, not running"
    );
    step(&scratch.fleet, TaskStep::Start).unwrap();
    let queued = step(&scratch.fleet, TaskStep::Requeue).unwrap();
    assert_eq!((queued.attempts, queued.started), (1, None));
    step(&scratch.fleet, TaskStep::Start).unwrap();
    scratch.reopen();
    let fleet = &scratch.fleet;
    fleet
        .spend(
            &id("i_4"),
            Some(it),
            Spent {
                tokens: 12,
                micros: 5,
            },
        )
        .unwrap();
    let finished = step(fleet, done()).unwrap();
    assert_eq!((finished.state, finished.attempts), (TaskState::Done, 2));
    assert_eq!(finished.result.as_deref(), Some(r#"{"ok":true}"#));
    assert_eq!((finished.spent.tokens, finished.ended), (12, Some(NOW + 3)));
    // A result is given once.
    for late in [
        done(),
        TaskStep::TimeOut,
        TaskStep::Start,
        TaskStep::Cancel {
            reason: "no".into(),
        },
    ] {
        assert!(step(fleet, late.clone()).is_err(), "{late:?}");
    }
    assert!(fleet.open_tasks(&id("i_4")).unwrap().is_empty());
    assert_eq!(fleet.tasks_of(&id("i_4")).unwrap(), [finished]);
    let foreign = fleet
        .spend(&id("i_3"), Some(it), Spent::default())
        .unwrap_err();
    assert_eq!(foreign.to_string(), "there is no task `task_1`");
}

#[test]
fn tasks_end_in_one_of_their_ways_and_are_counted_for_all_above() {
    let scratch = scratch();
    let fleet = &scratch.fleet;
    fleet.make_four();
    let reason = || "no".to_owned();
    let ends = [
        (done(), TaskState::Done),
        (TaskStep::Fail { reason: reason() }, TaskState::Failed),
        (TaskStep::TimeOut, TaskState::TimedOut),
        (TaskStep::Cancel { reason: reason() }, TaskState::Cancelled),
    ];
    for (end, state) in ends {
        let it = fleet.put_task(&work("i_4"), NOW).unwrap();
        fleet.step_task(it, &TaskStep::Start, NOW).unwrap();
        assert_eq!(fleet.step_task(it, &end, NOW).unwrap().state, state);
    }
    let waiting = fleet.put_task(&work("i_2"), NOW).unwrap();
    let running = fleet.put_task(&work("i_4"), NOW).unwrap();
    fleet.step_task(running, &TaskStep::Start, NOW).unwrap();
    let counts = |top| {
        let mut counts = fleet.task_counts(&id(top)).unwrap();
        counts.sort_by_key(|(state, _)| state.word());
        counts
            .into_iter()
            .map(|(state, count)| format!("{}={count}", state.word()))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        counts("i_1"),
        "cancelled=1 done=1 failed=1 queued=1 running=1 timed_out=1"
    );
    assert_eq!(
        counts("i_4"),
        "cancelled=1 done=1 failed=1 running=1 timed_out=1"
    );
    assert_eq!(counts("i_3"), "");
    // One that waits can be called off too.
    let cancel = TaskStep::Cancel { reason: reason() };
    assert_eq!(
        fleet.step_task(waiting, &cancel, NOW).unwrap().state,
        TaskState::Cancelled
    );
    fleet.terminate(&id("i_4")).unwrap();
    assert_eq!(
        fleet.task(running).unwrap().unwrap().state,
        TaskState::Cancelled
    );
}

#[test]
fn tasks_are_for_who_runs_and_not_without_end() {
    let scratch = scratch();
    let fleet = &scratch.fleet;
    fleet.make_four();
    for _ in 0..100 {
        fleet.put_task(&work("i_4"), NOW).unwrap();
    }
    let error = fleet.put_task(&work("i_4"), NOW).unwrap_err();
    assert_eq!(error.to_string(), "`i_4` has 100 open tasks already");
    fleet
        .end_instance(&id("i_2"), End::Dead, &ended("killed"))
        .unwrap();
    let error = fleet.put_task(&work("i_2"), NOW).unwrap_err();
    assert_eq!(error.to_string(), "`i_2` is dead, not running");
}

#[test]
fn subscriptions_are_kept_and_end_with_their_subscriber() {
    let mut scratch = scratch();
    scratch.fleet.make_four();
    let wanted = |who: &str, pattern: &str| Subscription {
        subscriber: id(who),
        pattern: pattern.into(),
    };
    assert_eq!(scratch.fleet.subscribe(&wanted("i_1", "^mgr_")).unwrap(), 1);
    assert_eq!(scratch.fleet.subscribe(&wanted("i_1", "^mgr_")).unwrap(), 1);
    assert_eq!(
        scratch.fleet.subscribe(&wanted("i_1", "^spec_")).unwrap(),
        2
    );
    scratch.fleet.subscribe(&wanted("i_2", "x")).unwrap();
    assert!(scratch.fleet.subscribe(&wanted("i_9", "x")).is_err());
    scratch.reopen();
    let fleet = &scratch.fleet;
    assert!(fleet.unsubscribe(&wanted("i_1", "^mgr_")).unwrap());
    assert!(!fleet.unsubscribe(&wanted("i_1", "^mgr_")).unwrap());
    assert_eq!(
        fleet.subscriptions().unwrap(),
        [wanted("i_1", "^spec_"), wanted("i_2", "x")]
    );
    fleet.terminate(&id("i_2")).unwrap();
    assert_eq!(fleet.subscriptions().unwrap(), [wanted("i_1", "^spec_")]);
    for number in 1..100 {
        fleet
            .subscribe(&wanted("i_1", &format!("{number}")))
            .unwrap();
    }
    let error = fleet.subscribe(&wanted("i_1", "more")).unwrap_err();
    assert_eq!(error.to_string(), "`i_1` has 100 subscriptions already");
}
