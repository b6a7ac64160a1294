//! What the tools make of a terminal that fails, and of what was there before.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use provost_fleet::tools::Tool;
use provost_fleet::{
    Event, Failure, Fleet, InstanceId, Limits, Place, Places, SERVER, Settings, TerminalError,
    Windows, furnish,
};
use provost_store::fleet::{MessageState, MessageStep, NewMessage, Priority, Sender, TaskState};
use provost_store::{Actor, Attachment, GrantId, Locations, NewGrant, Store};
use provost_testkit::terminal::FakeTerminal;
use provost_testkit::wait_until;
use serde_json::{Value, json};
use tempfile::TempDir;

struct Scene {
    folder: TempDir,
    store: Store,
    terminal: FakeTerminal,
    fleet: Arc<Fleet<FakeTerminal>>,
    person: GrantId,
}

fn fleet_in(
    folder: &Path,
    store: &Store,
    windows: &[InstanceId],
) -> (FakeTerminal, Arc<Fleet<FakeTerminal>>) {
    let (terminal, events) = FakeTerminal::with(windows);
    let place = Place::create(folder.join("fleet")).unwrap();
    let wrapper = vec!["wrapper".into(), "agent".into()];
    let (windows, news) = Windows::take_over(terminal.clone(), events, place.clone(), wrapper);
    let settings = Settings {
        places: Places::new(&[folder.join("work")]).unwrap(),
        limits: Limits::default(),
        agents: BTreeMap::from([("a".to_owned(), vec!["agent".into()])]),
        agent: "a".to_owned(),
        environment: Vec::new(),
    };
    let fleet = Arc::new(Fleet::new(store.clone(), windows, place, settings));
    fleet.recover().unwrap();
    let following = Arc::clone(&fleet);
    tokio::spawn(async move { following.follow(news).await });
    (terminal, fleet)
}

impl Scene {
    fn new() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("work")).unwrap();
        let store = Store::open(&Locations {
            data: folder.path().join("data"),
            config: folder.path().join("config"),
        });
        let store = store.unwrap();
        furnish(&store).unwrap();
        let minted = store.mint_grant(
            &Actor::new("test"),
            NewGrant {
                server: SERVER.to_owned(),
                label: "alice".to_owned(),
                attachment: Attachment {
                    policy: Some("role-operator".to_owned()),
                    shadow: None,
                },
                ..NewGrant::default()
            },
        );
        let person = minted.unwrap().grant.id.clone();
        let (terminal, fleet) = fleet_in(folder.path(), &store, &[]);
        Scene {
            folder,
            store,
            terminal,
            fleet,
            person,
        }
    }

    /// Lets go of everything as a daemon does that is killed, and begins again with these windows.
    fn again(&mut self, windows: &[InstanceId]) {
        (self.terminal, self.fleet) = fleet_in(self.folder.path(), &self.store, windows);
    }

    async fn call(&self, tool: Tool, arguments: Value) -> Result<Value, Failure> {
        self.call_as(&self.person, tool, arguments).await
    }

    async fn call_as(
        &self,
        grant: &GrantId,
        tool: Tool,
        arguments: Value,
    ) -> Result<Value, Failure> {
        let answer = self
            .fleet
            .call(grant, tool, &arguments.to_string(), &|_, _| ())
            .await;
        Ok(answer?.structured().unwrap())
    }

    async fn refused(&self, tool: Tool, arguments: Value) -> String {
        self.call(tool, arguments).await.unwrap_err().words()
    }

    async fn spawn(&self, role: &str, more: Value) -> Value {
        self.call(Tool::Spawn, self.asked(role, more))
            .await
            .unwrap()
    }

    fn asked(&self, role: &str, more: Value) -> Value {
        let mut asked =
            json!({"role": role, "workDir": self.folder.path().join("work"), "context": "c"});
        for (name, value) in more.as_object().unwrap() {
            asked[name] = value.clone();
        }
        asked
    }

    /// Labels of the grants that are not revoked.
    fn grants(&self) -> Vec<String> {
        let all = self.store.grants(Some(SERVER)).unwrap().into_iter();
        let live = all.filter(|view| view.revoked.is_none());
        live.map(|view| view.grant.label.to_string()).collect()
    }
}

#[tokio::test]
async fn what_was_not_started_leaves_no_grant_and_is_not_listed() {
    let scene = Scene::new();
    scene
        .terminal
        .refuse_next(TerminalError::Refused("no room".to_owned()));
    let said = scene
        .refused(Tool::Spawn, scene.asked("manager", json!({})))
        .await;
    assert_eq!(
        said,
        "`mgr_1` was not started: the terminal refused: no room; ask your operator whether the agent is configured well"
    );
    assert_eq!(scene.grants(), ["alice"]);
    let listed = scene.call(Tool::List, json!({})).await.unwrap();
    assert_eq!(listed, json!({"instances": []}));
    assert!(
        !scene
            .folder
            .path()
            .join("fleet/instances/mgr_1/grant")
            .exists()
    );
    assert_eq!(
        scene.spawn("manager", json!({})).await["instanceId"],
        "mgr_2"
    );
    assert_eq!(scene.grants(), ["alice", "mgr_2"]);
}

#[tokio::test]
async fn a_directory_that_is_there_is_not_taken() {
    let scene = Scene::new();
    std::os::unix::fs::symlink("/", scene.folder.path().join("work/mgr_1")).unwrap();
    let said = scene
        .refused(Tool::Spawn, scene.asked("manager", json!({})))
        .await;
    assert!(
        said.starts_with("`mgr_1` was not started: its directory cannot be made: File exists"),
        "{said}"
    );
    assert!(scene.terminal.opened().is_empty());
}

