//! `wayside model …`: the life of a language model, a command a step.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use super::{Exit, Failure};
use crate::plan::Backend;

mod eval;
mod exchange;
mod life;
mod samples;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Train a model from the phrase files.
    #[cfg(feature = "train")]
    Train(life::TrainArgs),
    /// Make a smaller model that learns from a larger one.
    #[cfg(feature = "train")]
    Distill(life::DistillArgs),
    /// Take the heads and feed-forward units out of a model that matter least.
    #[cfg(feature = "train")]
    Prune(life::PruneArgs),
    /// Train a small addition to a model for one condition, which it is used for alone.
    #[cfg(feature = "train")]
    Adapt(life::AdaptArgs),
    /// Store a model's weights at a byte a number.
    Quantize(life::QuantizeArgs),
    /// Measure a model on contexts that it was never trained on.
    Eval(eval::EvalArgs),
    /// Write a page of texts beside the template's, unpicked, to judge a model by.
    Samples(samples::SamplesArgs),
    /// Write a model for other programs: transformers, ONNX runtimes, llama.cpp.
    Export(exchange::ExportArgs),
    /// Make a model folder of a Hugging Face folder.
    Import(exchange::ImportArgs),
    /// Print what a model thinks may follow some tokens.
    Logits(exchange::LogitsArgs),
    /// Check a model's folder against its card and its adapters' cards, and print them.
    Card(life::CardArgs),
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum BackendChoice {
    /// A graphics card where there is one that computes what the CPU computes, else the CPU.
    Auto,
    #[default]
    Cpu,
    /// Any adapter, software ones too.
    Wgpu,
}

impl From<BackendChoice> for Backend {
    fn from(choice: BackendChoice) -> Self {
        match choice {
            BackendChoice::Auto => Self::Auto,
            BackendChoice::Cpu => Self::Cpu,
            BackendChoice::Wgpu => Self::Wgpu,
        }
    }
}

pub(super) fn run(command: &Command) -> Result<Exit, Failure> {
    match command {
        #[cfg(feature = "train")]
        Command::Train(args) => life::train(args),
        #[cfg(feature = "train")]
        Command::Distill(args) => life::distill(args),
        #[cfg(feature = "train")]
        Command::Prune(args) => life::prune(args),
        #[cfg(feature = "train")]
        Command::Adapt(args) => life::adapt(args),
        Command::Quantize(args) => life::quantize(args),
        Command::Eval(args) => eval::eval(args),
        Command::Samples(args) => samples::samples(args),
        Command::Export(args) => exchange::export(args),
        Command::Import(args) => exchange::import(args),
        Command::Logits(args) => exchange::logits(args),
        Command::Card(args) => life::card(args),
    }
}

/// A bar on a terminal, nothing anywhere else.
fn bar(steps: usize, what: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(steps as u64);
    let template = format!("{{bar:40}} {{pos}}/{{len}}, {what} {{msg}}, {{eta}} left");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar
}
