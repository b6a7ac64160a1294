//! Random mutations of recorded traffic against the shipped binary, for as long as one likes.
//!
//! Messages of a real session are recorded as they go over the wire, and replayed with bytes, headers, framing and
//! JSON changed, over HTTP/1.1, HTTP/2 and stdio; answers of servers are spoilt on their way back. All the while
//! honest agents call, and every call of theirs must be answered in time; grants flood it with bytes; others end in the
//! middle of their calls, and what they call afterwards must not arrive. At the end nothing may be left: memory and
//! open files are those of the beginning, the journal verifies, and no call reached a server without its record.

mod agents;
pub(crate) mod dice;
mod flood;
mod gauge;
mod meddler;
mod mutate;
mod sieve;
mod tee;
mod traffic;
mod world;

pub use gauge::Held;
pub use sieve::sieve;

use agents::Tally;
use anyhow::{Context, Result, ensure};
use dice::Dice;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use traffic::Traffic;
use world::{HONEST, MEMORY_LIMIT, SERVERS, World};

/// What to run and for how long.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The program `provost`.
    pub program: PathBuf,
    /// The program `provost-fixture`.
    pub fixture: PathBuf,
    /// How long nonsense is sent, warm-up included.
    pub duration: Duration,
    /// Where chance begins.
    pub seed: u64,
    /// Agents that send nonsense over HTTP, for each server.
    pub senders: usize,
}

/// What may be held at the end beyond what was held after the warm-up.
#[derive(Debug, Clone, Copy)]
pub struct Margin {
    /// KiB of memory.
    pub rss_kib: u64,
    /// Open files.
    pub files: u64,
}

/// The margin of every run: sessions and records of a daemon that serves come and go.
pub const MARGIN: Margin = Margin {
    rss_kib: 48 * 1024,
    files: 64,
};

/// What the daemon may hold beside that, in MiB: itself.
const BESIDE: u64 = 64;

/// What happened.
#[derive(Debug, Clone)]
pub struct Report {
    /// Where chance began.
    pub seed: u64,
    /// How long it took.
    pub took: Duration,
    /// Mutated requests over HTTP/1.1, connections over HTTP/2, lines over stdio.
    pub sent: [u64; 3],
    /// Floods in bytes.
    pub floods: u64,
    /// Grants and policies that ended in the middle of calls.
    pub meddled: u64,
    /// Statuses of HTTP/1.1 answers.
    pub statuses: BTreeMap<u16, u64>,
    /// Honest calls, all answered.
    pub honest: u64,
    /// The slowest of them.
    pub slowest: Duration,
    /// Held after the warm-up, at rest.
    pub before: Held,
    /// Held at the end, at rest.
    pub after: Held,
    /// Most memory in between, without the pages of the program, and most open files.
    pub most: Held,
    /// Memory at every tenth of the run, in KiB.
    pub course: Vec<u64>,
    /// Entries of the journal.
    pub entries: u64,
    /// Calls that were allowed, as recorded.
    pub allowed: u64,
    /// Calls that reached a server.
    pub reached: u64,
}

/// What the daemon held in the course of a run.
struct Course {
    before: Held,
    after: Held,
    most: Held,
    tenths: Vec<u64>,
}

