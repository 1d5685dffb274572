//! Everything that touches the world outside: brokers, files, the clock.
//!
//! Implements the ports. Knows nothing of stages, models or pipeline files.

pub mod archive;
pub mod broker;
pub mod clock;
pub mod memory;
pub mod mqtt;
pub mod recording;
