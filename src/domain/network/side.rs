//! Which side of the road a town drives on, as its map shows it.

use std::collections::BTreeMap;

use geo::Coord;
use geo::line_measures::{Haversine, InterpolateLine};

use super::{Network, Segment};

/// Metres between the middles of two directions of one road: nearer together the map draws them as
/// one line, further apart they are two roads.
const LEAST_APART_M: f64 = 0.5;
const MOST_APART_M: f64 = 40.0;

impl Network {
    /// Whether traffic keeps to the left: on most roads those who come towards one are on the right.
    /// Where the map does not tell, traffic is taken to keep to the right.
    pub fn keeps_left(&self) -> bool {
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
    use super::super::testing::Draft;

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
}
