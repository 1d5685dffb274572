//! A folder that `transformers` loads: `LlamaForCausalLM.from_pretrained(folder)`.

use safetensors::Dtype;
use serde_json::{Map, Value, json};

use super::super::card::Card;
use super::super::checkpoint::{Checkpoint, json as to_json, little_endian, tensor_file};
use super::super::llama;
use super::super::transformer::{NORM_EPSILON, ROTARY_BASE};
use super::super::vocabulary::{BEGIN, END, NEXT, PAD, TEXT, Token, Vocabulary};
use super::super::weights::Weights;

/// Tokens that are no part of a text.
const SPECIAL: [Token; 5] = [PAD, BEGIN, TEXT, NEXT, END];

/// What a model is asked for, in an example.
const REQUEST: &str =
    "<begin> language=en problem=road_closed rows=3 cols=18 may=<VIA_0> length=8 <text>";

/// The files by name.
pub(super) fn files(checkpoint: &Checkpoint) -> Result<Vec<(&'static str, Vec<u8>)>, String> {
    let Checkpoint { card, vocabulary, weights, .. } = checkpoint;
    Ok(vec![
        ("config.json", to_json(&config(weights))),
        ("model.safetensors", tensors(card, weights)?),
        ("tokenizer.json", to_json(&tokenizer(vocabulary))),
        ("tokenizer_config.json", to_json(&tokenizer_config(vocabulary, weights))),
        ("README.md", page(card).into_bytes()),
    ])
}

fn config(weights: &Weights) -> Value {
    let a = weights.architecture;
    // From text, since a float widened from four bytes has a tail of digits.
    let exact = |value: f32| value.to_string().parse().unwrap_or(f64::from(value));
    json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": a.vocabulary,
        "hidden_size": a.width,
        "intermediate_size": a.hidden,
        "num_hidden_layers": a.layers,
        "num_attention_heads": a.heads,
        "num_key_value_heads": a.heads,
        "head_dim": a.head_width(),
        "max_position_embeddings": a.context,
        "hidden_act": "silu",
        "rms_norm_eps": exact(NORM_EPSILON),
        "rope_theta": exact(ROTARY_BASE),
        "rope_scaling": null,
        "attention_bias": false,
        "attention_dropout": 0.0,
        "mlp_bias": false,
        "tie_word_embeddings": true,
        "use_cache": true,
        "bos_token_id": BEGIN,
        "eos_token_id": END,
        "pad_token_id": PAD,
        "torch_dtype": "float32",
    })
}

fn tensors(card: &Card, weights: &Weights) -> Result<Vec<u8>, String> {
    let mut data = Vec::new();
    for tensor in llama::tensors(weights.architecture) {
        let values = tensor.of(weights).map_err(|e| e.to_string())?;
        data.push((tensor.name, Dtype::F32, tensor.shape, little_endian(&values)));
    }
    // Older versions of `transformers` refuse a file that does not say which layout it has.
    let about = [("format".to_owned(), "pt".to_owned()), ("model".to_owned(), card.signature())];
    tensor_file(&data, Some(about.into()))
}

/// Words apart by spaces, each a token. Punctuation stands apart too.
fn tokenizer(vocabulary: &Vocabulary) -> Value {
    let tokens = vocabulary.tokens().iter().enumerate();
    let vocab: Map<String, Value> = tokens.map(|(id, text)| (text.clone(), json!(id))).collect();
    let special: Vec<Value> = SPECIAL
        .into_iter()
        .filter_map(|id| Some((id, vocabulary.tokens().get(usize::from(id))?)))
        .map(|(id, text)| {
            json!({
                "id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true,
            })
        })
        .collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": special,
        "normalizer": null,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": null,
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": name(vocabulary, PAD)},
    })
}

fn tokenizer_config(vocabulary: &Vocabulary, weights: &Weights) -> Value {
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": name(vocabulary, BEGIN),
        "eos_token": name(vocabulary, END),
        "pad_token": name(vocabulary, PAD),
        "unk_token": name(vocabulary, PAD),
        "clean_up_tokenization_spaces": false,
        "model_max_length": weights.architecture.context,
    })
}

fn name(vocabulary: &Vocabulary, token: Token) -> &str {
    vocabulary.tokens().get(usize::from(token)).map_or("", String::as_str)
}

fn page(card: &Card) -> String {
    let signature = card.signature();
    let licence = card.licence.to_lowercase();
    format!(
        "---\nlicense: {licence}\nlibrary_name: transformers\n---\n\n\
         # {signature}\n\n\
         A model of Wayside that words route directions, as `transformers` reads it. Written by \
         `wayside model export --format\nsafetensors`; `wayside model import` reads it back.\n\n\
         ```python\n\
         from transformers import AutoModelForCausalLM, AutoTokenizer\n\n\
         tokenizer = AutoTokenizer.from_pretrained(folder)\n\
         model = AutoModelForCausalLM.from_pretrained(folder)\n\
         request = \"{REQUEST}\"\n\
         inputs = tokenizer(request, return_tensors=\"pt\", return_token_type_ids=False)\n\
         text = model.generate(**inputs, do_sample=False, max_new_tokens=40)\n\
         print(tokenizer.decode(text[0]))\n\
         ```\n\n\
         The vocabulary is closed: typed marks, slots, punctuation and whole words, apart by spaces, \
         punctuation too. The context\nis {} tokens.\n\n\
         What this folder lacks is the constraint: Wayside lets the model choose among valid \
         continuations only, and an\nindependent verifier releases its texts. Without both it must \
         not speak to drivers.\n",
        card.architecture.context
    )
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;

    use super::*;
    use crate::model::fixture;

    #[test]
    fn projections_stand_apart_and_transposed() {
        let checkpoint = fixture::checkpoint();
        let bytes = tensors(&checkpoint.card, &checkpoint.weights).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let key = file.tensor("model.layers.1.self_attn.k_proj.weight").unwrap();
        assert_eq!((key.dtype(), key.shape()), (Dtype::F32, &[32, 32][..]));
        let ours = &checkpoint.weights.values["layers.1.query_key_value"];
        // Output 3 of the keys, input 5.
        let at = 4 * (3 * 32 + 5);
        assert_eq!(key.data()[at..at + 4], ours[5 * 96 + 32 + 3].to_le_bytes());
        assert!(file.tensor("lm_head.weight").is_err(), "the output is the embedding");
    }

    #[test]
    fn the_tokenizer_has_every_token_at_its_number() {
        let checkpoint = fixture::checkpoint();
        let tokenizer = tokenizer(&checkpoint.vocabulary);
        let vocab = tokenizer["model"]["vocab"].as_object().unwrap();
        assert_eq!(vocab.len(), checkpoint.vocabulary.len());
        assert_eq!(vocab["<end>"], json!(4));
        assert_eq!(tokenizer["added_tokens"][1]["content"], "<begin>");
        for word in REQUEST.split(' ') {
            assert!(vocab.contains_key(word), "{word}");
        }
        let config = config(&checkpoint.weights);
        assert_eq!(config["rms_norm_eps"].to_string(), "0.00001");
        assert_eq!(config["vocab_size"], vocab.len());
    }
}
