//! The verifier between any writer and the sink.
