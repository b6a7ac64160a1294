use super::*;

/// Who may ask for what, as it is checked in: a change of permissions is a change of this file.
#[test]
fn the_authorization_matrix_is_the_one_that_is_checked_in() {
    let actor = |role| Actor {
        role,
        ..Actor::local()
    };
    let mut matrix = String::new();
    let mut kinds = RequestKind::ALL.to_vec();
    kinds.sort_by_key(|kind| kind.name());
    for kind in kinds {
        let cells = Role::ALL.map(|role| match actor(role).may(kind) {
            Ok(()) => role.name(),
            Err(_) => "-",
        });
        let recorded = if kind.is_recorded() { "recorded" } else { "" };
        let cells = cells.map(|cell| format!("{cell:<15}")).concat();
        let line = format!("{:<16} {cells}{recorded}", kind.name());
        matrix.push_str(line.trim_end());
        matrix.push('\n');
    }
    insta::with_settings!({ snapshot_path => "../..", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("authorization", matrix);
    });
}

#[test]
fn whoever_may_not_is_told_what_it_takes() {
    let viewer = Actor {
        kind: crate::ActorKind::Person,
        id: "vera".into(),
        role: Role::Viewer,
    };
    let refused = viewer.may(RequestKind::GrantMint).unwrap_err();
    assert_eq!(refused.kind, crate::FailureKind::Refused);
    assert_eq!(
        refused.causes,
        ["`grant_mint` needs the role `admin`, and theirs is `viewer`"]
    );
    assert!(viewer.may(RequestKind::GrantList).is_ok());
}

#[test]
fn a_name_on_the_wire_is_the_name_of_its_kind() {
    let head = AnyRequest::from(AuditHead {});
    let text = serde_json::to_string(&head).unwrap();
    assert_eq!(text, r#"{"request":"audit_head"}"#);
    assert_eq!(head.kind().name(), "audit_head");
    let back: AnyRequest = serde_json::from_str(&text).unwrap();
    assert_eq!(back.kind(), RequestKind::AuditHead);
    // What one side knows and the other does not is an error, not silence.
    let more = r#"{"request":"audit_head","fast":true}"#;
    assert!(serde_json::from_str::<AnyRequest>(more).is_err());
    for kind in RequestKind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
    }
}
