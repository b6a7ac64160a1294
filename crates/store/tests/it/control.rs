use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use provost_store::{
    Attachment, ChangeError, Deletion, Filter, GrantId, Minted, NewGrant, NewServer, Processes,
    Secret, ServerChange, Store, Transport,
};

use crate::harness::{admin, scratch};

const POLICY: &str = r#"{"version":"1","default":"deny","tools":{"list":{}}}"#;
const OTHER: &str = r#"{"version":"1","default":"allow"}"#;
const MINUTE: u64 = 60_000_000;

fn server(name: &str) -> NewServer {
    NewServer {
        name: name.to_owned(),
        transport: Transport::Http {
            url: "https://user:pw@mcp.example/mcp?key=hunter2".to_owned(),
        },
        headers: vec![
            ("X-Key".to_owned(), Secret::new("one")),
            ("A-Key".to_owned(), Secret::new("two")),
        ],
        query: Vec::new(),
        env: Vec::new(),
        description: None,
    }
}

fn grant(label: &str) -> NewGrant {
    NewGrant {
        server: "github".to_owned(),
        label: label.to_owned(),
        ..NewGrant::default()
    }
}

fn below(label: &str, parent: &Minted) -> NewGrant {
    NewGrant {
        parent: Some(parent.grant.id.clone()),
        ..grant(label)
    }
}

fn with(policy: Option<&str>, shadow: Option<&str>) -> Attachment {
    Attachment {
        policy: policy.map(str::to_owned),
        shadow: shadow.map(str::to_owned),
    }
}

fn open() -> (crate::harness::Scratch, Store) {
    let scratch = scratch();
    let store = scratch.open();
    store.add_server(&admin(), server("github")).unwrap();
    (scratch, store)
}

/// What the journal says was done, as `what target`.
fn acts(store: &Store) -> Vec<String> {
    let mut out = Vec::new();
    store
        .audit_export(
            provost_store::ExportFormat::Jsonl,
            &provost_store::Filter::default(),
            &mut out,
        )
        .unwrap();
    let text = String::from_utf8(out).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let acts = lines.filter(|line| line["kind"] == "act" && line["who"] == "test");
    acts.map(|line| {
        format!(
            "{} {}",
            line["what"].as_str().unwrap(),
            line["target"].as_str().unwrap()
        )
    })
    .collect()
}

#[test]
fn servers_come_and_go() {
    let (_scratch, store) = open();
    let found = store.server("github").unwrap();
    let headers: Vec<_> = found
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.expose()))
        .collect();
    assert_eq!(headers, [("X-Key", "one"), ("A-Key", "two")]);
    assert!(matches!(
        store.add_server(&admin(), server("github")),
        Err(ChangeError::ServerExists { .. })
    ));
    let stdio = Transport::Stdio {
        command: "npx".to_owned(),
        args: vec!["-y".to_owned(), "server".to_owned()],
        cwd: Some("/srv".into()),
        processes: Processes::Grant,
    };
    let change = ServerChange {
        transport: Some(stdio.clone()),
        headers: Some(Vec::new()),
        ..ServerChange::default()
    };
    let changed = store.set_server(&admin(), "github", change).unwrap();
    assert_eq!(
        (changed.id, changed.transport, changed.headers.len()),
        (found.id, Some(stdio), 0)
    );
    let minted = store.mint_grant(&admin(), grant("ci")).unwrap();
    let removed = store.remove_server(&admin(), "github").unwrap();
    assert_eq!(removed.grants, vec![minted.grant.id.clone()]);
    assert!(matches!(
        store.server("github"),
        Err(ChangeError::NoServer { .. })
    ));
    assert!(
        store
            .directory()
            .unwrap()
            .authenticate(minted.token.expose(), 0)
            .is_none()
    );
    let again = store.add_server(&admin(), server("github")).unwrap();
    assert!(store.grants(Some("github")).unwrap().is_empty());
    assert!(store.grants(None).unwrap()[0].revoked.is_some());
    assert_eq!(store.servers().unwrap().len(), 1);
    assert_ne!(again.id, minted.grant.server);
}

#[test]
fn names_of_servers_are_checked() {
    let (_scratch, store) = open();
    for name in [
        "",
        "Github",
        "a b",
        "fleet",
        "native",
        "catalog",
        "-a",
        "a-",
        "a/b",
        "ä",
        &"a".repeat(65),
    ] {
        let error = store.add_server(&admin(), server(name)).unwrap_err();
        assert!(matches!(error, ChangeError::Name { .. }), "{name}: {error}");
    }
    let twice = NewServer {
        env: vec![("A".into(), Secret::new("")), ("A".into(), Secret::new(""))],
        ..server("b")
    };
    assert!(matches!(
        store.add_server(&admin(), twice),
        Err(ChangeError::Name { .. })
    ));
}

