//! From a plan to what runs: the engine, its writers, and the writer's state for status and summary.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::engine::Engine;
use super::error::RunError;
use super::speak::Deadline;
use crate::model::{self, About};
use crate::plan::Plan;
use crate::ports::{SharedClock, Writer};

/// Who words directions in this run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ModelState {
    /// The pipeline names no model: templates speak.
    NotAsked,
    Serving {
        name: String,
        /// Beside the model, each with the beginning of its hash.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        adapters: Vec<String>,
        backend: String,
        /// What the self-test found, where it is worth a word: another backend than asked for.
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// The model cannot be used; templates speak.
    Refused { why: String },
}

impl fmt::Display for ModelState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => f.write_str("template (no model asked for)"),
            Self::Serving { name, adapters, backend, .. } if adapters.is_empty() => {
                write!(f, "{name} on {backend}")
            }
            Self::Serving { name, adapters, backend, .. } => {
                write!(f, "{name} with {} on {backend}", adapters.join(", "))
            }
            Self::Refused { why } => write!(f, "template (model refused: {why})"),
        }
    }
}

/// The model, where it serves, and why not, where it does not.
pub struct Writers {
    pub(super) model: Option<Box<dyn Writer>>,
    pub state: ModelState,
}

impl fmt::Debug for Writers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writers").field("state", &self.state).finish_non_exhaustive()
    }
}

/// Loads the plan's model. A model that is missing, damaged or fails its self-test is no error of
/// the run: the template speaks, and status and summary say so.
pub fn writers(plan: &Plan) -> Writers {
    let Some(dir) = &plan.writer.model else {
        return Writers { model: None, state: ModelState::NotAsked };
    };
    match model::load(dir, plan.writer.backend) {
        Ok((writer, about)) => {
            tracing::info!(model = about.name, ?about.adapters, backend = about.backend, "model serves");
            if let Some(note) = &about.note {
                tracing::warn!(note, "model");
            }
            let About { name, adapters, backend, note, .. } = about;
            let state = ModelState::Serving { name, adapters, backend, note };
            Writers { model: Some(writer), state }
        }
        Err(error) => {
            tracing::error!(%error, "the model cannot be used: templates speak");
            Writers { model: None, state: ModelState::Refused { why: error.to_string() } }
        }
    }
}

impl Engine {
    /// For a replay: no deadline, so that the same recording gives the same bytes anywhere.
    pub fn for_replay(plan: Arc<Plan>, writers: Writers) -> Result<Self, RunError> {
        Self::new(plan, writers, Deadline::None)
    }

    /// For a live run: the model has the plan's deadline by this clock.
    pub fn for_live(
        plan: Arc<Plan>,
        writers: Writers,
        clock: SharedClock,
    ) -> Result<Self, RunError> {
        let deadline = Deadline::After(plan.writer.deadline, clock);
        Self::new(plan, writers, deadline)
    }
}
