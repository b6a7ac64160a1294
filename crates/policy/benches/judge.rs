//! What judging a call costs: 200 tools, argument predicates, two limits.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark of texts that are known to be right"
)]

use std::fmt::Write;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use provost_policy::json::{self, Bounds};
use provost_policy::{Call, Caller, Enforced, Policy, Text, judge};

fn policy() -> Policy {
    let mut tools = String::new();
    for index in 0..200 {
        write!(
            tools,
            r#""tool_{index}":{{
                "require":[{{"conditions":[{{"path":"args.role","op":"in","value":["manager","specialist"]}}]}},
                           {{"conditions":[{{"path":"args.workDir","op":"under","value":["/srv/work"]}}]}}],
                "deny_if":[{{"conditions":[{{"path":"args.context","op":"contains","value":"rm -rf /"}}]}},
                           {{"conditions":[{{"path":"args.amount","op":"gt","value":100}}]}}],
                "approve_if":[{{"conditions":[{{"path":"args.role","op":"eq","value":"manager"}}]}}],
                "limits":[{{"counter":"tool_{index}","window":"minute","max":10}}]}},"#
        )
        .unwrap();
    }
    Policy::parse(&format!(
        r#"{{"version":"1","default":"deny","hide":["vm_*"],
        "all_tools":{{"limits":[{{"counter":"calls","window":"minute","max":60}}]}},
        "tools":{{{tools}"git_*":{{}}}}}}"#
    ))
    .unwrap()
}

fn bench(criterion: &mut Criterion) {
    let policy = policy();
    let (name, grant, server) = (Text::fixed("team"), Text::from("g-1"), Text::from("fleet"));
    let enforced = Enforced {
        policy: &policy,
        name: &name,
        version: 3,
        grant: &grant,
        server: &server,
    };
    let caller = Caller {
        grant: grant.clone(),
        server: server.clone(),
        session: None,
    };
    let arguments = br#"{"role":"specialist","workDir":"/srv/work/project","context":"please write the tests for the parser and run them","amount":12.5}"#;
    let document = json::read(arguments, Bounds::default()).unwrap();
    let call = |tool| Call {
        method: "tools/call",
        tool: Some(tool),
        arguments: Some(document.root()),
    };

    criterion.bench_function("judge/allow of 200 tools", |bencher| {
        let call = call("tool_150");
        bencher.iter(|| judge(&[enforced], black_box(&call), &caller));
    });
    criterion.bench_function("judge/allow down a tree of three", |bencher| {
        let call = call("tool_150");
        bencher.iter(|| judge(&[enforced; 3], black_box(&call), &caller));
    });
    criterion.bench_function("judge/allow by glob", |bencher| {
        let call = call("git_log");
        bencher.iter(|| judge(&[enforced], black_box(&call), &caller));
    });
    criterion.bench_function("judge/deny unlisted", |bencher| {
        let call = call("nothing_like_it");
        bencher.iter(|| judge(&[enforced], black_box(&call), &caller));
    });
    criterion.bench_function("json/read the arguments", |bencher| {
        bencher
            .iter(|| json::read(black_box(arguments), Bounds::default()).map(|d| d.root().len()));
    });
    let long = format!(
        r#"{{"text":"{}","list":[{}1]}}"#,
        "x".repeat(50_000),
        "1.5, \"abc\", {\"k\":true}, ".repeat(2_000)
    );
    criterion.bench_function("json/read 100 kB", |bencher| {
        bencher.iter(|| {
            json::read(black_box(long.as_bytes()), Bounds::default()).map(|d| d.root().len())
        });
    });
    criterion.bench_function("json/serde_json reads the same 100 kB", |bencher| {
        bencher.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(long.as_bytes())));
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);
