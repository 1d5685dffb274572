//! The loop: batches, gradients, steps, until the schedule is done.
//!
//! Knows nothing of what the weights were before or what becomes of them.

use burn::tensor::Tensor;
use burn::tensor::{Device, TensorData};
use sha2::{Digest, Sha256};

use super::super::adapter::{Adapter, tensors};
use super::super::backend;
use super::super::transformer::{Addition, Tables, TensorError, Transformer, numbers};
use super::super::weights::{Architecture, Named, Weights};
use super::adamw::AdamW;
use super::batch::Batch;
use super::keep::{Keep, State};
use super::texts::Texts;
use super::{Progress, Run, Schedule, TrainError};

/// Steps of the warm-up, as a share of all.
const WARM_UP: f64 = 0.05;
/// The last learning rate, as a share of the highest.
const LAST_RATE: f64 = 0.02;
/// Steps between two looks at the loss: a look waits for the device.
const LOOK: usize = 10;
/// Looks that the reported final loss is a mean of.
const FINAL: usize = 10;

/// What a model learns from beside the texts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Teacher<'t> {
    pub weights: &'t Weights,
    /// Weight of the texts themselves; the rest is the teacher's.
    pub hard: f32,
}

/// What learns, as it is before.
enum Pupil<'p> {
    Model(&'p Weights),
    /// Beside a model that stays as it is.
    Adapter(&'p Weights, &'p Adapter),
}

impl Pupil<'_> {
    fn architecture(&self) -> Architecture {
        let (Self::Model(weights) | Self::Adapter(weights, _)) = self;
        weights.architecture
    }

    fn tensors(&self) -> Vec<Named> {
        match self {
            Self::Model(weights) => weights.architecture.tensors(),
            Self::Adapter(_, adapter) => tensors(adapter.architecture, adapter.rank),
        }
    }

    fn flat(&self) -> Vec<f32> {
        match self {
            Self::Model(weights) => weights.flat(),
            Self::Adapter(_, adapter) => adapter.flat(),
        }
    }
}

/// What came of a run.
#[derive(Debug)]
pub(super) struct Fitted<L> {
    pub learnt: L,
    /// Mean loss of the last steps.
    pub final_loss: f32,
    pub tokens: u64,
    pub steps: usize,
}

/// Steps the weights of a model through the schedule.
pub(super) fn fit(
    run: &Run<'_>,
    start: &Weights,
    texts: &Texts<'_>,
    teacher: Option<Teacher<'_>>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Fitted<Weights>, TrainError> {
    let fitted = go(run, &Pupil::Model(start), texts, teacher, progress)?;
    fitted.shaped(|flat| Weights::from_flat(start.architecture, flat))
}

