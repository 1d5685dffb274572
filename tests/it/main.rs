//! One integration-test binary; each module is one subject.
mod broken;
mod network;
mod pipelines;
