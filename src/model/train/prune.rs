//! A model without the heads and the feed-forward units that matter least, and its recovery.
//!
//! What a part matters is how much the loss would change without it, to first order: the mean over
//! batches of |sum of weight times gradient| over the weights that carry the part on (Michel, Levy
//! and Neubig 2019; Molchanov et al. 2019). Every layer keeps the same counts, so that a model stays
//! one of few large products.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use burn::tensor::{Tensor, TensorData};

use super::super::backend;
use super::super::card::{Card, Made};
use super::super::checkpoint::Checkpoint;
use super::super::transformer::{Tables, numbers};
use super::super::weights::{Architecture, Weights};
use super::fit::{Subject, Teacher, fit, gradient};
use super::texts::Texts;
use super::{Progress, Run, TrainError, distill, ended, finish, texts};

/// Pools of texts that importance is measured on.
const POOLS: u64 = 2;
/// Feed-forward widths are multiples of this.
const BLOCK: usize = 32;

/// Takes `share` (0 to 1) of the parameters out of the model in `model`, lets it recover, and
/// stores it in `out` under `name`.
pub fn prune(
    model: &Path,
    name: &str,
    share: f64,
    run: &Run<'_>,
    out: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Card, TrainError> {
    run.schedule.check()?;
    let mut checkpoint = Checkpoint::read(model)?;
    let of = checkpoint.weights.architecture;
    let architecture = smaller(of, share).map_err(TrainError::Options)?;
    let from = Some(checkpoint.card.signature());
    checkpoint.card = checkpoint.card.renamed(name, architecture);
    let fitted = {
        let texts = texts(&checkpoint.vocabulary, &checkpoint.grammar, &run.schedule);
        let matters = importance(run, &checkpoint.weights, &texts)?;
        let start = without(&checkpoint.weights, architecture, &matters);
        let teacher = Teacher { weights: &checkpoint.weights, hard: distill::HARD };
        fit(run, &start, &texts, Some(teacher), progress)?
    };
    let how = format!(
        "{} of {} heads, {} of {} feed-forward units a layer; recovery {}",
        architecture.heads,
        of.heads,
        architecture.hidden,
        of.hidden,
        ended(run, &fitted)
    );
    let made = Made { what: "pruned".to_owned(), from, how };
    finish(checkpoint, fitted, &run.schedule, made, out)
}

/// The largest architecture with fewer heads and units that has at least `share` fewer parameters.
fn smaller(of: Architecture, share: f64) -> Result<Architecture, String> {
    if !(0.0..1.0).contains(&share) {
        return Err(format!("a share of {share} is not within 0 to 1"));
    }
    let most = of.parameters() as f64 * (1.0 - share);
    let heads = ((of.heads as f64 * (1.0 - share)).round() as usize).clamp(1, of.heads);
    let head = Some(of.head_width());
    let mut hidden = of.hidden;
    loop {
        let architecture = Architecture { heads, head, hidden, ..of };
        if architecture.parameters() as f64 <= most {
            return architecture.check().map(|()| architecture);
        }
        if hidden <= BLOCK {
            return Err(format!("a share of {share} leaves no feed-forward units"));
        }
        hidden -= BLOCK;
    }
}

/// What the heads and the units of each layer matter.
struct Importance {
    heads: Vec<Vec<f32>>,
    units: Vec<Vec<f32>>,
}

fn importance(
    run: &Run<'_>,
    weights: &Weights,
    texts: &Texts<'_>,
) -> Result<Importance, TrainError> {
    let architecture = weights.architecture;
    let (device, is_gpu) = backend::training(run.backend).map_err(TrainError::Backend)?;
    let mut tables = Tables::new(architecture, &device.clone().autodiff());
    tables.one_hot = is_gpu;
    let flat = weights.flat();
    let parameters: Tensor<1> =
        Tensor::from_data(TensorData::new(flat.clone(), [flat.len()]), &device);
    let (places, subject) = (places(architecture), Subject::Model(architecture));
    let zeros = |count| vec![vec![0.0_f32; count]; architecture.layers];
    let mut matters =
        Importance { heads: zeros(architecture.heads), units: zeros(architecture.hidden) };
    for batch in (0..POOLS).flat_map(|pool| texts.batches(pool, run.schedule.batch)) {
        let (_, slope) = gradient(&subject, &parameters, &batch, &tables, None)?;
        let slope = numbers(slope)?;
        for layer in 0..architecture.layers {
            for (part, sums) in
                [("attention_out", &mut matters.heads[layer]), ("down", &mut matters.units[layer])]
            {
                let place = places.get(&format!("layers.{layer}.{part}")).cloned();
                let place = place.unwrap_or_default();
                let each = (place.len() / sums.len().max(1)).max(1);
                let pairs = flat[place.clone()].chunks(each).zip(slope[place].chunks(each));
                for (sum, (own, slopes)) in sums.iter_mut().zip(pairs) {
                    *sum += own.iter().zip(slopes).map(|(w, g)| w * g).sum::<f32>().abs();
                }
            }
        }
    }
    Ok(matters)
}

/// Where each tensor lies in the flat row.
fn places(architecture: Architecture) -> BTreeMap<String, Range<usize>> {
    let mut at = 0;
    let tensors = architecture.tensors().into_iter();
    tensors
        .map(|(name, shape)| {
            let begin = at;
            at += shape.iter().product::<usize>();
            (name, begin..at)
        })
        .collect()
}

/// The indices of the `count` largest, in ascending order; among equals the first.
fn most(matters: &[f32], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..matters.len()).collect();
    order.sort_by(|a, b| matters[*b].total_cmp(&matters[*a]).then(a.cmp(b)));
    order.truncate(count);
    order.sort_unstable();
    order
}

