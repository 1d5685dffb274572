//! Wayside, a roadside-unit runtime: sensor messages in over MQTT, verified directions out.
//!
//! The tour, in the order a reading travels: `io` takes it in, `stage` decodes, windows,
//! aggregates, grades, routes, words and guards it, `io` sends the direction out. `runtime` joins
//! the stages, `config` makes a `plan` from a pipeline file, `model` is one of two writers.

pub mod cli;
pub mod runtime;

pub mod config;
pub mod io;
pub mod model;
pub mod stage;

pub mod batch;
pub mod plan;
pub mod ports;
pub mod query;

pub mod domain;
