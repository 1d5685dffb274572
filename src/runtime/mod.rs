//! Joins the stages into a run: what one stage hands out goes to the next, in the order a reading
//! travels. The only place that matches the kinds of sources, writers and outputs.
//!
//! Knows nothing of pipeline files and of the command line.

mod build;
mod counts;
mod engine;
mod error;
mod keeping;
mod live;
mod outgoing;
mod payload;
mod replay;
mod speak;
mod state;
mod status;
mod unit;
mod unsent;

pub use build::{ModelState, Writers, writers};
pub use counts::{Counts, Summary, Tally};
pub use engine::{Engine, Event};
pub use error::RunError;
pub use keeping::Journaling;
pub use live::{LiveOptions, run};
pub use replay::{BATCH, Replay, ReplayOptions, Unwritten, replay};
pub use speak::{FontError, bad_fonts};
pub use state::EngineState;
pub use status::last_will;
pub use unit::Pace;
