//! How near texts come to what people would say: chrF and BLEU against reference texts.
//!
//! Slots stay unfilled, so that the letters of names do not count; case and the rows of a sign are
//! folded away.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::Deserialize;

use crate::domain::wording::{Draft, Language, Problem, Slot, SlotFact, Space, WordingRequest};

/// A context with what people wrote for it.
#[derive(Clone, Debug)]
pub struct Reference {
    pub request: WordingRequest,
    texts: Vec<String>,
}

/// The contexts of `<language>.jsonl` that today's facts can express, and the number of the others.
///
/// # Errors
///
/// In words, with file and line.
pub fn read(dir: &Path, language: Language) -> Result<(Vec<Reference>, usize), String> {
    let path = dir.join(format!("{}.jsonl", language.code()));
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let (mut references, mut beyond) = (Vec::new(), 0);
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let line: Line = serde_json::from_str(line)
            .map_err(|e| format!("{}: line {}: {e}", path.display(), at + 1))?;
        match line.reference(language) {
            Some(reference) => references.push(reference),
            None => beyond += 1,
        }
    }
    Ok((references, beyond))
}

/// What came since: all of it is in slots.
const SINCE_THEN: [&str; 4] = ["until", "since", "lanes", "place"];

#[derive(Deserialize)]
struct Line {
    id: String,
    space: serde_json::Value,
    facts: Facts,
    /// What it asks for beyond the facts that there were when it was written.
    #[serde(default)]
    needs: Vec<String>,
    references: Vec<String>,
}

#[derive(Deserialize)]
struct Facts {
    problem: String,
    #[serde(default)]
    slots: BTreeMap<String, Fact>,
    #[serde(flatten)]
    others: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct Fact {
    text: String,
    required: bool,
}

impl Line {
    /// `None` when it asks for facts that there are not.
    fn reference(self, language: Language) -> Option<Reference> {
        let came = |need: &String| SINCE_THEN.contains(&need.as_str());
        if !self.needs.iter().all(came) || !self.facts.others.is_empty() {
            return None;
        }
        let space: Space = serde_json::from_value(self.space).ok()?;
        let problem = Problem::ALL.into_iter().find(|p| p.word() == self.facts.problem)?;
        let slots = self.facts.slots.into_iter();
        let slots = slots
            .map(|(tag, Fact { text, required })| {
                Some(SlotFact { slot: Slot::from_tag(&tag)?, text, required })
            })
            .collect::<Option<Vec<_>>>()?;
        let seed = self.id.bytes().fold(7, |seed: u64, byte| seed * 31 + u64::from(byte));
        let request = WordingRequest { language, problem, reason: None, slots, space, seed };
        let texts = self.references.iter().map(|text| folded(&text.replace(" / ", " ")));
        Some(Reference { request, texts: texts.collect() })
    }
}

fn folded(text: &str) -> String {
    text.to_lowercase()
}

/// Scores of texts against their references, summed up.
#[derive(Clone, Debug, Default)]
pub struct Nearness {
    texts: usize,
    chrf: f64,
    matches: [u64; BLEU_ORDER],
    grams: [u64; BLEU_ORDER],
    length: usize,
    reference_length: usize,
}

/// Longest character sequences of chrF, and how much recall counts over precision (Popović 2015:
/// chrF2 with six).
const CHRF_ORDER: usize = 6;
const CHRF_BETA: f64 = 2.0;
/// Longest word sequences of BLEU (Papineni et al. 2002).
const BLEU_ORDER: usize = 4;

impl Nearness {
    pub fn add(&mut self, draft: &Draft, reference: &Reference) {
        let text = folded(&draft.rows.join(" "));
        self.texts += 1;
        // The nearest reference counts: each is one right answer.
        self.chrf += reference.texts.iter().map(|r| chrf(&text, r)).fold(0.0, f64::max);
        let words = words(&text);
        let references: Vec<Vec<String>> = reference.texts.iter().map(|r| self::words(r)).collect();
        self.length += words.len();
        let nearest = references
            .iter()
            .map(Vec::len)
            .min_by_key(|length| (length.abs_diff(words.len()), *length));
        self.reference_length += nearest.unwrap_or(0);
        for order in 1..=BLEU_ORDER {
            let own = counts(&words, order);
            let theirs: Vec<_> = references.iter().map(|r| counts(r, order)).collect();
            for (gram, count) in own {
                let most = theirs.iter().filter_map(|c| c.get(&gram)).max().copied().unwrap_or(0);
                self.matches[order - 1] += count.min(most);
                self.grams[order - 1] += count;
            }
        }
    }

    /// Mean chrF2 over the texts, 0 to 100.
    pub fn chrf(&self) -> f64 {
        100.0 * self.chrf / self.texts.max(1) as f64
    }

