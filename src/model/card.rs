//! The model card: what a model is, what it was made from, how well it does, and the hashes that
//! tie it to its files.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::weights::Architecture;

const VERSION: u32 = 1;

/// `card.json` of a model folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// Of this form, not of the model.
    pub version: u32,
    pub name: String,
    /// SPDX.
    pub licence: String,
    pub architecture: Architecture,
    pub parameters: usize,
    pub weights_sha256: String,
    pub vocabulary_sha256: String,
    /// Absent for untrained weights.
    pub training: Option<Training>,
    /// Absent until measured with `wayside model eval --record`.
    pub scores: Option<Scores>,
}

/// How the weights came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    pub seed: u64,
    pub steps: usize,
    /// Texts a step.
    pub batch: usize,
    pub learning_rate: f64,
    pub weight_decay: f32,
    /// Tokens read, requests included, padding not.
    pub tokens: u64,
    /// Clauses that the phrase material expands to, over all languages and forms.
    pub clauses: usize,
    /// Mean cross-entropy of a text token at the end, nats.
    pub final_loss: f32,
    /// The same on contexts that were never trained on.
    pub held_out_loss: f32,
}

/// What `wayside model eval` measured, on contexts that were never trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scores {
    pub contexts: usize,
    pub seed: u64,
    /// Share of texts that the verifier accepted at the first try, 0 to 1.
    pub accepted_first_try: f64,
    /// Share of requests that went to the template after all attempts.
    pub fallback_rate: f64,
    /// Different word pairs over all word pairs: how varied texts are.
    pub distinct_2: f64,
    pub distinct_2_template: f64,
    pub distinct_2_random: f64,
    /// Facts said, a text.
    pub facts_per_text: f64,
    pub facts_per_text_template: f64,
    pub facts_per_text_random: f64,
    /// Perplexity of the teacher's texts where there is a choice, among what is allowed ...
    pub perplexity: f64,
    /// ... and of a writer that finds all allowed tokens equally likely.
    pub perplexity_random: f64,
    pub tokens_per_s: f64,
    /// Time of one text, milliseconds.
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub backend: String,
}

impl Card {
    /// A card without hashes; writing the folder fills them in.
    pub fn new(name: &str, architecture: Architecture) -> Self {
        Self {
            version: VERSION,
            name: name.to_owned(),
            licence: "Apache-2.0".to_owned(),
            architecture,
            parameters: architecture.parameters(),
            weights_sha256: String::new(),
            vocabulary_sha256: String::new(),
            training: None,
            scores: None,
        }
    }