#[test]
fn a_label_has_as_many_characters_whatever_their_bytes() {
    let (_scratch, store) = open();
    let mint = |label: String| {
        let new = NewGrant {
            server: "github".to_owned(),
            label,
            ..NewGrant::default()
        };
        store.mint_grant(&admin(), new)
    };
    assert!(mint("ü".repeat(100)).is_ok());
    for label in [
        "ü".repeat(101),
        "a".repeat(101),
        String::new(),
        " ".to_owned(),
    ] {
        let error = mint(label).unwrap_err();
        assert!(
            matches!(error, ChangeError::LabelLength { most: 100 }),
            "{error}"
        );
    }
}

#[test]
fn policies_have_versions_and_history() {
    let (_scratch, store) = open();
    let put = |text| {
        store
            .put_policy(&admin(), "github", "team", text, Some("for the team"))
            .unwrap()
    };
    let first = put(POLICY);
    assert!(first.new);
    assert!(!put(POLICY).new, "the same text makes no version");
    assert_eq!(put(OTHER).current.version, 2);
    let back = store
        .rollback_policy(&admin(), "github", "team", 1)
        .unwrap();
    assert_eq!((back.current.version, &*back.current.text), (3, POLICY));
    let history = store.policy_history("github", "team").unwrap();
    let versions: Vec<_> = history.iter().map(|version| version.version).collect();
    assert_eq!(versions, [3, 2, 1]);
    assert_eq!(
        &*store.policy("github", "team", Some(2)).unwrap().text,
        OTHER
    );
    assert_eq!(history[2].description.as_deref(), Some("for the team"));
    assert_eq!(history[2].by, "test");
    assert!(matches!(
        store.policy("github", "team", Some(9)),
        Err(ChangeError::NoVersion { .. })
    ));
    assert_eq!(store.policies(Some("github")).unwrap().len(), 1);
}

