//! Tests of the whole: real files, real brokers, the real program. One binary, a module a subject.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod analysts;
mod bologna;
mod broken;
mod cli;
mod conservation;
mod crash;
mod damage;
mod deploy;
mod determinism;
mod exchange;
mod faults;
mod golden;
mod guard;
mod journal;
mod live;
mod mosquitto;
mod mqtt;
mod network;
mod pipelines;
mod player;
mod ports;
mod recording;
mod route;
mod support;
mod wgpu;
