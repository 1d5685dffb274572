//! From advice for segments to messages for signs and areas, and how many may be sent one way.
//!
//! Knows nothing of what was said before, except where a choice must not flicker.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::congestion::View;
use crate::domain::direction::{Audience, Cause};
use crate::domain::network::{Network, SegmentId};
use crate::plan::Directions;

use super::advice::Advice;
use super::scene::Scene;

/// Approach segments looked at for each trouble, nearest first.
const MAX_APPROACH: usize = 40;

/// Area messages for one trouble, nearest first, and in all.
const MAX_AREAS_PER_TROUBLE: usize = 12;
const MAX_AREAS: usize = 60;

/// What one audience should be told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Proposal {
    pub(super) audience: Audience,
    /// The advice of each addressed segment, nearest to the trouble first; one for a sign.
    pub(super) members: Vec<Advice>,
    /// What holds for all of them.
    pub(super) advice: Advice,
}

impl Proposal {
    /// `None` without members.
    pub(super) fn new(audience: Audience, mut members: Vec<Advice>) -> Option<Self> {
        members.sort_by(|a, b| {
            a.distance_m.total_cmp(&b.distance_m).then_with(|| a.here.cmp(&b.here))
        });
        let mut advice = members.first()?.clone();
        for other in &members[1..] {
            advice.turn = advice.turn.filter(|turn| other.turn == Some(*turn));
            advice.destination = advice.destination.filter(|d| other.destination == Some(*d));
            // A text that speaks to all promises what holds for all.
            advice.delay_s = advice.delay_s.zip(other.delay_s).map(|(a, b)| a.min(b));
            advice.saving_s = advice.saving_s.zip(other.saving_s).map(|(a, b)| a.min(b));
            advice.gain_s = advice.gain_s.min(other.gain_s);
            advice.filled |= other.filled;
        }
        Some(Self { audience, members, advice })
    }

    /// Sorted by index; what `applies_on` of an area holds.
    pub(super) fn segments(&self) -> Vec<SegmentId> {
        let mut segments: Vec<SegmentId> = self.members.iter().map(|m| m.here).collect();
        segments.sort_unstable();
        segments
    }
}

/// What should be said now, by audience. `said` are the audiences that are spoken to already.
pub(super) fn proposals(
    network: &Network,
    plan: &Directions,
    view: &View<'_>,
    scene: &mut Scene<'_>,
    said: &BTreeSet<Audience>,
) -> BTreeMap<Audience, Proposal> {
    let signs = |id: &_| plan.signs.is_empty() || plan.signs.contains(id);
    let mut heres: BTreeSet<SegmentId> = BTreeSet::new();
    for trouble in &scene.troubles {
        let mut near: Vec<(f64, SegmentId)> =
            trouble.upstream.iter().map(|(&id, &metres)| (metres, id)).collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        heres.extend(near.into_iter().take(MAX_APPROACH).map(|(_, id)| id));
        let at_signs = network.sign_ids().filter(signs).map(|id| network.sign(id).segment);
        heres.extend(at_signs.filter(|id| trouble.upstream.contains_key(id)));
    }
    let advice: BTreeMap<SegmentId, Advice> =
        heres.into_iter().filter_map(|here| Some((here, scene.best(here)?))).collect();

    let for_sign = |id| {
        let advice = advice.get(&network.sign(id).segment)?.clone();
        Proposal::new(Audience::Sign(id), vec![advice])
    };
    let at_signs: Vec<Proposal> = network.sign_ids().filter(signs).filter_map(for_sign).collect();
    let flow = |id: SegmentId| {
        let lanes = f64::from(network.segment(id).lanes.max(1));
        view.state(id).vehicles.filter(|v| *v > 0.0).unwrap_or(lanes)
    };
    let mut kept = capped(at_signs, plan.diversion_cap, flow, said);
    let areas = bounded(areas(network, advice.into_values()), said);
    kept.extend(capped(areas, plan.diversion_cap, flow, said));
    kept.into_iter().map(|proposal| (proposal.audience.clone(), proposal)).collect()
}

/// Groups the approach by tile and by what is said there.
fn areas(network: &Network, advice: impl Iterator<Item = Advice>) -> Vec<Proposal> {
    let mut groups: BTreeMap<(String, String), Vec<Advice>> = BTreeMap::new();
    for advice in advice {
        let key = (network.tile(advice.here), part(&advice));
        groups.entry(key).or_default().push(advice);
    }
    groups
        .into_iter()
        .filter_map(|((tile, part), members)| Proposal::new(Audience::Area { tile, part }, members))
        .collect()
}

