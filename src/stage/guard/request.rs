//! Whether what a writer is asked to say agrees with the direction: catches mistakes in the making
//! of requests, before any text.

use std::collections::BTreeSet;

use chrono::{TimeZone, Timelike};

use super::direction::moves_out;
use super::objection::{Objection, Rules};
use super::phrases::tongue;
use crate::domain::direction::{Audience, Cause, Direction, DirectionState};
use crate::domain::network::{Network, Segment, SegmentId, Turn, fold};
use crate::domain::wording::{Language, Problem, Slot, SlotFact, Space, WordingRequest};

/// Minutes of delay that may be said: to the nearest whole minute, half a minute up; `None` where
/// that is none, since "0 min" says nothing.
pub fn delay_minutes(delay_s: u32) -> Option<u32> {
    Some(delay_s.saturating_add(30) / 60).filter(|minutes| *minutes > 0)
}

/// Minutes of saving that may be said: whole minutes rounded down, so that no text promises more
/// than was reckoned; `None` under one minute.
pub fn saving_minutes(saving_s: u32) -> Option<u32> {
    Some(saving_s / 60).filter(|minutes| *minutes > 0)
}

pub(super) fn check(
    rules: &Rules,
    network: &Network,
    zone: Option<chrono_tz::Tz>,
    direction: &Direction,
    request: &WordingRequest,
) -> Result<(), Objection> {
    if direction.state == DirectionState::Clear {
        rules.object(Objection::Withdrawn)?;
    }
    let fits = match (&direction.audience, request.space) {
        (Audience::Sign(id), Space::Sign { rows, cols, pages }) => {
            let sign = network.sign(*id);
            rows <= sign.rows && cols <= sign.cols && pages <= sign.pages
        }
        (Audience::Area { .. }, Space::Vehicle { .. }) => true,
        _ => false,
    };
    if !fits {
        rules.object(Objection::WrongSpace { space: request.space })?;
    }
    let fact = Problem::of(direction.cause, direction.level);
    if request.problem != fact {
        rules.object(Objection::RequestProblem { said: request.problem, fact })?;
    }
    let fact = direction.announced.reason;
    if let Some(said) = request.reason.filter(|said| fact != Some(*said)) {
        rules.object(Objection::RequestReason { said, fact })?;
    }
    for asked in &request.slots {
        let allowed = match asked.slot {
            Slot::Until => end(zone, direction).into_iter().collect(),
            Slot::Since => beginning(zone, direction).into_iter().collect(),
            Slot::Between0 | Slot::Between1 => {
                ends_of_stretch(network, direction, request, asked.slot)
            }
            slot => allowed(network, direction, request, slot),
        };
        if !allowed.iter().any(|text| agrees(asked, text, request.space)) {
            let fact = (!allowed.is_empty()).then(|| allowed.join("` or `"));
            let (slot, said) = (asked.slot, asked.text.clone());
            rules.object(Objection::RequestFact { slot, said, fact })?;
        }
        if asked.slot == Slot::Turn {
            turn_for_all(rules, network, direction, asked, request.language)?;
        }
    }
    Ok(())
}

