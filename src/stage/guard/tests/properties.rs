//! Texts made at random from the grammar pass; with one thing wrong they never do.

use proptest::prelude::*;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::stage::guard::Objection;
use crate::stage::guard::phrases::{Phrases, expand, slot_of, tongue};

/// A text as its clauses, each a run of words and slots; for signs a `/` is a row break.
#[derive(Clone, Debug)]
struct Sample {
    language: Language,
    space: Space,
    problem: Problem,
    reason: Option<Reason>,
    clauses: Vec<Vec<String>>,
    /// By slot, in the network's spelling.
    facts: Vec<(Slot, String)>,
}

impl Sample {
    fn draw(rng: &mut ChaCha8Rng) -> Self {
        let language = *Language::ALL.choose(rng).unwrap();
        let space = *[SIGN, VEHICLE].choose(rng).unwrap();
        let phrases = phrases(language, space);
        let (problem, patterns) = phrases.problem.choose(rng).unwrap();
        let mut clauses = vec![sentence(patterns, phrases, rng)];
        let mut reason = None;
        let (closed, incident) = (*problem == Problem::RoadClosed, *problem == Problem::Incident);
        let extents = if closed { phrases.between } else { phrases.lanes };
        if (closed || incident) && !extents.is_empty() && rng.random_bool(0.5) {
            clauses.push(sentence(extents, phrases, rng));
        }
        if (closed || incident) && rng.random_bool(0.5) {
            let (given, patterns) = phrases.reason.choose(rng).unwrap();
            clauses.push(sentence(patterns, phrases, rng));
            reason = Some(*given);
        }
        let times = if closed && rng.random_bool(0.5) { phrases.until } else { phrases.since };
        if (closed || incident) && !times.is_empty() && rng.random_bool(0.5) {
            clauses.push(sentence(times, phrases, rng));
        }
        if rng.random_bool(0.5) {
            clauses.push(sentence(phrases.delay, phrases, rng));
        }
        let seconds = if rng.random_bool(0.5) { phrases.also_closed } else { phrases.also_queue };
        if !seconds.is_empty() && rng.random_bool(0.5) {
            clauses.push(sentence(seconds, phrases, rng));
        }
        clauses.push(advice(language, space, !closed, rng));
        if rng.random_bool(0.5) {
            clauses.push(sentence(phrases.saving, phrases, rng));
        }
        let mut streets = STREETS.to_vec();
        streets.shuffle(rng);
        let turns = tongue(language).turns;
        let lanes = rng.random_range(1..4);
        let lane = tongue(language).lanes[usize::from(lanes != 1)];
        let time = |rng: &mut ChaCha8Rng, hours| {
            format!("{:02}:{:02}", rng.random_range(hours), rng.random_range(0..60))
        };
        let facts = vec![
            (Slot::Closed, streets[0].to_owned()),
            (Slot::Via0, streets[1].to_owned()),
            (Slot::Via1, streets[2].to_owned()),
            (Slot::Dest, (*PLACES.choose(rng).unwrap()).to_owned()),
            (Slot::Delay, format!("{} min", rng.random_range(1..30))),
            (Slot::Saving, format!("{} min", rng.random_range(31..60))),
            (Slot::Since, time(rng, 0..12)),
            (Slot::Until, time(rng, 12..24)),
            (Slot::Between0, streets[3].to_owned()),
            (Slot::Between1, streets[4].to_owned()),
            (Slot::AlsoClosed, streets[5].to_owned()),
            (Slot::AlsoQueue, streets[6].to_owned()),
            (Slot::Lanes, format!("{lanes} {lane}")),
            (Slot::Turn, (*turns.choose(rng).unwrap()).to_owned()),
        ];
        Self { language, space, problem: *problem, reason, clauses, facts }
    }

    fn said(&self) -> Vec<Slot> {
        self.clauses.iter().flatten().filter_map(|item| slot_of(item)).collect()
    }

    /// What is said is required; what is not said may be said.
    fn request(&self) -> WordingRequest {
        let said = self.said();
        let facts = self.facts.iter().map(|(slot, text)| {
            (*slot, if said.contains(slot) { format!("!{text}") } else { text.clone() })
        });
        let facts: Vec<_> = facts.collect();
        let facts: Vec<_> = facts.iter().map(|(slot, text)| (*slot, text.as_str())).collect();
        let reason = self.reason;
        WordingRequest { reason, ..request(self.language, self.space, self.problem, &facts) }
    }

