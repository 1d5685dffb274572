//! The retained status message: birth, health and what became of everything so far.

use serde_json::{Value, json};

use super::engine::Engine;
use super::payload::short;
use crate::domain::time::Timestamp;
use crate::ports::Publication;

/// What the broker publishes for us when we are gone without a word.
pub fn last_will() -> Value {
    json!({"v": 1, "state": "offline"})
}

/// Status number `seq`: `state` is `online` or, at an orderly end, `stopped`. `around` has
/// what connection, journal and archive count about themselves.
pub(super) fn publication(
    engine: &Engine,
    state: &str,
    seq: u64,
    now: Timestamp,
    around: Value,
) -> Publication {
    let plan = engine.plan();
    let counts = engine.counts();
    let (found, lasting) = engine.incidents_detected();
    let watermarks: serde_json::Map<String, Value> = engine
        .watermarks()
        .into_iter()
        .map(|(source, watermark)| (source.to_owned(), json!(watermark)))
        .collect();
    let mut payload = json!({
        "v": 1,
        "state": state,
        "seq": seq,
        "ts": now,
        "version": env!("CARGO_PKG_VERSION"),
        "site": plan.site,
        "pipeline": short(&plan.name, &plan.hash),
        "network": short(&plan.network.city, &plan.network.hash),
        "writer": engine.model(),
        "messages": counts.all,
        "dead": counts.dead(),
        "sources": counts.sources,
        "unremembered": counts.unremembered,
        "unfollowed": counts.unfollowed,
        "windows": engine.windows_so_far(),
        "directions": counts.directions(),
        "incidents": {"found": found, "lasting": lasting},
        "guidance": engine.guidance(),
        "watermarks": watermarks,
        "clock_steps": counts.clock_steps,
    });
    if let (Value::Object(payload), Value::Object(around)) = (&mut payload, around) {
        payload.extend(around);
    }
    Publication {
        ts: now,
        topic: plan.status_topic.clone(),
        payload: payload.into(),
        qos: 1,
        retain: true,
        expiry: None,
    }
}
