//! A data directory with many grants and a day of calls, written as the gateway writes it.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use provost_policy::{
    Alignment, Amount, Charge, CounterId, PolicyRef, RefundRule, RuleId, Text, Window,
};
use provost_store::{
    Actor, Attachment, CallId, Entry, Grant, Intent, Locations, NewGrant, NewServer, Outcome,
    Status, Store, Transport,
};

const SERVERS: usize = 100;
/// So many are written right before the end: more than the daemon ever takes in the two seconds between two folds.
const UNFOLDED: u64 = 50_000;
const DAY: u64 = 24 * 3_600 * 1_000_000;

/// Writes grants and calls, tells when that is done, and waits to be killed.
///
/// # Errors
/// When the store refuses.
pub fn fill(home: &Path, grants: usize, calls: u64, written: impl FnOnce()) -> Result<()> {
    let store = Store::open(&Locations {
        data: home.join("data"),
        config: home.join("config"),
    })?;
    let who = Actor::new("bench");
    let minted = furnish(&store, &who, grants)?;
    let folded = calls - UNFOLDED.min(calls / 2);
    write_all(&store, &minted, 0..folded)?;
    store.tally_since(0)?;
    write_all(&store, &minted, folded..calls)?;
    written();
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

fn furnish(store: &Store, who: &Actor, grants: usize) -> Result<Vec<Arc<Grant>>> {
    let servers = SERVERS.min(grants);
    let policy = r#"{"version":"1","default":"allow","all_tools":{"limits":[
        {"counter":"calls","window":"day","max":1000000000,"scope":"grant"}]}}"#;
    for server in 1..=servers {
        let name = format!("server-{server}");
        let new = NewServer {
            name: name.clone(),
            transport: Transport::Http {
                url: "http://127.0.0.1:9/mcp".to_owned(),
            },
            headers: Vec::new(),
            query: Vec::new(),
            env: Vec::new(),
            description: None,
        };
        store.add_server(who, new)?;
        store.put_policy(who, &name, "team", policy, None)?;
        store.put_policy(who, &name, "other", policy, None)?;
    }
    let mint = |number: usize| {
        let new = NewGrant {
            server: format!("server-{}", number % servers + 1),
            label: format!("grant-{number}"),
            attachment: Attachment {
                policy: Some("team".to_owned()),
                shadow: None,
            },
            ..NewGrant::default()
        };
        Ok(store.mint_grant(who, new)?.grant)
    };
    (0..grants).map(mint).collect()
}

/// On two threads, as workers of the gateway write.
fn write_all(store: &Store, grants: &[Arc<Grant>], calls: Range<u64>) -> Result<()> {
    std::thread::scope(|scope| {
        let writers = [0, 1].map(|first| {
            let calls = (calls.start + first..calls.end).step_by(2);
            scope.spawn(move || write(store, grants, calls))
        });
        for writer in writers {
            writer.join().expect("a writer")?;
        }
        Ok(())
    })
}

fn write(store: &Store, grants: &[Arc<Grant>], calls: impl Iterator<Item = u64>) -> Result<()> {
    let (journal, clock) = (store.journal(), store.clock());
    let keys = [Cow::from("body"), Cow::from("title")];
    let charge_of = |grant: &Grant| Charge {
        counter: CounterId {
            scope: grant.id.0.clone(),
            server: grant.server.0.clone(),
            counter: Text::fixed("calls"),
            window: Window::Micros(DAY),
            alignment: Alignment::Sliding,
        },
        max: Amount::whole(1_000_000_000),
        amount: Amount::ONE,
        refund: RefundRule::NotSent,
        rule: RuleId(Text::fixed("/all_tools/limits/calls")),
        policy: PolicyRef {
            name: Text::fixed("team"),
            version: 1,
            grant: grant.id.0.clone(),
        },
    };
    for call in calls {
        let place = usize::try_from(call).unwrap_or_default() % grants.len();
        let Some(grant) = grants.get(place) else {
            break;
        };
        let id =
            CallId::new(u128::from(call).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        journal.append(&Entry::Intent(Intent {
            call: id,
            at: clock.now(),
            grant: grant.id.as_str(),
            grant_label: &grant.label,
            client: Some("claude-code 2.1.332"),
            server: &grant.server_name,
            method: "tools/call",
            tool: Some("create_issue"),
            policy: Some("team"),
            version: Some(1),
            rule: None,
            keys: &keys,
            charges: &[charge_of(grant)],
            shadow: None,
        }))?;
        journal.append(&Entry::Outcome(Outcome {
            call: id,
            at: clock.now(),
            status: Status::Ok,
            upstream_status: Some(200),
            latency_us: 1_234,
            refund: &[],
        }))?;
    }
    Ok(())
}
