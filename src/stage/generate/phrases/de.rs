//! German.

use super::Phrases;
use crate::domain::closure::Reason;
use crate::domain::wording::Problem;

/// The nouns of the vehicle texts of `models/corpus/de.yaml`, which begin with a capital wherever they
/// stand.
pub const NOUNS: &[&str] = &[
    "abschnitt",
    "anlass",
    "autos",
    "bauarbeiten",
    "baustelle",
    "behinderungen",
    "bereich",
    "böen",
    "durchfahrt",
    "eis",
    "eisglätte",
    "fahrbahn",
    "fahrt",
    "fahrzeit",
    "glatteis",
    "grund",
    "hochwasser",
    "kreuzung",
    "möglichkeit",
    "nebel",
    "richtung",
    "rückstau",
    "schnee",
    "sperrung",
    "stau",
    "staus",
    "störung",
    "straße",
    "strecke",
    "uhr",
    "überflutung",
    "überschwemmung",
    "unfall",
    "ursache",
    "veranstaltung",
    "verkehr",
    "verkehrsaufkommen",
    "verzögerung",
    "vollsperrung",
    "wahl",
    "wasser",
    "weg",
    "wind",
    "windböen",
    "zeitersparnis",
    "zeitgewinn",
    "zeitverlust",
    "ziel",
    "zwischenfall",
];

pub(super) fn sign(problem: Problem, reason: Option<Reason>) -> Phrases {
    Phrases {
        problem: match problem {
            Problem::RoadClosed => {
                &["<CLOSED_0> / gesperrt", "<CLOSED_0> gesperrt", "strasse gesperrt", "gesperrt"]
            }
            Problem::Incident => &[
                "<CLOSED_0> / stoerung",
                "stoerung bereich <CLOSED_0>",
                "<CLOSED_0> stoerung",
                "stoerung voraus",
                "stoerung",
            ],
            Problem::Queue => &[
                "<CLOSED_0> / stau",
                "stau bereich <CLOSED_0>",
                "<CLOSED_0> stau",
                "stau voraus",
                "stau",
            ],
            Problem::SlowTraffic => {
                &["<CLOSED_0> / zaeher verkehr", "zaeher verkehr", "rollt zaeh"]
            }
            Problem::HeavyTraffic => {
                &["<CLOSED_0> / dichter verkehr", "dichter verkehr", "viel los"]
            }
        },
        between: &[],
        lanes: &["<LANES> weniger", "<LANES> / weniger"],
        reason: match reason {
            None => &[],
            Some(Reason::Roadworks) => &["baustelle"],
            Some(Reason::Accident) => &["unfall"],
            Some(Reason::Flooding) => &["ueberflutung"],
            Some(Reason::Event) => &["veranstaltung"],
            Some(Reason::Fog) => &["nebel"],
            Some(Reason::Ice) => &["glatteis"],
            Some(Reason::Snow) => &["schnee"],
            Some(Reason::Wind) => &["kraeftiger wind", "wind"],
        },
        since: &[],
        until: &["bis <UNTIL> uhr", "bis etwa <UNTIL>"],
        delay: &["zeitverlust <DELAY>", "zeitverlust / <DELAY>"],
        also_closed: &[],
        also_queue: &[],
        saving: &["spart <SAVING>", "spart / <SAVING>"],
        other_route: &["bitte umfahren", "bitte / umfahren", "umfahren"],
        turn: &[
            "naechste kreuzung / <TURN> fahren",
            "ziel <DEST_0> / <TURN> fahren",
            "bitte <TURN> fahren",
            "bitte <TURN>",
            "bitte / <TURN> fahren",
        ],
        via: &[
            "bitte ueber <VIA_0>",
            "bitte ueber / <VIA_0>",
            "bitte ueber <VIA_0> / dann <VIA_1>",
            "ziel <DEST_0> / ueber <VIA_0>",
            "ziel <DEST_0> / bitte ueber / <VIA_0>",
            "bitte <TURN> / ueber <VIA_0>",
        ],
    }
}

pub(super) fn vehicle(problem: Problem, reason: Option<Reason>) -> Phrases {
    Phrases {
        problem: match problem {
            Problem::RoadClosed => &["<CLOSED_0> ist gesperrt.", "straße voraus gesperrt."],
            Problem::Incident => &["störung im bereich <CLOSED_0>.", "störung voraus."],
            Problem::Queue => &["stau im bereich <CLOSED_0>.", "stau voraus."],
            Problem::SlowTraffic => {
                &["zähfließender verkehr im bereich <CLOSED_0>.", "zähfließender verkehr voraus."]
            }
            Problem::HeavyTraffic => {
                &["dichter verkehr im bereich <CLOSED_0>.", "dichter verkehr voraus."]
            }
        },
        between: &["zwischen <BETWEEN_0> und <BETWEEN_1>."],
        lanes: &["dort gibt es <LANES> weniger."],
        reason: match reason {
            None => &[],
            Some(Reason::Roadworks) => &["der grund sind bauarbeiten."],
            Some(Reason::Accident) => &["der grund ist ein unfall."],
            Some(Reason::Flooding) => &["der grund ist eine überflutung."],
            Some(Reason::Event) => &["der grund ist eine veranstaltung."],
            Some(Reason::Fog) => &["der grund ist nebel."],
            Some(Reason::Ice) => &["der grund ist glatteis auf der fahrbahn."],
            Some(Reason::Snow) => &["der grund ist schnee."],
            Some(Reason::Wind) => &["der grund ist kräftiger wind."],
        },
        since: &["seit <SINCE> uhr."],
        until: &[
            "von <SINCE> uhr bis voraussichtlich <UNTIL> uhr.",
            "voraussichtlich bis <UNTIL> uhr.",
            "bis etwa <UNTIL> uhr.",
        ],
        delay: &["zeitverlust von etwa <DELAY>."],
        also_closed: &["außerdem gibt es eine sperrung im bereich <ALSO_CLOSED>."],
        also_queue: &["stau auch im bereich <ALSO_QUEUE>."],
        saving: &["das spart etwa <SAVING>."],
        other_route: &["bitte eine andere strecke wählen.", "bitte ausweichen."],
        turn: &[
            "bitte an der nächsten kreuzung <TURN> fahren.",
            "richtung <DEST_0> bitte an der nächsten kreuzung <TURN> fahren.",
        ],
        via: &[
            "bitte über <VIA_0> fahren.",
            "bitte über <VIA_0> und dann über <VIA_1> fahren.",
            "richtung <DEST_0> bitte über <VIA_0> fahren.",
            "richtung <DEST_0> bitte über <VIA_0> und dann über <VIA_1> fahren.",
            "bitte an der nächsten kreuzung <TURN> fahren, dann <VIA_0> folgen.",
            "richtung <DEST_0> bitte an der nächsten kreuzung <TURN> fahren, dann <VIA_0> folgen.",
        ],
    }
}
