//! Outputs: topics for signs, vehicles and windows, the archive's folder.

use std::num::NonZeroUsize;

use crate::domain::network::Network;
use crate::domain::wording::{MIN_SIGN_COLS, MIN_SIGN_ROWS, MIN_VEHICLE_CHARS, Space};
use crate::plan::{Directions, Output, OutputKind};

use super::super::raw::{self, default};
use super::super::read::{At, listed};
use super::super::report::Span;
use super::{Checker, topics};

impl Checker<'_> {
    pub(super) fn outputs(&mut self, raw: Option<&At<raw::Outputs>>) -> Vec<Output> {
        let Some(raw) = raw else { return Vec::new() };
        let signs = raw.signs.as_ref().and_then(|signs| self.signs_output(signs));
        let vehicles = raw.vehicles.as_ref().and_then(|vehicles| self.vehicles_output(vehicles));
        let windows = raw.windows.as_ref().and_then(|windows| self.windows_output(windows));
        let archive = raw.archive.as_ref().and_then(|archive| self.archive_output(archive));
        [("signs", signs), ("vehicles", vehicles), ("windows", windows), ("archive", archive)]
            .into_iter()
            .filter_map(|(name, kind)| Some(Output { name: name.into(), kind: kind? }))
            .collect()
    }

    fn signs_output(&mut self, raw: &raw::SignsOutput) -> Option<OutputKind> {
        let mqtt = raw.mqtt.0.as_ref()?;
        let qos = self.qos(mqtt.qos.as_ref());
        let retain = mqtt.retain.as_ref().map_or(default::RETAIN, |at| at.value);
        let topic = mqtt.topic.0.as_ref()?;
        let topic = self.topic(topic, topics::bad_topic(topic, &["sign"]));
        Some(OutputKind::Signs { topic, qos, retain })
    }

    /// Signs that may be used and on which no text has room stay dark.
    pub(super) fn small_signs(&mut self, span: &Span, directions: &Directions, network: &Network) {
        let used = |id| directions.signs.is_empty() || directions.signs.contains(&id);
        let signs = network.sign_ids().filter(|id| used(*id)).map(|id| network.sign(id));
        let small = signs.filter(|sign| {
            let (rows, cols, pages) = (sign.rows, sign.cols, sign.pages);
            Space::Sign { rows, cols, pages }.is_too_small()
        });
        let small: Vec<&str> = small.map(|sign| sign.name.as_str()).collect();
        if !small.is_empty() {
            let least =
                format!("{MIN_SIGN_ROWS} rows of {MIN_SIGN_COLS} characters, pages together");
            self.findings
                .warning(span, format!("too small for any text: {}", listed(&small)))
                .label("signs that stay dark")
                .help(format!(
                    "a text needs {least}: are signs.csv's `text_rows` and `text_cols` right?"
                ));
        }
    }

    fn vehicles_output(&mut self, raw: &raw::VehiclesOutput) -> Option<OutputKind> {
        let least = u32::from(MIN_VEHICLE_CHARS);
        let max_chars = self.count(raw.max_chars.as_ref(), default::MAX_CHARS, least, 500);
        let mqtt = raw.mqtt.0.as_ref()?;
        let qos = self.qos(mqtt.qos.as_ref());
        let retain = mqtt.retain.as_ref().map_or(default::RETAIN, |at| at.value);
        let topic = mqtt.topic.0.as_ref()?;
        let topic = self.topic(topic, topics::bad_topic(topic, &["tile", "part"]));
        let max_chars = u16::try_from(max_chars).ok()?;
        let voice = raw.voice.as_ref().map_or(default::VOICE, |at| at.value);
        Some(OutputKind::Vehicles { topic, qos, retain, max_chars, voice })
    }

    fn windows_output(&mut self, raw: &raw::WindowsOutput) -> Option<OutputKind> {
        let mqtt = raw.mqtt.0.as_ref()?;
        let qos = self.qos(mqtt.qos.as_ref());
        let retain = mqtt.retain.as_ref().map_or(default::RETAIN_WINDOWS, |at| at.value);
        let topic = mqtt.topic.0.as_ref()?;
        let topic = self.topic(topic, topics::bad_topic(topic, &["window"]));
        Some(OutputKind::Windows { topic, qos, retain })
    }

    fn archive_output(&mut self, raw: &raw::ArchiveOutput) -> Option<OutputKind> {
        let parquet = raw.parquet.0.as_ref()?;
        let keep_days = self.count(parquet.keep_days.as_ref(), default::KEEP_DAYS, 1, 36_500);
        let at = parquet.dir.0.as_ref()?;
        let dir = self.path(at)?;
        if dir.is_file() {
            self.findings
                .error(&at.span, format!("{} is a file", dir.display()))
                .help("the archive is a folder of files");
        }
        let keep_days = usize::try_from(keep_days).ok().and_then(NonZeroUsize::new)?;
        Some(OutputKind::Archive { dir, keep_days })
    }
}