/// The texts that a slot may have, in the case of the network.
fn allowed(
    network: &Network,
    direction: &Direction,
    request: &WordingRequest,
    slot: Slot,
) -> Vec<String> {
    let street = |id: &SegmentId| network.segment(*id).street.clone();
    let open = |id: &&SegmentId| !runs_into_the_avoided(network, direction, **id);
    let minutes = |count: Option<u32>| match count {
        Some(count) => vec![format!("{count} min")],
        None => Vec::new(),
    };
    match slot {
        Slot::Closed => direction.avoid.first().and_then(street).into_iter().collect(),
        Slot::Via0 => direction.via.iter().filter(open).filter_map(street).collect(),
        // What is said second is passed after what is said first.
        Slot::Via1 => {
            let first = request.slot(Slot::Via0);
            let is_first = |id: &SegmentId| match (street(id), first) {
                (Some(name), Some(fact)) => agrees(fact, &name, request.space),
                _ => false,
            };
            let after = direction.via.iter().position(is_first).map_or(0, |at| at + 1);
            direction.via.iter().skip(after).filter(open).filter_map(street).collect()
        }
        Slot::Dest => {
            let place = direction.destination.and_then(|at| network.places.get(at));
            place.map(|place| place.name.clone()).into_iter().collect()
        }
        Slot::Delay => minutes(direction.delay_s.and_then(delay_minutes)),
        Slot::Saving => minutes(direction.saving_s.and_then(saving_minutes)),
        Slot::Turn => {
            let turn =
                direction.turn.filter(|_| !turns_into_the_avoided(network, direction, request));
            let word = turn.and_then(|turn| turn_word(turn, request.language));
            word.map(str::to_owned).into_iter().collect()
        }
        Slot::Lanes => {
            let lanes = direction.announced.lanes.filter(|_| direction.cause == Cause::Incident);
            let all = direction.avoid.first().map_or(0, |id| network.segment(*id).lanes);
            let count = lanes.filter(|lanes| (1..u32::from(all)).contains(lanes));
            count.map(|count| lanes_shut(count, request.language)).into_iter().collect()
        }
        Slot::AlsoClosed => second(network, direction, Cause::Closure),
        Slot::AlsoQueue => second(network, direction, Cause::Congestion),
        // Need a clock, or one another.
        Slot::Until | Slot::Since | Slot::Between0 | Slot::Between1 => Vec::new(),
    }
}

/// Whether some segment to avoid is reached from this one, or from another one of the way with its name,
/// without leaving the name: who is told the name and stays on it gets there.
fn runs_into_the_avoided(network: &Network, direction: &Direction, id: SegmentId) -> bool {
    let street = |id: SegmentId| network.segment(id).street.as_deref();
    let Some(name) = street(id) else { return false };
    let on_it = |id: SegmentId| street(id) == Some(name);
    let told = direction.way.iter().chain(&direction.via).copied().filter(|id| on_it(*id));
    let mut reached: BTreeSet<SegmentId> = told.collect();
    loop {
        let next = reached.iter().flat_map(|from| network.outgoing(*from));
        let next = next.filter(|c| c.leads_on() && on_it(c.to) && !reached.contains(&c.to));
        let next: Vec<SegmentId> = next.map(|c| c.to).collect();
        if next.is_empty() {
            break;
        }
        reached.extend(next);
    }
    direction.avoid.iter().any(|id| reached.contains(id))
}

/// Whether the way leads to the road that is named first along one that is called like the road to avoid,
/// and not like the addressed one: a turn beside that name would be read as the turn into it.
fn turns_into_the_avoided(
    network: &Network,
    direction: &Direction,
    request: &WordingRequest,
) -> bool {
    let street = |id: &SegmentId| network.segment(*id).street.as_deref();
    let Some(named) = request.slot(Slot::Via0) else { return false };
    let Some(avoided) = direction.avoid.first().and_then(street).map(fold) else { return false };
    let addressed = moves_out(network, direction);
    let on_it = addressed.iter().filter_map(|(id, _)| street(id)).any(|name| fold(name) == avoided);
    let before = direction.via.iter().filter_map(street);
    let mut before = before.take_while(|name| !agrees(named, name, request.space));
    !on_it && before.any(|name| fold(name) == avoided)
}

/// The street of the second road to keep away from, unless a road of the advised way, or one whose
/// drivers are addressed, is called like it.
fn second(network: &Network, direction: &Direction, cause: Cause) -> Vec<String> {
    let street = |id: SegmentId| network.segment(id).street.as_deref();
    let second = direction.second.filter(|second| second.cause == cause);
    let name = second.and_then(|second| street(second.segment));
    let used = |name: &&str| {
        let roads = direction.way.iter().chain(&direction.applies_on);
        roads.filter_map(|id| street(*id)).any(|road| fold(road) == fold(name))
    };
    name.filter(|name| !used(name)).map(str::to_owned).into_iter().collect()
}

