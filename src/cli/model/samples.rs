//! `wayside model samples`: a page on which a reader can judge a model for himself.
//!
//! Nothing is picked: the contexts are the first held-out ones that a seed gives.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;

use super::super::{Exit, Exits, Failure};
use super::eval::Names;
use crate::domain::network::Network;
use crate::domain::wording::{Draft, Slot, Space, WordingRequest};
use crate::model::checkpoint::Checkpoint;
use crate::model::contexts::{Contexts, is_held_out, restated};
use crate::model::vocabulary::Vocabulary;
use crate::plan::Backend;
use crate::ports::Writer;
use crate::stage::generate::{TemplateWriter, fill};
use crate::stage::guard::Guard;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct SamplesArgs {
    /// Folder of the model.
    #[arg(default_value = "models/directions")]
    model: PathBuf,
    /// Network whose streets and places are named in the texts.
    #[arg(long, value_name = "DIR", default_value = "pipelines/demo/network")]
    network: PathBuf,
    /// Held-out contexts, each for a sign and a vehicle, in every language of the model.
    #[arg(long, default_value_t = 60)]
    contexts: usize,
    /// Draws the contexts.
    #[arg(long, default_value_t = 3)]
    seed: u64,
    /// The page.
    #[arg(long, value_name = "FILE", default_value = "models/samples.md")]
    out: PathBuf,
}

pub(super) fn samples(args: &SamplesArgs) -> Result<Exit, Failure> {
    let network = Network::load(&args.network)
        .with_context(|| format!("network {}", args.network.display()))
        .exits(Exit::Input)?;
    let network = Arc::new(network);
    let names = Names::of(&network);
    let guard = Guard::new(Arc::clone(&network));
    let Checkpoint { vocabulary, grammar, .. } =
        Checkpoint::read(&args.model).map_err(super::life::failure)?;
    let (mut writer, about) =
        crate::model::load(&args.model, Backend::Cpu).map_err(super::life::failure)?;

    let mut page = format!(
        "# What the model writes\n\n\
         Model `{}`, seed {}. The first {} contexts that it was never trained on, unpicked: each for a \
         sign and for a vehicle, in\nevery language, with names of a real or made-up network. The first \
         try is shown, and beside it what the template says; `//` parts two pages.\nWritten by `wayside model samples`.\n",
        about.name, args.seed, args.contexts
    );
    let mut contexts = Contexts::new(grammar.languages(), args.seed);
    for nth in 1..=args.contexts {
        let (sign, vehicle) = pair(&mut contexts, &vocabulary, &names);
        // Writing to a string cannot fail.
        let _written = write!(
            page,
            "\n## {nth}. {}\n\n| | | model | template |\n|---|---|---|---|\n",
            facts(&sign, &vehicle)
        );
        for request in [&sign, &vehicle] {
            for language in grammar.languages() {
                let mut request = restated(request, language, request.space);
                names.dress(&mut request);
                let ours = writer.write(&request, 0, &|| false);
                let ours = ours.map_or_else(
                    |error| error.to_string(),
                    |draft| shown(&request, &draft, &guard),
                );
                let template = TemplateWriter.write(&request, 0, &|| false);
                let template = template.map_or_else(
                    |error| error.to_string(),
                    |draft| shown(&request, &draft, &guard),
                );
                let _written = writeln!(
                    page,
                    "| {} | {} | {ours} | {template} |",
                    language.code(),
                    space(request.space)
                );
            }
        }
    }
    std::fs::write(&args.out, page)
        .with_context(|| format!("cannot write {}", args.out.display()))
        .exits(Exit::Failed)?;
    Ok(Exit::Done)
}

/// The same facts for a sign and for a vehicle, both held out.
fn pair(
    contexts: &mut Contexts,
    vocabulary: &Vocabulary,
    names: &Names,
) -> (WordingRequest, WordingRequest) {
    let (mut on_sign, mut in_vehicle) = (None, None);
    loop {
        let mut request = contexts.draw();
        names.dress(&mut request);
        if !is_held_out(vocabulary, &request) {
            continue;
        }
        match request.space {
            Space::Sign { .. } => on_sign = Some(request.space),
            Space::Vehicle { .. } => in_vehicle = Some((request.space, request)),
        }
        if let (Some(sign), Some((vehicle, request))) = (on_sign, &in_vehicle) {
            let language = request.language;
            return (restated(request, language, sign), restated(request, language, *vehicle));
        }
    }
}

fn facts(sign: &WordingRequest, vehicle: &WordingRequest) -> String {
    let mut facts = vec![vehicle.problem.word().replace('_', " ")];
    facts.extend(vehicle.reason.map(|reason| format!("reason {}", reason.word())));
    for fact in &vehicle.slots {
        let what = match fact.slot {
            Slot::Closed => "on a road",
            Slot::Via0 => "way by a road",
            Slot::Via1 => "then another",
            Slot::Dest => "destination",
            Slot::Delay => "delay",
            Slot::Saving => "saving",
            Slot::Until => "until",
            Slot::Since => "since",
            Slot::Between0 => "between two roads",
            Slot::Between1 => continue,
            Slot::Lanes => "lanes shut",
            Slot::AlsoClosed => "another road closed",
            Slot::AlsoQueue => "queue on another road",
            Slot::Turn => "turn",
        };
        facts.push(what.to_owned());
    }
    format!("{} ({}, {})", facts.join(", "), space(sign.space), space(vehicle.space))
}

fn space(space: Space) -> String {
    match space {
        Space::Sign { rows, cols, pages: 1 } => format!("sign {rows} × {cols}"),
        Space::Sign { rows, cols, pages } => format!("sign {rows} × {cols}, {pages} pages"),
        Space::Vehicle { max_chars } => format!("vehicle {max_chars}"),
    }
}

/// The text as it would go out, or why it would not.
fn shown(request: &WordingRequest, draft: &Draft, guard: &Guard) -> String {
    match fill(request, draft, "model") {
        Err(error) => format!("refused: {error}"),
        Ok(wording) => {
            let pages = wording.pages().into_iter().map(|rows| rows.join(" / "));
            let text = pages.collect::<Vec<_>>().join(" // ");
            match guard.check(request, &wording) {
                Err(objection) => format!("refused: {objection} ({text})"),
                Ok(()) => text,
            }
        }
    }
}
