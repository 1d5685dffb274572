//! The words of the trade: roads, time, units, congestion, closures, directions and their wording.
//!
//! Lowest floor. It knows nothing of tasks, columns, SQL, brokers or tensors: plain data, plain
//! functions, no clock.

pub mod closure;
pub mod congestion;
pub mod direction;
pub mod network;
pub mod packed;
pub mod refusal;
pub mod slots;
pub mod time;
pub mod wording;
