//! What a broken-off run goes on from, and its log: two files in a folder of their own.
//!
//! The state is replaced as a whole, so there is always one that is complete. A run goes on only
//! from a state of its own: everything that decides the run is in the fingerprint.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};

use super::super::checkpoint::{ModelError, floats, little_endian, tensor_file};
use super::Progress;

const STATE: &str = "state.safetensors";
const LOG: &str = "log.csv";
const HEAD: &str = "step,loss,rate,tokens\n";
/// Parameters and two rows of moments of the largest model that there may be.
const MAX_STATE_BYTES: u64 = 1 << 30;

/// A run between two steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct State {
    /// Steps done.
    pub step: usize,
    pub tokens: u64,
    /// Parameters and the optimiser's two rows.
    pub rows: [Vec<f32>; 3],
    /// The losses that the reported one is a mean of.
    pub losses: Vec<f32>,
}

/// Where a run is kept.
#[derive(Clone, Debug)]
pub(super) struct Keep {
    dir: PathBuf,
    fingerprint: String,
    log: String,
}

impl Keep {
    pub fn new(dir: &Path, fingerprint: String) -> Self {
        Self { dir: dir.to_owned(), fingerprint, log: HEAD.to_owned() }
    }

    /// The state to go on from, if there is one of this run.
    pub fn read(&mut self) -> Result<Option<State>, ModelError> {
        let path = self.dir.join(STATE);
        let unreadable = |reason: String| ModelError::Unreadable { path: path.clone(), reason };
        let size = match std::fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error.to_string())),
            Ok(metadata) => metadata.len(),
        };
        if size > MAX_STATE_BYTES {
            return Err(unreadable(format!("{size} bytes are no training state")));
        }
        let bytes = std::fs::read(&path).map_err(|e| unreadable(e.to_string()))?;
        let state = parse(&bytes, &self.fingerprint)
            .map_err(|reason| unreadable(format!("{reason}; remove the folder to begin anew")))?;
        let log = std::fs::read_to_string(self.dir.join(LOG)).unwrap_or_default();
        for line in log.lines().skip(1) {
            let step = line.split(',').next().and_then(|step| step.parse::<usize>().ok());
            if step.is_some_and(|step| step <= state.step) {
                let _written = writeln!(self.log, "{line}");
            }
        }
        Ok(Some(state))
    }

    pub fn note(&mut self, progress: &Progress) {
        let Progress { step, loss, rate, tokens, .. } = progress;
        // Writing to a string cannot fail.
        let _written = writeln!(self.log, "{step},{loss:.5},{rate:.3e},{tokens}");
    }

    pub fn write(&self, state: &State) -> Result<(), ModelError> {
        let path = self.dir.join(STATE);
        let unwritable = |reason: String| ModelError::Unwritable { path: path.clone(), reason };
        let failed = |error: std::io::Error| unwritable(error.to_string());
        std::fs::create_dir_all(&self.dir).map_err(failed)?;
        std::fs::write(self.dir.join(LOG), &self.log).map_err(failed)?;
        let bytes = bytes(state, &self.fingerprint).map_err(unwritable)?;
        let fresh = path.with_extension("fresh");
        std::fs::write(&fresh, bytes).map_err(failed)?;
        std::fs::rename(&fresh, &path).map_err(failed)
    }

    /// The run is done: its log stays, its state is of no more use.
    pub fn finish(&self) -> Result<(), ModelError> {
        let path = self.dir.join(STATE);
        let failed = |error: std::io::Error| ModelError::Unwritable {
            path: path.clone(),
            reason: error.to_string(),
        };
        std::fs::create_dir_all(&self.dir).map_err(failed)?;
        std::fs::write(self.dir.join(LOG), &self.log).map_err(failed)?;
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        }
    }
}

const NAMES: [&str; 4] = ["parameters", "first", "second", "losses"];

fn bytes(state: &State, fingerprint: &str) -> Result<Vec<u8>, String> {
    let [parameters, first, second] = &state.rows;
    let rows = [parameters, first, second, &state.losses];
    let tensors = NAMES
        .iter()
        .zip(rows)
        .map(|(name, row)| ((*name).to_owned(), Dtype::F32, vec![row.len()], little_endian(row)));
    let about = HashMap::from([
        ("run".to_owned(), fingerprint.to_owned()),
        ("step".to_owned(), state.step.to_string()),
        ("tokens".to_owned(), state.tokens.to_string()),
    ]);
    tensor_file(&tensors.collect::<Vec<_>>(), Some(about))
}

fn parse(bytes: &[u8], fingerprint: &str) -> Result<State, String> {
    let (_, head) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
    let about = head.metadata().clone().unwrap_or_default();
    if about.get("run").is_none_or(|run| run != fingerprint) {
        return Err("it is of a run with other options or phrase material".to_owned());
    }
    let file = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    let row = |name: &str| -> Result<Vec<f32>, String> {
        let tensor = file.tensor(name).map_err(|e| e.to_string())?;
        Ok(floats(tensor.data()))
    };
    let number = |name: &str| about.get(name).and_then(|text| text.parse::<u64>().ok());
    let missing = || "it does not say where the run was".to_owned();
    let [parameters, first, second, losses] = NAMES;
    Ok(State {
        step: number("step").and_then(|step| step.try_into().ok()).ok_or_else(missing)?,
        tokens: number("tokens").ok_or_else(missing)?,
        rows: [row(parameters)?, row(first)?, row(second)?],
        losses: row(losses)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_comes_back_to_its_own_run_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut keep = Keep::new(dir.path(), "one".to_owned());
        assert_eq!(keep.read().unwrap(), None);
        let state = State {
            step: 20,
            tokens: 7,
            rows: [vec![1.0, 2.0], vec![0.5, 0.0], vec![3.0, 4.0]],
            losses: vec![0.25],
        };
        for step in [10, 20, 30] {
            keep.note(&Progress { step, steps: 40, loss: 0.5, rate: 1e-3, tokens: 7 });
        }
        keep.write(&state).unwrap();
        let mut again = Keep::new(dir.path(), "one".to_owned());
        assert_eq!(again.read().unwrap(), Some(state));
        assert_eq!(
            again.log,
            "step,loss,rate,tokens\n10,0.50000,1.000e-3,7\n20,0.50000,1.000e-3,7\n"
        );
        let other = Keep::new(dir.path(), "other".to_owned()).read().unwrap_err();
        assert!(other.to_string().contains("other options"), "{other}");

        again.finish().unwrap();
        assert_eq!(again.read().unwrap(), None);
        assert!(dir.path().join(LOG).exists());
    }
}
