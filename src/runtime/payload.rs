//! Directions and status as they go out (wire.md, "Out", version 1).

use serde_json::{Map, Value, json};

use super::speak::Said;
use crate::domain::direction::{Audience, Direction, DirectionState, Second};
use crate::domain::network::{Network, SegmentId};
use crate::domain::wording::{Problem, Voice, Wording};

/// What a direction's payload says beside its facts.
pub(super) struct Words<'a> {
    /// In the order of the site's languages, those left out in which nothing may be said; empty when
    /// the direction is withdrawn.
    pub said: &'a [Said],
    /// How each of them is spoken; none where nobody asked for it.
    pub voices: &'a [Option<Voice>],
}

/// What every `why` names: which pipeline decided, on which network.
pub(super) struct Origin<'a> {
    pub pipeline: &'a str,
    pub pipeline_hash: &'a str,
    pub network_hash: &'a str,
}

/// The payload of one direction. Members stand in the order of wire.md, so the same facts give the
/// same bytes.
pub(super) fn direction(
    network: &Network,
    direction: &Direction,
    words: &Words<'_>,
    origin: &Origin<'_>,
) -> Value {
    let names = |ids: &[SegmentId]| -> Value {
        ids.iter().map(|id| network.segment(*id).name.as_str()).collect::<Vec<_>>().into()
    };
    let mut body = Map::new();
    let mut put = |key: &str, value: Value| {
        body.insert(key.to_owned(), value);
    };
    put("v", json!(1));
    put("direction_id", json!(direction.id));
    put("revision", json!(direction.revision));
    put("ts", json!(direction.ts));
    put("valid_until", json!(direction.valid_until));
    put("state", json!(direction.state));
    if let Audience::Sign(sign) = &direction.audience {
        put("sign_id", json!(network.sign(*sign).name));
    }
    put("cause", json!(direction.cause));
    put("strength", json!(Problem::of(direction.cause, direction.level).strength()));
    let told = direction.announced;
    if let Some(reason) = told.reason {
        put("reason", json!(reason));
    }
    if let Some(lanes) = told.lanes {
        put("lanes_closed", json!(lanes));
    }
    if let Some(since) = told.since {
        put("since", json!(since));
    }
    if let Some(until) = told.until {
        put("until", json!(until));
    }
    put("avoid_edges", names(&direction.avoid));
    put("via_edges", names(&direction.via));
    if matches!(direction.audience, Audience::Area { .. }) {
        put("applies_on_edges", names(&direction.applies_on));
    }
    if direction.state == DirectionState::Show {
        let first = words.said.first();
        put("text", json!(first.map_or(&[][..], |said| said.wording.text.as_slice())));
        if let Some(second) = first.and_then(|said| said.wording.second_page) {
            put("second_page", json!(second));
        }
        if let Some(multi) = first.and_then(|said| said.multi.as_ref()) {
            put("multi", json!(multi));
        }
        let spoken = words.said.iter().zip(words.voices);
        put("words", spoken.map(|(said, voice)| words_of(&said.wording, voice.as_ref())).collect());
        if let Some(level) = direction.level {
            put("level", json!(level.word()));
        }
        if let Some(Second { cause, segment }) = direction.second {
            put("second", json!({"cause": cause, "edge": network.segment(segment).name}));
        }
        if let Some(delay) = direction.delay_s {
            put("delay_s", json!(delay));
        }
        if let Some(saving) = direction.saving_s {
            put("saving_s", json!(saving));
        }
        if let Some(place) = direction.destination.and_then(|at| network.places.get(at)) {
            put("destination", json!(place.name));
        }
        if let Some(turn) = direction.turn {
            put("turn", json!(turn.word()));
        }
    }
    put("why", why(direction, words, origin));
    Value::Object(body)
}

