//! What directions are shown with, and when it changes.

use std::fmt::Write as _;

use super::*;
use crate::domain::closure::{Announced, Reason};
use crate::domain::direction::{Cause, Evidence};
use crate::domain::network::testing::grid;
use crate::domain::network::{SegmentId, SignFace};
use crate::domain::time::Timestamp;
use crate::domain::wording::Slot;
use crate::io::clock::ManualClock;
use crate::ports::Clock;

/// A closure of the first segment.
fn closure(audience: Audience) -> Direction {
    Direction {
        id: "d-0001".to_owned(),
        revision: 1,
        ts: Timestamp::default(),
        valid_until: Timestamp::default(),
        state: DirectionState::Show,
        audience,
        cause: Cause::Closure,
        announced: Announced::default(),
        level: None,
        avoid: vec![SegmentId(0)],
        closed: Vec::new(),
        via: Vec::new(),
        way: Vec::new(),
        applies_on: Vec::new(),
        turn: None,
        destination: None,
        delay_s: None,
        second: None,
        saving_s: None,
        evidence: Evidence::default(),
    }
}

fn speaker(network: Network) -> Speaker {
    let languages = Language::ALL.to_vec();
    Speaker::new(Arc::new(network), None, languages, None, Deadline::None).unwrap()
}

/// A model that is always just too late.
struct Slow(ManualClock);

impl Writer for Slow {
    fn write(
        &mut self,
        _: &WordingRequest,
        _: u32,
        expired: &Expired<'_>,
    ) -> Result<Draft, WriterError> {
        while !expired() {
            self.0.advance(Duration::from_millis(10));
        }
        Err(WriterError::Late)
    }
    fn name(&self, _: &WordingRequest) -> &'static str {
        "slow"
    }
}

#[test]
fn a_slow_model_does_not_hold_up_a_whole_district() {
    let network = Arc::new(grid(3, 2).build());
    let clock = ManualClock::new(Timestamp::default());
    let deadline = Deadline::After(Duration::from_millis(250), Arc::new(clock.clone()));
    let model: Box<dyn Writer> = Box::new(Slow(clock.clone()));
    let languages = Language::ALL.to_vec();
    let mut speaker = Speaker::new(network, Some(model), languages, None, deadline).unwrap();
    for round in 1..=2 {
        let (before, mut counts) = (clock.elapsed(), Counts::default());
        speaker.begin_round();
        for n in 0..20 {
            let audience = Audience::Area { tile: "1".to_owned(), part: n.to_string() };
            let direction = Direction { id: format!("d-{round}{n:03}"), ..closure(audience) };
            assert_eq!(speaker.words(&direction, 200, &mut counts).len(), Language::ALL.len());
        }
        let took = clock.elapsed().saturating_sub(before);
        assert!(took >= ROUND && took < ROUND + Duration::from_millis(50), "{took:?}");
    }
}

/// Words stay while the facts stay; a reason that is given, taken back or another is news.
#[test]
fn words_follow_the_reason() {
    let mut speaker = speaker(grid(3, 2).build());
    let mut words = |reason| {
        let audience = Audience::Area { tile: "1".to_owned(), part: "a".to_owned() };
        let announced = Announced { reason, ..Announced::default() };
        let direction = Direction { announced, ..closure(audience) };
        let said = speaker.words(&direction, 200, &mut Counts::default());
        said.iter().map(|said| said.wording.text.join(" ")).collect::<Vec<_>>()
    };
    let silent = words(None);
    assert_eq!(silent.len(), Language::ALL.len());
    let fog = words(Some(Reason::Fog));
    for (text, word) in fog.iter().zip(["fog", "nebbia", "Nebel", "brouillard", "niebla"]) {
        assert!(text.contains(word), "{text}");
    }
    assert_eq!(words(Some(Reason::Fog)), fog);
    assert!(words(Some(Reason::Snow)).iter().zip(&fog).all(|(snow, fog)| snow != fog));
    assert_eq!(words(None), silent);
}

