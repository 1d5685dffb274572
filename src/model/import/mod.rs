//! Llama models of Hugging Face's form: `config.json`, `tokenizer.json`, `model.safetensors`.
//!
//! Any model of our architecture can be [`read`] and computed with. A model folder is made of those
//! alone whose vocabulary is ours, as the export writes it: what may be said comes from the phrase
//! material, and another vocabulary has no words for it.

use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};

use super::card::{Card, Made};
use super::checkpoint::{self, Checkpoint, MAX_WEIGHTS_BYTES, ModelError, floats, limited, sha256};
use super::corpus::{Corpus, CorpusError};
use super::grammar::{Grammar, GrammarError};
use super::llama;
use super::vocabulary::{Vocabulary, VocabularyError};
use super::weights::{Architecture, Weights};

mod config;

pub const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const WEIGHTS: &str = "model.safetensors";
/// Lists the files of weights that are kept in several.
const INDEX: &str = "model.safetensors.index.json";

const MAX_CONFIG_BYTES: u64 = 256 << 10;
const MAX_TOKENIZER_BYTES: u64 = 16 << 20;

/// What the output shares with the embedding, where a file keeps it all the same.
const OUTPUT: &str = "lm_head.weight";
const EMBEDDING: &str = "model.embed_tokens.weight";

/// Why a folder cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(
        "cannot read {path}: {reason}; a Hugging Face folder holds {CONFIG}, {WEIGHTS} and, to \
         make a model folder of it, {TOKENIZER}"
    )]
    Unreadable { path: PathBuf, reason: String },
    #[error("{path} cannot be imported: {reason}")]
    Foreign { path: PathBuf, reason: String },
    #[error(
        "{path} has not Wayside's vocabulary: {reason}. A model that words directions has the \
         closed vocabulary that `wayside model export` writes; `wayside model logits` computes with \
         any other"
    )]
    Vocabulary { path: PathBuf, reason: VocabularyError },
    #[error(transparent)]
    Phrases(#[from] CorpusError),
    #[error(
        "the phrase files in {path} are not the model's: {reason}; give those that it was trained \
         on with --corpus"
    )]
    Grammar { path: PathBuf, reason: GrammarError },
    #[error(transparent)]
    Store(#[from] ModelError),
}

/// A Llama model, read.
#[derive(Clone, Debug)]
pub struct Llama {
    pub weights: Weights,
    /// The kind of numbers in the file.
    pub dtype: &'static str,
    /// Of the file of weights.
    pub sha256: String,
}

/// What a model folder that is made of an import is called.
#[derive(Clone, Copy, Debug)]
pub struct Names<'n> {
    /// The model's name.
    pub name: &'n str,
    /// Its licence, SPDX.
    pub licence: &'n str,
}

/// Reads the model in `folder`.
pub fn read(folder: &Path) -> Result<Llama, ImportError> {
    let path = folder.join(CONFIG);
    let foreign =
        |path: &Path, reason: String| ImportError::Foreign { path: path.to_owned(), reason };
    let architecture = config::architecture(&file(&path, MAX_CONFIG_BYTES)?)
        .map_err(|reason| foreign(&path, reason))?;
    let path = folder.join(WEIGHTS);
    if !path.exists() && folder.join(INDEX).exists() {
        let reason = "the weights lie in several files; save the model again with a larger \
                      `max_shard_size`";
        return Err(foreign(&folder.join(INDEX), reason.to_owned()));
    }
    let bytes = file(&path, MAX_WEIGHTS_BYTES)?;
    let (weights, dtype) =
        weights(&bytes, architecture).map_err(|reason| foreign(&path, reason))?;
    Ok(Llama { weights, dtype, sha256: sha256(&bytes) })
}

