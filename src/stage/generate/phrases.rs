//! The template writer's phrases, a language and an audience at a time, the better ones first.
//!
//! Same format as the corpus in `models/corpus`, without choices. For every problem there is a
//! phrase without names of at most ten columns, and so there is for the advice to go another way:
//! together they are the text for the smallest sign.

use crate::domain::wording::{Language, Problem, Slot, Space, WordingRequest};

type List = &'static [&'static str];

/// What may be combined for one request.
pub(super) struct Phrases {
    pub problem: List,
    pub delay: List,
    pub saving: List,
    pub other_route: List,
    pub turn: List,
    pub via: List,
}

impl Phrases {
    pub fn of(language: Language, problem: Problem, space: Space) -> Self {
        match (language, space) {
            (Language::En, Space::Sign { .. }) => en_sign(problem),
            (Language::En, Space::Vehicle { .. }) => en_vehicle(problem),
            (Language::It, Space::Sign { .. }) => it_sign(problem),
            (Language::It, Space::Vehicle { .. }) => it_vehicle(problem),
        }
    }

    /// The advice that the request's facts call for: a road, else a turn, else another way.
    pub fn advice(&self, request: &WordingRequest) -> impl Iterator<Item = &'static str> {
        let list = if request.slot(Slot::Via0).is_some() {
            self.via
        } else if request.slot(Slot::Turn).is_some() {
            self.turn
        } else {
            self.other_route
        };
        list.iter().copied()
    }
}

/// Each phrase, or none.
pub(super) fn or_none(list: List) -> impl Iterator<Item = Option<&'static str>> {
    list.iter().copied().map(Some).chain([None])
}

fn en_sign(problem: Problem) -> Phrases {
    Phrases {
        problem: match problem {
            Problem::RoadClosed => &[
                "<CLOSED_0> / closed ahead",
                "<CLOSED_0> / closed",
                "<CLOSED_0> closed",
                "road closed ahead",
                "road closed",
                "road shut",
            ],
            Problem::Incident => &[
                "<CLOSED_0> / incident",
                "incident on <CLOSED_0>",
                "<CLOSED_0> incident",
                "incident ahead",
                "incident",
            ],
            Problem::Queue => &[
                "<CLOSED_0> / queues",
                "queues on <CLOSED_0>",
                "<CLOSED_0> queues",
                "queues ahead",
                "queues",
            ],
            Problem::SlowTraffic => {
                &["<CLOSED_0> / slow traffic", "slow traffic ahead", "slow traffic", "slow cars"]
            }
            Problem::HeavyTraffic => &[
                "<CLOSED_0> / heavy traffic",
                "<CLOSED_0> busy",
                "heavy traffic ahead",
                "heavy traffic",
                "busy road",
            ],
        },
        delay: &["delay <DELAY>", "delay / <DELAY>"],
        saving: &["saves <SAVING>", "saves / <SAVING>"],
        other_route: &["use other route", "use other / route", "avoid road"],
        turn: &["next junction / go <TURN>", "for <DEST_0> / go <TURN>", "go <TURN>"],
        via: &[
            "use <VIA_0>",
            "use / <VIA_0>",
            "use <VIA_0> / then <VIA_1>",
            "for <DEST_0> / use <VIA_0>",
            "for <DEST_0> / use / <VIA_0>",
            "go <TURN> / to <VIA_0>",
        ],
    }
}

fn en_vehicle(problem: Problem) -> Phrases {
    Phrases {
        problem: match problem {
            Problem::RoadClosed => &["<CLOSED_0> is closed ahead.", "road closed ahead."],
            Problem::Incident => &["incident ahead on <CLOSED_0>.", "incident ahead."],
            Problem::Queue => &["queues ahead on <CLOSED_0>.", "queues ahead."],
            Problem::SlowTraffic => &["slow traffic ahead on <CLOSED_0>.", "slow traffic ahead."],
            Problem::HeavyTraffic => {
                &["heavy traffic ahead on <CLOSED_0>.", "heavy traffic ahead."]
            }
        },
        delay: &["expect a delay of about <DELAY>.", "delay about <DELAY>."],
        saving: &["this saves about <SAVING>."],
        other_route: &["another route is advised.", "use another route."],
        turn: &[
            "at the next junction, go <TURN>.",
            "for <DEST_0>, go <TURN> at the next junction.",
        ],
        via: &[
            "use <VIA_0>.",
            "use <VIA_0> and then <VIA_1>.",
            "for <DEST_0>, use <VIA_0>.",
            "for <DEST_0>, use <VIA_0> and then <VIA_1>.",
            "go <TURN> at the next junction, then take <VIA_0>.",
            "for <DEST_0>, go <TURN> at the next junction, then take <VIA_0>.",
        ],
    }
}

