//! A model's folder: weights, vocabulary with its phrase material, and the card that vouches for
//! both by hash.
//!
//! Whatever the files hold, reading them ends in a model or in an error that says what to do.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::card::{Card, Stored, begin_of};
use super::corpus::Corpus;
use super::grammar::{Grammar, GrammarError};
use super::quantize;
use super::vocabulary::{MAX_REQUEST_TOKENS, Vocabulary, VocabularyError};
use super::weights::{Architecture, Named, Weights};

pub const WEIGHTS: &str = "weights.safetensors";
pub const VOCABULARY: &str = "vocabulary.json";
pub const CARD: &str = "card.json";
pub const README: &str = "README.md";

pub(super) const MAX_WEIGHTS_BYTES: u64 = 64 << 20;
const MAX_VOCABULARY_BYTES: u64 = 4 << 20;
pub(super) const MAX_CARD_BYTES: u64 = 256 << 10;

/// Why a model folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error(
        "cannot read {path}: {reason}; a model folder holds {WEIGHTS}, {VOCABULARY} and {CARD}"
    )]
    Unreadable { path: PathBuf, reason: String },
    #[error("cannot write {path}: {reason}")]
    Unwritable { path: PathBuf, reason: String },
    #[error("{path} is damaged or of another version: {reason}; {RESTORE}")]
    Malformed { path: PathBuf, reason: String },
    #[error(
        "{path} is not the file that its card vouches for: its SHA-256 begins {found}, the card \
         says {expected}; {RESTORE}"
    )]
    HashMismatch { path: PathBuf, expected: String, found: String },
    #[error("the phrase material of {path} cannot be used: {reason}; {RESTORE}")]
    Grammar { path: PathBuf, reason: GrammarError },
    #[error(
        "the adapter in {path} was trained with {of}, the model beside it is {model}; remove the \
         folder, or train it again with `wayside model adapt`"
    )]
    OtherModels { path: PathBuf, of: String, model: String },
    #[error("the model in {path} cannot be run on this machine: {reason}")]
    Backend { path: PathBuf, reason: String },
}

const RESTORE: &str = "restore the folder, or train the model again with `wayside model train`";

/// A model folder's content, checked.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    pub card: Card,
    pub vocabulary: Vocabulary,
    pub grammar: Grammar,
    /// The phrase material that the grammar was made from.
    pub corpora: Vec<Corpus>,
    pub weights: Weights,
}

/// `vocabulary.json`
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VocabularyFile {
    version: u32,
    tokens: Vec<String>,
    corpora: Vec<Corpus>,
}

const VOCABULARY_VERSION: u32 = 1;

impl Checkpoint {
    pub fn read(dir: &Path) -> Result<Self, ModelError> {
        let (card, file, weights) = parts(dir)?;
        let path = dir.join(VOCABULARY);
        let malformed = |reason: String| malformed(&path, reason);
        let vocabulary = Vocabulary::from_tokens(file.tokens)
            .map_err(|e: VocabularyError| malformed(e.to_string()))?;
        let grammar = Grammar::new(&file.corpora, &vocabulary)
            .map_err(|reason| ModelError::Grammar { path: path.clone(), reason })?;
        let architecture = card.architecture;
        if vocabulary.len() != architecture.vocabulary {
            let reason =
                format!("{} tokens, the card says {}", vocabulary.len(), architecture.vocabulary);
            return Err(malformed(reason));
        }
        room(&grammar, architecture).map_err(malformed)?;
        Ok(Self { card, vocabulary, grammar, corpora: file.corpora, weights })
    }

    /// The model of a folder with other phrase material, to be trained on: tokens that it has keep
    /// what it has learnt of them, even those of an earlier version of this program.
    pub fn read_with(dir: &Path, corpora: Vec<Corpus>) -> Result<Self, ModelError> {
        let (mut card, file, known) = parts(dir)?;
        let (vocabulary, grammar) = Grammar::learn(&corpora)
            .map_err(|reason| ModelError::Grammar { path: dir.join(VOCABULARY), reason })?;
        let architecture = Architecture {
            vocabulary: vocabulary.len(),
            context: card.architecture.context.max(context_for(&grammar)),
            ..card.architecture
        };
        let weights = extended(&known, &file.tokens, vocabulary.tokens(), architecture);
        card.architecture = architecture;
        card.parameters = architecture.parameters();
        card.stored = Stored::default();
        Ok(Self { card, vocabulary, grammar, corpora, weights })
    }

