use provost_store::fleet::InstanceId;

use super::*;

#[test]
fn a_caller_is_told_what_to_do_and_nothing_of_the_inside() {
    let id: InstanceId = "mgr_1_2".parse().unwrap();
    let words = |failure: Failure| failure.words();
    assert_eq!(
        words(Refusal::NotYours { id: id.clone() }.into()),
        "there is no instance `mgr_1_2` among those you lead; `list` shows the instances you lead"
    );
    let ended = FleetError::OtherState {
        id: id.to_string(),
        is: "dead",
        wanted: "running",
    };
    assert_eq!(
        words(ended.into()),
        "`mgr_1_2` is dead, not running; `list` shows the states, `restart` starts what has ended"
    );
    let inside = words(FleetError::Damaged("no such table: instances".into()).into());
    assert_eq!(
        inside,
        "what the fleet knows cannot be read or written; ask your operator to look at the log"
    );
}