/// Blocks of 5 by 7 dots, one dot apart: 14 of them on 84 dots, where the sign has 18 columns.
fn blocks() -> SignFace {
    let mut font =
        "font_name: blocks\nfont_number: 1\nchar_spacing: 1\nline_spacing: 2\n".to_owned();
    for c in std::iter::once(' ').chain('A'..='Z') {
        let symbol = if c == ' ' { "SP".to_owned() } else { c.to_string() };
        write!(font, "\nch: {} {symbol}\n{}", u32::from(c), "@@@@@\n".repeat(7)).unwrap();
    }
    SignFace { font: font.into(), file: "blocks.tfon".to_owned(), width_px: 84, height_px: 25 }
}

/// A name that has columns enough and too few dots costs the name, never the sign its text; so does
/// one that has no room beside the words that it needs.
#[test]
fn a_name_too_long_for_a_signs_dots_leaves_a_text_without_it() {
    let words = |street: &str, rows| {
        let mut draft = grid(3, 2);
        let via = grid(3, 2).build().id("1,0>1,1");
        draft.edit(via).street = Some(street.to_owned());
        let sign = draft.sign(grid(3, 2).build().id("0,0>1,0"));
        let mut network = draft.build();
        network.signs[0].rows = rows;
        network.signs[0].face = Some(blocks());
        let direction = Direction {
            avoid: vec![network.id("1,0>2,0")],
            via: vec![via],
            ..closure(Audience::Sign(sign))
        };
        let mut counts = Counts::default();
        let said = speaker(network).words(&direction, 200, &mut counts);
        assert_eq!(said.len(), Language::ALL.len(), "{street}: {counts:?}");
        assert!(counts.missing_drafts.is_empty(), "{street}: {counts:?}");
        let text: Vec<String> = said.into_iter().flat_map(|said| said.wording.text).collect();
        assert!(text.iter().all(|row| row.len() <= 14), "{text:?}");
        text.iter().filter(|row| row.contains(&street.to_uppercase())).count()
    };
    assert_eq!(words("Viale dei Platani", 3), 0);
    assert_eq!(words("Corso Venezia", 3), Language::ALL.len());
    assert_eq!(words("Corso Venezia", 2), 0);
}

/// A place that is called like a road at one end of the closed stretch: another road there, or none,
/// says where it ends, and the direction is shown.
#[test]
fn a_place_with_a_crossing_roads_name_withholds_nothing() {
    let told = |place: &str, besides: Option<&str>| -> Vec<(Slot, String)> {
        let mut draft = grid(5, 3);
        let plain = grid(5, 3).build();
        draft.place(place, plain.id("3,0>4,0"), 1.0);
        if let Some(name) = besides {
            draft.edit(plain.id("2,1>2,2")).street = Some(name.to_owned());
        }
        let closed = vec![plain.id("1,1>2,1")];
        let direction = Direction {
            avoid: closed.clone(),
            closed,
            via: vec![plain.id("1,0>2,0")],
            destination: Some(0),
            ..closure(Audience::Area { tile: "1".to_owned(), part: "a".to_owned() })
        };
        let mut counts = Counts::default();
        let said = speaker(draft.build()).words(&direction, 200, &mut counts);
        assert_eq!(said.len(), Language::ALL.len(), "{place}: {counts:?}");
        let asked = said.into_iter().find_map(|said| said.asked).unwrap();
        let names = [Slot::Dest, Slot::Between0, Slot::Between1];
        let facts = asked.slots.into_iter().filter(|fact| names.contains(&fact.slot));
        facts.map(|fact| (fact.slot, fact.text)).collect()
    };
    let facts = |place: &str, ends: &[&str]| -> Vec<(Slot, String)> {
        let ends = [Slot::Between0, Slot::Between1].into_iter().zip(ends);
        let all = [(Slot::Dest, &place)].into_iter().chain(ends);
        all.map(|(slot, text)| (slot, (*text).to_owned())).collect()
    };
    assert_eq!(told("Porta Nord", None), facts("Porta Nord", &["Column 1", "Column 2"]));
    assert_eq!(told("Column 2", None), facts("Column 2", &[]));
    let other = facts("Column 2", &["Column 1", "Corso Nord"]);
    assert_eq!(told("Column 2", Some("Corso Nord")), other);
}
