//! Every rule holds back something that nothing else does: with the rule lifted it would pass.

use std::collections::BTreeSet;

use super::*;
use crate::domain::closure::{Announced, ClosedSegments, Reason};
use crate::domain::congestion::CongestionLevel;
use crate::domain::direction::{Audience, Cause, Direction, DirectionState, Evidence};
use crate::domain::network::Turn;
use crate::domain::time::Timestamp;
use crate::domain::wording::Language::{En, It};
use crate::domain::wording::Problem::{Queue, RoadClosed};
use crate::domain::wording::Slot::{Closed, Delay, Dest, Saving, Via0};
use crate::domain::wording::Voice;
use crate::stage::guard::{Objection, Rule};

/// What the guard is asked.
enum Case {
    Text(WordingRequest, Wording),
    Voice(WordingRequest, Wording, Voice),
    Request(Direction, WordingRequest),
    Direction(Direction, ClosedSegments),
}

impl Case {
    fn ask(&self, guard: &Guard) -> Result<(), Objection> {
        match self {
            Self::Text(request, wording) => guard.check(request, wording),
            Self::Voice(request, wording, voice) => guard.check_voice(request, wording, voice, It),
            Self::Request(direction, request) => guard.check_request(direction, request),
            Self::Direction(direction, closed) => guard.check_direction(direction, closed),
        }
    }
}

fn text(facts: &[(Slot, &str)], rows: &str) -> Case {
    Case::Text(request(En, SIGN, RoadClosed, facts), wording(En, rows))
}

/// A street that a rule needs for its case and the others cannot do with.
fn street_for(rule: Rule) -> Option<&'static str> {
    match rule {
        Rule::OneReading => Some("Other Route"),
        Rule::LongestName => Some("Via San Marco Closed"),
        Rule::NoOtherName => Some("Strada Chiusa"),
        _ => None,
    }
}

pub(super) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

pub(super) fn ids(ids: &[u32]) -> Vec<SegmentId> {
    ids.iter().copied().map(SegmentId).collect()
}

/// Segment 4 is closed; from the sign on segment 0 left into 1, on to 2 and 3.
pub(super) fn direction() -> Direction {
    Direction {
        id: "d-0001".to_owned(),
        revision: 1,
        ts: at(1000),
        valid_until: at(2000),
        state: DirectionState::Show,
        audience: Audience::Sign(SignId(0)),
        cause: Cause::Closure,
        announced: Announced::default(),
        level: None,
        avoid: ids(&[4]),
        closed: ids(&[4]),
        via: ids(&[1, 3]),
        way: ids(&[0, 1, 2, 3]),
        applies_on: Vec::new(),
        turn: None,
        destination: Some(0),
        second: None,
        delay_s: Some(350),
        saving_s: Some(299),
        evidence: Evidence::default(),
    }
}

fn closed(segments: &[u32]) -> ClosedSegments {
    segments.iter().map(|id| (SegmentId(*id), format!("event-{id}"))).collect()
}

fn bad_direction(change: impl Fn(&mut Direction)) -> Case {
    let mut direction = direction();
    change(&mut direction);
    Case::Direction(direction, closed(&[4]))
}

/// Segment 0 is left by a left and by a half left, segment 1 by one move alone.
fn turning(turn: Turn) -> Direction {
    Direction { turn: Some(turn), ..direction() }
}

/// The second page begins with row `second`.
fn on_two_pages(text: &str, second: u8) -> Wording {
    Wording { second_page: Some(second), ..wording(En, text) }
}

#[test]
fn two_pages_of_which_each_says_its_part_may_go_out() {
    let two = |rows| request(En, Space::Sign { rows, cols: 18, pages: 2 }, RoadClosed, &[]);
    let check = |rows, second, text| nasty().check(&two(rows), &on_two_pages(text, second));
    assert_eq!(check(2, 2, "ROAD / CLOSED / USE OTHER ROUTE"), Ok(()));
    let of = |rows, second, text| check(rows, second, text).unwrap_err().rule();
    assert_eq!(of(1, 2, "ROAD / CLOSED / USE OTHER ROUTE"), Rule::Rows);
    assert_eq!(of(2, 0, "ROAD / CLOSED / USE OTHER ROUTE"), Rule::Rows);
    assert_eq!(of(2, 3, "ROAD / CLOSED / USE OTHER ROUTE"), Rule::Rows);
    assert_eq!(of(2, 1, "ROAD / CLOSED / USE OTHER / ROUTE"), Rule::Rows);
    assert_eq!(of(3, 2, "ROAD / CLOSED / USE OTHER ROUTE"), Rule::Pages, "one page will do");
}

