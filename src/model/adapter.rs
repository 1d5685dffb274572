//! Adapters: a small addition to a model's weights for each condition (closure, congestion, incident,
//! weather and events), chosen by the request.
//!
//! What the feed-forward part of each layer gives is corrected by a product of two narrow matrices
//! (`LoRA`: Hu et al. 2022). An adapter belongs to one model, by the hash of its weights; without any
//! the model alone writes. Knows nothing of devices or of how it was trained.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::card::{Card, Training, begin_of};
use super::checkpoint::{
    CARD, MAX_CARD_BYTES, ModelError, README, WEIGHTS, bounded, float_tensors, floats_file, json,
    malformed, sha256, store, vouched,
};
use super::weights::{Architecture, Named, from_one_row, in_one_row, normal};
use crate::domain::closure::Reason;
use crate::domain::wording::{Problem, WordingRequest};

/// Folder of the adapters in that of their model.
pub const ADAPTERS: &str = "adapters";

const VERSION: u32 = 1;
const MAX_WEIGHTS_BYTES: u64 = 4 << 20;
pub(super) const MOST_RANK: usize = 64;

/// What a direction is about, as far as its words differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    Closure,
    Congestion,
    Incident,
    /// Whatever is closed or happened, because of the weather or of something people come to.
    WeatherEvent,
}

impl Condition {
    pub const ALL: [Self; 4] =
        [Self::Closure, Self::Congestion, Self::Incident, Self::WeatherEvent];

    pub fn word(self) -> &'static str {
        match self {
            Self::Closure => "closure",
            Self::Congestion => "congestion",
            Self::Incident => "incident",
            Self::WeatherEvent => "weather_event",
        }
    }

    pub fn of(request: &WordingRequest) -> Self {
        match (request.reason, request.problem) {
            (None | Some(Reason::Roadworks | Reason::Accident), Problem::RoadClosed) => {
                Self::Closure
            }
            (None | Some(Reason::Roadworks | Reason::Accident), Problem::Incident) => {
                Self::Incident
            }
            (None, Problem::Queue | Problem::SlowTraffic | Problem::HeavyTraffic) => {
                Self::Congestion
            }
            _ => Self::WeatherEvent,
        }
    }
}

/// The numbers of an adapter on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    pub architecture: Architecture,
    pub rank: usize,
    /// Values in row-major order, by the names of [`tensors`].
    pub values: BTreeMap<String, Vec<f32>>,
}

/// Every tensor of an adapter with its name and shape, in order: for each layer the feed-forward
/// part's inner numbers down to `rank`, and from there to the model's width.
pub fn tensors(architecture: Architecture, rank: usize) -> Vec<Named> {
    let Architecture { layers, hidden, width, .. } = architecture;
    let of_layer = |layer| {
        let [narrow, widen] = names(layer);
        [(narrow, vec![hidden, rank]), (widen, vec![rank, width])]
    };
    (0..layers).flat_map(of_layer).collect()
}

/// The two tensors of a layer.
pub(super) fn names(layer: usize) -> [String; 2] {
    [format!("layers.{layer}.narrow"), format!("layers.{layer}.widen")]
}

impl Adapter {
    /// One that has learnt nothing and changes nothing: the second matrix is zero.
    pub fn new(architecture: Architecture, rank: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let deviation = (architecture.hidden as f32).sqrt().recip();
        let values = tensors(architecture, rank).into_iter().map(|(name, shape)| {
            let scale = if name.ends_with("narrow") { deviation } else { 0.0 };
            let count: usize = shape.iter().product();
            (name, (0..count).map(|_| scale * normal(&mut rng)).collect())
        });
        Self { architecture, rank, values: values.collect() }
    }

    /// All values in one row, in the order of [`tensors`].
    pub fn flat(&self) -> Vec<f32> {
        in_one_row(&tensors(self.architecture, self.rank), &self.values)
    }

