use super::*;
use crate::host::budget::{Bounds, Budget};

fn session() -> Session {
    let bounds = Bounds {
        memory: 1 << 20,
        calls: 10,
        grant_calls: 10,
        server_calls: 10,
    };
    let (grant, server) = (Text::from("g".to_owned()), Text::from("s".to_owned()));
    let account = Budget::new(bounds).grant(&grant);
    Session::new(grant, server, account.nothing(), None, Outbound::Http)
}

#[test]
fn a_session_that_is_over_keeps_no_questions() {
    let session = session();
    let key = || IdKey::Text("q".into());
    let ask = || session.ask(key(), Question { open_call: None });
    assert!(matches!(ask(), Ok(None)));
    // An id that is used twice.
    assert!(matches!(ask(), Ok(Some(_))));
    session.state().over = Some(Status::Cancelled);
    session.state().questions.clear();
    assert!(ask().is_err());
    assert!(session.state().questions.is_empty());
}