    fn text(&self) -> Wording {
        let on_sign = matches!(self.space, Space::Sign { .. });
        let filled = self.clauses.iter().map(|clause| {
            let words = clause.iter().map(|item| match slot_of(item) {
                Some(slot) => {
                    let fact = self.facts.iter().find(|(other, _)| *other == slot);
                    fact.map_or(String::new(), |(_, text)| text.clone())
                }
                None => item.trim_start_matches('~').to_owned(),
            });
            let words: Vec<_> = words.collect();
            let text = if on_sign { words.join(" ") } else { sentence_case(self.language, &words) };
            let text = text.replace(" ,", ",").replace(" :", ":");
            if on_sign { super::on_sign(&text) } else { text + "." }
        });
        let clauses: Vec<_> = filled.collect();
        let text = if on_sign { clauses } else { vec![clauses.join(" ")] };
        Wording { language: self.language, text, second_page: None, writer: "test".to_owned() }
    }
}

fn phrases(language: Language, space: Space) -> &'static Phrases {
    match space {
        Space::Sign { .. } => &tongue(language).sign,
        Space::Vehicle { .. } => &tongue(language).vehicle,
    }
}

fn sentence(patterns: &[&str], phrases: &Phrases, rng: &mut ChaCha8Rng) -> Vec<String> {
    let pattern = patterns.choose(rng).unwrap();
    expand(pattern, phrases.parts).choose(rng).unwrap().clone()
}

/// Advice, such that weighs one way against another left out unless `either` will do.
fn advice(language: Language, space: Space, either: bool, rng: &mut ChaCha8Rng) -> Vec<String> {
    let phrases = phrases(language, space);
    let hedges = tongue(language).hedges;
    loop {
        let drawn = sentence(phrases.advice, phrases, rng);
        if either || !drawn.iter().any(|word| hedges.contains(&word.as_str())) {
            return drawn;
        }
    }
}

/// What is done to a text that was right. Each returns false if the text has nothing to do it to.
type Change = fn(&mut Sample, &mut WordingRequest, &mut ChaCha8Rng) -> bool;

