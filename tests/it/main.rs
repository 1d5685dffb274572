//! One integration-test binary; each module is one subject.
mod guard;
mod network;
