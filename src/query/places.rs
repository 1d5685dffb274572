//! Where in the SQL text something stands, and which known name is nearest to an unknown one.

use std::ops::Range;

use datafusion::sql::sqlparser::ast::{ObjectName, Spanned};
use datafusion::sql::sqlparser::tokenizer::{Location, Span};

/// Turns the parser's lines and columns (from 1, in characters) into bytes.
pub(super) struct Places<'s> {
    sql: &'s str,
    line_starts: Vec<usize>,
}

impl<'s> Places<'s> {
    pub(super) fn new(sql: &'s str) -> Self {
        let breaks = sql.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        Self { sql, line_starts }
    }

    pub(super) fn range(&self, span: Span) -> Option<Range<usize>> {
        let (start, end) = (self.offset(span.start)?, self.offset(span.end)?);
        let inside = self.sql.get(start..end).filter(|inside| !inside.is_empty())?;
        // The parser's places leave out the brackets that close calls and lists.
        let mut end = end;
        for _ in 0..unclosed(inside) {
            let rest = self.sql.get(end..)?;
            let close = rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len());
            if !rest[close..].starts_with(')') {
                break;
            }
            end += close + 1;
        }
        Some(start..end)
    }

    /// The word that the text begins with, comments left out of account.
    pub(super) fn first_word(&self) -> Option<Range<usize>> {
        let start = self.sql.find(|c: char| !c.is_whitespace())?;
        let word = word_length(&self.sql[start..]);
        self.sql[start..].starts_with(is_word).then_some(start..start + word)
    }

    /// A table's name; the parser knows no place for one in single quotes.
    pub(super) fn name(&self, name: &ObjectName) -> Option<Range<usize>> {
        self.range(name.span()).or_else(|| {
            let text = name.to_string();
            self.sql.find(&text).map(|start| start..start + text.len())
        })
    }

    fn offset(&self, location: Location) -> Option<usize> {
        let line = usize::try_from(location.line).ok()?.checked_sub(1)?;
        let column = usize::try_from(location.column).ok()?.checked_sub(1)?;
        let start = *self.line_starts.get(line)?;
        let rest = self.sql.get(start..)?;
        let mut ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
        ends.nth(column).map(|at| start + at)
    }

    /// What a parser error means with "at Line: 1, Column: 8", and the keyword that was perhaps
    /// meant: a misspelt one reads as a name, so that the parser stumbles over the word after it.
    pub(super) fn of_message(&self, message: &str) -> (Option<Range<usize>>, Option<&'static str>) {
        let Some(start) = location_in(message).and_then(|location| self.offset(location)) else {
            return (None, None);
        };
        let (before, rest) = self.sql.split_at(start);
        let here = start..start + word_length(rest);
        let end = before.trim_end().len();
        let word = before[..end]
            .rfind(|c: char| !is_word(c))
            .map_or(0, |at| at + before[at..].chars().next().map_or(0, char::len_utf8));
        for range in [word..end, here.clone()] {
            if let Some(keyword) = misspelt(&self.sql[range.clone()]) {
                return (Some(range), Some(keyword));
            }
        }
        ((!here.is_empty()).then_some(here), None)
    }
}

fn location_in(message: &str) -> Option<Location> {
    let (_, place) = message.rsplit_once("at Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    let digits = column.find(|c: char| !c.is_ascii_digit()).unwrap_or(column.len());
    Some(Location { line: line.parse().ok()?, column: column.get(..digits)?.parse().ok()? })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of the word, or else the one sign, that a text begins with.
fn word_length(text: &str) -> usize {
    match text.find(|c| !is_word(c)) {
        Some(0) => text.chars().next().map_or(0, char::len_utf8),
        Some(end) => end,
        None => text.len(),
    }
}

/// The keyword that a word comes very near to without being it.
fn misspelt(word: &str) -> Option<&'static str> {
    const KEYWORDS: [&str; 10] = [
        "SELECT", "DISTINCT", "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "BETWEEN",
        "CASE",
    ];
    let upper = word.to_uppercase();
    let near = KEYWORDS.into_iter().find(|keyword| strsim::osa_distance(&upper, keyword) == 1);
    near.filter(|_| !KEYWORDS.contains(&upper.as_str()))
}

/// How many brackets are opened and not closed, texts in quotes left out.
fn unclosed(text: &str) -> usize {
    let (mut open, mut quote) = (0_usize, None);
    for c in text.chars() {
        match (quote, c) {
            (Some(q), _) if q == c => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => open += 1,
            (None, ')') => open = open.saturating_sub(1),
            _ => {}
        }
    }
    open
}

/// The known name most like an unknown one, if any is like it at all.
pub(super) fn nearest<'n>(
    unknown: &str,
    known: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    let unknown = unknown.to_lowercase();
    let likeness = |name: &str| strsim::jaro_winkler(&unknown, &name.to_lowercase());
    known
        .into_iter()
        .map(|name| (likeness(name), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(a.1)))
        .map(|(_, name)| name)
}
