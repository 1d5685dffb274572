//! The template always has a text.

use proptest::prelude::*;

use super::*;
use crate::domain::closure::Reason;
use crate::domain::wording::{
    Language, MIN_SIGN_COLS, MIN_SIGN_ROWS, MIN_VEHICLE_CHARS, Problem, SlotFact,
};
use crate::stage::generate::fill;

fn request(
    language: Language,
    problem: Problem,
    space: Space,
    slots: &[(Slot, &str, bool)],
) -> WordingRequest {
    let slots = slots.iter().map(|(slot, text, required)| SlotFact {
        slot: *slot,
        text: (*text).to_owned(),
        required: *required,
    });
    WordingRequest { language, problem, reason: None, slots: slots.collect(), space, seed: 0 }
}

fn text(request: &WordingRequest) -> Vec<String> {
    let mut writer = TemplateWriter;
    let draft = writer.write(request, 0, &|| false).unwrap();
    fill(request, &draft, writer.name(request)).unwrap().text
}

const THREE_BY_18: Space = Space::Sign { rows: 3, cols: 18, pages: 1 };

#[test]
fn the_richest_that_fits_is_taken() {
    use Language::{En, It};
    use Problem::{Queue, RoadClosed};
    let short = [(Slot::Closed, "VIA SAN MARCO", false), (Slot::Via0, "VIA ALTA", true)];
    let request_of =
        |language, problem, slots: &[_]| request(language, problem, THREE_BY_18, slots);
    assert_eq!(
        text(&request_of(It, RoadClosed, &short)),
        ["VIA SAN MARCO", "STRADA CHIUSA", "SEGUIRE VIA ALTA"]
    );
    assert_eq!(
        text(&request_of(En, RoadClosed, &short)),
        ["VIA SAN MARCO", "CLOSED AHEAD", "USE VIA ALTA"]
    );
    let long = [
        (Slot::Closed, "VIA SAN MARCO", false),
        (Slot::Via0, "VIALE DEI PLATANI", true),
        (Slot::Delay, "6 MIN", false),
    ];
    assert_eq!(
        text(&request_of(It, RoadClosed, &long)),
        ["STRADA CHIUSA", "SEGUIRE", "VIALE DEI PLATANI"]
    );
    assert_eq!(
        text(&request_of(It, Queue, &long)),
        ["TRAFFICO IN CODA", "SEGUIRE", "VIALE DEI PLATANI"],
        "the place does not fit beside the words"
    );
    let nothing_named = [(Slot::Delay, "6 MIN", false)];
    assert_eq!(
        text(&request_of(En, Queue, &nothing_named)),
        ["QUEUES AHEAD", "DELAY 6 MIN", "USE OTHER ROUTE"]
    );
}

#[test]
fn a_reason_is_said_where_there_is_room() {
    let slots = [(Slot::Closed, "VIA SAN MARCO", false), (Slot::Via0, "VIA ALTA", true)];
    let why = |space, slots: &[(Slot, &str, bool)], language| WordingRequest {
        reason: Some(Reason::Flooding),
        ..request(language, Problem::RoadClosed, space, slots)
    };
    let roomy = Space::Sign { rows: 4, cols: 20, pages: 1 };
    assert_eq!(
        text(&why(roomy, &slots, Language::De)),
        ["VIA SAN MARCO", "GESPERRT", "UEBERFLUTUNG", "BITTE UEBER VIA ALTA"]
    );
    assert_eq!(
        text(&why(THREE_BY_18, &slots, Language::Fr)),
        ["VIA SAN MARCO", "ROUTE BARREE", "PRENDRE VIA ALTA"],
        "the road is worth more"
    );
    let slots = [
        (Slot::Closed, "Via San Marco", true),
        (Slot::Via0, "Via Alta", true),
        (Slot::Saving, "4 min", false),
    ];
    let space = Space::Vehicle { max_chars: 120 };
    assert_eq!(
        text(&why(space, &slots, Language::De)),
        [
            "Via San Marco ist gesperrt. Der Grund ist eine Überflutung. Bitte über Via Alta fahren. \
          Das spart etwa 4 min."
        ]
    );
    let space = Space::Vehicle { max_chars: 100 };
    assert_eq!(
        text(&why(space, &slots, Language::De)),
        ["Via San Marco ist gesperrt. Der Grund ist eine Überflutung. Bitte über Via Alta fahren."],
        "it is worth more than a saving"
    );
}

#[test]
fn a_vehicle_hears_it_in_sentences() {
    let slots = [
        (Slot::Closed, "Viale dei Platani", true),
        (Slot::Via0, "Via San Marco", true),
        (Slot::Dest, "Porta Nord", false),
        (Slot::Delay, "6 min", false),
        (Slot::Saving, "4 min", false),
    ];
    let space = Space::Vehicle { max_chars: 200 };
    assert_eq!(
        text(&request(Language::En, Problem::Queue, space, &slots)),
        ["Queues ahead on Viale dei Platani. Expect a delay of about 6 min. \
          For Porta Nord, use Via San Marco. This saves about 4 min."]
    );
    assert_eq!(
        text(&request(Language::It, Problem::Queue, space, &slots)),
        ["Code in Viale dei Platani. Ritardo di circa 6 min. \
          Per Porta Nord seguire Via San Marco. Si risparmiano circa 4 min."]
    );
}

