//! Schema files (`schemas/*.yaml`): how a payload becomes a row. As written, checked, and made into
//! `plan::Mapping`.
//!
//! Knows nothing of pipelines; findings point into the schema file itself.

use serde_json::Value;

use crate::plan::{Column, ColumnKind, Mapping, Produces};

use super::raw::FormatVersion;
use super::read::{
    At, List, Literal, Named, Needed, OneOrMany, Read, group, listed, nearest, words,
};
use super::report::{Findings, Span};
use super::tree;

group! {
    /// A Wayside schema file: which members of a JSON payload become which columns, and what makes
    /// a payload a dead letter.
    MappingFile {
        /// The format of this file: 1.
        version: Needed<FormatVersion>,
        /// What the rows are.
        produces: Needed<ProducesWord>,
        /// The payload's member `v` must have this value. Default: it is not looked at.
        payload_version: Option<At<u32>>,
        /// The columns by name (small letters, digits, `_`), in their order.
        columns: Needed<Named<ColumnGroup>>,
    }
}

words! {
    /// What the rows of a schema are.
    ProducesWord {
        /// Sensor readings, for windows.
        Readings = "readings",
        /// Closures announced by the road operator: columns `event_id`, `state`, `kind`, `edges`,
        /// `ts`, and as wanted `reason`, `lanes_closed`, `start`, `planned_end`.
        Closures = "closures",
    }
}

group! {
    /// One column.
    ColumnGroup {
        /// Where the value lies in the payload: `speed`, `data.speed`, or, for members that hold
        /// dots themselves, a list `[data, speed.kmh]`. Default: the column's name.
        path: Option<At<OneOrMany<String>>>,
        /// What the column holds after conversion.
        r#type: Needed<TypeWord>,
        /// Null, absent and missing codes are allowed. Default: false, such payloads are dead letters.
        nullable: Option<At<bool>>,
        /// Raw values, before conversion, that mean "no value": -99, 65535, "n/a".
        missing: Option<At<List<Literal>>>,
        /// Convert a unit. Not together with `scale` and `offset`.
        unit: Option<At<Unit>>,
        /// Stored value = raw value times this, plus `offset`.
        scale: Option<At<f64>>,
        /// Added after scaling.
        offset: Option<At<f64>>,
        /// Smallest stored value allowed; what is below is a dead letter.
        min: Option<At<f64>>,
        /// Largest stored value allowed; what is above is a dead letter.
        max: Option<At<f64>>,
        /// The only texts allowed.
        one_of: Option<At<List<String>>>,
        /// The text is the id of a road edge; one that the network lacks is a dead letter.
        segment: Option<At<bool>>,
    }
}

words! {
    /// The type of a column.
    TypeWord {
        /// Text.
        Text = "text",
        /// A whole number.
        Integer = "integer",
        /// A number with a fraction.
        Number = "number",
        /// True or false.
        Boolean = "boolean",
        /// A moment: RFC 3339 with a zone.
        Time = "time",
        /// A list of texts.
        TextList = "text_list",
    }
}

group! {
    /// From the sender's unit to Wayside's.
    Unit {
        /// The unit in the payload.
        from: Needed<FromUnit>,
        /// The unit in the column: `km/h` for speeds, `percent` for shares of time, `s` for times.
        to: Needed<ToUnit>,
    }
}

words! {
    /// A unit that senders use.
    FromUnit {
        /// Kilometres an hour.
        KmPerHour = "km/h",
        /// Metres a second.
        MetresPerSecond = "m/s",
        /// Statute miles an hour, 1.609344 km/h each.
        MilesPerHour = "mph",
        /// Percent, 0 to 100.
        Percent = "percent",
        /// A share, 0 to 1.
        Share = "share",
        /// Thousandths, 0 to 1000.
        PerMille = "per_mille",
        /// Seconds.
        Seconds = "s",
        /// Milliseconds.
        Milliseconds = "ms",
    }
}

words! {
    /// A unit of Wayside's columns.
    ToUnit {
        /// Kilometres an hour.
        KmPerHour = "km/h",
        /// Percent, 0 to 100.
        Percent = "percent",
        /// Seconds.
        Seconds = "s",
    }
}

/// What one unit of `from` is in `to`; `None` where they measure different things.
fn factor(from: FromUnit, to: ToUnit) -> Option<f64> {
    match (from, to) {
        (FromUnit::KmPerHour, ToUnit::KmPerHour)
        | (FromUnit::Percent, ToUnit::Percent)
        | (FromUnit::Seconds, ToUnit::Seconds) => Some(1.0),
        (FromUnit::MetresPerSecond, ToUnit::KmPerHour) => Some(3.6),
        // The international mile, exact since 1959.
        (FromUnit::MilesPerHour, ToUnit::KmPerHour) => Some(1.609_344),
        (FromUnit::Share, ToUnit::Percent) => Some(100.0),
        (FromUnit::PerMille, ToUnit::Percent) => Some(0.1),
        (FromUnit::Milliseconds, ToUnit::Seconds) => Some(0.001),
        _ => None,
    }
}

