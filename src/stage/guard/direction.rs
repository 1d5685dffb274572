//! Whether a direction can be driven and is true now, before it is worded.

use super::objection::{Objection, Rules};
use crate::domain::closure::{Announced, ClosedSegments};
use crate::domain::congestion::CongestionLevel;
use crate::domain::direction::{Audience, Cause, Direction, DirectionState};
use crate::domain::network::{Connection, Network, SegmentId, Turn};

pub(super) fn check(
    rules: &Rules,
    network: &Network,
    direction: &Direction,
    closed: &ClosedSegments,
) -> Result<(), Objection> {
    check_indices(rules, network, direction)?;
    let Some(trouble) = direction.avoid.first() else {
        return rules.object(Objection::NothingToAvoid);
    };
    if direction.state == DirectionState::Clear {
        return Ok(());
    }
    let (ts, valid_until) = (direction.ts, direction.valid_until);
    if valid_until <= ts {
        rules.object(Objection::NotInForce { ts, valid_until })?;
    }
    let true_cause = match direction.cause {
        Cause::Closure => closed.contains_key(trouble),
        Cause::Congestion => direction.level != Some(CongestionLevel::FreeFlow),
        Cause::Incident => true,
    };
    if !true_cause {
        let (cause, segment) = (direction.cause.word(), name(network, *trouble));
        rules.object(Objection::FalseCause { cause, segment })?;
    }
    for closed_too in &direction.closed {
        if !closed.contains_key(closed_too) || !direction.avoid.contains(closed_too) {
            let (cause, segment) = (Cause::Closure.word(), name(network, *closed_too));
            rules.object(Objection::FalseCause { cause, segment })?;
        }
    }
    if let Some(second) = direction.second {
        let is_true = match second.cause {
            Cause::Closure => closed.contains_key(&second.segment),
            Cause::Congestion => !closed.contains_key(&second.segment),
            // What was found to be blocked is no second road's trouble.
            Cause::Incident => false,
        };
        if !is_true {
            let (cause, segment) = (second.cause.word(), name(network, second.segment));
            rules.object(Objection::FalseCause { cause, segment })?;
        }
        if direction.way.contains(&second.segment) {
            rules.object(Objection::OverAvoided { segment: name(network, second.segment) })?;
        }
    }
    operators_word(rules, direction)?;
    for id in direction.via.iter().chain(&direction.way) {
        if let Some(event) = closed.get(id) {
            let (segment, event) = (name(network, *id), event.clone());
            rules.object(Objection::OverClosed { segment, event })?;
        }
        if direction.avoid.contains(id) {
            rules.object(Objection::OverAvoided { segment: name(network, *id) })?;
        }
        if !network.segment(*id).cars_allowed {
            rules.object(Objection::NotForCars { segment: name(network, *id) })?;
        }
    }
    for pair in direction.way.windows(2) {
        if let [from, to] = pair
            && network.connection(*from, *to).is_none()
        {
            let (from, to) = (name(network, *from), name(network, *to));
            rules.object(Objection::BrokenWay { from, to })?;
        }
    }
    turns_nowhere_around(rules, network, direction)?;
    let mut ahead = direction.way.iter();
    for id in &direction.via {
        if !ahead.any(|passed| passed == id) {
            rules.object(Objection::OffWay { segment: name(network, *id) })?;
        }
    }
    // "For the station, use ..." promises that this way gets there.
    if let Some(place) = direction.destination.and_then(|at| network.places.get(at))
        && !direction.way.is_empty()
        && !direction.way.contains(&place.segment)
    {
        rules.object(Objection::Elsewhere { place: place.name.clone() })?;
    }
    if let Some(turn) = direction.turn {
        check_turn(rules, network, direction, turn)?;
    }
    Ok(())
}

