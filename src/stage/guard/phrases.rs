//! How the grammars are written down.
//!
//! Pattern notation: words; `{closed}` and the like for facts; `(a|b)` one of these; `[a]` with or
//! without; `@part` a part named further up in the list; `~word` a word that may not begin a row.
//! What is malformed can only refuse.

use super::{de, en, es, fr, it};
use crate::domain::closure::Reason;
use crate::domain::wording::{Language, Problem, Slot};

/// What a language has to say, for the two kinds of space.
#[derive(Debug)]
pub(super) struct Tongue {
    pub sign: Phrases,
    pub vehicle: Phrases,
    /// The turn words; each may have several words.
    pub turns: &'static [&'static str],
    /// What may stand behind a number: all mean minutes.
    pub units: &'static [&'static str],
    /// One lane, and more than one.
    pub lanes: [&'static str; 2],
    /// Letters beside a to z.
    pub letters: &'static str,
    /// Words that weigh one way against another, or leave it to the driver: a closed road is no choice.
    pub hedges: &'static [&'static str],
    /// Words of vehicle texts that begin with a capital wherever they stand.
    pub nouns: &'static [&'static str],
}

/// Patterns of the clauses.
#[derive(Debug)]
pub(super) struct Phrases {
    pub parts: &'static [(&'static str, &'static str)],
    pub problem: &'static [(Problem, &'static [&'static str])],
    /// Between which roads a closed one is closed.
    pub between: &'static [&'static str],
    /// How many lanes are shut.
    pub lanes: &'static [&'static str],
    /// Why a road is closed, or lanes are shut.
    pub reason: &'static [(Reason, &'static [&'static str])],
    /// Since when a road is closed, or lanes are shut.
    pub since: &'static [&'static str],
    /// When a closed road is planned to open again; may say since when it is closed.
    pub until: &'static [&'static str],
    pub delay: &'static [&'static str],
    /// Another road that is closed.
    pub also_closed: &'static [&'static str],
    /// Another road on which traffic queues.
    pub also_queue: &'static [&'static str],
    pub advice: &'static [&'static str],
    pub saving: &'static [&'static str],
}

pub(super) fn tongue(language: Language) -> &'static Tongue {
    match language {
        Language::En => &en::TONGUE,
        Language::It => &it::TONGUE,
        Language::De => &de::TONGUE,
        Language::Fr => &fr::TONGUE,
        Language::Es => &es::TONGUE,
    }
}

pub(super) fn slot_of(item: &str) -> Option<Slot> {
    match item {
        "{closed}" => Some(Slot::Closed),
        "{via}" => Some(Slot::Via0),
        "{then}" => Some(Slot::Via1),
        "{dest}" => Some(Slot::Dest),
        "{delay}" => Some(Slot::Delay),
        "{saving}" => Some(Slot::Saving),
        "{turn}" => Some(Slot::Turn),
        "{until}" => Some(Slot::Until),
        "{between}" => Some(Slot::Between0),
        "{and}" => Some(Slot::Between1),
        "{lanes}" => Some(Slot::Lanes),
        "{since}" => Some(Slot::Since),
        "{also_closed}" => Some(Slot::AlsoClosed),
        "{also_queue}" => Some(Slot::AlsoQueue),
        _ => None,
    }
}

/// All sentences of a pattern. A part may use only parts above it, so this ends.
pub(super) fn expand(pattern: &str, parts: &[(&str, &str)]) -> Vec<Vec<String>> {
    let mut spaced = String::with_capacity(pattern.len() * 2);
    for character in pattern.chars() {
        if "()[]|".contains(character) {
            spaced.extend([' ', character, ' ']);
        } else {
            spaced.push(character);
        }
    }
    choices(&mut spaced.split_whitespace(), parts)
}

/// The choices up to the closing bracket or the end.
fn choices<'p>(
    items: &mut impl Iterator<Item = &'p str>,
    parts: &[(&str, &str)],
) -> Vec<Vec<String>> {
    let mut done = Vec::new();
    let mut open = vec![Vec::new()];
    while let Some(item) = items.next() {
        let tails = match item {
            "(" => choices(&mut *items, parts),
            "[" => {
                let mut tails = choices(&mut *items, parts);
                tails.push(Vec::new());
                tails
            }
            ")" | "]" => break,
            "|" => {
                done.append(&mut open);
                open.push(Vec::new());
                continue;
            }
            word => match parts.iter().position(|(name, _)| word.strip_prefix('@') == Some(name)) {
                Some(at) => expand(parts[at].1, &parts[..at]),
                None => vec![vec![word.to_owned()]],
            },
        };
        open = open
            .iter()
            .flat_map(|head| tails.iter().map(move |tail| [head.as_slice(), tail].concat()))
            .collect();
    }
    done.append(&mut open);
    done
}

