//! The pipelines that come with Wayside, checked against their networks.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::path::{Path, PathBuf};

use wayside::config::{self, Checked};
use wayside::plan::{OutputKind, Plan, Produces};

/// The plan of a pipeline, if its network is there.
fn plan(name: &str, network: &Path) -> Option<Plan> {
    if !network.is_dir() {
        eprintln!("SKIPPED pipelines/{name}.yaml: no data at {}", network.display());
        return None;
    }
    let path = PathBuf::from(format!("pipelines/{name}.yaml"));
    let Checked { plan, report } = config::check(&path);
    assert!(!report.has_errors(), "{report}");
    plan
}

fn data(city: &str) -> PathBuf {
    let data = std::env::var("WAYSIDE_DATA").unwrap_or_else(|_| "../shared/data".into());
    Path::new(&data).join(city)
}

/// What all three have in common.
fn is_whole(plan: &Plan) {
    let name = &plan.name;
    let produced: Vec<_> = plan.sources.iter().map(|source| source.mapping.produces).collect();
    assert_eq!(produced, [Produces::Readings, Produces::Readings, Produces::Closures], "{name}");
    for source in &plan.sources {
        assert!(source.topic.starts_with(&format!("wayside/v1/{name}/")), "{}", source.topic);
        let time = source.event_time.as_ref();
        assert!(time.is_none_or(|time| time.interval_end), "{name}: {}", source.name);
    }
    let congestion = &plan.congestion;
    let read: Vec<_> =
        congestion.windows.iter().map(|at| plan.windows[*at].name.as_str()).collect();
    assert_eq!(read, ["camera_minute", "segment_minute"], "{name}");
    assert!(plan.directions.is_some());
    let archive =
        plan.outputs.iter().any(|output| matches!(output.kind, OutputKind::Archive { .. }));
    assert!(archive && plan.outputs.len() == 3, "{name}");
    assert_eq!(plan.status_topic, format!("wayside/v1/{name}/status"));
}

#[test]
fn demo() {
    if let Some(plan) = plan("demo", Path::new("pipelines/demo/network")) {
        is_whole(&plan);
        assert_eq!(plan.writer.languages[0].code(), "it");
    }
}

#[test]
fn bologna() {
    if let Some(plan) = plan("bologna", &data("bologna")) {
        is_whole(&plan);
        assert_eq!(plan.network.signs.len(), 30);
        assert_eq!(plan.writer.languages[0].code(), "it");
    }
}

#[test]
fn monaco() {
    if let Some(plan) = plan("monaco", &data("monaco")) {
        is_whole(&plan);
        assert_eq!(plan.writer.languages[0].code(), "en");
    }
}

#[test]
fn sources_that_share_a_topic_share_a_subscription_with_the_higher_qos() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/demo.yaml");
    let mut plan = config::load(&path).unwrap_or_else(|report| panic!("{report}"));
    let (readings, events) = ("wayside/v1/demo/sensor/+/reading", "wayside/v1/demo/event/+");
    plan.sources.iter_mut().find(|source| source.name == "loops").unwrap().qos = 0;
    assert_eq!(plan.subscriptions(), [(events.to_owned(), 1), (readings.to_owned(), 1)]);
}