    /// Writes the folder anew; the card's hashes and sizes are set to what was written. The card
    /// comes last, so a broken-off writing leaves hashes that do not match.
    pub fn write(&mut self, dir: &Path) -> Result<(), ModelError> {
        std::fs::create_dir_all(dir)
            .map_err(|e| ModelError::Unwritable { path: dir.to_owned(), reason: e.to_string() })?;
        let vocabulary = json(&VocabularyFile {
            version: VOCABULARY_VERSION,
            tokens: self.vocabulary.tokens().to_vec(),
            corpora: self.corpora.clone(),
        });
        let weights = weights_file(&self.weights, self.card.stored)
            .map_err(|reason| ModelError::Unwritable { path: dir.join(WEIGHTS), reason })?;
        self.card.architecture = self.weights.architecture;
        self.card.parameters = self.weights.architecture.parameters();
        self.card.vocabulary_sha256 = sha256(&vocabulary);
        self.card.weights_sha256 = sha256(&weights);
        store(&dir.join(VOCABULARY), &vocabulary)?;
        store(&dir.join(WEIGHTS), &weights)?;
        self.write_card(dir)
    }

    /// Writes the card and the page made from it, and nothing else.
    pub fn write_card(&self, dir: &Path) -> Result<(), ModelError> {
        store(&dir.join(README), self.card.page().as_bytes())?;
        store(&dir.join(CARD), &json(&self.card))
    }
}

/// The weights for another vocabulary: a row a token, as it was or, where the token is new, as it would
/// be in a model that has learnt nothing.
fn extended(
    known: &Weights,
    before: &[String],
    tokens: &[String],
    architecture: Architecture,
) -> Weights {
    let width = architecture.width;
    let mut weights = Weights { architecture, values: known.values.clone() };
    let rows: HashMap<&str, &[f32]> = known
        .values
        .get("embedding")
        .into_iter()
        .flat_map(|embedding| before.iter().map(String::as_str).zip(embedding.chunks_exact(width)))
        .collect();
    let fresh = Weights::random(architecture, 1);
    if let Some(fresh) = fresh.values.get("embedding") {
        let row = |(token, fresh)| rows.get(token).copied().unwrap_or(fresh);
        let tokens = tokens.iter().map(String::as_str).zip(fresh.chunks_exact(width));
        weights.values.insert("embedding".to_owned(), tokens.flat_map(row).copied().collect());
    }
    weights
}

/// The card, the vocabulary's file as it stands and the weights: what the card vouches for.
fn parts(dir: &Path) -> Result<(Card, VocabularyFile, Weights), ModelError> {
    let path = dir.join(CARD);
    let card: Card = serde_json::from_slice(&bounded(&path, MAX_CARD_BYTES)?)
        .map_err(|e| malformed(&path, e.to_string()))?;
    card.check().map_err(|reason| malformed(&path, reason))?;

    let path = dir.join(VOCABULARY);
    let bytes = bounded(&path, MAX_VOCABULARY_BYTES)?;
    vouched(&path, &bytes, &card.vocabulary_sha256)?;
    let file = read_vocabulary(&path, &bytes)?;

    let path = dir.join(WEIGHTS);
    let bytes = bounded(&path, MAX_WEIGHTS_BYTES)?;
    vouched(&path, &bytes, &card.weights_sha256)?;
    let weights = read_weights(&bytes, card.architecture, card.stored)
        .map_err(|reason| malformed(&path, reason))?;
    Ok((card, file, weights))
}

fn read_vocabulary(path: &Path, bytes: &[u8]) -> Result<VocabularyFile, ModelError> {
    let file: VocabularyFile =
        serde_json::from_slice(bytes).map_err(|e| malformed(path, e.to_string()))?;
    if file.version != VOCABULARY_VERSION {
        let reason = format!("version {} is not {VOCABULARY_VERSION}", file.version);
        return Err(malformed(path, reason));
    }
    Ok(file)
}

pub(super) fn malformed(path: &Path, reason: String) -> ModelError {
    ModelError::Malformed { path: path.to_owned(), reason }
}

/// Room for the longest request and text, in whole blocks of 32 for the device's sake.
pub(super) fn context_for(grammar: &Grammar) -> usize {
    longest(grammar).next_multiple_of(32)
}

fn longest(grammar: &Grammar) -> usize {
    MAX_REQUEST_TOKENS + grammar.longest()
}

/// Whether the longest request and text fit the context.
pub(super) fn room(grammar: &Grammar, architecture: Architecture) -> Result<(), String> {
    let longest = longest(grammar);
    if longest <= architecture.context {
        return Ok(());
    }
    Err(format!(
        "a text may need {longest} tokens, the model's context is {}",
        architecture.context
    ))
}

