use super::*;

#[test]
fn a_chain_of_errors_is_told_once() {
    let inner = std::io::Error::other("disk full");
    let failure = Failure::unavailable("cannot write").because_of(&inner);
    assert_eq!(failure.causes, ["disk full"]);
}

#[test]
fn survives_the_wire_unchanged() {
    let failure = Failure::refused("no").because("because").hint("try");
    let there: Failure = serde_json::from_str(&serde_json::to_string(&failure).unwrap()).unwrap();
    assert_eq!(there, failure);
}

#[test]
fn errors_of_the_system_lose_their_number() {
    let missing = std::io::Error::from_raw_os_error(2);
    let failure = Failure::not_found("x")
        .because(&missing)
        .because(format!("`a` could not be read: {missing}"));
    assert_eq!(
        failure.causes,
        [
            "no such file or directory",
            "`a` could not be read: no such file or directory"
        ]
    );
}
