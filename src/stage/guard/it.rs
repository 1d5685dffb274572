//! Italian.
//!
//! On a sign a verb stands before a turn: STRADA CHIUSA, AL BIVIO, A SINISTRA closes the road on the
//! left, and so does STRADA CHIUSA, PER STAZIONE, A SINISTRA. And the troubled road comes first, or
//! after `in` in one row with the problem: a row IN VIA ROMA above ANDARE A SINISTRA would say where
//! to turn. An advised road stands behind a verb: CODE, ALTRA STRADA, VIA ROMA would say where they
//! are.

use super::phrases::{Phrases, Tongue};
use crate::domain::closure::Reason;
use crate::domain::wording::Problem;

pub(super) const TONGUE: Tongue = Tongue {
    turns: &["a sinistra", "a destra", "diritto"],
    units: &["min", "minuto", "minuti"],
    lanes: ["corsia", "corsie"],
    letters: "abcdefghijklmnopqrstuvwxyzàèéìíòóùú",
    hedges: &["meglio", "migliore", "preferire", "preferibile", "conviene"],
    nouns: &[],
    sign: Phrases {
        parts: &[
            ("other", "altra (strada|via)|altro percorso"),
            ("lead", "[per {dest}|al [prossimo] bivio] [meglio]|si consiglia di"),
            ("go", "@lead (andare|proseguire)"),
            ("road", "{via} [poi {then}]"),
            ("cause", "causa|a causa di"),
        ],
        problem: &[
            (
                Problem::RoadClosed,
                &[
                    "{closed} (strada chiusa|tratto chiuso|chiusura [strada|al traffico])",
                    "chiusura ~in {closed}",
                    "(strada chiusa|tratto chiuso|chiusura) [sul percorso]",
                    "chiusura (strada|tratto)",
                ],
            ),
            (
                Problem::Incident,
                &[
                    "{closed} (intralcio|disagi) [al traffico]",
                    "(intralcio|disagi) ~in {closed}",
                    "(intralcio|disagi) [al traffico|sul percorso|in strada]",
                ],
            ),
            (
                Problem::Queue,
                &[
                    "{closed} (coda|code|(traffico|veicoli|auto) in coda)",
                    "(coda|code) ~in {closed}",
                    "(coda|code|(traffico|veicoli|auto) in coda) [sul percorso]",
                ],
            ),
            (
                Problem::SlowTraffic,
                &[
                    "{closed} (traffico (lento|rallentato)|rallentamenti|flusso lento|auto lente)",
                    "(traffico lento|rallentamenti) ~in {closed}",
                    "(traffico (lento|rallentato)|rallentamenti|flusso lento|auto lente) [sul percorso]",
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
        between: &[],
        lanes: &["[restringimento|si viaggia con] {lanes} in meno"],
        reason: &[
            (Reason::Roadworks, &["[@cause] lavori", "lavori in corso"]),
            (
                Reason::Accident,
                &["[@cause] incidente", "a causa di un incidente", "incidente stradale"],
            ),
            (Reason::Flooding, &["[@cause] allagamento", "strada allagata"]),
            (Reason::Event, &["[causa] evento", "a causa di un evento", "evento in corso"]),
            (Reason::Fog, &["[@cause] nebbia", "presenza di nebbia", "nebbia in strada"]),
            (Reason::Ice, &["[@cause] ghiaccio", "strada ghiacciata", "ghiaccio in strada"]),
            (Reason::Snow, &["[@cause] neve", "neve sulla strada", "strada innevata"]),
            (Reason::Wind, &["[@cause] vento [forte]", "raffiche di vento"]),
        ],
        since: &[],
        until: &["fino alle {until} [circa]", "riapre verso le {until}"],
        delay: &[
            "ritardo [circa|di|previsto|attuale] {delay}",
            "ritardi [di] {delay}",
            "{delay} di ritardo",
            "si perdono {delay}",
            "(tempo perso|perdita di tempo) {delay}",
        ],
        also_closed: &[],
        also_queue: &[],
        advice: &[
            "(usare|scegliere|seguire|prendere|preferire|meglio|si consiglia) @other",
            "cambiare (strada|percorso)",
            "evitare il tratto",
            "deviare",
            "@go {turn} [(verso|poi) @road]",
            "(andare|proseguire) {turn} [verso {via}] per {dest}",
            "(seguire|usare|percorrere|prendere|passare da|preferire|si consiglia|meglio) @road",
            "per {dest} (seguire|usare|percorrere|prendere|passare da) @road",
            "(seguire|usare|percorrere|prendere) {via} per {dest}",
        ],
        saving: &[
            "(risparmio [circa|di]|guadagno [di [tempo]]|si (risparmiano|guadagnano)) {saving}",
            "{saving} (in meno|risparmiati)",
            "(arrivo|si arriva) {saving} prima",
        ],
    },
    vehicle: Phrases {
        parts: &[
            ("hinders", "[al traffico]"),
            ("ahead", "più avanti|sul percorso"),
            ("where", "in {closed} [@ahead]|@ahead"),
            ("before", "in {closed}|@ahead"),
            ("place", "in {closed}|più avanti"),
            ("other", "un'altra strada|un altro percorso"),
            ("choose", "scegliere|prendere|seguire"),
            ("take", "seguire|percorrere|prendere"),
            ("go", "andare|proseguire"),
            ("usual", "sul percorso abituale"),
            ("crossing", "al prossimo incrocio"),
            ("lead", "(conviene|è meglio|è preferibile)|si (consiglia|prega) di|meglio"),
            ("road", "{via} [(e|e poi|, poi) {then}]"),
            ("turning", "@crossing [@lead] @go {turn}|[@lead] @go {turn} @crossing"),
            ("way", "il percorso (consigliato|migliore)"),
        ],
        problem: &[
            (
                Problem::RoadClosed,
                &[
                    "{closed} : (strada chiusa|tratto chiuso) @hinders [sul percorso]",
                    "(strada chiusa|chiusura) @hinders @where",
                    "sul percorso c'è una chiusura [in {closed}]",
                    "sul percorso c'è un tratto [di strada] chiuso al traffico",
                    "@place la strada è [ora] chiusa @hinders",
                    "un tratto di {closed} è [ora] chiuso al traffico",
                    "un tratto di strada è [ora] chiuso in {closed}",
                    "@place è in vigore una chiusura @hinders [della strada]",
                    "c'è una chiusura @hinders in {closed}",
                ],
            ),
            (
                Problem::Incident,
                &[
                    "(intralcio|disagi) @hinders @where",
                    "{closed} : (intralcio|disagi) @hinders [sul percorso]",
                    "@before (c'è [ora] un intralcio|si registrano [ora] disagi) @hinders [più avanti]",
                    "c'è un intralcio @hinders in {closed}",
                    "un intralcio ostacola [ora] il traffico @place",
                    "si segnalano [ora] disagi @place",
                    "in {closed} il traffico subisce [ora] disagi",
                    "è segnalato un intralcio @place",
                ],
            ),
            (
                Problem::Queue,
                &[
                    "(coda|code|traffico in coda) @where",
                    "traffico in coda più avanti sul percorso",
                    "{closed} : ((coda|code) sul percorso|traffico [ora] in coda)",
                    "@before (il traffico è [ora] in coda|si è formata una coda)",
                    "@before (ci sono veicoli in coda|le auto sono [ora] in coda)",
                    "(si segnalano code|c'è una coda) @place",
                ],
            ),
            (
                Problem::SlowTraffic,
                &[
                    "(traffico (lento|rallentato)|rallentamenti) @where",
                    "{closed} : (traffico (lento|rallentato)|rallentamenti) [più avanti] sul percorso",
                    "@before (il traffico è [ora] lento|si (procede|viaggia) lentamente)",
                    "@before (si registrano rallentamenti|le auto procedono [ora] lentamente)",
                    "si segnalano rallentamenti @place",
                ],
            ),
            (
                Problem::HeavyTraffic,
                &[
                    "(traffico (intenso|sostenuto)|molto traffico) @where",
                    "{closed} : (traffico (intenso|sostenuto)|molto traffico) sul percorso",
                    "@before (il traffico è [ora] intenso|c'è molto traffico)",
                    "@before (la circolazione è [ora] intensa|circolano [ora] molte auto)",
                    "si segnala traffico intenso @place",
                    "ci sono molte auto @place",
                ],
            ),
        ],
        between: &[
            "[[riguarda il|nel|si tratta del|è interessato il] tratto] tra {between} e {and}",
            "il tratto interessato è [quello] tra {between} e {and}",
            "il tratto va da {between} a {and}",
        ],
        lanes: &[
            "[c'è un restringimento con|la strada ha|si (circola|viaggia) con|il traffico scorre con|lì si passa con] {lanes} in meno",
            "la carreggiata perde {lanes}",
        ],
        reason: &[
            (
                Reason::Roadworks,
                &[
                    "il motivo sono dei lavori [stradali] in corso",
                    "la causa sono i lavori in corso",
                    "sono in corso (lavori stradali|dei lavori)",
                    "in quel tratto c'è un cantiere",
                    "[ora] si lavora sulla strada",
                    "quel tratto è interessato da lavori",
                ],
            ),
            (
                Reason::Accident,
                &[
                    "(il motivo|la causa) è un incidente [stradale] [in quel tratto]",
                    "[in quel tratto] (c'è stato|è avvenuto|si è verificato) un incidente [stradale] [sulla strada]",
                    "è stato segnalato un incidente [stradale] [sulla strada]",
                ],
            ),
            (
                Reason::Flooding,
                &[
                    "(il motivo|la causa) è un allagamento",
                    "la strada è [ora] allagata",
                    "quel tratto [di strada] è allagato",
                    "c'è [ora] acqua sulla carreggiata",
                    "l'acqua (copre|ha coperto|ha invaso) la strada",
                    "la strada è finita sott'acqua",
                    "è stato segnalato un allagamento",
                ],
            ),
            (
                Reason::Event,
                &[
                    "(il motivo|la causa) è un evento [pubblico] [in corso]",
                    "lungo la strada (si svolge|si tiene|è in corso) un evento",
                    "la strada ospita [ora] un evento",
                    "la strada è riservata a un evento",
                    "[ora] è in corso un evento pubblico",
                ],
            ),
            (
                Reason::Fog,
                &[
                    "(il motivo|la causa) è la nebbia",
                    "c'è [ora] nebbia sulla strada",
                    "sulla strada è scesa la nebbia",
                    "quel tratto è (avvolto|immerso) nella nebbia",
                ],
            ),
            (
                Reason::Ice,
                &[
                    "(il motivo|la causa) è il ghiaccio [sulla strada]",
                    "la strada è [ora] (ghiacciata|gelata)",
                    "sulla strada (c'è|si è formato) [del] ghiaccio",
                    "il fondo [stradale] è ghiacciato",
                ],
            ),
            (
                Reason::Snow,
                &[
                    "(il motivo|la causa) è la neve",
                    "c'è [ora] neve sulla strada",
                    "la neve copre (la strada|quel tratto)",
                    "la strada è [ora] (innevata|coperta di neve)",
                    "sulla strada è caduta [della] neve",
                    "in quel tratto ha nevicato",
                ],
            ),
            (
                Reason::Wind,
                &[
                    "(il motivo|la causa) è il ([forte] vento|vento forte) [sulla strada]",
                    "(sulla strada|in quel tratto) soffia un vento forte",
                    "il vento soffia [ora] forte",
                    "ci sono [forti] raffiche di vento",
                    "la strada è battuta dal vento",
                    "forti raffiche colpiscono quel tratto",
                    "il tratto è esposto al vento",
                ],
            ),
        ],
        since: &["[è così|[la situazione] dura|va avanti così] dalle {since}"],
        until: &[
            "[durerà] fino alle {until} [circa]",
            "la strada riaprirà verso le {until}",
            "la riapertura è prevista per le {until}",
            "la riapertura è attesa verso le {until}",
            "si prevede di riaprire (alle|verso le) {until}",
            "dalle {since} fino alle {until} [circa]",
            "dura dalle {since} e dovrebbe finire verso le {until}",
            "è così dalle {since} e si prevede fino alle {until}",
        ],
        delay: &[
            "il ritardo [previsto|attuale|@usual] è di [circa] {delay}",
            "[c'è un|si prevede un|si accumula un] ritardo di [circa] {delay}",
            "[@usual] si perdono [circa] {delay}",
            "il viaggio si allunga di [circa] {delay}",
            "chi passa di lì perde [circa] {delay}",
            "il percorso abituale richiede [circa] {delay} in più",
            "il tempo perso è di [circa] {delay}",
        ],
        also_closed: &[
            "inoltre (c'è|è in vigore) una chiusura in {also_closed}",
            "inoltre in {also_closed} la strada è [ora] chiusa [al traffico]",
            "si segnala una chiusura in {also_closed}",
            "il passaggio da {also_closed} è [ora] chiuso",
        ],
        also_queue: &[
            "(ci sono|si segnalano) code anche in {also_queue}",
            "anche in {also_queue} (ci sono code|si è formata una coda|il traffico è in coda)",
            "inoltre il traffico è in coda in {also_queue}",
            "inoltre in {also_queue} ci sono veicoli in coda",
            "chi passa da {also_queue} trova coda",
        ],
        advice: &[
            "[@lead] @choose @other",
            "(si consiglia|è preferibile) @other",
            "è (consigliata un'altra strada|consigliato un altro percorso)",
            "@other è la scelta migliore",
            "[conviene|meglio] cambiare (strada|percorso)",
            "@turning",
            "@crossing [,] per {dest} [,] @go {turn}",
            "(@crossing @go {turn}|@go {turn} @crossing) per {dest}",
            "arrivati @crossing , @go {turn}",
            "[per {dest}] @turning",
            "[per {dest}] @way va {turn} @crossing",
            "@crossing @way va {turn}",
            "[per {dest}] [@lead] @take @road",
            "[per {dest}] [@lead] passare da {via} [e poi da {then}]",
            "[per {dest}] @way (è|passa per) {via} [, poi {then}]",
            "[per {dest}] (@turning|@go {turn}) (e|, [poi]) @take @road",
            "[per {dest}] (@turning|@go {turn}) verso {via}",
            "@way va {turn} @crossing e segue {via} [, poi {then}]",
        ],
        saving: &[
            "[così] si (risparmiano|guadagnano) [circa] {saving}",
            "(il risparmio|il tempo risparmiato|il guadagno di tempo) è di [circa] {saving}",
            "risparmio di [circa] {saving}",
            "[in questo modo] si arriva [circa] {saving} prima",
            "così il viaggio dura [circa] {saving} in meno",
            "il viaggio si accorcia di [circa] {saving}",
            "questo percorso fa risparmiare [circa] {saving}",
            "questo percorso è più veloce di [circa] {saving}",
        ],
    },
};
