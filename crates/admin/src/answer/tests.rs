use provost_store::Store;

use super::*;
use crate::{
    ActorKind, ExportFormat, FailureKind, GrantList, GrantMint, GrantName, GrantRevoke, Listing,
    PAGE, PolicyHistory, PolicyList, PolicyPut, Role, Sequence, ServerAdd, ServerList, Shadow,
    Status, Transport, open,
};

const ALLOW: &str = r#"{"version":"1","default":"allow"}"#;

fn store() -> (tempfile::TempDir, Store) {
    let scratch = tempfile::tempdir().unwrap();
    let locations = Locations {
        data: scratch.path().join("data"),
        config: scratch.path().join("config"),
    };
    let store = open(&locations, RequestKind::ServerAdd).unwrap();
    (scratch, store)
}

fn ask<R: Request>(store: &Store, request: R) -> R::Answer {
    let answered = Administration::of(store).answer(&Actor::local(), request);
    answered.unwrap()
}

fn server(name: &str) -> ServerAdd {
    ServerAdd {
        name: name.into(),
        transport: Transport::Http {
            url: "http://127.0.0.1:9/mcp".into(),
        },
        headers: Vec::new(),
        query: Vec::new(),
        environment: Vec::new(),
    }
}

fn policy(name: &str, text: &str) -> PolicyPut {
    PolicyPut {
        server: "a".into(),
        name: name.into(),
        text: text.into(),
        description: None,
    }
}

fn grant(label: &str) -> GrantMint {
    GrantMint {
        server: "a".into(),
        label: label.into(),
        policy: None,
        shadow: Shadow::Enforced,
        lifetime: None,
    }
}

/// Everything that is listed, two at a time.
fn in_pairs<L: Listing>(store: &Store, mut listing: L) -> Vec<L::Item> {
    listing.paging().limit = Some(2);
    let mut all = Vec::new();
    loop {
        let page = ask(store, listing.clone());
        assert!(page.items.len() <= 2);
        all.extend(page.items);
        match page.next {
            None => return all,
            next => listing.paging().cursor = next,
        }
    }
}

#[test]
fn d63_lists_come_in_pages_and_nothing_is_left_out() {
    let (_scratch, store) = store();
    for name in ["c", "a", "e", "a-b", "d"] {
        ask(&store, server(name));
    }
    for label in ["one", "two", "three", "four"] {
        ask(&store, grant(label));
        ask(&store, policy(label, ALLOW));
    }
    let texts = (0..5).map(|number| {
        ALLOW.replace(
            "\"allow\"",
            &format!("\"allow\",\"description\":\"{number}\""),
        )
    });
    texts.for_each(|text| drop(ask(&store, policy("one", &text))));
    let revoke = GrantRevoke {
        grant: GrantName {
            name: "two".into(),
            server: None,
        },
    };
    ask(&store, revoke);

    let servers = in_pairs(&store, ServerList::default());
    let servers: Vec<_> = servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(servers, ["a", "a-b", "c", "d", "e"]);
    let grants = in_pairs(&store, GrantList::default());
    let grants: Vec<_> = grants.iter().map(|grant| grant.label.as_str()).collect();
    assert_eq!(grants, ["one", "three", "four", "two"]);
    let policies = in_pairs(&store, PolicyList::default());
    let policies: Vec<_> = policies.iter().map(|policy| policy.name.as_str()).collect();
    assert_eq!(policies, ["four", "one", "three", "two"]);
    let history = PolicyHistory {
        server: "a".into(),
        name: "one".into(),
        page: crate::Paging::default(),
    };
    let versions: Vec<_> = in_pairs(&store, history)
        .iter()
        .map(|version| (version.version, version.current))
        .collect();
    assert_eq!(versions.len(), 6);
    assert_eq!(versions.first(), Some(&(6, true)));
    assert_eq!(versions.last(), Some(&(1, false)));
}

#[test]
fn d63_a_page_has_a_bound_and_a_cursor_a_form() {
    let (_scratch, store) = store();
    let mut listing = GrantList::default();
    listing.page.limit = Some(u32::MAX);
    assert_eq!(listing.page.limit(), PAGE as usize);
    listing.page.cursor = Some("nonsense".into());
    let refused = Administration::of(&store).answer(&Actor::local(), listing);
    assert_eq!(refused.unwrap_err().kind, FailureKind::Usage);
    let log = Log {
        order: Sequence::OldestFirst,
        page: crate::Paging {
            cursor: Some("x".into()),
            limit: None,
        },
        ..Log::default()
    };
    let refused = Administration::of(&store).answer(&Actor::local(), log);
    assert_eq!(refused.unwrap_err().kind, FailureKind::Usage);
}

#[test]
fn d63_a_grant_does_not_outlive_the_calendar() {
    let (_scratch, store) = store();
    ask(&store, server("a"));
    let mint = |lifetime| GrantMint {
        server: "a".into(),
        label: "l".into(),
        policy: None,
        shadow: Shadow::Enforced,
        lifetime: Some(lifetime),
    };
    for lifetime in [u64::MAX, 1 << 63, 101 * 366 * 24 * 3_600 * 1_000_000] {
        let refused = Administration::of(&store).answer(&Actor::local(), mint(lifetime));
        assert_eq!(refused.unwrap_err().kind, FailureKind::Usage);
    }
    ask(&store, mint(1_000_000));
}

#[test]
fn d63_what_somebody_does_is_recorded_in_their_name_and_what_they_may_not_do_is_not_done() {
    let (_scratch, store) = store();
    ask(&store, server("a"));
    let vera = Actor {
        kind: ActorKind::Person,
        id: "vera".into(),
        role: Role::PolicyManager,
    };
    let administration = Administration::of(&store);
    administration.answer(&vera, policy("p", ALLOW)).unwrap();
    let refused = administration.answer_any(&vera, grant("hers").into());
    assert_eq!(refused.unwrap_err().kind, FailureKind::Refused);
    let everything = AuditExport {
        format: ExportFormat::Jsonl,
        since: None,
        server: None,
        grant: None,
    };
    let mut out = Vec::new();
    let refused = administration.export(&vera, &everything, &mut out);
    assert!(refused.is_err() && out.is_empty());

    administration
        .export(&Actor::local(), &everything, &mut out)
        .unwrap();
    let acts: Vec<(String, String)> = String::from_utf8(out)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["kind"] == "act")
        .map(|line| (line["who"].to_string(), line["what"].to_string()))
        .collect();
    let act = |who: &str, what: &str| (format!("\"{who}\""), format!("\"{what}\""));
    assert!(acts.contains(&act("admin", "server.add")), "{acts:?}");
    assert!(acts.contains(&act("person:vera", "policy.put")), "{acts:?}");
    assert!(
        !acts.iter().any(|(_, what)| what.contains("grant")),
        "{acts:?}"
    );
}

#[test]
fn d63_what_only_a_daemon_can_answer_needs_one() {
    let (_scratch, store) = store();
    let refused = Administration::of(&store).answer(&Actor::local(), Status {});
    assert_eq!(refused.unwrap_err().kind, FailureKind::Unavailable);
    assert!(RequestKind::Status.needs_daemon());
}

#[test]
fn d78_every_act_stands_in_the_description_of_the_journal() {
    let text = include_str!("../../../../docs/journal.md");
    for act in provost_store::Act::ALL {
        let name = act.name();
        assert!(
            text.contains(&format!("`{name}`")),
            "`{name}` is not described"
        );
    }
}
