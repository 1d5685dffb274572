//! Contrast sets (Gardner et al. 2020): one fact is changed, and only the clause that says it may
//! change.

use crate::domain::wording::{Problem, Slot, WordingRequest};

use super::super::constraint::{ADVICE, DELAY, KINDS, PROBLEM, REASON, SAVING};
use super::super::vocabulary::Token;

/// A text by its clauses, as they were written.
pub(crate) type Clauses = [Option<Vec<Token>>; KINDS];

/// The request with one fact changed, and the clause that says it. A road is not taken out: without
/// it the advice is another one.
pub(super) fn flips(request: &WordingRequest) -> Vec<(WordingRequest, usize)> {
    let mut flips = Vec::new();
    let at = Problem::ALL.iter().position(|p| *p == request.problem).unwrap_or(0);
    let other = Problem::ALL[(at + 1) % Problem::ALL.len()];
    // A reason belongs to a closure; with it two facts would change.
    if request.reason.is_none() {
        flips.push((WordingRequest { problem: other, ..request.clone() }, PROBLEM));
    } else {
        flips.push((WordingRequest { reason: None, ..request.clone() }, REASON));
    }
    for (slot, kind) in
        [(Slot::Delay, DELAY), (Slot::Saving, SAVING), (Slot::Dest, ADVICE), (Slot::Via1, ADVICE)]
    {
        if request.slot(slot).is_some_and(|fact| !fact.required) {
            let mut flipped = request.clone();
            flipped.slots.retain(|fact| fact.slot != slot);
            flips.push((flipped, kind));
        }
    }
    flips
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
        let request = fixture::request(Space::Vehicle { max_chars: 200 });
        let flips = flips(&request);
        assert_eq!(flips.len(), 5);
        for (flipped, kind) in flips {
            let gone = request.slots.len() - flipped.slots.len();
            let changed = usize::from(flipped.problem != request.problem);
            assert_eq!(gone + changed, 1, "{kind}");
        }
    }

    #[test]
    fn a_change_elsewhere_is_seen() {
        let mut before: Clauses = Default::default();
        before[PROBLEM] = Some(vec![7]);
        before[ADVICE] = Some(vec![8, 9]);
        let mut after = before.clone();
        after[DELAY] = Some(vec![3]);
        assert!(only_there(&before, &after, DELAY));
        assert!(!only_there(&before, &after, ADVICE));
        assert!(only_there(&before, &before, SAVING));
    }
}
