//! kill -9 at random moments, against mosquitto: what a unit archives equals a run that never
//! crashed, and each thing is there once.
//!
//! `WAYSIDE_CRASHES` sets how often (20). The same for a unit, and for a broker, that is away for ten
//! minutes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use wayside::domain::time::Timestamp;
use wayside::io::clock::SystemClock;
use wayside::ports::Clock;

use super::mosquitto::{Mosquitto, have};
use super::player::{BEAT, KEEPING, Player, Unit, directions, pipeline, played, windows};

/// How much of the recording is played: the closure and its end lie in it.
const PLAYED: Duration = Duration::from_mins(20);

/// Who is not there for some beats.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Away {
    Nobody,
    Unit(Range<u32>),
    Broker(Range<u32>),
}

impl Away {
    fn beats(&self) -> Range<u32> {
        match self {
            Self::Nobody => 0..0,
            Self::Unit(beats) | Self::Broker(beats) => beats.clone(),
        }
    }
}

/// Longer than a unit waits for a broker when it ends.
const OUTAGE: Duration = Duration::from_secs(12);

/// What came of it.
struct Played {
    summary: Value,
    /// The last word on each topic of directions.
    shown: BTreeMap<String, Value>,
}

/// Plays the recording to a unit in `folder` that is killed `crashes` times, with somebody away.
async fn play(folder: &Path, crashes: usize, away: Away) -> Played {
    let mut broker = Mosquitto::start(KEEPING);
    let pipeline = pipeline(folder, "1s");
    let summary = folder.join("summary.json");
    let port = broker.port;
    let start = {
        let (pipeline, summary) = (pipeline.clone(), summary.clone());
        move || Unit::start(&pipeline, port, &summary)
    };
    let start_again = start.clone();
    let running = Arc::new(Mutex::new(start()));
    let mut player = Player::new(&broker).await;
    let messages = played(PLAYED);
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    // The first beat is answered by a unit that has subscribed: nothing is played to nobody.
    player.beat(messages[0].received_at - BEAT, false).await;
    let killer = {
        let (running, over, done) = (Arc::clone(&running), Arc::clone(&over), Arc::clone(&done));
        std::thread::spawn(move || {
            let mut random = ChaCha8Rng::seed_from_u64(7);
            while done.load(Ordering::SeqCst) < crashes && !over.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(random.random_range(5..900)));
                let mut unit = running.lock().unwrap();
                if over.load(Ordering::SeqCst) {
                    break;
                }
                unit.kill();
                *unit = start();
                done.fetch_add(1, Ordering::SeqCst);
            }
        })
    };
    let (clock, mut slowest) = (SystemClock::new(), Duration::ZERO);
    let mut due = messages[0].received_at;
    let (mut last, mut beats) = (due, 0);
    for message in messages {
        while message.received_at > due {
            let (asked, before) = (clock.elapsed(), done.load(Ordering::SeqCst));
            let (begins, ends) = (beats == away.beats().start, beats == away.beats().end);
            match away {
                Away::Unit(_) if begins => running.lock().unwrap().kill(),
                Away::Unit(_) if ends => *running.lock().unwrap() = start_again(),
                // The sensors' side keeps what it measures meanwhile, and so does the unit.
                Away::Broker(_) if begins => broker.stop(),
                Away::Broker(_) if ends => {
                    tokio::time::sleep(OUTAGE).await;
                    assert!(running.lock().unwrap().0.try_wait().unwrap().is_none(), "it ended");
                    broker.up();
                }
                _ => {}
            }
            if away.beats().contains(&beats) {
                player.beat_unheard(due).await;
            } else {
                player.beat(due, false).await;
            }
            beats += 1;
            if done.load(Ordering::SeqCst) > before {
                slowest = slowest.max(clock.elapsed().saturating_sub(asked));
            }
            due = due + BEAT;
        }
        last = message.received_at;
        let payload = serde_json::from_slice(&message.payload).unwrap();
        player.send(message.topic, payload).await;
    }
    player.beat(due.max(last), false).await;
    // Whatever crashes are left come before the end.
    let mut now = due.max(last);
    while done.load(Ordering::SeqCst) < crashes {
        now = now + Duration::from_secs(1);
        player.beat(now, false).await;
    }
    over.store(true, Ordering::SeqCst);
    killer.join().unwrap();
    player.beat(Timestamp::parse("2026-05-12T07:30:00Z").unwrap(), true).await;
    player.session.stop().await;
    assert!(running.lock().unwrap().0.wait().unwrap().success());
    eprintln!(
        "{} crashes; the slowest beat over a crash was answered after {slowest:?}",
        done.load(Ordering::SeqCst)
    );
    let summary = serde_json::from_str(&fs::read_to_string(summary).unwrap()).unwrap();
    Played { summary, shown: player.directions.into_iter().collect() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_that_is_killed_archives_what_one_does_that_is_not() {
    let test = "a_unit_that_is_killed_archives_what_one_does_that_is_not";
    if !have(test, &["mosquitto"]) {
        return;
    }
    let crashes = std::env::var("WAYSIDE_CRASHES").map_or(20, |n| n.parse().unwrap());
    let (undisturbed, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let whole = play(undisturbed.path(), 0, Away::Nobody).await;
    let pieces = play(killed.path(), crashes, Away::Nobody).await;
    if std::env::var_os("WAYSIDE_LOGS").is_some() {
        eprint!("{}", fs::read_to_string(killed.path().join("summary.log")).unwrap());
    }

    same(undisturbed.path(), killed.path());
    balances(&whole, &pieces);
}

/// Cut off for ten minutes of event time, its clock's beats included; the broker keeps everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_that_was_cut_off_for_ten_minutes_catches_up() {
    if !have("a_unit_that_was_cut_off_for_ten_minutes_catches_up", &["mosquitto"]) {
        return;
    }
    let (undisturbed, cut_off) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let whole = play(undisturbed.path(), 0, Away::Nobody).await;
    let pieces = play(cut_off.path(), 0, Away::Unit(30..90)).await;
    same(undisturbed.path(), cut_off.path());
    balances(&whole, &pieces);
}

/// The broker is away for ten minutes of event time: what was on its way at its end, either way, is
/// neither lost nor there twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_was_away_for_ten_minutes_costs_nothing() {
    if !have("a_broker_that_was_away_for_ten_minutes_costs_nothing", &["mosquitto"]) {
        return;
    }
    let (undisturbed, cut_off) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let whole = play(undisturbed.path(), 0, Away::Nobody).await;
    let pieces = play(cut_off.path(), 0, Away::Broker(30..90)).await;
    same(undisturbed.path(), cut_off.path());
    balances(&whole, &pieces);
}

