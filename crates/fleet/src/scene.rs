//! A fleet in a scratch directory, for the tests of this room.

use provost_store::GrantId;
use provost_store::fleet::{FleetDatabase, Instance, InstanceId, NewInstance, Role, Workspace};

use crate::refusal::Refusal;
use crate::rules::{Caller, Limits, SPAWN_WINDOW, admitted};

pub(crate) fn grant(id: &str) -> GrantId {
    GrantId(id.to_owned().into())
}

pub(crate) struct Opened {
    directory: tempfile::TempDir,
    pub(crate) store: provost_store::Store,
}

pub(crate) fn opened() -> Opened {
    let directory = tempfile::tempdir().unwrap();
    let locations = provost_store::Locations {
        data: directory.path().join("data"),
        config: directory.path().join("config"),
    };
    let store = provost_store::Store::open(&locations).unwrap();
    Opened { directory, store }
}

impl Opened {
    /// Makes one as the tool does.
    pub(crate) fn spawn(
        &self,
        limits: &Limits,
        role: Role,
        parent: Option<&InstanceId>,
    ) -> Result<Instance, Refusal> {
        let new = NewInstance {
            role,
            parent: parent.cloned(),
            root: grant("g-1"),
            agent: "claude".into(),
            work_dir: self.directory.path().to_str().unwrap().to_owned(),
            context: String::new(),
            workspace: Workspace::Isolated,
        };
        let made =
            self.store
                .fleet()
                .create(&new, 10 * SPAWN_WINDOW, 9 * SPAWN_WINDOW, |standing| {
                    admitted(limits, Role::Operator, &new, standing)
                });
        made.unwrap()
    }
}

impl Opened {
    pub(crate) fn fleet(&self) -> &FleetDatabase {
        self.store.fleet()
    }

    /// `exec_1`, `mgr_1_2` and `mgr_1_3` below it, and `spec_1_2_4`.
    pub(crate) fn with_four(self) -> Self {
        let limits = Limits::default();
        for (role, parent) in [
            (Role::Executive, None),
            (Role::Manager, Some("exec_1")),
            (Role::Manager, Some("exec_1")),
            (Role::Specialist, Some("mgr_1_2")),
        ] {
            let parent = parent.map(|id| id.parse().unwrap());
            self.spawn(&limits, role, parent.as_ref()).unwrap();
        }
        self
    }

    pub(crate) fn caller(&self, id: &str) -> Caller {
        let found = self.fleet().instance(&id.parse().unwrap()).unwrap();
        Caller::Instance(Box::new(found.unwrap()))
    }
}

pub(crate) fn person() -> Caller {
    Caller::person(&grant("g-1"), "alice", Role::Operator)
}
