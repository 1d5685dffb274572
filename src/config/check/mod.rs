//! From the pipeline as written to the plan: everything that is wrong is found before it gives up.
//!
//! What cannot be read is left out and the rest is still checked, so that one run shows all.

mod broker;
mod journal;
mod outputs;
mod shapes;
mod sources;
mod speak;
mod topics;
mod windows;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::domain::network::Network;
use crate::plan::{Plan, Writer};

use super::files::{self, Variables};
use super::raw::{self, default};
use super::read::{At, Interval, PathText, Read};
use super::report::{Finding, Findings, Report};
use super::tree;

/// A plan where there are no errors, and everything that was found.
pub(super) fn check(
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> (Option<Plan>, Report) {
    let base = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let findings = files::open(path);
    let mut checker = Checker {
        variables: Variables { environment, base: &base },
        base: &base,
        findings,
        hash: Sha256::new(),
        site: String::new(),
        schemas: sources::Schemas::default(),
    };
    let plan = checker.pipeline();
    let mut report = Report::default();
    report.add(checker.findings);
    checker.schemas.hand_over(&mut report);
    (plan.filter(|_| !report.has_errors()), report)
}

/// What the checks share.
struct Checker<'e> {
    variables: Variables<'e>,
    /// The pipeline file's folder.
    base: &'e Path,
    findings: Findings,
    /// Over the pipeline file and the schema files.
    hash: Sha256,
    /// What stands for `{site}`.
    site: String,
    schemas: sources::Schemas,
}

/// The shortest and the longest that a duration may be, in the words of the file.
struct Bounds(&'static str, &'static str);