/// Runs a plan to its end.
///
/// # Errors
/// At the first promise that is not kept.
pub async fn run(plan: &Plan) -> Result<Report> {
    let begun = Instant::now();
    let mut world = World::start(&plan.program, &plan.fixture, plan.seed).await?;
    let mut recorded = BTreeMap::new();
    for (server, traffic) in record(&world).await? {
        recorded.insert(server, Mutex::new(traffic));
    }
    let tally = Tally::default();
    let Course {
        before,
        after,
        most,
        tenths,
    } = {
        let watched = World::pid(&world);
        let crowd = crowd(plan, &world, &recorded, &tally);
        let story = story(plan, &world, &recorded, &tally, watched);
        tokio::select! {
            ended = crowd => {
                ended?;
                anyhow::bail!("nobody is there any more");
            }
            told = story => told?,
        }
    };
    world.check()?;
    let seen = world.seen();
    world.stop().await?;
    let entries = world.verify()?;
    let mut allowed = 0;
    for server in SERVERS {
        let recorded = world.allowed(server)?;
        let reached = match server {
            "steady" => seen.steady,
            "spoilt" | "liar" => 0,
            program => world.calls_of(program).0,
        };
        // A server that lies about its sessions may be sent a call twice; the others never.
        let strict = HONEST.contains(&server);
        ensure!(
            !strict || recorded >= reached,
            "`{server}`: {reached} calls, {recorded} records"
        );
        allowed += recorded;
    }
    ensure!(
        seen.denied == 0,
        "a denied tool was called {} times",
        seen.denied
    );
    let report = Report {
        seed: plan.seed,
        took: begun.elapsed(),
        sent: [&tally.requests, &tally.connections, &tally.lines]
            .map(|n| n.load(Ordering::Relaxed)),
        floods: tally.floods.load(Ordering::Relaxed),
        meddled: tally.meddled.load(Ordering::Relaxed),
        statuses: tally.statuses.lock().unwrap().clone(),
        honest: tally.honest.load(Ordering::Relaxed),
        slowest: Duration::from_micros(tally.slowest_us.load(Ordering::Relaxed)),
        before,
        after,
        most,
        course: tenths,
        entries,
        allowed,
        reached: seen.all,
    };
    report.check()?;
    Ok(report)
}

/// A session with each server, all at once.
async fn record(world: &World) -> Result<Vec<(&'static str, Traffic)>> {
    let [a, b, c, d, e] = SERVERS.map(|server| traffic::record(world, server));
    let (a, b, c, d, e) = tokio::try_join!(a, b, c, d, e)?;
    Ok(SERVERS.into_iter().zip([a, b, c, d, e]).collect())
}

/// Everybody who sends. Ends only when somebody is disappointed.
async fn crowd(
    plan: &Plan,
    world: &World,
    recorded: &BTreeMap<&str, Mutex<Traffic>>,
    tally: &Tally,
) -> Result<()> {
    let mut number = 0;
    let mut dice = || {
        number += 1;
        Dice::new(plan.seed, number)
    };
    let mut hostile = Vec::new();
    let mut bridges = Vec::new();
    for server in SERVERS {
        let traffic = recorded.get(server).context("recorded")?;
        for _ in 0..plan.senders {
            hostile.push(agents::hostile_over_http(
                world.address,
                traffic,
                tally,
                dice(),
            ));
        }
        bridges.push(agents::hostile_over_stdio(
            world,
            server,
            traffic,
            tally,
            dice(),
        ));
    }
    let mut floods = Vec::new();
    for server in HONEST {
        floods.push(flood::flood(world, server, tally, dice()));
    }
    let meddler = meddler::meddle(world, tally, dice());
    let hostile = all(hostile);
    let floods = all(floods);
    let bridges = first_failure(bridges);
    let mut honest = Vec::new();
    let mut modern = Vec::new();
    for server in HONEST {
        modern.push(agents::honest_and_modern(world, server, tally));
        for over_http in [true, false] {
            honest.push(agents::honest(world, server, over_http, tally));
        }
    }
    tokio::select! {
        () = hostile => Ok(()),
        () = floods => Ok(()),
        failed = meddler => failed,
        failed = bridges => failed,
        failed = first_failure(honest) => failed,
        failed = first_failure(modern) => failed,
    }
}

/// What happens in which order, and what the daemon holds meanwhile.
async fn story(
    plan: &Plan,
    world: &World,
    recorded: &BTreeMap<&str, Mutex<Traffic>>,
    tally: &Tally,
    pid: u32,
) -> Result<Course> {
    let begun = Instant::now();
    let mut tenths = Vec::new();
    let warm = (plan.duration / 4).min(Duration::from_secs(120));
    let mut most = Held::default();
    let mut before = None;
    let mut recorded_at = Instant::now();
    while begun.elapsed() < plan.duration {
        tokio::time::sleep(Duration::from_millis(500)).await;
        world.collect();
        let now = gauge::held(pid).context("the daemon is gone")?;
        most.files = most.files.max(now.files);
        most.threads = most.threads.max(now.threads);
        while begun.elapsed() >= plan.duration / 10 * (tenths.len() as u32 + 1) {
            tenths.push(now.rss_kib);
        }
        if recorded_at.elapsed() > Duration::from_secs(5) {
            recorded_at = Instant::now();
            refresh(world, recorded).await?;
        }
        if before.is_none() && begun.elapsed() >= warm {
            before = Some(at_rest(world, recorded, tally, pid).await?);
        }
    }
    let after = at_rest(world, recorded, tally, pid).await?;
    most.rss_kib = gauge::peak_kib(pid).context("the daemon is gone")?;
    Ok(Course {
        before: before.context("the run was too short")?,
        after,
        most,
        tenths,
    })
}

