//! Models of other programs here, and ours in other programs.

use std::process::Command;

use serde_json::Value;
use wayside::model::backend::Engine;
use wayside::model::import;

use super::mosquitto::lacks;
use super::support::{python, root, wayside};

/// Largest difference of a logit that still counts as the same.
const TOLERANCE: f64 = 1e-4;

#[test]
fn a_model_of_transformers_has_the_logits_that_it_has_there() {
    let folder = root().join("tests/llama");
    let llama = import::read(&folder).unwrap();
    assert_eq!(llama.dtype, "F32");
    let known: Value =
        serde_json::from_slice(&std::fs::read(folder.join("logits.json")).unwrap()).unwrap();
    let tokens: Vec<u16> = serde_json::from_value(known["tokens"].clone()).unwrap();
    let known: Vec<Vec<f64>> = serde_json::from_value(known["logits"].clone()).unwrap();
    let known = known.concat();
    let logits = Engine::cpu(&llama.weights).unwrap().logits(&tokens).unwrap();
    let last = &logits[logits.len() - known.len()..];
    let apart = last.iter().zip(&known).map(|(a, b)| (f64::from(*a) - b).abs());
    let apart = apart.fold(0.0, f64::max);
    assert!(apart <= TOLERANCE, "{apart}");
    assert!(known.iter().any(|logit| logit.abs() > 1.0), "logits too small to tell apart");
}

/// With transformers, onnxruntime and llama.cpp, as far as a Python has them.
#[test]
fn other_programs_write_what_wayside_writes() {
    const NAME: &str = "other_programs_write_what_wayside_writes";
    let python = python();
    let run = Command::new(&python)
        .arg(root().join("tests/readers/models.py"))
        .args([env!("CARGO_BIN_EXE_wayside"), "models/directions"])
        .current_dir(root())
        .output();
    let Ok(output) = run else {
        lacks(NAME, &format!("no {} (WAYSIDE_PYTHON names one)", python.display()));
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = 0;
    for line in text.lines() {
        lines += 1;
        let found: Value = serde_json::from_str(line).unwrap();
        let reader = found["reader"].as_str().unwrap();
        if let Some(missing) = found["missing"].as_str() {
            let passed_over = format!("{NAME}, {reader}");
            let why = format!("{} has it not ({missing})", python.display());
            // transformers takes 2.5 GB of PyTorch: no machine needs to have them.
            match reader {
                "transformers" | "import" => eprintln!("SKIPPED {passed_over}: {why}"),
                _ => lacks(&passed_over, &why),
            }
            continue;
        }
        eprintln!("{line}");
        assert!(found["apart"].as_f64().unwrap() <= TOLERANCE, "{line}");
        assert_eq!(found["equal"], found["prompts"], "{line}");
    }
    assert_eq!(lines, 6, "{text}");
}

#[test]
fn a_model_goes_out_and_comes_back_by_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (out, back) = (path("out"), path("back"));
    let done = |args: &[&str]| {
        let output = wayside(args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = done(&["model", "export", "--format", "safetensors", "--out", &out]);
    assert!(text.contains("model.safetensors"), "{text}");
    let text = done(&[
        "model",
        "import",
        &out,
        "--out",
        &back,
        "--licence",
        "Apache-2.0",
        "--output",
        "json",
    ]);
    let card: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(card["made"][0]["what"], "imported");
    let first = |model: &str| done(&["model", "logits", model, "1", "17", "--output", "json"]);
    assert_eq!(first(&back), first("models/directions"));
    assert_eq!(first(&out), first(&back));
    let text = done(&["model", "logits", &back, "<begin>", "language=en"]);
    assert_eq!(text.lines().count(), 5, "{text}");

    let refused = |args: &[&str], word: &str| {
        let output = wayside(args);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{text}");
        assert!(text.contains(word), "`{word}` is not in:\n{text}");
    };
    // A model that others made computes, but words nothing.
    let llama = "tests/llama";
    assert_eq!(done(&["model", "logits", llama, "1", "2"]).lines().count(), 5);
    refused(&["model", "logits", llama, "64"], "0 to 63");
    refused(&["model", "import", llama, "--out", &path("none")], "tokenizer.json");
    refused(&["model", "import", "no-such-folder", "--out", &path("none")], "config.json");
    refused(&["model", "export", llama, "--format", "onnx", "--out", &path("none")], "card.json");
    assert!(!dir.path().join("none").exists());
}
