use std::sync::mpsc::channel;
use std::time::Duration;

use super::*;
use crate::Locations;
use crate::Store;

#[test]
fn a_long_query_and_the_directory_do_not_wait_for_each_other() {
    let scratch = tempfile::tempdir().unwrap();
    let locations = Locations {
        data: scratch.path().join("data"),
        config: scratch.path().join("config"),
    };
    let store = Store::open(&locations).unwrap();
    let directory = store.0.database.reading();
    let (tell, told) = channel();
    let other = store.clone();
    let thread = std::thread::spawn(move || {
        let records = other.records(&Filter::default()).unwrap();
        tell.send(records.len()).unwrap();
    });
    let found = told.recv_timeout(Duration::from_secs(20));
    drop(directory);
    thread.join().unwrap();
    assert_eq!(found, Ok(0));
}