#[test]
fn the_smallest_spaces_have_a_text_and_smaller_ones_say_so() {
    let sign = Space::Sign { rows: MIN_SIGN_ROWS, cols: MIN_SIGN_COLS, pages: 1 };
    let vehicle = Space::Vehicle { max_chars: MIN_VEHICLE_CHARS };
    for language in Language::ALL {
        for problem in Problem::ALL {
            let flat = Space::Sign { rows: 1, cols: MIN_SIGN_COLS, pages: 2 };
            for space in [sign, flat, vehicle] {
                assert!(!space.is_too_small());
                let request = request(language, problem, space, &[]);
                assert!(!text(&request).is_empty());
            }
            let narrow = Space::Sign { rows: 1, cols: MIN_SIGN_COLS, pages: 1 };
            assert!(narrow.is_too_small());
            let error =
                TemplateWriter.write(&request(language, problem, narrow, &[]), 0, &|| false);
            assert_eq!(
                error,
                Err(WriterError::Unsatisfiable(
                    "no template fits 1 rows of 10 columns a page".into()
                ))
            );
        }
    }
}

#[test]
fn attempts_give_other_texts_until_there_are_none() {
    let request = request(Language::En, Problem::Queue, THREE_BY_18, &[]);
    let mut seen = std::collections::BTreeSet::new();
    let mut attempt = 0;
    loop {
        match TemplateWriter.write(&request, attempt, &|| false) {
            Ok(draft) => assert!(seen.insert(draft.rows)),
            Err(error) => {
                assert!(matches!(error, WriterError::Unsatisfiable(_)));
                break;
            }
        }
        attempt += 1;
    }
    assert!(attempt > 2);
}

#[test]
fn what_one_page_has_no_room_for_goes_on_a_second_with_the_advice() {
    let slots = [
        (Slot::Closed, "VIA SAN MARCO", false),
        (Slot::Via0, "VIA ALTA", true),
        (Slot::Delay, "6 MIN", false),
    ];
    let of = |rows, pages| {
        let space = Space::Sign { rows, cols: 18, pages };
        let request = request(Language::En, Problem::Queue, space, &slots);
        let draft = TemplateWriter.write(&request, 0, &|| false).unwrap();
        (fill(&request, &draft, "template").unwrap(), draft.second_page)
    };
    let rows = |text: &[&str]| text.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>();
    let (wording, second) = of(3, 2);
    assert_eq!(second, Some(3));
    assert_eq!(
        wording.pages(),
        [rows(&["VIA SAN MARCO", "QUEUES", "DELAY 6 MIN"]), rows(&["USE VIA ALTA"])]
    );
    let (wording, second) = of(4, 2);
    assert_eq!(second, None, "all is on one page: {wording:?}");
    assert_eq!(of(3, 1).0.text.len(), 3);
}

#[test]
fn a_sign_says_four_things_at_most() {
    let slots = [
        (Slot::Closed, "VIA A", false),
        (Slot::Via0, "VIA B", true),
        (Slot::Via1, "VIA C", false),
        (Slot::Dest, "PORTA D", false),
        (Slot::Delay, "6 MIN", false),
        (Slot::Saving, "4 MIN", false),
        (Slot::Turn, "LEFT", false),
    ];
    let space = Space::Sign { rows: 9, cols: 30, pages: 1 };
    let request = request(Language::En, Problem::Queue, space, &slots);
    let draft = TemplateWriter.write(&request, 0, &|| false).unwrap();
    assert_eq!(slots_of(&draft.rows.join(" ")).slots().count() + 1, SIGN_UNITS);
}

fn any_facts() -> impl Strategy<Value = Vec<SlotFact>> {
    let names = "[A-Z]{1,8}( [A-Z]{1,8}){0,2}";
    prop::collection::vec((any::<bool>(), names), 7).prop_map(|facts| {
        let offered = Slot::ALL.into_iter().zip(facts).filter(|(_, (offer, _))| *offer);
        let fact = |(slot, (_, text))| SlotFact { slot, text, required: false };
        offered.map(fact).collect()
    })
}

proptest! {
    /// Whatever is offered, a sign of the least size or more has a text, and it fits.
    #[test]
    fn optional_facts_always_leave_a_text(
        mut slots in any_facts(),
        language in prop::sample::select(&Language::ALL[..]),
        problem in prop::sample::select(&Problem::ALL[..]),
        reason in prop::option::of(prop::sample::select(&Reason::ALL[..])),
        rows in MIN_SIGN_ROWS..6,
        cols in MIN_SIGN_COLS..30,
        pages in 1_u8..=2,
    ) {
        // The advice follows the offer: a road or turn on offer is one that fits.
        slots.retain(|fact| !matches!(fact.slot, Slot::Via0 | Slot::Via1 | Slot::Turn));
        let space = Space::Sign { rows, cols, pages };
        let request = WordingRequest { language, problem, reason, slots, space, seed: 0 };
        let draft = TemplateWriter.write(&request, 0, &|| false).unwrap();
        let wording = fill(&request, &draft, "template").unwrap();
        prop_assert!(wording.pages().len() <= usize::from(pages));
        prop_assert!(wording.pages().iter().all(|page| (1..=usize::from(rows)).contains(&page.len())));
        prop_assert!(wording.text.iter().all(|row| width(row) <= usize::from(cols)));
    }
}
