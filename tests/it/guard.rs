//! The guard over what the house itself makes of directions on a real network: requests and
//! templates pass, with anything else in them they do not.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::PathBuf;
use std::sync::Arc;

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use wayside::domain::closure::{Announced, ClosedSegments, Reason};
use wayside::domain::congestion::CongestionLevel;
use wayside::domain::direction::{Audience, Cause, Direction, DirectionState, Evidence, Second};
use wayside::domain::network::{Network, Place, SegmentId, SignId, Turn, fold};
use wayside::domain::time::Timestamp;
use wayside::domain::wording::{Language, Slot, Space, Wording, WordingRequest};
use wayside::ports::Writer;
use wayside::stage::generate::{Requests, TemplateWriter, fill};
use wayside::stage::guard::Guard;

fn bologna(test: &str) -> Option<Arc<Network>> {
    let root =
        std::env::var_os("WAYSIDE_DATA").map_or_else(|| "../shared/data".into(), PathBuf::from);
    let dir = root.join("bologna");
    if !dir.is_dir() {
        eprintln!("SKIPPED {test}: no data at {}", dir.display());
        return None;
    }
    let mut network = Network::load(&dir).unwrap();
    // Every way leads to some place, under one of the twelve names.
    let names: Vec<String> = network.places.iter().map(|place| place.name.clone()).collect();
    let place = |(segment, name): (_, &String)| Place { name: name.clone(), segment, weight: 1.0 };
    network.places = network.segment_ids().zip(names.iter().cycle()).map(place).collect();
    for sign in &mut network.signs {
        sign.pages = 2;
    }
    Some(Arc::new(network))
}

/// A sound direction: from a sign's segment a way of a few random moves, and trouble elsewhere.
fn draw(network: &Network, rng: &mut ChaCha8Rng) -> (Direction, ClosedSegments) {
    let all: Vec<SegmentId> = network.segment_ids().collect();
    loop {
        let sign = SignId(rng.random_range(0..network.signs.len() as u32));
        let mut way = vec![network.sign(sign).segment];
        while let Some(last) = way.last().filter(|_| way.len() < 9) {
            let moves: Vec<_> = network
                .outgoing(*last)
                .iter()
                .filter(|c| {
                    let drivable = c.cars_allowed && network.segment(c.to).cars_allowed;
                    drivable && c.turn != Turn::TurnAround && !way.contains(&c.to)
                })
                .collect();
            let Some(next) = moves.choose(rng) else { break };
            way.push(next.to);
        }
        let avoid = *all.choose(rng).unwrap();
        if way.len() < 4 || way.contains(&avoid) {
            continue;
        }
        let turn = network.connection(way[0], way[1]).map(|c| c.turn);
        let mut via: Vec<SegmentId> = way[1..].choose_multiple(rng, 2).copied().collect();
        via.sort_by_key(|id| way.iter().position(|passed| passed == id));
        let (cause, level) = *[
            (Cause::Closure, None),
            (Cause::Incident, None),
            (Cause::Congestion, Some(CongestionLevel::Queuing)),
            (Cause::Congestion, Some(CongestionLevel::Slow)),
            (Cause::Congestion, Some(CongestionLevel::Heavy)),
        ]
        .choose(rng)
        .unwrap();
        let vehicles = rng.random_bool(0.5);
        let area = Audience::Area { tile: "1".to_owned(), part: "a".to_owned() };
        let mut announced = Announced::default();
        if cause != Cause::Congestion {
            let at = |range: std::ops::Range<i64>, rng: &mut ChaCha8Rng| {
                let at = Timestamp::from_millis(rng.random_range(range));
                at.filter(|_| rng.random_bool(0.5))
            };
            announced.since = at(-50_000_000..60_000, rng);
            announced.until = at(-60_000..50_000_000, rng);
            announced.reason = Reason::ALL.choose(rng).copied().filter(|_| rng.random_bool(0.5));
            let shut = cause == Cause::Incident && rng.random_bool(0.7);
            announced.lanes = shut.then(|| rng.random_range(0..4));
        }
        let besides = SegmentId(rng.random_range(0..network.segments.len()) as u32);
        let apart = besides != avoid && !way.contains(&besides);
        let second = (vehicles && apart && rng.random_bool(0.5)).then(|| Second {
            cause: *[Cause::Closure, Cause::Congestion].choose(rng).unwrap(),
            segment: besides,
        });
        let direction = Direction {
            id: format!("d-{}", rng.random_range(0..10_000)),
            revision: 1,
            ts: Timestamp::from_millis(0).unwrap(),
            valid_until: Timestamp::from_millis(300_000).unwrap(),
            state: DirectionState::Show,
            audience: if vehicles { area } else { Audience::Sign(sign) },
            cause,
            announced,
            level,
            avoid: vec![avoid],
            closed: if cause == Cause::Closure { vec![avoid] } else { Vec::new() },
            via,
            applies_on: if vehicles { vec![way[0]] } else { Vec::new() },
            destination: way.last().map(|id| id.0 as usize),
            way,
            turn,
            second,
            delay_s: Some(rng.random_range(0..1200)),
            saving_s: Some(rng.random_range(0..1200)),
            evidence: Evidence::default(),
        };
        let mut closed = ClosedSegments::new();
        let also = second.filter(|second| second.cause == Cause::Closure).map(|s| s.segment);
        for id in also.into_iter().chain((cause == Cause::Closure).then_some(avoid)) {
            closed.insert(id, "event-1".to_owned());
        }
        return (direction, closed);
    }
}