#[test]
fn a_text_that_is_no_policy_is_refused_with_all_its_faults() {
    let (_scratch, store) = open();
    let text = r#"{"version":"1","default":"maybe","surprise":1}"#;
    let error = store
        .put_policy(&admin(), "github", "team", text, None)
        .unwrap_err();
    let ChangeError::PolicyRefused { problems, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(matches!(
        store.policy("github", "team", None),
        Err(ChangeError::NoPolicy { .. })
    ));
}

#[test]
fn a_policy_in_use_is_deleted_only_by_force_and_its_versions_go_on() {
    let (_scratch, store) = open();
    store
        .put_policy(&admin(), "github", "team", POLICY, None)
        .unwrap();
    let minted = store
        .mint_grant(
            &admin(),
            NewGrant {
                attachment: with(Some("team"), None),
                ..grant("ci")
            },
        )
        .unwrap();
    let error = store
        .delete_policy(&admin(), "github", "team", Deletion::IfUnused)
        .unwrap_err();
    assert!(error.to_string().ends_with("is used by `ci`"), "{error}");
    store
        .delete_policy(&admin(), "github", "team", Deletion::EvenIfUsed)
        .unwrap();
    let directory = store.directory().unwrap();
    let left = directory.grant(&minted.grant.id).unwrap();
    assert!(
        left.policy.is_none() && left.shadow.is_none(),
        "it denies everything now"
    );
    let again = store
        .put_policy(&admin(), "github", "team", POLICY, None)
        .unwrap();
    assert_eq!(again.current.version, 2, "a version never means two texts");
}

#[test]
fn a_draft_is_not_left_alone_when_the_policy_goes() {
    let (_scratch, store) = open();
    for name in ["team", "draft"] {
        store
            .put_policy(&admin(), "github", name, POLICY, None)
            .unwrap();
    }
    let minted = store
        .mint_grant(
            &admin(),
            NewGrant {
                attachment: with(Some("team"), Some("draft")),
                ..grant("ci")
            },
        )
        .unwrap();
    store
        .delete_policy(&admin(), "github", "team", Deletion::EvenIfUsed)
        .unwrap();
    let directory = store.directory().unwrap();
    let left = directory.grant(&minted.grant.id).unwrap();
    assert!(left.policy.is_none() && left.shadow.is_none());
}

#[test]
fn a_token_opens_its_grant_until_it_is_rotated_or_revoked() {
    let (_scratch, store) = open();
    store
        .put_policy(&admin(), "github", "team", POLICY, None)
        .unwrap();
    let minted = store
        .mint_grant(
            &admin(),
            NewGrant {
                attachment: with(Some("team"), Some("team")),
                ..grant("ci")
            },
        )
        .unwrap();
    let token = minted.token.expose();
    assert!(
        token.starts_with("pv_") && token.len() == 3 + 43,
        "{}",
        token.len()
    );
    let now = store.clock().now().wall;
    let opens = |token: &Secret| {
        store
            .directory()
            .unwrap()
            .authenticate(token.expose(), now)
            .map(|grant| grant.id.clone())
    };
    assert_eq!(opens(&minted.token), Some(minted.grant.id.clone()));
    assert_eq!(opens(&Secret::new("pv_other")), None);
    let directory = store.directory().unwrap();
    let grant = directory.grant(&minted.grant.id).unwrap();
    assert_eq!(grant.policy.as_ref().unwrap().version, 1);

    let rotated = store.rotate_grant(&admin(), &minted.grant.id).unwrap();
    assert_eq!(
        (opens(&minted.token), opens(&rotated.token)),
        (None, Some(minted.grant.id.clone()))
    );
    assert_eq!(
        store.reveal_grant(&admin(), &minted.grant.id).unwrap(),
        rotated.token
    );
    store.revoke_grant(&admin(), &minted.grant.id).unwrap();
    assert_eq!(opens(&rotated.token), None);
    assert!(matches!(
        store.reveal_grant(&admin(), &minted.grant.id),
        Err(ChangeError::NoGrant { .. })
    ));
    assert!(matches!(
        store.revoke_grant(&admin(), &minted.grant.id),
        Err(ChangeError::NoGrant { .. })
    ));
}

#[test]
fn a_new_version_reaches_every_grant_that_has_the_policy() {
    let (_scratch, store) = open();
    store
        .put_policy(&admin(), "github", "team", POLICY, None)
        .unwrap();
    let minted = store
        .mint_grant(
            &admin(),
            NewGrant {
                attachment: with(Some("team"), None),
                ..grant("ci")
            },
        )
        .unwrap();
    store
        .put_policy(&admin(), "github", "team", OTHER, None)
        .unwrap();
    let directory = store.directory().unwrap();
    assert_eq!(
        &*directory
            .grant(&minted.grant.id)
            .unwrap()
            .policy
            .as_ref()
            .unwrap()
            .text,
        OTHER
    );
    store
        .attach_policy(&admin(), &minted.grant.id, with(None, Some("team")))
        .unwrap();
    let directory = store.directory().unwrap();
    let grant = directory.grant(&minted.grant.id).unwrap();
    assert!(grant.policy.is_none() && grant.shadow.is_some());
    let missing = store.attach_policy(&admin(), &minted.grant.id, with(Some("none"), None));
    assert!(matches!(missing, Err(ChangeError::NoPolicy { .. })));
}

#[test]
fn revoking_takes_everything_below() {
    let (_scratch, store) = open();
    let top = store.mint_grant(&admin(), grant("executive")).unwrap();
    let middle = store.mint_grant(&admin(), below("manager", &top)).unwrap();
    let low = store
        .mint_grant(&admin(), below("specialist", &middle))
        .unwrap();
    let other = store.mint_grant(&admin(), grant("other")).unwrap();
    let chain: Vec<GrantId> = store
        .directory()
        .unwrap()
        .chain(&low.grant.id)
        .map(|grant| grant.id.clone())
        .collect();
    assert_eq!(
        chain,
        [&low, &middle, &top].map(|minted| minted.grant.id.clone())
    );
    let revoked = store.revoke_grant(&admin(), &top.grant.id).unwrap();
    assert_eq!(
        revoked,
        [&top, &middle, &low].map(|minted| minted.grant.id.clone())
    );
    let directory = store.directory().unwrap();
    assert!(directory.grant(&low.grant.id).is_none());
    assert!(directory.grant(&other.grant.id).is_some());
    let orphan = store.mint_grant(&admin(), below("late", &top));
    assert!(matches!(orphan, Err(ChangeError::NoGrant { .. })));
}

#[test]
fn an_expired_grant_is_dead_with_all_below_and_frees_its_label() {
    let (_scratch, store) = open();
    let now = store.clock().now().wall;
    let soon = NewGrant {
        expires: Some(now + 60 * MINUTE),
        ..grant("ci")
    };
    let top = store.mint_grant(&admin(), soon).unwrap();
    let low = store.mint_grant(&admin(), below("low", &top)).unwrap();
    let directory = store.directory().unwrap();
    assert!(directory.authenticate(low.token.expose(), now).is_some());
    assert!(
        directory
            .authenticate(low.token.expose(), now + 60 * MINUTE)
            .is_none()
    );
    let past = NewGrant {
        expires: Some(now - 1),
        ..grant("late")
    };
    assert!(matches!(
        store.mint_grant(&admin(), past),
        Err(ChangeError::Expired)
    ));
    assert!(matches!(
        store.mint_grant(&admin(), grant("ci")),
        Err(ChangeError::GrantExists { .. })
    ));
}

#[test]
fn labels_are_found_and_ambiguous_ones_are_not_guessed() {
    let (_scratch, store) = open();
    store.add_server(&admin(), server("gitlab")).unwrap();
    let one = store.mint_grant(&admin(), grant("ci")).unwrap();
    let other = NewGrant {
        server: "gitlab".to_owned(),
        ..grant("ci")
    };
    store.mint_grant(&admin(), other).unwrap();
    assert!(matches!(
        store.find_grant(None, "ci"),
        Err(ChangeError::GrantUnclear { .. })
    ));
    assert_eq!(
        store.find_grant(Some("github"), "ci").unwrap().id,
        one.grant.id
    );
    assert_eq!(
        store.find_grant(None, one.grant.id.as_str()).unwrap().id,
        one.grant.id
    );
    assert!(matches!(
        store.find_grant(None, "nobody"),
        Err(ChangeError::NoGrant { .. })
    ));
}

#[test]
fn every_change_is_recorded_counted_and_told() {
    let (_scratch, store) = open();
    let told = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&told);
    store.on_change(Box::new(move || {
        counter.fetch_add(1, Ordering::SeqCst);
    }));
    let before = store.revision();
    store
        .put_policy(&admin(), "github", "team", POLICY, None)
        .unwrap();
    store
        .put_policy(&admin(), "github", "team", POLICY, None)
        .unwrap();
    let minted = store.mint_grant(&admin(), grant("ci")).unwrap();
    assert!(store.mint_grant(&admin(), grant("ci")).is_err());
    store.reveal_grant(&admin(), &minted.grant.id).unwrap();
    store.revoke_grant(&admin(), &minted.grant.id).unwrap();
    assert_eq!(
        (store.revision() - before, told.load(Ordering::SeqCst)),
        (3, 3)
    );
    assert_eq!(store.directory().unwrap().generation, store.generation());
    assert_eq!(
        acts(&store),
        [
            "server.add github",
            "policy.put github/team",
            "grant.mint github/ci",
            "grant.reveal github/ci",
            "grant.revoke github/ci"
        ]
    );
}

