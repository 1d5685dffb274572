//! Texts that must pass and texts that must not, one by one, for a human reader.

use super::*;
use crate::domain::wording::Language::{De, En, Es, Fr, It};
use crate::domain::wording::Problem::{HeavyTraffic, Incident, Queue, RoadClosed, SlowTraffic};
use crate::domain::wording::Slot::{Closed, Delay, Dest, Saving, Turn, Via0, Via1};
use crate::stage::guard::{Objection, Rule};

fn answer(request: &WordingRequest, text: &str) -> Result<(), Objection> {
    nasty().check(request, &wording(request.language, text))
}

#[test]
fn signs_in_english() {
    let asked = request(
        En,
        SIGN,
        RoadClosed,
        &[
            (Closed, "!Via San Marco"),
            (Via0, "Via San Marco Vecchia"),
            (Via1, "Via 4 Novembre"),
            (Turn, "left"),
            (Delay, "6 min"),
            (Saving, "4 min"),
        ],
    );
    for text in [
        "VIA SAN MARCO / CLOSED / USE OTHER ROUTE",
        "CLOSURE ON VIA SAN / MARCO / DELAY 6 MIN / USE VIA SAN MARCO / VECCHIA",
        "VIA SAN MARCO CLOSED / USE VIA SAN MARCO VECCHIA / THEN VIA 4 NOVEMBRE",
        "ROAD CLOSED ON / VIA SAN MARCO / GO LEFT / TO VIA SAN MARCO VECCHIA",
        "VIA SAN MARCO / CLOSED / GO LEFT / 4 MIN FASTER",
    ] {
        assert_eq!(answer(&asked, text), Ok(()), "{text}");
    }
    for (text, rule) in [
        ("VIA SAN MARCO VECCHIA / CLOSED / USE OTHER ROUTE", Rule::Road),
        ("VIA SAN / CLOSED / USE OTHER ROUTE", Rule::Road),
        ("SAN MARCO / CLOSED / USE OTHER ROUTE", Rule::Grammar),
        ("VIA S. MARCO / CLOSED / USE OTHER ROUTE", Rule::Grammar),
        ("VIA SAN MARCO / CLOSED", Rule::Grammar),
        ("VIA SAN MARCO / NOT CLOSED / USE OTHER ROUTE", Rule::Grammar),
        ("VIA SAN MARCO / CLOSED / DO NOT USE VIA SAN MARCO VECCHIA", Rule::Grammar),
        ("VIA SAN MARCO / CLOSED / USE VIA SAN MARCO", Rule::Road),
        ("VIA SAN MARCO / CLOSED / DELAY 4 MIN / USE OTHER ROUTE", Rule::Number),
        ("VIA SAN MARCO / CLOSED / DELAY SIX MIN / USE OTHER ROUTE", Rule::Grammar),
        ("VIA SAN MARCO / CLOSED / USE OTHER ROUTE / DELAY 6 MIN", Rule::Grammar),
        ("VIA SAN MARCO / CLOSED / GO RIGHT", Rule::Turn),
        ("VIA SAN MARCO / CLOSED / TURN AROUND", Rule::Grammar),
        ("VIA SAN MARCO / CLOSED / GO LEFT / 30 KM/H", Rule::Grammar),
        ("VIA SAN MARCO / CLOSED / USE VIA 4 NOVEMBRE", Rule::Road),
        ("QUEUE ON VIA SAN MARCO / USE OTHER ROUTE", Rule::Problem),
        ("ROAD CLOSED / USE OTHER ROUTE", Rule::NothingMissing),
        ("<CLOSED_0> / CLOSED / USE OTHER ROUTE", Rule::Characters),
        ("VIA SAN MARCO[NP] / CLOSED / USE OTHER ROUTE", Rule::Characters),
        (
            "VIA SAN MARCO CLOSED / USE VIA SAN MARCO VECCHIA / THEN VIA 4 NOVEMBRE / SAVES 4 MIN",
            Rule::Units,
        ),
        (
            "ROAD CLOSED ON / VIA SAN MARCO / GO LEFT / TO VIA SAN MARCO VECCHIA / 4 MIN FASTER",
            Rule::Units,
        ),
        ("VIA SAN MARCO CLOSED / DELAY 6 MIN / USE OTHER ROUTE / SAVES 4 MIN", Rule::Units),
    ] {
        assert_eq!(answer(&asked, text).map_err(|o| o.rule()), Err(rule), "{text}");
    }
}

