//! What changes while something is awaited: nothing is decided with what was
//! true before, and what ended meanwhile says so.

/// One promise on each face, towards servers of both kinds where it loops over them.
macro_rules! on_each_face {
    ($promise:ident) => {
        mod $promise {
            use crate::harness::Face;

            #[tokio::test]
            async fn http() {
                super::$promise(Face::Http).await;
            }

            #[tokio::test]
            async fn stdio() {
                super::$promise(Face::Stdio).await;
            }
        }
    };
}

mod asked;
mod d14;
mod d15;
mod d24;
mod d26;
mod d28;
mod d81;
mod tokens;
// What keeps a call waiting there only does so on Linux.
#[cfg(target_os = "linux")]
mod turn;

use std::path::PathBuf;

use crate::harness::*;
use provost_testkit::fixture::Options;
use provost_testkit::wait_until;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Holds requests of one method back at the server, until it is opened.
struct Dam {
    directory: TempDir,
}

impl Dam {
    fn new() -> Dam {
        let directory = tempfile::tempdir().unwrap();
        Dam { directory }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("open")
    }

    /// A server that answers `method` only once this is open.
    fn before(&self, method: &str, options: Options) -> Options {
        Options {
            on: method.to_owned(),
            until: Some(self.file()),
            ..options
        }
    }

    /// Arguments of the tool `slow` that let it end once this is open.
    fn until(&self) -> Value {
        json!({"ms": 60_000, "until": self.file()})
    }

    fn open(&self) {
        std::fs::write(self.file(), "").unwrap();
    }

    fn shut(&self) {
        std::fs::remove_file(self.file()).unwrap();
    }
}

/// A scene whose agent has said nothing yet, before a server that holds `method` back.
fn held(face: Face, kind: Kind, dam: &Dam, method: &str, policy: Value) -> Scene {
    let options = dam.before(method, Options::modern());
    let setup = Setup::modern(policy).options(options);
    Scene::before_initialize(face, kind, setup)
}

/// Waits until a request of this method has reached the server.
async fn asked(scene: &Scene, method: &str) {
    let what = format!("`{method}` has arrived");
    wait_until(&what, || !scene.upstream.requests(method).is_empty()).await;
}
