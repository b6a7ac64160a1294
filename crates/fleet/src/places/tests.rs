use std::os::unix::fs::symlink;

use super::*;

/// `top/open` is configured; `top/open/team`, a file in it, and `top/closed` exist.
fn tree() -> (tempfile::TempDir, PathBuf, Places) {
    let directory = tempfile::tempdir().unwrap();
    let top = directory.path().canonicalize().unwrap();
    std::fs::create_dir_all(top.join("open/team/one")).unwrap();
    std::fs::create_dir_all(top.join("open-not")).unwrap();
    std::fs::create_dir_all(top.join("closed")).unwrap();
    std::fs::write(top.join("open/file"), "").unwrap();
    let places = Places::new(&[top.join("open")]).unwrap();
    (directory, top, places)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_directory_in_or_below_a_configured_one_is_taken() {
    let (_kept, top, places) = tree();
    for inside in ["open", "open/team", "open/./team/../team/one"] {
        let path = top.join(inside);
        let real = places.admit(text(&path), None).unwrap();
        assert_eq!(Path::new(&real), path.canonicalize().unwrap());
    }
}

#[test]
fn outside_it_is_refused_and_told_where_it_may_be() {
    let (_kept, top, places) = tree();
    let path = top.join("closed");
    let refused = places.admit(text(&path), None).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "the directory `{}` is not in or below a directory that agents may work in: `{}`",
            path.display(),
            top.join("open").display()
        )
    );
    for outside in ["", "open/..", "open/../closed", "open-not"] {
        let refused = places.admit(text(&top.join(outside)), None).unwrap_err();
        assert!(matches!(refused, PlaceRefused::Outside { .. }), "{outside}");
    }
    let none = Places::new(&[]).unwrap();
    let refused = none.admit(text(&top), None).unwrap_err();
    assert!(
        refused
            .to_string()
            .ends_with("may work in: none is configured")
    );
}

#[test]
fn a_link_out_of_it_is_refused_and_one_inside_followed() {
    let (_kept, top, places) = tree();
    let out = top.join("open/out");
    symlink(top.join("closed"), &out).unwrap();
    let refused = places.admit(text(&out), None).unwrap_err();
    let wanted = format!(
        "`{}`, which is `{}`, is not in",
        out.display(),
        top.join("closed").display()
    );
    assert!(refused.to_string().contains(&wanted), "{refused}");
    let inside = top.join("open/inside");
    symlink(top.join("open/team"), &inside).unwrap();
    assert_eq!(
        places.admit(text(&inside), None).unwrap(),
        text(&top.join("open/team"))
    );
    // A link that leads in from outside is where it leads.
    let from_outside = top.join("closed/in");
    symlink(top.join("open/team"), &from_outside).unwrap();
    assert_eq!(
        places.admit(text(&from_outside), None).unwrap(),
        text(&top.join("open/team"))
    );
    let round = top.join("open/round");
    symlink(&round, &round).unwrap();
    let refused = places.admit(text(&round), None).unwrap_err();
    assert!(
        matches!(refused, PlaceRefused::Unusable { .. }),
        "{refused}"
    );
}

#[test]
fn a_child_works_in_or_below_the_directory_of_its_leader() {
    let (_kept, top, places) = tree();
    let leader = top.join("open/team");
    let leader = Some(text(&leader));
    assert!(places.admit(text(&top.join("open/team")), leader).is_ok());
    assert!(
        places
            .admit(text(&top.join("open/team/one")), leader)
            .is_ok()
    );
    let refused = places.admit(text(&top.join("open")), leader).unwrap_err();
    assert!(
        refused
            .to_string()
            .ends_with("the directory of who leads the new instance")
    );
}

#[test]
fn what_is_no_directory_is_refused_for_its_own_reason() {
    let (_kept, top, places) = tree();
    let refused = |path: &str| places.admit(path, None).unwrap_err().to_string();
    assert_eq!(
        refused("open"),
        "the directory `open` is not an absolute path"
    );
    assert_eq!(
        refused("~/x"),
        "the directory `~/x` is not an absolute path"
    );
    let file = top.join("open/file");
    assert_eq!(
        refused(text(&file)),
        format!("`{}` is not a directory", file.display())
    );
    let none = top.join("open/none");
    assert_eq!(
        refused(text(&none)),
        format!("there is no directory `{}`", none.display())
    );
    assert!(refused("/a\0b").contains("cannot be used"));
    assert!(Places::new(&[none]).is_err());
}

#[test]
fn s07_s08_an_isolated_one_has_a_directory_of_its_own_and_a_shared_one_the_directory_itself() {
    let id: InstanceId = "mgr_1_2".parse().unwrap();
    let project = |workspace| project("/p", workspace, &id);
    assert_eq!(project(Workspace::Isolated), "/p/mgr_1_2");
    assert_eq!(project(Workspace::Shared), "/p");
}
