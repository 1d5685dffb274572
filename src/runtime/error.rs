//! Why a run ends before its time.

use super::speak::FontError;
use crate::io::archive::ArchiveError;
use crate::io::journal::JournalError;
use crate::ports::PortError;
use crate::query::QueryError;
use crate::stage::aggregate::AggregateError;

/// Why a run cannot go on: a fault of the house, never of a message.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Font(#[from] FontError),
    #[error(transparent)]
    Aggregate(#[from] AggregateError),
    #[error("window `{window}`: its SQL failed: {source}")]
    Query { window: String, source: QueryError },
    #[error("window `{window}`: its result cannot be graded: {what}")]
    Result { window: String, what: String },
    #[error("{waiting} messages wait for a beat of the driven clock, and none comes")]
    NoBeat { waiting: usize },
    #[error(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the journal's disk has failed: {0}; nothing more is taken in that could be lost")]
    Disk(String),
    #[error("the state of the run cannot be kept: {0}")]
    Keep(String),
    #[error(
        "the journal's snapshot does not fit this pipeline; move the journal's folder away to begin anew"
    )]
    Restore,
    #[error("the archive cannot be written: {0}")]
    Archive(#[from] ArchiveError),
}
