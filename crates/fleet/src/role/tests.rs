use std::fmt::Write;

use super::*;

/// The page as it is written from the tables.
fn page() -> String {
    let mut page = String::from(
        "# Roles of the fleet\n\n\
         Written by a test from the tables in `crates/fleet/src/role.rs`; a change of a cell is a change of what agents may do.\n\n\
         ## Who may call which tool, and on whom\n\n\
         *below*: itself and all below it, of a person all in their tree. *leader*: who leads it, one step up. *own task*: the\n\
         task it was given. A person has the role that their grant was minted with, `operator` if nothing was said.\n\n",
    );
    let roles = Role::ALL.map(Role::word).join(" | ");
    writeln!(page, "| tool | {roles} |\n| --- | --- | --- | --- | --- |").unwrap();
    for tool in Tool::ALL {
        let cells = Role::ALL.map(|role| match may_call(role, tool) {
            None => "–",
            Some(Reach::Below) => "below",
            Some(Reach::BelowAndLeader) => "below, leader",
            Some(Reach::OwnTask) => "own task",
        });
        writeln!(page, "| `{}` | {} |", tool.name(), cells.join(" | ")).unwrap();
    }
    page.push_str("\n## Who may start whom\n\nBy the role of who leads the new one: the caller, or the instance in `parentId`.\n\n");
    let started = Role::ALL.iter().filter(|role| **role != Role::Operator);
    let started: Vec<Role> = started.copied().collect();
    let words: Vec<&str> = started.iter().map(|role| role.word()).collect();
    writeln!(
        page,
        "| leader | {} |\n| --- | --- | --- | --- |",
        words.join(" | ")
    )
    .unwrap();
    for leader in Role::ALL {
        let cells: Vec<&str> = started
            .iter()
            .map(|role| match may_spawn(leader).contains(role) {
                true => "yes",
                false => "–",
            })
            .collect();
        writeln!(page, "| {} | {} |", leader.word(), cells.join(" | ")).unwrap();
    }
    page
}

#[test]
fn the_table_of_roles_is_the_one_that_is_checked_in() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/fleet-roles.md");
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    let page = page();
    if kept != page {
        std::fs::write(path, &page).unwrap();
    }
    assert_eq!(
        kept, page,
        "docs/fleet-roles.md was written anew: look at what has changed in it"
    );
}

#[test]
fn s03_s09_a_specialist_has_report_result_and_nothing_else() {
    let listed = listed(Role::Specialist);
    assert_eq!(listed, Value::Array(vec![definition(Tool::ReportResult)]));
    assert!(may_spawn(Role::Specialist).is_empty());
}

#[test]
fn s04_who_leads_is_shown_every_tool_but_the_one_of_specialists() {
    for role in [Role::Operator, Role::Executive, Role::Manager] {
        let shown: Vec<&str> = tools_of(role).map(Tool::name).collect();
        let basic = ["spawn", "send", "read", "list", "terminate", "restart"];
        assert_eq!(shown[..6], basic, "{role:?}");
        assert_eq!(shown.len(), Tool::ALL.len() - 1, "{role:?}");
    }
}

#[test]
fn nobody_starts_an_operator_or_one_of_their_own_rank() {
    for leader in Role::ALL {
        assert!(
            may_spawn(leader).iter().all(|role| *role > leader),
            "{leader:?}"
        );
    }
}