fn space(direction: &Direction, rng: &mut ChaCha8Rng) -> Space {
    match direction.audience {
        Audience::Sign(_) => Space::Sign {
            rows: rng.random_range(2..=3),
            cols: *[12, 16, 18].choose(rng).unwrap(),
            pages: rng.random_range(1..=2),
        },
        Audience::Area { .. } => Space::Vehicle { max_chars: rng.random_range(80..300) },
    }
}

/// Every template for a request, filled in.
fn texts(request: &WordingRequest) -> Vec<Wording> {
    let mut writer = TemplateWriter;
    (0..8)
        .map_while(|attempt| writer.write(request, attempt, &|| false).ok())
        .map(|draft| fill(request, &draft, "template").unwrap())
        .collect()
}

/// Texts of random directions; how many there were.
fn each(
    network: &Arc<Network>,
    seed: u64,
    mut see: impl FnMut(&WordingRequest, &Wording),
) -> usize {
    let zone = Some(chrono_tz::Europe::Rome);
    let guard = Guard::new(Arc::clone(network)).by_clock_of(zone);
    let requests = Requests::new(Arc::clone(network)).by_clock_of(zone);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut count = 0;
    for _ in 0..100 {
        let (direction, closed) = draw(network, &mut rng);
        guard.check_direction(&direction, &closed).unwrap();
        for request in requests.of(&direction, space(&direction, &mut rng), &Language::ALL) {
            if let Err(objection) = guard.check_request(&direction, &request) {
                // Half left and left out of one segment: no text may say "left" there.
                assert!(objection.rule().word() == "turn_for_all", "{objection}: {request:?}");
                continue;
            }
            for wording in texts(&request) {
                count += 1;
                see(&request, &wording);
            }
        }
    }
    count
}

#[test]
fn what_the_house_says_passes() {
    let Some(network) = bologna("guard::what_the_house_says_passes") else { return };
    let guard = Guard::new(Arc::clone(&network));
    let seen = each(&network, 1, |request, wording| {
        if let Err(objection) = guard.check(request, wording) {
            panic!("{objection} ({}): {wording:?}", objection.rule().word());
        }
    });
    assert!(seen > 500, "{seen}");
}

/// With every other name of the network in the place of a fact.
#[test]
fn no_other_name_of_the_city_passes() {
    let Some(network) = bologna("guard::no_other_name_of_the_city_passes") else { return };
    let guard = Guard::new(Arc::clone(&network));
    let names = network.spoken_names();
    let mut texts = 0;
    let mut swapped = 0;
    each(&network, 2, |request, wording| {
        texts += 1;
        // Not all of them: there are some seventy wrong texts to each.
        if texts % 10 != 0 {
            return;
        }
        let slots = [Slot::Closed, Slot::Via0, Slot::Via1, Slot::Dest];
        for fact in slots.iter().filter_map(|slot| request.slot(*slot)) {
            for name in names.iter().filter(|name| fold(name) != fold(&fact.text)) {
                let name = match request.space {
                    Space::Sign { .. } => fold(name),
                    Space::Vehicle { .. } => (*name).to_owned(),
                };
                let text: Vec<_> =
                    wording.text.iter().map(|row| row.replace(&fact.text, &name)).collect();
                if text != wording.text {
                    swapped += 1;
                    let wrong = Wording { text, ..wording.clone() };
                    assert!(guard.check(request, &wrong).is_err(), "{wrong:?}");
                }
            }
        }
    });
    assert!(swapped > 3000, "{swapped}");
}
