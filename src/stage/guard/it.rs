//! Italian.
//!
//! On a sign a verb stands before a turn: STRADA CHIUSA, AL BIVIO, A SINISTRA closes the road on the
//! left, and so does STRADA CHIUSA, PER STAZIONE, A SINISTRA. And the troubled road comes first, or
//! after `in` in one row with the problem: a row IN VIA ROMA above ANDARE A SINISTRA would say where
//! to turn. An advised road stands behind a verb: CODE, ALTRA STRADA, VIA ROMA would say where they
//! are.

use super::phrases::{Phrases, Tongue};
use crate::domain::wording::Problem;

pub(super) const TONGUE: Tongue = Tongue {
    turns: &["a sinistra", "a destra", "diritto"],
    units: &["min", "minuto", "minuti"],
    letters: "abcdefghijklmnopqrstuvwxyzàèéìíòóùú",
    sign: Phrases {
        parts: &[
            ("other", "altra (strada|via)|altro percorso"),
            ("go", "[al [prossimo] bivio|per {dest}] (andare|proseguire)"),
            ("road", "{via} [poi {then}]"),
        ],
        problem: &[
            (
                Problem::RoadClosed,
                &[
                    "{closed} (strada chiusa|tratto chiuso|chiusura [strada|al traffico])",
                    "chiusura ~in {closed}",
                    "(strada chiusa|tratto chiuso|chiusura) [sul percorso]",
                    "chiusura strada",
                ],
            ),
            (
                Problem::Incident,
                &[
                    "{closed} (intralcio|disagi) [al traffico]",
                    "(intralcio|disagi) ~in {closed}",
                    "(intralcio|disagi) [al traffico|sul percorso]",
                ],
            ),
            (
                Problem::Queue,
                &[
                    "{closed} (coda|code|traffico in coda|veicoli in coda)",
                    "(coda|code) ~in {closed}",
                    "(coda|code|traffico in coda|veicoli in coda) [sul percorso]",
                ],
            ),
            (
                Problem::SlowTraffic,
                &[
                    "{closed} (traffico lento|rallentamenti|flusso lento|auto lente)",
                    "(traffico lento|rallentamenti) ~in {closed}",
                    "(traffico lento|rallentamenti|flusso lento|auto lente) [sul percorso]",
                ],
            ),
            (
                Problem::HeavyTraffic,
                &[
                    "{closed} (traffico (intenso|sostenuto)|molto traffico|molte auto)",
                    "(traffico (intenso|sostenuto)|molto traffico) ~in {closed}",
                    "(traffico (intenso|sostenuto)|molto traffico|molte auto) [sul percorso]",
                ],
            ),
        ],
        delay: &["ritardo [circa|di] {delay}", "{delay} di ritardo", "si perdono {delay}"],
        advice: &[
            "(usare|scegliere|seguire|preferire|meglio|si consiglia) (@other)",
            "deviare",
            "(@go) {turn} [(verso|poi) @road]",
            "(seguire|usare|percorrere|meglio) @road",
            "per {dest} (seguire|usare|percorrere) @road",
        ],
        saving: &[
            "(risparmio [circa]|guadagno di tempo|si risparmiano) {saving}",
            "{saving} in meno",
        ],
    },
    vehicle: Phrases {
        parts: &[
            ("hinders", "[al traffico]"),
            ("ahead", "più avanti|sul percorso"),
            ("where", "in {closed} [@ahead]|@ahead"),
            ("before", "in {closed}|@ahead"),
            ("other", "un'altra strada|un altro percorso"),
            ("choose", "scegliere|prendere|seguire"),
            ("take", "seguire|percorrere|prendere"),
            ("go", "andare|proseguire"),
            ("usual", "sul percorso abituale"),
            ("crossing", "al prossimo incrocio"),
            ("lead", "conviene|si consiglia di|meglio"),
            ("road", "{via} [(e|e poi|, poi) {then}]"),
            ("turning", "@crossing (@go) {turn}|(@go) {turn} @crossing"),
        ],
        problem: &[
            (
                Problem::RoadClosed,
                &[
                    "{closed} : (strada chiusa|tratto chiuso) @hinders [sul percorso]",
                    "(strada chiusa|chiusura) @hinders (@where)",
                    "sul percorso c'è una chiusura [in {closed}]",
                    "sul percorso c'è un tratto [di strada] chiuso al traffico",
                    "(in {closed}|più avanti) la strada è [ora] chiusa @hinders",
                    "un tratto di {closed} è [ora] chiuso al traffico",
                ],
            ),
            (
                Problem::Incident,
                &[
                    "(intralcio|disagi) @hinders (@where)",
                    "{closed} : (intralcio|disagi) @hinders [sul percorso]",
                    "(@before) (c'è [ora] un intralcio|si registrano [ora] disagi) @hinders [più avanti]",
                    "c'è un intralcio @hinders in {closed}",
                ],
            ),
            (
                Problem::Queue,
                &[
                    "(coda|code|traffico in coda) (@where)",
                    "traffico in coda più avanti sul percorso",
                    "{closed} : ((coda|code) sul percorso|traffico [ora] in coda)",
                    "(@before) (il traffico è [ora] in coda|si è formata una coda)",
                    "(@before) ci sono veicoli in coda",
                ],
            ),
            (
                Problem::SlowTraffic,
                &[
                    "(traffico (lento|rallentato)|rallentamenti) (@where)",
                    "{closed} : (traffico (lento|rallentato)|rallentamenti) [più avanti] sul percorso",
                    "(@before) (il traffico è [ora] lento|si procede lentamente)",
                    "(@before) si registrano rallentamenti",
                ],
            ),
            (
                Problem::HeavyTraffic,
                &[
                    "(traffico (intenso|sostenuto)|molto traffico) (@where)",
                    "{closed} : (traffico (intenso|sostenuto)|molto traffico) sul percorso",
                    "(@before) (il traffico è [ora] intenso|c'è molto traffico)",
                    "(@before) la circolazione è [ora] intensa",
                ],
            ),
        ],
        delay: &[
            "il ritardo [previsto|attuale|@usual] è di [circa] {delay}",
            "ritardo di [circa] {delay}",
            "[@usual] si perdono [circa] {delay}",
        ],
        advice: &[
            "[conviene|meglio|si consiglia di] (@choose) (@other)",
            "si consiglia (@other)",
            "è (consigliata un'altra strada|consigliato un altro percorso)",
            "@turning",
            "@crossing [,] per {dest} [,] (@go) {turn}",
            "@crossing (@lead) (@go) {turn}",
            "[per {dest}] [@lead] (@go) {turn} @crossing",
            "il percorso consigliato va {turn} @crossing",
            "[per {dest}] [@lead] (@take) @road",
            "il percorso consigliato (è|passa per) {via} [, poi {then}]",
            "[per {dest}] (@turning|(@go) {turn}) (e|, [poi]) (@take) @road",
            "(@turning|(@go) {turn}) verso {via}",
        ],
        saving: &[
            "[così] si risparmiano [circa] {saving}",
            "il risparmio è di [circa] {saving}",
            "risparmio di [circa] {saving}",
            "si arriva [circa] {saving} prima",
            "così il viaggio dura [circa] {saving} in meno",
        ],
    },
};
