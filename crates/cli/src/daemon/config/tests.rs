use super::*;

fn none(_: &str) -> Outcome<Option<String>> {
    Ok(None)
}

fn file(text: &str) -> File {
    File::parse(text).unwrap()
}

#[test]
fn unknown_keys_are_refused() {
    let refusal = File::parse("listen = \"127.0.0.1:1\"\nservers = []\n")
        .unwrap_err()
        .to_string();
    assert!(refusal.contains("servers"), "{refusal}");
}

#[test]
fn flags_beat_variables_beat_the_file_beat_the_default() {
    let variable = |name: &str| Ok((name == "PROVOST_LISTEN").then(|| "127.0.0.1:2".to_owned()));
    let flags = Flags {
        listen: Some("127.0.0.1:3".into()),
        ..Flags::default()
    };
    let port = |file: &File, flags: &Flags, variable: Lookup<'_>| {
        file.listen(flags, variable).unwrap().address.port()
    };
    let with_file = file("listen = \"127.0.0.1:1\"");
    assert_eq!(port(&with_file, &flags, &variable), 3);
    assert_eq!(port(&with_file, &Flags::default(), &variable), 2);
    assert_eq!(port(&with_file, &Flags::default(), &none), 1);
    assert_eq!(port(&File::default(), &Flags::default(), &none), 7300);
}

#[test]
fn another_address_than_loopback_needs_tls_or_a_proxy() {
    let open = Flags {
        listen: Some("0.0.0.0:7300".into()),
        ..Flags::default()
    };
    assert!(File::default().listen(&open, &none).is_err());
    assert!(file("behind_proxy = true").listen(&open, &none).is_ok());
    assert!(
        file("tls_cert = \"a\"\ntls_key = \"b\"")
            .listen(&open, &none)
            .is_ok()
    );
    assert!(
        file("tls_cert = \"a\"")
            .listen(&Flags::default(), &none)
            .is_err()
    );
}

#[test]
fn sizes_and_lengths_have_units() {
    let limits = file("body_limit = \"2MiB\"\ncall_timeout = \"90s\"\nmax_children = 3")
        .limits(&none)
        .unwrap();
    assert_eq!(limits.body_limit, Some(2 << 20));
    assert_eq!(limits.call_timeout, Some(Duration::from_secs(90)));
    assert_eq!(limits.max_children, Some(3));
    assert_eq!(File::default().limits(&none).unwrap(), Limits::default());
    for bad in [
        "body_limit = \"4MB\"",
        "body_limit = \"0\"",
        "call_timeout = \"soon\"",
    ] {
        assert!(file(bad).limits(&none).is_err(), "{bad}");
    }
}

#[test]
fn a_bad_variable_is_named() {
    let variable = |name: &str| Ok((name == "PROVOST_WORKERS").then(|| "many".to_owned()));
    let failure = File::default().limits(&variable).unwrap_err();
    assert!(
        failure
            .causes
            .iter()
            .any(|cause| cause.contains("PROVOST_WORKERS"))
    );
}

#[test]
fn the_help_of_up_names_every_key_and_variable() {
    let help = crate::command::up_help();
    let keys = keys_of("nonsense = 1");
    assert!(keys.len() > 10, "{keys:?}");
    for key in keys.iter().filter(|key| *key != "fleet") {
        assert!(help.contains(&format!("\n  {key} ")), "{key}");
        assert!(
            help.contains(&format!("PROVOST_{}", key.to_ascii_uppercase())),
            "{key}"
        );
    }
}

/// Serde tells the keys of a table: an unknown one is refused with the list of those there are.
fn keys_of(nonsense: &str) -> Vec<String> {
    let known = File::parse(nonsense).unwrap_err().to_string();
    let (_, listed) = known.split_once("expected ").unwrap();
    let keys = listed.split('`').skip(1).step_by(2);
    keys.map(str::to_owned).collect()
}

#[test]
fn the_help_of_up_names_every_key_of_the_fleet() {
    let help = crate::command::up_help();
    for (table, count) in [
        ("fleet", 4),
        ("fleet.agents.NAME", 1),
        ("fleet.limits", 4),
        ("fleet.limits.tree", 4),
    ] {
        let keys = keys_of(&format!("[{table}]\nnonsense = 1"));
        assert_eq!(keys.len(), count, "{keys:?}");
        let (_, said) = help.split_once("Tables of the configuration file").unwrap();
        assert!(keys.iter().all(|key| said.contains(key)), "{keys:?}");
    }
}

#[test]
fn an_address_nobody_can_connect_to_is_not_shown_to_agents() {
    let listen = file(
        "listen = \"0.0.0.0:7300\"\nbehind_proxy = true\nallowed_hosts = [\"mcp.example.com\"]",
    )
    .listen(&Flags::default(), &none)
    .unwrap();
    assert_eq!(listen.url(listen.address), "http://mcp.example.com:7300");
}

#[test]
fn a_file_that_is_not_toml_is_refused_on_one_line() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("bad.toml");
    for text in ["listen = \"a\"\nworkers = = 3\n", "\n[[\n", "workers 3"] {
        std::fs::write(&path, text).unwrap();
        let refused = File::read(Some(&path)).unwrap_err();
        let causes = refused.causes.concat();
        assert!(causes.starts_with("line "), "{causes}");
        assert!(!causes.contains('\n'), "{causes}");
    }
}
