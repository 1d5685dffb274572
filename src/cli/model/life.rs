//! `wayside model train`, `distill`, `prune`, `adapt`, `quantize` and `card`.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::super::{Exit, Failure, Output};
use crate::model::ModelError;
#[cfg(feature = "train")]
use crate::model::adapter::Condition;
use crate::model::adapter::{self, Loaded};
use crate::model::card::Card;
use crate::model::checkpoint::Checkpoint;
use crate::model::quantize;
#[cfg(feature = "train")]
use crate::model::train::{self, Progress, Run, Schedule, TrainError};

#[cfg(feature = "train")]
#[derive(Debug, clap::Args)]
struct ScheduleArgs {
    /// Every draw follows from it: the same seed and phrase files give the same model.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Steps of the optimiser.
    #[arg(long, default_value_t = 4000)]
    steps: usize,
    /// Texts a step.
    #[arg(long, default_value_t = 32)]
    batch: usize,
    /// The highest learning rate, after the warm-up.
    #[arg(long, default_value_t = 2e-3, value_name = "RATE")]
    learning_rate: f64,
    /// Where the model learns.
    #[arg(long, value_enum, default_value_t)]
    backend: super::BackendChoice,
    /// Steps between two states that a run that was broken off goes on from: the same command again.
    /// State and log lie in the model's folder, under `training`.
    #[arg(long, default_value_t = 500, value_name = "STEPS")]
    keep_every: usize,
    /// End after this step, wherever the schedule is: what a run that was broken off had come to.
    #[arg(long, value_name = "STEP")]
    until: Option<usize>,
    /// The form of the result on stdout.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[cfg(feature = "train")]
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct TrainArgs {
    /// Folder with the phrase files, one a language; else `models/corpus`, or with `--from` the phrases
    /// that the model has.
    #[arg(long, value_name = "DIR")]
    corpus: Option<PathBuf>,
    /// A model to go on from, with its sizes, instead of from random weights.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["width", "layers", "heads", "hidden"])]
    from: Option<PathBuf>,
    /// Folder for the model; what it holds is replaced.
    #[arg(long, value_name = "DIR", default_value = "models/directions")]
    out: PathBuf,
    /// The model's name: letters, digits, `-` and `_`.
    #[arg(long, default_value = "directions")]
    name: String,
    /// Numbers that a token is represented by; a multiple of 32.
    #[arg(long, default_value_t = train::Sizes::default().width)]
    width: usize,
    #[arg(long, default_value_t = train::Sizes::default().layers)]
    layers: usize,
    /// Attention heads of a layer.
    #[arg(long, default_value_t = train::Sizes::default().heads)]
    heads: usize,
    /// Width inside the feed-forward part; a multiple of 32.
    #[arg(long, default_value_t = train::Sizes::default().hidden)]
    hidden: usize,
    #[command(flatten)]
    schedule: ScheduleArgs,
}

#[cfg(feature = "train")]
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct DistillArgs {
    /// Folder of the model to learn from.
    teacher: PathBuf,
    /// Folder for the smaller model; what it holds is replaced.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The smaller model's name: letters, digits, `-` and `_`.
    #[arg(long, default_value = "directions")]
    name: String,
    /// Layers of the smaller model; else half of the teacher's.
    #[arg(long)]
    layers: Option<usize>,
    #[command(flatten)]
    schedule: ScheduleArgs,
}

#[cfg(feature = "train")]
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct PruneArgs {
    /// Folder of the model.
    model: PathBuf,
    /// Folder for the pruned model; what it holds is replaced.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The pruned model's name: letters, digits, `-` and `_`.
    #[arg(long, default_value = "directions")]
    name: String,
    /// Share of the parameters to take out, 0 to 1.
    #[arg(long, default_value_t = 0.3)]
    share: f64,
    #[command(flatten)]
    schedule: ScheduleArgs,
}

#[cfg(feature = "train")]
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct AdaptArgs {
    /// Folder of the model; the adapter is stored in it.
    model: PathBuf,
    /// What the adapter is for.
    #[arg(long, value_enum)]
    condition: ConditionChoice,
    /// Numbers between the two matrices of a layer.
    #[arg(long, default_value_t = train::adapt::RANK)]
    rank: usize,
    #[command(flatten)]
    schedule: ScheduleArgs,
}

#[cfg(feature = "train")]
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum ConditionChoice {
    Closure,
    Congestion,
    Incident,
    /// What is closed or happened because of the weather or of an event.
    #[value(name = "weather_event")]
    WeatherEvent,
}

#[cfg(feature = "train")]
impl From<ConditionChoice> for Condition {
    fn from(choice: ConditionChoice) -> Self {
        match choice {
            ConditionChoice::Closure => Self::Closure,
            ConditionChoice::Congestion => Self::Congestion,
            ConditionChoice::Incident => Self::Incident,
            ConditionChoice::WeatherEvent => Self::WeatherEvent,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct QuantizeArgs {
    /// Folder of the model.
    model: PathBuf,
    /// Folder for the same model at a byte a number; what it holds is replaced.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Its name: letters, digits, `-` and `_`.
    #[arg(long, default_value = "directions")]
    name: String,
    /// The form of the result on stdout.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct CardArgs {
    /// Folder of the model.
    #[arg(default_value = "models/directions")]
    model: PathBuf,
    /// The form of the result on stdout.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[cfg(feature = "train")]
pub(super) fn train(args: &TrainArgs) -> Result<Exit, Failure> {
    let sizes = train::Sizes {
        width: args.width,
        layers: args.layers,
        heads: args.heads,
        hidden: args.hidden,
    };
    if let Some(from) = &args.from {
        return learn(&args.schedule, &args.out, |run, progress| {
            train::go_on(from, args.corpus.as_deref(), &args.name, run, &args.out, progress)
        });
    }
    learn(&args.schedule, &args.out, |run, progress| {
        train::train(
            &args.name,
            sizes,
            run,
            args.corpus.as_deref().unwrap_or(Path::new("models/corpus")),
            &args.out,
            progress,
        )
    })
}

#[cfg(feature = "train")]
pub(super) fn distill(args: &DistillArgs) -> Result<Exit, Failure> {
    let layers = match args.layers {
        Some(layers) => layers,
        None => read(&args.teacher)?.card.architecture.layers.div_ceil(2),
    };
    learn(&args.schedule, &args.out, |run, progress| {
        train::distill::distill(&args.teacher, &args.name, layers, run, &args.out, progress)
    })
}

#[cfg(feature = "train")]
pub(super) fn prune(args: &PruneArgs) -> Result<Exit, Failure> {
    learn(&args.schedule, &args.out, |run, progress| {
        train::prune::prune(&args.model, &args.name, args.share, run, &args.out, progress)
    })
}

#[cfg(feature = "train")]
pub(super) fn adapt(args: &AdaptArgs) -> Result<Exit, Failure> {
    let condition = args.condition.into();
    let folder = adapter::folder(&args.model, condition);
    let card = run(&args.schedule, &folder, |run, progress| {
        train::adapt::adapt(&args.model, condition, args.rank, run, progress)
    })?;
    let mut out = std::io::stdout().lock();
    match args.schedule.output {
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&card)?)?,
        Output::Text => {
            writeln!(out, "{} of {} in {}", card.signature(), card.of, folder.display())?;
            writeln!(out, "{} parameters", card.parameters)?;
            let training = &card.training;
            writeln!(
                out,
                "{} steps, {} tokens; loss on held-out contexts of the condition {:.4}, of the \
                 model alone {:.4}",
                training.steps, training.tokens, training.held_out_loss, card.held_out_loss_without
            )?;
        }
    }
    Ok(Exit::Done)
}

pub(super) fn quantize(args: &QuantizeArgs) -> Result<Exit, Failure> {
    let card = quantize::quantize(&args.model, &args.name, &args.out).map_err(failure)?;
    report(&card, &args.out, args.output)
}

pub(super) fn card(args: &CardArgs) -> Result<Exit, Failure> {
    let card = read(&args.model)?.card;
    let (adapters, errors) = adapter::read_all(&args.model, &card);
    if let Some(error) = errors.into_iter().next() {
        return Err(failure(error));
    }
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&card)?)?,
        Output::Text => {
            write!(out, "{}", card.page())?;
            for Loaded { card, .. } in adapters {
                write!(out, "\n{}", card.page())?;
            }
        }
    }
    Ok(Exit::Done)
}

