//! `wayside check`: is this pipeline file right? Everything that is not, with its place.

use std::path::PathBuf;

use super::{Exit, Failure, Output, checked, colour};
use crate::config::Checked;
use crate::plan::{OutputKind, Plan};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The pipeline file, such as pipelines/demo.yaml.
    pipeline: PathBuf,
    /// `text` is drawn on stderr; `json` is one document on stdout: errors, warnings, and findings
    /// with file, line, column, message and help.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Warnings alone leave a file valid.
pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let Checked { plan, report } = checked(&args.pipeline);
    match args.output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&report.to_json())?),
        Output::Text => {
            if !report.is_empty() {
                eprint!("{}", report.render(colour()));
            }
            if let Some(plan) = &plan {
                println!("{} is valid: {}", args.pipeline.display(), summary(plan));
            }
        }
    }
    Ok(if plan.is_some() { Exit::Done } else { Exit::Pipeline })
}

/// What the pipeline does, in one line.
fn summary(plan: &Plan) -> String {
    let counted = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    let outputs: Vec<&str> = plan.outputs.iter().map(|output| output.name.as_str()).collect();
    let speaks =
        plan.outputs.iter().any(|output| !matches!(output.kind, OutputKind::Archive { .. }));
    let languages: Vec<&str> = plan.writer.languages.iter().map(|l| l.code()).collect();
    let mut parts = vec![
        counted(plan.network.segments.len(), "road edge"),
        counted(plan.network.signs.len(), "sign"),
        counted(plan.sources.len(), "source"),
        counted(plan.windows.len(), "window"),
    ];
    if !outputs.is_empty() {
        parts.push(format!("to {}", outputs.join(", ")));
    }
    if speaks && plan.directions.is_some() {
        parts.push(format!("in {}", languages.join(", ")));
    }
    parts.join(", ")
}
