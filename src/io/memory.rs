//! Sources and sinks in memory, for tests.
