//! Shortest ways over allowed moves, by given travel times, around what is closed.
//!
//! The graph is edge-based: its nodes are segments and its arcs the moves that cars may make, so a
//! forbidden turn is simply no arc. Knows nothing of where the travel times come from.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};

use super::{Connection, Network, SegmentId, Turn};

/// Seconds to pass each segment now, by segment index, infinite where closed to cars; and seconds
/// that single moves cost on top of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Costs {
    segments: Vec<f64>,
    moves: BTreeMap<(SegmentId, SegmentId), f64>,
}

impl Costs {
    /// By segment index; moves cost nothing.
    pub fn of(segments: Vec<f64>) -> Self {
        Self { segments, moves: BTreeMap::new() }
    }

    /// Every segment at its speed limit; infinite where cars are not allowed.
    pub fn free_flow(network: &Network) -> Self {
        let seconds =
            |s: &super::Segment| if s.cars_allowed { s.free_flow_s() } else { f64::INFINITY };
        Self::of(network.segments.iter().map(seconds).collect())
    }

    /// Seconds to pass the segment. What is no time (absent, negative, not a number) counts as
    /// closed, so that a bad figure can close a road but never open or shorten one.
    pub fn get(&self, id: SegmentId) -> f64 {
        match self.segments.get(id.0 as usize) {
            Some(&seconds) if seconds >= 0.0 => seconds,
            _ => f64::INFINITY,
        }
    }

    pub fn set(&mut self, id: SegmentId, seconds: f64) {
        if let Some(cost) = self.segments.get_mut(id.0 as usize) {
            *cost = seconds;
        }
    }

    pub fn close(&mut self, id: SegmentId) {
        self.set(id, f64::INFINITY);
    }

    /// Seconds that a move costs on top of its segments.
    pub fn move_s(&self, from: SegmentId, to: SegmentId) -> f64 {
        self.moves.get(&(from, to)).copied().unwrap_or_default()
    }

    /// As with segments, what is no time closes the move.
    pub fn set_move(&mut self, from: SegmentId, to: SegmentId, seconds: f64) {
        let seconds = if seconds >= 0.0 { seconds } else { f64::INFINITY };
        self.moves.insert((from, to), seconds);
    }
}

/// A drivable way, first and last segment included.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    pub segments: Vec<SegmentId>,
    /// Seconds from the start of the first segment to the end of the last one.
    pub travel_time_s: f64,
}

/// Seconds that moves cost on top of the segments they join.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Penalties {
    /// For leaving a segment through a signal.
    pub signal_s: f64,
    /// For turning around, where the network lists that move at all; infinite: as if it did not.
    pub turn_around_s: f64,
}

impl Penalties {
    /// Travel times as they are met on the road. 8 s is the mean wait at a fixed-time signal with a
    /// cycle of 60 s and 27 s of red or so, r²/2c plus starting up (uniform arrivals, Webster 1958,
    /// first term); 30 s stands for slowing, giving way and turning in one movement.
    pub const TYPICAL: Self = Self { signal_s: 8.0, turn_around_s: 30.0 };
    /// A map that knows lengths and speed limits and nothing else.
    pub const SPEED_LIMITS: Self = Self { signal_s: 0.0, turn_around_s: 0.0 };

    /// The same for ways that nowhere turn around.
    #[must_use]
    pub const fn never_around(self) -> Self {
        Self { turn_around_s: f64::INFINITY, ..self }
    }
}

/// Finds ways on one network.
#[derive(Clone, Copy, Debug)]
pub struct Router<'n> {
    network: &'n Network,
    penalties: Penalties,
}

/// All shortest ways that begin (or all that end) at one segment.
#[derive(Clone, Debug)]
pub struct Tree {
    root: SegmentId,
    towards_root: bool,
    /// Seconds from the start of the way's first segment to the end of its last one.
    times: Vec<f64>,
    /// The next segment on the way to the root, by segment index; the root and what is not reached
    /// point to themselves.
    parents: Vec<SegmentId>,
    /// Reached segments, nearest first: a parent stands before its children.
    order: Vec<SegmentId>,
}

impl Tree {
    /// `None` where there is no way.
    pub fn travel_time_s(&self, id: SegmentId) -> Option<f64> {
        self.times.get(id.0 as usize).copied().filter(|t| t.is_finite())
    }

    /// The way between the root and this segment, in driving direction.
    pub fn way(&self, id: SegmentId) -> Option<Way> {
        let travel_time_s = self.travel_time_s(id)?;
        let mut segments = vec![id];
        let mut at = id;
        while at != self.root {
            at = self.parents[at.0 as usize];
            segments.push(at);
        }
        if !self.towards_root {
            segments.reverse();
        }
        Some(Way { segments, travel_time_s })
    }

    /// For each segment whether its way holds one for which `marked` is true, root and itself
    /// included; false where there is no way.
    pub fn passing(&self, marked: impl Fn(SegmentId) -> bool) -> Vec<bool> {
        let mut passes = vec![false; self.times.len()];
        for &id in &self.order {
            let parent = self.parents[id.0 as usize];
            passes[id.0 as usize] = passes[parent.0 as usize] || marked(id);
        }
        passes
    }
}

/// A segment on the frontier of a search. The heap is a max-heap: nearest first, then lowest index.
#[derive(PartialEq)]
struct Reached {
    distance: f64,
    id: SegmentId,
}

impl Eq for Reached {}

