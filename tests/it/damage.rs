//! A unit whose journal was damaged while it was down: it comes up, says what is lost, and goes on;
//! everything that the damage does not touch is in the archive, once.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use wayside::domain::time::Timestamp;
use wayside::ports::Message;

use super::mosquitto::{Mosquitto, have};
use super::player::{BEAT, KEEPING, Player, SITE, Unit, directions, pipeline, played, windows};

/// A road is closed in the eighth minute; the unit goes down in the tenth.
const DOWN_AFTER: Duration = Duration::from_mins(10);
const PLAYED: Duration = Duration::from_mins(13);

/// What a unit left that went down once, and what it said when it was up again.
struct Left {
    windows: Vec<String>,
    directions: Vec<String>,
    /// The `journal` of its first status.
    journal: Value,
    log: String,
    summary: Value,
}

/// Plays messages with beats between them, the first at `due`, and one behind them.
async fn play(player: &mut Player, messages: &[Message], due: &mut Timestamp) {
    for message in messages {
        while message.received_at > *due {
            player.beat(*due, false).await;
            *due = *due + BEAT;
        }
        let payload = serde_json::from_slice(&message.payload).unwrap();
        player.send(message.topic.clone(), payload).await;
    }
    player.beat(*due, false).await;
    *due = *due + BEAT;
}

/// A unit is killed; its journal's newest segment is what `harm` makes of it; it is started again.
async fn harmed(harm: impl FnOnce(&mut Vec<u8>)) -> Left {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let broker = Mosquitto::start(KEEPING);
    // No snapshot after the first: the segment is what the state is made of.
    let pipeline = pipeline(folder, "1h");
    let summary = folder.join("summary.json");
    let mut unit = Unit::start(&pipeline, broker.port, &summary);
    let mut player = Player::new(&broker).await;
    let messages = played(PLAYED);
    let first = messages[0].received_at;
    let (before, after) = messages.split_at(
        messages.partition_point(|message| message.received_at.since(first) <= DOWN_AFTER),
    );
    let mut due = first;
    player.beat(first - BEAT, false).await;
    play(&mut player, before, &mut due).await;
    unit.kill();

    let segment = newest_segment(&folder.join("journal"));
    let mut bytes = fs::read(&segment).unwrap();
    harm(&mut bytes);
    fs::write(&segment, bytes).unwrap();
    let mut unit = Unit::start(&pipeline, broker.port, &summary);
    player.beat(due, false).await;
    due = due + BEAT;
    let status = broker.subscribe(&["-C", "1", "-t", &format!("{SITE}/status")]);
    let status: Value = serde_json::from_str(&status).unwrap();
    play(&mut player, after, &mut due).await;
    player.beat(due + Duration::from_mins(10), true).await;
    assert!(unit.0.wait().unwrap().success());
    player.session.stop().await;
    Left {
        windows: windows(folder),
        directions: directions(folder),
        journal: status["journal"].clone(),
        log: fs::read_to_string(summary.with_extension("log")).unwrap(),
        summary: serde_json::from_str(&fs::read_to_string(summary).unwrap()).unwrap(),
    }
}

fn newest_segment(journal: &Path) -> PathBuf {
    let files = fs::read_dir(journal).unwrap().map(|entry| entry.unwrap().path());
    let segments = files.filter(|path| path.extension().is_some_and(|ext| ext == "wsj"));
    segments.max().unwrap()
}

/// Where the newest reading of this sensor that is dated `ts` stands in a segment: its first byte.
fn reading(segment: &[u8], sensor: &str, ts: &str) -> usize {
    let topic = format!("{SITE}/sensor/{sensor}/reading").into_bytes();
    let dated = format!("\"ts\":\"{ts}\"").into_bytes();
    let stands = |at: &usize| {
        let record = &segment[*at..(*at + 400).min(segment.len())];
        record.starts_with(&topic) && record.windows(dated.len()).any(|part| part == dated)
    };
    (0..segment.len()).rev().find(stands).expect("no such reading in the segment")
}

