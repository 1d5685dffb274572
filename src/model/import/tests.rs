//! What is exported is imported; what we do not compute is refused; garbage is an error.

use safetensors::tensor::TensorView;
use serde_json::{Value, json};

use super::*;
use crate::model::backend::Engine;
use crate::model::export::{Format, export};
use crate::model::fixture;

const NAMES: Names<'_> = Names { name: "again", licence: "Apache-2.0" };
const PHRASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/corpus");

/// A model, and the folder that it was exported to.
fn exported() -> (tempfile::TempDir, Checkpoint) {
    let (model, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut checkpoint = fixture::checkpoint();
    checkpoint.write(model.path()).unwrap();
    export(model.path(), Format::Safetensors, out.path()).unwrap();
    (out, checkpoint)
}

/// Changes a JSON file in a folder.
fn change(folder: &Path, name: &str, change: impl FnOnce(&mut Value)) {
    let path = folder.join(name);
    let mut value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(path, value.to_string()).unwrap();
}

/// Writes the tensors of a folder anew, changed by `edit`.
fn rewrite(folder: &Path, edit: impl FnOnce(&mut Vec<(String, Dtype, Vec<usize>, Vec<u8>)>)) {
    let path = folder.join(WEIGHTS);
    let bytes = std::fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: Vec<_> = file
        .tensors()
        .into_iter()
        .map(|(name, t)| (name, t.dtype(), t.shape().to_vec(), t.data().to_vec()))
        .collect();
    edit(&mut tensors);
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn refused(folder: &Path, why: &str) {
    let error = read(folder).unwrap_err();
    assert!(matches!(error, ImportError::Foreign { .. }), "{error}");
    assert!(error.to_string().contains(why), "`{why}` is not in: {error}");
}

#[test]
fn what_is_exported_comes_back_the_same() {
    let (folder, written) = exported();
    let out = tempfile::tempdir().unwrap();
    let card = import(folder.path(), Path::new(PHRASES), NAMES, out.path()).unwrap();
    let again = Checkpoint::read(out.path()).unwrap();
    assert_eq!(again.weights, written.weights);
    assert_eq!(again.vocabulary, written.vocabulary);
    assert_eq!(again.grammar, written.grammar);
    assert_eq!(card.weights_sha256, written.card.weights_sha256);
    let made = &again.card.made[0];
    assert_eq!((made.what.as_str(), made.how.as_str()), ("imported", "Hugging Face Llama, F32"));
    assert!(made.from.as_ref().unwrap().len() > 12);
    let logits = |weights: &Weights| Engine::cpu(weights).unwrap().logits(&[1, 20, 7, 2]).unwrap();
    assert_eq!(logits(&again.weights), logits(&written.weights));
}

#[test]
fn heads_that_were_pruned_keep_their_size() {
    let architecture = Architecture { heads: 1, head: Some(10), ..fixture::tiny(300) };
    let (model, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut checkpoint = fixture::checkpoint();
    let vocabulary = checkpoint.vocabulary.len();
    checkpoint.weights = fixture::lively(Architecture { vocabulary, ..architecture });
    checkpoint.write(model.path()).unwrap();
    export(model.path(), Format::Safetensors, out.path()).unwrap();
    assert_eq!(read(out.path()).unwrap().weights, checkpoint.weights);
}

#[test]
fn what_we_do_not_compute_is_refused() {
    let cases: [(&str, Value, &str); 14] = [
        ("model_type", json!("mistral"), "mistral"),
        ("attention_bias", json!(true), "biases"),
        ("mlp_bias", json!(true), "biases"),
        ("num_key_value_heads", json!(1), "grouped"),
        ("hidden_act", json!("gelu"), "gelu"),
        ("rms_norm_eps", json!(1e-6), "rms_norm_eps"),
        ("rope_theta", json!(500_000.0), "rope_theta"),
        ("rope_scaling", json!({"rope_type": "llama3", "factor": 8.0}), "llama3"),
        ("rope_scaling", json!({"type": "linear", "factor": 2.0}), "linear"),
        ("rope_parameters", json!({"rope_type": "default", "rope_theta": 5e5}), "rope_theta"),
        ("hidden_size", json!(4096), "width is 4096"),
        ("vocab_size", json!(32_000), "vocabulary is 32000"),
        ("num_attention_heads", json!(0), "grouped"),
        ("hidden_size", json!(-1), "invalid value"),
    ];
    for (key, value, why) in cases {
        let (folder, _) = exported();
        change(folder.path(), CONFIG, |config| config[key] = value);
        refused(folder.path(), why);
    }
    let (folder, _) = exported();
    change(folder.path(), CONFIG, |config| {
        config.as_object_mut().unwrap().remove("rms_norm_eps");
    });
    refused(folder.path(), "rms_norm_eps is 0.000001");
}

#[test]
fn a_longer_context_is_cut_and_other_rope_forms_are_read() {
    let (folder, written) = exported();
    change(folder.path(), CONFIG, |config| {
        config["max_position_embeddings"] = json!(131_072);
        config["rope_parameters"] = json!({"rope_type": "default", "rope_theta": 10_000.0});
        let config = config.as_object_mut().unwrap();
        config.remove("rope_theta");
        config.remove("head_dim");
    });
    let read = read(folder.path()).unwrap().weights;
    assert_eq!(read.architecture, Architecture { context: 1024, ..written.weights.architecture });
    assert_eq!(read.values, written.weights.values);
}

#[test]
fn numbers_of_two_bytes_are_read() {
    // Whole numbers from -4 to 4 are the same in all three kinds.
    let whole = |at: usize| (at % 9) as f32 - 4.0;
    for kind in [Dtype::F16, Dtype::BF16] {
        let encode = |value: f32| match kind {
            Dtype::F16 => half::f16::from_f32(value).to_le_bytes(),
            _ => half::bf16::from_f32(value).to_le_bytes(),
        };
        let (folder, _) = exported();
        rewrite(folder.path(), |tensors| {
            for (_, dtype, shape, data) in tensors {
                let count = shape.iter().product();
                *dtype = kind;
                *data = (0..count).flat_map(|at| encode(whole(at))).collect();
            }
        });
        let read = read(folder.path()).unwrap();
        assert_eq!(read.dtype, format!("{kind:?}"));
        let embedding = &read.weights.values["embedding"];
        assert!(embedding.iter().enumerate().all(|(at, value)| (value - whole(at)).abs() < 1e-9));
    }
}

#[test]
fn tensors_too_many_or_too_few_are_refused() {
    let zeros = |name: &str, shape: Vec<usize>| {
        let bytes = vec![0; 4 * shape.iter().product::<usize>()];
        (name.to_owned(), Dtype::F32, shape, bytes)
    };
    let (folder, checkpoint) = exported();
    let a = checkpoint.weights.architecture;
    rewrite(folder.path(), |tensors| {
        let embedding = tensors.iter().find(|tensor| tensor.0 == EMBEDDING).unwrap().clone();
        tensors.push((OUTPUT.to_owned(), embedding.1, embedding.2, embedding.3));
        tensors.push(zeros("model.layers.0.self_attn.rotary_emb.inv_freq", vec![8]));
    });
    assert_eq!(read(folder.path()).unwrap().weights, checkpoint.weights);
    rewrite(folder.path(), |tensors| {
        tensors.retain(|tensor| tensor.0 != OUTPUT);
        tensors.push(zeros(OUTPUT, vec![a.vocabulary, a.width]));
    });
    refused(folder.path(), "is not the embedding");

    for (name, why) in [
        ("model.layers.0.self_attn.q_proj.bias", "biases"),
        ("model.layers.2.mlp.up_proj.weight", "no tensor of a plain Llama"),
    ] {
        let (folder, _) = exported();
        rewrite(folder.path(), |tensors| tensors.push(zeros(name, vec![32])));
        refused(folder.path(), why);
    }
    let (folder, _) = exported();
    rewrite(folder.path(), |tensors| tensors.retain(|tensor| tensor.0 != "model.norm.weight"));
    refused(folder.path(), "model.norm.weight");
    let (folder, _) = exported();
    rewrite(folder.path(), |tensors| tensors[3].3[..4].copy_from_slice(&f32::NAN.to_le_bytes()));
    refused(folder.path(), "no numbers");
    let (folder, _) = exported();
    rewrite(folder.path(), |tensors| {
        for tensor in tensors {
            tensor.1 = Dtype::I32;
        }
    });
    refused(folder.path(), "not F32, F16 or BF16");
    let (folder, _) = exported();
    change(folder.path(), CONFIG, |config| config["intermediate_size"] = json!(64));
    refused(folder.path(), "as config.json has it");
}

#[test]
fn another_vocabulary_makes_no_model_folder() {
    let out = tempfile::tempdir().unwrap();
    let attempt = |folder: &Path| {
        import(folder, Path::new(PHRASES), NAMES, out.path()).unwrap_err().to_string()
    };
    let (folder, _) = exported();
    change(folder.path(), TOKENIZER, |file| {
        let words = file["model"]["vocab"].as_object_mut().unwrap();
        words.remove("<end>");
        words.insert("</s>".to_owned(), json!(4));
    });
    assert!(attempt(folder.path()).contains("two tokens have the number 4"));
    change(folder.path(), TOKENIZER, |file| file["added_tokens"] = json!([]));
    let error = attempt(folder.path());
    assert!(
        error.contains("not Wayside's vocabulary") && error.contains("model logits"),
        "{error}"
    );
    change(folder.path(), TOKENIZER, |file| {
        file["model"]["vocab"].as_object_mut().unwrap().remove("</s>");
    });
    assert!(attempt(folder.path()).contains("no token has the number 4"));
    change(folder.path(), TOKENIZER, |file| file["model"]["type"] = json!("BPE"));
    assert!(attempt(folder.path()).contains("BPE"));
    // Its weights can be computed with all the same.
    assert!(read(folder.path()).is_ok());
    assert!(!out.path().join(checkpoint::CARD).exists());
}

#[test]
fn other_phrase_files_are_refused() {
    let (folder, _) = exported();
    let (phrases, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let attempt = || import(folder.path(), phrases.path(), NAMES, out.path()).unwrap_err();
    assert!(matches!(attempt(), ImportError::Phrases(_)));
    let text = std::fs::read_to_string(Path::new(PHRASES).join("en.yaml")).unwrap();
    let other = text.replacen("delay:\n    - ", "delay:\n    - zyzzyva ", 1);
    std::fs::write(phrases.path().join("en.yaml"), other).unwrap();
    let error = attempt();
    assert!(error.to_string().contains("--corpus"), "{error}");
    let dir = out.path().join("x");
    let names = Names { name: "../x", ..NAMES };
    assert!(import(folder.path(), Path::new(PHRASES), names, &dir).is_err());
    assert!(!dir.exists());
}

#[test]
fn garbage_is_an_error_not_a_panic() {
    let (folder, _) = exported();
    let good = std::fs::read(folder.path().join(WEIGHTS)).unwrap();
    let large = b"\xff\xff\xff\xff\xff\xff\xff\x7f";
    for garbage in [&b""[..], large, b"{}", &good[..good.len() / 2], &good[..9]] {
        std::fs::write(folder.path().join(WEIGHTS), garbage).unwrap();
        assert!(matches!(read(folder.path()), Err(ImportError::Foreign { .. })));
    }
    std::fs::remove_file(folder.path().join(WEIGHTS)).unwrap();
    assert!(matches!(read(folder.path()), Err(ImportError::Unreadable { .. })));
    std::fs::write(folder.path().join(INDEX), "{}").unwrap();
    refused(folder.path(), "max_shard_size");
    for garbage in ["", "[]", "{}", "null", "{\"model_type\":\"llama\"}"] {
        std::fs::write(folder.path().join(CONFIG), garbage).unwrap();
        assert!(matches!(read(folder.path()), Err(ImportError::Foreign { .. })), "{garbage}");
        assert!(config::tokens(garbage.as_bytes()).is_err(), "{garbage}");
    }
    for garbage in [
        r#"{"model":{"type":"WordLevel"}}"#,
        r#"{"model":{"type":"WordLevel","vocab":{"a":-1}}}"#,
        r#"{"model":{"type":"WordLevel","vocab":[]}}"#,
        r#"{"model":{"type":"WordLevel","vocab":{"a":18446744073709551615}}}"#,
    ] {
        assert!(config::tokens(garbage.as_bytes()).is_err(), "{garbage}");
    }
    std::fs::remove_file(folder.path().join(CONFIG)).unwrap();
    assert!(matches!(read(folder.path()), Err(ImportError::Unreadable { .. })));
}