/// A case that breaks this rule alone.
fn breaking(rule: Rule) -> Case {
    let asked = |facts: &[(Slot, &str)]| request(En, SIGN, RoadClosed, facts);
    match rule {
        Rule::Language => Case::Text(asked(&[]), wording(It, "ROAD CLOSED / USE OTHER ROUTE")),
        Rule::Rows => Case::Text(
            request(En, Space::Sign { rows: 2, cols: 18, pages: 1 }, RoadClosed, &[]),
            wording(En, "ROAD CLOSED / USE OTHER / ROUTE"),
        ),
        Rule::Pages => Case::Text(
            request(En, Space::Sign { rows: 1, cols: 18, pages: 1 }, RoadClosed, &[]),
            on_two_pages("ROAD CLOSED / USE OTHER ROUTE", 1),
        ),
        Rule::PageBreak => Case::Text(
            request(En, Space::Sign { rows: 2, cols: 18, pages: 2 }, RoadClosed, &[]),
            on_two_pages("ROAD / CLOSED / USE OTHER ROUTE", 1),
        ),
        Rule::Width => Case::Text(
            request(En, Space::Sign { rows: 3, cols: 14, pages: 1 }, RoadClosed, &[]),
            wording(En, "ROAD CLOSED / USE OTHER ROUTE"),
        ),
        Rule::Characters => text(&[], "ROAD CLOSED / Use OTHER ROUTE"),
        Rule::Spacing => text(&[], "ROAD CLOSED / USE  OTHER ROUTE"),
        Rule::Case => Case::Text(
            request(En, VEHICLE, RoadClosed, &[]),
            wording(En, "Road CLOSED ahead. Use another route."),
        ),
        Rule::SlotOnce => {
            text(&[(Closed, "Via Roma"), (Closed, "Via San")], "VIA ROMA CLOSED / USE OTHER ROAD")
        }
        Rule::NamesOfTheNetwork => text(&[(Via0, "Stazione")], "ROAD CLOSED / USE STAZIONE"),
        Rule::NamesApart => {
            text(&[(Closed, "Via Caffè"), (Via0, "Via Caffe")], "VIA CAFFE CLOSED / USE VIA CAFFE")
        }
        Rule::Grammar => text(&[], "ROAD NOT CLOSED / USE OTHER ROUTE"),
        Rule::OneReading => text(&[(Via0, "!Other Route")], "ROAD CLOSED / USE OTHER ROUTE"),
        Rule::Problem => text(&[], "INCIDENT / USE OTHER ROUTE"),
        Rule::Reason => text(&[], "ROAD CLOSED / ROADWORKS / USE OTHER ROUTE"),
        Rule::Road => text(&[(Closed, "Via Roma")], "VIA SAN MARINO CLOSED / USE OTHER ROUTE"),
        Rule::Destination => text(
            &[(Dest, "Stazione"), (Via0, "Via Roma")],
            "ROAD CLOSED / FOR PORTA NORD / USE VIA ROMA",
        ),
        Rule::Number => text(
            &[(Delay, "6 min"), (Saving, "4 min")],
            "ROAD CLOSED / DELAY 4 MIN / USE OTHER ROUTE",
        ),
        Rule::Turn => text(&[(Slot::Turn, "left")], "ROAD CLOSED / GO RIGHT"),
        Rule::Spelling => Case::Text(
            request(En, VEHICLE, RoadClosed, &[(Closed, "Via Caffè")]),
            wording(En, "Via Caffe is closed. Use another route."),
        ),
        Rule::NothingMissing => text(&[(Closed, "!Via Roma")], "ROAD CLOSED / USE OTHER ROUTE"),
        Rule::LongestName => {
            text(&[(Closed, "Via San Marco")], "VIA SAN MARCO / CLOSED / USE OTHER ROUTE")
        }
        Rule::NoOtherName => Case::Text(
            request(It, SIGN, RoadClosed, &[]),
            wording(It, "STRADA CHIUSA / USARE ALTRO PERCORSO"),
        ),
        Rule::Strength => text(&[], "ROAD CLOSED / BEST TO / AVOID ROAD"),
        Rule::Units => text(
            &[(Closed, "Via Roma"), (Delay, "6 min"), (Saving, "4 min")],
            "VIA ROMA / CLOSED / DELAY 6 MIN / USE OTHER ROUTE / SAVES 4 MIN",
        ),
        Rule::Spoken => {
            let (request, wording, mut voice) = spoken();
            voice.say = voice.say.replace('6', "5");
            Case::Voice(request, wording, voice)
        }
        Rule::StillShown => {
            Case::Request(Direction { state: DirectionState::Clear, ..direction() }, asked(&[]))
        }
        Rule::RightSpace => Case::Request(direction(), request(En, VEHICLE, RoadClosed, &[])),
        Rule::RequestProblem => Case::Request(direction(), request(En, SIGN, Queue, &[])),
        Rule::RequestReason => {
            Case::Request(direction(), WordingRequest { reason: Some(Reason::Fog), ..asked(&[]) })
        }
        Rule::RequestFacts => Case::Request(direction(), asked(&[(Closed, "Via Roma")])),
        Rule::TurnForAll => Case::Request(turning(Turn::Left), asked(&[(Slot::Turn, "left")])),
        Rule::KnownIndices => bad_direction(|d| d.destination = Some(99)),
        Rule::SomethingToAvoid => bad_direction(|d| d.avoid.clear()),
        Rule::InForce => bad_direction(|d| d.valid_until = d.ts),
        Rule::TrueCause => bad_direction(|d| d.avoid = ids(&[6])),
        Rule::OperatorsWord => bad_direction(|d| {
            d.closed.clear();
            (d.cause, d.announced.reason) = (Cause::Congestion, Some(Reason::Accident));
        }),
        Rule::NotOverClosed => Case::Direction(direction(), closed(&[2, 4])),
        Rule::NotOverAvoided => bad_direction(|d| d.avoid.push(SegmentId(2))),
        Rule::ForCars => bad_direction(|d| d.way = ids(&[1, 2, 3, 4, 5])).with_nothing_closed(),
        Rule::UnbrokenWay => bad_direction(|d| d.way = ids(&[0, 1, 3])),
        Rule::NoTurnAbout => bad_direction(|d| d.way = ids(&[0, 2, 1, 2, 3])),
        Rule::ViaOnWay => bad_direction(|d| d.via = ids(&[3, 1])),
        Rule::LeadsThere => bad_direction(|d| d.destination = Some(4)),
        Rule::TrueTurn => bad_direction(|d| d.turn = Some(Turn::Right)),
    }
}

