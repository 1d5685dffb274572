//! Levels of congestion per segment with hysteresis, and what is closed.