/// What the daemon holds when nobody sends nonsense, and all sessions of those who did have ended.
async fn at_rest(
    world: &World,
    recorded: &BTreeMap<&str, Mutex<Traffic>>,
    tally: &Tally,
    pid: u32,
) -> Result<Held> {
    tally.rest.store(true, Ordering::Relaxed);
    world.renew().await?;
    let held = gauge::at_rest(pid).await.context("the daemon is gone")?;
    refresh(world, recorded).await?;
    tally.rest.store(false, Ordering::Relaxed);
    Ok(held)
}

/// Records anew: sessions are ended by what is sent, and fresh ones keep it interesting.
async fn refresh(world: &World, recorded: &BTreeMap<&str, Mutex<Traffic>>) -> Result<()> {
    for (server, fresh) in record(world).await? {
        *recorded.get(server).context("recorded")?.lock().unwrap() = fresh;
    }
    Ok(())
}

/// Polls all of them, for ever.
async fn all(futures: Vec<impl Future<Output = ()>>) {
    let failures = futures.into_iter().map(|future| async {
        future.await;
        Ok(())
    });
    drop(first_failure(failures.collect()).await);
}

/// Polls all of them until one ends.
async fn first_failure(futures: Vec<impl Future<Output = Result<()>>>) -> Result<()> {
    let mut pinned: Vec<_> = futures.into_iter().map(Box::pin).collect();
    std::future::poll_fn(|context| {
        for future in &mut pinned {
            if let std::task::Poll::Ready(ended) = future.as_mut().poll(context) {
                return std::task::Poll::Ready(ended);
            }
        }
        std::task::Poll::Pending
    })
    .await
}

// === impl Report ===

impl Report {
    fn check(&self) -> Result<()> {
        let Held { rss_kib, files, .. } = self.after;
        let most = self.before.rss_kib + MARGIN.rss_kib;
        ensure!(rss_kib <= most, "memory grew: {self}");
        ensure!(
            self.most.rss_kib <= (MEMORY_LIMIT + BESIDE) * 1024,
            "more memory than the limit of {MEMORY_LIMIT} MiB and {BESIDE} MiB: {self}"
        );
        ensure!(
            files <= self.before.files + MARGIN.files,
            "files are left open: {self}"
        );
        ensure!(
            self.entries >= self.reached,
            "calls without a record: {self}"
        );
        ensure!(
            self.sent.iter().all(|count| *count > 0)
                && [self.honest, self.floods, self.meddled]
                    .iter()
                    .all(|count| *count > 0),
            "nothing happened: {self}"
        );
        Ok(())
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [requests, connections, lines] = self.sent;
        writeln!(f, "seed {}, {:.0} s", self.seed, self.took.as_secs_f64())?;
        writeln!(
            f,
            "mutated: {requests} requests over HTTP/1.1, {connections} connections over HTTP/2, {lines} lines over stdio"
        )?;
        writeln!(
            f,
            "floods: {}; grants and policies that ended in the middle of calls: {}",
            self.floods, self.meddled
        )?;
        writeln!(f, "statuses: {:?}", self.statuses)?;
        writeln!(
            f,
            "honest calls: {}, the slowest {:.0} ms",
            self.honest,
            self.slowest.as_secs_f64() * 1e3
        )?;
        let held = |held: &Held| {
            format!(
                "{:.1} MiB, {} files, {} threads",
                held.rss_kib as f64 / 1024.0,
                held.files,
                held.threads
            )
        };
        writeln!(f, "held after the warm-up: {}", held(&self.before))?;
        writeln!(f, "held at the end:        {}", held(&self.after))?;
        writeln!(f, "most in between:        {}", held(&self.most))?;
        let tenths = self.course.iter().map(|kib| (kib / 1024).to_string());
        let tenths: Vec<String> = tenths.collect();
        writeln!(f, "memory at every tenth:  {} MiB", tenths.join(" "))?;
        write!(
            f,
            "journal: {} entries, intact; {} calls allowed, {} reached a server",
            self.entries, self.allowed, self.reached
        )
    }
}
