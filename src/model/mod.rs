//! The small language model that words directions, and its training.
//!
//! From a request to a text: [`vocabulary`] turns the request into typed tokens, the
//! [`transformer`] (on a device, with a [`cache`]) scores what may follow, the [`constraint`] made
//! for this request lets only valid continuations through, the [`sampler`] chooses. What may be
//! said at all comes from the phrase material ([`corpus`], [`grammar`]). A [`checkpoint`] keeps a
//! model in a folder; [`contexts`] and the [`teacher`] make what it learns from; [`eval`] measures
//! it; an [`adapter`] bends it to a condition; [`mod@export`] and [`import`] take it to other programs
//! and back. It knows kinds and sizes of facts, never names or numbers, and nothing of the verifier.

use std::path::Path;

use crate::plan::Backend;
use crate::ports::Writer;
use adapter::{Adapter, AdapterCard, Loaded};
use checkpoint::Checkpoint;

pub mod adapter;
mod arithmetic;
pub mod backend;
pub mod cache;
pub mod card;
pub mod checkpoint;
mod compose;
pub mod constraint;
pub mod contexts;
pub mod corpus;
mod earlier;
pub mod eval;
pub mod export;
pub mod grammar;
pub mod import;
pub mod influence;
mod llama;
mod low_rank;
mod packed;
mod plain;
pub mod quantize;
pub mod random;
pub mod sampler;
mod slots;
pub mod teacher;
#[cfg(feature = "train")]
pub mod train;
pub mod transformer;
pub mod vocabulary;
pub mod weights;
pub mod writer;

#[cfg(test)]
mod fixture;

pub use checkpoint::ModelError;
pub use random::RandomWriter;
pub use writer::SlmWriter;

/// What was loaded, for status and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The model's name with the first 12 digits of its weights' hash.
    pub name: String,
    /// SHA-256 of the weights, in hex.
    pub hash: String,
    pub parameters: usize,
    /// The adapters beside it, each with the beginning of its hash.
    pub adapters: Vec<String>,
    /// `cpu`, or `wgpu` with the adapter's name.
    pub backend: String,
    /// Why the backend is not the one asked for, and why an adapter is not used.
    pub note: Option<String>,
}

/// The writer of a model folder, on the backend wanted or, with a note, on the CPU.
pub fn load(dir: &Path, backend: Backend) -> Result<(Box<dyn Writer>, About), ModelError> {
    let (writer, about) = load_slm(dir, backend)?;
    Ok((Box::new(writer), about))
}

/// The same, for who wants to know what it wrote.
pub fn load_slm(dir: &Path, backend: Backend) -> Result<(SlmWriter, About), ModelError> {
    let checkpoint = Checkpoint::read(dir)?;
    let (adapters, errors) = adapter::read_all(dir, &checkpoint.card);
    let (writer, mut about) = writer(checkpoint, adapters, dir, backend)?;
    // What is damaged beside a model keeps nobody from using the model.
    let unused = errors.iter().map(|error| format!("an adapter is not used: {error}"));
    let notes: Vec<String> = about.note.into_iter().chain(unused).collect();
    about.note = (!notes.is_empty()).then(|| notes.join("; "));
    Ok((writer, about))
}

fn writer(
    checkpoint: Checkpoint,
    adapters: Vec<Loaded>,
    dir: &Path,
    backend: Backend,
) -> Result<(SlmWriter, About), ModelError> {
    let (cards, adapters): (Vec<AdapterCard>, Vec<Adapter>) =
        adapters.into_iter().map(|loaded| (loaded.card, loaded.adapter)).unzip();
    let chosen = backend::choose(&checkpoint.weights, &adapters, backend)
        .map_err(|reason| ModelError::Backend { path: dir.to_owned(), reason })?;
    let about = About {
        name: checkpoint.card.signature(),
        hash: checkpoint.card.weights_sha256,
        parameters: checkpoint.card.parameters,
        adapters: cards.iter().map(AdapterCard::signature).collect(),
        backend: chosen.backend,
        note: chosen.note,
    };
    let name = about.name.clone();
    let writer = SlmWriter::new(checkpoint.vocabulary, checkpoint.grammar, chosen.engine, name);
    Ok((writer.adapted(&cards), about))
}
