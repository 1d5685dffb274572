//! One column of a mapping: from what a payload holds on its path to the cell of a row.

use super::SegmentNames;
use super::extract::{Elements, Extractor, Found, Refused, Store, Text, shorten};
use crate::domain::refusal::DeadReason;
use crate::domain::time::Timestamp;
use crate::plan::{Column, ColumnKind};

/// Beyond this a float cannot tell whole numbers apart: 2^53.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// What one cell holds. Texts lie in the payload or in the store of the call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell<'p> {
    Null,
    Text(Text<'p>),
    Integer(i64),
    Number(f64),
    Boolean(bool),
    Time(Timestamp),
    /// Texts all.
    Texts(Elements),
}

/// A column, and the slots along its path.
#[derive(Debug)]
pub(super) struct ColumnReader {
    column: Column,
    /// The payload's own slot first.
    above: Box<[usize]>,
    slot: usize,
}

impl ColumnReader {
    pub fn new(column: &Column, extractor: &mut Extractor) -> Self {
        let path = column.path.iter().map(String::as_str);
        let mut above = extractor.follow(path, column.kind == ColumnKind::TextList);
        // The way begins with the payload's slot, so it has a last one.
        let slot = above.pop().unwrap_or_default();
        Self { column: column.clone(), above: above.into(), slot }
    }

