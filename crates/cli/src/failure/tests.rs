use super::*;

fn printed(failure: &Failure, json: bool) -> String {
    let mut bytes = Vec::new();
    print(failure, &mut bytes, json).unwrap();
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
