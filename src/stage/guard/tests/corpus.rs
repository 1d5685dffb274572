//! The phrase material that writers learn from: the guard reads all of it as it is meant.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Corpus {
    language: Language,
    hedges: Vec<String>,
    sign: Phrases,
    vehicle: Phrases,
}

#[derive(Deserialize)]
struct Phrases {
    problem: BTreeMap<String, Vec<String>>,
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
    advice: BTreeMap<String, Vec<String>>,
    saving: Vec<String>,
}

impl Corpus {
    /// Whether a text has one of these words.
    fn has(text: &str, words: &[String]) -> bool {
        text.split([' ', ',', '.']).any(|word| words.iter().any(|own| own == word))
    }
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
        (Slot::Until, _) => "07:45",
        (Slot::Since, _) => "06:10",
        (Slot::Between0, _) => "Via G. Verdi",
        (Slot::Between1, _) => "Via San Marino",
        (Slot::AlsoClosed, _) => "Via Roma",
        (Slot::AlsoQueue, _) => "Via Chiusa",
        (Slot::Lanes, Language::En) => "2 lanes",
        (Slot::Lanes, Language::It) => "1 corsia",
        (Slot::Lanes, Language::De) => "1 Spur",
        (Slot::Lanes, Language::Fr) => "3 voies",
        (Slot::Lanes, Language::Es) => "1 carril",
        (Slot::Turn, Language::En) => "straight on",
        (Slot::Turn, Language::It) => "a sinistra",
        (Slot::Turn, Language::De) => "geradeaus",
        (Slot::Turn, Language::Fr) => "à gauche",
        (Slot::Turn, Language::Es) => "a la derecha",
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
    let text = text.replace(" .", ".").replace(" ,", ",");
    let filled = |mut text: String| {
        for slot in Slot::ALL {
            text = text.replace(slot.tag(), fact(slot, language));
        }
        text
    };
    if on_sign {
        return filled(text).split(" / ").map(super::on_sign).collect();
    }
    let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    vec![filled(sentence_case(language, &words))]
}

/// A text of one sentence a clause, and which slots it says.
fn ask(
    guard: &Guard,
    language: Language,
    on_sign: bool,
    (problem, reason): (Problem, Option<Reason>),
    clauses: &[&str],
) -> Result<(), String> {
    let slots: Vec<_> = Slot::ALL
        .into_iter()
        .filter(|slot| clauses.iter().any(|clause| clause.contains(slot.tag())))
        .map(|slot| (slot, format!("!{}", fact(slot, language))))
        .collect();
    let facts: Vec<_> = slots.iter().map(|(slot, text)| (*slot, text.as_str())).collect();
    let space = if on_sign { SIGN } else { VEHICLE };
    let request = WordingRequest { reason, ..request(language, space, problem, &facts) };
    let rows = clauses.iter().flat_map(|clause| finish(clause, language, on_sign));
    let rows: Vec<_> = rows.collect();
    let text = if on_sign { rows } else { vec![rows.join(" ")] };
    let wording = Wording { language, text, second_page: None, writer: "test".to_owned() };
    guard.check(&request, &wording).map_err(|objection| format!("{:?}: {objection}", wording.text))
}

fn problem(word: &str) -> Problem {
    Problem::ALL.into_iter().find(|problem| problem.word() == word).unwrap()
}

fn corpus(language: Language) -> Corpus {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("models/corpus/{}.yaml", language.code()));
    let corpus: Corpus = serde_saphyr::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(corpus.language, language);
    corpus
}

fn all(patterns: &[String]) -> Vec<String> {
    patterns.iter().flat_map(|pattern| expand(pattern)).collect()
}

