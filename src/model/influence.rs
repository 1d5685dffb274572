//! What each fact did to a text: the same request without it, and what becomes of the clauses.
//!
//! Leave one out (Cook 1977; for texts Li, Monroe and Jurafsky 2016). The luck of the draw stays the
//! same, so what changes changes for the fact's sake.

use crate::domain::wording::WordingRequest;
use crate::ports::WriterError;

use super::writer::SlmWriter;

/// One fact left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Influence {
    /// The slot's tag, or `reason`.
    pub without: String,
    /// Clauses with the fact, and what stands in their place without it; slots unfilled.
    pub changes: Vec<Change>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub with: Option<String>,
    pub without: Option<String>,
}

/// The influence of every fact that may be left unsaid. A fact without which nothing can be written
/// is passed over.
///
/// # Errors
///
/// Those of the writer, for the request itself.
pub fn influence(
    writer: &mut SlmWriter,
    request: &WordingRequest,
) -> Result<Vec<Influence>, WriterError> {
    let whole = writer.clauses(request, None)?;
    let mut left_out: Vec<(String, WordingRequest)> = request
        .slots
        .iter()
        .filter(|fact| !fact.required)
        .map(|fact| {
            let mut without = request.clone();
            without.slots.retain(|other| other.slot != fact.slot);
            (fact.slot.tag().to_owned(), without)
        })
        .collect();
    if request.reason.is_some() {
        left_out.push(("reason".to_owned(), WordingRequest { reason: None, ..request.clone() }));
    }
    let mut influences = Vec::new();
    for (without, request) in left_out {
        let Ok(part) = writer.clauses(&request, None) else { continue };
        let changes = whole.iter().zip(&part).filter(|(with, without)| with != without);
        let changes = changes.map(|(with, without)| Change {
            with: with.as_ref().map(|clause| writer.words(clause)),
            without: without.as_ref().map(|clause| writer.words(clause)),
        });
        influences.push(Influence { without, changes: changes.collect() });
    }
    Ok(influences)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::wording::{Slot, Space};
    use crate::model::backend::Engine;
    use crate::model::fixture;

    #[test]
    fn a_fact_that_is_said_is_missed_and_one_that_must_be_said_is_not_left_out() {
        let (vocabulary, grammar) = fixture::corpus();
        let weights = fixture::lively(fixture::tiny(vocabulary.len()));
        let engine = Engine::plain(&weights).unwrap();
        let mut writer = SlmWriter::new(vocabulary, grammar, engine, "tiny".to_owned());
        let mut request = fixture::request(Space::Vehicle { max_chars: 200 });
        for fact in &mut request.slots {
            fact.required = fact.slot == Slot::Via0;
        }
        let said = writer.clauses(&request, None).unwrap();
        let said: String = said.iter().flatten().map(|clause| writer.words(clause)).collect();
        let influences = influence(&mut writer, &request).unwrap();
        assert!(influences.iter().all(|influence| influence.without != "<VIA_0>"));
        assert!(influences.len() >= 5);
        for Influence { without, changes } in influences {
            let missed = changes
                .iter()
                .any(|change| change.with.as_ref().is_some_and(|text| text.contains(&without)));
            assert_eq!(missed, said.contains(&without), "{without}: {changes:?}");
            assert!(changes.iter().all(|change| {
                change.without.as_ref().is_none_or(|text| !text.contains(&without))
            }));
        }
    }
}
