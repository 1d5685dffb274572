//! Requests drawn at random: what a model is trained and measured on.
//!
//! Mostly of the make that directions have (an advised road is a must; a vehicle is told where the
//! trouble is), sometimes of any make at all. Names are made up here: a model sees their length and
//! nothing else. Knows nothing of words.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::domain::closure::Reason;
use crate::domain::wording::{Language, Problem, Slot, SlotFact, Space, WordingRequest};

use super::vocabulary::Vocabulary;

/// One context in so many is held out.
const HELD_OUT_OF: u8 = 16;

#[derive(Clone, Debug)]
pub struct Contexts {
    rng: ChaCha8Rng,
    languages: Vec<Language>,
}

impl Contexts {
    /// `languages` must not be empty.
    pub fn new(languages: Vec<Language>, seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), languages }
    }

    /// The next request. Not every one can be satisfied.
    pub fn draw(&mut self) -> WordingRequest {
        let rng = &mut self.rng;
        let language = self.languages[rng.random_range(0..self.languages.len())];
        let problem = if rng.random_bool(0.2) {
            Problem::RoadClosed
        } else {
            Problem::ALL[rng.random_range(0..Problem::ALL.len())]
        };
        // Only a closure's operator gives a reason.
        let reason = (problem == Problem::RoadClosed && rng.random_bool(0.6))
            .then(|| Reason::ALL[rng.random_range(0..Reason::ALL.len())]);
        let space = space(rng);
        let any_make = rng.random_bool(0.2);
        let mut slots = Vec::new();
        for slot in Slot::ALL {
            let has = |slots: &[SlotFact], slot| slots.iter().any(|f: &SlotFact| f.slot == slot);
            let named_way = has(&slots, Slot::Via0);
            let likely = match slot {
                Slot::Closed => 0.85,
                Slot::Via0 => 0.7,
                Slot::Via1 if named_way => 0.5,
                Slot::Via1 => 0.0,
                Slot::Dest => 0.5,
                Slot::Delay | Slot::Turn => 0.6,
                Slot::Saving => 0.65,
                // Below.
                Slot::Until
                | Slot::Between0
                | Slot::Between1
                | Slot::Lanes
                | Slot::Since
                | Slot::AlsoClosed
                | Slot::AlsoQueue => continue,
            };
            if !rng.random_bool(likely) {
                continue;
            }
            let required = if any_make {
                rng.random_bool(0.25)
            } else {
                match slot {
                    Slot::Closed => matches!(space, Space::Vehicle { .. }) && rng.random_bool(0.9),
                    Slot::Via0 => true,
                    Slot::Turn => !named_way,
                    _ => false,
                }
            };
            // A turn that does not fit a row is never offered; a name that does not, hardly ever.
            let text = text(rng, slot, language, space);
            let cut = slot == Slot::Turn && turn_at(language, &text).is_none();
            if !cut {
                slots.push(SlotFact { slot, text, required });
            }
        }
        let seed: u64 = rng.random();
        // By a bit of the seed, so that all else is drawn as before there was this slot.
        if problem == Problem::RoadClosed && seed.is_multiple_of(2) {
            let text = format!("{:02}:{:02}", (seed >> 8) % 24, 5 * ((seed >> 16) % 12));
            let required = any_make && (seed >> 24).is_multiple_of(4);
            slots.push(SlotFact { slot: Slot::Until, text, required });
        }
        let mut request = WordingRequest { language, problem, reason, slots, space, seed };
        told(&mut request, any_make);
        second(&mut request, any_make);
        pages(&mut request);
        request
    }
}

/// What operators say besides a closure's reason and end: drawn from a seed of its own, so that all else
/// is drawn as before there was any of it.
fn told(request: &mut WordingRequest, any_make: bool) {
    let mut rng = ChaCha8Rng::seed_from_u64(request.seed ^ 0x0074_6f6c_6400);
    let (closed, incident) =
        (request.problem == Problem::RoadClosed, request.problem == Problem::Incident);
    let vehicle = matches!(request.space, Space::Vehicle { .. });
    let mut slots = Vec::new();
    let named = request.slot(Slot::Closed).is_some_and(|fact| fact.required);
    if closed && vehicle && rng.random_bool(0.5) && named {
        slots.extend([Slot::Between0, Slot::Between1]);
    }
    if incident {
        if rng.random_bool(0.4) {
            request.reason = Some(Reason::ALL[rng.random_range(0..Reason::ALL.len())]);
        }
        if rng.random_bool(0.5) {
            slots.push(Slot::Lanes);
        }
    }
    if (closed || incident) && vehicle && rng.random_bool(0.4) {
        slots.push(Slot::Since);
    }
    let required = any_make && rng.random_bool(0.15);
    for slot in slots {
        let text = text(&mut rng, slot, request.language, request.space);
        request.slots.push(SlotFact { slot, text, required });
    }
}

