use super::*;

#[test]
fn questions_of_tasks_are_known_by_grant_task_key_and_text() {
    let questions = TaskQuestions::default();
    let (one, other) = ("one".into(), "other".into());
    questions.add(&one, "t", "k", "?");
    assert!(questions.knows(&one, "t", "k", "?") && questions.asked(&one, "t", "k"));
    assert!(!questions.knows(&one, "t", "k", "!"));
    assert!(!questions.asked(&one, "tk", "") && !questions.asked(&one, "t", "x"));
    assert!(!questions.asked(&other, "t", "k"));
    questions.retain(|grant| *grant == other);
    assert!(!questions.asked(&one, "t", "k"));
}
