use super::*;

fn read(tool: Tool, arguments: Value) -> Result<Request, BadArguments> {
    Request::read(tool, &arguments.to_string())
}

fn refused(tool: Tool, arguments: Value) -> String {
    read(tool, arguments).unwrap_err().to_string()
}

fn spawned(arguments: Value) -> Spawn {
    match read(Tool::Spawn, arguments).unwrap() {
        Request::Spawn(spawn) => spawn,
        other => panic!("{other:?}"),
    }
}

fn whole() -> Value {
    json!({"role": "manager", "workDir": "/p", "context": "lead"})
}

fn with(more: Value) -> Value {
    let mut arguments = whole();
    for (name, value) in more.as_object().unwrap() {
        arguments[name] = value.clone();
    }
    arguments
}

#[test]
fn s02_all_that_is_missing_is_named_together_and_legal_words_are_listed() {
    assert_eq!(
        refused(Tool::Spawn, json!({})),
        "`spawn` was not called: `role`, `workDir` and `context` are missing"
    );
    assert_eq!(
        refused(
            Tool::Spawn,
            json!({"role": "boss", "workDir": "", "context": null, "workspaceMode": "mine"})
        ),
        "`spawn` was not called: `workDir` and `context` are missing; \
         `role` has to be one of `executive`, `manager`, `specialist`; \
         `workspaceMode` has to be one of `isolated`, `shared`"
    );
    let error = read(Tool::Spawn, json!({"role": 7, "context": "x"})).unwrap_err();
    assert_eq!(error.missing, ["workDir"]);
    assert_eq!(error.problems.len(), 1);
    // Nobody starts an operator.
    assert!(refused(Tool::Spawn, with(json!({"role": "operator"}))).contains("`role` has to be"));
}

#[test]
fn s26_each_tool_names_what_it_misses() {
    for (tool, missing) in [
        (Tool::Send, "`instanceId` and `text` are missing"),
        (Tool::Read, "`instanceId` is missing"),
        (Tool::Terminate, "`instanceId` is missing"),
        (Tool::Restart, "`instanceId` is missing"),
        (
            Tool::EnhancedSend,
            "`targetInstanceId` and `message` are missing",
        ),
        (Tool::EnhancedRead, "`instanceId` is missing"),
        (Tool::Subscribe, "`pattern` and `instanceId` are missing"),
        (Tool::Unsubscribe, "`pattern` and `instanceId` are missing"),
        (Tool::GetProgress, "`instanceId` is missing"),
        (Tool::Cancel, "`taskId` is missing"),
        (Tool::ReportResult, "`result` is missing"),
        (
            Tool::Wait,
            "give exactly one of `taskId`, `instanceId` and `token`",
        ),
    ] {
        let wanted = format!("`{}` was not called: {missing}", tool.name());
        assert_eq!(refused(tool, json!({})), wanted);
    }
    assert!(read(Tool::List, json!({})).is_ok());
}

#[test]
fn s15_an_id_that_is_none_is_told_as_such() {
    for id in [
        "exec/1",
        "12:3",
        "../x",
        "-1",
        "a b",
        "exec_1\n",
        "\u{202e}1",
    ] {
        for tool in [Tool::Read, Tool::Terminate, Tool::Restart] {
            let words = refused(tool, json!({"instanceId": id}));
            assert!(
                words.ends_with(
                    "in `instanceId` is not the id of an instance; `list` shows their ids"
                ),
                "{words}"
            );
            assert!(!words.contains(['\n', '\u{202e}']), "{words}");
        }
    }
    for id in [json!(null), json!("")] {
        assert!(refused(Tool::Send, json!({"instanceId": id, "text": "x"})).contains("is missing"));
    }
    assert!(
        refused(Tool::Read, json!({"instanceId": 7})).ends_with("`instanceId` has to be a text")
    );
    let words = refused(Tool::Cancel, json!({"taskId": "7"}));
    assert_eq!(
        words,
        "`cancel` was not called: `7` in `taskId` is not the id of a task; they look like `task_7`"
    );
}

#[test]
fn s03_who_calls_is_not_read_from_arguments() {
    let plain = spawned(whole());
    let spoofed = with(
        json!({"_callerRole": "executive", "_callerInstanceId": "exec_1", "role2": [1], "": {}}),
    );
    assert_eq!(spawned(spoofed), plain);
}

#[test]
fn s05_only_managers_share_a_directory() {
    let shared = with(json!({"workspaceMode": "shared"}));
    assert_eq!(spawned(shared.clone()).workspace, Workspace::Shared);
    for role in ["executive", "specialist"] {
        let mut shared = shared.clone();
        shared["role"] = role.into();
        let words = refused(Tool::Spawn, shared);
        assert!(
            words.contains("can be `shared` for managers only"),
            "{words}"
        );
    }
}

#[test]
fn what_is_not_said_has_its_default() {
    let spawn = spawned(whole());
    assert_eq!(
        (spawn.workspace, &spawn.parent, &spawn.instruction),
        (Workspace::Isolated, &None, &None)
    );
    let Request::Read(it) = read(Tool::Read, json!({"instanceId": "exec_1"})).unwrap() else {
        panic!()
    };
    assert_eq!((it.lines, it.follow, it.cursor), (50, false, None));
    let Request::EnhancedRead(it) =
        read(Tool::EnhancedRead, json!({"instanceId": "exec_1"})).unwrap()
    else {
        panic!()
    };
    assert!(it.unread_only && it.mark_as_read);
    let Request::Send(it) = read(Tool::Send, json!({"instanceId": "exec_1", "text": " "})).unwrap()
    else {
        panic!()
    };
    assert_eq!((it.priority, it.task), (Priority::Normal, None));
    let Request::Wait(it) = read(Tool::Wait, json!({"taskId": "task_3", "seconds": 900})).unwrap()
    else {
        panic!()
    };
    assert_eq!(
        (it.until, it.seconds),
        (WaitFor::Task("task_3".parse().unwrap()), 45)
    );
}