/// Operators say why, since when and until when of what they have closed or shut, and how many lanes
/// of what cars still pass.
fn operators_word(rules: &Rules, direction: &Direction) -> Result<(), Objection> {
    let Announced { reason, since, until, lanes } = direction.announced;
    let congestion = direction.cause == Cause::Congestion;
    let said = [
        (reason.is_some() && congestion, "why it is"),
        (since.is_some() && congestion, "since when it is"),
        (until.is_some() && congestion, "until when it will be"),
        (lanes.is_some() && direction.cause != Cause::Incident, "how many lanes are shut"),
    ];
    match said.into_iter().find(|(stray, _)| *stray) {
        Some((_, what)) => {
            rules.object(Objection::StrayWord { what, cause: direction.cause.word() })
        }
        None => Ok(()),
    }
}

/// Turning around is never advised: neither where the direction is read nor further on, where no
/// text says it and drivers would have to do it all the same.
fn turns_nowhere_around(
    rules: &Rules,
    network: &Network,
    direction: &Direction,
) -> Result<(), Objection> {
    let first = moves_out(network, direction).into_iter().filter_map(|(_, taken)| taken);
    let onward = direction.way.windows(2).filter_map(|pair| match pair {
        [from, to] => network.connection(*from, *to),
        _ => None,
    });
    match first.chain(onward).find(|taken| taken.turn == Turn::TurnAround) {
        Some(Connection { from, to, .. }) => {
            let (from, to) = (name(network, *from), name(network, *to));
            rules.object(Objection::TurnAbout { from, to })
        }
        None => Ok(()),
    }
}

/// The turn must be the one by which the advised way leaves an addressed segment. That all who are
/// addressed can take it is asked only of a text that says it (`TurnForAll`).
fn check_turn(
    rules: &Rules,
    network: &Network,
    direction: &Direction,
    turn: Turn,
) -> Result<(), Objection> {
    let moves = moves_out(network, direction);
    let is_taken = moves.iter().any(|(_, taken)| taken.is_some_and(|taken| taken.turn == turn));
    if !is_taken {
        let segments = moves.iter().map(|(from, _)| network.segment(*from).name.as_str());
        let segments = segments.collect::<Vec<_>>().join(", ");
        rules.object(Objection::FalseTurn { segments })?;
    }
    Ok(())
}

/// Each addressed segment, and the move by which the advised way leaves it: into the next segment
/// on the way if the way holds it, else into the way's first.
pub(super) fn moves_out<'n>(
    network: &'n Network,
    direction: &Direction,
) -> Vec<(SegmentId, Option<&'n Connection>)> {
    let out = |from: SegmentId| {
        let at = direction.way.iter().position(|id| *id == from).map_or(0, |at| at + 1);
        let taken = direction.way.get(at).and_then(|to| network.connection(from, *to));
        (from, taken)
    };
    match &direction.audience {
        Audience::Sign(sign) => vec![out(network.sign(*sign).segment)],
        Audience::Area { .. } => direction.applies_on.iter().copied().map(out).collect(),
    }
}

/// Everything that the direction points at is there. Always in force, since the rest looks it up.
pub(super) fn check_indices(
    rules: &Rules,
    network: &Network,
    direction: &Direction,
) -> Result<(), Objection> {
    let segments = network.segments.len();
    let lists = [
        &direction.avoid,
        &direction.closed,
        &direction.via,
        &direction.way,
        &direction.applies_on,
    ];
    let second = direction.second.as_ref().map(|second| &second.segment);
    for id in lists.into_iter().flatten().chain(second) {
        let index = id.0 as usize;
        if index >= segments {
            return Err(Objection::UnknownIndex { what: "segment", index });
        }
    }
    if let Audience::Sign(sign) = direction.audience
        && sign.0 as usize >= network.signs.len()
    {
        return Err(Objection::UnknownIndex { what: "sign", index: sign.0 as usize });
    }
    if let Some(index) = direction.destination
        && index >= network.places.len()
    {
        rules.object(Objection::UnknownIndex { what: "destination", index })?;
    }
    Ok(())
}

fn name(network: &Network, id: SegmentId) -> String {
    network.segment(id).name.clone()
}
