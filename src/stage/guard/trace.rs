//! Which facts each clause of a text rests on, as a reader of the text finds them.
//!
//! Not told by whoever wrote it: the text is read by the guard's own grammar, and what is found is
//! named by the members of the direction's payload. So the trace is exact, or there is none.

use serde::{Deserialize, Serialize};

use super::grammar::{Grammar, Reading};
use super::names::Names;
use super::token::{said, tokens};
use crate::domain::wording::{Problem, Slot, Wording};

/// A clause and the members of the direction that it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traced {
    /// The clause as it stands, rows of a sign on one line.
    pub text: String,
    /// Members of the payload, in the order of the clause: `cause`, `avoid_edges`, `delay_s`, ...
    pub from: Vec<String>,
}

/// The clauses of a text that the guard has let pass; empty when it cannot be read.
pub(super) fn trace(names: &Names, grammar: &Grammar, wording: &Wording) -> Vec<Traced> {
    let tokens = tokens(wording.text.iter().map(String::as_str));
    let occurrences = names.occurrences(&tokens);
    let readings = grammar.read(&tokens, &occurrences);
    let Some(reading) = readings.all.first() else { return Vec::new() };
    let ends = reading.starts.iter().skip(1).copied().chain([tokens.len()]);
    let clauses = reading.starts.iter().copied().zip(ends).enumerate();
    clauses
        .map(|(nth, (start, end))| Traced {
            text: said(tokens.get(start..end).unwrap_or_default()),
            from: members(reading, nth, start, end).into_iter().map(str::to_owned).collect(),
        })
        .collect()
}

fn members(reading: &Reading, nth: usize, start: usize, end: usize) -> Vec<&'static str> {
    let mut members = match nth {
        0 if matches!(reading.problem, Problem::RoadClosed | Problem::Incident) => vec!["cause"],
        0 => vec!["cause", "level"],
        _ => Vec::new(),
    };
    let inside = reading.mentions.iter().filter(|m| (start..end).contains(&m.start));
    // Before the advice all clauses but this one hold a fact.
    if nth > 0 && end <= reading.advice && inside.clone().next().is_none() {
        members.push("reason");
    }
    for member in inside.map(|mention| member(mention.slot)) {
        if !members.contains(&member) {
            members.push(member);
        }
    }
    if members.is_empty() {
        // "Take another way": than over what is to be avoided.
        members.push("avoid_edges");
    }
    members
}

fn member(slot: Slot) -> &'static str {
    match slot {
        Slot::Closed | Slot::Between0 | Slot::Between1 => "avoid_edges",
        Slot::Via0 | Slot::Via1 => "via_edges",
        Slot::Dest => "destination",
        Slot::Delay => "delay_s",
        Slot::Saving => "saving_s",
        Slot::Turn => "turn",
        Slot::Until => "until",
        Slot::Since => "since",
        Slot::Lanes => "lanes_closed",
        Slot::AlsoClosed | Slot::AlsoQueue => "second",
    }
}