impl Checker<'_> {
    fn pipeline(&mut self) -> Option<Plan> {
        if self.findings.has_errors() {
            return None;
        }
        self.hash.update(self.findings.text());
        let node = tree::parse(&mut self.findings)?;
        let raw = raw::Pipeline::read(&node, &mut self.findings)?;

        let name =
            raw.name.0.as_ref().and_then(|name| self.topic_word(name, "the pipeline's name"));
        let site = match &raw.site {
            Some(site) => self.topic_word(site, "the site"),
            None => name.clone(),
        };
        // Topics are checked even where the site is in doubt; a plan is then not made anyway.
        self.site = site.unwrap_or_else(|| "site".into());
        let network = raw.network.0.as_ref().and_then(|path| self.network(path));
        let broker = raw.broker.as_ref().and_then(|broker| self.broker(broker));
        let sources = raw.sources.0.as_ref().map(|sources| self.sources(sources));
        let sources = sources.unwrap_or_default();
        let windows = self.windows(raw.windows.as_ref(), &sources, network.as_deref());
        let congestion =
            raw.congestion.as_ref().and_then(|congestion| self.congestion(congestion, &windows));
        let areas = raw.outputs.as_ref().is_some_and(|outputs| outputs.vehicles.is_some());
        let directions = raw
            .directions
            .as_ref()
            .and_then(|directions| self.directions(directions, network.as_deref(), areas));
        let writer = self.writer(raw.writer.as_ref());
        let outputs = self.outputs(raw.outputs.as_ref());
        let signs = raw.outputs.as_ref().and_then(|outputs| outputs.signs.as_ref());
        if let (Some(signs), Some(directions), Some(network)) = (signs, &directions, &network) {
            self.small_signs(&signs.span, directions, network);
        }
        let journal = raw.journal.as_ref().and_then(|journal| self.journal(journal));
        let status_topic = self.status_topic(raw.status_topic.as_ref());
        self.check_whole(&raw, &sources);

        let hash = format!("{:x}", std::mem::take(&mut self.hash).finalize());
        Some(Plan {
            name: name?,
            hash,
            site: self.site.clone(),
            network: network?,
            broker,
            // Where one is missing there is an error, and the caller drops the plan.
            sources: sources.into_iter().filter_map(|source| source.plan).collect(),
            windows: windows.into_iter().filter_map(|window| window.plan).collect(),
            // Closures are spoken of without it.
            congestion: congestion.unwrap_or_default(),
            directions,
            writer,
            outputs,
            journal,
            status_topic,
        })
    }

    /// What only shows when the groups are held side by side.
    fn check_whole(&mut self, raw: &raw::Pipeline, sources: &[sources::CheckedSource]) {
        let read: Vec<&str> = raw
            .windows
            .iter()
            .flat_map(|windows| &windows.0)
            .filter_map(|(_, window)| window.as_ref()?.from.0.as_ref())
            .flat_map(|from| from.0.iter().map(|name| name.as_str()))
            .collect();
        // Where a window's source is misspelt, the one that was meant only seems to be unread.
        let certain =
            read.iter().all(|name| sources.iter().any(|source| source.name.value == *name));
        for source in sources.iter().filter(|source| certain && !source.is_closures()) {
            if !read.contains(&source.name.as_str()) {
                self.findings
                    .warning(&source.name.span, format!("no window reads `{}`", source.name.value))
                    .help("its messages are decoded and counted, and nothing comes of them");
            }
        }
        let speaks = raw
            .outputs
            .as_ref()
            .map(|o| (o.signs.as_ref().map(|at| &at.span), o.vehicles.as_ref().map(|at| &at.span)));
        match (&raw.directions, speaks) {
            (Some(directions), None | Some((None, None))) => {
                self.findings
                    .warning(&directions.span, "directions are decided, but nobody is told")
                    .help("add `signs` or `vehicles` to `outputs`");
            }
            (None, Some((Some(span), _) | (None, Some(span)))) => {
                self.findings
                    .warning(span, "without `directions` nothing is ever sent here")
                    .help("add `directions: {}` to begin with the defaults");
            }
            _ => {}
        }
    }

    fn network(&mut self, path: &At<PathText>) -> Option<Arc<Network>> {
        let dir = self.path(path)?;
        match Network::load(&dir) {
            Ok(network) => Some(Arc::new(network)),
            Err(error) => {
                for finding in &error.findings {
                    self.findings
                        .error(&path.span, finding.to_string())
                        .label("read from here")
                        .help("a network is a folder with network.geojson(.gz), connections.csv, sensors.csv and signs.csv");
                }
                if error.unlisted > 0 {
                    let more = format!("and {} more in the network's files", error.unlisted);
                    self.findings.error(&path.span, more).help("mend those listed first");
                }
                None
            }
        }
    }

    /// A word that may stand in topics, logs and client ids.
    fn topic_word(&mut self, word: &At<String>, what: &str) -> Option<String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !word.is_empty() && word.len() <= 60 && word.chars().all(fits) {
            return Some(word.value.clone());
        }
        let mut meant: String = word.trim().replace([' ', '/', '.'], "-");
        meant.retain(fits);
        self.findings
            .error(&word.span, format!("`{}` cannot be {what}", tree::excerpt(word)))
            .did_you_mean(Some(meant.as_str()).filter(|meant| !meant.is_empty()))
            .help("letters, digits, `_` and `-`, at most 60: it stands in topics");
        None
    }

    /// The path that is meant; `None` once a finding says why not.
    fn path(&mut self, text: &At<PathText>) -> Option<PathBuf> {
        let path = self.variables.path(&text.0);
        self.replaced(text, path)
    }

    fn replaced<S: AsRef<str>, T>(
        &mut self,
        text: &At<S>,
        replaced: Result<T, files::BadVariable>,
    ) -> Option<T> {
        match replaced {
            Ok(value) => Some(value),
            Err(bad) => {
                let span = text.part(self.findings.text(), bad.part);
                self.findings.error(&span, bad.what).did_you_mean(bad.meant).help(
                    "set it in the environment; `${WAYSIDE_DATA}` has a default, the others do not",
                );
                None
            }
        }
    }

    /// A duration within bounds, or its default. A default also stands in for what is wrong.
    fn interval(&mut self, at: Option<&At<Interval>>, default: &str, bounds: &Bounds) -> Duration {
        let default = Interval::parse(default).map_or(Duration::ZERO, |interval| interval.0);
        at.map_or(default, |at| self.within(at, bounds))
    }

    fn within(&mut self, at: &At<Interval>, bounds: &Bounds) -> Duration {
        let bound = |text: &str| Interval::parse(text).map(|interval| interval.0);
        let (least, most) = (bound(bounds.0), bound(bounds.1));
        let what = match () {
            () if at.0.is_zero() && least.is_some_and(|least| !least.is_zero()) => "no time at all",
            () if least.is_some_and(|least| at.0 < least) => "too short",
            () if most.is_some_and(|most| at.0 > most) => "too long",
            () => return at.0,
        };
        self.findings
            .error(&at.span, format!("{} is {what} here", at.value))
            .help(format!("from {} to {}", bounds.0, bounds.1));
        at.0
    }

    /// A number within bounds, or its default.
    fn count(&mut self, at: Option<&At<u32>>, default: u32, least: u32, most: u32) -> u32 {
        let Some(at) = at else { return default };
        if !(least..=most).contains(&at.value) {
            let what = format!("{} is out of bounds here", at.value);
            self.findings.error(&at.span, what).help(format!("from {least} to {most}"));
        }
        at.value
    }

    fn qos(&mut self, at: Option<&At<u32>>) -> u8 {
        match at.map(|at| (at.value, &at.span)) {
            None => default::QOS,
            Some((0, _)) => 0,
            Some((1, _)) => 1,
            Some((other, span)) => {
                let finding = self.findings.error(span, format!("QoS {other} is not to be had"));
                finding
                    .help("0 (at most once) or 1 (at least once; repeats are dropped by `unique`)");
                default::QOS
            }
        }
    }

    /// Reports what is wrong with a topic; gives it back with `{site}` replaced.
    fn topic(&mut self, at: &At<String>, bad: Vec<topics::BadTopic>) -> String {
        for bad in bad {
            let span = at.part(self.findings.text(), bad.part);
            let finding: &mut Finding = self.findings.error(&span, bad.what);
            finding.did_you_mean(bad.meant.as_deref()).help(bad.help);
        }
        at.replace("{site}", &self.site)
    }

    fn status_topic(&mut self, at: Option<&At<String>>) -> String {
        match at {
            Some(at) => self.topic(at, topics::bad_topic(at, &[])),
            None => default::STATUS_TOPIC.replace("{site}", &self.site),
        }
    }

    fn writer(&mut self, raw: Option<&At<raw::Writer>>) -> Writer {
        speak::writer(self, raw)
    }
}