fn lanes_shut(count: u32, language: Language) -> String {
    let [one, more] = tongue(language).lanes;
    format!("{count} {}", if count == 1 { one } else { more })
}

/// The streets that meet a closed stretch at one end of it and nowhere else: at the other end than the
/// other slot's. A stretch is what is closed of one street and hangs together, without a fork.
fn ends_of_stretch(
    network: &Network,
    direction: &Direction,
    request: &WordingRequest,
    slot: Slot,
) -> Vec<String> {
    let segments = &network.segments;
    let Some(first) = direction.avoid.first().map(|id| network.segment(*id)) else {
        return Vec::new();
    };
    let Some(street) = first.street.as_deref().filter(|_| direction.cause == Cause::Closure) else {
        return Vec::new();
    };
    let is_it = |segment: &&Segment| segment.street.as_deref() == Some(street);
    let closed: Vec<&Segment> =
        direction.closed.iter().map(|id| network.segment(*id)).filter(is_it).collect();
    // Grown from the first segment, a junction at a time.
    let mut stretch = BTreeSet::from([first.from_junction.as_str(), first.to_junction.as_str()]);
    let mut roads = BTreeSet::from([edge(first)]);
    loop {
        let touching = closed.iter().find(|segment| {
            let [one, other] = edge(segment);
            (stretch.contains(one) || stretch.contains(other)) && !roads.contains(&edge(segment))
        });
        let Some(touching) = touching else { break };
        roads.insert(edge(touching));
        stretch.extend(edge(touching));
    }
    let roads_at = |junction: &str| roads.iter().filter(|road| road.contains(&junction)).count();
    let ends: Vec<&str> = stretch.iter().copied().filter(|at| roads_at(at) == 1).collect();
    let [one, other] = ends.as_slice() else { return Vec::new() };
    if stretch.iter().any(|at| roads_at(at) > 2) {
        return Vec::new();
    }
    let touches = |segment: &Segment, at: &str| edge(segment).contains(&at);
    let on_street: BTreeSet<&str> = segments.iter().filter(is_it).flat_map(edge).collect();
    let crossing = |end: &str| -> BTreeSet<String> {
        let there = segments.iter().filter(|s| touches(s, end) && !is_it(s));
        let names: BTreeSet<&String> = there.filter_map(|s| s.street.as_ref()).collect();
        let elsewhere = |name: &String| {
            segments.iter().any(|s| {
                s.street.as_ref() == Some(name)
                    && edge(s).iter().any(|at| *at != end && on_street.contains(at))
            })
        };
        names.into_iter().filter(|name| !elsewhere(name)).cloned().collect()
    };
    let (one, other) = (crossing(one), crossing(other));
    let beside = if slot == Slot::Between0 { Slot::Between1 } else { Slot::Between0 };
    let Some(beside) = request.slot(beside) else { return Vec::new() };
    let holds = |names: &BTreeSet<String>| names.iter().any(|n| agrees(beside, n, request.space));
    match (holds(&one), holds(&other)) {
        (true, _) => other.into_iter().collect(),
        (false, true) => one.into_iter().collect(),
        (false, false) => Vec::new(),
    }
}

/// The junctions of a segment, whichever way it leads.
fn edge(segment: &Segment) -> [&str; 2] {
    let mut ends = [segment.from_junction.as_str(), segment.to_junction.as_str()];
    ends.sort_unstable();
    ends
}

const HALF_A_DAY_MS: i64 = 12 * 60 * 60 * 1000;

/// The minute in which the road was closed or its lanes were shut: only after that moment, and only where
/// the time of day leaves no doubt of the day.
fn beginning(zone: Option<chrono_tz::Tz>, direction: &Direction) -> Option<String> {
    let since = direction.announced.since?.millis();
    if !(1..=HALF_A_DAY_MS).contains(&(direction.ts.millis() - since)) {
        return None;
    }
    clock_time(zone, since.div_euclid(60_000))
}

