//! Which side of the road a town drives on, as its map shows it, and who must give way for it.

use std::collections::{BTreeMap, BTreeSet};

use geo::Coord;
use geo::line_measures::{Haversine, InterpolateLine};

use super::{Network, Segment, SegmentId, Turn};

/// Metres between the middles of two directions of one road: nearer together the map draws them as
/// one line, further apart they are two roads.
const LEAST_APART_M: f64 = 0.5;
const MOST_APART_M: f64 = 40.0;

/// Degrees by which roads that face each other may be off a straight line.
const FACING_DEG: f64 = 45.0;

impl Network {
    /// The turns at signals that cross the way of those who come straight towards them.
    pub fn giving_way(&self) -> BTreeSet<(SegmentId, SegmentId)> {
        let across = if self.keeps_left() { Turn::Right } else { Turn::Left };
        let mut towards: BTreeMap<&str, Vec<SegmentId>> = BTreeMap::new();
        for id in self.segment_ids() {
            let moves = self.outgoing(id).iter();
            if moves.clone().any(|c| c.cars_allowed && c.turn == Turn::Straight) {
                towards.entry(&self.segment(id).to_junction).or_default().push(id);
            }
        }
        let mut giving_way = BTreeSet::new();
        for id in self.segment_ids().filter(|&id| self.segment(id).to_signal) {
            let segment = self.segment(id);
            let others = towards.get(segment.to_junction.as_str()).into_iter().flatten();
            if others.copied().any(|other| face_each_other(segment, self.segment(other))) {
                let turns = self.outgoing(id).iter().filter(|c| c.turn == across);
                giving_way.extend(turns.map(|c| (id, c.to)));
            }
        }
        giving_way
    }

    /// Whether traffic keeps to the left: on most roads those who come towards one are on the right.
    /// Where the map does not tell, traffic is taken to keep to the right.
    fn keeps_left(&self) -> bool {
        let mut by_ends: BTreeMap<(&str, &str), &Segment> = BTreeMap::new();
        for segment in self.segments.iter().filter(|segment| segment.cars_allowed) {
            by_ends.insert((&segment.from_junction, &segment.to_junction), segment);
        }
        let (mut left, mut right) = (0, 0);
        for (&(from, to), segment) in &by_ends {
            let Some(towards) = by_ends.get(&(to, from)) else { continue };
            match left_of_m(segment, towards) {
                Some(m) if (LEAST_APART_M..MOST_APART_M).contains(&m) => right += 1,
                Some(m) if (LEAST_APART_M..MOST_APART_M).contains(&-m) => left += 1,
                _ => {}
            }
        }
        left > right
    }
}

/// Whether two roads that end at one junction come from opposite sides.
fn face_each_other(one: &Segment, other: &Segment) -> bool {
    let heading = |segment: &Segment| {
        let [.., a, b] = segment.line.0[..] else { return None };
        Some((b.y - a.y).atan2((b.x - a.x) * b.y.to_radians().cos()).to_degrees())
    };
    let (Some(one), Some(other)) = (heading(one), heading(other)) else { return false };
    let apart = (one - other).rem_euclid(360.0);
    (apart - 180.0).abs() <= FACING_DEG
}

/// How far to the left of a road the middle of another one is, metres.
fn left_of_m(road: &Segment, other: &Segment) -> Option<f64> {
    let (&start, &end) = (road.line.0.first()?, road.line.0.last()?);
    let middle = |segment: &Segment| {
        Haversine.point_at_ratio_from_start(&segment.line, 0.5).map(Coord::from)
    };
    let north = start.y.to_radians().cos();
    let flat = |a: Coord<f64>, b: Coord<f64>| {
        // Metres in a degree of latitude on a sphere of 6,371 km.
        const DEGREE_M: f64 = 111_195.0;
        ((b.x - a.x) * north * DEGREE_M, (b.y - a.y) * DEGREE_M)
    };
    let (along, aside) = (flat(start, end), flat(middle(road)?, middle(other)?));
    let length_m = along.0.hypot(along.1);
    (length_m > 0.0).then(|| (along.0 * aside.1 - along.1 * aside.0) / length_m)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Draft, grid};

    /// A road of two directions, the one towards so far to the left, metres.
    fn road(apart_m: f64) -> bool {
        let mut draft = Draft::new();
        let there = draft.segment("there", "", [(0.0, 0.0), (0.0, 100.0)]);
        let back = draft.segment("back", "", [(-apart_m, 100.0), (-apart_m, 0.0)]);
        let ends = {
            let there = draft.edit(there);
            (there.from_junction.clone(), there.to_junction.clone())
        };
        let back = draft.edit(back);
        (back.to_junction, back.from_junction) = ends;
        draft.build().keeps_left()
    }

    #[test]
    fn those_who_come_towards_one_show_the_side() {
        assert!(!road(4.0), "they are on the left: one keeps to the right");
        assert!(road(-4.0));
        assert!(!road(0.0) && !road(-100.0), "the map does not tell");
    }

    #[test]
    fn who_turns_across_those_who_come_straight_on_gives_way() {
        let mut draft = grid(3, 3);
        let names = grid(3, 3).build();
        for name in ["0,1>1,1", "1,0>1,1", "1,0>0,0"] {
            draft.edit(names.id(name)).to_signal = true;
        }
        let network = draft.build();
        let giving_way = network.giving_way();
        let given = |from, to| giving_way.contains(&(network.id(from), network.id(to)));
        assert!(given("0,1>1,1", "1,1>1,2") && given("1,0>1,1", "1,1>0,1"));
        assert!(!given("0,1>1,1", "1,1>1,0"), "right crosses nobody");
        assert!(!given("1,0>0,0", "0,0>0,1"), "nobody comes towards them at a corner");
        assert!(!given("2,1>1,1", "1,1>1,0"), "no signal");
    }
}