#[cfg(test)]
mod tests {
    use super::super::token::is_mark;
    use super::*;

    fn sentences(pattern: &str) -> Vec<String> {
        let parts = [("where", "ahead|here"), ("end", "far @where")];
        expand(pattern, &parts).iter().map(|words| words.join(" ")).collect()
    }

    #[test]
    fn expands_choices_options_and_parts() {
        assert_eq!(
            sentences("road (closed|shut [now])"),
            ["road closed", "road shut now", "road shut"]
        );
        assert_eq!(sentences("go @end"), ["go far ahead", "go far here"]);
        assert_eq!(sentences("a|b c"), ["a", "b c"]);
    }

    /// What is malformed must not become a sentence that texts can be made of.
    #[test]
    fn patterns_are_well_formed() {
        for language in Language::ALL {
            let tongue = tongue(language);
            for phrases in [&tongue.sign, &tongue.vehicle] {
                let problems = phrases.problem.iter().flat_map(|(_, patterns)| *patterns);
                let reasons = phrases.reason.iter().flat_map(|(_, patterns)| *patterns);
                let others = [
                    phrases.between,
                    phrases.lanes,
                    phrases.since,
                    phrases.until,
                    phrases.delay,
                    phrases.also_closed,
                    phrases.also_queue,
                    phrases.advice,
                    phrases.saving,
                ];
                for pattern in problems.chain(reasons).chain(others.into_iter().flatten()) {
                    let count = |mark| pattern.matches(mark).count();
                    assert_eq!(count('('), count(')'), "{pattern}");
                    assert_eq!(count('['), count(']'), "{pattern}");
                    for sentence in expand(pattern, phrases.parts) {
                        assert!(!sentence.is_empty(), "{pattern}");
                        for item in sentence {
                            let word = item.strip_prefix('~').unwrap_or(&item);
                            let plain = word
                                .chars()
                                .all(|c| c.is_lowercase() || c == '\'' || is_mark(&item));
                            let right = plain && !word.is_empty();
                            assert!(right || slot_of(&item).is_some(), "{pattern}: {item}");
                        }
                    }
                }
            }
        }
    }

    /// So no text says a fact twice, or a fact of one clause in another one.
    #[test]
    fn every_slot_stands_in_one_kind_of_clause_once() {
        for language in Language::ALL {
            for phrases in [&tongue(language).sign, &tongue(language).vehicle] {
                let problems = phrases.problem.iter().flat_map(|(_, patterns)| *patterns);
                let reasons = phrases.reason.iter().flat_map(|(_, patterns)| *patterns);
                let clauses: [(&[Slot], Vec<&str>); 11] = [
                    (&[Slot::Closed], problems.copied().collect()),
                    (&[Slot::Between0, Slot::Between1], phrases.between.to_vec()),
                    (&[Slot::Lanes], phrases.lanes.to_vec()),
                    (&[], reasons.copied().collect()),
                    // Of these two a text has one.
                    (&[Slot::Since], phrases.since.to_vec()),
                    (&[Slot::Since, Slot::Until], phrases.until.to_vec()),
                    (&[Slot::Delay], phrases.delay.to_vec()),
                    // Of these two as well.
                    (&[Slot::AlsoClosed], phrases.also_closed.to_vec()),
                    (&[Slot::AlsoQueue], phrases.also_queue.to_vec()),
                    (&[Slot::Via0, Slot::Via1, Slot::Dest, Slot::Turn], phrases.advice.to_vec()),
                    (&[Slot::Saving], phrases.saving.to_vec()),
                ];
                for (slots, patterns) in clauses {
                    for sentence in patterns.iter().flat_map(|p| expand(p, phrases.parts)) {
                        let said: Vec<Slot> =
                            sentence.iter().filter_map(|item| slot_of(item)).collect();
                        let once = said.iter().enumerate().all(|(i, s)| !said[..i].contains(s));
                        assert!(once && said.iter().all(|s| slots.contains(s)), "{sentence:?}");
                        let second = said.contains(&Slot::Via1);
                        assert!(!second || said.contains(&Slot::Via0), "{sentence:?}");
                        let ends = [Slot::Between0, Slot::Between1].map(|end| said.contains(&end));
                        assert!(ends[0] == ends[1], "{sentence:?}");
                    }
                }
            }
        }
    }
}
