//! A smaller model that learns from a larger one (Hinton, Vinyals and Dean 2015).
//!
//! It reads the same texts, and at each position all that its teacher expects there, not only the
//! word that came. Some of the teacher's layers are where it begins (Sanh et al. 2019).

use std::path::Path;

use super::super::card::{Card, Made};
use super::super::checkpoint::Checkpoint;
use super::super::weights::{Architecture, Weights};
use super::fit::{Teacher, fit};
use super::{Progress, Run, TrainError, ended, finish, texts};

/// Weight of the texts themselves beside the teacher's expectations.
pub const HARD: f32 = 0.2;

/// Makes a student of `layers` layers of the model in `teacher`, and stores it in `out` under
/// `name`.
pub fn distill(
    teacher: &Path,
    name: &str,
    layers: usize,
    run: &Run<'_>,
    out: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Card, TrainError> {
    run.schedule.check()?;
    let mut checkpoint = Checkpoint::read(teacher)?;
    let of = checkpoint.weights.architecture;
    if layers == 0 || layers > of.layers {
        return Err(TrainError::Options(format!(
            "a student has 1 to {} layers, not {layers}",
            of.layers
        )));
    }
    let architecture = Architecture { layers, ..of };
    let from = Some(checkpoint.card.signature());
    checkpoint.card = checkpoint.card.renamed(name, architecture);
    checkpoint.card.check().map_err(TrainError::Options)?;
    let start = first_layers(&checkpoint.weights, architecture);
    let fitted = {
        let texts = texts(&checkpoint.vocabulary, &checkpoint.grammar, &run.schedule);
        let teacher = Teacher { weights: &checkpoint.weights, hard: HARD };
        fit(run, &start, &texts, Some(teacher), progress)?
    };
    let how = format!("{layers} of {} layers; {}", of.layers, ended(run, &fitted));
    let made = Made { what: "distilled".to_owned(), from, how };
    finish(checkpoint, fitted, &run.schedule, made, out)
}

/// The teacher's weights with some of its layers, evenly spread, the first among them.
fn first_layers(teacher: &Weights, architecture: Architecture) -> Weights {
    let step = teacher.architecture.layers as f32 / architecture.layers as f32;
    let mut values = std::collections::BTreeMap::new();
    for (name, _) in architecture.tensors() {
        let source = match name.strip_prefix("layers.").and_then(|rest| rest.split_once('.')) {
            Some((layer, part)) => {
                let layer: usize = layer.parse().unwrap_or(0);
                format!("layers.{}.{part}", (layer as f32 * step) as usize)
            }
            None => name.clone(),
        };
        values.insert(name, teacher.values.get(&source).cloned().unwrap_or_default());
    }
    Weights { architecture, values }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    #[test]
    fn a_student_begins_with_every_other_layer() {
        let of = Architecture { layers: 4, ..fixture::tiny(64) };
        let teacher = fixture::lively(of);
        let student = first_layers(&teacher, Architecture { layers: 2, ..of });
        assert_eq!(student.values["layers.1.down"], teacher.values["layers.2.down"]);
        assert_eq!(student.values["embedding"], teacher.values["embedding"]);
        assert_eq!(student.flat().len(), student.architecture.parameters());
    }
}
