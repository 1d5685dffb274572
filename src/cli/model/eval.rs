//! `wayside model eval`: joins the model with what it must not know: the clock, a real network's
//! names, the template and the verifier.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::{Exit, Exits, Failure, Output};
use super::{BackendChoice, bar};
use crate::domain::network::{Network, fold};
use crate::domain::wording::{Slot, Space, WordingRequest};
use crate::io::clock::SystemClock;
use crate::model::eval::{self, Judge, Report};
use crate::ports::Writer;
use crate::stage::generate::{TemplateWriter, fill};
use crate::stage::guard::Guard;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct EvalArgs {
    /// Folder of the model.
    #[arg(default_value = "models/directions")]
    model: PathBuf,
    /// Network whose streets and places are named in the texts, for the verifier.
    #[arg(long, value_name = "DIR", default_value = "pipelines/demo/network")]
    network: PathBuf,
    /// Held-out contexts to write for.
    #[arg(long, default_value_t = 1000)]
    contexts: usize,
    /// Draws the contexts.
    #[arg(long, default_value_t = 2)]
    seed: u64,
    /// Tries a request has before it is left to the template.
    #[arg(long, default_value_t = 3)]
    attempts: u32,
    /// Where the model runs.
    #[arg(long, value_enum, default_value_t)]
    backend: BackendChoice,
    /// Leave the model's adapters aside.
    #[arg(long)]
    base_alone: bool,
    /// Draw all texts of the training again, to see which of the model's are new; takes minutes.
    #[arg(long)]
    unread: bool,
    /// Folder with reference texts, one file a language.
    #[arg(long, value_name = "DIR")]
    references: Option<PathBuf>,
    /// Write the scores into the model's card and README.
    #[arg(long)]
    record: bool,
    /// The form of the result on stdout.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn eval(args: &EvalArgs) -> Result<Exit, Failure> {
    let network = Network::load(&args.network)
        .with_context(|| format!("network {}", args.network.display()))
        .exits(Exit::Input)?;
    let network = Arc::new(network);
    let guard = Guard::new(Arc::clone(&network));
    let names = Names::of(&network);
    let clock = SystemClock::new();
    let judge = Judge {
        dress: &|request| names.dress(request),
        accepts: &|request, draft| {
            fill(request, draft, "model")
                .is_ok_and(|wording| guard.check(request, &wording).is_ok())
        },
        template: &|request| TemplateWriter.write(request, 0, &|| false).ok(),
        clock: &clock,
    };
    let options = eval::Options {
        contexts: args.contexts,
        seed: args.seed,
        attempts: args.attempts,
        backend: args.backend.into(),
        base_alone: args.base_alone,
        unread: args.unread,
        references: args.references.clone(),
    };
    let bar = bar(options.contexts, "contexts");
    let report =
        eval::eval(&args.model, &options, &judge, &mut |done| bar.set_position(done as u64));
    bar.finish_and_clear();
    let report = report.map_err(super::life::failure)?;
    if args.record {
        eval::record(&args.model, report.scores.clone())?;
    }
    print(&report, &guard, args.output, &args.model)?;
    Ok(Exit::Done)
}

fn print(report: &Report, guard: &Guard, output: Output, model: &Path) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let s = &report.scores;
    if output == Output::Json {
        writeln!(out, "{}", serde_json::to_string_pretty(s)?)?;
        return Ok(());
    }
    let about = &report.about;
    writeln!(out, "{} ({} parameters) from {}", about.name, about.parameters, model.display())?;
    if !about.adapters.is_empty() {
        writeln!(out, "with {}", about.adapters.join(", "))?;
    }
    writeln!(out, "backend {}", about.backend)?;
    if let Some(note) = &about.note {
        writeln!(out, "note: {note}")?;
    }
    writeln!(out, "held-out contexts        {}", s.contexts)?;
    writeln!(out, "accepted at first try    {:.2} %", 100.0 * s.accepted_first_try)?;
    writeln!(out, "left to the template     {:.2} %", 100.0 * s.fallback_rate)?;
    writeln!(
        out,
        "facts a text             {:.2} (template {:.2}, random choice {:.2})",
        s.facts_per_text, s.facts_per_text_template, s.facts_per_text_random
    )?;
    writeln!(
        out,
        "distinct-2               {:.4} (template {:.4}, random choice {:.4})",
        s.distinct_2, s.distinct_2_template, s.distinct_2_random
    )?;
    writeln!(
        out,
        "perplexity at a choice   {:.2} (random choice {:.2})",
        s.perplexity, s.perplexity_random
    )?;
    writeln!(
        out,
        "contrast                 {:.2} % (anew {:.2} %)",
        100.0 * s.contrast,
        100.0 * s.contrast_anew
    )?;
    if let Some(unread) = s.unread {
        writeln!(out, "not read in training     {:.2} %", 100.0 * unread)?;
    }
    writeln!(out, "tokens a second          {:.0}", s.tokens_per_s)?;
    writeln!(out, "time of a text           p50 {:.1} ms, p95 {:.1} ms", s.p50_ms, s.p95_ms)?;
    for refused in &report.refused {
        let why = refused.draft.as_ref().map_or_else(
            || "no text".to_owned(),
            |draft| match fill(&refused.request, draft, "model") {
                Err(error) => format!("{:?}: {error}", draft.rows),
                Ok(wording) => match guard.check(&refused.request, &wording) {
                    Err(objection) => format!("{:?}: {objection}", wording.text),
                    Ok(()) => format!("{:?}", wording.text),
                },
            },
        );
        writeln!(out, "refused: {why}")?;
    }
    Ok(())
}

