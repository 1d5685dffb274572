//! Puts the facts into a draft.
//!
//! Refuses a draft that is not made of words and offered slots, or that does not fit its space.
//! Whether the words say the right thing is the guard's affair.

use super::phrases::GERMAN_NOUNS;
use super::{showable, width};
use crate::domain::wording::{Draft, Language, Slot, Space, Wording, WordingRequest};

/// What is wrong with a draft. Always the writer's fault; the request goes to the next candidate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FillError {
    #[error("row {row} has a tag that no slot has: {tag}")]
    UnknownTag { row: usize, tag: String },
    #[error("row {row} uses {slot}, which was not offered")]
    NotOffered { row: usize, slot: Slot },
    #[error("{slot} is used more than once")]
    Repeated { slot: Slot },
    #[error("{slot} is required and not used")]
    Missing { slot: Slot },
    #[error("row {row} has {c:?}, which a draft may not hold")]
    Character { row: usize, c: char },
    #[error("row {row} is empty or has stray spaces")]
    Spaces { row: usize },
    #[error("{rows} rows do not fit into {max} a page")]
    Rows { rows: usize, max: usize },
    #[error("row {row} has {chars} characters and {max} fit")]
    Width { row: usize, chars: usize, max: usize },
}

/// The words of a draft: slots replaced by their facts, capitals on signs, sentences of a vehicle
/// text begun with a capital, as German nouns are. `writer` is kept as the author.
pub fn fill(request: &WordingRequest, draft: &Draft, writer: &str) -> Result<Wording, FillError> {
    let (max_rows, max_chars, pages) = match request.space {
        Space::Sign { rows, cols, pages } => (usize::from(rows), usize::from(cols), pages),
        Space::Vehicle { max_chars } => (1, usize::from(max_chars), 1),
    };
    // Two pages where the sign has them, none of them empty.
    let first = draft.second_page.filter(|_| pages > 1).map_or(draft.rows.len(), usize::from);
    for rows in [first, draft.rows.len().saturating_sub(first)] {
        let may_be_none = draft.second_page.is_none() && first > 0;
        if rows > max_rows || (rows == 0 && !may_be_none) {
            return Err(FillError::Rows { rows, max: max_rows });
        }
    }
    let mut used = Vec::new();
    let mut text = Vec::with_capacity(draft.rows.len());
    for (index, row) in draft.rows.iter().enumerate() {
        let number = index + 1;
        let filled = fill_row(request, row, number, &mut used)?;
        if filled.is_empty() || filled.split(' ').any(str::is_empty) {
            return Err(FillError::Spaces { row: number });
        }
        let chars = width(&filled);
        if chars > max_chars {
            return Err(FillError::Width { row: number, chars, max: max_chars });
        }
        text.push(filled);
    }
    if let Some(fact) = request.slots.iter().find(|f| f.required && !used.contains(&f.slot)) {
        return Err(FillError::Missing { slot: fact.slot });
    }
    let (language, second_page) = (request.language, draft.second_page);
    Ok(Wording { language, text, second_page, writer: writer.to_owned() })
}

/// A stretch of a filled row.
#[derive(Debug)]
pub(super) enum Part<'r> {
    Words(String),
    Fact(Slot, &'r str),
}

fn fill_row(
    request: &WordingRequest,
    row: &str,
    number: usize,
    used: &mut Vec<Slot>,
) -> Result<String, FillError> {
    let parts = parts(request, row, number, used)?;
    let text = |part: &Part<'_>| match part {
        Part::Words(words) => words.clone(),
        Part::Fact(_, fact) => (*fact).to_owned(),
    };
    Ok(parts.iter().map(text).collect())
}

pub(super) fn parts<'r>(
    request: &'r WordingRequest,
    row: &str,
    number: usize,
    used: &mut Vec<Slot>,
) -> Result<Vec<Part<'r>>, FillError> {
    let on_sign = matches!(request.space, Space::Sign { .. });
    let mut parts = Vec::new();
    let mut filled = String::new();
    let mut sentence_start = true;
    let mut rest = row;
    while let Some(c) = rest.chars().next() {
        if c == '<' {
            let end = rest.find('>').map_or(rest.len(), |end| end + 1);
            let tag = &rest[..end];
            let slot = Slot::from_tag(tag)
                .ok_or_else(|| FillError::UnknownTag { row: number, tag: tag.to_owned() })?;
            let fact = request.slot(slot).ok_or(FillError::NotOffered { row: number, slot })?;
            if used.contains(&slot) {
                return Err(FillError::Repeated { slot });
            }
            used.push(slot);
            parts.push(Part::Words(std::mem::take(&mut filled)));
            parts.push(Part::Fact(slot, &fact.text));
            sentence_start = false;
            rest = &rest[end..];
            continue;
        }
        let from = rest;
        rest = &rest[c.len_utf8()..];
        if on_sign {
            for upper in c.to_uppercase() {
                // Digits come by slots alone.
                if !showable(upper) || upper.is_ascii_digit() {
                    return Err(FillError::Character { row: number, c });
                }
                filled.push(upper);
            }
        } else if c.is_alphabetic() {
            let before = match (filled.chars().last(), parts.last()) {
                (None, Some(Part::Fact(_, fact))) => fact.chars().last(),
                (last, _) => last,
            };
            let begins_word = !before.is_some_and(char::is_alphabetic);
            if sentence_start || (begins_word && is_noun(request.language, word_of(from))) {
                filled.extend(c.to_uppercase());
            } else {
                filled.push(c);
            }
            sentence_start = false;
        } else if " .,:;'\u{2019}-".contains(c) {
            filled.push(c);
            sentence_start |= c == '.';
        } else {
            return Err(FillError::Character { row: number, c });
        }
    }
    parts.push(Part::Words(filled));
    Ok(parts)
}

