use super::*;

fn environment() -> Environment {
    Environment {
        home: Some("/home/a".into()),
        ..Environment::default()
    }
}

fn decide(environment: &Environment, data: Option<&str>) -> Places {
    Places::decide(environment, data.map(Path::new), None).unwrap()
}

#[test]
#[cfg(not(target_os = "macos"))]
fn platform_conventions_hold_when_nothing_is_said() {
    let places = decide(&environment(), None);
    assert_eq!(places.data, Path::new("/home/a/.local/share/provost"));
    assert_eq!(places.config, Path::new("/home/a/.config/provost"));
    let xdg = Environment {
        xdg_data: Some("/x".into()),
        xdg_config: Some("/y".into()),
        ..environment()
    };
    let places = decide(&xdg, None);
    assert_eq!(
        (places.data.as_path(), places.config.as_path()),
        (Path::new("/x/provost"), Path::new("/y/provost"))
    );
}

#[test]
fn a_flag_beats_a_variable_beats_the_convention() {
    let set = Environment {
        data: Some("/variable".into()),
        ..environment()
    };
    assert_eq!(decide(&set, Some("/flag")).data, Path::new("/flag"));
    assert_eq!(decide(&set, None).data, Path::new("/variable"));
}

#[test]
fn without_a_home_the_failure_says_what_to_set() {
    let failure = Places::decide(&Environment::default(), None, None).unwrap_err();
    assert!(failure.hint.unwrap().contains("PROVOST_DATA"));
}

#[test]
fn long_data_directories_put_sockets_into_the_runtime_directory() {
    let long = format!("/{}", "d".repeat(120));
    let places = decide(&environment(), Some(&long));
    let socket = places.admin_socket();
    assert!(
        socket.as_os_str().len() <= LONGEST_SOCKET,
        "{}",
        socket.display()
    );
    assert_ne!(
        socket.parent(),
        decide(&environment(), Some(&format!("{long}e")))
            .admin_socket()
            .parent()
    );
    assert_eq!(
        decide(&environment(), Some("/short")).admin_socket(),
        Path::new("/short/admin.sock")
    );
}

#[test]
fn a_directory_others_can_enter_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let open = scratch.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(private_directory(&open).is_err());
    assert!(private_directory(&scratch.path().join("new/private")).is_ok());
}

#[test]
fn a_data_directory_others_can_write_to_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    for (mode, fine) in [(0o755, true), (0o775, false), (0o777, false)] {
        std::fs::set_permissions(scratch.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(own_directory(scratch.path()).is_ok(), fine, "{mode:o}");
    }
}