const CHANGES: [(&str, Change); 22] = [
    ("another name", |sample, _, rng| {
        let said = sample.said();
        let Some(slot) = Slot::NAMES.into_iter().rfind(|slot| said.contains(slot)) else {
            return false;
        };
        let stranger = stranger(sample, rng);
        replace(sample, slot, &stranger)
    }),
    ("a name cut short or made longer", |sample, _, rng| {
        let said = sample.said();
        let Some(slot) = Slot::NAMES.into_iter().find(|slot| said.contains(slot)) else {
            return false;
        };
        let name = text_of(sample, slot);
        let words: Vec<_> = name.split(' ').collect();
        let other = match rng.random_range(0..3) {
            0 => words[1..].join(" "),
            1 => words[..words.len() - 1].join(" "),
            _ => format!("{name} Vecchia"),
        };
        replace(sample, slot, &other)
    }),
    ("another number", |sample, _, rng| {
        let said = sample.said();
        let numbers = [Slot::Delay, Slot::Saving].into_iter().filter(|slot| said.contains(slot));
        let Some(slot) = numbers.collect::<Vec<_>>().choose(rng).copied() else { return false };
        replace(sample, slot, &format!("{} min", rng.random_range(60..999)))
    }),
    ("another unit", |sample, _, rng| {
        let said = sample.said();
        let Some(slot) = [Slot::Delay, Slot::Saving].into_iter().find(|s| said.contains(s)) else {
            return false;
        };
        let unit = ["h", "s", "km", "ore", "minuti", "minutes"].choose(rng).unwrap();
        let text = text_of(sample, slot).replace("min", unit);
        replace(sample, slot, &text)
    }),
    ("another time", |sample, _, rng| {
        let said = sample.said();
        let times = [Slot::Since, Slot::Until].into_iter().filter(|slot| said.contains(slot));
        let Some(slot) = times.collect::<Vec<_>>().choose(rng).copied() else { return false };
        let hour = rng.random_range(0..24);
        replace(sample, slot, &format!("{hour:02}:{:02}", rng.random_range(0..60)))
    }),
    ("a second road's other trouble", |sample, _, rng| {
        let phrases = phrases(sample.language, sample.space);
        let has =
            |clause: &Vec<String>, slot| clause.iter().any(|item| slot_of(item) == Some(slot));
        for (slot, other) in
            [(Slot::AlsoClosed, phrases.also_queue), (Slot::AlsoQueue, phrases.also_closed)]
        {
            if let Some(at) = sample.clauses.iter().position(|clause| has(clause, slot)) {
                sample.clauses[at] = sentence(other, phrases, rng);
                let twin =
                    if slot == Slot::AlsoClosed { Slot::AlsoQueue } else { Slot::AlsoClosed };
                let name = text_of(sample, slot);
                return replace(sample, twin, &name);
            }
        }
        false
    }),
    ("another number of lanes", |sample, _, rng| {
        let lane = text_of(sample, Slot::Lanes).split_once(' ').unwrap().1.to_owned();
        let text = format!("{} {lane}", rng.random_range(4..9));
        sample.said().contains(&Slot::Lanes) && replace(sample, Slot::Lanes, &text)
    }),
    ("what an operator says, of something that has none", |sample, _, rng| {
        let phrases = phrases(sample.language, sample.space);
        let stray = match sample.problem {
            Problem::RoadClosed => phrases.lanes,
            Problem::Incident => phrases.until,
            _ => [phrases.lanes, phrases.until].choose(rng).unwrap(),
        };
        sample.clauses.insert(1, sentence(stray, phrases, rng));
        true
    }),
    ("another turn", |sample, _, rng| {
        let turns = tongue(sample.language).turns;
        let right = text_of(sample, Slot::Turn);
        let others: Vec<_> = turns.iter().filter(|turn| **turn != right).collect();
        let other = (*others.choose(rng).unwrap()).to_string();
        sample.said().contains(&Slot::Turn) && replace(sample, Slot::Turn, &other)
    }),
    ("two facts swapped", |sample, _, rng| {
        let mut said: Vec<_> =
            sample.said().into_iter().filter(|slot| *slot != Slot::Turn).collect();
        said.shuffle(rng);
        let [one, other, ..] = said[..] else { return false };
        let (first, second) = (text_of(sample, one), text_of(sample, other));
        replace(sample, one, &second) && replace(sample, other, &first)
    }),
    ("a required fact left out", |sample, request, _| {
        let said = sample.said();
        let left = request.slots.iter_mut().find(|fact| !said.contains(&fact.slot));
        left.is_some_and(|fact| {
            fact.required = true;
            true
        })
    }),
    ("a fact that was not given", |sample, request, rng| {
        let said = sample.said();
        let Some(slot) = said.choose(rng) else { return false };
        request.slots.retain(|fact| fact.slot != *slot);
        true
    }),
    ("a name too many", |sample, _, rng| {
        let stranger = stranger(sample, rng);
        insert(sample, &stranger, rng);
        true
    }),
    ("a word too many", |sample, _, rng| {
        let words = [
            "not", "non", "no", "never", "mai", "stop", "two", "due", "30", "km/h", "right.",
            "avoid", "evitare", "unless", "senza", "except", "fuoco", "-", "/", "'",
        ];
        insert(sample, words.choose(rng).unwrap(), rng);
        true
    }),
    ("a clause twice", |sample, _, rng| {
        let at = rng.random_range(0..sample.clauses.len());
        sample.clauses.insert(at, sample.clauses[at].clone());
        true
    }),
    ("a clause left out", |sample, _, rng| {
        // The advice is the last clause or the one before a saving.
        let saving = sample.said().contains(&Slot::Saving);
        let advice = sample.clauses.len() - 1 - usize::from(saving);
        sample.clauses.remove(if rng.random_bool(0.5) { 0 } else { advice });
        true
    }),
    ("clauses in another order", |sample, _, rng| {
        let at = rng.random_range(1..sample.clauses.len());
        sample.clauses.swap(at - 1, at);
        true
    }),
    ("another problem", |sample, _, rng| {
        let phrases = phrases(sample.language, sample.space);
        let others: Vec<_> =
            phrases.problem.iter().filter(|(problem, _)| *problem != sample.problem).collect();
        let (_, patterns) = others.choose(rng).unwrap();
        sample.clauses[0] = sentence(patterns, phrases, rng);
        true
    }),
    ("another reason", |sample, _, rng| {
        let phrases = phrases(sample.language, sample.space);
        let Some(reason) = sample.reason else { return false };
        let others: Vec<_> = phrases.reason.iter().filter(|(other, _)| *other != reason).collect();
        let (_, patterns) = others.choose(rng).unwrap();
        let extent = |slot| matches!(slot, Some(Slot::Between0 | Slot::Lanes));
        let at = 1 + usize::from(sample.clauses[1].iter().any(|item| extent(slot_of(item))));
        sample.clauses[at] = sentence(patterns, phrases, rng);
        true
    }),
    ("a reason that was not given", |_, request, _| request.reason.take().is_some()),
    ("a closed road that is weighed against another", |sample, _, rng| {
        let at = sample.clauses.len() - 1 - usize::from(sample.said().contains(&Slot::Saving));
        let hedge = *tongue(sample.language).hedges.choose(rng).unwrap();
        let place = rng.random_range(0..=sample.clauses[at].len());
        sample.clauses[at].insert(place, hedge.to_owned());
        sample.problem == Problem::RoadClosed
    }),
    ("a reason for congestion", |sample, request, rng| {
        if matches!(sample.problem, Problem::RoadClosed | Problem::Incident) {
            return false;
        }
        let phrases = phrases(sample.language, sample.space);
        let (reason, patterns) = phrases.reason.choose(rng).unwrap();
        sample.clauses.insert(1, sentence(patterns, phrases, rng));
        request.reason = Some(*reason);
        true
    }),
];