/// The weights with the parts that matter most.
fn without(weights: &Weights, architecture: Architecture, matters: &Importance) -> Weights {
    let of = weights.architecture;
    let (head, old_heads, old_hidden) = (of.head_width(), of.heads, of.hidden);
    let mut values = BTreeMap::new();
    for (name, _) in architecture.tensors() {
        let old = weights.values.get(&name).map_or(&[][..], Vec::as_slice);
        let (layer, part) = match name.strip_prefix("layers.").and_then(|r| r.split_once('.')) {
            Some((layer, part)) => (layer.parse::<usize>().unwrap_or(0), part),
            None => (0, ""),
        };
        let spread = |chosen: Vec<usize>, each: usize| -> Vec<usize> {
            chosen.into_iter().flat_map(|one| one * each..(one + 1) * each).collect()
        };
        let heads = || spread(most(&matters.heads[layer], architecture.heads), head);
        let units = || most(&matters.units[layer], architecture.hidden);
        // Queries, keys and values stand side by side, and so do gates and what they let through.
        let beside = |chosen: &[usize], times: usize, stride: usize| -> Vec<usize> {
            (0..times).flat_map(|t| chosen.iter().map(move |c| t * stride + c)).collect()
        };
        let new = match part {
            "query_key_value" => {
                columns(old, 3 * old_heads * head, &beside(&heads(), 3, old_heads * head))
            }
            "attention_out" => rows(old, of.width, &heads()),
            "gate_up" => columns(old, 2 * old_hidden, &beside(&units(), 2, old_hidden)),
            "down" => rows(old, of.width, &units()),
            _ => old.to_vec(),
        };
        values.insert(name, new);
    }
    Weights { architecture, values }
}

fn rows(matrix: &[f32], width: usize, chosen: &[usize]) -> Vec<f32> {
    chosen.iter().flat_map(|row| matrix[row * width..(row + 1) * width].iter().copied()).collect()
}

fn columns(matrix: &[f32], width: usize, chosen: &[usize]) -> Vec<f32> {
    matrix.chunks(width).flat_map(|row| chosen.iter().map(|column| row[*column])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::backend::Engine;
    use crate::model::fixture;

    #[test]
    fn the_share_is_taken_out() {
        let of = Architecture { width: 192, heads: 6, hidden: 512, ..fixture::tiny(900) };
        let architecture = smaller(of, 0.3).unwrap();
        assert!(architecture.parameters() as f64 <= 0.7 * of.parameters() as f64);
        assert_eq!((architecture.heads, architecture.head), (4, Some(32)));
        assert!(smaller(of, 1.0).is_err());
        assert!(smaller(of, 0.95).is_err());
    }

    /// Parts that carry nothing on can go without a trace in the logits.
    #[test]
    fn what_matters_not_at_all_goes_and_nothing_changes() {
        let of = Architecture { width: 64, heads: 4, hidden: 64, ..fixture::tiny(64) };
        let mut weights = fixture::lively(of);
        let (dead_head, dead_units) = (1, 8..40);
        let mut matters =
            Importance { heads: vec![vec![1.0; 4]; 2], units: vec![vec![1.0; 64]; 2] };
        for layer in 0..2 {
            let out = weights.values.get_mut(&format!("layers.{layer}.attention_out")).unwrap();
            out[dead_head * 16 * 64..(dead_head + 1) * 16 * 64].fill(0.0);
            let down = weights.values.get_mut(&format!("layers.{layer}.down")).unwrap();
            down[dead_units.start * 64..dead_units.end * 64].fill(0.0);
            matters.heads[layer][dead_head] = 0.0;
            matters.units[layer][dead_units.clone()].fill(0.0);
        }
        let architecture = Architecture { heads: 3, head: Some(16), hidden: 32, ..of };
        let pruned = without(&weights, architecture, &matters);
        let logits = |weights: &Weights| Engine::cpu(weights).unwrap().logits(&[3, 1, 60]).unwrap();
        let apart = logits(&weights)
            .iter()
            .zip(logits(&pruned))
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(apart < 1e-4, "{apart}");
    }

    #[test]
    fn a_part_without_weights_matters_least() {
        let (vocabulary, grammar) = fixture::corpus();
        let of = Architecture { hidden: 64, ..fixture::tiny(vocabulary.len()) };
        let mut weights = fixture::lively(of);
        weights.values.get_mut("layers.1.down").unwrap()[5 * 32..6 * 32].fill(0.0);
        let texts = Texts::of(&vocabulary, &grammar, 1);
        let run = Run::plain(super::super::Schedule { batch: 2, ..Default::default() });
        let matters = importance(&run, &weights, &texts).unwrap();
        assert!(matters.units[1][5].abs() < 1e-12);
        assert!(matters.units[1].iter().filter(|m| **m > 0.0).count() > 60);
        assert!(!most(&matters.units[1], 63).contains(&5));
    }
}