#[test]
fn vehicles_in_italian() {
    let asked = request(
        It,
        VEHICLE,
        Queue,
        &[
            (Closed, "viale dei Platani"),
            (Via0, "Via Caffè"),
            (Dest, "Università"),
            (Turn, "a destra"),
            (Delay, "12 min"),
        ],
    );
    for text in [
        "In viale dei Platani si è formata una coda. Per Università seguire Via Caffè.",
        "Viale dei Platani: coda sul percorso. Ritardo di 12 min. Seguire Via Caffè.",
        "Più avanti il traffico è in coda. Al prossimo incrocio andare a destra, poi seguire Via Caffè.",
    ] {
        assert_eq!(answer(&asked, text), Ok(()), "{text}");
    }
    for (text, rule) in [
        ("In viale dei platani si è formata una coda. Seguire Via Caffè.", Rule::Spelling),
        ("In Viale dei Platani si è formata una coda. Seguire Via Caffè.", Rule::Spelling),
        ("Coda sul percorso. Seguire Via Caffe.", Rule::Spelling),
        ("Coda sul percorso. Non seguire Via Caffè.", Rule::Grammar),
        ("Coda sul percorso. Per Roma seguire Via Caffè.", Rule::Destination),
        ("Coda sul percorso. Ritardo di dodici min. Seguire Via Caffè.", Rule::Grammar),
        ("Coda sul percorso. Seguire Via Roma.", Rule::Road),
        ("coda sul percorso. Seguire Via Caffè.", Rule::Case),
        ("Coda sul percorso. Seguire Via Caffè", Rule::Grammar),
        ("Coda sul percorso.  Seguire Via Caffè.", Rule::Spacing),
        ("Coda sul percorso. Seguire Via\u{a0}Caffè.", Rule::Characters),
        ("Coda sul percorso. Seguire Via Caffè. Risparmio di 12 min.", Rule::Number),
    ] {
        assert_eq!(answer(&asked, text).map_err(|o| o.rule()), Err(rule), "{text}");
    }
}

#[test]
fn vehicles_in_german() {
    let facts = [
        (Closed, "!Via Caffè"),
        (Via0, "Via Nuova"),
        (Dest, "Università"),
        (Turn, "links"),
        (Delay, "12 min"),
    ];
    let asked = WordingRequest {
        reason: Some(Reason::Accident),
        ..request(De, VEHICLE, RoadClosed, &facts)
    };
    for text in [
        "Via Caffè ist gesperrt. Bitte eine andere Strecke wählen.",
        "Via Caffè ist gesperrt. Der Grund ist ein Unfall. Richtung Università bitte über Via Nuova fahren.",
        "Im Bereich Via Caffè ist die Straße gesperrt. Dort kam es zu einem Unfall. Zeitverlust von 12 min. \
         Bitte an der nächsten Kreuzung links fahren.",
    ] {
        assert_eq!(answer(&asked, text), Ok(()), "{text}");
    }
    for (text, rule) in [
        ("Via Caffè ist gesperrt. Bitte eine andere strecke wählen.", Rule::Case),
        ("Via Caffè ist Gesperrt. Bitte eine andere Strecke wählen.", Rule::Case),
        ("Via Caffè ist gesperrt. Der Grund ist Nebel. Bitte ausweichen.", Rule::Reason),
        ("Via Caffè ist nicht gesperrt. Bitte ausweichen.", Rule::Grammar),
        ("Via Caffè ist gesperrt. Bitte nicht ausweichen.", Rule::Grammar),
        ("Via Caffè ist gesperrt. Bitte wenden.", Rule::Grammar),
        ("Via Caffè ist gesperrt. Bitte an der nächsten Kreuzung rechts fahren.", Rule::Turn),
        ("Stau im Bereich Via Caffè. Bitte ausweichen.", Rule::Problem),
        ("Via Caffè ist gesperrt. Bitte ausweichen. Der Grund ist ein Unfall.", Rule::Grammar),
        ("Der Grund ist ein Unfall. Via Caffè ist gesperrt. Bitte ausweichen.", Rule::Grammar),
    ] {
        assert_eq!(answer(&asked, text).map_err(|o| o.rule()), Err(rule), "{text}");
    }
}

