//! Logs on stderr, for people or for machines; stdout is for results.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to log: error, warn, info, debug, trace, or per module as in `wayside::io=debug`.
    #[arg(long, global = true, env = "WAYSIDE_LOG", default_value = "warn", value_name = "FILTER")]
    log: String,
    /// The form of log lines.
    #[arg(long, global = true, value_enum, default_value_t = Form::Text)]
    log_format: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Text,
    Json,
}

/// Starts logging; a filter that cannot be read is said and replaced by `warn`.
pub(super) fn start(args: &Args) {
    let filter = EnvFilter::try_new(&args.log).unwrap_or_else(|error| {
        eprintln!("warning: --log {}: {error}; logging warnings", args.log);
        EnvFilter::new("warn")
    });
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(ansi);
    let started = match args.log_format {
        Form::Text => logs.try_init(),
        Form::Json => logs.json().flatten_event(true).try_init(),
    };
    if let Err(error) = started {
        eprintln!("warning: no logs: {error}");
    }
}
