//! Live runs over sources and sinks in memory: what goes out again after a crash, what a clock that
//! is set does to what waits, and what is heard of a unit that is never idle.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use wayside::domain::time::Timestamp;
use wayside::io::clock::ManualClock;
use wayside::io::journal::{Journal, JournalOptions};
use wayside::io::memory::{MemorySink, MemorySource};
use wayside::plan::{Output, OutputKind, Plan, Produces};
use wayside::ports::{Message, PortError, Publication, SharedClock, Sink, Source};
use wayside::runtime::{
    Engine, Event, Journaling, LiveOptions, Pace, RunError, Summary, run, writers,
};

use super::player::played;
use super::support::root;

/// The demo with templates, which publishes its windows as well.
fn plan() -> Arc<Plan> {
    let path = root().join("pipelines/demo.yaml");
    let mut plan = wayside::config::load(&path).unwrap_or_else(|report| panic!("{report}"));
    plan.writer.model = None;
    let topic = "wayside/v1/demo/window/{window}".to_owned();
    let kind = OutputKind::Windows { topic, qos: 1, retain: false };
    plan.outputs.push(Output { name: "windows".to_owned(), kind });
    Arc::new(plan)
}

/// Gives messages one by one, and sets a clock to what `before` says of each before it is given.
struct Clocked<F> {
    messages: MemorySource,
    nth: usize,
    before: F,
}

#[async_trait]
impl<F: FnMut(usize, &mut Message) + Send> Source for Clocked<F> {
    async fn next(&mut self) -> Option<Result<Message, PortError>> {
        let mut message = self.messages.next().await?.unwrap();
        (self.before)(self.nth, &mut message);
        self.nth += 1;
        Some(Ok(message))
    }
    async fn acknowledge(&mut self, receipt: u64) -> Result<(), PortError> {
        self.messages.acknowledge(receipt).await
    }
}

/// A broker that has taken so many publications, and then nothing more.
#[derive(Clone)]
struct Until {
    taken: u64,
    sink: MemorySink,
}

#[async_trait]
impl Sink for Until {
    async fn send(&mut self, publication: &Publication) -> Result<u64, PortError> {
        self.sink.send(publication).await
    }
    async fn flush(&mut self) -> Result<(), PortError> {
        Ok(())
    }
    fn done(&self) -> u64 {
        self.taken
    }
}

struct Run<'r> {
    clock: ManualClock,
    source: &'r mut dyn Source,
    sink: &'r mut dyn Sink,
    /// Where a journal lies, and whose it is.
    folder: Option<(&'r Path, &'r str)>,
}

/// The pipeline of most runs here.
const OURS: &str = "test";

async fn live(of: Run<'_>) -> (Result<(), RunError>, Summary) {
    let plan = plan();
    let mut engine = Engine::for_replay(Arc::clone(&plan), writers(&plan)).unwrap();
    let clock: SharedClock = Arc::new(of.clock);
    let journal = of.folder.map(|(folder, identity)| {
        let options = JournalOptions::new(folder.join("journal"));
        let (journal, recovered) = Journal::open(options, Arc::clone(&clock)).unwrap();
        let every = Duration::from_secs(30);
        Journaling { journal, recovered, every, identity: identity.to_owned() }
    });
    let options = LiveOptions {
        pace: Pace::Clock,
        clock,
        source: of.source,
        sink: of.sink,
        archive: None,
        journal,
        link: &|| serde_json::Value::Null,
        observe: &mut |_| {},
    };
    let ended = run(&mut engine, options, std::future::pending()).await;
    (ended, engine.summary())
}

fn about<'p>(sent: &'p [Publication], what: &str) -> Vec<(&'p str, &'p str)> {
    let about = sent.iter().filter(|p| p.topic.contains(what));
    about.map(|p| (p.topic.as_str(), p.payload.as_str())).collect()
}

/// Each window's result goes out again until the broker has it: not only the newest on its topic.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_had_not_taken_goes_out_again() {
    let messages = played(Duration::MAX);
    let start = messages[0].received_at;
    let run_of = async |taken: u64| {
        let folder = tempfile::tempdir().unwrap();
        let sink = MemorySink::new();
        let (ended, _) = live(Run {
            clock: ManualClock::new(start),
            source: &mut MemorySource::new(messages.clone()),
            sink: &mut Until { taken, sink: sink.clone() },
            folder: Some((folder.path(), OURS)),
        })
        .await;
        ended.unwrap();
        let again = MemorySink::new();
        let (ended, _) = live(Run {
            clock: ManualClock::new(start),
            source: &mut MemorySource::new(Vec::new()),
            sink: &mut again.clone(),
            folder: Some((folder.path(), OURS)),
        })
        .await;
        ended.unwrap();
        (sink.publications(), again.publications())
    };

    let (sent, again) = run_of(0).await;
    let windows = about(&sent, "/window/");
    assert!(windows.len() > 50, "{} windows", windows.len());
    assert_eq!(about(&again, "/window/"), windows);

    let taken = sent.len() / 2;
    let (sent, again) = run_of(taken as u64).await;
    assert_eq!(about(&again, "/window/"), about(&sent[taken..], "/window/"));

    let (_, again) = run_of(u64::MAX - 1).await;
    assert_eq!(about(&again, "/window/"), []);
    // What a late comer should see is said again in any case.
    let all_seen = about(&sent, "/direction/");
    let said = about(&again, "/direction/");
    assert!(!said.is_empty() && said.iter().all(|said| all_seen.contains(said)), "{said:?}");
}

