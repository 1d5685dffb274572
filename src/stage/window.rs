//! Event-time windows: watermarks, idle groups, late rows and repeats.
