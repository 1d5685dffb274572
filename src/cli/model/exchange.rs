//! `wayside model export`, `import` and `logits`: models to other programs and back.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use serde::Serialize;

use super::super::{Exit, Exits, Failure, Output};
use super::life;
use crate::model::ModelError;
use crate::model::backend::Engine;
use crate::model::checkpoint::{CARD, Checkpoint};
use crate::model::export::{self, Format};
use crate::model::import::{self, ImportError, Names};
use crate::model::vocabulary::Token;
use crate::model::weights::Weights;

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum FormatChoice {
    /// A folder for Hugging Face's `transformers`: a Llama model with its tokenizer.
    Safetensors,
    /// A file for ONNX runtimes.
    Onnx,
    /// A file for llama.cpp.
    Gguf,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ExportArgs {
    /// Folder of the model.
    #[arg(default_value = "models/directions")]
    model: PathBuf,
    #[arg(long, value_enum)]
    format: FormatChoice,
    /// Folder for the files; those of the same names are replaced.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The form of the result on stdout.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ImportArgs {
    /// Hugging Face's folder of a Llama model: `config.json`, `tokenizer.json`, `model.safetensors`.
    folder: PathBuf,
    /// Folder for the model; what it holds is replaced.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Folder with the phrase files that the model was trained on.
    #[arg(long, value_name = "DIR", default_value = "models/corpus")]
    corpus: PathBuf,
    /// The model's name: letters, digits, `-` and `_`.
    #[arg(long, default_value = "directions")]
    name: String,
    /// The model's licence, as SPDX names it.
    #[arg(long, value_name = "SPDX", default_value = "NOASSERTION")]
    licence: String,
    /// The form of the result on stdout.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct LogitsArgs {
    /// Folder of the model, or Hugging Face's folder of a Llama model.
    model: PathBuf,
    /// Numbers of tokens; or the tokens themselves, where the folder is one of ours.
    #[arg(required = true)]
    tokens: Vec<String>,
    /// The form of the result on stdout: what most likely follows, or all logits after each token.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn export(args: &ExportArgs) -> Result<Exit, Failure> {
    let format = match args.format {
        FormatChoice::Safetensors => Format::Safetensors,
        FormatChoice::Onnx => Format::Onnx,
        FormatChoice::Gguf => Format::Gguf,
    };
    let exported = export::export(&args.model, format, &args.out).map_err(life::failure)?;
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Json => {
            let files: Vec<_> = exported
                .files
                .iter()
                .map(|(path, bytes)| serde_json::json!({"path": path, "bytes": bytes}))
                .collect();
            let report = serde_json::json!({"model": exported.card.signature(), "files": files});
            writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
        }
        Output::Text => {
            writeln!(out, "{} for other programs", exported.card.signature())?;
            for (path, bytes) in &exported.files {
                writeln!(out, "{:>10} bytes  {}", bytes, path.display())?;
            }
        }
    }
    Ok(Exit::Done)
}

pub(super) fn import(args: &ImportArgs) -> Result<Exit, Failure> {
    let names = Names { name: &args.name, licence: &args.licence };
    let card =
        import::import(&args.folder, &args.corpus, names, &args.out).map_err(unimportable)?;
    life::report(&card, &args.out, args.output)
}

fn unimportable(error: ImportError) -> Failure {
    let exit = match error {
        ImportError::Store(ModelError::Unwritable { .. }) => Exit::Failed,
        _ => Exit::Input,
    };
    Failure { exit, error: error.into() }
}

/// What `wayside model logits --output json` prints.
#[derive(Serialize)]
struct Logits<'l> {
    tokens: &'l [Token],
    /// `[tokens][vocabulary]`: the scores of what may follow each token.
    logits: Vec<&'l [f32]>,
}

