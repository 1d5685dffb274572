//! What must hold of every direction, whatever is shut, slow or asked.

use proptest::prelude::*;

use super::*;

/// What a driver does with `via` on the way to `goal`, by his own map (wire.md).
fn driven(
    network: &Network,
    direction: &Direction,
    here: SegmentId,
    goal: SegmentId,
    penalties: Penalties,
) -> Option<Vec<SegmentId>> {
    let mut map = Costs::free_flow(network);
    for &id in &direction.avoid {
        map.close(id);
    }
    let router = Router::with_penalties(network, penalties);
    let mut way = vec![here];
    for &stop in direction.via.iter().chain([&goal]) {
        let from = *way.last()?;
        way.extend(router.fastest(from, stop, &map)?.segments.into_iter().skip(1));
    }
    Some(way)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nobody_is_ever_led_over_a_shut_road(
        shut in proptest::collection::vec((0_usize..1_000, 0_u8..4), 1..8),
        slow in proptest::collection::vec((0_usize..1_000, 1.0_f64..20.0), 0..12),
        places in proptest::collection::vec(0_usize..1_000, 0..4),
        at_signs in proptest::collection::vec(0_usize..1_000, 1..6),
        steps in 1_usize..4,
        around in proptest::collection::vec(0_usize..1_000, 0..30),
    ) {
        let mut draft = grid(5, 4);
        let all: Vec<String> =
            grid(5, 4).build().segments.iter().map(|s| s.name.clone()).collect();
        let count = all.len();
        for (i, place) in places.iter().enumerate() {
            let id = SegmentId((place % count) as u32);
            draft.place(&format!("Place {i}"), id, 1.0 + i as f64);
        }
        for sign in &at_signs {
            draft.sign(SegmentId((sign % count) as u32));
        }
        let plain = grid(5, 4).build();
        for road in around.iter().map(|i| i % count).collect::<BTreeSet<_>>() {
            turn_about(&mut draft, &plain, &all[road]);
        }
        let network = Arc::new(draft.build());
        let mut route = Route::new(&plan(), Arc::clone(&network));
        let mut traffic = Traffic::on(&network);
        for (i, speed) in slow {
            traffic.speed(&all[i % count], speed);
        }
        // Closures come one after the other, some within the dwell of the directions before; some
        // are announced and some are not.
        for (step, part) in shut.chunks(shut.len().div_ceil(steps)).enumerate() {
            for &(i, event) in part {
                match event {
                    3 => traffic.block(&all[i % count]),
                    _ => traffic.close(&all[i % count], &format!("event-{event}")),
                }
            }
            let shut: BTreeSet<SegmentId> = traffic.view().all_shut().collect();
            let now = at(40 * step as u64);
            route.update(now, &traffic.view());
            for shown in route.shown.values() {
                let d = direction(now, shown, Show);
                prop_assert!(d.valid_until > d.ts);
                prop_assert!(!d.avoid.is_empty());
                prop_assert!(traffic.closed.keys().all(|id| d.avoid.contains(id)));
                prop_assert!(!d.way.iter().any(|id| shut.contains(id)));
                let onward = network.outgoing(*d.way.last().unwrap()).iter();
                let mut onward = onward.filter(|c| c.leads_on()).peekable();
                let is_last_street = onward.peek().is_none();
                prop_assert!(is_last_street || onward.any(|c| !shut.contains(&c.to)), "{d:?}");
                let router = Router::new(&network);
                let mut open = Costs::free_flow(&network);
                d.avoid.iter().for_each(|&id| open.close(id));
                prop_assert!(router.travel_time_s(&d.way, &open).is_some(), "{d:?}");
                prop_assert!(!turns_around(&network, &d.way), "{d:?}");
                let heres = match d.audience {
                    Audience::Sign(id) => vec![network.sign(id).segment],
                    Audience::Area { .. } => d.applies_on.clone(),
                };
                prop_assert!(heres.contains(&d.way[0]));
                let mut at = 0;
                for via in &d.via {
                    at += d.way[at..].iter().position(|id| id == via).unwrap();
                }
                // So much is told that a map of speed limits leads no further by turning around, and
                // only where that is no slower: blocks of one size have many equal ways.
                let map = Penalties { turn_around_s: 1e-3, ..Penalties::SPEED_LIMITS };
                let whole = driven(&network, &d, d.way[0], *d.way.last().unwrap(), map).unwrap();
                prop_assert!(!turns_around(&network, &whole), "{d:?}, driven {whole:?}");
                for penalties in [Penalties::SPEED_LIMITS, Penalties::TYPICAL] {
                    let goal = *d.way.last().unwrap();
                    let own = driven(&network, &d, d.way[0], goal, penalties).unwrap();
                    prop_assert!(own.iter().all(|id| !shut.contains(id)));
                    let told = d.via[d.via.len() - 1];
                    let told = driven(&network, &d, d.way[0], told, penalties).unwrap();
                    prop_assert!(!turns_around(&network, &told), "{d:?}");
                    for &here in &heres {
                        for goal in network.segment_ids() {
                            let way = driven(&network, &d, here, goal, penalties);
                            let closed = |id: &SegmentId| traffic.closed.contains_key(id);
                            prop_assert!(!way.iter().flatten().any(closed));
                        }
                    }
                }
            }
        }
        let shut: Vec<SegmentId> = traffic.view().all_shut().collect();
        for id in shut {
            traffic.open(&all[id.0 as usize]);
        }
        for direction in route.update(at(1_000), &traffic.view()) {
            prop_assert!(direction.state == Clear || direction.cause != Cause::Closure);
        }
    }
}
