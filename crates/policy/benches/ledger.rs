//! What a limit costs on the path of a call.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use provost_policy::limit::{Alignment, Charge, CounterId, PolicyRef, RefundRule, RuleId, Window};
use provost_policy::text::Text;
use provost_policy::{Amount, Ledger, Moment};

const MINUTE: u64 = 60_000_000;

fn charge(name: &str, alignment: Alignment, max: u64) -> Charge {
    Charge {
        counter: CounterId {
            scope: Text::from("0123456789abcdef0123456789abcdef"),
            server: Text::from("fedcba9876543210fedcba9876543210"),
            counter: Text::from(name),
            window: Window::Micros(MINUTE),
            alignment,
        },
        max: Amount::whole(max),
        amount: Amount::ONE,
        refund: RefundRule::NotSent,
        rule: RuleId(Text::from("/tools/send/limits/send_rate")),
        policy: PolicyRef {
            name: Text::from("p"),
            version: 1,
            grant: Text::from("g"),
        },
    }
}

fn at(micros: u64) -> Moment {
    Moment {
        steady: micros,
        wall: micros,
    }
}

/// Two sliding counters that hold about `held` entries all the time.
fn two_charges(c: &mut Criterion, name: &str, held: u64) {
    let call = [
        charge("send_rate", Alignment::Sliding, u64::MAX),
        charge("calls", Alignment::Sliding, u64::MAX),
    ];
    let mut ledger = Ledger::new();
    let mut now = 0;
    c.bench_function(name, |b| {
        b.iter(|| {
            now += MINUTE / held;
            let _ = black_box(ledger.look(black_box(&call), at(now)));
            let _ = black_box(ledger.reserve(black_box(&call), at(now)));
        });
    });
}

fn benches(c: &mut Criterion) {
    two_charges(c, "look and reserve two charges, 10 entries", 10);
    two_charges(c, "look and reserve two charges, 1,000 entries", 1_000);
    two_charges(
        c,
        "look and reserve two charges, 1,000,000 entries",
        1_000_000,
    );

    let full = [charge("send_rate", Alignment::Sliding, 4_000)];
    let mut ledger = Ledger::new();
    for micros in 0..4_000 {
        let _ = ledger.reserve(&full, at(micros));
    }
    c.bench_function("refuse at 4,000 entries", |b| {
        b.iter(|| black_box(ledger.look(black_box(&full), at(5_000))));
    });

    let minute = [charge("send_rate", Alignment::Calendar, u64::MAX)];
    let (mut ledger, mut now) = (Ledger::new(), 0);
    c.bench_function("reserve one calendar charge", |b| {
        b.iter(|| {
            now += 1_000;
            black_box(ledger.reserve(black_box(&minute), at(now)))
        });
    });
}

criterion_group!(all, benches);
criterion_main!(all);
