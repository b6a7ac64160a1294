//! How long an append takes, which every call pays twice, and what folding
//! costs beside it.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot write has nothing to measure"
)]

use std::borrow::Cow;
use std::hint::black_box;
use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use provost_policy::{
    Alignment, Amount, Charge, CounterId, Moment, PolicyRef, RefundRule, RuleId, Text, Window,
};
use provost_store::{CallId, Entry, Filter, Intent, Locations, Outcome, Status, Store};
use rustix::time::{ClockId, clock_gettime};

fn open(directory: &Path) -> Store {
    let locations = Locations {
        data: directory.join("data"),
        config: directory.join("config"),
    };
    Store::open(&locations).expect("a scratch store opens")
}

fn charge() -> Charge {
    Charge {
        counter: CounterId {
            scope: Text::fixed("g-0123456789abcdef"),
            server: Text::fixed("s-0123456789abcdef"),
            counter: Text::fixed("calls"),
            window: Window::Micros(60_000_000),
            alignment: Alignment::Sliding,
        },
        max: Amount::whole(1_000_000),
        amount: Amount::ONE,
        refund: RefundRule::NotSent,
        rule: RuleId(Text::fixed("/all_tools/limits/calls")),
        policy: PolicyRef {
            name: Text::fixed("team"),
            version: 3,
            grant: Text::fixed("g-1"),
        },
    }
}

/// About 400 bytes, the mac included.
fn intent<'a>(
    call: u128,
    at: Moment,
    keys: &'a [Cow<'a, str>],
    charges: &'a [Charge],
) -> Entry<'a> {
    Entry::Intent(Intent {
        call: CallId::new(call),
        at,
        grant: "g-0123456789abcdef",
        grant_label: "ci-runner",
        client: Some("claude-code 2.1.332"),
        server: "github",
        method: "tools/call",
        tool: Some("create_issue"),
        policy: Some("team"),
        version: Some(3),
        rule: None,
        keys,
        charges,
        shadow: None,
    })
}

fn outcome(call: u128, at: Moment) -> Entry<'static> {
    Entry::Outcome(Outcome {
        call: CallId::new(call),
        at,
        status: Status::Ok,
        upstream_status: Some(200),
        latency_us: 1_234,
        refund: &[],
    })
}

fn append_alone(criterion: &mut Criterion<CpuTime>) {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let store = open(directory.path());
    let (journal, clock) = (store.journal(), store.clock());
    let keys = [Cow::from("body"), Cow::from("title")];
    let charges = [charge()];
    let mut call = 0;
    let mut group = criterion.benchmark_group("append");
    group.throughput(Throughput::Elements(1));
    group.bench_function("intent, one thread", |bench| {
        bench.iter(|| {
            call += 1;
            journal
                .append(black_box(&intent(call, clock.now(), &keys, &charges)))
                .expect("it is written")
        });
    });
    group.bench_function("outcome, one thread", |bench| {
        bench.iter(|| {
            journal
                .append(black_box(&outcome(call, clock.now())))
                .expect("it is written")
        });
    });
    group.finish();
}

fn append_together(criterion: &mut Criterion) {
    let keys = [Cow::from("body"), Cow::from("title")];
    let charges = [charge()];
    let mut group = criterion.benchmark_group("append together");
    group.throughput(Throughput::Elements(1));
    for threads in [2_u64, 4, 8] {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let store = open(directory.path());
        group.bench_function(format!("{threads} threads"), |bench| {
            bench.iter_custom(|iterations| {
                let each = iterations.div_ceil(threads);
                let barrier = Barrier::new(threads as usize + 1);
                std::thread::scope(|scope| {
                    for thread in 0..u128::from(threads) {
                        let (barrier, store, keys, charges) = (&barrier, &store, &keys, &charges);
                        scope.spawn(move || {
                            let (journal, clock) = (store.journal(), store.clock());
                            barrier.wait();
                            for call in 0..u128::from(each) {
                                let entry = intent(thread << 64 | call, clock.now(), keys, charges);
                                journal.append(&entry).expect("it is written");
                            }
                            barrier.wait();
                        });
                    }
                    barrier.wait();
                    let start = Instant::now();
                    barrier.wait();
                    start.elapsed()
                })
            });
        });
    }
    group.finish();
}

/// A call is two entries and one row.
fn fold(criterion: &mut Criterion<CpuTime>) {
    const CALLS: u64 = 20_000;
    let keys = [Cow::from("body"), Cow::from("title")];
    let charges = [charge()];
    let directory = tempfile::tempdir().expect("a scratch directory");
    let store = open(directory.path());
    let (journal, clock) = (store.journal(), store.clock());
    let mut call = 0;
    let mut group = criterion.benchmark_group("fold");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(CALLS));
    group.bench_function("20,000 calls", |bench| {
        bench.iter_custom(|iterations| {
            let mut total = Duration::ZERO;
            for _ in 0..iterations {
                for _ in 0..CALLS {
                    call += 1;
                    journal
                        .append(&intent(call, clock.now(), &keys, &charges))
                        .expect("it is written");
                    journal
                        .append(&outcome(call, clock.now()))
                        .expect("it is written");
                }
                let start = CpuTime.start();
                store
                    .records(&Filter {
                        limit: 1,
                        ..Filter::default()
                    })
                    .expect("it is folded");
                total += CpuTime.end(start);
            }
            total
        });
    });
    group.finish();
}

/// Processor time of the measuring thread, system calls included: on a busy
/// machine the only figure that says something about the code.
struct CpuTime;

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        Duration::from_secs(seconds)
            + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or_default())
    }

    fn end(&self, start: Duration) -> Duration {
        self.start().saturating_sub(start)
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

criterion_group! {
    name = alone;
    config = Criterion::default().with_measurement(CpuTime);
    targets = append_alone, fold
}
criterion_group!(together, append_together);
criterion_main!(alone, together);