fn text_of(sample: &Sample, slot: Slot) -> String {
    sample.facts.iter().find(|(other, _)| *other == slot).unwrap().1.clone()
}

fn replace(sample: &mut Sample, slot: Slot, text: &str) -> bool {
    let fact = sample.facts.iter_mut().find(|(other, _)| *other == slot).unwrap();
    let differs = fold(&fact.1) != fold(text);
    fact.1 = text.to_owned();
    differs
}

/// A name of the network that is none of the facts.
fn stranger(sample: &Sample, rng: &mut ChaCha8Rng) -> String {
    let known: Vec<_> = sample.facts.iter().map(|(_, text)| fold(text)).collect();
    let names = STREETS.iter().chain(&PLACES).filter(|name| !known.contains(&fold(name)));
    (*names.collect::<Vec<_>>().choose(rng).unwrap()).to_string()
}

fn insert(sample: &mut Sample, word: &str, rng: &mut ChaCha8Rng) {
    let clause = rng.random_range(0..sample.clauses.len());
    let at = rng.random_range(0..=sample.clauses[clause].len());
    sample.clauses[clause].insert(at, word.to_owned());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn right_texts_pass(seed in any::<u64>()) {
        let sample = Sample::draw(&mut ChaCha8Rng::seed_from_u64(seed));
        let text = sample.text();
        let answer = PATIENT.with(|guard| guard.check(&sample.request(), &text));
        // French for "is" after a name makes a longer one: refused, to be on the safe side.
        let longer = |o: &Objection| matches!(o, Objection::LongerName { name, .. } if name == "Uscita Est");
        prop_assert_eq!(answer.or_else(|o| if longer(&o) { Ok(()) } else { Err(o) }), Ok(()), "{:?}", text.text);
    }

    #[test]
    fn wrong_texts_never_pass(seed in any::<u64>()) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let right = Sample::draw(&mut rng);
        for (what, change) in CHANGES {
            let (mut sample, mut request) = (right.clone(), right.request());
            if change(&mut sample, &mut request, &mut rng) {
                let text = sample.text();
                let answer = PATIENT.with(|guard| guard.check(&request, &text));
                prop_assert!(answer.is_err(), "{}: {:?}, was {:?}", what, text.text, right.text());
            }
        }
    }

    /// Whatever comes, the guard answers.
    #[test]
    fn any_text_gets_an_answer(rows in proptest::collection::vec("\\PC{0,60}", 0..4)) {
        let sample = Sample::draw(&mut ChaCha8Rng::seed_from_u64(1));
        let text = Wording { text: rows, ..sample.text() };
        prop_assert!(PATIENT.with(|guard| guard.check(&sample.request(), &text)).is_err());
    }
}

thread_local! {
    static PATIENT: Guard = patient();
}
