//! Detected incidents of which nobody speaks any more, and whose clock begins a closure.

use super::*;

/// A road that is found blocked at minute 22.
fn blocked() -> Congestion {
    let mut stage = stage(&[0]);
    assert_eq!(empty_road(&mut stage, 0, &[(0.0, 30.0), (0.0, 15.0)]), [false, true]);
    stage
}

fn is_blocked(stage: &Congestion) -> bool {
    stage.view().blocked.contains_key(&stage.network.id(ROAD))
}

/// The window that begins at minute `n`: vehicles on the road and speed before it, of who speaks.
fn say(stage: &mut Congestion, n: i64, vehicles: Option<f64>, speed_before: Option<f64>) {
    let swing = (n % 3) as f64;
    let here = vehicles.map(|vehicles| {
        let speed = (vehicles > 0.0).then_some(44.0 + swing);
        (Some(ROAD), observation(speed, Some(vehicles), Some(4.0)))
    });
    let before = speed_before.map(|speed| {
        let o = observation(Some(speed + swing), Some(60.0 - swing), Some(8.0));
        (Some("0,0>1,0"), o)
    });
    let rows: Vec<_> = here.into_iter().chain(before).collect();
    stage.window(&batch(0, n, &rows)).unwrap();
}

/// Three windows and the grace make a segment unknown; ten minutes more are the probe.
#[test]
fn with_no_windows_at_all_an_incident_ends_after_silence_and_probe() {
    let mut stage = blocked();
    let mut restarted = super::stage(&[0]);
    let kept = rmp_serde::to_vec(&stage.state()).unwrap();
    assert!(restarted.restore(rmp_serde::from_slice(&kept).unwrap()));
    for stage in [&mut stage, &mut restarted] {
        for n in 23..37 {
            // The operator's clock is not the sensors'.
            stage.advance(minute(n + 1_000), minute(n));
            assert!(is_blocked(stage), "minute {n}");
        }
        let change = stage.view().change;
        stage.advance(minute(1_037), minute(37));
        assert!(stage.view().blocked.is_empty() && stage.view().change > change);
        assert_eq!(stage.detected(), (1, 0));
        stage.advance(minute(1_052), minute(52));
        assert!(stage.view().blocked.is_empty());
    }
}

#[test]
fn who_waited_and_fell_silent_does_not_wait_for_ever() {
    for road in [Some(0.0), None] {
        let mut stage = blocked();
        for n in 22..52 {
            say(&mut stage, n, road, None);
            assert_eq!(is_blocked(&stage), n < 34, "minute {n}, {road:?}");
        }
    }
}

/// A detector that contradicts itself is heard, and not believed.
#[test]
fn who_waited_and_is_stuck_since_does_not_wait_for_ever() {
    let mut stage = blocked();
    let stuck = (Some("0,0>1,0"), observation(Some(8.0), Some(60.0), Some(8.0)));
    let empty = (Some(ROAD), observation(None, Some(0.0), Some(4.0)));
    for n in 22..52 {
        stage.window(&batch(0, n, &[empty, stuck])).unwrap();
    }
    assert_eq!(stage.faults().count(), 1);
    assert!(stage.view().blocked.is_empty());
}

#[test]
fn a_missing_window_ends_no_incident() {
    let mut stage = blocked();
    for n in 22..33 {
        say(&mut stage, n, Some(0.0), Some(8.0));
        stage.advance(minute(n + 1), minute(n + 1));
    }
    say(&mut stage, 33, Some(0.0), None);
    assert!(is_blocked(&stage), "nobody upstream has spoken, long after ten minutes");
    say(&mut stage, 34, None, Some(4.0));
    assert!(is_blocked(&stage), "nor has the road");
    stage.advance(minute(36), minute(36));
    say(&mut stage, 36, Some(0.0), Some(4.0));
    assert!(is_blocked(&stage), "a window has not come at all");
    say(&mut stage, 37, Some(12.0), Some(20.0));
    assert!(stage.view().blocked.is_empty(), "and what was usual is still known");
}

#[test]
fn vehicles_that_pass_end_an_incident_near_a_closure() {
    let mut stage = blocked();
    hear(&mut stage, &closure("works", ClosureState::Active, 22, &[OTHER])).unwrap();
    say(&mut stage, 22, Some(0.0), Some(8.0));
    assert!(is_blocked(&stage));
    say(&mut stage, 23, Some(12.0), Some(8.0));
    assert!(stage.view().blocked.is_empty());
    for n in 24..40 {
        say(&mut stage, n, Some(0.0), Some(4.0));
        assert!(stage.view().blocked.is_empty(), "what a closure does is no discovery, minute {n}");
    }
}

#[test]
fn an_incident_near_a_closure_lasts_while_drivers_wait_for_it() {
    let mut stage = blocked();
    hear(&mut stage, &closure("works", ClosureState::Active, 22, &[OTHER])).unwrap();
    for n in 22..35 {
        say(&mut stage, n, Some(0.0), Some(8.0));
        assert!(is_blocked(&stage), "minute {n}");
    }
    for n in 35..55 {
        say(&mut stage, n, Some(0.0), Some(44.0));
    }
    assert!(!is_blocked(&stage), "nobody waits any more");
}

/// Sensors' clocks may be ahead of the operator's.
#[test]
fn a_window_begins_no_closure() {
    let mut stage = stage(&[0]);
    let mut announced = closure("works", ClosureState::Active, 0, &[OTHER]);
    announced.start = Some(minute(10));
    hear(&mut stage, &announced).unwrap();
    say(&mut stage, 12, Some(9.0), Some(40.0));
    stage.advance(minute(9), minute(13));
    assert!(stage.closed().is_empty());
    stage.advance(minute(10), minute(14));
    assert_eq!(stage.closed().len(), 1);
}
