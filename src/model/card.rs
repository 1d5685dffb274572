//! The model card: what a model is, what it was made from, how well it does, and the hashes that
//! tie it to its files.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::weights::Architecture;
use crate::domain::wording::Language;

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
    /// How the weights are stored.
    #[serde(default)]
    pub stored: Stored,
    /// What was done to get here, in order.
    #[serde(default)]
    pub made: Vec<Made>,
    /// The runs before the last one, those of the models that it was made of included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Training>,
    /// The last of the runs; absent for untrained weights.
    pub training: Option<Training>,
    /// Absent until measured with `wayside model eval --record`.
    pub scores: Option<Scores>,
}

/// The form of weights in their file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stored {
    /// Four bytes a number.
    #[default]
    F32,
    /// One byte a number and a scale a row or column.
    Q8,
}

impl Stored {
    pub fn word(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::Q8 => "Q8",
        }
    }
}

/// One step of a model's making.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// `trained`, `distilled`, `pruned`, `quantized`, `imported`
    pub what: String,
    /// The model that it was made of, with the beginning of its hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub how: String,
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
    /// Share of the changes of one fact that changed the clause of this fact alone, the second text
    /// being written in place of the first, as a unit does it.
    #[serde(default)]
    pub contrast: f64,
    /// The same with the second text written as if there had been no first one.
    #[serde(default)]
    pub contrast_anew: f64,
    /// Share of the accepted texts that were not among those that the model, or one that it was made
    /// of, read in training.
    #[serde(default)]
    pub unread: Option<f64>,
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
    /// The adapters beside the model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adapters: Vec<String>,
    /// The same by language and audience.
    #[serde(default)]
    pub cells: Vec<Cell>,
    /// Reference contexts left out, since they hold facts that no request has.
    #[serde(default)]
    pub references_beyond: usize,
}

/// The scores of one language and audience.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    pub language: Language,
    pub audience: String,
    pub contexts: usize,
    pub accepted_first_try: f64,
    pub fallback_rate: f64,
    /// Share of the required facts that the accepted texts say.
    pub facts_recalled: f64,
    pub distinct_2: f64,
    pub distinct_2_template: f64,
    pub contrast: f64,
    #[serde(default)]
    pub contrast_anew: f64,
    pub unread: Option<f64>,
    /// Contexts with reference texts, and the nearness to these, 0 to 100.
    pub references: usize,
    pub chrf: f64,
    pub chrf_template: f64,
    pub bleu: f64,
    pub bleu_template: f64,
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
            stored: Stored::F32,
            made: Vec::new(),
            earlier: Vec::new(),
            training: None,
            scores: None,
        }
    }

    /// The card of a model made of this one, before whatever run comes next.
    #[must_use]
    pub fn renamed(&self, name: &str, architecture: Architecture) -> Self {
        let earlier = self.runs().cloned().collect();
        Self { made: self.made.clone(), earlier, ..Self::new(name, architecture) }
    }

    /// All runs, in order.
    pub fn runs(&self) -> impl Iterator<Item = &Training> {
        self.earlier.iter().chain(&self.training)
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
        format!("{}-{}", self.name, begin_of(&self.weights_sha256))
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
             | Weights | `weights.safetensors`, {}, SHA-256 `{}` |\n\
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
            self.stored.word(),
            self.weights_sha256,
            self.vocabulary_sha256,
        );
        // Writing to a string cannot fail.
        if !self.made.is_empty() {
            page.push_str("\n## Made\n\n");
            for (nth, Made { what, from, how }) in self.made.iter().enumerate() {
                let from = from.as_ref().map(|from| format!(" from `{from}`")).unwrap_or_default();
                let how = if how.is_empty() { String::new() } else { format!(": {how}") };
                let _written = writeln!(page, "{}. {what}{from}{how}", nth + 1);
            }
        }
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
                 On {} held-out contexts (seed {}), backend {}{}.\n\n\
                 | | model | template | random choice |\n|---|---|---|---|\n\
                 | Accepted by the verifier at first try | {:.2} % | | |\n\
                 | Left to the template | {:.2} % | | |\n\
                 | Facts a text | {:.2} | {:.2} | {:.2} |\n\
                 | Different word pairs (distinct-2) | {:.4} | {:.4} | {:.4} |\n\
                 | One fact changed, only its clause changes (both written anew) | {:.2} % ({:.2} %) | | |\n\
                 | Texts that it did not read in training | {} | | |\n\
                 | Perplexity at a choice | {:.2} | | {:.2} |\n\
                 | Tokens a second | {:.0} | | |\n\
                 | Time of a text, p50 / p95 | {:.1} / {:.1} ms | | |\n",
                s.contexts,
                s.seed,
                s.backend,
                with(&s.adapters),
                100.0 * s.accepted_first_try,
                100.0 * s.fallback_rate,
                s.facts_per_text,
                s.facts_per_text_template,
                s.facts_per_text_random,
                s.distinct_2,
                s.distinct_2_template,
                s.distinct_2_random,
                100.0 * s.contrast,
                100.0 * s.contrast_anew,
                percent(s.unread),
                s.perplexity,
                s.perplexity_random,
                s.tokens_per_s,
                s.p50_ms,
                s.p95_ms,
            );
            page.push_str(&cells(s));
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

/// The first 12 digits of a hash.
pub(super) fn begin_of(hash: &str) -> String {
    hash.chars().take(12).collect()
}

fn with(adapters: &[String]) -> String {
    match adapters {
        [] => String::new(),
        some => format!(", with the adapters `{}`", some.join("`, `")),
    }
}

/// A share in percent, or that there is none.
fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}

/// Scores by language and audience as a table.
fn cells(scores: &Scores) -> String {
    let mut table = String::new();
    if scores.cells.is_empty() {
        return table;
    }
    table.push_str(
        "\n| | contexts | accepted at first try | left to the template | required facts said | \
         distinct-2 (template) | contrast (anew) | not read | chrF (template) | BLEU (template) |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    for c in &scores.cells {
        let near = |own: f64, template: f64| {
            if c.references == 0 { "–".to_owned() } else { format!("{own:.1} ({template:.1})") }
        };
        // Writing to a string cannot fail.
        let _written = writeln!(
            table,
            "| {} {} | {} | {:.2} % | {:.2} % | {:.2} % | {:.3} ({:.3}) | {:.1} % ({:.1} %) | {} | {} | {} |",
            c.language.code(),
            c.audience,
            c.contexts,
            100.0 * c.accepted_first_try,
            100.0 * c.fallback_rate,
            100.0 * c.facts_recalled,
            c.distinct_2,
            c.distinct_2_template,
            100.0 * c.contrast,
            100.0 * c.contrast_anew,
            percent(c.unread),
            near(c.chrf, c.chrf_template),
            near(c.bleu, c.bleu_template),
        );
    }
    let referenced: usize = scores.cells.iter().map(|c| c.references).sum();
    if referenced > 0 {
        let _written = write!(
            table,
            "\nchrF and BLEU against the texts of `models/references`, which nothing was trained on \
             or chosen by: {referenced} contexts;\n{} others hold facts that no request has yet.\n",
            scores.references_beyond
        );
    }
    table
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
