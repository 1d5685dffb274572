//! An adapter learns for a condition while its model stays as it is (Hu et al. 2022).

use std::path::Path;

use super::super::adapter::{self, Adapter, AdapterCard, Condition};
use super::super::backend::Engine;
use super::super::checkpoint::Checkpoint;
use super::fit::fit_adapter;
use super::texts::Texts;
use super::{Progress, Run, TrainError, held_out_loss, texts, training};

/// Numbers between the two matrices of a layer.
pub const RANK: usize = 8;

/// Trains the adapter of `condition` for the model in `model`, and stores it in the model's folder.
pub fn adapt(
    model: &Path,
    condition: Condition,
    rank: usize,
    run: &Run<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<AdapterCard, TrainError> {
    run.schedule.check()?;
    adapter::check_rank(rank).map_err(TrainError::Options)?;
    let checkpoint = Checkpoint::read(model)?;
    let Checkpoint { card, vocabulary, grammar, weights, .. } = &checkpoint;
    let texts = Texts { condition: Some(condition), ..texts(vocabulary, grammar, &run.schedule) };
    let start = Adapter::new(weights.architecture, rank, run.schedule.seed);
    let fitted = fit_adapter(run, weights, &start, &texts, progress)?;
    let adapter = &fitted.learnt;
    let engine = Engine::cpu(weights)?.adapted(std::slice::from_ref(adapter))?;
    let loss = held_out_loss(&engine, Some(0), &texts)?;
    let training = training(&run.schedule, &fitted, grammar, loss);
    let without = held_out_loss(&engine, None, &texts)?;
    let mut card = AdapterCard::new(condition, card, adapter, training, without);
    adapter::write(model, &mut card, adapter)?;
    Ok(card)
}
