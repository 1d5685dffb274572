//! One integration-test binary; each module is one subject.

mod mqtt;
mod network;
mod recording;
