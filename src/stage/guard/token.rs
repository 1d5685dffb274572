//! A text cut into words and the points, commas and colons behind them.
//!
//! Names of the network and facts are cut in the same way, so that they compare token by token,
//! whatever row they stand in.

use super::objection::Place;
use crate::domain::network::fold;

/// Signs that stand for themselves at a word's end.
const MARKS: [char; 3] = ['.', ',', ':'];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token<'t> {
    /// As it stands.
    pub raw: &'t str,
    pub folded: String,
    pub place: Place,
    pub ends_row: bool,
}

/// The tokens of a text, row after row.
pub(super) fn tokens<'t>(rows: impl IntoIterator<Item = &'t str>) -> Vec<Token<'t>> {
    let mut tokens = Vec::new();
    for (row, text) in rows.into_iter().enumerate() {
        let mut column = 1;
        for chunk in text.split(' ') {
            let word = chunk.trim_end_matches(MARKS);
            let marks = &chunk[word.len()..];
            let marks = marks.char_indices().map(|(at, mark)| &marks[at..at + mark.len_utf8()]);
            let mut from = column;
            for raw in std::iter::once(word).chain(marks).filter(|raw| !raw.is_empty()) {
                let folded = if is_mark(raw) { raw.to_owned() } else { fold(raw) };
                let place = Place { row: row + 1, column: from };
                tokens.push(Token { raw, folded, place, ends_row: false });
                from += raw.chars().count();
            }
            column += chunk.chars().count() + 1;
        }
        if let Some(last) = tokens.last_mut() {
            last.ends_row = true;
        }
    }
    tokens
}

pub(super) fn is_mark(raw: &str) -> bool {
    MARKS.iter().any(|mark| raw.chars().eq([*mark]))
}

/// The words of a run of tokens as a reader sees them, on one line.
pub(super) fn said(tokens: &[Token<'_>]) -> String {
    let mut text = String::new();
    for token in tokens {
        if !text.is_empty() && !is_mark(token.raw) {
            text.push(' ');
        }
        text.push_str(token.raw);
    }
    text
}

/// Whether two runs are one name to a reader who sees neither accents nor case.
pub(super) fn same_folded(one: &[Token<'_>], other: &[Token<'_>]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.folded == b.folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_alone_and_places_count_characters() {
        let cut = tokens(["più avanti, Via G. Verdi.", "ora"]);
        let seen: Vec<_> =
            cut.iter().map(|t| (t.raw, t.place.row, t.place.column, t.ends_row)).collect();
        let expected = [
            ("più", 1, 1, false),
            ("avanti", 1, 5, false),
            (",", 1, 11, false),
            ("Via", 1, 13, false),
            ("G", 1, 17, false),
            (".", 1, 18, false),
            ("Verdi", 1, 20, false),
            (".", 1, 25, true),
            ("ora", 2, 1, true),
        ];
        assert_eq!(seen, expected);
        assert_eq!(said(&cut), "più avanti, Via G. Verdi. ora");
    }
}