fn why(direction: &Direction, words: &Words<'_>, origin: &Origin<'_>) -> Value {
    let mut why = match serde_json::to_value(&direction.evidence) {
        Ok(Value::Object(map)) => map,
        // `Evidence` holds strings and numbers only.
        _ => Map::new(),
    };
    if direction.state == DirectionState::Show {
        let writers: Map<String, Value> = words
            .said
            .iter()
            .map(|said| &said.wording)
            .map(|w| (w.language.code().to_owned(), json!(w.writer)))
            .collect();
        why.insert("writers".to_owned(), Value::Object(writers));
        let by_language = |of: fn(&Said) -> Value| -> Value {
            let each = words.said.iter();
            each.map(|said| (said.wording.language.code().to_owned(), of(said))).collect()
        };
        why.insert("clauses".to_owned(), by_language(|said| json!(said.clauses)));
        why.insert("asked".to_owned(), by_language(asked));
        let revises = words.said.iter().filter(|said| said.revises);
        let revises: Vec<&str> = revises.map(|said| said.wording.language.code()).collect();
        if !revises.is_empty() {
            why.insert("revises".to_owned(), json!(revises));
        }
        let asked = words.said.iter().find_map(|said| said.asked.as_ref());
        why.insert("space".to_owned(), json!(asked.map(|request| request.space)));
    }
    why.insert("pipeline".to_owned(), json!(short(origin.pipeline, origin.pipeline_hash)));
    why.insert("network".to_owned(), json!(short_hash(origin.network_hash)));
    Value::Object(why)
}

/// What a writer was asked: slots with what fills them, those that had to be said with `!`.
fn asked(said: &Said) -> Value {
    let facts = said.asked.iter().flat_map(|request| &request.slots).map(|fact| {
        let must = if fact.required { "!" } else { "" };
        (format!("{}{must}", fact.slot), json!(fact.text))
    });
    Value::Object(facts.collect())
}

/// `name@` and the first 12 hex digits: enough to tell versions apart by eye.
pub(super) fn short(name: &str, hash: &str) -> String {
    format!("{name}@{}", short_hash(hash))
}

fn short_hash(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

fn words_of(wording: &Wording, voice: Option<&Voice>) -> Value {
    let mut words = json!({"lang": wording.language, "text": wording.text});
    if let Some(second) = wording.second_page {
        words["second_page"] = json!(second);
    }
    if let Some(Voice { say, ssml }) = voice {
        words["say"] = json!(say);
        words["ssml"] = json!(ssml);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::closure::{Announced, Reason};
    use crate::domain::direction::{Cause, Evidence};
    use crate::domain::network::testing::grid;
    use crate::domain::time::Timestamp;

    #[test]
    fn a_reason_stands_beside_its_cause_and_only_where_there_is_one() {
        let network = grid(2, 2).build();
        let payload = |reason| {
            let given = Direction {
                id: "d-0001".to_owned(),
                revision: 1,
                ts: Timestamp::default(),
                valid_until: Timestamp::default(),
                state: DirectionState::Show,
                audience: Audience::Area { tile: "1".to_owned(), part: "a".to_owned() },
                cause: Cause::Closure,
                announced: Announced { reason, ..Announced::default() },
                level: None,
                avoid: vec![SegmentId(0)],
                closed: Vec::new(),
                via: Vec::new(),
                way: Vec::new(),
                applies_on: Vec::new(),
                turn: None,
                destination: None,
                second: None,
                delay_s: None,
                saving_s: None,
                evidence: Evidence::default(),
            };
            let origin = Origin { pipeline: "p", pipeline_hash: "", network_hash: "" };
            direction(&network, &given, &Words { said: &[], voices: &[] }, &origin)
        };
        let with = payload(Some(Reason::Roadworks));
        assert_eq!((&with["cause"], &with["reason"]), (&json!("closure"), &json!("roadworks")));
        let mut without = with;
        without.as_object_mut().unwrap().remove("reason");
        assert_eq!(payload(None), without);
    }
}