fn it_sign(problem: Problem) -> Phrases {
    Phrases {
        problem: match problem {
            Problem::RoadClosed => &[
                "<CLOSED_0> / strada chiusa",
                "<CLOSED_0> / chiusura",
                "chiusura in <CLOSED_0>",
                "strada chiusa",
                "chiusura",
            ],
            Problem::Incident => &[
                "<CLOSED_0> / intralcio",
                "intralcio in <CLOSED_0>",
                "disagi in <CLOSED_0>",
                "disagi al traffico",
                "intralcio",
            ],
            Problem::Queue => {
                &["<CLOSED_0> / code", "code in <CLOSED_0>", "traffico in coda", "code"]
            }
            Problem::SlowTraffic => {
                &["<CLOSED_0> / rallentamenti", "rallentamenti", "flusso lento", "auto lente"]
            }
            Problem::HeavyTraffic => &[
                "<CLOSED_0> / traffico intenso",
                "<CLOSED_0> / molto traffico",
                "traffico intenso",
                "molto traffico",
                "molte auto",
            ],
        },
        delay: &["ritardo <DELAY>", "ritardo / <DELAY>"],
        saving: &["risparmio <SAVING>", "risparmio / <SAVING>"],
        other_route: &["usare altra strada", "usare / altra strada", "deviare"],
        turn: &[
            "al bivio / andare <TURN>",
            "per <DEST_0> / andare <TURN>",
            "per <DEST_0> / andare / <TURN>",
            "andare <TURN>",
            "andare / <TURN>",
        ],
        via: &[
            "seguire <VIA_0>",
            "seguire / <VIA_0>",
            "usare <VIA_0>",
            "usare / <VIA_0>",
            "seguire <VIA_0> / poi <VIA_1>",
            "per <DEST_0> / seguire <VIA_0>",
            "per <DEST_0> / seguire / <VIA_0>",
            "andare <TURN> / verso <VIA_0>",
        ],
    }
}

fn it_vehicle(problem: Problem) -> Phrases {
    Phrases {
        problem: match problem {
            Problem::RoadClosed => {
                &["strada chiusa al traffico in <CLOSED_0>.", "strada chiusa più avanti."]
            }
            Problem::Incident => {
                &["intralcio al traffico in <CLOSED_0>.", "intralcio sul percorso."]
            }
            Problem::Queue => &["code in <CLOSED_0>.", "code sul percorso."],
            Problem::SlowTraffic => {
                &["traffico rallentato in <CLOSED_0>.", "rallentamenti sul percorso."]
            }
            Problem::HeavyTraffic => {
                &["traffico intenso in <CLOSED_0>.", "traffico intenso sul percorso."]
            }
        },
        delay: &["ritardo di circa <DELAY>."],
        saving: &["si risparmiano circa <SAVING>."],
        other_route: &["si consiglia un altro percorso.", "prendere un'altra strada."],
        turn: &[
            "al prossimo incrocio andare <TURN>.",
            "per <DEST_0> andare <TURN> al prossimo incrocio.",
        ],
        via: &[
            "seguire <VIA_0>.",
            "seguire <VIA_0> e poi <VIA_1>.",
            "per <DEST_0> seguire <VIA_0>.",
            "per <DEST_0> seguire <VIA_0> e poi <VIA_1>.",
            "al prossimo incrocio andare <TURN>, poi prendere <VIA_0>.",
            "per <DEST_0> andare <TURN> al prossimo incrocio, poi prendere <VIA_0>.",
        ],
    }
}