/// The directions of a demo in which a road is closed: the id and the state of each, in order.
fn told(sent: &[Publication]) -> Vec<(String, String)> {
    let told = about(sent, "/direction/").into_iter().map(|(_, payload)| {
        let payload: serde_json::Value = serde_json::from_str(payload).unwrap();
        let word = |key: &str| payload[key].as_str().unwrap().to_owned();
        (word("direction_id"), word("state"))
    });
    told.collect()
}

/// The demo's messages until a while after its road is closed, and those after without another
/// word on that road.
fn closed_and_on() -> (Vec<Message>, Vec<Message>) {
    let messages = played(Duration::MAX);
    let closing = messages.iter().find(|m| m.topic.contains("/event/")).unwrap().received_at;
    let then = closing + Duration::from_secs(40);
    let (before, after): (Vec<Message>, Vec<Message>) =
        messages.into_iter().partition(|message| message.received_at <= then);
    let until = then + Duration::from_mins(8);
    let after = after.into_iter();
    let after = after.filter(|m| m.received_at < until && !m.topic.contains("/event/"));
    (before, after.collect())
}

/// Road operators say once what is closed. Another pipeline on the unit's journal begins anew, and
/// knows of it all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_pipeline_still_knows_what_is_closed() {
    let (before, after) = closed_and_on();
    let folder = tempfile::tempdir().unwrap();
    let mut runs = Vec::new();
    for (identity, messages) in [(OURS, before), ("edited", after.clone()), ("again", after)] {
        let sink = MemorySink::new();
        let (ended, summary) = live(Run {
            clock: ManualClock::new(messages[0].received_at),
            source: &mut MemorySource::new(messages),
            sink: &mut sink.clone(),
            folder: Some((folder.path(), identity)),
        })
        .await;
        ended.unwrap();
        runs.push((summary, told(&sink.publications())));
    }
    let first = |run: usize| runs[run].1.first().map(|(id, state)| (id.as_str(), state.as_str()));
    assert_eq!(first(0), Some(("d-0001", "show")));
    // From the entries behind the snapshot, and then from a snapshot.
    assert_eq!(first(1), Some(("d-2001", "show")));
    assert_eq!(first(2), Some(("d-4001", "show")));
    // All else is the new run's own.
    assert!(runs[1].0.received < runs[0].0.received + runs[1].0.received);
}

/// A unit without a battery for its clock starts an hour behind what its journal holds, and is set
/// right later: it renews what it says all the while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_that_starts_in_its_past_goes_on_speaking() {
    const HOUR_MS: i64 = 3_600_000;
    let (before, after) = closed_and_on();
    let folder = tempfile::tempdir().unwrap();
    let (ended, _) = live(Run {
        clock: ManualClock::new(before[0].received_at),
        source: &mut MemorySource::new(before),
        sink: &mut MemorySink::new(),
        folder: Some((folder.path(), OURS)),
    })
    .await;
    ended.unwrap();
    let clock = ManualClock::new(after[0].received_at.moved(-HOUR_MS));
    let (hand, half) = (clock.clone(), after.len() / 2);
    let before = move |nth: usize, message: &mut Message| {
        if nth == half {
            hand.step(HOUR_MS);
        }
        if nth < half {
            message.received_at = message.received_at.moved(-HOUR_MS);
        }
        hand.set(message.received_at);
    };
    let halves = after[half].received_at;
    let mut source = Clocked { messages: MemorySource::new(after), nth: 0, before };
    let sink = MemorySink::new();
    let (ended, _) = live(Run {
        clock,
        source: &mut source,
        sink: &mut sink.clone(),
        folder: Some((folder.path(), OURS)),
    })
    .await;
    ended.unwrap();
    let renewed = |since: Timestamp, until: Timestamp| {
        let sent = sink.publications();
        sent.iter()
            .filter(|p| p.topic.contains("/direction/") && p.ts > since && p.ts < until)
            .count()
    };
    let slow = halves.moved(-HOUR_MS);
    // Past what is sent once more at the start; directions are renewed after half of five minutes.
    assert!(renewed(slow - Duration::from_secs(200), slow) > 0);
    assert!(renewed(halves + Duration::from_mins(1), halves + Duration::from_hours(1)) > 0);
}

