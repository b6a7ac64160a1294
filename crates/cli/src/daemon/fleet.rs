//! The fleet as the daemon runs it: a part of the gateway's servers on one side, tmux on the
//! other.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use provost_admin::{Failure, Outcome};
use provost_fleet::tools::{Answer, Tool};
use provost_fleet::{
    Fleet, Limits, Place, Places, SERVER, Settings, SubtreeLimits, Tmux, Windows, furnish,
};
use provost_gateway::{Answering, Builtin, Progress, ToolAnswer, ToolCall};
use provost_policy::json::Value;
use provost_policy::{Call, Caller, RuleId};
use provost_store::{GrantId, Store};

use super::config::{FleetTable, LimitsTable, SubtreeTable};
use super::start::own_program;
use crate::environment::{self, Environment};
use crate::locations;
use crate::runtime::blocking;

/// The terminal, looked for in `PATH`.
const TMUX: &str = "tmux";

/// The fleet behind its server.
struct Served(Arc<Fleet<Tmux>>);

/// Starts the fleet: what runs in tmux already is adopted, and how it went on without a
/// daemon is taken in. tmux itself starts with the first agent.
pub(super) async fn start(
    places: &locations::Places,
    store: Store,
    wanted: FleetTable,
) -> Outcome<Arc<dyn Builtin>> {
    let cannot = || Failure::unavailable("the fleet cannot start");
    if !cfg!(target_os = "linux") {
        return Err(cannot().because("agents are run on Linux only"));
    }
    let settings = settings(places, wanted)?;
    let furnished = store.clone();
    blocking(move || Ok(furnish(&furnished)?)).await?;
    let directory = places.data.join(SERVER);
    let place = Place::create(directory).map_err(|error| cannot().because(error))?;
    let program = own_program().map_err(|error| cannot().because(error))?;
    let wrapper = crate::command::wrap::of_agents(program);
    let tmux = Tmux::start(&place, PathBuf::from(TMUX), base()).await;
    let (tmux, events) = tmux.map_err(|error| {
        let failure = cannot().because_of(&error);
        match error {
            provost_fleet::TmuxError::LongPath(_) => {
                failure.hint("use a data directory with a shorter path")
            }
            provost_fleet::TmuxError::Missing(_) | provost_fleet::TmuxError::TooOld(_) => {
                failure.hint("install it, or take `[fleet]` out of the configuration file")
            }
            provost_fleet::TmuxError::Unknown(..) | provost_fleet::TmuxError::Io(_) => failure,
        }
    })?;
    let (windows, news) = Windows::take_over(tmux, events, place.clone(), wrapper);
    let fleet = Arc::new(Fleet::new(store, windows, place, settings));
    let recovering = Arc::clone(&fleet);
    blocking(move || {
        let recovered = recovering.recover();
        recovered.map_err(|error| Failure::unavailable("the fleet cannot start").because_of(&error))
    })
    .await?;
    let following = Arc::clone(&fleet);
    // Ends with the terminal's events, and so with the process.
    tokio::spawn(async move { following.follow(news).await });
    Ok(Arc::new(Served(fleet)))
}

/// What the configuration file says, checked.
fn settings(places: &locations::Places, wanted: FleetTable) -> Outcome<Settings> {
    let refused = |problem: String| {
        Failure::usage("the table `[fleet]` of the configuration file was refused").because(problem)
    };
    if wanted.roots.is_empty() {
        return Err(refused("`roots` names no directory".to_owned()));
    }
    let roots = Places::new(&wanted.roots);
    let roots = roots.map_err(|error| refused(error.to_string()).hint(error.hint()))?;
    let mut agents = BTreeMap::new();
    for (name, agent) in wanted.agents {
        if agent.command.is_empty() {
            return Err(refused(format!("`command` of agent `{name}` is empty")));
        }
        let command: Vec<OsString> = agent.command.into_iter().map(OsString::from).collect();
        agents.insert(name, command);
    }
    let only = || match agents.len() {
        1 => agents.keys().next().cloned(),
        _ => None,
    };
    let agent = wanted.agent.or_else(only).ok_or_else(|| {
        refused("`agent` has to say which of several agents is the usual one".to_owned())
    })?;
    if !agents.contains_key(&agent) {
        return Err(refused(format!(
            "`agent` is `{agent}`, and there is no `[fleet.agents.{agent}]`"
        )));
    }
    let mut environment = base();
    environment.push((environment::DATA.into(), places.data.clone().into()));
    environment.push((environment::CONFIG.into(), places.config.clone().into()));
    Ok(Settings {
        places: roots,
        limits: limits(&wanted.limits),
        agents,
        agent,
        environment,
    })
}

fn limits(wanted: &LimitsTable) -> Limits {
    let of = |wanted: &SubtreeTable, usual: SubtreeLimits| SubtreeLimits {
        living: wanted.living.unwrap_or(usual.living),
        per_minute: wanted.per_minute.unwrap_or(usual.per_minute),
        ever: wanted.ever.unwrap_or(usual.ever),
        tokens: wanted.tokens.or(usual.tokens),
    };
    let usual = Limits::default();
    Limits {
        depth: wanted.depth.unwrap_or(usual.depth),
        width: wanted.width.unwrap_or(usual.width),
        tree: of(&wanted.tree, usual.tree),
        below: of(&wanted.below, usual.below),
    }
}

fn base() -> Vec<(OsString, OsString)> {
    let base = Environment::base_for_children().into_iter();
    base.map(|(name, value)| (name.into(), value.into()))
        .collect()
}

// === impl Served ===

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").finish_non_exhaustive()
    }
}

impl Builtin for Served {
    fn instructions(&self) -> &str {
        "Starts and leads agents, each in a terminal of its own. `spawn` makes one, `send` gives it a text, `read` shows \
         what it printed, `wait` waits for its task, `terminate` ends it. Whom you may lead depends on your role."
    }

    fn tools(&self, caller: &Caller) -> serde_json::Value {
        self.0.tools(&grant(caller))
    }

    fn refuses(&self, call: &Call<'_>, caller: &Caller) -> Option<(RuleId, String)> {
        let arguments = call.arguments.map_or("{}", Value::raw);
        let refusal = self.0.refuses(&grant(caller), call.tool?, arguments)?;
        let rule = match refusal.rule()? {
            provost_fleet::Rule::Role => RuleId::ROLE,
            provost_fleet::Rule::Limit => RuleId::FLEET_LIMIT,
        };
        Some((rule, format!("{refusal}; {}", refusal.hint())))
    }

    fn is_own_affair(&self, tool: &str) -> bool {
        Tool::from_name(tool) == Some(Tool::ReportResult)
    }

    fn call(&self, call: ToolCall, caller: Caller, progress: Progress) -> Answering {
        let fleet = Arc::clone(&self.0);
        Box::pin(async move {
            let Some(tool) = Tool::from_name(&call.name) else {
                return ToolAnswer::Unknown;
            };
            let told = |done: u64, words: &str| progress.say(done, None, words);
            let grant = grant(&caller);
            let done = fleet.call(&grant, tool, &call.arguments, &told);
            match done.await.map(|answer| Answer::structured(&answer)) {
                Ok(Ok(result)) => ToolAnswer::Result(result),
                Ok(Err(error)) => {
                    ToolAnswer::Error(format!("the answer cannot be written: {error}"))
                }
                Err(failure) => ToolAnswer::Error(failure.words()),
            }
        })
    }
}

fn grant(caller: &Caller) -> GrantId {
    GrantId(caller.grant.clone())
}
