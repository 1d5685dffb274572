//! Spanish.

use super::Phrases;
use crate::domain::closure::Reason;
use crate::domain::wording::Problem;

pub(super) fn sign(problem: Problem, reason: Option<Reason>) -> Phrases {
    Phrases {
        problem: match problem {
            Problem::RoadClosed => &[
                "<CLOSED_0> / calle cortada",
                "<CLOSED_0> / corte",
                "corte en <CLOSED_0>",
                "calle cortada",
                "corte vial",
            ],
            Problem::Incident => &[
                "<CLOSED_0> / incidencia",
                "incidencia en <CLOSED_0>",
                "<CLOSED_0> incidencia",
                "incidencia",
            ],
            Problem::Queue => &[
                "<CLOSED_0> / retenciones",
                "<CLOSED_0> / atasco",
                "atasco en <CLOSED_0>",
                "<CLOSED_0> atasco",
                "retenciones",
                "atasco",
            ],
            Problem::SlowTraffic => &["<CLOSED_0> / trafico lento", "trafico lento", "paso lento"],
            Problem::HeavyTraffic => &["<CLOSED_0> / trafico denso", "trafico denso", "via densa"],
        },
        between: &[],
        lanes: &["<LANES> menos", "<LANES> / menos"],
        reason: match reason {
            None => &[],
            Some(Reason::Roadworks) => &["obras"],
            Some(Reason::Accident) => &["accidente"],
            Some(Reason::Flooding) => &["inundacion"],
            Some(Reason::Event) => &["evento"],
            Some(Reason::Fog) => &["niebla"],
            Some(Reason::Ice) => &["hielo"],
            Some(Reason::Snow) => &["nieve"],
            Some(Reason::Wind) => &["viento fuerte", "viento"],
        },
        since: &[],
        until: &["hasta las <UNTIL>", "hasta / las <UNTIL>"],
        delay: &["demora <DELAY>", "demora / <DELAY>"],
        also_closed: &[],
        also_queue: &[],
        saving: &["ahorro <SAVING>", "ahorro / <SAVING>"],
        other_route: &["tome otra ruta", "tome / otra ruta", "desviese"],
        turn: &[
            "en el cruce / vaya <TURN>",
            "en el cruce / vaya / <TURN>",
            "para <DEST_0> / vaya <TURN>",
            "para <DEST_0> / vaya / <TURN>",
            "vaya <TURN>",
            "vaya / <TURN>",
        ],
        via: &[
            "tome <VIA_0>",
            "tome / <VIA_0>",
            "tome <VIA_0> / luego <VIA_1>",
            "para <DEST_0> / tome <VIA_0>",
            "para <DEST_0> / tome / <VIA_0>",
            "vaya <TURN> / por <VIA_0>",
        ],
    }
}

pub(super) fn vehicle(problem: Problem, reason: Option<Reason>) -> Phrases {
    Phrases {
        problem: match problem {
            Problem::RoadClosed => {
                &["corte de tráfico en <CLOSED_0>.", "corte de tráfico más adelante."]
            }
            Problem::Incident => &["incidencia en <CLOSED_0>.", "incidencia más adelante."],
            Problem::Queue => &["retenciones en <CLOSED_0>.", "retenciones más adelante."],
            Problem::SlowTraffic => {
                &["tráfico lento en <CLOSED_0>.", "tráfico lento más adelante."]
            }
            Problem::HeavyTraffic => {
                &["tráfico denso en <CLOSED_0>.", "tráfico denso más adelante."]
            }
        },
        between: &["entre <BETWEEN_0> y <BETWEEN_1>."],
        lanes: &["hay <LANES> menos."],
        reason: match reason {
            None => &[],
            Some(Reason::Roadworks) => &["el motivo son unas obras."],
            Some(Reason::Accident) => &["el motivo es un accidente."],
            Some(Reason::Flooding) => &["el motivo es una inundación."],
            Some(Reason::Event) => &["el motivo es un evento."],
            Some(Reason::Fog) => &["el motivo es la niebla."],
            Some(Reason::Ice) => &["el motivo es el hielo."],
            Some(Reason::Snow) => &["el motivo es la nieve."],
            Some(Reason::Wind) => &["el motivo es el viento fuerte en la zona."],
        },
        since: &["desde las <SINCE>."],
        until: &[
            "desde las <SINCE> hasta las <UNTIL> aproximadamente.",
            "hasta las <UNTIL> aproximadamente.",
            "hasta las <UNTIL>.",
        ],
        delay: &["demora de unos <DELAY>."],
        also_closed: &["además, hay un corte de tráfico en <ALSO_CLOSED>."],
        also_queue: &["también hay retenciones en <ALSO_QUEUE>."],
        saving: &["así se ahorran unos <SAVING>."],
        other_route: &["se recomienda otra ruta.", "tome otra ruta."],
        turn: &[
            "en el próximo cruce, vaya <TURN>.",
            "para <DEST_0>, vaya <TURN> en el próximo cruce.",
        ],
        via: &[
            "tome <VIA_0>.",
            "tome <VIA_0> y luego <VIA_1>.",
            "para <DEST_0>, tome <VIA_0>.",
            "para <DEST_0>, tome <VIA_0> y luego <VIA_1>.",
            "en el próximo cruce, vaya <TURN> y luego tome <VIA_0>.",
            "para <DEST_0>, vaya <TURN> en el próximo cruce y luego tome <VIA_0>.",
        ],
    }
}
