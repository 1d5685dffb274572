//! Contrast sets (Gardner et al. 2020): one fact is changed, and only the clause that says it may
//! change.

use crate::domain::closure::Reason;
use crate::domain::wording::{Problem, Slot, SlotFact, WordingRequest};

use super::super::constraint::{ADVICE, Clauses, DELAY, KINDS, PROBLEM, REASON, SAVING, SECOND};
use super::super::contexts::other_turn;

/// The request with one fact changed into another of its kind, and the clause that says it. A fact
/// is not taken out: what it leaves room for is another fact's to fill.
pub(super) fn flips(request: &WordingRequest) -> Vec<(WordingRequest, usize)> {
    /// Problems that leave the other facts what they are worth; a closure does not, since nobody
    /// waits on a closed road, nor does an incident of which an operator says what of no jam is said.
    const ALIKE: [Problem; 4] =
        [Problem::Incident, Problem::Queue, Problem::SlowTraffic, Problem::HeavyTraffic];
    let mut flips = Vec::new();
    let told = [Slot::Lanes, Slot::Since].iter().any(|slot| request.slot(*slot).is_some())
        || request.reason.is_some();
    let alike = ALIKE.iter().position(|problem| *problem == request.problem);
    if let Some(at) = alike.filter(|_| !told) {
        let problem = ALIKE[(at + 1) % ALIKE.len()];
        flips.push((WordingRequest { problem, ..request.clone() }, PROBLEM));
    }
    if let Some(reason) = request.reason {
        let at = Reason::ALL.iter().position(|other| *other == reason).unwrap_or(0);
        let reason = Some(Reason::ALL[(at + 1) % Reason::ALL.len()]);
        flips.push((WordingRequest { reason, ..request.clone() }, REASON));
    }
    let mut changed = |slot: Slot, kind: usize, change: &dyn Fn(&mut SlotFact)| {
        let mut flipped = request.clone();
        if let Some(fact) = flipped.slots.iter_mut().find(|fact| fact.slot == slot) {
            change(fact);
            flips.push((flipped, kind));
        }
    };
    changed(Slot::AlsoClosed, SECOND, &|fact| fact.slot = Slot::AlsoQueue);
    changed(Slot::AlsoQueue, SECOND, &|fact| fact.slot = Slot::AlsoClosed);
    changed(Slot::Delay, DELAY, &|fact| fact.text = minutes(&fact.text));
    changed(Slot::Saving, SAVING, &|fact| fact.text = minutes(&fact.text));
    changed(Slot::Turn, ADVICE, &|fact| fact.text = other_turn(request.language, &fact.text));
    flips
}

/// Other minutes, of one digit more or less, so that a model can see it.
fn minutes(said: &str) -> String {
    let (number, unit) = said.split_once(' ').unwrap_or((said, ""));
    let other = if number.len() > 1 { "7" } else { "12" };
    format!("{other} {unit}")
}

/// Whether two texts differ in one clause at most, this one.
pub(super) fn only_there(before: &Clauses, after: &Clauses, kind: usize) -> bool {
    (0..KINDS).all(|other| other == kind || before[other] == after[other])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::wording::Space;
    use crate::model::fixture;

    #[test]
    fn each_flip_changes_one_fact() {
        let mut request = fixture::request(Space::Vehicle { max_chars: 200 });
        request.slots.retain(|fact| fact.slot != Slot::AlsoClosed);
        for fact in &mut request.slots {
            match fact.slot {
                Slot::Turn => fact.text = "left".to_owned(),
                Slot::Delay | Slot::Saving => fact.text = "8 min".to_owned(),
                _ => {}
            }
        }
        let told_of = [Slot::Lanes, Slot::Since];
        let mut untold = request.clone();
        untold.slots.retain(|fact| !told_of.contains(&fact.slot));
        let (told, request) = (request, untold);
        let flips = flips(&request);
        let kinds: Vec<usize> = flips.iter().map(|(_, kind)| *kind).collect();
        assert_eq!(kinds, [PROBLEM, SECOND, DELAY, SAVING, ADVICE]);
        for (flipped, kind) in flips {
            let texts = request.slots.iter().zip(&flipped.slots);
            let changed = texts.filter(|(before, after)| before != after).count()
                + usize::from(flipped.problem != request.problem);
            assert_eq!((changed, flipped.slots.len()), (1, request.slots.len()), "{kind}");
        }
        let kinds = super::flips(&told).into_iter().map(|(_, kind)| kind);
        assert_eq!(kinds.collect::<Vec<_>>(), [SECOND, DELAY, SAVING, ADVICE], "lanes are shut");
        let closed = WordingRequest {
            problem: Problem::RoadClosed,
            reason: Some(Reason::Wind),
            slots: Vec::new(),
            ..request
        };
        let reasons: Vec<_> = super::flips(&closed).iter().map(|(r, _)| r.reason).collect();
        assert_eq!(reasons, [Some(Reason::Roadworks)]);
    }

    #[test]
    fn a_change_elsewhere_is_seen() {
        let mut before = Clauses::default();
        before[PROBLEM] = Some(vec![7]);
        before[ADVICE] = Some(vec![8, 9]);
        let mut after = before.clone();
        after[DELAY] = Some(vec![3]);
        assert!(only_there(&before, &after, DELAY));
        assert!(!only_there(&before, &after, ADVICE));
        assert!(only_there(&before, &before, SAVING));
    }
}
