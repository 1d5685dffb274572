//! Files of a run: windows, directions, dead letters, late readings.
