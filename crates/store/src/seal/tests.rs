use super::*;

const PLACE: Place<'_> = Place {
    owner: "s-1",
    field: "header",
    name: "Authorization",
};

fn keys() -> (tempfile::TempDir, Keyring) {
    let config = tempfile::tempdir().unwrap();
    let keys = Keyring::create(config.path(), "abc").unwrap();
    (config, keys)
}

#[test]
fn opens_what_it_sealed() {
    let (_config, keys) = keys();
    let secret = Secret::new("Bearer ü");
    let sealed = seal(&keys, PLACE, &secret).unwrap();
    assert!(sealed.starts_with("v1:"), "{sealed}");
    assert_eq!(unseal(&keys, PLACE, &sealed).unwrap(), secret);
}

#[test]
fn a_value_moved_to_another_place_does_not_open() {
    let (_config, keys) = keys();
    let sealed = seal(&keys, PLACE, &Secret::new("x")).unwrap();
    for place in [
        Place {
            owner: "s-2",
            ..PLACE
        },
        Place {
            field: "env",
            ..PLACE
        },
        Place {
            name: "X-Key",
            ..PLACE
        },
        Place {
            owner: "s-1header",
            field: "",
            ..PLACE
        },
    ] {
        assert!(unseal(&keys, place, &sealed).is_err(), "{place:?}");
    }
}

#[test]
fn both_versions_open_after_rotation() {
    let (_config, keys) = keys();
    let old = seal(&keys, PLACE, &Secret::new("x")).unwrap();
    keys.rotate().unwrap();
    let new = seal(&keys, PLACE, &Secret::new("x")).unwrap();
    assert_eq!(sealed_version(&new), Some(2));
    assert_eq!(
        unseal(&keys, PLACE, &old).unwrap(),
        unseal(&keys, PLACE, &new).unwrap()
    );
}

#[test]
fn every_changed_byte_is_noticed() {
    let (_config, keys) = keys();
    let sealed = seal(&keys, PLACE, &Secret::new("secret")).unwrap();
    for index in 0..sealed.len() {
        let mut text = sealed.clone().into_bytes();
        text[index] = if text[index] == b'A' { b'B' } else { b'A' };
        let text = String::from_utf8(text).unwrap();
        assert!(unseal(&keys, PLACE, &text).is_err(), "{text}");
    }
}