/// The clock was an hour fast and is set right while messages wait that were stamped before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_back_is_not_outrun_by_what_waited() {
    const HOUR_MS: i64 = 3_600_000;
    let mut messages = played(Duration::MAX);
    messages.retain(|message| message.topic.contains("/sensor/"));
    let start = messages[0].received_at;
    let half = messages.len() / 2;
    let with = async |fast_ms: i64| {
        let clock = ManualClock::new(start.moved(fast_ms));
        let hand = clock.clone();
        let before = move |nth: usize, message: &mut Message| {
            if nth == half && fast_ms != 0 {
                hand.step(-fast_ms);
            }
            // A few more were stamped by the fast clock.
            let by = if nth < half + 20 { fast_ms } else { 0 };
            message.received_at = message.received_at.moved(by);
            if nth < half {
                hand.set(message.received_at);
            } else {
                hand.set(message.received_at.moved(-by));
            }
        };
        let mut source = Clocked { messages: MemorySource::new(messages.clone()), nth: 0, before };
        let sink = MemorySink::new();
        let (ended, summary) =
            live(Run { clock, source: &mut source, sink: &mut sink.clone(), folder: None }).await;
        ended.unwrap();
        (summary, about(&sink.publications(), "/window/").len())
    };
    let (right, windows) = with(0).await;
    assert_eq!(right.late, 0);
    let (set, set_windows) = with(HOUR_MS).await;
    assert_eq!((set.late, set.accepted), (0, right.accepted));
    assert_eq!(set_windows, windows);
}

/// Health goes out every ten seconds of the run's clock, however many messages wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_that_is_never_idle_is_heard_of() {
    let messages = played(Duration::MAX);
    let clock = ManualClock::new(messages[0].received_at);
    let hand = clock.clone();
    let before = move |nth: usize, message: &mut Message| {
        hand.set(message.received_at);
        if nth.is_multiple_of(50) {
            // So that it takes a while; a source that waits would let others have their turn.
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let mut source = Clocked { messages: MemorySource::new(messages), nth: 0, before };
    let sink = MemorySink::new();
    let (ended, _) =
        live(Run { clock, source: &mut source, sink: &mut sink.clone(), folder: None }).await;
    ended.unwrap();
    let said = sink.publications().iter().filter(|p| p.topic.ends_with("/status")).count();
    assert!(said > 5, "{said} status messages");
}

/// After a crash all messages of a second come at once, and there may be more of them than one
/// column has room for.
#[test]
fn any_number_of_messages_may_come_in_one_call() {
    let plan = plan();
    let mut engine = Engine::for_replay(Arc::clone(&plan), writers(&plan)).unwrap();
    let messages = played(Duration::MAX);
    let received_at: Timestamp = messages[0].received_at;
    let many: Vec<Message> = (messages.iter().cycle().take(40_000))
        .map(|message| Message { received_at, ..message.clone() })
        .collect();
    engine.messages(&many).unwrap();
    assert_eq!(engine.summary().received, 40_000);
}

/// A site without a sensor still tells of roads that are closed.
#[test]
fn closures_are_spoken_of_where_nothing_is_measured() {
    let mut plan = Arc::into_inner(plan()).unwrap();
    plan.congestion = wayside::plan::Congestion::default();
    plan.windows.clear();
    let plan = Arc::new(plan);
    let mut engine = Engine::for_replay(Arc::clone(&plan), writers(&plan)).unwrap();
    let messages = played(Duration::MAX);
    let closing = messages.into_iter().find(|m| m.topic.contains("/event/")).unwrap();
    let events = engine.messages(&[closing]).unwrap();
    let shown = events.iter().filter(
        |event| matches!(event, Event::Publish(p) if p.payload.as_str().contains(r#""state":"show""#)),
    );
    assert!(shown.count() > 0);
}

/// Nobody could ever tell it that such a road is open again.
#[test]
fn a_pipeline_that_hears_of_no_closures_takes_none_up() {
    let engine = |plan: Plan| {
        let plan = Arc::new(plan);
        Engine::for_replay(Arc::clone(&plan), writers(&plan)).unwrap()
    };
    let mut before = engine(Arc::into_inner(plan()).unwrap());
    let messages = played(Duration::MAX);
    let closing = messages.into_iter().find(|m| m.topic.contains("/event/")).unwrap();
    before.messages(&[closing]).unwrap();
    let lasting = before.lasting();
    assert_eq!(engine(Arc::into_inner(plan()).unwrap()).begin_anew(&lasting, &[]), 1);
    let mut deaf = Arc::into_inner(plan()).unwrap();
    deaf.congestion = wayside::plan::Congestion::default();
    deaf.windows.clear();
    deaf.sources.retain(|source| source.mapping.produces != Produces::Closures);
    assert_eq!(engine(deaf).begin_anew(&lasting, &[]), 0);
}
