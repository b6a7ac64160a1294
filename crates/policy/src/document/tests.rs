mod errors;

use super::*;

#[test]
fn the_faq_spellings_are_accepted() {
    let policy = Policy::parse(
        r#"{"version":"1","default":"deny","tools":{
            "distributeWork":{"rate_limit":{"max":10,"window":60}},
            "spawn":{"action":"deny","reason":"no more agents"}}}"#,
    )
    .unwrap();
    assert!(policy.tool_listed("spawn", &mut Folder::default()));
}