/// Steps an adapter through the schedule, beside a model that stays as it is.
pub(super) fn fit_adapter(
    run: &Run<'_>,
    model: &Weights,
    start: &Adapter,
    texts: &Texts<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Fitted<Adapter>, TrainError> {
    let fitted = go(run, &Pupil::Adapter(model, start), texts, None, progress)?;
    fitted.shaped(|flat| Adapter::from_flat(start.architecture, start.rank, flat))
}

impl Fitted<Vec<f32>> {
    fn shaped<L>(self, shape: impl Fn(&[f32]) -> Option<L>) -> Result<Fitted<L>, TrainError> {
        let Self { learnt, final_loss, tokens, steps } = self;
        let learnt = shape(&learnt)
            .ok_or_else(|| TensorError::Device("it gave other parameters back".to_owned()))?;
        Ok(Fitted { learnt, final_loss, tokens, steps })
    }
}

fn go(
    run: &Run<'_>,
    pupil: &Pupil<'_>,
    texts: &Texts<'_>,
    teacher: Option<Teacher<'_>>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Fitted<Vec<f32>>, TrainError> {
    let schedule = &run.schedule;
    let (device, is_gpu) = backend::training(run.backend).map_err(TrainError::Backend)?;
    let mut keep =
        run.keep.map(|dir| Keep::new(dir, fingerprint(schedule, pupil, texts, teacher.as_ref())));
    let kept = keep.as_mut().map_or(Ok(None), Keep::read)?;
    let (mut learner, mut state) = Learner::new(schedule, pupil, kept, &device)?;
    let mut teacher =
        teacher.map(|teacher| Expecting::new(teacher, &device, is_gpu)).transpose()?;
    let mut tables = Tables::new(pupil.architecture(), &device.clone().autodiff());
    tables.one_hot = is_gpu;

    let end = run.until.map_or(schedule.steps, |until| until.min(schedule.steps));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    // On the CPU the steps need the cores themselves.
    let threads = if is_gpu { threads.saturating_sub(1).clamp(1, 12) } else { 1 };
    std::thread::scope(|scope| {
        let batches = texts.ahead(scope, state.step, schedule.batch, threads);
        let mut since_look: Vec<Tensor<1>> = Vec::new();
        for batch in batches.take(end.saturating_sub(state.step)) {
            let rate = rate(schedule, state.step);
            let expected = teacher.as_mut().map(|teacher| teacher.of(&batch));
            let loss = learner.step(&batch, &tables, expected, rate, state.step + 1)?;
            since_look.push(loss);
            state.step += 1;
            state.tokens += batch.tokens;
            let last = state.step == end;
            if !last && !state.step.is_multiple_of(LOOK) {
                continue;
            }
            let loss = mean(&numbers(Tensor::cat(std::mem::take(&mut since_look), 0))?);
            if !loss.is_finite() {
                return Err(TrainError::Diverged { step: state.step });
            }
            state.losses.push(loss);
            let surplus = state.losses.len().saturating_sub(FINAL);
            state.losses.drain(..surplus);
            let (step, steps, tokens) = (state.step, schedule.steps, state.tokens);
            let now = Progress { step, steps, loss, rate, tokens };
            if let Some(keep) = &mut keep {
                keep.note(&now);
                if !last && step.is_multiple_of(run.keep_every.max(1)) {
                    state.rows = learner.rows()?;
                    keep.write(&state)?;
                }
            }
            progress(now);
        }
        Ok(())
    })?;
    if let Some(keep) = &keep {
        keep.finish()?;
    }
    let [learnt, ..] = learner.rows()?;
    Ok(Fitted { learnt, final_loss: mean(&state.losses), tokens: state.tokens, steps: state.step })
}

/// Parameters on their way.
struct Learner {
    subject: Subject,
    parameters: Tensor<1>,
    adam: AdamW,
}

impl Learner {
    fn new(
        schedule: &Schedule,
        pupil: &Pupil<'_>,
        kept: Option<State>,
        device: &Device,
    ) -> Result<(Self, State), TensorError> {
        let mut adam = AdamW::new(&pupil.tensors(), schedule.weight_decay, device);
        let subject = match pupil {
            Pupil::Model(weights) => Subject::Model(weights.architecture),
            Pupil::Adapter(weights, adapter) => {
                let model = Transformer::new(weights, &device.clone().autodiff())?;
                Subject::Adapter(weights.architecture, adapter.rank, Box::new(model))
            }
        };
        let start = pupil.flat();
        let count = start.len();
        let row = |values: Vec<f32>| {
            if values.len() != count {
                return Err(TensorError::Missing("parameters".to_owned()));
            }
            Ok(Tensor::from_data(TensorData::new(values, [count]), device))
        };
        let Some(mut state) = kept else {
            let parameters = row(start)?;
            return Ok((Self { subject, parameters, adam }, State::default()));
        };
        let [parameters, first, second] = std::mem::take(&mut state.rows);
        adam.first = row(first)?;
        adam.second = row(second)?;
        let parameters = row(parameters)?;
        Ok((Self { subject, parameters, adam }, state))
    }

    /// One step; the loss before it, still on the device.
    fn step(
        &mut self,
        batch: &Batch,
        tables: &Tables,
        expected: Option<(Tensor<3>, f32)>,
        rate: f64,
        step: usize,
    ) -> Result<Tensor<1>, TensorError> {
        let (loss, gradient) = gradient(&self.subject, &self.parameters, batch, tables, expected)?;
        self.parameters = self.adam.step(self.parameters.clone(), gradient, rate, step);
        Ok(loss)
    }

    fn rows(&self) -> Result<[Vec<f32>; 3], TensorError> {
        let AdamW { first, second, .. } = &self.adam;
        Ok([numbers(self.parameters.clone())?, numbers(first.clone())?, numbers(second.clone())?])
    }
}

/// What the parameters that learn are part of.
pub(super) enum Subject {
    Model(Architecture),
    /// An adapter of some rank, beside this model.
    Adapter(Architecture, usize, Box<Transformer>),
}

/// The loss of a batch, and its gradient by all parameters that learn in one row.
pub(super) fn gradient(
    subject: &Subject,
    parameters: &Tensor<1>,
    batch: &Batch,
    tables: &Tables,
    expected: Option<(Tensor<3>, f32)>,
) -> Result<(Tensor<1>, Tensor<1>), TensorError> {
    let (mut leaves, mut at) = (Vec::new(), 0);
    let mut next = |_: &str, count: usize| {
        let leaf = parameters.clone().narrow(0, at, count).autodiff().require_grad();
        at += count;
        leaves.push(leaf.clone());
        Ok(leaf)
    };
    let loss = match subject {
        Subject::Model(architecture) => {
            let model = Transformer::from_parts(*architecture, &mut next)?;
            batch.loss(&model, None, tables, expected)
        }
        Subject::Adapter(architecture, rank, model) => {
            let addition = Addition::from_parts(*architecture, *rank, &mut next)?;
            batch.loss(model, Some(&addition), tables, expected)
        }
    };
    let gradients = loss.backward();
    let parts = leaves
        .iter()
        .map(|leaf| {
            let missing = || TensorError::Device("a parameter has no gradient".to_owned());
            leaf.grad(&gradients).ok_or_else(missing)
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok((loss.inner(), Tensor::cat(parts, 0)))
}

/// A teacher on the device.
struct Expecting {
    model: Transformer,
    tables: Tables,
    hard: f32,
}

impl Expecting {
    fn new(teacher: Teacher<'_>, device: &Device, is_gpu: bool) -> Result<Self, TensorError> {
        let model = Transformer::new(teacher.weights, device)?;
        let mut tables = Tables::new(teacher.weights.architecture, device);
        tables.one_hot = is_gpu;
        Ok(Self { model, tables, hard: teacher.hard })
    }

    fn of(&mut self, batch: &Batch) -> (Tensor<3>, f32) {
        (batch.expected(&self.model, &self.tables), self.hard)
    }
}

/// Linear warm-up, then half a cosine.
fn rate(schedule: &Schedule, step: usize) -> f64 {
    let steps = schedule.steps as f64;
    let warm_up = (steps * WARM_UP).max(1.0);
    let at = step as f64 + 1.0;
    if at <= warm_up {
        return schedule.learning_rate * at / warm_up;
    }
    let done = (at - warm_up) / (steps - warm_up).max(1.0);
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
    schedule.learning_rate * (LAST_RATE + (1.0 - LAST_RATE) * cosine)
}

fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len().max(1) as f32
}

/// Everything that decides a run's numbers, as a hash.
fn fingerprint(
    schedule: &Schedule,
    pupil: &Pupil<'_>,
    texts: &Texts<'_>,
    teacher: Option<&Teacher<'_>>,
) -> String {
    let mut hash = Sha256::new();
    let weights = |weights: &Weights, hash: &mut Sha256| {
        hash.update(format!("{:?}", weights.architecture));
        for value in weights.flat() {
            hash.update(value.to_le_bytes());
        }
    };
    hash.update(format!("{schedule:?} {} {:?}", texts.seed, texts.vocabulary.tokens()));
    for (key, book) in texts.grammar.books() {
        hash.update(format!("{key:?}"));
        for clause in book.all() {
            hash.update(format!("{:?} {}", clause.tokens(), clause.share()));
        }
    }
    match pupil {
        Pupil::Model(start) => weights(start, &mut hash),
        Pupil::Adapter(model, start) => {
            weights(model, &mut hash);
            hash.update(format!("{:?} {}", texts.condition, start.rank));
        }
    }
    if let Some(teacher) = teacher {
        hash.update(teacher.hard.to_le_bytes());
        weights(teacher.weights, &mut hash);
    }
    format!("{:x}", hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_and_falls() {
        let schedule = Schedule { steps: 100, learning_rate: 1.0, ..Schedule::default() };
        assert!((rate(&schedule, 0) - 0.2).abs() < 1e-9);
        assert!((rate(&schedule, 4) - 1.0).abs() < 1e-9);
        assert!(rate(&schedule, 50) < rate(&schedule, 20));
        assert!((rate(&schedule, 99) - LAST_RATE).abs() < 1e-9);
    }
}
