//! A small network with nasty names, and requests and texts on it.

mod corpus;
mod examples;
mod facts;
mod properties;
mod rules;

use std::sync::Arc;

use geo::LineString;

use super::phrases::tongue;
use super::{Guard, Rule};
use crate::domain::closure::Reason;
use crate::domain::network::{
    ByName, Connection, Network, Place, Segment, SegmentId, Sign, SignId, Turn, fold,
};
use crate::domain::wording::{Language, Problem, Slot, SlotFact, Space, Wording, WordingRequest};

/// Names that resemble words, numbers and each other.
const STREETS: [&str; 24] = [
    "Via Roma",
    "Via Chiusa",
    "Via Minuti",
    "Via Ritardo",
    "Via San",
    "Via San Marco",
    "Via San Marco Vecchia",
    "Via San Marino",
    "Via 4 Novembre",
    "Via Quattro Novembre",
    "Via XII Giugno",
    "Left",
    "Destra",
    "Uscita Nord",
    "Uscita",
    "Piazza dell'Erba",
    "Via G. Verdi",
    "viale dei Platani",
    "Viale dei Platani Alti",
    "Via Caffè",
    "Closed",
    "Traffico",
    "Ponte, secondo (nuovo)",
    "Via Nuova",
];
const PLACES: [&str; 5] = ["Stazione", "Università", "Porta Nord", "Uscita Est", "Roma"];

/// Segments in one line, each with a street; from segment 0, where the sign is, moves lead left to
/// 1, half left to 3, right to 2 and back. From segment 2 one may turn around into 1.
fn network(streets: &[&str], places: &[&str]) -> Network {
    let segment = |(index, street): (usize, &&str)| Segment {
        name: format!("s{index}"),
        from_junction: format!("j{index}"),
        to_junction: format!("j{}", index + 1),
        street: Some((*street).to_owned()),
        length_m: 100.0,
        speed_limit_kmh: 50.0,
        lanes: 1,
        cars_allowed: index != 5,
        to_signal: false,
        line: LineString::from(vec![(11.0, 44.0), (11.0, 44.001)]),
    };
    let segments: Vec<_> = streets.iter().enumerate().map(segment).collect();
    let connect = |from: usize, to: usize, turn| Connection {
        from: SegmentId(from as u32),
        to: SegmentId(to as u32),
        turn,
        lanes: 1,
        cars_allowed: true,
    };
    let mut outgoing: Vec<Vec<Connection>> = (0..segments.len())
        .map(|from| vec![connect(from, (from + 1) % segments.len(), Turn::Straight)])
        .collect();
    outgoing[0] = vec![
        connect(0, 0, Turn::TurnAround),
        connect(0, 1, Turn::Left),
        connect(0, 2, Turn::Right),
        connect(0, 3, Turn::PartLeft),
    ];
    outgoing[2].insert(0, connect(2, 1, Turn::TurnAround));
    let mut incoming = vec![Vec::new(); segments.len()];
    for connection in outgoing.iter().flatten() {
        incoming[connection.to.0 as usize].push(*connection);
    }
    let by_name = ByName::of(&segments);
    let sign = Sign {
        name: "vms".to_owned(),
        segment: SegmentId(0),
        pos_m: 0.0,
        rows: 14,
        cols: 120,
        pages: 1,
        face: None,
    };
    let place = |(index, name): (usize, &&str)| Place {
        name: (*name).to_owned(),
        segment: SegmentId(index as u32),
        weight: 1.0,
    };
    Network {
        city: "Nasty".to_owned(),
        hash: String::new(),
        detectors: Vec::new(),
        signs: vec![sign],
        places: places.iter().enumerate().map(place).collect(),
        segments,
        outgoing,
        incoming,
        by_name,
    }
}

/// As a sign shows it: folded, but for times of day.
fn on_sign(text: &str) -> String {
    let is_time = |word: &str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains(':');
    let word = |word: &str| if is_time(word) { word.to_owned() } else { fold(word) };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn guard_of(streets: &[&str], places: &[&str]) -> Guard {
    Guard::new(Arc::new(network(streets, places)))
}

fn nasty() -> Guard {
    guard_of(&STREETS, &PLACES)
}

/// Reads signs that say more than a driver takes in: each of their clauses is to be read as meant.
fn patient() -> Guard {
    let mut guard = nasty();
    guard.rules.lifted = Some(Rule::Units);
    guard
}

const SIGN: Space = Space::Sign { rows: 14, cols: 120, pages: 1 };
const VEHICLE: Space = Space::Vehicle { max_chars: 500 };

/// A request whose facts are given in the network's spelling; those after `!` are required.
fn request(
    language: Language,
    space: Space,
    problem: Problem,
    facts: &[(Slot, &str)],
) -> WordingRequest {
    let slots = facts.iter().map(|(slot, text)| {
        let required = text.starts_with('!');
        let text = text.trim_start_matches('!');
        let text =
            if matches!(space, Space::Sign { .. }) { on_sign(text) } else { text.to_owned() };
        SlotFact { slot: *slot, text, required }
    });
    WordingRequest { language, problem, reason: None, slots: slots.collect(), space, seed: 0 }
}

/// A sentence of a vehicle text with its capitals, facts as they are.
fn sentence_case(language: Language, words: &[String]) -> String {
    let raise = |word: &str| -> String {
        let mut letters = word.chars();
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
    };
    let raised = words.iter().enumerate().map(|(at, word)| {
        let noun = tongue(language).nouns.contains(&word.trim_end_matches(['.', ',', ':']));
        if at == 0 || noun { raise(word) } else { word.clone() }
    });
    raised.collect::<Vec<_>>().join(" ")
}

/// A text as finished, its rows apart by ` / `.
fn wording(language: Language, text: &str) -> Wording {
    let text = text.split(" / ").map(str::to_owned).collect();
    Wording { language, text, second_page: None, writer: "test".to_owned() }
}
