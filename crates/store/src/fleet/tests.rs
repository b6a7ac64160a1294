use std::path::Path;

use super::*;
use crate::GrantId;

mod damage;
mod instances;
mod messages;
mod property;
mod tasks;

const NOW: u64 = 1_000_000_000;
const MINUTE: u64 = 60_000_000;

struct Scratch {
    directory: tempfile::TempDir,
    fleet: FleetDatabase,
}

fn scratch() -> Scratch {
    let directory = tempfile::tempdir().unwrap();
    let fleet = FleetDatabase::new(directory.path());
    Scratch { directory, fleet }
}

impl Scratch {
    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Closes it and opens it again.
    fn reopen(&mut self) {
        self.fleet.close();
        self.fleet = FleetDatabase::new(self.directory.path());
    }
}

fn grant(id: &str) -> GrantId {
    GrantId(id.to_owned().into())
}

fn id(text: &str) -> InstanceId {
    text.parse().unwrap()
}

fn new(role: Role, parent: Option<&str>) -> NewInstance {
    NewInstance {
        role,
        parent: parent.map(id),
        root: grant("g-1"),
        agent: "claude".into(),
        work_dir: "/p".into(),
        context: "do it".into(),
        workspace: Workspace::Isolated,
    }
}

/// Lets it in under its number alone.
fn admit(standing: &Standing) -> Result<Admitted, String> {
    Ok(Admitted {
        id: id(&format!("i_{}", standing.number)),
        project: format!("/p/i_{}", standing.number),
    })
}

impl FleetDatabase {
    fn make(&self, new: &NewInstance) -> Instance {
        self.create(new, NOW, NOW - MINUTE, admit).unwrap().unwrap()
    }

    /// `i_1` with `i_2` and `i_3` below it, and `i_4` below `i_2`.
    fn make_four(&self) {
        self.make(&new(Role::Executive, None));
        self.make(&new(Role::Manager, Some("i_1")));
        self.make(&new(Role::Manager, Some("i_1")));
        self.make(&new(Role::Specialist, Some("i_2")));
    }

    fn listed(&self, whose: Whose<'_>) -> Vec<String> {
        self.chosen(whose, Listing::default())
    }

    fn chosen(&self, whose: Whose<'_>, which: Listing<'_>) -> Vec<String> {
        let found = self.instances(whose, which).unwrap();
        found.iter().map(|it| it.id.to_string()).collect()
    }

    fn terminate(&self, id: &InstanceId) -> Result<Instance, FleetError> {
        self.end_instance(id, End::Terminated, &ended("terminated"))
    }
}

fn ended(why: &str) -> Ended {
    Ended {
        at: NOW + 9,
        exit: None,
        why: why.to_owned(),
    }
}