#[tokio::test]
async fn a_text_that_was_not_typed_is_no_success_and_nothing_waits_behind_it() {
    let scene = Scene::new();
    scene.spawn("specialist", json!({})).await;
    scene
        .terminal
        .refuse_next(TerminalError::Refused("no room".to_owned()));
    let task = json!({"instanceId": "spec_1", "text": "count", "taskName": "counting"});
    let said = scene.refused(Tool::Send, task.clone()).await;
    assert_eq!(
        said,
        "the text did not get to `spec_1`: the terminal refused: no room; `list` shows the states, `restart` starts \
         what has ended"
    );
    let sent = scene.call(Tool::Send, task).await.unwrap();
    assert_eq!(
        sent,
        json!({"success": true, "messageId": "msg_2", "status": "delivered", "taskId": "task_2"})
    );
    let entered: Vec<String> = scene
        .terminal
        .entered()
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    assert_eq!(entered, ["count", "<Enter>"]);
    let rows = scene.store.fleet();
    let state = |name: &str| rows.task(name.parse().unwrap()).unwrap().unwrap().state;
    assert_eq!(
        (state("task_1"), state("task_2")),
        (TaskState::Cancelled, TaskState::Running)
    );
    let first = rows.message("msg_1".parse().unwrap()).unwrap().unwrap();
    assert_eq!(first.state, MessageState::Failed);
}

#[tokio::test]
async fn a_start_finds_what_lives_and_what_is_gone() {
    let mut scene = Scene::new();
    scene.spawn("manager", json!({})).await;
    scene
        .spawn("specialist", json!({"instruction": "count"}))
        .await;
    let (lives, gone): (InstanceId, InstanceId) =
        ("mgr_1".parse().unwrap(), "spec_2".parse().unwrap());
    let message = NewMessage {
        to: lives.clone(),
        from: Sender::Person("alice".to_owned()),
        text: "x".to_owned(),
        priority: Priority::Normal,
        copy_of: None,
    };
    let ids = scene.store.fleet().put_messages(&[message], 1).unwrap();
    scene
        .store
        .fleet()
        .step_message(ids[0], &MessageStep::Deliver, 1)
        .unwrap();
    scene.again(&[lives]);
    let listed = scene.call(Tool::List, json!({})).await.unwrap();
    let told: Vec<String> = listed["instances"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{} {}", row["instanceId"], row["status"]).replace('"', ""))
        .collect();
    assert_eq!(told, ["mgr_1 ready", "spec_2 dead"]);
    let waited = scene
        .call(Tool::Wait, json!({"taskId": "task_1"}))
        .await
        .unwrap();
    assert_eq!(
        waited["task"]["reason"],
        "`spec_2` ended: it ended while no daemon ran"
    );
    let message = scene.store.fleet().message(ids[0]).unwrap().unwrap();
    assert_eq!(
        message.reason.unwrap(),
        "the daemon ended while it was handed over; it may have arrived"
    );
    let said = scene
        .refused(
            Tool::Send,
            json!({"instanceId": gone.as_str(), "text": "x"}),
        )
        .await;
    assert!(said.starts_with("`spec_2` is dead, not running"), "{said}");
    assert!(scene.terminal.entered().is_empty());
}

#[tokio::test]
async fn an_end_is_noted_and_wakes_those_who_wait() {
    let scene = Scene::new();
    let made = scene
        .spawn("specialist", json!({"instruction": "count"}))
        .await;
    let (fleet, person, task) = (
        Arc::clone(&scene.fleet),
        scene.person.clone(),
        made["taskId"].clone(),
    );
    let waiting = tokio::spawn(async move {
        let asked = json!({"taskId": task}).to_string();
        fleet.call(&person, Tool::Wait, &asked, &|_, _| ()).await
    });
    scene
        .terminal
        .happen(Event::Closed("spec_1".parse().unwrap()))
        .await;
    let waited = waiting.await.unwrap().unwrap().structured().unwrap();
    assert_eq!(waited["task"]["status"], "failed", "{waited}");
    assert_eq!(
        waited["task"]["reason"],
        "`spec_1` ended: nobody knows how it ended"
    );
}

#[tokio::test]
async fn a_grant_of_nobody_opens_nothing() {
    let scene = Scene::new();
    scene.spawn("manager", json!({})).await;
    let rows = scene.store.fleet();
    let manager = rows.instance(&"mgr_1".parse().unwrap()).unwrap().unwrap();
    let grant = manager.grant.unwrap();
    scene
        .spawn("specialist", json!({"parentId": "mgr_1"}))
        .await;
    scene
        .call(Tool::Terminate, json!({"instanceId": "mgr_1"}))
        .await
        .unwrap();
    // It stands for the one below it.
    assert_eq!(scene.grants(), ["alice", "mgr_1", "spec_1_2"]);
    let refusal = scene.fleet.refuses(&grant, "list", "{}").unwrap();
    assert_eq!(
        format!("{refusal} {}", refusal.rule().unwrap()),
        "this grant is no instance's, or its instance has ended for good (role)"
    );
    assert!(scene.call_as(&grant, Tool::List, json!({})).await.is_err());
    scene
        .call(Tool::Terminate, json!({"instanceId": "spec_1_2"}))
        .await
        .unwrap();
    wait_until("both are revoked", || scene.grants() == ["alice"]).await;
}