#[test]
fn signs_in_german_french_and_spanish() {
    let facts = [(Closed, "Via Roma"), (Via0, "Via Nuova"), (Dest, "Stazione"), (Saving, "4 min")];
    for (language, turn, right, wrong) in [
        (
            De,
            "links",
            [
                "VIA ROMA / GESPERRT / NEBEL / BITTE UEBER VIA NUOVA",
                "SPERRUNG BEREICH VIA ROMA / BITTE LINKS FAHREN / SPART 4 MIN",
                "GESPERRT / WEGEN NEBEL / ZIEL STAZIONE / UEBER VIA NUOVA",
            ],
            [
                "GESPERRT / LINKS",
                "GESPERRT / LINKS FAHREN",
                "GESPERRT / UEBER VIA NUOVA",
                "GESPERRT / BEREICH VIA ROMA / BITTE LINKS",
                "GESPERRT / RICHTUNG STAZIONE / BITTE LINKS",
                "GESPERRT / HALT",
            ],
        ),
        (
            Fr,
            "à gauche",
            [
                "VIA ROMA / ROUTE BARREE / BROUILLARD / PRENDRE VIA NUOVA",
                "FERMETURE SUR VIA ROMA / ALLER A GAUCHE / GAIN 4 MIN",
                "ROUTE FERMEE / EN RAISON DU / BROUILLARD / POUR STAZIONE / PRENDRE / VIA NUOVA",
            ],
            [
                "ROUTE BARREE / A GAUCHE",
                "ROUTE BARREE / AUTRE ROUTE",
                "ROUTE BARREE / PAR VIA NUOVA",
                "ROUTE BARREE / SUR VIA ROMA / ALLER A GAUCHE",
                "ROUTE BARREE / DIRECTION STAZIONE / ALLER A GAUCHE",
                "ROUTE BARREE / NE PAS PRENDRE VIA NUOVA",
            ],
        ),
        (
            Es,
            "a la izquierda",
            [
                "VIA ROMA / CALLE CORTADA / NIEBLA / TOME VIA NUOVA",
                "CORTE EN VIA ROMA / VAYA / A LA IZQUIERDA / AHORRO 4 MIN",
                "CALLE CERRADA / DEBIDO A / NIEBLA / PARA STAZIONE / TOME VIA NUOVA",
            ],
            [
                "CALLE CORTADA / A LA IZQUIERDA",
                "CALLE CORTADA / OTRA RUTA",
                "CALLE CORTADA / POR VIA NUOVA",
                "CORTE / EN VIA ROMA / VAYA A LA IZQUIERDA",
                "CALLE CORTADA / HACIA STAZIONE / VAYA A LA IZQUIERDA",
                "CALLE CORTADA / NO TOME VIA NUOVA",
            ],
        ),
    ] {
        let facts = [&facts[..], &[(Turn, turn)]].concat();
        let asked = WordingRequest {
            reason: Some(Reason::Fog),
            ..request(language, SIGN, RoadClosed, &facts)
        };
        for text in right {
            assert_eq!(answer(&asked, text), Ok(()), "{text}");
        }
        for text in wrong {
            assert_eq!(answer(&asked, text).map_err(|o| o.rule()), Err(Rule::Grammar), "{text}");
        }
    }
}

