//! Where in the SQL text something stands, and which known name is nearest to an unknown one.

use std::ops::Range;

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
        (start < end).then_some(start..end)
    }

    fn offset(&self, location: Location) -> Option<usize> {
        let line = usize::try_from(location.line).ok()?.checked_sub(1)?;
        let column = usize::try_from(location.column).ok()?.checked_sub(1)?;
        let start = *self.line_starts.get(line)?;
        let rest = self.sql.get(start..)?;
        let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
        ends.skip(column).next().map(|at| start + at)
    }

    /// The word or sign that a parser error points at with "at Line: 1, Column: 8".
    pub(super) fn of_message(&self, message: &str) -> Option<Range<usize>> {
        let (_, place) = message.rsplit_once("at Line: ")?;
        let (line, column) = place.split_once(", Column: ")?;
        let digits = column.find(|c: char| !c.is_ascii_digit()).unwrap_or(column.len());
        let location =
            Location { line: line.parse().ok()?, column: column.get(..digits)?.parse().ok()? };
        let start = self.offset(location)?;
        let rest = self.sql.get(start..)?;
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let length = match rest.find(|c| !is_word(c)) {
            Some(0) => rest.chars().next().map_or(0, char::len_utf8),
            Some(end) => end,
            None => rest.len(),
        };
        (length > 0).then_some(start..start + length)
    }
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