impl Case {
    /// The same direction, now about an incident elsewhere, with no road closed.
    fn with_nothing_closed(self) -> Self {
        match self {
            Self::Direction(mut direction, _) => {
                direction.cause = Cause::Incident;
                direction.avoid = ids(&[6]);
                direction.closed.clear();
                direction.destination = None;
                Self::Direction(direction, ClosedSegments::new())
            }
            other => other,
        }
    }
}

fn spoken() -> (WordingRequest, Wording, Voice) {
    let facts = [(Closed, "Via Roma"), (Delay, "6 min")];
    let voice = Voice {
        say: "Via Roma is closed. Delay 6 minutes. Use another route.".to_owned(),
        ssml: "<speak version=\"1.1\" xmlns=\"http://www.w3.org/2001/10/synthesis\" \
               xml:lang=\"en\"><s><lang xml:lang=\"it\">Via Roma</lang> is closed.</s> \
               <s>Delay <sub alias=\"6 minutes\">6 min</sub>.</s> <s>Use another route.</s></speak>"
            .to_owned(),
    };
    let text = "Via Roma is closed. Delay 6 min. Use another route.";
    (request(En, VEHICLE, RoadClosed, &facts), wording(En, text), voice)
}

/// No character of a voice can be another one.
#[test]
fn a_voice_says_exactly_the_text() {
    let guard = nasty();
    let (request, wording, voice) = spoken();
    assert_eq!(guard.check_voice(&request, &wording, &voice, It), Ok(()));
    let refused = |voice: &Voice| {
        let answer = guard.check_voice(&request, &wording, voice, It);
        assert_eq!(answer.map_err(|o| o.rule()), Err(Rule::Spoken), "{voice:?}");
    };
    for at in 0..voice.say.len() {
        let mut other = voice.clone();
        other.say.replace_range(at..=at, "x");
        refused(&other);
    }
    for at in 0..voice.ssml.len() {
        for instead in ["", "x", "<", ">", "&", " "] {
            if voice.ssml[at..=at] == *instead {
                continue;
            }
            let mut other = voice.clone();
            other.ssml.replace_range(at..=at, instead);
            refused(&other);
        }
    }
    let marked =
        |from: &str, to: &str| Voice { ssml: voice.ssml.replace(from, to), ..voice.clone() };
    refused(&marked("lang=\"it\"", "lang=\"fr\""));
    refused(&marked("6 minutes", "60 minutes"));
    refused(&marked(
        "<lang xml:lang=\"it\">Via Roma</lang> is",
        "<lang xml:lang=\"it\">Via Roma is</lang>",
    ));
    refused(&marked("<s>Delay ", "<s><sub alias=\"No\">Delay</sub> "));
    refused(&marked("<s>Use", "<audio src=\"x\"/><s>Use"));
}

