//! wgpu computes what the CPU computes, where there is an adapter, a software one included.
//!
//! Without one the test says so and passes, unless `WAYSIDE_WGPU_TEST=1` says that there must be.

use wayside::model::adapter::Adapter;
use wayside::model::backend::{Engine, TOLERANCE, choose};
use wayside::model::weights::{Architecture, Weights};
use wayside::plan::Backend;

/// Untrained, with scores large enough for a difference to show.
fn weights() -> Weights {
    let architecture = Architecture {
        width: 192,
        layers: 2,
        heads: 6,
        head: None,
        hidden: 512,
        context: 96,
        vocabulary: 271,
    };
    let mut weights = Weights::random(architecture, 17);
    for values in weights.values.values_mut().filter(|values| values.len() > 192) {
        for value in values {
            *value *= 5.0;
        }
    }
    weights
}

fn apart(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().chain(b).all(|value| value.is_finite()));
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Numbers that show in the logits.
fn adapter(architecture: Architecture) -> Adapter {
    let mut adapter = Adapter::new(architecture, 8, 3);
    for (_, values) in adapter.values.iter_mut().filter(|(name, _)| name.ends_with("widen")) {
        for (at, value) in values.iter_mut().enumerate() {
            *value = 0.1 * (at * 7 % 5) as f32 - 0.2;
        }
    }
    adapter
}

#[test]
fn logits_on_wgpu_are_those_of_the_cpu() {
    let weights = weights();
    let adapters = [adapter(weights.architecture)];
    let chosen = choose(&weights, &adapters, Backend::Wgpu).unwrap();
    if !chosen.backend.starts_with("wgpu") {
        let note = chosen.note.unwrap_or_default();
        let must = std::env::var("WAYSIDE_WGPU_TEST").is_ok_and(|value| value == "1");
        assert!(!must, "WAYSIDE_WGPU_TEST=1, and {note}");
        eprintln!("SKIPPED logits_on_wgpu_are_those_of_the_cpu: {note}");
        return;
    }
    eprintln!("on {}", chosen.backend);
    let mut gpu = chosen.engine;
    let mut cpu = Engine::cpu(&weights).unwrap().adapted(&adapters).unwrap();
    let tokens: Vec<u16> = (0..60).map(|at| (at * 13 + 7) % 271).collect();
    let all = cpu.logits(&tokens).unwrap();
    assert!(all.iter().any(|logit| logit.abs() > 0.5), "scores too small to tell apart");
    let difference = apart(&all, &gpu.logits(&tokens).unwrap());
    assert!(difference <= TOLERANCE, "uncached: {difference}");
    let adapted = cpu.logits_with(Some(0), &tokens).unwrap();
    assert!(apart(&all, &adapted) > 0.1, "the adapter does not show");
    let difference = apart(&adapted, &gpu.logits_with(Some(0), &tokens).unwrap());
    assert!(difference <= TOLERANCE, "uncached, adapted: {difference}");
    // As a text is written: a request at once, then one token or a few at a time, without the adapter
    // and with it.
    for adapter in [None, Some(0)] {
        cpu.begin(&[adapter]);
        gpu.begin(&[adapter]);
        let mut rest = tokens.as_slice();
        for count in [19, 1, 1, 4, 1, 2, 1, 1, 7, 1] {
            let (now, later) = rest.split_at(count);
            let (right, own) = (cpu.feed(&[(0, now)]).unwrap(), gpu.feed(&[(0, now)]).unwrap());
            let difference = apart(&right[0], &own[0]);
            assert!(difference <= TOLERANCE, "cached: {difference}");
            rest = later;
        }
    }
}

#[test]
fn the_cpu_is_never_refused() {
    let chosen = choose(&weights(), &[], Backend::Cpu).unwrap();
    assert_eq!((chosen.backend.as_str(), chosen.note), ("cpu", None));
}