/// A short name for one advice that is the same as long as the advice is: the cause's letter and a
/// hash (FNV-1a, 32 bits) over what is avoided and by which roads.
fn part(advice: &Advice) -> String {
    let mut hash = 0x811c_9dc5_u32;
    let mut mix = |number: u32| {
        for byte in number.to_le_bytes() {
            hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
    };
    for list in [&advice.avoid, &advice.via] {
        mix(list.len() as u32);
        for id in list {
            mix(id.0);
        }
    }
    let letter = match advice.cause {
        Cause::Closure => 'c',
        Cause::Congestion => 'q',
        Cause::Incident => 'i',
    };
    format!("{letter}-{hash:08x}")
}

/// No more area messages than a subscriber can use: closures before jams, those that are out
/// already before new ones, near before far.
fn bounded(mut areas: Vec<Proposal>, said: &BTreeSet<Audience>) -> Vec<Proposal> {
    areas.sort_by(|a, b| {
        let class = |p: &Proposal| (p.advice.cause, !said.contains(&p.audience));
        class(a)
            .cmp(&class(b))
            .then(a.advice.distance_m.total_cmp(&b.advice.distance_m))
            .then_with(|| a.audience.cmp(&b.audience))
    });
    let mut of_trouble: BTreeMap<SegmentId, usize> = BTreeMap::new();
    areas.retain(|area| {
        let count = of_trouble.entry(area.advice.trouble).or_default();
        *count += 1;
        *count <= MAX_AREAS_PER_TROUBLE
    });
    areas.truncate(MAX_AREAS);
    areas
}

/// Keeps the share of a jam's traffic that is sent one way within `cap`, since everybody sent left
/// moves the jam left. The traffic is what the addressed segments counted last, or their lanes
/// where nothing counts. One audience may always speak, or a cap would silence a single sign.
/// Closures are exempt: their traffic cannot stay where it is.
fn capped(
    mut proposals: Vec<Proposal>,
    cap: f64,
    flow: impl Fn(SegmentId) -> f64,
    said: &BTreeSet<Audience>,
) -> Vec<Proposal> {
    let flow = |p: &Proposal| p.members.iter().map(|m| flow(m.here)).sum::<f64>();
    let mut total: BTreeMap<SegmentId, f64> = BTreeMap::new();
    for proposal in &proposals {
        *total.entry(proposal.advice.trouble).or_default() += flow(proposal);
    }
    // Who speaks already goes on speaking; then who saves most.
    proposals.sort_by(|a, b| {
        let silent = |p: &Proposal| !said.contains(&p.audience);
        silent(a)
            .cmp(&silent(b))
            .then(b.advice.gain_s.total_cmp(&a.advice.gain_s))
            .then_with(|| a.audience.cmp(&b.audience))
    });
    let mut sent: BTreeMap<(SegmentId, SegmentId), f64> = BTreeMap::new();
    proposals.retain(|proposal| {
        if proposal.advice.cause == Cause::Closure {
            return true;
        }
        let trouble = proposal.advice.trouble;
        let all = total.get(&trouble).copied().unwrap_or_default();
        let sent = sent.entry((trouble, proposal.advice.alternative)).or_default();
        let first = *sent <= 0.0;
        let keep = first || *sent + flow(proposal) <= cap * all;
        if keep {
            *sent += flow(proposal);
        }
        keep
    });
    proposals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::direction::Evidence;
    use crate::domain::network::SignId;

    fn proposal(sign: u32, cause: Cause, gain_s: f64, alternative: u32) -> Proposal {
        let advice = Advice {
            here: SegmentId(sign),
            cause,
            level: None,
            avoid: vec![SegmentId(90)],
            via: Vec::new(),
            way: Vec::new(),
            turn: None,
            goal: SegmentId(91),
            destination: None,
            delay_s: None,
            saving_s: None,
            gain_s,
            filled: false,
            alternative: SegmentId(alternative),
            trouble: SegmentId(90),
            closed: Vec::new(),
            time_s: 100.0,
            distance_m: 0.0,
            worth: gain_s,
            evidence: Evidence::default(),
        };
        Proposal::new(Audience::Sign(SignId(sign)), vec![advice]).unwrap()
    }

    fn kept(proposals: Vec<Proposal>, said: &[u32]) -> Vec<Audience> {
        let said = said.iter().map(|&s| Audience::Sign(SignId(s))).collect();
        let mut kept: Vec<_> =
            capped(proposals, 0.5, |_| 1.0, &said).into_iter().map(|p| p.audience).collect();
        kept.sort();
        kept
    }

    #[test]
    fn the_cap_holds_for_each_alternative_and_not_for_closures() {
        let signs =
            |ids: &[u32]| ids.iter().map(|&s| Audience::Sign(SignId(s))).collect::<Vec<_>>();
        let jam = |s| proposal(s, Cause::Congestion, f64::from(s), 50);
        // Two of four may be sent one way: those that save most, or that speak already.
        assert_eq!(kept((0..4).map(jam).collect(), &[]), signs(&[2, 3]));
        assert_eq!(kept((0..4).map(jam).collect(), &[0]), signs(&[0, 3]));
        assert_eq!(kept(vec![jam(0)], &[]), signs(&[0]));
        let other = |s| proposal(s, Cause::Congestion, 1.0, 50 + s);
        assert_eq!(kept((0..4).map(other).collect(), &[]), signs(&[0, 1, 2, 3]));
        let closure = |s| proposal(s, Cause::Closure, 0.0, 50);
        assert_eq!(kept((0..4).map(closure).collect(), &[]), signs(&[0, 1, 2, 3]));
    }

    #[test]
    fn a_part_is_a_name_for_topics() {
        let advice = proposal(0, Cause::Incident, 1.0, 5).advice;
        let name = part(&advice);
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{name}");
        let other = Advice { via: vec![SegmentId(1)], ..advice };
        assert_ne!(part(&other), name);
    }
}
