use super::*;

fn printed(failure: &Failure, json: bool) -> String {
    let mut bytes = Vec::new();
    failure.print(&mut bytes, json).unwrap();
    anstream::adapter::strip_str(&String::from_utf8(bytes).unwrap()).to_string()
}

#[test]
fn prints_error_causes_and_hint_on_lines_of_their_own() {
    let failure = Failure::not_found("no server `files`")
        .because("the list is empty")
        .hint("`provost server add`");
    assert_eq!(
        printed(&failure, false),
        "error: no server `files`\n  caused by: the list is empty\n  hint: `provost server add`\n"
    );
}

#[test]
fn escapes_what_came_from_outside() {
    let text = printed(&Failure::refused("bad \u{1b}[2J name"), false);
    assert_eq!(text, "error: bad \\x1b[2J name\n");
}

#[test]
fn json_errors_are_one_line_with_kind_and_code() {
    let text = printed(&Failure::conflict("held"), true);
    assert_eq!(
        text,
        "{\"error\":{\"kind\":\"conflict\",\"code\":4,\"message\":\"held\",\"causes\":[],\"hint\":null}}\n"
    );
}

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
