//! Grants and policies that end while calls under them are away: whatever is begun afterwards must not arrive.

use super::agents::{PATIENCE, Tally};
use super::dice::Dice;
use super::traffic;
use super::world::World;
use crate::client::Client;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The server that records in this process what reaches it.
const SERVER: &str = "steady";
/// Allows what the victims call.
const ALLOWING: &str = r#"{"version": "1", "default": "deny", "tools": {"slow": {}}}"#;
/// Denies it.
const DENYING: &str = r#"{"version": "1", "default": "deny"}"#;
/// What a victim calls once its right has ended.
const AFTERWARDS: usize = 3;

/// How the right to call ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Revoked,
    Replaced,
}

/// The two eras over HTTP.
#[derive(Debug, Clone, Copy)]
enum Way {
    Session,
    Alone,
}

/// Mints a grant, lets agents call under it, and ends its right in the middle; again and again.
///
/// # Errors
/// When a call that was begun afterwards is not refused, or arrives at the server.
pub(super) async fn meddle(world: &World, tally: &Tally, mut dice: Dice) -> Result<()> {
    for number in 0_u64.. {
        tally.while_resting().await;
        let how = if dice.once_in(2) {
            End::Revoked
        } else {
            End::Replaced
        };
        let pause = Duration::from_millis(50 + dice.roll(600) as u64);
        generation(world, number, how, pause).await?;
        tally.meddled.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

async fn generation(world: &World, number: u64, how: End, pause: Duration) -> Result<()> {
    let label = format!("victim-{number}");
    world.put_policy(SERVER, &label, ALLOWING).await?;
    let token = world.mint(SERVER, &label, &label).await?;
    let over = AtomicBool::new(false);
    let callers = async {
        tokio::try_join!(
            calls(world, &token, &label, Way::Session, &over),
            calls(world, &token, &label, Way::Alone, &over),
        )
    };
    let ends = async {
        tokio::time::sleep(pause).await;
        match how {
            End::Revoked => world.revoke(&label).await?,
            End::Replaced => world.put_policy(SERVER, &label, DENYING).await?,
        }
        over.store(true, Ordering::SeqCst);
        anyhow::Ok(())
    };
    let ((session, alone), ()) = tokio::try_join!(callers, ends)?;
    let arrived = world.victims();
    for text in session.iter().chain(&alone) {
        ensure!(
            !arrived.contains(text),
            "`{text}` arrived although its right had ended ({how:?})"
        );
    }
    if matches!(how, End::Replaced) {
        world.revoke(&label).await?;
    }
    Ok(())
}

/// Calls until its right has ended and a few times more; returns what was called then.
async fn calls(
    world: &World,
    token: &str,
    label: &str,
    way: Way,
    over: &AtomicBool,
) -> Result<Vec<String>> {
    let url = format!("http://{}/mcp/{SERVER}", world.address);
    let client = Client::http(&url, Some(token));
    if matches!(way, Way::Session) {
        let opened = client.as_http().post_raw(traffic::initialize().to_string());
        let opened = tokio::time::timeout(PATIENCE, opened).await;
        let opened = opened.context("a victim cannot open a session")??;
        client
            .as_http()
            .set_session(opened.header("mcp-session-id"));
    }
    let mut afterwards = Vec::new();
    for number in 0_u64.. {
        let ended = over.load(Ordering::SeqCst);
        let text = format!("{label} {way:?} {number}");
        let arguments = json!({"ms": 20, "text": text});
        let reply = match way {
            Way::Session => {
                let call = json!({"jsonrpc": "2.0", "id": number + 1, "method": "tools/call",
                    "params": {"name": "slow", "arguments": arguments}});
                let post = client.as_http().post_raw(call.to_string());
                tokio::time::timeout(PATIENCE, post).await
            }
            Way::Alone => {
                let call = traffic::modern_call(number, "slow", arguments);
                let authorization = format!("Bearer {token}");
                let post = traffic::modern_post(&url, &authorization, &call);
                tokio::time::timeout(PATIENCE, post).await
            }
        };
        let reply = reply.with_context(|| format!("`{text}` hangs"))??;
        if ended {
            ensure!(
                reply.status == 401 || is_refused(&reply.text()),
                "`{text}` was answered {} {} although its right had ended",
                reply.status,
                reply.text()
            );
            afterwards.push(text);
            if afterwards.len() == AFTERWARDS {
                break;
            }
        }
    }
    Ok(afterwards)
}

fn is_refused(answer: &str) -> bool {
    // A session that ended with its grant is not known any more, which is a refusal too.
    answer.contains("[POLICY DENIED]")
        || serde_json::from_str::<Value>(answer).is_ok_and(|answer| answer["error"].is_object())
}
