//! The loader on real networks.

use std::path::PathBuf;

use wayside::domain::network::{Network, SegmentId};

/// A network's folder among the data; says so by name where it is not there.
fn city(test: &str, name: &str) -> Option<PathBuf> {
    let root =
        std::env::var_os("WAYSIDE_DATA").map_or_else(|| "../shared/data".into(), PathBuf::from);
    let dir = root.join(name);
    if !dir.is_dir() {
        eprintln!("SKIPPED {test}: no data at {}", dir.display());
        return None;
    }
    Some(dir)
}

fn moves(network: &Network) -> usize {
    network.segment_ids().map(|id| network.outgoing(id).len()).sum()
}

#[test]
fn bologna_loads_whole() {
    let Some(dir) = city("network::bologna_loads_whole", "bologna") else { return };
    let bologna = Network::load(&dir).unwrap();
    assert_eq!(bologna.city, "bologna");
    assert_eq!(bologna.segments.len(), 267);
    assert_eq!(moves(&bologna), 437);
    assert_eq!(bologna.detectors.len(), 190);
    assert_eq!(bologna.signs.len(), 30);
    assert_eq!(bologna.places.len(), 12);
    assert!(bologna.segments.iter().all(|s| s.street.is_some()), "names.csv names every edge");
    let closed = bologna.segment_by_name("a72[0]").unwrap();
    assert_eq!(bologna.segment(closed).street.as_deref(), Some("Via Larga"));
    assert_eq!(bologna.segment(closed).lanes, 3);
    assert!(bologna.incoming(closed).iter().all(|m| m.to == closed));
}

#[test]
fn monaco_loads_whole() {
    let Some(dir) = city("network::monaco_loads_whole", "monaco") else { return };
    let monaco = Network::load(&dir).unwrap();
    assert_eq!(monaco.segments.len(), 658);
    assert_eq!(moves(&monaco), 1048);
    assert_eq!(monaco.detectors.len(), 378);
    assert_eq!(monaco.signs.len(), 30);
    assert_eq!(monaco.places, []);
    assert_eq!(monaco.segments.iter().filter(|s| s.street.is_some()).count(), 440);
    let names = monaco.spoken_names();
    assert!(names.contains(&"Avenue d'Ostende"), "XML entities are resolved");
    assert!(names.iter().all(|name| !name.contains('&')));
}

#[test]
fn the_demo_city_loads_whole() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("pipelines/demo/network");
    let demo = Network::load(&dir).unwrap();
    assert_eq!(demo.city, "demo");
    assert!((60..=120).contains(&demo.segments.len()), "{}", demo.segments.len());
    assert!((6..=10).contains(&demo.signs.len()), "{}", demo.signs.len());
    assert!(demo.segments.iter().all(|s| s.street.is_some()));
    assert!(!demo.places.is_empty() && !demo.detectors.is_empty());
}

/// Segments that cars reach from one, itself included, without entering `closed`.
fn reached(network: &Network, from: SegmentId, closed: Option<SegmentId>) -> Vec<SegmentId> {
    let mut reached = vec![from];
    let mut next = 0;
    while let Some(here) = reached.get(next) {
        for step in network.outgoing(*here) {
            if step.cars_allowed && Some(step.to) != closed && !reached.contains(&step.to) {
                reached.push(step.to);
            }
        }
        next += 1;
    }
    reached
}

#[test]
fn the_demo_citys_closed_bridge_can_be_driven_round() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("pipelines/demo/network");
    let demo = Network::load(&dir).unwrap();
    let bridge = demo.segment_by_name("d2_e2").unwrap();
    for sign in ["vms_01", "vms_02", "vms_03", "vms_04", "vms_06", "vms_08", "vms_10"] {
        let at = demo.sign(demo.sign_by_name(sign).unwrap()).segment;
        assert!(reached(&demo, at, None).contains(&bridge), "{sign} stands upstream");
        let round = reached(&demo, at, Some(bridge));
        for place in &demo.places {
            assert!(round.contains(&place.segment), "{} from {sign}", place.name);
        }
    }
}