#[test]
fn the_journal_of_changes_holds_no_secrets() {
    let (scratch, store) = open();
    store.mint_grant(&admin(), grant("ci")).unwrap();
    let text = std::fs::read_to_string(scratch.segment(1)).unwrap();
    assert!(text.contains("http https://mcp.example/mcp"));
    for secret in ["pw", "hunter2", "pv_", "one\""] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[test]
fn a_change_that_was_recorded_but_not_made_is_said_so() {
    let (scratch, store) = open();
    store.records(&Filter::default()).unwrap();
    // As it is when the process dies between the entry and the commit: the
    // journal has the change, the database does not.
    let crashed = scratch.copy();
    store.mint_grant(&admin(), grant("ci")).unwrap();
    let text = std::fs::read_to_string(scratch.segment(1)).unwrap();
    let (announced, made) = text.trim_end().rsplit_once('\n').unwrap();
    assert!(made.contains("\"t\":\"made\""), "{made}");
    std::fs::write(crashed.segment(1), format!("{announced}\n")).unwrap();
    drop(store);

    let store = crashed.open();
    assert!(store.grants(None).unwrap().is_empty());
    assert_eq!(
        acts(&store),
        [
            "server.add github",
            "grant.mint github/ci",
            "grant.mint github/ci"
        ]
    );
    let text = std::fs::read_to_string(crashed.segment(1)).unwrap();
    assert_eq!(text.matches("\"t\":\"undone\"").count(), 1);
    store.close();
    let store = crashed.open();
    store.mint_grant(&admin(), grant("ci")).unwrap();
    store.close();
    drop(crashed.open());
    let text = std::fs::read_to_string(crashed.segment(1)).unwrap();
    assert_eq!(text.matches("\"t\":\"undone\"").count(), 1, "said once");
}

/// Changes one character of a sealed value in the database file; the store is closed.
fn damage(scratch: &crate::harness::Scratch, name: &str) {
    let path = scratch.locations.data.join("provost.db");
    let database = rusqlite::Connection::open(path).unwrap();
    let changed = database
        .execute("UPDATE secrets SET sealed = substr(sealed, 1, 20) || 'AAAA' || substr(sealed, 25) WHERE name = ?1", [name])
        .unwrap();
    assert_eq!(changed, 1);
}

#[test]
fn d03_a_sealed_value_that_does_not_open_concerns_its_server_alone() {
    let (scratch, store) = open();
    store.add_server(&admin(), server("other")).unwrap();
    let wish = NewServer {
        headers: vec![("X-Lost".to_owned(), Secret::new("three"))],
        ..server("broken")
    };
    store.add_server(&admin(), wish).unwrap();
    let minted = store.mint_grant(&admin(), grant("ci")).unwrap();
    store.close();
    damage(&scratch, "X-Lost");

    let store = scratch.open();
    let directory = store.directory().unwrap();
    let said = |name: &str| {
        let found = directory.server_named(name).unwrap();
        let said = found.unreadable.iter().map(ToString::to_string);
        said.collect::<Vec<_>>()
    };
    assert_eq!(
        said("broken"),
        ["header `X-Lost` cannot be opened: it was changed, or belongs elsewhere"]
    );
    assert!(said("github").is_empty() && said("other").is_empty());
    assert!(directory.grant(&minted.grant.id).is_some());
    store.revoke_grant(&admin(), &minted.grant.id).unwrap();
    assert!(store.directory().unwrap().grant(&minted.grant.id).is_none());

    // Given anew it is whole again.
    let change = ServerChange {
        headers: Some(vec![("X-Lost".to_owned(), Secret::new("four"))]),
        ..ServerChange::default()
    };
    let mended = store.set_server(&admin(), "broken", change).unwrap();
    assert!(mended.unreadable.is_empty());
}

#[test]
fn d03_a_lost_value_stops_neither_a_new_key_nor_the_next_start() {
    let (scratch, store) = open();
    store.close();
    damage(&scratch, "X-Key");

    let store = scratch.open();
    store.rotate_key(&admin()).unwrap();
    store.close();
    let store = scratch.open();
    store.records(&Filter::default()).unwrap();
    let database = rusqlite::Connection::open(scratch.locations.data.join("provost.db")).unwrap();
    let rotations: Vec<String> = database
        .prepare("SELECT detail FROM acts WHERE what = 'key.rotate' ORDER BY n")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(
        rotations,
        ["1 values sealed again, 1 do not open"],
        "and no entry at each start"
    );
    let found = store.server("github").unwrap();
    assert_eq!((found.headers.len(), found.unreadable.len()), (1, 1));
}

#[test]
fn d03_a_transport_that_cannot_be_read_concerns_its_server_alone() {
    let (scratch, store) = open();
    store.add_server(&admin(), server("other")).unwrap();
    store.close();
    let database = rusqlite::Connection::open(scratch.locations.data.join("provost.db")).unwrap();
    database
        .execute("UPDATE servers SET transport = '{}' WHERE id = (SELECT id FROM names WHERE name = 'other')", [])
        .unwrap();

    let store = scratch.open();
    let directory = store.directory().unwrap();
    let broken = directory.server_named("other").unwrap();
    assert_eq!(
        (broken.transport.clone(), broken.unreadable.len()),
        (None, 1)
    );
    assert!(
        directory
            .server_named("github")
            .unwrap()
            .unreadable
            .is_empty()
    );
}

/// The form of before: a flag that says whether everybody shares a process.
#[test]
fn d41_transports_of_before_keep_their_meaning() {
    let read = |member: &str| -> Processes {
        let text = format!(r#"{{"stdio":{{"command":"x","args":[],"cwd":null,{member}}}}}"#);
        match serde_json::from_str(&text).unwrap() {
            Transport::Stdio { processes, .. } => processes,
            Transport::Http { .. } | Transport::Builtin => panic!("it is a program"),
        }
    };
    assert_eq!(read(r#""shared":true"#), Processes::Shared);
    assert_eq!(read(r#""shared":false"#), Processes::Session);
    for processes in [Processes::Session, Processes::Grant, Processes::Shared] {
        let written = serde_json::to_string(&processes).unwrap();
        assert_eq!(read(&format!(r#""processes":{written}"#)), processes);
    }
}

/// Everything of a directory that decides something.
fn all_of(directory: &provost_store::Directory) -> Vec<String> {
    let policy = |policy: &Option<std::sync::Arc<provost_store::PolicyVersion>>| {
        policy
            .as_ref()
            .map(|it| (it.name.clone(), it.version, it.text.clone()))
    };
    let grants = directory.grants().map(|grant| {
        format!(
            "{} {} {} {:?} {:?} {:?} {:?}",
            grant.id,
            grant.label,
            grant.server_name,
            grant.parent,
            grant.expires,
            policy(&grant.policy),
            policy(&grant.shadow)
        )
    });
    let servers = directory.servers().map(|server| format!("{server:?}"));
    let mut all: Vec<_> = grants.chain(servers).collect();
    all.sort();
    all
}

#[test]
fn d62_what_a_change_reaches_is_read_again_and_nothing_else() {
    use provost_store::Touched;
    let (scratch, store) = open();
    let policy = |store: &Store, text: &str| {
        store
            .put_policy(&admin(), "github", "team", text, None)
            .unwrap();
    };
    policy(&store, r#"{"version":"1","default":"deny"}"#);
    store.add_server(&admin(), server("files")).unwrap();
    let mut before = store.directory().unwrap();
    // After each change: what is kept is what is read anew, and it is known who
    // was reached.
    let mut reached = |what: &str| -> Vec<String> {
        let (now, touched) = store.directory_since(Some(before.generation)).unwrap();
        let anew = scratch.copy().open();
        assert_eq!(all_of(&now), all_of(&anew.directory().unwrap()), "{what}");
        before = now;
        match touched {
            Touched::All => panic!("{what}: all"),
            Touched::These { servers, grants } => {
                let servers = servers.iter().map(|_| "server".to_owned());
                let label = |id| {
                    store
                        .grants(None)
                        .unwrap()
                        .into_iter()
                        .find(|it| &it.grant.id == id)
                };
                let grants = grants
                    .iter()
                    .map(|id| label(id).unwrap().grant.label.to_string());
                let mut all: Vec<_> = servers.chain(grants).collect();
                all.sort();
                all
            }
        }
    };
    assert_eq!(reached("nothing"), [""; 0]);
    let top = store.mint_grant(&admin(), grant("top")).unwrap();
    assert_eq!(reached("mint"), ["top"]);
    let child = store.mint_grant(&admin(), below("child", &top)).unwrap();
    let other = store.mint_grant(&admin(), grant("other")).unwrap();
    assert_eq!(reached("mint twice"), ["child", "other"]);
    let team = with(Some("team"), None);
    store.attach_policy(&admin(), &top.grant.id, team).unwrap();
    assert_eq!(reached("attach"), ["child", "top"]);
    policy(&store, r#"{"version":"1","default":"allow"}"#);
    assert_eq!(reached("put"), ["child", "top"]);
    let rotated = store.rotate_grant(&admin(), &other.grant.id).unwrap();
    assert_eq!(reached("rotate"), ["other"]);
    let now = store.clock().now().wall;
    let directory = store.directory().unwrap();
    assert!(directory.authenticate(other.token.expose(), now).is_none());
    assert!(
        directory
            .authenticate(rotated.token.expose(), now)
            .is_some()
    );
    let headers = Some(vec![("A".to_owned(), provost_store::Secret::new("b"))]);
    let change = ServerChange {
        headers,
        ..ServerChange::default()
    };
    store.set_server(&admin(), "github", change).unwrap();
    assert_eq!(reached("set"), ["child", "other", "server", "top"]);
    store
        .delete_policy(&admin(), "github", "team", Deletion::EvenIfUsed)
        .unwrap();
    assert_eq!(reached("delete"), ["child", "top"]);
    store.revoke_grant(&admin(), &top.grant.id).unwrap();
    assert_eq!(reached("revoke"), ["child", "top"]);
    assert!(!store.directory().unwrap().live(&child.grant.id, now));
    store.remove_server(&admin(), "github").unwrap();
    assert_eq!(reached("remove"), ["other", "server"]);
    // What is too long ago is not known one by one.
    let (_, touched) = store.directory_since(None).unwrap();
    assert_eq!(touched, Touched::All);
}