#[test]
fn a_task_is_what_has_a_name_or_a_schema() {
    let arguments = json!({"instanceId": "spec_1", "text": "x", "taskName": "n", "resultSchema": {"type": "object"}});
    let Request::Send(it) = read(Tool::Send, arguments).unwrap() else {
        panic!()
    };
    let task = it.task.unwrap();
    assert_eq!(
        (task.name.as_deref(), task.schema),
        (Some("n"), Some(json!({"type": "object"})))
    );
    let instructed = |role: &str| spawned(with(json!({"role": role, "instruction": "write it"})));
    let specialist = instructed("specialist");
    assert_eq!(specialist.instruction.as_deref(), Some("write it"));
    assert_eq!(specialist.task, Some(NewWork::default()));
    // Others report nothing: what they are to do is no task.
    let manager = instructed("manager");
    assert_eq!(
        (manager.instruction.as_deref(), manager.task),
        (Some("write it"), None)
    );
    let only = "`taskName` and `resultSchema` are for specialists, beside `instruction`";
    for wrong in [
        json!({"role": "specialist", "taskName": "n"}),
        json!({"role": "manager", "taskName": "n", "instruction": "write it"}),
    ] {
        assert!(refused(Tool::Spawn, with(wrong)).ends_with(only));
    }
}

#[test]
fn numbers_are_whole_however_they_are_written() {
    for (number, lines) in [
        (json!(5), 5),
        (json!(5.0), 5),
        (json!(0), 0),
        (json!(1e3), 1_000),
    ] {
        let Request::Read(it) =
            read(Tool::Read, json!({"instanceId": "exec_1", "lines": number})).unwrap()
        else {
            panic!()
        };
        assert_eq!(it.lines, lines);
    }
    for number in [json!(-1), json!(1.5), json!("5"), json!(1e300), json!([5])] {
        let words = refused(Tool::Read, json!({"instanceId": "exec_1", "lines": number}));
        assert!(
            words.ends_with("`lines` has to be a whole number, 0 or more"),
            "{words}"
        );
    }
}

#[test]
fn a_pattern_is_checked_when_it_comes() {
    let subscribe = |pattern: &str| {
        read(
            Tool::Subscribe,
            json!({"pattern": pattern, "instanceId": "exec_1"}),
        )
    };
    let Request::Subscribe(it) = subscribe("^mgr_1_").unwrap() else {
        panic!()
    };
    assert!(it.pattern.matches(&"mgr_1_2".parse().unwrap()));
    assert!(!it.pattern.matches(&"exec_1".parse().unwrap()));
    assert_eq!(it.pattern.as_str(), "^mgr_1_");
    let words = subscribe("(").unwrap_err().to_string();
    assert_eq!(
        words,
        "`subscribe` was not called: `pattern`: it is not a regular expression: unclosed group"
    );
    assert!(
        subscribe(&"x".repeat(501))
            .unwrap_err()
            .to_string()
            .contains("at most 500 bytes")
    );
    let words = subscribe("(a{1000}){1000}").unwrap_err().to_string();
    assert!(words.contains("not a regular expression"), "{words}");
}

#[test]
fn a_wait_is_for_one_thing() {
    let one = "give exactly one of";
    assert!(
        refused(
            Tool::Wait,
            json!({"taskId": "task_1", "instanceId": "exec_1"})
        )
        .contains(one)
    );
    assert!(read(Tool::Wait, json!({"token": "t"})).is_ok());
    assert!(!refused(Tool::Wait, json!({"taskId": "1"})).contains(one));
}

#[test]
fn a_result_may_be_any_value_but_null() {
    for result in [
        json!({"ok": true}),
        json!([1]),
        json!("done"),
        json!(0),
        json!(false),
    ] {
        let Request::ReportResult(it) =
            read(Tool::ReportResult, json!({"result": result})).unwrap()
        else {
            panic!()
        };
        assert_eq!((it.result, it.has_failed, it.task), (result, false, None));
    }
    let failed = json!({"result": "no compiler", "status": "failed", "taskId": "task_9"});
    let Request::ReportResult(it) = read(Tool::ReportResult, failed).unwrap() else {
        panic!()
    };
    assert!(it.has_failed && it.task == Some("task_9".parse().unwrap()));
    assert!(refused(Tool::ReportResult, json!({"result": null})).contains("is missing"));
}

#[test]
fn what_is_no_object_is_told_as_such() {
    for text in ["", "[]", "null", "{", "{}{}", "1e999"] {
        let error = Request::read(Tool::List, text).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("`list` was not called: its arguments are no JSON object"),
            "{text}"
        );
    }
}

#[test]
fn every_argument_of_a_schema_is_read() {
    // A word, a text, a number, a flag for each: what is not read would not be refused.
    for tool in Tool::ALL {
        let schema = definition(tool)["inputSchema"].clone();
        for (name, property) in schema["properties"].as_object().unwrap() {
            if property.get("type").is_none() {
                continue;
            }
            let mut arguments = Map::new();
            arguments.insert(name.clone(), json!([[]]));
            let error = read(tool, arguments.into()).unwrap_err();
            let problem = format!("`{name}` has to be");
            assert!(
                error.problems.iter().any(|it| it.starts_with(&problem)),
                "{tool:?} {name}"
            );
        }
    }
}
