//! `wayside demo`: a made-up town, played through a real broker in this process.
//!
//! Three MQTT clients on loopback: one plays the town's recording, one is the unit, one is a driver
//! who reads the signs. Their clock runs faster than the world's.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::sync::oneshot;

use super::replay::print_summary;
use super::{Exit, Exits, Failure, Output, draw, plan, runtime};
use crate::io::broker::EmbeddedBroker;
use crate::io::clock::ScaledClock;
use crate::io::mqtt::{MqttSession, MqttSink, MqttSource, SessionOptions};
use crate::io::recording::RecordingSource;
use crate::plan::{Broker, MqttVersion, Plan};
use crate::ports::{Clock, Publication, SharedClock, Sink, Source};
use crate::runtime::{Engine, LiveOptions, Pace, Summary, run as run_live, writers};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The pipeline file of the town.
    #[arg(long, default_value = "pipelines/demo.yaml", value_name = "FILE")]
    pipeline: PathBuf,
    /// Its recording; beside the network unless said otherwise.
    #[arg(long, value_name = "FILE")]
    recording: Option<PathBuf>,
    /// How many times faster than the world the town's clock runs.
    #[arg(long, default_value_t = 25.0, value_parser = speed)]
    speed: f64,
    /// The form of the result: `text` draws each sign as it changes; `json` prints the summary alone.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Faster than this, a second of lateness is over before a message has crossed the broker.
pub(super) fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (1.0..=60.0).contains(&speed) => Ok(speed),
        _ => Err("a number from 1 to 60".to_owned()),
    }
}

/// Event time that the unit goes on after the last message: idle sensors drop out, the last windows
/// close, what stands on signs is renewed or withdrawn.
const AFTERMATH: Duration = Duration::from_mins(2);

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    if !args.pipeline.exists() {
        let error = anyhow::anyhow!(
            "{} is not there: run the demo in the project's folder, or name its file with --pipeline",
            args.pipeline.display()
        );
        return Err(Failure { exit: Exit::Input, error });
    }
    let plan = Arc::new(plan(&args.pipeline)?);
    let recording = match &args.recording {
        Some(path) => path.clone(),
        None => args.pipeline.with_extension("").join("recording.ndjson.gz"),
    };
    runtime()?.block_on(demo(args, plan, &recording))
}

async fn demo(args: &Args, plan: Arc<Plan>, recording: &std::path::Path) -> Result<Exit, Failure> {
    let mut first = RecordingSource::open(recording).exits(Exit::Input)?;
    let Some(start) = first.next().await else {
        let error = anyhow::anyhow!("{} holds no message", recording.display());
        return Err(Failure { exit: Exit::Input, error });
    };
    let start = start.exits(Exit::Input)?.received_at - Duration::from_secs(2);
    drop(first);

    let embedded = EmbeddedBroker::start().await?;
    let address = embedded.address();
    let text = args.output == Output::Text;
    if text {
        println!(
            "broker on {address}; {} at {} times its speed, from {start}",
            plan.network.city, args.speed
        );
    }
    let writers = writers(&plan);
    if text {
        println!("words by {}\n", writers.state);
    }
    let clock: SharedClock = Arc::new(ScaledClock::new(start, args.speed));

    let connect = |client_id: &str, subscriptions: Vec<(String, u8)>| {
        let broker = Broker {
            host: address.ip().to_string(),
            port: address.port(),
            version: MqttVersion::V5,
            client_id: client_id.to_owned(),
            keep_alive: Duration::from_secs(30),
            tls: None,
            user: None,
            password: None,
        };
        MqttSession::start(
            SessionOptions { subscriptions, ..SessionOptions::new(broker) },
            Arc::clone(&clock),
        )
    };
    let unit = connect("unit", plan.subscriptions())?;
    let driver = connect("driver", vec![(signs_filter(&plan)?, 1)])?;
    let player = connect("player", Vec::new())?;
    for session in [&unit, &driver, &player] {
        session.ready().await?;
    }

    let mut engine = Engine::for_live(Arc::clone(&plan), writers, Arc::clone(&clock))?;
    let (over, stop) = oneshot::channel();
    let playing = tokio::spawn(play(recording.to_owned(), player.sink(), Arc::clone(&clock), over));
    let watching = tokio::spawn(watch(driver.source(), text));

    let (mut source, mut sink) = (unit.source(), unit.sink());
    let ended = run_live(
        &mut engine,
        LiveOptions {
            pace: Pace::Clock,
            clock: Arc::clone(&clock),
            source: &mut source,
            sink: &mut sink,
            archive: None,
            journal: None,
            link: &|| serde_json::json!(unit.stats()),
            observe: &mut |_| {},
        },
        async {
            // The player's end, or its failure, ends the run alike.
            let _ended = stop.await;
        },
    )
    .await;
    let count = playing.await.context("the player stopped")??;
    // What the unit sent last is on its way to the driver.
    tokio::time::sleep(Duration::from_millis(300)).await;
    watching.abort();
    for session in [unit, driver, player] {
        session.stop().await;
    }
    embedded.stop().await?;
    ended?;
    finish(args, &engine.summary(), count)
}