/// Nothing is there twice.
fn once(left: &Left) {
    for lines in [&left.windows, &left.directions] {
        assert_eq!(lines.iter().collect::<BTreeSet<_>>().len(), lines.len());
    }
    // Of each window, once without revisions.
    let rows = left.windows.iter().map(|row| row.split(" | ").take(5).collect::<Vec<_>>());
    assert_eq!(rows.collect::<BTreeSet<_>>().len(), left.windows.len());
}

/// All windows but those of one segment in one minute.
fn others<'a>(left: &'a Left, minute: &str, segment: &str) -> Vec<&'a String> {
    let hit = |row: &&String| {
        let columns: Vec<&str> = row.split(" | ").collect();
        columns[1] == minute && columns[4] == segment
    };
    left.windows.iter().filter(|row| !hit(row)).collect()
}

/// Before this moment both gave the same directions; the one that was damaged gave some afterwards.
fn same_directions(whole: &Left, left: &Left, ts: &str) {
    let given_before = |line: &&String| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["payload"]["ts"].as_str().unwrap() < ts
    };
    let before = |left: &Left| -> Vec<String> {
        left.directions.iter().filter(given_before).cloned().collect()
    };
    let (expected, found) = (before(whole), before(left));
    assert!(!expected.is_empty());
    assert_eq!(found, expected);
    assert!(left.directions.len() > found.len(), "no direction after the damage");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_comes_up_over_a_damaged_journal() {
    let test = "a_unit_comes_up_over_a_damaged_journal";
    if !have(test, &["mosquitto", "mosquitto_sub"]) {
        return;
    }
    let whole = harmed(|_| {}).await;
    assert_eq!(whole.journal["resumed"]["cut"], 0, "{}", whole.journal);
    assert!(whole.journal["resumed"]["entries"].as_u64().unwrap() > 1_000, "{}", whole.journal);
    once(&whole);

    // Torn in the middle of the last reading: it and the beat behind it are gone, and what waited for
    // that beat is taken with the next one.
    let torn = harmed(|bytes| {
        let at = reading(bytes, "cam_036", "2026-05-12T06:10:30.000Z");
        bytes.truncate(at + 100);
    })
    .await;
    assert!(torn.log.contains("the last write was not complete"), "{}", torn.log);
    assert_eq!(torn.journal["lost"], 0, "of a torn end nobody knows what it was");
    one_reading_less(&whole, &torn, "2026-05-12T06:10:00Z", "x2_g2");
    same_directions(&whole, &torn, "2026-05-12T06:10:30.000Z");

    // One bit of a reading in the middle: it alone.
    let flipped = harmed(|bytes| {
        let at = reading(bytes, "loop_016", "2026-05-12T06:09:00.000Z");
        bytes[at + 60] ^= 1;
    })
    .await;
    assert!(flipped.log.contains("the bytes do not verify"), "{}", flipped.log);
    assert_eq!(flipped.journal["lost"], 1, "{}", flipped.journal);
    one_reading_less(&whole, &flipped, "2026-05-12T06:08:00Z", "b5_b4");
    same_directions(&whole, &flipped, "2026-05-12T06:09:00.000Z");
}

/// The unit said that its journal is damaged, and has all that the undisturbed one has but a reading.
fn one_reading_less(whole: &Left, left: &Left, minute: &str, segment: &str) {
    assert!(left.log.contains("the journal is damaged"), "{}", left.log);
    assert_eq!(left.journal["resumed"]["cut"], 1, "{}", left.journal);
    assert!(left.journal["cut_bytes"].as_u64().unwrap() > 100, "{}", left.journal);
    once(left);
    let (expected, found) = (others(whole, minute, segment), others(left, minute, segment));
    let touched = whole.windows.len() - expected.len();
    assert!((1..=4).contains(&touched), "{touched} windows of the reading");
    assert_eq!(found, expected);
    assert_ne!(left.windows, whole.windows, "the reading made no difference");
    let count = |left: &Left, key: &str| left.summary[key].as_u64().unwrap();
    assert_eq!(count(left, "received") + 1, count(whole, "received"));
    let dead = left.summary["dead"]["total"].as_u64().unwrap();
    let fates = count(left, "accepted") + count(left, "duplicate") + count(left, "late") + dead;
    assert_eq!(count(left, "received"), fates, "{}", left.summary);
}
