use super::*;

/// A schema that says when a value does not fit, and every property that is not described.
pub(super) fn compiled(schema: &Value) -> (boon::Schemas, boon::SchemaIndex) {
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler
        .add_resource("mem:///schema.json", schema.clone())
        .unwrap();
    let index = compiler
        .compile("mem:///schema.json", &mut schemas)
        .unwrap();
    (schemas, index)
}

fn closed(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let mut members: Map<String, Value> = members
                .iter()
                .map(|(name, value)| (name.clone(), closed(value)))
                .collect();
            if members.contains_key("properties") && members.get("type") == Some(&json!("object")) {
                members.insert("additionalProperties".to_owned(), false.into());
            }
            members.into()
        }
        Value::Array(items) => items.iter().map(closed).collect(),
        other => other.clone(),
    }
}

/// The answer as a client gets it, after it was held against the tool's schema.
fn fits(tool: Tool, answer: &Answer) -> Value {
    let structured = answer.structured().unwrap();
    let (schemas, index) = compiled(&closed(&definition(tool)["outputSchema"]));
    if let Err(error) = schemas.validate(&structured, index) {
        panic!("{tool:?}: {error}\n{structured:#}");
    }
    structured
}

const NOW: u64 = 1_795_168_800_123_456;

fn instance() -> Instance {
    Instance {
        id: "mgr_1_2".parse().unwrap(),
        number: 2,
        role: Role::Manager,
        parent: Some("exec_1".parse().unwrap()),
        lineage: vec![1, 2],
        root: provost_store::GrantId("g-1".to_owned().into()),
        grant: None,
        agent: "claude".into(),
        work_dir: "/p".into(),
        project: "/p/mgr_1_2".into(),
        workspace: Workspace::Isolated,
        state: InstanceState::Exited,
        created: NOW,
        started: Some(NOW),
        ended: Some(Ended {
            at: NOW,
            exit: Some(Exit::Code(3)),
            why: "it ended by itself".into(),
        }),
        made_below: 1,
        spent: Spent {
            tokens: 1_200,
            micros: 1_250_000,
        },
    }
}