    /// Judges what was found.
    pub fn read<'p>(
        &self,
        segments: &SegmentNames,
        found: &[Found<'p>],
        store: &Store<'p>,
    ) -> Result<Cell<'p>, Refused> {
        let value = found[self.slot];
        match value {
            Found::Absent => {
                self.passable(found, store)?;
                return self.absent(|| "is absent".to_owned());
            }
            Found::Null => return self.absent(|| "is null".to_owned()),
            _ => {}
        }
        if self.column.missing.iter().any(|code| value.equals(code, store)) {
            return self.absent(|| format!("is {}, which means missing", value.describe(store)));
        }
        match (self.column.kind, value) {
            (ColumnKind::Text, Found::Text(text)) => {
                self.check_text(segments, store.text(text))?;
                Ok(Cell::Text(text))
            }
            (ColumnKind::Text, _) => Err(self.wrong_type(value, store, "a text")),
            (ColumnKind::Integer, _) => self.integer(value, store).map(Cell::Integer),
            (ColumnKind::Number, _) => self.number(value, store).map(Cell::Number),
            (ColumnKind::Boolean, Found::Boolean(value)) => Ok(Cell::Boolean(value)),
            (ColumnKind::Boolean, _) => Err(self.wrong_type(value, store, "true or false")),
            (ColumnKind::Time, Found::Text(text)) => self.time(store.text(text)).map(Cell::Time),
            (ColumnKind::Time, _) => Err(self.wrong_type(value, store, "a time as text")),
            (ColumnKind::TextList, Found::List(list)) => {
                for element in store.elements(list) {
                    let Found::Text(text) = *element else {
                        return Err(self.wrong_type(*element, store, "only texts in the list"));
                    };
                    self.check_text(segments, store.text(text))?;
                }
                Ok(Cell::Texts(list))
            }
            (ColumnKind::TextList, _) => Err(self.wrong_type(value, store, "a list of texts")),
        }
    }

    /// What is null or absent on the way is absent at its end; anything else than objects on the
    /// way is wrong.
    fn passable(&self, found: &[Found<'_>], store: &Store<'_>) -> Result<(), Refused> {
        match self.above.iter().map(|slot| found[*slot]).find(|above| *above != Found::Object) {
            None | Some(Found::Absent | Found::Null) => Ok(()),
            Some(other) => Err(self.wrong_type(other, store, "objects on the way to it")),
        }
    }

    fn absent<'p>(&self, how: impl FnOnce() -> String) -> Result<Cell<'p>, Refused> {
        if self.column.nullable {
            return Ok(Cell::Null);
        }
        Err((DeadReason::MissingField, format!("{} {}", self.at(), how())))
    }

    fn time(&self, text: &str) -> Result<Timestamp, Refused> {
        Timestamp::parse(text).map_err(|_| {
            let detail = "is no RFC 3339 time with a zone, such as 2008-11-11T07:20:30.000Z";
            (DeadReason::BadTime, format!("{}: `{}` {detail}", self.at(), shorten(text)))
        })
    }

    fn check_text(&self, segments: &SegmentNames, text: &str) -> Result<(), Refused> {
        let Column { is_segment, one_of, .. } = &self.column;
        if *is_segment && !segments.contains(text) {
            let detail = format!("{}: the network has no segment `{}`", self.at(), shorten(text));
            return Err((DeadReason::UnknownSegment, detail));
        }
        if !one_of.is_empty() && !one_of.iter().any(|allowed| allowed == text) {
            let allowed = one_of.join("`, `");
            let detail = format!("{}: `{}` is none of `{allowed}`", self.at(), shorten(text));
            return Err((DeadReason::UnknownValue, detail));
        }
        Ok(())
    }

    fn number(&self, found: Found<'_>, store: &Store<'_>) -> Result<f64, Refused> {
        let raw = found.as_f64().ok_or_else(|| self.wrong_type(found, store, "a number"))?;
        let value = raw * self.column.scale + self.column.offset;
        if !value.is_finite() {
            return Err(self.out_of_range(found, store, value));
        }
        self.in_range(found, store, value)?;
        Ok(value)
    }

    /// Whole numbers, also written as 7.0; 7.5 is refused. With a scale, what comes out must be
    /// whole but for the rounding of the multiplication.
    fn integer(&self, found: Found<'_>, store: &Store<'_>) -> Result<i64, Refused> {
        let column = &self.column;
        let wrong_type = || self.wrong_type(found, store, "a whole number");
        let raw = found.as_f64().ok_or_else(wrong_type)?;
        #[expect(clippy::float_cmp, reason = "1 and 0 stand for: no conversion")]
        let as_it_is = column.scale == 1.0 && column.offset == 0.0;
        if let (Found::Integer(value), true) = (found, as_it_is) {
            self.in_range(found, store, value as f64)?;
            return Ok(value);
        }
        let value = raw * column.scale + column.offset;
        if !value.is_finite() || value.abs() >= MAX_EXACT {
            return Err(self.out_of_range(found, store, value));
        }
        let whole = value.round();
        let tolerance = if as_it_is { 0.0 } else { 1e-9 * whole.abs().max(1.0) };
        if (value - whole).abs() > tolerance {
            return Err(wrong_type());
        }
        self.in_range(found, store, whole)?;
        Ok(whole as i64)
    }

    fn in_range(&self, found: Found<'_>, store: &Store<'_>, value: f64) -> Result<(), Refused> {
        let low = self.column.min.is_some_and(|min| value < min);
        let high = self.column.max.is_some_and(|max| value > max);
        if low || high { Err(self.out_of_range(found, store, value)) } else { Ok(()) }
    }

    #[cold]
    fn out_of_range(&self, found: Found<'_>, store: &Store<'_>, value: f64) -> Refused {
        let bounds = match (self.column.min, self.column.max) {
            (Some(min), Some(max)) => format!("outside {min} to {max}"),
            (Some(min), None) => format!("under {min}"),
            (None, Some(max)) => format!("over {max}"),
            (None, None) => "more than can be held".to_owned(),
        };
        let (at, raw) = (self.at(), found.describe(store));
        (DeadReason::OutOfRange, format!("{at}: {raw} (stored as {value}) is {bounds}"))
    }

    #[cold]
    fn wrong_type(&self, found: Found<'_>, store: &Store<'_>, expected: &str) -> Refused {
        let detail = format!("{}: expected {expected}, found {}", self.at(), found.describe(store));
        (DeadReason::WrongType, detail)
    }

    /// The member, as a path in the payload.
    fn at(&self) -> String {
        format!("`{}`", self.column.path.join("."))
    }
}