/// The letters that a text begins with.
fn word_of(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphabetic()).unwrap_or(text.len());
    &text[..end]
}

/// Whether a word of a draft has a capital inside a sentence too.
fn is_noun(language: Language, word: &str) -> bool {
    language == Language::De && GERMAN_NOUNS.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::wording::{Problem, SlotFact};

    fn request(space: Space, slots: &[(Slot, &str, bool)]) -> WordingRequest {
        let slots = slots
            .iter()
            .map(|(slot, text, required)| SlotFact {
                slot: *slot,
                text: (*text).to_owned(),
                required: *required,
            })
            .collect();
        WordingRequest {
            language: Language::It,
            problem: Problem::RoadClosed,
            reason: None,
            slots,
            space,
            seed: 1,
        }
    }

    fn draft(rows: &[&str]) -> Draft {
        Draft::of_rows(rows.iter().map(|row| (*row).to_owned()).collect())
    }

    const SIGN: Space = Space::Sign { rows: 3, cols: 18, pages: 1 };
    const VEHICLE: Space = Space::Vehicle { max_chars: 120 };

    fn on_sign(rows: &[&str]) -> Result<Vec<String>, FillError> {
        let slots = [(Slot::Via0, "CORSO ISONZO", true), (Slot::Delay, "6 MIN", false)];
        fill(&request(SIGN, &slots), &draft(rows), "test").map(|wording| wording.text)
    }

    #[test]
    fn a_sign_is_filled_in_capitals() {
        let text = on_sign(&["strada chiusa", "seguire", "<VIA_0>"]).unwrap();
        assert_eq!(text, ["STRADA CHIUSA", "SEGUIRE", "CORSO ISONZO"]);
    }

    #[test]
    fn a_vehicle_text_begins_its_sentences_with_capitals() {
        let slots = [(Slot::Closed, "Via S. Vitale", true), (Slot::Via0, "Corso Isonzo", true)];
        let rows = ["in <CLOSED_0> la strada è chiusa. è meglio <VIA_0>."];
        let wording = fill(&request(VEHICLE, &slots), &draft(&rows), "test").unwrap();
        assert_eq!(wording.text, ["In Via S. Vitale la strada è chiusa. È meglio Corso Isonzo."]);
        assert_eq!(wording.writer, "test");
        let rows = ["<CLOSED_0>: strada chiusa. seguire <VIA_0>."];
        let wording = fill(&request(VEHICLE, &slots), &draft(&rows), "test").unwrap();
        assert_eq!(wording.text, ["Via S. Vitale: strada chiusa. Seguire Corso Isonzo."]);
    }

    #[test]
    fn german_nouns_begin_with_capitals() {
        let slots = [(Slot::Closed, "am Ring", true), (Slot::Turn, "links", true)];
        let german = WordingRequest { language: Language::De, ..request(VEHICLE, &slots) };
        let rows = ["im bereich <CLOSED_0>: stau. bitte an der nächsten kreuzung <TURN> fahren."];
        let wording = fill(&german, &draft(&rows), "test").unwrap();
        assert_eq!(
            wording.text,
            ["Im Bereich am Ring: Stau. Bitte an der nächsten Kreuzung links fahren."]
        );
        // A noun inside another word is none, and other languages have small ones.
        let rows = ["<CLOSED_0> eisglatt, <TURN>. der grund."];
        let wording = fill(&german, &draft(&rows), "test").unwrap();
        assert_eq!(wording.text, ["am Ring eisglatt, links. Der Grund."]);
        let wording = fill(&request(VEHICLE, &slots), &draft(&rows), "test").unwrap();
        assert_eq!(wording.text, ["am Ring eisglatt, links. Der grund."]);
    }

    #[test]
    fn what_is_not_a_draft_is_refused() {
        let cases: [(&[&str], FillError); 12] = [
            (&[], FillError::Rows { rows: 0, max: 3 }),
            (&["a", "b", "c", "<VIA_0>"], FillError::Rows { rows: 4, max: 3 }),
            (&["use", "<VIA_9>"], FillError::UnknownTag { row: 2, tag: "<VIA_9>".into() }),
            (&["use <VIA_0"], FillError::UnknownTag { row: 1, tag: "<VIA_0".into() }),
            (&["for <DEST_0>"], FillError::NotOffered { row: 1, slot: Slot::Dest }),
            (&["<VIA_0>", "<VIA_0>"], FillError::Repeated { slot: Slot::Via0 }),
            (&["use other road"], FillError::Missing { slot: Slot::Via0 }),
            (&["bus 12", "<VIA_0>"], FillError::Character { row: 1, c: '1' }),
            (&["[fo2]", "<VIA_0>"], FillError::Character { row: 1, c: '[' }),
            (&["più", "<VIA_0>"], FillError::Character { row: 1, c: 'ù' }),
            (&["use  it", "<VIA_0>"], FillError::Spaces { row: 1 }),
            (&["seguire <VIA_0>", "<DELAY>"], FillError::Width { row: 1, chars: 20, max: 18 }),
        ];
        for (rows, error) in cases {
            assert_eq!(on_sign(rows), Err(error), "{rows:?}");
        }
        let slots = [(Slot::Closed, "Via Alta", false)];
        let error = fill(&request(VEHICLE, &slots), &draft(&["chiuso > ora."]), "test");
        assert_eq!(error, Err(FillError::Character { row: 1, c: '>' }));
    }
}
