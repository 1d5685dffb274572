//! Italian.

use super::Phrases;
use crate::domain::closure::Reason;
use crate::domain::wording::Problem;

pub(super) fn sign(problem: Problem, reason: Option<Reason>) -> Phrases {
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
        between: &[],
        lanes: &["<LANES> in meno", "<LANES> / in meno"],
        reason: match reason {
            None => &[],
            Some(Reason::Roadworks) => &["lavori in corso", "lavori"],
            Some(Reason::Accident) => &["incidente"],
            Some(Reason::Flooding) => &["allagamento"],
            Some(Reason::Event) => &["evento in corso", "evento"],
            Some(Reason::Fog) => &["nebbia"],
            Some(Reason::Ice) => &["ghiaccio"],
            Some(Reason::Snow) => &["neve"],
            Some(Reason::Wind) => &["vento forte", "vento"],
        },
        since: &[],
        until: &["fino alle <UNTIL>", "fino alle / <UNTIL>"],
        delay: &["ritardo <DELAY>", "ritardo / <DELAY>"],
        also_closed: &[],
        also_queue: &[],
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

pub(super) fn vehicle(problem: Problem, reason: Option<Reason>) -> Phrases {
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
        between: &["tra <BETWEEN_0> e <BETWEEN_1>."],
        lanes: &["<LANES> in meno."],
        reason: match reason {
            None => &[],
            Some(Reason::Roadworks) => &["sono in corso lavori stradali."],
            Some(Reason::Accident) => &["il motivo è un incidente."],
            Some(Reason::Flooding) => &["il motivo è un allagamento."],
            Some(Reason::Event) => &["il motivo è un evento."],
            Some(Reason::Fog) => &["il motivo è la nebbia."],
            Some(Reason::Ice) => &["il motivo è il ghiaccio."],
            Some(Reason::Snow) => &["il motivo è la neve."],
            Some(Reason::Wind) => &["il motivo è il vento forte sulla strada."],
        },
        since: &["dalle <SINCE>."],
        until: &["dalle <SINCE> fino alle <UNTIL> circa.", "fino alle <UNTIL> circa."],
        delay: &["ritardo di circa <DELAY>."],
        also_closed: &["inoltre c'è una chiusura in <ALSO_CLOSED>."],
        also_queue: &["ci sono code anche in <ALSO_QUEUE>."],
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
