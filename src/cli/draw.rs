//! A direction drawn in a terminal: the sign's face, the languages, and why.

use std::fmt::Write;

use serde_json::Value;

/// One direction's payload as lines for a person. `topic` names whom it addresses.
pub(super) fn direction(topic: &str, payload: &Value) -> String {
    let text = |key: &str| payload[key].as_str().unwrap_or_default();
    let whom = topic.rsplit_once("/direction/").map_or(topic, |(_, rest)| rest);
    let time = text("ts").get(11..19).unwrap_or_default().to_owned();
    let mut out = String::new();
    let head = format!("{time}  {whom}  {} r{}", text("direction_id"), payload["revision"]);
    if text("state") == "clear" {
        line(&mut out, &format!("{head}  withdrawn"));
        return out;
    }
    line(&mut out, &head);
    let rows = strings(&payload["text"]);
    if payload["sign_id"].is_string() {
        let width = rows.iter().map(|row| row.chars().count()).max().unwrap_or(0);
        line(&mut out, &format!("    ┌{}┐", "─".repeat(width + 2)));
        for row in &rows {
            line(&mut out, &format!("    │ {row:^width$} │"));
        }
        line(&mut out, &format!("    └{}┘", "─".repeat(width + 2)));
    }
    for words in payload["words"].as_array().into_iter().flatten() {
        let lang = words["lang"].as_str().unwrap_or("?");
        let writer = payload["why"]["writers"][lang].as_str().unwrap_or("?");
        line(
            &mut out,
            &format!("    {lang}: {}   [{writer}]", strings(&words["text"]).join(" / ")),
        );
    }
    let why = &payload["why"];
    let rests: Vec<String> =
        ["events", "windows", "rules"].iter().flat_map(|key| strings(&why[*key])).collect();
    line(&mut out, &format!("    why: {} — {}", text("cause"), rests.join(", ")));
    for way in why["ways"].as_array().into_iter().flatten() {
        let verdict = way["verdict"].as_str().unwrap_or("?");
        let edges = strings(&way["edges"]);
        line(
            &mut out,
            &format!("    {verdict}: {} s over {} segments", way["travel_time_s"], edges.len()),
        );
    }
    out
}

fn line(out: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _infallible = writeln!(out, "{text}");
}

fn strings(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn draws_a_sign_and_its_withdrawal() {
        let payload = json!({
            "direction_id": "d-0001", "revision": 1, "ts": "2026-05-12T06:08:01.000Z", "state": "show",
            "sign_id": "vms_1", "cause": "closure", "text": ["VIA ROMA", "CHIUSA"],
            "words": [{"lang": "it", "text": ["VIA ROMA", "CHIUSA"]}],
            "why": {"events": ["incident-1"], "rules": ["closure_upstream"], "writers": {"it": "template"}},
        });
        let drawn = direction("wayside/v1/demo/direction/sign/vms_1", &payload);
        insta::assert_snapshot!(drawn, @r"
        06:08:01  sign/vms_1  d-0001 r1
            ┌──────────┐
            │ VIA ROMA │
            │  CHIUSA  │
            └──────────┘
            it: VIA ROMA / CHIUSA   [template]
            why: closure — incident-1, closure_upstream
        ");
        let clear = json!({"direction_id": "d-0001", "revision": 2, "ts": "2026-05-12T06:20:01.000Z", "state": "clear"});
        assert_eq!(
            direction("x/direction/sign/vms_1", &clear),
            "06:20:01  sign/vms_1  d-0001 r2  withdrawn\n"
        );
    }
}
