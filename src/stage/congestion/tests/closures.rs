//! Events of clocks that run ahead, and events of another run.

use super::*;

#[test]
fn an_event_of_a_clock_that_runs_ahead_can_be_ended() {
    use ClosureState::{Active, Cleared};
    const DAY: i64 = 24 * 60;
    let mut stage = stage(&[0]);
    let road = stage.network.id(ROAD);
    stage.closure(&closure("works", Active, DAY, &[ROAD]), minute(0)).unwrap();
    assert!(stage.closed().contains_key(&road));
    // The operator's clock was set right meanwhile.
    let ended = stage.closure(&closure("works", Cleared, 30, &[]), minute(30)).unwrap();
    assert_eq!(ended, Taken::New);
    assert!(stage.closed().is_empty());
    // A word of before is late all the same.
    let before = stage.closure(&closure("works", Active, 10, &[ROAD]), minute(31)).unwrap();
    assert_eq!(before, Taken::Outdated { newest: minute(30) });
}

#[test]
fn what_was_announced_is_known_to_the_next_run_by_the_names_of_edges() {
    use ClosureState::{Active, Cleared};
    const BACK: &str = "2,0>1,0";
    let mut before = stage(&[0]);
    let said = [
        closure("works", Active, 0, &["of another map", ROAD]),
        closure("crash", Active, 1, &[BACK]),
        closure("fair", Active, 2, &["0,0>0,1"]),
    ];
    for closure in &said {
        hear(&mut before, closure).unwrap();
    }
    hear(&mut before, &closure("crash", Cleared, 5, &[BACK])).unwrap();
    // A network without the fair's edge, in which segments have other numbers.
    let network = Arc::new(grid(3, 1).build());
    assert_eq!(network.segment_by_name("0,0>0,1"), None);
    assert_ne!(network.segment_by_name(ROAD), Some(before.network.id(ROAD)));
    let mut after = Congestion::new(&plan::Congestion::default(), &[], Arc::clone(&network));
    let said: Vec<Closure> = before.said().cloned().collect();
    let refused = after.take_up(&said);
    assert_eq!(refused.len(), 1);
    assert_eq!(
        (refused[0].0.event_id.as_str(), refused[0].1.reason),
        ("fair", DeadReason::UnknownSegment)
    );
    after.advance(minute(6), minute(6));
    assert_eq!(after.closed().keys().copied().collect::<Vec<_>>(), [network.id(ROAD)]);
    // What has ended stays ended.
    let again = after.closure(&closure("crash", Active, 1, &[BACK]), minute(7)).unwrap();
    assert_eq!(again, Taken::Outdated { newest: minute(5) });
}
