//! The loader on real networks.

use std::path::PathBuf;

use wayside::domain::network::Network;

/// A network of the data folder; says so by name where it is not there.
fn city(test: &str, name: &str) -> Option<Network> {
    let root =
        std::env::var_os("WAYSIDE_DATA").map_or_else(|| "../shared/data".into(), PathBuf::from);
    let dir = root.join(name);
    if !dir.is_dir() {
        eprintln!("SKIPPED {test}: no data at {}", dir.display());
        return None;
    }
    Some(Network::load(&dir).unwrap())
}

fn moves(network: &Network) -> usize {
    network.segment_ids().map(|id| network.outgoing(id).len()).sum()
}

#[test]
fn bologna_loads_whole() {
    let Some(bologna) = city("network::bologna_loads_whole", "bologna") else { return };
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
    let Some(monaco) = city("network::monaco_loads_whole", "monaco") else { return };
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