fn task() -> Task {
    Task {
        id: "task_7".parse().unwrap(),
        instance: "spec_1_2_3".parse().unwrap(),
        name: "parser".into(),
        instruction: "write it".into(),
        schema: None,
        state: TaskState::Done,
        attempts: 1,
        result: Some(r#"{"files":["a"]}"#.into()),
        reason: None,
        spent: Spent::default(),
        created: NOW,
        started: None,
        ended: Some(NOW),
    }
}

#[test]
fn s10_s18_a_list_is_rows_in_an_object() {
    let top = Instance {
        parent: None,
        ended: None,
        state: InstanceState::Busy,
        ..instance()
    };
    let listed = Answer::Listed(Listed {
        instances: vec![InstanceRow::from(&top), InstanceRow::from(&instance())],
    });
    let listed = fits(Tool::List, &listed);
    assert_eq!(listed["instances"][0]["parentId"], Value::Null);
    assert_eq!(
        listed["instances"][1],
        json!({
            "instanceId": "mgr_1_2", "role": "manager", "parentId": "exec_1", "workDir": "/p",
            "projectPath": "/p/mgr_1_2", "workspaceMode": "isolated", "agent": "claude",
            "status": "exited", "created": "2026-11-20T10:00:00.123456Z",
            "ended": "2026-11-20T10:00:00.123456Z", "exitCode": 3, "reason": "it ended by itself",
            "tokens": 1200, "cost": 1.25,
        })
    );
    let none = fits(
        Tool::List,
        &Answer::Listed(Listed {
            instances: Vec::new(),
        }),
    );
    assert_eq!(none, json!({"instances": []}));
}

#[test]
fn every_tool_answers_what_its_schema_says() {
    let id = || "mgr_1_2".to_owned();
    let task_id = || "task_7".to_owned();
    let spawned = Spawned {
        instance_id: id(),
        pane_id: "%4".into(),
        project_path: "/p".into(),
        status: InstanceState::Ready.word(),
        task_id: Some(task_id()),
    };
    let plain = Spawned {
        task_id: None,
        ..spawned.clone()
    };
    assert!(
        fits(Tool::Spawn, &Answer::Spawned(plain))
            .get("taskId")
            .is_none()
    );
    fits(Tool::Spawn, &Answer::Spawned(spawned));
    let sent = Sent {
        success: true,
        message_id: "msg_1".into(),
        status: MessageState::Acknowledged.word(),
        task_id: Some(task_id()),
    };
    fits(Tool::Send, &Answer::Sent(sent));
    let killed = Instance {
        ended: Some(Ended {
            at: NOW,
            exit: Some(Exit::Signal(9)),
            why: "killed".into(),
        }),
        ..instance()
    };
    let output = Output::of(&killed, "a\n".into(), "12".into(), NOW);
    assert_eq!((output.exit_code, output.exit_signal), (None, Some(9)));
    fits(Tool::Read, &Answer::Output(output));
    let terminated = Terminated {
        success: true,
        terminated: vec![id()],
    };
    fits(Tool::Terminate, &Answer::Terminated(terminated));
    for (before, status) in [
        (InstanceState::Busy, "already_running"),
        (InstanceState::Dead, "restarted"),
    ] {
        let restarted = fits(
            Tool::Restart,
            &Answer::Restarted(Restarted::from_state(id(), before)),
        );
        assert_eq!(
            restarted,
            json!({"status": status, "instanceId": "mgr_1_2"})
        );
    }
    let sent = EnhancedSent {
        success: true,
        message_id: "msg_1".into(),
        queue_length: 2,
        copies: 1,
    };
    fits(Tool::EnhancedSend, &Answer::EnhancedSent(sent));
    let subscribed = Subscribed {
        success: true,
        pattern: "^mgr".into(),
        active_subscriptions: 1,
    };
    fits(Tool::Subscribe, &Answer::Subscribed(subscribed));
    let ended = Unsubscribed {
        success: false,
        pattern: "^mgr".into(),
    };
    fits(Tool::Unsubscribe, &Answer::Unsubscribed(ended));
    let waited = |finished| Waited {
        finished,
        token: (!finished).then(|| "t".into()),
        task: Some(TaskRow::from(&task())),
        instance: Some(InstanceRow::from(&instance())),
    };
    let finished = fits(Tool::Wait, &Answer::Waited(Box::new(waited(true))));
    assert_eq!(finished["task"]["result"], json!({"files": ["a"]}));
    fits(Tool::Wait, &Answer::Waited(Box::new(waited(false))));
    fits(
        Tool::Cancel,
        &Answer::Cancelled(Cancelled {
            success: true,
            task_id: task_id(),
        }),
    );
    let reported = Reported {
        success: true,
        task_id: task_id(),
        status: TaskState::Done.word(),
    };
    fits(Tool::ReportResult, &Answer::Reported(reported));
}

#[test]
fn a_mailbox_tells_copies_from_messages_that_were_meant() {
    let message = Message {
        id: "msg_1".parse().unwrap(),
        to: "exec_1".parse().unwrap(),
        from: Sender::Person("alice".into()),
        text: "hello\n\u{1b}[31m".into(),
        priority: Priority::High,
        copy_of: None,
        state: MessageState::Queued,
        reason: None,
        created: NOW,
        delivered: None,
        settled: None,
    };
    let copy = Message {
        from: Sender::Instance("spec_1".parse().unwrap()),
        copy_of: Some("mgr_1_2".parse().unwrap()),
        state: MessageState::Acknowledged,
        ..message.clone()
    };
    let inbox = Inbox {
        messages: vec![InboxMessage::from(&message), InboxMessage::from(&copy)],
        total_unread: 1,
        oldest_unread: None,
    };
    let inbox = fits(Tool::EnhancedRead, &Answer::Inbox(inbox));
    let [first, second] = inbox["messages"].as_array().unwrap().as_slice() else {
        panic!()
    };
    assert_eq!(
        *first,
        json!({
            "id": "msg_1", "from": "alice", "to": "exec_1", "content": "hello\n\u{1b}[31m",
            "timestamp": "2026-11-20T10:00:00.123456Z", "priority": "high", "read": false,
        })
    );
    assert_eq!(
        (&second["isSubscription"], &second["originalTarget"]),
        (&json!(true), &json!("mgr_1_2"))
    );
    assert_eq!(
        (&second["read"], &second["from"]),
        (&json!(true), &json!("spec_1"))
    );
}

#[test]
fn s42_progress_is_counted_in_whole_percent() {
    let counts = [
        (TaskState::Done, 1),
        (TaskState::Running, 1),
        (TaskState::Queued, 1),
    ];
    let progress = fits(
        Tool::GetProgress,
        &Answer::Progress(Progress::of("exec_1".into(), &counts)),
    );
    assert_eq!(
        progress,
        json!({
            "instanceId": "exec_1",
            "progress": {"total": 3, "completed": 1, "inProgress": 1, "pending": 1, "failed": 0, "completionRate": 33},
            "message": "1 of 3 tasks are done",
        })
    );
    let ends = [
        (TaskState::Failed, 1),
        (TaskState::Cancelled, 2),
        (TaskState::TimedOut, 3),
    ];
    assert_eq!(Progress::of("exec_1".into(), &ends).progress.failed, 6);
    let none = Progress::of("exec_1".into(), &[]);
    assert_eq!(
        (none.progress, none.message.as_str()),
        (ProgressCounts::default(), "no tasks yet")
    );
}
