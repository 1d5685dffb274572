//! `wayside explain`: why a direction says what it says.
//!
//! From its message alone: what each clause rests on, and what the direction rests on. With the
//! model that wrote it also what each fact did to the words.

use std::io::{Read, Write};
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use serde_json::Value;

use super::{Exit, Exits, Failure};
use crate::domain::closure::Reason;
use crate::domain::congestion::CongestionLevel;
use crate::domain::direction::Cause;
use crate::domain::wording::{Language, Problem, Slot, SlotFact, Space, WordingRequest};
use crate::model::influence::{Change, Influence, influence};
use crate::plan::Backend;
use crate::ports::Writer;
use crate::stage::generate;

#[derive(Debug, clap::Args)]
pub(super) struct ExplainArgs {
    /// The direction's message, as it came over MQTT; `-`: from stdin.
    #[arg(default_value = "-")]
    message: PathBuf,
    /// The model that wrote it: also shows what the words would be without each fact.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
}

/// A direction's message is some kilobytes.
const MAX_BYTES: u64 = 1 << 20;

pub(super) fn run(args: &ExplainArgs) -> Result<Exit, Failure> {
    let message = read(args).exits(Exit::Input)?;
    let mut out = std::io::stdout().lock();
    write!(out, "{}", direction(&message))?;
    if let Some(model) = &args.model {
        let (mut writer, about) = crate::model::load_slm(model, Backend::Cpu)
            .map_err(|error| Failure { exit: Exit::Input, error: error.into() })?;
        writeln!(out, "\nwithout one of the facts, by {}:", about.name)?;
        for request in requests(&message).exits(Exit::Input)? {
            let language = request.language.code();
            let wrote = message["why"]["writers"][language].as_str().unwrap_or_default();
            if wrote != writer.name(&request) {
                let own = writer.name(&request);
                writeln!(out, "  {language}: written by {wrote}, not by {own}")?;
                continue;
            }
            let revises = message["why"]["revises"].as_array().into_iter().flatten();
            if revises.filter_map(Value::as_str).any(|revised| revised == language) {
                writeln!(
                    out,
                    "  {language}: kept words of an earlier text; below as if written anew"
                )?;
            }
            match influence(&mut writer, &request) {
                Ok(influences) => write!(out, "{}", influences_of(language, &influences))?,
                Err(error) => writeln!(out, "  {language}: {error}")?,
            }
        }
    }
    Ok(Exit::Done)
}

fn read(args: &ExplainArgs) -> anyhow::Result<Value> {
    let mut bytes = Vec::new();
    let shown = args.message.display();
    if args.message.as_os_str() == "-" {
        std::io::stdin().take(MAX_BYTES + 1).read_to_end(&mut bytes).context("stdin")?;
    } else {
        let file = std::fs::File::open(&args.message).with_context(|| format!("{shown}"))?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).with_context(|| format!("{shown}"))?;
    }
    if bytes.len() as u64 > MAX_BYTES {
        return Err(anyhow!("{shown}: more than {MAX_BYTES} bytes are no direction"));
    }
    let message: Value = serde_json::from_slice(&bytes)
        .with_context(|| format!("{shown} is not a direction's message (JSON, see wire.md)"))?;
    if !message["direction_id"].is_string() || !message["why"].is_object() {
        return Err(anyhow!("{shown} has no `direction_id` or no `why`: it is no direction"));
    }
    Ok(message)
}

/// The explanation that the message itself carries.
fn direction(message: &Value) -> String {
    let mut lines = Vec::new();
    let text = |key: &str| message[key].as_str().unwrap_or("?").to_owned();
    let whom = message["sign_id"].as_str().map_or("vehicles".to_owned(), |s| format!("sign {s}"));
    lines.push(format!(
        "{} r{} for {whom}, {} {}",
        text("direction_id"),
        message["revision"],
        text("state"),
        text("ts")
    ));
    let why = &message["why"];
    for words in message["words"].as_array().into_iter().flatten() {
        let language = words["lang"].as_str().unwrap_or("?");
        let writer = why["writers"][language].as_str().unwrap_or("?");
        lines.push(format!("\n{language}, written by {writer}:"));
        for clause in why["clauses"][language].as_array().into_iter().flatten() {
            let members = clause["from"].as_array().into_iter().flatten();
            let members = members.filter_map(Value::as_str);
            let from: Vec<String> =
                members.map(|member| format!("{member} {}", value(&message[member]))).collect();
            let clause = clause["text"].as_str().unwrap_or("?");
            lines.push(format!("  {clause}\n      from {}", from.join("; ")));
        }
        let asked = why["asked"][language].as_object();
        let said: Vec<&Value> = why["clauses"][language].as_array().into_iter().flatten().collect();
        let unsaid: Vec<String> = asked
            .into_iter()
            .flatten()
            .filter(|(_, fact)| {
                let fact = fact.as_str().unwrap_or_default();
                !said.iter().any(|c| c["text"].as_str().is_some_and(|t| t.contains(fact)))
            })
            .map(|(slot, fact)| format!("{slot} {}", value(fact)))
            .collect();
        if !unsaid.is_empty() {
            lines.push(format!("  left unsaid: {}", unsaid.join(", ")));
        }
    }
    lines.push("\nrests on:".to_owned());
    for key in ["events", "windows", "rules"] {
        if !why[key].is_null() {
            lines.push(format!("  {key}: {}", value(&why[key])));
        }
    }
    for way in why["ways"].as_array().into_iter().flatten() {
        let verdict = way["verdict"].as_str().unwrap_or("?");
        lines.push(format!(
            "  {verdict} way: {} s over {}",
            way["travel_time_s"],
            value(&way["edges"])
        ));
    }
    lines.push(format!(
        "  pipeline {}, network {}",
        value(&why["pipeline"]),
        value(&why["network"])
    ));
    lines.join("\n") + "\n"
}

