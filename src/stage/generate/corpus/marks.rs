//! The words that state a problem or a reason, as the heads of the corpus files list them: each for one
//! of these alone.

use crate::domain::closure::Reason;
use crate::domain::wording::{Language, Problem};

type Words = &'static [&'static str];

pub(super) fn of_problem(language: Language, problem: Problem) -> Words {
    use Problem::{HeavyTraffic, Incident, Queue, RoadClosed, SlowTraffic};
    match (language, problem) {
        (Language::En, RoadClosed) => &["closed", "closure", "shut"],
        (Language::En, Incident) => &["incident"],
        (Language::En, Queue) => &["queue", "queues", "queuing"],
        (Language::En, SlowTraffic) => &["slow", "slowly"],
        (Language::En, HeavyTraffic) => &["heavy", "busy", "dense"],
        (Language::It, RoadClosed) => &["chiusa", "chiuso", "chiusura"],
        (Language::It, Incident) => &["intralcio", "disagi"],
        (Language::It, Queue) => &["coda", "code"],
        (Language::It, SlowTraffic) => {
            &["lento", "lente", "lentamente", "rallentato", "rallentamenti"]
        }
        (Language::It, HeavyTraffic) => &["intenso", "intensa", "sostenuto", "molto", "molte"],
        (Language::De, RoadClosed) => &["gesperrt", "sperrung", "vollsperrung"],
        (Language::De, Incident) => &[
            "störung",
            "stoerung",
            "gestört",
            "gestoert",
            "behinderung",
            "behinderungen",
            "behindert",
            "zwischenfall",
        ],
        (Language::De, Queue) => {
            &["stau", "staus", "rückstau", "rueckstau", "staut", "stockt", "stockender"]
        }
        (Language::De, SlowTraffic) => &[
            "zäh",
            "zaeh",
            "zaeher",
            "zähfließend",
            "zähfließender",
            "zaehfliessend",
            "langsam",
            "langsamer",
        ],
        (Language::De, HeavyTraffic) => {
            &["dicht", "dichter", "reger", "starker", "viel", "viele", "hohes"]
        }
        (Language::Fr, RoadClosed) => &[
            "fermée",
            "fermee",
            "fermé",
            "fermeture",
            "barrée",
            "barree",
            "coupée",
            "coupee",
            "interrompue",
        ],
        (Language::Fr, Incident) => {
            &["incident", "perturbée", "perturbee", "perturbe", "perturbations", "gêne"]
        }
        (Language::Fr, Queue) => &["bouchon", "bouchons", "file"],
        (Language::Fr, SlowTraffic) => &[
            "lent",
            "lente",
            "lentement",
            "ralenti",
            "ralentie",
            "ralentissement",
            "ralentissements",
        ],
        (Language::Fr, HeavyTraffic) => {
            &["dense", "chargé", "charge", "chargée", "chargee", "beaucoup"]
        }
        (Language::Es, RoadClosed) => {
            &["corte", "cortada", "cortado", "cerrada", "cerrado", "cierre"]
        }
        (Language::Es, Incident) => &["incidencia", "incidencias"],
        (Language::Es, Queue) => &["atasco", "atascos", "retenciones", "cola", "colas"],
        (Language::Es, SlowTraffic) => &["lento", "lentos", "lenta", "lentamente", "despacio"],
        (Language::Es, HeavyTraffic) => {
            &["denso", "densa", "intenso", "intensa", "mucho", "muchos"]
        }
    }
}

#[expect(clippy::match_same_arms, reason = "two languages may share a word")]
pub(super) fn of_reason(language: Language, reason: Reason) -> Words {
    use Reason::{Accident, Event, Flooding, Fog, Ice, Roadworks, Snow, Wind};
    match (language, reason) {
        (Language::En, Roadworks) => &["roadworks", "works", "crews", "repaired"],
        (Language::En, Accident) => &["accident", "crash"],
        (Language::En, Flooding) => &["flooding", "flooded", "flood", "water"],
        (Language::En, Event) => &["event"],
        (Language::En, Fog) => &["fog", "foggy"],
        (Language::En, Ice) => &["ice", "icy", "frozen"],
        (Language::En, Snow) => &["snow", "snowy"],
        (Language::En, Wind) => &["wind", "winds", "gusts"],
        (Language::It, Roadworks) => &["lavori", "lavoro", "lavora", "operai", "cantiere"],
        (Language::It, Accident) => &["incidente"],
        (Language::It, Flooding) => {
            &["allagamento", "allagata", "allagato", "acqua", "l'acqua", "sott'acqua"]
        }
        (Language::It, Event) => &["evento"],
        (Language::It, Fog) => &["nebbia"],
        (Language::It, Ice) => &["ghiaccio", "ghiacciata", "ghiacciato", "gelata"],
        (Language::It, Snow) => &["neve", "innevata", "nevicato"],
        (Language::It, Wind) => &["vento", "raffiche"],
        (Language::De, Roadworks) => {
            &["bauarbeiten", "baustelle", "gebaut", "ausgebessert", "erneuert"]
        }
        (Language::De, Accident) => &["unfall", "unfalls"],
        (Language::De, Flooding) => &[
            "hochwasser",
            "wasser",
            "überflutung",
            "ueberflutung",
            "überflutet",
            "überschwemmung",
            "überschwemmt",
        ],
        (Language::De, Event) => &["veranstaltung"],
        (Language::De, Fog) => &["nebel", "neblig"],
        (Language::De, Ice) => &["eis", "eisglätte", "glatteis", "glatt", "vereist"],
        (Language::De, Snow) => &["schnee", "verschneit", "schneebedeckt", "geschneit"],
        (Language::De, Wind) => &["wind", "windig", "böen", "boeen", "windböen"],
        (Language::Fr, Roadworks) => &["travaux", "travaille", "chantier"],
        (Language::Fr, Accident) => &["accident"],
        (Language::Fr, Flooding) => &["inondation", "inondée", "inondee", "l'eau"],
        (Language::Fr, Event) => &["événement", "evenement"],
        (Language::Fr, Fog) => &["brouillard"],
        (Language::Fr, Ice) => &["verglas", "verglacée", "verglacee", "gelée"],
        (Language::Fr, Snow) => &["neige", "neigé", "enneigée", "enneigee"],
        (Language::Fr, Wind) => &["vent", "rafales"],
        (Language::Es, Roadworks) => &["obras", "operarios", "reparando"],
        (Language::Es, Accident) => &["accidente"],
        (Language::Es, Flooding) => &["inundación", "inundacion", "inundada", "agua"],
        (Language::Es, Event) => &["evento"],
        (Language::Es, Fog) => &["niebla"],
        (Language::Es, Ice) => &["hielo", "helada"],
        (Language::Es, Snow) => &["nieve", "nevada", "nevado"],
        (Language::Es, Wind) => &["viento", "rachas"],
    }
}
