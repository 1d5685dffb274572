//! Weights at a byte a number: a quarter of the file, the same words.
//!
//! Symmetric, with a scale for each row of the embedding (a row is a token) and for each column of
//! every other matrix (a column is an output); norms stay as they are. Loaded, the numbers are floats
//! again; the forward by hand sees that they are whole ones of a scale and keeps them as bytes.

use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use super::card::{Card, Made, Stored};
use super::checkpoint::{Checkpoint, ModelError, Stowed, floats, little_endian, tensor_file};
use super::weights::{Architecture, Weights};

/// The largest whole number that a byte stands for here; -128 is left out, to be symmetric.
pub(super) const MOST: f32 = 127.0;

/// Stores the model in `model` again in `out` under `name`, at a byte a number.
pub fn quantize(model: &Path, name: &str, out: &Path) -> Result<Card, ModelError> {
    let mut checkpoint = Checkpoint::read(model)?;
    let from = Some(checkpoint.card.signature());
    let Card { training, earlier, .. } = checkpoint.card.clone();
    checkpoint.card = Card {
        stored: Stored::Q8,
        training,
        earlier,
        ..checkpoint.card.renamed(name, checkpoint.weights.architecture)
    };
    checkpoint.card.made.push(Made { what: "quantized".to_owned(), from, how: "Q8".to_owned() });
    checkpoint
        .card
        .check()
        .map_err(|reason| ModelError::Malformed { path: out.to_owned(), reason })?;
    checkpoint.write(out)?;
    Ok(checkpoint.card)
}

fn scale_name(name: &str) -> String {
    format!("{name}.scale")
}

/// Which scale a number has.
fn group(name: &str, columns: usize, at: usize) -> usize {
    if name == "embedding" { at / columns } else { at % columns }
}

fn groups(name: &str, shape: [usize; 2]) -> usize {
    if name == "embedding" { shape[0] } else { shape[1] }
}

/// The weights as a file.
pub(super) fn write(weights: &Weights) -> Result<Vec<u8>, String> {
    let mut data: Vec<Stowed> = Vec::new();
    for (name, shape) in weights.architecture.tensors() {
        let values = weights.values.get(&name).map_or(&[][..], Vec::as_slice);
        let &[rows, columns] = shape.as_slice() else {
            data.push((name, Dtype::F32, shape, little_endian(values)));
            continue;
        };
        let mut scales = vec![0.0_f32; groups(&name, [rows, columns])];
        for (at, value) in values.iter().enumerate() {
            let scale = &mut scales[group(&name, columns, at)];
            *scale = scale.max(value.abs() / MOST);
        }
        let whole = values.iter().enumerate().map(|(at, value)| {
            let scale = scales[group(&name, columns, at)];
            let whole = if scale > 0.0 { (value / scale).round().clamp(-MOST, MOST) } else { 0.0 };
            (whole as i8).to_le_bytes()[0]
        });
        let whole = whole.collect();
        data.push((scale_name(&name), Dtype::F32, vec![scales.len()], little_endian(&scales)));
        data.push((name, Dtype::I8, shape, whole));
    }
    tensor_file(&data, None)
}

/// The weights of a file that [`write`] made.
pub(super) fn read(file: &SafeTensors<'_>, architecture: Architecture) -> Result<Weights, String> {
    let tensors = architecture.tensors();
    let matrices = tensors.iter().filter(|(_, shape)| shape.len() == 2).count();
    if file.len() != tensors.len() + matrices {
        return Err(format!(
            "{} tensors where there should be {}",
            file.len(),
            tensors.len() + matrices
        ));
    }
    let take = |name: &str, dtype: Dtype, shape: &[usize]| -> Result<Vec<u8>, String> {
        let tensor = file.tensor(name).map_err(|e| format!("tensor `{name}`: {e}"))?;
        if tensor.dtype() != dtype || tensor.shape() != shape {
            let (found, sizes) = (tensor.dtype(), tensor.shape());
            return Err(format!("tensor `{name}` is {found:?} {sizes:?}, not {dtype:?} {shape:?}"));
        }
        Ok(tensor.data().to_vec())
    };
    let numbers = |name: &str, shape: &[usize]| -> Result<Vec<f32>, String> {
        let values = floats(&take(name, Dtype::F32, shape)?);
        if values.iter().all(|value| value.is_finite()) {
            return Ok(values);
        }
        Err(format!("tensor `{name}` holds values that are no numbers"))
    };
    let mut weights = Weights { architecture, values: std::collections::BTreeMap::new() };
    for (name, shape) in tensors {
        let values = if let &[rows, columns] = shape.as_slice() {
            let scales = numbers(&scale_name(&name), &[groups(&name, [rows, columns])])?;
            let whole = take(&name, Dtype::I8, &shape)?;
            let value = |(at, byte): (usize, &u8)| {
                f32::from(i8::from_le_bytes([*byte])) * scales[group(&name, columns, at)]
            };
            whole.iter().enumerate().map(value).collect()
        } else {
            numbers(&name, &shape)?
        };
        weights.values.insert(name, values);
    }
    Ok(weights)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::backend::Engine;
    use crate::model::fixture;

    #[test]
    fn a_quarter_of_the_bytes_and_nearly_the_same_logits() {
        let (model, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (vocabulary, grammar) = fixture::corpus();
        let architecture = fixture::tiny(vocabulary.len());
        let mut checkpoint = Checkpoint {
            card: Card::new("tiny", architecture),
            vocabulary,
            grammar,
            corpora: fixture::corpora(),
            weights: fixture::lively(architecture),
        };
        checkpoint.write(model.path()).unwrap();
        let card = quantize(model.path(), "tiny-q8", out.path()).unwrap();
        assert_eq!((card.stored, card.made.len()), (Stored::Q8, 1));
        let read = Checkpoint::read(out.path()).unwrap();
        assert_eq!(read.card, card);
        for (name, values) in &checkpoint.weights.values {
            let largest = values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
            let most = if name.ends_with("norm") { 0.0 } else { 0.5 * largest / MOST + 1e-6 };
            for (value, again) in values.iter().zip(&read.weights.values[name]) {
                assert!((value - again).abs() <= most, "{name}: {value} {again}");
            }
        }
        let logits = |weights: &Weights| Engine::cpu(weights).unwrap().logits(&[1, 5, 9]).unwrap();
        let (before, after) = (logits(&checkpoint.weights), logits(&read.weights));
        let apart = before.iter().zip(&after).map(|(a, b)| (a - b).abs()).fold(0.0_f32, f32::max);
        let largest = before.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        assert!(apart < 0.05 * largest, "{apart} of {largest}");
        let size = |dir: &Path| {
            std::fs::metadata(dir.join(super::super::checkpoint::WEIGHTS)).unwrap().len()
        };
        assert!(3 * size(out.path()) < size(model.path()));
        // Written again, it is the same file: rounding is done once.
        let again = tempfile::tempdir().unwrap();
        let twice = quantize(out.path(), "tiny-q8", again.path()).unwrap();
        assert_eq!(twice.weights_sha256, card.weights_sha256);
    }
}
