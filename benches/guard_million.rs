//! One million requests, worded by chance: every score of the model is replaced by a random number,
//! most of them bent the wrong way (to early ends, endless texts, repetition, naming), so whatever
//! weights could be made to say is said. Each text goes through the guard, and each text
//! that the guard lets pass through a second, simpler reader that shares no code with it: what is
//! left after the facts are cut out may hold no road, no number and no turn.
//!
//! `cargo bench --bench guard_million`, `WAYSIDE_REQUESTS=20000` for fewer. Exits 1 on a finding.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on stops")]

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use wayside::domain::closure::{Announced, Reason};
use wayside::domain::congestion::CongestionLevel;
use wayside::domain::direction::{Audience, Cause, Direction, DirectionState, Evidence, Second};
use wayside::domain::network::{Network, SegmentId, SignId, Turn, fold};
use wayside::domain::time::Timestamp;
use wayside::domain::wording::{Language, Space, Wording, WordingRequest};
use wayside::model::RandomWriter;
use wayside::ports::Writer;
use wayside::stage::generate::{Requests, fill};
use wayside::stage::guard::Guard;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let requests: u64 =
        std::env::var("WAYSIDE_REQUESTS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let data =
        std::env::var_os("WAYSIDE_DATA").map_or_else(|| root.join("../shared/data"), PathBuf::from);
    let mut networks = vec![root.join("pipelines/demo/network")];
    networks.extend(["bologna", "monaco"].map(|city| data.join(city)));
    networks.retain(|dir| {
        let there = dir.is_dir();
        if !there {
            eprintln!("SKIPPED network {}: not there", dir.display());
        }
        there
    });
    let share = requests.div_ceil(networks.len() as u64);
    println!("| network | language | requests | passed | refused | unsatisfiable | findings |");
    println!("|---|---|---|---|---|---|---|");
    let mut findings = 0;
    for dir in &networks {
        findings += try_network(dir, share, &root.join("models/corpus"));
    }
    if findings > 0 {
        eprintln!("{findings} texts say what is not in the facts");
        std::process::exit(1);
    }
}

#[derive(Default)]
struct Tally {
    requests: u64,
    passed: u64,
    unsatisfiable: u64,
    findings: u64,
    refused: BTreeMap<String, u64>,
}

fn try_network(dir: &Path, requests: u64, corpus: &Path) -> u64 {
    let network = Arc::new(Network::load(dir).unwrap_or_else(|e| panic!("{e}")));
    let zone = Some(chrono_tz::Europe::Rome);
    let asks = Requests::new(Arc::clone(&network)).by_clock_of(zone);
    let guard = Guard::new(Arc::clone(&network)).by_clock_of(zone);
    let writer = RandomWriter::from_corpus(corpus, 7).unwrap_or_else(|e| panic!("{e}"));
    let mut writer = writer.adversarial();
    let names = Names::of(&network);
    for name in &names.all {
        assert!(names.within(&format!(" # {name} # ")).is_some(), "the reader misses {name}");
    }
    let mut tallies = Language::ALL.map(|language| (language, Tally::default()));
    for n in 0..requests.div_ceil(Language::ALL.len() as u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(n);
        let (direction, space) = anything(&network, &mut rng, n);
        for request in asks.of(&direction, space, &Language::ALL) {
            let Some((_, tally)) = tallies.iter_mut().find(|(l, _)| *l == request.language) else {
                continue;
            };
            tally.requests += 1;
            let Ok(draft) = writer.write(&request, 0, &|| false) else {
                tally.unsatisfiable += 1;
                continue;
            };
            let wording = match fill(&request, &draft, "random") {
                Ok(wording) => wording,
                Err(error) => {
                    *tally.refused.entry(format!("fill: {error}")).or_default() += 1;
                    continue;
                }
            };
            if let Err(objection) = guard.check(&request, &wording) {
                if *tally.refused.entry(objection.rule().word().to_owned()).or_default() == 0 {
                    eprintln!("refused: {objection}: {:?}", wording.text);
                }
                *tally.refused.entry(objection.rule().word().to_owned()).or_default() += 1;
                continue;
            }
            tally.passed += 1;
            if let Some(finding) = beyond_the_facts(&request, &wording, &names) {
                eprintln!("FINDING {finding} in {:?} for {request:?}", wording.text);
                tally.findings += 1;
            }
        }
    }
    let mut findings = 0;
    for (language, tally) in &tallies {
        println!(
            "| {} | {} | {} | {} | {} | {} | {} |",
            network.city,
            language.code(),
            tally.requests,
            tally.passed,
            tally.refused.values().sum::<u64>(),
            tally.unsatisfiable,
            tally.findings
        );
        for (rule, count) in &tally.refused {
            eprintln!("  refused, {rule}: {count}");
        }
        findings += tally.findings;
    }
    findings
}

