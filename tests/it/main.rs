//! Tests of the whole: real files, real brokers, the real program. One binary, a module a subject.

mod broken;
mod guard;
mod mqtt;
mod network;
mod pipelines;
mod recording;
mod wgpu;