/// What closures are made of: name, type, whether it must be there.
const CLOSURE_COLUMNS: [(&str, ColumnKind, bool); 9] = [
    ("event_id", ColumnKind::Text, true),
    ("state", ColumnKind::Text, true),
    ("kind", ColumnKind::Text, true),
    ("edges", ColumnKind::TextList, true),
    ("ts", ColumnKind::Time, true),
    ("reason", ColumnKind::Text, false),
    ("lanes_closed", ColumnKind::Integer, false),
    ("start", ColumnKind::Time, false),
    ("planned_end", ColumnKind::Time, false),
];

/// The mapping in a schema file; `None` when there are errors, which are then among the findings.
pub(super) fn load(name: &str, findings: &mut Findings) -> Option<Mapping> {
    let node = tree::parse(findings)?;
    let file = MappingFile::read(&node, findings)?;
    let produces = file.produces.0.as_ref().map(|word| match word.value {
        ProducesWord::Readings => Produces::Readings,
        ProducesWord::Closures => Produces::Closures,
    });
    let named = file.columns.0.as_ref()?;
    if named.0.is_empty() {
        findings
            .error(&named.span, "no columns")
            .help("name at least one, such as `ts: { type: time }`");
    }
    let mut columns = Vec::new();
    for (name, group) in &named.0 {
        check_name(name, "column", findings);
        columns.extend(group.as_ref().and_then(|group| column(name, group, findings)));
    }
    if produces == Some(Produces::Closures) && columns.len() == named.0.len() {
        check_closure(&columns, named, findings);
    }
    let version = file.payload_version.as_ref().map(|version| i64::from(version.value));
    let mapping = Mapping { name: name.to_owned(), produces: produces?, version, columns };
    (!findings.has_errors()).then_some(mapping)
}

/// Names become columns and tables of SQL, and parts of topics: nothing in them may need quotes.
pub(super) fn check_name(name: &At<String>, what: &str, findings: &mut Findings) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let odd = name.find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
    let fine = starts && odd.is_none() && name.len() <= 60;
    if !fine {
        let mut meant = name.value.to_lowercase();
        meant.retain(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == ' ');
        let meant = meant.trim().replace(['-', ' '], "_");
        let near = meant.starts_with(|c: char| c.is_ascii_lowercase()).then_some(meant.as_str());
        findings
            .error(&name.span, format!("`{}` is no name for a {what}", tree::excerpt(name)))
            .did_you_mean(near)
            .help("small letters, digits and `_`, beginning with a letter, at most 60");
    }
    fine
}

fn column(name: &At<String>, group: &ColumnGroup, findings: &mut Findings) -> Option<Column> {
    let path = path(name, group, findings);
    let (scale, offset) = conversion(group, findings);
    let kind = match group.r#type.0.as_ref()?.value {
        TypeWord::Text => ColumnKind::Text,
        TypeWord::Integer => ColumnKind::Integer,
        TypeWord::Number => ColumnKind::Number,
        TypeWord::Boolean => ColumnKind::Boolean,
        TypeWord::Time => ColumnKind::Time,
        TypeWord::TextList => ColumnKind::TextList,
    };
    let (min, max) = (value(group.min.as_ref()), value(group.max.as_ref()));
    if let (Some(low), Some(high)) = (&group.min, &group.max)
        && low.value > high.value
    {
        findings
            .error(&low.span, "`min` is above `max`: no value would pass")
            .help("the smallest value that is allowed, then the largest");
    }
    let numeric = matches!(kind, ColumnKind::Integer | ColumnKind::Number);
    let only_numbers: [(&str, Option<&Span>); 5] = [
        ("min", group.min.as_ref().map(|at| &at.span)),
        ("max", group.max.as_ref().map(|at| &at.span)),
        ("unit", group.unit.as_ref().map(|at| &at.span)),
        ("scale", group.scale.as_ref().map(|at| &at.span)),
        ("offset", group.offset.as_ref().map(|at| &at.span)),
    ];
    for (key, span) in only_numbers {
        if let Some(span) = span.filter(|_| !numeric) {
            findings
                .error(span, format!("`{key}` is for columns of type integer or number"))
                .help("take it away, or change the column's type");
        }
    }
    if let (ColumnKind::Integer, true) = (kind, scale.fract() != 0.0 || offset.fract() != 0.0) {
        let span =
            group.unit.as_ref().map(|at| &at.span).or(group.scale.as_ref().map(|at| &at.span));
        let span = span.or(group.offset.as_ref().map(|at| &at.span)).unwrap_or(&name.span);
        findings.error(span, "the converted values have fractions").help("`type: number`");
    }
    let is_segment = group.segment.as_ref().is_some_and(|at| at.value);
    if let (true, Some(one_of)) = (kind != ColumnKind::Text, &group.one_of) {
        findings.error(&one_of.span, "`one_of` is for columns of type text").help("take it away");
    }
    if let (true, true, Some(segment)) = (kind != ColumnKind::Text, is_segment, &group.segment) {
        findings.error(&segment.span, "`segment` is for columns of type text").help("take it away");
    }
    if let Some(one_of) = group.one_of.as_ref().filter(|list| list.0.is_empty()) {
        findings.error(&one_of.span, "`one_of` allows no text at all").help("take it away");
    }
    let texts = |list: &At<List<String>>| list.0.iter().map(|at| at.value.clone()).collect();
    let literals = |list: &At<List<Literal>>| -> Vec<Value> {
        list.0.iter().map(|at| at.value.0.clone()).collect()
    };
    Some(Column {
        name: name.value.clone(),
        path,
        kind,
        nullable: group.nullable.as_ref().is_some_and(|at| at.value),
        missing: group.missing.as_ref().map(literals).unwrap_or_default(),
        scale,
        offset,
        min,
        max,
        is_segment,
        one_of: group.one_of.as_ref().map(texts).unwrap_or_default(),
    })
}

