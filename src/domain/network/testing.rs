//! Small networks made by hand, for tests.

use geo::LineString;

use super::{ByName, Connection, Network, Place, Segment, SegmentId, Sign, SignId, Turn};

/// Metres between neighbouring junctions of a grid.
pub(crate) const BLOCK_M: f64 = 200.0;

/// Builds a network piece by piece.
#[derive(Debug)]
pub(crate) struct Draft {
    network: Network,
}

impl Draft {
    pub(crate) fn new() -> Self {
        Self {
            network: Network {
                city: "test".to_owned(),
                hash: "0".repeat(64),
                segments: Vec::new(),
                detectors: Vec::new(),
                signs: Vec::new(),
                places: Vec::new(),
                outgoing: Vec::new(),
                incoming: Vec::new(),
                by_name: ByName::default(),
            },
        }
    }

    /// A segment of one lane between two points of a plane in metres, limit 50 km/h.
    pub(crate) fn segment(&mut self, name: &str, street: &str, ends: [(f64, f64); 2]) -> SegmentId {
        let id = SegmentId(self.network.segments.len() as u32);
        let [(x0, y0), (x1, y1)] = ends;
        // About 44.5° north: a metre is 1.26e-5 degrees of longitude and 0.9e-5 of latitude.
        let degrees = |(x, y): (f64, f64)| (11.3 + x * 1.26e-5, 44.5 + y * 0.9e-5);
        self.network.segments.push(Segment {
            name: name.to_owned(),
            from_junction: format!("{x0}/{y0}"),
            to_junction: format!("{x1}/{y1}"),
            street: (!street.is_empty()).then(|| street.to_owned()),
            length_m: (x1 - x0).hypot(y1 - y0),
            speed_limit_kmh: 50.0,
            lanes: 1,
            cars_allowed: true,
            to_signal: false,
            line: LineString::from(vec![degrees(ends[0]), degrees(ends[1])]),
        });
        self.network.outgoing.push(Vec::new());
        self.network.incoming.push(Vec::new());
        self.network.by_name.insert(&self.network.segments, id);
        id
    }

    pub(crate) fn edit(&mut self, id: SegmentId) -> &mut Segment {
        &mut self.network.segments[id.0 as usize]
    }

    pub(crate) fn link(&mut self, from: SegmentId, to: SegmentId, turn: Turn) {
        let connection = Connection { from, to, turn, lanes: 1, cars_allowed: true };
        self.network.outgoing[from.0 as usize].push(connection);
        self.network.incoming[to.0 as usize].push(connection);
    }

    pub(crate) fn sign(&mut self, segment: SegmentId) -> SignId {
        let id = SignId(self.network.signs.len() as u32);
        let name = format!("vms_{:02}", id.0 + 1);
        self.network.signs.push(Sign {
            name,
            segment,
            pos_m: 10.0,
            rows: 3,
            cols: 18,
            pages: 1,
            face: None,
        });
        id
    }

    pub(crate) fn place(&mut self, name: &str, segment: SegmentId, weight: f64) {
        self.network.places.push(Place { name: name.to_owned(), segment, weight });
    }

    pub(crate) fn build(mut self) -> Network {
        for moves in &mut self.network.outgoing {
            moves.sort_by_key(|c| c.to);
        }
        for moves in &mut self.network.incoming {
            moves.sort_by_key(|c| c.from);
        }
        self.network
    }
}

/// A grid of two-way streets with blocks of `BLOCK_M`. The segment from junction (1,0) to (2,0) is
/// named `1,0>2,0`; streets are `Row 0`, `Row 1`, ... (west to east) and `Column 0`, ... Every turn
/// is allowed but turning around.
pub(crate) fn grid(columns: u32, rows: u32) -> Draft {
    type Junction = (i64, i64);
    let mut draft = Draft::new();
    let mut placed: Vec<(SegmentId, Junction, Junction)> = Vec::new();
    let inside = |(x, y): Junction| {
        (0..i64::from(columns)).contains(&x) && (0..i64::from(rows)).contains(&y)
    };
    for y in 0..i64::from(rows) {
        for x in 0..i64::from(columns) {
            for (dx, dy) in [(1, 0), (-1, 0), (0, 1), (0, -1)] {
                let (from, to) = ((x, y), (x + dx, y + dy));
                if !inside(to) {
                    continue;
                }
                let name = format!("{},{}>{},{}", from.0, from.1, to.0, to.1);
                let street = if dy == 0 { format!("Row {y}") } else { format!("Column {x}") };
                let metres = |(x, y): Junction| (x as f64 * BLOCK_M, y as f64 * BLOCK_M);
                let id = draft.segment(&name, &street, [metres(from), metres(to)]);
                placed.push((id, from, to));
            }
        }
    }
    for &(from, a, b) in &placed {
        for &(to, c, d) in &placed {
            if b != c || d == a {
                continue;
            }
            // The sign of the cross product of the two directions: counter-clockwise is left.
            let cross = (b.0 - a.0) * (d.1 - c.1) - (b.1 - a.1) * (d.0 - c.0);
            let turn = match cross {
                0 => Turn::Straight,
                1.. => Turn::Left,
                _ => Turn::Right,
            };
            draft.link(from, to, turn);
        }
    }
    draft
}

impl Network {
    /// The segment of this name, in tests that made it.
    pub(crate) fn id(&self, name: &str) -> SegmentId {
        self.segment_by_name(name).unwrap_or_else(|| panic!("the test has no segment `{name}`"))
    }
}
