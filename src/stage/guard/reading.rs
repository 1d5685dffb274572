//! What a text says against what it was asked to say.

use super::grammar::{Grammar, MOST, Mention, Reading, Readings};
use super::names::{Names, Occurrence};
use super::objection::{Objection, Place, Rules};
use super::phrases::tongue;
use super::token::{Token, said, same_folded, tokens};
use crate::domain::wording::{Slot, Space, Strength, Wording, WordingRequest};

/// A slot of the request, cut as the text is.
#[derive(Debug)]
pub(super) struct Fact<'r> {
    slot: Slot,
    text: &'r str,
    tokens: Vec<Token<'r>>,
    required: bool,
}

/// The request's facts, if they can be told apart and their names are the network's.
pub(super) fn facts<'r>(
    rules: &Rules,
    names: &Names,
    request: &'r WordingRequest,
) -> Result<Vec<Fact<'r>>, Objection> {
    let mut facts: Vec<Fact<'r>> = Vec::with_capacity(request.slots.len());
    for asked in &request.slots {
        let text = asked.text.as_str();
        let fact =
            Fact { slot: asked.slot, text, tokens: tokens([text]), required: asked.required };
        let slot = fact.slot;
        if facts.iter().any(|other| other.slot == slot) {
            rules.object(Objection::SlotTwice { slot })?;
        }
        let known = match slot {
            Slot::Dest => names.is_place(&fact.tokens),
            _ if is_name(slot) => names.is_street(&fact.tokens),
            _ => true,
        };
        if !known {
            rules.object(Objection::UnknownName { slot, text: text.to_owned() })?;
        }
        let alike = facts
            .iter()
            .find(|other| are_apart(slot, other.slot) && same_folded(&other.tokens, &fact.tokens));
        if let Some(other) = alike {
            let text = text.to_owned();
            rules.object(Objection::Alike { first: other.slot, second: slot, text })?;
        }
        facts.push(fact);
    }
    Ok(facts)
}

fn is_name(slot: Slot) -> bool {
    Slot::NAMES.contains(&slot)
}

/// Whether two facts must have two names. A way may begin with the road at which a closed stretch
/// does: that is where drivers are led off.
fn are_apart(one: Slot, other: Slot) -> bool {
    let ends = |slot| matches!(slot, Slot::Between0 | Slot::Between1);
    let ways = |slot| matches!(slot, Slot::Via0 | Slot::Via1);
    let led_off = (ends(one) && ways(other)) || (ways(one) && ends(other));
    is_name(one) && is_name(other) && !led_off
}

