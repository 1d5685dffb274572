//! What `config.json` and `tokenizer.json` say, and whether it is something that we compute.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::super::transformer::{NORM_EPSILON, ROTARY_BASE};
use super::super::weights::Architecture;

/// The most tokens that a model here takes in; a Llama model may take in more, and is then used for
/// its first ones.
const MAX_CONTEXT: usize = 1024;

/// `config.json`, as far as it decides what is computed; what is absent has the value that
/// `transformers` gives it.
#[derive(Debug, Deserialize)]
struct Config {
    model_type: String,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    max_position_embeddings: Option<usize>,
    hidden_act: Option<String>,
    rms_norm_eps: Option<f64>,
    rope_theta: Option<f64>,
    /// Since version 5, in place of the two others.
    rope_parameters: Option<Value>,
    rope_scaling: Option<Value>,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
}

/// The sizes of the model; an error where it is no model of ours.
pub(super) fn architecture(bytes: &[u8]) -> Result<Architecture, String> {
    let config: Config = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if config.model_type != "llama" {
        return Err(format!("a `{}` model; only `llama` can be imported", config.model_type));
    }
    if config.attention_bias || config.mlp_bias {
        return Err("models with biases cannot be imported".to_owned());
    }
    let heads = config.num_attention_heads;
    let shared = config.num_key_value_heads.unwrap_or(heads);
    if shared != heads {
        return Err(format!(
            "{heads} heads share {shared} keys and values (grouped queries); only models with keys \
             and values of each head's own can be imported"
        ));
    }
    let activation = config.hidden_act.as_deref().unwrap_or("silu");
    if activation != "silu" && activation != "swish" {
        return Err(format!("its activation is `{activation}`; only `silu` can be imported"));
    }
    equal("rms_norm_eps", config.rms_norm_eps.unwrap_or(1e-6), NORM_EPSILON)?;
    let mut theta = config.rope_theta;
    for rope in [&config.rope_scaling, &config.rope_parameters].into_iter().flatten() {
        let kind = rope.get("rope_type").or_else(|| rope.get("type")).and_then(Value::as_str);
        if !rope.is_null() && kind.unwrap_or("default") != "default" {
            let kind = kind.unwrap_or_default();
            return Err(format!("its positions are scaled (`{kind}`), which cannot be imported"));
        }
        theta = rope.get("rope_theta").and_then(Value::as_f64).or(theta);
    }
    equal("rope_theta", theta.unwrap_or(f64::from(ROTARY_BASE)), ROTARY_BASE)?;
    let whole = config.hidden_size.checked_div(heads);
    let architecture = Architecture {
        width: config.hidden_size,
        layers: config.num_hidden_layers,
        heads,
        // Absent where it follows from the others, as in our own models.
        head: config.head_dim.filter(|head| Some(*head) != whole),
        hidden: config.intermediate_size,
        context: config.max_position_embeddings.unwrap_or(MAX_CONTEXT).min(MAX_CONTEXT),
        vocabulary: config.vocab_size,
    };
    architecture.check().map_err(|reason| format!("{reason}; it is too large, or of odd sizes"))?;
    Ok(architecture)
}

fn equal(what: &str, found: f64, ours: f32) -> Result<(), String> {
    // Ours has four bytes, theirs eight.
    if ((found - f64::from(ours)) / f64::from(ours)).abs() < 1e-6 {
        return Ok(());
    }
    Err(format!("{what} is {found}, where Wayside computes with {ours}"))
}

/// `tokenizer.json`, as far as it says which tokens there are.
#[derive(Debug, Deserialize)]
struct Tokenizer {
    model: Words,
    #[serde(default)]
    added_tokens: Vec<Added>,
}

#[derive(Debug, Deserialize)]
struct Words {
    vocab: BTreeMap<String, usize>,
}

#[derive(Debug, Deserialize)]
struct Added {
    id: usize,
    content: String,
}

/// The tokens in order.
pub(super) fn tokens(bytes: &[u8]) -> Result<Vec<String>, String> {
    let file: Value = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    let kind = file.get("model").and_then(|model| model.get("type")).and_then(Value::as_str);
    if kind != Some("WordLevel") {
        return Err(format!(
            "its tokens are {}; a model that words directions has whole words (WordLevel) as `wayside \
             model export` writes them, and `wayside model logits` computes with any other",
            kind.unwrap_or("of no known kind")
        ));
    }
    let file: Tokenizer = serde_json::from_value(file).map_err(|e| e.to_string())?;
    let mut by_id = BTreeMap::new();
    let added = file.added_tokens.into_iter().map(|token| (token.content, token.id));
    for (text, id) in file.model.vocab.into_iter().chain(added) {
        if by_id.get(&id).is_some_and(|other| *other != text) {
            return Err(format!("two tokens have the number {id}"));
        }
        by_id.insert(id, text);
    }
    match by_id.keys().enumerate().find(|(at, id)| at != *id) {
        Some((at, _)) => Err(format!("no token has the number {at}")),
        None => Ok(by_id.into_values().collect()),
    }
}