fn read_weights(
    bytes: &[u8],
    architecture: Architecture,
    stored: Stored,
) -> Result<Weights, String> {
    if stored == Stored::Q8 {
        let file = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
        return quantize::read(&file, architecture);
    }
    Ok(Weights { architecture, values: float_tensors(bytes, architecture.tensors())? })
}

/// The values of a file that holds these tensors of four bytes a number, and no others.
pub(super) fn float_tensors(
    bytes: &[u8],
    expected: Vec<Named>,
) -> Result<BTreeMap<String, Vec<f32>>, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    if file.len() != expected.len() {
        return Err(format!("{} tensors where there should be {}", file.len(), expected.len()));
    }
    let mut tensors = BTreeMap::new();
    for (name, shape) in expected {
        let tensor = file.tensor(&name).map_err(|e| format!("tensor `{name}`: {e}"))?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
            return Err(format!(
                "tensor `{name}` is {:?} {:?}, not F32 {shape:?}",
                tensor.dtype(),
                tensor.shape()
            ));
        }
        let values = floats(tensor.data());
        if !values.iter().all(|value| value.is_finite()) {
            return Err(format!("tensor `{name}` holds values that are no numbers"));
        }
        tensors.insert(name, values);
    }
    Ok(tensors)
}

/// Little-endian numbers; what is left over at the end is passed over.
pub(super) fn floats(bytes: &[u8]) -> Vec<f32> {
    let whole = bytes.chunks_exact(4);
    whole.filter_map(|bytes| bytes.try_into().ok().map(f32::from_le_bytes)).collect()
}

/// Numbers as files hold them.
pub(super) fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn weights_file(weights: &Weights, stored: Stored) -> Result<Vec<u8>, String> {
    if stored == Stored::Q8 {
        return quantize::write(weights);
    }
    floats_file(weights.architecture.tensors(), &weights.values)
}

/// A file of these tensors at four bytes a number; see [`float_tensors`].
pub(super) fn floats_file(
    tensors: Vec<Named>,
    values: &BTreeMap<String, Vec<f32>>,
) -> Result<Vec<u8>, String> {
    let tensors = tensors.into_iter().map(|(name, shape)| {
        let values = values.get(&name).map_or(&[][..], Vec::as_slice);
        (name, Dtype::F32, shape, little_endian(values))
    });
    tensor_file(&tensors.collect::<Vec<_>>(), None)
}

/// A tensor as it stands in a file: name, type, shape, bytes.
pub(super) type Stowed = (String, Dtype, Vec<usize>, Vec<u8>);

/// A safetensors file, with what is to be said about it.
pub(super) fn tensor_file(
    tensors: &[Stowed],
    about: Option<HashMap<String, String>>,
) -> Result<Vec<u8>, String> {
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| {
            TensorView::new(*dtype, shape.clone(), bytes)
                .map(|view| (name, view))
                .map_err(|e| format!("tensor `{name}`: {e}"))
        })
        .collect::<Result<Vec<_>, String>>()?;
    safetensors::serialize(views, about).map_err(|e| e.to_string())
}

pub(super) fn bounded(path: &Path, most: u64) -> Result<Vec<u8>, ModelError> {
    limited(path, most).map_err(|reason| ModelError::Unreadable { path: path.to_owned(), reason })
}

/// A file of `most` bytes or fewer.
pub(super) fn limited(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let size = std::fs::metadata(path).map_err(|e| e.to_string())?.len();
    if size > most {
        return Err(format!("{size} bytes, more than the {most} allowed"));
    }
    std::fs::read(path).map_err(|e| e.to_string())
}

