//! Sources: topics, schema files, event time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use sha2::Digest as _;

use crate::plan::{ColumnKind, EventTime, Mapping, Produces, Source};

use super::super::files;
use super::super::mapping::{self, check_name};
use super::super::raw::{self, default};
use super::super::read::{At, Named, PathText, listed, nearest};
use super::super::report::{Findings, Report};
use super::super::tree;
use super::{Bounds, Checker, topics};

const LATENESS: Bounds = Bounds("0s", "1h");
const IDLE_AFTER: Bounds = Bounds("1s", "24h");
const MAX_FUTURE: Bounds = Bounds("1s", "24h");

/// A source with its name's place, for whatever refers to it; `plan` is `None` when it has errors.
pub(super) struct CheckedSource {
    pub name: At<String>,
    pub mapping: Option<Arc<Mapping>>,
    pub plan: Option<Source>,
}

impl CheckedSource {
    pub fn is_closures(&self) -> bool {
        self.mapping.as_ref().is_some_and(|mapping| mapping.produces == Produces::Closures)
    }

    /// The column whose values have a watermark each.
    pub fn group(&self) -> Option<String> {
        self.plan.as_ref()?.event_time.as_ref()?.group.clone()
    }
}

/// Schema files, each read once.
#[derive(Default)]
pub(super) struct Schemas {
    read: BTreeMap<PathBuf, (Option<Arc<Mapping>>, Findings)>,
}

impl Schemas {
    pub fn hand_over(self, report: &mut Report) {
        for (_, findings) in self.read.into_values() {
            report.add(findings);
        }
    }
}