pub(super) fn logits(args: &LogitsArgs) -> Result<Exit, Failure> {
    let (weights, names) = either(&args.model)?;
    let tokens = tokens(&args.tokens, &names, &weights).exits(Exit::Input)?;
    let engine = Engine::cpu(&weights)?;
    let logits = engine.logits(&tokens)?;
    let rows: Vec<&[f32]> = logits.chunks_exact(weights.architecture.vocabulary).collect();
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Json => {
            let report = Logits { tokens: &tokens, logits: rows };
            writeln!(out, "{}", serde_json::to_string(&report)?)?;
        }
        Output::Text => {
            let last = rows.last().copied().unwrap_or_default();
            for (token, logit, share) in likeliest(last, 5) {
                let name = names.get(token).map_or("", String::as_str);
                writeln!(out, "{:>5.1} %  {logit:>8.4}  {token:>5}  {name}", 100.0 * share)?;
            }
        }
    }
    Ok(Exit::Done)
}

/// The weights of one of our folders, with the tokens by number, or of a Llama model.
fn either(folder: &Path) -> Result<(Weights, Vec<String>), Failure> {
    if folder.join(import::CONFIG).exists() && !folder.join(CARD).exists() {
        let llama = import::read(folder).map_err(unimportable)?;
        return Ok((llama.weights, Vec::new()));
    }
    let checkpoint = Checkpoint::read(folder).map_err(life::failure)?;
    Ok((checkpoint.weights, checkpoint.vocabulary.tokens().to_vec()))
}

/// Tokens from words or numbers, within what the model has.
fn tokens(words: &[String], names: &[String], weights: &Weights) -> anyhow::Result<Vec<Token>> {
    let architecture = weights.architecture;
    if words.len() > architecture.context {
        bail!(
            "{} tokens are more than the model's context of {}",
            words.len(),
            architecture.context
        );
    }
    words
        .iter()
        .map(|word| {
            let token = match word.parse::<usize>() {
                Ok(number) => Some(number).filter(|number| *number < architecture.vocabulary),
                Err(_) => names.iter().position(|name| name == word),
            };
            let token = token.and_then(|token| Token::try_from(token).ok());
            token.ok_or_else(|| {
                let last = architecture.vocabulary.saturating_sub(1);
                anyhow!("`{word}` is no token of the model; its numbers are 0 to {last}")
            })
        })
        .collect()
}

/// The highest scores first: token, score, and its share by softmax.
fn likeliest(logits: &[f32], count: usize) -> Vec<(usize, f32, f32)> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|logit| (logit - most).exp()).sum();
    let mut all: Vec<(usize, f32)> = logits.iter().copied().enumerate().collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all.truncate(count);
    all.into_iter().map(|(token, logit)| (token, logit, (logit - most).exp() / sum)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::weights::Architecture;

    #[test]
    fn tokens_are_numbers_or_words_that_the_model_has() {
        let architecture = Architecture {
            width: 32,
            layers: 1,
            heads: 1,
            head: None,
            hidden: 32,
            context: 3,
            vocabulary: 2,
        };
        let weights = Weights::random(architecture, 1);
        let names = ["<pad>".to_owned(), "<begin>".to_owned()];
        let read = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            tokens(&words, &names, &weights).map_err(|e| e.to_string())
        };
        assert_eq!(read(&["1", "<begin>", "<pad>"]), Ok(vec![1, 1, 0]));
        assert!(read(&["2"]).unwrap_err().contains("0 to 1"));
        assert!(read(&["<end>"]).is_err());
        assert!(read(&["1"; 4]).unwrap_err().contains("context of 3"));
    }

    #[test]
    fn the_likeliest_come_first_and_shares_sum_to_one() {
        let all = likeliest(&[0.0, 2.0, 1.0], 3);
        assert_eq!(all.iter().map(|one| one.0).collect::<Vec<_>>(), [1, 2, 0]);
        assert!((all.iter().map(|one| one.2).sum::<f32>() - 1.0).abs() < 1e-6);
    }
}