/// Another road to keep away from: from a seed of its own as well.
fn second(request: &mut WordingRequest, any_make: bool) {
    let mut rng = ChaCha8Rng::seed_from_u64(request.seed ^ 0x7365_636f_6e64);
    if matches!(request.space, Space::Vehicle { .. }) && rng.random_bool(0.35) {
        let slot = if rng.random_bool(0.4) { Slot::AlsoClosed } else { Slot::AlsoQueue };
        let required = any_make && rng.random_bool(0.15);
        let text = text(&mut rng, slot, request.language, request.space);
        request.slots.push(SlotFact { slot, text, required });
    }
}

/// Some signs have two pages: likewise.
fn pages(request: &mut WordingRequest) {
    let mut rng = ChaCha8Rng::seed_from_u64(request.seed ^ 0x0070_6167_6573);
    if let Space::Sign { pages, .. } = &mut request.space
        && rng.random_bool(0.15)
    {
        *pages = 2;
    }
}

/// The same facts for another audience or in another language. Names stay as they are; who puts
/// real ones in sees to their case.
pub fn restated(request: &WordingRequest, language: Language, space: Space) -> WordingRequest {
    let vehicle = matches!(space, Space::Vehicle { .. });
    let mut restated = WordingRequest { language, space, ..request.clone() };
    for fact in &mut restated.slots {
        if fact.slot == Slot::Closed {
            fact.required = vehicle;
        }
        if fact.slot == Slot::Turn {
            let at = turn_at(request.language, &fact.text);
            let turn = turns(language)[at.unwrap_or(0)];
            fact.text = if vehicle { turn.to_owned() } else { unaccented(turn).to_uppercase() };
        }
        if fact.slot == Slot::Lanes {
            let count = fact.text.split_once(' ').and_then(|(count, _)| count.parse().ok());
            let text = language.lanes(count.unwrap_or(2));
            fact.text = if vehicle { text } else { text.to_uppercase() };
        }
    }
    restated.slots.retain(|fact| vehicle || !OF_VEHICLES.contains(&fact.slot));
    restated
}

/// What signs are not told.
const OF_VEHICLES: [Slot; 5] =
    [Slot::Between0, Slot::Between1, Slot::Since, Slot::AlsoClosed, Slot::AlsoQueue];

/// Left, right and straight on.
fn turns(language: Language) -> [&'static str; 3] {
    match language {
        Language::En => ["left", "right", "straight on"],
        Language::It => ["a sinistra", "a destra", "diritto"],
        Language::De => ["links", "rechts", "geradeaus"],
        Language::Fr => ["à gauche", "à droite", "tout droit"],
        Language::Es => ["a la izquierda", "a la derecha", "recto"],
    }
}

/// Which turn a text is.
fn turn_at(language: Language, said: &str) -> Option<usize> {
    let said = unaccented(&said.to_lowercase());
    turns(language).iter().position(|turn| unaccented(turn).eq(&said))
}

/// Another turn than the one said, in the same case.
pub fn other_turn(language: Language, said: &str) -> String {
    let at = turn_at(language, said).unwrap_or(0);
    let other = turns(language)[(at + 1) % 3];
    let capitals = said.chars().any(char::is_uppercase);
    if capitals { unaccented(other).to_uppercase() } else { other.to_owned() }
}

/// As a sign shows it.
fn unaccented(turn: &str) -> String {
    turn.replace('à', "a")
}

/// Whether a request belongs to those that are measured on and never trained on. Decided by what a
/// model sees of it, so that a held-out context is new to the model in every case.
pub fn is_held_out(vocabulary: &Vocabulary, request: &WordingRequest) -> bool {
    let mut hash = Sha256::new();
    for token in vocabulary.request(request) {
        hash.update(token.to_le_bytes());
    }
    hash.finalize().first().is_some_and(|byte| byte % HELD_OUT_OF == 0)
}

fn space(rng: &mut ChaCha8Rng) -> Space {
    if rng.random_bool(0.55) {
        let rows = [2, 3, 3, 3, 3, 4, 4][rng.random_range(0..7)];
        let cols = if rng.random_bool(0.8) {
            rng.random_range(12..=20)
        } else {
            rng.random_range(10..=28)
        };
        Space::Sign { rows, cols, pages: 1 }
    } else if rng.random_bool(0.85) {
        Space::Vehicle { max_chars: rng.random_range(60..=160) }
    } else {
        Space::Vehicle { max_chars: rng.random_range(160..=260) }
    }
}