    /// BLEU-4 over all texts, 0 to 100; orders without any match count half a match.
    pub fn bleu(&self) -> f64 {
        if self.length == 0 {
            return 0.0;
        }
        let precision = self
            .matches
            .iter()
            .zip(&self.grams)
            .map(|(matches, grams)| ((*matches as f64).max(0.5) / (*grams).max(1) as f64).ln());
        let mean = precision.sum::<f64>() / BLEU_ORDER as f64;
        let brevity = (1.0 - self.reference_length as f64 / self.length as f64).min(0.0);
        100.0 * (mean + brevity).exp()
    }
}

/// Words and marks, each by itself.
fn words(text: &str) -> Vec<String> {
    let mut spaced = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if ".,:;!?".contains(c) {
            spaced.push(' ');
        }
        spaced.push(c);
    }
    spaced.split_whitespace().map(str::to_owned).collect()
}

fn counts<T: Clone + Eq + std::hash::Hash>(items: &[T], order: usize) -> HashMap<Vec<T>, u64> {
    let mut counts = HashMap::new();
    for gram in items.windows(order) {
        *counts.entry(gram.to_vec()).or_default() += 1;
    }
    counts
}

fn chrf(text: &str, reference: &str) -> f64 {
    let letters =
        |text: &str| -> Vec<char> { text.chars().filter(|c| !c.is_whitespace()).collect() };
    let (text, reference) = (letters(text), letters(reference));
    let (mut precision, mut recall, mut orders) = (0.0, 0.0, 0);
    for order in 1..=CHRF_ORDER.min(text.len()).min(reference.len()) {
        let (own, theirs) = (counts(&text, order), counts(&reference, order));
        let shared: u64 =
            own.iter().map(|(gram, count)| *count.min(theirs.get(gram).unwrap_or(&0))).sum();
        precision += shared as f64 / (text.len() + 1 - order) as f64;
        recall += shared as f64 / (reference.len() + 1 - order) as f64;
        orders += 1;
    }
    if orders == 0 || precision + recall <= 0.0 {
        return 0.0;
    }
    let (precision, recall) = (precision / f64::from(orders), recall / f64::from(orders));
    let beta = CHRF_BETA * CHRF_BETA;
    (1.0 + beta) * precision * recall / (beta * precision + recall)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(texts: &[&str]) -> Reference {
        Reference {
            request: crate::model::fixture::request(Space::Sign { rows: 3, cols: 18, pages: 1 }),
            texts: texts.iter().map(|text| folded(text)).collect(),
        }
    }

    fn score(text: &str, references: &[&str]) -> (f64, f64) {
        let mut nearness = Nearness::default();
        nearness.add(&Draft::of_rows(vec![text.to_owned()]), &reference(references));
        (nearness.chrf(), nearness.bleu())
    }

    #[test]
    fn the_same_text_is_as_near_as_can_be() {
        let (chrf, bleu) =
            score("the road is closed ahead.", &["other", "The road is closed ahead."]);
        assert!((chrf - 100.0).abs() < 1e-9 && (bleu - 100.0).abs() < 1e-9, "{chrf} {bleu}");
        let (far, none) = score("xyz", &["abc"]);
        assert!(far < 1e-9 && none < 60.0);
    }

    /// Worked out by hand: words 1 of 2, pairs 0 of 1; letters of `ab` in `ac`.
    #[test]
    fn scores_are_those_of_the_definitions() {
        assert!((chrf("ab", "ac") - 0.25).abs() < 1e-9, "{}", chrf("ab", "ac"));
        let (_, bleu) = score("a b c d e", &["a b c d f"]);
        let expected = 100.0 * (0.8_f64 * 0.75 * (2.0 / 3.0) * 0.5).powf(0.25);
        assert!((bleu - expected).abs() < 1e-6, "{bleu} {expected}");
        // Two words short of five: the brevity penalty alone.
        let (_, short) = score("a b c", &["a b c d e"]);
        let orders = (1.0_f64 * 1.0 * 1.0 * 0.5).powf(0.25);
        let expected = 100.0 * orders * (1.0 - 5.0 / 3.0_f64).exp();
        assert!((short - expected).abs() < 1e-6, "{short} {expected}");
    }

    #[test]
    fn contexts_with_facts_still_to_come_are_counted_and_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let line = |id: &str, problem: &str, more: &str| {
            format!(
                "{{\"id\":\"{id}\",\"audience\":\"sign\",\"space\":{{\"Sign\":{{\"rows\":3,\
                 \"cols\":18}}}},\"facts\":{{\"problem\":\"{problem}\",\"slots\":{{}}{more}}},\
                 \"references\":[\"QUEUES / OTHER ROUTE\"]}}\n"
            )
        };
        let text = line("s1", "queue", "")
            + &line("r1", "fog", "")
            + &line("r2", "queue", ",\"strength\":\"must\"");
        std::fs::write(dir.path().join("en.jsonl"), text).unwrap();
        let (references, beyond) = read(dir.path(), Language::En).unwrap();
        assert_eq!((references.len(), beyond), (1, 2));
        assert_eq!(references[0].texts, ["queues other route"]);
        std::fs::write(dir.path().join("it.jsonl"), "{}").unwrap();
        assert!(read(dir.path(), Language::It).unwrap_err().contains("line 1"));
    }
}