#[test]
fn every_rule_is_needed() {
    for rule in Rule::ALL {
        let case = breaking(rule);
        let streets: Vec<_> = STREETS.into_iter().chain(street_for(rule)).collect();
        let mut guard = guard_of(&streets, &PLACES);
        let refused = case.ask(&guard).map_err(|objection| objection.rule());
        assert_eq!(refused, Err(rule), "{} in force", rule.word());
        guard.rules.lifted = Some(rule);
        assert_eq!(case.ask(&guard), Ok(()), "{} lifted", rule.word());
    }
}

#[test]
fn every_rule_is_listed_and_has_a_word() {
    let words: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.word()).collect();
    assert_eq!(words.len(), Rule::ALL.len());
    assert_eq!(Rule::TrueTurn as usize + 1, Rule::ALL.len());
}

#[test]
fn a_sound_direction_passes() {
    let guard = nasty();
    assert_eq!(guard.check_direction(&direction(), &closed(&[4])), Ok(()));
    assert_eq!(guard.check_direction(&turning(Turn::Left), &closed(&[4])), Ok(()));
    let withdrawn = Direction { state: DirectionState::Clear, valid_until: at(0), ..direction() };
    assert_eq!(guard.check_direction(&withdrawn, &closed(&[1])), Ok(()));
    let area = Audience::Area { tile: "120".to_owned(), part: "a".to_owned() };
    let told = Direction { audience: area, applies_on: ids(&[0]), ..turning(Turn::Left) };
    assert_eq!(guard.check_direction(&told, &closed(&[4])), Ok(()));
    // Who is told one junction earlier would turn there, so the turn is not said to both.
    let early = Direction {
        applies_on: ids(&[0, 23]),
        way: ids(&[0, 2, 3]),
        via: ids(&[3]),
        ..Direction { turn: Some(Turn::Right), ..told }
    };
    assert_eq!(guard.check_direction(&early, &closed(&[4])), Ok(()));
    let turn = request(En, VEHICLE, RoadClosed, &[(Slot::Turn, "right")]);
    let refused = guard.check_request(&early, &turn).map_err(|o| o.rule());
    assert_eq!(refused, Err(Rule::TurnForAll));
    let alone = Direction { applies_on: ids(&[0]), ..early };
    assert_eq!(guard.check_request(&alone, &turn), Ok(()));
}

#[test]
fn nothing_unknown_makes_it_fall_over() {
    let guard = nasty();
    let far = SegmentId(u32::MAX);
    let broken: [fn(&mut Direction, SegmentId); 5] = [
        |d, far| d.avoid.push(far),
        |d, far| d.via.push(far),
        |d, far| d.way.push(far),
        |d, far| d.applies_on.push(far),
        |d, _| d.audience = Audience::Sign(SignId(7)),
    ];
    for change in broken {
        let mut direction = direction();
        change(&mut direction, far);
        let nothing = request(En, SIGN, RoadClosed, &[]);
        for refused in [
            guard.check_direction(&direction, &closed(&[4])),
            guard.check_request(&direction, &nothing),
        ] {
            assert_eq!(refused.map_err(|o| o.rule()), Err(Rule::KnownIndices));
        }
    }
}

