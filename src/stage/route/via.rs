//! The roads by which a way is told, such that a driver who follows them really drives it.
//!
//! Knows nothing of what is wrong on the road that is avoided.

use crate::domain::network::{SegmentId, Way, fold};

use super::case::Case;
use super::scene::{By, Scene};

/// A way with road names to follow is preferred to "another way" and to a faster way with worse
/// names while it is slower by no more than this factor ...
const NAMED_WAY_FACTOR: f64 = 1.05;
/// ... and these seconds.
const NAMED_WAY_SLACK_S: f64 = 10.0;

/// Roads of the advised way that are tried, alone and in pairs, as its names.
const MAX_NAMED_ROADS: usize = 6;

/// How drivers fill in the way, given roads to pass.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) via: Vec<SegmentId>,
    /// One a trip of the case.
    pub(super) driven: Vec<Way>,
    /// Mean travel time now, over the trips by weight.
    pub(super) mean_s: f64,
}

impl Scene<'_> {
    /// What drivers make of these roads to pass: from `here` over them to each destination by their
    /// own map. Whom they would lead in a circle, or nowhere, goes his own way round, as he would
    /// without them. `None` if that serves the most affected destination not at all, most of the
    /// others badly, or if somebody would be led where no advised way may go.
    pub(super) fn offer(&mut self, case: &Case, via: &[SegmentId]) -> Option<Offer> {
        let own = self.tree(By::Map, case.here, &case.avoid);
        let mut stem = vec![case.here];
        let mut from = own.clone();
        for &road in via {
            stem.extend(from.way(road)?.segments.into_iter().skip(1));
            from = self.tree(By::Map, road, &case.avoid);
        }
        let router = self.router();
        let mut driven = Vec::new();
        let (mut followed, mut total, mut sum_s) = (0.0, 0.0, 0.0);
        for (i, trip) in case.trips.iter().enumerate() {
            let goal = trip.to.segment;
            let named = from.way(goal).map(|rest| {
                stem.iter().copied().chain(rest.segments.into_iter().skip(1)).collect::<Vec<_>>()
            });
            let named = named.filter(|way| !repeats(way));
            if named.is_none() && i == case.most {
                return None;
            }
            let follows = named.is_some();
            let way = named.or_else(|| own.way(goal).map(|w| w.segments))?;
            let inner = way.get(1..way.len().saturating_sub(1)).unwrap_or_default();
            if inner.iter().any(|id| self.plan.never_via.contains(id)) {
                return None;
            }
            let travel_time_s = router.travel_time_s(&way, &self.times.cautious)?;
            total += trip.to.weight;
            followed += if follows { trip.to.weight } else { 0.0 };
            sum_s += trip.to.weight * travel_time_s;
            driven.push(Way { segments: way, travel_time_s });
        }
        let mean_s = sum_s / total;
        (2.0 * followed >= total).then(|| Offer { via: via.to_vec(), driven, mean_s })
    }

    /// The fewest and best-known roads that bring drivers round nearly as fast as can be; none,
    /// if no roads do.
    pub(super) fn choose(&mut self, case: &Case) -> Option<Offer> {
        let roads = self.named_roads(case);
        let near = |offer: &Offer, best_s: f64| {
            offer.mean_s <= best_s * NAMED_WAY_FACTOR + NAMED_WAY_SLACK_S
        };
        let ideal_s = case.mean_s();
        let mut offers = Vec::new();
        for &road in &roads {
            match self.offer(case, &[road]) {
                Some(offer) if near(&offer, ideal_s) => return Some(offer),
                offer => offers.extend(offer),
            }
        }
        let on_way =
            |id: SegmentId| case.trips[case.most].fastest.segments.iter().position(|&s| s == id);
        let in_order = |via: &Vec<SegmentId>| via.windows(2).all(|p| on_way(p[0]) < on_way(p[1]));
        // Two roads where no single one will do, and no road where drivers find as good a way
        // by themselves.
        let pairs = roads.iter().flat_map(|&a| roads.iter().map(move |&b| vec![a, b]));
        let pairs: Vec<Vec<SegmentId>> = pairs.filter(in_order).collect();
        offers.extend(pairs.iter().filter_map(|via| self.offer(case, via)));
        let plain = self.offer(case, &[]);
        let best_s = offers.iter().chain(&plain).map(|o| o.mean_s).min_by(f64::total_cmp)?;
        offers.into_iter().find(|offer| near(offer, best_s)).or(plain)
    }

    /// Roads of the fastest way that the usual one does not use, one segment each, best name first:
    /// other names than the road one is on, longest stretch first. Roads that share the name of
    /// what is avoided are left out: "avoid Via Larga, take Via Larga" helps nobody.
    fn named_roads(&self, case: &Case) -> Vec<SegmentId> {
        let trip = &case.trips[case.most];
        let street = |id: SegmentId| self.network.segment(id).street.as_deref();
        let own = street(case.here);
        let mut roads: Vec<(bool, f64, usize, SegmentId)> = Vec::new();
        let way = &trip.fastest.segments;
        let mut at = 1;
        while at < way.len() {
            let name = street(way[at]);
            // Unnamed segments do not make one road.
            let same = |id: &&SegmentId| name.is_some() && street(**id) == name;
            let run = 1 + way[at + 1..].iter().take_while(same).count();
            let stretch = &way[at..at + run];
            let length_m = |id: &SegmentId| self.network.segment(*id).length_m;
            let longest = stretch
                .iter()
                .filter(|id| !trip.usual.contains(id))
                .max_by(|a, b| length_m(a).total_cmp(&length_m(b)).then(b.cmp(a)));
            let avoided = case.avoid.iter().any(|&id| same_name(street(id), name));
            if let Some(&road) = longest
                && !avoided
            {
                let dull = name.is_none() || same_name(own, name);
                roads.push((dull, -stretch.iter().map(length_m).sum::<f64>(), at, road));
            }
            at += run;
        }
        roads.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
        roads.into_iter().take(MAX_NAMED_ROADS).map(|(.., road)| road).collect()
    }
}

fn repeats(way: &[SegmentId]) -> bool {
    let mut sorted = way.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}

/// Whether a sign could not tell the two names apart.
fn same_name(a: Option<&str>, b: Option<&str>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => {
            let folded = fold(a);
            a == b || (!folded.is_empty() && folded == fold(b))
        }
        _ => false,
    }
}
