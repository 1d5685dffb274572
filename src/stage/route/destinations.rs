//! Where drivers go, as far as a roadside unit can know it.
//!
//! Nobody tells a sign where its readers are bound. Three guesses, each used only where the one
//! before it finds nobody who would meet the trouble: the places of the network by their weight;
//! the exits of the network by their lanes; for closures, and where a network has neither places
//! nor exits, the road just beyond the trouble.

use crate::domain::network::{Network, SegmentId, Turn};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Destination {
    pub(super) segment: SegmentId,
    /// Index into `Network::places`.
    pub(super) place: Option<usize>,
    pub(super) weight: f64,
}

#[derive(Debug)]
pub(super) struct Destinations {
    places: Vec<Destination>,
    exits: Vec<Destination>,
}

impl Destinations {
    pub(super) fn of(network: &Network) -> Self {
        let place = |(i, place): (usize, &crate::domain::network::Place)| Destination {
            segment: place.segment,
            place: Some(i),
            weight: place.weight,
        };
        let leaves = |id: &SegmentId| {
            let on = |c: &crate::domain::network::Connection| {
                c.cars_allowed && c.turn != Turn::TurnAround
            };
            network.segment(*id).cars_allowed && !network.outgoing(*id).iter().any(on)
        };
        let exit = |segment: SegmentId| Destination {
            segment,
            place: None,
            weight: f64::from(network.segment(segment).lanes.max(1)),
        };
        Self {
            places: network
                .places
                .iter()
                .enumerate()
                .map(place)
                .filter(|d| d.weight > 0.0)
                .collect(),
            exits: network.segment_ids().filter(leaves).map(exit).collect(),
        }
    }

    /// The guesses for one trouble, best first.
    pub(super) fn guesses(
        &self,
        network: &Network,
        trouble: &[SegmentId],
        closure: bool,
    ) -> Vec<Vec<Destination>> {
        let known = [&self.places, &self.exits].into_iter().filter(|tier| !tier.is_empty());
        let mut guesses: Vec<Vec<Destination>> = known.cloned().collect();
        if closure || guesses.is_empty() {
            guesses.push(beyond(network, trouble));
        }
        if !closure {
            guesses.truncate(1);
        }
        guesses
    }
}

fn beyond(network: &Network, trouble: &[SegmentId]) -> Vec<Destination> {
    let onward = trouble.iter().flat_map(|&id| network.outgoing(id));
    let mut segments: Vec<SegmentId> = onward
        .filter(|c| c.cars_allowed && c.turn != Turn::TurnAround && !trouble.contains(&c.to))
        .map(|c| c.to)
        .collect();
    segments.sort_unstable();
    segments.dedup();
    let destination = |segment| Destination { segment, place: None, weight: 1.0 };
    segments.into_iter().map(destination).collect()
}