impl Ord for Reached {
    fn cmp(&self, other: &Self) -> Ordering {
        other.distance.total_cmp(&self.distance).then(other.id.cmp(&self.id))
    }
}

impl PartialOrd for Reached {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<'n> Router<'n> {
    /// With `Penalties::TYPICAL`.
    pub fn new(network: &'n Network) -> Self {
        Self::with_penalties(network, Penalties::TYPICAL)
    }

    pub fn with_penalties(network: &'n Network, penalties: Penalties) -> Self {
        Self { network, penalties }
    }

    /// The fastest way; of equally fast ones that with the lower segment index where they part,
    /// seen from the end. `None` where there is none, or where either end is closed.
    pub fn fastest(&self, from: SegmentId, to: SegmentId, costs: &Costs) -> Option<Way> {
        self.search(from, costs, false, Some(to)).way(to)
    }

    /// The fastest ways from one segment to all others.
    pub fn tree_from(&self, from: SegmentId, costs: &Costs) -> Tree {
        self.search(from, costs, false, None)
    }

    /// The fastest ways from all segments to one.
    pub fn tree_to(&self, to: SegmentId, costs: &Costs) -> Tree {
        self.search(to, costs, true, None)
    }

    /// Seconds from the start of the first segment to the end of the last one; `None` if the
    /// network lacks one of the moves or its penalty is infinite, or a segment is closed, or the
    /// way is empty.
    pub fn travel_time_s(&self, way: &[SegmentId], costs: &Costs) -> Option<f64> {
        let mut total = costs.get(*way.first()?);
        for pair in way.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            total += self.move_s(self.network.connection(from, to)?, costs) + costs.get(to);
        }
        total.is_finite().then_some(total)
    }

    /// All segments from which traffic can come upon one of `targets` within `reach_m` metres of
    /// road, with the metres between their end and the nearest target's start. The targets
    /// themselves are left out, and so is what can only be reached over a segment that `costs`
    /// closes, or by turning around.
    pub fn upstream(
        &self,
        targets: &[SegmentId],
        reach_m: f64,
        costs: &Costs,
    ) -> BTreeMap<SegmentId, f64> {
        let mut nearest = BTreeMap::new();
        let mut frontier = BinaryHeap::new();
        let length_m = |id: SegmentId| self.network.segment(id).length_m.max(0.0);
        let before = |id: SegmentId, frontier: &mut BinaryHeap<Reached>, distance: f64| {
            for c in self.network.incoming(id) {
                if c.leads_on() && !targets.contains(&c.from) && costs.get(c.from).is_finite() {
                    frontier.push(Reached { distance, id: c.from });
                }
            }
        };
        for &target in targets {
            before(target, &mut frontier, 0.0);
        }
        while let Some(Reached { distance, id }) = frontier.pop() {
            if distance > reach_m || nearest.contains_key(&id) {
                continue;
            }
            nearest.insert(id, distance);
            before(id, &mut frontier, distance + length_m(id));
        }
        nearest
    }

    fn move_s(&self, connection: &Connection, costs: &Costs) -> f64 {
        let signal = self.network.segment(connection.from).to_signal;
        let around = connection.turn == Turn::TurnAround;
        let signal_s = if signal { self.penalties.signal_s } else { 0.0 };
        let turn_around_s = if around { self.penalties.turn_around_s } else { 0.0 };
        signal_s + turn_around_s + costs.move_s(connection.from, connection.to)
    }

    /// Dijkstra. Ties go to the lower segment index, both in the order of settling and in the
    /// choice of a parent, so that the same question always has the same answer.
    fn search(
        &self,
        root: SegmentId,
        costs: &Costs,
        towards_root: bool,
        stop: Option<SegmentId>,
    ) -> Tree {
        let count = self.network.segments.len();
        let mut tree = Tree {
            root,
            towards_root,
            times: vec![f64::INFINITY; count],
            parents: (0..count).map(|i| SegmentId(i as u32)).collect(),
            order: Vec::new(),
        };
        let mut settled = vec![false; count];
        let mut frontier = BinaryHeap::new();
        if costs.get(root).is_finite() && (root.0 as usize) < count {
            tree.times[root.0 as usize] = costs.get(root);
            frontier.push(Reached { distance: costs.get(root), id: root });
        }
        while let Some(Reached { id, .. }) = frontier.pop() {
            if std::mem::replace(&mut settled[id.0 as usize], true) {
                continue;
            }
            tree.order.push(id);
            if stop == Some(id) {
                break;
            }
            let moves =
                if towards_root { self.network.incoming(id) } else { self.network.outgoing(id) };
            for c in moves.iter().filter(|c| c.cars_allowed) {
                let next = if towards_root { c.from } else { c.to };
                let at = next.0 as usize;
                let distance = tree.times[id.0 as usize] + self.move_s(c, costs) + costs.get(next);
                if settled[at] || !distance.is_finite() {
                    continue;
                }
                if distance < tree.times[at] {
                    tree.times[at] = distance;
                    tree.parents[at] = id;
                    frontier.push(Reached { distance, id: next });
                } else if distance.total_cmp(&tree.times[at]).is_eq() && id < tree.parents[at] {
                    tree.parents[at] = id;
                }
            }
        }
        // What was seen but not settled before an early end has no sure way yet.
        if stop.is_some() {
            for (time, settled) in tree.times.iter_mut().zip(&settled) {
                if !settled {
                    *time = f64::INFINITY;
                }
            }
        }
        tree
    }
}
