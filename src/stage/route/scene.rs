//! All that holds at one moment, and the ways that have been worked out for it.
//!
//! Knows nothing of who is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::congestion::View;
use crate::domain::network::{Costs, Network, Penalties, Router, SegmentId, Tree};
use crate::plan::Directions;

use super::destinations::Destinations;
use super::times::Times;
use super::trouble::{self, Trouble};

/// The usual ways from a segment, which depend on the network alone.
pub(super) type Usual = BTreeMap<SegmentId, Arc<Tree>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum By {
    /// Current times, without what is avoided, closed, or never advised.
    Now,
    /// A driver's map: speed limits, without what is avoided.
    Map,
}

/// All that holds at one moment.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) network: &'a Network,
    pub(super) plan: &'a Directions,
    pub(super) view: &'a View<'a>,
    pub(super) destinations: &'a Destinations,
    usual: &'a mut Usual,
    pub(super) times: Times,
    pub(super) troubles: Vec<Arc<Trouble>>,
    trees: BTreeMap<(By, SegmentId, Vec<SegmentId>), Arc<Tree>>,
}

impl<'a> Scene<'a> {
    pub(super) fn new(
        network: &'a Network,
        plan: &'a Directions,
        view: &'a View<'a>,
        destinations: &'a Destinations,
        usual: &'a mut Usual,
    ) -> Self {
        let times = Times::of(network, view);
        let troubles = trouble::find(network, view, &times.hopeful, plan.speak_from, plan.reach_m)
            .into_iter()
            .map(Arc::new)
            .collect();
        let trees = BTreeMap::new();
        Self { network, plan, view, destinations, usual, times, troubles, trees }
    }

    pub(super) fn router(&self) -> Router<'a> {
        Router::new(self.network)
    }

    pub(super) fn usual_from(&mut self, here: SegmentId) -> Arc<Tree> {
        let router = self.router();
        let free = &self.times.free;
        self.usual.entry(here).or_insert_with(|| Arc::new(router.tree_from(here, free))).clone()
    }

    pub(super) fn tree(&mut self, by: By, root: SegmentId, avoid: &[SegmentId]) -> Arc<Tree> {
        let mut key = (by, root, avoid.to_vec());
        // The order of what is avoided changes nothing.
        key.2.sort_unstable();
        if let Some(tree) = self.trees.get(&key) {
            return tree.clone();
        }
        let without = |costs: &Costs, more: &[SegmentId]| {
            let mut costs = costs.clone();
            for &id in avoid.iter().chain(more) {
                costs.close(id);
            }
            costs
        };
        let tree = match by {
            By::Now => {
                let costs = without(&self.times.cautious, &self.plan.never_via);
                self.router().tree_from(root, &costs)
            }
            By::Map => {
                let costs = without(&self.times.free, &[]);
                Router::with_penalties(self.network, Penalties::SPEED_LIMITS)
                    .tree_from(root, &costs)
            }
        };
        let tree = Arc::new(tree);
        self.trees.insert(key, tree.clone());
        tree
    }

    /// The trouble, beginning with `first`, and all that is closed elsewhere: a driver fills the
    /// gaps of a way by his own map, and it must not lead him to another barrier.
    pub(super) fn avoid(&self, segments: &[SegmentId], first: Option<SegmentId>) -> Vec<SegmentId> {
        let mut avoid: Vec<SegmentId> = first.into_iter().collect();
        for &id in segments.iter().chain(self.view.closed.keys()) {
            if !avoid.contains(&id) {
                avoid.push(id);
            }
        }
        avoid
    }
}