/// Plain, lists on one line.
fn value(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(self::value).collect::<Vec<_>>().join(", "),
        Value::Null => "(unknown)".to_owned(),
        other => other.to_string(),
    }
}

/// What the writer was asked, a request a language.
fn requests(message: &Value) -> anyhow::Result<Vec<WordingRequest>> {
    let member = |key: &str| message[key].as_str();
    let cause = [Cause::Closure, Cause::Congestion, Cause::Incident]
        .into_iter()
        .find(|cause| Some(cause.word()) == member("cause"))
        .ok_or_else(|| anyhow!("`cause` is unknown"))?;
    let level: Option<CongestionLevel> = serde_json::from_value(message["level"].clone()).ok();
    let id = member("direction_id").unwrap_or_default();
    let space: Space = serde_json::from_value(message["why"]["space"].clone())
        .context("`why.space` does not say for which sign or length the words are")?;
    let asked = message["why"]["asked"].as_object().into_iter().flatten();
    asked
        .map(|(language, slots)| {
            let language: Language = language
                .parse()
                .map_err(|()| anyhow!("`why.asked`: the language `{language}` is unknown"))?;
            let slots = slots.as_object().into_iter().flatten();
            let slots = slots
                .map(|(tag, text)| {
                    let slot = Slot::from_tag(tag.trim_end_matches('!'))
                        .ok_or_else(|| anyhow!("`why.asked`: there is no slot `{tag}`"))?;
                    let text = text.as_str().unwrap_or_default().to_owned();
                    Ok(SlotFact { slot, text, required: tag.ends_with('!') })
                })
                .collect::<anyhow::Result<_>>()?;
            Ok(WordingRequest {
                language,
                problem: Problem::of(cause, level),
                reason: member("reason").and_then(Reason::from_word),
                slots,
                space,
                seed: generate::seed(id, language),
            })
        })
        .collect()
}

fn influences_of(language: &str, influences: &[Influence]) -> String {
    let mut lines = vec![format!("  {language}:")];
    for Influence { without, changes } in influences {
        if changes.is_empty() {
            lines.push(format!("    {without}: the same words"));
        }
        for Change { with, without: instead } in changes {
            let shown = |clause: &Option<String>| {
                clause.as_ref().map_or("nothing".to_owned(), |text| format!("\"{text}\""))
            };
            lines.push(format!("    {without}: {} becomes {}", shown(with), shown(instead)));
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message() -> Value {
        json!({
            "v": 1, "direction_id": "d-0042", "revision": 3, "ts": "2008-11-11T07:20:31.200Z",
            "state": "show", "sign_id": "vms_07", "cause": "closure", "reason": "fog",
            "avoid_edges": ["b1"], "via_edges": ["b38"], "delay_s": 340,
            "words": [{"lang": "en", "text": ["VIA ROMA CLOSED", "FOG", "USE VIA PO"]}],
            "why": {
                "events": ["incident-1"], "rules": ["closure_upstream"],
                "writers": {"en": "template"},
                "clauses": {"en": [
                    {"text": "VIA ROMA CLOSED", "from": ["cause", "avoid_edges"]},
                    {"text": "FOG", "from": ["reason"]},
                    {"text": "USE VIA PO", "from": ["via_edges"]}
                ]},
                "asked": {"en": {"<CLOSED_0>": "VIA ROMA", "<VIA_0>!": "VIA PO", "<DELAY>": "6 MIN"}},
                "space": {"Sign": {"rows": 3, "cols": 18}},
                "pipeline": "bologna@abc", "network": "def"
            }
        })
    }

    #[test]
    fn every_clause_is_shown_with_what_it_rests_on() {
        let shown = direction(&message());
        assert!(
            shown.contains("VIA ROMA CLOSED\n      from cause closure; avoid_edges b1"),
            "{shown}"
        );
        assert!(shown.contains("FOG\n      from reason fog"), "{shown}");
        assert!(shown.contains("left unsaid: <DELAY> 6 MIN"), "{shown}");
        assert!(shown.contains("events: incident-1"), "{shown}");
    }

    #[test]
    fn what_was_asked_comes_back() {
        let requests = requests(&message()).unwrap();
        let [request] = requests.as_slice() else { panic!("{requests:?}") };
        assert_eq!(request.reason, Some(Reason::Fog));
        assert_eq!(request.problem, Problem::RoadClosed);
        assert!(request.slot(Slot::Via0).unwrap().required);
        assert!(!request.slot(Slot::Delay).unwrap().required);
        assert_eq!(request.seed, generate::seed("d-0042", Language::En));

        let mut broken = message();
        broken["why"]["asked"]["en"]["<VIA_9>"] = json!("x");
        assert!(super::requests(&broken).unwrap_err().to_string().contains("<VIA_9>"));
    }
}
