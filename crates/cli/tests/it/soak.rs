//! A few seconds of what `make soak` does for ten minutes.

use std::path::Path;
use std::time::Duration;

use provost_testkit::process::fixture_program;
use provost_testkit::soak::{self, Plan};

#[tokio::test]
async fn mutated_traffic_moves_nothing() {
    let plan = Plan {
        program: Path::new(env!("CARGO_BIN_EXE_provost")).to_owned(),
        fixture: fixture_program(),
        duration: Duration::from_secs(6),
        // `make soak` rolls others.
        seed: 20_251_125,
        senders: 2,
    };
    let report = soak::run(&plan).await.unwrap();
    println!("{report}");
}
