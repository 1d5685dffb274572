//! Tests of the phrase material in `models/corpus`: that it keeps its own rules, and that the
//! template's phrases are part of it.

mod marks;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::phrases::{GERMAN_NOUNS, Phrases};
use super::{showable, width};
use crate::domain::closure::Reason;
use crate::domain::wording::{Language, Problem, Slot, Space};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Corpus {
    language: Language,
    hedges: Vec<String>,
    sign: Material,
    vehicle: Material,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Material {
    problem: BTreeMap<Problem, Vec<String>>,
    #[serde(default)]
    between: Vec<String>,
    lanes: Vec<String>,
    reason: BTreeMap<Reason, Vec<String>>,
    #[serde(default)]
    since: Vec<String>,
    until: Vec<String>,
    delay: Vec<String>,
    #[serde(default)]
    also_closed: Vec<String>,
    #[serde(default)]
    also_queue: Vec<String>,
    advice: Advice,
    saving: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advice {
    other_route: Vec<String>,
    turn: Vec<String>,
    via: Vec<String>,
}

const SIGN: Space = Space::Sign { rows: 6, cols: 40, pages: 1 };
const VEHICLE: Space = Space::Vehicle { max_chars: 400 };

fn text_of(language: Language) -> &'static str {
    match language {
        Language::En => include_str!("../../../models/corpus/en.yaml"),
        Language::It => include_str!("../../../models/corpus/it.yaml"),
        Language::De => include_str!("../../../models/corpus/de.yaml"),
        Language::Fr => include_str!("../../../models/corpus/fr.yaml"),
        Language::Es => include_str!("../../../models/corpus/es.yaml"),
    }
}

fn corpus(language: Language) -> Corpus {
    let corpus: Corpus = serde_saphyr::from_str(text_of(language)).unwrap();
    assert_eq!(corpus.language, language);
    corpus
}

impl Corpus {
    fn weighs(&self, text: &str) -> bool {
        text.split([' ', ',', '.', '(', '|', ')']).any(|word| self.hedges.iter().any(|h| h == word))
    }

    fn spaces(&self) -> [(Space, &Material); 2] {
        [(SIGN, &self.sign), (VEHICLE, &self.vehicle)]
    }
}

impl Material {
    /// Each list with a name and the slots that its patterns may have.
    fn lists(&self) -> Vec<(String, &[String], &'static [Slot])> {
        let mut lists: Vec<(String, &[String], &'static [Slot])> = self
            .problem
            .iter()
            .map(|(problem, list)| {
                (problem.word().to_owned(), list.as_slice(), &[Slot::Closed][..])
            })
            .collect();
        let reasons = self.reason.iter();
        lists
            .extend(reasons.map(|(reason, list)| (reason_list(*reason), list.as_slice(), &[][..])));
        lists.push(("between".into(), &self.between, &[Slot::Between0, Slot::Between1]));
        lists.push(("lanes".into(), &self.lanes, &[Slot::Lanes]));
        lists.push(("since".into(), &self.since, &[Slot::Since]));
        lists.push(("until".into(), &self.until, &[Slot::Since, Slot::Until]));
        lists.push(("delay".into(), &self.delay, &[Slot::Delay]));
        lists.push(("also_closed".into(), &self.also_closed, &[Slot::AlsoClosed]));
        lists.push(("also_queue".into(), &self.also_queue, &[Slot::AlsoQueue]));
        lists.push(("other_route".into(), &self.advice.other_route, &[]));
        lists.push(("turn".into(), &self.advice.turn, &[Slot::Turn, Slot::Dest]));
        let via = &[Slot::Via0, Slot::Via1, Slot::Turn, Slot::Dest];
        lists.push(("via".into(), &self.advice.via, via));
        lists.push(("saving".into(), &self.saving, &[Slot::Saving]));
        lists
    }
}

/// `incident` is a problem, `event` a reason: so that no two lists have one name.
fn reason_list(reason: Reason) -> String {
    format!("because of {}", reason.word())
}

/// Every text that a pattern stands for.
fn expand(pattern: &str) -> Vec<String> {
    let mut texts = vec![String::new()];
    let mut rest = pattern;
    while let Some(open) = rest.find(['[', '(']) {
        let close = if rest[open..].starts_with('[') { ']' } else { ')' };
        let end = open + rest[open..].find(close).expect("closed bracket");
        let inside = &rest[open + 1..end];
        assert!(!inside.contains(['[', '(', '<', '/']), "only plain words in brackets: {pattern}");
        let mut choices: Vec<&str> = inside.split('|').collect();
        if close == ']' {
            assert_eq!(choices.len(), 1, "no choice in an option: {pattern}");
            choices.push("");
        }
        texts = texts
            .iter()
            .flat_map(|text| choices.iter().map(move |c| format!("{text}{}{c}", &rest[..open])))
            .collect();
        rest = &rest[end + 1..];
    }
    assert!(!rest.contains([']', ')', '|']), "stray bracket: {pattern}");
    let tidy = |text: String| {
        let text = text + rest;
        text.split('/').map(words).collect::<Vec<_>>().join(" / ")
    };
    texts.into_iter().map(tidy).collect()
}

fn words(row: &str) -> String {
    row.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn slots_in(text: &str) -> Vec<Slot> {
    let tags = text.match_indices('<').map(|(start, _)| {
        let end = start + text[start..].find('>').expect("closed tag");
        Slot::from_tag(&text[start..=end]).expect("known slot")
    });
    tags.collect()
}

#[test]
fn patterns_keep_the_rules() {
    for language in Language::ALL {
        let corpus = corpus(language);
        for (space, material) in corpus.spaces() {
            assert_eq!(material.problem.len(), Problem::ALL.len());
            assert_eq!(material.reason.len(), Reason::ALL.len());
            for (list, patterns, allowed) in material.lists() {
                for pattern in patterns {
                    for text in expand(pattern) {
                        check_text(language, space, &list, &text, allowed);
                    }
                }
            }
        }
    }
}

fn check_text(language: Language, space: Space, list: &str, text: &str, allowed: &[Slot]) {
    let place = format!("{language:?} {space:?} {list}: {text}");
    let slots = slots_in(text);
    assert!(slots.iter().all(|s| allowed.contains(s)), "{place}");
    assert_eq!(slots.len(), slots.iter().collect::<BTreeSet<_>>().len(), "{place}");
    let needed = match list {
        "between" => Some(Slot::Between0),
        "lanes" => Some(Slot::Lanes),
        "since" => Some(Slot::Since),
        "until" => Some(Slot::Until),
        "delay" => Some(Slot::Delay),
        "also_closed" => Some(Slot::AlsoClosed),
        "also_queue" => Some(Slot::AlsoQueue),
        "saving" => Some(Slot::Saving),
        "turn" => Some(Slot::Turn),
        "via" => Some(Slot::Via0),
        _ => None,
    };
    assert!(needed.is_none_or(|slot| slots.contains(&slot)), "{place}");
    let at = |slot| text.find(Slot::tag(slot));
    assert_eq!(at(Slot::Between0).is_some(), at(Slot::Between1).is_some(), "{place}");
    assert!(at(Slot::Between0) <= at(Slot::Between1), "{place}");
    assert!(at(Slot::Via1).is_none_or(|second| at(Slot::Via0).is_some_and(|v| v < second)));

    let mut plain = text.to_owned();
    for slot in Slot::ALL {
        // A turn is words of the language; all others are names or numbers.
        plain = plain.replace(slot.tag(), if slot == Slot::Turn { "diritto" } else { "\u{1}" });
    }
    assert!(!plain.contains("\u{1} \u{1}") && !plain.contains("\u{1} / \u{1}"), "{place}");
    if let Some(turn) = at(Slot::Turn) {
        let before = text[..turn].split([' ', '/']).rfind(|word| !word.is_empty());
        let after = text[turn..].split([' ', '.', ',']).nth(1).unwrap_or_default();
        let verbs: &[&str] = match language {
            Language::En => &["go", "goes"],
            Language::It => &["andare", "proseguire", "va"],
            Language::De => &["bitte"],
            Language::Fr => &["aller", "allez", "d'aller", "va", "continuer", "continuez"],
            Language::Es => &["vaya", "siga", "va", "ir"],
        };
        let german = language == Language::De
            && (["fahren", "zu", "richtung"].contains(&after)
                || text.split(' ').any(|word| word == "geht"));
        assert!(german || before.is_some_and(|word| verbs.contains(&word)), "{place}");
    }
    match space {
        Space::Sign { .. } => {
            let draws = |c: char| "\u{1}/ ".contains(c) || showable(c.to_ascii_uppercase());
            assert!(plain.chars().all(|c| draws(c) && !c.is_ascii_uppercase()), "{place}");
            let first_row = text.split(" / ").next().unwrap_or_default();
            // A name or "other route" first could be taken for the place of the problem above.
            let advice = ["other_route", "turn", "via"].contains(&list);
            let nouns = ["<", "altra ", "altro ", "autre ", "otra ", "otro ", "por <", "andere"];
            let noun = nouns
                .iter()
                .chain(&["ueber ", "richtung ", "hacia ", "direction "])
                .any(|noun| first_row.starts_with(noun))
                || first_row.starts_with("other ") && !first_row.ends_with(" advised");
            assert!(!advice || !noun, "{place}");
            // A name alone in a problem's last row would read as where to turn, or the goal of it.
            let problem = Problem::ALL.iter().any(|problem| problem.word() == list);
            let last_row = text.rsplit(" / ").next().unwrap_or_default();
            let states_problem = last_row == text || !last_row.contains('<');
            assert!(!problem || states_problem, "{place}");
            assert!(text.split(" / ").all(|row| !row.is_empty() && row.len() <= 40), "{place}");
        }
        Space::Vehicle { .. } => {
            assert!(text.ends_with('.') && text.matches('.').count() == 1, "{place}");
            assert!(!text.contains(" .") && !text.contains(",."), "{place}");
            assert!(!text.contains(" ,") && !text.contains('/'), "{place}");
        }
    }
    assert!(!plain.chars().any(|c| c.is_ascii_digit() || c.is_uppercase()), "{place}");
    for banned in [
        "stop",
        "via san",
        "limit",
        "back",
        "indietro",
        "fermarsi",
        "halt",
        "wenden",
        "alto",
        "demi-tour",
    ] {
        assert!(!format!(" {plain} ").contains(&format!(" {banned} ")), "{place}");
    }
    let english_via = language == Language::En && plain.split(' ').any(|word| word == "via");
    assert!(!english_via, "{place}");
}

#[test]
fn each_problem_has_words_of_its_own() {
    for language in Language::ALL {
        let corpus = corpus(language);
        for (space, material) in corpus.spaces() {
            let has = |text: &str, marks: &[&str]| {
                text.split([' ', '.', ',', ':']).any(|word| marks.contains(&word))
            };
            for (list, patterns, _) in material.lists() {
                for text in patterns.iter().flat_map(|p| expand(p)) {
                    let place = format!("{language:?} {space:?} {list}: {text}");
                    for problem in Problem::ALL {
                        let states = has(&text, marks::of_problem(language, problem));
                        let second = match problem {
                            Problem::RoadClosed => "also_closed",
                            Problem::Queue => "also_queue",
                            _ => "none",
                        };
                        assert_eq!(
                            states,
                            [problem.word(), second].contains(&list.as_str()),
                            "{place}"
                        );
                    }
                    for reason in Reason::ALL {
                        let states = has(&text, marks::of_reason(language, reason));
                        assert_eq!(states, list == reason_list(reason), "{place}");
                    }
                }
            }
        }
    }
}

/// German nouns begin with a capital, by a list in the head of the file and one in code.
#[test]
fn german_nouns_are_all_known() {
    let head = text_of(Language::De).split("language:").next().unwrap_or_default();
    let listed = head.split("vehicle texts:\n").nth(1).and_then(|rest| rest.split("#\n").next());
    let listed: BTreeSet<&str> =
        listed.unwrap_or_default().split_whitespace().filter(|word| *word != "#").collect();
    assert_eq!(listed, GERMAN_NOUNS.iter().copied().collect());
    let corpus = corpus(Language::De);
    let mut words = BTreeSet::new();
    for (_, patterns, _) in corpus.vehicle.lists() {
        for text in patterns.iter().flat_map(|p| expand(p)) {
            words.extend(text.split([' ', '.', ',', ':']).map(str::to_owned));
        }
    }
    assert!(listed.iter().all(|noun| words.contains(*noun)), "some are in no text");
}

#[test]
fn no_text_belongs_to_two_lists() {
    for language in Language::ALL {
        let corpus = corpus(language);
        for (_, material) in corpus.spaces() {
            let mut seen: BTreeMap<String, String> = BTreeMap::new();
            for (list, patterns, _) in material.lists() {
                for text in patterns.iter().flat_map(|p| expand(p)) {
                    if let Some(other) = seen.insert(text.replace(" / ", " "), list.clone()) {
                        assert_eq!(other, list, "{text}");
                    }
                }
            }
        }
    }
}

#[test]
fn something_short_for_every_sign() {
    for language in Language::ALL {
        let corpus = corpus(language);
        let shortest = |list: &[String]| {
            let texts = list.iter().flat_map(|p| expand(p));
            texts.filter(|t| !t.contains(['/', '<'])).map(|t| width(&t)).min()
        };
        for (problem, list) in &corpus.sign.problem {
            assert!(shortest(list).is_some_and(|w| w <= 10), "{language:?} {problem:?}");
        }
        // Also of a closed road, whose advice weighs nothing.
        let other = corpus.sign.advice.other_route.iter();
        let firm: Vec<String> = other.filter(|p| !corpus.weighs(p)).cloned().collect();
        assert!(shortest(&firm).is_some_and(|w| w <= 10));
        for text in corpus.sign.reason.values().flatten().flat_map(|p| expand(p)) {
            assert!(text.split(" / ").all(|row| width(row) <= 18), "{language:?}: {text}");
            assert!(text.split(" / ").count() <= 2, "{language:?}: {text}");
        }
    }
}

#[test]
fn template_phrases_are_of_the_corpus() {
    for language in Language::ALL {
        let corpus = corpus(language);
        for (space, material) in corpus.spaces() {
            let texts = |list: &[String]| -> BTreeSet<String> {
                list.iter().flat_map(|p| expand(p)).collect()
            };
            let advice = &material.advice;
            for problem in Problem::ALL {
                let phrases = Phrases::of(language, problem, None, space);
                assert!(phrases.reason.is_empty());
                let pairs = [
                    (phrases.problem, texts(&material.problem[&problem])),
                    (phrases.between, texts(&material.between)),
                    (phrases.lanes, texts(&material.lanes)),
                    (phrases.since, texts(&material.since)),
                    (phrases.until, texts(&material.until)),
                    (phrases.delay, texts(&material.delay)),
                    (phrases.also_closed, texts(&material.also_closed)),
                    (phrases.also_queue, texts(&material.also_queue)),
                    (phrases.saving, texts(&material.saving)),
                    (phrases.other_route, texts(&advice.other_route)),
                    (phrases.turn, texts(&advice.turn)),
                    (phrases.via, texts(&advice.via)),
                ];
                let advice = [phrases.other_route, phrases.turn, phrases.via].concat();
                assert!(!advice.iter().any(|phrase| corpus.weighs(phrase)));
                for (phrases, texts) in pairs {
                    for phrase in phrases {
                        assert!(texts.contains(*phrase), "{language:?} {space:?}: {phrase}");
                    }
                }
            }
            for (reason, patterns) in &material.reason {
                let phrases = Phrases::of(language, Problem::RoadClosed, Some(*reason), space);
                assert!(!phrases.reason.is_empty());
                for phrase in phrases.reason {
                    assert!(texts(patterns).contains(*phrase), "{language:?} {space:?}: {phrase}");
                }
            }
        }
    }
}

#[test]
fn the_lexicon_is_moderate() {
    for language in Language::ALL {
        let corpus = corpus(language);
        let mut lexicon = BTreeSet::new();
        for (_, material) in corpus.spaces() {
            for (_, patterns, _) in material.lists() {
                for text in patterns.iter().flat_map(|p| expand(p)) {
                    let plain = text.split([' ', '.', ',', ':', '/']);
                    let words = plain.filter(|w| !w.is_empty() && !w.starts_with('<'));
                    lexicon.extend(words.map(str::to_owned));
                }
            }
        }
        assert!(lexicon.len() <= 250, "{language:?}: {}", lexicon.len());
    }
}
