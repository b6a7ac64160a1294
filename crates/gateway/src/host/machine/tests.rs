use super::*;

#[test]
fn files_are_kept_back_for_everything_but_connections() {
    let small = shared_out(1024, 256);
    assert_eq!(
        small,
        Files {
            connections: 352,
            children: 64
        }
    );
    assert!(2 * small.connections + FILES_OF_A_CHILD * small.children + KEPT_FILES <= 1024);
    assert_eq!(shared_out(20_000, 256).children, 256);
    assert_eq!(shared_out(20_000, 256).connections, 9_456);
    // So few that nothing is kept back.
    assert_eq!(shared_out(10, 256).connections, 16);
}

#[test]
fn the_narrowest_control_group_counts() {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    assert_eq!(control_group(root.path()), None);
    write("proc/self/cgroup", "0::/user/app\n");
    write("sys/fs/cgroup/user/app/memory.max", "max\n");
    assert_eq!(control_group(root.path()), None);
    write("sys/fs/cgroup/user/memory.max", "1073741824\n");
    assert_eq!(control_group(root.path()), Some(1 << 30));
    write("proc/self/cgroup", "4:cpu:/x\n3:memory:/box\n");
    write(
        "sys/fs/cgroup/memory/box/memory.limit_in_bytes",
        "268435456",
    );
    assert_eq!(control_group(root.path()), Some(256 << 20));
}

#[test]
fn there_is_a_default() {
    let memory = memory_to_use();
    assert!((LEAST_MEMORY..=MOST_MEMORY).contains(&memory), "{memory}");
}