fn text(rng: &mut ChaCha8Rng, slot: Slot, language: Language, space: Space) -> String {
    let text = match slot {
        Slot::Closed
        | Slot::Via0
        | Slot::Via1
        | Slot::Between0
        | Slot::Between1
        | Slot::AlsoClosed
        | Slot::AlsoQueue => name(rng, 5, 22),
        Slot::Dest => name(rng, 4, 16),
        Slot::Delay => format!("{} min", rng.random_range(2..60)),
        Slot::Saving => format!("{} min", rng.random_range(2..25)),
        Slot::Until => "00:00".to_owned(),
        Slot::Since => format!("{:02}:{:02}", rng.random_range(0..24), 5 * rng.random_range(0..12)),
        Slot::Lanes => language.lanes(rng.random_range(1..=3)),
        Slot::Turn => {
            let turns = turns(language);
            turns[rng.random_range(0..turns.len())].to_owned()
        }
    };
    match space {
        Space::Sign { cols, .. } => {
            // What does not fit a sign's row is hardly ever offered.
            let cut = if rng.random_bool(0.95) { usize::from(cols) } else { usize::MAX };
            unaccented(&text)
                .to_uppercase()
                .chars()
                .take(cut)
                .collect::<String>()
                .trim_end()
                .to_owned()
        }
        Space::Vehicle { .. } => text,
    }
}

/// A made-up name of some length.
fn name(rng: &mut ChaCha8Rng, shortest: usize, longest: usize) -> String {
    let length = rng.random_range(shortest..=longest);
    let mut name = String::new();
    while name.len() < length {
        let consonant = b"bcdfglmnprstvz"[rng.random_range(0..14)];
        let vowel = b"aeiou"[rng.random_range(0..5)];
        name.push(char::from(consonant));
        name.push(char::from(vowel));
    }
    name.truncate(length);
    let first = name.remove(0).to_ascii_uppercase();
    name.insert(0, first);
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::constraint::Constraint;
    use crate::model::fixture;

    #[test]
    fn most_requests_can_be_satisfied_and_one_in_sixteen_is_held_out() {
        let (vocabulary, grammar) = fixture::corpus();
        let mut contexts = Contexts::new(grammar.languages(), 1);
        let (mut satisfiable, mut held_out) = (0, 0);
        for _ in 0..2000 {
            let request = contexts.draw();
            satisfiable += usize::from(Constraint::new(&grammar, &request).is_ok());
            held_out += usize::from(is_held_out(&vocabulary, &request));
        }
        assert!(satisfiable > 1500, "{satisfiable}");
        assert!((80..180).contains(&held_out), "{held_out}");
    }

    #[test]
    fn holding_out_does_not_depend_on_what_a_model_cannot_see() {
        let (vocabulary, grammar) = fixture::corpus();
        let mut contexts = Contexts::new(grammar.languages(), 2);
        for _ in 0..200 {
            let request = contexts.draw();
            let mut other = request.clone();
            other.seed = !other.seed;
            for fact in &mut other.slots {
                fact.text = "Z".repeat(fact.text.chars().count());
            }
            assert_eq!(is_held_out(&vocabulary, &request), is_held_out(&vocabulary, &other));
        }
    }

    #[test]
    fn facts_restated_are_the_same_facts() {
        let (_, grammar) = fixture::corpus();
        let mut contexts = Contexts::new(grammar.languages(), 4);
        for _ in 0..200 {
            let request = contexts.draw();
            for language in Language::ALL {
                let space = Space::Sign { rows: 3, cols: 18, pages: 1 };
                let restated = restated(&request, language, space);
                let turn = |request: &WordingRequest| {
                    turn_at(request.language, &request.slot(Slot::Turn)?.text)
                };
                assert_eq!(turn(&restated), turn(&request), "{request:?}");
                let on_signs = |fact: &&SlotFact| !OF_VEHICLES.contains(&fact.slot);
                let kept = request.slots.iter().filter(on_signs).count();
                assert_eq!(restated.slots.len(), kept);
            }
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_requests() {
        let draw = |seed| {
            let mut contexts = Contexts::new(Language::ALL.to_vec(), seed);
            (0..20).map(|_| contexts.draw()).collect::<Vec<_>>()
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }
}
