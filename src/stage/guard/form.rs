//! The form of a text: rows, width, characters, spaces. Looks at no word.

use super::objection::{Objection, Place, Rules};
use super::phrases::tongue;
use crate::domain::wording::{Language, Slot, Space, Wording, WordingRequest};

/// Besides A to Z and 0 to 9; a colon for times of day. No bracket is among them, so no text can bring a MULTI tag to a sign,
/// and none of a slot's.
const SIGN_MARKS: &str = " .,:'-/";
const VEHICLE_MARKS: &str = " .,:'-/";
/// What a vehicle may also show inside a name that has it; letters and digits aside.
const NAME_MARKS: &str = "’‘ʼ–&()";

pub(super) fn check(
    rules: &Rules,
    request: &WordingRequest,
    wording: &Wording,
) -> Result<(), Objection> {
    if wording.language != request.language {
        let (asked, found) = (request.language, wording.language);
        rules.object(Objection::Language { asked, found })?;
    }
    let (rows, width, pages) = match request.space {
        Space::Sign { rows, cols, pages } => (usize::from(rows), usize::from(cols), pages),
        Space::Vehicle { max_chars } => (1, usize::from(max_chars), 1),
    };
    let in_all = wording.text.len();
    match wording.second_page.map(usize::from) {
        None if in_all == 0 || in_all > rows => {
            rules.object(Objection::Rows { room: rows, found: in_all })?;
        }
        None => {}
        // A page too many makes drivers wait for nothing.
        Some(_) if pages < 2 || in_all <= rows => rules.object(Objection::Pages { room: pages })?,
        Some(first) => {
            let fullest = first.max(in_all.saturating_sub(first));
            if fullest > rows || first == 0 || first >= in_all {
                rules.object(Objection::Rows { room: rows, found: fullest })?;
            }
        }
    }
    for (row, text) in (1..).zip(&wording.text) {
        let found = text.chars().count();
        if found > width {
            rules.object(Objection::Width { row, said: text.clone(), found, room: width })?;
        }
        let mut before = ' ';
        for (column, character) in (1..).zip(text.chars()) {
            let place = Place { row, column };
            if !may_stand(character, request) {
                rules.object(Objection::Character { place, found: character })?;
            }
            if before == ' ' && matches!(character, ' ' | '.' | ',' | ':') {
                rules.object(Objection::Spacing { place })?;
            }
            before = character;
        }
        // An empty row ends as it began.
        if before == ' ' {
            rules.object(Objection::Spacing { place: Place { row, column: found.max(1) } })?;
        }
    }
    Ok(())
}

fn may_stand(character: char, request: &WordingRequest) -> bool {
    match request.space {
        Space::Sign { .. } => {
            character.is_ascii_uppercase()
                || character.is_ascii_digit()
                || SIGN_MARKS.contains(character)
        }
        Space::Vehicle { .. } => {
            character.is_ascii_alphanumeric()
                || VEHICLE_MARKS.contains(character)
                || is_letter_of(character, request.language)
                || (is_for_names(character) && is_in_a_name(character, request))
        }
    }
}

fn is_letter_of(character: char, language: Language) -> bool {
    let is = |letter: char| character == letter || letter.to_uppercase().eq([character]);
    tongue(language).letters.chars().any(is)
}

/// Letters of all kinds, combining accents among them.
fn is_for_names(character: char) -> bool {
    character.is_alphanumeric()
        || NAME_MARKS.contains(character)
        || ('\u{300}'..='\u{36f}').contains(&character)
}

fn is_in_a_name(character: char, request: &WordingRequest) -> bool {
    Slot::NAMES
        .iter()
        .filter_map(|slot| request.slot(*slot))
        .any(|fact| fact.text.contains(character))
}
