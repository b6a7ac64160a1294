use std::sync::mpsc::{RecvTimeoutError, channel};

use super::*;
use crate::{Locations, Store};

#[test]
fn a_sync_waits_for_the_one_that_is_under_way() {
    let scratch = tempfile::tempdir().unwrap();
    let locations = Locations {
        data: scratch.path().join("data"),
        config: scratch.path().join("config"),
    };
    let journal = Store::open(&locations).unwrap().journal();
    journal.sync().unwrap();

    let under_way = lock(&journal.0.syncing);
    let (tell, told) = channel();
    let other = journal.clone();
    let thread = std::thread::spawn(move || tell.send(other.sync().is_ok()).unwrap());
    let early = told.recv_timeout(Duration::from_millis(50));
    assert_eq!(early, Err(RecvTimeoutError::Timeout));
    drop(under_way);
    assert!(told.recv().unwrap());
    thread.join().unwrap();
}