#[test]
fn a_turn_into_a_road_called_like_the_avoided_one_is_not_said_with_a_name() {
    let streets = ["Via A", "Via D", "Via B", "Via C", "Via B"];
    let direction = Direction {
        way: ids(&[0, 2, 3]),
        via: ids(&[2, 3]),
        destination: None,
        ..turning(Turn::Right)
    };
    let asked = |streets: &[&str], facts: &[(Slot, &str)]| {
        let guard = Guard::new(Arc::new(network(streets, &[])));
        let request = request(En, SIGN, RoadClosed, facts);
        guard.check_request(&direction, &request).map_err(|o| o.rule())
    };
    let (turn, name) = ((Slot::Turn, "right"), (Via0, "Via C"));
    assert_eq!(asked(&streets, &[name, turn]), Err(Rule::RequestFacts));
    assert_eq!(asked(&streets, &[turn]), Ok(()));
    assert_eq!(asked(&streets, &[name]), Ok(()));
    // Neither where the road is another one, nor where the sign stands on the avoided one itself.
    assert_eq!(asked(&["Via A", "Via D", "Via E", "Via C", "Via B"], &[name, turn]), Ok(()));
    assert_eq!(asked(&["Via B", "Via D", "Via B", "Via C", "Via B"], &[name, turn]), Ok(()));
}

#[test]
fn turning_around_and_free_flow_are_never_said() {
    let guard = nasty();
    let refused =
        |direction| guard.check_direction(&direction, &closed(&[4])).map_err(|o| o.rule());
    let mut around = turning(Turn::TurnAround);
    assert_eq!(refused(around.clone()), Err(Rule::TrueTurn));
    around.way = ids(&[0, 0]);
    around.via.clear();
    for turn in [around.turn, None] {
        let around = Direction { turn, destination: None, ..around.clone() };
        assert_eq!(refused(around), Err(Rule::NoTurnAbout));
    }
    // Nor from an addressed segment into the way.
    let into_way = |from| Direction {
        audience: Audience::Area { tile: "120".to_owned(), part: "a".to_owned() },
        applies_on: ids(&[from]),
        way: ids(&[1]),
        via: ids(&[1]),
        destination: None,
        ..direction()
    };
    assert_eq!(refused(into_way(0)), Ok(()));
    assert_eq!(refused(into_way(2)), Err(Rule::NoTurnAbout));
    let free = Direction {
        cause: Cause::Congestion,
        level: Some(CongestionLevel::FreeFlow),
        ..direction()
    };
    let refused = guard.check_direction(&free, &closed(&[])).map_err(|o| o.rule());
    assert_eq!(refused, Err(Rule::TrueCause));
}

#[test]
fn a_request_says_what_the_direction_says() {
    let guard = nasty();
    let direction = Direction { way: ids(&[0, 2, 3]), via: ids(&[2, 3]), ..turning(Turn::Right) };
    let ask = |facts: &[(Slot, &str)]| {
        guard
            .check_request(&direction, &request(En, SIGN, RoadClosed, facts))
            .map_err(|objection| objection.rule())
    };
    // avoid[0] is segment 4, the way passes 2 and 3; 350 s lost, 299 s saved.
    let right = [
        (Closed, "!Via San"),
        (Via0, "Via Minuti"),
        (Slot::Via1, "Via Ritardo"),
        (Dest, "Stazione"),
        (Delay, "6 min"),
        (Saving, "4 min"),
        (Slot::Turn, "right"),
    ];
    assert_eq!(ask(&right), Ok(()));
    for (at, wrong) in [
        (0, "Via Chiusa"),
        (1, "Via Chiusa"),
        (1, "Via Ritardo"),
        (2, "Via Chiusa"),
        (2, "Via Minuti"),
        (3, "Porta Nord"),
        (4, "5 min"),
        (4, "350 s"),
        (5, "5 min"),
        (6, "left"),
    ] {
        let mut facts = right;
        facts[at].1 = wrong;
        assert_eq!(ask(&facts), Err(Rule::RequestFacts), "{wrong}");
    }
}