/// Makes a model folder in `out` of the model in `folder` and the phrase files in `phrases`.
pub fn import(
    folder: &Path,
    phrases: &Path,
    names: Names<'_>,
    out: &Path,
) -> Result<Card, ImportError> {
    let Llama { weights, dtype, sha256 } = read(folder)?;
    let path = folder.join(TOKENIZER);
    let foreign = |reason: String| ImportError::Foreign { path: path.clone(), reason };
    let tokens = config::tokens(&file(&path, MAX_TOKENIZER_BYTES)?).map_err(foreign)?;
    let vocabulary = Vocabulary::from_tokens(tokens)
        .map_err(|reason| ImportError::Vocabulary { path: path.clone(), reason })?;
    let architecture = weights.architecture;
    if vocabulary.len() != architecture.vocabulary {
        return Err(foreign(format!(
            "{} tokens, but {CONFIG} says {}",
            vocabulary.len(),
            architecture.vocabulary
        )));
    }
    let corpora = Corpus::read_all(phrases)?;
    let grammar = Grammar::new(&corpora, &vocabulary)
        .map_err(|reason| ImportError::Grammar { path: phrases.to_owned(), reason })?;
    checkpoint::room(&grammar, architecture).map_err(foreign)?;

    let mut card = Card::new(names.name, architecture);
    names.licence.clone_into(&mut card.licence);
    let begin: String = sha256.chars().take(12).collect();
    let called = folder.canonicalize().ok();
    let called = called.as_deref().and_then(Path::file_name).unwrap_or_default();
    card.made.push(Made {
        what: "imported".to_owned(),
        from: Some(format!("{}-{begin}", called.to_string_lossy())),
        how: format!("Hugging Face Llama, {dtype}"),
    });
    card.check().map_err(|reason| ModelError::Malformed { path: out.to_owned(), reason })?;
    let mut checkpoint = Checkpoint { card, vocabulary, grammar, corpora, weights };
    checkpoint.write(out)?;
    Ok(checkpoint.card)
}

fn file(path: &Path, most: u64) -> Result<Vec<u8>, ImportError> {
    limited(path, most).map_err(|reason| ImportError::Unreadable { path: path.to_owned(), reason })
}

/// The weights of a file, with the kind of numbers that it holds.
fn weights(bytes: &[u8], architecture: Architecture) -> Result<(Weights, &'static str), String> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    let kind = file.tensor(EMBEDDING).map_err(|e| format!("tensor `{EMBEDDING}`: {e}"))?.dtype();
    let dtype = match kind {
        Dtype::F32 => "F32",
        Dtype::F16 => "F16",
        Dtype::BF16 => "BF16",
        other => return Err(format!("its numbers are {other:?}, not F32, F16 or BF16")),
    };
    let mut left: Vec<&str> = file.names().into_iter().collect();
    let mut take = |name: &str, shape: &[usize]| {
        left.retain(|other| *other != name);
        let tensor = file.tensor(name).map_err(|e| format!("tensor `{name}`: {e}"))?;
        if tensor.dtype() != kind || tensor.shape() != shape {
            let (found, sizes) = (tensor.dtype(), tensor.shape());
            return Err(format!(
                "tensor `{name}` is {found:?} {sizes:?}, not {kind:?} {shape:?} as {CONFIG} has it"
            ));
        }
        let values = match kind {
            Dtype::F16 => halves(tensor.data(), |bits| half::f16::from_bits(bits).to_f32()),
            Dtype::BF16 => halves(tensor.data(), |bits| half::bf16::from_bits(bits).to_f32()),
            _ => floats(tensor.data()),
        };
        if values.iter().all(|value| value.is_finite()) {
            return Ok(values);
        }
        Err(format!("tensor `{name}` holds values that are no numbers"))
    };
    let weights = llama::weights(architecture, &mut take)?;
    if file.tensor(OUTPUT).is_ok() {
        let output = take(OUTPUT, &[architecture.vocabulary, architecture.width])?;
        if weights.values.get("embedding") != Some(&output) {
            return Err(format!(
                "`{OUTPUT}` is not the embedding; only models that share the two can be imported \
                 (tie_word_embeddings)"
            ));
        }
    }
    // Older versions kept the rotary frequencies too, which follow from the configuration.
    match left.iter().find(|name| !name.ends_with("rotary_emb.inv_freq")) {
        None => Ok((weights, dtype)),
        Some(name) if name.rsplit('.').next() == Some("bias") => {
            Err(format!("`{name}`: models with biases cannot be imported"))
        }
        Some(name) => Err(format!("`{name}` is no tensor of a plain Llama model")),
    }
}

/// Numbers of two bytes.
fn halves(bytes: &[u8], number: impl Fn(u16) -> f32) -> Vec<f32> {
    let whole = bytes.chunks_exact(2);
    whole.filter_map(|bytes| bytes.try_into().ok().map(u16::from_le_bytes)).map(number).collect()
}

#[cfg(test)]
mod tests;