fn value(at: Option<&At<f64>>) -> Option<f64> {
    at.map(|at| at.value)
}

fn path(name: &At<String>, group: &ColumnGroup, findings: &mut Findings) -> Vec<String> {
    let Some(at) = &group.path else {
        return vec![name.value.clone()];
    };
    let members: Vec<String> = match at.0.as_slice() {
        [one] if at.is_scalar() => one.split('.').map(str::to_owned).collect(),
        several => several.iter().map(|member| member.value.clone()).collect(),
    };
    if members.first().is_some_and(|member| member.starts_with('$')) {
        findings
            .error(&at.span, "a path begins with the first member, not with `$`")
            .help("`data.speed`");
    } else if members.is_empty() || members.iter().any(String::is_empty) {
        findings
            .error(&at.span, "an empty member in the path")
            .help("`data.speed`, or a list when a member holds dots itself: `[data, speed.kmh]`");
    }
    members
}

/// Scale and offset of a column.
fn conversion(group: &ColumnGroup, findings: &mut Findings) -> (f64, f64) {
    let scale = value(group.scale.as_ref()).unwrap_or(1.0);
    let offset = value(group.offset.as_ref()).unwrap_or(0.0);
    if let (0.0, Some(at)) = (scale, &group.scale) {
        findings
            .error(&at.span, "a scale of 0 makes every value the same")
            .help("1 changes nothing");
    }
    let Some(unit) = &group.unit else {
        return (scale, offset);
    };
    if group.scale.is_some() || group.offset.is_some() {
        findings
            .error(&unit.span, "`unit` together with `scale` or `offset`")
            .help("keep one of them: a unit is a scale with a name");
    }
    let (Some(from), Some(to)) = (&unit.from.0, &unit.to.0) else {
        return (scale, offset);
    };
    if let Some(factor) = factor(from.value, to.value) {
        return (factor, 0.0);
    }
    findings
        .error(&to.span, "these units measure different things")
        .help("speeds go to `km/h`, shares of time to `percent`, times to `s`");
    (scale, offset)
}

fn check_closure(columns: &[Column], named: &At<Named<ColumnGroup>>, findings: &mut Findings) {
    for (name, kind, must) in CLOSURE_COLUMNS {
        match columns.iter().position(|column| column.name == name) {
            None if must => {
                findings.error(&named.span, format!("a closure needs the column `{name}`")).help(
                    "event_id, state, kind, edges, ts; as wanted reason, lanes_closed, start, planned_end",
                );
            }
            Some(at) if columns[at].kind != kind => {
                findings
                    .error(&named.0[at].0.span, format!("a closure's `{name}` has another type"))
                    .help(format!("`type: {}`", word_of(kind)));
            }
            Some(at) if must && columns[at].nullable => {
                findings
                    .error(&named.0[at].0.span, format!("a closure without `{name}` means nothing"))
                    .help("take `nullable` away");
            }
            _ => {}
        }
    }
    let known: Vec<&str> = CLOSURE_COLUMNS.iter().map(|(name, ..)| *name).collect();
    for (name, _) in named.0.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
        findings
            .error(&name.span, format!("a closure has no `{}`", tree::excerpt(name)))
            .did_you_mean(nearest(name, known.iter().copied()))
            .help(format!("known here: {}", listed(&known)));
    }
}

fn word_of(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Text => "text",
        ColumnKind::Integer => "integer",
        ColumnKind::Number => "number",
        ColumnKind::Boolean => "boolean",
        ColumnKind::Time => "time",
        ColumnKind::TextList => "text_list",
    }
}

#[cfg(test)]
mod tests;
