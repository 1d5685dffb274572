//! The journal: its folder and its limits.

use crate::plan::Journal;

use super::super::raw::{self, default};
use super::super::read::{At, Size};
use super::{Bounds, Checker};

/// Less, and the segments that a restart needs would leave nothing for recordings.
const MAX_SIZE: Bounds = Bounds("64MB", "100TB");
const MAX_AGE: Bounds = Bounds("1h", "3650d");
const SNAPSHOT_EVERY: Bounds = Bounds("1s", "1h");

impl Checker<'_> {
    pub(super) fn journal(&mut self, raw: &At<raw::Journal>) -> Option<Journal> {
        let max_bytes = self.size(raw.max_size.as_ref(), default::MAX_SIZE, &MAX_SIZE);
        let max_age = self.interval(raw.max_age.as_ref(), default::MAX_AGE, &MAX_AGE);
        let snapshot_every =
            self.interval(raw.snapshot_every.as_ref(), default::SNAPSHOT_EVERY, &SNAPSHOT_EVERY);
        let record = raw.record.as_ref().map_or(default::RECORD, |at| at.value);
        if let (false, Some(age)) = (record, &raw.max_age) {
            self.findings
                .warning(&age.span, "an age of recordings, and nothing is recorded")
                .help("take away `max_age` or `record: false`");
        }
        let at = raw.dir.0.as_ref()?;
        let dir = self.path(at)?;
        if dir.is_file() {
            self.findings
                .error(&at.span, format!("{} is a file", dir.display()))
                .help("the journal is a folder of files");
        }
        Some(Journal { dir, max_bytes, max_age, snapshot_every, record })
    }

    /// A size within bounds, or its default.
    fn size(&mut self, at: Option<&At<Size>>, default: &str, bounds: &Bounds) -> u64 {
        let bytes = |text: &str| Size::parse(text).map_or(0, |size| size.0);
        let Some(at) = at else { return bytes(default) };
        let (least, most) = (bytes(bounds.0), bytes(bounds.1));
        if !(least..=most).contains(&at.0) {
            let what = if at.0 < least { "too small" } else { "too large" };
            self.findings
                .error(&at.span, format!("{} is {what} here", at.value))
                .help(format!("from {} to {}", bounds.0, bounds.1));
        }
        at.0
    }
}