    /// What is wrong with it in itself, if anything.
    pub fn check(&self) -> Result<(), String> {
        if self.version != VERSION {
            return Err(format!("version {} is not {VERSION}", self.version));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(plain) {
            return Err("the name is not made of letters, digits, `-` and `_`".to_owned());
        }
        self.architecture.check()?;
        let parameters = self.architecture.parameters();
        if parameters != self.parameters {
            return Err(format!(
                "the sizes make {parameters} parameters, the card says {}",
                self.parameters
            ));
        }
        Ok(())
    }

    /// Name and the first 12 digits of the weights' hash: what a direction's `why` cites.
    pub fn signature(&self) -> String {
        let begin: String = self.weights_sha256.chars().take(12).collect();
        format!("{}-{begin}", self.name)
    }

    /// The card as a page for people.
    pub fn page(&self) -> String {
        let a = &self.architecture;
        let mut page = format!(
            "# {}\n\n\
             A small language model that words route directions for variable message signs and \
             vehicles. It chooses and orders\nphrases around typed slots (`<VIA_0>`, `<DELAY>`); it \
             never sees or writes a name, a number or a unit. A constraint\nlets only valid texts \
             through, and an independent verifier releases them.\n\n\
             This page is written by `wayside model train` and `wayside model eval --record` from \
             `card.json`.\n\n\
             | | |\n|---|---|\n\
             | Licence | {} |\n\
             | Architecture | decoder-only transformer: RoPE, RMSNorm, SwiGLU, shared embedding |\n\
             | Size | {} parameters: width {}, {} layers, {} heads, feed-forward {}, context {} |\n\
             | Vocabulary | {} tokens: typed marks, slots, punctuation, whole words |\n\
             | Weights | `weights.safetensors`, SHA-256 `{}` |\n\
             | Vocabulary and phrase material | `vocabulary.json`, SHA-256 `{}` |\n",
            self.name,
            self.licence,
            self.parameters,
            a.width,
            a.layers,
            a.heads,
            a.hidden,
            a.context,
            a.vocabulary,
            self.weights_sha256,
            self.vocabulary_sha256,
        );
        // Writing to a string cannot fail.
        if let Some(t) = &self.training {
            let _written = write!(
                page,
                "\n## Training\n\n\
                 Data: the phrase material of `models/corpus` ({} clauses), written for this project, \
                 in contexts drawn at random from seed {};\ntexts composed by a fixed rule (the \
                 teacher), no text from elsewhere. One context in sixteen, by hash, is never \
                 trained on.\n\n\
                 | | |\n|---|---|\n\
                 | Steps | {} of {} texts, {} tokens in all |\n\
                 | Optimiser | AdamW, learning rate {} with warm-up and cosine, weight decay {} |\n\
                 | Loss a token | {:.3} at the end, {:.3} on held-out contexts |\n",
                t.clauses,
                t.seed,
                t.steps,
                t.batch,
                t.tokens,
                t.learning_rate,
                t.weight_decay,
                t.final_loss,
                t.held_out_loss,
            );
        }
        if let Some(s) = &self.scores {
            let _written = write!(
                page,
                "\n## Scores\n\n\
                 On {} held-out contexts (seed {}), backend {}.\n\n\
                 | | model | template | random choice |\n|---|---|---|---|\n\
                 | Accepted by the verifier at first try | {:.2} % | | |\n\
                 | Left to the template | {:.2} % | | |\n\
                 | Facts a text | {:.2} | {:.2} | {:.2} |\n\
                 | Different word pairs (distinct-2) | {:.4} | {:.4} | {:.4} |\n\
                 | Perplexity at a choice | {:.2} | | {:.2} |\n\
                 | Tokens a second | {:.0} | | |\n\
                 | Time of a text, p50 / p95 | {:.1} / {:.1} ms | | |\n",
                s.contexts,
                s.seed,
                s.backend,
                100.0 * s.accepted_first_try,
                100.0 * s.fallback_rate,
                s.facts_per_text,
                s.facts_per_text_template,
                s.facts_per_text_random,
                s.distinct_2,
                s.distinct_2_template,
                s.distinct_2_random,
                s.perplexity,
                s.perplexity_random,
                s.tokens_per_s,
                s.p50_ms,
                s.p95_ms,
            );
        }
        page.push_str(
            "\n## Limits\n\n\
             It words, and nothing else: which road, which number, whether to speak at all is \
             decided before it. It knows the\nlanguages of its phrase material and the audiences \
             named above. Its texts must pass the verifier; without one it must\nnot be used.\n",
        );
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    #[test]
    fn a_card_that_contradicts_itself_is_refused() {
        let card = Card::new("tiny", fixture::tiny(200));
        assert_eq!(card.check(), Ok(()));
        assert!(Card { version: 2, ..card.clone() }.check().is_err());
        assert!(Card { name: "../x".to_owned(), ..card.clone() }.check().is_err());
        assert!(Card { parameters: 1, ..card.clone() }.check().is_err());
    }

    #[test]
    fn the_page_says_what_the_card_says() {
        let mut card = Card::new("tiny", fixture::tiny(200));
        card.weights_sha256 = "0123456789abcdef".to_owned();
        assert!(card.page().contains("0123456789abcdef"));
        assert!(!card.page().contains("## Training"));
        assert_eq!(card.signature(), "tiny-0123456789ab");
    }
}