fn read(model: &Path) -> Result<Checkpoint, Failure> {
    Checkpoint::read(model).map_err(failure)
}

pub(super) fn failure(error: ModelError) -> Failure {
    let exit = match error {
        ModelError::Backend { .. } | ModelError::Unwritable { .. } => Exit::Failed,
        _ => Exit::Input,
    };
    Failure { exit, error: error.into() }
}

/// Runs a training that makes a model, and reports.
#[cfg(feature = "train")]
fn learn(
    args: &ScheduleArgs,
    out: &Path,
    work: impl FnOnce(&Run<'_>, &mut dyn FnMut(Progress)) -> Result<Card, TrainError>,
) -> Result<Exit, Failure> {
    report(&run(args, out, work)?, out, args.output)
}

/// Runs a training with a bar on a terminal and a line now and then elsewhere.
#[cfg(feature = "train")]
fn run<C>(
    args: &ScheduleArgs,
    out: &Path,
    work: impl FnOnce(&Run<'_>, &mut dyn FnMut(Progress)) -> Result<C, TrainError>,
) -> Result<C, Failure> {
    let keep = out.join("training");
    let run = Run {
        schedule: Schedule {
            seed: args.seed,
            steps: args.steps,
            batch: args.batch,
            learning_rate: args.learning_rate,
            ..Schedule::default()
        },
        backend: args.backend.into(),
        keep: Some(&keep),
        keep_every: args.keep_every,
        until: args.until,
    };
    let bar = super::bar(args.steps, "loss");
    let card = work(&run, &mut |progress| {
        bar.set_message(format!("{:.3}", progress.loss));
        bar.set_position(progress.step as u64);
        if bar.is_hidden() && progress.step % 100 == 0 {
            tracing::info!(
                step = progress.step,
                of = progress.steps,
                loss = progress.loss,
                tokens = progress.tokens,
                "training"
            );
        }
    });
    bar.finish_and_clear();
    card.map_err(|error| match error {
        TrainError::Store(error) => failure(error),
        TrainError::Phrases(_) | TrainError::Options(_) => {
            Failure { exit: Exit::Input, error: error.into() }
        }
        _ => Failure { exit: Exit::Failed, error: error.into() },
    })
}

pub(super) fn report(card: &Card, folder: &Path, output: Output) -> Result<Exit, Failure> {
    let mut out = std::io::stdout().lock();
    match output {
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(card)?)?,
        Output::Text => {
            writeln!(out, "{} in {}", card.signature(), folder.display())?;
            writeln!(out, "{} parameters, {}", card.parameters, card.stored.word())?;
            if let Some(training) = &card.training {
                writeln!(
                    out,
                    "{} steps, {} tokens; loss {:.3}, on held-out contexts {:.3}",
                    training.steps, training.tokens, training.final_loss, training.held_out_loss
                )?;
            }
        }
    }
    Ok(Exit::Done)
}
