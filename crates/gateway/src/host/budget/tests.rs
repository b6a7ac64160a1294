use super::*;

fn text(name: &str) -> Text {
    Text::from(name.to_owned())
}

#[test]
fn what_fits_is_held_and_comes_back() {
    let budget = Budget::new(Bounds::small(8_000));
    let (one, other) = (budget.grant(&text("one")), budget.grant(&text("other")));
    let mut held = one.hold(900).unwrap();
    assert_eq!(one.hold(101).unwrap_err(), Full::Share);
    assert_eq!(held.grow_to(1_001).unwrap_err(), Full::Share);
    held.grow_to(1_000).unwrap();
    // Nobody else notices.
    drop(other.hold(1_000).unwrap());
    held.shrink_to(10);
    assert_eq!((one.held(), budget.usage().held), (10, 10));
    drop(held);
    assert_eq!((one.held(), budget.usage().held), (0, 0));
    assert_eq!(budget.usage().refused, 2);
}

#[test]
fn all_together_hold_no_more_than_everything() {
    let budget = Budget::new(Bounds::small(8_000));
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let accounts: Vec<_> = names.iter().map(|name| budget.grant(&text(name))).collect();
    let mut held: Vec<_> = accounts.iter().take(6).map(|one| one.hold(1_000)).collect();
    assert!(held.iter().all(Result::is_ok));
    assert_eq!(accounts[6].hold(1).unwrap_err(), Full::Whole);
    held.pop();
    accounts[6].hold(1_000).unwrap();
}

#[test]
fn a_message_counts_until_its_last_copy_is_gone() {
    let budget = Budget::new(Bounds::small(8_000));
    let account = budget.server(&text("s"));
    let message = account
        .hold(600)
        .unwrap()
        .over(Bytes::from_static(b"hello"));
    assert_eq!(account.held(), 5 + WRAP);
    let part = message.slice(1..3);
    drop(message);
    assert_eq!((account.held(), &part[..]), (5 + WRAP, &b"el"[..]));
    assert_eq!(
        account.carry_copy(&part, part.clone()).as_ptr(),
        part.as_ptr()
    );
    drop(part);
    assert_eq!(account.held(), 0);
    // What is here already counts, and keeps others out.
    let large = account.carry(Bytes::from(vec![0; 2_000]));
    assert_eq!(account.hold(1).unwrap_err(), Full::Share);
    drop(large);
    account.hold(1).unwrap();
}

#[test]
fn the_same_owner_has_the_same_account_until_nobody_holds_it() {
    let budget = Budget::new(Bounds::small(8_000));
    let held = budget.grant(&text("g")).hold(7).unwrap();
    assert_eq!(budget.grant(&text("g")).held(), 7);
    assert_eq!(budget.server(&text("g")).held(), 0);
    drop(held);
    drop(budget.grant(&text("other")));
    assert!(budget.grants.by_id.lock().unwrap().len() <= 2);
}

#[test]
fn calls_have_places() {
    let budget = Budget::new(Bounds::small(8_000));
    let (grant, other) = (budget.grant(&text("g")), budget.grant(&text("o")));
    let places = [
        grant.enter(Lane::Call).unwrap(),
        grant.enter(Lane::Call).unwrap(),
    ];
    assert_eq!(grant.enter(Lane::Call).unwrap_err(), Full::Share);
    let _third = other.enter(Lane::Call).unwrap();
    assert_eq!(other.enter(Lane::Call).unwrap_err(), Full::Whole);
    // What ends them has places of its own.
    let _answer = other.enter(Lane::Aside).unwrap();
    drop(places);
    other.enter(Lane::Call).unwrap();
    other.enter(Lane::Stream).unwrap();
}

#[tokio::test]
async fn whoever_waits_for_room_hears_of_it() {
    let budget = Budget::new(Bounds::small(8_000));
    let account = budget.grant(&text("g"));
    let all = account.hold(1_000).unwrap();
    let mut mine = account.nothing();
    let never = account.wait_for(&mut mine, 1_001, Duration::from_secs(60));
    assert_eq!(never.await.unwrap_err(), Full::Share);
    let soon = account.wait_for(&mut mine, 500, Duration::from_millis(1));
    assert!(soon.await.is_err());
    let (waited, ()) = tokio::join!(
        account.wait_for(&mut mine, 500, Duration::from_secs(60)),
        async { drop(all) }
    );
    waited.unwrap();
    assert_eq!(account.held(), 500);
}

#[tokio::test]
async fn whoever_waits_in_vain_is_counted_once_and_hears_why() {
    let budget = Budget::new(Bounds::small(8_000));
    let names = ["a", "b", "c", "d", "e", "f"];
    let others: Vec<_> = names.iter().map(|name| budget.grant(&text(name))).collect();
    let mut held: Vec<_> = others.iter().map(|one| one.hold(1_000).unwrap()).collect();
    let late = budget.grant(&text("late"));
    let mut mine = late.nothing();
    let vain = async {
        late.wait_for(&mut mine, 500, Duration::from_millis(20))
            .await
    };
    let little = async {
        // Each time it looks again, and it is still too little.
        for bytes in [900, 800, 700] {
            held[0].shrink_to(bytes);
            tokio::task::yield_now().await;
        }
    };
    let (waited, ()) = tokio::join!(vain, little);
    assert_eq!(waited.unwrap_err(), Full::Whole);
    assert_eq!(budget.usage().refused, 1);
    assert_eq!((late.held(), budget.usage().held), (0, 5_700));
}