/// A queue has no reason that anybody gave, and a closure has one or none.
#[test]
fn reasons_that_may_not_be_said() {
    let queue = WordingRequest { reason: Some(Reason::Accident), ..request(En, SIGN, Queue, &[]) };
    let refused = answer(&queue, "QUEUES / ACCIDENT / USE OTHER ROUTE").map_err(|o| o.rule());
    assert_eq!(refused, Err(Rule::Grammar));
    let closed = |reason| WordingRequest { reason, ..request(En, SIGN, RoadClosed, &[]) };
    let texts = [
        ("ROAD CLOSED / USE OTHER ROUTE", None),
        ("ROAD CLOSED / ACCIDENT / USE OTHER ROUTE", Some(Reason::Accident)),
        ("ROAD CLOSED / DUE TO / ROADWORKS / USE OTHER ROUTE", Some(Reason::Roadworks)),
    ];
    for (text, said) in texts {
        for given in [None, Some(Reason::Accident), Some(Reason::Roadworks)] {
            let expected = if said.is_none() || said == given { Ok(()) } else { Err(Rule::Reason) };
            let found = answer(&closed(given), text).map_err(|o| o.rule());
            assert_eq!(found, expected, "{text}, {given:?}");
        }
    }
    let both = "ROAD CLOSED / ACCIDENT / ROADWORKS / USE OTHER ROUTE";
    let refused = answer(&closed(Some(Reason::Accident)), both).map_err(|o| o.rule());
    assert_eq!(refused, Err(Rule::Grammar));
}

/// Streets called Closed, Left, Destra, Via Chiusa, Via Minuti.
#[test]
fn names_that_are_words() {
    let asked = request(
        En,
        SIGN,
        RoadClosed,
        &[(Closed, "Closed"), (Via0, "Left"), (Turn, "left"), (Delay, "6 min")],
    );
    for text in [
        "CLOSED / CLOSED / USE OTHER ROUTE",
        "ROAD CLOSED / GO LEFT",
        "CLOSED CLOSED / 6 MIN DELAY / GO LEFT",
        "CLOSED CLOSED / GO LEFT / TO LEFT",
    ] {
        assert_eq!(answer(&asked, text), Ok(()), "{text}");
    }
    let asked = request(
        It,
        SIGN,
        RoadClosed,
        &[(Closed, "!Via Chiusa"), (Via0, "Via Minuti"), (Turn, "a destra"), (Delay, "6 min")],
    );
    for text in [
        "VIA CHIUSA / CHIUSURA / USARE ALTRA VIA",
        "VIA CHIUSA / STRADA CHIUSA / RITARDO 6 MIN / SEGUIRE VIA MINUTI",
        "CHIUSURA IN VIA CHIUSA / ANDARE A DESTRA / VERSO VIA MINUTI",
    ] {
        assert_eq!(answer(&asked, text), Ok(()), "{text}");
    }
    for (text, rule) in [
        ("VIA CHIUSA / USARE ALTRA VIA", Rule::Grammar),
        ("VIA MINUTI / STRADA CHIUSA / SEGUIRE VIA CHIUSA", Rule::Road),
        ("VIA CHIUSA / STRADA CHIUSA / SEGUIRE DESTRA", Rule::Road),
        ("STRADA CHIUSA / USARE ALTRA STRADA", Rule::NothingMissing),
    ] {
        assert_eq!(answer(&asked, text).map_err(|o| o.rule()), Err(rule), "{text}");
    }
}

#[test]
fn all_problems_in_english_and_italian() {
    for (problem, english, italian) in [
        (RoadClosed, "ROAD CLOSED AHEAD", "TRATTO CHIUSO"),
        (Incident, "INCIDENT AHEAD", "DISAGI AL TRAFFICO"),
        (Queue, "QUEUES AHEAD", "VEICOLI IN CODA"),
        (SlowTraffic, "SLOW TRAFFIC", "RALLENTAMENTI"),
        (HeavyTraffic, "HEAVY TRAFFIC", "TRAFFICO INTENSO"),
    ] {
        for other in Problem::ALL {
            let expected = if other == problem { Ok(()) } else { Err(Rule::Problem) };
            let asked = request(En, SIGN, other, &[]);
            let text = format!("{english} / USE OTHER ROUTE");
            assert_eq!(answer(&asked, &text).map_err(|o| o.rule()), expected, "{text}");
            let asked = request(It, SIGN, other, &[]);
            let text = format!("{italian} / USARE ALTRA STRADA");
            assert_eq!(answer(&asked, &text).map_err(|o| o.rule()), expected, "{text}");
        }
    }
}