pub(super) fn check(
    rules: &Rules,
    names: &Names,
    grammar: &Grammar,
    request: &WordingRequest,
    facts: &[Fact<'_>],
    wording: &Wording,
) -> Result<(), Objection> {
    let tokens = tokens(wording.text.iter().map(String::as_str));
    let occurrences = names.occurrences(&tokens);
    let readings = grammar.read(&tokens, &occurrences);
    let Some(first) = readings.all.first() else {
        return rules.object(unreadable(grammar, &tokens, &occurrences, &readings));
    };
    let mut reading = first;
    let differs = |other: &Reading| !same_facts(first, other, &tokens);
    if readings.all.iter().any(differs) || readings.all.len() >= MOST {
        rules.object(Objection::Ambiguous { readings: readings.all.len() })?;
        let right = |r: &&Reading| compare(&Rules::default(), request, facts, &tokens, r).is_ok();
        reading = readings.all.iter().find(right).unwrap_or(first);
    }
    if let Some(second) = wording.second_page {
        let begins = |token: &&Token<'_>| token.place.row > usize::from(second);
        let place = tokens.iter().find(begins).map_or(Place { row: 1, column: 1 }, |t| t.place);
        if tokens.get(reading.advice).is_none_or(|token| token.place != place) {
            rules.object(Objection::PageBreak { place })?;
        }
    }
    compare(rules, request, facts, &tokens, reading)?;
    other_names(rules, names, &tokens, &occurrences, reading)?;
    if request.problem.strength() == Strength::Must {
        weighed(rules, &tokens, reading, tongue(request.language).hedges)?;
    }
    match request.space {
        Space::Vehicle { .. } => {
            let nouns = tongue(request.language).nouns;
            sentence_case(rules, &tokens, reading, nouns)
        }
        Space::Sign { .. } => taken_in(rules, reading),
    }
}

/// Whether two readings tell the same, if by other words: on CLOSED, CLOSED it does not matter which
/// one is the street of this name.
fn same_facts(one: &Reading, other: &Reading, tokens: &[Token<'_>]) -> bool {
    one.problem == other.problem
        && one.reason == other.reason
        && one.mentions.len() == other.mentions.len()
        && one.mentions.iter().all(|mention| {
            let words = words_of(tokens, *mention);
            other.mentions.iter().any(|twin| {
                twin.slot == mention.slot && same_folded(words_of(tokens, *twin), words)
            })
        })
}

/// Names the first word that is in no sentence at all, else the one where sentences break off.
fn unreadable(
    grammar: &Grammar,
    tokens: &[Token<'_>],
    occurrences: &[Occurrence],
    readings: &Readings,
) -> Objection {
    let in_a_name = |at: usize| occurrences.iter().any(|o| (o.start..o.end).contains(&at));
    let stranger = tokens.iter().enumerate().find(|(at, t)| !in_a_name(*at) && !grammar.knows(t));
    if let Some((_, token)) = stranger {
        return Objection::Word { place: token.place, said: token.raw.to_owned() };
    }
    match tokens.get(readings.furthest).or(tokens.last()) {
        Some(token) => Objection::Grammar { place: token.place, said: token.raw.to_owned() },
        None => Objection::Grammar { place: Place { row: 1, column: 1 }, said: String::new() },
    }
}

/// Exactly the problem, every required fact, and each as it should be. That none comes twice is in
/// the grammar: a slot stands in one kind of clause, once.
fn compare(
    rules: &Rules,
    request: &WordingRequest,
    facts: &[Fact<'_>],
    tokens: &[Token<'_>],
    reading: &Reading,
) -> Result<(), Objection> {
    if reading.problem != request.problem {
        let (said, fact) = (reading.problem, request.problem);
        rules.object(Objection::Problem { said, fact })?;
    }
    if let Some(said) = reading.reason.filter(|said| request.reason != Some(*said)) {
        rules.object(Objection::Reason { said, fact: request.reason })?;
    }
    for mention in &reading.mentions {
        let words = words_of(tokens, *mention);
        let (slot, place) = (mention.slot, place_of(words));
        let fact = facts.iter().find(|fact| fact.slot == slot);
        match fact.filter(|fact| same_folded(&fact.tokens, words)) {
            None => {
                let fact = fact.map(|fact| fact.text.to_owned());
                rules.object(Objection::Fact { slot, place, said: said(words), fact })?;
            }
            Some(fact) => {
                let begins = reading.starts.contains(&mention.start);
                if !is_spelt(words, &fact.tokens, begins) {
                    let fact = fact.text.to_owned();
                    rules.object(Objection::Spelling { slot, place, said: said(words), fact })?;
                }
            }
        }
    }
    for fact in facts.iter().filter(|fact| fact.required) {
        if !reading.mentions.iter().any(|mention| mention.slot == fact.slot) {
            let (slot, fact) = (fact.slot, fact.text.to_owned());
            rules.object(Objection::Missing { slot, fact })?;
        }
    }
    Ok(())
}

/// A name that reaches over the edge of one that was meant is what a reader will see instead: the
/// longest name counts. And words that happen to spell a whole name of several words name it,
/// whatever they were meant for. A single word that is also a name (a street called Left) is the
/// word: the grammar has found no other reading, and no text could do without such words.
fn other_names(
    rules: &Rules,
    names: &Names,
    tokens: &[Token<'_>],
    occurrences: &[Occurrence],
    reading: &Reading,
) -> Result<(), Objection> {
    for name in occurrences {
        let mut meant = false;
        for mention in reading.mentions.iter().filter(|mention| is_name(mention.slot)) {
            let inside = mention.start <= name.start && name.end <= mention.end;
            let beside = name.end <= mention.start || mention.end <= name.start;
            meant |= inside;
            if !inside && !beside {
                let words = words_of(tokens, *mention);
                let name = names.spelt(*name).to_owned();
                let (place, said) = (place_of(words), said(words));
                rules.object(Objection::LongerName { place, said, name })?;
                meant = true;
            }
        }
        if !meant && name.end - name.start > 1 {
            let words = tokens.get(name.start..name.end).unwrap_or_default();
            let name = names.spelt(*name).to_owned();
            rules.object(Objection::OtherName { place: place_of(words), name })?;
        }
    }
    Ok(())
}

/// The tokens that are of no fact, with their places among all.
fn beside_facts<'t, 's>(
    tokens: &'s [Token<'t>],
    reading: &'s Reading,
) -> impl Iterator<Item = (usize, &'s Token<'t>)> {
    let in_a_fact = |at| reading.mentions.iter().any(|m| (m.start..m.end).contains(&at));
    tokens.iter().enumerate().filter(move |(at, _)| !in_a_fact(*at))
}

/// Who must leave a road is not told that another one is better.
fn weighed(
    rules: &Rules,
    tokens: &[Token<'_>],
    reading: &Reading,
    hedges: &[&str],
) -> Result<(), Objection> {
    for (_, token) in beside_facts(tokens, reading).filter(|(at, _)| *at >= reading.advice) {
        if hedges.contains(&token.raw.to_lowercase().as_str()) {
            let said = token.raw.to_owned();
            rules.object(Objection::Weighed { place: token.place, said })?;
        }
    }
    Ok(())
}

/// The problem, where it is or may be, what to do and one thing more: what a driver takes in while he
/// passes a sign.
const TAKEN_IN: usize = 4;

/// A problem, a reason, and each fact is one thing to take in, as advice is that has none; a stretch is
/// one by both its ends.
fn taken_in(rules: &Rules, reading: &Reading) -> Result<(), Objection> {
    let after_advice = reading.starts.iter().find(|start| **start > reading.advice);
    let advice = reading.advice..after_advice.copied().unwrap_or(usize::MAX);
    let names_nothing = !reading.mentions.iter().any(|mention| advice.contains(&mention.start));
    let facts = reading.mentions.iter().filter(|mention| mention.slot != Slot::Between1).count();
    let reason = usize::from(reading.reason.is_some());
    let found = 1 + reason + facts + usize::from(names_nothing);
    if found > TAKEN_IN {
        rules.object(Objection::Units { room: TAKEN_IN, found })?;
    }
    Ok(())
}

/// In vehicles: a capital at a sentence's start and of a noun where the language has it so, else small
/// letters. Facts have their own spelling.
fn sentence_case(
    rules: &Rules,
    tokens: &[Token<'_>],
    reading: &Reading,
    nouns: &[&str],
) -> Result<(), Objection> {
    for (at, token) in beside_facts(tokens, reading) {
        let raised =
            reading.starts.contains(&at) || nouns.contains(&token.raw.to_lowercase().as_str());
        let mut rest = token.raw.chars();
        let begun = !raised || rest.next().is_none_or(|c| !c.is_lowercase());
        let right = begun && !rest.any(char::is_uppercase);
        if !right {
            let said = token.raw.to_owned();
            rules.object(Objection::Case { place: token.place, said })?;
        }
    }
    Ok(())
}

/// Letter by letter; a fact that begins a sentence may have its first letter raised.
fn is_spelt(words: &[Token<'_>], fact: &[Token<'_>], begins: bool) -> bool {
    words.len() == fact.len()
        && words.iter().zip(fact).enumerate().all(|(at, (word, fact))| {
            word.raw == fact.raw || (begins && at == 0 && is_raised(word.raw, fact.raw))
        })
}

fn is_raised(word: &str, fact: &str) -> bool {
    let mut fact = fact.chars();
    let raised = fact.next().map(char::to_uppercase);
    raised.into_iter().flatten().chain(fact).eq(word.chars())
}

fn words_of<'t, 's>(tokens: &'s [Token<'t>], mention: Mention) -> &'s [Token<'t>] {
    tokens.get(mention.start..mention.end).unwrap_or_default()
}

fn place_of(words: &[Token<'_>]) -> Place {
    words.first().map_or(Place { row: 1, column: 1 }, |token| token.place)
}
