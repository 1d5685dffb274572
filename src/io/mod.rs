//! Everything that touches the world outside: brokers, files, the clock.
//!
//! Implements the ports. Knows nothing of stages, models or pipeline files.

pub mod archive;
pub mod broker;
pub mod clock;
mod columnar;
pub mod journal;
pub mod memory;
pub mod mqtt;
mod part;
mod payload;
pub mod recording;
mod room;
pub mod tables;
