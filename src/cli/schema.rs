//! `wayside schema`: the JSON Schemas of pipeline and schema files, for editors.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;
use serde_json::Value;

use super::{Exit, Failure};
use crate::config;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which one to print
    #[arg(value_enum, default_value_t = Which::Pipeline)]
    which: Which,
    /// Write both into the folder instead of printing one
    #[arg(long, conflicts_with = "check")]
    write: bool,
    /// Say whether both files in the folder are up to date (exit code 1 if not)
    #[arg(long)]
    check: bool,
    /// The folder for --write and --check
    #[arg(long, default_value = "schemas")]
    dir: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Which {
    /// Pipeline files (pipelines/*.yaml)
    Pipeline,
    /// Schema files (schemas/*.yaml)
    Mapping,
}

impl Which {
    const ALL: [Self; 2] = [Self::Pipeline, Self::Mapping];

    fn file(self) -> &'static str {
        match self {
            Self::Pipeline => "pipeline.schema.json",
            Self::Mapping => "mapping.schema.json",
        }
    }

    fn schema(self) -> Value {
        match self {
            Self::Pipeline => config::json_schema(),
            Self::Mapping => config::mapping_json_schema(),
        }
    }
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    if args.write {
        for which in Which::ALL {
            let path = args.dir.join(which.file());
            fs::write(&path, text(which)?)
                .with_context(|| format!("cannot write {}", path.display()))?;
            println!("wrote {}", path.display());
        }
    } else if args.check {
        let drifted = drifted(&args.dir)?;
        for path in &drifted {
            eprintln!("{} is not up to date: run `wayside schema --write`", path.display());
        }
        if !drifted.is_empty() {
            return Ok(Exit::Failed);
        }
    } else {
        print!("{}", text(args.which)?);
    }
    Ok(Exit::Done)
}

/// The files of the folder that differ from what would be written, missing ones included.
fn drifted(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut drifted = Vec::new();
    for which in Which::ALL {
        let path = dir.join(which.file());
        if fs::read_to_string(&path).ok() != Some(text(which)?) {
            drifted.push(path);
        }
    }
    Ok(drifted)
}

fn text(which: Which) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(&which.schema())? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schemas_in_the_repository_are_up_to_date() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
        assert_eq!(drifted(&dir).unwrap(), Vec::<PathBuf>::new(), "run `wayside schema --write`");
    }

    #[test]
    fn what_is_written_is_up_to_date() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().to_path_buf();
        assert_eq!(drifted(&dir).unwrap().len(), 2);
        let args = |write, check| Args { which: Which::Pipeline, write, check, dir: dir.clone() };
        run(&args(true, false)).unwrap();
        assert!(drifted(&dir).unwrap().is_empty());
        fs::write(dir.join("mapping.schema.json"), "{}").unwrap();
        assert_eq!(run(&args(false, true)).unwrap(), Exit::Failed);
    }
}