impl Checker<'_> {
    pub(super) fn sources(&mut self, raw: &At<Named<raw::Source>>) -> Vec<CheckedSource> {
        if raw.0.is_empty() {
            self.findings
                .error(&raw.span, "no sources")
                .help("name at least one: `loops: { mqtt: { topic: … }, schema: loop, … }`");
        }
        let mut sources: Vec<CheckedSource> = Vec::new();
        for (name, source) in &raw.0 {
            let named = check_name(name, "source", &mut self.findings);
            let Some(source) = source else {
                sources.push(CheckedSource { name: name.clone(), mapping: None, plan: None });
                continue;
            };
            let mapping = source.schema.0.as_ref().and_then(|schema| self.schema(schema));
            let plan = self.source(name, source, mapping.as_ref()).filter(|_| named);
            if let Some(plan) = &plan {
                self.claimed_before(name, plan, &sources);
            }
            sources.push(CheckedSource { name: name.clone(), mapping, plan });
        }
        sources
    }

    fn source(
        &mut self,
        name: &At<String>,
        raw: &raw::Source,
        mapping: Option<&Arc<Mapping>>,
    ) -> Option<Source> {
        let subscription = raw.mqtt.0.as_ref();
        let qos = self.qos(subscription.and_then(|mqtt| mqtt.qos.as_ref()));
        let topic = subscription.and_then(|mqtt| mqtt.topic.0.as_ref());
        let claims: Vec<(String, Value)> = raw
            .r#where
            .iter()
            .flat_map(|claims| &claims.0)
            .filter_map(|(member, value)| Some((member.value.clone(), value.as_ref()?.0.clone())))
            .collect();
        let event_time = raw.event_time.as_ref();
        let event_time = mapping.and_then(|mapping| self.event_time(name, event_time, mapping));
        let mut unique = Vec::new();
        if let (Some(columns), Some(mapping)) = (&raw.unique, mapping) {
            for column in &columns.0 {
                self.column(column, mapping);
                unique.push(column.value.clone());
            }
        }
        let topic = topic.map(|topic| {
            let bad = topics::bad_filter(topic);
            if bad.is_empty() {
                let grouped = event_time.as_ref().is_some_and(|time| time.group.is_some());
                self.wildcard(topic, grouped);
            }
            self.topic(topic, bad)
        });
        let mapping = Arc::clone(mapping?);
        Some(Source {
            name: name.value.clone(),
            topic: topic?,
            qos,
            mapping,
            claims,
            event_time,
            unique,
        })
    }

    /// Finds the subscriptions that hear one sensor, or none, where all of them are meant.
    fn wildcard(&mut self, topic: &At<String>, many_sensors: bool) {
        if topic.contains(['+', '#']) {
            return;
        }
        let whole = topic.value.split('/').collect::<Vec<_>>();
        // In the message format the sensor's or event's id follows these words.
        let missing = whole.iter().position(|level| matches!(*level, "sensor" | "event"));
        if let Some(at) = missing {
            let kind = whole[at];
            let mut meant: Vec<&str> = whole[..=at].to_vec();
            meant.push("+");
            if kind == "sensor" {
                meant.push("reading");
            }
            self.findings
                .error(&topic.span, "this topic needs a wildcard")
                .did_you_mean(Some(meant.join("/").as_str()))
                .help(format!("every {kind} has a topic of its own: `+` stands for its id"));
        } else if many_sensors {
            self.findings
                .warning(&topic.span, "this subscription hears a single topic")
                .help("right for a gateway that speaks for all sensors; else `+` stands for the sensor's id");
        }
    }

    /// The first source that claims a message gets it: an equal one after it never hears anything.
    fn claimed_before(&mut self, name: &At<String>, plan: &Source, before: &[CheckedSource]) {
        let equal = before.iter().filter_map(|source| source.plan.as_ref()).find(|other| {
            other.topic == plan.topic && other.claims.iter().all(|c| plan.claims.contains(c))
        });
        if let Some(other) = equal {
            self.findings
                .error(&name.span, format!("`{}` takes every message of this source", other.name))
                .help("several sources on one topic need a `where` each: `where: { kind: loop }`");
        }
    }

    fn event_time(
        &mut self,
        name: &At<String>,
        raw: Option<&At<raw::EventTime>>,
        mapping: &Mapping,
    ) -> Option<EventTime> {
        let Some(raw) = raw else {
            if mapping.produces == Produces::Readings {
                self.findings
                    .error(
                        &name.span,
                        format!("the key `event_time` is missing in `{}`", name.value),
                    )
                    .label("has no `event_time`")
                    .help("readings are placed in time by a column: `event_time: { field: ts }`");
            }
            return None;
        };
        if mapping.produces == Produces::Closures {
            self.findings
                .error(&raw.span, "closures act at once and have no event time")
                .help("take `event_time` away");
            return None;
        }
        let lateness = self.interval(raw.lateness.as_ref(), default::LATENESS, &LATENESS);
        let idle_after = self.interval(raw.idle_after.as_ref(), default::IDLE_AFTER, &IDLE_AFTER);
        let max_future = self.interval(raw.max_future.as_ref(), default::MAX_FUTURE, &MAX_FUTURE);
        let group = match &raw.group {
            Some(group) => {
                self.column(group, mapping);
                Some(group.value.clone())
            }
            None => mapping.columns.iter().find(|c| c.name == "sensor_id").map(|c| c.name.clone()),
        };
        let field = raw.field.0.as_ref()?;
        if self.column(field, mapping).is_some_and(|kind| kind != ColumnKind::Time) {
            let times: Vec<&str> = mapping
                .columns
                .iter()
                .filter(|column| column.kind == ColumnKind::Time)
                .map(|column| column.name.as_str())
                .collect();
            self.findings
                .error(&field.span, format!("`{}` is no time", field.value))
                .did_you_mean(times.first().copied().filter(|_| times.len() == 1))
                .help("event time is a column of type time");
        }
        let interval_end =
            raw.ts_is.as_ref().is_none_or(|ts_is| ts_is.value == raw::TsIs::IntervalEnd);
        let column = field.value.clone();
        Some(EventTime { column, lateness, idle_after, max_future, group, interval_end })
    }

    /// The kind of a column; `None` once it is reported that there is none of this name.
    fn column(&mut self, at: &At<String>, mapping: &Mapping) -> Option<ColumnKind> {
        let found = mapping.columns.iter().find(|column| column.name == at.value);
        if found.is_none() {
            let known: Vec<&str> = mapping.columns.iter().map(|c| c.name.as_str()).collect();
            self.findings
                .error(
                    &at.span,
                    format!("the schema `{}` has no column `{}`", mapping.name, tree::excerpt(at)),
                )
                .did_you_mean(nearest(at, known.iter().copied()))
                .help(format!("its columns are {}", listed(&known)));
        }
        found.map(|column| column.kind)
    }

    fn schema(&mut self, at: &At<PathText>) -> Option<Arc<Mapping>> {
        let by_path = at.0.contains('/') || at.0.starts_with("${");
        let path = if by_path {
            self.path(at)?
        } else {
            files::join(self.base, &Path::new("../schemas").join(format!("{}.yaml", at.0)))
        };
        if let Some((mapping, _)) = self.schemas.read.get(&path) {
            return mapping.clone();
        }
        if !path.exists() {
            self.no_schema(at, &path, by_path);
            return None;
        }
        let mut findings = files::open(&path);
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let mapping = if findings.has_errors() {
            None
        } else {
            self.hash.update(findings.text());
            mapping::load(&name.unwrap_or_default(), &mut findings).map(Arc::new)
        };
        if findings.has_errors() {
            self.findings
                .error(&at.span, format!("the schema file {} has errors", path.display()))
                .help("they are listed below");
        }
        self.schemas.read.insert(path, (mapping.clone(), findings));
        mapping
    }

    fn no_schema(&mut self, at: &At<PathText>, path: &Path, by_path: bool) {
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".yaml").map(str::to_owned))
            .collect();
        names.sort_unstable();
        let wanted = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let near = nearest(&wanted, names.iter().map(String::as_str));
        let meant = near.map(|near| match at.0.rsplit_once('/') {
            Some((folder, _)) if by_path => format!("{folder}/{near}.yaml"),
            _ => near.to_owned(),
        });
        let help = if names.is_empty() {
            "a name stands for a file in the folder schemas/ beside the pipelines' folder; with a `/` it is a path".to_owned()
        } else {
            format!("in {} there are {}", folder.display(), listed(&names))
        };
        self.findings
            .error(&at.span, format!("there is no schema file {}", path.display()))
            .did_you_mean(meant.as_deref())
            .help(help);
    }
}
