//! A model in the formats of others: for Hugging Face's `transformers`, for ONNX runtimes, for
//! llama.cpp.
//!
//! Every format gets the same float weights, so greedy texts are the same everywhere. What stays
//! behind is the constraint: elsewhere nothing keeps the model to valid texts.

use std::path::{Path, PathBuf};

use super::card::Card;
use super::checkpoint::{Checkpoint, ModelError, store};

mod gguf;
mod hugging_face;
mod onnx;
mod protobuf;

/// The formats that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A folder for `transformers`: `config.json`, `model.safetensors`, `tokenizer.json`.
    Safetensors,
    /// `model.onnx`
    Onnx,
    /// `model.gguf`
    Gguf,
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Exported {
    pub card: Card,
    /// The files with their sizes in bytes.
    pub files: Vec<(PathBuf, usize)>,
}

/// Writes the model in `model` into the folder `out`.
pub fn export(model: &Path, format: Format, out: &Path) -> Result<Exported, ModelError> {
    let checkpoint = Checkpoint::read(model)?;
    let unwritable = |reason: String| ModelError::Unwritable { path: out.to_owned(), reason };
    let files = match format {
        Format::Safetensors => hugging_face::files(&checkpoint),
        Format::Onnx => onnx::file(&checkpoint).map(|bytes| vec![("model.onnx", bytes)]),
        Format::Gguf => gguf::file(&checkpoint).map(|bytes| vec![("model.gguf", bytes)]),
    }
    .map_err(unwritable)?;
    std::fs::create_dir_all(out).map_err(|e| unwritable(e.to_string()))?;
    let mut written = Vec::new();
    for (name, bytes) in files {
        let path = out.join(name);
        store(&path, &bytes)?;
        written.push((path, bytes.len()));
    }
    Ok(Exported { card: checkpoint.card, files: written })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    #[test]
    fn every_format_is_written_and_a_folder_that_is_none_is_an_error() {
        let (model, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut checkpoint = fixture::checkpoint();
        checkpoint.write(model.path()).unwrap();
        let bytes = 4 * checkpoint.weights.architecture.parameters();
        for (format, count) in [(Format::Safetensors, 5), (Format::Onnx, 1), (Format::Gguf, 1)] {
            let exported = export(model.path(), format, out.path()).unwrap();
            assert_eq!(exported.card, checkpoint.card);
            assert_eq!(exported.files.len(), count);
            assert!(exported.files.iter().map(|(_, size)| size).sum::<usize>() > bytes);
            for (path, size) in exported.files {
                assert_eq!(std::fs::metadata(path).unwrap().len(), size as u64);
            }
        }
        let error = export(out.path(), Format::Onnx, out.path()).unwrap_err();
        assert!(matches!(error, ModelError::Unreadable { .. }), "{error}");
    }
}
