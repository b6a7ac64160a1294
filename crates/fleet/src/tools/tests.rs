use std::collections::BTreeSet;

use provost_store::fleet::{
    Ended, Exit, Instance, InstanceState, Message, MessageState, Priority, Role, Sender, Spent,
    Task, TaskState, Workspace,
};
use serde_json::Map;

use super::*;

mod answers;
mod requests;

#[test]
fn the_tools_are_the_ones_that_are_checked_in() {
    for tool in Tool::ALL {
        let text = serde_json::to_string_pretty(&definition(tool)).unwrap();
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(tool.name(), text);
        });
    }
}

/// What callers of the public server send: each tool's properties with their types or legal
/// words, and which are required.
fn public() -> Value {
    let roles = json!(["executive", "manager", "specialist"]);
    let priorities = json!(["high", "normal", "low"]);
    json!({
        "spawn": [{"role": roles, "workDir": "string", "context": "string", "parentId": "string",
            "workspaceMode": ["isolated", "shared"]}, ["role", "workDir", "context"]],
        "send": [{"instanceId": "string", "text": "string"}, ["instanceId", "text"]],
        "read": [{"instanceId": "string", "lines": "number", "follow": "boolean"}, ["instanceId"]],
        "list": [{"role": roles, "parentId": "string"}, []],
        "terminate": [{"instanceId": "string", "cascade": "boolean"}, ["instanceId"]],
        "restart": [{"instanceId": "string"}, ["instanceId"]],
        "enhancedSend": [{"targetInstanceId": "string", "message": "string", "priority": priorities},
            ["targetInstanceId", "message"]],
        "enhancedRead": [{"instanceId": "string", "unreadOnly": "boolean", "markAsRead": "boolean"},
            ["instanceId"]],
        "subscribe": [{"pattern": "string", "instanceId": "string"}, ["pattern", "instanceId"]],
        "getProgress": [{"instanceId": "string"}, ["instanceId"]],
    })
}

#[test]
fn s04_the_public_tools_take_what_they_always_took() {
    for (name, known) in public().as_object().unwrap() {
        let input = &definition(Tool::from_name(name).unwrap())["inputSchema"];
        let required = input.get("required").cloned().unwrap_or(json!([]));
        assert_eq!(required, known[1], "{name}");
        for (property, wanted) in known[0].as_object().unwrap() {
            let schema = &input["properties"][property];
            let is_word = wanted.is_array();
            let found = if is_word {
                &schema["enum"]
            } else {
                &schema["type"]
            };
            assert_eq!(found, wanted, "{name} {property}");
        }
        // What nobody knows is let be, as it always was.
        assert!(input.get("additionalProperties").is_none(), "{name}");
    }
}

#[test]
fn a_tool_is_found_by_its_exact_name_only() {
    for tool in Tool::ALL {
        assert_eq!(Tool::from_name(tool.name()), Some(tool));
    }
    for name in ["Spawn", "spawn ", "", "reportResult", "enhancedsend"] {
        assert_eq!(Tool::from_name(name), None, "{name}");
    }
    let names: BTreeSet<&str> = Tool::ALL.map(Tool::name).into();
    assert_eq!(names.len(), Tool::ALL.len());
}

#[test]
fn a_schema_is_a_schema() {
    for tool in Tool::ALL {
        for side in ["inputSchema", "outputSchema"] {
            let schema = definition(tool)[side].clone();
            answers::compiled(&schema);
            assert_eq!(schema["type"], "object", "{tool:?} {side}");
        }
    }
}
