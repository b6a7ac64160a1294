use super::*;

fn manifest() -> Manifest {
    Manifest {
        format: FORMAT,
        id: "ab".to_owned(),
        schema: 1,
        head: "0:".to_owned(),
        members: Vec::new(),
        key: None,
        mac: None,
    }
}

fn sample(directory: &Path) -> std::path::PathBuf {
    let path = directory.join("a.tar");
    let mut writing = Writing::create(&path).unwrap();
    writing.add("id", 3, &b"ab\n"[..]).unwrap();
    writing
        .add("journal/00000001.log", 1_000, &[7; 1_000][..])
        .unwrap();
    writing.add("empty", 0, &b""[..]).unwrap();
    writing.finish(manifest(), None).unwrap();
    path
}

#[test]
fn reads_back_what_it_wrote() {
    let directory = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    let read = read(&sample(directory.path()), |name, content| {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        seen.push((name.to_owned(), bytes.len()));
        Ok(())
    });
    assert_eq!(read.unwrap().unwrap().members.len(), 3);
    let expected = [("id", 3), ("journal/00000001.log", 1_000), ("empty", 0)];
    assert_eq!(seen, expected.map(|(name, bytes)| (name.to_owned(), bytes)));
}

#[test]
fn every_changed_byte_of_a_member_and_every_cut_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = sample(directory.path());
    let sound = std::fs::read(&path).unwrap();
    let ignore = |_: &str, _: &mut dyn Read| Ok(());
    for place in (0..BLOCK + 3).chain(2 * BLOCK..2 * BLOCK + 300) {
        let mut bytes = sound.clone();
        bytes[place] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(
            read(&path, ignore).map_or(true, |read| read.is_err()),
            "byte {place}"
        );
    }
    for length in (0..sound.len() - 3 * BLOCK).step_by(100) {
        std::fs::write(&path, &sound[..length]).unwrap();
        assert!(
            read(&path, ignore).map_or(true, |read| read.is_err()),
            "{length} bytes"
        );
    }
}

#[test]
fn sizes_beyond_the_octal_field_are_kept() {
    let bytes = (1 << 40) + 5;
    assert_eq!(
        parse_header(&header("big", bytes)),
        Some(("big".to_owned(), bytes))
    );
}
