use super::*;
use crate::host::budget::{Bounds, Budget};

fn text(name: &str) -> Text {
    Text::from(name.to_owned())
}

#[test]
fn d20_tasks_are_remembered_within_bounds_and_not_for_grants_that_are_gone() {
    let budget = Budget::new(Bounds::small(8 * 4 * (LONGEST_ID + EACH)));
    let (grant, tasks) = (text("g"), TaskOwners::default());
    let account = budget.grant(&grant);
    assert!(!tasks.add(&grant, &account, &"x".repeat(LONGEST_ID + 1)));
    assert_eq!(account.held(), 0);
    let id = |n: usize| format!("{n:0>width$}", width = LONGEST_ID);
    for n in 0..10 {
        assert!(tasks.add(&grant, &account, &id(n)));
        assert!(tasks.add(&grant, &account, &id(n)));
    }
    // Those that fit, the newest ones.
    let known: Vec<usize> = (0..10).filter(|n| tasks.owns(&grant, &id(*n))).collect();
    assert_eq!(known, [6, 7, 8, 9]);
    assert_eq!(account.held(), 4 * (LONGEST_ID + EACH));
    tasks.retain(|known| *known == text("other"));
    assert!(!tasks.owns(&grant, &id(9)));
    assert_eq!(account.held(), 0);
}