    /// The inverse of [`Self::flat`]; `None` when the count is another.
    pub fn from_flat(architecture: Architecture, rank: usize, flat: &[f32]) -> Option<Self> {
        let values = from_one_row(tensors(architecture, rank), flat)?;
        Some(Self { architecture, rank, values })
    }
}

/// `card.json` of an adapter's folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdapterCard {
    /// Of this form, not of the adapter.
    pub version: u32,
    pub condition: Condition,
    /// SPDX.
    pub licence: String,
    /// The model that it belongs to, with the beginning of its hash ...
    pub of: String,
    /// ... and the whole hash.
    pub of_weights_sha256: String,
    pub rank: usize,
    pub parameters: usize,
    pub weights_sha256: String,
    /// Its losses are of contexts of this condition alone.
    pub training: Training,
    /// The held-out loss of the model alone, on the same texts.
    pub held_out_loss_without: f32,
}

impl AdapterCard {
    pub fn new(
        condition: Condition,
        of: &Card,
        adapter: &Adapter,
        training: Training,
        held_out_loss_without: f32,
    ) -> Self {
        Self {
            version: VERSION,
            condition,
            licence: "Apache-2.0".to_owned(),
            of: of.signature(),
            of_weights_sha256: of.weights_sha256.clone(),
            rank: adapter.rank,
            parameters: adapter.values.values().map(Vec::len).sum(),
            weights_sha256: String::new(),
            training,
            held_out_loss_without,
        }
    }

    /// Condition and the first 12 digits of the weights' hash.
    pub fn signature(&self) -> String {
        format!("{}-{}", self.condition.word(), begin_of(&self.weights_sha256))
    }

    /// The card as a page for people.
    pub fn page(&self) -> String {
        let t = &self.training;
        format!(
            "# {} of {}\n\n\
             An addition to the weights of a language model that words route directions: it is used \
             for requests of this condition alone,\nand only with the model that it was trained \
             with. Without it that model writes by itself.\n\n\
             This page is written by `wayside model adapt` from `card.json`.\n\n\
             | | |\n|---|---|\n\
             | Licence | {} |\n\
             | Of the model with weights | SHA-256 `{}` |\n\
             | Size | {} parameters: rank {} beside each layer's feed-forward part |\n\
             | Weights | `{WEIGHTS}`, F32, SHA-256 `{}` |\n\
             | Data | the model's phrase material, contexts of this condition drawn at random from \
             seed {}; one in sixteen, by hash, is never trained on |\n\
             | Steps | {} of {} texts, {} tokens in all; the model's own weights stay |\n\
             | Optimiser | AdamW, learning rate {} with warm-up and cosine, weight decay {} |\n\
             | Loss a token on held-out contexts | {:.4}; of the model alone {:.4} |\n",
            self.condition.word(),
            self.of,
            self.licence,
            self.of_weights_sha256,
            self.parameters,
            self.rank,
            self.weights_sha256,
            t.seed,
            t.steps,
            t.batch,
            t.tokens,
            t.learning_rate,
            t.weight_decay,
            t.held_out_loss,
            self.held_out_loss_without,
        )
    }
}

/// An adapter as it is used.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    pub card: AdapterCard,
    pub adapter: Adapter,
}

pub(super) fn check_rank(rank: usize) -> Result<(), String> {
    match rank {
        1..=MOST_RANK => Ok(()),
        _ => Err(format!("rank {rank} is not within 1 to {MOST_RANK}")),
    }
}

/// Where the adapter of a condition lies.
pub fn folder(model: &Path, condition: Condition) -> PathBuf {
    model.join(ADAPTERS).join(condition.word())
}

/// Stores an adapter with its model; the card's hash is set to what was written.
pub fn write(model: &Path, card: &mut AdapterCard, adapter: &Adapter) -> Result<(), ModelError> {
    let dir = folder(model, card.condition);
    let unwritable = |reason: String| ModelError::Unwritable { path: dir.clone(), reason };
    std::fs::create_dir_all(&dir).map_err(|e| unwritable(e.to_string()))?;
    let names = tensors(adapter.architecture, adapter.rank);
    let weights = floats_file(names, &adapter.values).map_err(unwritable)?;
    card.weights_sha256 = sha256(&weights);
    store(&dir.join(WEIGHTS), &weights)?;
    store(&dir.join(README), card.page().as_bytes())?;
    store(&dir.join(CARD), &json(card))
}

