//! `wayside run`: a pipeline against a broker, until told to stop.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::demo::speed;
use super::replay::print_summary;
use super::{Exit, Exits, Failure, Output, plan, runtime};
use crate::domain::time::Timestamp;
use crate::io::archive::GrowingArchive;
use crate::io::clock::{ScaledClock, SystemClock};
use crate::io::journal::{Journal, JournalOptions};
use crate::io::mqtt::{LastWill, MqttSession, SessionOptions};
use crate::plan::{Broker, MqttVersion, OutputKind, Plan};
use crate::ports::SharedClock;
use crate::runtime::{Engine, Journaling, LiveOptions, ModelState, Pace, run as run_live, writers};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The pipeline file.
    pipeline: PathBuf,
    #[command(flatten)]
    broker: BrokerArgs,
    /// What moves time: this machine's clock, or beats on `wayside/v1/SITE/clock` that are
    /// acknowledged (for benches and for recordings played from elsewhere).
    #[arg(long, value_enum, default_value_t)]
    clock: ClockChoice,
    /// For benches: the unit's clock shows TIME (RFC 3339) at its start, whatever this machine's does.
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse, requires = "clock_speed", conflicts_with = "clock")]
    clock_from: Option<Timestamp>,
    /// ... and runs so many times as fast as the world's.
    #[arg(long, value_name = "SPEED", value_parser = speed, requires = "clock_from")]
    clock_speed: Option<f64>,
    /// The form of the summary that is printed at the end.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum ClockChoice {
    #[default]
    Wall,
    Driven,
}

#[derive(Debug, clap::Args)]
pub(super) struct BrokerArgs {
    /// HOST[:PORT] of the broker, in place of the pipeline file's.
    #[arg(long, value_name = "HOST[:PORT]")]
    broker: Option<String>,
}

impl BrokerArgs {
    /// The broker to use: the pipeline's with host and port from the command line, where given.
    pub fn broker(&self, plan: &Plan) -> Result<Broker, Failure> {
        let mut broker = plan.broker.clone().unwrap_or_else(|| Broker {
            host: "127.0.0.1".to_owned(),
            port: 1883,
            version: MqttVersion::V5,
            client_id: format!("wayside-{}", plan.site),
            keep_alive: Duration::from_secs(30),
            tls: None,
            user: None,
            password: None,
        });
        let Some(address) = &self.broker else { return Ok(broker) };
        // `[::1]:1883` has colons of its own.
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
            _ => (address.as_str(), None),
        };
        host.trim_start_matches('[').trim_end_matches(']').clone_into(&mut broker.host);
        if let Some(port) = port {
            broker.port = port.parse().map_err(|_| {
                let error = anyhow::anyhow!("--broker {address}: `{port}` is no port (1 to 65535)");
                Failure { exit: Exit::Input, error }
            })?;
        }
        Ok(broker)
    }
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let plan = Arc::new(plan(&args.pipeline)?);
    let broker = args.broker.broker(&plan)?;
    let clock: SharedClock = match args.clock_from.zip(args.clock_speed) {
        Some((start, speed)) => Arc::new(ScaledClock::new(start, speed)),
        None => Arc::new(SystemClock::new()),
    };
    let archive = archive(&plan)?;
    let summary = runtime()?.block_on(live(args, Arc::clone(&plan), &broker, clock, archive))?;
    print_summary(&summary, args.output)?;
    Ok(Exit::Done)
}

async fn live(
    args: &Args,
    plan: Arc<Plan>,
    broker: &Broker,
    clock: SharedClock,
    archive: Option<GrowingArchive>,
) -> Result<crate::runtime::Summary, Failure> {
    let mut filters = plan.subscriptions();
    let pace = match args.clock {
        ClockChoice::Wall => Pace::Clock,
        ClockChoice::Driven => {
            let topic = format!("wayside/v1/{}/clock", plan.site);
            filters.push((topic.clone(), 1));
            Pace::Driven { topic }
        }
    };
    let last_will =
        LastWill { topic: plan.status_topic.clone(), payload: crate::runtime::last_will() };
    let session = MqttSession::start(
        SessionOptions {
            subscriptions: filters,
            last_will: Some(last_will),
            ..SessionOptions::new(broker.clone())
        },
        Arc::clone(&clock),
    )?;
    session.ready().await?;
    let (mut source, mut sink) = (session.source(), session.sink());
    let writers = writers(&plan);
    eprintln!(
        "wayside: {} on {}:{}, words by {}",
        plan.name, broker.host, broker.port, writers.state
    );
    let journal = journaling(&plan, &writers.state, &clock)?;
    // A driven run is a bench's: like a replay, it must not depend on the speed of the machine.
    let mut engine = match args.clock {
        ClockChoice::Wall => Engine::for_live(plan, writers, Arc::clone(&clock))?,
        ClockChoice::Driven => Engine::for_replay(plan, writers)?,
    };
    run_live(
        &mut engine,
        LiveOptions {
            pace,
            clock,
            source: &mut source,
            sink: &mut sink,
            archive,
            journal,
            link: &|| serde_json::json!(session.stats()),
            observe: &mut |_| {},
        },
        stop_signal(),
    )
    .await?;
    session.stop().await;
    Ok(engine.summary())
}

/// The plan's archive, which goes on from run to run.
fn archive(plan: &Plan) -> Result<Option<GrowingArchive>, Failure> {
    let archive = plan.outputs.iter().find_map(|output| match &output.kind {
        OutputKind::Archive { dir, keep_days } => Some(GrowingArchive::open(dir, *keep_days)),
        _ => None,
    });
    archive.transpose().exits(Exit::Input)
}

/// The plan's journal, with what an earlier run left in it.
fn journaling(
    plan: &Plan,
    model: &ModelState,
    clock: &SharedClock,
) -> Result<Option<Journaling>, Failure> {
    let Some(journal) = &plan.journal else { return Ok(None) };
    let options = JournalOptions::from(journal);
    let (opened, recovered) = Journal::open(options, Arc::clone(clock)).exits(Exit::Input)?;
    // What words directions is a part of what they become.
    let identity = format!("{} {} {model}", plan.hash, plan.network.hash);
    let every = journal.snapshot_every;
    Ok(Some(Journaling { journal: opened, recovered, every, identity }))
}

/// Ready at Ctrl-C or SIGTERM.
pub(super) async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(error) => {
            tracing::warn!(%error, "SIGTERM cannot be caught; Ctrl-C ends the run");
            let _pressed = tokio::signal::ctrl_c().await;
        }
    }
}
