use super::*;

#[test]
fn d88_a_log_begins_anew_when_it_is_large_and_keeps_one_old_file() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("daemon.log");
    std::fs::write(&path, "from before\n").unwrap();
    let mut log = LogFile {
        largest: 1000,
        ..LogFile::at(path.clone()).unwrap()
    };
    let read = |name: &str| std::fs::read_to_string(place.path().join(name)).unwrap_or_default();
    log.write_all(b"next\n").unwrap();
    assert_eq!(read("daemon.log"), "from before\nnext\n");
    for number in 0..1000 {
        writeln!(log, "line {number}").unwrap();
        assert!(read("daemon.log").len() <= 1000);
    }
    let (old, new) = (read("daemon.log.1"), read("daemon.log"));
    assert!(old.len() <= 1000 && new.ends_with("line 999\n"));
    let both = old + &new;
    let numbers: Vec<u32> = both
        .lines()
        .map(|line| line.strip_prefix("line ").unwrap().parse().unwrap())
        .collect();
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]));
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 2);
}

#[test]
fn d88_a_log_whose_directory_is_gone_does_not_grow() {
    let place = tempfile::tempdir().unwrap();
    let mut log = LogFile {
        largest: 1000,
        ..LogFile::at(place.path().join("daemon.log")).unwrap()
    };
    drop(place);
    for number in 0..1000 {
        writeln!(log, "line {number}").unwrap();
    }
    assert!(log.file.metadata().unwrap().len() <= 1000);
}
