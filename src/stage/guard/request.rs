//! Whether what a writer is asked to say agrees with the direction: catches mistakes in the making
//! of requests, before any text.

use chrono::{TimeZone, Timelike};

use super::direction::moves_out;
use super::objection::{Objection, Rules};
use crate::domain::direction::{Audience, Direction, DirectionState};
use crate::domain::network::{Network, SegmentId, Turn, fold};
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
    if let Some(said) = request.reason.filter(|said| direction.reason != Some(*said)) {
        rules.object(Objection::RequestReason { said, fact: direction.reason })?;
    }
    for asked in &request.slots {
        let allowed = match asked.slot {
            Slot::Until => clock_time(zone, direction).into_iter().collect(),
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
    let minutes = |count: Option<u32>| match count {
        Some(count) => vec![format!("{count} min")],
        None => Vec::new(),
    };
    match slot {
        Slot::Closed => direction.avoid.first().and_then(street).into_iter().collect(),
        Slot::Via0 => direction.via.iter().filter_map(street).collect(),
        // What is said second is passed after what is said first.
        Slot::Via1 => {
            let first = request.slot(Slot::Via0);
            let is_first = |id: &SegmentId| match (street(id), first) {
                (Some(name), Some(fact)) => agrees(fact, &name, request.space),
                _ => false,
            };
            let after = direction.via.iter().position(is_first).map_or(0, |at| at + 1);
            direction.via.iter().skip(after).filter_map(street).collect()
        }
        Slot::Dest => {
            let place = direction.destination.and_then(|at| network.places.get(at));
            place.map(|place| place.name.clone()).into_iter().collect()
        }
        Slot::Delay => minutes(direction.delay_s.and_then(delay_minutes)),
        Slot::Saving => minutes(direction.saving_s.and_then(saving_minutes)),
        Slot::Turn => {
            let word = direction.turn.and_then(|turn| turn_word(turn, request.language));
            word.map(str::to_owned).into_iter().collect()
        }
        // Needs a clock.
        Slot::Until => Vec::new(),
    }
}

/// When the road is planned to open, rounded up to a minute: only before that moment, and only where
/// the time of day leaves no doubt of the day.
fn clock_time(zone: Option<chrono_tz::Tz>, direction: &Direction) -> Option<String> {
    const HALF_A_DAY_MS: i64 = 12 * 60 * 60 * 1000;
    let until = direction.until?.millis();
    if !(1..=HALF_A_DAY_MS).contains(&(until - direction.ts.millis())) {
        return None;
    }
    let minute = until.div_euclid(60_000) + i64::from(until.rem_euclid(60_000) > 0);
    let there = zone?.timestamp_opt(minute * 60, 0).single()?;
    Some(format!("{:02}:{:02}", there.hour(), there.minute()))
}

/// A sign shows the fold of what the network has, a vehicle shows it as it is.
fn agrees(asked: &SlotFact, text: &str, space: Space) -> bool {
    match space {
        _ if asked.slot == Slot::Until => asked.text == text,
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
