//! One integration-test binary; each module is one subject.
mod network;
mod route;
