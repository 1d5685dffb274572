//! The command line: one file a command, and the exit codes.
//!
//! Errors end here: each says what failed, whose fault it is and what to do.

mod check;
mod demo;
mod diff;
mod draw;
mod explain;
mod logs;
mod model;
mod query;
mod record;
mod recording;
mod replay;
mod run;
mod schema;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::config::Checked;

/// A roadside unit: MQTT sensor streams in, verified directions for signs and vehicles out.
///
/// A pipeline file says where readings come from, how they are windowed, when to speak and where
/// directions go. Start with `wayside demo`, then read pipelines/demo.yaml.
#[derive(Debug, Parser)]
#[command(name = "wayside", version, after_long_help = EXIT_CODES, after_help = "Exit codes: see --help")]
struct Cli {
    #[command(flatten)]
    logs: logs::Args,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play half an hour of a made-up town through a broker of its own, and watch the signs.
    Demo(demo::Args),
    /// Run a pipeline on a roadside unit, against an MQTT broker.
    Run(run::Args),
    /// Run a pipeline over a recording: the same bytes out every time.
    Replay(replay::Args),
    /// Record what a pipeline's sources hear from a broker.
    Record(record::Args),
    /// Look into recordings and a unit's journal, check them, save what can be saved.
    #[command(subcommand)]
    Recording(recording::Command),
    /// Compare two runs: the first window and the first direction that differ; exit code 1 if any.
    Diff(diff::Args),
    /// Ask recordings and runs in SQL: tables readings, windows and directions.
    Query(query::Args),
    /// Say why a direction says what it says, clause by clause.
    Explain(explain::ExplainArgs),
    /// Check pipeline files and say everything that is wrong with them.
    Check(check::Args),
    /// Print the JSON Schema of pipeline or mapping files, for editors.
    Schema(schema::Args),
    /// Train, shrink, measure and show the language model.
    #[command(subcommand)]
    Model(model::Command),
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the run failed; or two runs differ (diff), a recording is damaged (recording verify)
  2  the command line is wrong
  3  a pipeline file is wrong; the report says where
  4  an input file is missing, unreadable or not what it should be; or a query is refused or fails
  5  the broker refuses us: password, certificate, or permission for a topic";

/// How the program ends; the numbers are documented in `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    Pipeline = 3,
    Input = 4,
    Broker = 5,
}

/// A failure with the exit code it ends in.
#[derive(Debug)]
pub(crate) struct Failure {
    pub exit: Exit,
    pub error: anyhow::Error,
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        let broker = error.chain().any(|cause| {
            matches!(cause.downcast_ref(), Some(crate::ports::PortError::Fatal { .. }))
        });
        Self { exit: if broker { Exit::Broker } else { Exit::Failed }, error }
    }
}

/// Gives an error another exit code than 1.
pub(crate) trait Exits<T> {
    fn exits(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> Exits<T> for Result<T, E> {
    fn exits(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure { exit, error: error.into() })
    }
}

/// The form of a result on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    logs::start(&cli.logs);
    let ended = match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Record(args) => record::run(&args),
        Command::Recording(command) => recording::run(&command),
        Command::Diff(args) => diff::run(&args),
        Command::Query(args) => query::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Model(command) => model::run(&command),
    };
    match ended {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(failure) => {
            // A reader that went away (`wayside ... | head`) is nobody's fault.
            let pipe = failure.error.chain().any(|cause| {
                cause
                    .downcast_ref::<std::io::Error>()
                    .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
            });
            if pipe {
                return ExitCode::SUCCESS;
            }
            eprintln!("error: {:#}", failure.error);
            if let Some(help) = help_of(&failure.error) {
                eprintln!("help: {help}");
            }
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn help_of(error: &anyhow::Error) -> Option<&str> {
    error.chain().find_map(|cause| match cause.downcast_ref() {
        Some(crate::ports::PortError::Fatal { help, .. }) => help.as_deref(),
        None => None,
    })
}

/// A tokio runtime for commands that talk to brokers or files of events.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// Whether reports on stderr are drawn in colour.
fn colour() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none()
}

/// Checks a pipeline file, and the fonts of its signs, which `config` cannot read: that is a stage's.
fn checked(path: &std::path::Path) -> Checked {
    let Checked { plan, mut report } = crate::config::check(path);
    for bad in plan.iter().flat_map(|plan| crate::runtime::bad_fonts(&plan.network)) {
        let help =
            format!("sign {} shows its texts in this font, as fonts.csv beside it says", bad.sign);
        let file = (bad.face.file.as_str(), &*bad.face.font);
        report.error_in(file, bad.source.line(), &bad.source.to_string(), &help);
    }
    Checked { plan: plan.filter(|_| !report.has_errors()), report }
}

/// Reads a pipeline file; what is wrong with it is printed in full on stderr.
pub(crate) fn plan(path: &std::path::Path) -> Result<crate::plan::Plan, Failure> {
    checked(path).into_plan().map_err(|report| {
        eprint!("{}", report.render(colour()));
        let error = anyhow::anyhow!("{} cannot be run as it is", path.display());
        Failure { exit: Exit::Pipeline, error }
    })
}
