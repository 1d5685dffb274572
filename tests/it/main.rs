//! Tests of the whole: real files, real brokers, the real program. One binary, a module a subject.

mod bologna;
mod broken;
mod cli;
mod golden;
mod guard;
mod live;
mod mosquitto;
mod mqtt;
mod network;
mod pipelines;
mod recording;
mod route;
mod support;
mod wgpu;