pub(super) fn vouched(path: &Path, bytes: &[u8], expected: &str) -> Result<(), ModelError> {
    let found = sha256(bytes);
    if found == expected {
        return Ok(());
    }
    Err(ModelError::HashMismatch {
        path: path.to_owned(),
        expected: begin_of(expected),
        found: begin_of(&found),
    })
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// Plain data to indented JSON, with a line end.
pub(super) fn json<T: Serialize>(value: &T) -> Vec<u8> {
    // Strings, numbers and lists of them: there is nothing that JSON could refuse.
    let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

pub(super) fn store(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    std::fs::write(path, bytes)
        .map_err(|e| ModelError::Unwritable { path: path.to_owned(), reason: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    fn stored() -> (tempfile::TempDir, Checkpoint) {
        let dir = tempfile::tempdir().unwrap();
        let mut checkpoint = fixture::checkpoint();
        checkpoint.write(dir.path()).unwrap();
        (dir, checkpoint)
    }

    #[test]
    fn what_is_written_is_read() {
        let (dir, written) = stored();
        let read = Checkpoint::read(dir.path()).unwrap();
        assert_eq!(read.weights, written.weights);
        assert_eq!(read.vocabulary, written.vocabulary);
        assert_eq!(read.grammar, written.grammar);
        assert_eq!(read.card, written.card);
        assert!(dir.path().join(README).exists());
    }

    /// Tokens keep what was learnt of them wherever they stand now.
    #[test]
    fn other_phrases_keep_what_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let mut fewer = fixture::corpora();
        for corpus in &mut fewer {
            corpus.sign.until.clear();
            corpus.vehicle.until.clear();
        }
        let (vocabulary, grammar) = Grammar::learn(&fewer).unwrap();
        let weights = fixture::lively(fixture::tiny(vocabulary.len()));
        let card = Card::new("tiny", weights.architecture);
        let mut before = Checkpoint { card, vocabulary, grammar, corpora: fewer, weights };
        before.write(dir.path()).unwrap();
        let after = Checkpoint::read_with(dir.path(), fixture::corpora()).unwrap();
        assert!(after.vocabulary.len() > before.vocabulary.len());
        after.card.check().unwrap();
        let width = after.card.architecture.width;
        let row = |checkpoint: &Checkpoint, token: &str| -> Option<Vec<f32>> {
            let at = checkpoint.vocabulary.tokens().iter().position(|other| other == token)?;
            Some(checkpoint.weights.values["embedding"][at * width..(at + 1) * width].to_vec())
        };
        for token in before.vocabulary.tokens() {
            assert_eq!(row(&after, token), row(&before, token), "{token}");
        }
        assert_eq!(after.weights.values["layers.1.down"], before.weights.values["layers.1.down"]);
        assert_eq!(after.weights.flat().len(), after.card.parameters);
    }

    #[test]
    fn a_changed_file_does_not_match_its_card() {
        for file in [WEIGHTS, VOCABULARY] {
            let (dir, _) = stored();
            let path = dir.path().join(file);
            let mut bytes = std::fs::read(&path).unwrap();
            let last = bytes.len() - 2;
            bytes[last] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            let error = Checkpoint::read(dir.path()).unwrap_err();
            assert!(matches!(error, ModelError::HashMismatch { .. }), "{error}");
            assert!(error.to_string().contains("model train"), "{error}");
        }
    }

    /// Garbage under a right hash: the hash is no defence against a file that was made wrong.
    #[test]
    fn garbage_is_an_error_not_a_panic() {
        let (dir, checkpoint) = stored();
        let good = weights_file(&checkpoint.weights, Stored::F32).unwrap();
        let architecture = checkpoint.weights.architecture;
        for garbage in
            [&b""[..], b"\xff\xff\xff\xff\xff\xff\xff\x7f", b"{}", &good[..good.len() / 2]]
        {
            assert!(read_weights(garbage, architecture, Stored::F32).is_err());
        }
        let other = Architecture { layers: 1, ..architecture };
        assert!(read_weights(&good, other, Stored::F32).is_err());
        let wide = Architecture { width: 64, ..architecture };
        assert!(read_weights(&good, wide, Stored::F32).is_err());
        let mut infinite = checkpoint.weights.clone();
        infinite.values.get_mut("norm").unwrap()[0] = f32::INFINITY;
        assert!(
            read_weights(&weights_file(&infinite, Stored::F32).unwrap(), architecture, Stored::F32)
                .is_err()
        );

        for text in ["", "[]", "{\"version\":2,\"tokens\":[],\"corpora\":[]}", "{\"version\":1}"] {
            assert!(read_vocabulary(Path::new("v"), text.as_bytes()).is_err(), "{text}");
        }
        for text in ["", "{}", "null"] {
            std::fs::write(dir.path().join(CARD), text).unwrap();
            assert!(matches!(Checkpoint::read(dir.path()), Err(ModelError::Malformed { .. })));
        }
        std::fs::remove_file(dir.path().join(CARD)).unwrap();
        assert!(matches!(Checkpoint::read(dir.path()), Err(ModelError::Unreadable { .. })));
    }

    #[test]
    fn a_context_too_short_for_the_longest_text_is_refused() {
        let (dir, mut checkpoint) = stored();
        checkpoint.weights.architecture.context = 32;
        checkpoint.write(dir.path()).unwrap();
        let error = Checkpoint::read(dir.path()).unwrap_err();
        assert!(error.to_string().contains("context is 32"), "{error}");
    }
}
