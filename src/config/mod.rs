//! From a pipeline file to a plan, or to a report of everything that is wrong with it.
//!
//! `tree` reads YAML with places, `raw` says which keys there are, `check` fits them together and
//! makes the plan, `report` draws what was found. Knows nothing of stages, sockets or models.

mod check;
mod files;
mod mapping;
mod places;
mod raw;
mod read;
mod report;
mod schema;
mod tree;

use std::path::Path;

use crate::plan::Plan;

pub use report::{Grade, PlacedFinding, Report};
pub use schema::{json_schema, mapping_json_schema};

/// What came of checking a pipeline file.
#[derive(Debug)]
pub struct Checked {
    /// `None` when the report has errors.
    pub plan: Option<Plan>,
    /// Errors, or warnings alone, or nothing.
    pub report: Report,
}

impl Checked {
    /// The plan, its warnings said in the log; the report where there is none.
    pub fn into_plan(self) -> Result<Plan, Report> {
        let Self { plan, report } = self;
        let Some(plan) = plan else { return Err(report) };
        for finding in report.findings() {
            tracing::warn!(file = finding.file, line = finding.line, "{}", finding.message);
        }
        Ok(plan)
    }
}

/// The plan of a pipeline file. Warnings go to the log; errors come back, all at once.
pub fn load(path: &Path) -> Result<Plan, Report> {
    check(path).into_plan()
}

/// Checks a pipeline file and the files that it names, with the process's environment.
pub fn check(path: &Path) -> Checked {
    check_with(path, &|name| std::env::var(name).ok())
}

/// The same with an environment of the caller's choice.
pub fn check_with(path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Checked {
    let (plan, report) = check::check(path, environment);
    Checked { plan, report }
}
