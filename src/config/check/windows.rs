//! Windows, their SQL, and the congestion that reads them.

use arrow::datatypes::{DataType, SchemaRef};

use crate::batch;
use crate::domain::network::Network;
use crate::plan::{Congestion, Shape, StaticTable, Window};
use crate::query::{self, Tables};

use super::super::mapping::check_name;
use super::super::raw::{self, default};
use super::super::read::{At, Named, OneOrMany, listed, nearest};
use super::super::tree;
use super::sources::CheckedSource;
use super::{Bounds, Checker};

/// Sources that one window may read.
const MAX_STREAMS: usize = 2;
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
        network: Option<&Network>,
    ) -> Vec<CheckedWindow> {
        let named = raw.into_iter().flat_map(|windows| &windows.0);
        named
            .map(|(name, window)| {
                let fine = check_name(name, "window", &mut self.findings);
                let checked =
                    window.as_ref().map(|window| self.window(name, window, sources, network));
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
        network: Option<&Network>,
    ) -> (Option<Window>, Option<(SchemaRef, super::super::report::Span)>) {
        let found = raw.from.0.as_ref().map(|from| self.from(from, sources)).unwrap_or_default();
        let shape = self.shape(name, raw, found.first().map(|source| &sources[*source]));
        let late = raw.late.as_ref().and_then(|late| late.accept_for.as_ref());
        let accept_for = self.interval(late, default::ACCEPT_FOR, &ACCEPT_FOR);
        let session = matches!(shape, Some(Shape::Session { .. }));
        if let Some(at) = late.filter(|_| session && !accept_for.is_zero()) {
            self.findings.error(&at.span, "sessions are not revised").help(
                "a late reading that lies within an open session is taken anyway; leave `late` out",
            );
        }
        if let Some(from) = raw.from.0.as_ref().filter(|from| session && from.0.len() > 1) {
            self.findings.error(&from.span, "a session reads one source").help(
                "sessions go by one column of one source; two sources share windows of a `size`",
            );
        }
        let named = raw.tables.iter().flat_map(|tables| &tables.0);
        let mut tables: Vec<StaticTable> = named
            .map(|table| match table.value {
                raw::TableName::Segments => StaticTable::Segments,
            })
            .collect();
        tables.dedup();

        let asked = raw.from.0.as_ref().map_or(0, |from| from.0.len());
        let complete = !found.is_empty() && found.len() == asked;
        let readings = found.iter().all(|source| !sources[*source].is_closures());
        let result = match &raw.sql.0 {
            Some(sql) if complete && readings => {
                let streams: Vec<&CheckedSource> = found.iter().map(|at| &sources[*at]).collect();
                self.sql(sql, &streams, &tables, network)
            }
            _ => None,
        };
        let plan = match (shape, &raw.sql.0) {
            (Some(shape), Some(sql)) if complete => Some(Window {
                name: name.value.clone(),
                sources: found,
                shape,
                accept_for,
                tables,
                sql: sql.value.clone(),
            }),
            _ => None,
        };
        (plan, result)
    }

    /// The sources of a window, by index, as far as they are known.
    fn from(&mut self, from: &At<OneOrMany<String>>, sources: &[CheckedSource]) -> Vec<usize> {
        if from.0.is_empty() || from.0.len() > MAX_STREAMS {
            self.findings
                .error(&from.span, format!("a window reads one source or {MAX_STREAMS}"))
                .help("`from: loops`, or `from: [loops, cameras]`");
            return Vec::new();
        }
        let mut found = Vec::new();
        for name in &from.0 {
            let Some(source) = self.source_named(name, sources) else { continue };
            if found.contains(&source) {
                self.findings
                    .error(&name.span, "this source is listed twice")
                    .help("once is enough: the SQL may read its table several times");
                continue;
            }
            found.push(source);
        }
        found
    }

    fn source_named(&mut self, from: &At<String>, sources: &[CheckedSource]) -> Option<usize> {
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
        streams: &[&CheckedSource],
        tables: &[StaticTable],
        network: Option<&Network>,
    ) -> Option<(SchemaRef, super::super::report::Span)> {
        let mut columns = Vec::new();
        let mut read = Tables::default();
        for source in streams {
            let schema = batch::schema_of(source.mapping.as_ref()?);
            columns.extend(schema.fields().iter().map(|field| field.name().clone()));
            read.streams.push((source.name.value.clone(), schema));
        }
        if !tables.is_empty() {
            read.statics = batch::static_tables(tables, network?);
        }
        let first = sql.find(|c: char| !c.is_whitespace()).unwrap_or(0);
        let word =
            sql[first..].find(char::is_whitespace).map_or(sql.len(), |length| first + length);
        let first_word = sql.part(self.findings.text(), first..word);
        match query::check(sql, &read) {
            Ok(query) => Some((query.output_schema(), first_word)),
            Err(found) => {
                for finding in found {
                    let span = match finding.offset {
                        Some(part) => sql.part(self.findings.text(), part),
                        None => first_word.clone(),
                    };
                    let help = finding.help.unwrap_or_else(|| {
                        let named: Vec<&str> =
                            read.streams.iter().map(|(name, _)| name.as_str()).collect();
                        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
                        format!(
                            "one SELECT over {}, whose columns are {}",
                            listed(&named),
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
            if windows[at].plan.as_ref().is_some_and(|w| matches!(w.shape, Shape::Session { .. })) {
                self.findings
                    .error(
                        &name.span,
                        format!("`{}` has sessions, not windows of a size", name.value),
                    )
                    .help("levels are followed from window to window: read one with a `size`");
            }
            self.result_for_congestion(&windows[at]);
            read.push(at);
        }
        let detect_incidents =
            raw.detect_incidents.as_ref().map_or(default::DETECT_INCIDENTS, |at| at.value);
        Some(Congestion { windows: read, enter_after, leave_after, detect_incidents })
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