/// The archives hold the same windows and directions, each once.
fn same(undisturbed: &Path, other: &Path) {
    let (expected, found) = (windows(undisturbed), windows(other));
    for window in ["segment_minute", "camera_minute", "both_minute", "met_minute"] {
        let rows = expected.iter().filter(|row| row.starts_with(&format!("| {window} "))).count();
        assert!(rows > 150, "{rows} rows of {window}");
    }
    same_lines("windows' row", &expected, &found);
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), found.len(), "a row is there twice");

    let (expected, found) = (directions(undisturbed), directions(other));
    assert!(expected.len() > 20, "{} directions", expected.len());
    same_lines("direction", &expected, &found);
}

fn same_lines(what: &str, expected: &[String], found: &[String]) {
    let around = |lines: &[String], at: usize| -> String {
        lines[at.saturating_sub(2).min(lines.len())..(at + 4).min(lines.len())].join("\n")
    };
    if let Some(at) = expected.iter().zip(found).position(|(a, b)| a != b) {
        let (expected, found) = (around(expected, at), around(found, at));
        panic!("{what} {at} differs; undisturbed:\n{expected}\nother:\n{found}");
    }
    assert_eq!(found.len(), expected.len(), "{what}s");
}

/// The same fates, and the same words on every sign in the end.
fn balances(whole: &Played, pieces: &Played) {
    assert!(whole.shown.len() > 3, "{:?}", whole.shown.keys());
    assert_eq!(pieces.shown, whole.shown);
    let (whole, pieces) = (&whole.summary, &pieces.summary);
    assert_eq!(pieces["accepted"], whole["accepted"], "{pieces}");
    assert_eq!(pieces["dead"]["total"], whole["dead"]["total"], "{pieces}");
    let count = |key: &str| pieces[key].as_u64().unwrap();
    let fates = count("accepted")
        + count("duplicate")
        + count("late")
        + pieces["dead"]["total"].as_u64().unwrap();
    assert_eq!(count("received"), fates, "{pieces}");
}