/// When the road is planned to open, rounded up to a minute: only before that moment, and only where
/// the time of day leaves no doubt of the day.
fn end(zone: Option<chrono_tz::Tz>, direction: &Direction) -> Option<String> {
    let until = direction.announced.until.filter(|_| direction.cause == Cause::Closure)?.millis();
    if !(1..=HALF_A_DAY_MS).contains(&(until - direction.ts.millis())) {
        return None;
    }
    clock_time(zone, until.div_euclid(60_000) + i64::from(until.rem_euclid(60_000) > 0))
}

/// What a clock shows at a minute, counted from the beginning of 1970.
fn clock_time(zone: Option<chrono_tz::Tz>, minute: i64) -> Option<String> {
    let zone = zone?;
    let there = zone.timestamp_opt(minute * 60, 0).single()?;
    // Where clocks are put back they show an hour twice, and nobody knows which is meant.
    zone.from_local_datetime(&there.naive_local()).single()?;
    Some(format!("{:02}:{:02}", there.hour(), there.minute()))
}

/// A sign shows the fold of what the network has, a vehicle shows it as it is.
fn agrees(asked: &SlotFact, text: &str, space: Space) -> bool {
    match space {
        _ if matches!(asked.slot, Slot::Until | Slot::Since) => asked.text == text,
        Space::Sign { .. } => asked.text == fold(text),
        Space::Vehicle { .. } => asked.text == text,
    }
}

/// The word for a turn; a half turn is said like a whole one. `None`: never advised.
fn turn_word(turn: Turn, language: Language) -> Option<&'static str> {
    Some(match (language, turn) {
        (Language::En, Turn::Left | Turn::PartLeft) => "left",
        (Language::En, Turn::Right | Turn::PartRight) => "right",
        (Language::En, Turn::Straight) => "straight on",
        (Language::It, Turn::Left | Turn::PartLeft) => "a sinistra",
        (Language::It, Turn::Right | Turn::PartRight) => "a destra",
        (Language::It, Turn::Straight) => "diritto",
        (Language::De, Turn::Left | Turn::PartLeft) => "links",
        (Language::De, Turn::Right | Turn::PartRight) => "rechts",
        (Language::De, Turn::Straight) => "geradeaus",
        (Language::Fr, Turn::Left | Turn::PartLeft) => "à gauche",
        (Language::Fr, Turn::Right | Turn::PartRight) => "à droite",
        (Language::Fr, Turn::Straight) => "tout droit",
        (Language::Es, Turn::Left | Turn::PartLeft) => "a la izquierda",
        (Language::Es, Turn::Right | Turn::PartRight) => "a la derecha",
        (Language::Es, Turn::Straight) => "recto",
        (_, Turn::TurnAround) => return None,
    })
}

/// Whoever is addressed must find one road, the advised one, by the word for the turn: left and
/// half left are one word, and a junction earlier there may be another left.
fn turn_for_all(
    rules: &Rules,
    network: &Network,
    direction: &Direction,
    asked: &SlotFact,
    language: Language,
) -> Result<(), Objection> {
    let word = |turn: Turn| turn_word(turn, language);
    for (from, taken) in moves_out(network, direction) {
        let taken = taken.map(|taken| taken.turn);
        let moves = network.outgoing(from).iter();
        let like_it =
            moves.filter(|c| c.cars_allowed && Some(c.turn).and_then(word) == taken.and_then(word));
        if taken != direction.turn || like_it.count() != 1 {
            let segment = network.segment(from).name.clone();
            rules.object(Objection::UnclearTurn { said: asked.text.clone(), segment })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_that_may_be_said() {
        let delays = [(0, None), (29, None), (30, Some(1)), (89, Some(1)), (90, Some(2))];
        for (seconds, minutes) in delays {
            assert_eq!(delay_minutes(seconds), minutes, "{seconds}");
        }
        for (seconds, minutes) in [(59, None), (60, Some(1)), (119, Some(1)), (120, Some(2))] {
            assert_eq!(saving_minutes(seconds), minutes, "{seconds}");
        }
        assert!(delay_minutes(u32::MAX).is_some());
    }
}