/// Every problem sentence with every seventh advice sentence, each time another seventh; all delays,
/// savings and, of closures and incidents, what operators say in turn.
#[test]
fn the_whole_corpus_is_read_as_meant() {
    let guard = patient();
    let mut refused = Vec::new();
    let mut texts = 0;
    for language in Language::ALL {
        let corpus = corpus(language);
        for (on_sign, phrases) in [(true, &corpus.sign), (false, &corpus.vehicle)] {
            let [betweens, lanes] = [&phrases.between, &phrases.lanes].map(|list| all(list));
            let sinces = all(&phrases.since);
            let ends = [all(&phrases.until), sinces.clone()].concat();
            let delays = all(&phrases.delay);
            let seconds = [all(&phrases.also_closed), all(&phrases.also_queue)].concat();
            let savings = all(&phrases.saving);
            let advice: Vec<_> = phrases.advice.values().flat_map(|p| all(p)).collect();
            let reasons = phrases.reason.iter();
            let reasons: Vec<_> = reasons
                .flat_map(|(reason, p)| all(p).into_iter().map(|text| (*reason, text)))
                .collect();
            let mut first = 0;
            for (word, patterns) in &phrases.problem {
                for stated in all(patterns) {
                    first += 1;
                    for advised in advice.iter().skip(first % 7).step_by(7) {
                        if word == "road_closed" && Corpus::has(advised, &corpus.hedges) {
                            continue;
                        }
                        texts += 1;
                        let delay = &delays[texts % delays.len()];
                        let saving = &savings[texts % savings.len()];
                        let (stated, advised) = (stated.as_str(), advised.as_str());
                        let problem = problem(word);
                        let reason = reasons.get(texts % (reasons.len() + 1));
                        let (extents, times) = match problem {
                            Problem::RoadClosed => (betweens.as_slice(), ends.as_slice()),
                            Problem::Incident => (lanes.as_slice(), sinces.as_slice()),
                            _ => (&[][..], &[][..]),
                        };
                        let is_told = matches!(problem, Problem::RoadClosed | Problem::Incident);
                        let reason = reason.filter(|_| is_told);
                        let turn = |list: &'_ [String], often: bool| {
                            let at = texts.checked_rem(list.len()).filter(|_| often);
                            at.map(|at| list[at].clone())
                        };
                        let time = turn(times, texts % 3 > 0);
                        let extent = turn(extents, texts % 5 > 1);
                        let second = turn(&seconds, texts % 7 > 2);
                        let delay = (texts % 2 == 0).then_some(delay.as_str());
                        let saving = (texts % 4 > 1).then_some(saving.as_str());
                        let why = reason.map(|(_, text)| text.as_str());
                        let (extent, time) = (extent.as_deref(), time.as_deref());
                        let (second, advised) = (second.as_deref(), Some(advised));
                        let stated = Some(stated);
                        let clauses = [stated, extent, why, time, delay, second, advised, saving];
                        let clauses: Vec<_> = clauses.into_iter().flatten().collect();
                        let facts = (problem, reason.map(|(reason, _)| *reason));
                        if let Err(objection) = ask(&guard, language, on_sign, facts, &clauses) {
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

/// The same facts, asked for in every language, come back from each as they are.
#[test]
fn all_languages_say_one_direction_alike() {
    let guard = patient();
    let corpora = Language::ALL.map(corpus);
    let wanted = [Slot::Closed, Slot::Delay, Slot::Via0, Slot::Dest, Slot::Saving];
    for on_sign in [true, false] {
        for (nth, problem) in Problem::ALL.into_iter().cycle().take(100).enumerate() {
            let reason = (problem == Problem::RoadClosed).then(|| Reason::ALL[nth % 8]);
            for corpus in &corpora {
                let phrases = if on_sign { &corpus.sign } else { &corpus.vehicle };
                let pick = |patterns: &[String], slots: &[Slot]| -> String {
                    let said = |text: &String| {
                        Slot::ALL.iter().all(|s| slots.contains(s) == text.contains(s.tag()))
                    };
                    let fitting: Vec<_> = all(patterns).into_iter().filter(said).collect();
                    fitting[nth % fitting.len()].clone()
                };
                let mut ways = all(&phrases.advice["via"]);
                ways.retain(|text| !Corpus::has(text, &corpus.hedges));
                let advice = pick(&ways, &[Slot::Via0, Slot::Dest]);
                let stated = pick(&phrases.problem[problem.word()], &[Slot::Closed]);
                let delay = pick(&phrases.delay, &[Slot::Delay]);
                let saving = pick(&phrases.saving, &[Slot::Saving]);
                let why = reason.map(|reason| pick(&phrases.reason[&reason], &[]));
                let clauses =
                    [Some(&stated), why.as_ref(), Some(&delay), Some(&advice), Some(&saving)];
                let clauses: Vec<&str> =
                    clauses.into_iter().flatten().map(String::as_str).collect();
                assert!(wanted.iter().all(|s| clauses.iter().any(|c| c.contains(s.tag()))));
                let answer = ask(&guard, corpus.language, on_sign, (problem, reason), &clauses);
                assert_eq!(answer, Ok(()), "{:?}", corpus.language);
            }
        }
    }
}

/// What the corpus says of its words, the guard says too, and refuses what writers are kept from.
#[test]
fn a_closed_road_is_weighed_against_nothing() {
    let guard = nasty();
    for language in Language::ALL {
        let corpus = corpus(language);
        assert_eq!(tongue(language).hedges, corpus.hedges);
        let mut met = 0;
        for (on_sign, phrases) in [(true, &corpus.sign), (false, &corpus.vehicle)] {
            let advice: Vec<_> = phrases.advice.values().flat_map(|p| all(p)).collect();
            for hedge in &corpus.hedges {
                let hedge = std::slice::from_ref(hedge);
                let Some(text) = advice.iter().find(|text| Corpus::has(text, hedge)) else {
                    continue;
                };
                met += 1;
                let ask = |problem: Problem| {
                    let stated = all(&phrases.problem[problem.word()]).remove(0);
                    ask(&guard, language, on_sign, (problem, None), &[stated.as_str(), text])
                };
                assert_eq!(ask(Problem::Queue), Ok(()), "{text}");
                let refused = ask(Problem::RoadClosed).unwrap_err();
                assert!(refused.contains("is no choice"), "{refused}");
            }
        }
        assert!(met >= corpus.hedges.len(), "{language:?}: a word that stands nowhere");
    }
}

/// The guard's list of German nouns against the one in the head of the file.
#[test]
fn german_nouns_are_those_of_the_corpus() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/corpus/de.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let listed = text.split("vehicle texts:\n").nth(1).and_then(|rest| rest.split("#\n").next());
    let mut listed: Vec<&str> =
        listed.unwrap_or_default().split_whitespace().filter(|word| *word != "#").collect();
    let mut known = tongue(Language::De).nouns.to_vec();
    listed.sort_unstable();
    known.sort_unstable();
    assert_eq!(known, listed);
}
