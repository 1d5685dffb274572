//! Windows, their SQL, and the congestion that reads them.

use arrow::datatypes::{DataType, SchemaRef};

use crate::batch;
use crate::plan::{Congestion, Window};
use crate::query::{self, Tables};

use super::super::mapping::check_name;
use super::super::raw::{self, default};
use super::super::read::{At, Interval, Named, listed, nearest};
use super::super::tree;
use super::sources::CheckedSource;
use super::{Bounds, Checker};

const SIZE: Bounds = Bounds("1s", "24h");
const ACCEPT_FOR: Bounds = Bounds("0s", "24h");

/// A window with its places, for whatever refers to it; `plan` is `None` when it has errors.
pub(super) struct CheckedWindow {
    pub name: String,
    pub plan: Option<Window>,
    /// The columns of its result, and the place of its SQL's first word.
    result: Option<(SchemaRef, super::super::report::Span)>,
}

impl Checker<'_> {
    pub(super) fn windows(
        &mut self,
        raw: Option<&At<Named<raw::Window>>>,
        sources: &[CheckedSource],
    ) -> Vec<CheckedWindow> {
        let named = raw.into_iter().flat_map(|windows| &windows.0);
        named
            .map(|(name, window)| {
                let fine = check_name(name, "window", &mut self.findings);
                let checked = window.as_ref().map(|window| self.window(name, window, sources));
                let (plan, result) = checked.unwrap_or_default();
                CheckedWindow { name: name.value.clone(), plan: plan.filter(|_| fine), result }
            })
            .collect()
    }

    fn window(
        &mut self,
        name: &At<String>,
        raw: &raw::Window,
        sources: &[CheckedSource],
    ) -> (Option<Window>, Option<(SchemaRef, super::super::report::Span)>) {
        let size = raw.size.0.as_ref().map(|size| self.within(size, &SIZE));
        let every = raw.every.as_ref().map(|every| self.within(every, &SIZE));
        if let (Some(size), Some(every), Some(at)) = (size, every, &raw.every)
            && !every.is_zero()
            && (every > size || size.as_millis() % every.as_millis() != 0)
        {
            let what =
                format!("`every: {}` does not divide `size: {}`", Interval(every), Interval(size));
            let seconds = size.as_secs();
            let near = (1..=seconds)
                .filter(|s| seconds % s == 0)
                .min_by_key(|s| (s.abs_diff(every.as_secs()), *s))
                .map(|s| Interval(std::time::Duration::from_secs(s)).to_string());
            self.findings.error(&at.span, what).did_you_mean(near.as_deref()).help(
                "hopping windows share their parts, so a window must be a whole number of them",
            );
        }
        let late = raw.late.as_ref().and_then(|late| late.accept_for.as_ref());
        let accept_for = self.interval(late, default::ACCEPT_FOR, &ACCEPT_FOR);
        if let Some(at) = late.filter(|_| !accept_for.is_zero()) {
            self.findings
                .error(&at.span, "closed windows cannot be revised yet")
                .help("write 0s, or leave `late` out: what comes late goes to the late output");
        }

        let source = raw.from.0.as_ref().and_then(|from| self.from(from, sources));
        let result = match (&raw.sql.0, source.map(|source| &sources[source])) {
            (Some(sql), Some(source)) if !source.is_closures() => self.sql(sql, source),
            _ => None,
        };
        let plan = match (source, size, &raw.sql.0) {
            (Some(source), Some(size), Some(sql)) => Some(Window {
                name: name.value.clone(),
                source,
                size,
                every: every.unwrap_or(size),
                accept_for,
                sql: sql.value.clone(),
            }),
            _ => None,
        };
        (plan, result)
    }

    fn from(&mut self, from: &At<String>, sources: &[CheckedSource]) -> Option<usize> {
        let found = sources.iter().position(|source| source.name.value == from.value);
        match found {
            None => {
                let known: Vec<&str> = sources.iter().map(|s| s.name.as_str()).collect();
                self.findings
                    .error(&from.span, format!("there is no source `{}`", tree::excerpt(from)))
                    .did_you_mean(nearest(from, known.iter().copied()))
                    .help(format!("the sources are {}", listed(&known)));
            }
            Some(at) if sources[at].is_closures() => {
                self.findings
                    .error(&from.span, format!("`{}` brings closures, not readings", from.value))
                    .help("closures act at once: no window reads them");
            }
            Some(_) => {}
        }
        found
    }

    /// Checks the SQL against the source's columns; findings point into the SQL.
    fn sql(
        &mut self,
        sql: &At<String>,
        source: &CheckedSource,
    ) -> Option<(SchemaRef, super::super::report::Span)> {
        let schema = batch::schema_of(source.mapping.as_ref()?);
        let first = sql.find(|c: char| !c.is_whitespace()).unwrap_or(0);
        let word =
            sql[first..].find(char::is_whitespace).map_or(sql.len(), |length| first + length);
        let first_word = sql.part(self.findings.text(), first..word);
        let tables = Tables {
            streams: vec![(source.name.value.clone(), schema.clone())],
            statics: Vec::new(),
        };
        match query::check(sql, &tables) {
            Ok(query) => Some((query.output_schema(), first_word)),
            Err(found) => {
                for finding in found {
                    let span = match finding.offset {
                        Some(part) => sql.part(self.findings.text(), part),
                        None => first_word.clone(),
                    };
                    let help = finding.help.unwrap_or_else(|| {
                        let columns: Vec<&str> =
                            schema.fields().iter().map(|field| field.name().as_str()).collect();
                        format!(
                            "one SELECT over `{}`, whose columns are {}",
                            source.name.value,
                            listed(&columns)
                        )
                    });
                    self.findings.error(&span, finding.message).help(help);
                }
                None
            }
        }
    }

    pub(super) fn congestion(
        &mut self,
        raw: &At<raw::Congestion>,
        windows: &[CheckedWindow],
    ) -> Option<Congestion> {
        let enter_after = self.count(raw.enter_after.as_ref(), default::ENTER_AFTER, 1, 60);
        let leave_after = self.count(raw.leave_after.as_ref(), default::LEAVE_AFTER, 1, 60);
        let from = raw.from.0.as_ref()?;
        if from.0.is_empty() {
            self.findings.error(&from.span, "no window to read").help("`from: segment_minute`");
        }
        let mut read = Vec::new();
        for name in &from.0 {
            let Some(at) = windows.iter().position(|window| window.name == name.value) else {
                let known: Vec<&str> = windows.iter().map(|w| w.name.as_str()).collect();
                self.findings
                    .error(&name.span, format!("there is no window `{}`", tree::excerpt(name)))
                    .did_you_mean(nearest(name, known.iter().copied()))
                    .help(format!("the windows are {}", listed(&known)));
                continue;
            };
            if read.contains(&at) {
                self.findings
                    .error(&name.span, "this window is listed twice")
                    .help("once is enough");
                continue;
            }
            self.result_for_congestion(&windows[at]);
            read.push(at);
        }
        Some(Congestion { windows: read, enter_after, leave_after })
    }

    /// Congestion finds its columns by name.
    fn result_for_congestion(&mut self, window: &CheckedWindow) {
        let Some((schema, sql)) = &window.result else { return };
        let kind =
            |name: &str| schema.field_with_name(name).ok().map(arrow::datatypes::Field::data_type);
        let text = |kind: &DataType| {
            matches!(kind, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8)
        };
        match kind(batch::SEGMENT) {
            None => {
                self.findings
                    .error(sql, format!("the result of `{}` has no column `segment`", window.name))
                    .label("congestion reads it")
                    .help("name the road edge's column so: `SELECT edge_id AS segment, …`");
            }
            Some(kind) if !text(kind) => {
                self.findings
                    .error(sql, format!("the column `segment` of `{}` is no text", window.name))
                    .help("it is the id of a road edge: `edge_id AS segment`");
            }
            Some(_) => {}
        }
        if kind(batch::SPEED_KMH).is_none() {
            self.findings
                .error(sql, format!("the result of `{}` has no column `speed_kmh`", window.name))
                .label("congestion reads it")
                .help("levels are shares of free-flow speed: `… AS speed_kmh`");
        }
        for name in [batch::SPEED_KMH, batch::VEHICLES, batch::OCCUPANCY_PCT] {
            if kind(name).is_some_and(|kind| !kind.is_numeric()) {
                let what = format!("the column `{name}` of `{}` is no number", window.name);
                self.findings.error(sql, what).label("congestion reads it");
            }
        }
    }
}