/// Names of a real network, to put in place of made-up ones.
pub(super) struct Names {
    streets: Vec<String>,
    places: Vec<String>,
}

impl Names {
    /// Only names that no other name is like: others are never offered to a writer.
    pub(super) fn of(network: &Network) -> Self {
        let all = network.spoken_names();
        let alone = |name: &&str| all.iter().filter(|n| fold(n) == fold(name)).count() == 1;
        let places: Vec<&str> = network.places.iter().map(|place| place.name.as_str()).collect();
        let names = |of_places: bool| {
            all.iter()
                .filter(|name| places.contains(*name) == of_places)
                .filter(|name| alone(name))
                .map(|name| (*name).to_owned())
                .collect()
        };
        Self { streets: names(false), places: names(true) }
    }

    /// Gives each named fact a name of the network that fits the space, each name once; drops the
    /// facts that find none.
    pub(super) fn dress(&self, request: &mut WordingRequest) {
        let mut rng = ChaCha8Rng::seed_from_u64(request.seed);
        let space = request.space;
        let mut taken: Vec<String> = Vec::new();
        request.slots.retain_mut(|fact| {
            let names = match fact.slot {
                Slot::Dest => &self.places,
                name if Slot::NAMES.contains(&name) => &self.streets,
                _ => return true,
            };
            let fitting: Vec<String> = names
                .iter()
                .filter_map(|name| shown(name, space))
                .filter(|name| !taken.contains(name))
                .collect();
            let Some(name) = fitting.choose(&mut rng) else { return false };
            taken.push(name.clone());
            fact.text.clone_from(name);
            true
        });
        // A stretch has two ends or none.
        let ends = [Slot::Between0, Slot::Between1];
        if ends.iter().any(|end| request.slot(*end).is_none()) {
            request.slots.retain(|fact| !ends.contains(&fact.slot));
        }
        minutes(request, &mut rng);
    }
}

/// A name as it stands in the space; `None` where it cannot.
fn shown(name: &str, space: Space) -> Option<String> {
    match space {
        Space::Sign { cols, .. } => {
            let name = fold(name);
            let plain = |c: char| matches!(c, 'A'..='Z' | ' ' | '\'' | '-' | '.');
            let fits = name.chars().count() <= usize::from(cols) && name.chars().all(plain);
            fits.then_some(name)
        }
        Space::Vehicle { .. } => Some(name.to_owned()),
    }
}

/// A saving never exceeds the delay: such a pair is no fact of any direction.
fn minutes(request: &mut WordingRequest, rng: &mut ChaCha8Rng) {
    let unit = if matches!(request.space, Space::Sign { .. }) { "MIN" } else { "min" };
    let delay = rng.random_range(3..=45);
    let saving = rng.random_range(2..=delay);
    for fact in &mut request.slots {
        match fact.slot {
            Slot::Delay => fact.text = format!("{delay} {unit}"),
            Slot::Saving => fact.text = format!("{saving} {unit}"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::wording::{Language, Problem, SlotFact};

    #[test]
    fn facts_are_dressed_in_names_that_fit_each_once() {
        let names = Names {
            streets: vec!["Via Alta".into(), "Via Lunghissima Assai".into(), "Corso Uno".into()],
            places: vec![],
        };
        let fact = |slot| SlotFact { slot, text: "X".into(), required: false };
        for seed in 0..50 {
            let mut request = WordingRequest {
                language: Language::It,
                problem: Problem::Queue,
                reason: None,
                slots: [
                    Slot::Closed,
                    Slot::Via0,
                    Slot::Via1,
                    Slot::Dest,
                    Slot::Delay,
                    Slot::Saving,
                ]
                .map(fact)
                .into(),
                space: Space::Sign { rows: 3, cols: 18, pages: 1 },
                seed,
            };
            names.dress(&mut request);
            let mut texts: Vec<&str> = request.slots.iter().map(|f| f.text.as_str()).collect();
            assert_eq!(texts.len(), 4, "two streets fit, no place does: {texts:?}");
            assert!(texts.iter().all(|text| text.chars().count() <= 18), "{texts:?}");
            texts.sort_unstable();
            texts.dedup();
            assert!(texts.len() >= 3, "{texts:?}");
        }
    }
}
