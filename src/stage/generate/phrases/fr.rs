//! French.

use super::Phrases;
use crate::domain::closure::Reason;
use crate::domain::wording::Problem;

pub(super) fn sign(problem: Problem, reason: Option<Reason>) -> Phrases {
    Phrases {
        problem: match problem {
            Problem::RoadClosed => &[
                "<CLOSED_0> / route barree",
                "<CLOSED_0> / fermeture",
                "fermeture sur <CLOSED_0>",
                "route barree",
                "rue barree",
            ],
            Problem::Incident => &[
                "<CLOSED_0> / incident",
                "incident sur <CLOSED_0>",
                "<CLOSED_0> incident",
                "incident",
            ],
            Problem::Queue => &[
                "<CLOSED_0> / bouchons",
                "bouchons sur <CLOSED_0>",
                "<CLOSED_0> bouchons",
                "bouchons plus loin",
                "bouchons",
            ],
            Problem::SlowTraffic => {
                &["<CLOSED_0> / ralentissements", "ralentissements", "trafic lent", "flux lent"]
            }
            Problem::HeavyTraffic => &["<CLOSED_0> / trafic dense", "trafic dense", "flux dense"],
        },
        between: &[],
        lanes: &["<LANES> en moins", "<LANES> / en moins"],
        reason: match reason {
            None => &[],
            Some(Reason::Roadworks) => &["travaux"],
            Some(Reason::Accident) => &["accident"],
            Some(Reason::Flooding) => &["inondation"],
            Some(Reason::Event) => &["evenement"],
            Some(Reason::Fog) => &["brouillard"],
            Some(Reason::Ice) => &["verglas"],
            Some(Reason::Snow) => &["neige"],
            Some(Reason::Wind) => &["vent fort", "vent"],
        },
        since: &[],
        until: &["jusque vers <UNTIL>", "jusqu'a <UNTIL>", "jusqu'a / <UNTIL>"],
        delay: &["retard <DELAY>", "retard / <DELAY>"],
        also_closed: &[],
        also_queue: &[],
        saving: &["gain <SAVING>", "gain / <SAVING>"],
        other_route: &["prendre autre route", "prendre / autre route", "contourner"],
        turn: &[
            "au carrefour / aller <TURN>",
            "pour <DEST_0> / aller <TURN>",
            "pour <DEST_0> / aller / <TURN>",
            "aller <TURN>",
            "aller / <TURN>",
        ],
        via: &[
            "prendre <VIA_0>",
            "prendre / <VIA_0>",
            "prendre <VIA_0> / puis <VIA_1>",
            "pour <DEST_0> / prendre <VIA_0>",
            "pour <DEST_0> / prendre / <VIA_0>",
            "aller <TURN> / par <VIA_0>",
        ],
    }
}

pub(super) fn vehicle(problem: Problem, reason: Option<Reason>) -> Phrases {
    Phrases {
        problem: match problem {
            Problem::RoadClosed => {
                &["route fermée à la circulation sur <CLOSED_0>.", "route fermée plus loin."]
            }
            Problem::Incident => &["incident sur <CLOSED_0>.", "incident plus loin."],
            Problem::Queue => &["bouchons sur <CLOSED_0>.", "bouchons plus loin."],
            Problem::SlowTraffic => {
                &["circulation ralentie sur <CLOSED_0>.", "circulation ralentie plus loin."]
            }
            Problem::HeavyTraffic => {
                &["circulation dense sur <CLOSED_0>.", "circulation dense plus loin."]
            }
        },
        between: &["entre <BETWEEN_0> et <BETWEEN_1>."],
        lanes: &["il y a <LANES> en moins."],
        reason: match reason {
            None => &[],
            Some(Reason::Roadworks) => &["des travaux en sont la cause."],
            Some(Reason::Accident) => &["un accident en est la cause."],
            Some(Reason::Flooding) => &["une inondation en est la cause."],
            Some(Reason::Event) => &["un événement en est la cause."],
            Some(Reason::Fog) => &["le brouillard en est la cause."],
            Some(Reason::Ice) => &["le verglas en est la cause."],
            Some(Reason::Snow) => &["la neige en est la cause."],
            Some(Reason::Wind) => &["le vent fort en est la cause."],
        },
        since: &["depuis <SINCE>."],
        until: &[
            "de <SINCE> jusque vers <UNTIL>.",
            "cela durera jusque vers <UNTIL>.",
            "jusque vers <UNTIL>.",
        ],
        delay: &["retard d'environ <DELAY>."],
        also_closed: &["en outre, la route est barrée sur <ALSO_CLOSED>."],
        also_queue: &["il y a aussi des bouchons sur <ALSO_QUEUE>."],
        saving: &["cet itinéraire fait gagner environ <SAVING>."],
        other_route: &[
            "il est conseillé de prendre un autre itinéraire.",
            "prenez un autre itinéraire.",
        ],
        turn: &[
            "au prochain carrefour, allez <TURN>.",
            "pour <DEST_0>, allez <TURN> au prochain carrefour.",
        ],
        via: &[
            "prenez <VIA_0>.",
            "prenez <VIA_0>, puis <VIA_1>.",
            "pour <DEST_0>, prenez <VIA_0>.",
            "pour <DEST_0>, prenez <VIA_0>, puis <VIA_1>.",
            "au prochain carrefour, allez <TURN>, puis prenez <VIA_0>.",
            "pour <DEST_0>, allez <TURN> au prochain carrefour, puis prenez <VIA_0>.",
        ],
    }
}
