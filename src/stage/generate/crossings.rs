//! Between which roads a closed stretch lies.
//!
//! Only what nobody can look for in a wrong place: roads that cross the closed one at a single
//! junction. Knows nothing of what may be said of a name.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::network::{Network, SegmentId};

/// The streets that meet at each junction, and at how many junctions each pair of streets meets.
#[derive(Clone, Debug, Default)]
pub(super) struct Crossings {
    at: BTreeMap<String, BTreeSet<String>>,
    meetings: BTreeMap<(String, String), usize>,
}

impl Crossings {
    pub(super) fn of(network: &Network) -> Self {
        let mut crossings = Self::default();
        for segment in &network.segments {
            let Some(street) = &segment.street else { continue };
            for junction in [&segment.from_junction, &segment.to_junction] {
                crossings.at.entry(junction.clone()).or_default().insert(street.clone());
            }
        }
        for streets in crossings.at.values() {
            for one in streets {
                for other in streets.iter().filter(|other| *other != one) {
                    *crossings.meetings.entry((one.clone(), other.clone())).or_default() += 1;
                }
            }
        }
        crossings
    }

    /// The streets that cross where the closed stretch of the first of these segments begins and
    /// where it ends, in the order of the alphabet; none where the stretch forks or is a ring.
    pub(super) fn around(&self, network: &Network, closed: &[SegmentId]) -> [Vec<&str>; 2] {
        self.stretch(network, closed).unwrap_or_default()
    }

    fn stretch(&self, network: &Network, closed: &[SegmentId]) -> Option<[Vec<&str>; 2]> {
        let first = network.segments.get(closed.first()?.0 as usize)?;
        let street = first.street.as_ref()?;
        // Both carriageways of a stretch are one.
        let mut beside: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for id in closed {
            let segment = network.segments.get(id.0 as usize)?;
            if segment.street.as_ref() == Some(street) {
                let (from, to) = (segment.from_junction.as_str(), segment.to_junction.as_str());
                beside.entry(from).or_default().insert(to);
                beside.entry(to).or_default().insert(from);
            }
        }
        let (from, to) = (first.from_junction.as_str(), first.to_junction.as_str());
        let (begin, end) = (last(&beside, to, from)?, last(&beside, from, to)?);
        let once = |junction: &str| -> Vec<&str> {
            let others = self.at.get(junction).into_iter().flatten();
            others
                .filter(|other| self.meetings.get(&(street.clone(), (*other).clone())) == Some(&1))
                .map(String::as_str)
                .collect()
        };
        Some([once(begin), once(end)])
    }
}

/// From a junction on, away from the one before it, as far as it goes; `None` at a fork and in a ring.
fn last<'j>(
    beside: &BTreeMap<&'j str, BTreeSet<&'j str>>,
    mut before: &'j str,
    mut here: &'j str,
) -> Option<&'j str> {
    for _ in 0..beside.len() {
        let mut next = beside.get(here)?.iter().filter(|other| **other != before);
        match (next.next(), next.next()) {
            (None, _) => return Some(here),
            (Some(on), None) => (before, here) = (here, on),
            (Some(_), Some(_)) => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::network::testing::{Draft, grid};

    fn around(draft: Draft, closed: &[&str]) -> [Vec<String>; 2] {
        let network = draft.build();
        let closed: Vec<SegmentId> = closed.iter().map(|name| network.id(name)).collect();
        let crossings = Crossings::of(&network);
        let found = crossings.around(&network, &closed);
        found.map(|names| names.into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn a_stretch_lies_between_the_roads_that_cross_its_ends() {
        let names = |[begin, end]: [&str; 2]| [vec![begin.to_owned()], vec![end.to_owned()]];
        assert_eq!(around(grid(5, 3), &["1,1>2,1"]), names(["Column 1", "Column 2"]));
        assert_eq!(around(grid(5, 3), &["2,1>1,1"]), names(["Column 2", "Column 1"]));
        // Further segments, the other carriageway, and a closure elsewhere on the street.
        let closed = ["2,1>3,1", "1,1>2,1", "2,1>1,1", "0,0>1,0"];
        assert_eq!(around(grid(5, 3), &closed), names(["Column 1", "Column 3"]));
    }

    #[test]
    fn a_road_that_meets_the_closed_one_twice_says_nothing() {
        let mut draft = grid(5, 3);
        let again = grid(5, 3).build().id("4,1>4,2");
        draft.edit(again).street = Some("Column 1".to_owned());
        assert_eq!(around(draft, &["1,1>2,1"]), [vec![], vec!["Column 2".to_owned()]]);
        assert_eq!(around(grid(5, 3), &[]), [Vec::<String>::new(), Vec::new()]);
    }
}
