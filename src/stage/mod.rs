//! The stages of the pipeline, in the order a reading passes them.
//!
//! Plain structs without tasks or sockets: `push`, `advance`, `finish`. No stage knows another one;
//! `runtime` carries what one hands out to the next.

pub mod decode;
pub mod window;

pub mod aggregate;
pub mod congestion;

pub mod route;

pub mod generate;
pub mod guard;
