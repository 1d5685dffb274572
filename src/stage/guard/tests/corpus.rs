//! The phrase material that writers learn from: the guard reads all of it as it is meant.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Corpus {
    language: Language,
    sign: Phrases,
    vehicle: Phrases,
}

#[derive(Deserialize)]
struct Phrases {
    problem: BTreeMap<String, Vec<String>>,
    delay: Vec<String>,
    advice: BTreeMap<String, Vec<String>>,
    saving: Vec<String>,
}

/// By slot, in the network's spelling.
fn fact(slot: Slot, language: Language) -> &'static str {
    match (slot, language) {
        (Slot::Closed, _) => "Via San Marco",
        (Slot::Via0, _) => "Via San Marco Vecchia",
        (Slot::Via1, _) => "Via 4 Novembre",
        (Slot::Dest, _) => "Porta Nord",
        (Slot::Delay, _) => "6 min",
        (Slot::Saving, _) => "4 min",
        (Slot::Turn, Language::En) => "straight on",
        (Slot::Turn, Language::It) => "a sinistra",
    }
}

/// All texts of a pattern: `(a|b)` one of these, `[a]` with or without, never nested.
fn expand(pattern: &str) -> Vec<String> {
    let Some(open) = pattern.find(['(', '[']) else {
        return vec![pattern.split_whitespace().collect::<Vec<_>>().join(" ")];
    };
    let close = open + pattern[open..].find([')', ']']).unwrap();
    let (head, inside, tail) = (&pattern[..open], &pattern[open + 1..close], &pattern[close + 1..]);
    let mut choices: Vec<_> = inside.split('|').collect();
    if pattern[open..].starts_with('[') {
        choices.push("");
    }
    choices.iter().flat_map(|choice| expand(&format!("{head}{choice}{tail}"))).collect()
}

/// Facts in, case of the space, as a list of rows.
fn finish(text: &str, language: Language, on_sign: bool) -> Vec<String> {
    let mut text = text.replace(" .", ".").replace(" ,", ",");
    for slot in Slot::ALL {
        text = text.replace(slot.tag(), fact(slot, language));
    }
    if on_sign {
        return text.split(" / ").map(fold).collect();
    }
    let mut letters = text.chars();
    vec![letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()]
}

/// A text of one sentence a clause, and which slots it says.
fn ask(
    guard: &Guard,
    language: Language,
    on_sign: bool,
    problem: Problem,
    clauses: &[&str],
) -> Result<(), String> {
    let slots: Vec<_> = Slot::ALL
        .into_iter()
        .filter(|slot| clauses.iter().any(|clause| clause.contains(slot.tag())))
        .map(|slot| (slot, format!("!{}", fact(slot, language))))
        .collect();
    let facts: Vec<_> = slots.iter().map(|(slot, text)| (*slot, text.as_str())).collect();
    let space = if on_sign { SIGN } else { VEHICLE };
    let request = request(language, space, problem, &facts);
    let rows = clauses.iter().flat_map(|clause| finish(clause, language, on_sign));
    let rows: Vec<_> = rows.collect();
    let text = if on_sign { rows } else { vec![rows.join(" ")] };
    let wording = Wording { language, text, writer: "test".to_owned() };
    guard.check(&request, &wording).map_err(|objection| format!("{:?}: {objection}", wording.text))
}

fn problem(word: &str) -> Problem {
    Problem::ALL.into_iter().find(|problem| problem.word() == word).unwrap()
}

/// Every problem sentence with every advice sentence, and all delays and savings in turn.
#[test]
fn the_whole_corpus_is_read_as_meant() {
    let guard = nasty();
    let mut refused = Vec::new();
    let mut texts = 0;
    for language in Language::ALL {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("models/corpus/{}.yaml", language.code()));
        let yaml = std::fs::read_to_string(&path).unwrap();
        let corpus: Corpus = serde_saphyr::from_str(&yaml).unwrap();
        assert_eq!(corpus.language, language);
        for (on_sign, phrases) in [(true, &corpus.sign), (false, &corpus.vehicle)] {
            let all = |patterns: &[String]| -> Vec<String> {
                patterns.iter().flat_map(|pattern| expand(pattern)).collect()
            };
            let delays = all(&phrases.delay);
            let savings = all(&phrases.saving);
            let advice: Vec<_> = phrases.advice.values().flat_map(|p| all(p)).collect();
            for (word, patterns) in &phrases.problem {
                for stated in all(patterns) {
                    for advised in &advice {
                        texts += 1;
                        let delay = &delays[texts % delays.len()];
                        let saving = &savings[texts % savings.len()];
                        let (stated, advised) = (stated.as_str(), advised.as_str());
                        let clauses: [&[&str]; 4] = [
                            &[stated, advised],
                            &[stated, delay, advised],
                            &[stated, advised, saving],
                            &[stated, delay, advised, saving],
                        ];
                        let clauses = clauses[texts % 4];
                        if let Err(objection) =
                            ask(&guard, language, on_sign, problem(word), clauses)
                        {
                            refused.push(objection);
                        }
                    }
                }
            }
        }
    }
    let sample = refused.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(refused.is_empty(), "{} of {texts} texts:\n{sample}", refused.len());
}
