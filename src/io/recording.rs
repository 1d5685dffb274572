//! Recordings of messages, read and written.
