//! Directions and who words them.

use crate::domain::congestion::CongestionLevel;
use crate::domain::network::{Network, SegmentId, SignId};
use crate::domain::wording::Language;
use crate::plan::{Backend, Directions, Writer};

use super::super::files;
use super::super::raw::{self, BackendWord, LanguageWord, LevelWord, default};
use super::super::read::{At, List, listed, nearest};
use super::super::tree;
use super::{Bounds, Checker};

const MIN_SAVING: Bounds = Bounds("0s", "1h");
const ADVICE_DECAY: Bounds = Bounds("1s", "1h");
const DWELL: Bounds = Bounds("0s", "2h");
/// Shorter, and a sign goes dark between two renewals; longer, and it outlives its facts.
const EXPIRY: Bounds = Bounds("30s", "2h");
const DEADLINE: Bounds = Bounds("1ms", "10s");

impl Checker<'_> {
    pub(super) fn directions(
        &mut self,
        raw: &At<raw::Directions>,
        network: Option<&Network>,
        areas: bool,
    ) -> Option<Directions> {
        let min_saving = self.interval(raw.min_saving.as_ref(), default::MIN_SAVING, &MIN_SAVING);
        let dwell = self.interval(raw.dwell.as_ref(), default::DWELL, &DWELL);
        let expiry = self.interval(raw.expiry.as_ref(), default::EXPIRY, &EXPIRY);
        let diversion_cap =
            self.above_zero(raw.diversion_cap.as_ref(), default::DIVERSION_CAP, 1.0);
        let area_dwell = self.interval(raw.area_dwell.as_ref(), default::AREA_DWELL, &DWELL);
        let area_reach_m =
            self.above_zero(raw.area_reach_m.as_ref(), default::AREA_REACH_M, 50_000.0);
        let switch_gain = self.above_zero(raw.switch_gain.as_ref(), default::SWITCH_GAIN, 1.0);
        let compliance = self.above_zero(raw.compliance.as_ref(), default::COMPLIANCE, 1.0);
        let advice_decay =
            self.interval(raw.advice_decay.as_ref(), default::ADVICE_DECAY, &ADVICE_DECAY);
        let reach_m = self.above_zero(raw.reach_m.as_ref(), default::REACH_M, 50_000.0);
        let speak_from = match raw.speak_from.as_ref().map(|at| at.value) {
            Some(LevelWord::Heavy) => CongestionLevel::Heavy,
            Some(LevelWord::Slow) => CongestionLevel::Slow,
            Some(LevelWord::Queuing) | None => CongestionLevel::Queuing,
            Some(LevelWord::Stationary) => CongestionLevel::Stationary,
        };
        let network = network?;
        let signs = self.signs(raw.signs.as_ref(), network);
        let never_via = self.never_via(raw.never_via.as_ref(), network);
        Some(Directions {
            min_saving,
            dwell,
            area_dwell,
            expiry,
            diversion_cap,
            speak_from,
            reach_m,
            area_reach_m,
            areas,
            switch_gain,
            compliance,
            advice_decay,
            signs,
            never_via,
        })
    }

    /// A number above zero and at most `most`, or its default.
    fn above_zero(&mut self, at: Option<&At<f64>>, default: f64, most: f64) -> f64 {
        let Some(at) = at else { return default };
        if at.value <= 0.0 || at.value > most {
            let what = format!("{} is out of bounds here", at.value);
            self.findings.error(&at.span, what).help(format!("above 0, at most {most}"));
        }
        at.value
    }

    fn signs(&mut self, raw: Option<&At<List<String>>>, network: &Network) -> Vec<SignId> {
        let known = || network.signs.iter().map(|sign| sign.name.as_str()).collect::<Vec<_>>();
        let found = raw.into_iter().flat_map(|list| &list.0).filter_map(|name| {
            let id = network.sign_by_name(name);
            if id.is_none() {
                self.not_in_network(name, "sign", &known());
            }
            id
        });
        found.collect()
    }

    fn never_via(&mut self, raw: Option<&At<List<String>>>, network: &Network) -> Vec<SegmentId> {
        let known = || network.segments.iter().map(|s| s.name.as_str()).collect::<Vec<_>>();
        let found = raw.into_iter().flat_map(|list| &list.0).filter_map(|name| {
            let id = network.segment_by_name(name);
            if id.is_none() {
                self.not_in_network(name, "road edge", &known());
            }
            id
        });
        found.collect()
    }

    fn not_in_network(&mut self, name: &At<String>, what: &str, known: &[&str]) {
        self.findings
            .error(&name.span, format!("the network has no {what} `{}`", tree::excerpt(name)))
            .did_you_mean(nearest(name, known.iter().copied()))
            .help(format!("it has {} of them: {}", known.len(), listed(known)));
    }
}

pub(super) fn writer(checker: &mut Checker<'_>, raw: Option<&At<raw::Writer>>) -> Writer {
    let deadline = raw.and_then(|raw| raw.deadline.as_ref());
    let deadline = checker.interval(deadline, default::DEADLINE, &DEADLINE);
    let backend = match raw.and_then(|raw| raw.backend.as_ref()).map(|at| at.value) {
        Some(BackendWord::Auto) | None => Backend::Auto,
        Some(BackendWord::Cpu) => Backend::Cpu,
        Some(BackendWord::Wgpu) => Backend::Wgpu,
    };
    let mut languages = Vec::new();
    if let Some(list) = raw.and_then(|raw| raw.languages.as_ref()) {
        if list.0.is_empty() {
            checker
                .findings
                .error(&list.span, "no language")
                .help("the site's own first: `[it, en]`");
        }
        for word in &list.0 {
            let language = match word.value {
                LanguageWord::En => Language::En,
                LanguageWord::It => Language::It,
                LanguageWord::De => Language::De,
                LanguageWord::Fr => Language::Fr,
                LanguageWord::Es => Language::Es,
            };
            if languages.contains(&language) {
                checker
                    .findings
                    .error(&word.span, "this language is listed twice")
                    .help("once is enough");
            } else {
                languages.push(language);
            }
        }
    }
    if languages.is_empty() {
        languages.push(Language::En);
    }
    let model = raw.and_then(|raw| raw.model.as_ref()).filter(|model| model.0 != "none");
    let model = model.and_then(|at| model_dir(checker, at));
    let zone = raw.and_then(|raw| raw.zone.as_ref()).and_then(|at| checker.known_zone(at));
    Writer { model, languages, zone, deadline, backend }
}

/// A model that is not there is a warning: templates speak in its place.
fn model_dir(checker: &mut Checker<'_>, at: &At<super::PathText>) -> Option<std::path::PathBuf> {
    let dir = if at.0.contains('/') || at.0.starts_with("${") {
        checker.path(at)?
    } else {
        files::join(checker.base, &std::path::Path::new("../models").join(&at.0))
    };
    if !dir.is_dir() {
        checker
            .findings
            .warning(&at.span, format!("there is no model in {}", dir.display()))
            .label("templates will speak")
            .help("a name stands for a folder in models/; `none` says that templates are meant");
    }
    Some(dir)
}