/// A direction of any facts at all, drivable or not: only its words are tried here.
fn anything(network: &Network, rng: &mut ChaCha8Rng, n: u64) -> (Direction, Space) {
    let segment =
        |rng: &mut ChaCha8Rng| SegmentId(rng.random_range(0..network.segments.len()) as u32);
    let on_sign = !network.signs.is_empty() && rng.random_bool(0.6);
    let (audience, space) = if on_sign {
        let sizes = [(3, 18), (2, 12), (3, 15), (2, 20), (4, 12), (4, 24), (2, 10)];
        let (rows, cols) = sizes[rng.random_range(0..sizes.len())];
        let sign = SignId(rng.random_range(0..network.signs.len()) as u32);
        // By the request's number, so that the other facts are drawn as for signs of one page.
        let pages = 1 + u8::from(n.is_multiple_of(4));
        (Audience::Sign(sign), Space::Sign { rows, cols, pages })
    } else {
        let area = Audience::Area { tile: "0".repeat(16), part: "a".to_owned() };
        (area, Space::Vehicle { max_chars: rng.random_range(60..=200) })
    };
    let causes = [Cause::Closure, Cause::Congestion, Cause::Incident];
    let levels = [
        None,
        Some(CongestionLevel::Heavy),
        Some(CongestionLevel::Slow),
        Some(CongestionLevel::Queuing),
        Some(CongestionLevel::Stationary),
    ];
    let turns =
        [None, Some(Turn::Left), Some(Turn::Right), Some(Turn::Straight), Some(Turn::TurnAround)];
    let ts = Timestamp::from_millis(1_700_000_000_000).unwrap_or_default();
    let via = (0..rng.random_range(0..=3)).map(|_| segment(rng)).collect::<Vec<_>>();
    let seconds = |rng: &mut ChaCha8Rng| rng.random_bool(0.7).then(|| rng.random_range(0..4000));
    let cause = causes[rng.random_range(0..causes.len())];
    let announced = announced(cause, ts, rng);
    let trouble = segment(rng);
    let second = (!on_sign && rng.random_bool(0.5)).then(|| Second {
        cause: [Cause::Closure, Cause::Congestion][rng.random_range(0..2)],
        segment: segment(rng),
    });
    let direction = Direction {
        id: format!("d-{n:04}"),
        revision: 1,
        ts,
        valid_until: ts + std::time::Duration::from_mins(5),
        state: DirectionState::Show,
        applies_on: if on_sign { Vec::new() } else { vec![segment(rng)] },
        audience,
        cause,
        announced,
        level: levels[rng.random_range(0..levels.len())],
        avoid: vec![trouble],
        closed: if cause == Cause::Closure { vec![trouble] } else { Vec::new() },
        way: via.clone(),
        via,
        turn: turns[rng.random_range(0..turns.len())],
        destination: (!network.places.is_empty() && rng.random_bool(0.6))
            .then(|| rng.random_range(0..network.places.len())),
        second,
        delay_s: seconds(rng),
        saving_s: seconds(rng),
        evidence: Evidence::default(),
    };
    (direction, space)
}

/// What an operator says of a closure or an incident, some of it far off.
fn announced(cause: Cause, ts: Timestamp, rng: &mut ChaCha8Rng) -> Announced {
    let mut told = Announced::default();
    if cause == Cause::Congestion {
        return told;
    }
    let some_time = |rng: &mut ChaCha8Rng| {
        let far = std::time::Duration::from_secs(rng.random_range(0..50_000));
        rng.random_bool(0.5).then_some(far)
    };
    told.reason = rng.random_bool(0.5).then(|| Reason::ALL[rng.random_range(0..Reason::ALL.len())]);
    told.until = some_time(rng).map(|far| ts + far);
    told.since = some_time(rng).map(|far| ts - far);
    told.lanes = (cause == Cause::Incident && rng.random_bool(0.7)).then(|| rng.random_range(0..4));
    told
}

/// What a text may name only as one of its facts, in capitals without accents or marks.
struct Names {
    all: HashSet<String>,
    longest: usize,
}

impl Names {
    fn of(network: &Network) -> Self {
        let plain = |name: &str| fold(name).replace(['.', ','], " ");
        let all: HashSet<String> = network.spoken_names().into_iter().map(plain).collect();
        Self { longest: all.iter().map(String::len).max().unwrap_or_default(), all }
    }

    /// A name that stands between two spaces of a text.
    fn within<'t>(&self, text: &'t str) -> Option<&'t str> {
        text.match_indices(' ').find_map(|(space, _)| {
            let rest = &text[space + 1..];
            let ends = rest.match_indices(' ').map(|(end, _)| end);
            ends.take_while(|end| *end <= self.longest)
                .map(|end| &rest[..end])
                .find(|words| self.all.contains(*words))
        })
    }
}

const TURNS: [&str; 15] = [
    "LEFT",
    "RIGHT",
    "STRAIGHT",
    "SINISTRA",
    "DESTRA",
    "DIRITTO",
    "DRITTO",
    "LINKS",
    "RECHTS",
    "GERADEAUS",
    "GAUCHE",
    "DROITE",
    "DROIT",
    "IZQUIERDA",
    "DERECHA",
];

/// Cuts the facts out of the text, then looks for what may not be left.
fn beyond_the_facts(request: &WordingRequest, text: &Wording, names: &Names) -> Option<String> {
    let mut rest = format!(" {} ", fold(&text.text.join(" ")).replace(['.', ','], " "));
    let mut facts: Vec<String> = request.slots.iter().map(|fact| fold(&fact.text)).collect();
    facts.sort_by_key(|fact| std::cmp::Reverse(fact.len()));
    for fact in &facts {
        // `#` keeps what stood left and right of a fact from growing together.
        rest = rest.replace(&format!(" {} ", fact.replace(['.', ','], " ")), " # ");
    }
    if rest.chars().any(|c| c.is_ascii_digit()) {
        return Some(format!("a number in `{rest}`"));
    }
    for turn in TURNS {
        if rest.contains(&format!(" {turn} ")) {
            return Some(format!("turn {turn}"));
        }
    }
    names.within(&rest).map(|name| format!("road {name}"))
}
