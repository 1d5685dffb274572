//! `wayside record`: what a pipeline's sources hear, in a file to replay.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::run::{BrokerArgs, stop_signal};
use super::{Exit, Exits, Failure, Output, plan, runtime};
use crate::io::clock::SystemClock;
use crate::io::mqtt::{MqttSession, MqttSource, SessionOptions};
use crate::io::recording::RecordingWriter;
use crate::ports::{SharedClock, Source};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The pipeline file whose sources are recorded.
    pipeline: PathBuf,
    #[command(flatten)]
    broker: BrokerArgs,
    /// The recording to write: .ndjson, .ndjson.gz or .parquet.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Stop after so many seconds; otherwise at Ctrl-C or SIGTERM.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Stop after so many messages.
    #[arg(long, value_name = "N")]
    messages: Option<u64>,
    /// The form of the result on stdout.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let plan = plan(&args.pipeline)?;
    let mut broker = args.broker.broker(&plan)?;
    // The unit's own name must stay free: a broker throws out the older of two with one name.
    broker.client_id.push_str("-record");
    let writer = RecordingWriter::create(&args.out).exits(Exit::Input)?;
    let recorded = runtime()?.block_on(async {
        let clock: SharedClock = Arc::new(SystemClock::new());
        // What comes while nobody records must not stand in the next recording as received then.
        let options = SessionOptions {
            subscriptions: plan.subscriptions(),
            persistent: false,
            ..SessionOptions::new(broker)
        };
        let session = MqttSession::start(options, clock)?;
        session.ready().await?;
        let recorded = record(args, session.source(), writer).await;
        session.stop().await;
        recorded
    })?;
    match args.output {
        Output::Text => println!("{recorded} messages in {}", args.out.display()),
        Output::Json => println!("{}", serde_json::json!({"messages": recorded, "file": args.out})),
    }
    Ok(Exit::Done)
}

async fn record(
    args: &Args,
    mut source: MqttSource,
    mut writer: RecordingWriter,
) -> Result<u64, Failure> {
    let mut stop = std::pin::pin!(async {
        tokio::select! {
            () = stop_signal() => {}
            () = tokio::time::sleep(Duration::from_secs(args.seconds.unwrap_or(u64::MAX / 4))) => {}
        }
    });
    let mut flush = tokio::time::interval(Duration::from_secs(1));
    let mut recorded = 0_u64;
    while args.messages.is_none_or(|most| recorded < most) {
        tokio::select! {
            biased;
            () = &mut stop => break,
            message = source.next() => {
                let Some(message) = message else { break };
                let message = message?;
                writer.write(&message)?;
                recorded += 1;
                source.acknowledge(message.receipt).await?;
            }
            _ = flush.tick() => writer.flush()?,
        }
    }
    Ok(writer.finish()?)
}