fn finish(args: &Args, summary: &Summary, played: u64) -> Result<Exit, Failure> {
    if args.output == Output::Text {
        println!("\nplayed {played} messages");
    }
    print_summary(summary, args.output)?;
    let fates = summary.accepted + summary.duplicate + summary.late + summary.dead.total;
    if summary.received != fates || played != summary.received + summary.unsubscribed {
        let error = anyhow::anyhow!(
            "{played} messages were played, {} received, {fates} accounted for",
            summary.received
        );
        return Err(Failure { exit: Exit::Failed, error });
    }
    Ok(Exit::Done)
}

/// Publishes the recording at the clock's pace, waits for the aftermath, and says that it is over.
async fn play(
    recording: PathBuf,
    mut sink: MqttSink,
    clock: SharedClock,
    over: oneshot::Sender<()>,
) -> anyhow::Result<u64> {
    let mut played = 0;
    let mut source = RecordingSource::open(&recording)?;
    let mut last = clock.now();
    while let Some(message) = source.next().await {
        let message = message?;
        if message.topic.ends_with("/clock") {
            continue;
        }
        until(&*clock, message.received_at).await;
        last = message.received_at;
        let payload: Value = serde_json::from_slice(&message.payload)
            .with_context(|| format!("{}: a payload is not JSON", recording.display()))?;
        sink.send(&Publication {
            ts: message.received_at,
            topic: message.topic,
            payload: payload.into(),
            qos: 1,
            retain: false,
            expiry: None,
        })
        .await?;
        played += 1;
    }
    sink.flush().await?;
    until(&*clock, last + AFTERMATH).await;
    if over.send(()).is_err() {
        bail!("the unit stopped before the recording ended");
    }
    Ok(played)
}

/// Sleeps until the clock shows `time`.
async fn until(clock: &dyn Clock, time: crate::domain::time::Timestamp) {
    while clock.now() < time {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Reads the signs as any subscriber would, and draws what they show.
async fn watch(mut source: MqttSource, draws: bool) {
    while let Some(Ok(message)) = source.next().await {
        // Without acknowledgements the broker would hold back the next ones.
        if source.acknowledge(message.receipt).await.is_err() {
            return;
        }
        if !draws {
            continue;
        }
        match serde_json::from_slice::<Value>(&message.payload) {
            Ok(payload) => print!("{}", draw::direction(&message.topic, &payload)),
            Err(error) => eprintln!("{}: {error}", message.topic),
        }
        if std::io::stdout().flush().is_err() {
            return;
        }
    }
}

/// The filter of all directions: the topic of the first output that has one, up to its last word
/// before the variable parts.
fn signs_filter(plan: &Plan) -> Result<String, Failure> {
    use crate::plan::OutputKind::{Archive, Signs, Vehicles, Windows};
    let topic = plan.outputs.iter().find_map(|output| match &output.kind {
        Signs { topic, .. } | Vehicles { topic, .. } => topic.split_once("/direction/"),
        Archive { .. } | Windows { .. } => None,
    });
    match topic {
        Some((before, _)) => Ok(format!("{before}/direction/#")),
        None => {
            Err(anyhow::anyhow!("{}: no output with `/direction/` in its topic", plan.name).into())
        }
    }
}