/// The adapters of a model's folder, each where there is one, and why some of them cannot be used:
/// they are damaged, or belong to another model.
pub fn read_all(model: &Path, of: &Card) -> (Vec<Loaded>, Vec<ModelError>) {
    let (mut adapters, mut errors) = (Vec::new(), Vec::new());
    for condition in Condition::ALL {
        let dir = folder(model, condition);
        if dir.exists() {
            match read(&dir, condition, of) {
                Ok(adapter) => adapters.push(adapter),
                Err(error) => errors.push(error),
            }
        }
    }
    (adapters, errors)
}

fn read(dir: &Path, condition: Condition, of: &Card) -> Result<Loaded, ModelError> {
    let path = dir.join(CARD);
    let card: AdapterCard = serde_json::from_slice(&bounded(&path, MAX_CARD_BYTES)?)
        .map_err(|e| malformed(&path, e.to_string()))?;
    if card.version != VERSION || card.condition != condition {
        let found = (card.version, card.condition.word());
        return Err(malformed(&path, format!("it is of version and condition {found:?}")));
    }
    check_rank(card.rank).map_err(|reason| malformed(&path, reason))?;
    if card.of_weights_sha256 != of.weights_sha256 {
        return Err(ModelError::OtherModels {
            path: dir.to_owned(),
            of: card.of,
            model: of.signature(),
        });
    }
    let path = dir.join(WEIGHTS);
    let bytes = bounded(&path, MAX_WEIGHTS_BYTES)?;
    vouched(&path, &bytes, &card.weights_sha256)?;
    let values = float_tensors(&bytes, tensors(of.architecture, card.rank))
        .map_err(|reason| malformed(&path, reason))?;
    let adapter = Adapter { architecture: of.architecture, rank: card.rank, values };
    Ok(Loaded { card, adapter })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::wording::Space;
    use crate::model::fixture;
    use crate::model::{ModelError, load_slm};
    use crate::plan::Backend;
    use crate::ports::Writer;

    #[test]
    fn a_request_has_the_condition_of_its_problem_and_reason() {
        let of = |problem, reason| {
            let request = fixture::request(Space::Vehicle { max_chars: 100 });
            Condition::of(&WordingRequest { problem, reason, ..request })
        };
        assert_eq!(of(Problem::RoadClosed, None), Condition::Closure);
        assert_eq!(of(Problem::RoadClosed, Some(Reason::Roadworks)), Condition::Closure);
        assert_eq!(of(Problem::RoadClosed, Some(Reason::Snow)), Condition::WeatherEvent);
        assert_eq!(of(Problem::Incident, None), Condition::Incident);
        assert_eq!(of(Problem::Incident, Some(Reason::Event)), Condition::WeatherEvent);
        assert_eq!(of(Problem::HeavyTraffic, None), Condition::Congestion);
    }

    fn card(condition: Condition, of: &Card, adapter: &Adapter) -> AdapterCard {
        let training = Training {
            seed: 1,
            steps: 2,
            batch: 3,
            learning_rate: 1e-3,
            weight_decay: 0.0,
            tokens: 4,
            clauses: 5,
            final_loss: 0.5,
            held_out_loss: 0.4,
        };
        AdapterCard::new(condition, of, adapter, training, 0.6)
    }

    #[test]
    fn an_adapter_writes_its_own_condition_and_is_named_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut model = fixture::checkpoint();
        model.write(dir.path()).unwrap();
        let write = |request: &WordingRequest| {
            let (mut writer, about) = load_slm(dir.path(), Backend::Cpu).unwrap();
            assert_eq!(about.note, None);
            (writer.write(request, 0, &|| false).unwrap(), writer.name(request).to_owned())
        };
        let requests = |problem| -> Vec<WordingRequest> {
            let request = fixture::request(Space::Vehicle { max_chars: 200 });
            (0..5).map(|seed| WordingRequest { problem, seed, ..request.clone() }).collect()
        };
        let incidents = requests(Problem::Incident);
        let queues = requests(Problem::Queue);
        let alone: Vec<_> = incidents.iter().chain(&queues).map(write).collect();

        let adapter = fixture::adapter(model.card.architecture, 3);
        let mut card = card(Condition::Incident, &model.card, &adapter);
        super::write(dir.path(), &mut card, &adapter).unwrap();
        let (read, errors) = read_all(dir.path(), &model.card);
        assert!(errors.is_empty());
        assert_eq!(read, [Loaded { card: card.clone(), adapter }]);
        let page = std::fs::read_to_string(folder(dir.path(), Condition::Incident).join(README));
        assert!(page.unwrap().contains("of the model alone 0.6000"));

        let with: Vec<_> = incidents.iter().chain(&queues).map(write).collect();
        assert_eq!(with[5..], alone[5..], "congestion has no adapter");
        let name = format!("{}+{}", model.card.signature(), card.signature());
        assert!(with[..5].iter().all(|(_, wrote)| *wrote == name));
        assert!(with[..5].iter().zip(&alone).any(|((text, _), (before, _))| text != before));
    }

    /// The model writes without it, and says why.
    #[test]
    fn what_is_damaged_or_another_models_is_left_aside() {
        let dir = tempfile::tempdir().unwrap();
        let mut model = fixture::checkpoint();
        model.write(dir.path()).unwrap();
        let adapter = fixture::adapter(model.card.architecture, 3);
        let mut closures = card(Condition::Closure, &model.card, &adapter);
        write(dir.path(), &mut closures, &adapter).unwrap();
        let mut incidents = card(Condition::Incident, &model.card, &adapter);
        write(dir.path(), &mut incidents, &adapter).unwrap();
        let mut others = card(Condition::Congestion, &model.card, &adapter);
        others.of_weights_sha256 = "of another".to_owned();
        write(dir.path(), &mut others, &adapter).unwrap();
        let weights = folder(dir.path(), Condition::Incident).join(WEIGHTS);
        let mut bytes = std::fs::read(&weights).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&weights, bytes).unwrap();

        let (_, about) = load_slm(dir.path(), Backend::Cpu).unwrap();
        assert_eq!(about.adapters, [closures.signature()]);
        let note = about.note.unwrap();
        assert!(note.contains("SHA-256") && note.contains("was trained with"), "{note}");
        let (_, errors) = read_all(dir.path(), &model.card);
        assert!(matches!(errors[0], ModelError::OtherModels { .. }));
        assert!(matches!(errors[1], ModelError::HashMismatch { .. }));

        // A rank that no adapter has.
        let path = folder(dir.path(), Condition::Closure).join(CARD);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"rank\": 4", "\"rank\": 4000000000")).unwrap();
        let (left, errors) = read_all(dir.path(), &model.card);
        assert!(left.is_empty() && errors[0].to_string().contains("rank"), "{errors:?}");
    }

    #[test]
    fn a_new_one_changes_nothing() {
        let architecture = fixture::tiny(200);
        let adapter = Adapter::new(architecture, 4, 9);
        assert_eq!(adapter, Adapter::new(architecture, 4, 9));
        assert_ne!(adapter, Adapter::new(architecture, 4, 8));
        let engine = crate::model::backend::Engine::plain(&fixture::lively(architecture)).unwrap();
        let engine = engine.adapted(std::slice::from_ref(&adapter)).unwrap();
        let tokens = [3, 50, 7];
        assert_eq!(engine.logits_with(Some(0), &tokens).unwrap(), engine.logits(&tokens).unwrap());
        let flat = adapter.flat();
        assert_eq!(Adapter::from_flat(architecture, 4, &flat), Some(adapter));
        assert_eq!(Adapter::from_flat(architecture, 5, &flat), None);
    }
}