#[test]
fn an_objection_says_what_and_where() {
    let asked = request(En, SIGN, RoadClosed, &[(Closed, "Via Roma")]);
    for (text, message) in [
        (
            "VIA SAN MARINO / CLOSED / USE OTHER ROUTE",
            "row 1, column 1: the text says `VIA SAN MARINO` as <CLOSED_0>, the fact is `VIA ROMA`",
        ),
        (
            "VIA ROMA / NOT CLOSED / USE OTHER ROUTE",
            "row 2, column 1: `NOT` is not in the vocabulary",
        ),
        ("VIA ROMA / CLOSED / USE ROAD", "row 3, column 5: no sentence goes on with `ROAD` here"),
        (
            "VIA ROMA / CLOSED / USE VIA SAN",
            "row 3, column 5: the text says `VIA SAN` as <VIA_0>, there is no such fact",
        ),
    ] {
        let said = answer(&asked, text).map_err(|objection| objection.to_string());
        assert_eq!(said, Err(message.to_owned()), "{text}");
    }
}

/// A name's own commas and brackets are shown in a vehicle and left out on a sign.
#[test]
fn names_with_marks() {
    let facts = [(Closed, "!Ponte, secondo (nuovo)"), (Via0, "Via G. Verdi")];
    let asked = request(En, SIGN, RoadClosed, &facts);
    let text = "PONTE SECONDO NUOVO / CLOSED / USE VIA G. VERDI";
    assert_eq!(answer(&asked, text), Ok(()));
    let asked = request(En, VEHICLE, RoadClosed, &facts);
    let text = "Ponte, secondo (nuovo) is closed. Use Via G. Verdi.";
    assert_eq!(answer(&asked, text), Ok(()));
    let text = "Ponte secondo nuovo is closed. Use Via G. Verdi.";
    assert_eq!(answer(&asked, text).map_err(|o| o.rule()), Err(Rule::Road));
}

/// What a reader could take for something else, though each word is in its place.
#[test]
fn ambiguous_lines_on_signs() {
    let facts = [(Closed, "Via Roma"), (Dest, "Stazione"), (Via0, "Via Nuova")];
    let english = request(En, SIGN, Incident, &[&facts[..], &[(Turn, "left")]].concat());
    for text in [
        "INCIDENT / ON VIA ROMA / GO LEFT",
        "INCIDENT / VIA ROMA / GO LEFT",
        "INCIDENT / LEFT / TO VIA NUOVA",
        "INCIDENT / VIA VIA NUOVA",
        "INCIDENT / OTHER ROUTE / VIA NUOVA",
        "INCIDENT / TO AVOID / GO LEFT",
        "INCIDENT / AVOID ROAD / GO LEFT",
        "INCIDENT GO LEFT",
        "INCIDENT / GO LEFT SLOW",
    ] {
        assert_eq!(answer(&english, text).map_err(|o| o.rule()), Err(Rule::Grammar), "{text}");
    }
    let italian = request(It, SIGN, RoadClosed, &[&facts[..], &[(Turn, "a sinistra")]].concat());
    for text in [
        "STRADA CHIUSA / AL BIVIO / A SINISTRA",
        "STRADA CHIUSA / PER STAZIONE / A SINISTRA",
        "STRADA CHIUSA / A SINISTRA / VERSO VIA NUOVA",
        "STRADA CHIUSA / ALTRA STRADA / VIA NUOVA",
        "CHIUSURA / IN VIA ROMA / ANDARE A SINISTRA",
        "STRADA CHIUSA / VIA ROMA / ANDARE A SINISTRA",
    ] {
        assert_eq!(answer(&italian, text).map_err(|o| o.rule()), Err(Rule::Grammar), "{text}");
    }
}

/// The longest name counts, and nobody can know whether the number belongs to it.
#[test]
fn a_name_that_goes_on_in_the_next_clause() {
    let guard = guard_of(&["Via Nuova", "Via Nuova 6", "Via Roma", "Via San"], &[]);
    let asked = request(En, SIGN, RoadClosed, &[(Closed, "Via Nuova"), (Delay, "6 min")]);
    for (text, expected) in [
        ("ROAD CLOSED ON VIA NUOVA / 6 MIN DELAY / USE OTHER ROUTE", Err(Rule::LongestName)),
        ("ROAD CLOSED ON VIA NUOVA / DELAY 6 MIN / USE OTHER ROUTE", Ok(())),
    ] {
        let answer = guard.check(&asked, &wording(En, text)).map_err(|o| o.rule());
        assert_eq!(answer, expected, "{text}");
    }
}
